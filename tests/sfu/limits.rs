//! Limits of what DataProducers receive.

use std::time::Duration;

use ::dcsctp::api::StreamId as TheirStreamId;
use datasoup::proto::message::{Message, Ppid};
use datasoup::sfu::contract::options::{
    DataProducerOptions, LimitAction, LimitOptions, WebRtcTransportOptions, WhilePaused,
};
use datasoup::sfu::contract::parameters::DropCount;
use datasoup::sfu::event::{DataConsumerEvent, DataProducerEvent, TransportEvent};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};

use crate::common::lab::{Lab, binary, ours, text};
use crate::common::options;

const LEN: usize = 100;

fn limit(messages: Option<u32>, bytes: Option<u32>, action: LimitAction) -> LimitOptions {
    LimitOptions { messages_per_second: messages, bytes_per_second: bytes, burst: 1.0, action }
}

/// A direct DataProducer with a limit, and a direct DataConsumer of it.
fn direct(limit: LimitOptions) -> (Lab, DataProducerKey, DataConsumerKey) {
    let (mut lab, router) = Lab::with_router();
    let transport = lab.host().direct(router);
    let options = DataProducerOptions { limit: Some(limit), ..options::producer() };
    let producer = lab.host().produce_with(transport, options);
    let (consumer, _) = lab.host().consume(transport, producer);
    (lab, producer, consumer)
}

/// Sends messages of `LEN` bytes, and returns how many of them pass.
fn send(
    lab: &mut Lab,
    (producer, consumer): (DataProducerKey, DataConsumerKey),
    count: usize,
) -> usize {
    for _ in 0..count {
        lab.sfu().send(producer, binary(1, LEN), None);
    }
    lab.flush();
    lab.host().messages(consumer).len()
}

/// How many messages and bytes are counted as over a limit.
fn limited(lab: &mut Lab, producer: DataProducerKey) -> (u64, u64) {
    let stats = lab.producer_stats(producer);
    let count = |name: &str| stats[name].as_u64().expect("a number");
    (count("messagesLimited"), count("bytesLimited"))
}

#[test]
fn a_bucket_passes_its_burst_at_once_and_its_rate_from_then_on() {
    for (messages, bytes) in
        [(Some(100), None), (None, Some(100 * LEN as u32)), (Some(100), Some(1_000_000))]
    {
        let (mut lab, producer, consumer) = direct(limit(messages, bytes, LimitAction::Drop));
        let pair = (producer, consumer);
        assert_eq!(send(&mut lab, pair, 1000), 100);
        let mut passed = 100;
        for _ in 0..100 {
            lab.run_for(Duration::from_millis(100));
            passed += send(&mut lab, pair, 50);
        }
        // Ten seconds later.
        assert_eq!(passed, 100 + 1000, "{messages:?} {bytes:?}");
        let dropped = 1000 + 100 * 50 - passed as u64;
        assert_eq!(limited(&mut lab, producer), (dropped, dropped * LEN as u64));
        assert_eq!(lab.sfu().metrics().messages_dropped.limited, dropped);
        assert_eq!(lab.producer_stats(producer)["messagesReceived"], 6000);
        // The bucket does not fill beyond its burst.
        lab.run_for(Duration::from_secs(60));
        assert_eq!(send(&mut lab, pair, 1000), 100);
    }
}

#[test]
fn a_message_larger_than_the_bucket_passes_and_leaves_a_debt() {
    let (mut lab, producer, consumer) = direct(limit(None, Some(1000), LimitAction::Drop));
    let send = |lab: &mut Lab, len| {
        lab.sfu().send(producer, binary(1, len), None);
        lab.flush();
        lab.host().messages(consumer).len()
    };
    assert_eq!(send(&mut lab, 10_000), 1);
    lab.run_for(Duration::from_millis(8900));
    assert_eq!(send(&mut lab, 1), 0, "9,000 bytes are owed, and 8,900 are paid");
    lab.run_for(Duration::from_millis(200));
    assert_eq!(send(&mut lab, 10_000), 1);
}

#[test]
fn a_burst_is_in_seconds_and_may_be_less_than_one_message() {
    for (burst, at_once) in [(0.001, 1), (0.5, 50), (3.0, 300)] {
        let options = LimitOptions { burst, ..limit(Some(100), None, LimitAction::Drop) };
        let (mut lab, producer, consumer) = direct(options);
        assert_eq!(send(&mut lab, (producer, consumer), 1000), at_once, "burst {burst}");
    }
}

#[test]
fn limit_is_emitted_at_once_then_once_a_second_and_adds_up() {
    let (mut lab, producer, consumer) = direct(limit(Some(100), None, LimitAction::Drop));
    let mut reported = DropCount::default();
    let mut events = Vec::new();
    for tick in 0..350 {
        send(&mut lab, (producer, consumer), 5);
        for event in lab.host().producer_events(producer) {
            let DataProducerEvent::Limit(count) = event else { panic!("{event:?}") };
            reported.messages += count.messages;
            reported.bytes += count.bytes;
            events.push(tick);
        }
        lab.run_for(Duration::from_millis(10));
    }
    // The first excess is at 0.25 s: 5 messages every 10 ms are 500 per second.
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(events.windows(2).all(|it| it[1] - it[0] >= 100), "{events:?}");
    // The rest is reported once the second is over, even without a further message.
    lab.run_for(Duration::from_secs(2));
    for event in lab.host().producer_events(producer) {
        let DataProducerEvent::Limit(count) = event else { panic!("{event:?}") };
        reported.messages += count.messages;
        reported.bytes += count.bytes;
    }
    assert_eq!((reported.messages, reported.bytes), limited(&mut lab, producer));
    lab.run_for(Duration::from_secs(5));
    assert_eq!(lab.host().producer_events(producer), []);
}

#[test]
fn pause_pauses_the_data_producer_until_it_is_resumed() {
    let (mut lab, producer, consumer) = direct(limit(Some(10), None, LimitAction::Pause));
    assert_eq!(send(&mut lab, (producer, consumer), 100), 10);
    let count = DropCount { messages: 1, bytes: LEN as u64 };
    let events = lab.host().producer_events(producer);
    assert_eq!(events, [DataProducerEvent::Limit(count), DataProducerEvent::LimitPause]);
    assert_eq!(lab.host().consumer_events(consumer), [DataConsumerEvent::DataProducerPause]);
    let stats = lab.producer_stats(producer);
    assert_eq!((&stats["messagesLimited"], &stats["messagesPaused"]), (&1.into(), &89.into()));
    lab.run_for(Duration::from_secs(10));
    assert_eq!(send(&mut lab, (producer, consumer), 1), 0);
    lab.sfu().data_producer(producer).expect("open").resume();
    assert_eq!(send(&mut lab, (producer, consumer), 5), 5);
}

#[test]
fn close_closes_the_data_producer_and_says_why() {
    let (mut lab, producer, consumer) = direct(limit(Some(10), None, LimitAction::Close));
    assert_eq!(send(&mut lab, (producer, consumer), 100), 10);
    let count = DropCount { messages: 1, bytes: LEN as u64 };
    let events = lab.host().producer_events(producer);
    assert_eq!(events, [DataProducerEvent::Limit(count), DataProducerEvent::LimitClose]);
    assert_eq!(lab.host().consumer_events(consumer), [DataConsumerEvent::DataProducerClose]);
    assert!(lab.sfu().data_producer(producer).is_err());
    lab.run_for(Duration::from_secs(5));
    assert_eq!(lab.host().producer_events(producer), []);
    lab.sfu().close();
    lab.flush();
    assert!(lab.sfu().is_empty());
}

#[test]
fn set_limit_keeps_tokens_and_debt_and_can_remove_the_limit() {
    let (mut lab, producer, consumer) = direct(limit(Some(100), None, LimitAction::Drop));
    let pair = (producer, consumer);
    assert_eq!(send(&mut lab, pair, 1000), 100);
    let set = |lab: &mut Lab, options: Option<LimitOptions>| {
        lab.sfu()
            .data_producer(producer)
            .expect("open")
            .set_limit(options.as_ref())
            .expect("no pipe");
    };
    set(&mut lab, Some(limit(Some(200), None, LimitAction::Drop)));
    assert_eq!(send(&mut lab, pair, 1000), 0, "a change fills no bucket");
    lab.run_for(Duration::from_millis(500));
    assert_eq!(send(&mut lab, pair, 1000), 100);
    set(&mut lab, None);
    assert_eq!(send(&mut lab, pair, 1000), 1000);
    set(&mut lab, Some(limit(Some(10), None, LimitAction::Drop)));
    assert_eq!(send(&mut lab, pair, 1000), 10);
}

/// A client with two channels, whose transport has a limit, and direct DataConsumers of both.
fn client(
    action: LimitAction,
) -> (Lab, RouterKey, TransportKey, usize, [(DataProducerKey, DataConsumerKey); 2]) {
    let (mut lab, router) = Lab::with_router();
    let options =
        WebRtcTransportOptions { limit: Some(limit(Some(100), None, action)), ..options::webrtc() };
    let (transport, client) = lab.join_with(router, 1, options);
    let direct = lab.host().direct(router);
    let pairs = [1, 2].map(|stream| {
        let producer = lab.host().produce(transport, stream);
        (producer, lab.host().consume(direct, producer).0)
    });
    (lab, router, transport, client, pairs)
}

#[test]
fn the_limit_of_a_transport_is_over_all_its_data_producers() {
    let (mut lab, _, transport, client, pairs) = client(LimitAction::Drop);
    for _ in 0..300 {
        for stream in [1, 2] {
            lab.clients[client].send(stream, binary(1, LEN));
        }
    }
    lab.run_for(Duration::from_millis(500));
    let passed: usize = pairs.iter().map(|it| lab.host().messages(it.1).len()).sum();
    assert!((100..=150).contains(&passed), "{passed}");
    let dropped = 600 - passed as u64;
    let sum: u64 = pairs.iter().map(|it| limited(&mut lab, it.0).0).sum();
    assert_eq!(sum, dropped);
    let stats = lab.stats(transport);
    assert_eq!(
        (&stats["messagesLimited"], &stats["bytesLimited"]),
        (&dropped.into(), &(dropped * LEN as u64).into())
    );
    let events = lab.host().transport_events(transport);
    assert!(matches!(events.last(), Some(TransportEvent::Limit(_))), "{events:?}");
    assert_eq!(
        pairs.map(|it| lab.host().producer_events(it.0)),
        [[], []],
        "the limit is not theirs"
    );
}

#[test]
fn pause_and_close_of_a_transports_limit_act_on_the_data_producer_concerned() {
    for action in [LimitAction::Pause, LimitAction::Close] {
        let (mut lab, router, transport, client, [(first, _), (second, other)]) = client(action);
        let (listening, listener) = lab.join(router, 2);
        lab.host().consume(listening, second);
        for _ in 0..200 {
            lab.clients[client].send(1, binary(1, LEN));
        }
        lab.run_for(Duration::from_millis(500));
        let last = match action {
            LimitAction::Pause => DataProducerEvent::LimitPause,
            _ => DataProducerEvent::LimitClose,
        };
        assert_eq!(lab.host().producer_events(first), [last]);
        assert_eq!(lab.sfu().data_producer(first).is_err(), action == LimitAction::Close);
        // The other DataProducer goes on.
        lab.run_for(Duration::from_secs(1));
        lab.clients[client].send(2, text("still here"));
        lab.run_for(Duration::from_millis(500));
        assert_eq!(lab.host().messages(other).len(), 1);
        assert_eq!(lab.clients[listener].messages().len(), 1);
        let stats = lab.stats(transport);
        let unrouted = stats["messagesUnrouted"].as_u64().expect("a number");
        assert_eq!(unrouted > 0, action == LimitAction::Close, "{stats}");
    }
}

/// Each peer's message waits for its turn, and closes its DataProducer when the close of the router begins with its
/// transport.
#[test]
fn limits_that_close_within_a_close_leave_the_next_transport_to_it() {
    const PEERS: u16 = 150;
    let (mut lab, router) = Lab::with_router();
    // Their messages use up the first turn: each goes to 1,000 DataConsumers.
    let busy = lab.host().router();
    let listen = lab.host().listen(ours(0));
    let absent = lab.host().plain(busy, listen, &options::plain(false));
    let crowded = [1, 2, 3, 4, 5].map(|n| {
        let (key, client) = lab.join(busy, n);
        let producer = lab.host().produce(key, 0);
        for _ in 0..1000 {
            lab.host().consume(absent, producer);
        }
        (client, producer)
    });
    let limit = limit(Some(1), None, LimitAction::Close);
    let mut producers = Vec::new();
    for n in 10..10 + PEERS {
        let listen = lab.host().listen(ours(n));
        let plain = lab.host().plain(router, listen, &options::plain(true));
        lab.plain_peer(n, ours(n), true);
        let options = DataProducerOptions { limit: Some(limit), ..options::producer_on(0) };
        producers.push(lab.host().produce_with(plain, options));
    }
    lab.expect("connections", |lab| lab.plain_peers.iter().all(|it| it.sctp.is_connected()));
    lab.run_for(Duration::from_secs(1));
    for (client, _) in crowded {
        (0..100).for_each(|_| lab.clients[client].send(0, text("x")));
    }
    for peer in &mut lab.plain_peers {
        (0..3).for_each(|_| peer.sctp.send(0, text("x")));
    }
    lab.expect("the first turn", |lab| lab.producer_stats(crowded[0].1)["messagesReceived"] != 0);

    lab.sfu().router(router).expect("open").close();
    lab.host().collect();
    let closed = |lab: &mut Lab| {
        let events = producers.iter().flat_map(|it| lab.host().producer_events(*it));
        events.filter(|it| *it == DataProducerEvent::LimitClose).count()
    };
    // The first turn ends about 50 transports.
    let at_once = closed(&mut lab);
    assert!((1..=usize::from(PEERS) / 2).contains(&at_once), "{at_once}");
    lab.run_for(Duration::from_secs(1));
    assert!(!lab.sfu().is_closing());
    assert_eq!(at_once + closed(&mut lab), usize::from(PEERS), "each once");
}

#[test]
fn an_empty_message_counts_as_one_byte() {
    let (mut lab, producer, consumer) = direct(limit(None, Some(10), LimitAction::Drop));
    for _ in 0..20 {
        let empty = Message::copy_from_slice(Ppid::STRING_EMPTY, b"");
        lab.sfu().send(producer, empty, None);
    }
    lab.flush();
    assert_eq!(lab.host().messages(consumer).len(), 10);
}

/// Sends messages until the DataProducer blocks, like the runtime. Returns how many.
fn offer(lab: &mut Lab, producer: DataProducerKey, count: usize) -> usize {
    for sent in 0..count {
        if lab.sfu().is_blocked(producer) {
            return sent;
        }
        lab.sfu().send(producer, binary(1, LEN), None);
    }
    count
}

#[test]
fn block_has_a_direct_data_producer_wait_for_tokens_and_drops_nothing() {
    for (messages, bytes) in [(Some(100), None), (None, Some(100 * LEN as u32))] {
        let (mut lab, producer, consumer) = direct(limit(messages, bytes, LimitAction::Block));
        assert!(lab.sfu().may_block());
        assert_eq!(offer(&mut lab, producer, 1000), 100);
        assert_eq!(lab.sfu().poll_unblocked(), None);
        let mut sent = 100;
        for _ in 0..1000 {
            lab.run_for(Duration::from_millis(10));
            sent += offer(&mut lab, producer, 1000);
        }
        assert!((1095..=1102).contains(&sent), "{sent}");
        lab.flush();
        assert_eq!(lab.host().messages(consumer).len(), sent);
        assert_eq!(limited(&mut lab, producer), (0, 0));
        let events = lab.host().producer_events(producer);
        let nothing = DataProducerEvent::Limit(DropCount::default());
        assert!((9..=11).contains(&events.len()), "one a second: {events:?}");
        assert!(events.iter().all(|it| *it == nothing), "{events:?}");
    }
}

#[test]
fn another_limit_a_pause_or_a_close_ends_the_wait_for_tokens() {
    type Act = fn(&mut Lab, DataProducerKey);
    let acts: [Act; 4] = [
        |lab, it| lab.sfu().data_producer(it).expect("open").set_limit(None).expect("no pipe"),
        |lab, it| {
            let drop = limit(Some(1), None, LimitAction::Drop);
            lab.sfu().data_producer(it).expect("open").set_limit(Some(&drop)).expect("no pipe");
        },
        |lab, it| lab.sfu().data_producer(it).expect("open").pause(),
        |lab, it| lab.sfu().data_producer(it).expect("open").close(),
    ];
    for (number, act) in acts.into_iter().enumerate() {
        let (mut lab, producer, _) = direct(limit(Some(1), None, LimitAction::Block));
        offer(&mut lab, producer, 10);
        assert!(lab.sfu().is_blocked(producer));
        act(&mut lab, producer);
        assert_eq!(lab.sfu().poll_unblocked(), Some(producer), "{number}");
        assert!(!lab.sfu().is_blocked(producer), "{number}");
        assert_eq!(lab.sfu().may_block(), number == 2, "{number}");
        lab.run_for(Duration::from_secs(30));
        lab.sfu().close();
        lab.flush();
        assert!(lab.sfu().is_empty());
    }
}

#[test]
fn block_of_a_transport_closes_the_receive_window_and_lets_its_data_producers_take_turns() {
    let (mut lab, _, transport, client, pairs) = client(LimitAction::Block);
    let mut sent = [0u16; 2];
    let mut send = |lab: &mut Lab| {
        for _ in 0..100 {
            for (stream, number) in [1, 2].into_iter().zip(&mut sent) {
                let client = &mut lab.clients[client].sctp;
                while client.socket.buffered_amount(TheirStreamId(stream)) < 200_000 {
                    let mut payload = vec![0; 1000];
                    payload[..2].copy_from_slice(&number.to_be_bytes());
                    client.send(stream, Message::new(Ppid::BINARY, payload.into()));
                    *number += 1;
                }
            }
            lab.run_for(Duration::from_millis(100));
        }
        sent
    };
    let sent = send(&mut lab);
    let held = lab.sfu().bytes_held();
    assert!(held < 2_500_000, "the rest waits where it comes from: {held}");
    let counts = pairs.map(|(_, consumer)| {
        let got = lab.host().messages(consumer);
        let numbers = got.iter().map(|it| u16::from_be_bytes([it.payload[0], it.payload[1]]));
        assert!(numbers.eq(0..got.len() as u16), "in order, and none is lost");
        got.len()
    });
    let sum: usize = counts.iter().sum();
    assert!((1090..=1110).contains(&sum), "{counts:?}");
    assert!(counts.into_iter().all(|it| it > 300), "{counts:?}");
    assert_eq!(lab.stats(transport)["messagesLimited"], 0);
    lab.sfu().transport(transport).expect("open").set_limit(None).expect("no pipe");
    lab.run_for(Duration::from_secs(20));
    let rest: usize = pairs.iter().map(|it| lab.host().messages(it.1).len()).sum();
    assert_eq!(sum + rest, sent.map(usize::from).iter().sum::<usize>());
}

#[test]
fn block_is_not_for_a_pipe_over_the_network() {
    let (mut lab, router) = Lab::with_router();
    let listen = lab.host().listen(ours(1));
    let pipe = lab.host().pipe(router, listen, &options::pipe());
    let producer = lab.host().produce(pipe, 0);
    let block = limit(Some(1), None, LimitAction::Block);
    let mut it = lab.sfu().data_producer(producer).expect("open");
    assert_eq!(it.set_limit(Some(&block)).expect_err("a pipe").name(), "UnsupportedError");
    let mut it = lab.sfu().transport(pipe).expect("open");
    assert_eq!(it.set_limit(Some(&block)).expect_err("a pipe").name(), "UnsupportedError");
    let mut options = DataProducerOptions { limit: Some(block), ..options::producer() };
    let (_, dump) = lab.host().consume(pipe, producer);
    options.sctp_stream_parameters = dump.sctp_stream_parameters;
    let key = DataProducerKey(lab.host().key());
    let mut it = lab.sfu().transport(pipe).expect("open");
    let error = it.produce_data(key, options, options::backlog()).expect_err("a pipe");
    assert_eq!(error.name(), "UnsupportedError");
}

#[test]
fn a_data_producer_that_holds_its_messages_is_paused_once_however_many_exceed_the_limit() {
    let (mut lab, router) = Lab::with_router();
    let transport = lab.host().direct(router);
    let options = DataProducerOptions {
        limit: Some(limit(Some(10), None, LimitAction::Pause)),
        while_paused: WhilePaused::Hold,
        ..options::producer()
    };
    let producer = lab.host().produce_with(transport, options);
    let (consumer, _) = lab.host().consume(transport, producer);
    assert_eq!(send(&mut lab, (producer, consumer), 1000), 10);
    let events = lab.host().producer_events(producer);
    let pauses = events.iter().filter(|it| **it == DataProducerEvent::LimitPause).count();
    assert_eq!(pauses, 1, "{events:?}");
    assert_eq!(limited(&mut lab, producer).0, 990);
}

#[test]
fn what_is_held_has_passed_the_limit_and_is_released_at_once() {
    for action in [LimitAction::Drop, LimitAction::Block] {
        let (mut lab, router) = Lab::with_router();
        let transport = lab.host().direct(router);
        let options = DataProducerOptions {
            limit: Some(limit(Some(10), None, action)),
            while_paused: WhilePaused::Hold,
            paused: true,
            ..options::producer()
        };
        let producer = lab.host().produce_with(transport, options);
        let (consumer, _) = lab.host().consume(transport, producer);
        let sent = match action {
            LimitAction::Block => offer(&mut lab, producer, 100),
            _ => {
                send(&mut lab, (producer, consumer), 100);
                100
            }
        };
        let stats = lab.producer_stats(producer);
        assert_eq!(
            (&stats["messagesReceived"], &stats["messagesWaiting"]),
            (&sent.into(), &10.into())
        );
        assert_eq!(limited(&mut lab, producer).0, sent as u64 - 10);
        lab.sfu().data_producer(producer).expect("open").resume();
        lab.flush();
        assert_eq!(lab.host().messages(consumer).len(), 10);
        assert_eq!(lab.sfu().is_blocked(producer), action == LimitAction::Block);
    }
}

/// A DataProducer in debt: a message of 1 MB has passed a limit of 1000 bytes per second, and the next one waits.
fn indebted() -> (Lab, DataProducerKey) {
    let (mut lab, producer, _) = direct(limit(None, Some(1000), LimitAction::Block));
    lab.sfu().send(producer, binary(1, 1_000_000), None);
    assert!(lab.sfu().is_blocked(producer));
    (lab, producer)
}

fn set_limit(lab: &mut Lab, producer: DataProducerKey, options: Option<LimitOptions>) {
    let mut it = lab.sfu().data_producer(producer).expect("open");
    it.set_limit(options.as_ref()).expect("no pipe");
}

#[test]
fn a_wait_under_another_limit_is_no_longer_than_that_limit_asks_for() {
    for removed_first in [false, true] {
        let (mut lab, producer) = indebted();
        if removed_first {
            set_limit(&mut lab, producer, None);
            assert!(!lab.sfu().is_blocked(producer));
        }
        set_limit(&mut lab, producer, Some(limit(None, Some(1_000_000), LimitAction::Block)));
        assert_eq!(lab.sfu().poll_unblocked(), Some(producer));
        if removed_first {
            lab.sfu().send(producer, binary(1, 2_000_000), None);
        }
        assert!(lab.sfu().is_blocked(producer), "a second of debt is left");
        lab.run_for(Duration::from_millis(900));
        assert!(lab.sfu().is_blocked(producer));
        lab.run_for(Duration::from_millis(200));
        assert!(!lab.sfu().is_blocked(producer));
    }
}

#[test]
fn another_limit_of_a_transport_has_its_data_producers_wait_no_longer_either() {
    let (mut lab, _, transport, client, pairs) = client(LimitAction::Block);
    let set = |lab: &mut Lab, bytes| {
        let block = limit(None, Some(bytes), LimitAction::Block);
        lab.sfu().transport(transport).expect("open").set_limit(Some(&block)).expect("no pipe");
    };
    set(&mut lab, 1000);
    lab.clients[client].send(1, binary(1, 100_000));
    lab.run_for(Duration::from_millis(500));
    for stream in [1, 2] {
        lab.clients[client].send(stream, binary(1, LEN));
    }
    lab.run_for(Duration::from_millis(500));
    let count = |lab: &mut Lab| pairs.map(|it| lab.host().messages(it.1).len());
    assert_eq!(count(&mut lab), [1, 0]);
    set(&mut lab, 100_000);
    lab.run_for(Duration::from_millis(500));
    assert_eq!(count(&mut lab), [0, 0]);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(count(&mut lab), [1, 1]);
}

#[test]
fn a_long_debt_is_paid_in_full_and_leaves_nothing_behind_for_long() {
    let (mut lab, producer) = indebted();
    lab.run_for(Duration::from_secs(990));
    assert!(lab.sfu().is_blocked(producer));
    lab.run_for(Duration::from_secs(10));
    assert!(!lab.sfu().is_blocked(producer));

    let (mut lab, producer) = indebted();
    lab.sfu().data_producer(producer).expect("open").close();
    lab.run_for(Duration::from_secs(61));
    assert_eq!(lab.sfu().poll_timeout(), None);
}

#[test]
fn what_the_limit_of_a_transport_refuses_costs_a_data_producer_no_tokens() {
    let (mut lab, _, transport, client, [(first, consumer), _]) = client(LimitAction::Drop);
    // Its bucket never fills again while the test runs.
    let own = LimitOptions { burst: 150.0, ..limit(Some(1), None, LimitAction::Drop) };
    set_limit(&mut lab, first, Some(own));
    for _ in 0..300 {
        lab.clients[client].send(1, binary(1, LEN));
    }
    lab.run_for(Duration::from_millis(200));
    let passed = lab.host().messages(consumer).len();
    assert!((100..150).contains(&passed), "{passed}");
    lab.sfu().transport(transport).expect("open").set_limit(None).expect("no pipe");
    for _ in 0..300 {
        lab.clients[client].send(1, binary(1, LEN));
    }
    lab.run_for(Duration::from_millis(500));
    let all = passed + lab.host().messages(consumer).len();
    assert!((150..=152).contains(&all), "{all}");
}

#[test]
fn small_messages_that_waited_for_the_bytes_of_a_transport_leave_at_its_rate() {
    const COUNT: usize = 500;
    let (mut lab, router) = Lab::with_router();
    let options = WebRtcTransportOptions {
        limit: Some(LimitOptions {
            burst: 0.01,
            ..limit(None, Some(1_000_000), LimitAction::Block)
        }),
        ..options::webrtc()
    };
    let (transport, client) = lab.join_with(router, 1, options);
    let direct = lab.host().direct(router);
    let consumers: Vec<_> = (0..COUNT as u16)
        .map(|stream| {
            let producer = lab.host().produce(transport, stream);
            lab.host().consume(direct, producer).0
        })
        .collect();
    let count = |lab: &mut Lab| -> usize {
        consumers.iter().map(|it| lab.host().messages(*it).len()).sum()
    };
    // A debt of a fifth of a second.
    lab.clients[client].send(0, binary(1, 200_000));
    while count(&mut lab) == 0 {
        lab.run_for(Duration::from_millis(1));
    }
    for stream in 1..COUNT as u16 {
        lab.clients[client].send(stream, binary(1, LEN));
    }
    let mut passed = 0;
    while passed == 0 {
        lab.run_for(Duration::from_millis(1));
        passed = count(&mut lab);
    }
    lab.run_for(Duration::from_millis(100));
    passed += count(&mut lab);
    assert!(passed >= COUNT - 1, "{passed} of 50 kB, at 1 MB per second");
}
