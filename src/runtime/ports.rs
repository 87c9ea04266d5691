//! Binds sockets.

use std::io;
use std::net::SocketAddr;

use rand::Rng;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::sfu::contract::options::{ListenInfo, PortRange};
use crate::sfu::contract::parameters::ListenProtocol;
use crate::sfu::error::Error;

/// Binds a socket as `info` says, in non-blocking mode; to a port of `default_range` if `info` names
/// neither a port nor a range. An error names the address, and leaves nothing bound.
pub fn bind(info: &ListenInfo, default_range: PortRange) -> Result<Socket, Error> {
    match (info.port_range, info.port) {
        (Some(range), _) => bind_in(info, range),
        (None, None) => bind_in(info, default_range),
        (None, Some(port)) => bind_port(info, port).map_err(|error| Error::Bind {
            protocol: info.protocol,
            address: SocketAddr::new(info.ip, port),
            error: error.to_string(),
        }),
    }
}

/// Binds the first free port from a random place in the range on, wrapping at its end, so that a port is
/// seldom used again right after its socket has closed.
fn bind_in(info: &ListenInfo, range: PortRange) -> Result<Socket, Error> {
    let PortRange { min, max } = range;
    // lib/ checks this; `random_range` panics on an empty range.
    if min > max {
        return Err(Error::InvalidOptions(format!("no port from {min} to {max}")));
    }
    let start = rand::rng().random_range(min..=max);
    let mut last_error = None;
    for port in (start..=max).chain(min..start) {
        match bind_port(info, port) {
            Ok(socket) => return Ok(socket),
            Err(error) => {
                let taken = matches!(
                    error.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                );
                last_error = Some(error);
                if !taken {
                    break; // The error is not about this port, so other ports would fail as well.
                }
            }
        }
    }
    let error = last_error.map_or_else(String::new, |it| it.to_string());
    Err(Error::BindInRange { protocol: info.protocol, ip: info.ip, min, max, error })
}

/// Whether a socket that is bound to this address listens on all addresses of this host.
pub(super) fn is_wildcard(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_unspecified()
}

fn bind_port(info: &ListenInfo, port: u16) -> io::Result<Socket> {
    let address = SocketAddr::new(info.ip, port);
    let (kind, protocol) = match info.protocol {
        ListenProtocol::Udp => (Type::DGRAM, Protocol::UDP),
        ListenProtocol::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(info.flags.ipv6_only)?;
    }
    match info.protocol {
        ListenProtocol::Udp if info.flags.udp_reuse_port => socket.set_reuse_port(true)?,
        ListenProtocol::Udp => {}
        // This allows a listener on the port while old connections are in TIME_WAIT.
        ListenProtocol::Tcp => socket.set_reuse_address(true)?,
    }
    if let Some(size) = info.send_buffer_size {
        socket.set_send_buffer_size(size as usize)?;
    }
    if let Some(size) = info.recv_buffer_size {
        socket.set_recv_buffer_size(size as usize)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}
