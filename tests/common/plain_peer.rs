//! A peer of plain transports: dcsctp over UDP.

use std::net::SocketAddr;
use std::time::Instant;

use super::dcsctp::DcSctp;
use super::sim::{Datagram, Peer};

pub(crate) struct PlainPeer {
    pub(crate) address: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) sctp: DcSctp,
    /// If true, the peer receives and sends nothing, as if it had vanished.
    pub(crate) frozen: bool,
}

impl PlainPeer {
    pub(crate) fn new(now: Instant, address: SocketAddr, server: SocketAddr) -> Self {
        Self { address, server, sctp: DcSctp::new(now), frozen: false }
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        assert_eq!(datagram.from, self.server);
        if !self.frozen {
            self.sctp.handle_packet(now, datagram.bytes.into());
        }
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<Datagram>) {
        let (from, to) = (self.address, self.server);
        let packets = self.sctp.packets();
        if !self.frozen {
            out.extend(packets.iter().map(|it| Datagram { from, to, bytes: it.to_vec() }));
        }
    }
}
