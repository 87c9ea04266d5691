//! What is done per message, to be counted by valgrind: `npm run bench:instructions`.
//!
//! Takes the name of a case; without one, prints all names. Each case prepares what it needs and then does the same
//! thing `TIMES` times within [`measured`], which is all that is counted. A second argument, `time`, has it print how
//! many nanoseconds one time took (the median, with a reading of the clock).

use std::cell::RefCell;
use std::time::Instant;

mod cases;
#[path = "../../tests/common/mod.rs"]
mod common;
use common::{client, host, sim};
#[path = "../../tests/common/rig.rs"]
#[allow(dead_code, reason = "used in parts")]
mod rig;

/// How often a case does its thing. Known to index.js.
const TIMES: usize = 200;

thread_local! {
    /// How long each time took, if that is what is asked for.
    static NANOSECONDS: RefCell<Option<Vec<u128>>> = const { RefCell::new(None) };
}

/// Does `work` once, and measures it.
#[allow(clippy::disallowed_methods, reason = "measures the world")]
fn measure(work: &mut dyn FnMut()) {
    if NANOSECONDS.with_borrow(Option::is_none) {
        return measured(work);
    }
    let start = Instant::now();
    measured(work);
    let took = start.elapsed().as_nanos();
    NANOSECONDS.with_borrow_mut(|all| all.get_or_insert_default().push(took));
}

/// Valgrind counts from when this is entered until it is left, and knows it by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

/// [`rig::Rig`] calls the worker through this.
fn ours<R>(run: impl FnOnce() -> R) -> R {
    run()
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let name = arguments.next();
    if arguments.next().as_deref() == Some("time") {
        NANOSECONDS.set(Some(Vec::new()));
    }
    for (case, run) in cases::ALL {
        match &name {
            None => println!("{case}"),
            Some(name) if name == case => run(),
            Some(_) => {}
        }
    }
    if let Some(mut all) = NANOSECONDS.take() {
        all.sort_unstable();
        println!("{}", all.get(all.len() / 2).copied().unwrap_or_default());
    }
}
