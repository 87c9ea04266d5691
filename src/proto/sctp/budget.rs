//! How much CPU time one peer may take.

use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::wire::kind;

/// A peer's packets may take one in this many nanoseconds of the core. A packet with one DATA chunk
/// costs 1.3 us if nothing is held: a quarter of a core is 190,000 of them per second, more than
/// DTLS lets through, and leaves the others three quarters. The routing of its messages and what is sent
/// to it come out of the same quarter.
const SHARE: u64 = 4;

/// What may be saved up, in nanoseconds: a round trip or two of a fast peer's packets, which arrive in one turn if
/// the thread was busy elsewhere.
const BURST: u64 = 250_000_000;

/// What must be left again before more is sent to the peer, in nanoseconds, so that timers are few.
const SENDING: u64 = 250_000;

/// What a packet to the peer costs in nanoseconds, with DTLS and the kernel. Packets that acknowledgements let leave
/// are many in a turn, so the calls are shared.
pub(super) const PACKET_COST: u64 = 1000;

/// As many DATA chunks, of one byte, fit into a packet of 1,400 bytes.
const USUAL_DATA: u64 = 64;

/// A token bucket of CPU time. A peer that empties it has its packets dropped, which its congestion
/// control understands. What was sent to it never has that effect, as it would cost the SACKs of a fast receiver: more
/// is sent once both are paid.
#[derive(Debug, Default)]
pub(super) struct CpuBudget {
    /// Nanoseconds for packets of the peer and what they cause.
    used: u64,
    /// Nanoseconds for packets to the peer. Paid after `used`.
    sent: u64,
    since: Option<Instant>,
}

impl CpuBudget {
    /// Takes `cost` nanoseconds. Returns false, and takes nothing, if fewer are left.
    pub(super) fn take(&mut self, now: Instant, cost: u64) -> bool {
        self.refund(now);
        let used = self.used.saturating_add(cost);
        let granted = used <= BURST;
        if granted {
            self.used = used;
        }
        granted
    }

    /// Takes `cost` nanoseconds that were spent already, even if fewer are left.
    pub(super) fn charge(&mut self, now: Instant, cost: u64) {
        self.refund(now);
        self.used = self.used.saturating_add(cost);
    }

    /// Takes `cost` nanoseconds for what was sent to the peer.
    pub(super) fn charge_sent(&mut self, now: Instant, cost: u64) {
        self.refund(now);
        self.sent = self.sent.saturating_add(cost);
    }

    /// When more may be sent to a peer that has used its share. `None`: at once.
    pub(super) fn used_until(&mut self, now: Instant) -> Option<Instant> {
        if self.used.saturating_add(self.sent) <= BURST {
            return None;
        }
        self.refund(now);
        let all = self.used.saturating_add(self.sent);
        let excess = all.checked_sub(BURST).filter(|&it| it > 0)?;
        Some(now + Duration::from_nanos(excess.saturating_add(SENDING).saturating_mul(SHARE)))
    }

    fn refund(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        // Most calls of a turn pass about the same time.
        if now <= since {
            return;
        }
        self.since = Some(now);
        let paid = now.duration_since(since).as_nanos() as u64 / SHARE;
        self.sent = self.sent.saturating_sub(paid.saturating_sub(self.used));
        self.used = self.used.saturating_sub(paid);
    }
}

/// What is in a packet, as far as its cost depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PacketLoad {
    data: u64,
    sacks: u64,
    sack_bytes: u64,
    forward_tsns: u64,
    forward_tsn_bytes: u64,
    reconfigs: u64,
    reconfig_bytes: u64,
    others: u64,
}

impl PacketLoad {
    /// Adds a chunk with a value of `len` bytes.
    pub(super) fn add(&mut self, kind: u8, len: usize) {
        match kind {
            kind::DATA => self.data += 1,
            kind::SACK => {
                self.sacks += 1;
                self.sack_bytes += len as u64;
            }
            kind::FORWARD_TSN => {
                self.forward_tsns += 1;
                self.forward_tsn_bytes += len as u64;
            }
            kind::RECONFIG => {
                self.reconfigs += 1;
                self.reconfig_bytes += len as u64;
            }
            _ => self.others += 1,
        }
    }

    /// Whether there is a SACK.
    pub(super) fn has_sack(&self) -> bool {
        self.sacks > 0
    }

    /// Estimates what the packet costs, in nanoseconds. `streams`: how many sctp-proto has.
    ///
    /// Measured on sctp-proto, which walks most of what it holds for each chunk: a DATA chunk costs 4 ns for each
    /// stream, 2 for each chunk beyond a gap, and 2 to 25, depending on their order, for each chunk held; a SACK 2 to
    /// 10 for each TSN in flight, and up to 20 for each duplicate, which has four bytes; a FORWARD TSN 18 for each
    /// stream. A RE-CONFIG costs 25,000, as it is answered and, with data channels, followed by a reset of ours that
    /// names all streams that wait for the peer, and 1,000 to 1,700 for each stream that it names, which has two bytes.
    /// Resets that wait for the peer's answer are walked whenever anything is sent.
    pub(super) fn cost(&self, ledger: &Ledger, streams: usize) -> u64 {
        let (streams, held) = (streams as u64, ledger.held.chunks() as u64);
        let beyond_gap = ledger.peer.as_ref().map_or(0, |peer| peer.received.beyond_gap() as u64);
        let resets = ledger.unfinished_resets as u64;
        // A packet of usual size adds little to what is held; a large one is what its own chunks wait behind.
        let own = self.data.saturating_sub(USUAL_DATA) / 2;
        let in_flight = ledger.local.as_ref().map_or(0, |local| u64::from(local.in_flight()));
        1000 + 40 * resets
            + self.data * (300 + 4 * streams + 25 * (held + own) + 4 * (beyond_gap + own))
            + self.sacks * (500 + 10 * in_flight)
            + self.sack_bytes * 5
            + self.forward_tsns * (300 + 20 * streams + 25 * held)
            + self.forward_tsn_bytes * (10 + resets / 4)
            + self.reconfigs * 25_000
            + self.reconfig_bytes * (500 + resets / 2)
            + self.others * 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::testing::start;

    #[test]
    fn used_time_is_refunded_as_time_passes() {
        let mut now = start();
        let mut budget = CpuBudget::default();
        let all = BURST;
        assert!(budget.take(now, all));
        assert!(!budget.take(now, 1));
        now += Duration::from_millis(4);
        assert!(budget.take(now, 1_000_000));
        assert!(!budget.take(now, 1));
        now += Duration::from_nanos(BURST * SHARE);
        assert!(budget.take(now, all));
    }

    #[test]
    fn a_peer_that_has_used_its_share_is_sent_more_once_there_is_some_again() {
        let mut now = start();
        let mut budget = CpuBudget::default();
        budget.charge(now, BURST);
        assert_eq!(budget.used_until(now), None);
        budget.charge(now, 1_000_000);
        assert_eq!(budget.used_until(now), Some(now + Duration::from_millis(5)));
        now += Duration::from_millis(3);
        assert_eq!(budget.used_until(now), Some(now + Duration::from_millis(2)));
        now += Duration::from_millis(1);
        assert_eq!(budget.used_until(now), None);
    }

    #[test]
    fn what_is_sent_to_a_peer_costs_it_none_of_its_packets() {
        let mut now = start();
        let mut budget = CpuBudget::default();
        let all = BURST;
        budget.charge_sent(now, 2 * all);
        assert!(budget.take(now, all));
        assert!(!budget.take(now, 1));
        assert_eq!(
            budget.used_until(now),
            Some(now + Duration::from_nanos((2 * BURST + SENDING) * SHARE))
        );
        now += Duration::from_nanos(BURST * SHARE);
        assert!(budget.take(now, 1), "its own packets are paid first");
        now += Duration::from_nanos((BURST + SENDING) * SHARE);
        assert_eq!(budget.used_until(now), None);
    }

    #[test]
    fn a_charge_beyond_what_is_left_is_paid_before_anything_is_granted() {
        let mut now = start();
        let mut budget = CpuBudget::default();
        budget.charge(now, 2 * BURST);
        now += Duration::from_nanos(BURST * SHARE);
        assert!(!budget.take(now, 1));
        now += Duration::from_millis(4);
        assert!(budget.take(now, 1_000_000));
    }
}
