//! Spreads packets over the round trip, so that the window does not leave as one burst (RFC 9002 §7.7).

use std::time::{Duration, Instant};

use super::rtt::Rtt;

/// How much may leave at once after a pause: the initial window.
const BURST_SEGMENTS: usize = 10;

/// Credit comes in portions of at least this time and this many segments, so that timers are few.
const QUANTUM: Duration = Duration::from_millis(1);
const QUANTUM_SEGMENTS: usize = 2;

/// Below this round trip nothing is delayed, as timers are coarser than that.
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(1);

/// The credit of one association, in payload bytes.
#[derive(Debug)]
pub(super) struct Pacer {
    segment: usize,
    /// Negative after a packet that was larger than the credit. Not an integer, because a slow path that is polled
    /// often earns less than a byte each time.
    credit: f64,
    refilled_at: Option<Instant>,
}

impl Pacer {
    /// `segment`: the payload bytes of a full packet.
    pub(super) fn new(segment: usize) -> Self {
        let segment = segment.max(1);
        Self { segment, credit: (segment * BURST_SEGMENTS) as f64, refilled_at: None }
    }

    /// The time before which nothing may leave. `None`: the next packet may leave now. `rate`: bytes per
    /// second, `None` while it is not known.
    pub(super) fn wait(&mut self, now: Instant, rate: Option<u64>, rtt: &Rtt) -> Option<Instant> {
        let rate = rate.filter(|_| rtt.smoothed().is_some_and(|it| it >= SHORTEST_ROUND_TRIP))?;
        let elapsed =
            self.refilled_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.refilled_at = Some(now);
        let rate = rate as f64;
        let quantum = (rate * QUANTUM.as_secs_f64()).max((self.segment * QUANTUM_SEGMENTS) as f64);
        let burst = self.burst().max(2.0 * quantum);
        self.credit = (self.credit + rate * elapsed.as_secs_f64()).min(burst);
        if self.credit > 0.0 {
            return None;
        }
        let delay = (quantum - self.credit) / rate.max(1.0);
        now.checked_add(Duration::from_secs_f64(delay.min(1.0)))
    }

    fn burst(&self) -> f64 {
        (self.segment * BURST_SEGMENTS) as f64
    }

    /// A packet leaves with `len` payload bytes.
    pub(super) fn on_sent(&mut self, len: usize) {
        self.credit = (self.credit - len as f64).max(-self.burst());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::testing::start;

    fn rtt(round_trip: Duration) -> Rtt {
        let mut rtt = Rtt::new(Duration::from_secs(5));
        rtt.on_sample(start(), round_trip);
        rtt
    }

    /// Sends for a second as fast as the pacer lets it. Returns the packets and the waits.
    fn send(rate: u64) -> (usize, usize) {
        let (mut pacer, rtt) = (Pacer::new(1000), rtt(Duration::from_millis(50)));
        let begin = start();
        let (mut now, mut packets, mut waits) = (begin, 0, 0);
        while now < begin + Duration::from_secs(1) {
            match pacer.wait(now, Some(rate), &rtt) {
                None => {
                    pacer.on_sent(1000);
                    packets += 1;
                }
                Some(at) => {
                    now = at;
                    waits += 1;
                }
            }
        }
        (packets, waits)
    }

    #[test]
    fn packets_leave_at_the_rate_in_portions_of_a_millisecond_or_two_segments() {
        for rate in [10_000, 1_000_000, 100_000_000] {
            let (packets, waits) = send(rate);
            let expected = rate as usize / 1000;
            let most = expected + expected / 20 + 13;
            assert!((expected - expected / 100..=most).contains(&packets), "{packets}");
            assert!(waits <= 1002 && waits <= packets / 2 + 1, "{waits} waits at {rate}");
        }
    }

    #[test]
    fn a_slow_path_that_is_asked_often_gets_its_rate() {
        let (mut pacer, rtt) = (Pacer::new(1000), rtt(Duration::from_millis(50)));
        let (begin, mut sent) = (start(), 0);
        // 5,000 bytes per second, asked every 100 µs: half a byte each time.
        for number in 0..100_000 {
            let now = begin + Duration::from_micros(100) * number;
            if pacer.wait(now, Some(5000), &rtt).is_none() {
                pacer.on_sent(1000);
                sent += 1;
            }
        }
        assert!((50..=61).contains(&sent), "{sent} packets in 10 s");
    }

    #[test]
    fn a_burst_after_a_pause_is_bounded() {
        let (mut pacer, rtt) = (Pacer::new(1000), rtt(Duration::from_millis(50)));
        let mut now = start();
        for _ in 0..3 {
            now += Duration::from_secs(60);
            let mut burst = 0;
            while pacer.wait(now, Some(100_000), &rtt).is_none() {
                pacer.on_sent(1000);
                burst += 1;
            }
            assert_eq!(burst, 10);
        }
    }

    #[test]
    fn nothing_waits_on_a_local_path_or_before_the_path_is_known() {
        let unknown = Rtt::new(Duration::from_secs(5));
        for rtt in [rtt(Duration::from_micros(300)), unknown] {
            let mut pacer = Pacer::new(1000);
            for _ in 0..1000 {
                assert_eq!(pacer.wait(start(), Some(1000), &rtt), None);
                pacer.on_sent(1000);
            }
        }
    }
}
