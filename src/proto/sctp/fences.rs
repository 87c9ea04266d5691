//! Which messages have to be acknowledged for `drained()`: a fence stands behind all that its stream has sent so far.
//!
//! ```text
//! Queued ─ its messages have left the queue ─► Written ─ all that was written has a TSN ─► Sent
//!                                                   Sent ─ the peer has acknowledged that TSN ─► passed
//! ```
//!
//! Messages that are dropped, expired or abandoned leave in the same way. Of the messages that were queued at the same time a
//! fence waits for all, and behind the queue also for what other streams have written, which is little.

use std::collections::VecDeque;
use std::time::Instant;

use super::engine::Engine;
use super::event::SctpEvent;
use super::queue::SendQueues;
use super::wire::before;
use crate::proto::message::StreamId;

/// What names a fence: its stream, and a number that the caller has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    stream: StreamId,
    fence: u32,
}

/// The fences of one association that have not been passed.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// Each with the time at which it was put up.
    queued: Vec<(Name, Instant)>,
    /// Each with how many messages had been written.
    written: VecDeque<(Name, u64)>,
    sent: VecDeque<(Name, u32)>,
}

impl Fences {
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.written.is_empty() && self.sent.is_empty()
    }

    /// Puts up a fence behind the messages of `stream`.
    pub(super) fn add(&mut self, now: Instant, stream: StreamId, fence: u32) {
        self.queued.push((Name { stream, fence }, now));
    }

    /// Moves the fences as far as they get, and reports those that are passed.
    pub(super) fn advance(
        &mut self,
        queues: &SendQueues,
        engine: Option<&Engine>,
        events: &mut VecDeque<SctpEvent>,
    ) {
        let written = engine.map(Engine::written).unwrap_or_default();
        self.queued.retain(|(name, time)| {
            let waits = queues.has_older(name.stream, *time);
            if !waits {
                self.written.push_back((*name, written));
            }
            waits
        });
        while let Some((name, written)) = self.written.front() {
            if engine.is_some_and(|it| !it.has_cut(*written)) {
                break;
            }
            self.sent.push_back((*name, engine.map_or(0, Engine::last_cut)));
            self.written.pop_front();
        }
        while let Some(&(Name { stream, fence }, tsn)) = self.sent.front() {
            if engine.is_some_and(|it| before(it.acknowledged(), tsn)) {
                break;
            }
            events.push_back(SctpEvent::FencePassed { stream, fence });
            self.sent.pop_front();
        }
    }

    /// Takes the fences of `stream` down: it is closed, and may be opened again.
    pub(super) fn remove(&mut self, stream: StreamId) {
        self.queued.retain(|(name, _)| name.stream != stream);
        self.written.retain(|(name, _)| name.stream != stream);
        self.sent.retain(|(name, _)| name.stream != stream);
    }

    /// Reports all fences as passed: the association has ended, and what was behind them is counted.
    pub(super) fn clear(&mut self, events: &mut VecDeque<SctpEvent>) {
        let queued = self.queued.drain(..).map(|(name, _)| name);
        let written = self.written.drain(..).map(|(name, _)| name);
        let sent = self.sent.drain(..).map(|(name, _)| name);
        let names = sent.chain(written).chain(queued);
        events.extend(names.map(|Name { stream, fence }| SctpEvent::FencePassed { stream, fence }));
    }
}
