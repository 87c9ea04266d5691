//! Direct transport: data to and from JavaScript, without a network.

use serde::Deserialize;
use uuid::Uuid;

use crate::sfu::Sfu;
use crate::sfu::error::Result;
use crate::sfu::id::{RouterKey, TransportKey};

use super::{DEFAULT_MAX_MESSAGE_SIZE, Kind, Transport};

/// What `createDirectTransport()` takes. Sizes are in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectTransportOptions {
    /// The largest message that its DataConsumers hand to JavaScript; larger ones are dropped.
    pub max_send_message_size: u32,
    /// The largest message that JavaScript may send.
    pub max_receive_message_size: u32,
}

impl Default for DirectTransportOptions {
    fn default() -> Self {
        Self {
            max_send_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            max_receive_message_size: DEFAULT_MAX_MESSAGE_SIZE,
        }
    }
}

impl Sfu {
    /// Makes a direct transport.
    pub fn create_direct_transport(
        &mut self,
        key: TransportKey,
        router: RouterKey,
        options: &DirectTransportOptions,
    ) -> Result<Uuid> {
        let mut transport = Transport::new(router, Kind::Direct, None, self.now);
        transport.max_send_message_size = options.max_send_message_size;
        transport.max_receive_message_size = options.max_receive_message_size;
        self.insert_transport(key, transport)
    }
}
