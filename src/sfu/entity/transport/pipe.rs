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
use super::released::ReleasedStreams;
use super::sctp_over_udp::SctpOverUdp;

/// What only a pipe transport has.
#[derive(Debug)]
pub(in crate::sfu) struct Pipe {
    pub(in crate::sfu) path: SctpOverUdp,
    /// The tunnel that replaces the network when both ends are in this process.
    pub(in crate::sfu) tunnel: Option<Tunnel>,
    /// The streams of DataConsumers that have closed.
    pub(super) released: ReleasedStreams,
    closed_early: ClosedEarly,
}

/// For how long the close of a stream is remembered for a DataProducer that is about to be made. The far end rests the
/// stream id for longer (`QUARANTINE`, 3 s).
const REMEMBERED: Duration = Duration::from_millis(2500);

/// How many closed streams are remembered at most.
const MAX_REMEMBERED: usize = 1024;

/// The shortest time between two searches for remembered streams that are too old.
const SWEEPS: Duration = Duration::from_millis(100);

/// Streams that the far end has closed before there was a DataProducer, and when.
#[derive(Debug, Default)]
struct ClosedEarly {
    streams: FxHashMap<StreamId, Instant>,
    next_sweep: Option<Instant>,
}

impl ClosedEarly {
    fn remember(&mut self, now: Instant, stream: StreamId) {
        let is_full = self.streams.len() >= MAX_REMEMBERED;
        if is_full && self.next_sweep.is_none_or(|at| at <= now) {
            self.streams.retain(|_, at| now < *at + REMEMBERED);
            self.next_sweep = Some(now + SWEEPS);
        }
        if self.streams.len() < MAX_REMEMBERED {
            self.streams.insert(stream, now);
        }
    }

    fn take(&mut self, now: Instant, stream: StreamId) -> bool {
        self.streams.remove(&stream).is_some_and(|at| now < at + REMEMBERED)
    }
}

impl Pipe {
    pub(in crate::sfu) fn new(path: SctpOverUdp) -> Self {
        Self {
            path,
            tunnel: None,
            released: ReleasedStreams::default(),
            closed_early: ClosedEarly::default(),
        }
    }

    /// Remembers that the far end has closed a stream without a DataProducer, which may be about to be made.
    pub(in crate::sfu) fn remember_closed(&mut self, now: Instant, stream: StreamId) {
        self.closed_early.remember(now, stream);
    }

    /// Whether the far end has closed this stream before its DataProducer was made.
    pub(in crate::sfu) fn take_closed(&mut self, now: Instant, stream: StreamId) -> bool {
        self.closed_early.take(now, stream)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it measures costs")]
    fn closes_beyond_those_that_are_remembered_cost_no_more_than_others() {
        let began = Instant::now();
        let mut closed = ClosedEarly::default();
        // In an unoptimized build this takes 0.1 s, and would take 10 s if each call scanned all entries.
        for number in 0..300_000_u32 {
            closed.remember(began + Duration::from_micros(number.into()), number as StreamId);
        }
        let later = began + Duration::from_micros(300_000);
        assert!(closed.take(later, 1023) && !closed.take(later, 1023));
        assert!(!closed.take(later, 1024), "there were too many");
        let much_later = later + REMEMBERED;
        closed.remember(much_later, 5000);
        assert!(!closed.take(much_later, 0) && closed.take(much_later, 5000));
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}
