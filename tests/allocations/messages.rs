//! Allocations per message, once every buffer has grown to its size. For a message that is sent the worker allocates
//! nothing. For a message that is received it allocates the packet and the message, because sctp-proto takes and
//! returns owned bytes.

use datasoup::sfu::id::DataProducerKey;

use crate::counting::{ByOwner, Owner, attributed, count, unattributed};
use crate::host::binary;
use crate::ours;
use crate::rig::Rig;

/// How many messages are sent before the count, so that every buffer has its final size, and how many are counted.
const BEFORE: usize = 1000;
const COUNTED: i64 = 20;

/// Runs a step `BEFORE` times, then `COUNTED` times; returns the allocations of the latter.
#[track_caller]
fn each_time(what: &str, mut work: impl FnMut()) -> ByOwner {
    for _ in 0..BEFORE {
        work();
    }
    let before = count();
    for _ in 0..COUNTED {
        attributed(&mut work);
    }
    let all = count().since(before).allocations;
    let each = |owner: Owner| all[owner as usize] as f64 / COUNTED as f64;
    println!(
        "{what}: {} ours, {} sctp-proto's, {} dimpl's",
        each(Owner::Proto) + each(Owner::Sfu),
        each(Owner::SctpProto),
        each(Owner::Dimpl),
    );
    all
}

/// Fails if an owner has allocated more often than this each time.
#[track_caller]
fn assert_at_most(all: ByOwner, ours: i64, sctp_proto: i64, dimpl: i64) {
    let at_most = |owner: Owner, each| assert!(all[owner as usize] <= each * COUNTED, "{owner:?}");
    at_most(Owner::Proto, ours);
    at_most(Owner::Sfu, 0);
    at_most(Owner::SctpProto, sctp_proto);
    at_most(Owner::Dimpl, dimpl);
}

#[test]
fn a_message_to_a_client_needs_no_allocation_of_ours() {
    for len in [100, 1000] {
        let (mut rig, producer) = to_a_client();
        let all = each_time(&format!("{len} bytes out"), || {
            // The message is made outside of the count, because the application allocates the payload.
            let message = binary(1, len);
            ours(|| {
                rig.host.sfu.send(producer, message, None);
                rig.host.sfu.flush();
            });
            unattributed(|| {
                rig.flush();
                rig.deliver_to_clients();
                rig.settle();
            });
        });
        assert_at_most(all, 0, 14, 4);
    }
}

fn to_a_client() -> (Rig, DataProducerKey) {
    let mut rig = Rig::new();
    let direct = ours(|| rig.host.direct(rig.router));
    let producer = ours(|| rig.host.produce(direct, 0));
    let key = rig.join();
    ours(|| rig.host.consume(key, producer));
    (rig, producer)
}

#[test]
fn a_message_from_a_client_needs_two_allocations_of_ours() {
    for len in [100, 1000] {
        let mut rig = Rig::new();
        let direct = ours(|| rig.host.direct(rig.router));
        let key = rig.join();
        let producer = ours(|| rig.host.produce(key, 0));
        ours(|| rig.host.consume(direct, producer));
        let all = each_time(&format!("{len} bytes in, with half an acknowledgement"), || {
            rig.clients[0].send(0, binary(1, len));
            rig.settle();
        });
        assert_at_most(all, 2, 12, 9);
    }
}

#[test]
fn an_acknowledgement_from_a_client_needs_one_allocation_of_ours() {
    let (mut rig, producer) = to_a_client();
    let all = each_time("an acknowledgement in", || {
        unattributed(|| {
            for _ in 0..2 {
                ours(|| rig.host.sfu.send(producer, binary(1, 100), None));
            }
            rig.flush();
            rig.deliver_to_clients();
        });
        rig.settle();
    });
    assert_at_most(all, 1, 4, 4);
}
