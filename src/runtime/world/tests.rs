//! What must happen within one turn.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the remote side, and its time"
)]

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use stun_types::attribute::{RawAttribute, Username};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageWrite, MessageWriteExt, MessageWriteVec,
    ShortTermCredentials,
};

use super::*;
use crate::options;
use crate::sfu::contract::options::WebRtcTransportOptions;
use crate::sfu::contract::parameters::{IceParameters, ListenProtocol};
use crate::sfu::event::TransportEvent;
use crate::sfu::id::RouterKey;
use crate::sfu::transport::webrtc::WebRtcListen;

/// A connectivity check that nominates its tuple.
fn nomination(ice: &IceParameters) -> Vec<u8> {
    checked(ice, &[RawAttribute::new(0x0025.into(), &[])])
}

pub(in crate::runtime) fn check(ice: &IceParameters) -> Vec<u8> {
    checked(ice, &[])
}

fn checked(ice: &IceParameters, attributes: &[RawAttribute<'_>]) -> Vec<u8> {
    let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
    let username = format!("{}:theirs", ice.username_fragment);
    message
        .add_attribute(&Username::new(&username).expect("the name is short"))
        .expect("the message has room");
    for attribute in attributes {
        message.add_attribute(attribute).expect("the message has room");
    }
    let key = ShortTermCredentials::new(ice.password.clone()).make_key();
    message.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).expect("room");
    message.finish()
}

fn listen(world: &mut World, protocol: ListenProtocol) -> Listen {
    let info = options::listen_info(protocol);
    world.listen(&[(0, &info)]).expect("a free port").remove(0)
}

/// A worker with a client whose selected tuple is TCP, and which has a valid UDP tuple.
struct Scene {
    world: World,
    udp: Listen,
    tcp: Listen,
    check: Vec<u8>,
    nomination: Vec<u8>,
    client: Socket,
    remote: SocketAddr,
}

impl Scene {
    async fn new() -> Self {
        let certificate = Certificate::generate().expect("a certificate");
        let ports = PortRange { min: 10_000, max: 59_999 };
        let (inbox, outbox) = (Arc::new(WorkerInbox::default()), Arc::new(Outbox::new(|| {})));
        let mut world = World::new(certificate, ports, inbox, outbox);
        let (udp, tcp) =
            (listen(&mut world, ListenProtocol::Udp), listen(&mut world, ListenProtocol::Tcp));
        world.sfu.create_router(RouterKey(1));
        let options = WebRtcTransportOptions { enable_tcp: true, ..options::webrtc() };
        let (key, listens) = (TransportKey(2), WebRtcListen::Own(vec![udp.clone(), tcp.clone()]));
        let made = world
            .sfu
            .router(RouterKey(1))
            .expect("open")
            .create_webrtc_transport(key, &options, listens);
        let ice = made.expect("a transport").ice_parameters;
        let (check, nomination) = (check(&ice), nomination(&ice));

        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.connect(&tcp.local.into()).expect("it listens");
        let remote = client.local_addr().expect("connected").as_socket().expect("an address");
        let framed = [&(check.len() as u16).to_be_bytes()[..], &check].concat();
        (&client).write_all(&framed).expect("room");
        let mut scene = Self { world, udp, tcp, check, nomination, client, remote };
        while !scene.is_verified() {
            let mut readable = Vec::new();
            scene.world.inbox.take(&mut VecDeque::new(), &mut readable);
            scene.look(&readable).await;
        }
        let Self { world, udp, check, .. } = &mut scene;
        world.sfu.handle_datagram(Tuple::new(udp.socket, ([127, 0, 0, 1], 9).into()), check);
        world.transmit();
        while world.sfu.poll_event().is_some() {}
        scene
    }

    fn is_verified(&self) -> bool {
        self.world.sfu.is_valid_tuple(Tuple::new(self.tcp.socket, self.remote))
    }

    /// Reads these sockets, after tokio has looked at all.
    async fn look(&mut self, readable: &[SocketId]) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.world.sockets.receive(&mut readable.to_vec(), &mut self.world.sfu, clock::now());
    }

    fn reset(client: Socket) {
        client.set_linger(Some(Duration::ZERO)).expect("an option");
    }
}

fn in_runtime(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime").block_on(test);
}

#[test]
fn a_connection_that_breaks_during_a_write_is_closed_in_the_same_turn() {
    in_runtime(async {
        let Scene { mut world, udp, tcp, check, client, remote, .. } = Scene::new().await;
        Scene::reset(client);
        // The answer to this check is written to the closed connection.
        world.sfu.handle_datagram(Tuple::new(tcp.socket, remote), &check);
        world.transmit();
        let event = world.sfu.poll_event();
        let Some(Event::Transport(_, TransportEvent::IceSelectedTuple(tuple))) = event else {
            panic!("{event:?}")
        };
        assert_eq!((tuple.local_port, tuple.remote_port), (udp.local.port(), 9));
    });
}

#[test]
fn a_new_connection_from_the_same_port_does_not_inherit_the_valid_tuple() {
    in_runtime(async {
        let mut scene = Scene::new().await;
        let again = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        again.set_reuse_address(true).expect("an option");
        Scene::reset(std::mem::replace(&mut scene.client, again));
        scene.client.bind(&scene.remote.into()).expect("free again");
        scene.client.connect(&scene.tcp.local.into()).expect("it listens");
        // Only the listener is read: the end of the first connection has not been noticed.
        let listener = scene.tcp.socket;
        for _ in 0..100 {
            scene.look(&[listener]).await;
        }
        assert!(!scene.is_verified());
    });
}

#[test]
fn a_connection_that_is_verified_again_in_the_turn_of_its_eviction_stays() {
    in_runtime(async {
        let mut scene = Scene::new().await;
        let Scene { world, udp, tcp, check, nomination, remote, .. } = &mut scene;
        world.sfu.handle_datagram(Tuple::new(udp.socket, ([127, 0, 0, 1], 9).into()), nomination);
        // These are more tuples than a transport keeps, so the TCP tuple is evicted.
        for port in 10..20 {
            world.sfu.handle_datagram(Tuple::new(udp.socket, ([127, 0, 0, 1], port).into()), check);
        }
        assert!(!world.sfu.is_valid_tuple(Tuple::new(tcp.socket, *remote)));
        world.sfu.handle_datagram(Tuple::new(tcp.socket, *remote), check);
        world.transmit();
        world.collect_events();
        world.release();
        let before = world.sockets.counters().datagrams_unsent;
        world.sfu.handle_datagram(Tuple::new(tcp.socket, *remote), check);
        world.transmit();
        assert_eq!(world.sockets.counters().datagrams_unsent, before, "its answer leaves");
        assert!(scene.is_verified());
    });
}
