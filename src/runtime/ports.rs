//! Binds sockets.

use std::io;
use std::net::SocketAddr;

use rand::Rng;
use socket2::Socket;

use crate::sfu::contract::options::{ListenInfo, PortRange};
use crate::sfu::error::Error;

use super::leases::{self, Lease};
use super::open::open;

/// How often one call asks the kernel for a port, at 2 to 5 µs each. After that it treats the range as full: other
/// processes have nearly all of its ports. The next call tries the ports that this one has not tried.
const TRIES: usize = 4096;

/// How many previously refused ports are tried again in one call.
const SECOND_TRIES: usize = 256;

/// Binds a socket as `info` says, in non-blocking mode; to a port of `default_range` if `info` names
/// neither a port nor a range. An error names the address, and leaves nothing bound.
pub(super) fn bind(info: &ListenInfo, default_range: PortRange) -> Result<(Socket, Lease), Error> {
    match (info.port_range, info.port) {
        (Some(range), _) => bind_in(info, range),
        (None, None) => bind_in(info, default_range),
        (None, Some(port)) => bind_to(info, port),
    }
}

fn bind_to(info: &ListenInfo, port: u16) -> Result<(Socket, Lease), Error> {
    let address = SocketAddr::new(info.ip, port);
    let bound = open(info).and_then(|socket| {
        socket.bind(&address.into())?;
        Ok((socket, Lease::of((info.protocol, info.ip), port)))
    });
    bound.map_err(|error| Error::Bind {
        protocol: info.protocol,
        address,
        error: error.to_string(),
    })
}

/// Binds the first free port from a random place in the range on, wrapping at its end, so that a port is
/// seldom used again right after its socket has closed.
fn bind_in(info: &ListenInfo, range: PortRange) -> Result<(Socket, Lease), Error> {
    let PortRange { min, max } = range;
    // lib/ checks this. The kernel takes port 0 for any port, and `random_range` panics on an empty range.
    if min == 0 || min > max {
        return Err(Error::InvalidOptions(format!("no port from {min} to {max}")));
    }
    let failed = |error: io::Error| {
        let error = match error.kind() {
            io::ErrorKind::AddrInUse => "all of them are in use".to_owned(),
            _ => error.to_string(),
        };
        Error::BindInRange { protocol: info.protocol, ip: info.ip, min, max, error }
    };
    let place = (info.protocol, info.ip);
    let socket = open(info).map_err(failed)?;
    let mut second_tries = leases::refused(place).min(SECOND_TRIES);
    let start = rand::rng().random_range(min..=max);
    let mut ports = (start..=max).chain(min..start);
    let mut last_error = io::ErrorKind::AddrInUse.into();
    for _ in 0..TRIES {
        let lease = Lease::first_free(place, &mut ports).or_else(|| {
            second_tries = second_tries.checked_sub(1)?;
            Lease::oldest_refused(place, range)
        });
        let Some(lease) = lease else { break };
        match socket.bind(&SocketAddr::new(info.ip, lease.port).into()) {
            Ok(()) => return Ok((socket, lease)),
            Err(error) => match error.kind() {
                io::ErrorKind::AddrInUse => lease.refuse(),
                io::ErrorKind::PermissionDenied => {
                    lease.refuse();
                    last_error = error;
                }
                // The error is not about this port, so other ports would fail as well.
                _ => return Err(failed(error)),
            },
        }
    }
    if info.flags.udp_reuse_port {
        // A port that no other socket has would be better, but there is none.
        for port in (start..=max).chain(min..start).take(TRIES) {
            if socket.bind(&SocketAddr::new(info.ip, port).into()).is_ok() {
                return Ok((socket, Lease::of(place, port)));
            }
        }
    }
    Err(failed(last_error))
}

/// Whether a socket that is bound to this address listens on all addresses of this host.
pub(super) fn is_wildcard(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_unspecified()
}
