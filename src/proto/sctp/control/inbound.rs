//! What a SACK of the peer or a timer changes about the chunks in flight.

use std::time::{Duration, Instant};

use super::super::wire::{Sack, before};
use super::congestion::{Ack, Loss};
use super::recovery::{Cause, Recovery, Reduction};
use super::scoreboard::{ChunkProgress, Transmission};
use super::timer::Due;
use super::{Control, WindowLimited};

/// What a SACK acknowledges for the first time.
#[derive(Debug, Default)]
struct News {
    bytes: usize,
    /// When the latest of the acknowledged chunks that were sent only once had left.
    newest: Option<Instant>,
    /// Whether one of the chunks may have arrived only because it was sent again.
    needed_resending: bool,
    /// Whether a chunk that the timeout marked lost has arrived by its first transmission.
    outlived_timeout: bool,
    /// Whether a lost chunk, which the peer has skipped and not received, has to begin a recovery.
    skipped_loss: bool,
}

impl Control {
    /// Takes a SACK of the peer.
    pub(in super::super) fn on_sack(&mut self, now: Instant, sack: &Sack<'_>) {
        if before(self.board.highest_sent(), sack.cumulative) {
            return;
        }
        // Duplicates are reported only once, so even a SACK that was overtaken matters.
        if sack.has_duplicates() && !self.undo.has_seen(sack) {
            self.on_duplicates(sack);
        }
        let cumulative = self.board.cumulative();
        if before(sack.cumulative, cumulative) {
            return self.undo_recovery();
        }
        self.window = sack.window;
        let in_flight = self.board.totals().flying;
        let news = self.acknowledge(now, sack);
        self.undo_recovery();
        self.forward.repeat(now, self.rtt.smoothed().unwrap_or_else(|| self.rtt.timeout()));
        let has_advanced = sack.cumulative != cumulative;
        if news.bytes == 0 && !has_advanced {
            return;
        }
        if let Some(sent_at) = news.newest {
            self.rtt.on_sample(now, now.saturating_duration_since(sent_at));
        }
        if news.outlived_timeout && !news.needed_resending {
            self.undo_timeout();
        }
        let is_loss = self.find_losses(now) || news.skipped_loss || self.was_repaired();
        self.on_news(now, &news, in_flight, has_advanced);
        if is_loss {
            self.begin_recovery(now, in_flight);
            self.reduce_flight(news.bytes, false);
        }
        let outstanding = (self.board.sent() > 0).then(|| self.outstanding());
        self.timer.on_progress(now, &self.rtt, self.board.cumulative(), outstanding);
    }

    /// Does what is due at `now`.
    pub(in super::super) fn handle_timeout(&mut self, now: Instant) {
        self.paced_until.take_if(|at| *at <= now);
        if self.rack.deadline().is_some_and(|at| at <= now) {
            let in_flight = self.board.totals().flying;
            if self.find_losses(now) {
                self.begin_recovery(now, in_flight);
            }
        }
        match self.timer.expire(now, &self.rtt, self.board.highest_sent()) {
            Some(Due::Probe) => {
                self.probe = true;
                self.forward.repeat(now, Duration::ZERO);
            }
            Some(Due::Timeout) => self.on_timeout(now),
            None => {}
        }
    }

    /// Marks what a SACK acknowledges.
    fn acknowledge(&mut self, now: Instant, sack: &Sack<'_>) -> News {
        let mut news = News::default();
        while before(self.board.cumulative(), sack.cumulative) {
            let tsn = self.board.tsn(0);
            let Some(entry) = self.board.pop() else { break };
            if !matches!(entry.progress, ChunkProgress::Flying | ChunkProgress::Lost) {
                continue;
            }
            if entry.abandoned && self.was_skipped(now, tsn, entry.sent_at) {
                self.newly_lost += usize::from(entry.len);
                news.skipped_loss |= self.is_new_loss(tsn, entry.sent_at, entry.sends > 1);
            } else {
                self.on_arrived(now, tsn, entry.transmission(), &mut news);
            }
        }
        let round_trip = self.rtt.min().unwrap_or_default();
        self.lifetimes.on_cumulative(now, sack.cumulative, round_trip);
        for (first, last) in sack.gaps() {
            let end = usize::from(last).min(self.board.sent());
            for position in usize::from(first).saturating_sub(1)..end {
                let Some(entry) = self.board.get(position) else { break };
                if matches!(entry.progress, ChunkProgress::Flying | ChunkProgress::Lost) {
                    let (tsn, transmission) = (self.board.tsn(position), entry.transmission());
                    self.board.update(position, |entry| entry.progress = ChunkProgress::Arrived);
                    self.on_arrived(now, tsn, transmission, &mut news);
                }
            }
        }
        news
    }

    fn on_arrived(&mut self, now: Instant, tsn: u32, transmission: Transmission, news: &mut News) {
        let Transmission { len, sends, sent_at, state } = transmission;
        news.bytes += len;
        let round_trip = now.saturating_duration_since(sent_at);
        // It was the first transmission that arrived if the last one could not have been acknowledged yet.
        let is_original = sends <= 1 || self.rtt.min().is_some_and(|min| round_trip < min);
        news.needed_resending |= !is_original;
        if is_original && sends > 1 {
            self.probed.take_if(|it| it.tsn == tsn);
        }
        let timeout = self.recovery.as_ref().filter(|it| it.cause == Cause::Timeout);
        news.outlived_timeout |=
            is_original && timeout.is_some_and(|it| sends > 1 || sent_at < it.began);
        if sends <= 1 {
            news.newest = news.newest.max(Some(sent_at));
        }
        self.rack.on_arrived(now, tsn, sent_at, sends > 1, &self.rtt);
        self.rate.on_acked(now, len, sent_at, state);
    }

    /// Takes the TSNs that have arrived more than once. If they were sent again, that was needless.
    fn on_duplicates(&mut self, sack: &Sack<'_>) {
        for tsn in sack.duplicates() {
            self.probed.take_if(|it| it.tsn == tsn);
            if self.undo.on_duplicate(tsn) {
                self.spurious += 1;
                self.rack.on_duplicate(self.board.cumulative(), self.board.highest_sent());
            }
        }
    }

    /// Undoes a recovery whose retransmissions were all needless. Waits while lost chunks have yet to be sent again,
    /// because their duplicates may show more.
    fn undo_recovery(&mut self) {
        if self.board.totals().lost_chunks == 0 && self.undo.take_spurious() {
            self.congestion.undo();
            self.recovery = None;
        }
    }

    /// Reports to the controller what has arrived.
    fn on_news(&mut self, now: Instant, news: &News, in_flight: usize, has_advanced: bool) {
        let delivery = self.rate.on_ack(now, self.rtt.min());
        if self.recovery.take_if(|it| it.is_over(self.board.cumulative())).is_some() {
            self.rack.on_recovery_over();
            self.congestion.on_recovery_over(now);
        }
        let lost = std::mem::take(&mut self.newly_lost);
        self.congestion.on_ack(&Ack {
            now,
            bytes: news.bytes,
            lost,
            in_flight,
            rtt: &self.rtt,
            round_trip: news.newest.map(|at| now.saturating_duration_since(at)),
            rate: delivery.rate,
            round_over: delivery.round_over,
            window_limited: self.limited.now || self.limited.before,
            in_recovery: self.in_recovery(),
        });
        if delivery.round_over {
            self.limited = WindowLimited { now: false, before: self.limited.now };
        }
        self.reduce_flight(news.bytes, has_advanced && lost == 0);
    }

    /// Lets PRR shrink the flight. `acked`: the bytes acknowledged in the recovery, also by the acknowledgement that
    /// began it.
    fn reduce_flight(&mut self, acked: usize, is_safe: bool) {
        if let Some(recovery) = &mut self.recovery {
            recovery.on_ack(acked, self.board.totals().flying, self.segment, is_safe);
        }
    }

    /// Marks lost chunks. Returns whether a recovery has to begin: one of them was sent after the last recovery began,
    /// or none is under way.
    fn find_losses(&mut self, now: Instant) -> bool {
        let mut lost = Vec::new();
        let in_recovery = self.in_recovery();
        self.rack.detect(now, &mut self.board, &self.rtt, in_recovery, &mut lost);
        let mut begins = false;
        for tsn in &lost {
            let Some(entry) = self.board.position(*tsn).and_then(|it| self.board.get(it)) else {
                continue;
            };
            self.newly_lost += usize::from(entry.len);
            begins |= self.is_new_loss(*tsn, entry.sent_at, entry.sends > 1);
            self.lifetimes.on_lost(now, *tsn, &mut self.board);
        }
        begins
    }

    /// Whether a chunk that was abandoned and is acknowledged now was lost: a later one was acknowledged before it, and
    /// the acknowledgement may be the answer to our FORWARD-TSN.
    fn was_skipped(&self, now: Instant, tsn: u32, sent_at: Instant) -> bool {
        let round_trip = self.rtt.min().unwrap_or_default();
        self.rack.has_passed(sent_at, tsn) && self.lifetimes.may_be_skipped(now, tsn, round_trip)
    }

    /// Whether a probe has repaired a loss: later data has been acknowledged, and the chunk was not reported as a
    /// duplicate (RFC 8985 §7.4.2).
    fn was_repaired(&mut self) -> bool {
        let cumulative = self.board.cumulative();
        self.probed.take_if(|it| before(it.end, cumulative)).is_some() && !self.in_recovery()
    }

    /// Whether this loss has to begin a recovery.
    fn is_new_loss(&self, tsn: u32, sent_at: Instant, was_resent: bool) -> bool {
        self.recovery.as_ref().is_none_or(|it| it.is_new_loss(tsn, sent_at, was_resent))
    }

    /// `in_flight`: the bytes in flight before the loss was detected.
    fn begin_recovery(&mut self, now: Instant, in_flight: usize) {
        self.congestion.on_loss(&Loss { in_flight });
        let flying = self.board.totals().flying;
        let target = self.congestion.slow_start_threshold();
        let prr = target.map(|target| Reduction::new(in_flight, target, flying));
        self.probed = None;
        self.recovery =
            Some(Box::new(Recovery::new(Cause::Loss, now, self.board.highest_sent(), prr)));
        self.undo.begin();
    }

    /// Handles the retransmission timeout (RTO, RFC 9260 §6.3.3): everything in flight is marked lost.
    fn on_timeout(&mut self, now: Instant) {
        let in_flight = self.board.totals().flying;
        // The peer has reported the first missing chunk in a gap block but does not acknowledge it: it has discarded
        // what it reported (RFC 9260 §6.2.1 D iii).
        let reneged =
            self.board.get(0).is_some_and(|entry| entry.progress == ChunkProgress::Arrived);
        let mut lost = Vec::new();
        for (position, entry) in self.board.sent_entries() {
            let is_gone = entry.progress == ChunkProgress::Arrived && reneged && !entry.abandoned;
            if entry.progress == ChunkProgress::Flying || is_gone {
                lost.push(self.board.tsn(position));
            }
        }
        for tsn in &lost {
            if let Some(position) = self.board.position(*tsn) {
                self.board.update(position, |entry| entry.lose(true));
            }
            self.lifetimes.on_lost(now, *tsn, &mut self.board);
        }
        // Neither a closed window nor a wait for the pacer is congestion.
        if self.window > 0 && in_flight > 0 {
            self.newly_lost += in_flight;
            self.congestion.on_timeout(now, in_flight);
        }
        self.probed = None;
        self.recovery =
            Some(Box::new(Recovery::new(Cause::Timeout, now, self.board.highest_sent(), None)));
        self.undo.begin();
        self.forward.repeat(now, Duration::ZERO);
    }

    /// A chunk that was sent before the timeout has arrived without a retransmission: the path was slow, and nothing
    /// was lost (RFC 3522 detects this by timestamps).
    fn undo_timeout(&mut self) {
        if self.recovery.take_if(|it| it.cause == Cause::Timeout).is_none() {
            return;
        }
        self.congestion.undo();
        for position in 0..self.board.sent() {
            let entry = self.board.get(position);
            if entry.is_some_and(|it| it.progress == ChunkProgress::Lost && it.by_timeout) {
                self.board.update(position, |entry| entry.progress = ChunkProgress::Flying);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, SEGMENT, ms, tsns};
    use super::*;

    /// Five full packets that left 50 ms ago.
    fn five() -> Bench {
        let mut bench = Bench::new(ms(50));
        assert_eq!(tsns(&bench.write_and_send(5, SEGMENT)), [1, 2, 3, 4, 5]);
        bench.now += ms(50);
        bench
    }

    /// The TSNs of the DATA that leaves in this time.
    fn sent_in(bench: &mut Bench, time: Duration) -> Vec<u32> {
        tsns(bench.pass(time).iter().map(|(_, packet)| packet))
    }

    #[test]
    fn what_was_not_sent_cannot_be_acknowledged() {
        let mut bench = five();
        bench.write_and_send(20, SEGMENT);
        let highest = bench.control.highest_sent();
        for last in [highest + 1, highest + 1000, highest + (1 << 31) - 1] {
            bench.sack(last, &[], &[]);
            assert_eq!(bench.control.cumulative(), 0);
        }
        // A gap block beyond the highest TSN that was sent counts only up to that.
        bench.sack(0, &[(2, highest + 500)], &[]);
        assert_eq!(bench.control.board.totals().arrived_chunks as u32, highest - 1);
    }

    #[test]
    fn a_sack_that_was_overtaken_takes_nothing_back() {
        let mut bench = five();
        bench.sack(3, &[(5, 5)], &[]);
        let before = bench.control.stats();
        for gaps in [&[][..], &[(2, 2)], &[(4, 5)]] {
            bench.sack_with(0, 0, gaps, &[]);
            assert_eq!((bench.control.stats(), bench.control.window), (before, 1 << 20));
        }
        // The same chunk is acknowledged again.
        bench.sack(3, &[(5, 5)], &[]);
        assert_eq!(bench.control.stats(), before);
    }

    #[test]
    fn a_timeout_takes_all_for_lost_and_one_packet_leaves() {
        let mut bench = five();
        // The probe was sent after 50 ms, and the timeout follows 150 ms later.
        assert_eq!(sent_in(&mut bench, ms(60)), [5]);
        assert_eq!(sent_in(&mut bench, ms(150)), [1]);
        let stats = bench.control.stats();
        assert_eq!((stats.bytes_in_flight, stats.congestion_window), (SEGMENT, SEGMENT));
        bench.now += ms(50);
        assert_eq!(tsns(&bench.sack(1, &[], &[])), [2, 3], "slow start");
    }

    #[test]
    fn a_timeout_that_was_none_is_undone() {
        let mut bench = five();
        let before = bench.control.stats().congestion_window;
        assert_eq!(sent_in(&mut bench, ms(210)), [5, 1]);
        // The first transmissions are acknowledged now, sooner than the retransmissions could be.
        let sent = bench.sack(2, &[], &[]);
        assert!(sent.is_empty(), "{sent:?}");
        let stats = bench.control.stats();
        assert_eq!((stats.bytes_in_flight, stats.congestion_window), (3 * SEGMENT, before));
    }

    #[test]
    fn what_the_acknowledgement_of_a_loss_acknowledges_lets_as_much_leave() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(40, SEGMENT);
        bench.now += ms(50);
        bench.sack(10, &[], &[]);
        bench.pass(ms(50));
        assert_eq!(bench.control.highest_sent(), 30);
        // 20 are in flight, and PRR's target is 14. 9 arrive and 1 is lost, so 10 are left, and 4 may leave.
        assert_eq!(tsns(&bench.sack(10, &[(12, 20)], &[])), [11, 31, 32, 33]);
    }

    #[test]
    fn a_loss_that_was_none_is_undone_once_all_that_was_sent_again_is_reported() {
        let mut bench = five();
        let before = bench.control.stats().congestion_window;
        assert_eq!(tsns(&bench.sack(0, &[(2, 5)], &[])), [1]);
        assert!(bench.control.stats().congestion_window < before);
        bench.now += ms(50);
        bench.sack(5, &[], &[1]);
        let stats = bench.control.stats();
        assert_eq!((stats.congestion_window, stats.spurious_retransmissions), (before, 1));
    }

    #[test]
    fn a_sack_that_the_network_doubles_reports_a_duplicate_once() {
        let mut bench = five();
        let before = bench.control.stats().congestion_window;
        // TSN 1 is lost, and its retransmission seems to be lost as well.
        assert_eq!(tsns(&bench.sack(0, &[(2, 5)], &[])), [1]);
        assert_eq!(sent_in(&mut bench, ms(130)), [1]);
        // The duplicate shows that one of the two retransmissions was needless. The SACK that reports it comes three
        // times.
        for _ in 0..3 {
            bench.sack(5, &[], &[1]);
            bench.sack_with(2, 1 << 20, &[(4, 5)], &[]);
        }
        let stats = bench.control.stats();
        assert_eq!(stats.spurious_retransmissions, 1);
        assert!(stats.congestion_window < before, "{}", stats.congestion_window);
    }

    #[test]
    fn a_loss_is_not_undone_while_other_chunks_wait_to_be_sent_again() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(40, SEGMENT);
        bench.now += ms(50);
        bench.sack(10, &[], &[]);
        bench.pass(ms(50));
        // 17 of the 20 in flight seem to be lost. The pacer lets ten leave.
        let again = tsns(&bench.sack(10, &[(28, 30)], &[]));
        assert_eq!(again, (11..=20).collect::<Vec<_>>());
        bench.sack_with(20, 1 << 20, &[(28, 30)], &again);
        assert!(bench.control.in_recovery());
        // The other seven have arrived as well.
        bench.sack_with(30, 1 << 20, &[], &[]);
        assert!(!bench.control.in_recovery());
    }

    #[test]
    fn what_the_peer_has_thrown_away_is_sent_again() {
        let mut bench = five();
        assert_eq!(tsns(&bench.sack(0, &[(2, 5)], &[])), [1]);
        bench.now += ms(50);
        // The SACK no longer reports 2 to 5, which an earlier one did.
        assert!(bench.sack(1, &[], &[]).is_empty());
        let sent = sent_in(&mut bench, ms(2000));
        assert_eq!(sent.first(), Some(&2), "{sent:?}");
        bench.sack(2, &[], &[]);
        bench.sack(5, &[], &[]);
        assert!(bench.control.is_empty());
    }

    #[test]
    fn a_closed_window_of_the_peer_is_no_congestion() {
        let mut bench = five();
        bench.sack_with(4, 0, &[], &[]);
        let before = bench.control.stats().congestion_window;
        let sent = sent_in(&mut bench, ms(5000));
        assert!(sent.len() > 5 && sent.iter().all(|tsn| *tsn == 5), "{sent:?}");
        assert_eq!(bench.control.stats().congestion_window, before);
        assert_eq!(bench.control.newly_lost, 0, "a probe of the window is no loss");
    }

    /// The window before and after a tail loss probe: the last packet of ten is lost, and sent again by the probe. The
    /// acknowledgement of the probe reports `duplicates`.
    fn window_after_a_probe(duplicates: &[u32]) -> (usize, usize) {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(10, SEGMENT);
        bench.now += ms(50);
        bench.sack(9, &[], &[]);
        let before = bench.control.stats().congestion_window;
        let sent = bench.pass(ms(110));
        assert_eq!(sent.iter().flat_map(|(_, it)| it.tsns.clone()).collect::<Vec<_>>(), [10]);
        bench.now += ms(50);
        bench.sack(10, &[], duplicates);
        assert!(bench.control.stats().congestion_window >= before, "more may be known soon");
        bench.write_and_send(1, SEGMENT);
        bench.now += ms(50);
        bench.sack(11, &[], &[]);
        (before, bench.control.stats().congestion_window)
    }

    #[test]
    fn a_loss_that_a_probe_repairs_lowers_the_window() {
        let (before, after) = window_after_a_probe(&[]);
        assert!(after < before, "{before}, {after}");
        let (before, after) = window_after_a_probe(&[10]);
        assert!(after >= before, "{before}, {after}: nothing was lost");
    }

    #[test]
    fn a_timeout_after_which_nothing_was_sent_again_is_undone() {
        let mut bench = Bench::new(ms(50));
        bench.write_and_send(10, SEGMENT);
        let before = bench.control.stats().congestion_window;
        while bench.control.stats().congestion_window >= before {
            bench.now = bench.control.poll_timeout().expect("something is in flight");
            bench.control.handle_timeout(bench.now);
        }
        // The acknowledgement was only late, and comes before anything is sent again.
        assert!(bench.sack(10, &[], &[]).is_empty());
        assert!(bench.control.stats().congestion_window >= before);
        assert!(!bench.control.in_recovery());
    }
}
