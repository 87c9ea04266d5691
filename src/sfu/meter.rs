//! Counts bytes and estimates their rate.

use std::time::{Duration, Instant};

/// Counts bytes and estimates their rate over the last second. An idle meter costs nothing.
#[derive(Debug)]
pub(super) struct Meter {
    total: u64,
    /// The end of the current window.
    window_end: Instant,
    current: u64,
    previous: u64,
}

const WINDOW: Duration = Duration::from_secs(1);

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { total: 0, window_end: now + WINDOW, current: 0, previous: 0 }
    }

    pub(super) fn add(&mut self, now: Instant, bytes: usize) {
        self.advance(now);
        self.total += bytes as u64;
        self.current += bytes as u64;
    }

    /// All bytes since the start.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns bits per second: the bytes of the current window, and of the previous window the part that
    /// the last second still overlaps.
    pub(super) fn bitrate(&mut self, now: Instant) -> u64 {
        self.advance(now);
        let overlap = self.window_end.saturating_duration_since(now).as_secs_f64();
        ((self.current as f64 + self.previous as f64 * overlap) * 8.0) as u64
    }

    fn advance(&mut self, now: Instant) {
        if now < self.window_end {
            return;
        }
        let next_window = now < self.window_end + WINDOW;
        self.previous = if next_window { self.current } else { 0 };
        self.window_end = if next_window { self.window_end } else { now } + WINDOW;
        self.current = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn the_bitrate_is_that_of_the_last_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut meter = Meter::new(start);
        meter.add(at(0), 1000);
        assert_eq!(meter.bitrate(at(500)), 8000);
        assert_eq!(meter.bitrate(at(1500)), 4000);
        assert_eq!(meter.bitrate(at(2500)), 0);
        assert_eq!(meter.total(), 1000);
    }
}
