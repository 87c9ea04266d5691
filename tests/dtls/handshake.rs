//! Handshakes that should succeed, and those that should fail; and the end of a session.

use std::time::Duration;

use datasoup::proto::certificate::{Fingerprint, FingerprintAlgorithm};
use datasoup::proto::dtls::{
    AlreadyConnected, Dtls, DtlsRole, DtlsState, MAX_PLAINTEXT, MAX_RECORD_OVERHEAD, SealError,
};

use crate::harness::{
    Endpoint, LATENCY, Ours, Pair, Random, Raw, To, acquainted, clock, connected, context, perfect,
};

const SECOND: Duration = Duration::from_secs(1);
const LIFE: [DtlsState; 2] = [DtlsState::Connecting, DtlsState::Connected];

/// Sends a message each way.
fn exchange(pair: &mut Pair<Ours, Ours>) {
    let (from_a, from_b) = (pair.a.seal(b"from a"), pair.b.seal(b"from b"));
    pair.b.handle_datagram(pair.now, &from_a);
    pair.a.handle_datagram(pair.now, &from_b);
    assert_eq!(pair.b.received.last().expect("data"), "from a");
    assert_eq!(pair.a.received.last().expect("data"), "from b");
}

#[test]
fn two_sessions_connect_and_then_have_no_timer() {
    let mut pair = connected();
    assert_eq!(pair.a.states, LIFE);
    assert_eq!(pair.b.states, LIFE);
    assert_eq!(pair.a.dtls.poll_timeout(), None);
    assert_eq!(pair.b.dtls.poll_timeout(), None);
    assert_eq!(pair.a.dtls.take_peer_certificate_pem(), Some(pair.b.context.certificate().pem()));
    assert_eq!(pair.b.dtls.take_peer_certificate_pem(), Some(pair.a.context.certificate().pem()));
    exchange(&mut pair);
    pair.run(Duration::from_secs(86_400), &mut perfect);
    exchange(&mut pair);
}

#[test]
fn the_role_follows_from_that_of_the_remote_side() {
    let now = clock();
    for (remote, local) in [
        (DtlsRole::Auto, DtlsRole::Client),
        (DtlsRole::Server, DtlsRole::Client),
        (DtlsRole::Client, DtlsRole::Server),
    ] {
        let mut ours = Ours::new();
        assert_eq!(ours.dtls.local_role(), DtlsRole::Auto);
        ours.dtls.connect(now, remote, ours.fingerprints()).expect("the first call");
        assert_eq!(ours.dtls.local_role(), local);
        let again = ours.dtls.connect(now, remote, ours.fingerprints());
        assert_eq!(again, Err(AlreadyConnected));
        assert_eq!(again.unwrap_err().to_string(), "connect() already called");
        assert!(ours.flush().is_empty(), "no path, no ClientHello");
        assert_eq!(ours.dtls.state(), DtlsState::New);
        assert_eq!(ours.dtls.poll_timeout(), None);

        ours.dtls.path_ready(now);
        assert_eq!(ours.flush().len(), usize::from(local == DtlsRole::Client));
        assert_eq!(ours.states, [DtlsState::Connecting]);
        ours.dtls.path_ready(now);
        assert!(ours.flush().is_empty(), "once is enough");
    }
}

#[test]
fn names_are_those_of_the_api() {
    let json = |state| serde_json::to_string(&state).expect("JSON");
    assert_eq!(json(DtlsState::Connecting), r#""connecting""#);
    assert_eq!(serde_json::from_str::<DtlsRole>(r#""auto""#).expect("a role"), DtlsRole::Auto);
    assert!(serde_json::from_str::<DtlsRole>(r#""foo""#).is_err());
}

#[test]
fn connects_with_another_implementation_in_both_roles() {
    use dimpl::crypto::Dtls12CipherSuite as Suite;
    let suites = [
        None,
        Some(Suite::ECDHE_ECDSA_AES128_GCM_SHA256),
        Some(Suite::ECDHE_ECDSA_AES256_GCM_SHA384),
        Some(Suite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256),
    ];
    for remote_role in [DtlsRole::Client, DtlsRole::Server] {
        // A server of the other kind also asks for a cookie and cuts its messages in pieces.
        for (suite, mtu) in suites.into_iter().flat_map(|suite| [(suite, 1150), (suite, 250)]) {
            let now = clock();
            let mut config = dimpl::Config::builder().mtu(mtu);
            if let Some(suite) = suite {
                config = config.dtls12_cipher_suites(&[suite]);
            }
            let raw = Raw::new(now, remote_role == DtlsRole::Client, config);
            let mut ours = Ours::new();
            ours.start(now, remote_role, raw.fingerprints());
            let mut pair = Pair::new(now, ours, raw);
            let mut chosen = None;
            pair.run(SECOND, &mut |to, datagram| {
                assert!(datagram.len() <= 1200);
                chosen = chosen.or(suite_of_server_hello(&datagram));
                perfect(to, datagram)
            });
            assert_eq!(pair.a.states, LIFE, "{remote_role:?} {suite:?} {mtu}");
            assert!(pair.b.connected);
            let fastest = Suite::ECDHE_ECDSA_AES128_GCM_SHA256;
            if mtu == 1150 {
                assert_eq!(chosen, Some(suite.unwrap_or(fastest).as_u16()));
            }

            for len in [1, 100, 1200, MAX_PLAINTEXT] {
                let content = vec![7; len];
                let record = pair.a.seal(&content);
                assert!(record.len() <= len + MAX_RECORD_OVERHEAD);
                pair.b.handle_datagram(pair.now, &record);
                assert_eq!(pair.b.received.pop(), Some(content.clone()));
                pair.b.engine.send_application_data(&content).expect("sent");
                pair.b.take_output();
                pair.run(SECOND, &mut perfect);
                assert_eq!(pair.a.received.pop().as_deref(), Some(&content[..]));
            }
        }
    }
}

/// The suite that an unfragmented ServerHello without a session at the start of a datagram names.
fn suite_of_server_hello(datagram: &[u8]) -> Option<u16> {
    // Record and handshake header, version, random, and the length of the session identifier.
    const SESSION: usize = 13 + 12 + 2 + 32;
    if datagram.first() != Some(&22) || datagram.get(13) != Some(&2) {
        return None;
    }
    let at = SESSION + 1 + usize::from(*datagram.get(SESSION)?);
    Some(u16::from_be_bytes([*datagram.get(at)?, *datagram.get(at + 1)?]))
}

#[test]
fn survives_loss_duplication_and_reordering() {
    for seed in 1..=60 {
        let mut random = Random(seed);
        let mut pair = acquainted();
        let mut link = |_: To, datagram: Vec<u8>| {
            let copies = if random.percent(30) { 0 } else { 1 + usize::from(random.percent(30)) };
            let late = |random: &mut Random| LATENCY * random.below(30) as u32;
            (0..copies).map(|_| (late(&mut random), datagram.clone())).collect()
        };
        pair.run(29 * SECOND, &mut link);
        assert_eq!(pair.a.states, LIFE, "seed {seed}");
        assert_eq!(pair.b.states, LIFE, "seed {seed}");
        exchange(&mut pair);
    }
}

#[test]
fn survives_loss_and_reordering_of_small_pieces_from_another_implementation() {
    for seed in 1..=40 {
        let mut random = Random(seed);
        let remote_role = if seed % 2 == 0 { DtlsRole::Client } else { DtlsRole::Server };
        let now = clock();
        let config = dimpl::Config::builder()
            .mtu(300)
            .flight_start_rto(Duration::from_millis(250))
            .flight_retries(16);
        let raw = Raw::new(now, remote_role == DtlsRole::Client, config);
        let mut ours = Ours::new();
        ours.start(now, remote_role, raw.fingerprints());
        let mut pair = Pair::new(now, ours, raw);
        let mut link = |_: To, datagram: Vec<u8>| {
            let lost = random.percent(15);
            let delay = LATENCY * random.below(10) as u32;
            if lost { Vec::new() } else { vec![(delay, datagram)] }
        };
        pair.run(29 * SECOND, &mut link);
        assert_eq!(pair.a.states, LIFE, "seed {seed}");
        assert!(pair.b.connected, "seed {seed}");
    }
}

#[test]
fn a_flight_may_come_again_in_another_packing() {
    let mut pair = acquainted();
    let mut cut = true;
    pair.run(5 * SECOND, &mut |to, mut datagram| {
        // The client's Certificate arrives alone first, and then in front of all the rest.
        if to == To::B && datagram.get(13) == Some(&11) && cut {
            cut = false;
            datagram.truncate(13 + usize::from(u16::from_be_bytes([datagram[11], datagram[12]])));
        }
        perfect(to, datagram)
    });
    assert!(!cut);
    assert_eq!(pair.a.states, LIFE);
    assert_eq!(pair.b.states, LIFE);
}

#[test]
fn a_lost_last_flight_is_sent_again_although_its_sender_is_connected() {
    let mut pair = acquainted();
    let mut losses = 3;
    pair.run(10 * SECOND, &mut |to, datagram| {
        // ChangeCipherSpec of the server, with its Finished behind.
        if to == To::A && datagram[0] == 20 && losses > 0 {
            losses -= 1;
            return Vec::new();
        }
        perfect(to, datagram)
    });
    assert_eq!(losses, 0);
    assert_eq!(pair.a.states, LIFE);
    assert_eq!(pair.b.states, LIFE);
    exchange(&mut pair);
}

#[test]
fn a_client_may_start_before_connect() {
    let now = clock();
    let (mut client, mut server) = (Ours::new(), Ours::new());
    client.start(now, DtlsRole::Auto, server.fingerprints());
    server.dtls.path_ready(now);
    let mut pair = Pair::new(now, client, server);
    // It sends its ClientHello again and again, and all that time nothing fails.
    pair.run(20 * SECOND, &mut perfect);
    assert_eq!(pair.b.states, [DtlsState::Connecting]);
    assert_eq!(pair.b.dtls.poll_timeout(), None);

    let fingerprints = pair.a.fingerprints();
    pair.b.dtls.connect(pair.now, DtlsRole::Client, fingerprints).expect("the first call");
    let answers = pair.b.flush();
    assert_eq!(answers.len(), 1, "one answer, however often it was asked");
    pair.a.handle_datagram(pair.now, &answers[0]);
    pair.run(SECOND, &mut perfect);
    assert_eq!(pair.a.states, LIFE);
    assert_eq!(pair.b.states, LIFE);
    exchange(&mut pair);
}

#[test]
fn waiting_for_connect_lasts_as_long_as_it_lasts() {
    let now = clock();
    let mut ours = Ours::new();
    ours.dtls.path_ready(now);
    assert_eq!(ours.dtls.poll_timeout(), None);
    ours.handle_timeout(now + 3600 * SECOND);
    assert_eq!(ours.states, [DtlsState::Connecting]);
}

#[test]
fn two_clients_fail_at_once() {
    let now = clock();
    let (mut a, mut b) = (Ours::new(), Ours::new());
    a.start(now, DtlsRole::Auto, b.fingerprints());
    b.start(now, DtlsRole::Auto, a.fingerprints());
    let mut pair = Pair::new(now, a, b);
    pair.run(SECOND, &mut perfect);
    assert_eq!(pair.a.states, [DtlsState::Connecting, DtlsState::Failed]);
    assert_eq!(pair.b.states, [DtlsState::Connecting, DtlsState::Failed]);
}

#[test]
fn two_servers_fail_in_the_end() {
    let now = clock();
    let (mut a, mut b) = (Ours::new(), Ours::new());
    a.start(now, DtlsRole::Client, b.fingerprints());
    b.start(now, DtlsRole::Client, a.fingerprints());
    let mut pair = Pair::new(now, a, b);
    pair.run(31 * SECOND, &mut perfect);
    assert!(pair.a.is(DtlsState::Failed) && pair.b.is(DtlsState::Failed));
}

#[test]
fn a_handshake_that_never_ends_fails_after_30_seconds() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let now = clock();
        let mut ours = Ours::new();
        ours.start(now, role, ours.fingerprints());
        let silent = Raw::new(now, role == DtlsRole::Client, dimpl::Config::builder());
        let mut pair = Pair::new(now, ours, silent);
        let mut sent = 0;
        // The peer's first flight arrives, and then nothing more in either direction.
        let mut link = |to, datagram: Vec<u8>| {
            sent += usize::from(to == To::B);
            let first = to == To::A && datagram.get(13) == Some(&1);
            if first { perfect(to, datagram) } else { Vec::new() }
        };
        pair.run(Duration::from_millis(29_900), &mut link);
        assert_eq!(pair.a.states, [DtlsState::Connecting]);
        pair.run(Duration::from_millis(200), &mut link);
        assert_eq!(pair.a.states, [DtlsState::Connecting, DtlsState::Failed]);
        assert_eq!(pair.a.dtls.poll_timeout(), None);
        assert!((5..=10).contains(&sent), "{sent} flights in 30 seconds");
    }
}

#[test]
fn any_fingerprint_of_any_algorithm_in_any_case_will_do() {
    for algorithm in FingerprintAlgorithm::ALL {
        let now = clock();
        let (mut client, mut server) = (Ours::new(), Ours::new());
        let of = |ours: &Ours| Fingerprint::of(algorithm, ours.context.certificate().der());
        let mut of_client = of(&client);
        of_client.value.make_ascii_lowercase();
        // One of several is enough.
        client.start(now, DtlsRole::Auto, vec![of(&client), of(&server)]);
        server.start(now, DtlsRole::Client, vec![of_client]);
        let mut pair = Pair::new(now, client, server);
        pair.run(SECOND, &mut perfect);
        assert_eq!(pair.a.states, LIFE, "{algorithm:?}");
        assert_eq!(pair.b.states, LIFE, "{algorithm:?}");
    }
}

#[test]
fn a_peer_without_a_known_fingerprint_fails_and_is_told() {
    let stranger = Ours::new();
    let mut wrong: Vec<Vec<Fingerprint>> =
        stranger.fingerprints().into_iter().map(|fingerprint| vec![fingerprint]).collect();
    wrong.push(stranger.fingerprints());
    wrong.push(Vec::new());
    wrong.push(vec![Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: "".into() }]);
    for fingerprints in wrong {
        for we_are_client in [true, false] {
            let now = clock();
            let (mut ours, mut peer) = (Ours::new(), Ours::new());
            let (remote, local) = match we_are_client {
                true => (DtlsRole::Server, DtlsRole::Client),
                false => (DtlsRole::Client, DtlsRole::Server),
            };
            ours.start(now, remote, fingerprints.clone());
            peer.start(now, local, ours.fingerprints());
            let mut pair = Pair::new(now, ours, peer);
            pair.run(SECOND, &mut perfect);
            assert_eq!(pair.a.states, [DtlsState::Connecting, DtlsState::Failed]);
            assert_eq!(pair.a.dtls.take_peer_certificate_pem(), None);
            assert_eq!(pair.a.dtls.seal(b"x", &mut Vec::new()), Err(SealError::NotConnected));
            assert_eq!(pair.b.states, [DtlsState::Connecting, DtlsState::Failed]);
            assert_eq!(pair.b.received.len(), 0);
        }
    }
}

#[test]
fn a_client_without_a_certificate_fails() {
    // A certificate that no suite can use is left out by nobody, so take one away on the wire: the
    // list of certificates becomes empty, and that is enough for a server to refuse.
    let mut pair = acquainted();
    pair.run(SECOND, &mut |to, mut datagram| {
        if to == To::B && datagram.get(13) == Some(&11) {
            let record = [&datagram[..11], &[0, 15, 11, 0, 0, 3], &datagram[17..19]].concat();
            datagram = [&record[..], &[0, 0, 0, 0, 0, 3, 0, 0, 0]].concat();
        }
        perfect(to, datagram)
    });
    assert_eq!(pair.b.states, [DtlsState::Connecting, DtlsState::Failed]);
    assert!(pair.a.is(DtlsState::Failed));
}

#[test]
fn sealing_needs_a_connection_and_fits_a_record() {
    let mut ours = Ours::new();
    let mut out = b"before".to_vec();
    assert_eq!(ours.dtls.seal(b"x", &mut out), Err(SealError::NotConnected));
    let mut pair = connected();
    assert_eq!(pair.a.dtls.seal(&[0; MAX_PLAINTEXT + 1], &mut out), Err(SealError::TooLarge));
    assert_eq!(out, b"before");
    pair.a.dtls.seal(b"content", &mut out).expect("a record");
    assert_eq!(out.len(), 6 + 7 + MAX_RECORD_OVERHEAD);
    pair.b.handle_datagram(pair.now, &out[6..]);
    assert_eq!(pair.b.received, ["content"]);
}

#[test]
fn many_small_records_in_one_datagram_all_arrive() {
    let mut pair = connected();
    let mut datagram = Vec::new();
    for i in 0..30u8 {
        pair.a.dtls.seal(&[i], &mut datagram).expect("a record");
    }
    pair.b.handle_datagram(pair.now, &datagram);
    let received: Vec<u8> = pair.b.received.iter().map(|content| content[0]).collect();
    assert_eq!(received, (0..30).collect::<Vec<u8>>());
}

#[test]
fn close_says_goodbye_and_the_peer_hears_it() {
    for client_closes in [true, false] {
        let mut pair = connected();
        let (closing, other) = match client_closes {
            true => (&mut pair.a, &mut pair.b),
            false => (&mut pair.b, &mut pair.a),
        };
        let late = other.seal(b"late");
        let last = closing.seal(b"last");
        closing.dtls.close();
        closing.dtls.close();
        let goodbye = closing.flush();
        assert_eq!(goodbye.len(), 1);
        assert_eq!(goodbye[0][0], 21, "an alert");
        assert_eq!(closing.dtls.state(), DtlsState::Closed);
        assert_eq!(closing.states, LIFE, "no event of what the caller did itself");
        closing.handle_datagram(pair.now, &late);
        assert!(closing.received.is_empty());

        other.handle_datagram(pair.now, &[last, goodbye[0].clone()].concat());
        assert_eq!(other.received, ["last"]);
        assert_eq!(other.states.last(), Some(&DtlsState::Closed));
        assert_eq!(other.dtls.seal(b"x", &mut Vec::new()), Err(SealError::NotConnected));
        assert_eq!(other.dtls.poll_timeout(), None);
        let answer = other.flush();
        assert_eq!(answer.len(), 1, "RFC 5246 §7.2.1: the answer is a close_notify");
        closing.handle_datagram(pair.now, &answer[0]);
        assert!(closing.flush().is_empty() && other.flush().is_empty());
    }
}

#[test]
fn hears_the_goodbye_of_another_implementation_and_the_other_way_round() {
    for we_close in [true, false] {
        let now = clock();
        let raw = Raw::new(now, true, dimpl::Config::builder());
        let mut ours = Ours::new();
        ours.start(now, DtlsRole::Client, raw.fingerprints());
        let mut pair = Pair::new(now, ours, raw);
        pair.run(SECOND, &mut perfect);
        if we_close {
            pair.a.dtls.close();
        } else {
            pair.b.engine.close().expect("closed");
            pair.b.take_output();
        }
        pair.run(SECOND, &mut perfect);
        assert_eq!(pair.a.dtls.state(), DtlsState::Closed);
        assert!(pair.b.closed, "it hears ours or our answer");
    }
}

#[test]
fn close_in_any_state_ends_everything() {
    let now = clock();
    let mut fresh = Dtls::new(context());
    fresh.close();
    fresh.path_ready(now);
    fresh.connect(now, DtlsRole::Auto, Vec::new()).expect("no error, and no effect");
    assert_eq!((fresh.state(), fresh.poll_event()), (DtlsState::Closed, None));

    let mut ours = Ours::new();
    ours.start(now, DtlsRole::Auto, ours.fingerprints());
    ours.dtls.close();
    assert!(ours.flush().is_empty());
    assert_eq!((ours.dtls.poll_timeout(), ours.dtls.poll_event()), (None, None));

    let mut pair = acquainted();
    pair.run(31 * SECOND, &mut |_, _| Vec::new());
    assert!(pair.a.is(DtlsState::Failed));
    assert!(pair.a.flush().is_empty());
    pair.a.dtls.close();
    assert_eq!(pair.a.dtls.state(), DtlsState::Closed);
}

#[test]
fn sessions_can_move_to_another_thread() {
    fn check<T: Send>() {}
    check::<Dtls>();
}
