//! The interface of congestion controllers.

use std::time::{Duration, Instant};

use super::super::rate::RateSample;
use super::super::rtt::Rtt;

/// A packet with DATA that leaves.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct SentPacket {
    pub(in super::super) now: Instant,
    /// The bytes in flight before this packet.
    pub(in super::super) in_flight: usize,
}

/// An acknowledgement of new data.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Ack<'a> {
    pub(in super::super) now: Instant,
    /// The bytes that it acknowledges for the first time, cumulatively or beyond a gap.
    pub(in super::super) bytes: usize,
    /// The bytes marked lost since the last acknowledgement, by this one or by a timer.
    pub(in super::super) lost: usize,
    /// The bytes in flight before it, [`Self::bytes`] included.
    pub(in super::super) in_flight: usize,
    pub(in super::super) rtt: &'a Rtt,
    /// The round trip that this acknowledgement measured: of a chunk that was sent once (RFC 6298 §3).
    pub(in super::super) round_trip: Option<Duration>,
    pub(in super::super) rate: Option<RateSample>,
    /// Whether a round has ended: something is acknowledged that was sent after the last round had ended.
    pub(in super::super) round_over: bool,
    /// Whether the window or the pacer, and not the application, limited what was sent in this round or the last one.
    pub(in super::super) window_limited: bool,
    pub(in super::super) in_recovery: bool,
}

/// The loss that begins a recovery.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Loss {
    /// The bytes in flight, the lost ones included.
    pub(in super::super) in_flight: usize,
}

/// A congestion controller. All sizes are in payload bytes of DATA chunks.
pub(in super::super) trait Controller: std::fmt::Debug + Send {
    /// A packet leaves.
    fn on_sent(&mut self, sent: &SentPacket);

    /// New data is acknowledged.
    fn on_ack(&mut self, ack: &Ack<'_>);

    /// A recovery begins.
    fn on_loss(&mut self, loss: &Loss);

    /// The RTO has fired, and everything in flight is marked lost.
    fn on_timeout(&mut self, now: Instant, in_flight: usize);

    /// Everything that was sent before the recovery began is acknowledged.
    fn on_recovery_over(&mut self, now: Instant);

    /// Nothing was lost: back to what was before the last [`Self::on_loss`] or [`Self::on_timeout`].
    fn undo(&mut self);

    /// The congestion window.
    fn window(&self) -> usize;

    /// The window from which on it grows slowly, and to which a recovery reduces the flight. `None`
    /// before the first loss, and always with a controller that a recovery does not slow down.
    fn slow_start_threshold(&self) -> Option<usize>;

    /// How many bytes may leave per second, once a round trip has been measured.
    fn pacing_rate(&self, rtt: &Rtt) -> Option<u64>;
}

/// The window before anything is known of the path (RFC 6928 §2).
pub(super) fn initial_window(segment: usize) -> usize {
    let segment = segment.max(1);
    segment.saturating_mul(10).min(segment.saturating_mul(2).max(14_600))
}

/// `bytes` per `time`, in bytes per second.
pub(super) fn rate_of(bytes: f64, time: Duration) -> u64 {
    (bytes / time.max(Duration::from_micros(1)).as_secs_f64()) as u64
}
