//! The runtime: one thread per worker, with its sockets and its clock. It contains no protocols and no Node.js.
//!
//! ```text
//! WorkerHandle ──jobs──► inbox ─┐                        ┌─► outbox ──one wake a turn──► JavaScript
//!                  sockets ─────┴─► driver: one turn ────┴─► sockets
//! ```
//!
//! - A thread's life: `worker.rs` starts and joins it, `panics.rs` turns its panic into 'died',
//!   `log.rs` collects its log lines.
//! - A turn: `driver.rs` waits and keeps the order, `world.rs` owns the `Sfu` and the sockets and has the
//!   parts of a turn. `lanes.rs` keeps what exceeds a turn, `close.rs` finds there what a close overtakes.
//! - Between threads: `job.rs` and `inbox.rs` towards the worker, `outbox.rs` towards JavaScript.
//! - Sockets: `sockets.rs` holds all sockets of a worker; `udp.rs` and `tcp.rs` implement one socket of their
//!   kind; `unverified.rs` limits TCP connections without a valid STUN request; `ports.rs` chooses and binds
//!   ports; `batch.rs` groups datagrams for one system call.
//! - What differs between Linux, macOS and Windows, a file for each question: how datagrams are received and sent
//!   (`datagrams/`), how a socket is made (`open.rs`), which errors end a connection only (`tcp.rs`), and the C
//!   interfaces.
//! - C interfaces, the only `unsafe` code: `clock.rs`, `cpu.rs`, `open.rs`, `sendmsg.rs`, `socket_memory.rs`,
//!   `usage.rs`.
//!
//! `docs/ARCHITECTURE.md` ("When is a peer gone?") lists how the end of a peer is noticed.

pub mod batch;
pub mod clock;
mod close;
mod cpu;
mod datagrams;
mod driver;
pub mod inbox;
pub mod job;
mod lanes;
mod leases;
pub mod log;
mod open;
pub mod outbox;
mod panics;
pub mod ports;
#[cfg(target_os = "linux")]
pub mod sendmsg;
mod socket_memory;
mod sockets;
mod tcp;
mod udp;
mod unverified;
pub mod usage;
pub mod worker;
pub mod world;
