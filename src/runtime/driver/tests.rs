//! What one turn may do, and what closing meets in it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::options;
use crate::proto::certificate::Certificate;
use crate::proto::message::{Amount, Message, Ppid};
use crate::proto::overflow::Overflow;
use crate::runtime::job::Place;
use crate::runtime::log;
use crate::runtime::outbox::{Item, Outbox};
use crate::runtime::world::tests::check;
use crate::sfu::Sfu;
use crate::sfu::backlog::Backlog;
use crate::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, LimitAction, LimitOptions, LogLevel, PortRange,
    RetainOptions,
};
use crate::sfu::contract::parameters::ListenProtocol;
use crate::sfu::drain_state::DrainScope;
use crate::sfu::event::{DataConsumerEvent, Event};
use crate::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use crate::sfu::transport::webrtc::WebRtcListen;
use crate::sfu::work;

/// A worker with routers, each with one direct transport, which has the key of its router.
struct Scene {
    runtime: tokio::runtime::Runtime,
    driver: Driver,
    outbox: Arc<Outbox>,
    /// What JavaScript has sent to each DataProducer and is not routed.
    intakes: HashMap<u32, Arc<Backlog>>,
    next: u32,
}

impl Scene {
    fn new(routers: impl IntoIterator<Item = u32>) -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        let certificate = Certificate::generate().expect("a certificate");
        let ports = PortRange { min: 10_000, max: 59_999 };
        let (inbox, outbox) = (Arc::new(WorkerInbox::default()), Arc::new(Outbox::new(|| {})));
        let mut world = World::new(certificate, ports, Arc::clone(&inbox), Arc::clone(&outbox));
        for key in routers {
            world.sfu.create_router(RouterKey(key));
            let mut router = world.sfu.router(RouterKey(key)).expect("open");
            router.create_direct_transport(TransportKey(key), &options::direct());
        }
        let driver = Driver::new(world, inbox);
        Self { runtime, driver, outbox, intakes: HashMap::new(), next: 1000 }
    }

    /// A DataProducer on this router, and its DataConsumers.
    fn produce(
        &mut self,
        router: u32,
        consumers: usize,
    ) -> (DataProducerKey, Vec<DataConsumerKey>) {
        self.produce_for(router, consumers, 64 << 20)
    }

    /// Like [`Self::produce`]; the queue of each DataConsumer takes at most `bound` bytes.
    fn produce_for(
        &mut self,
        router: u32,
        consumers: usize,
        bound: u64,
    ) -> (DataProducerKey, Vec<DataConsumerKey>) {
        self.next += 1;
        let (key, intake) = (DataProducerKey(self.next), Arc::new(Backlog::new(64 << 20)));
        self.intakes.insert(self.next, Arc::clone(&intake));
        let sfu = &mut self.driver.world.sfu;
        let mut transport = sfu.transport(TransportKey(router)).expect("open");
        let id = transport.produce_data(key, options::producer(), intake).expect("made").id;
        let consumer = |number| {
            let key = DataConsumerKey(number);
            let mut transport = sfu.transport(TransportKey(router)).expect("open");
            let options = options::consumer_of(id);
            transport.consume_data(key, options, Arc::new(Backlog::new(bound))).expect("made");
            key
        };
        let first = self.next + 1;
        self.next += consumers as u32;
        (key, (first..=self.next).map(consumer).collect())
    }

    /// Sends messages with these numbers, as JavaScript does.
    fn send(&mut self, to: DataProducerKey, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.intakes[&to.0].enter(Amount::of(4));
            let message = Message::copy_from_slice(Ppid::BINARY, &number.to_be_bytes());
            self.driver.inbox.post(Job::Send(to, message, None));
        }
    }

    fn call(&mut self, place: Place, call: impl FnOnce(&mut World) + Send + 'static) {
        self.driver.inbox.post(Job::Call(place, Box::new(call)));
    }

    /// Runs a turn. Returns the items of the outbox, and what the turn has cost.
    fn turn(&mut self) -> (VecDeque<Item>, u64) {
        let Driver { inbox, jobs, readable, world, .. } = &mut self.driver;
        inbox.take(jobs, readable);
        let before = world.sfu.work();
        self.runtime.block_on(self.driver.turn(clock::now()));
        let mut items = VecDeque::new();
        self.outbox.take(&mut items);
        (items, self.driver.world.sfu.work() - before)
    }

    fn is_idle(&self) -> bool {
        self.driver.jobs.is_empty() && !self.driver.world.has_more(clock::now())
    }

    /// Runs turns until nothing is left. Returns the items of all of them.
    fn settle(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            items.extend(self.turn().0);
            if self.is_idle() {
                return items;
            }
        }
    }

    fn dropped_at_close(&mut self) -> u64 {
        let dropped = self.driver.world.dump().messages_dropped_at_close;
        assert_eq!(self.driver.world.metrics().sfu.messages_dropped.at_close, dropped);
        dropped
    }
}

/// The numbers of the messages that a DataConsumer gets.
fn numbers<'a>(items: impl IntoIterator<Item = &'a Item>, consumer: DataConsumerKey) -> Vec<u32> {
    let number = |item: &Item| match item {
        Item::Event(Event::Message(key, message)) if *key == consumer => {
            message.payload.first_chunk().map(|it| u32::from_be_bytes(*it))
        }
        _ => None,
    };
    items.into_iter().filter_map(number).collect()
}

fn is_closed(item: &Item, consumer: DataConsumerKey) -> bool {
    let expected = DataConsumerEvent::DataProducerClose;
    matches!(item, Item::Event(Event::DataConsumer(key, it)) if *key == consumer && *it == expected)
}

#[test]
fn a_turn_is_bounded_by_the_copies_that_it_routes_and_leaves_the_rest_in_order() {
    const CONSUMERS: usize = 1000;
    let mut scene = Scene::new([1]);
    let (producer, consumers) = scene.produce(1, CONSUMERS);
    scene.send(producer, 0..200);
    let mut routed = Vec::new();
    while routed.len() < 200 {
        let (items, cost) = scene.turn();
        let copies = work::SHARE / 50;
        assert!(items.len() as u64 <= 2 * copies + 2 * CONSUMERS as u64, "{} copies", items.len());
        assert!(cost < 4 * work::SHARE, "{cost} ns");
        assert!(!items.is_empty());
        routed.extend(numbers(&items, consumers[CONSUMERS / 2]));
    }
    assert!(routed.into_iter().eq(0..200));
    scene.turn();
    assert!(scene.is_idle());
}

#[test]
fn a_turn_is_bounded_by_the_copies_that_it_drops() {
    const SENT: u32 = 200;
    let mut scene = Scene::new([1]);
    let (producer, _) = scene.produce_for(1, 1000, 1);
    scene.send(producer, [0]);
    scene.settle(); // An empty queue takes any message.
    scene.send(producer, 0..SENT);
    let mut turns = 1;
    scene.turn();
    while !scene.is_idle() {
        scene.turn();
        turns += 1;
    }
    // A copy that is dropped takes about 40 ns, and two parts of a turn drop copies.
    assert!(turns >= SENT / 30, "{turns} turns");
}

#[test]
fn a_turn_does_a_bounded_number_of_calls_and_leaves_the_rest_in_order() {
    const CALLS: usize = 10_000;
    let mut scene = Scene::new([]);
    let done = Arc::new(Mutex::new(Vec::new()));
    for number in 0..CALLS {
        let done = Arc::clone(&done);
        scene.call(Place::Any, move |_| done.lock().unwrap().push(number));
    }
    let mut before = 0;
    while before < CALLS {
        scene.turn();
        let after = done.lock().unwrap().len();
        assert!(after > before && after - before <= (work::SHARE / work::CALL) as usize);
        before = after;
    }
    assert!(done.lock().unwrap().is_sorted());
}

#[test]
fn a_busy_producer_delays_no_other() {
    let mut scene = Scene::new([1, 2]);
    let (busy, _) = scene.produce(1, 1000);
    let (quiet, consumers) = scene.produce(2, 1);
    for number in 0..10 {
        scene.send(busy, 0..1000);
        scene.send(quiet, [number]);
        let (items, _) = scene.turn();
        assert_eq!(numbers(&items, consumers[0]), [number], "in the turn in which it comes");
    }
    assert!(!scene.is_idle());
}

#[test]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "the remote side")]
fn a_datagram_that_arrives_during_the_work_of_a_turn_is_answered_in_it() {
    let mut scene = Scene::new([1]);
    let (busy, _) = scene.produce(1, 1000);
    let (check, local) = scene.runtime.block_on(async {
        let world = &mut scene.driver.world;
        let listens = world.listen(&[(0, &options::listen_info(ListenProtocol::Udp))]);
        let listens = listens.expect("a free port");
        let local = listens[0].local;
        let made = world.sfu.router(RouterKey(1)).expect("open").create_webrtc_transport(
            TransportKey(2),
            &options::webrtc(),
            WebRtcListen::Own(listens),
        );
        (check(&made.expect("a transport").ice_parameters), local)
    });
    // The first read arms the socket's waker.
    scene.turn();
    let peer = Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    peer.set_nonblocking(true).expect("an option");
    scene.send(busy, 0..1000);
    scene.turn();
    let sender = Arc::clone(&peer);
    scene.call(Place::Any, move |_| {
        sender.send_to(&check, local).expect("it listens");
    });
    scene.turn();
    assert!(!scene.is_idle(), "the worker is busy");
    assert!(peer.recv(&mut [0; 1500]).is_ok(), "the answer");
}

#[test]
fn calls_keep_their_place_among_the_messages_of_their_producer() {
    let mut scene = Scene::new([1]);
    let (producer, consumers) = scene.produce(1, 1000);
    let [first, second, ..] = consumers[..] else { panic!("{consumers:?}") };
    let id = scene.driver.world.sfu.data_producer(producer).expect("open").dump().id;
    scene.send(producer, 0..100);
    scene.call(Place::DataConsumer(first), move |world| {
        world.sfu.data_consumer(first).expect("open").pause();
    });
    scene.send(producer, 100..200);
    scene.call(Place::DataProducer(producer), move |world| {
        world.sfu.data_producer(producer).expect("open").pause();
    });
    scene.send(producer, 200..300);
    scene.call(Place::DataProducer(producer), move |world| {
        world.sfu.data_producer(producer).expect("open").resume();
    });
    let late = DataConsumerKey(1);
    scene.call(Place::Any, move |world| {
        let found = world.sfu.find(id);
        world.call_behind(found, move |world| {
            let mut transport = world.sfu.transport(TransportKey(1)).expect("open");
            let backlog = Arc::new(Backlog::new(64 << 20));
            transport.consume_data(late, options::consumer_of(id), backlog).expect("made");
        });
    });
    scene.send(producer, 300..400);
    let items = scene.settle();
    assert!(numbers(&items, first).into_iter().eq(0..100));
    assert!(numbers(&items, second).into_iter().eq((0..200).chain(300..400)));
    assert!(numbers(&items, late).into_iter().eq(300..400));
}

#[test]
fn a_call_to_another_object_does_not_wait_for_messages() {
    let mut scene = Scene::new([1, 2]);
    let (busy, _) = scene.produce(1, 1000);
    scene.send(busy, 0..10_000);
    scene.call(Place::Any, |world| world.close_router(RouterKey(2)));
    scene.turn();
    scene.turn();
    assert!(scene.driver.world.sfu.router(RouterKey(2)).is_err());
    assert_eq!(scene.dropped_at_close(), 0);
}

#[test]
fn what_was_sent_just_before_a_close_is_routed_before_it() {
    for close in 0..3 {
        let mut scene = Scene::new([1, 2]);
        let (busy, _) = scene.produce(2, 1000);
        let (producer, _) = scene.produce(1, 0);
        let id = scene.driver.world.sfu.data_producer(producer).expect("open").dump().id;
        let consumer = DataConsumerKey(1);
        let sfu = &mut scene.driver.world.sfu;
        sfu.router(RouterKey(1))
            .expect("open")
            .create_direct_transport(TransportKey(3), &options::direct());
        let backlog = Arc::new(Backlog::new(64 << 20));
        let mut other = sfu.transport(TransportKey(3)).expect("open");
        other.consume_data(consumer, options::consumer_of(id), backlog).expect("made");
        scene.send(busy, 0..1000);
        scene.send(producer, 0..5);
        scene.call(Place::Any, move |world| match close {
            0 => world.close_data_producer(producer),
            1 => world.close_transport(TransportKey(1)),
            _ => world.close_router(RouterKey(1)),
        });
        let mut items = scene.turn().0;
        items.extend(scene.turn().0);
        assert_eq!(numbers(&items, consumer), [0, 1, 2, 3, 4]);
        assert!(items.iter().any(|it| is_closed(it, consumer)));
        assert_eq!(scene.dropped_at_close(), 0);
    }
}

#[test]
fn a_close_gives_what_waits_one_share_although_others_have_taken_the_turn() {
    for close in 0..3 {
        let mut scene = Scene::new([1, 2]);
        let busy = [(); 20].map(|()| scene.produce(2, 200).0);
        let (producer, consumers) = scene.produce(1, 1);
        for busy in busy {
            scene.send(busy, 0..100);
        }
        scene.send(producer, 0..5);
        let (items, _) = scene.turn();
        assert_eq!(numbers(&items, consumers[0]), [] as [u32; 0]);
        scene.call(Place::Any, move |world| match close {
            0 => world.close_data_producer(producer),
            1 => world.close_transport(TransportKey(1)),
            _ => world.close_router(RouterKey(1)),
        });
        let items = scene.settle();
        if close == 0 {
            assert_eq!(numbers(&items, consumers[0]), [0, 1, 2, 3, 4]);
        }
        assert_eq!(scene.dropped_at_close(), 0);
    }
}

#[test]
fn calls_that_were_made_before_a_close_take_effect_before_it() {
    for close in 0..3 {
        let mut scene = Scene::new([1]);
        let (producer, consumers) = scene.produce(1, 1000);
        scene.send(producer, 0..10_000);
        let found = Arc::new(Mutex::new(Vec::new()));
        let places = [
            Place::DataProducer(producer),
            Place::DataConsumer(consumers[0]),
            Place::DataProducer(producer),
        ];
        for place in places {
            let found = Arc::clone(&found);
            scene.call(place, move |world| {
                found.lock().unwrap().push(world.sfu.data_producer(producer).is_ok());
            });
        }
        scene.call(Place::Any, move |world| match close {
            0 => world.close_data_producer(producer),
            1 => world.close_transport(TransportKey(1)),
            _ => world.close_router(RouterKey(1)),
        });
        scene.settle();
        assert_eq!(*found.lock().unwrap(), [true; 3]);
        assert!(scene.dropped_at_close() > 0);
    }
}

#[test]
fn a_close_drops_what_exceeds_one_turn_and_counts_it() {
    const SENT: u32 = 10_000;
    log::attach(LogLevel::Warn, vec!["info".into()]);
    for close in 0..3 {
        let mut scene = Scene::new([1, 2]);
        let (producer, consumers) = scene.produce(1, 1000);
        let (other, others) = scene.produce(2, 1000);
        scene.send(producer, 0..SENT);
        scene.send(other, 0..100);
        scene.call(Place::Any, move |world| match close {
            0 => world.close_data_producer(producer),
            1 => world.close_transport(TransportKey(1)),
            _ => world.close_router(RouterKey(1)),
        });
        let mut items = Vec::new();
        while scene.driver.world.sfu.data_producer(producer).is_ok() {
            let (more, cost) = scene.turn();
            assert!(cost < 6 * work::SHARE, "{cost} ns");
            items.extend(more);
        }
        let dropped = scene.dropped_at_close();
        items.extend(scene.settle());
        let routed = numbers(&items, consumers[0]);
        assert!(routed.iter().copied().eq(0..routed.len() as u32));
        assert!(routed.len() < 100, "a few turns of them: {}", routed.len());
        assert_eq!(dropped, u64::from(SENT) - routed.len() as u64);
        assert_eq!(scene.dropped_at_close(), dropped, "once");
        let logged: Vec<_> = items.iter().filter_map(dropped_in_log).collect();
        assert_eq!(logged, [dropped]);
        assert_eq!(scene.intakes[&producer.0].charge(), 0);
        assert!(numbers(&items, others[0]).into_iter().eq(0..100), "others lose nothing");
    }
}

/// How many messages a line of the log says were dropped.
fn dropped_in_log(item: &Item) -> Option<u64> {
    let Item::Log("warn", line) = item else { return None };
    line.split_once(" messages")?.0.rsplit(' ').next()?.parse().ok()
}

#[test]
fn the_calls_of_all_data_producers_that_close_have_one_share() {
    const PRODUCERS: usize = 50;
    const CALLS: usize = 10;
    let mut scene = Scene::new([1]);
    let done = Arc::new(Mutex::new(0));
    for _ in 0..PRODUCERS {
        let (producer, _) = scene.produce(1, 100);
        scene.send(producer, 0..10_000);
        for _ in 0..CALLS {
            let done = Arc::clone(&done);
            scene.call(Place::DataProducer(producer), move |world| {
                world.sfu.spend(work::SHARE / 4);
                *done.lock().unwrap() += 1;
            });
        }
    }
    scene.call(Place::Any, |world| world.close_router(RouterKey(1)));
    while !scene.is_idle() || *done.lock().unwrap() == 0 {
        let (_, cost) = scene.turn();
        assert!(cost < 6 * work::SHARE, "{cost} ns");
    }
    assert_eq!(*done.lock().unwrap(), PRODUCERS * CALLS, "none is lost");
}

#[test]
fn a_cascade_is_spread_over_turns_and_holds_back_what_comes_after_it() {
    const CONSUMERS: usize = 20_000;
    let mut scene = Scene::new([1]);
    let (producer, consumers) = scene.produce(1, CONSUMERS);
    let gone = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&gone);
    scene.call(Place::Any, move |world| world.close_data_producer(producer));
    scene.call(Place::Any, move |world| *seen.lock().unwrap() = Some(world.sfu.is_closing()));
    let mut items = Vec::new();
    let mut turns = 0;
    while gone.lock().unwrap().is_none() {
        let (more, cost) = scene.turn();
        assert!(cost < 4 * work::SHARE, "{cost} ns");
        items.extend(more);
        turns += 1;
    }
    assert!(turns > 3, "{turns}");
    assert_eq!(*gone.lock().unwrap(), Some(false));
    assert!(items.iter().zip(&consumers).all(|(item, key)| is_closed(item, *key)));
    assert_eq!(items.len(), CONSUMERS);
}

#[test]
fn the_end_overtakes_what_waits_and_the_log_has_how_much() {
    const SENT: u32 = 100_000;
    log::attach(LogLevel::Warn, vec!["info".into()]);
    let mut scene = Scene::new([1]);
    let (producer, _) = scene.produce(1, 1000);
    scene.send(producer, 0..SENT);
    let inbox = Arc::clone(&scene.driver.inbox);
    inbox.end();
    inbox.post(Job::call(|_| panic!("posted after the end")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(scene.driver.run());
    assert!(inbox.is_closed());
    let mut items = VecDeque::new();
    scene.outbox.take(&mut items);
    let [Item::Log("warn", line)] = items.make_contiguous() else { panic!("{items:?}") };
    let dropped = line.split(' ').find_map(|word| word.parse().ok());
    assert!(dropped.is_some_and(|it: u32| (SENT - 100..SENT).contains(&it)), "{line}");
}

type Close = fn(&mut Scene, DataProducerKey, &[DataConsumerKey]);

/// How long it takes to remove all DataConsumers of one DataProducer.
fn time_to_remove(consumers: usize, close: Close) -> Duration {
    let mut scene = Scene::new([1]);
    let (producer, keys) = scene.produce(1, consumers);
    close(&mut scene, producer, &keys);
    let begin = clock::now();
    scene.settle();
    let taken = clock::now() - begin;
    assert!(keys.iter().all(|it| scene.driver.world.sfu.data_consumer(*it).is_err()));
    taken
}

/// Asserts that 50,000 entities take about as long as ten times 5,000.
fn assert_linear(what: &str, time: impl Fn(usize) -> Duration) {
    const FEW: usize = 5_000;
    // Both measurements take about as long, so that other processes delay both alike. Quadratic work would give 10.
    // What no longer fits into the caches may double the time.
    let ratios = (0..3).map(|_| {
        let few: Duration = (0..10).map(|_| time(FEW)).sum();
        time(10 * FEW).as_secs_f64() / few.as_secs_f64()
    });
    let least = ratios.reduce(f64::min).expect("rounds");
    assert!(least < 4.0, "50,000 {what} take {least} times as long as ten times 5,000");
}

#[test]
fn the_time_to_remove_consumers_grows_with_their_number_and_not_with_its_square() {
    for (what, close) in [
        ("with their DataProducer", close_producer as Close),
        ("with their transport", close_transport),
        ("one by one", close_consumers),
    ] {
        assert_linear(what, |count| time_to_remove(count, close));
    }

    fn close_producer(scene: &mut Scene, producer: DataProducerKey, _: &[DataConsumerKey]) {
        scene.call(Place::Any, move |world| world.close_data_producer(producer));
    }

    fn close_transport(scene: &mut Scene, _: DataProducerKey, _: &[DataConsumerKey]) {
        scene.call(Place::Any, |world| world.close_transport(TransportKey(1)));
    }

    /// From the last to the first, the worst order for a search from the start.
    fn close_consumers(scene: &mut Scene, _: DataProducerKey, consumers: &[DataConsumerKey]) {
        for key in consumers.iter().rev().copied() {
            scene.call(Place::DataConsumer(key), move |world| {
                world.sfu.data_consumer(key).expect("open").close();
            });
        }
    }
}

/// How long it takes until the last of many blocking DataConsumers releases its DataProducer.
fn time_to_unblock(consumers: usize) -> Duration {
    let mut scene = Scene::new([1]);
    let (producer, keys) = scene.produce_for(1, consumers, 1000);
    let sfu = &mut scene.driver.world.sfu;
    let set_overflow = |sfu: &mut Sfu, key, overflow| {
        sfu.data_consumer(key).expect("open").set_overflow(overflow).expect("supported");
    };
    for key in &keys {
        set_overflow(sfu, *key, Overflow::Block);
    }
    sfu.send(producer, Message::copy_from_slice(Ppid::BINARY, &[0; 1000]), None);
    assert!(sfu.is_blocked(producer));
    let begin = clock::now();
    for key in &keys {
        assert!(sfu.is_blocked(producer));
        set_overflow(sfu, *key, Overflow::DropNewest);
    }
    assert!(!sfu.is_blocked(producer));
    clock::now() - begin
}

#[test]
fn the_time_to_unblock_a_data_producer_grows_with_its_consumers_and_not_with_their_square() {
    assert_linear("that hold up a DataProducer", time_to_unblock);
}

/// How long it takes to close DataProducers that wait for the tokens of their transport, one by one.
fn time_to_close_waiting(producers: usize) -> Duration {
    let mut scene = Scene::new([1]);
    let keys: Vec<_> = (0..producers).map(|_| scene.produce(1, 0).0).collect();
    let sfu = &mut scene.driver.world.sfu;
    let limit = LimitOptions {
        messages_per_second: None,
        bytes_per_second: Some(1),
        burst: 1.0,
        action: LimitAction::Block,
    };
    sfu.transport(TransportKey(1)).expect("open").set_limit(Some(&limit)).expect("no pipe");
    // A direct DataProducer without a limit of its own takes no tokens.
    let own = LimitOptions { action: LimitAction::Drop, ..limit };
    sfu.data_producer(keys[0]).expect("open").set_limit(Some(&own)).expect("no pipe");
    sfu.send(keys[0], Message::copy_from_slice(Ppid::BINARY, &[0; 1000]), None);
    assert!(keys.iter().all(|it| sfu.is_blocked(*it)));
    let begin = clock::now();
    for key in keys.into_iter().rev() {
        sfu.data_producer(key).expect("open").close();
    }
    clock::now() - begin
}

#[test]
fn the_time_to_close_data_producers_that_wait_for_tokens_grows_with_their_number_and_not_with_its_square()
 {
    assert_linear("that wait for tokens", time_to_close_waiting);
}

/// How long it takes to close DataConsumers that have not got all that is retained, one by one, while `drained()`
/// waits.
fn time_to_close_replaying(consumers: usize) -> Duration {
    let mut scene = Scene::new([1]);
    let sfu = &mut scene.driver.world.sfu;
    let mut transport = sfu.transport(TransportKey(1)).expect("open");
    let retain = Some(RetainOptions { messages: 2, bytes: 10_000, max_age: None });
    let (key, intake) = (DataProducerKey(2), Arc::new(Backlog::new(10_000)));
    let made = DataProducerOptions { retain, ..options::producer() };
    let id = transport.produce_data(key, made, intake).expect("made").id;
    for _ in 0..2 {
        sfu.send(key, Message::copy_from_slice(Ppid::BINARY, &[0; 1000]), None);
    }
    // The first message fills their queues, and so they wait with the second one.
    let keys = (3..3 + consumers as u32).map(DataConsumerKey);
    for key in keys.clone() {
        let made =
            DataConsumerOptions { overflow: Some(Overflow::Block), ..options::consumer_of(id) };
        let mut transport = sfu.transport(TransportKey(1)).expect("open");
        transport.consume_data(key, made, Arc::new(Backlog::new(1000))).expect("made");
    }
    sfu.begin_drain(1, DrainScope::Worker).expect("open");
    sfu.pass_drain_gate(1);
    let begin = clock::now();
    for key in keys.rev() {
        sfu.data_consumer(key).expect("open").close();
    }
    let taken = clock::now() - begin;
    assert_eq!(sfu.metrics().messages_dropped.at_close, consumers as u64);
    taken
}

#[test]
fn the_time_to_close_consumers_during_their_replays_grows_with_their_number_and_not_with_its_square()
 {
    assert_linear("that have not caught up", time_to_close_replaying);
}
