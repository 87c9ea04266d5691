//! Pipe transports: two routers joined, in one worker or in two.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::{Message, Ppid};
use datasoup::proto::net::Tuple;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, PipeTransportOptions, RetainOptions, SctpOptions,
};
use datasoup::sfu::contract::parameters::{DropCount, SctpStreamParameters};
use datasoup::sfu::error::Error;
use datasoup::sfu::event::{DataConsumerEvent, DataProducerEvent, Event};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::pipe_header;
use datasoup::sfu::subchannels::Selector;

use crate::common::lab::{Lab, binary, ours, reasons, text, theirs};
use crate::common::options;
use crate::common::puppet::{self, COOKIE_ACK, INIT, Puppet, WHOLE, chunks};
use crate::common::sim::Conditions;

/// One end of a pipe.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) host: usize,
    router: RouterKey,
    pub(crate) pipe: TransportKey,
    pub(crate) direct: TransportKey,
}

/// How two ends are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Network,
    Tunnel,
}

pub(crate) const BOTH: [By; 2] = [By::Network, By::Tunnel];

/// Joins two routers by a pipe. If the lab has one worker, it has both routers.
pub(crate) fn joined(lab: &mut Lab, by: By) -> [End; 2] {
    joined_with(lab, by, [(); 2].map(|()| options::sctp()))
}

/// Makes both ends of a pipe, at `ours(1)` and `ours(2)`, and does not connect them.
pub(crate) fn ends(lab: &mut Lab, options: [&PipeTransportOptions; 2]) -> [End; 2] {
    let hosts = [0, lab.hosts.len() - 1];
    let mut n = 0;
    hosts.map(|index| {
        n += 1;
        let host = &mut lab.hosts[index];
        let router = host.router();
        let direct = host.direct(router);
        let listen = host.listen(ours(n));
        let pipe = host.pipe(router, listen, options[usize::from(n) - 1]);
        End { host: index, router, pipe, direct }
    })
}

pub(crate) fn joined_with(lab: &mut Lab, by: By, sctp: [SctpOptions; 2]) -> [End; 2] {
    let options = sctp.map(|sctp| PipeTransportOptions { sctp: Some(sctp), ..options::pipe() });
    let ends = ends(lab, options.each_ref());
    for (end, far) in [(ends[0], ends[1]), (ends[1], ends[0])] {
        if by == By::Tunnel {
            let mut transport = lab.hosts[end.host].sfu.transport(end.pipe).expect("open");
            transport.tunnel().expect("a pipe");
            lab.tunnels.insert((end.host, end.pipe), (far.host, far.pipe));
        }
    }
    for (end, to) in ends.iter().zip([ours(2), ours(1)]) {
        lab.hosts[end.host].connect_udp(end.pipe, to);
    }
    ends
}

/// Two workers, each with a router, which a pipe joins.
pub(crate) fn two_workers(by: By) -> (Lab, [End; 2]) {
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let ends = joined(&mut lab, by);
    (lab, ends)
}

/// Carries a DataProducer from one end to the other.
pub(crate) fn carry(
    lab: &mut Lab,
    [from, to]: [End; 2],
    producer: DataProducerKey,
    subchannels: Vec<u16>,
) -> (DataConsumerKey, DataProducerKey) {
    carry_with(
        lab,
        [from, to],
        producer,
        DataConsumerOptions { subchannels, ..options::consumer() },
    )
}

fn carry_with(
    lab: &mut Lab,
    [from, to]: [End; 2],
    producer: DataProducerKey,
    options: DataConsumerOptions,
) -> (DataConsumerKey, DataProducerKey) {
    let (consumer, dump) = lab.hosts[from.host].consume_with(from.pipe, producer, options);
    let options = DataProducerOptions {
        sctp_stream_parameters: dump.sctp_stream_parameters,
        ..options::producer()
    };
    (consumer, lab.hosts[to.host].produce_with(to.pipe, options))
}

/// Creates a direct DataProducer and carries it. Returns the DataConsumer and the DataProducer of the pipe's ends too.
pub(crate) fn produce(
    lab: &mut Lab,
    [from, to]: [End; 2],
) -> (DataProducerKey, DataConsumerKey, DataProducerKey) {
    let producer = lab.hosts[from.host].produce(from.direct, 0);
    let (consumer, remote) = carry(lab, [from, to], producer, Vec::new());
    (producer, consumer, remote)
}

fn selector(subchannels: &[u16], required: Option<u16>, ignored: Option<u16>) -> Arc<Selector> {
    let subchannels = subchannels.iter().copied().collect();
    Arc::new(Selector { subchannels, required, ignored })
}

#[test]
fn messages_and_subchannels_pass_through_a_pipe() {
    for (hosts, by) in [(1, By::Network), (2, By::Network), (1, By::Tunnel), (2, By::Tunnel)] {
        let mut lab = Lab::with(hosts, Conditions::ROUGH, 3);
        let [near, far] = joined(&mut lab, by);
        let (producer, _, remote) = produce(&mut lab, [near, far]);
        let consumers: Vec<DataConsumerKey> = [vec![], vec![1], vec![1, 2]]
            .into_iter()
            .map(|subchannels| {
                let options = DataConsumerOptions { subchannels, ..options::consumer() };
                lab.hosts[far.host].consume_with(far.direct, remote, options).0
            })
            .collect();
        let cases = [
            (selector(&[], None, None), [1, 1, 1]),
            (selector(&[1], None, None), [0, 1, 1]),
            (selector(&[], Some(2), None), [0, 0, 1]),
            (selector(&[], None, Some(2)), [1, 1, 0]),
            (selector(&[1], Some(1), Some(2)), [0, 1, 0]),
        ];
        for (index, (selector, expected)) in cases.into_iter().enumerate() {
            let message = binary(index as u8, 5000);
            lab.hosts[near.host].sfu.send(producer, message.clone(), Some(&selector));
            lab.run_for(Duration::from_secs(10));
            let got: Vec<Vec<Message>> =
                consumers.iter().map(|it| lab.hosts[far.host].messages(*it)).collect();
            let lens: Vec<usize> = got.iter().map(Vec::len).collect();
            assert_eq!(lens, expected, "{selector:?}");
            assert!(
                got.iter().flatten().all(|it| *it == message),
                "messages are delivered without the header of the pipe"
            );
        }
    }
}

#[test]
fn a_message_over_the_receivers_size_is_counted_and_not_delivered() {
    for by in BOTH {
        let mut lab = Lab::with(2, Conditions::PERFECT, 1);
        let small = SctpOptions { max_receive_message_size: 10, ..options::sctp() };
        let [near, far] = joined_with(&mut lab, by, [options::sctp(), small]);
        let (producer, carrier, remote) = produce(&mut lab, [near, far]);
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        for len in [10, 11] {
            lab.hosts[near.host].sfu.send(producer, binary(1, len), None);
            lab.run_for(Duration::from_secs(1));
        }
        let sent = lab.hosts[near.host].sfu.data_consumer(carrier).expect("open").get_stats();
        assert_eq!(sent.messages_sent, 2, "{by:?}");
        assert_eq!(lab.hosts[far.host].messages(consumer), [binary(1, 10)], "{by:?}");
        let received = lab.hosts[far.host].sfu.transport(far.pipe).expect("open").get_stats();
        assert_eq!(received.messages_unrouted, 1, "{by:?}");
        let producer = lab.hosts[far.host].sfu.data_producer(remote).expect("open").get_stats();
        assert_eq!(producer.messages_received, 1, "{by:?}");
    }
}

#[test]
fn a_pipe_consumer_with_subscriptions_carries_only_these() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let producer = lab.hosts[near.host].produce(near.direct, 0);
        let (carrier, remote) = carry(&mut lab, [near, far], producer, vec![1]);
        let options = DataConsumerOptions { subchannels: vec![2], ..options::consumer() };
        let (two, _) = lab.hosts[far.host].consume_with(far.direct, remote, options);
        let (any, _) = lab.hosts[far.host].consume(far.direct, remote);
        let send = |lab: &mut Lab, name, selector: Arc<Selector>| {
            lab.hosts[near.host].sfu.send(producer, text(name), Some(&selector));
            lab.run_for(Duration::from_secs(4));
        };
        send(&mut lab, "carried, but only as 1", selector(&[1, 2], None, None));
        send(&mut lab, "not carried", selector(&[2], None, None));
        send(&mut lab, "not carried either", selector(&[], Some(2), None));
        send(&mut lab, "carried, to be ignored there", selector(&[], None, Some(1)));
        assert_eq!(lab.hosts[far.host].messages(two), [text("carried, to be ignored there")]);
        assert_eq!(lab.hosts[far.host].messages(any), [text("carried, to be ignored there")]);
        let stats = lab.hosts[near.host].sfu.data_consumer(carrier).expect("open").get_stats();
        assert_eq!((stats.messages_sent, stats.messages_filtered), (2, 2), "{by:?}");
    }
}

#[test]
fn a_strict_pipe_consumer_without_subscriptions_carries_only_messages_without_subchannels() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let producer = lab.hosts[near.host].produce(near.direct, 0);
        let options = DataConsumerOptions { strict_subchannels: true, ..options::consumer() };
        let (carrier, remote) = carry_with(&mut lab, [near, far], producer, options);
        let options = DataConsumerOptions { subchannels: vec![1], ..options::consumer() };
        let (one, _) = lab.hosts[far.host].consume_with(far.direct, remote, options);
        let mut send = |name, selector: Arc<Selector>| {
            lab.hosts[near.host].sfu.send(producer, text(name), Some(&selector));
            lab.run_for(Duration::from_secs(4));
            lab.hosts[far.host].messages(one)
        };
        assert_eq!(send("without", selector(&[], None, None)), [text("without")]);
        assert_eq!(send("to 1", selector(&[1], None, None)), []);
        assert_eq!(send("required", selector(&[], Some(1), None)), []);
        assert_eq!(send("not for 2", selector(&[], None, Some(2))), [text("not for 2")]);
        lab.hosts[near.host].sfu.data_consumer(carrier).expect("open").add_subchannel(1);
        lab.hosts[near.host].sfu.send(producer, text("1"), Some(&selector(&[1], None, None)));
        lab.run_for(Duration::from_secs(4));
        assert_eq!(lab.hosts[far.host].messages(one), [text("1")], "{by:?}");
        let stats = lab.hosts[near.host].sfu.data_consumer(carrier).expect("open").get_stats();
        assert_eq!((stats.messages_sent, stats.messages_filtered), (3, 2), "{by:?}");
    }
}

#[test]
fn the_largest_messages_pass_with_as_many_subchannels_as_there_can_be() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let (producer, _, remote) = produce(&mut lab, [near, far]);
        let options = DataConsumerOptions { subchannels: vec![7], ..options::consumer() };
        let (consumer, _) = lab.hosts[far.host].consume_with(far.direct, remote, options);
        let all: Vec<u16> = (0..65_535).collect();
        for (fill, selector) in [
            selector(&[], None, None),
            selector(&[7], None, None),
            selector(&all, Some(7), Some(8)),
        ]
        .into_iter()
        .enumerate()
        {
            let message = binary(fill as u8, 262_144);
            lab.hosts[near.host].sfu.send(producer, message.clone(), Some(&selector));
            lab.run_for(Duration::from_secs(10));
            let got = lab.hosts[far.host].messages(consumer);
            assert!(got == [message], "{} of them, {fill}", got.len());
        }
    }
}

#[test]
fn empty_messages_and_payloads_that_look_like_headers_pass_unchanged() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let (producer, _, remote) = produce(&mut lab, [near, far]);
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        let forged = pipe_header::encode(Some(&selector(&[5], Some(6), None)), &"x".into());
        let sent = [
            Message::new(Ppid::STRING_EMPTY, Default::default()),
            Message::new(Ppid::BINARY, forged.clone()),
            Message::new(Ppid::BINARY, forged.slice(..8)),
            Message::new(Ppid(0), "any".into()),
        ];
        for message in &sent {
            lab.hosts[near.host].sfu.send(producer, message.clone(), None);
        }
        lab.run_for(Duration::from_secs(5));
        assert_eq!(lab.hosts[far.host].messages(consumer), sent);
    }
}

#[test]
fn a_message_comes_through_two_pipes_with_its_subchannels() {
    for by in BOTH {
        let mut lab = Lab::with(1, Conditions::PERFECT, 1);
        let [a, b] = joined(&mut lab, by);
        let (producer, _, middle) = produce(&mut lab, [a, b]);
        // A second pair of DataConsumer and DataProducer takes the messages back to the first router.
        let (_, last) = carry(&mut lab, [b, a], middle, Vec::new());
        let options = DataConsumerOptions { subchannels: vec![3], ..options::consumer() };
        let (consumer, _) = lab.host().consume_with(a.direct, last, options);
        let (other, _) = lab.host().consume(a.direct, last);
        lab.sfu().send(producer, text("three"), Some(&selector(&[3], None, None)));
        lab.run_for(Duration::from_secs(5));
        assert_eq!(lab.host().messages(consumer), [text("three")]);
        assert_eq!(lab.host().messages(other), []);
    }
}

#[test]
fn the_two_directions_of_a_pipe_are_independent() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let (there, there_carrier, there_remote) = produce(&mut lab, [near, far]);
        // Each end counts its own stream ids, so both directions use the same stream.
        let (back, back_carrier, back_remote) = produce(&mut lab, [far, near]);
        let (consumer, _) = lab.hosts[near.host].consume(near.direct, back_remote);
        let send = |lab: &mut Lab, name| {
            lab.hosts[near.host].sfu.send(there, text(name), None);
            lab.hosts[far.host].sfu.send(back, text(name), None);
            lab.run_for(Duration::from_secs(4));
        };
        send(&mut lab, "1");
        lab.hosts[near.host].sfu.data_consumer(there_carrier).expect("open").close();
        lab.hosts[far.host].sfu.data_producer(there_remote).expect("open").close();
        lab.run_for(Duration::from_secs(4));
        send(&mut lab, "2");
        assert!(lab.hosts[far.host].sfu.data_consumer(back_carrier).is_ok());
        assert_eq!(lab.hosts[near.host].messages(consumer), [text("1"), text("2")]);
        assert!(lab.hosts[far.host].consumer_events(back_carrier).is_empty());
    }
}

#[test]
fn pipes_that_know_each_other_by_other_addresses_connect_as_well() {
    // Each end is bound to 0.0.0.0, which is below the address of the other end, so both send an INIT.
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let mut pipes = Vec::new();
    for n in 1..=2 {
        let host = &mut lab.hosts[usize::from(n - 1)];
        let router = host.router();
        let direct = host.direct(router);
        let producer = host.produce(direct, 0);
        let mut listen = host.listen(ours(n));
        listen.local = std::net::SocketAddr::from(([0, 0, 0, 0], ours(n).port()));
        let key = host.pipe(router, listen, &options::pipe());
        host.consume(key, producer);
        pipes.push(key);
    }
    for (index, to) in [ours(2), ours(1)].into_iter().enumerate() {
        lab.hosts[index].connect_udp(pipes[index], to);
    }
    lab.expect("a connection", |lab| {
        (0..2).all(|index| {
            let stats = lab.hosts[index].sfu.transport(pipes[index]).expect("open").get_stats();
            serde_json::to_value(stats).expect("json")["sctpState"] == "connected"
        })
    });
}

#[test]
fn a_pipe_connects_once_its_far_end_exists() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let producer = lab.hosts[near.host].produce(near.direct, 0);
        // There is nothing to carry yet, so neither end sends an INIT.
        lab.run_for(Duration::from_secs(100));
        assert!(lab.sent.is_empty());
        let (_, remote) = carry(&mut lab, [near, far], producer, Vec::new());
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        lab.hosts[near.host].sfu.send(producer, text("x"), None);
        lab.run_for(Duration::from_secs(4));
        assert_eq!(lab.hosts[far.host].messages(consumer), [text("x")]);
        let dump = lab.hosts[near.host].sfu.router(near.router).expect("open").dump();
        assert_eq!(dump.map_data_producer_id_data_consumer_ids[0].values.len(), 1);
        let mut transport = lab.hosts[near.host].sfu.transport(near.pipe).expect("open");
        let dump = serde_json::to_value(transport.dump()).expect("json");
        assert_eq!(dump["sctpState"], "connected", "{by:?}");
        let streams = &dump["sctpNegotiatedCapabilities"]["negotiatedMaxOutboundStreams"];
        assert_eq!(*streams, 65_535, "{by:?}");
    }
}

#[test]
fn a_consumer_made_before_the_tunnel_continues_over_it() {
    let (mut lab, [near, far]) = two_workers(By::Network);
    let producer = lab.hosts[near.host].produce(near.direct, 0);
    let [near, far] = [(near, 3), (far, 4)].map(|(end, n)| {
        let host = &mut lab.hosts[end.host];
        let listen = host.listen(ours(n));
        End { pipe: host.pipe(end.router, listen, &options::pipe()), ..end }
    });
    let (carrier, remote) = carry(&mut lab, [near, far], producer, Vec::new());
    let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
    lab.sfu().send(producer, text("too early"), None);
    pause(&mut lab, near.host, producer);
    for (end, other) in [(near, far), (far, near)] {
        lab.tunnels.insert((end.host, end.pipe), (other.host, other.pipe));
        lab.hosts[end.host].sfu.transport(end.pipe).expect("open").tunnel().expect("a pipe");
    }
    lab.run_for(Duration::from_secs(1));
    assert!(shows_paused(&mut lab, far.host, remote));
    resume(&mut lab, near.host, producer);
    lab.sfu().send(producer, text("x"), None);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.hosts[far.host].messages(consumer), [text("x")]);
    assert_eq!(lab.consumer_stats(carrier)["bufferedAmount"], 0);
    let stats = lab.sfu().transport(near.pipe).expect("open").get_stats();
    assert_eq!((stats.messages_discarded, stats.bytes_discarded), (1, 9));
    assert!(lab.sent.is_empty(), "nothing on the network");
}

#[test]
fn a_tunnel_is_bounded_and_counts_as_an_association_does() {
    let (mut lab, [near, far]) = two_workers(By::Tunnel);
    let (producer, carrier, remote) = produce(&mut lab, [near, far]);
    lab.run_for(Duration::from_secs(1));
    let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
    // Eight messages reach the 2,000,000 bytes of the stream, so the others are rejected.
    for _ in 0..11 {
        lab.sfu().send(producer, binary(1, 250_000), None);
    }
    let stats = lab.consumer_stats(carrier);
    assert_eq!((&stats["messagesSent"], &stats["messagesDropped"]), (&8.into(), &3.into()));
    assert_eq!(stats["bufferedAmount"], 2_000_000);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.hosts[far.host].messages(consumer).len(), 8);
    assert_eq!(lab.consumer_stats(carrier)["bufferedAmount"], 0);
    let events = lab.host().consumer_events(carrier);
    let full = DataConsumerEvent::SctpSendBufferFull;
    let overflow = DataConsumerEvent::Overflow(DropCount { messages: 3, bytes: 750_000 });
    assert_eq!(events, [full, DataConsumerEvent::BufferedAmountLow(0), overflow]);
    assert!(lab.sent.is_empty(), "nothing on the network");
}

#[test]
fn an_end_that_closes_closes_the_other_and_leaves_nothing() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let (producer, carrier, _) = produce(&mut lab, [near, far]);
        lab.run_for(Duration::from_secs(4));
        lab.hosts[far.host].sfu.close();
        lab.run_for(Duration::from_secs(1));
        assert_eq!(lab.stats(near.pipe)["sctpState"], "closed", "{by:?}");
        lab.sfu().send(producer, text("too late"), None);
        lab.flush();
        assert_eq!(lab.consumer_stats(carrier)["messagesDropped"], 1);
        lab.sfu().close();
        lab.flush();
        for host in &lab.hosts {
            assert!(host.sfu.is_empty(), "{by:?}");
        }
    }
}

#[test]
fn an_end_that_disappears_is_noticed_by_the_other() {
    let (mut lab, ends) = two_workers(By::Network);
    produce(&mut lab, ends);
    lab.expect("a connection", |lab| lab.sctp_connected(ends[0].pipe));
    lab.run_for(Duration::from_secs(3600));
    assert_eq!(lab.stats(ends[0].pipe)["sctpState"], "connected", "idle and alive");
    lab.host().transport_events(ends[0].pipe);
    // As if the host of the far end lost power, no packet arrives any more.
    lab.conditions().mtu = 0;
    lab.run_for(Duration::from_secs(60));
    let failed = "sctp failed peer-silent: the peer answered no HEARTBEAT";
    assert_eq!(reasons(&lab.host().transport_events(ends[0].pipe)), [failed]);
}

#[test]
fn datagrams_from_elsewhere_are_dropped_and_counted() {
    let (mut lab, ends) = two_workers(By::Network);
    let (producer, consumer, far) = produce(&mut lab, ends);
    lab.expect("a connection", |lab| lab.sctp_connected(ends[0].pipe));
    let before = lab.stats(ends[0].pipe);
    let sent = lab.sent[&ours(1)];
    // A third peer tries to open an association, and others send garbage.
    lab.plain_peer(1, ours(1), true);
    for datagram in [&[][..], &[0; 12], &[0x13; 60], &[0xff; 1200]] {
        lab.inject(theirs(2), ours(1), datagram);
    }
    lab.run_for(Duration::from_secs(5));
    let after = lab.stats(ends[0].pipe);
    assert!(after["datagramsDropped"].as_u64() >= Some(5), "{after}");
    assert_eq!(after["bytesReceived"], before["bytesReceived"]);
    assert_eq!(lab.sent[&ours(1)], sent, "nothing is answered");
    lab.sfu().send(producer, text("to the far end"), None);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.consumer_stats(consumer)["messagesSent"], 1);
    let stats = lab.hosts[1].sfu.data_producer(far).expect("open").get_stats();
    assert_eq!(stats.messages_received, 1);
}

fn pause(lab: &mut Lab, host: usize, producer: DataProducerKey) {
    lab.hosts[host].sfu.data_producer(producer).expect("open").pause();
}

fn resume(lab: &mut Lab, host: usize, producer: DataProducerKey) {
    lab.hosts[host].sfu.data_producer(producer).expect("open").resume();
}

fn shows_paused(lab: &mut Lab, host: usize, producer: DataProducerKey) -> bool {
    lab.hosts[host].sfu.data_producer(producer).expect("open").dump().paused
}

/// What a DataProducer behind a pipe and one of its DataConsumers emit, in order.
fn shown(lab: &mut Lab, host: usize) -> Vec<String> {
    let events = std::mem::take(&mut lab.hosts[host].events);
    let text = |event| match event {
        Event::Message(_, message) => Some(String::from_utf8_lossy(&message.payload).into_owned()),
        Event::DataProducer(_, event) => Some(format!("{event:?}")),
        Event::DataConsumer(_, event) => Some(format!("{event:?}")),
        _ => None,
    };
    events.into_iter().filter_map(text).collect()
}

const PAUSED: [&str; 2] = ["OriginPause", "DataProducerPause"];
const RESUMED: [&str; 2] = ["OriginResume", "DataProducerResume"];

#[test]
fn the_pause_of_a_producer_is_shown_at_the_far_end_in_order_with_its_messages() {
    for (by, one_turn) in BOTH.into_iter().flat_map(|by| [(by, false), (by, true)]) {
        let (mut lab, [near, far]) = two_workers(by);
        let (producer, _, remote) = produce(&mut lab, [near, far]);
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        lab.run_for(Duration::from_secs(4));
        lab.hosts[far.host].events.clear();

        let send = |lab: &mut Lab, name| lab.hosts[near.host].sfu.send(producer, text(name), None);
        let end_turn = |lab: &mut Lab| {
            if !one_turn {
                lab.flush()
            }
        };
        send(&mut lab, "1");
        pause(&mut lab, near.host, producer);
        end_turn(&mut lab);
        pause(&mut lab, near.host, producer);
        send(&mut lab, "dropped");
        end_turn(&mut lab);
        resume(&mut lab, near.host, producer);
        send(&mut lab, "2");
        end_turn(&mut lab);
        pause(&mut lab, near.host, producer);
        lab.run_for(Duration::from_secs(1));
        // Over the network a pause that ends in the turn in which it begins is not shown.
        let merges = one_turn && by == By::Network;
        let first = if merges { &[][..] } else { &[PAUSED, RESUMED] };
        let expected = [&["1"][..], &first.concat(), &["2"], &PAUSED].concat();
        assert_eq!(shown(&mut lab, far.host), expected, "{by:?}");
        assert!(shows_paused(&mut lab, far.host, remote));
        let dump = lab.hosts[far.host].sfu.data_consumer(consumer).expect("open").dump();
        assert!(dump.data_producer_paused && !dump.paused);

        resume(&mut lab, near.host, producer);
        send(&mut lab, "3");
        lab.run_for(Duration::from_secs(1));
        assert_eq!(shown(&mut lab, far.host), [&RESUMED[..], &["3"]].concat(), "{by:?}");
        let stats = lab.hosts[far.host].sfu.data_producer(remote).expect("open").get_stats();
        assert_eq!((stats.messages_received, stats.messages_paused), (3, 0));
    }
}

#[test]
fn a_pause_at_the_far_end_drops_messages_and_one_at_the_near_end_only_shows() {
    for by in BOTH {
        let (mut lab, [near, far]) = two_workers(by);
        let (producer, _, remote) = produce(&mut lab, [near, far]);
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        lab.run_for(Duration::from_secs(4));
        pause(&mut lab, far.host, remote);
        lab.hosts[near.host].sfu.send(producer, text("dropped there"), None);
        pause(&mut lab, near.host, producer);
        lab.run_for(Duration::from_secs(1));
        assert_eq!(lab.hosts[far.host].messages(consumer), []);
        resume(&mut lab, far.host, remote);
        lab.run_for(Duration::from_secs(1));
        assert_eq!(shown(&mut lab, far.host), ["DataProducerPause", "OriginPause"], "{by:?}");
        assert!(shows_paused(&mut lab, far.host, remote));
        resume(&mut lab, near.host, producer);
        lab.run_for(Duration::from_secs(1));
        assert_eq!(shown(&mut lab, far.host), RESUMED, "{by:?}");
    }
}

#[test]
fn a_producer_that_was_paused_before_it_was_piped_is_shown_so() {
    for by in BOTH {
        for is_late in [true, false] {
            let (mut lab, [near, far]) = two_workers(by);
            let producer = lab.hosts[near.host].produce(near.direct, 0);
            pause(&mut lab, near.host, producer);
            // Something else connects the pipe.
            produce(&mut lab, [near, far]);
            lab.run_for(Duration::from_secs(4));
            let (_, dump) = lab.hosts[near.host].consume(near.pipe, producer);
            if is_late {
                lab.run_for(Duration::from_secs(4));
            }
            let options = DataProducerOptions {
                sctp_stream_parameters: dump.sctp_stream_parameters,
                ..options::producer()
            };
            let remote = lab.hosts[far.host].produce_with(far.pipe, options);
            lab.run_for(Duration::from_secs(4));
            assert!(shows_paused(&mut lab, far.host, remote), "{by:?} {is_late}");
            resume(&mut lab, near.host, producer);
            lab.run_for(Duration::from_secs(1));
            assert_eq!(
                shown(&mut lab, far.host),
                ["OriginPause", "OriginResume"],
                "{by:?} {is_late}"
            );
        }
    }
}

#[test]
fn a_stream_used_again_does_not_show_the_pause_of_its_former_producer() {
    for (by, is_heard) in [(By::Network, true), (By::Network, false), (By::Tunnel, false)] {
        let (mut lab, [near, far]) = two_workers(by);
        let (producer, carrier, remote) = produce(&mut lab, [near, far]);
        lab.run_for(Duration::from_secs(4));
        pause(&mut lab, near.host, producer);
        if !is_heard {
            lab.hosts[far.host].sfu.data_producer(remote).expect("open").close();
            lab.run_for(Duration::from_secs(1));
        } else {
            lab.run_for(Duration::from_secs(1));
            lab.hosts[far.host].sfu.data_producer(remote).expect("open").close();
        }
        lab.hosts[near.host].sfu.data_consumer(carrier).expect("open").close();
        lab.run_for(REST);
        let other = lab.hosts[near.host].produce(near.direct, 0);
        let options = DataConsumerOptions { stream_id: Some(0), ..options::consumer() };
        lab.hosts[near.host].consume_with(near.pipe, other, options);
        lab.run_for(Duration::from_secs(1));
        let again = lab.hosts[far.host].produce(far.pipe, 0);
        lab.run_for(Duration::from_secs(1));
        assert!(!shows_paused(&mut lab, far.host, again), "{by:?} {is_heard}");
    }
}

/// Longer than the id of a closed stream rests.
const REST: Duration = Duration::from_secs(20);

fn close(lab: &mut Lab, end: End, consumer: DataConsumerKey) {
    lab.hosts[end.host].sfu.data_consumer(consumer).expect("open").close();
}

/// Whether a DataConsumer may use this stream.
fn is_free(lab: &mut Lab, end: End, producer: DataProducerKey, stream: u16) -> bool {
    let host = &mut lab.hosts[end.host];
    let key = DataConsumerKey(host.key());
    let data_producer_id = host.producer_id(producer);
    let options =
        DataConsumerOptions { stream_id: Some(stream), ..options::consumer_of(data_producer_id) };
    let mut transport = host.sfu.transport(end.pipe).expect("open");
    transport.consume_data(key, options, options::backlog()).is_ok()
}

#[test]
fn the_far_end_learns_behind_the_last_message_that_a_consumer_has_closed() {
    for conditions in [Conditions::PERFECT, Conditions::ROUGH] {
        let mut lab = Lab::with(2, conditions, 4);
        let [near, far] = joined(&mut lab, By::Network);
        let (producer, carrier, remote) = produce(&mut lab, [near, far]);
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
        lab.hosts[far.host].events.clear();
        for name in ["1", "2"] {
            lab.hosts[near.host].sfu.send(producer, text(name), None);
        }
        lab.flush();
        lab.hosts[near.host].sfu.send(producer, text("never sent"), None);
        close(&mut lab, near, carrier);
        lab.run_for(REST);
        assert_eq!(shown(&mut lab, far.host), ["1", "2", "StreamClose"]);
        assert_eq!(lab.stats(near.pipe)["messagesDiscarded"], 1);
        assert_eq!(lab.stats(near.pipe)["messagesUnsent"], 0);
        // Its DataConsumers stay, and it can be closed like any other.
        assert!(lab.hosts[far.host].sfu.data_consumer(consumer).is_ok());
        lab.hosts[far.host].sfu.data_producer(remote).expect("open").close();
        assert_eq!(shown(&mut lab, far.host), Vec::<String>::new());
        lab.flush();
        assert_eq!(shown(&mut lab, far.host), ["DataProducerClose"]);
    }
}

#[test]
fn a_tunnel_whose_ends_close_together_does_not_emit_that_a_consumer_has_closed() {
    let (mut lab, [near, far]) = two_workers(By::Tunnel);
    let (_, carrier, _) = produce(&mut lab, [near, far]);
    lab.run_for(Duration::from_secs(1));
    close(&mut lab, near, carrier);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(shown(&mut lab, far.host), Vec::<String>::new());
}

#[test]
fn the_far_end_learns_once_it_is_connected_that_a_consumer_has_closed_before() {
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let [near, far] = joined(&mut lab, By::Network);
    lab.conditions().mtu = 0;
    let (_, carrier, _) = produce(&mut lab, [near, far]);
    lab.run_for(Duration::from_secs(1));
    close(&mut lab, near, carrier);
    lab.run_for(Duration::from_secs(1));
    lab.conditions().mtu = 1500;
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
    lab.run_for(Duration::from_secs(5));
    assert_eq!(shown(&mut lab, far.host), ["StreamClose"]);
}

#[test]
fn a_producer_that_is_made_after_the_far_end_has_closed_its_stream_learns_of_it() {
    let (mut lab, [near, far]) = two_workers(By::Network);
    produce(&mut lab, [near, far]);
    lab.run_for(Duration::from_secs(4));
    lab.hosts[far.host].events.clear();
    let producer = lab.hosts[near.host].produce(near.direct, 0);
    let (carrier, dump) = lab.hosts[near.host].consume(near.pipe, producer);
    let stream = dump.sctp_stream_parameters.expect("over SCTP").stream_id;
    close(&mut lab, near, carrier);
    lab.run_for(Duration::from_secs(1));
    let late = lab.hosts[far.host].produce(far.pipe, stream);
    lab.flush();
    assert_eq!(lab.hosts[far.host].producer_events(late), [DataProducerEvent::StreamClose]);
    lab.run_for(REST);
    // The next DataConsumer gets the id, and the close of the former one is forgotten.
    let (_, dump) = lab.hosts[near.host].consume(near.pipe, producer);
    assert_eq!(dump.sctp_stream_parameters.expect("over SCTP").stream_id, stream);
    let next = lab.hosts[far.host].produce(far.pipe, stream);
    lab.hosts[near.host].sfu.send(producer, text("x"), None);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.hosts[far.host].producer_events(next), []);
    let received = |lab: &mut Lab, producer| {
        let stats = lab.hosts[far.host].sfu.data_producer(producer).expect("open").get_stats();
        stats.messages_received
    };
    assert_eq!([received(&mut lab, late), received(&mut lab, next)], [0, 1]);
}

#[test]
fn no_message_of_a_stream_arrives_on_the_next_one_with_its_id() {
    for seed in 0..3 {
        let mut lab = Lab::with(2, Conditions::ROUGH, seed);
        let [near, far] = joined(&mut lab, By::Network);
        let producers = [0; 2].map(|stream| lab.hosts[near.host].produce(near.direct, stream));
        let options =
            DataConsumerOptions { stream_id: Some(0), ordered: Some(false), ..options::consumer() };
        for round in 0..6_u8 {
            let producer = producers[usize::from(round) % 2];
            let (carrier, remote) = carry_with(&mut lab, [near, far], producer, options.clone());
            lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
            let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
            for _ in 0..20 {
                lab.hosts[near.host].sfu.send(producer, binary(round, 2000), None);
                lab.run_for(Duration::from_millis(5));
            }
            close(&mut lab, near, carrier);
            assert!(!is_free(&mut lab, near, producer, 0), "at once");
            lab.run_for(REST);
            let got = lab.hosts[far.host].messages(consumer);
            assert!(got.iter().all(|it| it.payload[0] == round), "round {round}");
            let events = lab.hosts[far.host].producer_events(remote);
            assert_eq!(events, [DataProducerEvent::StreamClose], "behind all of them");
        }
        let unrouted = lab.hosts[far.host].sfu.transport(far.pipe).expect("open").get_stats();
        assert_eq!(unrouted.messages_unrouted, 0, "seed {seed}");
    }
}

#[test]
fn the_stream_ids_of_a_pipe_come_back() {
    let (mut lab, [near, far]) = two_workers(By::Network);
    let (producer, _, _) = produce(&mut lab, [near, far]);
    lab.run_for(Duration::from_secs(4));
    let mut highest = 0;
    for round in 0..67 {
        let mut carriers = Vec::new();
        for _ in 0..1000 {
            let (carrier, dump) = lab.hosts[near.host].consume(near.pipe, producer);
            let stream = dump.sctp_stream_parameters.expect("over SCTP").stream_id;
            highest = highest.max(stream);
            carriers.push((carrier, stream));
        }
        let (_, last) = carriers[999];
        let remote = lab.hosts[far.host].produce(far.pipe, last);
        lab.hosts[near.host].sfu.send(producer, text("x"), None);
        lab.run_for(Duration::from_millis(100));
        carriers.into_iter().for_each(|(carrier, _)| close(&mut lab, near, carrier));
        lab.run_for(Duration::from_secs(4));
        let events = lab.hosts[far.host].producer_events(remote);
        assert_eq!(events, [DataProducerEvent::StreamClose], "round {round}");
        let mut remote = lab.hosts[far.host].sfu.data_producer(remote).expect("open");
        assert_eq!(remote.get_stats().messages_received, 1, "round {round}");
        remote.close();
    }
    assert!(highest < 2100, "{highest} for at most 1,000 at a time");
}

#[test]
fn a_stream_id_that_the_other_direction_uses_keeps_no_other_from_coming_back() {
    let (mut lab, [near, far]) = two_workers(By::Network);
    let (producer, _, _) = produce(&mut lab, [near, far]);
    let mut streams = Vec::new();
    for round in 0..4 {
        let (carrier, dump) = lab.hosts[near.host].consume(near.pipe, producer);
        streams.push(dump.sctp_stream_parameters.expect("over SCTP").stream_id);
        lab.run_for(Duration::from_secs(1));
        close(&mut lab, near, carrier);
        if round == 0 {
            let (_, back, _) = produce(&mut lab, [far, near]);
            let dump = lab.hosts[far.host].sfu.data_consumer(back).expect("open").dump();
            let stream = dump.sctp_stream_parameters.expect("over SCTP").stream_id;
            assert_eq!(stream, streams[0]);
        }
        lab.run_for(REST);
    }
    assert_eq!(streams, [1, 2, 2, 2]);
}

#[test]
fn a_pause_crosses_several_pipes_and_a_network_that_loses_packets() {
    for by in BOTH {
        let mut lab = Lab::with(1, Conditions::ROUGH, 5);
        let [a, b] = joined(&mut lab, by);
        let producer = lab.host().produce(a.direct, 0);
        let (_, dump) = lab.host().consume_with(
            a.pipe,
            producer,
            DataConsumerOptions { max_retransmits: Some(0), ..options::consumer() },
        );
        let options = DataProducerOptions {
            sctp_stream_parameters: dump.sctp_stream_parameters,
            ..options::producer()
        };
        let middle = lab.host().produce_with(b.pipe, options);
        let (_, last) = carry(&mut lab, [b, a], middle, Vec::new());
        lab.run_for(Duration::from_secs(10));
        for round in 0..20 {
            pause(&mut lab, 0, producer);
            lab.run_for(Duration::from_secs(20));
            assert!(shows_paused(&mut lab, 0, last), "{by:?} {round}");
            resume(&mut lab, 0, producer);
            lab.run_for(Duration::from_secs(20));
            assert!(!shows_paused(&mut lab, 0, last), "{by:?} {round}");
        }
        // The application pauses the one in the middle.
        pause(&mut lab, 0, middle);
        lab.run_for(Duration::from_secs(20));
        assert!(shows_paused(&mut lab, 0, last) && !shows_paused(&mut lab, 0, producer));
    }
}

#[test]
fn send_of_a_consumer_behind_a_pipe_works_while_the_producer_at_the_other_end_is_paused() {
    let (mut lab, [near, far]) = two_workers(By::Tunnel);
    let (producer, _, remote) = produce(&mut lab, [near, far]);
    let listen = lab.hosts[far.host].listen(ours(9));
    let plain = lab.hosts[far.host].plain(far.router, listen, &options::plain(false));
    let (consumer, _) = lab.hosts[far.host].consume(plain, remote);
    let send = |lab: &mut Lab| {
        lab.hosts[far.host].sfu.data_consumer(consumer).expect("open").send(text("x"))
    };
    pause(&mut lab, near.host, producer);
    lab.run_for(Duration::from_secs(1));
    assert!(shows_paused(&mut lab, far.host, remote));
    assert_eq!(send(&mut lab), Ok(()));
    pause(&mut lab, far.host, remote);
    assert!(send(&mut lab).is_err());
}

#[test]
fn a_far_end_that_knows_no_pauses_gets_only_messages() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let listen = lab.host().listen(ours(1));
    let pipe = lab.host().pipe(router, listen, &options::pipe());
    lab.host().connect_udp(pipe, theirs(1));
    lab.host().consume(pipe, producer);
    let peer = lab.plain_peer(1, ours(1), true);
    lab.expect("a connection", |lab| lab.plain_peers[peer].sctp.is_connected());
    for name in ["1", "2"] {
        lab.sfu().send(producer, text(name), None);
        lab.sfu().data_producer(producer).expect("open").pause();
        lab.sfu().data_producer(producer).expect("open").resume();
    }
    lab.run_for(Duration::from_secs(1));
    let got = std::mem::take(&mut lab.plain_peers[peer].sctp.messages);
    let (control, messages): (Vec<_>, Vec<_>) =
        got.into_iter().partition(|(_, message)| message.ppid == Ppid::DCEP);
    assert_eq!(messages, [(0, text("1")), (0, text("2"))]);
    // PPID 50 is not for DataConsumers, so a mediasoup drops these.
    assert_eq!(control.len(), 2, "{control:?}");
}

#[test]
fn a_pause_from_the_far_end_counts_as_work_for_each_consumer() {
    let (mut lab, [near, far]) = two_workers(By::Network);
    let (producer, _, remote) = produce(&mut lab, [near, far]);
    for _ in 0..1000 {
        lab.hosts[far.host].consume(far.direct, remote);
    }
    lab.run_for(Duration::from_secs(4));
    let before = lab.hosts[far.host].sfu.work();
    pause(&mut lab, near.host, producer);
    lab.run_for(Duration::from_secs(1));
    assert!(shows_paused(&mut lab, far.host, remote));
    let work = lab.hosts[far.host].sfu.work() - before;
    assert!(work > 50_000, "{work} ns for 1,000 of them");
}

#[test]
fn any_number_of_pauses_may_come_back_through_the_pipe_that_brought_them() {
    const PAUSES: u16 = 3000;
    let (mut lab, router) = Lab::with_router();
    let listen = lab.host().listen(ours(1));
    let pipe = lab.host().pipe(router, listen, &options::pipe());
    lab.host().connect_udp(pipe, theirs(1));
    let producer = lab.host().produce(pipe, 0);
    lab.host().consume(pipe, producer);
    let mut puppet = Puppet::new(puppet::OWN_TAG, puppet::FIRST_TSN);
    lab.run_for(Duration::from_millis(10));
    let init = lab.strays.iter().find(|it| chunks(&it.bytes)[0].kind == INIT).expect("an INIT");
    puppet.learn(&init.bytes);
    lab.inject(theirs(1), ours(1), &puppet.init_ack((10, 10)));
    lab.run_for(Duration::from_millis(10));
    lab.inject(theirs(1), ours(1), &puppet.packet(&[puppet::chunk(COOKIE_ACK, 0, &[])]));
    lab.expect("a connection", |lab| lab.sctp_connected(pipe));

    // This many levels of the stack do not fit a thread.
    let pauses = (0..PAUSES).map(|number| {
        let paused = u8::from(number % 2 == 0);
        puppet::data(WHOLE, puppet.next_tsn(), 0, number, Ppid::DCEP.0, &[0x50, paused])
    });
    let pauses: Vec<_> = pauses.collect();
    let (datagram, socket) = (puppet.packet(&pauses), lab.host().socket(ours(1)));
    lab.sfu().handle_datagram(Tuple::new(socket, theirs(1)), &datagram);
    lab.run_for(Duration::from_secs(1));
    let events = lab.host().producer_events(producer);
    let count = |event| events.iter().filter(|it| **it == event).count();
    assert_eq!(count(DataProducerEvent::OriginPause), usize::from(PAUSES) / 2);
    assert_eq!(count(DataProducerEvent::OriginResume), usize::from(PAUSES) / 2);
}

/// A second pipe between the routers of a first one.
fn another(lab: &mut Lab, first: [End; 2]) -> [End; 2] {
    let mut n = 2;
    let ends = first.map(|end| {
        n += 1;
        let host = &mut lab.hosts[end.host];
        let listen = host.listen(ours(n));
        End { pipe: host.pipe(end.router, listen, &options::pipe()), ..end }
    });
    for (end, to) in ends.iter().zip([ours(4), ours(3)]) {
        lab.hosts[end.host].connect_udp(end.pipe, to);
    }
    ends
}

fn move_to(
    lab: &mut Lab,
    to: End,
    producer: DataProducerKey,
    stream: Option<SctpStreamParameters>,
) -> Result<(), Error> {
    let mut producer = lab.hosts[to.host].sfu.data_producer(producer).expect("open");
    producer.move_to(to.pipe, stream.expect("over SCTP"))
}

#[test]
fn a_producer_moves_to_another_pipe_in_order_and_at_most_once() {
    for conditions in [Conditions::PERFECT, Conditions::ROUGH] {
        let mut lab = Lab::with(2, conditions, 6);
        let first = joined(&mut lab, By::Network);
        let second = another(&mut lab, first);
        let [near, far] = first;
        let (producer, mut carrier, remote) = produce(&mut lab, first);
        let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
        lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
        let mut number = 0_u32;
        let mut send = |lab: &mut Lab, count: u32| {
            for _ in 0..count {
                let payload = number.to_be_bytes().to_vec().into();
                lab.hosts[near.host].sfu.send(producer, Message::new(Ppid::BINARY, payload), None);
                lab.run_for(Duration::from_millis(3));
                number += 1;
            }
            number
        };
        // To the second pipe, back, and to the second again.
        for [_, to] in [second, first, second] {
            send(&mut lab, 40);
            let on = if to.pipe == second[1].pipe { second[0] } else { first[0] };
            // Each message goes to one of the two streams.
            close(&mut lab, near, carrier);
            let (next, dump) = lab.hosts[near.host].consume(on.pipe, producer);
            carrier = next;
            send(&mut lab, 5);
            move_to(&mut lab, to, remote, dump.sctp_stream_parameters).expect("moved");
            send(&mut lab, 40);
            lab.run_for(REST);
        }
        let sent = send(&mut lab, 1);
        lab.run_for(REST);
        let got: Vec<u32> = lab.hosts[far.host]
            .messages(consumer)
            .iter()
            .map(|it| u32::from_be_bytes(it.payload[..].try_into().expect("four bytes")))
            .collect();
        assert!(got.is_sorted_by(|a, b| a < b), "{got:?}");
        assert_eq!(got.last(), Some(&(sent - 1)));
        assert!(got.len() > 150, "{} of {sent}", got.len());
        let stats = lab.hosts[far.host].sfu.data_producer(remote).expect("open").get_stats();
        assert_eq!(stats.messages_received, got.len() as u64);
        if conditions.delay < Duration::from_millis(10) {
            // Each old stream ended before it was left.
            let ended = [DataProducerEvent::StreamClose; 3];
            assert_eq!(lab.hosts[far.host].producer_events(remote), ended);
        }

        lab.hosts[far.host].sfu.transport(first[1].pipe).expect("open").close();
        assert!(lab.hosts[far.host].sfu.data_consumer(consumer).is_ok());
        lab.hosts[far.host].sfu.transport(second[1].pipe).expect("open").close();
        assert!(lab.hosts[far.host].sfu.data_consumer(consumer).is_err());
        lab.hosts.iter_mut().for_each(|host| host.sfu.close());
        lab.flush();
        assert!(lab.hosts.iter().all(|host| host.sfu.is_empty()));
    }
}

#[test]
fn a_producer_moves_only_between_connected_pipes_of_one_router_and_to_a_free_stream() {
    let (mut lab, first) = two_workers(By::Network);
    let second = another(&mut lab, first);
    let [_, far] = first;
    let (_, _, remote) = produce(&mut lab, first);
    let taken = lab.hosts[far.host].produce(second[1].pipe, 7);
    let stream = options::producer_on(7).sctp_stream_parameters;
    let moved = move_to(&mut lab, second[1], remote, stream);
    assert_eq!(moved, Err(Error::StreamProduced(7)));
    let direct = End { pipe: far.direct, ..far };
    assert_eq!(move_to(&mut lab, direct, remote, stream), Err(Error::NotMovable));
    let local = lab.hosts[far.host].produce(far.direct, 0);
    assert_eq!(move_to(&mut lab, second[1], local, stream), Err(Error::NotMovable));
    let other_router = lab.hosts[far.host].router();
    let listen = lab.hosts[far.host].listen(ours(9));
    let pipe = lab.hosts[far.host].pipe(other_router, listen, &options::pipe());
    let elsewhere = End { pipe, ..far };
    assert_eq!(move_to(&mut lab, elsewhere, remote, stream), Err(Error::NotMovable));
    lab.hosts[far.host].sfu.transport(pipe).expect("open").close();
    assert_eq!(move_to(&mut lab, elsewhere, remote, stream), Err(pipe.into()));
    // The DataProducer has not moved.
    let dump = lab.hosts[far.host].sfu.transport(far.pipe).expect("open").dump();
    assert_eq!(dump.data_producer_ids.len(), 1);
    lab.hosts[far.host].sfu.data_producer(taken).expect("open").close();
    assert_eq!(move_to(&mut lab, second[1], remote, stream), Ok(()));

    let (mut lab, tunnelled) = two_workers(By::Tunnel);
    let second = another(&mut lab, tunnelled);
    let (_, _, remote) = produce(&mut lab, tunnelled);
    assert_eq!(move_to(&mut lab, second[1], remote, stream), Err(Error::NotMovable));
}

#[test]
fn a_producer_that_moves_shows_the_pause_of_its_new_origin_and_what_is_retained_comes_once() {
    let (mut lab, first) = two_workers(By::Network);
    let second = another(&mut lab, first);
    let [near, far] = first;
    let retain = Some(RetainOptions { messages: 10, bytes: 10_000, max_age: None });
    let producer = lab.hosts[near.host]
        .produce_with(near.direct, DataProducerOptions { retain, ..options::producer() });
    lab.hosts[near.host].sfu.send(producer, text("1"), None);
    let (_, remote) = carry(&mut lab, first, producer, Vec::new());
    let (consumer, _) = lab.hosts[far.host].consume(far.direct, remote);
    lab.run_for(Duration::from_secs(4));
    pause(&mut lab, near.host, producer);
    lab.run_for(Duration::from_secs(1));
    assert!(shows_paused(&mut lab, far.host, remote));
    // The path is lost, and the original resumes meanwhile.
    lab.hosts[near.host].sfu.transport(near.pipe).expect("open").close();
    resume(&mut lab, near.host, producer);
    lab.run_for(Duration::from_secs(1));
    let options = DataConsumerOptions { retained: false, ..options::consumer() };
    let (_, dump) = lab.hosts[near.host].consume_with(second[0].pipe, producer, options);
    move_to(&mut lab, second[1], remote, dump.sctp_stream_parameters).expect("moved");
    lab.hosts[near.host].sfu.send(producer, text("2"), None);
    lab.run_for(Duration::from_secs(4));
    assert!(!shows_paused(&mut lab, far.host, remote));
    assert_eq!(lab.hosts[far.host].messages(consumer), [text("1"), text("2")]);
    pause(&mut lab, near.host, producer);
    lab.run_for(Duration::from_secs(1));
    assert!(shows_paused(&mut lab, far.host, remote));
}

#[test]
fn a_pipe_that_is_not_connected_does_not_run_out_of_streams() {
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let [near, far] = joined(&mut lab, By::Network);
    lab.conditions().mtu = 0;
    let producer = lab.hosts[near.host].produce(near.direct, 0);
    let mut streams = std::collections::BTreeSet::new();
    for _ in 0..3000 {
        let (carrier, dump) = lab.hosts[near.host].consume(near.pipe, producer);
        streams.insert(dump.sctp_stream_parameters.expect("over SCTP").stream_id);
        close(&mut lab, near, carrier);
    }
    assert!(streams.len() < 1100, "{} streams", streams.len());
    let (_, remote) = carry(&mut lab, [near, far], producer, Vec::new());
    lab.hosts[near.host].sfu.send(producer, text("x"), None);
    lab.conditions().mtu = 1500;
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
    lab.run_for(Duration::from_secs(5));
    assert_eq!(lab.hosts[far.host].producer_events(remote), []);
    let stats = lab.hosts[far.host].sfu.data_producer(remote).expect("open").get_stats();
    assert_eq!(stats.messages_received, 1);
}
