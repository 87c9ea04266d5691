//! Room 2: the domain, sans-IO. One [`Sfu`] owns every entity of a worker by value.
//!
//! ```text
//! WebRtcServer ──► WebRTC transports        Router ──► Transport ──┬─► DataProducer ─┐
//!   (one port for many)                                            └─► DataConsumer ◄┘ route()
//! ```
//!
//! Datagrams, requests and the time go in; datagrams ([`Sfu::flush`]) and events
//! ([`Sfu::poll_event`]) come out. What a call costs does not depend on how many transports idle.

pub mod address;
pub mod backlog;
pub mod contract;
pub mod data_consumer;
pub mod data_producer;
mod deadlines;
mod entity;
pub mod error;
pub mod event;
pub mod id;
mod meter;
mod paths;
pub mod pipe_header;
mod route;
mod router;
mod state;
pub mod subchannels;
pub mod transport;
pub mod tunnel;
mod webrtc_server;

pub use state::Sfu;
