//! The association of a transport, be it SCTP with a peer or a tunnel to another router.

use std::sync::Arc;
use std::time::Instant;

use crate::proto::dcep::Open;
use crate::proto::dtls::DtlsRole;
use crate::proto::message::{Message, Reliability, StreamId};
use crate::proto::overflow::{QueuePolicy, QueueTally};
use crate::proto::reason::Reason;
use crate::proto::sctp::{
    Association, EndReason, MessageTally, SctpCounters, SctpState, SendError, TransmissionStats,
};
use crate::sfu::backlog::Backlog;
use crate::sfu::entity::data_consumer::DataConsumer;
use crate::sfu::error::{Error, Result};
use crate::sfu::id::{DataConsumerKey, DataProducerKey};
use crate::sfu::memory::Memory;
use crate::sfu::pipe_header::{self, PipeControl};
use crate::sfu::subchannels::Selector;

use super::pipe::Pipe;
use super::released::Use;
use super::sctp::STREAMS;
use super::{Kind, LAST_STREAM, Transport};
use crate::sfu::tunnel::Tunnel;

impl Transport {
    pub(in crate::sfu) fn sctp_mut(&mut self) -> Option<&mut Association> {
        match &mut self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.peer.sctp_mut(),
            Kind::Plain(it) => it.path.sctp_mut(),
            Kind::Pipe(it) => it.path.sctp_mut(),
        }
    }

    pub(in crate::sfu) fn sctp_ref(&self) -> Option<&Association> {
        match &self.kind {
            Kind::Direct => None,
            Kind::WebRtc(it) => it.peer.sctp(),
            Kind::Plain(it) => it.path.sctp(),
            Kind::Pipe(it) => it.path.sctp(),
        }
    }

    pub(super) fn tunnel(&self) -> Option<&Tunnel> {
        match &self.kind {
            Kind::Pipe(it) => it.tunnel.as_ref(),
            _ => None,
        }
    }

    pub(in crate::sfu) fn has_tunnel(&self) -> bool {
        self.tunnel().is_some()
    }

    pub(in crate::sfu) fn tunnel_mut(&mut self) -> Option<&mut Tunnel> {
        match &mut self.kind {
            Kind::Pipe(it) => it.tunnel.as_mut(),
            _ => None,
        }
    }

    pub(in crate::sfu) fn sctp_state(&self) -> Option<SctpState> {
        let tunnel = self.tunnel().map(Tunnel::state);
        tunnel.or_else(|| self.sctp_ref().map(Association::state))
    }

    /// The receive window that the peer announced. None through a tunnel, which needs no window.
    pub(in crate::sfu) fn peer_window(&self) -> Option<u32> {
        self.sctp_ref()?.peer_window()
    }

    /// How many packets of the association have arrived. `None` for a tunnel.
    pub(in crate::sfu) fn sctp_packets(&self) -> Option<u64> {
        match self.tunnel() {
            Some(_) => None,
            None => self.sctp_ref().map(Association::packets),
        }
    }

    /// How the association ended, for the log.
    pub(in crate::sfu) fn association_end(&self) -> Option<&EndReason> {
        self.sctp_ref()?.end_reason()
    }

    /// Why the association or the tunnel ended, unless this side has ended it.
    pub(in crate::sfu) fn end_reason(&self) -> Option<Reason> {
        match self.tunnel() {
            Some(tunnel) => tunnel.end_reason(),
            None => self.association_end()?.reason(),
        }
    }

    /// When the peer was last heard: by an SCTP packet of the association, and over ICE also by a valid request. `None`
    /// for a tunnel.
    pub(in crate::sfu) fn last_heard(&self) -> Option<Instant> {
        match &self.kind {
            Kind::WebRtc(it) => it.peer.last_heard(),
            _ => self.sctp_ref()?.last_heard(),
        }
    }

    /// The streams that both sides have agreed on, outbound and inbound, once connected.
    pub(in crate::sfu) fn negotiated_streams(&self) -> Option<(u16, u16)> {
        match self.tunnel() {
            Some(tunnel) => (tunnel.state() == SctpState::Connected).then_some((STREAMS, STREAMS)),
            None => self.sctp_ref()?.negotiated_streams(),
        }
    }

    pub(in crate::sfu) fn sctp_counters(&self) -> Option<SctpCounters> {
        let mut counters = self.sctp_ref().map(Association::counters);
        if let (Some(counters), Some(tunnel)) = (&mut counters, self.tunnel()) {
            counters.unsent.add(tunnel.unsent());
        }
        counters
    }

    /// The measurements of the path. `None` for a tunnel, which has no path.
    pub(in crate::sfu) fn sctp_transmission(&self) -> Option<TransmissionStats> {
        self.sctp_ref()?.transmission()
    }

    /// Opens our side of a stream. `backlog` shows JavaScript what waits on the stream.
    pub(in crate::sfu) fn open_stream(
        &mut self,
        stream: StreamId,
        reliability: Reliability,
        backlog: &Arc<Backlog>,
    ) {
        if let Some(tunnel) = self.tunnel_mut() {
            tunnel.open_stream(stream, Arc::clone(backlog));
        } else if let Some(sctp) = self.sctp_mut() {
            sctp.open_stream(stream, reliability);
        }
    }

    /// Opens a data channel on a stream in band.
    pub(in crate::sfu) fn open_channel(&mut self, stream: StreamId, open: &Open) {
        if let Some(sctp) = self.sctp_mut() {
            sctp.open_channel(stream, open);
        }
    }

    /// Assigns the messages that the peer sends on `stream` to this DataProducer. Returns false if the far end of the
    /// pipe has already closed the stream, so that none will come.
    pub(in crate::sfu) fn receive_stream(
        &mut self,
        now: Instant,
        stream: StreamId,
        key: DataProducerKey,
    ) -> bool {
        self.expect_stream(stream);
        let is_over = match &mut self.kind {
            Kind::Pipe(pipe) => pipe.take_closed(now, stream),
            _ => false,
        };
        if !is_over {
            self.producer_streams.insert(stream, key);
        }
        !is_over
    }

    /// Takes the messages on `stream` away from the DataProducer, unless another one has the stream now: the far end of
    /// a pipe may have closed the stream and opened it again. Returns whether the DataProducer still had it.
    pub(in crate::sfu) fn forget_producer_stream(
        &mut self,
        stream: StreamId,
        key: DataProducerKey,
    ) -> bool {
        let is_its = self.producer_streams.get(&stream) == Some(&key);
        if is_its {
            self.producer_streams.remove(&stream);
        }
        is_its
    }

    /// Notes that a DataProducer waits for the messages that the peer sends on `stream`.
    pub(in crate::sfu) fn expect_stream(&mut self, stream: StreamId) {
        if let Some(sctp) = self.sctp_mut() {
            sctp.expect_stream(stream);
        }
    }

    /// The charge of everything held: messages for the peer, fragments of the peer's messages, and messages of channels
    /// that no DataProducer has adopted.
    pub(in crate::sfu) fn bytes_held(&mut self) -> usize {
        self.tunnel().map_or(0, Tunnel::charge) + self.bytes_of_peer()
    }

    fn bytes_of_peer(&mut self) -> usize {
        let unadopted = self.channels.as_ref().map_or(0, |it| it.bytes());
        unadopted + self.sctp_mut().map_or(0, |sctp| sctp.bytes_held())
    }

    /// Updates in `memory` what is held now. (A tunnel does that itself.)
    pub(in crate::sfu) fn count(&mut self, memory: &Memory) {
        let held = self.bytes_of_peer();
        memory.change(self.counted, held);
        self.counted = held;
    }

    /// Takes away what [`Self::count`] has added, because the transport is closing.
    pub(in crate::sfu) fn uncount(&mut self, memory: &Memory) {
        memory.change(self.counted, 0);
        self.counted = 0;
    }

    /// Queues a message for the peer, if `memory` has room for it; a pipe carries `selector` with it.
    pub(in crate::sfu) fn send(
        &mut self,
        now: Instant,
        memory: Option<&Memory>,
        stream: StreamId,
        selector: Option<&Arc<Selector>>,
        message: Message,
    ) -> std::result::Result<usize, SendError> {
        self.queue(now, memory, stream, selector, message, true)
    }

    /// Queues a message of `dataConsumer.send()` for the peer, if `memory` has room for it.
    pub(in crate::sfu) fn send_directly(
        &mut self,
        now: Instant,
        memory: Option<&Memory>,
        stream: StreamId,
        message: Message,
    ) -> std::result::Result<usize, SendError> {
        self.queue(now, memory, stream, None, message, false)
    }

    fn queue(
        &mut self,
        now: Instant,
        memory: Option<&Memory>,
        stream: StreamId,
        selector: Option<&Arc<Selector>>,
        message: Message,
        routed: bool,
    ) -> std::result::Result<usize, SendError> {
        let Some(memory) = memory else { return self.push(now, stream, selector, message, routed) };
        let subchannels = selector.map_or(0, |it| it.subchannels.len());
        if !memory.admits(message.amount().with_subchannels(subchannels).charge) {
            return Err(SendError::Full);
        }
        let queued = self.push(now, stream, selector, message, routed);
        self.count(memory);
        queued
    }

    fn push(
        &mut self,
        now: Instant,
        stream: StreamId,
        selector: Option<&Arc<Selector>>,
        mut message: Message,
        routed: bool,
    ) -> std::result::Result<usize, SendError> {
        if let Some(tunnel) = self.tunnel_mut() {
            let queued = tunnel.send(stream, selector, &message, routed)?;
            self.sent.add(now, tunnelled_bytes(&message));
            return Ok(queued);
        }
        if self.is_pipe() {
            message.payload = pipe_header::encode(selector.map(AsRef::as_ref), &message.payload);
        }
        let sctp = self.sctp_mut().ok_or(SendError::Closed)?;
        if routed {
            sctp.send(now, stream, message)
        } else {
            sctp.send_directly(now, stream, message)
        }
    }

    pub(in crate::sfu) fn is_sctp_connected(&self) -> bool {
        self.sctp_state() == Some(SctpState::Connected)
    }

    /// Whether the association or the tunnel has ended, so that nothing can be sent any more.
    pub(in crate::sfu) fn has_ended(&self) -> bool {
        matches!(self.sctp_state(), Some(SctpState::Failed | SctpState::Closed))
    }

    /// The stream of the message that comes next from the peer.
    pub(in crate::sfu) fn next_message_stream(&self) -> Option<StreamId> {
        self.sctp_ref()?.next_message_stream()
    }

    /// Keeps what the peer sends on `stream`, so that the peer stops sending. For a tunnel, the caller keeps it.
    pub(in crate::sfu) fn stop_stream(&mut self, stream: StreamId) {
        if !self.has_tunnel()
            && let Some(sctp) = self.sctp_mut()
        {
            sctp.stop_stream(stream);
        }
    }

    /// Delivers again what the peer sends on `stream`, first what was kept. Returns whether the stream was stopped.
    pub(in crate::sfu) fn resume_stream(&mut self, stream: StreamId) -> bool {
        self.sctp_mut().is_some_and(|sctp| sctp.resume_stream(stream))
    }

    /// Whether the queue for `stream` is full and holds a routed message, which will make room.
    pub(in crate::sfu) fn is_shut(&self, stream: StreamId) -> bool {
        match self.tunnel() {
            Some(tunnel) => tunnel.is_shut(stream),
            None => self.sctp_ref().is_some_and(|sctp| sctp.is_shut(stream)),
        }
    }

    /// Stops or restarts our side of a stream. While it is stopped, its messages wait.
    pub(in crate::sfu) fn set_stopped(&mut self, stream: StreamId, stopped: bool) {
        if let Some(tunnel) = self.tunnel_mut() {
            tunnel.set_stopped(stream, stopped);
        } else if let Some(sctp) = self.sctp_mut() {
            sctp.set_stopped(stream, stopped);
        }
    }

    /// Sets what happens to messages for `stream` that meet a full queue or wait too long.
    pub(in crate::sfu) fn set_policy(&mut self, stream: StreamId, policy: QueuePolicy) {
        if let Some(tunnel) = self.tunnel_mut() {
            tunnel.set_policy(stream, policy);
        } else if let Some(sctp) = self.sctp_mut() {
            sctp.set_policy(stream, policy);
        }
    }

    /// What happened to the messages for `stream`, if it has a policy.
    pub(in crate::sfu) fn queue_tally(&self, stream: StreamId) -> QueueTally {
        match self.tunnel() {
            Some(tunnel) => tunnel.queue_tally(stream),
            None => self.sctp_ref().map_or(QueueTally::default(), |sctp| sctp.queue_tally(stream)),
        }
    }

    /// Whether at most half of the bound of `stream` is in use, and there is room for more.
    pub(in crate::sfu) fn is_relieved(&self, stream: StreamId) -> bool {
        match self.tunnel() {
            Some(tunnel) => tunnel.is_relieved(stream),
            None => self.sctp_ref().is_none_or(|sctp| sctp.is_relieved(stream)),
        }
    }

    /// The bytes of messages that the peer has acknowledged.
    pub(in crate::sfu) fn delivered(&self) -> u64 {
        self.sctp_ref().map_or(0, Association::delivered)
    }

    /// Sends a control message about a stream to the far end of a pipe, in order with the messages of the stream.
    /// Returns false if this is not a pipe.
    pub(in crate::sfu) fn carry(&mut self, stream: StreamId, control: PipeControl) -> bool {
        if !self.is_pipe() {
            return false;
        }
        match control {
            PipeControl::Paused(true) => {
                self.shown_paused.insert(stream);
            }
            PipeControl::Paused(false) => {
                self.shown_paused.remove(&stream);
            }
            PipeControl::ClearRetained | PipeControl::Closed => {}
        }
        let control = control.encode();
        if let Some(tunnel) = self.tunnel_mut() {
            tunnel.send_control(stream, control);
        } else if let Some(sctp) = self.sctp_mut() {
            sctp.send_control(stream, control);
        }
        true
    }

    /// Charges the peer for work that one of its messages has caused, in nanoseconds. The other end of a pipe is not
    /// charged: it is a router, which has charged its own peers.
    pub(in crate::sfu) fn charge(&mut self, now: Instant, cost: u64) {
        if !self.is_pipe()
            && let Some(sctp) = self.sctp_mut()
        {
            sctp.charge(now, cost);
        }
    }

    pub(in crate::sfu) fn buffered_amount(&self, stream: StreamId) -> usize {
        match self.tunnel() {
            Some(tunnel) => tunnel.buffered_amount(stream),
            None => self.sctp_ref().map_or(0, |sctp| sctp.buffered_amount(stream)),
        }
    }

    /// Sets a fence behind the messages of `stream`. Returns false if there is nothing to wait for.
    pub(in crate::sfu) fn fence(&mut self, now: Instant, stream: StreamId, fence: u32) -> bool {
        match self.tunnel_mut() {
            Some(tunnel) => tunnel.fence(stream, fence),
            None => self.sctp_mut().is_some_and(|sctp| sctp.fence(now, stream, fence)),
        }
    }

    /// Shows JavaScript how much waits for a DataConsumer's peer, and remembers to show it shrink.
    pub(in crate::sfu) fn show_buffered(
        &mut self,
        key: DataConsumerKey,
        consumer: &mut DataConsumer,
        amount: usize,
    ) {
        if self.tunnel().is_some() {
            return; // The ends of a tunnel count in the backlog that JavaScript reads.
        }
        consumer.publish_buffered_amount(amount);
        if consumer.begins_to_wait() {
            self.backlogged.push(key);
        }
    }

    pub(in crate::sfu) fn set_buffered_amount_low_threshold(
        &mut self,
        stream: StreamId,
        threshold: usize,
    ) {
        if let Some(tunnel) = self.tunnel_mut() {
            tunnel.set_low_threshold(stream, threshold);
        } else if let Some(sctp) = self.sctp_mut() {
            sctp.set_buffered_amount_low_threshold(stream, threshold);
        }
    }

    /// Closes our side of a stream; what was not sent is discarded and counted. The stream of a data
    /// channel is reset, which closes both directions.
    pub(in crate::sfu) fn reset_stream(&mut self, stream: StreamId) {
        self.close_stream(stream, Association::reset_stream);
    }

    /// Closes the stream of a DataConsumer. If the application has not `chosen` it and a DataProducer receives on
    /// it, the peer's channel stays open. A pipe ends the stream by a message, because a reset would close the other
    /// direction as well.
    pub(in crate::sfu) fn close_consumer_stream(&mut self, stream: StreamId, chosen: bool) {
        if let Kind::Pipe(pipe) = &mut self.kind
            && pipe.tunnel.is_none()
        {
            if !chosen {
                pipe.released.push(stream);
            }
            self.shown_paused.remove(&stream);
            return self.close_stream(stream, |sctp, stream| {
                sctp.end_stream(stream, PipeControl::Closed.encode())
            });
        }
        let shared = !chosen && self.producer_streams.contains_key(&stream);
        let close = if shared { Association::close_stream } else { Association::reset_stream };
        self.close_stream(stream, close);
    }

    fn close_stream(
        &mut self,
        stream: StreamId,
        close: fn(&mut Association, StreamId) -> MessageTally,
    ) {
        let discarded = match self.tunnel_mut() {
            Some(tunnel) => Some(tunnel.reset_stream(stream)),
            None => self.sctp_mut().map(|sctp| close(sctp, stream)),
        };
        if let Some(discarded) = discarded {
            self.discarded.messages += discarded.messages;
            self.discarded.bytes += discarded.bytes;
        }
    }

    /// Resets a stream without a DataProducer, unless a DataConsumer still sends on it. The directions of a pipe are
    /// independent.
    pub(in crate::sfu) fn reset_unused_stream(&mut self, stream: StreamId) {
        if !self.is_pipe() && !self.consumer_streams.contains_key(&stream) {
            self.reset_stream(stream);
        }
    }

    /// The DataConsumers whose stream the peer does not take (RFC 9260 §5.1.1), in the order of their streams.
    pub(in crate::sfu) fn consumers_beyond(&self, limit: u16) -> Vec<DataConsumerKey> {
        let streams = self.consumer_streams.iter().filter(|(stream, _)| **stream >= limit);
        let mut streams: Vec<_> = streams.map(|(&stream, &consumer)| (stream, consumer)).collect();
        streams.sort_unstable_by_key(|(stream, _)| *stream);
        if let Some((first, _)) = streams.first() {
            let (id, count) = (self.id, streams.len());
            log::warn!(target: "sctp", "transport {id}: the peer takes only {limit} streams: DataConsumers that close: {count}, the first on stream {first}");
        }
        streams.into_iter().map(|(_, consumer)| consumer).collect()
    }

    /// Closes a stream that the peer does not take. What waits there is dropped and counted.
    pub(in crate::sfu) fn drop_stream(&mut self, stream: StreamId) {
        let dropped = self.sctp_mut().map_or(0, |sctp| sctp.close_stream(stream).messages);
        self.messages_dropped_unsendable += dropped;
    }

    /// The stream of the next DataConsumer: the one after the last that was given out, wrapping, past streams in use,
    /// streams of DataProducers, and streams whose reset has not completed. On a pipe, whose directions are
    /// independent, streams of DataProducers are only the last choice, and released streams come first, because
    /// sctp-proto keeps memory for every stream that was ever used.
    pub(in crate::sfu) fn next_free_stream(&mut self) -> Result<StreamId> {
        if let Some(stream) = self.next_released_stream() {
            return Ok(stream);
        }
        let free = self.first_free(|transport, it| !transport.producer_streams.contains_key(&it));
        let free =
            free.or_else(|| if self.is_pipe() { self.first_free(|_, _| true) } else { None });
        self.give_out(free)
    }

    /// The stream of the next channel that we open in band: an even one for a DTLS client, an odd one for a DTLS server
    /// (RFC 8832 §6).
    pub(in crate::sfu) fn next_own_stream(&mut self) -> Result<StreamId> {
        let role = match &self.kind {
            Kind::WebRtc(it) => it.peer.session().dtls().local_role(),
            _ => DtlsRole::Auto,
        };
        let parity = match role {
            DtlsRole::Client => 0,
            DtlsRole::Server => 1,
            DtlsRole::Auto => return Err(Error::ConnectFirst),
        };
        let free = self.first_free(|transport, it| {
            it % 2 == parity && !transport.producer_streams.contains_key(&it)
        });
        self.give_out(free)
    }

    /// The first free stream after the last that was given out, wrapping, that is `suitable`.
    fn first_free(&self, suitable: impl Fn(&Self, StreamId) -> bool) -> Option<StreamId> {
        let mut ids = (self.next_stream..=LAST_STREAM).chain(0..self.next_stream);
        ids.find(|it| self.is_stream_free(*it, Association::is_stream_free) && suitable(self, *it))
    }

    fn give_out(&mut self, free: Option<StreamId>) -> Result<StreamId> {
        let free = free.ok_or(Error::NoFreeStream(self.outgoing_streams()))?;
        self.next_stream = if free == LAST_STREAM { 0 } else { free + 1 };
        Ok(free)
    }

    /// The stream of a pipe that was closed first, if it is free again.
    fn next_released_stream(&mut self) -> Option<StreamId> {
        let limit = self.outgoing_streams();
        let Kind::Pipe(pipe) = &mut self.kind else { return None };
        let Pipe { path, released, .. } = &mut **pipe;
        let sctp = path.sctp()?;
        let (producers, consumers) = (&self.producer_streams, &self.consumer_streams);
        released.take(|stream| {
            if stream >= limit {
                Use::Gone
            } else if sctp.is_ending(stream) {
                Use::Rests
            } else if sctp.is_stream_free(stream)
                && !producers.contains_key(&stream)
                && !consumers.contains_key(&stream)
            {
                Use::Free
            } else {
                Use::Taken
            }
        })
    }

    /// Takes the stream that the application has chosen. The peer may have opened it already.
    pub(in crate::sfu) fn take_stream(&self, stream: StreamId) -> Result<StreamId> {
        let limit = self.outgoing_streams();
        if stream >= limit {
            Err(Error::StreamBeyondLimit { stream, limit })
        } else if self.is_stream_free(stream, Association::can_open_stream) {
            Ok(stream)
        } else {
            Err(Error::StreamInUse(stream))
        }
    }

    /// How many streams there are to the peer; all before the association is established.
    fn outgoing_streams(&self) -> u16 {
        self.negotiated_streams().map_or(STREAMS, |(outgoing, _)| outgoing)
    }

    fn is_stream_free(&self, stream: StreamId, ask: fn(&Association, StreamId) -> bool) -> bool {
        let free = match self.tunnel() {
            Some(tunnel) => tunnel.is_stream_free(stream),
            None => self.sctp_ref().is_some_and(|sctp| ask(sctp, stream)),
        };
        free && !self.consumer_streams.contains_key(&stream)
    }
}

/// What a message in a tunnel counts in the transport's bytes: its payload and what SCTP would have
/// put in front of it, a common header and a DATA chunk's (RFC 9260 §3.1, §3.3.1).
pub(in crate::sfu) fn tunnelled_bytes(message: &Message) -> usize {
    const HEADERS: usize = 12 + 16;
    message.payload.len() + HEADERS
}
