//! One association of sctp-proto, and all that touches it.
//!
//! sctp-proto routes packets to associations through an `Endpoint`; here each association has one
//! of its own, so that two can never exist side by side.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, PayloadProtocolIdentifier, ReliabilityType, ServerConfig, TransportConfig,
};

use super::SctpConfig;
use super::queue::Next;
use crate::proto::message::{Limit, Message, Ppid, Reliability, StreamId};

/// sctp-proto wants an address; the path below it is not its business.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// RFC 9260 §16 recommends an initial RTO of 1 s; the minimum is lower than its 1 s, as in every
/// WebRTC stack (dcSCTP: 400 ms), because a lost packet otherwise stands out.
const RTO_INITIAL_MS: u64 = 1000;
const RTO_MIN_MS: u64 = 300;
const RTO_MAX_MS: u64 = 5000;

/// With the RTOs above a handshake without an answer fails after about 37 s.
const INIT_RETRANSMITS: usize = 8;

/// The receive window never has to exceed two messages, whatever was asked for.
const MIN_WINDOW: u32 = 1024 * 1024;

/// Who sent the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Initiator,
    Responder,
}

/// An association, handshaking or established.
#[derive(Debug)]
pub(super) struct Link {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    pub(super) role: Role,
}

impl Link {
    /// Starts an association with an INIT.
    pub(super) fn initiate(config: &SctpConfig) -> Option<Self> {
        let mut endpoint = endpoint(config);
        let mut client = ClientConfig::default();
        client.transport = Arc::new(transport(config));
        let (handle, association) = endpoint.connect(client, NOBODY).ok()?;
        Some(Self { endpoint, handle, association, role: Role::Initiator })
    }

    /// Answers an INIT.
    pub(super) fn respond(config: &SctpConfig, now: Instant, init: Bytes) -> Option<Self> {
        let mut endpoint = endpoint(config);
        match endpoint.handle(now, NOBODY, None, None, init)? {
            (handle, DatagramEvent::NewAssociation(association)) => {
                Some(Self { endpoint, handle, association, role: Role::Responder })
            }
            _ => None,
        }
    }

    /// Hands a packet to the association. False if its checksum or its tag is wrong.
    pub(super) fn handle_packet(&mut self, now: Instant, packet: Bytes) -> bool {
        match self.endpoint.handle(now, NOBODY, None, None, packet) {
            Some((handle, DatagramEvent::AssociationEvent(event))) if handle == self.handle => {
                self.association.handle_event(event);
                true
            }
            _ => false,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.association.poll()
    }

    /// Hands over the packets that are due. sctp-proto scans all that is in flight: once a turn.
    pub(super) fn drain(&mut self, now: Instant, mut sink: impl FnMut(Bytes)) {
        if let Some(transmit) = self.association.poll_transmit(now)
            && let Payload::RawEncode(packets) = transmit.payload
        {
            packets.into_iter().for_each(&mut sink);
        }
    }

    /// The peer has begun a shutdown: nothing can be sent any more.
    pub(super) fn is_closing(&self) -> bool {
        self.association.is_closing()
    }

    /// Makes sctp-proto know `stream`.
    pub(super) fn register(&mut self, stream: StreamId) {
        // Fails if the stream is known, or if its reset is under way: then there is nothing to do.
        let _ = self.association.open_stream(stream, PayloadProtocolIdentifier::Unknown);
    }

    /// Payload bytes of `stream` that the peer has not acknowledged.
    pub(super) fn unacked(&mut self, stream: StreamId) -> usize {
        self.association
            .stream(stream)
            .ok()
            .and_then(|stream| stream.buffered_amount().ok())
            .unwrap_or(0)
    }

    /// Gives a message to the association. False if the stream cannot take it.
    pub(super) fn write(&mut self, next: Next) -> bool {
        let Next { stream, message, reliability, waited } = next;
        self.register(stream);
        let Ok(mut stream) = self.association.stream(stream) else { return false };
        let (kind, value) = match reliability.limit {
            None => (ReliabilityType::Reliable, 0),
            Some(Limit::Retransmits(count)) => (ReliabilityType::Rexmit, u32::from(count)),
            // The clock of a message has run since it was queued. Its turn has come within its
            // lifetime, so one millisecond is left at least.
            Some(Limit::LifetimeMs(ms)) => {
                let left = Duration::from_millis(ms.into()).saturating_sub(waited);
                (ReliabilityType::Timed, (left.as_millis() as u32).max(1))
            }
        };
        stream.set_reliability_params(!reliability.ordered, kind, value).is_ok()
            && stream.set_default_payload_type(message.ppid.0.into()).is_ok()
            && stream.write_chunks(&mut [message.payload]).is_ok()
    }

    /// Asks the peer to reset `stream`, our outgoing side, once it has acknowledged what is inside.
    pub(super) fn reset(&mut self, stream: StreamId) -> bool {
        self.register(stream);
        self.association.stream(stream).is_ok_and(|mut stream| stream.close().is_ok())
    }

    /// The next complete message of `stream`.
    pub(super) fn read(&mut self, stream: StreamId) -> Option<Message> {
        let mut stream = self.association.stream(stream).ok()?;
        let chunks = stream.read_sctp().ok()??;
        let mut payload = vec![0; chunks.len()];
        chunks.read(&mut payload).ok()?;
        Some(Message { ppid: Ppid(chunks.ppi as u32), payload: payload.into() })
    }
}

fn endpoint(config: &SctpConfig) -> Endpoint {
    let mut settings = EndpointConfig::new();
    settings.max_payload_size(max_fragment(config.max_packet_size));
    // Without a server configuration the endpoint panics on any INIT.
    let mut server = ServerConfig::new();
    server.transport = Arc::new(transport(config));
    Endpoint::new(Arc::new(settings), Some(Arc::new(server)))
}

fn transport(config: &SctpConfig) -> TransportConfig {
    let largest = config.max_receive_message_size;
    let window = config.max_receiver_window.min(largest.saturating_mul(2).max(MIN_WINDOW));
    TransportConfig::default()
        .with_max_receive_buffer_size(window)
        .with_max_receive_message_size(largest)
        // Ours is checked before a message is queued.
        .with_max_send_message_size(u32::MAX)
        .with_max_init_retransmits(Some(INIT_RETRANSMITS))
        .with_max_data_retransmits(None)
        .with_rto_initial_ms(RTO_INITIAL_MS)
        .with_rto_min_ms(RTO_MIN_MS)
        .with_rto_max_ms(RTO_MAX_MS)
}

/// The payload of a full DATA chunk such that a packet of `max_packet_size` bytes holds it and
/// sctp-proto, which forgets the last chunk's header when it bundles, oversteps by padding only.
fn max_fragment(max_packet_size: usize) -> u32 {
    let overhead = 12 + 16 + 16;
    let fragment = max_packet_size.saturating_sub(overhead).max(64) & !3;
    u32::try_from(fragment).unwrap_or(1024)
}

/// Which reliability the peer's channel has for us is the application's choice; DCEP is always
/// ordered and reliable (RFC 8832 §6).
pub(super) fn dcep_ack(stream: StreamId) -> Next {
    Next {
        stream,
        message: Message {
            ppid: Ppid::DCEP,
            payload: Bytes::from_static(&crate::proto::dcep::ACK),
        },
        reliability: Reliability::RELIABLE,
        waited: Duration::ZERO,
    }
}
