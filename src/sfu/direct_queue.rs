//! The messages of one direct DataConsumer that JavaScript has not taken, if they may still be dropped or are to be
//! pulled. Other messages are in the outbox itself, which is faster.
//!
//! ```text
//! worker: push() ─► [ oldest … newest ] ─► take(), pull(): JavaScript
//!            └─► outbox: a token in the place of each message
//! ```
//!
//! The outbox keeps the order of everything that JavaScript gets, so each message has a numbered token there (see
//! [`Token`](super::backlog::Token)). JavaScript's thread takes a message when it meets the token. The token of a
//! message that was dropped since is outdated; the outbox removes such tokens once they outnumber the others.
//!
//! A queue that is pulled keeps its messages after JavaScript has met their tokens, until [`DirectQueue::pull`] takes
//! them. A pull that finds none is answered at the next token, by [`Taken::Ready`].
//!
//! As in `backlog`, two threads share the queue. The lock is held for a few instructions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::proto::message::{Amount, Message};
use crate::proto::overflow::{Governed, Overflow, QueueDrops, QueuePolicy, QueueTally};
use crate::proto::sampler::Sampler;

/// See the documentation of the module.
#[derive(Debug, Default)]
pub struct DirectQueue {
    inner: Mutex<Inner>,
    /// The number of the oldest message.
    oldest: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    messages: VecDeque<(Instant, Message)>,
    /// Chooses the messages whose delays are measured.
    sampler: Sampler,
    governed: Governed,
    /// Whether JavaScript pulls each message.
    pulled: bool,
    /// Messages with lower numbers may be pulled, because JavaScript has met their tokens.
    ready: u64,
    /// Whether the last pull found no message.
    hungry: bool,
    /// The requests of `drained()` that wait until all messages with lower numbers are gone, with these numbers.
    fences: VecDeque<(u64, u32)>,
    /// Also counts the messages that wait too long, once the DataConsumer has closed.
    late: Option<Arc<AtomicU64>>,
}

/// What a token leads to.
#[derive(Debug)]
pub enum Taken {
    /// A message, with the time when it was queued if its delay is measured.
    Message(Message, Option<Instant>),
    /// A message for which an earlier pull waits: pull again.
    Ready,
    /// Nothing: the message was dropped, or is to be pulled.
    Nothing,
}

impl DirectQueue {
    /// The worker adds a message, if the policy allows it, and returns its number. `fits`: whether there is room for
    /// the message, which then counts as entered; `withdraw`: uncounts dropped messages.
    pub(super) fn push(
        &self,
        now: Instant,
        message: Message,
        fits: impl Fn(Amount) -> bool,
        withdraw: impl Fn(Amount),
    ) -> Option<u64> {
        let amount = message.amount();
        let mut inner = self.lock();
        let overflow = inner.governed.policy.overflow;
        if overflow == Overflow::KeepLatest {
            while self.replace(&mut inner, &withdraw) {}
        }
        while !fits(amount) {
            if overflow != Overflow::DropOldest || !self.replace(&mut inner, &withdraw) {
                return None;
            }
        }
        let number = self.oldest.load(Ordering::Relaxed) + inner.messages.len() as u64;
        inner.governed.enter(message.payload.len());
        inner.messages.push_back((now, message));
        Some(number)
    }

    /// JavaScript meets the token with this number. `leave` counts messages that are dropped as too old.
    pub(super) fn take(&self, number: u64, now: Instant, leave: impl Fn(Amount)) -> Taken {
        let mut inner = self.lock();
        if inner.pulled {
            inner.ready = inner.ready.max(number + 1);
            let ready = std::mem::take(&mut inner.hungry);
            return if ready { Taken::Ready } else { Taken::Nothing };
        }
        self.next(&mut inner, number + 1, now, leave)
            .map_or(Taken::Nothing, |(message, sampled)| Taken::Message(message, sampled))
    }

    /// Whether the message with this number is still here.
    pub(super) fn has(&self, number: u64) -> bool {
        number >= self.oldest.load(Ordering::Relaxed)
    }

    /// Sets what happens to messages at the bound, and to those that wait too long.
    pub fn set_policy(&self, policy: QueuePolicy) {
        self.lock().governed.policy = policy;
    }

    /// Makes JavaScript pull each message from now on. Call this before JavaScript meets the tokens of messages that it
    /// wants to pull.
    pub fn begin_pulls(&self) {
        self.lock().pulled = true;
    }

    /// Whether JavaScript pulls each message.
    pub(super) fn is_pulled(&self) -> bool {
        self.lock().pulled
    }

    /// Ends pulling. Messages whose tokens JavaScript has met are discarded, and `leave` counts them. It takes the
    /// others when it meets their tokens.
    pub(super) fn end_pulls(&self, leave: impl Fn(Amount)) {
        let mut inner = self.lock();
        (inner.pulled, inner.hungry) = (false, false);
        while self.oldest.load(Ordering::Relaxed) < inner.ready
            && let Some((_, message)) = self.pop(&mut inner)
        {
            leave(message.amount());
        }
    }

    /// The DataConsumer has closed, so no further token follows: everything may be pulled, unless messages before it
    /// are missing. `charge`: that of these messages and of those before them, which are in the outbox.
    pub(super) fn close(&self, charge: impl Fn() -> u64) {
        let mut inner = self.lock();
        let own: usize = inner.messages.iter().map(|(_, message)| message.amount().charge).sum();
        if charge() <= own as u64 {
            inner.ready = u64::MAX;
        }
    }

    /// JavaScript takes the oldest message whose token it has met. If there is none, the next token is
    /// [`Taken::Ready`]. `leave` counts messages that are taken, or dropped as too old.
    pub(super) fn pull(
        &self,
        now: Instant,
        leave: impl Fn(Amount),
    ) -> Option<(Message, Option<Instant>)> {
        let mut inner = self.lock();
        let ready = inner.ready;
        let pulled = self.next(&mut inner, ready, now, &leave);
        inner.hungry = pulled.is_none();
        pulled.iter().for_each(|(message, _)| leave(message.amount()));
        pulled
    }

    /// Makes [`Self::take_passed`] return the request once the present messages are gone or, if they are not pulled,
    /// have their places in the outbox. `is_held`: some have no place yet. Returns false if there is no need to wait.
    pub(super) fn fence(&self, request: u32, is_held: bool) -> bool {
        let mut inner = self.lock();
        if !(inner.pulled || is_held) || inner.messages.is_empty() {
            return false;
        }
        let end = self.oldest.load(Ordering::Relaxed) + inner.messages.len() as u64;
        inner.fences.push_back((end, request));
        true
    }

    /// Forgets a request.
    pub(super) fn remove_fence(&self, request: u32) {
        self.lock().fences.retain(|(_, it)| *it != request);
    }

    /// Whether [`Self::take_passed`] may return a request.
    pub fn has_passed(&self) -> bool {
        self.passed(&self.lock(), None).is_some()
    }

    /// The next request whose messages are gone, or have their places. All before `first_held` have.
    pub(super) fn take_passed(&self, first_held: Option<u64>) -> Option<u32> {
        let mut inner = self.lock();
        let request = self.passed(&inner, first_held)?;
        inner.fences.pop_front();
        Some(request)
    }

    fn passed(&self, inner: &Inner, first_held: Option<u64>) -> Option<u32> {
        let (end, request) = *inner.fences.front()?;
        let has_places = !inner.pulled && first_held.is_none_or(|first| end <= first);
        (has_places || end <= self.oldest.load(Ordering::Relaxed)).then_some(request)
    }

    /// The worker discards the messages from this number on, because their tokens are not coming. If JavaScript pulls,
    /// it can still get them. Returns how many there were.
    pub(super) fn discard_from(&self, number: u64, withdraw: impl Fn(Amount)) -> u64 {
        let mut inner = self.lock();
        if inner.pulled {
            return 0;
        }
        let left = number.saturating_sub(self.oldest.load(Ordering::Relaxed));
        let left = usize::try_from(left).unwrap_or(usize::MAX).min(inner.messages.len());
        let discarded = inner.messages.split_off(left);
        for (_, message) in &discarded {
            inner.governed.leave(message.payload.len());
            withdraw(message.amount());
        }
        discarded.len() as u64
    }

    /// Returns what has been dropped so far. From now on `late` counts the messages that wait too long as well.
    pub(super) fn count_late(&self, late: &Arc<AtomicU64>) -> QueueDrops {
        let mut inner = self.lock();
        inner.late = Some(Arc::clone(late));
        inner.governed.tally.dropped()
    }

    /// What happened to the messages.
    pub fn tally(&self) -> QueueTally {
        self.lock().governed.tally
    }

    /// JavaScript takes the oldest message with a number below `end` that is not too old, with the time when it was
    /// queued if its delay is measured. The caller counts the message as left.
    fn next(
        &self,
        inner: &mut Inner,
        end: u64,
        now: Instant,
        leave: impl Fn(Amount),
    ) -> Option<(Message, Option<Instant>)> {
        while self.oldest.load(Ordering::Relaxed) < end {
            let (at, message) = self.pop(inner)?;
            if !inner.governed.is_stale(now, at) {
                let sampled = inner.sampler.hits().then_some(at);
                return Some((message, sampled));
            }
            inner.governed.drop_stale(message.payload.len());
            inner.late.iter().for_each(|it| _ = it.fetch_add(1, Ordering::Relaxed));
            leave(message.amount());
        }
        None
    }

    /// The worker drops the oldest message, if there is one.
    fn replace(&self, inner: &mut Inner, withdraw: impl Fn(Amount)) -> bool {
        let Some((_, oldest)) = self.pop(inner) else { return false };
        inner.governed.replace(oldest.payload.len());
        withdraw(oldest.amount());
        true
    }

    fn pop(&self, inner: &mut Inner) -> Option<(Instant, Message)> {
        let oldest = inner.messages.pop_front()?;
        self.oldest.fetch_add(1, Ordering::Relaxed);
        inner.governed.leave(oldest.1.payload.len());
        Some(oldest)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held leaves a valid queue.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
