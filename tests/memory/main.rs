//! How much memory a peer can make an association hold, and for how long; and what queues hold against what they
//! charge.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/heap.rs"]
mod heap;
use common::{peers, puppet};

mod burst;
mod charges;
mod pipes;
mod sctp;
