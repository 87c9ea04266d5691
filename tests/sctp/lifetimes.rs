//! No DATA chunk of a message is sent after its lifetime (RFC 3758 §3.5), wherever it waits.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use datasoup::proto::message::{Limit, Reliability};
use datasoup::proto::sctp::SctpCounters;

use crate::peers::{Pair, config, number, numbered, pair};
use crate::puppet::{DATA, FORWARD_TSN, Seen, Stage, chunks, sack};
use crate::sim::{Conditions, Side};

const LIFETIME: Duration = Duration::from_millis(100);

/// A stream whose messages have a lifetime, and a reliable one.
const BRIEF: u16 = 1;
const RELIABLE: u16 = 2;

fn brief(ordered: bool) -> Reliability {
    Reliability { ordered, limit: Some(Limit::LifetimeMs(LIFETIME.as_millis() as u16)) }
}

/// What was sent of the messages with a lifetime. A message's number is its index in `sent`.
#[derive(Debug, Default)]
struct Wire {
    sent: Vec<Instant>,
    /// The number of the message that each TSN belongs to.
    tsns: HashMap<u32, u32>,
    begun: HashSet<u32>,
    chunks: usize,
}

impl Wire {
    /// Checks a chunk that is sent at `at`.
    fn see(&mut self, at: Instant, chunk: &Seen) {
        if chunk.kind != DATA || chunk.value[4..6] != BRIEF.to_be_bytes() {
            return;
        }
        let tsn = chunk.tsn();
        let message = if chunk.flags & 2 != 0 {
            u32::from_be_bytes(*chunk.value[12..].first_chunk().expect("a number"))
        } else {
            self.tsns[&tsn.wrapping_sub(1)]
        };
        self.tsns.insert(tsn, message);
        self.begun.insert(message);
        self.chunks += 1;
        let age = at - self.sent[message as usize];
        assert!(age < LIFETIME, "a chunk of message {message} left after {age:?}");
    }

    /// Checks that every message has arrived, or is counted as expired or abandoned.
    fn account(&self, arrived: usize, counters: SctpCounters) {
        let expired = self.sent.len() - self.begun.len();
        assert_eq!(
            counters.expired.messages as usize, expired,
            "a message counts as expired if no chunk of it was sent"
        );
        let abandoned = counters.abandoned.messages as usize;
        assert!(arrived + abandoned >= self.begun.len(), "{arrived} + {abandoned}");
        assert!(abandoned <= self.begun.len());
    }
}

/// Sends `count` messages with a lifetime, one every `pace`, and waits until all have ended.
fn watched(
    net: &mut Pair,
    count: u32,
    pace: Duration,
    size: impl Fn(u32) -> usize,
) -> (Wire, usize) {
    let mut wire = Wire::default();
    net.trace = Some(Vec::new());
    for i in 0..count {
        wire.sent.push(net.now);
        net.a.sctp.send(net.now, BRIEF, numbered(i, size(i))).expect("room");
        net.run_for(pace);
    }
    net.run_for(Duration::from_secs(20));
    for (at, side, packet) in net.trace.take().into_iter().flatten() {
        if side == Side::A {
            chunks(&packet).iter().for_each(|chunk| wire.see(at, chunk));
        }
    }
    let arrived = net.b.take_messages().into_iter().filter(|(stream, _)| *stream == BRIEF);
    let numbers: HashSet<u32> = arrived.map(|(_, message)| number(&message)).collect();
    (wire, numbers.len())
}

#[test]
fn no_chunk_is_late_on_a_rough_path_with_too_much_to_send() {
    for (seed, ordered) in [(1, true), (2, false), (3, true), (4, false)] {
        for delay in [20, 50, 120] {
            let delay = Duration::from_millis(delay);
            let conditions = Conditions { loss: 0.1, delay, ..Conditions::ROUGH };
            let mut net = pair(conditions, seed);
            net.a.sctp.open_stream(BRIEF, brief(ordered));
            // Not a multiple of a millisecond, so that deadlines and timers do not coincide.
            let pace = Duration::from_micros(1777);
            let (wire, arrived) = watched(&mut net, 400, pace, |i| 4 + (i as usize * 997) % 6000);
            // At 120 ms there are three round trips, and nothing is sent again in time.
            let least = if delay > LIFETIME { 15 } else { 20 };
            let begun = wire.begun.len();
            assert!(arrived > least, "{arrived} at {delay:?}");
            assert!(3 * arrived > begun, "{arrived} of {begun} at {delay:?}");
            assert!(begun < 400, "not all could be sent");
            wire.account(arrived, net.a.sctp.counters());
            assert_eq!(net.a.sctp.queued_bytes(), 0);
        }
    }
}

#[test]
fn a_queue_that_is_too_long_begins_what_can_be_whole() {
    let conditions = Conditions {
        delay: Duration::from_millis(25),
        rate: Some(1_000_000),
        queue: 50_000,
        ..Conditions::PERFECT
    };
    let mut net = pair(conditions, 8);
    net.a.sctp.open_stream(BRIEF, brief(true));
    // Twice what the path carries.
    let (wire, arrived) = watched(&mut net, 1000, Duration::from_millis(5), |_| 10_000);
    // Losses are a sign of congestion even if the chunks are never sent again.
    let begun = wire.begun.len();
    assert!(arrived > 300 && begun < 600, "{arrived} of {begun}");
    wire.account(arrived, net.a.sctp.counters());
}

#[test]
fn large_messages_beside_a_thin_stream_begin_although_the_window_is_small() {
    let conditions = Conditions { delay: Duration::from_millis(25), ..Conditions::PERFECT };
    let mut net = pair(conditions, 9);
    let limit = Some(Limit::LifetimeMs(250));
    net.a.sctp.open_stream(BRIEF, Reliability { ordered: true, limit });
    net.a.sctp.open_stream(RELIABLE, Reliability::RELIABLE);
    let mut arrived = 0;
    for step in 0..1000 {
        net.a.sctp.send(net.now, RELIABLE, numbered(step, 100)).expect("room");
        if step % 25 == 0 {
            net.a.sctp.send(net.now, BRIEF, numbered(step, 250_000)).expect("room");
        }
        net.run_for(Duration::from_millis(10));
        let messages = net.b.take_messages();
        arrived += messages.iter().filter(|(stream, _)| *stream == BRIEF).count();
    }
    assert!(arrived >= 35, "{arrived} of 40");
}

#[test]
fn no_chunk_is_late_beside_a_stream_that_fills_the_association() {
    let mut net = pair(Conditions { loss: 0.02, ..Conditions::ROUGH }, 5);
    net.a.sctp.open_stream(BRIEF, brief(true));
    net.a.sctp.open_stream(RELIABLE, Reliability::RELIABLE);
    for i in 0..100 {
        net.a.sctp.send(net.now, RELIABLE, numbered(i, 16_000)).expect("room");
    }
    let (wire, arrived) = watched(&mut net, 200, Duration::from_micros(7100), |_| 900);
    wire.account(arrived, net.a.sctp.counters());
    assert!(net.run_until(Duration::from_secs(60), |net| net.a.sctp.queued_bytes() == 0));
}

#[test]
fn a_large_message_is_abandoned_and_the_next_ones_arrive() {
    for ordered in [true, false] {
        let mut net =
            pair(Conditions { delay: Duration::from_millis(25), ..Conditions::PERFECT }, 6);
        net.a.sctp.open_stream(BRIEF, brief(ordered));
        let size = |i| if i == 0 { 250_000 } else { 1000 };
        let (wire, arrived) = watched(&mut net, 20, Duration::from_millis(30), size);
        assert!(wire.begun.contains(&0));
        assert!(arrived >= 15, "{arrived} arrived");
        wire.account(arrived, net.a.sctp.counters());
        assert!(net.b.is_connected());
    }
}

#[test]
fn no_chunk_is_late_after_the_peers_window_was_closed() {
    for ordered in [true, false] {
        let mut stage = Stage::new(config());
        stage.sctp.open_stream(BRIEF, brief(ordered));
        let mut wire = Wire::default();
        let mut acknowledged = stage.puppet.initial_tsn.wrapping_sub(1);
        let mut latest = acknowledged;
        let mut see = |wire: &mut Wire, at, chunks: Vec<Seen>| {
            for chunk in chunks {
                wire.see(at, &chunk);
                let is_new = chunk.kind == DATA || chunk.kind == FORWARD_TSN;
                if is_new && chunk.tsn().wrapping_sub(latest) < 1 << 31 {
                    latest = chunk.tsn();
                }
            }
            latest
        };
        // The window is closed for 600 ms and open for 200; a message is sent every 20 ms.
        for step in 0..1600 {
            let is_open = step % 40 >= 30;
            wire.sent.push(stage.now);
            let message = numbered(step, 700 + 100 * (step as usize / 40 % 9));
            stage.sctp.send(stage.now, BRIEF, message).expect("room");
            let sent = stage.drain();
            let latest = see(&mut wire, stage.now, sent);
            if is_open {
                acknowledged = latest;
            }
            let window = if is_open { 100_000 } else { 0 };
            let answer = stage.send(&[sack(acknowledged, window, &[])]);
            see(&mut wire, stage.now, answer);
            let end = stage.now + Duration::from_millis(20);
            while stage.now < end {
                let next = stage.sctp.poll_timeout().unwrap_or(end).clamp(stage.now, end);
                let sent = stage.pass(next - stage.now);
                see(&mut wire, stage.now, sent);
            }
        }
        let sent = stage.pass(Duration::from_secs(10));
        see(&mut wire, stage.now, sent);
        let begun = wire.begun.len();
        assert!((300..1200).contains(&begun), "{begun} of {}", wire.sent.len());
        assert_eq!(stage.sctp.counters().expired.messages as usize, wire.sent.len() - begun);
        assert_eq!(stage.sctp.queued_bytes(), 0);
    }
}

#[test]
fn a_message_with_a_lifetime_of_zero_is_sent_at_once_or_expires() {
    let mut net = pair(Conditions::PERFECT, 7);
    let none = Reliability { ordered: false, limit: Some(Limit::LifetimeMs(0)) };
    net.a.sctp.open_stream(BRIEF, none);
    for i in 0..5 {
        net.a.sctp.send(net.now, BRIEF, numbered(i, 500)).expect("room");
        net.run_for(Duration::from_millis(50));
    }
    assert_eq!(net.b.take_messages().len(), 5);
    // One congestion window of the messages is sent, and the rest expire.
    for i in 0..50 {
        net.a.sctp.send(net.now, BRIEF, numbered(i, 1000)).expect("room");
    }
    net.run_for(Duration::from_secs(5));
    let arrived = net.b.take_messages().len();
    assert!((1..50).contains(&arrived), "{arrived}");
    let counters = net.a.sctp.counters();
    assert_eq!(counters.expired.messages as usize, 50 - arrived);
}
