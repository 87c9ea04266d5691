//! What a worker tells JavaScript: answers, events and messages in one queue, in the order in which
//! they happened.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sfu::error::Error;
use crate::sfu::event::Event;

/// One thing to tell.
#[derive(Debug)]
pub enum Item {
    /// The answer to a request: JSON, or why it was refused.
    Answer(u32, Result<String, Error>),
    /// Something happened to an entity.
    Event(Event),
    /// A line for the log: its level and its text.
    Log(&'static str, String),
    /// The thread panicked with this message, and is gone.
    Died(String),
    /// The thread has ended. Nothing comes after this.
    Ended,
}

/// A queue that is filled by one thread and emptied by another, which is woken when the queue was
/// empty. Its messages are bounded by their DataConsumers' backlogs, its answers by the requests.
pub struct Outbox {
    items: Mutex<VecDeque<Item>>,
    /// The reader has been woken and has not come yet.
    woken: AtomicBool,
    wake: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Outbox {
    /// An empty queue whose reader is woken by `wake`.
    pub fn new(wake: impl Fn() + Send + 'static) -> Self {
        let wake = Mutex::new(Some(Box::new(wake) as _));
        Self { items: Mutex::default(), woken: AtomicBool::new(false), wake }
    }

    /// Nobody is to be woken any more: drops `wake`.
    pub fn retire(&self) {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Adds all of `batch` and leaves it empty.
    pub fn push(&self, batch: &mut VecDeque<Item>) {
        if batch.is_empty() {
            return;
        }
        {
            let mut items = self.lock();
            if items.is_empty() {
                std::mem::swap(&mut *items, batch);
            } else {
                items.append(batch);
            }
        }
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner)
        {
            wake();
        }
    }

    /// Takes all that is there; `into` must be empty, its memory is used again.
    pub fn take(&self, into: &mut VecDeque<Item>) {
        // First allow the next wake, then look: what is pushed in between wakes once too often
        // rather than never.
        self.woken.store(false, Ordering::Release);
        std::mem::swap(&mut *self.lock(), into);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Item>> {
        // A panic while it was held leaves a valid queue.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("items", &self.lock().len()).finish_non_exhaustive()
    }
}
