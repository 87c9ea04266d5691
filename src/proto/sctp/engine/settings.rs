//! How sctp-proto is configured.

use std::sync::Arc;

use sctp_proto::{Endpoint, EndpointConfig, ServerConfig, TransportConfig};

use super::super::config::SctpConfig;
use super::super::ppid;

/// RFC 9260 §16 recommends an initial RTO of 1 s. The minimum is below its 1 s, as in every WebRTC
/// stack (dcSCTP: 400 ms), so that a lost packet delays what follows less.
const RTO_INITIAL_MS: u64 = 1000;
const RTO_MIN_MS: u64 = 300;
const RTO_MAX_MS: u64 = 5000;

/// With these RTOs a handshake without an answer fails after about 37 s.
const INIT_RETRANSMITS: usize = 8;

/// The endpoint that makes one association, or answers the peer's INIT with one.
pub(super) fn endpoint(config: &SctpConfig) -> Endpoint {
    let mut settings = EndpointConfig::new();
    settings.max_payload_size(max_fragment(config.max_packet_size) as u32);
    // Without a server configuration the endpoint panics on any INIT.
    let mut server = ServerConfig::new();
    server.transport = Arc::new(transport(config));
    Endpoint::new(Arc::new(settings), Some(Arc::new(server)))
}

/// The settings of the association.
pub(super) fn transport(config: &SctpConfig) -> TransportConfig {
    // Room for the PPID that some messages carry.
    let largest = config.max_receive_message_size.saturating_add(ppid::PREFIX as u32);
    TransportConfig::default()
        .with_max_receive_buffer_size(config.receive_window())
        .with_max_receive_message_size(largest)
        // `Association::send` has checked the size.
        .with_max_send_message_size(u32::MAX)
        .with_max_init_retransmits(Some(INIT_RETRANSMITS))
        .with_max_data_retransmits(None)
        .with_rto_initial_ms(RTO_INITIAL_MS)
        .with_rto_min_ms(RTO_MIN_MS)
        .with_rto_max_ms(RTO_MAX_MS)
}

/// The payload of a full DATA chunk. It leaves room for a second chunk header, which sctp-proto does
/// not count when it bundles, so that a packet exceeds `max_packet_size` by padding only. `egress`
/// splits such a packet.
pub(super) fn max_fragment(max_packet_size: usize) -> usize {
    let overhead = 12 + 16 + 16;
    max_packet_size.saturating_sub(overhead).clamp(64, 16_384) & !3
}
