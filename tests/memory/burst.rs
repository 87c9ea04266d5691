//! The memory of a burst is freed, whatever the peer does next.

use std::time::Duration;

use datasoup::proto::message::Reliability;
use datasoup::proto::sctp::SctpConfig;

use crate::heap::live;
use crate::peers::{config, numbered};
use crate::puppet::*;

const KIB: i64 = 1024;

/// Acknowledges every packet as the peer, until nothing more arrives.
fn acknowledge(stage: &mut Stage) {
    while let Some(last) = stage.drain().iter().rfind(|chunk| chunk.kind == DATA).map(Seen::tsn) {
        let packet = packet(stage.puppet.tag, &[sack(last, 1 << 20, &[])]);
        stage.sctp.handle_packet(stage.now, packet);
    }
}

#[test]
fn an_association_that_stays_active_frees_its_queues_after_a_burst() {
    let mut stage =
        Stage::new(SctpConfig { silence: Some(std::time::Duration::from_secs(55)), ..config() });
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    for number in 0..2000 {
        stage.sctp.send(stage.now, 1, numbered(number, 100)).expect("room");
    }
    acknowledge(&mut stage);
    assert_eq!(stage.sctp.queued_bytes(), 0);
    let busy = live();
    for number in 0..16 {
        stage.pass(Duration::from_secs(1));
        stage.sctp.send(stage.now, 1, numbered(number, 100)).expect("room");
        acknowledge(&mut stage);
    }
    let idle = live();
    assert!(idle + 100 * KIB <= busy, "{idle} of {busy} bytes are still allocated");
}
