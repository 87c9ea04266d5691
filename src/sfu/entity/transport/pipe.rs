//! Pipe transport: joins two routers, in one process or on two hosts. Subchannels travel with the
//! messages; see [`pipe_header`](crate::sfu::pipe_header).

use std::time::Instant;

use crate::proto::net::Tuple;
use crate::proto::transmit::Transmits;
use crate::sfu::event::TransportEvent;
use crate::sfu::tunnel::Tunnel;

use super::polled::Polled;
use super::sctp_over_udp::SctpOverUdp;

/// What only a pipe transport has.
#[derive(Debug)]
pub(in crate::sfu) struct Pipe {
    pub(in crate::sfu) path: SctpOverUdp,
    /// The tunnel that replaces the network when both ends are in this process.
    pub(in crate::sfu) tunnel: Option<Tunnel>,
}

impl Pipe {
    /// Connects, now that there is a DataProducer or a DataConsumer.
    pub(in crate::sfu) fn start(&mut self, now: Instant) {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.connect(),
            None => self.path.start(now),
        }
    }

    /// Takes a datagram, unless the pipe has a tunnel: then it expects nothing over the network.
    pub(in crate::sfu) fn handle_datagram(
        &mut self,
        now: Instant,
        tuple: Tuple,
        datagram: &[u8],
    ) -> bool {
        self.tunnel.is_none() && self.path.handle_datagram(now, tuple, datagram)
    }

    pub(in crate::sfu) fn poll(&mut self) -> Option<Polled> {
        match &mut self.tunnel {
            Some(tunnel) => {
                let event = tunnel.poll_event().map(Polled::Sctp);
                event.or_else(|| tunnel.poll_frame().map(Polled::TunnelFrame))
            }
            None if self.path.take_moved() => {
                let tuple = Box::new(self.path.tuple_info());
                Some(Polled::Event(TransportEvent::Tuple(tuple)))
            }
            None => self.path.poll_event().map(Polled::Sctp),
        }
    }

    pub(in crate::sfu) fn close(&mut self, now: Instant, out: &mut Transmits) {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.close();
        }
        self.path.close(now, out);
    }
}
