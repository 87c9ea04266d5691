//! Partial reliability (RFC 3758): which messages are abandoned, and which are not.

use std::time::Duration;

use datasoup::proto::dcep::Open;
use datasoup::proto::message::{Limit, Reliability};

use crate::peers::{Pair, config, number, numbered, pair};
use crate::puppet::{DATA, FORWARD_TSN, Stage, WHOLE, chunks, data, sack};
use crate::sim::{Conditions, Side};

const fn unordered(limit: Limit) -> Reliability {
    Reliability { ordered: false, limit: Some(limit) }
}

const fn ordered(limit: Limit) -> Reliability {
    Reliability { ordered: true, limit: Some(limit) }
}

/// Counts the packets with DATA from A, and drops them while the flag is set.
fn lose_data(net: &mut Pair) -> std::rc::Rc<std::cell::Cell<(bool, u32)>> {
    let state = std::rc::Rc::new(std::cell::Cell::new((false, 0)));
    let shared = state.clone();
    net.filter = Some(Box::new(move |side, packet| {
        let (lose, count) = shared.get();
        let has_data = side == Side::A && chunks(packet).iter().any(|chunk| chunk.kind == DATA);
        if has_data {
            shared.set((lose, count + 1));
        }
        !(lose && has_data)
    }));
    state
}

#[test]
fn with_zero_retransmissions_nothing_is_sent_twice() {
    for reliability in [unordered(Limit::Retransmits(0)), ordered(Limit::Retransmits(0))] {
        let mut net = pair(Conditions::PERFECT, 1);
        net.a.sctp.open_stream(1, reliability);
        let state = lose_data(&mut net);
        state.set((true, 0));
        for i in 0..3 {
            net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
        }
        net.flush();
        let sent = state.get().1;
        net.run_for(Duration::from_secs(10));
        assert_eq!(state.get().1, sent, "{reliability:?}: DATA was sent again");
        state.set((false, 0));
        for i in 5..10 {
            net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
        }
        net.run_for(Duration::from_secs(10));
        let numbers: Vec<u32> = net.b.take_messages().iter().map(|(_, m)| number(m)).collect();
        assert_eq!(numbers, [5, 6, 7, 8, 9], "{reliability:?}");
        assert_eq!(net.a.sctp.queued_bytes(), 0);
    }
}

#[test]
fn two_retransmissions_mean_three_transmissions() {
    let mut net = pair(Conditions::PERFECT, 2);
    net.a.sctp.open_stream(1, unordered(Limit::Retransmits(2)));
    let state = lose_data(&mut net);
    state.set((true, 0));
    net.a.sctp.send(net.now, 1, numbered(0, 1000)).expect("room");
    net.run_for(Duration::from_secs(60));
    assert_eq!(state.get().1, 3);
}

#[test]
fn a_message_is_not_sent_again_after_its_lifetime() {
    let mut net = pair(Conditions::PERFECT, 3);
    net.a.sctp.open_stream(1, unordered(Limit::LifetimeMs(30)));
    let state = lose_data(&mut net);
    state.set((true, 0));
    net.a.sctp.send(net.now, 1, numbered(0, 1000)).expect("room");
    net.flush();
    assert_eq!(state.get().1, 1);
    // The first retransmission would be due after two round trips, which are 40 ms.
    net.run_for(Duration::from_secs(60));
    assert_eq!(state.get().1, 1);
    state.set((false, 0));
    net.a.sctp.send(net.now, 1, numbered(1, 1000)).expect("room");
    net.run_for(Duration::from_secs(10));
    let numbers: Vec<u32> = net.b.take_messages().iter().map(|(_, m)| number(m)).collect();
    assert_eq!(numbers, [1]);
}

#[test]
fn a_message_within_its_lifetime_is_sent_again() {
    let mut net = pair(Conditions::PERFECT, 4);
    net.a.sctp.open_stream(1, ordered(Limit::LifetimeMs(5000)));
    let state = lose_data(&mut net);
    state.set((true, 0));
    net.a.sctp.send(net.now, 1, numbered(0, 1000)).expect("room");
    net.run_for(Duration::from_millis(100));
    state.set((false, 0));
    net.run_for(Duration::from_secs(4));
    assert_eq!(net.b.message_count(), 1);
}

#[test]
fn a_message_whose_lifetime_ends_in_the_queue_expires() {
    let mut net = pair(Conditions::PERFECT, 5);
    net.a.sctp.open_stream(1, unordered(Limit::LifetimeMs(100)));
    let state = lose_data(&mut net);
    state.set((true, 0));
    for i in 0..300 {
        net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
    }
    net.run_for(Duration::from_millis(200));
    state.set((false, 0));
    net.run_for(Duration::from_secs(5));
    let expired = net.a.sctp.counters().expired;
    assert!(expired.messages >= 300 - 131, "{expired:?}");
    assert_eq!(expired.bytes, expired.messages * 1000);
    assert_eq!(net.b.message_count(), 0);
    assert_eq!(net.a.sctp.buffered_amount(1), 0);
}

#[test]
fn the_lifetime_runs_while_a_message_is_queued() {
    let mut net = pair(Conditions::PERFECT, 6);
    net.a.sctp.open_stream(1, unordered(Limit::LifetimeMs(1000)));
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    // The round trip is known now, so a retransmission would be due after 40 ms.
    net.a.sctp.send(net.now, 2, numbered(9, 1000)).expect("room");
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.b.take_messages().len(), 1);
    let state = lose_data(&mut net);
    state.set((true, 0));
    net.a.sctp.send(net.now, 1, numbered(0, 1000)).expect("room");
    // The message is sent late in its lifetime. Sending it does not restart the lifetime.
    net.now += Duration::from_millis(980);
    net.flush();
    assert_eq!(state.get().1, 1);
    state.set((false, 1));
    net.run_for(Duration::from_secs(30));
    assert_eq!(state.get().1, 1);
    assert_eq!(net.b.message_count(), 0);
}

#[test]
fn expired_messages_make_room_in_a_full_queue() {
    let mut net = pair(Conditions::PERFECT, 7);
    net.a.sctp.open_stream(1, unordered(Limit::LifetimeMs(100)));
    net.filter = Some(Box::new(|side, _| side == Side::B));
    let mut full = 0;
    for i in 0..2600 {
        full += u32::from(net.a.sctp.send(net.now, 1, numbered(i, 1000)).is_err());
        if i == 2300 {
            net.now += Duration::from_millis(200);
        }
    }
    assert_eq!(full, 301);
    assert_eq!(net.a.sctp.counters().expired.messages, 2000);
}

#[test]
fn an_ordered_stream_continues_after_abandoned_messages() {
    for seed in 0..4 {
        let conditions = Conditions { loss: 0.2, ..Conditions::ROUGH };
        let mut net = pair(conditions, seed);
        net.a.sctp.open_stream(1, ordered(Limit::Retransmits(0)));
        net.a.sctp.open_stream(2, Reliability::RELIABLE);
        for i in 0..300 {
            net.a.sctp.send(net.now, 1, numbered(i, 400 + i as usize * 10)).expect("room");
            net.a.sctp.send(net.now, 2, numbered(i, 300)).expect("room");
            net.run_for(Duration::from_millis(5));
        }
        net.run_for(Duration::from_secs(60));
        let messages = net.b.take_messages();
        let on = |stream| -> Vec<u32> {
            messages.iter().filter(|(s, _)| *s == stream).map(|(_, m)| number(m)).collect()
        };
        assert_eq!(on(2), (0..300).collect::<Vec<_>>());
        let unreliable = on(1);
        assert!(unreliable.is_sorted(), "seed {seed}");
        assert!(unreliable.len() > 100 && unreliable.len() < 300, "{} arrived", unreliable.len());
        assert_eq!(net.a.sctp.queued_bytes(), 0);
    }
}

#[test]
fn abandoning_a_message_sends_a_forward_tsn() {
    let mut net = pair(Conditions::PERFECT, 8);
    net.a.sctp.open_stream(1, unordered(Limit::Retransmits(0)));
    let sent = std::rc::Rc::new(std::cell::Cell::new(false));
    let shared = sent.clone();
    net.filter = Some(Box::new(move |side, packet| {
        let chunks = chunks(packet);
        shared.set(shared.get() || chunks.iter().any(|chunk| chunk.kind == FORWARD_TSN));
        !(side == Side::A && chunks.iter().any(|chunk| chunk.kind == DATA))
    }));
    net.a.sctp.send(net.now, 1, numbered(0, 1000)).expect("room");
    net.run_for(Duration::from_secs(5));
    assert!(sent.get());
}

/// The peer acknowledges all chunks but the last, which is abandoned. Returns the messages and bytes
/// that are counted as abandoned.
fn abandon_the_last(stage: &mut Stage, chunks: u32) -> (u64, u64) {
    let last = stage.puppet.initial_tsn.wrapping_add(chunks - 1);
    stage.send(&[sack(last.wrapping_sub(1), 1 << 20, &[])]);
    let sent = stage.pass(Duration::from_secs(5));
    assert!(sent.iter().any(|chunk| chunk.kind == FORWARD_TSN && chunk.tsn() == last));
    let abandoned = stage.sctp.counters().abandoned;
    (abandoned.messages, abandoned.bytes)
}

#[test]
fn an_abandoned_message_after_a_channel_acknowledgement_is_counted() {
    let mut stage = Stage::new(config());
    let reliability = ordered(Limit::Retransmits(0));
    let open = Open { label: String::new(), protocol: String::new(), priority: 0, reliability };
    let tsn = stage.next_tsn();
    let packet =
        crate::puppet::packet(stage.puppet.tag, &[data(WHOLE, tsn, 6, 0, 50, &open.encode())]);
    stage.sctp.handle_packet(stage.now, packet);
    stage.sctp.open_stream(6, reliability);
    for (number, len) in [(0, 100), (1, 200)] {
        stage.sctp.send(stage.now, 6, numbered(number, len)).expect("room");
    }
    let sent = stage.drain();
    assert_eq!(sent.iter().filter(|chunk| chunk.kind == DATA).count(), 3);
    assert_eq!(abandon_the_last(&mut stage, 3), (1, 200));
}

#[test]
fn an_abandoned_message_is_counted_after_a_change_of_reliability() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(6, Reliability::RELIABLE);
    // The first chunk is sent although the window is closed; the second message waits behind it.
    stage.send(&[sack(stage.puppet.initial_tsn.wrapping_sub(1), 0, &[])]);
    for (number, len) in [(0, 100), (1, 3000)] {
        stage.sctp.send(stage.now, 6, numbered(number, len)).expect("room");
        stage.drain();
    }
    stage.sctp.open_stream(6, ordered(Limit::Retransmits(0)));
    for (number, len) in [(2, 200), (3, 300)] {
        stage.sctp.send(stage.now, 6, numbered(number, len)).expect("room");
        stage.drain();
    }
    let sent = stage.send(&[sack(stage.puppet.initial_tsn, 1 << 20, &[])]);
    assert_eq!(sent.iter().filter(|chunk| chunk.kind == DATA).count(), 5);
    assert_eq!(abandon_the_last(&mut stage, 6), (1, 300));
}
