//! Associations in memory and in virtual time: two of ours with each other, one with dcsctp, and one
//! with a scripted peer.

#[path = "../common/mod.rs"]
mod common;
use common::{dcsctp, peers, puppet, rows, sim};

mod acknowledging;
mod channels;
mod dcsctp_peer;
mod delivery;
mod false_sacks;
mod first_bytes;
mod floods;
mod guard;
mod handshake;
mod hostile;
mod lifetimes;
mod packets;
mod paths;
mod queues;
mod reliability;
mod replays;
mod resets;
mod sharing;
mod silence;
mod stopped;
mod transmission;
