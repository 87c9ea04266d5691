//! Two associations on a bad network keep the guarantees to their applications.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use datasoup::proto::message::{Limit, Message, Ppid, Reliability, StreamId};
use datasoup::proto::sctp::{CongestionControl, SctpConfig, SctpEvent, SctpState, Start};

use crate::input::Input;
use crate::peers::{MAX_PACKET, Ours, Pair, config};
use crate::sim::{Conditions, Net, Side};

/// The number of streams in use.
const STREAMS: u8 = 6;

/// The time in which everything must arrive once the network works again.
const HEALED: Duration = Duration::from_secs(300);

/// The maximum of messages in a run.
const MAX_MESSAGES: u32 = 3000;

/// A channel of one side, from when it is opened until either side closes it.
#[derive(Debug)]
struct Channel {
    reliability: Reliability,
    /// The lengths of the messages that send() has accepted.
    sent: Vec<usize>,
    /// The numbers of the messages that have arrived, in order of arrival.
    arrived: Vec<u32>,
    /// True once either side has closed the channel: messages in flight need not arrive then.
    closed: bool,
}

/// A sender, its stream, and the number of its earlier channels there.
type Id = (Side, StreamId, u16);

pub(crate) struct Model {
    pub(crate) net: Pair,
    channels: BTreeMap<Id, Channel>,
    /// The latest channel of a sender on a stream.
    latest: BTreeMap<(Side, StreamId), u16>,
    /// The latest channel from which a message has arrived.
    latest_arrived: BTreeMap<(Side, StreamId), u16>,
    messages: u32,
    data_channels: bool,
}

/// `data` begins with one byte of flags, from the lowest bit: both associations send an INIT; the network is bad from
/// the start; no data channels; small windows; then two bits for the congestion control of each side. Then it has one
/// byte that seeds the network, the network's conditions (see [`conditions`]), and actions (see `Model::act`).
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let bad = conditions(&mut input);
    let from_the_start = flags & 2 != 0;
    let mut model = Model::new(flags, seed, if from_the_start { bad } else { Conditions::PERFECT });
    model.connect();
    *model.net.conditions() = bad;
    model.perform(input);
}

fn conditions(input: &mut Input<'_>) -> Conditions {
    let percent = |byte: u8, most: f64| f64::from(byte) / 255.0 * most;
    Conditions {
        loss: percent(input.byte(), 0.4),
        duplication: percent(input.byte(), 0.4),
        delay: Duration::from_millis(input.byte().into()),
        jitter: Duration::from_millis(input.byte().into()),
        mtu: MAX_PACKET,
        ..Conditions::PERFECT
    }
}

/// The `number`-th message of a channel; its payload holds the channel and the number.
fn message((side, stream, channel): Id, number: u32, len: usize) -> Message {
    let mut payload = vec![side as u8];
    payload.extend_from_slice(&stream.to_be_bytes());
    payload.extend_from_slice(&channel.to_be_bytes());
    payload.extend_from_slice(&number.to_be_bytes());
    payload.resize(len.max(payload.len()), number as u8);
    let ppid = [Ppid::BINARY, Ppid::STRING, Ppid(number), Ppid(1234)][payload.len() % 4];
    let reserved = ppid == Ppid::DCEP || ppid.is_empty();
    Message { ppid: if reserved { Ppid::BINARY } else { ppid }, payload: payload.into() }
}

/// The channel and number in a payload made by [`message`].
fn parse(payload: &Bytes) -> (Id, u32) {
    let [side, s0, s1, c0, c1, n0, n1, n2, n3, ..] = payload[..] else {
        panic!("a message that was never sent: {payload:?}")
    };
    let side = if side == 0 { Side::A } else { Side::B };
    let id = (side, u16::from_be_bytes([s0, s1]), u16::from_be_bytes([c0, c1]));
    (id, u32::from_be_bytes([n0, n1, n2, n3]))
}

impl Model {
    /// The two peers, before the handshake.
    pub(crate) fn new(flags: u8, seed: u8, conditions: Conditions) -> Self {
        use CongestionControl::{Bbr, Cubic, NewReno};
        let flag = |bit: u8| flags & 1 << bit != 0;
        let controls =
            [4, 6].map(|bits| [Cubic, NewReno, Bbr, Cubic][usize::from(flags >> bits & 3)]);
        let config = |start, congestion_control| SctpConfig {
            start,
            congestion_control,
            data_channels: !flag(2),
            max_receiver_window: if flag(3) { 20_000 } else { 5_242_880 },
            max_receive_message_size: if flag(3) { 16_384 } else { 262_144 },
            max_send_message_size: if flag(3) { 16_384 } else { 262_144 },
            ..config()
        };
        let starts =
            if flag(0) { [Start::AtOnce; 2] } else { [Start::AtOnce, Start::AfterSilence] };
        let [a, b] = [0, 1].map(|n| Ours::new(config(starts[n], controls[n])));
        Self {
            net: Net::new(a, b, conditions, seed.into()),
            channels: BTreeMap::new(),
            latest: BTreeMap::new(),
            latest_arrived: BTreeMap::new(),
            messages: 0,
            data_channels: !flag(2),
        }
    }

    /// Completes the handshake.
    pub(crate) fn connect(&mut self) {
        let net = &mut self.net;
        net.a.sctp.connect(net.now);
        net.b.sctp.connect(net.now);
        let up = |net: &mut Pair| net.a.is_connected() && net.b.is_connected();
        if !net.run_until(Duration::from_secs(5), up) {
            *net.conditions() = Conditions::PERFECT;
            let link = net.link.take();
            assert!(
                net.run_until(Duration::from_secs(60), up),
                "the associations connect once the network works"
            );
            net.link = link;
        }
        net.a.events.clear();
        net.b.events.clear();
    }

    /// Performs the actions, and checks what happened to the messages.
    pub(crate) fn perform(mut self, mut input: Input<'_>) {
        while !input.is_empty() && self.messages < MAX_MESSAGES {
            self.act(&mut input);
            self.collect();
        }
        self.heal();
    }

    fn peer(&mut self, side: Side) -> &mut Ours {
        match side {
            Side::A => &mut self.net.a,
            Side::B => &mut self.net.b,
        }
    }

    /// Performs an action. Its byte holds the action in the lower three bits, then the side, then the stream.
    fn act(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let side = if what & 8 == 0 { Side::A } else { Side::B };
        let stream = u16::from((what >> 4) % STREAMS);
        match what & 7 {
            kind @ 0..=2 => {
                let len = usize::from(input.byte()) * if kind == 2 { 257 } else { 1 };
                let count = input.byte() % 32 + 1;
                (0..count).for_each(|_| self.send(side, stream, len));
            }
            3 => {
                let [how, value] = [input.byte(), input.byte()];
                let limit = match how % 4 {
                    0 | 1 => None,
                    2 => Some(Limit::Retransmits(u16::from(value % 8))),
                    _ => Some(Limit::LifetimeMs(u16::from(value) * 8)),
                };
                self.open(side, stream, Reliability { ordered: how & 4 == 0, limit });
            }
            4 => self.close(side, stream),
            5 | 6 => self.wait(input.duration().min(Duration::from_secs(10))),
            _ => *self.net.conditions() = conditions(input),
        }
    }

    fn open(&mut self, side: Side, stream: StreamId, reliability: Reliability) {
        let peer = self.peer(side);
        if !peer.sctp.is_stream_free(stream) {
            return;
        }
        peer.sctp.open_stream(stream, reliability);
        let channel = self.latest.entry((side, stream)).and_modify(|it| *it += 1).or_default();
        let id = (side, stream, *channel);
        let fresh = Channel { reliability, sent: Vec::new(), arrived: Vec::new(), closed: false };
        self.channels.insert(id, fresh);
    }

    fn send(&mut self, side: Side, stream: StreamId, len: usize) {
        self.open(side, stream, Reliability::RELIABLE);
        let Some(&channel) = self.latest.get(&(side, stream)) else { return };
        let id = (side, stream, channel);
        let number = self.channels[&id].sent.len() as u32;
        let message = message(id, number, len);
        let (now, len) = (self.net.now, message.payload.len());
        if self.peer(side).sctp.send(now, stream, message).is_ok() {
            self.channels.get_mut(&id).expect("open").sent.push(len);
            self.messages += 1;
        }
    }

    /// Closes the channel of `side` as its application would, unless either side has closed it.
    fn close(&mut self, side: Side, stream: StreamId) {
        let latest = self.latest.get(&(side, stream));
        if latest.is_some_and(|&channel| !self.channels[&(side, stream, channel)].closed) {
            self.reset(side, stream);
        }
    }

    /// Closes a channel, and with it the other direction.
    fn reset(&mut self, side: Side, stream: StreamId) {
        self.peer(side).sctp.reset_stream(stream);
        self.cut(stream);
    }

    /// Lets time pass. Both sides react to events immediately.
    fn wait(&mut self, time: Duration) {
        let end = self.net.now + time;
        let happened = |net: &mut Pair| !(net.a.events.is_empty() && net.b.events.is_empty());
        while self.net.run_until(end - self.net.now, happened) {
            self.collect();
        }
        self.net.now = end;
        self.collect();
    }

    fn cut(&mut self, stream: StreamId) {
        for side in [Side::A, Side::B] {
            if let Some(&channel) = self.latest.get(&(side, stream)) {
                self.channels.get_mut(&(side, stream, channel)).expect("it was open").closed = true;
            }
        }
    }

    /// Takes and checks the events of both sides.
    fn collect(&mut self) {
        self.net.flush();
        for side in [Side::A, Side::B] {
            let events = std::mem::take(&mut self.peer(side).events);
            for event in events {
                match event {
                    SctpEvent::Message { stream, message } => self.arrived(side, stream, message),
                    SctpEvent::StreamReset { stream } => self.reset(side, stream),
                    SctpEvent::State(state) => assert_eq!(state, SctpState::Connected),
                    _ => {}
                }
            }
        }
    }

    fn arrived(&mut self, at: Side, stream: StreamId, got: Message) {
        let (id, number) = parse(&got.payload);
        assert_eq!(id.1, stream, "a message was delivered to the wrong stream");
        assert_ne!(id.0, at, "a message was delivered to its sender");
        let channel = self.channels.get_mut(&id).expect("of a channel that there was");
        let len = *channel.sent.get(number as usize).expect("of a message that was sent");
        assert!(got == message(id, number, len), "a message differs from what was sent");
        if channel.reliability.ordered {
            let next = channel.arrived.last().map_or(0, |last| last + 1);
            assert!(number >= next, "{number} after {:?} on {id:?}", channel.arrived.last());
            if channel.reliability.limit.is_none() {
                assert_eq!(number, next, "a message is missing on {id:?}");
            }
        }
        channel.arrived.push(number);
        // Without data channels no reset separates a channel from the next.
        if !self.data_channels {
            return;
        }
        let latest = self.latest_arrived.entry((id.0, stream)).or_insert(id.2);
        assert!(id.2 >= *latest, "a message has arrived on a channel after one of its successor");
        *latest = id.2;
    }

    /// Repairs the network, and checks that every guaranteed message arrives and that no queue is left.
    fn heal(mut self) {
        *self.net.conditions() = Conditions::PERFECT;
        self.net.link = None;
        let end = self.net.now + HEALED;
        while self.net.now < end && !self.is_done() {
            self.wait(Duration::from_millis(200));
        }
        self.wait(Duration::from_secs(20));
        assert!(self.net.a.is_connected() && self.net.b.is_connected());
        for (id, channel) in &self.channels {
            let unique: BTreeSet<_> = channel.arrived.iter().collect();
            assert_eq!(
                unique.len(),
                channel.arrived.len(),
                "some messages arrived twice on {id:?}"
            );
            if channel.reliability.limit.is_none() && !channel.closed {
                assert_eq!(
                    channel.arrived.len(),
                    channel.sent.len(),
                    "messages are missing on {id:?}"
                );
            }
        }
        for peer in [&self.net.a, &self.net.b] {
            assert_eq!(peer.sctp.queued_bytes(), 0);
            assert!((0..STREAMS.into()).all(|stream| peer.sctp.buffered_amount(stream) == 0));
        }
    }

    fn is_done(&self) -> bool {
        let arrived = self.channels.values().all(|channel| {
            channel.closed
                || channel.reliability.limit.is_some()
                || channel.arrived.len() == channel.sent.len()
        });
        arrived && self.net.a.sctp.queued_bytes() + self.net.b.sctp.queued_bytes() == 0
    }
}
