//! Clients of a server whose addresses are not proved yet: each gets a cookie, and the first that returns it begins the
//! handshake (RFC 6347 §4.2.1). So an attacker that forges the peer's address cannot make us send more there than it
//! sends itself, and cannot take the peer's place.
//!
//! The engine makes and checks the cookies, and serves one client. So until then each client, identified by its random
//! number, has an engine of its own.

use std::time::{Duration, Instant};

use dimpl::Output;

use super::context::DtlsContext;
use super::{failure, record};

/// How many clients may hold a cookie at a time.
const MAX_CLIENTS: usize = 32;

/// A client is remembered at least this long, even if the engine has refused its hello: most clients return the cookie
/// within that time. This also bounds how many engines are made per second.
const REMEMBERED: Duration = Duration::from_millis(50);

struct Client {
    random: [u8; 32],
    since: Instant,
    /// `None` once the engine has refused a hello.
    engine: Option<Box<dimpl::Dtls>>,
}

/// The clients that have got a cookie, the oldest first.
#[derive(Default)]
pub(super) struct Hellos(Vec<Client>);

/// The result of handling a record.
pub(super) enum HelloOutcome {
    /// The record is not a whole ClientHello, or there are too many clients.
    Dropped,
    /// These datagrams answer the ClientHello.
    Answered(Vec<Box<[u8]>>),
    /// The client has returned its cookie, but its hello allows no handshake.
    Failed(dimpl::Error),
    /// The client has sent its cookie back. Its engine has more output.
    Proved(Box<dimpl::Dtls>, Vec<Box<[u8]>>),
}

impl Hellos {
    pub(super) fn handle(
        &mut self,
        context: &DtlsContext,
        now: Instant,
        record: &[u8],
    ) -> HelloOutcome {
        let Some(random) = record::hello_random(record) else { return HelloOutcome::Dropped };
        let known = self.0.iter().position(|it| it.random == *random);
        let Some(client) = known
            .or_else(|| self.add(context, now, *random))
            .and_then(|place| self.0.get_mut(place))
        else {
            return HelloOutcome::Dropped;
        };
        let Some(mut engine) = client.engine.take() else { return HelloOutcome::Dropped };
        let result = engine.handle_timeout(now).and_then(|()| engine.handle_packet(record));
        if let Err(error) = result {
            let is_proved = failure::is_of_proved_client(&error);
            return if is_proved { HelloOutcome::Failed(error) } else { HelloOutcome::Dropped };
        }
        let (mut answers, mut proved) = (Vec::new(), false);
        let mut scratch = context.scratch();
        // Retransmissions of the engine are left out: the client repeats its hello.
        while let Output::Packet(datagram) = engine.poll_output(&mut scratch) {
            proved |= record::is_server_hello(datagram);
            answers.push(datagram.into());
        }
        if proved {
            return HelloOutcome::Proved(engine, answers);
        }
        client.engine = Some(engine);
        HelloOutcome::Answered(answers)
    }

    /// Makes an engine for one more client, which evicts the oldest one if there are too many. Returns its index.
    fn add(&mut self, context: &DtlsContext, now: Instant, random: [u8; 32]) -> Option<usize> {
        if self.0.len() >= MAX_CLIENTS {
            if self.0.first().is_some_and(|first| now < first.since + REMEMBERED) {
                return None;
            }
            self.0.remove(0);
        }
        let engine = Some(Box::new(context.engine_with_cookie(now)));
        self.0.push(Client { random, since: now, engine });
        Some(self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::certificate::Certificate;

    /// Hellos that differ in their random numbers. A version other than DTLS 1.2 is refused by an engine.
    fn hellos(
        context: &DtlsContext,
        now: Instant,
        version: [u8; 2],
    ) -> impl Iterator<Item = Vec<u8>> {
        let mut client = context.engine(now, true);
        client.handle_timeout(now).expect("a first flight");
        let mut scratch = context.scratch();
        let Output::Packet(hello) = client.poll_output(&mut scratch) else { panic!("a hello") };
        let mut hello = hello.to_vec();
        hello[25..27].copy_from_slice(&version);
        (0..4000_u16).map(move |n| {
            hello[27..29].copy_from_slice(&n.to_be_bytes());
            hello.clone()
        })
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests need some instant to start from")]
    fn refused_hellos_hold_their_places_as_long_as_others_and_make_no_more_engines() {
        let context = DtlsContext::new(Certificate::generate().expect("a certificate"));
        let now = Instant::now();
        let mut clients = Hellos::default();
        let mut made = 0;
        for hello in hellos(&context, now, [0xfe, 0xff]) {
            let before = clients.0.len();
            assert!(matches!(clients.handle(&context, now, &hello), HelloOutcome::Dropped));
            made += clients.0.len() - before;
        }
        assert_eq!((made, clients.0.len()), (MAX_CLIENTS, MAX_CLIENTS));
        assert!(clients.0.iter().all(|it| it.engine.is_none()), "what is refused keeps no engine");
        let good = hellos(&context, now, [0xfe, 0xfd]).last().expect("some");
        assert!(matches!(clients.handle(&context, now, &good), HelloOutcome::Dropped), "no place");
        let later = now + REMEMBERED;
        assert!(matches!(clients.handle(&context, later, &good), HelloOutcome::Answered(_)));
    }
}
