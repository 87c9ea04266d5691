//! The time of a handshake, and of sealing and opening records.

use std::time::{Duration, Instant};

use datasoup::proto::dtls::{DtlsState, warm_up};

use crate::common::sim::start as clock;
use crate::harness::{acquainted, connected};

fn each(what: &str, count: u32, since: Instant) {
    println!("{what}: {} ns", (clock() - since).as_nanos() / u128::from(count));
}

/// Prints a line with the time of each step.
pub(crate) fn run() {
    const COUNT: u32 = 50_000;
    for _ in 0..2 {
        let start = clock();
        warm_up();
        each("warm_up()", 1, start);
    }

    let start = clock();
    for _ in 0..100 {
        let mut pair = acquainted();
        pair.run_for(Duration::from_millis(100));
        assert!(pair.a.is(DtlsState::Connected));
    }
    each("two certificates and a handshake, both sides", 100, start);

    for len in [100, 1200] {
        let content = vec![7; len];
        let mut pair = connected();
        let mut out = Vec::with_capacity(2048);
        let start = clock();
        for _ in 0..COUNT {
            out.clear();
            pair.a.dtls.seal(&content, &mut out).expect("a record");
        }
        each(&format!("seal {len} bytes"), COUNT, start);

        let records: Vec<Vec<u8>> = (0..COUNT).map(|_| pair.a.seal(&content)).collect();
        let start = clock();
        for record in &records {
            pair.b.dtls.handle_datagram(pair.now, record);
            let event = pair.b.dtls.poll_event();
            assert!(event.is_some());
        }
        each(&format!("open {len} bytes"), COUNT, start);
        pair.b.drain_events();
    }
}
