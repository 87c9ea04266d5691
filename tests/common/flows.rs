//! Flows over a path with a bottleneck: associations of ours and of dcSCTP that send in one direction, as fast as they
//! may or message by message.

use std::time::{Duration, Instant};

use ::dcsctp::api::StreamId as TheirStreamId;
use bytes::Bytes;
use datasoup::proto::message::{Message, Reliability};
use datasoup::proto::sctp::{Association, CongestionControl, SctpConfig, Start};

use super::dcsctp::DcSctp;
use super::peers::{Ours, config, number, numbered};
use super::sim::{Conditions, Net, Peer, start};

/// The stream of every message.
const STREAM: u16 = 1;

/// A path, the same in both directions: a line with a drop-tail queue, then delay, loss and reordering.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    /// The round trip in milliseconds.
    pub(crate) round_trip: u64,
    /// The fraction of packets that are lost after the queue.
    pub(crate) loss: f64,
    /// The fraction of packets that are late, by up to a quarter of the round trip plus `jitter`.
    pub(crate) late: f64,
    /// In milliseconds.
    pub(crate) jitter: u64,
    /// Bytes per second, 28 bytes of headers per packet included.
    pub(crate) rate: u32,
    /// The bytes that may wait for the line.
    pub(crate) queue: usize,
}

impl Path {
    /// 5 MB/s and a queue of 256 KiB.
    pub(crate) const fn new(round_trip: u64) -> Self {
        Self { round_trip, loss: 0.0, late: 0.0, jitter: 3, rate: 5_000_000, queue: 256 * 1024 }
    }

    pub(crate) const fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    pub(crate) const fn late(self, late: f64) -> Self {
        Self { late, ..self }
    }

    pub(crate) const fn jitter(self, jitter: u64) -> Self {
        Self { jitter, ..self }
    }

    pub(crate) fn round_trip(&self) -> Duration {
        Duration::from_millis(self.round_trip)
    }

    /// The longest time that a packet waits for the line.
    pub(crate) fn longest_wait(&self) -> Duration {
        Duration::from_secs_f64(self.queue as f64 / f64::from(self.rate))
    }

    fn conditions(&self) -> Conditions {
        let round_trip = self.round_trip();
        Conditions {
            delay: round_trip / 2,
            jitter: round_trip / 4 + Duration::from_millis(self.jitter),
            jittery: self.late,
            rate: Some(self.rate),
            queue: self.queue,
            // IPv4 and UDP, less the byte that names the flow.
            headers: 27,
            loss: self.loss,
            ..Conditions::PERFECT
        }
    }
}

/// The implementation at an end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours(CongestionControl),
    DcSctp,
}

impl Kind {
    pub(crate) const CUBIC: Self = Self::Ours(CongestionControl::Cubic);
    pub(crate) const NEW_RENO: Self = Self::Ours(CongestionControl::NewReno);
    pub(crate) const BBR: Self = Self::Ours(CongestionControl::Bbr);
}

enum Side {
    Ours(Box<Ours>),
    DcSctp(Box<DcSctp>),
}

/// A source that always has something to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// The size of its messages.
    pub(crate) len: usize,
    /// It adds messages while fewer bytes than this wait.
    pub(crate) keep: usize,
}

/// A message that has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) number: u32,
    pub(crate) at: Instant,
    pub(crate) len: usize,
}

/// One end of a flow.
pub(crate) struct End {
    side: Side,
    reliability: Reliability,
    source: Option<Source>,
    /// Whether the association was called since its packets were last taken. If not, it has nothing to send.
    touched: bool,
    /// When each message was sent. Its number is its index.
    pub(crate) sent: Vec<Instant>,
    pub(crate) arrived: Vec<Arrival>,
}

impl End {
    fn new(now: Instant, kind: Kind, begins: bool) -> Self {
        let side = match kind {
            Kind::Ours(congestion_control) => {
                let start = if begins { Start::AtOnce } else { Start::Never };
                let config = SctpConfig { congestion_control, start, ..config() };
                let mut ours = Ours::new(config);
                ours.sctp.connect(now);
                ours.sctp.open_stream(STREAM, Reliability::RELIABLE);
                Side::Ours(Box::new(ours))
            }
            Kind::DcSctp => {
                let mut theirs = DcSctp::new(now);
                theirs.strict = true;
                if begins {
                    theirs.connect(now);
                }
                Side::DcSctp(Box::new(theirs))
            }
        };
        let (sent, arrived) = (Vec::new(), Vec::new());
        let reliability = Reliability::RELIABLE;
        Self { side, reliability, source: None, touched: true, sent, arrived }
    }

    fn is_connected(&self) -> bool {
        match &self.side {
            Side::Ours(ours) => ours.is_connected(),
            Side::DcSctp(theirs) => theirs.is_connected(),
        }
    }

    /// The association, if it is ours.
    pub(crate) fn ours(&mut self) -> Option<&mut Association> {
        match &mut self.side {
            Side::Ours(ours) => Some(&mut ours.sctp),
            Side::DcSctp(_) => None,
        }
    }

    /// Sets how messages are sent from now on.
    pub(crate) fn set_reliability(&mut self, reliability: Reliability) {
        self.reliability = reliability;
        if let Side::Ours(ours) = &mut self.side {
            ours.sctp.open_stream(STREAM, reliability);
        }
    }

    pub(crate) fn start(&mut self, source: Source) {
        self.source = Some(source);
        self.touched = true;
    }

    /// Sends the next message.
    pub(crate) fn send(&mut self, now: Instant, len: usize) {
        let message = numbered(self.sent.len() as u32, len);
        self.sent.push(now);
        self.touched = true;
        match &mut self.side {
            Side::Ours(ours) => {
                ours.sctp.send(now, STREAM, message).expect("room");
            }
            Side::DcSctp(theirs) => {
                theirs.advance(now);
                theirs.send_with(STREAM, message, self.reliability);
            }
        }
    }

    /// The bytes of messages that wait to be sent.
    fn waiting(&self) -> usize {
        match &self.side {
            Side::Ours(ours) => ours.sctp.queued_bytes(),
            Side::DcSctp(theirs) => theirs.socket.buffered_amount(TheirStreamId(STREAM)),
        }
    }

    fn peer(&mut self) -> &mut dyn Peer {
        match &mut self.side {
            Side::Ours(ours) => ours.as_mut(),
            Side::DcSctp(theirs) => theirs.as_mut(),
        }
    }

    fn collect(&mut self, now: Instant) {
        self.touched = true;
        let messages: Vec<Message> = match &mut self.side {
            Side::Ours(ours) => ours.take_messages().into_iter().map(|(_, it)| it).collect(),
            Side::DcSctp(theirs) => theirs.messages.drain(..).map(|(_, it)| it).collect(),
        };
        let arrival = |message: &Message| {
            let (number, len) = (number(message), message.payload.len());
            Arrival { number, at: now, len }
        };
        self.arrived.extend(messages.iter().map(arrival));
    }
}

impl Peer for End {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.peer().handle_packet(now, packet);
        self.collect(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer().handle_timeout(now);
        self.collect(now);
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.peer().poll_timeout()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        if !std::mem::take(&mut self.touched) {
            return;
        }
        if let Some(source) = self.source {
            while self.waiting() < source.keep {
                self.send(now, source.len);
            }
            self.touched = false;
        }
        self.peer().drain(now, packets);
    }
}

/// The ends of all flows on one side of the path, which share its line. The first byte of a packet is the number of its
/// flow.
pub(crate) struct Ends(Vec<End>);

impl Peer for Ends {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.0[usize::from(packet[0])].handle_packet(now, packet.slice(1..));
    }

    fn handle_timeout(&mut self, now: Instant) {
        for end in &mut self.0 {
            if end.poll_timeout().is_some_and(|at| at <= now) {
                end.handle_timeout(now);
            }
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.0.iter_mut().filter_map(End::poll_timeout).min()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        let mut own = Vec::new();
        for (flow, end) in self.0.iter_mut().enumerate() {
            end.drain(now, &mut own);
            packets
                .extend(own.drain(..).map(|packet| [&[flow as u8], &packet[..]].concat().into()));
        }
    }
}

/// Flows over one path, all from side A to side B.
pub(crate) struct Flows {
    pub(crate) net: Net<Ends, Ends>,
}

impl Flows {
    /// Connects associations; each flow is given by its sender and its receiver. The handshakes meet neither loss nor
    /// reordering.
    pub(crate) fn new(path: Path, flows: &[(Kind, Kind)], seed: u64) -> Self {
        let now = start();
        let a = flows.iter().map(|(sender, _)| End::new(now, *sender, true)).collect();
        let b = flows.iter().map(|(_, receiver)| End::new(now, *receiver, false)).collect();
        let conditions = path.losing(0.0).late(0.0).conditions();
        let mut net = Net::at(now, Ends(a), Ends(b), conditions, seed);
        let connected = net.run_until(Duration::from_secs(10), |net| {
            net.a.0.iter().chain(&net.b.0).all(End::is_connected)
        });
        assert!(connected, "all flows connect");
        // Lets the last packets of the handshake arrive.
        net.run_for(Duration::from_secs(1));
        *net.conditions() = path.conditions();
        Self { net }
    }

    pub(crate) fn sender(&mut self, flow: usize) -> &mut End {
        &mut self.net.a.0[flow]
    }

    pub(crate) fn receiver(&mut self, flow: usize) -> &mut End {
        &mut self.net.b.0[flow]
    }

    /// Sends the next message of a flow.
    pub(crate) fn send(&mut self, flow: usize, len: usize) {
        let now = self.net.now;
        self.sender(flow).send(now, len);
    }

    /// Sends a message of the first flow, and runs until all messages have arrived.
    pub(crate) fn send_until_arrived(&mut self, len: usize) {
        self.send(0, len);
        let count = self.sender(0).sent.len();
        let arrived =
            self.net.run_until(Duration::from_secs(60), |net| net.b.0[0].arrived.len() == count);
        assert!(arrived, "the message arrives");
    }

    /// The retransmission timeout of a sender.
    pub(crate) fn retransmission_timeout(&mut self, flow: usize) -> Duration {
        let transmission = self.sender(flow).ours().and_then(|it| it.transmission());
        transmission.map_or(Duration::ZERO, |it| it.retransmission_timeout)
    }

    /// The bytes per second that arrive of each flow within `time`.
    pub(crate) fn goodputs(&mut self, time: Duration) -> Vec<f64> {
        self.net.b.0.iter_mut().for_each(|end| end.arrived.clear());
        self.net.run_for(time);
        let bytes = |end: &End| end.arrived.iter().map(|it| it.len).sum::<usize>();
        let rate = |end: &End| bytes(end) as f64 / time.as_secs_f64();
        self.net.b.0.iter().map(rate).collect()
    }

    /// How long each message of a flow that has arrived took.
    pub(crate) fn latencies(&mut self, flow: usize) -> Vec<Duration> {
        let sent = std::mem::take(&mut self.sender(flow).sent);
        let arrived = &self.receiver(flow).arrived;
        arrived.iter().map(|it| it.at - sent[it.number as usize]).collect()
    }
}
