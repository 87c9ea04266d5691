//! CUBIC (RFC 9438): after a loss the window returns to where the loss was, stays close to it for a while, and then
//! grows further.

use std::time::{Duration, Instant};

use super::loss_based::{Growth, Law};

/// How fast the window grows, in segments per second³ (RFC 9438 §5).
const C: f64 = 0.4;

/// The factor by which a loss lowers the window (β, RFC 9438 §4.6).
const BETA: f64 = 0.7;

/// By how many segments per round trip the estimate for Reno grows. RFC 9438 §4.3 uses 0.53 until the window is back
/// where the loss was. With 1 throughout, a short lossy path carries a third more.
const ALPHA: f64 = 1.0;

/// Windows are in bytes, times in seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Cubic {
    /// The window to return to (W_max): that at the last loss, or less if the window had not returned to the plateau
    /// before.
    plateau: f64,
    epoch: Option<Epoch>,
    /// The time up to which [`Epoch::elapsed`] has been counted.
    counted_to: Option<Instant>,
}

/// The time since congestion avoidance began.
#[derive(Debug, Clone)]
struct Epoch {
    elapsed: Duration,
    plateau: f64,
    /// How long the window takes to return to the plateau (K).
    k: f64,
    /// The window that Reno would have by now (W_est).
    reno: f64,
}

impl Epoch {
    /// RFC 9438 §4.2. Without a plateau above the window, as after the first slow start or a timeout,
    /// the window grows from where it is (§4.8, §4.10).
    fn new(plateau: f64, growth: &Growth) -> Self {
        let plateau = plateau.max(growth.window);
        let k = ((plateau - growth.window) / growth.segment / C).cbrt();
        Self { elapsed: Duration::ZERO, plateau, k, reno: growth.window }
    }

    /// The window after `elapsed`, by CUBIC's curve (W_cubic(t)).
    fn window_after(&self, elapsed: Duration, segment: f64) -> f64 {
        C * (elapsed.as_secs_f64() - self.k).powi(3) * segment + self.plateau
    }
}

impl Law for Cubic {
    const DECREASE: f64 = BETA;
    const LEAST: f64 = 2.0;

    /// Sets the plateau to the window (RFC 9438 §4.6), or lower if the last plateau was not reached: the flow makes
    /// room for others (§4.7).
    fn on_congestion(&mut self, window: f64) {
        self.plateau = if window < self.plateau { window * (1.0 + BETA) / 2.0 } else { window };
        self.epoch = None;
    }

    /// Forgets the plateau: after slow start the window grows from where it is (RFC 9438 §4.8).
    fn on_timeout(&mut self) {
        self.plateau = 0.0;
    }

    /// Time in which the window was not used does not count (RFC 9438 §5.8).
    fn pause(&mut self, now: Instant) {
        self.counted_to = Some(now);
    }

    fn grow(&mut self, growth: &Growth) -> f64 {
        let &Growth { now, window, segment, bytes, smoothed } = growth;
        let since = self.counted_to.replace(now).unwrap_or(now);
        let epoch = self.epoch.get_or_insert_with(|| Epoch::new(self.plateau, growth));
        epoch.elapsed = epoch.elapsed.saturating_add(now.saturating_duration_since(since));
        let acknowledged = (bytes / window).min(1.0);

        epoch.reno += ALPHA * segment * acknowledged;
        if epoch.window_after(epoch.elapsed, segment) < epoch.reno {
            return window.max(epoch.reno);
        }
        let target = epoch
            .window_after(epoch.elapsed.saturating_add(smoothed), segment)
            .clamp(window, window * 1.5);
        window + (target - window) * acknowledged
    }
}
