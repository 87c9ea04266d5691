//! WebRTC transport: ICE-Lite, DTLS and SCTP with one browser or other WebRTC peer.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::proto::certificate::Fingerprint;
use crate::proto::dtls::DtlsRole;
use crate::proto::ice_lite::{Credentials, IceState};
use crate::proto::net::Tuple;
use crate::proto::peer::{Peer, PeerConfig, PeerEvent};
use crate::proto::sctp::Start;
use crate::sfu::dump::{DtlsParametersDump, KindDump};
use crate::sfu::error::{Error, Result};
use crate::sfu::event::TransportEvent;
use crate::sfu::id::{RouterKey, TransportKey, WebRtcServerKey};
use crate::sfu::stats::KindStats;
use crate::sfu::{Owner, Sfu};

use super::address::{Preference, ice_candidates, tuple_info};
use super::{
    IceCandidate, Kind, Listen, ListenProtocol, Polled, SctpOptions, SctpParameters, Transport,
    TransportMut, TupleInfo,
};

/// What `createWebRtcTransport()` takes, but for the sockets.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebRtcTransportOptions {
    /// Offer UDP candidates.
    pub enable_udp: bool,
    /// Offer TCP candidates.
    pub enable_tcp: bool,
    /// Rank UDP candidates higher.
    pub prefer_udp: bool,
    /// Rank TCP candidates higher.
    pub prefer_tcp: bool,
    /// Seconds without a valid request after which the peer counts as gone, clamped to 10 to 60; 0
    /// for never.
    pub ice_consent_timeout: u32,
    /// Enables SCTP.
    pub sctp: Option<SctpOptions>,
}

impl Default for WebRtcTransportOptions {
    fn default() -> Self {
        Self {
            enable_udp: true,
            enable_tcp: false,
            prefer_udp: false,
            prefer_tcp: false,
            ice_consent_timeout: 30,
            sctp: None,
        }
    }
}

/// Where a WebRTC transport listens.
#[derive(Debug, Clone)]
pub enum WebRtcListen {
    /// On sockets of its own, all of them.
    Own(Vec<Listen>),
    /// On those of a server, as far as the options enable their protocols.
    Server(WebRtcServerKey),
}

/// `webRtcTransport.iceParameters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct IceParameters {
    pub username_fragment: String,
    pub password: String,
    pub ice_lite: bool,
}

impl From<&Credentials> for IceParameters {
    fn from(credentials: &Credentials) -> Self {
        Self {
            username_fragment: credentials.username_fragment.clone(),
            password: credentials.password.clone(),
            ice_lite: true,
        }
    }
}

/// What `createWebRtcTransport()` answers.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the JavaScript API")]
pub struct WebRtcTransportAnswer {
    pub id: Uuid,
    pub ice_parameters: IceParameters,
    pub ice_candidates: Vec<IceCandidate>,
    /// Those of the worker, which JavaScript knows since its start.
    #[serde(skip)]
    pub dtls_fingerprints: Arc<[Fingerprint]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp_parameters: Option<SctpParameters>,
}

/// What `connect()` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebRtcConnectOptions {
    /// The peer's side of DTLS.
    pub dtls_parameters: DtlsParameters,
}

/// The peer's DTLS role and the fingerprints of its certificate.
#[derive(Debug, Clone, Deserialize)]
pub struct DtlsParameters {
    /// The role of the remote side.
    #[serde(default)]
    pub role: DtlsRole,
    /// At least one. The certificate must match one of them.
    pub fingerprints: Vec<Fingerprint>,
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
        options: WebRtcTransportOptions,
        listen: WebRtcListen,
    ) -> Result<WebRtcTransportAnswer> {
        if !self.routers.contains_key(&router) {
            return Err(router.into());
        }
        let (listens, server, preference) = match listen {
            WebRtcListen::Own(listens) => (listens, None, Preference::default()),
            WebRtcListen::Server(key) => {
                let server = self.servers.get(&key).ok_or_else(|| {
                    let text = "wrong webRtcServerId (no associated WebRtcServer found)";
                    Error::Other(text.into())
                })?;
                let prefer = Preference { udp: options.prefer_udp, tcp: options.prefer_tcp };
                let enabled = |it: &&Listen| match it.protocol {
                    ListenProtocol::Udp => options.enable_udp,
                    ListenProtocol::Tcp => options.enable_tcp,
                };
                let listens = server.listens.iter().filter(enabled).cloned().collect();
                (listens, Some(key), prefer)
            }
        };
        if listens.is_empty() {
            let text = "empty iceCandidates: enableUdp and enableTcp leave no address to listen on";
            return Err(Error::Type(text.into()));
        }
        let peer = Peer::new(PeerConfig {
            dtls: self.dtls.clone(),
            consent_timeout: match options.ice_consent_timeout {
                0 => None,
                seconds => Some(Duration::from_secs(seconds.clamp(10, 60).into())),
            },
            sctp: options
                .sctp
                .as_ref()
                .map(|sctp| sctp.config(0, Start::AfterSilence, Peer::MAX_SCTP_PACKET_SIZE, true)),
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
        self.insert_transport(key, Transport::new(router, kind, options.sctp, self.now))?;
        self.transport(key)?.webrtc_answer()
    }
}

impl TransportMut<'_> {
    fn webrtc(&mut self) -> Result<&mut WebRtc> {
        let key = self.key;
        match &mut self.get().kind {
            Kind::WebRtc(it) => Ok(it),
            _ => Err(Error::Type(format!("{key} is not a WebRtcTransport"))),
        }
    }

    fn webrtc_answer(&mut self) -> Result<WebRtcTransportAnswer> {
        let dtls_fingerprints = Arc::clone(&self.sfu.fingerprints);
        let (id, sctp_parameters) = (self.get().id, self.get().sctp_parameters());
        let webrtc = self.webrtc()?;
        Ok(WebRtcTransportAnswer {
            id,
            ice_parameters: webrtc.peer.credentials().into(),
            ice_candidates: webrtc.ice_candidates(),
            dtls_fingerprints,
            sctp_parameters,
        })
    }

    fn dtls_parameters(&mut self) -> Result<DtlsParametersDump> {
        let fingerprints = self.sfu.fingerprints.to_vec();
        Ok(DtlsParametersDump { fingerprints, role: self.webrtc()?.peer.local_role() })
    }

    /// Tells whom to expect; answers the DTLS role that we take.
    pub fn connect_webrtc(&mut self, options: WebRtcConnectOptions) -> Result<DtlsRole> {
        let now = self.sfu.now;
        let DtlsParameters { role, fingerprints } = options.dtls_parameters;
        if fingerprints.is_empty() {
            return Err(Error::Type("empty dtlsParameters.fingerprints array".into()));
        }
        let peer = &mut self.webrtc()?.peer;
        peer.connect(now, role, fingerprints).map_err(|it| Error::Other(it.to_string()))?;
        let role = peer.local_role();
        let key = self.key;
        self.sfu.pump(key);
        self.sfu.touch(key);
        Ok(role)
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
