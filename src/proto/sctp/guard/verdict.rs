//! What the guard decides about one chunk.

/// What happens to an inbound chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkVerdict {
    /// The chunk passes as it is.
    Keep,
    /// The chunk passes with this many bytes of its value.
    Trim(usize),
    /// DATA: the chunk passes with its PPID in front of the payload; see `ppid`.
    PrefixPpid,
    /// DATA: a placeholder with the TSN passes, so that the TSN is acknowledged and the data is not kept.
    Placeholder,
    /// RE-CONFIG: a request to reset streams passes with this many bytes of the chunk's value, and with a TSN that
    /// sctp-proto certainly has.
    Reset(usize),
    /// RE-CONFIG: the request for more streams passes as one that resets a stream which does not exist.
    AddStreams,
    /// The chunk is removed and counted.
    Strip,
    /// The chunk and all chunks after it are removed; only the first is counted.
    StripRest,
    /// The chunk is removed and not counted: it was for us, not for sctp-proto.
    Consume,
}
