//! What all kinds of transports share: streams, counters, and how they come and go.

mod association;
pub mod direct;
mod drive;
pub mod pipe;
pub mod plain;
mod requests;
mod sctp;
mod sctp_over_udp;
pub mod tunnel;
pub mod webrtc;

use std::time::Instant;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::proto::message::StreamId;
use crate::proto::net::Tuple;
use crate::proto::sctp::SctpEvent;
use crate::proto::transmit::Transmits;

pub use requests::TransportMut;

use tunnel::TunnelFrame;

use super::Sfu;
use super::contract::options::SctpOptions;
use super::contract::parameters::{Bitrates, DropCount, ListenProtocol, SctpParameters};
use super::error::Result;
use super::event::{Event, TransportEvent};
use super::id::{self, DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use super::meter::Meter;

/// The default of both message size limits, in bytes.
pub const DEFAULT_MAX_MESSAGE_SIZE: u32 = 262_144;

/// Data channels use streams 0 to 65534 (RFC 8831 §6.2).
const LAST_STREAM: StreamId = 65_534;

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
    /// DataConsumers whose payload waits for the peer, as far as JavaScript has been shown.
    pub(super) waiting: Vec<DataConsumerKey>,
    bitrates: Bitrates,
    received: Meter,
    sent: Meter,
    datagrams_dropped: u64,
    messages_unrouted: u64,
    discarded: DropCount,
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
    /// For the other end of a tunnel.
    TunnelFrame(TunnelFrame),
    /// For the application.
    Event(TransportEvent),
    /// On a shared port, this path leads here from now on…
    TupleAdded(Tuple),
    /// …and from now on not any more.
    TupleRemoved(Tuple, ListenProtocol),
    /// On a shared port, this username does not lead here any more.
    UsernameRetired(String),
}

impl Transport {
    fn new(router: RouterKey, kind: Kind, sctp: Option<SctpOptions>, now: Instant) -> Self {
        let size = |of: fn(&SctpOptions) -> u32| sctp.as_ref().map_or(DEFAULT_MAX_MESSAGE_SIZE, of);
        Self {
            id: id::random(),
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
            waiting: Vec::new(),
            bitrates: Bitrates::default(),
            received: Meter::new(now),
            sent: Meter::new(now),
            datagrams_dropped: 0,
            messages_unrouted: 0,
            discarded: DropCount::default(),
            dirty: false,
        }
    }

    pub(super) fn is_webrtc(&self) -> bool {
        matches!(self.kind, Kind::WebRtc(_))
    }

    pub(super) fn is_pipe(&self) -> bool {
        matches!(self.kind, Kind::Pipe(_))
    }

    fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    /// Remembers to ask this transport for datagrams at the end of the turn.
    pub(super) fn mark_dirty(&mut self, key: TransportKey, dirty: &mut Vec<TransportKey>) {
        if !std::mem::replace(&mut self.dirty, true) {
            dirty.push(key);
        }
    }

    fn poll(&mut self) -> Option<Polled> {
        match &mut self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.poll(),
            Kind::Plain(it) => it.poll(),
            Kind::Pipe(it) => it.poll(),
        }
    }

    fn poll_path(&mut self) -> Option<TransportEvent> {
        match &mut self.kind {
            Kind::WebRtc(it) => it.poll_path(),
            _ => None,
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
        Some(sctp::parameters(self.sctp.as_ref()?, self.is_webrtc()))
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
        let Some(transport) = self.transports.get_mut(&key) else { return };
        // Taken out, so that none of them has to be looked for in these.
        let producers = std::mem::take(&mut transport.data_producers);
        let consumers = std::mem::take(&mut transport.data_consumers);
        for producer in producers {
            self.remove_data_producer(producer);
        }
        for consumer in consumers {
            self.remove_data_consumer(consumer);
        }
        let Some(mut transport) = self.transports.remove(&key) else { return };
        self.deadlines.remove(key);
        match &mut transport.kind {
            Kind::Direct => {}
            Kind::WebRtc(it) => it.peer.close(self.now, &mut self.transmits),
            Kind::Plain(it) => it.path.close(self.now, &mut self.transmits),
            Kind::Pipe(it) => it.close(self.now, &mut self.transmits),
        }
        while let Some(Polled::TunnelFrame(frame)) = transport.poll() {
            self.events.push_back(Event::TunnelFrame(key, frame));
        }
        self.forget_paths(key, &transport);
        if let Some(router) = self.routers.get_mut(&transport.router) {
            router.transports.retain(|it| *it != key);
        }
    }
}
