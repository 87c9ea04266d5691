//! Which DataConsumers get a message: subchannels, pauses, sizes.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::Message;
use datasoup::sfu::contract::options::{DataConsumerOptions, DirectTransportOptions};
use datasoup::sfu::event::DataConsumerEvent;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::subchannels::{Selector, Subchannels};

use crate::common::lab::{Lab, binary, text};
use crate::common::options;

/// A router with a direct DataProducer and as many direct DataConsumers.
fn direct(lab: &mut Lab, consumers: usize) -> (RouterKey, DataProducerKey, Vec<DataConsumerKey>) {
    let router = lab.host().router();
    let transport = lab.host().direct(router);
    let producer = lab.host().produce(transport, 0);
    let consumers = (0..consumers).map(|_| lab.host().consume(transport, producer).0).collect();
    (router, producer, consumers)
}

/// A DataConsumer on a direct transport that sends no more than 10 bytes.
fn small(lab: &mut Lab, router: RouterKey, producer: DataProducerKey) -> DataConsumerKey {
    let key = TransportKey(lab.host().key());
    let options = DirectTransportOptions { max_send_message_size: 10, ..options::direct() };
    lab.sfu().router(router).expect("open").create_direct_transport(key, &options);
    lab.host().consume(key, producer).0
}

fn send(lab: &mut Lab, producer: DataProducerKey, message: &Message) {
    lab.sfu().send(producer, message.clone(), None);
    lab.flush();
}

#[test]
fn subchannels_choose_consumers_and_can_change() {
    let mut lab = Lab::new();
    let (_, producer, consumers) = direct(&mut lab, 3);
    let sfu = lab.sfu();
    let mut one = sfu.data_consumer(consumers[1]).expect("open");
    one.set_subchannels(Subchannels::new([2, 1, 2]));
    assert_eq!(one.dump().subchannels, [1, 2]);
    let mut two = sfu.data_consumer(consumers[2]).expect("open");
    two.add_subchannel(1);
    two.add_subchannel(1);
    assert_eq!(two.dump().subchannels, [1]);
    two.add_subchannel(0);
    assert_eq!(two.dump().subchannels, [0, 1]);
    two.remove_subchannel(0);
    two.remove_subchannel(9);
    assert_eq!(two.dump().subchannels, [1]);

    let selector = |subchannels: &[u16], required, ignored| {
        let subchannels = subchannels.iter().copied().collect();
        Arc::new(Selector { subchannels, required, ignored })
    };
    let cases = [
        (selector(&[], None, None), [1, 1, 1]),
        (selector(&[1], None, None), [0, 1, 1]),
        (selector(&[2, 7], None, None), [0, 1, 0]),
        (selector(&[], Some(2), None), [0, 1, 0]),
        (selector(&[], None, Some(2)), [1, 0, 1]),
        (selector(&[1], Some(1), Some(2)), [0, 0, 1]),
    ];
    for (selector, expected) in cases {
        lab.sfu().send(producer, text("x"), Some(&selector));
        lab.flush();
        let got = consumers.iter().map(|it| lab.host().messages(*it).len());
        assert_eq!(got.collect::<Vec<_>>(), expected, "{selector:?}");
    }
}

#[test]
fn subchannels_choose_among_webrtc_consumers_as_well() {
    let (mut lab, router) = Lab::with_router();
    let transport = lab.host().direct(router);
    let producer = lab.host().produce(transport, 0);
    let mut clients = Vec::new();
    for n in 1..=2 {
        let (key, client) = lab.join(router, n);
        let options = DataConsumerOptions { subchannels: vec![n], ..options::consumer() };
        lab.host().consume_with(key, producer, options);
        clients.push(client);
    }
    let subchannels = Subchannels::new([2]);
    let selector = Arc::new(Selector { subchannels, ..Default::default() });
    // A payload that looks like a pipe's header is a payload.
    let forged = datasoup::sfu::pipe_header::encode(Some(&selector), &"x".into());
    let message = Message::new(datasoup::proto::message::Ppid::BINARY, forged);
    lab.sfu().send(producer, message.clone(), Some(&selector));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.clients[clients[0]].messages(), []);
    assert_eq!(lab.clients[clients[1]].messages(), [(0, message)]);
}

#[test]
fn a_paused_consumer_gets_nothing_and_nothing_is_kept() {
    let mut lab = Lab::new();
    let (_, producer, consumers) = direct(&mut lab, 2);
    lab.sfu().data_consumer(consumers[0]).expect("open").pause();
    send(&mut lab, producer, &text("1"));
    lab.sfu().data_consumer(consumers[0]).expect("open").resume();
    send(&mut lab, producer, &text("2"));
    assert_eq!(lab.host().messages(consumers[0]), [text("2")]);
    assert_eq!(lab.host().messages(consumers[1]), [text("1"), text("2")]);
    assert_eq!(lab.consumer_stats(consumers[0])["messagesDropped"], 0);
}

#[test]
fn a_paused_producer_counts_and_routes_nothing_and_its_consumers_emit_once() {
    let mut lab = Lab::new();
    let (_, producer, consumers) = direct(&mut lab, 1);
    for _ in 0..2 {
        lab.sfu().data_producer(producer).expect("open").pause();
    }
    send(&mut lab, producer, &text("lost"));
    assert!(lab.sfu().data_consumer(consumers[0]).expect("open").dump().data_producer_paused);
    for _ in 0..2 {
        lab.sfu().data_producer(producer).expect("open").resume();
    }
    send(&mut lab, producer, &text("found"));
    assert_eq!(lab.host().messages(consumers[0]), [text("found")]);
    assert_eq!(
        lab.host().consumer_events(consumers[0]),
        [DataConsumerEvent::DataProducerPause, DataConsumerEvent::DataProducerResume]
    );
    assert_eq!(lab.producer_stats(producer)["messagesReceived"], 2);
}

#[test]
fn a_consumer_of_a_paused_producer_shows_it_from_the_start() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    let producer = lab.source(router);
    lab.sfu().data_producer(producer).expect("open").pause();
    let (consumer, dump) = lab.host().consume(key, producer);
    assert!(dump.data_producer_paused && !dump.paused);
    let send = |lab: &mut Lab| {
        let result = lab.sfu().data_consumer(consumer).expect("open").send(text("x"));
        result.map_err(|it| (it.name(), it.to_string()))
    };
    let refused = Err(("Error", "message send failed".into()));
    assert_eq!(send(&mut lab), refused);
    lab.sfu().data_producer(producer).expect("open").resume();
    lab.sfu().data_consumer(consumer).expect("open").pause();
    assert_eq!(send(&mut lab), refused);
    lab.sfu().data_consumer(consumer).expect("open").resume();
    assert_eq!(send(&mut lab), Ok(()));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.clients[client].messages().len(), 1);
}

#[test]
fn a_message_too_large_for_one_consumer_is_dropped_and_counted_there_only() {
    let mut lab = Lab::new();
    let (router, producer, consumers) = direct(&mut lab, 1);
    let consumer = small(&mut lab, router, producer);
    send(&mut lab, producer, &binary(1, 11));
    send(&mut lab, producer, &binary(2, 10));
    assert_eq!(lab.host().messages(consumer), [binary(2, 10)]);
    assert_eq!(lab.host().messages(consumers[0]).len(), 2);
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesDropped"], &stats["bytesDropped"]), (&1.into(), &11.into()));
}

#[test]
fn a_producer_of_another_router_is_not_found() {
    let mut lab = Lab::new();
    let (_, producer, _) = direct(&mut lab, 0);
    let id = lab.host().producer_id(producer);
    let router = lab.host().router();
    let transport = lab.host().direct(router);
    let key = DataConsumerKey(lab.host().key());
    let options = options::consumer_of(id);
    let backlog = std::sync::Arc::new(datasoup::sfu::backlog::Backlog::new(1000));
    let mut transport = lab.sfu().transport(transport).expect("open");
    let error = transport.consume_data(key, options, backlog).expect_err("elsewhere");
    assert_eq!(error.name(), "NotFoundError");
}

/// The counters behind 'Where did my message go?' in docs/security.md.
#[test]
fn every_message_that_a_producer_gets_is_accounted_for_by_each_of_its_consumers() {
    let mut lab = Lab::new();
    let (router, producer, mut consumers) = direct(&mut lab, 3);
    consumers.push(small(&mut lab, router, producer));
    lab.sfu().data_consumer(consumers[1]).expect("open").set_subchannels(Subchannels::new([1]));

    let selector = |subchannel| {
        let subchannels = Subchannels::new([subchannel]);
        Arc::new(Selector { subchannels, ..Default::default() })
    };
    for (len, subchannel) in [(5, Some(1)), (50, Some(2)), (5, None), (50, None)] {
        let message = binary(0, len);
        lab.sfu().send(producer, message, subchannel.map(selector).as_ref());
        lab.flush();
    }
    lab.sfu().data_consumer(consumers[2]).expect("open").pause();
    send(&mut lab, producer, &binary(0, 5));
    lab.sfu().data_producer(producer).expect("open").pause();
    send(&mut lab, producer, &binary(0, 5));

    let received = lab.producer_stats(producer);
    assert_eq!(
        (&received["messagesReceived"], &received["messagesPaused"]),
        (&6.into(), &1.into())
    );
    let reasons = [
        "messagesSent",
        "messagesFiltered",
        "messagesPaused",
        "messagesDroppedTooLarge",
        "messagesDroppedFull",
        "messagesDroppedUnsendable",
    ];
    for (consumer, expected) in consumers.into_iter().zip([
        [3, 2, 0, 0, 0, 0],
        [4, 1, 0, 0, 0, 0],
        [2, 2, 1, 0, 0, 0],
        [2, 2, 0, 1, 0, 0],
    ]) {
        let stats = lab.consumer_stats(consumer);
        let counts = reasons.map(|it| stats[it].as_u64().expect("a counter"));
        assert_eq!(counts, expected, "{stats}");
        assert_eq!(counts.iter().sum::<u64>(), 5);
        assert_eq!(stats["messagesDropped"].as_u64(), Some(counts[3..].iter().sum()));
    }
}
