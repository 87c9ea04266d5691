//! Datagrams to many destinations, or many to one, with one system call.
//!
//! std and tokio offer neither. quinn-udp offers segmentation, but turns it off for the whole socket after
//! the first error of a destination that the kernel rejects, so a peer could slow down all others. On
//! loopback, entering and leaving the kernel is a fifth of the cost of sending.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use socket2::SockAddr;

use crate::proto::net::Tuple;

/// The most datagrams that one call takes. Divided among that many, a call costs about
/// 10 ns per datagram.
pub const MAX_DATAGRAMS: usize = 64;

/// Sends one datagram over `tuple` from `socket`, which must not block; or, with a `segment_size`, datagrams
/// of that many bytes (the last one may have less) that lie back to back in `contents`: generic segmentation
/// offload. The kernel takes all or none.
pub fn send(
    socket: BorrowedFd<'_>,
    tuple: Tuple,
    contents: &[u8],
    segment_size: Option<u16>,
) -> io::Result<()> {
    let to = SockAddr::from(tuple.remote);
    let mut contents = io_vector(contents);
    let mut control = AncillaryData::new();
    control.push_source(tuple.local);
    if let Some(size) = segment_size {
        control.push(libc::SOL_UDP, libc::UDP_SEGMENT, size);
    }
    let message = message(&to, &mut contents, Some(&mut control));
    // SAFETY: the pointers of `message` lead to `to`, `contents`, what that points to, and `control`, which
    // live until the call returns and are only read.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends these datagrams from `socket`, which must not block. Returns how many of them, from the
/// front, the kernel has taken, or the error with which it refused the first.
pub fn send_many(socket: BorrowedFd<'_>, datagrams: &[(Tuple, &[u8])]) -> io::Result<usize> {
    let addresses: Vec<_> =
        datagrams.iter().map(|(tuple, _)| SockAddr::from(tuple.remote)).collect();
    let mut contents: Vec<_> = datagrams.iter().map(|(_, bytes)| io_vector(bytes)).collect();
    // Empty, and so without an allocation, for a socket that is bound to one address.
    let mut controls: Vec<_> = datagrams
        .iter()
        .filter(|(tuple, _)| tuple.local.is_some())
        .map(|(tuple, _)| AncillaryData::with_source(tuple.local))
        .collect();
    let mut next_control = controls.iter_mut();
    let mut messages: Vec<_> = addresses
        .iter()
        .zip(&mut contents)
        .zip(datagrams)
        .map(|((to, bytes), (tuple, _))| {
            let control = tuple.local.and_then(|_| next_control.next());
            libc::mmsghdr { msg_hdr: message(to, bytes, control), msg_len: 0 }
        })
        .collect();
    // SAFETY: the length is that of `messages`. Its pointers lead to `addresses`, `contents`, `controls` and
    // `datagrams`, which live until the call returns and are only read.
    let sent = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), messages.len() as u32, 0)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn io_vector(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

fn message(
    to: &SockAddr,
    contents: &mut libc::iovec,
    control: Option<&mut AncillaryData>,
) -> libc::msghdr {
    // SAFETY: all-zero is a valid value of this struct of integers and pointers: no address, no
    // contents, no control message, no flags. A literal is not portable, as some platforms have named
    // padding.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.len();
    message.msg_iov = ptr::from_mut(contents);
    message.msg_iovlen = 1;
    if let Some(control) = control {
        message.msg_control = control.bytes.as_mut_ptr().cast();
        message.msg_controllen = control.len as _;
    }
    message
}

/// The control messages of one datagram or batch, encoded.
#[repr(C)]
struct AncillaryData {
    /// Aligns `bytes`.
    header: [libc::cmsghdr; 0],
    bytes: [u8; Self::SPACE],
    len: usize,
}

impl AncillaryData {
    /// Room for the source of a datagram, of either IP version, and the size of a segment.
    const SPACE: usize = space_of::<libc::in6_pktinfo>() + space_of::<u16>();

    const fn new() -> Self {
        Self { header: [], bytes: [0; Self::SPACE], len: 0 }
    }

    fn with_source(local: Option<IpAddr>) -> Self {
        let mut control = Self::new();
        control.push_source(local);
        control
    }

    /// Makes the datagram leave from this address.
    fn push_source(&mut self, local: Option<IpAddr>) {
        match local {
            None => {}
            Some(IpAddr::V4(ip)) => {
                let source = libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: source,
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            // An IPv6 socket has these, and among them IPv4 addresses that are mapped to IPv6.
            Some(IpAddr::V6(ip)) => {
                let source = libc::in6_addr { s6_addr: ip.octets() };
                let info = libc::in6_pktinfo { ipi6_addr: source, ipi6_ifindex: 0 };
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }

    /// Adds a control message. One without room for it is left out: see [`Self::SPACE`].
    fn push<T: Copy>(&mut self, level: i32, kind: i32, value: T) {
        let space = space_of::<T>();
        debug_assert!(self.len + space <= Self::SPACE, "SPACE is the room for all kinds");
        if self.len + space > Self::SPACE {
            return;
        }
        // SAFETY: `space` bytes from `len` on are within `bytes`. They are aligned for a header, because the
        // struct is and `space_of` keeps it so, and hold the header and the value behind it.
        unsafe {
            let header = self.bytes.as_mut_ptr().add(self.len).cast::<libc::cmsghdr>();
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        self.len += space;
    }
}

/// The bytes of a control message with its header and padding.
const fn space_of<T>() -> usize {
    // SAFETY: computes a number.
    unsafe { libc::CMSG_SPACE(size_of::<T>() as u32) as usize }
}
