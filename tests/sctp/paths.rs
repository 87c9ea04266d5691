//! What transmission control achieves on paths with delay, loss or reordering: the rows of `common/rows.rs`, with the
//! medians of five seeds where chance decides, as `npm run bench:layers -- paths` takes them.

use crate::rows::{ROWS, Row};

/// Checks the bounds of a row.
fn holds(row: &Row) {
    for flows in row.cases() {
        let values = row.medians(flows, 1..=row.enough_seeds());
        for (figure, value) in row.figures.iter().zip(values) {
            let Row { name, .. } = row;
            assert!(figure.bound.holds(value), "{name}, {flows:?}: {value} {figure:?}");
        }
    }
}

/// A test for each row.
macro_rules! hold {
    ($($(#[$attribute:meta])* $test:ident: $row:literal;)*) => {
        const TESTED: &[&str] = &[$($row),*];

        $(
            #[test]
            $(#[$attribute])*
            fn $test() {
                holds(ROWS.iter().find(|row| row.name == $row).expect("a row"));
            }
        )*
    };
}

#[test]
fn every_row_has_a_test() {
    let rows: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(rows, TESTED);
}

hold! {
    bulk_at_50_ms: "50 ms, down";
    bulk_from_dcsctp_at_50_ms: "50 ms, up";
    bulk_at_200_ms: "200 ms";
    bulk_with_loss: "50 ms, 1 % lost";
    bulk_with_loss_and_bbr: "50 ms, 1 % lost, BBR";
    bulk_with_late_packets_at_20_ms: "20 ms, 10 % late";
    bulk_with_late_packets_at_50_ms: "50 ms, 10 % late";
    bulk_with_late_packets_at_100_ms: "100 ms, 10 % late";
    bulk_from_dcsctp_with_later_packets_at_50_ms: "50 ms, 10 % later, up";
    bulk_from_dcsctp_with_later_packets_at_100_ms: "100 ms, 10 % later, up";
    a_thin_stream_with_loss_at_50_ms: "50 ms, 5 % lost, 100 B every 20 ms";
    a_thin_stream_with_loss_at_100_ms: "100 ms, 5 % lost, 100 B every 20 ms";
    rare_messages_with_loss: "50 ms, 5 % lost, 100 B every 400 ms";
    a_lost_tail: "50 ms, the last 64 KiB of 256 lost";
    lifetimes_at_20_ms: "20 ms, lifetime 100 ms";
    lifetimes_at_50_ms: "50 ms, lifetime 100 ms";
    lifetimes_at_100_ms: "100 ms, lifetime 100 ms";
    lifetimes_at_200_ms: "200 ms, lifetime 100 ms";
    bursts_on_a_slow_path: "40 ms, 10 Mbit/s, bursts of 256 KiB";
    two_of_ours_share: "50 ms, two of ours";
    ours_and_newreno_share: "50 ms, ours beside NewReno";
    ours_and_dcsctp_share: "50 ms, ours beside dcSCTP";
    eight_of_ours_with_bbr_drop_little: "50 ms, 8 of ours, BBR";
    eight_of_ours_drop_little: "50 ms, 8 of ours";
}
