//! Plain transports: SCTP over UDP with one remote address.

use std::net::SocketAddr;
use std::time::Duration;

use datasoup::sfu::event::TransportEvent;
use datasoup::sfu::id::{DataConsumerKey, TransportKey};

use crate::common::dcsctp::DcSctp;
use crate::common::lab::{Lab, binary, ours, reasons, text, theirs};
use crate::common::options;

/// A worker with a plain transport, and with a direct one on the same router.
fn setup(comedia: bool) -> (Lab, TransportKey, TransportKey) {
    let (mut lab, router) = Lab::with_router();
    let listen = lab.host().listen(ours(1));
    let plain = lab.host().plain(router, listen, &options::plain(comedia));
    let direct = lab.host().direct(router);
    (lab, plain, direct)
}

/// What [`setup`] makes without comedia, with the transport connected to the first peer's address.
fn addressed() -> (Lab, TransportKey, TransportKey) {
    let (mut lab, plain, direct) = setup(false);
    lab.host().connect_udp(plain, theirs(1));
    (lab, plain, direct)
}

fn connect(lab: &mut Lab, key: TransportKey, to: SocketAddr) -> Result<(), String> {
    let connected = lab.sfu().transport(key).expect("open").connect_udp(options::udp_connect(to));
    connected.map(drop).map_err(|error| error.name().to_owned())
}

/// Adds the first peer, which sends the INIT, and waits until it is connected.
fn join(lab: &mut Lab) -> usize {
    let peer = lab.plain_peer(1, ours(1), true);
    lab.expect("a connection", |lab| lab.plain_peers[peer].sctp.is_connected());
    peer
}

/// Checks that a message of the peer reaches a direct DataConsumer.
#[track_caller]
fn assert_arrives(lab: &mut Lab, peer: usize, message: &str, consumer: DataConsumerKey) {
    lab.plain_peers[peer].sctp.send(0, text(message));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.host().messages(consumer), [text(message)]);
}

#[test]
fn messages_pass_both_ways_whichever_side_begins() {
    for they_begin in [true, false] {
        let (mut lab, key, direct) = addressed();
        let peer = lab.plain_peer(1, ours(1), they_begin);
        let up = lab.host().produce(key, 3);
        let (consumer, _) = lab.host().consume(direct, up);
        let down = lab.host().produce(direct, 0);
        lab.host().consume(key, down);
        lab.sfu().send(down, text("down"), None);
        lab.expect("a connection", |lab| lab.plain_peers[peer].sctp.is_connected());
        lab.plain_peers[peer].sctp.send(3, text("up"));
        lab.run_for(Duration::from_secs(2));
        assert_eq!(lab.plain_peers[peer].sctp.messages, [(0, text("down"))]);
        assert_eq!(lab.host().messages(consumer), [text("up")]);
        assert_eq!(lab.stats(key)["sctpState"], "connected");
    }
}

#[test]
fn connect_is_accepted_once_and_for_the_address_family_of_the_socket() {
    let (mut lab, key, direct) = setup(false);
    let v6 = "[2001:db8::1]:1".parse().expect("an address");
    assert_eq!(connect(&mut lab, key, v6), Err("TypeError".into()));
    assert_eq!(connect(&mut lab, key, theirs(1)), Ok(()));
    assert_eq!(connect(&mut lab, key, theirs(1)), Err("Error".into()));
    assert_eq!(lab.dump(key)["tuple"]["remotePort"], 20_001);
    assert_eq!(connect(&mut lab, direct, theirs(1)), Err("TypeError".into()));
}

#[test]
fn datagrams_from_elsewhere_are_dropped_and_counted() {
    let (mut lab, key, _) = addressed();
    lab.plain_peer(2, ours(1), true);
    lab.run_for(Duration::from_secs(1));
    assert!(!lab.sent.contains_key(&ours(1)), "no answer");
    assert!(lab.stats(key)["datagramsDropped"].as_u64() > Some(0));
    assert_eq!(lab.stats(key)["sctpState"], "new");
}

#[test]
fn nothing_is_sent_before_there_is_something_to_carry() {
    let (mut lab, _, _) = addressed();
    lab.run_for(Duration::from_secs(10));
    assert!(lab.sent.is_empty());
    assert_eq!(lab.sfu().poll_timeout(), None);
}

#[test]
fn comedia_learns_the_address_from_the_peer_that_opens_an_association() {
    let (mut lab, key, direct) = setup(true);
    let up = lab.host().produce(key, 0);
    let (consumer, _) = lab.host().consume(direct, up);
    lab.run_for(Duration::from_secs(300));
    assert_eq!(lab.stats(key)["sctpState"], "new", "the association waits without a deadline");
    assert_eq!(connect(&mut lab, key, theirs(7)), Ok(()), "accepted and ignored");

    let peer = join(&mut lab);
    let events = lab.host().transport_events(key);
    let tuples = events.iter().filter_map(|event| match event {
        TransportEvent::Tuple(tuple) => Some(tuple.remote_port),
        _ => None,
    });
    assert_eq!(tuples.collect::<Vec<_>>(), [20_001]);
    assert_eq!(lab.dump(key)["tuple"]["remotePort"], 20_001);
    assert_arrives(&mut lab, peer, "up", consumer);

    // The transport learns one address only: a second peer cannot connect.
    let late = lab.plain_peer(2, ours(1), true);
    lab.run_for(Duration::from_secs(2));
    assert!(!lab.plain_peers[late].sctp.is_connected());
    assert_eq!(lab.dump(key)["tuple"]["remotePort"], 20_001);
}

#[test]
fn comedia_does_not_learn_from_datagrams_that_open_no_association() {
    let (mut lab, key, direct) = setup(true);
    let down = lab.host().produce(direct, 0);
    lab.host().consume(key, down);
    lab.sfu().send(down, text("early"), None);

    for datagram in [&[][..], &[0; 60], &[0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        lab.inject(theirs(7), ours(1), datagram);
    }
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.stats(key)["sctpState"], "new");
    assert_eq!(lab.stats(key)["datagramsDropped"], 3);

    // An INIT with a wrong checksum arrives, then a valid INIT from a peer that disappears.
    let mut forged = vec![0; 32];
    forged[12] = 1;
    forged[15] = 20;
    lab.inject(theirs(8), ours(1), &forged);
    let scanner = lab.plain_peer(9, ours(1), true);
    lab.flush();
    lab.plain_peers[scanner].frozen = true;
    lab.run_for(Duration::from_secs(100));
    assert_ne!(lab.stats(key)["sctpState"], "failed");
    assert_eq!(lab.dump(key)["tuple"].get("remoteIp"), None, "no address was learned");
    assert!(lab.strays.iter().all(|it| it.to != theirs(8)));

    let peer = lab.plain_peer(1, ours(1), true);
    lab.expect("a message", |lab| lab.plain_peers[peer].sctp.messages.len() == 1);
    assert_eq!(lab.dump(key)["tuple"]["remotePort"], 20_001);
}

#[test]
fn an_association_without_an_answer_fails_and_the_transport_stays() {
    let (mut lab, key, direct) = addressed();
    let down = lab.host().produce(direct, 0);
    let (consumer, _) = lab.host().consume(key, down);
    lab.sfu().send(down, text("1"), None);
    lab.run_for(Duration::from_secs(120));
    assert_eq!(lab.stats(key)["sctpState"], "failed");
    lab.sfu().send(down, text("2"), None);
    lab.flush();
    assert_eq!(lab.consumer_stats(consumer)["messagesDropped"], 1);
    assert_eq!(lab.stats(key)["messagesUnsent"], 1);
    assert_eq!(lab.consumer_stats(consumer)["bufferedAmount"], 0);
    assert_eq!(lab.sfu().poll_timeout(), None);
}

#[test]
fn closing_aborts_the_association() {
    let (mut lab, key, _) = setup(true);
    let peer = join(&mut lab);
    lab.sfu().transport(key).expect("open").close();
    lab.run_for(Duration::from_secs(1));
    assert!(lab.plain_peers[peer].sctp.aborted);
    assert_eq!(lab.host().released.len(), 1);
}

#[test]
fn a_peer_that_disappears_is_noticed_idle_or_not() {
    for idle in [true, false] {
        let (mut lab, key, direct) = addressed();
        let peer = lab.plain_peer(1, ours(1), true);
        let down = lab.host().produce(direct, 0);
        let (consumer, _) = lab.host().consume(key, down);
        lab.expect("a connection", |lab| lab.sctp_connected(key));
        lab.host().transport_events(key);

        lab.plain_peers[peer].frozen = true;
        if !idle {
            for _ in 0..10 {
                lab.sfu().send(down, binary(1, 100_000), None);
            }
        }
        lab.run_for(Duration::from_secs(38));
        assert_eq!(lab.stats(key)["sctpState"], "connected");
        lab.run_for(Duration::from_secs(20));
        assert_eq!(
            reasons(&lab.host().transport_events(key)),
            ["sctp failed peer-silent: the peer answered no HEARTBEAT"]
        );
        // Of the ten messages, if there were any, some had been sent before the association failed.
        let unsent = lab.stats(key)["messagesUnsent"].as_u64().expect("a number");
        assert!(if idle { unsent == 0 } else { (5..10).contains(&unsent) }, "{unsent}");
        lab.sfu().send(down, text("too late"), None);
        lab.flush();
        assert_eq!(lab.consumer_stats(consumer)["messagesDropped"], 1);
        assert_eq!(lab.consumer_stats(consumer)["bufferedAmount"], 0);
        assert_eq!(lab.sfu().poll_timeout(), None, "no timer runs");
    }
}

#[test]
fn a_silent_peer_that_is_alive_stays_connected() {
    let (mut lab, key, direct) = addressed();
    let up = lab.host().produce(key, 0);
    let (consumer, _) = lab.host().consume(direct, up);
    let peer = join(&mut lab);
    let (before, _) = lab.sent[&ours(1)];
    lab.run_for(Duration::from_secs(3600));
    assert_eq!(lab.stats(key)["sctpState"], "connected");
    // dcsctp sends a HEARTBEAT every 30 s as well. Each HEARTBEAT, whichever side sends it, makes our side
    // send one packet.
    let sent = lab.sent[&ours(1)].0 - before;
    assert!(sent <= 3600 / 15 + 3600 / 30, "{sent} packets in an hour");
    assert_arrives(&mut lab, peer, "still here", consumer);
}

#[test]
fn packets_with_a_spoofed_source_end_no_association() {
    let (mut lab, key, direct) = addressed();
    let up = lab.host().produce(key, 0);
    let (consumer, _) = lab.host().consume(direct, up);
    let peer = join(&mut lab);
    lab.host().events.clear();

    // An attacker that sees no packet does not know the verification tag, which an INIT does not need.
    let mut forger = DcSctp::new(lab.now);
    forger.connect(lab.now);
    let mut forged: Vec<Vec<u8>> = forger.packets().iter().map(|it| it.to_vec()).collect();
    for kind in 0..=14 {
        // One packet per chunk type, with the ports of the peer's packets but a wrong tag.
        let mut packet = vec![0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0, 0, 0, 0, kind, 0, 0, 20];
        packet.resize(12 + 20, 7);
        forged.push(packet);
    }
    for datagram in &forged {
        lab.inject(theirs(1), ours(1), datagram);
        lab.run_for(Duration::from_millis(100));
    }
    assert!(lab.host().events.is_empty(), "{:?}", lab.host().events);
    let stats = lab.stats(key);
    let dropped: u64 = ["sctpPacketsForeign", "sctpPacketsUnexpected", "sctpPacketsMalformed"]
        .iter()
        .filter_map(|reason| stats[reason].as_u64())
        .sum();
    assert_eq!(dropped, forged.len() as u64, "{stats}");
    assert_arrives(&mut lab, peer, "still here", consumer);
}
