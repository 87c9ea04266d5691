//! What the unit tests of `sctp` share.

use std::time::Instant;

/// A point in time to start from.
#[allow(clippy::disallowed_methods, reason = "tests need some instant to start from")]
pub(super) fn start() -> Instant {
    Instant::now()
}
