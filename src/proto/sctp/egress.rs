//! The last step of packets before they leave.
//!
//! sctp-proto ignores padding and a chunk header when it bundles, and does not bound its SACKs, so
//! a packet may be larger than the path takes: datagrams leave with Don't Fragment, and a larger
//! one would be lost on every retransmission. Such a packet is split or shortened here. PPIDs that
//! sctp-proto does not know return to their place (see `ppid`), and the ledger learns what is sent.

use super::ledger::Ledger;
use super::ppid::{self, PREFIX};
use super::wire::{COMMON_HEADER, Chunk, Data, Header, Writer, kind, parameter, u16_at, u32_at};

/// A chunk of this many bytes does not fit a packet and cannot be shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oversize(pub(super) usize);

/// The receive window, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// What sctp-proto may hold.
    pub(super) size: u32,
    /// The most that SACKs announce.
    pub(super) announced: u32,
}

/// Hands `packet` to `send`, as several packets if it is over `max` bytes.
pub(super) fn emit(
    ledger: &mut Ledger,
    window: Window,
    max: usize,
    packet: &[u8],
    mut send: impl FnMut(&[u8]),
) -> Result<(), Oversize> {
    let Some((header, chunks)) = Header::parse(packet) else { return Ok(()) };
    let mut rewritten = false;
    for chunk in chunks.flatten() {
        rewritten |= record(ledger, window, &chunk);
    }
    if packet.len() <= max && !rewritten {
        send(packet);
        return Ok(());
    }
    let mut writer = Writer::new(header, max);
    for chunk in chunks.flatten() {
        let room = max.saturating_sub(COMMON_HEADER);
        if chunk.padded_len() > room && chunk.kind != kind::SACK {
            return Err(Oversize(chunk.padded_len()));
        }
        if !writer.is_empty() && writer.len() + chunk.padded_len() > max {
            send(&std::mem::replace(&mut writer, Writer::new(header, max)).finish());
        }
        write(&mut writer, window, &chunk, room);
    }
    if !writer.is_empty() {
        send(&writer.finish());
    }
    Ok(())
}

/// Records an outgoing chunk in the ledger. Returns whether the chunk has to be rewritten: it carries a PPID in its
/// payload (see `ppid`), or announces too large a window.
fn record(ledger: &mut Ledger, window: Window, chunk: &Chunk<'_>) -> bool {
    match chunk.kind {
        kind::DATA => {
            let Some(data) = Data::parse(chunk) else { return false };
            if let Some(local) = &mut ledger.local {
                local.sent(&data);
            }
            return data.ppid == ppid::CARRIER;
        }
        kind::FORWARD_TSN => {
            if let (Some(local), Some(tsn)) = (&mut ledger.local, u32_at(chunk.value, 0)) {
                local.forwarded(tsn);
            }
        }
        kind::SACK => return record_sack(ledger, window, chunk),
        kind::RECONFIG => record_reset_requests(ledger, chunk),
        _ => {}
    }
    false
}

/// Corrects the ledger by an outgoing SACK, whose cumulative TSN shows which DATA sctp-proto has accepted,
/// and whose window shows how many bytes it holds. Returns whether that window is too large to announce.
fn record_sack(ledger: &mut Ledger, window: Window, chunk: &Chunk<'_>) -> bool {
    let (Some(cumulative), Some(credit)) = (u32_at(chunk.value, 0), u32_at(chunk.value, 4)) else {
        return false;
    };
    ledger.held.correct(window.size.saturating_sub(credit) as usize);
    if let Some(peer) = &mut ledger.peer {
        peer.received.correct(cumulative);
    }
    credit > window.announced
}

fn record_reset_requests(ledger: &mut Ledger, chunk: &Chunk<'_>) {
    for (kind, request) in chunk.parameters(0).flatten() {
        if kind == parameter::OUTGOING_RESET {
            for id in request.get(12..).unwrap_or_default().chunks_exact(2) {
                u16_at(id, 0).map(|id| ledger.waiting_resets.remove(&id));
            }
        }
    }
}

fn write(writer: &mut Writer, window: Window, chunk: &Chunk<'_>, room: usize) {
    match chunk.kind {
        kind::DATA => write_data(writer, chunk),
        kind::SACK => write_sack(writer, window, chunk, room),
        _ => writer.copy(chunk),
    }
}

fn write_data(writer: &mut Writer, chunk: &Chunk<'_>) {
    let (head, rest) = chunk.value.split_at(chunk.value.len().min(12 - PREFIX));
    match Data::parse(chunk) {
        // The fragment begins with its PPID, which replaces the carrier's.
        Some(data) if data.ppid == ppid::CARRIER && data.payload.len() > PREFIX => {
            writer.chunk(chunk.kind, chunk.flags, &[head, &rest[PREFIX..]]);
        }
        _ => writer.copy(chunk),
    }
}

/// Writes a SACK that announces the window in force. One that is too long keeps as many gap blocks as there is room
/// for, and no duplicates. RFC 9260 §6.2: the lowest TSNs come first; later SACKs report the others.
fn write_sack(writer: &mut Writer, window: Window, chunk: &Chunk<'_>, room: usize) {
    let cumulative = chunk.value.get(..4).unwrap_or_default();
    let credit = u32_at(chunk.value, 4).unwrap_or(0).min(window.announced).to_be_bytes();
    if chunk.padded_len() <= room {
        let rest = chunk.value.get(8..).unwrap_or_default();
        return writer.chunk(kind::SACK, chunk.flags, &[cumulative, &credit, rest]);
    }
    let blocks = usize::from(u16_at(chunk.value, 8).unwrap_or(0));
    let kept = blocks.min(room.saturating_sub(16) / 4);
    let gaps = chunk.value.get(12..12 + 4 * kept).unwrap_or_default();
    let count = u16::try_from(gaps.len() / 4).unwrap_or(0).to_be_bytes();
    writer.chunk(kind::SACK, chunk.flags, &[cumulative, &credit, &count, &[0, 0], gaps]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::wire::checksum_matches;

    const WINDOW: Window = Window { size: 1 << 20, announced: 100_000 };
    const HEADER: Header = Header { source_port: 5000, destination_port: 5000, tag: 9 };

    fn emitted(packet: &[u8], max: usize) -> Result<Vec<Vec<u8>>, Oversize> {
        let mut packets = Vec::new();
        emit(&mut Ledger::default(), WINDOW, max, packet, |packet| packets.push(packet.to_vec()))?;
        for packet in &packets {
            assert!(packet.len() <= max);
            assert!(checksum_matches(packet));
        }
        Ok(packets)
    }

    fn data(writer: &mut Writer, tsn: u32, ppid: u32, payload: &[u8]) {
        let (tsn, ppid) = (tsn.to_be_bytes(), ppid.to_be_bytes());
        writer.chunk(kind::DATA, 3, &[&tsn, &[0, 1, 0, 0], &ppid, payload]);
    }

    fn tsns(packet: &[u8]) -> Vec<u32> {
        let (_, chunks) = Header::parse(packet).expect("a header");
        chunks.flatten().filter_map(|chunk| Data::parse(&chunk)).map(|data| data.tsn).collect()
    }

    #[test]
    fn a_packet_that_fits_passes_untouched() {
        let mut writer = Writer::new(HEADER, 0);
        data(&mut writer, 1, 51, b"hello");
        let packet = writer.finish();
        assert_eq!(emitted(&packet, packet.len()), Ok(vec![packet.to_vec()]));
    }

    #[test]
    fn a_packet_that_does_not_fit_is_divided_between_chunks() {
        let mut writer = Writer::new(HEADER, 0);
        for tsn in 0..30 {
            data(&mut writer, tsn, 51, b"x");
        }
        let packet = writer.finish();
        let packets = emitted(&packet, 300).expect("chunks are small");
        assert!(packets.len() >= 2);
        let all: Vec<u32> = packets.iter().flat_map(|packet| tsns(packet)).collect();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_chunk_that_does_not_fit_is_an_error() {
        let mut writer = Writer::new(HEADER, 0);
        writer.chunk(kind::RECONFIG, 0, &[&[0; 400]]);
        assert_eq!(emitted(&writer.finish(), 300), Err(Oversize(404)));
    }

    #[test]
    fn a_long_sack_keeps_its_first_gap_blocks() {
        let mut value = vec![0, 0, 0, 7, 0, 1, 0, 0, 0, 200, 0, 1];
        for block in 0..200u16 {
            value.extend_from_slice(&(2 + 2 * block).to_be_bytes());
            value.extend_from_slice(&(2 + 2 * block).to_be_bytes());
        }
        value.extend_from_slice(&[0; 4]);
        let mut writer = Writer::new(HEADER, 0);
        writer.chunk(kind::SACK, 0, &[&value]);
        let packets = emitted(&writer.finish(), 300).expect("it is shortened");
        let [packet] = &packets[..] else { panic!("one packet") };
        let (_, mut chunks) = Header::parse(packet).expect("a header");
        let sack = chunks.next().expect("a chunk").expect("its length");
        assert_eq!(u16_at(sack.value, 8), Some(68));
        assert_eq!(sack.value.len(), 12 + 68 * 4);
        assert_eq!(sack.value[12..], value[12..12 + 68 * 4]);
    }

    #[test]
    fn a_sack_announces_no_larger_window_than_is_in_force() {
        for (held, announced) in [(50_000u32, 50_000u32), (500_000, 100_000)] {
            let mut writer = Writer::new(HEADER, 0);
            let gap = [0, 0, 0, 7, 0, 1, 0, 0, 0, 2, 0, 2];
            writer.chunk(kind::SACK, 0, &[&gap[..4], &held.to_be_bytes(), &gap[4..]]);
            let packets = emitted(&writer.finish(), 300).expect("it fits");
            let [packet] = &packets[..] else { panic!("one packet") };
            let (_, mut chunks) = Header::parse(packet).expect("a header");
            let sack = chunks.next().expect("a chunk").expect("its length");
            assert_eq!(u32_at(sack.value, 4), Some(announced));
            assert_eq!((&sack.value[..4], &sack.value[8..]), (&gap[..4], &gap[4..]));
        }
    }

    #[test]
    fn a_carried_ppid_returns_to_its_place() {
        let mut writer = Writer::new(HEADER, 0);
        data(&mut writer, 5, ppid::CARRIER, b"\x12\x34\x56\x78payload");
        let packets = emitted(&writer.finish(), 300).expect("it fits");
        let [packet] = &packets[..] else { panic!("one packet") };
        let (_, mut chunks) = Header::parse(packet).expect("a header");
        let chunk = chunks.next().expect("a chunk").expect("its length");
        let data = Data::parse(&chunk).expect("DATA");
        assert_eq!((data.tsn, data.ppid, data.payload), (5, 0x1234_5678, &b"payload"[..]));
    }
}
