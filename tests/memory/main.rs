//! How much memory one peer can make us hold, and for how long.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/counting.rs"]
#[allow(dead_code, reason = "used in parts")]
mod counting;
use common::{peers, puppet};

mod burst;
mod sctp;
