//! What an application chooses about SCTP, for the association, and what it is shown of it.

use crate::proto::sctp::{SctpConfig, Start};
use crate::sfu::contract::options::SctpOptions;
use crate::sfu::contract::parameters::SctpParameters;

/// Streams that we offer in either direction: all.
pub(in crate::sfu) const STREAMS: u16 = 65_535;

/// `header` is what the transport may add to a message's size.
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
        start,
        max_packet_size,
        data_channels,
        // Of a WebRTC client's absence ICE tells.
        heartbeats: false,
    }
}

/// What the application is shown. `is_data_channel`: it is a WebRTC transport's.
pub(in crate::sfu) fn parameters(options: &SctpOptions, is_data_channel: bool) -> SctpParameters {
    SctpParameters {
        port: 5000,
        max_send_message_size: options.max_send_message_size,
        max_receive_message_size: options.max_receive_message_size,
        send_buffer_size: options.send_buffer_size,
        per_stream_send_queue_limit: options.per_stream_send_queue_limit,
        max_receiver_window_buffer_size: options.max_receiver_window_buffer_size,
        is_data_channel,
        os: STREAMS,
        mis: STREAMS,
        max_message_size: options.max_receive_message_size,
    }
}
