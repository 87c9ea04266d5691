//! The checksums of sctp-proto and stun-types: see `crates/crc`.

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, Crc, Table};

const ISCSI: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
const ISO_HDLC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

fn of<I>(crc: &Crc<u32, I>, parts: &[&[u8]]) -> u32 {
    let mut digest = crc.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

/// Bit by bit, with the reversed polynomial.
fn bitwise(polynomial: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (polynomial & 0u32.wrapping_sub(crc & 1));
        }
        crc
    })
}

#[test]
fn the_check_values_of_the_catalogue() {
    assert_eq!(of(&ISCSI, &[b"123456789"]), 0xe306_9283);
    assert_eq!(of(&ISO_HDLC, &[b"123456789"]), 0xcbf4_3926);
}

#[test]
fn every_length_whole_and_in_three_parts_at_any_alignment() {
    let bytes: Vec<u8> = (0..3000u32).map(|n| (n * n % 251) as u8).collect();
    for len in (0..200).chain([255, 256, 767, 768, 1023, 1024, 1025, 1200, 2999]) {
        let bytes = &bytes[len % 2..][..len];
        let (head, rest) = bytes.split_at(len / 3);
        let (middle, tail) = rest.split_at(rest.len() / 2);
        for parts in [&[bytes][..], &[head, middle, tail]] {
            assert_eq!(of(&ISCSI, parts), bitwise(0x82f6_3b78, bytes), "{len} bytes");
            assert_eq!(of(&ISO_HDLC, parts), bitwise(0xedb8_8320, bytes), "{len} bytes");
        }
    }
}
