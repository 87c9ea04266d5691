//! What is fuzzed: per target a function that takes the fuzzer's bytes and panics if a promise is
//! broken. `fuzz/` drives them with libFuzzer; the tests here replay the seeds.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "as a library this is for `fuzz/`")]

pub mod dcep;
pub mod demux;
pub mod guard;
pub mod stun;
pub mod subchannel_header;
pub mod tcp_framing;
pub mod two_peers;
pub mod webrtc_peer;

mod input;
mod script;

// The stage and its props, from the other tests.
#[path = "../sfu/association.rs"]
mod association;
#[path = "../common/checks.rs"]
mod checks;
#[path = "../sfu/client.rs"]
mod client;
#[path = "../common/counting.rs"]
mod counting;
#[path = "../sfu/host.rs"]
mod host;
#[path = "../sfu/lab.rs"]
mod lab;
#[path = "../common/link.rs"]
mod link;
#[path = "../common/packet.rs"]
mod packet;
#[path = "../sctp/peers.rs"]
mod peers;
#[path = "../sfu/plain_peer.rs"]
mod plain_peer;
use link as conditions;

#[cfg(test)]
mod seeds;
