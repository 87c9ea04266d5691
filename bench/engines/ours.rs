//! The engine `proto::sctp`: sctp-proto with the layers of this package around it.

use std::time::Instant;

use bytes::Bytes;
use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::sctp::{
    Association, CongestionControl, SctpConfig, SctpEvent, SctpState, Start,
};

use crate::cases::{Engine, RECEIVE_WINDOW};
use crate::common::peers::MAX_PACKET;
use crate::common::sim::Peer;

pub(crate) struct Ours(Association);

impl Peer for Ours {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.0.handle_packet(now, packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        self.0.drain_transmits(now, |packet| packets.push(Bytes::copy_from_slice(packet)));
    }
}

impl Engine for Ours {
    fn new(initiates: bool, flight: usize) -> Self {
        let mut sctp = Association::new(SctpConfig {
            max_send_message_size: 262_144,
            // The receive window is at most twice this, and larger than this.
            max_receive_message_size: RECEIVE_WINDOW / 2,
            send_buffer_size: 2_000_000,
            per_stream_send_queue_limit: 2_000_000,
            max_receiver_window: RECEIVE_WINDOW,
            buffered_amount_low_threshold: 0,
            congestion_control: CongestionControl::default(),
            start: if initiates { Start::AtOnce } else { Start::Never },
            max_packet_size: MAX_PACKET,
            data_channels: true,
            silence: None,
        });
        sctp.set_flight_budget(flight);
        Self(sctp)
    }

    fn connect(&mut self, now: Instant) {
        self.0.connect(now);
        self.0.open_stream(0, Reliability::RELIABLE);
    }

    fn is_connected(&self) -> bool {
        self.0.state() == SctpState::Connected
    }

    fn send(&mut self, now: Instant, payload: &Bytes) {
        self.0.send(now, 0, Message::new(Ppid::BINARY, payload.clone())).expect("room");
    }

    fn has_room(&mut self) -> bool {
        // The association limits the bytes in flight itself, and takes messages from its queue, so there is
        // room while the queue is short.
        self.0.queued_bytes() < 16_384
    }

    fn take(&mut self) -> usize {
        let messages = std::iter::from_fn(|| self.0.poll_event());
        messages.filter(|event| matches!(event, SctpEvent::Message { .. })).count()
    }
}
