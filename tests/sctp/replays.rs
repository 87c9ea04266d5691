//! Packets that the network duplicates, delays or delivers again much later, and packets of an earlier association:
//! they change only counters.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use datasoup::proto::message::{Limit, Message, Ppid, Reliability};
use datasoup::proto::sctp::{Association, Retransmitted, SctpConfig, SctpEvent, SctpState, Start};

use crate::peers::{Ours, Pair, config, numbered};
use crate::puppet::*;
use crate::sim::{Conditions, Net, Random, Side};

const DELAY: Duration = Duration::from_millis(10);

/// Two of ours, before the handshake.
fn peers(starts: [Start; 2]) -> Pair {
    let [a, b] = starts.map(|start| Ours::new(SctpConfig { start, ..config() }));
    Net::new(a, b, Conditions { delay: DELAY, ..Conditions::PERFECT }, 1)
}

fn connect(net: &mut Pair) {
    net.a.sctp.connect(net.now);
    net.b.sctp.connect(net.now);
    let up = |net: &mut Pair| net.a.is_connected() && net.b.is_connected();
    assert!(net.run_until(Duration::from_secs(30), up));
}

/// What the application of one side gets: the messages of each stream, and the other events.
type Delivered = (Vec<Vec<Message>>, Vec<SctpEvent>);

/// The outcome of a session, for both sides.
struct Outcome {
    delivered: [Delivered; 2],
    /// The chunks that each side sent again, and how many of these were needless.
    sent_again: [(Retransmitted, u64); 2],
    abandoned: [u64; 2],
}

const LOST: &[u8] = b"the network loses this";

/// A session with every kind of chunk: channels carry messages both ways, some are abandoned, and a stream is closed
/// and used again. With `replays`, each packet arrives three times, together with a random earlier one.
fn session(starts: [Start; 2], replays: bool) -> (Outcome, BTreeSet<u8>) {
    let mut net = peers(starts);
    net.filter = Some(Box::new(|_, packet| !packet.windows(LOST.len()).any(|it| it == LOST)));
    let history: Rc<RefCell<[Vec<Bytes>; 2]>> = Rc::default();
    let (record, mut random) = (history.clone(), Random(7));
    net.link = Some(Box::new(move |side, packet| {
        let earlier = &mut record.borrow_mut()[side as usize];
        earlier.push(packet.clone());
        let mut arrivals = vec![(DELAY, packet.clone())];
        if replays {
            arrivals
                .extend([1, 7].map(|late| (DELAY + Duration::from_millis(late), packet.clone())));
            let late = DELAY + Duration::from_millis(random.below(100));
            arrivals.push((late, earlier[random.index(earlier.len())].clone()));
        }
        arrivals
    }));
    connect(&mut net);
    let once = Reliability { ordered: true, limit: Some(Limit::Retransmits(0)) };
    for round in 0..3 {
        for side in [&mut net.a, &mut net.b] {
            side.sctp.open_stream(1, Reliability::RELIABLE);
            side.sctp.open_stream(2, once);
            for number in 0..20 {
                let message = numbered(100 * round + number, 500 + 300 * number as usize);
                side.sctp.send(net.now, 1, message).expect("room");
            }
        }
        net.run_for(Duration::from_secs(1));
        for (stream, payload) in [(2, [LOST, &[0; 400]].concat()), (2, vec![1; 400])] {
            for side in [&mut net.a, &mut net.b] {
                let message = Message::new(Ppid::BINARY, payload.clone().into());
                side.sctp.send(net.now, stream, message).expect("room");
            }
            net.run_for(Duration::from_secs(1));
        }
        net.a.sctp.reset_stream(1);
        let is_reset = |net: &mut Pair| net.b.saw(&SctpEvent::StreamReset { stream: 1 });
        assert!(net.run_until(Duration::from_secs(5), is_reset));
        net.b.sctp.reset_stream(1);
        net.run_for(Duration::from_secs(15));
        assert!(net.a.sctp.is_stream_free(1) && net.b.sctp.is_stream_free(1));
    }
    let history = history.take();
    let kinds = history.iter().flatten().flat_map(|it| chunks(it)).map(|it| it.kind).collect();
    let delivered = [&mut net.a, &mut net.b].map(|side| {
        let messages = side.take_messages();
        let of =
            |stream| messages.iter().filter(|it| it.0 == stream).map(|it| it.1.clone()).collect();
        let others = side.events.drain(..);
        let others = others.filter(|it| !matches!(it, SctpEvent::BufferedAmountLow { .. }));
        ([1, 2].map(of).to_vec(), others.collect())
    });
    let sides = [&net.a.sctp, &net.b.sctp];
    assert!(sides.iter().all(|it| it.state() == SctpState::Connected && it.bytes_held() == 0));
    let sent_again = sides.map(|it| it.retransmissions());
    let abandoned = sides.map(|it| it.counters().abandoned.messages);
    (Outcome { delivered, sent_again, abandoned }, kinds)
}

#[test]
fn packets_that_arrive_again_now_or_much_later_change_nothing() {
    for starts in [[Start::AtOnce, Start::AfterSilence], [Start::AtOnce; 2]] {
        let (once, kinds) = session(starts, false);
        let (again, _) = session(starts, true);
        let all = [DATA, INIT, INIT_ACK, SACK, COOKIE_ECHO, COOKIE_ACK, RECONFIG, FORWARD_TSN];
        assert!(all.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
        assert_eq!(once.delivered[0].0[0].len(), 60);
        assert_eq!((once.sent_again, once.abandoned), (Default::default(), [3; 2]));
        assert_eq!((again.sent_again, again.abandoned), (once.sent_again, once.abandoned));
        assert!(again.delivered == once.delivered, "the applications see something else");
    }
}

/// The part of the association's state that the application or the peer can see.
fn state(sctp: &mut Association) -> impl PartialEq + std::fmt::Debug + use<> {
    let streams: Vec<bool> = (0..5).map(|stream| sctp.is_stream_free(stream)).collect();
    let held = (sctp.bytes_held(), sctp.queued_bytes(), sctp.negotiated_streams());
    (sctp.state(), sctp.transmission(), streams, held)
}

/// Sends `chunks` once, and then repeatedly: nothing changes any more, and only `answer` is sent. Returns what was sent
/// the first time.
#[track_caller]
fn assert_idempotent(stage: &mut Stage, chunks: &[Vec<u8>], answer: &[u8]) -> Vec<Seen> {
    let first = stage.send(chunks);
    stage.events();
    let before = state(&mut stage.sctp);
    for _ in 0..3 {
        let sent = stage.send(chunks);
        assert!(sent.iter().all(|chunk| answer.contains(&chunk.kind)), "{sent:?}");
        assert_eq!(stage.events(), []);
        assert_eq!(state(&mut stage.sctp), before);
    }
    first
}

/// The peer's answer "performed" to our request among these packets.
fn answer(sent: &[Seen]) -> Vec<u8> {
    let is_request = |chunk: &&Seen| chunk.kind == RECONFIG && chunk.value[..2] == [0, 13];
    let request = sent.iter().find(is_request).expect("a request to reset a stream");
    let answer = [&request.value[4..8], &[0, 0, 0, 1]].concat();
    chunk(RECONFIG, 0, &parameter(16, &answer))
}

#[test]
fn a_chunk_of_the_peer_that_comes_again_changes_nothing() {
    let mut stage = Stage::new(config());
    let last = stage.puppet.initial_tsn.wrapping_sub(1);
    stage.sctp.open_stream(1, Reliability::RELIABLE);
    for number in 0..4 {
        stage.sctp.send(stage.now, 1, numbered(number, 1100)).expect("room");
    }
    stage.drain();

    let tsn = stage.next_tsn();
    assert_idempotent(&mut stage, &[data(WHOLE, tsn, 3, 0, 51, b"in order")], &[SACK]);
    let skipped = stage.next_tsn();
    let beyond = stage.next_tsn();
    let unordered = data(WHOLE | UNORDERED, beyond, 3, 0, 51, b"beyond a gap");
    assert_idempotent(&mut stage, &[unordered], &[SACK]);
    let forward = [&skipped.to_be_bytes()[..], &[0, 3, 0, 1]].concat();
    assert_idempotent(&mut stage, &[chunk(FORWARD_TSN, 0, &forward)], &[SACK]);

    // A repeated SACK sends nothing; one that was overtaken changes nothing even the first time.
    assert_idempotent(&mut stage, &[sack(last.wrapping_add(1), 1 << 20, &[(2, 2)])], &[]);
    assert_idempotent(&mut stage, &[sack(last.wrapping_add(4), 1 << 20, &[])], &[]);
    let before = state(&mut stage.sctp);
    assert_idempotent(&mut stage, &[sack(last.wrapping_add(1), 0, &[(2, 2)])], &[]);
    assert_eq!(state(&mut stage.sctp), before);

    // A repeated request to reset a stream is answered, but not performed, even after the stream is in use again.
    let request = stage.puppet.request;
    stage.puppet.request += 1;
    let reset = [reset(request, 0, beyond, &[3])];
    let mut ours = assert_idempotent(&mut stage, &reset, &[RECONFIG]);
    // We reset our side in return.
    ours.extend(stage.pass(Duration::from_secs(1)));
    assert_idempotent(&mut stage, &[answer(&ours)], &[]);
    let tsn = stage.next_tsn();
    stage.send(&[data(WHOLE, tsn, 3, 0, 51, b"again")]);
    assert_eq!(stage.messages().len(), 1);
    assert_idempotent(&mut stage, &reset, &[RECONFIG]);

    // The answer to a request of ours.
    stage.sctp.reset_stream(1);
    let ours = stage.drain();
    assert_idempotent(&mut stage, &[answer(&ours)], &[]);
    stage.assert_alive();
}

#[test]
fn a_chunk_of_the_handshake_that_comes_again_changes_nothing() {
    let mut stage = Stage::new(config());
    let echo = [chunk(COOKIE_ECHO, 0, &stage.puppet.cookie)];
    assert_idempotent(&mut stage, &echo, &[COOKIE_ACK]);
    assert_idempotent(&mut stage, &[chunk(COOKIE_ACK, 0, &[])], &[]);
    for streams in [(u16::MAX, u16::MAX), (3, 3)] {
        let again = stage.puppet.init(streams, &extensions());
        let before = state(&mut stage.sctp);
        assert_eq!(stage.inject(again), []);
        let ack = stage.puppet.init_ack(streams);
        assert_eq!(stage.inject(ack), []);
        assert_eq!(state(&mut stage.sctp), before);
    }
    stage.assert_alive();
}

#[test]
fn packets_of_an_earlier_association_change_nothing_in_either_state() {
    let starts = [Start::AtOnce, Start::AfterSilence];
    let mut net = peers(starts);
    net.trace = Some(Vec::new());
    connect(&mut net);
    for side in [&mut net.a, &mut net.b] {
        side.sctp.open_stream(1, Reliability::RELIABLE);
        for number in 0..20 {
            side.sctp.send(net.now, 1, numbered(number, 2000)).expect("room");
        }
    }
    net.run_for(Duration::from_secs(1));
    net.a.sctp.reset_stream(1);
    net.run_for(Duration::from_secs(1));
    let old = net.trace.take().expect("it was asked for");

    let replay = |net: &mut Pair| {
        for (_, side, packet) in &old {
            let receiver = if *side == Side::A { &mut net.b } else { &mut net.a };
            receiver.sctp.handle_packet(net.now, packet.clone());
        }
    };
    let mut net = peers(starts);
    replay(&mut net);
    net.a.sctp.connect(net.now);
    net.b.sctp.connect(net.now);
    replay(&mut net);
    connect(&mut net);
    assert_eq!(net.a.states(), [SctpState::Connecting, SctpState::Connected]);
    for side in [&mut net.a, &mut net.b] {
        side.sctp.open_stream(1, Reliability::RELIABLE);
        side.sctp.send(net.now, 1, numbered(0, 2000)).expect("room");
    }
    replay(&mut net);
    net.run_for(Duration::from_secs(1));
    replay(&mut net);
    for side in [&mut net.a, &mut net.b] {
        assert_eq!(side.take_messages(), [(1, numbered(0, 2000))]);
        assert!(!side.saw(&SctpEvent::StreamReset { stream: 1 }));
        assert_eq!(side.states(), [SctpState::Connecting, SctpState::Connected]);
        assert!(side.sctp.counters().packets_foreign > 0);
    }
}
