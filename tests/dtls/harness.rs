//! The peers of the simulated network: the session under test, and a session of the DTLS engine (dimpl) alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::certificate::{Certificate, Fingerprint};
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState, Path};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::reason::Code;
use datasoup::proto::transmit::Transmits;

use crate::common::sim::{Conditions, Net, Peer, Side, start};

pub(crate) fn context() -> Arc<DtlsContext> {
    Arc::new(DtlsContext::new(Certificate::generate().expect("a certificate")))
}

/// The session under test, and what it has emitted.
pub(crate) struct Ours {
    pub(crate) dtls: Dtls,
    pub(crate) context: Arc<DtlsContext>,
    pub(crate) states: Vec<DtlsState>,
    pub(crate) received: Vec<Bytes>,
}

impl Ours {
    pub(crate) fn new() -> Self {
        Self::on(Path::Proved)
    }

    pub(crate) fn on(path: Path) -> Self {
        let context = context();
        let dtls = Dtls::new(Arc::clone(&context), path);
        Self { dtls, context, states: Vec::new(), received: Vec::new() }
    }

    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        self.context.certificate().fingerprints()
    }

    /// Gives the session a path, and connects it.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        remote_role: DtlsRole,
        fingerprints: Vec<Fingerprint>,
    ) {
        self.dtls.path_ready(now);
        self.dtls.connect(now, remote_role, fingerprints).expect("the first call");
    }

    pub(crate) fn seal(&mut self, content: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        self.dtls.seal(content, &mut record).expect("a record");
        record
    }

    pub(crate) fn drain_events(&mut self) {
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::State(state) => self.states.push(state),
                DtlsEvent::Data(content) => self.received.push(content),
            }
        }
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.dtls.handle_datagram(now, datagram);
        self.drain_events();
    }

    /// Takes the datagrams to send.
    pub(crate) fn flush(&mut self) -> Vec<Vec<u8>> {
        self.drain_events();
        let remote = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut transmits = Transmits::default();
        self.dtls.poll_transmit(Tuple::new(SocketId(0), remote), &mut transmits);
        transmits.iter().map(|(_, datagram)| datagram.to_vec()).collect()
    }

    /// The code of the reason why the session has ended.
    pub(crate) fn code(&self) -> Option<Code> {
        self.dtls.end_reason().map(|it| it.code)
    }

    pub(crate) fn is(&self, state: DtlsState) -> bool {
        assert!(self.states.last().is_none_or(|last| *last == self.dtls.state()));
        self.dtls.state() == state
    }
}

impl Peer for Ours {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.handle_datagram(now, &packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.drain_events();
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.dtls.poll_timeout()
    }

    fn drain(&mut self, _: Instant, packets: &mut Vec<Bytes>) {
        packets.extend(self.flush().into_iter().map(Bytes::from));
    }
}

/// The engine alone, as another implementation would use it.
pub(crate) struct Raw {
    pub(crate) engine: dimpl::Dtls,
    pub(crate) certificate: dimpl::DtlsCertificate,
    pub(crate) connected: bool,
    pub(crate) closed: bool,
    pub(crate) failed: bool,
    pub(crate) received: Vec<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    wake_at: Option<Instant>,
}

impl Raw {
    pub(crate) fn new(now: Instant, is_client: bool, config: dimpl::ConfigBuilder) -> Self {
        let certificate = dimpl::certificate::generate_self_signed_certificate().expect("one");
        let config = Arc::new(config.build().expect("a good configuration"));
        let mut engine = dimpl::Dtls::new_12(config, certificate.clone(), now);
        engine.set_active(is_client);
        let mut raw = Self {
            engine,
            certificate,
            connected: false,
            closed: false,
            failed: false,
            received: Vec::new(),
            outgoing: Vec::new(),
            wake_at: None,
        };
        raw.handle_timeout(now);
        raw
    }

    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        use datasoup::proto::certificate::FingerprintAlgorithm::Sha256;
        vec![Fingerprint::of(Sha256, &self.certificate.certificate)]
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.failed |= self.engine.handle_timeout(now).is_err();
        self.failed |= self.engine.handle_packet(datagram).is_err();
        self.take_output();
    }

    /// Takes the datagrams to send.
    pub(crate) fn flush(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }

    pub(crate) fn take_output(&mut self) {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.engine.poll_output(&mut buffer) {
                dimpl::Output::Packet(datagram) => self.outgoing.push(datagram.to_vec()),
                dimpl::Output::ApplicationData(content) => self.received.push(content.to_vec()),
                dimpl::Output::Connected => self.connected = true,
                dimpl::Output::CloseNotify => self.closed = true,
                dimpl::Output::Timeout(at) => {
                    self.wake_at = (!self.connected).then_some(at);
                    break;
                }
                _ => {}
            }
        }
    }
}

impl Peer for Raw {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.handle_datagram(now, &packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.failed |= self.engine.handle_timeout(now).is_err();
        self.take_output();
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.wake_at.filter(|_| !self.failed)
    }

    fn drain(&mut self, _: Instant, packets: &mut Vec<Bytes>) {
        packets.extend(self.flush().into_iter().map(Bytes::from));
    }
}

/// How long a datagram takes on a perfect network.
pub(crate) const LATENCY: Duration = Conditions::PERFECT.delay;

/// What a link returns for a datagram that it delivers.
pub(crate) fn deliver(datagram: impl Into<Bytes>) -> Vec<(Duration, Bytes)> {
    vec![(LATENCY, datagram.into())]
}

pub(crate) type Pair = Net<Ours, Ours>;

/// Runs a handshake, but keeps back the ChangeCipherSpec and Finished of B, the server. Returns these datagrams.
pub(crate) fn withhold_finished(pair: &mut Pair) -> Vec<Bytes> {
    let mut late = Vec::new();
    pair.run_through(Duration::from_millis(100), &mut |from, datagram| {
        if from == Side::B && (datagram[0] == 20 || !late.is_empty()) {
            late.push(datagram);
            return Vec::new();
        }
        deliver(datagram)
    });
    late
}

/// Two peers on a perfect network.
pub(crate) fn net<A: Peer, B: Peer>(now: Instant, a: A, b: B) -> Net<A, B> {
    Net::at(now, a, b, Conditions::PERFECT, 1)
}

/// Two sessions under test that know each other's fingerprints: `a` is the client, `b` the server.
/// Two sessions over a path that is only named, A as the client.
pub(crate) fn named() -> Pair {
    let now = start();
    let (mut client, mut server) = (Ours::on(Path::Named), Ours::on(Path::Named));
    client.start(now, DtlsRole::Server, server.fingerprints());
    server.start(now, DtlsRole::Client, client.fingerprints());
    net(now, client, server)
}

pub(crate) fn acquainted() -> Pair {
    acquainted_on(Conditions::PERFECT, 1)
}

pub(crate) fn acquainted_on(conditions: Conditions, seed: u64) -> Pair {
    let now = start();
    let (mut client, mut server) = (Ours::new(), Ours::new());
    client.start(now, DtlsRole::Server, server.fingerprints());
    server.start(now, DtlsRole::Client, client.fingerprints());
    Net::at(now, client, server, conditions, seed)
}

/// Two sessions under test after their handshake.
pub(crate) fn connected() -> Pair {
    let mut pair = acquainted();
    pair.run_for(Duration::from_secs(1));
    assert!(pair.a.is(DtlsState::Connected) && pair.b.is(DtlsState::Connected));
    pair
}
