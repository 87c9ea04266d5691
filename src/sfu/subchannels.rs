//! Subchannels: which consumers of a DataProducer a message is for, and how a pipe carries that.

use bytes::{BufMut, Bytes, BytesMut};

/// What a message says about who is to get it. Most messages have none of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// If not empty, the consumer must be subscribed to at least one of these.
    pub subchannels: Vec<u16>,
    /// If given, the consumer must be subscribed to it.
    pub required: Option<u16>,
    /// If given, the consumer must not be subscribed to it.
    pub ignored: Option<u16>,
}

impl Selector {
    /// Whether this selects everybody.
    pub fn is_empty(&self) -> bool {
        self.subchannels.is_empty() && self.required.is_none() && self.ignored.is_none()
    }

    /// Whether a consumer with these subscriptions gets the message.
    pub fn matches(&self, subscribed: &Subscriptions) -> bool {
        self.required.is_none_or(|it| subscribed.contains(it))
            && self.ignored.is_none_or(|it| !subscribed.contains(it))
            && (self.subchannels.is_empty()
                || self.subchannels.iter().any(|&it| subscribed.contains(it)))
    }

    /// What a pipe consumer with these subscriptions carries of the message, or `None` if it
    /// carries nothing of it. One that is subscribed to nothing carries everything; another one
    /// only the subchannels that it is subscribed to. Whom to ignore is decided at the far end.
    pub fn through_pipe(&self, subscribed: &Subscriptions) -> Option<Self> {
        if subscribed.is_empty() {
            return Some(self.clone());
        }
        if self.required.is_some_and(|it| !subscribed.contains(it)) {
            return None;
        }
        let subchannels: Vec<u16> =
            self.subchannels.iter().copied().filter(|&it| subscribed.contains(it)).collect();
        if subchannels.is_empty() && !self.subchannels.is_empty() {
            return None;
        }
        Some(Self { subchannels, required: self.required, ignored: self.ignored })
    }
}

/// The set of subchannels that a consumer is subscribed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscriptions(Vec<u16>);

impl Subscriptions {
    /// The set of these; duplicates fold.
    pub fn new(subchannels: impl IntoIterator<Item = u16>) -> Self {
        let mut set: Vec<u16> = subchannels.into_iter().collect();
        set.sort_unstable();
        set.dedup();
        Self(set)
    }

    /// Whether `subchannel` is in the set.
    pub fn contains(&self, subchannel: u16) -> bool {
        self.0.binary_search(&subchannel).is_ok()
    }

    /// Adds one; nothing happens if it is there.
    pub fn add(&mut self, subchannel: u16) {
        if let Err(at) = self.0.binary_search(&subchannel) {
            self.0.insert(at, subchannel);
        }
    }

    /// Removes one; nothing happens if it is not there.
    pub fn remove(&mut self, subchannel: u16) {
        if let Ok(at) = self.0.binary_search(&subchannel) {
            self.0.remove(at);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, ascending.
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

/// The header with which a pipe carries a [`Selector`] in front of the payload, big endian:
///
/// ```text
/// 8 bytes  token; bit 1: `required` follows, bit 0: `ignored` follows
/// 2 bytes  number of subchannels
/// 2 bytes  each subchannel
/// 2 bytes  required, if flagged
/// 2 bytes  ignored, if flagged
/// ```
///
/// A payload that itself begins with the token travels behind an empty header, so that no client can
/// forge routing through a pipe.
pub mod pipe {
    use super::*;

    const TOKEN: u64 = 0xA5F0_9CB3_D6E1_F28C;
    const REQUIRED: u64 = 0b10;
    const IGNORED: u64 = 0b01;
    const FLAGS: u64 = REQUIRED | IGNORED;

    /// The largest header in bytes: the token, the count, 65,535 subchannels and the other two.
    pub const MAX_HEADER: u32 = 131_084;

    /// The message as the pipe carries it: `payload` untouched if there is nothing to say.
    pub fn encode(selector: Option<&Selector>, payload: &Bytes) -> Bytes {
        let nothing = Selector::default();
        let selector = selector.filter(|it| !it.is_empty());
        if selector.is_none() && token(payload).is_none() {
            return payload.clone();
        }
        let selector = selector.unwrap_or(&nothing);
        // `send()` takes at most 65,535 subchannels, and the header that came over another pipe
        // counts them in 16 bits.
        let subchannels = &selector.subchannels[..selector.subchannels.len().min(65_535)];
        let mut out = BytesMut::with_capacity(14 + 2 * subchannels.len() + payload.len());
        let required = selector.required.map_or(0, |_| REQUIRED);
        let ignored = selector.ignored.map_or(0, |_| IGNORED);
        out.put_u64(TOKEN | required | ignored);
        out.put_u16(subchannels.len() as u16);
        subchannels.iter().for_each(|&it| out.put_u16(it));
        selector.required.into_iter().chain(selector.ignored).for_each(|it| out.put_u16(it));
        out.put_slice(payload);
        out.freeze()
    }

    /// Takes the header off a message that came through a pipe. A message without one, or too short
    /// for what its header announces, is an ordinary message.
    pub fn decode(mut message: Bytes) -> (Option<Selector>, Bytes) {
        match header(&message) {
            Some((selector, len)) => {
                let payload = message.split_off(len);
                ((!selector.is_empty()).then_some(selector), payload)
            }
            None => (None, message),
        }
    }

    fn token(message: &[u8]) -> Option<u64> {
        let token = u64::from_be_bytes(*message.first_chunk()?);
        (token & !FLAGS == TOKEN & !FLAGS).then_some(token)
    }

    fn header(message: &[u8]) -> Option<(Selector, usize)> {
        let token = token(message)?;
        let u16_at = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk::<2>()?));
        let count = usize::from(u16_at(8)?);
        let mut at = 10;
        let mut next = || {
            let value = u16_at(at);
            at += 2;
            value
        };
        let subchannels = (0..count).map(|_| next()).collect::<Option<_>>()?;
        let required = if token & REQUIRED != 0 { Some(next()?) } else { None };
        let ignored = if token & IGNORED != 0 { Some(next()?) } else { None };
        Some((Selector { subchannels, required, ignored }, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(subchannels: &[u16], required: Option<u16>, ignored: Option<u16>) -> Selector {
        Selector { subchannels: subchannels.to_vec(), required, ignored }
    }

    #[test]
    fn the_routing_rule() {
        let none = Subscriptions::default();
        let one = Subscriptions::new([1]);
        let both = Subscriptions::new([2, 1, 1]);
        let cases: &[(Selector, [bool; 3])] = &[
            (selector(&[], None, None), [true, true, true]),
            (selector(&[1], None, None), [false, true, true]),
            (selector(&[2], None, None), [false, false, true]),
            (selector(&[3], None, None), [false, false, false]),
            (selector(&[1, 2], None, None), [false, true, true]),
            (selector(&[], Some(2), None), [false, false, true]),
            (selector(&[1], Some(2), None), [false, false, true]),
            (selector(&[3], Some(1), None), [false, false, false]),
            (selector(&[], None, Some(2)), [true, true, false]),
            (selector(&[1], None, Some(2)), [false, true, false]),
            (selector(&[1], Some(1), Some(1)), [false, false, false]),
            (selector(&[], None, Some(9)), [true, true, true]),
        ];
        for (selector, expected) in cases {
            let got = [&none, &one, &both].map(|it| selector.matches(it));
            assert_eq!(got, *expected, "{selector:?}");
        }
    }

    #[test]
    fn a_pipe_carries_what_its_consumer_is_subscribed_to() {
        let all = Subscriptions::default();
        let one = Subscriptions::new([1]);
        let message = selector(&[1, 2], None, Some(1));
        assert_eq!(message.through_pipe(&all), Some(message.clone()));
        assert_eq!(message.through_pipe(&one), Some(selector(&[1], None, Some(1))));
        assert_eq!(selector(&[2], None, None).through_pipe(&one), None);
        assert_eq!(selector(&[], Some(2), None).through_pipe(&one), None);
    }

    #[test]
    fn the_pipe_header_is_these_bytes() {
        let payload = Bytes::from_static(b"hi");
        let encoded = pipe::encode(Some(&selector(&[1, 258], Some(3), None)), &payload);
        assert_eq!(
            encoded[..],
            [0xA5, 0xF0, 0x9C, 0xB3, 0xD6, 0xE1, 0xF2, 0x8E, 0, 2, 0, 1, 1, 2, 0, 3, b'h', b'i']
        );
        let encoded = pipe::encode(Some(&selector(&[], None, Some(4))), &payload);
        assert_eq!(
            encoded[..],
            [0xA5, 0xF0, 0x9C, 0xB3, 0xD6, 0xE1, 0xF2, 0x8D, 0, 0, 0, 4, b'h', b'i']
        );
    }

    #[test]
    fn what_goes_into_a_pipe_comes_out_of_it() {
        let payload = Bytes::from_static(b"payload");
        for selector in [
            selector(&[], None, None),
            selector(&[1, 2, 65535], None, None),
            selector(&[], Some(7), None),
            selector(&[], None, Some(7)),
            selector(&[9], Some(7), Some(8)),
            selector(&(0..65535).collect::<Vec<_>>(), Some(1), Some(2)),
        ] {
            let (got, rest) = pipe::decode(pipe::encode(Some(&selector), &payload));
            assert_eq!(got.unwrap_or_default(), selector);
            assert_eq!(rest, payload);
        }
    }

    #[test]
    fn a_payload_that_looks_like_a_header_crosses_a_pipe_as_payload() {
        let forged = pipe::encode(Some(&selector(&[5], Some(6), None)), &Bytes::from_static(b"x"));
        for flags in 0..4 {
            let mut bytes = BytesMut::from(&forged[..]);
            bytes[7] = bytes[7] & !3 | flags;
            let forged = bytes.freeze();
            assert_eq!(pipe::decode(pipe::encode(None, &forged)), (None, forged));
        }
    }

    #[test]
    fn a_message_too_short_for_its_header_is_an_ordinary_message() {
        let whole = pipe::encode(Some(&selector(&[1, 2], Some(3), Some(4))), &Bytes::new());
        for len in 0..whole.len() {
            let cut = whole.slice(..len);
            assert_eq!(pipe::decode(cut.clone()), (None, cut), "{len} bytes");
        }
    }
}
