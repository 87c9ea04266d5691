//! What a worker tells JavaScript: answers, events and messages in one queue, in the order in which
//! they happened.
//!
//! JavaScript may be busy for long, and a peer must not make the queue grow meanwhile. So each kind of
//! item has a bound: messages that of their DataConsumer's backlog, answers the number of requests,
//! lines of the log [`MAX_LOG_BYTES`], and of the events of one [`Topic`] a few are kept, the latest among them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::proto::message::charge;
use crate::sfu::dump::OutboxCounters;
use crate::sfu::error::Error;
use crate::sfu::event::{Event, Topic};

/// What waiting lines of the log may take, each charged its text plus 64 bytes.
const MAX_LOG_BYTES: usize = 256 * 1024;

/// So many events that later ones have made needless are kept at most, if there are not as many others.
const MAX_STALE: usize = 1024;

/// One thing to tell.
#[derive(Debug)]
pub enum Item {
    /// The answer to a request: JSON, or why it was refused.
    Answer(u32, Result<String, Error>),
    /// Something happened to an entity.
    Event(Event),
    /// A line for the log: its level and its text.
    Log(&'static str, String),
    /// The thread panicked with this message, and is gone.
    Died(String),
    /// The thread has ended. Nothing comes after this.
    Ended,
}

/// A queue that is filled by one thread and emptied by another, which is woken when the queue was
/// empty.
pub struct Outbox {
    queue: Mutex<Queue>,
    /// The reader has been woken and has not come yet.
    woken: AtomicBool,
    wake: Mutex<Option<Box<dyn Fn() + Send>>>,
    events_merged: AtomicU64,
    log_lines_dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Where the events are that later ones have made needless.
    stale: Vec<usize>,
    /// The events of which there may come too many.
    waiting: FxHashMap<Topic, Waiting>,
    log_bytes: usize,
    /// Where it is to be said that lines are missing, and how many.
    missing: Option<(usize, u64)>,
}

#[derive(Default)]
struct Waiting {
    count: usize,
    /// Where the latest one is.
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
        }
    }

    /// Nobody is to be woken any more: drops `wake`.
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
                // One turn's: that much is always kept.
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

    /// Takes all that is there; `into` must be empty, its memory is used again.
    pub fn take(&self, into: &mut VecDeque<Item>) {
        // First allow the next wake, then look: what is pushed in between wakes once too often
        // rather than never.
        self.woken.store(false, Ordering::Release);
        self.lock().take(into);
    }

    /// What JavaScript was not told, so far.
    pub fn counters(&self) -> OutboxCounters {
        OutboxCounters {
            events_merged: self.events_merged.load(Ordering::Relaxed),
            log_lines_dropped: self.log_lines_dropped.load(Ordering::Relaxed),
        }
    }

    /// Counts lines that were not even written.
    pub(super) fn count_dropped_lines(&self, count: usize) {
        self.log_lines_dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn add(&self, queue: &mut Queue, item: Item) {
        match &item {
            Item::Event(event) => {
                if event.topic().is_some_and(|topic| queue.replaces(topic)) {
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
            Item::Answer(..) | Item::Died(_) | Item::Ended => {}
        }
        queue.items.push_back(item);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while it was held leaves a valid queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// An event of this topic comes next: whether it makes an earlier one needless.
    fn replaces(&mut self, topic: Topic) -> bool {
        if self.stale.len() > MAX_STALE.max(self.items.len() / 2) {
            self.sweep();
        }
        let place = self.items.len();
        let waiting = self.waiting.entry(topic).or_default();
        let full = waiting.count == topic.kept();
        if full {
            self.stale.push(waiting.latest);
        } else {
            waiting.count += 1;
        }
        waiting.latest = place;
        full
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
            let text = format!("{count} log lines were left out: JavaScript was busy for too long");
            self.items[place] = Item::Log("warn", text);
        }
        self.waiting.clear();
        self.log_bytes = 0;
        std::mem::swap(&mut self.items, into);
    }

    /// Removes what is stale.
    fn sweep(&mut self) {
        if self.stale.is_empty() {
            return;
        }
        let mut stale = std::mem::take(&mut self.stale);
        stale.sort_unstable();
        let (mut place, mut next) = (0, 0);
        self.items.retain(|_| {
            let needless = stale.get(next) == Some(&place);
            next += usize::from(needless);
            place += 1;
            !needless
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
    use super::*;
    use crate::proto::ice_lite::IceState;
    use crate::sfu::event::{DataConsumerEvent, TransportEvent};
    use crate::sfu::id::{DataConsumerKey, TransportKey};

    fn low(consumer: u32, amount: usize) -> Item {
        let event = DataConsumerEvent::BufferedAmountLow(amount);
        Item::Event(Event::DataConsumer(DataConsumerKey(consumer), event))
    }

    fn ice(state: IceState) -> Item {
        Item::Event(Event::Transport(TransportKey(1), TransportEvent::IceState(state)))
    }

    fn answer(request: u32) -> Item {
        Item::Answer(request, Ok(String::new()))
    }

    /// One that JavaScript does not look at while `items` come, each in a turn of its own.
    fn busy(items: impl IntoIterator<Item = Item>) -> Outbox {
        let outbox = Outbox::new(|| ());
        for item in items {
            outbox.push(&mut VecDeque::from([item]));
        }
        outbox
    }

    fn told(outbox: &Outbox) -> Vec<String> {
        let mut items = VecDeque::new();
        outbox.take(&mut items);
        let short = |item: &Item| match item {
            Item::Answer(request, _) => format!("answer {request}"),
            Item::Event(Event::DataConsumer(key, DataConsumerEvent::BufferedAmountLow(it))) => {
                format!("{} low {it}", key.0)
            }
            Item::Event(Event::Transport(_, TransportEvent::IceState(it))) => format!("{it:?}"),
            Item::Log(_, text) => text.clone(),
            other => format!("{other:?}"),
        };
        items.iter().map(short).collect()
    }

    #[test]
    fn of_what_has_no_history_the_last_is_told_in_its_place() {
        let outbox =
            busy([answer(1), low(7, 1), low(8, 1), answer(2), low(7, 2), answer(3), low(7, 3)]);
        let expected = ["answer 1", "8 low 1", "answer 2", "answer 3", "7 low 3"];
        assert_eq!(told(&outbox), expected);
        assert_eq!(outbox.counters().events_merged, 2);
        // What comes after that is not less welcome.
        outbox.push(&mut VecDeque::from([answer(4), low(7, 4)]));
        assert_eq!(told(&outbox), ["answer 4", "7 low 4"]);
    }

    #[test]
    fn a_state_that_changes_on_and_on_is_told_from_its_beginning_and_with_its_end() {
        let states = [IceState::Disconnected, IceState::Connected];
        let flapping = (0..100_001).map(|n| ice(states[n % 2]));
        let outbox = busy([answer(1)].into_iter().chain(flapping).chain([answer(2)]));
        assert!(outbox.lock().items.len() < 3 * MAX_STALE);
        let told = told(&outbox);
        assert_eq!(told.len(), 10, "{told:?}");
        assert_eq!(told[1..4], ["Disconnected", "Connected", "Disconnected"]);
        assert_eq!(told[8..], ["Disconnected", "answer 2"]);
        assert_eq!(outbox.counters().events_merged, 100_001 - 8);
    }

    #[test]
    fn too_many_lines_of_the_log_are_counted_in_one() {
        let line = |n| Item::Log("warn", format!("{n:0>1000}"));
        let outbox = busy([answer(1)].into_iter().chain((0..1000).map(line)).chain([answer(2)]));
        let told = told(&outbox);
        let kept = MAX_LOG_BYTES / charge(1000);
        assert_eq!(told.len(), kept + 3);
        let expected = format!("{} log lines were left out", 1000 - kept);
        assert!(told[kept + 1].starts_with(&expected), "{}", told[kept + 1]);
        assert_eq!(told[kept + 2], "answer 2");
        assert_eq!(outbox.counters().log_lines_dropped, 1000 - kept as u64);
    }
}
