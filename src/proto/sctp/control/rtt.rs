//! The round-trip time of a path, and the retransmission timeout that follows from it (RFC 9260 §6.3,
//! RFC 6298).

use std::time::{Duration, Instant};

/// The retransmission timeout before the first round trip is known (RFC 9260 §16, RTO.Initial).
const INITIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The least retransmission timeout. RFC 9260 §16 recommends a second, for clocks that are coarse and
/// peers that delay acknowledgements. Tail loss probes ask for theirs at once, so it may be as short as
/// in other protocols of today.
const MIN_TIMEOUT: Duration = Duration::from_millis(100);

/// How long the smallest round trip counts, as in Linux (tcp_min_rtt_wlen): routes change.
const MIN_WINDOW: Duration = Duration::from_secs(300);

/// The estimate for one path.
#[derive(Debug, Clone)]
pub(super) struct Rtt {
    latest: Duration,
    smoothed: Option<Duration>,
    variance: Duration,
    min: Option<WindowedMin>,
    ceiling: Duration,
}

/// The smallest sample of the last one to two halves of [`MIN_WINDOW`].
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
    /// `ceiling`: of [`Self::timeout`].
    pub(super) fn new(ceiling: Duration) -> Self {
        Self {
            latest: Duration::ZERO,
            smoothed: None,
            variance: Duration::ZERO,
            min: None,
            ceiling,
        }
    }

    /// Takes the round trip of a chunk that was sent once (RFC 6298 §3).
    pub(super) fn on_sample(&mut self, now: Instant, sample: Duration) {
        self.latest = sample;
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

    /// The last sample, if there was one.
    pub(super) fn latest(&self) -> Option<Duration> {
        self.smoothed.map(|_| self.latest)
    }

    /// SRTT, once there is a sample.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// RTTVAR; zero before the first sample.
    pub(super) fn variance(&self) -> Duration {
        self.variance
    }

    /// The smallest sample of the last five minutes.
    pub(super) fn min(&self) -> Option<Duration> {
        self.min.map(|it| it.value())
    }

    /// RTO, before it is backed off.
    pub(super) fn timeout(&self) -> Duration {
        let timeout = match self.smoothed {
            None => INITIAL_TIMEOUT,
            Some(smoothed) => smoothed.saturating_add(self.variance.saturating_mul(4)),
        };
        timeout.max(MIN_TIMEOUT).min(self.ceiling)
    }
}
