//! DATA chunks on their way to sctp-proto.

use super::super::ledger::Ledger;
use super::super::ppid;
use super::super::received::GapLimit;
use super::super::verdict::DropReason;
use super::super::wire::{Chunk, Data, Writer};
use super::chunk::Fate;
use crate::proto::message::{Ppid, StreamId};

/// Where DATA goes that nobody reads: sctp-proto would keep it on its own stream, which is closed,
/// until the peer resets that. No data channel has this id (RFC 8832 §6).
pub(in super::super) const DISCARD_STREAM: StreamId = u16::MAX;

/// What passes, and how; nothing that is too far ahead of what is missing.
pub(super) fn fate(
    ledger: &Ledger,
    reach: GapLimit,
    chunk: &Chunk<'_>,
) -> Result<Fate, DropReason> {
    let data = Data::parse(chunk).ok_or(DropReason::Malformed)?;
    let peer = ledger.peer.as_ref().ok_or(DropReason::Unexpected)?;
    if data.stream == DISCARD_STREAM {
        // No association has so many streams; and this one is local.
        return Err(DropReason::Malformed);
    }
    Ok(if peer.received.is_too_far(data.tsn, reach) {
        Fate::Strip
    } else if ledger.unread.contains(&data.stream) && !data.payload.is_empty() {
        Fate::Hollow
    } else if data.begins && !ppid::is_known(data.ppid) {
        Fate::Carry
    } else {
        Fate::Keep
    })
}

/// Counts a DATA chunk that is the peer's without doubt.
pub(super) fn admit(ledger: &mut Ledger, chunk: &Chunk<'_>) -> Result<(), &'static str> {
    let streams = ledger.streams();
    let (Some(data), Some(peer)) = (Data::parse(chunk), &mut ledger.peer) else { return Ok(()) };
    if data.payload.is_empty() {
        return Err("a DATA chunk without user data");
    }
    if streams.is_some_and(|(_, inbound)| data.stream >= inbound) && data.stream != DISCARD_STREAM {
        return Err("DATA on a stream beyond the negotiated number");
    }
    if peer.received.insert(data.tsn, data.payload.len()) {
        ledger.held.add(data.payload.len());
    }
    Ok(())
}

/// The same, with its PPID in front of the payload; see `ppid`.
pub(super) fn carry(writer: &mut Writer, chunk: &Chunk<'_>) {
    let Some((fields, payload)) = chunk.value.split_at_checked(12) else { return };
    let (head, real) = fields.split_at(8);
    let carrier = ppid::CARRIER.to_be_bytes();
    // An empty payload stays one: `admit` is to see it.
    let prefix = if payload.is_empty() { &[] } else { real };
    writer.chunk(chunk.kind, chunk.flags, &[head, &carrier, prefix, payload]);
}

/// A message of one byte to [`DISCARD_STREAM`], which waits for nothing.
pub(super) fn hollow(writer: &mut Writer, chunk: &Chunk<'_>) {
    const WHOLE_UNORDERED: u8 = 7;
    let tsn = chunk.value.get(..4).unwrap_or_default();
    let binary = Ppid::BINARY.0.to_be_bytes();
    writer.chunk(
        chunk.kind,
        WHOLE_UNORDERED,
        &[tsn, &DISCARD_STREAM.to_be_bytes(), &[0, 0], &binary, &[0]],
    );
}
