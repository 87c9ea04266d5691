//! What all entities of a worker have counted together, those that have closed included.
//!
//! Messages are added as they come, what transports count when they are flushed. So nothing has to be collected from
//! the entities, and asking costs the same however many there are.

use super::contract::metrics::ByTransport;
use super::entity::data_consumer::ConsumerTotals;
use super::entity::data_producer::ProducerTotals;
use super::entity::transport::Kind;
use super::entity::transport::counted::TransportTotals;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) producers: ProducerTotals,
    pub(super) consumers: ConsumerTotals,
    pub(super) transports: TransportTotals,
    pub(super) open_transports: ByTransport<usize>,
    /// Datagrams to the socket of a server that were for none of its transports.
    pub(super) datagrams_unmatched: u64,
}

impl Totals {
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
