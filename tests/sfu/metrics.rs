//! The metrics of a worker. `accounting` compares its counters with those of all entities.

use std::time::Duration;

use datasoup::sfu::contract::options::DataConsumerOptions;
use datasoup::sfu::histogram::Histogram;

use crate::common::lab::{Lab, binary, ours};
use crate::common::options;
use crate::common::sim::Conditions;

fn count<const N: usize>(histogram: &Histogram<N>) -> u64 {
    histogram.buckets().map(|(_, count)| count).sum::<u64>() + histogram.longer()
}

/// The bound of the bucket with the longest duration.
fn longest<const N: usize>(histogram: &Histogram<N>) -> f64 {
    let counted = histogram.buckets().filter(|(_, count)| *count > 0);
    if histogram.longer() > 0 { f64::INFINITY } else { counted.map(|it| it.0).fold(0.0, f64::max) }
}

#[test]
fn of_64_messages_for_peers_the_delay_of_one_counts_be_it_of_one_association_or_of_many() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    for n in 1..=64 {
        let (transport, _) = lab.join(router, n);
        lab.host().consume(transport, producer);
    }
    for _ in 0..64 {
        lab.sfu().send(producer, binary(1, 100), None);
        lab.run_for(Duration::from_millis(1));
    }
    let metrics = lab.sfu().metrics();
    assert_eq!(metrics.messages_sent, 64 * 64);
    assert_eq!(count(&metrics.queue_delays), 64);
    assert_eq!(longest(&metrics.queue_delays), 0.0001, "nothing has had to wait");
}

#[test]
fn the_delay_of_a_message_is_how_long_it_has_waited_in_its_queue() {
    let network = Conditions { delay: Duration::from_millis(50), ..Conditions::PERFECT };
    let mut lab = Lab::with(1, network, 1);
    let router = lab.host().router();
    let producer = lab.source(router);
    let (transport, _) = lab.join(router, 1);
    lab.host().consume(transport, producer);
    // More than the congestion window takes at once.
    (0..640).for_each(|_| lab.sfu().send(producer, binary(1, 1000), None));
    lab.run_for(Duration::from_millis(10));
    let queued = lab.sfu().metrics().queued_bytes;
    assert!((100_000..640_000).contains(&queued), "{queued}");
    lab.run_for(Duration::from_secs(10));
    let metrics = lab.sfu().metrics();
    assert_eq!(metrics.queued_bytes, 0);
    assert_eq!(count(&metrics.queue_delays), 10);
    assert!((0.1..=2.5).contains(&longest(&metrics.queue_delays)), "{metrics:?}");
}

#[test]
fn the_round_trip_time_of_an_association_counts_once_a_second_while_it_is_measured() {
    let network = Conditions { delay: Duration::from_millis(30), ..Conditions::PERFECT };
    let mut lab = Lab::with(1, network, 1);
    let router = lab.host().router();
    let producer = lab.source(router);
    let (transport, _) = lab.join(router, 1);
    lab.host().consume(transport, producer);
    let before = count(&lab.sfu().metrics().sctp_round_trips);
    for _ in 0..100 {
        lab.sfu().send(producer, binary(1, 100), None);
        lab.run_for(Duration::from_millis(100));
    }
    let busy = lab.sfu().metrics().sctp_round_trips;
    assert!((9..=11).contains(&(count(&busy) - before)), "{busy:?}");
    assert!((0.075..=0.1).contains(&longest(&busy)), "{busy:?}");
    // STUN requests go on, and no round trip is measured.
    lab.run_for(Duration::from_secs(60));
    let idle = lab.sfu().metrics().sctp_round_trips;
    assert!(count(&idle) - count(&busy) <= 1, "{idle:?}");
}

#[test]
fn what_closed_entities_have_counted_stays_in_the_totals_and_gauges_show_what_is_open() {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let producer = lab.host().produce_with(direct, options::producer());
    let (transport, _) = lab.join(router, 1);
    lab.host().consume(transport, producer);
    let listen = lab.host().listen(ours(50));
    lab.host().plain(router, listen, &options::plain(false));
    (0..3).for_each(|_| lab.sfu().send(producer, binary(1, 10), None));
    lab.run_for(Duration::from_millis(100));
    let open = lab.sfu().metrics();
    let kinds = open.transports;
    assert_eq!((kinds.webrtc, kinds.plain, kinds.pipe, kinds.direct), (1, 1, 0, 1));
    assert_eq!((open.routers, open.data_producers, open.data_consumers), (1, 1, 1));
    lab.sfu().router(router).expect("open").close();
    lab.flush();
    let closed = lab.sfu().metrics();
    let kinds = closed.transports;
    assert_eq!((kinds.webrtc, kinds.plain, kinds.pipe, kinds.direct), (0, 0, 0, 0));
    assert_eq!((closed.routers, closed.data_producers, closed.data_consumers), (0, 0, 0));
    assert_eq!((closed.messages_received, closed.message_bytes_received), (3, 30));
    assert_eq!((closed.messages_sent, closed.message_bytes_sent), (3, 30));
    assert!(closed.bytes_sent.webrtc >= open.bytes_sent.webrtc && open.bytes_sent.webrtc > 0);
}

#[test]
fn metrics_of_many_entities_are_work_of_the_turn() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let cost = |lab: &mut Lab| {
        let before = lab.sfu().work();
        lab.sfu().metrics();
        lab.sfu().work() - before
    };
    let few = cost(&mut lab);
    let (transport, _) = lab.join(router, 1);
    (0..1000).for_each(|_| drop(lab.host().consume(transport, producer)));
    assert!(cost(&mut lab) >= few + 50_000);
}

#[test]
fn messages_that_javascript_finds_too_old_after_their_consumer_has_closed_are_counted() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let direct = lab.host().direct(router);
    let stale = |lab: &mut Lab| lab.sfu().metrics().messages_dropped.stale;
    let mut expected = 0;
    for round in 0..200 {
        let options = DataConsumerOptions { max_queue_delay: Some(100), ..options::consumer() };
        let (consumer, _) = lab.host().consume_with(direct, producer, options);
        (0..3).for_each(|_| lab.sfu().send(producer, binary(1, 100), None));
        if round % 2 == 0 {
            // The three messages are found too old before the DataConsumer closes.
            lab.flush();
            lab.run_for(Duration::from_millis(200));
            assert!(lab.host().messages(consumer).is_empty());
            expected += 3;
            lab.sfu().send(producer, binary(1, 100), None);
        }
        lab.sfu().data_consumer(consumer).expect("open").close();
        lab.flush();
        assert_eq!(stale(&mut lab), expected);
        lab.run_for(Duration::from_millis(if round % 3 == 0 { 50 } else { 200 }));
        let got = lab.host().messages(consumer).len() as u64;
        let waited = if round % 2 == 0 { 1 } else { 3 };
        expected += waited - got;
        assert_eq!(got, if round % 3 == 0 { waited } else { 0 });
        assert_eq!(stale(&mut lab), expected);
    }
}
