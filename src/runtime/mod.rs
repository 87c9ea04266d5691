//! Room 3: the world. One thread per worker, with its sockets and its clock; no protocols, no Node.js.
//!
//! ```text
//! WorkerHandle ──jobs──► inbox ─┐                        ┌─► outbox ──one wake a turn──► JavaScript
//!                  sockets ─────┴─► driver: one turn ────┴─► sockets
//! ```
//!
//! - A thread's life: `worker.rs` starts and joins it, `panics.rs` turns its panic into 'died',
//!   `log.rs` collects its log lines.
//! - A turn: `driver.rs` waits and keeps the order, `world.rs` owns the `Sfu` and the sockets and has the
//!   parts of a turn.
//! - Between threads: `job.rs` and `inbox.rs` towards the worker, `outbox.rs` towards JavaScript.
//! - Sockets: `sockets.rs` has all of a worker, `udp.rs` and `tcp.rs` one each, `unverified.rs` limits TCP
//!   connections, `ports.rs` binds, `batch.rs` groups datagrams for one system call.
//! - C interfaces, the only `unsafe` code: `clock.rs`, `cpu.rs`, `mmsg.rs`, `socket_drops.rs`,
//!   `usage.rs`.

pub mod batch;
pub mod clock;
mod cpu;
mod driver;
pub mod inbox;
pub mod job;
pub mod log;
pub mod mmsg;
pub mod outbox;
mod panics;
pub mod ports;
mod socket_drops;
mod sockets;
mod tcp;
mod udp;
mod unverified;
pub mod usage;
pub mod worker;
pub mod world;
