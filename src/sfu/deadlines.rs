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
    /// When each transport really wants to be called, and the earliest entry it has in the heap.
    wanted: FxHashMap<TransportKey, Wanted>,
}

#[derive(Debug)]
struct Wanted {
    at: Option<Instant>,
    queued: Option<Instant>,
}

impl Deadlines {
    /// Sets, moves or (with `None`) removes a transport's deadline.
    pub(super) fn set(&mut self, key: TransportKey, at: Option<Instant>) {
        let wanted = self.wanted.entry(key).or_insert(Wanted { at: None, queued: None });
        wanted.at = at;
        if let Some(at) = at
            && wanted.queued.is_none_or(|queued| at < queued)
        {
            wanted.queued = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// The transport is gone.
    pub(super) fn remove(&mut self, key: TransportKey) {
        self.wanted.remove(&key);
    }

    /// When to call [`Self::expired`] next. May be too early, never too late.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one transport whose deadline has come.
    pub(super) fn expired(&mut self, now: Instant) -> Option<TransportKey> {
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((entry, key))) = self.heap.pop() else { break };
            let Some(wanted) = self.wanted.get_mut(&key) else { continue };
            if wanted.queued != Some(entry) {
                continue; // An earlier entry was pushed since; this one is a leftover.
            }
            wanted.queued = None;
            match wanted.at {
                Some(at) if at <= now => {
                    wanted.at = None;
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
    fn a_removed_transport_has_no_deadline() {
        let start = origin();
        let mut deadlines = Deadlines::default();
        deadlines.set(TransportKey(1), Some(start));
        deadlines.remove(TransportKey(1));
        assert_eq!(deadlines.expired(start), None);
    }
}
