//! What a queue holds against what it charges: tiny messages, each with a list of subchannels of its own.

use std::sync::Arc;
use std::time::Duration;

use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{PipeTransportOptions, SctpOptions};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use datasoup::sfu::subchannels::Selector;

use crate::common::lab::{Lab, binary, ours};
use crate::common::options;
use crate::common::sim::Conditions;
use crate::heap::live;

/// The lengths of the lists: none, short ones, around the one at which a set changes its form, and the longest.
const LENGTHS: [u16; 7] = [0, 1, 10, 1000, 4096, 4097, 65_535];

struct Pipe {
    lab: Lab,
    producer: DataProducerKey,
    carrier: DataConsumerKey,
    backlog: Arc<Backlog>,
    ends: [TransportKey; 2],
    /// The direct transport at the far end.
    far: TransportKey,
}

/// Two workers and a pipe between them, over a tunnel or the network. A direct DataProducer is consumed into it.
fn pipe(tunnel: bool) -> Pipe {
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let routers = [0, 1].map(|n| lab.hosts[n].router());
    let ends = [0, 1].map(|n| {
        let listen = lab.hosts[n].listen(ours(n as u16));
        let sctp = SctpOptions { send_buffer_size: 500_000, ..options::sctp() };
        let options = PipeTransportOptions { sctp: Some(sctp), ..options::pipe() };
        lab.hosts[n].pipe(routers[n], listen, &options)
    });
    if tunnel {
        for n in [0, 1] {
            lab.hosts[n].sfu.transport(ends[n]).expect("open").tunnel().expect("a pipe");
            lab.tunnels.insert((n, ends[n]), (1 - n, ends[1 - n]));
        }
    }
    let direct = lab.host().direct(routers[0]);
    let producer = lab.host().produce(direct, 0);
    let backlog = options::backlog();
    let options = options::consumer();
    let (carrier, _) = lab.host().consume_into(ends[0], producer, options, Arc::clone(&backlog));
    let far = lab.hosts[1].direct(routers[1]);
    Pipe { lab, producer, carrier, backlog, ends, far }
}

impl Pipe {
    fn connect(&mut self) {
        for n in [0, 1] {
            self.lab.hosts[n].connect_udp(self.ends[n], ours(1 - n as u16));
        }
    }

    /// Sends a message of one byte, with a list of this length.
    fn send(&mut self, subchannels: u16) {
        let subchannels = (0..subchannels).collect();
        let selector = Arc::new(Selector { subchannels, ..Default::default() });
        let selector = (!selector.is_empty()).then_some(&selector);
        self.lab.sfu().send(self.producer, binary(1, 1), selector);
    }

    fn dropped(&mut self) -> u64 {
        self.lab.consumer_stats(self.carrier)["messagesDroppedFull"].as_u64().expect("a counter")
    }

    /// Sends such messages until the queue is full. Returns the bytes that they take.
    fn fill(&mut self, subchannels: u16) -> i64 {
        let before = live();
        while self.dropped() == 0 {
            self.send(subchannels);
        }
        live() - before
    }
}

#[test]
fn a_tunnel_holds_at_most_three_times_what_it_charges_and_long_lists_once() {
    for length in LENGTHS {
        let mut pipe = pipe(true);
        let held = pipe.fill(length);
        let charged = pipe.backlog.charge() as i64;
        assert!(charged >= 1_065_536, "full at twice the bound and 64 KiB, not at {charged} bytes");
        // A message of one byte is charged 65 and has an allocation of its own on its way.
        let most = if length < 1000 { 3 * charged } else { charged * 11 / 10 };
        assert!(held <= most, "{length} subchannels: {held} bytes for {charged}");
    }
}

#[test]
fn the_queue_of_a_pipe_holds_at_most_about_twice_its_bound_with_or_without_lists() {
    for length in LENGTHS {
        let held = pipe(false).fill(length);
        let most = if length == 0 { 220 } else { 160 };
        assert!(held <= 1_065_536 * most / 100, "{length} subchannels: {held} bytes");
    }
}

#[test]
fn a_message_from_a_pipe_does_not_keep_the_list_that_came_with_it() {
    let mut pipe = pipe(false);
    let dump = pipe.lab.sfu().data_consumer(pipe.carrier).expect("open").dump();
    let stream = dump.sctp_stream_parameters.expect("over SCTP").stream_id;
    let far = &mut pipe.lab.hosts[1];
    let producer = far.produce(pipe.ends[1], stream);
    let (consumer, _) = far.consume(pipe.far, producer);
    far.sfu.data_consumer(consumer).expect("open").add_subchannel(7);
    pipe.connect();
    let arrive = |pipe: &mut Pipe, count| {
        for _ in 0..count {
            pipe.send(65_535);
            pipe.lab.run_for(Duration::from_secs(1));
        }
    };
    arrive(&mut pipe, 10);
    let before = live();
    arrive(&mut pipe, 30);
    let held = live() - before;
    assert_eq!(pipe.lab.hosts[1].messages(consumer).len(), 40);
    assert!(held <= 30 * 1024, "{held} bytes for 30 messages of one byte");
}
