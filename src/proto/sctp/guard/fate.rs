//! What the guard decides about one chunk.

/// What happens to an inbound chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It passes as it is.
    Keep,
    /// It passes with this much of its value.
    Trim(usize),
    /// DATA: it passes with its PPID in front of the payload; see `ppid`.
    PrefixPpid,
    /// DATA: a placeholder with its TSN passes, so that it is acknowledged and not kept.
    Placeholder,
    /// It is removed and counted.
    Strip,
    /// It and all chunks after it are removed; it alone is counted.
    StripRest,
    /// It is removed and not counted: it was for us, not for sctp-proto.
    Consume,
}
