//! The SCTP options of a transport, for its association and for the transport itself.

use std::time::Duration;

use crate::proto::sctp::{SctpConfig, Start};
use crate::sfu::contract::options::SctpOptions;

/// Streams that we offer in either direction: all.
pub(in crate::sfu) const STREAMS: u16 = 65_535;

/// `header` is the number of bytes that the transport may add to a message.
pub(in crate::sfu) fn config(
    options: &SctpOptions,
    header: u32,
    start: Start,
    max_packet_size: usize,
    data_channels: bool,
) -> SctpConfig {
    SctpConfig {
        max_send_message_size: options.max_send_message_size.saturating_add(header),
        max_receive_message_size: options.max_receive_message_size.saturating_add(header),
        send_buffer_size: options.send_buffer_size as usize,
        per_stream_send_queue_limit: options.per_stream_send_queue_limit as usize,
        max_receiver_window: options.max_receiver_window_buffer_size,
        buffered_amount_low_threshold: options.buffered_amount_low_threshold as usize,
        congestion_control: options.congestion_control,
        start,
        max_packet_size,
        data_channels,
        silence: options.silence.map(|millis| Duration::from_millis(millis.into())),
    }
}

/// What a transport keeps of its SCTP options: all but the message sizes, which every transport has, and
/// what only the association needs.
#[derive(Debug, Clone, Copy)]
pub(in crate::sfu) struct SctpBounds {
    pub(in crate::sfu) send_buffer_size: u32,
    pub(in crate::sfu) per_stream_send_queue_limit: u32,
    pub(in crate::sfu) buffered_amount_low_threshold: u32,
}

impl From<&SctpOptions> for SctpBounds {
    fn from(options: &SctpOptions) -> Self {
        Self {
            send_buffer_size: options.send_buffer_size,
            per_stream_send_queue_limit: options.per_stream_send_queue_limit,
            buffered_amount_low_threshold: options.buffered_amount_low_threshold,
        }
    }
}
