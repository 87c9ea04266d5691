//! What all entities of a worker have counted together, those that have closed included.
//!
//! Each entity counts for itself, so that totals cost a message nothing. Its counters are added to these when it
//! closes, and to a copy of them on request. Only what is measured now and then is added at once.

use super::contract::metrics::ByTransport;
use super::entity::data_consumer::{ConsumerTotals, DataConsumer};
use super::entity::data_producer::{DataProducer, ProducerTotals};
use super::entity::transport::counters::{Samples, TransportTotals};
use super::entity::transport::{Kind, Transport};

/// See the module's documentation.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals {
    pub(super) producers: ProducerTotals,
    pub(super) consumers: ConsumerTotals,
    pub(super) transports: TransportTotals,
    pub(super) samples: Samples,
    /// Datagrams to the socket of a server that were for none of its transports.
    pub(super) datagrams_unmatched: u64,
}

/// What there is at one moment.
#[derive(Debug, Default)]
pub(super) struct Levels {
    pub(super) open_transports: ByTransport<usize>,
    /// Payload bytes that wait for peers in the queues of associations.
    pub(super) queued_bytes: u64,
}

impl Levels {
    fn add(&mut self, transport: &Transport) {
        *match &transport.kind {
            Kind::WebRtc(_) => &mut self.open_transports.webrtc,
            Kind::Plain(_) => &mut self.open_transports.plain,
            Kind::Pipe(_) => &mut self.open_transports.pipe,
            Kind::Direct => &mut self.open_transports.direct,
        } += 1;
        self.queued_bytes += transport.sctp_ref().map_or(0, |it| it.queued_bytes() as u64);
    }
}

impl Totals {
    /// The same with what these open entities have counted, and their levels.
    pub(super) fn with<'a>(
        &self,
        producers: impl Iterator<Item = &'a DataProducer>,
        consumers: impl Iterator<Item = &'a DataConsumer>,
        transports: impl Iterator<Item = &'a Transport>,
    ) -> (Self, Levels) {
        let (mut totals, mut levels) = (self.clone(), Levels::default());
        producers.for_each(|it| totals.producers.add(it));
        consumers.for_each(|it| totals.consumers.add(it));
        transports.for_each(|it| {
            totals.transports.add(it);
            levels.add(it);
        });
        (totals, levels)
    }
}
