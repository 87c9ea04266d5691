//! The rows of `tests/common/rows.rs` as a table: medians of seeds 1 to 5 (or to `--seeds=N`), in virtual time.

use std::process::ExitCode;

use crate::common::flows::Kind;
use crate::common::rows::{Bound, Figure, Flow, ROWS, Row};

/// Prints the rows whose names contain the second argument, or all. Fails if a figure is out of its bound.
pub(crate) fn run() -> ExitCode {
    let (options, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|it| it.starts_with("--"));
    let seeds = options.iter().find_map(|it| it.strip_prefix("--seeds=")?.parse().ok());
    let wanted = words.get(1).map_or("", String::as_str);
    println!("| path | bound | measured |");
    println!("| --- | --- | --- |");
    let mut all_hold = true;
    for row in ROWS.iter().filter(|row| row.name.contains(wanted)) {
        all_hold &= print(row, seeds.unwrap_or(5));
    }
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a row. Returns whether its figures are within their bounds.
fn print(row: &Row, seeds: u64) -> bool {
    let mut holds = true;
    let mut measured = Vec::new();
    for flows in row.cases() {
        let medians = row.medians(flows, 1..=seeds);
        holds &= row.figures.iter().zip(&medians).all(|(figure, it)| figure.bound.holds(*it));
        let values: Vec<String> = medians.into_iter().map(number).collect();
        let values = values.join(" / ");
        let flows: Vec<String> = flows.iter().map(flow).collect();
        measured.push(match &flows[..] {
            [first, .., last] if first == last => format!("{} × {first}: {values}", flows.len()),
            _ => format!("{}: {values}", flows.join(" beside ")),
        });
    }
    let bound = |figure: &Figure| format!("{} {}", figure.what, bound(figure.bound));
    let bounds: Vec<String> = row.figures.iter().map(bound).collect();
    let verdict = if holds { "" } else { " ✗" };
    println!("| {} | {} | {}{verdict} |", row.name, bounds.join(", "), measured.join("; "));
    holds
}

fn flow((sender, receiver): &Flow) -> String {
    format!("{} → {}", name(*sender), name(*receiver))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::CUBIC => "CUBIC",
        Kind::NEW_RENO => "NewReno",
        Kind::BBR => "BBR",
        Kind::DcSctp => "dcSCTP",
    }
}

fn bound(bound: Bound) -> String {
    match bound {
        Bound::AtLeast(it) => format!("≥ {}", number(it)),
        Bound::AtMost(it) => format!("≤ {}", number(it)),
    }
}

fn number(value: f64) -> String {
    match value {
        _ if value >= 20.0 => format!("{value:.0}"),
        _ if value >= 5.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
