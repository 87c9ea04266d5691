//! What transports count, for the totals of their worker; `counting.rs` adds it.

use std::time::Instant;

use crate::sfu::histogram::{DELAYS, Histogram, ROUND_TRIPS};

/// Defines a struct of counters.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(in crate::sfu) struct $name {
            $(pub(in crate::sfu) $field: u64,)*
        }

        impl $name {
            /// Adds what has been counted between two times.
            pub(super) fn add_between(&mut self, earlier: &Self, later: &Self) {
                $(self.$field += later.$field.saturating_sub(earlier.$field);)*
            }
        }
    };
}

counters! {
    /// Drops and retransmissions of transports, as `getStats()` shows them.
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
    /// The bytes of all datagrams, or in a tunnel the bytes that datagrams would have carried.
    PathBytes { received, sent }
}

/// What transports have counted together.
#[derive(Debug)]
pub(in crate::sfu) struct TransportTotals {
    pub(in crate::sfu) counters: TransportCounters,
    pub(in crate::sfu) webrtc: PathBytes,
    pub(in crate::sfu) plain: PathBytes,
    pub(in crate::sfu) pipe: PathBytes,
    /// Payload bytes that wait for peers in the queues of associations.
    pub(in crate::sfu) queued_bytes: u64,
    /// Smoothed round-trip times.
    pub(in crate::sfu) round_trips: Histogram<{ ROUND_TRIPS.len() }>,
    /// How long one message in 64 has waited for its peer.
    pub(in crate::sfu) delays: Histogram<{ DELAYS.len() }>,
}

impl Default for TransportTotals {
    fn default() -> Self {
        Self {
            counters: TransportCounters::default(),
            webrtc: PathBytes::default(),
            plain: PathBytes::default(),
            pipe: PathBytes::default(),
            queued_bytes: 0,
            round_trips: Histogram::new(&ROUND_TRIPS),
            delays: Histogram::new(&DELAYS),
        }
    }
}

/// How much of its counters a transport has added to the totals so far.
#[derive(Debug)]
pub(super) struct InTotals {
    /// Whether something may have been counted since.
    pub(super) is_behind: bool,
    /// When the transport next adds its counters to the totals, although nothing asks for them.
    pub(super) next: Instant,
    pub(super) bytes: PathBytes,
    pub(super) queued_bytes: u64,
    /// Most transports never drop anything or send anything again.
    pub(super) counters: Option<Box<TransportCounters>>,
}

impl InTotals {
    pub(super) fn new(now: Instant) -> Self {
        let (bytes, queued_bytes, counters) = (PathBytes::default(), 0, None);
        Self { is_behind: false, next: now, bytes, queued_bytes, counters }
    }
}
