//! The timer for when acknowledgements do not come: the tail loss probe (RFC 8985 §7), then the retransmission timeout
//! (RFC 9260 §6.3).

use std::time::{Duration, Instant};

use super::super::wire::before;
use super::rtt::Rtt;

/// The least time before a probe.
const MIN_PROBE: Duration = Duration::from_millis(10);

/// Below this round trip not every packet asks for an immediate acknowledgement (RFC 7053), which would cost more than
/// the delay.
const MIN_ASKED_ROUND_TRIP: Duration = Duration::from_millis(2);

/// The least time between two requests for an immediate acknowledgement on a short path. In a stream of 25 messages a
/// second or more the peer then acknowledges every second packet, as it would without requests, so that they cost
/// nothing; a rarer message asks each time.
const ASK_INTERVAL: Duration = Duration::from_millis(40);

/// How long a peer may delay an acknowledgement that was not asked for at once (RFC 9260 §6.2).
const ACK_DELAY: Duration = Duration::from_millis(200);

/// The limit of the back-off at first, so that a path that returns after a short outage carries data again within a
/// second.
const SHORT_CEILING: Duration = Duration::from_millis(800);

/// The limit of the back-off during long outages, in which the timeout grows with the silence.
pub(super) const CEILING: Duration = Duration::from_secs(5);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Probe,
    Timeout,
}

/// What is in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outstanding {
    /// It fits one packet, whose acknowledgement the peer may delay.
    pub(super) is_lone: bool,
    /// No recovery is under way, so that a probe may take the place of the timeout (RFC 8985 §7.2).
    pub(super) may_probe: bool,
}

/// The timer of what is in flight.
#[derive(Debug, Default)]
pub(super) struct Timer {
    at: Option<(Instant, Due)>,
    /// How often in a row the timeout has come.
    backoff: u32,
    /// When the peer last acknowledged something or, if nothing was in flight then, when the first chunk after it was
    /// sent.
    silent_since: Option<Instant>,
    /// The highest TSN that had been sent when the last probe left, until the peer acknowledges it (TLP.end_seq, RFC
    /// 8985 §7.3).
    probed: Option<u32>,
    /// Whether the last packet that left asked for an acknowledgement at once, and when one last did.
    asked: bool,
    asked_at: Option<Instant>,
    /// How long the peer may delay the next acknowledgement.
    ack_delay: Duration,
    /// The RTO at which the timer was last started.
    in_force: Duration,
}

/// Whether the path is so short that requests for immediate acknowledgements are rationed.
fn is_short(rtt: &Rtt) -> bool {
    rtt.min().is_some_and(|min| min < MIN_ASKED_ROUND_TRIP)
}

impl Timer {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at.map(|(at, _)| at)
    }

    /// Whether a request for an immediate acknowledgement costs little: on a long path, or if the last one was long ago.
    pub(super) fn may_ask(&self, now: Instant, rtt: &Rtt) -> bool {
        !is_short(rtt)
            || self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= ASK_INTERVAL)
    }

    /// A packet leaves. `asks`: whether for an immediate acknowledgement.
    pub(super) fn on_sent(&mut self, now: Instant, rtt: &Rtt, asks: bool, what: Outstanding) {
        self.asked = asks;
        if asks {
            self.asked_at = Some(now);
        }
        self.silent_since.get_or_insert(now);
        // Each new chunk restarts the wait for the probe, but not that for the timeout.
        if self.at.is_none_or(|(_, due)| due == Due::Probe) {
            self.start(now, rtt, what);
        }
    }

    /// The peer has acknowledged new data; `cumulative` is its cumulative TSN. `what` describes the chunks that are still
    /// outstanding, or is `None` if there are none.
    pub(super) fn on_progress(
        &mut self,
        now: Instant,
        rtt: &Rtt,
        cumulative: u32,
        what: Option<Outstanding>,
    ) {
        self.backoff = 0;
        // There is no other probe before this one is acknowledged: a tail that was lost as a whole would arrive one
        // probe at a time.
        self.probed.take_if(|end| !before(cumulative, *end));
        self.silent_since = what.map(|_| now);
        self.at = None;
        if let Some(what) = what {
            self.start(now, rtt, what);
        }
    }

    fn start(&mut self, now: Instant, rtt: &Rtt, what: Outstanding) {
        let Outstanding { is_lone, may_probe } = what;
        self.ack_delay = if is_lone && !self.asked { ACK_DELAY } else { Duration::ZERO };
        self.in_force = self.timeout(now, rtt);
        let timeout = now + self.in_force;
        let may_probe = may_probe && self.probed.is_none() && self.backoff == 0;
        let probe = self.probe_after(rtt).filter(|_| may_probe);
        self.at = Some(match probe {
            Some(after) => ((now + after).min(timeout), Due::Probe),
            None => (timeout, Due::Timeout),
        });
    }

    /// The time until the probe (PTO, RFC 8985 §7.2). On a short path it does not wait for all of a delayed
    /// acknowledgement: a stream that goes on sends its next packet within the interval and asks, so one that does not
    /// has come to a pause. One needless probe then is cheaper than a lost message that is found late.
    fn probe_after(&self, rtt: &Rtt) -> Option<Duration> {
        let ack_delay = if is_short(rtt) { ASK_INTERVAL } else { ACK_DELAY }.min(self.ack_delay);
        Some((2 * rtt.smoothed()?).max(MIN_PROBE) + ack_delay)
    }

    /// The time until the timeout (RTO), backed off (RFC 9260 §6.3.3).
    fn timeout(&self, now: Instant, rtt: &Rtt) -> Duration {
        let base = (rtt.timeout() + self.ack_delay).min(CEILING);
        let silence =
            self.silent_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let ceiling = (silence / 8).clamp(SHORT_CEILING, CEILING).max(base);
        base.saturating_mul(1 << self.backoff.min(16)).min(ceiling)
    }

    /// The RTO: of the running timer, with its back-off, or else of a packet that leaves now.
    pub(super) fn in_force(&self, rtt: &Rtt) -> Duration {
        self.at.map_or_else(|| rtt.timeout(), |_| self.in_force)
    }

    /// What is due at `now`. The timer goes on towards the timeout.
    pub(super) fn expire(&mut self, now: Instant, rtt: &Rtt, highest_sent: u32) -> Option<Due> {
        let (_, due) = self.at.filter(|(at, _)| *at <= now)?;
        match due {
            Due::Probe => self.probed = Some(highest_sent),
            Due::Timeout => self.backoff = self.backoff.saturating_add(1),
        }
        self.in_force = self.timeout(now, rtt);
        self.at = Some((now + self.in_force, Due::Timeout));
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, SEGMENT, ms, timed, tsns};

    #[test]
    fn a_tail_of_which_all_was_lost_does_not_arrive_probe_by_probe() {
        let mut bench = Bench::new(ms(500));
        bench.write_and_send(40, 100);
        let mut probes = 0;
        // The path has become much faster, so RACK mistakes the acknowledgement of a probe for that of the original.
        for _ in 0..500 {
            let sent = bench.pass(ms(20));
            let arrived = tsns(sent.iter().map(|(_, packet)| packet));
            match arrived[..] {
                [] => continue,
                [tsn] => {
                    probes += 1;
                    bench.sack(0, &[(tsn, tsn)], &[]);
                }
                _ => break,
            }
        }
        assert!(probes <= 2, "{probes} probes");
    }

    #[test]
    fn a_probe_comes_after_two_round_trips_and_then_timeouts_that_are_backed_off() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(1, 100);
        let sent = bench.pass(ms(10_000));
        assert!(sent.iter().all(|(_, packet)| packet.tsns == [1] && packet.asks));
        let times: Vec<u64> = timed(&sent).into_iter().map(|(at, _)| at).collect();
        // PTO 100 ms, RTO 150 ms; the back-off ends at 800 ms, until the silence is long.
        assert_eq!(times[..6], [100, 250, 550, 1150, 1950, 2750]);
        let pauses: Vec<u64> = times.windows(2).map(|it| it[1] - it[0]).collect();
        assert!(pauses.is_sorted() && *pauses.last().unwrap() > 1000, "{pauses:?}");
    }

    #[test]
    fn the_timeout_grows_to_five_seconds_in_a_long_silence_and_no_further() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(1, 100);
        let times: Vec<u64> = timed(&bench.pass(ms(300_000))).into_iter().map(|it| it.0).collect();
        let last = times.windows(2).last().unwrap();
        assert_eq!(last[1] - last[0], 5000);
    }

    #[test]
    fn the_timeout_that_is_shown_is_the_one_that_runs() {
        let mut bench = Bench::new(ms(50));
        let shown = |bench: &Bench| bench.control.stats().retransmission_timeout;
        assert_eq!(shown(&bench), ms(150), "nothing is in flight");
        bench.write_and_send(1, 100);
        // The probe, then timeouts up to the silence of a minute.
        bench.pass(ms(100));
        for _ in 0..30 {
            let sent_at = bench.now;
            let running = shown(&bench);
            let at = bench.control.poll_timeout().expect("a timeout");
            assert_eq!(at - sent_at, running);
            bench.pass(running);
        }
        bench.sack(1, &[], &[]);
        // A lone packet that does not ask for an acknowledgement at once: the peer may delay it.
        let mut bench = Bench::new(ms(1));
        bench.write_and_send(1, 100);
        bench.now += ms(1);
        bench.sack(1, &[], &[]);
        bench.write_and_send(1, 100);
        assert_eq!(shown(&bench), ms(300));
    }

    #[test]
    fn a_stream_on_a_short_path_is_not_probed_for_while_it_goes_on() {
        for interval in [5, 16, 25, 39, 40, 60, 100] {
            let mut bench = Bench::new(ms(1));
            let (mut asked, mut unacknowledged) = (0, 0);
            for tsn in 1..=200 {
                let sent = bench.write_and_send(1, 100);
                asked += usize::from(sent[0].asks);
                unacknowledged += 1;
                bench.now += ms(1);
                // The peer acknowledges every second packet, and those that ask for it.
                if sent[0].asks || unacknowledged == 2 {
                    unacknowledged = 0;
                    bench.sack(tsn, &[], &[]);
                }
                let sent = bench.pass(ms(interval - 1));
                assert!(sent.is_empty(), "{interval} ms, {tsn}: {sent:?}");
            }
            let every = 40_usize.div_ceil(interval as usize);
            assert_eq!(asked, 200_usize.div_ceil(every), "{interval} ms");
        }
    }

    #[test]
    fn an_acknowledgement_that_was_not_asked_for_may_be_delayed() {
        // On a short path, a packet does not ask if another just did.
        let near = || {
            let mut bench = Bench::new(ms(1));
            bench.write_and_send(1, 100);
            bench.now += ms(1);
            bench.sack(1, &[], &[]);
            bench
        };
        let mut bench = near();
        bench.write_and_send(1, 100);
        assert_eq!(timed(&bench.pass(ms(300)))[0], (50, vec![2]));
        // The peer acknowledges every second packet at once.
        let mut bench = near();
        bench.write_and_send(2, SEGMENT);
        assert_eq!(timed(&bench.pass(ms(300)))[0], (10, vec![3]));
    }

    #[test]
    fn new_chunks_restart_the_wait_for_the_probe_and_not_that_for_the_timeout() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(1, SEGMENT);
        assert!(bench.pass(ms(60)).is_empty());
        bench.write_and_send(1, SEGMENT);
        assert_eq!(timed(&bench.pass(ms(110)))[0], (100, vec![2]));
        // The probe left 10 ms ago.
        for _ in 0..3 {
            bench.write_and_send(1, SEGMENT);
            assert!(bench.pass(ms(45)).is_empty());
        }
        assert_eq!(timed(&bench.pass(ms(10)))[0], (5, vec![1]));
    }

    #[test]
    fn on_a_steady_path_an_acknowledgement_that_is_a_little_late_is_not_lost() {
        for round_trip in [100, 200, 600] {
            let mut bench = Bench::new(ms(round_trip));
            for tsn in 1..100 {
                bench.write_and_send(1, SEGMENT);
                let sent = bench.pass(ms(round_trip));
                assert!(sent.is_empty(), "{round_trip} ms, {tsn}: {sent:?}");
                bench.sack(tsn, &[], &[]);
            }
            bench.write_and_send(1, SEGMENT);
            assert!(bench.pass(ms(round_trip + 9)).is_empty(), "{round_trip} ms");
        }
    }

    #[test]
    fn a_probe_sends_something_new_if_there_is_something() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(20, SEGMENT);
        let sent = bench.pass(ms(1000));
        // The window lets ten leave.
        let (_, probe) = sent.iter().find(|(at, _)| *at >= ms(100)).expect("a probe");
        assert!(probe.tsns[0] > 10 && probe.asks, "{probe:?}");
    }

    #[test]
    fn no_probe_takes_the_place_of_the_timeout_in_a_recovery() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(5, SEGMENT);
        bench.now += ms(50);
        assert_eq!(tsns(&bench.sack(0, &[(2, 5)], &[])), [1]);
        let sent = bench.pass(ms(1000));
        assert_eq!((sent[0].0, &sent[0].1.tsns[..]), (ms(125), &[1][..]), "{sent:?}");
        assert_eq!(bench.control.stats().retransmitted.probe.chunks, 0);
    }

    #[test]
    fn on_a_short_path_one_packet_in_forty_milliseconds_asks() {
        for (pause, asks, probe) in [(40, true, ms(10)), (39, false, ms(50))] {
            let mut bench = Bench::new(ms(1));
            assert!(bench.write_and_send(1, 100)[0].asks);
            bench.now += ms(1);
            bench.sack(1, &[], &[]);
            bench.now += ms(pause - 1);
            assert_eq!(bench.write_and_send(1, 100)[0].asks, asks);
            let sent = bench.pass(ms(400));
            let (after, packet) = &sent[0];
            assert!((probe..probe + ms(5)).contains(after), "{after:?}");
            assert!(packet.asks && packet.tsns.contains(&2), "{packet:?}");
        }
    }
}
