//! The last step of packets before they leave.
//!
//! sctp-proto ignores padding and a chunk header when it bundles, and does not bound its SACKs, so
//! a packet may be larger than the path takes: datagrams leave with Don't Fragment, and a larger
//! one would be lost on every retransmission. Such a packet is split or shortened here. PPIDs that
//! sctp-proto does not know return to their place (see `ppid`), the ledger learns what is sent, and DATA goes to
//! the control, which sends it.

use std::time::Instant;

use bytes::Bytes;

use super::control::Control;
use super::ledger::Ledger;
use super::ppid::{self, PREFIX};
use super::wire::{
    COMMON_HEADER, Chunk, Chunks, Data, Header, Sack, Writer, kind, parameter, u16_at,
};

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

/// What the last step needs to know.
#[derive(Debug)]
pub(super) struct Egress<'a> {
    pub(super) now: Instant,
    pub(super) ledger: &'a mut Ledger,
    pub(super) control: &'a mut Control,
    pub(super) window: Window,
    /// The largest packet in bytes.
    pub(super) max: usize,
}

impl Egress<'_> {
    /// Hands `packet` to `send`, as several packets if it is too large. DATA goes to the control.
    pub(super) fn emit(
        &mut self,
        packet: Bytes,
        mut send: impl FnMut(&[u8]),
    ) -> Result<(), Oversize> {
        let Some((header, chunks)) = Header::parse(&packet) else { return Ok(()) };
        let room = self.max.saturating_sub(COMMON_HEADER);
        let mut is_data = false;
        let mut is_due = true;
        let mut differs = packet.len() > self.max;
        for chunk in chunks.flatten() {
            if chunk.padded_len() > room && chunk.kind != kind::SACK {
                return Err(Oversize(chunk.padded_len()));
            }
            is_data |= chunk.kind == kind::DATA;
            match self.record(&chunk) {
                Fate::Send => {}
                Fate::Rewrite => differs = true,
                Fate::Wait => is_due = false,
            }
        }
        if is_data {
            // sctp-proto puts nothing else into a packet with DATA.
            let whole = if differs { rewrite(header, packet.len(), chunks) } else { packet };
            self.control.take(self.now, whole);
            return Ok(());
        }
        if !is_due {
            self.keep(&packet);
            return Ok(());
        }
        if !differs {
            send(&packet);
            return Ok(());
        }
        let mut writer = Writer::new(header, self.max);
        for chunk in chunks.flatten() {
            if !writer.is_empty() && writer.len() + chunk.padded_len() > self.max {
                send(&std::mem::replace(&mut writer, Writer::new(header, self.max)).finish());
            }
            match Sack::parse(chunk.value).filter(|_| chunk.kind == kind::SACK) {
                Some(sack) => self.write_sack(&mut writer, &packet, &chunk, &sack),
                None => writer.copy(&chunk),
            }
        }
        if !writer.is_empty() {
            send(&writer.finish());
        }
        Ok(())
    }

    /// Records an outgoing chunk in the ledger.
    fn record(&mut self, chunk: &Chunk<'_>) -> Fate {
        match chunk.kind {
            kind::DATA => {
                let is_carrier = Data::parse(chunk).is_some_and(|it| it.ppid == ppid::CARRIER);
                return if is_carrier { Fate::Rewrite } else { Fate::Send };
            }
            kind::SACK => return self.record_sack(chunk),
            kind::RECONFIG => return self.record_reset_requests(chunk),
            // sctp-proto repeats it until everything that was sent has arrived.
            kind::SHUTDOWN_ACK if !self.control.is_empty() => return Fate::Wait,
            _ => {}
        }
        Fate::Send
    }

    /// Corrects the ledger by an outgoing SACK, whose cumulative TSN shows which DATA sctp-proto has accepted,
    /// and whose window shows how many bytes it holds.
    fn record_sack(&mut self, chunk: &Chunk<'_>) -> Fate {
        self.ledger.withheld_sack = None;
        let Some(sack) = Sack::parse(chunk.value) else { return Fate::Send };
        self.ledger.held.correct(self.window.size.saturating_sub(sack.window) as usize);
        if let Some(peer) = &mut self.ledger.peer {
            peer.received.correct(sack.cumulative);
        }
        let reported = self.control.report_holes(self.now, &sack);
        let is_whole = reported == sack.gap_blocks()
            && self.ledger.duplicates.is_empty()
            && sack.window <= self.window.announced;
        if is_whole { Fate::Send } else { Fate::Rewrite }
    }

    /// A request to reset streams waits until the peer has acknowledged what was sent on them: usrsctp would
    /// give it to the next user of the stream (RFC 6525 §5.1.2).
    fn record_reset_requests(&mut self, chunk: &Chunk<'_>) -> Fate {
        let mut fate = Fate::Send;
        for (kind, request) in chunk.parameters(0).flatten() {
            if kind == parameter::OUTGOING_RESET {
                for id in request.get(12..).unwrap_or_default().chunks_exact(2) {
                    let Some(id) = u16_at(id, 0) else { continue };
                    self.ledger.waiting_resets.remove(&id);
                    if self.control.holds(id) {
                        fate = Fate::Wait;
                    }
                }
            }
        }
        fate
    }

    /// Keeps a packet for later. There is one reset request at a time (RFC 6525 §5.1.1).
    fn keep(&mut self, packet: &Bytes) {
        let first = Header::parse(packet).and_then(|(_, mut chunks)| chunks.next()?.ok());
        if first.is_some_and(|chunk| chunk.kind == kind::RECONFIG) {
            self.ledger.early_reset = Some(packet.clone());
        }
    }

    /// Writes a SACK that announces the window in force, with the gap blocks that are reported and for which there is room, and with duplicates. RFC
    /// 9260 §6.2: the lowest TSNs come first; later SACKs report the others.
    fn write_sack(
        &mut self,
        writer: &mut Writer,
        packet: &Bytes,
        chunk: &Chunk<'_>,
        sack: &Sack<'_>,
    ) {
        let reported = self.control.report_holes(self.now, sack);
        if reported < sack.gap_blocks() {
            self.ledger.withheld_sack = Some(packet.clone());
        }
        let room = self.max.saturating_sub(COMMON_HEADER + 16) / 4;
        let kept = reported.min(room);
        let duplicates = &mut self.ledger.duplicates;
        duplicates.truncate(room - kept);
        let tsns: Vec<u8> = duplicates.drain(..).flat_map(u32::to_be_bytes).collect();
        let count = |bytes: &[u8]| u16::try_from(bytes.len() / 4).unwrap_or(0).to_be_bytes();
        let cumulative = sack.cumulative.to_be_bytes();
        let window = sack.window.min(self.window.announced).to_be_bytes();
        let gaps = sack.gap_bytes(kept);
        writer.chunk(
            kind::SACK,
            chunk.flags,
            &[&cumulative, &window, &count(gaps), &count(&tsns), gaps, &tsns],
        );
    }
}

/// What becomes of an outgoing chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Send,
    Rewrite,
    Wait,
}

/// A packet of DATA chunks with their own PPIDs.
fn rewrite(header: Header, len: usize, chunks: Chunks<'_>) -> Bytes {
    let mut writer = Writer::new(header, len);
    chunks.flatten().for_each(|chunk| write_data(&mut writer, &chunk));
    writer.finish()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::config::CongestionControl;
    use super::super::testing::start;
    use super::super::wire::{checksum_matches, u32_at};
    use super::*;

    const WINDOW: Window = Window { size: 1 << 20, announced: 100_000 };
    const HEADER: Header = Header { source_port: 5000, destination_port: 5000, tag: 9 };

    /// What leaves, DATA included.
    fn emitted(packet: &Bytes, max: usize) -> Result<Vec<Vec<u8>>, Oversize> {
        let mut packets = Vec::new();
        let (mut now, mut ledger) = (start(), Ledger::default());
        let first = tsns(packet).first().copied().unwrap_or(0);
        let mut control = Control::new(CongestionControl::Cubic, max, max - 28, first, 1 << 20);
        // The sender has measured a short round trip, so packets do not change on their way out.
        control.on_round_trip(now, Duration::ZERO);
        // What is reported as missing is so for a while.
        for _ in 0..2 {
            packets.clear();
            let (ledger, control, window) = (&mut ledger, &mut control, WINDOW);
            Egress { now, ledger, control, window, max }
                .emit(packet.clone(), |packet| packets.push(packet.to_vec()))?;
            now += Duration::from_secs(1);
        }
        control.transmit(now, HEADER, false, &mut |packet| packets.push(packet.to_vec()));
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
