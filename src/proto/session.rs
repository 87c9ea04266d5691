//! A DTLS session with one peer, and the association in it (RFC 8261): what WebRTC and encrypted pipes share. It knows
//! nothing of the path, which ICE has proved or the application has named.
//!
//! ```text
//! records of the peer ─► dtls ── verified data ──► sctp ─► events
//! sctp ─► packets ─► dtls seals each into the send buffer ─► the tuple that the caller names
//! ```
//!
//! # How to drive it
//!
//! As with the other layers: after each input take the events until there are none. Later call
//! [`Session::poll_transmit`] once, take the events again (sealing can end a session), and then ask
//! [`Session::poll_timeout`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::certificate::Fingerprint;
use super::dtls::{
    AlreadyConnected, Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState, MAX_RECORD_OVERHEAD, Path,
};
use super::net::Tuple;
use super::sctp::{Association, SctpConfig, SctpEvent};
use super::transmit::{MAX_UDP_PAYLOAD, Transmits};

/// What has happened in a session.
#[derive(Debug)]
pub enum SessionEvent {
    /// The DTLS state changed. With the peer's certificate (PEM) once connected.
    Dtls(DtlsState, Option<String>),
    /// An event of the association.
    Sctp(SctpEvent),
}

/// The result of handling a datagram of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: it may be forged, or is already known.
    Nothing,
    /// An answer, or a step of the handshake.
    Handshake,
    /// Data that the peer has sealed.
    Data,
}

/// See the documentation of the module.
#[derive(Debug)]
pub struct Session {
    dtls: Dtls,
    sctp: Option<Association>,
    /// Whether the association begins as soon as the session is established, instead of waiting for the peer's first
    /// packet.
    wanted: bool,
    /// When the last data over DTLS has arrived.
    last_heard: Option<Instant>,
    /// The changes of the DTLS state, and behind which events of the association each has its place. Those are taken
    /// from the association directly, which so knows all messages that wait.
    states: VecDeque<(u64, DtlsState, Option<String>)>,
}

impl Session {
    /// The largest SCTP packet that still fits a datagram of [`MAX_UDP_PAYLOAD`] when sealed.
    pub const MAX_SCTP_PACKET_SIZE: usize = MAX_UDP_PAYLOAD - MAX_RECORD_OVERHEAD;

    /// Makes a session that waits for [`Self::path_ready`] and [`Self::connect`]. `sctp`: without it the session
    /// carries no data. `wanted`: as after [`Self::start`].
    pub fn new(dtls: Arc<DtlsContext>, path: Path, sctp: Option<SctpConfig>, wanted: bool) -> Self {
        Self {
            dtls: Dtls::new(dtls, path),
            sctp: sctp.map(Association::new),
            wanted,
            last_heard: None,
            states: VecDeque::new(),
        }
    }

    /// The DTLS session: its state and its counters.
    pub fn dtls(&self) -> &Dtls {
        &self.dtls
    }

    /// When the last data over DTLS has arrived.
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

    /// Begins the association once the session is established. Until then it waits for the peer's first packet.
    pub fn start(&mut self, now: Instant) {
        self.wanted = true;
        if self.dtls.state() == DtlsState::Connected
            && let Some(sctp) = &mut self.sctp
        {
            sctp.connect(now);
        }
    }

    /// Notes that there is a path to the peer: see [`Dtls::path_ready`].
    pub fn path_ready(&mut self, now: Instant) {
        self.dtls.path_ready(now);
        self.pump(now);
    }

    /// Sets the DTLS role and the certificate fingerprints of the peer: see [`Dtls::connect`].
    pub fn connect(
        &mut self,
        now: Instant,
        remote_role: DtlsRole,
        fingerprints: Vec<Fingerprint>,
    ) -> Result<(), AlreadyConnected> {
        self.dtls.connect(now, remote_role, fingerprints)?;
        self.pump(now);
        Ok(())
    }

    /// Handles a datagram that may hold DTLS records, from the path of the session.
    pub fn handle_datagram(&mut self, now: Instant, records: &[u8]) -> Progress {
        let shakes_hands = self.dtls.state() == DtlsState::Connecting;
        let goes_on = self.dtls.handle_datagram(now, records);
        match self.pump(now) {
            true => Progress::Data,
            false if goes_on && shakes_hands => Progress::Handshake,
            false => Progress::Nothing,
        }
    }

    /// Call this at [`Self::poll_timeout`]. An earlier call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.pump(now);
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sctp = self.sctp.as_ref().and_then(Association::poll_timeout);
        [self.dtls.poll_timeout(), sctp].into_iter().flatten().min()
    }

    /// Writes the datagrams to send over `tuple`: the handshake, then each SCTP packet sealed in place.
    pub fn poll_transmit(&mut self, now: Instant, tuple: Tuple, out: &mut Transmits) {
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
            self.pump(now);
        }
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        if self.has_state() {
            let (_, state, certificate) = self.states.pop_front()?;
            return Some(SessionEvent::Dtls(state, certificate));
        }
        self.sctp.as_mut()?.poll_event().map(SessionEvent::Sctp)
    }

    /// Whether [`Self::poll_event`] returns a message next.
    pub fn has_message(&self) -> bool {
        !self.has_state() && self.sctp.as_ref().is_some_and(Association::has_message)
    }

    /// Whether [`Self::poll_event`] returns a change of the DTLS state next.
    fn has_state(&self) -> bool {
        let taken = || self.sctp.as_ref().map_or(0, Association::events_taken);
        self.states.front().is_some_and(|(behind, ..)| *behind <= taken())
    }

    /// Ends the association and the session, and writes the ABORT and the close_notify to `out`, if there is a path.
    /// Emits no event.
    pub fn close(&mut self, now: Instant, tuple: Option<Tuple>, out: &mut Transmits) {
        if let Some(sctp) = &mut self.sctp {
            sctp.abort(now);
        }
        if let Some(tuple) = tuple {
            self.poll_transmit(now, tuple, out);
        }
        self.dtls.close();
        if let Some(tuple) = tuple {
            self.dtls.poll_transmit(tuple, out);
        }
        self.states.clear();
    }

    /// Releases memory that a burst has left unused.
    pub(super) fn trim(&mut self) {
        self.states.shrink_to(0);
        if let Some(sctp) = &mut self.sctp {
            sctp.trim();
        }
    }

    /// Passes verified data to the association, and emits changes of the DTLS state. Returns whether there was data.
    fn pump(&mut self, now: Instant) -> bool {
        let mut heard = false;
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Data(data) => {
                    heard = true;
                    self.last_heard = Some(now);
                    if let Some(sctp) = &mut self.sctp {
                        // The peer has begun, so the association is wanted.
                        sctp.connect(now);
                        sctp.handle_packet(now, data);
                    }
                }
                DtlsEvent::State(state) => self.enter_dtls_state(now, state),
            }
        }
        heard
    }

    fn enter_dtls_state(&mut self, now: Instant, state: DtlsState) {
        let certificate = match state {
            DtlsState::Connected => self.dtls.take_peer_certificate_pem(),
            _ => None,
        };
        // The events of the association happened before this change of state, so they come first.
        let behind = self.sctp.as_ref().map_or(0, Association::events_arrived);
        self.states.push_back((behind, state, certificate));
        let Some(sctp) = &mut self.sctp else { return };
        match state {
            DtlsState::New | DtlsState::Connecting => {}
            DtlsState::Connected if self.wanted => sctp.connect(now),
            DtlsState::Connected => {}
            DtlsState::Failed | DtlsState::Closed => match self.dtls.end_reason() {
                Some(reason) => sctp.end_with_session(now, reason.clone()),
                None => sctp.abort(now),
            },
        }
    }
}
