//! A peer with false SACKs: it takes back acknowledgements, acknowledges what has not arrived or was not sent, repeats
//! itself, or never opens its window. What we send and hold because of that is bounded.

use std::collections::BTreeSet;
use std::time::Duration;

use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::sctp::{EndReason, SctpConfig, SctpState};

use crate::peers::{config, numbered, pair};
use crate::puppet::*;
use crate::sim::{Conditions, Random, Side};

const STEP: Duration = Duration::from_millis(10);

/// The most that may be in flight.
const MOST: usize = 512 * 1024;

/// What has arrived at the puppet, as distances from the TSN before the first.
#[derive(Debug, Default)]
struct Arrived {
    cumulative: u32,
    beyond: BTreeSet<u32>,
    /// What has arrived again since the last SACK.
    duplicates: Vec<u32>,
}

impl Arrived {
    fn take(&mut self, number: u32) {
        if number <= self.cumulative || !self.beyond.insert(number) {
            self.duplicates.push(number);
        }
        while self.beyond.remove(&(self.cumulative + 1)) {
            self.cumulative += 1;
        }
    }

    /// The SACK for what has arrived.
    fn sack(&mut self, stage: &Stage, window: u32) -> Vec<u8> {
        let mut gaps: Vec<(u16, u16)> = Vec::new();
        for number in &self.beyond {
            let offset = (number - self.cumulative) as u16;
            match gaps.last_mut() {
                Some((_, last)) if *last + 1 == offset => *last = offset,
                _ => gaps.push((offset, offset)),
            }
        }
        let duplicates = self.duplicates.drain(..).map(|number| before(stage).wrapping_add(number));
        let duplicates: Vec<u32> = duplicates.collect();
        sack_with(before(stage).wrapping_add(self.cumulative), window, &gaps, &duplicates)
    }
}

/// The TSN before our first.
fn before(stage: &Stage) -> u32 {
    stage.puppet.initial_tsn.wrapping_sub(1)
}

/// The distances of the DATA chunks among these, and the bytes of their payloads.
fn data_of(stage: &Stage, sent: &[Seen]) -> (Vec<u32>, usize) {
    let data = || sent.iter().filter(|chunk| chunk.kind == DATA);
    let bytes = data().map(|chunk| chunk.value.len() - 12).sum();
    (data().map(|chunk| chunk.tsn().wrapping_sub(before(stage))).collect(), bytes)
}

fn open() -> Stage {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    stage
}

/// Keeps messages of 1,000 bytes waiting.
fn refill(stage: &mut Stage) {
    while stage.sctp.queued_bytes() < 1_000_000 {
        let message = Message::new(Ppid::BINARY, vec![0; 1000].into());
        stage.sctp.send(stage.now, 1, message).expect("room");
    }
}

#[test]
fn what_a_peer_takes_back_is_sent_again() {
    const MESSAGES: u32 = 400;
    let mut stage = open();
    for number in 0..MESSAGES {
        stage.sctp.send(stage.now, 1, numbered(number, 1000)).expect("room");
    }
    let (mut arrived, mut random) = (Arrived::default(), Random(1));
    let mut chunks = 0;
    let mut sent = stage.drain();
    for step in 0..20_000 {
        let (numbers, _) = data_of(&stage, &sent);
        chunks += numbers.len();
        numbers.into_iter().filter(|_| !random.chance(0.1)).for_each(|it| arrived.take(it));
        if step % 7 == 6 {
            arrived.beyond.clear();
        }
        sent = stage.send(&[arrived.sack(&stage, 1 << 20)]);
        sent.extend(stage.pass(STEP));
    }
    assert_eq!(arrived.cumulative, MESSAGES);
    assert!(chunks < 5 * MESSAGES as usize, "{chunks} chunks for {MESSAGES} messages");
    assert_eq!(stage.sctp.bytes_held(), 0);
    stage.assert_alive();
}

#[test]
fn a_peer_that_takes_everything_back_again_and_again_is_sent_little() {
    let mut stage = open();
    let (mut highest, mut bytes) = (0, 0);
    for step in 0..6000 {
        refill(&mut stage);
        let all_but_one = (2, highest.clamp(2, u16::MAX.into()) as u16);
        let gaps: &[_] = if step % 2 == 0 && highest >= 2 { &[all_but_one] } else { &[] };
        let mut sent = stage.send(&[sack(before(&stage), 1 << 20, gaps)]);
        sent.extend(stage.pass(STEP));
        let (numbers, len) = data_of(&stage, &sent);
        highest = numbers.into_iter().fold(highest, u32::max);
        bytes += len;
    }
    assert!(highest < 4096 + 2048, "{highest} TSNs");
    assert!(bytes < 20_000_000, "{bytes} bytes in a minute");
    assert!(stage.sctp.bytes_held() < 2_100_000 + MOST);
}

#[test]
fn what_is_acknowledged_beyond_a_gap_that_never_closes_is_charged_and_bounded() {
    let mut stage = open();
    let mut highest = 0;
    let mut sent = stage.drain();
    for _ in 0..600 {
        refill(&mut stage);
        sent.extend(stage.pass(STEP));
        highest = data_of(&stage, &sent).0.into_iter().fold(highest, u32::max);
        let gaps: &[_] = if highest >= 2 { &[(2, highest as u16)] } else { &[] };
        sent = stage.send(&[sack(before(&stage), 1 << 20, gaps)]);
    }
    let queued = stage.sctp.queued_bytes();
    let inside = stage.sctp.bytes_held() - queued - 64 * (queued / 1000);
    assert!(inside >= 1064 * (highest as usize - 1), "{inside} bytes for {highest} messages");
    // At most two flights of 128 KiB, and what was in flight when that bound was reached.
    assert!(inside < 3 * 128 * 1024 + 16_384, "{inside} bytes");
    stage.assert_alive();
}

#[test]
fn acknowledging_at_once_whatever_is_sent_makes_a_flood_of_one_flight_per_sack() {
    let mut stage = open();
    refill(&mut stage);
    let mut sent = stage.drain();
    let (mut highest, mut most) = (0, 0);
    for _ in 0..300 {
        let (numbers, bytes) = data_of(&stage, &sent);
        most = most.max(bytes);
        highest = numbers.into_iter().fold(highest, u32::max);
        refill(&mut stage);
        sent = stage.send(&[sack(before(&stage).wrapping_add(highest), 1 << 30, &[])]);
        sent.extend(stage.pass(Duration::from_millis(1)));
    }
    assert!(most <= MOST, "{most} bytes after one SACK");
    assert!(stage.sctp.bytes_held() < 2_100_000 + MOST);
    stage.assert_alive();
}

#[test]
fn what_is_sent_comes_out_of_the_share_of_a_peer_that_acknowledges_at_once() {
    let mut stage = open();
    refill(&mut stage);
    let mut sent = stage.drain();
    let (mut highest, mut packets) = (0, 0);
    // The path seems to be long until the window is open. Then the share is used up but for 10 ms.
    for step in 0..2000 {
        highest = data_of(&stage, &sent).0.into_iter().fold(highest, u32::max);
        refill(&mut stage);
        if step == 10 {
            stage.sctp.charge(stage.now, 240_000_000);
        }
        let last = before(&stage).wrapping_add(highest);
        sent = stage.send(&[sack(last, 1 << 30, &[])]);
        let pause = if step < 10 { Duration::from_millis(200) } else { Duration::from_micros(20) };
        sent.extend(stage.pass(pause));
        if step >= 10 {
            packets += data_of(&stage, &sent).0.len();
        }
    }
    // 10 ms, and a quarter of the 40 ms that have passed: 1 us for each packet, and more for each SACK.
    assert!((5000..21_000).contains(&packets), "{packets} packets");
    stage.pass(Duration::from_secs(1));
    stage.assert_alive();
}

#[test]
fn a_router_is_not_charged_for_what_is_sent_to_it() {
    for (data_channels, count) in [(true, 0), (false, 9)] {
        let mut stage = Stage::new(SctpConfig { data_channels, ..config() });
        stage.sctp.open_stream(1, Reliability::RELIABLE);
        stage.sctp.charge(stage.now, 251_000_000);
        for number in 0..9 {
            stage.sctp.send(stage.now, 1, numbered(number, 1000)).expect("room");
        }
        let sent = stage.drain();
        assert_eq!(data_of(&stage, &sent).0.len(), count);
        let later = stage.pass(Duration::from_millis(6));
        assert_eq!(data_of(&stage, &later).0.len(), 9 - count);
    }
}

/// Four chunks are in flight.
fn with_four_chunks() -> Stage {
    let mut stage = open();
    for number in 0..4 {
        stage.sctp.send(stage.now, 1, numbered(number, 1000)).expect("room");
    }
    let sent = stage.drain();
    assert_eq!(data_of(&stage, &sent).0, [1, 2, 3, 4]);
    stage
}

#[test]
fn acknowledging_what_was_not_sent_ends_the_association() {
    let cumulative = [5, 6, 1000, 1 << 30, (1 << 31) - 1].map(|ahead| (ahead, &[][..]));
    let gaps = [&[(2, 5)][..], &[(2, 2), (4, 7)], &[(2, u16::MAX)]].map(|gaps| (0, gaps));
    for (ahead, gaps) in cumulative.into_iter().chain(gaps) {
        let mut stage = with_four_chunks();
        let last = before(&stage).wrapping_add(ahead);
        let sent = stage.send(&[sack(last, 1 << 20, gaps)]);
        assert!(sent.iter().any(|chunk| chunk.kind == ABORT), "{ahead} {gaps:?}: {sent:?}");
        let rule = "a SACK of what was not sent".to_owned();
        assert_eq!(stage.sctp.end_reason(), Some(&EndReason::Violation(rule)));
        assert_eq!(stage.sctp.bytes_held(), 0);
    }
    // Before anything is sent.
    let mut stage = open();
    stage.send(&[sack(before(&stage), 1 << 20, &[])]);
    stage.assert_alive();
    stage.send(&[sack(before(&stage).wrapping_add(1), 1 << 20, &[])]);
    assert_eq!(stage.sctp.state(), SctpState::Closed);
}

#[test]
fn gap_blocks_out_of_order_acknowledge_nothing() {
    let mut stage = with_four_chunks();
    let last = before(&stage);
    for gaps in [&[(3, 2)][..], &[(0, 3)], &[(2, 3), (3, 4)]] {
        stage.send(&[sack(last, 1 << 20, gaps)]);
    }
    assert_eq!(stage.sctp.counters().chunks_stripped, 3);
    assert!(stage.sctp.bytes_held() >= 4000, "nothing is acknowledged");
    let sent = stage.pass(Duration::from_secs(60));
    assert!(data_of(&stage, &sent).0.contains(&1), "unacknowledged chunks are sent again");
    stage.send(&[sack(last.wrapping_add(4), 1 << 20, &[])]);
    assert_eq!(stage.sctp.bytes_held(), 0);
    stage.assert_alive();
}

#[test]
fn what_is_old_changes_nothing_however_old_it_is() {
    let mut stage = with_four_chunks();
    let last = before(&stage).wrapping_add(2);
    stage.send(&[sack(last, 1 << 20, &[])]);
    let held = stage.sctp.bytes_held();
    for behind in [1, 2, 3, 1000, 1 << 30, (1 << 31) - 4] {
        stage.send(&[sack(last.wrapping_sub(behind), 0, &[(2, 2)])]);
        assert_eq!(stage.sctp.bytes_held(), held);
    }
    stage.send(&[sack(last.wrapping_add(2), 1 << 20, &[])]);
    assert_eq!(stage.sctp.bytes_held(), 0);
    stage.assert_alive();
}

/// The DATA chunks that leave, with their times, while the path loses and doubles some of them. With `repeats`, it
/// repeats SACKs as well, the latest and earlier ones.
fn transfer(repeats: bool) -> (Vec<(Duration, u32)>, Stage) {
    let mut stage = open();
    let begin = stage.now;
    for number in 0..300 {
        stage.sctp.send(stage.now, 1, numbered(number, 1000)).expect("room");
    }
    let (mut arrived, mut path, mut random) = (Arrived::default(), Random(2), Random(3));
    let mut log = Vec::new();
    let mut sacks: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut sent = stage.drain();
    for step in 0..1000 {
        let (numbers, _) = data_of(&stage, &sent);
        for number in numbers {
            log.push((stage.now - begin, number));
            let copies = if path.chance(0.2) { 0 } else { 1 + usize::from(path.chance(0.3)) };
            (0..copies).for_each(|_| arrived.take(number));
        }
        let latest = arrived.sack(&stage, (1 << 20) - step % 7 * 1000);
        sacks.push((arrived.cumulative, latest.clone()));
        sent = stage.send(std::slice::from_ref(&latest));
        for _ in 0..if repeats { 3 } else { 0 } {
            sent.extend(stage.send(std::slice::from_ref(&latest)));
            let older = sacks.partition_point(|(cumulative, _)| *cumulative < arrived.cumulative);
            if older > 0 {
                let (_, again) = &sacks[older - 1 - random.index(older.min(16))];
                sent.extend(stage.send(std::slice::from_ref(again)));
            }
        }
        sent.extend(stage.pass(STEP));
    }
    assert_eq!(arrived.cumulative, 300);
    (log, stage)
}

#[test]
fn sacks_that_come_again_change_nothing() {
    let spurious = |stage: &Stage| stage.sctp.retransmissions().1;
    let (once, other) = transfer(false);
    let (again, mut stage) = transfer(true);
    assert_eq!(once, again);
    assert!(spurious(&other) > 0);
    assert_eq!(spurious(&stage), spurious(&other));
    assert_eq!(stage.sctp.bytes_held(), 0);
    stage.assert_alive();
}

#[test]
fn a_flood_of_one_sack_sends_nothing() {
    let mut stage = open();
    refill(&mut stage);
    let mut sent = stage.drain();
    // The window has opened, and all but the first chunk of this flight have arrived.
    let mut highest = 0;
    for _ in 0..20 {
        highest = data_of(&stage, &sent).0.into_iter().fold(highest, u32::max);
        refill(&mut stage);
        sent = stage.send(&[sack(before(&stage).wrapping_add(highest), 1 << 20, &[])]);
        sent.extend(stage.pass(STEP));
    }
    let (numbers, _) = data_of(&stage, &sent);
    let gap = (2, numbers.len() as u16);
    let flood = sack(before(&stage).wrapping_add(highest), 1 << 20, &[gap]);
    let mut sent = Vec::new();
    for _ in 0..200_000 {
        sent.extend(stage.send(std::slice::from_ref(&flood)));
    }
    let (_, bytes) = data_of(&stage, &sent);
    assert!(bytes <= MOST, "{bytes} bytes for one SACK, 200,000 times");
    assert!(stage.sctp.counters().packets_overload > 1000);
    stage.pass(Duration::from_secs(1));
    stage.assert_alive();
}

#[test]
fn a_window_that_stays_small_is_never_exceeded() {
    for window in [0, 1, 1000, 5000, 50_000u32] {
        let mut stage = open();
        refill(&mut stage);
        // The handshake announced a larger window, which holds until the first SACK.
        let mut sent = stage.drain();
        let mut highest = 0;
        for _ in 0..1000 {
            highest = data_of(&stage, &sent).0.into_iter().fold(highest, u32::max);
            sent = stage.send(&[sack(before(&stage).wrapping_add(highest), window, &[])]);
            sent.extend(stage.pass(STEP));
            // Retransmissions, such as a probe, are already within the window.
            let numbers: BTreeSet<u32> = data_of(&stage, &sent).0.into_iter().collect();
            let bytes = 1000 * numbers.range(highest + 1..).count();
            // One chunk may leave in any case (RFC 9260 §6.1 A).
            assert!(
                bytes <= (window as usize).max(1000),
                "{bytes} bytes into a window of {window}"
            );
        }
        assert!(window == 0 || highest > 100, "{highest} chunks through a window of {window}");
        stage.pass(Duration::from_secs(1));
        stage.assert_alive();
    }
}

/// Checks that no chunk is sent twice over a network that delivers every packet twice, with this jitter in ms.
fn doubled(jitter: u64) {
    let jitter = Duration::from_millis(jitter);
    let conditions = Conditions { duplication: 1.0, jitter, ..Conditions::PERFECT };
    let mut net = pair(conditions, 1);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    for number in 0..500 {
        net.a.sctp.send(net.now, 1, numbered(number, 1000)).expect("room");
    }
    net.trace = Some(Vec::new());
    net.run_for(Duration::from_secs(20));
    assert_eq!(net.b.message_count(), 500);
    let trace = net.trace.take().expect("present");
    let sent = trace.iter().filter(|(_, side, _)| *side == Side::A);
    let chunks: Vec<Seen> = sent.flat_map(|(.., packet)| chunks(packet)).collect();
    let tsns: Vec<u32> = chunks.iter().filter(|chunk| chunk.kind == DATA).map(Seen::tsn).collect();
    let different: BTreeSet<&u32> = tsns.iter().collect();
    assert_eq!(tsns.len(), different.len());
}

#[test]
fn a_network_that_doubles_every_packet_causes_no_retransmission() {
    doubled(0);
}

#[test]
fn a_network_that_doubles_and_reorders_packets_causes_no_retransmission() {
    doubled(4);
}
