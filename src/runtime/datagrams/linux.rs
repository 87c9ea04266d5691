//! Linux: batches in both directions, with segmentation offload.

use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;

use quinn_udp::{RecvMeta, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::proto::net::Tuple;
use crate::runtime::sendmsg;

/// What the calls need to know about the socket.
#[derive(Debug)]
pub(in crate::runtime) struct Datagrams {
    /// Used for receiving only: its `send()` turns segmentation off for all peers after an error of one.
    state: UdpSocketState,
}

impl Datagrams {
    /// The most datagrams that one call sends to several peers.
    pub(in crate::runtime) const MAX_SENT: usize = sendmsg::MAX_DATAGRAMS;

    /// Sets the socket's options.
    pub(in crate::runtime) fn new(socket: &socket2::Socket) -> io::Result<Self> {
        Ok(Self { state: UdpSocketState::new(socket.into())? })
    }

    /// The most datagrams that one call sends to one peer; 1 without segmentation.
    pub(in crate::runtime) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Receives into `buffers`; returns how many of them, and of `meta`, are filled.
    pub(in crate::runtime) fn receive(
        &self,
        socket: &UdpSocket,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        socket.try_io(Interest::READABLE, || self.state.recv(socket.into(), buffers, meta))
    }

    /// See [`sendmsg::send`].
    pub(in crate::runtime) fn send(
        &self,
        socket: &UdpSocket,
        to: Tuple,
        contents: &[u8],
        segment_size: Option<u16>,
    ) -> io::Result<()> {
        sendmsg::send(socket.as_fd(), to, contents, segment_size)
    }

    /// See [`sendmsg::send_many`].
    pub(in crate::runtime) fn send_many(
        &self,
        socket: &UdpSocket,
        datagrams: &[(Tuple, &[u8])],
    ) -> io::Result<usize> {
        sendmsg::send_many(socket.as_fd(), datagrams)
    }

    /// Whether the kernel may have refused segments but would take single datagrams: the network device cannot
    /// compute checksums (EIO), or a segment is larger than its MTU (EINVAL, and EMSGSIZE since Linux 6.9).
    pub(in crate::runtime) fn may_be_about_segmentation(error: &io::Error) -> bool {
        matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
    }
}
