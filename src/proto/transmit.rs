//! Datagrams on their way out, written one behind the other into one reused buffer.

use std::net::SocketAddr;
use std::ops::Range;

/// A local socket, as the runtime numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// A path between us and a peer: our socket and its address. For TCP the socket is the listening
/// one; the remote address then tells its connections apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Our side.
    pub socket: SocketId,
    /// The peer's side.
    pub remote: SocketAddr,
}

/// One datagram inside [`Transmits`].
#[derive(Debug, Clone)]
pub struct Datagram {
    /// Where it leaves and where it goes.
    pub tuple: Tuple,
    range: Range<usize>,
}

/// The datagrams of one turn. Cleared, not freed, between turns.
#[derive(Debug, Default)]
pub struct Transmits {
    bytes: Vec<u8>,
    datagrams: Vec<Datagram>,
}

impl Transmits {
    /// Adds a datagram.
    pub fn push(&mut self, tuple: Tuple, datagram: &[u8]) {
        self.push_with(tuple, |bytes| bytes.extend_from_slice(datagram));
    }

    /// Adds a datagram that `write` appends to the buffer in place. Appending nothing adds none.
    pub fn push_with(&mut self, tuple: Tuple, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        debug_assert!(self.bytes.len() >= start, "push_with only appends");
        if self.bytes.len() > start {
            self.datagrams.push(Datagram { tuple, range: start..self.bytes.len() });
        }
    }

    /// The datagrams, in the order in which they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = (Tuple, &[u8])> {
        self.datagrams.iter().map(|d| (d.tuple, &self.bytes[d.range.clone()]))
    }

    /// The `index`-th datagram's path and bytes.
    pub fn get(&self, index: usize) -> Option<(Tuple, &[u8])> {
        self.datagrams.get(index).map(|d| (d.tuple, &self.bytes[d.range.clone()]))
    }

    /// Of `index` and the datagrams after it: how many go over the same path with the same size
    /// (the last may be smaller), and their bytes, which lie one behind the other. What generic
    /// segmentation offload sends in one call; at most `max` datagrams.
    pub fn run(&self, index: usize, max: usize) -> Option<(Tuple, usize, &[u8], usize)> {
        let first = self.datagrams.get(index)?;
        let size = first.range.len();
        let mut end = first.range.end;
        let mut count = 1;
        for next in self.datagrams[index + 1..].iter().take(max.saturating_sub(1)) {
            let len = next.range.len();
            if next.tuple != first.tuple || len > size {
                break;
            }
            end = next.range.end;
            count += 1;
            if len < size {
                break;
            }
        }
        Some((first.tuple, size, &self.bytes[first.range.start..end], count))
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// All payload bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }
}
