//! Direct transport: data to and from JavaScript, without a network.

use crate::sfu::Sfu;
use crate::sfu::contract::answers::CreatedAnswer;
use crate::sfu::contract::options::DirectTransportOptions;
use crate::sfu::error::Result;
use crate::sfu::id::{RouterKey, TransportKey};

use crate::sfu::entity::transport::{Kind, Transport};

impl Sfu {
    /// Makes a direct transport.
    pub fn create_direct_transport(
        &mut self,
        key: TransportKey,
        router: RouterKey,
        options: &DirectTransportOptions,
    ) -> Result<CreatedAnswer> {
        let mut transport = Transport::new(router, Kind::Direct, None, self.now);
        transport.max_send_message_size = options.max_send_message_size;
        transport.max_receive_message_size = options.max_receive_message_size;
        self.insert_transport(key, transport).map(|id| CreatedAnswer { id })
    }
}
