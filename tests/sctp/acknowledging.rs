//! Our SACKs, as a peer sees them.

use std::time::Duration;

use datasoup::proto::sctp::SctpState;

use crate::peers::config;
use crate::puppet::*;

const MS: Duration = Duration::from_millis(1);

fn sacks(seen: &[Seen]) -> Vec<&Seen> {
    seen.iter().filter(|chunk| chunk.kind == SACK).collect()
}

fn u16_in(sack: &Seen, at: usize) -> u16 {
    u16::from_be_bytes([sack.value[at], sack.value[at + 1]])
}

#[test]
fn a_hole_that_has_closed_is_not_reported_any_more_and_what_closed_it_counts_as_arrived() {
    let mut stage = Stage::new(config());
    let (first, second) = (stage.next_tsn(), stage.next_tsn());
    let late = data(WHOLE | UNORDERED, first, 1, 0, 51, b"late");
    let mut sent = stage.send(&[data(WHOLE | UNORDERED, second, 1, 0, 51, b"early")]);
    sent.extend(stage.pass(5 * MS));
    sent.extend(stage.send(std::slice::from_ref(&late)));
    sent.extend(stage.pass(400 * MS));
    assert_eq!(stage.messages().len(), 2);
    let sacks = sacks(&sent);
    assert!(sacks.iter().all(|sack| u16_in(sack, 8) == 0), "no gap blocks: {sacks:?}");
    assert_eq!(sacks.last().map(|sack| sack.tsn()), Some(second), "{sacks:?}");
    sent = stage.send(&[late]);
    sent.extend(stage.pass(400 * MS));
    let duplicates: u16 = self::sacks(&sent).iter().map(|sack| u16_in(sack, 10)).sum();
    assert_eq!(duplicates, 1, "{sent:?}");
}

#[test]
fn chunks_that_come_while_a_hole_is_young_are_counted() {
    let mut stage = Stage::new(config());
    stage.next_tsn();
    let start = data(FIRST, stage.puppet.tsn.wrapping_sub(1), 1, 0, 53, b"x");
    stage.send(&[start]);
    let mut sent = 1;
    for round in 0..120 {
        let missing = stage.next_tsn();
        let beyond = data(MIDDLE, stage.next_tsn(), 1, 0, 53, b"x");
        stage.send(&[beyond]);
        let mut chunks = vec![data(MIDDLE, missing, 1, 0, 53, b"x")];
        chunks.extend((0..60).map(|_| data(MIDDLE, stage.next_tsn(), 1, 0, 53, b"x")));
        stage.send(&chunks);
        if round % 20 == 19 {
            // It is acknowledged at once, so the hole is known to have closed young.
            let next = data(MIDDLE, stage.next_tsn(), 1, 0, 53, b"x");
            stage.send(&[next]);
        }
        stage.pass(40 * MS);
        sent += 62 + usize::from(round % 20 == 19);
        if stage.sctp.state() == SctpState::Closed {
            break;
        }
    }
    assert!((4096..4200).contains(&sent), "{sent} chunks of a message that never ends");
}

#[test]
fn a_window_that_opens_acknowledges_no_chunk_that_found_it_shut() {
    let mut stage = Stage::new(config());
    stage.sctp.stop_stream(1);
    let window = |sent: &[Seen]| {
        sacks(sent).last().map(|sack| u32::from(u16_in(sack, 4)) << 16 | u32::from(u16_in(sack, 6)))
    };
    let mut shut = false;
    let mut ssn = 0..;
    let mut chunk = |stage: &mut Stage| {
        data(WHOLE, stage.next_tsn(), 1, ssn.next().expect("few"), 53, &[0; 1100])
    };
    for _ in 0..4000 {
        let next = chunk(&mut stage);
        let sent = stage.send(&[next]);
        assert_eq!(stage.messages().len(), 0);
        if window(&sent) == Some(0) {
            shut = true;
            break;
        }
    }
    assert!(shut, "the window never shut");
    // A probe of the window, as a sender that knows it shut sends it.
    let probe = chunk(&mut stage);
    let sent = stage.send(&[probe]);
    assert!(sacks(&sent).is_empty(), "its answer waits: {sent:?}");
    let acknowledged = |sent: &[Seen]| sacks(sent).last().map(|sack| sack.tsn());
    stage.sctp.resume_stream(1);
    let mut taken = stage.messages().len() as u32;
    let sent = stage.drain();
    taken += stage.messages().len() as u32;
    let announced = acknowledged(&sent).expect("the window has opened");
    assert!(announced.wrapping_sub(FIRST_TSN - 1) <= taken, "{announced} after {taken} messages");
}
