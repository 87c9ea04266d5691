//! TCP connections that send no valid request.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::sockets::{Target, check_tcp, request, tcp_info, webrtc_at, webrtc_on};
use crate::worker::{PATIENCE, Worker};

/// A connection from an address of 127.0.0.0/8, all of which are local.
fn connect(last_byte: u8, target: &Target) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source = SocketAddr::from(([127, 0, 0, last_byte], 0));
    socket.bind(&source.into()).expect("a local address");
    socket.connect(&target.address.into()).expect("it listens");
    socket.into()
}

/// Waits for the end of a connection; returns false if the connection stays open.
fn ends(client: &mut TcpStream) -> bool {
    client.set_read_timeout(Some(PATIENCE)).expect("not zero");
    match client.read(&mut [0; 1]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Whether the connection is open and has nothing to read.
fn is_open(client: &mut TcpStream) -> bool {
    client.set_nonblocking(true).expect("an option");
    let read = client.read(&mut [0; 1]);
    client.set_nonblocking(false).expect("an option");
    matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn dropped(worker: &mut Worker) -> u64 {
    let dump = worker.call(|world| Ok(serde_json::to_string(&world.dump()).expect("json")));
    let dump: serde_json::Value = serde_json::from_str(&dump.expect("a dump")).expect("json");
    dump["tcpConnectionsDropped"].as_u64().expect("a number")
}

#[test]
fn a_source_that_opens_connections_without_end_locks_out_no_client() {
    let mut worker = Worker::started();
    let target = webrtc_on(&mut worker, tcp_info(0));
    let flood: Vec<TcpStream> = (0..300).map(|_| connect(1, &target)).collect();
    // First a client at another address, then one at the address of the flood.
    for byte in [2, 1] {
        let mut client = connect(byte, &target);
        assert_eq!(check_tcp(&mut client, &target), client.local_addr().expect("connected"));
    }
    let mut flood = flood.into_iter();
    assert!(flood.by_ref().take(300 - 32).all(|mut client| ends(&mut client)));
    // The second client evicted one connection of the flood.
    assert_eq!(flood.filter_map(|mut client| is_open(&mut client).then_some(())).count(), 31);
    assert_eq!(dropped(&mut worker), 300 - 31);
}

#[test]
fn unverified_connections_from_many_sources_lock_out_no_client() {
    let mut worker = Worker::started();
    let target = webrtc_on(&mut worker, tcp_info(0));
    let mut flood: Vec<TcpStream> = Vec::new();
    for byte in 1..=11 {
        flood.extend((0..25).map(|_| connect(byte, &target)));
    }
    let mut client = connect(100, &target);
    assert_eq!(check_tcp(&mut client, &target), client.local_addr().expect("connected"));
    let open = flood.iter_mut().filter_map(|client| is_open(client).then_some(())).count();
    assert_eq!(open, 255);
    assert_eq!(dropped(&mut worker), 20);
}

#[test]
fn verified_connections_do_not_count_towards_the_limit() {
    let mut worker = Worker::started();
    // A transport has at most eight tuples.
    let targets: Vec<Target> = (0..5).map(|n| webrtc_at(&mut worker, n, tcp_info(0))).collect();
    let mut clients = Vec::new();
    for target in &targets {
        for _ in 0..8 {
            let mut client = connect(1, target);
            check_tcp(&mut client, target);
            clients.push((client, target));
        }
    }
    let flood: Vec<TcpStream> = (0..100).map(|_| connect(1, &targets[0])).collect();
    for (client, target) in &mut clients {
        assert_eq!(check_tcp(client, target), client.local_addr().expect("connected"));
    }
    drop(flood);
}

#[test]
fn bytes_without_a_valid_request_keep_no_connection_open() {
    let mut worker = Worker::started();
    let target = webrtc_on(&mut worker, tcp_info(0));
    let wrong = Target { password: "wrong".into(), ..webrtc_at(&mut worker, 1, tcp_info(0)) };
    let mut slow: Vec<TcpStream> = (0..40).map(|_| connect(1, &target)).collect();
    for client in &mut slow {
        // A request with wrong credentials, an empty frame, a part of a frame.
        let request = request(&wrong);
        let framed = [&(request.len() as u16).to_be_bytes()[..], &request].concat();
        for bytes in [&framed[..], &[0, 0], &[0x3f, 0xff, 1, 2, 3]] {
            // The worker may have evicted the connection already.
            let _ = client.write_all(bytes);
        }
    }
    let mut good = connect(1, &target);
    check_tcp(&mut good, &target);
    assert_eq!(
        dropped(&mut worker),
        40 + 1 - 32,
        "a connection counted as verified although none sent a valid request"
    );
}

#[test]
fn an_impossible_frame_length_closes_its_connection_and_is_counted() {
    let mut worker = Worker::started();
    let target = webrtc_on(&mut worker, tcp_info(0));
    let mut good = connect(1, &target);
    check_tcp(&mut good, &target);
    let mut hostile = connect(1, &target);
    check_tcp(&mut hostile, &target);
    hostile.write_all(&[0x40, 0x01]).expect("sent");
    assert!(ends(&mut hostile), "a frame of more than 16 KiB must end the connection");
    assert_eq!(dropped(&mut worker), 1);
    assert_eq!(check_tcp(&mut good, &target), good.local_addr().expect("connected"));
}
