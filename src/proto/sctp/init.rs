//! What an INIT and an INIT ACK say (RFC 9260 §3.3.2, §3.3.3).

use super::counters::PacketDrop;
use super::wire::{COMMON_HEADER, Chunk, Header, Init, checksum_matches, kind, parameter};

/// What a peer has announced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Greeting {
    pub(super) init: Init,
    /// Whether the peer supports FORWARD TSN (RFC 3758 §3.1).
    pub(super) forward_tsn: bool,
    /// The header of packets to the peer.
    pub(super) header: Header,
}

/// Reads an INIT, and checks it, its checksum included.
pub(super) fn read(packet: &[u8]) -> Result<Greeting, PacketDrop> {
    let (header, mut chunks) = Header::parse(packet).ok_or(PacketDrop::Malformed)?;
    let chunk = chunks.next().ok_or(PacketDrop::Malformed)?.map_err(|_| PacketDrop::Malformed)?;
    // RFC 9260 §8.5.1 (A): an INIT has no tag, and comes alone (§6.10).
    if chunk.kind != kind::INIT || header.tag != 0 || chunks.next().is_some() {
        return Err(PacketDrop::Malformed);
    }
    if header.source_port == 0 || header.destination_port == 0 {
        return Err(PacketDrop::Malformed);
    }
    let greeting = greeting(header, &chunk).ok_or(PacketDrop::Malformed)?;
    if !checksum_matches(packet) {
        return Err(PacketDrop::Foreign);
    }
    Ok(greeting)
}

/// Reads an INIT ACK, whose packet has this header. Returns its state cookie as well.
pub(super) fn read_ack<'a>(header: Header, chunk: &Chunk<'a>) -> Option<(Greeting, &'a [u8])> {
    let (_, cookie) =
        chunk.parameters(Init::LEN).flatten().find(|(kind, _)| *kind == parameter::STATE_COOKIE)?;
    Some((greeting(header, chunk)?, cookie))
}

/// The cookie of a packet that begins with a COOKIE ECHO.
pub(super) fn cookie(packet: &[u8]) -> Option<&[u8]> {
    if packet.get(COMMON_HEADER) != Some(&kind::COOKIE_ECHO) {
        return None;
    }
    let (_, mut chunks) = Header::parse(packet)?;
    let chunk = chunks.next()?.ok()?;
    Some(chunk.value)
}

/// `None` if a value or a length is not allowed. Parameters that we do not know are ignored.
fn greeting(header: Header, chunk: &Chunk<'_>) -> Option<Greeting> {
    let init = Init::parse(chunk)?;
    // RFC 9260 §3.3.2: neither the tag nor a number of streams may be 0, nor the window below 1500. sctp-proto also
    // refuses 0 as the first TSN, which is allowed; a random TSN is 0 once in 2^32 times.
    if init.tag == 0 || init.outbound == 0 || init.inbound == 0 || init.window < 1500 {
        return None;
    }
    if init.tsn == 0 {
        return None;
    }
    let mut forward_tsn = false;
    for item in chunk.parameters(Init::LEN) {
        match item.ok()? {
            (parameter::FORWARD_TSN_SUPPORTED, _) => forward_tsn = true,
            (parameter::SUPPORTED_EXTENSIONS, types) => {
                forward_tsn |= types.contains(&kind::FORWARD_TSN);
            }
            _ => {}
        }
    }
    let header = Header {
        source_port: header.destination_port,
        destination_port: header.source_port,
        tag: init.tag,
    };
    Some(Greeting { init, forward_tsn, header })
}

/// Appends a parameter to the value of an INIT or INIT ACK.
pub(super) fn push_parameter(value: &mut Vec<u8>, kind: u16, content: &[u8]) {
    value.resize(value.len().next_multiple_of(4), 0);
    value.extend_from_slice(&kind.to_be_bytes());
    // All parameters have fewer than 100 bytes.
    value.extend_from_slice(&u16::try_from(4 + content.len()).unwrap_or(u16::MAX).to_be_bytes());
    value.extend_from_slice(content);
}
