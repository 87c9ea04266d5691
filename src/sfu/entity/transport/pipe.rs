//! Pipe transport: joins two routers, in one process or on two hosts. Subchannels travel with the
//! messages; see [`pipe_header`](crate::sfu::pipe_header).

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::proto::message::StreamId;
use crate::proto::net::Tuple;
use crate::proto::transmit::Transmits;
use crate::sfu::event::TransportEvent;
use crate::sfu::tunnel::Tunnel;

use super::polled::Polled;
use super::released::Released;
use super::sctp_over_udp::SctpOverUdp;

/// What only a pipe transport has.
#[derive(Debug)]
pub(in crate::sfu) struct Pipe {
    pub(in crate::sfu) path: SctpOverUdp,
    /// The tunnel that replaces the network when both ends are in this process.
    pub(in crate::sfu) tunnel: Option<Tunnel>,
    /// The streams of DataConsumers that have closed.
    pub(super) released: Released,
    /// Streams that the far end has closed before there was a DataProducer, and when.
    closed_early: FxHashMap<StreamId, Instant>,
}

/// For how long the close of a stream is remembered for a DataProducer that is about to be made. The far end rests the
/// stream id for longer (`QUARANTINE`, 3 s).
const REMEMBERED: Duration = Duration::from_millis(2500);

/// How many such streams are remembered.
const MAX_REMEMBERED: usize = 1024;

impl Pipe {
    pub(in crate::sfu) fn new(path: SctpOverUdp) -> Self {
        Self {
            path,
            tunnel: None,
            released: Released::default(),
            closed_early: FxHashMap::default(),
        }
    }

    /// Remembers that the far end has closed a stream without a DataProducer, which may be about to be made.
    pub(in crate::sfu) fn remember_closed(&mut self, now: Instant, stream: StreamId) {
        if self.closed_early.len() >= MAX_REMEMBERED {
            self.closed_early.retain(|_, at| now < *at + REMEMBERED);
        }
        if self.closed_early.len() < MAX_REMEMBERED {
            self.closed_early.insert(stream, now);
        }
    }

    /// Whether the far end has closed this stream before its DataProducer was made.
    pub(in crate::sfu) fn take_closed(&mut self, now: Instant, stream: StreamId) -> bool {
        self.closed_early.remove(&stream).is_some_and(|at| now < at + REMEMBERED)
    }

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
            None => self.path.poll(),
        }
    }

    pub(in crate::sfu) fn close(&mut self, now: Instant, out: &mut Transmits) {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.close();
        }
        self.path.close(now, out);
    }
}
