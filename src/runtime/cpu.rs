//! The core that a thread runs on.
#![allow(unsafe_code)]

/// The core that the calling thread runs on right now; 0 where the system does not report it, as if all threads
/// shared one core.
pub(super) fn current() -> u32 {
    #[cfg(target_os = "linux")]
    // SAFETY: sched_getcpu takes no pointers. If it fails, every thread gets the same -1.
    return unsafe { libc::sched_getcpu() } as u32;
    #[cfg(windows)]
    // SAFETY: GetCurrentProcessorNumber takes no arguments and always succeeds.
    return unsafe { windows_sys::Win32::System::Threading::GetCurrentProcessorNumber() };
    #[cfg(not(any(target_os = "linux", windows)))]
    return 0;
}
