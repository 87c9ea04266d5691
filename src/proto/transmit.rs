//! The datagrams to send, written back to back into one reused buffer.

use std::ops::Range;

use super::net::Tuple;

/// The largest UDP payload that we send. With its headers it fits IPv6's minimum MTU of 1,280 bytes
/// (RFC 8200 §5), so it crosses every path without fragmentation.
pub const MAX_UDP_PAYLOAD: usize = 1232;

/// Memory that is always kept between turns: 850 full datagrams. What a turn needs beyond that is freed after a turn
/// that needs less than a quarter of it.
const KEPT_BYTES: usize = 1 << 20;
const KEPT_DATAGRAMS: usize = KEPT_BYTES / 64;

/// A datagram in the buffer of [`Transmits`].
#[derive(Debug)]
struct Slot {
    tuple: Tuple,
    range: Range<usize>,
}

/// The datagrams of one turn. Their memory is cleared between turns, not freed, so that most turns allocate
/// nothing.
#[derive(Debug, Default)]
pub struct Transmits {
    bytes: Vec<u8>,
    datagrams: Vec<Slot>,
}

impl Transmits {
    /// Adds a datagram.
    pub fn push(&mut self, tuple: Tuple, datagram: &[u8]) {
        self.push_with(tuple, |bytes| bytes.extend_from_slice(datagram));
    }

    /// Adds a datagram that `write` appends to the buffer. If it appends nothing, none is added.
    pub fn push_with(&mut self, tuple: Tuple, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        debug_assert!(self.bytes.len() >= start, "push_with only appends");
        if self.bytes.len() > start {
            self.datagrams.push(Slot { tuple, range: start..self.bytes.len() });
        }
    }

    /// Returns the datagrams in the order of the pushes.
    pub fn iter(&self) -> impl Iterator<Item = (Tuple, &[u8])> {
        self.datagrams.iter().map(|d| (d.tuple, &self.bytes[d.range.clone()]))
    }

    /// The tuple and the bytes of the datagram at `index`.
    pub fn get(&self, index: usize) -> Option<(Tuple, &[u8])> {
        self.datagrams.get(index).map(|d| (d.tuple, &self.bytes[d.range.clone()]))
    }

    /// The bytes of these datagrams, back to back. Panics if the range is out of bounds.
    pub fn contents(&self, indices: Range<usize>) -> &[u8] {
        let datagrams = &self.datagrams[indices];
        match (datagrams.first(), datagrams.last()) {
            (Some(first), Some(last)) => &self.bytes[first.range.start..last.range.end],
            _ => &[],
        }
    }

    /// The number of datagrams.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there are no datagrams.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// The size of all datagrams in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Removes the datagrams and keeps the memory, unless it is far more than was needed.
    pub fn clear(&mut self) {
        clear(&mut self.bytes, KEPT_BYTES);
        clear(&mut self.datagrams, KEPT_DATAGRAMS);
    }
}

fn clear<T>(vec: &mut Vec<T>, kept: usize) {
    let needed = vec.len();
    vec.clear();
    if needed < vec.capacity() / 4 {
        vec.shrink_to(kept.max(2 * needed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::net::SocketId;

    const TUPLE: Tuple = Tuple::new(
        SocketId(1),
        std::net::SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 5000)),
    );

    fn transmits(sizes: impl IntoIterator<Item = usize>) -> Transmits {
        let mut transmits = Transmits::default();
        for size in sizes {
            transmits.push(TUPLE, &vec![0; size]);
        }
        transmits
    }

    #[test]
    fn the_memory_of_a_large_turn_is_freed_after_a_small_one() {
        let mut transmits = transmits(std::iter::repeat_n(1200, 5000));
        transmits.clear();
        assert!(transmits.bytes.capacity() >= 5000 * 1200, "the next turn may need it, too");
        transmits.push(TUPLE, &[0; 100]);
        transmits.clear();
        assert_eq!(transmits.bytes.capacity(), KEPT_BYTES);
        transmits.push(TUPLE, &[0; 100]);
        transmits.clear();
        assert_eq!(transmits.bytes.capacity(), KEPT_BYTES);
    }
}
