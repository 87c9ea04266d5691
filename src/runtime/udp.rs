//! UDP sockets: batched, with segmentation offload where the kernel has it.

use std::collections::HashSet;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::task::{Context, Waker};
use std::time::Instant;

use quinn_udp::{BATCH_SIZE, RecvMeta};
use rustc_hash::FxRandomState;
use socket2::{Domain, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::proto::net::Tuple;
use crate::proto::transmit::Transmits;

use super::batch::Batch;
use super::datagrams::Datagrams;
use super::leases::Lease;
use super::socket_memory::ReceiveMemory;
use super::{clock, ports, socket_memory};

/// The largest receive: a GRO batch or a UDP datagram.
const RECEIVE_SIZE: usize = 65_535;

/// How many receives one system call takes.
const RECEIVES: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };

/// System calls on one socket in one turn. Further datagrams wait for the next turn, so that a busy socket
/// does not keep the others waiting.
const RECEIVE_CALLS_PER_TURN: usize = 4;

/// How much of the receive buffer a full datagram takes, as a multiple of its length.
const OVERHEAD: usize = 2;

/// How many addresses without segmentation a socket remembers. Beyond that it forgets all: one failed call
/// finds each of them again.
const MAX_UNSEGMENTED: usize = 1024;

/// One bound UDP socket.
#[derive(Debug)]
pub(super) struct UdpPort {
    socket: UdpSocket,
    datagrams: Datagrams,
    waker: Waker,
    /// Whether the socket listens on all addresses of this host, so that what goes to a peer has to name the
    /// one that the peer uses.
    is_wildcard: bool,
    /// Addresses to which the kernel sends single datagrams but no segments: the network device lacks what
    /// that takes, or its MTU is smaller than a segment.
    unsegmented: HashSet<IpAddr, FxRandomState>,
    /// The last member, and so dropped after the socket: only then is the port free.
    _lease: Lease,
}

/// The buffers that datagrams are received into, shared by all sockets of a worker. What a turn has received and has
/// no time for stays here, so the socket that it is from has to come first in the next turn.
pub(super) struct ReceiveBuffers {
    buffers: Vec<Box<[u8]>>,
    meta: [RecvMeta; RECEIVES],
    /// The buffers that have yet to be handed over.
    left: Range<usize>,
}

impl ReceiveBuffers {
    pub(super) fn new() -> Self {
        let buffer = || vec![0; RECEIVE_SIZE].into_boxed_slice();
        Self {
            buffers: std::iter::repeat_with(buffer).take(RECEIVES).collect(),
            meta: [RecvMeta::default(); RECEIVES],
            left: 0..0,
        }
    }

    /// Whether something is left of an earlier turn.
    pub(super) fn is_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Drops what is left: its socket has been closed.
    pub(super) fn discard(&mut self) {
        self.left = 0..0;
    }
}

/// Keeps receive offload (GRO) on in the kernel while a worker has no UDP socket of its own.
///
/// Linux patches its code when the first socket that uses GRO opens and when the last one closes, and
/// interrupts every core to do so: 60 µs of a transport's life if one transport at a time comes and
/// goes. One unbound socket of each IP version, kept until the worker ends, avoids that.
#[derive(Debug, Default)]
pub(super) struct OffloadHold {
    ipv4: Option<socket2::Socket>,
    ipv6: Option<socket2::Socket>,
}

impl OffloadHold {
    /// Call this once a socket with the IP version of `address` is open. That socket comes first, because it may need
    /// the last file descriptor; a failure here only costs time. Other systems do not need this.
    pub(super) fn hold(&mut self, address: IpAddr) {
        let (held, domain) = match address {
            IpAddr::V4(_) => (&mut self.ipv4, Domain::IPV4),
            IpAddr::V6(_) => (&mut self.ipv6, Domain::IPV6),
        };
        if cfg!(target_os = "linux")
            && held.is_none()
            && let Ok(socket) = socket2::Socket::new(domain, Type::DGRAM, None)
            && Datagrams::new(&socket).is_ok()
        {
            *held = Some(socket);
        }
    }
}

impl UdpPort {
    /// Takes a bound, non-blocking socket; `waker` is called when it becomes readable. Call this inside
    /// of the tokio runtime.
    pub(super) fn new(socket: socket2::Socket, lease: Lease, waker: Waker) -> io::Result<Self> {
        let datagrams = Datagrams::new(&socket)?;
        let socket = UdpSocket::from_std(socket.into())?;
        let is_wildcard = ports::is_wildcard(socket.local_addr()?);
        let unsegmented = HashSet::default();
        Ok(Self { socket, datagrams, waker, is_wildcard, unsegmented, _lease: lease })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Datagrams that arrived while the kernel's receive buffer was full, since the socket was bound.
    pub(super) fn overflowed(&self) -> u64 {
        socket_memory::read(&self.socket).drops.into()
    }

    /// If the kernel's receive buffer is more than half full: how many bytes of datagrams fill half of it.
    pub(super) fn crowded(&self) -> Option<usize> {
        let ReceiveMemory { used, size, .. } = socket_memory::read(&self.socket);
        (used > size / 2).then_some(size as usize / 2 / OVERHEAD)
    }

    /// Hands over the datagrams that have arrived, as many as one turn may and at most one buffer of them beyond
    /// `until`, with the addresses of a [`Tuple`]; those that cannot be answered are dropped and added to
    /// `unanswerable`. Returns whether there may be more; if not, the waker is armed.
    pub(super) fn receive(
        &mut self,
        buffers: &mut ReceiveBuffers,
        until: Instant,
        unanswerable: &mut u64,
        mut handle: impl FnMut(Option<IpAddr>, SocketAddr, &[u8]),
    ) -> bool {
        for _ in 0..RECEIVE_CALLS_PER_TURN {
            let ReceiveBuffers { buffers, meta, left } = buffers;
            let received = if Range::is_empty(left) {
                let received =
                    self.datagrams.receive(&self.socket, &mut buffers.each_slice(), meta);
                *left = 0..received.as_ref().map_or(0, |count| *count);
                received
            } else {
                // They were received in an earlier turn, so the socket may have more.
                Ok(RECEIVES)
            };
            while let Some(index) = left.next() {
                let (meta, buffer) = (&meta[index], &buffers[index]);
                let datagrams = buffer[..meta.len].chunks(meta.stride.max(1));
                let local = meta.dst_ip.filter(|_| self.is_wildcard);
                if is_answerable(local, meta.addr) {
                    datagrams.for_each(|datagram| handle(local, meta.addr, datagram));
                } else {
                    *unanswerable += datagrams.len() as u64;
                }
                // Hundreds of datagrams may be left, each with many records.
                if !Range::is_empty(left) && clock::now() >= until {
                    return true;
                }
            }
            match received {
                Ok(RECEIVES) => {}
                Ok(_) => {
                    if self.is_drained() {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_drained() {
                        return false;
                    }
                }
                // The kernel is out of memory, for example, or an old Windows reports that a peer has gone. The socket
                // stays usable.
                Err(error) => log::debug!("cannot receive over UDP: {error}"),
            }
            if clock::now() >= until {
                break;
            }
        }
        true
    }

    /// Arms the waker. The kernel had less than it was asked for, so the socket is empty, and another
    /// system call would only confirm that.
    ///
    /// Nothing else cuts a receive short: the socket is not connected and reports no ICMP errors (no
    /// IP_RECVERR). This makes tokio forget that the socket was readable, but no later datagram is
    /// missed: the tokio runtime has one thread, so its poller has not run since and reports the
    /// datagram the next time.
    fn is_drained(&self) -> bool {
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = self.socket.try_io(Interest::READABLE, nothing);
        self.socket.poll_recv_ready(&mut Context::from_waker(&self.waker)).is_pending()
    }

    /// Sends the datagrams from `index` on that can leave with one system call; returns how many these
    /// were. Datagrams that the kernel does not take are lost, as on any network, and added to `unsent`. What
    /// the kernel says about one destination does not change how others are served: tested on Linux, not elsewhere.
    pub(super) fn send(&mut self, transmits: &Transmits, index: usize, unsent: &mut u64) -> usize {
        let segments = self.datagrams.max_segments();
        match Batch::at(transmits, index, segments, Datagrams::MAX_SENT) {
            None => 1,
            // The datagrams bypass tokio, which refuses to send on a socket until it has looked at that socket. A
            // UDP socket is writable unless its buffer is full.
            Some(Batch::Single(to, datagram)) => {
                if let Err(error) = self.datagrams.send(&self.socket, to, datagram, None) {
                    count_lost(to, 1, &error, unsent);
                }
                1
            }
            Some(Batch::Segments { to, size, contents, count }) => {
                self.send_segments(to, size, contents, unsent);
                count
            }
            Some(Batch::Many(datagrams)) => self.send_many(&datagrams, unsent),
        }
    }

    /// Sends segments to one peer: one by one if the kernel does not segment on the way to this peer.
    fn send_segments(&mut self, to: Tuple, size: u16, contents: &[u8], unsent: &mut u64) {
        let mut left = contents.chunks(size.into());
        let known = !self.unsegmented.is_empty() && self.unsegmented.contains(&to.remote.ip());
        if !known {
            match self.datagrams.send(&self.socket, to, contents, Some(size)) {
                Ok(()) => return,
                Err(error) if Datagrams::may_be_about_segmentation(&error) => {}
                Err(error) => return count_lost(to, left.len(), &error, unsent),
            }
        }
        while let Some(datagram) = left.next() {
            if let Err(error) = self.datagrams.send(&self.socket, to, datagram, None) {
                // The others would fail as well: the destination is the reason, or the socket's buffer is full.
                return count_lost(to, 1 + left.len(), &error, unsent);
            }
        }
        if !known {
            self.refuse_segments_to(to.remote.ip());
        }
    }

    /// Sends no more segments to this address.
    pub(super) fn refuse_segments_to(&mut self, ip: IpAddr) {
        log::debug!("no segmentation offload for UDP to {ip}");
        if self.unsegmented.len() >= MAX_UNSEGMENTED {
            self.unsegmented.clear();
        }
        self.unsegmented.insert(ip);
    }

    /// Sends datagrams to several peers. Returns how many were sent or lost; the caller continues after them.
    fn send_many(&self, datagrams: &[(Tuple, &[u8])], unsent: &mut u64) -> usize {
        let error = match self.datagrams.send_many(&self.socket, datagrams) {
            Ok(sent) => return sent,
            Err(error) => error,
        };
        let lost = match error.kind() {
            io::ErrorKind::Interrupted => return 0,
            // The socket's buffer is full.
            io::ErrorKind::WouldBlock => datagrams.len(),
            _ => 1,
        };
        count_lost(datagrams[0].0, lost, &error, unsent);
        lost
    }
}

/// Whether an answer from `local` to `remote` can leave. Nothing can be sent to port 0, nor from or to an
/// address of many hosts or of none.
fn is_answerable(local: Option<IpAddr>, remote: SocketAddr) -> bool {
    remote.port() != 0 && is_of_one_host(remote.ip()) && local.is_none_or(is_of_one_host)
}

fn is_of_one_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
    }
}

fn count_lost(to: Tuple, lost: usize, error: &io::Error, unsent: &mut u64) {
    log::debug!("cannot send over UDP to {}: {error}", to.remote);
    *unsent += lost as u64;
}

trait EachSlice {
    fn each_slice(&mut self) -> [IoSliceMut<'_>; RECEIVES];
}

impl EachSlice for Vec<Box<[u8]>> {
    fn each_slice(&mut self) -> [IoSliceMut<'_>; RECEIVES] {
        let mut buffers = self.iter_mut();
        std::array::from_fn(|_| IoSliceMut::new(buffers.next().map_or(&mut [], |it| it)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options;
    use crate::sfu::contract::options::{ListenInfo, PortRange};
    use crate::sfu::contract::parameters::ListenProtocol;

    /// A datagram from port 0 can only be sent with a right that tests may lack; see `sockets/tests.rs`.
    #[test]
    fn a_datagram_from_port_0_or_an_address_of_many_hosts_cannot_be_answered() {
        let answerable = |local: Option<&str>, remote: &str| {
            let local = local.map(|it| it.parse().expect("an address"));
            is_answerable(local, remote.parse().expect("an address"))
        };
        for remote in ["192.0.2.1:1", "[2001:db8::1]:65535", "127.0.0.1:9", "[::ffff:192.0.2.1]:7"]
        {
            assert!(answerable(None, remote), "{remote}");
        }
        for remote in [
            "192.0.2.1:0",
            "[2001:db8::1]:0",
            "0.0.0.0:9",
            "[::]:9",
            "224.0.0.1:9",
            "[ff02::1]:9",
            "255.255.255.255:9",
        ] {
            assert!(!answerable(None, remote), "{remote}");
            assert!(!answerable(Some("192.0.2.2"), remote), "{remote}");
        }
        for (local, expected) in
            [("192.0.2.2", true), ("255.255.255.255", false), ("ff02::1", false)]
        {
            assert_eq!(answerable(Some(local), "192.0.2.1:9"), expected, "{local}");
        }
    }

    /// A port, and a socket to send to it from. Call it in a runtime.
    #[allow(clippy::disallowed_types, reason = "the remote side")]
    fn bound(info: &ListenInfo) -> (UdpPort, std::net::UdpSocket) {
        let (socket, lease) = ports::bind(info, PortRange { min: 10_000, max: 59_999 }).unwrap();
        let port = UdpPort::new(socket, lease, Waker::noop().clone()).unwrap();
        (port, std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_socket_is_crowded_while_more_than_half_of_its_buffer_is_in_use() {
        const SIZE: u32 = 65_536;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let info = options::listen_info(ListenProtocol::Udp);
            let info = ListenInfo { recv_buffer_size: Some(SIZE), ..info };
            let (mut port, remote) = bound(&info);
            assert_eq!(port.crowded(), None);
            for _ in 0..SIZE / 1000 {
                remote.send_to(&[0; 1000], port.local_addr().unwrap()).unwrap();
            }
            // Linux doubles what is asked for, and half of that is what datagrams take beside their bytes.
            assert_eq!(port.crowded(), Some(SIZE as usize / 2));
            port.socket.readable().await.unwrap();
            let late = clock::now() + std::time::Duration::from_secs(60);
            while port.receive(&mut ReceiveBuffers::new(), late, &mut 0, |_, _, _| {}) {}
            assert_eq!(port.crowded(), None);
        });
    }

    #[test]
    #[cfg(target_os = "linux")] // Others receive one datagram at a time.
    fn a_turn_that_is_over_leaves_the_other_buffers_to_the_next() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let (mut port, remote) = bound(&options::listen_info(ListenProtocol::Udp));
            const SENT: u8 = 2 * RECEIVES as u8 + 1;
            for number in 0..SENT {
                remote.send_to(&[number], port.local_addr().unwrap()).unwrap();
            }
            port.socket.readable().await.unwrap();
            let mut buffers = ReceiveBuffers::new();
            let mut received = Vec::new();
            for turn in 1..=SENT {
                let more = port.receive(&mut buffers, clock::now(), &mut 0, |_, _, datagram| {
                    received.push(datagram[0]);
                });
                assert_eq!((more, received.len()), (turn < SENT, turn.into()));
            }
            assert!(received.into_iter().eq(0..SENT) && !buffers.is_left());
        });
    }

    #[test]
    fn one_turn_receives_a_bounded_number_of_datagrams_and_reports_that_there_are_more() {
        const SENT: usize = 3 * RECEIVE_CALLS_PER_TURN * RECEIVES;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let (mut port, remote) = bound(&options::listen_info(ListenProtocol::Udp));
            for number in 0..SENT {
                remote.send_to(&[number as u8], port.local_addr().unwrap()).unwrap();
            }
            // Lets tokio see that the socket is readable.
            port.socket.readable().await.unwrap();
            let mut buffers = ReceiveBuffers::new();
            let mut received = Vec::new();
            let late = clock::now() + std::time::Duration::from_secs(60);
            for turn in 1..=3 {
                let more = port.receive(&mut buffers, late, &mut 0, |_, _, datagram| {
                    received.push(datagram[0])
                });
                assert!(more, "turn {turn}");
                assert_eq!(received.len(), turn * RECEIVE_CALLS_PER_TURN * RECEIVES);
            }
            assert!(
                !port.receive(&mut buffers, late, &mut 0, |_, _, datagram| received
                    .push(datagram[0]))
            );
            assert!(received.iter().copied().eq((0..SENT).map(|number| number as u8)));
        });
    }
}
