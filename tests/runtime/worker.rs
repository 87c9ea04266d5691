//! A worker for tests, and the items of its outbox.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::options;
use datasoup::runtime::job::Job;
use datasoup::runtime::outbox::{Item, Outbox};
use datasoup::runtime::worker::WorkerHandle;
use datasoup::runtime::world::World;
use datasoup::sfu::contract::options::{ListenInfo, WorkerSettings};
use datasoup::sfu::contract::parameters::ListenProtocol;
use datasoup::sfu::error::Error;

/// How long to wait for an item or a datagram before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Worker {
    pub(crate) handle: Option<WorkerHandle>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) wakes: Arc<AtomicUsize>,
    woken: mpsc::Receiver<()>,
    batch: VecDeque<Item>,
    next_request: u32,
}

impl Worker {
    /// A worker whose thread waits for its start.
    pub(crate) fn new() -> Self {
        let (wake, woken) = mpsc::channel();
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        let outbox = Arc::new(Outbox::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            // The receiver is gone once the test has ended.
            let _ = wake.send(());
        }));
        let handle = Some(WorkerHandle::new(Arc::clone(&outbox)).expect("a thread"));
        Self { handle, outbox, wakes, woken, batch: VecDeque::new(), next_request: 100 }
    }

    /// A started worker.
    pub(crate) fn started() -> Self {
        let mut worker = Self::new();
        worker.start(options::worker()).expect("good settings");
        worker
    }

    pub(crate) fn start(&mut self, settings: WorkerSettings) -> Result<String, Error> {
        self.handle().start(1, settings);
        self.answer(1)
    }

    pub(crate) fn handle(&mut self) -> &mut WorkerHandle {
        self.handle.as_mut().expect("not dropped yet")
    }

    pub(crate) fn post(&mut self, job: Job<World>) {
        self.handle().inbox().post(job);
    }

    /// Posts a job that is answered; returns the number of the request.
    pub(crate) fn ask(
        &mut self,
        job: impl FnOnce(&mut World) -> Result<String, Error> + Send + 'static,
    ) -> u32 {
        self.next_request += 1;
        let request = self.next_request;
        self.post(Job::call(move |world| {
            let answer = job(world);
            world.answer(request, answer);
        }));
        request
    }

    /// Posts a job and waits for its answer. Events and messages that come before the answer are thrown away.
    pub(crate) fn call(
        &mut self,
        job: impl FnOnce(&mut World) -> Result<String, Error> + Send + 'static,
    ) -> Result<String, Error> {
        let request = self.ask(job);
        self.answer(request)
    }

    pub(crate) fn answer(&mut self, request: u32) -> Result<String, Error> {
        loop {
            match self.next() {
                Item::Answer(number, result) if number == request => {
                    return result.map_err(|error| *error);
                }
                Item::Ended(_) => panic!("the worker has ended"),
                _ => {}
            }
        }
    }

    /// The next item, past those that only say when a message was queued.
    pub(crate) fn next(&mut self) -> Item {
        loop {
            match self.batch.pop_front() {
                Some(Item::Sampled(_)) => continue,
                Some(item) => return item,
                None => {}
            }
            self.woken.recv_timeout(PATIENCE).expect("another item");
            self.outbox.take(&mut self.batch);
        }
    }

    /// The items up to and including the one for which `done` returns true.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&Item) -> bool) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            let item = self.next();
            let last = done(&item);
            items.push(item);
            if last {
                return items;
            }
        }
    }

    /// All items up to the end.
    pub(crate) fn rest(&mut self) -> Vec<Item> {
        self.until(|item| matches!(item, Item::Ended(_)))
    }
}

pub(crate) fn listen_info(ip: &str, port: u16) -> ListenInfo {
    let port = (port != 0).then_some(port);
    let ip = ip.parse().expect("an address");
    ListenInfo { ip, port, ..options::listen_info(ListenProtocol::Udp) }
}

/// A client's socket on this address.
pub(crate) fn socket(ip: &str) -> UdpSocket {
    let ip: IpAddr = ip.parse().expect("an address");
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

/// Whether `address` can be bound.
pub(crate) fn is_free(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}
