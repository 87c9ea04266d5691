//! WebRTC transport: ICE-Lite, DTLS and SCTP with one browser or other WebRTC peer.

use std::time::Duration;

use crate::proto::ice_lite::IceState;
use crate::proto::net::Tuple;
use crate::proto::peer::{Peer, PeerConfig, PeerEvent};
use crate::proto::sctp::Start;
use crate::sfu::address::{Listen, Preference, ice_candidates, tuple_info};
use crate::sfu::contract::answers::{WebRtcConnectAnswer, WebRtcTransportAnswer};
use crate::sfu::contract::dump::{DtlsParametersDump, KindDump};
use crate::sfu::contract::options::{DtlsParameters, WebRtcConnectOptions, WebRtcTransportOptions};
use crate::sfu::contract::parameters::{IceCandidate, IceParameters, ListenProtocol, TupleInfo};
use crate::sfu::contract::stats::KindStats;
use crate::sfu::error::{Error, Result};
use crate::sfu::event::TransportEvent;
use crate::sfu::id::{RouterKey, TransportKey, WebRtcServerKey};
use crate::sfu::{Owner, Sfu};

use super::sctp;
use super::{Kind, Polled, Transport, TransportMut};

/// Where a WebRTC transport listens.
#[derive(Debug, Clone)]
pub enum WebRtcListen {
    /// On sockets of its own, all of them.
    Own(Vec<Listen>),
    /// On those of a server, as far as the options enable their protocols.
    Server(WebRtcServerKey),
}

/// What only a WebRTC transport has.
#[derive(Debug)]
pub(in crate::sfu) struct WebRtc {
    pub(in crate::sfu) peer: Peer,
    pub(in crate::sfu) server: Option<WebRtcServerKey>,
    listens: Vec<Listen>,
    preference: Preference,
    path: PathNews,
}

/// What the application has yet to be told of the path to the peer. A peer may change it with every
/// packet; told is what has become of it at the end of the turn.
#[derive(Debug)]
struct PathNews {
    selected: Option<Tuple>,
    state: IceState,
    told_state: IceState,
}

impl WebRtc {
    pub(super) fn poll(&mut self) -> Option<Polled> {
        loop {
            return Some(match self.peer.poll_event()? {
                PeerEvent::Sctp(event) => Polled::Sctp(event),
                PeerEvent::TupleAdded(tuple) => Polled::TupleAdded(tuple),
                PeerEvent::TupleRemoved(tuple) => Polled::TupleRemoved(tuple, self.protocol(tuple)),
                PeerEvent::UsernameRetired(it) => Polled::UsernameRetired(it),
                PeerEvent::Dtls(state, certificate) => {
                    Polled::Event(TransportEvent::DtlsState(state, certificate))
                }
                PeerEvent::Ice(state) => {
                    self.path.state = state;
                    continue;
                }
                PeerEvent::SelectedTuple(tuple) => {
                    self.path.selected = Some(tuple);
                    continue;
                }
            });
        }
    }

    /// What is new about the path: the selected tuple, then the state that it led to.
    pub(super) fn poll_path(&mut self) -> Option<TransportEvent> {
        let Self { path, listens, .. } = self;
        let selected = path.selected.take().and_then(|tuple| tuple_info(listens, tuple));
        if let Some(info) = selected {
            return Some(TransportEvent::IceSelectedTuple(Box::new(info)));
        }
        let told = std::mem::replace(&mut path.told_state, path.state);
        (told != path.state).then_some(TransportEvent::IceState(path.state))
    }

    /// What `tuple`, one of this transport's, goes over.
    pub(in crate::sfu) fn protocol(&self, tuple: Tuple) -> ListenProtocol {
        let listen = self.listens.iter().find(|it| it.socket == tuple.socket);
        listen.map_or(ListenProtocol::Udp, |it| it.protocol)
    }

    fn ice_candidates(&self) -> Vec<IceCandidate> {
        ice_candidates(&self.listens, self.preference)
    }

    fn selected_tuple(&self) -> Option<TupleInfo> {
        tuple_info(&self.listens, self.peer.selected_tuple()?)
    }

    pub(in crate::sfu) fn sockets(&self) -> impl Iterator<Item = &Listen> {
        self.listens.iter().filter(|_| self.server.is_none())
    }
}

impl Sfu {
    /// Makes a WebRTC transport. An error leaves the sockets to the caller.
    pub fn create_webrtc_transport(
        &mut self,
        key: TransportKey,
        router: RouterKey,
        options: &WebRtcTransportOptions,
        listen: WebRtcListen,
    ) -> Result<WebRtcTransportAnswer> {
        if !self.routers.contains_key(&router) {
            return Err(router.into());
        }
        let (listens, server, preference) = match listen {
            WebRtcListen::Own(listens) => (listens, None, Preference::default()),
            WebRtcListen::Server(key) => {
                let server = self.servers.get(&key).ok_or(Error::NoWebRtcServer)?;
                let prefer = Preference { udp: options.prefer_udp, tcp: options.prefer_tcp };
                let enabled = |it: &&Listen| options.enables(it.protocol);
                let listens = server.listens.iter().filter(enabled).cloned().collect();
                (listens, Some(key), prefer)
            }
        };
        if listens.is_empty() {
            return Err(Error::NoIceCandidates);
        }
        let peer = Peer::new(PeerConfig {
            dtls: self.dtls.clone(),
            consent_timeout: match options.ice_consent_timeout {
                0 => None,
                seconds => Some(Duration::from_secs(seconds.into())),
            },
            sctp: options.sctp.as_ref().map(|it| {
                sctp::config(it, 0, Start::AfterSilence, Peer::MAX_SCTP_PACKET_SIZE, true)
            }),
        });
        self.usernames.insert(peer.credentials().username_fragment.clone(), key);
        for listen in listens.iter().filter(|_| server.is_none()) {
            self.owners.insert(listen.socket, Owner::Transport(key));
        }
        if let Some(server) = server.and_then(|key| self.servers.get_mut(&key)) {
            server.transports.push(key);
        }
        let path = PathNews { selected: None, state: IceState::New, told_state: IceState::New };
        let webrtc = WebRtc { peer, server, listens, preference, path };
        let kind = Kind::WebRtc(Box::new(webrtc));
        self.insert_transport(key, Transport::new(router, kind, options.sctp.clone(), self.now))?;
        self.transport(key)?.webrtc_answer()
    }
}

impl TransportMut<'_> {
    fn webrtc(&mut self) -> Result<&mut WebRtc> {
        let key = self.key;
        match &mut self.get().kind {
            Kind::WebRtc(it) => Ok(it),
            _ => Err(Error::WrongKind { key, expected: "WebRtcTransport" }),
        }
    }

    fn webrtc_answer(&mut self) -> Result<WebRtcTransportAnswer> {
        let (id, sctp_parameters) = (self.get().id, self.get().sctp_parameters());
        let webrtc = self.webrtc()?;
        Ok(WebRtcTransportAnswer {
            id,
            ice_parameters: webrtc.peer.credentials().into(),
            ice_candidates: webrtc.ice_candidates(),
            sctp_parameters,
        })
    }

    fn dtls_parameters(&mut self) -> Result<DtlsParametersDump> {
        let fingerprints = self.sfu.dtls.certificate().fingerprints();
        Ok(DtlsParametersDump { fingerprints, role: self.webrtc()?.peer.local_role() })
    }

    /// Expects a peer with one of these certificates.
    pub fn connect_webrtc(&mut self, options: WebRtcConnectOptions) -> Result<WebRtcConnectAnswer> {
        let now = self.sfu.now;
        let DtlsParameters { role, fingerprints } = options.dtls_parameters;
        let peer = &mut self.webrtc()?.peer;
        peer.connect(now, role, fingerprints).map_err(|_| Error::AlreadyConnected)?;
        let dtls_local_role = peer.local_role();
        let key = self.key;
        self.sfu.pump(key);
        self.sfu.touch(key);
        Ok(WebRtcConnectAnswer { dtls_local_role })
    }

    /// New ICE credentials. The old ones stay valid until a request with the new ones arrives.
    pub fn restart_ice(&mut self) -> Result<IceParameters> {
        let key = self.key;
        let parameters = IceParameters::from(&self.webrtc()?.peer.restart_ice());
        self.sfu.usernames.insert(parameters.username_fragment.clone(), key);
        self.sfu.pump(key);
        Ok(parameters)
    }

    pub(super) fn kind_dump(&mut self) -> KindDump {
        let dtls_parameters = self.dtls_parameters().ok();
        match (&self.get().kind, dtls_parameters) {
            (Kind::WebRtc(it), Some(dtls_parameters)) => KindDump::WebRtc {
                ice_role: "controlled",
                ice_parameters: it.peer.credentials().into(),
                ice_candidates: it.ice_candidates(),
                ice_state: it.peer.ice_state(),
                ice_selected_tuple: it.selected_tuple(),
                dtls_parameters,
                dtls_state: it.peer.dtls_state(),
            },
            (Kind::Plain(it), _) => {
                KindDump::Plain { rtcp_mux: true, comedia: it.comedia, tuple: it.tuple_info() }
            }
            (Kind::Pipe(it), _) => KindDump::Pipe { tuple: it.path.tuple_info(), rtx: false },
            _ => KindDump::Direct {},
        }
    }

    pub(super) fn kind_stats(&mut self) -> KindStats {
        match &self.get().kind {
            Kind::Direct => KindStats::Direct {},
            Kind::WebRtc(it) => KindStats::WebRtc {
                ice_role: "controlled",
                ice_state: it.peer.ice_state(),
                ice_selected_tuple: it.selected_tuple(),
                dtls_state: it.peer.dtls_state(),
                dtls_records_dropped: it.peer.dtls_records_dropped(),
            },
            Kind::Plain(it) => {
                KindStats::Plain { rtcp_mux: true, comedia: it.comedia, tuple: it.tuple_info() }
            }
            Kind::Pipe(it) => KindStats::Pipe { tuple: it.path.tuple_info() },
        }
    }
}
