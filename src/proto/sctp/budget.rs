//! How much of our time one peer may take.

use std::time::{Duration, Instant};

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
