//! What the operating system says about the calling thread, and about a socket. There is no safe
//! interface for any of it.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use serde::Serialize;

/// Resources that a worker's thread has used, named as in libuv's `uv_rusage_t`.
#[derive(Debug, Clone, Copy, Serialize)]
#[allow(missing_docs, reason = "see getrusage(2)")]
pub struct ResourceUsage {
    /// User CPU time in milliseconds.
    pub ru_utime: i64,
    /// System CPU time in milliseconds.
    pub ru_stime: i64,
    /// Maximum resident set size in kilobytes; of the whole process.
    pub ru_maxrss: i64,
    pub ru_ixrss: i64,
    pub ru_idrss: i64,
    pub ru_isrss: i64,
    pub ru_minflt: i64,
    pub ru_majflt: i64,
    pub ru_nswap: i64,
    pub ru_inblock: i64,
    pub ru_oublock: i64,
    pub ru_msgsnd: i64,
    pub ru_msgrcv: i64,
    pub ru_nsignals: i64,
    pub ru_nvcsw: i64,
    pub ru_nivcsw: i64,
}

/// The usage of the calling thread.
pub fn of_this_thread() -> ResourceUsage {
    // SAFETY: all-zero is a valid value of this struct of integers, and getrusage only writes to
    // it. It cannot fail with a valid pointer and a valid `who`; if it did, zeros would remain.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage
    };
    let ms = |time: libc::timeval| time.tv_sec * 1000 + time.tv_usec / 1000;
    ResourceUsage {
        ru_utime: ms(usage.ru_utime),
        ru_stime: ms(usage.ru_stime),
        ru_maxrss: usage.ru_maxrss,
        ru_ixrss: usage.ru_ixrss,
        ru_idrss: usage.ru_idrss,
        ru_isrss: usage.ru_isrss,
        ru_minflt: usage.ru_minflt,
        ru_majflt: usage.ru_majflt,
        ru_nswap: usage.ru_nswap,
        ru_inblock: usage.ru_inblock,
        ru_oublock: usage.ru_oublock,
        ru_msgsnd: usage.ru_msgsnd,
        ru_msgrcv: usage.ru_msgrcv,
        ru_nsignals: usage.ru_nsignals,
        ru_nvcsw: usage.ru_nvcsw,
        ru_nivcsw: usage.ru_nivcsw,
    }
}

/// The system's monotonic clock.
pub fn monotonic() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: only writes to `time`; cannot fail with a clock that every Linux has.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    std::time::Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// The operating system's id of the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: takes nothing, touches nothing, always succeeds.
    unsafe { libc::gettid() }.cast_unsigned()
}

/// The core that this thread runs on right now; 0 where the system does not tell.
pub(super) fn core() -> u32 {
    #[cfg(target_os = "linux")]
    // SAFETY: it takes no pointers. Where it fails it gives -1, which is then everybody's core.
    return unsafe { libc::sched_getcpu() } as u32;
    #[cfg(not(target_os = "linux"))]
    return 0;
}

/// How many datagrams a UDP socket has lost because its receive buffer was full; 0 where the system
/// does not tell (Linux before 4.12).
pub(super) fn drops(socket: BorrowedFd<'_>) -> u64 {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;

        /// As in `linux/sock_diag.h`: which of the values it is, and how many there are.
        const SK_MEMINFO_DROPS: usize = 8;
        const SK_MEMINFO_VARS: usize = 9;

        let mut values = [0u32; SK_MEMINFO_VARS];
        let mut len = size_of_val(&values) as libc::socklen_t;
        // SAFETY: the descriptor is open for as long as it is borrowed, and at most `len` bytes are
        // written to `values`. Where it fails, zeros remain.
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
