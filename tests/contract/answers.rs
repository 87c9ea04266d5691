//! The answers of a worker and the arguments of its events, without the values that vary from run
//! to run.

use std::net::SocketAddr;

use datasoup::proto::dtls::DtlsRole;
use datasoup::sfu::contract::answers::WorkerAnswer;
use datasoup::sfu::contract::metrics::WorkerMetrics;
use datasoup::sfu::contract::options::{
    DtlsParameters, PipeTransportOptions, UdpConnectOptions, WebRtcConnectOptions,
};
use datasoup::sfu::contract::parameters::{
    Bitrates, DataChannelInfo, DropCount, NegotiatedStreams,
};
use datasoup::sfu::histogram::{DELAYS, Histogram, TURNS};
use datasoup::sfu::id::{DataProducerKey, RouterKey, TransportKey, WebRtcServerKey};
use datasoup::sfu::transport::webrtc::WebRtcListen;
use serde::Serialize;
use serde_json::{Value, json};

use crate::common::lab::{Lab, ours, text, theirs};
use crate::common::options;
use crate::folder;

fn to_json(it: impl Serialize) -> Value {
    serde_json::to_value(it).expect("JSON")
}

/// The answers of a worker with an entity of each kind. Its first WebRTC transport is connected.
#[allow(clippy::too_many_lines, reason = "a list of answers")]
fn answers() -> Vec<(&'static str, Vec<Value>)> {
    let mut lab = Lab::new();
    let key = RouterKey(lab.host().key());
    let router = to_json(lab.sfu().create_router(key));
    let server = lab.host().server(ours(1));
    let listen = WebRtcListen::Server(server);
    let (webrtc, webrtc_answer) = lab.host().webrtc_with(key, listen, options::webrtc());
    let client = lab.client(webrtc, &webrtc_answer, theirs(1), DtlsRole::Client);
    lab.connected(webrtc, client);
    let mut no_sctp = options::webrtc();
    no_sctp.sctp = None;
    let listen = WebRtcListen::Own(vec![lab.host().listen(ours(2))]);
    let (bare, bare_answer) = lab.host().webrtc_with(key, listen, no_sctp);
    let webrtc_connect = {
        let fingerprints = lab.clients[client].fingerprints();
        let role = DtlsRole::Client;
        let dtls_parameters = DtlsParameters { role, fingerprints };
        let options = WebRtcConnectOptions { dtls_parameters };
        to_json(lab.sfu().transport(bare).expect("open").connect_webrtc(options).expect("once"))
    };

    let plain = TransportKey(lab.host().key());
    let listen = lab.host().listen(ours(3));
    let plain_answer = lab.sfu().router(key).expect("open").create_plain_transport(
        plain,
        &options::plain(false),
        listen,
    );
    let pipe = TransportKey(lab.host().key());
    let listen = lab.host().listen(ours(4));
    let no_sctp = PipeTransportOptions { sctp: None, ..options::pipe() };
    let pipe_answer =
        lab.sfu().router(key).expect("open").create_pipe_transport(pipe, &no_sctp, listen);
    let peer: SocketAddr = theirs(3);
    let udp = options::udp_connect(peer);
    let sealed = TransportKey(lab.host().key());
    let listen = lab.host().listen(ours(5));
    let with_dtls = PipeTransportOptions { enable_dtls: true, ..options::pipe() };
    lab.sfu().router(key).expect("open").create_pipe_transport(sealed, &with_dtls, listen);
    let fingerprints = lab.host().fingerprints.clone();
    let dtls_parameters = Some(DtlsParameters { role: DtlsRole::Server, fingerprints });
    let udp_dtls = UdpConnectOptions { dtls_parameters, ..udp.clone() };
    let udp_connects = [(plain, udp), (sealed, udp_dtls)].map(|(key, options)| {
        to_json(lab.sfu().transport(key).expect("open").connect_udp(options).expect("once"))
    });
    let direct = lab.host().direct(key);

    let producer = lab.host().produce(webrtc, 0);
    let local = lab.host().produce_with(direct, options::producer());
    let channel = DataChannelInfo {
        stream: options::producer_on(4).sctp_stream_parameters.expect("given"),
        label: "label".into(),
        protocol: "protocol".into(),
    };
    let mut limited = options::consumer();
    limited.max_retransmits = Some(3);
    let consumers =
        [lab.host().consume_with(webrtc, local, limited), lab.host().consume(direct, producer)];
    lab.clients[client].send(0, text("a message"));
    let bitrates = Bitrates {
        max_incoming_bitrate: Some(1),
        max_outgoing_bitrate: Some(2),
        min_outgoing_bitrate: Some(3),
    };
    lab.sfu().transport(webrtc).expect("open").set_bitrates(bitrates);
    lab.run_for(std::time::Duration::from_millis(100));

    let transports = [webrtc, bare, plain, pipe, sealed, direct];
    let producers = [producer, local];
    let consumer_keys = consumers.each_ref().map(|it| it.0);
    let ice = to_json(lab.sfu().transport(bare).expect("open").restart_ice().expect("WebRTC"));
    let tuples = [webrtc, plain, pipe].map(|it| {
        let dump = lab.dump(it);
        dump.get("tuple").or(dump.get("iceSelectedTuple")).expect("a tuple").clone()
    });
    let fingerprints = lab.host().fingerprints.clone();
    vec![
        ("WorkerAnswer", vec![to_json(WorkerAnswer { dtls_fingerprints: fingerprints })]),
        ("CreatedAnswer", vec![router]),
        ("WebRtcTransportAnswer", vec![to_json(webrtc_answer), to_json(bare_answer)]),
        ("UdpTransportAnswer", vec![to_json(plain_answer), to_json(pipe_answer)]),
        ("WebRtcConnectAnswer", vec![webrtc_connect]),
        ("UdpConnectAnswer", udp_connects.to_vec()),
        ("IceParameters", vec![ice]),
        ("WorkerDump", vec![to_json(lab.sfu().dump(1, Default::default(), Default::default()))]),
        ("WorkerMetrics", vec![to_json(metrics(&mut lab))]),
        ("WebRtcServerDump", vec![to_json(dump_server(&mut lab, server))]),
        ("RouterDump", vec![to_json(lab.sfu().router(key).expect("open").dump())]),
        ("TransportDump", transports.map(|it| lab.dump(it)).to_vec()),
        ("Diagnosis", transports.map(|it| diagnose(&mut lab, it)).to_vec()),
        ("TransportStats", transports.map(|it| lab.stats(it)).to_vec()),
        ("DataProducerDump", producers.map(|it| dump_producer(&mut lab, it)).to_vec()),
        ("DataProducerStats", producers.map(|it| lab.producer_stats(it)).to_vec()),
        ("DataConsumerDump", consumers.map(|(_, dump)| to_json(dump)).to_vec()),
        ("DataConsumerStats", consumer_keys.map(|it| lab.consumer_stats(it)).to_vec()),
        ("TupleInfo", tuples.to_vec()),
        ("NegotiatedStreams", vec![to_json(NegotiatedStreams::from((65_535, 65_535)))]),
        ("DataChannelInfo", vec![to_json(channel)]),
        ("DropCount", vec![to_json(DropCount { messages: 1, bytes: 2 })]),
    ]
}

fn metrics(lab: &mut Lab) -> WorkerMetrics {
    WorkerMetrics {
        sfu: lab.sfu().metrics(),
        sockets: Default::default(),
        outbox: Default::default(),
        cpu_time: Default::default(),
        turns: Histogram::new(&TURNS),
        java_script_delays: Histogram::new(&DELAYS),
    }
}

fn dump_server(lab: &mut Lab, key: WebRtcServerKey) -> Value {
    to_json(lab.sfu().webrtc_server(key).expect("open").dump())
}

fn diagnose(lab: &mut Lab, key: TransportKey) -> Value {
    to_json(lab.sfu().transport(key).expect("open").diagnose())
}

fn dump_producer(lab: &mut Lab, key: DataProducerKey) -> Value {
    to_json(lab.sfu().data_producer(key).expect("open").dump())
}

/// Replaces the values that vary from run to run: ids, secrets, and every counter.
fn normalise(name: &str, value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(|it| normalise(name, it));
            // Tables of ids have no order.
            if items.iter().all(Value::is_string) {
                items.sort_by_key(ToString::to_string);
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                let counts =
                    name.ends_with("Stats") || name.ends_with("Metrics") || name == "Diagnosis";
                let counts = counts && value.is_number();
                match (member.as_str(), &mut *value) {
                    ("usernameFragment" | "password" | "localIceUsernameFragment", it) => {
                        *it = "secret".into();
                    }
                    ("value", it @ Value::String(_)) => *it = "hash or id".into(),
                    ("counts", Value::Array(counts)) => counts.fill(0.into()),
                    (member, it) if counts && !member.ends_with("Port") => *it = 0.into(),
                    (_, it) => normalise(name, it),
                }
            }
        }
        Value::String(text) if uuid::Uuid::parse_str(text).is_ok() => {
            *text = uuid::Uuid::nil().to_string();
        }
        _ => {}
    }
}

#[test]
fn answers_are_those_of_the_fixtures() {
    let folder = folder("answers");
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    for (name, mut values) in answers() {
        values.iter_mut().for_each(|it| normalise(name, it));
        let made = json!(values);
        let path = folder.join(name).with_extension("json");
        if update {
            std::fs::create_dir_all(&folder).expect("the folder");
            let json = serde_json::to_string_pretty(&made).expect("JSON");
            std::fs::write(&path, json + "\n").expect("written");
        }
        let text = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{path:?}: {it}"));
        let expected: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(made, expected, "{name}");
    }
}

#[test]
fn each_fixture_is_of_an_answer() {
    let names: Vec<&str> = answers().into_iter().map(|(name, _)| name).collect();
    for file in std::fs::read_dir(folder("answers")).expect("the folder") {
        let path = file.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        assert!(names.contains(&&*name), "{path:?}");
    }
}
