//! The answers of `dump()`. Members are named as in the JavaScript API; those of media stay empty.

use serde::Serialize;
use uuid::Uuid;

use crate::proto::certificate::Fingerprint;
use crate::proto::dtls::{DtlsRole, DtlsState};
use crate::proto::ice_lite::IceState;
use crate::proto::message::StreamId;
use crate::proto::sctp::SctpState;

use super::parameters::{
    DataType, IceCandidate, IceParameters, NegotiatedStreams, SctpParameters, SctpStreamParameters,
    TupleInfo,
};

/// A list that only media fills: always `[]`.
type Nothing = [(); 0];

/// One entry of a map, as mediasoup writes maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "a key and its value")]
pub struct KeyValue<K, V> {
    pub key: K,
    pub value: V,
}

/// One entry of a multimap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "a key and its values")]
pub struct KeyValues<K, V> {
    pub key: K,
    pub values: Vec<V>,
}

/// Counts what a worker's sockets have dropped since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketCounters {
    /// Datagrams that neither the kernel nor the buffer of a TCP connection took.
    pub datagrams_unsent: u64,
    /// Datagrams that the kernel dropped because a socket's receive buffer was full.
    pub datagrams_overflowed: u64,
    /// Datagrams from an address to which no answer can be sent: port 0, or not the address of a single host.
    pub datagrams_unanswerable: u64,
    /// TCP connections without a valid STUN request in time, evicted before one came, or with a frame of an
    /// impossible length.
    pub tcp_connections_dropped: u64,
}

/// Counts what was dropped since the start because JavaScript was too busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxCounters {
    /// Events that were merged into later ones of their kind.
    pub events_merged: u64,
    /// Log lines dropped at a bound.
    pub log_lines_dropped: u64,
}

/// What all queues of a worker hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryCounters {
    /// The charged bytes of all messages that the worker holds.
    pub bytes_held: u64,
    /// Messages that `send()` rejected, or that were dropped for a DataConsumer, because of `maxMemory`.
    pub messages_dropped_memory: u64,
}

/// The answer of `worker.dump()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct WorkerDump {
    pub pid: u32,
    #[serde(flatten)]
    pub sockets: SocketCounters,
    #[serde(flatten)]
    pub outbox: OutboxCounters,
    #[serde(flatten)]
    pub memory: MemoryCounters,
    /// Messages that were sent or had arrived, and were not routed before their DataProducer closed.
    pub messages_dropped_at_close: u64,
    pub web_rtc_server_ids: Vec<Uuid>,
    pub router_ids: Vec<Uuid>,
    pub channel_message_handlers: ChannelMessageHandlers,
}

/// The ids of everything that a worker can be asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct ChannelMessageHandlers {
    pub channel_request_handlers: Vec<Uuid>,
    pub channel_notification_handlers: Vec<Uuid>,
}

/// The answer of `webRtcServer.dump()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct WebRtcServerDump {
    pub id: Uuid,
    pub udp_sockets: Vec<IpPort>,
    pub tcp_servers: Vec<IpPort>,
    pub web_rtc_transport_ids: Vec<Uuid>,
    pub local_ice_username_fragments: Vec<LocalIceUsernameFragment>,
    pub datagrams_dropped: u64,
}

/// A bound address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct IpPort {
    pub ip: String,
    pub port: u16,
}

/// A username fragment, and the transport that gets the STUN requests with it on a shared port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct LocalIceUsernameFragment {
    pub local_ice_username_fragment: String,
    pub web_rtc_transport_id: Uuid,
}

/// The answer of `router.dump()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct RouterDump {
    pub id: Uuid,
    pub transport_ids: Vec<Uuid>,
    pub(in crate::sfu) rtp_observer_ids: Nothing,
    pub(in crate::sfu) map_producer_id_consumer_ids: Nothing,
    pub(in crate::sfu) map_consumer_id_producer_id: Nothing,
    pub(in crate::sfu) map_producer_id_observer_ids: Nothing,
    pub map_data_producer_id_data_consumer_ids: Vec<KeyValues<Uuid, Uuid>>,
    pub map_data_consumer_id_data_producer_id: Vec<KeyValue<Uuid, Uuid>>,
}

/// The answer of `transport.dump()`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct TransportDump {
    pub id: Uuid,
    pub(in crate::sfu) producer_ids: Nothing,
    pub(in crate::sfu) consumer_ids: Nothing,
    pub(in crate::sfu) map_ssrc_consumer_id: Nothing,
    pub(in crate::sfu) map_rtx_ssrc_consumer_id: Nothing,
    pub data_producer_ids: Vec<Uuid>,
    pub data_consumer_ids: Vec<Uuid>,
    pub(in crate::sfu) recv_rtp_header_extensions: Empty,
    pub(in crate::sfu) rtp_listener: RtpListener,
    pub max_send_message_size: u32,
    pub max_receive_message_size: u32,
    #[serde(flatten)]
    pub sctp: Option<SctpDump>,
    pub(in crate::sfu) trace_event_types: Nothing,
    #[serde(flatten)]
    pub kind: KindDump,
}

/// `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(in crate::sfu) struct Empty {}

/// The tables of RTP, empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sfu) struct RtpListener {
    ssrc_table: Nothing,
    mid_table: Nothing,
    rid_table: Nothing,
}

/// What the dump of a transport with SCTP has besides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct SctpDump {
    pub sctp_parameters: SctpParameters,
    pub sctp_state: SctpState,
    pub sctp_negotiated_capabilities: NegotiatedStreams,
    pub sctp_listener: SctpListener,
}

/// Which DataProducer each of the peer's streams belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct SctpListener {
    pub stream_id_table: Vec<KeyValue<StreamId, Uuid>>,
}

/// What depends on the kind of transport.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub enum KindDump {
    Direct {},
    WebRtc {
        ice_role: &'static str,
        ice_parameters: IceParameters,
        ice_candidates: Vec<IceCandidate>,
        ice_state: IceState,
        #[serde(skip_serializing_if = "Option::is_none")]
        ice_selected_tuple: Option<TupleInfo>,
        dtls_parameters: DtlsParametersDump,
        dtls_state: DtlsState,
    },
    Plain {
        rtcp_mux: bool,
        comedia: bool,
        tuple: TupleInfo,
    },
    Pipe {
        tuple: TupleInfo,
        rtx: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        dtls_parameters: Option<DtlsParametersDump>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dtls_state: Option<DtlsState>,
    },
}

/// Our role and our certificate's fingerprints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct DtlsParametersDump {
    pub fingerprints: Vec<Fingerprint>,
    pub role: DtlsRole,
}

/// The answer of `dataProducer.dump()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct DataProducerDump {
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: DataType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_stream_parameters: Option<SctpStreamParameters>,
    pub label: String,
    pub protocol: String,
    pub paused: bool,
}

/// The answer of `dataConsumer.dump()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct DataConsumerDump {
    pub id: Uuid,
    pub data_producer_id: Uuid,
    #[serde(rename = "type")]
    pub kind: DataType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_stream_parameters: Option<SctpStreamParameters>,
    pub label: String,
    pub protocol: String,
    pub buffered_amount: usize,
    pub buffered_amount_low_threshold: usize,
    pub paused: bool,
    pub data_producer_paused: bool,
    pub subchannels: Vec<u16>,
}
