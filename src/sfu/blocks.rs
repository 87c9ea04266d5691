//! Which DataConsumers hold up their DataProducers, and for how long: the state of `block.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use super::id::{DataConsumerKey, DataProducerKey};

/// Within this time a DataConsumer may hold up its DataProducer for its timeout.
const PERIOD: Duration = Duration::from_secs(60);

/// Spans that end within this time are added up.
const GRAIN: Duration = Duration::from_secs(1);

/// How long a DataConsumer holds up its DataProducer.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Since when it does.
    pub(super) since: Option<Instant>,
    /// For how long it did, and when that ended at the earliest.
    past: VecDeque<(Instant, Duration)>,
    /// Whether it does not any more, because it did for too long.
    pub(super) stalled: bool,
}

impl Block {
    pub(super) fn begin(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Returns whether it has held up its DataProducer until now.
    pub(super) fn end(&mut self, now: Instant) -> bool {
        let Some(since) = self.since.take() else { return false };
        let time = now - since;
        match self.past.back_mut() {
            Some((ended, sum)) if now < *ended + GRAIN => *sum += time,
            _ => self.past.push_back((now, time)),
        }
        true
    }

    /// For how long within [`PERIOD`].
    pub(super) fn used(&mut self, now: Instant) -> Duration {
        while self.past.front().is_some_and(|(ended, _)| *ended + PERIOD <= now) {
            self.past.pop_front();
        }
        let present = self.since.map_or(Duration::ZERO, |since| now - since);
        self.past.iter().map(|(_, time)| *time).sum::<Duration>() + present
    }
}

/// All DataConsumers that may hold up their DataProducer.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// How many there are.
    pub(super) consumers: usize,
    /// Those that do.
    pub(super) blocking: FxHashSet<DataConsumerKey>,
    /// When the first of these stalls.
    pub(super) stall_at: Option<Instant>,
    /// DataProducers of JavaScript or of a tunnel that may go on.
    pub(super) unblocked: VecDeque<DataProducerKey>,
}

impl Blocks {
    /// When to call `Sfu::handle_stalls()`.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stall_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_time_of_a_minute_is_added_up() {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let mut block = Block::default();
        for second in 0..100 {
            block.begin(at(1000 * second));
            block.end(at(1000 * second + 10));
        }
        assert_eq!(block.used(at(99_010)), Duration::from_millis(600));
        assert!(block.past.len() <= 61);
        block.begin(at(100_000));
        assert_eq!(block.used(at(101_000)), Duration::from_millis(1590));
        block.end(at(101_000));
        assert_eq!(block.used(at(161_001)), Duration::ZERO);
    }

    #[test]
    fn many_short_spans_take_little_memory() {
        let start = origin();
        let mut block = Block::default();
        for ms in 0..10_000 {
            block.begin(start + Duration::from_micros(1000 * ms));
            block.end(start + Duration::from_micros(1000 * ms + 500));
        }
        assert!(block.past.len() <= 11, "{}", block.past.len());
        assert_eq!(block.used(start + Duration::from_secs(10)), Duration::from_secs(5));
    }
}
