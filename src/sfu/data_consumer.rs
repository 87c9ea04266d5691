//! The requests of a DataConsumer. `route.rs` delivers its messages.

use crate::proto::message::StreamId;
use crate::proto::overflow::{Overflow, QueuePolicy, QueueTally};
use crate::proto::sctp::MessageTally;
use crate::sfu::Sfu;
use crate::sfu::contract::dump::DataConsumerDump;
use crate::sfu::contract::stats::DataConsumerStats;
use crate::sfu::direct_queue::DirectQueue;
use crate::sfu::error::{Error, Result};
use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::sfu::subchannels::Subchannels;

use super::entity::data_consumer::{DataConsumer, Destination};
use super::work;

/// A [`DataConsumer`] in its [`Sfu`], with its requests as methods.
#[derive(Debug)]
pub struct DataConsumerMut<'a> {
    pub(super) sfu: &'a mut Sfu,
    pub(super) key: DataConsumerKey,
}

impl Sfu {
    /// The DataConsumer, or [`Error::NotFound`].
    pub fn data_consumer(&mut self, key: DataConsumerKey) -> Result<DataConsumerMut<'_>> {
        if self.data_consumers.contains_key(&key) {
            Ok(DataConsumerMut { sfu: self, key })
        } else {
            Err(key.into())
        }
    }

    /// Emits `'overflow'` for a direct DataConsumer: the number and bytes of the messages that it dropped. Called once
    /// JavaScript has taken so many that at most half of the bound is in use.
    pub fn handle_relief(&mut self, key: DataConsumerKey) {
        loop {
            let Some(consumer) = self.data_consumers.get_mut(&key) else { return };
            self.events.extend(consumer.take_overflow(key));
            self.events.extend(consumer.take_unstalled(key));
            self.recheck_block(key);
            // The queue may have filled and emptied again since.
            let Some(consumer) = self.data_consumers.get(&key).filter(|it| it.awaits_room()) else {
                return;
            };
            if consumer.direct_backlog().is_none_or(|it| it.await_relief()) {
                return;
            }
        }
    }

    /// Whether a DataConsumer on this transport may hold up this DataProducer.
    pub(super) fn check_may_block(
        &self,
        transport: TransportKey,
        producer: DataProducerKey,
    ) -> Result<()> {
        let source = self.data_producers.get(&producer).map(|it| it.transport);
        let ends = source.into_iter().chain([transport]);
        let mut ends = ends.filter_map(|key| self.transports.get(&key));
        if ends.any(|it| it.is_pipe() && !it.has_tunnel()) {
            return Err(Error::BlockOverPipe);
        }
        Ok(())
    }
}

impl DataConsumerMut<'_> {
    fn get(&mut self) -> &mut DataConsumer {
        self.sfu.data_consumers.get_mut(&self.key).expect("checked when this view was made")
    }

    /// Stops delivering. Messages that come during the pause are counted and dropped, or held.
    pub fn pause(&mut self) {
        self.get().paused = true;
        self.apply_pauses();
    }

    /// Delivers messages again after a pause. A DataConsumer that was created paused first gets what its DataProducer
    /// retains.
    pub fn resume(&mut self) {
        self.get().paused = false;
        self.apply_pauses();
    }

    /// The far end of the pipe exists now: delivers messages, unless it is paused.
    pub fn start(&mut self) {
        self.get().start();
        self.apply_pauses();
    }

    pub(super) fn apply_pauses(&mut self) {
        if self.get().turn_queue() {
            self.turn_queue();
        }
        if self.get().begins() {
            self.sfu.replay(self.key);
        } else if self.get().replays {
            self.sfu.pause_replay(self.key);
        }
        self.sfu.recheck_block(self.key);
    }

    fn turn_queue(&mut self) {
        let consumer = self.get();
        let (transport, stopped) = (consumer.transport, consumer.stopped);
        match consumer.stream_id() {
            Some(stream) => {
                if let Some(transport) = self.sfu.transports.get_mut(&transport) {
                    transport.set_stopped(stream, stopped);
                }
                self.sfu.touch(transport);
            }
            None => self.sfu.release_to_javascript(self.key, work::QUANTUM),
        }
    }

    /// Sets what happens at the bound of the queue.
    pub fn set_overflow(&mut self, overflow: Overflow) -> Result<()> {
        let (transport, producer) = (self.get().transport, self.get().producer);
        if overflow == Overflow::Block {
            self.sfu.check_may_block(transport, producer)?;
        }
        let policy = QueuePolicy { overflow, ..self.get().policy };
        self.set_policy(policy);
        Ok(())
    }

    pub(super) fn set_policy(&mut self, policy: QueuePolicy) {
        self.sfu.set_blocking(self.key, policy.overflow == Overflow::Block);
        // Messages replaced under another policy do not belong to an overflow.
        let replaced = self.queue_tally().replaced;
        let consumer = self.get();
        consumer.ignore_replaced(replaced);
        consumer.governed = true;
        consumer.policy = policy;
        let transport = consumer.transport;
        match &consumer.destination {
            Destination::Direct { backlog } => backlog.use_queue().set_policy(policy),
            Destination::Sctp { stream, .. } => {
                let stream = stream.stream_id;
                if let Some(it) = self.sfu.transports.get_mut(&transport) {
                    it.set_policy(stream, policy);
                }
                // Waiting messages may be allowed to leave now.
                self.sfu.touch(transport);
            }
        }
    }

    /// What happened to the messages in the queue, if it has a policy.
    fn queue_tally(&mut self) -> QueueTally {
        let consumer = self.get();
        let transport = consumer.transport;
        match &consumer.destination {
            Destination::Direct { backlog } => {
                backlog.queue().map_or(QueueTally::default(), DirectQueue::tally)
            }
            Destination::Sctp { .. } if !consumer.governed => QueueTally::default(),
            Destination::Sctp { stream, .. } => {
                let stream = stream.stream_id;
                let transport = self.sfu.transports.get(&transport);
                transport.map_or(QueueTally::default(), |it| it.queue_tally(stream))
            }
        }
    }

    /// Subscribes to exactly these subchannels.
    pub fn set_subchannels(&mut self, subchannels: Subchannels) {
        self.get().subchannels = subchannels;
    }

    /// Subscribes to one more subchannel.
    pub fn add_subchannel(&mut self, subchannel: u16) {
        self.get().subchannels.add(subchannel);
    }

    /// Unsubscribes from one subchannel.
    pub fn remove_subchannel(&mut self, subchannel: u16) {
        self.get().subchannels.remove(subchannel);
    }

    pub(super) fn sctp_stream(&mut self) -> Result<StreamId> {
        match self.get().destination {
            Destination::Sctp { stream, .. } => Ok(stream.stream_id),
            Destination::Direct { .. } => {
                Err(Error::wrong_kind(self.key, "DataConsumer of type 'sctp'"))
            }
        }
    }

    /// Payload bytes queued for the peer.
    pub fn get_buffered_amount(&mut self) -> Result<usize> {
        let stream = self.sctp_stream()?;
        let transport = self.get().transport;
        let transport = self.sfu.transports.get(&transport).ok_or(transport)?;
        Ok(transport.buffered_amount(stream))
    }

    /// Sets the amount at which `BufferedAmountLow` is due, in payload bytes.
    pub fn set_buffered_amount_low_threshold(&mut self, threshold: usize) -> Result<()> {
        let id = self.sctp_stream()?;
        if let Destination::Sctp { low_threshold, .. } = &mut self.get().destination {
            *low_threshold = threshold;
        }
        let key = self.get().transport;
        let transport = self.sfu.transports.get_mut(&key).ok_or(key)?;
        transport.set_buffered_amount_low_threshold(id, threshold);
        Ok(())
    }

    /// Returns the configuration of the DataConsumer.
    pub fn dump(&mut self) -> DataConsumerDump {
        let buffered_amount = self.buffered_amount();
        let it = self.get();
        DataConsumerDump {
            id: it.id,
            data_producer_id: it.producer_id,
            kind: it.kind(),
            sctp_stream_parameters: it.stream(),
            label: it.label.clone(),
            protocol: it.protocol.clone(),
            buffered_amount,
            buffered_amount_low_threshold: match it.destination {
                Destination::Sctp { low_threshold, .. } => low_threshold,
                Destination::Direct { .. } => 0,
            },
            paused: it.paused,
            data_producer_paused: it.producer_paused,
            subchannels: it.subchannels.iter().collect(),
        }
    }

    /// Returns the counters of the DataConsumer.
    pub fn get_stats(&mut self) -> DataConsumerStats {
        let timestamp = self.sfu.timestamp();
        let buffered_amount = self.buffered_amount();
        let QueueTally { mut waiting, mut replaced, stale } = self.queue_tally();
        let retained = self.retained_left();
        let it = self.get();
        replaced.add(it.replaced_early);
        if !it.policy.drops_accepted() && !it.holds {
            // Waiting messages will be neither dropped nor held, so they count as sent.
            waiting = MessageTally::default();
        }
        let mut sent = it.sent;
        [waiting, replaced, stale].into_iter().for_each(|other| sent.remove(other));
        let dropped = it.not_sent.dropped;
        DataConsumerStats {
            kind: "data-consumer",
            timestamp,
            label: it.label.clone(),
            protocol: it.protocol.clone(),
            messages_sent: sent.messages,
            bytes_sent: sent.bytes,
            messages_waiting: waiting.messages + retained,
            buffered_amount,
            messages_dropped: dropped.messages + replaced.messages + stale.messages,
            bytes_dropped: dropped.bytes + replaced.bytes + stale.bytes,
            messages_dropped_full: it.not_sent.full,
            messages_dropped_replaced: replaced.messages,
            messages_dropped_stale: stale.messages,
            messages_dropped_too_large: it.not_sent.too_large,
            messages_dropped_unsendable: it.not_sent.unsendable,
            messages_paused: it.not_sent.paused,
            messages_filtered: it.not_sent.filtered,
            messages_sent_directly: it.direct.sent.messages,
            bytes_sent_directly: it.direct.sent.bytes,
            messages_rejected: it.direct.rejected,
        }
    }

    /// How many retained messages of its DataProducer it has yet to get.
    fn retained_left(&mut self) -> u64 {
        let producer = self.get().producer;
        let retained = self.sfu.data_producers.get(&producer).and_then(|it| it.retained.as_ref());
        retained.map_or(0, |it| it.left(self.key))
    }

    fn buffered_amount(&mut self) -> usize {
        match &self.get().destination {
            Destination::Direct { backlog } => backlog.payload() as usize,
            Destination::Sctp { .. } => self.get_buffered_amount().unwrap_or(0),
        }
    }

    /// Closes the DataConsumer. Its stream is reset, and queued messages are discarded.
    pub fn close(self) {
        self.sfu.remove_data_consumer(self.key);
    }
}
