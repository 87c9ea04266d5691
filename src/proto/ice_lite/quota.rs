//! How many STUN requests an agent verifies.

use std::time::{Duration, Instant};

/// Requests in [`TIME`], for each [`Sender`]. A full agent sends one every 50 ms and pair (RFC 8445 §14), and fewer
/// later. A request costs about 5 µs, mostly hashing, so a sender that knows a username fragment takes at
/// most 1 % of the worker's time.
const REQUESTS: u32 = 100;
const TIME: Duration = Duration::from_millis(50);

/// The likely sender of a request that is not verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// Knows a username fragment of ours and uses a valid tuple.
    Peer,
    /// Knows a username fragment of ours.
    KnownUfrag,
    /// Knows no username fragment of ours. Its tuple proves nothing, as a source address can be forged.
    UnknownUfrag,
}

/// Each kind of sender has a quota of its own. So other senders can use up neither the requests that keep the
/// peer's consent alive nor, without a username fragment, the requests that let the peer in.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    peer: Quota,
    known_ufrag: Quota,
    unknown_ufrag: Quota,
}

impl Quotas {
    /// Counts a request. Returns false if it is to be dropped.
    pub(super) fn take(&mut self, now: Instant, sender: Sender) -> bool {
        match sender {
            Sender::Peer => &mut self.peer,
            Sender::KnownUfrag => &mut self.known_ufrag,
            Sender::UnknownUfrag => &mut self.unknown_ufrag,
        }
        .take(now)
    }
}

#[derive(Debug, Default)]
struct Quota {
    since: Option<Instant>,
    used: u32,
}

impl Quota {
    fn take(&mut self, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= TIME;
        if self.since.is_none_or(is_over) {
            *self = Self { since: Some(now), used: 0 };
        }
        let granted = self.used < REQUESTS;
        self.used += u32::from(granted);
        granted
    }
}
