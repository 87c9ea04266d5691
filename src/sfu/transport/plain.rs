//! How a plain transport is made.

use crate::proto::sctp::Start;
use crate::sfu::Sfu;
use crate::sfu::address::Listen;
use crate::sfu::contract::answers::UdpTransportAnswer;
use crate::sfu::contract::options::PlainTransportOptions;
use crate::sfu::entity::transport::plain::Plain;
use crate::sfu::entity::transport::sctp_over_udp::SctpOverUdp;
use crate::sfu::entity::transport::{Kind, Transport, sctp};
use crate::sfu::error::Result;
use crate::sfu::id::{RouterKey, TransportKey};
use crate::sfu::paths::SocketOwner;

impl Sfu {
    /// Makes a plain transport.
    pub fn create_plain_transport(
        &mut self,
        key: TransportKey,
        router: RouterKey,
        options: &PlainTransportOptions,
        listen: Listen,
    ) -> Result<UdpTransportAnswer> {
        let socket = listen.socket;
        let config = options
            .sctp
            .as_ref()
            .map(|it| sctp::config(it, 0, Start::AfterSilence, SctpOverUdp::MAX_PACKET_SIZE, true));
        let path = SctpOverUdp::new(listen, config);
        let plain = Plain::new(path, options.comedia);
        let kind = Kind::Plain(Box::new(plain));
        self.insert_transport(key, Transport::new(router, kind, options.sctp.as_ref(), self.now))?;
        self.paths.add_socket(socket, SocketOwner::Transport(key));
        self.transport(key)?.udp_answer()
    }
}
