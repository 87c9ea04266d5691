//! What a worker's thread waits for: jobs from JavaScript, and sockets that have become readable.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::proto::message::Message;
use crate::proto::net::SocketId;
use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::sfu::subchannels::Selector;
use crate::sfu::transport::tunnel::TunnelFrame;

use super::driver::World;
use super::usage;

/// Something for the worker's thread to do. What JavaScript does often has a variant of its own,
/// which needs no allocation.
pub enum Job {
    /// Route a message of a direct DataProducer.
    Send(DataProducerKey, Message, Option<Box<Selector>>),
    /// Tell when this DataProducer's backlog has shrunk.
    NotifyDrain(DataProducerKey),
    /// JavaScript has caught up with this overflowed DataConsumer.
    Relieved(DataConsumerKey),
    /// From the other end of this transport's tunnel, which is in another worker or in this one.
    TunnelFrame(TransportKey, TunnelFrame),
    /// A worker that has the other ends of tunnels has ended.
    NeighbourEnded,
    /// Anything else.
    Call(Box<dyn FnOnce(&mut World) + Send>),
    /// Close everything and end.
    Close,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Inbox {
    jobs: Mutex<VecDeque<Job>>,
    readable: Mutex<Vec<SocketId>>,
    /// Something was added that the driver has not seen yet.
    filled: AtomicBool,
    driver: Mutex<Option<Waker>>,
    closed: AtomicBool,
    /// Who is told when nothing will be done any more.
    neighbours: Mutex<Vec<Weak<Inbox>>>,
    /// The core of the thread that has last told the driver of something.
    told_from: AtomicU32,
}

impl Inbox {
    /// Adds a job. One that comes after the end is dropped; see [`Self::is_closed`].
    pub fn post(&self, job: Job) {
        let mut jobs = lock(&self.jobs);
        if self.is_closed() {
            drop(jobs); // first: what a job holds may have something to post when it goes
            return;
        }
        jobs.push_back(job);
        drop(jobs);
        self.wake_driver();
    }

    /// Adds all of `batch` and leaves it empty.
    pub fn post_all(&self, batch: &mut VecDeque<Job>) {
        if batch.is_empty() {
            return;
        }
        let mut jobs = lock(&self.jobs);
        if self.is_closed() {
            drop(jobs);
            batch.clear();
            return;
        }
        append(&mut jobs, batch);
        drop(jobs);
        self.wake_driver();
    }

    /// Whether the driver has been told of something that it has not looked at yet.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Relaxed)
    }

    /// Whether nothing will be done any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Nothing will be done from here on.
    pub(super) fn close(&self) {
        let mut jobs = lock(&self.jobs);
        self.closed.store(true, Ordering::Release);
        let undone = std::mem::take(&mut *jobs);
        drop(jobs);
        drop(undone);
        let neighbours = std::mem::take(&mut *lock(&self.neighbours));
        for neighbour in neighbours.iter().filter_map(Weak::upgrade) {
            neighbour.post(Job::NeighbourEnded);
        }
    }

    /// Has `neighbour` told when nothing will be done here any more: once, however often this is
    /// asked for, and at once if it is so already.
    pub(super) fn tell_end(&self, neighbour: &Arc<Inbox>) {
        let mut neighbours = lock(&self.neighbours);
        if self.is_closed() {
            drop(neighbours);
            neighbour.post(Job::NeighbourEnded);
            return;
        }
        neighbours.retain(|it| {
            it.upgrade().is_some_and(|it| !it.is_closed() && !Arc::ptr_eq(&it, neighbour))
        });
        neighbours.push(Arc::downgrade(neighbour));
    }

    /// A waker that says that this socket is readable.
    pub(super) fn socket_waker(self: &Arc<Self>, socket: SocketId) -> Waker {
        Arc::new(SocketWaker { inbox: Arc::clone(self), socket }).into()
    }

    /// Waits until there is something to take.
    pub(super) fn poll_filled(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.filled.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        lock(&self.driver).replace(cx.waker().clone());
        // Once more: something may have come before the waker was in its place.
        if self.filled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes all jobs and all readable sockets; the queues' memory is used again.
    pub(super) fn take(&self, jobs: &mut VecDeque<Job>, readable: &mut Vec<SocketId>) {
        if self.filled.swap(false, Ordering::AcqRel) {
            append(jobs, &mut lock(&self.jobs));
            readable.append(&mut lock(&self.readable));
        }
    }

    /// Whether the driver was last told of something from the core that this is called on.
    pub(super) fn is_from_this_core(&self) -> bool {
        self.told_from.load(Ordering::Relaxed) == usage::core()
    }

    fn wake_driver(&self) {
        if !self.is_filled() {
            self.told_from.store(usage::core(), Ordering::Relaxed);
        }
        if !self.filled.swap(true, Ordering::AcqRel) {
            // The lock is free again before the driver is woken, which takes it at once.
            let waker = lock(&self.driver).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("jobs", &lock(&self.jobs).len()).finish_non_exhaustive()
    }
}

/// Moves all of `from` to the end of `to`.
fn append(to: &mut VecDeque<Job>, from: &mut VecDeque<Job>) {
    if to.is_empty() {
        std::mem::swap(to, from);
    } else {
        to.append(from);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held leaves a valid queue.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct SocketWaker {
    inbox: Arc<Inbox>,
    socket: SocketId,
}

impl Wake for SocketWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.inbox.readable).push(self.socket);
        self.inbox.wake_driver();
    }
}
