//! Everything that a worker's thread owns, and the parts of a turn.
//!
//! Jobs get a `&mut World`. They may ask the [`Sfu`] for anything, bind sockets and answer requests;
//! what they cause leaves with the turn: see `driver.rs` for the order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::proto::certificate::Certificate;
use crate::proto::net::{SocketId, Tuple};
use crate::proto::sampler::Sampler;
use crate::sfu::Sfu;
use crate::sfu::address::Listen;
use crate::sfu::contract::dump::WorkerDump;
use crate::sfu::contract::metrics::WorkerMetrics;
use crate::sfu::contract::options::{ListenInfo, PortRange};
use crate::sfu::drain_state::DrainScope;
use crate::sfu::error::Error;
use crate::sfu::event::Event;
use crate::sfu::histogram::{Histogram, TURNS};
use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::sfu::source::Source;
use crate::sfu::tunnel::TunnelFrame;
use crate::sfu::work;

use super::inbox::Inbox;
use super::job::{Job, Place};
use super::lanes::{Lanes, overtakes};
use super::outbox::{Item, Outbox};
use super::sockets::Sockets;
use super::{clock, log, usage};

/// The inbox of a worker.
pub type WorkerInbox = Inbox<Job<World>>;

/// See the module's documentation.
pub struct World {
    /// The entities.
    pub sfu: Sfu,
    sockets: Sockets,
    inbox: Arc<WorkerInbox>,
    outbox: Arc<Outbox>,
    /// The sockets to close once the datagrams of this turn have left.
    released: Vec<Released>,
    /// The other end of each transport's tunnel.
    far_ends: FxHashMap<TransportKey, FarEnd>,
    /// Frames for other workers: one batch for each.
    frames: Vec<(Arc<WorkerInbox>, VecDeque<Job<World>>)>,
    items: VecDeque<Item>,
    /// The answers in `items` that are to get the buffered amount of this DataConsumer, by index.
    sends: Vec<(usize, DataConsumerKey)>,
    /// What has exceeded the share of its turn.
    pub(super) lanes: Lanes<Self>,
    /// Chooses the messages for JavaScript whose delays are measured.
    sampler: Sampler,
    /// How long turns took.
    pub(super) turns: Histogram<{ TURNS.len() }>,
    /// Whether jobs may wait in lanes because their DataProducer was blocked.
    has_detours: bool,
}

/// The other end of a tunnel.
#[derive(Clone)]
pub struct FarEnd {
    /// The inbox of its worker.
    pub inbox: Arc<WorkerInbox>,
    /// The pipe transport of that worker.
    pub transport: TransportKey,
}

/// Where a job waits that cannot be done now.
struct Detour {
    lane: Source,
    /// Whether the lane gets no turns until its DataProducer may go on.
    is_blocked: bool,
}

/// A socket or connection that no entity uses any more.
enum Released {
    Socket(SocketId),
    Connection(Tuple),
}

/// What jobs use.
impl World {
    /// Answers a request. Events from before the answer precede it in the outbox, and those that the
    /// request itself causes follow it.
    pub fn answer(&mut self, request: u32, result: Result<String, Error>) {
        if let Ok(json) = &result {
            self.sfu.spend(work::ANSWER_BYTE * json.len() as u64);
        }
        self.items.push_back(Item::Answer(request, result.map_err(Box::new)));
    }

    /// Answers a request to send to a peer with the payload bytes that its DataConsumer has queued when the turn
    /// ends, as the association has taken what it can by then.
    pub fn answer_send(
        &mut self,
        request: u32,
        consumer: DataConsumerKey,
        result: Result<(), Error>,
    ) {
        if result.is_ok() {
            self.sends.push((self.items.len(), consumer));
        }
        self.answer(request, result.map(|()| String::new()));
    }

    /// Makes this call once the messages of this DataProducer that wait are routed: at once if there are none, or no
    /// DataProducer.
    pub fn call_behind(
        &mut self,
        producer: Option<DataProducerKey>,
        call: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        let source = producer.and_then(|it| self.lane_of(it));
        match source.filter(|it| self.lanes.waits(*it)) {
            Some(source) => self.lanes.push(source, Job::Call(Place::Any, Box::new(call))),
            None => call(self),
        }
    }

    /// Answers this request once everything that was sent before has left: see [`Sfu::begin_drain`].
    pub fn drain(&mut self, request: u32, scope: DrainScope) {
        let sources = match self.sfu.begin_drain(request, scope) {
            Ok(sources) => sources,
            Err(error) => return self.answer(request, Err(error)),
        };
        for source in sources.into_iter().filter(|it| self.lanes.waits(*it)).collect::<Vec<_>>() {
            self.sfu.add_drain_gate(request);
            self.lanes.push(
                source,
                Job::call(move |world: &mut Self| world.sfu.pass_drain_gate(request)),
            );
        }
        self.sfu.pass_drain_gate(request);
    }

    /// Returns the answer of `worker.dump()`.
    pub fn dump(&mut self) -> WorkerDump {
        self.sfu.dump(usage::thread_id(), self.sockets.counters(), self.outbox.counters())
    }

    /// Returns what the worker says of itself for monitoring.
    pub fn metrics(&mut self) -> WorkerMetrics {
        WorkerMetrics {
            sfu: self.sfu.metrics(),
            sockets: self.sockets.counters(),
            outbox: self.outbox.counters(),
            cpu_time: usage::cpu_time(),
            turns: self.turns.clone(),
            java_script_delays: self.outbox.delays(),
        }
    }

    /// Counts the delay of a message that JavaScript has pulled.
    pub fn count_delay(&self, delay: Duration) {
        self.outbox.count_delay(delay);
    }

    /// Binds the sockets of `infos`, each with its index in the application's list. After an error
    /// none is bound.
    pub fn listen(&mut self, infos: &[(usize, &ListenInfo)]) -> Result<Vec<Listen>, Error> {
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

    /// Closes sockets that no entity has taken.
    pub fn unlisten(&mut self, listens: &[Listen]) {
        for listen in listens {
            self.sockets.close(listen.socket);
        }
    }

    /// Connects a pipe transport with one of the same process, past the network.
    pub fn tunnel(&mut self, transport: TransportKey, far_end: FarEnd) -> Result<(), Error> {
        self.sfu.transport(transport)?.tunnel()?;
        far_end.inbox.post_at_close(&self.inbox, Job::NeighbourEnded);
        self.far_ends.insert(transport, far_end);
        Ok(())
    }
}

/// The parts of a turn.
impl World {
    pub(super) fn new(
        certificate: Certificate,
        ports: PortRange,
        inbox: Arc<WorkerInbox>,
        outbox: Arc<Outbox>,
    ) -> Self {
        let sockets = {
            let inbox = Arc::clone(&inbox);
            Sockets::new(move |socket| inbox.socket_waker(socket), ports)
        };
        Self {
            sfu: Sfu::new(certificate, clock::now(), clock::monotonic()),
            sockets,
            inbox,
            outbox,
            released: Vec::new(),
            far_ends: FxHashMap::default(),
            frames: Vec::new(),
            items: VecDeque::new(),
            sends: Vec::new(),
            lanes: Lanes::default(),
            sampler: Sampler::default(),
            turns: Histogram::new(&TURNS),
            has_detours: false,
        }
    }

    /// Whether this turn has left something to do that needs no input.
    pub(super) fn has_more(&self, now: Instant) -> bool {
        self.lanes.has_turns()
            || self.sfu.has_unblocked()
            || self.poll_timeout().is_some_and(|deadline| deadline <= now)
    }

    /// The next deadline.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.sfu.poll_timeout(), self.sockets.deadline()].into_iter().flatten().min()
    }

    /// Reads the readable sockets, as far as one turn may. Those with more to read stay in the list.
    pub(super) fn receive(&mut self, readable: &mut Vec<SocketId>, now: Instant) {
        self.sockets.receive(readable, &mut self.sfu, now);
    }

    /// Does these jobs in order, as many as one turn may. A job whose source has jobs in its lane goes behind them.
    /// Once the share is used up, all jobs with a source go into their lanes, up to the first without one.
    pub(super) fn do_jobs(&mut self, jobs: &mut VecDeque<Job<Self>>) {
        let end = self.sfu.work() + work::SHARE;
        // Moving a job costs little, so that a close is soon found.
        let last = end + work::SHARE;
        while self.sfu.work() < last
            && !self.sfu.is_closing()
            && let Some(job) = jobs.pop_front()
        {
            let late = self.sfu.work() >= end;
            if !late && self.lanes.is_empty() {
                self.do_or_hold(job);
                continue;
            }
            match self.source_of(&job) {
                Some(source) if overtakes(&job) && self.lanes.is_held(source) => {
                    self.do_job(job);
                }
                Some(source) if late || self.lanes.waits(source) => {
                    self.sfu.spend(work::MOVE);
                    self.lanes.push(source, job);
                }
                _ if late => return jobs.push_front(job),
                _ => self.do_or_hold(job),
            }
        }
    }

    /// Does as much of what waits in the lanes as one turn may.
    pub(super) fn serve_lanes(&mut self) {
        while let Some(producer) = self.sfu.poll_unblocked() {
            self.lanes.release(Source::DataProducer(producer));
        }
        let end = self.sfu.work() + work::SHARE;
        while self.sfu.work() < end
            && !self.sfu.is_closing()
            && let Some(source) = self.lanes.take_turn()
        {
            self.serve(source, end.min(self.sfu.work() + work::QUANTUM));
        }
    }

    /// Does what waits of this source until the work so far is `end`.
    pub(super) fn serve(&mut self, source: Source, end: u64) {
        while self.sfu.work() < end
            && !self.sfu.is_closing()
            && !self.lanes.is_held(source)
            && let Some(job) = self.lanes.pop(source)
        {
            match self.detour(&job, Some(source)) {
                Some(Detour { lane, .. }) if lane == source => {
                    self.lanes.push_front(source, job);
                    self.hold(source);
                }
                Some(detour) => self.take_detour(detour, job),
                None => self.do_job(job),
            }
        }
    }

    /// Does a job, unless it is a message for a DataProducer that is blocked.
    fn do_or_hold(&mut self, job: Job<Self>) {
        match self.detour(&job, None) {
            Some(detour) => self.take_detour(detour, job),
            None => self.do_job(job),
        }
    }

    fn take_detour(&mut self, Detour { lane, is_blocked }: Detour, job: Job<Self>) {
        self.has_detours = true;
        self.lanes.push(lane, job);
        if is_blocked {
            self.hold(lane);
        }
    }

    fn hold(&mut self, source: Source) {
        for call in self.lanes.hold(source) {
            self.do_job(call);
        }
    }

    /// Where this job waits, if it is a message for a blocked DataProducer or comes after one. `from`: the lane that it
    /// was in.
    fn detour(&mut self, job: &Job<Self>, from: Option<Source>) -> Option<Detour> {
        if !self.sfu.may_block() {
            self.has_detours &= !self.lanes.is_empty();
            if !self.has_detours {
                return None;
            }
        }
        let (producer, is_message) = match job {
            Job::Send(producer, ..) => (*producer, true),
            Job::TunnelFrame(key, frame) => {
                let (stream, is_message) = frame.place()?;
                (self.sfu.producer_on(*key, stream)?, is_message)
            }
            _ => return None,
        };
        let lane = Source::DataProducer(producer);
        let follows = from != Some(lane) && self.lanes.waits(lane);
        let is_blocked = self.lanes.is_held(lane) || (is_message && self.sfu.is_blocked(producer));
        (follows || is_blocked).then_some(Detour { lane, is_blocked })
    }

    /// The source whose earlier messages must come before this job.
    fn source_of(&self, job: &Job<Self>) -> Option<Source> {
        match job {
            Job::Send(key, ..) => Some(Source::DataProducer(*key)),
            Job::TunnelFrame(
                key,
                TunnelFrame::Message(_)
                | TunnelFrame::Control(..)
                | TunnelFrame::Fence(..)
                | TunnelFrame::Close,
            ) => Some(Source::Tunnel(*key)),
            Job::Call(Place::DataProducer(key) | Place::Reading(key), _) => self.lane_of(*key),
            Job::Call(Place::DataConsumer(key), _) => {
                self.sfu.producer_of(*key).and_then(|it| self.lane_of(it))
            }
            Job::Call(Place::Any, _)
            | Job::TunnelFrame(..)
            | Job::NotifyDrain(_)
            | Job::Relieved(_)
            | Job::NeighbourEnded => None,
        }
    }

    /// The lane in which messages of this DataProducer wait.
    fn lane_of(&self, key: DataProducerKey) -> Option<Source> {
        let own = Source::DataProducer(key);
        if self.lanes.waits(own) { Some(own) } else { self.sfu.source_of(key) }
    }

    pub(super) fn do_job(&mut self, job: Job<Self>) {
        self.sfu.spend(work::JOB);
        match job {
            Job::Send(producer, message, selector) => {
                self.sfu.send(producer, message, selector.as_ref());
            }
            Job::TunnelFrame(transport, frame) => self.sfu.handle_tunnel_frame(transport, frame),
            Job::NotifyDrain(producer) => self.sfu.notify_drain(producer),
            Job::Relieved(consumer) => self.sfu.handle_relief(consumer),
            Job::NeighbourEnded => self.close_broken_tunnels(),
            Job::Call(_, call) => {
                self.sfu.spend(work::CALL);
                self.collect_events();
                call(self);
                self.collect_events();
            }
        }
    }

    pub(super) fn handle_timeouts(&mut self, now: Instant) {
        if self.sfu.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.sfu.handle_timeout();
        }
        self.sockets.expire(now, &self.sfu);
    }

    /// Sends the datagrams of all dirty transports.
    pub(super) fn transmit(&mut self) {
        loop {
            // The buffer is taken out of the `Sfu`, because sending notifies the `Sfu` of connections that
            // turn out to be closed.
            let mut transmits = std::mem::take(self.sfu.flush());
            let lost = self.sockets.transmit(&transmits, &mut self.sfu);
            transmits.clear();
            self.sfu.recycle(transmits);
            if !lost {
                return;
            }
            // Data for the peer of a closed connection now takes another path, if there is one, without
            // waiting for the next turn. The loop ends, as each round has one connection less.
        }
    }

    /// Like [`Self::transmit`], beyond what one turn may.
    pub(super) fn transmit_all(&mut self) {
        while !self.sfu.is_flushed() {
            self.transmit();
        }
    }

    /// Hands over what this turn has caused, and closes what it has released.
    pub(super) fn finish_turn(&mut self) {
        self.complete_sends();
        self.collect_events();
        self.release();
        // The frames leave before JavaScript can react to this turn, because requests that JavaScript then
        // makes to another worker must come after the frames for that worker.
        self.post_frames();
        let lost = log::take(|level, text| self.items.push_back(Item::Log(level, text)));
        self.outbox.count_dropped_lines(lost);
        self.outbox.push(&mut self.items);
    }

    /// Throws away what JavaScript, which has closed the worker, would get.
    pub(super) fn discard_events(&mut self) {
        self.collect_events();
        self.items.clear();
        self.sends.clear();
        self.outbox.discard();
    }

    fn complete_sends(&mut self) {
        for (index, consumer) in self.sends.drain(..) {
            let amount =
                self.sfu.data_consumer(consumer).and_then(|mut it| it.get_buffered_amount());
            if let Some(Item::Answer(_, Ok(answer))) = self.items.get_mut(index) {
                *answer = amount.unwrap_or(0).to_string();
            }
        }
    }

    fn collect_events(&mut self) {
        while let Some(event) = self.sfu.poll_event() {
            match event {
                Event::TunnelFrame(transport, frame) => self.queue_frame(transport, frame),
                Event::SocketReleased(socket) => self.released.push(Released::Socket(socket)),
                Event::ConnectionReleased(tuple) => {
                    self.released.push(Released::Connection(*tuple));
                }
                Event::Drained(request, result) => {
                    self.items.push_back(Item::Answer(request, result.map(|()| "null".into())));
                }
                event => {
                    let is_message = matches!(event, Event::Message(..));
                    self.items.push_back(Item::Event(event));
                    if is_message && self.sampler.hits() {
                        self.items.push_back(Item::Sampled(self.sfu.now()));
                    }
                }
            }
        }
    }

    fn release(&mut self) {
        for released in self.released.drain(..) {
            match released {
                Released::Socket(socket) => self.sockets.close(socket),
                // A request may have made the tuple valid again, or a new connection may have it.
                Released::Connection(tuple) if self.sfu.is_valid_tuple(tuple) => {}
                Released::Connection(tuple) => self.sockets.close_connection(tuple),
            }
        }
    }

    /// Queues a frame for the other end of a tunnel until [`Self::post_frames`].
    fn queue_frame(&mut self, transport: TransportKey, frame: TunnelFrame) {
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

    fn post_frames(&mut self) {
        self.frames.retain_mut(|(inbox, jobs)| {
            inbox.post_all(jobs);
            !inbox.is_closed()
        });
    }

    /// Closes the tunnels to workers that have ended without a Close frame: a panic, say.
    fn close_broken_tunnels(&mut self) {
        let broken = |it: &FarEnd| it.inbox.is_closed();
        for (transport, _) in self.far_ends.extract_if(|_, it| broken(it)).collect::<Vec<_>>() {
            self.sfu.handle_tunnel_frame(transport, TunnelFrame::Close);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
