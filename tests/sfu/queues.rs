//! Queues are bounded; what happens at the bound is counted and emitted.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::Amount;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{SctpOptions, WebRtcTransportOptions};
use datasoup::sfu::contract::parameters::DropCount;
use datasoup::sfu::event::{DataConsumerEvent, DataProducerEvent, Event};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use datasoup::sfu::subchannels::Selector;

use crate::common::lab::{Lab, binary, text};
use crate::common::options;

/// A direct DataProducer, and a direct DataConsumer with a backlog of this bound.
fn direct(lab: &mut Lab, bound: u64) -> (DataProducerKey, DataConsumerKey, Arc<Backlog>) {
    let router = lab.host().router();
    let transport = lab.host().direct(router);
    let producer = lab.host().produce(transport, 0);
    let backlog = Arc::new(Backlog::new(bound));
    let options = options::consumer();
    let (consumer, _) = lab.host().consume_into(transport, producer, options, Arc::clone(&backlog));
    (producer, consumer, backlog)
}

/// This many messages of this length.
fn messages(count: usize, len: usize) -> Amount {
    let mut amount = Amount::default();
    (0..count).for_each(|_| amount += Amount::of(len));
    amount
}

#[test]
fn a_direct_consumer_drops_beyond_its_bound_and_emits_when_delivery_resumes() {
    let mut lab = Lab::new();
    let (producer, consumer, backlog) = direct(&mut lab, 1000);
    // Each message is charged 100 + 64 bytes, so the bound of 1,000 admits six.
    for _ in 0..10 {
        lab.sfu().send(producer, binary(1, 100), None);
    }
    lab.flush();
    assert_eq!(lab.host().messages(consumer).len(), 6);
    assert!(lab.host().consumer_events(consumer).is_empty(), "the overflow is not over");
    let stats = lab.consumer_stats(consumer);
    assert_eq!(stats["messagesSent"], 6);
    assert_eq!((&stats["messagesDropped"], &stats["bytesDropped"]), (&4.into(), &400.into()));
    assert_eq!(stats["messagesDroppedFull"], 4);
    assert_eq!(stats["bufferedAmount"], 600);
    assert_eq!(backlog.payload(), 600);

    // JavaScript takes two messages, which leaves more than half of the bound charged, and then the rest.
    backlog.leave(messages(2, 100));
    assert!(!backlog.take_relief());
    backlog.leave(messages(4, 100));
    assert!(backlog.take_relief());
    assert!(!backlog.take_relief(), "once");
    lab.sfu().handle_relief(consumer);
    lab.sfu().handle_relief(consumer);
    lab.flush();
    let overflow = DataConsumerEvent::Overflow(DropCount { messages: 4, bytes: 400 });
    assert_eq!(lab.host().consumer_events(consumer), [overflow]);

    lab.sfu().send(producer, binary(1, 100), None);
    lab.flush();
    assert_eq!(lab.host().messages(consumer).len(), 1);
    assert!(lab.host().consumer_events(consumer).is_empty());
}

#[test]
fn overflow_is_emitted_before_the_first_message_after_it() {
    let mut lab = Lab::new();
    let (producer, consumer, backlog) = direct(&mut lab, 1000);
    for _ in 0..7 {
        lab.sfu().send(producer, binary(1, 100), None);
    }
    lab.flush();
    backlog.leave(messages(1, 100));
    lab.host().events.clear();
    lab.sfu().send(producer, binary(2, 100), None);
    lab.flush();
    let overflow = DataConsumerEvent::Overflow(DropCount { messages: 1, bytes: 100 });
    let events = &lab.host().events;
    let [Event::DataConsumer(key, first), Event::Message(to, message)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*key, first), (consumer, &overflow));
    assert_eq!((*to, message), (consumer, &binary(2, 100)));
    // The relief that JavaScript reports afterwards changes nothing.
    backlog.leave(messages(6, 100));
    assert!(backlog.take_relief());
    lab.host().events.clear();
    lab.sfu().handle_relief(consumer);
    lab.flush();
    assert!(lab.host().events.is_empty());
}

#[test]
fn drain_is_emitted_once_below_a_quarter_of_the_bound() {
    let (mut lab, router) = Lab::with_router();
    let transport = lab.host().direct(router);
    let intake = Arc::new(Backlog::new(1000));
    let producer = DataProducerKey(lab.host().key());
    let options = options::producer();
    let mut it = lab.sfu().transport(transport).expect("open");
    it.produce_data(producer, options, Arc::clone(&intake)).expect("a producer");

    let message = binary(1, 36); // charged 100
    while intake.try_enter(messages(1, 36)) {}
    assert_eq!(intake.charge(), 1000);
    lab.sfu().notify_drain(producer);
    lab.sfu().notify_drain(producer);
    for left in (0..10).rev() {
        lab.sfu().send(producer, message.clone(), None);
        lab.flush();
        let events = lab.host().producer_events(producer);
        let expected: &[_] = if left == 2 { &[DataProducerEvent::Drain] } else { &[] };
        assert_eq!(events, expected, "{left} left");
    }
    assert_eq!(intake.payload(), 0);
    // A request for the event while there is room is answered at once.
    lab.sfu().notify_drain(producer);
    lab.flush();
    assert_eq!(lab.host().producer_events(producer), [DataProducerEvent::Drain]);
}

#[test]
fn a_routed_message_gives_back_what_its_subchannels_were_charged() {
    let (mut lab, router) = Lab::with_router();
    let transport = lab.host().direct(router);
    let intake = Arc::new(Backlog::new(1000));
    let producer = DataProducerKey(lab.host().key());
    let mut it = lab.sfu().transport(transport).expect("open");
    it.produce_data(producer, options::producer(), Arc::clone(&intake)).expect("a producer");
    let subchannels = (0..100).collect();
    let selector = Arc::new(Selector { subchannels, ..Default::default() });
    let amount = messages(1, 36).with_subchannels(100);
    assert_eq!(amount.charge, 300);
    for _ in 0..3 {
        assert!(intake.try_enter(amount));
    }
    assert!(!intake.try_enter(amount));
    for left in (0..3).rev() {
        lab.sfu().send(producer, binary(1, 36), Some(&selector));
        assert_eq!(intake.charge(), 300 * left);
    }
}

#[test]
fn drain_is_emitted_however_small_the_bound() {
    for bound in [0, 1, 3, 100] {
        let (mut lab, router) = Lab::with_router();
        let transport = lab.host().direct(router);
        let intake = Arc::new(Backlog::new(bound));
        let producer = DataProducerKey(lab.host().key());
        let options = options::producer();
        let mut it = lab.sfu().transport(transport).expect("open");
        it.produce_data(producer, options, Arc::clone(&intake)).expect("a producer");
        intake.enter(messages(1, 500));
        lab.sfu().notify_drain(producer);
        lab.sfu().send(producer, binary(1, 500), None);
        lab.flush();
        assert_eq!(lab.host().producer_events(producer), [DataProducerEvent::Drain], "{bound}");
    }
}

/// A client whose transport has small send buffers, and a direct DataProducer that it consumes.
fn small(lab: &mut Lab) -> (TransportKey, usize, DataProducerKey, DataConsumerKey, Arc<Backlog>) {
    let router = lab.host().router();
    let sctp = SctpOptions {
        send_buffer_size: 100_000,
        per_stream_send_queue_limit: 50_000,
        ..options::sctp()
    };
    let options = WebRtcTransportOptions { sctp: Some(sctp), ..options::webrtc() };
    let (key, client) = lab.join_with(router, 1, options);
    let producer = lab.source(router);
    let gauge = Arc::new(Backlog::new(1));
    let options = options::consumer();
    let (consumer, _) = lab.host().consume_into(key, producer, options, Arc::clone(&gauge));
    (key, client, producer, consumer, gauge)
}

#[test]
fn sctpsendbufferfull_is_emitted_once_a_turn_and_counted_exactly() {
    let mut lab = Lab::new();
    let (_, client, producer, consumer, _) = small(&mut lab);
    // Five messages fill the 50,000 bytes of the stream, so the sixth is rejected.
    for _ in 0..9 {
        lab.sfu().send(producer, binary(1, 10_000), None);
    }
    let error = lab.sfu().data_consumer(consumer).expect("open").send(text("x"));
    assert_eq!(error.expect_err("full").to_string(), "sctpsendbufferfull");
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesSent"], &stats["bytesSent"]), (&5.into(), &50_000.into()));
    assert_eq!((&stats["messagesDropped"], &stats["bytesDropped"]), (&4.into(), &40_000.into()));
    assert_eq!(stats["messagesRejected"], 1);
    lab.flush();
    assert_eq!(lab.host().consumer_events(consumer), [DataConsumerEvent::SctpSendBufferFull]);

    lab.expect("all that was accepted", |lab| lab.clients[client].sctp.messages.len() == 5);
    let overflow = DataConsumerEvent::Overflow(DropCount { messages: 4, bytes: 40_000 });
    let low = DataConsumerEvent::BufferedAmountLow(0);
    assert_eq!(lab.host().consumer_events(consumer), [overflow, low]);
    // 'sctpsendbufferfull' is emitted again in each later turn, once per turn.
    lab.host().events.clear();
    for turn in 0..2 {
        for _ in 0..20 {
            lab.sfu().send(producer, binary(1, 50_000), None);
        }
        lab.flush();
        let events = lab.host().consumer_events(consumer);
        let full = events.iter().filter(|it| **it == DataConsumerEvent::SctpSendBufferFull);
        assert_eq!(full.count(), 1, "turn {turn}: {events:?}");
    }
}

#[test]
fn a_rejection_before_the_worker_is_emitted_and_counted_like_any_other() {
    let mut lab = Lab::new();
    let (_, _, _, consumer, _) = small(&mut lab);
    for _ in 0..2 {
        let error = lab.sfu().data_consumer(consumer).expect("open").reject();
        assert_eq!(error.to_string(), "sctpsendbufferfull");
    }
    lab.flush();
    let events = lab.host().consumer_events(consumer);
    assert_eq!(events, [DataConsumerEvent::SctpSendBufferFull], "once a turn");
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesRejected"], &stats["messagesDropped"]), (&2.into(), &0.into()));
}

#[test]
fn the_transports_bound_counts_all_streams() {
    let mut lab = Lab::new();
    let (key, _, producer, consumer, _) = small(&mut lab);
    let (second, _) = lab.host().consume(key, producer);
    let (third, _) = lab.host().consume(key, producer);
    for _ in 0..5 {
        lab.sfu().send(producer, binary(1, 10_000), None);
    }
    // Each stream would take five messages, but ten reach the 100,000 bytes of all streams together.
    let sent =
        |lab: &mut Lab, it| lab.consumer_stats(it)["messagesSent"].as_u64().expect("a number");
    let sent = [consumer, second, third].map(|it| sent(&mut lab, it));
    assert_eq!(sent.iter().sum::<u64>(), 10, "{sent:?}");
}

#[test]
fn bufferedamountlow_is_emitted_when_the_amount_falls_to_the_threshold() {
    let mut lab = Lab::new();
    let (_, client, producer, consumer, gauge) = small(&mut lab);
    let mut it = lab.sfu().data_consumer(consumer).expect("open");
    it.set_buffered_amount_low_threshold(20_000).expect("over SCTP");
    assert_eq!(it.dump().buffered_amount_low_threshold, 20_000);
    lab.clients[client].frozen = true;
    for _ in 0..4 {
        lab.sfu().send(producer, binary(1, 49_999), None);
        lab.flush();
    }
    let amount = lab.sfu().data_consumer(consumer).expect("open").get_buffered_amount();
    let amount = amount.expect("over SCTP");
    assert!(amount > 20_000, "{amount} wait");
    assert_eq!(gauge.payload(), amount as u64, "JavaScript sees the same");
    lab.host().consumer_events(consumer);

    lab.clients[client].frozen = false;
    lab.run_for(Duration::from_secs(60));
    let events = lab.host().consumer_events(consumer);
    let [DataConsumerEvent::Overflow(_), DataConsumerEvent::BufferedAmountLow(low)] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert!(*low <= 20_000);
    assert_eq!(gauge.payload(), 0);
    lab.sfu().send(producer, text("small"), None);
    lab.run_for(Duration::from_secs(1));
    assert!(
        lab.host().consumer_events(consumer).is_empty(),
        "the amount was not above the threshold"
    );
}

#[test]
fn one_frozen_consumer_delays_no_other() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (a, frozen) = lab.join(router, 1);
    let (b, lively) = lab.join(router, 2);
    let (stuck, _) = lab.host().consume(a, producer);
    lab.host().consume(b, producer);
    lab.clients[frozen].frozen = true;
    for _ in 0..100 {
        lab.sfu().send(producer, binary(1, 50_000), None);
        lab.run_for(Duration::from_millis(100));
    }
    lab.expect("all", |lab| lab.clients[lively].sctp.messages.len() == 100);
    let stats = lab.consumer_stats(stuck);
    let sum = stats["messagesSent"].as_u64().expect("a number")
        + stats["messagesDropped"].as_u64().expect("a number");
    assert_eq!(sum, 100);
    assert!(stats["bufferedAmount"].as_u64().expect("a number") <= 2_050_000);
}

#[test]
fn the_amounts_of_a_closed_consumer_are_zero() {
    let mut lab = Lab::new();
    let (key, client, producer, consumer, gauge) = small(&mut lab);
    lab.clients[client].frozen = true;
    for _ in 0..4 {
        lab.sfu().send(producer, binary(1, 40_000), None);
        lab.flush();
    }
    assert!(gauge.payload() > 0);
    lab.sfu().data_consumer(consumer).expect("open").close();
    lab.flush();
    assert_eq!(gauge.payload(), 0);
    let stats = lab.stats(key);
    assert!(stats["messagesDiscarded"].as_u64() > Some(0), "{stats}");
    assert!(lab.sfu().data_consumer(consumer).is_err());
}
