//! A router: the transports whose DataProducers and DataConsumers can meet, and the meeting itself.

use uuid::Uuid;

use crate::proto::message::Message;
use crate::proto::sctp::SendError;

use super::Sfu;
use super::contract::answers::CreatedAnswer;
use super::contract::dump::{KeyValue, KeyValues, RouterDump};
use super::contract::parameters::DropCount;
use super::data_consumer::{DropReason, Sink};
use super::error::Result;
use super::event::{DataConsumerEvent, Event};
use super::id::{self, DataProducerKey, RouterKey, TransportKey};
use super::subchannels::Selector;

/// See the module's documentation.
#[derive(Debug)]
pub struct Router {
    pub(super) id: Uuid,
    pub(super) transports: Vec<TransportKey>,
}

impl Sfu {
    /// THE place where every message meets its consumers: paused ones are passed over, subchannels
    /// are checked before anything is cloned, and all consumers share one payload.
    pub(super) fn route(
        &mut self,
        key: DataProducerKey,
        mut message: Message,
        selector: Option<&Selector>,
    ) {
        let Self { data_producers, data_consumers, transports, events, dirty, turn, now, .. } =
            self;
        let Some(producer) = data_producers.get_mut(&key) else { return };
        if producer.paused {
            producer.skip_paused();
            return;
        }
        let payload_len = message.payload.len();
        let mut left = producer.consumers.len();
        for &key in &producer.consumers {
            left -= 1;
            let Some(consumer) = data_consumers.get_mut(&key) else { continue };
            let Some(transport) = transports.get_mut(&consumer.transport) else { continue };
            if consumer.paused {
                consumer.skip_paused();
                continue;
            }
            // A pipe carries the selector on, as far as its consumer is subscribed to it.
            let carried = match selector {
                None => None,
                Some(selector) if transport.is_pipe() => {
                    match selector.through_pipe(&consumer.subchannels) {
                        None => {
                            consumer.skip_filtered();
                            continue;
                        }
                        carried => carried,
                    }
                }
                Some(selector) if selector.matches(&consumer.subchannels) => None,
                Some(_) => {
                    consumer.skip_filtered();
                    continue;
                }
            };
            if payload_len > transport.max_send_message_size as usize {
                consumer.drop_message(payload_len, DropReason::TooLarge);
                continue;
            }
            // The last one need not share, which saves an allocation and a few atomic operations.
            let mut message = || Message {
                ppid: message.ppid,
                payload: match left {
                    0 => std::mem::take(&mut message.payload),
                    _ => message.payload.clone(),
                },
            };
            match &mut consumer.sink {
                Sink::Direct { backlog, dropping } => {
                    if backlog.has_room(payload_len) {
                        backlog.enter(payload_len);
                        if let Some(dropped) = dropping.take() {
                            let event = DataConsumerEvent::Overflow(dropped);
                            events.push_back(Event::DataConsumer(key, event));
                        }
                        events.push_back(Event::Message(key, message()));
                        consumer.sent(payload_len);
                    } else {
                        dropping.get_or_insert_with(DropCount::default).add(payload_len);
                        backlog.overflow();
                        // JavaScript may have taken the rest meanwhile, and then does not say so.
                        if backlog.take_relief()
                            && let Some(dropped) = dropping.take()
                        {
                            let event = DataConsumerEvent::Overflow(dropped);
                            events.push_back(Event::DataConsumer(key, event));
                        }
                        consumer.drop_message(payload_len, DropReason::Full);
                    }
                }
                Sink::Sctp { stream, .. } => {
                    let stream = stream.stream_id;
                    match transport.send(*now, stream, carried.as_ref(), message()) {
                        Ok(buffered) => {
                            consumer.sent(payload_len);
                            transport.show_buffered(key, consumer, buffered);
                            transport.mark_dirty(consumer.transport, dirty);
                        }
                        Err(SendError::Full) => {
                            consumer.refuse_message(key, payload_len, *turn, events);
                        }
                        Err(_) => consumer.drop_message(payload_len, DropReason::Unsendable),
                    }
                }
            }
        }
    }

    /// Makes a router.
    pub fn create_router(&mut self, key: RouterKey) -> CreatedAnswer {
        let id = id::random();
        self.routers.insert(key, Router { id, transports: Vec::new() });
        CreatedAnswer { id }
    }

    /// Closes a router and everything on it.
    pub fn close_router(&mut self, key: RouterKey) {
        let Some(router) = self.routers.remove(&key) else { return };
        for transport in router.transports {
            self.close_transport(transport);
        }
    }

    /// A router's transports and who consumes whom.
    pub fn dump_router(&self, key: RouterKey) -> Result<RouterDump> {
        let router = self.routers.get(&key).ok_or(key)?;
        let mut consumers_of = Vec::new();
        let mut producer_of = Vec::new();
        let transports = || router.transports.iter().filter_map(|key| self.transports.get(key));
        for key in transports().flat_map(|it| &it.data_producers) {
            let Some(producer) = self.data_producers.get(key) else { continue };
            let consumers: Vec<Uuid> = producer
                .consumers
                .iter()
                .filter_map(|key| self.data_consumers.get(key))
                .map(|consumer| consumer.id)
                .collect();
            producer_of.extend(
                consumers.iter().map(|consumer| KeyValue { key: *consumer, value: producer.id }),
            );
            consumers_of.push(KeyValues { key: producer.id, values: consumers });
        }
        Ok(RouterDump {
            id: router.id,
            transport_ids: transports().map(|it| it.id).collect(),
            map_data_producer_id_data_consumer_ids: consumers_of,
            map_data_consumer_id_data_producer_id: producer_of,
            ..RouterDump::default()
        })
    }
}
