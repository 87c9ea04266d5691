//! What NewReno and CUBIC have in common: slow start, the response to a loss, and its undoing. They
//! differ in the [`Law`] by which the window grows afterwards.

use std::time::{Duration, Instant};

use super::super::rtt::Rtt;
use super::controller::{Ack, Controller, Loss, SentPacket, initial_window, rate_of};
use super::hystart::HyStart;
use super::validation::Validation;

/// Packets leave faster than a window per round trip by these factors (RFC 9002 §7.7), in slow start and after it: a
/// pacer at exactly that rate could never fill the window.
const SLOW_START_GAIN: f64 = 2.0;
const AVOIDANCE_GAIN: f64 = 1.25;

/// How the window grows in congestion avoidance, and by how much it shrinks. Windows are in bytes.
pub(super) trait Law: std::fmt::Debug + Clone + Default + Send {
    /// The factor by which a loss lowers the window, and the smallest window after it, in segments.
    const DECREASE: f64;
    const LEAST: f64;

    /// A loss lowers the window from `window`.
    fn on_congestion(&mut self, window: f64);

    /// The RTO has fired.
    fn on_timeout(&mut self);

    /// The time since the last call did not count, because the window was not used.
    fn pause(&mut self, now: Instant);

    /// Returns the new window.
    fn grow(&mut self, growth: &Growth) -> f64;
}

/// An acknowledgement in congestion avoidance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub(super) now: Instant,
    pub(super) window: f64,
    pub(super) segment: f64,
    /// The bytes that are acknowledged.
    pub(super) bytes: f64,
    pub(super) smoothed: Duration,
}

/// A controller that regards loss as the sign of congestion.
#[derive(Debug)]
pub(super) struct LossBased<L> {
    segment: f64,
    state: State<L>,
    /// The state before the last loss or timeout.
    before: Option<Box<State<L>>>,
    /// Whether nothing has been acknowledged since the last timeout.
    timed_out: bool,
    /// Whether chunks that a timeout marked lost are being sent again, in slow start.
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
    fn on_sent(&mut self, sent: &SentPacket) {
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
            // Slow start up to the threshold, as after a timeout (RFC 9260 §7.2.1).
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
        self.before = Some(Box::new(self.state.clone()));
        let threshold = self.decrease(loss.in_flight);
        self.state.threshold = Some(threshold);
        self.state.window = threshold;
        self.resending = false;
    }

    fn on_timeout(&mut self, _now: Instant, in_flight: usize) {
        if !self.timed_out {
            self.before = Some(Box::new(self.state.clone()));
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
            self.state = State { window, ..*before };
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

#[cfg(test)]
mod tests {
    use super::super::super::rate::RateSample;
    use super::super::cubic::Cubic;
    use super::super::newreno::NewReno;
    use super::*;
    use crate::proto::sctp::testing::start;

    const SEGMENT: usize = 1000;

    /// A sender with a full window, on a path of 100 ms.
    struct Sender<L> {
        controller: LossBased<L>,
        rtt: Rtt,
        now: Instant,
    }

    impl<L: Law> Sender<L> {
        fn new() -> Self {
            let mut rtt = Rtt::new(Duration::from_secs(5));
            rtt.on_sample(start(), Duration::from_millis(100));
            Self { controller: LossBased::new(SEGMENT), rtt, now: start() }
        }

        fn segments(&self) -> f64 {
            self.controller.state.window / SEGMENT as f64
        }

        /// A round in which the whole window is acknowledged, segment by segment.
        fn round(&mut self, round_trip: Duration) {
            let in_flight = self.controller.window();
            let count = in_flight / SEGMENT;
            for number in 1..=count {
                self.now += Duration::from_millis(100) / count as u32;
                let ack = self.ack(SEGMENT, in_flight, round_trip, number == count);
                self.controller.on_ack(&ack);
            }
        }

        fn ack(
            &self,
            bytes: usize,
            in_flight: usize,
            round_trip: Duration,
            round_over: bool,
        ) -> Ack<'static> {
            let rtt = Box::leak(Box::new(self.rtt.clone()));
            Ack {
                now: self.now,
                bytes,
                lost: 0,
                in_flight,
                rtt,
                round_trip: Some(round_trip),
                rate: None::<RateSample>,
                round_over,
                window_limited: true,
                in_recovery: false,
            }
        }

        fn lose(&mut self) {
            let in_flight = self.controller.window();
            self.controller.on_loss(&Loss { in_flight });
            self.controller.on_recovery_over(self.now);
        }
    }

    const RTT: Duration = Duration::from_millis(100);

    #[test]
    fn slow_start_doubles_the_window_each_round() {
        let mut sender = Sender::<NewReno>::new();
        for expected in [10.0, 20.0, 40.0, 80.0] {
            assert_eq!(sender.segments(), expected);
            sender.round(RTT);
        }
    }

    #[test]
    fn newreno_halves_the_window_and_adds_a_segment_per_round() {
        let mut sender = Sender::<NewReno>::new();
        sender.round(RTT);
        sender.round(RTT);
        sender.lose();
        assert_eq!(sender.segments(), 20.0);
        assert_eq!(sender.controller.slow_start_threshold(), Some(20 * SEGMENT));
        for _ in 0..5 {
            sender.round(RTT);
        }
        assert!((sender.segments() - 25.0).abs() < 0.5, "{}", sender.segments());
    }

    #[test]
    fn cubic_returns_to_the_plateau_in_the_time_of_its_formula() {
        let mut sender = Sender::<Cubic>::new();
        for _ in 0..5 {
            sender.round(RTT);
        }
        assert_eq!(sender.segments(), 320.0);
        sender.lose();
        assert!((sender.segments() - 224.0).abs() < 0.1);
        // K = ∛((320 − 224) / 0.4) = 6.2 s; the window is flat around that time, and grows again after it.
        let mut windows = Vec::new();
        for _ in 0..100 {
            sender.round(RTT);
            windows.push(sender.segments());
        }
        assert!((windows[30] - 306.0).abs() < 6.0, "{}", windows[30]);
        assert!((windows[61] - 320.0).abs() < 2.0, "{}", windows[61]);
        assert!((windows[99] - 342.0).abs() < 6.0, "{}", windows[99]);
    }

    #[test]
    fn cubic_does_not_grow_slower_than_reno_on_a_short_path() {
        let mut sender = Sender::<Cubic>::new();
        sender.lose();
        assert!((sender.segments() - 7.0).abs() < 0.1);
        for _ in 0..12 {
            sender.round(RTT);
        }
        assert!((sender.segments() - 18.5).abs() < 0.5, "{}", sender.segments());
    }

    #[test]
    fn cubic_makes_room_if_it_loses_before_it_is_back() {
        let mut sender = Sender::<Cubic>::new();
        for _ in 0..6 {
            sender.round(RTT);
        }
        sender.lose();
        sender.lose();
        // 640, then 448: the plateau is 448 × 0.85 = 381, after K = ∛((381 − 314) / 0.4) = 5.5 s.
        assert!((sender.segments() - 314.0).abs() < 1.0, "{}", sender.segments());
        let mut windows = Vec::new();
        for _ in 0..60 {
            sender.round(RTT);
            windows.push(sender.segments());
        }
        assert!((windows[20] - 365.0).abs() < 5.0, "{}", windows[20]);
        assert!((windows[54] - 381.0).abs() < 3.0, "{}", windows[54]);
    }

    #[test]
    fn slow_start_ends_some_rounds_after_the_round_trip_has_grown() {
        let mut sender = Sender::<Cubic>::new();
        sender.round(RTT);
        sender.round(RTT + Duration::from_millis(13));
        let conservative = sender.segments();
        sender.round(RTT + Duration::from_millis(13));
        assert!((sender.segments() / conservative - 1.25).abs() < 0.05);
        for _ in 0..5 {
            sender.round(RTT + Duration::from_millis(13));
        }
        let threshold = sender.controller.slow_start_threshold();
        assert!(threshold.is_some(), "slow start goes on");
    }

    #[test]
    fn slow_start_goes_on_if_the_round_trip_shrinks_again() {
        let mut sender = Sender::<Cubic>::new();
        sender.round(RTT);
        sender.round(RTT + Duration::from_millis(13));
        sender.round(RTT);
        let before = sender.segments();
        sender.round(RTT);
        assert_eq!(sender.segments(), 2.0 * before.floor() + before.fract());
    }

    #[test]
    fn undo_restores_what_was_before_the_loss_or_the_timeouts() {
        let mut sender = Sender::<Cubic>::new();
        sender.round(RTT);
        sender.lose();
        sender.controller.undo();
        assert_eq!(sender.segments(), 20.0);
        assert_eq!(sender.controller.slow_start_threshold(), None);

        for _ in 0..3 {
            let in_flight = sender.controller.window();
            sender.controller.on_timeout(sender.now, in_flight);
        }
        assert_eq!(sender.controller.window(), SEGMENT);
        assert_eq!(sender.controller.slow_start_threshold(), Some(14 * SEGMENT));
        sender.controller.undo();
        assert_eq!(sender.segments(), 20.0);
        sender.controller.undo();
        assert_eq!(sender.segments(), 20.0);
    }

    #[test]
    fn what_a_timeout_took_for_lost_is_sent_again_in_slow_start() {
        let mut sender = Sender::<NewReno>::new();
        sender.round(RTT);
        sender.controller.on_timeout(sender.now, 20 * SEGMENT);
        for _ in 0..3 {
            let window = sender.controller.window();
            let mut ack = sender.ack(window, window, RTT, true);
            (ack.in_recovery, ack.window_limited) = (true, false);
            sender.controller.on_ack(&ack);
        }
        assert_eq!(sender.segments(), 8.0);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow_and_shrinks_from_what_is_used() {
        let mut sender = Sender::<NewReno>::new();
        for _ in 0..4 {
            sender.round(RTT);
        }
        assert_eq!(sender.segments(), 160.0);
        for _ in 0..40 {
            sender.now += RTT;
            let mut ack = sender.ack(20 * SEGMENT, 20 * SEGMENT, RTT, true);
            ack.window_limited = false;
            sender.controller.on_ack(&ack);
        }
        assert_eq!(sender.segments(), 160.0);
        let loss = Loss { in_flight: 20 * SEGMENT };
        sender.controller.on_loss(&loss);
        assert_eq!(sender.segments(), 10.0);
    }

    #[test]
    fn a_window_that_is_not_used_is_halved_after_five_minutes() {
        let mut sender = Sender::<NewReno>::new();
        for _ in 0..4 {
            sender.round(RTT);
        }
        let mut after = |seconds| {
            sender.now += Duration::from_secs(seconds);
            sender.controller.on_sent(&SentPacket { now: sender.now, in_flight: 0 });
            sender.segments()
        };
        assert_eq!(after(290), 160.0);
        assert_eq!(after(20), 80.0);
        assert_eq!(after(36_000), 10.0);
    }
}
