//! The association as the rest of the crate sees it: its states, its queues, and what comes out.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;
use sctp_proto::{Event, StreamEvent};

use super::flight::Flight;
use super::guard::Dropped;
use super::init;
use super::link::{Incoming, Link, Read, Role};
use super::queue::{Bounds, PushError, SendQueues};
use super::streams::Streams;
use super::wire::cause;
use super::{
    Discarded, OverflowPolicy, SctpConfig, SctpCounters, SctpEvent, SctpState, SendError, Start,
};
use crate::proto::dcep::Dcep;
use crate::proto::message::{Message, Ppid, Reliability, StreamId};

/// How many milliseconds the INIT is left to the peer.
const SILENCE_MS: RangeInclusive<u64> = 1000..=2000;

/// How many milliseconds a peer that has sent an INIT has for the rest of the handshake, before we
/// send one.
const PATIENCE_MS: RangeInclusive<u64> = 3000..=4000;

/// How long a shutdown that the peer has begun may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// How often we begin again because the peer refuses our cookie as too old.
const STALE_COOKIES: u8 = 3;

/// One association with one peer. Cheap until [`Self::connect`].
#[derive(Debug)]
pub struct Sctp {
    config: SctpConfig,
    state: SctpState,
    link: Option<Box<Link>>,
    /// The one that has answered an INIT and then been given up for one of ours, until either is
    /// established.
    answered: Option<Box<Link>>,
    queues: SendQueues,
    flight: Flight,
    /// The peer may have acknowledged something since `flight` was counted.
    flight_is_stale: bool,
    streams: Streams,
    /// When to send an INIT, should the peer not have established the association by then.
    initiate_at: Option<Instant>,
    /// When a shutdown that the peer has begun has to be over.
    closed_by: Option<Instant>,
    stale_cookies: u8,
    /// An ABORT on its way out.
    farewell: Option<Bytes>,
    events: VecDeque<SctpEvent>,
    counters: SctpCounters,
    /// The latest time that we have been told.
    clock: Option<Instant>,
}

impl Sctp {
    /// Makes an association that waits for [`Self::connect`].
    pub fn new(config: SctpConfig) -> Self {
        let bounds = Bounds {
            total: config.send_buffer_size,
            per_stream: config.per_stream_send_queue_limit,
            policy: OverflowPolicy::default(),
        };
        Self {
            queues: SendQueues::new(bounds, config.buffered_amount_low_threshold),
            config,
            state: SctpState::New,
            link: None,
            answered: None,
            flight: Flight::default(),
            flight_is_stale: false,
            streams: Streams::default(),
            initiate_at: None,
            closed_by: None,
            stale_cookies: 0,
            farewell: None,
            events: VecDeque::new(),
            counters: SctpCounters::default(),
            clock: None,
        }
    }

    /// The layer below is ready. Calls after the first do nothing.
    pub fn connect(&mut self, now: Instant) {
        self.clock = Some(now);
        if self.state != SctpState::New {
            return;
        }
        self.set_state(SctpState::Connecting);
        match self.config.start {
            Start::AtOnce => self.initiate(),
            Start::AfterSilence => self.initiate_in(now, SILENCE_MS),
            Start::Never => {}
        }
    }

    /// Chooses who sends the INIT, once both addresses are known. To be called before
    /// [`Self::connect`].
    pub fn set_start(&mut self, start: Start) {
        self.config.start = start;
    }

    /// Takes a packet. False if it was dropped: it was not the peer's, or made no sense.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) -> bool {
        self.clock = Some(now);
        self.recall(&packet);
        let incoming = match self.state {
            SctpState::Connecting if init::is(&packet) => self.on_init(now, &packet),
            SctpState::Connecting | SctpState::Connected => match &mut self.link {
                Some(link) => link.judge(now, packet),
                None => Incoming::Dropped(Dropped::Unexpected),
            },
            SctpState::New | SctpState::Failed | SctpState::Closed => {
                Incoming::Dropped(Dropped::Unexpected)
            }
        };
        match incoming {
            Incoming::Deliver(event) => {
                let Some(link) = &mut self.link else { return false };
                // What a packet says about a stream is lost on sctp-proto if it does not know the
                // stream. One whose reset is being completed it need not know: its answer to one
                // more reset would be answered again.
                if link.takes_reset_of_all() {
                    self.queues.streams().for_each(|stream| link.register(stream));
                }
                while let Some(stream) = link.pop_named() {
                    if !self.streams.is_closing(stream, Some(now)) {
                        link.register(stream);
                    }
                }
                link.deliver(*event);
                self.flight_is_stale = true;
                self.collect(now);
            }
            Incoming::Answered => self.collect(now),
            Incoming::Dropped(reason) => {
                self.count_dropped(reason);
                return false;
            }
            Incoming::Aborted => self.ended_by_peer(SctpState::Closed, None),
            Incoming::StaleCookie => {
                self.stale_cookies += 1;
                if self.stale_cookies <= STALE_COOKIES {
                    self.initiate();
                }
            }
            Incoming::Violation(rule) => self.violation(rule),
        }
        true
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = Some(now);
        if self.closed_by.is_some_and(|at| at <= now) {
            self.end(SctpState::Closed, Some(cause::USER_INITIATED));
            return;
        }
        if self.initiate_at.is_some_and(|at| at <= now) {
            self.initiate_at = None;
            let answered = self.link.take();
            self.initiate();
            self.answered = answered;
        }
        if let Some(link) = &mut self.link {
            link.handle_timeout(now);
            self.flight_is_stale = true;
            self.collect(now);
        }
    }

    /// Hands the packets that are due to `sink`. Call it once a turn, after input.
    pub fn drain_transmits(&mut self, now: Instant, mut sink: impl FnMut(&[u8])) {
        self.clock = Some(now);
        self.pump(now);
        if let Some(link) = &mut self.link
            && let Err(oversize) = link.drain(now, &mut sink)
        {
            log::warn!("SCTP: no path takes a packet with a chunk of {} bytes", oversize.0);
            self.end(SctpState::Closed, Some(cause::PROTOCOL_VIOLATION));
        }
        if let Some(abort) = self.farewell.take() {
            sink(&abort);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.as_ref().and_then(|link| link.poll_timeout());
        [link, self.initiate_at, self.closed_by].into_iter().flatten().min()
    }

    /// The state of the association.
    pub fn state(&self) -> SctpState {
        self.state
    }

    /// How many outgoing and incoming streams both sides have agreed on (RFC 9260 §5.1.1), while
    /// the association is established.
    pub fn negotiated_streams(&self) -> Option<(u16, u16)> {
        match self.state {
            SctpState::Connected => self.link.as_ref()?.negotiated_streams(),
            _ => None,
        }
    }

    /// Opens our side of `stream`, or changes how it sends from now on.
    pub fn open_stream(&mut self, stream: StreamId, reliability: Reliability) {
        self.streams.end_quarantine(stream);
        self.streams.on_use(stream);
        self.queues.open(stream, reliability);
    }

    /// Whether `stream` can be given to a new channel of ours: not open, no reset under way or just
    /// over, not opened in band by the peer, and within the negotiated number as far as it is known.
    pub fn is_stream_free(&self, stream: StreamId) -> bool {
        self.can_open_stream(stream)
            && !self.streams.is_closing(stream, self.clock)
            && !self.streams.is_channel(stream)
    }

    /// As [`Self::is_stream_free`], for who knows that the peer uses `stream` (anew): our side of a
    /// channel that the peer has opened will do, and one whose reset is over but for a moment.
    pub fn can_open_stream(&self, stream: StreamId) -> bool {
        let limit = self.negotiated_streams().map_or(u16::MAX, |(outgoing, _)| outgoing);
        stream < limit && !self.queues.contains(stream) && !self.streams.is_resetting(stream)
    }

    /// Queues a message and answers the stream's buffered amount in bytes, this message included.
    pub fn send(
        &mut self,
        now: Instant,
        stream: StreamId,
        message: Message,
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
        let pushed = self.queues.push(now, stream, message, &mut self.counters.expired);
        self.collect_low();
        pushed.map_err(|error| match error {
            PushError::Full => SendError::Full,
            PushError::UnknownStream => SendError::Closed,
        })
    }

    /// Payload bytes of `stream` that wait for their turn; 0 for one that is not open. (At most
    /// about 128 KiB of an association have had theirs and wait for the network.)
    pub fn buffered_amount(&self, stream: StreamId) -> usize {
        self.queues.buffered_amount(stream)
    }

    /// The buffered amounts of all streams together.
    pub fn queued_bytes(&self) -> usize {
        self.queues.queued_bytes()
    }

    /// Sets the threshold of [`SctpEvent::BufferedAmountLow`] in bytes.
    pub fn set_buffered_amount_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        self.queues.set_low_threshold(stream, threshold);
    }

    /// Closes our side of `stream`: what is queued is discarded, what has had its turn still
    /// arrives, then the peer is asked to reset the stream (RFC 6525 §5.1.2). What the peer sends
    /// on it until it does is not delivered.
    pub fn reset_stream(&mut self, stream: StreamId) -> Discarded {
        let closed_by_peer = self.queues.is_dead(stream);
        let discarded = self.queues.remove(stream);
        let connected = self.state == SctpState::Connected;
        if connected && self.config.data_channels && !closed_by_peer {
            self.streams.reset(stream, self.clock);
        }
        discarded
    }

    /// What has been dropped.
    pub fn counters(&self) -> SctpCounters {
        let stripped = self.link.as_ref().map_or(0, |link| link.stripped());
        let chunks_stripped = self.counters.chunks_stripped + stripped;
        SctpCounters { chunks_stripped, ..self.counters }
    }

    /// Ends the association. Everything is dropped; an ABORT goes out with the next drain.
    pub fn abort(&mut self, now: Instant) {
        self.clock = Some(now);
        self.end(SctpState::Closed, Some(cause::USER_INITIATED));
    }

    fn set_state(&mut self, state: SctpState) {
        if self.state != state {
            self.state = state;
            self.events.push_back(SctpEvent::State(state));
        }
    }

    /// Sends an INIT. What was begun before is forgotten.
    fn initiate(&mut self) {
        let link = Link::initiate(&self.config).map(Box::new);
        self.replace_link(link);
    }

    fn initiate_in(&mut self, now: Instant, millis: RangeInclusive<u64>) {
        let millis = rand::rng().random_range(millis);
        self.initiate_at = Some(now + Duration::from_millis(millis));
    }

    fn replace_link(&mut self, link: Option<Box<Link>>) {
        if let Some(old) = std::mem::replace(&mut self.link, link) {
            self.counters.chunks_stripped += old.stripped();
        }
    }

    /// The peer may still complete the handshake that it has begun and we have given up. Were it
    /// refused, it would go on trying until both have failed, deaf to our own INIT (see
    /// [`Self::on_init`]).
    fn recall(&mut self, packet: &[u8]) {
        let completes = self.answered.as_ref().is_some_and(|link| link.awaits(packet));
        if completes && self.link.as_ref().is_none_or(|link| !link.knows_peer()) {
            let answered = self.answered.take();
            self.replace_link(answered);
        }
    }

    fn forget_answered(&mut self) {
        if let Some(old) = self.answered.take() {
            self.counters.chunks_stripped += old.stripped();
        }
    }

    /// Takes an INIT before the association is established (RFC 9260 §5.2.1). There is never more
    /// than one association: the INIT is answered by the one that there is, by one that takes its
    /// place, or not at all.
    fn on_init(&mut self, now: Instant, packet: &Bytes) -> Incoming {
        let Some(peer_tag) = init::tag(packet) else {
            return Incoming::Dropped(Dropped::Malformed);
        };
        if let Some(link) = &mut self.link {
            match link.role {
                Role::Responder { peer_tag: known } if known == peer_tag => {
                    return link.repeat_init(now, packet);
                }
                // A new one from a peer that has begun again.
                Role::Responder { .. } => {}
                // INITs have crossed. Two of ours would each give way to the other and wait for
                // ever, so the higher tag stays; any other peer answers our INIT as well.
                Role::Initiator
                    if link.knows_peer() || link.own_tag().is_some_and(|own| own > peer_tag) =>
                {
                    return Incoming::Dropped(Dropped::Unexpected);
                }
                Role::Initiator => {}
            }
        }
        match Link::respond(&self.config, now, packet) {
            Ok(link) => {
                self.replace_link(Some(Box::new(link)));
                // The answer may be lost, and an association that has answered has no timer.
                if self.config.start != Start::Never {
                    self.initiate_in(now, PATIENCE_MS);
                }
                Incoming::Answered
            }
            Err(dropped) => Incoming::Dropped(dropped),
        }
    }

    fn count_dropped(&mut self, reason: Dropped) {
        let counter = match reason {
            Dropped::Malformed => &mut self.counters.packets_malformed,
            Dropped::Foreign => &mut self.counters.packets_foreign,
            Dropped::Unexpected => &mut self.counters.packets_unexpected,
            Dropped::Overload => &mut self.counters.packets_overload,
        };
        *counter += 1;
    }

    fn violation(&mut self, rule: &str) {
        log::warn!("SCTP: association aborted: {rule}");
        self.ended_by_peer(SctpState::Closed, Some(cause::PROTOCOL_VIOLATION));
    }

    /// The end, unless whoever did this is not the peer yet: see [`Start::Never`].
    fn ended_by_peer(&mut self, state: SctpState, abort: Option<u16>) {
        if self.state == SctpState::Connecting && self.config.start == Start::Never {
            self.replace_link(None);
        } else {
            self.end(state, abort);
        }
    }

    /// Drops the association and all that waits for it. With a cause, the peer is sent an ABORT.
    fn end(&mut self, state: SctpState, abort: Option<u16>) {
        if matches!(self.state, SctpState::Failed | SctpState::Closed) {
            return;
        }
        if let (Some(link), Some(cause)) = (&self.link, abort) {
            self.farewell = link.abort(cause);
        }
        self.replace_link(None);
        self.forget_answered();
        self.flight = Flight::default();
        self.streams = Streams::default();
        self.initiate_at = None;
        self.closed_by = None;
        let unsent = self.queues.clear();
        self.counters.unsent.add(unsent);
        self.set_state(state);
    }

    /// Moves messages from the queues into the association, as many as may be inside.
    fn pump(&mut self, now: Instant) {
        let Some(link) = &mut self.link else { return };
        if self.state != SctpState::Connected || self.closed_by.is_some() {
            return;
        }
        while let Some(stream) = self.streams.pop_unanswered() {
            link.acknowledge_channel(stream);
        }
        if !self.queues.is_empty() {
            let flight = &mut self.flight;
            if std::mem::take(&mut self.flight_is_stale) {
                flight.refresh(|stream| link.unacked(stream));
            }
            let expired = &mut self.counters.expired;
            while let Some(next) = self.queues.pop(now, expired, |len| flight.admits(len)) {
                let (stream, len) = (next.stream, next.message.payload.len());
                match link.write(next) {
                    Some(bytes) => flight.add(stream, bytes),
                    None => self.counters.refused.add(Discarded { messages: 1, bytes: len as u64 }),
                }
            }
        }
        while link.can_reset()
            && let Some(stream) = self.streams.pop_waiting()
        {
            link.reset(stream);
        }
        self.collect_low();
    }

    fn collect_low(&mut self) {
        while let Some((stream, amount)) = self.queues.poll_low() {
            self.events.push_back(SctpEvent::BufferedAmountLow { stream, amount });
        }
    }

    /// Takes the events and messages out of the association.
    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.link.as_mut().and_then(|link| link.poll_event()) {
            match event {
                Event::Connected => {
                    self.initiate_at = None;
                    self.forget_answered();
                    self.flight_is_stale = false;
                    self.set_state(SctpState::Connected);
                }
                Event::HandshakeFailed { .. } => self.ended_by_peer(SctpState::Failed, None),
                // The end of a shutdown, or else the peer sent what sctp-proto cannot bear: a
                // message that is too large, or more than the window without an end.
                Event::AssociationLost { .. } if self.closed_by.is_some() => {
                    self.end(SctpState::Closed, None);
                }
                Event::AssociationLost { reason } => {
                    self.violation(&reason.to_string());
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) => {
                    if self.config.data_channels {
                        self.queues.kill(id);
                    }
                    if self.streams.on_peer_reset(id, now) {
                        self.events.push_back(SctpEvent::StreamReset { stream: id });
                    }
                }
                Event::Stream(StreamEvent::ResetComplete { id }) => {
                    self.streams.on_reset_complete(id, now);
                }
                // A reset that failed leaves its stream out of use; the rest is of no interest.
                _ => {}
            }
        }
        if self.closed_by.is_none() && self.link.as_ref().is_some_and(|link| link.is_closing()) {
            self.closed_by = Some(now + SHUTDOWN);
        }
    }

    fn read(&mut self, stream: StreamId) {
        self.streams.on_use(stream);
        while let Some(read) = self.link.as_mut().and_then(|link| link.read(stream)) {
            match read {
                Read::Message(message) if message.ppid == Ppid::DCEP => {
                    self.on_dcep(stream, &message.payload);
                }
                Read::Message(message) => {
                    self.events.push_back(SctpEvent::Message { stream, message });
                }
                Read::Garbled => self.counters.garbled += 1,
                Read::TooLarge => self.violation("a message over the maximum size"),
            }
        }
    }

    fn on_dcep(&mut self, stream: StreamId, message: &[u8]) {
        match Dcep::parse(message) {
            Ok(Dcep::Open(open)) if self.config.data_channels => {
                if self.streams.open_channel(stream) {
                    self.events.push_back(SctpEvent::ChannelOpened {
                        stream,
                        label: open.label,
                        protocol: open.protocol,
                        reliability: open.reliability,
                    });
                }
            }
            Ok(Dcep::Ack) if self.config.data_channels => {}
            _ => self.counters.bad_dcep += 1,
        }
    }
}
