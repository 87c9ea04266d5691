//! Messages that exceed the share of a turn, and the calls that come after them.
//!
//! ```text
//! inbox ─► driver ─┬─► done at once
//!                  └─► the lane of its source ─► done in turns, a quantum each
//! ```
//!
//! A source is a direct DataProducer, or the tunnel through which another worker's messages come. Each has a lane of
//! its own, so that what waits for one source delays no other, and close() finds what was sent before it.
//!
//! The lane of a blocked DataProducer (see `sfu/block.rs`) gets no turns until it is released. Messages of a tunnel for
//! such a DataProducer wait in its lane too, so that messages for others can pass them.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::sfu::source::Source;

use super::job::{Job, Place};

/// The largest queue that is kept for the next lane, in jobs: less than 100 KB.
const MAX_SPARE: usize = 1024;

/// The lanes of the owner of jobs `W`.
pub(super) struct Lanes<W> {
    /// A lane that has become empty stays until its turn comes.
    lanes: FxHashMap<Source, Lane<W>>,
    turns: VecDeque<Source>,
    /// The empty queue of a lane that is gone, for the next one: a queue that grows from nothing costs the allocator up
    /// to 5 ms in a process whose other threads free much.
    spare: VecDeque<Job<W>>,
}

/// Calls are kept apart from the other jobs, so that they are found at once among a million messages.
struct Lane<W> {
    jobs: VecDeque<Job<W>>,
    /// The calls, each with the number of the job that it comes before. Jobs are numbered from 0.
    calls: VecDeque<(u64, Job<W>)>,
    /// The number of the first of `jobs`.
    first: u64,
    /// The messages among the jobs, unless they are counted as dropped already.
    messages: u64,
    /// Whether it gets no turns.
    held: bool,
    /// Whether it is in [`Lanes::turns`]. A lane that is held leaves them when its turn comes.
    takes_turns: bool,
}

impl<W> Lane<W> {
    fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.calls.is_empty()
    }

    fn push(&mut self, job: Job<W>) {
        if matches!(job, Job::Call(..)) {
            self.calls.push_back((self.first + self.jobs.len() as u64, job));
        } else {
            self.messages += u64::from(job.is_message());
            self.jobs.push_back(job);
        }
    }

    fn pop(&mut self) -> Option<Job<W>> {
        if let Some((before, _)) = self.calls.front()
            && *before <= self.first
        {
            return self.pop_call();
        }
        let job = self.jobs.pop_front()?;
        self.first += 1;
        if job.is_message() {
            self.messages = self.messages.saturating_sub(1);
        }
        Some(job)
    }

    fn pop_call(&mut self) -> Option<Job<W>> {
        self.calls.pop_front().map(|(_, call)| call)
    }

    /// Puts back the job that was popped last.
    fn push_front(&mut self, job: Job<W>) {
        self.first = self.first.wrapping_sub(1);
        self.messages += u64::from(job.is_message());
        self.jobs.push_front(job);
    }
}

impl<W> Default for Lanes<W> {
    fn default() -> Self {
        Self { lanes: FxHashMap::default(), turns: VecDeque::new(), spare: VecDeque::new() }
    }
}

impl<W> Lanes<W> {
    /// Whether there is no lane.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether a lane has a turn.
    pub(super) fn has_turns(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Gives this source no turns until [`Self::release`]. Returns the waiting calls that a block does not concern.
    pub(super) fn hold(&mut self, source: Source) -> Vec<Job<W>> {
        let Some(lane) = self.lanes.get_mut(&source) else { return Vec::new() };
        // Calls that overtake do not wait in a lane that is held.
        if std::mem::replace(&mut lane.held, true) {
            return Vec::new();
        }
        let calls = std::mem::take(&mut lane.calls).into_iter();
        let (overtaking, others) = calls.partition::<VecDeque<_>, _>(|(_, job)| overtakes(job));
        lane.calls = others;
        overtaking.into_iter().map(|(_, job)| job).collect()
    }

    /// Whether this source has no turns.
    pub(super) fn is_held(&self, source: Source) -> bool {
        self.lanes.get(&source).is_some_and(|lane| lane.held)
    }

    /// Gives this source its turns back.
    pub(super) fn release(&mut self, source: Source) {
        if let Some(lane) = self.lanes.get_mut(&source)
            && std::mem::take(&mut lane.held)
            && !std::mem::replace(&mut lane.takes_turns, true)
        {
            self.turns.push_back(source);
        }
    }

    /// Puts back a job that [`Self::pop`] has returned.
    pub(super) fn push_front(&mut self, source: Source, job: Job<W>) {
        if let Some(lane) = self.lanes.get_mut(&source) {
            lane.push_front(job);
        }
    }

    /// Whether something of this source waits.
    pub(super) fn waits(&self, source: Source) -> bool {
        self.lanes.get(&source).is_some_and(|lane| !lane.is_empty())
    }

    pub(super) fn push(&mut self, source: Source, job: Job<W>) {
        let lane = self.lanes.entry(source).or_insert_with(|| {
            self.turns.push_back(source);
            Lane {
                jobs: std::mem::take(&mut self.spare),
                calls: VecDeque::new(),
                first: 1,
                messages: 0,
                held: false,
                takes_turns: true,
            }
        });
        lane.push(job);
    }

    /// The source whose turn it is. The next call returns the one after it.
    pub(super) fn take_turn(&mut self) -> Option<Source> {
        while let Some(source) = self.turns.pop_front() {
            let Some(lane) = self.lanes.get_mut(&source) else { continue };
            if lane.held {
                lane.takes_turns = false;
            } else if lane.is_empty() {
                let gone = self.lanes.remove(&source).map(|it| it.jobs).unwrap_or_default();
                if (self.spare.capacity()..=MAX_SPARE).contains(&gone.capacity()) {
                    self.spare = gone;
                }
            } else {
                self.turns.push_back(source);
                return Some(source);
            }
        }
        None
    }

    /// The next job of this source.
    pub(super) fn pop(&mut self, source: Source) -> Option<Job<W>> {
        self.lanes.get_mut(&source)?.pop()
    }

    /// The next call of this source, which overtakes the other jobs.
    pub(super) fn pop_call(&mut self, source: Source) -> Option<Job<W>> {
        self.lanes.get_mut(&source)?.pop_call()
    }

    /// The messages of this source that wait. From now on they do not count: nothing takes them any more, and they
    /// go when their turn comes.
    pub(super) fn write_off(&mut self, source: Source) -> u64 {
        self.lanes.get_mut(&source).map_or(0, |lane| std::mem::take(&mut lane.messages))
    }

    /// How many messages wait.
    pub(super) fn messages(&self) -> u64 {
        self.lanes.values().map(|lane| lane.messages).sum()
    }
}

/// Whether a block does not concern this call: it is one on a DataConsumer, or one that only reads.
pub(super) fn overtakes<W>(job: &Job<W>) -> bool {
    matches!(job, Job::Call(Place::DataConsumer(_) | Place::Reading(_), _))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::{Message, Ppid};
    use crate::sfu::id::DataProducerKey;

    fn source(number: u32) -> Source {
        Source::DataProducer(DataProducerKey(number))
    }

    fn push(lanes: &mut Lanes<()>, number: u32, text: &str) {
        let message = Message::copy_from_slice(Ppid::STRING, text.as_bytes());
        lanes.push(source(number), Job::Send(DataProducerKey(number), message, None));
    }

    fn pop(lanes: &mut Lanes<()>, source: Source) -> String {
        match lanes.pop(source) {
            Some(Job::Send(_, message, _)) => String::from_utf8_lossy(&message.payload).into(),
            _ => String::new(),
        }
    }

    #[test]
    fn sources_take_turns_and_each_keeps_its_order() {
        let mut lanes = Lanes::default();
        for (number, text) in [(1, "a"), (1, "b"), (1, "c"), (2, "x"), (3, "y")] {
            push(&mut lanes, number, text);
        }
        let mut taken = String::new();
        while let Some(source) = lanes.take_turn() {
            taken += &pop(&mut lanes, source);
        }
        assert_eq!(taken, "axybc");
        assert!(lanes.is_empty());
    }

    #[test]
    fn a_source_that_comes_back_before_its_turn_has_one_turn() {
        let mut lanes = Lanes::default();
        push(&mut lanes, 1, "a");
        push(&mut lanes, 2, "x");
        assert_eq!(pop(&mut lanes, source(1)), "a");
        assert!(!lanes.waits(source(1)));
        push(&mut lanes, 1, "b");
        push(&mut lanes, 1, "c");
        let turns = [(); 3].map(|()| lanes.take_turn());
        assert_eq!(turns, [1, 2, 1].map(|it| Some(source(it))));
    }

    #[test]
    fn a_lane_gets_the_queue_of_one_that_is_gone_unless_that_is_large() {
        let mut lanes = Lanes::default();
        let mut queue_after = |count| {
            (0..count).for_each(|_| push(&mut lanes, 1, "x"));
            while !pop(&mut lanes, source(1)).is_empty() {}
            assert_eq!(lanes.take_turn(), None);
            push(&mut lanes, 2, "y");
            let kept = lanes.lanes[&source(2)].jobs.capacity();
            pop(&mut lanes, source(2));
            assert_eq!(lanes.take_turn(), None);
            kept
        };
        assert!(queue_after(200) >= 200);
        assert!(queue_after(1) >= 200);
        assert!(queue_after(MAX_SPARE + 1) <= 4);

        for (number, count) in [(1, 200), (2, MAX_SPARE + 1)] {
            (0..count).for_each(|_| push(&mut lanes, number, "x"));
        }
        for number in [1, 2] {
            while !pop(&mut lanes, source(number)).is_empty() {}
        }
        assert_eq!(lanes.take_turn(), None);
        assert!(lanes.spare.capacity() >= 200, "the large one, gone last, takes it away");
    }

    #[test]
    fn messages_are_written_off_once() {
        let mut lanes = Lanes::default();
        for text in ["a", "bb", "ccc"] {
            push(&mut lanes, 1, text);
        }
        pop(&mut lanes, source(1));
        assert_eq!(lanes.messages(), 2);
        assert_eq!(lanes.write_off(source(1)), 2);
        assert_eq!(lanes.write_off(source(1)), 0);
        assert_eq!(pop(&mut lanes, source(1)), "bb");
        assert_eq!(lanes.messages(), 0);
    }

    #[test]
    fn calls_keep_their_place_until_they_are_taken_alone() {
        let mut lanes = Lanes::default();
        let call = |lanes: &mut Lanes<()>| lanes.push(source(1), Job::call(|()| {}));
        call(&mut lanes);
        push(&mut lanes, 1, "a");
        call(&mut lanes);
        call(&mut lanes);
        push(&mut lanes, 1, "b");
        call(&mut lanes);
        let mut order = String::new();
        for _ in 0..3 {
            let job = lanes.pop(source(1)).expect("a job");
            order.push(if job.is_message() { 'm' } else { 'c' });
        }
        assert_eq!(order, "cmc");
        assert!(lanes.pop_call(source(1)).is_some() && lanes.pop_call(source(1)).is_some());
        assert!(lanes.pop_call(source(1)).is_none());
        assert!(lanes.waits(source(1)));
        assert_eq!(pop(&mut lanes, source(1)), "b");
        assert!(!lanes.waits(source(1)));
    }

    #[test]
    fn a_lane_that_is_released_before_its_turn_has_one_turn() {
        let mut lanes = Lanes::default();
        push(&mut lanes, 1, "a");
        push(&mut lanes, 2, "x");
        for _ in 0..3 {
            assert!(lanes.hold(source(1)).is_empty());
            lanes.release(source(1));
        }
        let turns = [(); 3].map(|()| lanes.take_turn());
        assert_eq!(turns, [1, 2, 1].map(|it| Some(source(it))));
        lanes.hold(source(1));
        assert_eq!([(); 2].map(|()| lanes.take_turn()), [Some(source(2)); 2]);
        lanes.hold(source(2));
        assert_eq!(lanes.take_turn(), None);
        lanes.release(source(1));
        assert_eq!([(); 2].map(|()| lanes.take_turn()), [Some(source(1)); 2]);
    }

    /// In an unoptimized build it takes 0.1 s, and would take a minute if each hold looked at all calls and lanes.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "it measures costs")]
    fn a_hold_costs_no_more_the_more_calls_and_lanes_there_are() {
        const MANY: u32 = 20_000;
        let mut lanes = Lanes::default();
        let began = std::time::Instant::now();
        for number in 0..MANY {
            push(&mut lanes, number, "x");
            lanes.push(source(0), Job::call(|()| {}));
        }
        for number in 0..MANY {
            lanes.hold(source(number));
            push(&mut lanes, 0, "x");
            lanes.hold(source(0));
        }
        assert_eq!(lanes.take_turn(), None);
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn a_lane_that_is_held_has_no_turns_until_it_is_released_and_calls_on_consumers_leave_it() {
        let mut lanes = Lanes::default();
        push(&mut lanes, 1, "a");
        lanes.push(source(1), Job::call(|()| {}));
        let place = Place::DataConsumer(crate::sfu::id::DataConsumerKey(9));
        lanes.push(source(1), Job::Call(place, Box::new(|()| {})));
        push(&mut lanes, 2, "x");
        let popped = lanes.pop(source(1)).expect("a message");
        lanes.push_front(source(1), popped);
        assert_eq!(lanes.hold(source(1)).len(), 1);
        assert!(lanes.is_held(source(1)) && lanes.waits(source(1)));
        assert_eq!([(); 3].map(|()| lanes.take_turn()), [Some(source(2)); 3]);
        assert_eq!(pop(&mut lanes, source(2)), "x");
        assert_eq!(lanes.take_turn(), None);
        assert!(!lanes.has_turns() && !lanes.is_empty());
        assert_eq!(lanes.messages(), 1);
        push(&mut lanes, 1, "b");
        lanes.release(source(1));
        assert_eq!(lanes.take_turn(), Some(source(1)));
        assert_eq!(pop(&mut lanes, source(1)), "a");
        assert!(lanes.pop(source(1)).is_some_and(|it| !it.is_message()), "the call");
        assert_eq!(pop(&mut lanes, source(1)), "b");
        assert_eq!(lanes.take_turn(), None);
        assert!(lanes.is_empty());
    }
}
