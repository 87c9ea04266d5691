//! A WebRTC client: a full ICE agent with one address, DTLS, and dcsctp, the SCTP
//! implementation of libwebrtc ported to Rust. dcsctp shares no code with our association.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use datasoup::proto::certificate::{Certificate, Fingerprint};
use datasoup::proto::demux::{Protocol, demux};
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState, Path};
use datasoup::proto::message::{Message, Reliability};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::transmit::Transmits;
use datasoup::sfu::contract::answers::WebRtcTransportAnswer;
use datasoup::sfu::contract::parameters::IceParameters;

use super::checks::{self, Answer, CHECK, CONSENT};
use super::dcsctp::DcSctp;
use super::sim::{Datagram, Peer};

pub(crate) struct Client {
    /// The address that the client sends from. The client still receives at its former addresses.
    pub(crate) address: SocketAddr,
    former: Vec<SocketAddr>,
    pub(crate) server: SocketAddr,
    pub(crate) ice: IceParameters,
    /// Whether the client sends checks.
    pub(crate) checks: bool,
    /// Whether the client's checks have USE-CANDIDATE.
    pub(crate) nominates: bool,
    /// Whether the worker has answered a check from the current address.
    pub(crate) path_works: bool,
    /// The ERROR-CODEs of the worker's error responses.
    pub(crate) refusals: Vec<u16>,
    next_check: Instant,
    context: Arc<DtlsContext>,
    dtls: Dtls,
    pub(crate) dtls_states: Vec<DtlsState>,
    pub(crate) sctp: DcSctp,
    /// If present, collects the worker's SCTP packets, which then do not reach the association; a test answers them
    /// with [`Self::seal`].
    pub(crate) intercepted: Option<Vec<Bytes>>,
    /// Whether the client sends the INIT, as browsers do.
    pub(crate) begins: bool,
    /// If true, the client receives and sends nothing, as if it had vanished.
    pub(crate) frozen: bool,
    pub(crate) datagrams_received: u64,
    queued: Vec<Vec<u8>>,
}

impl Client {
    /// `fingerprints` are those of the worker's certificate; `role` is the client's own in DTLS.
    pub(crate) fn new(
        now: Instant,
        address: SocketAddr,
        server: &WebRtcTransportAnswer,
        fingerprints: Vec<Fingerprint>,
        role: DtlsRole,
    ) -> Self {
        let context = Arc::new(DtlsContext::new(Certificate::generate().expect("a certificate")));
        let mut dtls = Dtls::new(Arc::clone(&context), Path::Proved);
        let remote_role = match role {
            DtlsRole::Client => DtlsRole::Server,
            DtlsRole::Server | DtlsRole::Auto => DtlsRole::Client,
        };
        dtls.connect(now, remote_role, fingerprints).expect("the first call");
        let candidate = &server.ice_candidates[0];
        Self {
            address,
            former: Vec::new(),
            server: SocketAddr::new(candidate.ip.parse().expect("an address"), candidate.port),
            ice: server.ice_parameters.clone(),
            checks: true,
            nominates: true,
            path_works: false,
            refusals: Vec::new(),
            next_check: now,
            context,
            dtls,
            dtls_states: Vec::new(),
            sctp: DcSctp::new(now),
            intercepted: None,
            begins: true,
            frozen: false,
            datagrams_received: 0,
            queued: Vec::new(),
        }
    }

    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        self.context.certificate().fingerprints()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.sctp.is_connected()
    }

    pub(crate) fn owns(&self, address: SocketAddr) -> bool {
        self.address == address || self.former.contains(&address)
    }

    /// Changes the client's address, as when a phone moves from Wi-Fi to the mobile network.
    pub(crate) fn move_to(&mut self, now: Instant, address: SocketAddr) {
        self.former.push(std::mem::replace(&mut self.address, address));
        self.path_works = false;
        self.next_check = now;
    }

    /// Uses the new credentials of an ICE restart, which an application would send by signalling.
    pub(crate) fn restart_ice(&mut self, now: Instant, ice: IceParameters) {
        self.ice = ice;
        self.next_check = now;
    }

    pub(crate) fn send(&mut self, stream: u16, message: Message) {
        self.sctp.send(stream, message);
    }

    pub(crate) fn send_with(&mut self, stream: u16, message: Message, reliability: Reliability) {
        self.sctp.send_with(stream, message, reliability);
    }

    /// Sends any bytes through the DTLS session.
    pub(crate) fn seal(&mut self, packet: &[u8]) {
        let mut record = Vec::new();
        if self.dtls.seal(packet, &mut record).is_ok() {
            self.queued.push(record);
        }
    }

    /// Takes the messages that the client has received.
    pub(crate) fn messages(&mut self) -> Vec<(u16, Message)> {
        std::mem::take(&mut self.sctp.messages)
    }

    /// Ends the session, as when the browser's tab closes.
    pub(crate) fn close(&mut self) {
        self.dtls.close();
        self.checks = false;
    }

    /// A check with these credentials.
    pub(crate) fn check(ice: &IceParameters, nominates: bool) -> Vec<u8> {
        checks::check(ice, nominates)
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) {
        if self.frozen {
            return;
        }
        self.datagrams_received += 1;
        assert_eq!(datagram.from, self.server, "answers come from where it sends to");
        match demux(&datagram.bytes) {
            Protocol::Stun => self.handle_answer(now, datagram),
            _ => {
                self.dtls.handle_datagram(now, &datagram.bytes);
                self.collect(now);
            }
        }
    }

    fn handle_answer(&mut self, now: Instant, datagram: &Datagram) {
        let mapped = match checks::read_answer(&datagram.bytes, &self.ice) {
            Answer::Success(mapped) => mapped,
            Answer::Refusal(code) => return self.refusals.push(code),
            Answer::Foreign => return,
        };
        assert_eq!(mapped, datagram.to);
        if datagram.to == self.address {
            if !self.path_works {
                self.path_works = true;
                self.next_check = now + CONSENT;
            }
            self.dtls.path_ready(now);
            self.collect(now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.dtls.poll_timeout().is_some_and(|at| at <= now) {
            self.dtls.handle_timeout(now);
            self.collect(now);
        }
        self.sctp.handle_timeout(now);
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        if self.frozen {
            return None;
        }
        let check = self.checks.then_some(self.next_check);
        [check, self.dtls.poll_timeout(), self.sctp.poll_timeout()].into_iter().flatten().min()
    }

    pub(crate) fn flush(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        if self.frozen {
            return;
        }
        if self.checks && self.next_check <= now {
            self.queued.push(Self::check(&self.ice, self.nominates));
            self.next_check = now + if self.path_works { CONSENT } else { CHECK };
        }
        let mut transmits = Transmits::default();
        let tuple = Tuple::new(SocketId(0), self.server);
        self.dtls.poll_transmit(tuple, &mut transmits);
        self.queued.extend(transmits.iter().map(|(_, bytes)| bytes.to_vec()));
        for packet in self.sctp.packets() {
            self.seal(&packet);
        }
        for bytes in self.queued.drain(..) {
            out.push(Datagram { from: self.address, to: self.server, bytes });
        }
    }

    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::State(state) => {
                    self.dtls_states.push(state);
                    if state == DtlsState::Connected && self.begins {
                        self.sctp.connect(now);
                    }
                }
                DtlsEvent::Data(packet) => match &mut self.intercepted {
                    Some(intercepted) => intercepted.push(packet),
                    None => self.sctp.handle_packet(now, packet),
                },
            }
        }
    }
}
