//! Which address a socket is bound to.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rand::Rng;
use serde::Deserialize;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::sfu::error::Error;
use crate::sfu::transport::ListenProtocol;

/// `TransportListenInfo`: where and how to listen.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenInfo {
    /// UDP or TCP.
    pub protocol: ListenProtocol,
    /// The local address.
    pub ip: IpAddr,
    /// The address or name to show to peers instead.
    #[serde(default)]
    pub announced_address: Option<String>,
    /// Show the local address as well.
    #[serde(default)]
    pub expose_internal_ip: bool,
    /// This port only; 0 or absent for one of the range.
    #[serde(default)]
    pub port: Option<u16>,
    /// One of these ports; wins over `port`.
    #[serde(default)]
    pub port_range: Option<PortRange>,
    /// Socket options.
    #[serde(default)]
    pub flags: Flags,
    /// `SO_SNDBUF` in bytes.
    #[serde(default)]
    pub send_buffer_size: Option<u32>,
    /// `SO_RCVBUF` in bytes.
    #[serde(default)]
    pub recv_buffer_size: Option<u32>,
}

/// Socket options.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Flags {
    /// On an IPv6 address, accept no IPv4.
    pub ipv6_only: bool,
    /// Let several sockets share the port (`SO_REUSEPORT`).
    pub udp_reuse_port: bool,
}

/// Ports from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "see above")]
pub struct PortRange {
    pub min: u16,
    pub max: u16,
}

/// Binds a socket as `info` says, in non-blocking mode. `default_range` is for those who name
/// neither a port nor a range. An error names the address, and leaves nothing bound.
pub fn bind(info: &ListenInfo, default_range: PortRange) -> Result<Socket, Error> {
    let range = match (info.port_range, info.port) {
        (Some(PortRange { min: 0, max: 0 }) | None, None | Some(0)) => default_range,
        (Some(PortRange { min: 0, max: 0 }) | None, Some(port)) => {
            return bind_port(info, port).map_err(|error| {
                let address = SocketAddr::new(info.ip, port);
                let protocol = name(info.protocol);
                Error::Other(format!("cannot bind {protocol} {address}: {error}"))
            });
        }
        (Some(range), _) => range,
    };
    bind_in(info, range)
}

/// Takes the first free port from a random place in the range on, so that a port that was given
/// back rests before it is used again.
fn bind_in(info: &ListenInfo, range: PortRange) -> Result<Socket, Error> {
    let PortRange { min, max } = range;
    if min > max {
        return Err(Error::Type(format!("a port range from {min} to {max} has no port")));
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
                    break; // No other port will do better.
                }
            }
        }
    }
    let error = last_error.map_or_else(String::new, |it| it.to_string());
    Err(Error::Other(format!(
        "cannot bind {} {} to any port from {min} to {max}: {error}",
        name(info.protocol),
        info.ip
    )))
}

/// What a UDP socket asks for if the application does not. The kernel gives at most
/// `net.core.rmem_max` (Linux: 208 KiB unless it is set), and counts twice as much, for what it needs
/// besides. Its own default holds 280 small datagrams: one flood, or a few milliseconds without the
/// processor, and those of everybody on the port are lost. This holds 5,400.
const RECEIVE_BUFFER: usize = 2 * 1024 * 1024;

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
        // So that a listener can come back while old connections linger in TIME_WAIT.
        ListenProtocol::Tcp => socket.set_reuse_address(true)?,
    }
    if let Some(size) = info.send_buffer_size.filter(|it| *it > 0) {
        socket.set_send_buffer_size(size as usize)?;
    }
    match info.recv_buffer_size.filter(|it| *it > 0) {
        Some(size) => socket.set_recv_buffer_size(size as usize)?,
        None if info.protocol == ListenProtocol::Udp => {
            // Not worth an error: the kernel gives what it allows.
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        }
        None => {}
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn name(protocol: ListenProtocol) -> &'static str {
    match protocol {
        ListenProtocol::Udp => "udp",
        ListenProtocol::Tcp => "tcp",
    }
}
