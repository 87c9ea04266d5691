//! The connectivity checks of a full and controlling ICE agent with one address: what a client sends
//! (RFC 8445 §7.2.4), and what it reads from the answers.

use std::net::SocketAddr;
use std::time::Duration;

use datasoup::sfu::contract::parameters::IceParameters;
use stun_types::attribute::{ErrorCode, RawAttribute, Username, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageWrite, MessageWriteExt,
    MessageWriteVec, ShortTermCredentials,
};

/// Between two checks before the first answer.
pub(crate) const CHECK: Duration = Duration::from_millis(50);
/// The same after it, as browsers do for consent (RFC 7675).
pub(crate) const CONSENT: Duration = Duration::from_millis(2500);

const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLING: u16 = 0x802A;

/// A check, authentic by the credentials given; `nominates` by USE-CANDIDATE.
pub(crate) fn check(ice: &IceParameters, nominates: bool) -> Vec<u8> {
    let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
    let username = format!("{}:theirs", ice.username_fragment);
    message.add_attribute(&Username::new(&username).expect("short")).expect("room");
    message.add_attribute(&RawAttribute::new(PRIORITY.into(), &[0x6e, 0, 1, 0xff])).expect("room");
    message.add_attribute(&RawAttribute::new(ICE_CONTROLLING.into(), &[7; 8])).expect("room");
    if nominates {
        message.add_attribute(&RawAttribute::new(USE_CANDIDATE.into(), &[])).expect("room");
    }
    let key = ShortTermCredentials::new(ice.password.clone()).make_key();
    message.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).expect("room");
    message.add_fingerprint().expect("room");
    message.finish()
}

/// An answer to a check.
pub(crate) enum Answer {
    /// The path works; the check came from here.
    #[allow(dead_code, reason = "not every client wants to know how it is seen")]
    Success(SocketAddr),
    /// An ERROR-CODE.
    Refusal(u16),
    /// To a check with another password, from before a restart say.
    Foreign,
}

/// Reads an answer of a server, which is expected to make sense.
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
