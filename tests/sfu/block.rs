//! `overflow: 'block'`: DataProducers wait for their DataConsumers, and nothing is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::dcsctp::api::StreamId as TheirStreamId;
use datasoup::proto::message::{Message, Ppid};
use datasoup::proto::overflow::Overflow;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, RetainOptions, WhilePaused,
};
use datasoup::sfu::event::DataConsumerEvent;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};

use crate::common::lab::{Lab, binary, ours};
use crate::common::options;
use crate::common::sim::Conditions;
use crate::pipe::{By, two_workers};

const LEN: usize = 10_000;
const BOUND: u32 = 100_000;

fn blocking(timeout: Option<u32>) -> DataConsumerOptions {
    DataConsumerOptions {
        overflow: Some(Overflow::Block),
        max_buffered_amount: Some(BOUND),
        overflow_timeout: timeout,
        ..options::consumer()
    }
}

/// Messages whose first byte is their number.
fn numbered(count: u8) -> VecDeque<Message> {
    (0..count).map(|fill| binary(fill, LEN)).collect()
}

/// Sends messages until the DataProducer blocks, like the runtime.
fn offer(lab: &mut Lab, producer: DataProducerKey, messages: &mut VecDeque<Message>) {
    while !lab.sfu().is_blocked(producer)
        && let Some(message) = messages.pop_front()
    {
        lab.sfu().send(producer, message, None);
        lab.flush();
    }
}

fn fills(messages: &[(u16, Message)]) -> Vec<u8> {
    messages.iter().map(|(_, it)| it.payload[0]).collect()
}

fn events(lab: &mut Lab, consumer: DataConsumerKey) -> Vec<DataConsumerEvent> {
    let events = lab.host().consumer_events(consumer);
    let low = |it: &DataConsumerEvent| matches!(it, DataConsumerEvent::BufferedAmountLow(_));
    events.into_iter().filter(|it| !low(it)).collect()
}

#[test]
fn all_messages_of_a_direct_producer_arrive_at_the_pace_of_the_slowest_peer() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (key, client) = lab.join(router, 1);
    let (other, quick) = lab.join(router, 2);
    let (consumer, _) = lab.host().consume_with(key, producer, blocking(Some(60_000)));
    lab.host().consume(other, producer);
    lab.conditions().rate = Some(100_000);
    let mut messages = numbered(200);
    for _ in 0..600 {
        offer(&mut lab, producer, &mut messages);
        assert!(lab.count(consumer, "bufferedAmount") < u64::from(BOUND) + LEN as u64);
        lab.run_for(Duration::from_millis(100));
    }
    assert!(messages.is_empty());
    let all: Vec<u8> = (0..200).collect();
    assert_eq!(fills(&lab.clients[client].messages()), all);
    assert_eq!(fills(&lab.clients[quick].messages()), all);
    assert_eq!(lab.count(consumer, "messagesDropped"), 0);
    assert_eq!(events(&mut lab, consumer), []);
}

#[test]
fn a_direct_consumer_holds_up_its_producer_until_javascript_has_taken_half() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let direct = lab.host().direct(router);
    let backlog = Arc::new(Backlog::new(BOUND.into()));
    let options = blocking(None);
    let shared = Arc::clone(&backlog);
    let (consumer, _) = lab.host().consume_into(direct, producer, options, shared);
    let mut messages = numbered(50);
    let mut got = Vec::new();
    while got.len() < 50 {
        offer(&mut lab, producer, &mut messages);
        assert!(backlog.charge() < u64::from(BOUND) + 2 * LEN as u64);
        let taken = lab.host().messages(consumer);
        assert!(!taken.is_empty());
        for message in taken {
            got.push(message.payload[0]);
            backlog.leave(message.amount());
        }
        if backlog.take_relief() {
            lab.sfu().handle_relief(consumer);
        }
        let unblocked = lab.sfu().poll_unblocked();
        assert!(messages.is_empty() || unblocked == Some(producer));
    }
    assert_eq!(got, (0..50).collect::<Vec<u8>>());
    assert_eq!(lab.count(consumer, "messagesDropped"), 0);
}

/// The messages of a peer wait for their turn, as each goes to many DataConsumers, when its DTLS session ends.
#[test]
fn what_waits_for_its_turn_when_the_session_ends_waits_for_its_data_consumers() {
    const SENT: u8 = 60;
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    let producer = lab.host().produce(key, 0);
    let listen = lab.host().listen(ours(2));
    let absent = lab.host().plain(router, listen, &options::plain(false));
    for _ in 0..1000 {
        lab.host().consume(absent, producer);
    }
    let direct = lab.host().direct(router);
    let backlog = Arc::new(Backlog::new(1000));
    let bounded = DataConsumerOptions { max_buffered_amount: Some(1000), ..blocking(None) };
    let (consumer, _) = lab.host().consume_into(direct, producer, bounded, Arc::clone(&backlog));
    for fill in 0..SENT {
        lab.clients[client].send(0, binary(fill, 10));
    }
    lab.flush();
    lab.clients[client].close();
    lab.flush();
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.count(consumer, "messagesDropped"), 0);
    let mut got = Vec::new();
    lab.expect("all messages", |lab| {
        for message in lab.host().messages(consumer) {
            got.push(message.payload[0]);
            backlog.leave(message.amount());
        }
        if backlog.take_relief() {
            lab.sfu().handle_relief(consumer);
        }
        got.len() == usize::from(SENT)
    });
    assert!(got.into_iter().eq(0..SENT));
    assert_eq!(lab.dump(key)["dtlsState"], "closed");
}

/// A client that sends to another one through the worker, and paces itself by its own buffered amount only.
struct Transfer {
    lab: Lab,
    from: usize,
    to: usize,
    consumer: DataConsumerKey,
    sent: u32,
}

impl Transfer {
    fn new(options: DataConsumerOptions) -> Self {
        let (mut lab, router) = Lab::with_router();
        let (a, from) = lab.join(router, 1);
        let (b, to) = lab.join(router, 2);
        let producer = lab.host().produce(a, 5);
        let (consumer, _) = lab.host().consume_with(b, producer, options);
        // 12 Mbit/s, and a round trip of 40 ms.
        *lab.conditions() = Conditions {
            delay: Duration::from_millis(20),
            rate: Some(1_500_000),
            queue: 60_000,
            ..Conditions::PERFECT
        };
        Self { lab, from, to, consumer, sent: 0 }
    }

    /// Sends up to `count` messages of 16 KiB while less than 1 MiB waits here, for `time`.
    fn run(&mut self, count: u32, time: Duration) {
        let end = self.lab.now + time;
        while self.lab.now < end {
            let socket = &mut self.lab.clients[self.from].sctp;
            while self.sent < count && socket.socket.buffered_amount(TheirStreamId(5)) < 1 << 20 {
                let mut payload = vec![0; 16 * 1024];
                payload[..4].copy_from_slice(&self.sent.to_be_bytes());
                let message = Message::new(Ppid::BINARY, payload.into());
                socket.send(5, message);
                self.sent += 1;
            }
            self.lab.run_for(Duration::from_millis(5));
        }
    }

    fn arrived(&self) -> Vec<u32> {
        let messages = &self.lab.clients[self.to].sctp.messages;
        let number = |it: &Message| it.payload[..4].try_into().map(u32::from_be_bytes);
        messages.iter().map(|(_, it)| number(it).expect("four bytes")).collect()
    }
}

#[test]
fn a_peer_that_reads_its_own_buffered_amount_loses_nothing_to_one_that_stops_reading() {
    let mut it =
        Transfer::new(DataConsumerOptions { max_buffered_amount: None, ..blocking(Some(60_000)) });
    it.run(1200, Duration::from_secs(2));
    it.lab.clients[it.to].frozen = true;
    it.run(1200, Duration::from_secs(10));
    let held = it.lab.sfu().bytes_held();
    assert!(held < 4_500_000, "2 MB for one peer, and a receive window of the other: {held}");
    let waits = it.lab.clients[it.from].sctp.socket.buffered_amount(TheirStreamId(5));
    assert!(waits > 900_000, "the rest is where it comes from: {waits}");
    assert!(it.sent < 600, "{}", it.sent);
    it.lab.clients[it.to].frozen = false;
    it.run(1200, Duration::from_secs(60));
    assert_eq!(it.arrived(), (0..1200).collect::<Vec<_>>());
    assert_eq!(it.lab.count(it.consumer, "messagesDropped"), 0);
    assert_eq!(events(&mut it.lab, it.consumer), []);
}

#[test]
fn without_a_policy_most_of_the_same_is_lost() {
    let mut it = Transfer::new(options::consumer());
    it.lab.clients[it.to].frozen = true;
    it.run(1200, Duration::from_secs(20));
    assert!(it.lab.count(it.consumer, "messagesDropped") > 800);
}

#[test]
fn what_a_peer_sent_before_it_left_arrives_although_its_producer_was_blocked() {
    for closes in [true, false] {
        let mut it = Transfer::new(blocking(None));
        it.lab.clients[it.to].frozen = true;
        it.run(40, Duration::from_secs(3));
        assert_eq!(it.lab.clients[it.from].sctp.socket.buffered_amount(TheirStreamId(5)), 0);
        if closes {
            it.lab.clients[it.from].close();
        } else {
            it.lab.clients[it.from].sctp.reset(5);
        }
        it.run(40, Duration::from_secs(1));
        it.lab.clients[it.to].frozen = false;
        it.run(40, Duration::from_secs(30));
        assert_eq!(it.arrived(), (0..40).collect::<Vec<_>>(), "closes: {closes}");
    }
}

#[test]
fn tiny_messages_that_wait_do_not_end_the_association() {
    let mut it = Transfer::new(blocking(None));
    it.lab.clients[it.to].frozen = true;
    let mut sent = 0u32;
    for _ in 0..2000 {
        let client = &mut it.lab.clients[it.from].sctp;
        for _ in 0..20 {
            if client.socket.buffered_amount(TheirStreamId(5)) < 100_000 {
                client.send(5, Message::new(Ppid::BINARY, sent.to_be_bytes().to_vec().into()));
                sent += 1;
            }
        }
        it.lab.run_for(Duration::from_millis(5));
    }
    assert!(!it.lab.clients[it.from].sctp.aborted);
    assert!(sent > 10_000, "{sent}");
    it.lab.clients[it.to].frozen = false;
    it.lab.expect("all", |lab| lab.clients[it.to].sctp.messages.len() == sent as usize);
    assert_eq!(it.arrived(), (0..sent).collect::<Vec<_>>());
}

/// With four clients that block, the first of which is frozen: the longest gaps between messages of the others.
#[test]
fn one_frozen_consumer_holds_up_the_others_for_its_timeout_and_is_stalled() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (key, frozen) = lab.join(router, 1);
    let (consumer, _) = lab.host().consume_with(key, producer, blocking(Some(500)));
    let others: Vec<usize> = (2..5)
        .map(|n| {
            let (key, client) = lab.join(router, n);
            lab.host().consume_with(key, producer, blocking(Some(500)));
            client
        })
        .collect();
    lab.clients[frozen].frozen = true;
    let mut messages = VecDeque::new();
    let mut arrivals: Vec<Vec<Instant>> = vec![Vec::new(); others.len()];
    for round in 0..400 {
        messages.push_back(binary(round as u8, 1000));
        offer(&mut lab, producer, &mut messages);
        lab.run_for(Duration::from_millis(10));
        for (client, times) in others.iter().zip(&mut arrivals) {
            let now = lab.now;
            times.extend(lab.clients[*client].messages().iter().map(|_| now));
        }
    }
    lab.run_for(Duration::from_secs(1));
    for ((client, times), number) in others.iter().zip(&mut arrivals).zip(0..) {
        times.extend(lab.clients[*client].messages().iter().map(|_| lab.now));
        assert_eq!(times.len(), 400, "nothing is lost");
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let long = gaps.iter().filter(|gap| **gap > Duration::from_millis(50)).count();
        assert_eq!(long, 1, "{number}: one gap: {gaps:?}");
        let longest = gaps.iter().max().expect("gaps");
        assert!(*longest <= Duration::from_millis(530), "{longest:?}");
    }
    let seen = events(&mut lab, consumer);
    assert_eq!(seen[0], DataConsumerEvent::Stalled);
    assert!(seen[1..].iter().all(|it| *it == DataConsumerEvent::SctpSendBufferFull), "{seen:?}");
    assert!(lab.count(consumer, "messagesDroppedFull") > 50);

    lab.clients[frozen].frozen = false;
    lab.expect("it catches up", |lab| lab.count(consumer, "bufferedAmount") == 0);
    let seen = events(&mut lab, consumer);
    assert!(seen.contains(&DataConsumerEvent::Unstalled), "{seen:?}");
}

#[test]
fn stalls_share_their_timeout_over_a_minute_live_and_during_a_replay() {
    for replays in [false, true] {
        let (mut lab, router) = Lab::with_router();
        let (producer, mut messages) = match replays {
            true => (retaining(&mut lab, router, 100), following(100, 100)),
            false => (lab.source(router), numbered(200)),
        };
        let direct = lab.host().direct(router);
        let backlog = Arc::new(Backlog::new(BOUND.into()));
        let shared = Arc::clone(&backlog);
        let options = blocking(Some(5000));
        let (consumer, _) = lab.host().consume_into(direct, producer, options, shared);
        let take = |lab: &mut Lab| {
            for message in lab.host().messages(consumer) {
                backlog.leave(message.amount());
            }
            if backlog.take_relief() {
                lab.sfu().handle_relief(consumer);
            }
            lab.flush();
        };
        for _ in 0..2 {
            offer(&mut lab, producer, &mut messages);
            assert!(lab.sfu().is_blocked(producer));
            lab.run_for(Duration::from_secs(2));
            take(&mut lab);
        }
        offer(&mut lab, producer, &mut messages);
        lab.run_for(Duration::from_millis(999));
        assert!(lab.sfu().is_blocked(producer));
        assert_eq!(events(&mut lab, consumer), []);
        lab.run_for(Duration::from_millis(2));
        assert_eq!(events(&mut lab, consumer), [DataConsumerEvent::Stalled]);
        assert!(!lab.sfu().is_blocked(producer));
        take(&mut lab);
        let seen = events(&mut lab, consumer);
        // It has dropped what was left of the replay.
        assert_eq!(seen.len(), if replays { 2 } else { 1 }, "{seen:?}");
        assert_eq!(seen.last(), Some(&DataConsumerEvent::Unstalled));
        // A minute later it may hold up its DataProducer again.
        lab.run_for(Duration::from_secs(61));
        offer(&mut lab, producer, &mut messages);
        lab.run_for(Duration::from_millis(4900));
        assert!(lab.sfu().is_blocked(producer));
    }
}

#[test]
fn one_that_has_stalled_is_unstalled_once_by_another_policy() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let direct = lab.host().direct(router);
    let backlog = Arc::new(Backlog::new(BOUND.into()));
    let shared = Arc::clone(&backlog);
    let (to_javascript, _) = lab.host().consume_into(direct, producer, blocking(Some(500)), shared);
    let (key, client) = lab.join(router, 1);
    let (to_peer, _) = lab.host().consume_with(key, producer, blocking(Some(500)));
    lab.clients[client].frozen = true;
    let mut messages = numbered(50);
    for _ in 0..20 {
        offer(&mut lab, producer, &mut messages);
        lab.run_for(Duration::from_millis(100));
    }
    let seen = |lab: &mut Lab, consumer| {
        lab.flush();
        let mut events = events(lab, consumer);
        events.retain(|it| matches!(it, DataConsumerEvent::Stalled | DataConsumerEvent::Unstalled));
        events
    };
    for consumer in [to_javascript, to_peer] {
        assert_eq!(seen(&mut lab, consumer), [DataConsumerEvent::Stalled]);
        for (overflow, expected) in [
            (Overflow::Block, vec![]),
            (Overflow::DropNewest, vec![DataConsumerEvent::Unstalled]),
            (Overflow::DropOldest, vec![]),
        ] {
            let mut it = lab.sfu().data_consumer(consumer).expect("open");
            it.set_overflow(overflow).expect("supported");
            assert_eq!(seen(&mut lab, consumer), expected, "{overflow:?}");
        }
    }
    for message in lab.host().messages(to_javascript) {
        backlog.leave(message.amount());
    }
    lab.sfu().handle_relief(to_javascript);
    lab.clients[client].frozen = false;
    lab.expect("it catches up", |lab| lab.count(to_peer, "bufferedAmount") == 0);
    for consumer in [to_javascript, to_peer] {
        assert_eq!(seen(&mut lab, consumer), [], "no second one");
    }
}

#[test]
fn a_pause_a_close_or_another_policy_lets_the_producer_go_on() {
    type Act = fn(&mut Lab, DataConsumerKey);
    let acts: [Act; 3] = [
        |lab, consumer| lab.sfu().data_consumer(consumer).expect("open").pause(),
        |lab, consumer| lab.sfu().data_consumer(consumer).expect("open").close(),
        |lab, consumer| {
            let mut it = lab.sfu().data_consumer(consumer).expect("open");
            it.set_overflow(Overflow::DropNewest).expect("supported");
        },
    ];
    for act in acts {
        let (mut lab, router) = Lab::with_router();
        let producer = lab.source(router);
        let direct = lab.host().direct(router);
        let backlog = Arc::new(Backlog::new(BOUND.into()));
        let (consumer, _) = lab.host().consume_into(direct, producer, blocking(None), backlog);
        let mut messages = numbered(50);
        offer(&mut lab, producer, &mut messages);
        assert!(lab.sfu().is_blocked(producer));
        act(&mut lab, consumer);
        offer(&mut lab, producer, &mut messages);
        assert!(messages.is_empty());
    }
}

#[test]
fn a_consumer_blocks_only_while_its_transport_is_connected() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (key, client) = lab.invite(router, 1);
    let (consumer, _) = lab.host().consume_with(key, producer, blocking(None));
    let mut messages = numbered(50);
    offer(&mut lab, producer, &mut messages);
    assert!(messages.is_empty(), "it is not connected yet");
    assert!(lab.count(consumer, "messagesDroppedFull") > 30);
    lab.connected(key, client);
    lab.run_for(Duration::from_secs(10));
    lab.clients[client].frozen = true;
    let mut messages = numbered(100);
    offer(&mut lab, producer, &mut messages);
    assert!(!messages.is_empty());
    lab.clients[client].frozen = false;
    lab.clients[client].close();
    lab.run_for(Duration::from_secs(5));
    offer(&mut lab, producer, &mut messages);
    assert!(messages.is_empty(), "the association has ended");
}

/// The keys at the far end of a pipe.
const FAR_PIPE: TransportKey = TransportKey(1_000_001);
const FAR_DIRECT: TransportKey = TransportKey(1_000_002);

/// Two workers with a pipe between them.
fn piped(tunnel: bool) -> (Lab, RouterKey, TransportKey) {
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let router = lab.host().router();
    let options = options::pipe();
    let listen = lab.host().listen(ours(1));
    let near = lab.host().pipe(router, listen, &options);
    let far = &mut lab.hosts[1];
    let far_router = far.router();
    let listen = far.listen(ours(2));
    let mut it = far.sfu.router(far_router).expect("open");
    it.create_pipe_transport(FAR_PIPE, &options, listen);
    it.create_direct_transport(FAR_DIRECT, &options::direct());
    for (host, key, other) in [(0, near, FAR_PIPE), (1, FAR_PIPE, near)] {
        if tunnel {
            lab.hosts[host].sfu.transport(key).expect("open").tunnel().expect("a pipe");
            lab.tunnels.insert((host, key), (1 - host, other));
        }
        lab.hosts[host].connect_udp(key, ours(2 - host as u16));
    }
    lab.run_for(Duration::from_secs(1));
    (lab, router, near)
}

#[test]
fn a_tunnel_waits_for_the_consumers_at_its_far_end_and_carries_others_meanwhile() {
    let (mut lab, router, near) = piped(true);
    let (file, chat) = (lab.source(router), lab.source(router));
    let mut far = Vec::new();
    for (producer, options) in [(file, blocking(None)), (chat, options::consumer())] {
        let (_, dump) = lab.host().consume_with(near, producer, options);
        let mut options = options::producer();
        options.sctp_stream_parameters = dump.sctp_stream_parameters;
        far.push(lab.hosts[1].produce_with(FAR_PIPE, options));
    }
    let backlog = Arc::new(Backlog::new(BOUND.into()));
    let shared = Arc::clone(&backlog);
    let (sink, _) = lab.hosts[1].consume_into(FAR_DIRECT, far[0], blocking(None), shared);
    let (other, _) = lab.hosts[1].consume(FAR_DIRECT, far[1]);
    let mut messages = numbered(200);
    let mut got = Vec::new();
    let mut chats = 0;
    while got.len() < 200 {
        offer(&mut lab, file, &mut messages);
        let held = lab.hosts[0].sfu.bytes_held() + lab.hosts[1].sfu.bytes_held();
        assert!(held < 3 * u64::from(BOUND), "{held}");
        lab.sfu().send(chat, binary(1, 10), None);
        chats += 1;
        lab.flush();
        let taken = lab.hosts[1].messages(sink);
        assert!(!taken.is_empty(), "{} of 200", got.len());
        for message in taken {
            got.push(message.payload[0]);
            backlog.leave(message.amount());
        }
        if backlog.take_relief() {
            lab.hosts[1].sfu.handle_relief(sink);
        }
        lab.flush();
    }
    assert_eq!(got, (0..200).collect::<Vec<u8>>());
    assert_eq!(lab.hosts[1].messages(other).len(), chats, "nothing of it has waited");
}

#[test]
fn the_policies_of_a_tunnel_apply_to_what_the_far_end_has_given_no_credit_for() {
    for (overflow, last) in [(Overflow::DropOldest, 99), (Overflow::KeepLatest, 99)] {
        let (mut lab, router, near) = piped(true);
        let producer = lab.source(router);
        let options = DataConsumerOptions { overflow: Some(overflow), ..blocking(None) };
        let (consumer, dump) = lab.host().consume_with(near, producer, options);
        let mut options = options::producer();
        options.sctp_stream_parameters = dump.sctp_stream_parameters;
        let far = lab.hosts[1].produce_with(FAR_PIPE, options);
        let (sink, _) = lab.hosts[1].consume(FAR_DIRECT, far);
        // Nothing is carried in between.
        for fill in 0..100 {
            lab.sfu().send(producer, binary(fill, LEN), None);
        }
        let replaced = lab.count(consumer, "messagesDroppedReplaced");
        assert!(replaced > 80, "{replaced}");
        lab.flush();
        let messages = lab.hosts[1].messages(sink);
        assert_eq!(messages.len() as u64, 100 - replaced);
        assert_eq!(messages.last().map(|it| it.payload[0]), Some(last));
        assert_eq!(lab.count(consumer, "messagesSent"), 100 - replaced);
        assert_eq!(lab.count(consumer, "bufferedAmount"), 0);
    }
}

#[test]
fn what_waits_in_a_tunnel_leaves_once_a_later_policy_lets_it() {
    let (mut lab, router, near) = piped(true);
    let producer = lab.source(router);
    let options =
        DataConsumerOptions { overflow: Some(Overflow::KeepLatest), ..options::consumer() };
    let (consumer, dump) = lab.host().consume_with(near, producer, options);
    let mut options = options::producer();
    options.sctp_stream_parameters = dump.sctp_stream_parameters;
    let far = lab.hosts[1].produce_with(FAR_PIPE, options);
    let (sink, _) = lab.hosts[1].consume(FAR_DIRECT, far);
    lab.flush();
    // The first message is under way, and the second one waits for it to be taken.
    for fill in 0..2 {
        lab.sfu().send(producer, binary(fill, LEN), None);
        lab.sfu().flush();
    }
    let mut it = lab.sfu().data_consumer(consumer).expect("open");
    it.set_overflow(Overflow::DropOldest).expect("supported");
    lab.flush();
    let fills: Vec<u8> = lab.hosts[1].messages(sink).iter().map(|it| it.payload[0]).collect();
    assert_eq!(fills, [0, 1]);
}

#[test]
fn a_pipe_over_the_network_does_not_support_it_at_either_end() {
    let (mut lab, router, near) = piped(false);
    let producer = lab.source(router);
    let id = lab.host().producer_id(producer);
    let key = DataConsumerKey(lab.host().key());
    let options = DataConsumerOptions { data_producer_id: id, ..blocking(None) };
    let mut pipe = lab.sfu().transport(near).expect("open");
    let error = pipe.consume_data(key, options, options::backlog()).expect_err("a pipe");
    assert_eq!(error.name(), "UnsupportedError");
    let (consumer, dump) = lab.host().consume(near, producer);
    let mut it = lab.sfu().data_consumer(consumer).expect("open");
    assert!(it.set_overflow(Overflow::Block).is_err());
    assert!(it.set_overflow(Overflow::DropOldest).is_ok());
    let mut options = options::producer();
    options.sctp_stream_parameters = dump.sctp_stream_parameters;
    let far = lab.hosts[1].produce_with(FAR_PIPE, options);
    let (sink, _) = lab.hosts[1].consume(FAR_DIRECT, far);
    let mut it = lab.hosts[1].sfu.data_consumer(sink).expect("open");
    assert!(it.set_overflow(Overflow::Block).is_err());
}

/// A client behind a slow path, whose DataConsumer blocks with the default timeout, and the messages that wait for it.
struct SlowPeer {
    lab: Lab,
    producer: DataProducerKey,
    consumer: DataConsumerKey,
    client: usize,
    messages: VecDeque<Message>,
}

impl SlowPeer {
    fn new(rate: u32) -> Self {
        let (mut lab, router) = Lab::with_router();
        let producer = lab.source(router);
        let (key, client) = lab.join(router, 1);
        let (consumer, _) = lab.host().consume_with(key, producer, blocking(Some(5000)));
        lab.conditions().rate = Some(rate);
        // The queue takes a second to drain.
        lab.conditions().queue = rate.max(1500) as usize;
        Self { lab, producer, consumer, client, messages: numbered(200) }
    }

    fn run(&mut self, time: Duration) {
        let end = self.lab.now + time;
        while self.lab.now < end {
            offer(&mut self.lab, self.producer, &mut self.messages);
            self.lab.run_for(Duration::from_millis(100));
        }
    }

    fn stalls(&mut self) -> usize {
        let events = events(&mut self.lab, self.consumer);
        events.iter().filter(|it| **it == DataConsumerEvent::Stalled).count()
    }
}

#[test]
fn a_peer_that_is_slow_never_stalls_and_does_once_it_takes_nothing() {
    for rate in [3000, 20_000] {
        let mut it = SlowPeer::new(rate);
        it.run(Duration::from_secs(240));
        assert_eq!(it.stalls(), 0, "{rate} bytes per second");
        it.messages = numbered(200);
        it.run(Duration::from_secs(1));
        assert!(it.lab.sfu().is_blocked(it.producer));
        it.lab.clients[it.client].frozen = true;
        it.run(Duration::from_millis(4900));
        assert_eq!(it.stalls(), 0);
        it.run(Duration::from_millis(700));
        assert_eq!(it.stalls(), 1);
    }
}

#[test]
fn a_peer_that_takes_a_little_now_and_then_stalls() {
    let mut it = SlowPeer::new(150);
    it.run(Duration::from_secs(60));
    assert_eq!(it.stalls(), 1);
}

#[test]
fn javascript_that_takes_a_message_now_and_then_is_slow_and_does_not_stall() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let direct = lab.host().direct(router);
    let backlog = Arc::new(Backlog::new(BOUND.into()));
    let shared = Arc::clone(&backlog);
    let (consumer, _) = lab.host().consume_into(direct, producer, blocking(Some(5000)), shared);
    let mut messages = numbered(100);
    let mut taken = 0;
    let mut waiting = VecDeque::new();
    while taken < 100 {
        offer(&mut lab, producer, &mut messages);
        waiting.extend(lab.host().messages(consumer));
        let message: Message = waiting.pop_front().expect("a message");
        taken += 1;
        backlog.leave(message.amount());
        if backlog.take_relief() {
            lab.sfu().handle_relief(consumer);
        }
        lab.run_for(Duration::from_secs(2));
        assert_eq!(events(&mut lab, consumer), [], "after {taken} messages");
    }
    assert_eq!(lab.count(consumer, "messagesDropped"), 0);
}

/// The longest gap between two messages of each client except the first, which is frozen, with this policy for all.
/// Asserts that the others lose nothing.
fn longest_gaps(
    lab: &mut Lab,
    router: RouterKey,
    clients: &[(TransportKey, usize)],
    options: DataConsumerOptions,
) -> Vec<Duration> {
    const ROUNDS: usize = 100;
    let options = DataConsumerOptions { max_buffered_amount: Some(20_000), ..options };
    let producer = lab.source(router);
    for (key, _) in clients {
        lab.host().consume_with(*key, producer, options.clone());
    }
    let mut messages = VecDeque::new();
    let mut last = vec![lab.now; clients.len()];
    let mut longest = vec![Duration::ZERO; clients.len()];
    let mut received = vec![0; clients.len()];
    for round in 0..ROUNDS + 50 {
        if round < ROUNDS {
            messages.push_back(binary(round as u8, 1000));
        }
        offer(lab, producer, &mut messages);
        lab.run_for(ROUND);
        for (n, (_, client)) in clients.iter().enumerate().skip(1) {
            let count = lab.clients[*client].messages().len();
            if count > 0 {
                received[n] += count;
                longest[n] = longest[n].max(lab.now - last[n]);
                last[n] = lab.now;
            }
        }
    }
    assert!(received.iter().skip(1).all(|it| *it == ROUNDS), "{received:?}");
    longest.split_off(1)
}

const ROUND: Duration = Duration::from_millis(20);

#[test]
fn one_of_200_that_is_frozen_costs_the_others_one_gap_of_its_timeout_or_none() {
    let (mut lab, router) = Lab::with_router();
    let clients: Vec<_> = (1..=200).map(|n| lab.join(router, n)).collect();
    lab.clients[clients[0].1].frozen = true;
    let blocking = blocking(Some(500));
    for gap in longest_gaps(&mut lab, router, &clients, blocking.clone()) {
        let timeout = Duration::from_millis(500);
        assert!(gap > timeout / 2 && gap <= timeout + ROUND, "{gap:?}");
    }
    let dropping = DataConsumerOptions { overflow: Some(Overflow::DropOldest), ..blocking };
    for gap in longest_gaps(&mut lab, router, &clients, dropping) {
        assert!(gap <= ROUND, "{gap:?}");
    }
}

#[test]
fn what_a_data_producer_has_held_leaves_before_its_peer_goes_on() {
    const COUNT: usize = 1000;
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let (from, sender) = lab.join(router, 1);
    let producer = DataProducerKey(lab.host().key());
    let options = DataProducerOptions {
        paused: true,
        while_paused: WhilePaused::Hold,
        ..options::producer_on(5)
    };
    // Room for the messages that come during the pause, and no more.
    let intake = Arc::new(Backlog::new(COUNT as u64 * 66));
    lab.sfu().transport(from).expect("open").produce_data(producer, options, intake).expect("made");
    let (consumer, _) = lab.host().consume(direct, producer);
    // So many that few messages are released in a turn.
    (0..100).for_each(|_| drop(lab.host().consume(direct, producer)));
    let send = |lab: &mut Lab| {
        for n in 0..COUNT as u16 {
            let payload = n.to_be_bytes().to_vec().into();
            lab.clients[sender].send(5, Message::new(Ppid::BINARY, payload));
        }
    };
    send(&mut lab);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.producer_stats(producer)["messagesWaiting"], COUNT);
    lab.sfu().data_consumer(consumer).expect("open").set_overflow(Overflow::Block).expect("may");
    lab.sfu().data_producer(producer).expect("open").resume();
    assert!(lab.sfu().is_blocked(producer), "what it holds comes first");
    send(&mut lab);
    lab.run_for(Duration::from_secs(1));
    let messages = lab.host().messages(consumer);
    let got = messages.iter().map(|it| u16::from_be_bytes([it.payload[0], it.payload[1]]));
    assert!(got.eq((0..COUNT as u16).chain(0..COUNT as u16)), "{} arrive", messages.len());
    assert_eq!(lab.producer_stats(producer)["messagesDroppedFull"], 0);
    assert!(!lab.sfu().is_blocked(producer));
}

/// A DataProducer that has retained numbered messages.
fn retaining(lab: &mut Lab, router: RouterKey, count: u8) -> DataProducerKey {
    let direct = lab.host().direct(router);
    let retain = Some(RetainOptions { messages: 1000, bytes: 64 << 20, max_age: None });
    let options = DataProducerOptions { retain, ..options::producer() };
    let producer = lab.host().produce_with(direct, options);
    offer(lab, producer, &mut numbered(count));
    producer
}

/// The messages that follow the first ones.
fn following(first: u8, count: u8) -> VecDeque<Message> {
    numbered(first + count).split_off(first.into())
}

#[test]
fn a_peer_whose_queue_takes_a_tenth_of_what_is_retained_gets_all_of_it_and_all_that_follows() {
    for connected in [true, false] {
        let (mut lab, router) = Lab::with_router();
        let producer = retaining(&mut lab, router, 100);
        let (key, client) = if connected { lab.join(router, 1) } else { lab.invite(router, 1) };
        let (consumer, _) = lab.host().consume_with(key, producer, blocking(Some(60_000)));
        let mut messages = VecDeque::new();
        if !connected {
            assert_eq!(lab.count(consumer, "messagesWaiting"), 90);
            lab.connected(key, client);
        }
        lab.conditions().rate = Some(100_000);
        messages.extend(following(100, 100));
        for _ in 0..400 {
            offer(&mut lab, producer, &mut messages);
            assert!(lab.count(consumer, "bufferedAmount") < u64::from(BOUND) + LEN as u64);
            lab.run_for(Duration::from_millis(100));
        }
        assert!(messages.is_empty());
        let all: Vec<u8> = (0..200).collect();
        assert_eq!(fills(&lab.clients[client].messages()), all, "connected: {connected}");
        assert_eq!(lab.count(consumer, "messagesDropped"), 0);
        assert_eq!(events(&mut lab, consumer), []);
    }
}

#[test]
fn javascript_and_the_far_end_of_a_tunnel_get_all_that_is_retained_and_all_that_follows() {
    let (mut lab, [near, far]) = two_workers(By::Tunnel);
    let retain = Some(RetainOptions { messages: 1000, bytes: 64 << 20, max_age: None });
    let options = DataProducerOptions { retain, ..options::producer() };
    let producer = lab.host().produce_with(near.direct, options);
    offer(&mut lab, producer, &mut numbered(100));
    let backlog = Arc::new(Backlog::new(BOUND.into()));
    let (options, shared) = (blocking(Some(60_000)), Arc::clone(&backlog));
    let (here, _) = lab.host().consume_into(near.direct, producer, options, shared);
    let (carrier, dump) = lab.host().consume_with(near.pipe, producer, blocking(None));
    let options = DataProducerOptions {
        sctp_stream_parameters: dump.sctp_stream_parameters,
        ..options::producer()
    };
    let remote = lab.hosts[1].produce_with(far.pipe, options);
    let (there, _) = lab.hosts[1].consume(far.direct, remote);
    let mut messages = following(100, 100);
    let mut got = [Vec::new(), Vec::new()];
    while got[0].len() < 200 {
        offer(&mut lab, producer, &mut messages);
        lab.run_for(Duration::from_millis(10));
        let taken = lab.host().messages(here);
        assert!(!taken.is_empty(), "{}", got[0].len());
        taken.iter().for_each(|it| backlog.leave(it.amount()));
        got[0].extend(taken.iter().map(|it| it.payload[0]));
        if backlog.take_relief() {
            lab.sfu().handle_relief(here);
        }
        got[1].extend(lab.hosts[1].messages(there).iter().map(|it| it.payload[0]));
    }
    let all: Vec<u8> = (0..200).collect();
    assert_eq!(got, [all.clone(), all]);
    for consumer in [here, carrier] {
        assert_eq!(lab.count(consumer, "messagesDropped"), 0);
    }
}

#[test]
fn a_frozen_peer_holds_up_its_producer_during_a_replay_until_it_stalls_is_paused_or_may_not() {
    for what in ["stalls", "is paused", "drops", "closes"] {
        let (mut lab, router) = Lab::with_router();
        let producer = retaining(&mut lab, router, 100);
        let (key, client) = lab.join(router, 1);
        lab.clients[client].frozen = true;
        let timeout = (what == "stalls").then_some(500);
        let (consumer, _) = lab.host().consume_with(key, producer, blocking(timeout));
        let mut messages = following(100, 10);
        for _ in 0..4 {
            offer(&mut lab, producer, &mut messages);
            lab.run_for(Duration::from_millis(100));
        }
        assert_eq!(messages.len(), 10, "{what}");
        assert_eq!(lab.count(consumer, "messagesDropped"), 0);
        let mut it = lab.sfu().data_consumer(consumer).expect("open");
        match what {
            "stalls" => lab.run_for(Duration::from_millis(200)),
            "is paused" => it.pause(),
            "drops" => it.set_overflow(Overflow::DropNewest).expect("supported"),
            _ => it.close(),
        }
        lab.run_for(Duration::from_millis(10));
        offer(&mut lab, producer, &mut messages);
        assert!(messages.is_empty(), "{what}");
        if what == "closes" {
            assert!(lab.sfu().metrics().messages_dropped.at_close > 50);
            continue;
        }
        let dropped = lab.count(consumer, "messagesDroppedFull");
        assert_eq!(dropped > 50, what != "is paused", "{what}: {dropped}");
        lab.clients[client].frozen = false;
        lab.run_for(Duration::from_secs(20));
        let arrived = lab.clients[client].messages().len() as u64;
        let paused = lab.count(consumer, "messagesPaused");
        assert_eq!(paused, if what == "is paused" { 10 } else { 0 });
        assert_eq!(arrived + dropped + paused, 110, "{what}");
        assert_eq!(lab.count(consumer, "messagesWaiting"), 0);
        let stalls = [DataConsumerEvent::Stalled, DataConsumerEvent::Unstalled];
        let seen = events(&mut lab, consumer);
        assert_eq!(stalls.iter().all(|it| seen.contains(it)), what == "stalls", "{seen:?}");
    }
}

#[test]
fn a_consumer_that_is_getting_what_is_retained_holds_up_its_producer_although_its_queue_has_room() {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let retain = Some(RetainOptions { messages: 3000, bytes: 300_000, max_age: None });
    let options = DataProducerOptions { retain, ..options::producer() };
    let producer = lab.host().produce_with(direct, options);
    (0..3000).for_each(|_| lab.sfu().send(producer, binary(0, 4), None));
    let backlog = Arc::new(Backlog::new(3100 * 68));
    let shared = Arc::clone(&backlog);
    let (consumer, _) = lab.host().consume_into(direct, producer, blocking(Some(0)), shared);
    // These ten would leave the retained messages no room.
    let mut messages: VecDeque<_> = (0..10).map(|_| binary(1, 100_000)).collect();
    offer(&mut lab, producer, &mut messages);
    assert_eq!(messages.len(), 10);
    lab.run_for(Duration::from_millis(1));
    assert_eq!(backlog.charge(), 3000 * 68);
    offer(&mut lab, producer, &mut messages);
    assert_eq!(messages.len(), 9, "its queue is full");
    assert_eq!(lab.host().messages(consumer).len(), 3001);
    assert_eq!(lab.count(consumer, "messagesDropped"), 0);
}
