//! The only file that reads the clock. `proto` and `sfu` get the time as an argument.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

/// The time.
#[allow(clippy::disallowed_methods, reason = "the one place where time comes from")]
pub fn now() -> Instant {
    Instant::now()
}

/// The system's monotonic clock as a number, which [`Instant`] hides. Timestamps in statistics count from the
/// origin of this clock.
pub fn monotonic() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime only writes to `time`. It cannot fail for a clock that every Linux has.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}
