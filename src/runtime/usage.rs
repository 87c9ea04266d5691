//! The calling thread's id and resource usage.
#![allow(unsafe_code)]

use std::time::Duration;

use crate::sfu::contract::metrics::CpuTime;
use crate::sfu::contract::stats::ResourceUsage;

pub use system::thread_id;

/// The CPU time of the calling thread.
pub fn cpu_time() -> CpuTime {
    let Times { user, system } = system::times();
    CpuTime { user: user.as_secs_f64(), system: system.as_secs_f64() }
}

/// The usage of the calling thread.
pub fn of_this_thread() -> ResourceUsage {
    let (Times { user, system }, others) = system::usage();
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    ResourceUsage { ru_utime: ms(user), ru_stime: ms(system), ..others }
}

/// The CPU time of a thread.
struct Times {
    user: Duration,
    system: Duration,
}

#[cfg(target_os = "linux")]
mod system {
    use super::{Duration, ResourceUsage, Times};

    fn rusage() -> libc::rusage {
        // SAFETY: all-zero is a valid value of this struct of integers, and getrusage only writes to
        // it. If it failed, which it cannot with these arguments, zeros would remain.
        unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
            usage
        }
    }

    fn times_of(usage: &libc::rusage) -> Times {
        let duration = |time: libc::timeval| {
            Duration::new(time.tv_sec.cast_unsigned(), time.tv_usec as u32 * 1000)
        };
        Times { user: duration(usage.ru_utime), system: duration(usage.ru_stime) }
    }

    pub(super) fn times() -> Times {
        times_of(&rusage())
    }

    /// The CPU times, and everything else; the times in [`ResourceUsage`] are left 0.
    pub(super) fn usage() -> (Times, ResourceUsage) {
        let usage = rusage();
        let others = ResourceUsage {
            ru_utime: 0,
            ru_stime: 0,
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
        };
        (times_of(&usage), others)
    }

    /// The operating system's id of the calling thread.
    pub fn thread_id() -> u32 {
        // SAFETY: gettid takes no arguments, touches no memory and always succeeds.
        unsafe { libc::gettid() }.cast_unsigned()
    }
}

#[cfg(target_os = "macos")]
mod system {
    use super::{Duration, ResourceUsage, Times};

    pub(super) fn times() -> Times {
        // SAFETY: all-zero is a valid value of this struct of integers, and thread_info writes at most `count` integers
        // to it. The port belongs to the thread, and is not ours to release. If the call failed, zeros would remain.
        let info = unsafe {
            let mut info = std::mem::zeroed::<libc::thread_basic_info>();
            let mut count = libc::THREAD_BASIC_INFO_COUNT;
            let thread = libc::pthread_mach_thread_np(libc::pthread_self());
            let flavor = libc::THREAD_BASIC_INFO as libc::thread_flavor_t;
            libc::thread_info(thread, flavor, (&raw mut info).cast(), &mut count);
            info
        };
        let duration = |time: libc::time_value_t| {
            Duration::new(u64::from(time.seconds.cast_unsigned()), time.microseconds as u32 * 1000)
        };
        Times { user: duration(info.user_time), system: duration(info.system_time) }
    }

    /// macOS counts only CPU time by thread.
    pub(super) fn usage() -> (Times, ResourceUsage) {
        // SAFETY: as above, of getrusage.
        let usage = unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            usage
        };
        // `ru_maxrss` is the peak of the whole process, as on Linux, but macOS reports bytes instead of KiB.
        (times(), ResourceUsage { ru_maxrss: usage.ru_maxrss / 1024, ..ResourceUsage::default() })
    }

    /// The lower half of the operating system's id of the calling thread, which two threads hardly ever share.
    pub fn thread_id() -> u32 {
        let mut id = 0;
        // SAFETY: 0 is the calling thread, and the call only writes to `id`.
        unsafe { libc::pthread_threadid_np(0, &mut id) };
        id as u32
    }
}

#[cfg(windows)]
mod system {
    use windows_sys::Win32::Foundation::FILETIME;
    use windows_sys::Win32::System::ProcessStatus::{
        K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS,
    };
    use windows_sys::Win32::System::Threading::{
        GetCurrentProcess, GetCurrentThread, GetCurrentThreadId, GetThreadTimes,
    };

    use super::{Duration, ResourceUsage, Times};

    pub(super) fn times() -> Times {
        let [mut created, mut ended, mut system, mut user] = [FILETIME::default(); 4];
        // SAFETY: the handle always means the calling thread, and the call only writes to the four. If it failed,
        // which it cannot with these arguments, zeros would remain.
        unsafe {
            GetThreadTimes(GetCurrentThread(), &mut created, &mut ended, &mut system, &mut user);
        }
        let duration = |FILETIME { dwHighDateTime, dwLowDateTime }| {
            let ticks = u64::from(dwHighDateTime) << 32 | u64::from(dwLowDateTime);
            Duration::from_nanos(ticks.saturating_mul(100))
        };
        Times { user: duration(user), system: duration(system) }
    }

    /// Windows counts only CPU time by thread.
    pub(super) fn usage() -> (Times, ResourceUsage) {
        let mut memory = PROCESS_MEMORY_COUNTERS::default();
        // SAFETY: the handle always means this process, and the call writes at most the size to `memory`. If it
        // failed, zeros would remain.
        unsafe {
            let size = size_of_val(&memory) as u32;
            K32GetProcessMemoryInfo(GetCurrentProcess(), &mut memory, size);
        }
        // The peak of the whole process, as on Linux, but Windows reports bytes instead of KiB.
        let ru_maxrss = i64::try_from(memory.PeakWorkingSetSize / 1024).unwrap_or(i64::MAX);
        (times(), ResourceUsage { ru_maxrss, ..ResourceUsage::default() })
    }

    /// The operating system's id of the calling thread.
    pub fn thread_id() -> u32 {
        // SAFETY: GetCurrentThreadId takes no arguments and always succeeds.
        unsafe { GetCurrentThreadId() }
    }
}
