//! One association of sctp-proto, and all that touches it.
//!
//! sctp-proto routes packets to associations through an `Endpoint`; here each association has one
//! of its own, so that two can never exist side by side.

mod settings;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationEvent, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, Event,
    Payload, PayloadProtocolIdentifier, ReliabilityType, StreamEvent,
};

use super::egress::{self, Oversize};
use super::flight::Unsent;
use super::guard::{Admission, Dropped, Guard, Named, SINK, Screened};
use super::init;
use super::ledger::Ledger;
use super::partial::Waiting;
use super::ppid;
use super::queue::Next;
use super::wire::{self, Header};
use super::{SctpConfig, SctpCounters};
use crate::proto::dcep;
use crate::proto::message::{Limit, Message, Ppid, Reliability, StreamId};

/// sctp-proto wants an address; the path below it is not its business.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// Resets that wait in sctp-proto, which asks for all of them in one packet.
const MAX_WAITING_RESETS: usize = 256;

/// Who sent the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Initiator,
    Responder { peer_tag: u32 },
}

/// sctp-proto keeps the whole packet as long as a chunk of it: of a larger one, each gets a part of
/// its own. No path of the Internet carries more; TCP, loopback and jumbo frames do.
const MAX_KEPT_PACKET: usize = 1500;

/// What a packet of the peer led to.
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per packet")]
pub(super) enum Incoming {
    /// It may go to the association, after the streams that it names have been registered.
    Deliver(AssociationEvent),
    /// The same, in several packets.
    Divided(Vec<AssociationEvent>),
    /// An INIT has been answered.
    Answered,
    /// Nothing.
    Dropped(Dropped),
    /// The peer ends the association.
    Aborted,
    /// The peer refuses our cookie as too old.
    StaleCookie,
    /// The peer has answered our HEARTBEAT.
    Alive,
    /// The association has to end.
    Violation(&'static str),
}

/// What [`Link::read`] found.
pub(super) enum Read {
    Message(Message),
    /// The peer has mixed PPIDs within a message; it is gone.
    Garbled,
    /// Over the maximum.
    TooLarge,
}

/// An association, handshaking or established.
#[derive(Debug)]
pub(super) struct Link {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    pub(super) role: Role,
    guard: Guard,
    ledger: Ledger,
    max_packet: usize,
    max_fragment: usize,
    max_receive_message_size: usize,
    window: u32,
    /// How many streams sctp-proto knows.
    streams: usize,
}

impl Link {
    /// Starts an association with an INIT.
    pub(super) fn initiate(config: &SctpConfig) -> Option<Self> {
        let mut endpoint = settings::endpoint(config);
        let mut client = ClientConfig::default();
        client.transport = Arc::new(settings::transport(config));
        let (handle, association) = endpoint.connect(client, NOBODY).ok()?;
        Some(Self::new(config, endpoint, handle, association, Role::Initiator))
    }

    /// Answers an INIT.
    pub(super) fn respond(
        config: &SctpConfig,
        now: Instant,
        packet: &[u8],
    ) -> Result<Self, Dropped> {
        let (init, peer) = init::screen(packet)?;
        let mut endpoint = settings::endpoint(config);
        match endpoint.handle(now, NOBODY, None, None, init) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                let role = Role::Responder { peer_tag: peer.party.tag };
                let mut link = Self::new(config, endpoint, handle, association, role);
                link.ledger.peer = Some(peer);
                Ok(link)
            }
            _ => Err(Dropped::Malformed),
        }
    }

    fn new(
        config: &SctpConfig,
        endpoint: Endpoint,
        handle: AssociationHandle,
        association: Association,
        role: Role,
    ) -> Self {
        let window = settings::window(config);
        Self {
            endpoint,
            handle,
            association,
            role,
            guard: Guard::new(config.max_packet_size, window as usize, config.data_channels),
            ledger: Ledger::default(),
            max_packet: config.max_packet_size,
            max_fragment: settings::max_fragment(config.max_packet_size),
            max_receive_message_size: config.max_receive_message_size as usize,
            window,
            streams: 0,
        }
    }

    /// Answers the INIT that made this association once more.
    pub(super) fn repeat_init(&mut self, now: Instant, packet: &[u8]) -> Incoming {
        match init::screen(packet) {
            Ok((init, ..)) => match self.route(now, init) {
                Some(event) => Incoming::Deliver(event),
                None => Incoming::Dropped(Dropped::Foreign),
            },
            Err(dropped) => Incoming::Dropped(dropped),
        }
    }

    /// Judges a packet other than an INIT.
    pub(super) fn judge(&mut self, now: Instant, packet: Bytes) -> Incoming {
        let packet = match self.guard.screen(&self.ledger, self.role, packet) {
            Screened::Pass(packet) => packet,
            Screened::Abort => return Incoming::Aborted,
            Screened::StaleCookie => return Incoming::StaleCookie,
            Screened::Alive => return Incoming::Alive,
            Screened::Drop(dropped) => return Incoming::Dropped(dropped),
        };
        debug_assert!(wire::is_canonical(&packet), "the guard let {packet:?} through");
        let Some(event) = self.route(now, packet.clone()) else {
            return Incoming::Dropped(Dropped::Foreign);
        };
        match self.guard.admit(now, &mut self.ledger, self.streams, &packet) {
            Admission::Granted => {
                if packet.len() <= MAX_KEPT_PACKET {
                    return Incoming::Deliver(event);
                }
                let parts = wire::divide(&packet, MAX_KEPT_PACKET);
                Incoming::Divided(parts.into_iter().flat_map(|it| self.route(now, it)).collect())
            }
            Admission::Refused(dropped) => Incoming::Dropped(dropped),
            Admission::Violation(rule) => Incoming::Violation(rule),
        }
    }

    /// Has the endpoint verify checksum and tag.
    fn route(&mut self, now: Instant, packet: Bytes) -> Option<AssociationEvent> {
        match self.endpoint.handle(now, NOBODY, None, None, packet)? {
            (handle, DatagramEvent::AssociationEvent(event)) if handle == self.handle => {
                Some(event)
            }
            _ => None,
        }
    }

    /// Takes what the packet just judged says about streams.
    pub(super) fn take_named(&mut self) -> Named {
        std::mem::take(&mut self.guard.named)
    }

    /// Hands a packet to the association.
    pub(super) fn deliver(&mut self, event: AssociationEvent) {
        self.association.handle_event(event);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        let event = self.association.poll()?;
        match &event {
            Event::Connected => self.ledger.established = true,
            Event::Stream(StreamEvent::Opened { .. }) => {
                self.streams += 1;
                // Not needed, but it would be kept for ever.
                let _ = self.association.accept_stream();
            }
            Event::DataChannelStatsFinal(_) => self.streams = self.streams.saturating_sub(1),
            Event::Stream(StreamEvent::Readable { id: SINK }) => while self.read(SINK).is_some() {},
            // Whoever has told of the one tells of one of the others.
            Event::Stream(StreamEvent::Finished { id }) => {
                self.ledger.unfinished_resets += 1;
                self.ledger.unread.remove(id);
            }
            Event::Stream(StreamEvent::ResetComplete { .. } | StreamEvent::ResetFailed { .. }) => {
                let resets = &mut self.ledger.unfinished_resets;
                *resets = resets.saturating_sub(1);
            }
            _ => {}
        }
        Some(event)
    }

    /// Hands over the packets that are due. sctp-proto scans all that is in flight: once a turn, and again
    /// only for what has gone in since.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), Oversize> {
        let transmit = self.association.poll_transmit(now);
        // What has expired by now has not been sent, and will not be.
        self.ledger.expire(now);
        let Some(transmit) = transmit else { return Ok(()) };
        let Payload::RawEncode(packets) = transmit.payload else { return Ok(()) };
        for packet in packets {
            egress::emit(&mut self.ledger, self.window, self.max_packet, &packet, &mut sink)?;
        }
        Ok(())
    }

    /// An ABORT to the peer, if we know its tag.
    pub(super) fn abort(&self, cause: u16) -> Option<Bytes> {
        Some(wire::abort(self.header()?, cause))
    }

    /// A HEARTBEAT to the peer, if we know its tag.
    pub(super) fn heartbeat(&mut self) -> Option<Bytes> {
        let heartbeat = wire::heartbeat(self.header()?);
        self.guard.awaits_heartbeat = true;
        Some(heartbeat)
    }

    /// The header of what is not written by sctp-proto.
    fn header(&self) -> Option<Header> {
        let ours = self.ledger.ours.as_ref()?;
        let tag = self.ledger.peer.as_ref()?.party.tag;
        Some(Header { tag, ..ours.header })
    }

    /// The tag that packets to us carry, once the peer can know it.
    pub(super) fn own_tag(&self) -> Option<u32> {
        self.ledger.ours.as_ref().map(|ours| ours.party.tag)
    }

    /// Whether `packet` is the COOKIE ECHO that completes the handshake.
    pub(super) fn awaits(&self, packet: &[u8]) -> bool {
        let cookie = self.ledger.ours.as_ref().and_then(|ours| ours.cookie.as_ref());
        init::cookie(packet).is_some_and(|echoed| cookie.is_some_and(|cookie| cookie == echoed))
    }

    /// Whether the peer has answered our INIT, or sent its own.
    pub(super) fn knows_peer(&self) -> bool {
        self.ledger.peer.is_some()
    }

    /// How many outgoing and incoming streams both sides have agreed on.
    pub(super) fn negotiated_streams(&self) -> Option<(u16, u16)> {
        self.ledger.streams()
    }

    /// Adds what the guard has taken out of the peer's packets, and what sctp-proto has given up.
    pub(super) fn count(&self, counters: &mut SctpCounters) {
        counters.chunks_stripped += self.guard.stripped;
        if let Some(ours) = &self.ledger.ours {
            counters.expired.add(ours.partial.expired);
            counters.abandoned.add(ours.partial.abandoned);
        }
    }

    /// The peer has begun a shutdown: nothing can be sent any more.
    pub(super) fn is_closing(&self) -> bool {
        self.association.is_closing()
    }

    /// Makes sctp-proto know `stream`.
    pub(super) fn register(&mut self, stream: StreamId) {
        // Fails if the stream is known, or if its reset is under way: then there is nothing to do.
        let unknown = PayloadProtocolIdentifier::Unknown;
        if self.association.open_stream(stream, unknown).is_ok() {
            self.streams += 1;
        }
    }

    /// Payload bytes of `stream` that the peer has not acknowledged.
    pub(super) fn unacked(&mut self, stream: StreamId) -> usize {
        self.association
            .stream(stream)
            .ok()
            .and_then(|stream| stream.buffered_amount().ok())
            .unwrap_or(0)
    }

    /// Gives a message to the association, and answers how many bytes it counts for in
    /// [`Self::unacked`]; None if the stream cannot take it.
    pub(super) fn write(&mut self, now: Instant, next: Next) -> Option<usize> {
        let Next { stream: id, message, reliability, deadline } = next;
        // DCEP is always ordered and reliable (RFC 8832 §6), and sctp-proto sends it so.
        let is_dcep = message.ppid == Ppid::DCEP;
        let reliability = if is_dcep { Reliability::RELIABLE } else { reliability };
        self.register(id);
        let mut stream = self.association.stream(id).ok()?;
        let (kind, value) = match reliability.limit {
            None => (ReliabilityType::Reliable, 0),
            Some(Limit::Retransmits(count)) => (ReliabilityType::Rexmit, u32::from(count)),
            // The clock of a message has run since it was queued.
            Some(Limit::LifetimeMs(_)) => {
                let left = deadline.unwrap_or(now).saturating_duration_since(now);
                (ReliabilityType::Timed, left.as_millis() as u32)
            }
        };
        let payload = if ppid::is_known(message.ppid.0) {
            message.payload
        } else {
            ppid::wrap(message.ppid, &message.payload, self.max_fragment)
        };
        stream.set_reliability_params(!reliability.ordered, kind, value).ok()?;
        stream.set_default_payload_type(message.ppid.0.into()).ok()?;
        let written = stream.write_chunks(&mut [payload]).ok()?;
        self.ledger.written(Waiting {
            len: written,
            ordered: reliability.ordered,
            limited: kind != ReliabilityType::Reliable,
            deadline: (kind == ReliabilityType::Timed)
                .then(|| now + Duration::from_millis(value.into())),
        });
        Some(written)
    }

    /// What sctp-proto holds and has not sent.
    pub(super) fn unsent(&mut self) -> Option<&mut Unsent> {
        self.ledger.ours.as_mut().map(|ours| &mut ours.unsent)
    }

    /// Gives back what nothing needs at the moment.
    pub(super) fn trim(&mut self) {
        self.ledger.trim();
    }

    /// TSNs that the peer has not acknowledged cumulatively.
    pub(super) fn in_flight(&self) -> u32 {
        self.ledger.ours.as_ref().map_or(0, |ours| ours.in_flight())
    }

    /// Answers a DATA_CHANNEL_OPEN, and answers itself as [`Self::write`] does: None if the peer
    /// has reset the channel meanwhile.
    pub(super) fn acknowledge_channel(&mut self, now: Instant, stream: StreamId) -> Option<usize> {
        let payload = Bytes::from_static(&dcep::ACK);
        let next = Next {
            stream,
            message: Message { ppid: Ppid::DCEP, payload },
            reliability: Reliability::RELIABLE,
            deadline: None,
        };
        self.write(now, next)
    }

    /// Whether [`Self::reset`] may be called: one RE-CONFIG has to fit a packet.
    pub(super) fn can_reset(&self) -> bool {
        self.ledger.waiting_resets.len() < MAX_WAITING_RESETS
    }

    /// Asks the peer to reset `stream`, our outgoing side, once it has acknowledged what is inside.
    pub(super) fn reset(&mut self, stream: StreamId) {
        self.register(stream);
        if let Ok(mut state) = self.association.stream(stream)
            && state.close().is_ok()
        {
            self.ledger.waiting_resets.insert(stream);
            self.ledger.unread.insert(stream);
        }
    }

    /// Drops the pieces of messages that the peer has left incomplete by resetting `stream`.
    /// sctp-proto would wait for the rest for ever, and keep what follows at a cost that grows with
    /// its square.
    pub(super) fn drop_pieces(&mut self, stream: StreamId) {
        if let Ok(mut stream) = self.association.stream(stream) {
            // Fails outside of an established association only, which is over then.
            let _ = stream.stop();
        }
    }

    /// The next complete message of `stream`.
    pub(super) fn read(&mut self, stream: StreamId) -> Option<Read> {
        let mut stream = self.association.stream(stream).ok()?;
        let mut chunks = stream.read_sctp().ok()??;
        let len = chunks.len();
        self.ledger.held.remove(chunks.chunks.len(), len);
        let payload = chunks.next(len)?.bytes;
        let (ppid, payload) = match chunks.ppi {
            PayloadProtocolIdentifier::Unknown => match ppid::unwrap(payload) {
                Some(unwrapped) => unwrapped,
                None => return Some(Read::Garbled),
            },
            known => (Ppid(known as u32), payload),
        };
        if payload.len() > self.max_receive_message_size {
            return Some(Read::TooLarge);
        }
        Some(Read::Message(Message { ppid, payload }))
    }
}
