//! The binding to Node.js: N-API classes with short methods, one per entity. It makes no
//! errors, and its only rules are bounds of what waits here and the size of a message.
//!
//! ```text
//! lib/ ── method(request, json) ──► batcher ── flush() ──► inbox of the worker
//! lib/ ◄── drain() ── reader ◄──────────────────────────── outbox of the worker
//! ```
//!
//! A control method takes the id of the request, gathers a job and returns; the answer comes through the
//! queue. **The id of the request that creates an entity is the key of the entity**, so the object that a
//! create method returns can be used before the answer.
//!
//! `lib/` is the only caller. It has checked all arguments, gives final values, and makes the errors and
//! promises. JSON is parsed once, on the worker's thread. Only the JSON of `start()` is parsed here, because
//! the thread begins with it. A value that the binding itself needs is an argument of its own.
//!
//! - `worker.rs`, `webrtc_server.rs`, `router.rs`, `transport.rs`, `data_producer.rs`,
//!   `data_consumer.rs`, `capture.rs`: the classes.
//! - `batcher.rs`: what JavaScript requests and sends in one macrotask goes to the worker together.
//! - `subchannels.rs`: lists of subchannels.
//! - `drain.rs`, `reader.rs`, `events.rs`: what comes back; `backlogs.rs`: what has not come back yet.
//!
//! N-API is a C interface: what the attributes expand to is `unsafe`.
#![allow(unsafe_code)]

mod backlogs;
mod batcher;
mod capture;
mod cleanup;
mod data_consumer;
mod data_producer;
mod drain;
mod events;
mod reader;
mod router;
mod subchannels;
mod transport;
mod webrtc_server;
mod worker;

use napi_derive::napi;

/// The version of the crate. `lib/native.js` accepts no other than the package's, as the two change together.
#[napi]
#[allow(unreachable_pub, reason = "the macro accepts `pub` alone")]
#[cfg_attr(test, allow(dead_code, reason = "unit tests register nothing with Node.js"))]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
