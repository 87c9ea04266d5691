//! Events as JSON for lib/.

use serde_json::{Value, json};

use crate::sfu::contract::parameters::NegotiatedStreams;
use crate::sfu::event::{DataConsumerEvent, DataProducerEvent, Event, TransportEvent};

/// `[target, name, …arguments]`.
pub(super) fn to_json(event: Event) -> Value {
    match event {
        Event::DataConsumer(key, event) => match event {
            DataConsumerEvent::DataProducerClose => json!([key.0, "dataproducerclose"]),
            DataConsumerEvent::DataProducerPause => json!([key.0, "dataproducerpause"]),
            DataConsumerEvent::DataProducerResume => json!([key.0, "dataproducerresume"]),
            DataConsumerEvent::SctpSendBufferFull => json!([key.0, "sctpsendbufferfull"]),
            DataConsumerEvent::BufferedAmountLow(it) => json!([key.0, "bufferedamountlow", it]),
            DataConsumerEvent::Overflow(it) => json!([key.0, "overflow", it]),
            DataConsumerEvent::Stalled => json!([key.0, "stalled"]),
            DataConsumerEvent::Unstalled => json!([key.0, "unstalled"]),
            DataConsumerEvent::Ready => json!([key.0, "ready"]),
            DataConsumerEvent::OverflowClose => json!([key.0, "overflowclose"]),
            DataConsumerEvent::StreamClose => json!([key.0, "streamclose"]),
        },
        Event::DataProducer(key, event) => match event {
            DataProducerEvent::Drain => json!([key.0, "drain"]),
            DataProducerEvent::StreamClose => json!([key.0, "streamclose"]),
            DataProducerEvent::OriginPause => json!([key.0, "originpause"]),
            DataProducerEvent::OriginResume => json!([key.0, "originresume"]),
            DataProducerEvent::Limit(it) => json!([key.0, "limit", it]),
            DataProducerEvent::LimitPause => json!([key.0, "limitpause"]),
            DataProducerEvent::LimitClose => json!([key.0, "limitclose"]),
        },
        Event::Transport(key, event) => match event {
            TransportEvent::IceState(state, reason) => {
                json!([key.0, "icestatechange", state, reason])
            }
            TransportEvent::IceSelectedTuple(it) => json!([key.0, "iceselectedtuplechange", it]),
            TransportEvent::DataChannel(it) => json!([key.0, "datachannel", it]),
            TransportEvent::Tuple(tuple) => json!([key.0, "tuple", tuple]),
            TransportEvent::Limit(it) => json!([key.0, "limit", it]),
            TransportEvent::DtlsState(state, certificate, reason) => {
                json!([key.0, "dtlsstatechange", state, certificate, reason])
            }
            TransportEvent::SctpState(state, streams, reason) => {
                let streams = streams.map(NegotiatedStreams::from);
                json!([key.0, "sctpstatechange", state, streams, reason])
            }
        },
        // The runtime handles answers, frames and released sockets itself, and messages cross as records.
        Event::Message(..)
        | Event::Drained(..)
        | Event::Queued(..)
        | Event::TunnelFrame(..)
        | Event::SocketReleased(_)
        | Event::ConnectionReleased(_) => Value::Null,
    }
}
