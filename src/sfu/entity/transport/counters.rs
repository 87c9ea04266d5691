//! What transports count, for the totals of their worker.

use std::time::{Duration, Instant};

use crate::sfu::histogram::{DELAYS, Histogram, ROUND_TRIPS};

use super::{Kind, Transport};

/// How often at most the round trip of an association is sampled.
const ROUND_TRIP_EVERY: Duration = Duration::from_secs(1);

/// Defines a struct of counters.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(in crate::sfu) struct $name {
            $(pub(in crate::sfu) $field: u64,)*
        }

        impl $name {
            fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

counters! {
    /// What transports have dropped and sent again, as `getStats()` shows it.
    TransportCounters {
        datagrams_dropped,
        dtls_records_dropped,
        packets_malformed,
        packets_foreign,
        packets_unexpected,
        packets_overload,
        chunks_stripped,
        messages_expired,
        messages_abandoned,
        messages_unsent,
        messages_garbled,
        messages_unrouted,
        messages_unsendable,
        messages_discarded,
        messages_replaced,
        messages_stale,
        chunks_rack,
        bytes_rack,
        chunks_probe,
        bytes_probe,
        chunks_timeout,
        bytes_timeout,
        chunks_bundled,
        bytes_bundled,
        spurious,
    }
}

counters! {
    /// The bytes of all datagrams, or of what would be datagrams if it did not go through a tunnel.
    PathBytes { received, sent }
}

/// What transports have counted together.
#[derive(Debug, Default, Clone)]
pub(in crate::sfu) struct TransportTotals {
    pub(in crate::sfu) counters: TransportCounters,
    pub(in crate::sfu) webrtc: PathBytes,
    pub(in crate::sfu) plain: PathBytes,
    pub(in crate::sfu) pipe: PathBytes,
}

impl TransportTotals {
    pub(in crate::sfu) fn add(&mut self, transport: &Transport) {
        let path = match &transport.kind {
            Kind::Direct => return,
            Kind::WebRtc(_) => &mut self.webrtc,
            Kind::Plain(_) => &mut self.plain,
            Kind::Pipe(_) => &mut self.pipe,
        };
        let (received, sent) = (transport.received.total(), transport.sent.total());
        path.add(&PathBytes { received, sent });
        self.counters.add(&transport.counters());
    }
}

/// What the transports of a worker have measured.
#[derive(Debug, Clone)]
pub(in crate::sfu) struct Samples {
    /// Smoothed round-trip times.
    pub(in crate::sfu) round_trips: Histogram<{ ROUND_TRIPS.len() }>,
    /// How long one message in 64 has waited for its peer.
    pub(in crate::sfu) delays: Histogram<{ DELAYS.len() }>,
}

impl Default for Samples {
    fn default() -> Self {
        Self { round_trips: Histogram::new(&ROUND_TRIPS), delays: Histogram::new(&DELAYS) }
    }
}

impl Transport {
    /// Adds what the association has measured since the last call.
    #[inline]
    pub(in crate::sfu) fn take_samples(&mut self, now: Instant, samples: &mut Samples) {
        let next_round_trip = self.next_round_trip;
        let Some(sctp) = self.sctp_mut() else { return };
        if sctp.has_delays() {
            sctp.take_delays(|delay| samples.delays.observe(delay));
        }
        if next_round_trip <= now
            && let Some(round_trip) = sctp.take_round_trip()
        {
            self.next_round_trip = now + ROUND_TRIP_EVERY;
            samples.round_trips.observe(round_trip);
        }
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
