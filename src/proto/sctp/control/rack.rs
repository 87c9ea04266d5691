//! Detects losses by time (RACK, RFC 8985 §6): a chunk is lost if one that was sent later has arrived,
//! and a round trip and the reordering window have passed since it was sent.

use std::time::{Duration, Instant};

use super::super::wire::before;
use super::rtt::Rtt;
use super::scoreboard::{ChunkProgress, Scoreboard};

/// This many chunks beyond a gap show a loss on a path that has not reordered anything (RFC 8985 §6.2 step 4).
const DUPLICATE_THRESHOLD: usize = 3;

/// The largest [`Rack::multiplier`]. The window is never longer than a round trip either.
const MAX_MULTIPLIER: u32 = 8;

/// For how many recoveries the window stays as wide as it is (RFC 8985 §6.2 step 4).
const PERSISTENCE: u8 = 16;

#[derive(Debug)]
pub(super) struct Rack {
    /// When the chunk was sent that was sent last of those that have arrived, and its TSN.
    newest: Option<(Instant, u32)>,
    /// The round trip of that chunk.
    round_trip: Duration,
    /// The highest TSN that has arrived.
    highest: u32,
    /// Whether the path has reordered something.
    reordering: bool,
    /// The reordering window in quarters of the smallest round trip.
    multiplier: u32,
    /// After how many more recoveries the multiplier returns to 1.
    persistence: u8,
    /// The window does not widen again until this TSN is acknowledged.
    widened_until: Option<u32>,
    /// When the next chunk is marked lost.
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
        // The acknowledgement may be that of the first transmission.
        let is_ambiguous = was_resent && rtt.min().is_some_and(|min| round_trip < min);
        let is_newer = |(at, other)| sent_at > at || (sent_at == at && before(other, tsn));
        if !is_ambiguous && self.newest.is_none_or(is_newer) {
            self.newest = Some((sent_at, tsn));
            self.round_trip = round_trip;
        }
    }

    /// Whether a chunk that was sent later has arrived.
    pub(super) fn has_passed(&self, sent_at: Instant, tsn: u32) -> bool {
        let is_older = |(at, other)| sent_at < at || (sent_at == at && before(tsn, other));
        self.newest.is_some_and(is_older)
    }

    /// The peer has reported a duplicate of a chunk that was marked lost and sent again: the reordering window was too
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

    /// Marks chunks lost (RFC 8985 §6.2 step 5), and adds their TSNs to `lost`.
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
            // All chunks after this one were sent even later.
            if entry.sent_at > newest && entry.sends == 1 {
                break;
            }
            let tsn = board.tsn(position);
            let is_older =
                entry.sent_at < newest || (entry.sent_at == newest && before(tsn, newest_tsn));
            if entry.progress != ChunkProgress::Flying || !is_older {
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, SEGMENT, ms, timed, tsns};
    use super::*;

    /// Five full packets that left at the same time, 50 ms ago.
    fn five() -> Bench {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(5, SEGMENT);
        bench.now += ms(50);
        bench
    }

    #[test]
    fn three_chunks_beyond_a_gap_are_a_loss_at_once() {
        assert_eq!(tsns(&five().sack(0, &[(2, 4)], &[])), [1]);
    }

    #[test]
    fn fewer_are_a_loss_after_a_quarter_of_the_round_trip() {
        let mut bench = five();
        assert!(bench.sack(0, &[(2, 3)], &[]).is_empty());
        assert_eq!(timed(&bench.pass(ms(13))), [(12, vec![1])]);
    }

    #[test]
    fn on_a_path_that_reorders_the_number_of_chunks_says_nothing() {
        let mut bench = five();
        bench.sack(0, &[(2, 2)], &[]);
        // TSN 1 arrives late: it was reordered, not lost.
        bench.sack(2, &[], &[]);
        bench.now += ms(1);
        bench.sack(5, &[], &[]);
        bench.write_and_send(5, SEGMENT);
        bench.now += ms(50);
        assert!(bench.sack(5, &[(7, 10)], &[]).is_empty());
        assert_eq!(timed(&bench.pass(ms(20)))[0].1, [6]);
    }

    #[test]
    fn what_was_sent_later_than_all_that_has_arrived_is_not_lost() {
        let mut bench = Bench::new(ms(50));
        for _ in 0..5 {
            bench.write_and_send(1, SEGMENT);
            bench.now += ms(10);
        }
        assert_eq!(tsns(&bench.sack(0, &[(2, 4)], &[])), [1]);
        assert!(!tsns(bench.pass(ms(60)).iter().map(|(_, sent)| sent)).contains(&5));
    }

    #[test]
    fn an_acknowledgement_too_soon_for_a_retransmission_does_not_count_as_its() {
        let mut rack = Rack::new(0);
        let now = crate::proto::sctp::testing::start();
        let mut rtt = Rtt::new(ms(5000));
        rtt.on_sample(now, ms(50));
        rack.on_arrived(now + ms(49), 1, now, true, &rtt);
        assert_eq!(rack.newest, None);
        rack.on_arrived(now + ms(50), 1, now, true, &rtt);
        assert_eq!(rack.newest, Some((now, 1)));
    }

    #[test]
    fn duplicates_widen_the_window_once_a_round_and_sixteen_recoveries_narrow_it() {
        let mut rack = Rack::new(0);
        let mut rtt = Rtt::new(ms(5000));
        rtt.on_sample(crate::proto::sctp::testing::start(), ms(40));
        let quarters = |rack: &Rack| rack.window(&rtt, 0, false).as_millis() / 10;
        assert_eq!(quarters(&rack), 1);
        (0..5).for_each(|_| rack.on_duplicate(10, 20));
        assert_eq!(quarters(&rack), 2);
        rack.on_duplicate(20, 30);
        assert_eq!(quarters(&rack), 3);
        (0..15).for_each(|_| rack.on_recovery_over());
        assert_eq!(quarters(&rack), 3);
        rack.on_recovery_over();
        assert_eq!(quarters(&rack), 1);
        // The window is never longer than a round trip.
        (0..100).for_each(|round| rack.on_duplicate(100 + round, 100 + round));
        assert_eq!(quarters(&rack), 4);
    }
}
