//! The core of plain and pipe transports: an association directly over UDP, without encryption.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;

use crate::proto::net::{SocketId, Tuple};
use crate::proto::sctp::{Association, SctpConfig, SctpEvent, SctpState, Start};
use crate::proto::transmit::{MAX_UDP_PAYLOAD, Transmits};

use crate::sfu::address::Listen;
use crate::sfu::contract::parameters::TupleInfo;

/// An association over our socket with one remote address.
#[derive(Debug)]
pub(in crate::sfu) struct SctpOverUdp {
    listen: Listen,
    remote: Option<SocketAddr>,
    /// See [`Tuple::local`]; `None` until a packet has come from the peer.
    asked: Option<IpAddr>,
    /// Whether that has changed the tuple that the application sees.
    moved: bool,
    sctp: Option<Association>,
    /// Where the last datagram came from that was not of the peer.
    stray: Option<SocketAddr>,
    /// Whether there is a DataProducer or a DataConsumer, so that the association may begin.
    wanted: bool,
}

/// What [`SctpOverUdp::learn_remote`] made of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sfu) enum Learned {
    /// The datagram was no step towards an association.
    Noise,
    /// The datagram was a step towards an association.
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
        let sctp = sctp.map(Association::new);
        Self { listen, remote: None, asked: None, moved: false, sctp, stray: None, wanted: false }
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
        self.sctp.as_ref()
    }

    pub(in crate::sfu) fn sctp_mut(&mut self) -> Option<&mut Association> {
        self.sctp.as_mut()
    }

    /// Sets the peer's address to `remote`. `start` says which side sends the INIT.
    pub(in crate::sfu) fn connect(&mut self, now: Instant, remote: SocketAddr, start: Start) {
        self.remote = Some(remote);
        if let Some(sctp) = &mut self.sctp {
            sctp.set_start(start);
        }
        self.begin(now);
    }

    /// Begins the association, now that there is a DataProducer or a DataConsumer, or notes to begin it once the
    /// remote address is known.
    pub(in crate::sfu) fn start(&mut self, now: Instant) {
        self.wanted = true;
        self.begin(now);
    }

    /// Where the last datagram came from that was not of the peer.
    pub(in crate::sfu) fn stray(&self) -> Option<SocketAddr> {
        self.stray
    }

    /// Whether there is something to carry.
    pub(in crate::sfu) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Returns whether there was something to carry, and clears that flag: a tunnel carries it from now on.
    pub(in crate::sfu) fn take_wanted(&mut self) -> bool {
        std::mem::take(&mut self.wanted)
    }

    fn begin(&mut self, now: Instant) {
        if let Some(sctp) = &mut self.sctp
            && self.wanted
            && self.remote.is_some()
        {
            sctp.connect(now);
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
        if let Some(sctp) = &mut self.sctp {
            sctp.connect(now);
            if sctp.handle_packet(now, Bytes::copy_from_slice(datagram)) {
                self.answer_from(tuple.local);
            }
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
        let Some(sctp) = &mut self.sctp else { return Learned::Noise };
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
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
    }

    pub(in crate::sfu) fn poll_timeout(&self) -> Option<Instant> {
        self.sctp.as_ref()?.poll_timeout()
    }

    pub(in crate::sfu) fn poll_event(&mut self) -> Option<SctpEvent> {
        self.sctp.as_mut()?.poll_event()
    }

    /// Whether [`Self::poll_event`] returns a message next.
    pub(in crate::sfu) fn has_message(&self) -> bool {
        self.sctp.as_ref().is_some_and(Association::has_message)
    }

    pub(in crate::sfu) fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        let (Some(sctp), Some(remote)) = (&mut self.sctp, self.remote) else { return };
        let tuple = Tuple { socket: self.listen.socket, local: self.asked, remote };
        sctp.drain_transmits(now, |packet| out.push(tuple, packet));
    }

    /// Aborts the association; the last packet is an ABORT.
    pub(in crate::sfu) fn close(&mut self, now: Instant, out: &mut Transmits) {
        if let Some(sctp) = &mut self.sctp {
            sctp.abort(now);
        }
        self.poll_transmit(now, out);
    }
}
