//! Stands between the network and sctp-proto, which is a good association for a good peer: some
//! legal packets end it, and some illegal ones cost it seconds.
//!
//! ```text
//! packet ─► screen ─► checksum and tag (sctp-proto's endpoint) ─► admit ─► association
//!             │ notes what the packet changes                       │ applies it
//!             └► dropped, or rewritten without what must not pass   └► dropped, or the end
//! ```
//!
//! [`Guard::screen`] parses the chunks once and notes their effects. [`Guard::admit`] applies them
//! when the packet is verified, so that a forged packet never counts against the peer. Almost all
//! packets pass as they came; one that is rewritten has its tag and checksum verified first.

mod data;
mod effects;
mod reconfig;
mod rewriter;
mod sack;
mod verdict;

use std::iter::Enumerate;
use std::time::Instant;

use bytes::Bytes;

use super::budget::{CpuBudget, PACKET_COST};
use super::counters::PacketDrop;
use super::event::EndReason;
use super::ledger::Ledger;
use super::received::{GapLimit, MAX_FORWARD};
use super::wire::{
    COMMON_HEADER, Chunk, Chunks, Data, Header, Sack, checksum_matches, kind, parameter, u16_at,
    u32_at,
};
use effects::{ChunkEffect, PendingEffects};
use rewriter::Rewriter;
use verdict::ChunkVerdict;

pub(super) use data::DISCARD_STREAM;
pub(super) use effects::StreamEffects;
pub(super) use reconfig::requests_reset;

/// DATA chunks that sctp-proto may hold for a client, whatever their size: 4,096 of one byte take
/// 0.7 MB, 7 MB if each pins a packet of 1,500 bytes, and each further one costs up to 100 us. A
/// window of 1 MiB holds 900 full chunks. Beyond a gap only half as many are allowed, so that a good
/// peer whose packet was lost is delayed by that limit and does not reach this bound.
const MAX_CLIENT_HELD: usize = 4096;

/// The bound of chunks for another router, which sends the messages of many clients.
const MAX_ROUTER_HELD: usize = 16_384;

/// A larger window raises the bound to as many chunks as it holds of this average size.
const MEAN_HELD: usize = 512;

/// Streams on which a client may have sent: 6 MB of state. Browsers open at most 1,024 channels.
const MAX_CLIENT_STREAMS: usize = 8192;

/// What [`Guard::screen`] makes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Screening {
    /// The packet may go to sctp-proto as it is, if checksum and tag are right.
    Pass,
    /// This packet may go to sctp-proto in its place. Checksum and tag were right.
    Rewritten(Bytes),
    /// The peer aborts the association, with this error cause. Verified.
    Abort(Option<u16>),
    /// The peer answers our HEARTBEAT, and the packet holds nothing else. Verified.
    HeartbeatAcked,
    /// The packet is a SACK, and is not for sctp-proto. Verified. [`Guard::has_sack`]: whether it makes sense.
    Sack,
    /// The packet is dropped.
    Drop(PacketDrop),
}

/// What [`Guard::admit`] makes of a verified packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The packet goes to sctp-proto.
    Granted,
    /// The packet is dropped.
    Refused(PacketDrop),
    /// The association ends: the peer broke a rule that no correct peer breaks.
    Violation(EndReason),
}

/// An ABORT chunk (RFC 9260 §3.3.7).
struct Abort {
    /// The T bit: the tag is the one that we sent.
    reflected: bool,
    /// The first error cause.
    cause: Option<u16>,
}

/// The facts about the chunks of a packet, except for their effects.
struct Inspection<'a> {
    rewriter: Rewriter<'a>,
    stripped: u64,
    abort: Option<Abort>,
    heartbeat_acked: bool,
    /// How many HEARTBEATs and RE-CONFIGs came so far. sctp-proto answers each with a packet, so few pass.
    heartbeats: u8,
    reconfigs: u8,
}

/// The guard of one association.
#[derive(Debug)]
pub(super) struct Guard {
    max_packet: usize,
    max_held: usize,
    /// While the window is shut, sctp-proto still takes what is missing below a TSN that has arrived. A correct peer
    /// has sent that within an earlier window.
    max_held_bytes: usize,
    gap_limit: GapLimit,
    max_streams: usize,
    budget: CpuBudget,
    /// What each packet to the peer takes of the budget: nothing if the peer is a router, which consumes for many.
    packet_cost: u64,
    pending: PendingEffects,
    /// HEARTBEATs of ours without an answer.
    pub(super) unanswered_heartbeats: u8,
    /// Chunks that were stripped from packets.
    pub(super) stripped: u64,
}

impl Guard {
    /// `window`: the receive window in bytes. `client`: the peer is not a router, so the bounds are
    /// what a client needs.
    pub(super) fn new(max_packet: usize, window: usize, client: bool) -> Self {
        let held = if client { MAX_CLIENT_HELD } else { MAX_ROUTER_HELD };
        let max_held = held.max(window / MEAN_HELD);
        Self {
            max_packet,
            max_held,
            max_held_bytes: 2 * window,
            gap_limit: GapLimit { chunks: max_held / 2, bytes: window },
            max_streams: if client { MAX_CLIENT_STREAMS } else { usize::MAX },
            budget: CpuBudget::default(),
            packet_cost: if client { PACKET_COST } else { 0 },
            pending: PendingEffects::default(),
            unanswered_heartbeats: 0,
            stripped: 0,
        }
    }

    /// How many DATA chunks sctp-proto may hold.
    pub(super) fn max_held(&self) -> usize {
        self.max_held
    }

    /// Inspects a packet. Call [`Self::admit`] once it is verified.
    pub(super) fn screen(&mut self, ledger: &Ledger, packet: &[u8]) -> Screening {
        let Some((header, chunks)) = Header::parse(packet) else {
            return Screening::Drop(PacketDrop::Malformed);
        };
        if let Some(local) = &ledger.local
            && (header.source_port, header.destination_port)
                != (local.header.destination_port, local.header.source_port)
        {
            return Screening::Drop(PacketDrop::Foreign);
        }
        let mut inspection = Inspection {
            rewriter: Rewriter::new(packet, ledger),
            stripped: 0,
            abort: None,
            heartbeat_acked: false,
            heartbeats: 0,
            reconfigs: 0,
        };
        if let Err(reason) = self.inspect(ledger, &mut inspection, chunks) {
            return Screening::Drop(reason);
        }
        if !inspection.rewriter.differs() {
            if !inspection.rewriter.is_empty() {
                return Screening::Pass;
            }
            if ledger.own_tag() != Some(header.tag) || !checksum_matches(packet) {
                return Screening::Drop(PacketDrop::Foreign);
            }
        }
        // An ABORT of a peer that knows no association has the tag that we sent it, and the T bit
        // (RFC 9260 §8.5.1 B).
        let reflected = inspection.abort.as_ref().is_some_and(|abort| abort.reflected);
        let tag = if reflected { ledger.peer_tag() } else { ledger.own_tag() };
        if tag != Some(header.tag) {
            return Screening::Drop(PacketDrop::Foreign);
        }
        if let Some(Abort { cause, .. }) = inspection.abort {
            return Screening::Abort(cause);
        }
        self.unanswered_heartbeats -= u8::from(inspection.heartbeat_acked);
        self.stripped += inspection.stripped;
        match inspection.rewriter.finish() {
            Some(packet) => Screening::Rewritten(packet),
            None if self.pending.load.has_sack() => Screening::Sack,
            None if inspection.heartbeat_acked => Screening::HeartbeatAcked,
            None => Screening::Drop(PacketDrop::Unexpected),
        }
    }

    /// Decides about every chunk, and notes the effects of those that pass.
    fn inspect<'a>(
        &mut self,
        ledger: &Ledger,
        inspection: &mut Inspection<'a>,
        chunks: Chunks<'a>,
    ) -> Result<(), PacketDrop> {
        self.pending.clear();
        let mut chunks = chunks.enumerate();
        // The last TSN that the request to reset streams just before this chunk names.
        let mut named = None;
        while let Some((index, chunk)) = chunks.next() {
            let chunk = chunk.map_err(|_| PacketDrop::Malformed)?;
            if chunk.kind == kind::COOKIE_ECHO && index > 0 {
                return Err(PacketDrop::Unexpected);
            }
            if named.is_some_and(|last| data::is_missing(ledger, &chunk, last)) {
                // This chunk has been moved ahead of the request.
                continue;
            }
            match chunk.kind {
                kind::DATA => {}
                kind::RECONFIG => {
                    named = self.move_named(ledger, inspection, &chunk, chunks.clone())?;
                }
                _ => named = None,
            }
            let verdict = self.verdict(ledger, inspection, &chunk)?;
            self.apply(ledger, inspection, &chunk, verdict)?;
            if verdict == ChunkVerdict::StripRest {
                break;
            }
        }
        Ok(())
    }

    /// Moves the DATA that a request to reset streams names, and that follows the request, ahead of it. Control chunks
    /// come first in a packet (RFC 9260 §6.10), so a correct peer has no other place for that DATA. Returns the last
    /// TSN that the request names.
    #[cold]
    fn move_named<'a>(
        &mut self,
        ledger: &Ledger,
        inspection: &mut Inspection<'a>,
        request: &Chunk<'a>,
        behind: Enumerate<Chunks<'a>>,
    ) -> Result<Option<u32>, PacketDrop> {
        let Some(last) = reconfig::last_named(request) else { return Ok(None) };
        let behind = behind.map_while(|(_, chunk)| chunk.ok());
        for chunk in behind.take_while(|chunk| chunk.kind == kind::DATA) {
            if data::is_missing(ledger, &chunk, last) {
                inspection.rewriter.differ()?;
                let verdict = self.verdict(ledger, inspection, &chunk)?;
                self.apply(ledger, inspection, &chunk, verdict)?;
            }
        }
        Ok(Some(last))
    }

    #[inline(always)]
    fn verdict(
        &mut self,
        ledger: &Ledger,
        inspection: &mut Inspection<'_>,
        chunk: &Chunk<'_>,
    ) -> Result<ChunkVerdict, PacketDrop> {
        Ok(match chunk.kind {
            kind::INIT | kind::INIT_ACK => return Err(PacketDrop::Unexpected),
            kind::COOKIE_ECHO => {
                let cookie = ledger.local.as_ref().and_then(|local| local.cookie.as_ref());
                if cookie.is_none_or(|cookie| cookie != chunk.value) {
                    return Err(PacketDrop::Unexpected);
                }
                ChunkVerdict::Keep
            }
            kind::COOKIE_ACK => ChunkVerdict::Trim(0),
            kind::ABORT => {
                let reflected = chunk.flags & 1 != 0;
                inspection.abort = Some(Abort { reflected, cause: u16_at(chunk.value, 0) });
                ChunkVerdict::StripRest
            }
            kind::ERROR => ChunkVerdict::Strip,
            kind::HEARTBEAT_ACK if self.unanswered_heartbeats > 0 => {
                inspection.heartbeat_acked = true;
                ChunkVerdict::Consume
            }
            kind::HEARTBEAT_ACK => ChunkVerdict::Strip,
            kind::DATA => {
                let data = Data::parse(chunk).ok_or(PacketDrop::Malformed)?;
                let verdict = data::verdict(ledger, self.gap_limit, &data)?;
                self.pending.chunks.extend(data::passed(&data, verdict).map(ChunkEffect::Data));
                verdict
            }
            kind::SACK if self.pending.sack.is_empty() => {
                let verdict = sack::verdict(ledger, chunk, &mut self.pending.violation)?;
                // Reading it has its cost, whatever becomes of it.
                self.pending.load.add(chunk.kind, chunk.value.len());
                if verdict == ChunkVerdict::Consume {
                    self.pending.sack.extend_from_slice(chunk.value);
                }
                verdict
            }
            kind::HEARTBEAT => self.heartbeat_verdict(inspection, chunk)?,
            kind::FORWARD_TSN => self.forward_tsn_verdict(ledger, chunk),
            // A response and a request may come in chunks of their own.
            kind::RECONFIG if inspection.reconfigs < 2 => {
                inspection.reconfigs += 1;
                let (max, window) = (self.max_packet, self.gap_limit.bytes);
                reconfig::verdict(ledger, max, window, chunk, &mut self.pending)
            }
            kind::SHUTDOWN if chunk.value.len() >= 4 => ChunkVerdict::Trim(4),
            kind::SHUTDOWN_ACK | kind::SHUTDOWN_COMPLETE => ChunkVerdict::Trim(0),
            kind::SACK | kind::RECONFIG | kind::SHUTDOWN => ChunkVerdict::Strip,
            // RFC 9260 §3.2: the two highest bits say what to do with an unknown type. (The reports
            // that 01 and 11 ask for are of no use.)
            unknown if unknown & 0x80 == 0 => ChunkVerdict::StripRest,
            _ => ChunkVerdict::Strip,
        })
    }

    /// A HEARTBEAT is answered with as many bytes, so one per packet passes.
    fn heartbeat_verdict(
        &self,
        inspection: &mut Inspection<'_>,
        chunk: &Chunk<'_>,
    ) -> Result<ChunkVerdict, PacketDrop> {
        if inspection.heartbeats > 0 {
            return Ok(ChunkVerdict::Strip);
        }
        inspection.heartbeats = 1;
        let info = chunk.parameters(0).next().ok_or(PacketDrop::Malformed)?;
        let (kind, info) = info.map_err(|_| PacketDrop::Malformed)?;
        let fits = COMMON_HEADER + chunk.padded_len() <= self.max_packet;
        let passes = kind == parameter::HEARTBEAT_INFO && fits;
        Ok(if passes { ChunkVerdict::Trim(4 + info.len()) } else { ChunkVerdict::Strip })
    }

    fn forward_tsn_verdict(&mut self, ledger: &Ledger, chunk: &Chunk<'_>) -> ChunkVerdict {
        let well_formed = chunk.value.len() >= 4 && chunk.value.len().is_multiple_of(4);
        let acceptable = ledger.peer.as_ref().is_some_and(|peer| {
            let ahead =
                u32_at(chunk.value, 0).map(|it| it.wrapping_sub(peer.received.cumulative()));
            // One that is behind is answered by a SACK.
            peer.forward_tsn && ahead.is_some_and(|it| it <= MAX_FORWARD || it > 1 << 31)
        });
        if !well_formed || !acceptable {
            return ChunkVerdict::Strip;
        }
        self.pending.chunks.extend(u32_at(chunk.value, 0).map(ChunkEffect::Forwarded));
        // Pairs of a stream and a sequence number (RFC 3758 §3.2).
        let skips = chunk.value.get(4..).unwrap_or_default().chunks_exact(4);
        self.pending.streams.skipped.extend(skips.filter_map(|skip| u16_at(skip, 0)));
        ChunkVerdict::Keep
    }

    #[inline(always)]
    fn apply(
        &mut self,
        ledger: &Ledger,
        inspection: &mut Inspection<'_>,
        chunk: &Chunk<'_>,
        verdict: ChunkVerdict,
    ) -> Result<(), PacketDrop> {
        let rewriter = &mut inspection.rewriter;
        let mut passed_len = chunk.value.len();
        match verdict {
            ChunkVerdict::Keep => rewriter.keep(chunk)?,
            ChunkVerdict::Trim(len) if len == chunk.value.len() => rewriter.keep(chunk)?,
            ChunkVerdict::Trim(len) => {
                let value = chunk.value.get(..len).unwrap_or_default();
                passed_len = value.len();
                rewriter.differ()?.chunk(chunk.kind, chunk.flags, &[value]);
            }
            ChunkVerdict::PrefixPpid => data::write_prefixed(rewriter.differ()?, chunk),
            ChunkVerdict::Placeholder => data::write_placeholder(rewriter.differ()?, chunk),
            ChunkVerdict::AddStreams => reconfig::write_added(rewriter.differ()?, ledger, chunk),
            ChunkVerdict::Reset(len) => {
                passed_len = len;
                reconfig::write_reset(rewriter.differ()?, ledger, chunk, len);
            }
            ChunkVerdict::Strip | ChunkVerdict::StripRest => {
                rewriter.differ()?;
                inspection.stripped += 1;
                return Ok(());
            }
            ChunkVerdict::Consume => return rewriter.skip(),
        }
        self.pending.load.add(chunk.kind, passed_len);
        Ok(())
    }

    /// See [`CpuBudget::charge`].
    pub(super) fn charge(&mut self, now: Instant, cost: u64) {
        self.budget.charge(now, cost);
    }

    /// When more may be sent to a peer that has used its share of CPU time. `None`: at once.
    pub(super) fn used_until(&mut self, now: Instant) -> Option<Instant> {
        self.budget.used_until(now).filter(|_| self.packet_cost > 0)
    }

    /// Charges the peer for packets that were sent to it.
    pub(super) fn charge_sent(&mut self, now: Instant, packets: u32) {
        let cost = self.packet_cost * u64::from(packets);
        if cost > 0 {
            self.budget.charge_sent(now, cost);
        }
    }

    /// Whether the packet just admitted has a SACK that makes sense.
    pub(super) fn has_sack(&self) -> bool {
        !self.pending.sack.is_empty()
    }

    /// The SACK in the packet just admitted.
    pub(super) fn sack(&self) -> Option<Sack<'_>> {
        Sack::parse(&self.pending.sack)
    }

    /// Whether the packet just admitted holds DATA for sctp-proto.
    pub(super) fn has_admitted_data(&self) -> bool {
        self.pending.chunks.iter().any(|effect| matches!(effect, ChunkEffect::Data(_)))
    }

    /// Takes what the packet just admitted says about streams. `None` for most packets.
    pub(super) fn take_stream_effects(&mut self) -> Option<StreamEffects> {
        let streams = &mut self.pending.streams;
        (!streams.is_empty()).then(|| std::mem::take(streams))
    }

    /// Whether the packet just admitted has DATA or a FORWARD TSN behind a request to reset streams.
    pub(super) fn goes_on_behind_reset(&self) -> bool {
        self.pending.ahead_of_request.is_some_and(|ahead| ahead < self.pending.chunks.len())
    }

    /// Makes [`Self::admit`] apply only the SACK of the packet just screened.
    pub(super) fn retain_sack(&mut self) {
        self.pending.retain_sack();
    }

    /// Applies the effects of the packet just screened, which belongs to the peer. `streams`: how
    /// many sctp-proto has.
    pub(super) fn admit(&mut self, now: Instant, ledger: &mut Ledger, streams: usize) -> Admission {
        let pending = &mut self.pending;
        if !self.budget.take(now, pending.load.cost(ledger, streams)) {
            return Admission::Refused(PacketDrop::Overload);
        }
        if let Some(rule) = pending.violation {
            return Admission::Violation(EndReason::Violation(rule.into()));
        }
        for effect in &pending.chunks {
            match *effect {
                ChunkEffect::Data(data) => {
                    if let Err(rule) = data::admit(ledger, self.gap_limit.bytes, data) {
                        return Admission::Violation(EndReason::Violation(rule.into()));
                    }
                }
                ChunkEffect::Forwarded(tsn) => {
                    if let Some(peer) = &mut ledger.peer {
                        peer.received.forward(tsn);
                        peer.skipped = Some(tsn);
                    }
                }
            }
        }
        if let Some(peer) = &mut ledger.peer {
            peer.next_reset = peer.next_reset.wrapping_add(pending.reset_requests);
            peer.announced.outbound = peer.announced.outbound.saturating_add(pending.added_streams);
        }
        if ledger.held.chunks() > self.max_held || ledger.held.bytes() > self.max_held_bytes {
            return Admission::Violation(EndReason::ReceiveBufferExhausted);
        }
        if streams > self.max_streams {
            return Admission::Violation(EndReason::Violation("too many streams".into()));
        }
        Admission::Granted
    }
}
