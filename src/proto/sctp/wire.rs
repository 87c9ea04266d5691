//! SCTP packets as bytes (RFC 9260 §3): what the guard and the egress read, and what we write
//! instead of sctp-proto.

use bytes::{BufMut, Bytes, BytesMut};
use crc32c::{crc32c, crc32c_append};

pub(super) const COMMON_HEADER: usize = 12;
pub(super) const CHUNK_HEADER: usize = 4;
/// What a DATA chunk has before its payload.
pub(super) const DATA_HEADER: usize = 16;

/// Chunk types (RFC 9260 §3.2, RFC 3758 §3.2, RFC 6525 §3.1).
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const INIT: u8 = 1;
    pub(in super::super) const INIT_ACK: u8 = 2;
    pub(in super::super) const SACK: u8 = 3;
    pub(in super::super) const HEARTBEAT: u8 = 4;
    pub(in super::super) const HEARTBEAT_ACK: u8 = 5;
    pub(in super::super) const ABORT: u8 = 6;
    pub(in super::super) const SHUTDOWN: u8 = 7;
    pub(in super::super) const SHUTDOWN_ACK: u8 = 8;
    pub(in super::super) const ERROR: u8 = 9;
    pub(in super::super) const COOKIE_ECHO: u8 = 10;
    pub(in super::super) const COOKIE_ACK: u8 = 11;
    pub(in super::super) const SHUTDOWN_COMPLETE: u8 = 14;
    pub(in super::super) const RECONFIG: u8 = 130;
    pub(in super::super) const FORWARD_TSN: u8 = 192;
}

/// Parameter types (RFC 9260 §3.3.2, RFC 6525 §4, RFC 5061 §4.2.7, RFC 3758 §3.1).
/// Flags of DATA (RFC 9260 §3.3.1).
pub(super) mod flag {
    pub(in super::super) const END: u8 = 1;
    pub(in super::super) const BEGIN: u8 = 2;
    pub(in super::super) const UNORDERED: u8 = 4;
    /// The peer should acknowledge the chunk at once (RFC 7053).
    pub(in super::super) const IMMEDIATE: u8 = 8;
}

pub(super) mod parameter {
    pub(in super::super) const HEARTBEAT_INFO: u16 = 1;
    pub(in super::super) const STATE_COOKIE: u16 = 7;
    pub(in super::super) const OUTGOING_RESET: u16 = 13;
    pub(in super::super) const RECONFIG_RESPONSE: u16 = 16;
    pub(in super::super) const ADD_OUTGOING: u16 = 17;
    pub(in super::super) const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    pub(in super::super) const FORWARD_TSN_SUPPORTED: u16 = 0xC000;
}

/// Error causes (RFC 9260 §3.3.10).
pub(super) mod cause {
    /// The peer no longer accepts the cookie that it made.
    pub(in super::super) const STALE_COOKIE: u16 = 3;
    /// The peer has no memory for the association.
    pub(in super::super) const OUT_OF_RESOURCE: u16 = 4;
    /// Our side ends the association, and not because of an error.
    pub(in super::super) const USER_INITIATED: u16 = 12;
    /// The peer broke a rule or a bound.
    pub(in super::super) const PROTOCOL_VIOLATION: u16 = 13;
}

/// The common header (RFC 9260 §3.1) without the checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) tag: u32,
}

impl Header {
    /// Reads the header of `packet`, and returns it with the chunks after it.
    pub(super) fn parse(packet: &[u8]) -> Option<(Self, Chunks<'_>)> {
        let (header, chunks) = packet.split_first_chunk::<COMMON_HEADER>()?;
        let [s0, s1, d0, d1, t0, t1, t2, t3, ..] = *header;
        let header = Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            tag: u32::from_be_bytes([t0, t1, t2, t3]),
        };
        Some((header, Chunks { rest: chunks }))
    }
}

/// One chunk (RFC 9260 §3.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The bytes after the chunk header, without padding.
    pub(super) value: &'a [u8],
    /// Whether padding is there as the RFC demands it: complete, and zero.
    pub(super) padding: Padding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// The padding is complete and zero.
    Good,
    /// The padding is missing at the end of the packet, or is not zero. Receivers have to ignore it (RFC
    /// 9260 §3.2); sctp-proto drops the packet.
    Bad,
}

/// The chunks of a packet. Yields `Err` once where a length is wrong, then ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks<'a> {
    rest: &'a [u8],
}

/// A chunk's length is below 4 or reaches past the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LengthError;

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, LengthError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let chunk = self.take_chunk();
        if chunk.is_none() {
            self.rest = &[];
        }
        Some(chunk.ok_or(LengthError))
    }
}

impl<'a> Chunks<'a> {
    fn take_chunk(&mut self) -> Option<Chunk<'a>> {
        let (&[kind, flags, l0, l1], _) = self.rest.split_first_chunk::<CHUNK_HEADER>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = self.rest.get(CHUNK_HEADER..length)?;
        let padded = length.next_multiple_of(4);
        let present = self.rest.get(length..padded);
        let zero = present.is_some_and(|padding| padding.iter().all(|byte| *byte == 0));
        let padding = if zero { Padding::Good } else { Padding::Bad };
        self.rest = self.rest.get(padded..).unwrap_or_default();
        Some(Chunk { kind, flags, value, padding })
    }
}

impl<'a> Chunk<'a> {
    /// The length of the chunk, padding included.
    pub(super) fn padded_len(&self) -> usize {
        (CHUNK_HEADER + self.value.len()).next_multiple_of(4)
    }

    /// The parameters from `offset` of the value on (RFC 9260 §3.2.1).
    pub(super) fn parameters(&self, offset: usize) -> Parameters<'a> {
        Parameters { rest: self.value.get(offset..).unwrap_or_default() }
    }
}

/// The parameters of a chunk: type and value. Yields `Err` once where a length is wrong, then ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(u16, &'a [u8]), LengthError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((&[t0, t1, l0, l1], _)) = self.rest.split_first_chunk::<4>() else {
            self.rest = &[];
            return Some(Err(LengthError));
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(value) = self.rest.get(4..length) else {
            self.rest = &[];
            return Some(Err(LengthError));
        };
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok((u16::from_be_bytes([t0, t1]), value)))
    }
}

/// The DATA chunk's fields (RFC 9260 §3.3.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) tsn: u32,
    pub(super) stream: u16,
    pub(super) ppid: u32,
    pub(super) payload: &'a [u8],
    /// Whether the chunk starts a message.
    pub(super) begins: bool,
}

impl<'a> Data<'a> {
    pub(super) fn parse(chunk: &Chunk<'a>) -> Option<Self> {
        let (fields, payload) = chunk.value.split_first_chunk::<12>()?;
        let [t0, t1, t2, t3, s0, s1, _, _, p0, p1, p2, p3] = *fields;
        Some(Self {
            tsn: u32::from_be_bytes([t0, t1, t2, t3]),
            stream: u16::from_be_bytes([s0, s1]),
            ppid: u32::from_be_bytes([p0, p1, p2, p3]),
            payload,
            begins: chunk.flags & flag::BEGIN != 0,
        })
    }
}

/// The SACK chunk's fields (RFC 9260 §3.3.4).
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct Sack<'a> {
    pub(super) cumulative: u32,
    /// The receive window that is left, in bytes (a_rwnd).
    pub(super) window: u32,
    gaps: &'a [u8],
    duplicates: &'a [u8],
}

impl<'a> Sack<'a> {
    /// `None` if the fields announce more than there is.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let (&[c0, c1, c2, c3, w0, w1, w2, w3, g0, g1, d0, d1], rest) =
            value.split_first_chunk::<12>()?;
        let gaps = 4 * usize::from(u16::from_be_bytes([g0, g1]));
        let duplicates = 4 * usize::from(u16::from_be_bytes([d0, d1]));
        let (gaps, rest) = rest.split_at_checked(gaps)?;
        Some(Self {
            cumulative: u32::from_be_bytes([c0, c1, c2, c3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            gaps,
            duplicates: rest.get(..duplicates)?,
        })
    }

    /// A SACK with a window of 0 and nothing beyond the cumulative TSN.
    pub(super) fn plain(cumulative: u32) -> Self {
        Self { cumulative, window: 0, gaps: &[], duplicates: &[] }
    }

    /// The gap blocks: the offsets of the first and last TSN of each.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + Clone {
        let gaps = self.gaps.chunks_exact(4);
        gaps.filter_map(|block| Some((u16_at(block, 0)?, u16_at(block, 2)?)))
    }

    /// How many gap blocks there are.
    pub(super) fn gap_blocks(&self) -> usize {
        self.gaps.len() / 4
    }

    /// The first `count` gap blocks as bytes.
    pub(super) fn gap_bytes(&self, count: usize) -> &'a [u8] {
        self.gaps.get(..4 * count).unwrap_or(self.gaps)
    }

    /// Whether it reports TSNs that have arrived more than once.
    pub(super) fn has_duplicates(&self) -> bool {
        !self.duplicates.is_empty()
    }

    /// The TSNs that have arrived more than once.
    pub(super) fn duplicates(&self) -> impl Iterator<Item = u32> {
        self.duplicates.chunks_exact(4).filter_map(|tsn| u32_at(tsn, 0))
    }
}

/// The fixed part of INIT and INIT ACK (RFC 9260 §3.3.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Init {
    pub(super) tag: u32,
    pub(super) window: u32,
    pub(super) outbound: u16,
    pub(super) inbound: u16,
    pub(super) tsn: u32,
}

impl Init {
    pub(super) const LEN: usize = 16;

    pub(super) fn parse(chunk: &Chunk<'_>) -> Option<Self> {
        let (fields, _) = chunk.value.split_first_chunk::<16>()?;
        let [t0, t1, t2, t3, w0, w1, w2, w3, o0, o1, i0, i1, n0, n1, n2, n3] = *fields;
        Some(Self {
            tag: u32::from_be_bytes([t0, t1, t2, t3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            outbound: u16::from_be_bytes([o0, o1]),
            inbound: u16::from_be_bytes([i0, i1]),
            tsn: u32::from_be_bytes([n0, n1, n2, n3]),
        })
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let [tag, window, streams, tsn] = [
            self.tag,
            self.window,
            u32::from(self.outbound) << 16 | u32::from(self.inbound),
            self.tsn,
        ]
        .map(u32::to_be_bytes);
        for (field, value) in bytes.chunks_exact_mut(4).zip([tag, window, streams, tsn]) {
            field.copy_from_slice(&value);
        }
        bytes
    }
}

/// The four bytes of `value` at `offset` as a number.
pub(super) fn u32_at(value: &[u8], offset: usize) -> Option<u32> {
    value.get(offset..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The two bytes of `value` at `offset` as a number.
pub(super) fn u16_at(value: &[u8], offset: usize) -> Option<u16> {
    value.get(offset..)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Whether the checksum of `packet` is right.
pub(super) fn checksum_matches(packet: &[u8]) -> bool {
    packet.get(8..COMMON_HEADER).is_some_and(|sum| sum == checksum(packet).to_le_bytes())
}

/// The checksum of `packet` (RFC 9260 Appendix A), its field taken as zero.
fn checksum(packet: &[u8]) -> u32 {
    let sum = crc32c(packet.get(..8).unwrap_or_default());
    let sum = crc32c_append(sum, &[0; 4]);
    crc32c_append(sum, packet.get(COMMON_HEADER..).unwrap_or_default())
}

/// Whether a packet is what the guard has to pass: whole chunks of types that sctp-proto knows,
/// padded with zeros.
pub(super) fn is_canonical(packet: &[u8]) -> bool {
    use kind::*;
    const KNOWN: [u8; 10] = [
        DATA,
        SACK,
        HEARTBEAT,
        SHUTDOWN,
        SHUTDOWN_ACK,
        COOKIE_ECHO,
        COOKIE_ACK,
        SHUTDOWN_COMPLETE,
        RECONFIG,
        FORWARD_TSN,
    ];
    let good = |chunk: Chunk<'_>| chunk.padding == Padding::Good && KNOWN.contains(&chunk.kind);
    Header::parse(packet).is_some_and(|(_, mut chunks)| chunks.all(|chunk| chunk.is_ok_and(good)))
}

/// Writes a packet chunk by chunk.
#[derive(Debug, Default)]
pub(super) struct Writer {
    packet: BytesMut,
}

impl Writer {
    pub(super) fn new(header: Header, capacity: usize) -> Self {
        let mut writer = Self { packet: BytesMut::with_capacity(capacity.max(COMMON_HEADER)) };
        writer.put(header);
        writer
    }

    fn put(&mut self, header: Header) {
        self.packet.put_u16(header.source_port);
        self.packet.put_u16(header.destination_port);
        self.packet.put_u32(header.tag);
        self.packet.put_u32(0);
    }

    /// A writer that has the beginning of a packet, with its header.
    pub(super) fn continuing(beginning: &[u8], capacity: usize) -> Self {
        let mut packet = BytesMut::with_capacity(capacity.max(COMMON_HEADER));
        packet.extend_from_slice(beginning);
        Self { packet }
    }

    /// Begins a new packet in the same memory.
    pub(super) fn restart(&mut self, header: Header, capacity: usize) {
        self.packet.clear();
        self.packet.reserve(capacity);
        self.put(header);
    }

    /// Adds a chunk whose value is the concatenation of `parts`, and pads it.
    pub(super) fn chunk(&mut self, kind: u8, flags: u8, parts: &[&[u8]]) {
        let value: usize = parts.iter().map(|part| part.len()).sum();
        self.packet.put_u8(kind);
        self.packet.put_u8(flags);
        // The parts come from one chunk of a packet under 64 KiB, and what callers add is less than
        // the common header that is left out.
        self.packet.put_u16(u16::try_from(CHUNK_HEADER + value).unwrap_or(u16::MAX));
        for part in parts {
            self.packet.extend_from_slice(part);
        }
        let padded = self.packet.len().next_multiple_of(4);
        self.packet.resize(padded, 0);
    }

    /// Adds `chunk` as it is, its padding made zero.
    pub(super) fn copy(&mut self, chunk: &Chunk<'_>) {
        self.chunk(chunk.kind, chunk.flags, &[chunk.value]);
    }

    /// Whether no chunk has been added.
    pub(super) fn is_empty(&self) -> bool {
        self.packet.len() == COMMON_HEADER
    }

    /// The length so far.
    pub(super) fn len(&self) -> usize {
        self.packet.len()
    }

    /// Fills in the checksum.
    pub(super) fn finish(mut self) -> Bytes {
        self.seal();
        self.packet.freeze()
    }

    /// Like [`Self::finish`], for a packet that is kept: allocates little more than the packet needs.
    pub(super) fn finish_compact(mut self) -> Bytes {
        const TOLERATED: usize = 256;
        if self.packet.capacity() > self.packet.len() + TOLERATED {
            return Bytes::copy_from_slice(self.seal());
        }
        self.finish()
    }

    /// Fills in the checksum, and returns the packet.
    pub(super) fn seal(&mut self) -> &[u8] {
        let sum = checksum(&self.packet).to_le_bytes();
        if let Some(field) = self.packet.get_mut(8..COMMON_HEADER) {
            field.copy_from_slice(&sum);
        }
        &self.packet
    }
}

/// Copies chunks into packets of at most `max` bytes, or of one chunk if that is larger.
pub(super) fn divide<'a>(
    header: Header,
    chunks: impl Iterator<Item = Chunk<'a>>,
    max: usize,
) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut writer = Writer::new(header, 0);
    for chunk in chunks {
        if !writer.is_empty() && writer.len() + chunk.padded_len() > max {
            pieces.push(std::mem::replace(&mut writer, Writer::new(header, 0)).finish());
        }
        writer.copy(&chunk);
    }
    if !writer.is_empty() {
        pieces.push(writer.finish());
    }
    pieces
}

/// An ABORT (RFC 9260 §3.3.7).
pub(super) fn abort(header: Header, cause: u16) -> Bytes {
    let mut writer = Writer::new(header, COMMON_HEADER + 8);
    let [c0, c1] = cause.to_be_bytes();
    writer.chunk(kind::ABORT, 0, &[&[c0, c1, 0, 4]]);
    writer.finish()
}

/// A HEARTBEAT (RFC 9260 §3.3.5). It does not matter which HEARTBEAT a HEARTBEAT ACK answers, so the
/// information that comes back is always the same.
pub(super) fn heartbeat(header: Header) -> Bytes {
    const INFO: [u8; 4] = [0; 4];
    let mut writer = Writer::new(header, COMMON_HEADER + 12);
    let [k0, k1] = parameter::HEARTBEAT_INFO.to_be_bytes();
    writer.chunk(kind::HEARTBEAT, 0, &[&[k0, k1, 0, 4 + INFO.len() as u8], &INFO]);
    writer.finish()
}

/// Whether `a` comes before `b` in serial number arithmetic (RFC 1982).
pub(super) fn before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { source_port: 5000, destination_port: 5000, tag: 7 };

    #[test]
    fn a_written_packet_parses_to_its_chunks() {
        let mut writer = Writer::new(HEADER, 100);
        writer.chunk(kind::COOKIE_ACK, 0, &[]);
        writer.chunk(kind::SACK, 3, &[b"ab", b"c"]);
        let packet = writer.finish();
        assert!(checksum_matches(&packet));
        let (header, mut chunks) = Header::parse(&packet).expect("a header");
        assert_eq!(header, HEADER);
        assert_eq!(chunks.next().map(|c| c.map(|c| c.kind)), Some(Ok(kind::COOKIE_ACK)));
        let sack = chunks.next().expect("a chunk").expect("its length");
        assert_eq!((sack.kind, sack.flags, sack.value), (kind::SACK, 3, &b"abc"[..]));
        assert_eq!(sack.padding, Padding::Good);
        assert!(chunks.next().is_none());
    }

    #[test]
    fn a_flipped_bit_breaks_the_checksum() {
        let mut packet = abort(HEADER, cause::USER_INITIATED).to_vec();
        assert!(checksum_matches(&packet));
        packet[13] ^= 1;
        assert!(!checksum_matches(&packet));
        assert!(!checksum_matches(&packet[..9]));
    }

    #[test]
    fn a_wrong_length_ends_the_chunks_with_an_error() {
        for length in [0u16, 3, 9, u16::MAX] {
            let mut packet = Writer::new(HEADER, 0).finish().to_vec();
            packet.extend_from_slice(&[kind::DATA, 3]);
            packet.extend_from_slice(&length.to_be_bytes());
            packet.extend_from_slice(&[0; 4]);
            let (_, mut chunks) = Header::parse(&packet).expect("a header");
            assert!(matches!(chunks.next(), Some(Err(LengthError))), "length {length}");
            assert!(chunks.next().is_none());
        }
    }

    #[test]
    fn missing_and_nonzero_padding_is_bad() {
        let mut packet = Writer::new(HEADER, 0).finish().to_vec();
        packet.extend_from_slice(&[kind::ERROR, 0, 0, 5, b'x']);
        let (_, mut chunks) = Header::parse(&packet).expect("a header");
        let missing = chunks.next().expect("a chunk").expect("its length");
        assert_eq!(missing.padding, Padding::Bad);
        packet.extend_from_slice(&[0, 1, 0]);
        let (_, mut chunks) = Header::parse(&packet).expect("a header");
        let dirty = chunks.next().expect("a chunk").expect("its length");
        assert_eq!(dirty.padding, Padding::Bad);
    }

    #[test]
    fn serial_numbers_compare_across_the_wrap() {
        assert!(before(u32::MAX, 0));
        assert!(!before(0, u32::MAX));
        assert!(!before(5, 5));
    }
}
