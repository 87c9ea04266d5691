//! The association as the rest of the crate sees it: its states, its queues, and what comes out.

mod handshake;
mod incoming;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::budget::Budget;
use super::flight::{Admittance, Flight};
use super::guard::Dropped;
use super::heartbeat::{Due, Watch};
use super::init;
use super::link::{Incoming, Link};
use super::queue::{Bounds, PushError, SendQueues};
use super::streams::Streams;
use super::wire::cause;
use super::{
    Discarded, OverflowPolicy, SctpConfig, SctpCounters, SctpEvent, SctpState, SendError, Start,
};
use crate::proto::dcep;
use crate::proto::message::{Message, Reliability, StreamId};

/// How often we begin again because the peer refuses our cookie as too old. Its lifetime is 60 s
/// (RFC 9260 §16), so once should be enough.
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
    /// For INITs; later packets have the guard's.
    budget: Budget,
    /// When to send an INIT, should the peer not have established the association by then.
    initiate_at: Option<Instant>,
    /// When a shutdown that the peer has begun has to be over.
    closed_by: Option<Instant>,
    stale_cookies: u8,
    /// While established, if the configuration asks for it.
    watch: Option<Watch>,
    /// A HEARTBEAT or an ABORT on its way out.
    our_own: Option<Bytes>,
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
            budget: Budget::default(),
            initiate_at: None,
            closed_by: None,
            stale_cookies: 0,
            watch: None,
            our_own: None,
            events: VecDeque::new(),
            counters: SctpCounters::default(),
            clock: None,
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
            Incoming::Deliver(event) => self.deliver(now, [event]),
            Incoming::Divided(events) => self.deliver(now, events),
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
            Incoming::Alive => self.heard(now),
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
            self.lose_patience();
        }
        match self.watch.as_mut().map_or(Due::Nothing, |watch| watch.handle_timeout(now)) {
            Due::Nothing => {}
            Due::Rest => self.trim(),
            Due::Ask => self.our_own = self.link.as_mut().and_then(|link| link.heartbeat()),
            Due::GiveUp => return self.end(SctpState::Failed, Some(cause::USER_INITIATED)),
        }
        if let Some(link) = &mut self.link {
            link.handle_timeout(now);
            self.flight_is_stale = true;
            self.collect(now);
        }
    }

    /// Gives back the memory that a burst has taken and nothing needs any more. (What sctp-proto has
    /// taken, it keeps.) For a moment that comes seldom, busy or not.
    pub fn trim(&mut self) {
        self.queues.trim();
        self.flight.trim();
        self.link.iter_mut().for_each(|link| link.trim());
        self.events.shrink_to(0);
    }

    /// Hands the packets that are due to `sink`. Call it once a turn, after input.
    pub fn drain_transmits(&mut self, now: Instant, mut sink: impl FnMut(&[u8])) {
        self.clock = Some(now);
        // In any case once: there may be something to acknowledge or to send again.
        let mut due = true;
        loop {
            due |= self.pump(now);
            let Some(link) = &mut self.link else { break };
            if !std::mem::take(&mut due) {
                break;
            }
            let drained = link.drain(now, &mut sink);
            // The window may take more than may be inside and unsent.
            let goes_on = !self.queues.is_empty() && link.unsent().is_some_and(|it| it.is_empty());
            if let Err(oversize) = drained {
                log::warn!("SCTP: no path takes a packet with a chunk of {} bytes", oversize.0);
                self.end(SctpState::Closed, Some(cause::PROTOCOL_VIOLATION));
            }
            if !goes_on {
                break;
            }
        }
        if let Some(packet) = self.our_own.take() {
            sink(&packet);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.as_ref().and_then(|link| link.poll_timeout());
        let watch = self.watch.as_ref().map(Watch::poll_timeout);
        [link, self.initiate_at, self.closed_by, watch].into_iter().flatten().min()
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

    /// The peer is about to send on `stream`, perhaps anew.
    pub fn expect_stream(&mut self, stream: StreamId) {
        self.streams.on_use(stream);
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

    /// How many bytes may be inside sctp-proto at a time; for measurements, before anything is sent.
    #[doc(hidden)]
    pub fn set_flight_budget(&mut self, budget: usize) {
        self.flight = Flight::with_budget(budget);
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
        let mut counters = self.counters;
        if let Some(link) = &self.link {
            link.count(&mut counters);
        }
        counters
    }

    /// Ends the association. Everything is dropped; an ABORT goes out with the next drain.
    pub fn abort(&mut self, now: Instant) {
        self.clock = Some(now);
        self.end(SctpState::Closed, Some(cause::USER_INITIATED));
    }

    /// The peer has given a sign of life.
    fn heard(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch {
            watch.heard(now);
        }
    }

    fn set_state(&mut self, state: SctpState) {
        if self.state != state {
            self.state = state;
            self.events.push_back(SctpEvent::State(state));
        }
    }

    fn replace_link(&mut self, link: Option<Box<Link>>) {
        if let Some(old) = std::mem::replace(&mut self.link, link) {
            old.count(&mut self.counters);
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
            self.our_own = link.abort(cause);
        }
        self.replace_link(None);
        self.forget_answered();
        self.flight = Flight::default();
        self.streams = Streams::default();
        self.initiate_at = None;
        self.closed_by = None;
        self.watch = None;
        let unsent = self.queues.clear();
        self.counters.unsent.add(unsent);
        self.set_state(state);
    }

    /// Moves messages from the queues into the association, as many as may be inside, and resets of
    /// streams. Tells whether it has moved any.
    fn pump(&mut self, now: Instant) -> bool {
        let Some(link) = &mut self.link else { return false };
        if self.state != SctpState::Connected || self.closed_by.is_some() {
            return false;
        }
        let mut wrote = false;
        if !self.queues.is_empty() || self.streams.owes_answers() {
            let flight = &mut self.flight;
            if std::mem::take(&mut self.flight_is_stale) {
                flight.refresh(link.in_flight(), |stream| link.unacked(stream));
                link.unsent().into_iter().for_each(|unsent| flight.limit(unsent));
            }
            while flight.admits(dcep::ACK.len()) == Admittance::Now
                && let Some(stream) = self.streams.pop_unanswered()
            {
                if let Some(bytes) = link.acknowledge_channel(now, stream) {
                    wrote = true;
                    flight.add(stream, bytes);
                }
            }
            let expired = &mut self.counters.expired;
            while let Some(next) = self.queues.pop(now, expired, |reliability, len| {
                match link.unsent().map(|unsent| unsent.admits(reliability.ordered, len)) {
                    None | Some(Admittance::Now) => flight.admits(len),
                    Some(refused) => refused,
                }
            }) {
                wrote = true;
                let (stream, len) = (next.stream, next.message.payload.len());
                match link.write(now, next) {
                    Some(bytes) => flight.add(stream, bytes),
                    None => self.counters.refused.add(Discarded::one(len)),
                }
            }
        }
        while link.can_reset()
            && let Some(stream) = self.streams.pop_waiting()
        {
            link.reset(stream);
            wrote = true;
        }
        self.collect_low();
        wrote
    }

    fn collect_low(&mut self) {
        while let Some((stream, amount)) = self.queues.poll_low() {
            self.events.push_back(SctpEvent::BufferedAmountLow { stream, amount });
        }
    }
}
