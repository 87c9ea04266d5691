//! The messages of a paused DataProducer that wait for its `resume()`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::proto::message::Message;
use crate::sfu::id::{DataConsumerKey, DataProducerKey};
use crate::sfu::subchannels::Selector;

/// See the documentation of the module. The messages are charged to the intake of the DataProducer.
#[derive(Debug, Default)]
pub(in crate::sfu) struct Held {
    queue: VecDeque<HeldMessage>,
    /// How many messages have been released.
    released: u64,
    /// Requests of `drained()`, each with the value of `released` at which it is answered.
    fences: VecDeque<(u64, u32)>,
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

/// An entity that releases messages, a share per turn.
#[derive(Debug)]
pub(in crate::sfu) enum Releasing {
    Producer(DataProducerKey),
    Consumer(DataConsumerKey),
    /// A new DataConsumer, to which the retained messages of its DataProducer are replayed.
    Replay(DataConsumerKey),
}

impl Held {
    pub(in crate::sfu) fn push(&mut self, message: Message, selector: Option<&Arc<Selector>>) {
        self.queue.push_back(HeldMessage { message, selector: selector.cloned() });
    }

    pub(in crate::sfu) fn pop(&mut self) -> Option<HeldMessage> {
        let released = self.queue.pop_front()?;
        self.released += 1;
        Some(released)
    }

    /// Makes this request wait for the held messages. Returns false if there are none.
    pub(in crate::sfu) fn fence(&mut self, request: u32) -> bool {
        if !self.queue.is_empty() {
            self.fences.push_back((self.released + self.queue.len() as u64, request));
        }
        !self.queue.is_empty()
    }

    /// The next request whose messages have been released.
    pub(in crate::sfu) fn passed_fence(&mut self) -> Option<u32> {
        self.fences.front().filter(|(end, _)| *end <= self.released)?;
        self.fences.pop_front().map(|(_, request)| request)
    }

    /// Takes the requests that wait, because the messages are dropped.
    pub(in crate::sfu) fn take_fences(&mut self) -> impl Iterator<Item = u32> {
        std::mem::take(&mut self.fences).into_iter().map(|(_, request)| request)
    }

    pub(in crate::sfu) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(in crate::sfu) fn len(&self) -> usize {
        self.queue.len()
    }
}
