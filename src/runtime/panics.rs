//! What a panic of a worker's thread says, for the application instead of stderr.
//!
//! The hook is process-wide (of this copy of the standard library: an addon has one of its own). It
//! looks at the threads of workers only, and leaves all others to the hook that was there before.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// A panic.
#[derive(Debug)]
pub(super) struct Report {
    /// What it said, and where.
    pub(super) message: String,
    /// If the environment asks for one (`RUST_BACKTRACE=1`).
    pub(super) backtrace: Option<String>,
}

#[derive(Default)]
enum Watch {
    #[default]
    NotAWorker,
    Worker,
    Panicked(Report),
}

thread_local! {
    static WATCH: RefCell<Watch> = const { RefCell::new(Watch::NotAWorker) };
}

/// Does all that a worker's thread does, and answers the panic that ended it.
pub(super) fn catch(work: impl FnOnce()) -> Result<(), Report> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            if !report(info) {
                others(info);
            }
        }));
    });
    WATCH.set(Watch::Worker);
    let ended = catch_unwind(AssertUnwindSafe(work));
    match (ended, WATCH.take()) {
        (Ok(()), _) => Ok(()),
        (Err(_), Watch::Panicked(report)) => Err(report),
        // The hook is not ours any more: somebody has set another one since.
        (Err(_), _) => {
            Err(Report { message: "the worker's thread panicked".into(), backtrace: None })
        }
    }
}

/// Keeps what is said, if this is a worker's first panic. A second one, while the first unwinds, is
/// the end of the process, whose last words belong on stderr.
fn report(info: &PanicHookInfo<'_>) -> bool {
    WATCH.with(|watch| {
        let Ok(mut watch) = watch.try_borrow_mut() else { return false };
        let first = matches!(*watch, Watch::Worker);
        if first {
            *watch = Watch::Panicked(Report::new(info));
        }
        first
    })
}

impl Report {
    fn new(info: &PanicHookInfo<'_>) -> Self {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("the worker's thread panicked");
        let message = match info.location() {
            Some(location) => format!("{text} ({location})"),
            None => text.to_owned(),
        };
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        Self { message, backtrace: captured.then(|| backtrace.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place_and_those_of_other_threads_are_not_touched() {
        let died = catch(|| panic!("on {}", "purpose"));
        let message = died.expect_err("a panic").message;
        assert!(message.starts_with("on purpose (") && message.contains("panics.rs:"), "{message}");
        assert!(matches!(WATCH.take(), Watch::NotAWorker), "this thread is none any more");
        assert!(catch(|| ()).is_ok());
    }
}
