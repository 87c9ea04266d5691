//! Room 3: the world. One thread per worker, with its sockets and its clock. No protocol, no Node.
//!
//! ```text
//! WorkerHandle ──jobs──► inbox ─┐                        ┌─► outbox ──one wake a turn──► JavaScript
//!                  sockets ─────┴─► driver: one turn ────┴─► sockets
//! ```

pub mod driver;
pub mod inbox;
pub mod log;
pub mod mmsg;
pub mod outbox;
mod panics;
pub mod ports;
mod sockets;
mod strangers;
mod tcp;
mod udp;
pub mod usage;
pub mod worker;
