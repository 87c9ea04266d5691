//! What the packets of both directions say about the association, and what went into sctp-proto.
//! sctp-proto exposes neither; the guard and the budget need both.
//!
//! The reset of a stream, our side above, the peer's below (RFC 6525):
//!
//! ```text
//! reset ─► waiting_resets ─ RE-CONFIG sent ─► in sctp-proto
//!   └────► unread ─ the peer resets its side ─► read again
//!
//! the peer resets its side ─► unfinished_resets ─ our answering reset completes or fails ─► done
//! ```

use bytes::Bytes;
use rustc_hash::FxHashSet;

use super::held::HeldChunks;
use super::init::Greeting;
use super::received::ReceivedTsns;
use super::wire::{Header, Init};
use crate::proto::message::StreamId;

/// What one side announced in its INIT or INIT ACK.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    /// The verification tag of packets to this side.
    pub(super) tag: u32,
    pub(super) outbound: u16,
    pub(super) inbound: u16,
    /// The receive window in bytes.
    pub(super) window: u32,
}

impl From<Init> for Announced {
    fn from(init: Init) -> Self {
        let Init { tag, window, outbound, inbound, .. } = init;
        Self { tag, outbound, inbound, window }
    }
}

/// The peer.
#[derive(Debug)]
pub(super) struct PeerSide {
    pub(super) announced: Announced,
    /// Whether the peer supports FORWARD TSN (RFC 3758 §3.1).
    pub(super) forward_tsn: bool,
    pub(super) received: ReceivedTsns,
    /// The cumulative TSN of our last SACK.
    pub(super) acknowledged: Option<u32>,
    /// The TSN up to which it has asked us to skip missing chunks since our last SACK.
    pub(super) skipped: Option<u32>,
    /// The sequence number of its next RE-CONFIG request (RFC 6525 §4.1).
    pub(super) next_reset: u32,
}

/// Our side.
#[derive(Debug)]
pub(super) struct LocalSide {
    pub(super) announced: Announced,
    /// The state cookie that the peer may echo again.
    pub(super) cookie: Option<Bytes>,
    /// The header of packets to the peer.
    pub(super) header: Header,
    /// The highest TSN that was sent or forwarded; before the first, the one before it.
    pub(super) highest_tsn: u32,
    /// The cumulative TSN that the peer has acknowledged.
    pub(super) acknowledged_tsn: u32,
}

impl LocalSide {
    pub(super) fn new(init: Init, cookie: Option<Bytes>, header: Header) -> Self {
        let before_first = init.tsn.wrapping_sub(1);
        Self {
            announced: init.into(),
            cookie,
            header,
            highest_tsn: before_first,
            acknowledged_tsn: before_first,
        }
    }

    /// How many TSNs the peer has not acknowledged.
    pub(super) fn in_flight(&self) -> u32 {
        self.highest_tsn.wrapping_sub(self.acknowledged_tsn)
    }
}

/// What is known about an association.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) local: Option<LocalSide>,
    pub(super) peer: Option<PeerSide>,
    pub(super) held: HeldChunks,
    /// Streams that the peer has reset while it has yet to answer our reset of the same stream.
    pub(super) unfinished_resets: usize,
    /// Streams that sctp-proto was asked to reset, and for which it has sent no request.
    pub(super) waiting_resets: FxHashSet<StreamId>,
    /// Streams that we have reset and the peer has not. It may be about to, or have denied our
    /// request and never do (RFC 6525 §5.2.7). What it sends on them is not delivered.
    pub(super) unread: FxHashSet<StreamId>,
    /// The peer's TSNs that have arrived again since our last SACK, to report in the next one. sctp-proto reports none,
    /// but they show the sender which retransmissions were needless.
    pub(super) duplicates: Vec<u32>,
    /// Whether sctp-proto knows the stream of placeholders.
    pub(super) discards: bool,
    /// The sequence number of our last request to reset streams, and the TSN that it names (RFC 6525 §4.1).
    pub(super) last_reset: Option<(u32, u32)>,
    /// A request to reset streams of which the peer has not acknowledged everything.
    pub(super) early_reset: Option<Bytes>,
    /// Our last SACK as sctp-proto wrote it, if it has gap blocks. Those that were withheld are to follow.
    pub(super) gap_sack: Option<Bytes>,
}

impl Ledger {
    /// The state when the handshake is complete.
    pub(super) fn new(local: Init, cookie: Option<Bytes>, peer: &Greeting) -> Self {
        Self {
            local: Some(LocalSide::new(local, cookie, peer.header)),
            peer: Some(PeerSide {
                announced: peer.init.into(),
                forward_tsn: peer.forward_tsn,
                received: ReceivedTsns::new(peer.init.tsn),
                acknowledged: None,
                skipped: None,
                next_reset: peer.init.tsn,
            }),
            ..Self::default()
        }
    }

    /// Notes that our reset in answer to one of the peer is complete, or has failed.
    pub(super) fn finish_reset(&mut self) {
        self.unfinished_resets = self.unfinished_resets.saturating_sub(1);
    }

    /// The tag of packets to us.
    pub(super) fn own_tag(&self) -> Option<u32> {
        self.local.as_ref().map(|local| local.announced.tag)
    }

    /// The tag of packets to the peer.
    pub(super) fn peer_tag(&self) -> Option<u32> {
        self.peer.as_ref().map(|peer| peer.announced.tag)
    }

    /// Whether an inbound packet may have `tag`: ours or, for some ABORTs, the peer's.
    pub(super) fn knows_tag(&self, tag: u32) -> bool {
        [self.own_tag(), self.peer_tag()].contains(&Some(tag))
    }

    /// How many outgoing and incoming streams there are (RFC 9260 §5.1.1).
    pub(super) fn streams(&self) -> Option<(u16, u16)> {
        let local = self.local.as_ref()?.announced;
        let peer = self.peer.as_ref()?.announced;
        Some((local.outbound.min(peer.inbound), local.inbound.min(peer.outbound)))
    }
}
