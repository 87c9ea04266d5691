//! Makes sockets, each with its options.
#![allow(unsafe_code)]

use std::io;

use socket2::{Domain, Protocol, Socket, Type};

use crate::sfu::contract::options::ListenInfo;
use crate::sfu::contract::parameters::ListenProtocol;

/// The system setting that limits the size of receive buffers. Windows has none.
pub(super) const RECEIVE_BUFFER_LIMIT: Option<&str> = if cfg!(target_os = "macos") {
    Some("kern.ipc.maxsockbuf")
} else if cfg!(windows) {
    None
} else {
    Some("net.core.rmem_max")
};

/// Makes a socket with the options of `info`, in non-blocking mode. It is not bound yet.
pub(super) fn open(info: &ListenInfo) -> io::Result<Socket> {
    let (kind, protocol) = match info.protocol {
        ListenProtocol::Udp => (Type::DGRAM, Protocol::UDP),
        ListenProtocol::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let domain = if info.ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = system::non_blocking(domain, kind, protocol)?;
    if info.ip.is_ipv6() {
        socket.set_only_v6(info.flags.ipv6_only)?;
    }
    match info.protocol {
        ListenProtocol::Udp => system::prepare_udp(&socket, info.flags.udp_reuse_port)?,
        ListenProtocol::Tcp => system::prepare_tcp(&socket)?,
    }
    if let Some(size) = info.send_buffer_size {
        system::up_to(size as usize, |size| socket.set_send_buffer_size(size))?;
    }
    if let Some(size) = info.recv_buffer_size {
        system::up_to(size as usize, |size| socket.set_recv_buffer_size(size))?;
    }
    Ok(socket)
}

/// The size of the receive buffer that the system has granted, in the same units as the request: Linux doubles it for
/// its own overhead.
pub(super) fn recv_buffer_size(socket: &Socket) -> usize {
    let doubled = if cfg!(target_os = "linux") { 2 } else { 1 };
    socket.recv_buffer_size().map_or(usize::MAX, |size| size / doubled)
}

#[cfg(unix)]
mod system {
    use std::io;

    use socket2::{Domain, Protocol, Socket, Type};

    pub(super) fn non_blocking(
        domain: Domain,
        kind: Type,
        protocol: Protocol,
    ) -> io::Result<Socket> {
        #[cfg(target_os = "linux")]
        return Socket::new(domain, kind.nonblocking(), Some(protocol));
        #[cfg(not(target_os = "linux"))]
        {
            let socket = Socket::new(domain, kind, Some(protocol))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        }
    }

    pub(super) fn prepare_udp(socket: &Socket, reuse_port: bool) -> io::Result<()> {
        if reuse_port { socket.set_reuse_port(true) } else { Ok(()) }
    }

    pub(super) fn prepare_tcp(socket: &Socket) -> io::Result<()> {
        // This allows a listener on the port while old connections are in TIME_WAIT.
        socket.set_reuse_address(true)
    }

    /// Sets the size of a buffer, halving it until the system grants it: Linux cuts a size that is too large, macOS
    /// refuses it.
    pub(super) fn up_to(size: usize, set: impl Fn(usize) -> io::Result<()>) -> io::Result<()> {
        match set(size) {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && size > 1 => {
                up_to(size / 2, set)
            }
            result => result,
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::os::windows::io::AsRawSocket;
    use std::ptr;

    use socket2::{Domain, Protocol, Socket, Type};
    use windows_sys::Win32::Networking::WinSock;

    pub(super) fn non_blocking(
        domain: Domain,
        kind: Type,
        protocol: Protocol,
    ) -> io::Result<Socket> {
        let socket = Socket::new(domain, kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    pub(super) fn prepare_udp(socket: &Socket, reuse_port: bool) -> io::Result<()> {
        if reuse_port {
            let why = "udpReusePort is not supported on Windows";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        keep_to_ourselves(socket)?;
        // Otherwise a peer that is gone makes the next receive fail, whatever its source. Windows before 10 lacks the
        // second option, Wine both.
        for option in [WinSock::SIO_UDP_CONNRESET, WinSock::SIO_UDP_NETRESET] {
            if let Err(error) = turn_off(socket, option) {
                log::debug!("a UDP socket reports that peers are gone: {error}");
            }
        }
        Ok(())
    }

    /// Windows allows a listener on the port while old connections are in TIME_WAIT.
    pub(super) fn prepare_tcp(socket: &Socket) -> io::Result<()> {
        keep_to_ourselves(socket)
    }

    pub(super) fn up_to(size: usize, set: impl Fn(usize) -> io::Result<()>) -> io::Result<()> {
        set(size)
    }

    /// Without this, another process could take over the port with SO_REUSEADDR.
    fn keep_to_ourselves(socket: &Socket) -> io::Result<()> {
        let on = 1u32;
        // SAFETY: the socket is open as long as it is borrowed, and the call reads the 4 bytes of `on`.
        let result = unsafe {
            WinSock::setsockopt(
                socket.as_raw_socket() as usize,
                WinSock::SOL_SOCKET,
                WinSock::SO_EXCLUSIVEADDRUSE,
                (&raw const on).cast(),
                size_of_val(&on) as i32,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn turn_off(socket: &Socket, option: u32) -> io::Result<()> {
        let off = 0u32;
        let mut returned = 0;
        // SAFETY: the socket is open as long as it is borrowed. The call reads the 4 bytes of `off` and writes to
        // `returned`, and is over when it returns, as there is no OVERLAPPED.
        let result = unsafe {
            WinSock::WSAIoctl(
                socket.as_raw_socket() as usize,
                option,
                (&raw const off).cast(),
                size_of_val(&off) as u32,
                ptr::null_mut(),
                0,
                &mut returned,
                ptr::null_mut(),
                None,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_the_system_refuses_is_halved_until_it_grants_it() {
        let granted = std::cell::Cell::new(0);
        let set = |size| {
            if size > 300 {
                return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
            }
            granted.set(size);
            Ok(())
        };
        system::up_to(1000, set).expect("a size that is granted");
        assert_eq!(granted.get(), 250);
        let never = |_| Err(io::Error::from_raw_os_error(libc::ENOBUFS));
        let error = system::up_to(1000, never).expect_err("no size is granted");
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
        let closed = |_| Err(io::Error::from_raw_os_error(libc::EBADF));
        assert!(system::up_to(1000, closed).is_err(), "another error");
    }
}
