//! The requests of a WebRtcServer.

use super::Sfu;
use super::address::Listen;
use super::contract::answers::CreatedAnswer;
use super::contract::dump::{IpPort, LocalIceUsernameFragment, WebRtcServerDump};
use super::contract::parameters::ListenProtocol;
use super::entity::transport::Kind;
use super::entity::webrtc_server::WebRtcServer;
use super::error::Result;
use super::id::{self, WebRtcServerKey};
use super::paths::SocketOwner;
use super::roster::Roster;

/// A [`WebRtcServer`] in its [`Sfu`], with its requests as methods.
#[derive(Debug)]
pub struct WebRtcServerMut<'a> {
    sfu: &'a mut Sfu,
    key: WebRtcServerKey,
}

impl Sfu {
    /// Makes a server on these sockets.
    pub fn create_webrtc_server(
        &mut self,
        key: WebRtcServerKey,
        listens: Vec<Listen>,
    ) -> CreatedAnswer {
        let id = id::random();
        for listen in &listens {
            self.paths.add_socket(listen.socket, SocketOwner::Server(key));
        }
        let transports = Roster::default();
        self.servers.insert(key, WebRtcServer { id, listens, transports, datagrams_dropped: 0 });
        CreatedAnswer { id }
    }

    /// The server, or [`Error::NotFound`](super::error::Error::NotFound).
    pub fn webrtc_server(&mut self, key: WebRtcServerKey) -> Result<WebRtcServerMut<'_>> {
        if self.servers.contains_key(&key) {
            Ok(WebRtcServerMut { sfu: self, key })
        } else {
            Err(key.into())
        }
    }
}

impl WebRtcServerMut<'_> {
    /// Returns the sockets and transports of the server.
    pub fn dump(&self) -> WebRtcServerDump {
        let server = &self.sfu.servers[&self.key];
        let sockets = |protocol| {
            let listens = server.listens.iter().filter(move |it| it.protocol == protocol);
            listens
                .map(|it| IpPort { ip: it.local.ip().to_string(), port: it.local.port() })
                .collect()
        };
        let transports = server.transports.iter().filter_map(|key| self.sfu.transports.get(&key));
        let mut fragments = Vec::new();
        for transport in transports.clone() {
            let Kind::WebRtc(it) = &transport.kind else { continue };
            fragments.extend(it.peer.username_fragments().map(|fragment| {
                LocalIceUsernameFragment {
                    local_ice_username_fragment: fragment.to_owned(),
                    web_rtc_transport_id: transport.id,
                }
            }));
        }
        WebRtcServerDump {
            id: server.id,
            udp_sockets: sockets(ListenProtocol::Udp),
            tcp_servers: sockets(ListenProtocol::Tcp),
            web_rtc_transport_ids: transports.map(|it| it.id).collect(),
            local_ice_username_fragments: fragments,
            datagrams_dropped: server.datagrams_dropped,
        }
    }

    /// Closes the server and the transports on it.
    pub fn close(self) {
        self.sfu.remove_webrtc_server(self.key);
    }
}
