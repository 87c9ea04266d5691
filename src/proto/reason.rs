//! Why the path to a peer, its session or its association failed or ended, as applications see it.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// The part of a reason that programs read. A code keeps its name and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// DTLS: the peer's certificate matches none of the given fingerprints.
    FingerprintMismatch,
    /// DTLS: the peer's certificate is not ECDSA on P-256 or P-384, or there is none.
    CertificateUnsupported,
    /// DTLS: the peer rejected our certificate.
    CertificateRejected,
    /// DTLS: both sides are the client.
    RoleConflict,
    /// DTLS, SCTP: the handshake did not complete in time.
    HandshakeTimeout,
    /// DTLS: the handshake failed in another way.
    HandshakeFailed,
    /// ICE: no valid STUN request arrived in time (RFC 7675 §5.1).
    ConsentExpired,
    /// ICE: the TCP connection that was the last path closed.
    ConnectionClosed,
    /// ICE: another transport has claimed the last path.
    PathTaken,
    /// DTLS, SCTP: the peer closed it in an orderly way.
    PeerClosed,
    /// DTLS, SCTP: the peer ended it with an error.
    PeerAborted,
    /// SCTP: the peer stopped answering.
    PeerSilent,
    /// SCTP: a message of the peer exceeded the maximum.
    MessageTooLarge,
    /// SCTP: fragments of unfinished messages filled the receive buffer.
    ReceiveBufferExhausted,
    /// DTLS, SCTP: the peer broke another rule of the protocol, or exceeded another bound.
    ProtocolViolation,
}

impl Code {
    /// The code as applications see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FingerprintMismatch => "fingerprint-mismatch",
            Self::CertificateUnsupported => "certificate-unsupported",
            Self::CertificateRejected => "certificate-rejected",
            Self::RoleConflict => "role-conflict",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::HandshakeFailed => "handshake-failed",
            Self::ConsentExpired => "consent-expired",
            Self::ConnectionClosed => "connection-closed",
            Self::PathTaken => "path-taken",
            Self::PeerClosed => "peer-closed",
            Self::PeerAborted => "peer-aborted",
            Self::PeerSilent => "peer-silent",
            Self::MessageTooLarge => "message-too-large",
            Self::ReceiveBufferExhausted => "receive-buffer-exhausted",
            Self::ProtocolViolation => "protocol-violation",
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Why something failed or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// For programs.
    pub code: Code,
    /// For people, in one sentence.
    pub message: Cow<'static, str>,
}

impl Reason {
    /// Makes a reason.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}
