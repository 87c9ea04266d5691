//! DTLS 1.2 with one peer (RFC 6347), over the engine of the crate `dimpl`.
//!
//! ```text
//!  New ──path_ready()──► Connecting ──handshake, fingerprint matches──► Connected
//!                            │                                           │     │
//!                            │ wrong certificate, fatal alert, both       │     │ close_notify
//!                            │ sides client, 30 s                  fatal │     ▼
//!                            └─────────────────► Failed ◄────────────────┘   Closed ◄── close()
//! ```
//!
//! The state follows ICE alone, but the handshake starts when both [`Dtls::connect`] was called and
//! the path is ready: who we are in it (client or server) is known only then. What an eager client
//! sends before that is kept, within bounds, and answered then.
//!
//! No byte of the application passes in either direction before the peer's certificate has matched
//! a fingerprint given to [`Dtls::connect`] (RFC 8827 §6.5). `Failed` and `Closed` are final:
//! whatever arrives is ignored, and nothing but what says goodbye leaves.
//!
//! What a peer can do to us is bounded by what its own session can hold. Noise is dropped: here by
//! the record header once connected, and in the engine otherwise. The engine's errors are all
//! fatal, and a peer (whose path ICE has proved) can provoke them: with more handshake fragments
//! than [`MAX_QUEUED_DATAGRAMS`], say. It ends its own session by that and none else.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dimpl::{Output, SecurityError};
use log::debug;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::certificate::{Certificate, Fingerprint, certificate_to_pem};
use super::transmit::{Transmits, Tuple};

/// The most by which a record is longer than its content: a header of 13 bytes, an explicit nonce
/// of 8 and a tag of 16 (RFC 6347 §4.1, RFC 5288 §3).
pub const MAX_RECORD_OVERHEAD: usize = HEADER_LEN + 8 + 16;

/// The most content in one record (RFC 6347 §4.1.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// When a flight is first retransmitted; the interval then doubles. RFC 6347 §4.2.4.1 lets
/// applications that feel the delay go below its second.
const FLIGHT_RTO: Duration = Duration::from_millis(250);

/// The engine's own limits on time. They lie beyond [`HANDSHAKE_TIMEOUT`], so that only this one is
/// ever seen: 16 doublings, where 7 take 30 seconds.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(60);
const ENGINE_RETRIES: usize = 16;

/// UDP payload of our handshake datagrams. What the application sends, it sizes itself.
const HANDSHAKE_MTU: usize = 1200;

/// Datagrams, mostly fragments of handshake messages, that the engine holds until it can use them.
const MAX_QUEUED_DATAGRAMS: usize = 32;

/// Larger datagrams are dropped during the handshake: no path carries them. With the limit above
/// this bounds what a handshake may hold, and so the certificate that may come out of it.
const MAX_HANDSHAKE_DATAGRAM: usize = 2048;
const MAX_HANDSHAKE_BYTES: usize = MAX_QUEUED_DATAGRAMS * MAX_HANDSHAKE_DATAGRAM;

/// Datagrams that the engine holds for us. We take them after each call, so this never fills up.
const MAX_OUTGOING_DATAGRAMS: usize = 64;

/// Bounds of what is kept of a client that starts before `connect()`.
const MAX_EARLY_DATAGRAMS: usize = 8;
const MAX_EARLY_BYTES: usize = 16 * 1024;

// Record layer, RFC 6347 §4.1: type 1, version 2, epoch 2, sequence number 6, length 2.
const HEADER_LEN: usize = 13;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const DTLS_1_0: [u8; 2] = [0xfe, 0xff];
const DTLS_1_2: [u8; 2] = [0xfe, 0xfd];
/// `HandshakeType.client_hello` (RFC 5246 §7.4).
const CLIENT_HELLO: u8 = 1;

/// Alerts that we send (RFC 5246 §7.2).
#[derive(Debug, Clone, Copy)]
enum Alert {
    UnexpectedMessage = 10,
    HandshakeFailure = 40,
    BadCertificate = 42,
}

/// The state of the session, with the names that the API gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsState {
    /// There is no path to the peer yet.
    New,
    /// There is a path; the handshake is waiting for `connect()` or under way.
    Connecting,
    /// The handshake is done and the peer is who it should be.
    Connected,
    /// Over: no handshake, or the wrong peer, or a fatal error.
    Failed,
    /// Over: the peer said goodbye, or [`Dtls::close`] was called.
    Closed,
}

/// Who starts the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsRole {
    /// Of the remote side: ours to choose, and we choose that it is the server. Of our side: not
    /// chosen yet.
    #[default]
    Auto,
    /// Sends the ClientHello.
    Client,
    /// Waits for it.
    Server,
}

/// What a session tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DtlsEvent {
    /// The state changed.
    State(DtlsState),
    /// The content of one record.
    Data(Bytes),
}

/// [`Dtls::connect`] was called before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("connect() already called")]
pub struct AlreadyConnected;

/// Why [`Dtls::seal`] wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The state is not [`DtlsState::Connected`].
    #[error("not connected")]
    NotConnected,
    /// More than [`MAX_PLAINTEXT`] bytes.
    #[error("larger than a record")]
    TooLarge,
}

/// What all sessions of one worker share.
#[derive(Debug)]
pub struct DtlsContext {
    certificate: Certificate,
    config: Arc<dimpl::Config>,
}

impl DtlsContext {
    /// Sessions that present `certificate`.
    ///
    /// The engine offers and accepts ECDHE-ECDSA with AES-128-GCM, AES-256-GCM and
    /// ChaCha20-Poly1305. As a client it offers them in this order, fastest first; as a server it
    /// leaves the choice to the client, who knows whether it has AES in hardware.
    pub fn new(certificate: Certificate) -> Self {
        let config = dimpl::Config::builder()
            .mtu(HANDSHAKE_MTU)
            .max_queue_rx(MAX_QUEUED_DATAGRAMS)
            .max_queue_tx(MAX_OUTGOING_DATAGRAMS)
            .require_client_certificate(true)
            // The cookie proves that the client receives at its address; ICE has proved that.
            .use_server_cookie(false)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(ENGINE_RETRIES)
            .handshake_timeout(ENGINE_TIMEOUT)
            .build()
            // Checks nothing but the constants above, and the test below checks these.
            .expect("constants");
        Self { certificate, config: Arc::new(config) }
    }

    /// The certificate that the sessions present.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// Gathers the entropy that the first handshake of a process would otherwise wait for, which takes
/// 40 to 100 ms. Call it once, where nobody is waiting.
pub fn warm_up() {
    let mut seed = [0; 32];
    if aws_lc_rs::rand::fill(&mut seed).is_err() {
        debug!("no randomness yet");
    }
}

/// A DTLS session with one peer. Costs little until the handshake starts, and again after the end.
///
/// After each `handle_*`, `connect`, `path_ready` and `close`: take what [`Dtls::poll_transmit`]
/// and [`Dtls::poll_event`] have.
pub struct Dtls {
    context: Arc<DtlsContext>,
    state: DtlsState,
    /// Ours; `Auto` until `connect()`.
    role: DtlsRole,
    /// What the peer's certificate must match one of. Forgotten once it has.
    fingerprints: Vec<Fingerprint>,
    path_ready: bool,
    engine: Option<Box<dimpl::Dtls>>,
    /// Datagrams from before the handshake could start.
    early: Vec<Box<[u8]>>,
    /// DER. There once it has matched, so this also says whether the peer is verified.
    peer_certificate: Option<Box<[u8]>>,
    give_up_at: Option<Instant>,
    retransmit_at: Option<Instant>,
    outgoing: Vec<Box<[u8]>>,
    events: VecDeque<DtlsEvent>,
}

impl Dtls {
    /// A session in state [`DtlsState::New`].
    pub fn new(context: Arc<DtlsContext>) -> Self {
        Self {
            context,
            state: DtlsState::New,
            role: DtlsRole::Auto,
            fingerprints: Vec::new(),
            path_ready: false,
            engine: None,
            early: Vec::new(),
            peer_certificate: None,
            give_up_at: None,
            retransmit_at: None,
            outgoing: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// The state.
    pub fn state(&self) -> DtlsState {
        self.state
    }

    /// Our role: [`DtlsRole::Auto`] until [`Dtls::connect`].
    pub fn local_role(&self) -> DtlsRole {
        self.role
    }

    /// The peer's certificate as PEM, once it has matched.
    pub fn peer_certificate_pem(&self) -> Option<String> {
        self.peer_certificate.as_deref().map(certificate_to_pem)
    }

    /// Says who the peer is. `remote_role` is the peer's part in the handshake (RFC 8842 §5.2): if
    /// it is the client, we are the server; else we are the client. A peer that matches none of the
    /// fingerprints fails, so with none given every peer does.
    pub fn connect(
        &mut self,
        now: Instant,
        remote_role: DtlsRole,
        fingerprints: Vec<Fingerprint>,
    ) -> Result<(), AlreadyConnected> {
        if self.role != DtlsRole::Auto {
            return Err(AlreadyConnected);
        }
        self.role = match remote_role {
            DtlsRole::Client => DtlsRole::Server,
            DtlsRole::Server | DtlsRole::Auto => DtlsRole::Client,
        };
        self.fingerprints = fingerprints;
        self.start_if_possible(now);
        Ok(())
    }

    /// ICE has a valid tuple. Calls after the first change nothing.
    pub fn path_ready(&mut self, now: Instant) {
        self.path_ready = true;
        if self.state == DtlsState::New {
            self.enter(DtlsState::Connecting);
        }
        self.start_if_possible(now);
    }

    /// Takes a datagram that arrived on a valid tuple.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        match self.state {
            DtlsState::Connected => self.handle_records(now, datagram),
            DtlsState::New | DtlsState::Connecting if self.engine.is_none() => {
                self.keep_early(datagram);
            }
            DtlsState::New | DtlsState::Connecting => self.handle_flight(now, datagram),
            DtlsState::Failed | DtlsState::Closed => {}
        }
    }

    /// Seals `content` into one record and appends that to `out`. It can be up to
    /// [`MAX_RECORD_OVERHEAD`] bytes longer. On an error `out` is as it was.
    ///
    /// Take what [`Dtls::poll_transmit`] has first: the end of the handshake may still be there, and
    /// a record that overtakes it is lost.
    pub fn seal(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        let (DtlsState::Connected, Some(engine)) = (self.state, self.engine.as_mut()) else {
            return Err(SealError::NotConnected);
        };
        if content.len() > MAX_PLAINTEXT {
            return Err(SealError::TooLarge);
        }
        if let Err(error) = engine.send_application_data(content) {
            self.fail(&error, None);
            return Err(SealError::NotConnected);
        }
        let start = out.len();
        out.resize(start + content.len() + MAX_RECORD_OVERHEAD, 0);
        // The engine's queue was empty, as we take all after each call; so this is our record.
        let len = match engine.poll_output(&mut out[start..]) {
            Output::Packet(record) => record.len(),
            _ => 0,
        };
        out.truncate(start + len);
        if len == 0 {
            self.fail(&"a record did not come out", None);
            return Err(SealError::NotConnected);
        }
        Ok(())
    }

    /// Says goodbye to a connected peer (RFC 5246 §7.2.1) and forgets everything. No event tells of
    /// it, and events that were not taken are gone.
    pub fn close(&mut self) {
        let engine = self.engine.take().filter(|_| self.state == DtlsState::Connected);
        self.outgoing.clear();
        if let Some(mut engine) = engine
            && engine.close().is_ok()
        {
            let mut record = [0; 2 * MAX_RECORD_OVERHEAD];
            if let Output::Packet(record) = engine.poll_output(&mut record) {
                self.outgoing.push(record.into());
            }
        }
        self.end(DtlsState::Closed);
        self.events.clear();
    }

    /// Moves the datagrams of the handshake and the closing into `out`, to leave by `tuple`.
    pub fn poll_transmit(&mut self, tuple: Tuple, out: &mut Transmits) {
        for datagram in self.outgoing.drain(..) {
            out.push(tuple, &datagram);
        }
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    /// When to call [`Dtls::handle_timeout`]. Never for a session without a handshake under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.give_up_at, self.retransmit_at].into_iter().flatten().min()
    }

    /// Retransmits, or gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.give_up_at.is_some_and(|at| at <= now) {
            self.fail(&"no handshake within 30 s", None);
        } else if self.retransmit_at.is_some_and(|at| at <= now) {
            self.drive(now, None);
        }
    }

    /// Starts the handshake if there is a path and we know our role.
    fn start_if_possible(&mut self, now: Instant) {
        let connecting = self.state == DtlsState::Connecting && self.path_ready;
        if !connecting || self.role == DtlsRole::Auto || self.engine.is_some() {
            return;
        }
        let config = Arc::clone(&self.context.config);
        let mut engine = dimpl::Dtls::new_12(config, self.context.certificate.to_engine(), now);
        engine.set_active(self.role == DtlsRole::Client);
        self.engine = Some(Box::new(engine));
        self.give_up_at = Some(now + HANDSHAKE_TIMEOUT);
        // Lets a client write its ClientHello.
        self.drive(now, None);
        for datagram in std::mem::take(&mut self.early) {
            self.handle_datagram(now, &datagram);
        }
    }

    /// Keeps a datagram of the handshake for later. The oldest are the ones that matter; a client
    /// that has no answer sends them again, and then nothing but the record number differs.
    fn keep_early(&mut self, datagram: &[u8]) {
        let [HANDSHAKE, _, _, 0, 0, _, _, _, _, _, _, message @ ..] = datagram else { return };
        let bytes: usize = self.early.iter().map(|kept| kept.len()).sum();
        if self.early.len() < MAX_EARLY_DATAGRAMS
            && bytes + datagram.len() <= MAX_EARLY_BYTES
            && !self.early.iter().any(|kept| kept[HEADER_LEN - 2..] == *message)
        {
            self.early.push(datagram.into());
        }
    }

    /// Takes a datagram during the handshake. It goes to the engine as it is: the order of the
    /// records in it has a meaning there.
    fn handle_flight(&mut self, now: Instant, datagram: &[u8]) {
        // Data that overtook the end of the handshake is as good as lost; SCTP sends it again.
        if datagram.len() > MAX_HANDSHAKE_DATAGRAM || datagram.first() == Some(&APPLICATION_DATA) {
            return;
        }
        if self.role == DtlsRole::Client && is_client_hello(datagram) {
            // Neither side will ever answer the other; better to say so than to wait for 30 s.
            return self.fail(&"both sides are client", Some(Alert::UnexpectedMessage));
        }
        self.drive(now, Some(datagram));
    }

    /// Takes a datagram in state Connected: record by record, so that a bad one takes no good one
    /// with it, and the engine's limit of 8 records in a datagram does not matter.
    fn handle_records(&mut self, now: Instant, datagram: &[u8]) {
        for record in records(datagram).filter(|record| may_follow_the_handshake(record)) {
            // An earlier record may have ended the session.
            if self.state == DtlsState::Connected {
                self.drive(now, Some(record));
            }
        }
    }

    /// Gives the engine the time and, if there is one, a datagram, and takes everything that comes
    /// out of it: what it queues is bounded, and it fails when that is full.
    fn drive(&mut self, now: Instant, datagram: Option<&[u8]>) {
        let Some(engine) = self.engine.as_mut() else { return };
        let mut result = engine.handle_timeout(now);
        if let (Ok(()), Some(datagram)) = (&result, datagram) {
            result = engine.handle_packet(datagram);
        }
        if let Err(error) = result {
            return self.fail(&error, self.answer_to(&error));
        }

        let buffer_len = match (self.state, datagram) {
            // Exactly the content of an AES-GCM record, so that it is copied once and never again.
            // Anything else that comes out asks for what it needs.
            (DtlsState::Connected, Some(record)) => {
                record.len().saturating_sub(MAX_RECORD_OVERHEAD)
            }
            // A certificate does not ask, it must fit.
            _ => MAX_HANDSHAKE_BYTES,
        };
        self.take_output(vec![0; buffer_len]);
    }

    fn take_output(&mut self, mut buffer: Vec<u8>) {
        let Some(engine) = self.engine.as_mut() else { return };
        let mut said_goodbye = false;
        loop {
            match engine.poll_output(&mut buffer) {
                Output::Packet(datagram) => self.outgoing.push(datagram.into()),
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::PeerCert(certificate) => {
                    if !self.fingerprints.iter().any(|f| f.matches(certificate)) {
                        let alert = Some(Alert::BadCertificate);
                        return self
                            .fail(&"the peer's certificate has no known fingerprint", alert);
                    }
                    self.peer_certificate = Some(certificate.into());
                    self.fingerprints = Vec::new();
                }
                Output::Connected => {
                    if self.peer_certificate.is_none() {
                        let alert = Some(Alert::BadCertificate);
                        return self.fail(&"the peer showed no certificate", alert);
                    }
                    self.give_up_at = None;
                    self.state = DtlsState::Connected;
                    self.events.push_back(DtlsEvent::State(DtlsState::Connected));
                }
                Output::ApplicationData(content) if self.state == DtlsState::Connected => {
                    let len = content.len();
                    let content = if len == buffer.len() {
                        Bytes::from(std::mem::take(&mut buffer))
                    } else {
                        Bytes::copy_from_slice(&buffer[..len])
                    };
                    if !content.is_empty() {
                        self.events.push_back(DtlsEvent::Data(content));
                    }
                }
                Output::CloseNotify => said_goodbye = true,
                Output::Timeout(at) => {
                    // Once connected DTLS 1.2 has no timers: a lost last flight is sent again when
                    // the peer asks for it. What the engine says then is far away, or no matter.
                    self.retransmit_at = (self.state == DtlsState::Connecting).then_some(at);
                    break;
                }
                // Keys for SRTP, which we have not; data of a peer that is not verified, which the
                // engine does not let through.
                _ => {}
            }
        }
        if said_goodbye {
            self.end(DtlsState::Closed);
            self.events.push_back(DtlsEvent::State(DtlsState::Closed));
        }
    }

    /// What to tell the peer of an error of the engine.
    fn answer_to(&self, error: &dimpl::Error) -> Option<Alert> {
        match error {
            // It told us.
            dimpl::Error::SecurityError(SecurityError::FatalAlert { .. }) => None,
            dimpl::Error::Timeout(_) => None,
            _ if self.state == DtlsState::Connecting => Some(Alert::HandshakeFailure),
            // A plaintext alert would now be ignored, and the engine seals none but close_notify.
            _ => None,
        }
    }

    /// Ends the session with an error. `alert` goes out in plaintext, which a peer believes until
    /// the handshake is over.
    fn fail(&mut self, why: &dyn fmt::Display, alert: Option<Alert>) {
        debug!("DTLS failed: {why}");
        self.outgoing.clear();
        if let Some(alert) = alert {
            self.outgoing.push(plaintext_alert(alert).into());
        }
        self.end(DtlsState::Failed);
        self.events.push_back(DtlsEvent::State(DtlsState::Failed));
    }

    /// Enters a final state and gives back the memory.
    fn end(&mut self, state: DtlsState) {
        self.state = state;
        self.engine = None;
        self.early = Vec::new();
        self.fingerprints = Vec::new();
        self.give_up_at = None;
        self.retransmit_at = None;
    }

    fn enter(&mut self, state: DtlsState) {
        self.state = state;
        self.events.push_back(DtlsEvent::State(state));
    }
}

impl fmt::Debug for Dtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dtls")
            .field("state", &self.state)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// The well-formed records at the start of a datagram.
fn records(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let &[_, _, _, _, _, _, _, _, _, _, _, high, low, ..] = rest else { return None };
        let len = HEADER_LEN + usize::from(u16::from_be_bytes([high, low]));
        let (record, after) = rest.split_at_checked(len)?;
        rest = after;
        Some(record)
    })
}

/// Whether a record (DTLS 1.2) can mean anything once the handshake is over: sealed ones, and
/// plaintext of the handshake, by which a peer asks for our last flight again. What is sealed but
/// not by the peer, or a second time, the engine drops.
fn may_follow_the_handshake(record: &[u8]) -> bool {
    let &[content_type, major, minor, epoch_high, epoch_low, ..] = record else { return false };
    let epoch = u16::from_be_bytes([epoch_high, epoch_low]);
    matches!([major, minor], DTLS_1_0 | DTLS_1_2)
        && matches!(
            (epoch, content_type),
            (0, HANDSHAKE) | (1, ALERT | HANDSHAKE | APPLICATION_DATA)
        )
}

/// Whether a datagram starts with a ClientHello.
fn is_client_hello(datagram: &[u8]) -> bool {
    datagram.first() == Some(&HANDSHAKE)
        && datagram.get(3..5) == Some(&[0, 0])
        && datagram.get(HEADER_LEN) == Some(&CLIENT_HELLO)
}

/// A fatal alert before the keys are there: epoch 0, with a number beyond those of the handshake.
fn plaintext_alert(alert: Alert) -> [u8; HEADER_LEN + 2] {
    const FATAL: u8 = 2;
    let [major, minor] = DTLS_1_2;
    [ALERT, major, minor, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, FATAL, alert as u8]
}
