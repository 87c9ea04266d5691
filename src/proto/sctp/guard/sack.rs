//! SACK chunks (RFC 9260 §3.3.4) on their way to sctp-proto.

use super::super::counters::PacketDrop;
use super::super::ledger::Ledger;
use super::super::wire::{Chunk, before, u16_at, u32_at};
use super::fate::Fate;

/// A SACK passes if it acknowledges only what was sent and its gap blocks are in order, so that
/// what is in flight bounds the work of walking them.
pub(super) fn fate(ledger: &Ledger, chunk: &Chunk<'_>) -> Result<Fate, PacketDrop> {
    let sack = Sack::parse(chunk.value).ok_or(PacketDrop::Malformed)?;
    let Some(local) = &ledger.local else { return Ok(Fate::Strip) };
    let Some(end) = sack.last_gap_end() else { return Ok(Fate::Strip) };
    let highest = sack.cumulative.wrapping_add(end.into());
    if before(local.highest_tsn, highest) {
        return Ok(Fate::Strip);
    }
    Ok(Fate::Trim(sack.len))
}

/// The fields of a SACK that the guard reads.
struct Sack<'a> {
    cumulative: u32,
    /// Gap blocks: two numbers each, the offsets of its first and last TSN.
    gaps: &'a [u8],
    /// The length in bytes that the announced numbers of gap blocks and duplicates need.
    len: usize,
}

impl<'a> Sack<'a> {
    /// `None` if the fields announce more than there is.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let cumulative = u32_at(value, 0)?;
        let blocks = usize::from(u16_at(value, 8)?);
        let duplicates = usize::from(u16_at(value, 10)?);
        let gaps = value.get(12..12 + 4 * blocks)?;
        let len = 12 + 4 * blocks + 4 * duplicates;
        (len <= value.len()).then_some(Self { cumulative, gaps, len })
    }

    /// The end of the last gap block, 0 without one. `None` if the blocks are not in order.
    fn last_gap_end(&self) -> Option<u16> {
        let mut end = 0;
        for block in self.gaps.chunks_exact(4) {
            let (first, last) = (u16_at(block, 0)?, u16_at(block, 2)?);
            if first <= end || last < first {
                return None;
            }
            end = last;
        }
        Some(end)
    }
}
