//! STUN Binding requests, as an ICE-Lite agent receives and answers them.
//!
//! RFC 8489 for the messages, RFC 8445 §7.3 for what ICE adds to a server. Only requests are
//! read: a lite agent sends none, so it expects neither responses nor indications.
//!
//! ```text
//! datagram ─► Binding::read ─► Binding ─► parse ─► Request ─► verify ─┬─ Ok(Check)    ─► write_success
//!                 │            USERNAME     │                         └─ Err(Refusal) ─► write_refusal
//!                 └─ None                   └─ None: malformed; dropped without an answer
//! ```
//!
//! A [`Binding`] costs little: it routes a request on a shared port and picks its quota, before the
//! request is parsed and hashed.
//!
//! No answer is larger than its request, so a forged source address amplifies nothing. An honest
//! peer still gets every answer: a request that carries a USERNAME of ours and an integrity (84
//! bytes or more) is always larger than the largest success (76 bytes over IPv6).

use std::fmt;
use std::net::SocketAddr;

use stun_types::attribute::{
    Attribute, AttributeStaticType, AttributeType, ErrorCode, Fingerprint, MessageIntegrity,
    MessageIntegritySha256, UnknownAttributes, Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageHeader, MessageType,
    MessageWrite, MessageWriteExt, MessageWriteMutSlice, ShortTermCredentials, StunWriteError,
};

/// A check fits an MTU. Longer requests are not worth parsing and hashing.
const MAX_REQUEST_BYTES: usize = 1500;

/// The longest answer: a 420 with [`MAX_UNKNOWN`] attributes and the longer of the two integrities.
const MAX_ANSWER_BYTES: usize = 128;

/// How many unknown attributes a 420 lists.
const MAX_UNKNOWN: usize = 16;

// ICE's attributes (RFC 8445 §16.1). NOMINATION has two numbers: 0x0030 in
// draft-thatcher-ice-renomination, 0xC001 in what libwebrtc sends.
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const NOMINATION: u16 = 0x0030;
const ICE_CONTROLLED: u16 = 0x8029;
const NOMINATION_LIBWEBRTC: u16 = 0xC001;

/// The comprehension-required attributes that are known. Those that RFC 8489 defines for other
/// messages are ignored (§6.3), not rejected.
const KNOWN: &[u16] = &[
    0x0001, // MAPPED-ADDRESS
    0x0006, // USERNAME
    0x0008, // MESSAGE-INTEGRITY
    0x0009, // ERROR-CODE
    0x000A, // UNKNOWN-ATTRIBUTES
    0x0014, // REALM
    0x0015, // NONCE
    0x001C, // MESSAGE-INTEGRITY-SHA256
    0x001D, // PASSWORD-ALGORITHM
    0x001E, // USERHASH
    0x0020, // XOR-MAPPED-ADDRESS
    PRIORITY,
    USE_CANDIDATE,
    NOMINATION,
];

/// A datagram that can be a Binding request by its header, read up to its USERNAME. Nothing is
/// verified.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    datagram: &'a [u8],
    /// The first USERNAME before the integrity.
    username: Option<&'a [u8]>,
}

impl<'a> Binding<'a> {
    /// Reads the header and the USERNAME. `None` if type, magic cookie or length are not those of a
    /// Binding request (RFC 8489 §5, §6.3), or the datagram is over 1,500 bytes. Allocates nothing.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let request = MessageType::from_class_method(MessageClass::Request, BINDING);
        let header = MessageHeader::from_bytes(datagram).ok()?;
        let len = MessageHeader::LENGTH + usize::from(header.data_length());
        let plausible = header.get_type() == request
            && len == datagram.len()
            && len.is_multiple_of(4)
            && len <= MAX_REQUEST_BYTES;
        plausible.then(|| Self { datagram, username: find_username(datagram) })
    }

    /// Our part of the USERNAME, which is `local:remote`. `None` without such a USERNAME.
    pub fn local_fragment(&self) -> Option<&'a str> {
        let username = self.username?;
        let colon = username.iter().position(|&byte| byte == b':')?;
        std::str::from_utf8(username.get(..colon)?).ok()
    }

    /// Parses all attributes. `None` if one reaches past the end or has the wrong size, or if the
    /// FINGERPRINT does not match.
    pub fn parse(self) -> Option<Request<'a>> {
        // This also verifies the FINGERPRINT, if there is one.
        let message = Message::from_bytes(self.datagram).ok()?;
        let mut request = Request {
            message,
            has_username: self.username.is_some(),
            integrity: None,
            controlled: false,
            check: Check::default(),
        };
        // The loop ends after the integrity, which does not cover the attributes that follow. If an
        // attribute occurs twice, the first counts (RFC 8489 §14).
        for (offset, attribute) in message.iter_attributes() {
            let start = offset + 4;
            let value = self.datagram.get(start..start + usize::from(attribute.length()))?;
            match attribute.get_type() {
                MessageIntegrity::TYPE => request.integrity = Some(IntegrityAlgorithm::Sha1),
                MessageIntegritySha256::TYPE => {
                    request.integrity = Some(IntegrityAlgorithm::Sha256);
                }
                other => request.read_ice_attribute(other.value(), value)?,
            }
        }
        Some(request)
    }
}

/// The value of the first USERNAME that an integrity can cover.
fn find_username(datagram: &[u8]) -> Option<&[u8]> {
    let mut rest = datagram.get(MessageHeader::LENGTH..)?;
    while let [type_hi, type_lo, len_hi, len_lo, tail @ ..] = rest {
        let attribute = AttributeType::new(u16::from_be_bytes([*type_hi, *type_lo]));
        let len = usize::from(u16::from_be_bytes([*len_hi, *len_lo]));
        match attribute {
            Username::TYPE => return tail.get(..len),
            // The integrity does not cover what follows it (RFC 8489 §14.5).
            MessageIntegrity::TYPE | MessageIntegritySha256::TYPE | Fingerprint::TYPE => {
                return None;
            }
            _ => rest = tail.get(len.next_multiple_of(4)..)?,
        }
    }
    None
}

/// The password of a username fragment, ready to sign and to verify with.
#[derive(Clone)]
pub struct Key(IntegrityKey);

impl Key {
    /// Makes the key of an ICE `password`, which is ASCII and so needs no preparation (RFC 8489
    /// §9.1.1).
    pub fn new(password: &str) -> Self {
        Self(ShortTermCredentials::new(password.to_owned()).make_key())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)") // a password must not appear in a log
    }
}

/// A well-formed Binding request that is not verified yet.
#[derive(Debug)]
pub struct Request<'a> {
    message: Message<'a>,
    has_username: bool,
    integrity: Option<IntegrityAlgorithm>,
    controlled: bool,
    check: Check,
}

/// What an authentic connectivity check says (RFC 8445 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Check {
    /// USE-CANDIDATE: the peer nominates this path.
    pub use_candidate: bool,
    /// NOMINATION: the peer nominates this path if the value is higher than those before
    /// (draft-thatcher-ice-renomination).
    pub nomination: Option<u32>,
}

/// Why a request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No USERNAME or no integrity (RFC 8489 §9.1.3).
    BadRequest,
    /// A USERNAME that is not ours, or an integrity of another password (RFC 8489 §9.1.3).
    Unauthorized,
    /// A comprehension-required attribute that we do not know (RFC 8489 §6.3.1).
    UnknownAttributes,
    /// The peer claims to be controlled. A lite agent never controls a full one, so the peer must
    /// change its role (RFC 8445 §6.1.1, §7.3.1.1).
    RoleConflict,
}

impl Refusal {
    /// The ERROR-CODE (RFC 8489 §14.8).
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => ErrorCode::BAD_REQUEST,
            Self::Unauthorized => ErrorCode::UNAUTHORIZED,
            Self::UnknownAttributes => ErrorCode::UNKNOWN_ATTRIBUTE,
            Self::RoleConflict => ErrorCode::ROLE_CONFLICT,
        }
    }

    /// Whether the request was authentic, and the answer must be (RFC 8489 §9.1.3).
    fn is_signed(self) -> bool {
        matches!(self, Self::UnknownAttributes | Self::RoleConflict)
    }
}

impl Request<'_> {
    fn read_ice_attribute(&mut self, attribute: u16, value: &[u8]) -> Option<()> {
        let check = &mut self.check;
        match attribute {
            // Only its size is checked: it is the priority of a candidate that a lite agent does not learn.
            // The consent checks of some stacks leave it out.
            PRIORITY => _ = be_u32(value)?,
            USE_CANDIDATE => check.use_candidate = true,
            NOMINATION | NOMINATION_LIBWEBRTC => {
                check.nomination = check.nomination.or(Some(be_u32(value)?));
            }
            ICE_CONTROLLED => self.controlled = true,
            _ => {}
        }
        Some(())
    }

    /// Verifies the request, in the order of RFC 8489 §9.1.3 and §6.3.1 and RFC 8445 §7.3.1.1.
    /// `key` is that of [`Binding::local_fragment`], or `None` if that is not ours. Integrities are
    /// compared in constant time.
    pub fn verify(&self, key: Option<&Key>) -> Result<Check, Refusal> {
        if !self.has_username || self.integrity.is_none() {
            return Err(Refusal::BadRequest);
        }
        let Some(Key(key)) = key else { return Err(Refusal::Unauthorized) };
        if self.message.validate_integrity_with_key(key).is_err() {
            return Err(Refusal::Unauthorized);
        }
        if self.unknown_attributes().next().is_some() {
            return Err(Refusal::UnknownAttributes);
        }
        if self.controlled {
            return Err(Refusal::RoleConflict);
        }
        Ok(self.check)
    }

    /// Appends the success response with `mapped`, the source of the request, and an integrity of
    /// the same kind as the request's.
    pub fn write_success(&self, key: &Key, mapped: SocketAddr, out: &mut Vec<u8>) {
        // A dual-stack socket reports IPv4 peers as ::ffff:a.b.c.d, which they would not recognise.
        let mapped = SocketAddr::new(mapped.ip().to_canonical(), mapped.port());
        self.answer(MessageClass::Success, Some(key), out, |message| {
            message.add_attribute(&XorMappedAddress::new(mapped, self.message.transaction_id()))
        });
    }

    /// Appends the error response, or nothing if it would be larger than the request. `key` is that
    /// of [`Self::verify`].
    pub fn write_refusal(&self, refusal: Refusal, key: Option<&Key>, out: &mut Vec<u8>) {
        let key = key.filter(|_| refusal.is_signed());
        self.answer(MessageClass::Error, key, out, |message| {
            // Without a reason phrase, to keep the answer small.
            message.add_attribute(&ErrorCode::new(refusal.code(), "")?)?;
            if refusal == Refusal::UnknownAttributes {
                let unknown: Vec<_> = self.unknown_attributes().take(MAX_UNKNOWN).collect();
                message.add_attribute(&UnknownAttributes::new(&unknown))?;
            }
            Ok(())
        });
    }

    /// Builds an answer with the attributes that `write` adds, and appends it to `out` unless it is
    /// larger than the request.
    fn answer(
        &self,
        class: MessageClass,
        key: Option<&Key>,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut MessageWriteMutSlice<'_>) -> Result<(), StunWriteError>,
    ) {
        let mut buffer = [0; MAX_ANSWER_BYTES];
        let build = || {
            let mut message = Message::builder(
                MessageType::from_class_method(class, BINDING),
                self.message.transaction_id(),
                MessageWriteMutSlice::new(&mut buffer),
            );
            write(&mut message)?;
            if let (Some(Key(key)), Some(algorithm)) = (key, self.integrity) {
                message.add_message_integrity_with_key(key, algorithm)?;
            }
            message.add_fingerprint()?;
            Ok::<_, StunWriteError>(message.finish())
        };
        match build() {
            Ok(len) if len <= self.message.as_bytes().len() => {
                out.extend_from_slice(&buffer[..len]);
            }
            Ok(_) => {}
            Err(error) => debug_assert!(false, "every answer fits the buffer: {error}"),
        }
    }

    fn unknown_attributes(&self) -> impl Iterator<Item = AttributeType> {
        self.message
            .iter_attributes()
            .map(|(_, attribute)| attribute.get_type())
            .filter(|kind| kind.comprehension_required() && !KNOWN.contains(&kind.value()))
    }
}

fn be_u32(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

#[cfg(test)]
mod tests;
