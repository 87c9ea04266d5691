//! How the retained messages of a DataProducer reach a new DataConsumer: over several turns if there are many.
//!
//! ```text
//! consumeData(), the first resume() ─► replay ─► in turns, while its queue has room ─► it has caught up
//!                                                     │
//! no room to keep what it needs ─► make_way ──────────┘ at once, and what exceeds a share is dropped
//! ```
//!
//! What is dropped counts as if it had been offered when the queue was full: as filtered, or as the policy says.
//!
//! A DataConsumer with `overflow: 'block'` holds up its DataProducer until it has caught up, and waits for room in its
//! queue.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Sfu;
use super::aftermath::Aftermath;
use super::contract::parameters::DropCount;
use super::entity::data_consumer::DataConsumer;
use super::entity::held::Releasing;
use super::entity::retained::{Replay, Retained, RetainedMessage, RetainedMessages, Selected};
use super::entity::transport::Transport;
use super::id::{DataConsumerKey, DataProducerKey, TransportKey};
use super::pipe_header::PipeControl;
use super::route::{Entities, Offered, Outputs};
use super::subchannels::Selector;
use super::work;
use crate::proto::message::Message;

/// How far a DataConsumer is to catch up.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// To the message with this number, whether there is room in its queue or not.
    Number(u64),
    /// Until the work exceeds this. A DataConsumer that may hold up its DataProducer waits for room.
    Work(u64),
}

/// How far it has caught up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CatchUp {
    /// There is more.
    Part,
    /// It goes on once there is room in its queue.
    Waits,
    /// It has all.
    All,
}

impl Sfu {
    /// Begins to deliver the retained messages of its DataProducer to a DataConsumer.
    pub(super) fn replay(&mut self, key: DataConsumerKey) {
        let Some(consumer) = self.data_consumers.get_mut(&key) else { return };
        let Some(producer) = self.data_producers.get_mut(&consumer.producer) else { return };
        let Some(retained) = &mut producer.retained else { return };
        if retained.begin_replay(self.now, key) {
            consumer.set_replays(true);
            self.continue_replay(key, work::QUANTUM);
        }
    }

    /// Continues a replay until that has cost `limit`. The rest gets its turn later.
    pub(super) fn continue_replay(&mut self, key: DataConsumerKey, limit: u64) {
        match self.replay_part(key, limit) {
            None | Some(CatchUp::All) => {}
            Some(CatchUp::Part) => self.releasing.push_back(Releasing::Replay(key)),
            Some(CatchUp::Waits) => self.replay_waits(key),
        }
        self.finish_routing();
    }

    fn replay_part(&mut self, key: DataConsumerKey, limit: u64) -> Option<CatchUp> {
        let end = self.work + limit;
        let (Entities { data_producers, data_consumers, transports }, mut outputs) = self.split();
        let consumer = data_consumers.get_mut(&key).filter(|it| it.replays)?;
        let producer = data_producers.get_mut(&consumer.producer)?;
        let transport = transports.get_mut(&consumer.transport)?;
        let (messages, replays) = producer.retained.as_mut()?.parts();
        let replay = replays.get_mut(&key)?;
        Some(outputs.catch_up(messages, key, replay, consumer, transport, Until::Work(end)))
    }

    /// Lets live messages reach a DataConsumer that has caught up.
    pub(super) fn replay_ended(&mut self, key: DataConsumerKey) {
        let Some(consumer) = self.data_consumers.get_mut(&key) else { return };
        let producer = consumer.producer;
        if let Some(producer) = self.data_producers.get_mut(&producer)
            && let Some(retained) = &mut producer.retained
        {
            retained.end_replay(key);
        }
        // If the queue is full by now, it holds up the next message.
        if consumer.block.as_mut().is_some_and(|it| it.end(self.now)) {
            self.end_block(producer);
        }
        self.end_replay_drains(key);
    }

    /// Notes that a DataConsumer that has not caught up yet was paused or resumed.
    pub(super) fn pause_replay(&mut self, key: DataConsumerKey) {
        let Some(consumer) = self.data_consumers.get(&key) else { return };
        let producer = self.data_producers.get_mut(&consumer.producer);
        if let Some(retained) = producer.and_then(|it| it.retained.as_mut()) {
            retained.pause_replay(key, consumer.pauses);
        }
    }

    /// Counts what a DataConsumer that closes has yet to get.
    pub(super) fn forget_replay(&mut self, key: DataConsumerKey, consumer: &DataConsumer) {
        let producer = self.data_producers.get_mut(&consumer.producer);
        if let Some(retained) = producer.and_then(|it| it.retained.as_mut()) {
            self.messages_dropped_at_close += retained.end_replay(key);
        }
        self.end_replay_drains(key);
    }

    /// Gives JavaScript, before a DataProducer closes, as much of what it retains as one share allows. (What waits for
    /// a peer would be discarded.)
    pub(super) fn replay_before_close(&mut self, key: DataProducerKey) {
        let end = self.work + work::SHARE;
        let Some(producer) = self.data_producers.get(&key) else { return };
        let Some(retained) = &producer.retained else { return };
        let is_direct = |key: &DataConsumerKey| {
            self.data_consumers.get(key).is_some_and(|it| it.direct_backlog().is_some())
        };
        let mut left: Vec<_> = retained.replays().keys().copied().filter(is_direct).collect();
        left.sort_unstable();
        while !left.is_empty() && self.work < end {
            let limit = ((end - self.work) / left.len() as u64).clamp(1, work::QUANTUM);
            left.retain(|it| {
                self.work < end && self.replay_part(*it, limit) == Some(CatchUp::Part)
            });
            self.finish_routing();
        }
    }
}

impl Outputs<'_> {
    /// Makes room for a message that [`Retained::push`] has not taken, and retains it: what has to go is delivered to
    /// the DataConsumers that have yet to get it, and dropped for them if that exceeds a share.
    #[cold]
    pub(super) fn make_way(
        &mut self,
        retained: &mut Retained,
        consumers: &mut FxHashMap<DataConsumerKey, DataConsumer>,
        transports: &mut FxHashMap<TransportKey, Transport>,
        message: &Message,
        selector: Option<&Arc<Selector>>,
    ) {
        let end_of_work = *self.work + work::SHARE;
        while !retained.messages().is_empty() {
            let first = retained.messages().first();
            let delivers = *self.work < end_of_work;
            // Messages that are kept for replays alone go before those that are retained.
            let end = match delivers {
                true => first + 1,
                false if first < retained.start() => retained.start(),
                false => retained.messages().end(),
            };
            let (messages, replays) = retained.parts();
            let selected = if delivers { Vec::new() } else { messages.select(end) };
            replays.retain(|key, replay| {
                let Some(consumer) = consumers.get_mut(key) else { return false };
                let Some(transport) = transports.get_mut(&consumer.transport) else { return false };
                if !delivers && !replay.closes {
                    let numbers = replay.skip_to(end);
                    let mut lost = messages.count(&numbers);
                    // A pipe carries all retained messages: later DataConsumers at the far end may have other
                    // subscriptions.
                    if !transport.is_pipe() {
                        let limit = end_of_work + work::SHARE;
                        let filtered = self.filtered(&selected, &numbers, consumer, limit);
                        consumer.not_sent.filtered += filtered.messages;
                        lost -= filtered;
                    }
                    if lost.messages > 0 {
                        self.drop_replayed(*key, consumer, transport, lost);
                        replay.closes = self.closes(*key);
                    }
                }
                let until = Until::Number(end);
                self.catch_up(messages, *key, replay, consumer, transport, until) != CatchUp::All
            });
            retained.forget_before(end);
            retained.drop_unneeded();
            if retained.push(self.now, message, selector) {
                return;
            }
        }
    }

    /// Counts those of the messages with these numbers that this DataConsumer is not subscribed to. Looks only until
    /// the work exceeds `limit`.
    fn filtered(
        &mut self,
        selected: &[Selected<'_>],
        numbers: &[Range<u64>],
        consumer: &DataConsumer,
        limit: u64,
    ) -> DropCount {
        let mut filtered = DropCount::default();
        for it in selected {
            if *self.work >= limit {
                break;
            }
            *self.work += work::SELECTED + work::comparison(it.selector, &consumer.subchannels);
            if !it.selector.matches(&consumer.subchannels) {
                filtered += it.count(numbers);
            }
        }
        filtered
    }

    /// Delivers to a DataConsumer the messages that it has yet to get.
    fn catch_up(
        &mut self,
        messages: &RetainedMessages,
        key: DataConsumerKey,
        replay: &mut Replay,
        consumer: &mut DataConsumer,
        transport: &mut Transport,
        until: Until,
    ) -> CatchUp {
        let stream = consumer.stream_id();
        loop {
            if replay.closes {
                return CatchUp::Part;
            }
            let next = replay.next(messages.end());
            if replay.takes_clear(next.unwrap_or(messages.end()))
                && let Some(stream) = stream
            {
                self.carry(consumer.transport, transport, stream, PipeControl::ClearRetained);
            }
            let Some(number) = next else { break };
            match until {
                Until::Number(end) if number >= end => return CatchUp::Part,
                Until::Work(end) if *self.work >= end => return CatchUp::Part,
                Until::Work(_) if self.waits_for_room(key, consumer, transport) => {
                    return CatchUp::Waits;
                }
                Until::Number(_) | Until::Work(_) => {}
            }
            replay.advance();
            *self.work += work::SKIPPED;
            // All messages that a replay needs are kept, so this one is there.
            let Some(retained) = messages.get(number) else { continue };
            let RetainedMessage { message, selector, since, .. } = retained;
            let offered = Offered {
                payload_len: message.payload.len(),
                selector: selector.as_ref(),
                retained: true,
            };
            let accepted = self.offer(key, consumer, transport, offered, || message.clone());
            if accepted
                && let Some(stream) = stream
                && let Some(tunnel) = transport.tunnel_mut()
            {
                tunnel.backdate(stream, *since);
            }
            replay.closes = self.closes(key);
        }
        consumer.set_replays(false);
        self.aftermath.push(Aftermath::EndReplay(key));
        CatchUp::All
    }

    /// Whether the message that this DataConsumer was offered last closes it.
    fn closes(&self, key: DataConsumerKey) -> bool {
        self.aftermath.last() == Some(&Aftermath::Close(key))
    }

    /// Whether a DataConsumer waits for room in its queue, instead of dropping. If so, it goes on once half is free.
    fn waits_for_room(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        transport: &mut Transport,
    ) -> bool {
        if !consumer.would_wait(transport) || !self.await_relief(key, consumer, transport) {
            return false;
        }
        consumer.block.iter_mut().for_each(|it| it.replay_waits = true);
        true
    }
}
