//! What can be asked of a transport, whatever its kind.

use std::sync::Arc;

use crate::proto::message::{Reliability, StreamId};
use crate::sfu::Sfu;
use crate::sfu::backlog::Backlog;
use crate::sfu::contract::answers::CreatedAnswer;
use crate::sfu::contract::dump::{
    DataConsumerDump, KeyValue, SctpDump, SctpListener, TransportDump,
};
use crate::sfu::contract::options::{DataConsumerOptions, DataProducerOptions};
use crate::sfu::contract::parameters::{Bitrates, NegotiatedStreams, SctpStreamParameters};
use crate::sfu::contract::stats::TransportStats;
use crate::sfu::data_consumer::{DataConsumer, Sink};
use crate::sfu::data_producer::{DataProducer, choose_id};
use crate::sfu::error::{Error, Result};
use crate::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::sfu::subchannels::Subscriptions;

use super::{Kind, Transport};

/// A [`Transport`] in its [`Sfu`]: what can be asked of it.
#[derive(Debug)]
pub struct TransportMut<'a> {
    pub(super) sfu: &'a mut Sfu,
    pub(super) key: TransportKey,
}

impl TransportMut<'_> {
    pub(super) fn get(&mut self) -> &mut Transport {
        self.sfu.transports.get_mut(&self.key).expect("checked when this view was made")
    }

    /// Whether it is a WebRTC transport, which is connected by other options than the others.
    pub fn is_webrtc(&mut self) -> bool {
        self.get().is_webrtc()
    }

    /// Makes a DataProducer. `intake` counts what JavaScript sends to a direct one.
    pub fn produce_data(
        &mut self,
        key: DataProducerKey,
        options: DataProducerOptions,
        intake: Arc<Backlog>,
    ) -> Result<CreatedAnswer> {
        let transport_key = self.key;
        let direct = self.get().is_direct();
        let stream = match options.sctp_stream_parameters {
            _ if direct => None,
            _ if self.get().sctp.is_none() => return Err(Error::NoSctp),
            None => return Err(Error::NoStreamParameters),
            stream => stream,
        };
        let id = choose_id(self.sfu, transport_key, options.id)?;
        let transport = self.get();
        if let Some(stream) = stream {
            let id = stream.stream_id;
            if transport.producer_streams.contains_key(&id) {
                return Err(Error::StreamProduced(id));
            }
            transport.producer_streams.insert(id, key);
            transport.expect_stream(id);
        }
        transport.data_producers.push(key);
        let router = transport.router;
        let intake = direct.then_some(intake);
        let producer = DataProducer::new(id, router, transport_key, options, stream, intake);
        self.sfu.data_producers.insert(key, producer);
        self.sfu.data_producer_ids.insert(id, key);
        self.start_sctp();
        Ok(CreatedAnswer { id })
    }

    /// Makes a DataConsumer and answers with its dump. `backlog` counts what it has not handed over
    /// yet.
    pub fn consume_data(
        &mut self,
        key: DataConsumerKey,
        options: DataConsumerOptions,
        backlog: Arc<Backlog>,
    ) -> Result<DataConsumerDump> {
        let transport_key = self.key;
        let router = self.get().router;
        let id = options.data_producer_id;
        let producer_key = self.sfu.data_producer_ids.get(&id).copied();
        let producer = producer_key
            .and_then(|key| Some((key, self.sfu.data_producers.get(&key)?)))
            .filter(|(_, producer)| producer.router == router)
            .ok_or(Error::DataProducerIdNotFound(id))?;
        let (producer_key, producer) = producer;
        let inherited = producer.stream.map(|it| it.reliability());
        let texts = (producer.label.clone(), producer.protocol.clone());
        let paused = (options.paused, producer.paused);
        let subscriptions = Subscriptions::new(options.subchannels.iter().copied());

        let sink = if self.get().is_direct() {
            Sink::Direct { backlog, dropping: None }
        } else {
            let reliability = options.reliability(inherited)?;
            self.open_stream(key, options.stream_id, reliability, backlog)?
        };
        let consumer =
            DataConsumer::new(transport_key, producer_key, id, sink, texts, paused, subscriptions);
        self.get().data_consumers.push(key);
        if let Some(producer) = self.sfu.data_producers.get_mut(&producer_key) {
            producer.consumers.push(key);
        }
        self.sfu.data_consumers.insert(key, consumer);
        self.start_sctp();
        Ok(self.sfu.data_consumer(key)?.dump())
    }

    fn open_stream(
        &mut self,
        key: DataConsumerKey,
        wanted: Option<StreamId>,
        reliability: Reliability,
        gauge: Arc<Backlog>,
    ) -> Result<Sink> {
        let transport = self.get();
        let low_threshold = match &transport.sctp {
            Some(options) => options.buffered_amount_low_threshold as usize,
            None => return Err(Error::NoSctp),
        };
        let stream = match wanted {
            Some(stream) => transport.take_stream(stream)?,
            None => transport.next_free_stream()?,
        };
        transport.consumer_streams.insert(stream, key);
        transport.open_stream(stream, reliability, &gauge);
        let stream = SctpStreamParameters::new(stream, reliability);
        Ok(Sink::Sctp { stream, low_threshold, gauge })
    }

    /// A plain or pipe association begins when there is something to carry.
    fn start_sctp(&mut self) {
        let now = self.sfu.now;
        match &mut self.get().kind {
            Kind::Plain(it) => it.path.start(now),
            Kind::Pipe(it) => it.start(now),
            Kind::Direct | Kind::WebRtc(_) => return,
        }
        let key = self.key;
        self.sfu.pump(key);
        self.sfu.touch(key);
    }

    /// Keeps the bitrates that the application sets.
    pub fn set_bitrates(&mut self, bitrates: Bitrates) {
        self.get().bitrates = bitrates;
    }

    /// Its configuration and state.
    pub fn dump(&mut self) -> TransportDump {
        let transport = &self.sfu.transports[&self.key];
        let producers = &self.sfu.data_producers;
        let id_of = |key| producers.get(key).map(|it: &DataProducer| it.id);
        let consumers = &self.sfu.data_consumers;
        let mut streams: Vec<_> = transport
            .producer_streams
            .iter()
            .filter_map(|(&key, producer)| Some(KeyValue { key, value: id_of(producer)? }))
            .collect();
        streams.sort_by_key(|it| it.key);
        let negotiated = transport.negotiated_streams();
        let sctp =
            transport.sctp_state().zip(transport.sctp_parameters()).map(|(state, it)| SctpDump {
                sctp_parameters: it,
                sctp_state: state,
                sctp_negotiated_capabilities: negotiated
                    .map(NegotiatedStreams::from)
                    .unwrap_or_default(),
                sctp_listener: SctpListener { stream_id_table: streams },
            });
        TransportDump {
            id: transport.id,
            producer_ids: [],
            consumer_ids: [],
            map_ssrc_consumer_id: [],
            map_rtx_ssrc_consumer_id: [],
            data_producer_ids: transport.data_producers.iter().filter_map(id_of).collect(),
            data_consumer_ids: transport
                .data_consumers
                .iter()
                .filter_map(|key| Some(consumers.get(key)?.id))
                .collect(),
            recv_rtp_header_extensions: Default::default(),
            rtp_listener: Default::default(),
            max_send_message_size: transport.max_send_message_size,
            max_receive_message_size: transport.max_receive_message_size,
            sctp,
            trace_event_types: [],
            kind: self.kind_dump(),
        }
    }

    /// Its counters.
    pub fn get_stats(&mut self) -> TransportStats {
        let (now, timestamp) = (self.sfu.now, self.sfu.timestamp());
        let kind = self.kind_stats();
        let it = self.get();
        TransportStats {
            transport_id: it.id,
            timestamp,
            sctp_state: it.sctp_state(),
            bytes_received: it.received.total(),
            recv_bitrate: it.received.bitrate(now),
            bytes_sent: it.sent.total(),
            send_bitrate: it.sent.bitrate(now),
            rtp: Default::default(),
            bitrates: it.bitrates,
            dropped: it.sctp_counters().map(Into::into),
            datagrams_dropped: it.datagrams_dropped,
            messages_unrouted: it.messages_unrouted,
            messages_discarded: it.discarded.messages,
            bytes_discarded: it.discarded.bytes,
            kind,
        }
    }
}
