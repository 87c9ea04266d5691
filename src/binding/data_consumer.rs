//! `DataConsumer`.

use std::sync::Arc;

use bytes::Bytes;
use napi::bindgen_prelude::{BufferSlice, Either, Env};
use napi_derive::napi;
use serde::Serialize;

use crate::proto::message::{Amount, Message, Ppid};
use crate::runtime::clock;
use crate::runtime::job::Place;
use crate::runtime::world::World;
use crate::sfu::backlog::Backlog;
use crate::sfu::drain_state::DrainScope;
use crate::sfu::error::Result;
use crate::sfu::id::DataConsumerKey;

use super::batcher::{SharedBatcher, parse};
use super::subchannels::{List, set_of};

/// The bound of the messages that `send()` accepted and the worker has not taken yet, in charged bytes.
const MAX_INTAKE: u64 = 64 << 20;

/// A sink of messages.
#[napi]
pub struct DataConsumer {
    batcher: SharedBatcher,
    key: DataConsumerKey,
    /// Counts what waits for JavaScript, or for the peer.
    backlog: Arc<Backlog>,
    /// Counts the messages that `send()` accepted and the worker has not taken yet.
    intake: Arc<Backlog>,
}

#[napi]
impl DataConsumer {
    pub(super) fn new(batcher: SharedBatcher, key: DataConsumerKey, backlog: Arc<Backlog>) -> Self {
        let intake = Arc::new(Backlog::new(MAX_INTAKE));
        batcher.memory.get().into_iter().for_each(|it| intake.join(it));
        Self { batcher, key, backlog, intake }
    }

    #[napi(catch_unwind)]
    pub fn pause(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_consumer(key)?.pause();
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn resume(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_consumer(key)?.resume();
            Ok(())
        });
    }

    /// Begins to deliver, if `consume_data()` was called with `waits_for_start`.
    #[napi(catch_unwind)]
    pub fn start(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_consumer(key)?.start();
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn set_subchannels(&self, request: u32, subchannels: List<'_>) {
        let key = self.key;
        let subchannels = set_of(&subchannels);
        self.request(request, move |world| {
            world.sfu.data_consumer(key)?.set_subchannels(subchannels);
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn add_subchannel(&self, request: u32, subchannel: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_consumer(key)?.add_subchannel(subchannel as u16);
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn remove_subchannel(&self, request: u32, subchannel: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_consumer(key)?.remove_subchannel(subchannel as u16);
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn set_overflow(&self, request: u32, overflow: String) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_consumer(key)?.set_overflow(parse(&overflow)?)
        });
    }

    /// Sends a message to the peer of this DataConsumer only. The answer is the buffered amount at the end of the turn.
    #[napi(catch_unwind)]
    pub fn send(&self, request: u32, message: Either<BufferSlice<'_>, String>, ppid: u32) {
        let payload = match message {
            Either::A(buffer) => Bytes::copy_from_slice(&buffer),
            Either::B(string) => Bytes::from(string),
        };
        let (key, len) = (self.key, payload.len());
        let amount = Amount::of(len);
        if !self.intake.try_enter(amount) {
            return self.request(request, move |world| -> Result<()> {
                Err(world.sfu.data_consumer(key)?.reject())
            });
        }
        let intake = Arc::clone(&self.intake);
        self.batcher.run_at(Place::DataConsumer(key), move |world| {
            intake.leave(amount);
            let message = Message::new(Ppid(ppid), payload);
            let sent = world.sfu.data_consumer(key).and_then(|mut it| it.send(message));
            world.answer_send(request, key, sent);
        });
    }

    #[napi(catch_unwind)]
    pub fn get_buffered_amount(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| world.sfu.data_consumer(key)?.get_buffered_amount());
    }

    #[napi(catch_unwind)]
    pub fn set_buffered_amount_low_threshold(&self, request: u32, threshold: u32) {
        let key = self.key;
        self.request(request, move |world| {
            let mut consumer = world.sfu.data_consumer(key)?;
            consumer.set_buffered_amount_low_threshold(threshold as usize)
        });
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| Ok(world.sfu.data_consumer(key)?.dump()));
    }

    #[napi(catch_unwind)]
    pub fn get_stats(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| Ok([world.sfu.data_consumer(key)?.get_stats()]));
    }

    #[napi(catch_unwind)]
    pub fn drained(&self, request: u32) {
        let key = self.key;
        self.batcher.run(move |world| world.drain(request, DrainScope::DataConsumer(key)));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.batcher.run(move |world| {
            if let Ok(consumer) = world.sfu.data_consumer(key) {
                consumer.close();
            }
        });
    }

    #[napi(catch_unwind)]
    pub fn close_with_stats(&self, request: u32) {
        let key = self.key;
        self.batcher.request(request, move |world| {
            let mut consumer = world.sfu.data_consumer(key)?;
            let stats = consumer.get_stats();
            consumer.close();
            Ok([stats])
        });
    }

    /// From now on JavaScript asks for the messages of this direct DataConsumer with [`Self::pull`]. Messages that are
    /// already on their way still come by themselves.
    #[napi(catch_unwind)]
    pub fn begin_pulls(&self) {
        self.backlog.use_queue().begin_pulls();
    }

    /// The oldest message and its PPID. If there is none, the event 'ready' announces the next one.
    #[napi(catch_unwind, ts_return_type = "[message: Buffer, ppid: number] | null")]
    pub fn pull<'env>(&self, env: &'env Env) -> napi::Result<Option<(BufferSlice<'env>, u32)>> {
        let now = clock::now();
        let Some((Message { ppid, payload }, sampled)) = self.backlog.pull(now) else {
            return Ok(None);
        };
        if let Some(at) = sampled {
            let delay = now.saturating_duration_since(at);
            self.batcher.run(move |world| world.count_delay(delay));
        }
        self.batcher.after_pull(self.key, &self.backlog);
        Ok(Some((BufferSlice::copy_from(env, payload)?, ppid.0)))
    }

    /// From now on messages come by themselves again. Messages that could have been pulled are discarded.
    #[napi(catch_unwind)]
    pub fn end_pulls(&self) {
        self.backlog.end_pulls();
        self.batcher.after_pull(self.key, &self.backlog);
    }

    /// The DataConsumer has closed: everything queued can be pulled, unless messages before it are lost.
    #[napi(catch_unwind)]
    pub fn close_pulls(&self) {
        self.backlog.close_pulls();
    }

    /// Payload bytes that wait for JavaScript, or for the peer.
    #[napi(getter, catch_unwind)]
    pub fn buffered_amount(&self) -> f64 {
        self.backlog.payload() as f64
    }
}

impl DataConsumer {
    /// Makes a request that comes after the messages that were sent before.
    fn request<T: Serialize>(
        &self,
        request: u32,
        ask: impl FnOnce(&mut World) -> Result<T> + Send + 'static,
    ) {
        self.batcher.request_at(Place::DataConsumer(self.key), request, ask);
    }
}

impl Drop for DataConsumer {
    fn drop(&mut self) {
        self.batcher.backlogs.borrow_mut().remove(self.key.0, &self.backlog);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::binding::batcher::Batcher;
    use crate::binding::transport::Transport;
    use crate::proto::message::charge;
    use crate::sfu::id::TransportKey;

    #[test]
    fn a_data_consumer_takes_its_backlog_out_of_the_table_when_it_is_dropped() {
        let batcher = Batcher::new(Arc::default());
        let transport = Transport { batcher: Rc::clone(&batcher), key: TransportKey(1) };
        let consume = |request| transport.consume_data(request, String::new(), 1000);
        let kept = consume(2);
        for request in 3..1000 {
            consume(request).close();
        }
        assert_eq!(batcher.backlogs.borrow().len(), 1);
        drop(kept);
        assert_eq!(batcher.backlogs.borrow().len(), 0);
    }

    #[test]
    fn send_takes_a_bounded_number_of_bytes_before_the_worker_takes_them() {
        const LEN: usize = 8 << 20;
        let batcher = Batcher::new(Arc::default());
        let consumer = DataConsumer::new(batcher, DataConsumerKey(1), Arc::new(Backlog::new(1000)));
        let accepted = MAX_INTAKE as usize / charge(LEN);
        for request in 0..2 * accepted as u32 {
            consumer.send(request, Either::B("x".repeat(LEN)), 51);
        }
        assert_eq!(consumer.intake.payload(), (accepted * LEN) as u64);
    }
}
