//! TCP connections that have not been verified: how many there may be, and for how long.
//!
//! A connection is verified by its first valid STUN request, and a good client sends one within a
//! round trip. If there are too many, the oldest is evicted: an attacker that keeps connections open
//! locks out no client.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::proto::net::SocketId;

/// The limit per worker. Each connection holds a file descriptor and at most 24 KiB of an incomplete frame.
const MAX: usize = 256;

/// The limit per source. Many clients behind one address may connect at the same moment, but each stays
/// unverified for one round trip only.
const MAX_PER_SOURCE: usize = 32;

/// How long a connection may stay without a valid STUN request, whatever else it sends. Clients send
/// one as soon as they are connected, and repeat it within seconds.
const PROBATION: Duration = Duration::from_secs(15);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct UnverifiedConnections {
    /// The connections, in the order of arrival.
    queue: VecDeque<Unverified>,
}

#[derive(Debug)]
struct Unverified {
    until: Instant,
    connection: SocketId,
    source: IpAddr,
}

impl UnverifiedConnections {
    /// Adds a connection. Returns the one that is evicted for it, if there are too many.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        connection: SocketId,
        remote: IpAddr,
    ) -> Option<SocketId> {
        let source = source(remote);
        let of_source = self.queue.iter().filter(|it| it.source == source).count();
        let oldest = if of_source >= MAX_PER_SOURCE {
            self.queue.iter().position(|it| it.source == source)
        } else {
            (self.queue.len() >= MAX).then_some(0)
        };
        let evicted = oldest.and_then(|index| self.queue.remove(index));
        self.queue.push_back(Unverified { until: now + PROBATION, connection, source });
        evicted.map(|it| it.connection)
    }

    /// Keeps the connections that are still unverified.
    pub(super) fn retain(&mut self, mut is_unverified: impl FnMut(SocketId) -> bool) {
        self.queue.retain(|it| is_unverified(it.connection));
    }

    /// The time at which [`Self::pop_due`] next returns a connection.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queue.front().map(|it| it.until)
    }

    /// Takes a connection whose probation is over.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<SocketId> {
        self.queue.front().filter(|it| it.until <= now)?;
        self.queue.pop_front().map(|it| it.connection)
    }
}

/// The key of the limit per source: an IPv4 address, or the /64 of an IPv6 address, which a host has
/// for itself (RFC 4291 §2.5.1).
fn source(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_oldest_of_a_source_is_evicted_and_no_other() {
        let now = origin();
        let mut connections = UnverifiedConnections::default();
        assert_eq!(connections.admit(now, SocketId(1000), ip("192.0.2.2")), None);
        let limit = MAX_PER_SOURCE as u32;
        for n in 0..limit {
            assert_eq!(connections.admit(now, SocketId(n), ip("192.0.2.1")), None);
        }
        for n in 0..1000 {
            let evicted = connections.admit(now, SocketId(limit + n), ip("::ffff:192.0.2.1"));
            assert_eq!(evicted, Some(SocketId(n)));
        }
        assert_eq!(connections.queue.len(), 1 + MAX_PER_SOURCE);
        assert_eq!(connections.pop_due(now + PROBATION), Some(SocketId(1000)));
    }

    #[test]
    fn addresses_of_one_ipv6_subnet_are_one_source() {
        let now = origin();
        let mut connections = UnverifiedConnections::default();
        for n in 0..MAX_PER_SOURCE as u32 {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n as u16).into();
            assert_eq!(connections.admit(now, SocketId(n), address), None);
        }
        assert_eq!(connections.admit(now, SocketId(500), ip("2001:db8:0:2::1")), None);
        let evicted = connections.admit(now, SocketId(501), ip("2001:db8:0:1:ffff::1"));
        assert_eq!(evicted, Some(SocketId(0)));
    }

    #[test]
    fn the_oldest_of_all_is_evicted_when_many_sources_attack() {
        let now = origin();
        let mut connections = UnverifiedConnections::default();
        for n in 0..1000u32 {
            let address = IpAddr::from([10, 0, (n / 250) as u8, (n % 250) as u8]);
            let expected = n.checked_sub(MAX as u32).map(SocketId);
            assert_eq!(connections.admit(now, SocketId(n), address), expected);
            assert!(connections.queue.len() <= MAX);
        }
    }

    #[test]
    fn probation_runs_from_the_arrival_and_ends_with_verification() {
        let start = origin();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut connections = UnverifiedConnections::default();
        for n in 0..3 {
            connections.admit(at(n), SocketId(n as u32), ip("192.0.2.1"));
        }
        assert_eq!(connections.deadline(), Some(at(0) + PROBATION));
        connections.retain(|it| it != SocketId(1));
        assert_eq!(connections.pop_due(at(14)), None);
        assert_eq!(connections.pop_due(at(17)), Some(SocketId(0)));
        assert_eq!(connections.pop_due(at(17)), Some(SocketId(2)));
        assert_eq!((connections.pop_due(at(17)), connections.deadline()), (None, None));
    }
}
