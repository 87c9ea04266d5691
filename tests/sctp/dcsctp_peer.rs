//! Our association with dcsctp, the SCTP implementation of libwebrtc ported to Rust, which shares no
//! code with ours.

use std::time::Duration;

use datasoup::proto::message::{Limit, Message, Ppid, Reliability};
use datasoup::proto::sctp::{SctpConfig, SctpEvent, SctpState, Start};
use dcsctp::api::{Options, SocketState};

use crate::dcsctp::DcSctp;
use crate::peers::{MAX_PACKET, Ours, config, number, numbered};
use crate::sim::{Conditions, Net, start};

pub(crate) type Mixed = Net<Ours, DcSctp>;

fn mixed(config: SctpConfig, conditions: Conditions, seed: u64) -> Mixed {
    let now = start();
    let mut theirs = DcSctp::new(now);
    theirs.strict = true;
    Net::at(now, Ours::new(config), theirs, conditions, seed)
}

pub(crate) fn connected(
    config: SctpConfig,
    they_begin: bool,
    conditions: Conditions,
    seed: u64,
) -> Mixed {
    let start = if they_begin { Start::AfterSilence } else { Start::AtOnce };
    let mut net = mixed(SctpConfig { start, ..config }, conditions, seed);
    net.a.sctp.connect(net.now);
    if they_begin {
        net.b.connect(net.now);
    }
    let connected =
        net.run_until(Duration::from_secs(60), |net| net.a.is_connected() && net.b.is_connected());
    assert!(connected, "seed {seed}, they begin: {they_begin}");
    net
}

#[test]
fn messages_pass_both_ways_whichever_side_begins() {
    for they_begin in [true, false] {
        for (seed, conditions) in [Conditions::PERFECT, Conditions::ROUGH].into_iter().enumerate() {
            let mut net = connected(config(), they_begin, conditions, seed as u64);
            net.a.sctp.open_stream(1, Reliability::RELIABLE);
            for i in 0..100 {
                let len = 1 + (i as usize * 97) % 5000;
                net.a.sctp.send(net.now, 1, numbered(i, len)).expect("room");
                net.b.send(2, numbered(1000 + i, len));
            }
            let arrived = net.run_until(Duration::from_secs(120), |net| {
                net.a.message_count() == 100 && net.b.messages.len() == 100
            });
            assert!(arrived, "{} and {}", net.a.message_count(), net.b.messages.len());
            for (i, (stream, message)) in net.b.messages.iter().enumerate() {
                let expected = numbered(i as u32, 1 + (i * 97) % 5000);
                assert_eq!((*stream, message), (1, &expected));
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
        let conditions = if seed % 2 == 0 { Conditions::PERFECT } else { Conditions::ROUGH };
        let mut net = mixed(SctpConfig { start: Start::AtOnce, ..config() }, conditions, seed);
        net.a.sctp.connect(net.now);
        net.b.connect(net.now);
        let connected = net
            .run_until(Duration::from_secs(60), |net| net.a.is_connected() && net.b.is_connected());
        assert!(connected, "seed {seed}");
        net.a.sctp.open_stream(1, Reliability::RELIABLE);
        net.a.sctp.send(net.now, 1, numbered(1, 10)).expect("room");
        net.b.send(2, numbered(2, 10));
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
        net.b.send(1, numbered(i, 262_144));
    }
    let arrived = net.run_until(Duration::from_secs(120), |net| {
        net.a.message_count() == 3 && net.b.messages.len() == 3
    });
    assert!(arrived);
    for (i, (_, message)) in net.a.take_messages().into_iter().enumerate() {
        assert_eq!(message, numbered(i as u32, 262_144));
        assert_eq!(net.b.messages[i].1.payload, message.payload);
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
        net.b.send(1, message);
    }
    net.run_for(Duration::from_secs(5));
    let theirs: Vec<u32> = net.b.messages.iter().map(|(_, message)| message.ppid.0).collect();
    assert_eq!(theirs, ppids);
    for (i, (_, message)) in net.a.take_messages().into_iter().enumerate() {
        assert_eq!(message, Message::new(Ppid(ppids[i]), vec![7; 3000].into()));
        assert_eq!(message.payload, net.b.messages[i].1.payload);
    }
}

#[test]
fn partial_reliability_works_both_ways() {
    let conditions = Conditions { loss: 0.2, ..Conditions::ROUGH };
    let mut net = connected(config(), true, conditions, 5);
    let unreliable = Reliability { ordered: false, limit: Some(Limit::Retransmits(0)) };
    net.a.sctp.open_stream(1, unreliable);
    for i in 0..200 {
        net.a.sctp.send(net.now, 1, numbered(i, 1000)).expect("room");
        net.b.send_with(1, numbered(i, 1000), unreliable);
        net.run_for(Duration::from_millis(10));
    }
    net.run_for(Duration::from_secs(30));
    let theirs = net.b.messages.len();
    let ours = net.a.take_messages().len();
    assert!((100..200).contains(&theirs), "{theirs} arrived there");
    assert!((100..200).contains(&ours), "{ours} arrived here");

    // The association still works.
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 2, numbered(7, 5000)).expect("room");
    net.b.send(2, numbered(8, 5000));
    // After the quiet its timer may fire several times at once (seen with dcsctp 0.1), and each time doubles its
    // timeout.
    net.run_until(Duration::from_secs(300), |net| {
        net.b.messages.len() > theirs && net.a.message_count() > 0
    });
    assert_eq!(net.b.messages.last().map(|(_, m)| m.payload.len()), Some(5000));
    assert_eq!(net.a.take_messages().last().map(|(_, m)| number(m)), Some(8));
}

#[test]
fn a_channel_that_either_closes_is_closed_and_its_id_used_again() {
    let mut net = connected(config(), true, Conditions::ROUGH, 6);
    for round in 0..4u32 {
        assert!(net.a.sctp.is_stream_free(3), "round {round}");
        net.a.sctp.open_stream(3, Reliability::RELIABLE);
        net.a.sctp.send(net.now, 3, numbered(round, 100)).expect("room");
        net.b.send(3, numbered(round, 100));
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
            net.b.reset(3);
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
        net.b.send(4, numbered(1, 3000));
        net.b.reset(4);
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
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.a.sctp.state(), SctpState::Closed);
}

#[test]
fn their_shutdown_closes() {
    let mut net = connected(config(), true, Conditions::PERFECT, 10);
    net.b.socket.shutdown();
    net.run_for(Duration::from_secs(3));
    assert_eq!(net.a.sctp.state(), SctpState::Closed);
    assert_eq!(net.b.socket.state(), SocketState::Closed);
}

#[test]
fn an_idle_association_lives_through_their_heartbeats() {
    let mut net = connected(config(), true, Conditions::PERFECT, 11);
    net.run_for(Duration::from_secs(300));
    assert!(net.a.is_connected());
    assert!(net.b.is_connected());
    net.b.send(1, numbered(1, 10));
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.a.message_count(), 1);
}

#[test]
fn a_message_larger_than_their_window_blocks_sending_only() {
    let now = start();
    let options =
        Options { mtu: MAX_PACKET, max_receiver_window_buffer_size: 20_000, ..Options::default() };
    let theirs = DcSctp::with(now, options);
    let mut net = Net::at(now, Ours::new(config()), theirs, Conditions::PERFECT, 12);
    net.a.sctp.connect(net.now);
    net.b.connect(net.now);
    assert!(net.run_until(Duration::from_secs(60), |net| net.a.is_connected()));
    assert_eq!(net.a.sctp.peer_window(), Some(20_000));
    net.a.sctp.open_stream(1, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 1, numbered(1, 10_000)).expect("room");
    net.a.sctp.send(net.now, 1, numbered(2, 200_000)).expect("room");
    net.a.sctp.send(net.now, 1, numbered(3, 10)).expect("room");
    net.run_for(Duration::from_secs(300));
    assert_eq!(net.b.messages.len(), 1);
    assert_eq!(net.a.sctp.buffered_amount(1), 10);
    net.b.send(2, numbered(4, 20_000));
    net.run_for(Duration::from_secs(10));
    assert_eq!(net.a.message_count(), 1);
    assert!(net.a.is_connected() && net.b.is_connected());
}
