//! 'Where did my message go?' in docs/security.md: random programs against every kind of transport. After each step the
//! counters of each DataConsumer add up, and those of all entities add up to the metrics of their worker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::message::{Amount, Message};
use datasoup::proto::overflow::Overflow;
use datasoup::sfu::Sfu;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, DirectTransportOptions, PipeTransportOptions,
    PlainTransportOptions, SctpOptions, WebRtcTransportOptions, WhilePaused,
};
use datasoup::sfu::contract::stats::{DataConsumerStats, DataProducerStats};
use datasoup::sfu::event::DataConsumerEvent;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use datasoup::sfu::memory::Memory;
use datasoup::sfu::subchannels::{Selector, Subchannels};

use serde::Serialize;
use serde_json::Value;

use crate::common::lab::{Lab, binary, ours, theirs};
use crate::common::options;
use crate::common::sim::{Conditions, Random};

/// The kinds of transports that the DataConsumers are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Direct,
    WebRtc,
    Plain,
    Pipe,
    Tunnel,
}

const STEPS: usize = 400;
const MAX_SEND: u32 = 20_000;
const BOUND: u32 = 60_000;

/// The last statistics of each entity that a worker has or had, by the worker's index and the entity's key.
#[derive(Default)]
struct Books {
    stats: BTreeMap<(usize, u32), Value>,
    /// Whether a policy has closed a DataConsumer, whose last counters are unknown.
    incomplete: bool,
}

impl Books {
    fn enter(&mut self, host: usize, key: u32, stats: &impl Serialize) {
        self.stats.insert((host, key), serde_json::to_value(stats).expect("JSON"));
    }

    /// The sum of these counters of all entities of this type of statistics.
    fn sum(&self, host: usize, kind: &str, counters: &[&str]) -> u64 {
        let of_host = self.stats.iter().filter(|((it, _), _)| *it == host).map(|(_, stats)| stats);
        let stats = of_host.filter(|it| it["type"].as_str().is_some_and(|it| it.ends_with(kind)));
        stats.flat_map(|it| counters.iter().filter_map(|name| it[*name].as_u64())).sum()
    }

    #[track_caller]
    fn check(&self, host: usize, sfu: &mut Sfu) {
        /// A queue with a policy may drop messages that it has accepted.
        const ACCEPTED: [&str; 4] =
            ["messagesSent", "messagesWaiting", "messagesDroppedReplaced", "messagesDroppedStale"];
        let metrics = serde_json::to_value(sfu.metrics()).expect("JSON");
        for (metric, kind, counters) in [
            ("/messagesReceived", "producer", &["messagesReceived"][..]),
            ("/messageBytesReceived", "producer", &["bytesReceived"]),
            ("/messagesSkipped/producer_paused", "producer", &["messagesPaused"]),
            ("/messagesDropped/limited", "producer", &["messagesLimited"]),
            ("/messagesSent", "consumer", &ACCEPTED),
            ("/messagesSentDirectly", "consumer", &["messagesSentDirectly"]),
            ("/messageBytesSentDirectly", "consumer", &["bytesSentDirectly"]),
            ("/messagesRejected", "consumer", &["messagesRejected"]),
            ("/messagesSkipped/consumer_paused", "consumer", &["messagesPaused"]),
            ("/messagesSkipped/filtered", "consumer", &["messagesFiltered"]),
            ("/messagesDropped/full", "", &["messagesDroppedFull"]),
            ("/messagesDropped/replaced", "consumer", &["messagesDroppedReplaced"]),
            ("/messagesDropped/too_large", "consumer", &["messagesDroppedTooLarge"]),
            ("/messagesDropped/unsendable", "", &["messagesDroppedUnsendable"]),
            ("/messagesDropped/expired", "transport", &["messagesExpired"]),
            ("/messagesDropped/abandoned", "transport", &["messagesAbandoned"]),
            ("/messagesDropped/unsent", "transport", &["messagesUnsent"]),
            ("/messagesDropped/discarded", "transport", &["messagesDiscarded"]),
            ("/messagesDropped/unrouted", "transport", &["messagesUnrouted"]),
            ("/bytesSent/webrtc", "webrtc-transport", &["bytesSent"]),
            ("/bytesReceived/webrtc", "webrtc-transport", &["bytesReceived"]),
            ("/bytesSent/plain", "plain-rtp-transport", &["bytesSent"]),
            ("/bytesReceived/plain", "plain-rtp-transport", &["bytesReceived"]),
            ("/bytesSent/pipe", "pipe-transport", &["bytesSent"]),
            ("/bytesReceived/pipe", "pipe-transport", &["bytesReceived"]),
            ("/sctpChunksRetransmitted/rack", "transport", &["sctpChunksRetransmittedRack"]),
            ("/sctpChunksRetransmitted/probe", "transport", &["sctpChunksRetransmittedProbe"]),
            ("/sctpChunksRetransmitted/timeout", "transport", &["sctpChunksRetransmittedTimeout"]),
            ("/sctpBytesRetransmitted/timeout", "transport", &["sctpBytesRetransmittedTimeout"]),
        ] {
            if self.incomplete && !kind.ends_with("transport") {
                continue;
            }
            let total = metrics.pointer(metric).and_then(Value::as_u64);
            assert_eq!(total, Some(self.sum(host, kind, counters)), "{metric} of worker {host}");
        }
    }
}

/// What happened to messages in all programs of a kind, by the name of the counter.
type Outcomes = BTreeMap<&'static str, u64>;

/// A DataConsumer and what the program knows about it.
struct Sink {
    key: DataConsumerKey,
    host: usize,
    producer: (usize, DataProducerKey),
    /// What its DataProducer had received while not paused before the consumer was made.
    base: u64,
    backlog: Arc<Backlog>,
    direct: bool,
    /// Whether it holds what comes while it is paused.
    holds: bool,
    /// Whether JavaScript asks for its messages.
    pulled: bool,
    sent_directly: u64,
    rejected: u64,
}

struct Program {
    kind: Kind,
    lab: Lab,
    random: Random,
    producer: DataProducerKey,
    /// The messages of JavaScript that have not reached the worker.
    intake: Arc<Backlog>,
    on_their_way: VecDeque<(Message, Option<Arc<Selector>>)>,
    transport: TransportKey,
    sinks: Vec<Sink>,
    /// What each worker may hold, if that is limited.
    memories: Vec<Arc<Memory>>,
    /// What DataConsumers on `transport` that have closed had sent, in both ways.
    closed_sent: u64,
    outcomes: Outcomes,
    /// Whether the association has ended.
    ended: bool,
    /// How many consumers their policy has closed.
    closed_by_policy: u64,
    books: Books,
}

fn sctp() -> SctpOptions {
    SctpOptions {
        max_send_message_size: MAX_SEND,
        send_buffer_size: 2 * BOUND,
        per_stream_send_queue_limit: BOUND,
        ..options::sctp()
    }
}

fn selector(random: &mut Random) -> Option<Arc<Selector>> {
    let one = |random: &mut Random| random.chance(0.2).then(|| random.below(8) as u16);
    let subchannels = (0..random.below(4)).map(|_| random.below(8) as u16).collect();
    let selector = Selector { subchannels, required: one(random), ignored: one(random) };
    (random.chance(0.5) && !selector.is_empty()).then(|| Arc::new(selector))
}

/// A random policy. `may_block`: the transports are not pipes over the network.
fn policy(random: &mut Random, may_block: bool) -> Overflow {
    match random.below(if may_block { 9 } else { 7 }) {
        0..2 => Overflow::DropNewest,
        2..4 => Overflow::DropOldest,
        4..6 => Overflow::KeepLatest,
        6 => Overflow::Close,
        _ => Overflow::Block,
    }
}

impl Program {
    fn new(kind: Kind, seed: u64, max_memory: Option<u64>) -> Self {
        let mut lab = Lab::with(2, Conditions::PERFECT, seed);
        let memories: Vec<_> = max_memory
            .into_iter()
            .flat_map(|max| [(); 2].map(|()| Arc::new(Memory::new(max))))
            .collect();
        for (host, memory) in lab.hosts.iter_mut().zip(&memories) {
            host.sfu.limit_memory(Arc::clone(memory));
        }
        let router = lab.host().router();
        let source = lab.host().direct(router);
        let producer = DataProducerKey(lab.host().key());
        let intake = options::backlog();
        let mut direct = lab.sfu().transport(source).expect("open");
        direct.produce_data(producer, options::producer(), Arc::clone(&intake)).expect("made");
        let transport = match kind {
            Kind::Direct => {
                let key = TransportKey(lab.host().key());
                let options =
                    DirectTransportOptions { max_send_message_size: MAX_SEND, ..options::direct() };
                lab.sfu().router(router).expect("open").create_direct_transport(key, &options);
                key
            }
            Kind::WebRtc => {
                let options = WebRtcTransportOptions { sctp: Some(sctp()), ..options::webrtc() };
                lab.join_with(router, 1, options).0
            }
            Kind::Plain => {
                let listen = lab.host().listen(ours(1));
                let options = PlainTransportOptions { sctp: Some(sctp()), ..options::plain(false) };
                let key = lab.host().plain(router, listen, &options);
                lab.host().connect_udp(key, theirs(1));
                let peer = lab.plain_peer(1, ours(1), true);
                lab.expect("connected", |lab| lab.plain_peers[peer].sctp.is_connected());
                key
            }
            Kind::Pipe | Kind::Tunnel => pipe(&mut lab, router, kind == Kind::Tunnel),
        };
        let random = Random(seed);
        let (sinks, closed_sent) = (Vec::new(), 0);
        let outcomes = Outcomes::new();
        let on_their_way = VecDeque::new();
        let mut program = Self {
            kind,
            lab,
            random,
            producer,
            intake,
            on_their_way,
            transport,
            sinks,
            memories,
            closed_sent,
            outcomes,
            ended: false,
            closed_by_policy: 0,
            books: Books::default(),
        };
        program.consume();
        program
    }

    /// Adds a DataConsumer of the DataProducer. Behind a pipe also the DataProducer at the far end, and its consumer.
    fn consume(&mut self) {
        let random = &mut self.random;
        let may_block = self.kind != Kind::Pipe;
        let limited = random.chance(0.3) && self.kind != Kind::Direct;
        let while_paused = if random.chance(0.3) { WhilePaused::Hold } else { WhilePaused::Drop };
        let may_block = may_block && while_paused == WhilePaused::Drop;
        let options = DataConsumerOptions {
            paused: random.chance(0.2),
            while_paused,
            subchannels: (0..random.below(6)).map(|_| random.below(8) as u16).collect(),
            max_packet_life_time: limited.then_some(50),
            overflow: random.chance(0.6).then(|| policy(random, may_block)),
            max_buffered_amount: random.chance(0.3).then(|| 1 + random.below(BOUND.into()) as u32),
            max_queue_delay: random.chance(0.3).then(|| random.below(200) as u32),
            overflow_timeout: random.chance(0.5).then(|| random.below(2000) as u32),
            ..options::consumer()
        };
        let direct = self.kind == Kind::Direct;
        let bound = if direct { u64::from(BOUND) } else { 0 };
        let dump = self.sink((0, self.transport), (0, self.producer), options, bound);
        if matches!(self.kind, Kind::Pipe | Kind::Tunnel) {
            let far = &mut self.lab.hosts[1];
            let options = DataProducerOptions {
                sctp_stream_parameters: dump.sctp_stream_parameters,
                ..options::producer()
            };
            let producer = far.produce_with(FAR_PIPE, options);
            let paused = self.random.chance(0.2);
            let overflow = (self.random.chance(0.3) && may_block).then_some(Overflow::Block);
            let options = DataConsumerOptions { paused, overflow, ..options::consumer() };
            self.sink((1, FAR_DIRECT), (1, producer), options, u64::from(BOUND));
        }
    }

    fn sink(
        &mut self,
        (host, transport): (usize, TransportKey),
        producer: (usize, DataProducerKey),
        options: DataConsumerOptions,
        bound: u64,
    ) -> datasoup::sfu::contract::dump::DataConsumerDump {
        let backlog = Arc::new(Backlog::new(bound));
        let holds = options.while_paused == WhilePaused::Hold;
        let base = self.received(producer);
        let (key, dump) =
            self.lab.hosts[host].consume_into(transport, producer.1, options, Arc::clone(&backlog));
        let direct = bound > 0;
        let (sent_directly, rejected) = (0, 0);
        self.sinks.push(Sink {
            key,
            host,
            producer,
            base,
            backlog,
            direct,
            holds,
            pulled: false,
            sent_directly,
            rejected,
        });
        dump
    }

    /// What a DataProducer has received while it was not paused.
    fn received(&mut self, (host, key): (usize, DataProducerKey)) -> u64 {
        let producer = self.lab.hosts[host].sfu.data_producer(key);
        let DataProducerStats { messages_received, messages_paused, .. } =
            producer.expect("open").get_stats();
        messages_received - messages_paused
    }

    fn stats(&mut self, index: usize) -> DataConsumerStats {
        let Sink { host, key, .. } = self.sinks[index];
        self.lab.hosts[host].sfu.data_consumer(key).expect("open").get_stats()
    }

    fn step(&mut self) {
        let index = self.random.index(self.sinks.len());
        let direct = self.sinks[index].direct;
        match self.random.below(40) {
            0 => self.consumer(index).pause(),
            1..3 => self.consumer(index).resume(),
            3 => self.lab.sfu().data_producer(self.producer).expect("open").pause(),
            4..7 => self.lab.sfu().data_producer(self.producer).expect("open").resume(),
            7 => {
                let random = &mut self.random;
                let set = Subchannels::new((0..random.below(6)).map(|_| random.below(8) as u16));
                self.consumer(index).set_subchannels(set);
            }
            8..13 if !direct => {
                let len = self.len();
                let sent = self.consumer(index).send(binary(2, len)).is_ok();
                let sink = &mut self.sinks[index];
                *(if sent { &mut sink.sent_directly } else { &mut sink.rejected }) += 1;
            }
            13 if !direct => {
                self.consumer(index).reject();
                self.sinks[index].rejected += 1;
            }
            14 if !direct && self.sinks.len() > 2 && self.kind == Kind::WebRtc => {
                let stats = self.stats(index);
                self.closed_sent += stats.messages_sent + stats.messages_waiting;
                self.closed_sent += stats.messages_sent_directly;
                self.tally(index);
                self.consumer(index).close();
                self.sinks.remove(index);
            }
            14 if direct => self.toggle_pulls(index),
            15 if self.random.chance(0.5) => {
                let may_block = self.kind != Kind::Pipe && !self.sinks[index].holds;
                let overflow = policy(&mut self.random, may_block);
                self.consumer(index).set_overflow(overflow).expect("supported");
            }
            15 if self.sinks.len() < 8 && !self.ended => self.consume(),
            16 => self.freeze(true),
            17..19 => self.freeze(false),
            19..24 => {
                let time = Duration::from_millis(self.random.below(100));
                self.lab.run_for(time);
            }
            24..27 => self.take(),
            27..29 => (0..10).for_each(|_| self.send()),
            _ => self.send(),
        }
        if self.random.chance(0.7) {
            self.route();
        }
        self.forget_closed();
    }

    /// The worker takes what JavaScript has sent, unless the DataProducer is blocked.
    fn route(&mut self) {
        while !self.lab.sfu().is_blocked(self.producer)
            && let Some((message, selector)) = self.on_their_way.pop_front()
        {
            self.lab.sfu().send(self.producer, message, selector.as_ref());
        }
    }

    /// Forgets the consumers that have closed because their queue was full. Their events said how much was dropped.
    fn forget_closed(&mut self) {
        self.lab.flush();
        let closed: Vec<usize> = (0..self.sinks.len())
            .filter(|it| {
                let Sink { host, key, .. } = self.sinks[*it];
                self.lab.hosts[host].sfu.data_consumer(key).is_err()
            })
            .collect();
        for index in closed.into_iter().rev() {
            let Sink { host, key, backlog, direct, .. } = self.sinks.remove(index);
            if direct {
                // JavaScript still gets what was delivered before.
                let messages = self.lab.hosts[host].messages(key);
                messages.iter().for_each(|message| backlog.leave(message.amount()));
                backlog.close_pulls();
                while backlog.pull(self.lab.now).is_some() {}
                assert_eq!(backlog.amount(), Amount::default());
            }
            let events = self.lab.hosts[host].consumer_events(key);
            let [.., DataConsumerEvent::Overflow(dropped), DataConsumerEvent::OverflowClose] =
                events[..]
            else {
                panic!("{events:?}")
            };
            assert!(dropped.messages > 0);
            self.closed_by_policy += 1;
        }
        if self.sinks.is_empty() && !self.ended {
            self.consume();
        }
    }

    fn send(&mut self) {
        let (message, selector) = (binary(1, self.len()), selector(&mut self.random));
        let subchannels = selector.as_ref().map_or(0, |it| it.subchannels.len());
        if self.intake.try_enter(message.amount().with_subchannels(subchannels)) {
            self.on_their_way.push_back((message, selector));
        } else if self.intake.overflow() {
            self.lab.sfu().notify_drain(self.producer);
        }
    }

    fn consumer(&mut self, index: usize) -> datasoup::sfu::data_consumer::DataConsumerMut<'_> {
        let Sink { host, key, .. } = self.sinks[index];
        self.lab.hosts[host].sfu.data_consumer(key).expect("open")
    }

    /// JavaScript begins or ends to pull the messages of a direct consumer.
    fn toggle_pulls(&mut self, index: usize) {
        self.take();
        let Sink { pulled, backlog, .. } = &mut self.sinks[index];
        *pulled = !*pulled;
        match pulled {
            true => backlog.use_queue().begin_pulls(),
            false => backlog.end_pulls(),
        }
    }

    fn len(&mut self) -> usize {
        [1, 100, 3000, 15_000, MAX_SEND as usize + 1][self.random.index(5)]
    }

    /// The peer vanishes, or comes back.
    fn freeze(&mut self, frozen: bool) {
        self.lab.clients.iter_mut().for_each(|it| it.frozen = frozen);
        self.lab.plain_peers.iter_mut().for_each(|it| it.frozen = frozen);
        if self.kind == Kind::Pipe {
            self.lab.conditions().loss = if frozen { 1.0 } else { 0.0 };
        }
    }

    /// JavaScript takes what waits for it.
    fn take(&mut self) {
        self.lab.flush();
        for sink in self.sinks.iter().filter(|it| it.direct) {
            let host = &mut self.lab.hosts[sink.host];
            for message in host.messages(sink.key) {
                sink.backlog.leave(message.amount());
            }
            while sink.backlog.pull(self.lab.now).is_some() {}
            if sink.backlog.take_relief() {
                host.sfu.handle_relief(sink.key);
            }
            assert!(sink.holds || sink.backlog.amount() == Amount::default());
        }
    }

    /// Checks the counters of every consumer.
    #[track_caller]
    fn check(&mut self) {
        for index in 0..self.sinks.len() {
            let it = self.stats(index);
            let Sink { producer, base, sent_directly, rejected, .. } = self.sinks[index];
            let offered = self.received(producer) - base;
            let accounted = it.messages_sent
                + it.messages_waiting
                + it.messages_dropped
                + it.messages_paused
                + it.messages_filtered;
            assert_eq!(offered, accounted, "{it:?}");
            let reasons = it.messages_dropped_full
                + it.messages_dropped_replaced
                + it.messages_dropped_stale
                + it.messages_dropped_too_large
                + it.messages_dropped_unsendable;
            assert_eq!(it.messages_dropped, reasons, "{it:?}");
            let directly = (it.messages_sent_directly, it.messages_rejected);
            assert_eq!(directly, (sent_directly, rejected), "{it:?}");
        }
        self.lab.flush();
        for (host, memory) in self.lab.hosts.iter_mut().zip(&self.memories) {
            assert_eq!(memory.held(), host.sfu.bytes_held(), "what each entity holds");
        }
        self.check_metrics();
    }

    /// Compares the metrics of each worker with the sums of what its entities count.
    #[track_caller]
    fn check_metrics(&mut self) {
        self.books.incomplete |= self.closed_by_policy > 0;
        let mut producers = vec![(0, self.producer)];
        for Sink { host, key, producer, .. } in &self.sinks {
            producers.push(*producer);
            match self.lab.hosts[*host].sfu.data_consumer(*key) {
                Ok(mut consumer) => self.books.enter(*host, key.0, &consumer.get_stats()),
                Err(_) => self.books.incomplete = true,
            }
        }
        for (host, key) in producers {
            let mut producer = self.lab.hosts[host].sfu.data_producer(key).expect("open");
            self.books.enter(host, key.0, &producer.get_stats());
        }
        for (host, key) in [(0, self.transport), (1, FAR_PIPE)] {
            if let Ok(mut transport) = self.lab.hosts[host].sfu.transport(key) {
                self.books.enter(host, key.0, &transport.get_stats());
            }
        }
        for (index, host) in self.lab.hosts.iter_mut().enumerate() {
            self.books.check(index, &mut host.sfu);
        }
    }

    /// Closes everything. Nothing is held then.
    #[track_caller]
    fn close(mut self) {
        self.take();
        for index in 0..self.sinks.len() {
            if self.sinks[index].holds {
                self.consumer(index).pause();
            }
        }
        (0..10).for_each(|_| self.send());
        self.route();
        self.forget_closed();
        self.lab.flush();
        for sink in self.sinks.iter().filter(|it| it.direct) {
            // Takes messages that have their place in the outbox, but not held ones.
            let messages = self.lab.hosts[sink.host].messages(sink.key);
            messages.iter().for_each(|message| sink.backlog.leave(message.amount()));
        }
        for host in &mut self.lab.hosts {
            host.sfu.close();
        }
        self.lab.flush();
        // JavaScript asks for the rest.
        for sink in self.sinks.iter().filter(|it| it.pulled) {
            sink.backlog.close_pulls();
            while sink.backlog.pull(self.lab.now).is_some() {}
        }
        for host in &mut self.lab.hosts {
            assert_eq!(host.sfu.metrics().queued_bytes, 0);
        }
        for (host, memory) in self.lab.hosts.iter().zip(&self.memories) {
            assert!(host.sfu.is_empty());
            assert_eq!(memory.held(), 0);
        }
    }

    /// Adds the counters of a consumer to the outcomes.
    fn tally(&mut self, index: usize) {
        let it = self.stats(index);
        for (name, count) in [
            ("messagesSent", it.messages_sent),
            ("messagesDroppedFull", it.messages_dropped_full),
            ("messagesDroppedReplaced", it.messages_dropped_replaced),
            ("messagesDroppedStale", it.messages_dropped_stale),
            ("messagesDroppedTooLarge", it.messages_dropped_too_large),
            ("messagesDroppedUnsendable", it.messages_dropped_unsendable),
            ("messagesPaused", it.messages_paused),
            ("messagesFiltered", it.messages_filtered),
            ("messagesSentDirectly", it.messages_sent_directly),
            ("messagesRejected", it.messages_rejected),
        ] {
            *self.outcomes.entry(name).or_default() += count;
        }
    }

    /// Compares what the transport's consumers have sent with what arrived and what the transport counts. Everything
    /// that waits is delivered first.
    #[track_caller]
    fn check_transport(&mut self) {
        self.freeze(false);
        for index in 0..self.sinks.len() {
            if self.sinks[index].holds {
                self.consumer(index).resume();
            }
        }
        self.lab.run_for(Duration::from_secs(60));
        let on_transport: Vec<usize> =
            (0..self.sinks.len()).filter(|it| !self.sinks[*it].direct).collect();
        let mut sent = self.closed_sent;
        for index in on_transport {
            let it = self.stats(index);
            assert_eq!(it.buffered_amount, 0, "nothing waits any more");
            sent += it.messages_sent + it.messages_sent_directly;
        }
        let arrived = match self.kind {
            // What a DataConsumer had sent when its policy closed it is not known.
            _ if self.closed_by_policy > 0 => return,
            Kind::Direct => return,
            Kind::WebRtc => self.lab.clients[0].sctp.messages.len() as u64,
            Kind::Plain => self.lab.plain_peers[0].sctp.messages.len() as u64,
            Kind::Pipe | Kind::Tunnel => {
                let producers: Vec<_> = self.sinks.iter().map(|it| it.producer).collect();
                let far = &mut self.lab.hosts[1].sfu;
                let mut arrived =
                    far.transport(FAR_PIPE).expect("open").get_stats().messages_unrouted;
                for (_, key) in producers.into_iter().filter(|(host, _)| *host == 1) {
                    arrived += far.data_producer(key).expect("open").get_stats().messages_received;
                }
                arrived
            }
        };
        let stats = self.lab.stats(self.transport);
        let count = |name: &str| stats[name].as_u64().expect("a counter");
        for name in ["messagesExpired", "messagesDiscarded", "messagesAbandoned"] {
            *self.outcomes.entry(name).or_default() += count(name);
        }
        let known = arrived
            + count("messagesExpired")
            + count("messagesUnsent")
            + count("messagesDiscarded");
        // A message that was abandoned may have arrived.
        let abandoned = count("messagesAbandoned");
        assert!(
            known <= sent && sent <= known + abandoned,
            "{sent} sent, {arrived} arrived: {stats}"
        );
    }

    /// Ends the association, and sends more.
    fn end(&mut self) {
        self.ended = true;
        self.check_metrics();
        self.lab.sfu().data_producer(self.producer).expect("open").resume();
        match self.kind {
            Kind::Direct => {}
            Kind::WebRtc => self.lab.clients[0].close(),
            // The association fails 55 s after the last packet.
            Kind::Plain => self.freeze(true),
            Kind::Pipe | Kind::Tunnel => {
                // The far consumers would be gone.
                self.take();
                self.sinks.retain(|it| it.host == 0);
                self.lab.hosts[1].sfu.transport(FAR_PIPE).expect("open").close();
            }
        }
        self.lab.run_for(Duration::from_secs(90));
        for _ in 0..20 {
            self.step();
            self.check();
        }
    }
}

/// The keys at the far end of a pipe.
const FAR_PIPE: TransportKey = TransportKey(1_000_001);
const FAR_DIRECT: TransportKey = TransportKey(1_000_002);

/// Joins the router with one of the second worker. Returns the near end.
fn pipe(lab: &mut Lab, router: datasoup::sfu::id::RouterKey, tunnel: bool) -> TransportKey {
    let options = PipeTransportOptions { sctp: Some(sctp()), ..options::pipe() };
    let listen = lab.host().listen(ours(1));
    let near = lab.host().pipe(router, listen, &options);
    let far = &mut lab.hosts[1];
    let router = far.router();
    let listen = far.listen(ours(2));
    let mut router = far.sfu.router(router).expect("open");
    router.create_pipe_transport(FAR_PIPE, &options, listen);
    router.create_direct_transport(FAR_DIRECT, &options::direct());
    for (host, key, other) in [(0, near, FAR_PIPE), (1, FAR_PIPE, near)] {
        if tunnel {
            lab.hosts[host].sfu.transport(key).expect("open").tunnel().expect("a pipe");
            lab.tunnels.insert((host, key), (1 - host, other));
        }
        lab.hosts[host].connect_udp(key, ours(2 - host as u16));
    }
    near
}

/// Runs random programs. Returns what happened to messages in all of them.
fn run(kind: Kind, max_memory: Option<u64>) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for seed in 0..6 {
        let mut program = Program::new(kind, seed, max_memory);
        for _ in 0..STEPS {
            program.step();
            program.check();
        }
        program.check_transport();
        program.end();
        (0..program.sinks.len()).for_each(|it| program.tally(it));
        for (name, count) in &program.outcomes {
            *outcomes.entry(name).or_default() += count;
        }
        let refused: u64 = program.memories.iter().map(|it| it.refused()).sum();
        assert!(max_memory.is_none() || refused > 0, "the maximum was never reached");
        program.close();
    }
    outcomes
}

/// Runs random programs of this kind and checks that everything has happened in them, except for what cannot.
#[track_caller]
fn assert_accounts(kind: Kind, never: &[&str]) {
    let outcomes = run(kind, None);
    for (name, count) in &outcomes {
        assert_eq!(*count == 0, never.contains(name), "{name}: {outcomes:?}");
    }
}

#[test]
fn the_counters_of_direct_consumers_add_up() {
    let never = ["messagesDroppedUnsendable", "messagesSentDirectly", "messagesRejected"];
    assert_accounts(Kind::Direct, &never);
}

#[test]
fn the_counters_of_webrtc_consumers_add_up() {
    assert_accounts(Kind::WebRtc, &[]);
}

#[test]
fn the_counters_of_plain_consumers_add_up() {
    assert_accounts(Kind::Plain, &["messagesDiscarded"]);
}

#[test]
fn the_counters_of_pipe_consumers_add_up() {
    assert_accounts(Kind::Pipe, &["messagesDiscarded"]);
}

#[test]
fn the_counters_of_tunnel_consumers_add_up() {
    let never =
        ["messagesDiscarded", "messagesExpired", "messagesAbandoned", "messagesDroppedStale"];
    assert_accounts(Kind::Tunnel, &never);
}

#[test]
fn the_counters_add_up_at_the_maximum_of_the_workers_memory_and_closing_gives_all_of_it_back() {
    for kind in [Kind::Direct, Kind::WebRtc, Kind::Plain, Kind::Pipe, Kind::Tunnel] {
        run(kind, Some(50_000));
    }
}
