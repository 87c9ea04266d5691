//! The domain in memory and in virtual time, with WebRTC clients at the other end of a network.

#[path = "../common/mod.rs"]
mod common;

mod accounting;
mod block;
mod channels;
mod closing;
mod datachannel;
mod drained;
mod first_bytes;
mod hold;
mod hostile;
mod idle;
mod limits;
mod memory;
mod metrics;
mod networks;
mod overflow;
mod path;
mod pipe;
mod pipe_dtls;
mod plain;
mod queues;
mod retain;
mod routing;
mod server;
mod straight_line;
mod streams;
mod turns;
