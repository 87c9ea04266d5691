//! The heap of a WebRTC transport, by the code that allocated it (dimpl, sctp-proto, `src/proto`, `src/sfu`):
//! `npm run bench:heap`. The figures do not include the 1.2 KB that aws-lc allocates for the keys of a
//! session, because aws-lc does not use Rust's allocator.

#[path = "../../tests/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "used in parts")]
#[path = "../../tests/common/counting.rs"]
mod counting;
#[allow(dead_code, reason = "used in parts")]
#[path = "../../tests/common/rig.rs"]
mod rig;

use std::time::Duration;

use datasoup::sfu::id::DataProducerKey;

use common::host::binary;
use counting::{Count, Owner, attributed, count, ours};
use rig::Rig;

const OWNERS: [Owner; 5] =
    [Owner::Dimpl, Owner::SctpProto, Owner::Proto, Owner::Sfu, Owner::Unknown];

fn main() {
    println!("bytes of a connected, idle transport with one channel in each direction:");
    idle_transport();
    println!("bytes that a transport keeps after a burst of 2,000 messages of 100 bytes:");
    after_burst();
}

fn idle_transport() {
    const TRANSPORTS: i64 = 5;
    let (mut rig, producer) = Rig::with_producer();
    let before = count();
    for _ in 0..TRANSPORTS {
        attributed(|| rig.join_with_channels(producer));
    }
    rig.pass(Duration::from_secs(10));
    print_growth(before, TRANSPORTS);
}

fn after_burst() {
    let (mut rig, producer) = Rig::with_producer();
    rig.join_with_channels(producer);
    // The worker keeps the buffer in which all transports write their datagrams: this burst makes it large enough.
    burst(&mut rig, producer);
    let direct = ours(|| rig.host.direct(rig.router));
    let other_producer = ours(|| rig.host.produce(direct, 0));
    rig.join_with_channels(other_producer);
    let before = count();
    burst(&mut rig, other_producer);
    print_growth(before, 1);
}

fn burst(rig: &mut Rig, producer: DataProducerKey) {
    for _ in 0..2000 {
        ours(|| rig.host.sfu.send(producer, binary(1, 100), None));
    }
    attributed(|| {
        rig.flush();
        rig.deliver_to_clients();
        rig.settle();
    });
    rig.pass(Duration::from_secs(10));
}

fn print_growth(before: Count, transports: i64) {
    let by = count().since(before).live;
    for owner in OWNERS {
        println!("  {owner:?}: {}", by[owner as usize] / transports);
    }
}
