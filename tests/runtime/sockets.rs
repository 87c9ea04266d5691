//! Real sockets on the loopback address.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use datasoup::proto::message::{Message, Ppid};
use datasoup::runtime::job::Job;
use datasoup::runtime::outbox::Item;
use datasoup::runtime::world::World;
use datasoup::sfu::contract::options::{
    DataProducerOptions, ListenInfo, PortRange, WebRtcTransportOptions,
};
use datasoup::sfu::contract::parameters::ListenProtocol;
use datasoup::sfu::error::Error;
use datasoup::sfu::event::{Event, TransportEvent};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, RouterKey, TransportKey};
use datasoup::sfu::transport::webrtc::WebRtcListen;
use stun_types::attribute::XorMappedAddress;
use stun_types::message::Message as Stun;

use crate::checks;
use crate::options;
use crate::worker::{PATIENCE, Worker, is_free, listen_info, socket};

const ROUTER: RouterKey = RouterKey(1);
const TRANSPORT: TransportKey = TransportKey(2);

/// The address and the credentials of a WebRTC transport.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) username: String,
    pub(crate) password: String,
}

fn webrtc(worker: &mut Worker, ip: &'static str) -> Target {
    webrtc_on(worker, listen_info(ip, 0))
}

pub(crate) fn webrtc_on(worker: &mut Worker, info: ListenInfo) -> Target {
    webrtc_at(worker, 0, info)
}

/// Creates the `n`-th WebRTC transport of a worker.
pub(crate) fn webrtc_at(worker: &mut Worker, n: u32, info: ListenInfo) -> Target {
    let answer = worker.call(move |world| {
        let listens = world.listen(&[(0, &info)])?;
        let address = listens[0].local.to_string();
        if n == 0 {
            world.sfu.create_router(ROUTER);
        }
        let options = WebRtcTransportOptions { enable_tcp: true, ..options::webrtc() };
        let listen = WebRtcListen::Own(listens);
        let key = TransportKey(TRANSPORT.0 + n);
        let ice = world.sfu.router(ROUTER)?.create_webrtc_transport(key, &options, listen)?;
        let ice = ice.ice_parameters;
        Ok([address, ice.username_fragment, ice.password].join(" "))
    });
    let answer = answer.expect("a transport");
    let mut words = answer.split(' ').map(str::to_owned);
    let mut next = || words.next().expect("three words");
    Target { address: next().parse().expect("an address"), username: next(), password: next() }
}

pub(crate) fn request(target: &Target) -> Vec<u8> {
    checks::request(&target.username, &target.password, &[])
}

/// The mapped address in an answer.
fn mapped(answer: &[u8]) -> SocketAddr {
    let answer = Stun::from_bytes(answer).expect("STUN");
    let mapped = answer.attribute::<XorMappedAddress>().expect("a success");
    mapped.addr(answer.transaction_id())
}

/// Sends a check and returns the mapped address of the answer.
fn check(client: &UdpSocket, target: &Target) -> SocketAddr {
    client.send_to(&request(target), target.address).expect("sent");
    let mut buffer = [0; 1500];
    let (len, from) = client.recv_from(&mut buffer).expect("an answer");
    assert_eq!(from, target.address);
    mapped(&buffer[..len])
}

/// Like [`check`], over TCP with RFC 4571 framing.
pub(crate) fn check_tcp(client: &mut TcpStream, target: &Target) -> SocketAddr {
    let request = request(target);
    let prefix = (request.len() as u16).to_be_bytes();
    client.write_all(&[&prefix, &request[..]].concat()).expect("sent");
    client.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let mut prefix = [0; 2];
    client.read_exact(&mut prefix).expect("an answer");
    let mut answer = vec![0; usize::from(u16::from_be_bytes(prefix))];
    client.read_exact(&mut answer).expect("all of it");
    mapped(&answer)
}

#[test]
fn a_check_is_answered_over_ipv4_and_ipv6() {
    for ip in ["127.0.0.1", "::1"] {
        let mut worker = Worker::started();
        let target = webrtc(&mut worker, ip);
        let client = socket(ip);
        assert_eq!(check(&client, &target), client.local_addr().expect("bound"));
        let items = worker.until(|item| {
            matches!(item, Item::Event(Event::Transport(TRANSPORT, TransportEvent::IceState(..))))
        });
        assert_eq!(items.len(), 2, "the tuple and the state must be the only events: {items:?}");
    }
}

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    for (bound, asked) in [("0.0.0.0", "127.0.0.2"), ("::", "127.0.0.3"), ("::", "::1")] {
        let mut worker = Worker::started();
        let mut target = webrtc(&mut worker, bound);
        target.address.set_ip(asked.parse().expect("an address"));
        let client = socket(if target.address.is_ipv4() { "127.0.0.1" } else { "::1" });
        // From now on the client takes datagrams of no other address.
        client.connect(target.address).expect("a route");
        assert_eq!(check(&client, &target), client.local_addr().expect("bound"));
        let items = worker.until(|item| {
            matches!(item, Item::Event(Event::Transport(TRANSPORT, TransportEvent::IceState(..))))
        });
        let Some(Item::Event(Event::Transport(_, TransportEvent::IceSelectedTuple(tuple)))) =
            items.first()
        else {
            panic!("the tuple comes first: {items:?}")
        };
        assert_eq!(tuple.local_address, asked);
    }
}

#[test]
fn one_client_port_has_a_connection_to_each_address_of_a_wildcard_listener() {
    use socket2::{Domain, Socket, Type};

    let mut worker = Worker::started();
    let info = ListenInfo { protocol: ListenProtocol::Tcp, ..listen_info("0.0.0.0", 0) };
    let mut target = webrtc_on(&mut worker, info);
    let free = socket("127.0.0.1").local_addr().expect("bound");
    let mut connect = |asked: &str| {
        target.address.set_ip(asked.parse().expect("an address"));
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.set_reuse_address(true).expect("a socket");
        client.bind(&free.into()).expect("free");
        client.connect(&target.address.into()).expect("it listens");
        let mut client = TcpStream::from(client);
        assert_eq!(check_tcp(&mut client, &target), free);
        client
    };
    let mut first = connect("127.0.0.2");
    connect("127.0.0.3");
    // The second connection has not replaced the first one.
    assert_eq!(check_tcp(&mut first, &target), free);
}

#[test]
fn a_dual_stack_socket_maps_ipv4_clients_to_their_own_address() {
    let mut worker = Worker::started();
    let mut target = webrtc(&mut worker, "::");
    target.address = SocketAddr::from(([127, 0, 0, 1], target.address.port()));
    let client = socket("127.0.0.1");
    assert_eq!(check(&client, &target), client.local_addr().expect("bound"));
}

#[test]
fn an_error_names_the_port_that_cannot_be_bound_and_leaves_nothing_bound() {
    let mut worker = Worker::started();
    let taken = socket("127.0.0.1");
    let taken_address = taken.local_addr().expect("bound");
    let free = socket("127.0.0.1").local_addr().expect("bound");
    let infos = [free, taken_address].map(|it| listen_info("127.0.0.1", it.port()));
    let error = worker
        .call(move |world| world.listen(&[(0, &infos[0]), (1, &infos[1])]).map(|_| String::new()));
    let error = error.expect_err("taken").to_string();
    assert!(error.contains(&taken_address.to_string()), "{error}");
    assert!(is_free(free));

    let foreign = listen_info("192.0.2.1", 4000);
    let error = worker.call(move |world| world.listen(&[(0, &foreign)]).map(|_| String::new()));
    let error = error.expect_err("not a local address").to_string();
    assert!(error.contains("192.0.2.1:4000"), "{error}");
}

#[test]
fn a_range_gives_its_free_port_and_an_error_if_there_is_none() {
    let mut worker = Worker::started();
    let port = socket("127.0.0.1").local_addr().expect("bound").port();
    let ranged = |min: u16, max: u16| -> ListenInfo {
        let port_range = Some(PortRange { min, max });
        ListenInfo { port_range, ..listen_info("127.0.0.1", 0) }
    };
    let mut listen = |info: ListenInfo| {
        worker.call(move |world| {
            let listens = world.listen(&[(0, &info)])?;
            Ok(listens[0].local.port().to_string())
        })
    };
    assert_eq!(listen(ranged(port, port)), Ok(port.to_string()));
    let error = listen(ranged(port, port)).expect_err("taken").to_string();
    assert!(error.contains("127.0.0.1") && error.contains(&port.to_string()), "{error}");
    let error = listen(ranged(port, port - 1)).expect_err("upside down");
    assert_eq!(error.name(), "TypeError");
}

/// Creates a PipeTransport and a DirectTransport; returns the address of the pipe.
fn pipe(worker: &mut Worker) -> SocketAddr {
    let address = worker.call(|world| {
        let mut listens = world.listen(&[(0, &listen_info("127.0.0.1", 0))])?;
        let address = listens[0].local;
        world.sfu.create_router(ROUTER);
        let options = options::pipe();
        world.sfu.router(ROUTER)?.create_pipe_transport(TRANSPORT, &options, listens.remove(0));
        world.sfu.router(ROUTER)?.create_direct_transport(TransportKey(3), &options::direct());
        Ok(address.to_string())
    });
    address.expect("a pipe").parse().expect("an address")
}

fn connect(world: &mut World, to: SocketAddr) -> Result<(), Error> {
    let options = options::udp_connect(to);
    world.sfu.transport(TRANSPORT)?.connect_udp(options).map(drop)
}

const PRODUCER: DataProducerKey = DataProducerKey(4);
const CONSUMER: DataConsumerKey = DataConsumerKey(5);

#[test]
fn megabytes_pass_between_two_workers() {
    const MESSAGES: usize = 60;
    const SIZE: usize = 262_144;
    let mut workers = [Worker::started(), Worker::started()];
    let addresses = [pipe(&mut workers[0]), pipe(&mut workers[1])];
    let [near, far] = &mut workers;
    let stream = near.call(move |world| {
        connect(world, addresses[1])?;
        let mut direct = world.sfu.transport(TransportKey(3))?;
        let data_producer_id =
            direct.produce_data(PRODUCER, options::producer(), options::backlog())?.id;
        let options = options::consumer_of(data_producer_id);
        let dump =
            world.sfu.transport(TRANSPORT)?.consume_data(CONSUMER, options, options::backlog())?;
        Ok(serde_json::to_string(&dump.sctp_stream_parameters).expect("json"))
    });
    let stream = stream.expect("a consumer");
    far.call(move |world| {
        connect(world, addresses[0])?;
        let sctp_stream_parameters = serde_json::from_str(&stream).expect("json");
        let options = DataProducerOptions { sctp_stream_parameters, ..options::producer() };
        let mut pipe = world.sfu.transport(TRANSPORT)?;
        let data_producer_id = pipe.produce_data(PRODUCER, options, options::backlog())?.id;
        let options = options::consumer_of(data_producer_id);
        let mut direct = world.sfu.transport(TransportKey(3))?;
        direct.consume_data(CONSUMER, options, options::backlog())?;
        Ok(String::new())
    })
    .expect("a producer");

    for sent in 0..MESSAGES {
        let payload = vec![sent as u8; SIZE];
        // The queue is bounded: wait from time to time until the messages so far have arrived.
        near.post(Job::Send(PRODUCER, Message::new(Ppid::BINARY, payload.into()), None));
        let got = far.until(|item| matches!(item, Item::Event(Event::Message(..))));
        let Some(Item::Event(Event::Message(CONSUMER, message))) = got.last() else {
            panic!("{got:?}")
        };
        assert!(message.payload.len() == SIZE && message.payload[0] == sent as u8);
    }
}

#[test]
fn a_pipe_sends_its_init_as_soon_as_it_is_connected() {
    let peer = socket("127.0.0.2");
    let to = peer.local_addr().expect("bound");
    let mut worker = Worker::started();
    // Both calls run in one turn, so that the INIT is sent before tokio has polled the new socket.
    worker
        .call(move |world| {
            let mut listens = world.listen(&[(0, &listen_info("127.0.0.1", 0))])?;
            world.sfu.create_router(ROUTER);
            let options = options::pipe();
            world.sfu.router(ROUTER)?.create_pipe_transport(TRANSPORT, &options, listens.remove(0));
            connect(world, to)?;
            let options = options::producer_on(0);
            let mut pipe = world.sfu.transport(TRANSPORT)?;
            pipe.produce_data(PRODUCER, options, options::backlog()).map(|_| String::new())
        })
        .expect("connected");
    peer.set_read_timeout(Some(std::time::Duration::from_millis(900))).expect("not zero");
    let mut buffer = [0; 1500];
    let (len, _) = peer.recv_from(&mut buffer).expect("an INIT before its first retransmission");
    assert!(len >= 32 && buffer[12] == 1);
    // The INIT is retransmitted after a second: timers fire without any traffic.
    peer.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let (again, _) = peer.recv_from(&mut buffer).expect("an INIT");
    assert!(again == len && buffer[12] == 1);
}

pub(crate) fn tcp_info(port: u16) -> ListenInfo {
    ListenInfo { protocol: ListenProtocol::Tcp, ..listen_info("127.0.0.1", port) }
}

#[test]
fn tcp_and_udp_can_share_a_port_number() {
    let mut worker = Worker::started();
    let udp = worker.call(|world| {
        Ok(world.listen(&[(0, &listen_info("127.0.0.1", 0))])?[0].local.port().to_string())
    });
    let port = udp.expect("a port").parse().expect("a number");
    let target = webrtc_on(&mut worker, tcp_info(port));
    let mut client = TcpStream::connect(target.address).expect("it listens");
    assert_eq!(check_tcp(&mut client, &target), client.local_addr().expect("connected"));
}

/// Runs the test of this name again in a process of its own, which may open 100 files, and asserts that it
/// passes. Returns false in that process.
fn passes_with_few_files(test: &str) -> bool {
    const CHILD: &str = "DATASOUP_TEST_FEW_FILES";
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    let status = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 100 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", test])
        .env(CHILD, "1")
        .status();
    assert!(status.expect("sh").success());
    true
}

/// Opens files until there is room for `left` more.
fn all_files_but(left: usize) -> Vec<File> {
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.truncate(files.len() - left);
    files
}

#[test]
fn a_listener_recovers_after_the_process_ran_out_of_files() {
    if passes_with_few_files("sockets::a_listener_recovers_after_the_process_ran_out_of_files") {
        return;
    }
    let mut worker = Worker::started();
    let target = webrtc_on(&mut worker, tcp_info(0));
    let files = all_files_but(1);
    // The kernel completes the connection with our last file descriptor; none is left to accept it.
    let mut client = TcpStream::connect(target.address).expect("it listens");
    worker.until(|item| matches!(item, Item::Log("error", _)));
    drop(files);
    assert_eq!(check_tcp(&mut client, &target), client.local_addr().expect("connected"));
}

#[test]
fn a_udp_socket_gets_the_last_file_and_a_worker_that_ends_closes_all() {
    if passes_with_few_files(
        "sockets::a_udp_socket_gets_the_last_file_and_a_worker_that_ends_closes_all",
    ) {
        return;
    }
    // The first worker opens files that the process keeps, so start one before the files are counted.
    drop(Worker::started());
    let open = || std::fs::read_dir("/proc/self/fd").expect("Linux").count();
    let before = open();
    let mut worker = Worker::started();
    let listen = |worker: &mut Worker| {
        worker
            .call(|world| Ok(world.listen(&[(0, &listen_info("127.0.0.1", 0))])?.len().to_string()))
    };
    let files = all_files_but(1);
    assert_eq!(listen(&mut worker), Ok("1".into()));
    let error = listen(&mut worker).expect_err("no file is left");
    assert!(error.to_string().starts_with("cannot bind udp 127.0.0.1"), "{error}");
    drop(files);
    assert_eq!(listen(&mut worker), Ok("1".into()));
    drop(worker);
    assert_eq!(open(), before);
}

/// The counters in `worker.dump()`.
fn counters(worker: &mut Worker) -> serde_json::Value {
    let dump = worker.call(|world| Ok(serde_json::to_string(&world.dump()).expect("json")));
    serde_json::from_str(&dump.expect("a dump")).expect("json")
}

#[test]
fn every_datagram_of_a_flood_is_accounted_for() {
    const SENT: u64 = 2000;
    let mut worker = Worker::started();
    let info = ListenInfo { recv_buffer_size: Some(65_536), ..listen_info("127.0.0.1", 0) };
    let target = webrtc_on(&mut worker, info);
    let client = socket("127.0.0.1");
    // Block the worker until all datagrams have been sent, so that the receive buffer overflows.
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let request = worker.ask(move |_| {
        let _ = gate.recv();
        Ok(String::new())
    });
    for _ in 0..SENT {
        client.send_to(&[200; 100], target.address).expect("sent");
    }
    drop(release);
    worker.answer(request).expect("an answer");
    let mut count = || {
        let overflowed = counters(&mut worker)["datagramsOverflowed"].as_u64().expect("a number");
        let dropped = worker.call(|world| {
            let stats = world.sfu.transport(TRANSPORT)?.get_stats();
            Ok(stats.datagrams_dropped.to_string())
        });
        (overflowed, dropped.expect("statistics").parse::<u64>().expect("a number"))
    };
    // The worker may need some turns to read all datagrams.
    let (mut overflowed, mut dropped) = count();
    let begun = Instant::now();
    while overflowed + dropped < SENT && begun.elapsed() < PATIENCE {
        (overflowed, dropped) = count();
    }
    assert!(overflowed > 0 && dropped > 0, "{overflowed} overflowed, {dropped} dropped");
    assert_eq!(overflowed + dropped, SENT);

    // Closing the socket does not reset the counts.
    worker
        .post(Job::call(|world: &mut World| world.sfu.transport(TRANSPORT).expect("open").close()));
    assert_eq!(counters(&mut worker)["datagramsOverflowed"], overflowed);
}

#[test]
fn unverified_connections_full_of_empty_frames_do_not_delay_a_client() {
    const FLOOD: usize = 300;
    let mut worker = Worker::started();
    let target = webrtc_on(&mut worker, tcp_info(0));
    let mut client = TcpStream::connect(target.address).expect("it listens");
    check_tcp(&mut client, &target);
    // Each connection writes as many empty frames as the send buffer takes.
    let flood: Vec<TcpStream> = (0..FLOOD)
        .map(|_| {
            let mut connection = TcpStream::connect(target.address).expect("it listens");
            connection.set_nonblocking(true).expect("a socket");
            // The worker may have closed the connection already.
            let _ = connection.write(&[0; 64 * 1024]);
            connection
        })
        .collect();
    // The worker keeps 32 connections per address, and answers the client until the others are closed.
    while counters(&mut worker)["tcpConnectionsDropped"] != FLOOD - 32 {
        check_tcp(&mut client, &target);
    }
    drop(flood);
}
