//! `Worker`: the life of its thread, and requests. Its methods for the queue are in `drain.rs`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use napi::Result;
use napi::bindgen_prelude::{Env, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::runtime::log;
use crate::runtime::outbox::Outbox;
use crate::runtime::usage;
use crate::runtime::worker::WorkerHandle;
use crate::sfu::contract::options::{LogSettings, WebRtcServerOptions, WorkerSettings};
use crate::sfu::drain_state::DrainScope;
use crate::sfu::id::{RouterKey, WebRtcServerKey};

use super::batcher::{Batcher, SharedBatcher, parse};
use super::cleanup::{self, Handle};
use super::reader::Reader;
use super::router::Router;
use super::webrtc_server::WebRtcServer;

/// A worker's thread, and the queue from it.
#[napi]
pub struct Worker {
    pub(super) handle: Handle,
    pub(super) outbox: Arc<Outbox>,
    pub(super) batcher: SharedBatcher,
    pub(super) reader: Reader,
}

#[napi]
impl Worker {
    /// Starts the thread. `wake` is called when there is something in the queue.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, wake: Function<'_, (), ()>) -> Result<Self> {
        let wake = wake.build_threadsafe_function::<()>().build()?;
        let outbox = Arc::new(Outbox::new(move || {
            // The call fails only when Node.js is shutting down, and then no reader is left to wake.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }));
        let handle = WorkerHandle::new(Arc::clone(&outbox))
            .map_err(|error| napi::Error::from_reason(format!("cannot start a thread: {error}")))?;
        let batcher = Batcher::new(Arc::clone(handle.inbox()));
        let reader = Reader::new(Arc::clone(&outbox), Rc::clone(&batcher));
        let handle = Rc::new(RefCell::new(Some(handle)));
        cleanup::register(&env, &handle, &batcher)?;
        Ok(Self { handle, outbox, batcher, reader })
    }

    /// The operating system's id of the thread.
    #[napi(getter, catch_unwind)]
    pub fn thread_id(&self) -> u32 {
        self.handle.borrow().as_ref().map_or(0, WorkerHandle::thread_id)
    }

    /// Begins to serve.
    #[napi(catch_unwind)]
    pub fn start(&self, request: u32, settings: String) -> Result<()> {
        let settings: WorkerSettings =
            parse(&settings).map_err(|error| napi::Error::from_reason(error.to_string()))?;
        if let Some(handle) = &mut *self.handle.borrow_mut() {
            handle.start(request, settings);
            if let Some(memory) = handle.memory() {
                // A worker starts once, so the cell is empty.
                let _ = self.batcher.memory.set(Arc::clone(memory));
            }
        }
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn update_settings(&self, request: u32, settings: String) {
        self.batcher.request_with(request, settings, |_, settings: LogSettings| {
            log::update(settings);
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        self.batcher.request(request, |world| Ok(world.dump()));
    }

    #[napi(catch_unwind)]
    pub fn get_metrics(&self, request: u32) {
        self.batcher.request(request, |world| Ok(world.metrics()));
    }

    #[napi(catch_unwind)]
    pub fn get_resource_usage(&self, request: u32) {
        self.batcher.request(request, |_| Ok(usage::of_this_thread()));
    }

    #[napi(catch_unwind)]
    pub fn create_web_rtc_server(&self, request: u32, options: String) -> WebRtcServer {
        let key = WebRtcServerKey(request);
        self.batcher.request_with(request, options, move |world, options: WebRtcServerOptions| {
            let infos: Vec<_> = options.listen_infos.iter().enumerate().collect();
            let listens = world.listen(&infos)?;
            Ok(world.sfu.create_webrtc_server(key, listens))
        });
        WebRtcServer { batcher: Rc::clone(&self.batcher), key }
    }

    #[napi(catch_unwind)]
    pub fn create_router(&self, request: u32) -> Router {
        let key = RouterKey(request);
        self.batcher.request(request, move |world| Ok(world.sfu.create_router(key)));
        Router { batcher: Rc::clone(&self.batcher), key }
    }

    #[napi(catch_unwind)]
    pub fn drained(&self, request: u32) {
        self.batcher.run(move |world| world.drain(request, DrainScope::Worker));
    }

    /// Answers a request of `drained()`, of any object of this worker, at once.
    #[napi(catch_unwind)]
    pub fn cancel_drained(&self, request: u32) {
        self.batcher.run(move |world| world.sfu.cancel_drain(request));
    }

    /// Closes everything and lets the thread end.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.batcher.flush();
        self.reader.close();
        if let Some(handle) = &mut *self.handle.borrow_mut() {
            handle.close();
        }
    }

    /// Makes the thread panic.
    ///
    /// It is in the released addon so that the tests of 'died' run what ships. An application cannot call
    /// it by accident: lib/ neither calls it nor gives out native objects, and package.json exports
    /// nothing that reaches it.
    #[napi(catch_unwind)]
    pub fn panic_for_tests(&self) {
        self.batcher.run(|_| panic!("panic for tests"));
        self.batcher.flush();
    }
}
