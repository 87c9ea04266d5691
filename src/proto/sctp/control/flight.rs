//! How many bytes may have left the send queues and be unacknowledged.
//!
//! The bound follows the round trip, so that it fills a path of 40 Mbit/s up to 100 ms and no
//! association takes more memory than its path needs. It counts payload, and 64 bytes per message. What the peer has
//! reported beyond a gap is no longer in flight, but is kept until the gap closes. While that is more than
//! two flights, nothing is added: a gap closes within a round trip or two. Of large messages one flight counts, so that
//! they do not stop other streams.

use std::time::Duration;

use super::outgoing::OutgoingMessages;
use super::rtt::Rtt;
use super::scoreboard::ScoreboardTotals;
use crate::proto::message::charge;

const KIB: usize = 1024;

/// The bound, by the smallest round trip in milliseconds. Between two of them it grows evenly.
const BOUNDS: [(u32, usize); 4] =
    [(30, 128 * KIB), (50, 256 * KIB), (100, 384 * KIB), (200, 512 * KIB)];

/// The payload that may wait for the window or the pacer. It is small, because a message that has left its queue delays
/// the messages of other streams.
const MAX_WAITING: usize = 8 * KIB;

/// No message is admitted while the peer leaves this many chunks unacknowledged cumulatively: twice as many as
/// a bound of 128 KiB admits if every message is tiny.
pub(super) const MAX_CHUNKS: usize = 2 * 128 * KIB / 64;

/// Whether a message may leave its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Admittance {
    /// The message may leave.
    Now,
    /// The message is too large for the room that is left; a smaller one may leave.
    OnlySmaller,
    /// No message may leave.
    Full,
}

/// The bound of one association.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// A bound that does not follow the path, for measurements.
    pub(super) fixed: Option<usize>,
}

impl Flight {
    pub(super) fn bound(&self, rtt: &Rtt) -> usize {
        self.fixed.unwrap_or_else(|| by_round_trip(rtt.min().unwrap_or_default()))
    }

    /// Whether a message is large: it takes more than half of the bound. It then counts only for that half, so that the
    /// other half is left to other streams.
    pub(super) fn is_large(&self, len: usize, rtt: &Rtt) -> bool {
        len > self.bound(rtt) / 2
    }

    /// Whether a message of `len` payload bytes may leave its queue. `sendable`: what the window lets
    /// leave now.
    pub(super) fn admits(
        &self,
        len: usize,
        rtt: &Rtt,
        totals: &ScoreboardTotals,
        uncut: &OutgoingMessages,
        chunks: usize,
        sendable: usize,
    ) -> Admittance {
        let bound = self.bound(rtt);
        let half = bound / 2;
        let waiting = totals.waiting + uncut.bytes;
        let bytes = waiting + totals.flying + totals.lost;
        let messages = totals.messages + uncut.len();
        let kept = totals.arrived.saturating_sub(totals.arrived_large.saturating_sub(bound));
        if chunks + uncut.len() >= MAX_CHUNKS || kept > 2 * bound {
            return Admittance::Full;
        }
        if waiting > 0 && waiting + len > MAX_WAITING.max(sendable) {
            return if len > MAX_WAITING { Admittance::OnlySmaller } else { Admittance::Full };
        }
        if len > half {
            let fits = bytes <= half && totals.arrived <= 2 * bound;
            return if fits { Admittance::Now } else { Admittance::OnlySmaller };
        }
        let large = totals.large + uncut.large;
        let counted = bytes.saturating_sub(large) + large.min(half);
        if bytes == 0 || counted + 64 * messages + charge(len) <= bound {
            Admittance::Now
        } else {
            Admittance::Full
        }
    }
}

fn by_round_trip(round_trip: Duration) -> usize {
    let micros = round_trip.as_micros();
    let mut below = BOUNDS[0];
    for above in BOUNDS {
        let (from, to) = (u128::from(below.0) * 1000, u128::from(above.0) * 1000);
        if micros < to {
            let part = micros.saturating_sub(from) * (above.1 - below.1) as u128;
            return below.1 + (part / (to - from).max(1)) as usize;
        }
        below = above;
    }
    below.1
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms};
    use super::*;

    #[test]
    fn the_bound_grows_with_the_round_trip() {
        let bound = |ms| by_round_trip(Duration::from_millis(ms)) / KIB;
        assert_eq!([0, 29, 30, 40, 50, 75].map(bound), [128, 128, 128, 192, 256, 320]);
        assert_eq!([100, 150, 200, 5000].map(bound), [384, 448, 512, 512]);
    }

    #[test]
    fn a_message_stays_large_or_small_when_the_bound_changes() {
        for (before, after) in [(10, 300), (300, 10)] {
            let mut bench = Bench::new(ms(before));
            bench.write(70_000, None);
            bench.control.rtt = Rtt::new(ms(5000));
            bench.control.on_round_trip(bench.now, ms(after));
            let messages = &mut bench.control.messages;
            while messages.cut(1000).is_some() {}
            assert_eq!((messages.bytes, messages.large, messages.len()), (0, 0, 0));
        }
    }

    fn admits(len: usize, totals: ScoreboardTotals, chunks: usize, sendable: usize) -> Admittance {
        let flight = Flight::default();
        let rtt = Rtt::new(ms(5000));
        flight.admits(len, &rtt, &totals, &OutgoingMessages::default(), chunks, sendable)
    }

    #[test]
    fn messages_leave_until_they_and_their_overhead_fill_the_bound() {
        let flying = |bytes, messages| ScoreboardTotals {
            flying: bytes,
            messages,
            ..ScoreboardTotals::default()
        };
        assert_eq!(admits(936, flying(130_000, 1), 1, 0), Admittance::Now);
        assert_eq!(admits(945, flying(130_000, 1), 1, 0), Admittance::Full);
        assert_eq!(admits(1, flying(1024, 2000), 1, 0), Admittance::Now);
        assert_eq!(admits(1, flying(2047, 2047), 1, 0), Admittance::Full);
        // The peer has acknowledged the last chunk of each message, and no other.
        assert_eq!(admits(1, flying(128 * KIB, 0), 1, 0), Admittance::Full);
        assert_eq!(admits(1, flying(0, 0), MAX_CHUNKS, 0), Admittance::Full);
        assert_eq!(admits(1, flying(0, 0), MAX_CHUNKS - 1, 0), Admittance::Now);
    }

    #[test]
    fn nothing_is_added_while_the_peer_leaves_a_gap_before_more_than_two_flights() {
        let beyond = |arrived| ScoreboardTotals { arrived, ..ScoreboardTotals::default() };
        assert_eq!(admits(1, beyond(256 * KIB), 1, 0), Admittance::Now);
        assert_eq!(admits(1, beyond(256 * KIB + 1), 1, 0), Admittance::Full);
    }

    #[test]
    fn a_large_message_beyond_a_gap_stops_only_large_ones() {
        let beyond = |arrived_large: usize, others: usize| ScoreboardTotals {
            arrived: arrived_large + others,
            arrived_large,
            ..ScoreboardTotals::default()
        };
        assert_eq!(admits(1, beyond(4096 * KIB, 0), 1, 0), Admittance::Now);
        assert_eq!(admits(1, beyond(4096 * KIB, 128 * KIB), 1, 0), Admittance::Now);
        assert_eq!(admits(1, beyond(4096 * KIB, 128 * KIB + 1), 1, 0), Admittance::Full);
        assert_eq!(admits(65 * KIB, beyond(256 * KIB, 0), 1, 0), Admittance::Now);
        assert_eq!(admits(65 * KIB, beyond(256 * KIB + 1, 0), 1, 0), Admittance::OnlySmaller);
    }

    #[test]
    fn a_large_message_leaves_half_of_the_bound_to_others() {
        let flying = |bytes, large| ScoreboardTotals {
            flying: bytes,
            large,
            messages: 1,
            ..ScoreboardTotals::default()
        };
        assert_eq!(admits(262_144, flying(64 * KIB, 0), 1, 0), Admittance::Now);
        assert_eq!(admits(262_144, flying(64 * KIB + 1, 0), 1, 0), Admittance::OnlySmaller);
        // A large message counts for half of the bound.
        assert_eq!(admits(60_000, flying(262_144, 262_144), 1, 0), Admittance::Now);
        assert_eq!(admits(60_000, flying(270_144, 262_144), 1, 0), Admittance::Full);
    }

    #[test]
    fn no_more_waits_for_the_window_than_leaves_soon() {
        let waiting =
            |bytes| ScoreboardTotals { waiting: bytes, messages: 1, ..ScoreboardTotals::default() };
        assert_eq!(admits(8192, waiting(0), 1, 0), Admittance::Now);
        assert_eq!(admits(1000, waiting(7192), 1, 0), Admittance::Now);
        assert_eq!(admits(1001, waiting(7192), 1, 0), Admittance::Full);
        assert_eq!(admits(8193, waiting(1), 1, 0), Admittance::OnlySmaller);
        assert_eq!(admits(20_000, waiting(7192), 1, 30_000), Admittance::Now);
    }
}
