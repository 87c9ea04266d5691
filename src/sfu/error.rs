//! Why a request is rejected. When one of these is returned, nothing has changed but the counters of a
//! DataConsumer whose message was dropped.
//!
//! Each reason is a variant with its text, except that the texts about certificates are in
//! [`CertificateError`]. [`Error::name`] names the JavaScript class, which `lib/errors.js` looks up. What `lib/`
//! checks by itself has no variant: if it fails to, that is an [`Error::InvalidOptions`] or an
//! [`Error::WrongKind`].

use std::net::{IpAddr, SocketAddr};

use uuid::Uuid;

use crate::proto::certificate::CertificateError;
use crate::proto::message::StreamId;

use super::contract::parameters::ListenProtocol;
use super::id::EntityKey;

/// An error of the domain or of the runtime. The texts are the documentation of most variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text says it")]
pub enum Error {
    /// `lib/` has not checked or completed the options: an error in `lib/`.
    #[error("invalid options: {0}")]
    InvalidOptions(String),
    /// `lib/` has no such method on this kind of object: an error in `lib/`.
    #[error("{key} is not a {expected}")]
    WrongKind { key: EntityKey, expected: &'static str },
    #[error("cannot connect to {remote}: this transport listens on {local}")]
    OtherAddressFamily { remote: SocketAddr, local: IpAddr },
    #[error(
        "empty iceCandidates: enableUdp and enableTcp exclude every address of the webRtcServer or listenInfos"
    )]
    NoIceCandidates,
    /// The DataConsumer gives one kind of limit and inherits the other kind from its DataProducer.
    #[error(
        "cannot provide both maxPacketLifeTime and maxRetransmits (got {lifetime} and {retransmits})"
    )]
    TwoLimits { lifetime: u16, retransmits: u16 },
    /// Our DTLS role says which streams are ours.
    #[error("negotiated: false needs the DTLS role of the transport: call connect() first")]
    ConnectFirst,
    #[error("message of {len} bytes exceeds maxSendMessageSize ({max}) of the transport")]
    MessageTooLarge { max: u32, len: usize },
    #[error("a DataProducer with same id \"{id}\" already exists")]
    DataProducerExists { id: Uuid, same_transport: bool },
    #[error(
        "the transport has no SCTP packets to capture: enableSctp is false, or both ends are in this process"
    )]
    NoPackets,
    #[error(transparent)]
    Certificate(#[from] CertificateError),

    #[error("the {} is closed", .0.entity())]
    NotFound(EntityKey),
    #[error("DataProducer with id \"{0}\" not found")]
    DataProducerIdNotFound(Uuid),

    #[error("the WebRtcServer is closed (wrong webRtcServerId (no associated WebRtcServer found))")]
    NoWebRtcServer,
    #[error("connect() already called")]
    AlreadyConnected,
    #[error("streamId already exists in SCTP listener [streamId:{0}]")]
    StreamProduced(StreamId),
    #[error("streamId already in use [streamId:{0}]")]
    StreamInUse(StreamId),
    #[error("the peer takes only {limit} streams: streamId {stream} is too high")]
    StreamBeyondLimit { stream: StreamId, limit: u16 },
    #[error("no free SCTP stream id on this transport, whose peer takes {0} streams")]
    NoFreeStream(u16),
    #[error(
        "overflow 'block' is not supported over PipeTransports that connect() has connected: one association has one \
         window, so one DataConsumer would hold up all DataProducers between two hosts. pipeToRouter() supports it"
    )]
    BlockOverPipe,
    #[error(
        "only a DataProducer of a PipeTransport that the application has connected can move, and only to another one of \
         the same Router"
    )]
    NotMovable,
    #[error(
        "limit.action 'block' is not supported on PipeTransports that connect() has connected: one association has one \
         window, so the limit of one DataProducer would hold up all between two hosts"
    )]
    LimitOverPipe,
    #[error("message send failed")]
    SendFailed,
    #[error("sctpsendbufferfull")]
    SendBufferFull,
    #[error("cannot bind {} {address}: {error}", name(*.protocol))]
    Bind { protocol: ListenProtocol, address: SocketAddr, error: String },
    #[error("cannot bind {} {ip} to any port from {min} to {max}: {error}", name(*.protocol))]
    BindInRange { protocol: ListenProtocol, ip: IpAddr, min: u16, max: u16, error: String },
    #[error("cannot listen on {ip}: {error}")]
    Listen { ip: IpAddr, error: String },
    #[error("cannot start the worker: {0}")]
    Start(String),
    /// An answer that is not JSON: an error in Rust.
    #[error("the worker's answer cannot be written as JSON: {0}")]
    InvalidAnswer(String),
}

impl Error {
    pub(super) fn wrong_kind(key: impl Into<EntityKey>, expected: &'static str) -> Self {
        Self::WrongKind { key: key.into(), expected }
    }

    /// The name of the JavaScript class.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Certificate(CertificateError::Rsa)
            | Self::NoPackets
            | Self::BlockOverPipe
            | Self::NotMovable
            | Self::LimitOverPipe => "UnsupportedError",
            // The system failed and no argument is wrong, so this is a plain Error.
            Self::Certificate(CertificateError::Generate) => "Error",
            Self::NotFound(_) | Self::DataProducerIdNotFound(_) => "NotFoundError",
            Self::InvalidOptions(_)
            | Self::WrongKind { .. }
            | Self::OtherAddressFamily { .. }
            | Self::NoIceCandidates
            | Self::TwoLimits { .. }
            | Self::ConnectFirst
            | Self::MessageTooLarge { .. }
            | Self::DataProducerExists { same_transport: true, .. }
            | Self::Certificate(_) => "TypeError",
            Self::DataProducerExists { same_transport: false, .. }
            | Self::NoWebRtcServer
            | Self::AlreadyConnected
            | Self::StreamProduced(_)
            | Self::StreamInUse(_)
            | Self::StreamBeyondLimit { .. }
            | Self::NoFreeStream(_)
            | Self::SendFailed
            | Self::SendBufferFull
            | Self::Bind { .. }
            | Self::BindInRange { .. }
            | Self::Listen { .. }
            | Self::Start(_)
            | Self::InvalidAnswer(_) => "Error",
        }
    }
}

impl<K: Into<EntityKey>> From<K> for Error {
    fn from(key: K) -> Self {
        Self::NotFound(key.into())
    }
}

fn name(protocol: ListenProtocol) -> &'static str {
    match protocol {
        ListenProtocol::Udp => "udp",
        ListenProtocol::Tcp => "tcp",
    }
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certificate_that_the_application_gave_is_a_type_error() {
        let name = |error: CertificateError| Error::from(error).name();
        assert_eq!(name(CertificateError::Mismatch), "TypeError");
        assert_eq!(name(CertificateError::Rsa), "UnsupportedError");
        assert_eq!(name(CertificateError::Generate), "Error");
    }
}
