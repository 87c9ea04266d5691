//! Transmission control: when DATA leaves, and when it leaves again.
//!
//! A [`Control`] is sans-IO and independent of the engine. It takes whole messages, cuts them into DATA chunks, and
//! gives these their TSNs.
//!
//! # Contract
//!
//! - **In.** [`Control::write`] for each message that leaves the queues, [`Control::on_sack`] for each SACK of
//!   the peer, [`Control::handle_timeout`] when the time of [`Control::poll_timeout`] has come.
//! - **Out.** After all input of a turn [`Control::transmit`] hands out the packets that may leave. [`Control::admits`]
//!   says whether a further message may leave the queues.
//! - **Trust.** The peer can acknowledge nothing beyond [`Control::highest_sent`]; what a SACK says beyond it is
//!   ignored.
//!
//! # The parts
//!
//! ```text
//!  write ──────► outgoing            transmit ─► forward      FORWARD-TSN
//!                                      ├─► outgoing ─► scoreboard, lifetimes
//!                                      ├─► window?            congestion, recovery
//!                                      ├─► pacing
//!  on_sack ────► scoreboard            ├─► thin               copies of small chunks
//!    ├─► rtt, rate                     └─► packet ─► timer
//!    ├─► rack ─► lifetimes
//!    ├─► recovery, congestion        handle_timeout
//!    └─► timer                         ├─► rack               the reordering window is over
//!                                      └─► timer              probe, timeout
//! ```
//!
//! | File | What it is |
//! | --- | --- |
//! | `outgoing` | messages on their way to their TSNs |
//! | `scoreboard` | the chunks, by TSN, and the sums over them |
//! | `rtt`, `rate` | how long the path is, and how fast |
//! | `congestion/` | how much may be in flight: CUBIC, NewReno, BBR |
//! | `pacing` | how fast it may leave |
//! | `rack` | what is lost, by time |
//! | `timer` | probe and timeout |
//! | `recovery` | how the flight shrinks after a loss; losses that turn out to be false |
//! | `lifetimes`, `forward` | what is given up, and how the peer learns it |
//! | `thin` | copies of small chunks that a packet carries in case theirs is lost |
//! | `flight` | what may leave the queues |
//! | `holes` | our own SACKs |
//! | `inbound`, `outbound` | what a SACK or a timer changes; what leaves |
//! | `packet` | packets of stored chunks |
//! | `fuzz`, `testing` | the fuzz target, and what the unit tests share |

mod congestion;
mod flight;
mod forward;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod holes;
mod inbound;
mod lifetimes;
mod outbound;
mod outgoing;
mod pacing;
mod packet;
mod rack;
mod rate;
mod recovery;
mod rtt;
mod scoreboard;
#[cfg(test)]
mod testing;
mod thin;
mod timer;

use std::time::{Duration, Instant};

use super::config::CongestionControl;
use super::counters::{MessageTally, Retransmitted, TransmissionStats};
use super::wire::{Sack, Writer};
use crate::proto::message::StreamId;
use congestion::Congestion;
use flight::Flight;
use forward::Forward;
use holes::Holes;
use lifetimes::Lifetimes;
use outgoing::OutgoingMessages;
use pacing::Pacer;
use rack::Rack;
use rate::DeliveryRate;
use recovery::{Probed, Recovery, Undo};
use rtt::Rtt;
use scoreboard::Scoreboard;
use timer::{Outstanding, Timer};

pub(super) use flight::Admittance;
pub(super) use outgoing::{Outgoing, SendLimit};

/// Whether the window or the pacer, and not the application, limited what was sent.
#[derive(Debug, Clone, Copy, Default)]
struct WindowLimited {
    /// Whether that was so in the current round.
    now: bool,
    /// Whether that was so in the round before.
    before: bool,
}

/// The transmission control of one association.
#[derive(Debug)]
pub(super) struct Control {
    /// The payload bytes of a full packet.
    segment: usize,
    max_packet: usize,
    board: Scoreboard,
    lifetimes: Lifetimes,
    messages: OutgoingMessages,
    flight: Flight,
    forward: Forward,
    rtt: Rtt,
    rate: DeliveryRate,
    congestion: Congestion,
    pacer: Pacer,
    rack: Rack,
    timer: Timer,
    recovery: Option<Box<Recovery>>,
    undo: Undo,
    holes: Holes,
    /// The memory in which packets are written. Each is handed over before the next one is written.
    writer: Writer,
    /// How many messages had been written when [`Self::trim`] was called last.
    trimmed: u64,
    /// The receive window that the peer announced last.
    window: u32,
    /// Whether a probe is to be sent, whatever the window says.
    probe: bool,
    /// The chunk that the last probe sent again, until it is known whether it was lost.
    probed: Option<Probed>,
    /// When the pacer lets the next packet leave, or the peer has CPU time left again.
    paced_until: Option<Instant>,
    /// How many packets have left since [`Self::transmit`] was called.
    left: u32,
    limited: WindowLimited,
    /// The bytes marked lost since the last acknowledgement.
    newly_lost: usize,
    retransmitted: Retransmitted,
    spurious: u64,
}

impl Control {
    /// `max_packet`: the largest packet. `first_tsn`: our initial TSN.
    /// `window`: the receive window that the peer has announced.
    pub(super) fn new(
        kind: CongestionControl,
        max_packet: usize,
        first_tsn: u32,
        window: u32,
    ) -> Self {
        let segment = packet::max_payload(max_packet);
        let board = Scoreboard::new(first_tsn);
        Self {
            segment,
            max_packet,
            rack: Rack::new(board.cumulative()),
            board,
            lifetimes: Lifetimes::default(),
            messages: OutgoingMessages::default(),
            flight: Flight::default(),
            forward: Forward::default(),
            rtt: Rtt::new(timer::CEILING),
            rate: DeliveryRate::default(),
            congestion: congestion::controller(kind, segment),
            pacer: Pacer::new(segment),
            timer: Timer::default(),
            recovery: None,
            undo: Undo::default(),
            holes: Holes::default(),
            writer: Writer::default(),
            trimmed: 0,
            window,
            probe: false,
            probed: None,
            paced_until: None,
            left: 0,
            limited: WindowLimited::default(),
            newly_lost: 0,
            retransmitted: Retransmitted::default(),
            spurious: 0,
        }
    }

    /// Takes a round trip that was measured elsewhere, such as that of the handshake.
    pub(super) fn on_round_trip(&mut self, now: Instant, sample: Duration) {
        self.rtt.on_sample(now, sample);
    }

    /// Sets a fixed bound for what may leave the queues, instead of one that follows the path.
    pub(super) fn set_flight_bound(&mut self, bound: usize) {
        self.flight.fixed = Some(bound);
    }

    /// Whether a message of `len` payload bytes may leave its queue.
    pub(super) fn admits(&self, len: usize) -> Admittance {
        self.flight.admits(
            len,
            &self.rtt,
            self.board.totals(),
            &self.messages,
            self.board.len(),
            self.room(),
        )
    }

    /// The pacing rate in bytes per second, if the window or the pacer limits what is sent. `None` while nothing is in
    /// flight: then no acknowledgement would show when that ends.
    pub(super) fn pace(&self) -> Option<u64> {
        let is_limited = self.limited.now || self.limited.before;
        let is_limited = is_limited && self.board.totals().flying > 0;
        is_limited.then(|| self.congestion.pacing_rate(&self.rtt)).flatten()
    }

    /// Takes a message that has left its queue.
    pub(super) fn write(&mut self, message: Outgoing) {
        let is_large = self.flight.is_large(message.payload.len(), &self.rtt);
        self.messages.push(message, is_large);
    }

    /// Notes that `stream` is being reset: its sequence numbers begin again with 0.
    pub(super) fn restart(&mut self, stream: StreamId) {
        self.messages.restart(stream);
    }

    /// How many messages `write()` has taken so far.
    pub(super) fn written(&self) -> u64 {
        self.messages.written
    }

    /// Whether all chunks of the first `written` messages have their TSNs.
    pub(super) fn has_cut(&self, written: u64) -> bool {
        self.messages.written - self.messages.len() as u64 >= written
    }

    /// The last TSN that was given out.
    pub(super) fn last_cut(&self) -> u32 {
        self.board.next_tsn().wrapping_sub(1)
    }

    /// The highest TSN that was sent, or that the peer was asked to skip.
    pub(super) fn highest_sent(&self) -> u32 {
        self.board.highest_sent()
    }

    /// The TSN that the peer has acknowledged cumulatively.
    pub(super) fn cumulative(&self) -> u32 {
        self.board.cumulative()
    }

    /// Whether everything has been sent.
    pub(super) fn all_sent(&self) -> bool {
        self.board.totals().waiting == 0 && self.messages.is_empty()
    }

    /// Whether everything has been acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.board.is_empty() && self.messages.is_empty()
    }

    /// Whether the peer has yet to acknowledge something of `stream`.
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.board.holds(stream) || self.messages.holds(stream)
    }

    /// Whether a message on `stream` was written that has neither arrived nor been given up.
    pub(super) fn is_under_way(&self, stream: StreamId) -> bool {
        self.messages.holds(stream) || self.board.is_under_way(stream)
    }

    /// The charge of the messages that are not acknowledged cumulatively. An abandoned chunk has no payload any more,
    /// but its place in the ring counts like a message.
    pub(super) fn charge(&self) -> usize {
        let totals = self.board.totals();
        let kept = totals.waiting + totals.flying + totals.lost + totals.arrived;
        let records = totals.messages + totals.abandoned_chunks + self.messages.len();
        self.messages.bytes + kept + 64 * records
    }

    /// The bytes of chunks that the peer has acknowledged.
    pub(super) fn delivered(&self) -> u64 {
        self.rate.delivered()
    }

    /// The peer has asked us to skip the TSNs up to `tsn`.
    pub(super) fn on_forward(&mut self, tsn: u32) {
        self.holes.on_forward(tsn, &self.rtt);
    }

    /// How many gap blocks of our SACK are to be reported now. The others are due at the time of [`Self::holes_due`].
    pub(super) fn report_holes(&mut self, now: Instant, sack: &Sack<'_>) -> usize {
        self.holes.reported(now, &self.rtt, sack)
    }

    /// The last TSN that our last SACK has shown, if it withheld gap blocks.
    pub(super) fn shown(&self) -> Option<u32> {
        self.holes.shown()
    }

    /// Notes that all holes have closed, although no SACK has reported that yet.
    pub(super) fn close_holes(&mut self) {
        self.holes.close();
    }

    /// Whether more gap blocks of the last SACK are to be reported.
    pub(super) fn holes_due(&self, now: Instant) -> bool {
        self.holes.deadline().is_some_and(|at| at <= now)
    }

    /// Messages that expired, and that were abandoned.
    pub(super) fn given_up(&self) -> (MessageTally, MessageTally) {
        (self.lifetimes.expired, self.lifetimes.abandoned)
    }

    pub(super) fn stats(&self) -> TransmissionStats {
        TransmissionStats {
            smoothed_rtt: self.rtt.smoothed(),
            retransmission_timeout: self.timer.in_force(&self.rtt),
            congestion_window: self.congestion.window(),
            bytes_in_flight: self.board.totals().flying,
            retransmitted: self.retransmitted,
            spurious_retransmissions: self.spurious,
        }
    }

    /// Chunks that were sent again, and how many of them had arrived.
    pub(super) fn retransmissions(&self) -> (Retransmitted, u64) {
        (self.retransmitted, self.spurious)
    }

    /// The smoothed round-trip time, if there has been a measurement since the last call.
    pub(super) fn take_round_trip(&mut self) -> Option<Duration> {
        self.rtt.take_fresh()
    }

    /// Releases unused memory, unless something was written since the last call: memory that is used now and then would
    /// be allocated again and again.
    pub(super) fn trim(&mut self) {
        if std::mem::replace(&mut self.trimmed, self.messages.written) != self.messages.written {
            return;
        }
        self.board.trim();
        self.messages.trim();
        self.lifetimes.trim();
        self.undo.trim();
        self.writer = Writer::default();
    }

    /// When to call [`Self::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.timer.deadline(), self.rack.deadline(), self.paced_until];
        own.into_iter().chain([self.holes.deadline(), self.lifetimes.deadline()]).flatten().min()
    }

    /// Whether a recovery is under way.
    fn in_recovery(&self) -> bool {
        self.recovery.is_some()
    }

    fn outstanding(&self) -> Outstanding {
        Outstanding {
            is_lone: self.board.totals().flying <= self.segment,
            may_probe: self.recovery.is_none(),
        }
    }

    /// How much may be in flight.
    fn congestion_window(&self) -> usize {
        let window = self.congestion.window();
        let flying = self.board.totals().flying;
        self.recovery.as_ref().map_or(window, |recovery| recovery.window(window, flying))
    }

    /// How much of the peer's receive window is left beyond what may still be on its way.
    fn receiver_room(&self) -> usize {
        let totals = self.board.totals();
        (self.window as usize).saturating_sub(totals.flying + totals.lost)
    }

    /// What the congestion window lets leave now. A packet may leave while anything of it is left (RFC 9260 §6.1 B).
    fn congestion_room(&self) -> usize {
        match self.congestion_window().saturating_sub(self.board.totals().flying) {
            0 => 0,
            left => left + self.segment.saturating_sub(1),
        }
    }

    /// What both windows let leave now.
    fn room(&self) -> usize {
        self.congestion_room().min(self.receiver_room())
    }
}
