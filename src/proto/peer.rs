//! The whole WebRTC stack of one peer: ICE-Lite, DTLS, SCTP.
//!
//! ```text
//! datagram ─► Incoming ─┬─ STUN ──► ice_lite ── valid tuple ──► dtls may start
//!                       └─ DTLS, from a valid tuple only ──► dtls ── verified data ──► sctp ─► events
//! sctp ─► packets ─► dtls seals each into the send buffer ─► the selected tuple
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
//! Nothing that a peer sends is an error to the caller. What is malformed, forged or over a limit is dropped and counted.
//! A session that fails emits [`PeerEvent::Dtls`] with `Failed`, an association [`PeerEvent::Sctp`] with its state; both
//! are final, but ICE continues, and the peer can still be dumped and closed. The one error, [`AlreadyConnected`], changes
//! nothing.
//!
//! [`Peer::close`] comes last. After it only the getters may be called: the username fragments and tuples
//! that lead to the peer are still there, so that the caller can remove them from its tables.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::certificate::Fingerprint;
use super::demux::Incoming;
use super::dtls::MAX_RECORD_OVERHEAD;
use super::dtls::{AlreadyConnected, Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState};
use super::ice_lite::{Credentials, IceEvent, IceLite, IceState, StunCounters};
use super::net::Tuple;
use super::reason::{Code, Reason};
use super::sctp::{Association, SctpConfig, SctpEvent};
use super::stun::Binding;
use super::transmit::Transmits;

/// The largest UDP payload that we send. With its headers it fits IPv6's minimum MTU of 1,280 bytes
/// (RFC 8200 §5), so it crosses every path without fragmentation.
pub const MAX_UDP_PAYLOAD: usize = 1232;

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
    dtls: Dtls,
    sctp: Option<Association>,
    last_heard: Option<Instant>,
    /// Everything but the association's events, which are taken from it directly.
    events: VecDeque<PeerEvent>,
}

impl Peer {
    /// The largest SCTP packet that still fits a datagram of [`MAX_UDP_PAYLOAD`] when sealed.
    pub const MAX_SCTP_PACKET_SIZE: usize = MAX_UDP_PAYLOAD - MAX_RECORD_OVERHEAD;

    /// Makes a peer with new credentials. It waits for the first STUN request.
    pub fn new(config: PeerConfig) -> Self {
        Self {
            ice: IceLite::new(config.consent_timeout),
            dtls: Dtls::new(config.dtls),
            sctp: config.sctp.map(Association::new),
            last_heard: None,
            events: VecDeque::new(),
        }
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

    /// The DTLS state.
    pub fn dtls_state(&self) -> DtlsState {
        self.dtls.state()
    }

    /// Our DTLS role; [`DtlsRole::Auto`] until [`Self::connect`].
    pub fn local_role(&self) -> DtlsRole {
        self.dtls.local_role()
    }

    /// The STUN requests that have arrived: see [`IceLite::stun`].
    pub fn stun(&self) -> &StunCounters {
        self.ice.stun()
    }

    /// The datagrams from valid tuples that may hold DTLS records.
    pub fn dtls_datagrams(&self) -> u64 {
        self.dtls.datagrams()
    }

    /// Why the path to the peer is lost: see [`IceLite::loss`].
    pub fn ice_loss(&self) -> Option<Reason> {
        self.ice.loss()
    }

    /// Why the session has ended: see [`Dtls::end_reason`].
    pub fn dtls_end_reason(&self) -> Option<&Reason> {
        self.dtls.end_reason()
    }

    /// DTLS records that were dropped: see [`Dtls::dropped`].
    pub fn dtls_records_dropped(&self) -> u64 {
        self.dtls.dropped()
    }

    /// When the last authentic STUN request or the last data over DTLS has arrived.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// The association, unless SCTP is off.
    pub fn sctp(&self) -> Option<&Association> {
        self.sctp.as_ref()
    }

    /// The association, for sending and for its streams.
    pub fn sctp_mut(&mut self) -> Option<&mut Association> {
        self.sctp.as_mut()
    }

    /// Sets the DTLS role and the certificate fingerprints of the peer: see [`Dtls::connect`].
    pub fn connect(
        &mut self,
        now: Instant,
        remote_role: DtlsRole,
        fingerprints: Vec<Fingerprint>,
    ) -> Result<(), AlreadyConnected> {
        self.dtls.connect(now, remote_role, fingerprints)?;
        self.pump_dtls(now);
        Ok(())
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
                if valid {
                    self.dtls.handle_datagram(now, records);
                    self.pump_dtls_from(now, Some(tuple));
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
            self.last_heard = Some(now);
            self.pump_ice();
            self.dtls.path_ready(now);
            self.pump_dtls(now);
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
        self.dtls.handle_timeout(now);
        self.pump_dtls(now);
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sctp = self.sctp.as_ref().and_then(Association::poll_timeout);
        [self.ice.poll_timeout(), self.dtls.poll_timeout(), sctp].into_iter().flatten().min()
    }

    /// Writes the datagrams to send: the handshake, then each SCTP packet sealed in place. Without a
    /// path to the peer everything waits.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        let Some(tuple) = self.ice.path() else { return };
        self.dtls.poll_transmit(tuple, out);
        let Self { dtls, sctp: Some(sctp), .. } = self else { return };
        if dtls.state() == DtlsState::Connected {
            sctp.drain_transmits(now, |packet| {
                out.push_with(tuple, |bytes| {
                    // The error is ignored: a session that fails here emits its event, which ends the
                    // association.
                    let _ = dtls.seal(packet, bytes);
                });
            });
            self.pump_dtls(now);
        }
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        let sctp = &mut self.sctp;
        self.events.pop_front().or_else(|| sctp.as_mut()?.poll_event().map(PeerEvent::Sctp))
    }

    /// Whether [`Self::poll_event`] returns a message next.
    pub fn has_message(&self) -> bool {
        match self.events.front() {
            Some(event) => matches!(event, PeerEvent::Sctp(SctpEvent::Message { .. })),
            None => self.sctp.as_ref().is_some_and(Association::has_message),
        }
    }

    /// Ends the association and the session, and writes the ABORT and the close_notify to `out`.
    /// Emits no event.
    pub fn close(&mut self, now: Instant, out: &mut Transmits) {
        if let Some(sctp) = &mut self.sctp {
            sctp.abort(now);
        }
        self.poll_transmit(now, out);
        self.dtls.close();
        if let Some(tuple) = self.ice.path() {
            self.dtls.poll_transmit(tuple, out);
        }
        self.events.clear();
    }

    /// Gives back memory that a burst has left behind.
    fn trim(&mut self) {
        self.events.shrink_to(0);
        self.ice.trim();
        if let Some(sctp) = &mut self.sctp {
            sctp.trim();
        }
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

    fn pump_dtls(&mut self, now: Instant) {
        self.pump_dtls_from(now, None);
    }

    /// Passes verified data to the association, and emits changes of the DTLS state. `tuple` is the source of
    /// the data.
    fn pump_dtls_from(&mut self, now: Instant, tuple: Option<Tuple>) {
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Data(data) => {
                    self.last_heard = Some(now);
                    if let Some(tuple) = tuple {
                        self.ice.handle_data(now, tuple);
                        self.pump_ice();
                    }
                    if let Some(sctp) = &mut self.sctp {
                        sctp.handle_packet(now, data);
                    }
                }
                DtlsEvent::State(state) => self.enter_dtls_state(now, state),
            }
        }
    }

    fn enter_dtls_state(&mut self, now: Instant, state: DtlsState) {
        let certificate = match state {
            DtlsState::Connected => self.dtls.take_peer_certificate_pem(),
            _ => None,
        };
        let Some(sctp) = &mut self.sctp else {
            return self.events.push_back(PeerEvent::Dtls(state, certificate));
        };
        // The events of the association happened before this change of state, so they come first.
        self.events.extend(std::iter::from_fn(|| sctp.poll_event()).map(PeerEvent::Sctp));
        self.events.push_back(PeerEvent::Dtls(state, certificate));
        match state {
            DtlsState::New | DtlsState::Connecting => {}
            DtlsState::Connected => sctp.connect(now),
            DtlsState::Failed | DtlsState::Closed => match self.dtls.end_reason() {
                Some(reason) => sctp.end_with_session(now, reason.clone()),
                None => sctp.abort(now),
            },
        }
    }
}
