//! How much memory a peer can make an association hold, and for how long.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/heap.rs"]
mod heap;
use common::{peers, puppet};

mod burst;
mod sctp;
