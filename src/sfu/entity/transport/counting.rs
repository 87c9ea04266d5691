//! Adds what a transport counts to the totals of its worker.

use std::time::{Duration, Instant};

use super::counted::{PathBytes, TransportCounters, TransportTotals};
use super::{Kind, Transport};

/// How often at most the round trip of an association counts.
const ROUND_TRIP_EVERY: Duration = Duration::from_secs(1);

impl Transport {
    /// Adds to the totals what was counted since the last call. Call this whenever the transport has had input.
    pub(in crate::sfu) fn count_in(&mut self, now: Instant, totals: &mut TransportTotals) {
        let (path, records_dropped, tunnel, sctp) = match &mut self.kind {
            Kind::Direct => return,
            Kind::WebRtc(it) => {
                (&mut totals.webrtc, it.peer.session().dtls().dropped(), None, it.peer.sctp_mut())
            }
            Kind::Plain(it) => (&mut totals.plain, 0, None, it.path.sctp_mut()),
            Kind::Pipe(it) => {
                let dropped = it.path.session().map_or(0, |it| it.dtls().dropped());
                (&mut totals.pipe, dropped, it.tunnel.as_ref(), it.path.sctp_mut())
            }
        };
        let in_totals = &mut self.in_totals;
        let bytes = PathBytes { received: self.received.total(), sent: self.sent.total() };
        path.received += bytes.received - in_totals.bytes.received;
        path.sent += bytes.sent - in_totals.bytes.sent;
        in_totals.bytes = bytes;
        let mut sum = self.datagrams_dropped
            + records_dropped
            + self.messages_unrouted
            + self.messages_dropped_unsendable
            + self.discarded.messages
            + tunnel.map_or(0, |it| it.unsent().messages + it.replaced());
        if let Some(sctp) = sctp {
            sum += sctp.counted();
            let queued_bytes = sctp.queued_bytes() as u64;
            totals.queued_bytes = totals.queued_bytes + queued_bytes - in_totals.queued_bytes;
            in_totals.queued_bytes = queued_bytes;
            sctp.take_delays(|delay| totals.delays.observe(delay));
            if in_totals.next_round_trip.is_none_or(|at| at <= now)
                && let Some(round_trip) = sctp.take_round_trip()
            {
                in_totals.next_round_trip = Some(now + ROUND_TRIP_EVERY);
                totals.round_trips.observe(round_trip);
            }
        }
        if sum != in_totals.sum {
            in_totals.sum = sum;
            self.count_changes(totals);
        }
    }

    #[cold]
    fn count_changes(&mut self, totals: &mut TransportTotals) {
        let counters = self.counters();
        let before = self.in_totals.counters.get_or_insert_default();
        totals.counters.add_between(before, &counters);
        **before = counters;
    }

    /// The last call, once the transport has closed.
    pub(in crate::sfu) fn count_last(&mut self, now: Instant, totals: &mut TransportTotals) {
        self.count_in(now, totals);
        totals.queued_bytes -= self.in_totals.queued_bytes;
    }

    fn counters(&self) -> TransportCounters {
        let sctp = self.sctp_counters().unwrap_or_default();
        let (retransmitted, spurious) =
            self.sctp_ref().map(|sctp| sctp.retransmissions()).unwrap_or_default();
        let policies = self.sctp_ref().map(|sctp| sctp.dropped_by_policies()).unwrap_or_default();
        TransportCounters {
            datagrams_dropped: self.datagrams_dropped,
            dtls_records_dropped: match &self.kind {
                Kind::WebRtc(it) => it.peer.session().dtls().dropped(),
                Kind::Pipe(it) => it.path.session().map_or(0, |it| it.dtls().dropped()),
                Kind::Plain(_) | Kind::Direct => 0,
            },
            packets_malformed: sctp.packets_malformed,
            packets_foreign: sctp.packets_foreign,
            packets_unexpected: sctp.packets_unexpected,
            packets_overload: sctp.packets_overload,
            chunks_stripped: sctp.chunks_stripped,
            messages_expired: sctp.expired.messages,
            messages_abandoned: sctp.abandoned.messages,
            messages_unsent: sctp.unsent.messages + sctp.refused.messages,
            messages_garbled: sctp.garbled + sctp.bad_dcep,
            messages_unrouted: self.messages_unrouted,
            messages_unsendable: self.messages_dropped_unsendable,
            messages_discarded: self.discarded.messages,
            messages_replaced: policies.replaced + self.tunnel().map_or(0, |it| it.replaced()),
            messages_stale: policies.stale,
            chunks_rack: retransmitted.rack.chunks,
            bytes_rack: retransmitted.rack.bytes,
            chunks_probe: retransmitted.probe.chunks,
            bytes_probe: retransmitted.probe.bytes,
            chunks_timeout: retransmitted.timeout.chunks,
            bytes_timeout: retransmitted.timeout.bytes,
            chunks_bundled: retransmitted.bundled.chunks,
            bytes_bundled: retransmitted.bundled.bytes,
            spurious,
        }
    }
}
