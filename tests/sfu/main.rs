//! The domain in memory and in virtual time, with WebRTC clients at the other end of a network.

mod association;
mod client;
mod closing;
mod hostile;
mod idle;
mod lab;
#[path = "../common/link.rs"]
mod link;
mod path;
mod pipe;
mod plain;
mod plain_peer;
mod queues;
mod routing;
mod server;
mod straight_line;
mod streams;
