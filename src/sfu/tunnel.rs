//! A pipe between two routers of one process. What SCTP over UDP would carry goes from thread to thread instead: the
//! payload is shared, and nothing is encoded, lost or retransmitted.
//!
//! ```text
//! send ─► Event::TunnelFrame(key, frame) ─► runtime ─► Sfu::handle_tunnel_frame(far key, frame)
//! ```
//!
//! Messages are handed over at once, unless their stream has a [`QueuePolicy`]. Then they are handed over as the other
//! end gives credit, by taking messages. The rest wait here, where the policy can drop them and DataProducers can wait
//! for room.
//!
//! It behaves as an association does: the same states, the same bounds (what is on its way counts as
//! queued), the same events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::proto::message::{Amount, Message, Ppid, StreamId};
use crate::proto::overflow::{Governed, Overflow, QueuePolicy, QueueTally};
use crate::proto::reason::{Code, Reason};
use crate::proto::sctp::{MessageTally, SctpEvent, SctpState, SendError};
use crate::sfu::backlog::{Backlog, LowWatermark};
use crate::sfu::memory::Memory;
use crate::sfu::subchannels::{Selector, amount};

/// What one end of a tunnel hands to the other.
#[derive(Debug)]
pub enum TunnelFrame {
    /// This end is ready. If the other end is ready as well, it answers with [`Self::OpenAck`].
    Open,
    /// The answer to [`Self::Open`]: this end is ready as well.
    OpenAck,
    /// A message.
    Message(Box<TunnelMessage>),
    /// A control message about a stream.
    Control(StreamId, Bytes),
    /// A fence with this number waits for the messages of this stream before this frame.
    Fence(StreamId, u32),
    /// The answer to [`Self::Fence`]: the other end has taken these messages.
    FencePassed(StreamId, u32),
    /// The other end has taken messages of this stream, so that more may be handed over.
    Credit(Arc<TunnelStream>),
    /// This end has set how much it may hand over on this stream, and waits for credit: the other end gives it.
    Window(Arc<TunnelStream>),
    /// The payload on its way on this stream has fallen to its threshold: `bufferedamountlow` is due.
    Low(Arc<TunnelStream>),
    /// This end has closed.
    Close,
}

impl TunnelFrame {
    /// The stream, if the frame has a place among the messages of a stream, and whether it is a message itself.
    pub fn place(&self) -> Option<(StreamId, bool)> {
        match self {
            Self::Message(message) => Some((message.stream.id, true)),
            Self::Control(stream, _) | Self::Fence(stream, _) => Some((*stream, false)),
            Self::Open
            | Self::OpenAck
            | Self::FencePassed(..)
            | Self::Credit(_)
            | Self::Window(_)
            | Self::Low(_)
            | Self::Close => None,
        }
    }
}

/// A message on its way, and where its sender counts it.
#[derive(Debug)]
pub struct TunnelMessage {
    message: Message,
    selector: Option<Arc<Selector>>,
    /// When it was first routed, if it was retained since.
    since: Option<Instant>,
    stream: Arc<TunnelStream>,
    total: Arc<Backlog>,
    /// Whether it comes from a DataProducer, and not from `dataConsumer.send()`.
    routed: bool,
}

impl TunnelMessage {
    fn len(&self) -> usize {
        self.message.payload.len()
    }

    fn amount(&self) -> Amount {
        amount(&self.message, self.selector.as_deref())
    }
}

/// The messages on their way on one stream. The sending end counts what enters, the receiving end what leaves.
#[derive(Debug)]
pub struct TunnelStream {
    id: StreamId,
    backlog: Arc<Backlog>,
    low: LowWatermark,
    /// The charge that may be handed over before the other end has taken it. 0: no limit.
    window: AtomicU64,
    /// The charge that the other end has taken and not given credit for yet. Only the other end uses this.
    taken: AtomicU64,
}

/// The largest window of a stream with a policy.
const MAX_WINDOW: u64 = 256 * 1024;

/// What waits on a stream, in order.
#[derive(Debug)]
enum QueuedItem {
    Message(Box<TunnelMessage>),
    /// Boxed, as there are far more messages than these.
    Control(Box<Bytes>),
    Fence(u32),
}

impl QueuedItem {
    fn message(&self) -> Option<&TunnelMessage> {
        match self {
            Self::Message(message) => Some(message),
            Self::Control(_) | Self::Fence(_) => None,
        }
    }

    fn routed(&self) -> Option<&TunnelMessage> {
        self.message().filter(|it| it.routed)
    }
}

/// A stream of this end, and what waits on it.
#[derive(Debug)]
struct OpenStream {
    shared: Arc<TunnelStream>,
    /// No other stream of the tunnel had this number, whatever its id.
    number: u64,
    waiting: VecDeque<QueuedItem>,
    /// The charge of the messages among these.
    charge: u64,
    /// How often it is among [`Tunnel::ready`]: once for all that waits if it has a policy, otherwise once for each.
    ready: usize,
    /// Present once the stream has got a policy.
    governed: Option<Box<Governed>>,
    /// Whether its messages wait until the stream is started again. Only a stream with a policy is stopped.
    stopped: bool,
    /// Fences that the other end has yet to answer.
    fences: VecDeque<u32>,
}

impl OpenStream {
    fn policy(&self) -> QueuePolicy {
        self.governed.as_ref().map_or(QueuePolicy::default(), |it| it.policy)
    }

    fn is_full(&self, stream_limit: u32) -> bool {
        match self.policy().bound {
            Some(bound) => self.shared.backlog.charge() >= bound as u64,
            None => is_full(&self.shared.backlog, stream_limit),
        }
    }

    fn is_half_empty(&self, stream_limit: u32) -> bool {
        match self.policy().bound {
            Some(bound) => self.shared.backlog.charge() <= bound as u64 / 2,
            None => !is_full(&self.shared.backlog, stream_limit / 2 + 1),
        }
    }

    /// Whether a routed message waits here.
    fn has_routed(&self) -> bool {
        self.governed.as_ref().is_some_and(|it| it.has_waiting())
    }

    /// Whether the next message may be handed over.
    fn has_credit(&self) -> bool {
        let handed_over = self.shared.backlog.charge().saturating_sub(self.charge);
        !self.stopped && handed_over < self.shared.window.load(Ordering::Relaxed)
    }

    fn push(&mut self, message: Box<TunnelMessage>) {
        self.charge += message.amount().charge as u64;
        if let Some(governed) = &mut self.governed
            && message.routed
        {
            governed.enter(message.len());
        }
        self.waiting.push_back(QueuedItem::Message(message));
    }

    /// Whether the first item that waits may leave.
    fn is_ready(&self) -> bool {
        match self.waiting.front() {
            Some(QueuedItem::Message(_)) => self.governed.is_none() || self.has_credit(),
            Some(QueuedItem::Control(_) | QueuedItem::Fence(_)) => true,
            None => false,
        }
    }

    /// Puts the stream into [`Tunnel::ready`], unless it is there already for what waits.
    fn begin_turn(&mut self, ready: &mut VecDeque<(StreamId, u64)>) {
        if self.governed.is_none() || self.ready == 0 {
            self.ready += 1;
            ready.push_back((self.shared.id, self.number));
        }
    }

    /// Removes the first item that waits, and counts it as left.
    fn leave(&mut self) -> Option<TunnelFrame> {
        Some(match self.waiting.pop_front()? {
            QueuedItem::Message(message) => {
                self.count_removed(&message);
                TunnelFrame::Message(message)
            }
            QueuedItem::Control(payload) => TunnelFrame::Control(self.shared.id, *payload),
            QueuedItem::Fence(fence) => {
                self.fences.push_back(fence);
                TunnelFrame::Fence(self.shared.id, fence)
            }
        })
    }

    fn count_removed(&mut self, message: &TunnelMessage) {
        self.charge = self.charge.saturating_sub(message.amount().charge as u64);
        if let Some(governed) = &mut self.governed
            && message.routed
        {
            governed.leave(message.len());
        }
    }

    /// Drops the oldest routed message that waits here, and subtracts it from `total`. Returns whether there was one.
    fn replace_oldest(&mut self, total: &Backlog) -> bool {
        let place = self.waiting.iter().position(|it| it.routed().is_some());
        let Some(QueuedItem::Message(oldest)) = place.and_then(|it| self.waiting.remove(it)) else {
            return false;
        };
        self.count_removed(&oldest);
        self.shared.backlog.withdraw(oldest.amount());
        total.withdraw(oldest.amount());
        if let Some(governed) = &mut self.governed {
            governed.replace(oldest.len());
        }
        true
    }
}

/// One end of a tunnel.
#[derive(Debug)]
pub(in crate::sfu) struct Tunnel {
    total_limit: u32,
    stream_limit: u32,
    default_low_threshold: u64,
    state: SctpState,
    streams: FxHashMap<StreamId, OpenStream>,
    /// The number of the next stream that is opened.
    next_number: u64,
    total: Arc<Backlog>,
    /// Frames other than messages, which do not wait for the other end.
    control: VecDeque<TunnelFrame>,
    /// Id and number of streams that may have something to hand over, in their order. Those of streams that were reset
    /// stay for a while.
    ready: VecDeque<(StreamId, u64)>,
    /// How many of these are of streams that were reset.
    stale: usize,
    /// How many messages newer ones have replaced, on all streams.
    replaced: u64,
    /// The tallies of streams with a policy, as they were when the other end closed.
    last: FxHashMap<StreamId, QueueTally>,
    events: VecDeque<SctpEvent>,
    unsent: MessageTally,
}

/// A message that has come through a tunnel.
#[derive(Debug)]
pub(in crate::sfu) struct Arrival {
    pub(in crate::sfu) stream: StreamId,
    pub(in crate::sfu) message: Message,
    pub(in crate::sfu) selector: Option<Arc<Selector>>,
    /// When it was first routed, if it was retained since.
    pub(in crate::sfu) since: Option<Instant>,
}

impl Tunnel {
    /// Sizes are in bytes.
    pub(in crate::sfu) fn new(
        total_limit: u32,
        stream_limit: u32,
        default_low_threshold: u32,
        memory: Option<&Arc<Memory>>,
    ) -> Self {
        let total = Arc::new(Backlog::new(total_limit.into()));
        memory.into_iter().for_each(|it| total.join(it));
        Self {
            total_limit,
            stream_limit,
            default_low_threshold: default_low_threshold.into(),
            state: SctpState::New,
            streams: FxHashMap::default(),
            next_number: 0,
            total,
            control: VecDeque::new(),
            ready: VecDeque::new(),
            stale: 0,
            replaced: 0,
            last: FxHashMap::default(),
            events: VecDeque::new(),
            unsent: MessageTally::default(),
        }
    }

    pub(in crate::sfu) fn state(&self) -> SctpState {
        self.state
    }

    /// Why the tunnel ended. `None` before that.
    pub(in crate::sfu) fn end_reason(&self) -> Option<Reason> {
        let message = "the other end of the pipe closed, or its worker died";
        (self.state == SctpState::Closed).then(|| Reason::new(Code::PeerClosed, message))
    }

    /// The messages that had not left when the other end closed.
    pub(in crate::sfu) fn unsent(&self) -> MessageTally {
        self.unsent
    }

    /// Notes that this end is ready, and sends [`TunnelFrame::Open`] to the other end.
    pub(in crate::sfu) fn connect(&mut self) {
        if self.state == SctpState::New {
            self.enter(SctpState::Connecting);
            self.control.push_back(TunnelFrame::Open);
        }
    }

    /// Opens a stream. `backlog` counts what is on its way on the stream.
    pub(in crate::sfu) fn open_stream(&mut self, id: StreamId, backlog: Arc<Backlog>) {
        let low = LowWatermark::new(self.default_low_threshold);
        let (window, taken) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(TunnelStream { id, backlog, low, window, taken });
        let number = self.next_number;
        self.next_number += 1;
        let stream = OpenStream {
            shared,
            number,
            waiting: VecDeque::new(),
            charge: 0,
            ready: 0,
            governed: None,
            stopped: false,
            fences: VecDeque::new(),
        };
        self.streams.insert(id, stream);
    }

    /// Sets what happens to messages of a stream that meet a full queue.
    pub(in crate::sfu) fn set_policy(&mut self, id: StreamId, policy: QueuePolicy) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let bound = policy.bound.map_or(u64::from(self.stream_limit), |it| it as u64);
        let window = match policy.overflow {
            Overflow::KeepLatest => 1,
            _ => (bound / 2).clamp(1, MAX_WINDOW),
        };
        stream.shared.window.store(window, Ordering::Relaxed);
        match &mut stream.governed {
            Some(governed) => governed.policy = policy,
            None => {
                let routed = stream.waiting.iter().filter_map(QueuedItem::routed);
                let governed = Governed::new(policy, routed.map(TunnelMessage::len));
                stream.governed = Some(Box::new(governed));
            }
        }
        stream.begin_turn(&mut self.ready);
        if !stream.waiting.is_empty() && !stream.is_ready() {
            // The other end may have taken everything before it could see that this one waits for credit.
            self.control.push_back(TunnelFrame::Window(Arc::clone(&stream.shared)));
        }
    }

    /// How many messages newer ones have replaced, on all streams.
    pub(in crate::sfu) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// What happened to the messages of a stream with a policy.
    pub(in crate::sfu) fn queue_tally(&self, id: StreamId) -> QueueTally {
        match self.streams.get(&id) {
            Some(stream) => stream.governed.as_ref().map_or(QueueTally::default(), |it| it.tally),
            None => self.last.get(&id).copied().unwrap_or_default(),
        }
    }

    /// Whether a stream with a policy is full and a message waits here. Without one, it accepts one.
    pub(in crate::sfu) fn is_shut(&self, id: StreamId) -> bool {
        let Some(stream) = self.streams.get(&id) else { return false };
        let full = stream.is_full(self.stream_limit) || is_full(&self.total, self.total_limit);
        full && stream.has_routed()
    }

    pub(in crate::sfu) fn is_stream_free(&self, id: StreamId) -> bool {
        !self.streams.contains_key(&id)
    }

    pub(in crate::sfu) fn set_low_threshold(&mut self, id: StreamId, threshold: usize) {
        if let Some(stream) = self.streams.get(&id) {
            stream.shared.low.set_threshold(threshold as u64);
        }
    }

    /// Stops or restarts a stream. While it is stopped, its messages wait.
    pub(in crate::sfu) fn set_stopped(&mut self, id: StreamId, stopped: bool) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.stopped = stopped;
            if stream.governed.is_some() {
                stream.begin_turn(&mut self.ready);
            }
        }
    }

    /// The charge of all messages on their way.
    pub(in crate::sfu) fn charge(&self) -> usize {
        self.total.amount().charge
    }

    pub(in crate::sfu) fn buffered_amount(&self, id: StreamId) -> usize {
        self.streams.get(&id).map_or(0, |it| it.shared.backlog.payload() as usize)
    }

    /// Whether at most half of the bound of stream `id` is in use, and there is room in the tunnel.
    pub(in crate::sfu) fn is_relieved(&self, id: StreamId) -> bool {
        let half = self.streams.get(&id).is_none_or(|it| it.is_half_empty(self.stream_limit));
        half && !is_full(&self.total, self.total_limit)
    }

    /// Queues a message; returns the payload bytes of its stream that have not arrived. `routed`: from a DataProducer.
    pub(in crate::sfu) fn send(
        &mut self,
        id: StreamId,
        selector: Option<&Arc<Selector>>,
        message: &Message,
        routed: bool,
    ) -> Result<usize, SendError> {
        if self.state == SctpState::Closed {
            return Err(SendError::Closed);
        }
        if message.payload.is_empty() {
            return Err(SendError::Empty);
        }
        let Self { streams, total, total_limit, stream_limit, ready, replaced, .. } = self;
        let stream = streams.get_mut(&id).ok_or(SendError::Closed)?;
        let overflow = stream.policy().overflow;
        let replaces = routed && matches!(overflow, Overflow::DropOldest | Overflow::KeepLatest);
        if replaces && overflow == Overflow::KeepLatest {
            while stream.replace_oldest(total) {
                *replaced += 1;
            }
        }
        // A queue with a policy accepts a message if none waits in it.
        while (stream.is_full(*stream_limit) || is_full(total, *total_limit))
            && !(routed && stream.governed.is_some() && !stream.has_routed())
        {
            if !replaces || !stream.replace_oldest(total) {
                return Err(SendError::Full);
            }
            *replaced += 1;
        }
        let amount = amount(message, selector.map(AsRef::as_ref));
        stream.shared.backlog.enter(amount);
        total.enter(amount);
        let queued = stream.shared.backlog.payload();
        stream.shared.low.grown_to(queued);
        let message = TunnelMessage {
            message: message.clone(),
            selector: selector.cloned(),
            since: None,
            stream: Arc::clone(&stream.shared),
            total: Arc::clone(total),
            routed,
        };
        stream.push(Box::new(message));
        stream.begin_turn(ready);
        Ok(queued as usize)
    }

    /// Notes that the message last queued on this stream has been retained since `since`.
    pub(in crate::sfu) fn backdate(&mut self, id: StreamId, since: Instant) {
        let latest = self.streams.get_mut(&id).and_then(|it| it.waiting.back_mut());
        if let Some(QueuedItem::Message(latest)) = latest {
            latest.since = Some(since);
        }
    }

    /// Queues a control message behind the messages of its stream, in place of one of its kind that no message has
    /// followed.
    pub(in crate::sfu) fn send_control(&mut self, id: StreamId, payload: Bytes) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let mut last = stream.waiting.iter_mut().rev().map_while(|it| match it {
            QueuedItem::Control(payload) => Some(payload),
            QueuedItem::Message(_) | QueuedItem::Fence(_) => None,
        });
        match last.find(|it| it.first() == payload.first()) {
            Some(same) => **same = payload,
            None => {
                stream.waiting.push_back(QueuedItem::Control(Box::new(payload)));
                stream.begin_turn(&mut self.ready);
            }
        }
    }

    /// Puts up a fence behind the messages of a stream: [`SctpEvent::FencePassed`] reports that the other end has taken
    /// them. Returns false if there is nothing to wait for.
    pub(in crate::sfu) fn fence(&mut self, id: StreamId, fence: u32) -> bool {
        let stream = self.streams.get_mut(&id);
        let Some(stream) = stream.filter(|it| it.shared.backlog.charge() > 0) else { return false };
        stream.waiting.push_back(QueuedItem::Fence(fence));
        stream.begin_turn(&mut self.ready);
        true
    }

    fn pass_fence(&mut self, id: StreamId, fence: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && let Some(place) = stream.fences.iter().position(|it| *it == fence)
        {
            stream.fences.remove(place);
            self.events.push_back(SctpEvent::FencePassed { stream: id, fence });
        }
    }

    /// Closes a stream; what has not left is discarded. The other end is not notified: `pipeToRouter()`
    /// closes both sides.
    pub(in crate::sfu) fn reset_stream(&mut self, id: StreamId) -> MessageTally {
        let mut discarded = MessageTally::default();
        let Some(stream) = self.streams.remove(&id) else { return discarded };
        for waiting in stream.waiting.iter().filter_map(QueuedItem::message) {
            discarded.count(&waiting.message);
            self.total.withdraw(waiting.amount());
        }
        self.stale += stream.ready;
        // So a reset costs no more than the messages of its stream, and no more than half of the entries are stale.
        if self.stale > self.ready.len() / 2 {
            let streams = &self.streams;
            self.ready
                .retain(|(id, number)| streams.get(id).is_some_and(|it| it.number == *number));
            self.stale = 0;
        }
        discarded
    }

    /// Takes what the other end has handed over.
    pub(in crate::sfu) fn handle_frame(&mut self, frame: TunnelFrame) -> Option<Arrival> {
        match frame {
            TunnelFrame::Open if self.state == SctpState::Connecting => {
                self.enter(SctpState::Connected);
                self.control.push_back(TunnelFrame::OpenAck);
            }
            TunnelFrame::OpenAck if self.state == SctpState::Connecting => {
                self.enter(SctpState::Connected);
            }
            // This end is not ready yet. Once it is, it sends an Open of its own, which the other end answers.
            TunnelFrame::Open | TunnelFrame::OpenAck => {}
            TunnelFrame::Message(message) => return Some(self.arrive(*message)),
            TunnelFrame::Control(stream, payload) => {
                let message = Message { ppid: Ppid::DCEP, payload };
                self.events.push_back(SctpEvent::Control { stream, message });
            }
            TunnelFrame::Fence(stream, fence) => {
                self.control.push_back(TunnelFrame::FencePassed(stream, fence));
            }
            TunnelFrame::FencePassed(stream, fence) => self.pass_fence(stream, fence),
            TunnelFrame::Low(stream) => self.low(&stream),
            TunnelFrame::Credit(stream) => self.gain_credit(&stream),
            TunnelFrame::Window(stream) => self.control.push_back(TunnelFrame::Credit(stream)),
            TunnelFrame::Close => self.lose_far_end(),
        }
        None
    }

    fn low(&mut self, stream: &Arc<TunnelStream>) {
        let id = stream.id;
        // The DataConsumer may have closed, and another one may have opened the same stream id.
        if self.streams.get(&id).is_some_and(|it| Arc::ptr_eq(&it.shared, stream)) {
            let amount = self.buffered_amount(id);
            self.events.push_back(SctpEvent::BufferedAmountLow { stream: id, amount });
        }
    }

    /// The shared counters say how much may be handed over now.
    fn gain_credit(&mut self, stream: &Arc<TunnelStream>) {
        if let Some(it) = self.streams.get_mut(&stream.id)
            && Arc::ptr_eq(&it.shared, stream)
        {
            it.begin_turn(&mut self.ready);
        }
    }

    fn lose_far_end(&mut self) {
        self.forget_ready();
        for (id, stream) in self.streams.drain() {
            if let Some(governed) = &stream.governed {
                self.last.insert(id, governed.last());
            }
            let passed = |fence| SctpEvent::FencePassed { stream: id, fence };
            self.events.extend(stream.fences.iter().copied().map(passed));
            for waiting in &stream.waiting {
                match waiting {
                    QueuedItem::Message(unsent) => self.unsent.count(&unsent.message),
                    QueuedItem::Fence(fence) => self.events.push_back(passed(*fence)),
                    QueuedItem::Control(_) => {}
                }
            }
            // The other end will not count what was handed over as arrived.
            stream.shared.backlog.publish(0);
        }
        self.total.withdraw(self.total.amount());
        self.enter(SctpState::Closed);
    }

    fn arrive(&mut self, arrived: TunnelMessage) -> Arrival {
        let amount = arrived.amount();
        let TunnelMessage { message, selector, since, stream, total, .. } = arrived;
        stream.backlog.leave(amount);
        total.leave(amount);
        let window = stream.window.load(Ordering::Relaxed);
        if window > 0 {
            let taken = stream.taken.load(Ordering::Relaxed) + amount.charge as u64;
            let due = taken > window / 2;
            stream.taken.store(if due { 0 } else { taken }, Ordering::Relaxed);
            if due || stream.backlog.charge() == 0 {
                self.control.push_back(TunnelFrame::Credit(Arc::clone(&stream)));
            }
        }
        if stream.low.shrunk_to(stream.backlog.payload()) {
            self.control.push_back(TunnelFrame::Low(Arc::clone(&stream)));
        }
        Arrival { stream: stream.id, message, selector, since }
    }

    /// Closes this end. The frame goes out even if the other end has closed before: it also lets the runtime
    /// forget the other end.
    pub(in crate::sfu) fn close(&mut self) {
        self.state = SctpState::Closed;
        self.streams.clear();
        self.forget_ready();
        self.events.clear();
        self.control.push_back(TunnelFrame::Close);
    }

    pub(in crate::sfu) fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    pub(in crate::sfu) fn poll_frame(&mut self) -> Option<TunnelFrame> {
        if let Some(frame) = self.control.pop_front() {
            return Some(frame);
        }
        if self.state != SctpState::Connected {
            return None;
        }
        while let Some((id, number)) = self.ready.pop_front() {
            let Some(stream) = self.streams.get_mut(&id).filter(|it| it.number == number) else {
                self.stale = self.stale.saturating_sub(1);
                continue;
            };
            stream.ready -= 1;
            // A stream that waits for credit is put back when that comes.
            if !stream.is_ready() {
                continue;
            }
            let frame = stream.leave();
            if stream.governed.is_some() && stream.is_ready() {
                stream.begin_turn(&mut self.ready);
            }
            return frame;
        }
        None
    }

    fn forget_ready(&mut self) {
        self.ready.clear();
        self.stale = 0;
    }

    fn enter(&mut self, state: SctpState) {
        if self.state != state {
            self.state = state;
            self.events.push_back(SctpEvent::State(state));
        }
    }
}

/// A queue is full once it has reached its limit, not when the next message would exceed it, as in an association.
fn is_full(backlog: &Backlog, limit: u32) -> bool {
    backlog.amount().reaches(limit as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> Tunnel {
        Tunnel::new(500, 300, 100, None)
    }

    fn message(len: usize) -> Message {
        Message::new(Ppid::BINARY, Bytes::from(vec![0; len]))
    }

    /// Carries everything both ways; returns what has arrived at either end.
    fn carry(ends: [&mut Tunnel; 2]) -> Vec<Arrival> {
        let [a, b] = ends;
        let mut arrivals = Vec::new();
        loop {
            let (from_a, from_b) = (a.poll_frame(), b.poll_frame());
            if from_a.is_none() && from_b.is_none() {
                return arrivals;
            }
            arrivals.extend(from_a.and_then(|it| b.handle_frame(it)));
            arrivals.extend(from_b.and_then(|it| a.handle_frame(it)));
        }
    }

    fn events(end: &mut Tunnel) -> Vec<SctpEvent> {
        std::iter::from_fn(|| end.poll_event()).collect()
    }

    fn open(end: &mut Tunnel, stream: StreamId) -> Arc<Backlog> {
        let backlog = Arc::new(Backlog::new(0));
        end.open_stream(stream, Arc::clone(&backlog));
        backlog
    }

    #[test]
    fn both_ends_connect_when_both_are_ready_and_queued_messages_arrive_in_order() {
        let (mut a, mut b) = (tunnel(), tunnel());
        let backlog = open(&mut a, 7);
        a.connect();
        for len in [1, 2, 3] {
            assert!(a.send(7, None, &message(len), true).is_ok());
        }
        assert!(carry([&mut a, &mut b]).is_empty(), "the other end is not ready");
        assert_eq!(backlog.payload(), 6);

        b.connect();
        let arrivals = carry([&mut a, &mut b]);
        let lens: Vec<usize> = arrivals.iter().map(|it| it.message.payload.len()).collect();
        assert_eq!(lens, [1, 2, 3]);
        assert!(arrivals.iter().all(|it| it.stream == 7));
        assert_eq!(backlog.payload(), 0);
        let states = [SctpState::Connecting, SctpState::Connected].map(SctpEvent::State);
        assert_eq!(events(&mut a), states);
        assert_eq!(events(&mut b), states);
    }

    #[test]
    fn a_stream_or_a_tunnel_at_its_limit_is_full_and_emits_when_it_is_low() {
        let (mut a, mut b) = (tunnel(), tunnel());
        a.connect();
        b.connect();
        carry([&mut a, &mut b]);
        events(&mut a);
        events(&mut b);
        open(&mut a, 0);
        open(&mut a, 1);
        assert_eq!(a.send(0, None, &message(299), true), Ok(299));
        assert_eq!(a.send(0, None, &message(100), true), Ok(399), "not full before it");
        assert_eq!(a.send(0, None, &message(1), true), Err(SendError::Full));
        assert_eq!(a.send(1, None, &message(101), true), Ok(101));
        assert_eq!(a.send(1, None, &message(1), true), Err(SendError::Full), "both together");
        carry([&mut a, &mut b]);
        let low = |stream| SctpEvent::BufferedAmountLow { stream, amount: 0 };
        assert_eq!(events(&mut a), [low(0), low(1)]);
        assert_eq!(a.send(1, None, &message(1), true), Ok(1));
        carry([&mut a, &mut b]);
        assert_eq!(events(&mut a), [], "the amount was never above the threshold");
    }

    #[test]
    fn subchannels_count_towards_the_bounds_and_messages_share_their_list() {
        let (mut a, mut b) = (tunnel(), tunnel());
        let backlog = open(&mut a, 0);
        let subchannels = (0..1000).collect();
        let selector = Arc::new(Selector { subchannels, ..Default::default() });
        let message = message(1);
        let accepted =
            (0..1000).take_while(|_| a.send(0, Some(&selector), &message, true).is_ok()).count();
        assert_eq!(accepted, (2 * 300 + 65_536_usize).div_ceil(1 + 64 + 2 * 1000));
        assert_eq!(Arc::strong_count(&selector), 1 + accepted);

        a.connect();
        b.connect();
        assert_eq!(carry([&mut a, &mut b]).len(), accepted);
        assert_eq!((backlog.charge(), a.total.charge()), (0, 0));
    }

    #[test]
    fn a_reset_stream_discards_what_has_not_left() {
        let mut a = tunnel();
        open(&mut a, 0);
        a.connect();
        assert!(a.send(0, None, &message(500), true).is_ok());
        assert_eq!(a.reset_stream(0), MessageTally { messages: 1, bytes: 500 });
        assert_eq!(a.send(0, None, &message(1), true), Err(SendError::Closed));
        open(&mut a, 0);
        assert_eq!(a.send(0, None, &message(1), true), Ok(1), "and gives back its room");
    }

    #[test]
    fn messages_of_other_streams_keep_their_order_when_one_is_reset() {
        for others in [1, 5] {
            let (mut a, mut b) = (tunnel(), tunnel());
            (0..3).for_each(|id| drop(open(&mut a, id)));
            a.connect();
            let send =
                |a: &mut Tunnel, id, len| assert!(a.send(id, None, &message(len), true).is_ok());
            send(&mut a, 1, 10);
            for len in 1..=others {
                send(&mut a, 0, len);
                send(&mut a, 2, 20 + len);
            }
            let bytes = (1..=others as u64).sum();
            let discarded = MessageTally { messages: others as u64, bytes };
            assert_eq!(a.reset_stream(0), discarded);
            open(&mut a, 0);
            send(&mut a, 0, 30);
            b.connect();
            let arrived = carry([&mut a, &mut b]);
            let arrived: Vec<_> =
                arrived.iter().map(|it| (it.stream, it.message.payload.len())).collect();
            let rest = (1..=others).map(|len| (2, 20 + len));
            let expected: Vec<_> = [(1, 10)].into_iter().chain(rest).chain([(0, 30)]).collect();
            assert_eq!(arrived, expected);
            assert_eq!((a.total.charge(), a.ready.len(), a.stale), (0, 0, 0));
        }
    }

    #[test]
    fn a_stream_that_comes_and_goes_leaves_nothing_behind() {
        let mut a = tunnel();
        open(&mut a, 0);
        assert!(a.send(0, None, &message(1), true).is_ok());
        for _ in 0..1000 {
            open(&mut a, 1);
            assert!(a.send(1, None, &message(1), true).is_ok());
            a.reset_stream(1);
            assert!(a.ready.len() <= 3, "{}", a.ready.len());
        }
    }

    #[test]
    fn a_low_frame_does_not_reach_the_next_consumer_of_its_stream() {
        let (mut a, mut b) = (tunnel(), tunnel());
        open(&mut a, 0);
        a.connect();
        b.connect();
        carry([&mut a, &mut b]);
        events(&mut a);
        assert_eq!(a.send(0, None, &message(200), true), Ok(200));
        let frame = a.poll_frame().expect("a message");
        b.handle_frame(frame);
        // `Low` is on its way when the stream gets a new consumer.
        a.reset_stream(0);
        open(&mut a, 0);
        carry([&mut a, &mut b]);
        assert_eq!(events(&mut a), []);
    }

    #[test]
    fn messages_that_had_not_left_when_the_other_end_closed_are_counted_and_not_queued() {
        let (mut a, mut b) = (tunnel(), tunnel());
        let backlog = open(&mut a, 0);
        a.connect();
        b.connect();
        carry([&mut a, &mut b]);
        assert!(a.send(0, None, &message(10), true).is_ok());
        // The message was handed over, but the other end never takes it.
        drop(a.poll_frame());
        assert!(a.send(0, None, &message(100), true).is_ok());
        a.handle_frame(TunnelFrame::Close);
        assert_eq!(a.unsent(), MessageTally { messages: 1, bytes: 100 });
        assert_eq!(backlog.payload(), 0);
        assert_eq!(a.send(0, None, &message(5), true), Err(SendError::Closed));
        a.handle_frame(TunnelFrame::Close);
        assert_eq!(events(&mut a).last(), Some(&SctpEvent::State(SctpState::Closed)));
        assert_eq!(a.unsent(), MessageTally { messages: 1, bytes: 100 }, "once, and no more");
    }

    #[test]
    fn an_end_closes_with_the_other_end() {
        let (mut a, mut b) = (tunnel(), tunnel());
        open(&mut a, 0);
        a.connect();
        b.connect();
        carry([&mut a, &mut b]);
        b.close();
        carry([&mut a, &mut b]);
        assert_eq!(a.state(), SctpState::Closed);
        assert_eq!(a.send(0, None, &message(1), true), Err(SendError::Closed));
        a.close();
        let last = std::iter::from_fn(|| a.poll_frame()).last();
        assert!(matches!(last, Some(TunnelFrame::Close)), "the runtime forgets the way by it");
    }

    /// The frames that this end hands over, controls and messages by their text.
    fn frames(end: &mut Tunnel) -> Vec<(StreamId, String)> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let frames = std::iter::from_fn(|| end.poll_frame());
        let shown = frames.filter_map(|frame| match frame {
            TunnelFrame::Message(it) => Some((it.stream.id, text(&it.message.payload))),
            TunnelFrame::Control(stream, payload) => Some((stream, text(&payload))),
            TunnelFrame::Fence(stream, fence) => Some((stream, format!("fence {fence}"))),
            _ => None,
        });
        shown.collect()
    }

    fn connected() -> [Tunnel; 2] {
        let mut ends = [tunnel(), tunnel()];
        ends.iter_mut().for_each(Tunnel::connect);
        let [a, b] = &mut ends;
        carry([a, b]);
        ends
    }

    #[test]
    fn control_messages_and_fences_keep_their_place_among_the_messages_of_their_stream() {
        for governed in [false, true] {
            let [mut a, _b] = connected();
            for id in [0, 1] {
                open(&mut a, id);
                if governed {
                    a.set_policy(id, QueuePolicy::default());
                }
            }
            let send = |a: &mut Tunnel, text: &'static str| {
                let message = Message::new(Ppid::BINARY, text.into());
                assert!(a.send(0, None, &message, true).is_ok());
            };
            for payload in ["p1", "c", "p2", "p3"] {
                a.send_control(0, payload.into());
                a.send_control(1, "other".into());
            }
            send(&mut a, "1");
            a.send_control(0, "p4".into());
            send(&mut a, "2");
            assert!(a.fence(0, 7) && !a.fence(1, 8));
            send(&mut a, "3");
            a.send_control(7, "no such stream".into());
            a.reset_stream(1);
            let frames = frames(&mut a);
            let order: Vec<_> = frames.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(order, ["p3", "c", "1", "p4", "2", "fence 7", "3"], "governed: {governed}");
            assert!(frames.iter().all(|(stream, _)| *stream == 0));
            a.handle_frame(TunnelFrame::FencePassed(0, 7));
            assert!(events(&mut a).contains(&SctpEvent::FencePassed { stream: 0, fence: 7 }));
        }
    }

    #[test]
    fn another_policy_asks_for_the_credit_that_the_other_end_may_not_have_known_of() {
        let [mut a, mut b] = connected();
        open(&mut a, 0);
        let policy = |bound| QueuePolicy { bound: Some(bound), ..QueuePolicy::default() };
        a.set_policy(0, policy(200));
        for _ in 0..2 {
            assert!(a.send(0, None, &message(100), true).is_ok());
        }
        let first = a.poll_frame().expect("a message");
        assert!(a.poll_frame().is_none());
        a.set_policy(0, policy(10));
        let asks = a.poll_frame().expect("a frame");
        assert!(matches!(asks, TunnelFrame::Window(_)));
        assert!(b.handle_frame(first).is_some());
        drop(b.poll_frame().expect("credit, which would get lost if the other end saw no window"));
        assert!(b.handle_frame(asks).is_none());
        assert!(a.handle_frame(b.poll_frame().expect("credit")).is_none());
        assert!(matches!(a.poll_frame(), Some(TunnelFrame::Message(_))));
        a.set_policy(0, policy(20));
        assert!(a.poll_frame().is_none(), "nothing waits");
    }

    /// In an unoptimized build it takes 0.1 s, and would take a minute if each frame looked at all streams.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "it measures costs")]
    fn a_frame_costs_no_more_the_more_streams_there_are() {
        const STREAMS: StreamId = 10_000;
        let mut a = Tunnel::new(u32::MAX, u32::MAX, 100, None);
        let mut b = tunnel();
        [&mut a, &mut b].into_iter().for_each(Tunnel::connect);
        carry([&mut a, &mut b]);
        let began = Instant::now();
        let policy = QueuePolicy { bound: Some(200), ..QueuePolicy::default() };
        for id in 0..STREAMS {
            open(&mut a, id);
            a.set_policy(id, policy);
            a.send_control(id, "p".into());
            for fence in 0..2 {
                assert!(a.send(id, None, &message(100), true).is_ok());
                a.fence(id, fence);
            }
            // One message leaves; there is no credit for the other one.
            assert_eq!(frames(&mut a).len(), 3);
        }
        for id in 0..STREAMS {
            assert_eq!(a.reset_stream(id), MessageTally { messages: 1, bytes: 100 });
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
