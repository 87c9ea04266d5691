//! `maxMemory`: what all queues of a worker hold together.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::Amount;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::parameters::DropCount;
use datasoup::sfu::event::{DataConsumerEvent, DataProducerEvent};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::memory::Memory;

use crate::common::lab::{Lab, binary, text};
use crate::common::options;

/// The maximum: ten messages of [`LEN`] bytes.
const MAX: u64 = 10_000;
const LEN: usize = 1000 - 64;

struct Room {
    lab: Lab,
    memory: Arc<Memory>,
    router: RouterKey,
    direct: TransportKey,
    producer: DataProducerKey,
    intake: Arc<Backlog>,
}

/// A worker with a maximum, and a direct DataProducer.
fn room(max: u64) -> Room {
    let mut lab = Lab::new();
    let memory = Arc::new(Memory::new(max));
    lab.sfu().limit_memory(Arc::clone(&memory));
    let router = lab.host().router();
    let direct = lab.host().direct(router);
    let producer = DataProducerKey(lab.host().key());
    let intake = options::backlog();
    let mut transport = lab.sfu().transport(direct).expect("open");
    transport.produce_data(producer, options::producer(), Arc::clone(&intake)).expect("made");
    Room { lab, memory, router, direct, producer, intake }
}

impl Room {
    fn consume(&mut self, transport: TransportKey) -> (DataConsumerKey, Arc<Backlog>) {
        let backlog = options::backlog();
        let counted = Arc::clone(&backlog);
        let host = self.lab.host();
        (host.consume_into(transport, self.producer, options::consumer(), counted).0, backlog)
    }

    /// Sends as JavaScript does: through the intake. Returns whether the message was accepted.
    fn send(&mut self) -> bool {
        let accepted = self.intake.try_enter(Amount::of(LEN));
        if accepted {
            self.lab.sfu().send(self.producer, binary(1, LEN), None);
        } else if self.intake.overflow() {
            self.lab.sfu().notify_drain(self.producer);
        }
        accepted
    }

    /// Routes a message that the intake did not refuse.
    fn route(&mut self) {
        self.intake.enter(Amount::of(LEN));
        self.lab.sfu().send(self.producer, binary(1, LEN), None);
    }

    /// What `worker.dump()` shows.
    fn dump(&mut self) -> (u64, u64) {
        let dump = self.lab.sfu().dump(1, Default::default(), Default::default());
        (dump.memory.bytes_held, dump.memory.messages_dropped_memory)
    }

    fn drains(&mut self) -> Vec<DataProducerEvent> {
        self.lab.flush();
        self.lab.host().producer_events(self.producer)
    }
}

/// This many messages.
fn messages(count: usize) -> Amount {
    Amount { payload: count * LEN, charge: count * 1000 }
}

#[test]
fn send_is_refused_beyond_the_maximum_and_drain_comes_when_there_is_room_for_more() {
    let mut room = room(MAX);
    let (consumer, backlog) = room.consume(room.direct);
    let accepted = (0..100).take_while(|_| room.send()).count();
    assert_eq!(accepted, 10, "what waits for JavaScript fills the memory");
    assert_eq!(room.dump(), (MAX, 1));
    room.lab.run_for(Duration::from_secs(1));
    assert_eq!(room.drains(), [], "nothing has left");
    assert_eq!(room.lab.consumer_stats(consumer)["messagesDropped"], 0);

    // Another thread takes a message, and does not wake the worker.
    backlog.leave(messages(1));
    room.lab.run_for(Duration::from_secs(1));
    assert_eq!(room.drains(), [DataProducerEvent::Drain]);
    assert!(room.send());
    assert!(!room.send());
}

#[test]
fn a_worker_that_holds_nothing_takes_any_message() {
    let mut room = room(100);
    assert!(room.send());
    let (_, backlog) = room.consume(room.direct);
    assert!(room.send());
    assert_eq!(backlog.charge(), 1000);
    assert!(!room.send());
}

#[test]
fn a_consumer_for_which_there_is_no_room_drops_and_emits_overflow_when_there_is() {
    let mut room = room(MAX);
    let (_, first_backlog) = room.consume(room.direct);
    let (second, second_backlog) = room.consume(room.direct);
    for _ in 0..8 {
        room.route();
    }
    assert_eq!((first_backlog.charge(), second_backlog.charge()), (5000, 5000));
    let stats = room.lab.consumer_stats(second);
    assert_eq!((&stats["messagesSent"], &stats["messagesDroppedFull"]), (&5.into(), &3.into()));
    assert_eq!(room.dump(), (MAX, 6));

    second_backlog.leave(messages(5));
    first_backlog.enter(messages(5));
    room.lab.run_for(Duration::from_secs(1));
    assert_eq!(
        room.lab.host().consumer_events(second),
        [],
        "its own backlog is empty, the memory full"
    );
    first_backlog.leave(messages(10));
    room.lab.run_for(Duration::from_secs(1));
    let lost = DropCount { messages: 3, bytes: 3 * LEN as u64 };
    assert_eq!(room.lab.host().consumer_events(second), [DataConsumerEvent::Overflow(lost)]);
}

#[test]
fn messages_for_peers_count_until_they_are_acknowledged() {
    let mut room = room(MAX);
    let (key, client) = room.lab.join(room.router, 1);
    let (consumer, _) = room.consume(key);
    room.lab.run_for(Duration::from_secs(1));
    assert_eq!(room.memory.held(), 0, "the handshake leaves nothing");
    room.lab.clients[client].frozen = true;
    for _ in 0..12 {
        room.route();
        room.lab.flush();
    }
    let stats = room.lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesSent"], &stats["messagesDroppedFull"]), (&10.into(), &2.into()));
    let send = |room: &mut Room| {
        let sent = room.lab.sfu().data_consumer(consumer).expect("open").send(binary(1, LEN));
        sent.map(drop).map_err(|it| it.to_string())
    };
    assert_eq!(send(&mut room), Err("sctpsendbufferfull".into()));
    assert_eq!(room.dump(), (MAX, 3));
    let full = DataConsumerEvent::SctpSendBufferFull;
    assert!(room.lab.host().consumer_events(consumer).contains(&full));

    room.lab.clients[client].frozen = false;
    room.lab.run_for(Duration::from_secs(20));
    assert_eq!(room.lab.clients[client].messages().len(), 10);
    assert_eq!((room.memory.held(), room.dump().0), (0, 0));
    assert_eq!(send(&mut room), Ok(()));
}

#[test]
fn what_has_arrived_of_an_incomplete_message_counts() {
    let mut room = room(1_000_000);
    let (key, client) = room.lab.join(room.router, 1);
    room.lab.host().produce(key, 0);
    room.lab.conditions().rate = Some(100_000);
    room.lab.clients[client].send(0, binary(1, 200_000));
    room.lab.run_for(Duration::from_secs(1));
    let held = room.memory.held();
    assert!((20_000..200_000).contains(&held), "{held} bytes");
    assert_eq!(room.dump().0, held);
    room.lab.run_for(Duration::from_secs(10));
    assert_eq!(room.memory.held(), 0);
}

#[test]
fn messages_that_wait_for_a_later_turn_count_until_they_are_routed() {
    let mut room = room(1_000_000);
    let (key, client) = room.lab.join(room.router, 1);
    let producer = room.lab.host().produce(key, 0);
    let consumers: Vec<_> =
        (0..1000).map(|_| room.lab.host().consume(room.direct, producer).0).collect();
    for consumer in &consumers {
        room.lab.sfu().data_consumer(*consumer).expect("open").pause();
    }
    room.lab.run_for(Duration::from_secs(1));
    for _ in 0..200 {
        room.lab.clients[client].send(0, binary(1, 1));
    }
    let mut most = 0;
    room.lab.run_until(Duration::from_secs(10), |lab| {
        most = most.max(room.memory.held());
        let held = lab.sfu().bytes_held();
        assert_eq!(room.memory.held(), held);
        lab.producer_stats(producer)["messagesReceived"] == 200
    });
    assert!(most >= 65, "some waited");
    room.lab.flush();
    assert_eq!((room.memory.held(), room.dump().0), (0, 0));
}

#[test]
fn closing_anything_gives_its_memory_back() {
    let mut room = room(1_000_000);
    let (key, client) = room.lab.join(room.router, 1);
    room.lab.clients[client].frozen = true;
    let (first, _) = room.consume(key);
    let (second, _) = room.consume(key);
    let (_, backlog) = room.consume(room.direct);
    let send = |room: &mut Room| {
        assert!(room.send());
        assert!(room.intake.try_enter(messages(1)), "one that stays on its way");
        room.lab.flush();
        room.memory.held()
    };
    let all = send(&mut room);
    assert_eq!(all, 4000);
    room.lab.sfu().data_consumer(first).expect("open").close();
    room.lab.flush();
    let without_first = room.memory.held();
    assert!(without_first <= all, "{without_first}");
    room.lab.sfu().transport(key).expect("open").close();
    room.lab.flush();
    assert!(room.lab.sfu().data_consumer(second).is_err());
    assert_eq!(room.memory.held(), 2000);
    room.lab.sfu().data_producer(room.producer).expect("open").close();
    room.lab.flush();
    assert_eq!(room.memory.held(), 1000, "JavaScript has yet to take one");
    backlog.leave(messages(1));
    assert_eq!(room.memory.held(), 0);
    room.lab.sfu().close();
    room.lab.flush();
    assert!(room.lab.sfu().is_empty());
}

#[test]
fn without_a_maximum_the_dump_shows_what_is_held() {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let producer = lab.host().produce(direct, 0);
    lab.host().consume(direct, producer);
    let (key, _) = lab.invite(router, 1);
    lab.host().consume(key, producer);
    lab.sfu().send(producer, text("hello"), None);
    let dump = lab.sfu().dump(1, Default::default(), Default::default());
    assert_eq!((dump.memory.bytes_held, dump.memory.messages_dropped_memory), (2 * 69, 0));
}
