//! The domain in memory and in virtual time, with WebRTC clients at the other end of a network.

mod association;
mod client;
mod closing;
#[path = "../common/conditions.rs"]
mod conditions;
mod host;
mod hostile;
mod idle;
mod lab;

mod network;
mod network_figures;
mod networks;
mod path;
mod pipe;
mod plain;
mod plain_peer;
mod queues;
mod routing;
mod server;
mod straight_line;
mod streams;
