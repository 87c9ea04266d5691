//! BBR, after draft-ietf-ccwg-bbr (BBRv3): sends at the measured bandwidth, with about as much in flight as the path
//! holds, and regards loss as congestion only above 2 % of a round.
//!
//! ```text
//! Startup ─► Drain ─► Down ─► Cruise ─► Refill ─► Up ─┐
//!                      ▲ └─────────────────▲          │        every 5 s without a smaller round trip,
//!                      └──────────────────────────────┘        from everywhere: ProbeRtt ─► Down
//! ```
//!
//! Left out: packet conservation in recovery, ECN, and probes that keep pace with Reno.

mod model;

use std::time::{Duration, Instant};

use self::model::{Bounds, Model, Round};
use super::super::rtt::Rtt;
use super::controller::{Ack, Controller, Loss, SentPacket, initial_window, rate_of};

/// Pacing gains of the phases. Startup doubles the rate each round (2.77 = 4 ln 2).
const STARTUP: f64 = 2.77;
const DRAIN: f64 = 0.5;
const DOWN: f64 = 0.9;
const UP: f64 = 1.25;

/// Gains of the congestion window over what the path holds (the BDP): room for acknowledgements that come late.
const WINDOW_GAIN: f64 = 1.75;
const UP_WINDOW_GAIN: f64 = 2.0;
const PROBE_RTT_WINDOW_GAIN: f64 = 0.5;

/// Slightly less than the bandwidth, so that the queue does not grow (PacingMarginPercent).
const PACING_MARGIN: f64 = 0.99;

/// The part of the long-term bound of the flight that is left to other flows (Headroom).
const HEADROOM: f64 = 0.15;

/// The path counts as full once the bandwidth has grown by less than this factor in so many rounds in a row.
const FULL_GROWTH: f64 = 1.25;
const FULL_ROUNDS: u32 = 3;

/// The time between two probes for more bandwidth, and by how much it varies, so that flows do not
/// probe together.
const PROBE_EVERY: Duration = Duration::from_secs(2);
const PROBE_VARIES_MS: u64 = 1000;

/// The time between two probes for the round trip, and how long one takes.
const PROBE_RTT_EVERY: Duration = Duration::from_secs(5);
const PROBE_RTT_TAKES: Duration = Duration::from_millis(200);

/// The least window, in segments (MinPipeCwnd).
const LEAST: f64 = 4.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Doubles the rate each round until the path is full.
    Startup,
    /// Empties the queue that Startup has filled.
    Drain,
    /// Sends less than arrives, which leaves room to other flows.
    Down,
    Cruise,
    /// Fills the path for a round before a probe, so that its losses are due to the probe.
    Refill,
    /// Probes for more bandwidth.
    Up,
    /// Sends little, so that the queue empties and the round trip can be measured.
    ProbeRtt {
        /// When the phase may end. `None` until the flight is small enough.
        until: Option<Instant>,
    },
}

/// BBR for one association.
#[derive(Debug)]
pub(super) struct Bbr {
    segment: f64,
    initial: f64,
    model: Model,
    phase: Phase,
    phase_began: Option<Instant>,
    rounds_in_phase: u32,
    window: f64,
    /// Whether Startup has filled the path; the bandwidth against which growth is measured, and for how many rounds
    /// there has been too little of it.
    is_full: bool,
    full_bandwidth: f64,
    full_rounds: u32,
    /// When the last probe for bandwidth was, and how long until the next.
    probed_at: Option<Instant>,
    probe_after: Duration,
    /// Whether nothing was in flight when the last packet left.
    idle: bool,
    acked: u64,
    before: Option<(f64, Bounds)>,
    timed_out: bool,
}

impl Bbr {
    pub(super) fn new(segment: usize) -> Self {
        let initial = initial_window(segment) as f64;
        let segment = segment.max(1) as f64;
        Self {
            segment,
            initial,
            model: Model::new(segment),
            phase: Phase::Startup,
            phase_began: None,
            rounds_in_phase: 0,
            window: initial,
            is_full: false,
            full_bandwidth: 0.0,
            full_rounds: 0,
            probed_at: None,
            probe_after: PROBE_EVERY,
            idle: false,
            acked: 0,
            before: None,
            timed_out: false,
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.phase_began = Some(now);
        self.rounds_in_phase = 0;
        match phase {
            Phase::Down => {
                self.probed_at = Some(now);
                // Any number that differs between flows will do.
                let varied = self.acked.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
                self.probe_after = PROBE_EVERY + Duration::from_millis(varied % PROBE_VARIES_MS);
            }
            Phase::Refill => self.model.forget_short(),
            Phase::Up => {
                self.full_bandwidth = self.model.max_bandwidth();
                self.full_rounds = 0;
            }
            _ => {}
        }
    }

    /// Whether the bandwidth has not grown enough for some rounds.
    fn is_full_now(&mut self, round: &Round) -> bool {
        let bandwidth = self.model.max_bandwidth();
        if bandwidth >= self.full_bandwidth * FULL_GROWTH {
            self.full_bandwidth = bandwidth;
            self.full_rounds = 0;
        } else if !round.app_limited {
            self.full_rounds += 1;
        }
        self.full_rounds >= FULL_ROUNDS
    }

    fn on_round(&mut self, now: Instant, in_flight: f64, round: &Round) {
        self.rounds_in_phase = self.rounds_in_phase.saturating_add(1);
        let lost_too_much = self.model.lost_too_much(round);
        match self.phase {
            Phase::Startup => {
                if lost_too_much {
                    self.model.bounds.long_flight = Some(in_flight.max(self.model.window_for(1.0)));
                }
                if self.is_full_now(round) || lost_too_much {
                    self.is_full = true;
                    self.enter(Phase::Drain, now);
                }
            }
            Phase::Up if lost_too_much => {
                self.model.lower_long(in_flight, self.window);
                self.end_probe(now);
            }
            // The losses that a probe causes become known a round trip later, when it is already over.
            Phase::Down if lost_too_much && self.rounds_in_phase <= 2 => {
                self.model.lower_long(in_flight, self.window);
                self.model.lower_short(round, self.window);
            }
            Phase::Up => {
                if let Some(long) = &mut self.model.bounds.long_flight
                    && in_flight * FULL_GROWTH >= *long
                {
                    // A flight that caused no loss raises the bound, faster each round (RaiseInflightLongtermSlope).
                    *long += self.segment * f64::from(1 << self.rounds_in_phase.min(10));
                }
                if self.is_full_now(round) {
                    self.end_probe(now);
                }
            }
            Phase::Refill => self.enter(Phase::Up, now),
            Phase::Drain | Phase::Down | Phase::Cruise if lost_too_much => {
                self.model.lower_short(round, self.window);
            }
            _ => {}
        }
    }

    fn end_probe(&mut self, now: Instant) {
        self.model.next_cycle();
        self.enter(Phase::Down, now);
    }

    /// Makes the transitions that do not wait for a round to end.
    fn advance(&mut self, now: Instant, in_flight: f64) {
        let since =
            |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        match self.phase {
            Phase::Drain if in_flight <= self.model.window_for(1.0) => self.enter(Phase::Down, now),
            Phase::Down | Phase::Cruise if since(self.probed_at) >= self.probe_after => {
                self.enter(Phase::Refill, now);
            }
            Phase::Down if in_flight <= self.model.bound(self.model.window_for(1.0), HEADROOM) => {
                self.enter(Phase::Cruise, now);
            }
            Phase::Up
                if since(self.phase_began) > self.model.min_rtt()
                    && in_flight >= self.model.window_for(UP) + self.slack() =>
            {
                self.end_probe(now);
            }
            Phase::ProbeRtt { until: None } if in_flight <= self.probe_rtt_window() => {
                let until = now.checked_add(PROBE_RTT_TAKES.max(self.model.min_rtt()));
                self.phase = Phase::ProbeRtt { until };
            }
            Phase::ProbeRtt { until: Some(until) } if now >= until => {
                self.model.confirm_min_rtt(now);
                self.enter(if self.is_full { Phase::Down } else { Phase::Startup }, now);
            }
            Phase::ProbeRtt { .. } => {}
            _ if since(self.model.min_rtt_at()) > PROBE_RTT_EVERY && !self.idle => {
                self.enter(Phase::ProbeRtt { until: None }, now);
            }
            _ => {}
        }
    }

    /// How much may be in flight beyond what the path holds, for bursts of acknowledgements and of the pacer.
    fn slack(&self) -> f64 {
        self.model.extra() + 3.0 * self.segment
    }

    fn probe_rtt_window(&self) -> f64 {
        self.model.window_for(PROBE_RTT_WINDOW_GAIN).max(LEAST * self.segment)
    }

    fn set_window(&mut self, acked: f64) {
        let gain = if self.phase == Phase::Up { UP_WINDOW_GAIN } else { WINDOW_GAIN };
        let target = self.model.window_for(gain) + self.slack();
        let grown = self.window + acked;
        let window = if self.is_full {
            grown.min(target)
        } else if self.window < target || self.window < 2.0 * self.initial {
            grown
        } else {
            self.window
        };
        let window = match self.phase {
            Phase::Down | Phase::Cruise | Phase::Drain => self.model.bound(window, HEADROOM),
            Phase::ProbeRtt { .. } => {
                self.model.bound(window, HEADROOM).min(self.probe_rtt_window())
            }
            Phase::Startup | Phase::Refill | Phase::Up => self.model.bound(window, 0.0),
        };
        self.window = window.max(LEAST * self.segment);
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, sent: &SentPacket) {
        if sent.in_flight == 0 {
            self.idle = true;
        }
    }

    fn on_ack(&mut self, ack: &Ack<'_>) {
        self.timed_out = false;
        self.acked = self.acked.wrapping_add(ack.bytes as u64);
        let round = self.model.on_ack(ack);
        let in_flight = ack.in_flight as f64;
        if let Some(round) = round {
            self.on_round(ack.now, in_flight, &round);
        }
        let left = ack.in_flight.saturating_sub(ack.bytes.saturating_add(ack.lost)) as f64;
        self.advance(ack.now, left);
        self.idle = false;
        self.set_window(ack.bytes as f64);
    }

    fn on_loss(&mut self, _loss: &Loss) {
        self.before = Some((self.window, self.model.bounds));
    }

    fn on_timeout(&mut self, _now: Instant, _in_flight: usize) {
        if !self.timed_out {
            self.before = Some((self.window, self.model.bounds));
        }
        self.timed_out = true;
        self.window = LEAST * self.segment;
    }

    fn on_recovery_over(&mut self, _now: Instant) {}

    fn undo(&mut self) {
        if let Some((window, bounds)) = self.before.take() {
            self.window = self.window.max(window);
            self.model.bounds = bounds;
            self.timed_out = false;
        }
    }

    fn window(&self) -> usize {
        self.window as usize
    }

    fn slow_start_threshold(&self) -> Option<usize> {
        None
    }

    fn pacing_rate(&self, rtt: &Rtt) -> Option<u64> {
        let gain = match self.phase {
            Phase::Startup => STARTUP,
            Phase::Drain => DRAIN,
            Phase::Down => DOWN,
            Phase::Cruise | Phase::Refill | Phase::ProbeRtt { .. } => 1.0,
            Phase::Up => UP,
        };
        let paced = gain * PACING_MARGIN * self.model.bandwidth();
        let smoothed = rtt.smoothed()?;
        // At least the bandwidth of the initial window while Startup still searches, and that of the least window
        // later: a sample taken across an outage says nothing about the path after it.
        let least = if self.is_full { LEAST * self.segment } else { STARTUP * self.initial };
        Some((paced as u64).max(rate_of(least, smoothed)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bottleneck::Bottleneck;
    use super::*;
    use crate::proto::sctp::CongestionControl;

    #[test]
    fn a_timeout_leaves_four_segments_and_its_undoing_restores_the_window() {
        let now = crate::proto::sctp::testing::start();
        let mut bbr = Bbr::new(1000);
        bbr.on_timeout(now, 10_000);
        bbr.on_timeout(now, 4_000);
        assert_eq!(bbr.window(), 4_000);
        bbr.undo();
        assert_eq!(bbr.window(), 10_000);
    }

    #[test]
    fn a_bandwidth_that_an_outage_has_measured_does_not_stop_the_least_window() {
        let mut rtt = Rtt::new(Duration::from_secs(5));
        rtt.on_sample(crate::proto::sctp::testing::start(), Duration::from_millis(100));
        let mut bbr = Bbr::new(1000);
        bbr.is_full = true;
        for phase in [Phase::Drain, Phase::Down, Phase::Cruise, Phase::ProbeRtt { until: None }] {
            bbr.phase = phase;
            assert_eq!(bbr.pacing_rate(&rtt), Some(40_000), "four segments per round trip");
        }
    }

    #[test]
    fn a_path_that_becomes_faster_or_slower_is_followed() {
        let mut bottleneck = Bottleneck::new(50);
        bottleneck.rate = 1e6;
        bottleneck.add(CongestionControl::Bbr, Duration::ZERO, None);
        bottleneck.run(Duration::from_secs(10));
        bottleneck.rate = 5e6;
        bottleneck.run(Duration::from_secs(20));
        let faster = bottleneck.measure(Duration::from_secs(10))[0];
        assert!(faster > 4_400.0, "{faster:.0} kB/s");
        bottleneck.rate = 1e6;
        bottleneck.run(Duration::from_secs(20));
        let slower = bottleneck.measure(Duration::from_secs(10))[0];
        assert!(slower > 900.0, "{slower:.0} kB/s");
        assert!(bottleneck.queued() < 128.0 * 1024.0, "{} bytes are queued", bottleneck.queued());
    }
}
