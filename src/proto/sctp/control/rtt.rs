//! The round-trip time of a path, and the retransmission timeout that follows from it (RFC 9260 §6.3,
//! RFC 6298).

use std::time::{Duration, Instant};

/// The retransmission timeout before the first round trip is known (RFC 9260 §16, RTO.Initial).
const INITIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The least retransmission timeout. RFC 9260 §16 recommends a second, for clocks that are coarse and
/// peers that delay acknowledgements. Tail loss probes ask for theirs at once, so it may be as short as
/// in other protocols of today.
const MIN_TIMEOUT: Duration = Duration::from_millis(100);

/// By how much the retransmission timeout exceeds SRTT at least (RFC 6298 §2.3, G), as an acknowledgement may be a
/// little late even on a steady path. QUIC allows peers 25 ms for it (max_ack_delay, RFC 9000 §18.2).
const MIN_MARGIN: Duration = Duration::from_millis(25);

/// How long the smallest round trip counts, as in Linux (tcp_min_rtt_wlen): routes change.
const MIN_WINDOW: Duration = Duration::from_secs(300);

/// The estimate for one path.
#[derive(Debug, Clone)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    variance: Duration,
    min: Option<WindowedMin>,
    ceiling: Duration,
    /// Whether there has been a sample since [`Self::take_fresh`].
    is_fresh: bool,
}

/// The smallest sample of at least the last half of [`MIN_WINDOW`], and at most all of it.
#[derive(Debug, Clone, Copy)]
struct WindowedMin {
    began: Instant,
    current: Duration,
    previous: Option<Duration>,
}

impl WindowedMin {
    const HALF: Duration = MIN_WINDOW.checked_div(2).unwrap();

    fn new(now: Instant, sample: Duration) -> Self {
        Self { began: now, current: sample, previous: None }
    }

    fn with(self, now: Instant, sample: Duration) -> Self {
        let age = now.saturating_duration_since(self.began);
        if age < Self::HALF {
            Self { current: self.current.min(sample), ..self }
        } else {
            let previous = (age < MIN_WINDOW).then_some(self.current);
            Self { previous, ..Self::new(now, sample) }
        }
    }

    fn value(&self) -> Duration {
        self.previous.map_or(self.current, |it| it.min(self.current))
    }
}

impl Rtt {
    /// `ceiling`: the most that [`Self::timeout`] returns.
    pub(super) fn new(ceiling: Duration) -> Self {
        Self { smoothed: None, variance: Duration::ZERO, min: None, ceiling, is_fresh: false }
    }

    /// Takes the round trip of a chunk that was sent once (RFC 6298 §3). One longer than the ceiling shows that this
    /// computer was suspended, and would slow the pacer down for a long time.
    pub(super) fn on_sample(&mut self, now: Instant, sample: Duration) {
        let sample = sample.min(self.ceiling);
        self.is_fresh = true;
        self.min = Some(match self.min {
            None => WindowedMin::new(now, sample),
            Some(min) => min.with(now, sample),
        });
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variance = sample / 2;
            }
            Some(smoothed) => {
                self.variance = self.variance - self.variance / 4 + smoothed.abs_diff(sample) / 4;
                self.smoothed = Some(smoothed - smoothed / 8 + sample / 8);
            }
        }
    }

    /// SRTT, once there is a sample.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// SRTT, if there has been a sample since the last call.
    pub(super) fn take_fresh(&mut self) -> Option<Duration> {
        std::mem::take(&mut self.is_fresh).then_some(self.smoothed?)
    }

    /// The smallest sample of the last five minutes.
    pub(super) fn min(&self) -> Option<Duration> {
        self.min.map(|it| it.value())
    }

    /// RTO, before it is backed off.
    pub(super) fn timeout(&self) -> Duration {
        let timeout = match self.smoothed {
            None => INITIAL_TIMEOUT,
            Some(smoothed) => {
                smoothed.saturating_add(self.variance.saturating_mul(4).max(MIN_MARGIN))
            }
        };
        timeout.max(MIN_TIMEOUT).min(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::testing::start;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_timeout_follows_the_formula_between_its_least_and_its_ceiling() {
        let mut rtt = Rtt::new(ms(1500));
        assert_eq!(rtt.timeout(), ms(1000));
        rtt.on_sample(start(), ms(200));
        assert_eq!((rtt.smoothed(), rtt.variance), (Some(ms(200)), ms(100)));
        assert_eq!(rtt.timeout(), ms(600));
        rtt.on_sample(start(), ms(280));
        assert_eq!((rtt.smoothed(), rtt.variance), (Some(ms(210)), ms(95)));
        assert_eq!(rtt.timeout(), ms(590));
        rtt.on_sample(start(), ms(9000));
        assert_eq!(rtt.timeout(), ms(1500));
        for _ in 0..200 {
            rtt.on_sample(start(), ms(1));
        }
        assert_eq!(rtt.timeout(), ms(100));
    }

    #[test]
    fn a_computer_that_was_asleep_has_measured_no_path() {
        let mut rtt = Rtt::new(ms(5000));
        rtt.on_sample(start(), ms(50));
        rtt.on_sample(start(), ms(3_600_000));
        assert!(rtt.smoothed() < Some(ms(700)), "{:?}", rtt.smoothed());
    }

    #[test]
    fn the_smallest_round_trip_is_forgotten_after_five_minutes() {
        let mut rtt = Rtt::new(ms(5000));
        let mut now = start();
        rtt.on_sample(now, ms(10));
        for _ in 0..28 {
            now += ms(10_000);
            rtt.on_sample(now, ms(50));
            assert_eq!(rtt.min(), Some(ms(10)));
        }
        for _ in 0..4 {
            now += ms(10_000);
            rtt.on_sample(now, ms(50));
        }
        assert_eq!(rtt.min(), Some(ms(50)));
    }
}
