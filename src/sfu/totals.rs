//! The totals over all entities of a worker, including closed ones.
//!
//! DataProducers and DataConsumers count for themselves, so that totals cost nothing per message: their counters are
//! added when they close, and on request to a copy. Transports, whose counters are in many places, add theirs about
//! once a second, and on request if something has happened since.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::contract::metrics::ByTransport;
use super::entity::data_consumer::{ConsumerTotals, DataConsumer};
use super::entity::data_producer::{DataProducer, ProducerTotals};
use super::entity::transport::Kind;
use super::entity::transport::counters::TransportTotals;

/// See the documentation of the module.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// The counters of DataProducers that have closed.
    pub(super) producers: ProducerTotals,
    /// The counters of DataConsumers that have closed.
    consumers: ConsumerTotals,
    /// Messages that JavaScript has found too old after their DataConsumers had closed.
    late: Arc<AtomicU64>,
    pub(super) transports: TransportTotals,
    pub(super) open_transports: ByTransport<usize>,
    /// Datagrams to the socket of a server that were for none of its transports.
    pub(super) datagrams_unmatched: u64,
}

impl Totals {
    /// The totals of DataProducers, including open ones.
    pub(super) fn producers<'a>(
        &self,
        open: impl Iterator<Item = &'a DataProducer>,
    ) -> ProducerTotals {
        let mut totals = self.producers.clone();
        open.for_each(|it| totals.add(it));
        totals
    }

    /// The totals of DataConsumers, including open ones.
    pub(super) fn consumers<'a>(
        &self,
        open: impl Iterator<Item = &'a DataConsumer>,
    ) -> ConsumerTotals {
        let mut totals = self.consumers.clone();
        open.for_each(|it| totals.add(it));
        totals.dropped_later.stale += self.late.load(Ordering::Relaxed);
        totals
    }

    /// Adds what a DataConsumer that closes has counted.
    pub(super) fn add_closed(&mut self, consumer: &DataConsumer) {
        self.consumers.add_closed(consumer, &self.late);
    }

    /// The number of open transports of this kind.
    pub(super) fn open(&mut self, kind: &Kind) -> &mut usize {
        match kind {
            Kind::WebRtc(_) => &mut self.open_transports.webrtc,
            Kind::Plain(_) => &mut self.open_transports.plain,
            Kind::Pipe(_) => &mut self.open_transports.pipe,
            Kind::Direct => &mut self.open_transports.direct,
        }
    }
}
