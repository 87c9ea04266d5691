//! A shared bottleneck for tests: a rate, a queue with a bound, a round trip, and random loss behind the queue. Packets
//! stay in order, and each is acknowledged at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::super::pacing::Pacer;
use super::super::rate::{DeliveryRate, SentState};
use super::super::rtt::Rtt;
use super::{Ack, Controller, Loss, SentPacket, controller};
use crate::proto::sctp::CongestionControl;
use crate::proto::sctp::testing::start;

pub(super) const SEGMENT: usize = 1152;

/// A packet is marked lost once this many later ones have arrived.
const REORDERING: u64 = 3;

#[derive(Debug)]
struct Packet {
    number: u64,
    sent_at: Instant,
    state: SentState,
}

/// One sender. It always has more to send, or gets `supply` bytes per second.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) controller: Box<dyn Controller>,
    pacer: Pacer,
    rate: DeliveryRate,
    rtt: Rtt,
    begins: Instant,
    wake_at: Option<Instant>,
    supply: Option<u64>,
    sent: VecDeque<Packet>,
    next: u64,
    recovery_to: Option<u64>,
    progress_at: Instant,
    newly_lost: usize,
    limited: [bool; 2],
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) congestions: u64,
    pub(super) timeouts: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrived { flow: usize, number: u64 },
    Wake { flow: usize },
}

pub(super) struct Bottleneck {
    pub(super) rate: f64,
    pub(super) queue: f64,
    pub(super) round_trip: Duration,
    pub(super) loss: f64,
    /// The most that each flow may have in flight.
    pub(super) flight: usize,
    pub(super) flows: Vec<Flow>,
    now: Instant,
    free_at: Instant,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    order: u64,
    random: u64,
}

impl Bottleneck {
    /// 5 MB/s and a queue of 256 KiB.
    pub(super) fn new(round_trip_ms: u64) -> Self {
        let now = start();
        Self {
            rate: 5e6,
            queue: 256.0 * 1024.0,
            round_trip: Duration::from_millis(round_trip_ms),
            loss: 0.0,
            flight: 512 * 1024,
            flows: Vec::new(),
            now,
            free_at: now,
            events: BinaryHeap::new(),
            order: 0,
            random: 0x2545_F491_4F6C_DD1D,
        }
    }

    pub(super) fn add(&mut self, kind: CongestionControl, after: Duration, supply: Option<u64>) {
        let begins = self.now + after;
        self.flows.push(Flow {
            controller: controller(kind, SEGMENT),
            pacer: Pacer::new(SEGMENT),
            rate: DeliveryRate::default(),
            rtt: Rtt::new(Duration::from_secs(5)),
            begins,
            wake_at: None,
            supply,
            sent: VecDeque::new(),
            next: 0,
            recovery_to: None,
            progress_at: begins,
            newly_lost: 0,
            limited: [false; 2],
            delivered: 0,
            lost: 0,
            congestions: 0,
            timeouts: 0,
        });
        self.wake(self.flows.len() - 1, begins);
    }

    /// The bytes that wait in the queue.
    pub(super) fn queued(&self) -> f64 {
        self.free_at.saturating_duration_since(self.now).as_secs_f64() * self.rate
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, _, _))) = self.events.peek()
            && *at <= end
            && let Some(Reverse((at, _, event))) = self.events.pop()
        {
            self.now = at;
            match event {
                Event::Arrived { flow, number } => {
                    self.flows[flow].on_arrived(at, number);
                    self.send(flow);
                }
                // This entry is outdated: the flow has asked for an earlier time since.
                Event::Wake { flow } if self.flows[flow].wake_at != Some(at) => {}
                Event::Wake { flow } => {
                    self.flows[flow].wake_at = None;
                    self.send(flow);
                }
            }
        }
        self.now = end;
    }

    /// Runs for `time`, and returns what each flow delivered per second, in kB.
    pub(super) fn measure(&mut self, time: Duration) -> Vec<f64> {
        let before: Vec<_> = self.flows.iter().map(|it| it.delivered).collect();
        self.run(time);
        let per_second = |(flow, before): (&Flow, u64)| {
            (flow.delivered - before) as f64 / time.as_secs_f64() / 1000.0
        };
        self.flows.iter().zip(before).map(per_second).collect()
    }

    fn wake(&mut self, flow: usize, at: Instant) {
        if self.flows[flow].wake_at.is_none_or(|it| at < it) {
            self.flows[flow].wake_at = Some(at);
            self.at(at, Event::Wake { flow });
        }
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    fn send(&mut self, index: usize) {
        let now = self.now;
        self.flows[index].check_timeout(now);
        loop {
            let flow = &mut self.flows[index];
            let in_flight = flow.in_flight();
            if let Some(supply) = flow.supply {
                let given = supply as f64 * now.duration_since(flow.begins).as_secs_f64();
                if (flow.next * SEGMENT as u64) as f64 > given {
                    flow.rate.on_app_limited(in_flight);
                    self.wake(index, now + Duration::from_millis(2));
                    return;
                }
            }
            let is_open = in_flight + SEGMENT <= flow.controller.window();
            if !is_open || in_flight + SEGMENT > self.flight {
                flow.limited[0] |= !is_open;
                let at = flow.progress_at + flow.rtt.timeout();
                if at > now {
                    self.wake(index, at);
                }
                return;
            }
            let rate = flow.controller.pacing_rate(&flow.rtt);
            if let Some(at) = flow.pacer.wait(now, rate, &flow.rtt) {
                flow.limited[0] = true;
                self.wake(index, at);
                return;
            }
            let number = flow.on_sent(now, in_flight);
            if self.queued() + SEGMENT as f64 > self.queue {
                continue;
            }
            let takes = Duration::from_secs_f64(SEGMENT as f64 / self.rate);
            self.free_at = self.free_at.max(now) + takes;
            if self.chance() >= self.loss {
                let at = self.free_at + self.round_trip;
                self.at(at, Event::Arrived { flow: index, number });
            }
        }
    }
}

impl Flow {
    fn in_flight(&self) -> usize {
        self.sent.len() * SEGMENT
    }

    fn on_sent(&mut self, now: Instant, in_flight: usize) -> u64 {
        if in_flight == 0 {
            self.progress_at = now;
        }
        let state = self.rate.on_sent(now, in_flight);
        self.controller.on_sent(&SentPacket { now, in_flight });
        self.pacer.on_sent(SEGMENT);
        self.sent.push_back(Packet { number: self.next, sent_at: now, state });
        self.next += 1;
        self.next - 1
    }

    fn check_timeout(&mut self, now: Instant) {
        let in_flight = self.in_flight();
        if in_flight == 0 || now < self.progress_at + self.rtt.timeout() {
            return;
        }
        self.progress_at = now;
        self.lost += in_flight as u64;
        self.newly_lost += in_flight;
        self.timeouts += 1;
        self.sent.clear();
        self.recovery_to = None;
        self.controller.on_timeout(now, in_flight);
    }

    fn on_arrived(&mut self, now: Instant, number: u64) {
        let in_flight = self.in_flight();
        let Ok(position) = self.sent.binary_search_by_key(&number, |it| it.number) else { return };
        let Some(packet) = self.sent.remove(position) else { return };
        self.progress_at = now;
        self.delivered += SEGMENT as u64;
        let round_trip = now.duration_since(packet.sent_at);
        self.rtt.on_sample(now, round_trip);
        self.rate.on_acked(now, SEGMENT, packet.sent_at, packet.state);
        let delivery = self.rate.on_ack(now, self.rtt.min());
        if self.recovery_to.is_some_and(|to| number >= to) {
            self.recovery_to = None;
            self.controller.on_recovery_over(now);
        }
        let mut lost = 0;
        while self.sent.front().is_some_and(|it| it.number + REORDERING <= number) {
            self.sent.pop_front();
            lost += SEGMENT;
        }
        self.lost += lost as u64;
        self.controller.on_ack(&Ack {
            now,
            bytes: SEGMENT,
            lost: std::mem::take(&mut self.newly_lost) + lost,
            in_flight,
            rtt: &self.rtt,
            round_trip: Some(round_trip),
            rate: delivery.rate,
            round_over: delivery.round_over,
            window_limited: self.limited[0] || self.limited[1],
            in_recovery: self.recovery_to.is_some(),
        });
        if delivery.round_over {
            self.limited = [false, self.limited[0]];
        }
        if lost > 0 && self.recovery_to.is_none() {
            self.congestions += 1;
            self.recovery_to = Some(self.next);
            self.controller.on_loss(&Loss { in_flight });
        }
    }
}

/// Jain's index of fairness: 1 if all are equal.
pub(super) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|it| it * it).sum();
    sum * sum / (squares * shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::super::super::config::CongestionControl::{Bbr, Cubic, NewReno};
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lost_share(bottleneck: &Bottleneck) -> f64 {
        let lost: u64 = bottleneck.flows.iter().map(|it| it.lost).sum();
        let delivered: u64 = bottleneck.flows.iter().map(|it| it.delivered).sum();
        lost as f64 / (lost + delivered) as f64
    }

    /// Adds flows that begin one after another, each with as much in flight as a round trip of 50 ms allows.
    fn shared(kinds: &[CongestionControl]) -> Bottleneck {
        let mut bottleneck = Bottleneck::new(50);
        bottleneck.flight = 256 * 1024;
        for (number, kind) in (0..).zip(kinds) {
            bottleneck.add(*kind, Duration::from_millis(1370 * number), None);
        }
        bottleneck
    }

    #[test]
    fn each_controller_fills_the_path() {
        for kind in [Cubic, NewReno, Bbr] {
            let mut bottleneck = shared(&[kind]);
            bottleneck.run(seconds(3));
            let rate = bottleneck.measure(seconds(10))[0];
            assert!(rate > 4_400.0, "{kind:?}: {rate:.0} kB/s");
            assert_eq!(bottleneck.flows[0].timeouts, 0, "{kind:?}");
        }
    }

    #[test]
    fn bbr_leaves_the_queue_empty_and_does_not_mind_a_loss_of_one_percent() {
        let mut bottleneck = shared(&[Bbr]);
        bottleneck.run(seconds(4));
        let mut queued = Vec::new();
        for _ in 0..100 {
            bottleneck.run(Duration::from_millis(97));
            queued.push(bottleneck.queued());
        }
        let mean = queued.iter().sum::<f64>() / 100.0;
        assert!(mean < 32.0 * 1024.0, "{mean:.0} bytes are queued");
        bottleneck.loss = 0.01;
        let rate = bottleneck.measure(seconds(20))[0];
        assert!(rate > 4_000.0, "{rate:.0} kB/s");
    }

    #[test]
    fn two_flows_of_a_kind_share_a_path_equally() {
        for kind in [Cubic, NewReno, Bbr] {
            let mut bottleneck = shared(&[kind; 2]);
            bottleneck.run(seconds(15));
            let shares = bottleneck.measure(seconds(30));
            assert!(jain(&shares) > 0.9, "{kind:?}: {shares:.0?} kB/s");
        }
    }

    #[test]
    fn cubic_takes_at_most_twice_the_share_of_newreno() {
        let mut bottleneck = shared(&[Cubic, NewReno]);
        bottleneck.run(seconds(15));
        let shares = bottleneck.measure(seconds(30));
        assert!(shares[0] < 2.0 * shares[1], "{shares:.0?} kB/s");
    }

    #[test]
    fn eight_flows_with_bbr_lose_no_more_than_the_ceiling_for_loss() {
        let mut bottleneck = shared(&[Bbr; 8]);
        let shares = bottleneck.measure(seconds(40));
        let lost = lost_share(&bottleneck);
        assert!(lost < 0.02, "{lost:.4} is lost");
        let sum: f64 = shares.iter().sum();
        assert!(sum > 4_400.0, "{sum:.0} kB/s");
    }

    #[test]
    fn a_flow_that_has_little_to_send_keeps_its_window() {
        for kind in [Cubic, NewReno, Bbr] {
            let mut bottleneck = Bottleneck::new(50);
            bottleneck.add(kind, seconds(0), Some(50_000));
            bottleneck.run(seconds(60));
            let window = bottleneck.flows[0].controller.window();
            assert!(window <= 25 * SEGMENT, "{kind:?}: {window} bytes");
        }
    }
}
