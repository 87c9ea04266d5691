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
