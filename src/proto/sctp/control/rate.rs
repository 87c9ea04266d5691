//! How fast the path delivers: samples of the delivery rate (draft-ietf-ccwg-bbr §4.1,
//! draft-cheng-iccrg-delivery-rate-estimation).
//!
//! Each chunk remembers how much had been delivered when it left. Once it is acknowledged, the
//! difference over the time between is the rate at which the path delivered meanwhile.

use std::time::{Duration, Instant};

/// What a chunk remembers of the moment in which it was last sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SentState {
    /// What had been delivered (C.delivered).
    delivered: u64,
    /// How long before that the last delivery was, in microseconds.
    since_delivery: u32,
    /// How long the flight had taken to leave until then, in microseconds.
    send_elapsed: u32,
    /// Whether the application had too little to send.
    app_limited: bool,
}

/// One measurement of the delivery rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateSample {
    /// What was delivered in [`Self::interval`].
    pub(super) delivered: u64,
    pub(super) interval: Duration,
    /// What had been delivered when the chunk was sent which the sample is of.
    pub(super) prior_delivered: u64,
    /// Whether the application had too little to send, so that the path may be faster.
    pub(super) app_limited: bool,
}

/// What an acknowledgement says of the delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    pub(super) rate: Option<RateSample>,
    /// Whether something is acknowledged that was sent after the last round had ended.
    pub(super) round_over: bool,
}

/// The chunk of an acknowledgement that was sent last.
#[derive(Debug, Clone, Copy)]
struct Newest {
    sent_at: Instant,
    state: SentState,
}

/// The measurement of one association.
#[derive(Debug, Default)]
pub(super) struct DeliveryRate {
    /// All bytes that were ever acknowledged.
    delivered: u64,
    /// When the last were.
    delivered_at: Option<Instant>,
    /// When the newest chunk that is acknowledged left: the beginning of the flight that is measured.
    first_sent_at: Option<Instant>,
    /// The application has too little to send until so much is delivered.
    app_limited_until: Option<u64>,
    /// The round is over once something is acknowledged that was sent with so much delivered.
    round_ends_at: u64,
    newest: Option<Newest>,
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

impl DeliveryRate {
    /// A chunk leaves, for the first time or again. `in_flight`: before it.
    pub(super) fn on_sent(&mut self, now: Instant, in_flight: usize) -> SentState {
        if in_flight == 0 || self.delivered_at.is_none() {
            self.first_sent_at = Some(now);
            self.delivered_at = Some(now);
        }
        let since = |at: Option<Instant>| {
            micros(at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)))
        };
        SentState {
            delivered: self.delivered,
            since_delivery: since(self.delivered_at),
            send_elapsed: since(self.first_sent_at),
            app_limited: self.app_limited_until.is_some(),
        }
    }

    /// The application has nothing more to send, with `in_flight` bytes in flight and the window open.
    pub(super) fn on_app_limited(&mut self, in_flight: usize) {
        self.app_limited_until = Some(self.delivered.saturating_add(in_flight.max(1) as u64));
    }

    /// A chunk is acknowledged for the first time. `sent_at` and `state` are of its last transmission.
    pub(super) fn on_acked(
        &mut self,
        now: Instant,
        bytes: usize,
        sent_at: Instant,
        state: SentState,
    ) {
        self.delivered = self.delivered.saturating_add(bytes as u64);
        self.delivered_at = Some(now);
        let is_newer =
            |newest: Newest| (sent_at, state.delivered) >= (newest.sent_at, newest.state.delivered);
        if self.newest.is_none_or(is_newer) {
            self.newest = Some(Newest { sent_at, state });
            self.first_sent_at = Some(sent_at);
        }
    }

    /// All chunks of an acknowledgement have been passed to [`Self::on_acked`]. A sample whose interval
    /// is shorter than the smallest round trip is not one: the rate would be too high, as after a
    /// chunk that was sent again and whose first transmission is acknowledged.
    pub(super) fn on_ack(&mut self, now: Instant, min_rtt: Option<Duration>) -> Delivery {
        let Some(Newest { sent_at, state }) = self.newest.take() else {
            return Delivery { rate: None, round_over: false };
        };
        if self.app_limited_until.is_some_and(|until| self.delivered > until) {
            self.app_limited_until = None;
        }
        let round_over = state.delivered >= self.round_ends_at;
        if round_over {
            self.round_ends_at = self.delivered;
        }
        let ack_elapsed = now.saturating_duration_since(sent_at)
            + Duration::from_micros(u64::from(state.since_delivery));
        let send_elapsed = Duration::from_micros(u64::from(state.send_elapsed));
        let interval = ack_elapsed.max(send_elapsed);
        let is_valid = !interval.is_zero() && min_rtt.is_none_or(|min| interval >= min);
        let rate = is_valid.then_some(RateSample {
            delivered: self.delivered - state.delivered,
            interval,
            prior_delivered: state.delivered,
            app_limited: state.app_limited,
        });
        Delivery { rate, round_over }
    }
}
