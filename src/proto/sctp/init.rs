//! INIT and INIT ACK on their way to sctp-proto, which fails on parameters that it does not know and
//! on much else.

use bytes::Bytes;

use super::counters::PacketDrop;
use super::ledger::PeerSide;
use super::received::ReceivedTsns;
use super::wire::{COMMON_HEADER, Chunk, Header, Init, Writer, checksum_matches, kind, parameter};

/// Which side sent the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// We did.
    Initiator,
    /// The peer did, with this Initiate Tag.
    Responder { peer_tag: u32 },
}

/// Checks an INIT, its checksum included. Returns it without what sctp-proto fails on, and what it
/// says about the peer.
pub(super) fn screen(packet: &[u8]) -> Result<(Bytes, PeerSide), PacketDrop> {
    let (header, mut chunks) = Header::parse(packet).ok_or(PacketDrop::Malformed)?;
    let chunk = chunks.next().ok_or(PacketDrop::Malformed)?.map_err(|_| PacketDrop::Malformed)?;
    // RFC 9260 §8.5.1 (A): an INIT has no tag, and comes alone (§6.10).
    if chunk.kind != kind::INIT || header.tag != 0 || chunks.next().is_some() {
        return Err(PacketDrop::Malformed);
    }
    if header.source_port == 0 || header.destination_port == 0 {
        return Err(PacketDrop::Malformed);
    }
    let mut value = canonical(&chunk).ok_or(PacketDrop::Malformed)?;
    let peer = peer_side(&chunk).ok_or(PacketDrop::Malformed)?;
    // Both stream counts become 65,535: sctp-proto compares each with the wrong one of its own, and
    // would announce too few in its answer. It enforces neither; the guard does.
    value.get_mut(8..12).ok_or(PacketDrop::Malformed)?.fill(0xff);
    if !checksum_matches(packet) {
        return Err(PacketDrop::Foreign);
    }
    let mut writer = Writer::new(header, packet.len());
    writer.chunk(kind::INIT, 0, &[&value]);
    Ok((writer.finish(), peer))
}

/// The cookie of a packet that begins with a COOKIE ECHO.
pub(super) fn cookie(packet: &[u8]) -> Option<&[u8]> {
    let (_, mut chunks) = Header::parse(packet)?;
    let chunk = chunks.next()?.ok()?;
    (chunk.kind == kind::COOKIE_ECHO).then_some(chunk.value)
}

/// Whether a packet begins with an INIT.
pub(super) fn is(packet: &[u8]) -> bool {
    packet.get(COMMON_HEADER) == Some(&kind::INIT)
}

/// The Initiate Tag of an INIT.
pub(super) fn tag(packet: &[u8]) -> Option<u32> {
    let chunk = Header::parse(packet)?.1.next()?.ok()?;
    Some(Init::parse(&chunk)?.tag)
}

/// The value of an INIT or INIT ACK with only the parameters that matter: the state cookie and the
/// supported extensions (RFC 5061 §4.2.7). A Forward-TSN-Supported parameter (RFC 3758 §3.1) becomes
/// an entry of the latter.
fn canonical(chunk: &Chunk<'_>) -> Option<Vec<u8>> {
    let init = Init::parse(chunk)?;
    // RFC 9260 §3.3.2: neither the tag nor a number of streams may be 0, nor the window below 1500.
    if init.tag == 0 || init.outbound == 0 || init.inbound == 0 || init.window < 1500 {
        return None;
    }
    let mut value = chunk.value.get(..Init::LEN)?.to_vec();
    let mut extensions = Vec::new();
    for item in chunk.parameters(Init::LEN) {
        match item.ok()? {
            (parameter::STATE_COOKIE, cookie) => {
                push_parameter(&mut value, parameter::STATE_COOKIE, cookie);
            }
            (parameter::SUPPORTED_EXTENSIONS, types) => extensions.extend_from_slice(types),
            (parameter::FORWARD_TSN_SUPPORTED, _) => extensions.push(kind::FORWARD_TSN),
            _ => {}
        }
    }
    push_parameter(&mut value, parameter::SUPPORTED_EXTENSIONS, &extensions);
    Some(value)
}

fn push_parameter(value: &mut Vec<u8>, kind: u16, content: &[u8]) {
    value.resize(value.len().next_multiple_of(4), 0);
    value.extend_from_slice(&kind.to_be_bytes());
    // The content comes from a chunk, whose length has 16 bits.
    value.extend_from_slice(&u16::try_from(4 + content.len()).unwrap_or(u16::MAX).to_be_bytes());
    value.extend_from_slice(content);
}

/// What an INIT or INIT ACK says about the peer.
pub(super) fn peer_side(chunk: &Chunk<'_>) -> Option<PeerSide> {
    let init = Init::parse(chunk)?;
    let forward_tsn = chunk.parameters(Init::LEN).flatten().any(|(kind, value)| match kind {
        parameter::FORWARD_TSN_SUPPORTED => true,
        parameter::SUPPORTED_EXTENSIONS => value.contains(&kind::FORWARD_TSN),
        _ => false,
    });
    Some(PeerSide {
        announced: init.into(),
        forward_tsn,
        received: ReceivedTsns::new(init.tsn),
        next_reset: init.tsn,
    })
}

/// The value of an INIT ACK without what sctp-proto fails on. `None` without a state cookie, or with
/// one that would not fit our COOKIE ECHO, a packet of `max_packet` bytes.
pub(super) fn canonical_ack(chunk: &Chunk<'_>, max_packet: usize) -> Option<Vec<u8>> {
    let fits = |cookie: &[u8]| COMMON_HEADER + 4 + cookie.len() <= max_packet;
    chunk
        .parameters(Init::LEN)
        .flatten()
        .any(|(kind, cookie)| kind == parameter::STATE_COOKIE && fits(cookie))
        .then(|| canonical(chunk))?
}
