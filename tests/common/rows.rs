//! What transmission control achieves on paths with delay, loss or reordering. Each row is a path, the work on it and
//! the bounds of its figures: `tests/sctp/paths.rs` checks the bounds, `npm run bench:layers -- paths` prints the
//! figures.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use datasoup::proto::message::{Limit, Reliability};

use super::flows::{Flows, Kind, Path, Source};
use super::packet::{DATA, chunks};
use super::sim::{Random, Side};

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) flows: &'static [Flow],
    path: Path,
    work: Work,
    /// What is measured, in this order.
    pub(crate) figures: &'static [Figure],
}

/// The sender and the receiver.
pub(crate) type Flow = (Kind, Kind);

/// A figure of a row, and its bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) bound: Bound,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

/// What is sent on the path, and what is measured.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// 16 KiB messages as fast as possible, for this many seconds. Goodput in kB/s.
    Bulk(u64),
    /// 100-byte messages: the milliseconds between two, and how many. The 99th and 99.9th percentile of their latency
    /// in ms.
    Paced(u64, u32),
    /// This many messages of 256 KiB, with an idle second after each. The median and the longest time until a message
    /// has arrived, in ms.
    Bursts(u32),
    /// A message of 256 KiB whose last 64 KiB are lost once, on a new association and on an idle one. The longer of the
    /// times from the last lost packet until everything has arrived, less the retransmission timeout, in ms.
    TailLoss,
    /// Like [`Work::Bulk`] with a lifetime of 100 ms. The goodput relative to that without a lifetime, and the number
    /// of messages that arrived late.
    Lifetimes(u64),
    /// The flows share the path for this many seconds after the first 5. Jain's index of their goodputs, and the first
    /// one's goodput relative to the second's.
    Shares(u64),
    /// Flows as in [`Work::Shares`]. The percentage of packets dropped because the queue was full, and the goodput of
    /// all flows in kB/s.
    Crowd(u64),
}

const CUBIC: Kind = Kind::CUBIC;
const BBR: Kind = Kind::BBR;
const DCSCTP: Kind = Kind::DcSctp;

const DOWN: &[Flow] = &[(CUBIC, DCSCTP), (CUBIC, CUBIC)];
const UP: &[Flow] = &[(DCSCTP, CUBIC)];
const BOTH: &[Flow] = &[(CUBIC, DCSCTP), (CUBIC, CUBIC), (DCSCTP, CUBIC)];

const fn at_least(what: &'static str, bound: f64) -> Figure {
    Figure { what, bound: Bound::AtLeast(bound) }
}

const fn at_most(what: &'static str, bound: f64) -> Figure {
    Figure { what, bound: Bound::AtMost(bound) }
}

macro_rules! rows {
    ($($name:literal: $flows:expr, $path:expr, $work:expr, [$($figure:expr),*];)*) => {
        &[$(Row {
            name: $name,
            flows: $flows,
            path: $path,
            work: $work,
            figures: &[$($figure),*],
        }),*]
    };
}

const KB: &str = "kB/s";

pub(crate) const ROWS: &[Row] = rows![
    "50 ms, down": DOWN, Path::new(50), Work::Bulk(10), [at_least(KB, 4400.0)];
    "50 ms, up": UP, Path::new(50), Work::Bulk(10), [at_least(KB, 1840.0)];
    "200 ms": DOWN, Path::new(200), Work::Bulk(20), [at_least(KB, 2000.0)];
    "50 ms, 1 % lost": DOWN, Path::new(50).losing(0.01), Work::Bulk(10), [at_least(KB, 400.0)];
    "50 ms, 1 % lost, BBR": &[(BBR, DCSCTP), (BBR, CUBIC)], Path::new(50).losing(0.01), Work::Bulk(10),
        [at_least(KB, 3500.0)];
    "20 ms, 10 % late": BOTH, Path::new(20).late(0.1), Work::Bulk(10), [at_least(KB, 3000.0)];
    "50 ms, 10 % late": BOTH, Path::new(50).late(0.1), Work::Bulk(10), [at_least(KB, 2500.0)];
    "100 ms, 10 % late": BOTH, Path::new(100).late(0.1), Work::Bulk(10), [at_least(KB, 1500.0)];
    "50 ms, 10 % later, up": UP, Path::new(50).late(0.1).jitter(9), Work::Bulk(10), [at_least(KB, 2500.0)];
    "100 ms, 10 % later, up": UP, Path::new(100).late(0.1).jitter(9), Work::Bulk(10), [at_least(KB, 1500.0)];
    "50 ms, 5 % lost, 100 B every 20 ms": DOWN, Path::new(50).losing(0.05), Work::Paced(20, 5000),
        [at_most("p99 ms", 90.0), at_most("p99.9 ms", 150.0)];
    "100 ms, 5 % lost, 100 B every 20 ms": DOWN, Path::new(100).losing(0.05), Work::Paced(20, 5000),
        [at_most("p99 ms", 180.0), at_most("p99.9 ms", 300.0)];
    "50 ms, 5 % lost, 100 B every 400 ms": DOWN, Path::new(50).losing(0.05), Work::Paced(400, 1000),
        [at_most("p99 ms", 150.0)];
    "50 ms, the last 64 KiB of 256 lost": DOWN, Path::new(50), Work::TailLoss, [at_most("ms", 200.0)];
    "20 ms, lifetime 100 ms": DOWN, Path::new(20), Work::Lifetimes(10),
        [at_least("of that without", 0.95), at_most("late", 0.0)];
    "50 ms, lifetime 100 ms": DOWN, Path::new(50), Work::Lifetimes(10),
        [at_least("of that without", 0.95), at_most("late", 0.0)];
    "100 ms, lifetime 100 ms": DOWN, Path::new(100), Work::Lifetimes(10),
        [at_least("of that without", 0.95), at_most("late", 0.0)];
    "200 ms, lifetime 100 ms": DOWN, Path::new(200), Work::Lifetimes(20),
        [at_least("of that without", 0.95), at_most("late", 0.0)];
    "40 ms, 10 Mbit/s, bursts of 256 KiB": DOWN, SLOW, Work::Bursts(100),
        [at_most("median ms", 1.3 * (262.144 / 1.25 + 40.0)), at_most("longest ms", 1000.0)];
    "50 ms, two of ours": &[(CUBIC, DCSCTP), (CUBIC, DCSCTP)], Path::new(50), Work::Shares(30),
        [at_least("Jain", 0.9), at_most("ours / the other", 2.0)];
    "50 ms, ours beside NewReno": &[(CUBIC, DCSCTP), (Kind::NEW_RENO, DCSCTP)], Path::new(50), Work::Shares(30),
        [at_least("Jain", 0.9), at_most("ours / the other", 2.0)];
    "50 ms, ours beside dcSCTP": &[(CUBIC, DCSCTP), (DCSCTP, DCSCTP)], Path::new(50), Work::Shares(30),
        [at_least("Jain", 0.9), at_most("ours / the other", 2.0)];
    "50 ms, 8 of ours, BBR": &[(BBR, DCSCTP); 8], Path::new(50), Work::Crowd(10),
        [at_most("dropped %", 2.0), at_least(KB, 4000.0)];
    "50 ms, 8 of ours": &[(CUBIC, DCSCTP); 8], Path::new(50), Work::Crowd(10),
        [at_most("dropped %", 2.0), at_least(KB, 4000.0)];
];

/// 10 Mbit/s, with a queue that takes 40 ms to drain.
const SLOW: Path = Path { rate: 1_250_000, queue: 50_000, ..Path::new(40) };

impl Row {
    /// The flows that are measured together: all, if they share the path, otherwise each alone.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &'static [Flow]> {
        self.flows.chunks(if self.is_shared() { self.flows.len() } else { 1 })
    }

    /// Whether the flows share the path.
    fn is_shared(&self) -> bool {
        matches!(self.work, Work::Shares(_) | Work::Crowd(_))
    }

    /// How many seeds a test needs. The seed decides which packets are lost or late, and when flows that share a path
    /// begin; without either, all seeds give the same.
    pub(crate) fn enough_seeds(&self) -> u64 {
        let chance = self.path.loss > 0.0 || self.path.late > 0.0 || self.is_shared();
        if chance { 5 } else { 1 }
    }

    /// The figures of the row for one of its cases.
    fn measure(&self, flows: &[Flow], seed: u64) -> Vec<f64> {
        match self.work {
            Work::Bulk(seconds) => vec![kilo(bulk(self.path, flows, BULK, None, seconds, seed).0)],
            Work::Paced(pace, count) => paced(self.path, flows, pace, count, seed),
            Work::Bursts(count) => bursts(self.path, flows, count, seed),
            Work::TailLoss => vec![tail_loss(self.path, flows, seed)],
            Work::Lifetimes(seconds) => {
                let measure = |lifetime| bulk(self.path, flows, LIVE, lifetime, seconds, seed);
                let (reliable, _) = measure(None);
                let (limited, late) = measure(Some(LIFETIME));
                vec![limited / reliable, late as f64]
            }
            Work::Shares(seconds) => {
                let (goodputs, _) = shared(self.path, flows, seconds, seed);
                vec![jain(&goodputs), goodputs[0] / goodputs[1]]
            }
            Work::Crowd(seconds) => {
                let (goodputs, dropped) = shared(self.path, flows, seconds, seed);
                vec![dropped * 100.0, kilo(goodputs.iter().sum())]
            }
        }
    }

    /// The medians of the figures of these runs.
    pub(crate) fn medians(&self, flows: &[Flow], seeds: impl Iterator<Item = u64>) -> Vec<f64> {
        let runs: Vec<Vec<f64>> = seeds.map(|seed| self.measure(flows, seed)).collect();
        let of = |index: usize| part(runs.iter().map(|run| run[index]).collect(), 0.5);
        (0..self.figures.len()).map(of).collect()
    }
}

fn kilo(bytes: f64) -> f64 {
    bytes / 1000.0
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value below which this fraction of the values is.
fn part(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

/// Jain's fairness index: 1 if all have the same, 1/n if one has all.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|it| it * it).sum();
    sum * sum / (shares.len() as f64 * squares)
}

const BULK: Source = Source { len: 16 * 1024, keep: 500_000 };

/// A source whose messages wait only for a short time, so that they do not expire before they are sent.
const LIVE: Source = Source { len: 16 * 1024, keep: 64 * 1024 };

const LIFETIME: Duration = Duration::from_millis(100);

const BURST: usize = 256 * 1024;

/// Bytes per second, and the number of messages that arrived after their lifetime.
fn bulk(
    path: Path,
    flows: &[Flow],
    source: Source,
    lifetime: Option<Duration>,
    seconds: u64,
    seed: u64,
) -> (f64, usize) {
    let mut flows = Flows::new(path, flows, seed);
    if let Some(lifetime) = lifetime {
        let limit = Some(Limit::LifetimeMs(lifetime.as_millis() as u16));
        flows.sender(0).set_reliability(Reliability { ordered: true, limit });
    }
    flows.sender(0).start(source);
    let goodput = flows.goodputs(Duration::from_secs(seconds))[0];
    // The last chunk may leave just before the end of the lifetime.
    let longest = LIFETIME + path.longest_wait() + path.round_trip() / 2;
    let late = flows.latencies(0).into_iter().filter(|latency| *latency > longest).count();
    (goodput, late)
}

fn paced(path: Path, flows: &[Flow], pace: u64, count: u32, seed: u64) -> Vec<f64> {
    let mut flows = Flows::new(path, flows, seed);
    for _ in 0..count {
        flows.send(0, 100);
        flows.net.run_for(Duration::from_millis(pace));
    }
    flows.net.run_for(Duration::from_secs(30));
    let latencies: Vec<f64> = flows.latencies(0).into_iter().map(millis).collect();
    assert_eq!(latencies.len(), count as usize, "all messages arrive");
    vec![part(latencies.clone(), 0.99), part(latencies, 0.999)]
}

fn bursts(path: Path, flows: &[Flow], count: u32, seed: u64) -> Vec<f64> {
    let mut flows = Flows::new(path, flows, seed);
    for _ in 0..count {
        flows.send_until_arrived(BURST);
        flows.net.run_for(Duration::from_secs(1));
    }
    let latencies: Vec<f64> = flows.latencies(0).into_iter().map(millis).collect();
    vec![part(latencies.clone(), 0.5), part(latencies, 1.0)]
}

fn tail_loss(path: Path, flows: &[Flow], seed: u64) -> f64 {
    let after = |bursts: u32| {
        let mut flows = Flows::new(path, flows, seed);
        for _ in 0..bursts {
            flows.send_until_arrived(BURST);
            flows.net.run_for(Duration::from_secs(1));
        }
        let mut seen = HashSet::new();
        let mut passed = 0;
        let last_lost = Rc::new(Cell::new(0));
        let mut packets = 0;
        let lost = Rc::clone(&last_lost);
        flows.net.trace = Some(Vec::new());
        flows.net.filter = Some(Box::new(move |side, packet| {
            packets += 1;
            if side == Side::B {
                return true;
            }
            for chunk in chunks(&packet[1..]).iter().filter(|chunk| chunk.kind == DATA) {
                if seen.insert(chunk.tsn()) {
                    passed += chunk.value.len() - 12;
                    if passed > BURST - 64 * 1024 {
                        lost.set(packets);
                        return false;
                    }
                }
            }
            true
        }));
        flows.send_until_arrived(BURST);
        let (at, ..) = flows.net.trace.as_ref().expect("present")[last_lost.get() - 1];
        let timeout = flows.retransmission_timeout(0);
        let took = flows.net.now - at;
        millis(took) - millis(timeout)
    };
    after(0).max(after(1))
}

/// The bytes per second of each flow, and the fraction of packets that were dropped because the queue was full.
fn shared(path: Path, flows: &[Flow], seconds: u64, seed: u64) -> (Vec<f64>, f64) {
    let count = flows.len();
    let mut flows = Flows::new(path, flows, seed);
    let mut random = Random(seed);
    for flow in 0..count {
        flows.sender(flow).start(BULK);
        flows.net.run_for(Duration::from_millis(random.below(100)));
    }
    flows.net.run_for(Duration::from_secs(5));
    let (sent, overflowed) = (flows.net.sent[0], flows.net.overflowed());
    let goodputs = flows.goodputs(Duration::from_secs(seconds));
    let dropped = (flows.net.overflowed() - overflowed) as f64;
    (goodputs, dropped / (flows.net.sent[0] - sent) as f64)
}
