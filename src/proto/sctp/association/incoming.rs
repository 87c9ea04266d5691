//! What the peer sends: into sctp-proto, and what comes out of it.

use std::time::{Duration, Instant};

use sctp_proto::{AssociationEvent, Event, StreamEvent};

use super::super::guard::Named;
use super::super::heartbeat::Watch;
use super::super::link::Read;
use super::super::{SctpEvent, SctpState};
use super::Sctp;
use crate::proto::dcep::Dcep;
use crate::proto::message::{Ppid, StreamId};

/// How long a shutdown that the peer has begun may take: room for four retransmissions
/// of a SHUTDOWN ACK, the first after 300 ms and each after twice the time of the one before.
const SHUTDOWN: Duration = Duration::from_secs(5);

impl Sctp {
    /// Hands what a packet led to to the association.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        events: impl IntoIterator<Item = AssociationEvent>,
    ) {
        self.heard(now);
        let Some(link) = &mut self.link else { return };
        let Named { skipped, reset, resets_all } = link.take_named();
        let all = self.queues.streams().filter(|_| resets_all);
        for stream in all.chain(skipped).chain(reset.iter().copied()) {
            // One whose reset is being completed it need not know: its answer to one more reset
            // would be answered again.
            if !self.streams.is_closing(stream, Some(now)) {
                link.register(stream);
            }
        }
        events.into_iter().for_each(|event| link.deliver(event));
        self.flight_is_stale = true;
        self.collect(now);
        if let Some(link) = self.link.as_mut().filter(|_| !reset.is_empty()) {
            reset.into_iter().for_each(|stream| link.drop_pieces(stream));
            self.collect(now);
        }
    }

    /// Takes the events and messages out of the association.
    pub(super) fn collect(&mut self, now: Instant) {
        while let Some(event) = self.link.as_mut().and_then(|link| link.poll_event()) {
            match event {
                Event::Connected => {
                    self.initiate_at = None;
                    self.forget_answered();
                    self.flight_is_stale = false;
                    self.watch = self.config.heartbeats.then(|| Watch::new(now));
                    self.set_state(SctpState::Connected);
                }
                Event::HandshakeFailed { .. } => self.ended_by_peer(SctpState::Failed, None),
                // The end of a shutdown, or else the peer sent what sctp-proto cannot bear: a
                // message that is too large, or more than the window without an end.
                Event::AssociationLost { .. } if self.closed_by.is_some() => {
                    self.end(SctpState::Closed, None);
                }
                Event::AssociationLost { reason } => {
                    self.violation(&reason.to_string());
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) => {
                    if self.config.data_channels {
                        self.queues.kill(id);
                    }
                    if self.streams.on_peer_reset(id, now) {
                        self.events.push_back(SctpEvent::StreamReset { stream: id });
                    }
                }
                Event::Stream(StreamEvent::ResetComplete { id }) => {
                    self.streams.on_reset_complete(id, now);
                }
                // A reset that failed leaves its stream out of use; the rest is of no interest.
                _ => {}
            }
        }
        if self.closed_by.is_none() && self.link.as_ref().is_some_and(|link| link.is_closing()) {
            self.closed_by = Some(now + SHUTDOWN);
        }
    }

    fn read(&mut self, stream: StreamId) {
        self.streams.on_use(stream);
        while let Some(read) = self.link.as_mut().and_then(|link| link.read(stream)) {
            match read {
                Read::Message(message) if message.ppid == Ppid::DCEP => {
                    self.on_dcep(stream, &message.payload);
                }
                Read::Message(message) => {
                    self.events.push_back(SctpEvent::Message { stream, message });
                }
                Read::Garbled => self.counters.garbled += 1,
                Read::TooLarge => self.violation("a message over the maximum size"),
            }
        }
    }

    fn on_dcep(&mut self, stream: StreamId, message: &[u8]) {
        match Dcep::parse(message) {
            Ok(Dcep::Open(open)) if self.config.data_channels => {
                if self.streams.open_channel(stream) {
                    self.events.push_back(SctpEvent::ChannelOpened {
                        stream,
                        label: open.label,
                        protocol: open.protocol,
                        reliability: open.reliability,
                    });
                }
            }
            Ok(Dcep::Ack) if self.config.data_channels => {}
            _ => self.counters.bad_dcep += 1,
        }
    }
}
