//! SCTP packets as bytes, written and read without the code under test.

use bytes::Bytes;

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

/// Flags of a DATA chunk: a whole message, and the first, a middle and the last fragment of one.
pub(crate) const WHOLE: u8 = 3;
pub(crate) const FIRST: u8 = 2;
pub(crate) const MIDDLE: u8 = 0;
pub(crate) const LAST: u8 = 1;
pub(crate) const UNORDERED: u8 = 4;

/// Writes a chunk, with its padding.
pub(crate) fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut chunk = vec![kind, flags];
    chunk.extend_from_slice(&(4 + value.len() as u16).to_be_bytes());
    chunk.extend_from_slice(value);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

/// Writes a parameter, without its padding.
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
    sack_with(cumulative, window, gaps, &[])
}

pub(crate) fn sack_with(
    cumulative: u32,
    window: u32,
    gaps: &[(u16, u16)],
    duplicates: &[u32],
) -> Vec<u8> {
    let mut value = cumulative.to_be_bytes().to_vec();
    value.extend_from_slice(&window.to_be_bytes());
    for count in [gaps.len(), duplicates.len()] {
        value.extend_from_slice(&(count as u16).to_be_bytes());
    }
    for (start, end) in gaps {
        value.extend_from_slice(&start.to_be_bytes());
        value.extend_from_slice(&end.to_be_bytes());
    }
    duplicates.iter().for_each(|tsn| value.extend_from_slice(&tsn.to_be_bytes()));
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

/// Writes the valid checksum into a packet.
pub(crate) fn seal(mut packet: Vec<u8>) -> Bytes {
    packet[8..12].fill(0);
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    // A packet takes no more memory than it has bytes.
    packet.into_boxed_slice().into()
}

/// The CRC32c of `bytes`, computed bit by bit so that it shares no code with the code under test.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
        }
        crc
    })
}

/// A chunk that the association under test has sent.
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

/// The chunks of a packet, whose checksum must be valid.
pub(crate) fn chunks(packet: &[u8]) -> Vec<Seen> {
    assert_eq!(seal(packet.to_vec()), packet, "the checksum of a packet of ours");
    let mut rest = &packet[12..];
    let mut chunks = Vec::new();
    while let [kind, flags, l0, l1, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        chunks.push(Seen { kind, flags, value: rest[4..length].to_vec() });
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
    }
    chunks
}

/// The Supported Extensions parameter, with RE-CONFIG and FORWARD TSN.
pub(crate) fn extensions() -> Vec<u8> {
    parameter(0x8008, &[130, 192])
}

/// What a peer needs of the INIT or INIT ACK that the association under test has sent.
pub(crate) struct Greeting {
    pub(crate) tag: u32,
    pub(crate) tsn: u32,
    /// The state cookie of an INIT ACK; empty for an INIT, which has none.
    pub(crate) cookie: Vec<u8>,
}

impl Greeting {
    pub(crate) fn read(chunk: &Seen) -> Option<Self> {
        if ![INIT, INIT_ACK].contains(&chunk.kind) {
            return None;
        }
        let tag = chunk.tsn();
        let tsn = u32::from_be_bytes(chunk.value[12..16].try_into().expect("four"));
        if chunk.kind == INIT {
            return Some(Self { tag, tsn, cookie: Vec::new() });
        }
        assert_eq!(chunk.value[16..18], [0, 7], "the cookie comes first");
        let length = usize::from(u16::from_be_bytes([chunk.value[18], chunk.value[19]]));
        Some(Self { tag, tsn, cookie: chunk.value[20..16 + length].to_vec() })
    }
}
