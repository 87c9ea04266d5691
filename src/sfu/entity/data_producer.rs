//! A DataProducer: where messages come from, a stream of a peer or JavaScript.

use std::sync::Arc;

use uuid::Uuid;

use crate::proto::message::Message;
use crate::sfu::backlog::Backlog;
use crate::sfu::contract::options::DataProducerOptions;
use crate::sfu::contract::parameters::{DataType, SctpStreamParameters};
use crate::sfu::id::{DataConsumerKey, RouterKey, TransportKey};
use crate::sfu::memory::Memory;
use crate::sfu::roster::Roster;

use super::retained::Retained;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::sfu) struct DataProducer {
    pub(in crate::sfu) id: Uuid,
    pub(in crate::sfu) router: RouterKey,
    pub(in crate::sfu) transport: TransportKey,
    pub(in crate::sfu) stream: Option<SctpStreamParameters>,
    pub(in crate::sfu) label: String,
    pub(in crate::sfu) protocol: String,
    /// Whether the application has paused it, which stops routing.
    pub(in crate::sfu) paused: bool,
    /// Behind a pipe: whether the DataProducer at the other end is paused. It stops its messages itself.
    pub(in crate::sfu) origin_paused: bool,
    pub(in crate::sfu) consumers: Roster<DataConsumerKey>,
    /// Counts the messages that JavaScript has sent and we have not routed yet. Only a direct producer has it.
    pub(in crate::sfu) intake: Option<Arc<Backlog>>,
    pub(in crate::sfu) wants_drain: bool,
    /// The last messages, if DataConsumers that come later are to get them.
    pub(in crate::sfu) retained: Option<Box<Retained>>,
    pub(in crate::sfu) messages_received: u64,
    pub(in crate::sfu) bytes_received: u64,
    pub(in crate::sfu) messages_paused: u64,
}

impl DataProducer {
    pub(in crate::sfu) fn new(
        id: Uuid,
        router: RouterKey,
        transport: TransportKey,
        options: DataProducerOptions,
        stream: Option<SctpStreamParameters>,
        intake: Option<Arc<Backlog>>,
        memory: Option<&Arc<Memory>>,
    ) -> Self {
        let retained = options.retain.map(|it| Box::new(Retained::new(it, memory.cloned())));
        Self {
            id,
            router,
            transport,
            stream,
            label: options.label,
            protocol: options.protocol,
            paused: options.paused,
            origin_paused: options.origin_paused,
            consumers: Roster::default(),
            intake,
            wants_drain: false,
            retained,
            messages_received: 0,
            bytes_received: 0,
            messages_paused: 0,
        }
    }

    pub(in crate::sfu) fn kind(&self) -> DataType {
        if self.stream.is_some() { DataType::Sctp } else { DataType::Direct }
    }

    /// Whether it is paused, as applications see it: here, or where its messages come from.
    pub(in crate::sfu) fn shows_paused(&self) -> bool {
        self.paused || self.origin_paused
    }

    pub(in crate::sfu) fn received(&mut self, message: &Message) {
        self.messages_received += 1;
        self.bytes_received += message.payload.len() as u64;
    }

    /// Counts a message that came while the producer was paused.
    pub(in crate::sfu) fn skip_paused(&mut self) {
        self.messages_paused += 1;
    }
}
