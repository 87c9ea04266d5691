//! Sent messages arrive in order, once and whole.

use std::time::Duration;

use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::sctp::SctpConfig;

use crate::peers::{UNORDERED, config, number, numbered, pair, pair_with};
use crate::sim::Conditions;

#[test]
fn a_reliable_ordered_stream_delivers_exactly_once_in_order_over_a_rough_path() {
    for seed in 0..4 {
        let mut net = pair(Conditions::ROUGH, seed);
        net.a.sctp.open_stream(3, Reliability::RELIABLE);
        for i in 0..500 {
            let message = numbered(i, 4 + (i as usize * 37) % 3000);
            net.a.sctp.send(net.now, 3, message).expect("room");
        }
        let arrived = net.run_until(Duration::from_secs(120), |net| net.b.message_count() == 500);
        assert!(arrived, "seed {seed}: {} of 500", net.b.message_count());
        net.run_for(Duration::from_secs(5));
        for (i, (stream, message)) in net.b.take_messages().into_iter().enumerate() {
            assert_eq!((stream, message), (3, numbered(i as u32, 4 + (i * 37) % 3000)));
        }
        assert_eq!(net.a.sctp.buffered_amount(3), 0);
        assert_eq!(net.a.sctp.queued_bytes(), 0);
    }
}

#[test]
fn an_unordered_stream_delivers_exactly_once_over_a_rough_path() {
    let mut net = pair(Conditions::ROUGH, 5);
    net.a.sctp.open_stream(1, UNORDERED);
    for i in 0..500 {
        net.a.sctp.send(net.now, 1, numbered(i, 700)).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.message_count() == 500));
    net.run_for(Duration::from_secs(5));
    let numbers: Vec<u32> = net.b.take_messages().iter().map(|(_, m)| number(m)).collect();
    assert_ne!(numbers, (0..500).collect::<Vec<_>>(), "the path reorders");
    let mut sorted = numbers;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..500).collect::<Vec<_>>());
}

#[test]
fn messages_of_the_maximum_size_arrive_both_ways_at_once() {
    let mut net = pair(Conditions::ROUGH, 6);
    net.a.sctp.open_stream(0, Reliability::RELIABLE);
    net.b.sctp.open_stream(0, Reliability::RELIABLE);
    for i in 0..6 {
        net.a.sctp.send(net.now, 0, numbered(i, 262_144)).expect("room");
        net.b.sctp.send(net.now, 0, numbered(100 + i, 262_144)).expect("room");
    }
    let arrived = net.run_until(Duration::from_secs(120), |net| {
        net.a.message_count() == 6 && net.b.message_count() == 6
    });
    assert!(arrived);
    for (i, (_, message)) in net.b.take_messages().into_iter().enumerate() {
        assert_eq!(message, numbered(i as u32, 262_144));
    }
    for (i, (_, message)) in net.a.take_messages().into_iter().enumerate() {
        assert_eq!(message, numbered(100 + i as u32, 262_144));
    }
}

#[test]
fn every_ppid_arrives_as_it_was_sent() {
    let mut net = pair(Conditions::PERFECT, 7);
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    let ppids = [0, 1, 49, 51, 52, 53, 54, 55, 56, 57, 58, 59, 1234, 0x8000_0000, u32::MAX];
    let mut sent = Vec::new();
    for ppid in ppids {
        for len in [1, 3, 4, 5, 1150, 1151, 1152, 5000] {
            sent.push(Message::new(Ppid(ppid), vec![ppid as u8; len].into()));
        }
    }
    for message in &sent {
        net.a.sctp.send(net.now, 2, message.clone()).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(10), |net| net.b.message_count() == sent.len()));
    for ((_, message), expected) in net.b.take_messages().into_iter().zip(sent) {
        assert_eq!(message, expected);
    }
}

#[test]
fn a_message_of_four_megabytes_arrives_if_the_maximum_allows_it() {
    let size = 4_000_000;
    let config = SctpConfig {
        max_send_message_size: size,
        max_receive_message_size: size,
        send_buffer_size: 2 * size as usize,
        ..config()
    };
    let mut net = pair_with(config.clone(), config, Conditions::PERFECT, 8);
    net.a.sctp.open_stream(0, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 0, numbered(1, size as usize)).expect("room");
    assert!(net.run_until(Duration::from_secs(300), |net| net.b.message_count() == 1));
    assert_eq!(net.b.take_messages()[0].1, numbered(1, size as usize));
}

#[test]
fn the_largest_message_arrives_however_small_a_window_is_asked_for() {
    for largest in [1000, 262_144, 3_000_000] {
        for asked in [0, 1500, 100_000] {
            let a = SctpConfig {
                max_send_message_size: largest,
                send_buffer_size: 10_000_000,
                per_stream_send_queue_limit: 10_000_000,
                ..config()
            };
            let b = SctpConfig {
                max_receive_message_size: largest,
                max_receiver_window: asked,
                ..config()
            };
            let mut net = pair_with(a, b, Conditions::ROUGH, 12);
            for (stream, reliability) in [(1, Reliability::RELIABLE), (2, UNORDERED)] {
                net.a.sctp.open_stream(stream, reliability);
            }
            for number in 0..2 {
                for stream in [1, 2] {
                    let message = numbered(number, largest as usize);
                    net.a.sctp.send(net.now, stream, message).expect("room");
                }
            }
            let arrived = net.run_until(Duration::from_secs(300), |net| net.b.message_count() == 4);
            assert!(arrived, "{largest} bytes, {asked} asked for: {:?}", net.b.sctp.end_reason());
        }
    }
}
