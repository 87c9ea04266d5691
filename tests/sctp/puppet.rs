//! A peer made of bytes: it shakes hands like any other, and then sends what a test tells it to.

use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::message::{Message, StreamId};
use datasoup::proto::sctp::{Sctp, SctpConfig, SctpEvent, SctpState};

use crate::link::start;

pub(crate) const DATA: u8 = 0;
pub(crate) const INIT: u8 = 1;
pub(crate) const INIT_ACK: u8 = 2;
pub(crate) const SACK: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 4;
pub(crate) const HEARTBEAT_ACK: u8 = 5;
pub(crate) const ABORT: u8 = 6;
pub(crate) const SHUTDOWN: u8 = 7;
pub(crate) const SHUTDOWN_ACK: u8 = 8;
pub(crate) const ERROR: u8 = 9;
pub(crate) const COOKIE_ECHO: u8 = 10;
pub(crate) const COOKIE_ACK: u8 = 11;
pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
pub(crate) const RECONFIG: u8 = 130;
pub(crate) const FORWARD_TSN: u8 = 192;

/// The flags of a DATA chunk that is a whole message, and of the pieces of one.
pub(crate) const WHOLE: u8 = 3;
pub(crate) const FIRST: u8 = 2;
pub(crate) const MIDDLE: u8 = 0;
pub(crate) const UNORDERED: u8 = 4;

/// A chunk, its padding included.
pub(crate) fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut chunk = vec![kind, flags];
    chunk.extend_from_slice(&(4 + value.len() as u16).to_be_bytes());
    chunk.extend_from_slice(value);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

/// A parameter, its padding not included.
pub(crate) fn parameter(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut parameter = kind.to_be_bytes().to_vec();
    parameter.extend_from_slice(&(4 + value.len() as u16).to_be_bytes());
    parameter.extend_from_slice(value);
    parameter
}

pub(crate) fn data(
    flags: u8,
    tsn: u32,
    stream: u16,
    ssn: u16,
    ppid: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut value = tsn.to_be_bytes().to_vec();
    value.extend_from_slice(&stream.to_be_bytes());
    value.extend_from_slice(&ssn.to_be_bytes());
    value.extend_from_slice(&ppid.to_be_bytes());
    value.extend_from_slice(payload);
    chunk(DATA, flags, &value)
}

pub(crate) fn sack(cumulative: u32, window: u32, gaps: &[(u16, u16)]) -> Vec<u8> {
    let mut value = cumulative.to_be_bytes().to_vec();
    value.extend_from_slice(&window.to_be_bytes());
    value.extend_from_slice(&(gaps.len() as u16).to_be_bytes());
    value.extend_from_slice(&[0, 0]);
    for (start, end) in gaps {
        value.extend_from_slice(&start.to_be_bytes());
        value.extend_from_slice(&end.to_be_bytes());
    }
    chunk(SACK, 0, &value)
}

pub(crate) fn init(
    kind: u8,
    tag: u32,
    streams: (u16, u16),
    tsn: u32,
    parameters: &[u8],
) -> Vec<u8> {
    let mut value = tag.to_be_bytes().to_vec();
    value.extend_from_slice(&(1u32 << 20).to_be_bytes());
    value.extend_from_slice(&streams.0.to_be_bytes());
    value.extend_from_slice(&streams.1.to_be_bytes());
    value.extend_from_slice(&tsn.to_be_bytes());
    value.extend_from_slice(parameters);
    chunk(kind, 0, &value)
}

/// A RE-CONFIG with an outgoing reset request.
pub(crate) fn reset(request: u32, response: u32, last_tsn: u32, streams: &[u16]) -> Vec<u8> {
    let mut value = request.to_be_bytes().to_vec();
    value.extend_from_slice(&response.to_be_bytes());
    value.extend_from_slice(&last_tsn.to_be_bytes());
    streams.iter().for_each(|stream| value.extend_from_slice(&stream.to_be_bytes()));
    chunk(RECONFIG, 0, &parameter(13, &value))
}

pub(crate) fn packet(tag: u32, chunks: &[Vec<u8>]) -> Bytes {
    let mut packet = vec![0x13, 0x88, 0x13, 0x88];
    packet.extend_from_slice(&tag.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    chunks.iter().for_each(|chunk| packet.extend_from_slice(chunk));
    seal(packet)
}

/// Puts the right checksum into a packet.
pub(crate) fn seal(mut packet: Vec<u8>) -> Bytes {
    packet[8..12].fill(0);
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet.into()
}

/// Bit by bit, so that it has nothing in common with what it checks.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
        }
        crc
    })
}

/// A chunk that ours has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) value: Vec<u8>,
}

impl Seen {
    pub(crate) fn tsn(&self) -> u32 {
        u32::from_be_bytes(*self.value.first_chunk().expect("four bytes"))
    }
}

/// The chunks of a packet, whose checksum has to be right.
pub(crate) fn chunks(packet: &[u8]) -> Vec<Seen> {
    assert_eq!(seal(packet.to_vec()), packet, "the checksum of what ours sends");
    let mut rest = &packet[12..];
    let mut chunks = Vec::new();
    while let [kind, flags, l0, l1, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        chunks.push(Seen { kind, flags, value: rest[4..length].to_vec() });
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
    }
    chunks
}

/// One of ours with a puppet for a peer.
pub(crate) struct Stage {
    pub(crate) now: Instant,
    pub(crate) sctp: Sctp,
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

/// Supported extensions: RE-CONFIG and FORWARD TSN.
pub(crate) fn extensions() -> Vec<u8> {
    parameter(0x8008, &[130, 192])
}

impl Stage {
    /// The handshake up to the INIT ACK.
    pub(crate) fn halfway(config: SctpConfig, streams: (u16, u16), parameters: &[u8]) -> Self {
        let now = start();
        let mut sctp = Sctp::new(config);
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
        stage.tag = ack.tsn();
        stage.initial_tsn = u32::from_be_bytes(ack.value[12..16].try_into().expect("four"));
        assert_eq!(ack.value[16..18], [0, 7], "the cookie comes first");
        let length = usize::from(u16::from_be_bytes([ack.value[18], ack.value[19]]));
        stage.cookie = ack.value[20..16 + length].to_vec();
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
