//! Pipe transport: joins two routers, in one process or on two hosts. Subchannels travel with the
//! messages; see [`pipe`](crate::sfu::subchannels::pipe).

use serde::Deserialize;

use crate::proto::sctp::Start;
use crate::sfu::error::Result;
use crate::sfu::id::{RouterKey, TransportKey};
use crate::sfu::subchannels::pipe::MAX_HEADER;
use crate::sfu::{Owner, Sfu};

use super::plain::UdpTransportAnswer;
use super::sctp_over_udp::SctpOverUdp;
use super::{Kind, Listen, SctpOptions, Transport};

/// What `createPipeTransport()` takes, but for the socket.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PipeTransportOptions {
    /// Enables SCTP.
    pub sctp: Option<SctpOptions>,
}

/// What only a pipe transport has.
#[derive(Debug)]
pub(in crate::sfu) struct Pipe {
    pub(in crate::sfu) path: SctpOverUdp,
}

impl Sfu {
    /// Makes a pipe transport.
    pub fn create_pipe_transport(
        &mut self,
        key: TransportKey,
        router: RouterKey,
        options: PipeTransportOptions,
        listen: Listen,
    ) -> Result<UdpTransportAnswer> {
        let socket = listen.socket;
        let config = options.sctp.as_ref().map(|sctp| {
            sctp.config(MAX_HEADER, Start::AfterSilence, SctpOverUdp::MAX_PACKET_SIZE, false)
        });
        let kind = Kind::Pipe(Box::new(Pipe { path: SctpOverUdp::new(listen, config) }));
        self.insert_transport(key, Transport::new(router, kind, options.sctp, self.now))?;
        self.owners.insert(socket, Owner::Transport(key));
        self.transport(key)?.udp_answer()
    }
}
