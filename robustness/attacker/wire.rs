//! Bytes that several attacks write: SCTP packets with a fast checksum, INITs, and connectivity checks.

use datasoup::sfu::contract::parameters::IceParameters;

use crate::checks;
use crate::packet::{self, INIT};

/// A packet with a valid checksum (RFC 9260 §3.1).
pub(crate) fn packet(tag: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = vec![0x13, 0x88, 0x13, 0x88];
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(chunks.concat());
    let sum = crc32c::crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// An INIT that offers RE-CONFIG and FORWARD TSN (RFC 3758 §3.1, RFC 5061 §4.2.7), with all streams.
pub(crate) fn init(tag: u32, tsn: u32) -> Vec<u8> {
    let padding = [0, 0];
    let forward_tsn_supported = packet::parameter(0xc000, &[]);
    let parameters = [&packet::extensions()[..], &padding, &forward_tsn_supported].concat();
    packet::init(INIT, tag, (u16::MAX, u16::MAX), tsn, &parameters)
}

/// A connectivity check that nominates (RFC 8445 §7.1).
pub(crate) fn check(username_fragment: &str, password: &str) -> Vec<u8> {
    let ice = IceParameters {
        username_fragment: username_fragment.to_owned(),
        password: password.to_owned(),
        ice_lite: true,
    };
    checks::check(&ice, true)
}
