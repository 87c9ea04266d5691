//! The close cascade: everything below what is closed, over as many turns as that takes.
//!
//! ```text
//! WebRtcServer, router ─► transports ─► DataProducers ─► their DataConsumers, on any transport
//!                                    └► DataConsumers
//! ```
//!
//! What was asked to close is gone at once for requests that name it. What is below follows in order, a share per
//! turn. The caller holds back requests and messages from JavaScript, but no datagrams, until [`Sfu::is_closing`] is
//! false, so that none meets half of a cascade.

use std::vec::IntoIter;

use super::Sfu;
use super::cascade::CascadeStep;
use super::drain_state::Drains;
use super::entity::data_consumer::Destination;
use super::entity::limiter::blocks;
use super::entity::transport::{Kind, Polled};
use super::event::{DataConsumerEvent, Event};
use super::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey, WebRtcServerKey};
use super::memory;
use super::roster::Roster;
use super::work;
use crate::proto::net::SocketId;
use crate::proto::sctp::SctpEvent;

impl Sfu {
    /// Whether part of a cascade is left for the next turn.
    pub fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Closes everything. [`Self::flush`] then returns the last packets to the peers.
    pub fn close(&mut self) {
        for key in self.routers.keys().copied().collect::<Vec<_>>() {
            self.remove_router(key);
        }
        for key in self.servers.keys().copied().collect::<Vec<_>>() {
            self.remove_webrtc_server(key);
        }
        while self.is_closing() {
            self.continue_closing();
        }
        // What waited for a turn has closed.
        self.releasing.clear();
        self.postponed.clear();
        self.drains = Drains::default();
        self.limit_reports.clear();
        self.waiters.clear();
        self.due_waiters.clear();
        self.deadlines.remove(memory::DEADLINE);
    }

    /// Removes a router and everything on it.
    pub(super) fn remove_router(&mut self, key: RouterKey) {
        let Some(router) = self.routers.remove(&key) else { return };
        self.begin_closing([CascadeStep::Transports(keys(&router.transports))]);
    }

    /// Removes a server and the transports on it.
    pub(super) fn remove_webrtc_server(&mut self, key: WebRtcServerKey) {
        let Some(server) = self.servers.remove(&key) else { return };
        let sockets: Vec<SocketId> = server.listens.iter().map(|it| it.socket).collect();
        let transports = CascadeStep::Transports(keys(&server.transports));
        self.begin_closing([CascadeStep::Sockets(sockets.into_iter()), transports]);
    }

    /// Removes a transport and everything on it, and queues the last packets to the peer, which end the session.
    pub(super) fn remove_transport(&mut self, key: TransportKey) {
        self.begin_closing([CascadeStep::Transports(vec![key].into_iter())]);
    }

    /// Removes a DataProducer and its DataConsumers, each of which emits 'dataproducerclose'.
    pub(super) fn remove_data_producer(&mut self, key: DataProducerKey) {
        let goes_on = self.is_closing();
        self.detach_data_producer(key);
        if !goes_on {
            self.continue_closing();
        }
    }

    /// The last of `steps` comes first. A cascade that is under way takes them up: it may be the caller, as a message
    /// that comes before the end of its transport can exceed a limit that closes.
    fn begin_closing<const N: usize>(&mut self, steps: [CascadeStep; N]) {
        let goes_on = self.is_closing();
        self.closing.extend(steps);
        if !goes_on {
            self.continue_closing();
        }
    }

    /// Closes more of what is left, as far as one turn may.
    pub(super) fn continue_closing(&mut self) {
        let end = self.work + work::SHARE;
        while self.work < end
            && let Some(step) = self.closing.last_mut()
        {
            match step {
                CascadeStep::Transports(left) => match left.next() {
                    Some(key) => self.begin_transport(key),
                    None => self.end_step(),
                },
                CascadeStep::Producers(left) => match left.next() {
                    Some(key) => self.detach_data_producer(key),
                    None => self.end_step(),
                },
                CascadeStep::ConsumersOfProducer(left) => match left.next() {
                    Some(key) => {
                        if self.remove_data_consumer(key) {
                            let event = DataConsumerEvent::DataProducerClose;
                            self.events.push_back(Event::DataConsumer(key, event));
                        }
                    }
                    None => self.end_step(),
                },
                CascadeStep::ConsumersOfTransport(left) => match left.next() {
                    Some(key) => {
                        self.remove_data_consumer(key);
                    }
                    None => self.end_step(),
                },
                CascadeStep::ConsumersBeyond(left) => match left.next() {
                    Some(key) => self.close_beyond(key),
                    None => self.end_step(),
                },
                CascadeStep::Sockets(left) => match left.next() {
                    Some(socket) => self.release_socket(socket),
                    None => self.end_step(),
                },
                CascadeStep::Transport(key) => {
                    let key = *key;
                    self.end_step();
                    self.end_transport(key);
                }
            }
        }
    }

    fn end_step(&mut self) {
        self.closing.pop();
    }

    fn begin_transport(&mut self, key: TransportKey) {
        // What has arrived from the peer is routed before the close, as much of it as one share allows.
        self.pump_within(key, self.routed + work::SHARE);
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let producers = CascadeStep::Producers(keys(&transport.data_producers));
        let consumers = CascadeStep::ConsumersOfTransport(keys(&transport.data_consumers));
        self.closing.extend([CascadeStep::Transport(key), consumers, producers]);
    }

    /// Removes a DataProducer. Its DataConsumers are the next step.
    fn detach_data_producer(&mut self, key: DataProducerKey) {
        self.replay_before_close(key);
        let Some(mut producer) = self.data_producers.remove(&key) else { return };
        self.work += work::CLOSE_PRODUCER;
        self.data_producer_ids.remove(&producer.id);
        self.totals.producers.add(&producer);
        self.forget_limits(&producer);
        if let Some(held) = &mut producer.held {
            self.messages_dropped_at_close += held.len() as u64;
            held.take_fences().for_each(|it| self.pass_drain_gate(it));
        }
        if let Some(retained) = &producer.retained {
            self.messages_dropped_at_close += retained.left_in_all();
        }
        if let Some(intake) = &producer.intake {
            // The messages that are still on their way are dropped when they come.
            intake.leave(intake.amount());
        }
        if producer.blocked {
            self.release_source(key, producer.transport, producer.stream_id());
        }
        self.closing.push(CascadeStep::ConsumersOfProducer(keys(&producer.consumers)));
        let Some(transport) = self.transports.get_mut(&producer.transport) else { return };
        transport.data_producers.remove(key);
        if let Some(stream) = producer.stream {
            if transport.forget_producer_stream(stream.stream_id, key) {
                transport.reset_unused_stream(stream.stream_id);
            }
            self.touch(producer.transport);
        }
    }

    /// Removes a DataConsumer. Returns whether it was there.
    pub(super) fn remove_data_consumer(&mut self, key: DataConsumerKey) -> bool {
        let Some(consumer) = self.data_consumers.remove(&key) else { return false };
        self.totals.add_closed(&consumer);
        if let (Some(backlog), Some(held)) = (consumer.direct_backlog(), consumer.first_held()) {
            self.messages_dropped_at_close += backlog.discard_from(held);
        }
        self.forget_block(&consumer);
        self.forget_replay(key, &consumer);
        self.end_drains_of(key);
        self.work += work::CLOSE_CONSUMER;
        if let Some(producer) = self.data_producers.get_mut(&consumer.producer) {
            producer.consumers.remove(key);
        }
        if let Some(transport) = self.transports.get_mut(&consumer.transport) {
            transport.data_consumers.remove(key);
            if let Destination::Sctp { stream, chosen, .. } = &consumer.destination {
                transport.consumer_streams.remove(&stream.stream_id);
                transport.close_consumer_stream(stream.stream_id, *chosen);
                consumer.publish_buffered_amount(0);
                self.touch(consumer.transport);
            }
        }
        true
    }

    /// Ends the session of a transport that has neither DataProducers nor DataConsumers, and removes it.
    fn end_transport(&mut self, key: TransportKey) {
        let Some(mut transport) = self.transports.remove(&key) else { return };
        self.work += work::CLOSE_TRANSPORT;
        self.count_limit(blocks(transport.limiter.as_deref()), false);
        if let Some(memory) = &self.memory {
            transport.uncount(memory);
        }
        self.deadlines.remove(key);
        while let Some(polled) = transport.poll() {
            match polled {
                Polled::Sctp(SctpEvent::Message { .. }) => self.messages_dropped_at_close += 1,
                Polled::Sctp(SctpEvent::ArrivalsTaken { fence }) => self.pass_drain_gate(fence),
                Polled::UsernameRetired(it) => self.paths.remove_username(&it, key),
                Polled::TunnelFrame(frame) => self.events.push_back(Event::TunnelFrame(key, frame)),
                _ => {}
            }
        }
        if let Some(channels) = &transport.channels {
            self.messages_dropped_at_close += channels.messages() as u64;
        }
        match &mut transport.kind {
            Kind::Direct => {}
            Kind::WebRtc(it) => it.peer.close(self.now, &mut self.transmits),
            Kind::Plain(it) => it.path.close(self.now, &mut self.transmits),
            Kind::Pipe(it) => it.close(self.now, &mut self.transmits),
        }
        while let Some(Polled::TunnelFrame(frame)) = transport.poll() {
            self.events.push_back(Event::TunnelFrame(key, frame));
        }
        *self.totals.open(&transport.kind) -= 1;
        transport.count_last(self.now, &mut self.totals.transports);
        self.forget_paths(key, &transport);
        if let Some(router) = self.routers.get_mut(&transport.router) {
            router.transports.remove(key);
        }
    }
}

fn keys<K: Copy + Ord + Into<u32>>(roster: &Roster<K>) -> IntoIter<K> {
    roster.iter().collect::<Vec<_>>().into_iter()
}
