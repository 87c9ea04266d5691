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
    /// The charge that the other end has taken and not given credit for. Only the other end uses it.
    taken: AtomicU64,
}

/// The largest window of a stream with a policy.
const MAX_WINDOW: u64 = 256 * 1024;

/// A stream of this end, and the messages on it that wait.
#[derive(Debug)]
struct OpenStream {
    shared: Arc<TunnelStream>,
    /// Unique among all streams that the tunnel ever had.
    number: u64,
    waiting: VecDeque<Box<TunnelMessage>>,
    /// The charge of these.
    charge: u64,
    /// Present once the stream has got a policy.
    governed: Option<Box<Governed>>,
    /// Whether the messages wait until the stream is restarted. Only a stream with a policy is stopped.
    stopped: bool,
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
        self.waiting.push_back(message);
    }

    fn pop(&mut self, place: usize) -> Option<Box<TunnelMessage>> {
        let message = self.waiting.remove(place)?;
        self.charge = self.charge.saturating_sub(message.amount().charge as u64);
        if let Some(governed) = &mut self.governed
            && message.routed
        {
            governed.leave(message.len());
        }
        Some(message)
    }

    /// Drops the oldest routed message that waits here, and subtracts it from `total`. Returns whether there was one.
    fn replace_oldest(&mut self, total: &Backlog) -> bool {
        let Some(place) = self.waiting.iter().position(|it| it.routed) else { return false };
        let Some(oldest) = self.pop(place) else { return false };
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
    /// For each message that waits until both ends are ready, in order: the id and number of its stream. Entries of
    /// streams that were reset stay for a while.
    order: VecDeque<(StreamId, u64)>,
    /// How many of these are of streams that were reset.
    stale: usize,
    /// The streams with a policy.
    governed: Vec<StreamId>,
    /// How many messages newer ones have replaced, on all streams.
    replaced: u64,
    /// The tallies of streams with a policy, as they were when the other end closed.
    last: FxHashMap<StreamId, QueueTally>,
    /// The latest control message of each stream and kind. They are sent after the messages.
    stream_controls: VecDeque<(StreamId, Bytes)>,
    /// Fences to send behind the messages.
    fences: VecDeque<(StreamId, u32)>,
    /// Fences that the other end has yet to answer.
    fences_sent: Vec<(StreamId, u32)>,
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
            order: VecDeque::new(),
            stale: 0,
            governed: Vec::new(),
            replaced: 0,
            last: FxHashMap::default(),
            stream_controls: VecDeque::new(),
            fences: VecDeque::new(),
            fences_sent: Vec::new(),
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
            governed: None,
            stopped: false,
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
        if let Some(governed) = &mut stream.governed {
            governed.policy = policy;
            return;
        }
        let waiting = stream.waiting.iter().filter(|it| it.routed);
        stream.governed = Some(Box::new(Governed::new(policy, waiting.map(|it| it.len()))));
        self.governed.push(id);
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
        let Self { streams, total, total_limit, stream_limit, order, replaced, .. } = self;
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
        if stream.governed.is_none() {
            order.push_back((id, stream.number));
        }
        let message = TunnelMessage {
            message: message.clone(),
            selector: selector.cloned(),
            since: None,
            stream: Arc::clone(&stream.shared),
            total: Arc::clone(total),
            routed,
        };
        stream.push(Box::new(message));
        Ok(queued as usize)
    }

    /// Notes that the message last queued on this stream has been retained since `since`.
    pub(in crate::sfu) fn backdate(&mut self, id: StreamId, since: Instant) {
        if let Some(latest) = self.streams.get_mut(&id).and_then(|it| it.waiting.back_mut()) {
            latest.since = Some(since);
        }
    }

    /// Queues a control message behind all messages. It replaces one of the same kind and stream that has not left.
    pub(in crate::sfu) fn send_control(&mut self, id: StreamId, payload: Bytes) {
        let kind = payload.first();
        self.stream_controls.retain(|(stream, it)| *stream != id || it.first() != kind);
        if self.streams.contains_key(&id) {
            self.stream_controls.push_back((id, payload));
        }
    }

    /// Sets a fence behind the messages of a stream. [`SctpEvent::FencePassed`] follows once the other end has taken
    /// them. Returns false if there is nothing to wait for.
    pub(in crate::sfu) fn fence(&mut self, id: StreamId, fence: u32) -> bool {
        let waits = self.streams.get(&id).is_some_and(|it| it.shared.backlog.charge() > 0);
        if waits {
            self.fences.push_back((id, fence));
        }
        waits
    }

    fn pass_fence(&mut self, passed: (StreamId, u32)) {
        if let Some(index) = self.fences_sent.iter().position(|it| *it == passed) {
            self.fences_sent.swap_remove(index);
            self.events.push_back(fence_passed(passed));
        }
    }

    /// Closes a stream; what has not left is discarded. The other end is not notified: `pipeToRouter()`
    /// closes both sides.
    pub(in crate::sfu) fn reset_stream(&mut self, id: StreamId) -> MessageTally {
        let mut discarded = MessageTally::default();
        let Some(stream) = self.streams.remove(&id) else { return discarded };
        self.stream_controls.retain(|(stream, _)| *stream != id);
        self.fences.retain(|(stream, _)| *stream != id);
        self.fences_sent.retain(|(stream, _)| *stream != id);
        for waiting in &stream.waiting {
            discarded.count(&waiting.message);
            self.total.withdraw(waiting.amount());
        }
        self.governed.retain(|it| *it != id);
        self.stale += stream.waiting.len();
        // So a reset costs no more than the messages of its stream, and at most half of the entries are outdated.
        if self.stale > self.order.len() / 2 {
            let streams = &self.streams;
            self.order
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
            // This end is not ready yet; its own Open will be answered.
            TunnelFrame::Open | TunnelFrame::OpenAck => {}
            TunnelFrame::Message(message) => return Some(self.arrive(*message)),
            TunnelFrame::Control(stream, payload) => {
                let message = Message { ppid: Ppid::DCEP, payload };
                self.events.push_back(SctpEvent::Control { stream, message });
            }
            TunnelFrame::Fence(stream, fence) => {
                self.control.push_back(TunnelFrame::FencePassed(stream, fence));
            }
            TunnelFrame::FencePassed(stream, fence) => self.pass_fence((stream, fence)),
            TunnelFrame::Low(stream) => self.low(&stream),
            // The shared counters say how much may be handed over now.
            TunnelFrame::Credit(_) => {}
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

    fn lose_far_end(&mut self) {
        self.forget_order();
        self.stream_controls.clear();
        self.governed.clear();
        for (id, stream) in self.streams.drain() {
            if let Some(governed) = &stream.governed {
                self.last.insert(id, governed.last());
            }
            stream.waiting.iter().for_each(|unsent| self.unsent.count(&unsent.message));
            // The other end will not count what was handed over as arrived.
            stream.shared.backlog.publish(0);
        }
        self.total.withdraw(self.total.amount());
        let fences = self.fences_sent.drain(..).chain(self.fences.drain(..));
        self.events.extend(fences.map(fence_passed));
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
        self.forget_order();
        self.stream_controls.clear();
        self.fences.clear();
        self.fences_sent.clear();
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
        let message = self.next_message().or_else(|| self.next_governed());
        let message = message.map(TunnelFrame::Message);
        // Fences and control messages follow the messages of their stream.
        let waits = |streams: &FxHashMap<StreamId, OpenStream>, id: StreamId| {
            streams.get(&id).is_some_and(|it| !it.waiting.is_empty())
        };
        let message = message.or_else(|| {
            let mut controls = self.stream_controls.iter();
            let place = controls.position(|(id, _)| !waits(&self.streams, *id))?;
            let (stream, payload) = self.stream_controls.remove(place)?;
            Some(TunnelFrame::Control(stream, payload))
        });
        message.or_else(|| {
            let place = self.fences.iter().position(|(id, _)| !waits(&self.streams, *id))?;
            let (stream, fence) = self.fences.remove(place)?;
            self.fences_sent.push((stream, fence));
            Some(TunnelFrame::Fence(stream, fence))
        })
    }

    /// The next message of a stream with a policy, as far as there is credit.
    fn next_governed(&mut self) -> Option<Box<TunnelMessage>> {
        let streams = &mut self.streams;
        self.governed.iter().find_map(|id| {
            let stream = streams.get_mut(id)?;
            if stream.has_credit() { stream.pop(0) } else { None }
        })
    }

    fn next_message(&mut self) -> Option<Box<TunnelMessage>> {
        loop {
            let (id, number) = self.order.pop_front()?;
            match self.streams.get_mut(&id).filter(|it| it.number == number) {
                // A policy set later may have dropped the message.
                Some(stream) => {
                    if let Some(message) = stream.pop(0) {
                        return Some(message);
                    }
                }
                None => self.stale = self.stale.saturating_sub(1),
            }
        }
    }

    fn forget_order(&mut self) {
        self.order.clear();
        self.stale = 0;
    }

    fn enter(&mut self, state: SctpState) {
        if self.state != state {
            self.state = state;
            self.events.push_back(SctpEvent::State(state));
        }
    }
}

fn fence_passed((stream, fence): (StreamId, u32)) -> SctpEvent {
    SctpEvent::FencePassed { stream, fence }
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
            assert_eq!((a.total.charge(), a.order.len(), a.stale), (0, 0, 0));
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
            assert!(a.order.len() <= 3, "{}", a.order.len());
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

    #[test]
    fn the_latest_control_message_of_each_kind_follows_the_messages_of_its_stream() {
        let (mut a, mut b) = (tunnel(), tunnel());
        open(&mut a, 0);
        open(&mut a, 1);
        a.connect();
        for payload in ["p1", "c", "p2", "p3"] {
            a.send_control(0, payload.into());
            a.send_control(1, "other".into());
        }
        assert!(a.send(0, None, &message(10), true).is_ok());
        a.send_control(7, "no such stream".into());
        a.reset_stream(1);
        b.connect();
        assert_eq!(carry([&mut a, &mut b]).len(), 1);
        let control = |payload: &'static str| {
            let message = Message { ppid: Ppid::DCEP, payload: payload.into() };
            SctpEvent::Control { stream: 0, message }
        };
        assert_eq!(events(&mut b)[2..], [control("c"), control("p3")]);
        a.send_control(0, "p4".into());
        carry([&mut a, &mut b]);
        assert_eq!(events(&mut b), [control("p4")]);
    }
}
