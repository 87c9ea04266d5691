//! WebRTC clients for `npm run bench`, many to a process: full ICE agents with one address, over the DTLS and SCTP of
//! this crate. A client of libdatachannel takes megabytes and threads; one of these takes a socket and some kilobytes,
//! so that 10,000 fit.
//!
//! Each line on stdin is a call in JSON, `{ "id", "method", "args" }`; each line on stdout is its answer,
//! `{ "id", "result" | "error" }`. One call at a time. The process ends with stdin.
//!
//! ```text
//! webrtc-clients THREADS
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a process of its own, with sockets, threads and a clock"
)]

#[path = "../../../tests/common/checks.rs"]
mod checks;
mod client;
mod fleet;

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Load, Server};
use crate::fleet::Fleet;

#[derive(Deserialize)]
struct Request {
    id: u32,
    #[serde(flatten)]
    method: Method,
}

#[derive(Deserialize)]
#[serde(tag = "method", content = "args", rename_all = "camelCase")]
enum Method {
    /// Returns the fingerprints of the certificate that all clients share.
    Fingerprints,
    /// Adds clients; returns when all of them are connected.
    Connect { servers: Vec<Server> },
    /// Makes the clients expect message 0 and, with `latencies`, measure the time since the timestamp in each message.
    #[serde(rename_all = "camelCase")]
    Ready { latencies: bool },
    /// Returns when each client has `count` messages since `ready`, or when messages stop coming.
    Received { count: u32 },
    /// Returns the latencies of the messages since `ready`, in µs.
    Latencies,
    /// Makes each client send; returns when everything is sent.
    Send(Load),
    /// Makes each client send back what it receives.
    Echo,
    /// Closes all clients.
    Disconnect,
}

#[derive(Serialize)]
struct Answer {
    id: u32,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Result(Value),
    Error(String),
}

fn main() -> io::Result<()> {
    let threads = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(1);
    let mut fleet = Fleet::new(threads)?;
    let mut stdout = io::stdout();
    for line in io::stdin().lock().lines() {
        let Request { id, method } = serde_json::from_str(&line?)?;
        let outcome = match serve(&mut fleet, method) {
            Ok(result) => Outcome::Result(result),
            Err(error) => Outcome::Error(error),
        };
        let mut answer = serde_json::to_vec(&Answer { id, outcome })?;
        answer.push(b'\n');
        stdout.write_all(&answer)?;
        stdout.flush()?;
    }
    Ok(())
}

fn serve(fleet: &mut Fleet, method: Method) -> Result<Value, String> {
    match method {
        Method::Fingerprints => return Ok(json!(fleet.fingerprints())),
        Method::Connect { servers } => fleet.connect(servers)?,
        Method::Ready { latencies } => fleet.ready(latencies)?,
        Method::Received { count } => return Ok(json!(fleet.received(count))),
        Method::Latencies => return Ok(json!(fleet.latencies())),
        Method::Send(load) => fleet.send(load)?,
        Method::Echo => fleet.echo(),
        Method::Disconnect => fleet.disconnect(),
    }
    Ok(Value::Null)
}
