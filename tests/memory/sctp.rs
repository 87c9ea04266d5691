//! The heap of one association whose client fills everything it can. The bounds are those of
//! docs/security.md; each follows from the constants that its test names.

use std::time::Duration;

use datasoup::proto::message::{Message, Ppid, Reliability, charge};
use datasoup::proto::sctp::{EndReason, SctpConfig, SctpEvent, SctpState};

use crate::heap::{allocated, live};
use crate::peers::config;
use crate::puppet::*;

const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;

/// The bound of a fragment's memory in sctp-proto: its part of the packet (or the whole packet, up to 1,500 bytes) and
/// sctp-proto's two records of the fragment.
const FRAGMENT: i64 = 2 * KIB;

/// DATA_CHANNEL_OPEN without label and protocol (RFC 8832 §5.1).
const OPEN: [u8; 12] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

struct Attack {
    stage: Stage,
    /// The heap before the association was made.
    before: i64,
    most: i64,
}

impl Attack {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: SctpConfig) -> Self {
        let before = live();
        Self { stage: Stage::new(config), before, most: 0 }
    }

    /// Sends chunks in a packet, at a pace that the budget allows. Returns false once the association has ended.
    fn send(&mut self, chunks: &[Vec<u8>]) -> bool {
        self.stage.now += Duration::from_millis(10);
        let packet = packet(self.stage.puppet.tag, chunks);
        self.stage.sctp.handle_packet(self.stage.now, packet);
        self.turn();
        self.stage.sctp.state() == SctpState::Connected
    }

    fn turn(&mut self) {
        self.stage.sctp.drain_transmits(self.stage.now, |_| {});
        while self.stage.sctp.poll_event().is_some() {}
        self.most = self.most.max(live() - self.before);
    }

    fn fragment(&mut self, flags: u8, stream: u16, len: usize) -> Vec<u8> {
        data(flags, self.stage.next_tsn(), stream, 0, 53, &vec![0; len])
    }

    #[track_caller]
    fn assert_at_most(&self, bound: i64) {
        println!("{} of {} KiB", self.most / KIB, bound / KIB);
        assert!(self.most <= bound, "the attack fills {} of {} KiB", self.most / KIB, bound / KIB);
        // A bound is close to what the attack achieves; one that is four times as high would show little.
        assert!(
            self.most >= bound / 4,
            "the attack fills only {} of {} KiB",
            self.most / KIB,
            bound / KIB
        );
    }
}

/// A chunk that makes a packet large and leaves nothing behind: a HEARTBEAT, which is answered if it is no larger
/// than our own packets.
fn ballast(len: usize) -> Vec<u8> {
    let info = len.min(1180) / 4 * 4 - 4;
    let mut value = [0, 1, (info >> 8) as u8, info as u8].to_vec();
    value.resize(info, 0);
    chunk(HEARTBEAT, 0, &value)
}

/// Sends `fragments` fragments of a message without an end, each in a packet of `packet` bytes, most of which
/// are a message that is delivered. The association ends beyond 4,096 of them (`MAX_CLIENT_HELD`).
fn fill_reassembly(attack: &mut Attack, packet: usize, fragments: usize) {
    for number in 0..fragments {
        let fragment = attack.fragment(if number == 0 { FIRST } else { MIDDLE }, 0, 1);
        let delivered = attack.fragment(WHOLE | UNORDERED, 1, packet - 12 - 20 - 16);
        if !attack.send(&[fragment, delivered]) {
            return;
        }
    }
}

/// Sends `messages` whole messages beyond a gap in the TSNs, each in a packet of `packet` bytes. The
/// association accepts 2,048 of them (`GapLimit::chunks`).
fn fill_beyond_a_gap(attack: &mut Attack, packet: usize, messages: usize) {
    let ballast = ballast(packet - 12 - 20);
    attack.stage.next_tsn();
    for _ in 0..messages {
        let message = attack.fragment(WHOLE | UNORDERED, 0, 1);
        assert!(attack.send(&[message, ballast.clone()]));
    }
}

/// Opens a channel on each of the first `streams` streams. The association ends beyond 8,192 of them
/// (`MAX_CLIENT_STREAMS`).
fn fill_streams(attack: &mut Attack, streams: u16) {
    for stream in 0..streams {
        let tsn = attack.stage.next_tsn();
        if !attack.send(&[data(WHOLE, tsn, stream, 0, 50, &OPEN)]) {
            return;
        }
    }
}

/// Sends messages of `len` bytes, none of which the peer acknowledges, until they fill `send_buffer_size` and what
/// the control takes.
fn fill_queues(attack: &mut Attack, len: usize) {
    attack.stage.sctp.open_stream(0, Reliability::RELIABLE);
    // The first turn moves at most 128 KiB (`flight::BOUNDS`) out of the full queue, which is filled a second
    // time.
    (0..2).for_each(|_| fill(attack, len));
}

#[test]
fn fragments_of_messages_in_packets_of_any_size() {
    let mut attack = Attack::new();
    fill_reassembly(&mut attack, 1500, 5000);
    assert_eq!(attack.stage.sctp.state(), SctpState::Closed);
    attack.assert_at_most(4096 * FRAGMENT);
    assert!(live() - attack.before < 64 * KIB, "the association must free everything");

    // A larger packet is split, so that a fragment does not keep the whole packet.
    let mut attack = Attack::new();
    fill_reassembly(&mut attack, 3000, 4000);
    attack.assert_at_most(3 * MIB / 2);
}

#[test]
fn large_fragments_up_to_the_window() {
    let mut attack = Attack::new();
    for number in 0..2000 {
        let flags = if number % 200 == 0 { FIRST } else { MIDDLE };
        let fragment = attack.fragment(flags, number / 200, 1100);
        if !attack.send(&[fragment]) {
            break;
        }
    }
    assert_eq!(attack.stage.sctp.state(), SctpState::Closed);
    attack.assert_at_most(2 * MIB);
}

#[test]
fn fragments_beside_messages_that_are_rejected() {
    // A message with an old sequence number, and one that the peer abandons: each shows in the window like a fragment
    // that has gone.
    let mut attack = Attack::new();
    let first = attack.fragment(WHOLE, 2, 1);
    attack.send(&[first]);
    for number in 0..6000 {
        let fragment = attack.fragment(if number == 0 { FIRST } else { MIDDLE }, 0, 1);
        let old = data(WHOLE, attack.stage.next_tsn(), 2, u16::MAX, 53, &[0; 1300]);
        if !attack.send(&[fragment, old]) {
            break;
        }
    }
    assert_eq!(attack.stage.sctp.end_reason(), Some(&EndReason::ReceiveBufferExhausted));
    attack.assert_at_most(4096 * FRAGMENT);

    let mut attack = Attack::new();
    for number in 0..6000 {
        let fragment = attack.fragment(if number == 0 { FIRST } else { MIDDLE }, 0, 1);
        let abandoned = attack.fragment(FIRST | UNORDERED, 1, 1300);
        let skipped = attack.stage.next_tsn();
        if !attack.send(&[fragment, abandoned, chunk(FORWARD_TSN, 0, &skipped.to_be_bytes())]) {
            break;
        }
    }
    assert_eq!(attack.stage.sctp.end_reason(), Some(&EndReason::ReceiveBufferExhausted));
    attack.assert_at_most(4096 * FRAGMENT);
}

#[test]
fn fragments_below_a_tsn_that_has_arrived() {
    // While the window is shut, sctp-proto takes what is missing below this one.
    let mut attack = Attack::new();
    let first = attack.stage.puppet.tsn;
    attack.stage.puppet.tsn = first.wrapping_add(8000);
    let highest = attack.fragment(FIRST | UNORDERED, 9, 1);
    attack.send(&[highest]);
    attack.stage.puppet.tsn = first;
    for number in 0..7000 {
        let flags = if number % 200 == 0 { FIRST } else { MIDDLE };
        let fragment = attack.fragment(flags, number / 200, 1100);
        if !attack.send(&[fragment]) {
            break;
        }
    }
    assert_eq!(attack.stage.sctp.end_reason(), Some(&EndReason::ReceiveBufferExhausted));
    attack.assert_at_most(4 * MIB);
}

#[test]
fn whole_messages_beyond_a_gap() {
    let mut attack = Attack::new();
    fill_beyond_a_gap(&mut attack, 1500, 2500);
    attack.assert_at_most(2048 * FRAGMENT);
}

#[test]
fn messages_on_a_stream_that_is_closed() {
    let mut attack = Attack::new();
    attack.stage.sctp.open_stream(1, Reliability::RELIABLE);
    attack.stage.sctp.reset_stream(1);
    attack.turn();
    let ballast = ballast(1500 - 12 - 1004);
    for _ in 0..20_000 {
        let message = attack.fragment(WHOLE, 1, 970);
        assert!(attack.send(&[message, ballast.clone()]));
    }
    // The bound is that of the association alone, which keeps nothing of the messages.
    attack.assert_at_most(16 * KIB);
}

#[test]
fn large_messages_beyond_a_gap() {
    let mut attack = Attack::new();
    attack.stage.next_tsn();
    for _ in 0..200 {
        let message = attack.fragment(WHOLE | UNORDERED, 0, 16_000);
        attack.send(&[message]);
    }
    // The bound follows from the receive window, `GapLimit::bytes`.
    attack.assert_at_most(3 * MIB / 2);
}

#[test]
fn streams_without_limit() {
    let mut attack = Attack::new();
    fill_streams(&mut attack, 10_000);
    assert_eq!(attack.stage.sctp.state(), SctpState::Closed);
    attack.assert_at_most(8192 * KIB);
}

#[test]
fn channels_opened_again_and_again() {
    let mut attack = Attack::new();
    for ssn in 0..4000 {
        let tsn = attack.stage.next_tsn();
        attack.send(&[data(WHOLE, tsn, 1, ssn, 50, &OPEN)]);
    }
    attack.assert_at_most(512 * KIB);
}

#[test]
fn resets_of_streams_by_the_hundred() {
    let mut attack = Attack::new();
    let last = attack.stage.puppet.initial_tsn.wrapping_sub(1);
    for _ in 0..2 {
        for first in (0..65_000).step_by(500) {
            let ids: Vec<u16> = (first..first + 500).collect();
            let tsn = attack.stage.puppet.tsn.wrapping_sub(1);
            attack.send(&[reset(attack.stage.puppet.request, last, tsn, &ids)]);
            attack.stage.puppet.request += 1;
        }
    }
    attack.assert_at_most(MIB);
}

#[test]
fn messages_that_the_peer_does_not_acknowledge() {
    // The charge of tiny messages, 64 bytes each and their payload, may reach twice `sctpSendBufferSize`, 4 MB. The
    // rest of the bound is for what a message takes beyond its charge.
    for (len, bound) in [(1, 6 * MIB), (100, 6 * MIB), (100_000, 3 * MIB)] {
        let mut attack = Attack::new();
        fill_queues(&mut attack, len);
        attack.assert_at_most(bound);
    }
}

/// An association with a peer 300 ms away that has acknowledged so much that the window is at its maximum.
fn far_away() -> Attack {
    let before = live();
    let round_trip = Duration::from_millis(300);
    let mut stage = Stage::halfway(config(), (u16::MAX, u16::MAX), &extensions());
    stage.now += round_trip;
    stage.inject(stage.puppet.cookie_echo());
    stage.sctp.open_stream(0, Reliability::RELIABLE);
    let message = Message::new(Ppid::BINARY, vec![0; 10_000].into());
    let mut sent = Vec::new();
    for round in 0.. {
        while round < 20 && stage.sctp.send(stage.now, 0, message.clone()).is_ok() {}
        sent.extend(stage.drain());
        sent.extend(stage.pass(round_trip));
        let data = sent.iter().filter(|chunk| chunk.kind == DATA).map(Seen::tsn);
        let from_first = |tsn: u32| tsn.wrapping_sub(stage.puppet.initial_tsn);
        let Some(highest) = data.max_by_key(|tsn| from_first(*tsn)) else { break };
        sent = stage.send(&[sack(highest, 1 << 20, &[])]);
    }
    Attack { stage, before, most: 0 }
}

/// Sends messages of `len` bytes until no more fit the queue.
fn fill(attack: &mut Attack, len: usize) {
    while attack.stage.sctp.send(attack.stage.now, 0, message(len)).is_ok() {}
    attack.turn();
}

fn message(len: usize) -> Message {
    Message::new(Ppid::BINARY, vec![0; len].into())
}

#[test]
fn messages_that_a_peer_far_away_does_not_acknowledge() {
    // As above, and what is in flight: up to 512 KiB (`flight::BOUNDS`) with 64 bytes per message, in 4,096 chunks.
    for (len, in_flight, bound) in
        [(1, 4000, 6 * MIB), (100, 300_000, 6 * MIB), (100_000, 400_000, 4 * MIB)]
    {
        let mut attack = far_away();
        for _ in 0..50 {
            fill(&mut attack, len);
            attack.stage.pass(Duration::from_millis(10));
        }
        let flying = attack.stage.sctp.transmission().expect("an association").bytes_in_flight;
        assert!(flying >= in_flight, "{flying} bytes are in flight");
        attack.assert_at_most(bound);
    }
}

#[test]
fn messages_acknowledged_beyond_a_gap_that_never_closes() {
    // The bound covers two flights of 512 KiB that are kept (`flight::admits`), one that was on its way when they were
    // reached, the state of their TSNs, and the queue after them.
    for (len, bound) in [(10, 8 * MIB), (1168, 7 * MIB / 2), (16_000, 7 * MIB / 2)] {
        let mut attack = far_away();
        let mut tsns: Option<(u32, u32)> = None;
        for _ in 0..40 {
            while attack.stage.sctp.send(attack.stage.now, 0, message(len)).is_ok() {}
            let mut sent = attack.stage.drain();
            sent.extend(attack.stage.pass(Duration::from_millis(300)));
            for tsn in sent.iter().filter(|chunk| chunk.kind == DATA).map(Seen::tsn) {
                let (first, highest) = tsns.get_or_insert((tsn, tsn));
                let distance = |tsn: u32| tsn.wrapping_sub(*first);
                *highest = if distance(tsn) > distance(*highest) { tsn } else { *highest };
            }
            drop(sent);
            let (first, highest) = tsns.expect("something was sent");
            let gap = (2, highest.wrapping_sub(first) as u16 + 1);
            let gaps = if highest == first { &[][..] } else { &[gap] };
            assert!(attack.send(&[sack(first.wrapping_sub(1), 1 << 20, gaps)]));
        }
        fill(&mut attack, len);
        let held = attack.stage.sctp.bytes_held() as i64;
        assert!(attack.most <= 2 * held, "{} bytes for {held} that are charged", attack.most);
        attack.assert_at_most(bound);
    }
}

#[test]
fn everything_at_once() {
    let mut attack = Attack::new();
    fill_streams(&mut attack, 8000);
    fill_reassembly(&mut attack, 1500, 2000);
    fill_beyond_a_gap(&mut attack, 1500, 2100);
    fill_queues(&mut attack, 1);
    assert_eq!(attack.stage.sctp.state(), SctpState::Connected);
    assert_eq!(attack.stage.sctp.counters().packets_overload, 0);
    attack.assert_at_most(28 * MIB);
}

#[test]
fn a_message_that_waits_in_a_queue_does_not_keep_the_packet_that_it_came_in() {
    for len in [1, 100, 600] {
        let mut attack = Attack::new();
        let ballast = ballast(1460 - len);
        let mut kept: Vec<Message> = Vec::new();
        let mut receive = |count: usize| {
            for _ in 0..count {
                let message = attack.fragment(WHOLE | UNORDERED, 0, len);
                let packet = packet(attack.stage.puppet.tag, &[message, ballast.clone()]);
                attack.stage.now += Duration::from_millis(10);
                attack.stage.sctp.handle_packet(attack.stage.now, packet);
                attack.stage.sctp.drain_transmits(attack.stage.now, |_| {});
                while let Some(event) = attack.stage.sctp.poll_event() {
                    if let SctpEvent::Message { message, .. } = event {
                        kept.push(message);
                    }
                }
            }
        };
        receive(10);
        let before = live();
        receive(1000);
        let held = live() - before;
        assert_eq!(kept.len(), 1010);
        let charged = 1000 * charge(len) as i64;
        assert!(held <= 3 * charged, "{held} bytes for {charged} that are charged, {len} each");
    }
}

#[test]
fn what_waits_for_the_association_is_not_copied_when_it_begins() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    // Other DataConsumers share the payload, so a copy would be in addition.
    let message = Message::new(Ppid::BINARY, vec![7; 262_144].into());
    for stream in 0..3 {
        stage.sctp.open_stream(stream, Reliability::RELIABLE);
        stage.sctp.send(stage.now, stream, message.clone()).expect("room");
    }
    let before = live();
    stage.inject(stage.puppet.cookie_echo());
    assert_eq!(stage.sctp.state(), SctpState::Connected);
    assert!(stage.sctp.queued_bytes() < 3 * 262_144, "some of it has left the queues");
    // The association itself, and what is in flight before the first acknowledgement.
    let more = live() - before;
    assert!(more < 128 * KIB, "{more} bytes more for 768 KiB that waited");
}

/// What it allocates to take `packets`, after a reset of a stream within a message.
fn work_behind_a_reset(chunks: usize, together: bool) -> i64 {
    let mut attack = Attack::new();
    let last = attack.stage.puppet.initial_tsn.wrapping_sub(1);
    let first = attack.fragment(FIRST, 1, 1);
    assert!(attack.send(&[first]));
    let named = attack.stage.puppet.tsn.wrapping_sub(1);
    let reset = reset(attack.stage.puppet.request, last, named, &[1]);
    let data: Vec<_> = (0..chunks).map(|_| attack.fragment(MIDDLE, 1, 1)).collect();
    let before = allocated();
    if together {
        attack.send(&[vec![reset], data].concat());
    } else {
        attack.send(&[reset]);
        attack.send(&data);
    }
    assert_eq!(attack.stage.sctp.counters().packets_overload, 0);
    allocated() - before
}

#[test]
fn data_behind_a_reset_in_its_packet_is_no_more_work_than_in_the_next() {
    for chunks in [50, 400] {
        let (together, apart) =
            (work_behind_a_reset(chunks, true), work_behind_a_reset(chunks, false));
        assert!(together < 2 * apart, "{together} bytes for {chunks} chunks, and {apart} if apart");
    }
}
