//! The requests of a router.

use uuid::Uuid;

use super::Sfu;
use super::contract::answers::CreatedAnswer;
use super::contract::dump::{KeyValue, KeyValues, RouterDump};
use super::entity::router::Router;
use super::entity::transport::Transport;
use super::error::Result;
use super::id::{self, RouterKey, TransportKey};
use super::roster::Roster;

/// A [`Router`] in its [`Sfu`], with its requests as methods. Those that create a transport are in the file of its
/// kind.
#[derive(Debug)]
pub struct RouterMut<'a> {
    pub(super) sfu: &'a mut Sfu,
    pub(super) key: RouterKey,
}

impl Sfu {
    /// Makes a router.
    pub fn create_router(&mut self, key: RouterKey) -> CreatedAnswer {
        let id = id::random();
        self.routers.insert(key, Router { id, transports: Roster::default() });
        CreatedAnswer { id }
    }

    /// The router, or [`Error::NotFound`](super::error::Error::NotFound).
    pub fn router(&mut self, key: RouterKey) -> Result<RouterMut<'_>> {
        if self.routers.contains_key(&key) {
            Ok(RouterMut { sfu: self, key })
        } else {
            Err(key.into())
        }
    }
}

impl RouterMut<'_> {
    /// Adds a transport.
    pub(super) fn insert(&mut self, key: TransportKey, transport: Transport) {
        self.get().transports.push(key);
        *self.sfu.totals.open(&transport.kind) += 1;
        self.sfu.transports.insert(key, transport);
    }

    fn get(&mut self) -> &mut Router {
        self.sfu.routers.get_mut(&self.key).expect("checked when this view was made")
    }

    /// Returns the ids of the router's transports, and which DataConsumer belongs to which DataProducer.
    pub fn dump(&self) -> RouterDump {
        let Sfu { routers, transports, data_producers, data_consumers, .. } = &*self.sfu;
        let router = &routers[&self.key];
        let mut consumers_of = Vec::new();
        let mut producer_of = Vec::new();
        let transports = || router.transports.iter().filter_map(|key| transports.get(&key));
        for key in transports().flat_map(|it| it.data_producers.iter()) {
            let Some(producer) = data_producers.get(&key) else { continue };
            let consumers: Vec<Uuid> = producer
                .consumers
                .iter()
                .filter_map(|key| data_consumers.get(&key))
                .map(|consumer| consumer.id)
                .collect();
            producer_of.extend(
                consumers.iter().map(|consumer| KeyValue { key: *consumer, value: producer.id }),
            );
            consumers_of.push(KeyValues { key: producer.id, values: consumers });
        }
        RouterDump {
            id: router.id,
            transport_ids: transports().map(|it| it.id).collect(),
            map_data_producer_id_data_consumer_ids: consumers_of,
            map_data_consumer_id_data_producer_id: producer_of,
            ..RouterDump::default()
        }
    }

    /// Closes the router and everything on it.
    pub fn close(self) {
        self.sfu.remove_router(self.key);
    }
}
