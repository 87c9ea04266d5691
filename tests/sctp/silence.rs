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
    SctpConfig { heartbeats: true, ..config() }
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
