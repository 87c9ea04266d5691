//! Rewrites a packet while its chunks are inspected. As long as all of them pass as they are,
//! nothing is copied.

use bytes::Bytes;

use super::super::wire::{COMMON_HEADER, Chunk, Padding, Writer};

/// The packet that passes.
pub(super) struct Rewriter<'a> {
    packet: &'a [u8],
    /// How many bytes of `packet` pass as they are.
    kept: usize,
    /// The packet so far, once it differs.
    writer: Option<Writer>,
}

impl<'a> Rewriter<'a> {
    /// Begins with the header of `packet` and no chunk.
    pub(super) fn new(packet: &'a [u8]) -> Self {
        Self { packet, kept: COMMON_HEADER, writer: None }
    }

    /// Passes a chunk as it is, with its padding made zero.
    pub(super) fn keep(&mut self, chunk: &Chunk<'_>) {
        match &mut self.writer {
            None if chunk.padding == Padding::Good => self.kept += chunk.padded_len(),
            _ => self.differ().copy(chunk),
        }
    }

    /// From here on the packet differs: what is written here takes the place of the next chunk.
    pub(super) fn differ(&mut self) -> &mut Writer {
        let (packet, kept) = (self.packet, self.kept);
        self.writer.get_or_insert_with(|| {
            Writer::continuing(packet.get(..kept).unwrap_or_default(), packet.len() + 64)
        })
    }

    /// Whether the packet differs from the one that came.
    pub(super) fn differs(&self) -> bool {
        self.writer.is_some()
    }

    /// The new packet. `None` if no chunk is left.
    pub(super) fn finish(self) -> Option<Bytes> {
        self.writer.filter(|writer| !writer.is_empty()).map(Writer::finish)
    }
}
