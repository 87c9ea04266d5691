//! What all kinds of transports share: streams and counters.

pub(in crate::sfu) mod captures;
pub(in crate::sfu) mod channels;
pub(in crate::sfu) mod counters;
mod counting;

pub(in crate::sfu) mod pipe;
pub(in crate::sfu) mod plain;
mod polled;
mod released;
pub(in crate::sfu) mod sctp;
pub(in crate::sfu) mod sctp_over_udp;
pub(in crate::sfu) mod streams;
pub(in crate::sfu) mod webrtc;

use std::collections::VecDeque;
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use crate::proto::message::{Message, StreamId};
use crate::proto::transmit::Transmits;

use crate::sfu::contract::options::SctpOptions;
use crate::sfu::contract::parameters::{Bitrates, DropCount, SctpParameters};
use crate::sfu::crowd;
use crate::sfu::entity::limiter::Limiter;
use crate::sfu::event::TransportEvent;
use crate::sfu::id::{self, DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use crate::sfu::meter::Meter;
use crate::sfu::roster::Roster;

/// What `dump()` shows as both limits of a transport without SCTP, in bytes. Such a transport carries no
/// messages, so `lib/` sends no sizes for it.
const DEFAULT_MAX_MESSAGE_SIZE: u32 = 262_144;

/// Data channels use streams 0 to 65534 (RFC 8831 §6.2).
const LAST_STREAM: StreamId = 65_534;

/// One transport. What differs between the kinds is in [`Kind`].
#[derive(Debug)]
pub(in crate::sfu) struct Transport {
    pub(in crate::sfu) id: Uuid,
    pub(in crate::sfu) router: RouterKey,
    pub(in crate::sfu) kind: Kind,
    pub(in crate::sfu) sctp: Option<SctpBounds>,
    pub(in crate::sfu) max_send_message_size: u32,
    pub(in crate::sfu) max_receive_message_size: u32,
    pub(in crate::sfu) data_producers: Roster<DataProducerKey>,
    pub(in crate::sfu) data_consumers: Roster<DataConsumerKey>,
    pub(in crate::sfu) producer_streams: FxHashMap<StreamId, DataProducerKey>,
    pub(in crate::sfu) consumer_streams: FxHashMap<StreamId, DataConsumerKey>,
    /// On a pipe: whether the origin of a stream is paused, for streams that have no DataProducer yet.
    pub(in crate::sfu) origins_paused: FxHashMap<StreamId, bool>,
    /// The streams whose far end was told last that the DataProducer is paused.
    pub(in crate::sfu) shown_paused: FxHashSet<StreamId>,
    /// Channels that the peer has opened in band and that no DataProducer has adopted, once there was one.
    pub(in crate::sfu) channels: Option<Box<Channels>>,
    pub(in crate::sfu) next_stream: StreamId,
    /// The DataConsumers for which JavaScript was last shown payload that waits for the peer.
    pub(in crate::sfu) backlogged: Vec<DataConsumerKey>,
    pub(in crate::sfu) bitrates: Bitrates,
    pub(in crate::sfu) received: Meter,
    pub(in crate::sfu) sent: Meter,
    pub(in crate::sfu) through_crowd: crowd::SentInPeriod,
    pub(in crate::sfu) datagrams_dropped: u64,
    pub(in crate::sfu) messages_unrouted: u64,
    /// The limit over all its DataProducers.
    pub(in crate::sfu) limiter: Option<Box<Limiter>>,
    pub(in crate::sfu) limited: DropCount,
    pub(in crate::sfu) messages_dropped_unsendable: u64,
    pub(in crate::sfu) discarded: DropCount,
    in_totals: InTotals,
    pub(in crate::sfu) dirty: bool,
    /// The charge of the association as last added to the worker's memory.
    counted: usize,
    /// Present while packets are captured.
    pub(in crate::sfu) captures: Option<Box<Captures>>,
    /// Whether messages of the peer wait to be routed: the transport is in the list of those.
    pub(in crate::sfu) postponed: bool,
}

use captures::Captures;
use channels::Channels;
use counters::InTotals;
pub(in crate::sfu) use polled::Polled;
use sctp::{STREAMS, SctpBounds};

/// The kinds of transports.
#[derive(Debug)]
pub(in crate::sfu) enum Kind {
    Direct,
    WebRtc(Box<webrtc::WebRtc>),
    Plain(Box<plain::Plain>),
    Pipe(Box<pipe::Pipe>),
}

impl Transport {
    pub(in crate::sfu) fn new(
        router: RouterKey,
        kind: Kind,
        sctp: Option<&SctpOptions>,
        now: Instant,
    ) -> Self {
        let size = |of: fn(&SctpOptions) -> u32| sctp.map_or(DEFAULT_MAX_MESSAGE_SIZE, of);
        Self {
            id: id::random(),
            router,
            kind,
            max_send_message_size: size(|it| it.max_send_message_size),
            max_receive_message_size: size(|it| it.max_receive_message_size),
            sctp: sctp.map(SctpBounds::from),
            data_producers: Roster::default(),
            data_consumers: Roster::default(),
            producer_streams: FxHashMap::default(),
            consumer_streams: FxHashMap::default(),
            origins_paused: FxHashMap::default(),
            shown_paused: FxHashSet::default(),
            channels: None,
            next_stream: 0,
            backlogged: Vec::new(),
            bitrates: Bitrates::default(),
            received: Meter::new(now),
            sent: Meter::new(now),
            through_crowd: crowd::SentInPeriod::default(),
            datagrams_dropped: 0,
            messages_unrouted: 0,
            limiter: None,
            limited: DropCount::default(),
            messages_dropped_unsendable: 0,
            discarded: DropCount::default(),
            in_totals: InTotals::new(now),
            dirty: false,
            counted: 0,
            captures: None,
            postponed: false,
        }
    }

    pub(in crate::sfu) fn is_webrtc(&self) -> bool {
        matches!(self.kind, Kind::WebRtc(_))
    }

    pub(in crate::sfu) fn is_pipe(&self) -> bool {
        matches!(self.kind, Kind::Pipe(_))
    }

    pub(in crate::sfu) fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    /// Marks this transport as dirty, so that the flush at the end of the turn asks it for datagrams.
    pub(in crate::sfu) fn mark_dirty(
        &mut self,
        key: TransportKey,
        dirty: &mut VecDeque<TransportKey>,
    ) {
        if !std::mem::replace(&mut self.dirty, true) {
            dirty.push_back(key);
        }
    }

    pub(in crate::sfu) fn poll(&mut self) -> Option<Polled> {
        match &mut self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.poll(),
            Kind::Plain(it) => it.poll(),
            Kind::Pipe(it) => it.poll(),
        }
    }

    /// Whether [`Self::poll`] returns a message next.
    pub(in crate::sfu) fn has_message(&self) -> bool {
        match &self.kind {
            Kind::Direct => false,
            Kind::WebRtc(it) => it.peer.has_message(),
            Kind::Plain(it) => it.has_message(),
            Kind::Pipe(it) => it.path.has_message(),
        }
    }

    /// Keeps a message of a channel that no DataProducer has adopted yet. Returns whether there is room.
    pub(in crate::sfu) fn keep_unadopted(&mut self, stream: StreamId, message: &Message) -> bool {
        self.channels.as_mut().is_some_and(|it| it.keep(stream, message))
    }

    pub(in crate::sfu) fn poll_path(&mut self) -> Option<TransportEvent> {
        match &mut self.kind {
            Kind::WebRtc(it) => it.poll_path(),
            _ => None,
        }
    }

    pub(in crate::sfu) fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
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

    pub(in crate::sfu) fn poll_timeout(&self) -> Option<Instant> {
        match &self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => {
                let channels = self.channels.as_ref().and_then(|it| it.deadline());
                it.peer.poll_timeout().into_iter().chain(channels).min()
            }
            Kind::Plain(it) => it.path.poll_timeout(),
            Kind::Pipe(it) => it.path.poll_timeout(),
        }
    }

    pub(in crate::sfu) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.kind {
            Kind::Direct => {}
            Kind::WebRtc(it) => it.peer.handle_timeout(now),
            Kind::Plain(it) => it.path.handle_timeout(now),
            Kind::Pipe(it) => it.path.handle_timeout(now),
        }
    }

    /// `transport.sctpParameters`, if SCTP is enabled.
    pub(in crate::sfu) fn sctp_parameters(&self) -> Option<SctpParameters> {
        let (bounds, association) = (self.sctp?, self.sctp_ref()?);
        Some(SctpParameters {
            port: 5000,
            max_send_message_size: self.max_send_message_size,
            max_receive_message_size: self.max_receive_message_size,
            send_buffer_size: bounds.send_buffer_size,
            per_stream_send_queue_limit: bounds.per_stream_send_queue_limit,
            max_receiver_window_buffer_size: association.receive_window(),
            is_data_channel: self.is_webrtc(),
            os: STREAMS,
            mis: STREAMS,
            max_message_size: self.max_receive_message_size,
        })
    }
}
