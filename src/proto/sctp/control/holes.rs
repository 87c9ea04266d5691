//! Our own SACKs report a hole only once it is no longer young, since chunks that are merely reordered are not lost.
//! RFC 9260 §6.7 asks for an immediate report (SHOULD), but senders count reports and retransmit after three. The tail
//! of the gap blocks is withheld, so that no report contradicts an earlier one.
//!
//! One report too early costs such a sender half of its window, one too late a few milliseconds. So the hold, as long
//! as a hole is young, begins long and follows what the holes turn out to be, as RACK's reordering window does
//! (RFC 8985 §6.2):
//!
//! - A hole that closes before its report was late: the hold follows what it needed, slowly downwards, and upwards to
//!   what the hold began with.
//! - One that closes too soon after its report for an answer was late, too: the hold grows to what it needed.
//! - One that closes later, or is skipped, was lost: the hold shrinks.

use std::time::{Duration, Instant};

use super::super::wire::{Sack, before};
use super::rtt::Rtt;

/// The hold begins with a quarter of the round trip and this, for the path's and the computers' own jitter.
const FIRST_MARGIN: Duration = Duration::from_millis(15);
/// If no round trip has been measured, the hold begins with this, otherwise with at most [`MAX_FIRST`].
const UNMEASURED: Duration = Duration::from_millis(30);
const MAX_FIRST: Duration = Duration::from_millis(60);

/// The hold never shrinks below a quarter of the round trip and this margin, within these bounds.
const MARGIN: Duration = Duration::from_millis(5);
const MIN_HOLD: Duration = Duration::from_millis(15);
const MAX_LEAST: Duration = Duration::from_millis(30);

/// The most that the hold grows to.
const MAX_HOLD: Duration = Duration::from_millis(100);

/// A late hole that needed less shrinks the hold by this part of it at most, so that the latest of some dozens counts;
/// a lost one always by this.
const LATE_SHARE: u32 = 64;
const LOST_SHARE: u32 = 4;

/// After this many losses in a row holes are reported at once, until one turns out to be late: on a path that loses
/// packets without reordering them, reports must not be late.
const PATIENCE: u8 = 32;

/// At most this many holes are timed; the rest are reported at once.
const MAX_HOLES: usize = 256;

/// The missing TSNs from `from` up to, but not including, `to`.
#[derive(Debug, Clone, Copy)]
struct Hole {
    from: u32,
    to: u32,
    since: Instant,
    /// When a SACK reported it first. It is reported from then on.
    reported: Option<Instant>,
    /// Whether a part of it is still missing in the SACK that is being made.
    is_open: bool,
}

/// The holes in what has arrived from the peer.
#[derive(Debug)]
pub(super) struct Holes {
    /// In the order of TSNs.
    known: Vec<Hole>,
    /// When the first young hole is to be reported.
    due: Option<Instant>,
    /// The last TSN that the last SACK has shown, if it withheld something.
    shown: Option<u32>,
    /// How long holes are young, once one has closed.
    hold: Option<Duration>,
    /// How many more losses in a row there must be until holes are reported at once.
    patience: u8,
}

impl Default for Holes {
    fn default() -> Self {
        Self { known: Vec::new(), due: None, shown: None, hold: None, patience: PATIENCE }
    }
}

impl Holes {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The last TSN that the last SACK has shown, if it withheld something.
    pub(super) fn shown(&self) -> Option<u32> {
        self.shown
    }

    /// The peer no longer sends the TSNs up to `tsn`: those missing were lost, not late.
    pub(super) fn on_forward(&mut self, tsn: u32, rtt: &Rtt) {
        let known = self.known.len();
        self.known.retain(|hole| before(tsn.wrapping_add(1), hole.to));
        for _ in self.known.len()..known {
            self.on_loss(rtt);
        }
    }

    /// Notes that nothing is missing any more, and that the next SACK will show it.
    pub(super) fn close(&mut self) {
        self.due = None;
    }

    /// Returns how many gap blocks of the SACK to report; the rest waits until the holes before them are old.
    pub(super) fn reported(&mut self, now: Instant, rtt: &Rtt, sack: &Sack<'_>) -> usize {
        self.due = None;
        let mut before_this = std::mem::take(&mut self.known);
        let hold = self.hold(rtt);
        let mut known = before_this.iter_mut().peekable();
        let mut from = sack.cumulative.wrapping_add(1);
        let mut count = 0;
        let mut shown = sack.cumulative;
        for (first, last) in sack.gaps() {
            let to = sack.cumulative.wrapping_add(u32::from(first));
            // The parts of a split hole keep its age.
            while known.next_if(|hole| !before(from, hole.to)).is_some() {}
            let whole = known.peek_mut().filter(|hole| before(hole.from, to));
            let (since, mut reported) = whole.map_or((now, None), |hole| {
                hole.is_open = true;
                (hole.since, hole.reported)
            });
            let is_timed = self.known.len() < MAX_HOLES;
            let is_young = is_timed && self.patience > 0 && now < since + hold;
            if is_young && reported.is_none() && self.due.is_none() {
                self.due = Some(since + hold);
            }
            if self.due.is_none() {
                count += 1;
                shown = sack.cumulative.wrapping_add(u32::from(last));
                reported = reported.or(Some(now));
            }
            if is_timed {
                self.known.push(Hole { from, to, since, reported, is_open: false });
            }
            from = sack.cumulative.wrapping_add(u32::from(last)).wrapping_add(1);
        }
        self.shown = self.due.map(|_| shown);
        for hole in before_this.iter().filter(|hole| !hole.is_open) {
            self.on_close(now, rtt, hole);
        }
        count
    }

    /// How long holes are young.
    fn hold(&self, rtt: &Rtt) -> Duration {
        let least = quarter(rtt).map_or(MAX_LEAST, |it| (it + MARGIN).clamp(MIN_HOLD, MAX_LEAST));
        self.hold.unwrap_or_else(|| first_hold(rtt)).clamp(least, MAX_HOLD)
    }

    /// A hole has closed, so it is known whether it was late or lost.
    fn on_close(&mut self, now: Instant, rtt: &Rtt, hole: &Hole) {
        let age = now.saturating_duration_since(hole.since);
        let needed = age + age / 4 + MARGIN;
        let hold = self.hold(rtt);
        self.hold = Some(match hole.reported {
            None => needed.clamp(hold - hold / LATE_SHARE, hold.max(first_hold(rtt))),
            Some(at) if now < at + soonest_answer(rtt) => needed.max(hold),
            Some(_) => return self.on_loss(rtt),
        });
        self.patience = PATIENCE;
    }

    fn on_loss(&mut self, rtt: &Rtt) {
        let hold = self.hold(rtt);
        self.hold = Some(hold - hold / LOST_SHARE);
        self.patience = self.patience.saturating_sub(1);
    }
}

fn quarter(rtt: &Rtt) -> Option<Duration> {
    rtt.smoothed().map(|it| it / 4)
}

/// What the hold begins with.
fn first_hold(rtt: &Rtt) -> Duration {
    quarter(rtt).map_or(UNMEASURED, |it| (it + FIRST_MARGIN).min(MAX_FIRST))
}

/// How soon after its report a hole may be closed by a retransmission: that takes a round trip, whose measurement may
/// be old.
fn soonest_answer(rtt: &Rtt) -> Duration {
    rtt.min().map_or(MIN_HOLD, |it| it * 3 / 4)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::start;
    use super::super::super::wire::Sack;
    use super::*;

    /// The holes, and how many gap blocks a SACK reports.
    #[derive(Debug)]
    struct Bench {
        holes: Holes,
        rtt: Rtt,
        start: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { holes: Holes::default(), rtt: Rtt::new(ms(5000)), start: start() }
        }

        fn with(round_trip: u64) -> Self {
            let mut bench = Self::new();
            bench.rtt.on_sample(bench.start, ms(round_trip));
            bench
        }

        fn reported(&mut self, at: u64, cumulative: u32, gaps: &[(u16, u16)]) -> usize {
            let mut value = cumulative.to_be_bytes().to_vec();
            value.extend_from_slice(&[0, 1, 0, 0]);
            value.extend_from_slice(&(gaps.len() as u16).to_be_bytes());
            value.extend_from_slice(&[0, 0]);
            for (first, last) in gaps {
                value.extend_from_slice(&first.to_be_bytes());
                value.extend_from_slice(&last.to_be_bytes());
            }
            let sack = Sack::parse(&value).expect("a SACK");
            self.holes.reported(self.start + ms(at), &self.rtt, &sack)
        }

        /// A hole opens at `at` and closes after `age`, and is reported when that is due.
        fn pass(&mut self, at: u64, age: u64) {
            if self.reported(at, 10, &[(2, 2)]) == 0 && self.hold() <= ms(age) {
                let hold = self.hold().as_millis() as u64;
                assert_eq!(self.reported(at + hold + 1, 10, &[(2, 2)]), 1);
            }
            assert_eq!(self.reported(at + age, 12, &[]), 0);
        }

        fn hold(&self) -> Duration {
            self.holes.hold(&self.rtt)
        }

        fn due(&self) -> Option<u64> {
            Some((self.holes.deadline()? - self.start).as_millis() as u64)
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_hole_is_reported_once_it_is_old() {
        let mut bench = Bench::new();
        assert_eq!(bench.reported(0, 10, &[(3, 3)]), 0);
        assert_eq!(bench.due(), Some(30));
        assert_eq!(bench.reported(29, 10, &[(3, 5)]), 0);
        assert_eq!(bench.reported(30, 10, &[(3, 5)]), 1);
        assert_eq!(bench.due(), None);
    }

    #[test]
    fn the_parts_of_a_hole_are_as_old_as_the_whole() {
        let mut bench = Bench::new();
        assert_eq!(bench.reported(0, 10, &[(9, 9)]), 0);
        // 13 arrives, and then 11, so that 12 and 14 to 18 are missing.
        assert_eq!(bench.reported(20, 10, &[(3, 3), (9, 9)]), 0);
        assert_eq!(bench.reported(30, 11, &[(2, 2), (8, 8)]), 2);
    }

    #[test]
    fn a_young_hole_withholds_what_is_beyond_it_and_no_more() {
        let mut bench = Bench::new();
        bench.reported(0, 10, &[(2, 2)]);
        assert_eq!(bench.holes.shown(), Some(10));
        assert_eq!(bench.reported(30, 10, &[(2, 2), (4, 4)]), 1);
        assert_eq!(bench.holes.shown(), Some(12));
        assert_eq!(bench.due(), Some(60));
        assert_eq!(bench.reported(60, 10, &[(2, 2), (4, 4)]), 2);
        assert_eq!(bench.holes.shown(), None);
    }

    #[test]
    fn a_hole_that_closes_is_forgotten() {
        let mut bench = Bench::new();
        bench.reported(0, 10, &[(2, 2)]);
        bench.reported(5, 12, &[]);
        assert!(bench.holes.known.is_empty());
        assert_eq!(bench.reported(29, 12, &[(2, 2)]), 0);
    }

    #[test]
    fn what_was_reported_is_reported_again_although_the_hold_grows() {
        let mut bench = Bench::with(100);
        assert_eq!(bench.reported(0, 10, &[(2, 2), (4, 4)]), 0);
        assert_eq!(bench.reported(40, 10, &[(2, 2), (4, 4)]), 2);
        assert_eq!(bench.reported(50, 12, &[(2, 2)]), 1);
        assert!(bench.hold() > ms(60));
    }

    #[test]
    fn holes_are_reported_at_once_after_many_losses_until_one_is_late() {
        let mut bench = Bench::with(100);
        let mut at = 0;
        for _ in 0..PATIENCE {
            assert_eq!(bench.reported(at, 10, &[(2, 2)]), 0);
            assert_eq!(bench.reported(at + 50, 10, &[(2, 2)]), 1);
            bench.reported(at + 200, 12, &[]);
            at += 300;
        }
        assert_eq!(bench.reported(at, 20, &[(2, 2)]), 1);
        assert_eq!(bench.due(), None);
        bench.reported(at + 10, 22, &[]);
        assert_eq!(bench.reported(at + 20, 30, &[(2, 2)]), 0);
    }

    #[test]
    fn so_many_holes_are_timed_and_the_rest_are_reported_with_them() {
        let mut bench = Bench::new();
        let gaps: Vec<_> = (0..512).map(|block| (2 + 2 * block, 2 + 2 * block)).collect();
        assert_eq!(bench.reported(0, 10, &gaps), 0);
        assert_eq!(bench.holes.known.len(), MAX_HOLES);
        assert_eq!(bench.reported(30, 10, &gaps), 512);
    }

    #[test]
    fn the_hold_begins_with_a_quarter_of_the_round_trip_and_a_margin_within_bounds() {
        for (round_trip, hold) in [(4, 16), (60, 30), (1000, 60)] {
            let mut bench = Bench::with(round_trip);
            bench.reported(0, 10, &[(2, 2)]);
            assert_eq!(bench.due(), Some(hold));
        }
    }

    #[test]
    fn late_holes_keep_the_hold_at_what_they_need_and_a_margin() {
        let mut bench = Bench::with(200);
        assert_eq!(bench.hold(), ms(60));
        for round in 0..100 {
            bench.pass(1000 * round, 28);
        }
        assert_eq!(bench.hold(), ms(40));
        for round in 100..200 {
            bench.pass(1000 * round, 4);
        }
        assert_eq!(bench.hold(), MAX_LEAST);
    }

    #[test]
    fn a_late_hole_that_was_reported_makes_the_hold_grow_up_to_its_bound() {
        let mut bench = Bench::with(100);
        assert_eq!(bench.hold(), ms(40));
        bench.pass(0, 60);
        assert_eq!(bench.hold(), ms(80));
        bench.pass(1000, 90);
        assert_eq!(bench.hold(), MAX_HOLD);
    }

    #[test]
    fn a_hole_that_was_not_reported_does_not_make_the_hold_grow() {
        let mut bench = Bench::with(100);
        bench.reported(0, 10, &[(2, 2)]);
        // The SACK was delayed.
        bench.reported(90, 12, &[]);
        assert_eq!(bench.hold(), ms(40));
    }

    #[test]
    fn losses_make_the_hold_shrink_to_its_least_until_a_late_hole_needs_more() {
        let mut bench = Bench::with(100);
        for round in 0..2 {
            bench.pass(1000 * round, 150);
        }
        assert_eq!(bench.hold(), MAX_LEAST);
        bench.pass(2000, 24);
        assert_eq!(bench.hold(), ms(35));
    }

    #[test]
    fn a_hole_that_the_peer_closes_by_skipping_it_was_a_loss() {
        let mut bench = Bench::with(100);
        for _ in 0..PATIENCE {
            assert_eq!(bench.reported(0, 10, &[(2, 2)]), 0);
            bench.holes.on_forward(11, &bench.rtt);
            bench.reported(1, 12, &[]);
        }
        assert_eq!(bench.reported(2, 20, &[(2, 2)]), 1);
    }
}
