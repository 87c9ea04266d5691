//! What the worker allocates per message, and for an idle transport.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/counting.rs"]
#[allow(dead_code, reason = "used in parts")]
mod counting;
#[path = "../common/rig.rs"]
#[allow(dead_code, reason = "used in parts")]
mod rig;
use common::host;

mod idle;
mod messages;

use counting::ours;
