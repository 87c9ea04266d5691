//! Any STUN request, as it is and with a valid integrity.

use std::net::SocketAddr;

use datasoup::proto::ice_lite::{IceLite, IceState};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::stun::{Binding, Key, Refusal};
use datasoup::proto::transmit::Transmits;
use stun_types::attribute::{Attribute, AttributeStaticType, RawAttribute, Username};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageWrite, MessageWriteExt,
    MessageWriteVec, ShortTermCredentials,
};

use crate::input::Input;
use crate::sim::start;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// The first byte of `data` says whether the request is signed. The rest is the datagram, or its attributes: a type of
/// two bytes, a length of one byte, and the value.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let algorithm = match input.byte() % 4 {
        0 | 1 => None,
        2 => Some(IntegrityAlgorithm::Sha1),
        _ => Some(IntegrityAlgorithm::Sha256),
    };
    let datagram = match algorithm {
        Some(algorithm) => signed(input, algorithm),
        None => input.rest().to_vec(),
    };
    let key = Key::new(PASSWORD);
    let binding = Binding::read(&datagram);
    if let Some(binding) = binding {
        check_fragment(binding, &datagram);
    }
    if let Some(request) = binding.and_then(Binding::parse) {
        assert!(request.verify(None).is_err());
        let decision = request.verify(Some(&key));
        if algorithm.is_some() {
            assert!(!matches!(decision, Err(Refusal::BadRequest | Refusal::Unauthorized)));
        }
        for from in ["192.0.2.1:1", "[::ffff:192.0.2.1]:2", "[2001:db8::1]:65535"] {
            let from: SocketAddr = from.parse().expect("an address");
            check_answer(&datagram, MessageClass::Success, algorithm, |out| {
                request.write_success(&key, from, out);
            });
        }
        for refusal in [Refusal::BadRequest, Refusal::Unauthorized] {
            check_answer(&datagram, MessageClass::Error, None, |out| {
                request.write_refusal(refusal, Some(&key), out);
            });
        }
        for refusal in [Refusal::UnknownAttributes, Refusal::RoleConflict] {
            check_answer(&datagram, MessageClass::Error, algorithm, |out| {
                request.write_refusal(refusal, Some(&key), out);
            });
        }
    }
    check_agent(&datagram);
}

/// A request that only a sender with the password can make.
fn signed(mut input: Input<'_>, algorithm: IntegrityAlgorithm) -> Vec<u8> {
    let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
    while !input.is_empty() {
        let kind = input.u16();
        let len = input.byte();
        let value = input.take(len.into());
        // The attributes that end the signed part are added below.
        if ![0x0008, 0x001C, 0x8028].contains(&kind) {
            let attribute = RawAttribute::new(kind.into(), value);
            let _ = message.add_attribute(&attribute);
        }
    }
    message.add_attribute(&Username::new("evtj:h6vY").expect("short")).expect("room");
    let key = ShortTermCredentials::new(PASSWORD.to_owned()).make_key();
    message.add_message_integrity_with_key(&key, algorithm).expect("room");
    message.add_fingerprint().expect("room");
    message.finish()
}

/// Checks the fragment against the first USERNAME that stun-types finds.
fn check_fragment(binding: Binding<'_>, datagram: &[u8]) {
    let Ok(message) = Message::from_bytes(datagram) else { return };
    let mut attributes = message.iter_attributes();
    let username = attributes.find(|(_, it)| it.get_type() == Username::TYPE);
    let local = username.and_then(|(_, it)| {
        // Only the part before the colon is compared, as the remote part need not be UTF-8.
        let colon = it.value.iter().position(|byte| *byte == b':')?;
        String::from_utf8(it.value[..colon].to_vec()).ok()
    });
    assert_eq!(binding.local_fragment(), local.as_deref());
}

/// Checks that an answer is no larger than the request, has its transaction, and is signed if the
/// request was.
fn check_answer(
    datagram: &[u8],
    class: MessageClass,
    algorithm: Option<IntegrityAlgorithm>,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let mut out = vec![9];
    write(&mut out);
    assert_eq!(out[0], 9, "the answer must be appended to what the buffer holds");
    let answer = &out[1..];
    assert!(
        answer.len() <= datagram.len(),
        "the answer is larger than the request: {} bytes",
        answer.len()
    );
    if answer.is_empty() {
        return;
    }
    let answer = Message::from_bytes(answer).expect("a well-formed answer");
    assert_eq!(answer.class(), class);
    assert_eq!(answer.method(), BINDING);
    assert_eq!(datagram[8..20], out[9..21], "the answer has another transaction ID");
    if let Some(algorithm) = algorithm {
        let key = ShortTermCredentials::new(PASSWORD.to_owned()).make_key();
        assert_eq!(answer.validate_integrity_with_key(&key).expect("signed"), algorithm);
    }
}

/// Checks that the request creates no state in a new agent, whose credentials it cannot know.
fn check_agent(datagram: &[u8]) {
    let mut agent = IceLite::new(None);
    let mut transmits = Transmits::default();
    let tuple = Tuple::new(SocketId(1), SocketAddr::from(([192, 0, 2, 1], 9)));
    if let Some(binding) = Binding::read(datagram) {
        agent.handle_request(start(), tuple, binding, &mut transmits);
    }
    assert_eq!(agent.state(), IceState::New);
    assert_eq!(agent.tuples().count(), 0);
    assert_eq!(agent.poll_event(), None);
    assert!(transmits.bytes() <= datagram.len());
}
