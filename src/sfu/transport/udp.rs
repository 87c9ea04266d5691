//! The requests that plain and pipe transports share: SCTP over UDP with one remote address.

use std::net::SocketAddr;

use crate::proto::net::SocketId;
use crate::proto::sctp::Start;
use crate::sfu::contract::answers::{UdpConnectAnswer, UdpTransportAnswer};
use crate::sfu::contract::options::UdpConnectOptions;
use crate::sfu::contract::parameters::TupleInfo;
use crate::sfu::entity::transport::sctp_over_udp::SctpOverUdp;
use crate::sfu::entity::transport::{Kind, Transport};
use crate::sfu::error::{Error, Result};
use crate::sfu::id::TransportKey;
use crate::sfu::paths::SocketOwner;
use crate::sfu::router::RouterMut;

use super::TransportMut;

impl RouterMut<'_> {
    /// Adds a plain or pipe transport on this socket.
    pub(super) fn insert_udp(
        &mut self,
        key: TransportKey,
        transport: Transport,
        socket: SocketId,
        tuple: TupleInfo,
    ) -> UdpTransportAnswer {
        let (id, sctp_parameters) = (transport.id, transport.sctp_parameters());
        self.sfu.paths.add_socket(socket, SocketOwner::Transport(key));
        self.insert(key, transport);
        UdpTransportAnswer { id, tuple, sctp_parameters }
    }
}

impl TransportMut<'_> {
    fn path(&mut self) -> Result<&mut SctpOverUdp> {
        let key = self.key;
        match &mut self.get().kind {
            Kind::Plain(it) => Ok(&mut it.path),
            Kind::Pipe(it) => Ok(&mut it.path),
            _ => Err(Error::wrong_kind(key, "PlainTransport or PipeTransport")),
        }
    }

    /// Sets the remote address of a plain or pipe transport. With comedia the given address is
    /// ignored, because the transport learns the address from the peer.
    pub fn connect_udp(&mut self, options: UdpConnectOptions) -> Result<UdpConnectAnswer> {
        let now = self.sfu.now;
        let remote = SocketAddr::new(options.ip, options.port);
        let start = match &self.get().kind {
            Kind::Plain(it) if it.comedia => {
                return Ok(UdpConnectAnswer { tuple: it.tuple_info(), dtls_local_role: None });
            }
            // One of two pipe transports has to send the INIT. Both know both addresses, so the addresses decide.
            Kind::Pipe(it) if it.path.local() < remote => Start::AtOnce,
            _ => Start::AfterSilence,
        };
        let path = self.path()?;
        if path.remote().is_some() {
            return Err(Error::AlreadyConnected);
        }
        if remote.is_ipv4() != path.local().is_ipv4() {
            let local = path.local().ip();
            return Err(Error::OtherAddressFamily { remote, local });
        }
        path.connect(now, remote, start, options.dtls_parameters)?;
        let dtls_local_role = path.session().map(|it| it.dtls().local_role());
        let tuple = path.tuple_info();
        let key = self.key;
        self.sfu.pump(key);
        self.sfu.touch(key);
        Ok(UdpConnectAnswer { tuple, dtls_local_role })
    }
}
