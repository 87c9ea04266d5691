//! How the objects of one worker reach its thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::job::Job;
use crate::runtime::world::{WorkerInbox, World};
use crate::sfu::backlog::Backlog;
use crate::sfu::error::{Error, Result};

/// What is gathered is handed over when there is so much…
const GATHERED_JOBS: usize = 512;

/// …or so many bytes of messages.
const GATHERED_BYTES: usize = 1024 * 1024;

/// Shared by all objects of a worker; they live on one JavaScript thread.
pub(super) struct Link {
    pub(super) inbox: Arc<WorkerInbox>,
    /// What JavaScript has asked for and sent in this macrotask, to be handed over together: a lock
    /// and a wake for each of them cost more than all the rest.
    gathered: RefCell<VecDeque<Job<World>>>,
    gathered_bytes: Cell<usize>,
    /// Something was asked for or sent since the last [`Self::flush`]: what comes now goes behind it.
    begun: Cell<bool>,
    /// What each DataConsumer has on its way to JavaScript.
    pub(super) backlogs: RefCell<FxHashMap<u32, Arc<Backlog>>>,
}

pub(super) type SharedLink = Rc<Link>;

impl Link {
    pub(super) fn new(inbox: Arc<WorkerInbox>) -> SharedLink {
        Rc::new(Self {
            inbox,
            gathered: RefCell::default(),
            gathered_bytes: Cell::new(0),
            begun: Cell::new(false),
            backlogs: RefCell::default(),
        })
    }

    /// Asks the worker for something and answers the request with it.
    pub(super) fn request<T: Serialize>(
        &self,
        request: u32,
        ask: impl FnOnce(&mut World) -> Result<T> + Send + 'static,
    ) {
        self.tell(move |world| {
            let answer = ask(world).and_then(|it| {
                serde_json::to_string(&it).map_err(|error| Error::InvalidAnswer(error.to_string()))
            });
            world.answer(request, answer);
        });
    }

    /// The same with options in JSON.
    pub(super) fn request_with<O: DeserializeOwned, T: Serialize>(
        &self,
        request: u32,
        options: String,
        ask: impl FnOnce(&mut World, O) -> Result<T> + Send + 'static,
    ) {
        self.request(request, move |world| ask(world, parse(&options)?));
    }

    /// Has the worker do something that nobody waits for. As with all of these, lib/ calls
    /// [`Self::flush`] soon.
    pub(super) fn tell(&self, job: impl FnOnce(&mut World) + Send + 'static) {
        self.gather(Job::Call(Box::new(job)), 0);
    }
}

impl Link {
    /// Sends a message with `len` bytes of payload. The first one after a flush goes to the worker at
    /// once, so that the worker routes it while JavaScript makes the next ones, which are gathered.
    pub(super) fn send(&self, job: Job<World>, len: usize) {
        let first = !self.begun.replace(true);
        if first && !self.inbox.is_filled() {
            self.inbox.post(job);
        } else {
            self.gather(job, len);
        }
    }

    /// Hands over a job at once, after those that were gathered.
    pub(super) fn post(&self, job: Job<World>) {
        self.flush();
        self.inbox.post(job);
    }

    fn gather(&self, job: Job<World>, len: usize) {
        self.begun.set(true);
        let mut gathered = self.gathered.borrow_mut();
        gathered.push_back(job);
        let bytes = self.gathered_bytes.get() + len;
        self.gathered_bytes.set(bytes);
        if gathered.len() >= GATHERED_JOBS || bytes >= GATHERED_BYTES {
            self.gathered_bytes.set(0);
            self.inbox.post_all(&mut gathered);
        }
    }

    /// The macrotask ends, or another begins: hands over what was gathered.
    pub(super) fn flush(&self) {
        self.begun.set(false);
        self.gathered_bytes.set(0);
        self.inbox.post_all(&mut self.gathered.borrow_mut());
    }
}

/// Reads options.
pub(super) fn parse<O: DeserializeOwned>(json: &str) -> Result<O> {
    serde_json::from_str(json).map_err(|error| Error::InvalidOptions(error.to_string()))
}
