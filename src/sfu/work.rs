//! What something costs: an estimate, in nanoseconds of the worker's time.
//!
//! This room does not read the clock. Every loop whose length an application or a peer decides adds up what it does
//! instead, and stops at [`SHARE`]; the rest is due in the next turn. So a turn is bounded by the work that its input
//! causes, and virtual time shows the same bounds.
//!
//! The figures are measured on one core of a server of 2021 and need not be exact: on a machine that is half as fast
//! a turn takes twice as long.

use super::subchannels::{Selector, Subchannels};

/// What each part of a turn may cost: half a millisecond, in which one core routes 10,000 copies of a small
/// message. `driver.rs` has the parts.
pub const SHARE: u64 = 500_000;

/// What each of several entities that share a part may take before it is the turn of the next.
pub const QUANTUM: u64 = SHARE / 8;

/// Moving a job of another thread to the lane where it waits.
pub const MOVE: u64 = 30;
/// Taking a job of any kind.
pub const JOB: u64 = 30;
/// Doing a job that is a call.
pub const CALL: u64 = 1500;
/// Each byte of the answer to a call.
pub const ANSWER_BYTE: u64 = 2;

/// Routing a message; and for each DataConsumer, that it is skipped, or that the message goes to JavaScript or to a
/// peer.
pub(super) const MESSAGE: u64 = 100;
pub(super) const SKIPPED: u64 = 10;
pub(super) const TO_JAVASCRIPT: u64 = 50;
pub(super) const TO_PEER: u64 = 150;
/// Dropping a message for JavaScript, as there is no room, beside what skipping takes.
pub(super) const DROPPED: u64 = 30;

/// Asking a transport for datagrams, and each byte of these.
pub(super) const POLL: u64 = 1000;
pub(super) const BYTE_OUT: u64 = 2;

/// Leaving out a group of messages with the same subchannels in a replay.
pub(super) const SELECTED: u64 = 40;

/// Handling a deadline.
pub(super) const DEADLINE: u64 = 1000;

/// Closing an entity.
pub(super) const CLOSE_CONSUMER: u64 = 300;
pub(super) const CLOSE_PRODUCER: u64 = 500;
pub(super) const CLOSE_TRANSPORT: u64 = 10_000;

/// Adding up the counters of an entity.
pub(super) const COUNTED: u64 = 50;

/// Comparing the subchannels of a message with those of a DataConsumer.
pub(super) fn comparison(selector: &Selector, subscribed: &Subchannels) -> u64 {
    const EACH: u64 = 3;
    EACH * selector.subchannels.len().min(subscribed.len()) as u64
}
