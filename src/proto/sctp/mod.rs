//! SCTP over DTLS or UDP (RFC 9260, RFC 8261) for data channels (RFC 8831), over sctp-proto.
//!
//! Sans-IO: packets and the time go in, packets and events come out. May use `message` and `dcep`;
//! `engine` alone names sctp-proto.

mod association;
mod budget;
mod config;
mod counters;
mod egress;
mod engine;
mod event;
mod flight;
mod guard;
mod heartbeat;
mod init;
mod ledger;
mod ppid;
mod pr_sctp;
mod queue;
mod received;
mod streams;
#[cfg(test)]
mod testing;
mod verdict;
mod wire;

pub use self::association::Association;
pub use self::config::{SctpConfig, Start};
pub use self::counters::{MessageTally, SctpCounters};
pub use self::event::{SctpEvent, SctpState, SendError};
