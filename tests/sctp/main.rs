//! Associations in memory and in virtual time: two of ours, and one of ours with dcsctp.

#[path = "../common/link.rs"]
mod link;

mod delivery;
mod peers;
