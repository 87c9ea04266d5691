//! What an application chooses about SCTP, and what it is shown of it.

use serde::{Deserialize, Serialize};

use crate::proto::sctp::{SctpConfig, Start};

use super::DEFAULT_MAX_MESSAGE_SIZE;

/// Streams that we offer in either direction: all.
pub(super) const STREAMS: u16 = 65_535;

/// The SCTP options of a transport. Sizes are in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SctpOptions {
    /// The largest message that may be sent.
    pub max_send_message_size: u32,
    /// The largest message that the peer may send.
    pub max_receive_message_size: u32,
    /// At this much queued payload a further message is refused.
    pub send_buffer_size: u32,
    /// The same for one stream.
    pub per_stream_send_queue_limit: u32,
    /// The upper bound of the receive window.
    pub max_receiver_window_buffer_size: u32,
    /// The threshold of `bufferedamountlow` that a DataConsumer starts with.
    pub buffered_amount_low_threshold: u32,
}

impl Default for SctpOptions {
    fn default() -> Self {
        Self {
            max_send_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            max_receive_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            send_buffer_size: 2_000_000,
            per_stream_send_queue_limit: 2_000_000,
            max_receiver_window_buffer_size: 5_242_880,
            buffered_amount_low_threshold: 1024,
        }
    }
}

impl SctpOptions {
    /// `header` is what the transport may add to a message's size.
    pub(super) fn config(
        &self,
        header: u32,
        start: Start,
        max_packet_size: usize,
        data_channels: bool,
    ) -> SctpConfig {
        SctpConfig {
            max_send_message_size: self.max_send_message_size.saturating_add(header),
            max_receive_message_size: self.max_receive_message_size.saturating_add(header),
            send_buffer_size: self.send_buffer_size as usize,
            per_stream_send_queue_limit: self.per_stream_send_queue_limit as usize,
            max_receiver_window: self.max_receiver_window_buffer_size,
            buffered_amount_low_threshold: self.buffered_amount_low_threshold as usize,
            start,
            max_packet_size,
            data_channels,
            // Of a WebRTC client's absence ICE tells.
            heartbeats: false,
        }
    }

    /// What the application is shown. `is_data_channel`: it is a WebRTC transport's.
    pub(super) fn parameters(&self, is_data_channel: bool) -> SctpParameters {
        SctpParameters {
            port: 5000,
            max_send_message_size: self.max_send_message_size,
            max_receive_message_size: self.max_receive_message_size,
            send_buffer_size: self.send_buffer_size,
            per_stream_send_queue_limit: self.per_stream_send_queue_limit,
            max_receiver_window_buffer_size: self.max_receiver_window_buffer_size,
            is_data_channel,
            os: STREAMS,
            mis: STREAMS,
            max_message_size: self.max_receive_message_size,
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

/// `transport.sctpNegotiatedCapabilities`.
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
