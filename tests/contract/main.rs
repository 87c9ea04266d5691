//! The Rust half of the contract with `lib/`; the other half is `__test__/contract.test.ts`.
//!
//! `options/<struct>.json` has the options that `lib/` makes of the calls in its half; this half reads the file.
//! `answers/<struct>.json` has the answers of a worker; this half makes the file, and `UPDATE_FIXTURES=1 cargo test
//! --test contract` accepts a change.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use datasoup::proto::certificate::Fingerprint;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, DirectTransportOptions, DtlsCertificate,
    DtlsParameters, Flags, ListenInfo, LogSettings, MoveOptions, PipeTransportOptions,
    PlainTransportOptions, PortRange, SctpOptions, UdpConnectOptions, WebRtcConnectOptions,
    WebRtcServerOptions, WebRtcTransportOptions, WorkerSettings,
};
use datasoup::sfu::contract::parameters::{Bitrates, SctpStreamParameters};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(name)
}

/// The functions that read a fixture of options.
struct Reader {
    read: fn(Value) -> Result<(), serde_json::Error>,
    members: BTreeSet<&'static str>,
}

impl Reader {
    fn of<T: DeserializeOwned>() -> Self {
        let read = |value| serde_json::from_value::<T>(value).map(drop);
        Self { read, members: fields::of::<T>() }
    }
}

/// The reader of each fixture file, by the name of the struct, which is also the file's name.
fn readers() -> BTreeMap<&'static str, Reader> {
    BTreeMap::from([
        ("WorkerSettings", Reader::of::<WorkerSettings>()),
        ("LogSettings", Reader::of::<LogSettings>()),
        ("WebRtcServerOptions", Reader::of::<WebRtcServerOptions>()),
        ("WebRtcTransportOptions", Reader::of::<WebRtcTransportOptions>()),
        ("PlainTransportOptions", Reader::of::<PlainTransportOptions>()),
        ("PipeTransportOptions", Reader::of::<PipeTransportOptions>()),
        ("DirectTransportOptions", Reader::of::<DirectTransportOptions>()),
        ("MoveOptions", Reader::of::<MoveOptions>()),
        ("WebRtcConnectOptions", Reader::of::<WebRtcConnectOptions>()),
        ("UdpConnectOptions", Reader::of::<UdpConnectOptions>()),
        ("Bitrates", Reader::of::<Bitrates>()),
        ("DataProducerOptions", Reader::of::<DataProducerOptions>()),
        ("DataConsumerOptions", Reader::of::<DataConsumerOptions>()),
    ])
}

/// The structs inside of others, by the members that hold them.
fn inner() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    BTreeMap::from([
        ("listenInfo", fields::of::<ListenInfo>()),
        ("listenInfos", fields::of::<ListenInfo>()),
        ("flags", fields::of::<Flags>()),
        ("portRange", fields::of::<PortRange>()),
        ("sctp", fields::of::<SctpOptions>()),
        ("sctpStreamParameters", fields::of::<SctpStreamParameters>()),
        ("dtlsParameters", fields::of::<DtlsParameters>()),
        ("dtlsCertificate", fields::of::<DtlsCertificate>()),
        ("fingerprints", fields::of::<Fingerprint>()),
    ])
}

fn fixture(name: &str) -> Vec<Value> {
    let path = folder("options").join(name).with_extension("json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{path:?}: {it}"));
    serde_json::from_str(&text).unwrap_or_else(|it| panic!("{path:?}: {it}"))
}

#[test]
fn each_fixture_has_its_struct_and_each_struct_its_fixture() {
    let files = std::fs::read_dir(folder("options")).expect("the folder");
    let names = files.map(|it| it.expect("a file").path());
    let names: BTreeSet<String> =
        names.map(|it| it.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    assert_eq!(names, readers().into_keys().map(str::to_owned).collect());
}

#[test]
fn rust_reads_what_lib_sends() {
    for (name, Reader { read, .. }) in readers() {
        for (index, value) in fixture(name).into_iter().enumerate() {
            read(value).unwrap_or_else(|it| panic!("{name}[{index}]: {it}"));
        }
    }
}

/// The JSON pointers to `value`, if it is an object, and to the objects in it.
fn objects(value: &Value, pointer: String) -> Vec<String> {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, it)| (name.clone(), it)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, it)| (index.to_string(), it)).collect()
        }
        _ => Vec::new(),
    };
    let inner = parts.into_iter().flat_map(|(name, it)| objects(it, format!("{pointer}/{name}")));
    value.is_object().then(|| pointer.clone()).into_iter().chain(inner).collect()
}

#[test]
fn options_with_an_unknown_member_are_rejected() {
    for (name, Reader { read, .. }) in readers() {
        for value in fixture(name) {
            for pointer in objects(&value, String::new()) {
                let mut value = value.clone();
                value.pointer_mut(&pointer).expect("an object")["unknown"] = true.into();
                let Err(error) = read(value) else { panic!("{name}{pointer} is accepted") };
                let error = error.to_string();
                assert!(error.contains("unknown field `unknown`"), "{name}{pointer}: {error}");
            }
        }
    }
}

#[test]
fn a_missing_member_is_an_error() {
    // A member that the fixture of a minimal call leaves out is optional; every other member is required.
    for (name, Reader { read, .. }) in readers() {
        let value = fixture(name).remove(0);
        let members: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        for member in members {
            let mut less = value.clone();
            less.as_object_mut().expect("an object").remove(&member);
            let optional = matches!(
                (name, member.as_str()),
                ("WebRtcTransportOptions", "listenInfos")
                    | ("DataProducerOptions", "id")
                    | ("DataConsumerOptions", "overflowTimeout")
            );
            assert_eq!(read(less).is_ok(), optional, "{name} without {member}");
        }
    }
}

#[test]
fn every_member_of_a_struct_occurs_in_a_fixture() {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, Reader { members, .. }) in readers() {
        let values = fixture(name);
        let given = values.iter().flat_map(|it| it.as_object().expect("an object").keys());
        let given: BTreeSet<&str> = given.map(String::as_str).collect();
        assert_eq!(given, members, "{name}");
        values.iter().for_each(|it| collect_inner(it, &mut seen));
    }
    for (name, members) in inner() {
        let given: BTreeSet<&str> = seen[name].iter().map(String::as_str).collect();
        assert_eq!(given, members, "{name}");
    }
}

/// Adds the members of the objects in `value`, by the members that hold these objects.
fn collect_inner(value: &Value, seen: &mut BTreeMap<String, BTreeSet<String>>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let objects = match value {
            Value::Array(items) => items.iter().collect(),
            it => vec![it],
        };
        for object in objects.into_iter().filter(|it| it.is_object()) {
            let keys = object.as_object().into_iter().flatten().map(|(key, _)| key.clone());
            seen.entry(name.clone()).or_default().extend(keys);
            collect_inner(object, seen);
        }
    }
}
