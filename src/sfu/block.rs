//! `overflow: 'block'`: a DataProducer waits for its DataConsumers.
//!
//! ```text
//! the next message ─► is_blocked(): is a DataConsumer full? ─► its source keeps it
//!                                                               │
//! room, pause, close, the end of an association, a stall ─► recheck_block() ─► the source goes on
//! ```
//!
//! Only DataProducers are blocked. Messages of JavaScript and of a tunnel wait in their lane, kept by the caller (see
//! `lanes.rs`). Messages of a peer wait in its association, whose receive window fills, so that the peer stops sending
//! on all of its streams.
//!
//! A DataConsumer that has held up its DataProducer for its timeout within a minute is stalled: until half of its queue
//! is free, it drops messages like other DataConsumers. Only time in which it takes nothing counts (see
//! `block_state.rs`).

use super::Sfu;
use super::entity::data_consumer::DataConsumer;
use super::entity::held::Releasing;
use super::entity::transport::Transport;
use super::event::{DataConsumerEvent, Event};
use super::id::{DataConsumerKey, DataProducerKey, TransportKey};
use super::memory::Waiter;
use super::work;
use crate::proto::message::StreamId;

/// A peer that has acknowledged fewer bytes than this counts as standing still, so that it cannot hold up others by
/// taking a byte now and then.
const LEAST: u64 = 1024;

impl DataConsumer {
    /// How many bytes it has taken in all, and how many more show that it makes progress. JavaScript takes whole
    /// messages, so there one byte suffices.
    fn taken(&self, transport: &Transport) -> (u64, u64) {
        match self.direct_backlog() {
            Some(backlog) => (backlog.taken(), 1),
            None => (transport.delivered(), LEAST),
        }
    }

    /// Whether the DataProducer has to wait for this DataConsumer: its queue is full, or was full and is not half empty
    /// yet, or retained messages have yet to be replayed to it.
    fn is_shut(&self, transport: &Transport) -> bool {
        let Some(block) = self.block.as_ref().filter(|it| !it.stalled && !self.pauses) else {
            return false;
        };
        if self.stream_id().is_some() && !transport.is_sctp_connected() {
            return false;
        }
        self.replays || self.is_full(transport, block.span.is_some())
    }

    /// Whether the queue of this DataConsumer is full or, if it `was_full`, not half empty yet.
    fn is_full(&self, transport: &Transport, was_full: bool) -> bool {
        match self.stream_id() {
            Some(stream) if was_full => !transport.is_relieved(stream),
            Some(stream) => transport.is_shut(stream),
            None => self.direct_backlog().is_some_and(|backlog| match was_full {
                true => !backlog.is_half_empty(),
                false => backlog.is_full(),
            }),
        }
    }

    /// Whether a replay has to wait for room in the queue of this DataConsumer, instead of dropping retained messages.
    pub(super) fn would_wait(&self, transport: &Transport) -> bool {
        self.block.as_ref().is_some_and(|it| !it.stalled)
            && !transport.has_ended()
            && self.is_full(transport, false)
    }

    /// Whether the replay to this DataConsumer goes on in its turn, and does not wait for room in the queue.
    fn awaits_turn(&self) -> bool {
        self.replays && self.block.as_ref().is_some_and(|it| !it.replay_waits)
    }

    /// Whether the DataProducer waits for this DataConsumer.
    fn holds_up(&self) -> bool {
        self.block.as_ref().is_some_and(|it| it.span.is_some())
    }

    /// Whether the queue of this DataConsumer is watched, because something is to happen once there is room.
    pub(super) fn awaits_room(&self) -> bool {
        self.dropping.is_some()
            || self.block.as_ref().is_some_and(|it| {
                it.stalled || it.replay_waits || (it.span.is_some() && !self.replays)
            })
    }

    /// Takes the event for the end of a stall: half of the queue is free, or another policy applies.
    pub(super) fn take_unstalled(&mut self, key: DataConsumerKey) -> Option<Event> {
        let block = self.block.as_mut()?;
        let stalled = std::mem::take(&mut block.stalled);
        stalled.then_some(Event::DataConsumer(key, DataConsumerEvent::Unstalled))
    }
}

/// For the runtime, which keeps the messages of JavaScript and of tunnels while they wait.
impl Sfu {
    /// Whether any DataProducer may be blocked. If not, [`Self::is_blocked`] need not be called.
    pub fn may_block(&self) -> bool {
        self.blocks.consumers + self.blocks.limits > 0
    }

    /// Whether the next message of this DataProducer has to wait until [`Self::poll_unblocked`] returns the
    /// DataProducer.
    pub fn is_blocked(&mut self, key: DataProducerKey) -> bool {
        if !self.may_block() {
            return false;
        }
        let Some(producer) = self.data_producers.get(&key) else { return false };
        if producer.blocked {
            return true;
        }
        // The messages that the DataProducer holds come first, and might leave no room for this one.
        let waits = (producer.blockers > 0 && producer.is_releasing())
            || self.awaits_room(key)
            || self.awaits_tokens(key);
        // The message stays with the caller.
        if waits && let Some(producer) = self.data_producers.get_mut(&key) {
            producer.blocked = true;
        }
        waits
    }

    /// Stops the source of this DataProducer.
    pub(super) fn stop_source(&mut self, key: DataProducerKey) {
        let Some(producer) = self.data_producers.get_mut(&key) else { return };
        producer.blocked = true;
        if let Some(stream) = producer.stream_id()
            && let Some(transport) = self.transports.get_mut(&producer.transport)
        {
            transport.stop_stream(stream);
        }
    }

    /// Whether the DataProducer has to wait for one of its DataConsumers.
    pub(super) fn awaits_room(&mut self, key: DataProducerKey) -> bool {
        let Self { now, data_producers, data_consumers, transports, blocks, work, .. } = self;
        let Some(producer) = data_producers.get_mut(&key) else { return false };
        if producer.blockers == 0 || producer.paused {
            return false;
        }
        let mut in_memory = Vec::new();
        for key in producer.consumers.iter() {
            *work += work::SKIPPED;
            let Some(consumer) = data_consumers.get_mut(&key) else { continue };
            let Some(transport) = transports.get_mut(&consumer.transport) else { continue };
            if consumer.holds_up() || !consumer.is_shut(transport) {
                continue;
            }
            if consumer.replays {
                // A replay needs no notice of room: it goes on when its turn comes.
            } else if let Some(backlog) = consumer.direct_backlog() {
                backlog.overflow();
                // JavaScript may have made room before it could see that this side waits.
                if backlog.take_relief() {
                    continue;
                }
                in_memory.push(key);
            } else if consumer.begins_to_wait() {
                transport.backlogged.push(key);
            }
            let (taken, _) = consumer.taken(transport);
            let timeout = consumer.block_timeout.filter(|_| !consumer.awaits_turn());
            if let Some(block) = &mut consumer.block {
                block.begin(*now, taken);
                if let Some(timeout) = timeout {
                    blocks.watch(key, block, *now, timeout);
                }
            }
            producer.blocking += 1;
        }
        let waits = producer.blocking > 0;
        for key in in_memory {
            self.wait_for_memory(Waiter::Consumer(key));
        }
        waits
    }

    /// The next DataProducer of JavaScript or behind a tunnel that may have been blocked and no longer is.
    pub fn poll_unblocked(&mut self) -> Option<DataProducerKey> {
        self.blocks.unblocked.pop_front()
    }

    /// Whether [`Self::poll_unblocked`] returns one.
    pub fn has_unblocked(&self) -> bool {
        !self.blocks.unblocked.is_empty()
    }

    /// The DataProducer that gets the messages of this stream.
    pub fn producer_on(&self, key: TransportKey, stream: StreamId) -> Option<DataProducerKey> {
        self.transports.get(&key)?.producer_streams.get(&stream).copied()
    }
}

/// For the rest of `sfu`, when something about an entity changes.
impl Sfu {
    /// Sets whether this DataConsumer may hold up its DataProducer.
    pub(super) fn set_blocking(&mut self, key: DataConsumerKey, blocks: bool) {
        let Some(consumer) = self.data_consumers.get_mut(&key) else { return };
        if consumer.block.is_some() == blocks {
            return;
        }
        let producer = consumer.producer;
        if let Some(producer) = self.data_producers.get_mut(&producer) {
            let count = producer.blockers;
            producer.blockers = if blocks { count + 1 } else { count.saturating_sub(1) };
        }
        if blocks {
            consumer.block = Some(Box::default());
            self.blocks.consumers += 1;
        } else {
            self.events.extend(consumer.take_unstalled(key));
            let held_up = consumer.holds_up();
            self.resume_replay(key);
            let Some(consumer) = self.data_consumers.get_mut(&key) else { return };
            consumer.block = None;
            self.blocks.consumers = self.blocks.consumers.saturating_sub(1);
            if held_up {
                self.end_block(producer);
            }
        }
    }

    /// Checks again whether this DataConsumer holds up its DataProducer. Call it after something about it has changed.
    pub(super) fn recheck_block(&mut self, key: DataConsumerKey) {
        let Self { now, data_consumers, transports, .. } = self;
        let Some(consumer) = data_consumers.get_mut(&key) else { return };
        let Some(transport) = transports.get(&consumer.transport) else { return };
        let producer = consumer.producer;
        let has_room = !consumer.is_full(transport, true) || transport.has_ended();
        let ends =
            !consumer.is_shut(transport) && consumer.block.as_mut().is_some_and(|it| it.end(*now));
        if has_room {
            self.resume_replay(key);
        }
        if ends {
            self.end_block(producer);
        }
    }

    /// Notes that the replay of this DataConsumer waits for room. If it holds up its DataProducer, `overflowTimeout`
    /// counts from now on.
    pub(super) fn replay_waits(&mut self, key: DataConsumerKey) {
        let Self { now, data_consumers, transports, blocks, .. } = self;
        let Some(consumer) = data_consumers.get_mut(&key) else { return };
        let Some(transport) = transports.get(&consumer.transport) else { return };
        let (taken, _) = consumer.taken(transport);
        if let Some(block) = consumer.block.as_mut().filter(|it| it.span.is_some()) {
            block.begin(*now, taken);
            if let Some(timeout) = consumer.block_timeout {
                blocks.watch(key, block, *now, timeout);
            }
        }
    }

    /// Notes that the replay of this DataConsumer goes on, if it has waited for room. How long it stood still counts,
    /// however often the replay waits again.
    fn resume_replay(&mut self, key: DataConsumerKey) {
        let Self { now, data_consumers, transports, releasing, .. } = self;
        let Some(consumer) = data_consumers.get_mut(&key) else { return };
        let Some(transport) = transports.get(&consumer.transport) else { return };
        let (taken, _) = consumer.taken(transport);
        let Some(block) = &mut consumer.block else { return };
        if std::mem::take(&mut block.replay_waits) {
            block.renew(*now, taken);
            releasing.push_back(Releasing::Replay(key));
        }
    }

    /// Notes that one DataConsumer less holds up this DataProducer.
    pub(super) fn end_block(&mut self, key: DataProducerKey) {
        let Some(producer) = self.data_producers.get_mut(&key) else { return };
        producer.blocking = producer.blocking.saturating_sub(1);
        self.check_producer(key);
    }

    /// Checks all DataConsumers of a transport again.
    pub(super) fn recheck_blocks_on(&mut self, key: TransportKey) {
        if self.blocks.consumers == 0 {
            return;
        }
        let Some(transport) = self.transports.get(&key) else { return };
        for key in transport.data_consumers.iter().collect::<Vec<_>>() {
            self.recheck_block(key);
        }
    }

    /// Lets the DataProducer go on, first with the messages that it holds, unless something still blocks it.
    pub(super) fn check_producer(&mut self, key: DataProducerKey) {
        let Some(producer) = self.data_producers.get_mut(&key).filter(|it| it.blocked) else {
            return;
        };
        if producer.blocking > 0 {
            if !producer.paused {
                return;
            }
            producer.blocking = 0;
            for key in producer.consumers.iter() {
                let consumer = self.data_consumers.get_mut(&key);
                if let Some(block) = consumer.and_then(|it| it.block.as_mut()) {
                    block.end(self.now);
                }
            }
        }
        if producer.is_releasing() {
            if let Some(held) = &mut producer.held
                && !std::mem::replace(&mut held.releases, true)
            {
                self.releasing.push_back(Releasing::Producer(key));
            }
            return;
        }
        if producer.awaits_tokens && !producer.skips_messages() {
            return;
        }
        producer.blocked = false;
        let (transport, stream) = (producer.transport, producer.stream_id());
        self.release_source(key, transport, stream);
    }

    /// Lets the source of a DataProducer go on. `stream` is that of a peer's messages.
    pub(super) fn release_source(
        &mut self,
        key: DataProducerKey,
        transport_key: TransportKey,
        stream: Option<StreamId>,
    ) {
        let transport = self.transports.get_mut(&transport_key);
        let Some((transport, stream)) = transport.zip(stream) else {
            return self.blocks.unblocked.push_back(key);
        };
        if !transport.resume_stream(stream) {
            return self.blocks.unblocked.push_back(key);
        }
        if !std::mem::replace(&mut transport.postponed, true) {
            self.postponed.push_back(transport_key);
        }
        // The peer learns that there is room.
        self.touch(transport_key);
    }

    /// Lets the DataProducer go on, if it has waited for a DataConsumer that has been removed.
    pub(super) fn forget_block(&mut self, consumer: &DataConsumer) {
        if consumer.block.is_none() {
            return;
        }
        self.blocks.consumers = self.blocks.consumers.saturating_sub(1);
        if let Some(producer) = self.data_producers.get_mut(&consumer.producer) {
            producer.blockers = producer.blockers.saturating_sub(1);
        }
        if consumer.holds_up() {
            self.end_block(consumer.producer);
        }
    }

    /// Checks the DataConsumers that hold up their DataProducers, as many as one turn may. Stalls those that have stood
    /// still for too long.
    pub(super) fn handle_stalls(&mut self) {
        let end = self.work + work::SHARE;
        while self.work < end
            && let Some((at, key)) = self.blocks.take_look(self.now)
        {
            self.work += work::SKIPPED;
            let Self { now, data_consumers, transports, blocks, .. } = self;
            let Some(consumer) = data_consumers.get_mut(&key) else { continue };
            let Some(transport) = transports.get(&consumer.transport) else { continue };
            let (taken, least) = consumer.taken(transport);
            let producer = consumer.producer;
            let awaits_turn = consumer.awaits_turn();
            let Some(timeout) = consumer.block_timeout else { continue };
            let Some(block) = &mut consumer.block else { continue };
            if !block.is_due(at) || awaits_turn {
                continue;
            }
            block.look(*now, taken, least);
            if !block.stalls(*now, timeout) {
                blocks.watch(key, block, *now, timeout);
                continue;
            }
            block.stall(*now);
            self.events.push_back(Event::DataConsumer(key, DataConsumerEvent::Stalled));
            self.resume_replay(key);
            self.end_block(producer);
        }
    }
}
