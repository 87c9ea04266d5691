//! `drained()`: when everything that was sent before the call has left.
//!
//! ```text
//! begin_drain ─► gates: messages that wait to be routed ─► a fence at each DataConsumer ─► Event::Drained
//! ```
//!
//! A gate stands behind messages that a source or a peer has sent and that are not routed yet, or that a DataProducer
//! holds. A fence stands behind the messages of one DataConsumer. Messages on their way to JavaScript need no fence,
//! because the answer follows them; only those that JavaScript has to pull, or that are held, need one.

use rustc_hash::FxHashSet;

use super::Sfu;
use super::direct_queue::DirectQueue;
use super::drain_state::{Drain, DrainScope};
use super::error::{Error, Result};
use super::event::Event;
use super::id::{DataConsumerKey, DataProducerKey};
use super::source::Source;
use super::work;

impl Sfu {
    /// Waits until everything sent before has left, then emits [`Event::Drained`]. One gate is the caller's: the caller
    /// adds a gate for each of the returned sources that has waiting messages, and then passes its own.
    pub fn begin_drain(&mut self, request: u32, scope: DrainScope) -> Result<Vec<Source>> {
        self.check_scope(scope)?;
        let (waits_for, replays) = Default::default();
        self.drains.open.insert(request, Drain { scope, gates: 1, waits_for, replays });
        let mut sources = FxHashSet::default();
        for key in self.producers_in(scope) {
            self.work += work::SKIPPED;
            // A DataProducer behind a tunnel has messages of its own that wait, while it is blocked.
            sources.extend(self.source_of(key).into_iter().chain([Source::DataProducer(key)]));
            let Some(producer) = self.data_producers.get_mut(&key) else { continue };
            if producer.held.as_mut().is_some_and(|it| it.fence(request)) {
                self.add_drain_gate(request);
            }
            let Some(producer) = self.data_producers.get(&key) else { continue };
            if let Some(stream) = producer.stream_id()
                && let Some(transport) = self.transports.get_mut(&producer.transport)
                && !transport.has_tunnel()
                && let Some(sctp) = transport.sctp_mut()
                && sctp.fence_arrivals(stream, request)
            {
                self.add_drain_gate(request);
            }
        }
        // Replays of other DataConsumers are not waited for.
        for key in self.consumers_in(scope) {
            self.work += work::SKIPPED;
            if self.data_consumers.get(&key).is_some_and(|it| it.replays) {
                self.add_replay_gate(request, key);
            }
        }
        Ok(sources.into_iter().collect())
    }

    fn add_replay_gate(&mut self, request: u32, consumer: DataConsumerKey) {
        let Some(drain) = self.drains.open.get_mut(&request) else { return };
        drain.gates += 1;
        drain.replays.push(consumer);
        self.drains.of_replays.entry(consumer).or_default().push(request);
    }

    /// Passes the gates behind the replay of a DataConsumer, which has caught up or has closed.
    pub(super) fn end_replay_drains(&mut self, consumer: DataConsumerKey) {
        for request in self.drains.of_replays.remove(&consumer).into_iter().flatten() {
            self.pass_drain_gate(request);
        }
    }

    /// Adds a gate: the request waits until [`Self::pass_drain_gate`] has been called once more.
    pub fn add_drain_gate(&mut self, request: u32) {
        if let Some(drain) = self.drains.open.get_mut(&request) {
            drain.gates += 1;
        }
    }

    /// Notes that the messages before one gate of the request have been routed.
    pub fn pass_drain_gate(&mut self, request: u32) {
        let Some(drain) = self.drains.open.get_mut(&request) else { return };
        drain.gates = drain.gates.saturating_sub(1);
        if drain.gates > 0 {
            return;
        }
        let scope = drain.scope;
        let mut waits_for = FxHashSet::default();
        for key in self.consumers_in(scope) {
            self.work += work::SKIPPED;
            if self.fence(key, request) && waits_for.insert(key) {
                self.drains.of_consumers.entry(key).or_default().push(request);
            }
        }
        if let Some(drain) = self.drains.open.get_mut(&request) {
            drain.waits_for = waits_for;
        }
        self.check_drain_of(request);
    }

    /// Forgets the request, and answers it.
    pub fn cancel_drain(&mut self, request: u32) {
        if let Some(drain) = self.drains.open.remove(&request) {
            for key in drain.replays {
                self.drains.forget_replay(key, request);
            }
            for key in drain.waits_for {
                self.drains.forget(key, request);
                if let Some(queue) = self.direct_queue(key) {
                    queue.remove_fence(request);
                }
            }
            self.events.push_back(Event::Drained(request, Ok(())));
        }
    }

    /// Notes that what the DataConsumer had to send when the request came has left.
    pub(super) fn pass_drain_fence(&mut self, request: u32, consumer: DataConsumerKey) {
        if let Some(drain) = self.drains.open.get_mut(&request)
            && drain.waits_for.remove(&consumer)
        {
            self.drains.forget(consumer, request);
            self.check_drain_of(request);
        }
    }

    /// Checks whether the messages of direct DataConsumers that requests wait for are gone: pulled, released by
    /// `resume()`, or dropped by the policy.
    #[inline(never)] // So that a turn without work need not save registers.
    pub fn check_direct_drains(&mut self) {
        for key in self.drains.direct.iter().copied().collect::<Vec<_>>() {
            while let Some(consumer) = self.data_consumers.get(&key)
                && let Some(queue) = self.direct_queue(key)
                && let Some(request) = queue.take_passed(consumer.first_held())
            {
                self.pass_drain_fence(request, key);
            }
            if !self.drains.of_consumers.contains_key(&key) {
                self.drains.direct.remove(&key);
            }
        }
    }

    fn direct_queue(&self, key: DataConsumerKey) -> Option<&DirectQueue> {
        self.data_consumers.get(&key)?.direct_backlog()?.queue()
    }

    /// Ends the wait of all requests for a DataConsumer that has closed: its messages are discarded and counted.
    pub(super) fn end_drains_of(&mut self, consumer: DataConsumerKey) {
        for request in self.drains.of_consumers.remove(&consumer).into_iter().flatten() {
            if let Some(drain) = self.drains.open.get_mut(&request) {
                drain.waits_for.remove(&consumer);
                self.check_drain_of(request);
            }
        }
    }

    fn check_drain_of(&mut self, request: u32) {
        if let Some(drain) = self.drains.open.get(&request).filter(|it| it.waits_for.is_empty()) {
            let result = self.check_scope(drain.scope).map_err(Box::new);
            self.drains.open.remove(&request);
            self.events.push_back(Event::Drained(request, result));
        }
    }

    fn check_scope(&self, scope: DrainScope) -> Result<()> {
        let closed: Option<Error> = match scope {
            DrainScope::Worker => None,
            DrainScope::Transport(key) => (!self.transports.contains_key(&key)).then(|| key.into()),
            DrainScope::DataProducer(key) => {
                (!self.data_producers.contains_key(&key)).then(|| key.into())
            }
            DrainScope::DataConsumer(key) => {
                (!self.data_consumers.contains_key(&key)).then(|| key.into())
            }
        };
        closed.map_or(Ok(()), Err)
    }

    /// Makes the request wait for the messages that a DataConsumer has. Returns false if there are none.
    fn fence(&mut self, key: DataConsumerKey, request: u32) -> bool {
        let Some(consumer) = self.data_consumers.get(&key) else { return false };
        let Some(stream) = consumer.stream_id() else {
            let is_held = consumer.first_held().is_some();
            let waits = self.direct_queue(key).is_some_and(|it| it.fence(request, is_held));
            if waits {
                self.drains.direct.insert(key);
            }
            return waits;
        };
        let (transport, now) = (consumer.transport, self.now);
        let waits =
            self.transports.get_mut(&transport).is_some_and(|it| it.fence(now, stream, request));
        if waits {
            self.touch(transport);
        }
        waits
    }

    /// The DataProducers whose messages may be on their way to the DataConsumers of the scope, each once.
    fn producers_in(&self, scope: DrainScope) -> Vec<DataProducerKey> {
        match scope {
            DrainScope::Worker => self.data_producers.keys().copied().collect(),
            DrainScope::Transport(key) => {
                let Some(transport) = self.transports.get(&key) else { return Vec::new() };
                let consumers = transport.data_consumers.iter();
                let theirs = consumers.filter_map(|it| self.data_consumers.get(&it));
                let theirs = theirs.map(|it| it.producer);
                sorted(transport.data_producers.iter().chain(theirs).collect())
            }
            DrainScope::DataProducer(key) => vec![key],
            DrainScope::DataConsumer(key) => {
                self.data_consumers.get(&key).map(|it| it.producer).into_iter().collect()
            }
        }
    }

    /// The DataConsumers of the scope, each once.
    fn consumers_in(&self, scope: DrainScope) -> Vec<DataConsumerKey> {
        let of_producer = |key: DataProducerKey| {
            self.data_producers.get(&key).into_iter().flat_map(|it| it.consumers.iter())
        };
        match scope {
            DrainScope::Worker => self.data_consumers.keys().copied().collect(),
            DrainScope::Transport(key) => {
                let Some(transport) = self.transports.get(&key) else { return Vec::new() };
                let of_producers = transport.data_producers.iter().flat_map(of_producer);
                sorted(transport.data_consumers.iter().chain(of_producers).collect())
            }
            DrainScope::DataProducer(key) => of_producer(key).collect(),
            DrainScope::DataConsumer(key) => vec![key],
        }
    }
}

/// Sorts the keys, and leaves each once.
fn sorted<K: Ord>(mut keys: Vec<K>) -> Vec<K> {
    keys.sort_unstable();
    keys.dedup();
    keys
}
