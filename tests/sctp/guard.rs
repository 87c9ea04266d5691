//! What the guard keeps from sctp-proto. Each of these tests fails without the guard.

use std::time::Duration;

use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::sctp::{SctpEvent, SctpState};

use crate::peers::config;
use crate::puppet::*;

#[test]
fn a_late_duplicate_of_the_init_changes_nothing() {
    let mut stage = Stage::new(config());
    let init = init(INIT, stage.puppet.own_tag, (u16::MAX, u16::MAX), FIRST_TSN, &extensions());
    assert_eq!(stage.inject(packet(0, &[init])), []);
    stage.assert_alive();
}

#[test]
fn an_init_with_another_tag_makes_no_second_association() {
    let mut stage = Stage::new(config());
    let init = init(INIT, 77, (u16::MAX, u16::MAX), 5, &extensions());
    assert_eq!(stage.inject(packet(0, &[init])), []);
    stage.assert_alive();
}

#[test]
fn an_error_chunk_does_not_end_the_association() {
    let mut stage = Stage::new(config());
    for cause in [1u16, 3, 6, 7, 13, 999] {
        let mut value = cause.to_be_bytes().to_vec();
        value.extend_from_slice(&[0, 8, 0, 0, 0, 0]);
        stage.send(&[chunk(ERROR, 0, &value)]);
        stage.assert_alive();
    }
}

#[test]
fn chunks_around_an_error_chunk_arrive() {
    let mut stage = Stage::new(config());
    let (first, second) = (stage.next_tsn(), stage.next_tsn());
    stage.send(&[
        data(WHOLE, first, 1, 0, 51, b"one"),
        chunk(ERROR, 0, &[0, 6, 0, 4]),
        data(WHOLE, second, 1, 1, 51, b"two"),
    ]);
    assert_eq!(stage.messages().len(), 2);
    assert_eq!(stage.sctp.counters().chunks_stripped, 1);
}

#[test]
fn unknown_chunks_are_handled_as_their_two_highest_bits_say() {
    // Either the chunk alone is skipped, or it and everything after it.
    for (kind, rest_arrives) in
        [(0x1f, false), (0x40, false), (0x84, true), (0xc1, true), (194, true)]
    {
        let mut stage = Stage::new(config());
        let (first, second) = (stage.next_tsn(), stage.next_tsn());
        stage.send(&[
            data(WHOLE, first, 1, 0, 51, b"before"),
            chunk(kind, 0, b"whatever"),
            data(WHOLE, second, 1, 1, 51, b"after"),
        ]);
        let expected = if rest_arrives { 2 } else { 1 };
        assert_eq!(stage.messages().len(), expected, "chunk type {kind:#x}");
        assert_eq!(stage.sctp.state(), SctpState::Connected);
    }
}

#[test]
fn a_heartbeat_ack_does_not_drop_the_rest_of_its_packet() {
    let mut stage = Stage::new(config());
    let tsn = stage.next_tsn();
    stage.send(&[
        chunk(HEARTBEAT_ACK, 0, &parameter(1, b"12345678")),
        data(WHOLE, tsn, 1, 0, 51, b"x"),
    ]);
    assert_eq!(stage.messages().len(), 1);
}

#[test]
fn nonzero_padding_does_not_drop_its_packet() {
    let mut stage = Stage::new(config());
    let tsn = stage.next_tsn();
    let mut chunk = data(WHOLE, tsn, 1, 0, 51, b"x");
    *chunk.last_mut().expect("padding") = 1;
    stage.send(&[chunk]);
    assert_eq!(stage.messages().len(), 1);
}

#[test]
fn a_chunk_longer_than_its_content_does_not_shift_the_next_chunk() {
    let mut stage = Stage::new(config());
    let tsn = stage.next_tsn();
    let mut sack = sack(stage.puppet.initial_tsn.wrapping_sub(1), 1 << 20, &[]);
    sack[3] += 4;
    sack.extend_from_slice(&[0, 3, 0, 4]);
    stage.send(&[sack, chunk(COOKIE_ACK, 0, b"more"), data(WHOLE, tsn, 1, 0, 51, b"x")]);
    assert_eq!(stage.messages().len(), 1);
}

#[test]
fn unknown_parameters_do_not_fail_a_handshake() {
    let unknown: Vec<u8> = [0x8001u16, 0x4003, 0x0005, 0x000c, 0xc007]
        .into_iter()
        .flat_map(|kind| parameter(kind, b"1234"))
        .chain(extensions())
        .collect();
    let mut stage = Stage::halfway(config(), (10, 10), &unknown);
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    stage.assert_alive();
}

#[test]
fn forward_tsn_can_be_announced_by_its_own_parameter() {
    let mut stage = Stage::halfway(config(), (10, 10), &parameter(0xc000, &[]));
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    let tsn = stage.next_tsn();
    let forward = chunk(FORWARD_TSN, 0, &tsn.to_be_bytes());
    let sent = stage.send(&[forward]);
    let sack =
        sent.iter().chain(&stage.pass(Duration::from_secs(1))).find(|c| c.kind == SACK).cloned();
    assert_eq!(sack.map(|sack| sack.tsn()), Some(tsn));
}

#[test]
fn a_forward_tsn_that_was_not_negotiated_is_ignored() {
    let mut stage = Stage::halfway(config(), (10, 10), &[]);
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    assert_eq!(stage.send(&[chunk(FORWARD_TSN, 0, &2000u32.to_be_bytes())]), []);
    stage.assert_alive();
}

#[test]
fn a_sack_with_gap_blocks_out_of_order_acknowledges_nothing() {
    for gaps in [&[(3, 2)][..], &[(3, 3), (2, 2)], &[(2, 3), (3, 3)], &[(2, 2); 250], &[(0, 2)]] {
        let mut stage = Stage::new(config());
        stage.sctp.open_stream(1, Reliability::RELIABLE);
        for _ in 0..3 {
            let message = Message::new(Ppid::BINARY, vec![0; 900].into());
            stage.sctp.send(stage.now, 1, message).expect("room");
        }
        stage.drain();
        stage.send(&[sack(stage.puppet.initial_tsn.wrapping_sub(1), 1 << 20, gaps)]);
        assert_eq!(stage.sctp.state(), SctpState::Connected, "{gaps:?}");
        stage.send(&[sack(stage.puppet.initial_tsn, 1 << 20, &[])]);
        let again = stage.pass(Duration::from_secs(3));
        let tsns: Vec<u32> = again.iter().filter(|c| c.kind == DATA).map(|c| c.tsn()).collect();
        assert!(
            tsns.contains(&stage.puppet.initial_tsn.wrapping_add(1)),
            "{gaps:?} acknowledged nothing"
        );
    }
}

#[test]
fn a_sack_with_wrong_counts_drops_its_packet() {
    for at in [12, 14] {
        let mut stage = Stage::new(config());
        let mut sack = sack(stage.puppet.initial_tsn.wrapping_sub(1), 1 << 20, &[]);
        sack[at..at + 2].copy_from_slice(&[0, 5]);
        let tsn = stage.puppet.tsn;
        stage.send(&[sack, data(WHOLE, tsn, 1, 0, 51, b"x")]);
        assert_eq!(stage.messages(), []);
        assert_eq!(stage.sctp.counters().packets_malformed, 1);
        stage.assert_alive();
    }
}

#[test]
fn a_forward_tsn_of_the_wrong_length_does_not_drop_its_packet() {
    for len in [0, 3, 6, 7] {
        let mut stage = Stage::new(config());
        let mut value = stage.puppet.tsn.to_be_bytes().to_vec();
        value.resize(len, 0);
        let tsn = stage.next_tsn();
        stage.send(&[chunk(FORWARD_TSN, 0, &value), data(WHOLE, tsn, 1, 0, 51, b"x")]);
        assert_eq!(stage.messages().len(), 1, "{len} bytes");
    }
}

#[test]
fn data_beyond_the_negotiated_streams_ends_the_association() {
    let mut stage = Stage::with_streams(config(), (4, 8));
    assert_eq!(stage.sctp.negotiated_streams().map(|(_, incoming)| incoming), Some(4));
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 3, 0, 51, b"x")]);
    assert_eq!(stage.messages().len(), 1);
    let tsn = stage.next_tsn();
    let sent = stage.send(&[data(WHOLE, tsn, 4, 0, 51, b"x")]);
    assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);
    assert_eq!(sent.last().map(|chunk| chunk.kind), Some(ABORT));
}

#[test]
fn data_on_stream_65535_is_dropped_and_counted() {
    let mut stage = Stage::new(config());
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 65_535, 0, 51, b"x")]);
    assert_eq!(stage.messages().len(), 0);
    assert_eq!(stage.sctp.counters().packets_malformed, 1);
    stage.assert_alive();
}

#[test]
fn data_without_user_data_ends_the_association() {
    for ppid in [51, 1234] {
        let mut stage = Stage::new(config());
        let tsn = stage.next_tsn();
        let sent = stage.send(&[data(WHOLE, tsn, 1, 0, ppid, b"")]);
        assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);
        assert_eq!(sent.last().map(|chunk| chunk.kind), Some(ABORT));
    }
}

#[test]
fn a_tsn_too_far_ahead_is_not_kept() {
    let mut stage = Stage::new(config());
    let far = stage.puppet.tsn.wrapping_add(70_000);
    let near = stage.next_tsn();
    stage.send(&[data(WHOLE, far, 1, 0, 51, b"far"), data(WHOLE, near, 2, 0, 51, b"near")]);
    assert_eq!(stage.messages().len(), 1);
    assert_eq!(stage.sctp.counters().chunks_stripped, 1);
    stage.assert_alive();
}

#[test]
fn fragments_without_an_end_abort_the_association() {
    let mut stage = Stage::new(config());
    let first = stage.next_tsn();
    stage.send(&[data(FIRST, first, 1, 0, 53, b"x")]);
    let mut packets = 0;
    while stage.sctp.state() == SctpState::Connected && packets < 1000 {
        let fragments: Vec<_> =
            (0..55).map(|_| data(MIDDLE, stage.next_tsn(), 1, 0, 53, b"x")).collect();
        stage.now += Duration::from_millis(10);
        stage.send(&fragments);
        packets += 1;
    }
    assert_eq!(stage.sctp.state(), SctpState::Closed);
    assert!(packets < 100, "after {packets} packets");
}

#[test]
fn packets_beyond_the_peers_share_of_cpu_time_are_dropped() {
    let mut stage = Stage::new(config());
    // Each chunk beyond a gap, repeated ones included, would make sctp-proto walk all that it holds.
    let first = stage.next_tsn();
    let _missing = stage.next_tsn();
    stage.send(&[data(FIRST, first, 1, 0, 53, b"x")]);
    for _ in 0..70 {
        let fragments: Vec<_> =
            (0..55).map(|_| data(MIDDLE, stage.next_tsn(), 1, 0, 53, b"x")).collect();
        for _ in 0..20 {
            stage.send(&fragments);
        }
    }
    assert!(stage.sctp.counters().packets_overload > 500);
    assert_eq!(stage.sctp.state(), SctpState::Connected);
    // Two seconds later the peer's packets are accepted again.
    stage.now += Duration::from_secs(2);
    stage.assert_alive();
}

#[test]
fn a_reset_waits_for_the_data_that_it_refers_to() {
    let mut stage = Stage::new(config());
    let (first, second) = (stage.next_tsn(), stage.next_tsn());
    stage.send(&[data(WHOLE, first, 1, 0, 51, b"one")]);
    let request =
        reset(stage.puppet.request, stage.puppet.initial_tsn.wrapping_sub(1), second, &[1]);
    let sent = stage.send(std::slice::from_ref(&request));
    assert!(sent.iter().all(|chunk| chunk.kind != RECONFIG), "no answer yet: {sent:?}");
    stage.send(&[data(WHOLE, second, 1, 1, 51, b"two")]);
    assert_eq!(stage.messages().len(), 2);
    let sent = stage.send(&[request]);
    assert!(sent.iter().any(|chunk| chunk.kind == RECONFIG), "an answer now: {sent:?}");
    assert_eq!(stage.events(), [SctpEvent::StreamReset { stream: 1 }]);
}

#[test]
fn a_reset_in_the_packet_of_its_data_is_performed() {
    let mut stage = Stage::new(config());
    let tsn = stage.next_tsn();
    stage.send(&[
        data(WHOLE, tsn, 1, 0, 51, b"last words"),
        reset(stage.puppet.request, stage.puppet.initial_tsn.wrapping_sub(1), tsn, &[1]),
    ]);
    let events = stage.events();
    assert!(matches!(
        events[..],
        [SctpEvent::Message { .. }, SctpEvent::StreamReset { stream: 1 }]
    ));
}

#[test]
fn invalid_reconfig_chunks_are_ignored() {
    let last = FIRST_TSN.wrapping_sub(1);
    let response = parameter(16, &[0, 0, 0, 1, 0, 0, 0, 1]);
    let request = {
        let mut value = FIRST_TSN.to_be_bytes().to_vec();
        value.extend_from_slice(&0u32.to_be_bytes());
        value.extend_from_slice(&last.to_be_bytes());
        parameter(13, &value)
    };
    let cases = [
        // Two requests, a request before a response, unsupported parameters, and wrong lengths.
        [request.clone(), request.clone()].concat(),
        [request.clone(), response.clone()].concat(),
        parameter(14, &[0; 4]),
        parameter(15, &[0; 4]),
        [parameter(17, &[0; 8]), parameter(18, &[0; 8])].concat(),
        parameter(1, &[0; 4]),
        parameter(13, &[0; 11]),
        parameter(13, &[0; 13]),
        parameter(16, &[0; 7]),
        parameter(16, &[0; 16]),
        vec![0, 13, 0, 0],
        vec![0, 13, 0xff, 0xff],
        vec![],
    ];
    for value in cases {
        let mut stage = Stage::new(config());
        let tsn = stage.next_tsn();
        stage.send(&[chunk(RECONFIG, 0, &value), data(WHOLE, tsn, 1, 0, 51, b"x")]);
        assert_eq!(stage.messages().len(), 1, "{value:?}");
        stage.assert_alive();
    }
}

#[test]
fn one_heartbeat_per_packet_is_answered() {
    let mut stage = Stage::new(config());
    let heartbeat = chunk(HEARTBEAT, 0, &parameter(1, b"12345678"));
    let sent = stage.send(&vec![heartbeat; 50]);
    assert_eq!(sent.iter().filter(|chunk| chunk.kind == HEARTBEAT_ACK).count(), 1);
    assert_eq!(sent[0].value, parameter(1, b"12345678"));
    let large = chunk(HEARTBEAT, 0, &parameter(1, &[7; 4000]));
    assert_eq!(stage.send(&[large]), [], "the HEARTBEAT ACK would not fit a packet");
    stage.assert_alive();
}

#[test]
fn a_cookie_that_is_not_ours_establishes_nothing() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    let mut wrong = stage.puppet.cookie.clone();
    wrong[0] ^= 1;
    let tsn = stage.puppet.tsn;
    let sent = stage.send(&[chunk(COOKIE_ECHO, 0, &wrong), data(WHOLE, tsn, 1, 0, 51, b"early")]);
    assert_eq!(sent, []);
    assert_eq!(stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"early")]), []);
    assert_eq!(stage.messages(), []);
    assert_eq!(stage.sctp.state(), SctpState::Connecting);
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    stage.assert_alive();
}

#[test]
fn a_cookie_echo_that_is_not_the_first_chunk_establishes_nothing() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    assert_eq!(stage.send(&[chunk(COOKIE_ACK, 0, &[]), echo]), []);
    assert_eq!(stage.sctp.state(), SctpState::Connecting);
    assert_eq!(stage.sctp.counters().packets_unexpected, 1);
}

#[test]
fn data_in_the_packet_of_the_cookie_echo_is_delivered() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    let tsn = stage.next_tsn();
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo, data(WHOLE, tsn, 1, 0, 51, b"early")]);
    assert_eq!(stage.messages().len(), 1);
}

#[test]
fn an_abort_ends_the_association_whatever_its_causes_are() {
    for causes in [&b""[..], &[0, 12, 0, 4], &[0, 12, 0, 0], &[0, 1, 0xff, 0xff], &[9]] {
        let mut stage = Stage::new(config());
        assert_eq!(stage.send(&[chunk(ABORT, 0, causes)]), [], "an ABORT is not answered");
        assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);
    }
}

#[test]
fn an_abort_with_the_t_bit_and_the_peers_tag_ends_the_association() {
    let mut stage = Stage::new(config());
    stage.inject(packet(stage.puppet.own_tag, &[chunk(ABORT, 1, b"")]));
    assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);
}

#[test]
fn sacks_fit_a_packet_whatever_gaps_there_are() {
    let mut stage = Stage::new(config());
    for _ in 0..40 {
        let chunks: Vec<_> = (0..50)
            .map(|_| {
                stage.next_tsn();
                data(WHOLE | UNORDERED, stage.next_tsn(), 1, 0, 51, b"x")
            })
            .collect();
        stage.now += Duration::from_millis(10);
        stage.send(&chunks);
    }
    assert!(stage.largest <= config().max_packet_size, "{} bytes", stage.largest);
    assert!(stage.largest > 1000, "there are many gaps: {} bytes", stage.largest);
    stage.assert_alive();
}

#[test]
fn a_stream_whose_first_messages_are_skipped_delivers_the_next() {
    let mut stage = Stage::new(config());
    stage.next_tsn();
    let skipped = stage.next_tsn();
    let mut value = skipped.to_be_bytes().to_vec();
    value.extend_from_slice(&[0, 4, 0, 1]);
    stage.send(&[chunk(FORWARD_TSN, 0, &value)]);
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 4, 2, 51, b"the third")]);
    assert_eq!(stage.messages().len(), 1);
}
