//! What happens at the bound of a DataConsumer's queue, by policy, and to messages that wait too long.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::{Amount, Message, Ppid};
use datasoup::proto::overflow::Overflow;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{DataConsumerOptions, SctpOptions, WebRtcTransportOptions};
use datasoup::sfu::contract::parameters::DropCount;
use datasoup::sfu::event::DataConsumerEvent;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};

use crate::common::lab::{Lab, binary};
use crate::common::options;
use crate::common::sim::Conditions;

const LEN: usize = 10_000;
/// The bound of the queue, which three messages reach.
const BOUND: u32 = 30_000;

fn with(overflow: Overflow) -> DataConsumerOptions {
    DataConsumerOptions {
        overflow: Some(overflow),
        max_buffered_amount: Some(BOUND),
        ..options::consumer()
    }
}

/// The first byte of each message that a client has received.
fn received(lab: &mut Lab, client: usize) -> Vec<u8> {
    lab.clients[client].messages().iter().map(|(_, it)| it.payload[0]).collect()
}

/// Which of the messages 0 to 7 a policy keeps in a full queue.
const KEPT_OF_8: [(Overflow, &[u8]); 3] = [
    (Overflow::DropNewest, &[0, 1, 2]),
    (Overflow::DropOldest, &[5, 6, 7]),
    (Overflow::KeepLatest, &[7]),
];

/// A connected client that reads nothing, with a DataConsumer. Other messages already fill the association.
fn stuck(
    lab: &mut Lab,
    router: RouterKey,
    producer: DataProducerKey,
    options: DataConsumerOptions,
) -> (TransportKey, usize, DataConsumerKey) {
    let (key, client) = lab.join(router, 1);
    let (consumer, _) = lab.host().consume_with(key, producer, options);
    lab.clients[client].frozen = true;
    let filler = lab.source(router);
    lab.host().consume(key, filler);
    for _ in 0..30 {
        lab.sfu().send(filler, binary(255, LEN), None);
    }
    lab.flush();
    (key, client, consumer)
}

/// Sends the messages 0, 1, 2 … in a turn each.
fn send(lab: &mut Lab, producer: DataProducerKey, count: u8) {
    for fill in 0..count {
        lab.sfu().send(producer, binary(fill, LEN), None);
        lab.flush();
    }
}

#[test]
fn each_policy_of_a_queue_to_a_peer_decides_which_messages_arrive() {
    for (overflow, expected) in KEPT_OF_8 {
        let (mut lab, router) = Lab::with_router();
        let producer = lab.source(router);
        let (_, client, consumer) = stuck(&mut lab, router, producer, with(overflow));
        send(&mut lab, producer, 8);
        let expected_drops = 8 - expected.len() as u64;
        assert_eq!(lab.count(consumer, "messagesDropped"), expected_drops);
        let replaced = lab.count(consumer, "messagesDroppedReplaced");
        assert_eq!(replaced, if overflow == Overflow::DropNewest { 0 } else { expected_drops });
        lab.clients[client].frozen = false;
        lab.run_for(Duration::from_secs(60));
        let arrived: Vec<u8> =
            received(&mut lab, client).into_iter().filter(|it| *it != 255).collect();
        assert_eq!(arrived, expected, "{overflow:?}");
        assert_eq!(lab.count(consumer, "messagesSent"), expected.len() as u64);
        assert_eq!(lab.count(consumer, "messagesWaiting"), 0);
        let events = lab.host().consumer_events(consumer);
        let overflows: Vec<_> =
            events.iter().filter(|it| matches!(it, DataConsumerEvent::Overflow(_))).collect();
        let lost = DropCount { messages: expected_drops, bytes: expected_drops * LEN as u64 };
        match overflow {
            Overflow::KeepLatest => assert!(overflows.is_empty(), "{events:?}"),
            _ => assert_eq!(overflows, [&DataConsumerEvent::Overflow(lost)], "once, with the sum"),
        }
    }
}

#[test]
fn a_consumer_that_closes_at_its_bound_emits_overflow_first() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (_, _, to_peer) = stuck(&mut lab, router, producer, with(Overflow::Close));
    let direct = lab.host().direct(router);
    let backlog = Arc::new(Backlog::new(BOUND.into()));
    let options = with(Overflow::Close);
    let (to_javascript, _) = lab.host().consume_into(direct, producer, options, backlog);
    let (other, _) = lab.host().consume(direct, producer);
    send(&mut lab, producer, 5);
    let lost = DropCount { messages: 1, bytes: LEN as u64 };
    let closing = [DataConsumerEvent::Overflow(lost), DataConsumerEvent::OverflowClose];
    assert_eq!(lab.host().consumer_events(to_javascript), closing);
    let events = lab.host().consumer_events(to_peer);
    assert_eq!(events[1..], closing, "after {:?}", events[0]);
    assert!(lab.sfu().data_consumer(to_peer).is_err());
    assert!(lab.sfu().data_consumer(to_javascript).is_err());
    assert_eq!(lab.host().messages(to_javascript).len(), 3, "what came before is delivered");
    assert_eq!(lab.host().messages(other).len(), 5);
}

#[test]
fn a_bulk_stream_that_fills_the_transport_does_not_starve_a_stream_with_a_policy() {
    for overflow in [Overflow::DropOldest, Overflow::KeepLatest, Overflow::Close] {
        let (mut lab, router) = Lab::with_router();
        let sctp = SctpOptions { send_buffer_size: 100_000, ..options::sctp() };
        let options = WebRtcTransportOptions { sctp: Some(sctp), ..options::webrtc() };
        let (key, client) = lab.join_with(router, 1, options);
        lab.clients[client].frozen = true;
        let (bulk, cursor) = (lab.source(router), lab.source(router));
        lab.host().consume(key, bulk);
        let (to_cursor, _) = lab.host().consume_with(key, cursor, with(overflow));
        for _ in 0..100 {
            lab.sfu().send(bulk, binary(255, LEN), None);
            lab.flush();
        }
        lab.sfu().send(cursor, binary(1, 100), None);
        assert_eq!(lab.count(to_cursor, "messagesDropped"), 0);
        if overflow != Overflow::Close {
            lab.sfu().send(cursor, binary(2, 100), None);
            assert_eq!(lab.count(to_cursor, "messagesDroppedReplaced"), 1);
        }
        assert!(lab.sfu().data_consumer(to_cursor).is_ok());
    }
}

#[test]
fn messages_of_data_consumer_send_are_neither_replaced_nor_counted_as_routed() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (_, client, consumer) = stuck(&mut lab, router, producer, with(Overflow::KeepLatest));
    let send_directly = |lab: &mut Lab, fill| {
        lab.sfu().data_consumer(consumer).expect("open").send(binary(fill, LEN))
    };
    send_directly(&mut lab, 100).expect("room");
    send(&mut lab, producer, 3);
    send_directly(&mut lab, 101).expect("room");
    send(&mut lab, producer, 2);
    let error = send_directly(&mut lab, 102).expect_err("the bound");
    assert_eq!(error.to_string(), "sctpsendbufferfull");
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesWaiting"], &stats["messagesSent"]), (&1.into(), &0.into()));
    assert_eq!(
        (&stats["messagesSentDirectly"], &stats["messagesRejected"]),
        (&2.into(), &1.into())
    );
    lab.clients[client].frozen = false;
    lab.run_for(Duration::from_secs(60));
    let arrived: Vec<u8> = received(&mut lab, client).into_iter().filter(|it| *it != 255).collect();
    assert_eq!(arrived, [100, 101, 1]);
}

#[test]
fn a_policy_that_is_set_later_also_applies_to_what_waits() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (_, client, consumer) = stuck(&mut lab, router, producer, options::consumer());
    send(&mut lab, producer, 4);
    assert_eq!(lab.count(consumer, "messagesSent"), 4);
    let mut it = lab.sfu().data_consumer(consumer).expect("open");
    it.set_overflow(Overflow::KeepLatest).expect("supported");
    assert_eq!(lab.count(consumer, "messagesWaiting"), 4);
    lab.sfu().send(producer, binary(9, LEN), None);
    assert_eq!(lab.count(consumer, "messagesDroppedReplaced"), 4);
    lab.clients[client].frozen = false;
    lab.run_for(Duration::from_secs(60));
    let arrived: Vec<u8> = received(&mut lab, client).into_iter().filter(|it| *it != 255).collect();
    assert_eq!(arrived, [9]);
}

#[test]
fn overflow_does_not_report_what_an_earlier_policy_has_replaced() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (_, client, to_peer) = stuck(&mut lab, router, producer, with(Overflow::KeepLatest));
    let direct = lab.host().direct(router);
    let backlog = Arc::new(Backlog::new(BOUND.into()));
    let (to_javascript, _) =
        lab.host().consume_into(direct, producer, with(Overflow::KeepLatest), Arc::clone(&backlog));
    let set = |lab: &mut Lab, overflow| {
        for consumer in [to_peer, to_javascript] {
            let mut it = lab.sfu().data_consumer(consumer).expect("open");
            it.set_overflow(overflow).expect("supported");
        }
    };
    send(&mut lab, producer, 5);
    set(&mut lab, Overflow::DropOldest);
    send(&mut lab, producer, 4);
    set(&mut lab, Overflow::KeepLatest);
    send(&mut lab, producer, 1);
    set(&mut lab, Overflow::DropOldest);
    send(&mut lab, producer, 1);
    lab.clients[client].frozen = false;
    lab.run_for(Duration::from_secs(60));
    for message in lab.host().messages(to_javascript) {
        backlog.leave(message.amount());
    }
    lab.sfu().handle_relief(to_javascript);
    lab.flush();
    // Of the messages 4, 0, 1, 2 and 3 three fit.
    let lost = DropCount { messages: 2, bytes: 2 * LEN as u64 };
    for consumer in [to_peer, to_javascript] {
        assert_eq!(lab.count(consumer, "messagesDroppedReplaced"), 4 + 2 + 3);
        let mut events = lab.host().consumer_events(consumer);
        events.retain(|it| matches!(it, DataConsumerEvent::Overflow(_)));
        assert_eq!(events, [DataConsumerEvent::Overflow(lost)]);
    }
}

#[test]
fn a_message_that_was_handed_to_sctp_in_part_is_not_dropped() {
    for overflow in [Overflow::DropOldest, Overflow::KeepLatest] {
        let (mut lab, router) = Lab::with_router();
        let producer = lab.source(router);
        let (key, client) = lab.join(router, 1);
        lab.host().consume_with(key, producer, with(overflow));
        lab.clients[client].frozen = true;
        lab.sfu().send(producer, binary(1, 200_000), None);
        lab.flush();
        for fill in 2..10 {
            lab.sfu().send(producer, binary(fill, 100_000), None);
            lab.flush();
        }
        lab.clients[client].frozen = false;
        lab.run_for(Duration::from_secs(60));
        assert_eq!(received(&mut lab, client), [1, 9], "{overflow:?}");
    }
}

#[test]
fn what_waits_longer_than_max_queue_delay_is_dropped_when_its_turn_comes() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let options = DataConsumerOptions { max_queue_delay: Some(500), ..options::consumer() };
    let (_, client, to_peer) = stuck(&mut lab, router, producer, options.clone());
    let direct = lab.host().direct(router);
    let (to_javascript, _) = lab.host().consume_with(direct, producer, options);
    lab.sfu().send(producer, binary(1, LEN), None);
    lab.run_for(Duration::from_millis(400));
    lab.sfu().send(producer, binary(2, LEN), None);
    lab.run_for(Duration::from_millis(101));
    assert_eq!(lab.host().messages(to_javascript), [binary(2, LEN)]);
    lab.clients[client].frozen = false;
    lab.expect("the queue is empty", |lab| lab.count(to_peer, "bufferedAmount") == 0);
    for consumer in [to_peer, to_javascript] {
        let stats = lab.consumer_stats(consumer);
        assert_eq!(
            stats["messagesDroppedStale"].as_u64().expect("a counter"),
            stats["messagesDropped"]
        );
        assert!(stats["messagesDroppedStale"].as_u64() >= Some(1), "{stats}");
        assert!(stats["bytesDropped"].as_u64() >= Some(LEN as u64), "{stats}");
    }
}

#[test]
fn a_slow_javascript_gets_what_its_policy_keeps() {
    for (overflow, expected) in KEPT_OF_8 {
        let (mut lab, router) = Lab::with_router();
        let producer = lab.source(router);
        let direct = lab.host().direct(router);
        let backlog = Arc::new(Backlog::new(BOUND.into()));
        let shared = Arc::clone(&backlog);
        let (consumer, _) = lab.host().consume_into(direct, producer, with(overflow), shared);
        send(&mut lab, producer, 8);
        assert_eq!(lab.count(consumer, "bufferedAmount"), (expected.len() * LEN) as u64);
        let messages = lab.host().messages(consumer);
        let fills: Vec<u8> = messages.iter().map(|it| it.payload[0]).collect();
        assert_eq!(fills, expected, "{overflow:?}");
        messages.iter().for_each(|message| backlog.leave(message.amount()));
        assert_eq!(backlog.amount(), Amount::default());
        assert_eq!(backlog.take_relief(), overflow != Overflow::KeepLatest);
        lab.sfu().handle_relief(consumer);
        lab.flush();
        let lost = 8 - expected.len() as u64;
        let overflows: &[_] = match overflow {
            Overflow::KeepLatest => &[],
            _ => &[DropCount { messages: lost, bytes: lost * LEN as u64 }],
        };
        let overflows: Vec<_> =
            overflows.iter().map(|it| DataConsumerEvent::Overflow(*it)).collect();
        assert_eq!(lab.host().consumer_events(consumer), overflows, "{overflow:?}");
    }
}

/// How an SFU sends.
struct Sender {
    name: &'static str,
    options: DataConsumerOptions,
    send_buffer_size: u32,
    /// It drops a message while more bytes than this are not acknowledged.
    threshold: Option<u64>,
}

/// `sctpSendBufferSize` by default, here and in mediasoup.
const SEND_BUFFER: u32 = 2_000_000;

/// This library's ways, and simulated ones of others. mediasoup takes `maxRetransmits: 0` for no limit, so such
/// messages are unordered and reliable. LiveKit 1.13 queues without a bound on its lossy channel, or, with
/// `datachannel_lossy_target_latency`, drops what exceeds that latency at the measured rate, and 8 KiB.
fn senders() -> [Sender; 6] {
    let options = options::consumer;
    let latest = DataConsumerOptions { overflow: Some(Overflow::KeepLatest), ..options() };
    let unordered = DataConsumerOptions { ordered: Some(false), ..options() };
    let mortal = DataConsumerOptions { max_packet_life_time: Some(100), ..options() };
    let lossy = || DataConsumerOptions { max_retransmits: Some(0), ..options() };
    let sender =
        |name, options| Sender { name, options, send_buffer_size: SEND_BUFFER, threshold: None };
    [
        sender("overflow: 'keep-latest'", latest),
        sender("the default", options()),
        sender("mediasoup: maxRetransmits 0", unordered),
        sender("mediasoup: maxPacketLifeTime 100", mortal),
        Sender { send_buffer_size: 1 << 26, ..sender("LiveKit: lossy", lossy()) },
        // 100 ms at 25 kB/s are less than 8 KiB.
        Sender {
            send_buffer_size: 1 << 26,
            threshold: Some(8192),
            ..sender("LiveKit: lossy, target latency 100 ms", lossy())
        },
    ]
}

/// 1 KB at 60 Hz for a minute to a client behind 200 kbit/s, a round trip of 40 ms and a drop-tail queue of 50 ms.
/// Returns the ages of the messages that arrive, sorted.
fn ages(sender: Sender) -> Vec<Duration> {
    const LEN: usize = 1000;
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let sctp = SctpOptions {
        silence: None,
        send_buffer_size: sender.send_buffer_size,
        per_stream_send_queue_limit: sender.send_buffer_size,
        ..options::sctp()
    };
    let options = WebRtcTransportOptions { sctp: Some(sctp), ..options::webrtc() };
    let (key, client) = lab.join_with(router, 1, options);
    lab.host().consume_with(key, producer, sender.options);
    *lab.conditions() = Conditions {
        delay: Duration::from_millis(20),
        rate: Some(25_000),
        queue: 1250,
        ..Conditions::PERFECT
    };
    lab.run_for(Duration::from_secs(2));
    let mut ages = Vec::new();
    let mut sent = Vec::new();
    for number in 0..60u32 * 60 {
        let mut payload = vec![0; LEN];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        sent.push(lab.now);
        let unacknowledged = lab.sfu().bytes_held() * LEN as u64 / (LEN as u64 + 64);
        if sender.threshold.is_none_or(|it| unacknowledged <= it) {
            lab.sfu().send(producer, Message::new(Ppid::BINARY, payload.into()), None);
        }
        let end = lab.now + Duration::from_micros(16_667);
        while lab.now < end {
            lab.run_for(Duration::from_millis(2).min(end - lab.now));
            for (_, message) in lab.clients[client].messages() {
                let number = message.payload[..4].try_into().map(u32::from_be_bytes);
                ages.push(lab.now - sent[number.expect("four bytes") as usize]);
            }
        }
    }
    ages.sort_unstable();
    ages
}

#[test]
fn the_latest_message_arrives_fresh_on_a_path_that_cannot_carry_all() {
    let [p50, p99] = [50, 99].map(|it| move |ages: &[Duration]| ages[ages.len() * it / 100]);
    println!("| sender | arrived of 3,600 | age, p50 | p99 |");
    let results = senders().map(|sender| {
        let name = sender.name;
        let ages = ages(sender);
        let (arrived, half, most) = (ages.len(), p50(&ages), p99(&ages));
        println!("| {name} | {arrived} | {} ms | {} ms |", half.as_millis(), most.as_millis());
        (name, arrived, most)
    });
    let [latest, others @ ..] = results;
    assert!(latest.2 <= Duration::from_millis(2 * 40 + 50), "{latest:?}");
    assert!(latest.1 > 600, "ten a second: {latest:?}");
    for other in others {
        assert!(other.2 > latest.2, "{other:?} is fresher than {latest:?}");
    }
}
