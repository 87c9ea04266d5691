//! macOS and Windows: one datagram per call.

use std::io::{self, IoSliceMut};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::proto::net::Tuple;

/// What the calls need to know about the socket.
#[derive(Debug)]
pub(in crate::runtime) struct Datagrams {
    /// `None` where the system lacks an option that quinn-udp needs, such as Wine for IPv4. A socket that listens on
    /// all addresses of this host then cannot see which of them a peer uses, and the system chooses the source address.
    state: Option<UdpSocketState>,
}

impl Datagrams {
    /// The most datagrams that one call sends to several peers.
    pub(in crate::runtime) const MAX_SENT: usize = 1;

    /// Sets the socket's options.
    pub(in crate::runtime) fn new(socket: &socket2::Socket) -> io::Result<Self> {
        match UdpSocketState::new(socket.into()) {
            Ok(state) => Ok(Self { state: Some(state) }),
            Err(error) if cfg!(windows) => {
                log::debug!("a UDP socket cannot report local addresses: {error}");
                Ok(Self { state: None })
            }
            Err(error) => Err(error),
        }
    }

    /// The most datagrams that one call sends to one peer.
    pub(in crate::runtime) fn max_segments(&self) -> usize {
        1
    }

    /// Receives into the first of `buffers`; returns 1.
    pub(in crate::runtime) fn receive(
        &self,
        socket: &UdpSocket,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        if let Some(state) = &self.state {
            return socket.try_io(Interest::READABLE, || state.recv(socket.into(), buffers, meta));
        }
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else {
            return Ok(0);
        };
        let (len, remote) = socket.try_recv_from(buffer)?;
        (meta.len, meta.stride, meta.addr) = (len, len, remote);
        Ok(1)
    }

    /// Sends one datagram over `to` from `socket`, past tokio.
    pub(in crate::runtime) fn send(
        &self,
        socket: &UdpSocket,
        to: Tuple,
        contents: &[u8],
        segment_size: Option<u16>,
    ) -> io::Result<()> {
        match &self.state {
            Some(state) => {
                let transmit = Transmit {
                    destination: to.remote,
                    ecn: None,
                    contents,
                    segment_size: segment_size.map(usize::from),
                    src_ip: to.local,
                };
                state.try_send(socket.into(), &transmit)
            }
            None => SockRef::from(socket).send_to(contents, &to.remote.into()).map(|_| ()),
        }
    }

    /// Sends the first of these datagrams; returns 1.
    pub(in crate::runtime) fn send_many(
        &self,
        socket: &UdpSocket,
        datagrams: &[(Tuple, &[u8])],
    ) -> io::Result<usize> {
        let Some(&(to, datagram)) = datagrams.first() else { return Ok(0) };
        self.send(socket, to, datagram, None).map(|()| 1)
    }

    /// Never: there is no segmentation.
    pub(in crate::runtime) fn may_be_about_segmentation(_: &io::Error) -> bool {
        false
    }
}
