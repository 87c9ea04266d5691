//! A worker and a client on a simulated network, with a channel of every reliability in both directions.

use std::time::{Duration, Instant};

use datasoup::proto::message::{Limit, Message, Reliability};
use datasoup::sfu::contract::options::DataConsumerOptions;
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};

use crate::common::lab::Lab;
use crate::common::options;
use crate::common::peers::numbered;
use crate::common::sim::Conditions;

/// The lifetime of the messages that have one.
pub(crate) const LIFETIME: Duration = Duration::from_millis(100);

/// The round trips of the networks, in milliseconds.
pub(crate) const ROUND_TRIPS: [u64; 5] = [0, 20, 50, 100, 200];

/// A channel, named after what it promises. Its stream id is its place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Ordered,
    Unordered,
    /// `maxRetransmits: 0`.
    Once,
    /// `maxPacketLifeTime: 100`.
    Brief,
}

pub(crate) const CHANNELS: [Channel; 4] =
    [Channel::Ordered, Channel::Unordered, Channel::Once, Channel::Brief];

impl Channel {
    pub(crate) fn stream(self) -> u16 {
        self as u16
    }

    pub(crate) fn is_reliable(self) -> bool {
        matches!(self, Self::Ordered | Self::Unordered)
    }

    fn reliability(self) -> Reliability {
        let limit = match self {
            Self::Ordered | Self::Unordered => None,
            Self::Once => Some(Limit::Retransmits(0)),
            Self::Brief => Some(Limit::LifetimeMs(LIFETIME.as_millis() as u16)),
        };
        Reliability { ordered: self == Self::Ordered, limit }
    }

    fn options(self) -> DataConsumerOptions {
        let limit = self.reliability().limit;
        DataConsumerOptions {
            ordered: Some(self == Self::Ordered),
            stream_id: Some(self.stream()),
            max_retransmits: (limit == Some(Limit::Retransmits(0))).then_some(0),
            max_packet_life_time: matches!(limit, Some(Limit::LifetimeMs(_)))
                .then_some(LIFETIME.as_millis() as u16),
            ..options::consumer()
        }
    }
}

/// From the worker to the client, or from the client to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Down,
    Up,
}

/// What has been sent and received on a channel, in one direction.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// When each message was sent, and its length. The number of a message is its index.
    pub(crate) sent: Vec<(Instant, usize)>,
    /// The numbers of the messages that arrived, and when.
    pub(crate) received: Vec<(u32, Instant)>,
}

impl Log {
    fn next(&mut self, now: Instant, len: usize) -> Message {
        let number = self.sent.len() as u32;
        self.sent.push((now, len));
        numbered(number, len)
    }

    fn receive(&mut self, now: Instant, message: &Message) {
        let number = u32::from_be_bytes(*message.payload.first_chunk().expect("a number"));
        let len = self.sent[number as usize].1;
        assert!(*message == numbered(number, len), "message {number} is not what was sent");
        self.received.push((number, now));
    }

    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.received.iter().map(|(number, _)| *number).collect()
    }

    /// How long the messages took, sorted.
    pub(crate) fn latencies(&self) -> Vec<Duration> {
        let took = |(number, at): &(u32, Instant)| *at - self.sent[*number as usize].0;
        let mut latencies: Vec<Duration> = self.received.iter().map(took).collect();
        latencies.sort_unstable();
        latencies
    }
}

/// A worker and a client, connected.
pub(crate) struct Network {
    pub(crate) lab: Lab,
    pub(crate) transport: TransportKey,
    client: usize,
    producers: Vec<DataProducerKey>,
    pub(crate) consumers: Vec<DataConsumerKey>,
    up_consumers: Vec<DataConsumerKey>,
    down: [Log; 4],
    up: [Log; 4],
}

impl Network {
    pub(crate) fn new(conditions: Conditions, seed: u64) -> Self {
        let mut lab = Lab::with(1, conditions, seed);
        let router = lab.host().router();
        let direct = lab.host().direct(router);
        let (transport, client) = lab.join(router, 1);
        let mut network = Self {
            lab,
            transport,
            client,
            producers: Vec::new(),
            consumers: Vec::new(),
            up_consumers: Vec::new(),
            down: Default::default(),
            up: Default::default(),
        };
        for channel in CHANNELS {
            let host = network.lab.host();
            let producer = host.produce(direct, 0);
            let (consumer, _) = host.consume_with(transport, producer, channel.options());
            let up = host.produce(transport, channel.stream());
            let (up_consumer, _) = host.consume(direct, up);
            network.producers.push(producer);
            network.consumers.push(consumer);
            network.up_consumers.push(up_consumer);
        }
        network
    }

    /// Sends the next message of a channel.
    pub(crate) fn send(&mut self, way: Way, channel: Channel, len: usize) {
        let stream = channel.stream();
        let now = self.lab.now;
        match way {
            Way::Down => {
                let message = self.down[usize::from(stream)].next(now, len);
                let producer = self.producers[usize::from(stream)];
                self.lab.sfu().send(producer, message, None);
            }
            Way::Up => {
                let message = self.up[usize::from(stream)].next(now, len);
                let client = &mut self.lab.clients[self.client];
                client.send_with(stream, message, channel.reliability());
            }
        }
    }

    pub(crate) fn log(&self, way: Way, channel: Channel) -> &Log {
        let logs = if way == Way::Down { &self.down } else { &self.up };
        &logs[usize::from(channel.stream())]
    }

    /// Runs until `done`, for at most `limit` of virtual time. Returns whether it was.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.lab.now + limit;
        loop {
            let left = end.saturating_duration_since(self.lab.now);
            let mut came = false;
            let client = self.client;
            let happened = self.lab.run_until(left, |lab| {
                came =
                    !lab.clients[client].sctp.messages.is_empty() || !lab.host().events.is_empty();
                came
            });
            self.collect();
            if done(self) {
                return true;
            }
            if !happened {
                return false;
            }
        }
    }

    /// Runs for `time`.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.lab.now + time;
        self.run_until(time, |_| false);
        self.lab.now = end;
        self.lab.flush();
        self.collect();
    }

    fn collect(&mut self) {
        let now = self.lab.now;
        for (stream, message) in self.lab.clients[self.client].messages() {
            self.down[usize::from(stream)].receive(now, &message);
        }
        for (consumer, log) in self.up_consumers.iter().zip(&mut self.up) {
            for message in self.lab.host().messages(*consumer) {
                log.receive(now, &message);
            }
        }
        self.lab.host().events.clear();
    }
}
