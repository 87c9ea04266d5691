//! How soon the first message reaches a peer whose association just begins. The round trip is 50 ms; our side is ready
//! half a round trip earlier, like a DTLS server.

use std::time::Duration;

use datasoup::proto::message::Reliability;
use datasoup::proto::sctp::{SctpConfig, Start};

use crate::dcsctp::DcSctp;
use crate::peers::{Ours, config, numbered};
use crate::sim::{Conditions, Net, start};

const ONE_WAY: Duration = Duration::from_millis(25);
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// A tenth of all packets is lost either way.
const LOSSY: Conditions = Conditions { loss: 0.1, ..CLEAN };
const CLEAN: Conditions = Conditions { delay: ONE_WAY, ..Conditions::PERFECT };

/// What the peer does at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theirs {
    /// It sends the INIT, as browsers do.
    Begins,
    /// It waits for ours.
    Waits,
}

/// The time from the start of dcSCTP until it has our first message, `None` if not within a minute.
fn first_message(theirs: Theirs, conditions: Conditions, seed: u64) -> Option<Duration> {
    let now = start();
    let a = Ours::new(SctpConfig { start: Start::AfterSilence, ..config() });
    let mut net = Net::at(now, a, DcSctp::new(now), conditions, seed);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 1, numbered(1, 100)).expect("room");
    net.a.sctp.connect(net.now);
    net.run_for(ONE_WAY);
    let begun = net.now;
    if theirs == Theirs::Begins {
        net.b.connect(net.now);
    }
    let arrived = net.run_until(Duration::from_secs(60), |net| !net.b.messages.is_empty());
    arrived.then(|| net.now - begun)
}

/// The times of many runs, sorted.
fn first_messages(theirs: Theirs, conditions: Conditions, runs: u64) -> Vec<Duration> {
    let missing = Duration::from_secs(60);
    let mut times: Vec<_> =
        (0..runs).map(|seed| first_message(theirs, conditions, seed).unwrap_or(missing)).collect();
    times.sort_unstable();
    println!(
        "{theirs:?}, loss {}: p50 {:?}, p95 {:?}, p99 {:?}, longest {:?}",
        conditions.loss,
        percentile(&times, 50),
        percentile(&times, 95),
        percentile(&times, 99),
        times.last(),
    );
    times
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[test]
fn the_first_message_takes_two_round_trips() {
    for time in first_messages(Theirs::Begins, CLEAN, 5) {
        assert!(time <= 2 * ROUND_TRIP + Duration::from_millis(1), "{time:?}");
    }
}

#[test]
fn a_peer_that_waits_gets_the_first_message_after_our_own_init() {
    for time in first_messages(Theirs::Waits, CLEAN, 5) {
        // The INIT leaves after 500 ms; its handshake has half a round trip less than the peer's would.
        assert!(time <= Duration::from_millis(500) + 2 * ROUND_TRIP, "{time:?}");
    }
}

#[test]
fn the_first_message_is_soon_there_though_a_tenth_of_all_packets_is_lost() {
    // The time before our INIT comes on top.
    for (theirs, before) in [(Theirs::Begins, 0), (Theirs::Waits, 500)] {
        let times = first_messages(theirs, LOSSY, 2000);
        let (p95, p99) = (percentile(&times, 95), percentile(&times, 99));
        let [max95, max99] = [2000, 3500].map(|it| Duration::from_millis(it + before));
        assert!(p95 < max95, "{theirs:?}: {p95:?} at the 95th percentile");
        assert!(p99 < max99, "{theirs:?}: {p99:?} at the 99th percentile");
    }
}
