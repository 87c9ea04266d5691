//! What each kind of channel promises, over networks that delay, lose, reorder and duplicate.

use std::time::Duration;

use crate::channels::{CHANNELS, Channel, LIFETIME, Log, Network, ROUND_TRIPS, Way};
use crate::common::sim::Conditions;

/// How many messages each channel carries in either direction.
const MESSAGES: usize = 60;

const PACE: Duration = Duration::from_millis(25);

/// The size of a message: some take several packets.
fn size(number: usize) -> usize {
    4 + (number * 373) % 3000
}

/// The networks of one round trip: without and with loss, reordering, duplication.
fn networks(round_trip: u64) -> Vec<Conditions> {
    let mut networks = Vec::new();
    for loss in [0.0, 0.01, 0.05] {
        for reorders in [false, true] {
            for duplication in [0.0, 0.05] {
                let delay = Duration::from_micros(round_trip * 500);
                let jitter =
                    if reorders { delay / 2 + Duration::from_millis(3) } else { Duration::ZERO };
                networks.push(Conditions {
                    delay,
                    jitter,
                    jittery: 0.1,
                    loss,
                    duplication,
                    mtu: 1232,
                    ..Conditions::PERFECT
                });
            }
        }
    }
    networks
}

/// Whether `channel` carries messages in this direction. dcsctp sends none with a lifetime: when one
/// expires in part, dcsctp skips a TSN between the fragments of a message of another stream, and that
/// message is lost.
fn carries(way: Way, channel: Channel) -> bool {
    way == Way::Down || channel != Channel::Brief
}

fn promises_hold(round_trip: u64) {
    for (index, conditions) in networks(round_trip).into_iter().enumerate() {
        let mut network = Network::new(conditions, 1000 * round_trip + index as u64);
        for number in 0..MESSAGES {
            for channel in CHANNELS {
                network.send(Way::Down, channel, size(number));
                if carries(Way::Up, channel) {
                    network.send(Way::Up, channel, size(number));
                }
            }
            network.run_for(PACE);
        }
        let all_came = |network: &Network, way| {
            let reliable = CHANNELS.into_iter().filter(|channel| channel.is_reliable());
            reliable.into_iter().all(|it| network.log(way, it).received.len() >= MESSAGES)
        };
        network.run_until(Duration::from_secs(60), |it| {
            all_came(it, Way::Down) && all_came(it, Way::Up)
        });
        // This leaves time for late and duplicated messages.
        network.run_for(Duration::from_secs(10));

        for way in [Way::Down, Way::Up] {
            for channel in CHANNELS.into_iter().filter(|channel| carries(way, *channel)) {
                let what = format!("{way:?} {channel:?} {conditions:?}");
                check(channel, network.log(way, channel), &conditions, &what);
            }
        }
        let [once, brief] = [Channel::Once, Channel::Brief]
            .map(|channel| network.log(Way::Down, channel).received.len());
        if conditions.loss == 0.0 && conditions.jitter.is_zero() {
            assert_eq!(once, MESSAGES, "{conditions:?}");
        }
        let stats = network.lab.stats(network.transport);
        let given_up = ["messagesExpired", "messagesAbandoned"].map(|it| stats[it].as_u64());
        let given_up =
            given_up.into_iter().map(|it| it.expect("a counter") as usize).sum::<usize>();
        assert!(
            once + brief + given_up >= 2 * MESSAGES,
            "{once} + {brief} + {given_up} {conditions:?}"
        );
        for consumer in network.consumers.clone() {
            let stats = network.lab.consumer_stats(consumer);
            assert_eq!(
                (&stats["messagesSent"], &stats["bufferedAmount"]),
                (&MESSAGES.into(), &0.into())
            );
            assert_eq!(stats["messagesDropped"], 0);
        }
    }
}

#[track_caller]
fn check(channel: Channel, log: &Log, conditions: &Conditions, what: &str) {
    let mut numbers = log.numbers();
    if channel != Channel::Ordered {
        numbers.sort_unstable();
    }
    if channel.is_reliable() {
        let all: Vec<u32> = (0..MESSAGES as u32).collect();
        assert_eq!(numbers, all, "{what}");
    } else {
        numbers.dedup();
        assert_eq!(numbers.len(), log.received.len(), "some came twice: {what}");
    }
    if channel == Channel::Brief {
        let late = LIFETIME + conditions.delay + conditions.jitter;
        let latest = log.latencies().last().copied().unwrap_or_default();
        assert!(latest <= late, "{latest:?} after it was sent: {what}");
    }
}

#[test]
fn every_promise_holds_without_a_round_trip() {
    promises_hold(ROUND_TRIPS[0]);
}

#[test]
fn every_promise_holds_at_20_ms() {
    promises_hold(ROUND_TRIPS[1]);
}

#[test]
fn every_promise_holds_at_50_ms() {
    promises_hold(ROUND_TRIPS[2]);
}

#[test]
fn every_promise_holds_at_100_ms() {
    promises_hold(ROUND_TRIPS[3]);
}

#[test]
fn every_promise_holds_at_200_ms() {
    promises_hold(ROUND_TRIPS[4]);
}
