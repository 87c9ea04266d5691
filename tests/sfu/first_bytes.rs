//! How soon a WebRTC client gets its first message. The round trip is 50 ms, and the client sends the INIT as soon as
//! its DTLS is connected, like browsers.

use std::time::Duration;

use datasoup::proto::dtls::{DtlsRole, DtlsState};

use crate::common::lab::{Lab, text, theirs};
use crate::common::options;
use crate::common::sim::Conditions;

const ROUND_TRIP: Duration = Duration::from_millis(50);

const CLEAN: Conditions = Conditions { delay: Duration::from_millis(25), ..Conditions::PERFECT };

/// A tenth of all datagrams is lost either way.
const LOSSY: Conditions = Conditions { loss: 0.1, ..CLEAN };

/// The times of a client's milestones, from its first connectivity check on.
struct Times {
    dtls: Duration,
    message: Duration,
}

/// Panics after a minute.
fn first_message(role: DtlsRole, conditions: Conditions, seed: u64) -> Times {
    let mut lab = Lab::with(1, conditions, seed);
    let router = lab.host().router();
    let (key, answer) = lab.webrtc(router, 1, options::webrtc());
    let producer = lab.source(router);
    lab.host().consume(key, producer);
    lab.sfu().send(producer, text("first"), None);
    let client = lab.client(key, &answer, theirs(1), role);
    let begun = lab.now;
    let is_secure = |lab: &mut Lab| lab.clients[client].dtls_states.contains(&DtlsState::Connected);
    lab.expect("a DTLS session", is_secure);
    let dtls = lab.now - begun;
    lab.expect("a message", |lab| !lab.clients[client].sctp.messages.is_empty());
    Times { dtls, message: lab.now - begun }
}

#[track_caller]
fn assert_percentiles(what: &str, mut times: Vec<Duration>, p95: Duration, p99: Duration) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("{what}: p50 {:?}, p95 {:?}, p99 {:?}", at(50), at(95), at(99));
    assert!(at(95) < p95, "{what}: {:?} at the 95th percentile", at(95));
    assert!(at(99) < p99, "{what}: {:?} at the 99th percentile", at(99));
}

#[test]
fn the_first_message_takes_two_round_trips_from_the_client_s_dtls() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let Times { dtls, message } = first_message(role, CLEAN, 1);
        let late = message - dtls;
        assert!(late <= 2 * ROUND_TRIP + Duration::from_millis(1), "{role:?}: {late:?}");
    }
}

#[test]
fn the_first_message_is_soon_there_though_a_tenth_of_all_datagrams_is_lost() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let times: Vec<_> = (0..500).map(|seed| first_message(role, LOSSY, seed)).collect();
        let secs = Duration::from_secs_f32;
        let dtls = times.iter().map(|it| it.dtls).collect();
        assert_percentiles(&format!("DTLS, client is {role:?}"), dtls, secs(2.0), secs(3.5));
        let late = times.iter().map(|it| it.message - it.dtls).collect();
        let what = format!("message after DTLS, client is {role:?}");
        assert_percentiles(&what, late, secs(2.0), secs(3.5));
        let all = times.iter().map(|it| it.message).collect();
        assert_percentiles(&format!("all, client is {role:?}"), all, secs(3.0), secs(5.0));
    }
}
