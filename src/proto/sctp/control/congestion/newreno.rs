//! NewReno: half of the window after a loss, a segment more per round trip (RFC 9260 §7.2, RFC 5681 §3).

use std::time::Instant;

use super::loss_based::{Growth, Law};

#[derive(Debug, Clone, Default)]
pub(super) struct NewReno;

impl Law for NewReno {
    /// A loss halves the window (RFC 9260 §7.2.3).
    const DECREASE: f64 = 0.5;
    const LEAST: f64 = 4.0;

    fn on_congestion(&mut self, _window: f64) {}

    fn on_timeout(&mut self) {}

    fn pause(&mut self, _now: Instant) {}

    /// RFC 9260 §7.2.2: a segment per window that is acknowledged.
    fn grow(&mut self, growth: &Growth) -> f64 {
        growth.window + growth.segment * (growth.bytes / growth.window).min(1.0)
    }
}
