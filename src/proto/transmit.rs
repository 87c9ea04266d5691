//! Datagrams on their way out, written one behind the other into one reused buffer.

use std::net::SocketAddr;
use std::ops::Range;

use super::net::Tuple;

/// What one call of generic segmentation offload may carry: the kernel takes the whole run for one
/// UDP payload before it cuts it up, and refuses what does not fit an IPv4 packet (65,535 bytes
/// with 28 of headers).
const MAX_RUN_BYTES: usize = 65_507;

/// Memory that is kept between turns, whatever they need: 850 full datagrams. What one turn needs beyond that
/// is given back when another needs less than a quarter of it.
const KEPT_BYTES: usize = 1 << 20;
const KEPT_DATAGRAMS: usize = KEPT_BYTES / 64;

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
    /// segmentation offload sends in one call; at most `max` datagrams of 65,507 bytes together.
    pub fn run(&self, index: usize, max: usize) -> Option<(Tuple, usize, &[u8], usize)> {
        let first = self.datagrams.get(index)?;
        let size = first.range.len();
        let mut end = first.range.end;
        let mut count = 1;
        for next in self.datagrams[index + 1..].iter().take(max.saturating_sub(1)) {
            let len = next.range.len();
            let fits = next.range.end - first.range.start <= MAX_RUN_BYTES;
            if next.tuple != first.tuple || len > size || !fits {
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

    /// From `index` on: datagrams of the same socket that are no part of a longer [`Self::run`], with
    /// their destinations.
    pub fn singles(&self, index: usize) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let socket = self.get(index).map(|(tuple, _)| tuple.socket);
        (index..).map_while(move |at| match self.run(at, 2)? {
            (tuple, _, datagram, 1) if Some(tuple.socket) == socket => {
                Some((tuple.remote, datagram))
            }
            _ => None,
        })
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

    /// Forgets the datagrams and keeps the memory, unless it is far more than was needed.
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

    const TUPLE: Tuple = Tuple {
        socket: SocketId(1),
        remote: SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 5000)),
    };

    fn transmits(sizes: impl IntoIterator<Item = usize>) -> Transmits {
        let mut transmits = Transmits::default();
        for size in sizes {
            transmits.push(TUPLE, &vec![0; size]);
        }
        transmits
    }

    fn run(transmits: &Transmits, index: usize, max: usize) -> Option<(usize, usize)> {
        transmits.run(index, max).map(|(_, _, contents, count)| (count, contents.len()))
    }

    #[test]
    fn a_run_ends_with_the_first_smaller_datagram_and_before_a_larger_one() {
        let transmits = transmits([100, 100, 40, 100, 120]);
        assert_eq!(run(&transmits, 0, 64), Some((3, 240)));
        assert_eq!(run(&transmits, 3, 64), Some((1, 100)));
        assert_eq!(run(&transmits, 0, 2), Some((2, 200)));
        assert_eq!(run(&transmits, 5, 64), None);
    }

    #[test]
    fn singles_end_before_a_run_and_before_another_socket() {
        let to = |socket, port| Tuple {
            socket: SocketId(socket),
            remote: SocketAddr::new(TUPLE.remote.ip(), port),
        };
        let mut transmits = Transmits::default();
        for (tuple, size) in [
            (to(1, 1), 9),
            (to(1, 2), 9),
            (to(1, 3), 9),
            (to(1, 3), 8),
            (to(2, 4), 9),
            (to(1, 5), 9),
        ] {
            transmits.push(tuple, &vec![0; size]);
        }
        let ports = |index| transmits.singles(index).map(|(to, _)| to.port()).collect::<Vec<_>>();
        assert_eq!(ports(0), [1, 2]);
        assert_eq!(ports(2), [0; 0]);
        assert_eq!(ports(4), [4]);
        assert_eq!(ports(6), [0; 0]);
    }

    #[test]
    fn what_one_large_turn_needed_is_given_back_after_a_small_one() {
        let mut transmits = transmits(std::iter::repeat_n(1200, 5000));
        transmits.clear();
        assert!(transmits.bytes.capacity() >= 5000 * 1200, "the next turn may need it as well");
        transmits.push(TUPLE, &[0; 100]);
        transmits.clear();
        assert_eq!(transmits.bytes.capacity(), KEPT_BYTES);
        transmits.push(TUPLE, &[0; 100]);
        transmits.clear();
        assert_eq!(transmits.bytes.capacity(), KEPT_BYTES);
    }

    #[test]
    fn a_run_is_no_longer_than_the_largest_udp_payload() {
        let transmits = transmits(std::iter::repeat_n(1052, 100));
        assert_eq!(run(&transmits, 0, 64), Some((62, 62 * 1052)));
        assert_eq!(run(&transmits, 62, 64), Some((38, 38 * 1052)));
    }
}
