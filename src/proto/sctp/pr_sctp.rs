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

use super::counters::MessageTally;
use super::flight::UnsentBytes;
use super::wire::{Data, before};

/// A message of which nothing has been sent.
#[derive(Debug)]
pub(super) struct UnsentMessage {
    /// Its payload bytes.
    pub(super) len: usize,
    pub(super) ordered: bool,
    /// It may be given up.
    pub(super) limited: bool,
    /// After this sctp-proto does not begin to send it.
    pub(super) deadline: Option<Instant>,
}

/// A message of limited reliability that has been sent at least in part. Its TSNs are consecutive.
#[derive(Debug)]
struct SentMessage {
    len: usize,
    /// What of it has not been sent.
    unsent: usize,
    ordered: bool,
    first: u32,
    /// Of what has been sent.
    last: u32,
    /// All of it has been.
    ended: bool,
}

impl SentMessage {
    /// The rest of it is not sent.
    fn cut(&mut self, unsent: &mut UnsentBytes) {
        unsent.remove(self.ordered, std::mem::take(&mut self.unsent));
    }
}

/// The messages of limited reliability.
#[derive(Debug, Default)]
pub(super) struct PrSctp {
    /// All that wait, for those that are reliable stand between the others. sctp-proto sends what is
    /// ordered in its order, and what is unordered in its.
    ordered: VecDeque<UnsentMessage>,
    unordered: VecDeque<UnsentMessage>,
    /// In the order of their TSNs.
    sent: VecDeque<SentMessage>,
    /// Messages that outlived their lifetime before they were first sent.
    pub(super) expired: MessageTally,
    /// Messages that were given up after they had been sent at least in part.
    pub(super) abandoned: MessageTally,
}

impl PrSctp {
    /// A message has gone in.
    pub(super) fn written(&mut self, message: UnsentMessage) {
        self.waiting(message.ordered).push_back(message);
    }

    /// Time has passed, and nothing has been sent since.
    pub(super) fn expire(&mut self, now: Instant, unsent: &mut UnsentBytes) {
        for waiting in [&mut self.ordered, &mut self.unordered] {
            waiting.retain(|message| {
                let is_over = message.deadline.is_some_and(|at| at <= now);
                if is_over {
                    self.expired.add(MessageTally::one(message.len));
                    unsent.remove(message.ordered, message.len);
                }
                !is_over
            });
        }
    }

    /// A DATA chunk goes out for the first time.
    pub(super) fn chunk_sent(&mut self, data: &Data<'_>, unsent: &mut UnsentBytes) {
        let Data { tsn, ends: ended, .. } = *data;
        if data.begins {
            // The one before is not sent to its end, or has been.
            self.sent.back_mut().into_iter().for_each(|message| message.cut(unsent));
            let waiting = self.waiting(!data.unordered).pop_front();
            if let Some(UnsentMessage { len, ordered, .. }) =
                waiting.filter(|message| message.limited)
            {
                let unsent = len.saturating_sub(data.payload.len());
                self.sent.push_back(SentMessage {
                    len,
                    unsent,
                    ordered,
                    first: tsn,
                    last: tsn,
                    ended,
                });
            }
        } else if let Some(message) = self.sent.back_mut()
            && !message.ended
            && message.last.wrapping_add(1) == tsn
        {
            message.unsent = message.unsent.saturating_sub(data.payload.len());
            message.last = tsn;
            message.ended = ended;
        }
    }

    /// The peer has all up to `tsn`, or has been told to go on without it.
    pub(super) fn acknowledged(&mut self, tsn: u32) {
        while let Some(message) = self.sent.front()
            && message.ended
            && !before(tsn, message.last)
        {
            self.sent.pop_front();
        }
    }

    /// The peer is told to go on behind `tsn` (RFC 3758 §3.5): what it has not acknowledged up to
    /// there has been given up.
    pub(super) fn forwarded(&mut self, tsn: u32, unsent: &mut UnsentBytes) {
        while let Some(message) = self.sent.front_mut()
            && !before(tsn, message.first)
        {
            message.cut(unsent);
            self.abandoned.add(MessageTally::one(message.len));
            self.sent.pop_front();
        }
    }

    /// Gives back what nothing needs at the moment.
    pub(super) fn trim(&mut self) {
        self.ordered.shrink_to(0);
        self.unordered.shrink_to(0);
        self.sent.shrink_to(0);
    }

    fn waiting(&mut self, ordered: bool) -> &mut VecDeque<UnsentMessage> {
        if ordered { &mut self.ordered } else { &mut self.unordered }
    }
}
