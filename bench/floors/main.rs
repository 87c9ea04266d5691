//! The least time that each step of handling a message can take on this machine, in nanoseconds, measured alone:
//! copying, sealing, system calls. Run it with `npm run bench:floors`. The fastest round counts, because other load on
//! the machine can only add to it.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "measures real time")]

use std::hint::black_box;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use crc32c::crc32c;
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::runtime::sendmsg;

const ROUNDS: usize = 50;
const TIMES: usize = 1000;

/// Bytes of a datagram besides the message: headers of DTLS, SCTP and DATA.
const HEADERS: usize = 65;

/// The number of datagrams in a system call that sends several.
const TOGETHER: usize = 40;

fn main() {
    for len in [100, 1000, 16 * 1024] {
        copy(len);
    }
    for len in [100, 1000] {
        checksum(len);
        seal(len);
        one_datagram(len);
        datagrams_to_many(len);
        datagrams_to_one(len);
    }
    floor("malloc and free of 1,000 bytes", TIMES, || {
        timed(|| {
            black_box(Vec::<u8>::with_capacity(black_box(1000)));
        })
    });
    floor("reading the clock", TIMES, || {
        timed(|| {
            black_box(Instant::now());
        })
    });
}

/// Prints the time of one step. `work` does `steps` steps and returns the time that all of them took.
fn floor(what: &str, steps: usize, mut work: impl FnMut() -> Duration) {
    let fastest = (0..ROUNDS).map(|_| work()).min().unwrap_or_default();
    println!("{what}: {:.1} ns", fastest.as_nanos() as f64 / steps as f64);
}

/// The time of [`TIMES`] repetitions.
fn timed(mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..TIMES).for_each(|_| work());
    start.elapsed()
}

fn copy(len: usize) {
    let from = vec![1_u8; len];
    let mut to = vec![0_u8; len];
    floor(&format!("memcpy of {len} bytes"), TIMES, || {
        timed(|| black_box(&mut to).copy_from_slice(black_box(&from)))
    });
}

fn checksum(len: usize) {
    let packet = vec![1; 28 + len];
    floor(&format!("CRC32c of {len} bytes and headers"), TIMES, || {
        timed(|| {
            black_box(crc32c(black_box(&packet)));
        })
    });
}

fn seal(len: usize) {
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("16 bytes");
    let key = LessSafeKey::new(key);
    let mut record = vec![1; 28 + len];
    floor(&format!("AES-128-GCM of {len} bytes and headers"), TIMES, || {
        timed(|| {
            let nonce = Nonce::assume_unique_for_key([3; 12]);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::from([0; 13]), &mut record);
            let _ = black_box(tag);
        })
    });
}

/// Sends one datagram through the kernel to the queue of the other socket, and reads it from that queue.
fn one_datagram(len: usize) {
    let (from, to) = (socket(), socket());
    let address = to.local_addr().expect("bound");
    let record = vec![1; HEADERS + len];
    let mut buffer = [0; 2048];
    floor(&format!("sendto of {len} bytes and headers, on loopback"), TOGETHER, || {
        let start = Instant::now();
        for _ in 0..TOGETHER {
            from.send_to(&record, address).expect("room");
        }
        let took = start.elapsed();
        empty(&to);
        took
    });
    floor(&format!("recvfrom of {len} bytes and headers"), TOGETHER, || {
        for _ in 0..TOGETHER {
            from.send_to(&record, address).expect("room");
        }
        let start = Instant::now();
        for _ in 0..TOGETHER {
            to.recv_from(&mut buffer).expect("just sent");
        }
        start.elapsed()
    });
}

fn tuple_to(socket: &UdpSocket) -> Tuple {
    Tuple::new(SocketId(0), socket.local_addr().expect("bound"))
}

fn datagrams_to_many(len: usize) {
    let from = socket();
    let to: [_; TOGETHER] = std::array::from_fn(|_| socket());
    let record = vec![1; HEADERS + len];
    let datagrams: Vec<(Tuple, &[u8])> = to.iter().map(|it| (tuple_to(it), &record[..])).collect();
    let what = format!("sendmmsg, 1 of {TOGETHER} datagrams of {len} bytes and headers");
    floor(&what, TOGETHER, || {
        let start = Instant::now();
        let sent = sendmsg::send_many(from.as_fd(), &datagrams).expect("room");
        let took = start.elapsed();
        assert_eq!(sent, TOGETHER);
        to.iter().for_each(empty);
        took
    });
}

fn datagrams_to_one(len: usize) {
    let (from, to) = (socket(), socket());
    let tuple = tuple_to(&to);
    let contents = vec![1; TOGETHER * (HEADERS + len)];
    let segment = Some((HEADERS + len) as u16);
    floor(&format!("GSO, 1 of {TOGETHER} datagrams of {len} bytes and headers"), TOGETHER, || {
        let start = Instant::now();
        sendmsg::send(from.as_fd(), tuple, &contents, segment).expect("room");
        let took = start.elapsed();
        empty(&to);
        took
    });
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("an open one");
    socket
}

/// Reads all datagrams in the queue.
fn empty(socket: &UdpSocket) {
    while socket.recv(&mut [0; 2048]).is_ok() {}
}
