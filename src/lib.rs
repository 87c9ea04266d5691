//! The data half of a WebRTC SFU, for Node.js.
//!
//! Five rooms, one arrow; nothing points back:
//!
//! ```text
//! lib/ (JavaScript) → binding → runtime → sfu → proto
//! ```
//!
//! - [`proto`]: the protocols of one peer (ICE-Lite, DTLS, SCTP, DCEP). Bytes and the time go in, bytes
//!   and events come out; no sockets, no clock, no threads.
//! - [`sfu`]: the domain. All entities of one worker, owned by value, and the routing of messages.
//!   Sans-IO as well.
//! - `runtime`: the world. One thread per worker, with its sockets and its clock.
//! - `binding`: Node.js. N-API classes around the entities, and the queue of answers and events.
//!
//! Feature `runtime` (default) adds the third room, feature `node` the fourth.

// Files that the unit tests share with tests/ name this crate `datasoup`, as code outside of the crate does.
#[cfg(test)]
extern crate self as datasoup;
#[cfg(test)]
#[path = "../tests/common/options.rs"]
#[allow(dead_code, unreachable_pub, reason = "unit tests use a part")]
mod options;

#[cfg(feature = "node")]
mod binding;
pub mod proto;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod sfu;
