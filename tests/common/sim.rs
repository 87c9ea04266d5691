//! The simulated network and its virtual time: delay, loss, reordering, duplication and bandwidth. Nothing sleeps, and
//! the same seed gives the same run, except for what the protocols draw themselves.
//!
//! [`InFlight`] holds the packets on their way. [`Net`] connects two [`Peer`]s with it; `lab` connects workers and
//! clients. Both are a [`Timeline`], which [`run_until`] and [`run_for`] move forward.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// A datagram on the network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// The real time, at which virtual time starts: there is no other way to get an `Instant`.
#[allow(clippy::disallowed_methods, reason = "the one place where the tests read the clock")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// A small generator of pseudo-random numbers (SplitMix64), so that a run can be repeated.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True with this probability, 0 to 1.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// An index of something that has `len` items.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// The conditions of the network: the line of the sender carries packets one after the other, then they may be lost,
/// duplicated and delayed. Probabilities are per packet, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// The time from the sender to the receiver.
    pub(crate) delay: Duration,
    /// The longest additional delay, drawn for each packet. Unequal delays also reorder packets.
    pub(crate) jitter: Duration,
    /// The fraction of packets to which jitter applies.
    pub(crate) jittery: f64,
    /// Bytes per second of each sender's line.
    pub(crate) rate: Option<u32>,
    /// The bytes that may wait for the line; packets beyond them are dropped.
    pub(crate) queue: usize,
    /// How many bytes each packet takes on the line beside its own, for the headers of IP and UDP.
    pub(crate) headers: usize,
    /// The probability (0 to 1) that a packet is lost after the line.
    pub(crate) loss: f64,
    /// The probability (0 to 1) that a packet arrives twice.
    pub(crate) duplication: f64,
    /// Packets of more bytes than this are lost, as IP packets with Don't Fragment are.
    pub(crate) mtu: usize,
}

impl Conditions {
    pub(crate) const PERFECT: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        jittery: 1.0,
        rate: None,
        queue: usize::MAX,
        headers: 0,
        loss: 0.0,
        duplication: 0.0,
        mtu: usize::MAX,
    };

    pub(crate) const ROUGH: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(15),
        jittery: 1.0,
        rate: None,
        queue: usize::MAX,
        headers: 0,
        loss: 0.05,
        duplication: 0.05,
        mtu: usize::MAX,
    };

    /// When the line has carried a packet of `len` bytes that is sent now, or `None` if its queue is full. `free_at` is
    /// when the line has carried the packets before it.
    fn carry(&self, free_at: &mut Instant, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.rate.map(f64::from) else { return Some(now) };
        let len = (len + self.headers) as f64;
        let waiting = free_at.saturating_duration_since(now).as_secs_f64() * rate;
        if waiting + len > self.queue as f64 {
            return None;
        }
        *free_at = now.max(*free_at) + Duration::from_secs_f64(len / rate);
        Some(*free_at)
    }

    /// When a packet arrives that the line has carried by `carried`: never, once or twice.
    fn arrivals(
        &self,
        random: &mut Random,
        carried: Instant,
    ) -> impl Iterator<Item = Instant> + use<> {
        let lost = random.chance(self.loss);
        let copies = if lost { 0 } else { 1 + usize::from(random.chance(self.duplication)) };
        let mut arrivals = [carried; 2];
        for arrival in &mut arrivals[..copies] {
            let late = self.jittery >= 1.0 || random.chance(self.jittery);
            let jitter = if late { self.jitter.as_micros() as u64 } else { 0 };
            *arrival += self.delay + Duration::from_micros(random.below(jitter + 1));
        }
        arrivals.into_iter().take(copies)
    }
}

/// The packets on their way, in the order of their arrival. `S` names a sender, whose packets share its bandwidth.
pub(crate) struct InFlight<S, P> {
    pub(crate) conditions: Conditions,
    random: Random,
    packets: BinaryHeap<Reverse<(Instant, u64, P)>>,
    /// The number of packets sent so far. Packets that arrive at the same moment are delivered in the order of this
    /// number.
    order: u64,
    free_at: HashMap<S, Instant>,
    /// The number of packets that found the queue of their line full.
    pub(crate) overflowed: u64,
}

impl<S: Eq + Hash, P: Clone + Ord> InFlight<S, P> {
    pub(crate) fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            random: Random(seed),
            packets: BinaryHeap::new(),
            order: 0,
            free_at: HashMap::new(),
            overflowed: 0,
        }
    }

    /// Sends a packet of `len` bytes, which arrives as the conditions say.
    pub(crate) fn send(&mut self, now: Instant, from: S, len: usize, packet: P) {
        if len > self.conditions.mtu {
            return;
        }
        let free_at = self.free_at.entry(from).or_insert(now);
        let Some(carried) = self.conditions.carry(free_at, now, len) else {
            self.overflowed += 1;
            return;
        };
        for at in self.conditions.arrivals(&mut self.random, carried) {
            self.order += 1;
            self.packets.push(Reverse((at, self.order, packet.clone())));
        }
    }

    /// Schedules a packet to arrive at this moment, whatever the conditions are.
    pub(crate) fn deliver_at(&mut self, at: Instant, packet: P) {
        self.order += 1;
        self.packets.push(Reverse((at, self.order, packet)));
    }

    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.packets.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next packet that has arrived.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<P> {
        let arrived = self.next_arrival().is_some_and(|at| at <= now);
        let Reverse((_, _, packet)) = arrived.then(|| self.packets.pop())??;
        Some(packet)
    }
}

/// Something that runs in virtual time.
pub(crate) trait Timeline {
    fn now(&mut self) -> &mut Instant;
    /// Takes what was sent to the network.
    fn flush(&mut self);
    /// The next arrival or deadline.
    fn next_event(&mut self) -> Option<Instant>;
    /// Delivers what has arrived by now, and runs the timers that are due.
    fn advance(&mut self);
}

/// Runs until `done` returns true, for at most `limit` of virtual time. Returns the last result of `done`.
pub(crate) fn run_until<T: Timeline>(
    timeline: &mut T,
    limit: Duration,
    mut done: impl FnMut(&mut T) -> bool,
) -> bool {
    let end = *timeline.now() + limit;
    let mut steps = 0;
    loop {
        timeline.flush();
        if done(timeline) {
            return true;
        }
        let Some(next) = timeline.next_event().filter(|next| *next <= end) else { return false };
        let now = timeline.now();
        steps = if next > *now { 0 } else { steps + 1 };
        assert!(steps < 10_000, "virtual time stands still");
        *now = next.max(*now);
        timeline.advance();
    }
}

/// Runs for `time` of virtual time.
pub(crate) fn run_for<T: Timeline>(timeline: &mut T, time: Duration) {
    let end = *timeline.now() + time;
    run_until(timeline, time, |_| false);
    *timeline.now() = end;
    timeline.flush();
}

/// One end of a [`Net`].
pub(crate) trait Peer {
    fn handle_packet(&mut self, now: Instant, packet: Bytes);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&mut self) -> Option<Instant>;
    /// Appends the packets that are due.
    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>);
}

/// One of the two peers of a [`Net`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    A,
    B,
}

/// A function that gets every packet and its sender, and returns false to lose the packet.
pub(crate) type Filter = Box<dyn FnMut(Side, &Bytes) -> bool>;

/// A network instead of [`Conditions`]: returns what arrives for a packet of this sender, each with its delay.
pub(crate) type Link<'a> = dyn FnMut(Side, Bytes) -> Vec<(Duration, Bytes)> + 'a;

/// Two peers and the network between them.
pub(crate) struct Net<A, B> {
    pub(crate) now: Instant,
    pub(crate) a: A,
    pub(crate) b: B,
    /// Loses packets before the conditions apply, so that a test can choose which packets are lost.
    pub(crate) filter: Option<Filter>,
    /// Replaces the conditions, if present.
    pub(crate) link: Option<Box<Link<'static>>>,
    /// The packets that were sent, with time and sender, if a test has asked for them.
    pub(crate) trace: Option<Vec<(Instant, Side, Bytes)>>,
    /// The number of packets that A and B have sent.
    pub(crate) sent: [u64; 2],
    in_flight: InFlight<Side, (Side, Bytes)>,
}

impl<A: Peer, B: Peer> Net<A, B> {
    pub(crate) fn new(a: A, b: B, conditions: Conditions, seed: u64) -> Self {
        Self::at(start(), a, b, conditions, seed)
    }

    /// Starts at `now`, for peers that were made at that time.
    pub(crate) fn at(now: Instant, a: A, b: B, conditions: Conditions, seed: u64) -> Self {
        let in_flight = InFlight::new(conditions, seed);
        Self { now, a, b, filter: None, link: None, trace: None, sent: [0; 2], in_flight }
    }

    pub(crate) fn conditions(&mut self) -> &mut Conditions {
        &mut self.in_flight.conditions
    }

    /// The number of packets that were dropped because a queue was full.
    pub(crate) fn overflowed(&self) -> u64 {
        self.in_flight.overflowed
    }

    /// See [`run_until`].
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        run_until(self, limit, done)
    }

    /// See [`run_for`].
    pub(crate) fn run_for(&mut self, time: Duration) {
        run_for(self, time);
    }

    /// Runs for `time` with `link` instead of the conditions.
    pub(crate) fn run_through(&mut self, time: Duration, link: &mut Link<'_>) {
        run_for(&mut Through { net: self, link }, time);
    }

    /// Takes the packets of both peers to the network.
    pub(crate) fn flush(&mut self) {
        if let Some(mut link) = self.link.take() {
            self.flush_through(&mut *link);
            self.link = Some(link);
            return;
        }
        self.flush_with(|net, from, packet| {
            net.in_flight.send(net.now, from, packet.len(), (from, packet));
        });
    }

    fn flush_through(&mut self, link: &mut Link<'_>) {
        self.flush_with(|net, from, packet| {
            for (delay, packet) in link(from, packet) {
                net.in_flight.deliver_at(net.now + delay, (from, packet));
            }
        });
    }

    fn flush_with(&mut self, mut send: impl FnMut(&mut Self, Side, Bytes)) {
        let mut packets = Vec::new();
        for side in [Side::A, Side::B] {
            match side {
                Side::A => self.a.drain(self.now, &mut packets),
                Side::B => self.b.drain(self.now, &mut packets),
            }
            for packet in packets.drain(..) {
                self.sent[side as usize] += 1;
                if let Some(trace) = &mut self.trace {
                    trace.push((self.now, side, packet.clone()));
                }
                if self.filter.as_mut().is_none_or(|filter| filter(side, &packet)) {
                    send(self, side, packet);
                }
            }
        }
    }
}

impl<A: Peer, B: Peer> Timeline for Net<A, B> {
    fn now(&mut self) -> &mut Instant {
        &mut self.now
    }

    fn flush(&mut self) {
        Net::flush(self);
    }

    fn next_event(&mut self) -> Option<Instant> {
        let timeouts = [self.a.poll_timeout(), self.b.poll_timeout()];
        timeouts.into_iter().chain([self.in_flight.next_arrival()]).flatten().min()
    }

    fn advance(&mut self) {
        while let Some((from, packet)) = self.in_flight.poll(self.now) {
            match from {
                Side::A => self.b.handle_packet(self.now, packet),
                Side::B => self.a.handle_packet(self.now, packet),
            }
        }
        if self.a.poll_timeout().is_some_and(|at| at <= self.now) {
            self.a.handle_timeout(self.now);
        }
        if self.b.poll_timeout().is_some_and(|at| at <= self.now) {
            self.b.handle_timeout(self.now);
        }
    }
}

/// A [`Net`] whose packets go through a [`Link`].
struct Through<'n, 'l, A, B> {
    net: &'n mut Net<A, B>,
    link: &'n mut Link<'l>,
}

impl<A: Peer, B: Peer> Timeline for Through<'_, '_, A, B> {
    fn now(&mut self) -> &mut Instant {
        &mut self.net.now
    }

    fn flush(&mut self) {
        self.net.flush_through(self.link);
    }

    fn next_event(&mut self) -> Option<Instant> {
        self.net.next_event()
    }

    fn advance(&mut self) {
        self.net.advance();
    }
}
