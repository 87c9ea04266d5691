//! The statistics of an association about its path, compared with the packets on the wire.

use std::collections::HashSet;
use std::time::Duration;

use datasoup::proto::message::Reliability;
use datasoup::proto::sctp::{ChunkTally, TransmissionStats};

use crate::dcsctp_peer::{Mixed, connected};
use crate::peers::{Ours, config, numbered};
use crate::puppet::{DATA, chunks};
use crate::sim::{Conditions, Side};

const DELAY: Duration = Duration::from_millis(25);
const STEADY: Conditions = Conditions { delay: DELAY, ..Conditions::PERFECT };

/// Our association with dcsctp, which reports duplicates. The packets are recorded, and stream 0 is open.
fn recorded(conditions: Conditions, seed: u64) -> Mixed {
    let mut net = connected(config(), false, conditions, seed);
    net.trace = Some(Vec::new());
    net.a.sctp.open_stream(0, Reliability::RELIABLE);
    net
}

fn stats(net: &Mixed) -> TransmissionStats {
    net.a.sctp.transmission().expect("an association")
}

/// Sends `count` messages of `len` bytes, one every `pace`, and waits until all are acknowledged.
fn send(net: &mut Mixed, count: u32, len: usize, pace: Duration) {
    let before = net.b.messages.len();
    for number in 0..count {
        net.a.sctp.send(net.now, 0, numbered(number, len)).expect("room");
        net.run_for(pace);
    }
    let all = before + count as usize;
    assert!(net.run_until(Duration::from_secs(60), |net| {
        net.b.messages.len() == all && stats(net).bytes_in_flight == 0
    }));
}

/// The retransmissions of DATA chunks by A.
fn sent_again(net: &Mixed) -> ChunkTally {
    let (mut seen, mut again) = (HashSet::new(), ChunkTally::default());
    for (_, side, packet) in net.trace.iter().flatten() {
        for chunk in chunks(packet).into_iter().filter(|it| *side == Side::A && it.kind == DATA) {
            if !seen.insert(chunk.tsn()) {
                // TSN, stream, sequence number and PPID come before the payload.
                again.count(chunk.value.len() - 12);
            }
        }
    }
    again
}

#[test]
fn exists_from_connected_on_and_is_kept_after_the_end() {
    let mut net = recorded(STEADY, 1);
    assert_eq!(Ours::new(config()).sctp.transmission(), None, "before an association");
    net.a.sctp.send(net.now, 0, numbered(0, 10_000)).expect("room");
    net.flush();
    let before = stats(&net);
    net.a.sctp.abort(net.now);
    assert_eq!(stats(&net), TransmissionStats { bytes_in_flight: 0, ..before });
}

#[test]
fn the_round_trip_time_is_that_of_the_path() {
    for millis in [5, 25, 100] {
        let delay = Duration::from_millis(millis);
        let mut net = recorded(Conditions { delay, ..STEADY }, 2);
        send(&mut net, 50, 5000, delay);
        let TransmissionStats { smoothed_rtt, retransmission_timeout, .. } = stats(&net);
        let rtt = smoothed_rtt.expect("measured");
        // An acknowledgement may be delayed.
        assert!((2 * delay..3 * delay + Duration::from_millis(20)).contains(&rtt), "{rtt:?}");
        assert!(retransmission_timeout > rtt, "{retransmission_timeout:?}");
        assert!(
            retransmission_timeout < rtt + Duration::from_millis(500),
            "{retransmission_timeout:?}"
        );
    }
}

#[test]
fn bytes_in_flight_are_those_on_the_wire_and_within_the_window() {
    let mut net = recorded(STEADY, 3);
    assert_eq!(stats(&net).bytes_in_flight, 0);
    net.a.sctp.send(net.now, 0, numbered(0, 3000)).expect("room");
    net.flush();
    let TransmissionStats { bytes_in_flight, congestion_window, .. } = stats(&net);
    assert_eq!(bytes_in_flight, 3000, "less than a window leaves at once");
    assert!(congestion_window >= bytes_in_flight, "{congestion_window}");
    net.run_for(Duration::from_secs(1));
    assert_eq!(stats(&net).bytes_in_flight, 0);
}

#[test]
fn nothing_is_sent_again_on_a_path_without_loss() {
    for millis in [5, 25, 100, 250] {
        let delay = Duration::from_millis(millis);
        let mut net = recorded(Conditions { delay, ..STEADY }, 4);
        for (count, len, pace) in [(50, 16_000, 10), (20, 5000, 300), (1, 250_000, 0)] {
            send(&mut net, count, len, Duration::from_millis(pace));
        }
        assert_eq!(stats(&net).retransmitted.total(), ChunkTally::default(), "{delay:?}");
        assert_eq!(stats(&net).spurious_retransmissions, 0);
    }
}

#[test]
fn everything_that_is_sent_again_has_a_cause() {
    let rough = Conditions { delay: DELAY, ..Conditions::ROUGH };
    for (seed, len, pace) in [(5, 5000, 10), (6, 100, 20), (7, 15_000, 50), (8, 1000, 400)] {
        let mut net = recorded(rough, seed);
        send(&mut net, 100, len, Duration::from_millis(pace));
        let again = sent_again(&net);
        assert!(again.chunks > 0, "something is lost at 5 %");
        assert_eq!(stats(&net).retransmitted.total(), again, "{len} bytes every {pace} ms");
    }
}

#[test]
fn a_cause_is_the_one_that_it_was() {
    // Later packets arrive: RACK.
    let mut net = recorded(STEADY, 9);
    send(&mut net, 20, 5000, DELAY);
    lose(&mut net, 1);
    send(&mut net, 20, 5000, DELAY);
    let by = stats(&net).retransmitted;
    assert_eq!((by.rack.chunks, by.total().chunks), (1, 1), "{by:?}");

    // Nothing comes after the lost packet: a probe.
    lose(&mut net, 1);
    send(&mut net, 1, 1000, Duration::ZERO);
    let by = stats(&net).retransmitted;
    assert_eq!((by.probe.chunks, by.total().chunks), (1, 2), "{by:?}");

    // The path is interrupted: a timeout.
    lose(&mut net, 20);
    send(&mut net, 1, 1000, Duration::ZERO);
    let by = stats(&net).retransmitted;
    assert!(by.timeout.chunks > 0, "{by:?}");

    // Small messages at a short pace: bundled.
    let mut net = recorded(STEADY, 10);
    send(&mut net, 20, 100, Duration::from_millis(20));
    let by = stats(&net).retransmitted;
    assert!(by.bundled.chunks > 0 && by.bundled == by.total(), "{by:?}");
    assert_eq!(stats(&net).spurious_retransmissions, 0, "bundled copies are none");
}

/// Loses the next `count` packets of A with DATA.
fn lose(net: &mut Mixed, mut count: u32) {
    net.filter = Some(Box::new(move |side, packet| {
        let lost = count > 0 && side == Side::A && chunks(packet).iter().any(|it| it.kind == DATA);
        count -= u32::from(lost);
        !lost
    }));
}

#[test]
fn what_the_network_delays_counts_as_spurious() {
    let mut net = recorded(STEADY, 11);
    send(&mut net, 20, 5000, DELAY);
    // What A sends now arrives late, but before what is sent again.
    net.conditions().delay = Duration::from_millis(150);
    net.a.sctp.send(net.now, 0, numbered(0, 5000)).expect("room");
    net.flush();
    net.conditions().delay = DELAY;
    net.run_for(Duration::from_secs(5));
    let TransmissionStats { spurious_retransmissions, retransmitted, .. } = stats(&net);
    assert!(spurious_retransmissions > 0, "{retransmitted:?}");
    assert!(spurious_retransmissions <= retransmitted.total().chunks);
}
