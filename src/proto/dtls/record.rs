//! The record layer of DTLS 1.2 (RFC 6347 §4.1), as far as it can be read without keys.
//!
//! ```text
//!   0      1        3      5                 11       13
//! ┌──────┬────────┬──────┬─────────────────┬────────┬─────────
//! │ type │ version│ epoch│ sequence number │ length │ fragment
//! └──────┴────────┴──────┴─────────────────┴────────┴─────────
//! ```

/// Bytes before the fragment.
pub(super) const HEADER_LEN: usize = 13;

/// Larger records are dropped during the handshake. No path of the Internet carries them in a datagram.
pub(super) const MAX_HANDSHAKE_RECORD: usize = 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// `AlertLevel.fatal` (RFC 5246 §7.2).
const FATAL: u8 = 2;

/// The version that some peers send until one is negotiated.
const DTLS_1_0: [u8; 2] = [0xfe, 0xff];
const DTLS_1_2: [u8; 2] = [0xfe, 0xfd];

/// `HandshakeType.client_hello` (RFC 5246 §7.4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// Alerts that we send (RFC 5246 §7.2).
#[derive(Debug, Clone, Copy)]
pub(super) enum Alert {
    UnexpectedMessage = 10,
    HandshakeFailure = 40,
    BadCertificate = 42,
}

/// The well-formed records at the start of a datagram.
pub(super) fn split(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let &[_, _, _, _, _, _, _, _, _, _, _, high, low, ..] = rest else { return None };
        let len = HEADER_LEN + usize::from(u16::from_be_bytes([high, low]));
        let (record, after) = rest.split_at_checked(len)?;
        rest = after;
        Some(record)
    })
}

/// Whether the engine can use a record once the handshake is done: a sealed record, or a plaintext
/// handshake record, with which a peer asks for our last flight again. The engine itself drops forged
/// and replayed records.
pub(super) fn may_follow_the_handshake(record: &[u8]) -> bool {
    let &[content_type, major, minor, epoch_high, epoch_low, ..] = record else { return false };
    let epoch = u16::from_be_bytes([epoch_high, epoch_low]);
    matches!([major, minor], DTLS_1_0 | DTLS_1_2)
        && matches!(
            (epoch, content_type),
            (0, HANDSHAKE) | (1, ALERT | HANDSHAKE | APPLICATION_DATA)
        )
}

/// Whether a record holds sealed data.
pub(super) fn is_data(record: &[u8]) -> bool {
    may_follow_the_handshake(record) && record.first() == Some(&APPLICATION_DATA)
}

/// Whether a datagram starts with a ClientHello.
pub(super) fn is_client_hello(datagram: &[u8]) -> bool {
    datagram.first() == Some(&HANDSHAKE)
        && datagram.get(3..5) == Some(&[0, 0])
        && datagram.get(HEADER_LEN) == Some(&CLIENT_HELLO)
}

/// The random number of an unfragmented ClientHello. It identifies the client.
pub(super) fn hello_random(record: &[u8]) -> Option<&[u8; 32]> {
    let (header, body) = record.get(HEADER_LEN..)?.split_first_chunk::<12>()?;
    let [_, l0, l1, l2, _, _, o0, o1, o2, f0, f1, f2] = *header;
    let whole = [o0, o1, o2] == [0; 3] && [f0, f1, f2] == [l0, l1, l2];
    // The version comes first.
    if is_client_hello(record) && whole { body.get(2..)?.first_chunk() } else { None }
}

/// Whether a datagram starts with a ServerHello.
pub(super) fn is_server_hello(datagram: &[u8]) -> bool {
    datagram.first() == Some(&HANDSHAKE)
        && datagram.get(3..5) == Some(&[0, 0])
        && datagram.get(HEADER_LEN) == Some(&SERVER_HELLO)
}

/// The description of a fatal alert in plaintext.
pub(super) fn plaintext_alert(record: &[u8]) -> Option<u8> {
    match record.split_first_chunk::<HEADER_LEN>()? {
        (&[ALERT, _, _, 0, 0, ..], &[FATAL, description]) => Some(description),
        _ => None,
    }
}

/// A fatal alert before there are keys: epoch 0, with a number beyond those of the handshake.
pub(super) fn fatal_alert(alert: Alert) -> [u8; HEADER_LEN + 2] {
    let [major, minor] = DTLS_1_2;
    [ALERT, major, minor, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, FATAL, alert as u8]
}

/// Whether a record can be part of a handshake. A plaintext handshake record must hold whole fragments
/// of handshake messages: the engine would queue a record that it cannot read, and take an empty
/// fragment for the real one.
pub(super) fn may_be_of_the_handshake(record: &[u8]) -> bool {
    let Some((&[content_type, major, minor, epoch_high, epoch_low, ..], fragment)) =
        record.split_first_chunk::<HEADER_LEN>()
    else {
        return false;
    };
    matches!([major, minor], DTLS_1_0 | DTLS_1_2)
        && match (u16::from_be_bytes([epoch_high, epoch_low]), content_type) {
            (0, HANDSHAKE) => are_messages(fragment),
            (0, CHANGE_CIPHER_SPEC) => fragment == [1],
            (0, ALERT) => fragment.len() == 2,
            (1, ALERT | HANDSHAKE) => true,
            _ => false,
        }
}

/// Whether the content of a record is one or more whole fragments of handshake messages (RFC 6347
/// §4.2.2). No fragment may reach past the length of its message, and only an empty message may have an
/// empty fragment.
fn are_messages(mut rest: &[u8]) -> bool {
    loop {
        let &[_, l0, l1, l2, _, _, o0, o1, o2, f0, f1, f2, ref body @ ..] = rest else {
            return false;
        };
        let u24 = |bytes: [u8; 3]| {
            usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2])
        };
        let (message, offset, len) = (u24([l0, l1, l2]), u24([o0, o1, o2]), u24([f0, f1, f2]));
        if offset + len > message || (len == 0 && message > 0) {
            return false;
        }
        match body.get(len..) {
            Some([]) => return true,
            Some(after) => rest = after,
            None => return false,
        }
    }
}

/// Returns a datagram that starts with a plaintext handshake message, without the record number, because only
/// that changes in a retransmission.
pub(super) fn handshake_message(datagram: &[u8]) -> Option<&[u8]> {
    match datagram {
        [HANDSHAKE, _, _, 0, 0, _, _, _, _, _, _, message @ ..] => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, version: [u8; 2], epoch: u8, fragment: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, version[0], version[1], 0, epoch, 0, 0, 0, 0, 0, 7];
        record.extend_from_slice(&(fragment.len() as u16).to_be_bytes());
        record.extend_from_slice(fragment);
        record
    }

    #[test]
    fn splits_a_datagram_up_to_the_first_malformed_record() {
        let one = record(APPLICATION_DATA, DTLS_1_2, 1, b"one");
        let none = record(APPLICATION_DATA, DTLS_1_2, 1, b"");
        let all = [one.clone(), none.clone(), one.clone()].concat();
        assert_eq!(split(&all).collect::<Vec<_>>(), [&one, &none, &one]);
        for len in 0..one.len() {
            assert_eq!(split(&one[..len]).count(), 0, "cut at {len}");
            assert_eq!(split(&[&one[..], &one[..len]].concat()).count(), 1, "cut at {len}");
        }
        let mut overlong = one.clone();
        overlong[11] = 0xff;
        assert_eq!(split(&[one, overlong].concat()).count(), 1);
    }

    #[test]
    fn only_sealed_records_and_plaintext_handshakes_follow_the_handshake() {
        for content_type in 0..=255 {
            for epoch in 0..=3 {
                let expected = match epoch {
                    0 => content_type == HANDSHAKE,
                    1 => [ALERT, HANDSHAKE, APPLICATION_DATA].contains(&content_type),
                    _ => false,
                };
                for version in [DTLS_1_0, DTLS_1_2] {
                    let record = record(content_type, version, epoch, b"x");
                    assert_eq!(may_follow_the_handshake(&record), expected, "{record:?}");
                }
                let record = record(content_type, [3, 3], epoch, b"x");
                assert!(!may_follow_the_handshake(&record), "TLS, not DTLS: {record:?}");
            }
        }
        assert!(!may_follow_the_handshake(&[]));
    }

    #[test]
    fn the_fatal_alert_is_one_whole_plaintext_record() {
        let alert = fatal_alert(Alert::BadCertificate);
        assert_eq!(split(&alert).collect::<Vec<_>>(), [&alert]);
        assert_eq!(alert[..5], [21, 0xfe, 0xfd, 0, 0]);
        assert_eq!(alert[11..], [0, 2, 2, 42]);
        assert_eq!(plaintext_alert(&alert), Some(42));
        let warning = record(ALERT, DTLS_1_2, 0, &[1, 42]);
        let sealed = record(ALERT, DTLS_1_2, 1, &[2, 42]);
        assert_eq!([warning, sealed].map(|it| plaintext_alert(&it)), [None; 2]);
    }

    #[test]
    fn handshakes_are_made_of_whole_fragments() {
        let message = [&[2, 0, 0, 9, 0, 0, 0, 0, 3, 0, 0, 6][..], b"abcdef"].concat();
        let done = [14, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let good = |content_type, epoch, fragment: &[u8]| {
            may_be_of_the_handshake(&record(content_type, DTLS_1_2, epoch, fragment))
        };
        let plain = |fragment: &[u8]| good(HANDSHAKE, 0, fragment);
        assert!(plain(&message));
        assert!(plain(&[&message[..], &done].concat()));
        assert!(good(CHANGE_CIPHER_SPEC, 0, &[1]));
        assert!(good(ALERT, 0, &[2, 40]));
        assert!(good(HANDSHAKE, 1, &[9; 40]) && good(ALERT, 1, &[9; 26]));
        assert!(may_be_of_the_handshake(&record(ALERT, DTLS_1_0, 0, &[2, 40])));

        assert!(!may_be_of_the_handshake(&[]));
        assert!(!may_be_of_the_handshake(&record(HANDSHAKE, [3, 3], 0, &message)));
        assert!(!good(HANDSHAKE, 2, &message));
        assert!(!good(CHANGE_CIPHER_SPEC, 0, &[2]));
        assert!(!good(CHANGE_CIPHER_SPEC, 1, &[1]));
        assert!(!good(APPLICATION_DATA, 0, &[1]) && !good(APPLICATION_DATA, 1, &[9; 40]));
        assert!(!good(ALERT, 0, &[2]));
        for len in 0..message.len() {
            assert!(!plain(&message[..len]), "cut at {len}");
        }
        let change = |at: usize, byte| {
            let mut message = message.clone();
            message[at] = byte;
            plain(&message)
        };
        assert!(!change(3, 8), "ends after its message");
        assert!(!change(11, 5), "followed by something else");
        assert!(!plain(&[2, 0, 0, 9, 0, 0, 0, 0, 3, 0, 0, 0]), "empty");
    }

    #[test]
    fn a_client_is_named_by_the_random_number_of_its_hello() {
        let random: [u8; 32] = std::array::from_fn(|at| at as u8);
        let hello = |length: u8, offset: u8, fragment: u8| {
            let header = [CLIENT_HELLO, 0, 0, length, 0, 0, 0, 0, offset, 0, 0, fragment];
            let message = [&header[..], &DTLS_1_2, &random, &[0; 8]].concat();
            record(HANDSHAKE, DTLS_1_0, 0, &message)
        };
        let good = hello(42, 0, 42);
        assert_eq!(hello_random(&good), Some(&random));
        for bad in [hello(43, 0, 42), hello(43, 1, 42)] {
            assert_eq!(hello_random(&bad), None, "in pieces");
        }
        for len in 0..HEADER_LEN + 12 + 2 + 32 {
            assert_eq!(hello_random(&good[..len]), None, "cut at {len}");
        }
        let mut other = good.clone();
        other[HEADER_LEN] = SERVER_HELLO;
        assert_eq!(hello_random(&other), None);
        assert!(is_server_hello(&other) && !is_server_hello(&good));
    }

    #[test]
    fn a_retransmission_is_recognised_by_all_but_its_record_number() {
        let hello = record(HANDSHAKE, DTLS_1_0, 0, &[CLIENT_HELLO, 0, 0, 9]);
        let mut again = hello.clone();
        again[10] += 1;
        assert!(is_client_hello(&hello));
        assert!(handshake_message(&hello).is_some());
        assert_eq!(handshake_message(&hello), handshake_message(&again));
        assert_eq!(handshake_message(&record(HANDSHAKE, DTLS_1_2, 1, b"sealed")), None);
        assert_eq!(handshake_message(&record(ALERT, DTLS_1_2, 0, &[2, 40])), None);
        assert_eq!(handshake_message(&hello[..10]), None);
        assert!(!is_client_hello(&hello[..HEADER_LEN]));
    }
}
