//! Detects that an established peer is gone (RFC 9260 §8.1, §8.3). sctp-proto repeats without a
//! limit what is not acknowledged, and sends no HEARTBEATs.
//!
//! ```text
//!    ┌──────────────────── any verified packet of the peer ────────────────────┐
//!    ▼                                                                         │
//! listening ── QUIET ─► HEARTBEAT ── INTERVAL ─► HEARTBEAT … the last ── INTERVAL ─► failed
//! ```
//!
//! A packet costs one store and restarts no timer: when the deadline comes, it is moved if packets
//! have arrived since.

use std::time::{Duration, Instant};

/// How long a peer may be silent before the first HEARTBEAT. RFC 9260 §16 recommends 30 s; between
/// two idle routers this costs one HEARTBEAT in 15 s.
const QUIET: Duration = Duration::from_secs(15);

/// How long an answer may take before the next HEARTBEAT: above the round trip of any path, and a
/// late answer counts as well.
const INTERVAL: Duration = Duration::from_secs(2);

/// Unanswered HEARTBEATs in a row that end the association: 55 s after the last packet. RFC 9260
/// §16 recommends 10 retransmissions, which with the RTOs of `engine` take 39 to 55 s. With a fifth
/// of all packets lost either way, 10 in a row go unanswered once in 30,000 times, and 20 once in a
/// billion.
const MAX_UNANSWERED: u8 = 20;

/// What [`HeartbeatTimer::handle_timeout`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    None,
    /// Release unused memory. Comes every [`QUIET`] while the peer sends.
    Trim,
    SendHeartbeat,
    /// The peer is gone.
    Fail,
}

/// The timer of one established association.
#[derive(Debug)]
pub(super) struct HeartbeatTimer {
    deadline: Instant,
    last_packet: Instant,
    unanswered: u8,
}

impl HeartbeatTimer {
    pub(super) fn new(now: Instant) -> Self {
        Self { deadline: now + QUIET, last_packet: now, unanswered: 0 }
    }

    /// Notes that a verified packet of the peer has arrived.
    pub(super) fn on_packet(&mut self, now: Instant) {
        self.last_packet = now;
        self.unanswered = 0;
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.deadline
    }

    /// Counts HEARTBEATs, not seconds, so that a pause of this process is not taken for the peer's
    /// silence.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Action {
        if now < self.deadline {
            return Action::None;
        }
        if now < self.last_packet + QUIET {
            self.deadline = self.last_packet + QUIET;
            return Action::Trim;
        }
        if self.unanswered == MAX_UNANSWERED {
            return Action::Fail;
        }
        self.unanswered += 1;
        self.deadline = now + INTERVAL;
        Action::SendHeartbeat
    }
}
