//! What a network in memory and in virtual time does to what crosses it.

use std::time::{Duration, Instant};

/// The real time, read once per test: virtual time starts here, because sctp-proto reads the clock
/// itself when it sends an INIT.
#[allow(clippy::disallowed_methods, reason = "the one place where the tests meet the clock")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// What the network does to packets. Probabilities per packet, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// The time that a packet takes.
    pub(crate) delay: Duration,
    /// Up to this much more, which also reorders.
    pub(crate) jitter: Duration,
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Larger packets vanish, as with Don't Fragment.
    pub(crate) mtu: usize,
}

impl Conditions {
    pub(crate) const PERFECT: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss: 0.0,
        duplication: 0.0,
        mtu: usize::MAX,
    };

    pub(crate) const ROUGH: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(15),
        loss: 0.05,
        duplication: 0.05,
        mtu: usize::MAX,
    };
}

/// A small generator of pseudo-random numbers (SplitMix64), so that a run can be repeated.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
