//! What plain and pipe transports are made of: an association directly over UDP (no encryption).

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use crate::proto::peer::MAX_UDP_PAYLOAD;
use crate::proto::sctp::{Sctp, SctpConfig, SctpEvent, Start};
use crate::proto::transmit::{SocketId, Transmits, Tuple};

use super::{Listen, TupleInfo};

/// An association over our socket with one remote address.
#[derive(Debug)]
pub(in crate::sfu) struct SctpOverUdp {
    listen: Listen,
    remote: Option<SocketAddr>,
    sctp: Option<Sctp>,
    /// There is a DataProducer or a DataConsumer, so the association may begin.
    wanted: bool,
}

impl SctpOverUdp {
    pub(super) const MAX_PACKET_SIZE: usize = MAX_UDP_PAYLOAD;

    pub(super) fn new(listen: Listen, sctp: Option<SctpConfig>) -> Self {
        let sctp = sctp.map(Sctp::new);
        Self { listen, remote: None, sctp, wanted: false }
    }

    pub(in crate::sfu) fn socket(&self) -> SocketId {
        self.listen.socket
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.listen.local
    }

    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    pub(super) fn tuple_info(&self) -> TupleInfo {
        self.listen.tuple_info(self.remote)
    }

    pub(super) fn sctp(&self) -> Option<&Sctp> {
        self.sctp.as_ref()
    }

    pub(super) fn sctp_mut(&mut self) -> Option<&mut Sctp> {
        self.sctp.as_mut()
    }

    /// The peer is at `remote`. `start` says who sends the INIT.
    pub(super) fn connect(&mut self, now: Instant, remote: SocketAddr, start: Start) {
        self.remote = Some(remote);
        if let Some(sctp) = &mut self.sctp {
            sctp.set_start(start);
        }
        self.begin(now);
    }

    /// There is something to carry.
    pub(super) fn start(&mut self, now: Instant) {
        self.wanted = true;
        self.begin(now);
    }

    fn begin(&mut self, now: Instant) {
        if let Some(sctp) = &mut self.sctp
            && self.wanted
            && self.remote.is_some()
        {
            sctp.connect(now);
        }
    }

    /// Takes a datagram, if it is from the peer. One that opens an association is welcome before
    /// there is anything to carry.
    pub(super) fn handle_datagram(&mut self, now: Instant, tuple: Tuple, datagram: &[u8]) -> bool {
        if self.remote != Some(tuple.remote) {
            return false;
        }
        if let Some(sctp) = &mut self.sctp {
            sctp.connect(now);
            sctp.handle_packet(now, Bytes::copy_from_slice(datagram));
        }
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.sctp.as_ref()?.poll_timeout()
    }

    pub(super) fn poll_event(&mut self) -> Option<SctpEvent> {
        self.sctp.as_mut()?.poll_event()
    }

    pub(super) fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        let (Some(sctp), Some(remote)) = (&mut self.sctp, self.remote) else { return };
        let tuple = Tuple { socket: self.listen.socket, remote };
        sctp.drain_transmits(now, |packet| out.push(tuple, packet));
    }

    /// Aborts the association; the peer is told.
    pub(super) fn close(&mut self, now: Instant, out: &mut Transmits) {
        if let Some(sctp) = &mut self.sctp {
            sctp.abort(now);
        }
        self.poll_transmit(now, out);
    }
}
