//! DTLS sessions over the simulated network.

#[path = "../common/mod.rs"]
mod common;
use common::sim;

mod handshake;
mod harness;
mod hostile;
