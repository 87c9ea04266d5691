//! A peer on dcsctp, the SCTP implementation of libwebrtc ported to Rust. It shares no code with our
//! association, so a mistake in ours cannot hide in both.

use std::time::{Duration, Instant};

use ::dcsctp::api::{
    DcSctpSocket, Message as TheirMessage, Options, PpId, SendOptions, SocketEvent, SocketState,
    SocketTime, StreamId,
};
use bytes::Bytes;
use datasoup::proto::message::{Limit, Message, Ppid, Reliability};

use super::peers::MAX_PACKET;
use super::sim::Peer;

/// See the module's documentation.
pub(crate) struct DcSctp {
    pub(crate) socket: Box<dyn DcSctpSocket>,
    /// The zero of the socket's clock, which counts from the start of the peer.
    start: Instant,
    packets: Vec<Bytes>,
    pub(crate) messages: Vec<(u16, Message)>,
    /// Streams that the peer has reset.
    pub(crate) resets: Vec<u16>,
    /// True once the peer has sent an ABORT or the association has failed.
    pub(crate) aborted: bool,
    /// If true, messages are not read, so that the receive window of this peer closes.
    pub(crate) deaf: bool,
    /// If true, an error or a rejected reset panics: with a correct association at the other end, neither
    /// happens.
    pub(crate) strict: bool,
}

impl DcSctp {
    pub(crate) fn new(now: Instant) -> Self {
        Self::with(now, Options { mtu: MAX_PACKET, ..Options::default() })
    }

    pub(crate) fn with(now: Instant, options: Options) -> Self {
        Self {
            socket: ::dcsctp::new_socket("theirs", &options),
            start: now,
            packets: Vec::new(),
            messages: Vec::new(),
            resets: Vec::new(),
            aborted: false,
            deaf: false,
            strict: false,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.socket.state() == SocketState::Connected
    }

    pub(crate) fn connect(&mut self, now: Instant) {
        self.advance(now);
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

    /// Closes this peer's side of a data channel.
    pub(crate) fn reset(&mut self, stream: u16) {
        self.socket.reset_streams(&[StreamId(stream)]).expect("connected");
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

    /// Sets the clock of the socket.
    pub(crate) fn advance(&mut self, now: Instant) {
        let time = SocketTime::zero() + now.saturating_duration_since(self.start);
        self.socket.advance_time(time);
    }

    fn collect(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.packets.push(packet.into()),
                SocketEvent::OnIncomingStreamReset(streams) => {
                    // A browser resets its own direction in return, so that the channel is closed on both sides.
                    self.resets.extend(streams.iter().map(|stream| stream.0));
                    // dcsctp rejects a reset only if the association has ended, which may have happened after
                    // this event, or if the other end does not support RE-CONFIG.
                    let rejected = self.socket.reset_streams(&streams).is_err();
                    assert!(!(rejected && self.strict), "dcsctp rejects the reset of {streams:?}");
                }
                SocketEvent::OnAborted(..) => self.aborted = true,
                SocketEvent::OnError(kind, why) if self.strict => panic!("{kind:?} {why}"),
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
        DcSctp::poll_timeout(self)
    }

    fn drain(&mut self, _: Instant, packets: &mut Vec<Bytes>) {
        packets.append(&mut self.packets());
    }
}
