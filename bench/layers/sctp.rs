//! CPU time per packet of two associations, and their goodput, by the bytes in flight.

use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::message::Reliability;
use datasoup::proto::sctp::{SctpConfig, Start};

use crate::common::peers::{Ours, config, numbered};
use crate::common::sim::{Conditions, Net, Peer};

/// The fastest of these runs counts, because other load on the machine can only add to it.
const ROUNDS: usize = 3;

#[allow(clippy::disallowed_methods, reason = "measures real time")]
fn clock() -> Instant {
    Instant::now()
}

/// An association, and the CPU time of its calls.
struct Timed {
    ours: Ours,
    taken: Duration,
    /// Whether the association has been called since it was drained. If not, a turn of the others costs it nothing.
    touched: bool,
}

impl Timed {
    fn new(config: SctpConfig) -> Self {
        Self { ours: Ours::new(config), taken: Duration::ZERO, touched: true }
    }

    fn time<T>(&mut self, call: impl FnOnce(&mut Ours) -> T) -> T {
        let begin = clock();
        let result = call(&mut self.ours);
        self.taken += clock() - begin;
        self.touched = true;
        result
    }
}

impl Peer for Timed {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.time(|ours| ours.handle_packet(now, packet));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.time(|ours| ours.handle_timeout(now));
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.ours.poll_timeout()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        if self.touched {
            self.time(|ours| ours.drain(now, packets));
            self.touched = false;
        }
    }
}

struct Figures {
    /// Bytes of messages per second of virtual time.
    goodput: f64,
    /// µs per packet of the sender, most of which carry data.
    sender: f64,
    /// µs of the receiver per packet of the sender.
    receiver: f64,
}

/// Keeps the send queue full for 5 s, after 2 s in which the window opens.
fn in_flight(budget: usize, len: usize, loss: f64) -> Figures {
    const TIME: Duration = Duration::from_secs(5);
    // 200 Mbit/s, so that packets and acknowledgements do not arrive in bursts.
    let rate = Some(25_000_000);
    let delay = Duration::from_millis(25);
    let conditions = Conditions { delay, rate, loss, ..Conditions::PERFECT };
    let a = Timed::new(SctpConfig { start: Start::AtOnce, ..config() });
    let b = Timed::new(SctpConfig { max_receive_message_size: 2_000_000, ..config() });
    let mut net = Net::new(a, b, conditions, 1);
    net.a.ours.sctp.connect(net.now);
    net.b.ours.sctp.connect(net.now);
    net.a.ours.sctp.set_flight_budget(budget);
    net.a.ours.sctp.open_stream(1, Reliability::RELIABLE);
    net.run_for(Duration::from_secs(1));
    assert!(net.a.ours.is_connected());

    let begin = net.now + Duration::from_secs(2);
    let (mut received, mut counted) = (0, false);
    let mut sent = 0;
    while net.now < begin + TIME {
        if !counted && net.now >= begin {
            counted = true;
            (received, sent) = (0, net.sent[0]);
            (net.a.taken, net.b.taken) = (Duration::ZERO, Duration::ZERO);
        }
        let now = net.now;
        while net.a.ours.sctp.queued_bytes() < 1_000_000 {
            let message = numbered(0, len);
            net.a.time(|ours| ours.sctp.send(now, 1, message)).expect("room");
        }
        net.run_for(Duration::from_millis(5));
        received += net.b.ours.take_messages().len() * len;
    }
    let packets = (net.sent[0] - sent) as f64;
    let each = |timed: &Timed| timed.taken.as_secs_f64() * 1e6 / packets;
    let goodput = received as f64 / TIME.as_secs_f64();
    Figures { goodput, sender: each(&net.a), receiver: each(&net.b) }
}

/// Prints the table.
pub(crate) fn run() {
    println!("| message B | loss | KiB in flight | goodput kB/s | sender µs | receiver µs |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for len in [1000, 16_384] {
        for loss in [0.0, 0.01] {
            for budget in [16, 64, 128, 256, 512, 1024] {
                let rounds = [(); ROUNDS].map(|()| in_flight(budget * 1024, len, loss));
                let least =
                    |of: fn(&Figures) -> f64| rounds.iter().map(of).fold(f64::MAX, f64::min);
                println!(
                    "| {len} | {} % | {budget} | {:.0} | {:.1} | {:.1} |",
                    loss * 100.0,
                    least(|it| it.goodput) / 1000.0,
                    least(|it| it.sender),
                    least(|it| it.receiver),
                );
            }
        }
    }
}
