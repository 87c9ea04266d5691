//! What the guard, the handshake and the engine share about inbound packets.

/// Which side sent the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// We did.
    Initiator,
    /// The peer did, with this Initiate Tag.
    Responder { peer_tag: u32 },
}

/// Why an inbound packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketDrop {
    /// A length is wrong, or a field has a value that the RFC forbids.
    Malformed,
    /// The checksum, the verification tag or the ports do not belong to the association.
    Foreign,
    /// The packet does not fit the state of the association.
    Unexpected,
    /// The peer has used up its share of CPU time.
    Overload,
}
