//! The order of answers and events, and how often the reader is woken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use datasoup::proto::message::{Message, Ppid};
use datasoup::runtime::job::Job;
use datasoup::runtime::outbox::{Item, Outbox};
use datasoup::runtime::world::World;
use datasoup::sfu::error::Error;
use datasoup::sfu::event::{DataConsumerEvent, Event};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};

use crate::options;
use crate::worker::Worker;

const PRODUCER: DataProducerKey = DataProducerKey(3);
const CONSUMER: DataConsumerKey = DataConsumerKey(4);

/// A direct DataProducer and a direct DataConsumer of it.
fn direct_pair(world: &mut World) -> Result<String, Error> {
    let (router, transport) = (RouterKey(1), TransportKey(2));
    world.sfu.create_router(router);
    world.sfu.router(router)?.create_direct_transport(transport, &options::direct());
    let mut transport = world.sfu.transport(transport)?;
    let data_producer_id =
        transport.produce_data(PRODUCER, options::producer(), options::backlog())?.id;
    let options = options::consumer_of(data_producer_id);
    transport.consume_data(CONSUMER, options, options::backlog())?;
    Ok(String::new())
}

fn send(n: u32) -> Job<World> {
    let message = Message::new(Ppid::BINARY, n.to_be_bytes().to_vec().into());
    Job::Send(PRODUCER, message, None)
}

/// A short text for an item.
fn short(item: &Item) -> String {
    match item {
        Item::Answer(request, result) => format!("answer {request} {}", result.is_ok()),
        Item::Event(Event::Message(_, message)) => {
            let number = message.payload.first_chunk().expect("four bytes");
            format!("message {}", u32::from_be_bytes(*number))
        }
        Item::Event(Event::DataConsumer(_, DataConsumerEvent::DataProducerPause)) => "pause".into(),
        Item::Event(Event::DataConsumer(_, DataConsumerEvent::DataProducerResume)) => {
            "resume".into()
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn answers_and_events_come_in_the_order_in_which_they_happened() {
    let mut worker = Worker::started();
    worker.call(direct_pair).expect("made");
    worker.post(send(1));
    let first = worker.ask(|_| Ok(String::new()));
    worker.post(send(2));
    // The events that a request causes follow its answer, so that the awaiting code runs first.
    let pause = worker.ask(|world| {
        world.sfu.data_producer(PRODUCER)?.pause();
        Ok(String::new())
    });
    worker.post(send(3));
    let resume = worker.ask(|world| {
        world.sfu.data_producer(PRODUCER)?.resume();
        Ok(String::new())
    });
    worker.post(send(4));
    let last = worker.ask(|_| Err(Error::SendFailed));
    let items = worker.until(|item| matches!(item, Item::Answer(request, _) if *request == last));
    let items: Vec<String> = items.iter().map(short).collect();
    let expected = [
        "message 1".to_owned(),
        format!("answer {first} true"),
        "message 2".to_owned(),
        format!("answer {pause} true"),
        "pause".to_owned(),
        format!("answer {resume} true"),
        "resume".to_owned(),
        "message 4".to_owned(),
        format!("answer {last} false"),
    ];
    assert_eq!(items, expected);
}

#[test]
fn ten_thousand_messages_arrive_in_order() {
    let mut worker = Worker::started();
    worker.call(direct_pair).expect("made");
    for n in 0..10_000 {
        worker.post(send(n));
    }
    let mut expected = 0;
    worker.until(|item| {
        assert_eq!(short(item), format!("message {expected}"));
        expected += 1;
        expected == 10_000
    });
}

#[test]
fn a_batch_wakes_the_reader_once() {
    let mut worker = Worker::started();
    worker.call(direct_pair).expect("made");
    let (release, gate) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    worker.post(Job::call(move |_| {
        begin.send(()).expect("the test waits for it");
        gate.recv().expect("to be released");
    }));
    // The worker is in a turn, so the next turn takes all jobs that are posted now.
    begun.recv().expect("the worker lives");
    for n in 0..1000 {
        worker.post(send(n));
    }
    let last = worker.ask(|_| Ok(String::new()));
    let before = worker.wakes.load(Ordering::SeqCst);
    release.send(()).expect("it waits");
    let items = worker.until(|item| matches!(item, Item::Answer(request, _) if *request == last));
    assert_eq!(items.len(), 1001);
    assert_eq!(worker.wakes.load(Ordering::SeqCst), before + 1);
}

#[test]
fn a_reader_that_has_not_taken_is_not_woken_again() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&wakes);
    let outbox = Outbox::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let mut taken = VecDeque::new();
    for round in 1..=3 {
        for _ in 0..5 {
            outbox.push(&mut VecDeque::from([Item::Ended(None), Item::Ended(None)]));
        }
        assert_eq!(wakes.load(Ordering::SeqCst), round);
        outbox.take(&mut taken);
        assert_eq!(taken.drain(..).count(), 10);
    }
    outbox.push(&mut VecDeque::new());
    assert_eq!(
        wakes.load(Ordering::SeqCst),
        3,
        "the reader was woken although the outbox was empty"
    );
    outbox.retire();
    outbox.push(&mut VecDeque::from([Item::Ended(None)]));
    assert_eq!(wakes.load(Ordering::SeqCst), 3);
}
