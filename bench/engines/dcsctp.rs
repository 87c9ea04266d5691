//! The engine dcsctp, without a layer of this package around it.

use std::time::Instant;

use ::dcsctp::api::{Options, StreamId};
use bytes::Bytes;
use datasoup::proto::message::{Message, Ppid};

use crate::cases::{Engine, MESSAGE, RECEIVE_WINDOW};
use crate::common::dcsctp::DcSctp as Association;
use crate::common::peers::MAX_PACKET;
use crate::common::sim::{Peer, start};

pub(crate) struct DcSctp {
    initiates: bool,
    association: Association,
    flight: usize,
}

impl Peer for DcSctp {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.association.handle_packet(now, packet);
        assert!(!self.association.aborted);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        self.association.drain(now, packets);
    }
}

impl Engine for DcSctp {
    fn new(initiates: bool, flight: usize) -> Self {
        let options = Options {
            mtu: MAX_PACKET,
            max_receiver_window_buffer_size: RECEIVE_WINDOW as usize,
            ..Options::default()
        };
        Self { initiates, association: Association::with(start(), options), flight }
    }

    fn connect(&mut self, now: Instant) {
        if self.initiates {
            self.association.connect(now);
        }
    }

    fn is_connected(&self) -> bool {
        self.association.is_connected()
    }

    fn send(&mut self, now: Instant, payload: &Bytes) {
        self.association.advance(now);
        self.association.send(0, Message::new(Ppid::BINARY, payload.clone()));
    }

    fn has_room(&mut self) -> bool {
        let socket = &self.association.socket;
        let unacknowledged = socket.get_metrics().map_or(0, |it| it.unack_data_count);
        socket.buffered_amount(StreamId(0)) + unacknowledged * MESSAGE < self.flight
    }

    fn take(&mut self) -> usize {
        self.association.messages.drain(..).count()
    }
}
