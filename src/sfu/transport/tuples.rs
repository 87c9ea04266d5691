//! Paths that come and go: what the tables of `paths.rs` mean for transports and sockets.

use crate::proto::net::{SocketId, Tuple};
use crate::proto::reason::Code;
use crate::sfu::Sfu;
use crate::sfu::contract::parameters::ListenProtocol;
use crate::sfu::entity::transport::{Kind, Transport};
use crate::sfu::event::Event;
use crate::sfu::id::{TransportKey, WebRtcServerKey};

impl Sfu {
    /// Counts a datagram to a server's socket that is for none of its transports.
    pub(in crate::sfu) fn count_unmatched(&mut self, key: WebRtcServerKey) {
        if let Some(server) = self.servers.get_mut(&key) {
            server.datagrams_dropped += 1;
            self.totals.datagrams_unmatched += 1;
        }
    }

    /// Assigns a path to the transport that a valid request on the path names. Another transport loses
    /// the path, so that a client may use a port again for another session.
    pub(in crate::sfu) fn add_tuple(&mut self, key: TransportKey, tuple: Tuple) {
        if let Some(other) = self.paths.add_tuple(tuple, key) {
            self.lose_tuple(other, tuple, Code::PathTaken);
        }
    }

    /// Removes a path that no longer leads to this transport, for the reason `code`.
    pub(in crate::sfu) fn lose_tuple(&mut self, key: TransportKey, tuple: Tuple, code: Code) {
        if let Some(transport) = self.transports.get_mut(&key)
            && let Kind::WebRtc(it) = &mut transport.kind
        {
            it.peer.remove_tuple(tuple, code);
            self.pump(key);
            self.touch(key);
        }
    }

    /// Removes a path that the transport no longer uses. A TCP connection is closed, as no other transport can use it.
    pub(in crate::sfu) fn remove_tuple(
        &mut self,
        key: TransportKey,
        tuple: Tuple,
        protocol: ListenProtocol,
    ) {
        if self.paths.remove_tuple_of(key, tuple) && protocol == ListenProtocol::Tcp {
            self.events.push_back(Event::ConnectionReleased(Box::new(tuple)));
        }
    }

    /// Removes the paths that lead to a closed transport, and releases the transport's own sockets.
    pub(in crate::sfu) fn forget_paths(&mut self, key: TransportKey, transport: &Transport) {
        match &transport.kind {
            Kind::Direct => {}
            Kind::Plain(it) => self.release_socket(it.path.socket()),
            Kind::Pipe(it) => self.release_socket(it.path.socket()),
            Kind::WebRtc(it) => {
                for fragment in it.peer.username_fragments() {
                    self.paths.remove_username(fragment, key);
                }
                for tuple in it.peer.tuples() {
                    self.remove_tuple(key, tuple, it.protocol(tuple));
                }
                for listen in it.sockets() {
                    self.release_socket(listen.socket);
                }
                if let Some(server) = it.server.and_then(|key| self.servers.get_mut(&key)) {
                    server.transports.remove(key);
                }
            }
        }
    }

    pub(in crate::sfu) fn release_socket(&mut self, socket: SocketId) {
        self.paths.remove_socket(socket);
        self.events.push_back(Event::SocketReleased(socket));
    }
}
