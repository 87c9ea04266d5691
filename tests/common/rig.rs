//! One worker and its WebRTC clients without a network: a datagram arrives when it is sent. The rig measures
//! the worker alone, so every call of the worker goes through `crate::counting::ours`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use datasoup::proto::dtls::DtlsRole;
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::sfu::Sfu;
use datasoup::sfu::contract::options::{DtlsParameters, WebRtcConnectOptions};
use datasoup::sfu::event::Event;
use datasoup::sfu::id::{DataProducerKey, RouterKey, TransportKey, WebRtcServerKey};
use datasoup::sfu::transport::webrtc::WebRtcListen;

use crate::common::client::Client;
use crate::common::host::Host;
use crate::common::options;
use crate::common::sim::{Datagram, start};
use crate::counting::ours;

/// The address of the worker for all clients.
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 10_000);

/// See the module's documentation.
pub(crate) struct Rig {
    pub(crate) now: Instant,
    pub(crate) host: Host,
    pub(crate) router: RouterKey,
    pub(crate) clients: Vec<Client>,
    server: WebRtcServerKey,
    by_address: HashMap<SocketAddr, usize>,
    to_worker: Vec<Datagram>,
    to_clients: Vec<Datagram>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let now = start();
        let mut host = ours(|| Host::new(now));
        let (router, server) = ours(|| (host.router(), host.server(SERVER.into())));
        Self {
            now,
            host,
            router,
            server,
            clients: Vec::new(),
            by_address: HashMap::new(),
            to_worker: Vec::new(),
            to_clients: Vec::new(),
        }
    }

    /// Adds a transport on the worker's port, and its client, which is not connected yet.
    pub(crate) fn invite(&mut self) -> TransportKey {
        let Self { now, host, router, server, .. } = self;
        let listen = WebRtcListen::Server(*server);
        let (key, answer) = ours(|| host.webrtc_with(*router, listen, options::webrtc()));
        let index = self.clients.len();
        let [_, b, c, _] = (index as u32).to_be_bytes();
        let address = SocketAddr::from(([192, 0, b, c], 20_000 + index as u16 % 256));
        let fingerprints = host.fingerprints.clone();
        let client = Client::new(*now, address, &answer, fingerprints, DtlsRole::Client);
        let fingerprints = client.fingerprints();
        let dtls_parameters = DtlsParameters { role: DtlsRole::Client, fingerprints };
        let options = WebRtcConnectOptions { dtls_parameters };
        ours(|| host.sfu.transport(key).expect("open").connect_webrtc(options).expect("once"));
        self.by_address.insert(address, index);
        self.clients.push(client);
        key
    }

    /// Adds a transport on the worker's port, and its connected client.
    pub(crate) fn join(&mut self) -> TransportKey {
        let key = self.invite();
        self.settle();
        let client = self.clients.last().expect("just added");
        assert!(
            client.is_connected(),
            "the client must connect, because the rig has no network that could lose a datagram"
        );
        key
    }

    /// A worker with a direct DataProducer and one client, with everything allocated that clients share, so that
    /// a measurement counts only what a further client needs.
    pub(crate) fn with_producer() -> (Self, DataProducerKey) {
        let mut rig = Self::new();
        let direct = ours(|| rig.host.direct(rig.router));
        let producer = ours(|| rig.host.produce(direct, 0));
        rig.join();
        (rig, producer)
    }

    /// Adds a connected client with a channel in each direction; `producer` sends to it.
    pub(crate) fn join_with_channels(&mut self, producer: DataProducerKey) {
        let key = self.join();
        ours(|| self.host.produce(key, 0));
        ours(|| self.host.consume(key, producer));
    }

    /// The worker.
    pub(crate) fn sfu(&mut self) -> &mut Sfu {
        &mut self.host.sfu
    }

    /// Carries datagrams in both directions until no datagram is left.
    pub(crate) fn settle(&mut self) {
        loop {
            self.take_from_clients();
            if self.to_worker.is_empty() {
                return;
            }
            self.deliver_to_worker();
            self.flush();
            self.deliver_to_clients();
        }
    }

    /// Lets `time` pass, and runs every timer of both sides.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let now = self.now;
            for client in &mut self.clients {
                client.handle_timeout(now);
            }
            ours(|| {
                self.host.sfu.begin_turn(now);
                self.host.sfu.handle_timeout();
            });
            self.flush();
            self.deliver_to_clients();
            self.settle();
        }
        self.now = end;
        ours(|| self.host.sfu.begin_turn(end));
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let clients = self.clients.iter_mut().filter_map(Client::poll_timeout);
        clients.chain(self.host.sfu.poll_timeout()).min()
    }

    /// Takes the datagrams of the clients.
    pub(crate) fn take_from_clients(&mut self) {
        for client in &mut self.clients {
            client.flush(self.now, &mut self.to_worker);
        }
    }

    /// Delivers the datagrams of the clients, as the worker's sockets would.
    pub(crate) fn deliver_to_worker(&mut self) {
        let socket = self.socket();
        for datagram in self.to_worker.drain(..) {
            ours(|| {
                self.host.sfu.handle_datagram(Tuple::new(socket, datagram.from), &datagram.bytes)
            });
        }
    }

    fn socket(&self) -> SocketId {
        *self.host.sockets.keys().next().expect("the server's")
    }

    /// Ends the worker's turn and begins the next. Events are thrown away.
    pub(crate) fn flush(&mut self) {
        let Self { now, host, to_clients, .. } = self;
        ours(|| host.sfu.flush());
        let from = SocketAddr::from(SERVER);
        let transmits = host.sfu.flush();
        for (tuple, bytes) in transmits.iter() {
            to_clients.push(Datagram { from, to: tuple.remote, bytes: bytes.to_vec() });
        }
        transmits.clear();
        ours(|| {
            while let Some(event) = host.sfu.poll_event() {
                assert!(
                    !matches!(event, Event::SocketReleased(_)),
                    "a socket was released, but the rig closes none"
                );
            }
            host.sfu.begin_turn(*now);
        });
    }

    /// Delivers the datagrams of the worker.
    pub(crate) fn deliver_to_clients(&mut self) {
        for datagram in self.to_clients.drain(..) {
            let client = &mut self.clients[self.by_address[&datagram.to]];
            client.handle_datagram(self.now, &datagram);
        }
    }
}
