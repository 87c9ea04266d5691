//! Closing an object for which messages still wait.
//!
//! close() of an object is a job like others, so it comes after the messages that were sent before. But messages that
//! exceed their turn have moved to the lanes. There the close of their DataProducer finds them, gives them one more
//! share and drops the rest. Calls that were made before the close take effect before it; they have a share too. What
//! waits for other objects is not affected.

use std::collections::VecDeque;

use crate::sfu::contract::stats::DataProducerStats;
use crate::sfu::error::Result;
use crate::sfu::id::{DataProducerKey, RouterKey, TransportKey};
use crate::sfu::source::Source;
use crate::sfu::work;

use super::job::Job;
use super::world::World;

impl World {
    /// Closes a DataProducer, if it is there.
    pub fn close_data_producer(&mut self, key: DataProducerKey) {
        // It may be closed already, with its transport or Router.
        let _ = self.close_data_producer_with_stats(key);
    }

    /// Closes a DataProducer, and returns its last counters.
    pub fn close_data_producer_with_stats(
        &mut self,
        key: DataProducerKey,
    ) -> Result<DataProducerStats> {
        // A tunnel stays: what comes for the DataProducer later counts as unrouted.
        let closes = |it: &Source| matches!(it, Source::DataProducer(_));
        self.settle(|it| it.sfu.source_of(key).into_iter().collect(), closes);
        let mut producer = self.sfu.data_producer(key)?;
        let stats = producer.get_stats();
        producer.close();
        Ok(stats)
    }

    /// Closes a transport, if it is there.
    pub fn close_transport(&mut self, key: TransportKey) {
        self.settle(|it| it.sfu.sources_on_transport(key).collect(), |_| true);
        if let Ok(transport) = self.sfu.transport(key) {
            transport.close();
        }
    }

    /// Closes a router, if it is there.
    pub fn close_router(&mut self, key: RouterKey) {
        self.settle(|it| it.sfu.sources_on_router(key).collect(), |_| true);
        if let Ok(router) = self.sfu.router(key) {
            router.close();
        }
    }

    /// Closes everything, after the last turn. `jobs` are those that will not be done.
    pub(super) fn end(&mut self, jobs: &VecDeque<Job<Self>>) {
        let undone = jobs.iter().filter(|it| it.is_message()).count() as u64;
        let dropped = undone + self.lanes.messages();
        if dropped > 0 {
            log::warn!("worker closed: {dropped} messages that were sent before are dropped");
        }
        self.sfu.close();
        self.transmit_all();
        self.discard_events();
        self.finish_turn();
        debug_assert!(self.sfu.is_empty(), "closing leaves nothing: {:#?}", self.sfu);
    }

    /// Routes what waits of these sources, as far as one share goes. Of those that are about to close, counts the rest
    /// as dropped.
    fn settle(&mut self, sources: impl FnOnce(&Self) -> Vec<Source>, closes: fn(&Source) -> bool) {
        if self.lanes.is_empty() {
            return;
        }
        let mut sources = sources(self);
        let end = self.sfu.work() + work::SHARE;
        loop {
            sources.retain(|it| self.lanes.waits(*it));
            // Blocked lanes get no turn before the close.
            let served = sources.iter().filter(|it| !self.lanes.is_held(**it));
            let served: Vec<Source> = served.copied().collect();
            if served.is_empty() || self.sfu.work() >= end {
                break;
            }
            for source in served {
                self.serve(source, end.min(self.sfu.work() + work::QUANTUM));
            }
        }
        let end = self.sfu.work() + work::SHARE;
        for source in sources.into_iter().filter(closes) {
            let messages = self.lanes.write_off(source);
            if messages > 0 {
                log::warn!(
                    "{source} closed: {messages} messages that were sent before are dropped"
                );
                self.sfu.count_dropped_at_close(messages);
            }
            while self.sfu.work() < end
                && let Some(call) = self.lanes.pop_call(source)
            {
                self.do_job(call);
            }
            // The messages are routed when their turn comes.
            self.lanes.release(source);
        }
    }
}
