//! Handshakes that succeed, handshakes that fail, and the end of a session.

use std::time::Duration;

use bytes::Bytes;
use datasoup::proto::certificate::{Fingerprint, FingerprintAlgorithm};
use datasoup::proto::dtls::{
    AlreadyConnected, Dtls, DtlsRole, DtlsState, MAX_PLAINTEXT, MAX_RECORD_OVERHEAD, MAX_RECORDS,
    Path, SealError,
};
use datasoup::proto::reason::{Code, Reason};

use crate::harness::{
    LATENCY, Ours, Pair, Raw, acquainted, acquainted_on, connected, context, deliver, named, net,
    withhold_finished,
};
use crate::sim::{Conditions, Net, Peer, Side, start};

const SECOND: Duration = Duration::from_secs(1);
const LIFE: [DtlsState; 2] = [DtlsState::Connecting, DtlsState::Connected];

/// Sends a message each way.
fn exchange(pair: &mut Pair) {
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
    pair.run_for(Duration::from_secs(86_400));
    exchange(&mut pair);
}

#[test]
fn the_role_follows_from_that_of_the_remote_side() {
    let now = start();
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
        assert!(ours.flush().is_empty(), "without a path the client sends no ClientHello");
        assert_eq!(ours.dtls.state(), DtlsState::New);
        assert_eq!(ours.dtls.poll_timeout(), None);

        ours.dtls.path_ready(now);
        assert_eq!(ours.flush().len(), usize::from(local == DtlsRole::Client));
        assert_eq!(ours.states, [DtlsState::Connecting]);
        ours.dtls.path_ready(now);
        assert!(ours.flush().is_empty(), "the second connect() sends a datagram");
    }
}

#[test]
fn states_and_roles_have_the_names_of_the_api() {
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
        // As a server, dimpl also requires a cookie. An MTU of 250 makes it fragment its messages.
        for (suite, mtu) in suites.into_iter().flat_map(|suite| [(suite, 1150), (suite, 250)]) {
            let now = start();
            let mut config = dimpl::Config::builder().mtu(mtu);
            if let Some(suite) = suite {
                config = config.dtls12_cipher_suites(&[suite]);
            }
            let raw = Raw::new(now, remote_role == DtlsRole::Client, config);
            let mut ours = Ours::new();
            ours.start(now, remote_role, raw.fingerprints());
            let mut pair = net(now, ours, raw);
            let mut chosen = None;
            pair.run_through(SECOND, &mut |_, datagram| {
                assert!(datagram.len() <= 1200);
                chosen = chosen.or(suite_of_server_hello(&datagram));
                deliver(datagram)
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
                pair.run_for(SECOND);
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
        let conditions = Conditions {
            delay: Duration::ZERO,
            jitter: 30 * LATENCY,
            loss: 0.3,
            duplication: 0.3,
            ..Conditions::PERFECT
        };
        let mut pair = acquainted_on(conditions, 100 + seed);
        pair.run_for(29 * SECOND);
        assert_eq!(pair.a.states, LIFE, "seed {seed}");
        assert_eq!(pair.b.states, LIFE, "seed {seed}");
        exchange(&mut pair);
    }
}

#[test]
fn survives_loss_and_reordering_of_fragments_from_another_implementation() {
    for seed in 1..=40 {
        let remote_role = if seed % 2 == 0 { DtlsRole::Client } else { DtlsRole::Server };
        let now = start();
        let config = dimpl::Config::builder()
            .mtu(300)
            .flight_start_rto(Duration::from_millis(250))
            .flight_retries(16);
        let raw = Raw::new(now, remote_role == DtlsRole::Client, config);
        let mut ours = Ours::new();
        ours.start(now, remote_role, raw.fingerprints());
        let conditions = Conditions {
            delay: Duration::ZERO,
            jitter: 10 * LATENCY,
            loss: 0.15,
            ..Conditions::PERFECT
        };
        let mut pair = Net::at(now, ours, raw, conditions, seed);
        pair.run_for(29 * SECOND);
        assert_eq!(pair.a.states, LIFE, "seed {seed}");
        assert!(pair.b.connected, "seed {seed}");
    }
}

#[test]
fn a_flight_may_be_retransmitted_in_other_records() {
    let mut pair = acquainted();
    let mut cut = true;
    pair.run_through(5 * SECOND, &mut |from, mut datagram| {
        // Of the first transmission only the client's Certificate arrives, of the second the whole flight.
        if from == Side::A && datagram.get(13) == Some(&11) && cut {
            cut = false;
            datagram.truncate(13 + usize::from(u16::from_be_bytes([datagram[11], datagram[12]])));
        }
        deliver(datagram)
    });
    assert!(!cut);
    assert_eq!(pair.a.states, LIFE);
    assert_eq!(pair.b.states, LIFE);
}

#[test]
fn a_lost_last_flight_is_retransmitted_after_its_sender_has_connected() {
    let mut pair = acquainted();
    let mut losses = 3;
    pair.run_through(10 * SECOND, &mut |from, datagram| {
        // Lose the server's ChangeCipherSpec and Finished.
        if from == Side::B && datagram[0] == 20 && losses > 0 {
            losses -= 1;
            return Vec::new();
        }
        deliver(datagram)
    });
    assert_eq!(losses, 0);
    assert_eq!(pair.a.states, LIFE);
    assert_eq!(pair.b.states, LIFE);
    exchange(&mut pair);
}

#[test]
fn data_that_overtakes_the_end_of_the_handshake_arrives_after_it() {
    let mut pair = acquainted();
    let late = withhold_finished(&mut pair);
    assert_eq!((&pair.a.states[..], &pair.b.states[..]), (&LIFE[..1], &LIFE[..]));
    for number in 0..10 {
        let record = pair.b.seal(&[number]);
        pair.a.handle_datagram(pair.now, &record);
    }
    assert_eq!((pair.a.received.len(), pair.a.dtls.dropped()), (0, 2), "eight are kept");
    late.iter().for_each(|datagram| pair.a.handle_datagram(pair.now, datagram));
    assert_eq!(pair.a.states, LIFE);
    let numbers: Vec<u8> = pair.a.received.iter().map(|content| content[0]).collect();
    assert_eq!(numbers, (0..8).collect::<Vec<_>>());
    exchange(&mut pair);
}

#[test]
fn data_that_the_peer_has_not_sealed_is_dropped_after_the_handshake() {
    let mut pair = acquainted();
    let forged = [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 20];
    let forged = [&forged[..], &[7; 20]].concat();
    pair.a.handle_datagram(pair.now, &forged);
    pair.run_for(SECOND);
    assert_eq!((pair.a.states.as_slice(), pair.a.received.len()), (&LIFE[..], 0));
    assert_eq!(pair.a.dtls.dropped(), 1);
    exchange(&mut pair);
}

#[test]
fn a_client_may_start_before_connect() {
    let now = start();
    let (mut client, mut server) = (Ours::new(), Ours::new());
    client.start(now, DtlsRole::Auto, server.fingerprints());
    server.dtls.path_ready(now);
    let mut pair = net(now, client, server);
    // The client retransmits its ClientHello, and nothing fails in that time.
    pair.run_for(20 * SECOND);
    assert_eq!(pair.b.states, [DtlsState::Connecting]);
    assert_eq!(pair.b.dtls.poll_timeout(), None);

    let fingerprints = pair.a.fingerprints();
    pair.b.dtls.connect(pair.now, DtlsRole::Client, fingerprints).expect("the first call");
    let answers = pair.b.flush();
    assert_eq!(answers.len(), 1, "one answer to all retransmissions");
    pair.a.handle_datagram(pair.now, &answers[0]);
    pair.run_for(SECOND);
    assert_eq!(pair.a.states, LIFE);
    assert_eq!(pair.b.states, LIFE);
    exchange(&mut pair);
}

#[test]
fn waiting_for_connect_has_no_timeout() {
    let now = start();
    let mut ours = Ours::new();
    ours.dtls.path_ready(now);
    assert_eq!(ours.dtls.poll_timeout(), None);
    ours.handle_timeout(now + 3600 * SECOND);
    assert_eq!(ours.states, [DtlsState::Connecting]);
}

#[test]
fn two_clients_fail_at_once() {
    let now = start();
    let (mut a, mut b) = (Ours::new(), Ours::new());
    a.start(now, DtlsRole::Auto, b.fingerprints());
    b.start(now, DtlsRole::Auto, a.fingerprints());
    let mut pair = net(now, a, b);
    pair.run_for(SECOND);
    assert_eq!(pair.a.states, [DtlsState::Connecting, DtlsState::Failed]);
    assert_eq!(pair.b.states, [DtlsState::Connecting, DtlsState::Failed]);
    assert_eq!([pair.a.code(), pair.b.code()], [Some(Code::RoleConflict); 2]);
}

#[test]
fn two_servers_fail_after_the_timeout() {
    let now = start();
    let (mut a, mut b) = (Ours::new(), Ours::new());
    a.start(now, DtlsRole::Client, b.fingerprints());
    b.start(now, DtlsRole::Client, a.fingerprints());
    let mut pair = net(now, a, b);
    pair.run_for(31 * SECOND);
    assert!(pair.a.is(DtlsState::Failed) && pair.b.is(DtlsState::Failed));
    let why = "the peer, as DTLS client, did not begin a handshake in 30 s";
    let reason = Reason::new(Code::HandshakeTimeout, why);
    assert_eq!([pair.a.dtls.end_reason(), pair.b.dtls.end_reason()], [Some(&reason); 2]);
}

#[test]
fn a_handshake_that_never_ends_fails_after_30_seconds() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let now = start();
        let mut ours = Ours::new();
        ours.start(now, role, ours.fingerprints());
        let silent = Raw::new(now, role == DtlsRole::Client, dimpl::Config::builder());
        let mut pair = net(now, ours, silent);
        let mut sent = 0;
        // The peer's first flight arrives, then nothing in either direction.
        let mut link = |from, datagram: Bytes| {
            sent += usize::from(from == Side::A);
            let first = from == Side::B && datagram.get(13) == Some(&1);
            if first { deliver(datagram) } else { Vec::new() }
        };
        pair.run_through(Duration::from_millis(29_900), &mut link);
        assert_eq!(pair.a.states, [DtlsState::Connecting]);
        pair.run_through(Duration::from_millis(200), &mut link);
        assert_eq!(pair.a.states, [DtlsState::Connecting, DtlsState::Failed]);
        assert_eq!(pair.a.dtls.poll_timeout(), None);
        assert_eq!(pair.a.code(), Some(Code::HandshakeTimeout));
        assert!((5..=10).contains(&sent), "{sent} flights in 30 seconds");
    }
}

#[test]
fn one_matching_fingerprint_is_enough_in_any_algorithm_and_case() {
    for algorithm in FingerprintAlgorithm::ALL {
        let now = start();
        let (mut client, mut server) = (Ours::new(), Ours::new());
        let of = |ours: &Ours| Fingerprint::of(algorithm, ours.context.certificate().der());
        let mut of_client = of(&client);
        of_client.value.make_ascii_lowercase();
        // One matching fingerprint of several is enough.
        client.start(now, DtlsRole::Auto, vec![of(&client), of(&server)]);
        server.start(now, DtlsRole::Client, vec![of_client]);
        let mut pair = net(now, client, server);
        pair.run_for(SECOND);
        assert_eq!(pair.a.states, LIFE, "{algorithm:?}");
        assert_eq!(pair.b.states, LIFE, "{algorithm:?}");
    }
}

#[test]
fn a_peer_with_an_unknown_fingerprint_fails_at_both_ends() {
    let stranger = Ours::new();
    let mut wrong: Vec<Vec<Fingerprint>> =
        stranger.fingerprints().into_iter().map(|fingerprint| vec![fingerprint]).collect();
    wrong.push(stranger.fingerprints());
    wrong.push(Vec::new());
    wrong.push(vec![Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: "".into() }]);
    for fingerprints in wrong {
        for we_are_client in [true, false] {
            let now = start();
            let (mut ours, mut peer) = (Ours::new(), Ours::new());
            let (remote, local) = match we_are_client {
                true => (DtlsRole::Server, DtlsRole::Client),
                false => (DtlsRole::Client, DtlsRole::Server),
            };
            ours.start(now, remote, fingerprints.clone());
            peer.start(now, local, ours.fingerprints());
            let mut pair = net(now, ours, peer);
            pair.run_for(SECOND);
            assert_eq!(pair.a.states, [DtlsState::Connecting, DtlsState::Failed]);
            assert_eq!(pair.a.dtls.take_peer_certificate_pem(), None);
            assert_eq!(pair.a.dtls.seal(b"x", &mut Vec::new()), Err(SealError::NotConnected));
            assert_eq!(pair.b.states, [DtlsState::Connecting, DtlsState::Failed]);
            assert_eq!(pair.b.received.len(), 0);
            assert_eq!(pair.a.code(), Some(Code::FingerprintMismatch));
            assert_eq!(pair.b.code(), Some(Code::CertificateRejected));
        }
    }
}

#[test]
fn a_client_without_a_certificate_fails() {
    // No implementation here leaves its certificate out, so the network removes it: an empty list of certificates makes
    // the server reject the client.
    let mut pair = acquainted();
    pair.run_through(SECOND, &mut |from, datagram| {
        if from == Side::A && datagram.get(13) == Some(&11) {
            let record = [&datagram[..11], &[0, 15, 11, 0, 0, 3], &datagram[17..19]].concat();
            return deliver([&record[..], &[0, 0, 0, 0, 0, 3, 0, 0, 0]].concat());
        }
        deliver(datagram)
    });
    assert_eq!(pair.b.states, [DtlsState::Connecting, DtlsState::Failed]);
    assert!(pair.a.is(DtlsState::Failed));
    assert_eq!(pair.b.code(), Some(Code::CertificateUnsupported));
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
    for i in 0..MAX_RECORDS as u8 {
        pair.a.dtls.seal(&[i], &mut datagram).expect("a record");
    }
    pair.b.handle_datagram(pair.now, &datagram);
    let received: Vec<u8> = pair.b.received.iter().map(|content| content[0]).collect();
    assert_eq!(received, (0..MAX_RECORDS as u8).collect::<Vec<u8>>());
}

#[test]
fn close_sends_close_notify_and_the_peer_closes() {
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
        assert_eq!(goodbye[0][0], 21, "the record is not an alert (type 21)");
        assert_eq!(closing.dtls.state(), DtlsState::Closed);
        assert_eq!(closing.states, LIFE, "close() emits no event at its own end");
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
fn close_notify_works_with_another_implementation_in_both_directions() {
    for we_close in [true, false] {
        let now = start();
        let raw = Raw::new(now, true, dimpl::Config::builder());
        let mut ours = Ours::new();
        ours.start(now, DtlsRole::Client, raw.fingerprints());
        let mut pair = net(now, ours, raw);
        pair.run_for(SECOND);
        if we_close {
            pair.a.dtls.close();
        } else {
            pair.b.engine.close().expect("closed");
            pair.b.take_output();
        }
        pair.run_for(SECOND);
        assert_eq!(pair.a.dtls.state(), DtlsState::Closed);
        assert!(pair.b.closed, "the peer receives our close_notify or our answer to its own");
    }
}

#[test]
fn close_in_any_state_ends_the_session() {
    let now = start();
    let mut fresh = Dtls::new(context(), Path::Proved);
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
    pair.run_through(31 * SECOND, &mut |_, _| Vec::new());
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

/// A client that offers nothing that we accept gets an alert at once, even if it has to return a cookie first.
#[test]
fn a_hello_that_admits_no_handshake_fails_both_ends_at_once() {
    let no_suites = |hello: &mut Vec<u8>| {
        // Behind headers, version, random number and session id: the cookie, then the suites.
        let cookie = usize::from(hello[60]);
        let suites = 61 + cookie;
        let len = usize::from(hello[suites]) << 8 | usize::from(hello[suites + 1]);
        // Suites with pre-shared keys: the engine ignores unknown suites, and waits.
        for suite in hello[suites + 2..suites + 2 + len].chunks_exact_mut(2) {
            suite.copy_from_slice(&[0xc0, 0xa8]);
        }
    };
    // The number of the extension, and its length.
    let no_extended_master_secret = |hello: &mut Vec<u8>| {
        let place = hello.windows(4).position(|it| it == [0, 23, 0, 0]).expect("offered");
        hello[place] = 0xfa;
    };
    for (is_named, pair) in [(false, acquainted as fn() -> Pair), (true, named)] {
        for (change, code) in [
            (&no_suites as &dyn Fn(&mut Vec<u8>), Code::CertificateUnsupported),
            (&no_extended_master_secret, Code::HandshakeFailed),
        ] {
            let mut pair = pair();
            pair.run_through(SECOND, &mut |from, datagram| {
                let mut datagram = datagram.to_vec();
                if from == Side::A && datagram[0] == 22 && datagram[13] == 1 {
                    change(&mut datagram);
                }
                deliver(datagram)
            });
            assert_eq!(pair.b.states, [DtlsState::Connecting, DtlsState::Failed], "{is_named}");
            assert_eq!(pair.b.code(), Some(code), "{is_named}");
            // Plaintext over a path that is only named is not believed before the handshake is over.
            pair.run_for(if is_named { 30 * SECOND } else { SECOND });
            assert_eq!(pair.a.code(), Some(Code::CertificateUnsupported), "{is_named}");
        }
    }
}
