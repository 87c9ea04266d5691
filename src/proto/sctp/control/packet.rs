//! Packets of stored chunks.

use bytes::Bytes;

use super::super::wire::{COMMON_HEADER, Header, Writer, kind};
use super::scoreboard::StoredChunk;

/// The I bit of a DATA chunk: the peer should acknowledge it at once (RFC 7053).
const ASKS: u8 = 8;

/// Writes the chunks, which are verbatim but for the I bit of the last one.
pub(super) fn write<'a>(
    header: Header,
    chunks: impl Iterator<Item = &'a StoredChunk> + Clone,
    asks: bool,
) -> Bytes {
    let len: usize = chunks.clone().map(StoredChunk::padded_len).sum();
    let mut writer = Writer::new(header, COMMON_HEADER + len);
    let mut chunks = chunks.peekable();
    while let Some(chunk) = chunks.next() {
        let is_last = chunks.peek().is_none();
        let flags = if is_last && asks { chunk.flags() | ASKS } else { chunk.flags() };
        writer.chunk(kind::DATA, flags, &[chunk.value()]);
    }
    writer.finish()
}
