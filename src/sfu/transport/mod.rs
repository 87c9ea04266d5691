//! What all kinds of transports share: entities, streams, counters, and how they are driven.

pub mod address;
pub mod direct;
pub mod pipe;
pub mod plain;
pub mod sctp_over_udp;
pub mod webrtc;

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::proto::message::{Message, Reliability, StreamId};
use crate::proto::sctp::{Sctp, SctpConfig, SctpEvent, SctpState, SendError, Start};
use crate::proto::transmit::{Transmits, Tuple};

pub use address::{IceCandidate, Listen, ListenProtocol, TupleInfo};
pub use webrtc::IceParameters;

use super::Sfu;
use super::backlog::Backlog;
use super::data_consumer::{DataConsumer, DataConsumerOptions, Sink};
use super::data_producer::{DataProducer, DataProducerOptions, SctpStreamParameters, choose_id};
use super::dump::{DataConsumerDump, KeyValue, SctpDump, SctpListener, TransportDump};
use super::error::{Error, Result};
use super::event::{Dropped, Event, TransportEvent};
use super::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use super::stats::{Bitrates, Meter, TransportStats};
use super::subchannels::{Selector, Subscriptions, pipe as pipe_codec};

/// The default of both message size limits, in bytes.
pub const DEFAULT_MAX_MESSAGE_SIZE: u32 = 262_144;

/// Streams that we offer in either direction: all.
const STREAMS: u16 = 65_535;

/// Data channels use streams 0 to 65534 (RFC 8831 §6.2).
const LAST_STREAM: StreamId = 65_534;

/// The SCTP options of a transport. Sizes are in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SctpOptions {
    /// The largest message that may be sent.
    pub max_send_message_size: u32,
    /// The largest message that the peer may send.
    pub max_receive_message_size: u32,
    /// At this much queued payload a further message is refused.
    pub send_buffer_size: u32,
    /// The same for one stream.
    pub per_stream_send_queue_limit: u32,
    /// The upper bound of the receive window.
    pub max_receiver_window_buffer_size: u32,
    /// The threshold of `bufferedamountlow` that a DataConsumer starts with.
    pub buffered_amount_low_threshold: u32,
}

impl Default for SctpOptions {
    fn default() -> Self {
        Self {
            max_send_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            max_receive_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            send_buffer_size: 2_000_000,
            per_stream_send_queue_limit: 2_000_000,
            max_receiver_window_buffer_size: 5_242_880,
            buffered_amount_low_threshold: 1024,
        }
    }
}

impl SctpOptions {
    /// `header` is what the transport may add to a message's size.
    fn config(
        &self,
        header: u32,
        start: Start,
        max_packet_size: usize,
        data_channels: bool,
    ) -> SctpConfig {
        SctpConfig {
            max_send_message_size: self.max_send_message_size.saturating_add(header),
            max_receive_message_size: self.max_receive_message_size.saturating_add(header),
            send_buffer_size: self.send_buffer_size as usize,
            per_stream_send_queue_limit: self.per_stream_send_queue_limit as usize,
            max_receiver_window: self.max_receiver_window_buffer_size,
            buffered_amount_low_threshold: self.buffered_amount_low_threshold as usize,
            start,
            max_packet_size,
            data_channels,
        }
    }
}

/// `transport.sctpParameters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct SctpParameters {
    pub port: u16,
    pub max_send_message_size: u32,
    pub max_receive_message_size: u32,
    pub send_buffer_size: u32,
    pub per_stream_send_queue_limit: u32,
    pub max_receiver_window_buffer_size: u32,
    pub is_data_channel: bool,
    #[serde(rename = "OS")]
    pub os: u16,
    #[serde(rename = "MIS")]
    pub mis: u16,
    pub max_message_size: u32,
}

/// `transport.sctpNegotiatedCapabilities`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct NegotiatedStreams {
    pub negotiated_max_outbound_streams: u16,
    pub negotiated_max_inbound_streams: u16,
}

impl From<(u16, u16)> for NegotiatedStreams {
    fn from((outbound, inbound): (u16, u16)) -> Self {
        Self { negotiated_max_outbound_streams: outbound, negotiated_max_inbound_streams: inbound }
    }
}

/// One transport. What differs between the kinds is in [`Kind`].
#[derive(Debug)]
pub struct Transport {
    pub(super) id: Uuid,
    pub(super) router: RouterKey,
    pub(super) kind: Kind,
    sctp: Option<SctpOptions>,
    pub(super) max_send_message_size: u32,
    max_receive_message_size: u32,
    pub(super) data_producers: Vec<DataProducerKey>,
    pub(super) data_consumers: Vec<DataConsumerKey>,
    pub(super) producer_streams: FxHashMap<StreamId, DataProducerKey>,
    pub(super) consumer_streams: FxHashMap<StreamId, DataConsumerKey>,
    next_stream: StreamId,
    /// DataConsumers for which payload waits, as far as JavaScript has been shown.
    buffered: Vec<DataConsumerKey>,
    bitrates: Bitrates,
    received: Meter,
    sent: Meter,
    datagrams_dropped: u64,
    messages_unrouted: u64,
    discarded: Dropped,
    dirty: bool,
}

/// The kinds of transports.
#[derive(Debug)]
pub(super) enum Kind {
    Direct,
    WebRtc(Box<webrtc::WebRtc>),
    Plain(Box<plain::Plain>),
    Pipe(Box<pipe::Pipe>),
}

/// What a transport has to say when it is asked.
pub(super) enum Polled {
    /// From the association.
    Sctp(SctpEvent),
    /// For the application.
    Event(TransportEvent),
    /// On a shared port, this path leads here from now on…
    TupleAdded(Tuple),
    /// …and from now on not any more.
    TupleRemoved(Tuple),
    /// On a shared port, this username does not lead here any more.
    UsernameRetired(String),
}

impl Transport {
    fn new(router: RouterKey, kind: Kind, sctp: Option<SctpOptions>, now: Instant) -> Self {
        let size = |of: fn(&SctpOptions) -> u32| sctp.as_ref().map_or(DEFAULT_MAX_MESSAGE_SIZE, of);
        Self {
            id: Uuid::new_v4(),
            router,
            kind,
            max_send_message_size: size(|it| it.max_send_message_size),
            max_receive_message_size: size(|it| it.max_receive_message_size),
            sctp,
            data_producers: Vec::new(),
            data_consumers: Vec::new(),
            producer_streams: FxHashMap::default(),
            consumer_streams: FxHashMap::default(),
            next_stream: 0,
            buffered: Vec::new(),
            bitrates: Bitrates::default(),
            received: Meter::new(now),
            sent: Meter::new(now),
            datagrams_dropped: 0,
            messages_unrouted: 0,
            discarded: Dropped::default(),
            dirty: false,
        }
    }

    pub(super) fn is_pipe(&self) -> bool {
        matches!(self.kind, Kind::Pipe(_))
    }

    fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    pub(super) fn sctp_mut(&mut self) -> Option<&mut Sctp> {
        match &mut self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.peer.sctp_mut(),
            Kind::Plain(it) => it.path.sctp_mut(),
            Kind::Pipe(it) => it.path.sctp_mut(),
        }
    }

    fn sctp_ref(&self) -> Option<&Sctp> {
        match &self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.peer.sctp(),
            Kind::Plain(it) => it.path.sctp(),
            Kind::Pipe(it) => it.path.sctp(),
        }
    }

    /// Remembers to ask this transport for datagrams at the end of the turn.
    pub(super) fn mark_dirty(&mut self, key: TransportKey, dirty: &mut Vec<TransportKey>) {
        if !std::mem::replace(&mut self.dirty, true) {
            dirty.push(key);
        }
    }

    /// Remembers to show JavaScript how this consumer's buffered amount shrinks.
    pub(super) fn watch_buffered(&mut self, consumer: DataConsumerKey) {
        if self.buffered.last() != Some(&consumer) && !self.buffered.contains(&consumer) {
            self.buffered.push(consumer);
        }
    }

    /// Queues a message for the peer; a pipe puts `selector` in front of it.
    pub(super) fn send(
        &mut self,
        now: Instant,
        stream: StreamId,
        selector: Option<&Selector>,
        message: &Message,
    ) -> std::result::Result<usize, SendError> {
        let mut message = message.clone();
        if self.is_pipe() {
            message.payload = pipe_codec::encode(selector, &message.payload);
        }
        self.sctp_mut().ok_or(SendError::Closed)?.send(now, stream, message)
    }

    pub(super) fn buffered_amount(&self, stream: StreamId) -> usize {
        self.sctp_ref().map_or(0, |sctp| sctp.buffered_amount(stream))
    }

    /// Resets our side of a stream; what was not sent is discarded and counted.
    pub(super) fn reset_stream(&mut self, stream: StreamId) {
        if let Some(discarded) = self.sctp_mut().map(|sctp| sctp.reset_stream(stream)) {
            self.discarded.messages += discarded.messages as u64;
            self.discarded.bytes += discarded.bytes as u64;
        }
    }

    /// The same, unless a DataConsumer still sends on it.
    pub(super) fn reset_unused_stream(&mut self, stream: StreamId) {
        if !self.consumer_streams.contains_key(&stream) {
            self.reset_stream(stream);
        }
    }

    /// The stream of the next DataConsumer: the one after the last that was given out, wrapping,
    /// past those in use and those whose reset has not completed.
    fn next_free_stream(&mut self) -> Result<StreamId> {
        let sctp = self.sctp_ref().ok_or_else(Error::no_sctp)?;
        let candidates = (self.next_stream..=LAST_STREAM).chain(0..self.next_stream);
        let free = candidates
            .into_iter()
            .find(|it| !self.consumer_streams.contains_key(it) && sctp.is_stream_free(*it))
            .ok_or_else(|| Error::Other("no free SCTP stream id on this transport".into()))?;
        self.next_stream = if free == LAST_STREAM { 0 } else { free + 1 };
        Ok(free)
    }

    fn take_stream(&self, stream: StreamId) -> Result<StreamId> {
        let sctp = self.sctp_ref().ok_or_else(Error::no_sctp)?;
        if self.consumer_streams.contains_key(&stream) || !sctp.can_open_stream(stream) {
            return Err(Error::Other(format!("streamId already in use [streamId:{stream}]")));
        }
        Ok(stream)
    }

    fn poll(&mut self) -> Option<Polled> {
        match &mut self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.poll(),
            Kind::Plain(it) => it.poll(),
            Kind::Pipe(it) => it.path.poll_event().map(Polled::Sctp),
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        self.dirty = false;
        let before = out.bytes();
        match &mut self.kind {
            Kind::Direct => {}
            Kind::WebRtc(it) => it.peer.poll_transmit(now, out),
            Kind::Plain(it) => it.path.poll_transmit(now, out),
            Kind::Pipe(it) => it.path.poll_transmit(now, out),
        }
        self.sent.add(now, out.bytes() - before);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.peer.poll_timeout(),
            Kind::Plain(it) => it.path.poll_timeout(),
            Kind::Pipe(it) => it.path.poll_timeout(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match &mut self.kind {
            Kind::Direct => {}
            Kind::WebRtc(it) => it.peer.handle_timeout(now),
            Kind::Plain(it) => it.path.handle_timeout(now),
            Kind::Pipe(it) => it.path.handle_timeout(now),
        }
    }

    /// `transport.sctpParameters`, if SCTP is enabled.
    fn sctp_parameters(&self) -> Option<SctpParameters> {
        let it = self.sctp.as_ref()?;
        Some(SctpParameters {
            port: 5000,
            max_send_message_size: it.max_send_message_size,
            max_receive_message_size: it.max_receive_message_size,
            send_buffer_size: it.send_buffer_size,
            per_stream_send_queue_limit: it.per_stream_send_queue_limit,
            max_receiver_window_buffer_size: it.max_receiver_window_buffer_size,
            is_data_channel: matches!(self.kind, Kind::WebRtc(_)),
            os: STREAMS,
            mis: STREAMS,
            max_message_size: it.max_send_message_size,
        })
    }
}

impl Sfu {
    /// Adds a transport to its router.
    fn insert_transport(&mut self, key: TransportKey, transport: Transport) -> Result<Uuid> {
        let router = self.routers.get_mut(&transport.router).ok_or(transport.router)?;
        router.transports.push(key);
        let id = transport.id;
        self.transports.insert(key, transport);
        Ok(id)
    }

    /// The transport, or [`Error::NotFound`].
    pub fn transport(&mut self, key: TransportKey) -> Result<TransportMut<'_>> {
        if self.transports.contains_key(&key) {
            Ok(TransportMut { sfu: self, key })
        } else {
            Err(key.into())
        }
    }

    /// Closes a transport and everything on it; the peer is told.
    pub fn close_transport(&mut self, key: TransportKey) {
        let Some(transport) = self.transports.get(&key) else { return };
        for producer in transport.data_producers.clone() {
            self.remove_data_producer(producer);
        }
        let Some(transport) = self.transports.get(&key) else { return };
        for consumer in transport.data_consumers.clone() {
            self.remove_data_consumer(consumer);
        }
        let Some(mut transport) = self.transports.remove(&key) else { return };
        self.deadlines.remove(key);
        match &mut transport.kind {
            Kind::Direct => {}
            Kind::WebRtc(it) => it.peer.close(self.now, &mut self.transmits),
            Kind::Plain(it) => it.path.close(self.now, &mut self.transmits),
            Kind::Pipe(it) => it.path.close(self.now, &mut self.transmits),
        }
        self.forget_paths(key, &transport);
        if let Some(router) = self.routers.get_mut(&transport.router) {
            router.transports.retain(|it| *it != key);
        }
    }

    /// Remembers to ask this transport for datagrams at the end of the turn.
    pub(super) fn touch(&mut self, key: TransportKey) {
        if let Some(transport) = self.transports.get_mut(&key) {
            transport.mark_dirty(key, &mut self.dirty);
        }
    }

    /// A datagram for this transport has arrived over `tuple`.
    pub(super) fn handle_transport_datagram(
        &mut self,
        key: TransportKey,
        tuple: Tuple,
        datagram: &[u8],
    ) {
        let Self { now, transports, transmits, .. } = self;
        let Some(transport) = transports.get_mut(&key) else { return };
        let before = transmits.bytes();
        let accepted = match &mut transport.kind {
            Kind::Direct => false,
            Kind::WebRtc(it) => it.peer.handle_datagram(*now, tuple, datagram, transmits),
            Kind::Plain(it) => it.handle_datagram(*now, tuple, datagram),
            Kind::Pipe(it) => it.path.handle_datagram(*now, tuple, datagram),
        };
        if accepted {
            transport.received.add(*now, datagram.len());
            transport.sent.add(*now, transmits.bytes() - before);
        } else {
            transport.datagrams_dropped += 1;
        }
        self.pump(key);
        self.touch(key);
    }

    /// Flushes every transport that something happened to, once.
    pub(super) fn flush_dirty(&mut self) {
        while let Some(key) = self.dirty.pop() {
            let Some(transport) = self.transports.get_mut(&key) else { continue };
            transport.poll_transmit(self.now, &mut self.transmits);
            self.publish_buffered_amounts(key);
            self.pump(key);
            if let Some(transport) = self.transports.get(&key) {
                self.deadlines.set(key, transport.poll_timeout());
            }
        }
    }

    fn publish_buffered_amounts(&mut self, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let mut buffered = std::mem::take(&mut transport.buffered);
        buffered.retain(|key| {
            let Some(consumer) = self.data_consumers.get(key) else { return false };
            let Sink::Sctp { stream, .. } = &consumer.sink else { return false };
            let amount = transport.buffered_amount(stream.stream_id);
            consumer.publish_buffered_amount(amount);
            amount > 0
        });
        transport.buffered = buffered;
    }

    /// Wakes the transports whose deadline has come.
    pub(super) fn handle_deadlines(&mut self) {
        while let Some(key) = self.deadlines.expired(self.now) {
            if let Some(transport) = self.transports.get_mut(&key) {
                transport.handle_timeout(self.now);
            }
            self.pump(key);
            self.touch(key);
        }
    }

    /// Takes what a transport has to say.
    pub(super) fn pump(&mut self, key: TransportKey) {
        while let Some(polled) = self.transports.get_mut(&key).and_then(Transport::poll) {
            match polled {
                Polled::Event(event) => self.events.push_back(Event::Transport(key, event)),
                Polled::TupleAdded(tuple) => self.add_tuple(key, tuple),
                Polled::TupleRemoved(tuple) => self.remove_tuple(key, tuple),
                Polled::UsernameRetired(username) => self.remove_username(key, &username),
                Polled::Sctp(event) => self.handle_sctp_event(key, event),
            }
        }
    }

    fn handle_sctp_event(&mut self, key: TransportKey, event: SctpEvent) {
        match event {
            SctpEvent::Message { stream, message } => self.receive(key, stream, message),
            SctpEvent::State(state) => {
                let sctp = self.transports.get(&key).and_then(Transport::sctp_ref);
                let connected = state == SctpState::Connected;
                let streams = sctp.filter(|_| connected).and_then(|it| it.negotiated_streams());
                let event = TransportEvent::SctpState(state, streams);
                self.events.push_back(Event::Transport(key, event));
            }
            SctpEvent::BufferedAmountLow { stream, amount } => {
                self.buffered_amount_low(key, stream, amount);
            }
            SctpEvent::StreamReset { stream } => self.stream_closed(key, stream),
            // For information only: the application decides what it listens to.
            SctpEvent::ChannelOpened { .. } => {}
        }
    }

    /// A message from the peer.
    fn receive(&mut self, key: TransportKey, stream: StreamId, mut message: Message) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let mut selector = None;
        if transport.is_pipe() {
            (selector, message.payload) = pipe_codec::decode(message.payload);
        }
        let producer = transport.producer_streams.get(&stream).copied();
        let too_large = message.payload.len() > transport.max_receive_message_size as usize;
        let producer = producer.filter(|_| !too_large);
        match producer.and_then(|it| Some((it, self.data_producers.get_mut(&it)?))) {
            Some((producer, entity)) => {
                entity.received(&message);
                self.route(producer, &message, selector.as_ref());
            }
            None => transport.messages_unrouted += 1,
        }
    }
}

/// A [`Transport`] in its [`Sfu`]: what can be asked of it.
#[derive(Debug)]
pub struct TransportMut<'a> {
    pub(super) sfu: &'a mut Sfu,
    pub(super) key: TransportKey,
}

impl TransportMut<'_> {
    pub(super) fn get(&mut self) -> &mut Transport {
        self.sfu.transports.get_mut(&self.key).expect("checked when this view was made")
    }

    /// Makes a DataProducer. `intake` counts what JavaScript sends to a direct one.
    pub fn produce_data(
        &mut self,
        key: DataProducerKey,
        options: DataProducerOptions,
        intake: Arc<Backlog>,
    ) -> Result<Uuid> {
        let transport_key = self.key;
        let direct = self.get().is_direct();
        let stream = match options.sctp_stream_parameters {
            _ if direct => None,
            _ if self.get().sctp.is_none() => return Err(Error::no_sctp()),
            None => return Err(Error::Type("missing sctpStreamParameters".into())),
            stream => stream,
        };
        let id = choose_id(self.sfu, transport_key, options.id)?;
        let transport = self.get();
        if let Some(stream) = stream {
            let id = stream.stream_id;
            if transport.producer_streams.contains_key(&id) {
                let text = format!("streamId already exists in SCTP listener [streamId:{id}]");
                return Err(Error::Other(text));
            }
            transport.producer_streams.insert(id, key);
        }
        transport.data_producers.push(key);
        let router = transport.router;
        let intake = direct.then_some(intake);
        let producer = DataProducer::new(id, router, transport_key, options, stream, intake);
        self.sfu.data_producers.insert(key, producer);
        self.sfu.data_producer_ids.insert(id, key);
        self.start_sctp();
        Ok(id)
    }

    /// Makes a DataConsumer and answers with its dump. `backlog` counts what it has not handed over
    /// yet.
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
        let producer = producer_key
            .and_then(|key| Some((key, self.sfu.data_producers.get(&key)?)))
            .filter(|(_, producer)| producer.router == router)
            .ok_or_else(|| Error::NotFound(format!("DataProducer with id \"{id}\" not found")))?;
        let (producer_key, producer) = producer;
        let inherited = producer.stream.map(|it| it.reliability());
        let texts = (producer.label.clone(), producer.protocol.clone());
        let paused = (options.paused, producer.paused);
        let subscriptions = Subscriptions::new(options.subchannels.iter().copied());

        let sink = if self.get().is_direct() {
            Sink::Direct { backlog, dropping: None }
        } else {
            let reliability = options.reliability(inherited)?;
            self.open_stream(key, options.stream_id, reliability, backlog)?
        };
        let consumer =
            DataConsumer::new(transport_key, producer_key, id, sink, texts, paused, subscriptions);
        self.get().data_consumers.push(key);
        if let Some(producer) = self.sfu.data_producers.get_mut(&producer_key) {
            producer.consumers.push(key);
        }
        self.sfu.data_consumers.insert(key, consumer);
        self.start_sctp();
        Ok(self.sfu.data_consumer(key)?.dump())
    }

    fn open_stream(
        &mut self,
        key: DataConsumerKey,
        wanted: Option<StreamId>,
        reliability: Reliability,
        gauge: Arc<Backlog>,
    ) -> Result<Sink> {
        let transport = self.get();
        let low_threshold = match &transport.sctp {
            Some(options) => options.buffered_amount_low_threshold as usize,
            None => return Err(Error::no_sctp()),
        };
        let stream = match wanted {
            Some(stream) => transport.take_stream(stream)?,
            None => transport.next_free_stream()?,
        };
        transport.consumer_streams.insert(stream, key);
        if let Some(sctp) = transport.sctp_mut() {
            sctp.open_stream(stream, reliability);
        }
        let stream = SctpStreamParameters::new(stream, reliability);
        Ok(Sink::Sctp { stream, low_threshold, gauge })
    }

    /// A plain or pipe association begins when there is something to carry.
    fn start_sctp(&mut self) {
        let now = self.sfu.now;
        match &mut self.get().kind {
            Kind::Plain(it) => it.path.start(now),
            Kind::Pipe(it) => it.path.start(now),
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

    /// Its configuration and state.
    pub fn dump(&mut self) -> TransportDump {
        let transport = &self.sfu.transports[&self.key];
        let producers = &self.sfu.data_producers;
        let id_of = |key| producers.get(key).map(|it: &DataProducer| it.id);
        let consumers = &self.sfu.data_consumers;
        let mut streams: Vec<_> = transport
            .producer_streams
            .iter()
            .filter_map(|(&key, producer)| Some(KeyValue { key, value: id_of(producer)? }))
            .collect();
        streams.sort_by_key(|it| it.key);
        let sctp =
            transport.sctp_ref().zip(transport.sctp_parameters()).map(|(sctp, it)| SctpDump {
                sctp_parameters: it,
                sctp_state: sctp.state(),
                sctp_negotiated_capabilities: sctp.negotiated_streams().unwrap_or_default().into(),
                sctp_listener: SctpListener { stream_id_table: streams },
            });
        TransportDump {
            id: transport.id,
            producer_ids: [],
            consumer_ids: [],
            map_ssrc_consumer_id: [],
            map_rtx_ssrc_consumer_id: [],
            data_producer_ids: transport.data_producers.iter().filter_map(id_of).collect(),
            data_consumer_ids: transport
                .data_consumers
                .iter()
                .filter_map(|key| Some(consumers.get(key)?.id))
                .collect(),
            recv_rtp_header_extensions: Default::default(),
            rtp_listener: Default::default(),
            max_send_message_size: transport.max_send_message_size,
            max_receive_message_size: transport.max_receive_message_size,
            sctp,
            trace_event_types: [],
            kind: self.kind_dump(),
        }
    }

    /// Its counters.
    pub fn get_stats(&mut self) -> TransportStats {
        let (now, timestamp) = (self.sfu.now, self.sfu.timestamp());
        let kind = self.kind_stats();
        let it = self.get();
        TransportStats {
            transport_id: it.id,
            timestamp,
            sctp_state: it.sctp_ref().map(|sctp| sctp.state()),
            bytes_received: it.received.total(),
            recv_bitrate: it.received.bitrate(now),
            bytes_sent: it.sent.total(),
            send_bitrate: it.sent.bitrate(now),
            rtp: Default::default(),
            bitrates: it.bitrates,
            dropped: it.sctp_ref().map(|sctp| sctp.counters().into()),
            datagrams_dropped: it.datagrams_dropped,
            messages_unrouted: it.messages_unrouted,
            messages_discarded: it.discarded.messages,
            bytes_discarded: it.discarded.bytes,
            kind,
        }
    }
}
