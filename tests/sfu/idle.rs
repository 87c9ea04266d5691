//! Idle transports cost nothing.

use std::time::Duration;

use datasoup::sfu::contract::options::WebRtcTransportOptions;

use crate::common::lab::{Lab, ours, text};
use crate::common::options;

#[test]
fn an_idle_client_causes_no_wakes_but_for_its_consent() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    let producer = lab.host().produce(key, 0);
    let direct = lab.host().direct(router);
    let (consumer, _) = lab.host().consume(direct, producer);
    for _ in 0..20 {
        lab.clients[client].send(0, text("x"));
        lab.run_for(Duration::from_millis(700));
    }
    assert_eq!(lab.host().messages(consumer).len(), 20);
    lab.run_for(Duration::from_secs(60));

    // From here on the only event without input is that consent runs out.
    lab.clients[client].frozen = true;
    let frozen_at = lab.now;
    let mut wakes = 0;
    while let Some(at) = lab.sfu().poll_timeout() {
        let now = at.max(lab.now);
        lab.now = now;
        lab.sfu().begin_turn(now);
        lab.sfu().handle_timeout();
        lab.flush();
        wakes += 1;
    }
    assert!(wakes <= 3, "{wakes} wakes");
    assert!(lab.now - frozen_at <= Duration::from_secs(30));
    assert_eq!(lab.dump(key)["iceState"], "disconnected");
}

#[test]
fn without_consent_timeout_a_connected_and_idle_transport_has_no_deadline() {
    let (mut lab, router) = Lab::with_router();
    let options = WebRtcTransportOptions { ice_consent_timeout: 0, ..options::webrtc() };
    let (key, client) = lab.join_with(router, 1, options);
    let producer = lab.host().produce(key, 0);
    lab.host().consume(key, producer);
    lab.clients[client].send(0, text("there and back"));
    lab.expect("its echo", |lab| lab.clients[client].sctp.messages.len() == 1);
    // Deadlines that are not needed any more, such as that of the handshake, run out once.
    lab.run_for(Duration::from_secs(60));
    assert_eq!(lab.sfu().poll_timeout(), None);
}

#[test]
fn a_turn_without_work_sends_and_emits_nothing() {
    let (mut lab, router) = Lab::with_router();
    let (key, _) = lab.join(router, 1);
    lab.run_for(Duration::from_millis(500));
    lab.host().events.clear();
    let before = lab.stats(key)["bytesSent"].clone();
    for _ in 0..100 {
        lab.flush();
    }
    assert_eq!(lab.stats(key)["bytesSent"], before);
    assert!(lab.host().events.is_empty());
}

#[test]
fn statistics_count_datagrams_and_messages() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    let producer = lab.host().produce(key, 0);
    let (consumer, _) = lab.host().consume(key, producer);
    let (_, sent_before) = lab.sent[&ours(1)];
    let before = lab.stats(key);
    assert_eq!(before["bytesSent"], sent_before, "answers to STUN included");
    lab.clients[client].send(0, text("1234567"));
    lab.run_for(Duration::from_millis(100));
    let stats = lab.stats(key);
    let (_, sent) = lab.sent[&ours(1)];
    assert_eq!(stats["bytesSent"], sent);
    assert!(stats["bytesReceived"].as_u64() > before["bytesReceived"].as_u64());
    assert!(stats["recvBitrate"].as_u64() > Some(0) && stats["sendBitrate"].as_u64() > Some(0));
    assert_eq!(stats["type"], "webrtc-transport");
    assert_eq!(stats["rtpBytesReceived"], 0);
    assert!(stats["timestamp"].as_u64() >= Some(1_000_000), "uptime in ms");
    let stats = lab.producer_stats(producer);
    assert_eq!((&stats["messagesReceived"], &stats["bytesReceived"]), (&1.into(), &7.into()));
    let stats = lab.consumer_stats(consumer);
    assert_eq!((&stats["messagesSent"], &stats["bytesSent"]), (&1.into(), &7.into()));
}
