//! Against dcsctp, which has nothing in common with ours: the association of libwebrtc, in Rust.

use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::message::{Limit, Message, Ppid, Reliability};
use datasoup::proto::sctp::{SctpConfig, SctpEvent, SctpState, Start};
use dcsctp::api::{
    DcSctpSocket, Message as TheirMessage, Options, PpId, SendOptions, SocketEvent, SocketState,
    SocketTime, StreamId,
};

use crate::link::{Conditions, Net, Peer};
use crate::peers::{MAX_PACKET, Ours, config, number, numbered};

struct Theirs {
    socket: Box<dyn DcSctpSocket>,
    start: Instant,
    packets: Vec<Bytes>,
    messages: Vec<TheirMessage>,
    resets: Vec<u16>,
    aborted: bool,
}

impl Theirs {
    fn new() -> Self {
        let options = Options { mtu: MAX_PACKET, ..Options::default() };
        Self {
            socket: dcsctp::new_socket("theirs", &options),
            start: crate::link::start(),
            packets: Vec::new(),
            messages: Vec::new(),
            resets: Vec::new(),
            aborted: false,
        }
    }

    fn time(&self, now: Instant) -> SocketTime {
        SocketTime::zero() + now.saturating_duration_since(self.start)
    }

    fn collect(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.packets.push(packet.into()),
                SocketEvent::OnIncomingStreamReset(streams) => {
                    // As a browser does: the channel is closed on both sides.
                    self.resets.extend(streams.iter().map(|stream| stream.0));
                    self.socket.reset_streams(&streams).expect("connected");
                }
                SocketEvent::OnAborted(..) => self.aborted = true,
                SocketEvent::OnError(kind, why) => panic!("dcsctp complains: {kind:?} {why}"),
                _ => {}
            }
        }
        while let Some(message) = self.socket.get_next_message() {
            self.messages.push(message);
        }
    }

    fn send(&mut self, stream: u16, message: Message, options: &SendOptions) {
        let payload = message.payload.to_vec();
        let message = TheirMessage::new(StreamId(stream), PpId(message.ppid.0), payload);
        self.socket.send(message, options).expect("room");
        self.collect();
    }
}

impl Peer for Theirs {
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        let time = self.time(now);
        self.socket.advance_time(time);
        self.socket.handle_input(&packet);
        self.collect();
    }

    fn handle_timeout(&mut self, now: Instant) {
        let time = self.time(now);
        self.socket.advance_time(time);
        self.collect();
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let at = self.socket.poll_timeout();
        (at != SocketTime::infinite_future())
            .then(|| self.start + (at - SocketTime::zero()) + Duration::from_micros(1))
    }

    fn drain(&mut self, _: Instant, packets: &mut Vec<Bytes>) {
        self.collect();
        packets.append(&mut self.packets);
    }
}

type Mixed = Net<Ours, Theirs>;

fn connected(config: SctpConfig, they_begin: bool, conditions: Conditions, seed: u64) -> Mixed {
    let start = if they_begin { Start::AfterSilence } else { Start::AtOnce };
    let mut net =
        Net::new(Ours::new(SctpConfig { start, ..config }), Theirs::new(), conditions, seed);
    net.a.sctp.connect(net.now);
    if they_begin {
        net.b.socket.connect();
    }
    let connected = net.run_until(Duration::from_secs(60), |net| {
        net.a.is_connected() && net.b.socket.state() == SocketState::Connected
    });
    assert!(connected, "seed {seed}, they begin: {they_begin}");
    net
}

#[test]
fn messages_pass_both_ways_whoever_begins() {
    for they_begin in [true, false] {
        for (seed, conditions) in [Conditions::PERFECT, Conditions::ROUGH].into_iter().enumerate() {
            let mut net = connected(config(), they_begin, conditions, seed as u64);
            net.a.sctp.open_stream(1, Reliability::RELIABLE);
            for i in 0..100 {
                let len = 1 + (i as usize * 97) % 5000;
                net.a.sctp.send(net.now, 1, numbered(i, len)).expect("room");
                net.b.send(2, numbered(1000 + i, len), &SendOptions::default());
            }
            let arrived = net.run_until(Duration::from_secs(120), |net| {
                net.a.message_count() == 100 && net.b.messages.len() == 100
            });
            assert!(arrived, "{} and {}", net.a.message_count(), net.b.messages.len());
            for (i, message) in net.b.messages.iter().enumerate() {
                let expected = numbered(i as u32, 1 + (i * 97) % 5000);
                assert_eq!(message.payload, expected.payload);
                assert_eq!((message.stream_id.0, message.ppid.0), (1, 53));
            }
            for (i, (stream, message)) in net.a.take_messages().into_iter().enumerate() {
                let expected = numbered(1000 + i as u32, 1 + (i * 97) % 5000);
                assert_eq!((stream, message), (2, expected));
            }
        }
    }
}

#[test]
fn crossing_inits_make_one_association() {
    for seed in 0..20 {
        let ours = Ours::new(SctpConfig { start: Start::AtOnce, ..config() });
        let conditions = if seed % 2 == 0 { Conditions::PERFECT } else { Conditions::ROUGH };
        let mut net = Net::new(ours, Theirs::new(), conditions, seed);
        net.a.sctp.connect(net.now);
        net.b.socket.connect();
        let connected = net.run_until(Duration::from_secs(60), |net| {
            net.a.is_connected() && net.b.socket.state() == SocketState::Connected
        });
        assert!(connected, "seed {seed}");
        net.a.sctp.open_stream(1, Reliability::RELIABLE);
        net.a.sctp.send(net.now, 1, numbered(1, 10)).expect("room");
        net.b.send(2, numbered(2, 10), &SendOptions::default());
        let arrived = net.run_until(Duration::from_secs(30), |net| {
            net.a.message_count() == 1 && net.b.messages.len() == 1
        });
        assert!(arrived, "seed {seed}");
    }
}

#[test]
fn the_largest_messages_pass_both_ways() {
    let mut net = connected(config(), true, Conditions::ROUGH, 3);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    for i in 0..3 {
        net.a.sctp.send(net.now, 1, numbered(i, 262_144)).expect("room");
        net.b.send(1, numbered(i, 262_144), &SendOptions::default());
    }
    let arrived = net.run_until(Duration::from_secs(120), |net| {
        net.a.message_count() == 3 && net.b.messages.len() == 3
    });
    assert!(arrived);
    for (i, (_, message)) in net.a.take_messages().into_iter().enumerate() {
        assert_eq!(message, numbered(i as u32, 262_144));
        assert_eq!(net.b.messages[i].payload, message.payload);
    }
}

#[test]
fn every_ppid_passes_both_ways() {
    let mut net = connected(config(), true, Conditions::PERFECT, 4);
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    let ppids = [0, 51, 53, 56, 57, 58, 1234, u32::MAX];
    for ppid in ppids {
        let message = Message::new(Ppid(ppid), vec![7; 3000].into());
        net.a.sctp.send(net.now, 1, message.clone()).expect("room");
        net.b.send(1, message, &SendOptions::default());
    }
    net.run_for(Duration::from_secs(5));
    let theirs: Vec<u32> = net.b.messages.iter().map(|message| message.ppid.0).collect();
    assert_eq!(theirs, ppids);
    for (i, (_, message)) in net.a.take_messages().into_iter().enumerate() {
        assert_eq!(message, Message::new(Ppid(ppids[i]), vec![7; 3000].into()));
        assert_eq!(message.payload, net.b.messages[i].payload);
    }
}

#[test]
fn partial_reliability_works_both_ways() {
    let conditions = Conditions { loss: 0.2, ..Conditions::ROUGH };
    let mut net = connected(config(), true, conditions, 5);
    let unreliable = Reliability { ordered: false, limit: Some(Limit::Retransmits(0)) };
    net.a.sctp.open_stream(1, unreliable);
    let options =
        SendOptions { unordered: true, max_retransmissions: Some(0), ..SendOptions::default() };
    for i in 0..200 {
        net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
        net.b.send(1, numbered(i, 1000), &options);
        net.run_for(Duration::from_millis(10));
    }
    net.run_for(Duration::from_secs(30));
    let theirs = net.b.messages.len();
    let ours = net.a.take_messages().len();
    assert!((100..200).contains(&theirs), "{theirs} arrived there");
    assert!((100..200).contains(&ours), "{ours} arrived here");

    // And the association is none the worse for it.
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 2, numbered(7, 5000)).expect("room");
    net.b.send(2, numbered(8, 5000), &SendOptions::default());
    net.run_for(Duration::from_secs(30));
    assert_eq!(net.b.messages.last().map(|m| m.payload.len()), Some(5000));
    assert_eq!(net.a.take_messages().last().map(|(_, m)| number(m)), Some(8));
}

#[test]
fn a_channel_that_either_closes_is_closed_and_its_id_used_again() {
    let mut net = connected(config(), true, Conditions::ROUGH, 6);
    for round in 0..4u32 {
        assert!(net.a.sctp.is_stream_free(3), "round {round}");
        net.a.sctp.open_stream(3, Reliability::RELIABLE);
        net.a.sctp.send(net.now, 3, numbered(round, 100)).expect("room");
        net.b.send(3, numbered(round, 100), &SendOptions::default());
        let arrived = net.run_until(Duration::from_secs(30), |net| {
            net.a.message_count() == 1 && net.b.messages.len() == round as usize + 1
        });
        assert!(arrived, "round {round}");
        net.a.take_messages();
        net.a.events.clear();
        if round % 2 == 0 {
            net.a.sctp.reset_stream(3);
            net.run_for(Duration::from_secs(20));
            assert!(net.b.resets.contains(&3));
            assert!(!net.a.saw(&SctpEvent::StreamReset { stream: 3 }));
        } else {
            net.b.socket.reset_streams(&[StreamId(3)]).expect("connected");
            net.b.collect();
            net.run_for(Duration::from_secs(20));
            assert!(net.a.saw(&SctpEvent::StreamReset { stream: 3 }));
            net.a.sctp.reset_stream(3);
        }
        net.b.resets.clear();
    }
}

#[test]
fn close_right_after_send_delivers_and_closes() {
    for seed in 0..5 {
        let mut net = connected(config(), true, Conditions::ROUGH, seed);
        net.b.send(4, numbered(1, 3000), &SendOptions::default());
        net.b.socket.reset_streams(&[StreamId(4)]).expect("connected");
        net.b.collect();
        let closed = net.run_until(Duration::from_secs(30), |net| {
            net.a.saw(&SctpEvent::StreamReset { stream: 4 })
        });
        assert!(closed);
        assert_eq!(net.a.message_count(), 1);
    }
}

#[test]
fn our_abort_and_theirs_end_it_on_both_sides() {
    let mut net = connected(config(), true, Conditions::PERFECT, 8);
    net.a.sctp.abort(net.now);
    net.run_for(Duration::from_secs(1));
    assert!(net.b.aborted);
    assert_eq!(net.b.socket.state(), SocketState::Closed);

    let mut net = connected(config(), false, Conditions::PERFECT, 9);
    net.b.socket.close();
    net.b.collect();
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.a.sctp.state(), SctpState::Closed);
}

#[test]
fn their_shutdown_closes() {
    let mut net = connected(config(), true, Conditions::PERFECT, 10);
    net.b.socket.shutdown();
    net.b.collect();
    net.run_for(Duration::from_secs(3));
    assert_eq!(net.a.sctp.state(), SctpState::Closed);
    assert_eq!(net.b.socket.state(), SocketState::Closed);
}

#[test]
fn an_idle_association_lives_through_their_heartbeats() {
    let mut net = connected(config(), true, Conditions::PERFECT, 11);
    net.run_for(Duration::from_secs(300));
    assert!(net.a.is_connected());
    assert_eq!(net.b.socket.state(), SocketState::Connected);
    net.b.send(1, numbered(1, 10), &SendOptions::default());
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.a.message_count(), 1);
}
