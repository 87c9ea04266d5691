//! What the kernel says about the receive buffer of a socket.
#![allow(unsafe_code)]

use tokio::net::UdpSocket;

/// The receive buffer of a UDP socket. A datagram takes more of it than its length, a small one several times as much.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReceiveMemory {
    /// The bytes in use.
    pub(super) used: u32,
    /// The bytes that the buffer has in all.
    pub(super) size: u32,
    /// Datagrams that were lost because there was no room.
    pub(super) drops: u32,
}

/// Reads the state of a socket's receive buffer. All zero where the system does not report it: Linux before 4.12,
/// macOS, Windows.
pub(super) fn read(socket: &UdpSocket) -> ReceiveMemory {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;

        /// Indices of the values, and their number (linux/sock_diag.h).
        const SK_MEMINFO_RMEM_ALLOC: usize = 0;
        const SK_MEMINFO_RCVBUF: usize = 1;
        const SK_MEMINFO_DROPS: usize = 8;
        const SK_MEMINFO_VARS: usize = 9;

        let mut values = [0u32; SK_MEMINFO_VARS];
        let mut len = size_of_val(&values) as libc::socklen_t;
        // SAFETY: the descriptor is open as long as the socket is borrowed, and getsockopt writes at most
        // `len` bytes to `values`. If it fails, zeros remain.
        unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                values.as_mut_ptr().cast(),
                &mut len,
            );
        }
        ReceiveMemory {
            used: values[SK_MEMINFO_RMEM_ALLOC],
            size: values[SK_MEMINFO_RCVBUF],
            drops: values[SK_MEMINFO_DROPS],
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        ReceiveMemory::default()
    }
}
