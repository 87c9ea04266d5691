//! Pipe transport: joins two routers, in one process or on two hosts. Subchannels travel with the
//! messages; see [`pipe`](crate::sfu::subchannels::pipe).

use std::sync::Arc;
use std::time::Instant;

use crate::proto::net::Tuple;
use crate::proto::sctp::Start;
use crate::proto::transmit::Transmits;
use crate::sfu::address::Listen;
use crate::sfu::contract::answers::UdpTransportAnswer;
use crate::sfu::contract::options::PipeTransportOptions;
use crate::sfu::data_consumer::Sink;
use crate::sfu::error::{Error, Result};
use crate::sfu::id::{RouterKey, TransportKey};
use crate::sfu::subchannels::pipe::MAX_HEADER;
use crate::sfu::{Owner, Sfu};

use super::association::tunnelled_bytes;
use super::sctp_over_udp::SctpOverUdp;
use super::tunnel::{Arrival, Tunnel, TunnelFrame};
use super::{Kind, Polled, Transport, TransportMut, sctp};

/// What only a pipe transport has.
#[derive(Debug)]
pub(in crate::sfu) struct Pipe {
    pub(in crate::sfu) path: SctpOverUdp,
    /// Used instead of the network where both ends are in this process.
    pub(super) tunnel: Option<Tunnel>,
}

impl Pipe {
    /// There is something to carry.
    pub(super) fn start(&mut self, now: Instant) {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.connect(),
            None => self.path.start(now),
        }
    }

    /// With a tunnel nothing comes over the network.
    pub(super) fn handle_datagram(&mut self, now: Instant, tuple: Tuple, datagram: &[u8]) -> bool {
        self.tunnel.is_none() && self.path.handle_datagram(now, tuple, datagram)
    }

    pub(super) fn poll(&mut self) -> Option<Polled> {
        match &mut self.tunnel {
            Some(tunnel) => {
                let event = tunnel.poll_event().map(Polled::Sctp);
                event.or_else(|| tunnel.poll_frame().map(Polled::TunnelFrame))
            }
            None => self.path.poll_event().map(Polled::Sctp),
        }
    }

    pub(super) fn close(&mut self, now: Instant, out: &mut Transmits) {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.close();
        }
        self.path.close(now, out);
    }
}

impl Sfu {
    /// Makes a pipe transport.
    pub fn create_pipe_transport(
        &mut self,
        key: TransportKey,
        router: RouterKey,
        options: &PipeTransportOptions,
        listen: Listen,
    ) -> Result<UdpTransportAnswer> {
        let socket = listen.socket;
        let config = options.sctp.as_ref().map(|it| {
            sctp::config(it, MAX_HEADER, Start::AfterSilence, SctpOverUdp::MAX_PACKET_SIZE, false)
        });
        let kind =
            Kind::Pipe(Box::new(Pipe { path: SctpOverUdp::new(listen, config), tunnel: None }));
        self.insert_transport(key, Transport::new(router, kind, options.sctp.clone(), self.now))?;
        self.owners.insert(socket, Owner::Transport(key));
        self.transport(key)?.udp_answer()
    }
}

impl TransportMut<'_> {
    /// The other end of this pipe is in this process: from here on it is reached by
    /// [`Event::TunnelFrame`](crate::sfu::event::Event::TunnelFrame) instead of the network. To be called
    /// before the transport is connected. Who consumes on it already goes on over the tunnel; what
    /// was sent to them is discarded and counted.
    pub fn tunnel(&mut self) -> Result<()> {
        let key = self.key;
        let Sfu { transports, data_consumers, .. } = &mut *self.sfu;
        let transport = transports.get_mut(&key).ok_or(key)?;
        let (wanted, mut tunnel) = match (&mut transport.kind, &transport.sctp) {
            (Kind::Pipe(it), Some(options)) => (it.path.take_wanted(), Tunnel::new(options)),
            (Kind::Pipe(_), None) => return Ok(()),
            _ => return Err(Error::WrongKind { key, expected: "PipeTransport" }),
        };
        transport.waiting.clear();
        for (stream, consumer) in transport.consumer_streams.clone() {
            transport.reset_stream(stream);
            let sink = data_consumers.get(&consumer).map(|it| &it.sink);
            if let Some(Sink::Sctp { gauge, low_threshold, .. }) = sink {
                gauge.publish(0);
                tunnel.open_stream(stream, Arc::clone(gauge));
                tunnel.set_low_threshold(stream, *low_threshold);
            }
        }
        if wanted {
            tunnel.connect();
        }
        if let Kind::Pipe(it) = &mut transport.kind {
            it.tunnel = Some(tunnel);
        }
        self.sfu.pump(key);
        Ok(())
    }
}

impl Sfu {
    /// The other end of a tunnel has handed this over.
    pub fn handle_tunnel_frame(&mut self, key: TransportKey, frame: TunnelFrame) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let Some(tunnel) = transport.tunnel_mut() else { return };
        if let Some(Arrival { stream, message, selector }) = tunnel.handle_frame(frame) {
            transport.received.add(self.now, tunnelled_bytes(&message));
            self.deliver(key, stream, message, selector.as_ref());
        }
        self.pump(key);
    }
}
