//! The bytes that all queues of a worker may hold together: `maxMemory`. As in `backlog`, threads share the counter,
//! and it does not block, wake or wait.
//!
//! Each queue that holds messages adds their charge when they enter and takes it away when they leave. Without a
//! maximum there is no counter.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::id::{DataConsumerKey, DataProducerKey, TransportKey};

/// What the queues of a worker hold, and may hold.
#[derive(Debug)]
pub struct Memory {
    max: u64,
    /// Signed, because the threads that add and take away are not synchronised.
    held: AtomicI64,
    /// The part of `held` that DataProducers retain, and that does not shrink by delivering messages.
    retained: AtomicI64,
    refused: AtomicU64,
}

impl Memory {
    /// Nothing is held; at most `max` charged bytes may be.
    pub fn new(max: u64) -> Self {
        Self {
            max,
            held: AtomicI64::new(0),
            retained: AtomicI64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Whether there is room for this charge; a worker that holds nothing takes any message. If there is no room, the
    /// message counts as refused.
    pub fn admits(&self, charge: usize) -> bool {
        let held = self.held();
        let admits = held == 0 || held + charge as u64 <= self.max;
        if !admits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admits
    }

    /// Adds the charge of a message that enters a queue, if there is room. Returns whether there was.
    pub fn try_hold(&self, charge: usize) -> bool {
        let admits = self.admits(charge);
        if admits {
            self.hold(charge);
        }
        admits
    }

    /// Adds the charge of a message that a DataProducer retains, if there is room. Retained messages take at most half
    /// of the maximum, so that there is always room for live ones again.
    pub fn try_retain(&self, charge: usize) -> bool {
        let fits = self.may_retain(charge);
        if fits {
            self.retained.fetch_add(charge as i64, Ordering::Relaxed);
            self.hold(charge);
        }
        fits
    }

    /// Whether [`Self::try_retain`] would find room.
    pub fn may_retain(&self, charge: usize) -> bool {
        let retained = self.retained.load(Ordering::Relaxed).max(0) as u64;
        retained + charge as u64 <= self.max / 2 && self.held() + charge as u64 <= self.max
    }

    /// Subtracts the charge of messages that are no longer retained.
    pub fn release_retained(&self, charge: usize) {
        self.retained.fetch_sub(charge as i64, Ordering::Relaxed);
        self.release(charge);
    }

    /// Whether a sixteenth of the maximum is free, so that senders may go on.
    pub fn is_relieved(&self) -> bool {
        self.held() <= self.max - self.max / 16
    }

    /// Adds the charge of messages that enter a queue.
    pub fn hold(&self, charge: usize) {
        self.held.fetch_add(charge as i64, Ordering::Relaxed);
    }

    /// Takes away the charge of messages that leave a queue.
    pub fn release(&self, charge: usize) {
        self.held.fetch_sub(charge as i64, Ordering::Relaxed);
    }

    /// Replaces the charge of a queue that is measured from time to time.
    pub(super) fn change(&self, from: usize, to: usize) {
        self.held.fetch_add(to as i64 - from as i64, Ordering::Relaxed);
    }

    /// The bytes held.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed).max(0) as u64
    }

    /// How many messages were refused, or dropped for one of their DataConsumers.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// An entity that has an event to emit once there is room in the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Waiter {
    /// A DataProducer that then emits 'drain'.
    Producer(DataProducerKey),
    /// A DataConsumer that then emits 'overflow'.
    Consumer(DataConsumerKey),
}

/// The interval at which waiting entities are checked. Other threads make room as well, and none of them wakes the
/// worker.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// The key of the deadline for the next look. No transport has it: request ids begin with 1.
pub(super) const DEADLINE: TransportKey = TransportKey(0);
