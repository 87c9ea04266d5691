//! RE-CONFIG chunks (RFC 6525) on their way to sctp-proto, which ends the association at some, and
//! never releases what others leave open.

use super::super::ledger::Ledger;
use super::super::wire::{
    CHUNK_HEADER, COMMON_HEADER, Chunk, Writer, kind, parameter, u16_at, u32_at,
};
use super::data::DISCARD_STREAM;
use super::effects::{ChunkEffect, InboundData, PendingEffects};
use super::verdict::ChunkVerdict;

/// The most streams that the peer may have reset while it has yet to answer our reset of the same
/// stream. Further requests have to wait: sctp-proto walks all such streams for every stream that a
/// packet names, 1 ns each, and a packet may name 600.
const MAX_UNFINISHED_RESETS: usize = 256;

/// A RE-CONFIG passes if sctp-proto understands its parameters (RFC 6525 §3.1: one, or a response
/// followed by a request or another response) and can act on it at once. It would keep a request
/// that refers to DATA yet to come, at a cost that grows with the square of that DATA; the peer
/// repeats the request anyway. Notes the effects of what passes.
pub(super) fn verdict(
    ledger: &Ledger,
    max_packet: usize,
    window: usize,
    chunk: &Chunk<'_>,
    effects: &mut PendingEffects,
) -> ChunkVerdict {
    let is_addition = added_streams(chunk).is_some();
    if is_addition || requests_reset(chunk) {
        // A peer has one request at a time under way (RFC 6525 §5.1).
        if effects.ahead_of_request.is_some() {
            return ChunkVerdict::Strip;
        }
    }
    if is_addition {
        // The addition is written as the reset of a stream that sctp-proto must not know.
        if ledger.discards || ahead(effects).any(|data| data.stream == DISCARD_STREAM) {
            return ChunkVerdict::Strip;
        }
        effects.ahead_of_request = Some(effects.chunks.len());
        note_added(ledger, effects, chunk);
        return ChunkVerdict::AddStreams;
    }
    let mut expected = 0;
    let mut previous = None;
    for item in chunk.parameters(0) {
        let Ok((kind, value)) = item else { return ChunkVerdict::Strip };
        let acceptable = match (kind, previous) {
            (parameter::RECONFIG_RESPONSE, None | Some(parameter::RECONFIG_RESPONSE)) => {
                value.len() == 8
            }
            (parameter::OUTGOING_RESET, None | Some(parameter::RECONFIG_RESPONSE)) => {
                // The answer resets the same streams, in one packet.
                let fits = COMMON_HEADER + 8 + value.len() <= max_packet;
                ledger.unfinished_resets < MAX_UNFINISHED_RESETS
                    && value.len() >= 12
                    && value.len().is_multiple_of(2)
                    && fits
                    && has_arrived(ledger, window, value, effects)
            }
            _ => false,
        };
        let second = previous.is_some();
        if !acceptable || (second && expected % 4 != 0) {
            return ChunkVerdict::Strip;
        }
        expected += 4 + value.len();
        if second {
            break;
        }
        previous = Some(kind);
    }
    if expected == 0 {
        return ChunkVerdict::Strip;
    }
    let passed = Chunk { value: chunk.value.get(..expected).unwrap_or(chunk.value), ..*chunk };
    if requests_reset(&passed) {
        effects.ahead_of_request = Some(effects.chunks.len());
        note(ledger, effects, &passed);
        return ChunkVerdict::Reset(passed.value.len());
    }
    ChunkVerdict::Trim(passed.value.len())
}

/// The DATA that the packet has had so far.
fn ahead(effects: &PendingEffects) -> impl Iterator<Item = &InboundData> {
    effects.chunks.iter().filter_map(|effect| match effect {
        ChunkEffect::Data(data) => Some(data),
        ChunkEffect::Forwarded(_) => None,
    })
}

/// Whether all DATA that an outgoing reset request refers to has arrived, counting what its packet
/// has had so far. A request for all streams requires that no message is incomplete, because the
/// streams with fragments to drop would not be known.
fn has_arrived(ledger: &Ledger, window: usize, request: &[u8], effects: &PendingEffects) -> bool {
    let (Some(last), Some(peer)) = (u32_at(request, 8), &ledger.peer) else { return false };
    let mut tsns: Vec<u32> = ahead(effects).map(|data| data.tsn).collect();
    if request.len() == 12 && (ledger.held.bytes() > 0 || !tsns.is_empty()) {
        return false;
    }
    let brought: usize = ahead(effects).map(|data| data.len as usize).sum();
    if !tsns.is_empty() && ledger.held.bytes() + brought >= window {
        // sctp-proto may drop them.
        return false;
    }
    tsns.sort_unstable();
    let forwarded = effects.chunks.iter().filter_map(|effect| match effect {
        ChunkEffect::Forwarded(tsn) => Some(*tsn),
        ChunkEffect::Data(_) => None,
    });
    peer.received.has_all(last, &tsns, forwarded)
}

/// Whether a RE-CONFIG asks to reset streams.
pub(in super::super) fn requests_reset(chunk: &Chunk<'_>) -> bool {
    let is_request = |(kind, _)| kind == parameter::OUTGOING_RESET;
    chunk.kind == kind::RECONFIG && chunk.parameters(0).flatten().any(is_request)
}

/// The last TSN that a request to reset streams names.
pub(super) fn last_named(chunk: &Chunk<'_>) -> Option<u32> {
    if chunk.kind != kind::RECONFIG {
        return None;
    }
    let mut parameters = chunk.parameters(0).flatten();
    u32_at(parameters.find(|(kind, _)| *kind == parameter::OUTGOING_RESET)?.1, 8)
}

/// Notes which streams a RE-CONFIG resets.
fn note(ledger: &Ledger, effects: &mut PendingEffects, passed: &Chunk<'_>) {
    let Some(peer) = &ledger.peer else { return };
    for (kind, request) in passed.parameters(0).flatten() {
        let next = peer.next_reset.wrapping_add(effects.reset_requests);
        if kind == parameter::OUTGOING_RESET && u32_at(request, 0) == Some(next) {
            effects.reset_requests += 1;
            let ids = request.get(12..).unwrap_or_default().chunks_exact(2);
            effects.streams.resets_all |= ids.len() == 0;
            effects.streams.reset.extend(ids.filter_map(|id| u16_at(id, 0)));
        }
    }
}

/// The sequence number of a request to add outgoing streams (RFC 6525 §4.5), and their number. sctp-proto knows
/// no such request, but it has to see its sequence number. usrsctp (Firefox) repeats the request until it fails
/// the association.
fn added_streams(chunk: &Chunk<'_>) -> Option<(u32, u16)> {
    let mut parameters = chunk.parameters(0);
    let (kind, value) = parameters.next()?.ok()?;
    let fits = kind == parameter::ADD_OUTGOING && value.len() == 8 && parameters.next().is_none();
    if fits { Some((u32_at(value, 0)?, u16_at(value, 4)?)) } else { None }
}

/// Notes how many streams a request adds, unless it is a repeated one.
fn note_added(ledger: &Ledger, effects: &mut PendingEffects, chunk: &Chunk<'_>) {
    let (Some(peer), Some((request, count))) = (&ledger.peer, added_streams(chunk)) else { return };
    if request == peer.next_reset.wrapping_add(effects.reset_requests) {
        effects.reset_requests += 1;
        effects.added_streams = effects.added_streams.saturating_add(count);
    }
}

/// Writes a request to add streams as one that resets [`DISCARD_STREAM`], which sctp-proto does not know: it
/// answers that the request is performed, and does nothing.
pub(super) fn write_added(writer: &mut Writer, ledger: &Ledger, chunk: &Chunk<'_>) {
    const LEN: u16 = 4 + 12 + 2;
    let (Some((request, _)), Some(peer)) = (added_streams(chunk), &ledger.peer) else { return };
    let [kind, len] = [parameter::OUTGOING_RESET, LEN].map(u16::to_be_bytes);
    // It answers no request of ours.
    let numbers = [request, 0, peer.received.certain()].map(u32::to_be_bytes);
    let stream = DISCARD_STREAM.to_be_bytes();
    writer.chunk(chunk.kind, 0, &[&kind, &len, numbers.as_flattened(), &stream]);
}

/// Writes the first `len` bytes of a request to reset streams with a TSN that sctp-proto certainly has, so that it acts
/// at once even if it has dropped what the peer refers to.
pub(super) fn write_reset(writer: &mut Writer, ledger: &Ledger, chunk: &Chunk<'_>, len: usize) {
    let mut value = chunk.value.get(..len).unwrap_or_default().to_vec();
    let certain = ledger.peer.as_ref().map(|peer| peer.received.certain().to_be_bytes());
    let mut at = CHUNK_HEADER;
    for (kind, request) in chunk.parameters(0).flatten() {
        if kind == parameter::OUTGOING_RESET
            && let (Some(field), Some(tsn)) = (value.get_mut(at + 8..at + 12), certain)
        {
            field.copy_from_slice(&tsn);
        }
        at += CHUNK_HEADER + request.len().next_multiple_of(4);
    }
    writer.chunk(chunk.kind, chunk.flags, &[&value]);
}
