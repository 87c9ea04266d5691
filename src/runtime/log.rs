//! Log lines on their way to JavaScript.
//!
//! The `log` crate has one logger for the whole process. Ours gives each line to the worker on whose
//! thread it was written, which filters by its own level and tags.

use std::cell::RefCell;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::sfu::contract::options::{LogLevel, LogSettings};

use crate::proto::sctp::ENGINE_LOG_TARGET;

/// The most lines of one turn. The number is bounded because a peer can provoke lines.
const LINES_PER_TURN: usize = 64;

/// The most bytes of one line. The length is bounded because some lines quote what the peer has sent.
const MAX_LINE: usize = 1024;

/// The least severe level that passes.
fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::None => LevelFilter::Off,
    }
}

/// Filters and collects the lines of one thread.
#[derive(Debug)]
struct Sink {
    level: LevelFilter,
    tags: Vec<String>,
    lines: Vec<(Level, String)>,
    dropped: usize,
}

thread_local! {
    /// `None` on threads that belong to no worker.
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
}

/// Collects the lines of the calling thread from now on.
pub(super) fn attach(level: LogLevel, tags: Vec<String>) {
    // Fails if other code of this addon has set a logger, which then gets the lines.
    let _ = log::set_logger(&ThreadLogger);
    SINK.with_borrow_mut(|sink| {
        *sink =
            Some(Sink { level: LevelFilter::Off, tags: Vec::new(), lines: Vec::new(), dropped: 0 });
    });
    update(LogSettings { log_level: Some(level), log_tags: Some(tags) });
}

/// Changes what the calling thread, a worker's, logs.
pub fn update(settings: LogSettings) {
    SINK.with_borrow_mut(|sink| {
        let Some(sink) = sink else { return };
        if let Some(level) = settings.log_level {
            sink.level = filter(level);
            // The level of the process is never lowered: other workers may need it.
            log::set_max_level(log::max_level().max(sink.level));
        }
        if let Some(tags) = settings.log_tags {
            sink.tags = tags;
        }
    });
}

/// Takes the lines of this turn: the JavaScript name of the level, and the text. Returns how many more
/// lines were dropped.
pub(super) fn take(mut line: impl FnMut(&'static str, String)) -> usize {
    SINK.with_borrow_mut(|sink| {
        let Some(sink) = sink else { return 0 };
        for (level, text) in sink.lines.drain(..) {
            let level = match level {
                Level::Error => "error",
                Level::Warn => "warn",
                _ => "debug",
            };
            line(level, text);
        }
        let dropped = std::mem::take(&mut sink.dropped);
        if dropped > 0 {
            line("warn", format!("{dropped} more log lines of this turn dropped"));
        }
        dropped
    })
}

struct ThreadLogger;

impl Log for ThreadLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // A line that is written while the sink is borrowed comes from the sink itself, so it is dropped.
        SINK.with(|sink| {
            sink.try_borrow()
                .is_ok_and(|sink| sink.as_ref().is_some_and(|sink| sink.wants(metadata)))
        })
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        SINK.with(|sink| {
            let Ok(mut sink) = sink.try_borrow_mut() else { return };
            let Some(sink) = sink.as_mut() else { return };
            if sink.lines.len() < LINES_PER_TURN {
                let mut text = format!("{}: {}", tag(record.target()), record.args());
                if text.len() > MAX_LINE {
                    let end = (0..=MAX_LINE).rev().find(|it| text.is_char_boundary(*it));
                    text.truncate(end.unwrap_or(0));
                    text.push('…');
                }
                sink.lines.push((record.level(), text));
            } else {
                sink.dropped += 1;
            }
        });
    }

    fn flush(&self) {}
}

impl Sink {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
            && (metadata.level() == Level::Error
                || self.tags.iter().any(|it| it == tag(metadata.target())))
    }
}

/// The tag of a line: its target, or derived from the module that wrote it.
fn tag(target: &str) -> &'static str {
    if let Some(tag) = ["ice", "dtls", "sctp", "message"].into_iter().find(|it| *it == target) {
        return tag;
    }
    let is = |prefix: &str| target.starts_with(prefix);
    if is("datasoup::proto::ice") || is("datasoup::proto::stun") || is("stun_") {
        "ice"
    } else if is("datasoup::proto::dtls") || is("dimpl") {
        "dtls"
    } else if is("datasoup::proto::sctp") || is(ENGINE_LOG_TARGET) {
        "sctp"
    } else if is("datasoup::proto::dcep") {
        "message"
    } else {
        "info"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        take(|level, text| lines.push((level, text)));
        lines
    }

    #[test]
    fn a_worker_logs_what_its_level_and_tags_ask_for() {
        attach(LogLevel::Warn, Vec::new());
        log::warn!(target: "dimpl", "not asked for");
        log::error!(target: "dimpl", "an error");
        assert_eq!(lines(), [("error", "dtls: an error".to_owned())]);

        update(LogSettings { log_level: None, log_tags: Some(vec!["dtls".into()]) });
        log::warn!(target: "dimpl", "asked for");
        log::warn!(target: ENGINE_LOG_TARGET, "not asked for");
        log::debug!(target: "dimpl", "too much");
        assert_eq!(lines(), [("warn", "dtls: asked for".to_owned())]);

        update(LogSettings { log_level: Some(LogLevel::None), log_tags: None });
        log::error!(target: "dimpl", "silence");
        assert!(lines().is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_two_characters() {
        attach(LogLevel::Error, Vec::new());
        log::error!("{}", "ä".repeat(60_000));
        let (_, line) = &lines()[0];
        assert!(line.ends_with("ä…") && line.len() <= MAX_LINE + 3, "{}", line.len());
    }

    #[test]
    fn lines_over_the_bound_of_a_turn_are_counted_in_one_line() {
        attach(LogLevel::Error, Vec::new());
        (0..LINES_PER_TURN + 5).for_each(|n| log::error!("line {n}"));
        let lines = lines();
        assert_eq!(lines.len(), LINES_PER_TURN + 1);
        assert!(lines[LINES_PER_TURN].1.starts_with("5 more"));
    }
}
