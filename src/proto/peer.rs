//! The whole WebRTC stack of one peer: ICE-Lite, DTLS, SCTP.
//!
//! ```text
//! datagram ─► demux ─┬─ STUN ──► ice_lite ── valid tuple ──► dtls may start
//!                    └─ DTLS, from a valid tuple only ──► dtls ── verified data ──► sctp ─► events
//! sctp ─► packets ─► dtls seals each into the send buffer ─► the selected tuple
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::certificate::Fingerprint;
use super::demux::{Protocol, demux};
use super::dtls::MAX_RECORD_OVERHEAD;
use super::dtls::{AlreadyConnected, Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState};
use super::ice_lite::{Credentials, IceEvent, IceLite, IceState};
use super::net::Tuple;
use super::sctp::{Association, SctpConfig, SctpEvent};
use super::transmit::Transmits;

/// The largest UDP payload that we send: fits IPv6's minimum MTU of 1,280 bytes (RFC 8200 §5) with
/// its headers, so that it crosses every path without fragmentation.
pub const MAX_UDP_PAYLOAD: usize = 1232;

/// What makes a peer.
#[derive(Debug)]
pub struct PeerConfig {
    /// The worker's certificate and DTLS settings.
    pub dtls: Arc<DtlsContext>,
    /// Without a valid STUN request for so long the peer counts as gone.
    pub consent_timeout: Option<Duration>,
    /// `None`: no SCTP, and so no data.
    pub sctp: Option<SctpConfig>,
}

/// What a peer tells.
#[derive(Debug)]
pub enum PeerEvent {
    /// The ICE state changed.
    Ice(IceState),
    /// Datagrams go over this tuple from now on.
    SelectedTuple(Tuple),
    /// The tuple has become valid…
    TupleAdded(Tuple),
    /// …and is valid no longer.
    TupleRemoved(Tuple),
    /// This username fragment is refused from now on.
    UsernameRetired(String),
    /// The DTLS state changed; with the peer's certificate (PEM) once connected.
    Dtls(DtlsState, Option<String>),
    /// From the association.
    Sctp(SctpEvent),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Peer {
    ice: IceLite,
    dtls: Dtls,
    sctp: Option<Association>,
    /// Everything but the association's events, which are taken from it directly.
    events: VecDeque<PeerEvent>,
}

impl Peer {
    /// The largest SCTP packet that still fits a datagram of [`MAX_UDP_PAYLOAD`] when sealed.
    pub const MAX_SCTP_PACKET_SIZE: usize = MAX_UDP_PAYLOAD - MAX_RECORD_OVERHEAD;

    /// A peer that nobody has heard of yet.
    pub fn new(config: PeerConfig) -> Self {
        Self {
            ice: IceLite::new(config.consent_timeout),
            dtls: Dtls::new(config.dtls),
            sctp: config.sctp.map(Association::new),
            events: VecDeque::new(),
        }
    }

    /// The credentials to tell the peer.
    pub fn credentials(&self) -> &Credentials {
        self.ice.credentials()
    }

    /// The username fragments by which requests for this peer are known: see
    /// [`IceLite::username_fragments`].
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        self.ice.username_fragments()
    }

    /// The ICE state.
    pub fn ice_state(&self) -> IceState {
        self.ice.state()
    }

    /// The selected tuple, or what was selected last.
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

    /// DTLS records that were dropped: see [`Dtls::dropped`].
    pub fn dtls_records_dropped(&self) -> u64 {
        self.dtls.dropped()
    }

    /// The association, if there is to be one.
    pub fn sctp(&self) -> Option<&Association> {
        self.sctp.as_ref()
    }

    /// The same, to send.
    pub fn sctp_mut(&mut self) -> Option<&mut Association> {
        self.sctp.as_mut()
    }

    /// Says who the peer is: see [`Dtls::connect`].
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

    /// New ICE credentials; see [`IceLite::restart`].
    pub fn restart_ice(&mut self) -> Credentials {
        let credentials = self.ice.restart();
        self.pump_ice();
        credentials
    }

    /// The tuple belongs to another transport now, or its TCP connection has closed.
    pub fn remove_tuple(&mut self, tuple: Tuple) {
        self.ice.remove_tuple(tuple);
        self.pump_ice();
    }

    /// Takes a datagram; answers to STUN go to `out` at once. Tells whether it was the peer's:
    /// whatever else arrives changes nothing.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        tuple: Tuple,
        datagram: &[u8],
        out: &mut Transmits,
    ) -> bool {
        match demux(datagram) {
            Protocol::Stun => {
                let authentic = self.ice.handle_datagram(now, tuple, datagram, out);
                if authentic {
                    self.pump_ice();
                    self.dtls.path_ready(now);
                    self.pump_dtls(now);
                    // Whoever is there sends a check every few seconds (RFC 7675 §5.1).
                    self.trim();
                }
                authentic
            }
            Protocol::Dtls if self.ice.is_valid(tuple) => {
                self.dtls.handle_datagram(now, datagram);
                self.pump_dtls_from(now, Some(tuple));
                true
            }
            Protocol::Dtls | Protocol::Other => false,
        }
    }

    /// To be called at [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        self.pump_ice();
        self.dtls.handle_timeout(now);
        self.pump_dtls(now);
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
    }

    /// When something is to be done without input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sctp = self.sctp.as_ref().and_then(Association::poll_timeout);
        [self.ice.poll_timeout(), self.dtls.poll_timeout(), sctp].into_iter().flatten().min()
    }

    /// Writes what is to be sent: the handshake, then each SCTP packet sealed in place. Without a
    /// path to the peer everything waits.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        let Some(tuple) = self.ice.path() else { return };
        self.dtls.poll_transmit(tuple, out);
        let Self { dtls, sctp: Some(sctp), .. } = self else { return };
        if dtls.state() == DtlsState::Connected {
            sctp.drain_transmits(now, |packet| {
                out.push_with(tuple, |bytes| {
                    // A session that fails here tells so by its event, and the association ends.
                    let _ = dtls.seal(packet, bytes);
                });
            });
            self.pump_dtls(now);
        }
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        let sctp = &mut self.sctp;
        self.events.pop_front().or_else(|| sctp.as_mut()?.poll_event().map(PeerEvent::Sctp))
    }

    /// Ends the association and the session; the last [`Self::poll_transmit`] tells the peer. No
    /// event tells of it.
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

    fn trim(&mut self) {
        self.events.shrink_to(0);
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

    /// Hands verified data up and tells of states. `tuple` is where the data came from.
    fn pump_dtls_from(&mut self, now: Instant, tuple: Option<Tuple>) {
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Data(data) => {
                    if let Some(tuple) = tuple {
                        self.ice.data_from(now, tuple);
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
        // What the association has to say happened before this.
        self.events.extend(std::iter::from_fn(|| sctp.poll_event()).map(PeerEvent::Sctp));
        self.events.push_back(PeerEvent::Dtls(state, certificate));
        match state {
            DtlsState::New | DtlsState::Connecting => {}
            DtlsState::Connected => sctp.connect(now),
            DtlsState::Failed | DtlsState::Closed => sctp.abort(now),
        }
    }
}
