//! `DataProducer`, and its `send()`.

use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Function, FunctionCallContext};
use napi::{JsString, Result};
use napi_derive::napi;
use serde::Serialize;

use crate::proto::message::{Amount, Message, Ppid};
use crate::runtime::job::{Job, Place};
use crate::runtime::world::World;
use crate::sfu;
use crate::sfu::backlog::Backlog;
use crate::sfu::contract::options::LimitOptions;
use crate::sfu::drain_state::DrainScope;
use crate::sfu::id::DataProducerKey;
use crate::sfu::subchannels::Selector;

use super::batcher::{SharedBatcher, parse};
use super::subchannels::{List, set_of};

/// A source of messages.
#[napi]
pub struct DataProducer {
    pub(super) batcher: SharedBatcher,
    pub(super) key: DataProducerKey,
    pub(super) intake: Arc<Backlog>,
    pub(super) max_message_size: usize,
}

#[napi]
impl DataProducer {
    #[napi(catch_unwind)]
    pub fn pause(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_producer(key)?.pause();
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn resume(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_producer(key)?.resume();
            Ok(())
        });
    }

    /// Answers once the messages sent before have been routed.
    #[napi(catch_unwind)]
    pub fn routed(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| world.sfu.data_producer(key).map(drop));
    }

    #[napi(catch_unwind)]
    pub fn clear_retained(&self, request: u32) {
        let key = self.key;
        self.request(request, move |world| {
            world.sfu.data_producer(key)?.clear_retained();
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.batcher.request_at(Place::Reading(key), request, move |world| {
            Ok(world.sfu.data_producer(key)?.dump())
        });
    }

    #[napi(catch_unwind)]
    pub fn get_stats(&self, request: u32) {
        let key = self.key;
        self.batcher.request_at(Place::Reading(key), request, move |world| {
            Ok([world.sfu.data_producer(key)?.get_stats()])
        });
    }

    /// Changes the limit; `null` removes it.
    #[napi(catch_unwind)]
    pub fn set_limit(&self, request: u32, limit: String) {
        let key = self.key;
        // A DataProducer that waits for tokens must not delay this, as it may end the wait.
        self.batcher.request_at(Place::Reading(key), request, move |world| {
            let limit: Option<LimitOptions> = parse(&limit)?;
            world.sfu.data_producer(key)?.set_limit(limit.as_ref())
        });
    }

    #[napi(catch_unwind)]
    pub fn drained(&self, request: u32) {
        let key = self.key;
        self.batcher.run(move |world| world.drain(request, DrainScope::DataProducer(key)));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.batcher.run(move |world| world.close_data_producer(key));
    }

    #[napi(catch_unwind)]
    pub fn close_with_stats(&self, request: u32) {
        let key = self.key;
        self.batcher
            .request(request, move |world| Ok([world.close_data_producer_with_stats(key)?]));
    }

    /// Payload bytes that were sent or are held, and are not routed yet.
    #[napi(getter, catch_unwind)]
    pub fn buffered_amount(&self) -> f64 {
        self.intake.payload() as f64
    }

    /// `send()` for a Buffer: (message, ppid, subchannels?, required?, ignored?) → [`SendResult`].
    /// This is a closure, because a call of a closure costs a quarter of a method call.
    #[napi(
        getter,
        catch_unwind,
        ts_return_type = "(message: Buffer, ppid: number, subchannels?: number[] | Uint16Array | null, required?: number | null, ignored?: number | null) => number"
    )]
    pub fn send_buffer<'env>(&self, env: &'env Env) -> Result<Function<'env, (), u32>> {
        let intake = self.intake();
        env.create_function_from_closure("sendBuffer", move |ctx| {
            let message: BufferSlice<'_> = ctx.get(0)?;
            intake.send(&ctx, &message)
        })
    }

    /// `send()` for a string.
    #[napi(
        getter,
        catch_unwind,
        ts_return_type = "(message: string, ppid: number, subchannels?: number[] | Uint16Array | null, required?: number | null, ignored?: number | null) => number"
    )]
    pub fn send_string<'env>(&self, env: &'env Env) -> Result<Function<'env, (), u32>> {
        let intake = self.intake();
        env.create_function_from_closure("sendString", move |ctx| {
            let message: JsString<'_> = ctx.get(0)?;
            intake.send(&ctx, message.into_utf8()?.as_slice())
        })
    }

    fn intake(&self) -> Intake {
        Intake {
            batcher: Rc::clone(&self.batcher),
            backlog: Arc::clone(&self.intake),
            key: self.key,
            max_message_size: self.max_message_size,
        }
    }
}

impl DataProducer {
    /// Makes a request that comes after the messages that were sent before.
    fn request<T: Serialize>(
        &self,
        request: u32,
        ask: impl FnOnce(&mut World) -> sfu::error::Result<T> + Send + 'static,
    ) {
        self.batcher.request_at(Place::DataProducer(self.key), request, ask);
    }
}

/// The result of `send()`.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum SendResult {
    Accepted = 0,
    QueueFull = 1,
    TooLarge = 2,
    WorkerGone = 3,
}

/// Accepts the messages of one DataProducer.
struct Intake {
    batcher: SharedBatcher,
    backlog: Arc<Backlog>,
    key: DataProducerKey,
    max_message_size: usize,
}

impl Intake {
    fn send(&self, ctx: &FunctionCallContext<'_>, payload: &[u8]) -> Result<u32> {
        let ppid = Ppid(ctx.get(1)?);
        let selector = selector(ctx)?;
        Ok(self.accept(ppid, payload, selector) as u32)
    }

    /// Accepts a message and copies its payload, which is copied only here on its way in.
    fn accept(&self, ppid: Ppid, payload: &[u8], selector: Option<Arc<Selector>>) -> SendResult {
        let len = Message::payload_len(ppid, payload.len());
        if self.batcher.inbox.is_closed() {
            return SendResult::WorkerGone;
        }
        if len > self.max_message_size {
            return SendResult::TooLarge;
        }
        let subchannels = selector.as_ref().map_or(0, |it| it.subchannels.len());
        let amount = Amount::of(len).with_subchannels(subchannels);
        if !self.backlog.try_enter(amount) {
            // The worker is asked for 'drain' once per overflow, however often JavaScript calls `send()`.
            if self.backlog.overflow() {
                self.batcher.post(Job::NotifyDrain(self.key));
            }
            return SendResult::QueueFull;
        }
        let job = Job::Send(self.key, Message::copy_from_slice(ppid, payload), selector);
        self.batcher.send(job, amount.charge);
        SendResult::Accepted
    }
}

/// Reads (…, subchannels?, required?, ignored?); lib/ leaves out what is not given.
fn selector(ctx: &FunctionCallContext<'_>) -> Result<Option<Arc<Selector>>> {
    if ctx.length() <= 2 {
        return Ok(None);
    }
    let subchannels: Option<List<'_>> = ctx.get(2)?;
    let one = |index: usize| -> Result<Option<u16>> {
        if ctx.length() <= index {
            return Ok(None);
        }
        Ok(ctx.get::<Option<u32>>(index)?.map(|it| it as u16))
    };
    let selector = Selector {
        subchannels: subchannels.as_ref().map(set_of).unwrap_or_default(),
        required: one(3)?,
        ignored: one(4)?,
    };
    Ok((!selector.is_empty()).then(|| Arc::new(selector)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::batcher::Batcher;

    #[test]
    fn send_takes_a_bounded_number_of_subchannels_before_the_worker_routes_them() {
        let intake = Intake {
            batcher: Batcher::new(Arc::default()),
            backlog: Arc::new(Backlog::new(1 << 20)),
            key: DataProducerKey(1),
            max_message_size: 1000,
        };
        let subchannels = (0..65_535).collect();
        let selector = Arc::new(Selector { subchannels, ..Default::default() });
        let send = || intake.accept(Ppid::BINARY, b"x", Some(Arc::clone(&selector)));
        let accepted = (0..1000).take_while(|_| matches!(send(), SendResult::Accepted)).count();
        assert_eq!(accepted, (1 << 20) / (1 + 64 + 2 * 65_535));
    }
}
