//! dcsctp behind a small face.

use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::message::{Limit, Message, Ppid, Reliability};
use dcsctp::api::{
    DcSctpSocket, Message as TheirMessage, Options, PpId, SendOptions, SocketEvent, SocketState,
    SocketTime, StreamId,
};

/// What fits the datagrams that ours may send: 1,232 bytes less a DTLS record's 37.
const MTU: usize = 1195;

pub(crate) struct Association {
    socket: Box<dyn DcSctpSocket>,
    start: Instant,
    packets: Vec<Bytes>,
    pub(crate) messages: Vec<(u16, Message)>,
    /// Streams that the worker has reset.
    pub(crate) resets: Vec<u16>,
    /// The worker has sent an ABORT.
    pub(crate) aborted: bool,
    /// Messages are not read, so that its window closes.
    pub(crate) deaf: bool,
}

impl Association {
    pub(crate) fn new(now: Instant) -> Self {
        let options = Options { mtu: MTU, ..Options::default() };
        Self {
            socket: dcsctp::new_socket("theirs", &options),
            start: now,
            packets: Vec::new(),
            messages: Vec::new(),
            resets: Vec::new(),
            aborted: false,
            deaf: false,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.socket.state() == SocketState::Connected
    }

    pub(crate) fn connect(&mut self, now: Instant) {
        self.socket.advance_time(self.time(now));
        self.socket.connect();
    }

    pub(crate) fn send(&mut self, stream: u16, message: Message) {
        self.send_with(stream, message, Reliability::RELIABLE);
    }

    pub(crate) fn send_with(&mut self, stream: u16, message: Message, reliability: Reliability) {
        let payload = message.payload.to_vec();
        let message = TheirMessage::new(StreamId(stream), PpId(message.ppid.0), payload);
        let mut options = SendOptions { unordered: !reliability.ordered, ..Default::default() };
        match reliability.limit {
            None => {}
            Some(Limit::Retransmits(count)) => options.max_retransmissions = Some(count),
            Some(Limit::LifetimeMs(ms)) => {
                options.lifetime = Some(Duration::from_millis(ms.into()));
            }
        }
        self.socket.send(message, &options).expect("room");
    }

    /// Closes its side of a data channel.
    pub(crate) fn reset(&mut self, stream: u16) {
        self.socket.reset_streams(&[StreamId(stream)]).expect("connected");
    }

    pub(crate) fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.socket.advance_time(self.time(now));
        self.socket.handle_input(&packet);
        self.collect();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.socket.advance_time(self.time(now));
        self.collect();
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let at = self.socket.poll_timeout();
        (at != SocketTime::infinite_future())
            .then(|| self.start + (at - SocketTime::zero()) + Duration::from_micros(1))
    }

    pub(crate) fn packets(&mut self) -> Vec<Bytes> {
        self.collect();
        std::mem::take(&mut self.packets)
    }

    fn time(&self, now: Instant) -> SocketTime {
        SocketTime::zero() + now.saturating_duration_since(self.start)
    }

    fn collect(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.packets.push(packet.into()),
                SocketEvent::OnIncomingStreamReset(streams) => {
                    // As a browser does: the channel is closed on both sides.
                    self.resets.extend(streams.iter().map(|stream| stream.0));
                    // Refused if it has begun the reset itself.
                    let _ = self.socket.reset_streams(&streams);
                }
                SocketEvent::OnAborted(..) => self.aborted = true,
                _ => {}
            }
        }
        while !self.deaf
            && let Some(message) = self.socket.get_next_message()
        {
            let ppid = Ppid(message.ppid.0);
            let payload = message.payload.into();
            self.messages.push((message.stream_id.0, Message { ppid, payload }));
        }
    }
}
