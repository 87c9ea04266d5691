//! WebRtcServer: one port, many transports.

use std::time::Duration;

use datasoup::proto::ice_lite::IceState;
use datasoup::proto::message::{Message, Ppid};
use datasoup::sfu::transport::webrtc::WebRtcListen;

use crate::common::client::Client;
use crate::common::lab::{Lab, ours, text, theirs};
use crate::common::options;

#[test]
fn clients_on_one_port_are_distinguished() {
    let (mut lab, router, server) = Lab::with_server();
    let direct = lab.host().direct(router);
    let mut consumers = Vec::new();
    for n in 1..=5 {
        let (key, client) = lab.join_server(router, server, n);
        let producer = lab.host().produce(key, 0);
        let (consumer, _) = lab.host().consume(direct, producer);
        consumers.push((client, consumer));
    }
    for (client, _) in &consumers {
        lab.clients[*client].send(0, text(&format!("from {client}")));
    }
    lab.run_for(Duration::from_secs(1));
    for (client, consumer) in consumers {
        assert_eq!(lab.host().messages(consumer), [text(&format!("from {client}"))]);
    }
    let dump = lab.sfu().webrtc_server(server).expect("open").dump();
    assert_eq!(dump.web_rtc_transport_ids.len(), 5);
    assert_eq!(dump.local_ice_username_fragments.len(), 5);
    assert_eq!((dump.udp_sockets.len(), dump.tcp_servers.len()), (1, 0));
}

#[test]
fn a_request_on_one_server_for_a_transport_of_another_is_dropped() {
    let (mut lab, router) = Lab::with_router();
    let servers = [1, 2].map(|n| lab.host().server(ours(n)));
    let (key, client) = lab.join_server(router, servers[0], 1);
    let check = Client::check(&lab.clients[client].ice, true);
    let dropped = |lab: &mut Lab, server| {
        lab.sfu().webrtc_server(server).expect("open").dump().datagrams_dropped
    };
    let (from, before) = (theirs(9), lab.stats(key));

    lab.inject(from, ours(2), &check);
    lab.run_for(Duration::from_millis(100));
    assert_eq!(servers.map(|it| dropped(&mut lab, it)), [0, 1]);
    let after = lab.stats(key);
    for unchanged in ["bytesReceived", "bytesSent", "datagramsDropped", "iceSelectedTuple"] {
        assert_eq!(before[unchanged], after[unchanged], "{unchanged}");
    }
    assert!(lab.strays.iter().all(|it| it.to != from), "the request is not answered");

    // The same request is valid on the server of its transport.
    lab.inject(from, ours(1), &check);
    lab.run_for(Duration::from_millis(100));
    assert_eq!(servers.map(|it| dropped(&mut lab, it)), [0, 1]);
    assert!(lab.strays.iter().any(|it| it.to == from), "the request is answered");
}

#[test]
fn a_client_may_use_its_port_again_for_another_session() {
    let (mut lab, router, server) = Lab::with_server();
    let (old, client) = lab.join_server(router, server, 1);
    let (bystander, _) = lab.join_server(router, server, 2);
    // As when the tab is reloaded, the client sends no close_notify and comes back from the same port.
    lab.clients.remove(client);
    let (new, client) = lab.join_server(router, server, 1);
    assert_eq!(
        lab.ice_state(old),
        IceState::Disconnected,
        "the old transport has lost its only path"
    );
    assert_eq!(lab.ice_state(bystander), IceState::Completed);

    let producer = lab.host().produce(new, 0);
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, producer);
    lab.clients[client].send(0, text("again"));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.host().messages(consumer), [text("again")]);
    // Closing the old transport does not take the path from the new one.
    lab.sfu().transport(old).expect("open").close();
    lab.clients[client].send(0, text("and again"));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.host().messages(consumer), [text("and again")]);
}

#[test]
fn a_closed_server_takes_its_transports_with_it_and_no_others() {
    let (mut lab, router, server) = Lab::with_server();
    let (shared, _) = lab.join_server(router, server, 1);
    let (own, _) = lab.join(router, 2);
    lab.sfu().webrtc_server(server).expect("open").close();
    assert!(lab.sfu().transport(shared).is_err());
    assert!(lab.sfu().transport(own).is_ok());
    assert!(lab.sfu().webrtc_server(server).is_err());
    let dump = lab.sfu().router(router).expect("open").dump();
    assert_eq!(dump.transport_ids.len(), 1);
    let key = datasoup::sfu::id::TransportKey(lab.host().key());
    let listen = WebRtcListen::Server(server);
    let error = lab
        .sfu()
        .router(router)
        .expect("open")
        .create_webrtc_transport(key, &options::webrtc(), listen)
        .expect_err("the server is gone");
    assert_eq!(error.name(), "Error");
    lab.flush();
    assert_eq!(lab.host().released.len(), 1);
}

#[test]
fn the_senders_of_a_crowded_socket_share_its_room_and_those_of_another_socket_do_not() {
    const CLIENTS: usize = 4;
    /// How many bytes the senders of the crowded socket share.
    const ROOM: usize = 40_000;
    let (mut lab, router) = Lab::with_router();
    let crowded = lab.host().server(ours(1));
    let other = lab.host().server(ours(2));
    let direct = lab.host().direct(router);
    let mut received = Vec::new();
    for n in 0..=CLIENTS {
        let server = if n < CLIENTS { crowded } else { other };
        let (key, client) = lab.join_server(router, server, n as u16 + 1);
        let producer = lab.host().produce(key, 0);
        received.push(lab.host().consume(direct, producer).0);
        for _ in 0..2000 {
            lab.clients[client].send(0, Message::new(Ppid::BINARY, vec![0; 1000].into()));
        }
    }
    // Packets come one by one, so that each pair is acknowledged.
    lab.conditions().rate = Some(2_000_000);
    let rtt = 2 * lab.conditions().delay;
    let rates = |lab: &mut Lab, crowded: bool| {
        let socket = lab.host().socket(ours(1));
        received.iter().for_each(|consumer| drop(lab.host().messages(*consumer)));
        for _ in 0..10 {
            if crowded {
                lab.sfu().handle_crowd(socket, ROOM);
            }
            lab.run_for(rtt);
        }
        let bytes = |consumer: &_| 1000 * lab.host().messages(*consumer).len() / 10;
        received.iter().map(bytes).collect::<Vec<_>>()
    };
    lab.run_for(5 * rtt);
    let free = rates(&mut lab, false);
    assert!(free.iter().all(|bytes| *bytes > 2 * ROOM / CLIENTS), "{free:?} bytes per round trip");
    // Packets in flight for the old window arrive in the first round trip.
    rates(&mut lab, true);
    let shared = rates(&mut lab, true);
    let (bypassing, sharing) = shared.split_last().expect("all clients");
    let share = ROOM / CLIENTS;
    assert!(
        sharing.iter().all(|bytes| (share / 2..share * 3 / 2).contains(bytes)),
        "{sharing:?} bytes per round trip of {share}"
    );
    assert!(*bypassing > 2 * share, "{bypassing} bytes per round trip through the other socket");
}
