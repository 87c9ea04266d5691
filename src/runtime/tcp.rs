//! ICE over TCP (RFC 6544): passive candidates, with datagrams framed as RFC 4571 says.
//!
//! Anyone can open connections. So unverified ones are few and short-lived (see `unverified.rs`), and
//! each direction holds a bounded number of bytes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};

use crate::proto::framing::{push_frame, take_frames};
use crate::proto::net::Tuple;

use super::leases::Lease;
use super::{clock, ports};

/// The most bytes that wait for a peer that does not read. Datagrams beyond that are dropped, as on any network:
/// SCTP retransmits them, or the peer is gone.
const MAX_OUTGOING: usize = 256 * 1024;

/// The capacity that is kept once nothing waits: enough for most turns.
const KEPT: usize = 16 * 1024;

/// The most bytes that one read takes.
const CHUNK: usize = 8 * 1024;

/// What one verified connection, or all unverified ones together, may cost in one turn. The rest waits
/// for the next turn.
#[derive(Debug)]
pub(super) struct Allowance {
    /// Frames, empty ones included: a few bytes may hold thousands of them.
    frames: usize,
    /// System calls that read.
    reads: usize,
}

impl Allowance {
    /// The allowance of one verified connection: about as much as one UDP socket may cost.
    pub(super) fn of_a_peer() -> Self {
        Self { frames: 64, reads: 8 }
    }

    /// The allowance that all unverified connections share: about 100 µs of STUN. A connection needs one
    /// frame to be verified.
    pub(super) fn of_all_unverified() -> Self {
        Self { frames: 16, reads: 16 }
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.frames == 0 || self.reads == 0
    }
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct TcpPort {
    listener: TcpListener,
    waker: Waker,
    /// Whether the listener accepts on all addresses of this host.
    is_wildcard: bool,
    /// The last member, and so dropped after the listener: only then is the port free.
    _lease: Lease,
}

impl TcpPort {
    /// Listens on a bound, non-blocking socket; `waker` is called when a connection arrives. Call
    /// this inside of the tokio runtime.
    pub(super) fn new(socket: socket2::Socket, lease: Lease, waker: Waker) -> io::Result<Self> {
        const BACKLOG: i32 = 128;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let is_wildcard = ports::is_wildcard(listener.local_addr()?);
        Ok(Self { listener, waker, is_wildcard, _lease: lease })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection.
    pub(super) fn accept(&self) -> Accepted {
        match self.listener.poll_accept(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => Accepted::Nothing,
            Poll::Ready(Ok((stream, remote))) => {
                let local = stream.local_addr().ok().filter(|_| self.is_wildcard);
                Accepted::Connection(stream, local.map(|it| it.ip()), remote)
            }
            Poll::Ready(Err(error)) if is_of_a_connection(&error) => {
                log::debug!("cannot accept a TCP connection: {error}");
                Accepted::Failed
            }
            Poll::Ready(Err(error)) => {
                log::error!("cannot accept a TCP connection yet: {error}");
                Accepted::Later
            }
        }
    }
}

/// What [`TcpPort::accept`] found.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A connection, with the addresses of its tuple.
    Connection(TcpStream, Option<IpAddr>, SocketAddr),
    /// A connection that had ended already. There may be others.
    Failed,
    /// No connection; the waker is armed.
    Nothing,
    /// The kernel hands out no connection now: the process has no file descriptor or memory for it, or may
    /// not have it. The waker is not armed: trying again at once would spin.
    Later,
}

/// Whether the kernel has removed a connection from its queue and reports why that one failed (accept(2)).
fn is_of_a_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, TimedOut,
    };

    /// Errors of Linux without an `ErrorKind`.
    #[cfg(target_os = "linux")]
    const OTHERS: [i32; 4] = [libc::EHOSTDOWN, libc::ENONET, libc::EPROTO, libc::ENOPROTOOPT];
    #[cfg(not(target_os = "linux"))]
    const OTHERS: [i32; 0] = [];

    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    ) || error.raw_os_error().is_some_and(|it| OTHERS.contains(&it))
}

/// The state of a connection after a read or a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IoStatus {
    /// There is nothing more to read or write now; the waker is armed.
    Pending,
    /// There may be more to read.
    More,
    /// The peer has closed the connection.
    Closed,
    /// The peer has announced a datagram that is too long.
    Malformed,
}

/// A connection.
#[derive(Debug)]
pub(super) struct TcpConnection {
    /// The listening socket, and the addresses of both ends.
    pub(super) tuple: Tuple,
    stream: TcpStream,
    waker: Waker,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl TcpConnection {
    pub(super) fn new(stream: TcpStream, tuple: Tuple, waker: Waker) -> io::Result<Self> {
        // A datagram must not wait for the acknowledgement of the previous one.
        stream.set_nodelay(true)?;
        Ok(Self { tuple, stream, waker, incoming: Vec::new(), outgoing: Vec::new() })
    }

    /// Hands over as many datagrams as are allowed, at most one read of them beyond `until`, and writes what waits.
    pub(super) fn receive(
        &mut self,
        allowance: &mut Allowance,
        until: Instant,
        mut handle: impl FnMut(&[u8]),
    ) -> IoStatus {
        if self.flush() == IoStatus::Closed {
            return IoStatus::Closed;
        }
        let mut chunk = [0; CHUNK];
        let mut has_read = false;
        loop {
            // The frames that the last turn has left come first.
            if !take_frames(&mut self.incoming, &mut allowance.frames, &mut handle) {
                return IoStatus::Malformed;
            }
            if allowance.is_used_up() || (has_read && clock::now() >= until) {
                return IoStatus::More;
            }
            has_read = true;
            allowance.reads -= 1;
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return IoStatus::Closed,
                Ok(len) => self.incoming.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut cx = Context::from_waker(&self.waker);
                    match self.stream.poll_read_ready(&mut cx) {
                        Poll::Pending => return IoStatus::Pending,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return IoStatus::Closed,
                    }
                }
                Err(_) => return IoStatus::Closed,
            }
        }
    }

    /// Queues a datagram for [`Self::flush`]. Returns false if there is no room.
    pub(super) fn send(&mut self, datagram: &[u8]) -> bool {
        self.outgoing.len() + datagram.len() <= MAX_OUTGOING
            && push_frame(&mut self.outgoing, datagram)
    }

    /// Writes what the kernel takes. If something is left, the waker is armed.
    pub(super) fn flush(&mut self) -> IoStatus {
        let mut written = 0;
        let flow = loop {
            if written == self.outgoing.len() {
                break IoStatus::Pending;
            }
            match self.stream.try_write(&self.outgoing[written..]) {
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut cx = Context::from_waker(&self.waker);
                    match self.stream.poll_write_ready(&mut cx) {
                        Poll::Pending => break IoStatus::Pending,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => break IoStatus::Closed,
                    }
                }
                Err(_) => break IoStatus::Closed,
            }
        };
        self.outgoing.drain(..written);
        if self.outgoing.is_empty() {
            self.outgoing.shrink_to(KEPT);
        }
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::net::SocketId;

    /// Both ends of a connection, the far end read by a plain socket.
    #[allow(clippy::disallowed_types, reason = "the far end of the connection")]
    async fn connected() -> (TcpConnection, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, remote) = listener.accept().await.unwrap();
        let tuple = Tuple::new(SocketId(0), remote);
        let near = TcpConnection::new(stream, tuple, Waker::noop().clone()).unwrap();
        (near, far)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_errors_of_one_connection_let_the_listener_go_on_at_once() {
        let of_a_connection = |code| is_of_a_connection(&io::Error::from_raw_os_error(code));
        assert!(of_a_connection(libc::ECONNABORTED) && of_a_connection(libc::EHOSTUNREACH));
        let of_the_listener = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
        let forbidden = [libc::EPERM, libc::EACCES, libc::EINVAL, libc::EBADF];
        for code in of_the_listener.into_iter().chain(forbidden) {
            assert!(!of_a_connection(code), "{}", io::Error::from_raw_os_error(code));
        }
    }

    #[test]
    fn a_peer_that_does_not_read_is_bounded_and_gets_whole_frames_when_it_does() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(fill_and_empty());
    }

    #[test]
    fn a_turn_that_is_over_reads_once() {
        use std::io::Write;

        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            const FRAMES: usize = 32;
            const LEN: usize = CHUNK / 8;
            let (mut near, mut far) = connected().await;
            let mut frames = Vec::new();
            for _ in 0..FRAMES {
                push_frame(&mut frames, &[7; LEN]);
            }
            far.write_all(&frames).unwrap();
            near.stream.readable().await.unwrap();
            let (mut got, mut turns) = (0, 0);
            while got < FRAMES {
                let before = got;
                let mut allowance = Allowance::of_a_peer();
                near.receive(&mut allowance, clock::now(), |_| got += 1);
                assert!(got - before <= CHUNK / LEN, "{got} - {before}");
                assert_eq!(allowance.reads, Allowance::of_a_peer().reads - 1);
                turns += 1;
                tokio::task::yield_now().await;
            }
            assert!(turns >= FRAMES * LEN / CHUNK);
        });
    }

    async fn fill_and_empty() {
        use std::io::Read;

        const LEN: usize = 1200;
        let (mut near, mut far) = connected().await;
        let mut sent = 0u32;
        let mut dropped = 0;
        // The first megabytes fit the kernel's socket buffers.
        while dropped < 10 {
            let accepted = near.send(&[&sent.to_be_bytes()[..], &[0; LEN - 4]].concat());
            dropped += u32::from(!accepted);
            assert_eq!(near.flush(), IoStatus::Pending);
            assert!(near.outgoing.len() <= MAX_OUTGOING + 2);
            sent += 1;
        }
        far.set_nonblocking(true).unwrap();
        let (mut bytes, mut got) = (Vec::new(), Vec::new());
        let mut chunk = vec![0; 1 << 16];
        while !near.outgoing.is_empty() || got.len() < (sent - 10) as usize {
            assert_eq!(near.flush(), IoStatus::Pending);
            if let Ok(len) = far.read(&mut chunk) {
                bytes.extend_from_slice(&chunk[..len]);
            }
            assert!(take_frames(&mut bytes, &mut 1000, &mut |it: &[u8]| {
                assert_eq!(it.len(), LEN);
                got.push(u32::from_be_bytes(it[..4].try_into().unwrap()));
            }));
            tokio::task::yield_now().await;
        }
        assert!(got.is_sorted());
        assert_eq!(got.len(), (sent - 10) as usize);
        assert!(near.outgoing.capacity() <= KEPT, "{}", near.outgoing.capacity());
    }
}
