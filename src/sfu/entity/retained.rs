//! The last messages of a DataProducer, for the DataConsumers that come later.
//!
//! What is retained is always a suffix of what the DataProducer has routed: no message between two retained ones is
//! missing. So a message that cannot be retained leaves nothing retained.
//!
//! A new DataConsumer gets them over several turns if there are many: a replay. Until it has caught up, it gets live
//! messages from here as well, so that all come in order. While there are replays, messages that are no longer retained
//! are kept for them, up to twice the bounds:
//!
//! ```text
//! first                start              end
//!   │ for replays alone  │ retained         │
//! ```

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxRandomState};

use crate::proto::message::{Amount, Message};
use crate::sfu::contract::options::RetainOptions;
use crate::sfu::contract::parameters::DropCount;
use crate::sfu::id::DataConsumerKey;
use crate::sfu::memory::Memory;
use crate::sfu::subchannels::{Selector, amount};

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::sfu) struct Retained {
    bounds: RetainOptions,
    messages: RetainedMessages,
    /// The number of the first message that is retained.
    start: u64,
    /// The amount of the retained messages.
    amount: Amount,
    memory: Option<Arc<Memory>>,
    replays: FxHashMap<DataConsumerKey, Replay>,
}

/// The replays that are not over, by DataConsumer.
pub(in crate::sfu) type Replays = FxHashMap<DataConsumerKey, Replay>;

/// The messages that are kept, retained or for replays alone. They are numbered as they come.
#[derive(Debug, Default)]
pub(in crate::sfu) struct RetainedMessages {
    queue: VecDeque<RetainedMessage>,
    /// The number of the first message in `queue`.
    first: u64,
    charge: usize,
    /// The payload of all messages so far, kept or not.
    payload: u64,
}

/// A message that was routed at `since`.
#[derive(Debug)]
pub(in crate::sfu) struct RetainedMessage {
    pub(in crate::sfu) message: Message,
    pub(in crate::sfu) selector: Option<Arc<Selector>>,
    pub(in crate::sfu) since: Instant,
    /// The payload of all messages before it.
    payload_before: u64,
}

impl RetainedMessage {
    fn amount(&self) -> Amount {
        amount(&self.message, self.selector.as_deref())
    }
}

impl RetainedMessages {
    /// The number of the first message.
    pub(in crate::sfu) fn first(&self) -> u64 {
        self.first
    }

    /// The number of the next message.
    pub(in crate::sfu) fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    pub(in crate::sfu) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(in crate::sfu) fn get(&self, number: u64) -> Option<&RetainedMessage> {
        self.queue.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn push(
        &mut self,
        now: Instant,
        message: &Message,
        selector: Option<&Arc<Selector>>,
        amount: Amount,
    ) {
        self.queue.push_back(RetainedMessage {
            message: message.clone(),
            selector: selector.cloned(),
            since: now,
            payload_before: self.payload,
        });
        self.charge += amount.charge;
        self.payload += amount.payload as u64;
    }

    fn pop(&mut self) -> Option<RetainedMessage> {
        let oldest = self.queue.pop_front()?;
        self.first += 1;
        self.charge -= oldest.amount().charge;
        Some(oldest)
    }

    fn payload_before(&self, number: u64) -> u64 {
        self.get(number).map_or(self.payload, |it| it.payload_before)
    }

    /// Counts the messages with these numbers.
    pub(in crate::sfu) fn count(&self, numbers: &[Range<u64>]) -> DropCount {
        let mut count = DropCount::default();
        for Range { start, end } in numbers {
            count.messages += end - start;
            count.bytes += self.payload_before(*end) - self.payload_before(*start);
        }
        count
    }

    /// Groups the messages that have a selector and a number below `end` by their selectors.
    pub(in crate::sfu) fn select(&self, end: u64) -> Vec<Selected<'_>> {
        let mut all: Vec<Selected<'_>> = Vec::new();
        let mut places = HashMap::with_hasher(FxRandomState::default());
        for (number, message) in (self.first..end).zip(&self.queue) {
            let Some(selector) = &message.selector else { continue };
            let place = *places.entry(&**selector).or_insert_with(|| {
                all.push(Selected { selector, messages: vec![(0, 0)] });
                all.len() - 1
            });
            if let Some(selected) = all.get_mut(place) {
                let before = selected.messages.last().map_or(0, |(_, payload)| *payload);
                let payload = before + message.message.payload.len() as u64;
                selected.messages.push((number + 1, payload));
            }
        }
        all
    }
}

/// Messages with the same selector.
#[derive(Debug)]
pub(in crate::sfu) struct Selected<'a> {
    pub(in crate::sfu) selector: &'a Arc<Selector>,
    /// After each message, in order: the number after its own, and the payload of all messages here up to it. (0, 0)
    /// comes first.
    messages: Vec<(u64, u64)>,
}

impl Selected<'_> {
    /// Counts those of them that have these numbers.
    pub(in crate::sfu) fn count(&self, numbers: &[Range<u64>]) -> DropCount {
        let until = |end: u64| {
            let count = self.messages.partition_point(|(next, _)| *next <= end);
            let payload = self.messages.get(count.saturating_sub(1)).map_or(0, |it| it.1);
            (count as u64, payload)
        };
        let mut count = DropCount::default();
        for Range { start, end } in numbers {
            let (start, end) = (until(*start), until(*end));
            count.messages += end.0 - start.0;
            count.bytes += end.1 - start.1;
        }
        count
    }
}

impl Retained {
    pub(in crate::sfu) fn new(bounds: RetainOptions, memory: Option<Arc<Memory>>) -> Self {
        Self {
            bounds,
            messages: RetainedMessages::default(),
            start: 0,
            amount: Amount::default(),
            memory,
            replays: FxHashMap::default(),
        }
    }

    /// Retains a message that is routed now. Returns false if replays need so much that there is no room: make some by
    /// [`Self::forget_before`]. Never inlined: routing is fast without it.
    #[inline(never)]
    pub(in crate::sfu) fn push(
        &mut self,
        now: Instant,
        message: &Message,
        selector: Option<&Arc<Selector>>,
    ) -> bool {
        self.expire(now);
        let amount = amount(message, selector.map(AsRef::as_ref));
        while (self.exceeds(1, self.len(), self.amount.charge + amount.charge)) && self.forget() {}
        let is_too_large = amount.charge > self.bounds.bytes as usize;
        if is_too_large && self.replays.is_empty() {
            return true;
        }
        let (len, charge) = (self.messages.queue.len(), self.messages.charge + amount.charge);
        while self.exceeds(2, len, charge)
            || !self.memory.as_ref().is_none_or(|it| it.try_retain(amount.charge))
        {
            if !self.replays.is_empty() {
                return false;
            }
            if !self.forget() {
                return true;
            }
        }
        self.messages.push(now, message, selector, amount);
        if is_too_large {
            self.start = self.messages.end();
        } else {
            self.amount += amount;
        }
        true
    }

    /// Whether one message more, or this charge, exceeds this many times the bounds.
    fn exceeds(&self, times: usize, messages: usize, charge: usize) -> bool {
        messages >= times * self.bounds.messages as usize
            || charge > times * self.bounds.bytes as usize
    }

    /// Notes that the latest message was routed at `since` by the DataProducer that it comes from.
    pub(in crate::sfu) fn backdate(&mut self, since: Instant) {
        if let Some(latest) = self.messages.queue.back_mut() {
            latest.since = latest.since.min(since);
        }
    }

    /// Forgets the messages that are older than the bound.
    pub(in crate::sfu) fn expire(&mut self, now: Instant) {
        let Some(max_age) = self.bounds.max_age.map(|it| Duration::from_millis(it.into())) else {
            return;
        };
        let is_old = |it: &RetainedMessage| now.saturating_duration_since(it.since) > max_age;
        while self.messages.get(self.start).is_some_and(is_old) {
            self.forget();
        }
    }

    /// Forgets all messages.
    pub(in crate::sfu) fn clear(&mut self) {
        self.start = self.messages.end();
        self.amount = Amount::default();
        self.trim();
    }

    /// Forgets the oldest message. False if none is retained.
    fn forget(&mut self) -> bool {
        let Some(oldest) = self.messages.get(self.start) else { return false };
        self.amount -= oldest.amount();
        self.start += 1;
        self.trim();
        true
    }

    /// Forgets the messages before this one, which no replay needs any more.
    pub(in crate::sfu) fn forget_before(&mut self, number: u64) {
        while self.start < number && self.forget() {}
        self.pop_before(number);
    }

    /// Drops the messages that were kept for replays alone, if there are no replays.
    fn trim(&mut self) {
        if self.replays.is_empty() {
            self.pop_before(self.start);
        }
    }

    fn pop_before(&mut self, number: u64) {
        while self.messages.first < number
            && let Some(oldest) = self.messages.pop()
        {
            if let Some(memory) = &self.memory {
                memory.release_retained(oldest.amount().charge);
            }
        }
    }

    /// How many messages are retained.
    pub(in crate::sfu) fn len(&self) -> usize {
        (self.messages.end() - self.start) as usize
    }

    /// The payload of the retained messages.
    pub(in crate::sfu) fn payload(&self) -> usize {
        self.amount.payload
    }

    /// The charge of all messages that are kept.
    pub(in crate::sfu) fn charge(&self) -> usize {
        self.messages.charge
    }

    /// The number of the first message that is retained.
    pub(in crate::sfu) fn start(&self) -> u64 {
        self.start
    }

    pub(in crate::sfu) fn messages(&self) -> &RetainedMessages {
        &self.messages
    }

    pub(in crate::sfu) fn replays(&self) -> &Replays {
        &self.replays
    }

    /// The messages, and the DataConsumers that have not caught up.
    pub(in crate::sfu) fn parts(&mut self) -> (&RetainedMessages, &mut Replays) {
        (&self.messages, &mut self.replays)
    }

    /// Begins the replay of a DataConsumer. Returns false if nothing is retained.
    pub(in crate::sfu) fn begin_replay(&mut self, now: Instant, consumer: DataConsumerKey) -> bool {
        self.expire(now);
        if self.len() > 0 {
            self.replays.insert(consumer, Replay::new(self.start));
        }
        self.len() > 0
    }

    /// Ends the replay of a DataConsumer that has caught up or closed. Returns how many messages it has not got.
    pub(in crate::sfu) fn end_replay(&mut self, consumer: DataConsumerKey) -> u64 {
        let ended = self.replays.remove(&consumer);
        self.drop_unneeded();
        ended.map_or(0, |it| it.left(self.messages.end()))
    }

    /// Drops the messages that only replays which have been removed had needed.
    pub(in crate::sfu) fn drop_unneeded(&mut self) {
        if self.replays.is_empty() {
            self.replays = FxHashMap::default();
        }
        self.trim();
    }

    /// Notes that this DataConsumer has been paused or resumed.
    pub(in crate::sfu) fn pause_replay(&mut self, consumer: DataConsumerKey, paused: bool) {
        if let Some(replay) = self.replays.get_mut(&consumer) {
            replay.set_paused(paused, self.messages.end());
        }
    }

    /// Has the far end of a pipe clear what it retains, once this DataConsumer on the pipe has got all that is kept
    /// now. Returns false if it has got that already.
    pub(in crate::sfu) fn clear_behind(&mut self, consumer: DataConsumerKey) -> bool {
        let replay = self.replays.get_mut(&consumer);
        replay.map(|it| it.clear = Some(self.messages.end())).is_some()
    }

    /// How many messages this DataConsumer is yet to get.
    pub(in crate::sfu) fn left(&self, consumer: DataConsumerKey) -> u64 {
        self.replays.get(&consumer).map_or(0, |it| it.left(self.messages.end()))
    }

    /// How many messages all DataConsumers together are yet to get.
    pub(in crate::sfu) fn left_in_all(&self) -> u64 {
        self.replays.values().map(|it| it.left(self.messages.end())).sum()
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        self.pop_before(u64::MAX);
    }
}

/// The messages that a DataConsumer is yet to get.
#[derive(Debug)]
pub(in crate::sfu) struct Replay {
    /// The numbers that it is to get, in order. The last range is open, unless the DataConsumer is paused.
    ranges: VecDeque<Range<u64>>,
    /// The far end of a pipe is to forget the messages before this number, once it has got them.
    clear: Option<u64>,
    /// Whether the DataConsumer is about to close, and gets no more.
    pub(in crate::sfu) closes: bool,
}

/// The end of a range that goes on.
const OPEN: u64 = u64::MAX;

impl Replay {
    fn new(start: u64) -> Self {
        let ranges = std::iter::once(start..OPEN).collect();
        Self { ranges, clear: None, closes: false }
    }

    /// The number of the next message, of those below `end`.
    pub(in crate::sfu) fn next(&mut self, end: u64) -> Option<u64> {
        while let Some(range) = self.ranges.front() {
            if range.start < range.end.min(end) {
                return Some(range.start);
            }
            if range.end == OPEN {
                return None;
            }
            self.ranges.pop_front();
        }
        None
    }

    /// Takes the number that [`Self::next`] has returned.
    pub(in crate::sfu) fn advance(&mut self) {
        if let Some(range) = self.ranges.front_mut() {
            range.start += 1;
        }
    }

    /// Passes the messages before this number. Returns the numbers of those that it was yet to get.
    pub(in crate::sfu) fn skip_to(&mut self, number: u64) -> Vec<Range<u64>> {
        let mut skipped = Vec::new();
        while let Some(range) = self.ranges.front_mut()
            && range.start < number
        {
            let end = range.end.min(number);
            skipped.push(range.start..end);
            range.start = end;
            if range.is_empty() {
                self.ranges.pop_front();
            }
        }
        skipped
    }

    /// Whether the far end of a pipe is to forget what comes before the message with this number.
    pub(in crate::sfu) fn takes_clear(&mut self, number: u64) -> bool {
        self.clear.take_if(|it| *it <= number).is_some()
    }

    fn left(&self, end: u64) -> u64 {
        self.ranges.iter().map(|it| it.end.min(end).saturating_sub(it.start)).sum()
    }

    /// Leaves out the messages from this number on, as the DataConsumer is paused, or includes those from there on
    /// again.
    fn set_paused(&mut self, paused: bool, number: u64) {
        match self.ranges.back_mut() {
            Some(open) if open.end == OPEN => {
                if paused {
                    open.end = number;
                }
                if open.is_empty() {
                    self.ranges.pop_back();
                }
            }
            // No message has come since the pause.
            Some(last) if !paused && last.end == number => last.end = OPEN,
            _ if !paused => self.ranges.push_back(number..OPEN),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_which_no_message_comes_add_no_ranges() {
        let mut replay = Replay::new(0);
        for _ in 0..100 {
            replay.set_paused(true, 5);
            replay.set_paused(false, 5);
        }
        let ranges = |replay: &Replay| -> Vec<_> {
            replay.ranges.iter().map(|it| (it.start, it.end)).collect()
        };
        assert_eq!(ranges(&replay), [(0, OPEN)]);
        replay.set_paused(true, 5);
        for _ in 0..100 {
            replay.set_paused(false, 7);
            replay.set_paused(true, 7);
        }
        assert_eq!(ranges(&replay), [(0, 5)]);
        replay.set_paused(false, 8);
        assert_eq!(ranges(&replay), [(0, 5), (8, OPEN)]);
        assert_eq!(replay.left(10), 7);
    }
}
