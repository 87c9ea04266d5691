//! The requests of a pipe transport, and its tunnel to another pipe transport of this process.

use std::sync::Arc;

use crate::proto::sctp::Start;
use crate::proto::session::Session;
use crate::sfu::Sfu;
use crate::sfu::address::Listen;
use crate::sfu::contract::answers::UdpTransportAnswer;
use crate::sfu::contract::options::PipeTransportOptions;
use crate::sfu::entity::data_consumer::Destination;
use crate::sfu::entity::transport::pipe::Pipe;
use crate::sfu::entity::transport::sctp_over_udp::SctpOverUdp;
use crate::sfu::entity::transport::streams::tunnelled_bytes;
use crate::sfu::entity::transport::{Kind, Transport, sctp};
use crate::sfu::error::{Error, Result};
use crate::sfu::id::TransportKey;
use crate::sfu::pipe_header::{MAX_HEADER, PipeControl};
use crate::sfu::router::RouterMut;
use crate::sfu::tunnel::{Arrival, Tunnel, TunnelFrame};

use super::TransportMut;

impl RouterMut<'_> {
    /// Makes a pipe transport.
    pub fn create_pipe_transport(
        &mut self,
        key: TransportKey,
        options: &PipeTransportOptions,
        listen: Listen,
    ) -> UdpTransportAnswer {
        let sctp = options.sctp.as_ref();
        let config = |max_packet_size| {
            sctp.map(|it| sctp::config(it, MAX_HEADER, Start::AfterSilence, max_packet_size, false))
        };
        let path = match options.enable_dtls {
            false => SctpOverUdp::new(listen, config(SctpOverUdp::MAX_PACKET_SIZE)),
            true => {
                let config = config(Session::MAX_SCTP_PACKET_SIZE);
                SctpOverUdp::sealed(listen, self.sfu.dtls.clone(), config)
            }
        };
        let (socket, tuple) = (path.socket(), path.tuple_info());
        let kind = Kind::Pipe(Box::new(Pipe::new(path)));
        self.insert_udp(key, Transport::new(self.key, kind, sctp, self.sfu.now), socket, tuple)
    }
}

impl TransportMut<'_> {
    /// Notes that the other end of this pipe is in this process: from here on
    /// [`Event::TunnelFrame`](crate::sfu::event::Event::TunnelFrame) reaches it instead of the network. Call this
    /// before the transport is connected. Its DataConsumers continue over the tunnel; messages that they have
    /// queued are discarded and counted.
    pub fn tunnel(&mut self) -> Result<()> {
        let key = self.key;
        let Sfu { transports, data_consumers, memory, .. } = &mut *self.sfu;
        let transport = transports.get_mut(&key).ok_or(key)?;
        let (wanted, mut tunnel) = match (&mut transport.kind, &transport.sctp) {
            (Kind::Pipe(it), Some(bounds)) => {
                let tunnel = Tunnel::new(
                    bounds.send_buffer_size,
                    bounds.per_stream_send_queue_limit,
                    bounds.buffered_amount_low_threshold,
                    memory.as_ref(),
                );
                (it.path.take_wanted(), tunnel)
            }
            (Kind::Pipe(_), None) => return Ok(()),
            _ => return Err(Error::wrong_kind(key, "PipeTransport")),
        };
        transport.backlogged.clear();
        let mut discarding = Vec::new();
        for (stream, consumer) in transport.consumer_streams.clone() {
            transport.reset_stream(stream);
            discarding.push(consumer);
            let Some(consumer) = data_consumers.get(&consumer) else { continue };
            if let Destination::Sctp { gauge, low_threshold, .. } = &consumer.destination {
                gauge.publish(0);
                tunnel.open_stream(stream, Arc::clone(gauge));
                tunnel.set_low_threshold(stream, *low_threshold);
                if consumer.governed {
                    tunnel.set_policy(stream, consumer.policy);
                }
                tunnel.set_stopped(stream, consumer.stopped);
                tunnel.send_control(stream, PipeControl::Paused(consumer.producer_paused).encode());
            }
        }
        if wanted {
            tunnel.connect();
        }
        if let Some(memory) = memory {
            transport.count(memory);
        }
        if let Kind::Pipe(it) = &mut transport.kind {
            it.tunnel = Some(tunnel);
        }
        discarding.into_iter().for_each(|it| self.sfu.end_drains_of(it));
        self.sfu.pump(key);
        Ok(())
    }
}

impl Sfu {
    /// Takes a frame from the other end of a tunnel.
    pub fn handle_tunnel_frame(&mut self, key: TransportKey, frame: TunnelFrame) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        transport.fall_behind();
        let Some(tunnel) = transport.tunnel_mut() else { return };
        let gives_room = matches!(frame, TunnelFrame::Credit(_) | TunnelFrame::Low(_));
        if let Some(Arrival { stream, message, selector, since }) = tunnel.handle_frame(frame) {
            transport.received.add(self.now, tunnelled_bytes(&message));
            let selector = selector.as_ref();
            match since {
                Some(since) => self.deliver_retained(key, stream, message, selector, since),
                None => self.deliver(key, stream, message, selector),
            }
        }
        self.pump(key);
        if gives_room {
            self.touch(key);
        }
    }
}
