//! The fuzz target of the control: its calls in any order, with arbitrary SACKs and jumping times.
//!
//! The target plays the queues before the control and the peer behind it. It panics if the control panics, miscounts
//! what is in flight, exceeds its bounds, asks for a call at a time that is past, sends data that it was not given or
//! has given up, or does not finish once the peer is honest.

use std::collections::{BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::wire::{Chunk, Data, Header, Sack, before, checksum_matches, kind, u32_at};
use super::*;
use input::Input;

#[path = "../../../../tests/fuzz/input.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod input;

const HEADER: Header = Header { source_port: 5000, destination_port: 5001, tag: 0x0102_0304 };

/// The largest message, and the largest bound of the flight that the target sets.
const LARGEST: usize = 262_144;
const LARGEST_FLIGHT: usize = 1 << 20;

/// The most TSNs that a run uses.
const MAX_CHUNKS: usize = 100_000;

/// Messages are parts of this. Each byte depends on its position, so that chunks in a wrong order are noticed.
static DATA: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..256 + LARGEST).map(next).collect()
});

/// What the target knows of a chunk.
#[derive(Debug, Clone, Copy)]
struct Given {
    /// The chunk's flags, without the I bit.
    flags: u8,
    stream: StreamId,
    len: usize,
    /// Where its payload begins in [`DATA`].
    begin: usize,
    limit: Option<SendLimit>,
    /// How often it has left.
    transmissions: u32,
}

/// A message that is not cut to its end.
#[derive(Debug)]
struct UncutModel {
    /// Where the rest begins in [`DATA`], and its length.
    begin: usize,
    rest: usize,
    begins: bool,
    ordered: bool,
    stream: StreamId,
    limit: Option<SendLimit>,
}

/// The DATA and the FORWARD-TSN of a packet, as distances from the first TSN.
#[derive(Debug, Default)]
struct WirePacket {
    chunks: Vec<u32>,
    forward: Option<u32>,
}

impl UncutModel {
    fn is_late(&self, now: Instant) -> bool {
        matches!(self.limit, Some(SendLimit::Deadline(at)) if at <= now)
    }
}

#[derive(Debug)]
struct Scene {
    now: Instant,
    control: Control,
    first: u32,
    given: Vec<Given>,
    uncut: VecDeque<UncutModel>,
    messages: u8,
    wire: VecDeque<WirePacket>,
    peer: PeerModel,
    /// The value of our last SACK.
    ours: Vec<u8>,
}

/// What has arrived at the peer.
#[derive(Debug, Default)]
struct PeerModel {
    /// How many TSNs have arrived from the first one on.
    count: u32,
    beyond: BTreeSet<u32>,
    duplicates: Vec<u32>,
}

impl PeerModel {
    fn take(&mut self, sent: WirePacket) {
        for number in sent.chunks {
            if number < self.count || !self.beyond.insert(number) {
                self.duplicates.push(number);
            }
        }
        self.skip(sent.forward.unwrap_or(0));
    }

    fn skip(&mut self, count: u32) {
        self.count = self.count.max(count);
        self.beyond = self.beyond.split_off(&self.count);
        while self.beyond.remove(&self.count) {
            self.count += 1;
        }
    }
}

/// `data` begins with one byte: the controller in two bits, the size of packets in two, the first TSN in two, the
/// window in two. Then it has operations (see `Scene::act`).
pub(in super::super) fn run(now: Instant, data: &[u8]) {
    let mut input = Input::new(data);
    let mut scene = Scene::new(now, input.byte());
    scene.check();
    while !input.is_empty() && scene.given.len() < MAX_CHUNKS {
        scene.act(&mut input);
        scene.check();
    }
    scene.finish();
}

impl Scene {
    fn new(now: Instant, flags: u8) -> Self {
        use CongestionControl::{Bbr, Cubic, NewReno};
        let of = |shift: u8| usize::from(flags >> shift & 3);
        let first = [1, u32::MAX - 20, 1 << 31, 0][of(4)];
        let max_packet = [1195, 300, 576, 1195][of(2)];
        let kind = [Cubic, NewReno, Bbr, Cubic][of(0)];
        let window = [1 << 20, 0, 1500, u32::MAX][of(6)];
        Self {
            now,
            control: Control::new(kind, max_packet, first, window),
            first,
            given: Vec::new(),
            uncut: VecDeque::new(),
            messages: 0,
            wire: VecDeque::new(),
            peer: PeerModel::default(),
            ours: vec![0; 12],
        }
    }

    /// Performs an operation, which the lower four bits of its byte name.
    fn act(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        match what & 15 {
            0..=2 => self.write(what >> 4, input.byte(), input.byte()),
            3 => self.control.restart(u16::from(what >> 4 & 3)),
            4 => self.turn(what & 16 != 0),
            5 => self.now += Duration::from_millis(input.byte().into()),
            6 => self.now += time(input),
            7 => (0..=what >> 4).for_each(|_| self.wake()),
            8 => self.carry(what >> 4, input.byte()),
            9 => self.acknowledge(what >> 4),
            10 => self.mislead(what >> 4, input),
            11 => self.report(what >> 4, input),
            12 => self.control.on_round_trip(self.now, time(input)),
            13 => {
                let bound = [0, 1000, 65_536, LARGEST_FLIGHT][usize::from(what >> 4 & 3)];
                self.control.set_flight_bound(bound);
            }
            14 => self.control.trim(),
            // The peer discards what it has reported (reneges).
            _ => self.peer.beyond.clear(),
        }
    }

    /// Writes messages as far as they are admitted.
    fn write(&mut self, flags: u8, size: u8, limit: u8) {
        let segment = self.control.segment;
        let sizes = [
            1,
            10,
            100,
            300,
            301,
            segment - 1,
            segment,
            segment + 1,
            5000,
            16_000,
            65_536,
            70_000,
            131_072,
            200_000,
            LARGEST,
            50,
        ];
        let len = sizes[usize::from(size & 15)];
        let limit = match limit & 3 {
            0 | 1 => None,
            2 => Some(SendLimit::Deadline(
                self.now + Duration::from_millis(16) * u32::from(limit >> 2),
            )),
            _ => Some(SendLimit::Retransmits(u16::from(limit >> 2 & 3))),
        };
        for _ in 0..=size >> 4 {
            if self.control.admits(len) != Admittance::Now {
                break;
            }
            let (ordered, stream) = (flags & 1 == 0, u16::from(flags >> 1 & 3));
            self.messages = self.messages.wrapping_add(1);
            let begin = usize::from(self.messages);
            self.uncut.push_back(UncutModel {
                begin,
                rest: len,
                begins: true,
                ordered,
                stream,
                limit,
            });
            let payload = DATA.slice(begin..begin + len);
            self.control.write(Outgoing { stream, ppid: 53, payload, ordered, limit });
            self.check_admitted(len);
        }
    }

    /// Checks that the flight was within its bound when a message of this length was admitted.
    fn check_admitted(&self, len: usize) {
        let control = &self.control;
        let (totals, bound) = (control.board.totals(), control.flight.bound(&control.rtt));
        let held = control.messages.bytes + totals.waiting + totals.flying + totals.lost;
        let large = totals.large + control.messages.large;
        // A large message counts for half of the bound, so it may follow anything that leaves that half.
        let most = bound.max(len);
        assert!(held.saturating_sub(large) <= most, "{held} of {bound} bytes, {large} large");
        // Of large ones one flight counts, but for large ones.
        let more = if len > bound / 2 { 0 } else { totals.arrived_large.saturating_sub(bound) };
        let arrived = totals.arrived - more;
        assert!(arrived <= 2 * bound, "{arrived} of {} bytes beyond a gap", totals.arrived);
    }

    /// Notes the chunks that have been cut, which are the next ones of the messages in their order.
    fn note_cut(&mut self) {
        let from =
            self.given.len() - self.number(self.control.cumulative().wrapping_add(1)) as usize;
        for position in from..self.control.board.len() {
            let entry = self.control.board.get(position).expect("a chunk");
            while self.uncut.front().is_some_and(|it| it.begins && it.is_late(self.now)) {
                self.uncut.pop_front();
            }
            let message = self.uncut.front_mut().expect("a message that was written");
            let (flags, stream, len) =
                (entry.chunk.flags, entry.chunk.stream, usize::from(entry.len));
            let is_cut_off = len == 0 && !message.begins && entry.abandoned;
            if !is_cut_off {
                assert_eq!(len, message.rest.min(self.control.segment));
            }
            let UncutModel { begin, begins, ordered, limit, .. } = *message;
            message.begin += len;
            message.rest = if is_cut_off { 0 } else { message.rest - len };
            let rest = message.rest;
            assert_eq!(
                flags,
                u8::from(rest == 0) | u8::from(begins) << 1 | u8::from(!ordered) << 2
            );
            assert_eq!(stream, message.stream);
            message.begins = false;
            self.given.push(Given { flags, stream, len, begin, limit, transmissions: 0 });
            if rest == 0 {
                self.uncut.pop_front();
            }
        }
        while self.uncut.front().is_some_and(|it| it.begins && it.is_late(self.now)) {
            self.uncut.pop_front();
        }
    }

    /// A turn of the worker: timers that are due, then what may leave.
    fn turn(&mut self, more: bool) {
        if self.control.poll_timeout().is_some_and(|at| at <= self.now) {
            self.control.handle_timeout(self.now);
        }
        let mut packets = Vec::new();
        let mut send = |packet: &[u8]| packets.push(packet.to_vec());
        let count = self.control.transmit(self.now, HEADER, more, None, &mut send);
        assert_eq!(packets.len(), count as usize);
        self.note_cut();
        packets.iter().for_each(|packet| self.look_at(packet));
        if self.control.holes_due(self.now) {
            let ours = Sack::parse(&self.ours).expect("a SACK");
            self.control.report_holes(self.now, &ours);
        }
        let next = self.control.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "the time of the next call is past");
    }

    /// The time of the next call has come.
    fn wake(&mut self) {
        if let Some(at) = self.control.poll_timeout() {
            self.now = self.now.max(at);
        }
        self.turn(false);
    }

    fn number(&self, tsn: u32) -> u32 {
        tsn.wrapping_sub(self.first)
    }

    /// Checks a packet that leaves.
    fn look_at(&mut self, packet: &[u8]) {
        assert!(packet.len() <= self.control.max_packet, "{} bytes", packet.len());
        assert!(checksum_matches(packet));
        let (header, chunks) = Header::parse(packet).expect("a header");
        assert_eq!(header, HEADER);
        let mut sent = WirePacket::default();
        for chunk in chunks {
            let chunk = chunk.expect("whole chunks");
            match chunk.kind {
                kind::DATA => sent.chunks.push(self.check_data(&chunk)),
                kind::FORWARD_TSN => sent.forward = Some(self.check_forward(&chunk)),
                other => panic!("a chunk of type {other}"),
            }
        }
        self.wire.push_back(sent);
        if self.wire.len() > 10_000 {
            self.wire.pop_front();
        }
    }

    fn check_data(&mut self, chunk: &Chunk<'_>) -> u32 {
        let data = Data::parse(chunk).expect("DATA");
        assert!(before(self.control.cumulative(), data.tsn), "it is acknowledged");
        let number = self.number(data.tsn);
        let given = self.given.get_mut(number as usize).expect("a chunk that was given");
        given.transmissions += 1;
        assert_eq!((chunk.flags & !8, data.stream), (given.flags, given.stream));
        assert_eq!(data.payload, &DATA[given.begin..][..given.len]);
        match given.limit {
            None => {}
            Some(SendLimit::Deadline(at)) => assert!(self.now < at, "it is sent too late"),
            Some(SendLimit::Retransmits(count)) => {
                assert!(given.transmissions <= 1 + u32::from(count), "it is sent too often");
            }
        }
        number
    }

    /// Returns the distance of the first TSN that is not skipped.
    fn check_forward(&self, chunk: &Chunk<'_>) -> u32 {
        let tsn = u32_at(chunk.value, 0).expect("a TSN");
        assert!(before(self.control.cumulative(), tsn), "it skips nothing");
        assert!(!before(self.control.highest_sent(), tsn), "its answer would be ignored");
        let from = self.number(self.control.cumulative().wrapping_add(1)) as usize;
        let to = self.number(tsn) as usize;
        let skipped = self.given.get(from..=to).expect("chunks that were given");
        assert!(skipped.iter().all(|it| it.limit.is_some()), "it skips a reliable message");
        to as u32 + 1
    }

    /// The network carries up to 16 packets, and loses those whose bits are set.
    fn carry(&mut self, count: u8, lost: u8) {
        for index in 0..=count {
            let Some(sent) = self.wire.pop_front() else { break };
            if lost >> (index & 7) & 1 == 0 {
                self.peer.take(sent);
            }
        }
    }

    /// The SACK of an honest peer.
    fn acknowledge(&mut self, window: u8) {
        let mut gaps: Vec<(u16, u16)> = Vec::new();
        for number in &self.peer.beyond {
            let Ok(offset) = u16::try_from(number - self.peer.count + 1) else { break };
            match gaps.last_mut() {
                Some((_, last)) if *last + 1 == offset => *last = offset,
                _ => gaps.push((offset, offset)),
            }
        }
        let last = self.first.wrapping_add(self.peer.count).wrapping_sub(1);
        let duplicates = std::mem::take(&mut self.peer.duplicates);
        let duplicates = duplicates.iter().map(|it| self.first.wrapping_add(*it)).collect();
        self.take_sack(&sack(last, window_of(window), &gaps, duplicates));
    }

    /// A SACK that may say anything.
    fn mislead(&mut self, kind: u8, input: &mut Input<'_>) {
        let cumulative = self.control.cumulative();
        let cumulative = match kind & 3 {
            0 => cumulative,
            1 => cumulative.wrapping_add(u32::from(input.u16())).wrapping_sub(256),
            2 => self.control.highest_sent().wrapping_sub(input.byte().into()),
            _ => input.u32(),
        };
        let window = window_of(input.byte());
        let gaps: Vec<_> = (0..input.byte() % 20).map(|_| (input.u16(), input.u16())).collect();
        let duplicate = |input: &mut Input<'_>| {
            self.control.cumulative().wrapping_add(64).wrapping_sub(input.byte().into())
        };
        let duplicates = (0..input.byte() % 20).map(|_| duplicate(input)).collect();
        self.take_sack(&sack(cumulative, window, &gaps, duplicates));
    }

    fn take_sack(&mut self, value: &[u8]) {
        let sack = Sack::parse(value).expect("a SACK");
        self.control.on_sack(self.now, &sack);
        // What a lying peer has acknowledged without having received it stays lost.
        let acknowledged = self.number(self.control.cumulative().wrapping_add(1));
        self.peer.skip(acknowledged);
    }

    /// A SACK of ours leaves.
    fn report(&mut self, kind: u8, input: &mut Input<'_>) {
        let cumulative = u32::from(input.byte()).wrapping_sub(if kind & 1 == 0 { 0 } else { 200 });
        // Whether there are more holes than the control times, or a few of any length.
        let any = kind & 2 != 0;
        let count = if any { u16::from(input.byte() % 20) } else { input.u16() % 400 };
        let mut next = 1;
        let mut block = |input: &mut Input<'_>| {
            let [hole, len] = [0; 2].map(|_| 1 + u16::from(if any { input.byte() } else { 0 }));
            next += hole + len;
            (next - len, next - 1)
        };
        let gaps: Vec<_> = (0..count).map(|_| block(input)).collect();
        self.ours = sack(cumulative, 0, &gaps, Vec::new());
        let ours = Sack::parse(&self.ours).expect("a SACK");
        let reported = self.control.report_holes(self.now, &ours);
        assert!(reported <= gaps.len());
    }

    /// The invariants.
    fn check(&mut self) {
        let control = &self.control;
        control.board.assert_sums();
        let totals = control.board.totals();
        let held = control.messages.bytes + totals.waiting + totals.flying + totals.lost;
        assert!(held <= LARGEST_FLIGHT + LARGEST + 65_536, "{held} bytes are held");
        // Nothing is admitted beyond two flights, or three with large messages; the last is what was held when that was
        // reached.
        let arrived = totals.arrived;
        let most = 4 * LARGEST_FLIGHT + LARGEST + 65_536 + 64 * flight::MAX_CHUNKS;
        assert!(arrived <= most, "{arrived} bytes are kept beyond a gap");
        let chunks = control.board.len();
        assert!(chunks <= flight::MAX_CHUNKS + 2 * LARGEST / control.segment, "{chunks} chunks");
        assert!(control.lifetimes.held() <= flight::MAX_CHUNKS + chunks);
        let window = control.congestion.window();
        assert!((control.segment..=4 * LARGEST_FLIGHT).contains(&window), "a window of {window}");
        assert!(!before(control.highest_sent(), control.cumulative()));
        assert!(!before(control.last_cut(), control.highest_sent()));
        assert!(control.messages.large <= control.messages.bytes);
        assert_eq!(control.is_empty(), chunks == 0 && control.messages.is_empty());
        let stats = control.stats();
        assert_eq!(stats.bytes_in_flight, totals.flying);
        assert!(stats.retransmission_timeout <= timer::CEILING);
    }

    /// The network is perfect and the peer honest from now on: everything arrives or is given up.
    fn finish(&mut self) {
        let mut rounds = 0;
        while !(self.control.is_empty() && self.control.all_sent()) {
            self.turn(false);
            while !self.wire.is_empty() {
                self.carry(15, 0);
            }
            self.now += Duration::from_millis(20);
            self.acknowledge(15);
            if self.control.poll_timeout().is_some_and(|at| at <= self.now) {
                self.turn(false);
            }
            self.check();
            rounds += 1;
            assert!(rounds < 20_000, "the control does not come to an end");
        }
        assert_eq!(self.control.charge(), 0);
        assert_eq!(self.control.lifetimes.held(), 0);
        assert_eq!(self.peer.count as usize, self.given.len());
        for _ in 0..2 {
            self.turn(false);
            self.now += Duration::from_secs(1);
        }
        self.turn(false);
        assert_eq!(self.control.poll_timeout(), None, "there is nothing to wait for");
    }
}

/// A time from a microsecond to a month.
fn time(input: &mut Input<'_>) -> Duration {
    let byte = input.byte();
    let unit = [
        Duration::from_micros(1),
        Duration::from_millis(1),
        Duration::from_secs(1),
        Duration::from_secs(3600),
    ];
    unit[usize::from(byte >> 6)] * u32::from(byte & 63) * 10
}

fn window_of(byte: u8) -> u32 {
    [0, 1, 100, 1167, 1168, 5000, 65_536, 1 << 20, u32::MAX, 300]
        .get(usize::from(byte & 15))
        .copied()
        .unwrap_or(1 << 20)
}

/// The value of a SACK.
fn sack(cumulative: u32, window: u32, gaps: &[(u16, u16)], duplicates: Vec<u32>) -> Vec<u8> {
    let mut value = [cumulative.to_be_bytes(), window.to_be_bytes()].concat();
    for count in [gaps.len(), duplicates.len()] {
        value.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
    }
    let gaps = gaps.iter().flat_map(|(first, last)| [first.to_be_bytes(), last.to_be_bytes()]);
    value.extend(gaps.flatten());
    value.extend(duplicates.into_iter().flat_map(u32::to_be_bytes));
    value
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::super::testing::start;

    #[test]
    fn the_seeds_break_no_promise() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/control");
        for file in fs::read_dir(folder).expect("a folder") {
            let path = file.expect("a file").path();
            println!("{}", path.display());
            super::run(start(), &fs::read(path).expect("a file"));
        }
    }
}
