//! Runs the work of a case, for callgrind to count or to be timed.

use std::cell::RefCell;
use std::time::Instant;

/// How often a case repeats its work, as in index.js.
pub(crate) const TIMES: usize = 200;

thread_local! {
    /// The time that each repetition took, if it is to be measured.
    static NANOSECONDS: RefCell<Option<Vec<u128>>> = const { RefCell::new(None) };
}

/// From now on [`measure`] times the work.
pub(crate) fn time() {
    NANOSECONDS.set(Some(Vec::new()));
}

/// The median time of a repetition in ns, if it was measured.
pub(crate) fn median() -> Option<u128> {
    let mut all = NANOSECONDS.take()?;
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

/// Does `work` once.
#[allow(clippy::disallowed_methods, reason = "measures real time")]
pub(crate) fn measure(work: &mut dyn FnMut()) {
    if NANOSECONDS.with_borrow(Option::is_none) {
        return measured(work);
    }
    let start = Instant::now();
    measured(work);
    let took = start.elapsed().as_nanos();
    NANOSECONDS.with_borrow_mut(|all| all.get_or_insert_default().push(took));
}

/// Callgrind counts within this function, which it finds by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}
