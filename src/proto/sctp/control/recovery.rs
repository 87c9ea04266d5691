//! What happens between a loss and the acknowledgement of everything that was sent before it: how the flight shrinks to
//! the new window (PRR, RFC 6937 and draft-ietf-tcpm-prr-rfc6937bis), and whether anything was lost at all (RFC 3708
//! §2, as RFC 8985 §3.3.2 uses it).

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Instant;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::super::wire::{Sack, before};

/// What began the recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// RACK has found a loss.
    Loss,
    /// The retransmission timeout.
    Timeout,
}

/// A chunk that a tail loss probe has sent again. If the peer does not report it as a duplicate, it was lost, and the
/// probe has done what otherwise a recovery would have (RFC 8985 §7.4).
#[derive(Debug, Clone, Copy)]
pub(super) struct Probed {
    pub(super) tsn: u32,
    /// The highest TSN that had been sent (TLP.end_seq).
    pub(super) end: u32,
}

#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) cause: Cause,
    pub(super) began: Instant,
    /// The highest TSN that had been sent when it began.
    point: u32,
    prr: Option<Reduction>,
    /// The first retransmission may exceed the window.
    pub(super) must_resend: bool,
}

impl Recovery {
    pub(super) fn new(cause: Cause, began: Instant, point: u32, prr: Option<Reduction>) -> Self {
        Self { cause, began, point, prr, must_resend: true }
    }

    /// Whether the loss of a chunk is one more sign of congestion: the chunk was sent since the recovery
    /// began, for the first time or again (RFC 8985 §3.3.1).
    pub(super) fn is_new_loss(&self, tsn: u32, sent_at: Instant, was_resent: bool) -> bool {
        before(self.point, tsn) || (was_resent && sent_at >= self.began)
    }

    pub(super) fn is_over(&self, cumulative: u32) -> bool {
        !before(cumulative, self.point)
    }

    /// How much may be in flight; `window` is the controller's.
    pub(super) fn window(&self, window: usize, flying: usize) -> usize {
        self.prr.as_ref().map_or(window, |prr| flying + prr.allowance)
    }

    pub(super) fn on_ack(&mut self, acked: usize, flying: usize, segment: usize, is_safe: bool) {
        if let Some(prr) = &mut self.prr {
            prr.on_ack(acked, flying, segment, is_safe);
        }
    }

    pub(super) fn on_sent(&mut self, bytes: usize) {
        self.must_resend = false;
        if let Some(prr) = &mut self.prr {
            prr.sent += bytes;
            prr.allowance = prr.allowance.saturating_sub(bytes);
        }
    }
}

/// Proportional rate reduction: while the flight is above its target, less is sent than arrives; below it, a packet
/// more than arrives.
#[derive(Debug)]
pub(super) struct Reduction {
    /// The flight when the recovery began (RecoverFS).
    from: usize,
    /// The flight to end with (ssthresh).
    target: usize,
    /// The bytes that have arrived since then, and those that have been sent.
    delivered: usize,
    sent: usize,
    /// What may leave now (SndCnt).
    allowance: usize,
}

impl Reduction {
    /// `flying`: the bytes in flight after the loss. If there are none, the tail of a burst was lost, and no
    /// acknowledgements will come to clock the retransmissions; the pacer does that.
    pub(super) fn new(from: usize, target: usize, flying: usize) -> Self {
        let allowance = if flying == 0 { target } else { 0 };
        Self { from: from.max(1), target, delivered: 0, sent: 0, allowance }
    }

    fn on_ack(&mut self, acked: usize, flying: usize, segment: usize, is_safe: bool) {
        self.delivered += acked;
        let allowance = if flying > self.target {
            let share = (self.delivered as u64 * self.target as u64).div_ceil(self.from as u64);
            (share as usize).saturating_sub(self.sent)
        } else {
            let mut limit = self.delivered.saturating_sub(self.sent).max(acked);
            if is_safe {
                limit += segment;
            }
            limit.min(self.target - flying)
        };
        // The allowance granted at the start of a tail's recovery stays.
        let rest = self.target.saturating_sub(flying);
        self.allowance = allowance.max(self.allowance.min(rest));
    }
}

/// Retransmissions that are remembered for [`Undo`]. The oldest are forgotten.
const REMEMBERED: usize = 4096;

/// The SACKs with duplicates that are remembered, to distinguish one that the network has doubled or delayed from a
/// new one.
const SEEN: usize = 32;

/// Counts how many of the retransmissions the peer reports as duplicates. Once it reports all, nothing was
/// lost.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// Present once a chunk was sent again.
    history: Option<Box<History>>,
    /// The number of the current recovery.
    recovery: u32,
    /// How many chunks were sent again since the recovery began, and how many of these the peer has reported.
    count: u32,
    reported: u32,
}

#[derive(Debug, Default)]
struct History {
    /// How often each TSN was sent again without being reported, and in which recovery last.
    resent: FxHashMap<u32, Resent>,
    /// The TSNs in the order in which they were sent again. Those reported since stay until they are the oldest.
    order: VecDeque<u32>,
    /// The hashes of the last SACKs that reported duplicates.
    seen: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Resent {
    times: u32,
    recovery: u32,
}

impl History {
    fn add(&mut self, tsn: u32, recovery: u32) {
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
        self.order.push_back(tsn);
        let resent = self.resent.entry(tsn).or_insert(Resent { times: 0, recovery });
        *resent = Resent { times: resent.times + 1, recovery };
    }

    /// Forgets one retransmission of `tsn`, and returns the recovery in which it was made.
    fn forget(&mut self, tsn: u32) -> Option<u32> {
        let resent = self.resent.get_mut(&tsn)?;
        let recovery = resent.recovery;
        resent.times -= 1;
        if resent.times == 0 {
            self.resent.remove(&tsn);
        }
        Some(recovery)
    }
}

impl Undo {
    /// Begins a recovery.
    pub(super) fn begin(&mut self) {
        self.recovery = self.recovery.wrapping_add(1);
        self.count = 0;
        self.reported = 0;
    }

    pub(super) fn on_resent(&mut self, tsn: u32) {
        self.history.get_or_insert_default().add(tsn, self.recovery);
        self.count += 1;
    }

    /// Whether this SACK came before, so that its duplicates are counted already. If not, it is remembered. Before the
    /// first retransmission none is.
    pub(super) fn has_seen(&mut self, sack: &Sack<'_>) -> bool {
        let Some(history) = &mut self.history else { return false };
        let hash = FxBuildHasher.hash_one(sack);
        if history.seen.contains(&hash) {
            return true;
        }
        if history.seen.len() == SEEN {
            history.seen.pop_front();
        }
        history.seen.push_back(hash);
        false
    }

    /// The peer has reported `tsn` as a duplicate. Returns whether it was sent again; other duplicates come from the
    /// network, or are copies in packets of newer chunks.
    pub(super) fn on_duplicate(&mut self, tsn: u32) -> bool {
        let Some(recovery) = self.history.as_mut().and_then(|it| it.forget(tsn)) else {
            return false;
        };
        self.reported += u32::from(recovery == self.recovery);
        true
    }

    /// Whether all retransmissions of the recovery were needless. Returns true only once.
    pub(super) fn take_spurious(&mut self) -> bool {
        let spurious = self.count > 0 && self.reported >= self.count;
        if spurious {
            self.begin();
        }
        spurious
    }

    pub(super) fn trim(&mut self) {
        self.history.take_if(|it| it.resent.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_was_in_vain_once_all_that_it_sent_again_is_reported() {
        let mut undo = Undo::default();
        undo.begin();
        for tsn in [7, 8, 7] {
            undo.on_resent(tsn);
        }
        assert!(undo.on_duplicate(7) && undo.on_duplicate(8));
        assert!(!undo.take_spurious());
        assert!(undo.on_duplicate(7));
        assert!(undo.take_spurious() && !undo.take_spurious());
        assert!(!undo.on_duplicate(7));
    }

    #[test]
    fn what_an_earlier_recovery_sent_again_shows_nothing_about_this_one() {
        let mut undo = Undo::default();
        undo.begin();
        undo.on_resent(7);
        undo.begin();
        undo.on_resent(9);
        assert!(undo.on_duplicate(7));
        assert!(!undo.take_spurious());
        assert!(undo.on_duplicate(9));
        assert!(undo.take_spurious());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut undo = Undo::default();
        undo.begin();
        (0..3 * REMEMBERED as u32).for_each(|tsn| undo.on_resent(tsn));
        let history = undo.history.as_ref().expect("something was sent again");
        assert_eq!((history.order.len(), history.resent.len()), (REMEMBERED, REMEMBERED));
        assert!(!undo.on_duplicate(0));
        assert!(undo.on_duplicate(3 * REMEMBERED as u32 - 1));
    }

    /// Sends as much as is allowed after each of `acks` acknowledgements of a segment. Returns how much was sent.
    fn send(prr: &mut Reduction, acks: usize, flying: &mut usize, is_safe: bool) -> usize {
        let before = prr.sent;
        for _ in 0..acks {
            *flying -= 1000;
            prr.on_ack(1000, *flying, 1000, is_safe);
            while prr.allowance >= 1000 {
                prr.allowance -= 1000;
                prr.sent += 1000;
                *flying += 1000;
            }
        }
        prr.sent - before
    }

    #[test]
    fn the_flight_shrinks_in_proportion_to_what_arrives() {
        // RFC 6937 §3: from 20 segments to 14, so 7 leave for 10 that arrive.
        let (mut prr, mut flying) = (Reduction::new(20_000, 14_000, 19_000), 19_000);
        assert_eq!(send(&mut prr, 10, &mut flying, true), 7000);
        assert_eq!(flying, 16_000);
        send(&mut prr, 9, &mut flying, true);
        assert_eq!(flying, 14_000, "it ends at the target");
        assert_eq!(send(&mut prr, 5, &mut flying, true), 5000);
    }

    #[test]
    fn below_the_target_as_much_leaves_as_arrives_and_a_segment_more_if_that_is_safe() {
        for (is_safe, sent) in [(false, 3000), (true, 6000)] {
            let (mut prr, mut flying) = (Reduction::new(20_000, 14_000, 6000), 6000);
            assert_eq!(send(&mut prr, 3, &mut flying, is_safe), sent);
        }
    }

    #[test]
    fn what_is_lost_with_the_whole_flight_leaves_without_acknowledgements() {
        let mut recovery = Recovery::new(
            Cause::Loss,
            crate::proto::sctp::testing::start(),
            7,
            Some(Reduction::new(20_000, 14_000, 0)),
        );
        assert_eq!(recovery.window(14_000, 0), 14_000);
        recovery.on_sent(5000);
        assert_eq!(recovery.window(14_000, 5000), 14_000);
        recovery.on_sent(9000);
        assert_eq!(recovery.window(14_000, 14_000), 14_000);
    }

    #[test]
    fn a_loss_is_a_new_one_if_the_chunk_was_sent_since_the_recovery_began() {
        let began = crate::proto::sctp::testing::start();
        let earlier = began.checked_sub(std::time::Duration::from_millis(1)).unwrap();
        let recovery = Recovery::new(Cause::Loss, began, 7, None);
        assert!(!recovery.is_new_loss(7, earlier, false));
        assert!(!recovery.is_new_loss(7, earlier, true));
        assert!(recovery.is_new_loss(7, began, true));
        assert!(recovery.is_new_loss(8, began, false));
        assert!(!recovery.is_over(6) && recovery.is_over(7) && recovery.is_over(8));
    }
}
