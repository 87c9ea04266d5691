//! How much of our time one peer may take.

use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::wire::{Chunks, kind};

/// The share of a core that a peer's packets may cost, one in so many. A packet with one DATA
/// chunk is charged 1.3 us as long as nothing waits: a quarter of a core is 190,000 of them a
/// second, more than DTLS lets through, and leaves the others three quarters.
const SHARE: u32 = 4;

/// What may be saved up: a round trip or two of a fast peer's packets, which arrive in one turn if
/// the thread was busy elsewhere. It is also the longest that one peer can hold up the others.
const BURST: Duration = Duration::from_millis(250);

/// A token bucket of time. A peer that runs it dry has its packets dropped, which a good peer's
/// congestion control understands.
#[derive(Debug, Default)]
pub(super) struct CpuBudget {
    used: Duration,
    since: Option<Instant>,
}

impl CpuBudget {
    /// Takes `cost` nanoseconds. False, and nothing is taken, if they are not there.
    pub(super) fn take(&mut self, now: Instant, cost: u64) -> bool {
        let elapsed = self.since.map_or(BURST, |since| now.saturating_duration_since(since));
        self.since = Some(self.since.map_or(now, |since| since.max(now)));
        self.used = self.used.saturating_sub(elapsed / SHARE);
        let used = self.used.saturating_add(Duration::from_nanos(cost));
        let granted = used <= BURST;
        if granted {
            self.used = used;
        }
        granted
    }
}

/// What a packet costs, in nanoseconds of our time, about. Measured on sctp-proto, of which every
/// part walks all that it holds: a DATA chunk costs 4 ns for each stream there is, 2 for each chunk
/// beyond a gap, and 2 to 25, depending on their order, for each piece held; a SACK 50 to 100 for
/// each TSN in flight; a FORWARD TSN 18 for each stream; a reset 25,000, as it is answered and,
/// with data channels, by a reset of ours that names all that wait for the peer, and 1,000 to 1,700
/// for each stream that it names, which has two bytes. What waits for the peer to answer our resets
/// is walked whenever anything is sent.
pub(super) fn cost(ledger: &Ledger, streams: usize, chunks: Chunks<'_>) -> u64 {
    let (streams, held) = (streams as u64, ledger.held.chunks as u64);
    let beyond_gap = ledger.peer.as_ref().map_or(0, |peer| peer.received.beyond_gap() as u64);
    let resets = ledger.unfinished_resets as u64;
    let in_flight = ledger.local.as_ref().map_or(0, |local| u64::from(local.in_flight()));
    let mut cost = 1000 + 40 * resets;
    for chunk in chunks.flatten() {
        cost += match chunk.kind {
            kind::DATA => 300 + 4 * streams + 25 * held + 4 * beyond_gap,
            kind::SACK => 500 + 50 * in_flight,
            kind::FORWARD_TSN => {
                300 + 20 * streams + 25 * held + (10 + resets / 4) * chunk.value.len() as u64
            }
            kind::RECONFIG => 25_000 + (500 + resets / 2) * chunk.value.len() as u64,
            _ => 1000,
        };
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::testing::start;

    #[test]
    fn what_is_used_comes_back_with_time() {
        let mut now = start();
        let mut budget = CpuBudget::default();
        let all = BURST.as_nanos() as u64;
        assert!(budget.take(now, all));
        assert!(!budget.take(now, 1));
        now += Duration::from_millis(4);
        assert!(budget.take(now, 1_000_000));
        assert!(!budget.take(now, 1));
        now += BURST * SHARE;
        assert!(budget.take(now, all));
    }
}
