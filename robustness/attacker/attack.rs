//! The input and the outcome of an attack.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datasoup::proto::certificate::Fingerprint;
use serde::Deserialize;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The target, and what an insider knows about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    /// The attacker's own port, if it matters.
    pub(crate) local_port: Option<u16>,
    pub(crate) username_fragment: Option<String>,
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// The stream of the target's DataProducer.
    #[serde(default)]
    pub(crate) stream_id: u16,
}

impl Target {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// Set when the attack is to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The outcome of an attack.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How much was sent, in the unit of the kind.
    pub(crate) sent: u64,
    /// Whether the target ended the session.
    pub(crate) ended: bool,
}
