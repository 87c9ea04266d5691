//! Reports a panic of a worker's thread to the application instead of stderr.
//!
//! A panic unwinds the worker's thread and ends the worker alone ('died'). A second panic while the first
//! unwinds, in a destructor, ends the process: Rust aborts, and the message goes to stderr.
//!
//! The panic hook is process-wide (for this copy of the standard library; an addon has its own). Ours
//! handles the threads of workers and leaves all others to the previous hook.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// A panic.
#[derive(Debug)]
pub(super) struct Report {
    /// The message, with the place in the source.
    pub(super) message: String,
    /// Present if the environment asks for it (`RUST_BACKTRACE=1`).
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

/// Runs `work`, the whole work of a worker's thread. Returns its result, or the panic that ended it.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Report> {
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
        (Ok(result), _) => Ok(result),
        (Err(_), Watch::Panicked(report)) => Err(report),
        // Other code of this addon has replaced our hook.
        (Err(_), _) => {
            Err(Report { message: "the worker's thread panicked".into(), backtrace: None })
        }
    }
}

/// Keeps the report if this is the first panic of a worker's thread. A second one, while the first
/// unwinds, aborts the process, so its message belongs on stderr.
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
    fn a_panic_is_reported_with_its_place_and_other_threads_are_left_alone() {
        let died = catch(|| panic!("on {}", "purpose"));
        let message = died.expect_err("a panic").message;
        assert!(message.starts_with("on purpose (") && message.contains("panics.rs:"), "{message}");
        assert!(matches!(WATCH.take(), Watch::NotAWorker), "this thread is no longer a worker");
        assert!(catch(|| ()).is_ok());
    }
}
