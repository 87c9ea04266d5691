//! The cases, the same for every engine: reliable, ordered messages on one stream.

use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::allocations;
use crate::common::sim::{Conditions, Net, Peer};

/// In bytes: large enough never to limit the sender.
pub(crate) const RECEIVE_WINDOW: u32 = 5 * 1024 * 1024;
/// The size of a message that fills a packet.
pub(crate) const MESSAGE: usize = 1000;
/// The number of messages that are measured.
const TIMES: usize = 200;
/// The number of messages that are sent before the measured ones, so that buffers reach their size.
const BEFORE: usize = 100;

/// An association at the end of a [`Net`].
pub(crate) trait Engine: Peer {
    /// `flight`: the bytes of messages that may be in flight.
    fn new(initiates: bool, flight: usize) -> Self;
    fn connect(&mut self, now: Instant);
    fn is_connected(&self) -> bool;
    /// Sends a message on stream 0.
    fn send(&mut self, now: Instant, payload: &Bytes);
    /// Whether another message may be in flight.
    fn has_room(&mut self) -> bool;
    /// Takes the messages that have arrived; returns their number.
    fn take(&mut self) -> usize;
}

thread_local! {
    /// Allocations within [`measured`].
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Callgrind counts within this function, which it finds by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    let before = allocations::count();
    work();
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations::count() - before);
}

/// Prints for index.js how often the measured work was done, its allocations, and the bytes of messages that arrived.
fn report(times: u64, bytes: usize) {
    println!("{times} {} {bytes}", ALLOCATIONS.get());
}

/// An engine, measured while it is `on`.
struct Watched<E> {
    engine: E,
    on: bool,
    /// The message that the engine sends whenever there is room.
    source: Option<Bytes>,
    /// Whether the engine has been called since it was drained. If not, a turn of the other engine costs this one
    /// nothing.
    touched: bool,
    taken: usize,
}

impl<E: Engine> Watched<E> {
    fn new(initiates: bool, flight: usize) -> Self {
        Self { engine: E::new(initiates, flight), on: false, source: None, touched: true, taken: 0 }
    }

    fn call(&mut self, mut work: impl FnMut(&mut E)) {
        self.touched = true;
        let engine = &mut self.engine;
        if self.on { measured(&mut || work(engine)) } else { work(engine) }
    }
}

impl<E: Engine> Peer for Watched<E> {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        let mut packet = Some(packet);
        let mut taken = 0;
        self.call(|engine| {
            if let Some(packet) = packet.take() {
                engine.handle_packet(now, packet);
                taken = engine.take();
            }
        });
        self.taken += taken;
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.call(|engine| engine.handle_timeout(now));
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.engine.poll_timeout()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        if !self.touched {
            return;
        }
        if let Some(payload) = self.source.clone() {
            while self.engine.has_room() {
                self.call(|engine| engine.send(now, &payload));
            }
        }
        self.call(|engine| engine.drain(now, packets));
        self.touched = false;
    }
}

type Pair<E> = Net<Watched<E>, Watched<E>>;

fn connected<E: Engine>(conditions: Conditions, flight: usize) -> Pair<E> {
    let [a, b] = [true, false].map(|initiates| Watched::new(initiates, flight));
    let mut net: Pair<E> = Net::new(a, b, conditions, 1);
    net.b.engine.connect(net.now);
    net.a.engine.connect(net.now);
    let connected = net.run_until(Duration::from_secs(30), |net: &mut Pair<E>| {
        net.a.engine.is_connected() && net.b.engine.is_connected()
    });
    assert!(connected, "they connect");
    net
}

/// Runs a command; see the root.
pub(crate) fn run<E: Engine>(command: &[&str]) {
    let number = |index: usize| command.get(index)?.parse().ok();
    let first = number(1).expect("a number");
    match command[0] {
        what @ ("out" | "in" | "sack") => turns::<E>(what, first),
        what @ ("sender" | "receiver") => in_flight::<E>(what, first, number(2).unwrap_or(0)),
        what => panic!("unknown work {what:?}"),
    }
}

/// Measures two messages and the SACK for both, each in a turn of its own.
fn turns<E: Engine>(what: &str, len: usize) {
    let conditions = Conditions { delay: Duration::ZERO, ..Conditions::PERFECT };
    let mut net: Pair<E> = connected(conditions, 1 << 20);
    let payload = Bytes::from(vec![7; len]);
    for n in 0..(BEFORE + TIMES) / 2 {
        let counts = n >= BEFORE / 2;
        let now = net.now;
        let mut answers = Vec::new();
        for _ in 0..2 {
            let mut packets = Vec::with_capacity(1);
            net.a.on = counts && what == "out";
            net.a.call(|engine| {
                engine.send(now, &payload);
                engine.drain(now, &mut packets);
            });
            net.a.on = false;
            assert_eq!(packets.len(), 1, "one packet");
            net.b.on = counts && what == "in";
            net.b.call(|engine| {
                if let Some(packet) = packets.pop() {
                    engine.handle_packet(now, packet);
                    assert_eq!(engine.take(), 1, "one message");
                    engine.drain(now, &mut answers);
                }
            });
            net.b.on = false;
        }
        assert_eq!(answers.len(), 1, "one SACK for two packets (RFC 9260 §6.2)");
        net.a.on = counts && what == "sack";
        net.a.call(|engine| {
            if let Some(packet) = answers.pop() {
                engine.handle_packet(now, packet);
                engine.drain(now, &mut answers);
            }
        });
        net.a.on = false;
        net.run_for(Duration::from_millis(1));
    }
    // One SACK acknowledges two messages, so there are half as many.
    let times = if what == "sack" { TIMES / 2 } else { TIMES };
    report(times as u64, TIMES * len);
}

/// Keeps `flight` bytes in flight over a round trip of 50 ms, for a second that counts (30 with losses) and one before,
/// in which the window opens. `loss`: how many of 1,000 packets are lost in either direction.
fn in_flight<E: Engine>(what: &str, flight: usize, loss: usize) {
    // 200 Mbit/s, so that packets and acknowledgements do not arrive in bursts.
    let rate = Some(25_000_000);
    let delay = Duration::from_millis(25);
    let mut net: Pair<E> = connected(Conditions { delay, rate, ..Conditions::PERFECT }, flight);
    net.conditions().loss = loss as f64 / 1000.0;
    net.a.source = Some(Bytes::from(vec![7; MESSAGE]));
    net.a.touched = true;
    net.run_for(Duration::from_secs(1));
    // Losses are rare: it takes a while for their average to settle.
    let time = Duration::from_secs(if loss > 0 { 30 } else { 1 });
    net.a.on = what == "sender";
    net.b.on = what == "receiver";
    let (sent, taken) = (net.sent[0], net.b.taken);
    net.run_for(time);
    report(net.sent[0] - sent, (net.b.taken - taken) * MESSAGE);
}
