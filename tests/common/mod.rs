//! Shared by the cargo tests, the fuzz targets, the benches and the attacker: one simulated network, one peer of each
//! kind, and packets as bytes. Each crate includes this file with `#[path]` and uses a part of it.
//!
//! ```text
//! sim          virtual time and the network: delay, loss, reordering, duplication, bandwidth
//!   peers      associations of ours at its two ends
//!   dcsctp     an association that shares no code with ours
//!     flows    associations of both kinds over a path with a bottleneck
//!     rows     what must hold on such paths
//!   puppet     a scripted SCTP peer, made of the bytes of `packet`
//!   lab        workers (`host`), WebRTC clients (`client`, with the checks of `checks`), peers of plain transports
//! ```
//!
//! `options` has the options of a minimal call for every entity.
//!
//! `rig.rs` (a worker and clients without a network) and the allocators, `heap.rs` and `counting.rs`, are included on
//! their own.

#![allow(dead_code, unused_imports, reason = "each crate uses a part")]

pub(crate) mod checks;
pub(crate) mod client;
pub(crate) mod dcsctp;
pub(crate) mod flows;
pub(crate) mod host;
pub(crate) mod lab;
pub(crate) mod options;
pub(crate) mod packet;
pub(crate) mod peers;
pub(crate) mod plain_peer;
pub(crate) mod puppet;
pub(crate) mod rows;
pub(crate) mod sim;
