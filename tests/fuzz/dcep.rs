//! DATA_CHANNEL_OPEN: any message of a peer, and a message encoded and parsed again.

use datasoup::proto::dcep::{Dcep, Open};
use datasoup::proto::message::{Limit, Reliability};

use crate::input::Input;

/// `data` is a message to parse, and also the fields of a message to encode.
pub fn run(data: &[u8]) {
    if let Ok(Dcep::Open(open)) = Dcep::parse(data) {
        assert!(open.label.len() + open.protocol.len() + 12 <= data.len());
        let encoded = open.encode();
        assert_eq!(encoded[12..], data[12..encoded.len()], "the label or the protocol has changed");
        assert_eq!(Dcep::parse(&encoded), Ok(Dcep::Open(open)));
    }
    let mut input = Input::new(data);
    let (ordered, limit) = (input.byte() & 1 == 0, input.byte());
    let limit = match limit % 3 {
        0 => None,
        1 => Some(Limit::Retransmits(input.u16())),
        _ => Some(Limit::LifetimeMs(input.u16())),
    };
    let priority = input.u16();
    let label = String::from_utf8_lossy(input.block()).into_owned();
    let protocol = String::from_utf8_lossy(input.rest()).into_owned();
    let open = Open { label, protocol, priority, reliability: Reliability { ordered, limit } };
    if open.label.len().max(open.protocol.len()) <= usize::from(u16::MAX) {
        assert_eq!(Dcep::parse(&open.encode()), Ok(Dcep::Open(open)));
    }
}
