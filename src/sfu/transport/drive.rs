//! How transports are driven: datagrams and deadlines in; datagrams, messages and events out.

use crate::proto::message::{Message, StreamId};
use crate::proto::sctp::{SctpEvent, SctpState};
use crate::proto::transmit::Tuple;
use crate::sfu::Sfu;
use crate::sfu::data_consumer::Sink;
use crate::sfu::event::{Event, TransportEvent};
use crate::sfu::id::TransportKey;
use crate::sfu::subchannels::pipe as pipe_codec;

use super::{Kind, Polled, Transport};

impl Sfu {
    /// Remembers to ask this transport for datagrams at the end of the turn.
    pub(in crate::sfu) fn touch(&mut self, key: TransportKey) {
        if let Some(transport) = self.transports.get_mut(&key) {
            transport.mark_dirty(key, &mut self.dirty);
        }
    }

    /// A datagram for this transport has arrived over `tuple`.
    pub(in crate::sfu) fn handle_transport_datagram(
        &mut self,
        key: TransportKey,
        tuple: Tuple,
        datagram: &[u8],
    ) {
        let Self { now, transports, transmits, .. } = self;
        let Some(transport) = transports.get_mut(&key) else { return };
        let before = transmits.bytes();
        let accepted = match &mut transport.kind {
            Kind::Direct => false,
            Kind::WebRtc(it) => it.peer.handle_datagram(*now, tuple, datagram, transmits),
            Kind::Plain(it) => it.handle_datagram(*now, tuple, datagram),
            Kind::Pipe(it) => it.path.handle_datagram(*now, tuple, datagram),
        };
        if accepted {
            transport.received.add(*now, datagram.len());
            transport.sent.add(*now, transmits.bytes() - before);
        } else {
            transport.datagrams_dropped += 1;
        }
        self.pump(key);
        self.touch(key);
    }

    /// Flushes every transport that something happened to, once.
    pub(in crate::sfu) fn flush_dirty(&mut self) {
        while let Some(key) = self.dirty.pop() {
            let Some(transport) = self.transports.get_mut(&key) else { continue };
            transport.poll_transmit(self.now, &mut self.transmits);
            self.publish_buffered_amounts(key);
            self.pump(key);
            if let Some(transport) = self.transports.get(&key) {
                self.deadlines.set(key, transport.poll_timeout());
            }
        }
    }

    fn publish_buffered_amounts(&mut self, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let mut buffered = std::mem::take(&mut transport.buffered);
        buffered.retain(|key| {
            let Some(consumer) = self.data_consumers.get(key) else { return false };
            let Sink::Sctp { stream, .. } = &consumer.sink else { return false };
            let amount = transport.buffered_amount(stream.stream_id);
            consumer.publish_buffered_amount(amount);
            amount > 0
        });
        transport.buffered = buffered;
    }

    /// Wakes the transports whose deadline has come.
    pub(in crate::sfu) fn handle_deadlines(&mut self) {
        while let Some(key) = self.deadlines.expired(self.now) {
            if let Some(transport) = self.transports.get_mut(&key) {
                transport.handle_timeout(self.now);
            }
            self.pump(key);
            self.touch(key);
        }
    }

    /// Takes what a transport has to say.
    pub(in crate::sfu) fn pump(&mut self, key: TransportKey) {
        while let Some(polled) = self.transports.get_mut(&key).and_then(Transport::poll) {
            match polled {
                Polled::Event(event) => self.events.push_back(Event::Transport(key, event)),
                Polled::TupleAdded(tuple) => self.add_tuple(key, tuple),
                Polled::TupleRemoved(tuple) => self.remove_tuple(key, tuple),
                Polled::UsernameRetired(username) => self.remove_username(key, &username),
                Polled::Sctp(event) => self.handle_sctp_event(key, event),
            }
        }
    }

    fn handle_sctp_event(&mut self, key: TransportKey, event: SctpEvent) {
        match event {
            SctpEvent::Message { stream, message } => self.receive(key, stream, message),
            SctpEvent::State(state) => {
                let sctp = self.transports.get(&key).and_then(Transport::sctp_ref);
                let connected = state == SctpState::Connected;
                let streams = sctp.filter(|_| connected).and_then(|it| it.negotiated_streams());
                let event = TransportEvent::SctpState(state, streams);
                self.events.push_back(Event::Transport(key, event));
            }
            SctpEvent::BufferedAmountLow { stream, amount } => {
                self.buffered_amount_low(key, stream, amount);
            }
            SctpEvent::StreamReset { stream } => self.stream_closed(key, stream),
            // For information only: the application decides what it listens to.
            SctpEvent::ChannelOpened { .. } => {}
        }
    }

    /// A message from the peer.
    fn receive(&mut self, key: TransportKey, stream: StreamId, mut message: Message) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let mut selector = None;
        if transport.is_pipe() {
            (selector, message.payload) = pipe_codec::decode(message.payload);
        }
        let producer = transport.producer_streams.get(&stream).copied();
        let too_large = message.payload.len() > transport.max_receive_message_size as usize;
        let producer = producer.filter(|_| !too_large);
        match producer.and_then(|it| Some((it, self.data_producers.get_mut(&it)?))) {
            Some((producer, entity)) => {
                entity.received(&message);
                self.route(producer, message, selector.as_ref());
            }
            None => transport.messages_unrouted += 1,
        }
    }
}
