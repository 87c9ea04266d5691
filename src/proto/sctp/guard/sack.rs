//! SACK chunks (RFC 9260 §3.3.4) on their way to the control. sctp-proto sends no DATA, so it would treat them as an
//! error.

use super::super::counters::PacketDrop;
use super::super::ledger::Ledger;
use super::super::wire::{Chunk, Sack, before};
use super::verdict::ChunkVerdict;

/// A SACK is taken if its gap blocks are in order. One that acknowledges what was not sent is a `violation`, which ends
/// the association once the packet is verified ([`Guard::admit`]). So what is in flight bounds the work of walking the
/// blocks. No correct peer causes a violation, whatever is lost, reordered or repeated: an old SACK acknowledges less.
///
/// [`Guard::admit`]: super::Guard::admit
pub(super) fn verdict(
    ledger: &Ledger,
    chunk: &Chunk<'_>,
    violation: &mut Option<&'static str>,
) -> Result<ChunkVerdict, PacketDrop> {
    let sack = Sack::parse(chunk.value).ok_or(PacketDrop::Malformed)?;
    let Some(local) = &ledger.local else { return Ok(ChunkVerdict::Strip) };
    let Some(end) = last_gap_end(&sack) else { return Ok(ChunkVerdict::Strip) };
    let highest = sack.cumulative.wrapping_add(end.into());
    if before(local.highest_tsn, highest) {
        *violation = Some("a SACK of what was not sent");
    }
    Ok(ChunkVerdict::Consume)
}

/// The end of the last gap block, 0 without one. `None` if the blocks are not in order, or if the first begins
/// with the TSN that the cumulative one says is missing.
fn last_gap_end(sack: &Sack<'_>) -> Option<u16> {
    let mut end = 1;
    for (first, last) in sack.gaps() {
        if first <= end || last < first {
            return None;
        }
        end = last;
    }
    Some(if end == 1 { 0 } else { end })
}
