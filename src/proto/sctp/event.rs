//! What an association reports: states, events and the errors of sending.

use serde::Serialize;

use super::wire::cause;
use crate::proto::message::{Message, Reliability, StreamId};
use crate::proto::reason::{Code, Reason};

/// The state of the association. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SctpState {
    /// [`Association::connect`] has not been called.
    ///
    /// [`Association::connect`]: super::Association::connect
    New,
    /// Waiting for the peer's INIT, or for its answer to ours.
    Connecting,
    /// Established.
    Connected,
    /// The peer did not answer our INIT, or stopped answering HEARTBEATs.
    Failed,
    /// Ended by either side.
    Closed,
}

/// Why an association ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// [`Association::abort`] was called.
    ///
    /// [`Association::abort`]: super::Association::abort
    #[error("this side aborted the association")]
    ThisSide,
    /// The DTLS session below ended, for this reason.
    #[error("{}", .0.message)]
    Session(Reason),
    /// The peer sent a SHUTDOWN.
    #[error("the peer shut the association down")]
    PeerShutdown,
    /// The peer sent an ABORT, with this error cause (RFC 9260 §3.3.10).
    #[error("the peer aborted the association, {}", cause_text(*.0))]
    PeerAbort(Option<u16>),
    /// The peer did not complete the handshake.
    #[error("the peer did not answer the handshake")]
    HandshakeTimeout,
    /// The peer stopped answering HEARTBEATs.
    #[error("the peer answered no HEARTBEAT")]
    Silence,
    /// The peer sent a message of more than this many bytes, our maximum.
    #[error("the peer sent a message over the maximum of {0} bytes")]
    MessageTooLarge(usize),
    /// The peer filled the receive buffer with fragments that complete no message.
    #[error("the peer filled the receive buffer with fragments that complete no message")]
    ReceiveBufferExhausted,
    /// The peer broke this rule, or would have exceeded this bound.
    #[error("aborted because of the peer: {0}")]
    Violation(String),
}

impl EndReason {
    /// The state that an association has after this end.
    pub(super) fn state(&self) -> SctpState {
        match self {
            Self::HandshakeTimeout | Self::Silence => SctpState::Failed,
            _ => SctpState::Closed,
        }
    }

    /// Whether either side meant the association to end.
    pub fn is_intended(&self) -> bool {
        matches!(
            self,
            Self::ThisSide
                | Self::PeerShutdown
                | Self::Session(Reason { code: Code::PeerClosed, .. })
                | Self::PeerAbort(None | Some(cause::USER_INITIATED))
        )
    }

    /// The reason as applications see it. `None` if the application itself has ended the association.
    pub fn reason(&self) -> Option<Reason> {
        let code = match self {
            Self::ThisSide => return None,
            Self::Session(reason) => return Some(reason.clone()),
            Self::PeerShutdown | Self::PeerAbort(None | Some(cause::USER_INITIATED)) => {
                Code::PeerClosed
            }
            Self::PeerAbort(_) => Code::PeerAborted,
            Self::HandshakeTimeout => Code::HandshakeTimeout,
            Self::Silence => Code::PeerSilent,
            Self::MessageTooLarge(_) => Code::MessageTooLarge,
            Self::ReceiveBufferExhausted => Code::ReceiveBufferExhausted,
            Self::Violation(_) => Code::ProtocolViolation,
        };
        Some(Reason::new(code, self.to_string()))
    }
}

fn cause_text(cause: Option<u16>) -> String {
    match cause {
        None => "without a cause".into(),
        Some(cause::OUT_OF_RESOURCE) => "cause: out of resource".into(),
        Some(cause::USER_INITIATED) => "cause: user-initiated".into(),
        Some(cause::PROTOCOL_VIOLATION) => "cause: protocol violation".into(),
        Some(code) => format!("cause {code}"),
    }
}

/// What an association reports through [`Association::poll_event`].
///
/// [`Association::poll_event`]: super::Association::poll_event
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SctpEvent {
    /// The state changed.
    State(SctpState),
    /// A message of the peer. Never one of PPID 50.
    Message {
        /// The stream it arrived on.
        stream: StreamId,
        /// The message.
        message: Message,
    },
    /// A message of PPID 50 of a peer whose streams are no data channels.
    Control {
        /// The stream it arrived on.
        stream: StreamId,
        /// The message.
        message: Message,
    },
    /// The peer reset its outgoing stream, that is, closed its data channel (RFC 8831 §6.7). Ours
    /// is being reset in return; call [`Association::reset_stream`] if it was open, which returns
    /// what is discarded.
    ///
    /// [`Association::reset_stream`]: super::Association::reset_stream
    StreamReset {
        /// The stream.
        stream: StreamId,
    },
    /// The buffered amount of a stream fell to its threshold or below.
    BufferedAmountLow {
        /// The stream.
        stream: StreamId,
        /// Its buffered amount in bytes.
        amount: usize,
    },
    /// What `stream` had sent when [`Association::fence`] was called has been acknowledged, or dropped and counted.
    ///
    /// [`Association::fence`]: super::Association::fence
    FencePassed {
        /// The stream.
        stream: StreamId,
        /// The number of the fence.
        fence: u32,
    },
    /// The messages that waited to be taken when [`Association::fence_arrivals`] was called have been taken.
    ///
    /// [`Association::fence_arrivals`]: super::Association::fence_arrivals
    ArrivalsTaken {
        /// The number of the fence.
        fence: u32,
    },
    /// The peer opened a data channel in band. The DATA_CHANNEL_ACK is sent without a further call.
    ChannelOpened {
        /// The stream.
        stream: StreamId,
        /// At most 65,535 bytes.
        label: String,
        /// At most 65,535 bytes.
        protocol: String,
        /// How the peer wants both sides to send on the channel.
        reliability: Reliability,
    },
}

/// Why [`Association::send`] rejected a message.
///
/// [`Association::send`]: super::Association::send
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queued payload of the association or of the stream had already reached its bound. For
    /// messages under 64 bytes the charge of 64 bytes per message decides earlier: at twice the
    /// bound plus 64 KiB.
    #[error("the send queue is full")]
    Full,
    /// The association has ended, or the stream is not open.
    #[error("the association or the stream is closed")]
    Closed,
    /// Over `max_send_message_size`.
    #[error("the message exceeds max_send_message_size")]
    TooLarge,
    /// SCTP carries no empty message (RFC 8831 §6.6).
    #[error(
        "message is empty, which SCTP cannot carry: send one byte with the PPID of an empty message"
    )]
    Empty,
}
