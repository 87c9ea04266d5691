//! What becomes of messages at the bound of a DataConsumer's queue, towards a peer or towards JavaScript.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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

/// How a queue treats the messages of a DataProducer. The messages of `dataConsumer.send()` in the same queue are neither
/// dropped by it nor delayed: they are rejected at the bound.
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
