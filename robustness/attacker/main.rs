//! One attacker at full speed, in a process of its own: `npm run robustness -- floods` runs it against
//! a worker that serves somebody else as well.
//!
//! ```text
//! attacker KIND
//!   tells  {"fingerprint": …}      its certificate, for kinds that shake hands
//!   reads  {"ip": …, "port": …}    the target
//!   tells  {"ready": true}         once connected, for kinds that connect
//!   reads  a line                  and begins
//!   reads  a line, or the end      and stops
//!   tells  {"sent": …, "seconds": …, "ended": …}
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "sockets, a clock and a thread are all that this is made of"
)]

mod datagrams;
mod sctp;
mod session;
mod streams;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use datasoup::proto::certificate::{Certificate, Fingerprint};
use serde::Deserialize;
use serde_json::json;

use session::Session;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Whom to attack, and what an insider knows of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    ip: IpAddr,
    port: u16,
    /// The attacker's own port, where that matters.
    local_port: Option<u16>,
    username_fragment: Option<String>,
    password: Option<String>,
    #[serde(default)]
    fingerprints: Vec<Fingerprint>,
    /// Where the target has a DataProducer.
    #[serde(default)]
    stream_id: u16,
}

impl Target {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an attack has come to: how much was sent, in the unit of the kind, and whether the target has
/// ended the session.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) ended: bool,
}

fn main() -> Result<()> {
    let kind = std::env::args().nth(1).ok_or("which kind?")?;
    let certificate = Certificate::generate()?;
    tell(&json!({ "fingerprint": certificate.fingerprints().last() }));
    let target: Target = serde_json::from_str(&hear()?)?;
    let mut session = match kind.split_once('-') {
        Some(("dtls" | "sctp", _)) => Some(Session::connect(&target, certificate)?),
        _ => None,
    };
    tell(&json!({ "ready": true }));
    hear()?;
    let stop = Stop::default();
    let flag = stop.clone();
    std::thread::spawn(move || {
        // Whatever comes, that is the end.
        let _ = hear();
        flag.0.store(true, Ordering::Relaxed);
    });
    let began = Instant::now();
    let outcome = match &mut session {
        Some(session) => sctp::attack(&kind, session, &target, &stop)?,
        None if kind.starts_with("tcp") => streams::attack(&kind, &target, &stop)?,
        None => datagrams::attack(&kind, &target, &stop)?,
    };
    let seconds = began.elapsed().as_secs_f64();
    tell(&json!({ "sent": outcome.sent, "seconds": seconds, "ended": outcome.ended }));
    Ok(())
}

fn hear() -> Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

fn tell(what: &serde_json::Value) {
    println!("{what}");
}
