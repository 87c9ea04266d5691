//! A message of a data channel: a payload and its payload protocol identifier.

use std::ops::{AddAssign, SubAssign};

use bytes::Bytes;

/// An SCTP stream identifier (RFC 9260 §3.3.1). Data channels use 0 to 65534 (RFC 8831 §6.2).
pub type StreamId = u16;

/// An SCTP payload protocol identifier. The values of data channels are in RFC 8831 §8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ppid(pub u32);

impl Ppid {
    /// Data Channel Establishment Protocol (RFC 8832).
    pub const DCEP: Self = Self(50);
    /// A UTF-8 string.
    pub const STRING: Self = Self(51);
    /// Bytes.
    pub const BINARY: Self = Self(53);
    /// An empty string, sent as one byte that the receiver ignores.
    pub const STRING_EMPTY: Self = Self(56);
    /// Empty bytes, sent as one byte that the receiver ignores.
    pub const BINARY_EMPTY: Self = Self(57);

    /// Whether this marks an empty message, which SCTP cannot carry (RFC 8831 §6.6).
    pub fn is_empty(self) -> bool {
        self == Self::STRING_EMPTY || self == Self::BINARY_EMPTY
    }
}

/// One user message. Cloning it shares the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The kind of the payload.
    pub ppid: Ppid,
    /// The bytes. An empty message has one byte here, which the receiver ignores; see [`Ppid::is_empty`].
    pub payload: Bytes,
}

impl Message {
    /// Makes a message. With one of the two "empty" identifiers the payload becomes the single byte that
    /// RFC 8831 §6.6 defines for it.
    pub fn new(ppid: Ppid, payload: Bytes) -> Self {
        let payload = match ppid {
            Ppid::STRING_EMPTY => Bytes::from_static(b" "),
            Ppid::BINARY_EMPTY => Bytes::from_static(&[0]),
            _ => payload,
        };
        Self { ppid, payload }
    }

    /// Does the same as [`Self::new`], with a copy of `payload`.
    pub fn copy_from_slice(ppid: Ppid, payload: &[u8]) -> Self {
        let payload = if ppid.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(payload) };
        Self::new(ppid, payload)
    }

    /// The payload length of a message that [`Self::new`] makes of `len` bytes: an empty one has one byte, as
    /// SCTP carries no empty message (RFC 8831 §6.6).
    pub fn payload_len(ppid: Ppid, len: usize) -> usize {
        if ppid.is_empty() { 1 } else { len }
    }

    /// What a queue counts for this message.
    pub fn amount(&self) -> Amount {
        Amount::of(self.payload.len())
    }
}

/// What every queue charges for a message with `payload_len` bytes and without subchannels: 64 bytes of overhead,
/// so that a million messages of one byte are not free.
pub fn charge(payload_len: usize) -> usize {
    payload_len + 64
}

/// What one or more messages count in a queue, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Their payload, which applications see.
    pub payload: usize,
    /// What the queue charges for them: payload, 64 bytes of overhead for each, and 2 for each subchannel in
    /// their lists.
    pub charge: usize,
}

impl Amount {
    /// One message of `payload_len` bytes.
    pub fn of(payload_len: usize) -> Self {
        Self { payload: payload_len, charge: charge(payload_len) }
    }

    /// This amount, with a list of `count` subchannels for each message.
    #[must_use]
    pub fn with_subchannels(self, count: usize) -> Self {
        Self { charge: self.charge + 2 * count, ..self }
    }

    /// Whether a queue that holds this much is full: its payload has reached `bound`, or its charge twice the bound
    /// plus 64 KiB. For messages of 64 bytes and more the payload alone decides; the second rule bounds the number
    /// of tiny messages, and the subchannels.
    pub fn reaches(self, bound: usize) -> bool {
        self.payload >= bound || self.charge >= bound.saturating_mul(2).saturating_add(64 * 1024)
    }
}

/// A number of messages and the sum of their payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageTally {
    /// Messages.
    pub messages: u64,
    /// Their payload in bytes.
    pub bytes: u64,
}

impl MessageTally {
    /// One message of `len` payload bytes.
    pub(crate) fn one(len: usize) -> Self {
        Self { messages: 1, bytes: len as u64 }
    }

    pub(crate) fn count(&mut self, message: &Message) {
        self.add(Self::one(message.payload.len()));
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    pub(crate) fn remove(&mut self, other: Self) {
        self.messages = self.messages.saturating_sub(other.messages);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.payload += other.payload;
        self.charge += other.charge;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.payload -= other.payload;
        self.charge -= other.charge;
    }
}

/// The reliability of a stream (RFC 3758, RFC 8831 §6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reliability {
    /// Deliver in the order of sending.
    pub ordered: bool,
    /// The limit of a message's retransmissions; `None` retransmits until it arrives.
    pub limit: Option<Limit>,
}

impl Reliability {
    /// Each message is delivered in order, and retransmitted until it arrives.
    pub const RELIABLE: Self = Self { ordered: true, limit: None };
}

/// The limit of partial reliability (RFC 3758). A message has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// At most this many retransmissions; 0 sends each packet once.
    Retransmits(u16),
    /// No transmission later than this many milliseconds after the message was queued; 0 counts as 1.
    LifetimeMs(u16),
}
