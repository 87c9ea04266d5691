//! What can be asked of a router.

use uuid::Uuid;

use super::Sfu;
use super::contract::answers::CreatedAnswer;
use super::contract::dump::{KeyValue, KeyValues, RouterDump};
use super::entity::router::Router;
use super::error::Result;
use super::id::{self, RouterKey};

impl Sfu {
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

    /// The ids of a router's transports, and which DataConsumer belongs to which DataProducer.
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
