//! One attacker at full speed, in a process of its own: `npm run robustness -- floods` runs it against a worker that
//! serves another peer as well.
//!
//! ```text
//! attacker KIND
//!   writes {"fingerprint": …}      of its certificate
//!   reads  {"ip": …, "port": …}    the target
//!   writes {"ready": true}         connected, if this kind needs a session
//!   reads  a line                  starts
//!   reads  a line, or the end      stops
//!   writes {"sent": …, "seconds": …, "ended": …}
//! ```
//!
//! ```text
//! main ─┬─ datagrams     floods without a session, over UDP
//!       ├─ connections   floods without a session, over TCP
//!       └─ insider       floods of a peer that was let in ── session
//!            all: attack (target, stop, outcome), wire (packets and checks as bytes)
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program of its own, with sockets, a clock and a thread"
)]

mod attack;
#[allow(dead_code, reason = "used in parts")]
#[path = "../../tests/common/checks.rs"]
mod checks;
mod connections;
mod datagrams;
mod insider;
#[allow(dead_code, reason = "used in parts")]
#[path = "../../tests/common/packet.rs"]
mod packet;
mod session;
mod wire;

use std::io;
use std::time::Instant;

use datasoup::proto::certificate::Certificate;
use serde_json::json;

use attack::{Result, Stop, Target};
use session::Session;

fn main() -> Result<()> {
    let kind = std::env::args().nth(1).ok_or("usage: attacker KIND")?;
    let certificate = Certificate::generate()?;
    write(&json!({ "fingerprint": certificate.fingerprints().last() }));
    let target: Target = serde_json::from_str(&read()?)?;
    let mut session = match kind.split_once('-') {
        Some(("dtls" | "sctp", _)) => Some(Session::connect(&target, certificate)?),
        _ => None,
    };
    write(&json!({ "ready": true }));
    read()?;
    let stop = Stop::default();
    std::thread::spawn({
        let stop = stop.clone();
        move || {
            // Whatever the read returns, a line, the end of the input or an error, the attack stops.
            let _ = read();
            stop.set();
        }
    });
    let began = Instant::now();
    let outcome = match &mut session {
        Some(session) => insider::attack(&kind, session, &target, &stop)?,
        None if kind.starts_with("tcp") => connections::attack(&kind, &target, &stop)?,
        None => datagrams::attack(&kind, &target, &stop)?,
    };
    let seconds = began.elapsed().as_secs_f64();
    write(&json!({ "sent": outcome.sent, "seconds": seconds, "ended": outcome.ended }));
    Ok(())
}

fn read() -> Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

fn write(line: &serde_json::Value) {
    println!("{line}");
}
