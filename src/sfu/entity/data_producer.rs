//! A DataProducer: where messages come from, a stream of a peer or JavaScript.

use std::sync::Arc;

use uuid::Uuid;

use crate::proto::message::{Message, StreamId};
use crate::proto::sctp::MessageTally;
use crate::sfu::backlog::Backlog;
use crate::sfu::contract::options::{DataProducerOptions, WhilePaused};
use crate::sfu::contract::parameters::{DataType, DropCount, SctpStreamParameters};
use crate::sfu::id::{DataConsumerKey, RouterKey, TransportKey};
use crate::sfu::memory::Memory;
use crate::sfu::roster::Roster;
use crate::sfu::subchannels::{Selector, amount};

use super::held::{Held, HeldMessage};
use super::limiter::Limiter;
use super::retained::Retained;
use super::transport::channels::Description;

impl DataProducerOptions {
    /// Takes options that the application has not given from the channel that the peer has opened. Returns the stream.
    pub(in crate::sfu) fn take_from(
        &mut self,
        channel: &Description,
        stream: SctpStreamParameters,
    ) -> SctpStreamParameters {
        if self.from_channel.label {
            self.label.clone_from(&channel.label);
        }
        if self.from_channel.protocol {
            self.protocol.clone_from(&channel.protocol);
        }
        match self.from_channel.reliability {
            true => SctpStreamParameters::new(stream.stream_id, channel.reliability),
            false => stream,
        }
    }
}

/// What DataProducers have counted together.
#[derive(Debug, Default, Clone)]
pub(in crate::sfu) struct ProducerTotals {
    pub(in crate::sfu) received: MessageTally,
    pub(in crate::sfu) paused: u64,
    pub(in crate::sfu) dropped_full: u64,
    pub(in crate::sfu) limited: u64,
}

impl ProducerTotals {
    pub(in crate::sfu) fn add(&mut self, producer: &DataProducer) {
        self.received.add(producer.received);
        self.paused += producer.messages_paused;
        self.limited += producer.limited.messages;
        self.dropped_full += producer.held.as_ref().map_or(0, |it| it.dropped_full);
    }
}

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
    /// Behind a pipe: whether the DataProducer at the other end is paused. That one stops the messages; here it is only
    /// shown.
    pub(in crate::sfu) origin_paused: bool,
    pub(in crate::sfu) consumers: Roster<DataConsumerKey>,
    /// How many of its DataConsumers may hold it up.
    pub(in crate::sfu) blockers: u32,
    /// How many of its DataConsumers hold it up now.
    pub(in crate::sfu) blocking: u32,
    /// Whether its source waits: for a DataConsumer, for tokens, or until held messages are routed.
    pub(in crate::sfu) blocked: bool,
    /// Whether it waits in the queue of a limit.
    pub(in crate::sfu) awaits_tokens: bool,
    /// Counts the messages that JavaScript has sent or that are held, until they are routed. Present for a direct
    /// DataProducer, or one that holds.
    pub(in crate::sfu) intake: Option<Arc<Backlog>>,
    /// The messages that it holds, if it holds them during a pause.
    pub(in crate::sfu) held: Option<Box<Held>>,
    pub(in crate::sfu) wants_drain: bool,
    /// The last messages, if it retains them for later DataConsumers.
    pub(in crate::sfu) retained: Option<Box<Retained>>,
    pub(in crate::sfu) limiter: Option<Box<Limiter>>,
    pub(in crate::sfu) limited: DropCount,
    pub(in crate::sfu) received: MessageTally,
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
        let held = (options.while_paused == WhilePaused::Hold).then(Box::default);
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
            blockers: 0,
            blocking: 0,
            blocked: false,
            awaits_tokens: false,
            intake,
            held,
            wants_drain: false,
            retained,
            limiter: None,
            limited: DropCount::default(),
            received: MessageTally::default(),
            messages_paused: 0,
        }
    }

    /// The peer's stream, unless it is direct.
    pub(in crate::sfu) fn stream_id(&self) -> Option<StreamId> {
        self.stream.map(|it| it.stream_id)
    }

    pub(in crate::sfu) fn kind(&self) -> DataType {
        if self.stream.is_some() { DataType::Sctp } else { DataType::Direct }
    }

    /// Whether it is paused, as applications see it: here, or where its messages come from.
    pub(in crate::sfu) fn shows_paused(&self) -> bool {
        self.paused || self.origin_paused
    }

    /// Whether its pause drops messages.
    pub(in crate::sfu) fn skips_messages(&self) -> bool {
        self.paused && self.held.is_none()
    }

    /// Whether it still has to route held messages.
    pub(in crate::sfu) fn is_releasing(&self) -> bool {
        !self.paused && self.held.as_ref().is_some_and(|held| !held.is_empty())
    }

    /// Whether a message must wait for `resume()`, or behind other held messages.
    #[inline]
    pub(in crate::sfu) fn must_hold(&self) -> bool {
        self.held.as_ref().is_some_and(|held| self.paused || !held.is_empty())
    }

    /// Holds a message. A message of a peer is dropped if there is no room; JavaScript has asked for room before.
    #[cold]
    pub(in crate::sfu) fn hold(&mut self, message: Message, selector: Option<&Arc<Selector>>) {
        let amount = amount(&message, selector.map(AsRef::as_ref));
        let room = self.stream.is_none()
            || self.intake.as_ref().is_some_and(|intake| intake.try_enter(amount));
        let Some(held) = &mut self.held else { return };
        match room {
            true => held.push(message, selector),
            false => held.dropped_full += 1,
        }
    }

    /// The next message that may be routed after `resume()`.
    pub(in crate::sfu) fn release(&mut self) -> Option<HeldMessage> {
        if self.paused {
            return None;
        }
        let released = self.held.as_mut()?.pop()?;
        self.leave_intake(&released.message, released.selector.as_deref());
        Some(released)
    }

    /// Counts a message that is routed now.
    pub(in crate::sfu) fn leave_intake(&self, message: &Message, selector: Option<&Selector>) {
        if let Some(intake) = &self.intake {
            intake.leave(amount(message, selector));
        }
    }
}
