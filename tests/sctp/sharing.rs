//! How streams of one association delay each other.

use std::time::{Duration, Instant};

use datasoup::proto::message::Reliability;

use crate::peers::{Pair, UNORDERED, number, numbered, pair};
use crate::sim::Conditions;

const BULK: u16 = 1;
const SMALL: u16 = 2;

/// Sends a message of 100 bytes every 20 ms beside a stream that always has more to send than the
/// path carries. Returns the sorted latencies of the small messages.
fn beside_bulk(net: &mut Pair, bulk: Reliability, small: Reliability) -> Vec<Duration> {
    net.a.sctp.open_stream(BULK, bulk);
    net.a.sctp.open_stream(SMALL, small);
    let mut sent: Vec<Instant> = Vec::new();
    let mut took = Vec::new();
    for turn in 0..5000 {
        while net.a.sctp.buffered_amount(BULK) < 500_000 {
            net.a.sctp.send(net.now, BULK, numbered(0, 1000)).expect("room");
        }
        if turn % 20 == 0 {
            net.a.sctp.send(net.now, SMALL, numbered(sent.len() as u32, 100)).expect("room");
            sent.push(net.now);
        }
        net.run_for(Duration::from_millis(1));
        for (stream, message) in net.b.take_messages() {
            if stream == SMALL {
                took.push(net.now - sent[number(&message) as usize]);
            }
        }
    }
    assert!(sent.len() - took.len() < 50, "{} of {} arrived", took.len(), sent.len());
    took.sort_unstable();
    took
}

#[test]
fn a_small_message_does_not_wait_for_the_backlog_of_another_stream() {
    // 2 Mbit/s.
    let conditions = Conditions {
        delay: Duration::from_millis(25),
        rate: Some(250_000),
        loss: 0.01,
        ..Conditions::PERFECT
    };
    for bulk in [Reliability::RELIABLE, UNORDERED] {
        for small in [Reliability::RELIABLE, UNORDERED] {
            let took = beside_bulk(&mut pair(conditions, 1), bulk, small);
            let median = took[took.len() / 2];
            assert!(median < Duration::from_millis(300), "{median:?} {bulk:?} {small:?}");
        }
    }
}
