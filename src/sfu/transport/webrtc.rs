//! The requests of a WebRTC transport.

use std::time::Duration;

use crate::proto::peer::{Peer, PeerConfig};
use crate::proto::sctp::Start;
use crate::proto::session::Session;
use crate::sfu::address::{Listen, Preference};
use crate::sfu::contract::answers::{WebRtcConnectAnswer, WebRtcTransportAnswer};
use crate::sfu::contract::options::{DtlsParameters, WebRtcConnectOptions, WebRtcTransportOptions};
use crate::sfu::contract::parameters::IceParameters;
use crate::sfu::entity::limiter::{blocks, limiter};
use crate::sfu::entity::transport::webrtc::WebRtc;
use crate::sfu::entity::transport::{Kind, Transport, sctp};
use crate::sfu::error::{Error, Result};
use crate::sfu::id::{TransportKey, WebRtcServerKey};
use crate::sfu::paths::{SocketOwner, UsernameOwner};
use crate::sfu::router::RouterMut;

use super::TransportMut;

/// Where a WebRTC transport listens.
#[derive(Debug, Clone)]
pub enum WebRtcListen {
    /// On sockets of its own.
    Own(Vec<Listen>),
    /// On the sockets of a server, as far as the options enable their protocol.
    Server(WebRtcServerKey),
}

impl RouterMut<'_> {
    /// Makes a WebRTC transport. An error leaves the sockets to the caller.
    pub fn create_webrtc_transport(
        &mut self,
        key: TransportKey,
        options: &WebRtcTransportOptions,
        listen: WebRtcListen,
    ) -> Result<WebRtcTransportAnswer> {
        let Self { sfu, key: router } = self;
        let (listens, server, preference) = match listen {
            WebRtcListen::Own(listens) => (listens, None, Preference::default()),
            WebRtcListen::Server(key) => {
                let server = sfu.servers.get(&key).ok_or(Error::NoWebRtcServer)?;
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
            dtls: sfu.dtls.clone(),
            consent_timeout: match options.ice_consent_timeout {
                0 => None,
                seconds => Some(Duration::from_secs(seconds.into())),
            },
            sctp: options.sctp.as_ref().map(|it| {
                sctp::config(it, 0, Start::AfterSilence, Session::MAX_SCTP_PACKET_SIZE, true)
            }),
        });
        let owner = UsernameOwner { transport: key, server };
        sfu.paths.add_username(peer.credentials().username_fragment.clone(), owner);
        for listen in listens.iter().filter(|_| server.is_none()) {
            sfu.paths.add_socket(listen.socket, SocketOwner::Transport(key));
        }
        if let Some(server) = server.and_then(|key| sfu.servers.get_mut(&key)) {
            server.transports.push(key);
        }
        let webrtc = WebRtc::new(peer, server, listens, preference);
        let ice_parameters = webrtc.peer.credentials().into();
        let ice_candidates = webrtc.ice_candidates();
        let kind = Kind::WebRtc(Box::new(webrtc));
        let mut transport = Transport::new(*router, kind, options.sctp.as_ref(), sfu.now);
        transport.limiter = limiter(options.limit.as_ref(), sfu.now);
        sfu.count_limit(false, blocks(transport.limiter.as_deref()));
        let (id, sctp_parameters) = (transport.id, transport.sctp_parameters());
        self.insert(key, transport);
        Ok(WebRtcTransportAnswer { id, ice_parameters, ice_candidates, sctp_parameters })
    }
}

impl TransportMut<'_> {
    fn webrtc(&mut self) -> Result<&mut WebRtc> {
        let key = self.key;
        match &mut self.get().kind {
            Kind::WebRtc(it) => Ok(it),
            _ => Err(Error::wrong_kind(key, "WebRtcTransport")),
        }
    }

    /// Sets the peer's DTLS role and the fingerprints, one of which its certificate must match.
    pub fn connect_webrtc(&mut self, options: WebRtcConnectOptions) -> Result<WebRtcConnectAnswer> {
        let now = self.sfu.now;
        let DtlsParameters { role, fingerprints } = options.dtls_parameters;
        let peer = &mut self.webrtc()?.peer;
        peer.connect(now, role, fingerprints).map_err(|_| Error::AlreadyConnected)?;
        let dtls_local_role = peer.session().dtls().local_role();
        let key = self.key;
        self.sfu.pump(key);
        self.sfu.touch(key);
        Ok(WebRtcConnectAnswer { dtls_local_role })
    }

    /// New ICE credentials. The old ones stay valid until a request with the new ones arrives.
    pub fn restart_ice(&mut self) -> Result<IceParameters> {
        let key = self.key;
        let webrtc = self.webrtc()?;
        let owner = UsernameOwner { transport: key, server: webrtc.server };
        let parameters = IceParameters::from(&webrtc.peer.restart_ice());
        self.sfu.paths.add_username(parameters.username_fragment.clone(), owner);
        self.sfu.pump(key);
        Ok(parameters)
    }
}
