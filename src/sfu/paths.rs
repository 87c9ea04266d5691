//! Which transport a datagram is for.
//!
//! A socket belongs to one transport, or to a WebRtcServer. On a server's sockets a STUN request finds its
//! transport by the username fragment that it carries, and everything else by its tuple, once a valid request
//! has come over that. A datagram that fits neither is dropped without an answer.

use std::collections::HashMap;

use rustc_hash::{FxHashMap, FxRandomState};

use crate::proto::demux::Incoming;
use crate::proto::net::{SocketId, Tuple};

use super::id::{TransportKey, WebRtcServerKey};

/// The tables that find the transport of a datagram, for all transports of a worker.
#[derive(Debug, Default)]
pub(super) struct Paths {
    sockets: FxHashMap<SocketId, SocketOwner>,
    usernames: FxHashMap<String, UsernameOwner>,
    /// A peer chooses its port, so a random seed keeps it from making the entries collide.
    tuples: HashMap<Tuple, TransportKey, FxRandomState>,
}

/// The entity that a socket's datagrams are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketOwner {
    Server(WebRtcServerKey),
    Transport(TransportKey),
}

/// The transport that a username fragment names, and the server whose sockets accept the fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsernameOwner {
    pub(super) transport: TransportKey,
    /// `None`: the transport has sockets of its own.
    pub(super) server: Option<WebRtcServerKey>,
}

impl Paths {
    pub(super) fn add_socket(&mut self, socket: SocketId, owner: SocketOwner) {
        self.sockets.insert(socket, owner);
    }

    pub(super) fn remove_socket(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
    }

    pub(super) fn socket_owner(&self, socket: SocketId) -> Option<SocketOwner> {
        self.sockets.get(&socket).copied()
    }

    /// The transport of a server that a datagram is for.
    pub(super) fn find(
        &self,
        server: WebRtcServerKey,
        tuple: Tuple,
        incoming: Incoming<'_>,
    ) -> Option<TransportKey> {
        match incoming {
            Incoming::Stun(request) => {
                let owner = self.usernames.get(request.local_fragment()?)?;
                (owner.server == Some(server)).then_some(owner.transport)
            }
            Incoming::Dtls(_) => self.tuples.get(&tuple).copied(),
        }
    }

    pub(super) fn add_username(&mut self, fragment: String, owner: UsernameOwner) {
        self.usernames.insert(fragment, owner);
    }

    /// Does nothing if the fragment names another transport.
    pub(super) fn remove_username(&mut self, fragment: &str, transport: TransportKey) {
        if self.usernames.get(fragment).is_some_and(|it| it.transport == transport) {
            self.usernames.remove(fragment);
        }
    }

    /// Returns the transport that had the tuple before, if it was another one.
    pub(super) fn add_tuple(&mut self, tuple: Tuple, key: TransportKey) -> Option<TransportKey> {
        self.tuples.insert(tuple, key).filter(|it| *it != key)
    }

    /// Returns the transport that had the tuple.
    pub(super) fn remove_tuple(&mut self, tuple: Tuple) -> Option<TransportKey> {
        self.tuples.remove(&tuple)
    }

    /// Returns whether the tuple was this transport's, and has been removed.
    pub(super) fn remove_tuple_of(&mut self, key: TransportKey, tuple: Tuple) -> bool {
        let is_its_own = self.tuples.get(&tuple) == Some(&key);
        if is_its_own {
            self.tuples.remove(&tuple);
        }
        is_its_own
    }

    pub(super) fn has_tuple(&self, tuple: Tuple) -> bool {
        self.tuples.contains_key(&tuple)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.usernames.is_empty() && self.tuples.is_empty()
    }
}
