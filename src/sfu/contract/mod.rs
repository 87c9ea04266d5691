//! Everything that crosses between `lib/` and Rust as JSON, and nothing else.
//!
//! Options come down, answers, dumps, statistics and the arguments of events go up. `lib/` owns every
//! default, clamp, range and alias; Rust takes final values. So options refuse members that they do not
//! know, and what is not an `Option` is required. `tests/contract/` holds both sides to these types.

pub mod answers;
pub mod diagnosis;
pub mod dump;
pub mod metrics;
pub mod options;
pub mod parameters;
pub mod stats;
