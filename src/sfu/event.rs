//! What happened in the domain, in order. The binding turns these into JavaScript events.

use crate::proto::dtls::DtlsState;
use crate::proto::ice_lite::IceState;
use crate::proto::message::Message;
use crate::proto::sctp::SctpState;
use crate::proto::transmit::{SocketId, Tuple};

use super::id::{DataConsumerKey, DataProducerKey, TransportKey};
use super::transport::TupleInfo;
use super::transport::tunnel::Parcel;

/// Something happened to an entity by itself: not in answer to a request, but through the network,
/// or through a request to another entity.
#[derive(Debug)]
pub enum Event {
    /// A direct DataConsumer got a message.
    Message(DataConsumerKey, Message),
    /// A DataConsumer's.
    DataConsumer(DataConsumerKey, DataConsumerEvent),
    /// A DataProducer's.
    DataProducer(DataProducerKey, DataProducerEvent),
    /// A transport's.
    Transport(TransportKey, TransportEvent),
    /// Hand this to the other end of the tunnel. For the runtime.
    Parcel(TransportKey, Parcel),
    /// Nobody uses this socket any more: close it. For the runtime.
    SocketReleased(SocketId),
    /// Nobody uses this TCP connection any more: close it. For the runtime.
    ConnectionReleased(Tuple),
}

/// An event of a DataConsumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataConsumerEvent {
    /// Its DataProducer closed, and so it is closed, too.
    DataProducerClose,
    /// Its DataProducer paused.
    DataProducerPause,
    /// Its DataProducer resumed.
    DataProducerResume,
    /// A message was refused because the queue towards the peer is full. At most once a turn.
    SctpSendBufferFull,
    /// The payload bytes queued towards the peer have fallen to the threshold.
    BufferedAmountLow(usize),
    /// Delivery goes on after this much was dropped because JavaScript did not keep up.
    Overflow(Dropped),
    /// The peer closed the data channel, and so the consumer is closed, too.
    StreamClose,
}

/// An event of a DataProducer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataProducerEvent {
    /// After a refused `send()`: there is room again.
    Drain,
    /// The peer closed the data channel.
    StreamClose,
}

/// An event of a transport.
#[derive(Debug, Clone, PartialEq)]
pub enum TransportEvent {
    /// The ICE state changed: at the end of a turn, or before another of these events.
    IceState(IceState),
    /// Another path to the peer was selected; told likewise.
    IceSelectedTuple(Box<TupleInfo>),
    /// The DTLS state changed; with the peer's certificate (PEM) when connected.
    DtlsState(DtlsState, Option<String>),
    /// The SCTP state changed; with the negotiated streams (outbound, inbound) when connected.
    SctpState(SctpState, Option<(u16, u16)>),
    /// A plain transport learned its peer's address.
    Tuple(Box<TupleInfo>),
}

/// Messages that did not reach their consumer, and their payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Dropped {
    /// How many.
    pub messages: u64,
    /// Their payload in bytes.
    pub bytes: u64,
}

impl Dropped {
    pub(super) fn count(&mut self, payload_len: usize) {
        self.messages += 1;
        self.bytes += payload_len as u64;
    }
}
