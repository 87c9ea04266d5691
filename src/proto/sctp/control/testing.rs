//! A control with a path and a peer that the test plays, for the unit tests of this folder.

use std::time::{Duration, Instant};

use super::super::testing::start;
use super::super::wire::{Data, Header, Sack, kind, u32_at};
use super::*;

const HEADER: Header = Header { source_port: 5000, destination_port: 5001, tag: 9 };

/// The payload of a full packet.
pub(super) const SEGMENT: usize = packet::max_payload(MAX_PACKET);

const MAX_PACKET: usize = 1195;

/// A packet that has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// The TSNs of its DATA, in their order.
    pub(super) tsns: Vec<u32>,
    /// The TSN up to which it asks the peer to skip.
    pub(super) skips_to: Option<u32>,
    /// Whether the last chunk asks for an acknowledgement at once.
    pub(super) asks: bool,
    pub(super) len: usize,
}

/// A control whose first TSN is 1, and its path.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) now: Instant,
    pub(super) control: Control,
}

impl Bench {
    /// A path with this round trip.
    pub(super) fn new(round_trip: Duration) -> Self {
        Self::with(CongestionControl::Cubic, MAX_PACKET, round_trip)
    }

    pub(super) fn with(kind: CongestionControl, max_packet: usize, round_trip: Duration) -> Self {
        let now = start();
        let mut control = Control::new(kind, max_packet, 1, 1 << 20);
        control.on_round_trip(now, round_trip);
        Self { now, control }
    }

    /// Writes an ordered message on stream 7.
    pub(super) fn write(&mut self, len: usize, limit: Option<SendLimit>) {
        let payload = vec![0; len].into();
        self.control.write(Outgoing { stream: 7, ppid: 53, payload, ordered: true, limit });
    }

    /// What leaves now.
    pub(super) fn send(&mut self) -> Vec<Sent> {
        let mut packets = Vec::new();
        let mut send = |packet: &[u8]| packets.push(read(packet));
        self.control.transmit(self.now, HEADER, false, None, &mut send);
        packets
    }

    /// Writes reliable messages, and sends them.
    pub(super) fn write_and_send(&mut self, count: usize, len: usize) -> Vec<Sent> {
        (0..count).for_each(|_| self.write(len, None));
        self.send()
    }

    /// Lets time pass. Returns what leaves by then, with the time since.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<(Duration, Sent)> {
        let (begin, end) = (self.now, self.now + time);
        let (mut sent, mut turns) = (Vec::new(), 0);
        while let Some(at) = self.control.poll_timeout()
            && at <= end
        {
            turns += 1;
            assert!(turns < 10_000, "virtual time stands still");
            self.now = self.now.max(at);
            self.control.handle_timeout(self.now);
            let after = self.now - begin;
            sent.extend(self.send().into_iter().map(|packet| (after, packet)));
        }
        self.now = end;
        sent
    }

    /// Takes a SACK of the peer, whose gap blocks and duplicates are TSNs. Returns what leaves.
    pub(super) fn sack(&mut self, last: u32, gaps: &[(u32, u32)], duplicates: &[u32]) -> Vec<Sent> {
        self.sack_with(last, 1 << 20, gaps, duplicates);
        self.send()
    }

    pub(super) fn sack_with(
        &mut self,
        last: u32,
        window: u32,
        gaps: &[(u32, u32)],
        duplicates: &[u32],
    ) {
        let mut value = [last.to_be_bytes(), window.to_be_bytes()].concat();
        for count in [gaps.len() as u16, duplicates.len() as u16] {
            value.extend_from_slice(&count.to_be_bytes());
        }
        for tsn in gaps.iter().flat_map(|(from, to)| [from, to]) {
            value.extend_from_slice(&((tsn - last) as u16).to_be_bytes());
        }
        duplicates.iter().for_each(|tsn| value.extend_from_slice(&tsn.to_be_bytes()));
        self.control.on_sack(self.now, &Sack::parse(&value).expect("a SACK"));
    }
}

/// When DATA left in [`Bench::pass`], in milliseconds from its beginning, and its TSNs.
pub(super) fn timed(sent: &[(Duration, Sent)]) -> Vec<(u64, Vec<u32>)> {
    sent.iter().map(|(after, packet)| (after.as_millis() as u64, packet.tsns.clone())).collect()
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The TSNs of the DATA in packets.
pub(super) fn tsns<'a>(packets: impl IntoIterator<Item = &'a Sent>) -> Vec<u32> {
    packets.into_iter().flat_map(|packet| packet.tsns.clone()).collect()
}

fn read(packet: &[u8]) -> Sent {
    let (_, chunks) = Header::parse(packet).expect("a header");
    let mut sent = Sent { len: packet.len(), ..Sent::default() };
    for chunk in chunks.flatten() {
        if let Some(data) = Data::parse(&chunk).filter(|_| chunk.kind == kind::DATA) {
            sent.tsns.push(data.tsn);
            sent.asks = chunk.flags & 8 != 0;
        }
        if chunk.kind == kind::FORWARD_TSN {
            sent.skips_to = u32_at(chunk.value, 0);
        }
    }
    sent
}
