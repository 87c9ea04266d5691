//! Detects losses by time (RACK, RFC 8985 §6): a chunk is lost if one that was sent later has arrived,
//! and a round trip and the reordering window have passed since it was sent.

use std::time::{Duration, Instant};

use super::super::wire::before;
use super::rtt::Rtt;
use super::scoreboard::{Progress, Scoreboard};

/// So many chunks beyond a gap count as a loss on a path that has not reordered anything
/// (RFC 8985 §6.2 step 4).
const DUPLICATE_THRESHOLD: usize = 3;

/// The most quarters of a round trip that the reordering window has. A round trip bounds it as well.
const MAX_MULTIPLIER: u32 = 8;

/// For so many recoveries a window that was widened stays so (RFC 8985 §6.2 step 4).
const PERSISTENCE: u8 = 16;

#[derive(Debug)]
pub(super) struct Rack {
    /// When the latest-sent chunk that has arrived was sent, and its TSN.
    newest: Option<(Instant, u32)>,
    /// Its round trip.
    round_trip: Duration,
    /// The highest TSN that has arrived.
    highest: u32,
    /// Whether the path has reordered something.
    reordering: bool,
    /// The reordering window in quarters of the smallest round trip.
    multiplier: u32,
    /// In how many recoveries the multiplier goes back to 1.
    persistence: u8,
    /// The window does not widen again until this TSN is acknowledged.
    widened_until: Option<u32>,
    /// When the next chunk is taken for lost.
    deadline: Option<Instant>,
}

impl Rack {
    /// `before_first`: the TSN before the first one.
    pub(super) fn new(before_first: u32) -> Self {
        Self {
            newest: None,
            round_trip: Duration::ZERO,
            highest: before_first,
            reordering: false,
            multiplier: 1,
            persistence: 0,
            widened_until: None,
            deadline: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// A chunk has arrived (RFC 8985 §6.2 steps 2 and 3).
    pub(super) fn on_arrived(
        &mut self,
        now: Instant,
        tsn: u32,
        sent_at: Instant,
        was_resent: bool,
        rtt: &Rtt,
    ) {
        let round_trip = now.saturating_duration_since(sent_at);
        if before(self.highest, tsn) {
            self.highest = tsn;
        } else if !was_resent {
            self.reordering = true;
        }
        // The acknowledgement may be of the first transmission.
        let is_ambiguous = was_resent && rtt.min().is_some_and(|min| round_trip < min);
        let is_newer = |(at, other)| sent_at > at || (sent_at == at && before(other, tsn));
        if !is_ambiguous && self.newest.is_none_or(is_newer) {
            self.newest = Some((sent_at, tsn));
            self.round_trip = round_trip;
        }
    }

    /// The peer has reported as a duplicate what was taken for lost and sent again: the window was too
    /// short (RFC 8985 §6.2 step 4). `cumulative` and `highest_sent` mark the round.
    pub(super) fn on_duplicate(&mut self, cumulative: u32, highest_sent: u32) {
        self.reordering = true;
        if self.widened_until.is_none_or(|until| !before(cumulative, until)) {
            self.multiplier = (self.multiplier + 1).min(MAX_MULTIPLIER);
            self.widened_until = Some(highest_sent);
        }
        self.persistence = PERSISTENCE;
    }

    pub(super) fn on_recovery_over(&mut self) {
        self.persistence = self.persistence.saturating_sub(1);
        if self.persistence == 0 {
            self.multiplier = 1;
        }
    }

    fn window(&self, rtt: &Rtt, arrived_chunks: usize, in_recovery: bool) -> Duration {
        if !self.reordering && (in_recovery || arrived_chunks >= DUPLICATE_THRESHOLD) {
            return Duration::ZERO;
        }
        let min = rtt.min().unwrap_or_default();
        (min * self.multiplier / 4).min(rtt.smoothed().unwrap_or_default().max(min))
    }

    /// Takes chunks for lost (RFC 8985 §6.2 step 5), and adds their TSNs to `lost`.
    pub(super) fn detect(
        &mut self,
        now: Instant,
        board: &mut Scoreboard,
        rtt: &Rtt,
        in_recovery: bool,
        lost: &mut Vec<u32>,
    ) {
        self.deadline = None;
        let Some((newest, newest_tsn)) = self.newest else { return };
        let totals = board.totals();
        if totals.arrived_chunks == 0 && totals.resent_chunks == 0 {
            return;
        }
        let wait = self.round_trip + self.window(rtt, totals.arrived_chunks, in_recovery);
        for (position, entry) in board.sent_entries() {
            // What follows has been sent later still.
            if entry.sent_at > newest && entry.sends == 1 {
                break;
            }
            let tsn = board.tsn(position);
            let is_older =
                entry.sent_at < newest || (entry.sent_at == newest && before(tsn, newest_tsn));
            if entry.progress != Progress::Flying || !is_older {
                continue;
            }
            let at = entry.sent_at + wait;
            if at <= now {
                lost.push(tsn);
            } else {
                self.deadline = Some(self.deadline.map_or(at, |earlier| earlier.min(at)));
            }
        }
        for tsn in lost {
            if let Some(position) = board.position(*tsn) {
                board.update(position, |entry| entry.lose(false));
            }
        }
    }
}
