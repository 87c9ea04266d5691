//! The kernel's count of datagrams that a socket had no room for.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

/// Datagrams that a UDP socket has lost because its receive buffer was full; 0 where the system does
/// not report it (Linux before 4.12).
pub(super) fn read(socket: BorrowedFd<'_>) -> u64 {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;

        /// The index of the drops among the values, and the number of values (linux/sock_diag.h).
        const SK_MEMINFO_DROPS: usize = 8;
        const SK_MEMINFO_VARS: usize = 9;

        let mut values = [0u32; SK_MEMINFO_VARS];
        let mut len = size_of_val(&values) as libc::socklen_t;
        // SAFETY: the descriptor is open as long as it is borrowed, and getsockopt writes at most
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
        values[SK_MEMINFO_DROPS].into()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        0
    }
}
