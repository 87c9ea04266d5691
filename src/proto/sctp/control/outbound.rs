//! What leaves: chunks that are lost, new chunks, probes and FORWARD-TSNs.

use std::time::Instant;

use super::super::counters::MessageTally;
use super::super::wire::{COMMON_HEADER, Header, Writer};
use super::congestion::SentPacket;
use super::recovery::Probed;
use super::scoreboard::ChunkProgress;
use super::{Control, lifetimes, packet, thin};

/// With more segments in flight, acknowledgements come often enough without being asked for.
const MAX_ASKED_SEGMENTS: usize = 10;

/// The DATA that the next packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextPacket {
    /// Lost chunks, from this position on.
    Again(usize),
    /// Chunks that have not been sent, from this position on.
    New(usize),
}

/// Why a chunk is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetransmitReason {
    Lost,
    Probe,
}

impl Control {
    /// Passes the packets that may leave now to `send`, and returns how many there were. `more`: messages wait in the
    /// queues. `not_before`: until then only probes and FORWARD-TSNs leave.
    pub(in super::super) fn transmit(
        &mut self,
        now: Instant,
        header: Header,
        more: bool,
        not_before: Option<Instant>,
        send: &mut impl FnMut(&[u8]),
    ) -> u32 {
        self.paced_until = None;
        self.lifetimes.expire(now, &mut self.board);
        if self.is_empty() {
            return 0;
        }
        // First, so that the remaining chunks of a message that was given up get a TSN and are skipped with the others.
        self.refill(now);
        let mut writer = std::mem::take(&mut self.writer);
        self.transmit_with(now, header, more, not_before, &mut writer, send);
        self.writer = writer;
        std::mem::take(&mut self.left)
    }

    fn transmit_with(
        &mut self,
        now: Instant,
        header: Header,
        more: bool,
        not_before: Option<Instant>,
        writer: &mut Writer,
        send: &mut impl FnMut(&[u8]),
    ) {
        if let Some(packet) = self.forward.take(now, header, self.max_packet, &mut self.board) {
            send(&packet);
            self.on_left(now, 0, false);
        }
        if self.probe {
            self.send_probe(now, header, writer, send);
            self.probe = false;
        }
        loop {
            self.refill(now);
            let Some(next) = self.next() else { break };
            let rate = self.congestion.pacing_rate(&self.rtt);
            self.paced_until = not_before.or_else(|| self.pacer.wait(now, rate, &self.rtt));
            if self.paced_until.is_some() {
                self.limited.now = true;
                return;
            }
            match next {
                NextPacket::Again(position) => self.send_again(now, header, position, writer, send),
                NextPacket::New(position) => {
                    self.send_new(now, header, position, more, writer, send)
                }
            }
        }
        let totals = self.board.totals();
        if totals.waiting == 0 && totals.lost_chunks == 0 && !more && self.room() > 0 {
            self.rate.on_app_limited(totals.flying);
        }
    }

    /// Cuts chunks off the messages until they fill a packet.
    fn refill(&mut self, now: Instant) {
        while self.board.waiting_size() < self.segment {
            let given_up = self.lifetimes.has_given_up_current();
            let cut = if given_up {
                self.messages.cut_off()
            } else {
                while let Some(len) = self.messages.pop_late(now) {
                    self.lifetimes.expired.add(MessageTally::one(len));
                }
                self.messages.cut(self.segment)
            };
            let Some(cut) = cut else { return };
            self.lifetimes.on_cut(self.board.next_tsn(), &cut);
            let position = self.board.push(now, cut.chunk, cut.is_large);
            if given_up {
                lifetimes::abandon(&mut self.board, position);
            }
        }
    }

    /// What may leave next. A window of either side always lets one packet leave if nothing is in flight
    /// (RFC 9260 §6.1 A).
    fn next(&mut self) -> Option<NextPacket> {
        let flying = self.board.totals().flying;
        let room = self.congestion_room();
        if let Some(position) = self.board.first_lost() {
            let len = self.board.get(position).map_or(0, |entry| usize::from(entry.len));
            let must = flying == 0 || self.recovery.as_ref().is_some_and(|it| it.must_resend);
            return (must || len <= room).then_some(NextPacket::Again(position));
        }
        let position = self.board.first_waiting()?;
        let len = self.board.get(position).map_or(0, |entry| usize::from(entry.len));
        self.limited.now |= len > room;
        (flying == 0 || len <= self.room()).then_some(NextPacket::New(position))
    }

    fn send_new(
        &mut self,
        now: Instant,
        header: Header,
        begin: usize,
        more: bool,
        writer: &mut Writer,
        send: &mut impl FnMut(&[u8]),
    ) {
        let room = self.room();
        let (mut end, mut size, mut bytes) = (begin, COMMON_HEADER, 0);
        while let Some(entry) = self.board.get(end) {
            let (padded, len) = (entry.chunk.padded_len(), usize::from(entry.len));
            let fits = size + padded <= self.max_packet && bytes + len <= room;
            if entry.progress != ChunkProgress::Waiting || (end > begin && !fits) {
                break;
            }
            (end, size, bytes) = (end + 1, size + padded, bytes + len);
        }
        let copies = thin::copies(
            now,
            &self.board,
            &self.lifetimes,
            &self.rtt,
            begin,
            size,
            self.max_packet,
        );
        let next = self.board.get(end).map(|entry| usize::from(entry.len));
        let next = next.or_else(|| (more || !self.messages.is_empty()).then_some(self.segment));
        let asks = self.asks(now, bytes, room.saturating_sub(bytes), next);

        let older = copies.iter().rev().filter_map(|position| *position);
        packet::write(
            writer,
            header,
            self.max_packet,
            self.board.numbered(older.chain(begin..end)),
            asks,
        );
        send(writer.seal());

        let mut copied = 0;
        for position in copies.into_iter().flatten() {
            self.board.update(position, |entry| {
                entry.copies = entry.copies.saturating_add(1);
                copied += usize::from(entry.len);
            });
            let len = self.board.get(position).map_or(0, |entry| usize::from(entry.len));
            self.retransmitted.bundled.count(len);
        }
        let in_flight = self.board.totals().flying;
        for position in begin..end {
            self.mark_sent(now, position, std::mem::take(&mut copied));
        }
        self.board.advance_sent(end);
        self.on_sent(now, in_flight, asks);
    }

    fn send_again(
        &mut self,
        now: Instant,
        header: Header,
        begin: usize,
        writer: &mut Writer,
        send: &mut impl FnMut(&[u8]),
    ) {
        let room = self.congestion_room();
        let (mut size, mut bytes) = (COMMON_HEADER, 0);
        let mut positions = Vec::new();
        for position in begin..self.board.sent() {
            let Some(entry) = self.board.get(position) else { break };
            if entry.progress != ChunkProgress::Lost {
                continue;
            }
            let (padded, len) = (entry.chunk.padded_len(), usize::from(entry.len));
            let fits = size + padded <= self.max_packet && bytes + len <= room;
            if !fits && !positions.is_empty() {
                break;
            }
            positions.push(position);
            (size, bytes) = (size + padded, bytes + len);
        }
        self.resend(now, header, &positions, RetransmitReason::Lost, writer, send);
    }

    /// Sends a tail loss probe: new data, or the last chunk again (RFC 8985 §7.3).
    fn send_probe(
        &mut self,
        now: Instant,
        header: Header,
        writer: &mut Writer,
        send: &mut impl FnMut(&[u8]),
    ) {
        if let Some(position) = self.board.first_waiting()
            && let Some(entry) = self.board.get(position)
            && usize::from(entry.len) <= self.receiver_room()
        {
            return self.send_new(now, header, position, false, writer, send);
        }
        let candidate = self.board.sent_entries().rev().find(|(position, entry)| {
            let tsn = self.board.tsn(*position);
            matches!(entry.progress, ChunkProgress::Flying | ChunkProgress::Lost)
                && !entry.abandoned
                && self.lifetimes.allows(now, tsn, entry.transmissions())
        });
        if let Some((position, _)) = candidate {
            let (tsn, end) = (self.board.tsn(position), self.board.highest_sent());
            self.probed = Some(Probed { tsn, end });
            self.resend(now, header, &[position], RetransmitReason::Probe, writer, send);
        }
    }

    /// Sends the chunks at `positions` again, in one packet.
    fn resend(
        &mut self,
        now: Instant,
        header: Header,
        positions: &[usize],
        reason: RetransmitReason,
        writer: &mut Writer,
        send: &mut impl FnMut(&[u8]),
    ) {
        let asks = true;
        packet::write(
            writer,
            header,
            self.max_packet,
            self.board.numbered(positions.iter().copied()),
            asks,
        );
        send(writer.seal());
        let in_flight = self.board.totals().flying;
        for position in positions {
            let Some(entry) = self.board.get(*position) else { continue };
            let (len, by_timeout) = (usize::from(entry.len), entry.by_timeout);
            let tally = match reason {
                RetransmitReason::Probe => &mut self.retransmitted.probe,
                RetransmitReason::Lost if by_timeout => &mut self.retransmitted.timeout,
                RetransmitReason::Lost => &mut self.retransmitted.rack,
            };
            tally.count(len);
            if reason == RetransmitReason::Lost {
                self.undo.on_resent(self.board.tsn(*position));
            }
            self.mark_sent(now, *position, 0);
        }
        self.on_sent(now, in_flight, asks);
    }

    /// Notes that the chunk at `position` leaves, in a packet with `extra` bytes of older ones.
    fn mark_sent(&mut self, now: Instant, position: usize, extra: usize) {
        let state = self.rate.on_sent(now, self.board.totals().flying);
        self.board.update(position, |entry| {
            entry.progress = ChunkProgress::Flying;
            entry.sends = entry.sends.saturating_add(1);
            entry.extra = u16::try_from(extra).unwrap_or(u16::MAX);
            entry.sent_at = now;
            entry.state = state;
        });
        self.lifetimes.on_sent(self.board.tsn(position));
    }

    /// Notes that a packet with DATA has left. `in_flight`: the bytes in flight before it.
    fn on_sent(&mut self, now: Instant, in_flight: usize, asks: bool) {
        let bytes = self.board.totals().flying.saturating_sub(in_flight);
        self.congestion.on_sent(&SentPacket { now, in_flight });
        self.on_left(now, bytes, asks);
    }

    fn on_left(&mut self, now: Instant, bytes: usize, asks: bool) {
        self.left += 1;
        self.pacer.on_sent(bytes);
        if let Some(recovery) = &mut self.recovery {
            recovery.on_sent(bytes);
        }
        let outstanding = self.outstanding();
        self.timer.on_sent(now, &self.rtt, asks, outstanding);
    }

    /// Whether a packet of `bytes` asks for an immediate acknowledgement, because no other packet can leave until one
    /// comes. `room`: how much may leave after it; `next`: the size of the next chunk.
    fn asks(&self, now: Instant, bytes: usize, room: usize, next: Option<usize>) -> bool {
        let flying = self.board.totals().flying + bytes;
        let is_last = self.probe
            || next.is_none_or(|len| len > room && flying <= MAX_ASKED_SEGMENTS * self.segment);
        is_last && (self.probe || self.timer.may_ask(now, &self.rtt))
    }
}

#[cfg(test)]
mod tests {
    use super::super::SendLimit;
    use super::super::testing::{Bench, SEGMENT, ms, tsns};
    use super::Header;

    #[test]
    fn the_first_flight_is_the_initial_window() {
        let mut bench = Bench::new(ms(50));
        let sent = bench.write_and_send(40, SEGMENT);
        assert_eq!(tsns(&sent), (1..=10).collect::<Vec<_>>());
        assert!(bench.pass(ms(49)).is_empty(), "no more leaves before an acknowledgement");
    }

    #[test]
    fn the_window_of_the_peer_bounds_what_leaves() {
        for (window, count) in [(0, 1), (1, 1), (3 * SEGMENT - 1, 2), (3 * SEGMENT, 3)] {
            let mut bench = Bench::new(ms(50));
            bench.sack_with(0, window as u32, &[], &[]);
            // RFC 9260 §6.1 A: one packet may leave if nothing is in flight.
            assert_eq!(bench.write_and_send(8, SEGMENT).len(), count, "{window}");
        }
    }

    #[test]
    fn small_messages_share_packets() {
        let mut bench = Bench::new(ms(50));
        let sent = bench.write_and_send(60, 30);
        assert_eq!(tsns(&sent), (1..=60).collect::<Vec<_>>());
        // A chunk takes 48 bytes.
        assert_eq!(sent.iter().map(|it| it.tsns.len()).collect::<Vec<_>>(), [24, 24, 12]);
    }

    #[test]
    fn nothing_new_leaves_to_a_peer_that_has_used_its_share_until_there_is_some_again() {
        let mut bench = Bench::new(ms(50));
        (0..5).for_each(|_| bench.write(SEGMENT, None));
        let until = bench.now + ms(7);
        let transmit = |bench: &mut Bench, not_before| {
            let header = Header { source_port: 5000, destination_port: 5001, tag: 9 };
            bench.control.transmit(bench.now, header, false, not_before, &mut |_| {})
        };
        assert_eq!(transmit(&mut bench, Some(until)), 0);
        assert_eq!(bench.control.poll_timeout(), Some(until));
        bench.now = until;
        bench.control.handle_timeout(until);
        assert_eq!(transmit(&mut bench, None), 5);
    }

    #[test]
    fn what_was_lost_leaves_before_what_is_new() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(10, SEGMENT);
        bench.write_and_send(10, SEGMENT);
        bench.now += ms(50);
        let sent = tsns(&bench.sack(0, &[(3, 10)], &[]));
        assert_eq!(sent[..2], [1, 2], "{sent:?}");
        assert!(sent[2..].iter().all(|tsn| *tsn > 10));
    }

    #[test]
    fn the_last_packet_asks_for_an_acknowledgement_unless_the_path_is_short_and_one_just_did() {
        for (round_trip, asks) in [(ms(50), true), (ms(2), true), (ms(1), false)] {
            let mut bench = Bench::new(round_trip);
            assert!(bench.write_and_send(1, 100)[0].asks);
            bench.now += round_trip.min(ms(9));
            bench.sack(1, &[], &[]);
            let sent = bench.write_and_send(3, SEGMENT);
            let asking: Vec<_> = sent.iter().map(|packet| packet.asks).collect();
            assert_eq!(asking, [false, false, asks], "{round_trip:?}");
        }
    }

    #[test]
    fn a_message_whose_deadline_comes_before_its_turn_takes_no_tsn() {
        let mut bench = Bench::new(ms(50));
        bench.sack_with(0, SEGMENT as u32, &[], &[]);
        bench.write_and_send(2, SEGMENT);
        bench.write(100, Some(SendLimit::Deadline(bench.now + ms(20))));
        bench.write(100, None);
        bench.now += ms(50);
        bench.sack(1, &[], &[]);
        assert_eq!(bench.control.given_up().0.messages, 1);
        assert_eq!(bench.control.board.next_tsn(), 4, "two before it, one after it");
    }
}
