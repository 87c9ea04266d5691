//! Which messages have their delays measured: one in 64.

/// One message in this many is measured.
const SAMPLE_EVERY: u32 = 64;

/// Counts messages until the next one that is measured.
#[derive(Debug)]
pub struct Sampler(u32);

impl Sampler {
    /// Whether this message is measured.
    #[inline]
    pub fn hits(&mut self) -> bool {
        self.0 -= 1;
        let hit = self.0 == 0;
        if hit {
            self.0 = SAMPLE_EVERY;
        }
        hit
    }
}

impl Default for Sampler {
    /// Begins at a random number, so that short-lived queues are measured as often as others.
    fn default() -> Self {
        Self(rand::random_range(1..=SAMPLE_EVERY))
    }
}
