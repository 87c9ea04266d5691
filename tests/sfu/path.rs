//! Which remote address is the peer's: migration, consent, restarts.

use std::time::Duration;

use datasoup::proto::ice_lite::IceState;
use datasoup::sfu::contract::options::WebRtcTransportOptions;
use datasoup::sfu::event::TransportEvent;

use crate::common::client::Client;
use crate::common::lab::{Lab, ours, reasons, text, theirs};
use crate::common::options;

#[test]
fn a_client_that_moves_to_another_address_keeps_its_session() {
    let (mut lab, router, server) = Lab::with_server();
    let (a, alice) = lab.join_server(router, server, 1);
    let (b, bob) = lab.join_server(router, server, 2);
    let producer = lab.host().produce(a, 0);
    let (consumer, _) = lab.host().consume(b, producer);
    let up = lab.host().produce(b, 0);
    lab.host().consume(a, up);
    lab.host().transport_events(b);

    let now = lab.now;
    lab.clients[bob].move_to(now, theirs(3));
    lab.expect("the new path", |lab| lab.clients[bob].path_works);
    lab.clients[alice].send(0, text("to the new address"));
    lab.clients[bob].send(0, text("from the new address"));
    lab.expect("both", |lab| {
        lab.clients[bob].sctp.messages.len() == 1 && lab.clients[alice].sctp.messages.len() == 1
    });
    let events = lab.host().transport_events(b);
    let [TransportEvent::IceSelectedTuple(tuple)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(tuple.remote_port, 20_003);
    assert_eq!(lab.consumer_stats(consumer)["messagesDropped"], 0);
}

#[test]
fn data_from_another_valid_address_moves_the_selection_there() {
    let (mut lab, router) = Lab::with_router();
    let (key, client) = lab.join(router, 1);
    lab.host().produce(key, 0);
    lab.host().transport_events(key);
    lab.clients[client].nominates = false;
    let now = lab.now;
    lab.clients[client].move_to(now, theirs(2));
    lab.expect("a valid path", |lab| lab.clients[client].path_works);
    assert!(lab.host().transport_events(key).is_empty(), "a check alone selects nothing");
    lab.clients[client].send(0, text("here I am"));
    lab.run_for(Duration::from_secs(1));
    let events = lab.host().transport_events(key);
    let [TransportEvent::IceSelectedTuple(tuple)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(tuple.remote_port, 20_002);
}

#[test]
fn a_silent_client_is_disconnected_and_may_come_back() {
    let (mut lab, router) = Lab::with_router();
    let (a, alice) = lab.join(router, 1);
    let (b, bob) = lab.join(router, 2);
    let producer = lab.host().produce(a, 0);
    lab.host().consume(b, producer);
    lab.host().transport_events(b);

    lab.clients[bob].frozen = true;
    lab.run_for(Duration::from_secs(28));
    assert_eq!(lab.ice_state(b), IceState::Completed);
    lab.run_for(Duration::from_secs(3));
    assert_eq!(lab.ice_state(b), IceState::Disconnected);
    assert_eq!(
        reasons(&lab.host().transport_events(b)),
        ["ice disconnected consent-expired: no valid STUN request of the peer arrived for 30 s"],
        "the DTLS session and the association stay"
    );
    let (sent, _) = lab.sent[&ours(2)];
    lab.clients[alice].send(0, text("queued"));
    lab.run_for(Duration::from_secs(20));
    assert_eq!(lab.sent[&ours(2)].0, sent, "nothing is sent without consent");

    lab.clients[bob].frozen = false;
    lab.expect("the message", |lab| lab.clients[bob].sctp.messages.len() == 1);
    assert_eq!(lab.ice_state(b), IceState::Completed);
}

#[test]
fn without_a_consent_timeout_no_client_is_disconnected() {
    let (mut lab, router) = Lab::with_router();
    let options = WebRtcTransportOptions { ice_consent_timeout: 0, ..options::webrtc() };
    let (key, client) = lab.join_with(router, 1, options);
    lab.clients[client].frozen = true;
    lab.run_for(Duration::from_secs(1000));
    assert_eq!(lab.ice_state(key), IceState::Completed);
}

#[test]
fn after_restart_ice_old_credentials_work_until_the_new_ones_are_used() {
    for shared in [false, true] {
        let (mut lab, router, server) = Lab::with_server();
        let (key, client) = lab.join_either(router, shared.then_some(server), 1);
        let old = lab.clients[client].ice.clone();
        let new = lab.sfu().transport(key).expect("open").restart_ice().expect("WebRTC");
        assert_ne!(old, new);
        assert_eq!(lab.dump(key)["iceParameters"]["usernameFragment"], new.username_fragment);
        if shared {
            let dump = lab.sfu().webrtc_server(server).expect("open").dump();
            assert_eq!(dump.local_ice_username_fragments.len(), 2);
        }
        lab.run_for(Duration::from_secs(40));
        assert_eq!(
            lab.ice_state(key),
            IceState::Completed,
            "checks with the old credentials keep consent"
        );

        let now = lab.now;
        lab.clients[client].restart_ice(now, new);
        lab.run_for(Duration::from_secs(1));
        assert!(lab.clients[client].refusals.is_empty());
        let to = lab.clients[client].server;
        lab.inject(theirs(5), to, &Client::check(&old, true));
        lab.run_for(Duration::from_secs(1));
        if shared {
            let dump = lab.sfu().webrtc_server(server).expect("open").dump();
            assert_eq!(dump.local_ice_username_fragments.len(), 1);
        }
        assert_eq!(lab.dump(key)["iceSelectedTuple"]["remotePort"], 20_001, "rejected");
        lab.run_for(Duration::from_secs(60));
        assert_eq!(lab.ice_state(key), IceState::Completed);
    }
}
