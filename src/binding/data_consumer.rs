//! `DataConsumer`.

use std::sync::Arc;

use bytes::Bytes;
use napi::bindgen_prelude::{BufferSlice, Either};
use napi_derive::napi;

use crate::proto::message::{Message, Ppid};
use crate::sfu::backlog::Backlog;
use crate::sfu::error::Result;
use crate::sfu::id::DataConsumerKey;

use super::link::SharedLink;

/// What `send()` takes while the worker has not looked at it yet, in charged bytes (payload + 64 per message).
const MAX_INTAKE: u64 = 64 << 20;

/// A sink of messages.
#[napi]
pub struct DataConsumer {
    link: SharedLink,
    key: DataConsumerKey,
    /// What waits for JavaScript, or for the peer.
    backlog: Arc<Backlog>,
    /// What `send()` has been given and the worker has not looked at yet.
    intake: Arc<Backlog>,
}

#[napi]
impl DataConsumer {
    pub(super) fn new(link: SharedLink, key: DataConsumerKey, backlog: Arc<Backlog>) -> Self {
        let intake = Arc::new(Backlog::new(MAX_INTAKE));
        Self { link, key, backlog, intake }
    }

    #[napi(catch_unwind)]
    pub fn pause(&self, request: u32) {
        let key = self.key;
        self.link.request(request, move |world| {
            world.sfu.data_consumer(key)?.pause();
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn resume(&self, request: u32) {
        let key = self.key;
        self.link.request(request, move |world| {
            world.sfu.data_consumer(key)?.resume();
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn set_subchannels(&self, request: u32, subchannels: Vec<u32>) {
        let key = self.key;
        let subchannels = subchannels.into_iter().map(|it| it as u16).collect();
        self.link.request(request, move |world| {
            Ok(world.sfu.data_consumer(key)?.set_subchannels(subchannels))
        });
    }

    #[napi(catch_unwind)]
    pub fn add_subchannel(&self, request: u32, subchannel: u32) {
        let key = self.key;
        self.link.request(request, move |world| {
            Ok(world.sfu.data_consumer(key)?.add_subchannel(subchannel as u16))
        });
    }

    #[napi(catch_unwind)]
    pub fn remove_subchannel(&self, request: u32, subchannel: u32) {
        let key = self.key;
        self.link.request(request, move |world| {
            Ok(world.sfu.data_consumer(key)?.remove_subchannel(subchannel as u16))
        });
    }

    /// Sends to the peer alone; answers the buffered amount.
    #[napi(catch_unwind)]
    pub fn send(&self, request: u32, message: Either<BufferSlice<'_>, String>, ppid: u32) {
        let payload = match message {
            Either::A(buffer) => Bytes::copy_from_slice(&buffer),
            Either::B(string) => Bytes::from(string),
        };
        let (key, len) = (self.key, payload.len());
        if !self.intake.has_room(len) {
            return self.link.request(request, move |world| -> Result<usize> {
                Err(world.sfu.data_consumer(key)?.refuse(len))
            });
        }
        self.intake.enter(len);
        let intake = Arc::clone(&self.intake);
        self.link.request(request, move |world| {
            intake.leave(1, len as u64);
            world.sfu.data_consumer(key)?.send(Message::new(Ppid(ppid), payload))
        });
    }

    #[napi(catch_unwind)]
    pub fn get_buffered_amount(&self, request: u32) {
        let key = self.key;
        self.link
            .request(request, move |world| world.sfu.data_consumer(key)?.get_buffered_amount());
    }

    #[napi(catch_unwind)]
    pub fn set_buffered_amount_low_threshold(&self, request: u32, threshold: u32) {
        let key = self.key;
        self.link.request(request, move |world| {
            let mut consumer = world.sfu.data_consumer(key)?;
            consumer.set_buffered_amount_low_threshold(threshold as usize)
        });
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.link.request(request, move |world| Ok(world.sfu.data_consumer(key)?.dump()));
    }

    #[napi(catch_unwind)]
    pub fn get_stats(&self, request: u32) {
        let key = self.key;
        self.link.request(request, move |world| Ok([world.sfu.data_consumer(key)?.get_stats()]));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.link.tell(move |world| {
            if let Ok(consumer) = world.sfu.data_consumer(key) {
                consumer.close();
            }
        });
    }

    /// Payload bytes that wait for JavaScript, or for the peer.
    #[napi(getter, catch_unwind)]
    pub fn buffered_amount(&self) -> f64 {
        self.backlog.payload() as f64
    }
}

impl Drop for DataConsumer {
    fn drop(&mut self) {
        self.link.backlogs.borrow_mut().remove(&self.key.0);
    }
}
