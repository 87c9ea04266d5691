//! Floods: what a peer sends is charged to its budget, and what it leaves unanswered is bounded.

use std::time::Duration;

use datasoup::proto::message::{Limit, Message, Ppid, Reliability};
use datasoup::proto::sctp::{SctpConfig, SctpEvent, SctpState};

use crate::peers::config;
use crate::puppet::*;

/// A DATA_CHANNEL_OPEN without label and protocol (RFC 8832 §5.1).
const OPEN: [u8; 12] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Sends the same packet `count` times at once. Returns how many were dropped for overload.
fn flood(stage: &mut Stage, packet: &bytes::Bytes, count: u32) -> u64 {
    let before = stage.sctp.counters().packets_overload;
    for _ in 0..count {
        stage.sctp.handle_packet(stage.now, packet.clone());
    }
    stage.sctp.drain_transmits(stage.now, |_| {});
    assert_eq!(stage.sctp.state(), SctpState::Connected);
    stage.sctp.counters().packets_overload - before
}

/// An association on which the peer has used 4,000 streams.
fn stage_with_streams() -> Stage {
    let mut stage = Stage::new(config());
    for first in (0..4000).step_by(50) {
        let chunks: Vec<_> = (first..first + 50)
            .map(|stream| data(WHOLE, stage.next_tsn(), stream, 0, 51, b"x"))
            .collect();
        stage.send(&chunks);
        stage.now += Duration::from_millis(10);
    }
    assert_eq!(stage.messages().len(), 4000);
    stage.now += Duration::from_secs(10);
    stage
}

#[test]
fn sacks_are_charged_for_what_is_in_flight() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    for _ in 0..2000 {
        let message = Message::new(Ppid::BINARY, vec![0; 1].into());
        stage.sctp.send(stage.now, 1, message).expect("room");
    }
    let mut sent = 0;
    for _ in 0..100 {
        sent += stage.drain().iter().filter(|chunk| chunk.kind == DATA).count();
        // The SACK says that all chunks but the first have arrived, and that there is room for more.
        stage.send(&[sack(last, 1 << 20, &[(2, sent.max(2) as u16)])]);
        stage.now += Duration::from_millis(20);
    }
    assert!(sent >= 1900, "{sent}");
    let sack = packet(stage.puppet.tag, &[sack(last, 1 << 20, &[(2, sent as u16)])]);
    assert!(flood(&mut stage, &sack, 20_000) > 500);
}

#[test]
fn sacks_are_charged_for_their_length_even_if_their_blocks_are_out_of_order() {
    let last = |stage: &Stage| stage.puppet.initial_tsn.wrapping_sub(1);
    let mut stage = Stage::new(config());
    let duplicates: Vec<u32> = (0..4000).map(|number| last(&stage).wrapping_sub(number)).collect();
    let long = packet(stage.puppet.tag, &[sack_with(last(&stage), 1 << 20, &[], &duplicates)]);
    assert!(flood(&mut stage, &long, 5000) > 1500);

    let mut stage = Stage::new(config());
    let mut blocks: Vec<(u16, u16)> = (1..4000).map(|block| (2 * block, 2 * block)).collect();
    blocks.push((2, 2));
    let long = packet(stage.puppet.tag, &[sack(last(&stage), 1 << 20, &blocks)]);
    assert!(flood(&mut stage, &long, 5000) > 1500);
    assert!(stage.sctp.counters().chunks_stripped >= 5000);
}

#[test]
fn data_is_charged_for_every_stream_in_use() {
    let mut stage = stage_with_streams();
    let again = data(WHOLE, FIRST_TSN, 1, 0, 51, b"x");
    let packet = packet(stage.puppet.tag, &vec![again; 50]);
    assert!(flood(&mut stage, &packet, 1000) > 500);
}

#[test]
fn forward_tsns_are_charged_for_every_stream_in_use() {
    let mut stage = stage_with_streams();
    let again = chunk(FORWARD_TSN, 0, &FIRST_TSN.to_be_bytes());
    let packet = packet(stage.puppet.tag, &vec![again; 50]);
    assert!(flood(&mut stage, &packet, 1000) > 500);
}

#[test]
fn resets_are_charged_for_the_streams_they_name() {
    let mut stage = Stage::new(config());
    let ids: Vec<u16> = (0..500).collect();
    // The request is out of sequence, so the association answers it with an error each time.
    let reset = reset(stage.puppet.request + 7, 0, stage.puppet.tsn.wrapping_sub(1), &ids);
    let packet = packet(stage.puppet.tag, &[reset]);
    assert!(flood(&mut stage, &packet, 5000) > 1000);
}

#[test]
fn inits_are_charged() {
    let mut stage = Stage::halfway(config(), (10, 10), &extensions());
    let mut answers = 0;
    for tag in 1..60_000u32 {
        let init = init(INIT, tag, (1, 1), 1, &[]);
        stage.sctp.handle_packet(stage.now, packet(0, &[init]));
        stage.sctp.drain_transmits(stage.now, |_| answers += 1);
    }
    assert!(answers < 30_000, "{answers} answers");
    assert!(stage.sctp.counters().packets_overload > 30_000);
    // Half a second later another INIT is answered.
    stage.now += Duration::from_millis(500);
    stage.puppet.own_tag = 9;
    let sent = stage.inject(packet(0, &[init(INIT, 9, (1, 1), 1, &[])]));
    assert_eq!(sent[0].kind, INIT_ACK);
}

#[test]
fn the_chunks_kept_beyond_a_gap_are_bounded_until_it_closes() {
    let mut stage = Stage::new(config());
    let missing = stage.next_tsn();
    let mut packets = Vec::new();
    for _ in 0..60 {
        packets.push(
            (0..50)
                .map(|_| data(WHOLE | UNORDERED, stage.next_tsn(), 1, 0, 51, b"x"))
                .collect::<Vec<_>>(),
        );
    }
    let mut arrived = 0;
    for chunks in &packets {
        stage.send(chunks);
        arrived += stage.messages().len();
        stage.now += Duration::from_millis(20);
    }
    assert!((2048..2100).contains(&arrived), "{arrived} of 3,000");
    assert_eq!(stage.sctp.counters().chunks_stripped, 3000 - arrived as u64);
    // The missing chunk arrives, and the peer retransmits the chunks that were stripped.
    stage.send(&[data(WHOLE | UNORDERED, missing, 1, 0, 51, b"x")]);
    arrived += stage.messages().len();
    for chunks in &packets {
        stage.send(chunks);
        arrived += stage.messages().len();
        stage.now += Duration::from_millis(20);
    }
    assert_eq!(arrived, 3001, "each once");
    stage.assert_alive();
}

#[test]
fn the_bytes_kept_beyond_a_gap_are_bounded_by_the_window() {
    let small = SctpConfig { max_receive_message_size: 4464, max_receiver_window: 1, ..config() };
    assert_eq!(small.receive_window(), 70_000);
    let mut stage = Stage::new(small);
    stage.next_tsn();
    for _ in 0..80 {
        let tsn = stage.next_tsn();
        stage.send(&[data(WHOLE | UNORDERED, tsn, 1, 0, 53, &[0; 1000])]);
    }
    assert_eq!(stage.messages().len(), 70);
    assert_eq!(stage.sctp.counters().chunks_stripped, 10);
}

#[test]
fn an_ordered_stream_behind_a_gap_is_delayed_and_not_aborted() {
    let mut stage = Stage::new(config());
    let missing = data(WHOLE, stage.next_tsn(), 1, 0, 51, b"x");
    for first in (1..6000u16).step_by(50) {
        let chunks: Vec<_> = (first..first + 50)
            .map(|ssn| data(WHOLE, stage.next_tsn(), 1, ssn, 51, b"x"))
            .collect();
        stage.send(&chunks);
        stage.now += Duration::from_millis(20);
    }
    assert_eq!(stage.sctp.state(), SctpState::Connected);
    stage.send(&[missing]);
    assert!(stage.messages().len() > 2048);
}

#[test]
fn sending_stops_while_too_many_tsns_wait_for_a_missing_one() {
    let limited = Reliability { ordered: false, limit: Some(Limit::Retransmits(0)) };
    for reliability in [Reliability::RELIABLE, limited] {
        let mut stage = Stage::new(config());
        stage.sctp.open_stream(1, reliability);
        let last = stage.puppet.initial_tsn.wrapping_sub(1);
        let mut highest = 0;
        for _ in 0..400 {
            for _ in 0..20 {
                let message = Message::new(Ppid::BINARY, vec![0; 10].into());
                let _ = stage.sctp.send(stage.now, 1, message);
            }
            stage.now += Duration::from_millis(20);
            let sent = stage.drain();
            let ahead = sent.iter().filter(|c| c.kind == DATA).map(|c| c.tsn().wrapping_sub(last));
            highest = ahead.fold(highest, u32::max);
            // The peer reports that the first TSN is missing and all others have arrived.
            if highest >= 2 {
                stage.send(&[sack(last, 1 << 20, &[(2, highest as u16)])]);
            }
        }
        // Two flights of 128 KiB, in which a message of 10 bytes counts for 74.
        assert!(highest > 3500, "sending continues for a while: {highest}");
        assert!(highest < 4096 + 2048, "{highest}");
        // The missing TSN arrives, and sending continues.
        stage.send(&[sack(last.wrapping_add(highest), 1 << 20, &[])]);
        assert!(stage.drain().is_empty());
        stage.assert_alive();
        assert!(stage.sctp.queued_bytes() < 40_000);
    }
}

#[test]
fn acknowledgements_of_opens_wait_while_the_peer_acknowledges_nothing() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    for _ in 0..4000 {
        let tsn = stage.next_tsn();
        stage.send(&[data(WHOLE, tsn, 1, tsn.wrapping_sub(FIRST_TSN) as u16, 50, &OPEN)]);
        stage.now += Duration::from_millis(1);
    }
    // The DATA_CHANNEL_ACKs that wait are sent as soon as the peer acknowledges earlier ones.
    let mut highest = 0;
    for _ in 0..400 {
        let mut sent = stage.send(&[sack(last.wrapping_add(highest), 1 << 20, &[])]);
        sent.extend(stage.pass(Duration::from_millis(50)));
        let numbers = sent.iter().filter(|c| c.kind == DATA).map(|c| c.tsn().wrapping_sub(last));
        highest = numbers.fold(highest, u32::max);
    }
    assert!((100..2100).contains(&highest), "{highest} answers");
    stage.assert_alive();
}

#[test]
fn channels_with_long_labels_wait_within_the_bound_of_messages() {
    let mut stage = Stage::new(config());
    let length = 60_000u16.to_be_bytes();
    let open = [&OPEN[..8], &length, &[0, 0], &[b'x'; 60_000]].concat();
    // A message waits for its turn, and the channels behind it.
    for stream in 0..40 {
        let tsn = stage.next_tsn();
        let message = if stream == 0 { (51, &b"x"[..]) } else { (50, &open[..]) };
        stage.send(&[data(WHOLE, tsn, stream, 0, message.0, message.1)]);
        stage.now += Duration::from_millis(50);
    }
    let waiting = stage.sctp.bytes_held();
    assert!((1 << 20..(1 << 20) + 61_000).contains(&waiting), "{waiting} bytes");
    assert_eq!(stage.sctp.counters().packets_overload, 40 - 1 - 18);
    assert_eq!(stage.events().len(), 1 + 18);
    assert!(stage.sctp.bytes_held() < 2000, "only the answers are left");
}

#[test]
fn a_peer_that_leaves_resets_unanswered_cannot_reset_more_streams() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let mut answered = 0;
    for stream in 0..400 {
        let tsn = stage.next_tsn();
        let request = reset(stage.puppet.request, last, tsn, &[stream]);
        let sent = stage.send(&[data(WHOLE, tsn, stream, 0, 51, b"x"), request]);
        // A response begins with parameter type 16.
        if sent.iter().any(|c| c.kind == RECONFIG && c.value.starts_with(&[0, 16])) {
            answered += 1;
            stage.puppet.request += 1;
        }
        stage.now += Duration::from_millis(10);
    }
    assert_eq!(answered, 256);
    // Once the peer has answered our resets, it may reset more streams.
    for _ in 0..300 {
        let sent = stage.pass(Duration::from_millis(6000));
        let ours = sent.iter().rfind(|c| c.kind == RECONFIG && c.value.starts_with(&[0, 13]));
        let Some(ours) = ours else { break };
        let mut response = ours.value[4..8].to_vec();
        response.extend_from_slice(&1u32.to_be_bytes());
        stage.send(&[chunk(RECONFIG, 0, &parameter(16, &response))]);
    }
    let sent =
        stage.send(&[reset(stage.puppet.request, last, stage.puppet.tsn.wrapping_sub(1), &[300])]);
    assert!(sent.iter().any(|c| c.kind == RECONFIG), "{sent:?}");
    stage.assert_alive();
}

#[test]
fn a_reset_within_a_message_drops_its_fragments() {
    for ordered in [0, UNORDERED] {
        let mut stage = Stage::new(config());
        let last = stage.puppet.initial_tsn.wrapping_sub(1);
        for stream in [1, 2] {
            let tsn = stage.next_tsn();
            let fragment = data(FIRST | ordered, tsn, stream, 0, 53, &[0; 1000]);
            stage.send(&[fragment, reset(stage.puppet.request, last, tsn, &[stream])]);
            stage.puppet.request += 1;
            assert_eq!(stage.events(), [SctpEvent::StreamReset { stream }]);
        }
        let tsn = stage.next_tsn();
        let mut sent = stage.send(&[data(WHOLE, tsn, 3, 0, 53, b"x")]);
        sent.extend(stage.pass(Duration::from_secs(1)));
        let sack = sent.iter().rfind(|chunk| chunk.kind == SACK).expect("an acknowledgement");
        let window = u32::from_be_bytes(sack.value[4..8].try_into().expect("four"));
        assert_eq!(window, 1024 * 1024, "nothing is held");
        stage.assert_alive();
    }
}

#[test]
fn fragments_of_messages_that_the_peer_abandons_are_not_held() {
    let mut stage = Stage::new(config());
    // The peer abandons more messages than a client may leave incomplete.
    for ssn in 0..6000u16 {
        let (first, lost) = (stage.next_tsn(), stage.next_tsn());
        let skip = [&lost.to_be_bytes()[..], &1u16.to_be_bytes(), &ssn.to_be_bytes()].concat();
        stage.send(&[data(FIRST, first, 1, ssn, 53, b"x")]);
        stage.send(&[chunk(FORWARD_TSN, 0, &skip)]);
        stage.now += Duration::from_millis(10);
    }
    assert_eq!(stage.events(), []);
    stage.assert_alive();
}

#[test]
fn data_that_the_full_window_rejects_has_not_arrived() {
    const LAST: u8 = 1;
    let small = SctpConfig { max_receive_message_size: 40_000, max_receiver_window: 1, ..config() };
    assert_eq!(small.receive_window(), 105_536);
    let mut stage = Stage::new(small);
    let [first, missing, other, second, rejected] = std::array::from_fn(|_| stage.next_tsn());
    stage.send(&[data(FIRST, first, 1, 0, 53, &[0; 39_000])]);
    stage.send(&[data(FIRST, other, 4, 0, 53, &[0; 39_000])]);
    stage.send(&[data(FIRST, second, 3, 0, 53, &[0; 27_536])]);
    stage.send(&[data(WHOLE, rejected, 2, 0, 53, b"x")]);
    let mut sent = stage.send(&[data(LAST, missing, 1, 0, 53, b"x")]);
    assert_eq!(stage.messages().len(), 1);
    sent.extend(stage.pass(Duration::from_secs(1)));
    let sack = sent.iter().rfind(|chunk| chunk.kind == SACK).expect("an acknowledgement");
    assert_eq!(sack.tsn(), second);
    // A reset that refers to the rejected chunk has to wait for it.
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let reset = reset(stage.puppet.request, last, rejected, &[2]);
    let sent = stage.send(std::slice::from_ref(&reset));
    assert!(sent.iter().all(|chunk| chunk.kind != RECONFIG), "{sent:?}");
    assert_eq!(stage.sctp.counters().chunks_stripped, 1);
    let sent = stage.send(&[data(WHOLE, rejected, 2, 0, 53, b"x"), reset]);
    assert!(sent.iter().any(|chunk| chunk.kind == RECONFIG), "{sent:?}");
    assert_eq!(stage.messages().len(), 1);
}

#[test]
fn a_reset_waits_for_data_that_the_full_window_may_have_rejected() {
    let small = SctpConfig { max_receive_message_size: 40_000, max_receiver_window: 1, ..config() };
    // Whether the peer has a SACK of the rejected chunk before the window opens again.
    for acknowledges in [false, true] {
        let mut stage = Stage::new(small.clone());
        let last = stage.puppet.initial_tsn.wrapping_sub(1);
        let request = stage.puppet.request;
        let [first, second, third, missing, over, rejected, kept] =
            std::array::from_fn(|_| stage.next_tsn());
        let fragments = [
            data(FIRST, first, 1, 0, 53, &[0; 39_000]),
            data(FIRST, second, 1, 1, 53, &[0; 39_000]),
            data(FIRST, third, 1, 2, 53, &[0; 27_535]),
            data(FIRST, over, 1, 3, 53, &[0; 100]),
            data(FIRST, rejected, 2, 0, 53, b"x"),
        ];
        for fragment in fragments {
            stage.sctp.handle_packet(stage.now, stage.puppet.packet(&[fragment]));
        }
        if acknowledges {
            stage.drain();
        }
        // The reset of the stream that fills the window empties it.
        let packets = [
            stage.puppet.packet(&[reset(request, last, third, &[1])]),
            stage.puppet.packet(&[data(FIRST, kept, 3, 0, 53, b"x")]),
            stage.puppet.packet(&[
                data(FIRST, missing, 4, 0, 53, b"x"),
                reset(request + 1, last, rejected, &[2]),
            ]),
        ];
        for packet in packets {
            stage.sctp.handle_packet(stage.now, packet);
        }
        assert_eq!(stage.sctp.counters().chunks_stripped, 1);
        assert_eq!(stage.events(), [SctpEvent::StreamReset { stream: 1 }]);
        // The peer repeats the rejected chunk, and the reset that waits for it.
        stage.drain();
        stage.send(&[
            data(WHOLE, rejected, 2, 0, 53, b"x"),
            reset(request + 1, last, rejected, &[2]),
        ]);
        assert_eq!(stage.sctp.counters().chunks_stripped, 1);
        assert_eq!(stage.events().len(), 2, "the message and the reset");
        stage.assert_alive();
    }
}

#[test]
fn the_chunks_of_a_large_packet_are_charged_for_each_other() {
    let mut stage = Stage::new(SctpConfig { max_packet_size: 16_000, ..config() });
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    for _ in 0..100 {
        let flags = |number| if number == 0 { FIRST } else { MIDDLE };
        let mut chunks: Vec<_> =
            (0..700).map(|number| data(flags(number), stage.next_tsn(), 1, 0, 53, b"x")).collect();
        let named = stage.puppet.tsn.wrapping_sub(1);
        chunks.push(reset(stage.puppet.request, last, named, &[1]));
        let sent = stage.send(&chunks);
        if stage.sctp.counters().packets_overload > 0 {
            return;
        }
        stage.puppet.request += 1;
        for request in sent.iter().filter(|it| it.kind == RECONFIG && it.value[..2] == [0, 13]) {
            let answer = [&request.value[4..8], &[0, 0, 0, 1]].concat();
            stage.send(&[chunk(RECONFIG, 0, &parameter(16, &answer))]);
        }
        // sctp-proto takes up to 5 ms for such a packet, and the peer has a quarter of the time.
        stage.now += Duration::from_millis(8);
    }
    panic!("no packet was dropped for overload");
}

#[test]
fn a_reset_of_all_streams_waits_for_incomplete_messages() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let (first, second) = (stage.next_tsn(), stage.next_tsn());
    stage.send(&[data(FIRST, first, 7, 0, 53, b"x")]);
    let sent = stage.send(&[reset(stage.puppet.request, last, first, &[])]);
    assert!(sent.iter().all(|chunk| chunk.kind != RECONFIG), "{sent:?}");
    stage.send(&[data(1, second, 7, 0, 53, b"y")]);
    assert_eq!(stage.messages().len(), 1);
    let sent = stage.send(&[reset(stage.puppet.request, last, second, &[])]);
    assert!(sent.iter().any(|chunk| chunk.kind == RECONFIG), "{sent:?}");
    let events = stage.events();
    for stream in [1, 7] {
        assert!(events.contains(&SctpEvent::StreamReset { stream }), "{events:?}");
    }
}

#[test]
fn a_packet_as_large_as_a_dtls_record_is_delivered_whole() {
    let mut stage = Stage::new(SctpConfig { max_packet_size: 16_000, ..config() });
    let chunks: Vec<_> = (0..400)
        .map(|number: u16| data(WHOLE, stage.next_tsn(), 1, number, 51, &number.to_be_bytes()))
        .chain([data(WHOLE, 1400, 2, 0, 51, &[7; 4000])])
        .collect();
    stage.puppet.tsn += 1;
    stage.send(&chunks);
    let messages = stage.messages();
    assert_eq!(messages.len(), 401);
    for (number, (_, message)) in messages.iter().take(400).enumerate() {
        assert_eq!(message.payload[..], (number as u16).to_be_bytes());
    }
    assert_eq!(messages[400].1.payload.len(), 4000);
    stage.assert_alive();
}
