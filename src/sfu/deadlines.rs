//! The deadlines of all transports in one lazy heap.
//!
//! A deadline that moves later costs nothing: its old entry is looked at when it comes up, and then
//! put back. Most timers are restarted long before they fire.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::id::TransportKey;

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, TransportKey)>>,
    transports: FxHashMap<TransportKey, Entries>,
}

/// The deadline of one transport, and its entries in the heap.
#[derive(Debug, Default)]
struct Entries {
    /// The transport's deadline, if it has one.
    wanted: Option<Instant>,
    /// The transport's entries in the heap, latest first. A later entry stays there while an earlier one is
    /// served, and is used again, so alternating between two timers adds no entry.
    queued: Vec<Instant>,
}

impl Deadlines {
    /// Sets, moves or (with `None`) removes a transport's deadline.
    pub(super) fn set(&mut self, key: TransportKey, at: Option<Instant>) {
        let entries = match at {
            Some(_) => self.transports.entry(key).or_default(),
            None => match self.transports.get_mut(&key) {
                Some(entries) => entries,
                None => return,
            },
        };
        entries.wanted = at;
        if let Some(at) = at
            && entries.queued.last().is_none_or(|earliest| at < *earliest)
        {
            entries.queued.push(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// Forgets the deadline of a transport that has closed.
    pub(super) fn remove(&mut self, key: TransportKey) {
        self.transports.remove(&key);
        if self.transports.is_empty() {
            self.heap.clear();
        }
    }

    /// When to call [`Self::expired`] next. May be too early, never too late.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one transport whose deadline has come.
    pub(super) fn expired(&mut self, now: Instant) -> Option<TransportKey> {
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((entry, key))) = self.heap.pop() else { break };
            // The entries of a transport that has closed stay in the heap until they come up.
            let Some(entries) = self.transports.get_mut(&key) else { continue };
            debug_assert_eq!(entries.queued.last(), Some(&entry), "each has its entry in the heap");
            entries.queued.pop();
            match entries.wanted {
                Some(at) if at <= now => {
                    entries.wanted = None;
                    return Some(key);
                }
                at => self.set(key, at),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_deadline_fires_once_at_its_latest_setting() {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let (a, b) = (TransportKey(1), TransportKey(2));
        let mut deadlines = Deadlines::default();
        deadlines.set(a, Some(at(10)));
        deadlines.set(b, Some(at(30)));
        deadlines.set(a, Some(at(50)));
        assert_eq!(deadlines.expired(at(20)), None);
        assert_eq!(deadlines.expired(at(30)), Some(b));
        assert_eq!(deadlines.expired(at(49)), None);
        deadlines.set(a, Some(at(40)));
        assert_eq!(deadlines.next(), Some(at(40)));
        assert_eq!(deadlines.expired(at(50)), Some(a));
        assert_eq!(deadlines.expired(at(60)), None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_deadline_that_alternates_adds_no_entries() {
        let start = origin();
        let at = |ms| start + Duration::from_millis(ms);
        let key = TransportKey(1);
        let mut deadlines = Deadlines::default();
        for round in 0..100 {
            deadlines.set(key, Some(at(30_000 + round)));
            deadlines.set(key, Some(at(10 * round)));
            assert_eq!(deadlines.expired(at(10 * round)), Some(key));
        }
        assert_eq!(deadlines.heap.len(), 1);
    }

    #[test]
    fn a_removed_transport_has_no_deadline() {
        let start = origin();
        let mut deadlines = Deadlines::default();
        deadlines.set(TransportKey(1), Some(start));
        deadlines.set(TransportKey(2), Some(start));
        deadlines.remove(TransportKey(1));
        assert_eq!(deadlines.expired(start), Some(TransportKey(2)));
        assert_eq!(deadlines.expired(start), None);
        deadlines.set(TransportKey(2), Some(start));
        deadlines.remove(TransportKey(2));
        assert_eq!(deadlines.next(), None, "not even one that is not needed");
    }
}
