//! What a turn may cost: work that a peer's messages cause is spread over turns, and charged to the peer.

use std::time::Duration;

use datasoup::proto::overflow::Overflow;
use datasoup::sfu::contract::options::DataConsumerOptions;
use datasoup::sfu::id::{DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::work;

use crate::common::lab::{Lab, binary, ours, text, theirs};
use crate::common::options;

/// A client whose messages go to this many DataConsumers, most of which have full queues: their peer never comes.
fn crowd(
    lab: &mut Lab,
    router: RouterKey,
    consumers: usize,
) -> (TransportKey, usize, DataProducerKey) {
    let (key, client) = lab.join(router, 1);
    let producer = lab.host().produce(key, 0);
    let listen = lab.host().listen(ours(2));
    let full = lab.host().plain(router, listen, &options::plain(false));
    for _ in 0..consumers {
        lab.host().consume(full, producer);
    }
    (key, client, producer)
}

fn overload(lab: &mut Lab, key: TransportKey) -> u64 {
    let stats = lab.sfu().transport(key).expect("open").get_stats();
    let json = serde_json::to_value(stats).expect("JSON");
    json["sctpPacketsOverload"].as_u64().expect("a number")
}

fn received(lab: &mut Lab, producer: DataProducerKey) -> u64 {
    lab.sfu().data_producer(producer).expect("open").get_stats().messages_received
}

#[test]
fn messages_of_a_peer_beyond_the_share_of_a_turn_wait_and_are_all_routed() {
    const SENT: u64 = 100;
    let (mut lab, router) = Lab::with_router();
    let (key, client, producer) = crowd(&mut lab, router, 1000);
    for _ in 0..SENT {
        lab.clients[client].send(0, text("x"));
    }
    let mut dearest = 0;
    let mut most = 0;
    let mut before = (lab.sfu().work(), 0);
    lab.run_until(Duration::from_secs(2), |lab| {
        let now = (lab.sfu().work(), received(lab, producer));
        dearest = dearest.max(now.0 - before.0);
        most = most.max(now.1 - before.1);
        before = now;
        now.1 == SENT
    });
    assert_eq!(received(&mut lab, producer), SENT);
    assert!(dearest < 4 * work::SHARE, "{dearest} ns in one step");
    assert!(most < SENT / 4, "{most} messages in one step");
    assert_eq!(overload(&mut lab, key), 0);
}

#[test]
fn a_peer_pays_for_the_routing_of_its_messages() {
    // To 1,000 DataConsumers each costs 0.16 ms, of which a peer has saved up a quarter of a second.
    const SENT: u64 = 2400;
    const PAID: u64 = 2000;
    for (consumers, pays) in [(1, false), (1000, true)] {
        let (mut lab, router) = Lab::with_router();
        let (key, client, producer) = crowd(&mut lab, router, consumers);
        for _ in 0..SENT / 24 {
            for _ in 0..24 {
                lab.clients[client].send(0, text("x"));
            }
            lab.run_for(Duration::from_millis(1));
        }
        let received = received(&mut lab, producer);
        assert_eq!(overload(&mut lab, key) > 0, pays, "{consumers}: {received} received");
        assert_eq!(received < PAID, pays, "{consumers}: {received} received");
    }
}

#[test]
fn a_peer_pays_for_the_search_for_consumers_that_block() {
    const SENT: u64 = 40;
    // To skip 10,000 DataConsumers costs 0.1 ms for each message, and to ask whether one of them blocks as much again.
    const CONSUMERS: usize = 10_000;
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    let producer = lab.host().produce(key, 0);
    let direct = lab.host().direct(router);
    let paused = DataConsumerOptions { paused: true, ..options::consumer() };
    for _ in 0..CONSUMERS {
        lab.host().consume_with(direct, producer, paused.clone());
    }
    let overflow = Some(Overflow::Block);
    let options = DataConsumerOptions { overflow, ..options::consumer() };
    lab.host().consume_with(direct, producer, options);
    for _ in 0..SENT {
        lab.clients[client].send(0, text("x"));
    }
    let (mut dearest, mut before) = (0, lab.sfu().work());
    lab.expect("all messages", |lab| {
        let now = lab.sfu().work();
        dearest = dearest.max(now - before);
        before = now;
        received(lab, producer) == SENT
    });
    assert!(dearest < 3 * work::SHARE, "{dearest} ns in one step");
}

#[test]
fn a_peer_is_answered_in_the_turn_of_its_request_although_others_messages_wait() {
    let (mut lab, router) = Lab::with_router();
    let (_, client, producer) = crowd(&mut lab, router, 1000);
    let router = lab.host().router();
    let (quiet, other) = lab.join(router, 5);
    let reply = lab.host().produce(quiet, 0);
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, reply);
    for _ in 0..1000 {
        lab.clients[client].send(0, text("x"));
    }
    lab.clients[other].send(0, text("quick"));
    lab.expect("the message", |lab| !lab.host().messages(consumer).is_empty());
    let routed = received(&mut lab, producer);
    assert!(routed < 1000, "{routed}");
}

#[test]
fn a_message_to_many_peers_leaves_over_several_turns() {
    const CLIENTS: u16 = 30;
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let mut clients = Vec::new();
    for n in 1..=CLIENTS {
        let (key, client) = lab.join(router, n);
        lab.host().consume(key, producer);
        clients.push(client);
    }
    lab.run_for(Duration::from_secs(1));
    // The first message opens the congestion windows.
    for _ in 0..2 {
        let before = lab.sfu().work();
        lab.sfu().send(producer, binary(7, 200_000), None);
        lab.sfu().flush();
        let cost = lab.sfu().work() - before;
        assert!(cost < 3 * work::SHARE, "{cost} ns");
        let mut arrived = 0;
        lab.expect("all messages", |lab| {
            arrived += clients.iter().map(|it| lab.clients[*it].messages().len()).sum::<usize>();
            arrived == clients.len()
        });
    }
}

#[test]
fn transports_with_something_to_send_are_asked_over_several_turns() {
    const TRANSPORTS: u16 = 2000;
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    for n in 1..=TRANSPORTS {
        let listen = lab.host().listen(ours(n));
        let plain = lab.host().plain(router, listen, &options::plain(false));
        lab.host().connect_udp(plain, theirs(n));
        lab.host().consume(plain, producer);
    }
    lab.run_for(Duration::from_millis(1));
    lab.sfu().send(producer, text("x"), None);
    let before = lab.sfu().work();
    lab.sfu().flush();
    let cost = lab.sfu().work() - before;
    assert!(cost < 2 * work::SHARE, "{cost} ns");
}

#[test]
fn deadlines_that_come_together_are_met_over_several_turns() {
    const TRANSPORTS: u16 = 2000;
    let (mut lab, router) = Lab::with_router();
    for n in 1..=TRANSPORTS {
        let listen = lab.host().listen(ours(n));
        let plain = lab.host().plain(router, listen, &options::plain(false));
        lab.host().connect_udp(plain, theirs(n));
        lab.host().produce(plain, 0);
    }
    lab.run_for(Duration::from_millis(1));
    let mut dearest = 0;
    let mut before = lab.sfu().work();
    lab.run_until(Duration::from_secs(5), |lab| {
        let now = lab.sfu().work();
        dearest = dearest.max(now - before);
        before = now;
        false
    });
    assert!(lab.strays.len() >= 2 * usize::from(TRANSPORTS), "each INIT is repeated");
    assert!(dearest < 4 * work::SHARE, "{dearest} ns in one step");
}

#[test]
fn what_has_arrived_is_routed_before_its_transport_closes() {
    let (mut lab, router) = Lab::with_router();
    let (key, client, producer) = crowd(&mut lab, router, 1000);
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, producer);
    for _ in 0..40 {
        lab.clients[client].send(0, text("x"));
    }
    lab.expect("the first message", |lab| received(lab, producer) > 0);
    let before = received(&mut lab, producer);
    lab.sfu().transport(key).expect("open").close();
    lab.run_for(Duration::from_secs(1));
    let routed = lab.host().messages(consumer).len() as u64;
    assert!(before < routed && routed < 40, "{routed} of 40, {before} before the close");
}
