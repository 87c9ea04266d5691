//! What happens to messages at the bound of a DataConsumer's queue, be it towards a peer, through a tunnel or towards
//! JavaScript.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::message::MessageTally;

/// What happens to a message that meets a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The new message is dropped.
    #[default]
    DropNewest,
    /// The oldest messages are dropped until there is room.
    DropOldest,
    /// One message waits at most: a new one takes its place.
    KeepLatest,
    /// The DataProducer waits.
    Block,
    /// The DataConsumer closes.
    Close,
}

/// How a queue treats the messages of a DataProducer. It does not apply to messages of `dataConsumer.send()` in the
/// same queue, which are rejected at the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueuePolicy {
    /// What happens at the bound.
    pub overflow: Overflow,
    /// The queue is full if it is charged this many bytes. `None`: the bound of the transport's streams.
    pub bound: Option<usize>,
    /// A message that has waited longer is dropped when its turn comes.
    pub max_delay: Option<Duration>,
}

impl QueuePolicy {
    /// Whether messages that have been accepted may be dropped.
    pub fn drops_accepted(&self) -> bool {
        self.max_delay.is_some()
            || matches!(self.overflow, Overflow::DropOldest | Overflow::KeepLatest)
    }
}

/// What happened to the messages that were routed to a queue with a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueTally {
    /// The messages that wait.
    pub waiting: MessageTally,
    /// The messages whose place newer ones have taken.
    pub replaced: MessageTally,
    /// The messages that waited longer than [`QueuePolicy::max_delay`].
    pub stale: MessageTally,
}

impl QueueTally {
    /// How many were dropped after they had been accepted.
    pub fn dropped(&self) -> QueueDrops {
        QueueDrops { replaced: self.replaced.messages, stale: self.stale.messages }
    }
}

/// How many accepted messages the policies of queues have dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDrops {
    /// The messages whose place newer ones have taken.
    pub replaced: u64,
    /// The messages that waited too long.
    pub stale: u64,
}

/// The policy of a queue, and what it counts of the messages that were routed there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Governed {
    pub(crate) policy: QueuePolicy,
    pub(crate) tally: QueueTally,
}

impl Governed {
    /// For a queue in which messages of these lengths wait already.
    pub(crate) fn new(policy: QueuePolicy, waiting: impl Iterator<Item = usize>) -> Self {
        let mut governed = Self { policy, tally: QueueTally::default() };
        waiting.for_each(|len| governed.enter(len));
        governed
    }

    /// Counts a message of `len` payload bytes that begins to wait.
    pub(crate) fn enter(&mut self, len: usize) {
        self.tally.waiting.add(MessageTally::one(len));
    }

    /// Counts a message that no longer waits.
    pub(crate) fn leave(&mut self, len: usize) {
        self.tally.waiting.remove(MessageTally::one(len));
    }

    /// Counts a message that has left as replaced by a newer one.
    pub(crate) fn replace(&mut self, len: usize) {
        self.tally.replaced.add(MessageTally::one(len));
    }

    /// A message that has left had waited too long.
    pub(crate) fn drop_stale(&mut self, len: usize) {
        self.tally.stale.add(MessageTally::one(len));
    }

    /// Whether a message that was queued at `since` has waited longer than it may.
    pub(crate) fn is_stale(&self, now: Instant, since: Instant) -> bool {
        self.policy.max_delay.is_some_and(|longest| since + longest < now)
    }

    /// Whether a message waits.
    pub(crate) fn has_waiting(&self) -> bool {
        self.tally.waiting.messages > 0
    }

    /// The tally once nothing waits any more, as all has been removed.
    pub(crate) fn last(&self) -> QueueTally {
        QueueTally { waiting: MessageTally::default(), ..self.tally }
    }
}
