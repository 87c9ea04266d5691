//! Hostile datagrams change no state, end no session, and get no answer larger than themselves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datasoup::proto::certificate::Certificate;
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsRole, Path};
use datasoup::proto::ice_lite::IceState;
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::transmit::Transmits;
use datasoup::sfu::contract::parameters::IceParameters;
use datasoup::sfu::event::TransportEvent;

use crate::common::client::Client;
use crate::common::lab::{Lab, binary, ours, text, theirs};
use crate::common::options;
use crate::common::sim::Random;

/// The period of the quota of STUN requests; see `proto/ice_lite/quota.rs`.
const QUOTA_PERIOD: Duration = Duration::from_millis(50);

/// Datagrams of all kinds that no peer sends.
fn garbage(ice: &IceParameters) -> Vec<Vec<u8>> {
    let wrong = IceParameters { password: "x".repeat(32), ..ice.clone() };
    let unknown = IceParameters { username_fragment: "y".repeat(32), ..ice.clone() };
    let mut random = Random(5);
    let mut all = vec![
        Vec::new(),
        vec![0],
        vec![0; 20],
        Client::check(&wrong, true),
        Client::check(&unknown, true),
        Client::check(&unknown, false)[..40].to_vec(),
        // A ClientHello's header, a ChangeCipherSpec, an alert, application data.
        [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4][..], &[1, 0, 0, 0]].concat(),
        [&[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[1]].concat(),
        [&[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..], &[2, 0]].concat(),
        [&[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 30][..], &[9; 30]].concat(),
    ];
    for first in 0..=255 {
        let mut bytes: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
        bytes.insert(0, first);
        all.push(bytes);
    }
    // A flood of usernames.
    for i in 0..500 {
        let random = IceParameters { username_fragment: format!("{i:032}"), ..ice.clone() };
        all.push(Client::check(&random, true));
    }
    all
}

#[test]
fn hostile_datagrams_change_nothing_and_are_not_amplified() {
    for shared in [false, true] {
        let (mut lab, router, server) = Lab::with_server();
        let (key, client) = lab.join_either(router, shared.then_some(server), 1);
        let (fresh, _) = lab.webrtc(router, 8, options::webrtc());
        let target = lab.clients[client].server;
        let ice = lab.clients[client].ice.clone();
        let before = (lab.dump(key), lab.dump(fresh));
        lab.host().events.clear();
        lab.clients[client].checks = false;
        lab.run_for(Duration::from_millis(500));

        for to in [target, ours(8)] {
            for datagram in garbage(&ice) {
                lab.strays.clear();
                let (_, sent) = lab.sent.get(&to).copied().unwrap_or_default();
                lab.inject(theirs(99), to, &datagram);
                lab.run_for(Duration::from_millis(11));
                let out = lab.sent.get(&to).copied().unwrap_or_default().1 - sent;
                assert!(out <= datagram.len() as u64, "{out} bytes for {}", datagram.len());
                assert!(lab.strays.iter().all(|it| it.to == theirs(99)));
            }
        }
        let after = (lab.dump(key), lab.dump(fresh));
        assert!(after == before, "{after:#?}");
        assert!(lab.host().events.is_empty(), "{:?}", lab.host().events);
        lab.clients[client].checks = true;

        let producer = lab.host().produce(key, 0);
        let direct = lab.host().direct(router);
        let (consumer, _) = lab.host().consume(direct, producer);
        lab.clients[client].send(0, text("still here"));
        lab.run_for(Duration::from_secs(1));
        assert_eq!(lab.host().messages(consumer), [text("still here")]);
    }
}

#[test]
fn garbage_from_the_clients_own_address_ends_no_session() {
    let (mut lab, router, server) = Lab::with_server();
    let (key, client) = lab.join_server(router, server, 1);
    let (other, _) = lab.join_server(router, server, 2);
    let ice = lab.clients[client].ice.clone();
    lab.host().events.clear();
    for datagram in garbage(&ice) {
        lab.inject(theirs(1), ours(9), &datagram);
        lab.run_for(Duration::from_millis(11));
    }
    for key in [key, other] {
        assert_eq!(lab.dump(key)["dtlsState"], "connected");
        assert_eq!(lab.dump(key)["sctpState"], "connected");
        assert_eq!(lab.ice_state(key), IceState::Completed);
    }
    assert!(lab.host().events.is_empty(), "{:?}", lab.host().events);
}

#[test]
fn a_check_with_another_clients_username_and_a_wrong_key_does_not_take_its_path() {
    let (mut lab, router, server) = Lab::with_server();
    let (a, alice) = lab.join_server(router, server, 1);
    let (b, bob) = lab.join_server(router, server, 2);
    let forged = IceParameters {
        username_fragment: lab.clients[bob].ice.username_fragment.clone(),
        password: lab.clients[alice].ice.password.clone(),
        ice_lite: true,
    };
    lab.inject(theirs(1), ours(9), &Client::check(&forged, true));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.clients[alice].refusals, [401]);
    assert_eq!(lab.dump(a)["iceSelectedTuple"]["remotePort"], 20_001);
    assert_eq!(lab.dump(b)["iceSelectedTuple"]["remotePort"], 20_002);
    let producer = lab.host().produce(a, 0);
    lab.host().consume(b, producer);
    lab.clients[alice].send(0, text("mine"));
    lab.expect("the message", |lab| lab.clients[bob].sctp.messages.len() == 1);
}

/// A well-formed ClientHello.
pub(crate) fn client_hello(now: Instant, to: SocketAddr) -> Vec<u8> {
    let context = Arc::new(DtlsContext::new(Certificate::generate().expect("a certificate")));
    let mut eve = Dtls::new(context, Path::Proved);
    eve.connect(now, DtlsRole::Server, Vec::new()).expect("the first call");
    eve.path_ready(now);
    let mut out = Transmits::default();
    eve.poll_transmit(Tuple::new(SocketId(0), to), &mut out);
    out.get(0).expect("a flight").1.to_vec()
}

#[test]
fn a_client_hello_from_elsewhere_does_not_race_the_real_one() {
    for shared in [false, true] {
        let (mut lab, router, server) = Lab::with_server();
        let (key, client) =
            if shared { lab.invite_to_server(router, server, 1) } else { lab.invite(router, 1) };
        let to = lab.clients[client].server;
        let hello = client_hello(lab.now, to);
        // The stranger sends before the client begins, and all the time while it connects.
        for _ in 0..300 {
            lab.inject(theirs(99), to, &hello);
            lab.run_for(Duration::from_millis(1));
        }
        assert!(lab.strays.is_empty(), "no answer");
        lab.connected(key, client);
        assert_eq!(lab.dump(key)["dtlsState"], "connected");
    }
}

#[test]
fn datagrams_for_unknown_sockets_are_dropped() {
    let (mut lab, router) = Lab::with_router();
    lab.join(router, 1);
    let socket = SocketId(u32::MAX);
    for datagram in [&[][..], &[0; 20], &[22; 100], &[200; 100]] {
        lab.sfu().handle_datagram(Tuple::new(socket, theirs(1)), datagram);
    }
    assert!(lab.sfu().flush().is_empty());
}

#[test]
fn records_that_are_not_the_peers_are_counted() {
    let (mut lab, router) = Lab::with_router();
    let (key, _) = lab.join(router, 1);
    let dropped = |lab: &mut Lab| lab.stats(key)["dtlsRecordsDropped"].as_u64().expect("a number");
    let before = dropped(&mut lab);
    // Application data that the peer has not sealed, and a ClientHello in the clear.
    let forged = [&[23, 254, 253, 0, 1, 0, 0, 0, 1, 0, 0, 0, 30][..], &[9; 30]].concat();
    let hello = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4][..], &[1, 0, 0, 0]].concat();
    for datagram in [&forged, &forged, &hello] {
        lab.inject(theirs(1), ours(1), datagram);
        lab.run_for(Duration::from_millis(100));
    }
    assert_eq!(dropped(&mut lab) - before, 3);
}

#[test]
fn datagrams_from_another_address_are_counted() {
    let (mut lab, router) = Lab::with_router();
    let (key, _) = lab.join(router, 1);
    for _ in 0..3 {
        lab.inject(theirs(99), ours(1), &[23; 100]);
    }
    let received = lab.stats(key)["bytesReceived"].clone();
    lab.run_for(Duration::from_millis(100));
    assert_eq!(lab.stats(key)["datagramsDropped"], 3);
    assert_eq!(lab.stats(key)["bytesReceived"], received);
}

#[test]
fn a_client_that_moves_with_every_packet_emits_once_a_turn() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    lab.host().transport_events(key);
    let ice = lab.clients[client].ice.clone();
    let socket = lab.host().socket(ours(1));
    for turn in 0..10u16 {
        for n in 0..90 {
            let check = Client::check(&ice, true);
            lab.sfu().handle_datagram(Tuple::new(socket, theirs(2 + (turn + n) % 3)), &check);
        }
        lab.flush();
        let events = lab.host().transport_events(key);
        let [TransportEvent::IceSelectedTuple(tuple)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(tuple.remote_port, theirs(2 + (turn + 89) % 3).port(), "the last one");
        assert_eq!(lab.dump(key)["iceSelectedTuple"]["remotePort"], tuple.remote_port);
        lab.run_for(QUOTA_PERIOD);
    }
}

#[test]
fn two_sessions_that_compete_for_a_path_emit_once_a_turn() {
    let (mut lab, router, server) = Lab::with_server();
    let (a, alice) = lab.join_server(router, server, 1);
    let (b, bob) = lab.join_server(router, server, 2);
    let checks = [alice, bob].map(|client| Client::check(&lab.clients[client].ice, true));
    lab.host().events.clear();
    let socket = lab.host().socket(ours(9));
    for _ in 0..10 {
        for check in checks.iter().cycle().take(91) {
            lab.sfu().handle_datagram(Tuple::new(socket, theirs(3)), check);
        }
        lab.flush();
        assert!(lab.host().transport_events(a).len() <= 2);
        assert!(lab.host().transport_events(b).len() <= 2);
        assert!(lab.host().events.is_empty(), "{:?}", lab.host().events);
        lab.run_for(QUOTA_PERIOD);
        lab.host().events.clear();
    }
}

#[test]
fn tuple_churn_leaves_a_transport_no_more_than_eight_tuples() {
    let (mut lab, router, server) = Lab::with_server();
    let (key, client) = lab.join_server(router, server, 1);
    let ice = lab.clients[client].ice.clone();
    let socket = lab.host().socket(ours(9));
    lab.host().events.clear();
    for n in 0..5000 {
        let check = Client::check(&ice, false);
        lab.sfu().handle_datagram(Tuple::new(socket, theirs(n)), &check);
    }
    lab.flush();
    assert_eq!(lab.host().events.len(), 0, "UDP has no connection to close");
    let valid = |lab: &mut Lab, n| lab.sfu().is_valid_tuple(Tuple::new(socket, theirs(n)));
    assert_eq!((0..5000).filter(|n| valid(&mut lab, *n)).count(), 8);
    assert!(valid(&mut lab, 1), "the selected tuple stays");
    lab.sfu().transport(key).expect("open").close();
    assert_eq!((0..5000).filter(|n| valid(&mut lab, *n)).count(), 0);
    lab.flush();
    assert_eq!(lab.host().events.len(), 0);
}

/// On a shared port a valid request moves its tuple to the transport that it names, so that a client
/// may use its port again. A client that can spoof the address of another one misuses that; this
/// test shows all that it achieves.
#[test]
fn a_tuple_stolen_with_a_spoofed_check_comes_back_with_the_next_check() {
    let (mut lab, router, server) = Lab::with_server();
    let (victim, alice) = lab.join_server(router, server, 1);
    let (thief, mallory) = lab.join_server(router, server, 2);
    let direct = lab.host().direct(router);
    let up = lab.host().produce(victim, 0);
    let (from_victim, _) = lab.host().consume(direct, up);
    let down = lab.host().produce(direct, 0);
    let (to_victim, _) = lab.host().consume(victim, down);
    let theft = Client::check(&lab.clients[mallory].ice, true);
    let before = lab.dump(victim);
    lab.run_for(Duration::from_secs(1));
    lab.host().events.clear();
    let secrets = lab.stats(thief)["bytesReceived"].clone();

    // Alice's next check is some time away, so that the theft lasts until then.
    lab.clients[alice].checks = false;
    lab.inject(theirs(1), ours(9), &theft);
    lab.run_for(Duration::from_millis(100));
    assert_eq!(lab.ice_state(victim), IceState::Disconnected);
    assert_eq!(lab.dump(thief)["iceSelectedTuple"]["remotePort"], 20_001);

    // Until that check her messages reach no session, the thief's included, and messages for her wait.
    lab.sfu().send(down, text("for Alice"), None);
    lab.clients[alice].send(0, text("from Alice"));
    lab.run_for(Duration::from_secs(1));
    assert!(lab.clients[alice].sctp.messages.is_empty());
    assert!(lab.host().messages(from_victim).is_empty());
    for key in [victim, thief] {
        let dump = lab.dump(key);
        assert_eq!(
            (&dump["dtlsState"], &dump["sctpState"]),
            (&before["dtlsState"], &before["sctpState"])
        );
    }
    assert_ne!(lab.stats(thief)["bytesReceived"], secrets, "they arrive, but nothing opens them");
    // The thief gets none of the messages.
    assert!(lab.clients[mallory].sctp.messages.is_empty());

    // Alice checks again, and no message is lost.
    lab.clients[alice].checks = true;
    lab.expect("both messages", |lab| lab.clients[alice].sctp.messages.len() == 1);
    lab.run_for(Duration::from_secs(5));
    assert_eq!(lab.host().messages(from_victim), [text("from Alice")]);
    assert_eq!(lab.clients[alice].sctp.messages[0].1, text("for Alice"));
    assert_eq!(lab.ice_state(victim), IceState::Completed);
    assert_eq!(lab.dump(victim)["iceSelectedTuple"], before["iceSelectedTuple"]);
    assert_eq!(lab.consumer_stats(to_victim)["messagesDropped"], 0);
    let events = lab.host().transport_events(victim);
    assert!(
        matches!(
            &events[..],
            [
                TransportEvent::IceState(IceState::Disconnected, Some(_)),
                TransportEvent::IceSelectedTuple(_),
                TransportEvent::IceState(IceState::Completed, None),
            ]
        ),
        "{events:?}"
    );
    // The thief's selected tuple is its own address or none, and never Alice's address.
    lab.run_for(Duration::from_secs(5));
    assert_ne!(lab.dump(thief)["iceSelectedTuple"]["remotePort"], 20_001);
}

#[test]
fn a_spoofed_address_gets_no_more_than_a_congestion_window() {
    let (mut lab, router, server) = Lab::with_server();
    let (thief, mallory) = lab.join_server(router, server, 2);
    let down = lab.source(router);
    lab.host().consume(thief, down);
    // A check with a spoofed source address directs the thief's data there.
    let theft = Client::check(&lab.clients[mallory].ice, true);
    lab.clients[mallory].frozen = true;
    lab.inject(theirs(77), ours(9), &theft);
    lab.run_for(Duration::from_millis(100));
    for _ in 0..100 {
        lab.sfu().send(down, binary(1, 10_000), None);
    }
    lab.strays.clear();
    lab.run_for(Duration::from_secs(120));
    let sent: usize = lab.strays.iter().map(|it| it.bytes.len()).sum();
    assert!(lab.strays.iter().all(|it| it.to == theirs(77)));
    // The bound allows for one congestion window, which is never acknowledged, and its retransmissions
    // until consent runs out.
    assert!(sent < 64 * 1024, "{sent} bytes to an address that asked for nothing");
    assert_eq!(lab.ice_state(thief), IceState::Disconnected);
}

#[test]
fn every_dropped_datagram_is_counted_by_the_layer_that_drops_it() {
    let (mut lab, router, server) = Lab::with_server();
    let (key, client) = lab.join_server(router, server, 1);
    let ice = lab.clients[client].ice.clone();
    let unknown = IceParameters { username_fragment: "y".repeat(32), ..ice.clone() };
    let wrong = IceParameters { password: "x".repeat(32), ..ice };
    let record = [&[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 30][..], &[9; 30]].concat();
    let plaintext = [&[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[1]].concat();
    let counts = |lab: &mut Lab| {
        lab.run_for(Duration::from_millis(100));
        let server = lab.sfu().webrtc_server(server).expect("open").dump().datagrams_dropped;
        let stats = lab.stats(key);
        let of = |name: &str| stats[name].as_u64().expect("a number");
        [server, of("datagramsDropped"), of("dtlsRecordsDropped")]
    };
    let before = counts(&mut lab);
    for (from, datagram, expected) in [
        // These datagrams belong to no transport.
        (theirs(99), Client::check(&unknown, true), [1, 0, 0]),
        (theirs(99), record.clone(), [1, 0, 0]),
        (theirs(99), vec![200; 20], [1, 0, 0]),
        (theirs(99), vec![], [1, 0, 0]),
        (theirs(1), vec![0x13, 0x88, 0x13, 0x88], [1, 0, 0]),
        // The username names a transport: once from another address, once from its client's.
        (theirs(99), Client::check(&wrong, true), [0, 1, 0]),
        (theirs(1), Client::check(&wrong, true), [0, 1, 0]),
        // The client's tuple sends a record that does not decrypt, one out of place, and truncated ones.
        (theirs(1), record.clone(), [0, 0, 1]),
        (theirs(1), plaintext, [0, 0, 1]),
        (theirs(1), record[..20].to_vec(), [0, 0, 1]),
        (theirs(1), [&record[..], &record, &record[..5]].concat(), [0, 0, 3]),
    ] {
        let before = counts(&mut lab);
        lab.inject(from, ours(9), &datagram);
        let after = counts(&mut lab);
        let counted: Vec<u64> = after.iter().zip(before).map(|(after, it)| after - it).collect();
        assert_eq!(counted, expected, "{datagram:?}");
    }
    // Good datagrams are not counted.
    let producer = lab.host().produce(key, 0);
    lab.host().consume(key, producer);
    let between = counts(&mut lab);
    for _ in 0..10 {
        lab.clients[client].send(0, text("there and back"));
        lab.run_for(Duration::from_secs(5));
    }
    assert_eq!(lab.clients[client].sctp.messages.len(), 10);
    assert_eq!((before[2], counts(&mut lab)), (0, between));
}
