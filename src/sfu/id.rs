//! How entities are named: by a `Uuid` outside, by a small key inside.
//!
//! A key is a number that the caller chooses and never uses again in this worker (the binding takes
//! the number of the request that creates the entity). So whoever asks for an entity can name it in
//! the next request without waiting for the answer to the first.

use uuid::Uuid;

/// A random id. From the thread's generator, as each look at the system's is a call of it.
pub(super) fn random() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $entity:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $name(pub u32);

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    write!(f, concat!($entity, " #{}"), self.0)
                }
            }
        )*
    };
}

keys! {
    /// Names a [`WebRtcServer`](super::webrtc_server::WebRtcServer).
    WebRtcServerKey = "WebRtcServer";
    /// Names a [`Router`](super::router::Router).
    RouterKey = "Router";
    /// Names a [`Transport`](super::transport::Transport).
    TransportKey = "Transport";
    /// Names a [`DataProducer`](super::data_producer::DataProducer).
    DataProducerKey = "DataProducer";
    /// Names a [`DataConsumer`](super::data_consumer::DataConsumer).
    DataConsumerKey = "DataConsumer";
}
