//! The transmission control of SCTP. It is private, so the target is in `src/proto/sctp/control/fuzz.rs`, where a unit
//! test replays the seeds.

use crate::sim::start;

/// See `run` there.
pub fn run(data: &[u8]) {
    datasoup::proto::sctp::fuzz_control(start(), data);
}
