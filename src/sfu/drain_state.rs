//! The state of waiting `drained()` requests.

use rustc_hash::{FxHashMap, FxHashSet};

use super::id::{DataConsumerKey, DataProducerKey, TransportKey};

/// The messages to wait for.
#[derive(Debug, Clone, Copy)]
pub enum DrainScope {
    /// Those of all DataConsumers of the worker.
    Worker,
    /// Those of the transport's DataConsumers, and what its DataProducers have received.
    Transport(TransportKey),
    /// Those of the DataConsumers of this DataProducer.
    DataProducer(DataProducerKey),
    /// Those of this DataConsumer.
    DataConsumer(DataConsumerKey),
}

/// A request that is not answered.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) scope: DrainScope,
    /// The gates that have not been passed. Once there are none, `waits_for` is filled.
    pub(super) gates: usize,
    pub(super) waits_for: FxHashSet<DataConsumerKey>,
    /// The DataConsumers whose replays had a gate when the request came.
    pub(super) replays: Vec<DataConsumerKey>,
}

/// The requests of `drained()` that are not answered, by request id.
#[derive(Debug, Default)]
pub(super) struct Drains {
    pub(super) open: FxHashMap<u32, Drain>,
    /// The requests that wait for a DataConsumer.
    pub(super) of_consumers: FxHashMap<DataConsumerKey, Vec<u32>>,
    /// The direct ones among these DataConsumers: JavaScript pulls their messages, or they hold them.
    pub(super) direct: FxHashSet<DataConsumerKey>,
    /// The requests with a gate behind the replay of a DataConsumer.
    pub(super) of_replays: FxHashMap<DataConsumerKey, Vec<u32>>,
}

impl Drains {
    /// Ends the wait of the request for the DataConsumer.
    pub(super) fn forget(&mut self, consumer: DataConsumerKey, request: u32) {
        forget(&mut self.of_consumers, consumer, request);
    }

    /// Ends the wait of the request for the replay of the DataConsumer.
    pub(super) fn forget_replay(&mut self, consumer: DataConsumerKey, request: u32) {
        forget(&mut self.of_replays, consumer, request);
    }
}

fn forget(
    waiting: &mut FxHashMap<DataConsumerKey, Vec<u32>>,
    consumer: DataConsumerKey,
    request: u32,
) {
    if let Some(requests) = waiting.get_mut(&consumer) {
        requests.retain(|it| *it != request);
        if requests.is_empty() {
            waiting.remove(&consumer);
        }
    }
}
