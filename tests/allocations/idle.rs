//! The heap of idle transports. The figures do not include the 1.2 KB that aws-lc allocates for the keys of a session,
//! because aws-lc does not use Rust's allocator.

use std::time::Duration;

use crate::counting::live;
use crate::host::binary;
use crate::ours;
use crate::rig::Rig;

const KIB: i64 = 1024;

#[test]
fn an_idle_transport_with_one_channel_takes_21_kib_at_most() {
    const TRANSPORTS: i64 = 100;
    let (mut rig, producer) = Rig::with_producer();
    let before = live();
    for _ in 0..TRANSPORTS {
        rig.join_with_channels(producer);
    }
    rig.pass(Duration::from_secs(10));
    let each = (live() - before) / TRANSPORTS;
    println!("{each} bytes of heap per transport");
    assert!(each <= 21 * KIB, "an idle transport has {each} bytes");
}

/// The send queues free their memory after a burst; sctp-proto keeps what it has allocated.
#[test]
fn a_transport_frees_its_queues_after_a_burst() {
    let (mut rig, producer) = Rig::with_producer();
    rig.join_with_channels(producer);
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
    assert!(idle + 100 * KIB <= busy, "{idle} of {busy} bytes are still allocated");
}
