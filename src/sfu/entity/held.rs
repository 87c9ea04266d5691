//! The messages of a paused DataProducer that wait for its `resume()`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::proto::message::Message;
use crate::sfu::subchannels::Selector;

/// See the module's documentation. Their charge is in the DataProducer's intake.
#[derive(Debug, Default)]
pub(in crate::sfu) struct Held {
    queue: VecDeque<HeldMessage>,
    /// Messages for which the intake had no room.
    pub(in crate::sfu) dropped_full: u64,
    /// Whether the DataProducer is in the list of those that release.
    pub(in crate::sfu) releases: bool,
}

#[derive(Debug)]
pub(in crate::sfu) struct HeldMessage {
    pub(in crate::sfu) message: Message,
    pub(in crate::sfu) selector: Option<Arc<Selector>>,
}

impl Held {
    pub(in crate::sfu) fn push(&mut self, message: Message, selector: Option<&Arc<Selector>>) {
        self.queue.push_back(HeldMessage { message, selector: selector.cloned() });
    }

    pub(in crate::sfu) fn pop(&mut self) -> Option<HeldMessage> {
        self.queue.pop_front()
    }

    pub(in crate::sfu) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(in crate::sfu) fn len(&self) -> usize {
        self.queue.len()
    }
}
