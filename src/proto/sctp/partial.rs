//! What becomes of messages of limited reliability (RFC 3758) inside sctp-proto, which gives them up
//! in silence. It shows in the packets of both directions:
//!
//! ```text
//! written ─► waiting ─ its first DATA chunk ─► sent ─ acknowledged ─► forgotten
//!               │                               └─ FORWARD TSN ─► abandoned
//!               └─ its lifetime has passed ─► expired
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::flight::Unsent;
use super::queue::Discarded;
use super::wire::{Data, before};
use crate::proto::message::StreamId;

/// A message of which nothing has been sent. sctp-proto sends those of a stream in their order.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its payload bytes.
    pub(super) len: usize,
    pub(super) ordered: bool,
    /// After this sctp-proto does not begin to send it.
    pub(super) deadline: Option<Instant>,
}

/// A message that has been sent at least in part. Its TSNs are consecutive.
#[derive(Debug)]
struct Sent {
    stream: StreamId,
    len: usize,
    /// What of it has not been sent.
    unsent: usize,
    ordered: bool,
    first: u32,
    /// Once its last chunk has been sent.
    last: Option<u32>,
}

impl Sent {
    /// The rest of it is not sent.
    fn cut(&mut self, unsent: &mut Unsent) {
        unsent.remove(self.ordered, std::mem::take(&mut self.unsent));
    }
}

/// The messages of limited reliability.
#[derive(Debug, Default)]
pub(super) struct Partial {
    waiting: FxHashMap<StreamId, VecDeque<Waiting>>,
    /// In the order of their TSNs.
    sent: VecDeque<Sent>,
    /// Messages that outlived their lifetime before they were first sent.
    pub(super) expired: Discarded,
    /// Messages that were given up after they had been sent at least in part.
    pub(super) abandoned: Discarded,
}

impl Partial {
    /// A message has gone in.
    pub(super) fn written(&mut self, stream: StreamId, message: Waiting) {
        self.waiting.entry(stream).or_default().push_back(message);
    }

    /// Time has passed, and nothing has been sent since.
    pub(super) fn expire(&mut self, now: Instant, unsent: &mut Unsent) {
        let expired = &mut self.expired;
        self.waiting.retain(|_, waiting| {
            while let Some(message) = waiting.front()
                && message.deadline.is_some_and(|at| at <= now)
            {
                expired.add(Discarded::one(message.len));
                unsent.remove(message.ordered, message.len);
                waiting.pop_front();
            }
            !waiting.is_empty()
        });
    }

    /// A DATA chunk goes out for the first time.
    pub(super) fn chunk_sent(&mut self, data: &Data<'_>, unsent: &mut Unsent) {
        let Data { tsn, stream, .. } = *data;
        let last = data.ends.then_some(tsn);
        if data.begins {
            // The one before is not sent to its end, or has been.
            self.sent.back_mut().into_iter().for_each(|message| message.cut(unsent));
            let waiting = self.waiting.get_mut(&stream).and_then(VecDeque::pop_front);
            if let Some(Waiting { len, ordered, .. }) = waiting {
                let left = len.saturating_sub(data.payload.len());
                self.sent.push_back(Sent { stream, len, unsent: left, ordered, first: tsn, last });
            }
        } else if let Some(message) = self.sent.back_mut()
            && message.stream == stream
            && message.last.is_none()
        {
            message.unsent = message.unsent.saturating_sub(data.payload.len());
            message.last = last;
        }
    }

    /// The peer has all up to `tsn`, or has been told to go on without it.
    pub(super) fn acknowledged(&mut self, tsn: u32) {
        while let Some(message) = self.sent.front()
            && message.last.is_some_and(|last| !before(tsn, last))
        {
            self.sent.pop_front();
        }
    }

    /// The peer is told to go on behind `tsn` (RFC 3758 §3.5): what it has not acknowledged up to
    /// there has been given up.
    pub(super) fn forwarded(&mut self, tsn: u32, unsent: &mut Unsent) {
        while let Some(message) = self.sent.front_mut()
            && !before(tsn, message.first)
        {
            message.cut(unsent);
            self.abandoned.add(Discarded::one(message.len));
            self.sent.pop_front();
        }
    }
}
