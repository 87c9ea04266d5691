//! FORWARD-TSN (RFC 3758 §3.5): asks the peer to skip abandoned chunks, and repeats that until it has.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::super::wire::{Header, Writer, before, kind};
use super::scoreboard::Scoreboard;
use crate::proto::message::StreamId;

/// While the peer leaves more chunks than this unskipped, it is asked once a round trip, and not whenever one more is
/// abandoned: each request walks all of them.
const MAX_PROMPT: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Forward {
    last: Option<ForwardRequest>,
    is_due: bool,
}

/// The last request.
#[derive(Debug, Clone, Copy)]
struct ForwardRequest {
    at: Instant,
    /// The last TSN that was abandoned by then, and the one that the request asked the peer to skip to. The latter is
    /// lower if the chunk had no room for the streams of all.
    point: u32,
    named: u32,
}

impl Forward {
    /// Makes another request due if the last one is at least `after` ago. Call it when an acknowledgement comes, and
    /// when the probe or the timeout is due.
    pub(super) fn repeat(&mut self, now: Instant, after: Duration) {
        if let Some(last) = self.last {
            self.is_due |= now.saturating_duration_since(last.at) >= after;
        }
    }

    /// The packet that is due. Call this before asking the ring for its highest sent TSN.
    pub(super) fn take(
        &mut self,
        now: Instant,
        header: Header,
        max: usize,
        board: &mut Scoreboard,
    ) -> Option<Bytes> {
        let count = board.abandoned();
        if count == 0 {
            self.last = None;
            self.is_due = false;
            return None;
        }
        let point = board.tsn(count - 1);
        let is_new = self.last.is_none_or(|last| {
            let is_skipped = !before(board.cumulative(), last.named);
            is_skipped || (before(last.point, point) && count <= MAX_PROMPT)
        });
        if !is_new && !self.is_due {
            return None;
        }
        self.is_due = false;
        let (named, value) = write(point, max, board);
        self.last = Some(ForwardRequest { at: now, point, named });
        if let Some(position) = board.position(named) {
            board.advance_sent(position + 1);
        }
        let mut writer = Writer::new(header, 32 + value.len());
        writer.chunk(kind::FORWARD_TSN, 0, &[&value]);
        Some(writer.finish())
    }
}

/// The value of the chunk: the new cumulative TSN, and for each ordered stream the last number that is skipped. If not
/// all streams fit, it skips fewer TSNs.
fn write(point: u32, max: usize, board: &Scoreboard) -> (u32, Vec<u8>) {
    let room = max.saturating_sub(12 + 4 + 4) / 4;
    let mut streams: FxHashMap<StreamId, u16> = FxHashMap::default();
    let mut named = board.cumulative();
    for entry in board.entries() {
        if named == point {
            break;
        }
        let chunk = &entry.chunk;
        if chunk.is_ordered() {
            if streams.len() >= room && !streams.contains_key(&chunk.stream) {
                break;
            }
            streams.insert(chunk.stream, chunk.sequence);
        }
        named = named.wrapping_add(1);
    }
    let mut value = named.to_be_bytes().to_vec();
    for (stream, sequence) in streams {
        value.extend_from_slice(&stream.to_be_bytes());
        value.extend_from_slice(&sequence.to_be_bytes());
    }
    (named, value)
}

#[cfg(test)]
mod tests {
    use super::super::SendLimit;
    use super::super::scoreboard::StoredChunk;
    use super::super::testing::{Bench, Sent, ms};
    use super::*;

    fn skips(sent: &[(Duration, Sent)]) -> Vec<u64> {
        let skips = sent.iter().filter(|(_, packet)| packet.skips_to == Some(1));
        skips.map(|(after, _)| after.as_millis() as u64).collect()
    }

    #[test]
    fn it_is_repeated_as_a_probe_and_after_timeouts_until_the_peer_has_skipped() {
        let mut bench = Bench::new(ms(50));
        bench.write(1000, Some(SendLimit::Deadline(bench.now + ms(10))));
        bench.send();
        let sent = bench.pass(ms(700));
        let times = skips(&sent);
        // The peer may delay its acknowledgement by 200 ms.
        assert_eq!(times, [10, 310, 660]);
        // An acknowledgement that does not skip leads to another request, but no sooner than a round trip after the
        // last one.
        assert!(bench.sack(0, &[], &[]).is_empty());
        bench.now += ms(51);
        assert_eq!(bench.sack(0, &[], &[])[0].skips_to, Some(1));
        bench.sack(1, &[], &[]);
        assert!(skips(&bench.pass(ms(10_000))).is_empty());
    }

    #[test]
    fn a_peer_that_skips_nothing_is_not_asked_for_each_message_that_is_abandoned() {
        let mut bench = Bench::new(ms(50));
        for message in 0..600 {
            bench.write(10, Some(SendLimit::Deadline(bench.now + ms(10 + message))));
        }
        bench.send();
        let sent = bench.pass(ms(700));
        let requests = sent.iter().filter(|(_, packet)| packet.skips_to.is_some()).count();
        assert!((200..300).contains(&requests), "{requests} for 600 messages");
        // Once the peer has skipped some messages, it is asked to skip the others.
        let skips = bench.sack(400, &[], &[]).into_iter().find_map(|packet| packet.skips_to);
        assert_eq!(skips, Some(600));
    }

    #[test]
    fn what_had_no_room_is_named_once_the_peer_has_skipped_the_rest() {
        let streams: Vec<_> = (0..400).map(|stream| (stream, 0, true)).collect();
        let (mut forward, mut board) = (Forward::default(), board(&streams));
        let header = Header { source_port: 5000, destination_port: 5001, tag: 9 };
        let now = crate::proto::sctp::testing::start();
        let mut takes = |board: &mut Scoreboard| forward.take(now, header, 1195, board).is_some();
        assert_eq!([0, 1, 2].map(|_| takes(&mut board)), [true, false, false]);
        (0..293).for_each(|_| drop(board.pop()));
        assert_eq!([0, 1, 2].map(|_| takes(&mut board)), [true, false, false]);
    }

    /// Abandoned chunks: the stream, the sequence number, and whether it is ordered.
    fn board(chunks: &[(StreamId, u16, bool)]) -> Scoreboard {
        let mut board = Scoreboard::new(1);
        for &(stream, sequence, ordered) in chunks {
            let flags = if ordered { 3 } else { 7 };
            let payload = Bytes::from_static(b"x");
            let chunk = StoredChunk { payload, ppid: 51, stream, sequence, flags };
            let position = board.push(crate::proto::sctp::testing::start(), chunk, false);
            board.update(position, |entry| entry.abandoned = true);
        }
        board
    }

    fn streams(value: &[u8]) -> Vec<(u16, u16)> {
        let pair =
            |it: &[u8]| (u16::from_be_bytes([it[0], it[1]]), u16::from_be_bytes([it[2], it[3]]));
        let mut streams: Vec<_> = value[4..].chunks(4).map(pair).collect();
        streams.sort_unstable();
        streams
    }

    #[test]
    fn it_names_the_last_number_of_each_ordered_stream_and_no_unordered_one() {
        let board = board(&[(7, 3, true), (9, 0, false), (2, 5, true), (7, 4, true)]);
        let (named, value) = write(4, 1195, &board);
        assert_eq!((named, &value[..4]), (4, &4u32.to_be_bytes()[..]));
        assert_eq!(streams(&value), [(2, 5), (7, 4)]);
    }

    #[test]
    fn it_skips_less_if_there_is_no_room_for_all_streams() {
        let board = board(&[(1, 0, true), (2, 0, true), (1, 1, true), (3, 0, true), (4, 0, true)]);
        let (named, value) = write(5, 12 + 4 + 4 + 2 * 4, &board);
        assert_eq!((named, streams(&value)), (3, vec![(1, 1), (2, 0)]));
    }
}
