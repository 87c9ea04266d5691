//! Why a request was refused. Nothing has changed when one of these is returned.

use super::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey, WebRtcServerKey};

/// An error of the domain, with the class that JavaScript gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An argument is wrong: `TypeError`.
    #[error("{0}")]
    Type(String),
    /// The entity does not exist (any more): `NotFoundError`.
    #[error("{0}")]
    NotFound(String),
    /// Out of this library's scope: `UnsupportedError`.
    #[error("{0}")]
    Unsupported(String),
    /// Everything else: `Error`.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// The name of the JavaScript class.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Type(_) => "TypeError",
            Self::NotFound(_) => "NotFoundError",
            Self::Unsupported(_) => "UnsupportedError",
            Self::Other(_) => "Error",
        }
    }

    /// SCTP was not enabled on a transport that needs it for data.
    pub(crate) fn no_sctp() -> Self {
        Self::Other("SCTP not enabled and not a direct Transport".into())
    }
}

macro_rules! not_found {
    ($($key:ty),*) => {
        $(
            impl From<$key> for Error {
                /// The entity that this key named is not there.
                fn from(key: $key) -> Self {
                    Self::NotFound(format!("{key} not found"))
                }
            }
        )*
    };
}
not_found!(WebRtcServerKey, RouterKey, TransportKey, DataProducerKey, DataConsumerKey);

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;
