//! What the peer has yet to acknowledge: every DATA chunk after its cumulative TSN, in a ring by TSN.
//!
//! ```text
//! Waiting ─ sent ─► Flying ─ reported beyond a gap ─► Arrived ─┐
//!    │               │  ▲                              ▲       ├─ cumulative TSN ─► out of the ring
//!    │      taken    ▼  │ sent again                   │       │
//!    │     for lost  Lost ─────────────────────────────┘       │
//!    └─ abandoned ─┬─┘                                         │
//!                  └─► Dropped ────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::super::wire::{DATA_HEADER, flag};
use super::rate::SentState;
use crate::proto::message::{StreamId, charge};

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkProgress {
    /// It has not been sent.
    Waiting,
    /// On its way, as far as is known.
    Flying,
    /// Marked lost, and to be sent again.
    Lost,
    /// It has arrived beyond a gap.
    Arrived,
    /// Abandoned, and neither on its way nor to be sent.
    Dropped,
}

/// A DATA chunk.
#[derive(Debug)]
pub(super) struct StoredChunk {
    /// Shares the memory of the message. Empty once the message is abandoned.
    pub(super) payload: Bytes,
    pub(super) ppid: u32,
    pub(super) stream: StreamId,
    /// The stream sequence number.
    pub(super) sequence: u16,
    pub(super) flags: u8,
}

impl StoredChunk {
    /// What it takes in a packet, padding included.
    pub(super) fn padded_len(&self) -> usize {
        DATA_HEADER + self.payload.len().next_multiple_of(4)
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.flags & flag::UNORDERED == 0
    }

    /// Whether it is the first of its message.
    pub(super) fn begins(&self) -> bool {
        self.flags & flag::BEGIN != 0
    }

    /// Whether it is the last of its message.
    pub(super) fn ends(&self) -> bool {
        self.flags & flag::END != 0
    }
}

/// One TSN.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) chunk: StoredChunk,
    /// Payload bytes.
    pub(super) len: u16,
    /// The payload bytes of older chunks that its packet carried as well. They are in flight with it.
    pub(super) extra: u16,
    pub(super) progress: ChunkProgress,
    /// Whether its message is abandoned.
    pub(super) abandoned: bool,
    /// Whether its message is a large one.
    is_large: bool,
    /// How often it was sent in its own place, not as a copy in a packet of newer chunks.
    pub(super) sends: u32,
    /// How often packets of newer chunks have carried a copy of it.
    pub(super) copies: u8,
    /// Whether the RTO marked it lost.
    pub(super) by_timeout: bool,
    /// When it was last sent in its own place.
    pub(super) sent_at: Instant,
    pub(super) state: SentState,
}

/// How a chunk that has arrived was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transmission {
    pub(super) len: usize,
    pub(super) sends: u32,
    pub(super) sent_at: Instant,
    pub(super) state: SentState,
}

impl Entry {
    pub(super) fn transmission(&self) -> Transmission {
        Transmission {
            len: self.len.into(),
            sends: self.sends,
            sent_at: self.sent_at,
            state: self.state,
        }
    }

    /// How often it was sent, copies included.
    pub(super) fn transmissions(&self) -> u32 {
        self.sends.saturating_add(self.copies.into())
    }

    /// Marks it lost.
    pub(super) fn lose(&mut self, by_timeout: bool) {
        self.progress = if self.abandoned { ChunkProgress::Dropped } else { ChunkProgress::Lost };
        self.extra = 0;
        self.by_timeout = by_timeout;
    }

    /// How many bytes it counts for while it is in flight.
    pub(super) fn weight(&self) -> usize {
        usize::from(self.len) + usize::from(self.extra)
    }

    /// Whether it is neither acknowledged nor abandoned.
    fn is_open(&self) -> bool {
        matches!(
            self.progress,
            ChunkProgress::Waiting | ChunkProgress::Flying | ChunkProgress::Lost
        )
    }
}

/// Sums over the ring, in payload bytes but for `arrived` and the numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ScoreboardTotals {
    pub(super) waiting: usize,
    pub(super) flying: usize,
    pub(super) lost: usize,
    /// The part of the three above that belongs to large messages.
    pub(super) large: usize,
    /// The number of messages in the three above.
    pub(super) messages: usize,
    pub(super) lost_chunks: usize,
    /// The charge of what has arrived beyond a gap. The peer may take it back, so it is kept.
    pub(super) arrived: usize,
    /// The part of it that belongs to large messages.
    pub(super) arrived_large: usize,
    pub(super) arrived_chunks: usize,
    pub(super) abandoned_chunks: usize,
    /// Flying chunks that were sent more than once.
    pub(super) resent_chunks: usize,
}

impl ScoreboardTotals {
    /// Changes the sums in which `entry` counts by its amounts.
    fn apply(&mut self, entry: &Entry, change: impl Fn(&mut usize, usize)) {
        let len = usize::from(entry.len);
        match entry.progress {
            ChunkProgress::Waiting => change(&mut self.waiting, len),
            ChunkProgress::Flying => {
                change(&mut self.flying, entry.weight());
                if entry.sends > 1 {
                    change(&mut self.resent_chunks, 1);
                }
            }
            ChunkProgress::Lost => {
                change(&mut self.lost, len);
                change(&mut self.lost_chunks, 1);
            }
            ChunkProgress::Arrived => {
                change(&mut self.arrived_chunks, 1);
                if !entry.abandoned {
                    let charge = if entry.chunk.ends() { charge(len) } else { len };
                    change(&mut self.arrived, charge);
                    if entry.is_large {
                        change(&mut self.arrived_large, charge);
                    }
                }
            }
            ChunkProgress::Dropped => {}
        }
        if entry.abandoned {
            change(&mut self.abandoned_chunks, 1);
        }
        if entry.is_open() {
            if entry.is_large {
                change(&mut self.large, len);
            }
            if entry.chunk.ends() {
                change(&mut self.messages, 1);
            }
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.apply(entry, |total, amount| *total += amount);
    }

    fn remove(&mut self, entry: &Entry) {
        self.apply(entry, |total, amount| *total = total.saturating_sub(amount));
    }
}

/// The ring keeps memory for this many chunks once all are acknowledged.
const KEPT: usize = 64;

/// The ring. Positions count from the first TSN that is not acknowledged.
#[derive(Debug)]
pub(super) struct Scoreboard {
    /// The TSN at position 0.
    first: u32,
    ring: VecDeque<Entry>,
    /// The position after the last chunk that was sent.
    sent: usize,
    /// There is no lost chunk before this position.
    lost_from: usize,
    /// All chunks before this position are abandoned.
    abandoned: usize,
    totals: ScoreboardTotals,
}

impl Scoreboard {
    pub(super) fn new(first: u32) -> Self {
        Self {
            first,
            ring: VecDeque::new(),
            sent: 0,
            lost_from: 0,
            abandoned: 0,
            totals: ScoreboardTotals::default(),
        }
    }

    pub(super) fn totals(&self) -> &ScoreboardTotals {
        &self.totals
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// The TSN that the peer has acknowledged cumulatively.
    pub(super) fn cumulative(&self) -> u32 {
        self.first.wrapping_sub(1)
    }

    /// The TSN of the next chunk.
    pub(super) fn next_tsn(&self) -> u32 {
        self.tsn(self.ring.len())
    }

    /// The position after the last chunk that was sent.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// The highest TSN that was sent.
    pub(super) fn highest_sent(&self) -> u32 {
        self.tsn(self.sent).wrapping_sub(1)
    }

    pub(super) fn tsn(&self, position: usize) -> u32 {
        // A ring has far fewer chunks than there are TSNs.
        self.first.wrapping_add(position as u32)
    }

    /// The position of `tsn`, if it is in the ring.
    pub(super) fn position(&self, tsn: u32) -> Option<usize> {
        let position = tsn.wrapping_sub(self.first) as usize;
        (position < self.ring.len()).then_some(position)
    }

    pub(super) fn get(&self, position: usize) -> Option<&Entry> {
        self.ring.get(position)
    }

    /// The chunks that were sent, with their positions, from the oldest on.
    pub(super) fn sent_entries(&self) -> impl DoubleEndedIterator<Item = (usize, &Entry)> {
        self.ring.range(..self.sent.min(self.ring.len())).enumerate()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.ring.iter()
    }

    /// Adds a chunk. Its TSN is the next one. Returns its position.
    pub(super) fn push(&mut self, now: Instant, chunk: StoredChunk, is_large: bool) -> usize {
        let entry = Entry {
            // Chunks fit a packet, so the length fits 16 bits.
            len: u16::try_from(chunk.payload.len()).unwrap_or(u16::MAX),
            chunk,
            extra: 0,
            progress: ChunkProgress::Waiting,
            abandoned: false,
            is_large,
            sends: 0,
            copies: 0,
            by_timeout: false,
            sent_at: now,
            state: SentState::default(),
        };
        self.totals.add(&entry);
        self.ring.push_back(entry);
        self.ring.len() - 1
    }

    /// The chunks at `positions`, with their TSNs.
    pub(super) fn numbered(
        &self,
        positions: impl Iterator<Item = usize>,
    ) -> impl Iterator<Item = (u32, &Entry)> {
        positions.filter_map(|it| Some((self.tsn(it), self.ring.get(it)?)))
    }

    /// The bytes that unsent chunks take in packets, without padding.
    pub(super) fn waiting_size(&self) -> usize {
        self.totals.waiting + DATA_HEADER * self.ring.len().saturating_sub(self.sent)
    }

    /// Changes a chunk, and the sums with it.
    pub(super) fn update(&mut self, position: usize, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.ring.get_mut(position) else { return };
        self.totals.remove(entry);
        change(entry);
        self.totals.add(entry);
        if entry.progress == ChunkProgress::Lost {
            self.lost_from = self.lost_from.min(position);
        }
    }

    /// Notes that everything before `position` has been sent or dropped.
    pub(super) fn advance_sent(&mut self, position: usize) {
        self.sent = self.sent.max(position);
    }

    /// Removes the chunk at position 0.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.ring.pop_front()?;
        self.totals.remove(&entry);
        self.first = self.first.wrapping_add(1);
        self.sent = self.sent.saturating_sub(1);
        self.lost_from = self.lost_from.saturating_sub(1);
        self.abandoned = self.abandoned.saturating_sub(1);
        if self.ring.is_empty() {
            self.ring.shrink_to(KEPT);
        }
        Some(entry)
    }

    /// The position of the first lost chunk.
    pub(super) fn first_lost(&mut self) -> Option<usize> {
        if self.totals.lost_chunks == 0 {
            return None;
        }
        let from = self.lost_from.min(self.ring.len());
        let found = self.ring.range(from..).position(|it| it.progress == ChunkProgress::Lost)?;
        self.lost_from = from + found;
        Some(self.lost_from)
    }

    /// The position of the first chunk that has not been sent and is not dropped.
    pub(super) fn first_waiting(&mut self) -> Option<usize> {
        while self.ring.get(self.sent)?.progress != ChunkProgress::Waiting {
            self.sent += 1;
        }
        Some(self.sent)
    }

    /// Whether the peer has yet to acknowledge something of `stream`.
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.ring.iter().any(|entry| entry.chunk.stream == stream)
    }

    /// Whether something of `stream` has neither arrived nor been given up.
    pub(super) fn is_under_way(&self, stream: StreamId) -> bool {
        let under_way = [ChunkProgress::Waiting, ChunkProgress::Flying, ChunkProgress::Lost];
        let mut entries = self.ring.iter().filter(|entry| entry.chunk.stream == stream);
        entries.any(|entry| !entry.abandoned && under_way.contains(&entry.progress))
    }

    /// How many chunks at the beginning of the ring are abandoned.
    pub(super) fn abandoned(&mut self) -> usize {
        if self.totals.abandoned_chunks > 0 {
            let rest = self.ring.range(self.abandoned.min(self.ring.len())..);
            self.abandoned += rest.take_while(|entry| entry.abandoned).count();
        }
        self.abandoned
    }

    /// Releases memory that is not in use.
    pub(super) fn trim(&mut self) {
        self.ring.shrink_to(0);
    }

    /// Panics unless the sums are those over the chunks.
    #[cfg(any(test, fuzzing))]
    pub(super) fn assert_sums(&self) {
        let mut totals = ScoreboardTotals::default();
        self.ring.iter().for_each(|entry| totals.add(entry));
        assert_eq!(self.totals, totals);
        assert!(self.sent <= self.ring.len(), "{} of {} are sent", self.sent, self.ring.len());
        let is_lost = |entry: &Entry| entry.progress == ChunkProgress::Lost;
        assert!(!self.ring.iter().take(self.lost_from).any(is_lost), "a loss is overlooked");
        assert!(self.ring.iter().take(self.abandoned).all(|entry| entry.abandoned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::testing::start;

    /// Chunks of 100 bytes, the first with TSN `first`.
    fn board(first: u32, count: usize) -> Scoreboard {
        let mut board = Scoreboard::new(first);
        for number in 0..count {
            let flags = if number % 2 == 1 { flag::END } else { flag::BEGIN };
            let payload = Bytes::from_static(&[0; 100]);
            let chunk = StoredChunk { payload, ppid: 53, stream: 7, sequence: 0, flags };
            board.push(start(), chunk, false);
        }
        board
    }

    fn set(board: &mut Scoreboard, position: usize, progress: ChunkProgress) {
        board.update(position, |entry| entry.progress = progress);
        board.advance_sent(position + 1);
        board.assert_sums();
    }

    #[test]
    fn a_chunk_counts_in_the_sum_of_its_progress() {
        let mut board = board(1, 2);
        let sums = |board: &Scoreboard| {
            let totals = board.totals();
            (totals.waiting, totals.flying, totals.lost, totals.arrived, totals.messages)
        };
        assert_eq!(sums(&board), (200, 0, 0, 0, 1));
        set(&mut board, 0, ChunkProgress::Flying);
        set(&mut board, 1, ChunkProgress::Flying);
        board.update(1, |entry| entry.extra = 50);
        assert_eq!(sums(&board), (0, 250, 0, 0, 1));
        board.update(1, |entry| entry.lose(false));
        assert_eq!(sums(&board), (0, 100, 100, 0, 1), "copies are not lost with their packet");
        set(&mut board, 1, ChunkProgress::Arrived);
        assert_eq!(sums(&board), (0, 100, 0, 164, 0), "the second chunk ends the message");
        assert_eq!(board.totals().arrived_chunks, 1);
        board.update(0, |entry| entry.abandoned = true);
        board.update(0, |entry| entry.lose(false));
        assert_eq!(board.get(0).map(|entry| entry.progress), Some(ChunkProgress::Dropped));
        assert_eq!(sums(&board), (0, 0, 0, 164, 0));
        assert_eq!((board.totals().abandoned_chunks, board.abandoned()), (1, 1));
        while board.pop().is_some() {
            board.assert_sums();
        }
        assert_eq!(*board.totals(), ScoreboardTotals::default());
    }

    #[test]
    fn positions_and_tsns_agree_where_tsns_wrap() {
        let mut board = board(u32::MAX - 1, 4);
        assert_eq!((board.cumulative(), board.next_tsn()), (u32::MAX - 2, 2));
        let position = |board: &Scoreboard, tsn| board.position(tsn);
        assert_eq!(
            [u32::MAX - 1, u32::MAX, 0, 1].map(|tsn| position(&board, tsn)),
            [0, 1, 2, 3].map(Some)
        );
        assert_eq!([u32::MAX - 2, 2].map(|tsn| position(&board, tsn)), [None; 2]);
        (0..3).for_each(|position| set(&mut board, position, ChunkProgress::Flying));
        assert_eq!(board.highest_sent(), 0);
        board.pop();
        board.pop();
        assert_eq!(
            (board.cumulative(), board.highest_sent(), board.position(1)),
            (u32::MAX, 0, Some(1))
        );
    }

    #[test]
    fn the_first_lost_chunk_is_found_again_after_later_and_earlier_ones() {
        let mut board = board(1, 6);
        (0..6).for_each(|position| set(&mut board, position, ChunkProgress::Flying));
        assert_eq!(board.first_lost(), None);
        for (lost, first) in [(4, 4), (5, 4), (2, 2), (3, 2)] {
            set(&mut board, lost, ChunkProgress::Lost);
            assert_eq!(board.first_lost(), Some(first));
        }
        set(&mut board, 2, ChunkProgress::Flying);
        assert_eq!(board.first_lost(), Some(3));
        board.pop();
        assert_eq!(board.first_lost(), Some(2));
    }

    #[test]
    fn the_abandoned_chunks_that_begin_the_ring_are_counted_as_they_become_more_and_fewer() {
        let mut board = board(1, 6);
        let mut abandoned = |positions: &[usize], pops: usize| {
            for position in positions {
                board.update(*position, |entry| entry.abandoned = true);
            }
            (0..pops).for_each(|_| drop(board.pop()));
            let count = board.abandoned();
            board.assert_sums();
            count
        };
        assert_eq!(abandoned(&[1, 2], 0), 0);
        assert_eq!(abandoned(&[], 1), 2);
        assert_eq!(abandoned(&[2], 1), 2);
        assert_eq!(abandoned(&[], 3), 0);
    }

    #[test]
    fn what_was_given_up_before_it_was_sent_is_not_the_first_that_waits() {
        let mut board = board(1, 4);
        set(&mut board, 0, ChunkProgress::Flying);
        board.update(1, |entry| entry.progress = ChunkProgress::Dropped);
        assert_eq!((board.first_waiting(), board.sent()), (Some(2), 2));
        assert_eq!(board.waiting_size(), 2 * (100 + DATA_HEADER));
    }
}
