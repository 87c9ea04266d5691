//! The answers of `getStats()`. Members are named as in the JavaScript API; those of RTP stay 0.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::proto::dtls::DtlsState;
use crate::proto::ice_lite::IceState;
use crate::proto::sctp::{SctpCounters, SctpState, TransmissionStats};

use super::parameters::{Bitrates, TupleInfo};

/// The answer of `worker.getResourceUsage()`: resources that a worker's thread has used, named as in libuv's
/// `uv_rusage_t`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[allow(missing_docs, reason = "see getrusage(2)")]
pub struct ResourceUsage {
    /// User CPU time in milliseconds.
    pub ru_utime: i64,
    /// System CPU time in milliseconds.
    pub ru_stime: i64,
    /// Maximum resident set size in kilobytes; of the whole process.
    pub ru_maxrss: i64,
    pub ru_ixrss: i64,
    pub ru_idrss: i64,
    pub ru_isrss: i64,
    pub ru_minflt: i64,
    pub ru_majflt: i64,
    pub ru_nswap: i64,
    pub ru_inblock: i64,
    pub ru_oublock: i64,
    pub ru_msgsnd: i64,
    pub ru_msgrcv: i64,
    pub ru_nsignals: i64,
    pub ru_nvcsw: i64,
    pub ru_nivcsw: i64,
}

/// Counters of a DataProducer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataProducerStats {
    /// `'data-producer'`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Monotonic milliseconds.
    pub timestamp: u64,
    /// The data channel's label.
    pub label: String,
    /// The data channel's sub-protocol.
    pub protocol: String,
    /// Messages that arrived, also while paused.
    pub messages_received: u64,
    /// Their payload in bytes.
    pub bytes_received: u64,
    /// Messages that were dropped because the DataProducer was paused.
    pub messages_paused: u64,
    /// Messages that came during a pause when there was no room to hold them.
    pub messages_dropped_full: u64,
    /// Messages that are held until it is resumed.
    pub messages_waiting: usize,
    /// Messages that were dropped because they exceeded a limit, its own or that of its transport.
    pub messages_limited: u64,
    /// Their payload in bytes.
    pub bytes_limited: u64,
    /// Messages that new DataConsumers get first.
    pub messages_retained: usize,
    /// Their payload in bytes.
    pub bytes_retained: usize,
}

/// Counters of a DataConsumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataConsumerStats {
    /// `'data-consumer'`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Monotonic milliseconds.
    pub timestamp: u64,
    /// The data channel's label.
    pub label: String,
    /// The data channel's sub-protocol.
    pub protocol: String,
    /// Messages of the DataProducer that were accepted for the peer or for JavaScript.
    pub messages_sent: u64,
    /// Their payload in bytes.
    pub bytes_sent: u64,
    /// Messages in a queue whose policy may still drop them.
    pub messages_waiting: u64,
    /// Payload bytes that wait for the network or for JavaScript.
    pub buffered_amount: usize,
    /// Messages that were for this consumer and are lost: the sum of the five reasons below.
    pub messages_dropped: u64,
    /// Their payload in bytes.
    pub bytes_dropped: u64,
    /// Messages lost because the queue was full.
    pub messages_dropped_full: u64,
    /// Messages that newer ones have replaced in the queue.
    pub messages_dropped_replaced: u64,
    /// Messages that waited longer than `maxQueueDelay`.
    pub messages_dropped_stale: u64,
    /// Messages lost because they exceeded the transport's `maxSendMessageSize`.
    pub messages_dropped_too_large: u64,
    /// Messages lost because there was no association, or it no longer knew the stream.
    pub messages_dropped_unsendable: u64,
    /// Messages that came while the DataConsumer was paused.
    pub messages_paused: u64,
    /// Messages whose subchannels the DataConsumer is not subscribed to.
    pub messages_filtered: u64,
    /// Messages of `dataConsumer.send()` that were accepted for the peer.
    pub messages_sent_directly: u64,
    /// Their payload in bytes.
    pub bytes_sent_directly: u64,
    /// Messages of `dataConsumer.send()` that the worker rejected.
    pub messages_rejected: u64,
}

/// Counters of a transport.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportStats {
    /// The transport.
    pub transport_id: Uuid,
    /// Monotonic milliseconds.
    pub timestamp: u64,
    /// The association's state, if SCTP is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_state: Option<SctpState>,
    /// When the last verified packet of the peer has arrived, in monotonic milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<u64>,
    /// Bytes of all datagrams that arrived from the peer.
    pub bytes_received: u64,
    /// Bits per second that arrived, over the last second.
    pub recv_bitrate: u64,
    /// Bytes of all datagrams sent to the peer.
    pub bytes_sent: u64,
    /// Bits per second that were sent, over the last second.
    pub send_bitrate: u64,
    #[serde(flatten)]
    pub(in crate::sfu) rtp: RtpStats,
    /// The bitrate limits that the application has set.
    #[serde(flatten)]
    pub bitrates: Bitrates,
    /// What the association dropped, by reason.
    #[serde(flatten)]
    pub dropped: Option<SctpDropped>,
    /// The measurements of the path, once there is an association.
    #[serde(flatten)]
    pub transmission: Option<SctpTransmission>,
    /// Datagrams that were not from the peer (another source, or not a protocol of this transport),
    /// and STUN requests that came too fast.
    pub datagrams_dropped: u64,
    /// Messages that had no DataProducer on their stream, or that exceeded `maxReceiveMessageSize`.
    pub messages_unrouted: u64,
    /// Messages that were dropped because they exceeded the limit of the transport.
    pub messages_limited: u64,
    /// Their payload in bytes.
    pub bytes_limited: u64,
    /// Messages that were queued for streams which the peer turned out not to take.
    pub messages_dropped_unsendable: u64,
    /// Messages that were still queued when their DataConsumer closed.
    pub messages_discarded: u64,
    /// Their payload in bytes.
    pub bytes_discarded: u64,
    /// The members that only this kind of transport has.
    #[serde(flatten)]
    pub kind: KindStats,
}

/// What an association dropped, by reason; see [`SctpCounters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SctpDropped {
    /// Malformed packets: lengths that contradict one another.
    pub sctp_packets_malformed: u64,
    /// Packets whose checksum, tag or ports are not the association's.
    pub sctp_packets_foreign: u64,
    /// Packets that did not fit the association's state.
    pub sctp_packets_unexpected: u64,
    /// Packets of a peer that took more than its share of the worker's time.
    pub sctp_packets_overload: u64,
    /// Chunks that the guard removed from packets.
    pub sctp_chunks_stripped: u64,
    /// Messages whose `maxPacketLifeTime` passed before they were first sent.
    pub messages_expired: u64,
    /// Messages abandoned by `maxRetransmits` or `maxPacketLifeTime` after they had been sent at least in
    /// part; some may have arrived.
    pub messages_abandoned: u64,
    /// Messages that were queued when the association ended, or that it rejected when their turn came.
    pub messages_unsent: u64,
    /// Messages of the peer whose fragments contradict one another, and DCEP messages that were not
    /// understood.
    pub messages_garbled: u64,
}

impl From<SctpCounters> for SctpDropped {
    fn from(it: SctpCounters) -> Self {
        Self {
            sctp_packets_malformed: it.packets_malformed,
            sctp_packets_foreign: it.packets_foreign,
            sctp_packets_unexpected: it.packets_unexpected,
            sctp_packets_overload: it.packets_overload,
            sctp_chunks_stripped: it.chunks_stripped,
            messages_expired: it.expired.messages,
            messages_abandoned: it.abandoned.messages,
            messages_unsent: it.messages_unsent(),
            messages_garbled: it.messages_garbled(),
        }
    }
}

/// Measurements of the path, and retransmissions; see [`TransmissionStats`]. Times are in milliseconds, sizes in bytes
/// of payload.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SctpTransmission {
    /// The smoothed round-trip time, once it is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_round_trip_time: Option<f64>,
    /// The retransmission timeout in force.
    pub sctp_retransmission_timeout: f64,
    /// How much may be in flight.
    pub sctp_congestion_window: usize,
    /// How much is in flight.
    pub sctp_bytes_in_flight: usize,
    /// Chunks that were sent again: the sum of the four causes below.
    pub sctp_chunks_retransmitted: u64,
    /// Their payload in bytes.
    pub sctp_bytes_retransmitted: u64,
    /// Chunks that later acknowledgements showed to be lost.
    pub sctp_chunks_retransmitted_rack: u64,
    /// Their payload in bytes.
    pub sctp_bytes_retransmitted_rack: u64,
    /// Chunks that probed for an acknowledgement.
    pub sctp_chunks_retransmitted_probe: u64,
    /// Their payload in bytes.
    pub sctp_bytes_retransmitted_probe: u64,
    /// Chunks that were sent again after a timeout.
    pub sctp_chunks_retransmitted_timeout: u64,
    /// Their payload in bytes.
    pub sctp_bytes_retransmitted_timeout: u64,
    /// Chunks that a later packet carried once more.
    pub sctp_chunks_retransmitted_bundled: u64,
    /// Their payload in bytes.
    pub sctp_bytes_retransmitted_bundled: u64,
    /// Retransmissions of chunks that had arrived, without the bundled ones.
    pub sctp_spurious_retransmissions: u64,
}

impl From<TransmissionStats> for SctpTransmission {
    fn from(it: TransmissionStats) -> Self {
        // Microseconds are the resolution, so the JSON has at most three decimals.
        let millis = |time: Duration| time.as_micros() as f64 / 1000.0;
        let (all, by) = (it.retransmitted.total(), it.retransmitted);
        Self {
            sctp_round_trip_time: it.smoothed_rtt.map(millis),
            sctp_retransmission_timeout: millis(it.retransmission_timeout),
            sctp_congestion_window: it.congestion_window,
            sctp_bytes_in_flight: it.bytes_in_flight,
            sctp_chunks_retransmitted: all.chunks,
            sctp_bytes_retransmitted: all.bytes,
            sctp_chunks_retransmitted_rack: by.rack.chunks,
            sctp_bytes_retransmitted_rack: by.rack.bytes,
            sctp_chunks_retransmitted_probe: by.probe.chunks,
            sctp_bytes_retransmitted_probe: by.probe.bytes,
            sctp_chunks_retransmitted_timeout: by.timeout.chunks,
            sctp_bytes_retransmitted_timeout: by.timeout.bytes,
            sctp_chunks_retransmitted_bundled: by.bundled.chunks,
            sctp_bytes_retransmitted_bundled: by.bundled.bytes,
            sctp_spurious_retransmissions: it.spurious_retransmissions,
        }
    }
}

/// The counters of RTP, all 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sfu) struct RtpStats {
    rtp_bytes_received: u8,
    rtp_recv_bitrate: u8,
    rtp_bytes_sent: u8,
    rtp_send_bitrate: u8,
    rtx_bytes_received: u8,
    rtx_recv_bitrate: u8,
    rtx_bytes_sent: u8,
    rtx_send_bitrate: u8,
    probation_bytes_sent: u8,
    probation_send_bitrate: u8,
}

/// The statistics that depend on the kind of transport.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub enum KindStats {
    #[serde(rename = "direct-transport")]
    Direct {},
    #[serde(rename = "webrtc-transport")]
    WebRtc {
        ice_role: &'static str,
        ice_state: IceState,
        #[serde(skip_serializing_if = "Option::is_none")]
        ice_selected_tuple: Option<TupleInfo>,
        dtls_state: DtlsState,
        dtls_records_dropped: u64,
    },
    #[serde(rename = "plain-rtp-transport")]
    Plain { rtcp_mux: bool, comedia: bool, tuple: TupleInfo },
    #[serde(rename = "pipe-transport")]
    Pipe {
        tuple: TupleInfo,
        #[serde(skip_serializing_if = "Option::is_none")]
        dtls_state: Option<DtlsState>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dtls_records_dropped: Option<u64>,
    },
}
