//! What a worker's thread waits for: jobs from other threads, and sockets that have become readable.
//!
//! ```text
//! JavaScript, other workers ── post() ──► jobs ─────┐
//!                                                   ├─► filled: wakes the driver once ── take()
//! tokio ── socket_waker() ──────────────► readable ─┘
//! ```
//!
//! Any thread may post. One thread, the driver, takes; it is woken only by the first post after a
//! take. A post after the end is dropped. The request to end is not a job: it overtakes all of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::proto::net::SocketId;

use super::cpu;

/// See the module's documentation.
pub struct Inbox<J> {
    jobs: Mutex<VecDeque<J>>,
    readable: Mutex<Vec<SocketId>>,
    /// Whether something was added that the driver has not taken yet.
    filled: AtomicBool,
    driver: Mutex<Option<Waker>>,
    /// Whether the driver is to end.
    ending: AtomicBool,
    closed: AtomicBool,
    /// Other inboxes, and the job that each gets when this one closes.
    watchers: Mutex<Vec<(Weak<Self>, J)>>,
    /// The core of the thread whose post has last woken the driver.
    woken_from: AtomicU32,
}

impl<J> Default for Inbox<J> {
    fn default() -> Self {
        Self {
            jobs: Mutex::default(),
            readable: Mutex::default(),
            filled: AtomicBool::default(),
            driver: Mutex::default(),
            ending: AtomicBool::default(),
            closed: AtomicBool::default(),
            watchers: Mutex::default(),
            woken_from: AtomicU32::default(),
        }
    }
}

impl<J> Inbox<J> {
    /// Adds a job. After the end the job is dropped; see [`Self::is_closed`].
    pub fn post(&self, job: J) {
        let mut jobs = lock(&self.jobs);
        if self.is_ending() {
            drop(jobs); // Released before the job is dropped, because dropping it may post another job.
            return;
        }
        jobs.push_back(job);
        drop(jobs);
        self.wake_driver();
    }

    /// Adds all of `batch` and leaves it empty.
    pub fn post_all(&self, batch: &mut VecDeque<J>) {
        if batch.is_empty() {
            return;
        }
        let mut jobs = lock(&self.jobs);
        if self.is_ending() {
            drop(jobs);
            batch.clear();
            return;
        }
        append(&mut jobs, batch);
        drop(jobs);
        self.wake_driver();
    }

    /// Asks the driver to end. Jobs that come later are dropped; those that wait get one more turn.
    pub fn end(&self) {
        // Under the lock, so that no later job gets in.
        let jobs = lock(&self.jobs);
        self.ending.store(true, Ordering::Release);
        drop(jobs);
        self.wake_driver();
    }

    /// Whether the driver is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire) || self.is_closed()
    }

    /// Whether the driver has yet to take something.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Relaxed)
    }

    /// Whether the inbox has closed, and so drops jobs.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Drops the jobs that wait and all that come later, and posts to the watchers.
    pub(super) fn close(&self) {
        let mut jobs = lock(&self.jobs);
        self.closed.store(true, Ordering::Release);
        let undone = std::mem::take(&mut *jobs);
        drop(jobs);
        drop(undone);
        let watchers = std::mem::take(&mut *lock(&self.watchers));
        for (watcher, job) in watchers {
            if let Some(watcher) = watcher.upgrade() {
                watcher.post(job);
            }
        }
    }

    /// Posts `job` to `watcher` when this inbox closes; at once if it has closed. Only the last job
    /// for each watcher counts.
    pub(super) fn post_at_close(&self, watcher: &Arc<Self>, job: J) {
        let mut watchers = lock(&self.watchers);
        if self.is_closed() {
            drop(watchers);
            watcher.post(job);
            return;
        }
        watchers.retain(|(it, _)| {
            it.upgrade().is_some_and(|it| !it.is_closed() && !Arc::ptr_eq(&it, watcher))
        });
        watchers.push((Arc::downgrade(watcher), job));
    }

    /// Waits until there is something to take.
    pub(super) fn poll_filled(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.filled.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        lock(&self.driver).replace(cx.waker().clone());
        // Something may have been posted before the waker was in its place.
        if self.filled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes all jobs and all readable sockets; the memory of the queues is used again.
    pub(crate) fn take(&self, jobs: &mut VecDeque<J>, readable: &mut Vec<SocketId>) {
        if self.filled.swap(false, Ordering::AcqRel) {
            append(jobs, &mut lock(&self.jobs));
            readable.append(&mut lock(&self.readable));
        }
    }

    /// Whether the last wake came from the core that the calling thread runs on.
    pub(super) fn was_woken_from_this_core(&self) -> bool {
        self.woken_from.load(Ordering::Relaxed) == cpu::current()
    }

    fn wake_driver(&self) {
        if !self.is_filled() {
            self.woken_from.store(cpu::current(), Ordering::Relaxed);
        }
        if !self.filled.swap(true, Ordering::AcqRel) {
            // Released before the driver wakes, which takes this lock at once.
            let waker = lock(&self.driver).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<J: Send + 'static> Inbox<J> {
    /// A waker that marks this socket as readable.
    pub(super) fn socket_waker(self: &Arc<Self>, socket: SocketId) -> Waker {
        Arc::new(SocketWaker { inbox: Arc::clone(self), socket }).into()
    }
}

impl<J> std::fmt::Debug for Inbox<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("jobs", &lock(&self.jobs).len()).finish_non_exhaustive()
    }
}

/// Moves all of `from` to the end of `to`.
fn append<J>(to: &mut VecDeque<J>, from: &mut VecDeque<J>) {
    if to.is_empty() {
        std::mem::swap(to, from);
    } else {
        to.append(from);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held leaves a valid queue.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct SocketWaker<J> {
    inbox: Arc<Inbox<J>>,
    socket: SocketId,
}

impl<J: Send + 'static> Wake for SocketWaker<J> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.inbox.readable).push(self.socket);
        self.inbox.wake_driver();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(inbox: &Inbox<u32>) -> Vec<u32> {
        let mut jobs = VecDeque::new();
        inbox.take(&mut jobs, &mut Vec::new());
        jobs.into()
    }

    #[test]
    fn jobs_are_taken_in_order_and_dropped_after_the_end() {
        let inbox = Inbox::default();
        inbox.post(1);
        inbox.post_all(&mut VecDeque::from([2, 3]));
        assert!(inbox.is_filled());
        assert_eq!(taken(&inbox), [1, 2, 3]);
        assert!(!inbox.is_filled());
        inbox.post(4);
        inbox.close();
        inbox.post(5);
        inbox.post_all(&mut VecDeque::from([6]));
        assert_eq!(taken(&inbox), [0; 0]);
    }

    #[test]
    fn a_watcher_gets_one_job_when_the_inbox_closes() {
        let (inbox, watcher) = (Inbox::default(), Arc::new(Inbox::default()));
        inbox.post_at_close(&watcher, 1);
        inbox.post_at_close(&watcher, 2);
        assert_eq!(taken(&watcher), [0; 0]);
        inbox.close();
        assert_eq!(taken(&watcher), [2]);
        inbox.post_at_close(&watcher, 3);
        assert_eq!(taken(&watcher), [3], "at once, as the inbox has closed");
    }
}
