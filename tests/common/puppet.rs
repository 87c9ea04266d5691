//! A scripted SCTP peer, made of bytes: it completes the handshake like any other peer, and then sends the
//! chunks that a test gives to the puppet.

use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::message::{Message, StreamId};
use datasoup::proto::sctp::{Association, SctpConfig, SctpEvent, SctpState};

pub(crate) use super::packet::*;
use super::sim::start;

/// The defaults of a puppet: the verification tag of packets to the puppet, its first TSN, and the number of its first
/// RE-CONFIG request.
pub(crate) const OWN_TAG: u32 = 0x0102_0304;
pub(crate) const FIRST_TSN: u32 = 1000;

/// The state of the scripted peer.
#[derive(Debug, Clone)]
pub(crate) struct Puppet {
    /// The verification tag of packets to our association.
    pub(crate) tag: u32,
    /// The verification tag of packets to the puppet.
    pub(crate) own_tag: u32,
    /// The puppet's next TSN and the number of its next RE-CONFIG request.
    pub(crate) tsn: u32,
    pub(crate) request: u32,
    /// The first TSN of our association.
    pub(crate) initial_tsn: u32,
    pub(crate) cookie: Vec<u8>,
}

impl Puppet {
    pub(crate) fn new(own_tag: u32, first_tsn: u32) -> Self {
        Self {
            tag: 0,
            own_tag,
            tsn: first_tsn,
            request: first_tsn,
            initial_tsn: 0,
            cookie: Vec::new(),
        }
    }

    /// Learns tag, TSN and cookie from an INIT or INIT ACK of our association, if `packet` has one.
    pub(crate) fn learn(&mut self, packet: &[u8]) {
        chunks(packet).iter().for_each(|chunk| self.learn_chunk(chunk));
    }

    fn learn_chunk(&mut self, chunk: &Seen) {
        if let Some(greeting) = Greeting::read(chunk) {
            (self.tag, self.initial_tsn) = (greeting.tag, greeting.tsn);
            self.cookie = greeting.cookie;
        }
    }

    /// The puppet's INIT.
    pub(crate) fn init(&self, streams: (u16, u16), parameters: &[u8]) -> Bytes {
        packet(0, &[init(INIT, self.own_tag, streams, self.tsn, parameters)])
    }

    /// The puppet's INIT ACK. The puppet does not check that its cookie comes back.
    pub(crate) fn init_ack(&self, streams: (u16, u16)) -> Bytes {
        let parameters = [&extensions()[..], &[0, 0], &parameter(7, b"a cookie")].concat();
        self.packet(&[init(INIT_ACK, self.own_tag, streams, self.tsn, &parameters)])
    }

    pub(crate) fn cookie_echo(&self) -> Bytes {
        self.packet(&[chunk(COOKIE_ECHO, 0, &self.cookie)])
    }

    /// A packet to our association.
    pub(crate) fn packet(&self, chunks: &[Vec<u8>]) -> Bytes {
        packet(self.tag, chunks)
    }

    /// The next TSN of the puppet.
    pub(crate) fn next_tsn(&mut self) -> u32 {
        self.tsn = self.tsn.wrapping_add(1);
        self.tsn.wrapping_sub(1)
    }
}

/// Our association, with a puppet as its peer.
pub(crate) struct Stage {
    pub(crate) now: Instant,
    pub(crate) sctp: Association,
    pub(crate) puppet: Puppet,
    /// The size in bytes of the largest packet that our association has sent.
    pub(crate) largest: usize,
}

impl Stage {
    /// An association that has answered the puppet's INIT and waits for its COOKIE ECHO.
    pub(crate) fn halfway(config: SctpConfig, streams: (u16, u16), parameters: &[u8]) -> Self {
        let now = start();
        let mut sctp = Association::new(config);
        sctp.connect(now);
        let puppet = Puppet::new(OWN_TAG, FIRST_TSN);
        let mut stage = Self { now, sctp, puppet, largest: 0 };
        let sent = stage.inject(stage.puppet.init(streams, parameters));
        let [ack] = &sent[..] else { panic!("an INIT ACK, not {sent:?}") };
        assert_eq!(ack.kind, INIT_ACK);
        stage.puppet.learn_chunk(ack);
        stage
    }

    /// An established association.
    pub(crate) fn new(config: SctpConfig) -> Self {
        Self::with_streams(config, (u16::MAX, u16::MAX))
    }

    pub(crate) fn with_streams(config: SctpConfig, streams: (u16, u16)) -> Self {
        let mut stage = Self::halfway(config, streams, &extensions());
        let sent = stage.inject(stage.puppet.cookie_echo());
        assert_eq!(sent.iter().map(|chunk| chunk.kind).collect::<Vec<_>>(), [COOKIE_ACK]);
        assert_eq!(stage.sctp.state(), SctpState::Connected);
        while stage.sctp.poll_event().is_some() {}
        stage
    }

    /// Sends chunks in a valid packet. Returns the chunks that our association sends in return.
    pub(crate) fn send(&mut self, chunks: &[Vec<u8>]) -> Vec<Seen> {
        self.inject(self.puppet.packet(chunks))
    }

    pub(crate) fn inject(&mut self, packet: Bytes) -> Vec<Seen> {
        self.sctp.handle_packet(self.now, packet);
        self.drain()
    }

    pub(crate) fn drain(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let (largest, own_tag) = (&mut self.largest, self.puppet.own_tag);
        self.sctp.drain_transmits(self.now, |packet| {
            assert_eq!(packet[4..8], own_tag.to_be_bytes(), "the tag of a packet of ours");
            *largest = (*largest).max(packet.len());
            seen.extend(chunks(packet));
        });
        seen
    }

    /// Lets time pass, timers included. Returns the chunks that our association sends in that time.
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
        self.puppet.next_tsn()
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

    /// Sends a message on stream 9 and checks that the message arrives, which shows that the association lives.
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
