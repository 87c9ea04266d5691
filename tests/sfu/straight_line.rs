//! The way of a message: browser → DataProducer → router → DataConsumer → browser.

use std::time::Duration;

use datasoup::proto::certificate::FingerprintAlgorithm;
use datasoup::proto::dtls::{DtlsRole, DtlsState};
use datasoup::proto::ice_lite::IceState;
use datasoup::proto::message::{Message, Ppid};
use datasoup::proto::sctp::SctpState;
use datasoup::sfu::event::TransportEvent;

use crate::common::lab::{Lab, binary, reasons, text, theirs};
use crate::common::options;
use crate::common::sim::Conditions;

#[test]
fn a_message_goes_from_browser_to_browser() {
    let (mut lab, router) = Lab::with_router();
    let (a, alice) = lab.join(router, 1);
    let (b, bob) = lab.join(router, 2);
    let producer = lab.host().produce(a, 7);
    let (consumer, dump) = lab.host().consume(b, producer);
    let stream = dump.sctp_stream_parameters.expect("over SCTP").stream_id;

    let sent = [text("hi"), binary(1, 100_000), Message::new(Ppid::STRING_EMPTY, "".into())];
    for message in &sent {
        lab.clients[alice].send(7, message.clone());
    }
    lab.expect("three messages", |lab| lab.clients[bob].sctp.messages.len() == 3);
    for (got, message) in lab.clients[bob].messages().into_iter().zip(sent) {
        assert_eq!(got, (stream, message));
    }
    assert_eq!(lab.producer_stats(producer)["messagesReceived"], 3);
    assert_eq!(lab.consumer_stats(consumer)["messagesSent"], 3);
    assert_eq!(lab.consumer_stats(consumer)["bytesSent"], 100_003);
    assert!(lab.clients[alice].messages().is_empty());
}

#[test]
fn states_are_emitted_in_order_in_both_dtls_roles() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let (mut lab, router) = Lab::with_router();
        let (key, answer) = lab.webrtc(router, 1, options::webrtc());
        assert_eq!(lab.dump(key)["dtlsParameters"]["role"], "auto");
        let client = lab.client(key, &answer, theirs(1), role);
        lab.connected(key, client);

        let events = lab.host().transport_events(key);
        let [
            TransportEvent::IceSelectedTuple(tuple),
            TransportEvent::IceState(IceState::Completed, None),
            TransportEvent::DtlsState(DtlsState::Connecting, None, None),
            TransportEvent::DtlsState(DtlsState::Connected, Some(certificate), None),
            TransportEvent::SctpState(SctpState::Connecting, None, None),
            TransportEvent::SctpState(SctpState::Connected, Some(_), None),
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!(tuple.remote_ip.as_deref(), Some("192.0.2.1"));
        assert_eq!((tuple.local_port, tuple.remote_port), (10_001, 20_001));
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        let ours = if role == DtlsRole::Client { "server" } else { "client" };
        assert_eq!(lab.dump(key)["dtlsParameters"]["role"], ours);
        assert_eq!(lab.dump(key)["iceSelectedTuple"]["remotePort"], 20_001);
    }
}

#[test]
fn the_worker_begins_the_association_if_the_client_does_not() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.invite(router, 1);
    lab.clients[client].begins = false;
    lab.connected(key, client);
}

#[test]
fn a_client_may_start_before_connect_is_called() {
    let (mut lab, router) = Lab::with_router();
    let (key, answer) = lab.webrtc(router, 1, options::webrtc());
    let client = lab.new_client(&answer, theirs(1), DtlsRole::Client);
    let fingerprints = client.fingerprints();
    lab.clients.push(client);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.ice_state(key), IceState::Completed);
    assert_eq!(lab.dump(key)["dtlsState"], "connecting");

    let dtls_parameters =
        datasoup::sfu::contract::options::DtlsParameters { role: DtlsRole::Client, fingerprints };
    let options = datasoup::sfu::contract::options::WebRtcConnectOptions { dtls_parameters };
    let mut transport = lab.sfu().transport(key).expect("open");
    let answer = transport.connect_webrtc(options.clone()).map(|it| it.dtls_local_role);
    assert_eq!(answer, Ok(DtlsRole::Server));
    let again = transport.connect_webrtc(options).expect_err("only once");
    assert_eq!(again.name(), "Error");
    lab.connected(key, 0);
}

#[test]
fn everything_arrives_in_order_over_a_rough_path() {
    for seed in 0..3 {
        let mut lab = Lab::with(1, Conditions::ROUGH, seed);
        let router = lab.host().router();
        let (a, alice) = lab.join(router, 1);
        let (b, bob) = lab.join(router, 2);
        let (c, carol) = lab.join(router, 3);
        let producer = lab.host().produce(a, 0);
        lab.host().consume(b, producer);
        lab.host().consume(c, producer);
        let sent: Vec<Message> = (0..200).map(|i| binary(i as u8, 1 + (i * 131) % 6000)).collect();
        for message in &sent {
            lab.clients[alice].send(0, message.clone());
        }
        let arrived = lab.run_until(Duration::from_secs(120), |lab| {
            [bob, carol].iter().all(|it| lab.clients[*it].sctp.messages.len() == 200)
        });
        assert!(arrived, "seed {seed}");
        for client in [bob, carol] {
            let got: Vec<Message> =
                lab.clients[client].messages().into_iter().map(|(_, it)| it).collect();
            assert!(got == sent, "in order, whole, once");
        }
    }
}

#[test]
fn messages_queued_before_the_association_is_connected_are_sent_then() {
    let (mut lab, router) = Lab::with_router();
    let producer = lab.source(router);
    let (key, client) = lab.invite(router, 1);
    let (consumer, _) = lab.host().consume(key, producer);
    lab.sfu().send(producer, text("early"), None);
    let mut it = lab.sfu().data_consumer(consumer).expect("open");
    assert_eq!(it.send(text("next")), Ok(()));
    assert_eq!(it.get_buffered_amount(), Ok(9), "payload bytes of both");
    lab.connected(key, client);
    lab.expect("both", |lab| lab.clients[client].sctp.messages.len() == 2);
    assert_eq!(lab.clients[client].messages(), [(0, text("early")), (0, text("next"))]);
    assert_eq!(lab.consumer_stats(consumer)["bufferedAmount"], 0);
}

#[test]
fn direct_and_webrtc_transports_reach_each_other() {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let (key, client) = lab.join(router, 1);
    let down = lab.host().produce(direct, 0);
    lab.host().consume(key, down);
    let up = lab.host().produce(key, 3);
    let (consumer, _) = lab.host().consume(direct, up);
    lab.sfu().send(down, text("down"), None);
    lab.clients[client].send(3, text("up"));
    lab.expect("one each", |lab| lab.clients[client].sctp.messages.len() == 1);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.clients[client].messages(), [(0, text("down"))]);
    assert_eq!(lab.host().messages(consumer), [text("up")]);
}

#[test]
fn a_message_on_a_stream_without_a_producer_is_counted_and_dropped() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    lab.clients[client].send(5, text("unrouted"));
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.stats(key)["messagesUnrouted"], 1);
    assert_eq!(lab.dump(key)["sctpState"], "connected");
}

#[test]
fn a_wrong_certificate_fails_the_session_and_no_data_passes() {
    let (mut lab, router) = Lab::with_router();
    let (key, answer) = lab.webrtc(router, 1, options::webrtc());
    lab.host().produce_with(key, options::producer_on(0));
    let client = lab.new_client(&answer, theirs(1), DtlsRole::Client);
    let other = lab.new_client(&answer, theirs(2), DtlsRole::Client);
    lab.clients.push(client);
    let dtls_parameters = datasoup::sfu::contract::options::DtlsParameters {
        role: DtlsRole::Client,
        fingerprints: other.fingerprints(),
    };
    let options = datasoup::sfu::contract::options::WebRtcConnectOptions { dtls_parameters };
    lab.sfu().transport(key).expect("open").connect_webrtc(options).expect("the first time");
    lab.run_for(Duration::from_secs(5));
    let events = lab.host().transport_events(key);
    let has = lab.clients[0].fingerprints();
    let sha256 = has.iter().find(|it| it.algorithm == FingerprintAlgorithm::Sha256).expect("one");
    let why = format!(
        "fingerprint-mismatch: the peer's certificate matches no given fingerprint: its sha-256 is {}",
        sha256.value
    );
    assert_eq!(reasons(&events), [format!("dtls failed {why}"), format!("sctp closed {why}")]);
    assert!(!lab.clients[0].is_connected());
    assert_eq!(lab.ice_state(key), IceState::Completed, "the transport stays open");
}

#[test]
fn a_second_producer_of_a_stream_or_id_is_rejected() {
    let (mut lab, router) = Lab::with_router();
    let (key, _) = lab.join(router, 1);
    let (other, _) = lab.join(router, 2);
    let producer = lab.host().produce(key, 0);
    let id = lab.host().producer_id(producer);
    let mut produce = |transport, options| {
        let key = datasoup::sfu::id::DataProducerKey(lab.host().key());
        let intake = std::sync::Arc::new(datasoup::sfu::backlog::Backlog::new(1000));
        let mut transport = lab.sfu().transport(transport).expect("open");
        transport.produce_data(key, options, intake).map(drop).map_err(|error| error.name())
    };
    let with_id = |stream, id| datasoup::sfu::contract::options::DataProducerOptions {
        id: Some(id),
        ..options::producer_on(stream)
    };
    assert_eq!(produce(key, options::producer_on(0)), Err("Error"), "the stream");
    assert_eq!(produce(key, with_id(1, id)), Err("TypeError"), "the id on this transport");
    assert_eq!(produce(other, with_id(1, id)), Err("Error"), "the id elsewhere");
    assert_eq!(produce(key, options::producer()), Err("TypeError"), "no stream");
    assert!(
        produce(key, options::producer_on(1)).is_ok(),
        "a rejected request leaves nothing behind"
    );
}
