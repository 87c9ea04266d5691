//! A DataConsumer: where messages go, to a stream of a peer or to JavaScript.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use uuid::Uuid;

use crate::proto::message::{Limit, Reliability, StreamId};
use crate::proto::overflow::{Overflow, QueueDrops, QueuePolicy};
use crate::proto::sctp::MessageTally;

use crate::sfu::backlog::{Backlog, Token};
use crate::sfu::block_state::Block;
use crate::sfu::contract::options::DataConsumerOptions;
use crate::sfu::contract::parameters::{DataType, DropCount, SctpStreamParameters};
use crate::sfu::direct_queue::DirectQueue;
use crate::sfu::error::{Error, Result};
use crate::sfu::event::{DataConsumerEvent, Event};
use crate::sfu::id::{self, DataConsumerKey, DataProducerKey, TransportKey};
use crate::sfu::subchannels::Subchannels;

impl DataConsumerOptions {
    /// The reliability of the consumer: the producer's unless overridden here. A limit alone means
    /// unordered; `ordered: true` clears all limits.
    pub(in crate::sfu) fn reliability(&self, producer: Option<Reliability>) -> Result<Reliability> {
        let inherited = producer.unwrap_or(Reliability::RELIABLE);
        if self.ordered == Some(true) {
            return Ok(Reliability::RELIABLE);
        }
        let (inherited_lifetime, inherited_retransmits) = match inherited.limit {
            Some(Limit::LifetimeMs(ms)) => (Some(ms), None),
            Some(Limit::Retransmits(n)) => (None, Some(n)),
            None => (None, None),
        };
        let lifetime = self.max_packet_life_time.or(inherited_lifetime);
        let retransmits = self.max_retransmits.or(inherited_retransmits);
        let limit = match (lifetime, retransmits) {
            (Some(lifetime), Some(retransmits)) => {
                return Err(Error::TwoLimits { lifetime, retransmits });
            }
            (lifetime, retransmits) => {
                lifetime.map(Limit::LifetimeMs).or(retransmits.map(Limit::Retransmits))
            }
        };
        let ordered = self.ordered.unwrap_or(inherited.ordered) && limit.is_none();
        Ok(Reliability { ordered, limit })
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::sfu) struct DataConsumer {
    pub(in crate::sfu) id: Uuid,
    pub(in crate::sfu) transport: TransportKey,
    pub(in crate::sfu) producer: DataProducerKey,
    pub(in crate::sfu) producer_id: Uuid,
    pub(in crate::sfu) destination: Destination,
    pub(in crate::sfu) label: String,
    pub(in crate::sfu) protocol: String,
    pub(in crate::sfu) paused: bool,
    /// Whether it is on a pipe whose far end does not exist yet.
    waits_for_start: bool,
    /// Whether live messages skip it: it is paused, or still gets retained ones.
    pub(in crate::sfu) skips: bool,
    /// Whether messages for it are dropped: it is paused and does not hold them, or has yet to start.
    pub(in crate::sfu) pauses: bool,
    /// Whether retained messages are being replayed to it.
    pub(in crate::sfu) replays: bool,
    /// Whether it holds messages that come during a pause.
    pub(in crate::sfu) holds: bool,
    /// Whether it is paused and holds, so that its queue does not move.
    pub(in crate::sfu) stopped: bool,
    /// Whether messages for JavaScript have to wait behind held ones: it is stopped, or still releases them.
    pub(in crate::sfu) holds_back: bool,
    /// The tokens of held messages, which enter the outbox in this order once it is resumed.
    tokens: VecDeque<Token>,
    /// Whether it is in the list of those that release held messages.
    pub(in crate::sfu) releases: bool,
    /// Whether the replay of retained messages to it has yet to begin.
    pub(in crate::sfu) awaits_retained: bool,
    /// Whether its DataProducer shows that it is paused.
    pub(in crate::sfu) producer_paused: bool,
    pub(in crate::sfu) subchannels: Subchannels,
    /// On a pipe: whether it carries only messages without subchannels if it has no subscriptions.
    pub(in crate::sfu) strict_subchannels: bool,
    /// The messages that its DataProducer received and it accepted.
    pub(in crate::sfu) sent: MessageTally,
    pub(in crate::sfu) not_sent: NotSent,
    pub(in crate::sfu) direct: DirectSends,
    /// The turn in which `sctpsendbufferfull` was last emitted, as it is emitted at most once a turn.
    pub(in crate::sfu) full_in_turn: Option<u64>,
    /// Whether payload waits for the peer, so that the transport has to publish how the amount shrinks.
    pub(in crate::sfu) waits: bool,
    /// Whether the queue has a policy.
    pub(in crate::sfu) governed: bool,
    pub(in crate::sfu) policy: QueuePolicy,
    /// Present if it may hold up its DataProducer.
    pub(in crate::sfu) block: Option<Box<Block>>,
    /// For how long it may hold up its DataProducer within a minute. `None`: without limit.
    pub(in crate::sfu) block_timeout: Option<Duration>,
    /// How much the current overflow has dropped so far.
    pub(in crate::sfu) dropping: Option<DropCount>,
    /// The messages that had been replaced when [`Self::count_replaced`] was last called.
    replaced: MessageTally,
    /// The messages that were replaced before they entered the queue: retained ones that could not be kept until there
    /// was room.
    pub(in crate::sfu) replaced_early: MessageTally,
}

/// What DataConsumers have counted together.
#[derive(Debug, Default, Clone)]
pub(in crate::sfu) struct ConsumerTotals {
    pub(in crate::sfu) sent: MessageTally,
    pub(in crate::sfu) not_sent: NotSent,
    pub(in crate::sfu) direct: DirectSends,
    /// Accepted messages that queues to JavaScript have dropped later, and those that were replaced before they entered
    /// a queue. Transports count the drops of their own queues.
    pub(in crate::sfu) dropped_later: QueueDrops,
}

impl ConsumerTotals {
    /// Adds the counters of an open DataConsumer.
    pub(in crate::sfu) fn add(&mut self, consumer: &DataConsumer) {
        self.add_counters(consumer, |queue| queue.tally().dropped());
    }

    /// Adds the counters of a DataConsumer that closes. `late` counts the messages that JavaScript still finds too old.
    pub(in crate::sfu) fn add_closed(&mut self, consumer: &DataConsumer, late: &Arc<AtomicU64>) {
        self.add_counters(consumer, |queue| queue.count_late(late));
    }

    fn add_counters(
        &mut self,
        consumer: &DataConsumer,
        dropped: impl FnOnce(&DirectQueue) -> QueueDrops,
    ) {
        self.sent.add(consumer.sent);
        self.not_sent.add(&consumer.not_sent);
        self.direct.sent.add(consumer.direct.sent);
        self.direct.rejected += consumer.direct.rejected;
        self.dropped_later.replaced += consumer.replaced_early.messages;
        if let Some(queue) = consumer.direct_backlog().and_then(|it| it.queue()) {
            let dropped = dropped(queue);
            self.dropped_later.replaced += dropped.replaced;
            self.dropped_later.stale += dropped.stale;
        }
    }
}

/// Why a DataConsumer did not send messages of its DataProducer.
#[derive(Debug, Default, Clone)]
pub(in crate::sfu) struct NotSent {
    /// The sum of the messages that were not accepted: `full`, `too_large` and `unsendable`.
    pub(in crate::sfu) dropped: DropCount,
    pub(in crate::sfu) full: u64,
    pub(in crate::sfu) too_large: u64,
    pub(in crate::sfu) unsendable: u64,
    pub(in crate::sfu) paused: u64,
    pub(in crate::sfu) filtered: u64,
}

impl NotSent {
    fn add(&mut self, other: &Self) {
        self.dropped += other.dropped;
        self.full += other.full;
        self.too_large += other.too_large;
        self.unsendable += other.unsendable;
        self.paused += other.paused;
        self.filtered += other.filtered;
    }

    fn drop(&mut self, dropped: DropCount, reason: DropReason) {
        self.dropped += dropped;
        *match reason {
            DropReason::Full => &mut self.full,
            DropReason::TooLarge => &mut self.too_large,
            DropReason::Unsendable => &mut self.unsendable,
        } += dropped.messages;
    }
}

/// The messages of `dataConsumer.send()`, which its DataProducer has not received.
#[derive(Debug, Default, Clone)]
pub(in crate::sfu) struct DirectSends {
    pub(in crate::sfu) sent: MessageTally,
    pub(in crate::sfu) rejected: u64,
}

/// Why a message was dropped.
#[derive(Debug, Clone, Copy)]
pub(in crate::sfu) enum DropReason {
    /// The queue to the peer or to JavaScript is full.
    Full,
    /// The message exceeds the transport's `maxSendMessageSize`.
    TooLarge,
    /// There is no association, or the association no longer has the stream.
    Unsendable,
}

/// What keeps a new DataConsumer from delivering.
#[derive(Debug, Clone, Copy)]
pub(in crate::sfu) struct Pauses {
    pub(in crate::sfu) own: bool,
    /// Whether it holds messages that come during a pause.
    pub(in crate::sfu) holds: bool,
    /// Whether its DataProducer is paused, here or at its origin.
    pub(in crate::sfu) producers: bool,
    pub(in crate::sfu) waits_for_start: bool,
}

/// Where a DataConsumer's messages go.
#[derive(Debug)]
pub(in crate::sfu) enum Destination {
    /// To the peer, over this stream, which the application has chosen or not. `gauge` shows JavaScript the
    /// payload bytes that wait.
    Sctp { stream: SctpStreamParameters, chosen: bool, low_threshold: usize, gauge: Arc<Backlog> },
    /// To JavaScript.
    Direct { backlog: Arc<Backlog> },
}

impl DataConsumer {
    pub(in crate::sfu) fn new(
        transport: TransportKey,
        producer: DataProducerKey,
        producer_id: Uuid,
        destination: Destination,
        (label, protocol): (String, String),
        Pauses { own: paused, holds, producers: producer_paused, waits_for_start }: Pauses,
        subchannels: Subchannels,
    ) -> Self {
        Self {
            id: id::random(),
            transport,
            producer,
            producer_id,
            destination,
            label,
            protocol,
            paused,
            waits_for_start,
            skips: true,
            pauses: true,
            replays: false,
            holds,
            stopped: false,
            holds_back: false,
            tokens: VecDeque::new(),
            releases: false,
            awaits_retained: true,
            producer_paused,
            subchannels,
            strict_subchannels: false,
            sent: MessageTally::default(),
            not_sent: NotSent::default(),
            direct: DirectSends::default(),
            full_in_turn: None,
            waits: false,
            governed: false,
            policy: QueuePolicy::default(),
            block: None,
            block_timeout: None,
            dropping: None,
            replaced: MessageTally::default(),
            replaced_early: MessageTally::default(),
        }
    }

    /// Applies its pauses. Returns true the first time that it is not paused: then its DataProducer's retained messages
    /// are replayed to it.
    pub(in crate::sfu) fn begins(&mut self) -> bool {
        self.pauses = self.waits_for_start || (self.paused && !self.holds);
        self.skips = self.pauses || self.replays;
        !self.pauses && std::mem::take(&mut self.awaits_retained)
    }

    /// Sets whether retained messages are still being replayed to it.
    pub(in crate::sfu) fn set_replays(&mut self, replays: bool) {
        self.replays = replays;
        self.skips = self.pauses || replays;
    }

    /// Stops or restarts the queue according to its pause. Returns whether that is a change.
    pub(in crate::sfu) fn turn_queue(&mut self) -> bool {
        let stopped = self.holds && self.paused;
        self.holds_back |= stopped;
        std::mem::replace(&mut self.stopped, stopped) != stopped
    }

    /// Holds back the token of a message for JavaScript.
    pub(in crate::sfu) fn hold_back(&mut self, token: Token) {
        // Tokens of replaced messages are dropped.
        while self.tokens.front().is_some_and(|oldest| !oldest.is_live()) {
            self.tokens.pop_front();
        }
        self.tokens.push_back(token);
    }

    /// The number of the first message that is held for JavaScript. Messages with lower numbers have their places in
    /// the outbox. `None`: all have.
    pub(in crate::sfu) fn first_held(&self) -> Option<u64> {
        self.tokens.front().map(Token::number)
    }

    /// The token of the next message that is held for JavaScript, if it may enter the outbox.
    pub(in crate::sfu) fn release(&mut self) -> Option<Token> {
        if self.stopped {
            return None;
        }
        let token = self.tokens.pop_front();
        self.holds_back = token.is_some();
        token
    }

    pub(in crate::sfu) fn start(&mut self) {
        self.waits_for_start = false;
    }

    pub(in crate::sfu) fn kind(&self) -> DataType {
        match self.destination {
            Destination::Sctp { .. } => DataType::Sctp,
            Destination::Direct { .. } => DataType::Direct,
        }
    }

    /// What waits for JavaScript, if the consumer is direct.
    pub(in crate::sfu) fn direct_backlog(&self) -> Option<&Arc<Backlog>> {
        match &self.destination {
            Destination::Direct { backlog } => Some(backlog),
            Destination::Sctp { .. } => None,
        }
    }

    pub(in crate::sfu) fn stream(&self) -> Option<SctpStreamParameters> {
        match self.destination {
            Destination::Sctp { stream, .. } => Some(stream),
            Destination::Direct { .. } => None,
        }
    }

    /// Shows JavaScript how many payload bytes wait for the peer.
    pub(in crate::sfu) fn publish_buffered_amount(&self, amount: usize) {
        if let Destination::Sctp { gauge, .. } = &self.destination {
            gauge.publish(amount);
        }
    }

    /// Notes that payload is queued for the peer. Returns true if none was before.
    pub(in crate::sfu) fn begins_to_wait(&mut self) -> bool {
        !std::mem::replace(&mut self.waits, true)
    }

    /// Shows JavaScript how many bytes are still queued for the peer. Returns false once nothing waits.
    pub(in crate::sfu) fn still_waits(&mut self, amount: usize) -> bool {
        self.publish_buffered_amount(amount);
        self.waits = amount > 0 || self.awaits_room();
        self.waits
    }

    /// The stream to the peer, unless it is direct.
    pub(in crate::sfu) fn stream_id(&self) -> Option<StreamId> {
        self.stream().map(|it| it.stream_id)
    }

    /// Counts dropped messages.
    pub(in crate::sfu) fn drop_messages(&mut self, dropped: DropCount, reason: DropReason) {
        self.not_sent.drop(dropped, reason);
    }

    /// Takes the event for the end of an overflow, if there was one.
    #[inline]
    pub(in crate::sfu) fn take_overflow(&mut self, key: DataConsumerKey) -> Option<Event> {
        let dropped = self.dropping.take()?;
        Some(Event::DataConsumer(key, DataConsumerEvent::Overflow(dropped)))
    }

    /// Notes that its own queue to JavaScript has accepted a message. Returns the event for the end of an overflow.
    pub(in crate::sfu) fn delivered(&mut self, key: DataConsumerKey) -> Option<Event> {
        if self.policy.overflow == Overflow::DropOldest {
            let replaced = self.direct_backlog()?.queue()?.tally().replaced;
            if self.count_replaced(replaced) {
                self.direct_backlog()?.overflow();
            }
            return None;
        }
        self.take_overflow(key)
    }

    /// Adds replaced messages to the current overflow. `replaced`: how many the queue has replaced in all. Returns
    /// whether there are more than before.
    pub(in crate::sfu) fn count_replaced(&mut self, replaced: MessageTally) -> bool {
        let mut new = replaced;
        new.remove(self.replaced);
        self.replaced = replaced;
        if new.messages == 0 {
            return false;
        }
        *self.dropping.get_or_insert_default() +=
            DropCount { messages: new.messages, bytes: new.bytes };
        true
    }

    /// Counts messages that newer ones have replaced before they entered the queue.
    pub(in crate::sfu) fn replace_early(&mut self, replaced: DropCount) {
        let DropCount { messages, bytes } = replaced;
        for tally in [&mut self.sent, &mut self.replaced_early] {
            tally.add(MessageTally { messages, bytes });
        }
    }

    /// Makes the next [`Self::count_replaced`] leave these out.
    pub(in crate::sfu) fn ignore_replaced(&mut self, replaced: MessageTally) {
        self.replaced = replaced;
    }

    /// Emits once a turn that the queue to the peer is full.
    pub(in crate::sfu) fn emit_full(
        &mut self,
        key: DataConsumerKey,
        turn: u64,
        events: &mut VecDeque<Event>,
    ) {
        if self.full_in_turn.replace(turn) != Some(turn) {
            events.push_back(Event::DataConsumer(key, DataConsumerEvent::SctpSendBufferFull));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sfu::contract::options::WhilePaused;

    #[test]
    fn the_reliability_is_the_producers_unless_overridden() {
        let reliable = Some(Reliability::RELIABLE);
        let unordered = Reliability { ordered: false, limit: None };
        let limited = |limit| Reliability { ordered: false, limit: Some(limit) };
        let retransmits = limited(Limit::Retransmits(3));
        let lifetime = limited(Limit::LifetimeMs(50));
        let options = |ordered, max_packet_life_time, max_retransmits| DataConsumerOptions {
            data_producer_id: Uuid::nil(),
            paused: false,
            while_paused: WhilePaused::Drop,
            subchannels: Vec::new(),
            strict_subchannels: false,
            ordered,
            max_packet_life_time,
            max_retransmits,
            stream_id: None,
            negotiated: true,
            retained: true,
            waits_for_start: false,
            overflow: None,
            max_buffered_amount: None,
            max_queue_delay: None,
            overflow_timeout: None,
        };
        let both = |lifetime, retransmits| Err(Error::TwoLimits { lifetime, retransmits });
        for (producer, given, expected) in [
            (reliable, options(None, None, None), Ok(Reliability::RELIABLE)),
            (None, options(None, None, None), Ok(Reliability::RELIABLE)),
            (None, options(Some(false), None, None), Ok(unordered)),
            (reliable, options(None, None, Some(0)), Ok(limited(Limit::Retransmits(0)))),
            (Some(retransmits), options(None, None, None), Ok(retransmits)),
            (Some(retransmits), options(Some(false), None, None), Ok(retransmits)),
            (Some(retransmits), options(Some(true), None, Some(2)), Ok(Reliability::RELIABLE)),
            (Some(retransmits), options(None, Some(20), None), both(20, 3)),
            (Some(lifetime), options(None, Some(20), None), Ok(limited(Limit::LifetimeMs(20)))),
            (Some(unordered), options(None, None, Some(5)), Ok(limited(Limit::Retransmits(5)))),
            (reliable, options(None, Some(20), Some(2)), both(20, 2)),
        ] {
            assert_eq!(given.reliability(producer), expected, "{producer:?} {given:?}");
        }
    }
}
