//! UDP sockets: batched, with segmentation offload where the kernel has it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Waker};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::proto::transmit::Transmits;

use super::{mmsg, usage};

/// The largest receive: what a GRO batch or a UDP datagram can have.
const RECEIVE_SIZE: usize = 65_535;

/// How many receives one system call takes.
const RECEIVES: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };

/// System calls on one socket in one turn. What is left is for the next turn, so that one busy
/// socket does not keep the others waiting.
const RECEIVE_CALLS_PER_TURN: usize = 4;

/// One bound UDP socket.
#[derive(Debug)]
pub(super) struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    waker: Waker,
}

/// Where datagrams are received into: one for all sockets of a worker.
pub(super) struct ReceiveBuffers {
    buffers: Vec<Box<[u8]>>,
    meta: [RecvMeta; RECEIVES],
}

impl ReceiveBuffers {
    pub(super) fn new() -> Self {
        let buffer = || vec![0; RECEIVE_SIZE].into_boxed_slice();
        Self {
            buffers: std::iter::repeat_with(buffer).take(RECEIVES).collect(),
            meta: [RecvMeta::default(); RECEIVES],
        }
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
    /// Call this before a socket with the IP version of `address` opens. Failure only costs time.
    pub(super) fn hold(&mut self, address: IpAddr) {
        let (held, domain) = match address {
            IpAddr::V4(_) => (&mut self.ipv4, Domain::IPV4),
            IpAddr::V6(_) => (&mut self.ipv6, Domain::IPV6),
        };
        if held.is_none()
            && let Ok(socket) = socket2::Socket::new(domain, Type::DGRAM, None)
            && UdpSocketState::new((&socket).into()).is_ok()
        {
            *held = Some(socket);
        }
    }
}

impl UdpPort {
    /// Takes a bound, non-blocking socket; `waker` is called when it becomes readable. To be called
    /// inside of the runtime.
    pub(super) fn new(socket: socket2::Socket, waker: Waker) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, state, waker })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// How many datagrams came while the kernel's receive buffer was full, since the socket was bound.
    pub(super) fn overflowed(&self) -> u64 {
        usage::drops(self.socket.as_fd())
    }

    /// Hands over the datagrams that have arrived. Returns whether there may be more; if not, the
    /// waker is armed.
    pub(super) fn receive(
        &mut self,
        buffers: &mut ReceiveBuffers,
        mut handle: impl FnMut(SocketAddr, &[u8]),
    ) -> bool {
        for _ in 0..RECEIVE_CALLS_PER_TURN {
            let ReceiveBuffers { buffers, meta } = buffers;
            let received = self.socket.try_io(Interest::READABLE, || {
                let mut slices = buffers.each_slice();
                self.state.recv((&self.socket).into(), &mut slices, meta)
            });
            match received {
                Ok(count) => {
                    for (meta, buffer) in meta.iter().zip(buffers.iter()).take(count) {
                        let bytes = &buffer[..meta.len];
                        for datagram in bytes.chunks(meta.stride.max(1)) {
                            handle(meta.addr, datagram);
                        }
                    }
                    if count < RECEIVES && self.is_drained() {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_drained() {
                        return false;
                    }
                }
                // Out of memory, say. The socket lives.
                Err(error) => log::debug!("UDP receive: {error}"),
            }
        }
        true
    }

    /// Arms the waker. The kernel had less than it was asked for; to ask once more would be a system call
    /// only to hear that it has nothing.
    ///
    /// That it had less does mean that it has nothing: the socket is not connected and reports no ICMP
    /// errors (no IP_RECVERR), so nothing else cuts a receive short. And what comes from now on is not
    /// missed, although this makes tokio forget that the socket was readable: the runtime has one
    /// thread, so the poller has not run since, and tells of it the next time.
    fn is_drained(&self) -> bool {
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = self.socket.try_io(Interest::READABLE, nothing);
        self.socket.poll_recv_ready(&mut Context::from_waker(&self.waker)).is_pending()
    }

    /// Sends the datagrams from `index` on that can leave with one system call; returns how many these
    /// were. What the kernel does not take is lost, as on any network, and added to `unsent`.
    pub(super) fn send(&mut self, transmits: &Transmits, index: usize, unsent: &mut u64) -> usize {
        let segments = self.state.max_gso_segments();
        let Some((tuple, size, contents, count)) = transmits.run(index, segments) else { return 1 };
        if count == 1 && transmits.singles(index).nth(1).is_some() {
            let mut singles = Vec::with_capacity(mmsg::MAX_DATAGRAMS);
            singles.extend(transmits.singles(index).take(mmsg::MAX_DATAGRAMS));
            return self.send_many(&singles, unsent);
        }
        let transmit = Transmit {
            destination: tuple.remote,
            ecn: None,
            contents,
            segment_size: (count > 1).then_some(size),
            src_ip: None,
        };
        // Past tokio, which would refuse on a socket that it has not looked at yet, and then until
        // it looks again. A UDP socket is writable unless its buffer is full.
        if let Err(error) = self.state.try_send((&self.socket).into(), &transmit) {
            log::debug!("UDP send to {}: {error}", tuple.remote);
            *unsent += count as u64;
        }
        count
    }

    /// Returns how many of these are done with; the caller goes on behind them.
    fn send_many(&self, datagrams: &[(SocketAddr, &[u8])], unsent: &mut u64) -> usize {
        let lost = match mmsg::send_many(self.socket.as_fd(), datagrams) {
            Ok(sent) => return sent,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return 0,
            // The socket's buffer is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => datagrams.len(),
            Err(error) => {
                log::debug!("UDP send to {}: {error}", datagrams[0].0);
                1
            }
        };
        *unsent += lost as u64;
        lost
    }
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
