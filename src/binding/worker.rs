//! `Worker`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Function, Uint8ArraySlice, Uint32ArraySlice};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{CleanupEnvHook, Result};
use napi_derive::napi;

use crate::runtime::log;
use crate::runtime::outbox::Outbox;
use crate::runtime::usage;
use crate::runtime::worker::WorkerHandle;
use crate::sfu::contract::options::{LogSettings, WebRtcServerOptions, WorkerSettings};
use crate::sfu::id::{RouterKey, WebRtcServerKey};

use super::link::{Link, SharedLink, parse};
use super::queue::Reader;
use super::router::Router;
use super::webrtc_server::WebRtcServer;

type Handle = Rc<RefCell<Option<WorkerHandle>>>;

/// What is left to do when Node.js ends without close().
type Cleanup = CleanupEnvHook<(Handle, SharedLink)>;

/// A worker's thread, and the queue of what it tells.
#[napi]
pub struct Worker {
    handle: Handle,
    outbox: Arc<Outbox>,
    link: SharedLink,
    reader: Reader,
    cleanup: Option<Cleanup>,
}

#[napi]
impl Worker {
    /// Starts the thread. `wake` is called when there is something in the queue.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, wake: Function<'_, (), ()>) -> Result<Self> {
        let wake = wake.build_threadsafe_function::<()>().build()?;
        let outbox = Arc::new(Outbox::new(move || {
            // Fails when Node.js is going down, and then nobody listens.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }));
        let handle = WorkerHandle::new(Arc::clone(&outbox))
            .map_err(|error| napi::Error::from_reason(format!("cannot start a thread: {error}")))?;
        let link = Link::new(Arc::clone(handle.inbox()));
        let reader = Reader::new(Arc::clone(&outbox), Rc::clone(&link));
        let handle = Rc::new(RefCell::new(Some(handle)));
        // Node.js may end without close(): a terminated worker_thread, process.exit().
        let held = (Rc::clone(&handle), Rc::clone(&link));
        let cleanup = env.add_env_cleanup_hook(held, |(handle, link)| {
            link.flush();
            drop(handle.borrow_mut().take());
        })?;
        Ok(Self { handle, outbox, link, reader, cleanup: Some(cleanup) })
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
        }
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn update_settings(&self, request: u32, settings: String) {
        self.link.request_with(request, settings, |_, settings: LogSettings| {
            log::update(settings);
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        self.link.request(request, |world| Ok(world.dump()));
    }

    #[napi(catch_unwind)]
    pub fn get_resource_usage(&self, request: u32) {
        self.link.request(request, |_| Ok(usage::of_this_thread()));
    }

    #[napi(catch_unwind)]
    pub fn create_web_rtc_server(&self, request: u32, options: String) -> WebRtcServer {
        let key = WebRtcServerKey(request);
        self.link.request_with(request, options, move |world, options: WebRtcServerOptions| {
            let infos: Vec<_> = options.listen_infos.iter().enumerate().collect();
            let listens = world.listen(&infos)?;
            Ok(world.sfu.create_webrtc_server(key, listens))
        });
        WebRtcServer { link: Rc::clone(&self.link), key }
    }

    #[napi(catch_unwind)]
    pub fn create_router(&self, request: u32) -> Router {
        let key = RouterKey(request);
        self.link.request(request, move |world| Ok(world.sfu.create_router(key)));
        Router { link: Rc::clone(&self.link), key }
    }

    /// Closes everything and lets the thread end.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.link.flush();
        if let Some(handle) = &mut *self.handle.borrow_mut() {
            handle.close();
        }
    }

    /// Hands over what was gathered; see [`Link`].
    #[napi(catch_unwind)]
    pub fn flush(&self) {
        self.link.flush();
    }

    /// See [`Reader::drain`].
    #[napi(catch_unwind)]
    pub fn drain(
        &mut self,
        mut slab: Uint8ArraySlice<'_>,
        offset: u32,
        mut records: Uint32ArraySlice<'_>,
    ) -> u32 {
        // SAFETY: both arrays are lib/'s own and no one else looks at them during this call.
        let (slab, records) = unsafe { (slab.as_mut(), records.as_mut()) };
        self.reader.drain(slab, offset as usize, records) as u32
    }

    /// What comes next in the queue.
    #[napi(catch_unwind)]
    pub fn peek(&mut self) -> u32 {
        self.reader.peek() as u32
    }

    /// The large message that the last record announced.
    #[napi(catch_unwind)]
    pub fn take_buffer<'env>(&mut self, env: &'env Env) -> Result<BufferSlice<'env>> {
        let payload = self.reader.take_message().map(|it| it.payload).unwrap_or_default();
        BufferSlice::copy_from(env, payload)
    }

    #[napi(catch_unwind)]
    pub fn take_answers(&mut self) -> String {
        self.reader.take_answers()
    }

    #[napi(catch_unwind)]
    pub fn take_event(&mut self, env: Env) -> Result<String> {
        let (event, last) = self.reader.take_event();
        if last {
            self.end(&env)?;
        }
        Ok(event)
    }

    /// Makes the thread panic, to test what happens then.
    #[napi(catch_unwind)]
    pub fn panic_for_tests(&self) {
        self.link.tell(|_| panic!("panic for tests"));
        self.link.flush();
    }

    /// The thread has ended: nothing keeps Node.js from ending any more.
    fn end(&mut self, env: &Env) -> Result<()> {
        drop(self.handle.borrow_mut().take());
        self.outbox.retire();
        self.cleanup.take().map_or(Ok(()), |hook| env.remove_env_cleanup_hook(hook))
    }
}
