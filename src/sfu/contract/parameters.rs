//! Parts that several of the other types share, and the arguments of events.

use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};

use crate::proto::ice_lite::Credentials;
use crate::proto::message::{Limit, Reliability, StreamId};

/// The protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenProtocol {
    /// UDP.
    Udp,
    /// TCP; only for ICE (RFC 6544).
    Tcp,
}

/// Whether data goes over SCTP or to and from JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// Over SCTP.
    Sctp,
    /// To or from JavaScript.
    Direct,
}

/// A path between us and a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct TupleInfo {
    pub local_ip: String,
    pub local_address: String,
    pub local_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    pub remote_port: u16,
    pub protocol: ListenProtocol,
}

/// An address to which a peer may send its ICE checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct IceCandidate {
    pub foundation: &'static str,
    pub priority: u32,
    pub ip: String,
    pub address: String,
    pub protocol: ListenProtocol,
    pub port: u16,
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_type: Option<&'static str>,
}

/// `webRtcTransport.iceParameters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct IceParameters {
    pub username_fragment: String,
    pub password: String,
    pub ice_lite: bool,
}

impl From<&Credentials> for IceParameters {
    fn from(credentials: &Credentials) -> Self {
        Self {
            username_fragment: credentials.username_fragment.clone(),
            password: credentials.password.clone(),
            ice_lite: true,
        }
    }
}

/// `transport.sctpParameters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct SctpParameters {
    pub port: u16,
    pub max_send_message_size: u32,
    pub max_receive_message_size: u32,
    pub send_buffer_size: u32,
    pub per_stream_send_queue_limit: u32,
    pub max_receiver_window_buffer_size: u32,
    pub is_data_channel: bool,
    #[serde(rename = "OS")]
    pub os: u16,
    #[serde(rename = "MIS")]
    pub mis: u16,
    pub max_message_size: u32,
}

/// `transport.sctpNegotiatedCapabilities`; zeros until the association is established.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct NegotiatedStreams {
    pub negotiated_max_outbound_streams: u16,
    pub negotiated_max_inbound_streams: u16,
}

impl From<(u16, u16)> for NegotiatedStreams {
    fn from((outbound, inbound): (u16, u16)) -> Self {
        Self { negotiated_max_outbound_streams: outbound, negotiated_max_inbound_streams: inbound }
    }
}

/// The stream of a data channel and its reliability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SctpStreamParameters {
    /// 0 to 65534.
    pub stream_id: StreamId,
    /// Deliver in the order of sending.
    pub ordered: bool,
    /// Milliseconds after which a message is no longer sent. At most one of the two limits is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_packet_life_time: Option<u16>,
    /// How often a message is retransmitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retransmits: Option<u16>,
}

impl SctpStreamParameters {
    pub(in crate::sfu) fn new(stream_id: StreamId, reliability: Reliability) -> Self {
        let (max_packet_life_time, max_retransmits) = match reliability.limit {
            None => (None, None),
            Some(Limit::LifetimeMs(ms)) => (Some(ms), None),
            Some(Limit::Retransmits(n)) => (None, Some(n)),
        };
        Self { stream_id, ordered: reliability.ordered, max_packet_life_time, max_retransmits }
    }

    pub(in crate::sfu) fn reliability(&self) -> Reliability {
        let lifetime = self.max_packet_life_time.map(Limit::LifetimeMs);
        let limit = lifetime.or(self.max_retransmits.map(Limit::Retransmits));
        Reliability { ordered: self.ordered, limit }
    }
}

/// A channel that the peer has opened in band. The argument of 'datachannel'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataChannelInfo {
    /// Its stream, and the reliability that the peer has chosen for both directions.
    #[serde(flatten)]
    pub stream: SctpStreamParameters,
    /// Its name.
    pub label: String,
    /// Its sub-protocol.
    pub protocol: String,
}

/// Limits in bits per second that an application sets for media; kept and shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct Bitrates {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_incoming_bitrate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_outgoing_bitrate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_outgoing_bitrate: Option<u32>,
}

/// Messages that were dropped before their DataConsumer, or not routed. The argument of 'overflow' and 'limit'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DropCount {
    /// The number of messages.
    pub messages: u64,
    /// Their payload in bytes.
    pub bytes: u64,
}

impl AddAssign for DropCount {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

impl SubAssign for DropCount {
    fn sub_assign(&mut self, other: Self) {
        self.messages -= other.messages;
        self.bytes -= other.bytes;
    }
}

impl DropCount {
    pub(in crate::sfu) fn one(payload_len: usize) -> Self {
        Self { messages: 1, bytes: payload_len as u64 }
    }

    pub(in crate::sfu) fn add(&mut self, payload_len: usize) {
        self.messages += 1;
        self.bytes += payload_len as u64;
    }
}
