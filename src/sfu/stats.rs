//! What `getStats()` answers. Field names are those of the JavaScript API; RTP counters stay 0.

use std::time::{Duration, Instant};

use serde::Serialize;
use uuid::Uuid;

use crate::proto::dtls::DtlsState;
use crate::proto::ice_lite::IceState;
use crate::proto::sctp::{SctpCounters, SctpState};

use super::transport::TupleInfo;

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
    /// Those of them that came while it was paused, and went nowhere.
    pub messages_paused: u64,
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
    /// Messages accepted for the peer or for JavaScript.
    pub messages_sent: u64,
    /// Their payload in bytes.
    pub bytes_sent: u64,
    /// Payload bytes that wait for the network or for JavaScript.
    pub buffered_amount: usize,
    /// Messages that were for this consumer and are lost: the sum of the three reasons below.
    pub messages_dropped: u64,
    /// Their payload in bytes.
    pub bytes_dropped: u64,
    /// Lost as too much waited already.
    pub messages_dropped_full: u64,
    /// Lost as they were over the transport's `maxSendMessageSize`.
    pub messages_dropped_too_large: u64,
    /// Lost as there was no association, or it did not know the stream any more.
    pub messages_dropped_unsendable: u64,
    /// Messages that came while it was paused.
    pub messages_paused: u64,
    /// Messages whose subchannels are not among its own.
    pub messages_filtered: u64,
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
    /// Bytes of all datagrams that arrived from the peer.
    pub bytes_received: u64,
    /// Bits per second, about now.
    pub recv_bitrate: u64,
    /// Bytes of all datagrams sent to the peer.
    pub bytes_sent: u64,
    /// Bits per second, about now.
    pub send_bitrate: u64,
    #[serde(flatten)]
    pub(super) rtp: RtpStats,
    /// As set by the application.
    #[serde(flatten)]
    pub bitrates: Bitrates,
    /// What the association dropped, by reason.
    #[serde(flatten)]
    pub dropped: Option<SctpDropped>,
    /// Datagrams that were not from the peer (another source, or not a protocol of this transport),
    /// and STUN requests that came too fast.
    pub datagrams_dropped: u64,
    /// Data messages that belonged to no DataProducer, or came while their size was not allowed.
    pub messages_unrouted: u64,
    /// Messages that were still queued when their DataConsumer closed.
    pub messages_discarded: u64,
    /// Their payload in bytes.
    pub bytes_discarded: u64,
    /// What depends on the kind.
    #[serde(flatten)]
    pub kind: KindStats,
}

/// What an association dropped, by reason; see [`SctpCounters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SctpDropped {
    /// Packets whose lengths lie.
    pub sctp_packets_malformed: u64,
    /// Packets whose checksum, tag or ports are not the association's.
    pub sctp_packets_foreign: u64,
    /// Packets that did not fit the association's state.
    pub sctp_packets_unexpected: u64,
    /// Packets of a peer that took more than its share of the worker's time.
    pub sctp_packets_overload: u64,
    /// Chunks that were taken out of packets.
    pub sctp_chunks_stripped: u64,
    /// Messages whose `maxPacketLifeTime` passed before they were first sent.
    pub messages_expired: u64,
    /// Messages given up by `maxRetransmits` or `maxPacketLifeTime` after they had been sent at least in
    /// part; some may have arrived all the same.
    pub messages_abandoned: u64,
    /// Messages that were queued when the association ended, or that it did not take when their turn came.
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
            messages_unsent: it.unsent.messages + it.refused.messages,
            messages_garbled: it.garbled + it.bad_dcep,
        }
    }
}

/// Limits that an application sets for media; kept and shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct Bitrates {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_incoming_bitrate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_outgoing_bitrate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_outgoing_bitrate: Option<f64>,
}

/// The counters of RTP, all 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RtpStats {
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

/// What depends on the kind of transport.
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
    Pipe { tuple: TupleInfo },
}

/// Counts bytes and estimates their rate over the last second. Idle, it costs nothing.
#[derive(Debug)]
pub(super) struct Meter {
    total: u64,
    window_start: Instant,
    current: u64,
    previous: u64,
}

const WINDOW: Duration = Duration::from_secs(1);

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { total: 0, window_start: now, current: 0, previous: 0 }
    }

    pub(super) fn add(&mut self, now: Instant, bytes: usize) {
        self.advance(now);
        self.total += bytes as u64;
        self.current += bytes as u64;
    }

    /// All bytes ever.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Bits per second: this window's bytes, and of the window before it the part that the last
    /// second still overlaps.
    pub(super) fn bitrate(&mut self, now: Instant) -> u64 {
        self.advance(now);
        let elapsed = now.saturating_duration_since(self.window_start);
        let overlap = 1.0 - elapsed.as_secs_f64().min(1.0);
        ((self.current as f64 + self.previous as f64 * overlap) * 8.0) as u64
    }

    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.window_start);
        if elapsed < WINDOW {
            return;
        }
        let next_window = elapsed < 2 * WINDOW;
        self.previous = if next_window { self.current } else { 0 };
        self.window_start = if next_window { self.window_start + WINDOW } else { now };
        self.current = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn the_bitrate_is_that_of_the_last_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut meter = Meter::new(start);
        meter.add(at(0), 1000);
        assert_eq!(meter.bitrate(at(500)), 8000);
        assert_eq!(meter.bitrate(at(1500)), 4000);
        assert_eq!(meter.bitrate(at(2500)), 0);
        assert_eq!(meter.total(), 1000);
    }
}
