//! How fast the path delivers: samples of the delivery rate (draft-ietf-ccwg-bbr §4.1,
//! draft-cheng-iccrg-delivery-rate-estimation).
//!
//! Each chunk remembers how much had been delivered when it left. Once it is acknowledged, the
//! difference over the time between is the rate at which the path delivered.

use std::time::{Duration, Instant};

/// The state at the time when a chunk was last sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SentState {
    /// The bytes that had been delivered (C.delivered).
    delivered: u64,
    /// The time from the last delivery until it was sent, in microseconds.
    since_delivery: u32,
    /// The time from [`DeliveryRate::first_sent_at`] until it was sent, in microseconds.
    send_elapsed: u32,
    /// Whether the application had too little to send to use the path.
    app_limited: bool,
}

/// One measurement of the delivery rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateSample {
    /// The bytes delivered in [`Self::interval`].
    pub(super) delivered: u64,
    pub(super) interval: Duration,
    /// Whether the application had too little to send to use the path, which then may be faster than this.
    pub(super) app_limited: bool,
}

/// What an acknowledgement shows about the delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    pub(super) rate: Option<RateSample>,
    /// Whether a round has ended: something is acknowledged that was sent after the last round had ended.
    pub(super) round_over: bool,
}

/// Of the chunks that one SACK acknowledges, the one that was sent last.
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
    /// When bytes were last acknowledged.
    delivered_at: Option<Instant>,
    /// When the flight that is being measured began: the newest chunk that is acknowledged left then.
    first_sent_at: Option<Instant>,
    /// Until this many bytes are delivered, samples count as limited by the application.
    app_limited_until: Option<u64>,
    /// The round ends once a chunk is acknowledged that was sent after this much had been delivered.
    round_ends_at: u64,
    newest: Option<Newest>,
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

impl DeliveryRate {
    /// A chunk leaves, for the first time or again. `in_flight`: the bytes in flight before it.
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

    /// How many bytes have been acknowledged.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// A chunk is acknowledged for the first time. `sent_at` and `state` belong to its last transmission.
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

    /// All chunks of an acknowledgement have been passed to [`Self::on_acked`]. A sample whose interval is shorter than
    /// the smallest round trip is ignored, as its rate would be too high; this happens if the first transmission of a
    /// retransmitted chunk is acknowledged.
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
            app_limited: state.app_limited,
        });
        Delivery { rate, round_over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::testing::start;

    const RTT: Duration = Duration::from_millis(50);

    fn at(ms: u64) -> Instant {
        start_of_test() + Duration::from_millis(ms)
    }

    fn start_of_test() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(start)
    }

    /// A packet each millisecond, acknowledged 50 ms later.
    #[test]
    fn a_sample_is_the_rate_at_which_the_path_delivers() {
        let mut rate = DeliveryRate::default();
        let mut states = Vec::new();
        for ms in 0..200 {
            states.push(rate.on_sent(at(ms), if ms == 0 { 0 } else { 1000 }));
            if ms >= 50 {
                let state = states[ms as usize - 50];
                rate.on_acked(at(ms), 1000, at(ms - 50), state);
                let delivery = rate.on_ack(at(ms), Some(RTT));
                if ms >= 110 {
                    let sample = delivery.rate.unwrap();
                    let per_second = sample.delivered as f64 / sample.interval.as_secs_f64();
                    assert!((per_second / 1e6 - 1.0).abs() < 0.05, "{per_second} B/s");
                    assert!(!sample.app_limited);
                }
            }
        }
    }

    #[test]
    fn acknowledgements_that_arrive_together_do_not_show_a_faster_path() {
        let mut rate = DeliveryRate::default();
        let states: Vec<_> = (0..50).map(|ms| rate.on_sent(at(ms), ms as usize * 1000)).collect();
        for (ms, state) in (0..).zip(states) {
            rate.on_acked(at(100), 1000, at(ms), state);
        }
        let sample = rate.on_ack(at(100), Some(RTT)).rate.unwrap();
        assert_eq!((sample.delivered, sample.interval), (50_000, Duration::from_millis(100)));
    }

    #[test]
    fn what_is_sent_while_the_application_has_little_is_marked() {
        let mut rate = DeliveryRate::default();
        let first = rate.on_sent(at(0), 0);
        rate.on_app_limited(1000);
        let second = rate.on_sent(at(1), 1000);
        rate.on_acked(at(50), 1000, at(0), first);
        assert!(!rate.on_ack(at(50), Some(RTT)).rate.unwrap().app_limited);
        rate.on_acked(at(51), 1000, at(1), second);
        assert!(rate.on_ack(at(51), Some(RTT)).rate.unwrap().app_limited);
        let third = rate.on_sent(at(52), 0);
        rate.on_acked(at(102), 1000, at(52), third);
        assert!(!rate.on_ack(at(102), Some(RTT)).rate.unwrap().app_limited);
    }

    #[test]
    fn a_round_is_over_when_something_is_acknowledged_that_was_sent_in_it() {
        let mut rate = DeliveryRate::default();
        let (first, second) = (rate.on_sent(at(0), 0), rate.on_sent(at(0), 1000));
        rate.on_acked(at(50), 1000, at(0), first);
        assert!(rate.on_ack(at(50), Some(RTT)).round_over);
        let third = rate.on_sent(at(50), 1000);
        rate.on_acked(at(51), 1000, at(0), second);
        assert!(!rate.on_ack(at(51), Some(RTT)).round_over);
        rate.on_acked(at(100), 1000, at(50), third);
        assert!(rate.on_ack(at(100), Some(RTT)).round_over);
    }

    #[test]
    fn an_interval_shorter_than_a_round_trip_is_no_sample() {
        let mut rate = DeliveryRate::default();
        let state = rate.on_sent(at(0), 0);
        rate.on_acked(at(3), 1000, at(0), state);
        assert!(rate.on_ack(at(3), Some(RTT)).rate.is_none());
    }
}
