//! The turn: what a worker's thread does, over and over. The only file that reads the clock.
//!
//! ```text
//! wait for a readable socket, a job or the next deadline
//!   datagrams, bounded ─► sfu
//!   jobs, bounded      ─► sfu
//!   deadlines          ─► sfu
//!   each dirty transport, once ─► datagrams ─► sockets
//!   events and answers ─► outbox, with one wake
//! ```

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use tokio::time::Sleep;

use crate::proto::certificate::Certificate;
use crate::proto::transmit::SocketId;
use crate::sfu::Sfu;
use crate::sfu::error::Error;
use crate::sfu::event::Event;
use crate::sfu::transport::{Listen, ListenProtocol};

use super::inbox::{Inbox, Job};
use super::outbox::{Item, Outbox};
use super::ports::{self, ListenInfo, PortRange};
use super::udp::{ReceiveBuffers, UdpPort};

/// Jobs of one turn. What is left is for the next, so that a fast sender in JavaScript does not keep
/// the sockets waiting.
const JOBS_PER_TURN: usize = 4096;

/// How far away a deadline is set when there is none.
const FAR: Duration = Duration::from_secs(3600);

/// Everything that a worker's thread owns.
pub struct World {
    /// The entities.
    pub sfu: Sfu,
    ports: PortRange,
    inbox: Arc<Inbox>,
    sockets: FxHashMap<SocketId, UdpPort>,
    next_socket: u32,
    /// To be closed once this turn's datagrams are sent.
    released: Vec<SocketId>,
    items: VecDeque<Item>,
    closing: bool,
}

impl World {
    pub(super) fn new(certificate: Certificate, ports: PortRange, inbox: Arc<Inbox>) -> Self {
        Self {
            sfu: Sfu::new(certificate, clock(), uptime()),
            ports,
            inbox,
            sockets: FxHashMap::default(),
            next_socket: 0,
            released: Vec::new(),
            items: VecDeque::new(),
            closing: false,
        }
    }

    /// Answers a request. What has happened before comes before the answer, and what the request
    /// itself made happen after it.
    pub fn answer(&mut self, request: u32, result: Result<String, Error>) {
        self.items.push_back(Item::Answer(request, result));
    }

    /// Binds the sockets of `infos`. An error leaves none bound.
    pub fn listen(&mut self, infos: &[(usize, ListenInfo)]) -> Result<Vec<Listen>, Error> {
        let mut listens = Vec::with_capacity(infos.len());
        for (index, info) in infos {
            match self.listen_on(*index, info) {
                Ok(listen) => listens.push(listen),
                Err(error) => {
                    self.unlisten(&listens);
                    return Err(error);
                }
            }
        }
        Ok(listens)
    }

    /// Closes sockets that nobody took.
    pub fn unlisten(&mut self, listens: &[Listen]) {
        for listen in listens {
            self.sockets.remove(&listen.socket);
        }
    }

    fn listen_on(&mut self, index: usize, info: &ListenInfo) -> Result<Listen, Error> {
        if info.protocol == ListenProtocol::Tcp {
            return Err(Error::Unsupported("ICE over TCP is not there yet".into()));
        }
        let socket = ports::bind(info, self.ports)?;
        let id = SocketId(self.next_socket);
        let waker = self.inbox.socket_waker(id);
        let failed = |error| Error::Other(format!("cannot listen on {}: {error}", info.ip));
        let port = UdpPort::new(socket, waker.clone()).map_err(failed)?;
        let local = port.local_addr().map_err(failed)?;
        self.next_socket += 1;
        self.sockets.insert(id, port);
        // The first look arms it.
        waker.wake();
        Ok(Listen {
            socket: id,
            protocol: info.protocol,
            local,
            announced_address: info.announced_address.clone(),
            expose_internal_ip: info.expose_internal_ip,
            index,
        })
    }

    /// Serves until the worker is closed.
    pub(super) async fn run(mut self, outbox: &Outbox) {
        let mut jobs = Vec::new();
        let mut later = VecDeque::new();
        let mut readable = Vec::new();
        let mut buffers = ReceiveBuffers::new();
        let mut sleep = pin!(tokio::time::sleep(FAR));
        while !self.closing {
            if later.is_empty() && readable.is_empty() {
                self.wait(sleep.as_mut()).await;
            } else {
                // Lets the runtime look at the sockets.
                tokio::task::yield_now().await;
            }
            self.inbox.take(&mut jobs, &mut readable);
            later.extend(jobs.drain(..));

            let now = clock();
            self.sfu.begin_turn(now);
            self.receive(&mut readable, &mut buffers);
            for job in later.drain(..later.len().min(JOBS_PER_TURN)) {
                self.do_job(job);
            }
            if self.sfu.poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.sfu.handle_timeout();
            }
            self.transmit();
            self.collect_events();
            outbox.push(&mut self.items);
        }
        // Nobody gets what comes after the end.
        self.inbox.close();
    }

    /// Waits for work or for the next deadline.
    async fn wait(&mut self, mut sleep: Pin<&mut Sleep>) {
        let deadline = self.sfu.poll_timeout();
        if let Some(deadline) = deadline
            && sleep.deadline().into_std() != deadline
        {
            sleep.as_mut().reset(deadline.into());
        }
        poll_fn(|cx| {
            let fired = deadline.is_some() && sleep.as_mut().poll(cx).is_ready();
            if fired { Poll::Ready(()) } else { self.inbox.poll_filled(cx) }
        })
        .await;
    }

    /// Reads the readable sockets; those that have more stay in the list.
    fn receive(&mut self, readable: &mut Vec<SocketId>, buffers: &mut ReceiveBuffers) {
        let Self { sockets, sfu, .. } = self;
        readable.retain(|id| {
            let Some(port) = sockets.get_mut(id) else { return false };
            port.receive(buffers, |remote, datagram| sfu.handle_datagram(*id, remote, datagram))
        });
    }

    fn do_job(&mut self, job: Job) {
        match job {
            Job::Send(producer, message, selector) => {
                self.sfu.send(producer, &message, selector.as_deref());
            }
            Job::NotifyDrain(producer) => self.sfu.notify_drain(producer),
            Job::Relieved(consumer) => self.sfu.relieved(consumer),
            Job::Call(call) => {
                self.collect_events();
                call(self);
                self.collect_events();
            }
            Job::Close => {
                self.sfu.close();
                self.closing = true;
            }
        }
    }

    fn transmit(&mut self) {
        let transmits = self.sfu.flush();
        let mut index = 0;
        while let Some((tuple, _)) = transmits.get(index) {
            index += match self.sockets.get_mut(&tuple.socket) {
                Some(port) => port.send(transmits, index),
                None => 1,
            };
        }
        transmits.clear();
        for socket in self.released.drain(..) {
            self.sockets.remove(&socket);
        }
    }

    fn collect_events(&mut self) {
        while let Some(event) = self.sfu.poll_event() {
            match event {
                Event::SocketReleased(socket) => self.released.push(socket),
                Event::TupleClosed(_) => {}
                event => self.items.push_back(Item::Event(event)),
            }
        }
    }
}

/// Reads the clock.
#[allow(clippy::disallowed_methods, reason = "the one place where time comes from")]
fn clock() -> Instant {
    Instant::now()
}

/// The system's monotonic clock, which the application sees in timestamps. Unlike [`Instant`] it has
/// a number.
fn uptime() -> Duration {
    super::usage::monotonic()
}
