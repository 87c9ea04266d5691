//! How entities are named: by a `Uuid` outside, by a small key inside.
//!
//! A key is a number that the caller chooses and never uses again in this worker (the binding takes
//! the number of the request that creates the entity). So the caller can name an entity in its next
//! request without waiting for the answer to the first.

use uuid::Uuid;

/// A random id, from the thread's generator: the system's costs a system call each time.
pub(super) fn random() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $entity:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $name(pub u32);

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    write!(f, concat!(stringify!($entity), " #{}"), self.0)
                }
            }

            impl From<$name> for u32 {
                fn from(key: $name) -> Self {
                    key.0
                }
            }

            impl From<$name> for EntityKey {
                fn from(key: $name) -> Self {
                    Self::$entity(key)
                }
            }
        )*

        /// The key of an entity of any kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "named as the entities")]
        pub enum EntityKey {
            $($entity($name),)*
        }

        impl EntityKey {
            /// The kind of the entity, as the application knows it.
            pub(super) fn entity(self) -> &'static str {
                match self {
                    $(Self::$entity(_) => stringify!($entity),)*
                }
            }
        }

        impl std::fmt::Display for EntityKey {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$entity(key) => key.fmt(f),)*
                }
            }
        }
    };
}

keys! {
    /// Names a WebRtcServer.
    WebRtcServerKey = WebRtcServer;
    /// Names a router.
    RouterKey = Router;
    /// Names a transport.
    TransportKey = Transport;
    /// Names a DataProducer.
    DataProducerKey = DataProducer;
    /// Names a DataConsumer.
    DataConsumerKey = DataConsumer;
}
