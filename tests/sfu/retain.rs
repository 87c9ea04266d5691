//! Messages that a DataProducer retains for later DataConsumers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datasoup::proto::message::{Message, Ppid};
use datasoup::proto::overflow::Overflow;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, RetainOptions, SctpOptions,
};
use datasoup::sfu::contract::parameters::DropCount;
use datasoup::sfu::drain_state::DrainScope;
use datasoup::sfu::event::DataConsumerEvent;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::memory::Memory;
use datasoup::sfu::subchannels::{Selector, Subchannels};
use datasoup::sfu::work;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common::lab::{Lab, binary, text};
use crate::common::options;
use crate::common::sim::Conditions;
use crate::pipe::{BOTH, By, End, joined_with, two_workers};

const LAST: RetainOptions = RetainOptions { messages: 3, bytes: 1 << 20, max_age: None };

/// A router with a direct transport and a DataProducer there that retains.
fn retaining(retain: RetainOptions) -> (Lab, RouterKey, TransportKey, DataProducerKey) {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let producer = lab
        .host()
        .produce_with(direct, DataProducerOptions { retain: Some(retain), ..options::producer() });
    (lab, router, direct, producer)
}

fn send(lab: &mut Lab, producer: DataProducerKey, message: Message) {
    lab.sfu().send(producer, message, None);
    lab.flush();
}

fn texts(lab: &mut Lab, host: usize, consumer: DataConsumerKey) -> Vec<String> {
    lab.flush();
    let messages = lab.hosts[host].messages(consumer);
    messages.iter().map(|it| String::from_utf8_lossy(&it.payload).into_owned()).collect()
}

/// The retained messages that a new DataConsumer gets.
fn joined_texts(lab: &mut Lab, direct: TransportKey, producer: DataProducerKey) -> Vec<String> {
    let (consumer, _) = lab.host().consume(direct, producer);
    texts(lab, 0, consumer)
}

fn retained(lab: &mut Lab, producer: DataProducerKey) -> (u64, u64) {
    let stats = lab.producer_stats(producer);
    let count = |name: &str| stats[name].as_u64().expect("a counter");
    (count("messagesRetained"), count("bytesRetained"))
}

fn selector(subchannel: u16) -> Arc<Selector> {
    Arc::new(Selector { subchannels: Subchannels::new([subchannel]), ..Default::default() })
}

#[test]
fn a_new_consumer_gets_the_last_messages_before_the_live_ones() {
    let (mut lab, router, direct, producer) = retaining(LAST);
    let (key, client) = lab.join(router, 1);
    for n in 0..5 {
        send(&mut lab, producer, text(&n.to_string()));
    }
    assert_eq!(retained(&mut lab, producer), (3, 3));
    let (consumer, _) = lab.host().consume(direct, producer);
    let (peer, _) = lab.host().consume(key, producer);
    send(&mut lab, producer, text("live"));
    lab.run_for(Duration::from_secs(1));
    let expected = ["2", "3", "4", "live"];
    assert_eq!(texts(&mut lab, 0, consumer), expected);
    let received = lab.clients[client].messages();
    assert_eq!(received, expected.map(|it| (0, text(it))));
    for consumer in [consumer, peer] {
        assert_eq!(lab.consumer_stats(consumer)["messagesSent"], 4);
    }
}

#[test]
fn the_charge_bounds_what_is_retained_and_a_larger_message_leaves_nothing() {
    let bounds = RetainOptions { messages: 100, bytes: 1000, max_age: None };
    let (mut lab, _, direct, producer) = retaining(bounds);
    for _ in 0..10 {
        send(&mut lab, producer, binary(0, 136));
    }
    assert_eq!(retained(&mut lab, producer), (5, 5 * 136));
    let with_list = Selector { subchannels: (0..100).collect(), ..Default::default() };
    lab.sfu().send(producer, binary(1, 136), Some(&Arc::new(with_list)));
    assert_eq!(retained(&mut lab, producer), (4, 4 * 136), "each subchannel is charged 2 bytes");
    send(&mut lab, producer, binary(2, 937));
    assert_eq!(retained(&mut lab, producer), (0, 0));
    assert!(joined_texts(&mut lab, direct, producer).is_empty());
    send(&mut lab, producer, binary(b'x', 936));
    assert_eq!(joined_texts(&mut lab, direct, producer), ["x".repeat(936)]);
}

#[test]
fn what_is_retained_closes_a_consumer_that_closes_at_its_bound_once() {
    let (mut lab, _, direct, producer) =
        retaining(RetainOptions { messages: 100, bytes: 1 << 20, max_age: None });
    for _ in 0..100 {
        send(&mut lab, producer, binary(0, 36));
    }
    let options = DataConsumerOptions { overflow: Some(Overflow::Close), ..options::consumer() };
    let backlog = Arc::new(Backlog::new(300));
    let (consumer, _) = lab.host().consume_into(direct, producer, options, backlog);
    lab.flush();
    assert_eq!(lab.host().messages(consumer).len(), 3);
    let lost = DropCount { messages: 1, bytes: 36 };
    let expected = [DataConsumerEvent::Overflow(lost), DataConsumerEvent::OverflowClose];
    assert_eq!(lab.host().consumer_events(consumer), expected);
    assert_eq!(dropped_at_close(&mut lab), 96, "the rest");
}

#[test]
fn a_message_older_than_max_age_is_not_retained_any_more() {
    let (mut lab, _, direct, producer) = retaining(RetainOptions { max_age: Some(1000), ..LAST });
    send(&mut lab, producer, text("old"));
    lab.run_for(Duration::from_millis(600));
    send(&mut lab, producer, text("new"));
    lab.run_for(Duration::from_millis(400));
    assert_eq!(joined_texts(&mut lab, direct, producer), ["old", "new"]);
    lab.run_for(Duration::from_millis(1));
    assert_eq!(retained(&mut lab, producer), (1, 3));
    assert_eq!(joined_texts(&mut lab, direct, producer), ["new"]);
}

#[test]
fn messages_of_a_paused_producer_are_not_retained() {
    let (mut lab, _, direct, producer) = retaining(LAST);
    send(&mut lab, producer, text("1"));
    lab.sfu().data_producer(producer).expect("open").pause();
    send(&mut lab, producer, text("paused"));
    assert_eq!(joined_texts(&mut lab, direct, producer), ["1"]);
}

#[test]
fn retained_messages_are_filtered_and_counted_as_live_ones_are() {
    let (mut lab, _, direct, producer) = retaining(LAST);
    for n in 1..=3 {
        lab.sfu().send(producer, text(&n.to_string()), Some(&selector(n)));
    }
    let options = DataConsumerOptions { subchannels: vec![2], ..options::consumer() };
    let (consumer, _) = lab.host().consume_with(direct, producer, options);
    assert_eq!(texts(&mut lab, 0, consumer), ["2"]);
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesSent"], &stats["messagesFiltered"]), (&1.into(), &2.into()));
}

#[test]
fn a_consumer_that_is_created_paused_gets_the_last_messages_at_its_first_resume() {
    let (mut lab, _, direct, producer) = retaining(LAST);
    send(&mut lab, producer, text("1"));
    let options = DataConsumerOptions { paused: true, ..options::consumer() };
    let (consumer, _) = lab.host().consume_with(direct, producer, options);
    for n in 2..=5 {
        send(&mut lab, producer, text(&n.to_string()));
    }
    assert!(texts(&mut lab, 0, consumer).is_empty());
    lab.sfu().data_consumer(consumer).expect("open").resume();
    send(&mut lab, producer, text("6"));
    assert_eq!(texts(&mut lab, 0, consumer), ["3", "4", "5", "6"]);

    lab.sfu().data_consumer(consumer).expect("open").pause();
    send(&mut lab, producer, text("7"));
    lab.sfu().data_consumer(consumer).expect("open").resume();
    assert!(texts(&mut lab, 0, consumer).is_empty(), "only the first resume() brings them");
}

#[test]
fn what_exceeds_the_queue_of_a_new_consumer_is_dropped_and_counted() {
    let (mut lab, _, direct, producer) = retaining(LAST);
    for _ in 0..3 {
        send(&mut lab, producer, binary(b'x', 400));
    }
    let backlog = Arc::new(datasoup::sfu::backlog::Backlog::new(1000));
    let options = options::consumer();
    let (consumer, _) = lab.host().consume_into(direct, producer, options, backlog);
    assert_eq!(texts(&mut lab, 0, consumer).len(), 2);
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesSent"], &stats["messagesDroppedFull"]), (&2.into(), &1.into()));
}

#[test]
fn retained_messages_take_at_most_half_of_the_memory_and_return_it() {
    let mut lab = Lab::new();
    let memory = Arc::new(Memory::new(10_000));
    lab.sfu().limit_memory(Arc::clone(&memory));
    let router = lab.host().router();
    let direct = lab.host().direct(router);
    let producer = DataProducerKey(lab.host().key());
    let retain = Some(RetainOptions { messages: 1000, ..LAST });
    let options = DataProducerOptions { retain, ..options::producer() };
    let intake = options::backlog();
    let mut transport = lab.sfu().transport(direct).expect("open");
    transport.produce_data(producer, options, Arc::clone(&intake)).expect("a producer");
    let send_one = |lab: &mut Lab| {
        let message = binary(0, 436);
        assert!(intake.try_enter(message.amount()));
        send(lab, producer, message);
    };
    (0..100).for_each(|_| send_one(&mut lab));
    assert_eq!(retained(&mut lab, producer).0, 10);
    assert_eq!((memory.held(), lab.sfu().bytes_held()), (5000, 5000));
    lab.sfu().data_producer(producer).expect("open").clear_retained();
    assert_eq!((memory.held(), lab.sfu().bytes_held()), (0, 0));
    send_one(&mut lab);
    assert_eq!(memory.held(), 500);
    lab.sfu().data_producer(producer).expect("open").close();
    assert_eq!(memory.held(), 0);
}

/// Carries a DataProducer to the other end of a pipe, as `pipeToRouter()` does if it retains.
fn carry(
    lab: &mut Lab,
    [near, far]: [End; 2],
    producer: DataProducerKey,
    retain: RetainOptions,
    subchannels: Vec<u16>,
) -> DataProducerKey {
    let options = DataConsumerOptions { waits_for_start: true, subchannels, ..options::consumer() };
    let (consumer, dump) = lab.hosts[near.host].consume_with(near.pipe, producer, options);
    let options = DataProducerOptions {
        sctp_stream_parameters: dump.sctp_stream_parameters,
        retain: Some(retain),
        ..options::producer()
    };
    let remote = lab.hosts[far.host].produce_with(far.pipe, options);
    lab.run_for(Duration::from_secs(1));
    lab.hosts[near.host].sfu.data_consumer(consumer).expect("open").start();
    lab.run_for(Duration::from_secs(1));
    remote
}

fn two_routers(by: By, retain: RetainOptions) -> (Lab, [End; 2], DataProducerKey) {
    let (mut lab, ends) = two_workers(by);
    let options = DataProducerOptions { retain: Some(retain), ..options::producer() };
    let producer = lab.hosts[0].produce_with(ends[0].direct, options);
    (lab, ends, producer)
}

#[test]
fn the_far_end_of_a_pipe_retains_what_the_near_end_does_whatever_the_pipe_is_subscribed_to() {
    for by in [By::Network, By::Tunnel] {
        let (mut lab, [near, far], producer) = two_routers(by, LAST);
        for n in 1..=4 {
            lab.sfu().send(producer, text(&n.to_string()), Some(&selector(n)));
        }
        let remote = carry(&mut lab, [near, far], producer, LAST, vec![9]);
        lab.sfu().send(producer, text("5"), Some(&selector(2)));
        lab.run_for(Duration::from_secs(1));
        for (subscribed, expected) in [(vec![2], &["5"][..]), (vec![2, 3, 4], &["3", "4", "5"])] {
            let options = DataConsumerOptions { subchannels: subscribed, ..options::consumer() };
            let (consumer, _) = lab.hosts[1].consume_with(far.direct, remote, options);
            assert_eq!(texts(&mut lab, 1, consumer), expected, "{by:?}");
        }
    }
}

#[test]
fn clear_retained_reaches_the_far_end_in_order_with_the_messages() {
    for by in [By::Network, By::Tunnel] {
        let (mut lab, ends, producer) = two_routers(by, LAST);
        lab.sfu().send(producer, text("1"), None);
        let remote = carry(&mut lab, ends, producer, LAST, Vec::new());
        lab.sfu().send(producer, text("2"), None);
        lab.sfu().data_producer(producer).expect("open").clear_retained();
        lab.sfu().send(producer, text("3"), None);
        lab.run_for(Duration::from_secs(1));
        let (consumer, _) = lab.hosts[1].consume(ends[1].direct, remote);
        assert_eq!(texts(&mut lab, 1, consumer), ["3"], "{by:?}");
    }
}

#[test]
fn a_pause_and_clear_retained_in_one_turn_both_reach_the_far_end() {
    for (by, pause_first) in BOTH.into_iter().flat_map(|by| [(by, true), (by, false)]) {
        let (mut lab, ends, producer) = two_routers(by, LAST);
        let remote = carry(&mut lab, ends, producer, LAST, Vec::new());
        lab.sfu().send(producer, text("1"), None);
        lab.run_for(Duration::from_secs(1));
        let mut near = lab.sfu().data_producer(producer).expect("open");
        if pause_first {
            near.pause();
            near.clear_retained();
        } else {
            near.clear_retained();
            near.pause();
        }
        lab.run_for(Duration::from_secs(1));
        let dump = lab.hosts[1].sfu.data_producer(remote).expect("open").dump();
        assert!(dump.paused, "{by:?}, pause first: {pause_first}");
        let (consumer, _) = lab.hosts[1].consume(ends[1].direct, remote);
        let got = texts(&mut lab, 1, consumer);
        assert_eq!(got, Vec::<String>::new(), "{by:?}, pause first: {pause_first}");
    }
}

#[test]
fn what_is_sent_before_a_pipe_is_connected_keeps_its_order() {
    for by in BOTH {
        let (mut lab, [near, far], producer) = two_routers(by, LAST);
        let (_, dump) = lab.hosts[near.host].consume(near.pipe, producer);
        let remote = |lab: &mut Lab| {
            let options = DataProducerOptions {
                sctp_stream_parameters: dump.sctp_stream_parameters,
                retain: Some(LAST),
                ..options::producer()
            };
            lab.hosts[far.host].produce_with(far.pipe, options)
        };
        let sfu = lab.sfu();
        sfu.send(producer, text("1"), None);
        sfu.data_producer(producer).expect("open").clear_retained();
        sfu.send(producer, text("2"), None);
        sfu.data_producer(producer).expect("open").pause();
        sfu.data_producer(producer).expect("open").resume();
        sfu.send(producer, text("3"), None);
        sfu.data_producer(producer).expect("open").pause();
        let remote = remote(&mut lab);
        lab.run_for(Duration::from_secs(1));
        assert!(lab.hosts[far.host].sfu.data_producer(remote).expect("open").dump().paused);
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        assert_eq!(texts(&mut lab, far.host, consumer), ["2", "3"], "{by:?}");
    }
}

#[test]
fn messages_are_as_old_behind_a_tunnel_as_before_it() {
    let retain = RetainOptions { max_age: Some(10_000), ..LAST };
    let (mut lab, ends, producer) = two_routers(By::Tunnel, retain);
    lab.sfu().send(producer, text("old"), None);
    lab.run_for(Duration::from_secs(5));
    lab.sfu().send(producer, text("new"), None);
    let remote = carry(&mut lab, ends, producer, retain, Vec::new());
    lab.run_for(Duration::from_secs(4));
    let (consumer, _) = lab.hosts[1].consume(ends[1].direct, remote);
    assert_eq!(texts(&mut lab, 1, consumer), ["new"]);
}

#[test]
fn a_message_behind_a_tunnel_that_is_not_retained_leaves_the_age_of_the_one_before_it() {
    let retain = RetainOptions { max_age: Some(10_000), ..LAST };
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let small = SctpOptions { max_receive_message_size: 10, ..options::sctp() };
    let [near, far] = joined_with(&mut lab, By::Tunnel, [options::sctp(), small]);
    let [first, second] = [(); 2].map(|()| {
        let options = DataProducerOptions { retain: Some(retain), ..options::producer() };
        lab.hosts[0].produce_with(near.direct, options)
    });
    lab.sfu().send(second, text("old, and too large"), None);
    lab.run_for(Duration::from_secs(5));
    let over = |lab: &mut Lab, producer| {
        let options = DataConsumerOptions {
            waits_for_start: true,
            stream_id: Some(0),
            ..options::consumer()
        };
        lab.hosts[0].consume_with(near.pipe, producer, options)
    };
    let (carrier, dump) = over(&mut lab, first);
    let options = DataProducerOptions {
        sctp_stream_parameters: dump.sctp_stream_parameters,
        retain: Some(retain),
        ..options::producer()
    };
    let remote = lab.hosts[1].produce_with(far.pipe, options);
    lab.sfu().data_consumer(carrier).expect("open").start();
    lab.sfu().send(first, text("new"), None);
    lab.run_for(Duration::from_secs(1));
    // The stream continues with the retained messages of another DataProducer.
    lab.sfu().data_consumer(carrier).expect("open").close();
    let (carrier, _) = over(&mut lab, second);
    lab.sfu().data_consumer(carrier).expect("open").start();
    lab.run_for(Duration::from_secs(5));
    let unrouted = lab.hosts[1].sfu.transport(far.pipe).expect("open").get_stats();
    assert_eq!(unrouted.messages_unrouted, 1);
    let (consumer, _) = lab.hosts[1].consume(far.direct, remote);
    assert_eq!(texts(&mut lab, 1, consumer), ["new"]);
}

/// A DataConsumer at the near end or behind the pipe, and what it should have got.
struct Modelled {
    host: usize,
    key: DataConsumerKey,
    paused: bool,
    waits: bool,
    subchannels: Vec<u16>,
    expected: Vec<String>,
}

/// A message that was routed.
struct Routed {
    text: String,
    subchannel: Option<u16>,
    at: Instant,
}

struct Model {
    bounds: RetainOptions,
    routed: Vec<Routed>,
    cleared: usize,
}

impl Model {
    /// The longest suffix of the routed messages that is within all bounds.
    fn retained(&self, now: Instant) -> &[Routed] {
        let mut charge = 0;
        let kept = self.routed[self.cleared..].iter().rev().take_while(|it| {
            charge += it.text.len() + 64 + 2 * it.subchannel.iter().count();
            let max_age = Duration::from_millis(self.bounds.max_age.unwrap_or(u32::MAX).into());
            charge <= self.bounds.bytes as usize && now - it.at <= max_age
        });
        let kept = kept.take(self.bounds.messages as usize).count();
        &self.routed[self.routed.len() - kept..]
    }
}

fn wants(subscribed: &[u16], subchannel: Option<u16>) -> bool {
    subchannel.is_none_or(|it| subscribed.contains(&it))
}

#[test]
fn random_programs_do_what_a_model_says() {
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let bounds = RetainOptions {
            messages: rng.random_range(1..8),
            bytes: rng.random_range(100..1000),
            max_age: rng.random_bool(0.5).then(|| rng.random_range(1..500)),
        };
        let (mut lab, ends, producer) = two_routers(By::Tunnel, bounds);
        let mut model = Model { bounds, routed: Vec::new(), cleared: 0 };
        let mut consumers: Vec<Modelled> = Vec::new();
        let mut remote = None;
        let mut producer_paused = false;
        for step in 0..200 {
            match rng.random_range(0..12) {
                0..=3 => {
                    let subchannel = rng.random_bool(0.5).then(|| rng.random_range(0..3));
                    let text = format!("{step}{}", "x".repeat(rng.random_range(0..200)));
                    let message = crate::common::lab::text(&text);
                    lab.sfu().send(producer, message, subchannel.map(selector).as_ref());
                    if !producer_paused {
                        for it in &mut consumers {
                            if !it.paused && wants(&it.subchannels, subchannel) {
                                it.expected.push(text.clone());
                            }
                        }
                        let at = lab.now;
                        model.routed.push(Routed { text, subchannel, at });
                    }
                }
                4..=6 => {
                    let (host, producer) = match remote {
                        Some(remote) if rng.random_bool(0.5) => (1, remote),
                        _ => (0, producer),
                    };
                    let paused = rng.random_bool(0.4);
                    let subchannels: Vec<u16> = (0..3).filter(|_| rng.random_bool(0.5)).collect();
                    let options = DataConsumerOptions {
                        paused,
                        subchannels: subchannels.clone(),
                        ..options::consumer()
                    };
                    let direct = ends[host].direct;
                    let (key, _) = lab.hosts[host].consume_with(direct, producer, options);
                    let expected = match paused {
                        true => Vec::new(),
                        false => expected_first(&model, lab.now, &subchannels),
                    };
                    consumers.push(Modelled {
                        host,
                        key,
                        paused,
                        waits: paused,
                        subchannels,
                        expected,
                    });
                }
                7 => {
                    if let Some(it) = choose(&mut rng, &mut consumers) {
                        let mut consumer =
                            lab.hosts[it.host].sfu.data_consumer(it.key).expect("open");
                        it.paused = !it.paused;
                        match it.paused {
                            true => consumer.pause(),
                            false => consumer.resume(),
                        }
                        if !it.paused && std::mem::take(&mut it.waits) {
                            it.expected.extend(expected_first(&model, lab.now, &it.subchannels));
                        }
                    }
                }
                8 => {
                    if let Some(it) = choose(&mut rng, &mut consumers) {
                        let subchannel = rng.random_range(0..3);
                        it.subchannels = vec![subchannel];
                        let set = Subchannels::new([subchannel]);
                        let sfu = &mut lab.hosts[it.host].sfu;
                        sfu.data_consumer(it.key).expect("open").set_subchannels(set);
                    }
                }
                9 => {
                    let mut producer = lab.sfu().data_producer(producer).expect("open");
                    match rng.random_range(0..3) {
                        0 => {
                            producer.clear_retained();
                            model.cleared = model.routed.len();
                        }
                        1 => {
                            producer.pause();
                            producer_paused = true;
                        }
                        _ => {
                            producer.resume();
                            producer_paused = false;
                        }
                    }
                }
                10 => {
                    if remote.is_none() && rng.random_bool(0.3) {
                        remote = Some(carry(&mut lab, ends, producer, bounds, Vec::new()));
                    }
                }
                _ => lab.run_for(Duration::from_millis(rng.random_range(0..200))),
            }
            // The far end has what the near end has: a tunnel takes no time here.
            lab.flush();
        }
        for it in consumers {
            let got = texts(&mut lab, it.host, it.key);
            assert_eq!(got, it.expected, "seed {seed}, worker {}", it.host);
            let stats = lab.hosts[it.host].sfu.data_consumer(it.key).expect("open").get_stats();
            assert_eq!(stats.messages_sent, it.expected.len() as u64);
            assert_eq!(stats.messages_dropped, 0);
        }
    }
}

fn expected_first(model: &Model, now: Instant, subscribed: &[u16]) -> Vec<String> {
    let retained = model.retained(now).iter();
    retained.filter(|it| wants(subscribed, it.subchannel)).map(|it| it.text.clone()).collect()
}

fn choose<'a>(rng: &mut StdRng, consumers: &'a mut [Modelled]) -> Option<&'a mut Modelled> {
    let count = consumers.len();
    (count > 0).then(|| &mut consumers[rng.random_range(0..count)])
}

/// The numbers of messages that a DataConsumer of JavaScript has got.
fn numbers(lab: &mut Lab, host: usize, consumer: DataConsumerKey) -> Vec<u32> {
    let messages = lab.hosts[host].messages(consumer);
    let number = |it: &Message| it.payload[..4].try_into().map(u32::from_be_bytes);
    messages.iter().map(|it| number(it).expect("four bytes")).collect()
}

fn send_number(lab: &mut Lab, producer: DataProducerKey, number: u32) {
    let message = Message::new(Ppid::BINARY, number.to_be_bytes().to_vec().into());
    lab.sfu().send(producer, message, None);
}

const MANY: RetainOptions = RetainOptions { messages: 65_535, bytes: 1 << 30, max_age: None };

#[test]
fn late_joiners_get_what_is_retained_and_all_that_follows_once_and_in_order() {
    for by in [By::Network, By::Tunnel] {
        let retain = RetainOptions { messages: 50, ..MANY };
        let (mut lab, ends, producer) = two_routers(by, retain);
        let remote = carry(&mut lab, ends, producer, retain, Vec::new());
        let mut rng = StdRng::seed_from_u64(7);
        let mut joins: Vec<u32> = (0..100).map(|_| rng.random_range(0..10_000)).collect();
        joins.sort_unstable();
        let mut joined = Vec::new();
        for number in 0..10_000 {
            for _ in joins.extract_if(.., |it| *it == number).collect::<Vec<_>>() {
                let host = joined.len() % 2;
                let from = [producer, remote][host];
                joined.push((number, host, lab.hosts[host].consume(ends[host].direct, from).0));
            }
            send_number(&mut lab, producer, number);
            if number % 50 == 0 {
                lab.run_for(Duration::from_millis(10));
            }
        }
        lab.run_for(Duration::from_secs(5));
        for (number, host, consumer) in joined {
            let got = numbers(&mut lab, host, consumer);
            let first = number.saturating_sub(50);
            match host {
                0 => assert!(got.into_iter().eq(first..10_000), "{by:?}"),
                // Some are on their way through the pipe when it joins.
                _ => {
                    assert!((first.saturating_sub(50)..=first).contains(&got[0]), "{by:?}");
                    assert!(got.iter().copied().eq(got[0]..10_000), "{by:?}");
                }
            }
        }
    }
}

#[test]
fn many_retained_messages_come_over_several_turns_and_live_ones_keep_their_place() {
    let (mut lab, router, direct, producer) = retaining(MANY);
    (0..65_535).for_each(|n| send_number(&mut lab, producer, n));
    let (key, client) = lab.join(router, 1);
    let before = lab.sfu().work();
    let consumers = [direct, key].map(|key| lab.host().consume(key, producer).0);
    assert!(lab.sfu().work() - before < 4 * work::QUANTUM, "{}", lab.sfu().work() - before);
    lab.sfu().begin_drain(1000, DrainScope::DataConsumer(consumers[0])).expect("open");
    lab.sfu().pass_drain_gate(1000);
    // Each message evicts the oldest one.
    for n in 65_535..70_000 {
        send_number(&mut lab, producer, n);
    }
    lab.flush();
    assert!(lab.host().drained(1000).is_none());
    let mut got = Vec::new();
    let mut next = 70_000;
    while lab.sfu().poll_timeout() == Some(lab.now) {
        let before = lab.sfu().work();
        let now = lab.now;
        lab.host().begin_turn(now);
        lab.sfu().handle_timeout();
        assert!(lab.sfu().work() - before < 3 * work::SHARE);
        lab.flush();
        got.extend(numbers(&mut lab, 0, consumers[0]));
        if next < 70_100 {
            send_number(&mut lab, producer, next);
            next += 1;
        }
    }
    lab.flush();
    got.extend(numbers(&mut lab, 0, consumers[0]));
    assert!(got.iter().copied().eq(0..next), "{} messages of {next}", got.len());
    assert!(lab.host().drained(1000).is_some());
    lab.run_for(Duration::from_secs(60));
    let arrived = lab.clients[client].messages().len();
    let stats = lab.consumer_stats(consumers[1]);
    assert_eq!(stats["messagesSent"], arrived);
    let dropped = stats["messagesDropped"].as_u64().expect("a counter") as usize;
    assert_eq!(arrived + dropped, next as usize, "it does not take all");
    send_number(&mut lab, producer, 99);
    lab.flush();
    assert_eq!(numbers(&mut lab, 0, consumers[0]), [99]);
}

#[test]
fn a_pause_a_clear_or_a_close_while_retained_messages_come_is_in_order_with_them() {
    const COUNT: u32 = 20_000;
    for what in ["pause", "clear", "close", "close the producer"] {
        let (mut lab, _, direct, producer) = retaining(MANY);
        (0..COUNT).for_each(|n| send_number(&mut lab, producer, n));
        let (consumer, _) = lab.host().consume(direct, producer);
        send_number(&mut lab, producer, COUNT);
        lab.sfu().begin_drain(1000, DrainScope::Worker).expect("open");
        lab.sfu().pass_drain_gate(1000);
        let mut expected: Vec<u32> = (0..=COUNT).collect();
        match what {
            "pause" => {
                lab.sfu().data_consumer(consumer).expect("open").pause();
                send_number(&mut lab, producer, COUNT + 1);
                lab.sfu().data_consumer(consumer).expect("open").resume();
                send_number(&mut lab, producer, COUNT + 2);
                expected.push(COUNT + 2);
            }
            "clear" => {
                lab.sfu().data_producer(producer).expect("open").clear_retained();
                assert_eq!(retained(&mut lab, producer).0, 0);
            }
            "close" => lab.sfu().data_consumer(consumer).expect("open").close(),
            _ => lab.sfu().data_producer(producer).expect("open").close(),
        }
        lab.run_for(Duration::from_secs(1));
        let got = numbers(&mut lab, 0, consumer);
        match what {
            "pause" | "clear" => {
                assert!(got == expected, "{what}: {} messages", got.len());
                let stats = lab.consumer_stats(consumer);
                assert_eq!(stats["messagesPaused"], u32::from(what == "pause"));
            }
            _ => assert!(got.len() < COUNT as usize, "{what}"),
        }
        assert!(lab.host().drained(1000).is_some(), "{what}");
        lab.sfu().close();
        lab.flush();
        assert!(lab.sfu().is_empty());
    }
}

/// How many messages the worker has dropped because something closed.
fn dropped_at_close(lab: &mut Lab) -> u64 {
    lab.sfu().metrics().messages_dropped.at_close
}

#[test]
fn what_is_left_of_a_replay_at_a_close_is_counted_and_javascript_gets_a_share_before() {
    const COUNT: u32 = 20_000;
    for what in ["the consumer", "its transport", "the producer"] {
        let (mut lab, router, _, producer) = retaining(MANY);
        (0..COUNT).for_each(|n| send_number(&mut lab, producer, n));
        let (key, _) = lab.join(router, 1);
        let direct = lab.host().direct(router);
        let [peer, consumer] = [key, direct].map(|it| lab.host().consume(it, producer).0);
        // Until it has caught up, a DataConsumer gets live messages from what is retained.
        (COUNT..COUNT + 500).for_each(|n| send_number(&mut lab, producer, n));
        let before = lab.sfu().metrics().messages_sent;
        let left: u64 = [peer, consumer].map(|it| lab.count(it, "messagesWaiting")).iter().sum();
        assert_eq!(before + left, 2 * u64::from(COUNT + 500), "{what}");
        match what {
            "the consumer" => {
                for key in [peer, consumer] {
                    lab.sfu().data_consumer(key).expect("open").close();
                }
            }
            "its transport" => {
                for key in [key, direct] {
                    lab.sfu().transport(key).expect("open").close();
                }
            }
            _ => lab.sfu().data_producer(producer).expect("open").close(),
        }
        lab.run_for(Duration::from_secs(1));
        let sent = lab.sfu().metrics().messages_sent - before;
        assert_eq!(sent + dropped_at_close(&mut lab), left, "{what}");
        assert_eq!(sent > 5000, what == "the producer", "{what}: {sent}");
        let got = numbers(&mut lab, 0, consumer);
        let first = got.len() as u32;
        assert!(got.into_iter().eq(0..first), "{what}");
        lab.sfu().close();
        lab.flush();
        assert!(lab.sfu().is_empty());
    }
}

/// So many small messages are charged as much as one large one.
const SMALL: u32 = 3000;
const FULL: RetainOptions = RetainOptions { messages: 65_535, bytes: 68 * SMALL, max_age: None };

#[test]
fn a_message_for_which_many_others_go_costs_a_share_and_what_late_joiners_lose_is_counted() {
    const JOINERS: usize = 100;
    for clears in [false, true] {
        let (mut lab, _, direct, producer) = retaining(FULL);
        (0..SMALL).for_each(|n| send_number(&mut lab, producer, n));
        let joiners = [(); JOINERS].map(|()| lab.host().consume(direct, producer).0);
        let before = lab.sfu().work();
        if clears {
            lab.sfu().data_producer(producer).expect("open").clear_retained();
        }
        // The second large message exceeds what is kept for the joiners.
        for _ in 0..2 {
            send(&mut lab, producer, binary(0xff, FULL.bytes as usize));
        }
        let cost = lab.sfu().work() - before;
        assert!(cost < 3 * work::SHARE, "{cost}");
        lab.run_for(Duration::from_secs(5));
        for joiner in joiners {
            let got = numbers(&mut lab, 0, joiner);
            assert!(got.is_sorted() && got.len() > 300, "{}", got.len());
            let lost = lab.count(joiner, "messagesDroppedFull");
            assert!(lost > 0, "clears: {clears}");
            assert_eq!(got.len() as u64 + lost, u64::from(SMALL) + 2, "clears: {clears}");
            assert_eq!(lab.count(joiner, "messagesSent"), got.len() as u64);
        }
    }
}

/// How many messages of four bytes [`drop_for_late_joiners`] sends. None of the joiners can compare all subchannels
/// when it joins.
const OFFERED: u32 = 9000;

/// DataConsumers join, to JavaScript or to a peer, and two large messages for others evict what they have yet to get,
/// which exceeds a share. `select`: which subchannel each message is for.
fn drop_for_late_joiners(
    joiners: &[(DataConsumerOptions, bool)],
    select: impl Fn(u32) -> Option<u16>,
) -> (Lab, Vec<DataConsumerKey>) {
    let bytes = 70 * OFFERED;
    let (mut lab, router, direct, producer) = retaining(RetainOptions { bytes, ..MANY });
    let (peer, _) = lab.join(router, 1);
    for n in 0..OFFERED {
        let message = Message::new(Ppid::BINARY, n.to_be_bytes().to_vec().into());
        lab.sfu().send(producer, message, select(n).map(selector).as_ref());
    }
    let joined = joiners.iter().map(|(options, is_direct)| {
        let transport = if *is_direct { direct } else { peer };
        lab.host().consume_with(transport, producer, options.clone()).0
    });
    let joined = joined.collect();
    let before = lab.sfu().work();
    for _ in 0..2 {
        lab.sfu().send(producer, binary(0xff, bytes as usize), Some(&selector(99)));
    }
    let cost = lab.sfu().work() - before;
    assert!(cost < 3 * work::SHARE, "{cost}");
    lab.run_for(Duration::from_secs(5));
    (lab, joined)
}

/// Joiners with each policy, to JavaScript and to a peer.
fn joiners_with_each_policy() -> Vec<(DataConsumerOptions, bool)> {
    let policies = [
        None,
        Some(Overflow::DropNewest),
        Some(Overflow::DropOldest),
        Some(Overflow::KeepLatest),
        Some(Overflow::Close),
    ];
    let options =
        |overflow| DataConsumerOptions { overflow, subchannels: vec![7], ..options::consumer() };
    let policies = policies.into_iter().cycle().take(50);
    policies.enumerate().map(|(n, it)| (options(it), n % 2 == 0)).collect()
}

/// The messages of all 'overflow' events of a DataConsumer. `None` if the last one says that it closes.
fn overflows(lab: &mut Lab, consumer: DataConsumerKey) -> Option<u64> {
    let mut sum = 0;
    for event in lab.host().consumer_events(consumer) {
        match event {
            DataConsumerEvent::Overflow(lost) => sum += lost.messages,
            DataConsumerEvent::OverflowClose => return None,
            _ => {}
        }
    }
    Some(sum)
}

#[test]
fn late_joiners_lose_no_messages_of_other_subchannels() {
    let joiners = joiners_with_each_policy();
    let (mut lab, joined) = drop_for_late_joiners(&joiners, |n| Some(8 + (n % 3) as u16));
    for (joiner, (options, is_direct)) in joined.into_iter().zip(joiners) {
        let case = format!("{:?}, direct: {is_direct}", options.overflow);
        assert_eq!(overflows(&mut lab, joiner), Some(0), "{case}");
        assert_eq!(lab.count(joiner, "messagesFiltered"), u64::from(OFFERED) + 2, "{case}");
        assert_eq!(lab.count(joiner, "messagesDropped"), 0, "{case}");
    }
}

#[test]
fn what_late_joiners_lose_counts_as_their_policies_say() {
    let joiners = joiners_with_each_policy();
    let subchannel = |n: u32| Some(6 + (n % 3) as u16).filter(|it| *it > 6);
    let (mut lab, joined) = drop_for_late_joiners(&joiners, subchannel);
    let (mut closed, mut replaced_in_all) = (0, 0);
    for (joiner, (options, is_direct)) in joined.into_iter().zip(joiners) {
        let Some(reported) = overflows(&mut lab, joiner) else {
            assert_eq!(options.overflow, Some(Overflow::Close));
            closed += 1;
            continue;
        };
        let stats = lab.consumer_stats(joiner);
        let case = format!("{:?}, direct: {is_direct}: {stats}", options.overflow);
        let count = |name: &str| stats[name].as_u64().expect("a counter");
        assert_eq!(count("messagesFiltered"), u64::from(OFFERED) / 3 + 2, "{case}");
        let (full, replaced) = (count("messagesDroppedFull"), count("messagesDroppedReplaced"));
        let lost = full + replaced;
        assert_eq!((count("messagesDropped"), count("bytesDropped")), (lost, 4 * lost), "{case}");
        let wanted = count("messagesSent") + count("messagesWaiting") + lost;
        assert_eq!(wanted, u64::from(OFFERED) / 3 * 2, "{case}");
        assert_eq!(count("bytesSent"), 4 * count("messagesSent"), "{case}");
        let replaces = !matches!(options.overflow, None | Some(Overflow::DropNewest));
        assert_eq!((full > 0, replaced > 0), (!replaces, replaces), "{case}");
        let is_silent = options.overflow == Some(Overflow::KeepLatest);
        assert_eq!(reported, if is_silent { 0 } else { lost }, "{case}");
        replaced_in_all += replaced;
    }
    assert_eq!(closed, 10);
    assert_eq!(lab.sfu().metrics().messages_dropped.replaced, replaced_in_all);
}

#[test]
fn of_many_subchannels_what_late_joiners_lose_is_compared_for_a_share_and_all_counted() {
    let options = || DataConsumerOptions { subchannels: vec![60_000], ..options::consumer() };
    let joiners: Vec<_> = (0..200).map(|_| (options(), true)).collect();
    let (mut lab, joined) = drop_for_late_joiners(&joiners, |n| Some(n as u16));
    for joiner in joined {
        let names = ["messagesFiltered", "messagesDroppedFull"];
        let counts = names.map(|it| lab.count(joiner, it));
        assert_eq!(counts.iter().sum::<u64>(), u64::from(OFFERED) + 2, "{counts:?}");
    }
}

#[test]
fn late_joiners_lose_nothing_to_one_large_message_nor_to_a_clear() {
    for clears in [false, true] {
        let (mut lab, _, direct, producer) = retaining(FULL);
        (0..SMALL).for_each(|n| send_number(&mut lab, producer, n));
        let joiners = [(); 100].map(|()| lab.host().consume(direct, producer).0);
        if clears {
            lab.sfu().data_producer(producer).expect("open").clear_retained();
            assert_eq!(retained(&mut lab, producer).0, 0);
        }
        // This large message leaves none of the small ones retained.
        send(&mut lab, producer, binary(0xff, FULL.bytes as usize - 64));
        assert_eq!(retained(&mut lab, producer).0, 1);
        lab.run_for(Duration::from_secs(5));
        for joiner in joiners {
            let got = numbers(&mut lab, 0, joiner);
            assert!(got.into_iter().eq((0..SMALL).chain([u32::MAX])), "clears: {clears}");
        }
        // What was kept for the joiners is gone.
        for joiner in joiners {
            lab.sfu().data_consumer(joiner).expect("open").close();
        }
        assert_eq!(lab.sfu().bytes_held(), u64::from(FULL.bytes));
    }
}

#[test]
fn a_clear_reaches_the_far_end_behind_what_a_replay_has_yet_to_deliver() {
    for by in BOTH {
        let retain = RetainOptions { messages: 5000, ..MANY };
        let (mut lab, [near, far], producer) = two_routers(by, retain);
        (0..5000).for_each(|n| send_number(&mut lab, producer, n));
        let options = DataConsumerOptions { waits_for_start: true, ..options::consumer() };
        let (carrier, dump) = lab.host().consume_with(near.pipe, producer, options);
        let options = DataProducerOptions {
            sctp_stream_parameters: dump.sctp_stream_parameters,
            retain: Some(retain),
            ..options::producer()
        };
        let remote = lab.hosts[1].produce_with(far.pipe, options);
        let (consumer, _) = lab.hosts[1].consume(far.direct, remote);
        lab.sfu().data_consumer(carrier).expect("open").start();
        lab.sfu().data_producer(producer).expect("open").clear_retained();
        send_number(&mut lab, producer, 5000);
        lab.run_for(Duration::from_secs(5));
        assert!(numbers(&mut lab, 1, consumer).into_iter().eq(0..=5000), "{by:?}");
        let (late, _) = lab.hosts[1].consume(far.direct, remote);
        lab.run_for(Duration::from_secs(1));
        assert_eq!(numbers(&mut lab, 1, late), [5000], "{by:?}");
    }
}

/// A DataConsumer of JavaScript with a small queue, and how many messages were for it.
struct Joiner {
    key: DataConsumerKey,
    backlog: Arc<Backlog>,
    waits: bool,
    owed: u64,
    blocks: bool,
}

#[test]
fn of_every_message_that_is_retained_or_routed_random_joiners_know_what_has_become() {
    let (mut blocked, mut lost) = (0, 0);
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        let bounds = RetainOptions {
            messages: rng.random_range(1..4000),
            bytes: rng.random_range(1000..250_000),
            max_age: None,
        };
        let (mut lab, _, direct, producer) = retaining(bounds);
        let mut joiners: Vec<Joiner> = Vec::new();
        let mut routed = 0;
        for _ in 0..300 {
            match rng.random_range(0..10) {
                0..=2 => {
                    let large = rng.random_bool(0.3);
                    for _ in 0..if large { 1 } else { rng.random_range(1..1500) } {
                        if lab.sfu().is_blocked(producer) {
                            blocked += 1;
                            break;
                        }
                        let len = if large { rng.random_range(0..200_000) } else { 4 };
                        lab.sfu().send(producer, binary(0, len), None);
                        joiners.iter_mut().for_each(|it| it.owed += 1);
                        routed += 1;
                    }
                }
                3 | 4 => {
                    let paused = rng.random_bool(0.3);
                    let blocks = rng.random_bool(0.2);
                    let options = DataConsumerOptions {
                        paused,
                        overflow: blocks.then_some(Overflow::Block),
                        ..options::consumer()
                    };
                    let owed = if paused { 0 } else { retained(&mut lab, producer).0 };
                    let backlog = Arc::new(Backlog::new(rng.random_range(1000..500_000)));
                    let shared = Arc::clone(&backlog);
                    let (key, _) = lab.host().consume_into(direct, producer, options, shared);
                    joiners.push(Joiner { key, backlog, waits: paused, owed, blocks });
                }
                5 | 6 if !joiners.is_empty() => {
                    let it = rng.random_range(0..joiners.len());
                    let joiner = &mut joiners[it];
                    let first = joiner.waits && rng.random_bool(0.7);
                    if first {
                        joiner.owed += retained(&mut lab, producer).0;
                        joiner.waits = false;
                    }
                    let mut consumer = lab.sfu().data_consumer(joiner.key).expect("open");
                    match first || rng.random_bool(0.5) {
                        true if !joiner.waits => consumer.resume(),
                        _ => consumer.pause(),
                    }
                }
                7 => lab.sfu().data_producer(producer).expect("open").clear_retained(),
                8 if !joiners.is_empty() => {
                    let it = rng.random_range(0..joiners.len());
                    let joiner = joiners.swap_remove(it);
                    let left = lab.count(joiner.key, "messagesWaiting");
                    let before = dropped_at_close(&mut lab);
                    lab.sfu().data_consumer(joiner.key).expect("open").close();
                    assert_eq!(dropped_at_close(&mut lab) - before, left, "seed {seed}");
                    lost += left;
                }
                _ => {
                    lab.flush();
                    for joiner in &joiners {
                        for message in lab.host().messages(joiner.key) {
                            joiner.backlog.leave(message.amount());
                        }
                        if joiner.backlog.take_relief() {
                            lab.sfu().handle_relief(joiner.key);
                        }
                    }
                    let now = lab.now;
                    lab.host().begin_turn(now);
                    let before = lab.sfu().work();
                    lab.sfu().handle_timeout();
                    assert!(lab.sfu().work() - before < 4 * work::SHARE, "seed {seed}");
                }
            }
            for joiner in &joiners {
                let stats = lab.sfu().data_consumer(joiner.key).expect("open").get_stats();
                let known = stats.messages_sent + stats.messages_waiting + stats.messages_dropped;
                assert_eq!(known + stats.messages_paused, joiner.owed, "seed {seed}");
                // A DataConsumer that is paused holds up nothing.
                let may_drop = !joiner.blocks || stats.messages_paused > 0;
                assert!(may_drop || stats.messages_dropped == 0, "seed {seed}: {stats:?}");
            }
        }
        assert!(routed > 1000, "seed {seed}");
        lab.sfu().close();
        lab.flush();
        assert!(lab.sfu().is_empty());
    }
    assert!(blocked > 0 && lost > 0, "{blocked} {lost}");
}
