//! One association of sctp-proto. This file and `settings` alone name that crate.
//!
//! sctp-proto routes packets to associations through an `Endpoint`; here each association has an
//! endpoint of its own, so that two can never exist side by side.
//!
//! What goes in: [`Engine::judge`] for each inbound packet, [`Engine::write`] and
//! [`Engine::reset`] for what the queues release, [`Engine::handle_timeout`]. What comes out:
//! [`Engine::drain`] once per turn, and [`Engine::poll_event`] after [`Engine::new`],
//! [`Engine::deliver`], [`Engine::drop_fragments`] and [`Engine::handle_timeout`].

mod settings;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use sctp_proto::{
    AssociationEvent, AssociationHandle, DatagramEvent, Endpoint, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, StreamEvent,
};

use super::config::SctpConfig;
use super::control::{Admittance, Control, SendLimit, Written, WrittenTotal};
use super::counters::{PacketDrop, SctpCounters, TransmissionStats};
use super::egress::{Egress, Oversize, Window};
use super::guard::{Admission, DISCARD_STREAM, Guard, Screening, StreamEffects};
use super::handshake::Agreement;
use super::ledger::Ledger;
use super::ppid;
use super::queue::ScheduledMessage;
use super::wire::{self, Header, Writer, kind};
use crate::proto::dcep;
use crate::proto::message::{Limit, Message, Ppid, Reliability, StreamId};

/// The target of the log lines of sctp-proto.
pub const ENGINE_LOG_TARGET: &str = "sctp_proto";

/// sctp-proto requires an address; it never uses it.
const UNUSED_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// How many resets may wait in sctp-proto, which requests all of them in one packet.
const MAX_WAITING_RESETS: usize = 256;

/// sctp-proto keeps the whole packet as long as it holds one chunk of it, so a larger packet is
/// split. No path of the Internet carries more; TCP, loopback and jumbo frames do.
const MAX_KEPT_PACKET: usize = 1500;

/// The payload bytes that sctp-proto gives out at a time: it sorts what it holds in flight with each chunk.
const PORTION: u32 = 32 * 1024;

/// What became of an inbound packet.
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per packet")]
pub(super) enum Verdict {
    /// The packet belongs to the peer. Register the streams that it names, then call [`Engine::deliver`].
    Accepted(VerifiedPacket),
    /// The packet was a step of the handshake.
    Shaken,
    /// The packet was dropped.
    Dropped(PacketDrop),
    /// The peer aborted the association, with this error cause.
    Aborted(Option<u16>),
    /// The peer answered our HEARTBEAT, and the packet holds nothing else.
    HeartbeatAcked,
    /// The packet was a SACK, and nothing else.
    Acknowledged,
    /// The peer broke this rule; abort the association.
    Violation(&'static str),
}

/// A verified packet on its way to [`Engine::deliver`].
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per packet")]
pub(super) enum VerifiedPacket {
    Whole(AssociationEvent),
    /// Split, because it is over [`MAX_KEPT_PACKET`].
    Split(Vec<AssociationEvent>),
}

/// What [`Engine::poll_event`] reports.
pub(super) enum EngineEvent {
    /// The handshake is complete.
    Connected,
    /// The association ended: after a shutdown, or because of an error, which is described.
    Lost(String),
    /// Call [`Engine::read`] until it returns `None`.
    Readable(StreamId),
    /// The peer reset its side of a stream. sctp-proto resets ours in return.
    PeerReset(StreamId),
    /// Both sides of a stream are reset.
    ResetComplete(StreamId),
}

/// What [`Engine::read`] found.
pub(super) enum Reassembled {
    Message(Message),
    /// The peer mixed PPIDs within one message, which is lost.
    Garbled,
    /// The message exceeds `max_receive_message_size`.
    TooLarge,
}

/// An established association.
#[derive(Debug)]
pub(super) struct Engine {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: sctp_proto::Association,
    guard: Guard,
    ledger: Ledger,
    control: Control,
    /// Whether sctp-proto gives out no more than one chunk at a time.
    is_shut: bool,
    /// The memory of the packets of [`Self::release`].
    releases: BytesMut,
    max_packet: usize,
    max_fragment: usize,
    max_receive_message_size: usize,
    window: u32,
    /// The largest window to announce, and until when.
    window_limit: Option<(u32, Instant)>,
    /// How many streams sctp-proto knows.
    streams: usize,
}

impl Engine {
    /// Makes an established association of what both sides have announced. `None` if sctp-proto refuses it.
    pub(super) fn new(now: Instant, config: &SctpConfig, agreement: Agreement) -> Option<Self> {
        let Agreement { local, cookie, peer, round_trip } = agreement;
        let mut endpoint = settings::endpoint(config);
        let client = settings::client(config, local, &peer);
        let (handle, association) = endpoint.connect(client, UNUSED_ADDRESS).ok()?;
        let window = config.receive_window();
        let mut control = Control::new(
            config.congestion_control,
            config.max_packet_size,
            settings::max_fragment(config.max_packet_size),
            local.tsn,
            peer.init.window,
        );
        if let Some(round_trip) = round_trip {
            control.on_round_trip(now, round_trip);
        }
        Some(Self {
            endpoint,
            handle,
            association,
            guard: Guard::new(config.max_packet_size, window as usize, config.data_channels),
            ledger: Ledger::new(local, cookie, &peer),
            control,
            is_shut: false,
            releases: BytesMut::new(),
            max_packet: config.max_packet_size,
            max_fragment: settings::max_fragment(config.max_packet_size),
            max_receive_message_size: config.max_receive_message_size as usize,
            window,
            window_limit: None,
            streams: 0,
        })
    }

    /// Judges a packet.
    pub(super) fn judge(&mut self, now: Instant, packet: Bytes) -> Verdict {
        let packet = match self.guard.screen(&self.ledger, &packet) {
            Screening::Pass => packet,
            Screening::Rewritten(packet) => packet,
            Screening::Abort(cause) => return Verdict::Aborted(cause),
            Screening::HeartbeatAcked => return Verdict::HeartbeatAcked,
            Screening::Sack => {
                return match self.admit(now) {
                    Admission::Granted => Verdict::Acknowledged,
                    Admission::Refused(reason) => Verdict::Dropped(reason),
                    Admission::Violation(rule) => Verdict::Violation(rule),
                };
            }
            Screening::Drop(reason) => return Verdict::Dropped(reason),
        };
        debug_assert!(wire::is_canonical(&packet), "the guard passed {packet:?}");
        let Some(event) = self.verify(now, packet.clone()) else {
            return Verdict::Dropped(PacketDrop::Foreign);
        };
        match self.admit(now) {
            Admission::Granted => {
                if packet.len() <= MAX_KEPT_PACKET {
                    return Verdict::Accepted(VerifiedPacket::Whole(event));
                }
                let parts = wire::divide(&packet, MAX_KEPT_PACKET);
                let events = parts.into_iter().flat_map(|it| self.verify(now, it)).collect();
                Verdict::Accepted(VerifiedPacket::Split(events))
            }
            Admission::Refused(reason) => Verdict::Dropped(reason),
            Admission::Violation(rule) => Verdict::Violation(rule),
        }
    }

    /// Applies what a verified packet says.
    fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.guard.admit(now, &mut self.ledger, self.streams);
        if admission != Admission::Granted {
            return admission;
        }
        if let Some(sack) = self.guard.sack() {
            self.control.on_sack(now, &sack);
            self.note_tsns();
        }
        admission
    }

    /// Notes in the ledger how far the TSNs are.
    fn note_tsns(&mut self) {
        if let Some(local) = &mut self.ledger.local {
            local.highest_tsn = self.control.highest_sent();
            local.acknowledged_tsn = self.control.cumulative();
        }
    }

    /// Verifies checksum and tag. `None` if either is wrong.
    fn verify(&mut self, now: Instant, packet: Bytes) -> Option<AssociationEvent> {
        match self.endpoint.handle(now, UNUSED_ADDRESS, None, None, packet)? {
            (handle, DatagramEvent::AssociationEvent(event)) if handle == self.handle => {
                Some(event)
            }
            _ => None,
        }
    }

    /// See [`CpuBudget::charge`](super::budget::CpuBudget::charge).
    pub(super) fn charge(&mut self, now: Instant, cost: u64) {
        self.guard.charge(now, cost);
    }

    /// Announces a receive window of at most `window` bytes until then.
    pub(super) fn limit_window(&mut self, window: usize, until: Instant) {
        self.window_limit = Some((u32::try_from(window).unwrap_or(u32::MAX), until));
    }

    /// Takes what the packet just judged says about streams.
    pub(super) fn take_stream_effects(&mut self) -> StreamEffects {
        std::mem::take(&mut self.guard.stream_effects)
    }

    /// Hands a packet to the association.
    pub(super) fn deliver(&mut self, packet: VerifiedPacket) {
        match packet {
            VerifiedPacket::Whole(event) => self.association.handle_event(event),
            VerifiedPacket::Split(events) => {
                events.into_iter().for_each(|event| self.association.handle_event(event));
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.control.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.association.poll_timeout(), self.control.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn poll_event(&mut self) -> Option<EngineEvent> {
        while let Some(event) = self.association.poll() {
            let event = self.on_event(event);
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// Counts an event of sctp-proto, and translates it if the association needs it.
    fn on_event(&mut self, event: Event) -> Option<EngineEvent> {
        match event {
            Event::Connected => Some(EngineEvent::Connected),
            Event::AssociationLost { reason } => Some(EngineEvent::Lost(reason.to_string())),
            Event::DataChannelStatsFinal(_) => {
                self.streams = self.streams.saturating_sub(1);
                None
            }
            Event::Stream(event) => self.on_stream_event(event),
            _ => None,
        }
    }

    fn on_stream_event(&mut self, event: StreamEvent) -> Option<EngineEvent> {
        match event {
            StreamEvent::Opened { .. } => {
                self.streams += 1;
                // The result is not needed, but sctp-proto keeps it until it is taken.
                let _ = self.association.accept_stream();
                None
            }
            StreamEvent::Readable { id: DISCARD_STREAM } => {
                while self.read(DISCARD_STREAM).is_some() {}
                None
            }
            StreamEvent::Readable { id } => Some(EngineEvent::Readable(id)),
            // Each of these is followed by one `ResetComplete` or `ResetFailed`.
            StreamEvent::Finished { id } => {
                self.ledger.unfinished_resets += 1;
                self.ledger.unread.remove(&id);
                Some(EngineEvent::PeerReset(id))
            }
            StreamEvent::ResetComplete { id } => {
                self.ledger.finish_reset();
                Some(EngineEvent::ResetComplete(id))
            }
            // The reset has failed, so the stream stays out of use.
            StreamEvent::ResetFailed { .. } => {
                self.ledger.finish_reset();
                None
            }
            _ => None,
        }
    }

    /// Hands the packets that are due to `send`. Call this once per turn, and again only after a write. `more`:
    /// messages wait in the queues.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        more: bool,
        mut send: impl FnMut(&[u8]),
    ) -> Result<(), Oversize> {
        let header = self.header();
        loop {
            let last = self.control.last_taken();
            if self.is_shut && self.control.waiting() < PORTION as usize {
                self.release(now, last);
            }
            self.gather(now, &mut send)?;
            let taken = self.control.last_taken();
            if taken != last {
                self.release(now, taken);
            }
            let rest = self.control.unwritten() > 0;
            if let Some(header) = header {
                self.control.transmit(now, header, more || rest, &mut send);
            }
            let resets = !self.ledger.waiting_resets.is_empty();
            let wants_more = resets || (rest && self.control.waiting() < PORTION as usize);
            if taken == last || !wants_more {
                break;
            }
        }
        self.note_tsns();
        if self.control.holes_due(now)
            && let Some(sack) = self.ledger.withheld_sack.take()
        {
            self.egress(now).emit(sack, &mut send)?;
        }
        if let Some(reset) = self.ledger.early_reset.take() {
            self.egress(now).emit(reset, &mut send)?;
        }
        Ok(())
    }

    /// Takes the packets out of sctp-proto.
    fn gather(&mut self, now: Instant, send: &mut impl FnMut(&[u8])) -> Result<(), Oversize> {
        let Some(transmit) = self.association.poll_transmit(now) else { return Ok(()) };
        let Payload::RawEncode(packets) = transmit.payload else { return Ok(()) };
        for packet in packets {
            self.egress(now).emit(packet, &mut *send)?;
        }
        Ok(())
    }

    fn egress(&mut self, now: Instant) -> Egress<'_> {
        let limit = self.window_limit.filter(|(_, until)| now < *until);
        let window = Window { size: self.window, announced: limit.map_or(self.window, |it| it.0) };
        Egress {
            now,
            ledger: &mut self.ledger,
            control: &mut self.control,
            window,
            max: self.max_packet,
        }
    }

    /// Acknowledges to sctp-proto what the control has taken over, up to `tsn`. So sctp-proto has nothing in
    /// flight: it neither retransmits nor scans, and its window stays open. It is shut while enough waits in the
    /// control, because a chunk there is a copy, and the messages that wait in sctp-proto are not.
    fn release(&mut self, now: Instant, tsn: u32) {
        let Some(local) = &self.ledger.local else { return };
        let Header { source_port, destination_port, .. } = local.header;
        let header = Header {
            source_port: destination_port,
            destination_port: source_port,
            tag: local.announced.tag,
        };
        let mut writer = Writer::within(&mut self.releases, header, wire::COMMON_HEADER + 16);
        self.is_shut = self.control.waiting() >= PORTION as usize;
        let window = if self.is_shut { 0 } else { PORTION };
        let (tsn, window) = (tsn.to_be_bytes(), window.to_be_bytes());
        writer.chunk(kind::SACK, 0, &[&tsn, &window, &[0; 4]]);
        let release = writer.finish_within(&mut self.releases);
        if let Some(event) = self.verify(now, release) {
            self.association.handle_event(event);
        }
    }

    /// A HEARTBEAT to the peer.
    pub(super) fn heartbeat(&mut self) -> Option<Bytes> {
        let heartbeat = wire::heartbeat(self.header()?);
        self.guard.unanswered_heartbeats = self.guard.unanswered_heartbeats.saturating_add(1);
        Some(heartbeat)
    }

    /// The header of packets that sctp-proto does not write.
    pub(super) fn header(&self) -> Option<Header> {
        self.ledger.local.as_ref().map(|local| local.header)
    }

    /// How many outgoing and incoming streams both sides agreed on.
    pub(super) fn negotiated_streams(&self) -> Option<(u16, u16)> {
        self.ledger.streams()
    }

    /// The receive window that the peer announced, in bytes.
    pub(super) fn peer_window(&self) -> Option<u32> {
        Some(self.ledger.peer.as_ref()?.announced.window)
    }

    /// Adds the chunks that the guard stripped, and the messages that sctp-proto gave up.
    pub(super) fn count(&self, counters: &mut SctpCounters) {
        counters.chunks_stripped += self.guard.stripped;
        let (expired, abandoned) = self.control.given_up();
        counters.expired.add(expired);
        counters.abandoned.add(abandoned);
    }

    /// How the path to the peer is, and what was sent again.
    pub(super) fn transmission(&self) -> TransmissionStats {
        self.control.stats()
    }

    /// Whether the peer has begun a shutdown, so that nothing can be sent any more.
    pub(super) fn is_closing(&self) -> bool {
        self.association.is_closing()
    }

    /// Makes `stream` known to sctp-proto.
    pub(super) fn register(&mut self, stream: StreamId) {
        // The call fails if the stream is known or being reset: then there is nothing to do.
        let unknown = PayloadProtocolIdentifier::Unknown;
        if self.association.open_stream(stream, unknown).is_ok() {
            self.streams += 1;
        }
    }

    /// Gives a message to sctp-proto. Returns false if the stream cannot take it.
    pub(super) fn write(&mut self, now: Instant, scheduled: ScheduledMessage) -> bool {
        self.try_write(now, scheduled).is_some()
    }

    fn try_write(&mut self, now: Instant, scheduled: ScheduledMessage) -> Option<()> {
        let ScheduledMessage { stream: id, message, reliability, deadline } = scheduled;
        // DCEP is always ordered and reliable (RFC 8832 §6), and sctp-proto sends it so.
        let is_dcep = message.ppid == Ppid::DCEP;
        let reliability = if is_dcep { Reliability::RELIABLE } else { reliability };
        self.register(id);
        let mut stream = self.association.stream(id).ok()?;
        let agreed = self.ledger.peer.as_ref().is_some_and(|peer| peer.forward_tsn);
        let limit = reliability.limit.filter(|_| agreed).map(|limit| match limit {
            Limit::Retransmits(count) => SendLimit::Retransmits(count),
            // The lifetime of a message began when it was queued.
            Limit::LifetimeMs(_) => SendLimit::Deadline(deadline.unwrap_or(now)),
        });
        let len = message.payload.len();
        let payload = if ppid::is_known(message.ppid.0) {
            message.payload
        } else {
            ppid::wrap(message.ppid, &message.payload, self.max_fragment)
        };
        // What is given up when is for the control to decide.
        stream.set_reliability_params(!reliability.ordered, ReliabilityType::Reliable, 0).ok()?;
        stream.set_default_payload_type(message.ppid.0.into()).ok()?;
        stream.write_chunks(&mut [payload]).ok()?;
        self.control.on_written(Written { len, ordered: reliability.ordered, limit });
        Some(())
    }

    /// Whether a message of `len` payload bytes may be written.
    pub(super) fn admits(&self, len: usize) -> Admittance {
        self.control.admits(len)
    }

    /// Whether everything that was written has been sent.
    pub(super) fn all_sent(&self) -> bool {
        self.control.all_sent()
    }

    /// See [`Control::written`].
    pub(super) fn written(&self) -> WrittenTotal {
        self.control.written()
    }

    /// See [`Control::has_cut`].
    pub(super) fn has_cut(&self, written: &WrittenTotal) -> bool {
        self.control.has_cut(written)
    }

    /// Whether the peer has acknowledged all that was written.
    pub(super) fn all_acknowledged(&self) -> bool {
        self.control.is_empty() && self.control.unwritten() == 0
    }

    /// The last TSN that was given out.
    pub(super) fn last_taken(&self) -> u32 {
        self.control.last_taken()
    }

    /// The TSN that the peer has acknowledged cumulatively.
    pub(super) fn acknowledged(&self) -> u32 {
        self.control.cumulative()
    }

    /// The charge of what was written and is not acknowledged.
    pub(super) fn charge_unacked(&self) -> usize {
        self.control.charge()
    }

    /// See [`Control::set_flight_bound`].
    pub(super) fn set_flight_bound(&mut self, bound: usize) {
        self.control.set_flight_bound(bound);
    }

    /// The charge of the chunks that sctp-proto holds of the peer's messages.
    pub(super) fn bytes_held(&self) -> usize {
        self.ledger.held.charge()
    }

    /// Releases memory that is not in use.
    pub(super) fn trim(&mut self) {
        self.control.trim();
    }

    /// Answers a DATA_CHANNEL_OPEN. Returns what [`Self::write`] does: false if the peer has
    /// reset the channel since.
    pub(super) fn acknowledge_channel(&mut self, now: Instant, stream: StreamId) -> bool {
        let payload = Bytes::from_static(&dcep::ACK);
        let ack = ScheduledMessage {
            stream,
            message: Message { ppid: Ppid::DCEP, payload },
            reliability: Reliability::RELIABLE,
            deadline: None,
        };
        self.write(now, ack)
    }

    /// Whether [`Self::reset`] may be called: one RE-CONFIG has to fit a packet.
    pub(super) fn can_reset(&self) -> bool {
        self.ledger.waiting_resets.len() < MAX_WAITING_RESETS
    }

    /// Resets our side of `stream` once the peer has acknowledged what sctp-proto holds of it.
    pub(super) fn reset(&mut self, stream: StreamId) {
        self.register(stream);
        if let Ok(mut state) = self.association.stream(stream)
            && state.close().is_ok()
        {
            self.ledger.waiting_resets.insert(stream);
            self.ledger.unread.insert(stream);
        }
    }

    /// Drops the fragments of messages that the peer left incomplete by resetting `stream`.
    /// sctp-proto would wait for the rest, and keep what follows at a cost that grows with its
    /// square.
    pub(super) fn drop_fragments(&mut self, stream: StreamId) {
        if let Ok(mut stream) = self.association.stream(stream) {
            // Fails only if the association is not established, and then it has ended.
            let _ = stream.stop();
        }
    }

    /// The next complete message of `stream`.
    pub(super) fn read(&mut self, stream: StreamId) -> Option<Reassembled> {
        let mut stream = self.association.stream(stream).ok()?;
        let mut chunks = stream.read_sctp().ok()??;
        let len = chunks.len();
        self.ledger.held.remove(chunks.chunks.len(), len);
        let payload = chunks.next(len)?.bytes;
        let (ppid, payload) = match chunks.ppi {
            PayloadProtocolIdentifier::Unknown => match ppid::unwrap(payload) {
                Some(unwrapped) => unwrapped,
                None => return Some(Reassembled::Garbled),
            },
            known => (Ppid(known as u32), payload),
        };
        if payload.len() > self.max_receive_message_size {
            return Some(Reassembled::TooLarge);
        }
        Some(Reassembled::Message(Message { ppid, payload }))
    }
}
