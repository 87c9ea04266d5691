//! Data channels that the peer opens in band (RFC 8832).

use std::time::Duration;

use datasoup::proto::dcep::Open;
use datasoup::proto::message::{Limit, Message, Ppid, Reliability};
use datasoup::proto::sctp::{SctpConfig, SctpEvent};

use crate::peers::config;
use crate::puppet::*;

fn open(label: &str) -> Vec<u8> {
    open_with(label, Reliability::RELIABLE)
}

fn open_with(label: &str, reliability: Reliability) -> Vec<u8> {
    Open { label: label.into(), protocol: "p".into(), priority: 256, reliability }.encode()
}

fn acks(sent: &[Seen]) -> Vec<u16> {
    let is_ack = |chunk: &&Seen| chunk.kind == DATA && chunk.value[8..] == [0, 0, 0, 50, 2];
    sent.iter().filter(is_ack).map(|c| u16::from_be_bytes([c.value[4], c.value[5]])).collect()
}

#[test]
fn an_open_is_acknowledged_on_its_stream_and_emits_channel_opened() {
    let mut stage = Stage::new(config());
    let reliability = Reliability { ordered: false, limit: Some(Limit::Retransmits(0)) };
    let tsn = stage.next_tsn();
    let sent = stage.send(&[data(WHOLE, tsn, 6, 0, 50, &open_with("chat", reliability))]);
    assert_eq!(acks(&sent), [6]);
    let expected = SctpEvent::ChannelOpened {
        stream: 6,
        label: "chat".into(),
        protocol: "p".into(),
        reliability,
    };
    assert_eq!(stage.events(), [expected]);

    assert!(!stage.sctp.is_stream_free(6), "the peer has opened it");
    assert!(stage.sctp.can_open_stream(6), "for our side of that channel");
    stage.sctp.open_stream(6, reliability);
    assert!(!stage.sctp.can_open_stream(6));
    let message = Message::new(Ppid::STRING, "hello".into());
    stage.sctp.send(stage.now, 6, message).expect("room");
    let sent = stage.drain();
    assert_eq!((sent[0].kind, sent[0].flags & UNORDERED), (DATA, UNORDERED));
    assert_eq!(&sent[0].value[12..], b"hello");
}

#[test]
fn messages_leave_together_with_the_acknowledgement() {
    let mut stage = Stage::new(config());
    let reliability = Reliability { ordered: false, limit: None };
    let tsn = stage.next_tsn();
    let open =
        packet(stage.puppet.tag, &[data(WHOLE, tsn, 6, 0, 50, &open_with("chat", reliability))]);
    stage.sctp.handle_packet(stage.now, open);
    stage.sctp.open_stream(6, reliability);
    let message = Message::new(Ppid::STRING, "hello".into());
    stage.sctp.send(stage.now, 6, message).expect("room");
    let sent = stage.drain();
    assert_eq!(acks(&sent), [6]);
    assert!(sent.iter().any(|chunk| chunk.kind == DATA && chunk.value[12..] == *b"hello"));
}

#[test]
fn a_message_of_ppid_50_is_sent_ordered_and_reliably_whatever_its_stream_does() {
    let mut stage = Stage::new(config());
    let brief = Reliability { ordered: false, limit: Some(Limit::LifetimeMs(100)) };
    stage.sctp.open_stream(6, brief);
    let message = Message::new(Ppid::DCEP, open("chat").into());
    stage.sctp.send(stage.now, 6, message).expect("room");
    let sent = stage.drain();
    assert_eq!((sent[0].kind, sent[0].flags & UNORDERED), (DATA, 0));
    let again = stage.pass(Duration::from_secs(5));
    assert!(again.iter().any(|chunk| chunk.kind == DATA), "it is retransmitted");
    let counters = stage.sctp.counters();
    assert_eq!((counters.expired.messages, counters.abandoned.messages), (0, 0));
}

#[test]
fn messages_may_follow_an_open_in_its_packet() {
    let mut stage = Stage::new(config());
    let (first, second) = (stage.next_tsn(), stage.next_tsn());
    stage.send(&[data(WHOLE, first, 0, 0, 50, &open("a")), data(WHOLE, second, 0, 1, 51, b"hi")]);
    let events = stage.events();
    let [SctpEvent::ChannelOpened { .. }, SctpEvent::Message { message, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(&message.payload[..], b"hi");
}

#[test]
fn a_repeated_open_is_acknowledged_without_a_second_event() {
    let mut stage = Stage::new(config());
    for ssn in 0..5 {
        let tsn = stage.next_tsn();
        let sent = stage.send(&[data(WHOLE, tsn, 6, ssn, 50, &open("chat"))]);
        assert_eq!(acks(&sent), [6]);
    }
    assert_eq!(stage.events().len(), 1);
}

#[test]
fn an_open_on_a_stream_in_use_is_tolerated() {
    let mut stage = Stage::new(config());
    stage.sctp.open_stream(6, Reliability::RELIABLE);
    let (first, second) = (stage.next_tsn(), stage.next_tsn());
    stage.send(&[data(WHOLE, first, 6, 0, 51, b"data")]);
    let sent = stage.send(&[data(WHOLE, second, 6, 1, 50, &open("late"))]);
    assert_eq!(acks(&sent), [6]);
    let message = Message::new(Ppid::STRING, "hello".into());
    stage.sctp.send(stage.now, 6, message).expect("the stream is still open");
    stage.assert_alive();
}

#[test]
fn messages_of_ppid_50_are_never_delivered() {
    for data_channels in [true, false] {
        let mut stage = Stage::new(SctpConfig { data_channels, ..config() });
        let invalid = [&[2][..], &[3], &[3, 0, 0, 0], &[0], &[255; 40], &open("x")];
        for (ssn, payload) in invalid.into_iter().enumerate() {
            let tsn = stage.next_tsn();
            stage.send(&[data(WHOLE, tsn, 1, ssn as u16, 50, payload)]);
        }
        // These payloads begin with a PPID of 50, in the place where a carried PPID travels inside sctp-proto.
        let (first, second) = (stage.next_tsn(), stage.next_tsn());
        stage.send(&[
            data(FIRST, second, 2, 0, 51, b"\0\0\0\x32"),
            data(FIRST, first, 2, 0, 60, b"\0\0\0\x32"),
        ]);
        let events = stage.events();
        let controls = events.iter().filter(|it| matches!(it, SctpEvent::Control { .. })).count();
        assert!(!events.iter().any(|it| matches!(it, SctpEvent::Message { .. })), "{events:?}");
        let expected = if data_channels { (4, 0) } else { (0, 6) };
        assert_eq!((stage.sctp.counters().bad_dcep, controls), expected);
        stage.assert_alive();
    }
}

#[test]
fn without_data_channels_an_open_is_not_answered() {
    let mut stage = Stage::new(SctpConfig { data_channels: false, ..config() });
    let tsn = stage.next_tsn();
    assert_eq!(acks(&stage.send(&[data(WHOLE, tsn, 6, 0, 50, &open("chat"))])), [] as [u16; 0]);
    let control = SctpEvent::Control {
        stream: 6,
        message: Message { ppid: Ppid::DCEP, payload: open("chat").into() },
    };
    assert_eq!(stage.events(), [control]);
}

#[test]
fn a_label_of_maximum_length_is_accepted() {
    let mut stage = Stage::new(config());
    let label = "é".repeat(32_767);
    let message = open(&label);
    let pieces: Vec<&[u8]> = message.chunks(1000).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let flags = u8::from(index == 0) << 1 | u8::from(index + 1 == pieces.len());
        let tsn = stage.next_tsn();
        stage.send(&[data(flags, tsn, 1, 0, 50, piece)]);
    }
    let events = stage.events();
    let [SctpEvent::ChannelOpened { label: opened, .. }] = &events[..] else { panic!() };
    assert_eq!(*opened, label);
}

#[test]
fn repeated_opens_emit_channel_opened_once_per_stream() {
    let mut stage = Stage::new(config());
    let message = open("");
    for round in 0..40 {
        let opens: Vec<_> = (0..40)
            .map(|stream| {
                let tsn = stage.next_tsn();
                data(WHOLE, tsn, stream, round, 50, &message)
            })
            .collect();
        stage.send(&opens);
    }
    assert_eq!(stage.events().len(), 40);
    stage.assert_alive();
}

#[test]
fn a_channel_can_be_opened_again_after_it_was_closed() {
    let mut stage = Stage::new(config());
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 6, 0, 50, &open("one"))]);
    let ack = sack(stage.puppet.initial_tsn, 1 << 20, &[]);
    stage.send(&[ack]);
    let request = reset(stage.puppet.request, stage.puppet.initial_tsn.wrapping_sub(1), tsn, &[6]);
    let sent = stage.send(&[request]);
    stage.events();
    // The association has reset its side in return; the puppet performs that reset.
    let requests = sent.iter().filter(|c| c.kind == RECONFIG && c.value[1] == 13);
    let sequence: Vec<u8> = requests.flat_map(|c| c.value[4..8].to_vec()).collect();
    assert_eq!(sequence.len(), 4, "{sent:?}");
    let response = [&sequence[..], &[0, 0, 0, 1]].concat();
    stage.send(&[chunk(RECONFIG, 0, &parameter(16, &response))]);
    let tsn = stage.next_tsn();
    let sent = stage.send(&[data(WHOLE, tsn, 6, 0, 50, &open("two"))]);
    assert_eq!(acks(&sent), [6]);
    let events = stage.events();
    assert!(matches!(&events[..], [SctpEvent::ChannelOpened { label, .. }] if label == "two"));
}

#[test]
fn an_open_on_a_stream_that_the_peer_does_not_take_is_counted_and_not_answered() {
    let mut stage = Stage::with_streams(config(), (100, 10));
    for (stream, bad) in [(9, 0), (10, 1)] {
        let tsn = stage.next_tsn();
        let sent = stage.send(&[data(WHOLE, tsn, stream, 0, 50, &open("chat"))]);
        assert_eq!(acks(&sent).len() + bad, 1);
        assert_eq!(stage.sctp.counters().bad_dcep, bad as u64);
    }
}

#[test]
fn a_stream_that_the_peer_does_not_take_is_not_reset() {
    let mut stage = Stage::with_streams(config(), (100, 10));
    for (stream, expected) in [(10, 0), (9, 1)] {
        stage.sctp.open_stream(stream, Reliability::RELIABLE);
        stage.sctp.reset_stream(stream);
        let resets = stage.drain().iter().filter(|chunk| chunk.kind == RECONFIG).count();
        assert_eq!(resets, expected, "stream {stream}");
    }
}

#[test]
fn control_messages_that_are_not_taken_are_bounded() {
    let mut stage = Stage::new(SctpConfig { data_channels: false, ..config() });
    for ssn in 0..1200 {
        let tsn = stage.next_tsn();
        stage.send(&[data(WHOLE, tsn, 6, ssn, 50, &[0; 1000])]);
        stage.now += Duration::from_millis(5);
    }
    let dropped = stage.sctp.counters().packets_overload;
    let waiting = stage.events().len() as u64;
    assert_eq!(waiting + dropped, 1200);
    assert!((900..1000).contains(&waiting), "{waiting} of 1 MiB");
}
