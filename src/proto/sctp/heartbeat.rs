//! Whether the peer is still there (RFC 9260 §8.1, §8.3). sctp-proto repeats what is not
//! acknowledged for ever, and asks for no sign of life; so that is done here.
//!
//! ```text
//!  ┌──────────── any packet that is the peer's without doubt ────────────┐
//!  ▼                                                                     │
//! heard ── QUIET ─► HEARTBEAT ── INTERVAL ─► HEARTBEAT … the last ── INTERVAL ─► gone
//! ```
//!
//! Nothing is counted per packet and no timer restarted: the deadline is looked at when it comes, and
//! put off if the peer has been heard meanwhile.

use std::time::{Duration, Instant};

/// How long a peer may say nothing before it is asked. RFC 9260 §16 recommends 30 s; of two of ours
/// that idle, one in 15 s is what it costs.
const QUIET: Duration = Duration::from_secs(15);

/// How long an answer may take, and then the next question comes. Above the round trip of any path
/// (and a late answer counts as well).
const INTERVAL: Duration = Duration::from_secs(2);

/// Questions in a row without an answer that end the association: 55 s after the last sign of life.
/// RFC 9260 §16 recommends to give up after 10 retransmissions, which with the RTOs of `link` are
/// over after 39 to 55 s. Twenty, because where a fifth of all packets is lost either way, 10 in a
/// row go unanswered once in 30,000 times, and 20 once in a thousand million.
const MAX_UNANSWERED: u8 = 20;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// The peer has been heard. A moment that comes every [`QUIET`] while it is.
    Rest,
    /// Send a HEARTBEAT.
    Ask,
    /// Nobody is there any more.
    GiveUp,
}

/// Watches one established association.
#[derive(Debug)]
pub(super) struct Watch {
    at: Instant,
    heard: Instant,
    unanswered: u8,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now + QUIET, heard: now, unanswered: 0 }
    }

    /// The peer has given a sign of life.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.unanswered = 0;
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.at
    }

    /// Questions are counted, not seconds: a pause of our own is not the peer's silence.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Due {
        if now < self.at {
            return Due::Nothing;
        }
        if now < self.heard + QUIET {
            self.at = self.heard + QUIET;
            return Due::Rest;
        }
        if self.unanswered == MAX_UNANSWERED {
            return Due::GiveUp;
        }
        self.unanswered += 1;
        self.at = now + INTERVAL;
        Due::Ask
    }
}
