//! Known requests and answers, and every kind of invalid request.

use stun_types::attribute::RawAttribute;
use stun_types::message::MessageWriteVec;

use super::*;
use rfc5769::RFC_5769_REQUEST;

#[path = "rfc5769.rs"]
mod rfc5769;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

type Attributes<'a> = &'a [(u16, &'a [u8])];

/// A request with the given attributes, then USERNAME, then the integrity.
fn request(attributes: Attributes<'_>, algorithm: IntegrityAlgorithm) -> Vec<u8> {
    let mut message = start(attributes);
    message.add_attribute(&Username::new("evtj:h6vY").unwrap()).unwrap();
    message.add_message_integrity_with_key(&Key::new(PASSWORD).0, algorithm).unwrap();
    message.add_fingerprint().unwrap();
    message.finish()
}

fn start(attributes: Attributes<'_>) -> MessageWriteVec {
    let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
    for &(kind, value) in attributes {
        let attribute = RawAttribute::new(kind.into(), value);
        message.add_attribute(&attribute).unwrap();
    }
    message
}

fn parse(datagram: &[u8]) -> Option<Request<'_>> {
    Binding::read(datagram)?.parse()
}

fn local_fragment(datagram: &[u8]) -> Option<&str> {
    Binding::read(datagram)?.local_fragment()
}

fn verify(datagram: &[u8]) -> Result<Check, Refusal> {
    parse(datagram).expect("a request").verify(Some(&Key::new(PASSWORD)))
}

fn refusal(datagram: &[u8], refusal: Refusal) -> Vec<u8> {
    let mut answer = Vec::new();
    let request = parse(datagram).expect("a request");
    request.write_refusal(refusal, Some(&Key::new(PASSWORD)), &mut answer);
    answer
}

#[test]
fn the_request_of_rfc_5769_is_authentic_and_in_conflict() {
    assert_eq!(local_fragment(RFC_5769_REQUEST), Some("evtj"));
    let request = parse(RFC_5769_REQUEST).unwrap();
    assert_eq!(request.verify(Some(&Key::new(PASSWORD))), Err(Refusal::RoleConflict));
    assert_eq!(request.verify(Some(&Key::new("other"))), Err(Refusal::Unauthorized));
    assert_eq!(request.verify(None), Err(Refusal::Unauthorized));
}

#[test]
fn ice_attributes_are_read() {
    let nominated = Check { use_candidate: true, ..Check::default() };
    let nomination = Check { nomination: Some(7), ..Check::default() };
    let cases: [(Attributes<'_>, Check); 6] = [
        (&[], Check::default()),
        (&[(PRIORITY, &[0, 0, 1, 0])], Check::default()),
        (&[(USE_CANDIDATE, &[])], nominated),
        (&[(NOMINATION, &[0, 0, 0, 7])], nomination),
        (&[(NOMINATION_LIBWEBRTC, &[0, 0, 0, 7])], nomination),
        // The first of two counts; ICE-CONTROLLING and an optional attribute are ignored.
        (
            &[
                (NOMINATION, &[0, 0, 0, 7]),
                (NOMINATION, &[0, 0, 0, 8]),
                (0x802A, &[1; 8]),
                (0xC057, &[0; 4]),
            ],
            nomination,
        ),
    ];
    for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
        for (attributes, expected) in cases {
            assert_eq!(verify(&request(attributes, algorithm)), Ok(expected), "{attributes:?}");
        }
    }
}

#[test]
fn attributes_after_the_integrity_are_ignored() {
    let mut datagram = request(&[], IntegrityAlgorithm::Sha1);
    datagram.truncate(datagram.len() - 8);
    datagram.extend_from_slice(&[0x00, 0x25, 0x00, 0x00]);
    let len = u16::try_from(datagram.len() - 20).unwrap();
    datagram[2..4].copy_from_slice(&len.to_be_bytes());
    assert_eq!(verify(&datagram), Ok(Check::default()));

    let mut message = start(&[]);
    message
        .add_message_integrity_with_key(&Key::new(PASSWORD).0, IntegrityAlgorithm::Sha1)
        .unwrap();
    let mut datagram = message.finish();
    datagram.extend_from_slice(b"\x00\x06\x00\x06evtj:x\0\0");
    let len = u16::try_from(datagram.len() - 20).unwrap();
    datagram[2..4].copy_from_slice(&len.to_be_bytes());
    assert_eq!(local_fragment(&datagram), None);
    assert_eq!(verify(&datagram), Err(Refusal::BadRequest));
}

#[test]
fn anything_but_a_well_formed_binding_request_is_dropped() {
    let valid = request(&[(PRIORITY, &[0, 0, 1, 0])], IntegrityAlgorithm::Sha1);
    assert!(parse(&valid).is_some());
    let altered = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut datagram = valid.clone();
        change(&mut datagram);
        datagram
    };
    let cases = [
        ("empty", vec![]),
        ("a header cut short", valid[..19].to_vec()),
        ("cut short", valid[..valid.len() - 4].to_vec()),
        ("longer than it says", altered(&|d| d.extend_from_slice(&[0; 4]))),
        ("no magic cookie", altered(&|d| d[4] ^= 1)),
        ("an indication", altered(&|d| d[1] = 0x11)),
        ("a success response", altered(&|d| d[0..2].copy_from_slice(&[0x01, 0x01]))),
        ("an error response", altered(&|d| d[0..2].copy_from_slice(&[0x01, 0x11]))),
        ("another method", altered(&|d| d[1] = 0x03)),
        ("an attribute past the end", altered(&|d| d[22..24].copy_from_slice(&[0xff, 0xff]))),
        ("a FINGERPRINT that does not match", altered(&|d| d[24] ^= 1)),
        ("PRIORITY of 3 bytes", request(&[(PRIORITY, &[0; 3])], IntegrityAlgorithm::Sha1)),
        ("NOMINATION of 8 bytes", request(&[(NOMINATION, &[0; 8])], IntegrityAlgorithm::Sha1)),
        ("1,500 bytes and more", request(&[(0x8022, &[0; 1500])], IntegrityAlgorithm::Sha1)),
    ];
    for (what, datagram) in cases {
        assert!(parse(&datagram).is_none(), "{what}");
    }
    let odd = altered(&|d| {
        d.extend_from_slice(&[0; 2]);
        d[3] += 2;
    });
    assert!(Binding::read(&odd).is_none(), "a length that is not a multiple of 4");
}

#[test]
fn the_username_fragment_is_read_without_parsing_the_rest() {
    let datagram = |username: &[u8]| start(&[(0x0006, username)]).finish();
    for (username, expected) in [
        (&b"local:remote"[..], Some("local")),
        (b"local:", Some("local")),
        (b"a:b:c", Some("a")),
        (b":remote", Some("")),
        (b"no colon", None),
        (b"", None),
        (b"\xff\xfe:remote", None),
    ] {
        let datagram = datagram(username);
        assert_eq!(local_fragment(&datagram), expected, "{username:?}");
        assert!(parse(&datagram).is_some(), "{username:?}");
    }
    assert_eq!(local_fragment(&start(&[]).finish()), None);
    let mut overlong = datagram(b"local:remote");
    overlong[23] = 13;
    assert_eq!(local_fragment(&overlong), None, "a USERNAME that reaches past the end");
}

#[test]
fn refusals_follow_the_rfcs() {
    let valid = request(&[], IntegrityAlgorithm::Sha1);
    let mut no_integrity = start(&[]);
    no_integrity.add_attribute(&Username::new("evtj:h6vY").unwrap()).unwrap();
    let mut no_username = start(&[]);
    let key = Key::new(PASSWORD).0;
    no_username.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).unwrap();
    let mut forged = valid[..valid.len() - 8].to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let len = u16::try_from(forged.len() - 20).unwrap();
    forged[2..4].copy_from_slice(&len.to_be_bytes());

    for (datagram, expected, code, signed) in [
        (no_integrity.finish(), Refusal::BadRequest, 400, false),
        (no_username.finish(), Refusal::BadRequest, 400, false),
        (forged, Refusal::Unauthorized, 401, false),
        (
            request(&[(0x7777, &[1]), (0x0026, &[])], IntegrityAlgorithm::Sha256),
            Refusal::UnknownAttributes,
            420,
            true,
        ),
        (RFC_5769_REQUEST.to_vec(), Refusal::RoleConflict, 487, true),
    ] {
        assert_eq!(verify(&datagram), Err(expected));
        let answer = refusal(&datagram, expected);
        assert!(answer.len() <= datagram.len(), "{code}");
        let message = Message::from_bytes(&answer).unwrap();
        assert!(message.has_class(MessageClass::Error) && message.has_method(BINDING));
        assert_eq!(message.attribute::<ErrorCode>().unwrap().code(), code);
        assert_eq!(message.validate_integrity_with_key(&key).is_ok(), signed, "{code}");
        assert!(message.has_attribute(Fingerprint::TYPE));
        if code == 420 {
            let unknown = message.attribute::<UnknownAttributes>().unwrap();
            assert!(unknown.has_attribute(0x7777.into()) && unknown.has_attribute(0x26.into()));
        }
    }
}

#[test]
fn no_answer_is_larger_than_its_request() {
    assert!(refusal(&start(&[]).finish(), Refusal::BadRequest).is_empty());
    // The answer lists only some of many unknown attributes.
    let flood: Vec<(u16, &[u8])> = (0x4000..0x4100).map(|kind| (kind, &[][..])).collect();
    for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
        let datagram = request(&flood, algorithm);
        let answer = refusal(&datagram, Refusal::UnknownAttributes);
        assert!(!answer.is_empty() && answer.len() <= MAX_ANSWER_BYTES);
    }
}

#[test]
fn a_success_has_the_mapped_address_and_is_signed() {
    let key = Key::new(PASSWORD);
    for (from, mapped) in [
        ("192.0.2.1:32853", "192.0.2.1:32853"),
        ("[2001:db8::1]:9", "[2001:db8::1]:9"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1:1"),
    ] {
        for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
            // This USERNAME is shorter than those with a fragment of ours, which has 32 characters. A
            // SOFTWARE attribute makes up for that, so that the answer is no larger than the request.
            let datagram = request(&[(0x8022, &[0; 20])], algorithm);
            let mut answer = b"before".to_vec();
            let parsed = parse(&datagram).unwrap();
            parsed.write_success(&key, from.parse().unwrap(), &mut answer);
            let message = Message::from_bytes(&answer["before".len()..]).unwrap();
            assert!(message.has_class(MessageClass::Success) && message.has_method(BINDING));
            assert_eq!(message.transaction_id(), parsed.message.transaction_id());
            assert_eq!(message.validate_integrity_with_key(&key.0).unwrap(), algorithm);
            let address = message.attribute::<XorMappedAddress>().unwrap();
            assert_eq!(address.addr(message.transaction_id()), mapped.parse().unwrap());
        }
    }
}
