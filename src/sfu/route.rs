//! Every way of a message to DataConsumers.
//!
//! ```text
//! JavaScript ──► Sfu::send ───────────────────────────┐
//! what a DataProducer has held ──► release_held ──────┤
//! a peer ──► receive ──► deliver ──┬──────────────────┴──► route ──► each DataConsumer
//! a tunnel ────────────────────────┘                          ▲
//! what a DataProducer retains ──► replay ─────────────────────┘ one that is new
//! JavaScript ──► DataConsumerMut::send ─────────────────────────────► one DataConsumer
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::proto::message::{Amount, Message, StreamId};
use crate::proto::overflow::Overflow;
use crate::proto::sctp::{MessageTally, SendError};

use super::Sfu;
use super::aftermath::Aftermath;
use super::contract::parameters::DropCount;
use super::data_consumer::DataConsumerMut;
use super::deadlines::Deadlines;
use super::entity::data_consumer::{DataConsumer, Destination, DropReason};
use super::entity::data_producer::DataProducer;
use super::entity::held::{HeldMessage, Releasing};
use super::entity::retained::Retained;
use super::entity::transport::Transport;
use super::error::{Error, Result};
use super::event::{DataConsumerEvent, Event};
use super::id::{DataConsumerKey, DataProducerKey, TransportKey};
use super::memory::{self, Memory, Waiter};
use super::pipe_header::{self, PipeControl};
use super::subchannels::Selector;
use super::work;

impl Sfu {
    /// Routes a message that JavaScript sent to a direct DataProducer. If that has closed, the message is
    /// dropped.
    pub fn send(
        &mut self,
        key: DataProducerKey,
        message: Message,
        selector: Option<&Arc<Selector>>,
    ) {
        let (Entities { data_producers, data_consumers, transports }, mut outputs) = self.split();
        let Some(producer) = data_producers.get_mut(&key) else { return };
        *outputs.work += work::MESSAGE;
        producer.received.count(&message);
        if producer.must_hold() {
            return self.hold(key, message, selector);
        }
        producer.leave_intake(&message, selector.map(AsRef::as_ref));
        if producer.wants_drain || producer.limiter.is_some() {
            return self.send_checked(key, message, selector);
        }
        outputs.route(producer, data_consumers, transports, message, selector);
        self.finish_routing();
    }

    /// The rest of [`Self::send`], if JavaScript waits for room or the DataProducer has a limit.
    #[cold]
    fn send_checked(
        &mut self,
        key: DataProducerKey,
        message: Message,
        selector: Option<&Arc<Selector>>,
    ) {
        self.check_drain(key);
        if self.passes_limits(key, message.payload.len()) {
            self.route(key, message, selector);
        }
    }

    /// Delivers a message from the peer; a pipe's header comes off first.
    pub(super) fn receive(&mut self, key: TransportKey, stream: StreamId, mut message: Message) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let mut selector = None;
        if transport.is_pipe() {
            let (decoded, payload) = pipe_header::decode(message.payload);
            selector = decoded.map(Arc::new);
            message.payload = payload;
        }
        let before = self.work;
        self.deliver(key, stream, message, selector.as_ref());
        self.charge_peer(key, self.work - before);
    }

    /// Charges the routing of a peer's message to the peer.
    pub(super) fn charge_peer(&mut self, key: TransportKey, cost: u64) {
        self.routed += cost;
        if let Some(transport) = self.transports.get_mut(&key) {
            transport.charge(self.now, cost);
        }
    }

    /// Routes a message to the DataProducer of this stream. A message without a DataProducer, or over the
    /// size limit, is counted as unrouted.
    pub(super) fn deliver(
        &mut self,
        key: TransportKey,
        stream: StreamId,
        message: Message,
        selector: Option<&Arc<Selector>>,
    ) {
        let (Entities { data_producers, data_consumers, transports }, mut outputs) = self.split();
        *outputs.work += work::MESSAGE;
        let Some(transport) = transports.get_mut(&key) else { return };
        let too_large = message.payload.len() > transport.max_receive_message_size as usize;
        let producer = transport.producer_streams.get(&stream).copied().filter(|_| !too_large);
        match producer.and_then(|it| Some((it, data_producers.get_mut(&it)?))) {
            Some((producer, entity)) => {
                entity.received.count(&message);
                if entity.must_hold() {
                    return self.hold(producer, message, selector);
                }
                if entity.limiter.is_some() || transport.limiter.is_some() {
                    if self.passes_limits(producer, message.payload.len()) {
                        self.route(producer, message, selector);
                    }
                    return;
                }
                outputs.route(entity, data_consumers, transports, message, selector);
                self.finish_routing();
            }
            None if !too_large && transport.keep_unadopted(stream, &message) => self.touch(key),
            None => {
                let why = if too_large { "is too large" } else { "has no DataProducer" };
                self.count_unrouted(key, stream, message.payload.len(), why);
            }
        }
    }

    /// Like [`Self::deliver`], for a message that another router has retained since `since`: if it is retained here
    /// too, it keeps that age.
    pub(super) fn deliver_retained(
        &mut self,
        key: TransportKey,
        stream: StreamId,
        message: Message,
        selector: Option<&Arc<Selector>>,
        since: Instant,
    ) {
        let before = self.retained_on(key, stream).map(|it| it.messages().end());
        self.deliver(key, stream, message, selector);
        if let Some(retained) = self.retained_on(key, stream)
            && before != Some(retained.messages().end())
        {
            retained.backdate(since);
        }
    }

    /// The retained messages of the DataProducer on this stream.
    fn retained_on(&mut self, key: TransportKey, stream: StreamId) -> Option<&mut Retained> {
        let producer = self.transports.get(&key)?.producer_streams.get(&stream)?;
        self.data_producers.get_mut(producer)?.retained.as_deref_mut()
    }

    /// Holds a message, if the limits let it pass. They are not asked again when it is released.
    #[cold]
    fn hold(&mut self, key: DataProducerKey, message: Message, selector: Option<&Arc<Selector>>) {
        let passes = self.passes_limits(key, message.payload.len());
        let Some(producer) = self.data_producers.get_mut(&key) else { return };
        if passes {
            return producer.hold(message, selector);
        }
        if producer.stream.is_none() {
            producer.leave_intake(&message, selector.map(AsRef::as_ref));
            if producer.wants_drain {
                self.check_drain(key);
            }
        }
    }

    pub(super) fn count_unrouted(
        &mut self,
        key: TransportKey,
        stream: StreamId,
        len: usize,
        why: &str,
    ) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        transport.messages_unrouted += 1;
        transport.fall_behind();
        let id = transport.id;
        log::debug!(target: "message", "transport {id}: a message of {len} bytes on stream {stream} {why}");
    }

    /// Routes a message that this DataProducer has received.
    pub(super) fn route(
        &mut self,
        key: DataProducerKey,
        message: Message,
        selector: Option<&Arc<Selector>>,
    ) {
        let (Entities { data_producers, data_consumers, transports }, mut outputs) = self.split();
        let Some(producer) = data_producers.get_mut(&key) else { return };
        outputs.route(producer, data_consumers, transports, message, selector);
        self.finish_routing();
    }

    /// Routes the held messages of a DataProducer until that has cost `limit`. The rest gets its turn later.
    pub(super) fn release_held(&mut self, key: DataProducerKey, limit: u64) {
        let end = self.work + limit;
        // A blocked DataProducer goes on by itself.
        while let Some(producer) = self.data_producers.get_mut(&key) {
            let before = self.work;
            if producer.is_releasing() && producer.blockers > 0 && self.awaits_room(key) {
                return self.stop_source(key);
            }
            let Some(producer) = self.data_producers.get_mut(&key) else { return };
            if self.work >= end {
                if let Some(held) = &mut producer.held
                    && !std::mem::replace(&mut held.releases, true)
                {
                    self.releasing.push_back(Releasing::Producer(key));
                }
                return;
            }
            let Some(HeldMessage { message, selector }) = producer.release() else {
                return self.check_producer(key);
            };
            let transport = producer.transport;
            self.work += work::MESSAGE;
            if producer.wants_drain {
                self.check_drain(key);
            }
            self.route(key, message, selector.as_ref());
            let cost = self.work - before;
            if let Some(transport) = self.transports.get_mut(&transport) {
                transport.charge(self.now, cost);
            }
            let held =
                |sfu: &mut Self| sfu.data_producers.get_mut(&key)?.held.as_mut()?.passed_fence();
            while let Some(request) = held(self) {
                self.pass_drain_gate(request);
            }
        }
    }

    /// Hands the held messages of a DataConsumer to JavaScript until that has cost `limit`. The rest gets its turn
    /// later.
    pub(super) fn release_to_javascript(&mut self, key: DataConsumerKey, limit: u64) {
        let end = self.work + limit;
        while let Some(consumer) = self.data_consumers.get_mut(&key) {
            if self.work >= end {
                if !std::mem::replace(&mut consumer.releases, true) {
                    self.releasing.push_back(Releasing::Consumer(key));
                }
                return;
            }
            match consumer.release() {
                None => return,
                Some(token) => {
                    self.work += work::TO_JAVASCRIPT;
                    self.events.push_back(Event::Queued(key, token));
                }
            }
        }
    }

    /// Continues to release held messages, in turns.
    pub(super) fn continue_releasing(&mut self) {
        let end = self.work + work::SHARE;
        while self.work < end
            && let Some(releasing) = self.releasing.pop_front()
        {
            match releasing {
                Releasing::Producer(key) => {
                    let held = self.data_producers.get_mut(&key).and_then(|it| it.held.as_mut());
                    held.into_iter().for_each(|it| it.releases = false);
                    self.release_held(key, work::QUANTUM);
                }
                Releasing::Replay(key) => self.continue_replay(key, work::QUANTUM),
                Releasing::Consumer(key) => {
                    self.data_consumers
                        .get_mut(&key)
                        .into_iter()
                        .for_each(|it| it.releases = false);
                    self.release_to_javascript(key, work::QUANTUM);
                }
            }
        }
    }

    /// Does what routing has left to do.
    #[inline]
    pub(super) fn finish_routing(&mut self) {
        if !self.aftermath.is_empty() {
            self.finish_routing_now();
        }
    }

    #[cold]
    fn finish_routing_now(&mut self) {
        while let Some(after) = self.aftermath.pop() {
            match after {
                Aftermath::Close(key) => {
                    if self.remove_data_consumer(key) {
                        let event = DataConsumerEvent::OverflowClose;
                        self.events.push_back(Event::DataConsumer(key, event));
                    }
                }
                Aftermath::EndReplay(key) => self.replay_ended(key),
            }
        }
    }

    #[inline(always)]
    pub(super) fn split(&mut self) -> (Entities<'_>, Outputs<'_>) {
        let Self {
            data_producers,
            data_consumers,
            transports,
            events,
            dirty,
            turn,
            now,
            memory,
            waiters,
            deadlines,
            aftermath,
            work,
            ..
        } = self;
        let (turn, now, memory) = (*turn, *now, memory.as_deref());
        let entities = Entities { data_producers, data_consumers, transports };
        let outputs =
            Outputs { turn, now, memory, events, dirty, waiters, deadlines, aftermath, work };
        (entities, outputs)
    }
}

/// The tables that routing reads.
pub(super) struct Entities<'a> {
    pub(super) data_producers: &'a mut FxHashMap<DataProducerKey, DataProducer>,
    pub(super) data_consumers: &'a mut FxHashMap<DataConsumerKey, DataConsumer>,
    pub(super) transports: &'a mut FxHashMap<TransportKey, Transport>,
}

/// What a delivery changes beside the DataConsumer and its transport.
pub(super) struct Outputs<'a> {
    turn: u64,
    pub(super) now: Instant,
    memory: Option<&'a Memory>,
    events: &'a mut VecDeque<Event>,
    dirty: &'a mut VecDeque<TransportKey>,
    waiters: &'a mut FxHashSet<Waiter>,
    deadlines: &'a mut Deadlines,
    pub(super) aftermath: &'a mut Vec<Aftermath>,
    pub(super) work: &'a mut u64,
}

/// What all deliveries of one message share.
#[derive(Clone, Copy)]
pub(super) struct Offered<'a> {
    pub(super) payload_len: usize,
    pub(super) selector: Option<&'a Arc<Selector>>,
    /// Whether its DataProducer retains messages. These cross pipes unfiltered, because later DataConsumers at the far
    /// end may have other subscriptions.
    pub(super) retained: bool,
}

impl Outputs<'_> {
    /// Routes a message to the DataConsumers of its DataProducer: paused ones are skipped, subchannels
    /// are checked before anything is cloned, and all consumers share one payload.
    #[inline(always)]
    fn route(
        &mut self,
        producer: &mut DataProducer,
        data_consumers: &mut FxHashMap<DataConsumerKey, DataConsumer>,
        transports: &mut FxHashMap<TransportKey, Transport>,
        mut message: Message,
        selector: Option<&Arc<Selector>>,
    ) {
        if producer.paused {
            producer.messages_paused += 1;
            return;
        }
        if let Some(retained) = &mut producer.retained
            && !retained.push(self.now, &message, selector)
        {
            self.make_way(retained, data_consumers, transports, &message, selector);
        }
        let offered = Offered {
            payload_len: message.payload.len(),
            selector,
            retained: producer.retained.is_some(),
        };
        let mut left = producer.consumers.len();
        for key in producer.consumers.iter() {
            left -= 1;
            *self.work += work::SKIPPED;
            let Some(consumer) = data_consumers.get_mut(&key) else { continue };
            let Some(transport) = transports.get_mut(&consumer.transport) else { continue };
            if consumer.skips {
                if consumer.pauses {
                    consumer.not_sent.paused += 1;
                }
                continue;
            }
            // The last one takes the payload itself, which saves an allocation and a few atomic operations.
            let message = || Message {
                ppid: message.ppid,
                payload: match left {
                    0 => std::mem::take(&mut message.payload),
                    _ => message.payload.clone(),
                },
            };
            self.offer(key, consumer, transport, offered, message);
        }
    }

    /// Delivers a message to a DataConsumer that is not paused, if it is subscribed and has room. Returns whether the
    /// message was accepted; otherwise the counters of the DataConsumer say why.
    #[inline(always)]
    pub(super) fn offer(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        transport: &mut Transport,
        Offered { payload_len, selector, retained }: Offered<'_>,
        message: impl FnOnce() -> Message,
    ) -> bool {
        if let Some(selector) = selector {
            *self.work += work::comparison(selector, &consumer.subchannels);
        }
        // A pipe carries the selector on, as far as its consumer is subscribed to it.
        let carried = match selector {
            None => None,
            Some(selector) if transport.is_pipe() => {
                let carried = match retained {
                    true => Some(Arc::clone(selector)),
                    false => {
                        selector.through_pipe(&consumer.subchannels, consumer.strict_subchannels)
                    }
                };
                if carried.is_none() {
                    consumer.not_sent.filtered += 1;
                    return false;
                }
                carried
            }
            Some(selector) if selector.matches(&consumer.subchannels) => None,
            Some(_) => {
                consumer.not_sent.filtered += 1;
                return false;
            }
        };
        if payload_len > transport.max_send_message_size as usize {
            consumer.drop_messages(DropCount::one(payload_len), DropReason::TooLarge);
            return false;
        }
        match &consumer.destination {
            Destination::Direct { backlog } => {
                if backlog.queue().is_some() {
                    return self.push_queued(key, consumer, message());
                }
                if backlog.try_enter(Amount::of(payload_len)) {
                    *self.work += work::TO_JAVASCRIPT;
                    consumer.sent.add(MessageTally::one(payload_len));
                    if consumer.dropping.is_some() {
                        self.events.extend(consumer.take_overflow(key));
                    }
                    self.events.push_back(Event::Message(key, message()));
                    return true;
                }
                *self.work += work::DROPPED;
                self.overflow_direct(key, consumer, DropCount::one(payload_len));
            }
            Destination::Sctp { stream, .. } => {
                *self.work += work::TO_PEER;
                let stream = stream.stream_id;
                match transport.send(self.now, self.memory, stream, carried.as_ref(), message()) {
                    Ok(buffered) => {
                        consumer.sent.add(MessageTally::one(payload_len));
                        if consumer.policy.overflow == Overflow::DropOldest
                            && consumer.count_replaced(transport.queue_tally(stream).replaced)
                            && consumer.begins_to_wait()
                        {
                            transport.backlogged.push(key);
                        }
                        transport.show_buffered(key, consumer, buffered);
                        transport.mark_dirty(consumer.transport, self.dirty);
                        return true;
                    }
                    Err(SendError::Full) => {
                        self.overflow_sctp(key, consumer, transport, DropCount::one(payload_len));
                    }
                    Err(_) => {
                        consumer.drop_messages(DropCount::one(payload_len), DropReason::Unsendable);
                    }
                }
            }
        }
        false
    }

    /// Delivers a message to a direct DataConsumer with a queue, because it has a policy or JavaScript pulls. The
    /// outbox gets only a token. Returns whether the message was accepted.
    #[inline(never)]
    fn push_queued(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        message: Message,
    ) -> bool {
        let payload_len = message.payload.len();
        let Destination::Direct { backlog } = &consumer.destination else { return false };
        let Some(token) = backlog.push(self.now, message) else {
            *self.work += work::DROPPED;
            self.overflow_direct(key, consumer, DropCount::one(payload_len));
            return false;
        };
        *self.work += work::TO_JAVASCRIPT;
        consumer.sent.add(MessageTally::one(payload_len));
        self.events.extend(consumer.delivered(key));
        match consumer.holds_back {
            true => consumer.hold_back(token),
            false => self.events.push_back(Event::Queued(key, token)),
        }
        true
    }

    /// Drops messages for JavaScript, as there is no room.
    #[cold]
    fn overflow_direct(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        dropped: DropCount,
    ) {
        if self.memory.is_some() && consumer.dropping.is_none() {
            self.wait_for_memory(key);
        }
        self.overflow(key, consumer, dropped);
        let waits = consumer.direct_backlog().is_some_and(|it| it.await_relief());
        if !waits {
            self.events.extend(consumer.take_overflow(key));
        }
    }

    /// Drops messages for a peer, as there is no room.
    #[cold]
    fn overflow_sctp(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        transport: &mut Transport,
        dropped: DropCount,
    ) {
        consumer.emit_full(key, self.turn, self.events);
        self.overflow(key, consumer, dropped);
        if consumer.begins_to_wait() {
            transport.backlogged.push(key);
        }
    }

    /// Drops messages of a replay, as there is no room to keep them for longer: as if they had met a full queue.
    pub(super) fn drop_replayed(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        transport: &mut Transport,
        dropped: DropCount,
    ) {
        match (consumer.policy.overflow, &consumer.destination) {
            (Overflow::KeepLatest, _) => return consumer.replace_early(dropped),
            (Overflow::DropOldest, _) => {
                consumer.replace_early(dropped);
                *consumer.dropping.get_or_insert_default() += dropped;
                if !self.await_relief(key, consumer, transport) {
                    self.events.extend(consumer.take_overflow(key));
                }
            }
            (_, Destination::Direct { .. }) => self.overflow_direct(key, consumer, dropped),
            (_, Destination::Sctp { .. }) => {
                self.overflow_sctp(key, consumer, transport, dropped);
            }
        }
        // The flush sees whether its queue has room, which ends the overflow.
        transport.mark_dirty(consumer.transport, self.dirty);
    }

    /// Has [`Sfu::recheck_block`] called once half of this queue is free. Returns false if it is free already.
    pub(super) fn await_relief(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        transport: &mut Transport,
    ) -> bool {
        match consumer.direct_backlog() {
            Some(backlog) if !backlog.await_relief() => return false,
            Some(_) => self.wait_for_memory(key),
            None => {
                if consumer.begins_to_wait() {
                    transport.backlogged.push(key);
                }
            }
        }
        true
    }

    /// Has a direct DataConsumer looked at now and then, if other threads may make room in the worker's memory.
    fn wait_for_memory(&mut self, key: DataConsumerKey) {
        if self.memory.is_some() {
            self.waiters.insert(Waiter::Consumer(key));
            self.deadlines.set(memory::DEADLINE, Some(self.now + memory::LOOK));
        }
    }

    /// Sends a control message to the far end of a pipe, in order with the messages of this DataConsumer.
    pub(super) fn carry(
        &mut self,
        key: TransportKey,
        transport: &mut Transport,
        stream: StreamId,
        control: PipeControl,
    ) {
        if transport.carry(stream, control) {
            transport.mark_dirty(key, self.dirty);
        }
    }

    /// Counts messages that the queue of this DataConsumer had no room for. If its policy says so, it closes.
    fn overflow(&mut self, key: DataConsumerKey, consumer: &mut DataConsumer, dropped: DropCount) {
        consumer.drop_messages(dropped, DropReason::Full);
        *consumer.dropping.get_or_insert_default() += dropped;
        if consumer.policy.overflow == Overflow::Close {
            self.events.extend(consumer.take_overflow(key));
            self.aftermath.push(Aftermath::Close(key));
        }
    }
}

impl DataConsumerMut<'_> {
    /// Sends to this peer alone, past the DataProducer. Messages that are sent in this way have counters of their own.
    pub fn send(&mut self, message: Message) -> Result<()> {
        let payload_len = message.payload.len();
        let sent = self.try_send(message);
        let Self { sfu, key } = self;
        if let Some(consumer) = sfu.data_consumers.get_mut(key) {
            match sent {
                Ok(()) => consumer.direct.sent.add(MessageTally::one(payload_len)),
                Err(_) => consumer.direct.rejected += 1,
            }
        }
        sent
    }

    fn try_send(&mut self, message: Message) -> Result<()> {
        let stream = self.sctp_stream()?;
        let payload_len = message.payload.len();
        let Self { sfu, key } = self;
        let Sfu {
            now,
            turn,
            transports,
            data_producers,
            data_consumers,
            events,
            dirty,
            memory,
            ..
        } = &mut **sfu;
        let consumer = data_consumers.get_mut(key).ok_or(*key)?;
        let transport = transports.get_mut(&consumer.transport).ok_or(consumer.transport)?;
        if payload_len > transport.max_send_message_size as usize {
            let max = transport.max_send_message_size;
            return Err(Error::MessageTooLarge { max, len: payload_len });
        }
        // A pause at the other end of a pipe is only shown here; `producer_paused` includes it.
        let producer_paused = data_producers.get(&consumer.producer).is_some_and(|it| it.paused);
        if consumer.paused || producer_paused {
            return Err(Error::SendFailed);
        }
        match transport.send_directly(*now, memory.as_deref(), stream, message) {
            Ok(buffered) => {
                transport.show_buffered(*key, consumer, buffered);
                transport.mark_dirty(consumer.transport, dirty);
                Ok(())
            }
            Err(SendError::Full) => {
                consumer.emit_full(*key, *turn, events);
                Err(Error::SendBufferFull)
            }
            Err(_) => Err(Error::SendFailed),
        }
    }

    /// Rejects a message before [`Self::send`], because too many earlier ones have not reached the worker. It
    /// counts and emits as a full queue does; returns the error.
    pub fn reject(&mut self) -> Error {
        let Self { sfu, key } = self;
        let Sfu { turn, data_consumers, events, .. } = &mut **sfu;
        if let Some(consumer) = data_consumers.get_mut(key) {
            consumer.direct.rejected += 1;
            consumer.emit_full(*key, *turn, events);
        }
        Error::SendBufferFull
    }
}
