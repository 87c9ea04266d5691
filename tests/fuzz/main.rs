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

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/heap.rs"]
mod heap;
use common::{client, lab, packet, peers, puppet, sim};

#[cfg(test)]
mod seeds;
