//! Closing, of anything and in any order: what closes with it is emitted, and nothing is left behind.

use std::time::Duration;

use datasoup::proto::dtls::DtlsState;
use datasoup::proto::net::Tuple;
use datasoup::sfu::event::{DataConsumerEvent, Event, TransportEvent};
use datasoup::sfu::id::{
    DataConsumerKey, DataProducerKey, RouterKey, TransportKey, WebRtcServerKey,
};

use crate::common::lab::{Lab, ours, reasons, text, theirs};
use crate::common::options;
use crate::common::sim::Random;

#[derive(Debug, Clone, Copy)]
enum Entity {
    Server(WebRtcServerKey),
    Router(RouterKey),
    Transport(TransportKey),
    Producer(DataProducerKey),
    Consumer(DataConsumerKey),
}

impl Entity {
    fn close(self, lab: &mut Lab) {
        let sfu = lab.sfu();
        match self {
            Self::Server(key) => drop(sfu.webrtc_server(key).map(|it| it.close())),
            Self::Router(key) => drop(sfu.router(key).map(|it| it.close())),
            Self::Transport(key) => drop(sfu.transport(key).map(|it| it.close())),
            Self::Producer(key) => drop(sfu.data_producer(key).map(|it| it.close())),
            Self::Consumer(key) => drop(sfu.data_consumer(key).map(|it| it.close())),
        }
    }
}

/// Two routers with transports of all kinds, connected and in use; and how many sockets they have.
fn everything(lab: &mut Lab) -> (Vec<Entity>, usize) {
    let server = lab.host().server(ours(100));
    let mut all = vec![Entity::Server(server)];
    for base in [0, 10] {
        let router = lab.host().router();
        let (own, _) = lab.join(router, base + 1);
        let (shared, client) = lab.join_server(router, server, base + 2);
        let direct = lab.host().direct(router);
        let listen = lab.host().listen(ours(base + 3));
        let plain = lab.host().plain(router, listen, &options::plain(true));
        let peer = lab.plain_peer(base + 3, ours(base + 3), true);
        let listen = lab.host().listen(ours(base + 4));
        let pipe = lab.host().pipe(router, listen, &options::pipe());
        lab.host().connect_udp(pipe, theirs(base + 4));
        // A transport that no client has joined, and one that is restarting.
        let (fresh, _) = lab.invite(router, base + 5);
        let gone = lab.clients.len() - 1;
        lab.clients[gone].frozen = true;
        lab.sfu().transport(shared).expect("open").restart_ice().expect("WebRTC");

        let transports = [own, shared, direct, plain, pipe, fresh];
        all.extend([Entity::Router(router)]);
        all.extend(transports.map(Entity::Transport));
        for transport in transports {
            let producer = lab.host().produce(transport, 3);
            all.push(Entity::Producer(producer));
            for consumer in transports {
                let (consumer, _) = lab.host().consume(consumer, producer);
                all.push(Entity::Consumer(consumer));
            }
        }
        lab.expect("a connection", |lab| lab.plain_peers[peer].sctp.is_connected());
        lab.clients[client].send(3, text("to all"));
        lab.run_for(Duration::from_millis(100));
    }
    (all, 1 + 2 * 4)
}

fn assert_nothing_is_left(lab: &mut Lab, sockets: usize) {
    lab.flush();
    let dump = lab.sfu().dump(0, Default::default(), Default::default());
    assert!(dump.router_ids.is_empty() && dump.web_rtc_server_ids.is_empty());
    let handlers = dump.channel_message_handlers;
    assert!(handlers.channel_request_handlers.is_empty());
    assert!(handlers.channel_notification_handlers.is_empty());
    assert_eq!(lab.sfu().poll_timeout(), None);
    let mut released = std::mem::take(&mut lab.host().released);
    assert_eq!(released.len(), sockets);
    released.sort();
    released.dedup();
    assert_eq!(released.len(), sockets, "each once");
    assert!(lab.sfu().is_empty(), "{:#?}", lab.sfu());
    // Datagrams that still arrive cause no event.
    lab.host().events.clear();
    lab.run_for(Duration::from_secs(100));
    assert!(lab.host().events.is_empty());
}

#[test]
fn close_ends_everything_at_once() {
    let mut lab = Lab::new();
    let (_, sockets) = everything(&mut lab);
    assert!(!lab.sfu().is_empty());
    lab.sfu().close();
    lab.sfu().close();
    assert_nothing_is_left(&mut lab, sockets);
}

#[test]
fn closing_in_any_order_leaves_nothing() {
    for seed in 0..6 {
        let mut lab = Lab::new();
        let (mut all, sockets) = everything(&mut lab);
        let mut random = Random(seed);
        for index in (1..all.len()).rev() {
            all.swap(index, random.below(index as u64 + 1) as usize);
        }
        for entity in all {
            entity.close(&mut lab);
            entity.close(&mut lab);
            if random.chance(0.3) {
                lab.run_for(Duration::from_millis(7));
            }
        }
        assert_nothing_is_left(&mut lab, sockets);
    }
}

#[test]
fn closing_from_the_bottom_up_leaves_nothing() {
    let mut lab = Lab::new();
    let (all, sockets) = everything(&mut lab);
    for entity in all.into_iter().rev() {
        entity.close(&mut lab);
    }
    assert_nothing_is_left(&mut lab, sockets);
}

#[test]
fn consumers_on_other_transports_close_with_their_producer() {
    for close_transport in [true, false] {
        let (mut lab, router) = Lab::with_router();
        let (key, _) = lab.join(router, 1);
        let producer = lab.host().produce(key, 0);
        let direct = lab.host().direct(router);
        let consumers = [(); 2].map(|()| lab.host().consume(direct, producer).0);
        lab.sfu().send(producer, text("before"), None);
        lab.flush();
        for consumer in consumers {
            assert_eq!(lab.host().messages(consumer), [text("before")]);
        }
        if close_transport {
            lab.sfu().transport(key).expect("open").close();
        } else {
            lab.sfu().data_producer(producer).expect("open").close();
        }
        lab.flush();
        for consumer in consumers {
            let events = lab.host().consumer_events(consumer);
            assert_eq!(events, [DataConsumerEvent::DataProducerClose]);
            assert!(lab.sfu().data_consumer(consumer).is_err());
        }
        lab.sfu().send(producer, text("too late"), None);
        lab.flush();
        let events = &lab.host().events;
        assert!(!events.iter().any(|it| matches!(it, Event::Message(..))), "{events:?}");
    }
}

#[test]
fn a_closed_transport_sends_abort_and_close_notify() {
    for shared in [false, true] {
        let (mut lab, router, server) = Lab::with_server();
        let (key, client) = lab.join_either(router, shared.then_some(server), 1);
        lab.host().events.clear();
        lab.sfu().transport(key).expect("open").close();
        lab.run_for(Duration::from_millis(100));
        assert!(lab.clients[client].sctp.aborted);
        assert_eq!(lab.clients[client].dtls_states.last(), Some(&DtlsState::Closed));
        assert_eq!(lab.host().released.len(), usize::from(!shared));
        assert!(lab.host().transport_events(key).is_empty(), "the application closed it");
    }
}

#[test]
fn a_client_that_leaves_ends_its_session_and_nothing_else() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    let producer = lab.source(router);
    let (consumer, _) = lab.host().consume(key, producer);
    lab.host().transport_events(key);
    lab.clients[client].close();
    lab.run_for(Duration::from_secs(1));
    let events = lab.host().transport_events(key);
    let closed = "peer-closed: the peer closed the DTLS session";
    assert_eq!(reasons(&events), ["dtls", "sctp"].map(|it| format!("{it} closed {closed}")));
    lab.sfu().send(producer, text("too late"), None);
    lab.flush();
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesSent"], &stats["messagesDropped"]), (&0.into(), &1.into()));
    assert_eq!(stats["messagesDroppedUnsendable"], 1);
    let error = lab.sfu().data_consumer(consumer).expect("open").send(text("x"));
    assert_eq!(error.expect_err("gone").to_string(), "message send failed");
}

#[test]
fn a_transport_of_a_closed_router_cannot_be_created() {
    let (mut lab, router) = Lab::with_router();
    lab.sfu().router(router).expect("open").close();
    let error = lab.sfu().router(router).expect_err("no router");
    assert_eq!(error.name(), "NotFoundError");
    assert_eq!(error.to_string(), "the Router is closed");
    lab.flush();
    assert!(lab.sfu().is_empty());
}

#[test]
fn a_tuple_is_removed_when_its_connection_closes() {
    for shared in [false, true] {
        let (mut lab, router, server) = Lab::with_server();
        let (key, client) = lab.join_either(router, shared.then_some(server), 1);
        lab.host().events.clear();
        let to = lab.clients[client].server;
        let sockets = &lab.host().sockets;
        let (socket, _) = sockets.iter().find(|(_, address)| **address == to).expect("bound");
        let tuple = Tuple::new(*socket, theirs(1));
        lab.sfu().handle_tuple_closed(tuple);
        lab.sfu().handle_tuple_closed(tuple);
        lab.flush();
        let events = lab.host().transport_events(key);
        let lost = "ice disconnected connection-closed: the TCP connection with the peer closed";
        assert_eq!(reasons(&events), [lost]);
        lab.sfu().close();
        lab.flush();
        assert!(lab.sfu().is_empty());
    }
}

#[test]
fn a_message_in_the_datagram_that_closes_the_session_is_emitted_before_the_close() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    let producer = lab.host().produce(key, 0);
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, producer);
    lab.run_for(Duration::from_secs(1));
    lab.host().events.clear();

    let now = lab.now;
    let peer = &mut lab.clients[client];
    peer.send(0, text("last words"));
    for packet in peer.sctp.packets() {
        peer.seal(&packet);
    }
    peer.close();
    let mut records = Vec::new();
    peer.flush(now, &mut records);
    let (from, to) = (peer.address, peer.server);
    let datagram = records.iter().flat_map(|it| it.bytes.clone()).collect::<Vec<u8>>();
    lab.inject(from, to, &datagram);
    lab.run_for(Duration::from_secs(1));

    let events = &lab.host().events;
    let message =
        events.iter().position(|it| matches!(it, Event::Message(of, _) if *of == consumer));
    let closed = events.iter().position(|it| {
        matches!(it, Event::Transport(of, TransportEvent::DtlsState(DtlsState::Closed, ..)) if *of == key)
    });
    assert!(message.is_some() && message < closed, "{events:?}");
}
