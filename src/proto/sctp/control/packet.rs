//! Packets of stored chunks.

use super::super::wire::{COMMON_HEADER, DATA_HEADER, Header, Writer, flag, kind};
use super::scoreboard::Entry;

/// The payload of a DATA chunk that fills a packet, so that padding adds nothing.
pub(super) const fn max_payload(max_packet: usize) -> usize {
    let room = max_packet.saturating_sub(COMMON_HEADER + DATA_HEADER) & !3;
    if room < 64 { 64 } else { room }
}

/// Writes a packet of at most `max` bytes: the chunks with their TSNs. `asks`: the last one has the I bit (RFC 7053).
pub(super) fn write<'a>(
    writer: &mut Writer,
    header: Header,
    max: usize,
    chunks: impl Iterator<Item = (u32, &'a Entry)>,
    asks: bool,
) {
    writer.restart(header, max);
    let mut chunks = chunks.peekable();
    while let Some((tsn, entry)) = chunks.next() {
        let chunk = &entry.chunk;
        let is_last = chunks.peek().is_none();
        let flags = if is_last && asks { chunk.flags | flag::IMMEDIATE } else { chunk.flags };
        let mut fields = [0; 12];
        fields[..4].copy_from_slice(&tsn.to_be_bytes());
        fields[4..6].copy_from_slice(&chunk.stream.to_be_bytes());
        fields[6..8].copy_from_slice(&chunk.sequence.to_be_bytes());
        fields[8..].copy_from_slice(&chunk.ppid.to_be_bytes());
        writer.chunk(kind::DATA, flags, &[&fields, &chunk.payload]);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::wire::{Data, checksum_matches};
    use super::super::scoreboard::{Scoreboard, StoredChunk};
    use super::*;

    #[test]
    fn chunks_have_their_fields_and_the_last_one_the_i_bit() {
        let header = Header { source_port: 5000, destination_port: 5001, tag: 9 };
        let mut board = Scoreboard::new(u32::MAX);
        for flags in [flag::BEGIN, flag::UNORDERED, flag::END] {
            let payload = Bytes::from(vec![flags; 1 + usize::from(flags)]);
            let chunk = StoredChunk { payload, ppid: 51, stream: 7, sequence: 4, flags };
            board.push(crate::proto::sctp::testing::start(), chunk, false);
        }
        for asks in [false, true] {
            let mut writer = Writer::default();
            write(&mut writer, header, 1195, board.numbered(0..3), asks);
            let packet = writer.seal().to_vec();
            assert!(checksum_matches(&packet));
            let (read, chunks) = Header::parse(&packet).expect("a header");
            assert_eq!(read, header);
            let chunks: Vec<_> = chunks.map(|chunk| chunk.expect("its length")).collect();
            let last = if asks { flag::IMMEDIATE } else { 0 };
            let flags = [flag::BEGIN, flag::UNORDERED, flag::END | last];
            assert_eq!(chunks.iter().map(|chunk| chunk.flags).collect::<Vec<_>>(), flags);
            for (chunk, tsn) in chunks.iter().zip([u32::MAX, 0, 1]) {
                let data = Data::parse(chunk).expect("DATA");
                let byte = chunk.flags & !flag::IMMEDIATE;
                assert_eq!((data.tsn, data.stream, data.ppid), (tsn, 7, 51));
                assert_eq!(chunk.value[6..8], [0, 4], "the stream sequence number");
                assert_eq!(data.payload, vec![byte; 1 + usize::from(byte)]);
            }
        }
    }

    #[test]
    fn the_largest_payload_fills_a_packet() {
        assert_eq!([1195, 1196, 1200].map(max_payload), [1164, 1168, 1172]);
        assert_eq!(max_payload(0), 64);
    }
}
