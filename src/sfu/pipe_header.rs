//! What a pipe carries beside payloads: subchannels, and control messages for the pause of a DataProducer, for clearing
//! what it retains, and for the end of a stream.
//!
//! The header with which a pipe carries a [`Selector`] in front of the payload, big endian:
//!
//! ```text
//! 8 bytes  token; bit 1: `required` follows, bit 0: `ignored` follows
//! 2 bytes  number of subchannels
//! 2 bytes  each subchannel
//! 2 bytes  required, if flagged
//! 2 bytes  ignored, if flagged
//! ```
//!
//! A payload that itself begins with the token travels behind an empty header, so that no client can
//! forge routing through a pipe.
//!
//! A [`PipeControl`] is a message of its own on the stream of its DataProducer, with PPID 50, so that
//! mediasoup and other far ends that do not know it drop it. Its two bytes are no message of RFC 8832.

use bytes::{BufMut, Bytes, BytesMut};

use super::subchannels::Selector;
use crate::proto::message::charge;

const TOKEN: u64 = 0xA5F0_9CB3_D6E1_F28C;
const REQUIRED: u64 = 0b10;
const IGNORED: u64 = 0b01;
const FLAGS: u64 = REQUIRED | IGNORED;

/// The largest header in bytes: the token, the count, 65,535 subchannels and the other two.
pub const MAX_HEADER: u32 = 131_084;

/// Returns the message as the pipe carries it: `payload` unchanged if the message needs no header.
pub fn encode(selector: Option<&Selector>, payload: &Bytes) -> Bytes {
    let nothing = Selector::default();
    let selector = selector.filter(|it| !it.is_empty());
    if selector.is_none() && token(payload).is_none() {
        return payload.clone();
    }
    let selector = selector.unwrap_or(&nothing);
    // `send()` takes at most 65,535 subchannels, and the header that came over another pipe
    // counts them in 16 bits.
    let count = selector.subchannels.len().min(65_535);
    let mut out = BytesMut::with_capacity(14 + 2 * count + payload.len());
    let required = selector.required.map_or(0, |_| REQUIRED);
    let ignored = selector.ignored.map_or(0, |_| IGNORED);
    out.put_u64(TOKEN | required | ignored);
    out.put_u16(count as u16);
    selector.subchannels.iter().take(count).for_each(|it| out.put_u16(it));
    selector.required.into_iter().chain(selector.ignored).for_each(|it| out.put_u16(it));
    out.put_slice(payload);
    out.freeze()
}

/// Removes the header from a message that came through a pipe. A message without a header, or too short
/// for what its header announces, is returned unchanged without a selector.
pub fn decode(mut message: Bytes) -> (Option<Selector>, Bytes) {
    match header(&message) {
        Some((selector, len)) => {
            let mut payload = message.split_off(len);
            // The payload keeps the memory of the whole message, for which no queue charges.
            if len > charge(payload.len()) {
                payload = Bytes::copy_from_slice(&payload);
            }
            ((!selector.is_empty()).then_some(selector), payload)
        }
        None => (None, message),
    }
}

/// What one end of a pipe says to the other about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PipeControl {
    /// Whether the DataProducer whose messages the stream carries is paused.
    Paused(bool),
    /// That DataProducer has cleared its retained messages.
    ClearRetained,
    /// The DataConsumer of the stream has closed. Nothing follows.
    Closed,
}

impl PipeControl {
    const PAUSED: u8 = 0x50;
    const CLEAR_RETAINED: u8 = 0x51;
    const CLOSED: u8 = 0x52;

    pub(super) fn encode(self) -> Bytes {
        match self {
            Self::Paused(false) => Bytes::from_static(&[Self::PAUSED, 0]),
            Self::Paused(true) => Bytes::from_static(&[Self::PAUSED, 1]),
            Self::ClearRetained => Bytes::from_static(&[Self::CLEAR_RETAINED, 0]),
            Self::Closed => Bytes::from_static(&[Self::CLOSED, 0]),
        }
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        match payload {
            [Self::PAUSED, paused @ (0 | 1)] => Some(Self::Paused(*paused == 1)),
            [Self::CLEAR_RETAINED, 0] => Some(Self::ClearRetained),
            [Self::CLOSED, 0] => Some(Self::Closed),
            _ => None,
        }
    }
}

fn token(message: &[u8]) -> Option<u64> {
    let token = u64::from_be_bytes(*message.first_chunk()?);
    (token & !FLAGS == TOKEN & !FLAGS).then_some(token)
}

fn header(message: &[u8]) -> Option<(Selector, usize)> {
    let token = token(message)?;
    let u16_at = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk::<2>()?));
    let count = usize::from(u16_at(8)?);
    let mut at = 10;
    let mut next = || {
        let value = u16_at(at);
        at += 2;
        value
    };
    let subchannels = (0..count).map(|_| next()).collect::<Option<_>>()?;
    let required = if token & REQUIRED != 0 { Some(next()?) } else { None };
    let ignored = if token & IGNORED != 0 { Some(next()?) } else { None };
    Some((Selector { subchannels, required, ignored }, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dcep::Dcep;

    fn selector(subchannels: &[u16], required: Option<u16>, ignored: Option<u16>) -> Selector {
        Selector { subchannels: subchannels.iter().copied().collect(), required, ignored }
    }

    #[test]
    fn the_pipe_header_is_these_bytes() {
        let payload = Bytes::from_static(b"hi");
        let encoded = encode(Some(&selector(&[1, 258], Some(3), None)), &payload);
        assert_eq!(
            encoded[..],
            [0xA5, 0xF0, 0x9C, 0xB3, 0xD6, 0xE1, 0xF2, 0x8E, 0, 2, 0, 1, 1, 2, 0, 3, b'h', b'i']
        );
        let encoded = encode(Some(&selector(&[], None, Some(4))), &payload);
        assert_eq!(
            encoded[..],
            [0xA5, 0xF0, 0x9C, 0xB3, 0xD6, 0xE1, 0xF2, 0x8D, 0, 0, 0, 4, b'h', b'i']
        );
    }

    #[test]
    fn what_goes_into_a_pipe_comes_out_of_it() {
        let payload = Bytes::from_static(b"payload");
        for selector in [
            selector(&[], None, None),
            selector(&[1, 2, 65535], None, None),
            selector(&[], Some(7), None),
            selector(&[], None, Some(7)),
            selector(&[9], Some(7), Some(8)),
            selector(&(0..65535).collect::<Vec<_>>(), Some(1), Some(2)),
        ] {
            let (got, rest) = decode(encode(Some(&selector), &payload));
            assert_eq!(got.unwrap_or_default(), selector);
            assert_eq!(rest, payload);
        }
    }

    #[test]
    fn a_payload_does_not_keep_the_memory_of_a_header_that_is_much_larger() {
        let all: Vec<u16> = (0..65_535).collect();
        let message = encode(Some(&selector(&all, None, None)), &Bytes::from_static(b"x"));
        let before = message.as_ptr_range();
        let (_, payload) = decode(message);
        assert_eq!(&payload[..], b"x");
        assert!(!before.contains(&payload.as_ptr()));
    }

    #[test]
    fn a_payload_that_looks_like_a_header_crosses_a_pipe_as_payload() {
        let forged = encode(Some(&selector(&[5], Some(6), None)), &Bytes::from_static(b"x"));
        for flags in 0..4 {
            let mut bytes = BytesMut::from(&forged[..]);
            bytes[7] = bytes[7] & !3 | flags;
            let forged = bytes.freeze();
            assert_eq!(decode(encode(None, &forged)), (None, forged));
        }
    }

    #[test]
    fn a_message_too_short_for_its_header_is_an_ordinary_message() {
        let whole = encode(Some(&selector(&[1, 2], Some(3), Some(4))), &Bytes::new());
        for len in 0..whole.len() {
            let cut = whole.slice(..len);
            assert_eq!(decode(cut.clone()), (None, cut), "{len} bytes");
        }
    }

    #[test]
    fn controls_are_these_bytes_and_no_messages_of_rfc_8832() {
        for (control, bytes) in [
            (PipeControl::Paused(false), [0x50, 0]),
            (PipeControl::Paused(true), [0x50, 1]),
            (PipeControl::ClearRetained, [0x51, 0]),
            (PipeControl::Closed, [0x52, 0]),
        ] {
            assert_eq!(control.encode()[..], bytes);
            assert_eq!(PipeControl::decode(&bytes), Some(control));
            assert!(Dcep::parse(&bytes).is_err());
        }
        for other in
            [&[][..], &[0x50], &[0x50, 2], &[0x50, 1, 0], &[0x51, 1], &[0x52, 1], &[2], &[3, 0]]
        {
            assert_eq!(PipeControl::decode(other), None);
        }
    }
}
