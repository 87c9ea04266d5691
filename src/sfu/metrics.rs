//! The metrics of the domain.

use super::Sfu;
use super::contract::dump::MemoryCounters;
use super::contract::metrics::{
    ByNetwork, DatagramsRejected, MessagesDropped, MessagesSkipped, PacketsDropped,
    Retransmissions, SfuMetrics,
};
use super::work;

impl Sfu {
    /// Counters and histograms since the start, and how much there is now.
    pub fn metrics(&mut self) -> SfuMetrics {
        let entities =
            self.transports.len() + self.data_producers.len() + self.data_consumers.len();
        self.work += work::COUNTED * entities as u64;
        let Self { now, totals, transports, .. } = self;
        transports.values_mut().for_each(|it| it.catch_up(*now, &mut totals.transports));
        let producers = self.totals.producers(self.data_producers.values());
        let consumers = self.totals.consumers(self.data_consumers.values());
        let transports = &self.totals.transports;
        let not_sent = &consumers.not_sent;
        let by_network = |of: fn(&_) -> u64| ByNetwork {
            webrtc: of(&transports.webrtc),
            plain: of(&transports.plain),
            pipe: of(&transports.pipe),
        };
        let counters = transports.counters;
        SfuMetrics {
            routers: self.routers.len(),
            web_rtc_servers: self.servers.len(),
            transports: self.totals.open_transports,
            data_producers: self.data_producers.len(),
            data_consumers: self.data_consumers.len(),
            messages_received: producers.received.messages,
            message_bytes_received: producers.received.bytes,
            messages_sent: consumers.sent.messages,
            message_bytes_sent: consumers.sent.bytes,
            messages_sent_directly: consumers.direct.sent.messages,
            message_bytes_sent_directly: consumers.direct.sent.bytes,
            messages_rejected: consumers.direct.rejected,
            messages_skipped: MessagesSkipped {
                producer_paused: producers.paused,
                consumer_paused: not_sent.paused,
                filtered: not_sent.filtered,
            },
            messages_dropped: MessagesDropped {
                limited: producers.limited,
                full: not_sent.full + producers.dropped_full,
                replaced: consumers.dropped_later.replaced + counters.messages_replaced,
                stale: consumers.dropped_later.stale + counters.messages_stale,
                too_large: not_sent.too_large,
                unsendable: not_sent.unsendable + counters.messages_unsendable,
                expired: counters.messages_expired,
                abandoned: counters.messages_abandoned,
                unsent: counters.messages_unsent,
                discarded: counters.messages_discarded,
                unrouted: counters.messages_unrouted,
                garbled: counters.messages_garbled,
                at_close: self.messages_dropped_at_close,
            },
            bytes_received: by_network(|it| it.received),
            bytes_sent: by_network(|it| it.sent),
            datagrams_rejected: DatagramsRejected {
                transport: counters.datagrams_dropped,
                server: self.totals.datagrams_unmatched,
            },
            dtls_records_dropped: counters.dtls_records_dropped,
            sctp_packets_dropped: PacketsDropped {
                malformed: counters.packets_malformed,
                foreign: counters.packets_foreign,
                unexpected: counters.packets_unexpected,
                overload: counters.packets_overload,
            },
            sctp_chunks_stripped: counters.chunks_stripped,
            sctp_chunks_retransmitted: Retransmissions {
                rack: counters.chunks_rack,
                probe: counters.chunks_probe,
                timeout: counters.chunks_timeout,
                bundled: counters.chunks_bundled,
            },
            sctp_bytes_retransmitted: Retransmissions {
                rack: counters.bytes_rack,
                probe: counters.bytes_probe,
                timeout: counters.bytes_timeout,
                bundled: counters.bytes_bundled,
            },
            sctp_spurious_retransmissions: counters.spurious,
            sctp_round_trips: transports.round_trips.clone(),
            queue_delays: transports.delays.clone(),
            queued_bytes: transports.queued_bytes,
            memory: self.memory.as_ref().map(|it| MemoryCounters {
                bytes_held: it.held(),
                messages_dropped_memory: it.refused(),
            }),
        }
    }
}
