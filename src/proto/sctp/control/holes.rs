//! Our own SACKs report a hole only once it is no longer young, since chunks that are merely reordered are not lost.
//! RFC 9260 §6.7 asks for an immediate report (SHOULD), but senders count reports and retransmit after three. The tail
//! of the gap blocks is withheld, so that no report contradicts an earlier one.

use std::time::{Duration, Instant};

use super::super::wire::{Sack, before};
use super::rtt::Rtt;

/// A hole is young for a quarter of the round trip and a margin, within these bounds; if no round trip has been
/// measured, for the upper one.
const MARGIN: Duration = Duration::from_millis(5);
const MIN_AGE: Duration = Duration::from_millis(15);
const MAX_AGE: Duration = Duration::from_millis(30);

/// After this many losses in a row holes are reported at once, until one closes while it is young: on a path that loses
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
    /// Whether it has been open for so long that SACKs report it.
    is_old: bool,
    /// Whether a part of it is still missing in the SACK that is being made.
    is_open: bool,
}

/// The holes in what has arrived from the peer.
#[derive(Debug)]
pub(super) struct Holes {
    /// In the order of TSNs.
    known: Vec<Hole>,
    /// When the first young hole becomes old, so that it has to be reported.
    due: Option<Instant>,
    /// How many more losses in a row there must be until holes are reported at once.
    patience: u8,
}

impl Default for Holes {
    fn default() -> Self {
        Self { known: Vec::new(), due: None, patience: PATIENCE }
    }
}

impl Holes {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The peer no longer sends the TSNs up to `tsn`: those missing were lost, not late.
    pub(super) fn on_forward(&mut self, tsn: u32) {
        for hole in self.known.iter_mut().filter(|hole| !before(tsn, hole.from) && !hole.is_old) {
            hole.is_old = true;
            self.patience = self.patience.saturating_sub(1);
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
        let age = rtt.smoothed().map_or(MAX_AGE, |it| (it / 4 + MARGIN).clamp(MIN_AGE, MAX_AGE));
        let mut known = before_this.iter_mut().peekable();
        let mut from = sack.cumulative.wrapping_add(1);
        let mut reported = 0;
        for (first, last) in sack.gaps() {
            let to = sack.cumulative.wrapping_add(u32::from(first));
            // The parts of a split hole keep its age.
            while known.next_if(|hole| !before(from, hole.to)).is_some() {}
            let whole = known.peek_mut().filter(|hole| before(hole.from, to));
            let (since, was_old) = whole.map_or((now, false), |hole| {
                hole.is_open = true;
                (hole.since, hole.is_old)
            });
            let is_old = was_old || since + age <= now;
            if is_old && !was_old {
                self.patience = self.patience.saturating_sub(1);
            }
            let is_young = !is_old && self.patience > 0 && self.known.len() < MAX_HOLES;
            if self.known.len() < MAX_HOLES {
                self.known.push(Hole { from, to, since, is_old, is_open: false });
            }
            if is_young && self.due.is_none() {
                self.due = Some(since + age);
            }
            reported += usize::from(self.due.is_none());
            from = sack.cumulative.wrapping_add(u32::from(last)).wrapping_add(1);
        }
        let closed_young = |hole: &Hole| !hole.is_open && !hole.is_old && hole.since + age > now;
        if before_this.iter().any(closed_young) {
            self.patience = PATIENCE;
        }
        reported
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::start;
    use super::super::super::wire::Sack;
    use super::*;

    fn reported(holes: &mut Holes, at: u64, cumulative: u32, gaps: &[(u16, u16)]) -> usize {
        let mut value = cumulative.to_be_bytes().to_vec();
        value.extend_from_slice(&[0, 1, 0, 0, 0, gaps.len() as u8, 0, 0]);
        for (first, last) in gaps {
            value.extend_from_slice(&first.to_be_bytes());
            value.extend_from_slice(&last.to_be_bytes());
        }
        let sack = Sack::parse(&value).expect("a SACK");
        holes.reported(start_at(at), &Rtt::new(Duration::from_secs(5)), &sack)
    }

    fn start_at(millis: u64) -> Instant {
        thread_local!(static START: Instant = start());
        START.with(|start| *start) + Duration::from_millis(millis)
    }

    #[test]
    fn a_hole_is_reported_once_it_is_old() {
        let mut holes = Holes::default();
        assert_eq!(reported(&mut holes, 0, 10, &[(3, 3)]), 0);
        assert_eq!(holes.deadline(), Some(start_at(30)));
        assert_eq!(reported(&mut holes, 29, 10, &[(3, 5)]), 0);
        assert_eq!(reported(&mut holes, 30, 10, &[(3, 5)]), 1);
        assert_eq!(holes.deadline(), None);
    }

    #[test]
    fn the_parts_of_a_hole_are_as_old_as_the_whole() {
        let mut holes = Holes::default();
        assert_eq!(reported(&mut holes, 0, 10, &[(9, 9)]), 0);
        // 13 arrives, and then 11, so that 12 and 14 to 18 are missing.
        assert_eq!(reported(&mut holes, 20, 10, &[(3, 3), (9, 9)]), 0);
        assert_eq!(reported(&mut holes, 30, 11, &[(2, 2), (8, 8)]), 2);
    }

    #[test]
    fn a_young_hole_withholds_what_is_beyond_it_and_no_more() {
        let mut holes = Holes::default();
        reported(&mut holes, 0, 10, &[(2, 2)]);
        assert_eq!(reported(&mut holes, 30, 10, &[(2, 2), (4, 4)]), 1);
        assert_eq!(holes.deadline(), Some(start_at(60)));
        assert_eq!(reported(&mut holes, 60, 10, &[(2, 2), (4, 4)]), 2);
    }

    #[test]
    fn a_hole_that_closes_is_forgotten() {
        let mut holes = Holes::default();
        reported(&mut holes, 0, 10, &[(2, 2)]);
        reported(&mut holes, 5, 12, &[]);
        assert!(holes.known.is_empty());
        assert_eq!(reported(&mut holes, 40, 12, &[(2, 2)]), 0);
    }

    #[test]
    fn holes_are_reported_at_once_after_many_losses_until_one_closes_by_itself() {
        let mut holes = Holes::default();
        let mut at = 0;
        for _ in 0..PATIENCE {
            assert_eq!(reported(&mut holes, at, 10, &[(2, 2)]), 0);
            assert_eq!(reported(&mut holes, at + 30, 10, &[(2, 2)]), 1);
            reported(&mut holes, at + 40, 12, &[]);
            at += 50;
        }
        assert_eq!(reported(&mut holes, at, 20, &[(2, 2)]), 1);
        assert_eq!(holes.deadline(), None);
        // The hole closes while it would still be young.
        reported(&mut holes, at + 10, 22, &[]);
        assert_eq!(reported(&mut holes, at + 20, 30, &[(2, 2)]), 0);
    }

    #[test]
    fn so_many_holes_are_timed_and_the_rest_are_reported_with_them() {
        let mut holes = Holes::default();
        let mut value = [0, 0, 0, 10, 0, 1, 0, 0].to_vec();
        value.extend_from_slice(&[2, 0, 0, 0]);
        for block in 0..512u16 {
            value.extend_from_slice(&[(2 + 2 * block).to_be_bytes(); 2].concat());
        }
        let sack = Sack::parse(&value).expect("a SACK");
        let rtt = Rtt::new(Duration::from_secs(5));
        assert_eq!(holes.reported(start_at(0), &rtt, &sack), 0);
        assert_eq!(holes.known.len(), MAX_HOLES);
        assert_eq!(holes.reported(start_at(30), &rtt, &sack), 512);
    }

    #[test]
    fn the_age_follows_the_round_trip_within_its_bounds() {
        for (round_trip, age) in [(4, 15), (60, 20), (1000, 30)] {
            let mut rtt = Rtt::new(Duration::from_secs(5));
            rtt.on_sample(start_at(0), Duration::from_millis(round_trip));
            let mut holes = Holes::default();
            let value = [0, 0, 0, 10, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 2];
            holes.reported(start_at(0), &rtt, &Sack::parse(&value).expect("a SACK"));
            assert_eq!(holes.deadline(), Some(start_at(age)));
        }
    }

    #[test]
    fn a_hole_that_the_peer_closes_by_skipping_it_was_a_loss() {
        let mut holes = Holes::default();
        for _ in 0..PATIENCE {
            assert_eq!(reported(&mut holes, 0, 10, &[(2, 2)]), 0);
            holes.on_forward(11);
            reported(&mut holes, 1, 12, &[]);
        }
        assert_eq!(reported(&mut holes, 2, 20, &[(2, 2)]), 1);
    }
}
