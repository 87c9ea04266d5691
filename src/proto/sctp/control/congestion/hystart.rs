//! Leaves the first slow start before the queue of the bottleneck overflows: HyStart++ (RFC 9406).
//!
//! ```text
//! fast ── the round trip grows ─► conservative ── five rounds ─► over
//!  ▲                                   │
//!  └── it was an outlier ──────────────┘
//! ```

use std::time::Duration;

use super::controller::Ack;

/// Slow start becomes conservative if the smallest round trip of a round exceeds that of the last round by the part
/// that the divisor names, within these bounds (RFC 9406 §4.3).
const MIN_RTT_DIVISOR: u32 = 8;
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);

/// How many round trips a round must have measured before they are compared.
const N_RTT_SAMPLE: u32 = 8;

/// How much slower the window grows in conservative slow start, and how many rounds that lasts.
const CSS_GROWTH_DIVISOR: f64 = 4.0;
const CSS_ROUNDS: u32 = 5;

/// The first slow start of an association.
#[derive(Debug, Clone, Default)]
pub(super) struct HyStart {
    last_round_min: Option<Duration>,
    round_min: Option<Duration>,
    samples: u32,
    conservative: Option<Conservative>,
}

#[derive(Debug, Clone, Copy)]
struct Conservative {
    /// The smallest round trip of the round that began it.
    baseline: Duration,
    rounds: u32,
}

impl HyStart {
    /// By how many bytes the window grows, or `None` if slow start is over.
    pub(super) fn on_ack(&mut self, ack: &Ack<'_>) -> Option<f64> {
        if let Some(sample) = ack.round_trip {
            self.round_min = Some(self.round_min.map_or(sample, |min| min.min(sample)));
            self.samples = self.samples.saturating_add(1);
            self.compare();
        }
        if ack.round_over {
            self.last_round_min = self.round_min.take().or(self.last_round_min);
            self.samples = 0;
            if let Some(conservative) = &mut self.conservative {
                conservative.rounds += 1;
                if conservative.rounds >= CSS_ROUNDS {
                    return None;
                }
            }
        }
        let divisor = if self.conservative.is_some() { CSS_GROWTH_DIVISOR } else { 1.0 };
        // Packets are paced, so one acknowledgement may widen the window by all that it covers.
        Some(ack.bytes as f64 / divisor)
    }

    fn compare(&mut self) {
        let (Some(last), Some(current)) = (self.last_round_min, self.round_min) else { return };
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        match self.conservative {
            None => {
                let threshold = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if current >= last.saturating_add(threshold) {
                    self.conservative = Some(Conservative { baseline: current, rounds: 0 });
                }
            }
            Some(Conservative { baseline, .. }) if current < baseline => self.conservative = None,
            Some(_) => {}
        }
    }
}
