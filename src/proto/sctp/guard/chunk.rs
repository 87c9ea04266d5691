//! What the guard decides about a chunk.

use crate::proto::message::StreamId;

/// What becomes of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    Strip,
    /// It is for us and not for sctp-proto.
    Take,
    /// Strip it and all that follow.
    Stop,
    /// Keep only this much of its value.
    Trim(usize),
    /// Put the PPID in front of the payload; see `ppid`.
    Carry,
    /// Keep no more of it than an acknowledgement needs.
    Hollow,
}

/// What a packet says about streams. sctp-proto forgets it if it does not know the stream, as long
/// as nothing has come on it.
#[derive(Debug, Default)]
pub(in super::super) struct StreamEffects {
    /// It skips messages in these.
    pub(in super::super) skipped: Vec<StreamId>,
    /// It resets these.
    pub(in super::super) reset: Vec<StreamId>,
    /// It resets all there are.
    pub(in super::super) resets_all: bool,
}
