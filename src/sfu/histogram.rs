//! Histograms of durations.

use std::time::Duration;

/// The bounds of round trips.
pub const ROUND_TRIPS: [u32; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000,
];

/// The bounds of delays in queues.
pub const DELAYS: [u32; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// The bounds of turns.
pub const TURNS: [u32; 13] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000];

/// Counts durations by length, in `N` buckets and one for longer ones.
#[derive(Debug, Clone)]
pub struct Histogram<const N: usize> {
    /// The longest duration of each bucket, in microseconds, in ascending order.
    bounds: &'static [u32; N],
    counts: [u64; N],
    longer: u64,
    sum: Duration,
}

impl<const N: usize> Histogram<N> {
    /// An empty histogram. `bounds`: the longest duration of each bucket, in microseconds, in ascending order.
    pub const fn new(bounds: &'static [u32; N]) -> Self {
        Self { bounds, counts: [0; N], longer: 0, sum: Duration::ZERO }
    }

    /// Counts a duration.
    pub fn observe(&mut self, duration: Duration) {
        // Rounded up, so that no bucket has a longer duration than its bound.
        let micros = duration.as_nanos().div_ceil(1000);
        let bucket = self.bounds.iter().position(|bound| micros <= u128::from(*bound));
        *bucket.and_then(|it| self.counts.get_mut(it)).unwrap_or(&mut self.longer) += 1;
        self.sum += duration;
    }

    /// Each bucket's bound in seconds, and how many durations are in the bucket: those that are in no earlier one.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let seconds = self.bounds.iter().map(|it| f64::from(*it) / 1e6);
        seconds.zip(self.counts)
    }

    /// How many durations exceed the bounds of all buckets.
    pub fn longer(&self) -> u64 {
        self.longer
    }

    /// The sum of all durations.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut histogram = Histogram::new(&[1000, 2500, 1_000_000]);
        for nanos in [0, 1_000_000, 1_000_001, 2_500_000, 999_999_999, 1_000_000_001] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets, [(0.001, 2), (0.0025, 2), (1.0, 1)]);
        assert_eq!(histogram.longer(), 1);
        assert_eq!(histogram.sum(), Duration::from_nanos(2_004_500_001));
    }
}
