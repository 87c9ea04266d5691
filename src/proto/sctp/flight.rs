//! How many bytes of an association may be inside sctp-proto at a time.
//!
//! The work of sctp-proto per packet grows with the bytes in flight, so only a window's worth leaves
//! the send queues. The budget counts what the peer has not acknowledged, plus 64 bytes per message.
//! A second bound counts TSNs, for a peer that acknowledges all of them but the first.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::proto::message::{StreamId, charge};

/// The charged bytes that may be inside sctp-proto: 128 KiB fill a path of 20 Mbit/s at a round trip of
/// 50 ms.
const BUDGET: usize = 128 * 1024;

/// The payload bytes that sctp-proto may hold unsent. They are enough to fill a window that some
/// acknowledgements have opened, and to show sctp-proto that more is pending: otherwise it does not
/// widen the window. The limit is no higher, because unsent messages delay those of other streams.
const UNSENT: usize = 8 * 1024;

/// The payload bytes that sctp-proto holds and has not sent, because the window is full.
#[derive(Debug, Default)]
pub(super) struct UnsentBytes {
    ordered: usize,
    unordered: usize,
}

impl UnsentBytes {
    pub(super) fn add(&mut self, ordered: bool, len: usize) {
        *self.of(ordered) += len;
    }

    pub(super) fn remove(&mut self, ordered: bool, len: usize) {
        let bytes = self.of(ordered);
        *bytes = bytes.saturating_sub(len);
    }

    /// Lowers the counts to `bytes`, all that sctp-proto holds: they are too high after sctp-proto has
    /// given up the rest of a message.
    fn limit(&mut self, bytes: usize) {
        self.ordered = self.ordered.min(bytes);
        self.unordered = self.unordered.min(bytes);
    }

    /// Whether everything has been sent.
    pub(super) fn is_empty(&self) -> bool {
        self.ordered == 0 && self.unordered == 0
    }

    /// Whether a message may be added. sctp-proto sends unordered messages first, so they wait until
    /// the ordered ones have been sent.
    pub(super) fn admits(&self, ordered: bool, len: usize) -> Admittance {
        if self.is_empty() {
            Admittance::Now
        } else if len > UNSENT {
            Admittance::OnlySmaller
        } else if self.ordered + self.unordered + len > UNSENT || (!ordered && self.ordered > 0) {
            Admittance::Full
        } else {
            Admittance::Now
        }
    }

    fn of(&mut self, ordered: bool) -> &mut usize {
        if ordered { &mut self.ordered } else { &mut self.unordered }
    }
}

/// No message is admitted while the peer leaves this many TSNs unacknowledged cumulatively: twice as
/// many as the budget admits at once if every message is tiny. A TSN that is acknowledged beyond a gap
/// counts no payload bytes, but takes 200 bytes of state and is scanned with the others.
const MAX_TSNS: u32 = 2 * (BUDGET / 64) as u32;

/// Whether a message may go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admittance {
    /// The message may go in.
    Now,
    /// The message is too large for the room that is left; a smaller one may go in.
    OnlySmaller,
    /// No message may go in.
    Full,
}

#[derive(Debug, Default)]
struct StreamFlight {
    /// Payload lengths of the messages inside sctp-proto, oldest first.
    lengths: VecDeque<u32>,
    /// The sum of all `lengths`, and of those that are not large.
    written: usize,
    written_small: usize,
    /// Payload bytes that are not acknowledged.
    unacked: usize,
}

impl StreamFlight {
    fn push(&mut self, len: usize, large: usize) {
        self.lengths.push_back(u32::try_from(len).unwrap_or(u32::MAX));
        self.written += len;
        self.unacked += len;
        if len <= large {
            self.written_small += len;
        }
    }

    fn pop(&mut self, large: usize) {
        let len = self.lengths.pop_front().map_or(0, |len| len as usize);
        self.written -= len;
        if len <= large {
            self.written_small -= len;
        }
    }

    /// Removes the messages that are acknowledged when `unacked` bytes are not. sctp-proto counts
    /// acknowledgements in bytes only, so the oldest messages are taken to be the acknowledged ones. The
    /// result is exact whenever the stream is empty.
    fn set_unacked(&mut self, unacked: usize, large: usize) {
        self.unacked = unacked.min(self.written);
        while let Some(&oldest) = self.lengths.front()
            && (self.written - self.unacked >= oldest as usize || self.unacked == 0)
        {
            self.pop(large);
        }
    }

    /// What the stream uses of the budget.
    fn counted(&self, large: usize) -> usize {
        self.unacked.min(self.written_small + large)
    }
}

/// The bytes inside sctp-proto, per stream.
#[derive(Debug)]
pub(super) struct Flight {
    budget: usize,
    streams: FxHashMap<StreamId, StreamFlight>,
    /// Empty entries, which the next streams that send reuse.
    spare: Vec<StreamFlight>,
    messages: usize,
    /// Unacknowledged payload bytes.
    bytes: usize,
    /// Unacknowledged payload bytes, in which a large message counts as [`Self::large`].
    counted: usize,
    /// TSNs not acknowledged cumulatively.
    tsns: u32,
}

impl Default for Flight {
    fn default() -> Self {
        Self::with_budget(BUDGET)
    }
}

impl Flight {
    /// Makes a flight with another budget than [`BUDGET`].
    pub(super) fn with_budget(budget: usize) -> Self {
        Self {
            budget,
            streams: FxHashMap::default(),
            spare: Vec::new(),
            messages: 0,
            bytes: 0,
            counted: 0,
            tsns: 0,
        }
    }

    /// A message over this size is admitted only if no more than this is inside, and counts as this
    /// much. So one large message leaves half of the budget to the other streams. They use it once
    /// its last fragment has been sent; until then SCTP without I-DATA sends nothing else.
    fn large(&self) -> usize {
        self.budget / 2
    }

    /// Whether a message of `len` payload bytes is admitted now.
    pub(super) fn admits(&self, len: usize) -> Admittance {
        if self.tsns >= MAX_TSNS {
            Admittance::Full
        } else if len > self.large() {
            if self.bytes <= self.large() { Admittance::Now } else { Admittance::OnlySmaller }
        } else if self.messages == 0
            || self.counted + 64 * self.messages + charge(len) <= self.budget
        {
            Admittance::Now
        } else {
            Admittance::Full
        }
    }

    /// The charge of the messages inside, as far as they are not acknowledged.
    pub(super) fn charge(&self) -> usize {
        self.bytes + 64 * self.messages
    }

    /// Corrects the count of unsent bytes.
    pub(super) fn limit(&self, unsent: &mut UnsentBytes) {
        unsent.limit(self.bytes);
    }

    /// Counts a message that was admitted.
    pub(super) fn add(&mut self, stream: StreamId, len: usize) {
        let large = self.large();
        let spare = &mut self.spare;
        let flight = self.streams.entry(stream).or_insert_with(|| spare.pop().unwrap_or_default());
        self.counted -= flight.counted(large);
        flight.push(len, large);
        self.counted += flight.counted(large);
        self.bytes += len;
        self.messages += 1;
    }

    /// Counts again. `tsns`: how many the peer has not acknowledged cumulatively. `unacked` returns
    /// a stream's unacknowledged payload bytes.
    pub(super) fn refresh(&mut self, tsns: u32, mut unacked: impl FnMut(StreamId) -> usize) {
        let large = self.large();
        self.tsns = tsns;
        self.messages = 0;
        self.bytes = 0;
        self.counted = 0;
        self.streams.retain(|stream, flight| {
            flight.set_unacked(unacked(*stream), large);
            self.messages += flight.lengths.len();
            self.bytes += flight.unacked;
            self.counted += flight.counted(large);
            let in_use = !flight.lengths.is_empty();
            if !in_use {
                self.spare.push(std::mem::take(flight));
            }
            in_use
        });
    }

    /// Releases memory that is not in use.
    pub(super) fn trim(&mut self) {
        self.spare = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_are_admitted_up_to_the_budget_and_again_once_acknowledged() {
        let mut flight = Flight::default();
        while flight.admits(1000) == Admittance::Now {
            flight.add(1, 1000);
        }
        assert_eq!(flight.bytes, BUDGET / charge(1000) * 1000);
        flight.refresh(0, |_| 500);
        assert_eq!(flight.messages, 1);
        assert_eq!(flight.admits(1000), Admittance::Now);
        flight.refresh(0, |_| 0);
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
    fn nothing_is_admitted_while_too_many_tsns_wait_for_a_missing_one() {
        let mut flight = Flight::default();
        flight.refresh(MAX_TSNS, |_| 0);
        assert_eq!(flight.admits(1), Admittance::Full);
        assert_eq!(flight.admits(262_144), Admittance::Full);
        flight.refresh(MAX_TSNS - 1, |_| 0);
        assert_eq!(flight.admits(1), Admittance::Now);
    }

    #[test]
    fn a_large_message_leaves_half_of_the_budget_to_others() {
        let mut flight = Flight::default();
        assert_eq!(flight.admits(262_144), Admittance::Now);
        flight.add(1, 262_144);
        assert_eq!(flight.admits(262_144), Admittance::OnlySmaller);
        let mut others = 0;
        while flight.admits(1000) == Admittance::Now {
            flight.add(2, 1000);
            others += 1000;
        }
        assert!(others > BUDGET / 3, "{others} bytes");
        flight.refresh(0, |stream| if stream == 1 { BUDGET / 2 } else { 0 });
        assert_eq!(flight.admits(262_144), Admittance::Now);
    }
}
