//! How much is on its way between two threads. The one exception to the rule that this room knows no threads:
//! only the counters here are shared, none of them blocks, wakes or waits, and with one thread they behave the
//! same.
//!
//! One thread counts what enters, the other what leaves; each counter has a single writer, so the
//! hot path pays for plain loads and stores only, and both sides can ask for the difference.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::direct_queue::{DirectQueue, Taken};
use super::memory::Memory;
use crate::proto::message::{Amount, Message};

/// Counts messages between their entering and their leaving of a queue.
#[derive(Debug)]
pub struct Backlog {
    entered: Side,
    left: Side,
    bound: u64,
    overflowing: AtomicBool,
    /// Counts the same bytes together with those of the worker's other queues, if that has a maximum.
    memory: OnceLock<Arc<Memory>>,
    /// The messages themselves, if they may be dropped after they entered or wait to be pulled.
    queue: OnceLock<Box<DirectQueue>>,
}

/// One writer's counters, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Side {
    charge: AtomicU64,
    payload: AtomicU64,
}

impl Side {
    fn add(&self, Amount { payload, charge }: Amount) {
        // A single writer: load and store instead of read-modify-write.
        let total = self.charge.load(Ordering::Relaxed) + charge as u64;
        self.charge.store(total, Ordering::Relaxed);
        let total = self.payload.load(Ordering::Relaxed) + payload as u64;
        self.payload.store(total, Ordering::Release);
    }
}

impl Backlog {
    /// An empty backlog that holds at most `bound` charged bytes.
    pub fn new(bound: u64) -> Self {
        Self {
            entered: Side::default(),
            left: Side::default(),
            bound,
            overflowing: false.into(),
            memory: OnceLock::new(),
            queue: OnceLock::new(),
        }
    }

    /// Adds a message to the queue, if the policy allows it, and returns the token that takes its place in the outbox.
    /// `None` if the message does not fit.
    pub fn push(self: &Arc<Self>, now: Instant, message: Message) -> Option<Token> {
        let fits = |amount| self.try_enter_below(amount);
        let withdraw = |amount| self.withdraw(amount);
        let number = self.use_queue().push(now, message, fits, withdraw)?;
        Some(Token { backlog: Arc::clone(self), number })
    }

    /// JavaScript takes the oldest message that waits to be pulled, with the time when it was queued if its delay is
    /// measured.
    pub fn pull(&self, now: Instant) -> Option<(Message, Option<Instant>)> {
        self.queue()?.pull(now, |amount| self.leave(amount))
    }

    /// Ends pulling: messages that waited to be pulled are discarded.
    pub fn end_pulls(&self) {
        if let Some(queue) = self.queue() {
            queue.end_pulls(|amount| self.leave(amount));
        }
    }

    /// The DataConsumer has closed, so JavaScript may pull everything that is left.
    pub fn close_pulls(&self) {
        if let Some(queue) = self.queue() {
            queue.close(|| self.charge());
        }
    }

    /// Discards the messages from this number on, unless JavaScript pulls. Returns how many there were. Only the thread
    /// that enters messages may call this.
    pub(super) fn discard_from(&self, number: u64) -> u64 {
        self.queue().map_or(0, |queue| queue.discard_from(number, |amount| self.withdraw(amount)))
    }

    /// The queue that holds the messages. `None` if they are in the outbox itself.
    pub fn queue(&self) -> Option<&DirectQueue> {
        self.queue.get().map(AsRef::as_ref)
    }

    /// Makes the queue that holds the messages from now on, unless there is one.
    pub fn use_queue(&self) -> &DirectQueue {
        self.queue.get_or_init(Box::default)
    }

    /// Counts towards `memory`, too. Call this before the first message enters.
    pub fn join(&self, memory: &Arc<Memory>) {
        // A backlog joins the memory of its worker, which is always the same one.
        let _ = self.memory.set(Arc::clone(memory));
    }

    /// Counts a message that enters, if it fits: an empty backlog takes any message that the worker's memory has room
    /// for. Returns whether it does. Only one thread may call this, as each counter has a single writer.
    pub fn try_enter(&self, amount: Amount) -> bool {
        let queued = self.charge();
        let fits = (queued == 0 || queued + amount.charge as u64 <= self.bound)
            && self.memory.get().is_none_or(|it| it.try_hold(amount.charge));
        if fits {
            self.entered.add(amount);
        }
        fits
    }

    /// Counts a message that enters if the bound is not reached yet, however large the message: the rule of queues with
    /// a policy.
    pub fn try_enter_below(&self, amount: Amount) -> bool {
        let fits = !self.is_full() && self.memory.get().is_none_or(|it| it.try_hold(amount.charge));
        if fits {
            self.entered.add(amount);
        }
        fits
    }

    /// Whether the bound is reached. An empty backlog is not full.
    pub fn is_full(&self) -> bool {
        let queued = self.charge();
        queued > 0 && queued >= self.bound
    }

    /// Whether at most half of the bound is in use.
    pub fn is_half_empty(&self) -> bool {
        self.charge() <= self.bound / 2
    }

    /// Counts a message that enters a queue with a bound of its own. Only one thread may call this.
    pub fn enter(&self, amount: Amount) {
        if let Some(memory) = self.memory.get() {
            memory.hold(amount.charge);
        }
        self.entered.add(amount);
    }

    /// Takes back a message that entered. Only the thread that enters messages may call this.
    pub fn withdraw(&self, amount: Amount) {
        let Side { charge, payload } = &self.entered;
        let rest = charge.load(Ordering::Relaxed).saturating_sub(amount.charge as u64);
        charge.store(rest, Ordering::Relaxed);
        let rest = payload.load(Ordering::Relaxed).saturating_sub(amount.payload as u64);
        payload.store(rest, Ordering::Release);
        self.release(amount.charge);
    }

    /// Counts messages that leave. Only one thread may call this.
    pub fn leave(&self, amount: Amount) {
        self.left.add(amount);
        self.release(amount.charge);
    }

    fn release(&self, charge: usize) {
        if let Some(memory) = self.memory.get() {
            memory.release(charge);
        }
    }

    /// Sets the payload inside, for a queue whose owner counts by itself.
    pub fn publish(&self, payload: usize) {
        self.entered.payload.store(payload as u64, Ordering::Release);
    }

    /// Notes that the entering side had to reject or drop a message. Returns true once per overflow.
    ///
    /// The other side may have emptied the queue just before it could see this, and then does not look
    /// again: call [`Self::take_relief`] afterwards.
    pub fn overflow(&self) -> bool {
        let first = !self.overflowing.swap(true, Ordering::Relaxed);
        // Each side writes its own atomics and then reads those of the other. The fence between the two steps makes
        // at least one side see both writes.
        fence(Ordering::SeqCst);
        first
    }

    /// Notes that the entering side waits for room. Returns false if there is room already, because the other side
    /// emptied the queue before it could see this; then no notification follows.
    pub(super) fn await_relief(&self) -> bool {
        self.overflow();
        !self.take_relief()
    }

    /// Whether something was rejected or dropped, and half of the room is free again, with room in the worker's
    /// memory. True once per overflow, for the side that asks first.
    pub fn take_relief(&self) -> bool {
        fence(Ordering::SeqCst);
        self.overflowing.load(Ordering::Relaxed)
            && self.charge() <= self.bound / 2
            && self.memory.get().is_none_or(|it| it.is_relieved())
            && self.overflowing.swap(false, Ordering::Relaxed)
    }

    /// Whether less than a quarter of the room is taken, or nothing at all, and the worker's memory has room. Ends an
    /// overflow.
    pub fn take_drain(&self) -> bool {
        let charge = self.charge();
        let drained = (charge == 0 || charge < self.bound / 4)
            && self.memory.get().is_none_or(|it| it.is_relieved());
        if drained {
            self.overflowing.store(false, Ordering::Relaxed);
        }
        drained
    }

    /// Payload bytes inside.
    pub fn payload(&self) -> u64 {
        let left = self.left.payload.load(Ordering::Acquire);
        self.entered.payload.load(Ordering::Acquire).saturating_sub(left)
    }

    /// Charged bytes inside.
    pub fn charge(&self) -> u64 {
        let left = self.left.charge.load(Ordering::Relaxed);
        self.entered.charge.load(Ordering::Relaxed).saturating_sub(left)
    }

    /// The charge of everything that has left.
    pub fn taken(&self) -> u64 {
        self.left.charge.load(Ordering::Relaxed)
    }

    /// What is inside.
    pub fn amount(&self) -> Amount {
        Amount { payload: self.payload() as usize, charge: self.charge() as usize }
    }
}

/// The place of a message in the outbox.
#[derive(Debug)]
pub struct Token {
    backlog: Arc<Backlog>,
    number: u64,
}

impl Token {
    /// Takes the message, if it is still queued and has not waited too long.
    pub fn take(&self, now: Instant) -> Taken {
        let Some(queue) = self.backlog.queue() else { return Taken::Nothing };
        queue.take(self.number, now, |amount| self.backlog.leave(amount))
    }

    /// The number of the message in its queue.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether JavaScript pulls the message, instead of getting it in place of the token.
    pub fn is_pulled(&self) -> bool {
        self.backlog.queue().is_some_and(DirectQueue::is_pulled)
    }

    /// The backlog that counts the message.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Whether the message of this token is still in its queue.
    pub fn is_live(&self) -> bool {
        self.backlog.queue().is_some_and(|queue| queue.has(self.number))
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        // Whatever was inside has been dropped, or is not counted any more: without this, the worker's memory would
        // keep it.
        self.release(self.charge() as usize);
    }
}

/// Reports once that a backlog has fallen to its threshold after it was above. The side that adds messages arms the
/// report, and the side that removes them takes it.
#[derive(Debug)]
pub(super) struct LowWatermark {
    threshold: AtomicU64,
    armed: AtomicBool,
}

impl LowWatermark {
    /// `threshold` is in payload bytes.
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold: threshold.into(), armed: false.into() }
    }

    pub(super) fn set_threshold(&self, threshold: u64) {
        self.threshold.store(threshold, Ordering::Relaxed);
    }

    /// Notes that the backlog has grown to this many payload bytes.
    pub(super) fn grown_to(&self, payload: u64) {
        if payload > self.threshold.load(Ordering::Relaxed) {
            self.armed.store(true, Ordering::Release);
        }
    }

    /// Notes that the backlog has shrunk to this many payload bytes. Returns true the first time that this is at or
    /// below the threshold since the backlog was last above it.
    pub(super) fn shrunk_to(&self, payload: u64) -> bool {
        payload <= self.threshold.load(Ordering::Relaxed)
            && self.armed.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::message::Ppid;
    use crate::proto::overflow::{Overflow, QueuePolicy};
    use crate::proto::sctp::MessageTally;

    /// This many messages of this length.
    fn messages(count: usize, len: usize) -> Amount {
        let mut amount = Amount::default();
        (0..count).for_each(|_| amount += Amount::of(len));
        amount
    }

    #[test]
    fn a_backlog_charges_every_message_its_payload_and_64_bytes_and_2_for_each_subchannel() {
        let backlog = Backlog::new(1000);
        backlog.enter(Amount::of(100));
        backlog.enter(Amount::of(0).with_subchannels(10));
        assert_eq!(backlog.payload(), 100);
        assert_eq!(backlog.charge(), 248);
        backlog.leave(Amount::of(0).with_subchannels(10));
        assert_eq!(backlog.charge(), 164);
        backlog.withdraw(Amount::of(100));
        assert_eq!((backlog.payload(), backlog.charge()), (0, 0));
    }

    #[test]
    fn relief_comes_once_per_overflow_when_half_of_the_room_is_free() {
        let backlog = Backlog::new(1000);
        backlog.enter(messages(10, 36));
        assert!(backlog.overflow());
        assert!(!backlog.overflow(), "the same one");
        assert!(!backlog.take_relief());
        backlog.leave(messages(5, 36));
        assert!(backlog.take_relief());
        assert!(!backlog.take_relief());
        assert!(backlog.overflow(), "another one");
    }

    #[test]
    fn relief_comes_to_the_side_that_fills_if_the_other_was_faster() {
        let backlog = Backlog::new(100);
        backlog.enter(Amount::of(36));
        assert!(!backlog.try_enter(Amount::of(36)));
        // The other side empties the queue before the overflow is noted.
        backlog.leave(Amount::of(36));
        assert!(!backlog.take_relief(), "nothing has overflowed yet");
        assert!(!backlog.await_relief(), "nothing to wait for");
        assert!(!backlog.take_relief());
    }

    #[test]
    fn an_empty_backlog_takes_any_message_and_a_full_one_takes_none() {
        let backlog = Backlog::new(1000);
        assert!(backlog.try_enter(Amount::of(5000)));
        assert!(!backlog.try_enter(Amount::of(0)));
        backlog.leave(Amount::of(5000));
        assert!(backlog.try_enter(Amount::of(0)));
        assert_eq!(backlog.charge(), 64);
    }

    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn message(fill: u8) -> Message {
        Message::new(Ppid::BINARY, vec![fill; 36].into())
    }

    /// A queue for three messages, each charged 100 bytes, and a function that pushes one.
    fn queue(overflow: Overflow) -> (Arc<Backlog>, impl Fn(Instant, u8) -> Option<Token>) {
        let backlog = Arc::new(Backlog::new(300));
        backlog.use_queue().set_policy(QueuePolicy { overflow, ..QueuePolicy::default() });
        let shared = Arc::clone(&backlog);
        let push = move |now, fill| shared.push(now, message(fill));
        (backlog, push)
    }

    fn taken(token: &Token, now: Instant) -> Option<u8> {
        match token.take(now) {
            Taken::Message(message, _) => message.payload.first().copied(),
            Taken::Ready | Taken::Nothing => None,
        }
    }

    #[test]
    fn each_policy_decides_which_messages_are_left() {
        let now = origin();
        for (overflow, left) in [
            (Overflow::DropNewest, [Some(0), Some(1), Some(2), None, None]),
            (Overflow::DropOldest, [None, None, Some(2), Some(3), Some(4)]),
            (Overflow::KeepLatest, [None, None, None, None, Some(4)]),
        ] {
            let (backlog, push) = queue(overflow);
            let tokens: Vec<_> = (0..5).map(|fill| push(now, fill)).collect();
            let got: Vec<_> =
                tokens.iter().map(|it| it.as_ref().and_then(|it| taken(it, now))).collect();
            assert_eq!(got, left, "{overflow:?}");
            let kept = left.iter().flatten().count() as u64;
            let replaced = backlog.use_queue().tally().replaced.messages;
            let refused = tokens.iter().filter(|it| it.is_none()).count() as u64;
            assert_eq!(kept + replaced + refused, 5);
            assert_eq!(backlog.charge(), 100 * kept, "what was taken is not counted as left here");
        }
    }

    #[test]
    fn a_message_that_has_waited_too_long_is_skipped_and_counted() {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let (backlog, push) = queue(Overflow::DropNewest);
        let max_delay = Some(Duration::from_millis(50));
        backlog.use_queue().set_policy(QueuePolicy { max_delay, ..QueuePolicy::default() });
        let tokens = [0, 50].map(|ms| push(at(ms), ms as u8).expect("room"));
        assert_eq!(tokens.each_ref().map(|it| taken(it, at(51))), [None, Some(50)]);
        assert_eq!(backlog.use_queue().tally().stale, MessageTally::one(36));
    }

    #[test]
    fn a_pulled_queue_keeps_messages_until_they_are_asked_for_and_answers_a_pull_that_found_none() {
        let now = origin();
        let (backlog, push) = queue(Overflow::DropOldest);
        let queue = backlog.use_queue();
        queue.begin_pulls();
        let pull = || backlog.pull(now).map(|it| it.0.payload[0]);
        let tokens: Vec<Token> = (0..4).filter_map(|fill| push(now, fill)).collect();
        assert_eq!(pull(), None, "no token has come up");
        assert!(matches!(tokens[0].take(now), Taken::Ready), "it was dropped, but a pull waits");
        assert_eq!(pull(), None);
        assert!(matches!(tokens[1].take(now), Taken::Ready));
        assert!(matches!(tokens[2].take(now), Taken::Nothing), "nothing was asked for since");
        assert_eq!([pull(), pull(), pull()], [Some(1), Some(2), None]);
        assert_eq!(backlog.charge(), 100);
        assert!(tokens[3].is_live() && !tokens[2].is_live());
    }

    #[test]
    fn the_end_of_pulls_discards_what_has_come_up_and_later_tokens_have_their_own_messages() {
        let now = origin();
        let (backlog, push) = queue(Overflow::DropNewest);
        backlog.use_queue().begin_pulls();
        let tokens: Vec<Token> = (0..3).filter_map(|fill| push(now, fill)).collect();
        tokens[..2].iter().for_each(|token| assert_eq!(taken(token, now), None));
        backlog.end_pulls();
        assert_eq!(backlog.charge(), 100);
        assert_eq!(taken(&tokens[2], now), Some(2));
        assert!(backlog.pull(now).is_none());
    }

    #[test]
    fn all_of_a_closed_queue_can_be_pulled_without_tokens() {
        let now = origin();
        let (backlog, push) = queue(Overflow::DropNewest);
        backlog.use_queue().begin_pulls();
        let tokens: Vec<Token> = (0..3).filter_map(|fill| push(now, fill)).collect();
        assert!(backlog.pull(now).is_none());
        backlog.enter(Amount::of(0));
        backlog.close_pulls();
        assert!(backlog.pull(now).is_none(), "a message before them is on its way");
        backlog.leave(Amount::of(0));
        backlog.close_pulls();
        let pulled = || backlog.pull(now).map(|it| it.0.payload[0]);
        assert_eq!([pulled(), pulled(), pulled(), pulled()], [Some(0), Some(1), Some(2), None]);
        assert!(matches!(tokens[0].take(now), Taken::Ready | Taken::Nothing));
        assert_eq!(backlog.charge(), 0);
    }
}
