//! What a worker's thread is asked to do.

use std::sync::Arc;

use crate::proto::message::Message;
use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::sfu::subchannels::Selector;
use crate::sfu::tunnel::TunnelFrame;

/// A job for the thread that owns a `W`. What comes often has a variant of its own, which needs no
/// allocation.
pub enum Job<W> {
    /// Route a message of a direct DataProducer.
    Send(DataProducerKey, Message, Option<Arc<Selector>>),
    /// Emit 'drain' when the backlog of this DataProducer has shrunk.
    NotifyDrain(DataProducerKey),
    /// The backlog of this DataConsumer, which had overflowed, has room again.
    Relieved(DataConsumerKey),
    /// A frame from the other end of this transport's tunnel, in this worker or in another one.
    TunnelFrame(TransportKey, TunnelFrame),
    /// A worker that held the other ends of some of our tunnels has ended, so these tunnels are closed.
    NeighbourEnded,
    /// Anything else, and its place.
    Call(Place, Box<dyn FnOnce(&mut W) + Send>),
}

/// What a call must come after, beside all calls before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing: messages may wait, and the call overtakes them.
    Any,
    /// After the messages sent to this DataProducer before.
    DataProducer(DataProducerKey),
    /// The same, unless the DataProducer is blocked: for calls that only read, or that may end the block.
    Reading(DataProducerKey),
    /// After the messages sent to the DataProducer of this DataConsumer before, unless that is blocked.
    DataConsumer(DataConsumerKey),
}

impl<W> Job<W> {
    /// A call with no place among the messages.
    pub fn call(call: impl FnOnce(&mut W) + Send + 'static) -> Self {
        Self::Call(Place::Any, Box::new(call))
    }

    /// Whether this is a message.
    pub(super) fn is_message(&self) -> bool {
        matches!(self, Self::Send(..) | Self::TunnelFrame(_, TunnelFrame::Message(_)))
    }
}
