//! The ICE-Lite agent against a peer that builds its requests with stun-types, in virtual time.

mod behaviour;
#[path = "../common/checks.rs"]
#[allow(dead_code, reason = "used in parts")]
mod checks;
mod hostile;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use datasoup::proto::ice_lite::{Credentials, IceEvent, IceLite, IceState, StunCounters};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::stun::Binding;
use datasoup::proto::transmit::Transmits;
use stun_types::attribute::{ErrorCode, RawAttribute, Username};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageWrite, MessageWriteExt,
    MessageWriteVec, ShortTermCredentials,
};

use IceEvent::{CredentialsRetired, SelectedTuple, State, TupleAdded, TupleRemoved};
use IceState::{Completed, Connected, Disconnected, New};

const CONSENT: Duration = Duration::from_secs(30);
const PLAIN: &[(u16, &[u8])] = &[];
const USE_CANDIDATE: &[(u16, &[u8])] = &[(0x0025, &[])];

/// A request with the given attributes, as a controlling peer makes it.
fn request(credentials: &Credentials, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    checks::request(&credentials.username_fragment, &credentials.password, attributes)
}

/// The peer's `n`-th address.
fn tuple(n: u16) -> Tuple {
    Tuple::new(SocketId(0), SocketAddr::from(([192, 0, 2, 1], 1000 + n)))
}

#[allow(clippy::disallowed_methods, reason = "an origin for the virtual time of these tests")]
fn origin() -> Instant {
    Instant::now()
}

/// An agent, the time, and the answers.
struct Lab {
    ice: IceLite,
    now: Instant,
    out: Transmits,
}

impl Lab {
    fn new() -> Self {
        Self::with_consent(Some(CONSENT))
    }

    fn with_consent(consent: Option<Duration>) -> Self {
        Self { ice: IceLite::new(consent), now: origin(), out: Transmits::default() }
    }

    /// The peer sends a request with the current credentials.
    fn check(&mut self, from: Tuple, attributes: &[(u16, &[u8])]) -> Vec<IceEvent> {
        let datagram = request(self.ice.credentials(), attributes);
        self.receive(from, &datagram)
    }

    fn nominate(&mut self, from: Tuple, value: u32) -> Vec<IceEvent> {
        self.check(from, &[(0xC001, &value.to_be_bytes())])
    }

    fn receive(&mut self, from: Tuple, datagram: &[u8]) -> Vec<IceEvent> {
        self.out.clear();
        if let Some(request) = Binding::read(datagram) {
            self.ice.handle_request(self.now, from, request, &mut self.out);
        }
        for (to, answer) in self.out.iter() {
            assert_eq!(to, from, "an answer goes where the request came from");
            assert!(answer.len() <= datagram.len(), "an answer is never larger than its request");
        }
        self.events()
    }

    fn data(&mut self, from: Tuple) -> Vec<IceEvent> {
        self.ice.handle_data(self.now, from);
        self.events()
    }

    /// Lets time pass, then calls `handle_timeout`.
    fn pass(&mut self, time: Duration) -> Vec<IceEvent> {
        self.now += time;
        self.ice.handle_timeout(self.now);
        self.events()
    }

    fn accepts(&self, credentials: &Credentials) -> bool {
        self.ice.username_fragments().any(|it| it == credentials.username_fragment)
    }

    fn events(&mut self) -> Vec<IceEvent> {
        std::iter::from_fn(|| self.ice.poll_event()).collect()
    }

    /// The class of the last answer, and its ERROR-CODE if it has one.
    fn answer(&self) -> Option<(MessageClass, Option<u16>)> {
        let (_, datagram) = self.out.get(0)?;
        let message = Message::from_bytes(datagram).expect("an answer is well-formed");
        Some((message.class(), message.attribute::<ErrorCode>().ok().map(|error| error.code())))
    }

    fn tuples(&self) -> Vec<Tuple> {
        self.ice.tuples().collect()
    }

    fn assert_untouched(&self) {
        assert_eq!((self.ice.state(), self.ice.selected(), self.tuples()), (New, None, vec![]));
        assert_eq!(self.ice.poll_timeout(), None);
    }
}
