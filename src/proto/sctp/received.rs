//! Which TSNs of the peer have arrived.

use std::collections::BTreeMap;

use super::wire::before;

/// How far ahead of the cumulative TSN a DATA chunk may be. A SACK cannot report one that is farther
/// (RFC 9260 §3.3.4).
pub(super) const MAX_AHEAD: u32 = u16::MAX as u32;

/// A FORWARD TSN is never farther ahead: a peer can give up only what it has sent. The order of TSNs would be lost
/// beyond 2^31.
pub(super) const MAX_FORWARD: u32 = 3 << 29;

/// How much may arrive beyond the first missing TSN. sctp-proto keeps it, complete messages included,
/// until the gap closes.
#[derive(Debug, Clone, Copy)]
pub(super) struct GapLimit {
    /// The most DATA chunks.
    pub(super) chunks: usize,
    /// The payload of these chunks at which the limit is reached.
    pub(super) bytes: usize,
}

/// The distances from the origin are computed again once this many TSNs have passed it, so that none exceeds 32 bits.
const MAX_PASSED: u32 = 1 << 30;

/// The TSNs that have arrived.
#[derive(Debug)]
pub(super) struct ReceivedTsns {
    /// All TSNs up to this one have arrived, or the peer has given them up.
    cumulative: u32,
    /// The TSNs that have arrived beyond `cumulative`, as distances from `origin`, so that they sort across
    /// the wrap, and the bytes that came with each.
    above: BTreeMap<u32, u32>,
    /// The sum of the bytes in `above`.
    above_bytes: usize,
    origin: u32,
    /// sctp-proto has all TSNs up to this one. It may lack some up to `cumulative`.
    certain: u32,
    /// The lowest TSN since our last SACK that sctp-proto may have dropped, because the window was full.
    doubtful: Option<u32>,
}

impl ReceivedTsns {
    /// Makes an empty set; the first TSN will be `initial_tsn`.
    pub(super) fn new(initial_tsn: u32) -> Self {
        let cumulative = initial_tsn.wrapping_sub(1);
        Self {
            cumulative,
            above: BTreeMap::new(),
            above_bytes: 0,
            origin: cumulative,
            certain: cumulative,
            doubtful: None,
        }
    }

    /// A TSN up to which sctp-proto has all, whatever it has dropped.
    pub(super) fn certain(&self) -> u32 {
        self.certain
    }

    /// Notes that sctp-proto may drop `tsn`, because the window is full.
    pub(super) fn doubt(&mut self, tsn: u32) {
        if before(self.cumulative, tsn) && self.doubtful.is_none_or(|it| before(tsn, it)) {
            self.doubtful = Some(tsn);
        }
    }

    /// Whether all TSNs up to `last` are in sctp-proto once `tsns`, which are sorted, have arrived, or those up to one
    /// of `forwarded` are given up.
    pub(super) fn has_all(
        &self,
        last: u32,
        tsns: &[u32],
        mut forwarded: impl Iterator<Item = u32>,
    ) -> bool {
        let is_doubtful = self.doubtful.is_some_and(|it| !before(last, it));
        let reaches = |tsn| !before(tsn, last);
        !is_doubtful && (reaches(self.cumulative_with(tsns)) || forwarded.any(reaches))
    }

    /// Whether `tsn` cannot be accepted: it is farther ahead than [`MAX_AHEAD`], or the limit beyond
    /// the first missing TSN is reached and this is not the missing one.
    pub(super) fn is_too_far(&self, tsn: u32, limit: GapLimit) -> bool {
        let ahead = tsn.wrapping_sub(self.cumulative);
        let is_full = self.above.len() >= limit.chunks || self.above_bytes >= limit.bytes;
        before(self.cumulative, tsn) && (ahead > MAX_AHEAD || (ahead > 1 && is_full))
    }

    /// All TSNs up to this one have arrived, or the peer has given them up.
    pub(super) fn cumulative(&self) -> u32 {
        self.cumulative
    }

    /// How many TSNs have arrived beyond the first missing one.
    pub(super) fn beyond_gap(&self) -> usize {
        self.above.len()
    }

    /// Counts `tsn` and its payload. Returns false if the TSN is a duplicate.
    pub(super) fn insert(&mut self, tsn: u32, bytes: usize) -> bool {
        if !before(self.cumulative, tsn) {
            return false;
        }
        if self.above.is_empty() {
            if tsn == self.cumulative.wrapping_add(1) {
                self.cumulative = tsn;
                return true;
            }
            self.origin = self.cumulative;
        }
        let distance = tsn.wrapping_sub(self.origin);
        if self.above.contains_key(&distance) {
            return false;
        }
        self.above.insert(distance, u32::try_from(bytes).unwrap_or(u32::MAX));
        self.above_bytes += bytes;
        self.advance();
        true
    }

    /// Notes that the peer has given up what is missing up to `tsn` (RFC 3758 §3.6).
    pub(super) fn forward(&mut self, tsn: u32) {
        if before(self.certain, tsn) {
            self.certain = tsn;
        }
        if before(self.cumulative, tsn) {
            let distance = tsn.wrapping_sub(self.origin);
            self.above = self.above.split_off(&distance.saturating_add(1));
            self.above_bytes = self.above.values().map(|bytes| *bytes as usize).sum();
            self.cumulative = tsn;
            if self.above.is_empty() {
                self.origin = tsn;
            }
            self.advance();
        }
    }

    /// Corrects the set by a SACK of sctp-proto: its cumulative TSN and its gap blocks. What these leave out it has
    /// dropped.
    pub(super) fn correct(&mut self, tsn: u32, gaps: impl Iterator<Item = (u16, u16)> + Clone) {
        if before(tsn, self.cumulative) {
            *self = Self::new(tsn.wrapping_add(1));
            for offset in gaps.flat_map(|(first, last)| first..=last) {
                // The lengths of these chunks are not known any more.
                self.insert(tsn.wrapping_add(offset.into()), 0);
            }
        } else {
            self.forward(tsn);
            let reported =
                gaps.clone().map(|(first, last)| 1 + usize::from(last.saturating_sub(first))).sum();
            if self.above.len() > reported {
                self.retain_reported(gaps);
            }
        }
        self.certain = tsn;
        self.doubtful = None;
    }

    #[cold]
    fn retain_reported(&mut self, mut gaps: impl Iterator<Item = (u16, u16)>) {
        let (origin, cumulative) = (self.origin, self.cumulative);
        let mut block = gaps.next();
        // The TSNs of the set and the gap blocks are both in ascending order.
        self.above.retain(|distance, _| {
            let offset = origin.wrapping_add(*distance).wrapping_sub(cumulative);
            while block.is_some_and(|(_, last)| u32::from(last) < offset) {
                block = gaps.next();
            }
            block.is_some_and(|(first, _)| u32::from(first) <= offset)
        });
        self.above_bytes = self.above.values().map(|bytes| *bytes as usize).sum();
    }

    /// What the cumulative TSN will be once `tsns`, which are sorted, have arrived as well.
    pub(super) fn cumulative_with(&self, tsns: &[u32]) -> u32 {
        let mut cumulative = self.cumulative;
        loop {
            let next = cumulative.wrapping_add(1);
            let arrived = tsns.binary_search(&next).is_ok()
                || self.above.contains_key(&next.wrapping_sub(self.origin));
            if !arrived {
                return cumulative;
            }
            cumulative = next;
        }
    }

    fn advance(&mut self) {
        while let Some(first) = self.above.first_entry()
            && self.origin.wrapping_add(*first.key()) == self.cumulative.wrapping_add(1)
        {
            self.above_bytes -= first.remove() as usize;
            self.cumulative = self.cumulative.wrapping_add(1);
        }
        let passed = self.cumulative.wrapping_sub(self.origin);
        if self.above.is_empty() {
            self.origin = self.cumulative;
        } else if passed > MAX_PASSED {
            let above = std::mem::take(&mut self.above);
            self.above = above.into_iter().map(|(at, bytes)| (at - passed, bytes)).collect();
            self.origin = self.cumulative;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: GapLimit = GapLimit { chunks: 2, bytes: 100 };

    #[test]
    fn tsns_count_once_in_any_order_and_across_the_wrap() {
        let mut received = ReceivedTsns::new(u32::MAX - 1);
        for tsn in [0, u32::MAX, 2, u32::MAX - 1] {
            assert!(received.insert(tsn, 10));
            assert!(!received.insert(tsn, 10));
        }
        assert_eq!(received.cumulative_with(&[]), 0);
        assert_eq!(received.cumulative_with(&[1]), 2);
        assert!(received.insert(1, 10));
        assert_eq!(received.cumulative_with(&[]), 2);
        assert!(received.above.is_empty());
    }

    #[test]
    fn a_forward_tsn_skips_the_missing_tsns_and_keeps_those_beyond() {
        let mut received = ReceivedTsns::new(10);
        for tsn in [12, 15, 16, 20] {
            received.insert(tsn, 10);
        }
        received.forward(14);
        assert_eq!(received.cumulative_with(&[]), 16);
        assert!(!received.insert(13, 10));
        assert!(!received.insert(20, 10));
        received.forward(9);
        assert_eq!(received.cumulative_with(&[]), 16);
        received.forward(100);
        assert_eq!(received.cumulative_with(&[]), 100);
        assert!(received.insert(101, 10));
    }

    #[test]
    fn a_tsn_too_far_ahead_differs_from_one_that_is_behind() {
        let received = ReceivedTsns::new(1000);
        assert!(!received.is_too_far(999 + MAX_AHEAD, LIMIT));
        assert!(received.is_too_far(1000 + MAX_AHEAD, LIMIT));
        assert!(!received.is_too_far(5, LIMIT));
    }

    #[test]
    fn beyond_a_gap_the_limit_applies_but_the_missing_tsn_is_accepted() {
        let mut received = ReceivedTsns::new(1000);
        received.insert(1001, 10);
        assert!(!received.is_too_far(1002, LIMIT));
        received.insert(1002, 10);
        assert!(received.is_too_far(1003, LIMIT));
        assert!(!received.is_too_far(1000, LIMIT));
        received.insert(1000, 10);
        assert_eq!(received.beyond_gap(), 0);
        assert!(!received.is_too_far(1004, LIMIT));
        received.insert(1004, 100);
        assert!(received.is_too_far(1005, LIMIT));
        received.forward(1004);
        assert_eq!(received.above_bytes, 0);
        assert!(!received.is_too_far(1006, LIMIT));
    }

    #[test]
    fn the_cumulative_tsn_of_sctp_proto_corrects_the_count_either_way() {
        let mut received = ReceivedTsns::new(10);
        for tsn in [10, 12, 14, 11] {
            received.insert(tsn, 100);
        }
        // sctp-proto has rejected TSN 12.
        received.correct(11, [(3, 3)].into_iter());
        received.insert(12, 100);
        received.insert(13, 100);
        assert_eq!(received.cumulative_with(&[]), 14);
        assert_eq!(received.beyond_gap(), 0);
        // It has rejected TSN 17, beyond a gap.
        for tsn in [16, 17, 18] {
            received.insert(tsn, 100);
        }
        received.correct(14, [(2, 2), (4, 4)].into_iter());
        assert_eq!(received.cumulative_with(&[15]), 16);
        assert_eq!((received.beyond_gap(), received.above_bytes), (2, 200));
        // It acknowledges more than was counted.
        received.correct(20, [].into_iter());
        assert_eq!(received.cumulative_with(&[]), 20);
        assert_eq!((received.beyond_gap(), received.above_bytes), (0, 0));
    }

    #[test]
    fn a_tsn_that_may_have_been_dropped_has_not_arrived_before_a_sack() {
        let mut received = ReceivedTsns::new(10);
        received.insert(10, 100);
        received.doubt(11);
        received.insert(11, 100);
        received.doubt(12);
        assert!(received.has_all(10, &[], [].into_iter()));
        assert!(!received.has_all(11, &[], [].into_iter()));
        assert_eq!(received.certain(), 9);
        received.correct(11, [].into_iter());
        assert!(received.has_all(11, &[], [].into_iter()));
        assert_eq!(received.certain(), 11);
    }

    /// A peer that always keeps one TSN beyond a gap.
    #[test]
    fn a_gap_that_moves_across_all_tsns_keeps_their_order() {
        let mut received = ReceivedTsns::new(10);
        let mut tsn = 9u32;
        for round in 0..80_000 {
            assert!(received.insert(tsn.wrapping_add(65_000), 10), "round {round}");
            tsn = tsn.wrapping_add(60_000);
            received.forward(tsn);
            assert_eq!((received.cumulative(), received.beyond_gap()), (tsn, 1), "round {round}");
        }
    }
}
