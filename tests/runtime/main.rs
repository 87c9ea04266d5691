//! A worker's thread with real sockets, on loopback.
#![cfg(feature = "runtime")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests are the world that the runtime meets"
)]

mod lifecycle;
mod order;
mod sockets;
mod strangers;
mod tunnel;
mod worker;
