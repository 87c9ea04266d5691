//! Whether the window has been used, and so says something about the path (RFC 7661).
//!
//! A window that was not used is kept for five minutes, as pacing lets no burst out. But it does not
//! grow, and after a loss it shrinks from what was used.

use std::time::{Duration, Instant};

use super::controller::Ack;

/// How long a window that is not used is kept (NVP, RFC 7661 §4.4).
const NON_VALIDATED_PERIOD: Duration = Duration::from_secs(300);

/// For how long the largest sample of pipeACK counts, at least (RFC 7661 §4.2).
const SAMPLING_PERIOD: Duration = Duration::from_secs(1);

/// How many bytes were acknowledged per round trip, and since when that is less than the window allows.
#[derive(Debug, Clone, Default)]
pub(super) struct Validation {
    /// The bytes that were acknowledged in this round trip.
    round: f64,
    /// The largest sample of this period and of the last one.
    current: Option<f64>,
    previous: Option<f64>,
    period: Duration,
    period_began: Option<Instant>,
    last_ack: Option<Instant>,
    unused_since: Option<Instant>,
}

impl Validation {
    pub(super) fn on_ack(&mut self, ack: &Ack<'_>, window: f64) {
        self.last_ack = Some(ack.now);
        self.round += ack.bytes as f64;
        if ack.round_over {
            let smoothed = ack.rtt.smoothed().unwrap_or_default();
            self.period = SAMPLING_PERIOD.max(smoothed.saturating_mul(3));
            self.expire(ack.now);
            self.current = Some(self.current.unwrap_or_default().max(self.round));
            self.round = 0.0;
        }
        if self.is_valid(window) {
            self.unused_since = None;
        } else {
            self.unused_since.get_or_insert(ack.now);
        }
    }

    /// A packet leaves after a pause.
    pub(super) fn on_restart(&mut self, now: Instant) {
        if self.pipe_ack().is_some() {
            self.expire(now);
            self.current.get_or_insert(0.0);
            self.round = 0.0;
            self.unused_since = self.unused_since.or(self.last_ack);
        }
    }

    /// Whether the window is to be lowered, once for each period in which it was not used.
    pub(super) fn take_expired(&mut self, now: Instant) -> bool {
        let Some(since) = self.unused_since else { return false };
        let is_over = now.saturating_duration_since(since) >= NON_VALIDATED_PERIOD;
        if is_over {
            self.unused_since = since.checked_add(NON_VALIDATED_PERIOD);
        }
        is_over
    }

    /// The window from which a loss lowers it (RFC 7661 §4.4.1).
    pub(super) fn used(&self, window: f64, in_flight: usize) -> f64 {
        if self.is_valid(window) {
            window
        } else {
            window.min(self.pipe_ack().unwrap_or_default().max(in_flight as f64))
        }
    }

    /// Whether at least half of the window was used, or nothing is known yet (RFC 7661 §4.3).
    fn is_valid(&self, window: f64) -> bool {
        self.pipe_ack().is_none_or(|used| used >= window / 2.0)
    }

    fn pipe_ack(&self) -> Option<f64> {
        match (self.current, self.previous) {
            (Some(current), Some(previous)) => Some(current.max(previous)),
            (current, previous) => current.or(previous),
        }
    }

    /// Forgets samples that are too old.
    fn expire(&mut self, now: Instant) {
        let began = *self.period_began.get_or_insert(now);
        let age = now.saturating_duration_since(began);
        if age >= self.period {
            let current = self.current.take();
            self.previous = current.filter(|_| age < self.period.saturating_mul(2));
            self.period_began = Some(now);
        }
    }
}
