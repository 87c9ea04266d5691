//! FORWARD-TSN (RFC 3758 §3.5): asks the peer to skip what is abandoned, until it has.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::super::wire::{Header, Writer, before, kind};
use super::scoreboard::Scoreboard;
use crate::proto::message::StreamId;

#[derive(Debug, Default)]
pub(super) struct Forward {
    /// The TSN that the last chunk named, and when it was sent.
    last: Option<(u32, Instant)>,
    is_due: bool,
}

impl Forward {
    /// An acknowledgement came, or the timeout.
    pub(super) fn repeat(&mut self, now: Instant, after: Duration) {
        if let Some((_, at)) = self.last {
            self.is_due |= now.saturating_duration_since(at) >= after;
        }
    }

    /// The packet that is due. Call this before the ring is asked for its highest TSN that was sent.
    pub(super) fn take(
        &mut self,
        now: Instant,
        header: Header,
        max: usize,
        board: &mut Scoreboard,
    ) -> Option<Bytes> {
        let Some(point) = board.abandoned_up_to() else {
            self.last = None;
            self.is_due = false;
            return None;
        };
        let is_new = self.last.is_none_or(|(last, _)| before(last, point));
        if !is_new && !self.is_due {
            return None;
        }
        self.is_due = false;
        let (named, value) = write(point, max, board);
        self.last = Some((named, now));
        if let Some(position) = board.position(named) {
            board.advance_sent(position + 1);
        }
        let mut writer = Writer::new(header, 32 + value.len());
        writer.chunk(kind::FORWARD_TSN, 0, &[&value]);
        Some(writer.finish())
    }
}

/// The value of the chunk: the new cumulative TSN, and for each ordered stream the last number that is
/// skipped. If there is no room for all streams, it skips less.
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
