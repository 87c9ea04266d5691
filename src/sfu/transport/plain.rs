//! Makes a plain transport. Its requests are in `udp.rs`.

use crate::proto::sctp::Start;
use crate::sfu::address::Listen;
use crate::sfu::contract::answers::UdpTransportAnswer;
use crate::sfu::contract::options::PlainTransportOptions;
use crate::sfu::entity::limiter::{blocks, limiter};
use crate::sfu::entity::transport::plain::Plain;
use crate::sfu::entity::transport::sctp_over_udp::SctpOverUdp;
use crate::sfu::entity::transport::{Kind, Transport, sctp};
use crate::sfu::id::TransportKey;
use crate::sfu::router::RouterMut;

impl RouterMut<'_> {
    /// Makes a plain transport.
    pub fn create_plain_transport(
        &mut self,
        key: TransportKey,
        options: &PlainTransportOptions,
        listen: Listen,
    ) -> UdpTransportAnswer {
        let sctp = options.sctp.as_ref();
        let config = sctp
            .map(|it| sctp::config(it, 0, Start::AfterSilence, SctpOverUdp::MAX_PACKET_SIZE, true));
        let path = SctpOverUdp::new(listen, config);
        let (socket, tuple) = (path.socket(), path.tuple_info());
        let kind = Kind::Plain(Box::new(Plain::new(path, options.comedia)));
        let mut transport = Transport::new(self.key, kind, sctp, self.sfu.now);
        transport.limiter = limiter(options.limit.as_ref(), self.sfu.now);
        self.sfu.count_limit(false, blocks(transport.limiter.as_deref()));
        self.insert_udp(key, transport, socket, tuple)
    }
}
