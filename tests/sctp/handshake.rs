//! How associations start and end.

use std::time::{Duration, Instant};

use datasoup::proto::message::Reliability;
use datasoup::proto::reason::Code;
use datasoup::proto::sctp::{Association, EndReason, SctpConfig, SctpState, Start};

use crate::peers::{Ours, Pair, config, numbered, pair};
use crate::puppet::*;
use crate::sim::{Conditions, Net, Side, start};

const HALF_A_SECOND: Duration = Duration::from_millis(500);

fn started(a: Start, b: Start, conditions: Conditions, seed: u64) -> Pair {
    let a = SctpConfig { start: a, ..config() };
    let b = SctpConfig { start: b, ..config() };
    let mut net = Net::new(Ours::new(a), Ours::new(b), conditions, seed);
    net.a.sctp.connect(net.now);
    net.b.sctp.connect(net.now);
    net
}

fn both_connected(net: &mut Pair) -> bool {
    net.a.is_connected() && net.b.is_connected()
}

fn assert_talk(net: &mut Pair) {
    for (stream, ours) in [&mut net.a, &mut net.b].into_iter().enumerate() {
        ours.sctp.open_stream(stream as u16, Reliability::RELIABLE);
        ours.sctp.send(net.now, stream as u16, numbered(1, 10)).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(30), |net| {
        net.a.message_count() == 1 && net.b.message_count() == 1
    }));
}

#[test]
fn each_state_is_emitted_once() {
    let mut net = pair(Conditions::PERFECT, 1);
    net.a.sctp.connect(net.now);
    assert_eq!(net.a.states(), [SctpState::Connecting, SctpState::Connected]);
    net.a.sctp.abort(net.now);
    net.run_for(Duration::from_secs(1));
    for states in [net.a.states(), net.b.states()] {
        let expected = [SctpState::Connecting, SctpState::Connected, SctpState::Closed];
        assert_eq!(states, expected);
    }
    net.run_for(Duration::from_secs(100));
    assert_eq!(net.a.sctp.poll_timeout(), None);
    assert_eq!(net.b.sctp.poll_timeout(), None);
}

#[test]
fn the_passive_side_waits_for_an_init_and_then_sends_its_own() {
    let mut net = started(Start::AfterSilence, Start::AtOnce, Conditions::PERFECT, 1);
    assert!(net.run_until(Duration::from_millis(900), both_connected));

    let mut stage_config = config();
    stage_config.start = Start::AfterSilence;
    let mut sctp = Association::new(stage_config);
    let now = start();
    sctp.connect(now);
    let at = sctp.poll_timeout().expect("a timeout");
    assert_eq!(at, now + HALF_A_SECOND);
    sctp.drain_transmits(now, |_| panic!("the peer sends its INIT first"));
    sctp.handle_timeout(at);
    let mut sent = Vec::new();
    sctp.drain_transmits(at, |packet| sent.extend(chunks(packet)));
    assert_eq!(sent[0].kind, INIT);
}

#[test]
fn simultaneous_inits_make_one_association() {
    for seed in 0..20 {
        let conditions = if seed % 2 == 0 { Conditions::PERFECT } else { Conditions::ROUGH };
        let mut net = started(Start::AtOnce, Start::AtOnce, conditions, seed);
        // The limit is below the first retransmission unless the network loses packets.
        let limit = Duration::from_millis(if seed % 2 == 0 { 900 } else { 60_000 });
        assert!(net.run_until(limit, both_connected), "seed {seed}");
        assert_talk(&mut net);
    }
}

#[test]
fn two_passive_sides_connect() {
    for seed in 0..10 {
        let mut net = started(Start::AfterSilence, Start::AfterSilence, Conditions::ROUGH, seed);
        assert!(net.run_until(Duration::from_secs(60), both_connected), "seed {seed}");
        assert_talk(&mut net);
    }
}

#[test]
fn any_packet_of_the_handshake_may_be_lost() {
    for lost in 0..6 {
        for starts in [(Start::AtOnce, Start::AfterSilence), (Start::AtOnce, Start::AtOnce)] {
            let mut net = started(starts.0, starts.1, Conditions::PERFECT, lost);
            let mut count = 0;
            net.filter = Some(Box::new(move |_, _| {
                count += 1;
                count - 1 != lost
            }));
            assert!(net.run_until(Duration::from_secs(60), both_connected), "packet {lost}");
            assert_talk(&mut net);
        }
    }
}

#[test]
fn a_handshake_whose_cookie_echo_is_lost_for_seconds_completes() {
    for seed in 0..10 {
        let mut net = started(Start::AtOnce, Start::AfterSilence, Conditions::PERFECT, seed);
        // By the end of this time B has sent an INIT of its own.
        let end = net.now + Duration::from_secs(6);
        let lost = std::rc::Rc::new(std::cell::Cell::new(true));
        let is_lost = lost.clone();
        net.filter = Some(Box::new(move |_, packet| {
            chunks(packet)[0].kind != COOKIE_ECHO || !is_lost.get()
        }));
        net.run_until(end - net.now, |_| false);
        assert!(!net.b.is_connected());
        lost.set(false);
        assert!(net.run_until(Duration::from_secs(10), both_connected), "seed {seed}");
        assert_talk(&mut net);
    }
}

#[test]
fn a_handshake_over_a_terrible_path_succeeds() {
    let conditions = Conditions { loss: 0.4, duplication: 0.3, ..Conditions::ROUGH };
    let connected = (0..10)
        .filter(|seed| {
            let mut net = started(Start::AtOnce, Start::AfterSilence, conditions, *seed);
            net.run_until(Duration::from_secs(60), both_connected)
        })
        .count();
    assert!(connected >= 9, "{connected} of 10");
}

#[test]
fn an_unanswered_init_fails_the_association() {
    let mut net = started(Start::AtOnce, Start::AtOnce, Conditions::PERFECT, 1);
    net.filter = Some(Box::new(|_, _| false));
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 1, numbered(0, 10)).expect("room");
    let begun = net.now;
    let failed =
        net.run_until(Duration::from_secs(120), |net| net.a.sctp.state() == SctpState::Failed);
    assert!(failed);
    assert_eq!(net.now - begun, Duration::from_secs(35));
    assert_eq!(net.a.states(), [SctpState::Connecting, SctpState::Failed]);
    assert_eq!(net.a.sctp.counters().unsent.messages, 1);
    net.filter = None;
    net.run_for(Duration::from_secs(30));
    assert_eq!(net.a.sctp.state(), SctpState::Failed);
}

#[test]
fn a_peer_that_restarts_during_the_handshake_can_connect() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    // The peer has restarted, with another tag.
    stage.puppet.own_tag = 0x0a0b_0c0d;
    let again = init(INIT, stage.puppet.own_tag, (10, 10), FIRST_TSN, &extensions());
    let sent = stage.inject(packet(0, &[again]));
    assert_eq!(sent[0].kind, INIT_ACK);
    assert_ne!(sent[0].tsn(), stage.puppet.tag);
    let old = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    assert_eq!(stage.send(&[old]), [], "the first association is gone");
    stage.puppet.tag = sent[0].tsn();
    stage.puppet.cookie = sent[0].value[20..52].to_vec();
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    stage.assert_alive();
}

#[test]
fn a_peer_that_restarts_with_fewer_streams_has_only_these() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    stage.puppet.own_tag = 0x0a0b_0c0d;
    let again = init(INIT, stage.puppet.own_tag, (4, 2), FIRST_TSN, &extensions());
    let sent = stage.inject(packet(0, &[again]));
    stage.puppet.learn(&packet(0, &[chunk(INIT_ACK, 0, &sent[0].value)]));
    stage.inject(stage.puppet.cookie_echo());
    assert_eq!(stage.sctp.negotiated_streams(), Some((2, 4)));
    assert!(stage.sctp.can_open_stream(1));
    assert!(!stage.sctp.can_open_stream(2));
}

/// An association that has answered the puppet's INIT, and has sent an INIT of its own half a second later.
fn both_ways() -> Stage {
    let Stage { mut sctp, puppet, now, largest } =
        Stage::halfway(config(), (10, 10), &extensions());
    let now = now + HALF_A_SECOND;
    assert_eq!(sctp.poll_timeout(), Some(now));
    sctp.handle_timeout(now);
    let mut sent = Vec::new();
    sctp.drain_transmits(now, |packet| sent.extend(chunks(packet)));
    let [init] = &sent[..] else { panic!("an INIT, not {sent:?}") };
    let Some(Greeting { tag, tsn, .. }) = Greeting::read(init) else { panic!("{init:?}") };
    // RFC 9260 §5.2.1: so both sides agree, whichever direction completes.
    assert_eq!((init.kind, tag, tsn), (INIT, puppet.tag, puppet.initial_tsn));
    Stage { now, sctp, puppet, largest }
}

#[test]
fn a_peer_that_does_not_go_on_within_half_a_second_gets_an_init_and_may_still_go_on() {
    let mut stage = both_ways();
    let sent = stage.inject(stage.puppet.cookie_echo());
    assert_eq!(sent.iter().map(|chunk| chunk.kind).collect::<Vec<_>>(), [COOKIE_ACK]);
    stage.assert_alive();
}

#[test]
fn a_peer_whose_cookie_echo_is_lost_completes_by_our_init() {
    let mut stage = both_ways();
    let ack = stage.puppet.init_ack((10, 10));
    let sent = stage.inject(ack.clone());
    assert_eq!((sent[0].kind, &sent[0].value[..]), (COOKIE_ECHO, &b"a cookie"[..]));
    stage.inject(stage.puppet.packet(&[chunk(COOKIE_ACK, 0, &[])]));
    // The peer repeats what it had begun, and gets its answer at once (§5.2.4 D).
    let sent = stage.inject(stage.puppet.cookie_echo());
    assert_eq!(sent.iter().map(|chunk| chunk.kind).collect::<Vec<_>>(), [COOKIE_ACK]);
    stage.inject(ack);
    stage.assert_alive();
}

#[test]
fn a_peer_may_announce_another_tag_in_its_answer_than_in_its_init() {
    let mut stage = both_ways();
    let old = stage.puppet.cookie_echo();
    stage.puppet.own_tag = 0x0a0b_0c0d;
    stage.inject(stage.puppet.init_ack((10, 10)));
    stage.inject(stage.puppet.packet(&[chunk(COOKIE_ACK, 0, &[])]));
    assert_eq!(stage.inject(old), [], "that would be another association");
    stage.assert_alive();
}

#[test]
fn data_after_our_cookie_echo_shows_that_the_association_is_established() {
    let mut stage = both_ways();
    stage.inject(stage.puppet.init_ack((10, 10)));
    // The COOKIE ACK is lost, or late.
    stage.assert_alive();
    stage.inject(stage.puppet.packet(&[chunk(COOKIE_ACK, 0, &[])]));
    stage.assert_alive();
    assert_eq!(stage.sctp.counters().chunks_stripped, 0);
}

#[test]
fn a_repeated_cookie_echo_is_answered_at_once() {
    let mut stage = Stage::new(config());
    for _ in 0..3 {
        let sent = stage.inject(stage.puppet.cookie_echo());
        assert_eq!(sent.iter().map(|chunk| chunk.kind).collect::<Vec<_>>(), [COOKIE_ACK]);
    }
    let other = chunk(COOKIE_ECHO, 0, &[7; 32]);
    assert_eq!(stage.send(&[other]), []);
    stage.assert_alive();
}

#[test]
fn what_has_no_answer_is_repeated_after_half_a_second_and_then_less_often() {
    let (mut sctp, begun, tag) = initiated();
    let at = |kind: u8, sctp: &mut Association| {
        let mut times = Vec::new();
        while let Some(now) = sctp.poll_timeout() {
            sctp.handle_timeout(now);
            sctp.drain_transmits(now, |packet| {
                assert_eq!(chunks(packet)[0].kind, kind);
                times.push((now - begun).as_millis());
            });
            if times.len() == 4 {
                break;
            }
        }
        times
    };
    assert_eq!(at(INIT, &mut sctp), [500, 1000, 2000, 3000]);
    let now = begun + Duration::from_secs(8);
    let ack = init(INIT_ACK, 9, (5, 5), 100, &parameter(7, b"cookie!!"));
    sctp.handle_packet(now, packet(tag, &[ack]));
    sctp.drain_transmits(now, |packet| assert_eq!(chunks(packet)[0].kind, COOKIE_ECHO));
    assert_eq!(at(COOKIE_ECHO, &mut sctp), [8500, 9000, 10_000, 11_000]);
}

#[test]
fn a_repeated_init_is_answered_with_the_same_cookie() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    let again = init(INIT, stage.puppet.own_tag, (10, 10), FIRST_TSN, &extensions());
    let sent = stage.inject(packet(0, &[again]));
    assert_eq!((sent[0].kind, sent[0].tsn()), (INIT_ACK, stage.puppet.tag));
    assert_eq!(sent[0].value[20..20 + stage.puppet.cookie.len()], stage.puppet.cookie);
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    stage.assert_alive();
}

/// An association that has sent its INIT, the time, and the tag of packets to it.
fn initiated() -> (Association, Instant, u32) {
    let now = start();
    let mut sctp = Association::new(SctpConfig { start: Start::AtOnce, ..config() });
    sctp.connect(now);
    let mut sent = Vec::new();
    sctp.drain_transmits(now, |packet| sent.extend(chunks(packet)));
    let tag = sent[0].tsn();
    (sctp, now, tag)
}

#[test]
fn a_late_init_does_not_undo_an_init_ack() {
    let (mut sctp, now, tag) = initiated();
    let ack = init(INIT_ACK, u32::MAX, (5, 5), 100, &parameter(7, b"cookie!!"));
    sctp.handle_packet(now, packet(tag, &[ack]));
    sctp.handle_packet(now, packet(0, &[init(INIT, u32::MAX, (5, 5), 100, &extensions())]));
    let mut sent = Vec::new();
    sctp.drain_transmits(now, |packet| sent.extend(chunks(packet)));
    let kinds: Vec<_> = sent.iter().map(|chunk| chunk.kind).collect();
    assert_eq!(kinds, [INIT_ACK, COOKIE_ECHO], "both directions run");
    sctp.handle_packet(now, packet(tag, &[chunk(COOKIE_ACK, 0, &[])]));
    assert_eq!(sctp.state(), SctpState::Connected);
}

#[test]
fn an_init_ack_that_is_late_or_repeated_or_has_too_large_a_cookie_changes_nothing() {
    let (mut sctp, now, tag) = initiated();
    let ack = |streams, cookie: &[u8]| {
        packet(tag, &[init(INIT_ACK, 9, (streams, streams), 100, &parameter(7, cookie))])
    };
    sctp.handle_packet(now, ack(5, &[1; 1300]));
    assert_eq!(sctp.counters().packets_malformed, 1, "the COOKIE ECHO would not fit a packet");
    let late = init(INIT_ACK, 9, (3, 3), 100, &parameter(7, b"cookie!!"));
    sctp.handle_packet(now, packet(tag, &[chunk(COOKIE_ACK, 0, &[]), late]));
    assert_eq!(sctp.counters().packets_unexpected, 1, "it has to be the first chunk");
    assert_eq!(sctp.state(), SctpState::Connecting);
    sctp.handle_packet(now, ack(5, b"cookie!!"));
    sctp.handle_packet(now, ack(7, b"another!"));
    sctp.handle_packet(now, packet(tag, &[chunk(COOKIE_ACK, 0, &[])]));
    sctp.handle_packet(now, ack(9, b"and more"));
    assert_eq!(sctp.negotiated_streams(), Some((5, 5)));
    assert_eq!(sctp.counters().packets_unexpected, 3);
}

#[test]
fn a_stale_cookie_error_restarts_the_handshake_three_times() {
    let mut sctp = Association::new(SctpConfig { start: Start::AtOnce, ..config() });
    let now = start();
    sctp.connect(now);
    let mut sent = Vec::new();
    let mut inits = 0;
    for _ in 0..10 {
        sent.clear();
        sctp.drain_transmits(now, |packet| sent.extend(chunks(packet)));
        let Some(init_chunk) = sent.iter().find(|chunk| chunk.kind == INIT) else { break };
        inits += 1;
        let tag = init_chunk.tsn();
        let mut parameters = parameter(7, b"cookie!!");
        parameters.extend(parameter(8, &[0x80, 8, 0, 6, 1, 2]));
        let ack = init(INIT_ACK, 9, (5, 5), 100, &parameters);
        sctp.handle_packet(now, packet(tag, &[ack]));
        sent.clear();
        sctp.drain_transmits(now, |packet| sent.extend(chunks(packet)));
        assert_eq!((sent[0].kind, &sent[0].value[..]), (COOKIE_ECHO, &b"cookie!!"[..]));
        // The peer may repeat the error as often as it likes.
        for _ in 0..if inits == 4 { 300 } else { 1 } {
            sctp.handle_packet(now, packet(tag, &[chunk(ERROR, 0, &[0, 3, 0, 8, 0, 0, 0, 9])]));
        }
    }
    assert_eq!(inits, 4, "the first and three more");
}

#[test]
fn an_abort_reaches_the_peer_and_carries_a_cause() {
    let mut stage = Stage::new(config());
    stage.sctp.abort(stage.now);
    let sent = stage.drain();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].kind, &sent[0].value[..]), (ABORT, &[0, 12, 0, 4][..]));
    assert_eq!(stage.drain(), []);
}

#[test]
fn after_a_lost_abort_the_ended_side_drops_packets() {
    let mut net = pair(Conditions::PERFECT, 2);
    net.filter = Some(Box::new(|side, _| side == Side::B));
    net.a.sctp.abort(net.now);
    net.b.sctp.open_stream(1, Reliability::RELIABLE);
    net.b.sctp.send(net.now, 1, numbered(0, 10)).expect("room");
    net.run_for(Duration::from_secs(30));
    assert_eq!(net.a.sctp.state(), SctpState::Closed);
    assert!(net.a.sctp.counters().packets_unexpected > 2);
}

#[test]
fn with_start_never_an_abort_during_the_handshake_ends_only_the_attempt() {
    let never = SctpConfig { start: Start::Never, ..config() };
    let mut stage = Stage::halfway(never, (10, 10), &extensions());
    stage.send(&[chunk(ABORT, 0, &[])]);
    assert_eq!(stage.sctp.state(), SctpState::Connecting);
    assert_eq!(stage.pass(Duration::from_secs(60)), [], "the association never sends an INIT");
    let sent = stage.inject(stage.puppet.init((10, 10), &extensions()));
    assert_eq!(sent[0].kind, INIT_ACK);
    stage.puppet.tag = sent[0].tsn();
    stage.puppet.cookie = Greeting::read(&sent[0]).expect("an INIT ACK").cookie;
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    stage.assert_alive();
}

#[test]
fn every_end_has_its_reason() {
    let ended = |chunks: &[Vec<u8>]| {
        let mut stage =
            Stage::new(SctpConfig { silence: Some(Duration::from_secs(55)), ..config() });
        assert_eq!(stage.sctp.end_reason(), None);
        stage.send(chunks);
        stage.pass(Duration::from_secs(60));
        stage.sctp.end_reason().cloned()
    };
    let acknowledged = Stage::new(config()).puppet.initial_tsn.wrapping_sub(1);
    let text = |reason: Option<EndReason>| reason.map(|it| it.to_string()).unwrap_or_default();
    let abort = |cause: &[u8]| ended(&[chunk(ABORT, 0, cause)]);
    assert_eq!(text(abort(&[])), "the peer aborted the association, without a cause");
    assert_eq!(
        text(abort(&[0, 12, 0, 4])),
        "the peer aborted the association, cause: user-initiated"
    );
    assert_eq!(
        text(abort(&[0, 4, 0, 4])),
        "the peer aborted the association, cause: out of resource"
    );
    assert_eq!(text(abort(&[0, 99, 0, 4])), "the peer aborted the association, cause 99");
    assert!(abort(&[0, 12, 0, 4]).is_some_and(|it| it.is_intended()));
    assert!(!abort(&[0, 13, 0, 4]).is_some_and(|it| it.is_intended()));
    let shutdown = chunk(SHUTDOWN, 0, &acknowledged.to_be_bytes());
    let code = |reason: Option<EndReason>| reason.and_then(|it| it.reason()).map(|it| it.code);
    assert_eq!(code(abort(&[])), Some(Code::PeerClosed));
    assert_eq!(code(abort(&[0, 12, 0, 4])), Some(Code::PeerClosed));
    assert_eq!(code(abort(&[0, 13, 0, 4])), Some(Code::PeerAborted));
    assert_eq!(code(ended(&[shutdown])), Some(Code::PeerClosed));
    assert_eq!(code(ended(&[])), Some(Code::PeerSilent));
    let empty = data(WHOLE, FIRST_TSN, 1, 0, 51, b"");
    let rule = "DATA chunk without user data".to_owned();
    let broken = EndReason::Violation(rule);
    assert_eq!(ended(&[empty]), Some(broken.clone()));
    assert_eq!(code(Some(broken)), Some(Code::ProtocolViolation));

    let mut alone = Ours::new(SctpConfig { start: Start::AtOnce, ..config() });
    let now = start();
    alone.sctp.connect(now);
    let mut net = Net::at(now, alone, Ours::new(config()), Conditions::PERFECT, 1);
    net.run_for(Duration::from_secs(60));
    assert_eq!(code(net.a.sctp.end_reason().cloned()), Some(Code::HandshakeTimeout));
    net.b.sctp.abort(net.now);
    assert_eq!(net.b.sctp.end_reason().map(EndReason::reason), Some(None), "our own end");
}
