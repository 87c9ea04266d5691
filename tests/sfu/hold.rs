//! Messages that wait for a `resume()`: `whilePaused: 'hold'`.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::Message;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{DataProducerOptions, WhilePaused};
use datasoup::sfu::event::DataProducerEvent;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use datasoup::sfu::subchannels::{Selector, Subchannels};
use datasoup::sfu::work;

use crate::common::lab::{Lab, binary, text};
use crate::common::options;

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

/// Does what JavaScript's `send()` does; false if there is no room.
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
