//! Which ports this process holds, and which it was refused: ports that need not be asked for again.
//!
//! A range may have 50,000 ports. Asking the kernel for each of them takes a tenth of a second, in which a
//! worker serves no peer. All workers of a process share the table.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::sfu::contract::options::PortRange;
use crate::sfu::contract::parameters::ListenProtocol;

static TABLE: Mutex<Table> = Mutex::new(Table { spaces: FxHashMap::with_hasher(FxBuildHasher) });

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where ports are counted: those of UDP and TCP, and of two addresses, do not exclude each other.
pub(super) type PortSpace = (ListenProtocol, IpAddr);

/// A port that this process holds, or is about to ask the kernel for, until this is dropped. Drop it after the socket.
#[derive(Debug)]
pub(super) struct Lease {
    space: PortSpace,
    /// The port.
    pub(super) port: u16,
}

impl Lease {
    /// Takes a port that is bound already. `shares`: its socket lets others have the port.
    pub(super) fn of(space: PortSpace, port: u16, shares: bool) -> Self {
        Self::hold(space, table().space(space), port, shares)
    }

    /// Takes the first of `ports` that this process neither holds nor was refused.
    pub(super) fn first_free(
        space: PortSpace,
        shares: bool,
        ports: &mut impl Iterator<Item = u16>,
    ) -> Option<Self> {
        let mut table = table();
        let used = table.space(space);
        let port = ports.find(|port| !used.contains(*port))?;
        Some(Self::hold(space, used, port, shares))
    }

    /// Takes the port of this range that was refused the longest ago.
    pub(super) fn oldest_refused(space: PortSpace, shares: bool, range: PortRange) -> Option<Self> {
        let mut table = table();
        let used = table.space(space);
        let index = used.refused.iter().position(|it| (range.min..=range.max).contains(it))?;
        let port = used.refused.remove(index)?;
        Some(Self::hold(space, used, port, shares))
    }

    /// Takes the port of this range that the fewest sockets of this process share.
    pub(super) fn shared(space: PortSpace, range: PortRange) -> Option<Self> {
        let mut table = table();
        let used = table.space(space);
        let shared = used
            .ours
            .iter()
            .filter(|(port, held)| held.shares && (range.min..=range.max).contains(*port));
        let (port, _) = shared.min_by_key(|(_, held)| held.sockets)?;
        let port = *port;
        Some(Self::hold(space, used, port, true))
    }

    fn hold(space: PortSpace, used: &mut UsedPorts, port: u16, shares: bool) -> Self {
        used.hold(port, shares);
        Self { space, port }
    }

    /// The kernel does not let this process have the port: another process has it, or a socket on other addresses.
    pub(super) fn refuse(self) {
        let mut table = table();
        let used = table.space(self.space);
        if used.release(self.port) {
            used.refuse(self.port);
        }
        drop(table);
        std::mem::forget(self);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        table().release(self.space, self.port);
    }
}

/// How many ports were refused in this space and not released since.
pub(super) fn refused(space: PortSpace) -> usize {
    table().spaces.get(&space).map_or(0, |it| it.refused.len())
}

struct Table {
    spaces: FxHashMap<PortSpace, UsedPorts>,
}

impl Table {
    fn space(&mut self, space: PortSpace) -> &mut UsedPorts {
        if !self.spaces.contains_key(&space) {
            // Refusals in spaces without a port of ours are forgotten, so that addresses that come and go leave
            // nothing.
            self.spaces.retain(|_, used| !used.ours.is_empty());
        }
        self.spaces.entry(space).or_default()
    }

    fn release(&mut self, space: PortSpace, port: u16) {
        let released = self.spaces.get_mut(&space).is_some_and(|it| it.release(port));
        if released {
            // The port may have been refused elsewhere because of this socket: 0.0.0.0 excludes 127.0.0.1.
            for (_, used) in
                self.spaces.iter_mut().filter(|((protocol, _), _)| *protocol == space.0)
            {
                used.forget_refusal(port);
            }
        }
    }
}

/// The ports of one space that are not worth asking for.
#[derive(Debug)]
struct UsedPorts {
    /// A bit for each port that is in `ours` or in `refused`.
    bits: Box<[u64; 1024]>,
    /// The ports of this process.
    ours: FxHashMap<u16, HeldPort>,
    /// The ports that were refused, in that order.
    refused: VecDeque<u16>,
}

/// A port of this process.
#[derive(Debug, Default)]
struct HeldPort {
    /// How many sockets have it. It is more than one with SO_REUSEPORT.
    sockets: u32,
    /// Whether they have that option.
    shares: bool,
}

impl Default for UsedPorts {
    fn default() -> Self {
        Self { bits: Box::new([0; 1024]), ours: FxHashMap::default(), refused: VecDeque::new() }
    }
}

impl UsedPorts {
    fn contains(&self, port: u16) -> bool {
        self.bits[usize::from(port / 64)] & (1 << (port % 64)) != 0
    }

    fn set(&mut self, port: u16, used: bool) {
        let (word, bit) = (&mut self.bits[usize::from(port / 64)], 1 << (port % 64));
        if used { *word |= bit } else { *word &= !bit }
    }

    fn hold(&mut self, port: u16, shares: bool) {
        let held = self.ours.entry(port).or_default();
        held.sockets += 1;
        held.shares = shares;
        self.set(port, true);
    }

    /// Returns whether no socket of this process has the port any more.
    fn release(&mut self, port: u16) -> bool {
        let Some(held) = self.ours.get_mut(&port) else { return false };
        held.sockets -= 1;
        let last = held.sockets == 0;
        if last {
            self.ours.remove(&port);
            self.set(port, false);
        }
        last
    }

    fn refuse(&mut self, port: u16) {
        self.refused.push_back(port);
        self.set(port, true);
    }

    fn forget_refusal(&mut self, port: u16) {
        if self.contains(port) && !self.ours.contains_key(&port) {
            self.refused.retain(|it| *it != port);
            self.set(port, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table is the process's, so each test has an address of its own.
    fn space(last: u8) -> PortSpace {
        (ListenProtocol::Udp, [192, 0, 2, last].into())
    }

    fn next(space: PortSpace) -> Option<Lease> {
        Lease::first_free(space, false, &mut (100..=103))
    }

    #[test]
    fn a_port_is_handed_out_once_until_it_is_released() {
        let mut leases: Vec<Lease> = std::iter::from_fn(|| next(space(1))).collect();
        assert!(leases.iter().map(|it| it.port).eq(100..=103));
        leases.remove(2);
        assert_eq!(next(space(1)).map(|it| it.port), Some(102));
        assert_eq!(next((ListenProtocol::Tcp, space(1).1)).map(|it| it.port), Some(100));
    }

    #[test]
    fn a_port_that_several_sockets_share_is_free_after_the_last_of_them() {
        let shared = [(); 2].map(|()| Lease::of(space(2), 100, true));
        for lease in shared {
            assert_eq!(next(space(2)).map(|it| it.port), Some(101));
            drop(lease);
        }
        assert_eq!(next(space(2)).map(|it| it.port), Some(100));
    }

    #[test]
    fn refused_ports_come_last_in_the_order_of_their_refusals() {
        for port in [101, 103, 90] {
            Lease::of(space(3), port, false).refuse();
        }
        let free: Vec<Lease> = std::iter::from_fn(|| next(space(3))).collect();
        assert!(free.iter().map(|it| it.port).eq([100, 102]));
        assert_eq!(refused(space(3)), 3);
        let range = PortRange { min: 100, max: 103 };
        let again = |refuse: bool| {
            let lease = Lease::oldest_refused(space(3), false, range)?;
            let port = lease.port;
            if refuse {
                lease.refuse()
            } else {
                std::mem::forget(lease)
            }
            Some(port)
        };
        assert_eq!(
            [true, true, false, true].map(again),
            [Some(101), Some(103), Some(101), Some(103)]
        );
        assert_eq!((refused(space(3)), again(false), again(false)), (2, Some(103), None));
    }

    #[test]
    fn a_released_port_is_worth_a_try_on_all_addresses_where_it_was_refused() {
        let ours = Lease::of(space(4), 100, false);
        let _other = Lease::of(space(5), 102, false);
        for port in [100, 101] {
            Lease::of(space(5), port, false).refuse();
        }
        assert_eq!(next(space(5)).map(|it| it.port), Some(103));
        drop(ours);
        assert_eq!(refused(space(5)), 1);
        assert_eq!(next(space(5)).map(|it| it.port), Some(100));
    }

    #[test]
    fn places_without_sockets_are_forgotten() {
        Lease::of(space(6), 100, false).refuse();
        let _other = Lease::of(space(7), 100, false);
        assert_eq!(refused(space(6)), 0);
    }
}
