//! Which DATA chunks reach sctp-proto, and in which form.

use super::super::counters::PacketDrop;
use super::super::ledger::Ledger;
use super::super::ppid;
use super::super::received::GapLimit;
use super::super::wire::{Chunk, Data, Writer, before, kind};
use super::effects::InboundData;
use super::verdict::ChunkVerdict;
use crate::proto::message::{Ppid, StreamId};

/// The stream of the placeholders for DATA on closed streams. sctp-proto would keep that DATA until
/// the peer resets its stream, because no call reads it. No data channel has this id (RFC 8832 §6).
pub(in super::super) const DISCARD_STREAM: StreamId = u16::MAX;

/// The most duplicates that one SACK reports.
const MAX_DUPLICATES: usize = 64;

/// Decides about a DATA chunk. One too far beyond the first missing TSN is stripped.
pub(super) fn verdict(
    ledger: &Ledger,
    limit: GapLimit,
    data: &Data<'_>,
) -> Result<ChunkVerdict, PacketDrop> {
    let peer = ledger.peer.as_ref().ok_or(PacketDrop::Unexpected)?;
    if data.stream == DISCARD_STREAM {
        // At most 65,535 streams can be negotiated, so the peer has no stream with this id.
        return Err(PacketDrop::Malformed);
    }
    Ok(if peer.received.is_too_far(data.tsn, limit) {
        ChunkVerdict::Strip
    } else if ledger.unread.contains(&data.stream) && !data.payload.is_empty() {
        ChunkVerdict::Placeholder
    } else if data.begins && !ppid::is_known(data.ppid) {
        ChunkVerdict::PrefixPpid
    } else {
        ChunkVerdict::Keep
    })
}

/// Whether the chunk is DATA up to the TSN `last`, beyond those up to which all have arrived.
pub(super) fn is_missing(ledger: &Ledger, chunk: &Chunk<'_>, last: u32) -> bool {
    let tsn = Data::parse(chunk).filter(|_| chunk.kind == kind::DATA).map(|data| data.tsn);
    let (Some(tsn), Some(peer)) = (tsn, &ledger.peer) else { return false };
    before(peer.received.cumulative(), tsn) && !before(last, tsn)
}

/// What passes of a DATA chunk.
pub(super) fn passed(data: &Data<'_>, verdict: ChunkVerdict) -> Option<InboundData> {
    let (stream, len) = match (verdict, data.payload.len()) {
        (ChunkVerdict::Strip, _) => return None,
        (ChunkVerdict::Placeholder, _) => (DISCARD_STREAM, PLACEHOLDER.len()),
        (ChunkVerdict::PrefixPpid, len @ 1..) => (data.stream, ppid::PREFIX + len),
        (_, len) => (data.stream, len),
    };
    // A chunk has less than 64 KiB.
    Some(InboundData { tsn: data.tsn, stream, len: len as u32 })
}

/// Counts a DATA chunk of a verified packet. `window`: the receive window in bytes.
pub(super) fn admit(
    ledger: &mut Ledger,
    window: usize,
    data: InboundData,
) -> Result<(), &'static str> {
    let streams = ledger.streams();
    let Some(peer) = &mut ledger.peer else { return Ok(()) };
    if data.len == 0 {
        return Err("DATA chunk without user data");
    }
    ledger.discards |= data.stream == DISCARD_STREAM;
    let is_beyond = streams.is_some_and(|(_, inbound)| data.stream >= inbound);
    if is_beyond && data.stream != DISCARD_STREAM {
        return Err("DATA on a stream beyond the negotiated number");
    }
    if ledger.held.bytes() >= window {
        peer.received.doubt(data.tsn);
    }
    if peer.received.insert(data.tsn, data.len as usize) {
        ledger.held.add(data.len as usize);
    } else if ledger.duplicates.len() < MAX_DUPLICATES {
        ledger.duplicates.push(data.tsn);
    }
    Ok(())
}

/// Writes a DATA chunk with its PPID in front of the payload; see `ppid`.
pub(super) fn write_prefixed(writer: &mut Writer, chunk: &Chunk<'_>) {
    let Some((fields, payload)) = chunk.value.split_at_checked(12) else { return };
    let (head, real) = fields.split_at(8);
    let carrier = ppid::CARRIER.to_be_bytes();
    // An empty payload stays empty, so that `admit` rejects it.
    let prefix = if payload.is_empty() { &[] } else { real };
    writer.chunk(chunk.kind, chunk.flags, &[head, &carrier, prefix, payload]);
}

/// The payload of a placeholder; DATA must not be empty.
const PLACEHOLDER: [u8; 1] = [0];

/// Writes an unordered message of one byte to [`DISCARD_STREAM`].
pub(super) fn write_placeholder(writer: &mut Writer, chunk: &Chunk<'_>) {
    const WHOLE_UNORDERED: u8 = 7;
    let tsn = chunk.value.get(..4).unwrap_or_default();
    let (stream, ssn) = (DISCARD_STREAM.to_be_bytes(), [0, 0]);
    let binary = Ppid::BINARY.0.to_be_bytes();
    writer.chunk(chunk.kind, WHOLE_UNORDERED, &[tsn, &stream, &ssn, &binary, &PLACEHOLDER]);
}
