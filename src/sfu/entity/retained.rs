//! The last messages of a DataProducer, kept for later DataConsumers.
//!
//! The retained messages are always the latest that the DataProducer has routed, without a gap. So a message that
//! cannot be retained empties the queue.
//!
//! A new DataConsumer gets them over several turns if there are many. Until it has caught up, it also gets live
//! messages from here, in order. A message that is about to be forgotten is delivered to it first.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proto::message::{Amount, Message};
use crate::sfu::contract::options::RetainOptions;
use crate::sfu::id::DataConsumerKey;
use crate::sfu::memory::Memory;
use crate::sfu::subchannels::{Selector, amount};

/// See the documentation of the module.
#[derive(Debug)]
pub(in crate::sfu) struct Retained {
    bounds: RetainOptions,
    queue: VecDeque<RetainedMessage>,
    /// The number of the first message. Numbers count all messages that were ever retained.
    first: u64,
    amount: Amount,
    memory: Option<Arc<Memory>>,
    pub(in crate::sfu) replays: Vec<Replay>,
}

/// A DataConsumer that has not caught up yet.
#[derive(Debug)]
pub(in crate::sfu) struct Replay {
    pub(in crate::sfu) consumer: DataConsumerKey,
    /// The numbers of the messages that it has yet to get, in order. The last range is open, unless the DataConsumer is
    /// paused.
    ranges: VecDeque<Range<u64>>,
}

/// The end of an open range.
const OPEN: u64 = u64::MAX;

impl Replay {
    /// The number of the next message to deliver, if it is below `end`.
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

    /// From the message with this number on, it gets no messages, or gets them again.
    fn set_paused(&mut self, paused: bool, number: u64) {
        match self.ranges.back_mut().filter(|it| it.end == OPEN) {
            Some(open) if paused => open.end = number,
            None if !paused => self.ranges.push_back(number..OPEN),
            _ => {}
        }
    }
}

/// A message that was routed at `since`.
#[derive(Debug)]
pub(in crate::sfu) struct RetainedMessage {
    pub(in crate::sfu) message: Message,
    pub(in crate::sfu) selector: Option<Arc<Selector>>,
    pub(in crate::sfu) since: Instant,
}

impl RetainedMessage {
    fn amount(&self) -> Amount {
        amount(&self.message, self.selector.as_deref())
    }
}

impl Retained {
    pub(in crate::sfu) fn new(bounds: RetainOptions, memory: Option<Arc<Memory>>) -> Self {
        Self {
            bounds,
            queue: VecDeque::new(),
            first: 0,
            amount: Amount::default(),
            memory,
            replays: Vec::new(),
        }
    }

    /// Retains a message that is routed now. Never inlined: routing is fast without it.
    #[inline(never)]
    pub(in crate::sfu) fn push(
        &mut self,
        now: Instant,
        message: &Message,
        selector: Option<&Arc<Selector>>,
    ) {
        self.expire(now);
        let kept =
            RetainedMessage { message: message.clone(), selector: selector.cloned(), since: now };
        let amount = kept.amount();
        while self.exceeds(amount)
            || !self.memory.as_ref().is_none_or(|it| it.try_retain(amount.charge))
        {
            if !self.pop() {
                return;
            }
        }
        self.amount += amount;
        self.queue.push_back(kept);
    }

    /// Gives the latest message the age that it had where it came from.
    pub(in crate::sfu) fn backdate(&mut self, since: Instant) {
        if let Some(latest) = self.queue.back_mut() {
            latest.since = latest.since.min(since);
        }
    }

    fn exceeds(&self, amount: Amount) -> bool {
        self.queue.len() >= self.bounds.messages as usize
            || self.amount.charge + amount.charge > self.bounds.bytes as usize
    }

    /// Whether a message has to be forgotten so that this one can be retained.
    pub(in crate::sfu) fn must_forget(&self, amount: Amount) -> bool {
        let fits = !self.exceeds(amount)
            && self.memory.as_ref().is_none_or(|it| it.may_retain(amount.charge));
        !self.queue.is_empty() && !fits
    }

    /// Forgets messages that are too old, unless a DataConsumer has yet to get them.
    pub(in crate::sfu) fn expire(&mut self, now: Instant) {
        while self.replays.is_empty() && self.queue.front().is_some_and(|it| self.is_old(now, it)) {
            self.pop();
        }
    }

    fn is_old(&self, now: Instant, message: &RetainedMessage) -> bool {
        let max_age = self.bounds.max_age.map(|it| Duration::from_millis(it.into()));
        max_age.is_some_and(|it| now.saturating_duration_since(message.since) > it)
    }

    /// This DataConsumer has to get all messages. Returns false if there are none.
    pub(in crate::sfu) fn begin_replay(&mut self, now: Instant, consumer: DataConsumerKey) -> bool {
        let old = self.queue.iter().take_while(|it| self.is_old(now, it)).count();
        let waits = old < self.queue.len();
        if waits {
            let mut replay = Replay { consumer, ranges: VecDeque::new() };
            replay.set_paused(false, self.first + old as u64);
            self.replays.push(replay);
        }
        waits
    }

    /// This DataConsumer has been paused or resumed.
    pub(in crate::sfu) fn pause_replay(&mut self, consumer: DataConsumerKey, paused: bool) {
        let end = self.end();
        let replays = self.replays.iter_mut().filter(|it| it.consumer == consumer);
        replays.for_each(|it| it.set_paused(paused, end));
    }

    /// The number that the next message will have.
    pub(in crate::sfu) fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    /// The number of the first message.
    pub(in crate::sfu) fn first(&self) -> u64 {
        self.first
    }

    pub(in crate::sfu) fn get(&self, number: u64) -> Option<&RetainedMessage> {
        self.queue.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    pub(in crate::sfu) fn clear(&mut self) {
        while self.pop() {}
    }

    pub(in crate::sfu) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(in crate::sfu) fn amount(&self) -> Amount {
        self.amount
    }

    /// Forgets the oldest message. False if there is none.
    pub(in crate::sfu) fn pop(&mut self) -> bool {
        let Some(oldest) = self.queue.pop_front() else { return false };
        self.first += 1;
        let amount = oldest.amount();
        self.amount -= amount;
        if let Some(memory) = &self.memory {
            memory.release_retained(amount.charge);
        }
        true
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        self.clear();
    }
}
