//! Why a request is rejected. When one of these is returned, nothing has changed but the counters of a
//! DataConsumer whose message was dropped.
//!
//! Each reason is a variant with its text, except that the texts about certificates are in
//! [`CertificateError`]. [`Error::name`] names the JavaScript class, which `lib/errors.js` looks up. What `lib/`
//! can check by itself has no variant.

use std::net::{IpAddr, SocketAddr};

use uuid::Uuid;

use crate::proto::certificate::CertificateError;
use crate::proto::message::StreamId;

use super::contract::parameters::ListenProtocol;
use super::id::{EntityKey, TransportKey};

/// An error of the domain or of the runtime. The texts are the documentation of most variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text says it")]
pub enum Error {
    /// The JSON is not that of the options: an error in `lib/`.
    #[error("invalid options: {0}")]
    InvalidOptions(String),
    #[error("{key} is not a {expected}")]
    WrongKind { key: TransportKey, expected: &'static str },
    #[error("{0} has no remote address to connect to")]
    NoRemoteAddress(TransportKey),
    #[error("cannot connect to {remote}: this transport listens on {local}")]
    OtherAddressFamily { remote: SocketAddr, local: IpAddr },
    #[error("empty iceCandidates: enableUdp and enableTcp leave no address to listen on")]
    NoIceCandidates,
    #[error("missing sctpStreamParameters")]
    NoStreamParameters,
    /// The consumer's own limit and the one that it has from its producer, of the other kind.
    #[error("cannot provide both maxPacketLifeTime and maxRetransmits")]
    TwoLimits,
    #[error("invalid DataConsumer type")]
    DirectDataConsumer,
    #[error("given message exceeds maxMessageSize value [maxMessageSize:{max}, len:{len}]")]
    MessageTooLarge { max: u32, len: usize },
    #[error("a DataProducer with same id \"{id}\" already exists")]
    DataProducerExists { id: Uuid, same_transport: bool },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("dtlsCertificateFile and dtlsPrivateKeyFile belong together")]
    HalfCertificate,
    #[error("a port range from {min} to {max} has no port")]
    EmptyPortRange { min: u16, max: u16 },

    #[error("{0} not found")]
    NotFound(EntityKey),
    #[error("DataProducer with id \"{0}\" not found")]
    DataProducerIdNotFound(Uuid),

    #[error("SCTP not enabled and not a direct Transport")]
    NoSctp,
    #[error("wrong webRtcServerId (no associated WebRtcServer found)")]
    NoWebRtcServer,
    #[error("connect() already called")]
    AlreadyConnected,
    #[error("streamId already exists in SCTP listener [streamId:{0}]")]
    StreamProduced(StreamId),
    #[error("streamId already in use [streamId:{0}]")]
    StreamInUse(StreamId),
    #[error("no free SCTP stream id on this transport")]
    NoFreeStream,
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
    /// An answer that is no JSON: an error in Rust.
    #[error("invalid answer: {0}")]
    InvalidAnswer(String),
}

impl Error {
    /// The name of the JavaScript class.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Certificate(CertificateError::Rsa) => "UnsupportedError",
            Self::NotFound(_) | Self::DataProducerIdNotFound(_) => "NotFoundError",
            Self::InvalidOptions(_)
            | Self::WrongKind { .. }
            | Self::NoRemoteAddress(_)
            | Self::OtherAddressFamily { .. }
            | Self::NoIceCandidates
            | Self::NoStreamParameters
            | Self::TwoLimits
            | Self::DirectDataConsumer
            | Self::MessageTooLarge { .. }
            | Self::DataProducerExists { same_transport: true, .. }
            | Self::Certificate(_)
            | Self::HalfCertificate
            | Self::EmptyPortRange { .. } => "TypeError",
            Self::DataProducerExists { same_transport: false, .. }
            | Self::NoSctp
            | Self::NoWebRtcServer
            | Self::AlreadyConnected
            | Self::StreamProduced(_)
            | Self::StreamInUse(_)
            | Self::NoFreeStream
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
