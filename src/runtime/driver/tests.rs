//! What has to be done within one turn.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the far end, and its time"
)]

use std::io::Write;

use socket2::{Domain, Socket, Type};
use stun_types::attribute::Username;
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageWrite, MessageWriteExt, MessageWriteVec,
    ShortTermCredentials,
};

use super::*;
use crate::sfu::event::TransportEvent;
use crate::sfu::id::RouterKey;
use crate::sfu::transport::IceParameters;
use crate::sfu::transport::webrtc::{WebRtcListen, WebRtcTransportOptions};

fn check(ice: &IceParameters) -> Vec<u8> {
    let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
    let username = format!("{}:theirs", ice.username_fragment);
    message.add_attribute(&Username::new(&username).expect("short")).expect("room");
    let key = ShortTermCredentials::new(ice.password.clone()).make_key();
    message.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).expect("room");
    message.finish()
}

fn listen(world: &mut World, protocol: &str) -> Listen {
    let info = serde_json::json!({ "protocol": protocol, "ip": "127.0.0.1" });
    let info = serde_json::from_value(info).expect("a TransportListenInfo");
    world.listen(&[(0, info)]).expect("a free port").remove(0)
}

#[test]
fn a_connection_that_breaks_while_it_is_written_to_is_told_in_the_same_turn() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(async {
        let certificate = Certificate::generate().expect("a certificate");
        let ports = PortRange { min: 10_000, max: 59_999 };
        let mut world = World::new(certificate, ports, Arc::new(Inbox::default()));
        let (udp, tcp) = (listen(&mut world, "udp"), listen(&mut world, "tcp"));
        world.sfu.create_router(RouterKey(1));
        let options = WebRtcTransportOptions { enable_tcp: true, ..Default::default() };
        let (key, listens) = (TransportKey(2), WebRtcListen::Own(vec![udp.clone(), tcp.clone()]));
        let made = world.sfu.create_webrtc_transport(key, RouterKey(1), options, listens);
        let check = check(&made.expect("a transport").ice_parameters);

        // A client that is reached over TCP, and could be over UDP.
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.connect(&tcp.local.into()).expect("it listens");
        let remote = client.local_addr().expect("connected").as_socket().expect("an address");
        let over_tcp = Tuple { socket: tcp.socket, remote };
        let framed = [&(check.len() as u16).to_be_bytes()[..], &check].concat();
        (&client).write_all(&framed).expect("room");
        while !world.sfu.is_valid_tuple(over_tcp) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let mut readable = Vec::new();
            world.inbox.take(&mut VecDeque::new(), &mut readable);
            world.sockets.receive(&mut readable, &mut world.sfu, clock());
        }
        world.sfu.handle_datagram(udp.socket, ([127, 0, 0, 1], 9).into(), &check);
        world.transmit();
        while world.sfu.poll_event().is_some() {}

        client.set_linger(Some(Duration::ZERO)).expect("an option");
        drop(client);
        // Its answer is what meets the closed connection.
        world.sfu.handle_datagram(tcp.socket, remote, &check);
        world.transmit();
        let event = world.sfu.poll_event();
        let Some(Event::Transport(_, TransportEvent::IceSelectedTuple(tuple))) = event else {
            panic!("{event:?}")
        };
        assert_eq!((tuple.local_port, tuple.remote_port), (udp.local.port(), 9));
    });
}
