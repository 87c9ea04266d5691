//! Unverified connections, and datagrams that leave together.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the remote side, and its time"
)]

use std::io::{Read, Write};
use std::net::{TcpStream as Client, UdpSocket as Peer};

use super::*;
use crate::options;
use crate::proto::certificate::Certificate;

fn listening() -> (Sockets, Sfu, Listen) {
    bound(ListenProtocol::Tcp)
}

fn bound(protocol: ListenProtocol) -> (Sockets, Sfu, Listen) {
    bound_on(protocol, "127.0.0.1")
}

fn bound_on(protocol: ListenProtocol, ip: &str) -> (Sockets, Sfu, Listen) {
    let ports = PortRange { min: 10_000, max: 59_999 };
    let mut sockets = Sockets::new(|_| Waker::noop().clone(), ports);
    let ip = ip.parse().expect("an address");
    let info = ListenInfo { ip, ..options::listen_info(protocol) };
    let listen = sockets.listen(0, &info).expect("a free port");
    let certificate = Certificate::generate().expect("a certificate");
    (sockets, Sfu::new(certificate, Instant::now(), Duration::ZERO), listen)
}

/// Reads `ids` once, after tokio has looked at all sockets. Returns whether there is more to read.
async fn look(sockets: &mut Sockets, sfu: &mut Sfu, now: Instant, ids: &[SocketId]) -> bool {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut readable = ids.to_vec();
    sockets.receive(&mut readable, sfu, now);
    !readable.is_empty()
}

fn in_runtime(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime").block_on(test);
}

#[test]
fn a_turn_accepts_a_bounded_number_of_connections() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = listening();
        let now = Instant::now();
        // The first read arms the listener.
        look(&mut sockets, &mut sfu, now, &[listen.socket]).await;
        let crowd: Vec<_> = (0..ACCEPTS_PER_TURN + 3)
            .map(|_| Client::connect(listen.local).expect("it listens"))
            .collect();
        assert!(look(&mut sockets, &mut sfu, now, &[listen.socket]).await, "there are more");
        // Counted by id, as some may have been evicted: all come from one source.
        let taken = sockets.next - 1;
        assert_eq!(taken as usize, ACCEPTS_PER_TURN);
        assert!(!look(&mut sockets, &mut sfu, now, &[listen.socket]).await, "those were all");
        assert_eq!(sockets.next as usize - 1, crowd.len());
    });
}

#[test]
fn a_connection_without_a_valid_request_is_closed_in_time_whatever_it_sends() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = listening();
        let begin = Instant::now();
        look(&mut sockets, &mut sfu, begin, &[listen.socket]).await;
        let mut clients = [(); 2].map(|()| Client::connect(listen.local).expect("it listens"));
        look(&mut sockets, &mut sfu, begin, &[listen.socket]).await;
        let ids: Vec<SocketId> = sockets.connections.values().copied().collect();
        assert_eq!(ids.len(), 2);
        for second in 0..15 {
            let now = begin + Duration::from_secs(second);
            // The first client is silent; the second sends a long frame, byte by byte.
            clients[1].write_all(&[3]).expect("open");
            look(&mut sockets, &mut sfu, now, &ids).await;
            sockets.expire(now, &sfu);
            assert_eq!(sockets.connections.len(), 2, "after {second} s");
        }
        let now = sockets.deadline().expect("a deadline");
        assert_eq!(now, begin + Duration::from_secs(15));
        sockets.expire(now, &sfu);
        assert_eq!((sockets.connections.len(), sockets.sockets.len()), (0, 1));
        assert_eq!(sockets.counters().tcp_connections_dropped, 2);
        assert_eq!(sockets.deadline(), None);
        for client in &mut clients {
            // Unread bytes may turn the close into a reset.
            assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
        }
    });
}

#[test]
fn a_socket_that_is_marked_readable_twice_is_read_once_a_turn() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = listening();
        let now = Instant::now();
        look(&mut sockets, &mut sfu, now, &[listen.socket]).await;
        let mut client = Client::connect(listen.local).expect("it listens");
        look(&mut sockets, &mut sfu, now, &[listen.socket]).await;
        let id = *sockets.connections.values().next().expect("a connection");
        // The client sends more empty frames than one turn reads from unverified connections.
        client.write_all(&[0; 1000]).expect("room");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut readable = vec![id];
        for _ in 0..3 {
            // A waker armed by a write may add a socket that is still in the list.
            readable.push(id);
            sockets.receive(&mut readable, &mut sfu, now);
            assert_eq!(readable, [id]);
        }
    });
}

#[test]
#[cfg(target_os = "linux")] // Others receive one datagram at a time.
fn what_a_turn_leaves_in_the_buffers_is_due_in_the_next_and_ends_with_its_socket() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = bound(ListenProtocol::Udp);
        let peer = Peer::bind("127.0.0.1:0").expect("a free port");
        for closes in [false, true] {
            for _ in 0..3 {
                peer.send_to(&[0; 10], listen.local).expect("room");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let Sockets { sockets: all, buffers, unfinished, .. } = &mut sockets;
            let Some(Socket::Udp(port)) = all.get_mut(&listen.socket) else { panic!("it is open") };
            assert!(port.receive(buffers, Instant::now(), &mut 0, |_, _, _| {}));
            assert!(buffers.is_left());
            *unfinished = Some(listen.socket);
            if closes {
                sockets.close(listen.socket);
                assert!(!sockets.buffers.is_left() && sockets.unfinished.is_none());
            } else {
                while sockets.buffers.is_left() {
                    sockets.receive(&mut Vec::new(), &mut sfu, Instant::now());
                }
                assert_eq!(sockets.unfinished, None);
            }
        }
    });
}

#[test]
fn the_id_of_an_open_socket_is_not_used_again() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = listening();
        let now = Instant::now();
        look(&mut sockets, &mut sfu, now, &[listen.socket]).await;
        // The next id wraps, as after 2^32 connections.
        sockets.next = u32::MAX;
        let _clients = [(); 3].map(|()| Client::connect(listen.local).expect("it listens"));
        look(&mut sockets, &mut sfu, now, &[listen.socket]).await;
        assert_eq!(sockets.sockets.len(), 4);
        assert!(matches!(sockets.sockets[&listen.socket], Socket::TcpListener(_)));
    });
}

#[test]
fn a_datagram_that_cannot_leave_does_not_stop_the_others() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = bound(ListenProtocol::Udp);
        let peers = [(); 100].map(|()| Peer::bind("127.0.0.1:0").expect("a free port"));
        let mut transmits = Transmits::default();
        for (number, peer) in peers.iter().enumerate() {
            peer.set_read_timeout(Some(Duration::from_secs(5))).expect("more than zero");
            let mut remote = peer.local_addr().expect("bound");
            if matches!(number, 0 | 50 | 99) {
                remote.set_port(0); // The kernel rejects it.
            }
            transmits.push(Tuple::new(listen.socket, remote), &[number as u8]);
            if number % 9 == 0 {
                transmits.push(Tuple::new(listen.socket, remote), &[200]);
            }
        }
        sockets.transmit(&transmits, &mut sfu);
        for (number, peer) in peers.iter().enumerate() {
            let mut bytes = [0; 8];
            let expected: &[u8] = match number {
                0 | 50 | 99 => continue,
                _ if number % 9 == 0 => &[number as u8, 200],
                _ => &[number as u8],
            };
            for byte in expected {
                assert_eq!(peer.recv(&mut bytes).expect("a datagram"), 1, "peer {number}");
                assert_eq!(bytes[0], *byte, "peer {number}");
            }
        }
        // Two each to the first and the last peer, one to the peer in the middle.
        assert_eq!(sockets.counters().datagrams_unsent, 5);
    });
}

#[test]
#[cfg(target_os = "linux")] // All of 127.0.0.0/8 is this host.
fn datagrams_leave_from_the_local_address_of_their_tuple_alone_together_and_as_segments() {
    in_runtime(async {
        for (bound_to, local, from) in [
            ("0.0.0.0", "127.0.0.2", "127.0.0.2"),
            ("::", "::ffff:127.0.0.2", "127.0.0.2"),
            ("::", "::1", "::1"),
        ] {
            let (mut sockets, mut sfu, listen) = bound_on(ListenProtocol::Udp, bound_to);
            let peers = [(); 20].map(|()| {
                let any = if from.contains(':') { "[::1]:0" } else { "127.0.0.1:0" };
                let peer = Peer::bind(any).expect("a free port");
                peer.set_read_timeout(Some(Duration::from_secs(5))).expect("more than zero");
                peer
            });
            let to = |peer: &Peer, local| {
                let mut remote = peer.local_addr().expect("bound");
                if let (std::net::IpAddr::V4(ip), true) = (remote.ip(), bound_to == "::") {
                    remote.set_ip(ip.to_ipv6_mapped().into());
                }
                Tuple { socket: listen.socket, local, remote }
            };
            let local = Some(local.parse().expect("an address"));
            let mut transmits = Transmits::default();
            // One alone, segments, and many, among which only some name an address.
            transmits.push(to(&peers[0], local), &[0; 50]);
            sockets.transmit(&transmits, &mut sfu);
            transmits.clear();
            for size in [50, 50, 30] {
                transmits.push(to(&peers[0], local), &vec![0; size]);
            }
            for (number, peer) in peers.iter().enumerate() {
                transmits.push(to(peer, local.filter(|_| number % 3 > 0)), &[0; 40]);
            }
            sockets.transmit(&transmits, &mut sfu);
            let source = |peer: &Peer| {
                let (len, source) = peer.recv_from(&mut [0; 100]).expect("a datagram");
                (len, source.ip().to_string())
            };
            for len in [50, 50, 50, 30] {
                assert_eq!(source(&peers[0]), (len, from.to_owned()));
            }
            for (number, peer) in peers.iter().enumerate() {
                let (len, source) = source(peer);
                assert_eq!(len, 40);
                if number % 3 > 0 {
                    assert_eq!(source, from, "peer {number}");
                }
            }
            assert_eq!(sockets.counters().datagrams_unsent, 0);
        }
    });
}

/// The lengths of the datagrams that the peer receives with one call, as the kernel left them together.
#[cfg(target_os = "linux")]
fn segments_of(peer: &Peer) -> Vec<usize> {
    let state = quinn_udp::UdpSocketState::new(peer.into()).expect("a UDP socket");
    peer.set_nonblocking(false).expect("a socket");
    let mut buffer = [0; 65_535];
    let mut meta = [quinn_udp::RecvMeta::default()];
    state
        .recv(peer.into(), &mut [std::io::IoSliceMut::new(&mut buffer)], &mut meta)
        .expect("a datagram");
    buffer[..meta[0].len].chunks(meta[0].stride).map(<[u8]>::len).collect()
}

#[cfg(target_os = "linux")]
fn peer() -> Peer {
    let peer = Peer::bind("127.0.0.1:0").expect("a free port");
    peer.set_read_timeout(Some(Duration::from_secs(5))).expect("more than zero");
    // Before anything arrives, so that the kernel leaves segments together.
    quinn_udp::UdpSocketState::new((&peer).into()).expect("a UDP socket");
    peer
}

#[test]
#[cfg(target_os = "linux")] // Elsewhere there are no segments.
fn a_destination_that_the_kernel_rejects_does_not_change_how_others_are_served() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = bound(ListenProtocol::Udp);
        let peer = peer();
        let to = peer.local_addr().expect("bound");
        // EINVAL, EACCES, EINVAL, and a multicast group without members.
        let bad = ["127.0.0.1:0", "255.255.255.255:9", "0.0.0.0:0", "224.0.0.1:9"];
        for remote in bad.into_iter().chain(bad) {
            let remote = remote.parse().expect("an address");
            let mut transmits = Transmits::default();
            for size in [100, 100, 40] {
                transmits.push(Tuple::new(listen.socket, remote), &vec![1; size]);
            }
            sockets.transmit(&transmits, &mut sfu);
            transmits.clear();
            for size in [1000, 1000, 1000, 500] {
                let tuple = Tuple::new(listen.socket, to);
                transmits.push(tuple, &vec![2; size]);
            }
            sockets.transmit(&transmits, &mut sfu);
            assert_eq!(segments_of(&peer), [1000, 1000, 1000, 500], "after {remote}");
        }
        // Whether a datagram to a multicast group can leave depends on the host's routes.
        let unsent = sockets.counters().datagrams_unsent;
        assert!(unsent == 18 || unsent == 24, "{unsent}");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn where_the_kernel_refuses_segments_datagrams_leave_one_by_one() {
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = bound(ListenProtocol::Udp);
        let (Some(Socket::Udp(port)), peer) = (sockets.sockets.get_mut(&listen.socket), peer())
        else {
            panic!("a UDP socket")
        };
        let to = peer.local_addr().expect("bound");
        port.refuse_segments_to(to.ip());
        let mut transmits = Transmits::default();
        for size in [1000, 1000, 500] {
            transmits.push(Tuple::new(listen.socket, to), &vec![2; size]);
        }
        sockets.transmit(&transmits, &mut sfu);
        for size in [1000, 1000, 500] {
            assert_eq!(segments_of(&peer), [size]);
        }
        assert_eq!(sockets.counters().datagrams_unsent, 0);
    });
}

#[test]
fn a_datagram_from_port_0_is_dropped_and_counted() {
    use socket2::{Domain, Protocol, Type};

    let raw = match socket2::Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) {
        Ok(raw) => raw,
        Err(error) => return eprintln!("not tested, as it takes CAP_NET_RAW: {error}"),
    };
    in_runtime(async {
        let (mut sockets, mut sfu, listen) = bound(ListenProtocol::Udp);
        let now = Instant::now();
        look(&mut sockets, &mut sfu, now, &[listen.socket]).await;
        // Source port 0, the destination's port, 12 bytes, no checksum.
        let mut datagram = [0; 12];
        datagram[2..4].copy_from_slice(&listen.local.port().to_be_bytes());
        datagram[5] = 12;
        for _ in 0..3 {
            raw.send_to(&datagram, &listen.local.into()).expect("sent");
        }
        look(&mut sockets, &mut sfu, now, &[listen.socket]).await;
        assert_eq!(sockets.counters().datagrams_unanswerable, 3);
    });
}

#[test]
fn ports_are_taken_at_random_from_the_range() {
    in_runtime(async {
        let ports: Vec<u16> = (0..20).map(|_| bound(ListenProtocol::Udp).2.local.port()).collect();
        assert!(ports.iter().all(|port| (10_000..=59_999).contains(port)), "{ports:?}");
        let (min, max) = (ports.iter().min().unwrap(), ports.iter().max().unwrap());
        assert!(max - min > 1000, "{ports:?}");
    });
}
