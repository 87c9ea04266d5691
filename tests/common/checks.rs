//! The connectivity checks of a full and controlling ICE agent with one address: its requests (RFC
//! 8445 §7.2.4), and how it reads the answers.

use std::net::SocketAddr;
use std::time::Duration;

use datasoup::sfu::contract::parameters::IceParameters;
use stun_types::attribute::{ErrorCode, RawAttribute, Username, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageWrite, MessageWriteExt,
    MessageWriteVec, ShortTermCredentials,
};

/// The interval between checks before the first answer.
pub(crate) const CHECK: Duration = Duration::from_millis(50);
/// The interval between checks after the first answer, as in browsers: these checks renew consent (RFC 7675).
pub(crate) const CONSENT: Duration = Duration::from_millis(2500);

const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLING: u16 = 0x802A;

/// A check with these credentials. If `nominates`, the check has USE-CANDIDATE.
pub(crate) fn check(ice: &IceParameters, nominates: bool) -> Vec<u8> {
    let attributes: &[(u16, &[u8])] = if nominates { &[(USE_CANDIDATE, &[])] } else { &[] };
    request(&ice.username_fragment, &ice.password, attributes)
}

/// A check with these attributes besides PRIORITY and ICE-CONTROLLING.
pub(crate) fn request(
    username_fragment: &str,
    password: &str,
    attributes: &[(u16, &[u8])],
) -> Vec<u8> {
    let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
    let username = format!("{username_fragment}:theirs");
    message.add_attribute(&Username::new(&username).expect("short")).expect("room");
    let common: [(u16, &[u8]); 2] = [(PRIORITY, &[0x6e, 0, 1, 0xff]), (ICE_CONTROLLING, &[7; 8])];
    for (kind, value) in common.iter().chain(attributes) {
        message.add_attribute(&RawAttribute::new((*kind).into(), value)).expect("room");
    }
    let key = ShortTermCredentials::new(password.to_owned()).make_key();
    message.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).expect("room");
    message.add_fingerprint().expect("room");
    message.finish()
}

/// An answer to a check.
pub(crate) enum Answer {
    /// A success response, with the mapped address of the client: the path works.
    #[allow(dead_code, reason = "not every client reads it")]
    Success(SocketAddr),
    /// An error response, with its ERROR-CODE.
    Refusal(u16),
    /// An answer to a check with another password, for example from before an ICE restart.
    Foreign,
}

/// Reads a valid answer of a server.
pub(crate) fn read_answer(datagram: &[u8], ice: &IceParameters) -> Answer {
    let answer = Message::from_bytes(datagram).expect("an answer is well-formed");
    if answer.class() == MessageClass::Error {
        let error = answer.attribute::<ErrorCode>().expect("an error has a code");
        return Answer::Refusal(error.code());
    }
    assert_eq!(answer.class(), MessageClass::Success);
    let key = ShortTermCredentials::new(ice.password.clone()).make_key();
    if answer.validate_integrity_with_key(&key).is_err() {
        return Answer::Foreign;
    }
    let mapped = answer.attribute::<XorMappedAddress>().expect("what a success is for");
    Answer::Success(mapped.addr(answer.transaction_id()))
}
