//! What a worker reports for monitoring: counters and histograms since its start, and current amounts.
//!
//! `lib/` gives each its name, unit and description. Where a member has members, their names are the
//! values of a label.

use serde::{Serialize, Serializer};

use super::dump::{MemoryCounters, OutboxCounters, SocketCounters};
use crate::sfu::histogram::{DELAYS, Histogram, ROUND_TRIPS, TURNS};

/// The metrics of a worker.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerMetrics {
    /// What the domain has counted.
    #[serde(flatten)]
    pub sfu: SfuMetrics,
    /// What sockets have dropped.
    #[serde(flatten)]
    pub sockets: SocketCounters,
    /// What was dropped because JavaScript was busy.
    #[serde(flatten)]
    pub outbox: OutboxCounters,
    /// Seconds of CPU time that the thread has used.
    pub cpu_time: CpuTime,
    /// How long turns took.
    pub turns: Histogram<{ TURNS.len() }>,
    /// How long messages have waited for JavaScript: one in 64.
    pub java_script_delays: Histogram<{ DELAYS.len() }>,
}

/// Seconds of CPU time, by mode.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "see getrusage(2)")]
pub struct CpuTime {
    pub user: f64,
    pub system: f64,
}

/// The metrics of the domain. Bytes of messages are payload.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SfuMetrics {
    /// Entities that are open.
    pub routers: usize,
    /// Entities that are open.
    pub web_rtc_servers: usize,
    /// Entities that are open, by kind.
    pub transports: ByTransport<usize>,
    /// Entities that are open.
    pub data_producers: usize,
    /// Entities that are open.
    pub data_consumers: usize,
    /// Messages that DataProducers have received.
    pub messages_received: u64,
    /// The payload bytes of these messages.
    pub message_bytes_received: u64,
    /// Messages that DataConsumers have sent, counted once for each DataConsumer.
    pub messages_sent: u64,
    /// The payload bytes of these messages.
    pub message_bytes_sent: u64,
    /// Messages of `dataConsumer.send()`.
    pub messages_sent_directly: u64,
    /// The payload bytes of these messages.
    pub message_bytes_sent_directly: u64,
    /// Messages of `dataConsumer.send()` that the worker rejected.
    pub messages_rejected: u64,
    /// Messages that a DataConsumer was not meant to get, by reason.
    pub messages_skipped: MessagesSkipped,
    /// Messages that are lost, by reason.
    pub messages_dropped: MessagesDropped,
    /// Bytes of datagrams that have arrived from peers.
    pub bytes_received: ByNetwork,
    /// Bytes of datagrams sent to peers.
    pub bytes_sent: ByNetwork,
    /// Datagrams that were for no transport, or not from its peer.
    pub datagrams_rejected: DatagramsRejected,
    /// Inbound records that DTLS dropped.
    pub dtls_records_dropped: u64,
    /// Inbound packets that SCTP dropped.
    pub sctp_packets_dropped: PacketsDropped,
    /// Chunks that were removed from inbound packets.
    pub sctp_chunks_stripped: u64,
    /// DATA chunks that were sent again, by cause.
    pub sctp_chunks_retransmitted: Retransmissions,
    /// The payload bytes of these chunks.
    pub sctp_bytes_retransmitted: Retransmissions,
    /// DATA chunks that were sent again although they had arrived.
    pub sctp_spurious_retransmissions: u64,
    /// Smoothed round-trip times: of each association at most one a second.
    pub sctp_round_trips: Histogram<{ ROUND_TRIPS.len() }>,
    /// How long messages have waited for their peer: one in 64.
    pub queue_delays: Histogram<{ DELAYS.len() }>,
    /// Bytes that wait for peers in the queues of associations.
    pub queued_bytes: u64,
    /// The bytes in all queues together, if there is a maximum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryCounters>,
}

/// A value for each kind of transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the kinds")]
pub struct ByTransport<T> {
    pub webrtc: T,
    pub plain: T,
    pub pipe: T,
    pub direct: T,
}

/// A value for each kind of transport with a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the kinds")]
pub struct ByNetwork {
    pub webrtc: u64,
    pub plain: u64,
    pub pipe: u64,
}

/// Messages that DataConsumers were not meant to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MessagesSkipped {
    /// The DataProducer was paused. Counted once, not for each of its DataConsumers.
    pub producer_paused: u64,
    /// The DataConsumer was paused.
    pub consumer_paused: u64,
    /// The DataConsumer is not subscribed to the message's subchannels.
    pub filtered: u64,
}

/// Messages that are lost; see [`DataConsumerStats`](super::stats::DataConsumerStats) and
/// [`TransportStats`](super::stats::TransportStats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "named as there")]
pub struct MessagesDropped {
    pub limited: u64,
    pub full: u64,
    pub replaced: u64,
    pub stale: u64,
    pub too_large: u64,
    pub unsendable: u64,
    pub expired: u64,
    pub abandoned: u64,
    pub unsent: u64,
    pub discarded: u64,
    pub unrouted: u64,
    pub garbled: u64,
    pub at_close: u64,
}

/// Datagrams that were for no transport, or not from its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DatagramsRejected {
    /// To a transport, but not from its peer, or too fast.
    pub transport: u64,
    /// To a WebRtcServer, but for none of its transports.
    pub server: u64,
}

/// Packets dropped, by reason; see [`SctpDropped`](super::stats::SctpDropped).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "named as there")]
pub struct PacketsDropped {
    pub malformed: u64,
    pub foreign: u64,
    pub unexpected: u64,
    pub overload: u64,
}

/// Retransmissions, by cause; see [`SctpTransmission`](super::stats::SctpTransmission).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "named as there")]
pub struct Retransmissions {
    pub rack: u64,
    pub probe: u64,
    pub timeout: u64,
    pub bundled: u64,
}

impl<const N: usize> Serialize for Histogram<N> {
    /// In seconds: the bounds of the buckets, how many durations are in each (the last one has no bound), and the sum.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Buckets {
            bounds: Vec<f64>,
            counts: Vec<u64>,
            sum: f64,
        }
        let (bounds, mut counts): (Vec<_>, Vec<_>) = self.buckets().unzip();
        counts.push(self.longer());
        Buckets { bounds, counts, sum: self.sum().as_secs_f64() }.serialize(serializer)
    }
}
