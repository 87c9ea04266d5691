//! The calling thread's id and resource usage.
#![allow(unsafe_code)]

use crate::sfu::contract::metrics::CpuTime;
use crate::sfu::contract::stats::ResourceUsage;

fn rusage() -> libc::rusage {
    // SAFETY: all-zero is a valid value of this struct of integers, and getrusage only writes to
    // it. If it failed, which it cannot with these arguments, zeros would remain.
    unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage
    }
}

/// The CPU time of the calling thread.
pub fn cpu_time() -> CpuTime {
    let usage = rusage();
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    CpuTime { user: seconds(usage.ru_utime), system: seconds(usage.ru_stime) }
}

/// The usage of the calling thread.
pub fn of_this_thread() -> ResourceUsage {
    let usage = rusage();
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

/// The operating system's id of the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: gettid takes no arguments, touches no memory and always succeeds.
    unsafe { libc::gettid() }.cast_unsigned()
}
