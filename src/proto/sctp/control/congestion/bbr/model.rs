//! What BBR knows about the path: its bandwidth, its round trip, and how much it holds without loss.

use std::time::{Duration, Instant};

use super::super::controller::Ack;

/// How long the smallest round trip is used, unless a smaller one is measured (MinRTTFilterLen).
const MIN_RTT_PERIOD: Duration = Duration::from_secs(10);

/// The least round trip to compute with. On a local path the threads of both ends take longer than the
/// path, and a window for the path alone would starve it.
const LEAST_RTT: Duration = Duration::from_millis(1);

/// Loss counts as congestion above this part of a round (LossThresh) and above so many segments, as a single loss in a
/// small flight says nothing.
const LOSS_CEILING: f64 = 0.02;
const LOSS_SEGMENTS: f64 = 3.0;

/// The factor by which too much loss lowers a bound (Beta).
const BETA: f64 = 0.7;

/// For how many rounds a burst of acknowledgements is remembered, at least (ExtraAckedFilterLen).
const EXTRA_ROUNDS: u32 = 5;

/// The model of one path. Bandwidths are in bytes per second, flights in bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    segment: f64,
    /// The largest samples of this cycle of probing and of the last one (MaxBw).
    bandwidths: [f64; 2],
    min_rtt: Option<(Instant, Duration)>,
    pub(super) bounds: Bounds,
    round: Round,
    extra: Extra,
}

/// Upper bounds on bandwidth and on bytes in flight that losses have set: bw_lo and inflight_hi of the draft.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// What may be in flight in the long term, found by probing (inflight_longterm).
    pub(super) long_flight: Option<f64>,
    /// Bounds that hold until the next probe (bw_shortterm, inflight_shortterm).
    short_bandwidth: Option<f64>,
    short_flight: Option<f64>,
}

/// A round, current or past.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    acked: f64,
    lost: f64,
    /// The largest sample of the bandwidth in this round, and the most that was delivered in the interval of one.
    bandwidth: f64,
    delivered: f64,
    /// Whether the application had too little to send to use the path.
    pub(super) app_limited: bool,
}

/// By how much acknowledgements run ahead of the bandwidth, because the peer or a link gathers them.
#[derive(Debug, Clone, Default)]
struct Extra {
    began: Option<Instant>,
    acked: f64,
    /// The maximum over the latest rounds, and that over the rounds before them.
    most: [f64; 2],
    rounds: u32,
}

impl Model {
    pub(super) fn new(segment: f64) -> Self {
        Self { segment, ..Self::default() }
    }

    /// Takes an acknowledgement. Returns the round that it ends.
    pub(super) fn on_ack(&mut self, ack: &Ack<'_>) -> Option<Round> {
        self.round.acked += ack.bytes as f64;
        self.round.lost += ack.lost as f64;
        if let Some(rate) = ack.rate {
            let delivered = rate.delivered as f64;
            let sample = delivered / rate.interval.as_secs_f64().max(1e-6);
            self.round.bandwidth = self.round.bandwidth.max(sample);
            self.round.delivered = self.round.delivered.max(delivered);
            self.round.app_limited = rate.app_limited;
            if !rate.app_limited || sample >= self.max_bandwidth() {
                self.bandwidths[0] = self.bandwidths[0].max(sample);
            }
        }
        if let Some(sample) = ack.round_trip {
            let is_new = |(at, min): (Instant, Duration)| {
                sample <= min || ack.now.saturating_duration_since(at) > MIN_RTT_PERIOD
            };
            if self.min_rtt.is_none_or(is_new) {
                self.min_rtt = Some((ack.now, sample));
            }
        }
        let bandwidth = self.bandwidth();
        self.extra.on_ack(ack, bandwidth, self.window_for(1.0));
        ack.round_over.then(|| std::mem::take(&mut self.round))
    }

    /// When the smallest round trip was measured.
    pub(super) fn min_rtt_at(&self) -> Option<Instant> {
        self.min_rtt.map(|(at, _)| at)
    }

    /// The round trip has been measured on an empty path.
    pub(super) fn confirm_min_rtt(&mut self, now: Instant) {
        self.min_rtt = self.min_rtt.map(|(_, min)| (now, min));
    }

    pub(super) fn min_rtt(&self) -> Duration {
        self.min_rtt.map_or(LEAST_RTT, |(_, min)| min.max(LEAST_RTT))
    }

    /// The largest bandwidth that was measured; 0 before there is a sample.
    pub(super) fn max_bandwidth(&self) -> f64 {
        self.bandwidths[0].max(self.bandwidths[1])
    }

    /// The bandwidth to send at.
    pub(super) fn bandwidth(&self) -> f64 {
        let max = self.max_bandwidth();
        self.bounds.short_bandwidth.map_or(max, |bound| bound.min(max))
    }

    /// The flight that fills the path `gain` times (BDP).
    pub(super) fn window_for(&self, gain: f64) -> f64 {
        gain * self.bandwidth() * self.min_rtt().as_secs_f64()
    }

    /// How much may be in flight beyond the window, because acknowledgements come late and together.
    pub(super) fn extra(&self) -> f64 {
        self.extra.most[0].max(self.extra.most[1])
    }

    /// Whether a round lost more than the ceiling for loss allows.
    pub(super) fn lost_too_much(&self, round: &Round) -> bool {
        let sent = round.acked + round.lost;
        round.lost > sent * LOSS_CEILING && round.lost >= LOSS_SEGMENTS * self.segment
    }

    /// Lowers the bounds until the next probe, because a round without a probe lost too much.
    pub(super) fn lower_short(&mut self, round: &Round, window: f64) {
        let bandwidth = round.bandwidth.max(self.bandwidth() * BETA);
        let short_flight = self.bounds.short_flight.unwrap_or(window);
        self.bounds.short_bandwidth = Some(bandwidth);
        self.bounds.short_flight = Some(round.delivered.max(short_flight * BETA));
    }

    /// Sets the long-term bound to `in_flight`, the flight with which a probe lost too much.
    pub(super) fn lower_long(&mut self, in_flight: f64, window: f64) {
        let least = self.window_for(1.0).min(window) * BETA;
        self.bounds.long_flight = Some(in_flight.max(least));
    }

    /// Forgets the short-term bounds, which may no longer hold when a probe begins.
    pub(super) fn forget_short(&mut self) {
        self.bounds.short_bandwidth = None;
        self.bounds.short_flight = None;
    }

    /// Ends a probe: bandwidths from before the previous one no longer count.
    pub(super) fn next_cycle(&mut self) {
        // Without a sample in this cycle the last one is all that is known.
        if self.bandwidths[0] > 0.0 {
            self.bandwidths = [0.0, self.bandwidths[0]];
        }
    }

    /// Applies the bounds to a window. `headroom`: the part of the long-term bound that is left to other flows.
    pub(super) fn bound(&self, window: f64, headroom: f64) -> f64 {
        let long = self.bounds.long_flight.map_or(f64::MAX, |it| it * (1.0 - headroom));
        window.min(long).min(self.bounds.short_flight.unwrap_or(f64::MAX))
    }
}

impl Extra {
    fn on_ack(&mut self, ack: &Ack<'_>, bandwidth: f64, limit: f64) {
        if ack.round_over {
            self.rounds += 1;
            if self.rounds >= EXTRA_ROUNDS {
                self.rounds = 0;
                self.most = [0.0, self.most[0]];
            }
        }
        let began = *self.began.get_or_insert(ack.now);
        let expected = bandwidth * ack.now.saturating_duration_since(began).as_secs_f64();
        if self.acked <= expected {
            self.began = Some(ack.now);
            self.acked = 0.0;
        }
        self.acked += ack.bytes as f64;
        let expected = if self.began == Some(ack.now) { 0.0 } else { expected };
        let extra = (self.acked - expected).clamp(0.0, limit.max(0.0));
        self.most[0] = self.most[0].max(extra);
    }
}
