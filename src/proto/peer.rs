//! The whole WebRTC stack of one peer: ICE-Lite, and a session of DTLS and SCTP.
//!
//! ```text
//! datagram ─► Incoming ─┬─ STUN ──► ice_lite ── valid tuple ──► the session may start
//!                       └─ DTLS, from a valid tuple only ──► session ─► events
//! session ─► datagrams ─► the selected tuple
//! ```
//!
//! # How to drive it
//!
//! Input is everything that takes `&mut self` and is no `poll_*`: [`Peer::connect`], [`Peer::restart_ice`],
//! [`Peer::remove_tuple`], [`Peer::handle_incoming`], [`Peer::handle_timeout`], and calls of the association through
//! [`Peer::sctp_mut`]. Inputs come in any order, and `now` never goes backwards.
//!
//! Output follows an input that has changed something ([`Peer::handle_incoming`] returns whether it has):
//!
//! 1. [`Peer::poll_event`] until it returns `None`, at once: later input would meet events of an older state, such as
//!    the selection of a tuple that is no longer valid.
//! 2. [`Peer::poll_transmit`] once. This may wait until several inputs are in (the end of a turn); it fills datagrams
//!    better then. Answers to STUN do not wait: `handle_incoming` has written them to its `out`.
//! 3. [`Peer::poll_event`] again, because sealing can end a session.
//! 4. [`Peer::poll_timeout`], which every step above may have moved.
//!
//! Nothing that a peer sends is an error to the caller. What is malformed, forged or over a limit is dropped and
//! counted. A session that fails emits [`PeerEvent::Dtls`] with `Failed`, an association [`PeerEvent::Sctp`] with its
//! state; both are final, but ICE continues, and the peer can still be dumped and closed. The one error,
//! [`AlreadyConnected`], changes nothing.
//!
//! [`Peer::close`] comes last. After it only the getters may be called: the username fragments and tuples
//! that lead to the peer are still there, so that the caller can remove them from its tables.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::certificate::Fingerprint;
use super::demux::Incoming;
use super::dtls::{AlreadyConnected, DtlsContext, DtlsRole, DtlsState, Path};
use super::ice_lite::{Credentials, IceEvent, IceLite, IceState, StunCounters};
use super::net::Tuple;
use super::reason::{Code, Reason};
use super::sctp::{Association, SctpConfig, SctpEvent};
use super::session::{Progress, Session, SessionEvent};
use super::stun::Binding;
use super::transmit::Transmits;

/// The settings of a peer.
#[derive(Debug)]
pub struct PeerConfig {
    /// The worker's certificate and DTLS settings.
    pub dtls: Arc<DtlsContext>,
    /// The peer is disconnected after this time without a valid STUN request; `None` for no timeout.
    pub consent_timeout: Option<Duration>,
    /// The SCTP settings. With `None` there is no association, so the peer carries no data.
    pub sctp: Option<SctpConfig>,
}

/// What has happened to a peer.
#[derive(Debug)]
pub enum PeerEvent {
    /// The ICE state changed.
    Ice(IceState),
    /// Datagrams are sent over this tuple from now on.
    SelectedTuple(Tuple),
    /// The tuple has become valid.
    TupleAdded(Tuple),
    /// The tuple is no longer valid.
    TupleRemoved(Tuple),
    /// This username fragment is rejected from now on.
    UsernameRetired(String),
    /// The DTLS state changed. With the peer's certificate (PEM) once connected.
    Dtls(DtlsState, Option<String>),
    /// An event of the association.
    Sctp(SctpEvent),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Peer {
    ice: IceLite,
    session: Session,
    /// When the last authentic STUN request has arrived.
    last_request: Option<Instant>,
    /// The events of ICE. They come before the events of the session, which depends on the path.
    events: VecDeque<PeerEvent>,
}

impl Peer {
    /// Makes a peer with new credentials. It waits for the first STUN request.
    pub fn new(config: PeerConfig) -> Self {
        Self {
            ice: IceLite::new(config.consent_timeout),
            session: Session::new(config.dtls, Path::Proved, config.sctp, true),
            last_request: None,
            events: VecDeque::new(),
        }
    }

    /// The session of DTLS and SCTP.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The credentials that signalling gives to the peer.
    pub fn credentials(&self) -> &Credentials {
        self.ice.credentials()
    }

    /// The username fragments that route requests to this peer: see [`IceLite::username_fragments`].
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        self.ice.username_fragments()
    }

    /// The ICE state.
    pub fn ice_state(&self) -> IceState {
        self.ice.state()
    }

    /// The selected tuple, or the last one when disconnected.
    pub fn selected_tuple(&self) -> Option<Tuple> {
        self.ice.selected()
    }

    /// The valid tuples.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple> {
        self.ice.tuples()
    }

    /// The STUN requests that have arrived: see [`IceLite::stun`].
    pub fn stun(&self) -> &StunCounters {
        self.ice.stun()
    }

    /// Why the path to the peer is lost: see [`IceLite::loss`].
    pub fn ice_loss(&self) -> Option<Reason> {
        self.ice.loss()
    }

    /// When the last authentic STUN request or the last data over DTLS has arrived.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_request.max(self.session.last_heard())
    }

    /// The association, unless SCTP is off.
    pub fn sctp(&self) -> Option<&Association> {
        self.session.sctp()
    }

    /// The association, for sending and for its streams.
    pub fn sctp_mut(&mut self) -> Option<&mut Association> {
        self.session.sctp_mut()
    }

    /// Sets the DTLS role and the certificate fingerprints of the peer: see [`Session::connect`].
    pub fn connect(
        &mut self,
        now: Instant,
        remote_role: DtlsRole,
        fingerprints: Vec<Fingerprint>,
    ) -> Result<(), AlreadyConnected> {
        self.session.connect(now, remote_role, fingerprints)
    }

    /// Makes new ICE credentials; see [`IceLite::restart`].
    pub fn restart_ice(&mut self) -> Credentials {
        let credentials = self.ice.restart();
        self.pump_ice();
        credentials
    }

    /// Removes a tuple that belongs to another transport now, or whose TCP connection has closed: see
    /// [`IceLite::remove_tuple`].
    pub fn remove_tuple(&mut self, tuple: Tuple, code: Code) {
        self.ice.remove_tuple(tuple, code);
        self.pump_ice();
    }

    /// Handles a datagram and writes the answer to a STUN request to `out`. Returns whether it is
    /// authentic (STUN) or from a valid tuple (DTLS); if not, it has changed nothing.
    pub fn handle_incoming(
        &mut self,
        now: Instant,
        tuple: Tuple,
        incoming: Incoming<'_>,
        out: &mut Transmits,
    ) -> bool {
        match incoming {
            Incoming::Stun(request) => self.handle_request(now, tuple, request, out),
            Incoming::Dtls(records) => {
                let valid = self.ice.is_valid(tuple);
                if valid && self.session.handle_datagram(now, records) == Progress::Data {
                    self.ice.handle_data(now, tuple);
                    self.pump_ice();
                }
                valid
            }
        }
    }

    fn handle_request(
        &mut self,
        now: Instant,
        tuple: Tuple,
        request: Binding<'_>,
        out: &mut Transmits,
    ) -> bool {
        let authentic = self.ice.handle_request(now, tuple, request, out);
        if authentic {
            self.last_request = Some(now);
            self.pump_ice();
            self.session.path_ready(now);
            // A peer sends a check every few seconds (RFC 7675 §5.1), so memory is trimmed regularly here
            // without a timer.
            self.trim();
        }
        authentic
    }

    /// Call this at [`Self::poll_timeout`]. An earlier call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        self.pump_ice();
        self.session.handle_timeout(now);
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.ice.poll_timeout(), self.session.poll_timeout()].into_iter().flatten().min()
    }

    /// Writes the datagrams to send: the handshake, then each SCTP packet sealed in place. Without a
    /// path to the peer everything waits.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        if let Some(tuple) = self.ice.path() {
            self.session.poll_transmit(now, tuple, out);
        }
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front().or_else(|| {
            Some(match self.session.poll_event()? {
                SessionEvent::Dtls(state, certificate) => PeerEvent::Dtls(state, certificate),
                SessionEvent::Sctp(event) => PeerEvent::Sctp(event),
            })
        })
    }

    /// Whether [`Self::poll_event`] returns a message next.
    pub fn has_message(&self) -> bool {
        self.events.is_empty() && self.session.has_message()
    }

    /// Ends the association and the session, and writes the ABORT and the close_notify to `out`.
    /// Emits no event.
    pub fn close(&mut self, now: Instant, out: &mut Transmits) {
        self.session.close(now, self.ice.path(), out);
        self.events.clear();
    }

    /// Gives back memory that a burst has left behind.
    fn trim(&mut self) {
        self.events.shrink_to(0);
        self.ice.trim();
        self.session.trim();
    }

    fn pump_ice(&mut self) {
        while let Some(event) = self.ice.poll_event() {
            self.events.push_back(match event {
                IceEvent::State(state) => PeerEvent::Ice(state),
                IceEvent::SelectedTuple(tuple) => PeerEvent::SelectedTuple(tuple),
                IceEvent::TupleAdded(tuple) => PeerEvent::TupleAdded(tuple),
                IceEvent::TupleRemoved(tuple) => PeerEvent::TupleRemoved(tuple),
                IceEvent::CredentialsRetired(username) => PeerEvent::UsernameRetired(username),
            });
        }
    }
}
