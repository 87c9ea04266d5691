//! The protocols of one port, distinguished by the first byte of a datagram (RFC 7983 §7).

use super::stun::Binding;

/// The protocol of a datagram on a WebRTC transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// 0 to 3.
    Stun,
    /// 20 to 63.
    Dtls,
    /// SRTP, TURN channels, ZRTP, garbage and the empty datagram.
    Other,
}

/// Returns the protocol of `datagram`. An empty one is [`Protocol::Other`].
pub fn demux(datagram: &[u8]) -> Protocol {
    match datagram.first() {
        Some(0..=3) => Protocol::Stun,
        Some(20..=63) => Protocol::Dtls,
        _ => Protocol::Other,
    }
}

/// A datagram that a peer can use, read as far as its transport can be found: a STUN request by its username fragment,
/// a DTLS record by its tuple. It is read once and handed to [`super::peer::Peer::handle_incoming`].
#[derive(Debug, Clone, Copy)]
pub enum Incoming<'a> {
    /// A datagram that may be a Binding request.
    Stun(Binding<'a>),
    /// A datagram that may hold DTLS records.
    Dtls(&'a [u8]),
}

impl<'a> Incoming<'a> {
    /// Reads a datagram. Returns `None` for a datagram that the caller drops: one of another protocol, or a STUN
    /// response or indication.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        match demux(datagram) {
            Protocol::Stun => Binding::read(datagram).map(Self::Stun),
            Protocol::Dtls => Some(Self::Dtls(datagram)),
            Protocol::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_decides_the_protocol() {
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

    #[test]
    fn only_binding_requests_and_dtls_are_read() {
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        assert!(matches!(Incoming::read(&request), Some(Incoming::Stun(_))));
        let indication = [&[0, 0x11][..], &request[2..]].concat();
        assert!(Incoming::read(&indication).is_none());
        assert!(matches!(Incoming::read(&[22, 254]), Some(Incoming::Dtls([22, 254]))));
        assert!(Incoming::read(&[128]).is_none());
    }
}
