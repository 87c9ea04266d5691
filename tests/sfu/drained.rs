//! When `drained()` resolves.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::overflow::Overflow;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, RetainOptions, WhilePaused,
};
use datasoup::sfu::drain_state::DrainScope;
use datasoup::sfu::error::Error;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};

use crate::common::lab::{Lab, binary, ours, text};
use crate::common::options;
use crate::common::sim::Conditions;
use crate::pipe::{BOTH, By, carry, two_workers};

const MESSAGES: usize = 30;
const DELAY: Duration = Duration::from_millis(50);
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// A direct DataProducer, and a client that consumes it behind a round trip of 100 ms.
struct Scene {
    lab: Lab,
    router: RouterKey,
    producer: DataProducerKey,
    transport: TransportKey,
    consumer: DataConsumerKey,
    client: usize,
}

fn scene(conditions: Conditions, options: DataConsumerOptions) -> Scene {
    let mut lab = Lab::with(1, Conditions { delay: DELAY, ..Conditions::PERFECT }, 1);
    let router = lab.host().router();
    let producer = lab.source(router);
    let (transport, client) = lab.join(router, 1);
    let (consumer, _) = lab.host().consume_with(transport, producer, options);
    *lab.conditions() = Conditions { delay: DELAY, ..conditions };
    Scene { lab, router, producer, transport, consumer, client }
}

impl Scene {
    fn send(&mut self, count: usize, len: usize) {
        for _ in 0..count {
            self.lab.sfu().send(self.producer, binary(1, len), None);
        }
    }

    /// Begins to wait, like the runtime with empty lanes.
    fn drain(&mut self, scope: DrainScope) -> u32 {
        let request = self.lab.host().key();
        drain(&mut self.lab, 0, request, scope).expect("open");
        request
    }

    /// Runs until the request is answered, and returns the answer and how long it took.
    #[track_caller]
    fn answer(&mut self, request: u32) -> (Result<(), Error>, Duration) {
        let begin = self.lab.now;
        let mut answer = None;
        self.lab.expect("an answer", |lab| {
            answer = lab.host().drained(request);
            answer.is_some()
        });
        (answer.expect("answered"), self.lab.now - begin)
    }

    fn arrived(&mut self) -> usize {
        self.lab.clients[self.client].messages().len()
    }

    fn scopes(&self) -> [DrainScope; 4] {
        [
            DrainScope::DataConsumer(self.consumer),
            DrainScope::DataProducer(self.producer),
            DrainScope::Transport(self.transport),
            DrainScope::Worker,
        ]
    }
}

fn drain(lab: &mut Lab, host: usize, request: u32, scope: DrainScope) -> Result<(), Error> {
    lab.hosts[host].sfu.begin_drain(request, scope)?;
    lab.hosts[host].sfu.pass_drain_gate(request);
    Ok(())
}

#[test]
fn drained_is_answered_when_the_peer_has_acknowledged_everything_and_no_later() {
    let loss = Conditions { loss: 0.2, ..Conditions::PERFECT };
    for conditions in [Conditions::PERFECT, loss] {
        for index in 0..4 {
            let mut scene = scene(conditions, options::consumer());
            scene.send(MESSAGES, 1000);
            let scope = scene.scopes()[index];
            let request = scene.drain(scope);
            let (answer, time) = scene.answer(request);
            assert_eq!(answer, Ok(()), "{scope:?}");
            assert_eq!(scene.arrived(), MESSAGES, "{scope:?} {conditions:?}");
            assert!(time >= ROUND_TRIP, "{scope:?}: {time:?}");
            if conditions.loss == 0.0 {
                // The last packet is acknowledged after 200 ms at most (RFC 9260 §6.2).
                assert!(time < 4 * ROUND_TRIP, "{scope:?}: {time:?}");
            }
        }
    }
}

#[test]
fn drained_covers_all_of_a_message_that_leaves_in_parts() {
    let mut scene = scene(Conditions::PERFECT, options::consumer());
    for count in 1..=3 {
        scene.send(1, 250_000);
        let request = scene.drain(DrainScope::DataConsumer(scene.consumer));
        assert_eq!(scene.answer(request).0, Ok(()));
        assert_eq!(scene.arrived(), 1, "message {count}");
    }
}

#[test]
fn drained_is_answered_at_once_if_nothing_is_on_its_way() {
    let mut scene = scene(Conditions::PERFECT, options::consumer());
    for scope in scene.scopes() {
        let request = scene.drain(scope);
        scene.lab.flush();
        assert_eq!(scene.lab.host().drained(request), Some(Ok(())), "{scope:?}");
    }
}

#[test]
fn drained_does_not_wait_for_what_is_sent_after_it() {
    let mut scene = scene(
        Conditions { rate: Some(1_000_000), queue: 50_000, headers: 28, ..Conditions::PERFECT },
        options::consumer(),
    );
    for len in [100, 20_000] {
        scene.send(100_000 / len, len);
        let request = scene.drain(DrainScope::DataConsumer(scene.consumer));
        let mut answered = false;
        for _ in 0..100 {
            // The queue is never empty.
            scene.send(200_000 / len, len);
            scene.lab.run_for(ROUND_TRIP);
            answered = scene.lab.host().drained(request).is_some();
            if answered {
                break;
            }
        }
        assert!(answered, "with messages of {len} bytes");
        let waits = scene.lab.consumer_stats(scene.consumer)["bufferedAmount"].as_u64();
        assert!(waits > Some(0), "{waits:?}");
    }
}

#[test]
fn messages_that_expire_or_are_abandoned_count_as_drained() {
    for lifetime in [None, Some(200)] {
        let options = DataConsumerOptions {
            ordered: Some(false),
            max_packet_life_time: lifetime,
            max_retransmits: lifetime.is_none().then_some(0),
            ..options::consumer()
        };
        let mut scene = scene(Conditions { loss: 0.3, ..Conditions::PERFECT }, options);
        scene.send(200, 1000);
        let request = scene.drain(DrainScope::DataConsumer(scene.consumer));
        assert_eq!(scene.answer(request).0, Ok(()));
        let arrived = scene.arrived();
        let stats = scene.lab.stats(scene.transport);
        let dropped = ["messagesExpired", "messagesAbandoned"].map(|it| stats[it].as_u64());
        let dropped = dropped.into_iter().flatten().sum::<u64>() as usize;
        assert!(dropped > 0 && arrived < 200, "{arrived} {stats}");
        assert!(arrived + dropped >= 200, "{arrived} of 200 arrived, {dropped} were dropped");
    }
}

#[test]
fn drained_waits_for_a_peer_that_is_not_connected_yet() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (transport, client) = lab.invite(router, 1);
    let (consumer, _) = lab.host().consume(transport, producer);
    lab.sfu().send(producer, text("early"), None);
    lab.conditions().loss = 1.0;
    drain(&mut lab, 0, 900, DrainScope::DataConsumer(consumer)).expect("open");
    lab.run_for(Duration::from_secs(5));
    assert_eq!(lab.host().drained(900), None);
    lab.conditions().loss = 0.0;
    lab.expect("an answer", |lab| lab.host().drained(900) == Some(Ok(())));
    assert_eq!(lab.clients[client].messages().len(), 1);
}

#[test]
fn drained_of_a_transport_covers_what_its_data_producers_have_received() {
    let mut scene = scene(Conditions::PERFECT, options::consumer());
    let (sender, client) = scene.lab.join(scene.router, 2);
    let from_peer = scene.lab.host().produce(sender, 3);
    scene.lab.host().consume(scene.transport, from_peer);
    for _ in 0..MESSAGES {
        scene.lab.clients[client].send(3, binary(2, 500));
    }
    // The messages have arrived, and are on their way to the other client.
    scene.lab.expect("the messages", |lab| {
        lab.producer_stats(from_peer)["messagesReceived"] == MESSAGES
    });
    let request = scene.drain(DrainScope::Transport(sender));
    let (answer, time) = scene.answer(request);
    assert_eq!((answer, scene.arrived()), (Ok(()), MESSAGES));
    assert!(time >= ROUND_TRIP, "{time:?}");
}

#[test]
fn drained_is_behind_a_peers_messages_that_wait_to_be_routed() {
    let mut scene = scene(Conditions::PERFECT, options::consumer());
    let (sender, client) = scene.lab.join(scene.router, 2);
    let from_peer = scene.lab.host().produce(sender, 3);
    // Routing one message costs more than a turn may.
    let direct = scene.lab.host().direct(scene.router);
    let consumers = (0..10_000).map(|_| scene.lab.host().consume(direct, from_peer).0);
    let last = consumers.last().expect("10,000");
    for _ in 0..3 {
        scene.lab.clients[client].send(3, text("a"));
    }
    scene.lab.expect("messages that wait", |lab| {
        let received = lab.producer_stats(from_peer)["messagesReceived"].as_u64();
        received.is_some_and(|it| (1..3).contains(&it))
    });
    let request = scene.drain(DrainScope::DataProducer(from_peer));
    assert_eq!(scene.answer(request).0, Ok(()));
    assert_eq!(scene.lab.host().messages(last).len(), 3);
}

#[test]
fn drained_ends_with_its_object_and_with_the_association() {
    let mut scene = scene(Conditions::PERFECT, options::consumer());
    scene.send(MESSAGES, 1000);
    let [consumer, producer, transport, worker] = scene.scopes().map(|it| scene.drain(it));
    scene.lab.sfu().data_consumer(scene.consumer).expect("open").close();
    scene.lab.flush();
    let closed = Some(Err(Error::from(scene.consumer)));
    assert_eq!(scene.lab.host().drained(consumer), closed);
    // What the DataConsumer had not sent is discarded and counted, so nothing is left for the others.
    for request in [producer, transport, worker] {
        assert_eq!(scene.lab.host().drained(request), Some(Ok(())));
    }
    let late = scene.lab.host().key();
    let drained = drain(&mut scene.lab, 0, late, DrainScope::DataConsumer(scene.consumer));
    assert_eq!(drained, Err(scene.consumer.into()));

    let (consumer, _) = scene.lab.host().consume(scene.transport, scene.producer);
    scene.send(MESSAGES, 1000);
    let request = scene.drain(DrainScope::DataConsumer(consumer));
    let client = scene.client;
    scene.lab.clients[client].close();
    let (answer, _) = scene.answer(request);
    assert_eq!(answer, Ok(()), "what is unsent is counted");
    let request = scene.drain(DrainScope::DataConsumer(consumer));
    assert_eq!(scene.answer(request).0, Ok(()));
}

#[test]
fn a_cancelled_request_is_answered_and_forgotten() {
    let mut scene = scene(Conditions { loss: 1.0, ..Conditions::PERFECT }, options::consumer());
    scene.send(MESSAGES, 1000);
    let request = scene.drain(DrainScope::Worker);
    scene.lab.run_for(ROUND_TRIP);
    scene.lab.sfu().cancel_drain(request);
    scene.lab.sfu().cancel_drain(request);
    scene.lab.flush();
    assert_eq!(scene.lab.host().drained(request), Some(Ok(())));
    scene.lab.conditions().loss = 0.0;
    scene.lab.run_for(Duration::from_secs(20));
    assert_eq!(scene.arrived(), MESSAGES);
    assert_eq!(scene.lab.host().drained(request), None);
}

#[test]
fn through_a_pipe_drained_is_answered_when_the_far_worker_has_everything() {
    for by in BOTH {
        let (mut lab, ends) = two_workers(by);
        let producer = lab.hosts[0].produce(ends[0].direct, 0);
        let (consumer, remote) = carry(&mut lab, ends, producer, Vec::new());
        let (listener, _) = lab.hosts[1].consume(ends[1].direct, remote);
        // The first request waits until both ends are connected.
        for round in 0..2 {
            for _ in 0..MESSAGES {
                lab.hosts[0].sfu.send(producer, binary(1, 1000), None);
            }
            drain(&mut lab, 0, 900 + round, DrainScope::DataProducer(producer)).expect("open");
            assert_eq!(lab.hosts[1].messages(listener).len(), 0);
            lab.expect("an answer", |lab| lab.hosts[0].drained(900 + round) == Some(Ok(())));
            assert_eq!(lab.hosts[1].messages(listener).len(), MESSAGES, "{by:?}");
        }
        lab.hosts[0].sfu.send(producer, binary(1, 1000), None);
        drain(&mut lab, 0, 902, DrainScope::Worker).expect("open");
        drain(&mut lab, 0, 903, DrainScope::DataConsumer(consumer)).expect("open");
        lab.hosts[0].sfu.data_consumer(consumer).expect("open").close();
        lab.flush();
        assert_eq!(lab.hosts[0].drained(902), Some(Ok(())), "{by:?}");
        assert_eq!(lab.hosts[0].drained(903), Some(Err(consumer.into())), "{by:?}");
    }
}

#[test]
fn drained_ends_when_the_far_end_of_a_tunnel_closes() {
    let (mut lab, ends) = two_workers(By::Tunnel);
    let producer = lab.hosts[0].produce(ends[0].direct, 0);
    let (consumer, _) = carry(&mut lab, ends, producer, Vec::new());
    lab.flush();
    lab.flush();
    lab.hosts[0].sfu.send(producer, binary(1, 1000), None);
    drain(&mut lab, 0, 900, DrainScope::DataConsumer(consumer)).expect("open");
    // The frames are on their way when the other end closes.
    lab.hosts[0].sfu.flush();
    lab.hosts[0].events.clear();
    while lab.hosts[0].sfu.poll_event().is_some() {}
    lab.hosts[1].sfu.transport(ends[1].pipe).expect("open").close();
    lab.flush();
    assert_eq!(lab.hosts[0].drained(900), Some(Ok(())));
}

#[test]
fn plain_peers_acknowledge_as_others_do() {
    let (mut lab, router) = Lab::with_router();
    lab.conditions().delay = DELAY;
    let producer = lab.source(router);
    let listen = lab.host().listen(ours(1));
    let plain = lab.host().plain(router, listen, &options::plain(false));
    let peer = lab.plain_peer(1, ours(1), true);
    let to = lab.plain_peers[peer].address;
    lab.host().connect_udp(plain, to);
    lab.host().consume(plain, producer);
    for _ in 0..MESSAGES {
        lab.sfu().send(producer, binary(1, 1000), None);
    }
    drain(&mut lab, 0, 900, DrainScope::Transport(plain)).expect("open");
    lab.expect("an answer", |lab| lab.host().drained(900) == Some(Ok(())));
    assert_eq!(lab.plain_peers[peer].sctp.messages.len(), MESSAGES);
}

#[test]
fn drained_waits_for_what_a_data_producer_holds() {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let options = DataProducerOptions { while_paused: WhilePaused::Hold, ..options::producer() };
    let producer = lab.host().produce_with(direct, options);
    let (consumer, _) = lab.host().consume(direct, producer);
    lab.sfu().data_producer(producer).expect("open").pause();
    for _ in 0..MESSAGES {
        lab.sfu().send(producer, text("a"), None);
    }
    let scopes = [
        DrainScope::DataConsumer(consumer),
        DrainScope::DataProducer(producer),
        DrainScope::Transport(direct),
        DrainScope::Worker,
    ];
    for (request, scope) in (900..).zip(scopes) {
        drain(&mut lab, 0, request, scope).expect("open");
    }
    lab.flush();
    assert!((900..904).all(|it| lab.host().drained(it).is_none()));
    lab.sfu().data_producer(producer).expect("open").resume();
    lab.flush();
    assert_eq!(lab.host().messages(consumer).len(), MESSAGES);
    assert!((900..904).all(|it| lab.host().drained(it) == Some(Ok(()))));

    lab.sfu().data_producer(producer).expect("open").pause();
    lab.sfu().send(producer, text("b"), None);
    drain(&mut lab, 0, 904, DrainScope::Worker).expect("open");
    drain(&mut lab, 0, 905, DrainScope::DataProducer(producer)).expect("open");
    lab.sfu().data_producer(producer).expect("open").close();
    lab.flush();
    assert_eq!(lab.host().drained(904), Some(Ok(())), "what was held is counted");
    assert_eq!(lab.host().drained(905), Some(Err(producer.into())));
}

/// As many messages as a receive window has room for.
const BLOCKED: usize = 20;

/// A client whose DataProducer is blocked by another client, which is frozen.
fn blocked_peer() -> (Lab, TransportKey, [DataProducerKey; 2], usize, usize) {
    let (mut lab, router) = Lab::with_router();
    let (from, sender) = lab.join(router, 1);
    let (to, receiver) = lab.join(router, 2);
    let producers = [5, 6].map(|stream| lab.host().produce(from, stream));
    let options = DataConsumerOptions {
        overflow: Some(Overflow::Block),
        max_buffered_amount: Some(50_000),
        ..options::consumer()
    };
    lab.host().consume_with(to, producers[0], options);
    lab.clients[receiver].frozen = true;
    for n in 0..BLOCKED as u8 {
        lab.clients[sender].send(5, binary(n, 10_000));
    }
    lab.run_for(Duration::from_secs(1));
    assert!(lab.sfu().is_blocked(producers[0]));
    assert!(lab.sfu().bytes_held() > 200_000, "all has come");
    (lab, from, producers, sender, receiver)
}

#[test]
fn drained_waits_for_what_a_blocked_data_producer_of_a_peer_has_received() {
    for closes in [false, true] {
        let (mut lab, from, [blocked, other], sender, receiver) = blocked_peer();
        let scopes =
            [DrainScope::DataProducer(blocked), DrainScope::Transport(from), DrainScope::Worker];
        for (scope, request) in scopes.into_iter().zip(1000..) {
            drain(&mut lab, 0, request, scope).expect("open");
        }
        let others = DrainScope::DataProducer(other);
        drain(&mut lab, 0, 1009, others).expect("open");
        lab.flush();
        assert!(lab.host().drained(1009).is_some(), "the other one has nothing that waits");
        if closes {
            lab.clients[sender].close();
        }
        lab.run_for(Duration::from_secs(2));
        assert!((1000..1003).all(|request| lab.host().drained(request).is_none()));
        lab.clients[receiver].frozen = false;
        lab.expect("all are answered", |lab| lab.host().drained(1000).is_some());
        assert_eq!(lab.clients[receiver].sctp.messages.len(), BLOCKED, "closes: {closes}");
        lab.run_for(Duration::from_secs(1));
        assert!((1001..1003).all(|request| lab.host().drained(request).is_some()));
    }
}

#[test]
fn drained_of_a_blocked_data_producer_ends_although_its_peer_goes_on_sending() {
    let (mut lab, _, [blocked, _], sender, receiver) = blocked_peer();
    drain(&mut lab, 0, 1000, DrainScope::DataProducer(blocked)).expect("open");
    lab.clients[receiver].frozen = false;
    lab.conditions().rate = Some(1_000_000);
    let mut sent = BLOCKED;
    let mut answered = None;
    while answered.is_none() {
        for _ in 0..20 {
            lab.clients[sender].send(5, binary(0, 10_000));
            sent += 1;
        }
        lab.run_for(Duration::from_millis(100));
        answered = lab.host().drained(1000);
        assert!(sent < 2000);
    }
    let arrived = lab.clients[receiver].sctp.messages.len();
    assert!(arrived >= BLOCKED && arrived < sent, "{arrived} of {sent}");
}

/// A DataProducer that has retained messages of 10,000 bytes.
fn retaining(lab: &mut Lab, router: RouterKey, count: u8) -> DataProducerKey {
    let direct = lab.host().direct(router);
    let retain = Some(RetainOptions { messages: 100, bytes: 1 << 20, max_age: None });
    let options = DataProducerOptions { retain, ..options::producer() };
    let producer = lab.host().produce_with(direct, options);
    for n in 0..count {
        lab.sfu().send(producer, binary(n, 10_000), None);
    }
    producer
}

#[test]
fn drained_waits_for_the_replays_of_its_own_data_consumers_and_for_no_others() {
    const RETAINED: usize = 20;
    let (mut lab, router) = Lab::with_router();
    let producer = retaining(&mut lab, router, RETAINED as u8);
    let (from, healthy_client) = lab.join(router, 1);
    let (to, frozen_client) = lab.join(router, 2);
    let (healthy, _) = lab.host().consume(from, producer);
    lab.clients[frozen_client].frozen = true;
    let options = DataConsumerOptions {
        overflow: Some(Overflow::Block),
        max_buffered_amount: Some(50_000),
        ..options::consumer()
    };
    let (frozen, _) = lab.host().consume_with(to, producer, options);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.clients[healthy_client].messages().len(), RETAINED);
    for scope in [DrainScope::DataConsumer(healthy), DrainScope::Transport(from)] {
        let request = lab.host().key();
        drain(&mut lab, 0, request, scope).expect("open");
        lab.flush();
        assert_eq!(lab.host().drained(request), Some(Ok(())), "{scope:?}");
    }
    let scopes = [
        DrainScope::DataConsumer(frozen),
        DrainScope::Transport(to),
        DrainScope::DataProducer(producer),
        DrainScope::Worker,
    ];
    for (scope, request) in scopes.into_iter().zip(1000..) {
        drain(&mut lab, 0, request, scope).expect("open");
    }
    lab.run_for(Duration::from_secs(1));
    assert!((1000..1004).all(|request| lab.host().drained(request).is_none()));
    lab.clients[frozen_client].frozen = false;
    let mut left = vec![1000, 1001, 1002, 1003];
    lab.expect("all are answered", |lab| {
        left.retain(|request| lab.host().drained(*request).is_none());
        left.is_empty()
    });
    assert_eq!(lab.clients[frozen_client].messages().len(), RETAINED);
}

#[test]
fn the_work_of_drained_grows_with_the_number_of_replays_and_not_with_its_square() {
    let work = |count: u64| {
        let (mut lab, router) = Lab::with_router();
        let producer = retaining(&mut lab, router, 2);
        let direct = lab.host().direct(router);
        let overflow = Some(Overflow::Block);
        for _ in 0..count {
            let options = DataConsumerOptions { overflow, ..options::consumer() };
            let backlog = Arc::new(Backlog::new(1));
            lab.host().consume_into(direct, producer, options, backlog);
        }
        lab.flush();
        let before = lab.sfu().work();
        drain(&mut lab, 0, 1000, DrainScope::Transport(direct)).expect("open");
        let work = lab.sfu().work() - before;
        lab.flush();
        assert_eq!(lab.host().drained(1000), None, "the replays wait for room");
        work
    };
    let [few, many] = [10, 100].map(work);
    assert!(many <= 10 * few, "{few} for 10, {many} for 100");
}
