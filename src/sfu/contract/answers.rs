//! The results of requests that are neither dumps nor statistics.

use serde::Serialize;
use uuid::Uuid;

use crate::proto::certificate::Fingerprint;
use crate::proto::dtls::DtlsRole;

use super::parameters::{IceCandidate, IceParameters, SctpParameters, TupleInfo};

/// The answer to the start of a worker.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerAnswer {
    /// The fingerprints of the certificate that all WebRTC transports of the worker present.
    pub dtls_fingerprints: Vec<Fingerprint>,
}

/// The answer to the creation of an entity that has no more to return than its id.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CreatedAnswer {
    /// The entity's id.
    pub id: Uuid,
}

/// The answer of `router.createWebRtcTransport()`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct WebRtcTransportAnswer {
    pub id: Uuid,
    pub ice_parameters: IceParameters,
    pub ice_candidates: Vec<IceCandidate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_parameters: Option<SctpParameters>,
}

/// The answer of `router.createPlainTransport()` and `router.createPipeTransport()`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct UdpTransportAnswer {
    pub id: Uuid,
    pub tuple: TupleInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_parameters: Option<SctpParameters>,
}

/// The answer of `webRtcTransport.connect()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebRtcConnectAnswer {
    /// The DTLS role that we take.
    pub dtls_local_role: DtlsRole,
}

/// The answer of `connect()` of plain and pipe transports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UdpConnectAnswer {
    /// The path to the peer.
    pub tuple: TupleInfo,
    /// The DTLS role that we take, if the transport encrypts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtls_local_role: Option<DtlsRole>,
}
