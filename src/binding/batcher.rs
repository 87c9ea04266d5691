//! The way from the objects of one worker to its thread.
//!
//! ```text
//! request() run() ──► gathered ── flush() ──► inbox
//! send() ─────┬─────────▲                       ▲
//!             └── the first after a flush ──────┘
//! ```
//!
//! What JavaScript requests and sends in one macrotask is handed over together, in its order: a lock
//! and a wake for each would cost more than all the rest. `lib/Channel.js` decides when, with
//! `flushSoon()`.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::job::{Job, Place};
use crate::runtime::world::{WorkerInbox, World};
use crate::sfu::backlog::Backlog;
use crate::sfu::direct_queue::DirectQueue;
use crate::sfu::error::{Error, Result};
use crate::sfu::id::DataConsumerKey;
use crate::sfu::memory::Memory;

use super::backlogs::Backlogs;

/// When this many jobs are gathered, the batcher hands them over without waiting for a flush, so that
/// the worker can begin while a long macrotask still makes jobs.
const GATHERED_JOBS: usize = 512;

/// When the gathered messages are charged this many bytes, the batcher hands them over as well.
const GATHERED_BYTES: usize = 1024 * 1024;

/// Shared by all objects of a worker, which live on one JavaScript thread.
pub(super) struct Batcher {
    pub(super) inbox: Arc<WorkerInbox>,
    gathered: RefCell<VecDeque<Job<World>>>,
    gathered_bytes: Cell<usize>,
    /// Whether a message was sent or a job gathered since the last [`Self::flush`]. If so, the next
    /// message is gathered, too, and comes after it.
    begun: Cell<bool>,
    /// The backlogs of the messages that wait for JavaScript.
    pub(super) backlogs: RefCell<Backlogs>,
    /// What the worker's queues may hold together, if its settings limit that.
    pub(super) memory: OnceCell<Arc<Memory>>,
}

pub(super) type SharedBatcher = Rc<Batcher>;

impl Batcher {
    pub(super) fn new(inbox: Arc<WorkerInbox>) -> SharedBatcher {
        Rc::new(Self {
            inbox,
            gathered: RefCell::default(),
            gathered_bytes: Cell::new(0),
            begun: Cell::new(false),
            backlogs: RefCell::default(),
            memory: OnceCell::new(),
        })
    }

    /// Runs `ask` on the worker's thread and answers the request with its result.
    pub(super) fn request<T: Serialize>(
        &self,
        request: u32,
        ask: impl FnOnce(&mut World) -> Result<T> + Send + 'static,
    ) {
        self.request_at(Place::Any, request, ask);
    }

    /// Like [`Self::request`], but after the messages that the place names.
    pub(super) fn request_at<T: Serialize>(
        &self,
        place: Place,
        request: u32,
        ask: impl FnOnce(&mut World) -> Result<T> + Send + 'static,
    ) {
        self.run_at(place, move |world| answer(world, request, ask));
    }

    /// Like [`Self::request`], with options in JSON, which are parsed on the worker's thread.
    pub(super) fn request_with<O: DeserializeOwned, T: Serialize>(
        &self,
        request: u32,
        options: String,
        ask: impl FnOnce(&mut World, O) -> Result<T> + Send + 'static,
    ) {
        self.request(request, move |world| ask(world, parse(&options)?));
    }

    /// Like [`Self::run`], but after the messages that the place names.
    pub(super) fn run_at(&self, place: Place, job: impl FnOnce(&mut World) + Send + 'static) {
        self.gather(Job::Call(place, Box::new(job)), 0);
    }

    /// Runs `job` on the worker's thread, without an answer.
    pub(super) fn run(&self, job: impl FnOnce(&mut World) + Send + 'static) {
        self.run_at(Place::Any, job);
    }

    /// Sends a message that is charged `charge` bytes. The first one after a flush goes to the worker at
    /// once, so that the worker routes it while JavaScript makes the next ones, which are gathered.
    pub(super) fn send(&self, job: Job<World>, charge: usize) {
        let first = !self.begun.replace(true);
        if first && !self.inbox.is_filled() {
            self.inbox.post(job);
        } else {
            self.gather(job, charge);
        }
    }

    /// Hands over a job at once, after those that were gathered.
    pub(super) fn post(&self, job: Job<World>) {
        self.flush();
        self.inbox.post(job);
    }

    /// Call this after messages have left the backlog of a DataConsumer. If that ends an overflow, the worker is
    /// notified: it knows how much was dropped, and must emit 'overflow' before the next message.
    pub(super) fn relieve(&self, consumer: DataConsumerKey, backlog: &Backlog) {
        if backlog.take_relief() {
            self.inbox.post(Job::Relieved(consumer));
        }
    }

    /// Call this after JavaScript has asked for messages of this backlog.
    pub(super) fn after_pull(&self, consumer: DataConsumerKey, backlog: &Backlog) {
        self.relieve(consumer, backlog);
        if backlog.queue().is_some_and(DirectQueue::has_passed) {
            self.inbox.post(Job::call(|world: &mut World| world.sfu.check_direct_drains()));
        }
    }

    /// Hands over what was gathered. lib/ calls this when a macrotask ends.
    pub(super) fn flush(&self) {
        self.begun.set(false);
        self.gathered_bytes.set(0);
        self.inbox.post_all(&mut self.gathered.borrow_mut());
    }

    fn gather(&self, job: Job<World>, charge: usize) {
        self.begun.set(true);
        let mut gathered = self.gathered.borrow_mut();
        gathered.push_back(job);
        let bytes = self.gathered_bytes.get() + charge;
        self.gathered_bytes.set(bytes);
        if gathered.len() >= GATHERED_JOBS || bytes >= GATHERED_BYTES {
            self.gathered_bytes.set(0);
            self.inbox.post_all(&mut gathered);
        }
    }
}

/// Answers a request with the result of `ask`.
pub(super) fn answer<T: Serialize>(
    world: &mut World,
    request: u32,
    ask: impl FnOnce(&mut World) -> Result<T>,
) {
    let answer = ask(world).and_then(|it| {
        serde_json::to_string(&it).map_err(|error| Error::InvalidAnswer(error.to_string()))
    });
    world.answer(request, answer);
}

/// Parses options.
pub(super) fn parse<O: DeserializeOwned>(json: &str) -> Result<O> {
    serde_json::from_str(json).map_err(|error| Error::InvalidOptions(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::{Message, Ppid};
    use crate::sfu::id::DataProducerKey;

    fn message(number: u8) -> Job<World> {
        Job::Send(DataProducerKey(1), Message::copy_from_slice(Ppid::BINARY, &[number]), None)
    }

    /// Takes the jobs as the worker would. Returns the number of each message, and 0 for any other job.
    fn taken(batcher: &Batcher) -> Vec<u8> {
        let mut jobs = VecDeque::new();
        batcher.inbox.take(&mut jobs, &mut Vec::new());
        let number = |job: &Job<_>| match job {
            Job::Send(_, message, _) => message.payload[0],
            _ => 0,
        };
        jobs.iter().map(number).collect()
    }

    #[test]
    fn the_first_message_after_a_flush_leaves_at_once_and_later_ones_with_the_next_flush() {
        let batcher = Batcher::new(Arc::default());
        for _ in 0..3 {
            batcher.send(message(1), 1);
            assert_eq!(taken(&batcher), [1]);
            batcher.send(message(2), 1);
            batcher.send(message(3), 1);
            assert_eq!(taken(&batcher), [0; 0]);
            batcher.flush();
            assert_eq!(taken(&batcher), [2, 3]);
        }
    }

    #[test]
    fn a_message_after_a_request_waits_for_it() {
        let batcher = Batcher::new(Arc::default());
        batcher.run(|_| ());
        batcher.send(message(1), 1);
        assert_eq!(taken(&batcher), [0; 0]);
        batcher.post(message(2));
        assert_eq!(taken(&batcher), [0, 1, 2]);
    }

    #[test]
    fn many_jobs_or_bytes_do_not_wait_for_a_flush() {
        let batcher = Batcher::new(Arc::default());
        (0..GATHERED_JOBS).for_each(|_| batcher.run(|_| ()));
        assert_eq!(taken(&batcher).len(), GATHERED_JOBS);
        batcher.send(message(1), GATHERED_BYTES);
        assert_eq!(taken(&batcher), [1]);
        batcher.send(message(2), 1);
        assert_eq!(taken(&batcher), [0; 0]);
    }
}
