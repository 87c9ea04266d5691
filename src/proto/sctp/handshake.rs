//! The handshake (RFC 9260 §5), up to the point where sctp-proto makes an established association of what both
//! sides have announced. sctp-proto's own handshake gives each direction another tag, so it cannot begin one that it
//! has also answered.
//!
//! Both directions may run at once, and either may complete. Our tag and our first TSN are the same in both (§5.2.1),
//! so both sides end in the same association, whichever it is:
//!
//! ```text
//! theirs: INIT ─► INIT ACK, our cookie ─► COOKIE ECHO ─► COOKIE ACK, established
//! ours:   silence ─► INIT ─► INIT ACK, their cookie ─► COOKIE ECHO ─► COOKIE ACK, established
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;

use super::budget::CpuBudget;
use super::config::{SctpConfig, Start};
use super::counters::PacketDrop;
use super::init::{self, Greeting};
use super::wire::{
    COMMON_HEADER, Chunk, Header, Init, Writer, cause, checksum_matches, kind, parameter, u16_at,
};

/// How long the peer's INIT, or its COOKIE ECHO after our INIT ACK, may be overdue before we send an INIT. Peers repeat
/// theirs after 1 s (RFC 9260 §16), so this is what a lost packet costs.
const SILENCE: Duration = Duration::from_millis(500);

/// How long an INIT or COOKIE ECHO of ours waits for its answer before it is repeated. The interval doubles with every
/// second repetition. This begins below the 1 s of RFC 9260 §16 and grows more slowly, as a user waits: what it costs
/// on a path with a longer round trip is two small packets.
const REPEAT: Duration = Duration::from_millis(500);

/// The longest of these intervals.
const MAX_REPEAT: Duration = Duration::from_secs(5);

/// The handshake fails when this many repetitions in a row have no answer: after 35 s. Counted in packets, so that
/// a pause of this process is not taken for the peer's silence.
const MAX_REPEATS: u8 = 11;

/// How often the handshake starts again because the peer rejects its cookie as stale. A cookie lives for 60 s
/// (RFC 9260 §16), so once should be enough.
const MAX_STALE_COOKIES: u8 = 3;

/// What an INIT costs in nanoseconds, with its answer.
const INIT_COST: u64 = 10_000;

/// The ports that we use unless the peer has begun with others (RFC 8841 §5.1 suggests 5000).
const PORT: u16 = 5000;

/// What [`Handshake::handle_packet`] made of a packet.
#[derive(Debug)]
pub(super) enum Step {
    /// The packet was a step of the handshake.
    Taken,
    /// The packet was dropped.
    Dropped(PacketDrop),
    /// The peer aborted, with this error cause.
    Aborted(Option<u16>),
    /// Both sides agree. The packet may hold more than the end of the handshake.
    Established(Agreement),
}

/// What both sides have announced.
#[derive(Debug)]
pub(super) struct Agreement {
    pub(super) local: Init,
    /// The cookie that the peer may still echo, if its COOKIE ACK was lost.
    pub(super) cookie: Option<Bytes>,
    pub(super) peer: Greeting,
    /// How long the answer to our last packet took, if it is certain which packet was answered.
    pub(super) round_trip: Option<Duration>,
}

/// No answer to [`MAX_REPEATS`] repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAnswer;

/// How far the direction that we begin is.
#[derive(Debug)]
enum OurWay {
    /// We have not begun.
    Idle,
    /// We have sent an INIT.
    InitSent,
    /// The peer has answered our INIT with a cookie, which we have sent back.
    CookieEchoed { peer: Greeting, cookie: Bytes },
}

/// A handshake with one peer. Once it is complete, it still answers the peer's COOKIE ECHO.
#[derive(Debug)]
pub(super) struct Handshake {
    /// Whether this side may send an INIT.
    may_begin: bool,
    max_packet: usize,
    local: Init,
    /// Ours and the peer's.
    ports: (u16, u16),
    our_way: OurWay,
    /// The peer whose INIT we have answered, and the cookie in the answer.
    answered: Option<(Greeting, Bytes)>,
    init_budget: CpuBudget,
    /// When to begin, or to repeat what we have sent.
    due: Option<Instant>,
    repeats: u8,
    /// When we sent the packet that the peer's next step answers. `None` if that may be one of several packets.
    asked_at: Option<Instant>,
    stale_cookies: u8,
    /// An INIT ACK or COOKIE ACK on its way out.
    answer: Option<Bytes>,
    /// Whether an INIT or COOKIE ECHO has to go out.
    sends_ours: bool,
}

impl Handshake {
    /// The layer below is ready.
    pub(super) fn new(now: Instant, config: &SctpConfig) -> Self {
        let mut handshake = Self {
            may_begin: config.start != Start::Never,
            max_packet: config.max_packet_size,
            local: fresh(config.receive_window()),
            ports: (PORT, PORT),
            our_way: OurWay::Idle,
            answered: None,
            init_budget: CpuBudget::default(),
            due: None,
            repeats: 0,
            asked_at: None,
            stale_cookies: 0,
            answer: None,
            sends_ours: false,
        };
        match config.start {
            Start::AtOnce => handshake.begin(now),
            Start::AfterSilence => handshake.due = Some(now + SILENCE),
            Start::Never => {}
        }
        handshake
    }

    /// Takes a packet before the association is established.
    pub(super) fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Step {
        self.try_handle(now, packet).unwrap_or_else(Step::Dropped)
    }

    fn try_handle(&mut self, now: Instant, packet: &[u8]) -> Result<Step, PacketDrop> {
        let (header, mut chunks) = Header::parse(packet).ok_or(PacketDrop::Malformed)?;
        let all = chunks;
        let chunk = chunks.next().ok_or(PacketDrop::Malformed)?;
        let chunk = chunk.map_err(|_| PacketDrop::Malformed)?;
        if chunk.kind == kind::INIT {
            return self.on_init(now, packet);
        }
        if let Some(abort) = all.flatten().find(|chunk| chunk.kind == kind::ABORT) {
            return self.on_abort(packet, header, &abort);
        }
        match (chunk.kind, &self.our_way) {
            (kind::INIT_ACK, OurWay::InitSent) => self.on_init_ack(now, packet, header, &chunk),
            (kind::COOKIE_ECHO, _) => {
                let (peer, _) = self
                    .answered
                    .as_ref()
                    .filter(|(_, cookie)| cookie == chunk.value)
                    .ok_or(PacketDrop::Unexpected)?;
                let peer = *peer;
                self.verify(packet, header, peer.header)?;
                self.acknowledge_cookie(peer);
                Ok(self.established(now, peer))
            }
            (kind::ERROR, OurWay::CookieEchoed { peer, .. })
                if u16_at(chunk.value, 0) == Some(cause::STALE_COOKIE)
                    && self.stale_cookies < MAX_STALE_COOKIES =>
            {
                self.verify(packet, header, peer.header)?;
                self.stale_cookies += 1;
                self.begin(now);
                Ok(Step::Taken)
            }
            // Only an established peer sends these chunks, so its COOKIE ACK was lost or is late.
            (
                kind::COOKIE_ACK
                | kind::DATA
                | kind::SACK
                | kind::HEARTBEAT
                | kind::FORWARD_TSN
                | kind::RECONFIG,
                OurWay::CookieEchoed { peer, .. },
            ) => {
                let peer = *peer;
                self.verify(packet, header, peer.header)?;
                Ok(self.established(now, peer))
            }
            _ => Err(PacketDrop::Unexpected),
        }
    }

    /// Answers an INIT (RFC 9260 §5.1 B, §5.2.1).
    fn on_init(&mut self, now: Instant, packet: &[u8]) -> Result<Step, PacketDrop> {
        let peer = init::read(packet)?;
        let known = self.answered.as_ref();
        if known.is_none_or(|(known, _)| known.init.tag != peer.init.tag) {
            if !self.init_budget.take(now, INIT_COST) {
                return Err(PacketDrop::Overload);
            }
            if matches!(self.our_way, OurWay::Idle) {
                // A different peer, or one that has restarted, must not learn anything about the earlier attempt.
                if known.is_some() || peer.init.tag == self.local.tag {
                    self.local = fresh(self.local.window);
                }
                self.ports = (peer.header.source_port, peer.header.destination_port);
            } else if peer.init.tag == self.local.tag {
                return Err(PacketDrop::Malformed);
            }
            let cookie: [u8; 32] = rand::rng().random();
            self.answered = Some((peer, Bytes::copy_from_slice(&cookie)));
            self.asked_at = matches!(self.our_way, OurWay::Idle).then_some(now);
        } else {
            self.asked_at = None;
        }
        self.answer = self.init_ack();
        // Our answer or the COOKIE ECHO may be lost.
        if self.may_begin && matches!(self.our_way, OurWay::Idle) {
            self.due = Some(now + SILENCE);
        }
        Ok(Step::Taken)
    }

    fn on_init_ack(
        &mut self,
        now: Instant,
        packet: &[u8],
        header: Header,
        chunk: &Chunk<'_>,
    ) -> Result<Step, PacketDrop> {
        let (peer, cookie) = init::read_ack(header, chunk).ok_or(PacketDrop::Malformed)?;
        let fits = COMMON_HEADER + 4 + cookie.len() <= self.max_packet;
        if !fits || peer.init.tag == self.local.tag {
            return Err(PacketDrop::Malformed);
        }
        self.verify(packet, header, self.header(0))?;
        self.our_way = OurWay::CookieEchoed { peer, cookie: Bytes::copy_from_slice(cookie) };
        self.send_ours(now);
        Ok(Step::Taken)
    }

    /// An ABORT of a peer that knows no association has the tag that we sent it, and the T bit (RFC 9260 §8.5.1 B).
    fn on_abort(
        &self,
        packet: &[u8],
        header: Header,
        abort: &Chunk<'_>,
    ) -> Result<Step, PacketDrop> {
        let reflected = abort.flags & 1 != 0;
        let expected = match reflected {
            true => self.peers().any(|peer| peer.init.tag == header.tag),
            false => header.tag == self.local.tag,
        };
        if !expected || !checksum_matches(packet) {
            return Err(PacketDrop::Foreign);
        }
        Ok(Step::Aborted(u16_at(abort.value, 0)))
    }

    fn established(&mut self, now: Instant, peer: Greeting) -> Step {
        let asked_at = self.asked_at.take();
        let round_trip = asked_at.map(|at| now.saturating_duration_since(at));
        self.our_way = OurWay::Idle;
        self.sends_ours = false;
        self.due = None;
        self.may_begin = false;
        // If the peer's INIT has another tag, it belongs to another association.
        self.answered = self.answered.take().filter(|(it, _)| it.init.tag == peer.init.tag);
        let cookie = self.answered.as_ref().map(|(_, cookie)| cookie.clone());
        Step::Established(Agreement { local: self.local, cookie, peer, round_trip })
    }

    /// Answers the COOKIE ECHO of a peer with which the association is established: our COOKIE ACK was lost, or both
    /// directions have completed (RFC 9260 §5.2.4 D). Call this if the packet has been verified.
    pub(super) fn answer_again(&mut self, packet: &[u8]) {
        if let (Some(echoed), Some((peer, cookie))) = (init::cookie(packet), &self.answered)
            && cookie == echoed
        {
            self.acknowledge_cookie(*peer);
        }
    }

    /// Waits for another peer. Nothing of this attempt remains valid.
    pub(super) fn forget_peer(&mut self) {
        self.local = fresh(self.local.window);
        self.answered = None;
        self.answer = None;
    }

    /// Begins the handshake, or repeats the INIT or COOKIE ECHO that has no answer.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), NoAnswer> {
        if self.due.is_none_or(|due| due > now) {
            return Ok(());
        }
        match self.our_way {
            OurWay::Idle => self.begin(now),
            _ if self.repeats == MAX_REPEATS => return Err(NoAnswer),
            _ => {
                self.repeats += 1;
                let interval = REPEAT * (1 << (self.repeats / 2));
                self.due = Some(now + interval.min(MAX_REPEAT));
                self.sends_ours = true;
                self.asked_at = None;
            }
        }
        Ok(())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The next packet to send.
    pub(super) fn poll_transmit(&mut self) -> Option<Bytes> {
        if let Some(answer) = self.answer.take() {
            return Some(answer);
        }
        if !std::mem::take(&mut self.sends_ours) {
            return None;
        }
        match &self.our_way {
            OurWay::Idle => None,
            OurWay::InitSent => Some(greeting(self.header(0), kind::INIT, self.local, &[])),
            OurWay::CookieEchoed { peer, cookie } => {
                let mut writer = Writer::new(peer.header, COMMON_HEADER + 4 + cookie.len());
                writer.chunk(kind::COOKIE_ECHO, 0, &[cookie]);
                Some(writer.finish())
            }
        }
    }

    /// The header of packets to the peer, if its tag is known.
    pub(super) fn peer_header(&self) -> Option<Header> {
        self.peers().next().map(|peer| peer.header)
    }

    /// What the peer has announced, in its answer to our INIT and in its own INIT.
    fn peers(&self) -> impl Iterator<Item = Greeting> {
        let ours = match &self.our_way {
            OurWay::CookieEchoed { peer, .. } => Some(*peer),
            _ => None,
        };
        ours.into_iter().chain(self.answered.as_ref().map(|(peer, _)| *peer))
    }

    fn header(&self, tag: u32) -> Header {
        let (source_port, destination_port) = self.ports;
        Header { source_port, destination_port, tag }
    }

    fn begin(&mut self, now: Instant) {
        self.our_way = OurWay::InitSent;
        self.send_ours(now);
    }

    fn send_ours(&mut self, now: Instant) {
        self.sends_ours = true;
        self.asked_at = self.answered.is_none().then_some(now);
        self.repeats = 0;
        self.due = Some(now + REPEAT);
    }

    fn init_ack(&self) -> Option<Bytes> {
        let (peer, cookie) = self.answered.as_ref()?;
        Some(greeting(peer.header, kind::INIT_ACK, self.local, cookie))
    }

    fn acknowledge_cookie(&mut self, peer: Greeting) {
        let mut writer = Writer::new(peer.header, COMMON_HEADER + 4);
        writer.chunk(kind::COOKIE_ACK, 0, &[]);
        self.answer = Some(writer.finish());
    }

    /// Checks ports, tag and checksum of a packet; `ours` is the header of those that we send to the same peer.
    fn verify(&self, packet: &[u8], theirs: Header, ours: Header) -> Result<(), PacketDrop> {
        let expected = Header {
            source_port: ours.destination_port,
            destination_port: ours.source_port,
            tag: self.local.tag,
        };
        let verified = theirs == expected && checksum_matches(packet);
        if verified { Ok(()) } else { Err(PacketDrop::Foreign) }
    }
}

/// What this side announces: a random tag and a random first TSN, neither of them 0, and all streams.
fn fresh(window: u32) -> Init {
    let random = || rand::rng().random_range(1..=u32::MAX);
    Init { tag: random(), window, outbound: u16::MAX, inbound: u16::MAX, tsn: random() }
}

/// Our INIT or, with a cookie, our INIT ACK. It announces RE-CONFIG (RFC 6525), and FORWARD TSN in both encodings (RFC
/// 3758 §3.1, RFC 5061 §4.2.7).
fn greeting(header: Header, chunk: u8, local: Init, cookie: &[u8]) -> Bytes {
    let mut value = local.to_bytes().to_vec();
    if !cookie.is_empty() {
        init::push_parameter(&mut value, parameter::STATE_COOKIE, cookie);
    }
    init::push_parameter(&mut value, parameter::FORWARD_TSN_SUPPORTED, &[]);
    let extensions = [kind::RECONFIG, kind::FORWARD_TSN];
    init::push_parameter(&mut value, parameter::SUPPORTED_EXTENSIONS, &extensions);
    let mut writer = Writer::new(header, COMMON_HEADER + 4 + value.len());
    writer.chunk(chunk, 0, &[&value]);
    writer.finish()
}
