//! What a hostile peer, or a forger, sends without effect.

use std::time::{Duration, Instant};

use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::reason::Code;
use datasoup::proto::sctp::{EndReason, SctpConfig, SctpEvent, SctpState};

use crate::peers::{config, numbered};
use crate::puppet::*;
use crate::sim::{Random, start};

#[test]
fn forged_packets_have_no_effect() {
    let mut stage = Stage::new(config());
    let tsn = stage.puppet.tsn;
    let message = data(WHOLE, tsn, 1, 0, 51, b"x");
    let abort = chunk(ABORT, 0, &[]);
    let empty = data(WHOLE, tsn, 1, 0, 51, b"");
    for chunks in
        [message, abort, empty, chunk(SHUTDOWN, 0, &[0; 4]), chunk(ERROR, 0, &[0, 3, 0, 8])]
    {
        for tag in [0, 1, stage.puppet.tag ^ 1, stage.puppet.own_tag] {
            assert_eq!(stage.inject(packet(tag, std::slice::from_ref(&chunks))), []);
        }
        let mut broken = packet(stage.puppet.tag, std::slice::from_ref(&chunks)).to_vec();
        broken[8] ^= 1;
        assert_eq!(stage.inject(broken.into()), []);
        let mut ports = packet(stage.puppet.tag, &[chunks]).to_vec();
        ports[1] ^= 1;
        assert_eq!(stage.inject(seal(ports)), []);
        assert_eq!(stage.events(), []);
    }
    assert_eq!(stage.sctp.counters().packets_foreign, 5 * 6);
    stage.assert_alive();
}

#[test]
fn a_forged_reset_does_not_drop_the_fragments_of_its_stream() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let first = stage.next_tsn();
    stage.send(&[data(FIRST, first, 1, 0, 53, b"one ")]);
    let forged = reset(stage.puppet.request, last, first, &[1]);
    stage.inject(packet(stage.puppet.tag ^ 1, &[forged]));
    for (flags, fragment) in [(MIDDLE, b"mess"), (LAST, b"age.")] {
        let tsn = stage.next_tsn();
        stage.send(&[data(flags, tsn, 1, 0, 53, fragment)]);
    }
    let messages = stage.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(&messages[0].1.payload[..], b"one message.");
}

#[test]
fn forged_packets_are_not_charged_to_the_peers_budget() {
    let mut stage = Stage::new(config());
    let chunks: Vec<_> =
        (0..50).map(|i| data(MIDDLE, stage.puppet.tsn + i, 1, 0, 53, b"x")).collect();
    for _ in 0..20_000 {
        stage.inject(packet(stage.puppet.tag ^ 1, &chunks));
    }
    assert_eq!(stage.sctp.counters().packets_overload, 0);
    stage.assert_alive();
}

#[test]
fn chunks_with_wrong_lengths_have_no_effect() {
    let mut stage = Stage::new(config());
    for kind in 0..=255u8 {
        for length in [0u16, 1, 3, 5, 200, u16::MAX] {
            let mut header = vec![kind, 0];
            header.extend_from_slice(&length.to_be_bytes());
            assert_eq!(stage.send(&[header]), [], "type {kind}, length {length}");
        }
    }
    for len in 0..12 {
        stage.inject(vec![0; len].into());
    }
    assert_eq!(stage.sctp.counters().packets_malformed, 256 * 6 + 12);
    stage.send(&[]);
    assert_eq!(stage.events(), []);
    stage.assert_alive();
}

#[test]
fn truncated_and_corrupted_packets_do_no_harm() {
    let whole = |stage: &mut Stage| {
        let tsn = stage.puppet.tsn;
        packet(
            stage.puppet.tag,
            &[
                sack(stage.puppet.initial_tsn.wrapping_sub(1), 1 << 20, &[(2, 3)]),
                chunk(HEARTBEAT, 0, &parameter(1, b"12345678")),
                reset(stage.puppet.request, 0, tsn, &[1, 2, 3]),
                chunk(FORWARD_TSN, 0, &[0, 0, 3, 0xe9, 0, 1, 0, 0]),
                data(FIRST, tsn, 1, 0, 53, b"12345"),
            ],
        )
    };
    // The SACK is of three messages.
    let begin = |config| {
        let mut stage = Stage::new(config);
        stage.sctp.open_stream(1, Reliability::RELIABLE);
        for number in 0..3 {
            stage.sctp.send(stage.now, 1, numbered(number, 1000)).expect("room");
        }
        assert_eq!(stage.drain().len(), 3);
        stage
    };
    let mut stage = begin(config());
    let packet = whole(&mut stage);
    for len in 12..packet.len() {
        stage.inject(seal(packet[..len].to_vec()));
        assert_eq!(stage.sctp.state(), SctpState::Connected, "{len} bytes");
    }
    let mut random = Random(9);
    let (mut alive, mut acknowledged) = (0, 0);
    for _ in 0..2000 {
        let small =
            SctpConfig { max_receive_message_size: 1500, max_receiver_window: 0, ..config() };
        let mut stage = begin(small);
        for _ in 0..5 {
            let mut packet = whole(&mut stage).to_vec();
            for _ in 0..=random.below(4) {
                let at = 12 + random.below(packet.len() as u64 - 12) as usize;
                packet[at] = random.next() as u8;
            }
            stage.inject(seal(packet));
        }
        assert_sound(&mut stage);
        let of_what_was_not_sent = EndReason::Violation("a SACK of what was not sent".into());
        if stage.sctp.end_reason() == Some(&of_what_was_not_sent) {
            acknowledged += 1;
        }
        alive += u32::from(stage.sctp.state() == SctpState::Connected);
    }
    assert!(alive > 1300, "{alive} of 2000 associations live on");
    assert!(alive + acknowledged > 1500, "{acknowledged} ended by a corrupted SACK");
}

/// Asserts what holds whatever the peer has sent: our packets are small enough, the association is
/// connected or closed, and no empty message and no message of PPID 50 is delivered.
fn assert_sound(stage: &mut Stage) {
    stage.pass(Duration::from_secs(1));
    assert!(stage.largest <= config().max_packet_size, "{} bytes", stage.largest);
    assert!(matches!(stage.sctp.state(), SctpState::Connected | SctpState::Closed));
    for (_, message) in stage.messages() {
        assert!(message.ppid != Ppid::DCEP && !message.payload.is_empty(), "{message:?}");
    }
}

#[test]
fn random_chunks_do_no_harm() {
    let mut random = Random(11);
    let mut alive = 0;
    for _ in 0..3000 {
        let mut stage = Stage::new(config());
        stage.sctp.open_stream(1, Reliability::RELIABLE);
        let message = Message::new(Ppid::BINARY, vec![0; 5000].into());
        stage.sctp.send(stage.now, 1, message).expect("room");
        stage.drain();
        for _ in 0..6 {
            let chunks: Vec<_> = (0..=random.below(3))
                .map(|_| {
                    let kinds = [0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 64, 128, 130, 192, 194];
                    let kind = kinds[random.below(16) as usize];
                    let mut value: Vec<u8> =
                        (0..random.below(40)).map(|_| random.next() as u8).collect();
                    if random.chance(0.7)
                        && let Some(tsn) = value.first_chunk_mut::<4>()
                    {
                        let base =
                            if kind == DATA { stage.puppet.tsn } else { stage.puppet.initial_tsn };
                        *tsn = (base.wrapping_add(random.below(4) as u32)).to_be_bytes();
                    }
                    chunk(kind, random.next() as u8 & 7, &value)
                })
                .collect();
            stage.send(&chunks);
        }
        assert_sound(&mut stage);
        alive += u32::from(stage.sctp.state() == SctpState::Connected);
    }
    assert!(alive > 1000, "{alive} of 3000 associations live on");
}

#[test]
fn an_invalid_init_is_not_answered() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    let good = || init(INIT, 5, (1, 1), 1, &[]);
    let zero_window = {
        let mut chunk = good();
        chunk[8..12].fill(0);
        chunk
    };
    let bad = [
        vec![init(INIT, 0, (1, 1), 1, &[])],
        vec![init(INIT, 5, (0, 1), 1, &[])],
        vec![init(INIT, 5, (1, 0), 1, &[])],
        vec![zero_window],
        vec![good(), good()],
        vec![good(), chunk(COOKIE_ECHO, 0, b"x")],
        vec![init(INIT, 5, (1, 1), 1, &[0, 7, 0, 0])],
        vec![init(INIT, 5, (1, 1), 1, &[0, 7, 0, 99])],
        vec![chunk(INIT, 0, &[0; 15])],
    ];
    for chunks in bad {
        assert_eq!(stage.inject(packet(0, &chunks)), []);
    }
    assert_eq!(stage.inject(packet(1, &[good()])), [], "an INIT has no tag");
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    stage.send(&[echo]);
    stage.assert_alive();
}

#[test]
fn any_number_of_streams_is_negotiated() {
    for streams in [(1, 1), (u16::MAX, 1), (1, u16::MAX), (u16::MAX, u16::MAX)] {
        let stage = Stage::with_streams(config(), streams);
        let (outgoing, incoming) = stage.sctp.negotiated_streams().expect("connected");
        assert!(outgoing >= 1 && outgoing <= streams.1);
        assert_eq!(incoming, streams.0);
        assert!(stage.sctp.is_stream_free(outgoing - 1));
        assert!(!stage.sctp.is_stream_free(outgoing));
    }
}

#[test]
fn a_replayed_cookie_does_not_revive_the_association() {
    let mut stage = Stage::new(config());
    let echo = chunk(COOKIE_ECHO, 0, &stage.puppet.cookie);
    assert_eq!(
        stage.send(std::slice::from_ref(&echo))[0].kind,
        COOKIE_ACK,
        "the COOKIE ACK is repeated, as the first may have been lost"
    );
    stage.assert_alive();
    stage.send(&[chunk(ABORT, 0, &[])]);
    stage.events();
    assert_eq!(stage.send(&[echo]), []);
    let init = init(INIT, 8, (1, 1), 1, &[]);
    assert_eq!(stage.inject(packet(0, &[init])), []);
    assert_eq!(stage.events(), []);
    assert_eq!(stage.sctp.state(), SctpState::Closed);
}

#[test]
fn a_message_over_the_maximum_ends_the_association() {
    for flags in [0, UNORDERED] {
        for ppid in [53, 1234] {
            let mut stage = Stage::new(SctpConfig { max_receive_message_size: 5000, ..config() });
            let payload = [1; 1000];
            for (index, len) in [1000, 1000, 1000, 1000, 1000].into_iter().enumerate() {
                let position = match index {
                    0 => FIRST,
                    4 => 1,
                    _ => MIDDLE,
                };
                let tsn = stage.next_tsn();
                stage.send(&[data(position | flags, tsn, 1, 0, ppid, &payload[..len])]);
            }
            let messages = stage.messages();
            assert_eq!(messages.len(), 1, "5,000 bytes are allowed");
            assert_eq!(messages[0].1, Message::new(Ppid(ppid), vec![1; 5000].into()));
            let mut sent = Vec::new();
            for (index, len) in [1000, 1000, 1000, 1000, 1000, 1].into_iter().enumerate() {
                let position = match index {
                    0 => FIRST,
                    5 => 1,
                    _ => MIDDLE,
                };
                let tsn = stage.next_tsn();
                sent = stage.send(&[data(position | flags, tsn, 1, 1, ppid, &payload[..len])]);
            }
            assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);
            assert_eq!(sent.last().map(|chunk| chunk.kind), Some(ABORT));
            let reason = stage.sctp.end_reason().and_then(EndReason::reason).expect("one");
            assert_eq!(reason.code, Code::MessageTooLarge, "{reason:?}");
            assert_eq!(reason.message, "the peer sent a message over the maximum of 5000 bytes");
        }
    }
}

#[test]
fn unfinished_messages_beyond_the_window_abort_the_association() {
    let mut stage = Stage::new(config());
    let mut sent = Vec::new();
    for stream in 0..20 {
        for index in 0..200 {
            let flags = if index == 0 { FIRST } else { MIDDLE };
            let tsn = stage.next_tsn();
            sent.extend(stage.send(&[data(flags, tsn, stream, 0, 53, &[0; 1100])]));
        }
    }
    assert_eq!(stage.sctp.state(), SctpState::Closed);
    assert_eq!(sent.last().map(|chunk| chunk.kind), Some(ABORT));
    assert_eq!(stage.sctp.end_reason(), Some(&EndReason::ReceiveBufferExhausted));
}

#[test]
fn floods_of_forward_tsn_and_reconfig_have_few_answers() {
    let mut stage = Stage::new(config());
    for _ in 0..100 {
        let tsn = stage.next_tsn();
        stage.send(&[data(WHOLE, tsn, tsn as u16 % 50, 0, 51, b"x")]);
    }
    let forward = chunk(FORWARD_TSN, 0, &stage.puppet.tsn.to_be_bytes());
    assert!(stage.send(&vec![forward; 100]).len() <= 1);
    stage.next_tsn();
    stage.pass(Duration::from_secs(1));
    let requests: Vec<_> = (0..60)
        .map(|i| {
            reset(stage.puppet.request + i, 0, stage.puppet.tsn.wrapping_sub(1), &[(i % 50) as u16])
        })
        .collect();
    assert!(stage.send(&requests).len() <= 4);
    stage.assert_alive();
}

#[test]
fn a_forward_tsn_far_ahead_leaves_the_association_alive() {
    let mut stage = Stage::new(config());
    let first = stage.next_tsn();
    stage.send(&[data(FIRST, first, 1, 0, 53, b"x")]);
    let ahead = stage.puppet.tsn.wrapping_add(1 << 30);
    stage.send(&[chunk(FORWARD_TSN, 0, &ahead.to_be_bytes())]);
    stage.puppet.tsn = ahead.wrapping_add(1);
    stage.assert_alive();
}

#[test]
fn a_window_that_stays_zero_blocks_sending_only() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let mut refused = 0;
    for _ in 0..3000 {
        let message = Message::new(Ppid::BINARY, vec![0; 1000].into());
        refused += u32::from(stage.sctp.send(stage.now, 1, message).is_err());
        stage.send(&[sack(last, 0, &[])]);
    }
    assert!(refused > 500);
    let sent = stage.pass(Duration::from_secs(600));
    assert!(sent.len() < 600, "the closed window is only probed: {} chunks", sent.len());
    assert!(stage.sctp.queued_bytes() <= 2_001_000);
    stage.assert_alive();
}

#[test]
fn using_too_many_streams_aborts_the_association() {
    let mut stage = Stage::new(config());
    let mut sent = Vec::new();
    let mut used = 0;
    while stage.sctp.state() == SctpState::Connected && used < 20_000 {
        stage.now += Duration::from_millis(1);
        let tsn = stage.next_tsn();
        sent = stage.send(&[data(WHOLE, tsn, used, 0, 51, b"x")]);
        used += 1;
    }
    assert_eq!(stage.sctp.state(), SctpState::Closed);
    assert!((8192..8200).contains(&used), "{used} streams");
    assert_eq!(sent.last().map(|chunk| chunk.kind), Some(ABORT));
}

#[test]
fn packets_before_connect_and_after_the_end_are_dropped() {
    let mut sctp = datasoup::proto::sctp::Association::new(config());
    let now: Instant = start();
    let packet = packet(0, &[init(INIT, 8, (1, 1), 1, &[])]);
    assert!(!sctp.handle_packet(now, packet.clone()));
    sctp.handle_timeout(now);
    sctp.drain_transmits(now, |_| panic!("there is nothing to send"));
    assert_eq!(sctp.poll_event(), None);
    assert_eq!(sctp.poll_timeout(), None);
    sctp.abort(now);
    sctp.abort(now);
    sctp.connect(now);
    assert_eq!(sctp.poll_event(), Some(SctpEvent::State(SctpState::Closed)));
    assert_eq!(sctp.poll_event(), None);
    sctp.drain_transmits(now, |_| panic!("there is no peer to send an ABORT to"));
    assert!(!sctp.handle_packet(now, packet));
    assert_eq!(sctp.counters().packets_unexpected, 2);
    assert_eq!((sctp.poll_event(), sctp.poll_timeout()), (None, None));
}

#[test]
fn a_shutdown_of_the_peer_closes_the_association() {
    let mut stage = Stage::new(config());
    let sent =
        stage.send(&[chunk(SHUTDOWN, 0, &stage.puppet.initial_tsn.wrapping_sub(1).to_be_bytes())]);
    assert_eq!(sent[0].kind, SHUTDOWN_ACK);
    stage.send(&[chunk(SHUTDOWN_COMPLETE, 0, &[])]);
    assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);

    let mut stage = Stage::new(config());
    stage.send(&[chunk(SHUTDOWN, 0, &stage.puppet.initial_tsn.wrapping_sub(1).to_be_bytes())]);
    let sent = stage.pass(Duration::from_secs(60));
    assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);
    assert!(sent.len() < 20);
    assert_eq!(stage.sctp.poll_timeout(), None);
}

#[test]
fn surplus_bytes_in_the_chunks_of_a_shutdown_are_ignored() {
    const SURPLUS: [u8; 8] = [0xff; 8];
    for (answer, expected) in [(SHUTDOWN_COMPLETE, None), (SHUTDOWN_ACK, Some(SHUTDOWN_COMPLETE))] {
        let mut stage = Stage::new(config());
        let acknowledged = stage.puppet.initial_tsn.wrapping_sub(1).to_be_bytes();
        let sent = stage.send(&[chunk(SHUTDOWN, 0, &[&acknowledged[..], &SURPLUS].concat())]);
        assert_eq!(sent.first().map(|chunk| chunk.kind), Some(SHUTDOWN_ACK));
        let sent = stage.send(&[chunk(answer, 0, &SURPLUS)]);
        assert_eq!(sent.first().map(|chunk| chunk.kind), expected);
        stage.pass(Duration::from_secs(10));
        assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)], "answer {answer}");
    }
}

#[test]
fn a_stream_used_again_before_its_reset_completes_does_no_harm() {
    let mut stage = Stage::new(config());
    for round in 0..20u32 {
        let tsn = stage.next_tsn();
        let request = stage.puppet.request;
        stage.puppet.request += 1;
        stage.send(&[
            data(WHOLE, tsn, 1, 0, 51, b"x"),
            reset(request, stage.puppet.initial_tsn.wrapping_sub(1), tsn, &[1]),
        ]);
        assert_eq!(stage.sctp.state(), SctpState::Connected, "round {round}");
        assert!(!stage.sctp.is_stream_free(1));
    }
    stage.assert_alive();
}
