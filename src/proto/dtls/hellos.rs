//! Clients of a server whose address nothing has proved: each gets a cookie, and a handshake begins with the one that sends
//! it back (RFC 6347 §4.2.1). So forging the address of the peer neither makes us send more to it than came from there,
//! nor takes its place.
//!
//! The engine makes and checks the cookies, and it serves one client. So each client, which its random number names, has
//! an engine of its own until then.

use std::time::{Duration, Instant};

use dimpl::Output;

use super::context::DtlsContext;
use super::record;

/// How many clients wait for their answer to come back.
const MAX_CLIENTS: usize = 32;

/// For how long at least a client is remembered: most paths answer in that time. This also bounds how many engines are
/// made.
const REMEMBERED: Duration = Duration::from_millis(50);

struct Client {
    random: [u8; 32],
    since: Instant,
    engine: Box<dimpl::Dtls>,
}

/// The clients that have got a cookie, the first one first.
#[derive(Default)]
pub(super) struct Hellos(Vec<Client>);

/// What a record has led to.
pub(super) enum Heard {
    /// It was no ClientHello in one piece, or there are too many clients.
    Dropped,
    /// These datagrams answer it.
    Answered(Vec<Box<[u8]>>),
    /// The client has sent its cookie back. Its engine has more output.
    Proved(Box<dimpl::Dtls>, Vec<Box<[u8]>>),
}

impl Hellos {
    pub(super) fn handle(&mut self, context: &DtlsContext, now: Instant, record: &[u8]) -> Heard {
        let Some(random) = record::hello_random(record) else { return Heard::Dropped };
        let known = self.0.iter().position(|it| it.random == *random);
        let Some(place) = known.or_else(|| self.add(context, now, *random)) else {
            return Heard::Dropped;
        };
        let mut client = self.0.remove(place);
        let engine = &mut client.engine;
        if engine.handle_timeout(now).is_err() || engine.handle_packet(record).is_err() {
            return Heard::Dropped;
        }
        let (mut answers, mut proved) = (Vec::new(), false);
        let mut scratch = context.scratch();
        // What it wants to send again is sent when the client asks again.
        while let Output::Packet(datagram) = engine.poll_output(&mut scratch) {
            proved |= record::is_server_hello(datagram);
            answers.push(datagram.into());
        }
        if proved {
            return Heard::Proved(client.engine, answers);
        }
        self.0.insert(place, client);
        Heard::Answered(answers)
    }

    /// Makes an engine for one more client, in place of the first one if there are too many. Returns its place.
    fn add(&mut self, context: &DtlsContext, now: Instant, random: [u8; 32]) -> Option<usize> {
        if self.0.len() >= MAX_CLIENTS {
            if self.0.first().is_some_and(|first| now < first.since + REMEMBERED) {
                return None;
            }
            self.0.remove(0);
        }
        let engine = Box::new(context.engine_with_cookie(now));
        self.0.push(Client { random, since: now, engine });
        Some(self.0.len() - 1)
    }
}
