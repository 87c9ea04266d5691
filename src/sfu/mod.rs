//! The domain, sans-IO. One [`Sfu`] owns every entity of a worker by value.
//!
//! ```text
//! WebRtcServer ──► WebRTC transports        Router ──► Transport ──┬─► DataProducer ─┐
//!   (one port for many)                                            └─► DataConsumer ◄┘ route()
//! ```
//!
//! Datagrams, requests and the time go in; datagrams and events come out. The caller keeps this order:
//!
//! ```text
//! begin_turn(now)            first, and once a turn: everything until the next one happens at `now`
//!   handle_datagram(…)       any number of these, in any order
//!   handle_tuple_closed(…)
//!   handle_crowd(…)
//!   is_blocked(producer)     before each of the next two for it, if may_block(): if so, the caller keeps the message
//!   handle_tunnel_frame(…)
//!   send(…), notify_drain(…), handle_relief(…)
//!   poll_unblocked()         until it returns None: DataProducers whose kept messages may go on
//!   create_…(…), router(key)?.…(…), transport(key)?.…(…), …
//!   handle_timeout()         if poll_timeout() is not after `now`: deadlines, and what the last turn has left
//! flush()                    once all input of the turn is in; send what it returns, then clear it
//! poll_event()               until it returns None: after flush(), which causes events, and before the turn ends
//! poll_timeout()             last: when to begin a turn without input
//! ```
//!
//! - Input only marks a transport: packets are made by [`Sfu::flush`], so several messages share one.
//!   Answers to STUN requests and the last packets of a closed transport are in the same buffer.
//! - [`Sfu::poll_event`] may be called at any time, also between two inputs. The order of events is the
//!   order in which they happened; a change of the path to a peer is emitted at the end of the turn, or before
//!   another event of its transport.
//! - [`Sfu::poll_timeout`] may be too early, never too late; calling [`Sfu::handle_timeout`] too early does
//!   nothing. Deadlines are up to date after a flush.
//! - A key names one entity: the caller never uses it again. A request for an entity that has closed
//!   is rejected with [`error::Error::NotFound`]; messages, datagrams and frames for one are dropped.
//! - An [`error::Error`] has changed nothing, except that a `send()` counts the message that it drops. Sockets of a
//!   rejected request stay the caller's; [`event::Event::SocketReleased`] returns all others.
//! - Work is bounded, see [`work`]: what exceeds the share of a turn is due at once, in the next one. While
//!   [`Sfu::is_closing`], requests and messages from JavaScript wait; nothing else does.
//! - [`Sfu::close`] closes everything; one more flush and poll, and [`Sfu::is_empty`] is true.
//!
//! What a datagram, a message or a timeout costs does not depend on how many transports are idle.

pub mod address;
mod aftermath;
pub mod backlog;
mod block;
mod block_state;
mod cascade;
mod closing;
pub mod contract;
mod crowd;
pub mod data_consumer;
pub mod data_producer;
mod deadlines;
pub mod direct_queue;
pub mod drain_state;
mod drained;
mod entity;
pub mod error;
pub mod event;
pub mod histogram;
pub mod id;
mod limits;
pub mod memory;
mod meter;
mod metrics;
mod paths;
pub mod pipe_header;
mod replay;
mod roster;
mod route;
pub mod router;
pub mod source;
mod state;
pub mod subchannels;
mod totals;
pub mod transport;
pub mod tunnel;
pub mod webrtc_server;
pub mod work;

pub use state::Sfu;
