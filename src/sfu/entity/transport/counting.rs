//! Adds what a transport counts to the totals of its worker.

use std::time::{Duration, Instant};

use super::counters::{PathBytes, TransportCounters, TransportTotals};
use super::{Kind, Transport};

/// The shortest interval at which a transport adds to the totals by itself, and samples the round trip of its
/// association.
const COUNT_EVERY: Duration = Duration::from_secs(1);

impl Transport {
    /// Adds new counts to the totals, if the last time was at least [`COUNT_EVERY`] ago. Call this after each input, as
    /// delays are not kept for long.
    #[inline]
    pub(in crate::sfu) fn count_in(&mut self, now: Instant, totals: &mut TransportTotals) {
        self.fall_behind();
        if let Some(sctp) = self.sctp_mut()
            && sctp.has_delays()
        {
            sctp.take_delays(|delay| totals.delays.observe(delay));
        }
        if self.in_totals.next <= now {
            self.catch_up(now, totals);
        }
    }

    /// Notes that something has been counted where no call of [`Self::count_in`] may follow.
    #[inline]
    pub(in crate::sfu) fn fall_behind(&mut self) {
        self.in_totals.is_behind = true;
    }

    /// Adds to the totals everything counted since the last call.
    pub(in crate::sfu) fn catch_up(&mut self, now: Instant, totals: &mut TransportTotals) {
        if !std::mem::take(&mut self.in_totals.is_behind) {
            return;
        }
        let path = match &self.kind {
            Kind::Direct => return,
            Kind::WebRtc(_) => &mut totals.webrtc,
            Kind::Plain(_) => &mut totals.plain,
            Kind::Pipe(_) => &mut totals.pipe,
        };
        let bytes = PathBytes { received: self.received.total(), sent: self.sent.total() };
        path.add_between(&self.in_totals.bytes, &bytes);
        self.in_totals.bytes = bytes;
        let queued_bytes = self.sctp_ref().map_or(0, |it| it.queued_bytes() as u64);
        totals.queued_bytes = totals.queued_bytes + queued_bytes - self.in_totals.queued_bytes;
        self.in_totals.queued_bytes = queued_bytes;
        let counters = self.counters();
        if self.in_totals.counters.is_some() || counters != TransportCounters::default() {
            let before = self.in_totals.counters.get_or_insert_default();
            totals.counters.add_between(before, &counters);
            **before = counters;
        }
        self.in_totals.next = now + COUNT_EVERY;
        if let Some(round_trip) = self.sctp_mut().and_then(|it| it.take_round_trip()) {
            totals.round_trips.observe(round_trip);
        }
    }

    /// The last call, once the transport has closed.
    pub(in crate::sfu) fn count_last(&mut self, now: Instant, totals: &mut TransportTotals) {
        self.in_totals.next = now;
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
            messages_unsent: sctp.messages_unsent(),
            messages_garbled: sctp.messages_garbled(),
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
