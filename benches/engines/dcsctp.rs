//! dcsctp, bare.

use std::time::{Duration, Instant};

use ::dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketState, SocketTime,
    StreamId,
};
use bytes::Bytes;

use crate::cases::{Engine, MAX_PACKET, MESSAGE, RECEIVE_WINDOW};
use crate::link::{Peer, start};

pub(crate) struct DcSctp {
    initiates: bool,
    socket: Box<dyn DcSctpSocket>,
    /// Its clock begins here.
    epoch: Instant,
    flight: usize,
    packets: Vec<Bytes>,
    taken: usize,
}

impl DcSctp {
    fn advance(&mut self, now: Instant) {
        self.socket.advance_time(SocketTime::zero() + now.saturating_duration_since(self.epoch));
    }

    fn collect(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.packets.push(packet.into()),
                SocketEvent::OnAborted(why, text) => panic!("{why:?} {text}"),
                _ => {}
            }
        }
        while self.socket.get_next_message().is_some() {
            self.taken += 1;
        }
    }
}

impl Peer for DcSctp {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.advance(now);
        self.socket.handle_input(&packet);
        self.collect();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.collect();
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let at = self.socket.poll_timeout();
        (at != SocketTime::infinite_future())
            .then(|| self.epoch + (at - SocketTime::zero()) + Duration::from_micros(1))
    }

    fn drain(&mut self, _: Instant, packets: &mut Vec<Bytes>) {
        self.collect();
        packets.append(&mut self.packets);
    }
}

impl Engine for DcSctp {
    fn new(initiates: bool, flight: usize) -> Self {
        let options = Options {
            mtu: MAX_PACKET,
            max_receiver_window_buffer_size: RECEIVE_WINDOW as usize,
            ..Options::default()
        };
        let socket = ::dcsctp::new_socket("", &options);
        Self { initiates, socket, epoch: start(), flight, packets: Vec::new(), taken: 0 }
    }

    fn connect(&mut self, _: Instant) {
        if self.initiates {
            self.socket.connect();
        }
    }

    fn is_connected(&self) -> bool {
        self.socket.state() == SocketState::Connected
    }

    fn send(&mut self, now: Instant, payload: &Bytes) {
        self.advance(now);
        let message = Message::new(StreamId(0), PpId(53), payload.to_vec());
        self.socket.send(message, &SendOptions::default()).expect("room");
    }

    fn has_room(&mut self) -> bool {
        let unacknowledged = self.socket.get_metrics().map_or(0, |it| it.unack_data_count);
        self.socket.buffered_amount(StreamId(0)) + unacknowledged * MESSAGE < self.flight
    }

    fn take(&mut self) -> usize {
        std::mem::take(&mut self.taken)
    }
}
