//! Closing channels: resets of streams (RFC 6525), and reuse of their ids.

use std::time::Duration;

use datasoup::proto::message::Reliability;
use datasoup::proto::sctp::{MessageTally, SctpConfig, SctpEvent};

use crate::peers::{Ours, config, number, numbered, pair, pair_with};
use crate::puppet::*;
use crate::sim::Conditions;

fn resets(ours: &Ours, stream: u16) -> usize {
    ours.events.iter().filter(|e| **e == SctpEvent::StreamReset { stream }).count()
}

#[test]
fn a_reset_is_emitted_once_and_its_stream_can_be_used_again() {
    for conditions in [Conditions::PERFECT, Conditions::ROUGH] {
        for seed in 0..3 {
            let mut net = pair(conditions, seed);
            for round in 0..3 {
                assert!(net.a.sctp.is_stream_free(5), "round {round}");
                net.a.sctp.open_stream(5, Reliability::RELIABLE);
                net.b.sctp.open_stream(5, Reliability::RELIABLE);
                assert!(!net.a.sctp.is_stream_free(5));
                for i in 0..20 {
                    net.a.sctp.send(net.now, 5, numbered(i, 2000)).expect("room");
                    net.b.sctp.send(net.now, 5, numbered(i, 100)).expect("room");
                }
                let arrived = net.run_until(Duration::from_secs(30), |net| {
                    net.a.message_count() == 20 && net.b.message_count() == 20
                });
                assert!(arrived, "round {round}: {} of 20", net.b.message_count());
                net.b.take_messages();
                net.a.take_messages();
                assert_eq!(net.a.sctp.reset_stream(5), MessageTally::default());
                assert!(!net.a.sctp.is_stream_free(5));
                let emitted =
                    net.run_until(Duration::from_secs(30), |net| resets(&net.b, 5) > round);
                assert!(emitted, "round {round}");
                net.b.sctp.reset_stream(5);
                net.run_for(Duration::from_secs(20));
                assert!(net.a.sctp.is_stream_free(5) && net.b.sctp.is_stream_free(5));
                assert_eq!(resets(&net.b, 5), round + 1);
                assert_eq!(resets(&net.a, 5), 0, "A reset it itself");
            }
        }
    }
}

#[test]
fn the_reset_of_an_unused_stream_is_emitted() {
    let mut net = pair(Conditions::PERFECT, 1);
    net.a.sctp.open_stream(8, Reliability::RELIABLE);
    net.b.sctp.open_stream(8, Reliability::RELIABLE);
    net.a.sctp.reset_stream(8);
    net.run_for(Duration::from_secs(1));
    assert_eq!(resets(&net.b, 8), 1);
    net.b.sctp.reset_stream(8);
    net.run_for(Duration::from_secs(10));
    assert!(net.a.sctp.is_stream_free(8) && net.b.sctp.is_stream_free(8));
}

#[test]
fn a_reset_discards_queued_messages_and_delivers_those_already_written() {
    let mut net = pair(Conditions::PERFECT, 2);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    for i in 0..1000 {
        net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
    }
    net.flush();
    let discarded = net.a.sctp.reset_stream(1);
    assert!(discarded.messages > 800 && discarded.messages < 1000, "{discarded:?}");
    assert_eq!(discarded.bytes, discarded.messages * 1000);
    assert_eq!(net.a.sctp.queued_bytes(), 0);
    net.run_for(Duration::from_secs(20));
    let numbers: Vec<u32> = net.b.take_messages().iter().map(|(_, m)| number(m)).collect();
    assert_eq!(numbers, (0..1000 - discarded.messages as u32).collect::<Vec<_>>());
    assert_eq!(resets(&net.b, 1), 1, "the reset is emitted after the messages");
}

#[test]
fn both_sides_can_reset_a_stream_at_once() {
    for seed in 0..3 {
        let mut net = pair(Conditions::ROUGH, seed);
        for ours in [&mut net.a, &mut net.b] {
            ours.sctp.open_stream(3, Reliability::RELIABLE);
            ours.sctp.send(net.now, 3, numbered(1, 10)).expect("room");
        }
        net.run_for(Duration::from_secs(5));
        net.a.sctp.reset_stream(3);
        net.b.sctp.reset_stream(3);
        net.run_for(Duration::from_secs(30));
        assert!(net.a.sctp.is_stream_free(3) && net.b.sctp.is_stream_free(3));
        assert_eq!(resets(&net.a, 3) + resets(&net.b, 3), 0);
    }
}

#[test]
fn after_a_reset_of_the_peer_the_queued_messages_are_still_counted() {
    let mut net = pair(Conditions::PERFECT, 4);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    net.b.sctp.open_stream(1, Reliability::RELIABLE);
    net.b.sctp.send(net.now, 1, numbered(0, 10)).expect("room");
    net.run_for(Duration::from_secs(1));
    net.b.sctp.reset_stream(1);
    for i in 0..900 {
        net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(5), |net| resets(&net.a, 1) == 1));
    assert!(net.a.sctp.send(net.now, 1, numbered(0, 10)).is_err(), "the stream is closed");
    let discarded = net.a.sctp.reset_stream(1);
    assert!(discarded.messages > 0);
    net.run_for(Duration::from_secs(20));
    assert!(net.a.sctp.is_stream_free(1) && net.b.sctp.is_stream_free(1));
}

#[test]
fn a_reset_does_not_disturb_other_streams() {
    let mut net = pair(Conditions::ROUGH, 5);
    for stream in 0..10 {
        net.a.sctp.open_stream(stream, Reliability::RELIABLE);
    }
    for i in 0..200 {
        for stream in 0..10 {
            if stream != 0 || i < 100 {
                net.a.sctp.send(net.now, stream, numbered(i, 500)).expect("room");
            }
        }
        if i == 100 {
            net.a.sctp.reset_stream(0);
        }
        net.run_for(Duration::from_millis(3));
    }
    let arrived = net.run_until(Duration::from_secs(60), |net| {
        let others =
            |event: &&SctpEvent| matches!(event, SctpEvent::Message { stream, .. } if *stream != 0);
        net.b.events.iter().filter(others).count() == 1800
    });
    assert!(arrived);
    net.run_for(Duration::from_secs(10));
    assert_eq!(resets(&net.b, 0), 1);
}

#[test]
fn a_reset_comes_to_an_end() {
    for seed in 0..40 {
        let conditions = if seed < 2 { Conditions::PERFECT } else { Conditions::ROUGH };
        let mut net = pair(conditions, seed);
        net.a.sctp.open_stream(1, Reliability::RELIABLE);
        if seed % 2 == 0 {
            net.a.sctp.send(net.now, 1, numbered(0, 10)).expect("room");
            net.run_for(Duration::from_secs(1));
        }
        net.a.sctp.reset_stream(1);
        net.run_for(Duration::from_secs(30));
        let sent = net.sent;
        net.run_for(Duration::from_secs(60));
        assert_eq!(net.sent, sent, "nothing is left to send");
        assert_eq!(resets(&net.b, 1), 1);
    }
}

#[test]
fn closing_a_channel_that_the_peer_has_closed_leaves_its_stream_usable() {
    let mut stage = Stage::new(config());
    for round in 0..3 {
        let tsn = stage.next_tsn();
        stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"hello")]);
        assert_eq!(stage.messages().len(), 1, "round {round}");
        // The peer closes its channel; our side is reset in return.
        let request = stage.puppet.request;
        stage.puppet.request += 1;
        let sent = stage.send(&[reset(request, 0, tsn, &[1])]);
        assert_eq!(stage.events(), [SctpEvent::StreamReset { stream: 1 }]);
        answer_resets(&mut stage, sent, PERFORMED);
        stage.pass(Duration::from_secs(10));
        // The application closes its side long after that, when the peer has nothing left to reset
        // in return.
        stage.sctp.reset_stream(1);
        let sent = stage.drain();
        answer_resets(&mut stage, sent, PERFORMED);
        stage.pass(Duration::from_secs(10));
        stage.drain();
        assert!(stage.sctp.is_stream_free(1), "round {round}");
    }
}

/// Results of a reset (RFC 6525 §4.4).
const PERFORMED: u8 = 1;
const DENIED: u8 = 2;

/// Answers all reset requests in `sent`, as a peer does that has nothing to reset itself.
fn answer_resets(stage: &mut Stage, sent: Vec<Seen>, result: u8) {
    for request in sent.iter().filter(|it| it.kind == RECONFIG && it.value[..2] == [0, 13]) {
        let answer = [&request.value[4..8], &[0, 0, 0, result]].concat();
        stage.send(&[chunk(RECONFIG, 0, &parameter(16, &answer))]);
    }
}

#[test]
fn streams_that_are_reset_do_not_count_towards_their_maximum() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    // The maximum is 8,192 (`MAX_CLIENT_STREAMS`).
    for first in (0..9000).step_by(100) {
        let streams: Vec<u16> = (first..first + 100).collect();
        for stream in &streams {
            let tsn = stage.next_tsn();
            stage.send(&[data(WHOLE, tsn, *stream, 0, 51, b"x")]);
        }
        let tsn = stage.puppet.tsn.wrapping_sub(1);
        let sent = stage.send(&[reset(stage.puppet.request, last, tsn, &streams)]);
        stage.puppet.request += 1;
        answer_resets(&mut stage, sent, PERFORMED);
        let sent = stage.pass(Duration::from_secs(10));
        answer_resets(&mut stage, sent, PERFORMED);
    }
    assert_eq!(stage.sctp.counters().packets_overload, 0);
    stage.assert_alive();
}

#[test]
fn resets_whose_answers_the_peer_denies_make_room_for_others() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    // At most 256 may be unfinished (`MAX_UNFINISHED_RESETS`).
    for stream in 0..600 {
        let tsn = stage.next_tsn();
        stage.send(&[data(WHOLE, tsn, stream, 0, 51, b"x")]);
        let sent = stage.send(&[reset(stage.puppet.request, last, tsn, &[stream])]);
        stage.puppet.request += 1;
        answer_resets(&mut stage, sent, DENIED);
        let sent = stage.pass(Duration::from_secs(1));
        answer_resets(&mut stage, sent, DENIED);
        assert_eq!(stage.sctp.counters().chunks_stripped, 0, "the reset of stream {stream}");
        let closed = SctpEvent::StreamReset { stream };
        assert!(stage.events().contains(&closed), "stream {stream}");
    }
    stage.assert_alive();
}

#[test]
fn closing_a_stream_that_fills_the_window_keeps_the_association() {
    let small = SctpConfig { max_receive_message_size: 15_000, max_receiver_window: 1, ..config() };
    let mut net = pair_with(config(), small, Conditions::PERFECT, 6);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    for i in 0..100 {
        net.a.sctp.send(net.now, 1, numbered(i, 15_000)).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(30), |net| net.b.message_count() >= 10));
    net.b.sctp.reset_stream(1);
    net.run_for(Duration::from_secs(30));
    assert!(net.a.is_connected() && net.b.is_connected());
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 2, numbered(0, 15_000)).expect("room");
    net.b.take_messages();
    assert!(net.run_until(Duration::from_secs(30), |net| net.b.message_count() == 1));
}

/// The peer sends `count` messages on stream 1; none is delivered.
fn keep_sending(stage: &mut Stage, count: u16) {
    for first in (0..count).step_by(50) {
        let chunks: Vec<_> = (first..first + 50)
            .map(|ssn| data(WHOLE, stage.next_tsn(), 1, ssn, 51, b"x"))
            .collect();
        stage.send(&chunks);
        stage.now += Duration::from_millis(5);
        assert_eq!(stage.messages(), []);
    }
}

#[test]
fn closing_a_stream_that_the_peer_still_sends_on_keeps_the_association() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    stage.sctp.reset_stream(1);
    stage.drain();
    keep_sending(&mut stage, 40_000);
    stage.assert_alive();
}

#[test]
fn a_stream_whose_reset_is_denied_is_not_free_until_the_peer_resets_it() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    stage.sctp.reset_stream(1);
    let sent = stage.drain();
    answer_resets(&mut stage, sent, DENIED);
    stage.pass(Duration::from_secs(60));
    assert!(!stage.sctp.is_stream_free(1));
    // The peer's side is open, so it may send on it (RFC 6525 §5.2.7).
    keep_sending(&mut stage, 20_000);
    stage.assert_alive();
    let last = stage.puppet.tsn.wrapping_sub(1);
    let request = stage.puppet.request;
    stage.puppet.request += 1;
    let sent = stage.send(&[reset(request, 0, last, &[1])]);
    answer_resets(&mut stage, sent, PERFORMED);
    stage.pass(Duration::from_secs(10));
    stage.drain();
    assert!(stage.sctp.is_stream_free(1));
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"again")]);
    assert_eq!(stage.messages().len(), 1);
}

#[test]
fn a_stream_reset_by_both_sides_at_once_carries_messages_again() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"hello")]);
    assert_eq!(stage.messages().len(), 1);
    // The peer's reset arrives before ours is sent.
    stage.sctp.reset_stream(1);
    let request = stage.puppet.request;
    stage.puppet.request += 1;
    let sent = stage.send(&[reset(request, 0, tsn, &[1])]);
    answer_resets(&mut stage, sent, PERFORMED);
    let sent = stage.pass(Duration::from_secs(10));
    answer_resets(&mut stage, sent, PERFORMED);
    stage.drain();
    assert!(stage.sctp.is_stream_free(1));
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"again")]);
    let messages = stage.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(&messages[0].1.payload[..], b"again");
}

#[test]
fn closing_a_channel_that_the_peer_has_closed_and_uses_again_resets_nothing() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"hello")]);
    let sent = stage.send(&[reset(stage.puppet.request, 0, tsn, &[1])]);
    answer_resets(&mut stage, sent, PERFORMED);
    stage.pass(Duration::from_secs(10));
    stage.drain();
    stage.sctp.expect_stream(1);
    stage.sctp.reset_stream(1);
    assert_eq!(stage.drain(), []);
    stage.events();
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"again")]);
    assert_eq!(stage.messages().len(), 1);
}

#[test]
fn a_stream_expected_to_be_used_again_is_reset_when_it_is_closed_again() {
    let mut stage = Stage::new(config());
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"hello")]);
    let sent = stage.send(&[reset(stage.puppet.request, 0, tsn, &[1])]);
    answer_resets(&mut stage, sent, PERFORMED);
    stage.pass(Duration::from_secs(10));
    stage.sctp.reset_stream(1);
    assert_eq!(stage.drain(), [], "no message has used the stream since its reset");
    stage.sctp.expect_stream(1);
    stage.sctp.reset_stream(1);
    assert!(stage.drain().iter().any(|chunk| chunk.kind == RECONFIG));
}

#[test]
fn without_data_channels_a_closed_stream_is_not_reset() {
    let mut stage = Stage::new(SctpConfig { data_channels: false, ..config() });
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    stage.sctp.send(stage.now, 1, numbered(0, 10)).expect("room");
    assert_eq!(stage.drain().len(), 1);
    stage.sctp.reset_stream(1);
    assert_eq!(stage.drain(), []);
    assert!(stage.sctp.is_stream_free(1));
}

/// A RE-CONFIG with a request to add outgoing streams (RFC 6525 §4.5).
fn add_streams(request: u32, count: u16) -> Vec<u8> {
    let value = [&request.to_be_bytes()[..], &count.to_be_bytes(), &[0, 0]].concat();
    chunk(RECONFIG, 0, &parameter(17, &value))
}

#[test]
fn a_peer_can_add_streams_to_those_it_sends_on() {
    let mut stage = Stage::with_streams(config(), (4, 10));
    assert_eq!(stage.sctp.negotiated_streams(), Some((10, 4)));
    let request = stage.puppet.request;
    for attempt in 0..2 {
        let sent = stage.send(&[add_streams(request, 3)]);
        let [answer] = &sent[..] else { panic!("an answer, not {sent:?}") };
        let result = [&[0, 16, 0, 12][..], &request.to_be_bytes(), &[0, 0, 0, PERFORMED]].concat();
        assert_eq!((answer.kind, &answer.value), (RECONFIG, &result), "attempt {attempt}");
        assert_eq!(stage.sctp.negotiated_streams(), Some((10, 7)), "attempt {attempt}");
    }
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 6, 0, 51, b"new")]);
    assert_eq!(stage.messages().len(), 1);
    // The next request has the next number.
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    stage.send(&[reset(request + 1, last, tsn, &[6])]);
    assert_eq!(stage.events(), [SctpEvent::StreamReset { stream: 6 }]);
    stage.send(&[add_streams(request + 2, u16::MAX)]);
    assert_eq!(stage.sctp.negotiated_streams(), Some((10, u16::MAX)));
    assert_eq!(stage.sctp.counters().chunks_stripped, 0);
    stage.assert_alive();
}

#[test]
fn a_request_that_is_lost_is_repeated_soon() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    stage.sctp.send(stage.now, 1, numbered(0, 100)).expect("room");
    let sent = stage.drain();
    let sent = sent.iter().find(|chunk| chunk.kind == DATA).expect("the message");
    stage.send(&[sack(sent.tsn(), 1 << 20, &[])]);
    stage.sctp.reset_stream(1);
    let is_request = |chunk: &&Seen| chunk.kind == RECONFIG && chunk.value[..2] == [0, 13];
    assert_eq!(stage.drain().iter().filter(is_request).count(), 1);
    assert_eq!(stage.pass(Duration::from_millis(290)).iter().filter(is_request).count(), 0);
    assert_eq!(stage.pass(Duration::from_millis(20)).iter().filter(is_request).count(), 1);
}

#[test]
fn what_is_behind_a_reset_in_its_packet_arrives_as_in_a_packet_of_its_own() {
    // What is incomplete when it is reset goes away; what is complete is delivered.
    for (flags, count) in [(FIRST, 2), (FIRST | UNORDERED, 2), (WHOLE, 5), (WHOLE | UNORDERED, 5)] {
        let events = [true, false].map(|together| {
            let mut stage = Stage::new(config());
            let last = stage.puppet.initial_tsn.wrapping_sub(1);
            let [first, second, third, fourth] = std::array::from_fn(|_| stage.next_tsn());
            let ahead = [
                data(flags, first, 1, 0, 51, b"before"),
                reset(stage.puppet.request, last, first, &[1]),
            ];
            let behind = [
                data(WHOLE, second, 2, 0, 51, b"another stream"),
                data(WHOLE, third, 1, 0, 51, b"the next use"),
            ];
            if together {
                stage.send(&[&ahead[..], &behind].concat());
            } else {
                stage.send(&ahead);
                stage.send(&behind);
            }
            stage.send(&[data(WHOLE, fourth, 1, 1, 51, b"more of it")]);
            assert_eq!(stage.sctp.counters().chunks_stripped, 0);
            let events = stage.events();
            stage.assert_alive();
            events
        });
        assert_eq!(events[0], events[1]);
        assert_eq!(events[0].len(), count, "{:?}", events[0]);
    }
}

#[test]
fn a_packet_with_a_second_request_has_the_first_granted_alone() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let tsn = stage.next_tsn();
    let request = stage.puppet.request;
    let resets = [1, 2].map(|n| reset(request + u32::from(n) - 1, last, tsn, &[n]));
    let data =
        [1, 2].map(|stream| data(WHOLE, tsn.wrapping_add(stream.into()) - 1, stream, 0, 51, b"x"));
    stage.next_tsn();
    stage.send(&[&data[..1], &resets, &data[1..]].concat());
    assert_eq!(stage.sctp.counters().chunks_stripped, 1);
    let reset = |stream| SctpEvent::StreamReset { stream };
    let resets_of = |stage: &mut Stage| {
        let events = stage.events();
        [1, 2].map(|stream| events.contains(&reset(stream)))
    };
    assert_eq!(resets_of(&mut stage), [true, false]);
    // The peer repeats the request.
    stage.send(&resets[1..]);
    assert_eq!(resets_of(&mut stage), [false, true]);
    stage.assert_alive();
}

#[test]
fn data_that_a_reset_names_arrives_first_wherever_it_is_in_the_packet() {
    let events = [false, true].map(|is_behind| {
        let mut stage = Stage::new(config());
        let last = stage.puppet.initial_tsn.wrapping_sub(1);
        let [first, second, third, fourth] = std::array::from_fn(|_| stage.next_tsn());
        let request = reset(stage.puppet.request, last, third, &[1]);
        // One of another stream was lost, and its DATA fills the packet.
        stage.send(&[data(WHOLE, second, 1, 0, 51, b"before")]);
        let [named, more] = [
            [data(WHOLE, first, 2, 0, 51, b"lost"), data(WHOLE, third, 2, 1, 51, b"the last")],
            [data(WHOLE, fourth, 1, 0, 51, b"the next use"), data(FIRST, second, 1, 0, 51, b"x")],
        ];
        let packet = match is_behind {
            true => [std::slice::from_ref(&request), &more[..1], &named, &more[1..]].concat(),
            false => [&named[..], std::slice::from_ref(&request), &more].concat(),
        };
        stage.send(&packet);
        assert_eq!(stage.sctp.counters().chunks_stripped, 0);
        let events = stage.events();
        stage.assert_alive();
        events
    });
    assert_eq!(events[0], events[1]);
    let place = |event: &SctpEvent| events[0].iter().position(|it| it == event);
    let (stream, messages) = (1, events[0].len() - 1);
    assert_eq!((messages, place(&SctpEvent::StreamReset { stream })), (4, Some(3)));
}

#[test]
fn a_reset_that_names_what_its_packet_gives_up_is_granted() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let [missing, second] = std::array::from_fn(|_| stage.next_tsn());
    stage.send(&[data(FIRST, second, 1, 1, 51, b"a part")]);
    stage.next_tsn();
    stage.send(&[
        chunk(
            FORWARD_TSN,
            0,
            &[&missing.wrapping_add(2).to_be_bytes()[..], &[0, 1, 0, 1]].concat(),
        ),
        reset(stage.puppet.request, last, missing.wrapping_add(2), &[1]),
    ]);
    assert_eq!(stage.sctp.counters().chunks_stripped, 0);
    assert_eq!(stage.events(), [SctpEvent::StreamReset { stream: 1 }]);
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 1, 0, 51, b"the next use")]);
    assert_eq!(stage.messages().len(), 1);
    stage.assert_alive();
}
