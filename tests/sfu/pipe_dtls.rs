//! Pipe transports over DTLS: two ends with fingerprints and a role each, and no ICE.

use std::net::SocketAddr;
use std::time::Duration;

use datasoup::proto::certificate::Fingerprint;
use datasoup::proto::dtls::{DtlsRole, DtlsState};
use datasoup::proto::net::Tuple;
use datasoup::sfu::contract::options::{
    DtlsParameters, PipeTransportOptions, SctpOptions, UdpConnectOptions,
};
use datasoup::sfu::error::Error;
use datasoup::sfu::event::TransportEvent;

use crate::common::lab::{Lab, binary, ours, reasons, text, theirs};
use crate::common::options;
use crate::common::sim::Conditions;
use crate::hostile::client_hello;
use crate::pipe::{End, ends, produce};

/// Two workers, each with one end of a pipe that is not connected.
fn two_ends(conditions: Conditions, seed: u64, sctp: &SctpOptions) -> (Lab, [End; 2]) {
    let mut lab = Lab::with(2, conditions, seed);
    let options =
        PipeTransportOptions { enable_dtls: true, sctp: Some(sctp.clone()), ..options::pipe() };
    let ends = ends(&mut lab, [&options; 2]);
    (lab, ends)
}

fn address(end: End) -> SocketAddr {
    ours(end.host as u16 + 1)
}

/// The options for `connect()` of the other end: the address, the fingerprints and this role of `far`.
fn towards(lab: &Lab, far: End, role: DtlsRole) -> UdpConnectOptions {
    let fingerprints = lab.hosts[far.host].fingerprints.clone();
    let dtls_parameters = Some(DtlsParameters { role, fingerprints });
    UdpConnectOptions { dtls_parameters, ..options::udp_connect(address(far)) }
}

fn connect(lab: &mut Lab, end: End, options: UdpConnectOptions) {
    let mut transport = lab.hosts[end.host].sfu.transport(end.pipe).expect("open");
    transport.connect_udp(options).expect("the first time");
}

/// Connects both ends; the near one is the client.
fn connect_both(lab: &mut Lab, [near, far]: [End; 2]) {
    let options = [towards(lab, far, DtlsRole::Server), towards(lab, near, DtlsRole::Client)];
    for (end, options) in [near, far].into_iter().zip(options) {
        connect(lab, end, options);
    }
}

/// A pipe that carries a DataProducer, connected.
fn joined() -> (Lab, [End; 2]) {
    let (mut lab, ends) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    connect_both(&mut lab, ends);
    produce(&mut lab, ends);
    lab.expect("a connection", |lab| lab.sctp_connected(ends[0].pipe));
    (lab, ends)
}

fn stats(lab: &mut Lab, end: End) -> serde_json::Value {
    let stats = lab.hosts[end.host].sfu.transport(end.pipe).expect("open").get_stats();
    serde_json::to_value(stats).expect("json")
}

/// The DTLS states that were emitted, and whether a certificate came with them.
fn dtls_states(events: &[TransportEvent]) -> Vec<(DtlsState, bool)> {
    let state = |event: &TransportEvent| match event {
        TransportEvent::DtlsState(state, certificate, _) => Some((*state, certificate.is_some())),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}

fn codes(lab: &mut Lab, end: End) -> Vec<&'static str> {
    let mut transport = lab.hosts[end.host].sfu.transport(end.pipe).expect("open");
    transport.diagnose().findings.into_iter().map(|it| it.code).collect()
}

#[test]
fn messages_pass_both_ways_in_both_roles() {
    for (near_is_client, conditions) in
        [(true, Conditions::PERFECT), (false, Conditions::PERFECT), (true, Conditions::ROUGH)]
    {
        let (mut lab, [near, far]) = two_ends(conditions, 7, &options::sctp());
        assert_eq!(stats(&mut lab, near)["dtlsState"], "new");
        let both = if near_is_client { [near, far] } else { [far, near] };
        connect_both(&mut lab, both);
        let (there, _, there_remote) = produce(&mut lab, [near, far]);
        let (back, _, back_remote) = produce(&mut lab, [far, near]);
        let (at_far, _) = lab.hosts[far.host].consume(far.direct, there_remote);
        let (at_near, _) = lab.hosts[near.host].consume(near.direct, back_remote);
        lab.expect("a connection", |lab| {
            [near, far].iter().all(|end| stats(lab, *end)["sctpState"] == "connected")
        });
        // The lab checks that no datagram is larger than 1,232 bytes.
        let messages = [text("small"), binary(1, 262_144), text("last")];
        for message in &messages {
            lab.hosts[near.host].sfu.send(there, message.clone(), None);
            lab.hosts[far.host].sfu.send(back, message.clone(), None);
        }
        lab.run_for(Duration::from_secs(60));
        assert!(lab.hosts[far.host].messages(at_far) == messages);
        assert!(lab.hosts[near.host].messages(at_near) == messages);
        for (end, role) in both.into_iter().zip(["client", "server"]) {
            let events = lab.hosts[end.host].transport_events(end.pipe);
            let states = [(DtlsState::Connecting, false), (DtlsState::Connected, true)];
            assert_eq!(dtls_states(&events), states);
            let dump = lab.hosts[end.host].sfu.transport(end.pipe).expect("open").dump();
            let dump = serde_json::to_value(dump).expect("json");
            assert_eq!(dump["dtlsParameters"]["role"], role);
            let own = serde_json::to_value(&lab.hosts[end.host].fingerprints).expect("json");
            assert_eq!(dump["dtlsParameters"]["fingerprints"], own);
            assert_eq!(codes(&mut lab, end), Vec::<&str>::new());
        }
    }
}

#[test]
fn the_association_begins_when_there_is_something_to_carry() {
    let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    assert_eq!(codes(&mut lab, near), ["connect-not-called"]);
    connect_both(&mut lab, [near, far]);
    lab.run_for(Duration::from_secs(100));
    for end in [near, far] {
        let stats = stats(&mut lab, end);
        assert_eq!(stats["dtlsState"], "connected");
        assert_eq!(stats["sctpState"], "new");
        assert_eq!(codes(&mut lab, end), ["nothing-to-carry"]);
    }
    produce(&mut lab, [far, near]);
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
}

#[test]
fn an_end_that_begins_alone_waits_for_the_other() {
    // The server's connect() comes later. Earlier datagrams were dropped, because their source was not known.
    let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    let options = towards(&lab, far, DtlsRole::Server);
    connect(&mut lab, near, options);
    lab.run_for(Duration::from_secs(10));
    assert_eq!(codes(&mut lab, near), ["no-dtls-answer"]);
    assert!(stats(&mut lab, far)["datagramsDropped"].as_u64() > Some(3));
    assert!(!lab.sent.contains_key(&address(far)), "nothing is answered");
    let options = towards(&lab, near, DtlsRole::Client);
    connect(&mut lab, far, options);
    produce(&mut lab, [near, far]);
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
}

#[test]
fn a_second_connect_and_one_without_fingerprints_change_nothing() {
    let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    let options =
        UdpConnectOptions { dtls_parameters: None, ..towards(&lab, far, DtlsRole::Server) };
    let mut transport = lab.hosts[near.host].sfu.transport(near.pipe).expect("open");
    assert!(matches!(transport.connect_udp(options), Err(Error::InvalidOptions(_))));
    connect_both(&mut lab, [near, far]);
    let again = towards(&lab, far, DtlsRole::Client);
    let mut transport = lab.hosts[near.host].sfu.transport(near.pipe).expect("open");
    assert_eq!(transport.connect_udp(again).map(|_| ()), Err(Error::AlreadyConnected));
    produce(&mut lab, [near, far]);
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
}

#[test]
fn a_wrong_fingerprint_fails_both_ends_and_nothing_passes() {
    for wrong_at_client in [true, false] {
        let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
        let mut options =
            [towards(&lab, far, DtlsRole::Server), towards(&lab, near, DtlsRole::Client)];
        let wrong: Vec<Fingerprint> =
            lab.hosts[if wrong_at_client { 0 } else { 1 }].fingerprints.clone();
        let which = usize::from(!wrong_at_client);
        options[which].dtls_parameters.as_mut().expect("given").fingerprints = wrong;
        for (end, options) in [near, far].into_iter().zip(options) {
            connect(&mut lab, end, options);
        }
        let (producer, _, remote) = produce(&mut lab, [near, far]);
        lab.hosts[near.host].sfu.send(producer, text("secret"), None);
        lab.run_for(Duration::from_secs(60));
        let received = lab.hosts[far.host].sfu.data_producer(remote).expect("open").get_stats();
        assert_eq!(received.messages_received, 0);
        let [judge, judged] = if wrong_at_client { [near, far] } else { [far, near] };
        let expected = [(judge, "fingerprint-mismatch"), (judged, "certificate-rejected")];
        for (end, code) in expected {
            let stats = stats(&mut lab, end);
            assert_eq!(stats["dtlsState"], "failed", "{code}");
            assert_eq!(stats["sctpState"], "closed", "{code}");
            let events = lab.hosts[end.host].transport_events(end.pipe);
            let reasons = reasons(&events);
            assert_eq!(reasons.len(), 2, "{reasons:?}");
            assert!(reasons[0].starts_with(&format!("dtls failed {code}")), "{reasons:?}");
            assert!(reasons[1].starts_with(&format!("sctp closed {code}")), "{reasons:?}");
            assert_eq!(codes(&mut lab, end), [code]);
            lab.hosts[end.host].sfu.close();
        }
        lab.flush();
        assert!(lab.hosts.iter().all(|host| host.sfu.is_empty()));
    }
}

#[test]
fn two_ends_of_one_role_fail() {
    for (role, code) in [
        (DtlsRole::Auto, "role-conflict"),
        (DtlsRole::Server, "role-conflict"),
        (DtlsRole::Client, "handshake-timeout"),
    ] {
        let (mut lab, ends) = two_ends(Conditions::PERFECT, 1, &options::sctp());
        for [end, far] in [ends, [ends[1], ends[0]]] {
            let options = towards(&lab, far, role);
            connect(&mut lab, end, options);
        }
        produce(&mut lab, ends);
        lab.run_for(Duration::from_secs(31));
        let events = lab.hosts[0].transport_events(ends[0].pipe);
        assert!(reasons(&events)[0].starts_with(&format!("dtls failed {code}")), "{role:?}");
    }
}

#[test]
fn datagrams_from_other_addresses_are_dropped_counted_and_not_answered() {
    let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    connect_both(&mut lab, [near, far]);
    produce(&mut lab, [near, far]);
    let hello = client_hello(lab.now, address(far));
    for _ in 0..100 {
        for datagram in [&hello[..], &[], &[22; 13], &[23; 1200]] {
            lab.inject(theirs(1), address(far), datagram);
        }
        lab.run_for(Duration::from_millis(1));
    }
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
    lab.run_for(Duration::from_secs(1));
    assert!(lab.strays.is_empty(), "nothing is answered");
    assert_eq!(stats(&mut lab, far)["datagramsDropped"], 400);
}

#[test]
fn garbage_with_the_source_of_the_peer_ends_no_session_and_is_counted() {
    let (mut lab, [near, far]) = joined();
    let before = stats(&mut lab, far);
    let hello = client_hello(lab.now, address(far));
    let mut number = 0_u8;
    for datagram in [&[][..], &[0; 12], &[22; 13], &[23; 1200], &[0xff; 1200], &hello] {
        for _ in 0..50 {
            number = number.wrapping_add(1);
            let mut datagram = datagram.to_vec();
            datagram.iter_mut().skip(40).for_each(|byte| *byte = byte.wrapping_add(number));
            lab.inject(address(near), address(far), &datagram);
        }
    }
    // A fatal alert in plaintext, as in a handshake.
    lab.inject(address(near), address(far), &[21, 254, 253, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 2, 40]);
    lab.run_for(Duration::from_secs(1));
    let after = stats(&mut lab, far);
    assert_eq!(after["dtlsState"], "connected");
    assert_eq!(after["sctpState"], "connected");
    let dropped =
        |stats: &serde_json::Value| stats["dtlsRecordsDropped"].as_u64().expect("a number");
    assert!(dropped(&after) - dropped(&before) >= 250, "{after}");
    let sent = after["bytesSent"].as_u64().expect("a number")
        - before["bytesSent"].as_u64().expect("a number");
    assert!(sent < 4000, "{sent} bytes in answer to 200 KB");
}

#[test]
fn an_end_that_closes_says_so_and_one_that_vanishes_is_noticed() {
    let (mut lab, [near, far]) = joined();
    lab.hosts[near.host].sfu.transport(near.pipe).expect("open").close();
    lab.run_for(Duration::from_secs(1));
    let events = lab.hosts[far.host].transport_events(far.pipe);
    let reasons_of = reasons(&events);
    assert!(reasons_of[0].starts_with("sctp closed peer-closed"), "{reasons_of:?}");
    assert!(reasons_of[1].starts_with("dtls closed peer-closed"), "{reasons_of:?}");

    let silence = SctpOptions { silence: Some(5000), ..options::sctp() };
    let (mut lab, ends) = two_ends(Conditions::PERFECT, 1, &silence);
    connect_both(&mut lab, ends);
    produce(&mut lab, ends);
    lab.expect("a connection", |lab| lab.sctp_connected(ends[0].pipe));
    lab.run_for(Duration::from_secs(600));
    assert_eq!(stats(&mut lab, ends[0])["sctpState"], "connected", "idle and alive");
    lab.conditions().mtu = 0;
    lab.host().transport_events(ends[0].pipe);
    lab.run_for(Duration::from_secs(7));
    let failed = "sctp failed peer-silent: the peer answered no HEARTBEAT";
    assert_eq!(reasons(&lab.host().transport_events(ends[0].pipe)), [failed]);
    assert_eq!(stats(&mut lab, ends[0])["dtlsState"], "connected");
}

/// Client hellos of `count` clients, which differ in their random numbers.
fn hellos(lab: &Lab, to: SocketAddr, count: u16) -> Vec<Vec<u8>> {
    let hello = client_hello(lab.now, to);
    let change = |n: u16| {
        let mut hello = hello.clone();
        // Behind the headers of the record and of the message, and the version.
        hello[27..29].copy_from_slice(&n.to_be_bytes());
        hello
    };
    (0..count).map(change).collect()
}

#[test]
fn hellos_in_the_name_of_the_peer_are_answered_by_less_and_leave_room_for_the_peer() {
    let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    let options = towards(&lab, near, DtlsRole::Client);
    connect(&mut lab, far, options);
    produce(&mut lab, [near, far]);
    let mut received = 0;
    // 20 hellos per millisecond, more than there are places for.
    for forged in hellos(&lab, address(far), 4000).chunks(20) {
        for hello in forged {
            lab.inject(address(near), address(far), hello);
            received += hello.len() as u64;
        }
        lab.run_for(Duration::from_millis(1));
    }
    // Alerts in plaintext end nothing, as no handshake has begun.
    lab.inject(address(near), address(far), &[21, 254, 253, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 2, 40]);
    lab.run_for(Duration::from_secs(1));
    let (answers, sent) = lab.sent[&address(far)];
    assert!(sent < received / 4, "{sent} bytes in answer to {received}");
    assert!((32..400).contains(&answers), "{answers} answers");
    let counted = stats(&mut lab, far)["dtlsRecordsDropped"].as_u64().expect("a number");
    assert_eq!(counted, 4001 - answers);
    assert_eq!(stats(&mut lab, far)["dtlsState"], "connecting");
    let options = towards(&lab, far, DtlsRole::Server);
    connect(&mut lab, near, options);
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
}

#[test]
fn a_peer_that_starts_again_before_its_handshake_is_complete_connects() {
    let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    let options = towards(&lab, near, DtlsRole::Client);
    connect(&mut lab, far, options);
    produce(&mut lab, [near, far]);
    // The hello of a first incarnation of the peer, which then dies.
    let first = hellos(&lab, address(far), 1);
    lab.inject(address(near), address(far), &first[0]);
    lab.run_for(Duration::from_secs(1));
    let options = towards(&lab, far, DtlsRole::Server);
    connect(&mut lab, near, options);
    lab.expect("a connection", |lab| lab.sctp_connected(near.pipe));
}

#[test]
fn only_what_the_session_makes_use_of_changes_the_address_that_it_answers_from() {
    let (mut lab, [near, far]) = two_ends(Conditions::PERFECT, 1, &options::sctp());
    let options = towards(&lab, near, DtlsRole::Client);
    connect(&mut lab, far, options);
    produce(&mut lab, [near, far]);
    let (socket, _) = lab.hosts[far.host].sockets.iter().next().expect("one");
    let socket = *socket;
    let arrive = |lab: &mut Lab, at: [u8; 4], datagram: &[u8]| {
        let tuple = Tuple { local: Some(at.into()), ..Tuple::new(socket, address(near)) };
        lab.hosts[far.host].sfu.handle_datagram(tuple, datagram);
        lab.flush();
        stats(lab, far)["tuple"]["localAddress"].as_str().expect("one").to_owned()
    };
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 2, 40];
    let data = [&[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 9][..], &[7; 9]].concat();
    let before = arrive(&mut lab, [10, 9, 9, 1], &alert);
    for forged in [&alert[..], &data, &[22; 13], &[]] {
        assert_eq!(arrive(&mut lab, [10, 9, 9, 2], forged), before);
    }
    let hello = hellos(&lab, address(far), 1).remove(0);
    assert_eq!(arrive(&mut lab, [10, 9, 9, 3], &hello), "10.9.9.3", "where it is answered from");
    assert_eq!(arrive(&mut lab, [10, 9, 9, 4], &alert), "10.9.9.3");
}
