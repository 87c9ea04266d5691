//! How the objects of one worker reach its thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::driver::World;
use crate::runtime::inbox::{Inbox, Job};
use crate::sfu::backlog::Backlog;
use crate::sfu::error::{Error, Result};

/// Shared by all objects of a worker; they live on one JavaScript thread.
pub(super) struct Link {
    pub(super) inbox: Arc<Inbox>,
    /// What each DataConsumer has on its way to JavaScript.
    pub(super) backlogs: RefCell<FxHashMap<u32, Arc<Backlog>>>,
}

pub(super) type SharedLink = Rc<Link>;

impl Link {
    pub(super) fn new(inbox: Arc<Inbox>) -> SharedLink {
        Rc::new(Self { inbox, backlogs: RefCell::default() })
    }

    /// Asks the worker for something and answers the request with it.
    pub(super) fn request<T: Serialize>(
        &self,
        request: u32,
        ask: impl FnOnce(&mut World) -> Result<T> + Send + 'static,
    ) {
        self.tell(move |world| {
            let answer = ask(world).and_then(|it| {
                serde_json::to_string(&it).map_err(|error| Error::Other(error.to_string()))
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

    /// Has the worker do something that nobody waits for.
    pub(super) fn tell(&self, job: impl FnOnce(&mut World) + Send + 'static) {
        self.inbox.post(Job::Call(Box::new(job)));
    }
}

/// Reads options.
pub(super) fn parse<O: DeserializeOwned>(json: &str) -> Result<O> {
    serde_json::from_str(json).map_err(|error| Error::Type(format!("invalid options: {error}")))
}
