//! How much of an association may be inside sctp-proto at a time.
//!
//! Its work per packet grows with the bytes in flight, so only a window's worth leaves the send
//! queues. What counts is what the peer has not acknowledged, plus 64 bytes per message.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::proto::message::{StreamId, charge};

/// Charged bytes inside sctp-proto at which nothing more goes in: 128 KiB fill a path of 20 Mbit/s
/// at a round trip of 50 ms.
const BUDGET: usize = 128 * 1024;

/// A message over this size goes in only when no more than this is inside, and counts as this
/// much. So one large message leaves half of the budget to the other streams, which matters once
/// its last fragment has been sent; until then SCTP without I-DATA lets nothing pass.
const LARGE: usize = BUDGET / 2;

#[derive(Debug, Default)]
struct StreamFlight {
    /// Payload lengths of the messages inside, oldest first.
    lengths: VecDeque<u32>,
    /// Their sum.
    written: usize,
    /// Payload bytes of them not acknowledged.
    unacked: usize,
}

/// The bytes inside sctp-proto, per stream.
#[derive(Debug, Default)]
pub(super) struct Flight {
    streams: FxHashMap<StreamId, StreamFlight>,
    messages: usize,
    /// Unacknowledged payload bytes.
    bytes: usize,
    /// The same with no stream counting for more than [`LARGE`].
    capped: usize,
}

impl Flight {
    /// Whether a message of `len` payload bytes may go in now.
    pub(super) fn admits(&self, len: usize) -> bool {
        if len > LARGE {
            self.bytes <= LARGE
        } else {
            self.messages == 0 || self.capped + 64 * self.messages + charge(len) <= BUDGET
        }
    }

    /// Counts a message that has gone in.
    pub(super) fn add(&mut self, stream: StreamId, len: usize) {
        let flight = self.streams.entry(stream).or_default();
        flight.lengths.push_back(u32::try_from(len).unwrap_or(u32::MAX));
        flight.written += len;
        self.capped -= flight.unacked.min(LARGE);
        flight.unacked += len;
        self.capped += flight.unacked.min(LARGE);
        self.bytes += len;
        self.messages += 1;
    }

    /// Counts again, with `unacked` telling a stream's payload bytes inside.
    pub(super) fn refresh(&mut self, mut unacked: impl FnMut(StreamId) -> usize) {
        self.messages = 0;
        self.bytes = 0;
        self.capped = 0;
        self.streams.retain(|stream, flight| {
            flight.unacked = unacked(*stream).min(flight.written);
            // Acknowledgements are counted in bytes only; the oldest messages are taken to be the
            // acknowledged ones. Exact whenever the stream is empty.
            while let Some(&length) = flight.lengths.front()
                && (flight.written - flight.unacked >= length as usize || flight.unacked == 0)
            {
                flight.lengths.pop_front();
                flight.written -= length as usize;
            }
            self.messages += flight.lengths.len();
            self.bytes += flight.unacked;
            self.capped += flight.unacked.min(LARGE);
            !flight.lengths.is_empty()
        });
    }

    /// Payload bytes inside.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_go_in_up_to_the_budget_and_again_once_acknowledged() {
        let mut flight = Flight::default();
        while flight.admits(1000) {
            flight.add(1, 1000);
        }
        assert_eq!(flight.bytes(), BUDGET / charge(1000) * 1000);
        flight.refresh(|_| 500);
        assert_eq!(flight.messages, 1);
        assert!(flight.admits(1000));
        flight.refresh(|_| 0);
        assert!(flight.streams.is_empty());
    }

    #[test]
    fn tiny_messages_are_bounded_by_their_number() {
        let mut flight = Flight::default();
        let mut count = 0;
        while flight.admits(1) {
            flight.add(7, 1);
            count += 1;
        }
        assert!(count <= BUDGET / 64, "{count} messages");
    }

    #[test]
    fn a_large_message_leaves_half_of_the_budget_to_others() {
        let mut flight = Flight::default();
        assert!(flight.admits(262_144));
        flight.add(1, 262_144);
        assert!(!flight.admits(262_144));
        let mut others = 0;
        while flight.admits(1000) {
            flight.add(2, 1000);
            others += 1000;
        }
        assert!(others > BUDGET / 3, "{others} bytes");
        flight.refresh(|stream| if stream == 1 { LARGE } else { 0 });
        assert!(flight.admits(262_144));
    }
}
