//! What NewReno and CUBIC have in common: slow start, the response to a loss, and its undoing. They
//! differ in the [`Law`] by which the window grows afterwards.

use std::time::{Duration, Instant};

use super::super::rtt::Rtt;
use super::controller::{Ack, Controller, Loss, Sent, initial_window, rate_of};
use super::hystart::HyStart;
use super::validation::Validation;

/// How much faster than a window per round trip packets leave (RFC 9002 §7.7), in slow start and after
/// it: a pacer at exactly that rate could never fill the window.
const SLOW_START_GAIN: f64 = 2.0;
const AVOIDANCE_GAIN: f64 = 1.25;

/// How the window grows in congestion avoidance, and by how much it shrinks. Windows are in bytes.
pub(super) trait Law: std::fmt::Debug + Clone + Default + Send {
    /// What a loss leaves of the window, and the least it leaves, in segments.
    const DECREASE: f64;
    const LEAST: f64;

    /// A loss lowers the window from `window`.
    fn on_congestion(&mut self, window: f64);

    /// The RTO has fired.
    fn on_timeout(&mut self);

    /// The time since the last call did not count, because the window was not used.
    fn pause(&mut self, now: Instant);

    /// The new window.
    fn grow(&mut self, growth: &Growth) -> f64;
}

/// An acknowledgement in congestion avoidance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub(super) now: Instant,
    pub(super) window: f64,
    pub(super) segment: f64,
    /// What is acknowledged.
    pub(super) bytes: f64,
    pub(super) smoothed: Duration,
}

/// A controller that takes loss for the sign of congestion.
#[derive(Debug)]
pub(super) struct LossBased<L> {
    segment: f64,
    state: State<L>,
    /// The state before the last loss or timeout.
    before: Option<State<L>>,
    /// Whether nothing has been acknowledged since the last timeout.
    timed_out: bool,
    /// Whether what a timeout took for lost is sent again, in slow start.
    resending: bool,
}

#[derive(Debug, Clone)]
struct State<L> {
    window: f64,
    threshold: Option<f64>,
    hystart: HyStart,
    validation: Validation,
    law: L,
}

impl<L: Law> LossBased<L> {
    pub(super) fn new(segment: usize) -> Self {
        let state = State {
            window: initial_window(segment) as f64,
            threshold: None,
            hystart: HyStart::default(),
            validation: Validation::default(),
            law: L::default(),
        };
        Self {
            segment: segment.max(1) as f64,
            state,
            before: None,
            timed_out: false,
            resending: false,
        }
    }

    /// Lowers the window after five minutes of little use (RFC 7661 §4.4.3).
    fn lower_unused(&mut self, now: Instant) {
        let least = initial_window(self.segment as usize) as f64;
        let state = &mut self.state;
        while state.validation.take_expired(now) && state.window > least {
            state.threshold = state.threshold.map(|it| it.max(state.window * 0.75));
            state.window = (state.window / 2.0).max(least);
        }
    }

    fn decrease(&mut self, in_flight: usize) -> f64 {
        let state = &mut self.state;
        let used = state.validation.used(state.window, in_flight);
        state.law.on_congestion(used);
        (used * L::DECREASE).max(L::LEAST * self.segment)
    }
}

impl<L: Law> State<L> {
    fn in_slow_start(&self) -> bool {
        self.threshold.is_none_or(|it| self.window < it)
    }
}

impl<L: Law> Controller for LossBased<L> {
    fn on_sent(&mut self, sent: &Sent) {
        if sent.in_flight == 0 {
            self.state.law.pause(sent.now);
            self.state.validation.on_restart(sent.now);
            self.lower_unused(sent.now);
        }
    }

    fn on_ack(&mut self, ack: &Ack<'_>) {
        self.timed_out = false;
        self.state.validation.on_ack(ack, self.state.window);
        self.lower_unused(ack.now);
        let state = &mut self.state;
        // RFC 7661 §4.3: a window that is not used does not grow.
        let is_used = ack.window_limited && 2.0 * ack.in_flight as f64 >= state.window;
        if !self.resending && (ack.in_recovery || !is_used) {
            state.hystart = HyStart::default();
            state.law.pause(ack.now);
            return;
        }
        match state.threshold {
            None => match state.hystart.on_ack(ack) {
                Some(growth) => state.window += growth,
                None => state.threshold = Some(state.window),
            },
            // RFC 9260 §7.2.1.
            Some(threshold) if state.window < threshold => {
                state.window = (state.window + ack.bytes as f64).min(threshold);
                state.law.pause(ack.now);
            }
            Some(_) => {
                state.window = state.law.grow(&Growth {
                    now: ack.now,
                    window: state.window,
                    segment: self.segment,
                    bytes: ack.bytes as f64,
                    smoothed: ack.rtt.smoothed().unwrap_or_default(),
                });
            }
        }
    }

    fn on_loss(&mut self, loss: &Loss) {
        self.before = Some(self.state.clone());
        let threshold = self.decrease(loss.in_flight);
        self.state.threshold = Some(threshold);
        self.state.window = threshold;
        self.resending = false;
    }

    fn on_timeout(&mut self, _now: Instant, in_flight: usize) {
        if !self.timed_out {
            self.before = Some(self.state.clone());
            self.state.threshold = Some(self.decrease(in_flight));
            self.state.law.on_timeout();
        }
        self.timed_out = true;
        self.resending = true;
        self.state.window = self.segment;
    }

    fn on_recovery_over(&mut self, _now: Instant) {
        self.state.validation = Validation::default();
        self.resending = false;
    }

    fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            let window = self.state.window.max(before.window);
            self.state = State { window, ..before };
            self.timed_out = false;
            self.resending = false;
        }
    }

    fn window(&self) -> usize {
        self.state.window as usize
    }

    fn slow_start_threshold(&self) -> Option<usize> {
        self.state.threshold.map(|it| it as usize)
    }

    fn pacing_rate(&self, rtt: &Rtt) -> Option<u64> {
        let gain = if self.state.in_slow_start() { SLOW_START_GAIN } else { AVOIDANCE_GAIN };
        Some(rate_of(self.state.window * gain, rtt.smoothed()?))
    }
}
