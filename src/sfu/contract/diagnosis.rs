//! The answer of `transport.diagnose()`.

use std::net::SocketAddr;

use serde::Serialize;

use crate::proto::dtls::{Dtls, DtlsState};
use crate::proto::ice_lite::{IceState, StunCounters};
use crate::proto::sctp::SctpState;

/// What has arrived at a transport, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// What has arrived.
    pub state: Arrived,
    /// What is missing or has failed, the cause first. Empty if everything is in order.
    pub findings: Vec<Finding>,
}

/// What is missing, or has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// For programs.
    pub code: &'static str,
    /// What was seen.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// The states of a transport, and what has arrived; a member is absent if this kind of transport lacks it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct Arrived {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ice_state: Option<IceState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtls_state: Option<DtlsState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_state: Option<SctpState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stun: Option<StunArrived>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtls: Option<DtlsArrived>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp: Option<SctpArrived>,
    pub datagrams_dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_from: Option<DisplayAddr>,
}

/// The STUN requests that have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct StunArrived {
    pub received: u64,
    pub valid: u64,
    pub wrong_username: u64,
    pub wrong_integrity: u64,
    pub role_conflict: u64,
    pub malformed: u64,
    pub over_quota: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DisplayAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_from: Option<DisplayAddr>,
}

impl From<&StunCounters> for StunArrived {
    fn from(counters: &StunCounters) -> Self {
        Self {
            received: counters.received,
            valid: counters.valid,
            wrong_username: counters.wrong_username,
            wrong_integrity: counters.wrong_integrity,
            role_conflict: counters.role_conflict,
            malformed: counters.malformed,
            over_quota: counters.over_quota,
            valid_from: counters.valid_from.map(DisplayAddr),
            refused_from: counters.refused_from.map(DisplayAddr),
        }
    }
}

/// The datagrams of the DTLS session that have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct DtlsArrived {
    pub datagrams: u64,
    pub records_dropped: u64,
}

impl From<&Dtls> for DtlsArrived {
    fn from(dtls: &Dtls) -> Self {
        Self { datagrams: dtls.datagrams(), records_dropped: dtls.dropped() }
    }
}

/// What has arrived of the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct SctpArrived {
    pub packets: u64,
    pub messages_unrouted: u64,
}

/// An address as applications see it: `192.0.2.1:4000` or `[2001:db8::1]:4000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayAddr(pub SocketAddr);

impl std::fmt::Display for DisplayAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A socket for both versions shows IPv4 addresses as IPv6 ones.
        SocketAddr::new(self.0.ip().to_canonical(), self.0.port()).fmt(f)
    }
}

impl Serialize for DisplayAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
