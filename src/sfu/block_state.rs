//! Which DataConsumers and limits hold up DataProducers, and for how long: the state of `block.rs`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::entity::limiter::Limited;
use super::id::{DataConsumerKey, DataProducerKey};

/// In each period of this length a DataConsumer may hold up its DataProducer for at most its timeout.
const PERIOD: Duration = Duration::from_secs(60);

/// A DataConsumer that stands still for less than this is merely slow: its acknowledgements may take a round trip, or a
/// retransmission.
const STEADY: Duration = Duration::from_secs(1);

/// A DataConsumer that holds up its DataProducer is checked ten times within its timeout, at intervals between these
/// two.
const MIN_LOOK: Duration = Duration::from_millis(10);
const MAX_LOOK: Duration = Duration::from_millis(500);

/// How long a DataConsumer holds up its DataProducer.
///
/// Only time in which it stands still counts. In each span for which it holds up its DataProducer, that is the longest
/// stretch without progress minus the second longest: a DataConsumer that takes everything after two seconds has stood
/// still, one that takes a message every two seconds is slow.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The current span, if it holds up its DataProducer.
    pub(super) span: Option<Span>,
    /// When earlier spans ended, and for how long it stood still in each. Spans that end within [`STEADY`] of each
    /// other are merged, so there are about sixty.
    past: VecDeque<(Instant, Duration)>,
    /// Whether it may no longer hold up its DataProducer, because it has done so for too long.
    pub(super) stalled: bool,
    /// Whether the replay of retained messages to this DataConsumer waits until its queue has room.
    pub(super) replay_waits: bool,
    /// The time of its next entry in [`Blocks::looks`].
    next_look: Option<Instant>,
}

/// A time in which a DataConsumer holds up its DataProducer.
#[derive(Debug)]
pub(super) struct Span {
    /// Since when the DataConsumer has taken nothing.
    since: Instant,
    /// How much it had taken by then.
    taken: u64,
    /// The longest stretch before.
    longest: Duration,
    second: Duration,
}

impl Span {
    fn end_stretch(&mut self, now: Instant) {
        let stretch = now - self.since;
        self.since = now;
        self.second = self.second.max(stretch.min(self.longest));
        self.longest = self.longest.max(stretch);
    }
}

impl Block {
    /// Begins a span. `taken`: how much it has taken in all.
    pub(super) fn begin(&mut self, now: Instant, taken: u64) {
        let (longest, second) = Default::default();
        self.span = Some(Span { since: now, taken, longest, second });
    }

    /// Notes how much it has taken by now. It makes progress if that is at least `least` more than at the last
    /// progress.
    pub(super) fn look(&mut self, now: Instant, taken: u64, least: u64) {
        if let Some(span) = &mut self.span
            && taken.saturating_sub(span.taken) >= least
        {
            span.end_stretch(now);
            span.taken = taken;
        }
    }

    /// Ends the span. Returns whether there was one.
    pub(super) fn end(&mut self, now: Instant) -> bool {
        let Some(mut span) = self.span.take() else { return false };
        span.end_stretch(now);
        let time = span.longest - span.second;
        if time >= STEADY {
            self.remember(now, time);
        }
        true
    }

    /// Adds the `time` for which it stood still in a span that ends now.
    fn remember(&mut self, now: Instant, time: Duration) {
        self.forget_before(now);
        match self.past.back_mut() {
            Some((ended, before)) if now < *ended + STEADY => *before += time,
            _ => self.past.push_back((now, time)),
        }
    }

    /// Forgets what is older than [`PERIOD`].
    fn forget_before(&mut self, now: Instant) {
        while self.past.front().is_some_and(|(ended, _)| *ended + PERIOD <= now) {
            self.past.pop_front();
        }
    }

    /// Ends the span, if there is one, and begins another.
    pub(super) fn renew(&mut self, now: Instant, taken: u64) {
        if self.end(now) {
            self.begin(now, taken);
        }
    }

    /// Ends the span, because it has held up its DataProducer for too long.
    pub(super) fn stall(&mut self, now: Instant) {
        if let Some(span) = self.span.take()
            && now > span.since
        {
            self.remember(now, now - span.since);
        }
        self.stalled = true;
    }

    /// Whether it has stood still for its timeout within [`PERIOD`].
    pub(super) fn stalls(&mut self, now: Instant, timeout: Duration) -> bool {
        self.stalls_at(now, timeout).is_some_and(|at| at <= now)
    }

    /// Whether it still holds up its DataProducer and this is the time of its next check. Other entries are outdated.
    pub(super) fn is_due(&mut self, at: Instant) -> bool {
        self.next_look.take_if(|next| *next == at).is_some() && self.span.is_some()
    }

    /// When it will have stood still for its timeout, unless it makes progress.
    fn stalls_at(&mut self, now: Instant, timeout: Duration) -> Option<Instant> {
        self.forget_before(now);
        let used: Duration = self.past.iter().map(|(_, time)| *time).sum();
        self.span.as_ref().map(|span| span.since + timeout.saturating_sub(used))
    }
}

/// All DataConsumers that may hold up their DataProducer.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// How many there are.
    pub(super) consumers: usize,
    /// When to check whether a DataConsumer has stalled. Outdated entries stay until their time comes.
    looks: BinaryHeap<Reverse<(Instant, DataConsumerKey)>>,
    /// How many limits make DataProducers wait for tokens.
    pub(super) limits: usize,
    /// When waiting DataProducers get tokens. Outdated entries stay until their time comes.
    tokens: BinaryHeap<Reverse<(Instant, Limited)>>,
    /// DataProducers of JavaScript or of a tunnel that may go on.
    pub(super) unblocked: VecDeque<DataProducerKey>,
}

impl Blocks {
    /// When to call `Sfu::handle_stalls()` or `Sfu::release_limited()`.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next_look().into_iter().chain(self.next_tokens()).min()
    }

    /// The number of scheduled checks and waits for tokens, outdated ones included.
    pub(super) fn entries(&self) -> usize {
        self.looks.len() + self.tokens.len()
    }

    fn next_look(&self) -> Option<Instant> {
        self.looks.peek().map(|Reverse((at, _))| *at)
    }

    fn next_tokens(&self) -> Option<Instant> {
        self.tokens.peek().map(|Reverse((at, _))| *at)
    }

    /// Schedules the next check of this DataConsumer, which holds up its DataProducer: at its timeout at the latest.
    pub(super) fn watch(
        &mut self,
        key: DataConsumerKey,
        block: &mut Block,
        now: Instant,
        timeout: Duration,
    ) {
        let Some(stalls_at) = block.stalls_at(now, timeout) else { return };
        let at = stalls_at.min(now + (timeout / 10).clamp(MIN_LOOK, MAX_LOOK));
        if block.next_look.is_none_or(|next| at < next) {
            block.next_look = Some(at);
            self.looks.push(Reverse((at, key)));
        }
    }

    /// The next DataConsumer to check.
    pub(super) fn take_look(&mut self, now: Instant) -> Option<(Instant, DataConsumerKey)> {
        self.next_look().filter(|at| *at <= now)?;
        self.looks.pop().map(|Reverse(look)| look)
    }

    /// Makes [`Self::take_tokens`] return this limit at `at`.
    pub(super) fn push_tokens(&mut self, at: Instant, limited: Limited) {
        self.tokens.push(Reverse((at, limited)));
    }

    /// The next limit that has tokens for the DataProducers that wait.
    pub(super) fn take_tokens(&mut self, now: Instant) -> Option<(Instant, Limited)> {
        self.next_tokens().filter(|at| *at <= now)?;
        self.tokens.pop().map(|Reverse(tokens)| tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    /// How long a DataConsumer would have to stand still from now on until it stalls.
    fn left(block: &mut Block, now: Instant) -> Duration {
        block.begin(now, 0);
        let left = block.stalls_at(now, TIMEOUT).expect("it holds up its DataProducer") - now;
        block.span = None;
        left
    }

    #[test]
    fn the_time_of_a_minute_in_which_it_stood_still_is_added_up() {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let mut block = Block::default();
        for second in [0, 10, 20] {
            block.begin(at(1000 * second), 0);
            assert!(block.end(at(1000 * second + 1500)));
        }
        assert_eq!(left(&mut block, at(30_000)), Duration::from_millis(500));
        assert_eq!(left(&mut block, at(61_500)), Duration::from_millis(2000));
        assert_eq!(left(&mut block, at(81_500)), TIMEOUT);
        assert!(block.past.is_empty());
    }

    #[test]
    fn of_a_span_counts_what_the_longest_stretch_has_more_than_the_second_if_it_is_a_second_or_more()
     {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let mut block = Block::default();
        block.begin(at(0), 0);
        for step in 1..=20 {
            block.look(at(2000 * step), step, 1);
        }
        assert_eq!(block.stalls_at(at(40_000), TIMEOUT), Some(at(45_000)));
        assert!(block.end(at(40_500)));
        assert_eq!(left(&mut block, at(41_000)), TIMEOUT);
        block.begin(at(41_000), 0);
        for (at_ms, taken) in [(41_500, 1), (45_000, 2), (46_000, 3)] {
            block.look(at(at_ms), taken, 1);
        }
        assert!(block.end(at(46_100)));
        assert_eq!(left(&mut block, at(47_000)), Duration::from_millis(2500));
        for step in 0..20 {
            block.begin(at(50_000 + 1000 * step), 0);
            block.end(at(50_000 + 1000 * step + 999));
        }
        assert_eq!(block.past.len(), 1);
    }

    #[test]
    fn one_that_takes_less_than_the_least_stands_still() {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let mut block = Block::default();
        block.begin(at(0), 7);
        for step in 1..=10 {
            block.look(at(100 * step), 7 + step, 11);
        }
        assert_eq!(block.stalls_at(at(1000), TIMEOUT), Some(at(5000)));
        block.look(at(1100), 18, 11);
        assert_eq!(block.stalls_at(at(1100), TIMEOUT), Some(at(6100)));
    }

    /// As with a tunnel, whose DataConsumers have no timeout, or with one that stalls as soon as it holds up its
    /// DataProducer.
    #[test]
    fn however_often_it_holds_up_its_producer_little_is_remembered() {
        let start = origin();
        for (period_ms, stalls) in [(1100, false), (2, true)] {
            let mut block = Block::default();
            for span in 0..100_000 {
                let now = start + Duration::from_millis(period_ms * span);
                block.begin(now, span);
                let then = now + Duration::from_millis(period_ms - 1);
                match stalls {
                    true => block.stall(then),
                    false => assert!(block.end(then)),
                }
                assert!(block.past.len() <= 61, "{} after {span}", block.past.len());
            }
            let all: Duration = block.past.iter().map(|(_, time)| *time).sum();
            assert!(all > Duration::from_secs(25), "{all:?}, stalls: {stalls}");
        }
    }

    #[test]
    fn a_stall_counts_however_short_it_was() {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let mut block = Block::default();
        block.begin(at(0), 0);
        block.stall(at(500));
        assert!(block.stalled && block.span.is_none());
        assert_eq!(left(&mut block, at(1000)), Duration::from_millis(4500));
        for _ in 0..100 {
            block.begin(at(1000), 0);
            block.stall(at(1000));
        }
        assert_eq!(block.past.len(), 1, "one that stalls at once adds nothing");
    }
}
