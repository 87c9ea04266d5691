//! A worker's thread with real sockets, on loopback.
#![cfg(feature = "runtime")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests are the remote side of the sockets"
)]

#[path = "../common/checks.rs"]
#[allow(dead_code, reason = "used in parts")]
mod checks;
mod lifecycle;
#[path = "../common/options.rs"]
#[allow(dead_code, reason = "not all kinds of options are used here")]
mod options;
mod order;
mod sockets;
mod tunnel;
mod unverified;
mod worker;
