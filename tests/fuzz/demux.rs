//! Any datagram to a new peer, which must classify it by its first byte and reject it; and to the server of a DTLS
//! session without ICE, which must not answer with more bytes than it gets, and must not begin a handshake.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use datasoup::proto::certificate::Certificate;
use datasoup::proto::demux::{Incoming, Protocol, demux};
use datasoup::proto::dtls::{DtlsContext, DtlsRole, DtlsState, Path};
use datasoup::proto::ice_lite::IceState;
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::peer::{Peer, PeerConfig};
use datasoup::proto::session::Session;
use datasoup::proto::transmit::Transmits;

use crate::peers::config;
use crate::sim::start;

/// `data` is the datagram.
pub fn run(data: &[u8]) {
    // The expected class of a datagram, by the table of RFC 7983 §7.
    let expected = match data {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        _ => Protocol::Other,
    };
    assert_eq!(demux(data), expected);

    static DTLS: OnceLock<Arc<DtlsContext>> = OnceLock::new();
    let dtls = DTLS.get_or_init(|| {
        Arc::new(DtlsContext::new(Certificate::generate().expect("a certificate")))
    });
    let mut peer =
        Peer::new(PeerConfig { dtls: dtls.clone(), consent_timeout: None, sctp: Some(config()) });
    let mut transmits = Transmits::default();
    let tuple = Tuple::new(SocketId(1), SocketAddr::from(([192, 0, 2, 1], 9)));
    if let Some(incoming) = Incoming::read(data) {
        let accepted = peer.handle_incoming(start(), tuple, incoming, &mut transmits);
        assert!(!accepted, "the peer has accepted a datagram without credentials");
    }
    assert!(
        transmits.bytes() <= data.len(),
        "the answer is larger than the datagram: {} bytes",
        transmits.bytes()
    );
    peer.poll_transmit(start(), &mut Transmits::default());
    assert_eq!((peer.ice_state(), peer.session().dtls().state()), (IceState::New, DtlsState::New));
    assert_eq!(peer.tuples().count(), 0);
    assert!(peer.poll_event().is_none());
    assert_eq!(peer.poll_timeout(), None);

    let mut session = Session::new(dtls.clone(), Path::Named, Some(config()), true);
    session.connect(start(), DtlsRole::Client, Vec::new()).expect("the first time");
    session.path_ready(start());
    for _ in 0..2 {
        session.handle_datagram(start(), data);
    }
    let mut transmits = Transmits::default();
    session.poll_transmit(start(), tuple, &mut transmits);
    assert!(transmits.bytes() <= 2 * data.len(), "{} bytes in answer", transmits.bytes());
    assert_eq!(session.dtls().state(), DtlsState::Connecting);
}
