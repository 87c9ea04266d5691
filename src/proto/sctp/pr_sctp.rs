//! Messages of limited reliability (RFC 3758) inside sctp-proto, which gives them up without an
//! event. What became of each shows in the packets of both directions:
//!
//! ```text
//!             first fragment sent          last fragment sent       acknowledged
//! UnsentMessage ───────────► Sending ─────────────────────► Complete ───────────► forgotten
//!      │                      │    │                           │
//!      │ lifetime over        │    │ next message begins       │ FORWARD TSN
//!      ▼                      │    ▼                           ▼
//!   expired                   │   Cut ── FORWARD TSN ──────► abandoned
//!                             └───────── FORWARD TSN ──────────┘
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use super::counters::MessageTally;
use super::flight::UnsentBytes;
use super::wire::{Data, before};

/// A message inside sctp-proto that has not been sent, not even in part.
#[derive(Debug)]
pub(super) struct UnsentMessage {
    /// The length of the payload in bytes.
    pub(super) len: usize,
    pub(super) ordered: bool,
    /// Whether the message's reliability is limited.
    pub(super) limited: bool,
    /// The time after which sctp-proto does not begin to send the message.
    pub(super) deadline: Option<Instant>,
}

/// How much of a message has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Fragments with this much payload are left.
    Sending { unsent: usize },
    /// sctp-proto has abandoned the fragments that are left.
    Cut,
    /// No fragment is left.
    Complete,
}

/// A message of limited reliability that has been sent at least in part. Its TSNs are consecutive.
#[derive(Debug)]
struct SentMessage {
    len: usize,
    ordered: bool,
    /// The TSNs of its first fragment, and of the last one sent.
    first: u32,
    last: u32,
    progress: Progress,
}

impl SentMessage {
    /// Notes that the fragments that are left will not be sent.
    fn cut(&mut self, total: &mut UnsentBytes) {
        if let Progress::Sending { unsent } = self.progress {
            total.remove(self.ordered, unsent);
            self.progress = Progress::Cut;
        }
    }

    /// Notes that a fragment of `len` payload bytes has been sent.
    fn advance(&mut self, tsn: u32, len: usize, is_last: bool) {
        let Progress::Sending { unsent } = self.progress else { return };
        self.last = tsn;
        self.progress = if is_last {
            Progress::Complete
        } else {
            Progress::Sending { unsent: unsent.saturating_sub(len) }
        };
    }
}

/// The messages of limited reliability of one association.
#[derive(Debug, Default)]
pub(super) struct PrSctp {
    /// Unsent messages, reliable ones included, since those are sent in between. sctp-proto keeps
    /// one queue for ordered messages and one for unordered ones.
    ordered: VecDeque<UnsentMessage>,
    unordered: VecDeque<UnsentMessage>,
    /// In the order of their TSNs.
    sent: VecDeque<SentMessage>,
    /// Messages whose lifetime ended before they were first sent.
    pub(super) expired: MessageTally,
    /// Messages that were given up after they had been sent at least in part.
    pub(super) abandoned: MessageTally,
}

impl PrSctp {
    /// Notes that a message has gone into sctp-proto.
    pub(super) fn written(&mut self, message: UnsentMessage) {
        self.unsent(message.ordered).push_back(message);
    }

    /// Drops the messages that sctp-proto will not begin to send any more. Call this after sending.
    pub(super) fn expire(&mut self, now: Instant, total: &mut UnsentBytes) {
        for unsent in [&mut self.ordered, &mut self.unordered] {
            unsent.retain(|message| {
                let is_over = message.deadline.is_some_and(|at| at <= now);
                if is_over {
                    self.expired.add(MessageTally::one(message.len));
                    total.remove(message.ordered, message.len);
                }
                !is_over
            });
        }
    }

    /// Notes that a DATA chunk is sent for the first time.
    pub(super) fn chunk_sent(&mut self, data: &Data<'_>, total: &mut UnsentBytes) {
        if data.begins {
            self.message_begun(data, total);
        } else if let Some(message) = self.sent.back_mut()
            && message.last.wrapping_add(1) == data.tsn
        {
            message.advance(data.tsn, data.payload.len(), data.ends);
        }
    }

    fn message_begun(&mut self, data: &Data<'_>, total: &mut UnsentBytes) {
        if let Some(previous) = self.sent.back_mut() {
            previous.cut(total);
        }
        let message = self.unsent(!data.unordered).pop_front();
        if let Some(UnsentMessage { len, ordered, .. }) = message.filter(|it| it.limited) {
            let progress = Progress::Sending { unsent: len };
            let mut message =
                SentMessage { len, ordered, first: data.tsn, last: data.tsn, progress };
            message.advance(data.tsn, data.payload.len(), data.ends);
            self.sent.push_back(message);
        }
    }

    /// Notes that the peer acknowledges all TSNs up to `tsn`.
    pub(super) fn acknowledged(&mut self, tsn: u32) {
        while let Some(message) = self.sent.front()
            && message.progress == Progress::Complete
            && !before(tsn, message.last)
        {
            self.sent.pop_front();
        }
    }

    /// A FORWARD TSN is sent: what the peer has not acknowledged up to `tsn` is given up (RFC 3758
    /// §3.5).
    pub(super) fn forwarded(&mut self, tsn: u32, total: &mut UnsentBytes) {
        while let Some(message) = self.sent.front_mut()
            && !before(tsn, message.first)
        {
            message.cut(total);
            self.abandoned.add(MessageTally::one(message.len));
            self.sent.pop_front();
        }
    }

    /// Releases memory that is not in use.
    pub(super) fn trim(&mut self) {
        self.ordered.shrink_to(0);
        self.unordered.shrink_to(0);
        self.sent.shrink_to(0);
    }

    fn unsent(&mut self, ordered: bool) -> &mut VecDeque<UnsentMessage> {
        if ordered { &mut self.ordered } else { &mut self.unordered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of 3,000 bytes in fragments of 1,000, and one of 500 bytes.
    fn two_messages() -> (PrSctp, UnsentBytes) {
        let (mut pr_sctp, mut total) = (PrSctp::default(), UnsentBytes::default());
        for len in [3000, 500] {
            total.add(true, len);
            pr_sctp.written(UnsentMessage { len, ordered: true, limited: true, deadline: None });
        }
        (pr_sctp, total)
    }

    fn send(pr_sctp: &mut PrSctp, total: &mut UnsentBytes, tsn: u32, position: &str, len: usize) {
        let (begins, ends) = (position.starts_with('B'), position.ends_with('E'));
        let payload = &[0; 1000][..len];
        let data = Data { tsn, stream: 1, ppid: 53, payload, begins, ends, unordered: false };
        total.remove(true, len);
        pr_sctp.chunk_sent(&data, total);
    }

    #[test]
    fn a_complete_message_is_forgotten_when_it_is_acknowledged() {
        let (mut pr_sctp, mut total) = two_messages();
        for (tsn, position, len) in [(1, "B", 1000), (2, "", 1000), (3, "E", 1000), (4, "BE", 500)]
        {
            send(&mut pr_sctp, &mut total, tsn, position, len);
        }
        assert!(total.is_empty());
        pr_sctp.acknowledged(3);
        pr_sctp.forwarded(4, &mut total);
        assert_eq!(pr_sctp.abandoned, MessageTally { messages: 1, bytes: 500 });
    }

    #[test]
    fn a_message_is_cut_when_the_next_one_begins() {
        let (mut pr_sctp, mut total) = two_messages();
        send(&mut pr_sctp, &mut total, 1, "B", 1000);
        assert!(!total.is_empty());
        send(&mut pr_sctp, &mut total, 2, "BE", 500);
        assert!(total.is_empty(), "the rest of the first is not sent");
        // It has not been acknowledged as a whole, so it is abandoned.
        pr_sctp.acknowledged(1);
        pr_sctp.forwarded(1, &mut total);
        assert_eq!(pr_sctp.abandoned, MessageTally { messages: 1, bytes: 3000 });
    }

    #[test]
    fn a_forward_tsn_abandons_a_message_and_its_unsent_rest() {
        let (mut pr_sctp, mut total) = two_messages();
        send(&mut pr_sctp, &mut total, 1, "B", 1000);
        pr_sctp.forwarded(1, &mut total);
        assert_eq!(pr_sctp.abandoned, MessageTally { messages: 1, bytes: 3000 });
        send(&mut pr_sctp, &mut total, 2, "BE", 500);
        assert!(total.is_empty());
    }

    #[test]
    fn a_reliable_message_is_never_abandoned() {
        let (mut pr_sctp, mut total) = (PrSctp::default(), UnsentBytes::default());
        total.add(true, 500);
        pr_sctp.written(UnsentMessage { len: 500, ordered: true, limited: false, deadline: None });
        send(&mut pr_sctp, &mut total, 1, "BE", 500);
        pr_sctp.forwarded(1, &mut total);
        assert_eq!(pr_sctp.abandoned, MessageTally::default());
    }
}
