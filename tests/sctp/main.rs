//! Associations in memory and in virtual time: two of ours with each other, one with dcsctp, and one
//! with a scripted peer.

#[path = "../common/mod.rs"]
mod common;
use common::{dcsctp, peers, puppet, sim};

mod channels;
mod dcsctp_peer;
mod delivery;
mod first_bytes;
mod floods;
mod guard;
mod handshake;
mod hostile;
mod lifetimes;
mod packets;
mod queues;
mod reliability;
mod resets;
mod sharing;
mod silence;
