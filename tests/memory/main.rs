//! How much memory one peer can make us hold, and for how long.

#[path = "../common/counting.rs"]
#[allow(dead_code, reason = "shared with the tests of what is allocated")]
mod counting;
#[path = "../common/link.rs"]
#[allow(dead_code, reason = "shared with the tests of the associations")]
mod link;
#[path = "../common/packet.rs"]
#[allow(dead_code, reason = "shared with the tests of the associations")]
mod packet;
#[path = "../sctp/peers.rs"]
#[allow(dead_code, reason = "shared with the tests of the associations")]
mod peers;
#[path = "../sctp/puppet.rs"]
#[allow(dead_code, reason = "shared with the tests of the associations")]
mod puppet;

mod burst;
mod sctp;
