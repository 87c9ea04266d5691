//! Single layers, in memory and in virtual time: `npm run bench:layers -- LAYER`.

#[allow(dead_code, reason = "used in parts")]
#[path = "../../tests/sfu/channels.rs"]
mod channels;
#[path = "../../tests/common/mod.rs"]
mod common;
mod dtls;
#[allow(dead_code, reason = "used in parts")]
#[path = "../../tests/dtls/harness.rs"]
mod harness;
mod networks;
mod paths;
mod sctp;

use std::process::ExitCode;

fn main() -> ExitCode {
    let layer = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    match layer.as_deref() {
        Some("dtls") => dtls::run(),
        Some("sctp") => sctp::run(),
        Some("networks") => networks::run(),
        Some("paths") => return paths::run(),
        _ => {
            eprintln!("LAYER must be one of dtls, sctp, networks, paths");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
