//! The send queues: one per outgoing stream, served in turns.
//!
//! Messages that have left a queue are sent in that order, so they wait here until `control/flight` admits the next
//! one. Each stream has a bound, and no stream waits for the backlog of another.
//!
//! ```text
//! send ─► per-stream queue ─┐
//! send ─► per-stream queue ─┼─ deficit round robin ─► association
//! send ─► per-stream queue ─┘
//! ```
//!
//! Turns are counted in bytes (deficit round robin, Shreedhar and Varghese 1995): a stream that has
//! just sent 256 KiB lets the others catch up before it sends again. While a large message waits for
//! admittance, others may pass it with as many bytes in all as it has; then they wait for it.
//!
//! A stream may have a [`QueuePolicy`]. It applies to routed messages only, not to messages of `dataConsumer.send()`
//! between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::control::Admittance;
use super::counters::MessageTally;
use crate::proto::message::{Amount, Limit, Message, Ppid, Reliability, StreamId, charge};
use crate::proto::overflow::{Governed, Overflow, QueueDrops, QueuePolicy, QueueTally};
use crate::proto::sampler::Sampler;

/// What a stream may send per turn, in charged bytes: seven full packets, so that small messages
/// still share packets, and a sixteenth of the smallest flight.
const QUANTUM: isize = 8 * 1024;

/// A lifetime is at least this long, and a message with less of it left counts as expired, as it would be given up
/// before any part could be retransmitted.
const TICK: Duration = Duration::from_millis(1);

/// How many of these delays are kept for [`SendQueues::take_delays`].
const MAX_DELAYS: usize = 256;

/// The bounds of the queues, in payload bytes; see [`Amount::reaches`].
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueBounds {
    /// All streams together.
    pub(super) total: usize,
    /// Each stream.
    pub(super) per_stream: usize,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushError {
    Full,
    UnknownStream,
}

/// Where a queued message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A DataProducer.
    Routed,
    /// `dataConsumer.send()`.
    Direct,
    /// This library. The message has no lifetime and is not counted.
    Control,
}

#[derive(Debug)]
struct QueuedMessage {
    /// When it was queued. `None` for a control message.
    at: Option<Instant>,
    payload: Bytes,
    ppid: Ppid,
    origin: Origin,
}

impl QueuedMessage {
    fn new(at: Option<Instant>, Message { ppid, payload }: Message, origin: Origin) -> Self {
        Self { at, payload, ppid, origin }
    }

    fn is_control(&self) -> bool {
        self.origin == Origin::Control
    }

    fn is_routed(&self) -> bool {
        self.origin == Origin::Routed
    }

    fn amount(&self) -> Amount {
        Amount::of(self.payload.len())
    }

    fn tally(&self) -> MessageTally {
        MessageTally::one(self.payload.len())
    }

    fn into_message(self) -> Message {
        Message { ppid: self.ppid, payload: self.payload }
    }
}

#[derive(Debug)]
struct StreamQueue {
    reliability: Reliability,
    messages: VecDeque<QueuedMessage>,
    amount: Amount,
    low_threshold: usize,
    /// Charged bytes that this turn still allows; below zero after a large message.
    deficit: isize,
    /// The value of [`SendQueues::period`] that `deficit` belongs to; an older deficit is cleared.
    period: u32,
    in_ring: bool,
    /// Whether the scheduler skips this stream until it is started again.
    stopped: bool,
    /// Whether the peer has reset the stream or does not take it: nothing goes in or out until it is removed.
    dead: bool,
    /// Whether the stream has been closed: it is removed once its last control message has left.
    ended: bool,
    /// Present once the stream has got a policy.
    governed: Option<Box<Governed>>,
}

impl StreamQueue {
    /// When the lifetime of a message ends.
    fn deadline(&self, message: &QueuedMessage) -> Option<Instant> {
        match self.reliability.limit {
            Some(Limit::LifetimeMs(ms)) => {
                Some(message.at? + Duration::from_millis(ms.into()).max(TICK))
            }
            _ => None,
        }
    }

    fn reliability(&self, message: &QueuedMessage) -> Reliability {
        if message.is_control() { Reliability::RELIABLE } else { self.reliability }
    }

    /// Counts the messages that wait.
    fn count(&self, tally: &mut MessageTally) {
        let counted = self.messages.iter().filter(|it| !it.is_control());
        counted.for_each(|queued| tally.add(queued.tally()));
    }

    /// Whether the message at the head, if any, may be sent.
    fn has_turns(&self) -> bool {
        match self.messages.front() {
            Some(head) => !self.stopped || head.is_control(),
            None => false,
        }
    }

    fn overflow(&self) -> Overflow {
        self.governed.as_ref().map_or(Overflow::DropNewest, |it| it.policy.overflow)
    }

    /// Whether the stream's own bound is reached.
    fn is_full(&self, per_stream: usize) -> bool {
        match self.governed.as_ref().and_then(|it| it.policy.bound) {
            Some(bound) => self.amount.charge >= bound,
            None => self.amount.reaches(per_stream),
        }
    }

    /// Whether the message at the head has waited longer than it may.
    fn is_stale(&self, now: Instant, head: &QueuedMessage) -> bool {
        let governed = self.governed.as_ref().zip(head.at);
        governed.is_some_and(|(it, at)| head.is_routed() && it.is_stale(now, at))
    }

    /// Notes that the stream is in the ring, if it has turns. Returns whether the caller has to add it. `period` counts
    /// how often the ring ran empty.
    fn begins_turns(&mut self, period: u32) -> bool {
        let begins = !self.in_ring && self.has_turns();
        if begins {
            self.in_ring = true;
            if self.period != period || self.deficit > 0 {
                self.deficit = 0;
                self.period = period;
            }
        }
        begins
    }

    /// Notes that a message leaves the queue.
    fn uncount(&mut self, message: &QueuedMessage) {
        self.amount -= message.amount();
        if let Some(governed) = &mut self.governed
            && message.is_routed()
        {
            governed.leave(message.payload.len());
        }
    }
}

/// A large message at the head of its stream that waits for admittance.
#[derive(Debug, Clone, Copy)]
struct BlockedHead {
    stream: StreamId,
    /// The charged bytes of other streams that may still be sent before the message.
    patience: usize,
}

/// The next message to send.
#[derive(Debug)]
pub(super) struct ScheduledMessage {
    pub(super) stream: StreamId,
    pub(super) message: Message,
    pub(super) reliability: Reliability,
    /// The time at which the message's lifetime ends: in [`TICK`] at the earliest.
    pub(super) deadline: Option<Instant>,
    /// Whether it is the last message of a closed stream.
    pub(super) is_last: bool,
}

/// All send queues of an association.
#[derive(Debug)]
pub(super) struct SendQueues {
    bounds: QueueBounds,
    default_low_threshold: usize,
    streams: FxHashMap<StreamId, StreamQueue>,
    /// The streams with messages that are not stopped, in the order of their turns.
    ring: VecDeque<StreamId>,
    /// Counts how often the ring ran empty.
    period: u32,
    amount: Amount,
    /// The part that belongs to stopped streams.
    stopped: Amount,
    blocked: Option<BlockedHead>,
    /// The sending rate in bytes per second, if there was more to send.
    pace: Option<u64>,
    /// Streams whose queued bytes have fallen to their threshold or below, and these bytes.
    low: Vec<(StreamId, usize)>,
    /// Whether messages have been queued since the last [`Self::trim`].
    untrimmed: bool,
    /// The tallies of streams with a policy, as they were when all streams were removed.
    last: FxHashMap<StreamId, QueueTally>,
    /// What the policies of all streams have dropped.
    dropped: QueueDrops,
    /// Chooses the messages whose delays are measured.
    sampler: Sampler,
    delays: Vec<Duration>,
}

impl SendQueues {
    pub(super) fn new(bounds: QueueBounds, default_low_threshold: usize) -> Self {
        Self {
            bounds,
            default_low_threshold,
            streams: FxHashMap::default(),
            ring: VecDeque::new(),
            period: 0,
            amount: Amount::default(),
            stopped: Amount::default(),
            blocked: None,
            pace: None,
            low: Vec::new(),
            untrimmed: false,
            last: FxHashMap::default(),
            dropped: QueueDrops::default(),
            sampler: Sampler::default(),
            delays: Vec::new(),
        }
    }

    /// Opens `stream`, or changes the reliability of its messages from now on.
    pub(super) fn open(&mut self, stream: StreamId, reliability: Reliability) {
        self.streams
            .entry(stream)
            .and_modify(|queue| queue.reliability = reliability)
            .or_insert_with(|| StreamQueue {
                reliability,
                messages: VecDeque::new(),
                amount: Amount::default(),
                low_threshold: self.default_low_threshold,
                deficit: 0,
                period: self.period,
                in_ring: false,
                stopped: false,
                dead: false,
                ended: false,
                governed: None,
            });
    }

    /// Changes how the messages of `stream` are sent from now on.
    pub(super) fn set_reliability(&mut self, stream: StreamId, reliability: Reliability) {
        if let Some(queue) = self.streams.get_mut(&stream) {
            queue.reliability = reliability;
        }
    }

    /// Sets the policy for messages that are routed to `stream`.
    pub(super) fn set_policy(&mut self, stream: StreamId, policy: QueuePolicy) {
        let Some(queue) = self.streams.get_mut(&stream) else { return };
        match &mut queue.governed {
            Some(governed) => governed.policy = policy,
            None => {
                let waiting = queue.messages.iter().filter(|it| it.is_routed());
                let governed = Governed::new(policy, waiting.map(|it| it.payload.len()));
                queue.governed = Some(Box::new(governed));
            }
        }
    }

    /// What happened to the messages that were routed to `stream`. All zero for a stream without a policy.
    pub(super) fn tally(&self, stream: StreamId) -> QueueTally {
        match self.streams.get(&stream) {
            Some(queue) => queue.governed.as_ref().map_or(QueueTally::default(), |it| it.tally),
            None => self.last.get(&stream).copied().unwrap_or_default(),
        }
    }

    pub(super) fn contains(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Whether the peer has reset `stream`, which is yet to be removed.
    pub(super) fn is_dead(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|queue| queue.dead)
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.streams.keys().copied()
    }

    /// Whether there is no message to send.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Payload bytes of all streams.
    pub(super) fn queued_bytes(&self) -> usize {
        self.amount.payload
    }

    /// The charge of all streams.
    pub(super) fn charge(&self) -> usize {
        self.amount.charge
    }

    /// Payload bytes of `stream`; 0 for an unknown one.
    pub(super) fn buffered_amount(&self, stream: StreamId) -> usize {
        self.streams.get(&stream).map_or(0, |queue| queue.amount.payload)
    }

    /// Whether no message of `stream` waits.
    pub(super) fn is_drained(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_none_or(|queue| queue.messages.is_empty())
    }

    /// Whether a message of `stream` waits that was queued at this time or before. Usually the first message decides.
    pub(super) fn has_older(&self, stream: StreamId, time: Instant) -> bool {
        let queue = self.streams.get(&stream);
        queue.is_some_and(|it| it.messages.iter().any(|it| it.at.is_some_and(|at| at <= time)))
    }

    pub(super) fn set_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        if let Some(queue) = self.streams.get_mut(&stream) {
            queue.low_threshold = threshold;
        }
    }

    /// Queues a message. Returns the stream's payload bytes, its own included. If the queue is full,
    /// expired messages are dropped first, and counted in `expired`; then the stream's policy decides.
    pub(super) fn push(
        &mut self,
        now: Instant,
        stream: StreamId,
        message: Message,
        origin: Origin,
        expired: &mut MessageTally,
    ) -> Result<usize, PushError> {
        let is_total_full = self.is_total_full();
        let mut queue = match self.streams.get_mut(&stream) {
            Some(queue) if !queue.dead && !queue.ended => queue,
            _ => return Err(PushError::UnknownStream),
        };
        let before = queue.amount.payload;
        let has_policy = queue.governed.is_some() && origin == Origin::Routed;
        if has_policy || is_total_full || queue.is_full(self.bounds.per_stream) {
            let has_room = match has_policy {
                true => self.make_room(now, stream, expired),
                false => {
                    self.expire_heads(now, stream, expired);
                    !self.is_full(stream)
                }
            };
            match self.streams.get_mut(&stream) {
                Some(same) if has_room => queue = same,
                _ => return Err(PushError::Full),
            }
        }
        self.amount += message.amount();
        queue.amount += message.amount();
        if queue.stopped {
            self.stopped += message.amount();
        }
        if has_policy && let Some(governed) = &mut queue.governed {
            governed.enter(message.payload.len());
        }
        let amount = queue.amount.payload;
        // Smaller messages may have replaced larger ones.
        if before > queue.low_threshold && amount <= queue.low_threshold {
            self.low.push((stream, amount));
        }
        self.untrimmed = true;
        queue.messages.push_back(QueuedMessage::new(Some(now), message, origin));
        if queue.begins_turns(self.period) {
            self.ring.push_back(stream);
        }
        Ok(amount)
    }

    /// Makes room for one more routed message, as the policy of `stream` says. Returns whether there is room. A queue
    /// without routed messages accepts one even if other streams have filled the association's queue.
    fn make_room(&mut self, now: Instant, stream: StreamId, expired: &mut MessageTally) -> bool {
        let overflow =
            self.streams.get(&stream).map_or(Overflow::DropNewest, StreamQueue::overflow);
        if overflow == Overflow::KeepLatest {
            while self.replace_oldest(stream) {}
            return true;
        }
        if self.is_full(stream) {
            self.expire_heads(now, stream, expired);
        }
        while self.is_full(stream) && self.tally(stream).waiting.messages > 0 {
            if overflow != Overflow::DropOldest || !self.replace_oldest(stream) {
                return false;
            }
        }
        true
    }

    /// Drops the oldest routed message of `stream`, if there is one.
    fn replace_oldest(&mut self, stream: StreamId) -> bool {
        let Some(queue) = self.streams.get_mut(&stream) else { return false };
        let Some(place) = queue.messages.iter().position(QueuedMessage::is_routed) else {
            return false;
        };
        let Some(oldest) = queue.messages.remove(place) else { return false };
        queue.uncount(&oldest);
        self.amount -= oldest.amount();
        if queue.stopped {
            self.stopped -= oldest.amount();
        }
        if let Some(governed) = &mut queue.governed {
            governed.replace(oldest.payload.len());
            self.dropped.replaced += 1;
        }
        if place == 0 {
            self.blocked.take_if(|blocked| blocked.stream == stream);
        }
        true
    }

    /// Whether `stream` is full and holds a routed message. A queue without one accepts one.
    pub(super) fn is_shut(&self, stream: StreamId) -> bool {
        self.is_full(stream) && self.tally(stream).waiting.messages > 0
    }

    /// Whether at most half of the bound of `stream` is in use, and there is room in the association's queue.
    pub(super) fn is_relieved(&self, stream: StreamId) -> bool {
        let Some(queue) = self.streams.get(&stream) else { return true };
        let half = match queue.governed.as_ref().and_then(|it| it.policy.bound) {
            Some(bound) => queue.amount.charge <= bound / 2,
            None => !queue.amount.reaches(self.bounds.per_stream / 2 + 1),
        };
        half && !self.is_total_full()
    }

    /// Queues a control message behind the messages of its stream. It is delivered in order and reliably, and is
    /// neither bounded nor counted. It replaces a control message of the same kind (the first byte) if no message has
    /// been queued since, so at most one of each kind follows a message.
    pub(super) fn push_control(&mut self, stream: StreamId, message: Message) {
        let Some(queue) = self.streams.get_mut(&stream) else { return };
        if queue.dead || queue.ended {
            return;
        }
        let message = QueuedMessage::new(None, message, Origin::Control);
        let kind = message.payload.first();
        let mut last = queue.messages.iter_mut().rev().take_while(|it| it.is_control());
        match last.find(|it| it.payload.first() == kind) {
            Some(same) => *same = message,
            None => {
                self.untrimmed = true;
                queue.messages.push_back(message);
            }
        }
        if queue.begins_turns(self.period) {
            self.ring.push_back(stream);
        }
    }

    /// Removes the messages of `stream`, and queues a last control message. The stream counts as open until that
    /// message has left.
    pub(super) fn end(&mut self, stream: StreamId, last: Message) -> MessageTally {
        let Some(StreamQueue { reliability, .. }) = self.streams.get(&stream) else {
            return MessageTally::default();
        };
        let reliability = *reliability;
        let discarded = self.remove(stream);
        self.open(stream, reliability);
        self.push_control(stream, last);
        if let Some(queue) = self.streams.get_mut(&stream) {
            queue.ended = true;
        }
        discarded
    }

    fn is_full(&self, stream: StreamId) -> bool {
        let own = self.streams.get(&stream).map(|queue| queue.is_full(self.bounds.per_stream));
        own.unwrap_or(false) || self.is_total_full()
    }

    /// Whether the bound of all streams together is reached. Stopped streams have only their own bounds, so that they
    /// do not take the room of others.
    fn is_total_full(&self) -> bool {
        let mut amount = self.amount;
        amount -= self.stopped;
        amount.reaches(self.bounds.total)
    }

    /// Takes the message whose turn it is, if `admits` allows its payload length. `holds`: whether the association
    /// still holds a message of a stream. On a stream that keeps only its latest message, the next one waits until the
    /// association holds none; the end of an unordered stream waits likewise.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        expired: &mut MessageTally,
        mut admits: impl FnMut(usize) -> Admittance,
        holds: impl Fn(StreamId) -> bool,
    ) -> Option<ScheduledMessage> {
        // How many streams in a row have a message that is not admitted now.
        let mut too_large = 0;
        while too_large < self.ring.len() {
            let stream = *self.ring.front()?;
            self.expire_heads(now, stream, expired);
            let Some(queue) = self.streams.get_mut(&stream) else {
                self.ring.pop_front();
                continue;
            };
            let Some(head) = queue.messages.front().filter(|_| queue.has_turns()) else {
                self.leave_ring();
                continue;
            };
            // Retransmissions on an unordered stream could arrive after its end.
            let waits = match queue.ended {
                true => !queue.reliability.ordered,
                false => {
                    queue.governed.is_some()
                        && queue.overflow() == Overflow::KeepLatest
                        && head.is_routed()
                }
            };
            if waits && holds(stream) {
                too_large += 1;
                self.ring.rotate_left(1);
                continue;
            }
            if queue.deficit <= 0 {
                queue.deficit += QUANTUM;
                self.ring.rotate_left(1);
                too_large = 0;
                continue;
            }
            let len = head.payload.len();
            match self.blocked {
                Some(BlockedHead { stream: first, patience: 0 }) if first != stream => {
                    too_large += 1;
                    self.ring.rotate_left(1);
                    continue;
                }
                _ => {}
            }
            match admits(len) {
                Admittance::Now => return self.take_head(now, stream),
                Admittance::Full => return None,
                Admittance::OnlySmaller => {
                    let patience = charge(len);
                    self.blocked.get_or_insert(BlockedHead { stream, patience });
                    too_large += 1;
                    self.ring.rotate_left(1);
                }
            }
        }
        None
    }

    /// Takes the message at the head of `stream`, which is at the front of the ring.
    fn take_head(&mut self, now: Instant, stream: StreamId) -> Option<ScheduledMessage> {
        let queue = self.streams.get_mut(&stream)?;
        let head = queue.messages.pop_front()?;
        let Amount { charge, .. } = head.amount();
        queue.deficit -= charge as isize;
        let reliability = queue.reliability(&head);
        let deadline = queue.deadline(&head);
        let is_empty = queue.messages.is_empty();
        let is_last = queue.ended && is_empty;
        match &mut self.blocked {
            Some(blocked) if blocked.stream == stream => self.blocked = None,
            Some(blocked) => blocked.patience = blocked.patience.saturating_sub(charge),
            None => {}
        }
        if let Some(at) = head.at {
            self.account_removed(stream, &head);
            if self.sampler.hits() && self.delays.len() < MAX_DELAYS {
                self.delays.push(now.saturating_duration_since(at));
            }
        }
        if is_empty {
            self.leave_ring();
        }
        if is_last {
            self.streams.remove(&stream);
        }
        let message = head.into_message();
        Some(ScheduledMessage { stream, message, reliability, deadline, is_last })
    }

    /// Whether [`Self::take_delays`] has some.
    pub(super) fn has_delays(&self) -> bool {
        !self.delays.is_empty()
    }

    /// The delays of one in 64 of the messages that have left since the last call.
    pub(super) fn take_delays(&mut self, take: impl FnMut(Duration)) {
        self.delays.drain(..).for_each(take);
    }

    /// What policies have dropped.
    pub(super) fn dropped(&self) -> QueueDrops {
        self.dropped
    }

    /// Releases the memory of past messages, unless one is queued.
    pub(super) fn trim(&mut self) {
        if self.is_empty() && std::mem::take(&mut self.untrimmed) {
            let empty = self.streams.values_mut().filter(|queue| queue.messages.is_empty());
            empty.for_each(|queue| queue.messages = VecDeque::new());
            self.ring = VecDeque::new();
            self.low = Vec::new();
            // Keeping room for a few costs less than allocating for each.
            self.delays.shrink_to(4);
        }
    }

    /// A stream whose buffered amount has fallen to its threshold or below, and that amount.
    pub(super) fn poll_low(&mut self) -> Option<(StreamId, usize)> {
        self.low.pop()
    }

    /// Stops or restarts `stream`. While it is stopped its messages wait, except for a control message at the head.
    pub(super) fn set_stopped(&mut self, stream: StreamId, stopped: bool) {
        let Some(queue) = self.streams.get_mut(&stream).filter(|queue| !queue.dead) else { return };
        if std::mem::replace(&mut queue.stopped, stopped) != stopped {
            match stopped {
                true => self.stopped += queue.amount,
                false => self.stopped -= queue.amount,
            }
        }
        if queue.begins_turns(self.period) {
            self.ring.push_back(stream);
        } else if queue.in_ring && !queue.has_turns() {
            queue.in_ring = false;
            self.ring.retain(|id| *id != stream);
            self.blocked.take_if(|blocked| blocked.stream == stream);
        }
    }

    /// Ends `stream`, but keeps its messages so that they are counted when it is removed.
    pub(super) fn kill(&mut self, stream: StreamId) {
        self.blocked.take_if(|blocked| blocked.stream == stream);
        if let Some(queue) = self.streams.get_mut(&stream) {
            queue.dead = true;
            queue.in_ring = false;
            self.ring.retain(|id| *id != stream);
        }
    }

    /// Ends all streams from `limit` on, like [`Self::kill`].
    pub(super) fn kill_beyond(&mut self, limit: StreamId) {
        self.blocked.take_if(|blocked| blocked.stream >= limit);
        self.ring.retain(|id| *id < limit);
        for (_, queue) in self.streams.iter_mut().filter(|(id, _)| **id >= limit) {
            queue.dead = true;
            queue.in_ring = false;
        }
    }

    /// Removes `stream` and its messages.
    pub(super) fn remove(&mut self, stream: StreamId) -> MessageTally {
        let mut discarded = MessageTally::default();
        self.blocked.take_if(|blocked| blocked.stream == stream);
        if let Some(queue) = self.streams.remove(&stream) {
            queue.count(&mut discarded);
            self.amount -= queue.amount;
            if queue.stopped {
                self.stopped -= queue.amount;
            }
            if queue.in_ring {
                self.ring.retain(|id| *id != stream);
            }
            self.low.retain(|(id, _)| *id != stream);
        }
        discarded
    }

    /// Removes all streams and messages.
    pub(super) fn clear(&mut self) -> MessageTally {
        let mut discarded = MessageTally::default();
        self.streams.values().for_each(|queue| queue.count(&mut discarded));
        let governed =
            self.streams.iter().filter_map(|(id, it)| Some((*id, it.governed.as_ref()?)));
        let last = governed.map(|(id, it)| (id, it.last())).collect();
        let (delays, dropped) = (std::mem::take(&mut self.delays), self.dropped);
        let empty = Self::new(self.bounds, self.default_low_threshold);
        *self = Self { last, delays, dropped, ..empty };
        discarded
    }

    /// Sets the sending rate in bytes per second, if there is more to send.
    pub(super) fn set_pace(&mut self, pace: Option<u64>) {
        self.pace = pace;
    }

    /// Drops messages at the head of `stream` that have expired (RFC 3758 §3.5), that would expire before they are sent
    /// whole at the present rate, or that have waited too long. Otherwise each message of an overlong queue would begin
    /// just before its lifetime ends, and none would arrive whole.
    fn expire_heads(&mut self, now: Instant, stream: StreamId, expired: &mut MessageTally) {
        let pace = self.pace;
        loop {
            let Some(queue) = self.streams.get_mut(&stream) else { return };
            let Some(head) = queue.messages.front() else { return };
            let is_expired = queue.deadline(head).is_some_and(|deadline| {
                let len = head.payload.len() as f64;
                let takes = pace.map_or(0.0, |pace| len / pace.max(1) as f64);
                now + Duration::from_secs_f64(takes).max(TICK) > deadline
            });
            if !is_expired && !queue.is_stale(now, head) {
                return;
            }
            let Some(dropped) = queue.messages.pop_front() else { return };
            match &mut queue.governed {
                Some(governed) if !is_expired => {
                    governed.drop_stale(dropped.payload.len());
                    self.dropped.stale += 1;
                }
                _ => expired.add(dropped.tally()),
            }
            self.blocked.take_if(|blocked| blocked.stream == stream);
            self.account_removed(stream, &dropped);
        }
    }

    /// Takes the stream at the front, which is empty, out of the ring.
    fn leave_ring(&mut self) {
        if let Some(stream) = self.ring.pop_front()
            && let Some(queue) = self.streams.get_mut(&stream)
        {
            queue.in_ring = false;
            self.blocked.take_if(|blocked| blocked.stream == stream);
        }
        if self.ring.is_empty() {
            self.period = self.period.wrapping_add(1);
        }
    }

    fn account_removed(&mut self, stream: StreamId, message: &QueuedMessage) {
        self.amount -= message.amount();
        let Some(queue) = self.streams.get_mut(&stream) else { return };
        let before = queue.amount.payload;
        queue.uncount(message);
        if queue.stopped {
            self.stopped -= message.amount();
        }
        let after = queue.amount.payload;
        if before > queue.low_threshold && after <= queue.low_threshold {
            self.low.push((stream, after));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::Ppid;
    use crate::proto::sctp::testing::start;

    #[test]
    fn an_ended_stream_is_gone_once_its_last_message_has_left() {
        let mut queues = queues(&[10, 20], &[]);
        let last = Message { ppid: Ppid::DCEP, payload: Bytes::from_static(b"end") };
        assert_eq!(queues.end(1, last.clone()), MessageTally { messages: 2, bytes: 30 });
        assert_eq!((queues.queued_bytes(), queues.contains(1)), (0, true));
        let more = Message::new(Ppid::BINARY, Bytes::from_static(b"x"));
        let (now, expired) = (start(), &mut MessageTally::default());
        let pushed = queues.push(now, 1, more.clone(), Origin::Routed, expired);
        assert_eq!(pushed, Err(PushError::UnknownStream));
        queues.push_control(1, more);
        let popped = queues.pop(now, expired, |_| Admittance::Now, |_| false).expect("the last");
        assert_eq!((popped.stream, popped.message, popped.is_last), (1, last.clone(), true));
        assert!(!queues.contains(1) && queues.is_empty());
        assert_eq!(queues.end(1, last), MessageTally::default(), "it is not open");
        assert!(queues.is_empty());
    }

    /// Queues for streams 1 and 2, which hold messages of these sizes.
    fn queues(first: &[usize], second: &[usize]) -> SendQueues {
        let bounds = QueueBounds { total: usize::MAX, per_stream: usize::MAX };
        let mut queues = SendQueues::new(bounds, 0);
        for stream in [1, 2] {
            queues.open(stream, Reliability::RELIABLE);
        }
        push(&mut queues, 1, first);
        push(&mut queues, 2, second);
        queues
    }

    fn push(queues: &mut SendQueues, stream: StreamId, sizes: &[usize]) {
        for size in sizes {
            let message = Message::new(Ppid::BINARY, vec![0; *size].into());
            let expired = &mut MessageTally::default();
            queues.push(start(), stream, message, Origin::Routed, expired).expect("room");
        }
    }

    /// The streams of the messages that are popped one after the other.
    fn pop_all(queues: &mut SendQueues, admits: impl Fn(usize) -> Admittance) -> Vec<StreamId> {
        let mut streams = Vec::new();
        let mut expired = MessageTally::default();
        while let Some(next) = queues.pop(start(), &mut expired, &admits, |_| false) {
            streams.push(next.stream);
        }
        streams
    }

    #[test]
    fn a_message_is_older_until_it_has_left_whatever_a_policy_drops_behind_it() {
        let bounds = QueueBounds { total: usize::MAX, per_stream: usize::MAX };
        let mut queues = SendQueues::new(bounds, 0);
        queues.open(1, Reliability::RELIABLE);
        let bound = Some(1000);
        queues
            .set_policy(1, QueuePolicy { overflow: Overflow::DropOldest, bound, max_delay: None });
        let push = |queues: &mut SendQueues, at: u64, origin| {
            let message = Message::new(Ppid::BINARY, vec![0; 300].into());
            let at = start() + Duration::from_millis(at);
            queues.push(at, 1, message, origin, &mut MessageTally::default()).expect("room");
        };
        push(&mut queues, 0, Origin::Direct);
        push(&mut queues, 0, Origin::Routed);
        for at in 1..10 {
            push(&mut queues, at, Origin::Routed);
            assert!(queues.has_older(1, start()), "the first one waits");
        }
        assert!(queues.tally(1).replaced.messages > 5);
        let mut expired = MessageTally::default();
        assert!(queues.pop(start(), &mut expired, |_| Admittance::Now, |_| false).is_some());
        assert!(!queues.has_older(1, start()));
        assert!(queues.has_older(1, start() + Duration::from_secs(1)));
    }

    #[test]
    fn a_large_message_is_passed_by_no_more_bytes_than_it_has() {
        let mut queues = queues(&[10_000], &[500; 100]);
        let small_only = |len| if len > 1000 { Admittance::OnlySmaller } else { Admittance::Now };
        let passed = pop_all(&mut queues, small_only);
        assert_eq!(passed, vec![2; charge(10_000).div_ceil(charge(500))]);
        let rest = pop_all(&mut queues, |_| Admittance::Now);
        assert_eq!(rest[0], 1);
        assert_eq!(passed.len() + rest.len(), 101);
    }

    #[test]
    fn a_large_message_of_the_past_does_not_delay_its_stream_once_all_queues_were_empty() {
        let mut queues = queues(&[256 * 1024], &[]);
        assert_eq!(pop_all(&mut queues, |_| Admittance::Now), [1]);
        push(&mut queues, 1, &[100]);
        push(&mut queues, 2, &[1000; 20]);
        assert_eq!(pop_all(&mut queues, |_| Admittance::Now)[0], 1);
    }

    #[test]
    fn a_stopped_stream_keeps_its_messages_and_takes_no_room_of_the_others() {
        let bounds = QueueBounds { total: 1000, per_stream: 1000 };
        let mut queues = SendQueues::new(bounds, 0);
        for stream in [1, 2] {
            queues.open(stream, Reliability::RELIABLE);
        }
        push(&mut queues, 1, &[500]);
        queues.set_stopped(1, true);
        push(&mut queues, 1, &[500]);
        push(&mut queues, 2, &[600]);
        assert_eq!(pop_all(&mut queues, |_| Admittance::Now), [2]);
        assert!(queues.is_empty());
        queues.trim();
        assert_eq!(queues.buffered_amount(1), 1000);
        queues.set_stopped(1, false);
        assert!(queues.is_total_full(), "what was held counts again");
        assert_eq!(pop_all(&mut queues, |_| Admittance::Now), [1, 1]);
        for stopped in [true, false] {
            queues.set_stopped(1, stopped);
            push(&mut queues, 1, &[500]);
        }
        queues.set_stopped(1, true);
        queues.remove(1);
        assert_eq!((queues.charge(), queues.stopped.charge), (0, 0));
    }

    #[test]
    fn a_control_message_keeps_its_place_is_not_counted_and_replaces_one_of_its_kind() {
        let bounds = QueueBounds { total: 100, per_stream: 100 };
        let mut queues = SendQueues::new(bounds, 0);
        let limit = Some(Limit::LifetimeMs(10));
        queues.open(1, Reliability { ordered: false, limit });
        let control = |payload: &'static str| Message::new(Ppid::DCEP, payload.into());
        push(&mut queues, 1, &[100]);
        for payload in ["a1", "b", "a22"] {
            queues.push_control(1, control(payload));
        }
        assert_eq!((queues.buffered_amount(1), queues.queued_bytes()), (100, 100));
        let mut expired = MessageTally::default();
        let mut pop = |at| {
            let next = queues.pop(at, &mut expired, |_| Admittance::Now, |_| false)?;
            Some((next.message.payload.len(), next.reliability, next.deadline.is_some()))
        };
        assert!(pop(start()).is_some_and(|(len, _, limited)| len == 100 && limited));
        let later = start() + Duration::from_secs(60);
        assert_eq!(pop(later), Some((3, Reliability::RELIABLE, false)), "no lifetime");
        assert_eq!(pop(later), Some((1, Reliability::RELIABLE, false)), "of another kind");
        assert_eq!(pop(later), None);
        queues.push_control(1, control("c"));
        assert_eq!(queues.remove(1), MessageTally::default());
        queues.push_control(1, control("d"));
        assert!(queues.is_empty(), "the stream is closed");
    }
}
