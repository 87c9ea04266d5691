//! What an inbound packet will change once it is verified.

use super::super::budget::PacketLoad;
use crate::proto::message::StreamId;

/// The effects of the packet under inspection, which `admit` applies.
#[derive(Debug, Default)]
pub(super) struct PendingEffects {
    /// In the order of the chunks.
    pub(super) chunks: Vec<ChunkEffect>,
    /// How many of `chunks` were ahead of the packet's request to reset streams or to add some.
    pub(super) ahead_of_request: Option<usize>,
    /// How many reset requests of the packet have the sequence numbers that the peer uses next, so that they are new
    /// (RFC 6525 §4.1).
    pub(super) reset_requests: u32,
    /// How many outgoing streams the peer adds.
    pub(super) added_streams: u16,
    pub(super) streams: StreamEffects,
    /// The value of the packet's SACK.
    pub(super) sack: Vec<u8>,
    pub(super) load: PacketLoad,
    /// What makes the packet one of no correct peer.
    pub(super) violation: Option<&'static str>,
}

impl PendingEffects {
    /// Memory for this many chunks is kept; a full packet rarely has more.
    const KEPT: usize = 64;

    pub(super) fn clear(&mut self) {
        self.retain_sack();
        self.sack.clear();
        self.load = PacketLoad::default();
        self.violation = None;
    }

    /// Leaves only what the SACK changes.
    pub(super) fn retain_sack(&mut self) {
        self.chunks.clear();
        self.chunks.shrink_to(Self::KEPT);
        self.ahead_of_request = None;
        self.reset_requests = 0;
        self.added_streams = 0;
        self.streams.clear();
    }
}

/// What one chunk changes in the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChunkEffect {
    Data(InboundData),
    /// The peer has given up what is missing up to this TSN.
    Forwarded(u32),
}

/// A DATA chunk as sctp-proto will see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct InboundData {
    pub(super) tsn: u32,
    pub(super) stream: StreamId,
    /// Payload bytes.
    pub(super) len: u32,
}

/// The effects of a packet on streams. sctp-proto ignores them for streams that it does not know, so
/// the streams have to be registered first.
#[derive(Debug, Default)]
pub(in super::super) struct StreamEffects {
    /// Streams in which the packet skips messages.
    pub(in super::super) skipped: Vec<StreamId>,
    /// Streams that the packet resets.
    pub(in super::super) reset: Vec<StreamId>,
    /// The packet resets all streams.
    pub(in super::super) resets_all: bool,
}

impl StreamEffects {
    pub(super) fn is_empty(&self) -> bool {
        self.skipped.is_empty() && self.reset.is_empty() && !self.resets_all
    }

    fn clear(&mut self) {
        self.skipped.clear();
        self.reset.clear();
        self.resets_all = false;
    }
}
