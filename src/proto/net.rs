//! Names of sockets and paths. The numbers are the runtime's; nothing here does I/O.

use std::net::SocketAddr;

/// A local socket, as the runtime numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// A path between us and a peer: our socket and the peer's address. For TCP the socket is the listening one,
/// and its connections differ in the remote address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Our side.
    pub socket: SocketId,
    /// The peer's side.
    pub remote: SocketAddr,
}
