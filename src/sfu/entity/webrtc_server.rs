//! A WebRtcServer: one port for many WebRTC transports.

use uuid::Uuid;

use crate::sfu::address::Listen;
use crate::sfu::id::TransportKey;
use crate::sfu::roster::Roster;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::sfu) struct WebRtcServer {
    pub(in crate::sfu) id: Uuid,
    pub(in crate::sfu) listens: Vec<Listen>,
    pub(in crate::sfu) transports: Roster<TransportKey>,
    /// Datagrams for none of its transports.
    pub(in crate::sfu) datagrams_dropped: u64,
}
