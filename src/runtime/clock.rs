//! The only file of `src/` that reads the clock, tests aside. `proto` and `sfu` get the time as an argument.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

/// The time.
#[allow(clippy::disallowed_methods, reason = "the one place where time comes from")]
pub fn now() -> Instant {
    Instant::now()
}

/// The system's monotonic clock as a number, which [`Instant`] hides. Timestamps in statistics count from the
/// origin of this clock.
#[cfg(unix)]
pub fn monotonic() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime only writes to `time`. It cannot fail for a clock that every Unix has.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// As on Unix: the clock behind [`Instant`] and `process.hrtime()`.
#[cfg(windows)]
pub fn monotonic() -> Duration {
    use windows_sys::Win32::System::Performance::{
        QueryPerformanceCounter, QueryPerformanceFrequency,
    };

    const NANOS: i128 = 1_000_000_000;
    let (mut ticks, mut per_second) = (0, 1);
    // SAFETY: both only write to a local, and cannot fail since Windows XP.
    unsafe {
        QueryPerformanceCounter(&mut ticks);
        QueryPerformanceFrequency(&mut per_second);
    }
    let nanos = i128::from(ticks) * NANOS / i128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}
