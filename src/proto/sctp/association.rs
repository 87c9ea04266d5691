//! One association: its states, its queues and its outputs.
//!
//! [`Association`] is the state machine that the rest of the crate uses; the comment of the module
//! `sctp` is its contract. `inbound` takes what the peer sends, and this file has the rest: the beginning, the way out,
//! timers and the end.

mod inbound;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::arrivals::Arrivals;
use super::config::{SctpConfig, Start};
use super::control::Admittance;
use super::counters::{MessageTally, PacketDrop, Retransmitted, SctpCounters, TransmissionStats};
use super::egress::Oversize;
use super::engine::{Engine, Verdict};
use super::event::{EndReason, SctpEvent, SctpState, SendError};
use super::fences::{Fences, Name};
use super::handshake::Handshake;
use super::heartbeat::{Action, HeartbeatTimer};
use super::queue::{Origin, PushError, QueueBounds, SendQueues};
use super::streams::Streams;
use super::tap::{Tap, Tapped};
use super::wire::{self, cause};
use crate::proto::dcep::{self, Open};
use crate::proto::message::{Message, Ppid, Reliability, StreamId};
use crate::proto::overflow::{QueueDrops, QueuePolicy, QueueTally};
use crate::proto::reason::Reason;

/// One association with one peer; the comment of the module is its contract. Cheap until
/// [`Self::connect`].
#[derive(Debug)]
pub struct Association {
    config: SctpConfig,
    state: SctpState,
    /// Present from [`Self::connect`] to the end.
    handshake: Option<Box<Handshake>>,
    /// Present once established.
    engine: Option<Box<Engine>>,
    queues: SendQueues,
    /// Present while there are any.
    fences: Option<Box<Fences>>,
    /// See [`Self::set_flight_budget`].
    flight_bound: Option<usize>,
    streams: Streams,
    /// The time by which a shutdown that the peer has begun must end.
    shutdown_deadline: Option<Instant>,
    /// Present while packets are captured.
    tap: Option<Box<Tap>>,
    /// When the last verified packet of the peer has arrived.
    last_heard: Option<Instant>,
    /// How many packets have arrived, including those that were dropped.
    packets: u64,
    /// Present while established, if the configuration asks for HEARTBEATs.
    heartbeat_timer: Option<HeartbeatTimer>,
    /// A HEARTBEAT or an ABORT on its way out.
    control_packet: Option<Bytes>,
    end_reason: Option<EndReason>,
    arrivals: Arrivals,
    /// Whether the present window has to be announced to the peer.
    announces: bool,
    counters: SctpCounters,
    /// What [`Self::transmission`] returns once the association has ended.
    last_transmission: Option<Box<TransmissionStats>>,
    /// The latest time that a call has passed in.
    clock: Option<Instant>,
}

impl Association {
    /// Makes an association that waits for [`Self::connect`].
    pub fn new(config: SctpConfig) -> Self {
        let bounds = QueueBounds {
            total: config.send_buffer_size,
            per_stream: config.per_stream_send_queue_limit,
        };
        Self {
            queues: SendQueues::new(bounds, config.buffered_amount_low_threshold),
            config,
            state: SctpState::New,
            handshake: None,
            engine: None,
            fences: None,
            flight_bound: None,
            streams: Streams::default(),
            shutdown_deadline: None,
            tap: None,
            last_heard: None,
            packets: 0,
            heartbeat_timer: None,
            control_packet: None,
            end_reason: None,
            arrivals: Arrivals::default(),
            announces: false,
            counters: SctpCounters::default(),
            last_transmission: None,
            clock: None,
        }
    }

    /// Sets which side sends the INIT. Call this before [`Self::connect`].
    pub fn set_start(&mut self, start: Start) {
        self.config.start = start;
    }

    /// Starts the handshake; the layer below is ready. Calls after the first do nothing.
    #[inline] // A call before each packet costs one branch.
    pub fn connect(&mut self, now: Instant) {
        if self.state == SctpState::New {
            self.begin_handshake(now);
        }
    }

    #[cold]
    fn begin_handshake(&mut self, now: Instant) {
        self.clock = Some(now);
        self.set_state(SctpState::Connecting);
        self.handshake = Some(Box::new(Handshake::new(now, &self.config)));
    }

    /// Takes an inbound packet. Returns false if the packet was dropped, and counts it: see
    /// [`SctpCounters`].
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) -> bool {
        self.clock = Some(now);
        self.packets += 1;
        if let Some(tap) = &mut self.tap {
            tap.note(now, false, packet.clone());
        }
        if self.arrivals.is_full() {
            self.counters.count_dropped(PacketDrop::Overload);
            return false;
        }
        let verdict = match self.state {
            SctpState::Connecting => self.shake_hands(now, packet),
            SctpState::Connected => self.judge(now, packet),
            SctpState::New | SctpState::Failed | SctpState::Closed => {
                Verdict::Dropped(PacketDrop::Unexpected)
            }
        };
        match verdict {
            Verdict::Accepted(packet) => self.deliver(now, packet),
            Verdict::Shaken => self.last_heard = Some(now),
            Verdict::Dropped(reason) => {
                self.counters.count_dropped(reason);
                return false;
            }
            Verdict::Overfull => {
                self.last_heard = Some(now);
                self.announces = true;
                self.counters.count_dropped(PacketDrop::Overload);
                self.advance_fences();
                return false;
            }
            Verdict::Aborted(cause) => self.ended_by_peer(EndReason::PeerAbort(cause), None),
            Verdict::HeartbeatAcked | Verdict::Acknowledged => self.last_heard = Some(now),
            Verdict::Violation(reason) => self.violation(reason),
        }
        self.advance_fences();
        true
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = Some(now);
        if self.shutdown_deadline.is_some_and(|at| at <= now) {
            self.end(EndReason::PeerShutdown, Some(cause::USER_INITIATED));
            return;
        }
        if self.handshake.as_mut().is_some_and(|it| it.handle_timeout(now).is_err()) {
            return self.end(EndReason::HandshakeTimeout, None);
        }
        let timer = self.heartbeat_timer.as_mut().zip(self.last_heard);
        match timer.map_or(Action::None, |(timer, heard)| timer.handle_timeout(now, heard)) {
            Action::None => {}
            Action::Trim => self.trim(),
            Action::SendHeartbeat => {
                self.control_packet = self.engine.as_mut().and_then(|engine| engine.heartbeat());
            }
            Action::Fail => return self.end(EndReason::Silence, Some(cause::USER_INITIATED)),
        }
        if let Some(engine) = &mut self.engine {
            engine.handle_timeout(now);
            self.collect(now);
        }
    }

    /// Releases memory that a burst has taken and nothing uses any more. (sctp-proto keeps its
    /// own.) Call it seldom.
    pub(crate) fn trim(&mut self) {
        self.queues.trim();
        self.engine.iter_mut().for_each(|engine| engine.trim());
        self.arrivals.trim();
    }

    /// Whether the packets of both directions are copied for [`Self::take_tapped`].
    pub fn set_tapped(&mut self, tapped: bool) {
        if self.tap.is_some() != tapped {
            self.tap = tapped.then(Box::default);
        }
    }

    /// The packets since the last call. Call it after each input and after [`Self::drain_transmits`].
    pub fn take_tapped(&mut self) -> Vec<Tapped> {
        self.tap.as_mut().map(|tap| tap.take()).unwrap_or_default()
    }

    /// Hands the packets that are due to `send`. Call it once per turn, after all input.
    pub fn drain_transmits(&mut self, now: Instant, mut send: impl FnMut(&[u8])) {
        let Some(mut tap) = self.tap.take() else { return self.drain_to(now, send) };
        self.drain_to(now, |packet| {
            tap.note(now, true, Bytes::copy_from_slice(packet));
            send(packet);
        });
        self.tap = Some(tap);
    }

    fn drain_to(&mut self, now: Instant, mut send: impl FnMut(&[u8])) {
        self.clock = Some(now);
        while let Some(packet) = self.handshake.as_mut().and_then(|it| it.poll_transmit()) {
            send(&packet);
        }
        // The engine is drained at least once: an acknowledgement or a retransmission may be due.
        let mut due = true;
        loop {
            due |= self.pump(now);
            let Some(engine) = &mut self.engine else { break };
            if !std::mem::take(&mut due) {
                break;
            }
            let more = !self.queues.is_empty();
            let drained = engine.drain(now, more, &mut send);
            // The windows may have room for more than may leave the queues in one step.
            let more = more && engine.all_sent();
            if let Err(Oversize(len)) = drained {
                let reason = format!("an answer of {len} bytes fits no packet");
                self.end(EndReason::Violation(reason), Some(cause::PROTOCOL_VIOLATION));
            }
            if !more {
                break;
            }
        }
        if std::mem::take(&mut self.announces)
            && let Some(packet) = self.engine.as_mut().and_then(|it| it.window_update(now))
        {
            send(&packet);
        }
        if let Some(packet) = self.control_packet.take() {
            send(&packet);
        }
        self.advance_fences();
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        if self.arrivals.has_stops() {
            return self.poll_event_among_stops();
        }
        self.arrivals.pop()
    }

    #[cold]
    fn poll_event_among_stops(&mut self) -> Option<SctpEvent> {
        let event = self.arrivals.pop_among_stops();
        match self.arrivals.has_unread() {
            true => self.refill(),
            false => self.note_held(),
        }
        event
    }

    /// Whether [`Self::poll_event`] returns a message next. Messages may wait for a while: once 1 MiB of
    /// them does, packets are dropped.
    pub fn has_message(&self) -> bool {
        self.arrivals.has_message()
    }

    /// How many events there have been.
    pub(crate) fn events_arrived(&self) -> u64 {
        self.arrivals.arrived()
    }

    /// How many events have been taken, or wait until their stream is resumed.
    pub(crate) fn events_taken(&self) -> u64 {
        self.arrivals.left()
    }

    /// The stream of the message that [`Self::poll_event`] returns next, if it returns one.
    pub fn next_message_stream(&self) -> Option<StreamId> {
        self.arrivals.next_message_stream()
    }

    /// Keeps what the peer sends on `stream` until [`Self::resume_stream`]. It fills the receive window, which all
    /// streams share, so that the peer stops sending. Control messages are not kept, so they overtake others.
    pub fn stop_stream(&mut self, stream: StreamId) {
        self.arrivals.stop(stream);
        self.refill();
    }

    /// Delivers what the peer has sent on a stopped stream, and opens the receive window again. Returns whether the
    /// stream was stopped.
    pub fn resume_stream(&mut self, stream: StreamId) -> bool {
        let was_stopped = self.arrivals.resume(stream);
        self.refill();
        was_stopped
    }

    /// Reads the next message of the streams that were stopped, if nothing else waits to be taken.
    fn refill(&mut self) {
        while let Some(stream) = self.arrivals.next_to_read() {
            match self.engine.as_mut().and_then(|engine| engine.read(stream)) {
                Some(read) => {
                    self.announces = true;
                    self.on_read(stream, read);
                }
                None => self.arrivals.forget(stream),
            }
        }
        self.note_held();
    }

    /// Notes what fills the receive window beside incomplete messages. If that has changed, the peer has to know.
    fn note_held(&mut self) {
        let (holds, excess) = (self.arrivals.holds(), self.arrivals.excess());
        if let Some(engine) = &mut self.engine {
            self.announces |= engine.hold(holds, excess);
        }
    }

    /// Takes what a message of the peer has cost, in nanoseconds, out of the peer's share of CPU time. Nothing
    /// is refused here: if too much is taken, packets are dropped until the share has recovered.
    pub fn charge(&mut self, now: Instant, cost: u64) {
        if let Some(engine) = &mut self.engine {
            engine.charge(now, cost);
        }
    }

    /// Announces a receive window of at most `window` bytes until then. Less than a full packet would stop the peer.
    pub fn limit_window(&mut self, window: usize, until: Instant) {
        if let Some(engine) = &mut self.engine {
            engine.limit_window(window, until);
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let engine = self.engine.as_ref().and_then(|engine| engine.poll_timeout());
        let heartbeat = self.heartbeat_timer.as_ref().map(HeartbeatTimer::poll_timeout);
        let handshake = self.handshake.as_ref().and_then(|it| it.poll_timeout());
        [engine, handshake, self.shutdown_deadline, heartbeat].into_iter().flatten().min()
    }

    /// The state of the association.
    pub fn state(&self) -> SctpState {
        self.state
    }

    /// The receive window in bytes; see [`SctpConfig::receive_window`].
    pub fn receive_window(&self) -> u32 {
        self.config.receive_window()
    }

    /// The receive window that the peer announced, in bytes; `None` without an association. Many peers
    /// cannot receive a larger message, which then blocks all that follow; usrsctp can.
    pub fn peer_window(&self) -> Option<u32> {
        self.engine.as_ref()?.peer_window()
    }

    /// When the last verified packet of the peer has arrived.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// How many packets have arrived, including those that were dropped.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Why the association ended. `None` before that.
    pub fn end_reason(&self) -> Option<&EndReason> {
        self.end_reason.as_ref()
    }

    /// How many outgoing and incoming streams both sides agreed on (RFC 9260 §5.1.1). `None`
    /// unless connected.
    pub fn negotiated_streams(&self) -> Option<(u16, u16)> {
        match self.state {
            SctpState::Connected => self.engine.as_ref()?.negotiated_streams(),
            _ => None,
        }
    }

    /// Opens our side of `stream`, or changes how it sends from now on.
    pub fn open_stream(&mut self, stream: StreamId, reliability: Reliability) {
        self.streams.end_quarantine(stream);
        self.streams.on_use(stream);
        self.queues.open(stream, reliability);
    }

    /// Opens a data channel in band: like [`Self::open_stream`], but a DATA_CHANNEL_OPEN leaves first, also of a stream
    /// that is stopped. Until the peer has acknowledged it, messages are sent in order, so that none overtakes it (RFC
    /// 8832 §6).
    pub fn open_channel(&mut self, stream: StreamId, open: &Open) {
        self.open_stream(stream, Reliability { ordered: true, ..open.reliability });
        self.streams.open_in_band(stream, open.reliability);
        let payload = open.encode().into();
        self.queues.push_control(stream, Message { ppid: Ppid::DCEP, payload });
    }

    /// Notes that the peer is about to send on `stream`, which may have been reset before.
    pub fn expect_stream(&mut self, stream: StreamId) {
        self.streams.on_use(stream);
    }

    /// Whether `stream` can be given to a new channel of ours: it is not open, not being reset or
    /// in quarantine after a reset, not opened in band by the peer, and below the negotiated
    /// number of streams, if that is known.
    pub fn is_stream_free(&self, stream: StreamId) -> bool {
        self.can_open_stream(stream)
            && !self.streams.is_closing(stream, self.clock)
            && !self.streams.is_channel(stream)
    }

    /// Like [`Self::is_stream_free`], but also allows streams that the peer has opened or that are
    /// in quarantine after a reset. For a caller that knows that the peer uses `stream`.
    pub fn can_open_stream(&self, stream: StreamId) -> bool {
        let limit = self.negotiated_streams().map_or(u16::MAX, |(outgoing, _)| outgoing);
        stream < limit
            && !self.queues.contains(stream)
            && !self.streams.is_resetting(stream)
            && !self.is_ending(stream)
    }

    /// Whether `stream` was closed by [`Self::end_stream`] and its id still rests.
    pub fn is_ending(&self, stream: StreamId) -> bool {
        self.streams.is_ending(stream, self.clock)
    }

    /// Sets how many bytes may have left the queues and be unacknowledged. For measurements, before anything
    /// is sent.
    #[doc(hidden)]
    pub fn set_flight_budget(&mut self, budget: usize) {
        self.flight_bound = Some(budget);
        self.engine.iter_mut().for_each(|engine| engine.set_flight_bound(budget));
    }

    /// Queues a message. Returns the stream's buffered amount in bytes, this message included.
    pub fn send(
        &mut self,
        now: Instant,
        stream: StreamId,
        message: Message,
    ) -> Result<usize, SendError> {
        self.queue(now, stream, message, Origin::Routed)
    }

    /// Like [`Self::send`], but the policy of the stream does not apply to the message.
    pub fn send_directly(
        &mut self,
        now: Instant,
        stream: StreamId,
        message: Message,
    ) -> Result<usize, SendError> {
        self.queue(now, stream, message, Origin::Direct)
    }

    fn queue(
        &mut self,
        now: Instant,
        stream: StreamId,
        message: Message,
        origin: Origin,
    ) -> Result<usize, SendError> {
        if matches!(self.state, SctpState::Failed | SctpState::Closed) {
            return Err(SendError::Closed);
        }
        if message.payload.is_empty() {
            return Err(SendError::Empty);
        }
        if message.payload.len() > self.config.max_send_message_size as usize {
            return Err(SendError::TooLarge);
        }
        let expired = &mut self.counters.expired;
        let pushed = self.queues.push(now, stream, message, origin, expired);
        self.collect_low();
        pushed.map_err(|error| match error {
            PushError::Full => SendError::Full,
            PushError::UnknownStream => SendError::Closed,
        })
    }

    /// Queues a control message (PPID 50) behind the messages of `stream`, ordered and reliable. It is not counted. It
    /// replaces a control message with the same first byte if no message has been queued since. For associations whose
    /// streams are no data channels; the peer reports it as [`SctpEvent::Control`].
    pub fn send_control(&mut self, stream: StreamId, payload: Bytes) {
        self.queues.push_control(stream, Message { ppid: Ppid::DCEP, payload });
    }

    /// Whether the queue of `stream` is full, and not empty.
    pub fn is_shut(&self, stream: StreamId) -> bool {
        self.queues.is_shut(stream)
    }

    /// Sets what happens to messages of `stream` that meet a full queue or wait too long.
    pub fn set_policy(&mut self, stream: StreamId, policy: QueuePolicy) {
        self.queues.set_policy(stream, policy);
    }

    /// Stops or restarts our side of `stream`. While it is stopped, its messages wait, and their lifetimes still run.
    pub fn set_stopped(&mut self, stream: StreamId, stopped: bool) {
        self.queues.set_stopped(stream, stopped);
    }

    /// What happened to the messages of [`Self::send`] on `stream`, if the stream has a policy.
    pub fn queue_tally(&self, stream: StreamId) -> QueueTally {
        self.queues.tally(stream)
    }

    /// Whether at most half of the bound of `stream` is in use, and there is room in the queue of all streams.
    pub fn is_relieved(&self, stream: StreamId) -> bool {
        self.queues.is_relieved(stream)
    }

    /// Payload bytes of `stream` that wait in its queue; 0 if the stream is not open. (At most
    /// about 512 KiB per association have left the queues and wait for the network.)
    pub fn buffered_amount(&self, stream: StreamId) -> usize {
        self.queues.buffered_amount(stream)
    }

    /// The buffered amounts of all streams together.
    pub fn queued_bytes(&self) -> usize {
        self.queues.queued_bytes()
    }

    /// Sets a fence behind everything sent on `stream` so far. [`SctpEvent::FencePassed`] follows once all of it has
    /// left. Returns false if there is nothing to wait for.
    pub fn fence(&mut self, now: Instant, stream: StreamId, fence: u32) -> bool {
        let nothing = self.queues.is_drained(stream)
            && self.engine.as_ref().is_none_or(|engine| engine.all_acknowledged());
        if nothing || matches!(self.state, SctpState::Failed | SctpState::Closed) {
            return false;
        }
        self.fences.get_or_insert_default().add(now, stream, fence);
        self.advance_fences();
        true
    }

    /// Emits [`SctpEvent::ArrivalsTaken`] once the peer's messages that now wait on `stream` have been taken, even if
    /// the stream is stopped. Returns false if there is nothing to wait for.
    pub fn fence_arrivals(&mut self, stream: StreamId, fence: u32) -> bool {
        let held = self.engine.as_ref().map_or(0, |engine| engine.bytes_held());
        self.arrivals.fence(stream, fence, held)
    }

    #[inline]
    fn advance_fences(&mut self) {
        if self.fences.is_some() {
            self.advance_fences_now();
        }
    }

    #[cold]
    fn advance_fences_now(&mut self) {
        let Some(fences) = &mut self.fences else { return };
        let (streams, arrivals, clock) = (&mut self.streams, &mut self.arrivals, self.clock);
        fences.advance(&self.queues, self.engine.as_deref(), |Name { stream, fence }| {
            match (fence, clock) {
                (Some(fence), _) => arrivals.push(SctpEvent::FencePassed { stream, fence }),
                (None, Some(now)) => streams.on_ended(stream, now),
                (None, None) => {}
            }
        });
        self.fences.take_if(|it| it.is_empty());
    }

    /// The charge of everything that is held: messages in the queues and in flight, and the peer's messages that are
    /// incomplete or not taken yet.
    pub fn bytes_held(&self) -> usize {
        let engine = self.engine.as_ref();
        let inside = engine.map_or(0, |engine| engine.bytes_held() + engine.charge_unacked());
        self.queues.charge() + inside + self.arrivals.charge()
    }

    /// The bytes of messages that the peer has acknowledged.
    pub fn delivered(&self) -> u64 {
        self.engine.as_ref().map_or(0, |engine| engine.delivered())
    }

    /// Sets the threshold of [`SctpEvent::BufferedAmountLow`] in bytes.
    pub fn set_buffered_amount_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        self.queues.set_low_threshold(stream, threshold);
    }

    /// Closes our side of `stream`, and leaves the peer's as it is. Queued messages are discarded, and
    /// returned as a count; those that have left the queue still arrive.
    pub fn close_stream(&mut self, stream: StreamId) -> MessageTally {
        self.fences.iter_mut().for_each(|it| it.remove(stream));
        self.streams.end_opening(stream);
        self.queues.remove(stream)
    }

    /// Closes our side of `stream` like [`Self::close_stream`], then asks the peer to reset the stream
    /// (RFC 6525 §5.1.2). What the peer sends on it until then is not delivered.
    pub fn reset_stream(&mut self, stream: StreamId) -> MessageTally {
        let closed_by_peer = self.queues.is_dead(stream);
        let discarded = self.close_stream(stream);
        if self.config.data_channels && self.can_send_on(stream) && !closed_by_peer {
            self.streams.reset(stream, self.clock);
        }
        discarded
    }

    /// Closes our side of `stream` like [`Self::close_stream`], then sends a last control message on it. The id rests
    /// for some time after the peer has acknowledged everything, so that no late packet reaches the next stream with
    /// this id.
    pub fn end_stream(&mut self, stream: StreamId, last: Bytes) -> MessageTally {
        if !self.queues.contains(stream) {
            return MessageTally::default();
        }
        self.fences.iter_mut().for_each(|it| it.remove(stream));
        if self.engine.is_some() {
            self.streams.end(stream);
        } else if let Some(first) = self.streams.end_early(stream) {
            self.queues.remove(first);
        }
        self.queues.end(stream, Message { ppid: Ppid::DCEP, payload: last })
    }

    /// What has been dropped.
    pub fn counters(&self) -> SctpCounters {
        let mut counters = self.counters;
        if let Some(engine) = &self.engine {
            engine.count(&mut counters);
        }
        counters
    }

    /// The measurements of the path, and the retransmissions. `None` until connected; after the end, the last values,
    /// with nothing in flight.
    pub fn transmission(&self) -> Option<TransmissionStats> {
        match (self.state, &self.engine) {
            (SctpState::Connected, Some(engine)) => Some(engine.transmission()),
            _ => self.last_transmission.as_deref().copied(),
        }
    }

    /// Chunks that were sent again, and how many of them had arrived; the same as in [`Self::transmission`].
    pub fn retransmissions(&self) -> (Retransmitted, u64) {
        match (&self.engine, &self.last_transmission) {
            (Some(engine), _) => engine.retransmissions(),
            (None, Some(last)) => (last.retransmitted, last.spurious_retransmissions),
            (None, None) => Default::default(),
        }
    }

    /// The smoothed round-trip time, if it has been measured since the last call.
    pub fn take_round_trip(&mut self) -> Option<Duration> {
        self.engine.as_mut()?.take_round_trip()
    }

    /// Whether [`Self::take_delays`] has some.
    pub fn has_delays(&self) -> bool {
        self.queues.has_delays()
    }

    /// The queueing delays of one in 64 of the messages that have left since the last call.
    pub fn take_delays(&mut self, take: impl FnMut(Duration)) {
        self.queues.take_delays(take);
    }

    /// What the policies of the queues have dropped.
    pub fn dropped_by_policies(&self) -> QueueDrops {
        self.queues.dropped()
    }

    /// Ends the association. Queued messages are counted as unsent; an ABORT leaves with the next
    /// [`Self::drain_transmits`].
    pub fn abort(&mut self, now: Instant) {
        self.clock = Some(now);
        self.end(EndReason::ThisSide, Some(cause::USER_INITIATED));
    }

    /// Ends the association like [`Self::abort`], because the session below has ended for this reason.
    pub fn end_with_session(&mut self, now: Instant, reason: Reason) {
        self.clock = Some(now);
        self.end(EndReason::Session(reason), None);
    }

    /// Whether the association is established and the peer takes `stream`.
    fn can_send_on(&self, stream: StreamId) -> bool {
        self.negotiated_streams().is_some_and(|(outgoing, _)| stream < outgoing)
    }

    fn set_state(&mut self, state: SctpState) {
        if self.state != state {
            self.state = state;
            self.arrivals.push(SctpEvent::State(state));
        }
    }

    fn violation(&mut self, reason: EndReason) {
        self.ended_by_peer(reason, Some(cause::PROTOCOL_VIOLATION));
    }

    /// Ends the association, unless the sender may not be the peer: see [`Start::Never`].
    fn ended_by_peer(&mut self, reason: EndReason, abort: Option<u16>) {
        if self.state == SctpState::Connecting && self.config.start == Start::Never {
            log::debug!("SCTP: attempt ended: {reason}");
            self.handshake.iter_mut().for_each(|it| it.forget_peer());
        } else {
            self.end(reason, abort);
        }
    }

    /// Drops the engine and everything queued. With a cause, sends the peer an ABORT.
    fn end(&mut self, reason: EndReason, abort: Option<u16>) {
        // What is read below may be another reason to end.
        if self.end_reason.is_some() {
            return;
        }
        let state = reason.state();
        self.end_reason = Some(reason);
        let peer = match &self.engine {
            Some(engine) => engine.header(),
            None => self.handshake.as_ref().and_then(|it| it.peer_header()),
        };
        self.control_packet = peer.zip(abort).map(|(header, cause)| wire::abort(header, cause));
        self.last_transmission = self
            .transmission()
            .map(|last| Box::new(TransmissionStats { bytes_in_flight: 0, ..last }));
        self.handshake = None;
        // The peer believes that these messages were delivered.
        for stream in self.arrivals.stopped_streams() {
            self.read_stopped(stream);
        }
        if let Some(engine) = self.engine.take() {
            engine.count(&mut self.counters);
        }
        self.streams = Streams::default();
        self.shutdown_deadline = None;
        self.heartbeat_timer = None;
        let unsent = self.queues.clear();
        self.counters.unsent.add(unsent);
        if let Some(mut fences) = self.fences.take() {
            fences.clear(|event| self.arrivals.push(event));
        }
        self.set_state(state);
    }

    /// Moves messages and stream resets into the engine, as many as are admitted. Returns whether
    /// there were any.
    fn pump(&mut self, now: Instant) -> bool {
        if self.state != SctpState::Connected || self.shutdown_deadline.is_some() {
            return false;
        }
        let Some(engine) = &mut self.engine else { return false };
        let mut wrote = false;
        while self.streams.has_channel_ack()
            && engine.admits(dcep::ACK.len()) == Admittance::Now
            && let Some(stream) = self.streams.pop_channel_ack()
        {
            wrote |= engine.acknowledge_channel(now, stream);
        }
        let expired = &mut self.counters.expired;
        self.queues.set_pace(engine.pace());
        loop {
            let (admits, holds) = (|len| engine.admits(len), |stream| engine.holds(stream));
            let Some(scheduled) = self.queues.pop(now, expired, admits, holds) else { break };
            wrote = true;
            let ends = scheduled.is_last.then_some(scheduled.stream);
            let len = scheduled.message.payload.len();
            if !engine.write(now, scheduled) && ends.is_none() {
                self.counters.refused.add(MessageTally::one(len));
            }
            if let Some(stream) = ends {
                self.fences.get_or_insert_default().add_end(stream, engine);
            }
        }
        while engine.can_reset()
            && let Some(stream) = self.streams.pop_reset()
        {
            engine.reset(stream);
            wrote = true;
        }
        self.collect_low();
        wrote
    }

    fn collect_low(&mut self) {
        while let Some((stream, amount)) = self.queues.poll_low() {
            self.arrivals.push(SctpEvent::BufferedAmountLow { stream, amount });
        }
    }
}
