//! Carries any PPID through the receiving side of sctp-proto, which knows five of them.
//!
//! The others become one value of its enumeration, 58 on the wire. So a message with another PPID
//! passes through sctp-proto as 58, the carrier, with the real PPID in front of its first fragment,
//! where `guard` puts it; [`unwrap`] removes it.
//!
//! Messages of data channels have a PPID that sctp-proto knows, and pass unchanged.

use bytes::Bytes;

use crate::proto::message::Ppid;

/// The PPID that carries those that sctp-proto does not know.
pub(super) const CARRIER: u32 = 58;

/// The length of a PPID in front of a payload.
pub(super) const PREFIX: usize = 4;

/// Whether sctp-proto knows `ppid`.
pub(super) fn is_known(ppid: u32) -> bool {
    matches!(ppid, 50 | 51 | 53 | 56 | 57)
}

/// Splits the PPID from an incoming message. `None` if there is no room for it, which happens if a
/// peer mixes PPIDs within one message.
pub(super) fn unwrap(mut payload: Bytes) -> Option<(Ppid, Bytes)> {
    let ppid = u32::from_be_bytes(*payload.first_chunk::<PREFIX>()?);
    let payload = payload.split_off(PREFIX);
    (!payload.is_empty()).then_some((Ppid(ppid), payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_too_short_for_a_ppid_and_a_payload_is_none() {
        assert_eq!(unwrap(Bytes::from_static(b"\0\0\0\x09x")), Some((Ppid(9), "x".into())));
        assert_eq!(unwrap(Bytes::from_static(b"\0\0\0\x09")), None);
        assert_eq!(unwrap(Bytes::from_static(b"\0\0")), None);
    }
}
