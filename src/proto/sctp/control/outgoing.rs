//! Messages that have left the queues, and the DATA chunks that they become (RFC 9260 §6.9).
//!
//! A chunk is cut only when it is about to leave: chunks with a TSN delay the messages of other streams, and a message
//! that expires first needs no TSN. Messages leave in the order in which they came, which the queues have decided,
//! because receivers without I-DATA need the chunks of a message in a row.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::super::wire::flag;
use super::scoreboard::StoredChunk;
use crate::proto::message::StreamId;

/// How long a message is worth sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum SendLimit {
    /// No chunk of it is sent from this time on.
    Deadline(Instant),
    /// Each chunk is retransmitted at most this often.
    Retransmits(u16),
}

/// A message on its way from the queue to its TSNs.
#[derive(Debug)]
pub(in super::super) struct Outgoing {
    pub(in super::super) stream: StreamId,
    pub(in super::super) ppid: u32,
    /// Not empty.
    pub(in super::super) payload: Bytes,
    pub(in super::super) ordered: bool,
    pub(in super::super) limit: Option<SendLimit>,
}

/// A message of which some chunks may have been cut.
#[derive(Debug)]
struct Uncut {
    message: Outgoing,
    /// Whether it counts as a large one.
    is_large: bool,
    /// The stream sequence number, if the message is ordered.
    sequence: u16,
    begun: bool,
}

impl Uncut {
    /// Makes a chunk of `payload`. `rest`: the bytes from its beginning to the end of the message.
    fn cut(&self, payload: Bytes, ends: bool, rest: usize) -> Cut {
        let Outgoing { stream, ppid, ordered, limit, .. } = self.message;
        let flags = if self.begun { 0 } else { flag::BEGIN }
            | if ends { flag::END } else { 0 }
            | if ordered { 0 } else { flag::UNORDERED };
        let chunk = StoredChunk { payload, ppid, stream, sequence: self.sequence, flags };
        Cut { chunk, is_large: self.is_large, limit, rest }
    }
}

/// A chunk that was cut off a message.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) chunk: StoredChunk,
    pub(super) is_large: bool,
    /// The limit of its message, and the payload bytes of the message from this chunk on.
    pub(super) limit: Option<SendLimit>,
    pub(super) rest: usize,
}

/// The messages of one association, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct OutgoingMessages {
    /// The first one may have been cut in part.
    queue: VecDeque<Uncut>,
    /// The next stream sequence numbers, except those that are 0.
    sequences: FxHashMap<StreamId, u16>,
    /// How many have been written.
    pub(super) written: u64,
    /// The payload that has not been cut yet.
    pub(super) bytes: usize,
    /// The part of it that belongs to large messages.
    pub(super) large: usize,
}

impl OutgoingMessages {
    pub(super) fn push(&mut self, message: Outgoing, is_large: bool) {
        let len = message.payload.len();
        self.written += 1;
        self.bytes += len;
        self.large += if is_large { len } else { 0 };
        self.queue.push_back(Uncut { message, is_large, sequence: 0, begun: false });
    }

    /// How many messages have not been cut to their end.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.queue.iter().any(|it| it.message.stream == stream)
    }

    /// The stream has been reset: its sequence numbers begin with 0 (RFC 6525 §5.1.2).
    pub(super) fn restart(&mut self, stream: StreamId) {
        self.sequences.remove(&stream);
    }

    /// Removes the next message if its deadline has come and none of its chunks has been cut. Returns its length.
    pub(super) fn pop_late(&mut self, now: Instant) -> Option<usize> {
        let first = self.queue.front()?;
        let limit = first.message.limit.filter(|_| !first.begun);
        if !matches!(limit, Some(SendLimit::Deadline(at)) if at <= now) {
            return None;
        }
        let late = self.queue.pop_front()?;
        let len = late.message.payload.len();
        self.discount(len, late.is_large);
        Some(len)
    }

    /// Cuts the next chunk, of at most `max` payload bytes.
    pub(super) fn cut(&mut self, max: usize) -> Option<Cut> {
        let first = self.queue.front_mut()?;
        if first.message.ordered && !first.begun {
            let next = self.sequences.entry(first.message.stream).or_default();
            first.sequence = *next;
            *next = next.wrapping_add(1);
        }
        let rest = first.message.payload.len();
        let ends = rest <= max;
        let payload = &mut first.message.payload;
        let payload = if ends { std::mem::take(payload) } else { payload.split_to(max) };
        let cut = first.cut(payload, ends, rest);
        first.begun = true;
        self.discount(cut.chunk.payload.len(), cut.is_large);
        if ends {
            self.queue.pop_front();
        }
        Some(cut)
    }

    /// Gives up the message that is being cut. One TSN stands for the rest, so that the peer sees no message begin
    /// before the last one has ended.
    pub(super) fn cut_off(&mut self) -> Option<Cut> {
        let uncut = self.queue.pop_front()?;
        let rest = uncut.message.payload.len();
        self.discount(rest, uncut.is_large);
        Some(uncut.cut(Bytes::new(), true, rest))
    }

    fn discount(&mut self, len: usize, is_large: bool) {
        self.bytes -= len;
        self.large -= if is_large { len } else { 0 };
    }

    pub(super) fn trim(&mut self) {
        self.queue.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::sctp::testing::start;

    fn message(stream: StreamId, len: usize, ordered: bool) -> Outgoing {
        let payload = (0..len).map(|byte| byte as u8).collect::<Vec<_>>().into();
        Outgoing { stream, ppid: 51, payload, ordered, limit: None }
    }

    #[test]
    fn a_message_becomes_chunks_that_begin_and_end_it() {
        let mut messages = OutgoingMessages::default();
        messages.push(message(7, 250, true), false);
        let cuts: Vec<_> = std::iter::from_fn(|| messages.cut(100)).collect();
        let flags: Vec<_> = cuts.iter().map(|cut| cut.chunk.flags).collect();
        assert_eq!(flags, [flag::BEGIN, 0, flag::END]);
        let payload: Vec<u8> = cuts.iter().flat_map(|cut| cut.chunk.payload.to_vec()).collect();
        assert_eq!(payload, message(7, 250, true).payload);
        assert_eq!(cuts.iter().map(|cut| cut.rest).collect::<Vec<_>>(), [250, 150, 50]);
        messages.push(message(7, 100, false), false);
        let whole = flag::BEGIN | flag::END | flag::UNORDERED;
        assert_eq!(messages.cut(100).map(|cut| cut.chunk.flags), Some(whole));
        assert!(messages.cut(100).is_none());
    }

    #[test]
    fn ordered_messages_of_a_stream_are_numbered_until_it_is_reset() {
        let mut messages = OutgoingMessages::default();
        let mut number = |stream, ordered, len| {
            messages.push(message(stream, len, ordered), false);
            let cuts: Vec<_> = std::iter::from_fn(|| messages.cut(100)).collect();
            let first = cuts[0].chunk.sequence;
            assert!(cuts.iter().all(|cut| cut.chunk.sequence == first), "of one message");
            if stream == 3 {
                messages.restart(3);
            }
            first
        };
        assert_eq!([1, 2, 1, 1].map(|stream| number(stream, true, 150)), [0, 0, 1, 2]);
        assert_eq!(number(1, false, 10), 0, "an unordered one has none");
        assert_eq!(number(1, true, 10), 3);
        assert_eq!([3, 3].map(|stream| number(stream, true, 10)), [0, 0]);
    }

    #[test]
    fn the_numbers_of_a_stream_begin_with_0_after_65_535() {
        let mut messages = OutgoingMessages::default();
        for expected in (0..=u16::MAX).chain(0..2) {
            messages.push(message(1, 1, true), false);
            assert_eq!(messages.cut(100).map(|cut| cut.chunk.sequence), Some(expected));
        }
    }

    #[test]
    fn one_empty_chunk_stands_for_what_is_cut_off() {
        let mut messages = OutgoingMessages::default();
        messages.push(message(7, 250, true), true);
        messages.push(message(7, 30, true), false);
        messages.cut(100);
        assert_eq!((messages.bytes, messages.large, messages.len()), (180, 150, 2));
        let cut = messages.cut_off().expect("the rest of it");
        assert_eq!((cut.chunk.payload.len(), cut.chunk.flags), (0, flag::END));
        assert_eq!((messages.bytes, messages.large, messages.len()), (30, 0, 1));
        assert_eq!(messages.cut(100).map(|cut| cut.chunk.sequence), Some(1));
        assert_eq!((messages.bytes, messages.written, messages.is_empty()), (0, 2, true));
    }

    #[test]
    fn a_message_is_late_only_as_long_as_nothing_of_it_was_cut() {
        let (now, mut messages) = (start(), OutgoingMessages::default());
        let limit = Some(SendLimit::Deadline(now + Duration::from_millis(10)));
        for _ in 0..2 {
            messages.push(Outgoing { limit, ..message(7, 150, true) }, false);
        }
        assert_eq!(messages.pop_late(now), None);
        messages.cut(100);
        let later = now + Duration::from_millis(10);
        assert_eq!(messages.pop_late(later), None);
        messages.cut(100);
        assert_eq!(messages.pop_late(later), Some(150));
        assert_eq!((messages.bytes, messages.len()), (0, 0));
    }
}
