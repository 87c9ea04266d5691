//! The sources of messages that come from another thread. The runtime may keep these messages waiting.

use super::Sfu;
use super::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};

/// A source of messages from another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// What JavaScript sends to a direct DataProducer.
    DataProducer(DataProducerKey),
    /// What comes through the tunnel of a pipe transport.
    Tunnel(TransportKey),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DataProducer(key) => key.fmt(f),
            Self::Tunnel(key) => key.fmt(f),
        }
    }
}

impl Sfu {
    /// The source of a DataProducer's messages. `None` if they come over the network.
    pub fn source_of(&self, key: DataProducerKey) -> Option<Source> {
        let producer = self.data_producers.get(&key)?;
        if producer.stream.is_none() {
            return Some(Source::DataProducer(key));
        }
        let transport = self.transports.get(&producer.transport)?;
        transport.has_tunnel().then_some(Source::Tunnel(producer.transport))
    }

    /// The DataProducer of a DataConsumer.
    pub fn producer_of(&self, key: DataConsumerKey) -> Option<DataProducerKey> {
        Some(self.data_consumers.get(&key)?.producer)
    }

    /// The sources on a transport.
    pub fn sources_on_transport(&self, key: TransportKey) -> impl Iterator<Item = Source> {
        let transport = self.transports.get(&key);
        let tunnel = transport.filter(|it| it.has_tunnel()).map(|_| Source::Tunnel(key));
        let direct = transport.into_iter().filter(|it| it.is_direct());
        let producers = direct.flat_map(|it| it.data_producers.iter());
        tunnel.into_iter().chain(producers.map(Source::DataProducer))
    }

    /// The sources on all transports of a router.
    pub fn sources_on_router(&self, key: RouterKey) -> impl Iterator<Item = Source> {
        let transports = self.routers.get(&key).into_iter().flat_map(|it| it.transports.iter());
        transports.flat_map(|key| self.sources_on_transport(key))
    }

    /// Counts messages that are not routed, because the entity that they were sent to closes.
    pub fn count_dropped_at_close(&mut self, messages: u64) {
        self.messages_dropped_at_close += messages;
    }
}
