//! `Transport`, of any kind.

use std::rc::Rc;
use std::sync::Arc;

use napi_derive::napi;
use serde::Serialize;

use crate::runtime::world::FarEnd;
use crate::sfu::backlog::Backlog;
use crate::sfu::contract::answers::{UdpConnectAnswer, WebRtcConnectAnswer};
use crate::sfu::contract::options::{DataConsumerOptions, LimitOptions, MoveOptions};
use crate::sfu::contract::parameters::Bitrates;
use crate::sfu::drain_state::DrainScope;
use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};

use super::batcher::{SharedBatcher, answer, parse};
use super::capture::Capture;
use super::data_consumer::DataConsumer;
use super::data_producer::DataProducer;

/// Connects a router with one peer, or with JavaScript.
#[napi]
pub struct Transport {
    pub(super) batcher: SharedBatcher,
    pub(super) key: TransportKey,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ConnectAnswer {
    WebRtc(WebRtcConnectAnswer),
    Udp(UdpConnectAnswer),
}

#[napi]
impl Transport {
    /// Connects the transport. The options and the answer are those of the transport's kind.
    #[napi(catch_unwind)]
    pub fn connect(&self, request: u32, options: String) {
        let key = self.key;
        self.batcher.request(request, move |world| {
            let mut transport = world.sfu.transport(key)?;
            Ok(if transport.is_webrtc() {
                ConnectAnswer::WebRtc(transport.connect_webrtc(parse(&options)?)?)
            } else {
                ConnectAnswer::Udp(transport.connect_udp(parse(&options)?)?)
            })
        });
    }

    /// Connects two pipe transports of this process past the network. Call it before their `connect()`.
    #[napi(catch_unwind)]
    pub fn tunnel(&self, request: u32, other: &Transport) {
        let far_end = FarEnd { inbox: Arc::clone(&other.batcher.inbox), transport: other.key };
        let key = self.key;
        self.batcher.request(request, move |world| world.tunnel(key, far_end));
    }

    #[napi(catch_unwind)]
    pub fn restart_ice(&self, request: u32) {
        let key = self.key;
        self.batcher.request(request, move |world| world.sfu.transport(key)?.restart_ice());
    }

    /// `max_buffered_amount` bounds the bytes that were sent on a direct transport, or are held, and are not routed
    /// yet; `max_message_size`, on a direct transport, the bytes of one message.
    #[napi(catch_unwind)]
    pub fn produce_data(
        &self,
        request: u32,
        options: String,
        max_buffered_amount: u32,
        max_message_size: u32,
    ) -> DataProducer {
        let (transport, key) = (self.key, DataProducerKey(request));
        let intake = Arc::new(Backlog::new(max_buffered_amount.into()));
        let counted = Arc::clone(&intake);
        self.batcher.request_with(request, options, move |world, options| {
            world.sfu.transport(transport)?.produce_data(key, options, counted)
        });
        let max_message_size = max_message_size as usize;
        DataProducer { batcher: Rc::clone(&self.batcher), key, intake, max_message_size }
    }

    /// Moves a DataProducer of the same worker here, to this stream.
    #[napi(catch_unwind)]
    pub fn take_over(&self, request: u32, producer: &DataProducer, options: String) {
        let (key, producer) = (self.key, producer.key);
        self.batcher.request_with(request, options, move |world, options: MoveOptions| {
            world.sfu.data_producer(producer)?.move_to(key, options.sctp_stream_parameters)
        });
    }

    /// On a direct transport `max_buffered_amount` bounds the bytes that wait for JavaScript. Other transports
    /// queue in SCTP and do not use it.
    #[napi(catch_unwind)]
    pub fn consume_data(
        &self,
        request: u32,
        options: String,
        max_buffered_amount: u32,
    ) -> DataConsumer {
        let (transport, key) = (self.key, DataConsumerKey(request));
        let backlog = Arc::new(Backlog::new(max_buffered_amount.into()));
        self.batcher.backlogs.borrow_mut().request(request, Arc::clone(&backlog));
        let counted = Arc::clone(&backlog);
        self.batcher.run(move |world| {
            let options = parse::<DataConsumerOptions>(&options);
            // The messages that were sent to the DataProducer before are not for this DataConsumer.
            let producer = options.as_ref().ok().and_then(|it| world.sfu.find(it.data_producer_id));
            world.call_behind(producer, move |world| {
                answer(world, request, |world| {
                    world.sfu.transport(transport)?.consume_data(key, options?, counted)
                });
            });
        });
        DataConsumer::new(Rc::clone(&self.batcher), key, backlog)
    }

    #[napi(catch_unwind)]
    pub fn set_bitrates(&self, request: u32, bitrates: String) {
        let key = self.key;
        self.batcher.request_with(request, bitrates, move |world, bitrates: Bitrates| {
            world.sfu.transport(key)?.set_bitrates(bitrates);
            Ok(())
        });
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.batcher.request(request, move |world| Ok(world.sfu.transport(key)?.dump()));
    }

    /// Begins a capture of the packets of the association. They come as messages with the id of the request.
    #[napi(catch_unwind)]
    pub fn capture(&self, request: u32) -> Capture {
        Capture::begin(&self.batcher, self.key, request)
    }

    #[napi(catch_unwind)]
    pub fn diagnose(&self, request: u32) {
        let key = self.key;
        self.batcher.request(request, move |world| Ok(world.sfu.transport(key)?.diagnose()));
    }

    #[napi(catch_unwind)]
    pub fn get_stats(&self, request: u32) {
        let key = self.key;
        self.batcher.request(request, move |world| Ok([world.sfu.transport(key)?.get_stats()]));
    }

    /// Changes the limit; `null` removes it.
    #[napi(catch_unwind)]
    pub fn set_limit(&self, request: u32, limit: String) {
        let key = self.key;
        self.batcher.request_with(request, limit, move |world, limit: Option<LimitOptions>| {
            world.sfu.transport(key)?.set_limit(limit.as_ref())
        });
    }

    #[napi(catch_unwind)]
    pub fn drained(&self, request: u32) {
        let key = self.key;
        self.batcher.run(move |world| world.drain(request, DrainScope::Transport(key)));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.batcher.run(move |world| world.close_transport(key));
    }
}
