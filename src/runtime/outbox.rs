//! The queue from a worker to JavaScript: answers, events and messages, in the order in which they
//! happened.
//!
//! A peer must not make the queue grow while JavaScript is busy. So each kind of item has a bound: for messages the
//! backlog of their DataConsumer, for answers the number of requests, for log lines [`MAX_LOG_BYTES`]. Of the events of
//! one [`Topic`] a few are kept, including the latest. A message that waits in a queue of its DataConsumer has a token
//! here; outdated tokens are removed once they outnumber the others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::proto::message::charge;
use crate::sfu::contract::dump::OutboxCounters;
use crate::sfu::error::Error;
use crate::sfu::event::{Event, Topic};
use crate::sfu::histogram::{DELAYS, Histogram};

/// The bound of the log lines that wait, each charged its text plus 64 bytes.
const MAX_LOG_BYTES: usize = 256 * 1024;

/// The queue is swept when more superseded events than this are in it, and they are more than half of it.
const MAX_STALE: usize = 1024;

/// One entry of the queue.
#[derive(Debug)]
pub enum Item {
    /// The answer to a request: JSON, or an error.
    Answer(u32, Result<String, Box<Error>>),
    /// An event of an entity.
    Event(Event),
    /// When the message before this item was queued: its delay is counted once it has been handed out.
    Sampled(Instant),
    /// A log line: its level and its text.
    Log(&'static str, String),
    /// The thread panicked with this message and has ended.
    Died(String),
    /// The thread has ended, with these metrics as JSON unless it panicked. This is the last item.
    Ended(Option<String>),
}

/// A queue that one thread fills and another empties. The first push after a take wakes the reader.
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Whether the reader was woken and has not taken anything since.
    woken: AtomicBool,
    wake: Mutex<Option<Box<dyn Fn() + Send>>>,
    events_merged: AtomicU64,
    log_lines_dropped: AtomicU64,
    delays: Mutex<Delays>,
}

/// How long messages have waited for JavaScript.
type Delays = Histogram<{ DELAYS.len() }>;

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// The indices of events that later ones supersede.
    stale: Vec<usize>,
    /// The events that a peer can repeat.
    waiting: FxHashMap<Topic, TopicState>,
    log_bytes: usize,
    /// The index of the line that will say how many lines are missing, and their number.
    missing: Option<(usize, u64)>,
    /// How many tokens there are, and how many were live at the last count.
    tokens: usize,
    live_tokens: usize,
}

#[derive(Default)]
struct TopicState {
    count: usize,
    /// The index of the latest event of the topic.
    latest: usize,
}

impl Outbox {
    /// An empty queue whose reader is woken by `wake`.
    pub fn new(wake: impl Fn() + Send + 'static) -> Self {
        Self {
            queue: Mutex::default(),
            woken: AtomicBool::new(false),
            wake: Mutex::new(Some(Box::new(wake) as _)),
            events_merged: AtomicU64::new(0),
            log_lines_dropped: AtomicU64::new(0),
            delays: Mutex::new(Histogram::new(&DELAYS)),
        }
    }

    /// Drops `wake`, so that the reader is not woken any more.
    pub fn retire(&self) {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Adds all of `batch` and leaves it empty.
    pub fn push(&self, batch: &mut VecDeque<Item>) {
        if batch.is_empty() {
            return;
        }
        {
            let mut queue = self.lock();
            if queue.items.is_empty() {
                // The items of one turn are never merged.
                std::mem::swap(&mut queue.items, batch);
            } else {
                batch.drain(..).for_each(|item| self.add(&mut queue, item));
            }
        }
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner)
        {
            wake();
        }
    }

    /// Takes all items. `into` must be empty; its memory is used again.
    pub fn take(&self, into: &mut VecDeque<Item>) {
        // Allow the next wake before looking: a push in between wakes the reader once too often
        // instead of never.
        self.woken.store(false, Ordering::Release);
        self.lock().take(into);
    }

    /// Throws away what waits, except for log lines: JavaScript has closed the worker.
    pub(super) fn discard(&self) {
        let mut discarded = VecDeque::new();
        self.lock().take(&mut discarded);
        discarded.retain(|item| matches!(item, Item::Log(..)));
        self.push(&mut discarded);
    }

    /// Counts the events that were merged and the log lines that were dropped so far.
    pub fn counters(&self) -> OutboxCounters {
        OutboxCounters {
            events_merged: self.events_merged.load(Ordering::Relaxed),
            log_lines_dropped: self.log_lines_dropped.load(Ordering::Relaxed),
        }
    }

    /// Counts the delay of a message.
    pub fn count_delay(&self, delay: Duration) {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner).observe(delay);
    }

    /// The delays of messages, of which those with an [`Item::Sampled`] are measured.
    pub fn delays(&self) -> Delays {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts lines that were dropped before they reached the outbox.
    pub(super) fn count_dropped_lines(&self, count: usize) {
        self.log_lines_dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn add(&self, queue: &mut Queue, mut item: Item) {
        match &mut item {
            Item::Event(Event::Queued(..)) => queue.count_token(),
            Item::Event(event) => {
                if let Some(earlier) = event.topic().and_then(|topic| queue.supersedes(topic)) {
                    event.absorb(earlier);
                    self.events_merged.fetch_add(1, Ordering::Relaxed);
                }
            }
            Item::Log(_, text) => {
                queue.log_bytes += charge(text.len());
                if queue.log_bytes > MAX_LOG_BYTES {
                    self.count_dropped_lines(1);
                    return queue.miss_line();
                }
            }
            Item::Answer(..) | Item::Sampled(_) | Item::Died(_) | Item::Ended(_) => {}
        }
        queue.items.push_back(item);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while the lock was held leaves a valid queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Counts the next event, of this topic. Returns the earlier one that it supersedes, if any.
    fn supersedes(&mut self, topic: Topic) -> Option<&Event> {
        if self.stale.len() > MAX_STALE.max(self.items.len() / 2) {
            self.sweep();
        }
        let place = self.items.len();
        let waiting = self.waiting.entry(topic).or_default();
        let latest = std::mem::replace(&mut waiting.latest, place);
        if waiting.count < topic.kept() {
            waiting.count += 1;
            return None;
        }
        self.stale.push(latest);
        match self.items.get(latest) {
            Some(Item::Event(earlier)) => Some(earlier),
            _ => None,
        }
    }

    /// Counts the next item, a token. Once there are twice as many tokens as were live, the outdated ones are removed.
    fn count_token(&mut self) {
        self.tokens += 1;
        if self.tokens <= MAX_STALE + 2 * self.live_tokens {
            return;
        }
        // The tokens of the first turn have not been counted.
        self.live_tokens = 0;
        for (place, item) in self.items.iter().enumerate() {
            let Item::Event(Event::Queued(_, token)) = item else { continue };
            if token.is_live() {
                self.live_tokens += 1;
            } else {
                self.stale.push(place);
            }
        }
        self.tokens = self.live_tokens + 1;
        self.sweep();
    }

    fn miss_line(&mut self) {
        match &mut self.missing {
            Some((_, count)) => *count += 1,
            None => {
                self.missing = Some((self.items.len(), 1));
                self.items.push_back(Item::Log("warn", String::new()));
            }
        }
    }

    fn take(&mut self, into: &mut VecDeque<Item>) {
        self.sweep();
        if let Some((place, count)) = self.missing.take() {
            let text = format!("{count} log lines dropped: JavaScript was busy for too long");
            self.items[place] = Item::Log("warn", text);
        }
        self.waiting.clear();
        self.log_bytes = 0;
        (self.tokens, self.live_tokens) = (0, 0);
        std::mem::swap(&mut self.items, into);
    }

    /// Removes the superseded events.
    fn sweep(&mut self) {
        if self.stale.is_empty() {
            return;
        }
        let mut stale = std::mem::take(&mut self.stale);
        stale.sort_unstable();
        let (mut place, mut next) = (0, 0);
        self.items.retain(|_| {
            let superseded = stale.get(next) == Some(&place);
            next += usize::from(superseded);
            place += 1;
            !superseded
        });
        let moved = |place: &mut usize| *place -= stale.partition_point(|it| it < place);
        self.waiting.values_mut().for_each(|it| moved(&mut it.latest));
        if let Some((place, _)) = &mut self.missing {
            moved(place);
        }
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("items", &self.lock().items.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::proto::ice_lite::IceState;
    use crate::proto::message::{Amount, Message, Ppid};
    use crate::proto::overflow::{Overflow, QueuePolicy};
    use crate::runtime::clock;
    use crate::sfu::backlog::Backlog;
    use crate::sfu::contract::parameters::DropCount;
    use crate::sfu::direct_queue::Taken;
    use crate::sfu::event::{DataConsumerEvent, DataProducerEvent, TransportEvent};
    use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};

    fn low(consumer: u32, amount: usize) -> Item {
        let event = DataConsumerEvent::BufferedAmountLow(amount);
        Item::Event(Event::DataConsumer(DataConsumerKey(consumer), event))
    }

    fn ice(state: IceState) -> Item {
        Item::Event(Event::Transport(TransportKey(1), TransportEvent::IceState(state, None)))
    }

    fn answer(request: u32) -> Item {
        Item::Answer(request, Ok(String::new()))
    }

    /// An outbox with `items`, each pushed in a turn of its own before JavaScript takes any.
    fn busy(items: impl IntoIterator<Item = Item>) -> Outbox {
        let outbox = Outbox::new(|| ());
        for item in items {
            outbox.push(&mut VecDeque::from([item]));
        }
        outbox
    }

    fn taken(outbox: &Outbox) -> Vec<String> {
        let mut items = VecDeque::new();
        outbox.take(&mut items);
        let short = |item: &Item| match item {
            Item::Answer(request, _) => format!("answer {request}"),
            Item::Event(Event::DataConsumer(key, DataConsumerEvent::BufferedAmountLow(it))) => {
                format!("{} low {it}", key.0)
            }
            Item::Event(Event::Transport(_, TransportEvent::IceState(it, _))) => format!("{it:?}"),
            Item::Log(_, text) => text.clone(),
            other => format!("{other:?}"),
        };
        items.iter().map(short).collect()
    }

    #[test]
    fn an_item_is_no_larger_than_a_message_event_needs() {
        // Each message is moved as an item several times: 16 bytes more cost 10 % of the worker's time.
        assert!(size_of::<Item>() <= 48, "{}", size_of::<Item>());
    }

    #[test]
    fn events_without_a_history_are_merged_into_the_latest() {
        let outbox =
            busy([answer(1), low(7, 1), low(8, 1), answer(2), low(7, 2), answer(3), low(7, 3)]);
        let expected = ["answer 1", "8 low 1", "answer 2", "answer 3", "7 low 3"];
        assert_eq!(taken(&outbox), expected);
        assert_eq!(outbox.counters().events_merged, 2);
        // A take starts over.
        outbox.push(&mut VecDeque::from([answer(4), low(7, 4)]));
        assert_eq!(taken(&outbox), ["answer 4", "7 low 4"]);
    }

    #[test]
    fn a_state_that_keeps_changing_keeps_its_first_changes_and_the_latest() {
        let states = [IceState::Disconnected, IceState::Connected];
        let flapping = (0..100_001).map(|n| ice(states[n % 2]));
        let outbox = busy([answer(1)].into_iter().chain(flapping).chain([answer(2)]));
        assert!(outbox.lock().items.len() < 3 * MAX_STALE);
        let items = taken(&outbox);
        assert_eq!(items.len(), 10, "{items:?}");
        assert_eq!(items[1..4], ["Disconnected", "Connected", "Disconnected"]);
        assert_eq!(items[8..], ["Disconnected", "answer 2"]);
        assert_eq!(outbox.counters().events_merged, 100_001 - 8);
    }

    #[test]
    fn what_merged_events_have_counted_is_added_up() {
        let count = DropCount { messages: 1, bytes: 10 };
        let (consumer, producer, transport) =
            (DataConsumerKey(1), DataProducerKey(2), TransportKey(3));
        let events: [fn(_, _, _, _) -> Event; 3] = [
            |count, it, _, _| Event::DataConsumer(it, DataConsumerEvent::Overflow(count)),
            |count, _, it, _| Event::DataProducer(it, DataProducerEvent::Limit(count)),
            |count, _, _, it| Event::Transport(it, TransportEvent::Limit(count)),
        ];
        for event in events {
            let outbox =
                busy((0..100).map(|_| Item::Event(event(count, consumer, producer, transport))));
            let mut items = VecDeque::new();
            outbox.take(&mut items);
            let mut sum = DropCount::default();
            for item in &items {
                let (Item::Event(Event::DataConsumer(_, DataConsumerEvent::Overflow(it)))
                | Item::Event(Event::DataProducer(_, DataProducerEvent::Limit(it)))
                | Item::Event(Event::Transport(_, TransportEvent::Limit(it)))) = item
                else {
                    panic!("{item:?}");
                };
                sum.messages += it.messages;
                sum.bytes += it.bytes;
            }
            assert_eq!((items.len(), sum), (9, DropCount { messages: 100, bytes: 1000 }));
        }
    }

    #[test]
    fn tokens_of_messages_that_are_gone_are_removed_those_of_the_first_turn_as_well() {
        const FIRST: usize = 3 * MAX_STALE;
        let backlog = Arc::new(Backlog::new(1000));
        let policy = QueuePolicy { overflow: Overflow::KeepLatest, ..QueuePolicy::default() };
        backlog.use_queue().set_policy(policy);
        let token = || {
            let message = Message::new(Ppid::BINARY, vec![0; 10].into());
            let token = backlog.push(clock::now(), message).expect("it takes the place");
            Item::Event(Event::Queued(DataConsumerKey(1), token))
        };
        let outbox = Outbox::new(|| ());
        outbox.push(&mut (0..FIRST).map(|_| token()).collect());
        for _ in 0..10 * MAX_STALE {
            outbox.push(&mut VecDeque::from([token()]));
            assert!(outbox.lock().items.len() <= FIRST + MAX_STALE + 1);
        }
        assert!(outbox.lock().items.len() <= MAX_STALE + 3, "{}", outbox.lock().items.len());
        let mut items = VecDeque::new();
        outbox.take(&mut items);
        let live = |item: &&Item| matches!(item, Item::Event(Event::Queued(_, it)) if it.is_live());
        assert_eq!(items.iter().filter(live).count(), 1);
    }

    /// The JavaScript side of a DataConsumer with a queue: gets numbered messages in order, each at most once.
    #[derive(Default)]
    struct JsConsumer {
        items: VecDeque<Item>,
        got: Vec<u32>,
        /// Messages that came after the listener was removed.
        discarded: u64,
    }

    impl JsConsumer {
        fn note(&mut self, message: &Message) {
            let number = message.payload.first_chunk().map(|it| u32::from_be_bytes(*it));
            self.got.extend(number);
        }

        fn pull(&mut self, backlog: &Backlog, now: Instant) {
            while let Some((message, _)) = backlog.pull(now) {
                self.note(&message);
            }
        }

        /// Handles some of what it has taken.
        fn read(&mut self, backlog: &Backlog, now: Instant, count: usize) {
            for _ in 0..count {
                let Some(item) = self.items.pop_front() else { return };
                let Item::Event(Event::Queued(_, token)) = item else { continue };
                match token.take(now) {
                    Taken::Message(message, _) => {
                        self.note(&message);
                        backlog.leave(message.amount());
                    }
                    Taken::Ready => self.pull(backlog, now),
                    Taken::Nothing => {}
                }
            }
        }
    }

    #[test]
    fn random_programs_lose_no_message_and_take_none_twice() {
        let policies = [Overflow::DropNewest, Overflow::DropOldest, Overflow::KeepLatest];
        for seed in 0..40 {
            let mut random = StdRng::seed_from_u64(seed);
            let (outbox, mut reader) = (Outbox::new(|| ()), JsConsumer::default());
            let backlog = Arc::new(Backlog::new(random.random_range(100..5000)));
            let mut policy = QueuePolicy::default();
            let (mut now, mut pulls) = (clock::now(), false);
            let (mut number, mut refused) = (0u32, 0);
            for _ in 0..600 {
                now += Duration::from_millis(random.random_range(0..5));
                match random.random_range(0..12) {
                    0 => {
                        policy.overflow = policies[random.random_range(0..3)];
                        backlog.use_queue().set_policy(policy);
                    }
                    1 => {
                        policy.max_delay =
                            random.random_bool(0.5).then_some(Duration::from_millis(20));
                        backlog.use_queue().set_policy(policy);
                    }
                    2 => {
                        pulls = !pulls;
                        if pulls {
                            backlog.use_queue().begin_pulls();
                        } else {
                            let before = backlog.use_queue().tally().waiting.messages;
                            backlog.end_pulls();
                            let after = backlog.use_queue().tally().waiting.messages;
                            reader.discarded += before - after;
                        }
                    }
                    3 if pulls => reader.pull(&backlog, now),
                    4 | 5 => reader.read(&backlog, now, random.random_range(0..20)),
                    6 if reader.items.is_empty() => outbox.take(&mut reader.items),
                    7 => outbox.push(&mut VecDeque::from([low(1, 1)])),
                    _ => {
                        let mut batch = VecDeque::new();
                        for _ in 0..random.random_range(1..200) {
                            number += 1;
                            let payload = number.to_be_bytes().to_vec().into();
                            let message = Message::new(Ppid::BINARY, payload);
                            match backlog.push(now, message) {
                                Some(token) => batch.push_back(Item::Event(Event::Queued(
                                    DataConsumerKey(1),
                                    token,
                                ))),
                                None => refused += 1,
                            }
                        }
                        outbox.push(&mut batch);
                    }
                }
            }
            while !reader.items.is_empty() || !outbox.lock().items.is_empty() {
                reader.read(&backlog, now, usize::MAX);
                outbox.take(&mut reader.items);
            }
            if pulls {
                reader.pull(&backlog, now);
            }
            assert!(reader.got.is_sorted_by(|a, b| a < b), "{:?}", reader.got);
            let tally = backlog.use_queue().tally();
            let dropped = tally.replaced.messages + tally.stale.messages + reader.discarded;
            assert_eq!(u64::from(number), refused + dropped + reader.got.len() as u64, "{seed}");
            assert_eq!(backlog.amount(), Amount::default(), "{seed}");
        }
    }

    #[test]
    fn log_lines_over_the_bound_are_counted_in_one_line() {
        let line = |n| Item::Log("warn", format!("{n:0>1000}"));
        let outbox = busy([answer(1)].into_iter().chain((0..1000).map(line)).chain([answer(2)]));
        let items = taken(&outbox);
        let kept = MAX_LOG_BYTES / charge(1000);
        assert_eq!(items.len(), kept + 3);
        let expected = format!("{} log lines dropped", 1000 - kept);
        assert!(items[kept + 1].starts_with(&expected), "{}", items[kept + 1]);
        assert_eq!(items[kept + 2], "answer 2");
        assert_eq!(outbox.counters().log_lines_dropped, 1000 - kept as u64);
    }
}
