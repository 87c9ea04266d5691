//! Thin streams: while little is in flight, a packet repeats small unacknowledged chunks before it, so that the next
//! packet repairs the loss of one, instead of a retransmission a round trip later (redundant data bundling, Evensen et
//! al. 2009). It is used on paths with a noticeable round trip, and stops as soon as there is more to send.

use std::time::{Duration, Instant};

use super::super::wire::COMMON_HEADER;
use super::lifetimes::Lifetimes;
use super::rtt::Rtt;
use super::scoreboard::{ChunkProgress, Scoreboard};

/// The most chunks that a packet repeats.
const MAX_COPIES: usize = 3;

/// How far a packet looks back for them: a peer that leaves one chunk unacknowledged makes the ring long.
const MAX_LOOK_BACK: usize = 16;

/// The largest payload that is repeated.
const MAX_LEN: u16 = 300;

/// A packet with copies is no larger than this.
const MAX_PACKET: usize = 700;

/// With more payload bytes in flight a stream is not thin.
const MAX_FLYING: usize = 4 * 1024;

/// On a faster path retransmissions are early enough.
const MIN_ROUND_TRIP: Duration = Duration::from_millis(5);

/// The positions of the chunks that a packet repeats, the newest first. The packet begins with the chunk at `begin`,
/// and has `len` bytes without them. `max`: the largest packet.
pub(super) fn copies(
    now: Instant,
    board: &Scoreboard,
    lifetimes: &Lifetimes,
    rtt: &Rtt,
    begin: usize,
    len: usize,
    max: usize,
) -> [Option<usize>; MAX_COPIES] {
    let mut copies = [None; MAX_COPIES];
    let is_far = rtt.smoothed().is_some_and(|it| it >= MIN_ROUND_TRIP);
    if !is_far
        || board.totals().flying > MAX_FLYING
        || len > COMMON_HEADER + 16 + 4 + usize::from(MAX_LEN)
    {
        return copies;
    }
    let mut len = len;
    let mut found = 0;
    for position in (0..begin).rev().take(MAX_LOOK_BACK) {
        let Some(entry) = board.get(position).filter(|entry| entry.len <= MAX_LEN) else { break };
        if entry.progress != ChunkProgress::Flying || entry.abandoned {
            continue;
        }
        len += entry.chunk.padded_len();
        let allowed = lifetimes.allows(now, board.tsn(position), entry.transmissions());
        if len > MAX_PACKET.min(max) || !allowed {
            break;
        }
        let Some(copy) = copies.get_mut(found) else { break };
        *copy = Some(position);
        found += 1;
    }
    copies
}

#[cfg(test)]
mod tests {
    use super::super::SendLimit;
    use super::super::testing::{Bench, ms, tsns};
    use super::*;
    use crate::proto::sctp::CongestionControl;

    #[test]
    fn a_packet_with_copies_is_no_larger_than_packets_may_be() {
        for max_packet in [300, 1195] {
            let mut bench = Bench::with(CongestionControl::Cubic, max_packet, ms(50));
            let mut largest = 0;
            for _ in 0..4 {
                let sent = bench.write_and_send(1, 150);
                largest = sent.iter().fold(largest, |largest, packet| largest.max(packet.len));
                bench.now += ms(1);
            }
            assert!(largest <= max_packet.min(MAX_PACKET), "{largest} bytes");
        }
    }

    #[test]
    fn a_packet_looks_back_no_further_than_sixteen_chunks() {
        for (arrived, copied) in [(15, &[1, 17][..]), (16, &[18])] {
            let mut bench = Bench::new(ms(50));
            for _ in 0..=arrived {
                bench.write_and_send(1, 10);
            }
            (1..=arrived).for_each(|position| {
                bench
                    .control
                    .board
                    .update(position, |entry| entry.progress = ChunkProgress::Arrived);
            });
            assert_eq!(tsns(&bench.write_and_send(1, 10)), copied);
        }
    }

    /// Sends messages of this length, 1 ms apart. Returns the TSNs in the last packet.
    fn last(round_trip: Duration, count: usize, len: usize) -> Vec<u32> {
        let mut bench = Bench::new(round_trip);
        let mut sent = Vec::new();
        for _ in 0..count {
            sent = bench.write_and_send(1, len);
            bench.now += ms(1);
        }
        tsns(&sent)
    }

    #[test]
    fn a_packet_repeats_the_three_small_chunks_before_it() {
        assert_eq!(last(ms(50), 6, 100), [3, 4, 5, 6]);
        assert_eq!(last(ms(50), 3, 300), [2, 3], "no packet with copies has more than 700 bytes");
    }

    #[test]
    fn large_chunks_are_not_repeated_and_neither_is_anything_on_a_near_path() {
        assert_eq!(last(ms(50), 3, 301), [3]);
        assert_eq!(last(ms(4), 3, 100), [3]);
    }

    #[test]
    fn a_stream_with_more_than_a_little_in_flight_is_not_thin() {
        assert_eq!(last(ms(50), 7, 300), [6, 7]);
        assert_eq!(last(ms(50), 9, 300), [9]);
    }

    #[test]
    fn copies_count_as_in_flight_and_are_no_losses() {
        let mut bench = Bench::new(ms(50));
        for _ in 0..2 {
            bench.write_and_send(1, 100);
            bench.now += ms(1);
        }
        assert_eq!(bench.control.stats().bytes_in_flight, 300);
        assert_eq!(bench.control.stats().retransmitted.bundled.bytes, 100);
        bench.now += ms(50);
        // The peer reports the copy as a duplicate.
        bench.sack(2, &[], &[1]);
        let stats = bench.control.stats();
        assert_eq!((stats.bytes_in_flight, stats.spurious_retransmissions), (0, 0));
    }

    #[test]
    fn what_may_not_be_sent_again_is_not_repeated() {
        let mut bench = Bench::new(ms(50));
        let mut sent = Vec::new();
        for limit in [Some(SendLimit::Retransmits(0)), None] {
            bench.write(100, limit);
            sent = bench.send();
            bench.now += ms(1);
        }
        assert_eq!(tsns(&sent), [2]);
    }
}
