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
//! `Connecting` needs only a path, which ICE has proved or the application has named. The handshake starts once the
//! path is ready and [`Dtls::connect`] was called, because our role (client or server) is known only then. Datagrams
//! that a client sends before that are kept, within bounds, and handled then.
//!
//! No byte of the application passes in either direction before the peer's certificate has matched
//! a fingerprint given to [`Dtls::connect`] (RFC 8827 §6.5). `Failed` and `Closed` are final:
//! input is ignored, and the only output is a last alert.
//!
//! A peer can affect only its own session, whose memory is bounded. Noise is dropped: here by the record header once
//! connected, and in the engine otherwise. The engine's errors are all fatal, and anyone able to send from the peer's
//! address can provoke them, for example with more handshake fragments than `MAX_QUEUED_RECORDS`. If ICE has proved the
//! path, only the peer can. If the path is only named, a host that forges the address can, until the handshake is done
//! (see docs/security.md). A single datagram is not enough for that: alerts in plaintext and the hello of a second
//! client are dropped (RFC 6347 §4.1.2.7). As they may be genuine, they become the reason if the handshake does not end
//! in time.

mod context;
mod early;
mod failure;
mod hellos;
mod record;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dimpl::Output;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::context::{DtlsContext, warm_up};
use self::early::EarlyDatagrams;
use self::failure::Stage;
use self::hellos::{HelloOutcome, Hellos};
use self::record::{Alert, HEADER_LEN, MAX_HANDSHAKE_RECORD};
use super::certificate::{Fingerprint, certificate_to_pem};
use super::net::Tuple;
use super::reason::{Code, Reason};
use super::transmit::Transmits;

/// A record is at most this much longer than its content: a header of 13 bytes, an explicit nonce
/// of 8 and a tag of 16 (RFC 6347 §4.1, RFC 5288 §3).
pub const MAX_RECORD_OVERHEAD: usize = HEADER_LEN + 8 + 16;

/// The most content in one record (RFC 6347 §4.1.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;

/// How many records of a datagram are read: twice as many as a flight has. What follows is dropped, and counts as one
/// record. A datagram has room for thousands, each of which costs about as much as a datagram with one.
pub const MAX_RECORDS: usize = 16;

/// The time limit of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// The state of the session, with the names of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsState {
    /// There is no path to the peer yet.
    New,
    /// There is a path; the handshake is waiting for `connect()` or under way.
    Connecting,
    /// The handshake is done, and the certificate of the peer has matched a fingerprint.
    Connected,
    /// A timeout, a wrong certificate or a fatal error ended the session.
    Failed,
    /// The peer's close_notify or [`Dtls::close`] ended the session.
    Closed,
}

impl DtlsState {
    /// Whether no other state follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Closed)
    }
}

/// The role in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsRole {
    /// Remote side: the role was not given, and the peer counts as the server. Our side: the role is not
    /// known yet.
    #[default]
    Auto,
    /// Sends the ClientHello.
    Client,
    /// Waits for the ClientHello.
    Server,
}

/// What is known about the peer's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// ICE has proved that the peer receives data there.
    Proved,
    /// The application has named it. As a server, we ask clients for a cookie first.
    Named,
}

/// What has happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DtlsEvent {
    /// The state changed.
    State(DtlsState),
    /// The application data of one record, decrypted.
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
    #[error("the DTLS session is not connected")]
    NotConnected,
    /// The content has more than [`MAX_PLAINTEXT`] bytes.
    #[error("the data is larger than a DTLS record")]
    TooLarge,
}

/// A DTLS session with one peer. It takes little memory before the handshake and after the end.
///
/// After each `handle_*`, `connect`, `path_ready` and `close`, call [`Dtls::poll_transmit`] and
/// [`Dtls::poll_event`].
pub struct Dtls {
    context: Arc<DtlsContext>,
    path: Path,
    state: DtlsState,
    /// Our role; `Auto` until `connect()`.
    role: DtlsRole,
    /// The peer's certificate must match one of these fingerprints. Empty after the match.
    fingerprints: Vec<Fingerprint>,
    engine: Option<Box<dimpl::Dtls>>,
    /// Present instead of the engine while clients have to send a cookie back.
    hellos: Option<Box<Hellos>>,
    /// Datagrams that arrived before the handshake could start, then data that arrived before its end.
    early: EarlyDatagrams,
    /// The peer's certificate in DER, kept from the match until the caller takes it.
    peer_certificate: Option<Box<[u8]>>,
    give_up_at: Option<Instant>,
    retransmit_at: Option<Instant>,
    outgoing: Vec<Box<[u8]>>,
    events: VecDeque<DtlsEvent>,
    datagrams: u64,
    dropped: u64,
    /// Why the session failed, or was closed by the peer.
    end_reason: Option<Reason>,
    /// See [`Self::suspicion`].
    suspicion: Option<Box<Reason>>,
}

impl Dtls {
    /// Makes a session in state [`DtlsState::New`].
    pub fn new(context: Arc<DtlsContext>, path: Path) -> Self {
        Self {
            context,
            path,
            state: DtlsState::New,
            role: DtlsRole::Auto,
            fingerprints: Vec::new(),
            engine: None,
            hellos: None,
            early: EarlyDatagrams::default(),
            peer_certificate: None,
            give_up_at: None,
            retransmit_at: None,
            outgoing: Vec::new(),
            events: VecDeque::new(),
            datagrams: 0,
            dropped: 0,
            end_reason: None,
            suspicion: None,
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

    /// Dropped records: forged, replayed, misplaced, malformed or over a limit. Those that the engine
    /// drops during the handshake are not counted.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many datagrams of the peer have arrived, including those that were dropped.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Why the session failed, or how the peer has closed it. `None` before that.
    pub fn end_reason(&self) -> Option<&Reason> {
        self.end_reason.as_ref()
    }

    /// Why the current handshake may fail, according to a record that may be forged.
    pub fn suspicion(&self) -> Option<&Reason> {
        self.suspicion.as_deref()
    }

    /// Takes the peer's certificate as PEM, once it has matched.
    pub fn take_peer_certificate_pem(&mut self) -> Option<String> {
        self.peer_certificate.take().as_deref().map(certificate_to_pem)
    }

    /// Sets the role and the fingerprints of the peer (RFC 8842 §5.2). If the peer is the client, we
    /// are the server, otherwise the client. A peer whose certificate matches none of the fingerprints
    /// fails, so with none given every peer does. The error means that this is not the first call; it
    /// changes nothing.
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

    /// Call this when ICE has a valid tuple: the handshake may start from then on. Later calls change
    /// nothing.
    pub fn path_ready(&mut self, now: Instant) {
        if self.state == DtlsState::New {
            self.enter(DtlsState::Connecting);
        }
        self.start_if_possible(now);
    }

    /// Handles a datagram from a valid tuple. Returns whether the session answers it or has advanced.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> bool {
        self.datagrams += 1;
        match self.state {
            DtlsState::New | DtlsState::Connecting
                if self.engine.is_none() && self.hellos.is_none() =>
            {
                self.dropped += u64::from(!self.early.keep(datagram));
                false
            }
            _ => {
                let before = self.progress();
                self.handle_records(now, datagram);
                before != self.progress()
            }
        }
    }

    /// A value that changes whenever the engine uses a record.
    fn progress(&self) -> (DtlsState, usize, usize) {
        (self.state, self.events.len(), self.outgoing.len())
    }

    /// Seals `content` into one record, up to [`MAX_RECORD_OVERHEAD`] bytes longer, and appends it to
    /// `out`. An error leaves `out` unchanged.
    ///
    /// Call [`Dtls::poll_transmit`] first: the end of the handshake may wait there, and a record that
    /// overtakes it is lost.
    pub fn seal(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        let (DtlsState::Connected, Some(engine)) = (self.state, self.engine.as_mut()) else {
            return Err(SealError::NotConnected);
        };
        if content.len() > MAX_PLAINTEXT {
            return Err(SealError::TooLarge);
        }
        if let Err(error) = engine.send_application_data(content) {
            self.fail(failure::of_engine(&error, self.stage()), None);
            return Err(SealError::NotConnected);
        }
        let start = out.len();
        out.resize(start + content.len() + MAX_RECORD_OVERHEAD, 0);
        // The queue of the engine is emptied after each call, so this is our record.
        let len = match engine.poll_output(&mut out[start..]) {
            Output::Packet(record) => record.len(),
            _ => 0,
        };
        out.truncate(start + len);
        if len == 0 {
            let message = "the engine returned no record";
            self.fail(Reason::new(Code::ProtocolViolation, message), None);
            return Err(SealError::NotConnected);
        }
        Ok(())
    }

    /// Sends close_notify to a connected peer (RFC 5246 §7.2.1) and ends the session. Emits no event,
    /// and discards those that were not polled.
    pub fn close(&mut self) {
        match (self.state, self.engine.as_mut()) {
            (DtlsState::Connected, Some(engine)) => {
                let mut close_notify = [0; 2 + MAX_RECORD_OVERHEAD];
                if engine.close().is_ok()
                    && let Output::Packet(record) = engine.poll_output(&mut close_notify)
                {
                    self.outgoing.push(record.into());
                }
            }
            // `outgoing` may still hold the last alert, which must reach the peer.
            (DtlsState::Failed | DtlsState::Closed, _) => {}
            _ => self.outgoing.clear(),
        }
        self.end(DtlsState::Closed);
        self.events.clear();
    }

    /// Moves the datagrams of the handshake and of the end into `out`, to be sent over `tuple`.
    pub fn poll_transmit(&mut self, tuple: Tuple, out: &mut Transmits) {
        for datagram in self.outgoing.drain(..) {
            out.push(tuple, &datagram);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    /// When to call [`Dtls::handle_timeout`]. `None` unless a handshake is under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.give_up_at, self.retransmit_at].into_iter().flatten().min()
    }

    /// Retransmits a flight, or fails the handshake. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.give_up_at.is_some_and(|at| at <= now) {
            let reason = self.suspicion.take().map(|it| *it);
            self.fail(reason.unwrap_or_else(|| failure::timeout(self.stage())), None);
        } else if self.retransmit_at.is_some_and(|at| at <= now) {
            self.drive(now, None);
        }
    }

    /// Starts the handshake if there is a path and we know our role.
    fn start_if_possible(&mut self, now: Instant) {
        let possible = self.state == DtlsState::Connecting && self.role != DtlsRole::Auto;
        if !possible || self.engine.is_some() || self.hellos.is_some() {
            return;
        }
        self.give_up_at = Some(now + HANDSHAKE_TIMEOUT);
        if self.path == Path::Named && self.role == DtlsRole::Server {
            self.hellos = Some(Box::default());
        } else {
            self.engine = Some(Box::new(self.context.engine(now, self.role == DtlsRole::Client)));
            // This makes the engine of a client write its ClientHello.
            self.drive(now, None);
        }
        for datagram in self.early.take() {
            self.handle_records(now, &datagram);
        }
    }

    /// Passes the records of a datagram to the engine one by one. From a whole datagram the engine would
    /// ignore everything after a message that it has already, although a retransmitted flight may have new
    /// messages there. It would also ignore any datagram with more than 8 records.
    fn handle_records(&mut self, now: Instant, datagram: &[u8]) {
        let mut read = 0;
        for record in record::split(datagram).take(MAX_RECORDS) {
            read += record.len();
            if self.hellos.is_some() {
                self.hear(now, record);
                continue;
            }
            if self.state == DtlsState::Connecting && record::is_data(record) {
                // The peer's Finished is late or lost. The record is often the INIT of SCTP, and losing that costs a
                // second.
                self.dropped += self.early.keep_data(record, self.path == Path::Proved);
                continue;
            }
            let expected = match self.state {
                DtlsState::Connected => record::may_follow_the_handshake(record),
                DtlsState::Connecting => {
                    record.len() <= MAX_HANDSHAKE_RECORD && record::may_be_of_the_handshake(record)
                }
                // An earlier record may have ended the session.
                _ => return self.dropped += 1,
            };
            if !expected {
                self.dropped += 1;
                continue;
            }
            if self.state == DtlsState::Connecting
                && let Some(suspicion) = self.suspect(record)
            {
                if self.path == Path::Proved {
                    // Two clients never answer each other: fail now instead of after the timeout.
                    return self.fail(suspicion, Some(Alert::UnexpectedMessage));
                }
                self.suspicion = Some(Box::new(suspicion));
                self.dropped += 1;
                continue;
            }
            let before = self.progress();
            self.drive(now, Some(record));
            if before == self.progress() && self.state == DtlsState::Connected {
                self.dropped += 1;
            }
            if before.0 != self.state {
                self.early.take().iter().for_each(|record| self.handle_records(now, record));
            }
        }
        if read < datagram.len() || datagram.is_empty() {
            self.dropped += 1;
        }
    }

    /// Why the handshake would fail if this record, which may be forged, is genuine. The engine gets no alerts over a
    /// [`Path::Named`].
    fn suspect(&self, record: &[u8]) -> Option<Reason> {
        if self.role == DtlsRole::Client && record::is_client_hello(record) {
            return Some(failure::both_client());
        }
        let alert = record::plaintext_alert(record).filter(|_| self.path == Path::Named)?;
        Some(failure::of_alert(alert, self.stage()))
    }

    /// Passes a record to the clients that have yet to return their cookie. The first to return one begins the
    /// handshake.
    fn hear(&mut self, now: Instant, record: &[u8]) {
        let Some(hellos) = &mut self.hellos else { return };
        let fits = record.len() <= MAX_HANDSHAKE_RECORD && record::may_be_of_the_handshake(record);
        match if fits { hellos.handle(&self.context, now, record) } else { HelloOutcome::Dropped } {
            HelloOutcome::Dropped => self.dropped += 1,
            HelloOutcome::Answered(answers) => self.outgoing.extend(answers),
            HelloOutcome::Failed(error) => {
                let stage = self.stage();
                self.fail(failure::of_engine(&error, stage), failure::answer_to(&error, stage));
            }
            HelloOutcome::Proved(engine, answers) => {
                self.hellos = None;
                self.engine = Some(engine);
                self.outgoing.extend(answers);
                let context = Arc::clone(&self.context);
                self.take_output(&mut context.scratch());
            }
        }
    }

    /// Passes the time and a record, if any, to the engine. Takes all output of the engine, because the
    /// engine fails when its bounded queue is full.
    fn drive(&mut self, now: Instant, record: Option<&[u8]>) {
        let Some(engine) = self.engine.as_mut() else { return };
        // Only what belongs to the handshake depends on the time.
        let is_timeless = self.state == DtlsState::Connected && record.is_some_and(record::is_data);
        let mut result = if is_timeless { Ok(()) } else { engine.handle_timeout(now) };
        if let (Ok(()), Some(record)) = (&result, record) {
            result = engine.handle_packet(record);
        }
        if let Err(error) = result {
            let stage = self.stage();
            return self.fail(failure::of_engine(&error, stage), failure::answer_to(&error, stage));
        }

        match (self.state, record) {
            // The buffer has the size of the content of an AES-GCM record, so that the content is copied only
            // once. Any other output grows the buffer to its size.
            (DtlsState::Connected, Some(record)) => {
                let len = record.len().saturating_sub(MAX_RECORD_OVERHEAD);
                self.take_output(&mut vec![0; len]);
            }
            _ => {
                let context = Arc::clone(&self.context);
                self.take_output(&mut context.scratch());
            }
        }
    }

    fn take_output(&mut self, buffer: &mut Vec<u8>) {
        let Some(engine) = self.engine.as_mut() else { return };
        let mut closed_by_peer = false;
        loop {
            match engine.poll_output(buffer) {
                Output::Packet(datagram) => self.outgoing.push(datagram.into()),
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::PeerCert(certificate) => {
                    if !self.fingerprints.iter().any(|f| f.matches(certificate)) {
                        let reason = failure::fingerprint_mismatch(certificate);
                        return self.fail(reason, Some(Alert::BadCertificate));
                    }
                    self.peer_certificate = Some(certificate.into());
                    self.fingerprints = Vec::new();
                }
                Output::Connected => {
                    if self.peer_certificate.is_none() {
                        let reason = failure::no_certificate();
                        return self.fail(reason, Some(Alert::BadCertificate));
                    }
                    self.give_up_at = None;
                    self.suspicion = None;
                    self.state = DtlsState::Connected;
                    self.events.push_back(DtlsEvent::State(DtlsState::Connected));
                }
                Output::ApplicationData(content) if self.state == DtlsState::Connected => {
                    let len = content.len();
                    let content = if len == buffer.len() {
                        Bytes::from(std::mem::take(buffer))
                    } else {
                        Bytes::copy_from_slice(&buffer[..len])
                    };
                    if !content.is_empty() {
                        self.events.push_back(DtlsEvent::Data(content));
                    }
                }
                Output::CloseNotify => closed_by_peer = true,
                Output::Timeout(at) => {
                    // Once connected, DTLS 1.2 has no timers: a lost last flight is retransmitted when
                    // the peer retransmits its own.
                    self.retransmit_at = (self.state == DtlsState::Connecting).then_some(at);
                    break;
                }
                // SRTP keys are not used, and the engine returns no data before the handshake is done.
                _ => {}
            }
        }
        if closed_by_peer {
            self.end_reason = Some(failure::closed_by_peer());
            self.end(DtlsState::Closed);
            self.events.push_back(DtlsEvent::State(DtlsState::Closed));
        }
    }

    fn stage(&self) -> Stage {
        Stage {
            is_client: self.role == DtlsRole::Client,
            is_connected: self.state == DtlsState::Connected,
            has_heard: self.datagrams > 0,
        }
    }

    /// Ends the session with an error. `alert` is sent in plaintext, which a peer accepts until the
    /// handshake is done.
    fn fail(&mut self, reason: Reason, alert: Option<Alert>) {
        self.end_reason = Some(reason);
        self.outgoing.clear();
        if let Some(alert) = alert {
            self.outgoing.push(record::fatal_alert(alert).into());
        }
        self.end(DtlsState::Failed);
        self.events.push_back(DtlsEvent::State(DtlsState::Failed));
    }

    /// Enters a final state and frees memory.
    fn end(&mut self, state: DtlsState) {
        self.state = state;
        self.engine = None;
        self.hellos = None;
        self.early = EarlyDatagrams::default();
        self.fingerprints = Vec::new();
        self.suspicion = None;
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
