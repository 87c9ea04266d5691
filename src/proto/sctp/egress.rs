//! The last step of sctp-proto's packets before they leave. They carry no DATA: `control` sends that.
//!
//! sctp-proto does not bound its SACKs, so a packet may be larger than the path takes: datagrams leave with
//! Don't Fragment, and a larger one would be lost on every retransmission. Such a packet is split or
//! shortened here. What sctp-proto cannot know of DATA is filled in: the TSN that a reset names.

use std::time::Instant;

use bytes::Bytes;

use super::control::Control;
use super::ledger::Ledger;
use super::wire::{
    CHUNK_HEADER, COMMON_HEADER, Chunk, Header, Sack, Writer, before, kind, parameter, u16_at,
    u32_at,
};

/// A chunk of this many bytes does not fit a packet and cannot be shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oversize(pub(super) usize);

/// The receive window, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// The bytes that sctp-proto may hold.
    pub(super) size: u32,
    /// The most that SACKs announce.
    pub(super) announced: u32,
    /// How many bytes fill it beside those that sctp-proto holds.
    pub(super) beside: u32,
}

impl Window {
    /// What a SACK announces if sctp-proto has room for `left`.
    fn announce(self, left: u32) -> u32 {
        left.saturating_sub(self.beside).min(self.announced)
    }
}

/// A result of RFC 6525 §4.4. sctp-proto keeps such a request, and DATA behind it at a cost that grows with the square
/// of its number; the guard lets no such request through.
const IN_PROGRESS: u32 = 6;

/// When a hole closes, SACKs acknowledge this many TSNs each, and more if it would take more than so many SACKs.
const STEP: u32 = 8;
const MAX_STEPS: u32 = 16;

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
    /// Hands `packet` to `send`, as several packets if it is too large.
    pub(super) fn emit(
        &mut self,
        packet: Bytes,
        mut send: impl FnMut(&[u8]),
    ) -> Result<(), Oversize> {
        let Some((header, chunks)) = Header::parse(&packet) else { return Ok(()) };
        let room = self.max.saturating_sub(COMMON_HEADER);
        let shown = self.control.shown();
        let mut is_due = true;
        let mut differs = packet.len() > self.max;
        for chunk in chunks.flatten() {
            if chunk.padded_len() > room && chunk.kind != kind::SACK {
                return Err(Oversize(chunk.padded_len()));
            }
            match self.record(&packet, &chunk) {
                EgressAction::Send => {}
                EgressAction::Rewrite => differs = true,
                EgressAction::Wait => is_due = false,
            }
        }
        if !is_due {
            self.keep(&packet);
            return Ok(());
        }
        if let (Some(shown), Some((_, sack))) = (shown, sack_of(&packet)) {
            self.catch_up(header, shown, &sack, &mut send);
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
            match (chunk.kind, Sack::parse(chunk.value)) {
                (kind::SACK, Some(sack)) => self.write_sack(&mut writer, &sack),
                (kind::RECONFIG, _) => self.write_reset(&mut writer, &chunk),
                _ => writer.copy(&chunk),
            }
        }
        if !writer.is_empty() {
            send(&writer.finish());
        }
        Ok(())
    }

    /// Acknowledges step by step what arrived beyond holes that have closed, as if no SACKs had been withheld. A sender
    /// opens its window by at most a packet for each SACK (RFC 9260 §7.2.1) and sends only so many packets in answer
    /// to one (§6.1 D): usrsctp even shrinks its window to these.
    fn catch_up(&self, header: Header, shown: u32, sack: &Sack<'_>, send: &mut impl FnMut(&[u8])) {
        if !before(shown, sack.cumulative) {
            return;
        }
        let window = self.window.announce(sack.window);
        let step = STEP.max(sack.cumulative.wrapping_sub(shown) / MAX_STEPS);
        let mut tsn = shown.wrapping_add(step);
        while before(tsn, sack.cumulative) {
            let mut writer = Writer::new(header, self.max);
            writer.chunk(kind::SACK, 0, &[&tsn.to_be_bytes(), &window.to_be_bytes(), &[0; 4]]);
            send(&writer.finish());
            tsn = tsn.wrapping_add(step);
        }
    }

    /// Sends what was withheld of the last SACK: its holes are old enough to be reported. If the first one has closed
    /// by now, all have: sctp-proto reports those that remain at once, and that replaces this SACK. Then nothing is
    /// sent, as the next SACK will acknowledge what has arrived. The ledger knows this SACK already, and more than it
    /// says.
    pub(super) fn emit_withheld(&mut self, mut send: impl FnMut(&[u8])) {
        let Some(packet) = self.ledger.gap_sack.clone() else { return };
        let (Some((header, sack)), Some(peer)) = (sack_of(&packet), &self.ledger.peer) else {
            return;
        };
        if sack.cumulative != peer.received.cumulative() {
            return self.control.close_holes();
        }
        let mut writer = Writer::new(header, self.max);
        self.write_sack(&mut writer, &sack);
        send(&writer.finish());
    }

    /// Writes the last SACK again, with the window of now; sctp-proto has room for `left` bytes. It reports no more
    /// than the last one did: sctp-proto drops what arrives while the window is shut. `None` if there was none.
    pub(super) fn repeat_sack(&mut self, header: Header, left: u32) -> Option<Bytes> {
        let last = self.ledger.gap_sack.clone();
        let mut sack = match last.as_ref().and_then(sack_of) {
            Some((_, sack)) => sack,
            None => Sack::plain(self.ledger.peer.as_ref()?.acknowledged?),
        };
        sack.window = left;
        let mut writer = Writer::new(header, self.max);
        self.write_sack(&mut writer, &sack);
        Some(writer.finish())
    }

    /// Records an outgoing chunk in the ledger.
    fn record(&mut self, packet: &Bytes, chunk: &Chunk<'_>) -> EgressAction {
        match chunk.kind {
            kind::SACK => return self.record_sack(packet, chunk),
            kind::RECONFIG => return self.record_reset_requests(chunk),
            // The chunk waits until everything that was sent has arrived: sctp-proto repeats it.
            kind::SHUTDOWN_ACK if !self.control.is_empty() => return EgressAction::Wait,
            _ => {}
        }
        EgressAction::Send
    }

    /// Corrects the ledger by an outgoing SACK, whose cumulative TSN shows which DATA sctp-proto has accepted,
    /// and whose window shows how many bytes it holds.
    fn record_sack(&mut self, packet: &Bytes, chunk: &Chunk<'_>) -> EgressAction {
        let Some(sack) = Sack::parse(chunk.value) else { return EgressAction::Send };
        self.ledger.gap_sack = (sack.gap_blocks() > 0).then(|| packet.clone());
        // A window of 0 with a gap leaves open how much is held.
        if sack.window > 0 || sack.gap_blocks() == 0 {
            self.ledger.held.correct(self.window.size.saturating_sub(sack.window) as usize);
        }
        if let Some(peer) = &mut self.ledger.peer {
            peer.received.correct(sack.cumulative, sack.gaps());
            peer.acknowledged = Some(sack.cumulative);
            if let Some(tsn) = peer.skipped.take() {
                self.control.on_forward(tsn);
            }
        }
        let reported = self.control.report_holes(self.now, &sack);
        let is_whole = reported == sack.gap_blocks()
            && self.ledger.duplicates.is_empty()
            && sack.window == self.window.announce(sack.window);
        if is_whole { EgressAction::Send } else { EgressAction::Rewrite }
    }

    /// A request to reset streams waits until the peer has acknowledged what was sent on them: usrsctp would
    /// give it to the next user of the stream (RFC 6525 §5.1.2).
    fn record_reset_requests(&mut self, chunk: &Chunk<'_>) -> EgressAction {
        let requests = || {
            let parameters = chunk.parameters(0).flatten();
            parameters.filter(|(kind, _)| *kind == parameter::OUTGOING_RESET).map(|(_, it)| it)
        };
        let streams = || {
            let ids = requests().flat_map(|it| it.get(12..).unwrap_or_default().chunks_exact(2));
            ids.filter_map(|id| u16_at(id, 0))
        };
        debug_assert!(
            !chunk.parameters(0).flatten().any(|(kind, it)| {
                kind == parameter::RECONFIG_RESPONSE && u32_at(it, 4) == Some(IN_PROGRESS)
            }),
            "sctp-proto keeps a request"
        );
        let Some(request) = requests().next() else { return EgressAction::Send };
        streams().for_each(|id| {
            self.ledger.waiting_resets.remove(&id);
        });
        if streams().any(|id| self.control.holds(id)) {
            return EgressAction::Wait;
        }
        let sequence = u32_at(request, 0).unwrap_or(0);
        if self.ledger.last_reset.is_none_or(|(last, _)| last != sequence) {
            self.ledger.last_reset = Some((sequence, self.control.highest_sent()));
            streams().for_each(|id| self.control.restart(id));
        }
        EgressAction::Rewrite
    }

    /// Writes a request to reset streams with the last TSN that was sent before it.
    fn write_reset(&self, writer: &mut Writer, chunk: &Chunk<'_>) {
        let mut value = chunk.value.to_vec();
        let mut at = 0;
        for (kind, request) in chunk.parameters(0).flatten() {
            let tsn = self
                .ledger
                .last_reset
                .filter(|(sequence, _)| Some(*sequence) == u32_at(request, 0));
            if let Some((_, tsn)) = tsn.filter(|_| kind == parameter::OUTGOING_RESET)
                && let Some(field) = value.get_mut(at + CHUNK_HEADER + 8..at + CHUNK_HEADER + 12)
            {
                field.copy_from_slice(&tsn.to_be_bytes());
            }
            at += (CHUNK_HEADER + request.len()).next_multiple_of(4);
        }
        writer.chunk(chunk.kind, chunk.flags, &[&value]);
    }

    /// Keeps a packet for later. There is one reset request at a time (RFC 6525 §5.1.1).
    fn keep(&mut self, packet: &Bytes) {
        let first = Header::parse(packet).and_then(|(_, mut chunks)| chunks.next()?.ok());
        if first.is_some_and(|chunk| chunk.kind == kind::RECONFIG) {
            self.ledger.early_reset = Some(packet.clone());
        }
    }

    /// Writes a SACK that announces the window in force, with duplicates and as many of the reported gap blocks as
    /// there is room for. The lowest TSNs come first (RFC 9260 §6.2); later SACKs report the others.
    fn write_sack(&mut self, writer: &mut Writer, sack: &Sack<'_>) {
        let reported = self.control.report_holes(self.now, sack);
        let room = self.max.saturating_sub(COMMON_HEADER + 16) / 4;
        let kept = reported.min(room);
        let duplicates = &mut self.ledger.duplicates;
        duplicates.truncate(room - kept);
        let tsns: Vec<u8> = duplicates.drain(..).flat_map(u32::to_be_bytes).collect();
        let count = |bytes: &[u8]| u16::try_from(bytes.len() / 4).unwrap_or(0).to_be_bytes();
        let cumulative = sack.cumulative.to_be_bytes();
        let window = self.window.announce(sack.window).to_be_bytes();
        let gaps = sack.gap_bytes(kept);
        writer.chunk(
            kind::SACK,
            0,
            &[&cumulative, &window, &count(gaps), &count(&tsns), gaps, &tsns],
        );
    }
}

/// The SACK of a packet.
fn sack_of(packet: &Bytes) -> Option<(Header, Sack<'_>)> {
    let (header, chunks) = Header::parse(packet)?;
    let chunk = chunks.flatten().find(|chunk| chunk.kind == kind::SACK)?;
    Some((header, Sack::parse(chunk.value)?))
}

/// What happens to an outgoing chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EgressAction {
    Send,
    Rewrite,
    Wait,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::config::CongestionControl;
    use super::super::control::Outgoing;
    use super::super::testing::start;
    use super::super::wire::checksum_matches;
    use super::*;

    const WINDOW: Window = Window { size: 1 << 20, announced: 100_000, beside: 10_000 };
    const HEADER: Header = Header { source_port: 5000, destination_port: 5000, tag: 9 };

    /// What leaves.
    fn emitted(packet: &Bytes, max: usize) -> Result<Vec<Vec<u8>>, Oversize> {
        let mut packets = Vec::new();
        let (mut now, mut ledger) = (start(), Ledger::default());
        let mut control = Control::new(CongestionControl::Cubic, max, 1, 1 << 20);
        // The sender has measured a short round trip, so no gap blocks are withheld.
        control.on_round_trip(now, Duration::ZERO);
        // The holes are old enough to be reported.
        for _ in 0..2 {
            packets.clear();
            let (ledger, control, window) = (&mut ledger, &mut control, WINDOW);
            Egress { now, ledger, control, window, max }
                .emit(packet.clone(), |packet| packets.push(packet.to_vec()))?;
            now += Duration::from_secs(1);
        }
        for packet in &packets {
            assert!(packet.len() <= max);
            assert!(checksum_matches(packet));
        }
        Ok(packets)
    }

    #[test]
    fn a_packet_that_fits_passes_untouched() {
        let mut writer = Writer::new(HEADER, 0);
        writer.chunk(kind::COOKIE_ACK, 0, &[]);
        let packet = writer.finish();
        assert_eq!(emitted(&packet, packet.len()), Ok(vec![packet.to_vec()]));
    }

    #[test]
    fn a_packet_that_does_not_fit_is_divided_between_chunks() {
        let mut writer = Writer::new(HEADER, 0);
        for n in 0..30 {
            writer.chunk(kind::HEARTBEAT, 0, &[&[0, 1, 0, 17], &[n; 13]]);
        }
        let packets = emitted(&writer.finish(), 300).expect("chunks are small");
        assert!(packets.len() >= 2);
        let chunks = packets.iter().flat_map(|packet| {
            Header::parse(packet).expect("a header").1.flatten().map(|chunk| chunk.value[4])
        });
        assert!(chunks.eq(0..30));
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

    /// The TSNs that our SACKs acknowledge once the hole after `from` has closed, so that `count` TSNs are there.
    fn steps(from: u32, count: u16) -> Vec<u32> {
        let (mut now, mut ledger) = (start(), Ledger::default());
        let mut control = Control::new(CongestionControl::Cubic, 300, 1, 1 << 20);
        let mut tsns = Vec::new();
        for (cumulative, gap) in [(from, Some(count)), (from.wrapping_add(count.into()), None)] {
            let mut value = cumulative.to_be_bytes().to_vec();
            value.extend_from_slice(&[0, 9, 0, 0, 0, gap.is_some().into(), 0, 0]);
            if let Some(last) = gap {
                value.extend_from_slice(&[0, 2]);
                value.extend_from_slice(&last.to_be_bytes());
            }
            let mut writer = Writer::new(HEADER, 0);
            writer.chunk(kind::SACK, 0, &[&value]);
            let (ledger, control, window) = (&mut ledger, &mut control, WINDOW);
            let send = |packet: &[u8]| {
                let packet = Bytes::copy_from_slice(packet);
                let (_, sack) = sack_of(&packet).expect("a SACK");
                assert_eq!((sack.gap_blocks(), sack.window), (0, 100_000));
                tsns.push(sack.cumulative);
            };
            Egress { now, ledger, control, window, max: 300 }
                .emit(writer.finish(), send)
                .expect("it fits");
            now += Duration::from_millis(5);
        }
        tsns
    }

    #[test]
    fn what_a_young_hole_has_withheld_is_acknowledged_in_steps() {
        assert_eq!(steps(7, 8), [7, 15]);
        assert_eq!(steps(7, 31), [7, 15, 23, 31, 38]);
        assert_eq!(steps(u32::MAX - 9, 20), [u32::MAX - 9, u32::MAX - 1, 6, 10]);
        assert!(steps(7, 65_000).len() <= 2 + MAX_STEPS as usize);
    }

    #[test]
    fn a_sack_announces_no_larger_window_than_is_in_force() {
        for (left, announced) in [(9_000_u32, 0_u32), (50_000, 40_000), (500_000, 100_000)] {
            let mut writer = Writer::new(HEADER, 0);
            let gap = [0, 0, 0, 7, 0, 1, 0, 0, 0, 2, 0, 2];
            writer.chunk(kind::SACK, 0, &[&gap[..4], &left.to_be_bytes(), &gap[4..]]);
            let packets = emitted(&writer.finish(), 300).expect("it fits");
            let [packet] = &packets[..] else { panic!("one packet") };
            let (_, mut chunks) = Header::parse(packet).expect("a header");
            let sack = chunks.next().expect("a chunk").expect("its length");
            assert_eq!(u32_at(sack.value, 4), Some(announced));
            assert_eq!((&sack.value[..4], &sack.value[8..]), (&gap[..4], &gap[4..]));
        }
    }

    /// A request to reset stream 7, and the TSN that it names once it leaves.
    #[test]
    fn a_reset_names_the_last_tsn_that_was_sent_before_it_and_keeps_it() {
        let (now, mut ledger, mut packets) = (start(), Ledger::default(), Vec::new());
        let mut control = Control::new(CongestionControl::Cubic, 1200, 100, 1 << 20);
        let mut writer = Writer::new(HEADER, 0);
        let request = [[0, 0, 0, 9], [0, 0, 0, 1], [0, 0, 0, 99]].concat();
        writer.chunk(kind::RECONFIG, 0, &[&[0, 13, 0, 18], &request, &[0, 7]]);
        let packet = writer.finish();
        let mut emit = |control: &mut Control| {
            let ledger = &mut ledger;
            Egress { now, ledger, control, window: WINDOW, max: 1200 }
                .emit(packet.clone(), |packet| packets.push(u32_at(packet, 12 + 4 + 12)))
                .expect("it fits");
        };
        let message = |stream| Outgoing {
            stream,
            ppid: 51,
            payload: Bytes::from_static(b"x"),
            ordered: true,
            limit: None,
        };
        for stream in [1, 2] {
            control.write(message(stream));
        }
        control.transmit(now, HEADER, false, None, &mut |_| {});
        emit(&mut control);
        control.write(message(3));
        control.transmit(now, HEADER, false, None, &mut |_| {});
        emit(&mut control);
        assert_eq!(control.highest_sent(), 102);
        assert_eq!(packets, [Some(101); 2]);
    }
}
