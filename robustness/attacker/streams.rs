//! TCP connections of strangers.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::session::check;
use crate::{Outcome, Result, Stop, Target};

/// More than the worker lets in.
const CONNECTIONS: usize = 300;

/// The longest frame that is not a lie at once.
const LONG_FRAME: u16 = 16 * 1024;

pub(crate) fn attack(kind: &str, target: &Target, stop: &Stop) -> Result<Outcome> {
    match kind {
        "tcp-connects" => connects(target, stop, &[]),
        "tcp-lies" => connects(target, stop, &u16::MAX.to_be_bytes()),
        "tcp-slow" => hold(target, stop, &Trickle),
        "tcp-empty" => hold(target, stop, &Frames(vec![0; 64 * 1024])),
        "tcp-stun" => {
            let ours = target.username_fragment.as_deref().unwrap_or("nobody");
            let check = check(ours, "the password of somebody else");
            let mut frame = (check.len() as u16).to_be_bytes().to_vec();
            frame.extend(check);
            hold(target, stop, &Frames(frame.repeat(500)))
        }
        other => Err(format!("there is no kind {other:?}").into()),
    }
}

/// Opens connections, says something and is gone. Counts connections.
fn connects(target: &Target, stop: &Stop, bytes: &[u8]) -> Result<Outcome> {
    let mut sent = 0;
    while !stop.is_set() {
        let Ok(mut stream) = connect(target) else { continue };
        // It may be closed already.
        let _ = stream.write(bytes);
        sent += 1;
    }
    Ok(Outcome { sent, ended: false })
}

/// What a connection that stays says.
trait Says {
    /// How many bytes of it the kernel took.
    fn say(&self, stream: &mut TcpStream, said: usize) -> std::io::Result<usize>;
}

/// A long frame that never ends, a byte at a time.
struct Trickle;

impl Says for Trickle {
    fn say(&self, stream: &mut TcpStream, said: usize) -> std::io::Result<usize> {
        match said {
            0 => stream.write(&LONG_FRAME.to_be_bytes()),
            // All but the last, which would make it a datagram.
            1.. if said < usize::from(LONG_FRAME) => stream.write(&[1]),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

/// As many as the kernel takes.
struct Frames(Vec<u8>);

impl Says for Frames {
    fn say(&self, stream: &mut TcpStream, said: usize) -> std::io::Result<usize> {
        stream.write(&self.0[said % self.0.len()..])
    }
}

/// Keeps as many connections as it gets, and replaces those that are closed. Counts bytes.
fn hold(target: &Target, stop: &Stop, says: &impl Says) -> Result<Outcome> {
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
            let Some((mut stream, said)) = held.pop_front() else { break };
            match says.say(&mut stream, said) {
                Ok(len) => {
                    sent += len as u64;
                    held.push_back((stream, said + len));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    held.push_back((stream, said));
                }
                Err(_) => {}
            }
        }
    }
    Ok(Outcome { sent, ended: false })
}

/// A connection that goes by a reset, and so leaves no port in TIME_WAIT.
fn connect(target: &Target) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target.address(), Duration::from_millis(100))?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(stream)
}
