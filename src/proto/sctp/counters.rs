//! What an association counts and measures, and why it drops packets.

use std::ops::AddAssign;
use std::time::Duration;

pub use crate::proto::message::MessageTally;

/// Why an inbound packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketDrop {
    /// A length is wrong, or a field has a value that the RFC forbids.
    Malformed,
    /// The checksum, the verification tag or the ports do not belong to the association.
    Foreign,
    /// The packet does not fit the state of the association.
    Unexpected,
    /// The peer has used up its share of CPU time.
    Overload,
}

/// What an association has dropped since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SctpCounters {
    /// Malformed packets: wrong lengths, or values that the RFC forbids.
    pub packets_malformed: u64,
    /// Packets whose checksum, tag or ports do not belong to the association.
    pub packets_foreign: u64,
    /// Packets that did not fit the state: an INIT once established, anything after the end.
    pub packets_unexpected: u64,
    /// Packets dropped because the peer had used up its share of CPU time.
    pub packets_overload: u64,
    /// Chunks removed from packets because sctp-proto must not see them.
    pub chunks_stripped: u64,
    /// Messages of which nothing was sent, because their lifetime had ended, or would have ended before all of it had
    /// left.
    pub expired: MessageTally,
    /// Messages of limited reliability that were abandoned: given up after they had been sent at
    /// least in part. Some may have arrived, if only their acknowledgement was lost.
    pub abandoned: MessageTally,
    /// Messages that were still queued when the association ended.
    pub unsent: MessageTally,
    /// Messages whose stream could no longer send when their turn came.
    pub refused: MessageTally,
    /// Messages of PPID 50 that are malformed, or that open a channel on a stream which the peer does not
    /// take itself.
    pub bad_dcep: u64,
    /// Messages whose fragments had different PPIDs.
    pub garbled: u64,
}

impl SctpCounters {
    /// Messages that were queued when the association ended, or whose stream could no longer send.
    pub fn messages_unsent(&self) -> u64 {
        self.unsent.messages + self.refused.messages
    }

    /// Messages of the peer that were malformed.
    pub fn messages_garbled(&self) -> u64 {
        self.garbled + self.bad_dcep
    }

    pub(super) fn count_dropped(&mut self, reason: PacketDrop) {
        let counter = match reason {
            PacketDrop::Malformed => &mut self.packets_malformed,
            PacketDrop::Foreign => &mut self.packets_foreign,
            PacketDrop::Unexpected => &mut self.packets_unexpected,
            PacketDrop::Overload => &mut self.packets_overload,
        };
        *counter += 1;
    }
}

/// A number of DATA chunks and the sum of their payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkTally {
    /// Chunks.
    pub chunks: u64,
    /// Their payload in bytes.
    pub bytes: u64,
}

impl ChunkTally {
    /// Adds one chunk of `len` payload bytes.
    pub fn count(&mut self, len: usize) {
        *self += Self { chunks: 1, bytes: len as u64 };
    }
}

impl AddAssign for ChunkTally {
    fn add_assign(&mut self, other: Self) {
        self.chunks += other.chunks;
        self.bytes += other.bytes;
    }
}

/// Measurements of the path to the peer, and the retransmissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransmissionStats {
    /// The smoothed round-trip time (RFC 9260 §6.3.1). `None` before the first measurement.
    pub smoothed_rtt: Option<Duration>,
    /// The retransmission timeout in force, with its backoff (RFC 9260 §6.3).
    pub retransmission_timeout: Duration,
    /// The congestion window in bytes of payload.
    pub congestion_window: usize,
    /// Payload bytes that were sent, and are neither acknowledged nor deemed lost.
    pub bytes_in_flight: usize,
    /// Chunks that were sent again, by cause.
    pub retransmitted: Retransmitted,
    /// Chunks that were sent again although the first copy had arrived, as far as the peer's SACKs show it;
    /// bundled copies do not count.
    pub spurious_retransmissions: u64,
}

/// Chunks that were sent again, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retransmitted {
    /// Later chunks were acknowledged: the chunk is lost (RACK, RFC 8985 §6).
    pub rack: ChunkTally,
    /// No acknowledgement came for about two round trips (tail loss probe, RFC 8985 §7).
    pub probe: ChunkTally,
    /// The retransmission timeout ended (RFC 9260 §6.3.3).
    pub timeout: ChunkTally,
    /// Small chunks that the next packet of a thin stream carried once more, in case their own packet is lost.
    pub bundled: ChunkTally,
}

impl Retransmitted {
    /// The sum over all causes.
    pub fn total(&self) -> ChunkTally {
        let mut total = self.rack;
        for cause in [self.probe, self.timeout, self.bundled] {
            total += cause;
        }
        total
    }
}
