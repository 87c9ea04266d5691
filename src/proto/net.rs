//! Names of sockets and paths. The numbers are the runtime's; nothing here does I/O.

use std::net::{IpAddr, SocketAddr};

/// A local socket, as the runtime numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// A path between us and a peer: our socket and the peer's address. For TCP the socket is the listening one,
/// and its connections differ in the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Our side.
    pub socket: SocketId,
    /// The one of this host's addresses that the peer uses, if the socket listens on all of them: what goes
    /// to the peer leaves from it. `None` for the address that the socket is bound to, or the system's choice.
    pub local: Option<IpAddr>,
    /// The peer's side.
    pub remote: SocketAddr,
}

impl Tuple {
    /// A path of a socket that is bound to one address.
    pub const fn new(socket: SocketId, remote: SocketAddr) -> Self {
        Self { socket, local: None, remote }
    }
}
