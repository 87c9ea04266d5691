//! Detects that an established peer is gone (RFC 9260 §8.1, §8.3). sctp-proto repeats without a
//! limit what is not acknowledged, and sends no HEARTBEATs.
//!
//! ```text
//!    ┌──────────────────── any verified packet of the peer ────────────────────┐
//!    ▼                                                                         │
//! listening ── quiet ─► HEARTBEAT ── interval ─► HEARTBEAT … the last ── interval ─► failed
//! ```
//!
//! A packet costs one store and restarts no timer: when the deadline comes, it is moved if packets
//! have arrived since.

use std::time::{Duration, Instant};

/// The most unanswered HEARTBEATs in a row that end an association. RFC 9260 §16 recommends 10 retransmissions. With a
/// fifth of all packets lost either way, 10 in a row go unanswered once in 30,000 times, and 20 once in a billion.
const MAX_UNANSWERED: u32 = 20;

/// The shortest time between two HEARTBEATs, so that a small `silence` does not send many within one round trip.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// What [`HeartbeatTimer::handle_timeout`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    None,
    /// Release unused memory. Comes regularly while the peer sends.
    Trim,
    SendHeartbeat,
    /// The peer is gone.
    Fail,
}

/// The timer of one established association.
#[derive(Debug)]
pub(super) struct HeartbeatTimer {
    /// How long the peer may be silent before the first HEARTBEAT.
    quiet: Duration,
    /// How long an answer may take before the next HEARTBEAT; a late answer counts as well.
    interval: Duration,
    /// How many unanswered HEARTBEATs in a row end the association.
    max_unanswered: u32,
    unanswered: u32,
    deadline: Instant,
}

impl HeartbeatTimer {
    /// The association fails after `silence`. Three elevenths of it pass before the first HEARTBEAT, the rest between
    /// the HEARTBEATs: of 55 s, 15 s and twenty times 2 s.
    pub(super) fn new(now: Instant, silence: Duration) -> Self {
        let quiet = silence * 3 / 11;
        let asking = silence - quiet;
        let fitting = asking.as_millis() / MIN_INTERVAL.as_millis();
        let max_unanswered =
            u32::try_from(fitting).unwrap_or(MAX_UNANSWERED).clamp(1, MAX_UNANSWERED);
        Self {
            quiet,
            interval: asking / max_unanswered,
            max_unanswered,
            unanswered: 0,
            deadline: now + quiet,
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.deadline
    }

    /// `last_heard`: when the last verified packet of the peer has arrived. Counts HEARTBEATs, not seconds, so that a
    /// pause of this process is not taken for the peer's silence.
    pub(super) fn handle_timeout(&mut self, now: Instant, last_heard: Instant) -> Action {
        if now < self.deadline {
            return Action::None;
        }
        if now < last_heard + self.quiet {
            self.deadline = last_heard + self.quiet;
            self.unanswered = 0;
            return Action::Trim;
        }
        if self.unanswered == self.max_unanswered {
            return Action::Fail;
        }
        self.unanswered += 1;
        self.deadline = now + self.interval;
        Action::SendHeartbeat
    }
}
