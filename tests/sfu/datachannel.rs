//! Channels that are opened in band: by a WebRTC client before there is a DataProducer for them, and by us.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::dcep::{ACK, Dcep, Open};
use datasoup::proto::dtls::DtlsRole;
use datasoup::proto::message::{Limit, Message, Ppid, Reliability};
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, FromChannel, RetainOptions, WhilePaused,
};
use datasoup::sfu::error::Error;
use datasoup::sfu::event::{DataProducerEvent, TransportEvent};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::memory::Memory;

use crate::common::lab::{Lab, binary, text, theirs};
use crate::common::options;

const LIMITED: Reliability = Reliability { ordered: true, limit: Some(Limit::Retransmits(3)) };

fn open(label: &str, reliability: Reliability) -> Message {
    let (label, protocol) = (label.into(), "p".into());
    let open = Open { label, protocol, priority: 256, reliability };
    Message { ppid: Ppid::DCEP, payload: open.encode().into() }
}

/// A client that opens channels on these streams.
fn opened(lab: &mut Lab, streams: &[u16]) -> (RouterKey, TransportKey, usize) {
    let router = lab.host().router();
    let (key, client) = lab.join(router, 1);
    lab.host().transport_events(key);
    for &stream in streams {
        lab.clients[client].send(stream, open(&format!("channel {stream}"), LIMITED));
    }
    lab.run_for(Duration::from_secs(1));
    (router, key, client)
}

/// A DataProducer that retains, so that messages routed before there was a DataConsumer can be seen.
fn adopting(stream: u16) -> DataProducerOptions {
    let retain = Some(RetainOptions { messages: 1000, bytes: 1 << 20, max_age: None });
    DataProducerOptions { retain, ..options::producer_on(stream) }
}

fn send(lab: &mut Lab, client: usize, stream: u16, message: Message) {
    lab.clients[client].send(stream, message);
    lab.run_for(Duration::from_millis(100));
}

/// The messages that a new DataConsumer gets.
fn retained(lab: &mut Lab, router: RouterKey, producer: DataProducerKey) -> Vec<Message> {
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, producer);
    lab.flush();
    lab.host().messages(consumer)
}

fn announced(lab: &mut Lab, key: TransportKey) -> Vec<u16> {
    let events = lab.host().transport_events(key).into_iter();
    let stream = |event| match event {
        TransportEvent::DataChannel(it) => Some(it.stream.stream_id),
        _ => None,
    };
    events.filter_map(stream).collect()
}

fn unrouted(lab: &mut Lab, key: TransportKey) -> u64 {
    lab.stats(key)["messagesUnrouted"].as_u64().expect("a counter")
}

#[test]
fn a_channel_without_a_producer_is_announced_and_adopted_with_all_that_came_on_it() {
    let mut lab = Lab::new();
    let (router, key, client) = opened(&mut lab, &[4]);
    let [TransportEvent::DataChannel(info)] = &lab.host().transport_events(key)[..] else {
        panic!("one event")
    };
    assert_eq!((&info.label[..], &info.protocol[..]), ("channel 4", "p"));
    let stream = info.stream;
    assert_eq!((stream.stream_id, stream.ordered, stream.max_retransmits), (4, true, Some(3)));
    for n in 0..100 {
        lab.clients[client].send(4, text(&n.to_string()));
    }
    lab.run_for(Duration::from_secs(1));
    assert_eq!(unrouted(&mut lab, key), 0);

    let producer = lab.host().produce_with(key, adopting(4));
    let dump = lab.sfu().data_producer(producer).expect("open").dump();
    assert_eq!((&dump.label[..], &dump.protocol[..]), ("channel 4", "p"));
    assert_eq!(dump.sctp_stream_parameters, Some(stream));
    send(&mut lab, client, 4, text("100"));
    let got = retained(&mut lab, router, producer);
    assert_eq!(got, (0..=100).map(|n: u32| text(&n.to_string())).collect::<Vec<_>>());
    assert_eq!(lab.producer_stats(producer)["messagesReceived"], 101);
}

#[test]
fn what_the_application_gives_is_not_the_channels() {
    let mut lab = Lab::new();
    let (_, key, _) = opened(&mut lab, &[4]);
    let options = DataProducerOptions {
        label: "mine".into(),
        from_channel: FromChannel { label: false, protocol: false, reliability: false },
        ..options::producer_on(4)
    };
    let producer = lab.host().produce_with(key, options);
    let dump = lab.sfu().data_producer(producer).expect("open").dump();
    assert_eq!((&dump.label[..], &dump.protocol[..]), ("mine", ""));
    assert!(dump.sctp_stream_parameters.is_some_and(|it| it.max_retransmits.is_none()));
}

#[test]
fn a_channel_that_a_producer_waits_for_is_not_announced() {
    let mut lab = Lab::new();
    let router = lab.host().router();
    let (key, client) = lab.join(router, 1);
    lab.host().produce(key, 4);
    send(&mut lab, client, 4, open("x", Reliability::RELIABLE));
    assert!(announced(&mut lab, key).is_empty());
}

#[test]
fn what_was_kept_waits_for_resume_if_the_producer_holds() {
    let mut lab = Lab::new();
    let (router, key, client) = opened(&mut lab, &[4]);
    send(&mut lab, client, 4, text("1"));
    let options = DataProducerOptions {
        paused: true,
        while_paused: WhilePaused::Hold,
        ..options::producer_on(4)
    };
    let producer = DataProducerKey(lab.host().key());
    let mut view = lab.sfu().transport(key).expect("open");
    view.produce_data(producer, options, options::backlog()).expect("made");
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, producer);
    send(&mut lab, client, 4, text("2"));
    lab.sfu().data_producer(producer).expect("open").resume();
    lab.flush();
    assert_eq!(lab.host().messages(consumer), [text("1"), text("2")]);
}

#[test]
fn messages_are_kept_for_10_s_and_the_description_for_longer() {
    let mut lab = Lab::new();
    let (router, key, client) = opened(&mut lab, &[4]);
    send(&mut lab, client, 4, text("1"));
    lab.run_for(Duration::from_millis(8800));
    assert_eq!(unrouted(&mut lab, key), 0);
    lab.run_for(Duration::from_millis(200));
    assert_eq!(unrouted(&mut lab, key), 1);
    send(&mut lab, client, 4, text("2"));
    assert_eq!(unrouted(&mut lab, key), 2);
    let producer = lab.host().produce_with(key, adopting(4));
    assert_eq!(lab.sfu().data_producer(producer).expect("open").dump().label, "channel 4");
    send(&mut lab, client, 4, text("3"));
    assert_eq!(retained(&mut lab, router, producer), [text("3")]);
}

#[test]
fn messages_and_bytes_of_all_channels_together_are_bounded() {
    let mut lab = Lab::new();
    let (_, key, client) = opened(&mut lab, &[4, 6]);
    for n in 0..300 {
        lab.clients[client].send(4 + 2 * (n % 2), text("x"));
    }
    lab.run_for(Duration::from_secs(1));
    assert_eq!(unrouted(&mut lab, key), 300 - 256);
    let producer = lab.host().produce_with(key, adopting(4));
    assert_eq!(lab.producer_stats(producer)["messagesReceived"], 128);
    // There is room again, for 256 KiB with what is kept and the descriptions.
    for _ in 0..10 {
        lab.clients[client].send(6, binary(0, 50_000));
    }
    lab.run_for(Duration::from_secs(5));
    assert_eq!(unrouted(&mut lab, key), 300 - 256 + 10 - 5);
    assert!(lab.sfu().bytes_held() < 512 * 1024);
}

#[test]
fn at_most_64_channels_wait_and_a_closed_one_holds_its_place_for_10_s() {
    let mut lab = Lab::new();
    let (_, key, client) = opened(&mut lab, &(0..70).map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!(announced(&mut lab, key), (0..64).map(|n| 2 * n).collect::<Vec<_>>());
    send(&mut lab, client, 138, text("lost"));
    assert_eq!(unrouted(&mut lab, key), 1);
    lab.clients[client].sctp.reset(0);
    lab.run_for(Duration::from_secs(1));
    send(&mut lab, client, 200, open("x", LIMITED));
    assert!(announced(&mut lab, key).is_empty());
    // An adopted channel makes room.
    lab.host().produce_with(key, adopting(2));
    send(&mut lab, client, 202, open("x", LIMITED));
    assert_eq!(announced(&mut lab, key), [202]);
    // Closed channels make room once their 10 s are over.
    lab.run_for(Duration::from_secs(10));
    send(&mut lab, client, 204, open("x", LIMITED));
    assert_eq!(announced(&mut lab, key), [204]);
}

#[test]
fn a_channel_that_has_closed_can_be_adopted_for_what_came_on_it() {
    let mut lab = Lab::new();
    let (router, key, client) = opened(&mut lab, &[4]);
    send(&mut lab, client, 4, text("the last words"));
    lab.clients[client].sctp.reset(4);
    lab.run_for(Duration::from_secs(1));
    let producer = lab.host().produce_with(key, adopting(4));
    lab.flush();
    assert_eq!(lab.host().producer_events(producer), [DataProducerEvent::StreamClose]);
    assert_eq!(retained(&mut lab, router, producer), [text("the last words")]);
    // A channel that was closed and whose time is over is forgotten.
    send(&mut lab, client, 6, open("x", LIMITED));
    lab.clients[client].sctp.reset(6);
    lab.run_for(Duration::from_secs(11));
    let producer = lab.host().produce_with(key, adopting(6));
    lab.flush();
    assert!(lab.host().producer_events(producer).is_empty());
    assert_eq!(lab.sfu().data_producer(producer).expect("open").dump().label, "");
}

#[test]
fn a_channel_that_is_opened_again_does_not_bring_the_messages_of_the_former_one() {
    let mut lab = Lab::new();
    let (router, key, client) = opened(&mut lab, &[4]);
    send(&mut lab, client, 4, text("former"));
    lab.clients[client].sctp.reset(4);
    lab.run_for(Duration::from_secs(4));
    send(&mut lab, client, 4, open("again", LIMITED));
    assert_eq!(announced(&mut lab, key), [4, 4]);
    assert_eq!(unrouted(&mut lab, key), 1);
    send(&mut lab, client, 4, text("new"));
    let producer = lab.host().produce_with(key, adopting(4));
    assert_eq!(lab.sfu().data_producer(producer).expect("open").dump().label, "again");
    assert_eq!(retained(&mut lab, router, producer), [text("new")]);
    assert!(lab.host().producer_events(producer).is_empty());
}

#[test]
fn what_is_kept_counts_in_the_memory_and_is_counted_when_the_transport_closes() {
    let mut lab = Lab::new();
    let memory = Arc::new(Memory::new(1 << 20));
    lab.sfu().limit_memory(Arc::clone(&memory));
    let (_, key, client) = opened(&mut lab, &[4]);
    send(&mut lab, client, 4, binary(0, 1000));
    assert!(memory.held() >= 1064 && memory.held() == lab.sfu().bytes_held());
    lab.sfu().transport(key).expect("open").close();
    lab.flush();
    assert_eq!(memory.held(), 0);
    let dump = lab.sfu().dump(1, Default::default(), Default::default());
    assert_eq!(dump.messages_dropped_at_close, 1);
}

/// A client with this DTLS role, and a direct DataProducer with a label.
fn client_and_source(lab: &mut Lab, role: DtlsRole) -> (TransportKey, usize, DataProducerKey) {
    let router = lab.host().router();
    let (key, answer) = lab.webrtc(router, 1, options::webrtc());
    let client = lab.client(key, &answer, theirs(1), role);
    lab.connected(key, client);
    let direct = lab.host().direct(router);
    let options = DataProducerOptions {
        label: "l\u{e4}bel".into(),
        protocol: "proto".into(),
        ..options::producer()
    };
    (key, client, lab.host().produce_with(direct, options))
}

fn in_band() -> DataConsumerOptions {
    DataConsumerOptions { negotiated: false, ..options::consumer() }
}

/// Something on each of some streams.
type OnStreams<T> = Vec<(u16, T)>;

/// The channels that the client was asked to open, and the other messages that it got.
fn received(lab: &mut Lab, client: usize) -> (OnStreams<Open>, OnStreams<Message>) {
    lab.run_for(Duration::from_secs(1));
    let (mut opens, mut messages) = (Vec::new(), Vec::new());
    for (stream, message) in lab.clients[client].messages() {
        match Dcep::parse(&message.payload) {
            Ok(Dcep::Open(open)) if message.ppid == Ppid::DCEP => opens.push((stream, open)),
            _ => messages.push((stream, message)),
        }
    }
    (opens, messages)
}

#[test]
fn a_channel_that_we_open_has_an_id_of_our_dtls_role_and_an_open_before_its_messages() {
    for (role, first) in [(DtlsRole::Client, 1), (DtlsRole::Server, 0)] {
        let mut lab = Lab::new();
        let (key, client, source) = client_and_source(&mut lab, role);
        // The streams of DataProducers are skipped, and so are those of other DataConsumers.
        lab.host().produce(key, first);
        let limited = DataConsumerOptions { max_retransmits: Some(2), ..in_band() };
        let (_, dump) = lab.host().consume_with(key, source, limited);
        let stream = dump.sctp_stream_parameters.expect("over SCTP");
        assert_eq!((stream.stream_id, stream.ordered), (first + 2, false));
        let (_, other) = lab.host().consume_with(key, source, in_band());
        let other = other.sctp_stream_parameters.expect("over SCTP").stream_id;
        assert_eq!(other, first + 4);
        lab.sfu().send(source, text("1"), None);
        let open = |reliability| Open {
            label: "l\u{e4}bel".into(),
            protocol: "proto".into(),
            priority: 256,
            reliability,
        };
        let limit = Some(Limit::Retransmits(2));
        let (mut opens, messages) = received(&mut lab, client);
        opens.sort_by_key(|(stream, _)| *stream);
        assert_eq!(
            opens,
            [
                (first + 2, open(Reliability { ordered: false, limit })),
                (first + 4, open(Reliability::RELIABLE)),
            ]
        );
        assert_eq!(messages.len(), 2);
        // The answers change nothing that can be seen, and one too many does no harm.
        for _ in 0..2 {
            let ack = Message { ppid: Ppid::DCEP, payload: ACK.to_vec().into() };
            lab.clients[client].send(first + 2, ack);
        }
        lab.run_for(Duration::from_secs(1));
        lab.sfu().send(source, text("2"), None);
        assert_eq!(received(&mut lab, client).1.len(), 2);
        assert_eq!(lab.stats(key)["messagesGarbled"], 0);
        assert_eq!(lab.stats(key)["messagesUnrouted"], 0);
    }
}

#[test]
fn a_channel_that_we_open_needs_our_dtls_role() {
    let (mut lab, router) = Lab::with_router();
    let (key, _) = lab.webrtc(router, 1, options::webrtc());
    let direct = lab.host().direct(router);
    let source = lab.host().produce(direct, 0);
    let consumer = DataConsumerKey(lab.host().key());
    let options =
        DataConsumerOptions { data_producer_id: lab.host().producer_id(source), ..in_band() };
    let mut transport = lab.sfu().transport(key).expect("open");
    let error = transport.consume_data(consumer, options, options::backlog()).expect_err("early");
    assert_eq!((&error, error.name()), (&Error::ConnectFirst, "TypeError"));
    assert!(error.to_string().contains("connect() first"));
    assert!(lab.sfu().data_consumer(consumer).is_err());
}

#[test]
fn a_channel_is_opened_although_its_consumer_holds() {
    let mut lab = Lab::new();
    let (key, client, source) = client_and_source(&mut lab, DtlsRole::Client);
    let options =
        DataConsumerOptions { paused: true, while_paused: WhilePaused::Hold, ..in_band() };
    let (consumer, _) = lab.host().consume_with(key, source, options);
    lab.sfu().send(source, text("1"), None);
    let (opens, messages) = received(&mut lab, client);
    assert_eq!((opens.len(), messages.len()), (1, 0));
    lab.sfu().data_consumer(consumer).expect("open").resume();
    lab.sfu().send(source, text("2"), None);
    let (opens, messages) = received(&mut lab, client);
    let texts: Vec<Message> = messages.into_iter().map(|(_, message)| message).collect();
    assert_eq!((opens.len(), texts), (0, vec![text("1"), text("2")]));
}

#[test]
fn a_channel_that_we_have_opened_closes_as_others_do() {
    let mut lab = Lab::new();
    let (key, client, source) = client_and_source(&mut lab, DtlsRole::Client);
    let (consumer, dump) = lab.host().consume_with(key, source, in_band());
    let stream = dump.sctp_stream_parameters.expect("over SCTP").stream_id;
    lab.run_for(Duration::from_secs(1));
    lab.sfu().data_consumer(consumer).expect("open").close();
    lab.run_for(Duration::from_secs(1));
    assert!(lab.clients[client].sctp.resets.contains(&stream));
}
