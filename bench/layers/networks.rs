//! Goodput and latency of a worker and a WebRTC client over networks of many kinds, in virtual time.

use std::time::Duration;

use crate::channels::{CHANNELS, Channel, Network, ROUND_TRIPS, Way};
use crate::common::sim::Conditions;

/// The rate of the network in bytes per second: 100 Mbit/s.
const RATE: u32 = 12_500_000;

fn conditions(round_trip: u64, loss: f64, reorders: bool, duplicates: bool) -> Conditions {
    let delay = Duration::from_micros(round_trip * 500);
    let jitter = if reorders { delay / 2 + Duration::from_millis(3) } else { Duration::ZERO };
    Conditions {
        delay,
        jitter,
        jittery: 0.1,
        rate: Some(RATE),
        loss,
        duplication: if duplicates { 0.05 } else { 0.0 },
        mtu: 1232,
        ..Conditions::PERFECT
    }
}

/// Goodput in bytes per second, in messages of 1,000 bytes, with messages always waiting: over 8 s, or until 4 MB have
/// arrived.
fn goodput(conditions: Conditions, channel: Channel, seed: u64) -> f64 {
    const LEN: usize = 1000;
    const WAITING: usize = 256;
    let mut network = Network::new(conditions, seed);
    let begin = network.lab.now;
    let consumer = network.consumers[usize::from(channel.stream())];
    let mut received = 0;
    while received < 4000 && network.lab.now < begin + Duration::from_secs(8) {
        let stats = network.lab.consumer_stats(consumer);
        let waits = stats["bufferedAmount"].as_u64().expect("a number") as usize / LEN;
        for _ in waits..WAITING {
            network.send(Way::Down, channel, LEN);
        }
        network.run_for(Duration::from_millis(10));
        received = network.log(Way::Down, channel).received.len();
    }
    (received * LEN) as f64 / (network.lab.now - begin).as_secs_f64()
}

/// The part that arrives of messages of 100 bytes, 50 per second, and the median and 99th percentile of their latency.
fn paced(conditions: Conditions, channel: Channel, seed: u64) -> (f64, Duration, Duration) {
    const MESSAGES: usize = 1000;
    let mut network = Network::new(conditions, seed);
    for _ in 0..MESSAGES {
        network.send(Way::Down, channel, 100);
        network.run_for(Duration::from_millis(20));
    }
    network.run_for(Duration::from_secs(10));
    let latencies = network.log(Way::Down, channel).latencies();
    let ratio = latencies.len() as f64 / MESSAGES as f64;
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
    (ratio, at(0.5), at(0.99))
}

fn millis(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1000.0)
}

/// Prints a table for each kind of channel.
pub(crate) fn run() {
    CHANNELS.into_iter().for_each(measure);
}

fn measure(channel: Channel) {
    let mut table = format!("### {channel:?}\n\n");
    table +=
        "| RTT ms | loss | reorder | duplicates | goodput kB/s | delivered | p50 ms | p99 ms |\n";
    table += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for round_trip in ROUND_TRIPS {
        for loss in [0.0, 0.01, 0.05] {
            for (reorders, duplicates) in
                [(false, false), (true, false), (false, true), (true, true)]
            {
                let conditions = conditions(round_trip, loss, reorders, duplicates);
                let goodput = goodput(conditions, channel, 7) / 1000.0;
                let (ratio, p50, p99) = paced(conditions, channel, 7);
                let yes = |it| if it { "yes" } else { "" };
                table += &format!(
                    "| {round_trip} | {} % | {} | {} | {goodput:.0} | {:.1} % | {} | {} |\n",
                    loss * 100.0,
                    yes(reorders),
                    yes(duplicates),
                    ratio * 100.0,
                    millis(p50),
                    millis(p99),
                );
            }
        }
    }
    println!("{table}");
}
