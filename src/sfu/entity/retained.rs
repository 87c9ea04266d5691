//! The last messages of a DataProducer, for the DataConsumers that come later.
//!
//! What is retained is always a suffix of what the DataProducer has routed: no message between two retained ones is
//! missing. So a message that cannot be retained empties the queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proto::message::{Amount, Message};
use crate::sfu::contract::options::RetainOptions;
use crate::sfu::memory::Memory;
use crate::sfu::subchannels::{Selector, amount};

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::sfu) struct Retained {
    bounds: RetainOptions,
    queue: VecDeque<RetainedMessage>,
    amount: Amount,
    memory: Option<Arc<Memory>>,
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
        Self { bounds, queue: VecDeque::new(), amount: Amount::default(), memory }
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
        while self.queue.len() >= self.bounds.messages as usize
            || self.amount.charge + amount.charge > self.bounds.bytes as usize
            || !self.memory.as_ref().is_none_or(|it| it.try_retain(amount.charge))
        {
            if !self.pop() {
                return;
            }
        }
        self.amount += amount;
        self.queue.push_back(kept);
    }

    /// Notes that the latest message is as old as where it has come from.
    pub(in crate::sfu) fn backdate(&mut self, since: Instant) {
        if let Some(latest) = self.queue.back_mut() {
            latest.since = latest.since.min(since);
        }
    }

    /// Forgets the messages that are older than the bound.
    pub(in crate::sfu) fn expire(&mut self, now: Instant) {
        let Some(max_age) = self.bounds.max_age else { return };
        let max_age = Duration::from_millis(max_age.into());
        while self.queue.front().is_some_and(|it| now.saturating_duration_since(it.since) > max_age)
        {
            self.pop();
        }
    }

    pub(in crate::sfu) fn clear(&mut self) {
        while self.pop() {}
    }

    /// The messages, oldest first.
    pub(in crate::sfu) fn iter(&self) -> impl Iterator<Item = &RetainedMessage> {
        self.queue.iter()
    }

    pub(in crate::sfu) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(in crate::sfu) fn amount(&self) -> Amount {
        self.amount
    }

    /// Forgets the oldest message. False if there is none.
    fn pop(&mut self) -> bool {
        let Some(oldest) = self.queue.pop_front() else { return false };
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
