//! Binds sockets.

use std::io;
use std::net::SocketAddr;

use rand::Rng;
use socket2::Socket;

use crate::sfu::contract::options::{ListenInfo, PortRange};
use crate::sfu::contract::parameters::ListenProtocol;
use crate::sfu::error::Error;

use super::leases::{self, Lease, PortSpace};
use super::open::open;

/// How often one call asks the kernel for a port, at 2 to 5 µs each. After that it treats the range as full: other
/// processes have nearly all of its ports. The next call tries the ports that this one has not tried.
const TRIES: usize = 512;

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
        Ok((socket, Lease::of((info.protocol, info.ip), port, shares(info))))
    });
    bound.map_err(|error| Error::Bind {
        protocol: info.protocol,
        address,
        error: error.to_string(),
    })
}

/// Whether other sockets may have the same port.
fn shares(info: &ListenInfo) -> bool {
    info.protocol == ListenProtocol::Udp && info.flags.udp_reuse_port
}

fn bind_in(info: &ListenInfo, range: PortRange) -> Result<(Socket, Lease), Error> {
    let PortRange { min, max } = range;
    // lib/ checks this. The kernel takes port 0 for any port.
    if min == 0 || min > max {
        return Err(Error::InvalidOptions(format!("no port from {min} to {max}")));
    }
    let bound = open(info).and_then(|socket| {
        let space = (info.protocol, info.ip);
        let bind = |port| socket.bind(&SocketAddr::new(info.ip, port).into());
        let lease = find_port(space, range, shares(info), bind)?;
        Ok((socket, lease))
    });
    bound.map_err(|error| {
        let error = match error.kind() {
            io::ErrorKind::AddrInUse if usize::from(max - min) < TRIES => {
                "all of them are in use".to_owned()
            }
            io::ErrorKind::AddrInUse => {
                format!(
                    "none of the at most {TRIES} that were tried is free: try again, or give another range"
                )
            }
            _ => error.to_string(),
        };
        Error::BindInRange { protocol: info.protocol, ip: info.ip, min, max, error }
    })
}

/// The first port of the range that `bind` binds. A port that another socket of this process has is the last choice, if
/// both share it.
fn find_port(
    space: PortSpace,
    range: PortRange,
    shares: bool,
    mut bind: impl FnMut(u16) -> io::Result<()>,
) -> io::Result<Lease> {
    let mut ports = shuffled(range);
    let mut second_tries = leases::refused(space).min(SECOND_TRIES);
    let mut last_error = io::ErrorKind::AddrInUse.into();
    for _ in 0..TRIES {
        let lease = Lease::first_free(space, shares, &mut ports).or_else(|| {
            second_tries = second_tries.checked_sub(1)?;
            Lease::oldest_refused(space, shares, range)
        });
        let Some(lease) = lease else { break };
        match bind(lease.port) {
            Ok(()) => return Ok(lease),
            Err(error) => match error.kind() {
                io::ErrorKind::AddrInUse => lease.refuse(),
                io::ErrorKind::PermissionDenied => {
                    lease.refuse();
                    last_error = error;
                }
                // The error is not about this port, so other ports would fail as well.
                _ => return Err(error),
            },
        }
    }
    // Ports that only other processes share have been bound above, like free ones.
    if shares
        && let Some(lease) = Lease::shared(space, range)
        && bind(lease.port).is_ok()
    {
        return Ok(lease);
    }
    Err(last_error)
}

/// All ports of a range, from a random one on, so that a port is seldom used again right after its socket has closed.
/// They come in steps of a random length, as another process may have many in a row.
fn shuffled(range: PortRange) -> impl Iterator<Item = u16> {
    let mut rng = rand::rng();
    let count = u32::from(range.max - range.min) + 1;
    // Steps that have no divisor in common with the number of ports come to all of them.
    let step = loop {
        let step = rng.random_range(1..=count);
        if greatest_common_divisor(step, count) == 1 {
            break step;
        }
    };
    let start = rng.random_range(0..count);
    let places = std::iter::successors(Some(start), move |place| Some((place + step) % count));
    places.take(count as usize).map(move |place| range.min + place as u16)
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Whether a socket that is bound to this address listens on all addresses of this host.
pub(super) fn is_wildcard(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table is the process's, so each test has an address of its own, and a port there, without which refusals may
    // be forgotten.
    fn space(last: u8) -> (PortSpace, Lease) {
        let space = (ListenProtocol::Udp, [198, 51, 100, last].into());
        (space, Lease::of(space, 1, false))
    }

    const RANGE: PortRange = PortRange { min: 10_000, max: 59_999 };

    /// Looks for a port of a range in which other processes have all but those that are `free`. Returns what is found,
    /// and how often the kernel was asked.
    fn find(
        space: PortSpace,
        range: PortRange,
        free: impl Fn(u16) -> bool,
    ) -> (Option<Lease>, usize) {
        find_sharing(space, range, false, free)
    }

    fn find_sharing(
        space: PortSpace,
        range: PortRange,
        shares: bool,
        free: impl Fn(u16) -> bool,
    ) -> (Option<Lease>, usize) {
        let mut tries = 0;
        let found = find_port(space, range, shares, |port| {
            tries += 1;
            free(port).then_some(()).ok_or_else(|| io::ErrorKind::AddrInUse.into())
        });
        (found.ok(), tries)
    }

    #[test]
    fn every_port_of_a_range_is_tried_once() {
        for (min, max) in [(7, 7), (1, 2), (1, 65_535), (10_000, 59_999), (41_000, 41_096)] {
            let mut ports: Vec<u16> = shuffled(PortRange { min, max }).collect();
            ports.sort_unstable();
            assert!(ports.into_iter().eq(min..=max), "{min} to {max}");
        }
    }

    #[test]
    fn a_full_range_costs_a_bounded_number_of_tries_and_later_ones_are_about_other_ports() {
        for (shares, last) in [(false, 1), (true, 2)] {
            let (space, _ours) = space(last);
            let range = PortRange { min: 1000, max: 1699 };
            let tries = [(); 4].map(|()| find_sharing(space, range, shares, |_| false).1);
            let rest = 700 - TRIES + SECOND_TRIES;
            assert_eq!(tries, [TRIES, rest, SECOND_TRIES, SECOND_TRIES]);
            // A port that has become free is found among those that were refused before.
            let found = [(); 3].map(|()| find_sharing(space, range, shares, |it| it == 1234).0);
            assert_eq!(found.iter().flatten().map(|it| it.port).next(), Some(1234));
        }
    }

    #[test]
    fn a_free_port_is_found_though_others_have_most_of_the_range_or_many_in_a_row() {
        let (space, _ours) = space(3);
        let (found, tries) = find(space, RANGE, |port| port >= 50_000);
        assert!(found.is_some(), "{tries} tries");
        // One call in 30,000 finds none of the 1,000 that are free, and the next one asks for others.
        let found = [(); 2].map(|()| find(space, RANGE, |port| port % 50 == 0).0);
        assert!(found.iter().any(Option::is_some));
    }

    #[test]
    fn sockets_that_share_a_port_do_so_if_no_other_is_free() {
        let (space, _ours) = space(4);
        let range = PortRange { min: 1000, max: 1003 };
        let _alone = Lease::of(space, 1000, false);
        let first = [(); 3].map(|()| find_sharing(space, range, true, |_| true).0);
        let ports: Vec<u16> = first.iter().flatten().map(|it| it.port).collect();
        assert_eq!(ports.len(), 3);
        let (shared, tries) = find_sharing(space, range, true, |_| true);
        assert_eq!(tries, 1);
        assert!(shared.is_some_and(|it| ports.contains(&it.port)));
        assert_eq!(find(space, range, |_| true).1, 0, "one that does not share asks for none");
        drop(first);
        assert!(find(space, range, |_| true).0.is_some_and(|it| ports.contains(&it.port)));
    }
}
