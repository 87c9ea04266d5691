//! The engine sctp-proto, without a layer of this package around it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ::sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, PayloadProtocolIdentifier, ServerConfig, StreamEvent, TransportConfig,
};
use bytes::Bytes;

use crate::cases::{Engine, RECEIVE_WINDOW};
use crate::common::peers::MAX_PACKET;
use crate::common::sim::Peer;

const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

pub(crate) struct SctpProto {
    initiates: bool,
    flight: usize,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    connected: bool,
    taken: usize,
}

fn transport() -> Arc<TransportConfig> {
    Arc::new(TransportConfig::default().with_max_receive_buffer_size(RECEIVE_WINDOW))
}

impl SctpProto {
    /// Handles events like a driver: the association's for the endpoint, and the application's.
    fn collect(&mut self) {
        let Some((handle, association)) = &mut self.association else { return };
        while let Some(event) = association.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
        }
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => {
                    self.connected = true;
                    if self.initiates {
                        let ppid = PayloadProtocolIdentifier::Binary;
                        association.open_stream(0, ppid).expect("a stream");
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => {
                    let mut stream = association.stream(id).expect("a stream");
                    while let Some(mut chunks) = stream.read_sctp().expect("readable") {
                        let len = chunks.len();
                        chunks.next(len).expect("a message");
                        self.taken += 1;
                    }
                }
                _ => {}
            }
        }
    }
}

impl Peer for SctpProto {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        match self.endpoint.handle(now, REMOTE, None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = &mut self.association {
                    association.handle_event(event);
                }
            }
            None => {}
        }
        self.collect();
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.collect();
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.association.as_ref()?.1.poll_timeout()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        let Some((_, association)) = &mut self.association else { return };
        // One call per turn is enough: it returns all packets that may be sent.
        if let Some(transmit) = association.poll_transmit(now)
            && let Payload::RawEncode(raw) = transmit.payload
        {
            packets.extend(raw);
        }
    }
}

impl Engine for SctpProto {
    fn new(initiates: bool, flight: usize) -> Self {
        let mut settings = EndpointConfig::new();
        // Subtracts the headers of packet and chunk, and bytes that sctp-proto does not account for when it bundles.
        settings.max_payload_size((MAX_PACKET - 44) as u32 & !3);
        let mut server = ServerConfig::new();
        server.transport = transport();
        Self {
            initiates,
            flight,
            endpoint: Endpoint::new(Arc::new(settings), Some(Arc::new(server))),
            association: None,
            connected: false,
            taken: 0,
        }
    }

    fn connect(&mut self, _: Instant) {
        if self.initiates {
            let mut client = ClientConfig::default();
            client.transport = transport();
            self.association = Some(self.endpoint.connect(client, REMOTE).expect("an INIT"));
        }
    }

    fn is_connected(&self) -> bool {
        self.connected
    }

    fn send(&mut self, _: Instant, payload: &Bytes) {
        let (_, association) = self.association.as_mut().expect("connected");
        let mut stream = association.stream(0).expect("open");
        stream.write_chunks(&mut [payload.clone()]).expect("room");
    }

    fn has_room(&mut self) -> bool {
        let (_, association) = self.association.as_mut().expect("connected");
        let unacknowledged = association.stream(0).and_then(|it| it.buffered_amount());
        unacknowledged.expect("open") < self.flight
    }

    fn take(&mut self) -> usize {
        std::mem::take(&mut self.taken)
    }
}
