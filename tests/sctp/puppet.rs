//! A peer made of bytes: it shakes hands like any other, and then sends what a test tells it to.

use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::message::{Message, StreamId};
use datasoup::proto::sctp::{Association, SctpConfig, SctpEvent, SctpState};

use crate::link::start;
pub(crate) use crate::packet::*;

/// One of ours with a puppet for a peer.
pub(crate) struct Stage {
    pub(crate) now: Instant,
    pub(crate) sctp: Association,
    /// The tag of packets to ours, and to the puppet.
    pub(crate) tag: u32,
    pub(crate) own_tag: u32,
    /// The puppet's next TSN and next RE-CONFIG request.
    pub(crate) tsn: u32,
    pub(crate) request: u32,
    /// The first TSN of ours.
    pub(crate) initial_tsn: u32,
    pub(crate) cookie: Vec<u8>,
    pub(crate) largest: usize,
}

pub(crate) const FIRST_TSN: u32 = 1000;

impl Stage {
    /// The handshake up to the INIT ACK.
    pub(crate) fn halfway(config: SctpConfig, streams: (u16, u16), parameters: &[u8]) -> Self {
        let now = start();
        let mut sctp = Association::new(config);
        sctp.connect(now);
        let own_tag = 0x0102_0304;
        let mut stage = Self {
            now,
            sctp,
            tag: 0,
            own_tag,
            tsn: FIRST_TSN,
            request: FIRST_TSN,
            initial_tsn: 0,
            cookie: Vec::new(),
            largest: 0,
        };
        let sent = stage.inject(packet(0, &[init(INIT, own_tag, streams, FIRST_TSN, parameters)]));
        let [ack] = &sent[..] else { panic!("an INIT ACK, not {sent:?}") };
        assert_eq!(ack.kind, INIT_ACK);
        let greeting = Greeting::read(ack).expect("an INIT ACK");
        (stage.tag, stage.initial_tsn, stage.cookie) =
            (greeting.tag, greeting.tsn, greeting.cookie);
        stage
    }

    /// An established association.
    pub(crate) fn new(config: SctpConfig) -> Self {
        Self::with_streams(config, (u16::MAX, u16::MAX))
    }

    pub(crate) fn with_streams(config: SctpConfig, streams: (u16, u16)) -> Self {
        let mut stage = Self::halfway(config, streams, &extensions());
        let echo = chunk(COOKIE_ECHO, 0, &stage.cookie);
        let sent = stage.send(&[echo]);
        assert_eq!(sent.iter().map(|chunk| chunk.kind).collect::<Vec<_>>(), [COOKIE_ACK]);
        assert_eq!(stage.sctp.state(), SctpState::Connected);
        while stage.sctp.poll_event().is_some() {}
        stage
    }

    /// Sends chunks in one packet with everything right about it; answers what ours then sends.
    pub(crate) fn send(&mut self, chunks: &[Vec<u8>]) -> Vec<Seen> {
        self.inject(packet(self.tag, chunks))
    }

    pub(crate) fn inject(&mut self, packet: Bytes) -> Vec<Seen> {
        self.sctp.handle_packet(self.now, packet);
        self.drain()
    }

    pub(crate) fn drain(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let (largest, own_tag) = (&mut self.largest, self.own_tag);
        self.sctp.drain_transmits(self.now, |packet| {
            assert_eq!(packet[4..8], own_tag.to_be_bytes(), "the tag of what ours sends");
            *largest = (*largest).max(packet.len());
            seen.extend(chunks(packet));
        });
        seen
    }

    /// Lets time pass, timers included; answers what ours sends meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Seen> {
        let end = self.now + time;
        let mut seen = Vec::new();
        while let Some(at) = self.sctp.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.sctp.handle_timeout(self.now);
            seen.extend(self.drain());
        }
        self.now = end;
        seen
    }

    /// The next TSN of the puppet.
    pub(crate) fn next_tsn(&mut self) -> u32 {
        self.tsn = self.tsn.wrapping_add(1);
        self.tsn.wrapping_sub(1)
    }

    pub(crate) fn events(&mut self) -> Vec<SctpEvent> {
        std::iter::from_fn(|| self.sctp.poll_event()).collect()
    }

    pub(crate) fn messages(&mut self) -> Vec<(StreamId, Message)> {
        let message = |event| match event {
            SctpEvent::Message { stream, message } => Some((stream, message)),
            _ => None,
        };
        self.events().into_iter().filter_map(message).collect()
    }

    /// Sends a message on stream 9 and checks that it arrives: the association lives.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        self.events();
        let tsn = self.next_tsn();
        self.send(&[data(WHOLE | UNORDERED, tsn, 9, 0, 51, b"alive")]);
        let messages = self.messages();
        assert_eq!(self.sctp.state(), SctpState::Connected);
        let arrived = messages.iter().filter(|(_, m)| &m.payload[..] == b"alive").count();
        assert_eq!(arrived, 1, "the association lives: {messages:?}");
    }
}
