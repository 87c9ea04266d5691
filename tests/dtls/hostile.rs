//! What must not end a session, or at least not more than that one.

use std::time::Duration;

use datasoup::proto::dtls::{DtlsRole, DtlsState};

use crate::harness::{
    Endpoint, LATENCY, Ours, Pair, Random, Raw, To, acquainted, clock, connected, perfect,
};

const SECOND: Duration = Duration::from_secs(1);

/// A record with a header of our choosing.
fn record(content_type: u8, epoch: u16, number: u32, fragment: &[u8]) -> Vec<u8> {
    let mut record = vec![content_type, 0xfe, 0xfd];
    record.extend_from_slice(&epoch.to_be_bytes());
    record.extend_from_slice(&[0, 0]);
    record.extend_from_slice(&number.to_be_bytes());
    record.extend_from_slice(&(fragment.len() as u16).to_be_bytes());
    record.extend_from_slice(fragment);
    record
}

/// A piece of a handshake message in a plaintext record.
fn fragment(number: u32, kind: u8, length: u32, seq: u16, offset: u32, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&length.to_be_bytes()[1..]);
    message.extend_from_slice(&seq.to_be_bytes());
    message.extend_from_slice(&offset.to_be_bytes()[1..]);
    message.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend_from_slice(body);
    record(22, 0, number, &message)
}

/// Noise of every kind that somebody without the keys can make.
fn noise(random: &mut Random) -> Vec<u8> {
    let len = random.below(200);
    let body = random.bytes(len);
    let number = random.next() as u32;
    match random.below(7) {
        0 => body,
        1 => record(random.next() as u8, random.below(4) as u16, number, &body),
        2 => record(20 + random.below(4) as u8, 1, number, &body),
        3 => record(23, 0, number, &body),
        4 => {
            let kind = [0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 20, 99][random.below(12)];
            fragment(number, kind, random.below(300) as u32, random.below(9) as u16, 0, &body)
        }
        5 => record(21, 0, number, &[1 + random.below(2) as u8, random.next() as u8]),
        _ => {
            let mut record = record(23, 1, number, &body);
            record.truncate(random.below(record.len() + 1));
            record
        }
    }
}

#[test]
fn noise_does_not_end_a_connected_session() {
    for seed in 1..=20 {
        let mut random = Random(seed);
        let mut pair = connected();
        for i in 0..2_000u32 {
            let noise = noise(&mut random);
            pair.a.handle_datagram(pair.now, &noise);
            pair.b.handle_datagram(pair.now, &noise);
            if i % 50 == 0 {
                let (from_a, from_b) = (pair.a.seal(b"a"), pair.b.seal(b"b"));
                pair.b.handle_datagram(pair.now, &[noise, from_a.clone()].concat());
                pair.b.handle_datagram(pair.now, &from_a);
                pair.a.handle_datagram(pair.now, &from_b);
                pair.run(LATENCY, &mut perfect);
            }
        }
        assert!(pair.a.is(DtlsState::Connected), "seed {seed}");
        assert!(pair.b.is(DtlsState::Connected), "seed {seed}");
        assert_eq!(pair.a.received, vec!["b"; 40], "nothing but what the peer sealed");
        assert_eq!(pair.b.received, vec!["a"; 40], "nothing but what the peer sealed");
    }
}

#[test]
fn records_cut_changed_or_sent_twice_are_dropped() {
    let mut pair = connected();
    let good = pair.a.seal(b"good");
    for len in 0..good.len() {
        pair.b.handle_datagram(pair.now, &good[..len]);
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            // The version in the header is not sealed, so one of DTLS 1.0 is as good.
            if bad[1..3] != [0xfe, 0xff] {
                pair.b.handle_datagram(pair.now, &bad);
            }
        }
    }
    assert!(pair.b.received.is_empty());
    pair.b.handle_datagram(pair.now, &good);
    for _ in 0..100 {
        pair.b.handle_datagram(pair.now, &good);
    }
    assert_eq!(pair.b.received, ["good"]);

    // Reordering within the window of 64 is none of that.
    let records: Vec<Vec<u8>> = (0..200u8).map(|i| pair.a.seal(&[i])).collect();
    pair.b.received.clear();
    for record in records[150..200].iter().rev() {
        pair.b.handle_datagram(pair.now, record);
    }
    for record in &records[..130] {
        pair.b.handle_datagram(pair.now, record);
    }
    let received: Vec<u8> = pair.b.received.iter().map(|content| content[0]).collect();
    assert_eq!(received, (150..200).rev().collect::<Vec<u8>>());
    assert!(pair.b.is(DtlsState::Connected));
}

#[test]
fn a_second_client_hello_does_not_end_a_connected_session() {
    let mut pair = acquainted();
    let first = pair.a.flush().remove(0);
    pair.b.handle_datagram(pair.now, &first);
    pair.run(SECOND, &mut perfect);
    // The server has not heard the client's data yet, so the client may still need its answer.
    let other = Raw::new(pair.now, true, dimpl::Config::builder()).flush().remove(0);
    let mut answers = 0;
    for _ in 0..100 {
        pair.b.handle_datagram(pair.now, &first);
        pair.b.handle_datagram(pair.now, &other);
        pair.a.handle_datagram(pair.now, &other);
        answers += pair.a.flush().len() + pair.b.flush().len();
    }
    assert!(answers <= 1, "{answers} answers to 300 datagrams");
    assert!(pair.a.is(DtlsState::Connected) && pair.b.is(DtlsState::Connected));
    let content = pair.a.seal(b"still here");
    pair.b.handle_datagram(pair.now, &content);
    assert_eq!(pair.b.received, ["still here"]);
}

#[test]
fn harmless_noise_does_not_stop_a_handshake() {
    for seed in 1..=20 {
        let mut random = Random(seed);
        let mut pair = acquainted();
        pair.run(29 * SECOND, &mut |to, datagram| {
            let mut arriving = Vec::new();
            for _ in 0..20 {
                let len = random.below(64);
                let body = random.bytes(len);
                let number = random.next() as u32;
                let noise = match random.below(6) {
                    0 => body,
                    // Cut short.
                    1 => datagram[..random.below(datagram.len())].to_vec(),
                    2 => record(23, random.below(2) as u16, number, &body),
                    3 => record(24 + random.below(9) as u8, 0, number, &body),
                    4 => record(22, 2 + random.below(9) as u16, number, &body),
                    // Warnings, whatever they say.
                    _ => record(21, 0, number, &[1, random.next() as u8]),
                };
                arriving.push((LATENCY, noise));
            }
            arriving.extend(perfect(to, datagram));
            arriving
        });
        assert!(pair.a.is(DtlsState::Connected), "seed {seed}");
        assert!(pair.b.is(DtlsState::Connected), "seed {seed}");
        assert!(pair.a.received.is_empty() && pair.b.received.is_empty());
    }
}

/// Datagrams of a real handshake with some bytes changed: whatever comes of it, nothing panics,
/// nothing grows without bound, and no session is left hanging.
fn mutated_handshakes(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut pair = acquainted();
        let percent = 5 + random.below(60);
        pair.run(31 * SECOND, &mut |_, mut datagram| {
            let mut arriving = Vec::new();
            if random.percent(percent) {
                for _ in 0..=random.below(4) {
                    let at = random.below(datagram.len());
                    match random.below(5) {
                        0 => datagram[at] = random.next() as u8,
                        1 => datagram[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                        2 => datagram[at] ^= 1 << random.below(8),
                        3 => {
                            datagram.insert(at, random.next() as u8);
                        }
                        _ if datagram.len() > 14 => {
                            datagram.remove(at);
                        }
                        _ => {}
                    }
                }
                // The length in the header follows, so that the change gets past it.
                if random.percent(50)
                    && let Some(len @ 1..) = datagram.len().checked_sub(13)
                {
                    datagram[11..13].copy_from_slice(&(len as u16).to_be_bytes());
                }
            }
            if random.percent(20) {
                arriving.push((LATENCY, noise(&mut random)));
            }
            arriving.push((LATENCY, datagram));
            arriving
        });
        for ours in [&pair.a, &pair.b] {
            let state = ours.dtls.state();
            assert!(matches!(state, DtlsState::Connected | DtlsState::Failed), "{state:?} {seed}");
            assert!(ours.received.is_empty());
        }
    }
}

#[test]
fn mutated_handshakes_connect_or_fail() {
    mutated_handshakes(0..300);
}

#[test]
#[ignore = "minutes; run it after a new version of the engine"]
fn mutated_handshakes_connect_or_fail_many_times() {
    mutated_handshakes(300..100_000);
}

#[test]
fn a_flood_of_fragments_is_bounded() {
    let now = clock();
    let mut ours = Ours::new();
    ours.start(now, DtlsRole::Client, ours.fingerprints());
    // A message of 16 MB in pieces that never add up.
    for i in 0..10_000 {
        ours.handle_datagram(now, &fragment(i, 1, 0xff_ffff, 0, 1 + i * 1000, &[0; 1000]));
    }
    assert_eq!(ours.states, [DtlsState::Connecting, DtlsState::Failed]);
}

#[test]
fn pieces_of_nothing_do_no_harm() {
    let now = clock();
    let mut ours = Ours::new();
    let raw = Raw::new(now, true, dimpl::Config::builder());
    ours.start(now, DtlsRole::Client, raw.fingerprints());
    for i in 0..10_000 {
        ours.handle_datagram(now, &fragment(i, 1, 100, 0, 0, &[]));
        ours.handle_datagram(now, &record(22, 0, i, &[]));
    }
    let mut pair = Pair::new(now, ours, raw);
    pair.run(SECOND, &mut perfect);
    assert!(pair.a.is(DtlsState::Connected) && pair.b.connected);
}

#[test]
fn pieces_of_nothing_ahead_of_a_message_cost_no_more_than_the_session() {
    // Of other messages than the first the engine takes an empty piece for the beginning.
    let mut pair = acquainted();
    pair.run(31 * SECOND, &mut |to, datagram| {
        let mut arriving = perfect(to, datagram);
        for seq in 0..6 {
            for kind in [2, 11, 12, 13, 14, 16] {
                arriving.insert(0, (LATENCY, fragment(77, kind, 100, seq, 0, &[])));
            }
        }
        arriving
    });
    for ours in [&pair.a, &pair.b] {
        assert!(matches!(ours.dtls.state(), DtlsState::Connected | DtlsState::Failed));
    }
}

#[test]
fn what_is_kept_for_connect_is_bounded_and_the_oldest() {
    let now = clock();
    let mut ours = Ours::new();
    let mut raw = Raw::new(now, true, dimpl::Config::builder());
    ours.dtls.path_ready(now);
    ours.handle_datagram(now, &record(23, 1, 0, b"no handshake"));
    ours.handle_datagram(now, b"nor this");
    for hello in raw.flush() {
        ours.handle_datagram(now, &hello);
    }
    for i in 0..10_000 {
        ours.handle_datagram(now, &fragment(i, 1, 60_000, 0, i * 1000, &[i as u8; 1000]));
        ours.handle_datagram(now, &vec![22; 60_000]);
    }
    assert!(ours.dtls.dropped() >= 2 + 20_000 - 8, "{} dropped", ours.dtls.dropped());
    ours.dtls.connect(now, DtlsRole::Client, raw.fingerprints()).expect("the first call");
    let mut pair = Pair::new(now, ours, raw);
    pair.run(SECOND, &mut perfect);
    assert!(pair.a.is(DtlsState::Connected) && pair.b.connected);
}

#[test]
fn huge_certificates_do_no_harm() {
    let now = clock();
    let mut ours = Ours::new();
    let client = Raw::new(now, true, dimpl::Config::builder());
    ours.start(now, DtlsRole::Client, client.fingerprints());
    let mut pair = Pair::new(now, ours, client);
    // Instead of the client's Certificate one of 48 KB arrives, in pieces and then at once.
    let body = [&[0, 0xc0, 3, 0, 0xc0, 0][..], &[0x30; 0xc000]].concat();
    pair.run(31 * SECOND, &mut |to, datagram| {
        if to == To::B || datagram.get(13) != Some(&11) {
            return perfect(to, datagram);
        }
        let len = body.len() as u32;
        let whole = (LATENCY, fragment(8, 11, len, 1, 0, &body));
        let pieces = body.chunks(1900).enumerate().map(|(i, chunk)| {
            let i = i as u32;
            (LATENCY, fragment(9 + i, 11, len, 1, i * 1900, chunk))
        });
        std::iter::once(whole).chain(pieces).collect()
    });
    assert_eq!(pair.a.states, [DtlsState::Connecting, DtlsState::Failed]);
}

#[test]
fn a_fatal_alert_ends_a_handshake_and_no_connected_session() {
    let alert = record(21, 0, 99, &[2, 40]);
    let mut pair = acquainted();
    pair.a.handle_datagram(pair.now, &alert);
    pair.b.handle_datagram(pair.now, &alert);
    assert!(pair.a.is(DtlsState::Failed) && pair.b.is(DtlsState::Failed));
    assert!(pair.a.flush().is_empty() && pair.b.flush().is_empty(), "no alert answers an alert");

    let mut pair = connected();
    pair.a.handle_datagram(pair.now, &alert);
    pair.b.handle_datagram(pair.now, &alert);
    assert!(pair.a.is(DtlsState::Connected) && pair.b.is(DtlsState::Connected));
}

#[test]
fn after_the_end_nothing_is_taken_and_nothing_leaves() {
    let mut pair = acquainted();
    let hello = pair.a.flush().remove(0);
    pair.b.handle_datagram(pair.now, &record(21, 0, 99, &[2, 40]));
    pair.b.drain_events();
    let told = pair.b.states.len();
    for datagram in [hello, record(22, 0, 0, &[1; 50])] {
        pair.b.handle_datagram(pair.now, &datagram);
    }
    pair.b.dtls.path_ready(pair.now);
    pair.b.handle_timeout(pair.now + 100 * SECOND);
    assert!(pair.b.is(DtlsState::Failed));
    assert!(pair.b.flush().is_empty());
    assert_eq!(pair.b.states.len(), told);
}
