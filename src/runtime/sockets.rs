//! All sockets of a worker: what is read in a turn, what leaves through which socket, and what closes.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet, FxRandomState};
use tokio::net::TcpStream;

use crate::proto::net::{SocketId, Tuple};
use crate::proto::transmit::Transmits;
use crate::sfu::Sfu;
use crate::sfu::address::Listen;
use crate::sfu::contract::dump::SocketCounters;
use crate::sfu::contract::options::{ListenInfo, PortRange};
use crate::sfu::contract::parameters::ListenProtocol;
use crate::sfu::error::Error;

use super::tcp::{Accepted, Allowance, IoStatus, TcpConnection, TcpPort};
use super::udp::{OffloadHold, ReceiveBuffers, UdpPort};
use super::unverified::UnverifiedConnections;
use super::{clock, open, ports};

/// Connections taken from one listener in one turn, at about 10 µs each. The rest waits for the next
/// turn.
const ACCEPTS_PER_TURN: usize = 16;

/// How long a turn reads sockets. Those that are left come first in the next turn.
const READING: Duration = Duration::from_micros(500);

/// How long a listener rests when it cannot accept: the process has run out of file descriptors, say.
const REST: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(super) struct Sockets {
    /// Makes the waker that marks a socket as readable.
    waker_of: Box<dyn Fn(SocketId) -> Waker>,
    ports: PortRange,
    sockets: FxHashMap<SocketId, Socket>,
    next: u32,
    /// The connection of each TCP tuple. A peer chooses its port, so a random seed keeps it from making the
    /// entries collide.
    connections: HashMap<Tuple, SocketId, FxRandomState>,
    /// Connections without a valid STUN request, and some that have had one lately.
    unverified: UnverifiedConnections,
    /// Listeners that rest, ordered by the time at which they try again.
    resting: VecDeque<(Instant, SocketId)>,
    /// Connections that have something to write.
    unflushed: Vec<SocketId>,
    /// The sockets that were read in this turn, as each may be read only once.
    seen: FxHashSet<SocketId>,
    buffers: ReceiveBuffers,
    /// The socket that comes first in the next turn, as `buffers` still hold datagrams of it.
    unfinished: Option<SocketId>,
    offload: OffloadHold,
    /// Whether the log says that a receive buffer is smaller than asked for.
    small_buffer_logged: bool,
    counters: SocketCounters,
}

enum Socket {
    Udp(UdpPort),
    TcpListener(TcpPort),
    TcpConnection(TcpConnection),
}

impl Sockets {
    /// Makes an empty set of sockets. A socket whose options name no port gets one of `ports`.
    pub(super) fn new(waker_of: impl Fn(SocketId) -> Waker + 'static, ports: PortRange) -> Self {
        Self {
            waker_of: Box::new(waker_of),
            ports,
            sockets: FxHashMap::default(),
            next: 0,
            connections: HashMap::default(),
            unverified: UnverifiedConnections::default(),
            resting: VecDeque::new(),
            unflushed: Vec::new(),
            seen: FxHashSet::default(),
            buffers: ReceiveBuffers::new(),
            unfinished: None,
            offload: OffloadHold::default(),
            small_buffer_logged: false,
            counters: SocketCounters::default(),
        }
    }

    /// Binds a socket as `info` says, which is at `index` in the application's list.
    pub(super) fn listen(&mut self, index: usize, info: &ListenInfo) -> Result<Listen, Error> {
        let failed = |error: io::Error| Error::Listen { ip: info.ip, error: error.to_string() };
        let (socket, lease) = ports::bind(info, self.ports)?;
        self.compare_buffer(info, &socket);
        let id = self.next_id();
        let waker = (self.waker_of)(id);
        let (socket, local) = match info.protocol {
            ListenProtocol::Udp => {
                let port = UdpPort::new(socket, lease, waker.clone()).map_err(failed)?;
                let local = port.local_addr().map_err(failed)?;
                self.offload.hold(info.ip);
                (Socket::Udp(port), local)
            }
            ListenProtocol::Tcp => {
                let port = TcpPort::new(socket, lease, waker.clone()).map_err(failed)?;
                let local = port.local_addr().map_err(failed)?;
                (Socket::TcpListener(port), local)
            }
        };
        self.sockets.insert(id, socket);
        // The first read arms the socket's waker, and this call makes the driver read.
        waker.wake();
        Ok(Listen {
            socket: id,
            protocol: info.protocol,
            local,
            announced_addresses: info.announced_addresses.clone(),
            internal_addresses: info.internal_addresses.clone(),
            index,
        })
    }

    /// Logs, once, that the system grants a UDP socket less than was asked for.
    fn compare_buffer(&mut self, info: &ListenInfo, socket: &socket2::Socket) {
        let (ListenProtocol::Udp, Some(asked)) = (info.protocol, info.recv_buffer_size) else {
            return;
        };
        let granted = open::recv_buffer_size(socket);
        if granted < asked as usize && !std::mem::replace(&mut self.small_buffer_logged, true) {
            let raise = open::RECEIVE_BUFFER_LIMIT.map(|it| format!("raise {it}, or "));
            log::warn!(
                "a UDP socket has a receive buffer of {granted} bytes instead of the {asked} requested: {}datagrams \
                 are lost when many peers send at once (datagramsOverflowed)",
                raise.unwrap_or_default()
            );
        }
    }

    /// Closes a socket, and the connections that came through it.
    pub(super) fn close(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        self.counters.datagrams_overflowed += overflowed(&socket);
        if self.unfinished.take_if(|it| *it == id).is_some() {
            self.buffers.discard();
        }
        if let Socket::TcpListener(_) = socket {
            let Self { sockets, connections, .. } = self;
            connections.retain(|tuple, connection| {
                let keep = tuple.socket != id;
                if !keep {
                    sockets.remove(connection);
                }
                keep
            });
        }
    }

    /// Closes the TCP connection of this tuple, if there is one.
    pub(super) fn close_connection(&mut self, tuple: Tuple) {
        if let Some(id) = self.connections.remove(&tuple) {
            self.sockets.remove(&id);
        }
    }

    /// Reads the readable sockets for a while; those with more to read stay in the list. Unverified connections
    /// share one allowance per turn, and those that did not get a part of it come first in the next.
    pub(super) fn receive(&mut self, readable: &mut Vec<SocketId>, sfu: &mut Sfu, now: Instant) {
        let mut unverified = Allowance::of_all_unverified();
        let mut served = Vec::new();
        self.seen.clear();
        let until = clock::now() + READING;
        let mut left = self.unfinished.into_iter().chain(std::mem::take(readable));
        while clock::now() < until
            && let Some(id) = left.next()
        {
            // A waker that a write has armed may have added a socket twice. It must not be read twice in a turn.
            if !self.seen.insert(id) {
                continue;
            }
            let flow = match self.sockets.get_mut(&id) {
                None => IoStatus::Pending,
                Some(Socket::Udp(port)) => {
                    let unanswerable = &mut self.counters.datagrams_unanswerable;
                    let handle = |local, remote, datagram: &[u8]| {
                        sfu.handle_datagram(Tuple { socket: id, local, remote }, datagram);
                    };
                    let more = port.receive(&mut self.buffers, until, unanswerable, handle);
                    self.unfinished = self.buffers.is_left().then_some(id);
                    if more {
                        if let Some(room) = port.crowded() {
                            sfu.handle_crowd(id, room);
                        }
                        IoStatus::More
                    } else {
                        IoStatus::Pending
                    }
                }
                Some(Socket::TcpConnection(connection)) => {
                    let tuple = connection.tuple;
                    let mut own = Allowance::of_a_peer();
                    let allowance = if sfu.is_valid_tuple(tuple) {
                        &mut own
                    } else if unverified.is_used_up() {
                        readable.push(id);
                        continue;
                    } else {
                        &mut unverified
                    };
                    connection.receive(allowance, until, |datagram| {
                        sfu.handle_datagram(tuple, datagram);
                    })
                }
                Some(Socket::TcpListener(_)) => self.accept(id, now, sfu),
            };
            match flow {
                IoStatus::Pending => {}
                IoStatus::More => served.push(id),
                IoStatus::Closed => self.connection_closed(id, sfu),
                IoStatus::Malformed => {
                    self.counters.tcp_connections_dropped += 1;
                    self.connection_closed(id, sfu);
                }
            }
        }
        readable.extend(left);
        readable.append(&mut served);
    }

    /// Sends all datagrams of a turn. Returns whether a connection turned out to be closed.
    pub(super) fn transmit(&mut self, transmits: &Transmits, sfu: &mut Sfu) -> bool {
        let mut index = 0;
        while let Some((tuple, datagram)) = transmits.get(index) {
            index += match self.sockets.get_mut(&tuple.socket) {
                Some(Socket::Udp(port)) => {
                    port.send(transmits, index, &mut self.counters.datagrams_unsent)
                }
                Some(Socket::TcpListener(_)) => {
                    self.send_framed(tuple, datagram);
                    1
                }
                // The listener was closed in this turn.
                Some(Socket::TcpConnection(_)) | None => {
                    self.counters.datagrams_unsent += 1;
                    1
                }
            };
        }
        let mut lost = false;
        while let Some(id) = self.unflushed.pop() {
            if let Some(Socket::TcpConnection(connection)) = self.sockets.get_mut(&id)
                && connection.flush() == IoStatus::Closed
            {
                self.connection_closed(id, sfu);
                lost = true;
            }
        }
        lost
    }

    /// Counts the datagrams and connections that were dropped so far.
    pub(super) fn counters(&self) -> SocketCounters {
        let overflowed = self.sockets.values().map(overflowed).sum::<u64>();
        let mut counters = self.counters;
        counters.datagrams_overflowed += overflowed;
        counters
    }

    /// The time at which [`Self::expire`] next has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let resting = self.resting.front().map(|(at, _)| *at);
        [self.unverified.deadline(), resting].into_iter().flatten().min()
    }

    /// Closes the connections whose probation is over, and wakes listeners that have rested.
    pub(super) fn expire(&mut self, now: Instant, sfu: &Sfu) {
        while let Some(id) = pop_due(&mut self.resting, now) {
            (self.waker_of)(id).wake();
        }
        while let Some(id) = self.unverified.pop_due(now) {
            if is_unverified(&self.sockets, id, sfu) {
                self.drop_unverified(id);
            }
        }
    }

    /// An id that no open socket has. In the life of a worker, connections may use up all 32 bits.
    fn next_id(&mut self) -> SocketId {
        loop {
            let id = SocketId(self.next);
            self.next = self.next.wrapping_add(1);
            if !self.sockets.contains_key(&id) {
                return id;
            }
        }
    }

    /// Takes the next connections of a listener.
    fn accept(&mut self, id: SocketId, now: Instant, sfu: &mut Sfu) -> IoStatus {
        let Self { unverified, sockets, .. } = self;
        unverified.retain(|id| is_unverified(sockets, id, sfu));
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Socket::TcpListener(port)) = self.sockets.get(&id) else { break };
            match port.accept() {
                Accepted::Connection(stream, local, remote) => {
                    let tuple = Tuple { socket: id, local, remote };
                    self.admit(stream, tuple, now, sfu);
                }
                Accepted::Failed => {}
                Accepted::Nothing => return IoStatus::Pending,
                Accepted::Later => {
                    self.resting.push_back((now + REST, id));
                    return IoStatus::Pending;
                }
            }
        }
        IoStatus::More
    }

    fn admit(&mut self, stream: TcpStream, tuple: Tuple, now: Instant, sfu: &mut Sfu) {
        let id = self.next_id();
        let waker = (self.waker_of)(id);
        let connection = match TcpConnection::new(stream, tuple, waker.clone()) {
            Ok(connection) => connection,
            Err(error) => {
                return log::debug!(
                    "cannot take the TCP connection from {}: {error}",
                    tuple.remote
                );
            }
        };
        // An older connection from the same port has ended, though its end was not read yet. The new
        // one must not inherit its valid tuple.
        if let Some(&ended) = self.connections.get(&tuple) {
            self.connection_closed(ended, sfu);
        }
        if let Some(evicted) = self.unverified.admit(now, id, tuple.remote.ip()) {
            self.drop_unverified(evicted);
        }
        self.connections.insert(tuple, id);
        self.sockets.insert(id, Socket::TcpConnection(connection));
        waker.wake();
    }

    /// Closes a connection on which no valid STUN request has arrived, and counts it as dropped.
    fn drop_unverified(&mut self, id: SocketId) {
        if let Some(Socket::TcpConnection(connection)) = self.sockets.remove(&id) {
            log::debug!(
                "closed the TCP connection from {}, which sent no valid STUN request",
                connection.tuple.remote
            );
            self.connections.remove(&connection.tuple);
            self.counters.tcp_connections_dropped += 1;
        }
    }

    fn send_framed(&mut self, tuple: Tuple, datagram: &[u8]) {
        let connection =
            self.connections.get(&tuple).and_then(|id| Some((id, self.sockets.get_mut(id)?)));
        let Some((id, Socket::TcpConnection(connection))) = connection else {
            self.counters.datagrams_unsent += 1;
            return;
        };
        if !connection.send(datagram) {
            self.counters.datagrams_unsent += 1;
        }
        if self.unflushed.last() != Some(id) {
            self.unflushed.push(*id);
        }
    }

    fn connection_closed(&mut self, id: SocketId, sfu: &mut Sfu) {
        if let Some(Socket::TcpConnection(connection)) = self.sockets.remove(&id) {
            self.connections.remove(&connection.tuple);
            sfu.handle_tuple_closed(connection.tuple);
        }
    }
}

/// Whether this is a connection on which no valid STUN request has arrived.
fn is_unverified(sockets: &FxHashMap<SocketId, Socket>, id: SocketId, sfu: &Sfu) -> bool {
    match sockets.get(&id) {
        Some(Socket::TcpConnection(connection)) => !sfu.is_valid_tuple(connection.tuple),
        _ => false,
    }
}

/// See [`UdpPort::overflowed`].
fn overflowed(socket: &Socket) -> u64 {
    match socket {
        Socket::Udp(port) => port.overflowed(),
        Socket::TcpListener(_) | Socket::TcpConnection(_) => 0,
    }
}

/// Takes the first entry of a queue ordered by time, if it is due.
fn pop_due(queue: &mut VecDeque<(Instant, SocketId)>, now: Instant) -> Option<SocketId> {
    queue.front().filter(|(at, _)| *at <= now)?;
    queue.pop_front().map(|(_, id)| id)
}

#[cfg(test)]
mod tests;
