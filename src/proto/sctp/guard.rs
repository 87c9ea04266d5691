//! What stands between the network and sctp-proto.
//!
//! sctp-proto is a good association for a good peer. Some packets that are legal end it, and some
//! that are not cost it seconds. The guard sees every packet twice:
//!
//! ```text
//! packet ─► screen ─► checksum and tag (sctp-proto's endpoint) ─► admit ─► association
//!             │ changes nothing                                     │ counts
//!             └► dropped, or rewritten without what must not pass   └► dropped, or the end
//! ```
//!
//! So what is not the peer's never counts against it. Almost all packets pass as they came; one
//! that is rewritten has its checksum verified first.

mod chunk;
mod data;
mod reconfig;

use std::time::Instant;

use bytes::Bytes;

use super::budget::{CpuBudget, cost};
use super::init;
use super::ledger::Ledger;
use super::received::GapLimit;
use super::verdict::{DropReason, Role};
use super::wire::{
    COMMON_HEADER, Chunk, Chunks, Header, Padding, Writer, before, cause, checksum_matches, kind,
    parameter, u16_at, u32_at,
};

use chunk::Fate;

pub(super) use chunk::StreamEffects;
pub(super) use data::DISCARD_STREAM;

/// DATA chunks that sctp-proto may hold for a client, whatever is in them: 4,096 of one byte take
/// 0.7 MB, 7 MB if each pins a packet of 1,500 bytes, and each that comes on top costs up to 100 us.
/// A window of 1 MiB holds 900 full ones. Beyond a gap it is half as many, so that a good peer
/// whose packet was lost is held up by that bound and not ended by this one.
const MAX_CLIENT_HELD: usize = 4096;

/// The same for another router, which has the messages of many clients to send.
const MAX_ROUTER_HELD: usize = 16_384;

/// A window large enough for more full chunks than that may have them, if they have this size on
/// average.
const MEAN_HELD: usize = 512;

/// Streams on which a client may have sent: 6 MB of state. Browsers open at most 1,024 channels.
const MAX_CLIENT_STREAMS: usize = 8192;

/// What [`Guard::screen`] makes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Screened {
    /// To sctp-proto, if checksum and tag are right.
    Pass(Bytes),
    /// The peer, without doubt, ends the association.
    Abort,
    /// The peer, without doubt, refuses our cookie as too old.
    StaleCookie,
    /// The peer, without doubt, answers our HEARTBEAT, and says nothing else.
    HeartbeatAcked,
    /// Nothing else happens.
    Drop(DropReason),
}

/// What [`Guard::admit`] makes of a packet that is the peer's without doubt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// To the association.
    Granted,
    /// Nothing else happens.
    Refused(DropReason),
    /// The association ends: the peer has broken a rule that nobody breaks by accident.
    Violation(&'static str),
}

/// What is in a packet.
#[derive(Debug, Default)]
struct Walk {
    rewritten: bool,
    stripped: u64,
    /// An ABORT, and whether its T bit is set.
    abort: Option<bool>,
    stale_cookie: bool,
    heartbeat_answered: bool,
    seen: Seen,
}

/// The chunks that are answered, each with a packet.
#[derive(Debug, Default)]
struct Seen {
    heartbeat: bool,
    reconfigs: u8,
}

/// The guard of one association.
#[derive(Debug)]
pub(super) struct Guard {
    max_packet: usize,
    max_held: usize,
    reach: GapLimit,
    max_streams: usize,
    budget: CpuBudget,
    /// A HEARTBEAT of ours has no answer yet.
    pub(super) awaits_heartbeat_ack: bool,
    /// Chunks that were taken out of packets.
    pub(super) stripped: u64,
    /// What the packet just admitted says about streams.
    pub(super) stream_effects: StreamEffects,
}

impl Guard {
    /// `window`: the receive window in bytes. `client`: the peer is no router, and is trusted with
    /// no more than a client needs.
    pub(super) fn new(max_packet: usize, window: usize, client: bool) -> Self {
        let held = if client { MAX_CLIENT_HELD } else { MAX_ROUTER_HELD };
        let max_held = held.max(window / MEAN_HELD);
        Self {
            max_packet,
            max_held,
            reach: GapLimit { chunks: max_held / 2, bytes: window },
            max_streams: if client { MAX_CLIENT_STREAMS } else { usize::MAX },
            budget: CpuBudget::default(),
            awaits_heartbeat_ack: false,
            stripped: 0,
            stream_effects: StreamEffects::default(),
        }
    }

    /// Looks at a packet other than an INIT. Nothing is counted against the peer.
    pub(super) fn screen(&mut self, ledger: &Ledger, role: Role, packet: Bytes) -> Screened {
        let Some((header, chunks)) = Header::parse(&packet) else {
            return Screened::Drop(DropReason::Malformed);
        };
        if let Some(local) = &ledger.local
            && (header.source_port, header.destination_port)
                != (local.header.destination_port, local.header.source_port)
        {
            return Screened::Drop(DropReason::Foreign);
        }
        let walk = match self.walk(ledger, role, chunks, None) {
            Ok(walk) => walk,
            Err(dropped) => return Screened::Drop(dropped),
        };
        if !walk.rewritten {
            return Screened::Pass(packet);
        }
        // An ABORT of a peer that knows no association has the tag that we sent it, and the T bit
        // (RFC 9260 §8.5.1 B).
        let own_tag = ledger.local.as_ref().map(|local| local.announced.tag);
        let peer_tag = ledger.peer.as_ref().map(|peer| peer.announced.tag);
        let tag = if walk.abort == Some(true) { peer_tag } else { own_tag };
        if tag != Some(header.tag) || !checksum_matches(&packet) {
            return Screened::Drop(DropReason::Foreign);
        }
        if walk.abort.is_some() {
            return Screened::Abort;
        }
        if walk.stale_cookie {
            return Screened::StaleCookie;
        }
        self.awaits_heartbeat_ack &= !walk.heartbeat_answered;
        let mut writer = Writer::new(header, packet.len() + 64);
        // The first walk has been through without an error, and this one is the same.
        let _ = self.walk(ledger, role, chunks, Some(&mut writer));
        self.stripped += walk.stripped;
        match (writer.is_empty(), walk.heartbeat_answered) {
            (false, _) => Screened::Pass(writer.finish()),
            (true, true) => Screened::HeartbeatAcked,
            (true, false) => Screened::Drop(DropReason::Unexpected),
        }
    }

    /// Decides on every chunk, and writes what remains to `writer`.
    fn walk(
        &self,
        ledger: &Ledger,
        role: Role,
        chunks: Chunks<'_>,
        mut writer: Option<&mut Writer>,
    ) -> Result<Walk, DropReason> {
        let mut walk = Walk::default();
        // DATA may follow the COOKIE ECHO that establishes us (RFC 9260 §5.1), and may overtake the
        // COOKIE ACK that does; before either it has no place.
        let mut open = ledger.established || (role == Role::Initiator && ledger.peer.is_some());
        for (index, chunk) in chunks.enumerate() {
            let chunk = chunk.map_err(|_| DropReason::Malformed)?;
            let fate = match chunk.kind {
                kind::INIT_ACK => {
                    if index > 0 || ledger.peer.is_some() || role != Role::Initiator {
                        return Err(DropReason::Unexpected);
                    }
                    let value = init::canonical_ack(&chunk, self.max_packet)
                        .ok_or(DropReason::Malformed)?;
                    walk.rewritten = true;
                    if let Some(writer) = writer.as_deref_mut() {
                        writer.chunk(chunk.kind, 0, &[&value]);
                    }
                    continue;
                }
                kind::INIT => return Err(DropReason::Unexpected),
                kind::COOKIE_ECHO => {
                    let local = ledger.local.as_ref().and_then(|local| local.cookie.as_ref());
                    if index > 0 || local.is_none_or(|cookie| cookie != chunk.value) {
                        return Err(DropReason::Unexpected);
                    }
                    open = true;
                    Fate::Keep
                }
                kind::COOKIE_ACK => {
                    open |= role == Role::Initiator;
                    Fate::Trim(0)
                }
                kind::ABORT => {
                    walk.abort = Some(chunk.flags & 1 != 0);
                    Fate::Stop
                }
                kind::ERROR => {
                    let stale = u16_at(chunk.value, 0) == Some(cause::STALE_COOKIE);
                    walk.stale_cookie |= stale && !ledger.established;
                    Fate::Strip
                }
                kind::HEARTBEAT_ACK if self.awaits_heartbeat_ack => {
                    walk.heartbeat_answered = true;
                    Fate::Take
                }
                kind::HEARTBEAT_ACK => Fate::Strip,
                _ if !open => return Err(DropReason::Unexpected),
                _ => self.fate(ledger, &chunk, chunks, &mut walk.seen)?,
            };
            let fate = match fate {
                Fate::Trim(len) if len == chunk.value.len() => Fate::Keep,
                fate => fate,
            };
            walk.rewritten |= fate != Fate::Keep || chunk.padding == Padding::Bad;
            if let Some(writer) = writer.as_deref_mut() {
                match fate {
                    Fate::Keep => writer.copy(&chunk),
                    Fate::Trim(len) => {
                        let value = chunk.value.get(..len).unwrap_or_default();
                        writer.chunk(chunk.kind, chunk.flags, &[value]);
                    }
                    Fate::Carry => data::carry(writer, &chunk),
                    Fate::Hollow => data::hollow(writer, &chunk),
                    Fate::Strip | Fate::Take | Fate::Stop => {}
                }
            }
            match fate {
                Fate::Strip => walk.stripped += 1,
                Fate::Stop => {
                    walk.stripped += 1;
                    break;
                }
                _ => {}
            }
        }
        Ok(walk)
    }

    /// Decides on a chunk of an association that is, or is just being, established.
    fn fate(
        &self,
        ledger: &Ledger,
        chunk: &Chunk<'_>,
        chunks: Chunks<'_>,
        seen: &mut Seen,
    ) -> Result<Fate, DropReason> {
        Ok(match chunk.kind {
            kind::DATA => data::fate(ledger, self.reach, chunk)?,
            kind::SACK => {
                let length = sack_len(ledger, chunk).ok_or(DropReason::Malformed)?;
                length.map_or(Fate::Strip, Fate::Trim)
            }
            // Answered with as many bytes, and one answer a packet is enough.
            kind::HEARTBEAT if !std::mem::replace(&mut seen.heartbeat, true) => {
                let info = chunk.parameters(0).next().ok_or(DropReason::Malformed)?;
                let (kind, info) = info.map_err(|_| DropReason::Malformed)?;
                let fits = COMMON_HEADER + chunk.padded_len() <= self.max_packet;
                if kind == parameter::HEARTBEAT_INFO && fits {
                    Fate::Trim(4 + info.len())
                } else {
                    Fate::Strip
                }
            }
            kind::FORWARD_TSN => {
                let well_formed = chunk.value.len() >= 4 && chunk.value.len().is_multiple_of(4);
                let agreed = ledger.peer.as_ref().is_some_and(|peer| peer.forward_tsn);
                if well_formed && agreed { Fate::Keep } else { Fate::Strip }
            }
            // A response and a request may come in chunks of their own.
            kind::RECONFIG if seen.reconfigs < 2 => {
                seen.reconfigs += 1;
                reconfig::fate(ledger, self.max_packet, chunk, chunks)
            }
            kind::SHUTDOWN if chunk.value.len() >= 4 => Fate::Trim(4),
            kind::SHUTDOWN_ACK | kind::SHUTDOWN_COMPLETE => Fate::Trim(0),
            kind::HEARTBEAT | kind::RECONFIG | kind::SHUTDOWN => Fate::Strip,
            // RFC 9260 §3.2: the two highest bits of a type say what to do with one that is not
            // known. (The reports that 01 and 11 ask for are of no use to anybody.)
            unknown if unknown & 0x80 == 0 => Fate::Stop,
            _ => Fate::Strip,
        })
    }

    /// Counts a packet that has passed [`Self::screen`] and is the peer's without doubt.
    /// `streams`: how many sctp-proto has.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        ledger: &mut Ledger,
        streams: usize,
        packet: &[u8],
    ) -> Admission {
        let Some((_, chunks)) = Header::parse(packet) else {
            return Admission::Refused(DropReason::Malformed);
        };
        if !self.budget.take(now, cost(ledger, streams, chunks)) {
            return Admission::Refused(DropReason::Overload);
        }
        for chunk in chunks.flatten() {
            match chunk.kind {
                kind::DATA => {
                    if let Err(rule) = data::admit(ledger, &chunk) {
                        return Admission::Violation(rule);
                    }
                }
                kind::SACK => {
                    if let (Some(local), Some(tsn)) = (&mut ledger.local, u32_at(chunk.value, 0)) {
                        local.acknowledged(tsn);
                    }
                }
                kind::FORWARD_TSN => {
                    if let (Some(peer), Some(tsn)) = (&mut ledger.peer, u32_at(chunk.value, 0)) {
                        peer.received.forward(tsn);
                    }
                    // Pairs of a stream and a sequence number (RFC 3758 §3.2).
                    let skips = chunk.value.get(4..).unwrap_or_default().chunks_exact(4);
                    self.stream_effects.skipped.extend(skips.filter_map(|skip| u16_at(skip, 0)));
                }
                kind::RECONFIG => reconfig::admit(ledger, &mut self.stream_effects, &chunk),
                kind::INIT_ACK => {
                    ledger.peer = init::peer_side(&chunk);
                }
                _ => {}
            }
        }
        if ledger.held.chunks > self.max_held {
            return Admission::Violation("too many DATA chunks that complete no message");
        }
        if streams > self.max_streams {
            return Admission::Violation("too many streams");
        }
        Admission::Granted
    }
}

/// The length of a SACK's value that sctp-proto can take; `Some(None)` for one that it must not
/// see: it acknowledges what was never sent, or its gap blocks are not in order (RFC 9260 §3.3.4),
/// so that walking them is not bounded by what is in flight.
fn sack_len(ledger: &Ledger, chunk: &Chunk<'_>) -> Option<Option<usize>> {
    let cumulative = u32_at(chunk.value, 0)?;
    let blocks = usize::from(u16_at(chunk.value, 8)?);
    let duplicates = usize::from(u16_at(chunk.value, 10)?);
    let gaps = chunk.value.get(12..12 + 4 * blocks)?;
    let length = 12 + 4 * blocks + 4 * duplicates;
    if chunk.value.len() < length {
        return None;
    }
    let Some(local) = &ledger.local else { return Some(None) };
    let mut end = 0;
    for block in gaps.chunks_exact(4) {
        let (start, last) = (u16_at(block, 0)?, u16_at(block, 2)?);
        if start <= end || last < start {
            return Some(None);
        }
        end = last;
    }
    let highest = cumulative.wrapping_add(end.into());
    Some((!before(local.highest_tsn, highest)).then_some(length))
}
