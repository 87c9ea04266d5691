//! HEARTBEATs and peers that fall silent (RFC 9260 §8.1, §8.3).

use std::time::Duration;

use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::sctp::{SctpConfig, SctpState};

use crate::peers::{config, numbered, pair_with};
use crate::puppet::*;
use crate::sim::Conditions;

/// The time from the last packet of the peer until the association fails.
const FAILURE: Duration = Duration::from_secs(55);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn with_heartbeats() -> SctpConfig {
    with_silence(FAILURE)
}

fn with_silence(silence: Duration) -> SctpConfig {
    SctpConfig { silence: Some(silence), ..config() }
}

fn heartbeats(sent: &[Seen]) -> usize {
    sent.iter().filter(|chunk| chunk.kind == HEARTBEAT).count()
}

/// The HEARTBEAT ACK for the HEARTBEAT in `sent`.
fn answer(sent: &[Seen]) -> Vec<u8> {
    let heartbeat = sent.iter().find(|chunk| chunk.kind == HEARTBEAT).expect("a heartbeat");
    chunk(HEARTBEAT_ACK, 0, &heartbeat.value)
}

#[test]
fn a_silent_peer_gets_twenty_heartbeats_and_then_fails_the_association() {
    let mut stage = Stage::new(with_heartbeats());
    assert_eq!(heartbeats(&stage.pass(Duration::from_millis(14_999))), 0);
    let first = stage.pass(Duration::from_millis(1));
    assert_eq!(heartbeats(&first), 1);
    assert_eq!(first[0].value[..2], [0, 1], "RFC 9260 §3.3.5: heartbeat information");
    let asked = heartbeats(&stage.pass(Duration::from_millis(39_999)));
    assert_eq!((asked, stage.sctp.state()), (19, SctpState::Connected));
    let last = stage.pass(Duration::from_millis(1));
    assert_eq!(stage.sctp.state(), SctpState::Failed);
    // The peer may still receive packets, although none of its own arrive.
    assert_eq!(last.iter().map(|chunk| chunk.kind).collect::<Vec<_>>(), [ABORT]);
    assert_eq!(stage.events().len(), 1, "one event");
    assert_eq!((stage.pass(HOUR), stage.sctp.poll_timeout()), (vec![], None));
}

#[test]
fn a_shorter_silence_has_as_many_heartbeats_as_are_a_tenth_of_a_second_apart() {
    for (millis, asked) in [(1000, 7), (2000, 14), (3000, 20), (10_000, 20), (3_600_000, 20)] {
        let silence = Duration::from_millis(millis);
        let mut stage = Stage::new(with_silence(silence));
        let quiet = silence * 3 / 11;
        let one = Duration::from_millis(1);
        assert_eq!(heartbeats(&stage.pass(quiet - one)), 0, "{silence:?}");
        assert_eq!(heartbeats(&stage.pass(2 * one)), 1, "{silence:?}");
        let sent = stage.pass(silence - quiet - 2 * one);
        assert_eq!(stage.sctp.state(), SctpState::Connected, "{silence:?}");
        assert_eq!(heartbeats(&sent), asked - 1, "{silence:?}");
        stage.pass(2 * one);
        assert_eq!(stage.sctp.state(), SctpState::Failed, "{silence:?}");
    }
}

#[test]
fn a_short_silence_ends_no_association_that_loses_packets_or_has_a_long_round_trip() {
    let lossy = Conditions { loss: 0.05, duplication: 0.0, ..Conditions::ROUGH };
    let far = Conditions { delay: Duration::from_millis(300), ..Conditions::PERFECT };
    for conditions in [lossy, far] {
        let config = with_silence(Duration::from_secs(1));
        let mut net = pair_with(config.clone(), config, conditions, 1);
        let before = net.a.sctp.counters();
        net.run_for(HOUR);
        assert!(net.a.is_connected() && net.b.is_connected(), "{conditions:?}");
        // Each answer belongs to a HEARTBEAT, however many are in flight.
        assert_eq!(net.a.sctp.counters(), before);
    }
}

#[test]
fn a_pause_does_not_fail_an_association_with_a_short_silence() {
    for asked in 0..7 {
        let mut stage = Stage::new(with_silence(Duration::from_secs(1)));
        stage.pass(Duration::from_millis(273 + 104 * asked));
        // The answer has arrived in the pause, and is read before the timers run.
        stage.now += HOUR;
        let answer = chunk(HEARTBEAT_ACK, 0, &[0, 1, 0, 8, 0, 0, 0, 0]);
        stage.send(&[answer]);
        stage.sctp.handle_timeout(stage.now);
        stage.assert_alive();
    }
}

#[test]
fn the_time_of_the_last_verified_packet_is_known() {
    let mut stage = Stage::new(config());
    let begun = stage.now;
    assert_eq!(stage.sctp.last_heard(), Some(begun));
    stage.now += MINUTE;
    stage.inject(packet(stage.puppet.tag ^ 1, &[chunk(HEARTBEAT, 0, &[0, 1, 0, 4])]));
    assert_eq!(stage.sctp.last_heard(), Some(begun), "the packet was not from the peer");
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 9, 0, 51, b"x")]);
    assert_eq!(stage.sctp.last_heard(), Some(stage.now));
}

#[test]
fn after_an_outage_of_two_and_a_half_seconds_messages_arrive_within_a_second() {
    for (seed, begin) in (0..20).map(|n| (n, Duration::from_millis(1000 + 37 * n))) {
        let conditions = Conditions { delay: Duration::from_millis(25), ..Conditions::PERFECT };
        let mut net = pair_with(with_heartbeats(), with_heartbeats(), conditions, seed);
        net.a.sctp.open_stream(1, Reliability::RELIABLE);
        let mut number = 0;
        let mut carry = |net: &mut crate::peers::Pair, time: Duration| {
            let end = net.now + time;
            while net.now < end {
                net.a.sctp.send(net.now, 1, numbered(number, 1000)).expect("room");
                number += 1;
                net.run_for(Duration::from_millis(20));
            }
        };
        carry(&mut net, begin);
        net.filter = Some(Box::new(|_, _| false));
        carry(&mut net, Duration::from_millis(2500));
        net.filter = None;
        net.b.take_messages();
        let until = net.now + Duration::from_secs(1);
        while net.b.message_count() == 0 && net.now < until {
            carry(&mut net, Duration::from_millis(20));
        }
        assert!(net.b.message_count() > 0, "seed {seed}");
    }
}

#[test]
fn messages_queued_for_a_peer_that_is_gone_are_counted_as_unsent() {
    let mut stage = Stage::new(with_heartbeats());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    for n in 0..400 {
        stage.sctp.send(stage.now, 1, numbered(n, 1000)).expect("room");
    }
    let sent = stage.drain();
    assert!(sent.iter().any(|chunk| chunk.kind == DATA));
    stage.pass(FAILURE - Duration::from_millis(1));
    assert_eq!(stage.sctp.state(), SctpState::Connected);
    let queued = stage.sctp.queued_bytes() as u64;
    assert!(queued > 0);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.sctp.state(), SctpState::Failed);
    assert_eq!(stage.sctp.counters().unsent.bytes, queued);
    assert_eq!(stage.sctp.queued_bytes(), 0);
    let message = Message::new(Ppid::STRING, "late".into());
    assert!(stage.sctp.send(stage.now, 1, message).is_err());
}

#[test]
fn an_answered_heartbeat_keeps_the_association() {
    let mut stage = Stage::new(with_heartbeats());
    for _ in 0..100 {
        // The first nineteen of the twenty HEARTBEATs get no answer.
        let sent = stage.pass(FAILURE - Duration::from_secs(1));
        assert_eq!(heartbeats(&sent), 20);
        let answer = answer(&sent);
        assert_eq!(stage.send(&[answer]), []);
        assert_eq!(heartbeats(&stage.pass(Duration::from_secs(14))), 0);
        let tsn = stage.next_tsn();
        stage.send(&[data(WHOLE | UNORDERED, tsn, 9, 0, 51, b"also a sign")]);
    }
    let counters = stage.sctp.counters();
    assert_eq!((counters.chunks_stripped, counters.packets_unexpected), (0, 0));
    stage.assert_alive();
}

#[test]
fn an_unexpected_heartbeat_ack_is_dropped_and_counted() {
    let mut stage = Stage::new(with_heartbeats());
    let heartbeat = stage.pass(Duration::from_secs(15));
    let answer = answer(&heartbeat);
    for _ in 0..3 {
        stage.send(std::slice::from_ref(&answer));
    }
    assert_eq!(stage.sctp.counters().packets_unexpected, 2);
    stage.assert_alive();
}

#[test]
fn as_many_heartbeat_acks_are_expected_as_heartbeats_are_under_way() {
    let mut stage = Stage::new(with_silence(Duration::from_secs(1)));
    let sent = stage.pass(Duration::from_millis(500));
    assert_eq!(heartbeats(&sent), 3);
    let answer = answer(&sent);
    for unexpected in [0, 0, 0, 1, 2] {
        stage.send(std::slice::from_ref(&answer));
        assert_eq!(stage.sctp.counters().packets_unexpected, unexpected);
    }
    stage.assert_alive();
}

#[test]
fn forged_packets_do_not_keep_the_association() {
    let mut stage = Stage::new(with_heartbeats());
    let heartbeat = stage.pass(Duration::from_secs(15));
    let answer = answer(&heartbeat);
    let mut forged = packet(stage.puppet.tag, std::slice::from_ref(&answer)).to_vec();
    forged[20] ^= 1;
    let forgeries = [
        packet(stage.puppet.tag ^ 1, &[answer]),
        forged.into(),
        packet(0, &[init(INIT, 7, (1, 1), 1, &extensions())]),
        packet(stage.puppet.tag ^ 1, &[data(WHOLE, stage.puppet.tsn, 9, 0, 51, b"x")]),
    ];
    for _ in 0..60 {
        for forgery in &forgeries {
            stage.inject(forgery.clone());
        }
        stage.pass(Duration::from_secs(1));
    }
    assert_eq!(stage.sctp.state(), SctpState::Failed);
}

#[test]
fn a_pause_of_this_process_does_not_fail_the_association() {
    let mut stage = Stage::new(with_heartbeats());
    // The process was stopped, so no timer fired in time.
    stage.now += HOUR;
    stage.sctp.handle_timeout(stage.now);
    let sent = stage.drain();
    assert_eq!(heartbeats(&sent), 1);
    let answer = answer(&sent);
    stage.send(&[answer]);
    stage.assert_alive();
}

#[test]
fn two_idle_sides_stay_connected_with_a_heartbeat_every_15_seconds() {
    let mut net = pair_with(with_heartbeats(), with_heartbeats(), Conditions::PERFECT, 1);
    let before = net.sent;
    net.run_for(24 * HOUR);
    assert!(net.a.is_connected() && net.b.is_connected());
    // Four intervals per minute, each with a HEARTBEAT of either side and its answer.
    let [a, b] = [net.sent[0] - before[0], net.sent[1] - before[1]];
    assert!(a.max(b) <= 24 * 60 * 4 * 2, "{a} and {b} packets");
    // The answer delays the next HEARTBEAT by a round trip.
    assert!(a.min(b) > 24 * 60 * 4 - 60, "{a} and {b} packets");
}

#[test]
fn heavy_loss_does_not_fail_an_association() {
    let lossy = Conditions { loss: 0.2, ..Conditions::ROUGH };
    for seed in 0..4 {
        let mut net = pair_with(with_heartbeats(), with_heartbeats(), lossy, seed);
        net.run_for(6 * HOUR);
        assert!(net.a.is_connected() && net.b.is_connected(), "idle, seed {seed}");
        net.a.sctp.open_stream(1, Reliability::RELIABLE);
        for n in 0..600 {
            net.a.sctp.send(net.now, 1, numbered(n, 1000)).expect("room");
            net.run_for(Duration::from_millis(100));
        }
        let arrived = net.run_until(10 * MINUTE, |net| net.b.message_count() == 600);
        assert!(arrived && net.a.is_connected(), "with data, seed {seed}");
    }
}

#[test]
fn both_sides_of_a_cut_link_fail() {
    let mut net = pair_with(with_heartbeats(), with_heartbeats(), Conditions::PERFECT, 1);
    net.filter = Some(Box::new(|_, _| false));
    net.run_for(2 * MINUTE);
    assert_eq!(net.a.states().last(), Some(&SctpState::Failed));
    assert_eq!(net.b.states().last(), Some(&SctpState::Failed));
}

#[test]
fn without_the_option_no_heartbeat_is_sent() {
    let mut stage = Stage::new(config());
    assert_eq!((stage.pass(HOUR), stage.sctp.poll_timeout()), (vec![], None));
    stage.assert_alive();
}
