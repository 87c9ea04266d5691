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
    /// The part of the packets that have to do with the jitter.
    pub(crate) jittery: f64,
    /// Bytes per second in either direction; what is more waits, without a bound.
    pub(crate) rate: Option<u32>,
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Larger packets vanish, as with Don't Fragment.
    pub(crate) mtu: usize,
}

impl Conditions {
    pub(crate) const PERFECT: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        jittery: 1.0,
        rate: None,
        loss: 0.0,
        duplication: 0.0,
        mtu: usize::MAX,
    };

    pub(crate) const ROUGH: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(15),
        jittery: 1.0,
        rate: None,
        loss: 0.05,
        duplication: 0.05,
        mtu: usize::MAX,
    };

    /// When a packet of `len` bytes that leaves now arrives: never, once, or twice. `free_at` is when
    /// its direction has done with the packets before it.
    pub(crate) fn carry(
        &self,
        random: &mut Random,
        free_at: &mut Instant,
        now: Instant,
        len: usize,
    ) -> impl Iterator<Item = Instant> + use<> {
        let lost = len > self.mtu || random.chance(self.loss);
        let copies = if lost { 0 } else { 1 + usize::from(random.chance(self.duplication)) };
        let mut arrivals = [now; 2];
        for arrival in &mut arrivals[..copies] {
            *free_at = now.max(*free_at);
            if let Some(rate) = self.rate {
                *free_at += Duration::from_secs_f64(len as f64 / f64::from(rate));
            }
            let late = self.jittery >= 1.0 || random.chance(self.jittery);
            let jitter = if late { self.jitter.as_micros() as u64 } else { 0 };
            let jitter = Duration::from_micros(random.below(jitter + 1));
            *arrival = *free_at + self.delay + jitter;
        }
        arrivals.into_iter().take(copies)
    }
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
