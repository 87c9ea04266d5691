//! What is left of a close cascade.

use std::vec::IntoIter;

use super::id::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::proto::net::SocketId;

/// Part of a cascade; see `closing.rs`.
#[derive(Debug)]
pub(super) enum CascadeStep {
    Transports(IntoIter<TransportKey>),
    Producers(IntoIter<DataProducerKey>),
    /// DataConsumers of a DataProducer that has closed: each emits 'dataproducerclose'.
    ConsumersOfProducer(IntoIter<DataConsumerKey>),
    /// DataConsumers of a transport that closes.
    ConsumersOfTransport(IntoIter<DataConsumerKey>),
    /// DataConsumers on streams that the peer does not take.
    ConsumersBeyond(IntoIter<DataConsumerKey>),
    /// A transport below which nothing is left.
    Transport(TransportKey),
    /// The sockets of a WebRtcServer without transports.
    Sockets(IntoIter<SocketId>),
}
