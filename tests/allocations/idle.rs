//! The heap of transports that idle. What aws-lc allocates for the keys of a session, 1.2 KB, does not go through the
//! allocator of Rust and is not in these figures.

use std::time::Duration;

use datasoup::sfu::id::DataProducerKey;

use crate::counting::{Owner, attributed, count, live};
use crate::host::binary;
use crate::ours;
use crate::rig::Rig;

const KIB: i64 = 1024;

/// A worker with a direct DataProducer and one client, which has made what all of them share.
fn worker() -> (Rig, DataProducerKey) {
    let mut rig = Rig::new();
    let direct = ours(|| rig.host.direct(rig.router));
    let producer = ours(|| rig.host.produce(direct, 0));
    rig.join();
    (rig, producer)
}

/// A connected client with a channel in both directions; `producer` feeds the one to it.
fn join(rig: &mut Rig, producer: DataProducerKey) {
    let key = rig.join();
    ours(|| rig.host.produce(key, 0));
    ours(|| rig.host.consume(key, producer));
}

#[test]
fn an_idle_transport_with_one_channel_takes_20_kib_at_most() {
    const TRANSPORTS: i64 = 100;
    let (mut rig, producer) = worker();
    let before = live();
    for _ in 0..TRANSPORTS {
        join(&mut rig, producer);
    }
    rig.pass(Duration::from_secs(10));
    let each = (live() - before) / TRANSPORTS;
    println!("{each} bytes of heap per transport");
    assert!(each <= 20 * KIB, "{each} bytes");
}

/// Figures, not a check:
/// `cargo test --no-default-features --test allocations owners -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn owners_of_the_heap_of_a_transport() {
    const TRANSPORTS: i64 = 5;
    let (mut rig, producer) = worker();
    let before = count();
    for _ in 0..TRANSPORTS {
        attributed(|| join(&mut rig, producer));
    }
    rig.pass(Duration::from_secs(10));
    let by = count().since(before).live;
    for owner in [Owner::Dimpl, Owner::SctpProto, Owner::Proto, Owner::Sfu, Owner::Unknown] {
        println!("{owner:?}: {} bytes", by[owner as usize] / TRANSPORTS);
    }
}

/// sctp-proto keeps what it has taken; the send queues above it do not.
#[test]
fn a_transport_that_was_busy_gives_back_what_its_queues_took() {
    let (mut rig, producer) = worker();
    join(&mut rig, producer);
    for _ in 0..2000 {
        ours(|| rig.host.sfu.send(producer, binary(1, 100), None));
    }
    rig.flush();
    rig.deliver_to_clients();
    rig.settle();
    let busy = live();
    rig.pass(Duration::from_secs(10));
    let idle = live();
    println!("{busy} bytes of heap while busy, {idle} when idle again");
    assert!(idle + 100 * KIB <= busy, "{idle} of {busy} bytes are still there");
}

/// The same for what a burst leaves behind; see the test below.
#[test]
#[ignore = "prints figures"]
fn owners_of_what_a_burst_leaves_behind() {
    let (mut rig, producer) = worker();
    join(&mut rig, producer);
    let before = count();
    for _ in 0..2000 {
        ours(|| rig.host.sfu.send(producer, binary(1, 100), None));
    }
    attributed(|| {
        rig.flush();
        rig.deliver_to_clients();
        rig.settle();
    });
    rig.pass(Duration::from_secs(10));
    let by = count().since(before).live;
    for owner in [Owner::Dimpl, Owner::SctpProto, Owner::Proto, Owner::Sfu, Owner::Unknown] {
        println!("{owner:?}: {} bytes", by[owner as usize]);
    }
}
