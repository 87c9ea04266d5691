//! No packet exceeds `max_packet_size`, because the path would drop a larger one each time it is sent.

use std::time::Duration;

use datasoup::proto::message::{Message, Ppid, Reliability};

use crate::peers::{MAX_PACKET, UNORDERED, config, number, numbered, pair, pair_with};
use crate::sim::Conditions;

// `Ours::drain` checks the size of every packet in every test here and elsewhere.

#[test]
fn messages_of_every_size_fit() {
    let conditions = Conditions { mtu: MAX_PACKET, ..Conditions::PERFECT };
    let mut net = pair(conditions, 1);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    for len in 1..=2400usize {
        let message = Message::new(Ppid::BINARY, vec![len as u8; len].into());
        while net.a.sctp.send(net.now, 1, message.clone()).is_err() {
            net.run_for(Duration::from_millis(20));
        }
        if len % 3 == 0 {
            net.run_for(Duration::from_millis(1));
        }
    }
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.message_count() == 2400));
    for (index, (_, message)) in net.b.take_messages().iter().enumerate() {
        assert_eq!(message.payload.len(), index + 1);
    }
    assert!(net.a.largest_packet > MAX_PACKET - 20, "packets are filled");
}

#[test]
fn bundles_of_tiny_messages_fit_even_when_they_are_sent_again() {
    for len in [4, 5, 7, 8, 13, 50, 99] {
        let conditions = Conditions { mtu: MAX_PACKET, loss: 0.1, ..Conditions::PERFECT };
        let mut net = pair(conditions, len as u64);
        net.a.sctp.open_stream(1, Reliability::RELIABLE);
        net.a.sctp.open_stream(2, UNORDERED);
        for i in 0..3000 {
            net.a.sctp.send(net.now, 1 + (i % 2) as u16, numbered(i, len)).expect("room");
        }
        assert!(net.run_until(Duration::from_secs(120), |net| net.b.message_count() == 3000));
        let mut numbers: Vec<u32> = net.b.take_messages().iter().map(|(_, m)| number(m)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    }
}

#[test]
fn carried_ppids_fit_as_well() {
    let conditions = Conditions { mtu: MAX_PACKET, loss: 0.05, ..Conditions::PERFECT };
    let mut net = pair(conditions, 3);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    let mut sent = Vec::new();
    for len in (1..20_000).step_by(171) {
        sent.push(Message::new(Ppid(len as u32 * 7919), vec![3; len].into()));
    }
    for message in &sent {
        net.a.sctp.send(net.now, 1, message.clone()).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.message_count() == sent.len()));
    for ((_, message), expected) in net.b.take_messages().into_iter().zip(sent) {
        assert_eq!(message, expected);
    }
}

#[test]
fn a_thousand_resets_at_once_fit() {
    let conditions = Conditions { mtu: MAX_PACKET, ..Conditions::PERFECT };
    let mut net = pair_with(config(), config(), conditions, 4);
    for stream in 0..1000 {
        net.a.sctp.open_stream(stream, Reliability::RELIABLE);
        net.a.sctp.send(net.now, stream, numbered(0, 4)).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(10), |net| net.b.message_count() == 1000));
    for stream in 0..1000 {
        net.a.sctp.reset_stream(stream);
    }
    net.run_for(Duration::from_secs(20));
    assert!((0..1000).all(|stream| net.a.sctp.is_stream_free(stream)));
    assert!(net.a.is_connected() && net.b.is_connected());
}
