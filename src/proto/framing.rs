//! Datagrams over TCP (RFC 4571 §2, as in RFC 6544 §3): a length in two bytes, then the datagram.

/// The largest datagram that is accepted, larger than any STUN message or DTLS flight. A longer one is
/// a protocol error and ends the connection.
pub const MAX_FRAME: usize = 16 * 1024;

/// The length in front of each datagram.
pub const PREFIX: usize = 2;

/// Takes whole frames from the front of `bytes`, at most as many as are `allowed`, and passes each to
/// `handle`. Empty frames are counted and skipped (RFC 4571 §2). Returns false if the next length is
/// over [`MAX_FRAME`].
pub fn take_frames(
    bytes: &mut Vec<u8>,
    allowed: &mut usize,
    handle: &mut impl FnMut(&[u8]),
) -> bool {
    let mut taken = 0;
    let sane = loop {
        if *allowed == 0 {
            break true;
        }
        let Some((prefix, rest)) = bytes[taken..].split_first_chunk::<PREFIX>() else { break true };
        let len = usize::from(u16::from_be_bytes(*prefix));
        if len > MAX_FRAME {
            break false;
        }
        let Some(datagram) = rest.get(..len) else { break true };
        if !datagram.is_empty() {
            handle(datagram);
        }
        *allowed -= 1;
        taken += PREFIX + len;
    };
    bytes.drain(..taken);
    sane
}

/// Appends `datagram` to `bytes`, framed. Over 65,535 bytes it appends nothing and returns false.
pub fn push_frame(bytes: &mut Vec<u8>, datagram: &[u8]) -> bool {
    let Ok(len) = u16::try_from(datagram.len()) else { return false };
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(datagram);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &mut Vec<u8>) -> (bool, Vec<Vec<u8>>) {
        let mut taken = Vec::new();
        let sane =
            take_frames(bytes, &mut 1000, &mut |datagram: &[u8]| taken.push(datagram.to_vec()));
        (sane, taken)
    }

    #[test]
    fn frames_are_taken_whole_however_they_arrive() {
        let mut stream = Vec::new();
        for datagram in [&[1, 2, 3][..], &[], &[4, 5]] {
            assert!(push_frame(&mut stream, datagram));
        }
        assert_eq!(stream, [0, 3, 1, 2, 3, 0, 0, 0, 2, 4, 5]);
        let mut bytes = Vec::new();
        let mut got = Vec::new();
        for &byte in &stream {
            bytes.push(byte);
            let (sane, taken) = frames(&mut bytes);
            assert!(sane);
            got.extend(taken);
        }
        assert_eq!(got, [vec![1, 2, 3], vec![4, 5]]);
        assert!(bytes.is_empty());
        assert_eq!(frames(&mut stream).1, got);
    }

    #[test]
    fn a_length_over_the_maximum_is_rejected() {
        let mut bytes = vec![0, 1, 7, 0xff, 0xff];
        let (sane, taken) = frames(&mut bytes);
        assert!(!sane);
        assert_eq!(taken, [vec![7]]);
    }

    #[test]
    fn no_more_frames_are_taken_than_allowed_and_empty_ones_count() {
        let mut bytes = [[0, 0]; 10].concat();
        bytes.extend([0, 1, 7, 0, 1, 8]);
        let mut taken = Vec::new();
        let mut handle = |datagram: &[u8]| taken.push(datagram.to_vec());
        for _ in 0..3 {
            let mut allowed = 4;
            assert!(take_frames(&mut bytes, &mut allowed, &mut handle));
            assert_eq!(allowed, 0);
        }
        assert_eq!(taken, [[7], [8]]);
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_datagram_too_long_for_its_length_field_is_not_framed() {
        let mut bytes = vec![9];
        assert!(!push_frame(&mut bytes, &vec![0; 65_536]));
        assert_eq!(bytes, [9]);
    }
}
