//! The Data Channel Establishment Protocol, RFC 8832: the two messages of PPID 50.

use crate::proto::message::{Limit, Reliability};

/// DATA_CHANNEL_ACK (RFC 8832 §5.2), the whole message.
pub const ACK: [u8; 1] = [0x02];

const OPEN: u8 = 0x03;
const OPEN_HEADER: usize = 12;
const UNORDERED: u8 = 0x80;

/// A message of PPID 50.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dcep {
    /// DATA_CHANNEL_OPEN.
    Open(Open),
    /// DATA_CHANNEL_ACK.
    Ack,
}

/// DATA_CHANNEL_OPEN (RFC 8832 §5.1): the peer opens a channel on the stream that carries this message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The name of the channel, at most 65,535 bytes.
    pub label: String,
    /// The subprotocol of the channel, at most 65,535 bytes.
    pub protocol: String,
    /// 0 to 65535, higher first (RFC 8831 §6.4). Nothing here depends on it.
    pub priority: u16,
    /// The reliability of both directions.
    pub reliability: Reliability,
}

/// Why a message of PPID 50 was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DcepError {
    /// The message is shorter than its header or than the lengths in it.
    #[error("message is shorter than its header or the lengths in it")]
    TooShort,
    /// A message type other than OPEN and ACK.
    #[error("unknown message type {0}")]
    UnknownType(u8),
    /// A channel type that RFC 8832 does not define.
    #[error("unknown channel type {0}")]
    UnknownChannel(u8),
    /// Label or protocol is not UTF-8.
    #[error("label or protocol is not UTF-8")]
    NotUtf8,
}

impl Dcep {
    /// Parses a message. Bytes after the protocol field are ignored.
    pub fn parse(message: &[u8]) -> Result<Self, DcepError> {
        match *message.first().ok_or(DcepError::TooShort)? {
            OPEN => Open::parse(message).map(Self::Open),
            kind if kind == ACK[0] => Ok(Self::Ack),
            kind => Err(DcepError::UnknownType(kind)),
        }
    }
}

impl Open {
    fn parse(message: &[u8]) -> Result<Self, DcepError> {
        let (header, text) =
            message.split_first_chunk::<OPEN_HEADER>().ok_or(DcepError::TooShort)?;
        let [_, channel, p0, p1, r0, r1, r2, r3, l0, l1, s0, s1] = *header;
        let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
        let label_len = usize::from(u16::from_be_bytes([l0, l1]));
        let protocol_len = usize::from(u16::from_be_bytes([s0, s1]));
        let (label, text) = text.split_at_checked(label_len).ok_or(DcepError::TooShort)?;
        let protocol = text.get(..protocol_len).ok_or(DcepError::TooShort)?;
        // The message has 32 bits, the API of data channels 16; larger values become 65535.
        let limit = u16::try_from(parameter).unwrap_or(u16::MAX);
        let limit = match channel & !UNORDERED {
            0 => None,
            1 => Some(Limit::Retransmits(limit)),
            2 => Some(Limit::LifetimeMs(limit)),
            _ => return Err(DcepError::UnknownChannel(channel)),
        };
        Ok(Self {
            label: utf8(label)?,
            protocol: utf8(protocol)?,
            priority: u16::from_be_bytes([p0, p1]),
            reliability: Reliability { ordered: channel & UNORDERED == 0, limit },
        })
    }

    /// Encodes the message. A label or protocol over 65,535 bytes is truncated at a character.
    pub fn encode(&self) -> Vec<u8> {
        let label = cut(&self.label);
        let protocol = cut(&self.protocol);
        let (kind, parameter) = match self.reliability.limit {
            None => (0, 0),
            Some(Limit::Retransmits(count)) => (1, count),
            Some(Limit::LifetimeMs(ms)) => (2, ms),
        };
        let unordered = if self.reliability.ordered { 0 } else { UNORDERED };
        let mut message = Vec::with_capacity(OPEN_HEADER + label.len() + protocol.len());
        message.extend_from_slice(&[OPEN, kind | unordered]);
        message.extend_from_slice(&self.priority.to_be_bytes());
        message.extend_from_slice(&u32::from(parameter).to_be_bytes());
        // The casts lose nothing, because `cut` has bounded both lengths.
        message.extend_from_slice(&(label.len() as u16).to_be_bytes());
        message.extend_from_slice(&(protocol.len() as u16).to_be_bytes());
        message.extend_from_slice(label.as_bytes());
        message.extend_from_slice(protocol.as_bytes());
        message
    }
}

fn utf8(bytes: &[u8]) -> Result<String, DcepError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DcepError::NotUtf8)
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(reliability: Reliability) -> Open {
        Open { label: "chat ✓".into(), protocol: "json".into(), priority: 256, reliability }
    }

    #[test]
    fn an_open_survives_the_wire_with_every_channel_type() {
        for ordered in [true, false] {
            for limit in [None, Some(Limit::Retransmits(0)), Some(Limit::LifetimeMs(500))] {
                let open = open(Reliability { ordered, limit });
                assert_eq!(Dcep::parse(&open.encode()), Ok(Dcep::Open(open)));
            }
        }
    }

    #[test]
    fn the_wire_format_is_that_of_the_rfc() {
        let open = Open {
            label: "a".into(),
            protocol: String::new(),
            priority: 0x0102,
            reliability: Reliability { ordered: false, limit: Some(Limit::Retransmits(3)) },
        };
        assert_eq!(open.encode(), [3, 0x81, 1, 2, 0, 0, 0, 3, 0, 1, 0, 0, b'a']);
        assert_eq!(Dcep::parse(&ACK), Ok(Dcep::Ack));
    }

    #[test]
    fn every_truncation_is_an_error_and_no_panic() {
        let message = open(Reliability::RELIABLE).encode();
        for len in 0..message.len() {
            assert_eq!(Dcep::parse(&message[..len]), Err(DcepError::TooShort), "{len} bytes");
        }
    }

    #[test]
    fn wrong_lengths_unknown_types_and_bad_utf8_are_errors() {
        let mut message = open(Reliability::RELIABLE).encode();
        message[8..10].copy_from_slice(&u16::MAX.to_be_bytes());
        assert_eq!(Dcep::parse(&message), Err(DcepError::TooShort));

        let mut message = open(Reliability::RELIABLE).encode();
        message[1] = 0x03;
        assert_eq!(Dcep::parse(&message), Err(DcepError::UnknownChannel(3)));

        let mut message = open(Reliability::RELIABLE).encode();
        message[12] = 0xff;
        assert_eq!(Dcep::parse(&message), Err(DcepError::NotUtf8));

        assert_eq!(Dcep::parse(&[9]), Err(DcepError::UnknownType(9)));
    }

    #[test]
    fn a_limit_over_sixteen_bits_becomes_the_largest() {
        let mut message =
            open(Reliability { ordered: true, limit: Some(Limit::Retransmits(1)) }).encode();
        message[4] = 1;
        let Ok(Dcep::Open(open)) = Dcep::parse(&message) else { panic!("parses") };
        assert_eq!(open.reliability.limit, Some(Limit::Retransmits(u16::MAX)));
    }

    #[test]
    fn a_label_too_long_for_the_message_is_truncated_at_a_character() {
        let open = Open { label: "é".repeat(40_000), ..open(Reliability::RELIABLE) };
        let Ok(Dcep::Open(parsed)) = Dcep::parse(&open.encode()) else { panic!("parses") };
        assert_eq!(parsed.label.len(), 65_534);
    }
}
