//! What a datagram is, told by its first byte (RFC 7983 §7).

/// The protocol of a datagram that arrived on a WebRTC transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// 0 to 3.
    Stun,
    /// 20 to 63.
    Dtls,
    /// SRTP, TURN channels, ZRTP, garbage, nothing at all: dropped.
    Other,
}

/// Tells the protocol of `datagram`. An empty one is [`Protocol::Other`].
pub fn demux(datagram: &[u8]) -> Protocol {
    match datagram.first() {
        Some(0..=3) => Protocol::Stun,
        Some(20..=63) => Protocol::Dtls,
        _ => Protocol::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_the_protocol() {
        for byte in 0..=255u8 {
            let expected = match byte {
                0..=3 => Protocol::Stun,
                20..=63 => Protocol::Dtls,
                _ => Protocol::Other,
            };
            assert_eq!(demux(&[byte, 0]), expected, "first byte {byte}");
        }
        assert_eq!(demux(&[]), Protocol::Other);
    }
}
