//! Our associations as the peers of a network.

use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::message::{Message, Ppid, Reliability, StreamId};
use datasoup::proto::sctp::{
    Association, CongestionControl, SctpConfig, SctpEvent, SctpState, Start,
};

use super::sim::{Conditions, Net, Peer};

/// The largest packet that our associations may send in these tests: 1,232 bytes less the 37 of a DTLS 1.2 record.
pub(crate) const MAX_PACKET: usize = 1195;

pub(crate) fn config() -> SctpConfig {
    SctpConfig {
        max_send_message_size: 262_144,
        max_receive_message_size: 262_144,
        send_buffer_size: 2_000_000,
        per_stream_send_queue_limit: 2_000_000,
        max_receiver_window: 5_242_880,
        buffered_amount_low_threshold: 1024,
        congestion_control: CongestionControl::default(),
        start: Start::AfterSilence,
        max_packet_size: MAX_PACKET,
        data_channels: true,
        silence: None,
    }
}

/// Our association, and the events that it has emitted.
pub(crate) struct Ours {
    pub(crate) sctp: Association,
    pub(crate) events: Vec<SctpEvent>,
    pub(crate) largest_packet: usize,
    /// Whether events are left in the association.
    pub(crate) is_busy: bool,
}

impl Ours {
    pub(crate) fn new(config: SctpConfig) -> Self {
        let sctp = Association::new(config);
        Self { sctp, events: Vec::new(), largest_packet: 0, is_busy: false }
    }

    fn collect(&mut self) {
        while !self.is_busy
            && let Some(event) = self.sctp.poll_event()
        {
            self.events.push(event);
        }
    }

    /// Takes the messages that have arrived so far, in order.
    pub(crate) fn take_messages(&mut self) -> Vec<(StreamId, Message)> {
        self.collect();
        let mut messages = Vec::new();
        self.events.retain_mut(|event| match event {
            SctpEvent::Message { stream, message } => {
                messages.push((*stream, message.clone()));
                false
            }
            _ => true,
        });
        messages
    }

    /// The number of messages that have arrived and that the test has not taken.
    pub(crate) fn message_count(&mut self) -> usize {
        self.collect();
        self.events.iter().filter(|event| matches!(event, SctpEvent::Message { .. })).count()
    }

    pub(crate) fn saw(&mut self, event: &SctpEvent) -> bool {
        self.collect();
        self.events.contains(event)
    }

    pub(crate) fn states(&mut self) -> Vec<SctpState> {
        self.collect();
        let state = |event: &SctpEvent| match event {
            SctpEvent::State(state) => Some(*state),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.sctp.state() == SctpState::Connected
    }
}

impl Peer for Ours {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.sctp.handle_packet(now, packet);
        self.collect();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.sctp.handle_timeout(now);
        self.collect();
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.sctp.poll_timeout()
    }

    fn drain(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        self.sctp.drain_transmits(now, |packet| packets.push(Bytes::copy_from_slice(packet)));
        for packet in packets.iter() {
            self.largest_packet = self.largest_packet.max(packet.len());
        }
        assert!(
            self.largest_packet <= MAX_PACKET,
            "the largest packet has {} bytes",
            self.largest_packet
        );
        self.collect();
    }
}

pub(crate) type Pair = Net<Ours, Ours>;

/// Two connected associations of ours. A sends the INIT.
pub(crate) fn pair(conditions: Conditions, seed: u64) -> Pair {
    pair_with(config(), config(), conditions, seed)
}

pub(crate) fn pair_with(a: SctpConfig, b: SctpConfig, conditions: Conditions, seed: u64) -> Pair {
    let a = SctpConfig { start: Start::AtOnce, ..a };
    let mut net = Net::new(Ours::new(a), Ours::new(b), conditions, seed);
    net.a.sctp.connect(net.now);
    net.b.sctp.connect(net.now);
    let connected =
        net.run_until(Duration::from_secs(30), |net| net.a.is_connected() && net.b.is_connected());
    assert!(connected, "two of ours connect");
    net
}

/// A message that begins with its number.
pub(crate) fn numbered(number: u32, len: usize) -> Message {
    let mut payload = vec![number as u8; len.max(4)];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    Message::new(Ppid::BINARY, payload.into())
}

/// The number of a [`numbered`] message.
pub(crate) fn number(message: &Message) -> u32 {
    u32::from_be_bytes(*message.payload.first_chunk().expect("four bytes at least"))
}

pub(crate) const UNORDERED: Reliability = Reliability { ordered: false, limit: None };
