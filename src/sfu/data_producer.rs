//! The requests of a DataProducer.

use uuid::Uuid;

use crate::proto::message::StreamId;

use super::Sfu;
use super::contract::dump::DataProducerDump;
use super::contract::parameters::SctpStreamParameters;
use super::contract::stats::DataProducerStats;
use super::entity::data_producer::DataProducer;
use super::entity::transport::Transport;
use super::error::{Error, Result};
use super::event::{DataConsumerEvent, DataProducerEvent, Event};
use super::id::{self, DataConsumerKey, DataProducerKey, TransportKey};
use super::memory::Waiter;
use super::pipe_header::PipeControl;
use super::tunnel::Tunnel;
use super::work;

/// A [`DataProducer`] in its [`Sfu`], with its requests as methods.
#[derive(Debug)]
pub struct DataProducerMut<'a> {
    pub(super) sfu: &'a mut Sfu,
    key: DataProducerKey,
}

impl Sfu {
    /// The DataProducer, or [`Error::NotFound`].
    pub fn data_producer(&mut self, key: DataProducerKey) -> Result<DataProducerMut<'_>> {
        if self.data_producers.contains_key(&key) {
            Ok(DataProducerMut { sfu: self, key })
        } else {
            Err(key.into())
        }
    }

    /// The key of the DataProducer with this id.
    pub fn find(&self, id: Uuid) -> Option<DataProducerKey> {
        self.data_producer_ids.get(&id).copied()
    }

    /// Emits 'drain' after a rejected `send()`, once the backlog is below a quarter of its bound.
    pub fn notify_drain(&mut self, key: DataProducerKey) {
        if let Some(producer) = self.data_producers.get_mut(&key) {
            let waited = std::mem::replace(&mut producer.wants_drain, true);
            self.check_drain(key);
            let waits = self.data_producers.get(&key).is_some_and(|it| it.wants_drain);
            if waits && !waited {
                self.wait_for_memory(Waiter::Producer(key));
            }
        }
    }

    pub(super) fn check_drain(&mut self, key: DataProducerKey) {
        if let Some(producer) = self.data_producers.get_mut(&key)
            && producer.wants_drain
            && producer.intake.as_ref().is_some_and(|it| it.take_drain())
        {
            producer.wants_drain = false;
            self.events.push_back(Event::DataProducer(key, DataProducerEvent::Drain));
        }
    }

    /// Notes whether the DataProducer at the other end of the pipe, whose messages come on this stream, is paused.
    pub(super) fn set_origin_paused(&mut self, key: TransportKey, stream: StreamId, paused: bool) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let Some(&key) = transport.producer_streams.get(&stream) else {
            transport.origins_paused.insert(stream, paused);
            return;
        };
        self.show_origin_paused(key, paused);
    }

    /// Notes whether the DataProducer at the other end of the pipe is paused.
    fn show_origin_paused(&mut self, key: DataProducerKey, paused: bool) {
        let Some(producer) = self.data_producers.get_mut(&key) else { return };
        if std::mem::replace(&mut producer.origin_paused, paused) == paused {
            return;
        }
        let event =
            if paused { DataProducerEvent::OriginPause } else { DataProducerEvent::OriginResume };
        self.events.push_back(Event::DataProducer(key, event));
        if !producer.paused {
            self.announce_pause(key);
        }
    }

    /// Announces that the DataProducer shows another pause than before: its DataConsumers emit it, and carry it through
    /// pipes.
    fn announce_pause(&mut self, key: DataProducerKey) {
        let Some(producer) = self.data_producers.get(&key) else { return };
        let paused = producer.shows_paused();
        for key in producer.consumers.clone().iter() {
            let Some(consumer) = self.data_consumers.get_mut(&key) else { continue };
            consumer.producer_paused = paused;
            let event = if paused {
                DataConsumerEvent::DataProducerPause
            } else {
                DataConsumerEvent::DataProducerResume
            };
            self.events.push_back(Event::DataConsumer(key, event));
            self.work += work::TO_JAVASCRIPT;
            self.carry_pause(key);
        }
    }

    /// Forgets what a DataProducer retains, here and behind pipes.
    pub(super) fn clear_retained(&mut self, key: DataProducerKey) {
        let Some(producer) = self.data_producers.get_mut(&key) else { return };
        let mut caught_up: Vec<DataConsumerKey> = producer.consumers.iter().collect();
        if let Some(retained) = &mut producer.retained {
            // Existing DataConsumers have been promised what was retained.
            retained.clear();
            caught_up.retain(|it| !retained.clear_behind(*it));
        }
        for key in caught_up {
            self.work += work::SKIPPED;
            self.carry(key, PipeControl::ClearRetained);
        }
    }

    /// Shows the far end of a pipe whether the DataProducer of this DataConsumer is paused.
    pub(super) fn carry_pause(&mut self, key: DataConsumerKey) {
        let Some(consumer) = self.data_consumers.get(&key) else { return };
        self.carry(key, PipeControl::Paused(consumer.producer_paused));
    }

    /// Sends a control message to the far end of a pipe, in order with the messages of this DataConsumer.
    fn carry(&mut self, key: DataConsumerKey, control: PipeControl) {
        let Some(consumer) = self.data_consumers.get(&key) else { return };
        let key = consumer.transport;
        let Some(stream) = consumer.stream_id() else { return };
        let Some(transport) = self.transports.get_mut(&key) else { return };
        if transport.carry(stream, control) {
            // What may leave a tunnel leaves at once, so that a pause is shown even if it ends in the same turn. Other
            // outputs of the transport wait, as the caller may be handling one of them.
            while let Some(frame) = transport.tunnel_mut().and_then(Tunnel::poll_frame) {
                self.events.push_back(Event::TunnelFrame(key, frame));
            }
            self.touch(key);
        }
    }
}

impl DataProducerMut<'_> {
    pub(super) fn get(&mut self) -> &mut DataProducer {
        self.sfu.data_producers.get_mut(&self.key).expect("checked when this view was made")
    }

    /// Stops routing: messages are only counted, or held. The DataConsumers of this DataProducer emit the change.
    pub fn pause(&mut self) {
        self.set_paused(true);
    }

    /// Routes messages again after a pause, held ones first. The DataConsumers of this DataProducer emit the change.
    pub fn resume(&mut self) {
        self.set_paused(false);
    }

    fn set_paused(&mut self, paused: bool) {
        let shown = self.get().shows_paused();
        self.get().paused = paused;
        if self.get().shows_paused() != shown {
            self.sfu.announce_pause(self.key);
        }
        if paused {
            // New messages are no longer for the DataConsumers that it waits for.
            self.sfu.check_producer(self.key);
        } else {
            self.sfu.release_held(self.key, work::QUANTUM);
        }
    }

    /// From now on receives the messages of this stream of another pipe transport instead of its former one. Its
    /// DataConsumers stay.
    pub fn move_to(&mut self, to: TransportKey, stream: SctpStreamParameters) -> Result<()> {
        let (key, id) = (self.key, stream.stream_id);
        let (from, router, former) =
            (self.get().transport, self.get().router, self.get().stream_id());
        let Sfu { transports, now, .. } = &mut *self.sfu;
        let is_pipe = |it: &Transport| it.router == router && it.is_pipe() && !it.has_tunnel();
        let target = transports.get(&to).ok_or(to)?;
        if !is_pipe(target) || !transports.get(&from).is_some_and(is_pipe) {
            return Err(Error::NotMovable);
        }
        if target.sctp.is_none() {
            return Err(Error::wrong_kind(to, "transport with SCTP"));
        }
        if target.producer_streams.get(&id).is_some_and(|other| *other != key) {
            return Err(Error::StreamProduced(id));
        }
        if let Some(source) = transports.get_mut(&from) {
            source.data_producers.remove(key);
            former.into_iter().for_each(|it| {
                source.forget_producer_stream(it, key);
            });
        }
        let target = transports.get_mut(&to).ok_or(to)?;
        target.data_producers.push(key);
        let is_open = target.receive_stream(*now, id, key);
        let paused = target.origins_paused.remove(&id).unwrap_or(false);
        let producer = self.get();
        // A DataProducer that may be blocked or have to wait for tokens is never on such a pipe. So it has stopped no
        // stream of the old transport, and waits for no limit of it.
        debug_assert!(!producer.blocked && !producer.awaits_tokens, "blocked over a pipe");
        producer.transport = to;
        producer.stream = Some(stream);
        self.sfu.show_origin_paused(key, paused);
        if !is_open {
            let event = DataProducerEvent::StreamClose;
            self.sfu.events.push_back(Event::DataProducer(key, event));
        }
        self.sfu.transport(to)?.start_sctp();
        Ok(())
    }

    /// Forgets the retained messages, here and behind pipes.
    pub fn clear_retained(&mut self) {
        self.sfu.clear_retained(self.key);
    }

    /// Returns the configuration of the DataProducer.
    pub fn dump(&mut self) -> DataProducerDump {
        let it = self.get();
        DataProducerDump {
            id: it.id,
            kind: it.kind(),
            sctp_stream_parameters: it.stream,
            label: it.label.clone(),
            protocol: it.protocol.clone(),
            paused: it.shows_paused(),
        }
    }

    /// Returns the counters of the DataProducer.
    pub fn get_stats(&mut self) -> DataProducerStats {
        let timestamp = self.sfu.timestamp();
        let now = self.sfu.now;
        let it = self.get();
        let (messages_retained, bytes_retained) = match &mut it.retained {
            Some(retained) => {
                retained.expire(now);
                (retained.len(), retained.payload())
            }
            None => (0, 0),
        };
        DataProducerStats {
            kind: "data-producer",
            timestamp,
            label: it.label.clone(),
            protocol: it.protocol.clone(),
            messages_received: it.received.messages,
            bytes_received: it.received.bytes,
            messages_paused: it.messages_paused,
            messages_dropped_full: it.held.as_ref().map_or(0, |it| it.dropped_full),
            messages_waiting: it.held.as_ref().map_or(0, |it| it.len()),
            messages_limited: it.limited.messages,
            bytes_limited: it.limited.bytes,
            messages_retained,
            bytes_retained,
        }
    }

    /// Closes the DataProducer and its DataConsumers, each of which emits 'dataproducerclose'. The peer is asked to
    /// close its channel.
    pub fn close(self) {
        self.sfu.remove_data_producer(self.key);
    }
}

/// Checks an id that the application chose.
pub(super) fn choose_id(sfu: &Sfu, transport: TransportKey, given: Option<Uuid>) -> Result<Uuid> {
    let Some(id) = given else { return Ok(id::random()) };
    match sfu.data_producer_ids.get(&id).and_then(|key| sfu.data_producers.get(key)) {
        None => Ok(id),
        Some(other) => {
            let same_transport = other.transport == transport;
            Err(Error::DataProducerExists { id, same_transport })
        }
    }
}
