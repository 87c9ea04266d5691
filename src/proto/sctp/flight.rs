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

/// Whether a message may go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admittance {
    /// Yes.
    Now,
    /// No, because it is large. A smaller one may.
    Smaller,
    /// No, and no other.
    Full,
}

#[derive(Debug, Default)]
struct StreamFlight {
    /// Payload lengths of the messages inside, oldest first.
    lengths: VecDeque<u32>,
    /// Their sum, and that of the ones up to [`LARGE`].
    written: usize,
    written_small: usize,
    /// Payload bytes of them not acknowledged.
    unacked: usize,
}

impl StreamFlight {
    fn push(&mut self, len: usize) {
        self.lengths.push_back(u32::try_from(len).unwrap_or(u32::MAX));
        self.written += len;
        self.unacked += len;
        if len <= LARGE {
            self.written_small += len;
        }
    }

    fn pop(&mut self) {
        let len = self.lengths.pop_front().map_or(0, |len| len as usize);
        self.written -= len;
        if len <= LARGE {
            self.written_small -= len;
        }
    }

    /// Acknowledgements are counted in bytes only; the oldest messages are taken to be the
    /// acknowledged ones. Exact whenever the stream is empty.
    fn set_unacked(&mut self, unacked: usize) {
        self.unacked = unacked.min(self.written);
        while let Some(&oldest) = self.lengths.front()
            && (self.written - self.unacked >= oldest as usize || self.unacked == 0)
        {
            self.pop();
        }
    }

    /// What the stream takes of the budget.
    fn counted(&self) -> usize {
        self.unacked.min(self.written_small + LARGE)
    }
}

/// The bytes inside sctp-proto, per stream.
#[derive(Debug, Default)]
pub(super) struct Flight {
    streams: FxHashMap<StreamId, StreamFlight>,
    /// Emptied ones, for the next streams that send.
    spare: Vec<StreamFlight>,
    messages: usize,
    /// Unacknowledged payload bytes.
    bytes: usize,
    /// The same with large messages counting for [`LARGE`].
    counted: usize,
}

impl Flight {
    /// Whether a message of `len` payload bytes may go in now.
    pub(super) fn admits(&self, len: usize) -> Admittance {
        if len > LARGE {
            if self.bytes <= LARGE { Admittance::Now } else { Admittance::Smaller }
        } else if self.messages == 0 || self.counted + 64 * self.messages + charge(len) <= BUDGET {
            Admittance::Now
        } else {
            Admittance::Full
        }
    }

    /// Counts a message that has gone in.
    pub(super) fn add(&mut self, stream: StreamId, len: usize) {
        let spare = &mut self.spare;
        let flight = self.streams.entry(stream).or_insert_with(|| spare.pop().unwrap_or_default());
        self.counted -= flight.counted();
        flight.push(len);
        self.counted += flight.counted();
        self.bytes += len;
        self.messages += 1;
    }

    /// Counts again, with `unacked` telling a stream's payload bytes inside.
    pub(super) fn refresh(&mut self, mut unacked: impl FnMut(StreamId) -> usize) {
        self.messages = 0;
        self.bytes = 0;
        self.counted = 0;
        self.streams.retain(|stream, flight| {
            flight.set_unacked(unacked(*stream));
            self.messages += flight.lengths.len();
            self.bytes += flight.unacked;
            self.counted += flight.counted();
            let in_use = !flight.lengths.is_empty();
            if !in_use {
                self.spare.push(std::mem::take(flight));
            }
            in_use
        });
    }

    /// Gives back what nothing needs at the moment.
    pub(super) fn trim(&mut self) {
        self.spare = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_go_in_up_to_the_budget_and_again_once_acknowledged() {
        let mut flight = Flight::default();
        while flight.admits(1000) == Admittance::Now {
            flight.add(1, 1000);
        }
        assert_eq!(flight.bytes, BUDGET / charge(1000) * 1000);
        flight.refresh(|_| 500);
        assert_eq!(flight.messages, 1);
        assert_eq!(flight.admits(1000), Admittance::Now);
        flight.refresh(|_| 0);
        assert!(flight.streams.is_empty());
    }

    #[test]
    fn tiny_messages_are_bounded_by_their_number() {
        let mut flight = Flight::default();
        let mut count = 0;
        while flight.admits(1) == Admittance::Now {
            flight.add(7, 1);
            count += 1;
        }
        assert!(count <= BUDGET / 64, "{count} messages");
    }

    #[test]
    fn a_large_message_leaves_half_of_the_budget_to_others() {
        let mut flight = Flight::default();
        assert_eq!(flight.admits(262_144), Admittance::Now);
        flight.add(1, 262_144);
        assert_eq!(flight.admits(262_144), Admittance::Smaller);
        let mut others = 0;
        while flight.admits(1000) == Admittance::Now {
            flight.add(2, 1000);
            others += 1000;
        }
        assert!(others > BUDGET / 3, "{others} bytes");
        flight.refresh(|stream| if stream == 1 { LARGE } else { 0 });
        assert_eq!(flight.admits(262_144), Admittance::Now);
    }
}
