//! Transmission control: when DATA leaves, and when it leaves again.
//!
//! A [`Control`] is sans-IO. It knows DATA chunks by their TSNs and bytes, and no engine: whatever cuts
//! messages into chunks may stand before it.
//!
//! # Contract
//!
//! - **In.** [`Control::on_written`] for each message that leaves the queues, [`Control::take`] for each
//!   packet of DATA that the engine makes of it, in the order of the TSNs. From then on the chunks belong to
//!   the control, and the engine may take them for acknowledged. [`Control::on_sack`] for each SACK of the
//!   peer, [`Control::handle_timeout`] when the time of [`Control::poll_timeout`] has come.
//! - **Out.** After all input of a turn [`Control::transmit`] hands out the packets that may leave. Whether a
//!   further message may leave the queues is what [`Control::admits`] says.
//! - **Facts.** The peer can acknowledge nothing beyond [`Control::highest_sent`]. What a SACK says beyond
//!   it is ignored.
//!
//! # The parts
//!
//! ```text
//!  on_written ─► lifetimes           transmit ─► forward      FORWARD-TSN
//!  take ───────► scoreboard            ├─► window?            congestion, recovery
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
//! | `scoreboard` | the chunks, by TSN, and the sums over them |
//! | `rtt`, `rate` | how long the path is, and how fast |
//! | `congestion/` | how much may be in flight: CUBIC, NewReno, BBR |
//! | `pacing` | how fast it may leave |
//! | `rack` | what is lost, by time |
//! | `timer` | probe and timeout |
//! | `recovery` | how the flight shrinks after a loss; losses that were none |
//! | `lifetimes`, `forward` | what is given up, and how the peer learns it |
//! | `thin` | what a packet repeats |
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

use bytes::Bytes;

use super::config::CongestionControl;
use super::counters::{MessageTally, Retransmitted, TransmissionStats};
use super::wire::{COMMON_HEADER, Sack};
use crate::proto::message::StreamId;
use congestion::Congestion;
use flight::{Flight, Unwritten};
use forward::Forward;
use holes::Holes;
use lifetimes::Lifetimes;
use pacing::Pacer;
use rack::Rack;
use rate::DeliveryRate;
use recovery::{Recovery, Undo};
use rtt::Rtt;
use scoreboard::{Piece, Scoreboard};
use timer::{Outstanding, Timer};

pub(super) use flight::Admittance;
pub(super) use lifetimes::{SendLimit, Written};

/// Whether the window or the pacer kept something from being sent.
#[derive(Debug, Clone, Copy, Default)]
struct Limited {
    /// In this round.
    now: bool,
    /// In the last one.
    before: bool,
}

/// How many messages have gone to the engine, or have got the TSNs of all of their chunks. Ordered and unordered
/// messages may pass each other on the way from the one to the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WrittenTotal {
    ordered: u64,
    unordered: u64,
}

impl WrittenTotal {
    fn count(&mut self, ordered: bool) {
        *if ordered { &mut self.ordered } else { &mut self.unordered } += 1;
    }
}

/// The transmission control of one association.
#[derive(Debug)]
pub(super) struct Control {
    /// The payload bytes of a full packet.
    segment: usize,
    max_packet: usize,
    board: Scoreboard,
    lifetimes: Lifetimes,
    unwritten: Unwritten,
    written: WrittenTotal,
    cut: WrittenTotal,
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
    /// The receive window that the peer announced last.
    window: u32,
    /// A probe is to be sent, whatever the window says.
    probe: bool,
    /// When the pacer lets the next packet leave.
    paced_until: Option<Instant>,
    limited: Limited,
    /// What has been taken for lost since the last acknowledgement.
    newly_lost: usize,
    retransmitted: Retransmitted,
    spurious: u64,
}

impl Control {
    /// `max_packet`: the largest packet. `segment`: the payload of a full one. `first_tsn`: our initial TSN.
    /// `window`: the receive window that the peer has announced.
    pub(super) fn new(
        kind: CongestionControl,
        max_packet: usize,
        segment: usize,
        first_tsn: u32,
        window: u32,
    ) -> Self {
        let board = Scoreboard::new(first_tsn);
        Self {
            segment,
            max_packet,
            rack: Rack::new(board.cumulative()),
            board,
            lifetimes: Lifetimes::default(),
            unwritten: Unwritten::default(),
            written: WrittenTotal::default(),
            cut: WrittenTotal::default(),
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
            window,
            probe: false,
            paced_until: None,
            limited: Limited::default(),
            newly_lost: 0,
            retransmitted: Retransmitted::default(),
            spurious: 0,
        }
    }

    /// Takes a round trip that was measured otherwise, as that of the handshake is.
    pub(super) fn on_round_trip(&mut self, now: Instant, sample: Duration) {
        self.rtt.on_sample(now, sample);
    }

    /// Sets a bound of what may leave the queues that does not follow the path.
    pub(super) fn set_flight_bound(&mut self, bound: usize) {
        self.flight.fixed = Some(bound);
    }

    /// Whether a message of `len` payload bytes may leave its queue.
    pub(super) fn admits(&self, len: usize) -> Admittance {
        self.flight.admits(
            len,
            &self.rtt,
            self.board.totals(),
            &self.unwritten,
            self.board.len(),
            self.room(),
        )
    }

    /// A message goes to the engine.
    pub(super) fn on_written(&mut self, message: Written) {
        self.unwritten.bytes += message.len;
        self.unwritten.messages += 1;
        self.written.count(message.ordered);
        let is_large = self.flight.is_large(message.len, &self.rtt);
        if is_large {
            self.unwritten.large += message.len;
        }
        self.lifetimes.on_written(message, is_large);
    }

    /// All that has been written so far.
    pub(super) fn written(&self) -> WrittenTotal {
        self.written
    }

    /// Whether all that had been written at that time has a TSN.
    pub(super) fn has_cut(&self, written: &WrittenTotal) -> bool {
        self.cut.ordered >= written.ordered && self.cut.unordered >= written.unordered
    }

    /// Payload bytes that went to the engine, and that have no TSN yet.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.bytes
    }

    /// Payload bytes of chunks that have not been sent.
    pub(super) fn waiting(&self) -> usize {
        self.board.totals().waiting
    }

    /// Takes over the DATA chunks of a packet.
    pub(super) fn take(&mut self, now: Instant, mut packet: Bytes) {
        let mut at = COMMON_HEADER;
        while let Some(piece) = Piece::read(&packet, at) {
            at = piece.end();
            // Anything else would be a retransmission by the engine, which has nothing to retransmit.
            if piece.tsn != self.board.next_tsn() {
                continue;
            }
            let origin = self.lifetimes.on_chunk(&piece);
            let unwritten = &mut self.unwritten;
            unwritten.bytes = unwritten.bytes.saturating_sub(piece.payload.into());
            if origin.is_large {
                unwritten.large = unwritten.large.saturating_sub(piece.payload.into());
            }
            unwritten.messages = unwritten.messages.saturating_sub(usize::from(piece.ends));
            if piece.ends {
                self.cut.count(!piece.unordered);
            }
            // The last chunk needs no further reference to the packet, whose first one costs an allocation.
            let is_last = at >= packet.len();
            let shared = if is_last { std::mem::take(&mut packet) } else { packet.clone() };
            self.board.push(now, shared, piece, origin.is_large);
            if origin.given_up {
                let position = self.board.len() - 1;
                lifetimes::abandon(&mut self.board, position);
            }
        }
    }

    /// The highest TSN that was sent, or that the peer was asked to skip.
    pub(super) fn highest_sent(&self) -> u32 {
        self.board.highest_sent()
    }

    /// The last TSN that was taken.
    pub(super) fn last_taken(&self) -> u32 {
        self.board.next_tsn().wrapping_sub(1)
    }

    /// The TSN that the peer has acknowledged cumulatively.
    pub(super) fn cumulative(&self) -> u32 {
        self.board.cumulative()
    }

    /// Whether everything has been sent.
    pub(super) fn all_sent(&self) -> bool {
        self.board.totals().waiting == 0 && self.unwritten.bytes == 0
    }

    /// Whether everything has been acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.board.is_empty()
    }

    /// Whether the peer has yet to acknowledge something of `stream`.
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.board.holds(stream)
    }

    /// The charge of the messages that are not acknowledged.
    pub(super) fn charge(&self) -> usize {
        let totals = self.board.totals();
        let messages = totals.messages + self.unwritten.messages;
        self.unwritten.bytes + totals.waiting + totals.flying + totals.lost + 64 * messages
    }

    /// How many gap blocks of a SACK of ours are to be reported now. The others are due at the time of
    /// [`Self::holes_due`].
    pub(super) fn report_holes(&mut self, now: Instant, sack: &Sack<'_>) -> usize {
        self.holes.reported(now, &self.rtt, sack)
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

    /// Releases memory that is not in use.
    pub(super) fn trim(&mut self) {
        self.board.trim();
        self.lifetimes.trim();
        self.undo.trim();
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

    /// What the peer has room for beyond what may be on its way.
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
