//! What the packets of both directions have told about the association. sctp-proto keeps all of it
//! to itself, and the guard needs it.

use std::time::Instant;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use super::flight::UnsentBytes;
use super::pr_sctp::{PrSctp, UnsentMessage};
use super::received::{HeldChunks, ReceivedTsns};
use super::wire::{Data, Header, Init, before};
use crate::proto::message::StreamId;

/// What one side has said in its INIT or INIT ACK.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    /// The tag that packets to this side carry.
    pub(super) tag: u32,
    pub(super) outbound: u16,
    pub(super) inbound: u16,
}

impl From<Init> for Announced {
    fn from(init: Init) -> Self {
        Self { tag: init.tag, outbound: init.outbound, inbound: init.inbound }
    }
}

/// The peer, once its INIT or INIT ACK has come.
#[derive(Debug)]
pub(super) struct PeerSide {
    pub(super) announced: Announced,
    /// It understands FORWARD TSN (RFC 3758 §3.1).
    pub(super) forward_tsn: bool,
    pub(super) received: ReceivedTsns,
    /// The sequence number of its next RE-CONFIG request (RFC 6525 §4).
    pub(super) next_reset: u32,
}

/// Ourselves, once our INIT or INIT ACK has gone.
#[derive(Debug)]
pub(super) struct LocalSide {
    pub(super) announced: Announced,
    /// The state cookie that our INIT ACK carried.
    pub(super) cookie: Option<Bytes>,
    /// The ports and the tag of the packets that go to the peer; the tag is 0 before its INIT.
    pub(super) header: Header,
    /// The highest TSN that the peer has been told of; before the first, the one before it.
    pub(super) highest_tsn: u32,
    /// The cumulative TSN that the peer has acknowledged.
    pub(super) acknowledged_tsn: u32,
    pub(super) pr_sctp: PrSctp,
    pub(super) unsent: UnsentBytes,
}

impl LocalSide {
    /// How many TSNs the peer has not acknowledged.
    pub(super) fn in_flight(&self) -> u32 {
        self.highest_tsn.wrapping_sub(self.acknowledged_tsn)
    }

    /// The peer acknowledges all up to `tsn`.
    pub(super) fn acknowledged(&mut self, tsn: u32) {
        if before(self.acknowledged_tsn, tsn) {
            self.acknowledged_tsn = tsn;
            self.pr_sctp.acknowledged(tsn);
        }
    }

    /// Counts a DATA chunk that goes out.
    pub(super) fn sent(&mut self, data: &Data<'_>) {
        if before(self.highest_tsn, data.tsn) {
            self.highest_tsn = data.tsn;
            self.unsent.remove(!data.unordered, data.payload.len());
            self.pr_sctp.chunk_sent(data, &mut self.unsent);
        }
    }

    /// Counts a FORWARD TSN that goes out.
    pub(super) fn forwarded(&mut self, tsn: u32) {
        if before(self.highest_tsn, tsn) {
            self.highest_tsn = tsn;
        }
        self.pr_sctp.forwarded(tsn, &mut self.unsent);
    }
}

/// Both sides.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) local: Option<LocalSide>,
    pub(super) peer: Option<PeerSide>,
    pub(super) established: bool,
    pub(super) held: HeldChunks,
    /// Streams that the peer has reset and whose reset by us it has yet to answer.
    pub(super) unfinished_resets: usize,
    /// Streams whose reset sctp-proto has yet to ask for.
    pub(super) waiting_resets: FxHashSet<StreamId>,
    /// Streams that we have reset and the peer has not: it may be about to, or have denied ours and
    /// never do (RFC 6525 §5.2.7). Nobody reads them.
    pub(super) unread: FxHashSet<StreamId>,
}

impl Ledger {
    /// A message has gone into sctp-proto. Limits are heeded if the peer understands FORWARD TSN.
    pub(super) fn written(&mut self, message: UnsentMessage) {
        let Some(local) = &mut self.local else { return };
        local.unsent.add(message.ordered, message.len);
        if self.peer.as_ref().is_some_and(|peer| peer.forward_tsn) {
            local.pr_sctp.written(message);
        }
    }

    /// Time has passed; see [`PrSctp::expire`].
    pub(super) fn expire(&mut self, now: Instant) {
        if let Some(local) = &mut self.local {
            local.pr_sctp.expire(now, &mut local.unsent);
        }
    }

    /// A reset of ours that the peer's called for is complete, or has failed.
    pub(super) fn finish_reset(&mut self) {
        self.unfinished_resets = self.unfinished_resets.saturating_sub(1);
    }

    /// Gives back what nothing needs at the moment.
    pub(super) fn trim(&mut self) {
        if let Some(local) = &mut self.local {
            local.pr_sctp.trim();
        }
    }

    /// How many outgoing and incoming streams there are (RFC 9260 §5.1.1).
    pub(super) fn streams(&self) -> Option<(u16, u16)> {
        let local = self.local.as_ref()?.announced;
        let peer = self.peer.as_ref()?.announced;
        Some((local.outbound.min(peer.inbound), local.inbound.min(peer.outbound)))
    }
}
