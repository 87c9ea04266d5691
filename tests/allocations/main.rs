//! What the worker allocates: nothing of its own per message, and how much for an idle transport.

#[path = "../sfu/association.rs"]
#[allow(dead_code, reason = "used in parts")]
mod association;
#[path = "../common/checks.rs"]
#[allow(dead_code, reason = "used in parts")]
mod checks;
#[path = "../sfu/client.rs"]
#[allow(dead_code, reason = "used in parts")]
mod client;
#[path = "../common/conditions.rs"]
#[allow(dead_code, reason = "used in parts")]
mod conditions;
#[path = "../common/counting.rs"]
#[allow(dead_code, reason = "used in parts")]
mod counting;
#[path = "../sfu/host.rs"]
#[allow(dead_code, reason = "used in parts")]
mod host;
#[path = "../sfu/lab.rs"]
#[allow(dead_code, unused_imports, reason = "used in parts")]
mod lab;
#[path = "../sfu/plain_peer.rs"]
#[allow(dead_code, reason = "used in parts")]
mod plain_peer;
#[path = "../common/rig.rs"]
#[allow(dead_code, reason = "used in parts")]
mod rig;

mod idle;
mod messages;

use counting::ours;
