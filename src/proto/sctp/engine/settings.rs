//! How sctp-proto is configured.

use std::sync::Arc;

use bytes::Bytes;
use sctp_proto::{ClientConfig, Endpoint, EndpointConfig, ServerConfig, TransportConfig};

use super::super::config::SctpConfig;
use super::super::init::{self, Greeting};
use super::super::ppid;
use super::super::wire::{CHUNK_HEADER, Init, kind, parameter};

/// When a request to reset streams is first repeated; the interval then doubles. sctp-proto sends no DATA and so
/// measures no round trip: this takes the place of the RTO of RFC 6525 §5.1.1.
const RESET_TIMEOUT_MS: u64 = 300;
const MAX_RESET_TIMEOUT_MS: u64 = 5000;

/// How often a request to reset streams is repeated.
const RESET_RETRANSMITS: usize = 8;

/// The endpoint that makes one association.
pub(super) fn endpoint() -> Endpoint {
    // The guard lets no INIT through; without a server configuration the endpoint would panic on one.
    Endpoint::new(Arc::new(EndpointConfig::new()), Some(Arc::new(ServerConfig::new())))
}

/// The settings of an association that begins established, as if its INITs had been exchanged by signalling.
pub(super) fn client(config: &SctpConfig, local: Init, peer: &Greeting) -> ClientConfig {
    let mut client = ClientConfig::default().with_snap(token(local, true), remote_token(peer));
    let transport = transport(config)
        .with_local_port(peer.header.source_port)
        .with_remote_port(peer.header.destination_port);
    client.transport = Arc::new(transport);
    client
}

/// The peer's INIT. Both stream counts become 65,535: sctp-proto compares each with the wrong one of its own. It
/// enforces neither; the guard does.
fn remote_token(peer: &Greeting) -> Bytes {
    let init = Init { outbound: u16::MAX, inbound: u16::MAX, ..peer.init };
    token(init, peer.forward_tsn)
}

/// An INIT chunk.
fn token(init: Init, forward_tsn: bool) -> Bytes {
    let mut chunk = vec![kind::INIT, 0, 0, 0];
    chunk.extend_from_slice(&init.to_bytes());
    let extensions: &[u8] = if forward_tsn { &[kind::FORWARD_TSN] } else { &[] };
    init::push_parameter(&mut chunk, parameter::SUPPORTED_EXTENSIONS, extensions);
    // The length is below 32; it leaves out the padding of the last parameter.
    chunk[CHUNK_HEADER - 1] = chunk.len() as u8;
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk.into()
}

fn transport(config: &SctpConfig) -> TransportConfig {
    // Room for the PPID that some messages carry.
    let largest = config.max_receive_message_size.saturating_add(ppid::PREFIX as u32);
    TransportConfig::default()
        .with_max_receive_buffer_size(config.receive_window())
        .with_max_receive_message_size(largest)
        .with_max_init_retransmits(Some(RESET_RETRANSMITS))
        .with_rto_initial_ms(RESET_TIMEOUT_MS)
        .with_rto_max_ms(MAX_RESET_TIMEOUT_MS)
}
