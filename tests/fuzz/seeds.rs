//! The seeds of the fuzzer: the input of correct peers, and some of hostile ones.
//!
//! This file makes them in the format that each target reads, for `fuzz/seeds/<target>`.
//! `UPDATE_SEEDS=1 cargo test --test fuzz` writes them. Inputs that the fuzzer has found are added to
//! the same folders by hand, with names that begin with `found-`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::Bytes;
use datasoup::proto::dcep::Open;
use datasoup::proto::framing::push_frame;
use datasoup::proto::message::{Limit, Reliability};
use datasoup::sfu::pipe_header;
use datasoup::sfu::subchannels::Selector;

use crate::packet::*;
use rfc5769::RFC_5769_REQUEST;

/// Shared with the unit tests of `proto::stun`.
#[path = "../../src/proto/stun/rfc5769.rs"]
mod rfc5769;

/// A target's seeds: name and contents.
type Seeds = Vec<(&'static str, Vec<u8>)>;

macro_rules! targets {
    ($($target:ident: $seeds:expr;)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), crate::$target::run, $seeds);
        })*
    };
}

targets! {
    stun: stun_seeds();
    demux: demux_seeds();
    dcep: dcep_seeds();
    subchannel_header: header_seeds();
    tcp_framing: framing_seeds();
    guard: guard_seeds();
    webrtc_peer: webrtc_seeds();
    two_peers: model_seeds();
    network: network_seeds();
}

/// Runs a target with every file of its folder, and checks that the folder has `seeds`.
fn replay(target: &str, run: fn(&[u8]), seeds: Seeds) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    if env::var_os("UPDATE_SEEDS").is_some() {
        fs::create_dir_all(&folder).expect("a folder");
        for (name, contents) in &seeds {
            fs::write(folder.join(name), contents).expect("a file");
        }
    }
    let mut files = read(&folder);
    for (name, contents) in seeds {
        let file = files.get(name);
        assert!(file == Some(&contents), "{target}/{name} differs: see the top of this file");
    }
    for (name, contents) in std::mem::take(&mut files) {
        println!("{target}/{name}");
        run(&contents);
    }
}

fn read(folder: &PathBuf) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("a file").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.map(|path| (name(&path), fs::read(&path).expect("a file"))).collect()
}

fn stun_seeds() -> Seeds {
    let unknown = b"\x00\x01\x00\x18\x21\x12\xa4\x42unknown-attr\x00\x06\x00\x0clocal:remote\
        \x77\x77\x00\x03abc\x00";
    // The attributes are PRIORITY, ICE-CONTROLLING and USE-CANDIDATE; then NOMINATION; then two unknown attributes;
    // then ICE-CONTROLLED.
    let browser = [
        &[2, 0, 0x24, 4, 0x6e, 0, 1, 0xff, 0x80, 0x2a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x25, 0][..],
        &[0xc0, 1, 4, 0, 0, 0, 1],
    ];
    vec![
        ("rfc5769", [&[0], RFC_5769_REQUEST].concat()),
        ("unknown-attribute", [&[0][..], unknown].concat()),
        ("browser", browser.concat()),
        (
            "refused",
            vec![3, 0x77, 0x77, 2, 1, 2, 0, 0x26, 0, 0x80, 0x29, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
    ]
}

fn demux_seeds() -> Seeds {
    let hello = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let sealed = [&[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 30][..], &[9; 30]].concat();
    vec![
        ("stun", RFC_5769_REQUEST.to_vec()),
        ("client-hello", hello.to_vec()),
        ("sealed", sealed),
        ("rtp", vec![0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]),
    ]
}

fn dcep_seeds() -> Seeds {
    let open = |limit, ordered, label: &str| {
        let reliability = Reliability { ordered, limit };
        Open { label: label.into(), protocol: "json".into(), priority: 256, reliability }.encode()
    };
    vec![
        ("reliable", open(None, true, "chat ✓")),
        ("retransmits", open(Some(Limit::Retransmits(3)), false, "")),
        ("lifetime", open(Some(Limit::LifetimeMs(500)), true, "cursor")),
        ("ack", vec![2]),
    ]
}

fn header_seeds() -> Seeds {
    let header = |subchannels: &[u16], required, ignored| {
        let selector =
            Selector { subchannels: subchannels.iter().copied().collect(), required, ignored };
        pipe_header::encode(Some(&selector), &Bytes::from_static(b"payload")).to_vec()
    };
    let empty = pipe_header::encode(None, &header(&[], Some(1), None).into()).to_vec();
    vec![
        ("all", header(&[1, 2, 258], Some(3), Some(4))),
        ("required", header(&[], Some(7), None)),
        ("ignored", header(&[9], None, Some(7))),
        ("escaped", empty),
        ("fields", vec![3, 2, 0, 1, 0, 2, 0, 1, 0, 9, 2, 0, 1, 0, 2, b'x']),
    ]
}

fn framing_seeds() -> Seeds {
    let stream = |pieces: u8, lens: &[usize]| {
        let mut stream = vec![pieces];
        lens.iter().for_each(|&len| assert!(push_frame(&mut stream, &vec![len as u8; len])));
        stream
    };
    let mut overlong = stream(4, &[3]);
    overlong.extend_from_slice(&[0xff, 0xff, 1]);
    vec![
        ("byte-by-byte", stream(0, &[3, 0, 20])),
        ("at-once", stream(255, &[100, 50])),
        ("overlong", overlong),
    ]
}

/// A step with a packet of these chunks.
fn wire(chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    [&[3][..], &(chunks.len() as u16).to_be_bytes(), &chunks].concat()
}

/// A step with a packet whose chunks the script makes: kind, flags, value, and trailing zeros.
fn made(chunks: &[(u8, u8, &[u8], u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &(kind, flags, value, zeros) in chunks {
        bytes.extend_from_slice(&[kind, flags, value.len() as u8]);
        bytes.extend_from_slice(value);
        bytes.extend((kind == DATA).then_some(zeros));
    }
    [&[0][..], &(bytes.len() as u16).to_be_bytes(), &bytes].concat()
}

const REPEAT: u8 = 6;
const RAW: u8 = 8;
const STRANGER: u8 = 9;
const CHECK: u8 = 10;
const WAIT: u8 = 11;
const SEND: u8 = 13;
const REOPEN: u8 = 15;

/// One script per action of a peer in an association.
fn scripts() -> Seeds {
    let text = |stream: u16, ssn, payload: &[u8]| data(WHOLE, 0, stream, ssn, 51, payload);
    let open = Open {
        label: "chat".into(),
        protocol: String::new(),
        priority: 0,
        reliability: Reliability::RELIABLE,
    };
    let forward = [&[0, 0, 0, 4][..], &[0, 1, 0, 0]].concat();
    let fragment: &[u8] = &[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 53, 1];
    vec![
        (
            "messages",
            [
                wire(&[text(0, 0, b"hello"), text(1, 0, b"world")]),
                wire(&[data(FIRST, 0, 2, 0, 53, b"one"), data(1, 0, 2, 0, 53, b"two")]),
                wire(&[data(WHOLE | UNORDERED, 3, 0, 0, 1234, b"a gap before it")]),
                vec![WAIT, 200],
            ]
            .concat(),
        ),
        (
            "acknowledges",
            [
                vec![SEND, 0, 0, 200, SEND, 1, 0x20, 0, SEND, 8, 0x40, 0],
                wire(&[sack(1, 1 << 20, &[(2, 3)])]),
                wire(&[sack(4, 0, &[])]),
                vec![WAIT, 255],
            ]
            .concat(),
        ),
        (
            "channel",
            [
                wire(&[data(WHOLE, 0, 1, 0, 50, &open.encode())]),
                wire(&[reset(0, 0, 0, &[1])]),
                vec![WAIT, 150, REOPEN, 1],
                wire(&[chunk(RECONFIG, 0, &parameter(16, &[0, 0, 0, 0, 0, 0, 0, 1]))]),
            ]
            .concat(),
        ),
        (
            "skips",
            [
                wire(&[text(1, 1, b"early")]),
                wire(&[chunk(FORWARD_TSN, 0, &forward)]),
                wire(&[chunk(HEARTBEAT, 0, &parameter(1, b"12345678"))]),
                wire(&[chunk(ERROR, 0, &[0, 3, 0, 8, 0, 0, 0, 0]), chunk(0x84, 0, b"unknown")]),
            ]
            .concat(),
        ),
        (
            "fragments",
            [
                made(&[(DATA, FIRST, fragment, 0)]),
                made(&[(DATA, 0, fragment, 0); 20]),
                vec![REPEAT, 40],
            ]
            .concat(),
        ),
        (
            "reset-data",
            [
                wire(&[data(FIRST, 0, 1, 0, 53, b"left incomplete")]),
                wire(&[
                    reset(0, 0, 0, &[1]),
                    data(FIRST, 0, 1, 0, 53, b"one"),
                    data(MIDDLE, 0, 1, 0, 53, b"two"),
                    data(LAST, 0, 1, 0, 53, b"three"),
                    chunk(FORWARD_TSN, 0, &forward),
                ]),
                vec![REPEAT, 40],
            ]
            .concat(),
        ),
        (
            "reassembly",
            [
                made(&[(DATA, FIRST, fragment, 140)]),
                made(&[(DATA, 0, fragment, 140)]),
                vec![REPEAT, 255],
            ]
            .concat(),
        ),
        (
            "shutdown",
            [wire(&[chunk(SHUTDOWN, 0, &[0; 4])]), wire(&[chunk(SHUTDOWN_COMPLETE, 0, &[])])]
                .concat(),
        ),
        ("abort", wire(&[chunk(ABORT, 0, &[0, 12, 0, 4])])),
    ]
}

/// A peer that fills the window, empties it, and resets a stream up to a TSN that the full window has rejected.
fn full_window() -> Vec<u8> {
    let fragment: &[u8] = &[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 53, 1];
    let single = |distance, stream| data(FIRST | UNORDERED, distance, stream, 0, 53, b"x");
    [
        made(&[(DATA, FIRST | UNORDERED, fragment, 140)]),
        vec![REPEAT, 70],
        wire(&[single(1, 1), single(2, 2)]),
        wire(&[reset(0, 0, 0, &[1])]),
        wire(&[single(3, 3)]),
        wire(&[single(0, 4), reset(0, 0, 2, &[2])]),
        wire(&[4, 5, 6, 7].map(|distance| data(MIDDLE, distance, 2, 0, 53, b"x"))),
        vec![WAIT, 200],
        wire(&[single(2, 2), reset(0, 0, 2, &[2])]),
    ]
    .concat()
}

fn guard_seeds() -> Seeds {
    let with = |flags: u8, script: Vec<u8>| [vec![flags], script].concat();
    let mut seeds: Seeds = scripts().into_iter().map(|(name, it)| (name, with(0, it))).collect();
    let hello = init(INIT, 0, (10, 10), 0, &extensions());
    let echo = made(&[(COOKIE_ECHO, 0, &[], 0)]);
    // A packet with an INIT has the verification tag 0 (RFC 9260 §8.5.1).
    let mut first = wire(&[hello]);
    first[0] |= 3 << 4;
    seeds.push(("accepts", with(16, [first, echo, scripts()[0].1.clone()].concat())));
    let cookie = [&extensions()[..], &[0, 0], &parameter(7, b"a cookie")].concat();
    let answer = wire(&[init(INIT_ACK, 0, (10, 10), 0, &cookie)]);
    let done = wire(&[chunk(COOKIE_ACK, 0, &[])]);
    seeds.push(("begins", with(48, [answer, done, scripts()[0].1.clone()].concat())));
    seeds.push(("router", with(1, scripts()[2].1.clone())));
    seeds.push(("small", with(14, scripts()[4].1.clone())));
    seeds.push(("rejected", with(14, full_window())));
    seeds
}

fn webrtc_seeds() -> Seeds {
    let mut seeds = scripts();
    let block =
        |what: u8, bytes: &[u8]| [&[what][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let datagrams = [
        vec![CHECK, 0, CHECK | 16, 3, CHECK, 9],
        block(RAW, &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0]),
        block(RAW, &[&[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 30][..], &[9; 30]].concat()),
        block(RAW, b"\0not SCTP"),
        block(STRANGER, RFC_5769_REQUEST),
        vec![WAIT, 200, SEND, 0, 1, 0, REOPEN, 0, WAIT, 140],
    ];
    seeds.push(("datagrams", datagrams.concat()));
    seeds
}

fn model_seeds() -> Seeds {
    let rough = [13, 13, 20, 30];
    let with = |flags: u8, conditions: [u8; 4], actions: &[u8]| {
        [&[flags, 7][..], &conditions, actions].concat()
    };
    vec![
        ("perfect", with(0, [0, 0, 10, 0], &[0, 100, 9, 0x18, 50, 3, 5, 200, 2, 90, 2])),
        ("rough", with(2, rough, &[0, 100, 31, 0x1a, 200, 4, 0x28, 3, 31, 5, 200, 0, 9, 9])),
        ("crossing", with(3, rough, &[0, 20, 5, 8, 20, 5, 6, 140])),
        (
            "partial",
            with(
                0,
                [60, 0, 50, 0],
                &[3, 2, 0, 0, 80, 20, 0x13, 7, 9, 0x10, 80, 20, 5, 150, 0x10, 9, 9],
            ),
        ),
        ("reopened", with(0, rough, &[0, 9, 9, 4, 5, 140, 0, 9, 9, 8, 9, 9, 12, 5, 160, 8, 9, 3])),
        (
            "closing",
            with(
                8,
                rough,
                &[2, 20, 31, 0x12, 20, 31, 4, 0x1c, 0, 100, 31, 5, 20, 0x14, 0x12, 9, 9, 5, 200],
            ),
        ),
        ("outage", with(8, rough, &[2, 20, 5, 7, 255, 255, 0, 0, 10, 60, 9, 5, 200])),
        ("router", with(4, rough, &[0, 255, 20, 4, 0, 9, 9, 8, 40, 9, 5, 140])),
    ]
}

/// What the network does to a packet (see `network::arrivals`).
const LOST: u8 = 64;
const TWICE: u8 = 128;
const LATE: u8 = 192;

fn network_seeds() -> Seeds {
    let with = |flags: u8, fates: &[u8], actions: &[u8]| {
        [&[flags][..], &(fates.len() as u16).to_be_bytes(), fates, actions].concat()
    };
    // Opens two streams, the second one with a lifetime; then messages of three sizes in both directions.
    let busy: &[u8] = &[
        3, 0, 0, 0x13, 7, 20, 0x23, 6, 1, 2, 60, 7, 0x10, 80, 31, 0x28, 200, 31, 5, 60, 0, 9, 31,
        5, 90, 0x20, 9, 9, 6, 255,
    ];
    let mut seeds = Seeds::new();
    for (name, fates) in [
        ("lossy", &[0, 0, 0, LOST, 0, 0, LOST, LOST, 0, 0, 0, 0, 0][..]),
        ("reordered", &[0, LATE | 6, 0, 0, LATE | 3, 0, 20]),
        ("doubled", &[TWICE, TWICE | 5, TWICE | 40]),
        ("interrupted", &[[0; 40], [LOST; 40]].concat()),
        ("delayed", &[LATE | 20]),
        ("rough", &[0, LOST, LATE | 5, TWICE | 9, 3, 0, LOST, 30, TWICE | 30, LATE | 1, 0]),
    ] {
        seeds.push((name, with(0, fates, busy)));
    }
    // Both send an INIT through the same network, and have BBR and NewReno.
    seeds.push(("handshake", with(0x63, &[LOST, 0, TWICE | 9, LATE | 30, 0], busy)));
    seeds.push(("small", with(0x58, &[0, LOST, TWICE | 9, LATE | 3, 0], busy)));
    seeds
}
