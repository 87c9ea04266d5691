//! What happened in the domain, in order. The binding turns these into JavaScript events.

use crate::proto::dtls::DtlsState;
use crate::proto::ice_lite::IceState;
use crate::proto::message::Message;
use crate::proto::net::{SocketId, Tuple};
use crate::proto::reason::Reason;
use crate::proto::sctp::SctpState;

use super::backlog::Token;
use super::contract::parameters::{DataChannelInfo, DropCount, TupleInfo};
use super::entity::transport::channels::MAX_CHANNELS;
use super::error::Error;
use super::id::{DataConsumerKey, DataProducerKey, TransportKey};
use super::tunnel::TunnelFrame;

/// Something happened to an entity by itself: not in answer to a request, but through the network,
/// or through a request to another entity.
#[derive(Debug)]
pub enum Event {
    /// A direct DataConsumer got a message.
    Message(DataConsumerKey, Message),
    /// A direct DataConsumer has a message in its queue, at this place.
    Queued(DataConsumerKey, Token),
    /// An event of a DataConsumer.
    DataConsumer(DataConsumerKey, DataConsumerEvent),
    /// An event of a DataProducer.
    DataProducer(DataProducerKey, DataProducerEvent),
    /// An event of a transport.
    Transport(TransportKey, TransportEvent),
    /// The answer to a request of `drained()`.
    Drained(u32, Result<(), Box<Error>>),
    /// The runtime hands this frame to the other end of the tunnel.
    TunnelFrame(TransportKey, TunnelFrame),
    /// No entity uses this socket any more, so the runtime closes it.
    SocketReleased(SocketId),
    /// No transport uses this TCP connection any more, so the runtime closes it.
    ConnectionReleased(Box<Tuple>),
}

/// The subject of an event that a peer can cause over and over: of each subject only a few are kept for
/// JavaScript, the latest among them. Events that the application causes or that happen once have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as the events")]
pub enum Topic {
    IceState(TransportKey),
    IceSelectedTuple(TransportKey),
    DtlsState(TransportKey),
    SctpState(TransportKey),
    Tuple(TransportKey),
    DataChannel(TransportKey),
    SctpSendBufferFull(DataConsumerKey),
    BufferedAmountLow(DataConsumerKey),
    Overflow(DataConsumerKey),
    Stalled(DataConsumerKey),
    StreamClose(DataProducerKey),
    OriginPause(DataProducerKey),
    DataProducerPause(DataConsumerKey),
    DataProducerLimit(DataProducerKey),
    TransportLimit(TransportKey),
}

impl Topic {
    /// How many waiting events of this topic are kept: the first ones, and the latest. An ordinary session has fewer
    /// changes of any one state; where the history does not matter, the latest is enough.
    pub fn kept(self) -> usize {
        match self {
            Self::IceState(_)
            | Self::IceSelectedTuple(_)
            | Self::DtlsState(_)
            | Self::SctpState(_)
            | Self::Tuple(_)
            | Self::OriginPause(_)
            | Self::DataProducerPause(_)
            | Self::Overflow(_)
            | Self::DataProducerLimit(_)
            | Self::TransportLimit(_)
            | Self::Stalled(_) => 8,
            // As many as may wait for a DataProducer at a time.
            Self::DataChannel(_) => MAX_CHANNELS,
            Self::SctpSendBufferFull(_) | Self::BufferedAmountLow(_) | Self::StreamClose(_) => 1,
        }
    }
}

impl Event {
    /// See [`Topic`].
    pub fn topic(&self) -> Option<Topic> {
        Some(match self {
            Self::Transport(key, event) => match event {
                TransportEvent::IceState(..) => Topic::IceState(*key),
                TransportEvent::IceSelectedTuple(_) => Topic::IceSelectedTuple(*key),
                TransportEvent::DtlsState(..) => Topic::DtlsState(*key),
                TransportEvent::SctpState(..) => Topic::SctpState(*key),
                TransportEvent::Tuple(_) => Topic::Tuple(*key),
                TransportEvent::Limit(_) => Topic::TransportLimit(*key),
                TransportEvent::DataChannel(_) => Topic::DataChannel(*key),
            },
            Self::DataConsumer(key, event) => match event {
                DataConsumerEvent::SctpSendBufferFull => Topic::SctpSendBufferFull(*key),
                DataConsumerEvent::BufferedAmountLow(_) => Topic::BufferedAmountLow(*key),
                DataConsumerEvent::DataProducerPause | DataConsumerEvent::DataProducerResume => {
                    Topic::DataProducerPause(*key)
                }
                DataConsumerEvent::Overflow(_) => Topic::Overflow(*key),
                DataConsumerEvent::Stalled | DataConsumerEvent::Unstalled => Topic::Stalled(*key),
                DataConsumerEvent::DataProducerClose
                | DataConsumerEvent::OverflowClose
                | DataConsumerEvent::Ready
                | DataConsumerEvent::StreamClose => return None,
            },
            Self::DataProducer(key, event) => match event {
                DataProducerEvent::StreamClose => Topic::StreamClose(*key),
                DataProducerEvent::OriginPause | DataProducerEvent::OriginResume => {
                    Topic::OriginPause(*key)
                }
                DataProducerEvent::Limit(_) => Topic::DataProducerLimit(*key),
                // Each of these follows a call of the application, or is the last event.
                DataProducerEvent::Drain
                | DataProducerEvent::LimitPause
                | DataProducerEvent::LimitClose => return None,
            },
            Self::Message(..)
            | Self::Drained(..)
            | Self::Queued(..)
            | Self::TunnelFrame(..)
            | Self::SocketReleased(_)
            | Self::ConnectionReleased(_) => return None,
        })
    }
}

impl Event {
    /// Adds the counts of an earlier event of the same topic, which this one supersedes.
    pub fn absorb(&mut self, earlier: &Self) {
        let counts = match (self, earlier) {
            (
                Self::DataConsumer(_, DataConsumerEvent::Overflow(count)),
                Self::DataConsumer(_, DataConsumerEvent::Overflow(earlier)),
            )
            | (
                Self::DataProducer(_, DataProducerEvent::Limit(count)),
                Self::DataProducer(_, DataProducerEvent::Limit(earlier)),
            )
            | (
                Self::Transport(_, TransportEvent::Limit(count)),
                Self::Transport(_, TransportEvent::Limit(earlier)),
            ) => (count, earlier),
            _ => return,
        };
        let (count, earlier) = counts;
        count.messages += earlier.messages;
        count.bytes += earlier.bytes;
    }
}

/// An event of a DataConsumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataConsumerEvent {
    /// The DataProducer closed, and so the DataConsumer is closed, too.
    DataProducerClose,
    /// The DataProducer of this DataConsumer paused.
    DataProducerPause,
    /// The DataProducer of this DataConsumer resumed.
    DataProducerResume,
    /// A message was rejected because the queue towards the peer is full. At most once a turn.
    SctpSendBufferFull,
    /// The payload bytes queued towards the peer have fallen to the threshold.
    BufferedAmountLow(usize),
    /// There is room again, after this much was dropped at the bound of the queue.
    Overflow(DropCount),
    /// The consumer has held up its DataProducer for too long: from now on it drops.
    Stalled,
    /// Half of the queue is free again after a stall, or another policy applies.
    Unstalled,
    /// A message is ready to be pulled, after a pull that found none.
    Ready,
    /// The queue was full, so the DataConsumer closes, as its policy says.
    OverflowClose,
    /// The peer closed the data channel, and so the consumer is closed, too.
    StreamClose,
}

/// An event of a DataProducer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataProducerEvent {
    /// There is room again after a rejected `send()`.
    Drain,
    /// The peer closed the data channel.
    StreamClose,
    /// The DataProducer at the other end of the pipe paused.
    OriginPause,
    /// The DataProducer at the other end of the pipe resumed.
    OriginResume,
    /// What exceeded the limit and was dropped since the last 'limit' event. Emitted at most once a second, except
    /// for the last one.
    Limit(DropCount),
    /// A limit has paused the DataProducer.
    LimitPause,
    /// A limit has closed the DataProducer.
    LimitClose,
}

/// An event of a transport.
#[derive(Debug, Clone, PartialEq)]
pub enum TransportEvent {
    /// The ICE state changed, with the reason if there is one: at the end of a turn, or before another of these
    /// events.
    IceState(IceState, Option<Box<Reason>>),
    /// Another path to the peer was selected. Emitted at the same times as the ICE state.
    IceSelectedTuple(Box<TupleInfo>),
    /// The DTLS state changed; with the peer's certificate (PEM) when connected, with the reason at the end.
    DtlsState(DtlsState, Option<String>, Option<Box<Reason>>),
    /// The SCTP state changed; with the negotiated streams (outbound, inbound) when connected, with the reason at
    /// the end.
    SctpState(SctpState, Option<(u16, u16)>, Option<Box<Reason>>),
    /// The peer of a WebRTC transport opened a channel in band for which there is no DataProducer.
    DataChannel(Box<DataChannelInfo>),
    /// A plain transport learned its peer's address, or the peer of a plain or pipe transport uses another one of
    /// this host's addresses.
    Tuple(Box<TupleInfo>),
    /// What exceeded the limit of the transport and was dropped since the last 'limit' event. Emitted at most once a
    /// second.
    Limit(DropCount),
}
