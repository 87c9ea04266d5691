//! WebRtcServer: one port for many WebRTC transports.
//!
//! STUN requests find their transport by the username that they carry, everything else by the remote
//! address from which a valid request came. What fits neither is dropped without an answer.

use uuid::Uuid;

use crate::proto::demux::Incoming;
use crate::proto::net::{SocketId, Tuple};

use super::address::Listen;
use super::contract::answers::CreatedAnswer;
use super::contract::dump::{IpPort, LocalIceUsernameFragment, WebRtcServerDump};
use super::contract::parameters::ListenProtocol;
use super::error::Result;
use super::event::Event;
use super::id::{self, TransportKey, WebRtcServerKey};
use super::transport::{Kind, Transport};
use super::{Owner, Sfu};

/// See the module's documentation.
#[derive(Debug)]
pub struct WebRtcServer {
    pub(super) id: Uuid,
    pub(super) listens: Vec<Listen>,
    pub(super) transports: Vec<TransportKey>,
    /// Datagrams for none of its transports.
    datagrams_dropped: u64,
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
            self.owners.insert(listen.socket, Owner::Server(key));
        }
        let transports = Vec::new();
        self.servers.insert(key, WebRtcServer { id, listens, transports, datagrams_dropped: 0 });
        CreatedAnswer { id }
    }

    /// Closes a server and the transports on it.
    pub fn close_webrtc_server(&mut self, key: WebRtcServerKey) {
        let Some(server) = self.servers.remove(&key) else { return };
        for transport in server.transports {
            self.close_transport(transport);
        }
        for listen in &server.listens {
            self.release_socket(listen.socket);
        }
    }

    /// A server's sockets and transports.
    pub fn dump_webrtc_server(&self, key: WebRtcServerKey) -> Result<WebRtcServerDump> {
        let server = self.servers.get(&key).ok_or(key)?;
        let sockets = |protocol| {
            let listens = server.listens.iter().filter(move |it| it.protocol == protocol);
            listens
                .map(|it| IpPort { ip: it.local.ip().to_string(), port: it.local.port() })
                .collect()
        };
        let transports = server.transports.iter().filter_map(|key| self.transports.get(key));
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
        Ok(WebRtcServerDump {
            id: server.id,
            udp_sockets: sockets(ListenProtocol::Udp),
            tcp_servers: sockets(ListenProtocol::Tcp),
            web_rtc_transport_ids: transports.map(|it| it.id).collect(),
            local_ice_username_fragments: fragments,
            datagrams_dropped: server.datagrams_dropped,
        })
    }

    /// Finds the transport of a server that a datagram is for.
    pub(super) fn find_transport(
        &self,
        server: WebRtcServerKey,
        tuple: Tuple,
        incoming: Incoming<'_>,
    ) -> Option<TransportKey> {
        match incoming {
            Incoming::Stun(request) => {
                let key = *self.usernames.get(request.local_fragment()?)?;
                let Kind::WebRtc(it) = &self.transports.get(&key)?.kind else { return None };
                (it.server == Some(server)).then_some(key)
            }
            Incoming::Dtls(_) => self.tuples.get(&tuple).copied(),
        }
    }

    /// Counts a datagram to a server's socket that is for none of its transports.
    pub(super) fn count_unmatched(&mut self, key: WebRtcServerKey) {
        if let Some(server) = self.servers.get_mut(&key) {
            server.datagrams_dropped += 1;
        }
    }

    /// A valid request moves its path to the transport that it names, so that a client may use a
    /// port again for another session.
    pub(super) fn add_tuple(&mut self, key: TransportKey, tuple: Tuple) {
        if let Some(other) = self.tuples.insert(tuple, key).filter(|it| *it != key) {
            self.lose_tuple(other, tuple);
        }
    }

    /// A path does not lead to this transport any more.
    pub(super) fn lose_tuple(&mut self, key: TransportKey, tuple: Tuple) {
        if let Some(transport) = self.transports.get_mut(&key)
            && let Kind::WebRtc(it) = &mut transport.kind
        {
            it.peer.remove_tuple(tuple);
            self.pump(key);
            self.touch(key);
        }
    }

    /// The transport does not use this path any more. A TCP connection is of no use to others.
    pub(super) fn remove_tuple(
        &mut self,
        key: TransportKey,
        tuple: Tuple,
        protocol: ListenProtocol,
    ) {
        if self.tuples.get(&tuple) == Some(&key) {
            self.tuples.remove(&tuple);
            if protocol == ListenProtocol::Tcp {
                self.events.push_back(Event::ConnectionReleased(tuple));
            }
        }
    }

    pub(super) fn remove_username(&mut self, key: TransportKey, username: &str) {
        if self.usernames.get(username) == Some(&key) {
            self.usernames.remove(username);
        }
    }

    /// A closed transport: nothing leads to it any more, and its own sockets are released.
    pub(super) fn forget_paths(&mut self, key: TransportKey, transport: &Transport) {
        match &transport.kind {
            Kind::Direct => {}
            Kind::Plain(it) => self.release_socket(it.path.socket()),
            Kind::Pipe(it) => self.release_socket(it.path.socket()),
            Kind::WebRtc(it) => {
                for fragment in it.peer.username_fragments() {
                    self.usernames.remove(fragment);
                }
                for tuple in it.peer.tuples() {
                    self.remove_tuple(key, tuple, it.protocol(tuple));
                }
                for listen in it.sockets() {
                    self.release_socket(listen.socket);
                }
                if let Some(server) = it.server.and_then(|key| self.servers.get_mut(&key)) {
                    server.transports.retain(|it| *it != key);
                }
            }
        }
    }

    fn release_socket(&mut self, socket: SocketId) {
        self.owners.remove(&socket);
        self.events.push_back(Event::SocketReleased(socket));
    }
}
