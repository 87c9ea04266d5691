//! What the least is that a step of a message can cost on this machine, in nanoseconds. Of many rounds the fastest
//! counts: what else the machine does only ever adds.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "measures the world")]

use std::hint::black_box;
use std::net::UdpSocket;
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use crc32c::crc32c;

const ROUNDS: usize = 50;
const TIMES: u32 = 1000;

/// Prints a line per floor.
pub(crate) fn print() {
    for len in [100, 1000] {
        copy(len);
        checksum(len);
        seal(len);
        datagram(len);
    }
    floor("malloc and free of 1,000 bytes", || {
        black_box(Vec::<u8>::with_capacity(black_box(1000)));
    });
    floor("reading the clock", || {
        black_box(Instant::now());
    });
}

fn floor(what: &str, mut work: impl FnMut()) {
    let round = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..TIMES).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / f64::from(TIMES)
    };
    let fastest = (0..ROUNDS).map(|_| round(&mut work)).fold(f64::MAX, f64::min);
    println!("{what}: {fastest:.1} ns");
}

fn copy(len: usize) {
    let from = vec![1; len];
    let mut to = vec![0; len];
    floor(&format!("memcpy of {len} bytes"), || {
        black_box(&mut to).copy_from_slice(black_box(&from));
    });
}

fn checksum(len: usize) {
    let packet = vec![1; 28 + len];
    floor(&format!("CRC32c of {len} bytes and headers"), || {
        black_box(crc32c(black_box(&packet)));
    });
}

fn seal(len: usize) {
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("16 bytes");
    let key = LessSafeKey::new(key);
    let mut record = vec![1; 28 + len];
    floor(&format!("AES-128-GCM of {len} bytes and headers"), || {
        let nonce = Nonce::assume_unique_for_key([3; 12]);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from([0; 13]), &mut record);
        let _ = black_box(tag);
    });
}

/// Two system calls, of which the first also runs the whole way through the kernel.
fn datagram(len: usize) {
    let socket = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (from, to) = (socket(), socket());
    let address = to.local_addr().expect("bound");
    let record = vec![1; 65 + len];
    let mut buffer = [0; 2048];
    floor(&format!("sendto and recvfrom of {len} bytes and headers, on loopback"), || {
        from.send_to(&record, address).expect("room");
        to.recv_from(&mut buffer).expect("just sent");
    });
}
