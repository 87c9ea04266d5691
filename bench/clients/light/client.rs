//! One client: a task with a UDP socket. Each poll receives datagrams, takes orders, does what is due, and sends.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datasoup::proto::demux::{Protocol, demux};
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState, Path};
use datasoup::proto::message::{Message, Ppid, Reliability, StreamId};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::sctp::{
    Association, CongestionControl, SctpConfig, SctpEvent, SctpState, Start,
};
use datasoup::proto::session::Session;
use datasoup::proto::transmit::Transmits;
use datasoup::runtime::batch::Batch;
use datasoup::runtime::clock::monotonic;
use datasoup::runtime::sendmsg;
use datasoup::sfu::contract::options::DtlsParameters;
use datasoup::sfu::contract::parameters::IceParameters;
use quinn_udp::{RecvMeta, UdpSocketState};
use serde::Deserialize;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Sleep;

use crate::checks::{self, Answer, CHECK, CONSENT};

/// Receive calls per turn of a client. The next turn receives the rest, so that a busy client does not
/// hold up the others.
const RECEIVES: usize = 8;
/// The largest receive: a UDP datagram, or several with GRO.
const RECEIVE_SIZE: usize = 65_535;
/// A client that sends as fast as possible keeps up to this many bytes in its send queue.
const HIGH_WATER: usize = 256 * 1024;
/// The bytes of a message that hold the time at which it was sent, in nanoseconds of the system's monotonic clock.
const STAMP: std::ops::Range<usize> = 8..16;

/// The server of a client, with the names of a WebRtcTransport.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Server {
    ice_parameters: Ice,
    /// The client uses the first candidate with UDP.
    ice_candidates: Vec<Candidate>,
    dtls_parameters: DtlsParameters,
    /// Streams of the client's channels. It sends on the first.
    stream_ids: Vec<StreamId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ice {
    username_fragment: String,
    password: String,
}

#[derive(Deserialize)]
struct Candidate {
    ip: String,
    port: u16,
    protocol: String,
}

/// The messages that a client sends.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Load {
    count: u32,
    /// In bytes, at least 16.
    size: usize,
    /// Messages per second; `None` sends as fast as possible.
    per_second: Option<f64>,
}

pub(crate) enum Order {
    Ready { latencies: bool },
    Expect(u32),
    Report,
    ReportLatencies,
    Send(Load),
    Echo,
    Close,
}

pub(crate) enum Report {
    Connected,
    /// Failed to connect.
    Failed(String),
    Ready,
    Reached(u32),
    Tally(Tally),
    Latencies(Vec<u32>),
    Sent,
    Closed,
}

/// The messages that a client has received.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) count: u32,
    pub(crate) disordered: u32,
}

struct Sending {
    load: Load,
    begun: Instant,
    sent: u32,
}

impl Sending {
    /// The time at which the next message is due.
    fn next(&self) -> Instant {
        match self.load.per_second {
            Some(rate) => self.begun + Duration::from_secs_f64(f64::from(self.sent) / rate),
            None => self.begun,
        }
    }
}

pub(crate) struct Client {
    socket: UdpSocket,
    state: UdpSocketState,
    /// The addresses of the client and of the server.
    tuple: Tuple,
    ice: IceParameters,
    next_check: Instant,
    path_works: bool,
    dtls: Dtls,
    sctp: Association,
    streams: Vec<StreamId>,
    orders: UnboundedReceiver<Order>,
    reporter: Sender<Report>,
    delivered: Arc<AtomicU64>,
    /// The number of the next message.
    next: u32,
    tally: Tally,
    /// In µs, if they are measured.
    latencies: Option<Vec<u32>>,
    expected: Option<u32>,
    sending: Option<Sending>,
    echoes: bool,
    sleep: Pin<Box<Sleep>>,
}

/// Buffers that the clients of a thread share.
struct Scratch {
    received: Vec<u8>,
    transmits: Transmits,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { received: vec![0; RECEIVE_SIZE], transmits: Transmits::default() });
}

impl Client {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(
        server: Server,
        context: Arc<DtlsContext>,
        orders: UnboundedReceiver<Order>,
        reporter: Sender<Report>,
        delivered: Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let now = Instant::now();
        let remote = server.address()?;
        let (socket, state) =
            bind(remote).map_err(|error| format!("the client has no socket: {error}"))?;
        let mut dtls = Dtls::new(context, Path::Proved);
        dtls.connect(now, DtlsRole::Server, server.dtls_parameters.fingerprints)
            .map_err(|error| error.to_string())?;
        let mut sctp = Association::new(sctp_config());
        for stream in &server.stream_ids {
            sctp.open_stream(*stream, Reliability::RELIABLE);
        }
        Ok(Self {
            socket,
            state,
            tuple: Tuple::new(SocketId(0), remote),
            ice: IceParameters {
                username_fragment: server.ice_parameters.username_fragment,
                password: server.ice_parameters.password,
                ice_lite: true,
            },
            next_check: now,
            path_works: false,
            dtls,
            sctp,
            streams: server.stream_ids,
            orders,
            reporter,
            delivered,
            next: 0,
            tally: Tally::default(),
            latencies: None,
            expected: None,
            sending: None,
            echoes: false,
            sleep: Box::pin(tokio::time::sleep_until(now.into())),
        })
    }

    fn report(&self, report: Report) {
        // Ignores the error: the receiver has ended only when the process ends.
        let _ = self.reporter.send(report);
    }

    /// Receives datagrams. The socket wakes the task for more.
    fn receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) {
        for _ in 0..RECEIVES {
            let mut meta = [RecvMeta::default()];
            let received = self.socket.try_io(Interest::READABLE, || {
                let mut buffers = [IoSliceMut::new(buffer)];
                self.state.recv((&self.socket).into(), &mut buffers, &mut meta)
            });
            match received {
                Ok(_) => {
                    let now = Instant::now();
                    let [RecvMeta { len, stride, .. }] = meta;
                    for datagram in buffer[..len].chunks(stride.max(1)) {
                        self.handle_datagram(now, datagram);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.socket.poll_recv_ready(cx).is_pending() {
                        return;
                    }
                }
                // For example, the server's port is closed. The port may open again, so the client continues.
                Err(_) => {}
            }
        }
        cx.waker().wake_by_ref();
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        match demux(datagram) {
            Protocol::Stun if !self.path_works => match checks::read_answer(datagram, &self.ice) {
                Answer::Success(_) => {
                    self.path_works = true;
                    self.next_check = now + CONSENT;
                    self.dtls.path_ready(now);
                }
                Answer::Refusal(code) => {
                    self.report(Report::Failed(format!("connectivity check rejected: {code}")));
                }
                Answer::Foreign => {}
            },
            Protocol::Dtls => {
                self.dtls.handle_datagram(now, datagram);
            }
            Protocol::Stun | Protocol::Other => {}
        }
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::State(DtlsState::Connected) => self.sctp.connect(now),
                DtlsEvent::State(DtlsState::Failed) => {
                    self.report(Report::Failed("DTLS failed".into()));
                }
                DtlsEvent::State(_) => {}
                DtlsEvent::Data(packet) => drop(self.sctp.handle_packet(now, packet)),
            }
        }
        while let Some(event) = self.sctp.poll_event() {
            match event {
                SctpEvent::State(SctpState::Connected) => self.report(Report::Connected),
                SctpEvent::State(SctpState::Failed) => {
                    self.report(Report::Failed("SCTP failed".into()));
                }
                SctpEvent::Message { message, .. } => self.handle_message(now, message),
                _ => {}
            }
        }
    }

    fn handle_message(&mut self, now: Instant, message: Message) {
        if self.echoes {
            // A full send queue loses the message, as in an application, and the row fails.
            let _ = self.sctp.send(now, self.streams[0], message);
            return;
        }
        let payload = &message.payload;
        let number = payload.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        self.tally.disordered += u32::from(number != self.next);
        self.next = number.wrapping_add(1);
        self.tally.count += 1;
        self.delivered.fetch_add(1, Ordering::Relaxed);
        if let Some(latencies) = &mut self.latencies
            && let Some(stamp) = payload.get(STAMP).and_then(|bytes| bytes.first_chunk())
        {
            let sent = Duration::from_nanos(u64::from_le_bytes(*stamp));
            let took = monotonic().saturating_sub(sent).as_micros();
            latencies.push(took.try_into().unwrap_or(u32::MAX));
        }
        self.check_expected();
    }

    fn check_expected(&mut self) {
        if let Some(count) = self.expected.take_if(|count| *count <= self.tally.count) {
            self.report(Report::Reached(count));
        }
    }

    /// Takes orders. True if the client is to close.
    fn take_orders(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        while let Poll::Ready(order) = self.orders.poll_recv(cx) {
            match order {
                Some(Order::Ready { latencies }) => {
                    (self.next, self.tally) = (0, Tally::default());
                    self.latencies = latencies.then(Vec::new);
                    self.report(Report::Ready);
                }
                Some(Order::Expect(count)) => {
                    self.expected = Some(count);
                    self.check_expected();
                }
                Some(Order::Report) => self.report(Report::Tally(self.tally)),
                Some(Order::ReportLatencies) => {
                    let latencies = self.latencies.take().unwrap_or_default();
                    self.report(Report::Latencies(latencies));
                }
                Some(Order::Send(load)) => {
                    self.sending = Some(Sending { load, begun: now, sent: 0 });
                }
                Some(Order::Echo) => self.echoes = true,
                Some(Order::Close) | None => return true,
            }
        }
        false
    }

    fn do_what_is_due(&mut self, now: Instant) {
        if self.dtls.poll_timeout().is_some_and(|at| at <= now) {
            self.dtls.handle_timeout(now);
        }
        if self.sctp.poll_timeout().is_some_and(|at| at <= now) {
            self.sctp.handle_timeout(now);
        }
        self.collect(now);
        let Some(sending) = &mut self.sending else { return };
        let Load { count, size, .. } = sending.load;
        while sending.sent < count && sending.next() <= now && self.sctp.queued_bytes() < HIGH_WATER
        {
            let mut payload = vec![b'x'; size.max(STAMP.end)];
            payload[..4].copy_from_slice(&sending.sent.to_le_bytes());
            let stamp = u64::try_from(monotonic().as_nanos()).unwrap_or(u64::MAX);
            payload[STAMP].copy_from_slice(&stamp.to_le_bytes());
            let message = Message::new(Ppid::BINARY, payload.into());
            if self.sctp.send(now, self.streams[0], message).is_err() {
                return; // The association has ended. What was not sent counts as lost at the receiver.
            }
            sending.sent += 1;
        }
        if sending.sent == count {
            self.sending = None;
            self.report(Report::Sent);
        }
    }

    fn flush(&mut self, now: Instant, transmits: &mut Transmits) {
        let Self { dtls, sctp, tuple, .. } = self;
        if self.next_check <= now {
            self.next_check = now + if self.path_works { CONSENT } else { CHECK };
            transmits.push(*tuple, &checks::check(&self.ice, true));
        }
        dtls.poll_transmit(*tuple, transmits);
        if dtls.state() == DtlsState::Connected {
            sctp.drain_transmits(now, |packet| {
                // The session's event reports the failure.
                transmits.push_with(*tuple, |bytes| _ = dtls.seal(packet, bytes));
            });
        }
        let mut index = 0;
        let max = self.state.max_gso_segments();
        while let Some(batch) = Batch::at(transmits, index, max, 1) {
            let (to, contents, segment_size, count) = match batch {
                Batch::Single(to, datagram) => (to, datagram, None, 1),
                Batch::Segments { to, size, contents, count } => (to, contents, Some(size), count),
                Batch::Many(_) => unreachable!("at most one datagram to several peers"),
            };
            // A datagram that the kernel does not take is lost, as on any network.
            let _ = sendmsg::send(self.socket.as_fd(), to, contents, segment_size);
            index += count;
        }
        transmits.clear();
    }

    fn close(&mut self, now: Instant, transmits: &mut Transmits) {
        self.sctp.abort(now);
        self.flush(now, transmits);
        self.dtls.close();
        self.flush(now, transmits);
        self.report(Report::Closed);
    }

    /// Sets the timer to the next deadline.
    fn rest(&mut self, cx: &mut Context<'_>) {
        let paced = self.sending.as_ref().filter(|it| it.load.per_second.is_some());
        let deadlines =
            [self.dtls.poll_timeout(), self.sctp.poll_timeout(), paced.map(Sending::next)];
        let deadline = deadlines.into_iter().flatten().fold(self.next_check, Instant::min);
        self.sleep.as_mut().reset(deadline.into());
        if self.sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for Client {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SCRATCH.with_borrow_mut(|Scratch { received, transmits }| {
            self.receive(cx, received);
            let now = Instant::now();
            if self.take_orders(cx, now) {
                self.close(now, transmits);
                return Poll::Ready(());
            }
            self.do_what_is_due(now);
            self.flush(now, transmits);
            self.rest(cx);
            Poll::Pending
        })
    }
}

impl Server {
    fn address(&self) -> Result<SocketAddr, String> {
        let candidate = self.ice_candidates.iter().find(|it| it.protocol == "udp");
        let Some(Candidate { ip, port, .. }) = candidate else {
            return Err("the server has no UDP candidate".into());
        };
        let ip = ip.parse().map_err(|error| format!("candidate '{ip}': {error}"))?;
        Ok(SocketAddr::new(ip, *port))
    }
}

/// A connected socket, so that the kernel does not look up the route of each datagram.
fn bind(remote: SocketAddr) -> io::Result<(UdpSocket, UdpSocketState)> {
    let local = match remote {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = StdUdpSocket::bind(local)?;
    socket.connect(remote)?;
    socket.set_nonblocking(true)?;
    let state = UdpSocketState::new((&socket).into())?;
    Ok((UdpSocket::from_std(socket)?, state))
}

/// The SCTP settings of a browser: the client sends the INIT.
fn sctp_config() -> SctpConfig {
    const MESSAGE: u32 = 262_144;
    const BUFFER: usize = 1024 * 1024;
    SctpConfig {
        max_send_message_size: MESSAGE,
        max_receive_message_size: MESSAGE,
        send_buffer_size: BUFFER,
        per_stream_send_queue_limit: BUFFER,
        max_receiver_window: 1024 * 1024,
        buffered_amount_low_threshold: 0,
        congestion_control: CongestionControl::default(),
        start: Start::AtOnce,
        max_packet_size: Session::MAX_SCTP_PACKET_SIZE,
        data_channels: true,
        silence: None,
    }
}
