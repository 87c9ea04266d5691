//! How much is on its way between two threads. The one exception to the rule that this room knows no threads:
//! only the counters here are shared, none of them blocks, wakes or waits, and with one thread they behave the
//! same.
//!
//! One thread counts what enters, the other what leaves; each counter has a single writer, so the
//! hot path pays for plain loads and stores only, and both sides can ask for the difference.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};

use super::memory::Memory;
use crate::proto::message::Amount;

/// Counts messages between their entering and their leaving of a queue.
#[derive(Debug)]
pub struct Backlog {
    entered: Side,
    left: Side,
    bound: u64,
    overflowing: AtomicBool,
    /// Counts the same bytes together with those of the worker's other queues, if that has a maximum.
    memory: OnceLock<Arc<Memory>>,
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
        }
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

    /// What is inside.
    pub fn amount(&self) -> Amount {
        Amount { payload: self.payload() as usize, charge: self.charge() as usize }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        // What is inside has been dropped, too, or nothing counts it any more.
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

    /// Notes that the backlog has shrunk to this many payload bytes. Returns true the first time that this is at or below the
    /// threshold since the backlog was last above it.
    pub(super) fn shrunk_to(&self, payload: u64) -> bool {
        payload <= self.threshold.load(Ordering::Relaxed)
            && self.armed.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        backlog.overflow();
        assert!(backlog.take_relief());
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
}
