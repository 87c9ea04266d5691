//! The fuzz targets: each is a function that takes the fuzzer's bytes and panics if an invariant is
//! broken. `fuzz/` runs them with libFuzzer; the tests here replay the seeds.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "this is also a library for `fuzz/`")]

#[cfg(fuzzing)]
pub mod control;
pub mod dcep;
pub mod demux;
pub mod guard;
pub mod network;
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
