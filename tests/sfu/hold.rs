//! Messages that wait for a `resume()`: `whilePaused: 'hold'`.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::Message;
use datasoup::proto::overflow::Overflow;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, RetainOptions, WhilePaused,
};
use datasoup::sfu::drain_state::DrainScope;
use datasoup::sfu::event::{DataProducerEvent, Event};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::subchannels::{Selector, Subchannels};
use datasoup::sfu::work;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common::lab::{Lab, binary, text};
use crate::common::options;
use crate::common::sim::Conditions;
use crate::pipe::{By, joined};

fn holding(options: DataProducerOptions) -> DataProducerOptions {
    DataProducerOptions { while_paused: WhilePaused::Hold, ..options }
}

/// A direct DataProducer that holds, its intake and a DataConsumer.
fn direct(lab: &mut Lab, bound: u64) -> (DataProducerKey, Arc<Backlog>, DataConsumerKey) {
    let router = lab.host().router();
    let transport = lab.host().direct(router);
    let producer = DataProducerKey(lab.host().key());
    let intake = Arc::new(Backlog::new(bound));
    let mut view = lab.sfu().transport(transport).expect("open");
    view.produce_data(producer, holding(options::producer()), Arc::clone(&intake)).expect("made");
    let (consumer, _) = lab.host().consume(transport, producer);
    (producer, intake, consumer)
}

/// A client's DataProducer on stream 0 that holds within `bound`, and a direct DataConsumer of it.
fn sctp(lab: &mut Lab, bound: u64) -> (TransportKey, usize, DataProducerKey, DataConsumerKey) {
    let router = lab.host().router();
    let (key, client) = lab.join(router, 1);
    let producer = DataProducerKey(lab.host().key());
    let intake = Arc::new(Backlog::new(bound));
    let mut view = lab.sfu().transport(key).expect("open");
    view.produce_data(producer, holding(options::producer_on(0)), intake).expect("made");
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, producer);
    (key, client, producer, consumer)
}

/// Like JavaScript's `send()`; false if there is no room.
fn send(lab: &mut Lab, producer: DataProducerKey, intake: &Backlog, message: Message) -> bool {
    let accepted = intake.try_enter(message.amount());
    if accepted {
        lab.sfu().send(producer, message, None);
    }
    accepted
}

fn pause(lab: &mut Lab, producer: DataProducerKey) {
    lab.sfu().data_producer(producer).expect("open").pause();
}

fn resume(lab: &mut Lab, producer: DataProducerKey) {
    lab.sfu().data_producer(producer).expect("open").resume();
}

/// The numbers in the messages that have come.
fn numbers(lab: &mut Lab, consumer: DataConsumerKey) -> Vec<u32> {
    lab.flush();
    let messages = lab.host().messages(consumer);
    let number = |it: &Message| String::from_utf8_lossy(&it.payload).parse().expect("a number");
    messages.iter().map(number).collect()
}

fn count(lab: &mut Lab, producer: DataProducerKey, name: &str) -> u64 {
    lab.producer_stats(producer)[name].as_u64().expect("a counter")
}

#[test]
fn a_direct_producer_holds_what_comes_while_it_is_paused_and_routes_it_first() {
    let mut lab = Lab::new();
    let (producer, intake, consumer) = direct(&mut lab, 1 << 20);
    pause(&mut lab, producer);
    for n in 0..3 {
        assert!(send(&mut lab, producer, &intake, text(&n.to_string())));
    }
    assert!(numbers(&mut lab, consumer).is_empty());
    assert_eq!(count(&mut lab, producer, "messagesWaiting"), 3);
    assert_eq!((intake.payload(), lab.sfu().bytes_held()), (3, 3 * 65));
    resume(&mut lab, producer);
    assert!(send(&mut lab, producer, &intake, text("3")));
    assert_eq!(numbers(&mut lab, consumer), [0, 1, 2, 3]);
    assert_eq!(intake.charge(), 0);
    for (name, expected) in [("messagesReceived", 4), ("messagesWaiting", 0), ("messagesPaused", 0)]
    {
        assert_eq!(count(&mut lab, producer, name), expected, "{name}");
    }
}

#[test]
fn what_a_direct_producer_holds_fills_its_bound_and_drain_follows_the_resume() {
    let mut lab = Lab::new();
    let (producer, intake, consumer) = direct(&mut lab, 1000);
    pause(&mut lab, producer);
    let accepted = (0..20).filter(|n| send(&mut lab, producer, &intake, text(&n.to_string())));
    assert_eq!(accepted.count(), 15, "of 65 or 66 bytes each");
    lab.sfu().notify_drain(producer);
    lab.flush();
    assert!(lab.host().producer_events(producer).is_empty());
    resume(&mut lab, producer);
    assert_eq!(numbers(&mut lab, consumer), (0..15).collect::<Vec<_>>());
    assert_eq!(lab.host().producer_events(producer), [DataProducerEvent::Drain]);
}

#[test]
fn subchannels_are_held_with_their_messages() {
    let mut lab = Lab::new();
    let (producer, intake, consumer) = direct(&mut lab, 1 << 20);
    pause(&mut lab, producer);
    for n in 1..=2 {
        let subchannels = Subchannels::new([n]);
        let selector = Arc::new(Selector { subchannels, ..Default::default() });
        let message = text(&n.to_string());
        assert!(intake.try_enter(message.amount().with_subchannels(1)));
        lab.sfu().send(producer, message, Some(&selector));
    }
    lab.sfu().data_consumer(consumer).expect("open").add_subchannel(2);
    resume(&mut lab, producer);
    assert_eq!(numbers(&mut lab, consumer), [2]);
    assert_eq!(intake.charge(), 0);
}

#[test]
fn a_client_s_messages_are_held_within_the_bound_and_the_newest_are_dropped() {
    let mut lab = Lab::new();
    let (_, client, producer, consumer) = sctp(&mut lab, 66 * 10);
    pause(&mut lab, producer);
    for n in 10..30 {
        lab.clients[client].send(0, text(&n.to_string()));
    }
    lab.run_for(Duration::from_secs(1));
    for (name, expected) in
        [("messagesReceived", 20), ("messagesWaiting", 10), ("messagesDroppedFull", 10)]
    {
        assert_eq!(count(&mut lab, producer, name), expected, "{name}");
    }
    resume(&mut lab, producer);
    assert_eq!(numbers(&mut lab, consumer), (10..20).collect::<Vec<_>>());
    lab.clients[client].send(0, text("30"));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(numbers(&mut lab, consumer), [30]);
}

#[test]
fn many_held_messages_are_routed_over_several_turns_and_later_ones_keep_their_place() {
    let mut lab = Lab::new();
    let (producer, intake, consumer) = direct(&mut lab, 64 << 20);
    pause(&mut lab, producer);
    let total = 20_000;
    for n in 0..total {
        assert!(send(&mut lab, producer, &intake, text(&n.to_string())));
    }
    let before = lab.sfu().work();
    resume(&mut lab, producer);
    assert!(lab.sfu().work() - before < 2 * work::QUANTUM);
    assert!(send(&mut lab, producer, &intake, text(&total.to_string())));
    // A pause interrupts what is left, and a resume continues it.
    pause(&mut lab, producer);
    assert!(send(&mut lab, producer, &intake, text(&(total + 1).to_string())));
    resume(&mut lab, producer);
    let mut turns = 0;
    while count(&mut lab, producer, "messagesWaiting") > 0 {
        let before = lab.sfu().work();
        assert_eq!(lab.sfu().poll_timeout(), Some(lab.now));
        lab.sfu().handle_timeout();
        assert!(lab.sfu().work() - before < 2 * work::SHARE);
        turns += 1;
    }
    assert!(turns > 3, "{turns}");
    assert_eq!(numbers(&mut lab, consumer), (0..total + 2).collect::<Vec<_>>());
}

#[test]
fn a_producer_that_closes_drops_and_counts_what_it_holds() {
    let mut lab = Lab::new();
    let (producer, intake, _) = direct(&mut lab, 1 << 20);
    pause(&mut lab, producer);
    assert!(send(&mut lab, producer, &intake, binary(0, 100)));
    lab.sfu().data_producer(producer).expect("open").close();
    assert_eq!(intake.charge(), 0);
    let dump = lab.sfu().dump(1, Default::default(), Default::default());
    assert_eq!(dump.messages_dropped_at_close, 1);
}

/// A DataConsumer that holds messages, with its DataProducer.
struct Holder {
    lab: Lab,
    router: RouterKey,
    /// What waits for JavaScript.
    backlog: Arc<Backlog>,
    producer: DataProducerKey,
    consumer: DataConsumerKey,
    client: Option<usize>,
}

impl Holder {
    /// A DataConsumer on a direct transport, or of a client.
    fn new(webrtc: bool, options: DataConsumerOptions) -> Self {
        let (mut lab, router) = Lab::with_router();
        let direct = lab.host().direct(router);
        let producer = lab.host().produce(direct, 0);
        let (key, client) = match webrtc {
            true => {
                let (key, client) = lab.join(router, 1);
                (key, Some(client))
            }
            false => (direct, None),
        };
        let options = DataConsumerOptions { while_paused: WhilePaused::Hold, ..options };
        let backlog = options::backlog();
        let shared = Arc::clone(&backlog);
        let (consumer, _) = lab.host().consume_into(key, producer, options, shared);
        Self { lab, router, backlog, producer, consumer, client }
    }

    fn both(options: &DataConsumerOptions) -> [Self; 2] {
        [false, true].map(|webrtc| Self::new(webrtc, options.clone()))
    }

    fn send(&mut self, number: u32) {
        self.lab.sfu().send(self.producer, text(&number.to_string()), None);
    }

    fn pause(&mut self) {
        self.lab.sfu().data_consumer(self.consumer).expect("open").pause();
    }

    fn resume(&mut self) {
        self.lab.sfu().data_consumer(self.consumer).expect("open").resume();
    }

    fn numbers(&mut self) -> Vec<u32> {
        self.lab.run_for(Duration::from_secs(1));
        match self.client {
            Some(client) => {
                let number = |it: &Message| String::from_utf8_lossy(&it.payload).parse();
                let got = self.lab.clients[client].messages();
                got.iter().map(|(_, it)| number(it).expect("a number")).collect()
            }
            None => {
                let got = queued(&mut self.lab, self.consumer);
                got.iter().map(|it| it.parse().expect("a number")).collect()
            }
        }
    }

    fn count(&mut self, name: &str) -> u64 {
        self.lab.consumer_stats(self.consumer)[name].as_u64().expect("a counter")
    }
}

/// Takes the messages whose tokens are in the outbox, like JavaScript.
fn queued(lab: &mut Lab, consumer: DataConsumerKey) -> Vec<String> {
    lab.flush();
    let messages = lab.host().messages(consumer);
    messages.iter().map(|it| String::from_utf8_lossy(&it.payload).into_owned()).collect()
}

#[test]
fn a_consumer_holds_what_comes_while_it_is_paused_and_delivers_it_first() {
    for mut it in Holder::both(&options::consumer()) {
        it.send(0);
        assert_eq!(it.numbers(), [0]);
        it.pause();
        (1..=3).for_each(|n| it.send(n));
        assert!(it.numbers().is_empty());
        assert_eq!((it.count("messagesSent"), it.count("messagesWaiting")), (1, 3));
        it.resume();
        it.send(4);
        assert_eq!(it.numbers(), [1, 2, 3, 4]);
        assert_eq!((it.count("messagesSent"), it.count("messagesWaiting")), (5, 0));
        assert_eq!((it.count("messagesPaused"), it.count("messagesDropped")), (0, 0));
    }
}

#[test]
fn a_consumer_that_is_created_paused_holds_the_retained_messages_as_well() {
    for webrtc in [false, true] {
        let (mut lab, router) = Lab::with_router();
        let direct = lab.host().direct(router);
        let (key, client) = lab.join(router, 1);
        let retain = Some(RetainOptions { messages: 2, bytes: 1 << 20, max_age: None });
        let options = DataProducerOptions { retain, ..options::producer() };
        let producer = lab.host().produce_with(direct, options);
        (0..3).for_each(|n| lab.sfu().send(producer, text(&n.to_string()), None));
        let options = DataConsumerOptions {
            paused: true,
            while_paused: WhilePaused::Hold,
            ..options::consumer()
        };
        let on = if webrtc { key } else { direct };
        let (consumer, _) = lab.host().consume_with(on, producer, options);
        (3..8).for_each(|n| lab.sfu().send(producer, text(&n.to_string()), None));
        lab.sfu().data_consumer(consumer).expect("open").resume();
        lab.run_for(Duration::from_secs(1));
        let got: Vec<String> = match webrtc {
            true => {
                let got = lab.clients[client].messages();
                got.iter().map(|(_, it)| String::from_utf8_lossy(&it.payload).into()).collect()
            }
            false => queued(&mut lab, consumer),
        };
        assert_eq!(got, ["1", "2", "3", "4", "5", "6", "7"]);
    }
}

#[test]
fn what_is_held_is_within_the_bound_and_by_the_policy() {
    for (overflow, left) in [
        (Overflow::DropNewest, vec![0, 1, 2]),
        (Overflow::DropOldest, vec![7, 8, 9]),
        (Overflow::KeepLatest, vec![9]),
    ] {
        let options = DataConsumerOptions {
            overflow: Some(overflow),
            max_buffered_amount: Some(3 * 65),
            ..options::consumer()
        };
        // The bound of a direct one is its backlog's, which is too large here for the first two.
        let [direct, client] = Holder::both(&options);
        let holders =
            if overflow == Overflow::KeepLatest { vec![direct, client] } else { vec![client] };
        for mut it in holders {
            it.pause();
            (0..10).for_each(|n| it.send(n));
            let waiting = left.len() as u64;
            assert_eq!(it.count("messagesWaiting"), waiting, "{overflow:?}");
            assert_eq!(it.count("messagesDropped"), 10 - waiting, "{overflow:?}");
            it.resume();
            assert_eq!(it.numbers(), left, "{overflow:?}");
            assert_eq!(it.count("messagesSent"), waiting, "{overflow:?}");
        }
    }
}

#[test]
fn a_consumer_that_holds_does_not_take_the_room_of_others_on_its_transport() {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let (key, client) = lab.join(router, 1);
    let [held, live] = [(); 2].map(|()| lab.host().produce(direct, 0));
    let options = DataConsumerOptions { while_paused: WhilePaused::Hold, ..options::consumer() };
    let (holder, _) = lab.host().consume_with(key, held, options);
    let (other, _) = lab.host().consume(key, live);
    lab.sfu().data_consumer(holder).expect("open").pause();
    for _ in 0..40 {
        lab.sfu().send(held, binary(0, 100_000), None);
    }
    assert_eq!(lab.consumer_stats(holder)["messagesWaiting"], 20, "2 MB");
    lab.sfu().send(live, text("live"), None);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.consumer_stats(other)["messagesDropped"], 0);
    assert_eq!(lab.clients[client].messages().len(), 1);
    lab.sfu().data_consumer(holder).expect("open").resume();
    lab.run_for(Duration::from_secs(10));
    assert_eq!(lab.clients[client].messages().len(), 20);
}

#[test]
fn many_held_messages_come_to_javascript_over_several_turns() {
    let mut it = Holder::new(false, options::consumer());
    it.pause();
    let total = 20_000;
    (0..total).for_each(|n| it.send(n));
    let before = it.lab.sfu().work();
    it.resume();
    assert!(it.lab.sfu().work() - before < 2 * work::QUANTUM);
    it.send(total);
    assert_eq!(it.lab.sfu().poll_timeout(), Some(it.lab.now));
    assert_eq!(it.numbers(), (0..=total).collect::<Vec<_>>());
}

#[test]
fn a_consumer_in_a_tunnel_holds_as_well() {
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let [near, far] = joined(&mut lab, By::Tunnel);
    let producer = lab.host().produce(near.direct, 0);
    let other = lab.host().produce(near.direct, 0);
    let options = DataConsumerOptions { while_paused: WhilePaused::Hold, ..options::consumer() };
    let carried = [(producer, options), (other, options::consumer())].map(|(producer, options)| {
        let (consumer, dump) = lab.host().consume_with(near.pipe, producer, options);
        let options = DataProducerOptions {
            sctp_stream_parameters: dump.sctp_stream_parameters,
            ..options::producer()
        };
        let remote = lab.hosts[1].produce_with(far.pipe, options);
        (consumer, lab.hosts[1].consume(far.direct, remote).0)
    });
    lab.run_for(Duration::from_secs(1));
    let (consumer, sink) = carried[0];
    let mut view = lab.sfu().data_consumer(consumer).expect("open");
    view.pause();
    for n in 0..3 {
        lab.sfu().send(producer, text(&n.to_string()), None);
        lab.sfu().send(other, text(&n.to_string()), None);
        lab.flush();
    }
    lab.run_for(Duration::from_secs(1));
    assert!(lab.hosts[1].messages(sink).is_empty());
    assert_eq!(lab.hosts[1].messages(carried[1].1).len(), 3, "another stream goes on");
    assert_eq!(lab.consumer_stats(consumer)["messagesWaiting"], 3);
    lab.sfu().data_consumer(consumer).expect("open").resume();
    lab.sfu().send(producer, text("3"), None);
    lab.run_for(Duration::from_secs(1));
    let got = lab.hosts[1].messages(sink);
    assert_eq!(got, (0..=3).map(|n| text(&n.to_string())).collect::<Vec<_>>());
    // A stream that closes while it holds leaves nothing behind.
    lab.sfu().data_consumer(consumer).expect("open").pause();
    lab.sfu().send(producer, text("4"), None);
    lab.flush();
    lab.sfu().data_consumer(consumer).expect("open").close();
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.sfu().bytes_held(), 0);
}

#[test]
fn drained_waits_for_what_is_held() {
    let mut lab = Lab::new();
    let router = lab.host().router();
    let transport = lab.host().direct(router);
    let producer = lab.host().produce_with(transport, holding(options::producer()));
    let hold = DataConsumerOptions { while_paused: WhilePaused::Hold, ..options::consumer() };
    let (consumer, _) = lab.host().consume_with(transport, producer, hold);
    pause(&mut lab, producer);
    lab.sfu().data_consumer(consumer).expect("open").pause();
    lab.sfu().send(producer, text("0"), None);
    let scope = DrainScope::DataProducer(producer);
    for request in [1000, 1001] {
        lab.sfu().begin_drain(request, scope).expect("open");
        lab.sfu().pass_drain_gate(request);
    }
    lab.sfu().send(producer, text("1"), None);
    assert!(drained(&mut lab).is_empty(), "the DataProducer holds it");
    resume(&mut lab, producer);
    assert!(drained(&mut lab).is_empty(), "the DataConsumer holds it");
    lab.sfu().data_consumer(consumer).expect("open").resume();
    assert_eq!(drained(&mut lab), [1000, 1001]);

    // What closes ends the waiting.
    pause(&mut lab, producer);
    lab.sfu().send(producer, text("2"), None);
    lab.sfu().begin_drain(1002, DrainScope::Worker).expect("open");
    lab.sfu().pass_drain_gate(1002);
    lab.sfu().data_producer(producer).expect("open").close();
    assert_eq!(drained(&mut lab), [1002]);
}

#[test]
fn drained_does_not_wait_for_held_messages_that_newer_ones_have_replaced() {
    let latest = Some(Overflow::KeepLatest);
    let mut it =
        Holder::new(false, DataConsumerOptions { overflow: latest, ..options::consumer() });
    it.pause();
    it.send(0);
    let scope = DrainScope::DataConsumer(it.consumer);
    it.lab.sfu().begin_drain(1000, scope).expect("open");
    it.lab.sfu().pass_drain_gate(1000);
    assert!(drained(&mut it.lab).is_empty());
    it.send(1);
    assert_eq!(drained(&mut it.lab), [1000]);
    it.resume();
    assert_eq!(it.numbers(), [1]);
}

#[test]
fn drained_waits_until_javascript_has_asked_for_what_was_held() {
    let mut it = Holder::new(false, options::consumer());
    let direct = it.lab.host().direct(it.router);
    let backlog = Arc::new(Backlog::new(1 << 20));
    let options = DataConsumerOptions { while_paused: WhilePaused::Hold, ..options::consumer() };
    let shared = Arc::clone(&backlog);
    let (consumer, _) = it.lab.host().consume_into(direct, it.producer, options, shared);
    it.consumer = consumer;
    backlog.use_queue().begin_pulls();
    it.pause();
    it.send(0);
    it.lab.sfu().begin_drain(1000, DrainScope::DataConsumer(consumer)).expect("open");
    it.lab.sfu().pass_drain_gate(1000);
    it.resume();
    assert!(drained(&mut it.lab).is_empty());
    assert!(it.numbers().is_empty(), "its token has come up");
    assert!(drained(&mut it.lab).is_empty(), "JavaScript has not asked for it");
    assert!(backlog.pull(it.lab.now).is_some());
    assert_eq!(drained(&mut it.lab), [1000]);
}

#[test]
fn what_a_direct_consumer_holds_when_it_closes_is_dropped_and_counted() {
    let mut it = Holder::new(false, options::consumer());
    it.send(0);
    it.pause();
    (1..4).for_each(|n| it.send(n));
    it.lab.sfu().data_consumer(it.consumer).expect("open").close();
    assert_eq!(it.numbers(), [0], "what came before the pause is on its way");
    assert_eq!(it.lab.sfu().metrics().messages_dropped.at_close, 3);
    assert_eq!(it.backlog.charge(), 65, "JavaScript counts what it has taken");
}

/// The requests of `drained()` that have been answered.
fn drained(lab: &mut Lab) -> Vec<u32> {
    lab.flush();
    let mut answered = Vec::new();
    lab.host().events.retain(|event| match event {
        Event::Drained(request, _) => {
            answered.push(*request);
            false
        }
        _ => true,
    });
    answered
}

/// What a DataConsumer should have got.
struct Modelled {
    key: DataConsumerKey,
    client: Option<usize>,
    holds: bool,
    keeps_latest: bool,
    paused: bool,
    /// What has been delivered, and what is held.
    delivered: Vec<u32>,
    held: Vec<u32>,
    counts: Counts,
    got: Vec<u32>,
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    paused: u64,
    replaced: u64,
}

impl Modelled {
    fn route(&mut self, number: u32) {
        match (self.paused, self.holds) {
            (false, _) => self.delivered.push(number),
            (true, false) => self.counts.paused += 1,
            (true, true) => {
                if self.keeps_latest {
                    self.counts.replaced += self.held.len() as u64;
                    self.held.clear();
                }
                self.held.push(number);
            }
        }
    }

    /// Routes several before JavaScript takes any.
    fn route_at_once(&mut self, numbers: &[u32]) {
        let replaced = match self.keeps_latest && !self.paused {
            true => numbers.len().saturating_sub(1),
            false => 0,
        };
        self.counts.replaced += replaced as u64;
        numbers[replaced..].iter().for_each(|it| self.route(*it));
    }

    fn check(&mut self, lab: &mut Lab, seed: u64) {
        match self.client {
            None => {
                let got = queued(lab, self.key);
                self.got.extend(got.iter().map(|it| it.parse::<u32>().expect("a number")));
            }
            Some(client) => {
                let stream = lab.sfu().data_consumer(self.key).expect("open").dump();
                let stream = stream.sctp_stream_parameters.expect("over SCTP").stream_id;
                let messages = &lab.clients[client].sctp.messages;
                let own = messages.iter().filter(|it| it.0 == stream);
                let number = |it: &Message| String::from_utf8_lossy(&it.payload).parse();
                self.got = own.map(|it| number(&it.1).expect("a number")).collect();
            }
        }
        assert_eq!(self.got, self.delivered, "seed {seed}, client {:?}", self.client);
        let stats = lab.sfu().data_consumer(self.key).expect("open").get_stats();
        assert_eq!(stats.messages_sent, self.delivered.len() as u64, "seed {seed}");
        assert_eq!(stats.messages_waiting, self.held.len() as u64, "seed {seed}");
        let replaced = stats.messages_dropped_replaced;
        assert_eq!(Counts { paused: stats.messages_paused, replaced }, self.counts, "seed {seed}");
    }
}

#[test]
fn random_programs_do_what_a_model_says() {
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut lab, router) = Lab::with_router();
        let direct = lab.host().direct(router);
        let (webrtc, client) = lab.join(router, 1);
        let producer = lab.host().produce_with(direct, holding(options::producer()));
        let mut consumers: Vec<Modelled> = Vec::new();
        let (mut producer_paused, mut held) = (false, Vec::new());
        for number in 0..150 {
            match rng.random_range(0..10) {
                0..=4 => {
                    lab.sfu().send(producer, text(&number.to_string()), None);
                    match producer_paused {
                        true => held.push(number),
                        false => consumers.iter_mut().for_each(|it| it.route(number)),
                    }
                }
                5 if consumers.len() < 6 => {
                    let (holds, paused) = (rng.random_bool(0.7), rng.random_bool(0.5));
                    let is_client = rng.random_bool(0.5);
                    let keeps_latest = !is_client && rng.random_bool(0.3);
                    let options = DataConsumerOptions {
                        paused,
                        while_paused: if holds { WhilePaused::Hold } else { WhilePaused::Drop },
                        overflow: keeps_latest.then_some(Overflow::KeepLatest),
                        // Makes the queue count waiting messages.
                        max_queue_delay: Some(1_000_000),
                        ..options::consumer()
                    };
                    let on = if is_client { webrtc } else { direct };
                    let (key, _) = lab.host().consume_with(on, producer, options);
                    consumers.push(Modelled {
                        key,
                        client: is_client.then_some(client),
                        holds,
                        keeps_latest,
                        paused,
                        delivered: Vec::new(),
                        held: Vec::new(),
                        counts: Counts::default(),
                        got: Vec::new(),
                    });
                }
                6 | 7 if !consumers.is_empty() => {
                    let place = rng.random_range(0..consumers.len());
                    let it = &mut consumers[place];
                    let mut view = lab.sfu().data_consumer(it.key).expect("open");
                    it.paused = rng.random_bool(0.5);
                    match it.paused {
                        true => view.pause(),
                        false => {
                            view.resume();
                            it.delivered.append(&mut it.held);
                        }
                    }
                }
                8 => {
                    let mut view = lab.sfu().data_producer(producer).expect("open");
                    producer_paused = rng.random_bool(0.5);
                    match producer_paused {
                        true => view.pause(),
                        false => {
                            view.resume();
                            for it in &mut consumers {
                                it.route_at_once(&held);
                            }
                            held.clear();
                        }
                    }
                }
                _ => {
                    lab.run_for(Duration::from_secs(1));
                    consumers.iter_mut().for_each(|it| it.check(&mut lab, seed));
                    assert_eq!(lab.producer_stats(producer)["messagesWaiting"], held.len());
                }
            }
            // JavaScript takes what it can, so that only held messages are replaced.
            lab.run_for(Duration::from_millis(1));
            for it in consumers.iter_mut().filter(|it| it.client.is_none()) {
                let got = queued(&mut lab, it.key);
                it.got.extend(got.iter().map(|it| it.parse::<u32>().expect("a number")));
            }
        }
    }
}
