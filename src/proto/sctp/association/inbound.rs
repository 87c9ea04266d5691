//! The way in: from a judged packet to events.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::counters::PacketDrop;
use super::super::engine::{Engine, EngineEvent, Reassembled, Verdict, VerifiedPacket};
use super::super::event::{EndReason, SctpEvent, SctpState};
use super::super::guard::StreamEffects;
use super::super::handshake::Step;
use super::super::heartbeat::HeartbeatTimer;
use super::super::init;
use super::Association;
use crate::proto::dcep::Dcep;
use crate::proto::message::{Message, Ppid, StreamId};

/// How long a shutdown that the peer has begun may take: room for four retransmissions of a
/// SHUTDOWN ACK, the first after 300 ms and each after twice the time of the one before.
const SHUTDOWN: Duration = Duration::from_secs(5);

impl Association {
    /// Takes a packet before the association is established.
    pub(super) fn shake_hands(&mut self, now: Instant, packet: Bytes) -> Verdict {
        let Some(handshake) = &mut self.handshake else {
            return Verdict::Dropped(PacketDrop::Unexpected);
        };
        match handshake.handle_packet(now, &packet) {
            Step::Taken => Verdict::Shaken,
            Step::Dropped(reason) => Verdict::Dropped(reason),
            Step::Aborted(cause) => Verdict::Aborted(cause),
            Step::Established(agreement) => match Engine::new(now, &self.config, agreement) {
                Some(mut engine) => {
                    if let Some(bound) = self.flight_bound {
                        engine.set_flight_bound(bound);
                    }
                    self.engine = Some(Box::new(engine));
                    self.streams.begin();
                    self.collect(now);
                    // DATA may follow a COOKIE ECHO, and overtake a COOKIE ACK (RFC 9260 §5.1).
                    self.judge(now, packet)
                }
                None => {
                    let rule = "the parameters of its INIT are not acceptable";
                    Verdict::Violation(EndReason::Violation(rule.into()))
                }
            },
        }
    }

    /// Judges a packet of an established association.
    pub(super) fn judge(&mut self, now: Instant, packet: Bytes) -> Verdict {
        let Some(engine) = &mut self.engine else {
            return Verdict::Dropped(PacketDrop::Unexpected);
        };
        if init::cookie(&packet).is_some() {
            return self.judge_echo(now, packet);
        }
        engine.judge(now, packet)
    }

    /// Judges a packet with a COOKIE ECHO, which has to be answered again.
    #[cold]
    fn judge_echo(&mut self, now: Instant, packet: Bytes) -> Verdict {
        let Some(engine) = &mut self.engine else {
            return Verdict::Dropped(PacketDrop::Unexpected);
        };
        let verdict = engine.judge(now, packet.clone());
        if matches!(verdict, Verdict::Accepted(_)) {
            self.handshake.iter_mut().for_each(|it| it.answer_again(&packet));
        }
        verdict
    }

    /// Hands a packet of the peer to the engine, and collects what comes of it.
    pub(super) fn deliver(&mut self, now: Instant, packet: VerifiedPacket) {
        self.last_heard = Some(now);
        let Some(engine) = &mut self.engine else { return };
        let reset = match engine.take_stream_effects() {
            None => Vec::new(),
            Some(effects) => self.register(now, effects),
        };
        let Some(engine) = &mut self.engine else { return };
        let rest = engine.deliver(packet);
        self.collect(now);
        if let Some(engine) = self.engine.as_mut().filter(|_| !reset.is_empty()) {
            reset.iter().for_each(|stream| engine.drop_fragments(*stream));
            self.collect(now);
            reset.into_iter().for_each(|stream| self.arrivals.end_read(stream));
            self.note_held();
        }
        if let Some(engine) = self.engine.as_mut().filter(|_| !rest.is_empty()) {
            engine.deliver_rest(rest);
            self.collect(now);
        }
    }

    /// Makes the streams that a packet names known to sctp-proto. Returns those that it resets.
    #[cold]
    fn register(&mut self, now: Instant, effects: StreamEffects) -> Vec<StreamId> {
        let StreamEffects { skipped, reset, resets_all } = effects;
        for stream in &reset {
            self.read_stopped(*stream);
        }
        let Some(engine) = &mut self.engine else { return reset };
        let all = resets_all.then(|| self.queues.streams()).into_iter().flatten();
        for stream in all.chain(skipped).chain(reset.iter().copied()) {
            // A stream whose reset is being completed stays unknown to sctp-proto: it would answer
            // one more reset with its own, which the peer would answer again.
            if !self.streams.is_closing(stream, Some(now)) {
                engine.register(stream);
            }
        }
        reset
    }

    /// Takes the events and messages out of the engine.
    pub(super) fn collect(&mut self, now: Instant) {
        while let Some(event) = self.engine.as_mut().and_then(|engine| engine.poll_event()) {
            match event {
                EngineEvent::Connected => {
                    self.heartbeat_timer =
                        self.config.silence.map(|silence| HeartbeatTimer::new(now, silence));
                    self.set_state(SctpState::Connected);
                    if let Some((outgoing, _)) = self.negotiated_streams() {
                        self.queues.kill_beyond(outgoing);
                    }
                }
                EngineEvent::Lost(_) if self.shutdown_deadline.is_some() => {
                    self.end(EndReason::PeerShutdown, None);
                }
                // The peer sent what sctp-proto does not accept.
                EngineEvent::Lost(reason) => self.violation(reason),
                EngineEvent::Readable(stream) => self.read(stream),
                EngineEvent::PeerReset(stream) => {
                    if self.config.data_channels {
                        self.queues.kill(stream);
                    }
                    if self.streams.on_peer_reset(stream, now) {
                        self.arrivals.push(SctpEvent::StreamReset { stream });
                    }
                }
                EngineEvent::ResetComplete(stream) => self.streams.on_reset_complete(stream, now),
            }
        }
        if self.shutdown_deadline.is_none()
            && self.engine.as_ref().is_some_and(|engine| engine.is_closing())
        {
            self.shutdown_deadline = Some(now + SHUTDOWN);
        }
    }

    fn read(&mut self, stream: StreamId) {
        self.streams.on_use(stream);
        if self.arrivals.leaves_in_engine(stream) {
            return;
        }
        match self.arrivals.defers(stream) {
            true => self.refill(),
            false => self.read_all(stream),
        }
    }

    fn read_all(&mut self, stream: StreamId) {
        while let Some(read) = self.engine.as_mut().and_then(|engine| engine.read(stream)) {
            self.on_read(stream, read);
        }
    }

    pub(super) fn on_read(&mut self, stream: StreamId, read: Reassembled) {
        match read {
            Reassembled::Message(message) if message.ppid == Ppid::DCEP => {
                self.on_dcep(stream, message);
            }
            Reassembled::Message(message) => self.arrivals.push_message(stream, message),
            Reassembled::Garbled => self.counters.garbled += 1,
            Reassembled::TooLarge => {
                let max = self.config.max_receive_message_size as usize;
                self.violation(EndReason::MessageTooLarge(max));
            }
        }
    }

    /// Takes the messages of a stream that is or was stopped out of sctp-proto, which is about to forget them.
    pub(super) fn read_stopped(&mut self, stream: StreamId) {
        if self.arrivals.begin_to_read(stream) {
            self.read_all(stream);
            self.arrivals.see_all_read(stream);
        }
    }

    fn on_dcep(&mut self, stream: StreamId, message: Message) {
        if !self.config.data_channels {
            self.arrivals.push(SctpEvent::Control { stream, message });
            return;
        }
        match Dcep::parse(&message.payload) {
            // A channel needs both directions of its stream (RFC 8832 §6).
            Ok(Dcep::Open(open)) if self.can_send_on(stream) => {
                if self.streams.open_channel(stream) {
                    self.arrivals.push(SctpEvent::ChannelOpened {
                        stream,
                        label: open.label,
                        protocol: open.protocol,
                        reliability: open.reliability,
                    });
                }
            }
            Ok(Dcep::Ack) => {
                if let Some(reliability) = self.streams.end_opening(stream) {
                    self.queues.set_reliability(stream, reliability);
                }
            }
            _ => self.counters.bad_dcep += 1,
        }
    }
}
