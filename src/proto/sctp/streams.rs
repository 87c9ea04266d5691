//! The states of stream ids: channels opened in band, resets, and ids that rest after the end of their stream.
//!
//! A data channel closes by a reset of both directions (RFC 8831 §6.7); its id is free again after
//! both are complete:
//!
//! ```text
//! we reset ────┐
//!              ├─► Resetting ─ both directions reset ─► Quarantine ─ 3 s ─► free
//! peer resets ─┘        └─ denied, or never answered: out of use for good
//! ```
//!
//! A stream of a pipe ends by a last message instead. Its id rests for the same time, once the peer has acknowledged
//! everything on it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::proto::message::{Reliability, StreamId};

/// How long an id stays out of use after its reset: the peer may be about to reset it once more.
/// (sctp-proto answers every reset with one of its own, so two of our associations exchange three.) A
/// lost RE-CONFIG is repeated after an RTO of 1 s, and after 2 s more if it is lost twice.
const QUARANTINE: Duration = Duration::from_secs(3);

/// How many streams that end before the association is established are kept, so that the peer learns of it.
const MAX_EARLY_ENDS: usize = 1024;

#[derive(Debug, Clone, Copy)]
enum Closing {
    Resetting,
    Quarantine(Instant),
}

/// The streams of an association that are not simply open or free.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Streams that are reset in both directions and unused since. They need no further reset: a peer
    /// that has nothing to reset itself would not answer with its own, and the stream would be out of
    /// use for good.
    over: FxHashSet<StreamId>,
    closing: FxHashMap<StreamId, Closing>,
    /// Once there are this many, those whose quarantine is over are removed.
    sweep_closing_at: usize,
    /// Resets of ours that wait for the engine.
    pending_resets: VecDeque<StreamId>,
    /// Streams on which the peer has opened a data channel in band.
    channels: FxHashSet<StreamId>,
    /// Streams that have ended, and until when their ids rest: `None` until the peer has acknowledged everything on the
    /// stream.
    ended: FxHashMap<StreamId, Option<Instant>>,
    /// Once there are this many, ids that have rested are removed.
    sweep_at: usize,
    /// Streams that ended before the association was established, oldest first.
    early_ends: VecDeque<StreamId>,
    /// Streams whose DATA_CHANNEL_OPEN waits for its DATA_CHANNEL_ACK.
    pending_acks: VecDeque<StreamId>,
    /// Channels that we have opened in band and that the peer has not acknowledged, with their reliability.
    opening: FxHashMap<StreamId, Reliability>,
}

impl Streams {
    /// Whether `stream` is being reset, or in quarantine.
    pub(super) fn is_closing(&self, stream: StreamId, now: Option<Instant>) -> bool {
        match self.closing.get(&stream) {
            None => false,
            Some(Closing::Resetting) => true,
            Some(Closing::Quarantine(until)) => now.is_none_or(|now| now < *until),
        }
    }

    /// Notes that our side of `stream` ends.
    pub(super) fn end(&mut self, stream: StreamId) {
        self.ended.insert(stream, None);
    }

    /// Notes that `stream` ends before anything of it can have left. If there are too many of these, the id of the
    /// returned one is free again, as if the stream had never been opened.
    pub(super) fn end_early(&mut self, stream: StreamId) -> Option<StreamId> {
        self.end(stream);
        self.early_ends.push_back(stream);
        if self.early_ends.len() <= MAX_EARLY_ENDS {
            return None;
        }
        let first = self.early_ends.pop_front()?;
        self.ended.remove(&first);
        Some(first)
    }

    /// Notes that the association is established: what has ended early is about to leave.
    pub(super) fn begin(&mut self) {
        self.early_ends = VecDeque::new();
    }

    /// Notes that the peer has acknowledged everything on a stream that has ended.
    pub(super) fn on_ended(&mut self, stream: StreamId, now: Instant) {
        if self.ended.len() >= self.sweep_at {
            self.ended.retain(|_, rests| rests.is_none_or(|until| now < until));
            self.sweep_at = 2 * self.ended.len() + 64;
        }
        self.ended.insert(stream, Some(now + QUARANTINE));
    }

    /// Whether `stream` has ended and its id is not free yet.
    pub(super) fn is_ending(&self, stream: StreamId, now: Option<Instant>) -> bool {
        let rests = self.ended.get(&stream);
        rests.is_some_and(|until| until.zip(now).is_none_or(|(until, now)| now < until))
    }

    /// Notes that either side sends on `stream`, or is about to.
    pub(super) fn on_use(&mut self, stream: StreamId) {
        self.over.remove(&stream);
    }

    /// Notes that we open a channel in band, which is to have this reliability once the peer has acknowledged it.
    pub(super) fn open_in_band(&mut self, stream: StreamId, reliability: Reliability) {
        self.opening.insert(stream, reliability);
    }

    /// The peer acknowledges a channel, or we close it. Returns its reliability, once.
    pub(super) fn end_opening(&mut self, stream: StreamId) -> Option<Reliability> {
        self.opening.remove(&stream)
    }

    /// Whether the peer has opened a channel on `stream` in band.
    pub(super) fn is_channel(&self, stream: StreamId) -> bool {
        self.channels.contains(&stream)
    }

    /// Notes that the peer opens a channel, which is to be acknowledged. Returns false if the channel was
    /// open already.
    pub(super) fn open_channel(&mut self, stream: StreamId) -> bool {
        if !self.pending_acks.contains(&stream) {
            self.pending_acks.push_back(stream);
        }
        // A peer that opens the channel again has completed the reset.
        self.end_quarantine(stream);
        self.channels.insert(stream)
    }

    /// Takes `stream` out of quarantine, because the peer is known to have completed its reset.
    pub(super) fn end_quarantine(&mut self, stream: StreamId) {
        if let Some(Closing::Quarantine(_)) = self.closing.get(&stream) {
            self.closing.remove(&stream);
        }
    }

    /// Whether [`Self::pop_channel_ack`] returns one.
    pub(super) fn has_channel_ack(&self) -> bool {
        !self.pending_acks.is_empty()
    }

    /// The next stream to send a DATA_CHANNEL_ACK on.
    pub(super) fn pop_channel_ack(&mut self) -> Option<StreamId> {
        self.pending_acks.pop_front()
    }

    /// Notes that we reset `stream`.
    pub(super) fn reset(&mut self, stream: StreamId, now: Option<Instant>) {
        self.channels.remove(&stream);
        if !self.over.contains(&stream) && !self.is_closing(stream, now) {
            self.closing.insert(stream, Closing::Resetting);
            self.pending_resets.push_back(stream);
        }
    }

    /// Whether `stream` is being reset.
    pub(super) fn is_resetting(&self, stream: StreamId) -> bool {
        matches!(self.closing.get(&stream), Some(Closing::Resetting))
    }

    /// The next stream for the engine to reset.
    pub(super) fn pop_reset(&mut self) -> Option<StreamId> {
        self.pending_resets.pop_front()
    }

    /// Notes that the peer has reset its side of `stream`, and that sctp-proto resets ours in return.
    /// Returns false if the peer's reset answers one of ours.
    pub(super) fn on_peer_reset(&mut self, stream: StreamId, now: Instant) -> bool {
        self.channels.remove(&stream);
        let new = !self.is_closing(stream, Some(now));
        self.closing.insert(stream, Closing::Resetting);
        new
    }

    /// Notes that both directions of `stream` are reset.
    pub(super) fn on_reset_complete(&mut self, stream: StreamId, now: Instant) {
        self.over.insert(stream);
        if self.closing.len() >= self.sweep_closing_at {
            self.closing.retain(|_, closing| match closing {
                Closing::Resetting => true,
                Closing::Quarantine(until) => now < *until,
            });
            self.sweep_closing_at = 2 * self.closing.len() + 64;
        }
        self.closing.insert(stream, Closing::Quarantine(now + QUARANTINE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sctp::testing::start;

    #[test]
    fn an_id_is_free_again_some_time_after_its_reset() {
        let now = start();
        let mut streams = Streams::default();
        streams.reset(4, Some(now));
        streams.reset(4, Some(now));
        assert_eq!(streams.pop_reset(), Some(4));
        assert_eq!(streams.pop_reset(), None);
        assert!(!streams.on_peer_reset(4, now), "it answers ours");
        streams.on_reset_complete(4, now);
        assert!(streams.is_closing(4, Some(now)));
        let later = now + QUARANTINE;
        assert!(!streams.is_closing(4, Some(later)));
        assert!(streams.on_peer_reset(4, later));
    }

    #[test]
    fn a_stream_unused_since_its_reset_is_not_reset_again() {
        let now = start();
        let later = now + QUARANTINE;
        let mut streams = Streams::default();
        assert!(streams.on_peer_reset(4, now));
        streams.on_reset_complete(4, now);
        streams.reset(4, Some(later));
        assert_eq!(streams.pop_reset(), None);
        assert!(!streams.is_closing(4, Some(later)));
        streams.on_use(4);
        streams.reset(4, Some(later));
        assert_eq!(streams.pop_reset(), Some(4));
    }

    #[test]
    fn a_channel_that_the_peer_opens_again_is_in_use_at_once() {
        let now = start();
        let mut streams = Streams::default();
        streams.open_channel(4);
        assert!(streams.on_peer_reset(4, now));
        assert!(!streams.is_channel(4));
        streams.open_channel(4);
        assert!(streams.is_closing(4, Some(now)), "our own reset is still under way");
        streams.on_reset_complete(4, now);
        streams.open_channel(4);
        assert!(!streams.is_closing(4, Some(now)));
    }

    #[test]
    fn a_repeated_open_is_acknowledged_once_per_turn() {
        let mut streams = Streams::default();
        assert!(streams.open_channel(1));
        assert!(!streams.open_channel(1));
        assert_eq!(streams.pop_channel_ack(), Some(1));
        assert_eq!(streams.pop_channel_ack(), None);
    }
}
