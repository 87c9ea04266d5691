//! Pipes between the threads of two workers.

use std::sync::Arc;

use datasoup::proto::message::{Message, Ppid};
use datasoup::proto::sctp::SctpState;
use datasoup::runtime::job::Job;
use datasoup::runtime::outbox::Item;
use datasoup::runtime::world::{FarEnd, World};
use datasoup::sfu::contract::options::{PipeTransportOptions, SctpOptions};
use datasoup::sfu::error::Error;
use datasoup::sfu::event::{Event, TransportEvent};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use serde_json::json;

use crate::options;
use crate::worker::{Worker, listen_info};

const ROUTER: RouterKey = RouterKey(1);
const PIPE: TransportKey = TransportKey(2);
const PRODUCER: DataProducerKey = DataProducerKey(4);
const CONSUMER: DataConsumerKey = DataConsumerKey(5);

/// The size of the send buffer in bytes, which one larger message fills.
const ROOM: u32 = 1000;

fn pipe(world: &mut World) -> Result<String, Error> {
    world.sfu.create_router(ROUTER);
    let listen = world.listen(&[(0, &listen_info("127.0.0.1", 0))])?.remove(0);
    let sctp = SctpOptions { send_buffer_size: ROOM, ..options::sctp() };
    let options = PipeTransportOptions { sctp: Some(sctp), ..options::pipe() };
    world.sfu.router(ROUTER)?.create_pipe_transport(PIPE, &options, listen);
    Ok(String::new())
}

/// Creates a direct DataProducer, and a DataConsumer of it on the pipe.
fn source(world: &mut World) -> Result<String, Error> {
    let direct = TransportKey(3);
    world.sfu.router(ROUTER)?.create_direct_transport(direct, &options::direct());
    let mut transport = world.sfu.transport(direct)?;
    let data_producer_id =
        transport.produce_data(PRODUCER, options::producer(), options::backlog())?.id;
    let options = options::consumer_of(data_producer_id);
    world.sfu.transport(PIPE)?.consume_data(CONSUMER, options, options::backlog())?;
    Ok(String::new())
}

/// Two workers with a connected pipe between them.
fn joined() -> [Worker; 2] {
    let mut workers = [Worker::started(), Worker::started()];
    let inboxes = [0, 1].map(|it: usize| Arc::clone(workers[it].handle().inbox()));
    for (worker, inbox) in workers.iter_mut().zip(inboxes.into_iter().rev()) {
        worker.call(pipe).expect("a pipe");
        let far_end = FarEnd { inbox, transport: PIPE };
        worker.call(|world| world.tunnel(PIPE, far_end).map(|()| String::new())).expect("a tunnel");
    }
    for worker in &mut workers {
        let connect = |world: &mut World| {
            let options = options::udp_connect(([127, 0, 0, 1], 9).into());
            world.sfu.transport(PIPE)?.connect_udp(options).map(|_| String::new())
        };
        worker.call(connect).expect("connected");
    }
    let [near, far] = &mut workers;
    near.call(source).expect("a source");
    far.call(source).expect("a source");
    near.until_state(SctpState::Connected);
    far.until_state(SctpState::Connected);
    workers
}

impl Worker {
    fn until_state(&mut self, expected: SctpState) {
        loop {
            if let Item::Event(Event::Transport(PIPE, TransportEvent::SctpState(state, ..))) =
                self.next()
                && state == expected
            {
                return;
            }
        }
    }

    fn send(&mut self, len: usize) {
        let message = Message::new(Ppid::BINARY, vec![0; len].into());
        self.post(Job::Send(PRODUCER, message, None));
    }

    /// `messagesUnsent` of the pipe, `messagesDroppedUnsendable` of its DataConsumer.
    fn lost(&mut self) -> [u64; 2] {
        let stats = self.call(|world| {
            let transport = json!(world.sfu.transport(PIPE)?.get_stats());
            let consumer = json!(world.sfu.data_consumer(CONSUMER)?.get_stats());
            Ok(json!([transport["messagesUnsent"], consumer["messagesDroppedUnsendable"]])
                .to_string())
        });
        serde_json::from_str(&stats.expect("open")).expect("two numbers")
    }
}

#[test]
fn a_full_tunnel_closes_when_the_other_worker_dies() {
    let [mut near, mut far] = joined();
    // The far worker blocks, so that the tunnel stays full, and then dies without a Close frame.
    let (let_die, gate) = std::sync::mpsc::channel::<()>();
    far.post(Job::call(move |_| {
        gate.recv().expect("released");
        panic!("on purpose");
    }));
    near.send(2 * ROOM as usize);
    near.call(|_| Ok(String::new())).expect("an answer");
    let_die.send(()).expect("it waits");
    far.rest();
    near.until_state(SctpState::Closed);
    near.send(1);
    assert_eq!(
        near.lost(),
        [0, 1],
        "the DataConsumer rejects the message, so the pipe never queues it"
    );
}

#[test]
fn a_tunnel_to_a_worker_that_has_ended_closes_at_once() {
    let mut near = Worker::started();
    let mut far = Worker::started();
    let inbox = Arc::clone(far.handle().inbox());
    far.handle().close();
    far.rest();
    near.call(pipe).expect("a pipe");
    let far_end = FarEnd { inbox, transport: PIPE };
    near.call(|world| world.tunnel(PIPE, far_end).map(|()| String::new())).expect("a tunnel");
    near.until_state(SctpState::Closed);
}

#[test]
fn a_worker_that_closes_sends_close_once() {
    let [mut near, mut far] = joined();
    far.handle().close();
    far.rest();
    near.until_state(SctpState::Closed);
    near.handle().close();
    let rest = near.rest();
    assert!(matches!(rest[..], [Item::Ended(_)]), "{rest:?}");
}
