//! Direct transport: data to and from JavaScript, without a network.

use crate::sfu::contract::answers::CreatedAnswer;
use crate::sfu::contract::options::DirectTransportOptions;
use crate::sfu::entity::transport::{Kind, Transport};
use crate::sfu::id::TransportKey;
use crate::sfu::router::RouterMut;

impl RouterMut<'_> {
    /// Makes a direct transport.
    pub fn create_direct_transport(
        &mut self,
        key: TransportKey,
        options: &DirectTransportOptions,
    ) -> CreatedAnswer {
        let mut transport = Transport::new(self.key, Kind::Direct, None, self.sfu.now);
        transport.max_send_message_size = options.max_send_message_size;
        transport.max_receive_message_size = options.max_receive_message_size;
        let id = transport.id;
        self.insert(key, transport);
        CreatedAnswer { id }
    }
}
