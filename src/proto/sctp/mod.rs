//! SCTP over DTLS or UDP (RFC 9260, RFC 8261) for data channels (RFC 8831), over sctp-proto.
//!
//! An [`Association`] is sans-IO: packets and the time go in, packets and events come out. This
//! module may use `message` and `dcep`; `engine` alone names sctp-proto.
//!
//! # Contract
//!
//! - **Start.** [`Association::connect`] once the layer below is ready. Before that streams can be
//!   opened and messages sent, which wait in the queues; packets are dropped.
//! - **In.** [`Association::handle_packet`] for each packet of the layer below, and
//!   [`Association::handle_timeout`] when the time of [`Association::poll_timeout`] has come. Every
//!   call that takes the time expects one that is not before the last.
//! - **Out.** Any call with `&mut self` may queue events, so take them with
//!   [`Association::poll_event`] until it returns `None`. After all input of a turn call
//!   [`Association::drain_transmits`] once: it moves messages out of the queues and into
//!   packets, which is the expensive part. Then take the events again, and ask
//!   [`Association::poll_timeout`], which any call may have changed.
//! - **Errors.** [`Association::send`] alone returns errors. A [`SendError`] concerns that
//!   message only. What a peer does wrong is dropped and counted, see [`SctpCounters`],
//!   or ends the association; [`Association::end_reason`] says why.
//! - **End.** [`SctpState::Closed`] and [`SctpState::Failed`] are final. One more
//!   [`Association::drain_transmits`] sends the ABORT, if there is one. After that packets are
//!   dropped and counted, `send` returns [`SendError::Closed`] and there is no timeout.
//!
//! ```text
//! New ── connect ─► Connecting ─┬─ COOKIE ECHO or COOKIE ACK ─► Connected ─┬─► Closed
//!                               │                                          └─ silence ─► Failed
//!                               ├─ ABORT, or a violation ─► Closed
//!                               └─ no answer to INIT ─► Failed
//! ```
//!
//! [`Association::abort`] leads from every state but the final ones to `Closed`.
//!
//! # The way in, and the way out
//!
//! ```text
//! handle_packet             association           send                       association
//!  ├─ until connected        handshake              └─► push                  queue
//!  └─► judge                engine                drain_transmits            association
//!       ├─► screen          guard                  ├─► pump                  association
//!       ├─► verify          engine                 │    ├─► admits           control
//!       └─► admit           guard, budget,         │    ├─► pop              queue
//!            │              ledger, received       │    └─► write            engine, control
//!            ├─► on_sack    control                └─► drain                 engine
//!  deliver ◄─┘              association/inbound         ├─► emit             egress, ledger
//!   └─► read                engine, ppid                └─► transmit         control
//!        └─► events         event
//! ```
//!
//! # The files
//!
//! | File | What it is |
//! | --- | --- |
//! | `association`, `association/` | the state machine: way in, way out, end |
//! | `arrivals` | what has arrived and waits to be taken |
//! | `handshake`, `init` | how it begins |
//! | `config`, `event`, `counters` | what goes in and comes out |
//! | `engine`, `engine/settings` | one association of sctp-proto |
//! | `guard`, `guard/` | what sctp-proto must not see |
//! | `budget` | how much CPU time a peer may take |
//! | `ledger`, `received`, `held` | what the packets of both directions show |
//! | `queue` | what waits |
//! | `fences` | what `drained()` and the ids of closed streams wait for |
//! | `control/` | how messages become DATA, when it leaves, and when it leaves again |
//! | `egress` | what no path must see |
//! | `streams` | which stream ids are in use, and which are being reset |
//! | `heartbeat` | whether the peer is gone |
//! | `ppid`, `wire` | PPIDs that sctp-proto does not know; packets as bytes |

mod arrivals;
mod association;
mod budget;
mod config;
mod control;
mod counters;
mod egress;
mod engine;
mod event;
mod fences;
mod guard;
mod handshake;
mod heartbeat;
mod held;
mod init;
mod ledger;
mod ppid;
mod queue;
mod received;
mod streams;
mod tap;
#[cfg(test)]
mod testing;
mod wire;

pub use self::association::Association;
pub use self::config::{CongestionControl, SctpConfig, Start};
pub use self::counters::{
    ChunkTally, MessageTally, Retransmitted, SctpCounters, TransmissionStats,
};
pub use self::engine::ENGINE_LOG_TARGET;
pub use self::event::{EndReason, SctpEvent, SctpState, SendError};
pub use self::tap::Tapped;

/// See `control/fuzz.rs`.
#[cfg(fuzzing)]
pub fn fuzz_control(now: std::time::Instant, data: &[u8]) {
    control::fuzz::run(now, data);
}
