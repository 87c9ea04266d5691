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
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashSet;
use sctp_proto::{
    AssociationError, AssociationEvent, AssociationHandle, DatagramEvent, Endpoint, Event, Payload,
    PayloadProtocolIdentifier, StreamEvent,
};

use super::config::SctpConfig;
use super::control::{Admittance, Control, Outgoing, SendLimit};
use super::counters::{PacketDrop, Retransmitted, SctpCounters, TransmissionStats};
use super::egress::{Egress, Oversize, Window};
use super::event::EndReason;
use super::guard::{Admission, DISCARD_STREAM, Guard, Screening, StreamEffects, requests_reset};
use super::handshake::Agreement;
use super::ledger::Ledger;
use super::ppid;
use super::queue::ScheduledMessage;
use super::wire::{self, Chunk, Header, kind};
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

/// What became of an inbound packet.
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per packet")]
pub(super) enum Verdict {
    /// The packet belongs to the peer. Register the streams that it names, then call [`Engine::deliver`].
    Accepted(VerifiedPacket),
    /// The packet was a step of the handshake.
    Shaken,
    /// The packet was dropped.
    Dropped(PacketDrop),
    /// The packet belongs to the peer, and was dropped but for its SACK: its DATA exceeds the window. Call
    /// [`Engine::window_update`].
    Overfull,
    /// The peer aborted the association, with this error cause.
    Aborted(Option<u16>),
    /// The peer answered our HEARTBEAT, and the packet holds nothing else.
    HeartbeatAcked,
    /// The packet was a SACK, and nothing else.
    Acknowledged,
    /// The peer broke a rule or exceeded a bound; abort the association.
    Violation(EndReason),
}

/// A verified packet on its way to [`Engine::deliver`].
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per packet")]
pub(super) enum VerifiedPacket {
    Whole(AssociationEvent),
    /// Split, because it is over [`MAX_KEPT_PACKET`], or goes on behind a request to reset streams: their fragments
    /// have to be dropped before that.
    Split {
        parts: Vec<AssociationEvent>,
        behind_reset: Vec<AssociationEvent>,
    },
}

/// What [`Engine::poll_event`] reports.
pub(super) enum EngineEvent {
    /// The handshake is complete.
    Connected,
    /// The association ended: after a shutdown, or for this reason.
    Lost(EndReason),
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

/// Whether a packet has DATA.
pub(super) fn has_data(packet: &[u8]) -> bool {
    let is_data = |chunk: Chunk<'_>| chunk.kind == kind::DATA;
    Header::parse(packet).is_some_and(|(_, chunks)| chunks.flatten().any(is_data))
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
    /// The streams on which sctp-proto lets us send.
    writable: FxHashSet<StreamId>,
    max_packet: usize,
    max_receive_message_size: usize,
    window: u32,
    /// The largest window to announce, and until when.
    window_limit: Option<(u32, Instant)>,
    /// How many streams sctp-proto knows.
    streams: usize,
    /// Whether messages are left in sctp-proto, so that they fill the window.
    holds_messages: bool,
    /// How many bytes that have been read fill the window, too.
    beside: u32,
}

impl Engine {
    /// Makes an established association of what both sides have announced. `None` if sctp-proto refuses it.
    pub(super) fn new(now: Instant, config: &SctpConfig, agreement: Agreement) -> Option<Self> {
        let Agreement { local, cookie, peer, round_trip } = agreement;
        let mut endpoint = settings::endpoint();
        let client = settings::client(config, local, &peer);
        let (handle, association) = endpoint.connect(client, UNUSED_ADDRESS).ok()?;
        let window = config.receive_window();
        let mut control = Control::new(
            config.congestion_control,
            config.max_packet_size,
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
            writable: FxHashSet::default(),
            max_packet: config.max_packet_size,
            max_receive_message_size: config.max_receive_message_size as usize,
            window,
            window_limit: None,
            holds_messages: false,
            beside: 0,
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
                    Admission::Granted if self.guard.has_sack() => Verdict::Acknowledged,
                    Admission::Granted => Verdict::Dropped(PacketDrop::Unexpected),
                    Admission::Refused(reason) => Verdict::Dropped(reason),
                    Admission::Violation(reason) => Verdict::Violation(reason),
                };
            }
            Screening::Drop(reason) => return Verdict::Dropped(reason),
        };
        debug_assert!(wire::is_canonical(&packet), "the guard passed {packet:?}");
        let is_overfull = self.is_overfull() && has_data(&packet);
        let is_split = packet.len() > MAX_KEPT_PACKET || self.guard.goes_on_behind_reset();
        let whole = is_split.then(|| packet.clone());
        let Some(event) = self.verify(now, packet) else {
            return Verdict::Dropped(PacketDrop::Foreign);
        };
        if is_overfull {
            // An earlier SACK has asked the peer to stop. Without an answer to its probes it would take the window for
            // a broken path.
            self.guard.retain_sack();
        }
        match self.admit(now) {
            Admission::Granted if is_overfull => Verdict::Overfull,
            Admission::Granted => Verdict::Accepted(match whole {
                None => VerifiedPacket::Whole(event),
                Some(packet) => self.split(now, &packet),
            }),
            Admission::Refused(reason) => Verdict::Dropped(reason),
            Admission::Violation(reason) => Verdict::Violation(reason),
        }
    }

    fn split(&mut self, now: Instant, packet: &[u8]) -> VerifiedPacket {
        let (mut parts, mut behind_reset) = (Vec::new(), Vec::new());
        if let Some((header, chunks)) = Header::parse(packet) {
            let chunks = || chunks.flatten();
            let ahead = chunks().position(|it| requests_reset(&it)).map_or(usize::MAX, |at| at + 1);
            let mut divide = |it: &mut dyn Iterator<Item = Chunk<'_>>| {
                let pieces = wire::divide(header, it, MAX_KEPT_PACKET);
                pieces.into_iter().flat_map(|it| self.verify(now, it)).collect()
            };
            parts = divide(&mut chunks().take(ahead));
            behind_reset = divide(&mut chunks().skip(ahead));
        }
        VerifiedPacket::Split { parts, behind_reset }
    }

    /// Whether the peer has sent more than the windows that SACKs have announced.
    fn is_overfull(&self) -> bool {
        let held = &self.ledger.held;
        (self.holds_messages && held.chunks() >= self.guard.max_held() / 4 * 3)
            || (self.beside > 0 && self.window_left() == 0)
    }

    /// What is left of the receive window.
    fn window_left(&self) -> u32 {
        self.window.saturating_sub(self.ledger.held.bytes() as u32).saturating_sub(self.beside)
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

    /// Copies the control's TSNs to the ledger.
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

    /// Announces a receive window of at most `window` bytes before `until`.
    pub(super) fn limit_window(&mut self, window: usize, until: Instant) {
        self.window_limit = Some((u32::try_from(window).unwrap_or(u32::MAX), until));
    }

    /// Sets whether messages are left in sctp-proto, so that they fill the window, and how many bytes that have been
    /// read fill it, too. Returns whether these are more or fewer than before.
    pub(super) fn hold(&mut self, holds: bool, beside: usize) -> bool {
        self.holds_messages = holds;
        let before = self.beside;
        self.beside = u32::try_from(beside).unwrap_or(u32::MAX);
        self.beside != before
    }

    /// A SACK that announces the present window, for a peer that knows another one.
    pub(super) fn window_update(&mut self, now: Instant) -> Option<Bytes> {
        let header = self.header()?;
        let left = self.window.saturating_sub(self.ledger.held.bytes() as u32);
        self.egress(now).repeat_sack(header, left)
    }

    /// Takes what the packet just judged says about streams. `None` for most packets.
    pub(super) fn take_stream_effects(&mut self) -> Option<StreamEffects> {
        self.guard.take_stream_effects()
    }

    /// Hands a packet to the association, except for what is behind a reset, which it returns: call
    /// [`Self::drop_fragments`], then [`Self::deliver_rest`].
    pub(super) fn deliver(&mut self, packet: VerifiedPacket) -> Vec<AssociationEvent> {
        match packet {
            VerifiedPacket::Whole(event) => {
                self.association.handle_event(event);
                Vec::new()
            }
            VerifiedPacket::Split { parts, behind_reset } => {
                self.deliver_rest(parts);
                behind_reset
            }
        }
    }

    pub(super) fn deliver_rest(&mut self, parts: Vec<AssociationEvent>) {
        parts.into_iter().for_each(|event| self.association.handle_event(event));
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
            Event::AssociationLost { reason } => Some(EngineEvent::Lost(match reason {
                AssociationError::ReceiveBufferExhausted => EndReason::ReceiveBufferExhausted,
                // sctp-proto only logs its errors. Of DATA it has one: it measures messages before they are complete.
                AssociationError::AssociationClosed if self.guard.has_admitted_data() => {
                    EndReason::MessageTooLarge(self.max_receive_message_size)
                }
                other => EndReason::Violation(other.to_string()),
            })),
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
                self.writable.remove(&id);
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
    /// messages wait in the queues. DATA comes from the control, everything else from sctp-proto.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        more: bool,
        mut send: impl FnMut(&[u8]),
    ) -> Result<(), Oversize> {
        self.gather(now, &mut send)?;
        if let Some(header) = self.header() {
            let not_before = self.guard.used_until(now);
            let packets = self.control.transmit(now, header, more, not_before, &mut send);
            self.guard.charge_sent(now, packets);
        }
        self.note_tsns();
        if self.control.holes_due(now) {
            self.egress(now).emit_withheld(&mut send);
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
        // Tiny messages that are held would exceed the number of chunks before they fill the window.
        let shut = self.holds_messages && self.ledger.held.chunks() >= self.guard.max_held() / 2;
        let announced = if shut { 0 } else { limit.map_or(self.window, |it| it.0) };
        let window = Window { size: self.window, announced, beside: self.beside };
        Egress {
            now,
            ledger: &mut self.ledger,
            control: &mut self.control,
            window,
            max: self.max_packet,
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

    /// Chunks that were sent again, and how many of them had arrived.
    pub(super) fn retransmissions(&self) -> (Retransmitted, u64) {
        self.control.retransmissions()
    }

    /// The smoothed round-trip time, if it has been measured since the last call.
    pub(super) fn take_round_trip(&mut self) -> Option<Duration> {
        self.control.take_round_trip()
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

    /// Takes a message that leaves its queue. Returns false if its stream cannot take it.
    pub(super) fn write(&mut self, now: Instant, scheduled: ScheduledMessage) -> bool {
        let ScheduledMessage { stream, message, reliability, deadline, .. } = scheduled;
        if !self.is_writable(stream) {
            return false;
        }
        // DCEP is always ordered and reliable (RFC 8832 §6).
        let is_dcep = message.ppid == Ppid::DCEP;
        let reliability = if is_dcep { Reliability::RELIABLE } else { reliability };
        let agreed = self.ledger.peer.as_ref().is_some_and(|peer| peer.forward_tsn);
        let limit = reliability.limit.filter(|_| agreed).map(|limit| match limit {
            Limit::Retransmits(count) => SendLimit::Retransmits(count),
            // The lifetime of a message began when it was queued.
            Limit::LifetimeMs(_) => SendLimit::Deadline(deadline.unwrap_or(now)),
        });
        let Message { ppid: Ppid(ppid), payload } = message;
        let ordered = reliability.ordered;
        self.control.write(Outgoing { stream, ppid, payload, ordered, limit });
        true
    }

    /// Whether a message may be sent on `stream`: our side is not being reset. sctp-proto sends none, but it
    /// resets streams, and has to know them for that.
    fn is_writable(&mut self, stream: StreamId) -> bool {
        if self.writable.contains(&stream) {
            return true;
        }
        self.register(stream);
        let is_writable = self.association.stream(stream).is_ok_and(|it| it.is_writable());
        if is_writable {
            self.writable.insert(stream);
        }
        is_writable
    }

    /// The sending rate in bytes per second, if there is more to send.
    pub(super) fn pace(&self) -> Option<u64> {
        self.control.pace()
    }

    /// Whether a message of `len` payload bytes may be written.
    pub(super) fn admits(&self, len: usize) -> Admittance {
        self.control.admits(len)
    }

    /// Whether something of `stream` that was written may still have to be sent, or sent again.
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.control.is_under_way(stream)
    }

    /// Whether everything written has been sent.
    pub(super) fn all_sent(&self) -> bool {
        self.control.all_sent()
    }

    /// See [`Control::written`].
    pub(super) fn written(&self) -> u64 {
        self.control.written()
    }

    /// See [`Control::has_cut`].
    pub(super) fn has_cut(&self, written: u64) -> bool {
        self.control.has_cut(written)
    }

    /// Whether the peer has acknowledged all that was written.
    pub(super) fn all_acknowledged(&self) -> bool {
        self.control.is_empty()
    }

    /// The last TSN that was given out.
    pub(super) fn last_cut(&self) -> u32 {
        self.control.last_cut()
    }

    /// The TSN that the peer has acknowledged cumulatively.
    pub(super) fn acknowledged(&self) -> u32 {
        self.control.cumulative()
    }

    /// The charge of what was written and is not acknowledged.
    pub(super) fn charge_unacked(&self) -> usize {
        self.control.charge()
    }

    /// See [`Control::delivered`].
    pub(super) fn delivered(&self) -> u64 {
        self.control.delivered()
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
            is_last: false,
        };
        self.write(now, ack)
    }

    /// Whether [`Self::reset`] may be called: one RE-CONFIG has to fit a packet.
    pub(super) fn can_reset(&self) -> bool {
        self.ledger.waiting_resets.len() < MAX_WAITING_RESETS
    }

    /// Resets our side of `stream` once the peer has acknowledged what was written to it.
    pub(super) fn reset(&mut self, stream: StreamId) {
        self.register(stream);
        if let Ok(mut state) = self.association.stream(stream)
            && state.close().is_ok()
        {
            self.ledger.waiting_resets.insert(stream);
            self.ledger.unread.insert(stream);
            self.writable.remove(&stream);
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
