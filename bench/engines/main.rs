//! SCTP engines side by side, driven in the same way, in memory and in virtual time: `npm run bench:engines`.
//!
//! Takes the name of an engine, and the work to count: `out`, `in` or `sack` with the size of a message, or `sender` or
//! `receiver` with the bytes in flight and the packets lost of 1,000. Without arguments, prints the names of all
//! engines.

#[path = "../../tests/common/mod.rs"]
mod common;

mod allocations;
mod cases;
mod dcsctp;
mod ours;
mod sctp_proto;

/// Runs a command with an engine.
type Run = fn(&[&str]);

const ENGINES: &[(&str, Run)] = &[
    ("sctp-proto", cases::run::<sctp_proto::SctpProto>),
    ("dcsctp", cases::run::<dcsctp::DcSctp>),
    ("ours", cases::run::<ours::Ours>),
];

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.split_first() {
        None => ENGINES.iter().for_each(|(name, _)| println!("{name}")),
        Some((engine, command)) => {
            let (_, run) = ENGINES.iter().find(|(name, _)| name == engine).expect("an engine");
            run(command);
        }
    }
}
