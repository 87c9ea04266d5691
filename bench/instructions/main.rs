//! The work per message, for callgrind to count: `npm run bench:instructions`.
//!
//! Takes the name of a case; without one, prints all names. Each case prepares what it needs, then repeats the same
//! work within [`probe::measure`]. With `time` as a second argument it prints the nanoseconds of one repetition: the
//! median, including one reading of the clock.

mod cases;
#[path = "../../tests/common/mod.rs"]
mod common;
mod counting;
mod probe;
#[allow(dead_code, reason = "used in parts")]
#[path = "../../tests/common/rig.rs"]
mod rig;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let name = arguments.next();
    if arguments.next().as_deref() == Some("time") {
        probe::time();
    }
    for (case, run) in cases::ALL {
        match &name {
            None => println!("{case}"),
            Some(name) if name == case => run(),
            Some(_) => {}
        }
    }
    if let Some(nanoseconds) = probe::median() {
        println!("{nanoseconds}");
    }
}
