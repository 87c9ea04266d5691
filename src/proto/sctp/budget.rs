//! How much of our time one peer may take.

use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::wire::{Chunks, kind};

/// The share of a core that a peer's packets may cost, one in so many.
const SHARE: u32 = 4;

/// What may be saved up.
const BURST: Duration = Duration::from_millis(250);

/// A token bucket of time. A peer that runs it dry has its packets dropped, which a good peer's
/// congestion control understands.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: Duration,
    since: Option<Instant>,
}

impl Budget {
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
/// part walks all that it holds.
pub(super) fn cost(ledger: &Ledger, streams: usize, chunks: Chunks<'_>) -> u64 {
    let (streams, held) = (streams as u64, ledger.held.chunks as u64);
    let in_flight = ledger.ours.as_ref().map_or(0, |ours| u64::from(ours.in_flight()));
    let mut cost = 1000;
    for chunk in chunks.flatten() {
        cost += match chunk.kind {
            kind::DATA => 300 + 4 * streams + 25 * held,
            kind::SACK => 500 + 50 * in_flight,
            kind::FORWARD_TSN => 300 + 10 * streams + 25 * held + 10 * chunk.value.len() as u64,
            kind::RECONFIG => 2000 + 100 * chunk.value.len() as u64,
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
        let mut budget = Budget::default();
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
