//! The start and the end of a worker.

use std::sync::Arc;
use std::sync::mpsc;

use datasoup::runtime::job::Job;
use datasoup::runtime::outbox::Item;
use datasoup::sfu::contract::options::{DtlsCertificate, WorkerSettings};
use datasoup::sfu::id::RouterKey;

use crate::options;
use crate::worker::{Worker, is_free, listen_info};

#[test]
fn a_worker_starts_answers_and_ends() {
    let mut worker = Worker::new();
    let id = worker.handle().thread_id();
    assert_ne!(id, std::process::id());
    let started = worker.start(options::worker()).expect("good settings");
    let started: serde_json::Value = serde_json::from_str(&started).expect("JSON");
    assert_eq!(started["dtlsFingerprints"].as_array().map(Vec::len), Some(5));
    let answer = worker.call(|_| Ok(datasoup::runtime::usage::thread_id().to_string()));
    assert_eq!(answer, Ok(id.to_string()), "jobs run on the worker's thread");
    worker.handle().close();
    let rest = worker.rest();
    let [Item::Ended(Some(metrics))] = &rest[..] else { panic!("{rest:?}") };
    let metrics: serde_json::Value = serde_json::from_str(metrics).expect("JSON");
    assert!(metrics["turns"]["sum"].as_f64().is_some_and(|it| it > 0.0), "{metrics}");
    assert!(worker.handle().inbox().is_closed());
}

#[test]
fn workers_have_threads_of_their_own() {
    let ids = [(); 3].map(|()| Worker::started().handle().thread_id());
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[test]
fn wrong_settings_are_rejected_and_end_the_thread() {
    let (certificate, private_key) = ("not a PEM".to_owned(), "not a PEM".to_owned());
    let certificate = DtlsCertificate { certificate, private_key };
    let settings = WorkerSettings { dtls_certificate: Some(certificate), ..options::worker() };
    let mut worker = Worker::new();
    assert_eq!(worker.start(settings).expect_err("rejected").name(), "TypeError");
    let rest = worker.rest();
    assert!(matches!(rest[..], [Item::Ended(_)]), "{rest:?}");
}

#[test]
fn a_socket_gets_no_port_of_an_empty_range() {
    let mut worker = Worker::new();
    let settings = WorkerSettings { rtc_min_port: 2000, rtc_max_port: 1000, ..options::worker() };
    worker.start(settings).expect("lib/ checks the order of the ports");
    let listened = worker
        .call(|world| world.listen(&[(0, &listen_info("127.0.0.1", 0))]).map(|_| String::new()));
    assert_eq!(listened.expect_err("no port").name(), "TypeError");
}

#[test]
fn closing_a_worker_that_was_never_started_ends_its_thread() {
    let mut worker = Worker::new();
    worker.handle().close();
    assert!(matches!(worker.rest()[..], [Item::Ended(_)]));
}

#[test]
fn dropping_the_handle_ends_the_thread_and_waits_for_it() {
    let mut worker = Worker::started();
    worker
        .call(|world| {
            world.sfu.create_router(RouterKey(1));
            Ok(String::new())
        })
        .expect("done");
    drop(worker.handle.take());
    let mut items = Default::default();
    worker.outbox.take(&mut items);
    assert!(
        matches!(items.back(), Some(Item::Ended(_))),
        "the end must already be in the outbox: {items:?}"
    );
}

#[test]
fn a_panic_ends_the_worker_and_not_the_process() {
    let mut worker = Worker::started();
    let port = worker.call(|world| {
        let listens = world.listen(&[(0, &listen_info("127.0.0.1", 0))])?;
        Ok(listens[0].local.to_string())
    });
    let port = port.expect("a port").parse().expect("an address");
    assert!(!is_free(port));
    worker.post(Job::call(|_| panic!("on {}", "purpose")));
    let unanswered = worker.ask(|_| Ok(String::new()));
    let rest = worker.rest();
    let [.., Item::Died(why), Item::Ended(None)] = &rest[..] else {
        panic!("{rest:?}, {unanswered}")
    };
    assert!(why.starts_with("on purpose (tests/runtime/lifecycle.rs:"), "{why}");
    assert!(is_free(port), "a socket of the worker is still open");
    assert!(worker.handle().inbox().is_closed());

    let mut next = Worker::started();
    assert_eq!(next.call(|_| Ok("alive".into())), Ok("alive".into()));
}

#[test]
fn jobs_after_close_are_dropped() {
    let mut worker = Worker::started();
    let (release, gate) = mpsc::channel::<()>();
    worker.post(Job::call(move |_| gate.recv().expect("to be released")));
    worker.handle().close();
    worker.ask(|_| Ok(String::new()));
    release.send(()).expect("it waits");
    let rest = worker.rest();
    assert!(matches!(rest[..], [Item::Ended(_)]), "{rest:?}");

    let kept = Arc::new(());
    let captured = Arc::clone(&kept);
    worker.post(Job::call(move |_| drop(captured)));
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn close_closes_every_socket() {
    let mut worker = Worker::started();
    let ports = worker.call(|world| {
        let info = listen_info("127.0.0.1", 0);
        let mut listens = world.listen(&[0, 1, 2].map(|n| (n, &info)))?;
        let addresses: Vec<_> = listens.iter().map(|it| it.local).collect();
        world.sfu.create_webrtc_server(datasoup::sfu::id::WebRtcServerKey(1), listens.split_off(1));
        world.sfu.create_router(RouterKey(2));
        let key = datasoup::sfu::id::TransportKey(3);
        let mut router = world.sfu.router(RouterKey(2))?;
        router.create_plain_transport(key, &options::plain(false), listens.remove(0));
        Ok(serde_json::to_string(&addresses).expect("json"))
    });
    let ports: Vec<std::net::SocketAddr> =
        serde_json::from_str(&ports.expect("ports")).expect("json");
    assert!(ports.iter().all(|it| !is_free(*it)));
    worker.handle().close();
    worker.rest();
    assert!(ports.iter().all(|it| is_free(*it)));
}
