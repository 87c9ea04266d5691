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
//! than `MAX_QUEUED_RECORDS`, say. It ends its own session by that and none else.

mod context;
mod record;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dimpl::{Output, SecurityError};
use log::warn;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::context::{DtlsContext, warm_up};
use self::record::{Alert, HEADER_LEN};
use super::certificate::{Fingerprint, certificate_to_pem};
use super::net::Tuple;
use super::transmit::Transmits;

/// The most by which a record is longer than its content: a header of 13 bytes, an explicit nonce
/// of 8 and a tag of 16 (RFC 6347 §4.1, RFC 5288 §3).
pub const MAX_RECORD_OVERHEAD: usize = HEADER_LEN + 8 + 16;

/// The most content in one record (RFC 6347 §4.1.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Larger records are dropped during the handshake: no path carries them.
const MAX_HANDSHAKE_RECORD: usize = 2048;

/// Bounds of what is kept of a client that starts before `connect()`.
const MAX_EARLY_DATAGRAMS: usize = 8;
const MAX_EARLY_BYTES: usize = 16 * 1024;

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
    engine: Option<Box<dimpl::Dtls>>,
    /// Datagrams from before the handshake could start.
    early: Vec<Box<[u8]>>,
    /// DER. There from when it has matched until it is taken.
    peer_certificate: Option<Box<[u8]>>,
    give_up_at: Option<Instant>,
    retransmit_at: Option<Instant>,
    outgoing: Vec<Box<[u8]>>,
    events: VecDeque<DtlsEvent>,
    dropped: u64,
}

impl Dtls {
    /// A session in state [`DtlsState::New`].
    pub fn new(context: Arc<DtlsContext>) -> Self {
        Self {
            context,
            state: DtlsState::New,
            role: DtlsRole::Auto,
            fingerprints: Vec::new(),
            engine: None,
            early: Vec::new(),
            peer_certificate: None,
            give_up_at: None,
            retransmit_at: None,
            outgoing: Vec::new(),
            events: VecDeque::new(),
            dropped: 0,
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

    /// Records (and what looks like one) of which nothing came: not the peer's, sent twice, out of
    /// place, or beyond what is kept. What the engine drops during the handshake is not among them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The peer's certificate as PEM, if it has matched; it is not kept.
    pub fn take_peer_certificate_pem(&mut self) -> Option<String> {
        self.peer_certificate.take().as_deref().map(certificate_to_pem)
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
        if self.state == DtlsState::New {
            self.enter(DtlsState::Connecting);
        }
        self.start_if_possible(now);
    }

    /// Takes a datagram that arrived on a valid tuple.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        match self.state {
            DtlsState::New | DtlsState::Connecting if self.engine.is_none() => {
                self.keep_early(datagram);
            }
            _ => self.handle_records(now, datagram),
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
        match (self.state, self.engine.as_mut()) {
            (DtlsState::Connected, Some(engine)) => {
                let mut goodbye = [0; 2 + MAX_RECORD_OVERHEAD];
                if engine.close().is_ok()
                    && let Output::Packet(record) = engine.poll_output(&mut goodbye)
                {
                    self.outgoing.push(record.into());
                }
            }
            // What the end before this one said is still to be sent.
            (DtlsState::Failed | DtlsState::Closed, _) => {}
            _ => self.outgoing.clear(),
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
        let possible = self.state == DtlsState::Connecting && self.role != DtlsRole::Auto;
        if !possible || self.engine.is_some() {
            return;
        }
        self.engine = Some(Box::new(self.context.engine(now, self.role == DtlsRole::Client)));
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
        let Some(message) = record::handshake_message(datagram) else {
            self.dropped += 1;
            return;
        };
        let bytes: usize = self.early.iter().map(|kept| kept.len()).sum();
        if self.early.len() < MAX_EARLY_DATAGRAMS
            && bytes + datagram.len() <= MAX_EARLY_BYTES
            && !self.early.iter().any(|kept| record::handshake_message(kept) == Some(message))
        {
            self.early.push(datagram.into());
        } else {
            self.dropped += 1;
        }
    }

    /// Gives the engine the records of a datagram one by one. In a datagram as a whole it would
    /// ignore what comes behind a message that it knows already, even if that is new because the
    /// peer has packed a flight in another way than the first time; and all of one with more than 8
    /// records.
    fn handle_records(&mut self, now: Instant, datagram: &[u8]) {
        let mut read = 0;
        for record in record::split(datagram) {
            read += record.len();
            let expected = match self.state {
                DtlsState::Connected => record::may_follow_the_handshake(record),
                DtlsState::Connecting => {
                    record.len() <= MAX_HANDSHAKE_RECORD && record::may_be_of_the_handshake(record)
                }
                // It is over, perhaps since an earlier record.
                _ => return self.dropped += 1,
            };
            if !expected {
                self.dropped += 1;
                continue;
            }
            if self.role == DtlsRole::Client
                && record::is_client_hello(record)
                && self.state == DtlsState::Connecting
            {
                // Neither side will ever answer the other; better to say so than to wait for 30 s.
                return self.fail(&"both sides are client", Some(Alert::UnexpectedMessage));
            }
            let before = (self.state, self.events.len(), self.outgoing.len());
            self.drive(now, Some(record));
            let after = (self.state, self.events.len(), self.outgoing.len());
            if before == after && self.state == DtlsState::Connected {
                self.dropped += 1;
            }
        }
        if read < datagram.len() || datagram.is_empty() {
            self.dropped += 1;
        }
    }

    /// Gives the engine the time and, if there is one, a record, and takes everything that comes
    /// out of it: what it queues is bounded, and it fails when that is full.
    fn drive(&mut self, now: Instant, record: Option<&[u8]>) {
        let Some(engine) = self.engine.as_mut() else { return };
        let mut result = engine.handle_timeout(now);
        if let (Ok(()), Some(record)) = (&result, record) {
            result = engine.handle_packet(record);
        }
        if let Err(error) = result {
            return self.fail(&error, self.answer_to(&error));
        }

        match (self.state, record) {
            // Exactly the content of an AES-GCM record, so that it is copied once and never again.
            // Anything else that comes out asks for what it needs.
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
        let mut said_goodbye = false;
        loop {
            match engine.poll_output(buffer) {
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
                        Bytes::from(std::mem::take(buffer))
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
        warn!("DTLS failed: {why}");
        self.outgoing.clear();
        if let Some(alert) = alert {
            self.outgoing.push(record::fatal_alert(alert).into());
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
