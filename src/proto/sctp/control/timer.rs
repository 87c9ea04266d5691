//! When something has to be sent although no acknowledgement asks for it: the tail loss probe
//! (RFC 8985 §7) and the retransmission timeout (RFC 9260 §6.3).

use std::time::{Duration, Instant};

use super::super::wire::before;
use super::rtt::Rtt;

/// The least time before a probe.
const MIN_PROBE: Duration = Duration::from_millis(10);

/// How long a peer may delay an acknowledgement that was not asked for at once (RFC 9260 §6.2).
const ACK_DELAY: Duration = Duration::from_millis(200);

/// Back-off ends here at first: a path that comes back after a short outage carries again within a
/// second.
const SHORT_CEILING: Duration = Duration::from_millis(800);

/// Back-off ends here during long outages, in which the timeout grows with the silence.
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
    /// When the peer last acknowledged something, or the first chunk since was sent.
    silent_since: Option<Instant>,
    /// The highest TSN that was sent before the last probe, until the peer acknowledges it (TLP.end_seq, RFC 8985 §7.3).
    probed: Option<u32>,
    /// Whether the last packet that left asked for an acknowledgement at once.
    asked: bool,
    /// How long the peer may delay the next acknowledgement.
    ack_delay: Duration,
}

impl Timer {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at.map(|(at, _)| at)
    }

    /// A packet leaves. `asks`: for an acknowledgement at once.
    pub(super) fn on_sent(&mut self, now: Instant, rtt: &Rtt, asks: bool, what: Outstanding) {
        self.asked = asks;
        self.silent_since.get_or_insert(now);
        // Each new chunk restarts the wait for the probe, but not that for the timeout.
        if self.at.is_none_or(|(_, due)| due == Due::Probe) {
            self.start(now, rtt, what);
        }
    }

    /// The peer has acknowledged something, and everything up to `cumulative`. `what` is left, if anything is.
    pub(super) fn on_progress(
        &mut self,
        now: Instant,
        rtt: &Rtt,
        cumulative: u32,
        what: Option<Outstanding>,
    ) {
        self.backoff = 0;
        // Otherwise a tail of which all was lost would arrive probe by probe.
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
        let timeout = now + self.timeout(now, rtt);
        let may_probe = may_probe && self.probed.is_none() && self.backoff == 0;
        let probe = self.probe_after(rtt).filter(|_| may_probe);
        self.at = Some(match probe {
            Some(after) => ((now + after).min(timeout), Due::Probe),
            None => (timeout, Due::Timeout),
        });
    }

    /// PTO (RFC 8985 §7.2).
    fn probe_after(&self, rtt: &Rtt) -> Option<Duration> {
        Some((2 * rtt.smoothed()?).max(MIN_PROBE) + self.ack_delay)
    }

    /// RTO, backed off (RFC 9260 §6.3.3).
    fn timeout(&self, now: Instant, rtt: &Rtt) -> Duration {
        let base = rtt.timeout() + self.ack_delay;
        let silence =
            self.silent_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let ceiling = (silence / 8).clamp(SHORT_CEILING, CEILING).max(base);
        base.saturating_mul(1 << self.backoff.min(16)).min(ceiling)
    }

    /// RTO, with its back-off.
    pub(super) fn in_force(&self, rtt: &Rtt) -> Duration {
        rtt.timeout().saturating_mul(1 << self.backoff.min(16)).min(CEILING)
    }

    /// What is due at `now`. The timer runs on, towards the timeout.
    pub(super) fn expire(&mut self, now: Instant, rtt: &Rtt, highest_sent: u32) -> Option<Due> {
        let (_, due) = self.at.filter(|(at, _)| *at <= now)?;
        match due {
            Due::Probe => self.probed = Some(highest_sent),
            Due::Timeout => self.backoff = self.backoff.saturating_add(1),
        }
        self.at = Some((now + self.timeout(now, rtt), Due::Timeout));
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms, tsns};

    #[test]
    fn a_tail_of_which_all_was_lost_does_not_arrive_probe_by_probe() {
        let mut bench = Bench::new(ms(500));
        bench.write_and_send(40, 100);
        let mut probes = 0;
        // The path has become much faster, so RACK takes the acknowledgement of a probe for that of the original.
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
}
