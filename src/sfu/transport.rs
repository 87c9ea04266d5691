//! The requests of a transport of any kind.

mod capture;
mod diagnose;
mod direct;
mod drive;
mod dump;
mod pipe;
mod plain;
mod tuples;
mod udp;
pub mod webrtc;

use std::sync::Arc;
use std::time::Duration;

use crate::proto::dcep::Open;
use crate::proto::message::{Reliability, StreamId};
use crate::proto::overflow::Overflow;
use crate::sfu::Sfu;
use crate::sfu::backlog::Backlog;
use crate::sfu::contract::dump::{DataConsumerDump, DataProducerDump};
use crate::sfu::contract::options::{DataConsumerOptions, DataProducerOptions, WhilePaused};
use crate::sfu::contract::parameters::{Bitrates, SctpStreamParameters};
use crate::sfu::data_producer::choose_id;
use crate::sfu::entity::data_consumer::{DataConsumer, Destination, Pauses};
use crate::sfu::entity::data_producer::DataProducer;
use crate::sfu::entity::limiter::{blocks, limiter};
use crate::sfu::error::{Error, Result};
use crate::sfu::event::{DataProducerEvent, Event};
use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::sfu::subchannels::Subchannels;

use super::entity::transport::channels::Adopted;
use super::entity::transport::{Kind, Transport};

/// The priority of the channels that we open: normal (RFC 8831 §6.4).
const PRIORITY: u16 = 256;

/// A [`Transport`] in its [`Sfu`], with its requests as methods.
#[derive(Debug)]
pub struct TransportMut<'a> {
    pub(super) sfu: &'a mut Sfu,
    pub(super) key: TransportKey,
}

impl Sfu {
    /// The transport, or [`Error::NotFound`].
    pub fn transport(&mut self, key: TransportKey) -> Result<TransportMut<'_>> {
        if self.transports.contains_key(&key) {
            Ok(TransportMut { sfu: self, key })
        } else {
            Err(key.into())
        }
    }
}

impl TransportMut<'_> {
    pub(super) fn get(&mut self) -> &mut Transport {
        self.sfu.transports.get_mut(&self.key).expect("checked when this view was made")
    }

    /// Whether this is a WebRTC transport, whose `connect()` takes options of its own.
    pub fn is_webrtc(&mut self) -> bool {
        self.get().is_webrtc()
    }

    /// Makes a DataProducer and returns its dump. If the peer has opened a channel on its stream in band, the
    /// DataProducer adopts it and routes the messages that it has kept. `intake` counts what JavaScript sends to a
    /// direct DataProducer, and what is held.
    pub fn produce_data(
        &mut self,
        key: DataProducerKey,
        mut options: DataProducerOptions,
        intake: Arc<Backlog>,
    ) -> Result<DataProducerDump> {
        let transport_key = self.key;
        let direct = self.get().is_direct();
        let mut stream = match options.sctp_stream_parameters {
            _ if direct => None,
            _ if self.get().sctp.is_none() => {
                return Err(Error::wrong_kind(transport_key, "transport with SCTP"));
            }
            None => return Err(Error::InvalidOptions("no sctpStreamParameters".into())),
            stream => stream,
        };
        let now = self.sfu.now;
        self.sfu.check_limit(transport_key, options.limit.as_ref())?;
        let id = choose_id(self.sfu, transport_key, options.id)?;
        let transport = self.get();
        let (mut origin_paused, mut is_over, mut adopted) = (None, false, None);
        if let Some(stream) = &mut stream {
            let id = stream.stream_id;
            if transport.producer_streams.contains_key(&id) {
                return Err(Error::StreamProduced(id));
            }
            is_over = !transport.receive_stream(now, id, key);
            origin_paused = transport.origins_paused.remove(&id).map(|paused| (id, paused));
            adopted = transport.channels.as_mut().and_then(|it| it.adopt(id));
            if let Some(channel) = &adopted {
                *stream = options.take_from(&channel.description, *stream);
            }
        }
        transport.data_producers.push(key);
        let router = transport.router;
        let holds = options.while_paused == WhilePaused::Hold;
        let intake = (direct || holds).then_some(intake);
        let memory = self.sfu.memory.as_ref();
        let limiter = limiter(options.limit.as_ref(), self.sfu.now);
        if let (Some(intake), Some(memory)) = (&intake, memory) {
            intake.join(memory);
        }
        let mut producer =
            DataProducer::new(id, router, transport_key, options, stream, intake, memory);
        self.sfu.count_limit(false, blocks(limiter.as_deref()));
        producer.limiter = limiter;
        self.sfu.data_producers.insert(key, producer);
        self.sfu.data_producer_ids.insert(id, key);
        if let Some((stream, paused)) = origin_paused {
            self.sfu.set_origin_paused(transport_key, stream, paused);
        }
        if is_over {
            let event = DataProducerEvent::StreamClose;
            self.sfu.events.push_back(Event::DataProducer(key, event));
        }
        self.start_sctp();
        let dump = self.sfu.data_producer(key)?.dump();
        if let (Some(Adopted { messages, closed, .. }), Some(stream)) = (adopted, stream) {
            for message in messages {
                self.sfu.deliver(transport_key, stream.stream_id, message, None);
            }
            if closed {
                let event = DataProducerEvent::StreamClose;
                self.sfu.events.push_back(Event::DataProducer(key, event));
            }
        }
        Ok(dump)
    }

    /// Makes a DataConsumer and returns its dump. `backlog` counts the messages that the DataConsumer has not
    /// delivered yet.
    pub fn consume_data(
        &mut self,
        key: DataConsumerKey,
        options: DataConsumerOptions,
        backlog: Arc<Backlog>,
    ) -> Result<DataConsumerDump> {
        let transport_key = self.key;
        let router = self.get().router;
        let id = options.data_producer_id;
        let producer_key = self.sfu.data_producer_ids.get(&id).copied();
        let producer_key = producer_key
            .filter(|key| self.sfu.data_producers.get(key).is_some_and(|it| it.router == router))
            .ok_or(Error::DataProducerIdNotFound(id))?;
        if options.overflow == Some(Overflow::Block) {
            self.sfu.check_may_block(transport_key, producer_key)?;
        }
        let Some(producer) = self.sfu.data_producers.get(&producer_key) else {
            return Err(Error::DataProducerIdNotFound(id));
        };
        let inherited = producer.stream.map(|it| it.reliability());
        let texts = (producer.label.clone(), producer.protocol.clone());
        let pauses = Pauses {
            own: options.paused,
            holds: options.while_paused == WhilePaused::Hold,
            producers: producer.shows_paused(),
            waits_for_start: options.waits_for_start,
        };
        let subscriptions = Subchannels::new(options.subchannels.iter().copied());

        let destination = if self.get().is_direct() {
            if let Some(memory) = &self.sfu.memory {
                backlog.join(memory);
            }
            Destination::Direct { backlog }
        } else {
            let reliability = options.reliability(inherited)?;
            let (label, protocol) = texts.clone();
            let open = Open { label, protocol, priority: PRIORITY, reliability };
            let open = (!options.negotiated).then_some(open);
            self.open_stream(key, options.stream_id, reliability, open, backlog)?
        };
        let mut consumer = DataConsumer::new(
            transport_key,
            producer_key,
            id,
            destination,
            texts,
            pauses,
            subscriptions,
        );
        consumer.strict_subchannels = options.strict_subchannels;
        consumer.awaits_retained = options.retained;
        self.get().data_consumers.push(key);
        if let Some(producer) = self.sfu.data_producers.get_mut(&producer_key) {
            producer.consumers.push(key);
        }
        consumer.block_timeout =
            options.overflow_timeout.map(|ms| Duration::from_millis(ms.into()));
        self.sfu.data_consumers.insert(key, consumer);
        if let Some(policy) = options.queue_policy() {
            self.sfu.data_consumer(key)?.set_policy(policy);
        }
        self.start_sctp();
        // The far end may remember the pause of an earlier DataConsumer on this stream.
        let stream = self.sfu.data_consumers.get(&key).and_then(DataConsumer::stream_id);
        if pauses.producers || stream.is_some_and(|it| self.get().shown_paused.contains(&it)) {
            self.sfu.carry_pause(key);
        }
        let mut consumer = self.sfu.data_consumer(key)?;
        let dump = consumer.dump();
        // The retained messages of its DataProducer come now, and may close it.
        consumer.apply_pauses();
        Ok(dump)
    }

    fn open_stream(
        &mut self,
        key: DataConsumerKey,
        wanted: Option<StreamId>,
        reliability: Reliability,
        open: Option<Open>,
        gauge: Arc<Backlog>,
    ) -> Result<Destination> {
        let transport = self.get();
        let low_threshold = match &transport.sctp {
            Some(options) => options.buffered_amount_low_threshold as usize,
            None => return Err(Error::wrong_kind(self.key, "transport with SCTP")),
        };
        let chosen = wanted.is_some();
        let stream = match wanted {
            Some(stream) => transport.take_stream(stream)?,
            None if open.is_some() => transport.next_own_stream()?,
            None => transport.next_free_stream()?,
        };
        transport.consumer_streams.insert(stream, key);
        match open {
            Some(open) => transport.open_channel(stream, &open),
            None => transport.open_stream(stream, reliability, &gauge),
        }
        let stream = SctpStreamParameters::new(stream, reliability);
        Ok(Destination::Sctp { stream, chosen, low_threshold, gauge })
    }

    /// Starts the association of a plain or pipe transport, which begins when there is something to carry.
    pub(super) fn start_sctp(&mut self) {
        let now = self.sfu.now;
        match &mut self.get().kind {
            Kind::Plain(it) => it.path.start(now),
            Kind::Pipe(it) => it.start(now),
            Kind::Direct | Kind::WebRtc(_) => return,
        }
        let key = self.key;
        self.sfu.pump(key);
        self.sfu.touch(key);
    }

    /// Keeps the bitrates that the application sets.
    pub fn set_bitrates(&mut self, bitrates: Bitrates) {
        self.get().bitrates = bitrates;
    }

    /// Closes the transport and everything on it, and queues the last packets to the peer, which end the
    /// session.
    pub fn close(self) {
        self.sfu.remove_transport(self.key);
    }
}
