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
use crate::proto::net::{SocketId, Tuple};
use crate::sfu::Sfu;
use crate::sfu::dump::WorkerDump;
use crate::sfu::error::Error;
use crate::sfu::event::Event;
use crate::sfu::id::TransportKey;
use crate::sfu::transport::Listen;
use crate::sfu::transport::tunnel::TunnelFrame;

use super::inbox::{Inbox, Job};
use super::log;
use super::outbox::{Item, Outbox};
use super::ports::{ListenInfo, PortRange};
use super::sockets::Sockets;
use super::usage;

/// Jobs of one turn. What is left is for the next, so that a fast sender in JavaScript does not keep
/// the sockets waiting.
const JOBS_PER_TURN: usize = 4096;

/// How long we stay awake for JavaScript when it has come back as quickly before. To sleep and to be
/// woken costs about as much (25 µs and more for either side where a virtual core halts), so this is
/// never much worse than knowing beforehand what is better; who sends every few milliseconds never
/// gets here.
const PATIENCE: Duration = Duration::from_micros(50);

/// Looks into the inbox between two looks at the sockets: a few microseconds.
const LOOKS: usize = 100;

/// How far away a deadline is set when there is none.
const FAR: Duration = Duration::from_secs(3600);

/// Everything that a worker's thread owns.
pub struct World {
    /// The entities.
    pub sfu: Sfu,
    sockets: Sockets,
    inbox: Arc<Inbox>,
    outbox: Arc<Outbox>,
    /// To be closed once this turn's datagrams are sent.
    released: Vec<Released>,
    /// Where the other ends of tunnels are.
    far_ends: FxHashMap<TransportKey, FarEnd>,
    /// What goes to the workers of these, each in one piece.
    frames: Vec<(Arc<Inbox>, VecDeque<Job>)>,
    items: VecDeque<Item>,
    closing: bool,
    /// Whether JavaScript has come back within [`PATIENCE`] of the last turn.
    in_conversation: bool,
}

/// The other end of a tunnel.
#[derive(Clone)]
pub struct FarEnd {
    /// Its worker's.
    pub inbox: Arc<Inbox>,
    /// Its transport there.
    pub transport: TransportKey,
}

/// What the domain does not need any more.
enum Released {
    Socket(SocketId),
    Connection(Tuple),
}

impl World {
    pub(super) fn new(
        certificate: Certificate,
        ports: PortRange,
        inbox: Arc<Inbox>,
        outbox: Arc<Outbox>,
    ) -> Self {
        Self {
            sfu: Sfu::new(certificate, clock(), usage::monotonic()),
            sockets: Sockets::new(Arc::clone(&inbox), ports),
            inbox,
            outbox,
            released: Vec::new(),
            far_ends: FxHashMap::default(),
            frames: Vec::new(),
            items: VecDeque::new(),
            closing: false,
            in_conversation: false,
        }
    }

    /// Answers a request. What has happened before comes before the answer, and what the request
    /// itself made happen after it.
    pub fn answer(&mut self, request: u32, result: Result<String, Error>) {
        self.items.push_back(Item::Answer(request, result));
    }

    /// What `worker.dump()` answers.
    pub fn dump(&self) -> WorkerDump {
        self.sfu.dump(usage::thread_id(), self.sockets.counters(), self.outbox.counters())
    }

    /// Binds the sockets of `infos`. An error leaves none bound.
    pub fn listen(&mut self, infos: &[(usize, ListenInfo)]) -> Result<Vec<Listen>, Error> {
        let mut listens = Vec::with_capacity(infos.len());
        for (index, info) in infos {
            match self.sockets.listen(*index, info) {
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
            self.sockets.close(listen.socket);
        }
    }

    /// Joins a pipe transport with one of the same process, past the network.
    pub fn tunnel(&mut self, transport: TransportKey, far_end: FarEnd) -> Result<(), Error> {
        self.sfu.transport(transport)?.tunnel()?;
        far_end.inbox.tell_end(&self.inbox);
        self.far_ends.insert(transport, far_end);
        Ok(())
    }

    /// Hands something to the other end of a tunnel, by [`Self::post_parcels`].
    fn hand_over(&mut self, transport: TransportKey, frame: TunnelFrame) {
        let last = matches!(frame, TunnelFrame::Close);
        let Some(FarEnd { inbox, transport: there }) = self.far_ends.get(&transport) else {
            return;
        };
        let job = Job::TunnelFrame(*there, frame);
        match self.frames.iter_mut().find(|(it, _)| Arc::ptr_eq(it, inbox)) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.frames.push((Arc::clone(inbox), VecDeque::from([job]))),
        }
        if last {
            self.far_ends.remove(&transport);
        }
    }

    /// Posts what was handed over. To be called before JavaScript is told anything of this turn: what
    /// it then asks of another worker comes behind what this one has sent there.
    fn post_parcels(&mut self) {
        self.frames.retain_mut(|(inbox, jobs)| {
            inbox.post_all(jobs);
            !inbox.is_closed()
        });
    }

    /// The ends of tunnels whose other ends are gone without a word learn of it.
    fn handle_neighbour_ended(&mut self) {
        let gone = |it: &FarEnd| it.inbox.is_closed();
        for (transport, _) in self.far_ends.extract_if(|_, it| gone(it)).collect::<Vec<_>>() {
            self.sfu.handle_tunnel_frame(transport, TunnelFrame::Close);
        }
    }

    /// Serves until the worker is closed.
    pub(super) async fn run(mut self) {
        let mut jobs = VecDeque::new();
        let mut readable = Vec::new();
        let mut sleep = pin!(tokio::time::sleep(FAR));
        while !self.closing {
            if jobs.is_empty() && readable.is_empty() {
                let began = clock();
                if !(self.in_conversation && self.linger(began).await) {
                    self.wait(sleep.as_mut()).await;
                }
                self.in_conversation = clock() - began < PATIENCE;
            } else {
                // Lets the runtime look at the sockets.
                tokio::task::yield_now().await;
            }
            self.inbox.take(&mut jobs, &mut readable);
            // On one core, JavaScript answers only when we sleep.
            self.in_conversation &= !jobs.is_empty() && !self.inbox.is_from_this_core();

            let now = clock();
            self.sfu.begin_turn(now);
            self.sockets.receive(&mut readable, &mut self.sfu, now);
            for job in jobs.drain(..jobs.len().min(JOBS_PER_TURN)) {
                self.do_job(job);
                if self.closing {
                    break; // What was asked after it finds nothing any more.
                }
            }
            if self.sfu.poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.sfu.handle_timeout();
            }
            self.sockets.expire(now, &self.sfu);
            self.transmit();
            self.collect_events();
            self.release();
            self.post_parcels();
            let lost = log::take(|level, text| self.items.push_back(Item::Log(level, text)));
            self.outbox.count_dropped_lines(lost);
            self.outbox.push(&mut self.items);
        }
        debug_assert!(self.sfu.is_empty(), "closing leaves nothing: {:#?}", self.sfu);
        // Nobody gets what comes after the end.
        self.inbox.close();
    }

    /// Stays awake for a moment, with an eye on the sockets. Returns whether there is work.
    async fn linger(&mut self, began: Instant) -> bool {
        while clock() - began < PATIENCE {
            // JavaScript often answers before it goes to sleep itself, and then nobody need be woken:
            // that is worth an answer within nanoseconds. A look at the sockets takes longer.
            for _ in 0..LOOKS {
                if self.inbox.is_filled() {
                    return true;
                }
                std::hint::spin_loop();
            }
            tokio::task::yield_now().await;
        }
        false
    }

    /// Waits for work or for the next deadline.
    async fn wait(&mut self, mut sleep: Pin<&mut Sleep>) {
        let deadlines = [self.sfu.poll_timeout(), self.sockets.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
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

    fn do_job(&mut self, job: Job) {
        match job {
            Job::Send(producer, message, selector) => {
                self.sfu.send(producer, message, selector.as_deref());
            }
            Job::TunnelFrame(transport, frame) => self.sfu.handle_tunnel_frame(transport, frame),
            Job::NotifyDrain(producer) => self.sfu.notify_drain(producer),
            Job::Relieved(consumer) => self.sfu.relieved(consumer),
            Job::NeighbourEnded => self.handle_neighbour_ended(),
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
        loop {
            // Taken out, so that a connection that turns out to be closed can be told to the domain.
            let mut transmits = std::mem::take(self.sfu.flush());
            let lost = self.sockets.transmit(&transmits, &mut self.sfu);
            transmits.clear();
            self.sfu.recycle(transmits);
            if !lost {
                return;
            }
            // What waits for the peer goes another way, if there is one: now, as nothing may happen
            // for long. Each round has one connection less.
        }
    }

    fn collect_events(&mut self) {
        while let Some(event) = self.sfu.poll_event() {
            match event {
                Event::TunnelFrame(transport, frame) => self.hand_over(transport, frame),
                Event::SocketReleased(socket) => self.released.push(Released::Socket(socket)),
                Event::ConnectionReleased(tuple) => {
                    self.released.push(Released::Connection(tuple));
                }
                event => self.items.push_back(Item::Event(event)),
            }
        }
    }

    fn release(&mut self) {
        for released in self.released.drain(..) {
            match released {
                Released::Socket(socket) => self.sockets.close(socket),
                // It may have been proved again since, or be the next one from its port.
                Released::Connection(tuple) if self.sfu.is_valid_tuple(tuple) => {}
                Released::Connection(tuple) => self.sockets.close_connection(tuple),
            }
        }
    }
}

/// Reads the clock.
#[allow(clippy::disallowed_methods, reason = "the one place where time comes from")]
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
