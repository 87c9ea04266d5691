//! Workers, WebRTC clients and peers of plain transports on the simulated network.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use datasoup::proto::dtls::DtlsRole;
use datasoup::proto::ice_lite::IceState;
use datasoup::proto::net::Tuple;
use datasoup::proto::reason::Reason;
use datasoup::sfu::Sfu;
use datasoup::sfu::contract::answers::WebRtcTransportAnswer;
use datasoup::sfu::contract::options::{
    DtlsParameters, WebRtcConnectOptions, WebRtcTransportOptions,
};
use datasoup::sfu::event::{Event, TransportEvent};
use datasoup::sfu::id::{
    DataConsumerKey, DataProducerKey, RouterKey, TransportKey, WebRtcServerKey,
};
use datasoup::sfu::transport::webrtc::WebRtcListen;
use datasoup::sfu::tunnel::TunnelFrame;

use super::client::Client;
use super::host::Host;
pub(crate) use super::host::{binary, text};
use super::options;
use super::plain_peer::PlainPeer;
use super::sim::{self, Conditions, Datagram, InFlight, Peer, Timeline, start};

/// The changes of state with a reason, as `ice disconnected consent-expired: …`.
pub(crate) fn reasons(events: &[TransportEvent]) -> Vec<String> {
    let line = |layer, state: String, reason: &Option<Box<Reason>>| {
        let Reason { code, message } = reason.as_deref()?;
        Some(format!("{layer} {} {}: {message}", state.to_lowercase(), code.as_str()))
    };
    let lines = events.iter().filter_map(|event| match event {
        TransportEvent::IceState(state, reason) => line("ice", format!("{state:?}"), reason),
        TransportEvent::DtlsState(state, _, reason) => line("dtls", format!("{state:?}"), reason),
        TransportEvent::SctpState(state, _, reason) => line("sctp", format!("{state:?}"), reason),
        TransportEvent::IceSelectedTuple(_)
        | TransportEvent::Tuple(_)
        | TransportEvent::Limit(_)
        | TransportEvent::DataChannel(_) => None,
    });
    lines.collect()
}

/// The workers, the clients and the network.
pub(crate) struct Lab {
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) clients: Vec<Client>,
    pub(crate) plain_peers: Vec<PlainPeer>,
    /// The datagrams that arrived at an address without a receiver.
    pub(crate) strays: Vec<Datagram>,
    /// The other end of each tunnel: the index of its worker, and its transport.
    pub(crate) tunnels: HashMap<(usize, TransportKey), (usize, TransportKey)>,
    /// Datagrams and bytes sent by each socket of the workers.
    pub(crate) sent: HashMap<SocketAddr, (u64, u64)>,
    /// Frames for DataProducers that are blocked, each with its worker and transport.
    held: Vec<((usize, TransportKey), TunnelFrame)>,
    /// The datagrams on their way. The sender of a datagram is its source address.
    in_flight: InFlight<SocketAddr, Datagram>,
}

impl Lab {
    /// One worker on a perfect network.
    pub(crate) fn new() -> Self {
        Self::with(1, Conditions::PERFECT, 1)
    }

    /// One worker with a router.
    pub(crate) fn with_router() -> (Self, RouterKey) {
        let mut lab = Self::new();
        let router = lab.host().router();
        (lab, router)
    }

    /// One worker with a router, and with a WebRTC server at `ours(9)`.
    pub(crate) fn with_server() -> (Self, RouterKey, WebRtcServerKey) {
        let (mut lab, router) = Self::with_router();
        let server = lab.host().server(ours(9));
        (lab, router, server)
    }

    pub(crate) fn with(hosts: usize, conditions: Conditions, seed: u64) -> Self {
        let now = start();
        Self {
            now,
            hosts: (0..hosts).map(|_| Host::new(now)).collect(),
            clients: Vec::new(),
            plain_peers: Vec::new(),
            strays: Vec::new(),
            tunnels: HashMap::new(),
            sent: HashMap::new(),
            held: Vec::new(),
            in_flight: InFlight::new(conditions, seed),
        }
    }

    /// The first worker.
    pub(crate) fn host(&mut self) -> &mut Host {
        &mut self.hosts[0]
    }

    pub(crate) fn sfu(&mut self) -> &mut Sfu {
        &mut self.hosts[0].sfu
    }

    pub(crate) fn conditions(&mut self) -> &mut Conditions {
        &mut self.in_flight.conditions
    }

    /// See [`sim::run_until`].
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        sim::run_until(self, limit, done)
    }

    /// See [`sim::run_for`].
    pub(crate) fn run_for(&mut self, time: Duration) {
        sim::run_for(self, time);
    }

    /// Runs until `done` returns true, and panics with `what` after a minute of virtual time.
    #[track_caller]
    pub(crate) fn expect(&mut self, what: &str, done: impl FnMut(&mut Self) -> bool) {
        assert!(
            self.run_until(Duration::from_secs(60), done),
            "this did not happen within a minute: {what}"
        );
    }

    /// Ends the turn of every worker, begins the next turn, and takes all datagrams to the network.
    pub(crate) fn flush(&mut self) {
        let mut datagrams = Vec::new();
        for host in &mut self.hosts {
            let Host { sfu, sockets, .. } = host;
            let transmits = sfu.flush();
            for (tuple, bytes) in transmits.iter() {
                let from = *sockets.get(&tuple.socket).expect("sends from bound sockets only");
                assert!(bytes.len() <= 1232, "a worker sends a datagram of {} bytes", bytes.len());
                let sent = self.sent.entry(from).or_default();
                *sent = (sent.0 + 1, sent.1 + bytes.len() as u64);
                datagrams.push(Datagram { from, to: tuple.remote, bytes: bytes.to_vec() });
            }
            transmits.clear();
            host.collect();
            host.begin_turn(self.now);
        }
        self.hand_over();
        for client in &mut self.clients {
            client.flush(self.now, &mut datagrams);
        }
        for peer in &mut self.plain_peers {
            peer.flush(&mut datagrams);
        }
        for datagram in datagrams {
            self.transmit(datagram);
        }
    }

    /// Carries frames through the tunnels until no frame is left.
    fn hand_over(&mut self) {
        loop {
            // Like the runtime, this keeps the frames for a blocked DataProducer, and the frames behind them.
            let mut frames = std::mem::take(&mut self.held);
            for (index, host) in self.hosts.iter_mut().enumerate() {
                while host.sfu.poll_unblocked().is_some() {}
                host.sfu.flush();
                host.collect();
                let events = std::mem::take(&mut host.events);
                for event in events {
                    match event {
                        Event::TunnelFrame(key, frame) => {
                            frames.push((self.tunnels[&(index, key)], frame))
                        }
                        event => host.events.push(event),
                    }
                }
            }
            let mut blocked = HashSet::new();
            let mut handled = false;
            for ((index, key), frame) in frames {
                let sfu = &mut self.hosts[index].sfu;
                let place = frame.place();
                let producer = place.and_then(|(stream, _)| sfu.producer_on(key, stream));
                if let (Some((_, is_message)), Some(producer)) = (place, producer)
                    && (blocked.contains(&(index, producer))
                        || (is_message && sfu.is_blocked(producer)))
                {
                    blocked.insert((index, producer));
                    self.held.push(((index, key), frame));
                    continue;
                }
                handled = true;
                sfu.handle_tunnel_frame(key, frame);
            }
            if !handled {
                return;
            }
        }
    }

    /// Puts a datagram with any source address on the network.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.transmit(Datagram { from, to, bytes: bytes.to_vec() });
    }

    fn transmit(&mut self, datagram: Datagram) {
        self.in_flight.send(self.now, datagram.from, datagram.bytes.len(), datagram);
    }

    fn deliver(&mut self, datagram: Datagram) {
        for host in &mut self.hosts {
            let bound = host.sockets.iter().find(|(_, address)| **address == datagram.to);
            if let Some((&socket, _)) = bound {
                return host
                    .sfu
                    .handle_datagram(Tuple::new(socket, datagram.from), &datagram.bytes);
            }
        }
        for client in &mut self.clients {
            if client.owns(datagram.to) {
                return client.handle_datagram(self.now, &datagram);
            }
        }
        if let Some(peer) = self.plain_peers.iter_mut().find(|it| it.address == datagram.to) {
            return peer.handle_datagram(self.now, datagram);
        }
        self.strays.push(datagram);
    }

    /// Adds a peer of a plain transport. The peer sends the INIT if `begins` is true.
    pub(crate) fn plain_peer(&mut self, n: u16, server: SocketAddr, begins: bool) -> usize {
        let mut peer = PlainPeer::new(self.now, theirs(n), server);
        if begins {
            peer.sctp.connect(self.now);
        }
        self.plain_peers.push(peer);
        self.plain_peers.len() - 1
    }

    // The starting point of most tests.

    /// A direct DataProducer.
    pub(crate) fn source(&mut self, router: RouterKey) -> DataProducerKey {
        let direct = self.host().direct(router);
        self.host().produce(direct, 0)
    }

    /// Adds a connected client on a transport with its own socket.
    pub(crate) fn join(&mut self, router: RouterKey, n: u16) -> (TransportKey, usize) {
        self.join_with(router, n, options::webrtc())
    }

    /// Adds a connected client on a transport with these options.
    pub(crate) fn join_with(
        &mut self,
        router: RouterKey,
        n: u16,
        options: WebRtcTransportOptions,
    ) -> (TransportKey, usize) {
        let (key, answer) = self.webrtc(router, n, options);
        let client = self.client(key, &answer, theirs(n), DtlsRole::Client);
        self.connected(key, client);
        (key, client)
    }

    /// Adds a client on a transport with its own socket, but sends nothing yet.
    pub(crate) fn invite(&mut self, router: RouterKey, n: u16) -> (TransportKey, usize) {
        let (key, answer) = self.webrtc(router, n, options::webrtc());
        let client = self.client(key, &answer, theirs(n), DtlsRole::Client);
        (key, client)
    }

    /// Adds a connected client on a server's port.
    pub(crate) fn join_server(
        &mut self,
        router: RouterKey,
        server: WebRtcServerKey,
        n: u16,
    ) -> (TransportKey, usize) {
        let (key, client) = self.invite_to_server(router, server, n);
        self.connected(key, client);
        (key, client)
    }

    /// Adds a client on a server's port, but sends nothing yet.
    pub(crate) fn invite_to_server(
        &mut self,
        router: RouterKey,
        server: WebRtcServerKey,
        n: u16,
    ) -> (TransportKey, usize) {
        let listen = WebRtcListen::Server(server);
        let (key, answer) = self.host().webrtc_with(router, listen, options::webrtc());
        let client = self.client(key, &answer, theirs(n), DtlsRole::Client);
        (key, client)
    }

    /// Adds a connected client on the server's port if `server` is given, otherwise on a transport with its own socket.
    pub(crate) fn join_either(
        &mut self,
        router: RouterKey,
        server: Option<WebRtcServerKey>,
        n: u16,
    ) -> (TransportKey, usize) {
        match server {
            Some(server) => self.join_server(router, server, n),
            None => self.join(router, n),
        }
    }

    /// Creates a transport with its own socket, without a client.
    pub(crate) fn webrtc(
        &mut self,
        router: RouterKey,
        n: u16,
        options: WebRtcTransportOptions,
    ) -> (TransportKey, WebRtcTransportAnswer) {
        let listen = WebRtcListen::Own(vec![self.host().listen(ours(n))]);
        self.host().webrtc_with(router, listen, options)
    }

    /// Adds a client for this transport, and connects both ends. `role` is the client's DTLS role.
    pub(crate) fn client(
        &mut self,
        key: TransportKey,
        answer: &WebRtcTransportAnswer,
        address: SocketAddr,
        role: DtlsRole,
    ) -> usize {
        let client = self.new_client(answer, address, role);
        let fingerprints = client.fingerprints();
        self.clients.push(client);
        let dtls_parameters = DtlsParameters { role, fingerprints };
        let mut transport = self.sfu().transport(key).expect("open");
        transport.connect_webrtc(WebRtcConnectOptions { dtls_parameters }).expect("the first time");
        self.clients.len() - 1
    }

    /// A client for the transport of this answer. The client is not in the network yet, and the transport is not
    /// connected to the client.
    pub(crate) fn new_client(
        &mut self,
        answer: &WebRtcTransportAnswer,
        address: SocketAddr,
        role: DtlsRole,
    ) -> Client {
        let fingerprints = self.host().fingerprints.clone();
        Client::new(self.now, address, answer, fingerprints, role)
    }

    #[track_caller]
    pub(crate) fn connected(&mut self, key: TransportKey, client: usize) {
        self.expect("a connected client", |lab| {
            lab.clients[client].is_connected() && lab.sctp_connected(key)
        });
    }

    pub(crate) fn sctp_connected(&mut self, key: TransportKey) -> bool {
        self.dump(key)["sctpState"] == "connected"
    }

    pub(crate) fn ice_state(&mut self, key: TransportKey) -> IceState {
        let json = self.dump(key);
        match json["iceState"].as_str() {
            Some("new") => IceState::New,
            Some("connected") => IceState::Connected,
            Some("completed") => IceState::Completed,
            Some("disconnected") => IceState::Disconnected,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn dump(&mut self, key: TransportKey) -> serde_json::Value {
        let dump = self.sfu().transport(key).expect("open").dump();
        serde_json::to_value(dump).expect("json")
    }

    pub(crate) fn stats(&mut self, key: TransportKey) -> serde_json::Value {
        let stats = self.sfu().transport(key).expect("open").get_stats();
        serde_json::to_value(stats).expect("json")
    }

    pub(crate) fn consumer_stats(&mut self, key: DataConsumerKey) -> serde_json::Value {
        let stats = self.sfu().data_consumer(key).expect("open").get_stats();
        serde_json::to_value(stats).expect("json")
    }

    /// A counter of `consumer_stats()`.
    pub(crate) fn count(&mut self, consumer: DataConsumerKey, name: &str) -> u64 {
        self.consumer_stats(consumer)[name].as_u64().expect("a counter")
    }

    pub(crate) fn producer_stats(&mut self, key: DataProducerKey) -> serde_json::Value {
        let stats = self.sfu().data_producer(key).expect("open").get_stats();
        serde_json::to_value(stats).expect("json")
    }
}

impl Timeline for Lab {
    fn now(&mut self) -> &mut Instant {
        &mut self.now
    }

    fn flush(&mut self) {
        Lab::flush(self);
    }

    fn next_event(&mut self) -> Option<Instant> {
        let arrival = self.in_flight.next_arrival();
        let hosts = self.hosts.iter().filter_map(|host| host.sfu.poll_timeout());
        let clients = self.clients.iter_mut().filter_map(Client::poll_timeout);
        let plain = self.plain_peers.iter().filter(|it| !it.frozen);
        let plain = plain.filter_map(|it| it.sctp.poll_timeout());
        arrival.into_iter().chain(hosts).chain(clients).chain(plain).min()
    }

    fn advance(&mut self) {
        for host in &mut self.hosts {
            host.begin_turn(self.now);
        }
        while let Some(datagram) = self.in_flight.poll(self.now) {
            self.deliver(datagram);
        }
        for host in &mut self.hosts {
            if host.sfu.poll_timeout().is_some_and(|at| at <= self.now) {
                host.sfu.handle_timeout();
            }
        }
        for client in &mut self.clients {
            client.handle_timeout(self.now);
        }
        for peer in &mut self.plain_peers {
            peer.sctp.handle_timeout(self.now);
        }
    }
}

/// The `n`-th address of the workers.
pub(crate) fn ours(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 10_000 + n))
}

/// The `n`-th address of the clients.
pub(crate) fn theirs(n: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 20_000 + n))
}
