//! Which messages have their delays measured: one in 64.

/// Of how many messages one counts.
const SAMPLE_EVERY: u32 = 64;

/// Counts messages until the next one that is measured.
#[derive(Debug)]
pub struct Sampler(u32);

impl Sampler {
    /// Whether this message counts.
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
    /// Begins anywhere, so that queues with few messages count as often as they should.
    fn default() -> Self {
        Self(rand::random_range(1..=SAMPLE_EVERY))
    }
}
