//! How transports are driven: datagrams and deadlines in; datagrams, messages and events out.

use log::Level;
use uuid::Uuid;

use crate::proto::demux::Incoming;
use crate::proto::dtls::DtlsState;
use crate::proto::message::{Message, StreamId};
use crate::proto::net::Tuple;
use crate::proto::sctp::{SctpEvent, SctpState};
use crate::sfu::Sfu;
use crate::sfu::cascade::CascadeStep;
use crate::sfu::event::{DataConsumerEvent, DataProducerEvent, Event, TransportEvent};
use crate::sfu::id::{DataConsumerKey, TransportKey};
use crate::sfu::memory::{self, Waiter};
use crate::sfu::pipe_header::PipeControl;
use crate::sfu::work;

use crate::sfu::contract::parameters::{DataChannelInfo, SctpStreamParameters};
use crate::sfu::entity::transport::channels::Description;
use crate::sfu::entity::transport::{Kind, Polled, Transport};

impl Sfu {
    /// Marks this transport as dirty, so that the flush at the end of the turn asks it for datagrams.
    pub(in crate::sfu) fn touch(&mut self, key: TransportKey) {
        if let Some(transport) = self.transports.get_mut(&key) {
            transport.mark_dirty(key, &mut self.dirty);
        }
    }

    /// Takes a datagram for this transport. `incoming` is what a shared port has read of it.
    pub(in crate::sfu) fn handle_transport_datagram(
        &mut self,
        key: TransportKey,
        tuple: Tuple,
        datagram: &[u8],
        incoming: Option<Incoming<'_>>,
    ) {
        let Self { now, transports, transmits, crowds, dirty, .. } = self;
        let Some(transport) = transports.get_mut(&key) else { return };
        let before = transmits.bytes();
        let accepted = match &mut transport.kind {
            Kind::Direct => false,
            Kind::WebRtc(it) => incoming
                .or_else(|| Incoming::read(datagram))
                .is_some_and(|incoming| it.peer.handle_incoming(*now, tuple, incoming, transmits)),
            Kind::Plain(it) => it.handle_datagram(*now, tuple, datagram),
            Kind::Pipe(it) => it.handle_datagram(*now, tuple, datagram),
        };
        // STUN requests are answered at once, rejected ones as well.
        transport.sent.add(*now, transmits.bytes() - before);
        if !accepted {
            // A rejected datagram changes nothing, so the transport has nothing to output.
            transport.datagrams_dropped += 1;
            transport.fall_behind();
            return;
        }
        transport.received.add(*now, datagram.len());
        let share = crowds.count(*now, tuple.socket, &mut transport.through_crowd, datagram.len());
        if let (Some((window, until)), Some(sctp)) = (share, transport.sctp_mut()) {
            sctp.limit_window(window, until);
        }
        transport.mark_dirty(key, dirty);
        self.pump(key);
    }

    /// Flushes the transports that had input, as many as one turn may.
    #[inline(never)] // So that a turn without work need not save registers.
    pub(in crate::sfu) fn flush_dirty(&mut self) {
        let end = self.work + work::SHARE;
        while self.work < end
            && let Some(key) = self.dirty.pop_front()
        {
            let Some(transport) = self.transports.get_mut(&key) else { continue };
            let before = self.transmits.bytes();
            transport.poll_transmit(self.now, &mut self.transmits);
            if let Some(memory) = &self.memory {
                transport.count(memory);
            }
            let sent = (self.transmits.bytes() - before) as u64;
            self.work += work::POLL + work::BYTE_OUT * sent;
            if !transport.backlogged.is_empty() {
                self.publish_buffered_amounts(key);
            }
            self.pump(key);
            self.emit_path_changes(key);
            if let Some(transport) = self.transports.get_mut(&key) {
                transport.count_in(self.now, &mut self.totals.transports);
                self.deadlines.set(key, transport.poll_timeout());
            }
        }
    }

    /// Shows JavaScript how far the queues for the peer have shrunk.
    fn publish_buffered_amounts(&mut self, key: TransportKey) {
        let Self { transports, data_consumers, events, .. } = self;
        let Some(transport) = transports.get_mut(&key) else { return };
        let mut waiting = std::mem::take(&mut transport.backlogged);
        let mut relieved = Vec::new();
        waiting.retain(|key| {
            let Some(consumer) = data_consumers.get_mut(key) else { return false };
            let Some(stream) = consumer.stream_id() else { return false };
            if consumer.awaits_room() && transport.is_relieved(stream) {
                events.extend(consumer.take_overflow(*key));
                events.extend(consumer.take_unstalled(*key));
                relieved.push(*key);
            }
            if transport.has_tunnel() {
                // Both ends of a tunnel count in the backlog that JavaScript reads.
                consumer.waits = consumer.awaits_room();
                return consumer.waits;
            }
            consumer.still_waits(transport.buffered_amount(stream))
        });
        transport.backlogged = waiting;
        for key in relieved {
            self.recheck_block(key);
        }
    }

    /// Wakes the transports whose deadline has come, as many as one turn may.
    pub(in crate::sfu) fn handle_deadlines(&mut self) {
        let end = self.work + work::SHARE;
        while self.work < end
            && let Some(key) = self.deadlines.expired(self.now)
        {
            self.work += work::DEADLINE;
            if key == memory::DEADLINE {
                self.check_waiters();
                continue;
            }
            if let Some(transport) = self.transports.get_mut(&key) {
                transport.handle_timeout(self.now);
            }
            self.expire_channels(key);
            self.pump(key);
            self.touch(key);
        }
    }

    /// Has an entity checked again in a moment, as it has met the maximum of the worker's memory.
    pub(in crate::sfu) fn wait_for_memory(&mut self, waiter: Waiter) {
        if self.memory.is_some() {
            self.waiters.insert(waiter);
            self.deadlines.set(memory::DEADLINE, Some(self.now + memory::LOOK));
        }
    }

    /// Emits events that are due because the memory may have room again, as many as one turn may.
    fn check_waiters(&mut self) {
        let end = self.work + work::SHARE;
        if self.due_waiters.is_empty() {
            self.due_waiters = std::mem::take(&mut self.waiters).into_iter().collect();
        }
        while self.work < end
            && let Some(waiter) = self.due_waiters.pop()
        {
            self.work += work::SKIPPED;
            let waits = match waiter {
                Waiter::Producer(key) => {
                    self.check_drain(key);
                    self.data_producers.get(&key).is_some_and(|it| it.wants_drain)
                }
                Waiter::Consumer(key) => {
                    let consumer = self.data_consumers.get(&key);
                    if consumer
                        .and_then(|it| it.direct_backlog())
                        .is_some_and(|it| it.take_relief())
                    {
                        self.handle_relief(key);
                    }
                    self.data_consumers.get(&key).is_some_and(|it| it.awaits_room())
                }
            };
            if waits {
                self.wait_for_memory(waiter);
            }
        }
        if !self.due_waiters.is_empty() {
            self.deadlines.set(memory::DEADLINE, Some(self.now));
        }
    }

    /// Takes all outputs of a transport and handles each. Messages that exceed the share of this turn wait for
    /// their turn, and so does what comes after them.
    pub(in crate::sfu) fn pump(&mut self, key: TransportKey) {
        // Messages that wait already come first.
        let limit = if self.postponed.is_empty() { work::SHARE } else { 0 };
        self.pump_within(key, limit);
    }

    /// Continues with the messages that wait, in turns.
    pub(in crate::sfu) fn route_postponed(&mut self) {
        // A share of its own, as what came in this turn may have used up the first one.
        let end = self.routed + work::SHARE;
        while self.routed < end
            && let Some(key) = self.postponed.pop_front()
        {
            if let Some(transport) = self.transports.get_mut(&key) {
                transport.postponed = false;
                self.pump_within(key, self.routed + work::QUANTUM);
                if let Some(memory) = &self.memory
                    && let Some(transport) = self.transports.get_mut(&key)
                {
                    transport.count(memory);
                }
            }
        }
    }

    /// Like [`Self::pump`], until messages of peers have cost `limit` in this turn.
    pub(in crate::sfu) fn pump_within(&mut self, key: TransportKey, limit: u64) {
        let (may_block, mut tapped) = (self.may_block(), false);
        while let Some(transport) = self.transports.get_mut(&key) {
            if transport.captures.is_some() && !std::mem::replace(&mut tapped, true) {
                self.pass_tapped(key);
                continue;
            }
            if self.routed >= limit && transport.has_message() {
                if !std::mem::replace(&mut transport.postponed, true) {
                    self.postponed.push_back(key);
                }
                return;
            }
            let polled = match may_block {
                false => transport.poll(),
                true if self.stops_message(key) => continue,
                true => self.transports.get_mut(&key).and_then(Transport::poll),
            };
            let Some(polled) = polled else { return };
            match polled {
                Polled::Event(event) => self.push_transport_event(key, event),
                Polled::TunnelFrame(frame) => self.events.push_back(Event::TunnelFrame(key, frame)),
                Polled::TupleAdded(tuple) => self.add_tuple(key, tuple),
                Polled::TupleRemoved(tuple, protocol) => self.remove_tuple(key, tuple, protocol),
                Polled::UsernameRetired(username) => self.paths.remove_username(&username, key),
                Polled::Sctp(event) => self.handle_sctp_event(key, event),
            }
        }
    }

    /// Stops the stream of the peer's next message if its DataProducer is blocked. Returns whether it is.
    fn stops_message(&mut self, key: TransportKey) -> bool {
        let Some(transport) = self.transports.get(&key) else { return false };
        let Some(stream) = transport.next_message_stream() else { return false };
        let producer = transport.producer_streams.get(&stream).copied();
        let before = self.work;
        let is_blocked = producer.is_some_and(|it| self.is_blocked(it));
        self.charge_peer(key, self.work - before);
        if is_blocked && let Some(transport) = self.transports.get_mut(&key) {
            transport.stop_stream(stream);
        }
        // The association may have to announce that its window has grown.
        self.touch(key);
        is_blocked
    }

    fn handle_sctp_event(&mut self, key: TransportKey, event: SctpEvent) {
        match event {
            SctpEvent::Message { stream, message } => self.receive(key, stream, message),
            SctpEvent::State(state) => {
                let Some(transport) = self.transports.get(&key) else { return };
                let (mut streams, mut reason) = (None, None);
                match state {
                    SctpState::New | SctpState::Connecting => {}
                    SctpState::Connected => {
                        streams = transport.negotiated_streams();
                        warn_of_small_window(transport);
                    }
                    SctpState::Failed | SctpState::Closed => {
                        log_end(transport);
                        reason = transport.end_reason().map(Box::new);
                    }
                }
                self.push_transport_event(key, TransportEvent::SctpState(state, streams, reason));
                self.recheck_blocks_on(key);
                if let Some((outgoing, _)) = streams {
                    self.close_streams_beyond(key, outgoing);
                }
            }
            SctpEvent::BufferedAmountLow { stream, amount } => {
                self.buffered_amount_low(key, stream, amount);
            }
            SctpEvent::Control { stream, message: Message { payload, .. } } => {
                let before = self.work;
                self.work += work::MESSAGE;
                match PipeControl::decode(&payload) {
                    Some(PipeControl::Paused(paused)) => {
                        self.set_origin_paused(key, stream, paused)
                    }
                    Some(PipeControl::ClearRetained) => {
                        let transport = self.transports.get(&key);
                        if let Some(&producer) =
                            transport.and_then(|it| it.producer_streams.get(&stream))
                        {
                            self.clear_retained(producer);
                        }
                    }
                    Some(PipeControl::Closed) => {
                        log::debug!(target: "sctp", "transport {}: the far end has closed stream {stream}", self.id_of(key));
                        self.stream_closed(key, stream);
                    }
                    None => {
                        self.count_unrouted(key, stream, payload.len(), "is no pipe message");
                    }
                }
                self.routed += self.work - before;
            }
            SctpEvent::StreamReset { stream } => {
                log::debug!(target: "sctp", "transport {}: the peer has reset stream {stream}", self.id_of(key));
                self.stream_closed(key, stream);
            }
            SctpEvent::FencePassed { stream, fence } => {
                let transport = self.transports.get(&key);
                if let Some(&consumer) = transport.and_then(|it| it.consumer_streams.get(&stream)) {
                    self.pass_drain_fence(fence, consumer);
                }
            }
            SctpEvent::ArrivalsTaken { fence } => self.pass_drain_gate(fence),
            SctpEvent::ChannelOpened { stream, label, protocol, reliability } => {
                self.channel_opened(key, stream, Description { label, protocol, reliability });
            }
        }
    }

    /// The peer has opened a channel in band. If no DataProducer waits for it, the application is asked to make one.
    fn channel_opened(&mut self, key: TransportKey, stream: StreamId, description: Description) {
        self.work += work::MESSAGE;
        self.routed += work::MESSAGE;
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let (id, label) = (transport.id, &description.label);
        log::debug!(target: "message", "transport {id}: the peer opens stream {stream} as {label:?}");
        if !transport.is_webrtc() || transport.producer_streams.contains_key(&stream) {
            return;
        }
        let info = DataChannelInfo {
            stream: SctpStreamParameters::new(stream, description.reliability),
            label: description.label.clone(),
            protocol: description.protocol.clone(),
        };
        let channels = transport.channels.get_or_insert_default();
        let (noted, unrouted) = channels.open(self.now, stream, description);
        for message in unrouted {
            self.count_unrouted(key, stream, message.payload.len(), "had no DataProducer");
        }
        match noted {
            true => self.push_transport_event(key, TransportEvent::DataChannel(Box::new(info))),
            false => {
                log::warn!(target: "message", "transport {id}: the peer has opened too many channels: stream {stream} is not announced");
            }
        }
    }

    /// Counts messages of channels that no DataProducer has adopted in time.
    fn expire_channels(&mut self, key: TransportKey) {
        let channels = self.transports.get_mut(&key).and_then(|it| it.channels.as_mut());
        for (stream, message) in channels.map(|it| it.expire(self.now)).unwrap_or_default() {
            self.count_unrouted(key, stream, message.payload.len(), "had no DataProducer in time");
        }
    }

    fn buffered_amount_low(&mut self, key: TransportKey, stream: StreamId, amount: usize) {
        let transport = self.transports.get(&key);
        if let Some(&consumer) = transport.and_then(|it| it.consumer_streams.get(&stream)) {
            let event = DataConsumerEvent::BufferedAmountLow(amount);
            self.events.push_back(Event::DataConsumer(consumer, event));
        }
    }

    /// The peer has closed its side of a stream. With WebRTC that closes a data channel: our side is reset in turn (RFC
    /// 8831 §6.7), and a DataConsumer on it closes. A DataProducer stays, as the peer may open the channel again. On a
    /// pipe the DataProducer gets nothing more, as the stream may be used for another one.
    fn stream_closed(&mut self, key: TransportKey, stream: StreamId) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let producer = match &mut transport.kind {
            Kind::Pipe(pipe) => {
                let producer = transport.producer_streams.remove(&stream);
                transport.origins_paused.remove(&stream);
                if producer.is_none() {
                    pipe.remember_closed(self.now, stream);
                }
                producer
            }
            _ => transport.producer_streams.get(&stream).copied(),
        };
        let producer = producer.map(|it| Event::DataProducer(it, DataProducerEvent::StreamClose));
        self.events.extend(producer);
        if !transport.is_webrtc() {
            return;
        }
        if let Some(channels) = &mut transport.channels {
            channels.close(stream);
        }
        if let Some(&consumer) = transport.consumer_streams.get(&stream) {
            self.close_with_stream(consumer);
        }
        self.touch(key);
    }

    /// Closes the DataConsumers of the transport that the peer has no stream for, over several turns if there are many.
    fn close_streams_beyond(&mut self, key: TransportKey, limit: u16) {
        let Some(transport) = self.transports.get(&key) else { return };
        let consumers = transport.consumers_beyond(limit);
        if !consumers.is_empty() {
            self.closing.push(CascadeStep::ConsumersBeyond(consumers.into_iter()));
        }
    }

    /// Closes a DataConsumer whose stream the peer does not take, if it is still open.
    pub(in crate::sfu) fn close_beyond(&mut self, key: DataConsumerKey) {
        let Some(consumer) = self.data_consumers.get(&key) else { return };
        if let Some(stream) = consumer.stream_id()
            && let Some(transport) = self.transports.get_mut(&consumer.transport)
        {
            transport.drop_stream(stream);
        }
        self.close_with_stream(key);
    }

    fn close_with_stream(&mut self, consumer: DataConsumerKey) {
        self.remove_data_consumer(consumer);
        let event = DataConsumerEvent::StreamClose;
        self.events.push_back(Event::DataConsumer(consumer, event));
    }

    /// Emits an event of a transport, after the path changes that led to it.
    fn push_transport_event(&mut self, key: TransportKey, event: TransportEvent) {
        self.emit_path_changes(key);
        self.emit(key, event);
    }

    /// Emits the changes of the path to a peer: once a turn, or before another event of its transport.
    fn emit_path_changes(&mut self, key: TransportKey) {
        while let Some(event) = self.transports.get_mut(&key).and_then(Transport::poll_path) {
            self.emit(key, event);
        }
    }

    fn emit(&mut self, key: TransportKey, event: TransportEvent) {
        log_event(self.id_of(key), &event);
        self.events.push_back(Event::Transport(key, event));
    }

    /// The transport's id, for the log.
    fn id_of(&self, key: TransportKey) -> Uuid {
        self.transports.get(&key).map(|it| it.id).unwrap_or_default()
    }
}

fn warn_of_small_window(transport: &Transport) {
    let Transport { id, max_send_message_size: largest, .. } = transport;
    if let Some(window) = transport.peer_window().filter(|window| window < largest) {
        log::warn!(target: "sctp", "transport {id}: the peer announced a receive window of {window} bytes: larger messages (maxSendMessageSize is {largest}) may block all that follow");
    }
}

fn log_end(transport: &Transport) {
    if let Some(reason) = transport.association_end() {
        let level = if reason.is_intended() { Level::Debug } else { Level::Warn };
        log::log!(target: "sctp", level, "transport {}: the association ended: {reason}", transport.id);
    }
}

/// The targets of these lines are those that `logTags` selects.
fn log_event(id: Uuid, event: &TransportEvent) {
    match event {
        TransportEvent::IceState(state, _) => {
            log::debug!(target: "ice", "transport {id}: ICE {state:?}");
        }
        TransportEvent::IceSelectedTuple(it) | TransportEvent::Tuple(it) => {
            let ip = it.remote_ip.as_deref().unwrap_or_default();
            log::debug!(target: "ice", "transport {id}: the peer is at {ip} port {}", it.remote_port);
        }
        // This event is logged where the channel is opened.
        TransportEvent::DataChannel(_) => {}
        TransportEvent::DtlsState(DtlsState::Failed, _, reason) => {
            let why = reason.as_ref().map(|it| &*it.message).unwrap_or_default();
            log::warn!(target: "dtls", "transport {id}: DTLS failed: {why}");
        }
        TransportEvent::DtlsState(state, ..) => {
            log::debug!(target: "dtls", "transport {id}: DTLS {state:?}");
        }
        TransportEvent::SctpState(state, ..) => {
            log::debug!(target: "sctp", "transport {id}: SCTP {state:?}");
        }
        TransportEvent::Limit(count) => {
            log::debug!(target: "message", "transport {id}: messages over its limit: {}", count.messages);
        }
    }
}
