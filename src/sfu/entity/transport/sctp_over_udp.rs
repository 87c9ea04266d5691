//! The core of plain and pipe transports: an association over UDP with one remote address, directly or in a DTLS
//! session.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::proto::dtls::{DtlsContext, DtlsRole, Path};
use crate::proto::net::{SocketId, Tuple};
use crate::proto::sctp::{Association, SctpConfig, SctpState, Start};
use crate::proto::session::{Progress, Session, SessionEvent};
use crate::proto::transmit::{MAX_UDP_PAYLOAD, Transmits};

use crate::sfu::address::Listen;
use crate::sfu::contract::options::DtlsParameters;
use crate::sfu::contract::parameters::TupleInfo;
use crate::sfu::error::{Error, Result};

use super::polled::Polled;

/// An association over our socket with one remote address.
#[derive(Debug)]
pub(in crate::sfu) struct SctpOverUdp {
    listen: Listen,
    remote: Option<SocketAddr>,
    /// See [`Tuple::local`]; `None` until a packet has come from the peer.
    asked: Option<IpAddr>,
    /// Whether a packet has changed `asked`, and so the tuple that the application sees.
    moved: bool,
    layer: Layer,
    /// Where the last datagram from another address than the peer's came from.
    stray: Option<SocketAddr>,
    /// Whether there is a DataProducer or a DataConsumer, so that the association may begin.
    wanted: bool,
}

/// What the datagrams hold.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is part of a transport, which is on the heap")]
enum Layer {
    /// The packets of an association, if SCTP is enabled.
    Clear(Option<Association>),
    /// Records of a DTLS session with such packets in them.
    Sealed(Box<Session>),
}

/// What [`SctpOverUdp::learn_remote`] made of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sfu) enum Learned {
    /// The datagram does not help to set up an association.
    Noise,
    /// The datagram may help to set up an association.
    Candidate,
    /// The sender is the peer from now on.
    Peer,
}

/// Whether a packet has the shape of one that opens an association: verification tag 0 and an INIT
/// chunk (RFC 9260 §8.5.1).
fn opens_association(packet: &[u8]) -> bool {
    const INIT: u8 = 1;
    const MIN_LEN: usize = 12 + 20;
    packet.len() >= MIN_LEN && packet[4..8] == [0; 4] && packet[12] == INIT
}

impl SctpOverUdp {
    pub(in crate::sfu) const MAX_PACKET_SIZE: usize = MAX_UDP_PAYLOAD;

    pub(in crate::sfu) fn new(listen: Listen, sctp: Option<SctpConfig>) -> Self {
        Self::with(listen, Layer::Clear(sctp.map(Association::new)))
    }

    /// A transport that encrypts by DTLS. The packet size of `sctp` must not exceed [`Session::MAX_SCTP_PACKET_SIZE`].
    pub(in crate::sfu) fn sealed(
        listen: Listen,
        dtls: Arc<DtlsContext>,
        sctp: Option<SctpConfig>,
    ) -> Self {
        Self::with(listen, Layer::Sealed(Box::new(Session::new(dtls, Path::Named, sctp, false))))
    }

    fn with(listen: Listen, layer: Layer) -> Self {
        Self { listen, remote: None, asked: None, moved: false, layer, stray: None, wanted: false }
    }

    /// The DTLS session, if it encrypts.
    pub(in crate::sfu) fn session(&self) -> Option<&Session> {
        match &self.layer {
            Layer::Clear(_) => None,
            Layer::Sealed(session) => Some(session),
        }
    }

    pub(in crate::sfu) fn socket(&self) -> SocketId {
        self.listen.socket
    }

    pub(in crate::sfu) fn local(&self) -> SocketAddr {
        self.listen.local
    }

    pub(in crate::sfu) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    pub(in crate::sfu) fn tuple_info(&self) -> TupleInfo {
        self.listen.tuple_info(self.asked, self.remote)
    }

    /// The tuple while the remote address is being learned.
    pub(in crate::sfu) fn local_tuple_info(&self) -> TupleInfo {
        self.listen.tuple_info(None, None)
    }

    pub(in crate::sfu) fn sctp(&self) -> Option<&Association> {
        match &self.layer {
            Layer::Clear(sctp) => sctp.as_ref(),
            Layer::Sealed(session) => session.sctp(),
        }
    }

    pub(in crate::sfu) fn sctp_mut(&mut self) -> Option<&mut Association> {
        match &mut self.layer {
            Layer::Clear(sctp) => sctp.as_mut(),
            Layer::Sealed(session) => session.sctp_mut(),
        }
    }

    /// Sets the peer's address to `remote`. `start` says which side sends the INIT; over DTLS it is the client. `dtls`
    /// is set if the transport uses DTLS.
    pub(in crate::sfu) fn connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        start: Start,
        dtls: Option<DtlsParameters>,
    ) -> Result<()> {
        if self.session().is_some() != dtls.is_some() {
            return Err(Error::InvalidOptions("dtlsParameters need enableDtls".into()));
        }
        match (&mut self.layer, dtls) {
            (Layer::Sealed(session), Some(DtlsParameters { role, fingerprints })) => {
                session.connect(now, role, fingerprints).map_err(|_| Error::AlreadyConnected)?;
                let is_client = session.dtls().local_role() == DtlsRole::Client;
                let start = if is_client { Start::AtOnce } else { Start::AfterSilence };
                session.sctp_mut().into_iter().for_each(|sctp| sctp.set_start(start));
                session.path_ready(now);
            }
            _ => self.sctp_mut().into_iter().for_each(|sctp| sctp.set_start(start)),
        }
        self.remote = Some(remote);
        self.begin(now);
        Ok(())
    }

    /// Begins the association, now that there is a DataProducer or a DataConsumer, or notes to begin it once the
    /// remote address is known.
    pub(in crate::sfu) fn start(&mut self, now: Instant) {
        self.wanted = true;
        self.begin(now);
    }

    /// Where the last datagram from another address than the peer's came from.
    pub(in crate::sfu) fn stray(&self) -> Option<SocketAddr> {
        self.stray
    }

    /// Whether there is a DataProducer or DataConsumer to carry messages for.
    pub(in crate::sfu) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Returns whether there was something to carry, and clears that flag: a tunnel carries it from now on.
    pub(in crate::sfu) fn take_wanted(&mut self) -> bool {
        std::mem::take(&mut self.wanted)
    }

    fn begin(&mut self, now: Instant) {
        if !self.wanted || self.remote.is_none() {
            return;
        }
        match &mut self.layer {
            Layer::Clear(sctp) => sctp.iter_mut().for_each(|sctp| sctp.connect(now)),
            Layer::Sealed(session) => session.start(now),
        }
    }

    /// Takes a datagram, if it is from the peer. It may open the association before this side has
    /// anything to carry.
    pub(in crate::sfu) fn handle_datagram(
        &mut self,
        now: Instant,
        tuple: Tuple,
        datagram: &[u8],
    ) -> bool {
        if self.remote != Some(tuple.remote) {
            self.stray = Some(tuple.remote);
            return false;
        }
        let is_of_peer = match &mut self.layer {
            Layer::Clear(None) => false,
            Layer::Clear(Some(sctp)) => {
                sctp.connect(now);
                sctp.handle_packet(now, Bytes::copy_from_slice(datagram))
            }
            Layer::Sealed(session) => session.handle_datagram(now, datagram) != Progress::Nothing,
        };
        if is_of_peer {
            self.answer_from(tuple.local);
        }
        true
    }

    /// The peer has sent to this address of ours: what goes to the peer leaves from there.
    fn answer_from(&mut self, local: Option<IpAddr>) {
        if self.asked != local {
            let before = self.tuple_info();
            self.asked = local;
            self.moved |= self.tuple_info() != before;
        }
    }

    /// Returns whether the peer has made the local side of the tuple change, and clears that flag.
    pub(in crate::sfu) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Takes a datagram while the remote address is unknown. The peer is the sender that completes the
    /// handshake; until then replies go to the last sender of a valid packet.
    pub(in crate::sfu) fn learn_remote(
        &mut self,
        now: Instant,
        tuple: Tuple,
        datagram: &[u8],
    ) -> Learned {
        let Layer::Clear(Some(sctp)) = &mut self.layer else { return Learned::Noise };
        if sctp.state() == SctpState::New {
            if !opens_association(datagram) {
                return Learned::Noise;
            }
            sctp.set_start(Start::Never);
            sctp.connect(now);
        }
        if !sctp.handle_packet(now, Bytes::copy_from_slice(datagram)) {
            return Learned::Noise;
        }
        self.remote = Some(tuple.remote);
        self.asked = tuple.local;
        if sctp.state() == SctpState::Connected { Learned::Peer } else { Learned::Candidate }
    }

    pub(in crate::sfu) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.layer {
            Layer::Clear(sctp) => sctp.iter_mut().for_each(|sctp| sctp.handle_timeout(now)),
            Layer::Sealed(session) => session.handle_timeout(now),
        }
    }

    pub(in crate::sfu) fn poll_timeout(&self) -> Option<Instant> {
        match &self.layer {
            Layer::Clear(sctp) => sctp.as_ref()?.poll_timeout(),
            Layer::Sealed(session) => session.poll_timeout(),
        }
    }

    pub(in crate::sfu) fn poll(&mut self) -> Option<Polled> {
        match &mut self.layer {
            Layer::Clear(sctp) => sctp.as_mut()?.poll_event().map(Polled::Sctp),
            Layer::Sealed(session) => Some(match session.poll_event()? {
                SessionEvent::Sctp(event) => Polled::Sctp(event),
                SessionEvent::Dtls(state, certificate) => {
                    Polled::dtls_state(session, state, certificate)
                }
            }),
        }
    }

    /// Whether [`Self::poll`] returns a message next.
    pub(in crate::sfu) fn has_message(&self) -> bool {
        match &self.layer {
            Layer::Clear(sctp) => sctp.as_ref().is_some_and(Association::has_message),
            Layer::Sealed(session) => session.has_message(),
        }
    }

    pub(in crate::sfu) fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        let Some(tuple) = self.tuple() else { return };
        match &mut self.layer {
            Layer::Clear(None) => {}
            Layer::Clear(Some(sctp)) => {
                sctp.drain_transmits(now, |packet| out.push(tuple, packet));
            }
            Layer::Sealed(session) => session.poll_transmit(now, tuple, out),
        }
    }

    /// Where datagrams go, once the remote address is known.
    fn tuple(&self) -> Option<Tuple> {
        Some(Tuple { socket: self.listen.socket, local: self.asked, remote: self.remote? })
    }

    /// Aborts the association; the last packet is an ABORT, and over DTLS the last record a close_notify.
    pub(in crate::sfu) fn close(&mut self, now: Instant, out: &mut Transmits) {
        let tuple = self.tuple();
        match &mut self.layer {
            Layer::Clear(sctp) => {
                sctp.iter_mut().for_each(|sctp| sctp.abort(now));
                self.poll_transmit(now, out);
            }
            Layer::Sealed(session) => session.close(now, tuple, out),
        }
    }
}
