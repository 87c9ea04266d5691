//! Which messages have to be acknowledged for `drained()`, or before the id of a closed stream is free. A fence stands
//! behind everything that its stream has sent so far.
//!
//! ```text
//! Queued ─ its messages have left the queue ─► Written ─ all that was written has a TSN ─► Sent
//!                                                   Sent ─ the peer has acknowledged that TSN ─► passed
//! ```
//!
//! Messages that are dropped, expire or are abandoned pass in the same way. A fence waits for all messages of its
//! stream that were queued at its own instant, and once these have left the queue, also for the few that other streams
//! have written.

use std::collections::VecDeque;
use std::time::Instant;

use super::engine::Engine;
use super::event::SctpEvent;
use super::queue::SendQueues;
use super::wire::before;
use crate::proto::message::StreamId;

/// Identifies a fence: its stream, and a number that the caller has chosen, or `None` for the fence behind the end of
/// the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) stream: StreamId,
    pub(super) fence: Option<u32>,
}

/// The fences of one association that have not been passed.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// Each with the time at which it was set.
    queued: Vec<(Name, Instant)>,
    /// Each with how many messages had been written.
    written: VecDeque<(Name, u64)>,
    sent: VecDeque<(Name, u32)>,
}

impl Fences {
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.written.is_empty() && self.sent.is_empty()
    }

    /// Sets a fence behind the messages of `stream`.
    pub(super) fn add(&mut self, now: Instant, stream: StreamId, fence: u32) {
        self.queued.push((Name { stream, fence: Some(fence) }, now));
    }

    /// Sets a fence behind the end of `stream`, which is the last message that `engine` has taken.
    pub(super) fn add_end(&mut self, stream: StreamId, engine: &Engine) {
        self.written.push_back((Name { stream, fence: None }, engine.written()));
    }

    /// Moves the fences as far as they get, and reports those that are passed.
    pub(super) fn advance(
        &mut self,
        queues: &SendQueues,
        engine: Option<&Engine>,
        mut passed: impl FnMut(Name),
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
        while let Some(&(name, tsn)) = self.sent.front() {
            if engine.is_some_and(|it| before(it.acknowledged(), tsn)) {
                break;
            }
            passed(name);
            self.sent.pop_front();
        }
    }

    /// Removes the fences of `stream`, which is closed and may be opened again. The fence behind its end stays.
    pub(super) fn remove(&mut self, stream: StreamId) {
        let stays = |name: &Name| name.stream != stream || name.fence.is_none();
        self.queued.retain(|(name, _)| stays(name));
        self.written.retain(|(name, _)| stays(name));
        self.sent.retain(|(name, _)| stays(name));
    }

    /// Reports all fences as passed: the association has ended, and what was behind them is counted.
    pub(super) fn clear(&mut self, passed: impl FnMut(SctpEvent)) {
        let queued = self.queued.drain(..).map(|(name, _)| name);
        let written = self.written.drain(..).map(|(name, _)| name);
        let sent = self.sent.drain(..).map(|(name, _)| name);
        let names = sent.chain(written).chain(queued);
        let passed_events = names.filter_map(|Name { stream, fence }| {
            Some(SctpEvent::FencePassed { stream, fence: fence? })
        });
        passed_events.for_each(passed);
    }
}
