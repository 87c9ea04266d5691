//! Events that wait to be taken, in order, and the messages of stopped streams.
//!
//! ```text
//! message ─► events ─► at the front, its stream stopped ─► kept ─ resumed ─► before the events
//!            events empty ─► the next message that sctp-proto has of a stream that was resumed
//! ```
//!
//! A limit resumes a stream for one message and stops it again, so the cost of either must not grow with the number of
//! waiting messages: a message among the events moves at most once, when it would be next.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::event::SctpEvent;
use crate::proto::message::{Message, StreamId, charge};

/// In charged bytes: how much may wait among the events before packets are dropped (one packet may complete a receive
/// window full of messages on top), and how much stopped streams may keep before messages fill the window: they stay in
/// sctp-proto or, if the peer resets their stream, are kept here and make the window smaller.
const MAX_WAITING: usize = 1024 * 1024;

/// The events of an association that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    events: VecDeque<SctpEvent>,
    /// How many events have left. An event is numbered by those before it.
    left: u64,
    /// The charge of `events`; see [`charge_of`].
    untaken: usize,
    /// Present once a stream was stopped or a fence set.
    stops: Option<Box<Stops>>,
}

#[derive(Debug, Default)]
struct Stops {
    /// The streams that are stopped, or were stopped and may still have messages here or in sctp-proto.
    streams: FxHashMap<StreamId, StoppedStream>,
    /// The charge of the messages that they keep.
    kept: usize,
    /// Resumed streams that keep messages.
    resumed: VecDeque<StreamId>,
    /// Resumed streams that may have messages in sctp-proto. These are read one by one, so that the window opens only
    /// as far as messages are taken.
    unread: VecDeque<StreamId>,
    /// Fences that wait for events to leave.
    fences: VecDeque<Fence>,
    /// The numbers of fences that are passed.
    passed: VecDeque<u32>,
}

#[derive(Debug, Default)]
struct StoppedStream {
    is_stopped: bool,
    /// Whether completed messages are read at once, because a packet that resets the stream is being delivered.
    is_read: bool,
    /// Whether sctp-proto may have complete messages.
    is_held: bool,
    /// How often all of its messages in sctp-proto have been read. It may wrap.
    reads: u32,
    is_in_resumed: bool,
    is_in_unread: bool,
    /// Messages that were next while the stream was stopped. They come before those among the events.
    messages: VecDeque<Message>,
    /// The charge of these messages.
    charge: usize,
    /// A number above those of all waiting events that are messages of this stream.
    until: u64,
    /// The charge of what has been taken since it was first stopped.
    taken: u64,
    /// Fences, each with how much must have been taken.
    fences: VecDeque<(u64, u32)>,
}

/// Passed once all that had arrived on a stream when the fence was set has been taken.
#[derive(Debug)]
struct Fence {
    stream: StreamId,
    fence: u32,
    /// The fence waits until all events with lower numbers have been taken.
    until: u64,
    /// The most that sctp-proto may have held of the stream, in charged bytes.
    held: usize,
    /// [`StoppedStream::reads`] when it was set.
    reads: u32,
}

impl Arrivals {
    pub(super) fn push(&mut self, event: SctpEvent) {
        self.untaken += charge_of(&event);
        self.events.push_back(event);
    }

    /// Adds a message, which follows all others of its stream.
    pub(super) fn push_message(&mut self, stream: StreamId, message: Message) {
        let charge = message.amount().charge;
        if let Some(stops) = &mut self.stops
            && let Some(it) = stops.streams.get_mut(&stream)
        {
            if it.until <= self.left && (it.is_stopped || !it.messages.is_empty()) {
                stops.kept += charge;
                return it.keep(message);
            }
            it.until = self.left + self.events.len() as u64 + 1;
        }
        self.untaken += charge;
        self.events.push_back(SctpEvent::Message { stream, message });
    }

    /// How many events there have been, without those that stopped streams have kept from the start.
    pub(super) fn arrived(&self) -> u64 {
        self.left + self.events.len() as u64
    }

    /// How many of these have left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Whether a stream was stopped, or a fence set: then [`Self::pop_among_stops`] takes the events.
    pub(super) fn has_stops(&self) -> bool {
        self.stops.is_some()
    }

    /// Takes the next event. For the time before any stream was stopped.
    pub(super) fn pop(&mut self) -> Option<SctpEvent> {
        debug_assert!(!self.has_stops(), "see pop_among_stops()");
        let event = self.events.pop_front()?;
        self.leave(&event);
        Some(event)
    }

    fn leave(&mut self, event: &SctpEvent) {
        self.left += 1;
        self.untaken -= charge_of(event);
    }

    /// Takes the next event, once a stream was stopped or a fence set.
    pub(super) fn pop_among_stops(&mut self) -> Option<SctpEvent> {
        let stops = self.stops.as_mut()?;
        if let Some(fence) = stops.passed.pop_front() {
            return Some(SctpEvent::ArrivalsTaken { fence });
        }
        let event = match stops.take_resumed() {
            Some(resumed) => resumed,
            None => {
                let event = self.events.pop_front()?;
                self.leave(&event);
                event
            }
        };
        if let SctpEvent::Message { stream, message } = &event
            && let Some(stops) = &mut self.stops
        {
            stops.count_taken(*stream, message.amount().charge);
        }
        self.settle();
        Some(event)
    }

    /// Whether [`Self::pop`] returns a message next.
    pub(super) fn has_message(&self) -> bool {
        let of_peer =
            |it: &SctpEvent| matches!(it, SctpEvent::Message { .. } | SctpEvent::Control { .. });
        match &self.stops {
            Some(stops) if !stops.passed.is_empty() => false,
            Some(stops) if !stops.resumed.is_empty() => true,
            _ => self.events.front().is_some_and(of_peer),
        }
    }

    /// The stream of the message that [`Self::pop`] returns next, if it returns one.
    pub(super) fn next_message_stream(&self) -> Option<StreamId> {
        if let Some(stops) = &self.stops {
            if !stops.passed.is_empty() {
                return None;
            }
            if let Some(stream) = stops.resumed.front() {
                return Some(*stream);
            }
        }
        match self.events.front() {
            Some(SctpEvent::Message { stream, .. }) => Some(*stream),
            _ => None,
        }
    }

    pub(super) fn stop(&mut self, stream: StreamId) {
        let until = self.arrived();
        let stops = self.stops.get_or_insert_default();
        let new = || StoppedStream { until, ..StoppedStream::default() };
        stops.streams.entry(stream).or_insert_with(new).is_stopped = true;
        self.settle();
    }

    /// Returns whether the stream was stopped.
    pub(super) fn resume(&mut self, stream: StreamId) -> bool {
        let Some(stops) = &mut self.stops else { return false };
        let Some(it) = stops.streams.get_mut(&stream).filter(|it| it.is_stopped) else {
            return false;
        };
        it.is_stopped = false;
        if it.messages.is_empty() {
            if !std::mem::replace(&mut it.is_in_unread, true) {
                stops.unread.push_back(stream);
            }
        } else if !std::mem::replace(&mut it.is_in_resumed, true) {
            stops.resumed.push_back(stream);
        }
        self.settle();
        true
    }

    /// The stream from which to read one message from sctp-proto, if nothing else waits to be taken. Call
    /// [`Self::forget`] if there is none.
    pub(super) fn next_to_read(&mut self) -> Option<StreamId> {
        let stops = self.stops.as_mut()?;
        if !self.events.is_empty() || !stops.resumed.is_empty() {
            return None;
        }
        while let Some(stream) = stops.unread.front() {
            match stops.streams.get_mut(stream) {
                Some(it) if it.is_stopped => it.is_in_unread = false,
                Some(_) => return Some(*stream),
                None => {}
            }
            stops.unread.pop_front();
        }
        None
    }

    /// Notes that sctp-proto has no more messages of the stream that [`Self::next_to_read`] has returned.
    pub(super) fn forget(&mut self, stream: StreamId) {
        let Some(stops) = &mut self.stops else { return };
        if stops.unread.front() == Some(&stream) {
            stops.unread.pop_front();
        }
        if let Some(it) = stops.streams.remove(&stream) {
            stops.passed.extend(it.fences.into_iter().map(|(_, fence)| fence));
        }
    }

    /// Returns whether a complete message of `stream` is left in sctp-proto until [`Self::next_to_read`] returns the
    /// stream.
    pub(super) fn leaves_in_engine(&mut self, stream: StreamId) -> bool {
        let Some(it) = self.stopped_mut(stream) else { return false };
        it.is_held = !it.is_read;
        it.is_held
    }

    /// Makes all messages of `stream` in sctp-proto be read at once, until [`Self::end_read`]. Returns false if the
    /// stream was never stopped.
    pub(super) fn begin_to_read(&mut self, stream: StreamId) -> bool {
        let Some(it) = self.stopped_mut(stream) else { return false };
        (it.is_read, it.is_held) = (true, false);
        it.reads = it.reads.wrapping_add(1);
        true
    }

    /// Leaves what the peer sends on `stream` from now on in sctp-proto again, where it fills the window.
    pub(super) fn end_read(&mut self, stream: StreamId) {
        if let Some(it) = self.stopped_mut(stream) {
            it.is_read = false;
        }
    }

    fn stopped_mut(&mut self, stream: StreamId) -> Option<&mut StoppedStream> {
        self.stops.as_mut()?.streams.get_mut(&stream)
    }

    /// The charge of what stopped streams keep beyond the bound. The receive window is smaller by this.
    pub(super) fn excess(&self) -> usize {
        self.stops.as_ref().map_or(0, |it| it.kept.saturating_sub(MAX_WAITING))
    }

    /// Notes that all messages of the stream in sctp-proto have been read.
    pub(super) fn see_all_read(&mut self, stream: StreamId) {
        let left = self.left;
        let Some(stops) = &mut self.stops else { return };
        // If the stream has more messages among the events, its fences continue once it is resumed.
        if let Some(it) = stops.streams.get_mut(&stream).filter(|it| it.until <= left) {
            let last = it.taken + it.charge as u64;
            it.fences.iter_mut().for_each(|(at, _)| *at = last.min(*at));
            it.pass_fences(&mut stops.passed);
        }
    }

    /// The streams that are stopped, or were and may still have messages.
    pub(super) fn stopped_streams(&self) -> Vec<StreamId> {
        let stops = self.stops.iter();
        stops.flat_map(|it| it.streams.keys().copied()).collect()
    }

    /// Whether messages are left in sctp-proto.
    pub(super) fn holds(&self) -> bool {
        self.stops.as_ref().is_some_and(|it| !it.streams.is_empty())
    }

    /// Whether a resumed stream may still have messages in sctp-proto, and no event is ahead of them.
    pub(super) fn has_unread(&self) -> bool {
        self.stops.as_ref().is_some_and(|it| !it.unread.is_empty()) && self.events.is_empty()
    }

    /// Emits [`SctpEvent::ArrivalsTaken`] once the messages of `stream` that now wait have been taken, even if it is
    /// stopped. `held`: the charge of all messages in sctp-proto. Returns false if there is nothing to wait for.
    pub(super) fn fence(&mut self, stream: StreamId, fence: u32, held: usize) -> bool {
        let stops = self.stops.as_ref();
        let stopped = stops.and_then(|it| it.streams.get(&stream));
        let held = if stopped.is_some() { held } else { 0 };
        let reads = stopped.map_or(0, |it| it.reads);
        let keeps = stopped.is_some_and(|it| !it.messages.is_empty());
        if self.events.is_empty() && !keeps && held == 0 {
            return false;
        }
        let until = self.arrived();
        let stops = self.stops.get_or_insert_default();
        stops.fences.push_back(Fence { stream, fence, until, held, reads });
        self.settle();
        true
    }

    /// If stopped streams already keep too much, stops reading `stream`: its messages stay in sctp-proto until nothing
    /// else waits. Returns whether it has done so.
    pub(super) fn defers(&mut self, stream: StreamId) -> bool {
        let until = self.arrived();
        let Some(stops) = self.stops.as_mut().filter(|it| it.kept >= MAX_WAITING) else {
            return false;
        };
        let Entry::Vacant(entry) = stops.streams.entry(stream) else { return false };
        let (is_held, is_in_unread) = (true, true);
        entry.insert(StoppedStream { until, is_held, is_in_unread, ..StoppedStream::default() });
        stops.unread.push_back(stream);
        true
    }

    /// Whether packets are dropped, because too much waits among the events.
    pub(super) fn is_full(&self) -> bool {
        self.untaken >= MAX_WAITING
    }

    /// The charge of all messages.
    pub(super) fn charge(&self) -> usize {
        self.untaken + self.stops.as_ref().map_or(0, |it| it.kept)
    }

    /// Releases memory that a burst has taken.
    pub(super) fn trim(&mut self) {
        self.events.shrink_to(0);
        self.stops
            .take_if(|it| it.streams.is_empty() && it.fences.is_empty() && it.passed.is_empty());
    }

    /// Removes messages that may not be taken yet from the fronts of both lists, and advances the fences.
    fn settle(&mut self) {
        let Some(stops) = &mut self.stops else { return };
        while let Some(SctpEvent::Message { stream, .. }) = self.events.front()
            && let Some(it) = stops.streams.get_mut(stream).filter(|it| it.is_stopped)
            && let Some(SctpEvent::Message { message, .. }) = self.events.pop_front()
        {
            let charge = message.amount().charge;
            self.left += 1;
            self.untaken -= charge;
            stops.kept += charge;
            it.keep(message);
        }
        stops.settle_resumed();
        while stops.fences.front().is_some_and(|it| it.until <= self.left)
            && let Some(Fence { stream, fence, held, reads, .. }) = stops.fences.pop_front()
        {
            let Some(it) = stops.streams.get_mut(&stream) else {
                stops.passed.push_back(fence);
                continue;
            };
            let was_read = it.reads != reads;
            if was_read && held > 0 && it.until > self.left {
                // What sctp-proto had is among the events now.
                stops.fences.push_back(Fence { stream, fence, until: it.until, held: 0, reads });
                continue;
            }
            let held = if was_read { 0 } else { held };
            it.fences.push_back((it.taken + (it.charge + held) as u64, fence));
            it.pass_fences(&mut stops.passed);
        }
    }
}

/// The charge of an event while it waits. Only what a peer chooses the size of is charged.
fn charge_of(event: &SctpEvent) -> usize {
    match event {
        SctpEvent::Message { message, .. } | SctpEvent::Control { message, .. } => {
            message.amount().charge
        }
        SctpEvent::ChannelOpened { label, protocol, .. } => charge(label.len() + protocol.len()),
        _ => 0,
    }
}

impl Stops {
    fn take_resumed(&mut self) -> Option<SctpEvent> {
        let stream = *self.resumed.front()?;
        let it = self.streams.get_mut(&stream)?;
        let message = it.messages.pop_front()?;
        let charge = message.amount().charge;
        it.charge -= charge;
        self.kept -= charge;
        Some(SctpEvent::Message { stream, message })
    }

    fn count_taken(&mut self, stream: StreamId, charge: usize) {
        if let Some(it) = self.streams.get_mut(&stream) {
            it.taken += charge as u64;
            it.pass_fences(&mut self.passed);
        }
    }

    fn settle_resumed(&mut self) {
        while let Some(stream) = self.resumed.front() {
            if let Some(it) = self.streams.get_mut(stream) {
                if !it.is_stopped && !it.messages.is_empty() {
                    return;
                }
                it.is_in_resumed = false;
                if !it.is_stopped && !std::mem::replace(&mut it.is_in_unread, true) {
                    self.unread.push_back(*stream);
                }
            }
            self.resumed.pop_front();
        }
    }
}

impl StoppedStream {
    fn keep(&mut self, message: Message) {
        self.charge += message.amount().charge;
        self.messages.push_back(message);
    }

    fn pass_fences(&mut self, passed: &mut VecDeque<u32>) {
        while let Some((_, fence)) = self.fences.front().filter(|(at, _)| *at <= self.taken) {
            passed.push_back(*fence);
            self.fences.pop_front();
        }
    }
}
