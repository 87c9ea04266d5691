//! Associations in memory and in virtual time: two of ours, one of ours with dcsctp, and one of
//! ours with a puppet that says what it is told.

#[path = "../common/link.rs"]
mod link;
#[path = "../common/packet.rs"]
mod packet;
mod peers;
mod puppet;

mod channels;
mod dcsctp_peer;
mod delivery;
mod floods;
mod guard;
mod handshake;
mod hostile;
mod lifetimes;
mod measure;
mod packets;
mod queues;
mod reliability;
mod resets;
mod sharing;
mod silence;
