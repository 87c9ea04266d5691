//! Rewrites a packet while its chunks are inspected. As long as all of them pass as they are,
//! nothing is copied; and a packet that is not the peer's is never copied.

use bytes::Bytes;

use super::super::counters::PacketDrop;
use super::super::wire::{COMMON_HEADER, Chunk, Padding, Writer, checksum_matches};

/// The packet that passes.
pub(super) struct Rewriter<'a> {
    packet: &'a [u8],
    tag_is_known: bool,
    /// How many bytes of `packet` pass as they are.
    kept: usize,
    /// The packet so far, once it differs.
    writer: Option<Writer>,
}

impl<'a> Rewriter<'a> {
    /// Begins with the header of `packet` and no chunk. `tag_is_known`: the header has a tag of the
    /// association.
    pub(super) fn new(packet: &'a [u8], tag_is_known: bool) -> Self {
        Self { packet, tag_is_known, kept: COMMON_HEADER, writer: None }
    }

    /// Passes a chunk as it is, with its padding made zero.
    pub(super) fn keep(&mut self, chunk: &Chunk<'_>) -> Result<(), PacketDrop> {
        match &mut self.writer {
            None if chunk.padding == Padding::Good => self.kept += chunk.padded_len(),
            _ => self.differ()?.copy(chunk),
        }
        Ok(())
    }

    /// From here on the packet differs: what is written here takes the place of the next chunk. The
    /// first call verifies the checksum, because the new packet gets a right one.
    pub(super) fn differ(&mut self) -> Result<&mut Writer, PacketDrop> {
        let packet = self.packet;
        if self.writer.is_none() && !(self.tag_is_known && checksum_matches(packet)) {
            return Err(PacketDrop::Foreign);
        }
        let kept = packet.get(..self.kept).unwrap_or_default();
        Ok(self.writer.get_or_insert_with(|| Writer::continuing(kept, packet.len() + 64)))
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

#[cfg(test)]
mod tests {
    use super::super::super::wire::{Header, kind};
    use super::*;

    #[test]
    fn a_packet_with_a_wrong_checksum_or_tag_is_not_copied() {
        let header = Header { source_port: 5000, destination_port: 5000, tag: 7 };
        let mut writer = Writer::new(header, 0);
        writer.chunk(kind::COOKIE_ACK, 0, &[]);
        let mut packet = writer.finish().to_vec();
        assert!(Rewriter::new(&packet, true).differ().is_ok());
        assert_eq!(Rewriter::new(&packet, false).differ().err(), Some(PacketDrop::Foreign));
        packet[8] ^= 1;
        assert_eq!(Rewriter::new(&packet, true).differ().err(), Some(PacketDrop::Foreign));
    }
}
