//! The protocols of one peer, sans-IO.
//!
//! Verbs are the same in every module: `handle_*(now, …)` takes input, `poll_*` returns output, and
//! `poll_timeout` returns when to call `handle_timeout`. Nothing here reads a clock, opens a socket or
//! starts a thread (`clippy.toml` checks that), and nothing imports another room.
//!
//! ```text
//! datagram ─► demux ─┬─ STUN ─► ice_lite      which remote address is the peer
//!                    └─ DTLS ─► session: dtls ─► sctp ─► messages
//! ```
//!
//! [`peer`] drives all of them for one WebRTC peer and documents the order of calls; transports
//! without ICE drive a [`session`], those without DTLS [`sctp`] alone.

pub mod certificate;
pub mod dcep;
pub mod demux;
pub mod dtls;
pub mod framing;
pub mod ice_lite;
pub mod message;
pub mod net;
pub mod overflow;
pub mod peer;
pub mod reason;
pub mod sampler;
pub mod sctp;
pub mod session;
pub mod stun;
pub mod transmit;
