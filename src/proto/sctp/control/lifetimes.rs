//! Partial reliability (RFC 3758, RFC 7496): when a message is given up, and what happens to its chunks.
//!
//! A message expires if none of it has been sent when its lifetime ends. It is abandoned if part of it has been sent,
//! and the rest may no longer be sent or lost chunks may not be retransmitted. At the end of its lifetime the peer is
//! asked to skip a message even if all of its chunks are on their way, so that a lost one delays no other message. Such
//! a message counts as abandoned only if it may not have arrived.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::counters::MessageTally;
use super::super::wire::before;
use super::outgoing::{Cut, SendLimit};
use super::scoreboard::{ChunkProgress, Scoreboard};

/// The heap keeps at most this many outdated deadlines, plus one for each message.
const MAX_FORGOTTEN: usize = 64;

/// A message with a limit, some of whose chunks have a TSN. Its TSNs are consecutive.
#[derive(Debug)]
struct LimitedMessage {
    len: usize,
    limit: SendLimit,
    first: u32,
    /// The TSN of the last chunk so far.
    last: u32,
    /// Whether that chunk ends the message.
    is_whole: bool,
    /// Whether a chunk of it was sent.
    begun: bool,
    /// When it was given up.
    given_up: Option<Instant>,
    /// Whether all of its chunks were on their way then, so that it may still arrive.
    may_arrive: bool,
}

impl LimitedMessage {
    /// Whether an acknowledgement at `now` may answer the FORWARD-TSN. One that comes much sooner than the shortest
    /// `round_trip` does not.
    fn may_be_skipped(&self, now: Instant, round_trip: Duration) -> bool {
        self.given_up.is_some_and(|at| now >= at + round_trip * 3 / 4)
    }
}

/// The messages of one association.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    /// In the order of their TSNs.
    limited: VecDeque<LimitedMessage>,
    /// The deadlines of `limited`, the earliest on top, each with the first TSN of its message. Some are outdated:
    /// their messages are no longer there.
    deadlines: BinaryHeap<Reverse<(Instant, u32)>>,
    pub(super) expired: MessageTally,
    pub(super) abandoned: MessageTally,
}

impl Lifetimes {
    /// A chunk has got its TSN.
    pub(super) fn on_cut(&mut self, tsn: u32, cut: &Cut) {
        let is_whole = cut.chunk.ends();
        if cut.chunk.begins() {
            let Some(limit) = cut.limit else { return };
            if let SendLimit::Deadline(at) = limit {
                self.deadlines.push(Reverse((at, tsn)));
            }
            self.limited.push_back(LimitedMessage {
                len: cut.rest,
                limit,
                first: tsn,
                last: tsn,
                is_whole,
                begun: false,
                given_up: None,
                may_arrive: false,
            });
        } else if let Some(message) = self.limited.back_mut()
            && !message.is_whole
        {
            message.last = tsn;
            message.is_whole = is_whole;
        }
    }

    /// Whether the message that is being cut is given up.
    pub(super) fn has_given_up_current(&self) -> bool {
        self.limited.back().is_some_and(|message| !message.is_whole && message.given_up.is_some())
    }

    fn find(&self, tsn: u32) -> Option<usize> {
        let after = self.limited.partition_point(|message| !before(tsn, message.first));
        let index = after.checked_sub(1)?;
        (!before(self.limited.get(index)?.last, tsn)).then_some(index)
    }

    /// A chunk is sent.
    pub(super) fn on_sent(&mut self, tsn: u32) {
        if let Some(message) = self.find(tsn).and_then(|index| self.limited.get_mut(index)) {
            message.begun = true;
        }
    }

    /// Whether chunk `tsn`, which has been sent `transmissions` times, may be sent once more.
    pub(super) fn allows(&self, now: Instant, tsn: u32, transmissions: u32) -> bool {
        match self.find(tsn).and_then(|index| self.limited.get(index)) {
            None => true,
            Some(message) if message.given_up.is_some() => false,
            Some(message) => match message.limit {
                SendLimit::Deadline(at) => now < at,
                SendLimit::Retransmits(count) => transmissions <= u32::from(count),
            },
        }
    }

    /// `tsn` is lost: gives its message up if it may not be sent again.
    pub(super) fn on_lost(&mut self, now: Instant, tsn: u32, board: &mut Scoreboard) {
        let Some(index) = self.find(tsn) else { return };
        if let Some(message) = self.limited.get_mut(index)
            && std::mem::take(&mut message.may_arrive)
        {
            self.abandoned.add(MessageTally::one(message.len));
        }
        let entry = board.position(tsn).and_then(|it| board.get(it));
        if !self.allows(now, tsn, entry.map_or(0, |it| it.transmissions())) {
            self.give_up(now, index, board);
        }
    }

    /// Gives up the messages whose lifetime is over.
    pub(super) fn expire(&mut self, now: Instant, board: &mut Scoreboard) {
        while let Some(Reverse((at, first))) = self.deadlines.peek()
            && *at <= now
        {
            let found = self.find(*first);
            self.deadlines.pop();
            let Some(index) = found else { continue };
            let Some(message) = self.limited.get(index).filter(|it| it.given_up.is_none()) else {
                continue;
            };
            let is_pending = |position| {
                let progress = board.get(position).map(|entry| entry.progress);
                matches!(progress, Some(ChunkProgress::Waiting | ChunkProgress::Lost))
            };
            if !message.is_whole || positions(message, board).any(is_pending) {
                self.give_up(now, index, board);
            } else {
                self.skip(now, index, board);
            }
        }
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// Gives up a message whose chunks are all on their way: the peer is asked to skip it.
    fn skip(&mut self, now: Instant, index: usize, board: &mut Scoreboard) {
        let Some(message) = self.limited.get_mut(index) else { return };
        message.given_up = Some(now);
        message.may_arrive = true;
        for position in positions(message, board) {
            abandon(board, position);
        }
    }

    fn give_up(&mut self, now: Instant, index: usize, board: &mut Scoreboard) {
        let message = self.limited.get_mut(index).filter(|it| it.given_up.is_none());
        let Some(message) = message else { return };
        message.given_up = Some(now);
        let tally = if message.begun { &mut self.abandoned } else { &mut self.expired };
        tally.add(MessageTally::one(message.len));
        for position in positions(message, board) {
            abandon(board, position);
        }
    }

    /// Whether the chunk `tsn` may be acknowledged now only because the peer was asked to skip it.
    pub(super) fn may_be_skipped(&self, now: Instant, tsn: u32, round_trip: Duration) -> bool {
        let message = self.find(tsn).and_then(|index| self.limited.get(index));
        message.is_some_and(|it| it.may_be_skipped(now, round_trip))
    }

    /// The peer has acknowledged all TSNs up to `tsn`. `round_trip`: the shortest one.
    pub(super) fn on_cumulative(&mut self, now: Instant, tsn: u32, round_trip: Duration) {
        if self.limited.is_empty() {
            return;
        }
        while let Some(message) = self.limited.front()
            && message.is_whole
            && !before(tsn, message.last)
        {
            if message.may_arrive && message.may_be_skipped(now, round_trip) {
                self.abandoned.add(MessageTally::one(message.len));
            }
            self.limited.pop_front();
        }
        self.forget_deadlines();
    }

    /// Removes outdated deadlines: the earliest at once, the others when there are many.
    fn forget_deadlines(&mut self) {
        let Some(first) = self.limited.front().map(|message| message.first) else {
            return self.deadlines.clear();
        };
        while self.deadlines.peek().is_some_and(|Reverse((_, tsn))| before(*tsn, first)) {
            self.deadlines.pop();
        }
        if self.deadlines.len() > 2 * self.limited.len() + MAX_FORGOTTEN {
            self.deadlines.retain(|Reverse((_, tsn))| !before(*tsn, first));
        }
    }

    pub(super) fn trim(&mut self) {
        self.limited.shrink_to(0);
        self.deadlines.shrink_to(0);
    }

    /// How many messages are known.
    #[cfg(any(test, fuzzing))]
    pub(super) fn held(&self) -> usize {
        self.limited.len()
    }
}

/// The positions of a message's chunks in the ring.
fn positions(message: &LimitedMessage, board: &Scoreboard) -> std::ops::Range<usize> {
    let end = board.position(message.last).map_or(0, |last| last + 1);
    let begin = board.position(message.first).unwrap_or(0);
    begin.min(end)..end
}

/// Marks a chunk of a message that is given up, and releases its payload.
pub(super) fn abandon(board: &mut Scoreboard, position: usize) {
    board.update(position, |entry| {
        entry.abandoned = true;
        entry.chunk.payload = Bytes::new();
        if matches!(entry.progress, ChunkProgress::Waiting | ChunkProgress::Lost) {
            entry.progress = ChunkProgress::Dropped;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::Outgoing;
    use super::super::testing::{Bench, SEGMENT, ms, tsns};
    use super::*;

    #[test]
    fn one_tsn_stands_for_what_was_not_cut_of_a_message_that_is_given_up() {
        let mut bench = Bench::new(ms(50));
        let deadline = SendLimit::Deadline(bench.now + ms(40));
        bench.sack_with(0, SEGMENT as u32, &[], &[]);
        bench.write(5 * SEGMENT, Some(deadline));
        assert_eq!(tsns(&bench.send()), [1]);
        let sent = bench.pass(ms(45));
        let skips: Vec<_> = sent.iter().filter_map(|(_, packet)| packet.skips_to).collect();
        assert_eq!(skips, [3], "one was sent, one waited, and one is the rest");
        bench.sack(3, &[], &[]);
        assert_eq!(bench.control.poll_timeout(), None, "nothing is left to do");
        let abandoned = bench.control.given_up().1;
        assert_eq!(abandoned, MessageTally { messages: 1, bytes: 5 * SEGMENT as u64 });
    }

    #[test]
    fn a_repetition_counts_as_a_retransmission() {
        let mut bench = Bench::new(ms(50));
        bench.write(100, Some(SendLimit::Retransmits(1)));
        bench.send();
        bench.now += ms(1);
        let sent = bench.write_and_send(1, 100);
        assert_eq!(tsns(&sent), [1, 2], "the second packet repeats the first chunk");
        bench.write_and_send(2, 1000);
        bench.now += ms(50);
        // Neither TSN 1 nor 2 has arrived; later chunks have.
        let mut sent = bench.sack(0, &[(3, 4)], &[]);
        sent.extend(bench.pass(ms(1000)).into_iter().map(|(_, packet)| packet));
        assert!(tsns(&sent).contains(&2) && !tsns(&sent).contains(&1), "{sent:?}");
        assert_eq!(bench.control.given_up().1.messages, 1);
    }

    fn tallies(bench: &Bench) -> (u64, u64) {
        let (expired, abandoned) = bench.control.given_up();
        (expired.messages, abandoned.messages)
    }

    #[test]
    fn a_message_of_which_nothing_was_sent_expires_and_one_that_was_begun_is_abandoned() {
        let mut bench = Bench::new(ms(50));
        bench.sack_with(0, 2 * SEGMENT as u32, &[], &[]);
        let limit = Some(SendLimit::Deadline(bench.now + ms(30)));
        bench.write(3000, limit);
        bench.write(100, limit);
        assert_eq!(tsns(&bench.send()), [1, 2], "the window of the peer is full");
        bench.pass(ms(29));
        assert_eq!(tallies(&bench), (0, 0));
        let sent = bench.pass(ms(2));
        assert_eq!(tallies(&bench), (1, 1));
        assert_eq!(sent[0].1.skips_to, Some(4));
        let late: Vec<_> = sent.into_iter().chain(bench.pass(ms(5000))).collect();
        assert!(late.iter().all(|(_, packet)| packet.tsns.is_empty()), "{late:?}");
    }

    #[test]
    fn what_is_on_its_way_at_the_end_of_its_lifetime_counts_by_its_acknowledgement() {
        for (after, abandoned) in [(ms(20), 0), (ms(60), 1)] {
            let mut bench = Bench::new(ms(50));
            bench.write(100, Some(SendLimit::Deadline(bench.now + ms(30))));
            bench.send();
            bench.pass(ms(30));
            assert_eq!(tallies(&bench), (0, 0));
            bench.now += after;
            bench.sack(1, &[], &[]);
            assert_eq!(tallies(&bench), (0, abandoned), "{after:?} after the end");
        }
    }

    #[test]
    fn a_chunk_is_sent_again_as_often_as_its_message_allows() {
        for count in [0, 1, 3, 300] {
            let mut bench = Bench::new(ms(50));
            bench.write(1000, Some(SendLimit::Retransmits(count)));
            bench.send();
            let sent = bench.pass(ms(3_000_000));
            let again = tsns(sent.iter().map(|(_, packet)| packet));
            assert_eq!(again, vec![1; count.into()]);
            assert_eq!(tallies(&bench), (0, 1));
            assert_eq!(sent.last().unwrap().1.skips_to, Some(1));
        }
    }

    #[test]
    fn what_is_given_up_gives_its_memory_back_although_the_peer_skips_nothing() {
        let mut bench = Bench::new(ms(50));
        let payload = Bytes::from(vec![0; 5 * SEGMENT]);
        let limit = Some(SendLimit::Deadline(bench.now + ms(20)));
        let message =
            Outgoing { stream: 7, ppid: 53, payload: payload.clone(), ordered: true, limit };
        bench.control.write(message);
        assert_eq!(tsns(&bench.send()), [1, 2, 3, 4, 5]);
        bench.sack(0, &[(2, 2)], &[]);
        assert!(!payload.is_unique());
        bench.pass(ms(20));
        assert!(payload.is_unique());
        assert!(!bench.control.is_empty());
    }

    #[test]
    fn the_deadlines_of_messages_that_are_gone_are_forgotten() {
        let mut bench = Bench::new(ms(50));
        for count in 0..2000 {
            let deadline = SendLimit::Deadline(bench.now + ms(60_000 - 2 * u64::from(count)));
            bench.write(100, Some(deadline));
            bench.send();
            bench.now += ms(1);
            // One message is always there, and its deadline is the earliest.
            bench.sack(count, &[], &[]);
            assert!(bench.control.lifetimes.deadlines.len() <= 2 + MAX_FORGOTTEN);
        }
        bench.sack(2000, &[], &[]);
        assert_eq!(bench.control.poll_timeout(), None);
    }
}
