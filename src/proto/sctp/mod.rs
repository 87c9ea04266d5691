//! SCTP over DTLS or UDP (RFC 9260, RFC 8261) for data channels (RFC 8831), over sctp-proto.
//!
//! Sans-IO: packets and the time go in, packets and events come out. May touch `message` and
//! `dcep`; sctp-proto is met in [`link`] only.
//!
//! ```text
//!          send                     packet from the peer
//!           │                               │
//!         queue    waits, in turns        guard    what sctp-proto must not see
//!           │                               │
//!         flight   how much goes in         │
//!           └──────────► link ◄─────────────┘      one association of sctp-proto
//!                          │
//!                       egress                     what no path must see
//!                          ▼
//!                  packets to the peer
//! ```
//!
//! The states, which only go forward:
//!
//! ```text
//! New ── connect ─► Connecting ─┬─ COOKIE ECHO or COOKIE ACK ─► Connected ─┬─► Closed
//!                               │                                          └─ silence ─► Failed
//!                               └─ no answer to INIT ─► Failed
//! ```

mod association;
mod budget;
mod egress;
mod flight;
mod guard;
mod heartbeat;
mod init;
mod ledger;
mod link;
mod partial;
mod ppid;
mod queue;
mod received;
mod streams;
#[cfg(test)]
mod testing;
mod wire;

use serde::Serialize;

pub use self::association::Sctp;
pub use self::queue::{Discarded, OverflowPolicy};
use crate::proto::message::{Message, Reliability, StreamId};

/// Who sends the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The peer; we do after 1 to 2 seconds without one.
    AfterSilence,
    /// We do.
    AtOnce,
    /// The peer, however long that takes. Of several that try, the first to complete the handshake
    /// is the peer; what the others do, ends nothing.
    Never,
}

/// What an association is made with. Sizes in bytes.
#[derive(Debug, Clone)]
pub struct SctpConfig {
    /// The largest message that [`Sctp::send`] takes.
    pub max_send_message_size: u32,
    /// The largest message that the peer may send; a larger one ends the association.
    pub max_receive_message_size: u32,
    /// The bound of all queued payload together; see [`SendError::Full`].
    pub send_buffer_size: usize,
    /// The bound of each stream's queued payload.
    pub per_stream_send_queue_limit: usize,
    /// The receive window. In force is at most the larger of 1 MiB and twice
    /// `max_receive_message_size`.
    pub max_receiver_window: u32,
    /// The threshold that streams start with; see [`SctpEvent::BufferedAmountLow`].
    pub buffered_amount_low_threshold: usize,
    /// Who sends the INIT.
    pub start: Start,
    /// The largest SCTP packet that may be emitted, common header included.
    pub max_packet_size: usize,
    /// Streams belong to data channels: DATA_CHANNEL_OPEN is answered (RFC 8832), and closing one
    /// direction of a stream closes the other (RFC 8831 §6.7). Without this the directions have
    /// nothing to do with each other, and we reset none.
    pub data_channels: bool,
    /// A peer that falls silent is asked for a sign of life, and given up when none comes (RFC 9260
    /// §8.1, §8.3). Not needed where the layer below notices that the peer has gone.
    pub heartbeats: bool,
}

/// The state of the association. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SctpState {
    /// [`Sctp::connect`] has not been called.
    New,
    /// Waiting for the peer's INIT or for the answer to ours.
    Connecting,
    /// Established.
    Connected,
    /// The peer did not answer our INIT, or has fallen silent for good.
    Failed,
    /// Ended, by either side.
    Closed,
}

/// What the association has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SctpEvent {
    /// The state has changed.
    State(SctpState),
    /// A message of the peer. Never one of PPID 50.
    Message {
        /// The stream it came on.
        stream: StreamId,
        /// The message.
        message: Message,
    },
    /// The peer has reset its outgoing stream, that is, closed its data channel (RFC 8831 §6.7).
    /// Ours is being reset in turn; call [`Sctp::reset_stream`] if it was open, to learn what is
    /// discarded.
    StreamReset {
        /// The stream.
        stream: StreamId,
    },
    /// The buffered amount of a stream has fallen to or below its threshold from above it.
    BufferedAmountLow {
        /// The stream.
        stream: StreamId,
        /// Its buffered amount in bytes.
        amount: usize,
    },
    /// The peer has opened a data channel in band, and has been answered.
    ChannelOpened {
        /// The stream.
        stream: StreamId,
        /// At most 65,535 bytes.
        label: String,
        /// At most 65,535 bytes.
        protocol: String,
        /// How the peer wants both sides to send on it.
        reliability: Reliability,
    },
}

/// Why [`Sctp::send`] did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Before the message, the queued payload of the association or of the stream had reached its
    /// bound. With messages under 64 bytes the 64 bytes that each is charged for decide earlier:
    /// at twice the bound plus 64 KiB.
    #[error("send queue full")]
    Full,
    /// The association has ended, or the stream is not open.
    #[error("association or stream closed")]
    Closed,
    /// Over `max_send_message_size`.
    #[error("message too large")]
    TooLarge,
    /// SCTP carries no empty message (RFC 8831 §6.6).
    #[error("message empty")]
    Empty,
}

/// What has been dropped, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SctpCounters {
    /// Packets whose lengths lie, or with something in them that cannot be.
    pub packets_malformed: u64,
    /// Packets whose checksum, tag or ports are not those of the association.
    pub packets_foreign: u64,
    /// Packets that did not fit the state: an INIT once established, anything after the end.
    pub packets_unexpected: u64,
    /// Packets of a peer that took more than its share of our time.
    pub packets_overload: u64,
    /// Chunks that were taken out of packets, because sctp-proto must not see them.
    pub chunks_stripped: u64,
    /// Messages that outlived their lifetime before they were first sent.
    pub expired: Discarded,
    /// Messages of limited reliability that were given up after they had been sent at least in part.
    /// Some may have arrived nonetheless, and only the word of it been lost.
    pub abandoned: Discarded,
    /// Messages that were queued when the association ended.
    pub unsent: Discarded,
    /// Messages that the association did not take when their turn came.
    pub refused: Discarded,
    /// Messages of PPID 50 that were not understood, or not wanted.
    pub bad_dcep: u64,
    /// Messages whose fragments had different PPIDs.
    pub garbled: u64,
}
