//! SCTP over DTLS or UDP (RFC 9260, RFC 8261) for data channels (RFC 8831), over sctp-proto.
//!
//! Sans-IO: packets and the time go in, packets and events come out. May touch `message` and
//! `dcep`; sctp-proto is met in [`link`] only.
//!
//! ```text
//!          send                     packet from the peer
//!           │                               │
//!         queue    waits, in turns        guard    what sctp-proto must not see
//!           │                               │
//!         flight   how much goes in         │
//!           └──────────► link ◄─────────────┘      one association of sctp-proto
//!                          │
//!                       egress                     what no path must see
//!                          ▼
//!                  packets to the peer
//! ```
//!
//! The states, which only go forward:
//!
//! ```text
//! New ── connect ─► Connecting ─┬─ COOKIE ECHO or COOKIE ACK ─► Connected ─► Closed
//!                               └─ no answer to INIT ─► Failed
//! ```

mod flight;
mod link;
mod queue;
mod wire;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;
use rustc_hash::{FxHashMap, FxHashSet};
use sctp_proto::{Event, StreamEvent};
use serde::Serialize;

use self::flight::Flight;
use self::link::Link;
use self::queue::{Bounds, PushError, SendQueues};
pub use self::queue::{Discarded, OverflowPolicy};
use crate::proto::dcep::Dcep;
use crate::proto::message::{Message, Ppid, Reliability, StreamId};

/// How long [`Start::AfterSilence`] leaves the INIT to the peer.
const SILENCE: std::ops::RangeInclusive<u64> = 1000..=2000;

/// How long a stream whose reset has completed stays out of use: its peer may still be about to
/// reset it once more (sctp-proto at the far end answers a reset of ours with one of its own, and
/// ours answers that).
const QUARANTINE: Duration = Duration::from_secs(3);

/// Who sends the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The peer; we do after 1 to 2 seconds without one.
    AfterSilence,
    /// We do.
    AtOnce,
}

/// What an association is made with. Sizes in bytes.
#[derive(Debug, Clone)]
pub struct SctpConfig {
    /// The largest message that [`Sctp::send`] takes.
    pub max_send_message_size: u32,
    /// The largest message that the peer may send; a larger one ends the association.
    pub max_receive_message_size: u32,
    /// The bound of all queued payload together; see [`SendError::Full`].
    pub send_buffer_size: usize,
    /// The bound of each stream's queued payload.
    pub per_stream_send_queue_limit: usize,
    /// The receive window. In force is at most the larger of 1 MiB and twice
    /// `max_receive_message_size`.
    pub max_receiver_window: u32,
    /// The threshold that streams start with; see [`SctpEvent::BufferedAmountLow`].
    pub buffered_amount_low_threshold: usize,
    /// Who sends the INIT.
    pub start: Start,
    /// The largest SCTP packet that may be emitted, common header included.
    pub max_packet_size: usize,
    /// Answer DATA_CHANNEL_OPEN (RFC 8832).
    pub data_channels: bool,
}

/// The state of the association. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SctpState {
    /// [`Sctp::connect`] has not been called.
    New,
    /// Waiting for the peer's INIT or for the answer to ours.
    Connecting,
    /// Established.
    Connected,
    /// The peer did not answer our INIT.
    Failed,
    /// Ended, by either side.
    Closed,
}

/// What the association has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SctpEvent {
    /// The state has changed.
    State(SctpState),
    /// A message of the peer. Never one of PPID 50.
    Message {
        /// The stream it came on.
        stream: StreamId,
        /// The message.
        message: Message,
    },
    /// The peer has reset its outgoing stream, that is, closed its data channel (RFC 8831 §6.7).
    /// Ours is being reset in turn; call [`Sctp::reset_stream`] if it was open, to learn what is
    /// discarded.
    StreamReset {
        /// The stream.
        stream: StreamId,
    },
    /// The buffered amount of a stream has fallen to or below its threshold from above it.
    BufferedAmountLow {
        /// The stream.
        stream: StreamId,
        /// Its buffered amount in bytes.
        amount: usize,
    },
    /// The peer has opened a data channel in band, and has been answered.
    ChannelOpened {
        /// The stream.
        stream: StreamId,
        /// At most 65,535 bytes.
        label: String,
        /// At most 65,535 bytes.
        protocol: String,
        /// How the peer wants both sides to send on it.
        reliability: Reliability,
    },
}

/// Why [`Sctp::send`] did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Before the message, the queued payload of the association or of the stream had reached its
    /// bound. With messages under 64 bytes the 64 bytes that each is charged for decide earlier:
    /// at twice the bound plus 64 KiB.
    #[error("send queue full")]
    Full,
    /// The association has ended, or the stream is not open.
    #[error("association or stream closed")]
    Closed,
    /// Over `max_send_message_size`.
    #[error("message too large")]
    TooLarge,
    /// SCTP carries no empty message (RFC 8831 §6.6).
    #[error("message empty")]
    Empty,
}

/// What has been dropped, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SctpCounters {
    /// Packets of the peer that did not get through.
    pub packets_dropped: u64,
    /// Messages that outlived their lifetime before they were first sent.
    pub expired: Discarded,
    /// Messages that were queued when the association ended.
    pub unsent: Discarded,
    /// Messages of PPID 50 that were not understood.
    pub bad_dcep: u64,
}

/// Why a stream is closed to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// A reset is under way.
    Resetting,
    /// The reset has completed; free at that time.
    Quarantine(Instant),
}

/// One association with one peer. Cheap until [`Self::connect`].
#[derive(Debug)]
pub struct Sctp {
    config: SctpConfig,
    state: SctpState,
    link: Option<Box<Link>>,
    queues: SendQueues,
    flight: Flight,
    /// When to send an INIT ourselves.
    silence_ends: Option<Instant>,
    /// Streams that are being reset.
    closing: FxHashMap<StreamId, Closing>,
    /// Streams on which the peer has opened a data channel in band.
    channels: FxHashSet<StreamId>,
    /// Streams whose DATA_CHANNEL_OPEN waits for its answer.
    unanswered: VecDeque<StreamId>,
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
            flight: Flight::default(),
            silence_ends: None,
            closing: FxHashMap::default(),
            channels: FxHashSet::default(),
            unanswered: VecDeque::new(),
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
            Start::AfterSilence => {
                let silence = rand::rng().random_range(SILENCE);
                self.silence_ends = Some(now + Duration::from_millis(silence));
            }
        }
    }

    /// Chooses who sends the INIT, once both addresses are known. To be called before
    /// [`Self::connect`].
    pub fn set_start(&mut self, start: Start) {
        self.config.start = start;
    }

    /// Takes a packet of the peer.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.clock = Some(now);
        if !matches!(self.state, SctpState::Connecting | SctpState::Connected) {
            self.counters.packets_dropped += 1;
            return;
        }
        let accepted = match &mut self.link {
            Some(link) => link.handle_packet(now, packet),
            None => {
                self.link = Link::respond(&self.config, now, packet).map(Box::new);
                if self.link.is_some() {
                    self.silence_ends = None;
                }
                self.link.is_some()
            }
        };
        if !accepted {
            self.counters.packets_dropped += 1;
            return;
        }
        self.collect(now);
        self.refresh_flight();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = Some(now);
        if self.silence_ends.is_some_and(|at| at <= now) {
            self.silence_ends = None;
            self.initiate();
        }
        if let Some(link) = &mut self.link {
            link.handle_timeout(now);
            self.collect(now);
            self.refresh_flight();
        }
    }

    /// Hands the packets that are due to `sink`. Call it once a turn, after input.
    pub fn drain_transmits(&mut self, now: Instant, mut sink: impl FnMut(&[u8])) {
        self.clock = Some(now);
        if self.state == SctpState::Connected {
            self.pump(now);
        }
        if let Some(link) = &mut self.link {
            link.drain(now, |packet| sink(&packet));
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.as_ref().and_then(|link| link.poll_timeout());
        [link, self.silence_ends].into_iter().flatten().min()
    }

    /// The state of the association.
    pub fn state(&self) -> SctpState {
        self.state
    }

    /// How many outgoing and incoming streams both sides have agreed on (RFC 9260 §5.1.1).
    pub fn negotiated_streams(&self) -> Option<(u16, u16)> {
        (self.state == SctpState::Connected).then_some((u16::MAX, u16::MAX))
    }

    /// Opens our side of `stream`, or changes how it sends from now on.
    pub fn open_stream(&mut self, stream: StreamId, reliability: Reliability) {
        self.queues.open(stream, reliability);
    }

    /// Whether `stream` can be given to a new channel of ours: not open, no reset under way, not
    /// opened in band by the peer, and within the negotiated number as far as it is known.
    pub fn is_stream_free(&self, stream: StreamId) -> bool {
        self.can_open_stream(stream) && !self.channels.contains(&stream)
    }

    /// As [`Self::is_stream_free`], but a stream on which the peer has opened a channel will do:
    /// our side of that channel.
    pub fn can_open_stream(&self, stream: StreamId) -> bool {
        let closing = match self.closing.get(&stream) {
            None => false,
            Some(Closing::Resetting) => true,
            Some(Closing::Quarantine(until)) => self.clock.is_none_or(|now| now < *until),
        };
        let limit = self.negotiated_streams().map_or(u16::MAX, |(out, _)| out);
        !closing && !self.queues.contains(stream) && stream < limit
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
        self.queues.push(now, stream, message, &mut self.counters.expired).map_err(|error| {
            match error {
                PushError::Full => SendError::Full,
                PushError::UnknownStream => SendError::Closed,
            }
        })
    }

    /// Payload bytes of `stream` that have not gone to the network; 0 for one that is not open.
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

    /// Closes our side of `stream`: what is queued is discarded, what is on its way still arrives,
    /// then the peer is asked to reset it (RFC 6525 §5.1.2).
    pub fn reset_stream(&mut self, stream: StreamId) -> Discarded {
        let discarded = self.queues.remove(stream);
        self.channels.remove(&stream);
        if self.state == SctpState::Connected
            && !self.closing.contains_key(&stream)
            && let Some(link) = &mut self.link
            && link.reset(stream)
        {
            self.closing.insert(stream, Closing::Resetting);
        }
        discarded
    }

    /// What has been dropped.
    pub fn counters(&self) -> SctpCounters {
        self.counters
    }

    /// Ends the association. Everything is dropped; an ABORT goes out with the next drain.
    pub fn abort(&mut self, now: Instant) {
        self.clock = Some(now);
        self.end(SctpState::Closed);
    }

    fn set_state(&mut self, state: SctpState) {
        if self.state != state {
            self.state = state;
            self.events.push_back(SctpEvent::State(state));
        }
    }

    fn initiate(&mut self) {
        self.link = Link::initiate(&self.config).map(Box::new);
    }

    /// Drops the association and all that waits for it.
    fn end(&mut self, state: SctpState) {
        if matches!(self.state, SctpState::Failed | SctpState::Closed) {
            return;
        }
        self.link = None;
        self.flight = Flight::default();
        self.silence_ends = None;
        self.closing = FxHashMap::default();
        self.channels = FxHashSet::default();
        self.unanswered = VecDeque::new();
        let unsent = self.queues.clear();
        self.counters.unsent.add(unsent);
        self.set_state(state);
    }

    /// Moves messages from the queues into the association, as many as may be inside.
    fn pump(&mut self, now: Instant) {
        let Some(link) = &mut self.link else { return };
        if link.is_closing() {
            return;
        }
        while let Some(stream) = self.unanswered.pop_front() {
            link.write(link::dcep_ack(stream));
        }
        let flight = &mut self.flight;
        while let Some(next) =
            self.queues.pop(now, &mut self.counters.expired, |len| flight.admits(len))
        {
            let (stream, len) = (next.stream, next.message.payload.len());
            if link.write(next) {
                flight.add(stream, len);
            }
        }
        while let Some((stream, amount)) = self.queues.poll_low() {
            self.events.push_back(SctpEvent::BufferedAmountLow { stream, amount });
        }
    }

    fn refresh_flight(&mut self) {
        if let Some(link) = &mut self.link {
            self.flight.refresh(|stream| link.unacked(stream));
        }
    }

    /// Takes the events and messages out of the association.
    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.link.as_mut().and_then(|link| link.poll_event()) {
            match event {
                Event::Connected => self.set_state(SctpState::Connected),
                Event::HandshakeFailed { .. } => self.end(SctpState::Failed),
                Event::AssociationLost { .. } => self.end(SctpState::Closed),
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) => self.on_peer_reset(id),
                Event::Stream(StreamEvent::ResetComplete { id }) => {
                    self.closing.insert(id, Closing::Quarantine(now + QUARANTINE));
                }
                // A failed reset leaves the stream out of use for good.
                _ => {}
            }
        }
    }

    fn read(&mut self, stream: StreamId) {
        while let Some(message) = self.link.as_mut().and_then(|link| link.read(stream)) {
            if message.ppid == Ppid::DCEP {
                self.on_dcep(stream, &message.payload);
            } else {
                self.events.push_back(SctpEvent::Message { stream, message });
            }
        }
    }

    fn on_dcep(&mut self, stream: StreamId, message: &[u8]) {
        match Dcep::parse(message) {
            Ok(Dcep::Open(open)) if self.config.data_channels => {
                if !self.unanswered.contains(&stream) {
                    self.unanswered.push_back(stream);
                }
                if self.channels.insert(stream) {
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

    fn on_peer_reset(&mut self, stream: StreamId) {
        self.channels.remove(&stream);
        self.queues.kill(stream);
        if self.closing.insert(stream, Closing::Resetting) != Some(Closing::Resetting) {
            self.events.push_back(SctpEvent::StreamReset { stream });
        }
    }
}
