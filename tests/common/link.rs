//! A network of two peers in memory and in virtual time, with loss, delay, reordering and
//! duplication. Nothing sleeps; the same seed gives the same run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use bytes::Bytes;

#[path = "conditions.rs"]
mod conditions;
pub(crate) use conditions::{Conditions, Random, start};

/// One end of the link.
pub(crate) trait Peer {
    fn handle_packet(&mut self, now: Instant, packet: Bytes);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&mut self) -> Option<Instant>;
    /// Appends the packets that are due.
    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>);
}

/// Which peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    A,
    B,
}

/// Sees every packet and its sender; false makes it vanish.
pub(crate) type Filter = Box<dyn FnMut(Side, &Bytes) -> bool>;

/// The two peers and what is between them.
pub(crate) struct Net<A, B> {
    pub(crate) now: Instant,
    pub(crate) a: A,
    pub(crate) b: B,
    pub(crate) conditions: Conditions,
    pub(crate) random: Random,
    /// Comes before the conditions.
    pub(crate) filter: Option<Filter>,
    /// What has been sent, when, and by whom, if a test has asked for it.
    pub(crate) trace: Option<Vec<(Instant, Side, Bytes)>>,
    /// Packets sent, by A and by B.
    pub(crate) sent: [u64; 2],
    in_flight: BinaryHeap<Reverse<(Instant, u64, Side, Bytes)>>,
    order: u64,
    free_at: [Instant; 2],
}

impl<A: Peer, B: Peer> Net<A, B> {
    pub(crate) fn new(a: A, b: B, conditions: Conditions, seed: u64) -> Self {
        let now = start();
        Self {
            now,
            a,
            b,
            conditions,
            random: Random(seed),
            filter: None,
            trace: None,
            sent: [0; 2],
            in_flight: BinaryHeap::new(),
            order: 0,
            free_at: [now; 2],
        }
    }

    /// Runs until `done`, for at most `limit` of virtual time. Answers whether it was done.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let end = self.now + limit;
        loop {
            self.flush();
            if done(self) {
                return true;
            }
            if !self.step(end) {
                return false;
            }
        }
    }

    /// Runs for `time` of virtual time.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(time, |_| false);
        self.now = end;
        self.flush();
    }

    /// Takes the packets of both peers to the network.
    pub(crate) fn flush(&mut self) {
        let mut packets = Vec::new();
        self.a.drain(self.now, &mut packets);
        for packet in packets.drain(..) {
            self.transmit(Side::A, packet);
        }
        self.b.drain(self.now, &mut packets);
        for packet in packets {
            self.transmit(Side::B, packet);
        }
    }

    fn transmit(&mut self, from: Side, packet: Bytes) {
        self.sent[from as usize] += 1;
        if let Some(trace) = &mut self.trace {
            trace.push((self.now, from, packet.clone()));
        }
        if self.filter.as_mut().is_some_and(|filter| !filter(from, &packet)) {
            return;
        }
        let free_at = &mut self.free_at[from as usize];
        for at in self.conditions.carry(&mut self.random, free_at, self.now, packet.len()) {
            self.order += 1;
            self.in_flight.push(Reverse((at, self.order, from, packet.clone())));
        }
    }

    /// Goes to the next thing that happens, if it does before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.in_flight.peek().map(|Reverse((at, ..))| *at);
        let timeouts = [self.a.poll_timeout(), self.b.poll_timeout()];
        let Some(next) = arrival.into_iter().chain(timeouts.into_iter().flatten()).min() else {
            return false;
        };
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        while let Some(Reverse((at, ..))) = self.in_flight.peek()
            && *at <= self.now
        {
            let Some(Reverse((_, _, from, packet))) = self.in_flight.pop() else { break };
            match from {
                Side::A => self.b.handle_packet(self.now, packet),
                Side::B => self.a.handle_packet(self.now, packet),
            }
        }
        if timeouts[0].is_some_and(|at| at <= self.now) {
            self.a.handle_timeout(self.now);
        }
        if timeouts[1].is_some_and(|at| at <= self.now) {
            self.b.handle_timeout(self.now);
        }
        true
    }
}
