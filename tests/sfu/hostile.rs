//! What strangers send changes nothing, ends nobody's session, and is never answered with more.

use std::time::Duration;

use datasoup::proto::ice_lite::IceState;
use datasoup::sfu::dump::SocketCounters;
use datasoup::sfu::transport::IceParameters;

use crate::client::Client;
use crate::conditions::Random;
use crate::lab::{Lab, ours, text, theirs};

/// Datagrams of all kinds from nobody.
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
fn datagrams_of_strangers_change_nothing_and_are_not_amplified() {
    for shared in [false, true] {
        let mut lab = Lab::new();
        let router = lab.host().router();
        let server = lab.host().server(ours(9));
        let (key, client) =
            if shared { lab.join_server(router, server, 1) } else { lab.join(router, 1) };
        let listen = lab.host().listen(ours(8));
        let listen = datasoup::sfu::transport::webrtc::WebRtcListen::Own(vec![listen]);
        let (fresh, _) = lab.host().webrtc_with(router, listen, crate::lab::webrtc_options());
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
fn garbage_from_the_clients_own_address_ends_nothing() {
    let mut lab = Lab::new();
    let router = lab.host().router();
    let server = lab.host().server(ours(9));
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
    let mut lab = Lab::new();
    let router = lab.host().router();
    let server = lab.host().server(ours(9));
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

#[test]
fn datagrams_for_unknown_sockets_are_dropped() {
    let mut lab = Lab::new();
    let router = lab.host().router();
    lab.join(router, 1);
    let socket = datasoup::proto::transmit::SocketId(u32::MAX);
    for datagram in [&[][..], &[0; 20], &[22; 100], &[200; 100]] {
        lab.sfu().handle_datagram(socket, theirs(1), datagram);
    }
    assert!(lab.sfu().flush().is_empty());
    assert_eq!(lab.sfu().dump(0, SocketCounters::default()).datagrams_dropped, 4);
}

#[test]
fn what_is_nobodys_on_a_shared_port_is_counted() {
    let mut lab = Lab::new();
    let router = lab.host().router();
    let server = lab.host().server(ours(9));
    let (_, client) = lab.join_server(router, server, 1);
    let unknown =
        IceParameters { username_fragment: "y".repeat(32), ..lab.clients[client].ice.clone() };
    for datagram in [&[22; 100][..], &[200; 100], &Client::check(&unknown, true)] {
        lab.inject(theirs(99), ours(9), datagram);
    }
    lab.run_for(Duration::from_millis(100));
    assert_eq!(lab.sfu().dump(0, SocketCounters::default()).datagrams_dropped, 3);
}

#[test]
fn records_that_are_not_the_peers_are_counted() {
    let mut lab = Lab::new();
    let router = lab.host().router();
    let (key, _) = lab.join(router, 1);
    let dropped = |lab: &mut Lab| lab.stats(key)["dtlsRecordsDropped"].as_u64().expect("a number");
    let before = dropped(&mut lab);
    // Application data that nobody has sealed; a ClientHello in the clear.
    let forged = [&[23, 254, 253, 0, 1, 0, 0, 0, 1, 0, 0, 0, 30][..], &[9; 30]].concat();
    let hello = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4][..], &[1, 0, 0, 0]].concat();
    for datagram in [&forged, &forged, &hello] {
        lab.inject(theirs(1), ours(1), datagram);
        lab.run_for(Duration::from_millis(100));
    }
    assert_eq!(dropped(&mut lab) - before, 3);
}

#[test]
fn datagrams_of_strangers_are_counted() {
    let mut lab = Lab::new();
    let router = lab.host().router();
    let (key, _) = lab.join(router, 1);
    for _ in 0..3 {
        lab.inject(theirs(99), ours(1), &[23; 100]);
    }
    let received = lab.stats(key)["bytesReceived"].clone();
    lab.run_for(Duration::from_millis(100));
    assert_eq!(lab.stats(key)["datagramsDropped"], 3);
    assert_eq!(lab.stats(key)["bytesReceived"], received);
}
