//! The tables of all entities, and the way in and out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use crate::proto::certificate::{Certificate, Fingerprint};
use crate::proto::demux::Incoming;
use crate::proto::dtls::DtlsContext;
use crate::proto::net::{SocketId, Tuple};
use crate::proto::reason::Code;
use crate::proto::transmit::Transmits;

use super::aftermath::Aftermath;
use super::block_state::Blocks;
use super::cascade::CascadeStep;
use super::contract::dump::{
    ChannelMessageHandlers, MemoryCounters, OutboxCounters, SocketCounters, WorkerDump,
};
use super::crowd::Crowds;
use super::deadlines::Deadlines;
use super::drain_state::Drains;
use super::entity::data_consumer::DataConsumer;
use super::entity::data_producer::DataProducer;
use super::entity::held::Releasing;
use super::entity::limiter::LimitReports;
use super::entity::router::Router;
use super::entity::transport::Transport;
use super::entity::webrtc_server::WebRtcServer;
use super::event::Event;
use super::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey, WebRtcServerKey};
use super::memory::{Memory, Waiter};
use super::paths::{Paths, SocketOwner};
use super::totals::Totals;

/// Everything that one worker serves.
#[derive(Debug)]
pub struct Sfu {
    pub(super) dtls: Arc<DtlsContext>,
    /// The fingerprints of the certificate, kept because each is a hash that every dump would have to compute.
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) servers: FxHashMap<WebRtcServerKey, WebRtcServer>,
    pub(super) routers: FxHashMap<RouterKey, Router>,
    pub(super) transports: FxHashMap<TransportKey, Transport>,
    pub(super) data_producers: FxHashMap<DataProducerKey, DataProducer>,
    pub(super) data_consumers: FxHashMap<DataConsumerKey, DataConsumer>,
    pub(super) data_producer_ids: FxHashMap<Uuid, DataProducerKey>,
    pub(super) paths: Paths,
    pub(super) crowds: Crowds,
    pub(super) deadlines: Deadlines,
    pub(super) drains: Drains,
    pub(super) limit_reports: LimitReports,
    /// The transports that have had input since they were last asked for datagrams.
    pub(super) dirty: VecDeque<TransportKey>,
    /// The transports whose peers' messages wait to be routed, in the order of their turns.
    pub(super) postponed: VecDeque<TransportKey>,
    /// The entities that release held or retained messages, in the order of their turns.
    pub(super) releasing: VecDeque<Releasing>,
    /// What is left of a close cascade.
    pub(super) closing: Vec<CascadeStep>,
    pub(super) transmits: Transmits,
    pub(super) events: VecDeque<Event>,
    /// Present if there is a maximum for all queues of the worker together.
    pub(super) memory: Option<Arc<Memory>>,
    /// The entities that found no room below this maximum, and have an event to emit once there is some.
    pub(super) waiters: FxHashSet<Waiter>,
    /// Waiters that an earlier turn had no share left for.
    pub(super) due_waiters: Vec<Waiter>,
    pub(super) blocks: Blocks,
    /// What routing has left to do.
    pub(super) aftermath: Vec<Aftermath>,
    /// The time of this turn.
    pub(super) now: Instant,
    pub(super) turn: u64,
    /// What everything has cost so far; see `work.rs`.
    pub(super) work: u64,
    /// What the routing of peers' messages has cost in this turn.
    pub(super) routed: u64,
    /// Messages that closing has dropped before they were routed.
    pub(super) messages_dropped_at_close: u64,
    pub(super) totals: Totals,
    /// `now` as the application sees it: milliseconds since some moment in the past.
    pub(super) clock: (Instant, Duration),
}

impl Sfu {
    /// Makes an `Sfu` without entities. `uptime` is what the timestamps in statistics show at `now`.
    pub fn new(certificate: Certificate, now: Instant, uptime: Duration) -> Self {
        Self {
            fingerprints: certificate.fingerprints(),
            dtls: Arc::new(DtlsContext::new(certificate)),
            servers: FxHashMap::default(),
            routers: FxHashMap::default(),
            transports: FxHashMap::default(),
            data_producers: FxHashMap::default(),
            data_consumers: FxHashMap::default(),
            data_producer_ids: FxHashMap::default(),
            paths: Paths::default(),
            crowds: Crowds::default(),
            deadlines: Deadlines::default(),
            drains: Drains::default(),
            limit_reports: LimitReports::default(),
            dirty: VecDeque::new(),
            postponed: VecDeque::new(),
            releasing: VecDeque::new(),
            closing: Vec::new(),
            transmits: Transmits::default(),
            events: VecDeque::new(),
            memory: None,
            waiters: FxHashSet::default(),
            due_waiters: Vec::new(),
            blocks: Blocks::default(),
            aftermath: Vec::new(),
            now,
            turn: 0,
            work: 0,
            routed: 0,
            messages_dropped_at_close: 0,
            totals: Totals::default(),
            clock: (now, uptime),
        }
    }

    /// Bounds what all queues hold together. Call this before anything else.
    pub fn limit_memory(&mut self, memory: Arc<Memory>) {
        self.memory = Some(memory);
    }

    /// Begins a turn: every call from here on happens at `now`.
    pub fn begin_turn(&mut self, now: Instant) {
        self.now = now.max(self.now);
        self.turn += 1;
        self.routed = 0;
    }

    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What everything has cost so far, in the unit of [`super::work`]. A caller that gives the parts of a turn
    /// their share compares two results.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Adds what the caller has done for this room's input.
    pub fn spend(&mut self, cost: u64) {
        self.work += cost;
    }

    /// Handles a datagram that has arrived. A datagram that is for no transport is dropped.
    pub fn handle_datagram(&mut self, tuple: Tuple, datagram: &[u8]) {
        match self.paths.socket_owner(tuple.socket) {
            Some(SocketOwner::Transport(key)) => {
                self.handle_transport_datagram(key, tuple, datagram, None);
            }
            Some(SocketOwner::Server(server)) => {
                let incoming = Incoming::read(datagram);
                match incoming.and_then(|it| self.paths.find(server, tuple, it)) {
                    Some(key) => self.handle_transport_datagram(key, tuple, datagram, incoming),
                    None => self.count_unmatched(server),
                }
            }
            None => {}
        }
    }

    /// Notes that peers send through this socket faster than the worker reads, and may have `room` bytes in flight. For
    /// a while they share receive windows of that size.
    pub fn handle_crowd(&mut self, socket: SocketId, room: usize) {
        self.crowds.note(self.now, socket, room);
    }

    /// Removes the tuple of a TCP connection that has closed.
    pub fn handle_tuple_closed(&mut self, tuple: Tuple) {
        if let Some(key) = self.paths.remove_tuple(tuple) {
            self.lose_tuple(key, tuple, Code::ConnectionClosed);
        }
    }

    /// Handles the deadlines that have come, and what the turns before have left. Call it at
    /// [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self) {
        self.continue_closing();
        self.continue_releasing();
        self.route_postponed();
        self.handle_deadlines();
        self.report_limits();
        self.handle_stalls();
        self.release_limited();
    }

    /// When to call [`Self::handle_timeout`] without input. May be too early, never too late.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // Sums, as most turns find all of these empty: one branch for each would cost twice as much.
        let left =
            self.postponed.len() + self.releasing.len() + self.dirty.len() + self.closing.len();
        if left > 0 {
            return Some(self.now);
        }
        let next = self.deadlines.next();
        if self.limit_reports.len() + self.blocks.entries() == 0 {
            return next;
        }
        let rare = [self.limit_reports.next(), self.blocks.deadline()];
        next.into_iter().chain(rare.into_iter().flatten()).min()
    }

    /// Polls the transports that had input, once each and as many as one turn may, and returns all datagrams
    /// of this turn. The caller sends and clears them.
    pub fn flush(&mut self) -> &mut Transmits {
        if !self.dirty.is_empty() {
            self.flush_dirty();
        }
        if !self.drains.direct.is_empty() {
            // Policies may have dropped messages that requests wait for.
            self.check_direct_drains();
        }
        &mut self.transmits
    }

    /// Whether [`Self::flush`] would return nothing.
    pub fn is_flushed(&self) -> bool {
        self.dirty.is_empty() && self.transmits.is_empty()
    }

    /// Takes back the cleared buffer of [`Self::flush`] for the next turn.
    pub fn recycle(&mut self, transmits: Transmits) {
        if self.transmits.is_empty() {
            self.transmits = transmits;
        }
    }

    /// Whether a valid request has come over this tuple.
    pub fn is_valid_tuple(&self, tuple: Tuple) -> bool {
        self.paths.has_tuple(tuple)
    }

    /// The next event, in the order in which they happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The answer of `worker.dump()`. The counters are the runtime's.
    pub fn dump(
        &mut self,
        pid: u32,
        sockets: SocketCounters,
        outbox: OutboxCounters,
    ) -> WorkerDump {
        let memory = MemoryCounters {
            bytes_held: self.bytes_held(),
            messages_dropped_memory: self.memory.as_ref().map_or(0, |it| it.refused()),
        };
        let server_ids: Vec<Uuid> = self.servers.values().map(|it| it.id).collect();
        let router_ids: Vec<Uuid> = self.routers.values().map(|it| it.id).collect();
        let transports = self.transports.values().map(|it| it.id);
        let producers = self.data_producers.values().map(|it| it.id);
        let consumers = self.data_consumers.values().map(|it| it.id);
        let notified: Vec<Uuid> = transports.chain(producers.clone()).collect();
        let mut asked: Vec<Uuid> = server_ids.iter().chain(&router_ids).copied().collect();
        asked.extend(self.transports.values().map(|it| it.id).chain(producers).chain(consumers));
        WorkerDump {
            pid,
            sockets,
            outbox,
            memory,
            messages_dropped_at_close: self.messages_dropped_at_close,
            web_rtc_server_ids: server_ids,
            router_ids,
            channel_message_handlers: ChannelMessageHandlers {
                channel_request_handlers: asked,
                channel_notification_handlers: notified,
            },
        }
    }

    /// Whether no entity, socket, table entry or deadline is left. True once everything has been closed
    /// and flushed.
    pub fn is_empty(&self) -> bool {
        let entities = self.servers.len()
            + self.routers.len()
            + self.transports.len()
            + self.data_producers.len()
            + self.data_consumers.len();
        entities + self.data_producer_ids.len() == 0
            && self.paths.is_empty()
            && self.dirty.is_empty()
            && self.postponed.is_empty()
            && self.releasing.is_empty()
            && !self.is_closing()
            && self.deadlines.next().is_none()
            && self.limit_reports.next().is_none()
    }

    /// The charge of what all queues hold, except for messages of `dataConsumer.send()` that are on their way to the
    /// worker.
    pub fn bytes_held(&mut self) -> u64 {
        let intakes = self.data_producers.values().filter_map(|it| it.intake.as_ref());
        let backlogs = self.data_consumers.values().filter_map(DataConsumer::direct_backlog);
        let direct: u64 = intakes.chain(backlogs).map(|it| it.charge()).sum();
        let retained = self.data_producers.values().filter_map(|it| it.retained.as_ref());
        let retained: usize = retained.map(|it| it.charge()).sum();
        let captures = self.transports.values().filter_map(|it| it.captures.as_ref());
        let captured: u64 = captures.map(|it| it.charge()).sum();
        direct
            + retained as u64
            + captured
            + self.transports.values_mut().map(|it| it.bytes_held() as u64).sum::<u64>()
    }

    /// The time of this turn in monotonic milliseconds, for statistics.
    pub(super) fn timestamp(&self) -> u64 {
        self.timestamp_of(self.now)
    }

    /// A time on the same clock.
    pub(super) fn timestamp_of(&self, at: Instant) -> u64 {
        self.time_of(at).as_millis() as u64
    }

    /// The same time, as a duration that is not rounded.
    pub(super) fn time_of(&self, at: Instant) -> Duration {
        let (origin, uptime) = self.clock;
        uptime + at.saturating_duration_since(origin)
    }
}
