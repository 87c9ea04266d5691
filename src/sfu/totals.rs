//! What all entities of a worker have counted together, those that have closed included.
//!
//! DataProducers and DataConsumers count for themselves, so that totals cost a message nothing: their counters are added when
//! they close, and to a copy on request. Transports, whose counters are in many places, add theirs now and then, and on
//! request if something has happened since.

use super::contract::metrics::ByTransport;
use super::entity::data_consumer::{ConsumerTotals, DataConsumer};
use super::entity::data_producer::{DataProducer, ProducerTotals};
use super::entity::transport::Kind;
use super::entity::transport::counters::TransportTotals;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Those that have closed.
    pub(super) producers: ProducerTotals,
    /// Those that have closed.
    pub(super) consumers: ConsumerTotals,
    pub(super) transports: TransportTotals,
    pub(super) open_transports: ByTransport<usize>,
    /// Datagrams to the socket of a server that were for none of its transports.
    pub(super) datagrams_unmatched: u64,
}

impl Totals {
    /// What DataProducers have counted, with those that are open.
    pub(super) fn producers<'a>(
        &self,
        open: impl Iterator<Item = &'a DataProducer>,
    ) -> ProducerTotals {
        let mut totals = self.producers.clone();
        open.for_each(|it| totals.add(it));
        totals
    }

    /// What DataConsumers have counted, with those that are open.
    pub(super) fn consumers<'a>(
        &self,
        open: impl Iterator<Item = &'a DataConsumer>,
    ) -> ConsumerTotals {
        let mut totals = self.consumers.clone();
        open.for_each(|it| totals.add(it));
        totals
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
