//! Two endpoints, the link between them, and the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::certificate::{Certificate, Fingerprint};
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::transmit::Transmits;

/// An instant to count from. Nothing else in these tests reads the clock.
#[allow(clippy::disallowed_methods, reason = "an Instant can be made in no other way")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

pub(crate) fn context() -> Arc<DtlsContext> {
    Arc::new(DtlsContext::new(Certificate::generate().expect("a certificate")))
}

/// What stands at an end of the link.
pub(crate) trait Endpoint {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    /// The datagrams to send.
    fn flush(&mut self) -> Vec<Vec<u8>>;
}

/// A session of ours, with all that it told.
pub(crate) struct Ours {
    pub(crate) dtls: Dtls,
    pub(crate) context: Arc<DtlsContext>,
    pub(crate) states: Vec<DtlsState>,
    pub(crate) received: Vec<Bytes>,
}

impl Ours {
    pub(crate) fn new() -> Self {
        let context = context();
        let dtls = Dtls::new(Arc::clone(&context));
        Self { dtls, context, states: Vec::new(), received: Vec::new() }
    }

    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        self.context.certificate().fingerprints()
    }

    /// Path and `connect()`.
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

    pub(crate) fn is(&self, state: DtlsState) -> bool {
        assert!(self.states.last().is_none_or(|last| *last == self.dtls.state()));
        self.dtls.state() == state
    }
}

impl Endpoint for Ours {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.dtls.handle_datagram(now, datagram);
        self.drain_events();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.drain_events();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.dtls.poll_timeout()
    }

    fn flush(&mut self) -> Vec<Vec<u8>> {
        self.drain_events();
        let remote = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut transmits = Transmits::default();
        self.dtls.poll_transmit(Tuple { socket: SocketId(0), remote }, &mut transmits);
        transmits.iter().map(|(_, datagram)| datagram.to_vec()).collect()
    }
}

/// The engine on its own, as another implementation would use it.
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

impl Endpoint for Raw {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.failed |= self.engine.handle_timeout(now).is_err();
        self.failed |= self.engine.handle_packet(datagram).is_err();
        self.take_output();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.failed |= self.engine.handle_timeout(now).is_err();
        self.take_output();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.wake_at.filter(|_| !self.failed)
    }

    fn flush(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }
}

/// A small generator, so that a failing run can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    A,
    B,
}

/// What the link does to a datagram: the ones that arrive instead of it, and after which delay.
pub(crate) type Link<'a> = dyn FnMut(To, Vec<u8>) -> Vec<(Duration, Vec<u8>)> + 'a;

/// How long a datagram takes.
pub(crate) const LATENCY: Duration = Duration::from_millis(10);

pub(crate) fn perfect(_: To, datagram: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
    vec![(LATENCY, datagram)]
}

pub(crate) struct Pair<A, B> {
    pub(crate) a: A,
    pub(crate) b: B,
    pub(crate) now: Instant,
    in_flight: Vec<(Instant, u64, To, Vec<u8>)>,
    sent: u64,
}

impl<A: Endpoint, B: Endpoint> Pair<A, B> {
    pub(crate) fn new(now: Instant, a: A, b: B) -> Self {
        Self { a, b, now, in_flight: Vec::new(), sent: 0 }
    }

    /// Lets `duration` pass.
    pub(crate) fn run(&mut self, duration: Duration, link: &mut Link<'_>) {
        let end = self.now + duration;
        loop {
            self.flush(link);
            let arrival = self.in_flight.iter().map(|(at, ..)| *at).min();
            let timeouts = [self.a.poll_timeout(), self.b.poll_timeout(), arrival];
            let Some(next) = timeouts.into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.deliver();
            if self.a.poll_timeout().is_some_and(|at| at <= self.now) {
                self.a.handle_timeout(self.now);
            }
            if self.b.poll_timeout().is_some_and(|at| at <= self.now) {
                self.b.handle_timeout(self.now);
            }
        }
    }

    fn flush(&mut self, link: &mut Link<'_>) {
        let to_b = self.a.flush().into_iter().map(|datagram| (To::B, datagram));
        let to_a = self.b.flush().into_iter().map(|datagram| (To::A, datagram));
        for (to, datagram) in to_b.chain(to_a).collect::<Vec<_>>() {
            for (delay, datagram) in link(to, datagram) {
                self.sent += 1;
                self.in_flight.push((self.now + delay, self.sent, to, datagram));
            }
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (mut due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.in_flight).into_iter().partition(|(at, ..)| *at <= now);
        self.in_flight = later;
        due.sort_by_key(|(at, order, ..)| (*at, *order));
        for (_, _, to, datagram) in due {
            match to {
                To::A => self.a.handle_datagram(now, &datagram),
                To::B => self.b.handle_datagram(now, &datagram),
            }
        }
    }
}

/// Two sessions of ours that know each other: `a` is the client, `b` the server.
pub(crate) fn acquainted() -> Pair<Ours, Ours> {
    let now = clock();
    let (mut client, mut server) = (Ours::new(), Ours::new());
    client.start(now, DtlsRole::Server, server.fingerprints());
    server.start(now, DtlsRole::Client, client.fingerprints());
    Pair::new(now, client, server)
}

/// The same two after the handshake.
pub(crate) fn connected() -> Pair<Ours, Ours> {
    let mut pair = acquainted();
    pair.run(Duration::from_secs(1), &mut perfect);
    assert!(pair.a.is(DtlsState::Connected) && pair.b.is(DtlsState::Connected));
    pair
}
