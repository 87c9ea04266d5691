//! Rewrites a packet while its chunks are inspected. As long as all of them pass as they are,
//! nothing is copied; and a packet that is not the peer's is never copied.

use bytes::Bytes;

use super::super::counters::PacketDrop;
use super::super::ledger::Ledger;
use super::super::wire::{COMMON_HEADER, Chunk, Header, Padding, Writer, checksum_matches};

/// The packet that passes.
pub(super) struct Rewriter<'a> {
    packet: &'a [u8],
    ledger: &'a Ledger,
    /// How many bytes of `packet` pass as they are.
    kept: usize,
    /// Whether what was skipped comes before anything that is kept.
    skipped: bool,
    /// The packet so far, once it differs.
    writer: Option<Writer>,
}

impl<'a> Rewriter<'a> {
    /// Begins with the header of `packet` and no chunk.
    pub(super) fn new(packet: &'a [u8], ledger: &'a Ledger) -> Self {
        Self { packet, ledger, kept: COMMON_HEADER, skipped: false, writer: None }
    }

    /// Passes a chunk as it is, with its padding made zero.
    pub(super) fn keep(&mut self, chunk: &Chunk<'_>) -> Result<(), PacketDrop> {
        match &mut self.writer {
            None if chunk.padding == Padding::Good && !self.skipped => {
                self.kept += chunk.padded_len()
            }
            _ => self.differ()?.copy(chunk),
        }
        Ok(())
    }

    /// Leaves a chunk out. Nothing is copied if no other chunk passes.
    pub(super) fn skip(&mut self) -> Result<(), PacketDrop> {
        if self.kept > COMMON_HEADER {
            self.differ()?;
        }
        self.skipped = true;
        Ok(())
    }

    /// From here on the packet differs: what is written here takes the place of the next chunk. The
    /// first call verifies the tag and the checksum, because the new packet gets a right checksum.
    pub(super) fn differ(&mut self) -> Result<&mut Writer, PacketDrop> {
        let packet = self.packet;
        if self.writer.is_none() && !self.belongs() {
            return Err(PacketDrop::Foreign);
        }
        let kept = packet.get(..self.kept).unwrap_or_default();
        Ok(self.writer.get_or_insert_with(|| Writer::continuing(kept, packet.len() + 64)))
    }

    fn belongs(&self) -> bool {
        let header = Header::parse(self.packet);
        header.is_some_and(|(header, _)| self.ledger.knows_tag(header.tag))
            && checksum_matches(self.packet)
    }

    /// Whether the packet differs from the one that came.
    pub(super) fn differs(&self) -> bool {
        self.writer.is_some()
    }

    /// Whether no chunk has passed.
    pub(super) fn is_empty(&self) -> bool {
        self.kept == COMMON_HEADER && self.writer.as_ref().is_none_or(Writer::is_empty)
    }

    /// The new packet. `None` if no chunk is left.
    pub(super) fn finish(self) -> Option<Bytes> {
        self.writer.filter(|writer| !writer.is_empty()).map(Writer::finish_compact)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ledger::LocalSide;
    use super::super::super::wire::{Init, kind};
    use super::*;

    #[test]
    fn a_packet_with_a_wrong_checksum_or_tag_is_not_copied() {
        let header = Header { source_port: 5000, destination_port: 5000, tag: 7 };
        let mut writer = Writer::new(header, 0);
        writer.chunk(kind::COOKIE_ACK, 0, &[]);
        let mut packet = writer.finish().to_vec();
        let ledger = |tag| {
            let init = Init { tag, window: 1500, outbound: 1, inbound: 1, tsn: 1 };
            Ledger { local: Some(LocalSide::new(init, None, header)), ..Ledger::default() }
        };
        let (ours, other) = (ledger(7), ledger(8));
        assert!(Rewriter::new(&packet, &ours).differ().is_ok());
        assert_eq!(Rewriter::new(&packet, &other).differ().err(), Some(PacketDrop::Foreign));
        packet[8] ^= 1;
        assert_eq!(Rewriter::new(&packet, &ours).differ().err(), Some(PacketDrop::Foreign));
    }
}
