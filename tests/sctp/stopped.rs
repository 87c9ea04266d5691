//! Stopped streams, whose messages have arrived and wait.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use datasoup::proto::message::{Reliability, StreamId};
use datasoup::proto::sctp::{Association, EndReason, SctpConfig, SctpEvent, SctpState};

use crate::peers::{Pair, config, number, numbered, pair, pair_with};
use crate::puppet::*;
use crate::sim::{Conditions, Random};

const SECOND: Duration = Duration::from_secs(1);

/// How many messages of four bytes may wait to be taken.
const MANY: u32 = 15_000;

/// Two associations: B has received messages of A and has taken none. Message `n` is on the stream `stream(n)`.
fn waiting(count: u32, stream: impl Fn(u32) -> StreamId) -> Pair {
    let mut net = pair(Conditions::PERFECT, 1);
    net.b.is_busy = true;
    for n in 0..count {
        if !net.a.sctp.is_stream_free(stream(n)) {
            continue;
        }
        net.a.sctp.open_stream(stream(n), Reliability::RELIABLE);
    }
    for n in 0..count {
        net.a.sctp.send(net.now, stream(n), numbered(n, 4)).expect("room");
    }
    let all = count as usize * 68;
    let arrived = net.run_until(10 * SECOND, |net| net.b.sctp.bytes_held() >= all);
    assert!(arrived, "{} of {all}, {:?}", net.b.sctp.bytes_held(), net.b.sctp.end_reason());
    net
}

fn take(sctp: &mut Association) -> Option<(StreamId, u32)> {
    loop {
        match sctp.poll_event()? {
            SctpEvent::Message { stream, message } => return Some((stream, number(&message))),
            _ => continue,
        }
    }
}

/// An unoptimized build takes 0.1 s, and would take 15 s if all waiting messages moved for each one.
#[track_caller]
fn assert_soon(began: Instant) {
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it measures costs")]
fn one_message_at_a_time_costs_no_more_the_more_of_them_wait() {
    let mut net = waiting(MANY, |_| 1);
    let sctp = &mut net.b.sctp;
    let began = Instant::now();
    for n in 0..MANY {
        sctp.stop_stream(1);
        assert_eq!((sctp.next_message_stream(), sctp.has_message()), (None, false));
        assert!(sctp.resume_stream(1));
        assert_eq!(sctp.next_message_stream(), Some(1));
        assert_eq!(take(sctp), Some((1, n)));
    }
    assert_eq!(take(sctp), None);
    assert_soon(began);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it measures costs")]
fn a_stop_costs_no_more_the_more_of_other_streams_waits() {
    const STREAMS: StreamId = 5000;
    let stream = |n: u32| n as StreamId % STREAMS;
    let mut net = waiting(MANY, stream);
    let sctp = &mut net.b.sctp;
    let began = Instant::now();
    let before = sctp.bytes_held();
    for n in 0..STREAMS {
        while sctp.next_message_stream().is_none() && sctp.poll_event().is_some() {}
        assert_eq!(sctp.next_message_stream(), Some(n));
        sctp.stop_stream(n);
    }
    assert_eq!((take(sctp), sctp.bytes_held()), (None, before));
    for n in 0..STREAMS {
        assert!(sctp.resume_stream(n));
    }
    for n in 0..STREAMS {
        for n in (0..MANY).skip(usize::from(n)).step_by(usize::from(STREAMS)) {
            assert_eq!(take(sctp), Some((stream(n), n)));
        }
    }
    assert_eq!(sctp.bytes_held(), 0);
    assert_soon(began);
}

#[test]
fn each_stream_keeps_its_order_however_it_is_stopped_and_resumed() {
    const STREAMS: [StreamId; 3] = [0, 1, 2];
    for seed in 1..=40 {
        let mut random = Random(seed);
        let mut net = pair(Conditions::ROUGH, seed);
        net.b.is_busy = true;
        for stream in STREAMS {
            net.a.sctp.open_stream(stream, Reliability::RELIABLE);
        }
        let (mut sent, mut taken) = ([0_u32; 3], [0_u32; 3]);
        let (mut stopped, mut fences) = (BTreeSet::new(), Vec::new());
        let mut closed = BTreeSet::new();
        for step in 0..600 {
            let stream = STREAMS[random.index(3)];
            let place = usize::from(stream);
            match random.below(12) {
                0..3 if !closed.contains(&stream) => {
                    let len = 4 + random.index(3000);
                    if net.a.sctp.send(net.now, stream, numbered(sent[place], len)).is_ok() {
                        sent[place] += 1;
                    }
                }
                3..5 => {
                    net.b.sctp.stop_stream(stream);
                    stopped.insert(stream);
                }
                5..7 => {
                    assert_eq!(net.b.sctp.resume_stream(stream), stopped.remove(&stream));
                }
                7 => net.run_for(Duration::from_millis(random.below(300))),
                8 if step > 500 && net.a.sctp.buffered_amount(stream) == 0 => {
                    net.a.sctp.reset_stream(stream);
                    closed.insert(stream);
                }
                9 if net.b.sctp.fence_arrivals(stream, step) => fences.push(step),
                _ => {
                    if let Some(next) = net.b.sctp.next_message_stream() {
                        assert!(!stopped.contains(&next), "seed {seed}, step {step}");
                        assert!(net.b.sctp.has_message());
                    }
                    take_one(&mut net, &mut taken, &mut fences, &stopped);
                }
            }
        }
        for stream in STREAMS {
            assert_eq!(net.b.sctp.resume_stream(stream), stopped.remove(&stream));
        }
        for _ in 0..600 {
            net.run_for(Duration::from_millis(100));
            while take_one(&mut net, &mut taken, &mut fences, &stopped) {}
        }
        assert_eq!(taken, sent, "seed {seed}");
        assert!(fences.is_empty(), "seed {seed}: {fences:?} are not passed");
        assert!(net.b.sctp.bytes_held() < 1000, "seed {seed}: {}", net.b.sctp.bytes_held());
    }
}

/// Takes one event of B. Returns whether there was one.
fn take_one(
    net: &mut Pair,
    taken: &mut [u32; 3],
    fences: &mut Vec<u32>,
    stopped: &BTreeSet<StreamId>,
) -> bool {
    let Some(event) = net.b.sctp.poll_event() else { return false };
    match event {
        SctpEvent::Message { stream, message } => {
            assert!(!stopped.contains(&stream));
            let taken = &mut taken[usize::from(stream)];
            assert_eq!(number(&message), *taken);
            *taken += 1;
        }
        SctpEvent::ArrivalsTaken { fence } => {
            let place = fences.iter().position(|it| *it == fence);
            fences.remove(place.expect("it was set, and is passed once"));
        }
        _ => {}
    }
    true
}

#[test]
fn a_fence_of_arrivals_is_behind_what_has_arrived_on_its_stream_and_before_what_follows() {
    for stops in [false, true] {
        let mut net = waiting(100, |n| (n % 2) as StreamId);
        if stops {
            net.b.sctp.stop_stream(0);
        }
        assert!(net.b.sctp.fence_arrivals(0, 7));
        assert!(net.b.sctp.fence_arrivals(1, 8));
        for n in 100..120 {
            net.a.sctp.send(net.now, (n % 2) as StreamId, numbered(n, 4)).expect("room");
        }
        net.run_for(SECOND);
        let mut order = Vec::new();
        let mut collect = |sctp: &mut Association| {
            while let Some(event) = sctp.poll_event() {
                match event {
                    SctpEvent::Message { stream, .. } => order.push(u32::from(stream)),
                    SctpEvent::ArrivalsTaken { fence } => order.push(fence),
                    _ => {}
                }
            }
        };
        collect(&mut net.b.sctp);
        assert_eq!(net.b.sctp.resume_stream(0), stops);
        collect(&mut net.b.sctp);
        for (stream, fence) in [(0, 7), (1, 8)] {
            let place = order.iter().position(|it| *it == fence).expect("it is passed");
            let before = order[..place].iter().filter(|it| **it == stream).count();
            let after = order[place..].iter().filter(|it| **it == stream).count();
            assert_eq!(before + after, 60, "{order:?}");
            assert!((50..=51).contains(&before), "stops: {stops}, {before} of stream {stream}");
        }
        assert!(!net.b.sctp.fence_arrivals(0, 9), "nothing waits");
    }
}

#[test]
fn stopped_streams_keep_no_more_than_a_bound_beside_the_window() {
    const EACH: u32 = 60;
    let small = SctpConfig { max_receiver_window: 262_144, ..config() };
    let mut net = pair_with(config(), small, Conditions::PERFECT, 1);
    net.b.is_busy = true;
    let streams = 0..8;
    let mut sent = [0; 8];
    for stream in streams.clone() {
        net.a.sctp.open_stream(stream, Reliability::RELIABLE);
        let sent = &mut sent[usize::from(stream)];
        while *sent < EACH && net.a.sctp.send(net.now, stream, numbered(*sent, 10_000)).is_ok() {
            *sent += 1;
        }
        // The worker is busy in between, so messages wait when the stream is stopped.
        net.run_for(2 * SECOND);
        while let Some(stream) = net.b.sctp.next_message_stream() {
            net.b.sctp.stop_stream(stream);
        }
        let held = net.b.sctp.bytes_held();
        assert!(held < 1_900_000, "stream {stream}: {held}");
    }
    for stream in streams.clone() {
        net.b.sctp.resume_stream(stream);
    }
    let mut next = [0; 8];
    assert!(sent.iter().sum::<u32>() > 300, "more than the bound: {sent:?}");
    while next != sent {
        while let Some((stream, n)) = take(&mut net.b.sctp) {
            assert_eq!(next[usize::from(stream)], n, "stream {stream}");
            next[usize::from(stream)] += 1;
        }
        net.run_for(SECOND / 10);
    }
}

/// B has a receive window of 256 KiB and has stopped stream 1. In each round, A sends as many messages of 10,000 bytes
/// on it as `counts` says, or as fit its queue, and resets it once they have arrived.
fn reset_a_stopped_stream(counts: impl Iterator<Item = u32>) {
    let small = SctpConfig { max_receiver_window: 262_144, ..config() };
    let mut net = pair_with(config(), small, Conditions::PERFECT, 1);
    net.b.is_busy = true;
    net.b.sctp.stop_stream(1);
    let (mut sent, mut resets) = (0, 0);
    for (round, count) in counts.enumerate() {
        if net.a.sctp.is_stream_free(1) {
            net.a.sctp.open_stream(1, Reliability::RELIABLE);
            for _ in 0..count {
                if net.a.sctp.send(net.now, 1, numbered(sent, 10_000)).is_err() {
                    break;
                }
                sent += 1;
            }
        } else if net.a.sctp.buffered_amount(1) == 0 {
            net.a.sctp.reset_stream(1);
            resets += 1;
        }
        net.run_for(4 * SECOND);
        assert_eq!(take(&mut net.b.sctp), None, "the stream is stopped");
        let held = net.b.sctp.bytes_held();
        assert!(held < 1_500_000, "round {round}: {held} bytes of {sent} messages");
    }
    assert!(resets > 0, "of {sent} messages");
    assert!(net.b.sctp.resume_stream(1));
    for n in 0..sent {
        while net.b.sctp.next_message_stream().is_none() {
            net.run_for(SECOND / 10);
            if net.b.sctp.next_message_stream().is_none() {
                assert!(net.b.sctp.poll_event().is_some(), "message {n} of {sent}");
            }
        }
        assert_eq!(take(&mut net.b.sctp), Some((1, n)));
    }
    // The peer repeats a reset that was not answered.
    net.run_for(90 * SECOND);
    assert_eq!(take(&mut net.b.sctp), None);
    if net.a.sctp.buffered_amount(1) == 0 {
        net.a.sctp.reset_stream(1);
    }
    net.run_for(20 * SECOND);
    assert!(net.a.sctp.is_stream_free(1));
    assert!(net.b.sctp.bytes_held() < 1000, "{}", net.b.sctp.bytes_held());
}

#[test]
fn a_reset_is_answered_however_much_other_stopped_streams_keep() {
    let small = SctpConfig { max_receiver_window: 262_144, ..config() };
    let mut net = pair_with(config(), small, Conditions::PERFECT, 1);
    net.b.is_busy = true;
    [1, 2].into_iter().for_each(|stream| net.b.sctp.stop_stream(stream));
    net.a.sctp.open_stream(2, Reliability::RELIABLE);
    net.a.sctp.send(net.now, 2, numbered(0, 10_000)).expect("room");
    let mut sent = 0;
    let mut send = |net: &mut Pair, count: u32| {
        net.a.sctp.open_stream(1, Reliability::RELIABLE);
        for _ in 0..count {
            net.a.sctp.send(net.now, 1, numbered(sent, 10_000)).expect("room");
            sent += 1;
        }
        net.run_for(4 * SECOND);
        sent
    };
    // The last reset makes stopped streams keep more than they may beside the window.
    for _ in 0..6 {
        send(&mut net, 20);
        net.a.sctp.reset_stream(1);
        net.run_for(4 * SECOND);
        assert!(net.a.sctp.is_stream_free(1));
    }
    net.a.sctp.reset_stream(2);
    net.run_for(10 * SECOND);
    assert!(net.a.sctp.is_stream_free(2));
    // What follows has less room in the window.
    let sent = send(&mut net, 50);
    let held = net.b.sctp.bytes_held();
    assert!((1_300_000..1_450_000).contains(&held), "{held}");
    let mut next = [0; 2];
    for stream in [1, 2] {
        assert!(net.b.sctp.resume_stream(stream));
    }
    for _ in 0..100 {
        while let Some((stream, n)) = take(&mut net.b.sctp) {
            let next = &mut next[usize::from(stream) - 1];
            assert_eq!(n, *next, "stream {stream}");
            *next += 1;
        }
        net.run_for(SECOND / 10);
    }
    assert_eq!(next, [sent, 1]);
}

#[test]
fn a_stopped_stream_that_is_reset_again_and_again_keeps_no_more_than_a_bound() {
    reset_a_stopped_stream(std::iter::repeat_n(20, 16));
}

#[test]
fn what_follows_on_a_stopped_stream_that_was_reset_fills_the_window() {
    reset_a_stopped_stream([10, 0, 1000, 0, 0, 0].into_iter());
}

/// The SACKs among `sent`: the cumulative TSN, the window and the number of gap blocks.
fn sacks(sent: &[Seen]) -> Vec<(u32, u32, u16)> {
    let field = |it: &Seen, at: usize| u32::from_be_bytes(it.value[at..at + 4].try_into().unwrap());
    let sacks = sent.iter().filter(|it| it.kind == SACK);
    sacks.map(|it| (it.tsn(), field(it, 4), (field(it, 8) >> 16) as u16)).collect()
}

/// The peer of a window of 256 KiB has reset stopped streams that keep more than the bound and the window. With a gap,
/// the TSN before the puppet's last one has not arrived. Returns what was sent in the last turn, too.
fn overfilled(has_gap: bool) -> (Stage, Vec<Seen>) {
    let mut stage = Stage::new(SctpConfig { max_receiver_window: 262_144, ..config() });
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    let mut sent = Vec::new();
    for stream in 1..=7 {
        stage.sctp.stop_stream(stream);
        // The last ones just fit.
        let count = if stream < 7 { 200 } else { 96 };
        for first in (0..count).step_by(8) {
            let messages: Vec<_> = (first..first + 8)
                .map(|ssn| data(WHOLE, stage.next_tsn(), stream, ssn, 53, &[0; 1000]))
                .collect();
            stage.send(&messages);
            stage.now += Duration::from_millis(10);
        }
        let named = stage.puppet.tsn.wrapping_sub(1);
        if has_gap && stream == 7 {
            stage.next_tsn();
            let beyond = data(WHOLE, stage.next_tsn(), 100, 1, 53, b"second");
            stage.send(&[beyond]);
            stage.pass(SECOND);
        }
        sent = stage.send(&[reset(stage.puppet.request, last, named, &[stream])]);
        stage.puppet.request += 1;
        assert_eq!(take(&mut stage.sctp), None, "the stream is stopped");
    }
    (stage, sent)
}

#[test]
fn a_window_that_resets_have_shut_is_announced_and_each_probe_of_it_is_answered() {
    for has_gap in [false, true] {
        let (mut stage, sent) = overfilled(has_gap);
        let arrived = stage.puppet.tsn.wrapping_sub(if has_gap { 3 } else { 1 });
        let shut = [(arrived, 0, u16::from(has_gap))];
        assert_eq!(sacks(&sent), shut);
        let probe = arrived.wrapping_add(1);
        let first = [data(WHOLE, probe, 100, 0, 53, b"first")];
        for turn in 1..=5 {
            stage.now += SECOND;
            assert_eq!(sacks(&stage.send(&first)), shut, "gap: {has_gap}, turn {turn}");
            assert_eq!(stage.sctp.counters().packets_overload, turn);
        }
        for stream in 1..=7 {
            assert!(stage.sctp.resume_stream(stream));
        }
        while stage.sctp.poll_event().is_some() {}
        let open = sacks(&stage.drain());
        assert_eq!(open.len(), 1);
        let (cumulative, window, gaps) = open[0];
        assert_eq!((cumulative, gaps), (arrived, u16::from(has_gap)));
        assert!(window > 250_000, "{window}");
        stage.send(&first);
        let messages = stage.messages();
        assert_eq!(messages.len(), if has_gap { 2 } else { 1 });
        stage.puppet.tsn = probe.wrapping_add(if has_gap { 2 } else { 1 });
        stage.assert_alive();
    }
}

#[test]
fn the_sack_beside_data_that_the_shut_window_refuses_is_read() {
    let (mut stage, _) = overfilled(false);
    stage.sctp.open_stream(200, Reliability::RELIABLE);
    stage.sctp.send(stage.now, 200, numbered(0, 100)).expect("room");
    let sent = stage.drain();
    let sent = sent.iter().find(|chunk| chunk.kind == DATA).expect("the message");
    let refused = data(WHOLE, stage.puppet.tsn, 100, 0, 53, b"x");
    stage.send(&[sack(sent.tsn(), 1 << 20, &[]), refused]);
    assert_eq!(stage.sctp.counters().packets_overload, 1);
    assert_eq!(stage.sctp.delivered(), 100);
    assert_eq!(stage.pass(10 * SECOND).iter().filter(|it| it.kind == DATA).count(), 0);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it measures costs")]
fn fences_cost_no_more_the_more_of_them_and_of_messages_there_are() {
    const STREAMS: StreamId = 5000;
    let stream = |n: u32| n as StreamId % STREAMS;
    let mut net = waiting(MANY, stream);
    let sctp = &mut net.b.sctp;
    let began = Instant::now();
    for n in 0..MANY {
        assert!(sctp.fence_arrivals(stream(n), n));
    }
    let (mut taken, mut passed) = (0, 0);
    while let Some(event) = sctp.poll_event() {
        match event {
            SctpEvent::Message { .. } => taken += 1,
            SctpEvent::ArrivalsTaken { fence } => {
                assert_eq!((taken, fence), (MANY, passed));
                passed += 1;
            }
            _ => {}
        }
    }
    assert_eq!(passed, MANY);
    assert_soon(began);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "its thread has a small stack")]
fn an_end_reads_any_number_of_messages_that_are_too_large() {
    let test = || {
        let mut stage = Stage::new(SctpConfig { max_receive_message_size: 256, ..config() });
        stage.sctp.stop_stream(1);
        for first in (0..3000u16).step_by(4) {
            // sctp-proto has room for the PPID that some messages carry.
            let chunks: Vec<_> = (first..first + 4)
                .map(|ssn| data(WHOLE, stage.next_tsn(), 1, ssn, 53, &[0; 257]))
                .collect();
            stage.send(&chunks);
            stage.now += Duration::from_millis(10);
        }
        assert!(stage.sctp.bytes_held() > 2900 * 257, "they are left in sctp-proto");
        stage.send(&[chunk(ABORT, 0, &[0, 12, 0, 4])]);
        assert_eq!(stage.events(), [SctpEvent::State(SctpState::Closed)]);
        assert!(matches!(stage.sctp.end_reason(), Some(EndReason::PeerAbort(_))));
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(test).expect("a thread");
    thread.join().expect("the stack suffices");
}
