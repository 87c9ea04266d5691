//! The thread of a worker, and the handle to it.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use crate::proto::certificate::Certificate;
use crate::proto::dtls;
use crate::sfu::contract::answers::WorkerAnswer;
use crate::sfu::contract::options::{PortRange, WorkerSettings};
use crate::sfu::error::Error;
use crate::sfu::memory::Memory;

use super::driver::Driver;
use super::log;
use super::outbox::{Item, Outbox};
use super::panics;
use super::usage;
use super::world::{WorkerInbox, World};

fn certificate(settings: &WorkerSettings) -> Result<Certificate, Error> {
    Ok(match &settings.dtls_certificate {
        None => Certificate::generate()?,
        Some(pem) => Certificate::from_pem(&pem.certificate, &pem.private_key)?,
    })
}

/// What the thread waits for before it serves.
struct StartRequest {
    request: u32,
    settings: WorkerSettings,
    memory: Option<Arc<Memory>>,
}

/// A worker's thread. Dropping the handle closes the worker and waits for the thread's end.
#[derive(Debug)]
pub struct WorkerHandle {
    inbox: Arc<WorkerInbox>,
    thread_id: u32,
    start: Option<mpsc::Sender<StartRequest>>,
    memory: Option<Arc<Memory>>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Spawns the thread, which waits for [`Self::start`].
    pub fn new(outbox: Arc<Outbox>) -> std::io::Result<Self> {
        let inbox = Arc::new(WorkerInbox::default());
        let (start, begin) = mpsc::channel();
        let (send_id, id) = mpsc::channel();
        let main = {
            let inbox = Arc::clone(&inbox);
            move || {
                // Sending fails only if the handle, which waits for the id, was dropped.
                let _ = send_id.send(usage::thread_id());
                run(&begin, &inbox, &outbox);
            }
        };
        #[allow(clippy::disallowed_methods, reason = "the one place where threads begin")]
        let thread = std::thread::Builder::new().name("datasoup-worker".into()).spawn(main)?;
        let thread_id = id.recv().unwrap_or_default();
        Ok(Self { inbox, thread_id, start: Some(start), memory: None, thread: Some(thread) })
    }

    /// Begins to serve, and answers `request`. If the settings are rejected, the thread ends.
    pub fn start(&mut self, request: u32, settings: WorkerSettings) {
        if let Some(start) = self.start.take() {
            self.memory = settings.max_memory.map(|max| Arc::new(Memory::new(max)));
            let memory = self.memory.clone();
            // Sending fails only if the thread has ended, and the outbox reports that.
            let _ = start.send(StartRequest { request, settings, memory });
        }
    }

    /// What the queues of the worker may hold together, if the settings limit that.
    pub fn memory(&self) -> Option<&Arc<Memory>> {
        self.memory.as_ref()
    }

    /// The operating system's id of the thread.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// The inbox for jobs.
    pub fn inbox(&self) -> &Arc<WorkerInbox> {
        &self.inbox
    }

    /// Closes everything that the worker serves. Of the jobs posted before, the thread does as many as one turn may;
    /// then it ends.
    pub fn close(&mut self) {
        self.start = None;
        self.inbox.end();
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take() {
            // The thread catches its own panics.
            let _ = thread.join();
        }
    }
}

fn run(start: &mpsc::Receiver<StartRequest>, inbox: &Arc<WorkerInbox>, outbox: &Arc<Outbox>) {
    let served = panics::catch(|| {
        let StartRequest { request, settings, memory } = start.recv().ok()?;
        log::attach(settings.log_level, settings.log_tags.clone());
        let (serve, answer) = match serve(&settings, memory, inbox, outbox) {
            Ok((serve, answer)) => (Some(serve), Ok(answer)),
            Err(error) => (None, Err(error)),
        };
        let mut begin = VecDeque::new();
        log::take(|level, text| begin.push_back(Item::Log(level, text)));
        begin.push_back(Item::Answer(request, answer.map_err(Box::new)));
        outbox.push(&mut begin);
        serve.and_then(|it| it())
    });
    inbox.close();
    let mut end = VecDeque::new();
    let metrics = served.unwrap_or_else(|panic| {
        end.extend(panic.backtrace.map(|it| Item::Log("error", it)));
        end.push_back(Item::Died(panic.message));
        None
    });
    end.push_back(Item::Ended(metrics));
    outbox.push(&mut end);
}

/// Does everything that can fail. Returns a function that serves until the worker is closed and returns its last
/// metrics as JSON, and the answer to the start.
fn serve(
    settings: &WorkerSettings,
    memory: Option<Arc<Memory>>,
    inbox: &Arc<WorkerInbox>,
    outbox: &Arc<Outbox>,
) -> Result<(impl FnOnce() -> Option<String> + use<>, String), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Error::Start(error.to_string()))?;
    let certificate = certificate(settings)?;
    let (inbox, outbox) = (Arc::clone(inbox), Arc::clone(outbox));
    let ports = PortRange { min: settings.rtc_min_port, max: settings.rtc_max_port };
    ::log::debug!("worker started, ports {} to {}", ports.min, ports.max);
    let answer = WorkerAnswer { dtls_fingerprints: certificate.fingerprints() };
    let answer =
        serde_json::to_string(&answer).map_err(|it| Error::InvalidAnswer(it.to_string()))?;
    let serve = move || {
        dtls::warm_up();
        let mut world = World::new(certificate, ports, Arc::clone(&inbox), outbox);
        memory.into_iter().for_each(|it| world.sfu.limit_memory(it));
        let metrics = runtime.block_on(Driver::new(world, inbox).run());
        serde_json::to_string(&metrics).ok()
    };
    Ok((serve, answer))
}
