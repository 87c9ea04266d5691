//! The cases. What they measure depends neither on time nor on random numbers of a peer, except for the order of a few
//! hash maps.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::ice_lite::IceLite;
use datasoup::proto::message::Reliability;
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::sctp::{Association, SctpConfig, SctpEvent, Start};
use datasoup::proto::stun::Binding;
use datasoup::proto::transmit::Transmits;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::DataConsumerOptions;
use datasoup::sfu::contract::parameters::IceParameters;
use datasoup::sfu::subchannels::{Selector, Subchannels};

use crate::common::client::Client;
use crate::common::host::binary;
use crate::common::options;
use crate::common::peers::config;
use crate::common::sim::start;
use crate::probe::{TIMES, measure};
use crate::rig::Rig;

/// All cases, by name.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("route-1", || route(1, None)),
    ("route-100", || route(100, None)),
    ("route-100-subchannels", || route(100, Some(&[1, 50]))),
    ("subchannel-match", subchannel_match),
    ("subchannel-match-4000", || subchannel_match_many(4000)),
    ("subchannel-match-32000", || subchannel_match_many(32_000)),
    ("stun-check", stun_check),
    ("sctp-send-100", || sctp_send(100)),
    ("sctp-data-100", || sctp_data(100)),
    ("sctp-sack", sctp_sack),
    ("webrtc-out-100", || webrtc_out(100)),
    ("webrtc-out-1000", || webrtc_out(1000)),
    ("webrtc-in-100", || webrtc_in(100)),
    ("webrtc-in-1000", || webrtc_in(1000)),
    ("webrtc-sack", webrtc_sack),
    ("idle-turn", idle_turn),
];

/// A message from JavaScript to direct consumers. With `subchannels`, consumer `n` has subscribed to `n`.
fn route(consumers: u16, subchannels: Option<&[u16]>) {
    let mut rig = Rig::new();
    let direct = rig.host.direct(rig.router);
    let producer = rig.host.produce(direct, 0);
    let backlog = Arc::new(Backlog::new(u64::MAX));
    for n in 0..consumers {
        let subchannels = subchannels.map_or_else(Vec::new, |_| vec![n, n + 100, n + 200]);
        let options = DataConsumerOptions { subchannels, ..options::consumer() };
        rig.host.consume_into(direct, producer, options, Arc::clone(&backlog));
    }
    let subchannels = subchannels.map(|it| it.iter().copied().collect());
    let selector =
        subchannels.map(|it| Arc::new(Selector { subchannels: it, ..Default::default() }));
    for _ in 0..TIMES {
        let mut message = Some(binary(1, 100));
        let sfu = rig.sfu();
        measure(&mut || {
            if let Some(message) = message.take() {
                sfu.send(producer, message, selector.as_ref());
            }
        });
        rig.flush();
    }
}

fn subchannel_match() {
    let subscriptions = Subchannels::new((0..20).map(|n| 3 * n));
    let subchannels = Subchannels::new([1, 2, 30]);
    let selector = Selector { subchannels, required: Some(9), ignored: Some(10) };
    for _ in 0..TIMES {
        measure(&mut || {
            black_box(black_box(&selector).matches(black_box(&subscriptions)));
        });
    }
}

/// A message for `count` subchannels, which a consumer that subscribes to 20 others does not get.
fn subchannel_match_many(count: u16) {
    let subscriptions = Subchannels::new((0..20).map(|n| 3000 * n + 1));
    let subchannels = Subchannels::new((0..count).map(|n| 2 * n));
    let selector = Selector { subchannels, ..Default::default() };
    for _ in 0..TIMES {
        measure(&mut || {
            black_box(black_box(&selector).matches(black_box(&subscriptions)));
        });
    }
}

/// Parses, verifies and answers a connectivity check.
fn stun_check() {
    let mut now = start();
    let mut ice = IceLite::new(None);
    let check = Client::check(&IceParameters::from(ice.credentials()), true);
    let remote = ([192, 0, 2, 1], 20_000).into();
    let tuple = Tuple::new(SocketId(1), remote);
    let mut transmits = Transmits::default();
    for _ in 0..TIMES {
        // The next check comes after the limit on the rate of checks, so that it is answered.
        now += Duration::from_millis(1);
        measure(&mut || {
            let request = Binding::read(&check).expect("a request");
            ice.handle_request(now, tuple, request, &mut transmits);
        });
        assert_eq!(transmits.len(), 1, "one response");
        transmits.clear();
    }
}

/// Two associations without a network between them. The first has stream 0 open.
struct Pair {
    now: Instant,
    a: Association,
    b: Association,
}

impl Pair {
    fn connected() -> Self {
        let new = |start| Association::new(SctpConfig { start, ..config() });
        let (a, b) = (new(Start::AtOnce), new(Start::Never));
        let mut pair = Self { now: start(), a, b };
        pair.a.connect(pair.now);
        pair.b.connect(pair.now);
        pair.settle();
        pair.a.open_stream(0, Reliability::RELIABLE);
        pair
    }

    /// Takes the packets that `a` has to send.
    fn packets(&mut self) -> Vec<Bytes> {
        packets(&mut self.a, self.now)
    }

    /// Hands packets to `b`.
    fn deliver(&mut self, packets: Vec<Bytes>) {
        packets.into_iter().for_each(|it| assert!(self.b.handle_packet(self.now, it)));
        while self.b.poll_event().is_some() {}
    }

    /// Delivers and acknowledges everything.
    fn settle(&mut self) {
        self.exchange();
        // Waits longer than the delay of an acknowledgement (RFC 9260 §6.2).
        self.now += Duration::from_millis(250);
        self.a.handle_timeout(self.now);
        self.b.handle_timeout(self.now);
        self.exchange();
    }

    fn exchange(&mut self) {
        loop {
            let (there, back) = (self.packets(), packets(&mut self.b, self.now));
            if there.is_empty() && back.is_empty() {
                return;
            }
            self.deliver(there);
            back.into_iter().for_each(|it| assert!(self.a.handle_packet(self.now, it)));
            while self.a.poll_event().is_some() {}
        }
    }
}

fn packets(sctp: &mut Association, now: Instant) -> Vec<Bytes> {
    let mut packets = Vec::new();
    sctp.drain_transmits(now, |packet| packets.push(Bytes::copy_from_slice(packet)));
    packets
}

/// Sends a message: through the stream queue to the packet.
fn sctp_send(len: usize) {
    let mut pair = Pair::connected();
    for _ in 0..TIMES {
        let mut message = Some(binary(1, len));
        let mut sent = None;
        let Pair { now, a, .. } = &mut pair;
        measure(&mut || {
            if let Some(message) = message.take() {
                a.send(*now, 0, message).expect("room");
                a.drain_transmits(*now, |packet| sent = Some(Bytes::copy_from_slice(packet)));
            }
        });
        pair.deliver(vec![sent.expect("a packet")]);
        pair.settle();
    }
}

/// Receives a packet with one message: through the guard to the event.
fn sctp_data(len: usize) {
    let mut pair = Pair::connected();
    for _ in 0..TIMES {
        pair.a.send(pair.now, 0, binary(1, len)).expect("room");
        let mut packets = pair.packets();
        let mut packet = packets.pop();
        assert!(packets.is_empty(), "one packet");
        let mut event = None;
        let Pair { now, b, .. } = &mut pair;
        measure(&mut || {
            if let Some(packet) = packet.take() {
                b.handle_packet(*now, packet);
                event = b.poll_event();
            }
        });
        assert!(matches!(event, Some(SctpEvent::Message { .. })), "{event:?}");
        pair.settle();
    }
}

/// Receives a SACK for two messages.
fn sctp_sack() {
    let mut pair = Pair::connected();
    for _ in 0..TIMES {
        for _ in 0..2 {
            pair.a.send(pair.now, 0, binary(1, 1000)).expect("room");
        }
        let data = pair.packets();
        assert_eq!(data.len(), 2);
        pair.deliver(data);
        let mut sacks = packets(&mut pair.b, pair.now);
        assert_eq!(sacks.len(), 1);
        let mut sack = sacks.pop();
        let Pair { now, a, .. } = &mut pair;
        measure(&mut || {
            if let Some(sack) = sack.take() {
                a.handle_packet(*now, sack);
            }
        });
        pair.settle();
    }
}

/// A message from JavaScript to a WebRTC client, up to the datagram in the send arena.
fn webrtc_out(len: usize) {
    let mut rig = Rig::new();
    let direct = rig.host.direct(rig.router);
    let producer = rig.host.produce(direct, 0);
    let key = rig.join();
    rig.host.consume(key, producer);
    let exchange = |rig: &mut Rig| {
        rig.flush();
        rig.deliver_to_clients();
        rig.settle();
        rig.pass(Duration::from_millis(250));
    };
    for n in 0..TIMES + 20 {
        let mut message = Some(binary(1, len));
        let sfu = rig.sfu();
        let mut work = || {
            if let Some(message) = message.take() {
                sfu.send(producer, message, None);
                sfu.flush();
            }
        };
        if n < 20 {
            work()
        } else {
            measure(&mut work)
        }
        assert_eq!(sfu.flush().len(), 1, "one datagram");
        exchange(&mut rig);
    }
}

/// A datagram with a message from a WebRTC client, up to the event for JavaScript.
fn webrtc_in(len: usize) {
    let mut rig = Rig::new();
    let direct = rig.host.direct(rig.router);
    let key = rig.join();
    let producer = rig.host.produce(key, 0);
    rig.host.consume(direct, producer);
    for n in 0..TIMES + 20 {
        rig.clients[0].send(0, binary(1, len));
        rig.take_from_clients();
        let mut work = || rig.deliver_to_worker();
        if n < 20 {
            work()
        } else {
            measure(&mut work)
        }
        assert!(rig.sfu().poll_event().is_some(), "a message");
        rig.flush();
        rig.deliver_to_clients();
        rig.settle();
        rig.pass(Duration::from_millis(250));
    }
}

/// A datagram with a SACK of a WebRTC client for two messages.
fn webrtc_sack() {
    let mut rig = Rig::new();
    let direct = rig.host.direct(rig.router);
    let producer = rig.host.produce(direct, 0);
    let key = rig.join();
    rig.host.consume(key, producer);
    for _ in 0..TIMES {
        for _ in 0..2 {
            rig.sfu().send(producer, binary(1, 1000), None);
        }
        rig.flush();
        rig.deliver_to_clients();
        rig.take_from_clients();
        measure(&mut || {
            rig.deliver_to_worker();
            rig.sfu().flush();
        });
        rig.settle();
        rig.pass(Duration::from_millis(250));
    }
}

/// A turn without work, with 100 connected transports: its cost must not depend on their number.
fn idle_turn() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        rig.join();
    }
    let now = rig.now;
    for _ in 0..TIMES {
        let sfu = rig.sfu();
        measure(&mut || {
            sfu.begin_turn(now);
            black_box(sfu.poll_timeout());
            sfu.flush();
            black_box(sfu.poll_event());
        });
    }
}
