//! The send queues: bounds, buffered amounts, turns.

use std::time::Duration;

use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::sctp::{Association, SctpConfig, SctpEvent, SendError};

use crate::peers::{config, number, numbered, pair, pair_with};
use crate::sim::{Conditions, start};

fn message(len: usize) -> Message {
    Message::new(Ppid::BINARY, vec![0; len].into())
}

#[test]
fn messages_queue_before_the_association_is_up() {
    let mut sctp = Association::new(config());
    sctp.open_stream(1, Reliability::RELIABLE);
    let now = start();
    for i in 1..=20 {
        assert_eq!(sctp.send(now, 1, message(100_000)), Ok(i * 100_000));
    }
    assert_eq!(sctp.send(now, 1, message(1)), Err(SendError::Full));
    assert_eq!(sctp.buffered_amount(1), 2_000_000);
    assert_eq!(sctp.queued_bytes(), 2_000_000);
}

#[test]
fn full_means_that_the_bound_was_reached_before() {
    let now = start();
    let config = SctpConfig {
        send_buffer_size: 1_000_000,
        per_stream_send_queue_limit: 300_000,
        max_send_message_size: 400_000,
        ..config()
    };
    let mut sctp = Association::new(config);
    for stream in 0..5 {
        sctp.open_stream(stream, Reliability::RELIABLE);
    }
    assert_eq!(sctp.send(now, 0, message(299_999)), Ok(299_999));
    assert_eq!(sctp.send(now, 0, message(400_000)), Ok(699_999));
    assert_eq!(sctp.send(now, 0, message(1)), Err(SendError::Full));
    assert_eq!(sctp.send(now, 1, message(300_000)), Ok(300_000));
    assert_eq!(sctp.send(now, 2, message(1)), Ok(1));
    assert_eq!(sctp.send(now, 3, message(1)), Err(SendError::Full), "1,000,000 bytes in all");
    assert_eq!(sctp.reset_stream(1).bytes, 300_000);
    assert_eq!(sctp.send(now, 3, message(1)), Ok(1));
}

#[test]
fn a_million_tiny_messages_are_bounded_as_well() {
    let now = start();
    let mut sctp = Association::new(config());
    sctp.open_stream(1, Reliability::RELIABLE);
    let queued = (0..1_000_000).take_while(|_| sctp.send(now, 1, message(1)).is_ok()).count();
    assert_eq!(queued, (2 * 2_000_000 + 65_536usize).div_ceil(65));
    assert_eq!(sctp.buffered_amount(1), queued);
}

#[test]
fn invalid_messages_are_rejected() {
    let now = start();
    let mut sctp = Association::new(config());
    sctp.open_stream(1, Reliability::RELIABLE);
    assert_eq!(sctp.send(now, 1, message(262_145)), Err(SendError::TooLarge));
    assert_eq!(sctp.send(now, 1, message(0)), Err(SendError::Empty));
    assert_eq!(sctp.send(now, 2, message(1)), Err(SendError::Closed), "not open");
    let empty = Message::new(Ppid::STRING_EMPTY, Default::default());
    assert_eq!(sctp.send(now, 1, empty), Ok(1));
    sctp.abort(now);
    assert_eq!(sctp.send(now, 1, message(1)), Err(SendError::Closed));
    assert_eq!(sctp.counters().unsent.messages, 1);
    assert_eq!(sctp.queued_bytes(), 0);
}

#[test]
fn buffered_amount_low_is_emitted_once_when_the_queue_drains() {
    let mut net = pair(Conditions::PERFECT, 1);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    net.a.sctp.set_buffered_amount_low_threshold(2, 500_000);
    for i in 0..50 {
        net.a.sctp.send(net.now, 1, numbered(i, 20_000)).expect("room");
        net.a.sctp.send(net.now, 2, numbered(i, 20_000)).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.message_count() == 100));
    assert_eq!((net.a.sctp.buffered_amount(1), net.a.sctp.queued_bytes()), (0, 0));
    let low = |stream| {
        let amount = |event: &SctpEvent| match event {
            SctpEvent::BufferedAmountLow { stream: s, amount } if *s == stream => Some(*amount),
            _ => None,
        };
        net.a.events.iter().filter_map(amount).collect::<Vec<_>>()
    };
    assert_eq!(low(1), [0]);
    assert_eq!(low(2), [500_000]);
}

#[test]
fn an_amount_that_stays_below_its_threshold_emits_nothing() {
    let mut net = pair(Conditions::PERFECT, 2);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    for i in 0..10 {
        net.a.sctp.send(net.now, 1, numbered(i, 100)).expect("room");
        net.run_for(Duration::from_millis(50));
    }
    assert!(!net.a.events.iter().any(|e| matches!(e, SctpEvent::BufferedAmountLow { .. })));
    net.a.sctp.send(net.now, 1, numbered(11, 1025)).expect("room");
    net.run_for(Duration::from_millis(50));
    assert!(net.a.saw(&SctpEvent::BufferedAmountLow { stream: 1, amount: 0 }));
}

#[test]
fn a_large_message_lets_the_small_ones_of_other_streams_pass() {
    let mut net = pair(Conditions::PERFECT, 3);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    // Seven seconds' worth of large messages at the beginning of a slow start.
    for i in 0..7 {
        net.a.sctp.send(net.now, 1, numbered(i, 262_144)).expect("room");
    }
    net.flush();
    for i in 0..100 {
        net.a.sctp.send(net.now, 2, numbered(1000 + i, 1000)).expect("room");
    }
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.message_count() == 107));
    let order: Vec<u16> = net.b.take_messages().iter().map(|(stream, _)| *stream).collect();
    let large_before = |n: usize| {
        let small =
            order.iter().enumerate().filter(|(_, s)| **s == 2).nth(n).expect("all arrived").0;
        order[..small].iter().filter(|stream| **stream == 1).count()
    };
    assert!(large_before(0) <= 1, "the first small one waits for at most one large one: {order:?}");
    assert!(large_before(99) <= 2, "the last small one waits for at most two: {order:?}");
}

#[test]
fn streams_take_turns_by_bytes() {
    let mut net = pair(Conditions::PERFECT, 4);
    for stream in 0..4 {
        net.a.sctp.open_stream(stream, Reliability::RELIABLE);
    }
    // Stream 0 has as many messages as the others, ten times as large.
    for i in 0..40 {
        for stream in 0..4 {
            let len = if stream == 0 { 30_000 } else { 3_000 };
            net.a.sctp.send(net.now, stream, numbered(i, len)).expect("room");
        }
    }
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.message_count() == 160));
    let messages = net.b.take_messages();
    let last_small = messages.iter().rposition(|(stream, _)| *stream != 0).expect("they arrived");
    let large_before = messages[..last_small].iter().filter(|(stream, _)| *stream == 0).count();
    assert!(large_before < 12, "{large_before} large ones before the last small one");
    for stream in 0..4 {
        let numbers: Vec<u32> =
            messages.iter().filter(|(s, _)| *s == stream).map(|(_, m)| number(m)).collect();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    }
}

#[test]
fn the_bytes_inside_sctp_proto_are_bounded() {
    let config = SctpConfig { send_buffer_size: 10_000_000, ..config() };
    let config = SctpConfig { per_stream_send_queue_limit: 10_000_000, ..config };
    let mut net = pair_with(config, crate::peers::config(), Conditions::PERFECT, 5);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    for i in 0..2000 {
        net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
    }
    net.flush();
    assert!(net.a.sctp.buffered_amount(1) > 2_000_000 - 131_072);
    let mut least = usize::MAX;
    net.run_until(Duration::from_secs(60), |net| {
        let arrived = net.b.message_count() * 1000;
        least = least.min(net.a.sctp.buffered_amount(1) + arrived + 2 * 131_072);
        arrived == 2_000_000
    });
    assert!(least >= 2_000_000, "what is neither queued nor arrived is inside: {least}");
}
