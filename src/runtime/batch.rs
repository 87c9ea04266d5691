//! Which datagrams of a turn leave with one system call.

use crate::proto::net::Tuple;
use crate::proto::transmit::Transmits;

/// The bytes of one call with segmentation offload: the kernel takes all of them for one UDP payload
/// before it cuts them up, and refuses what does not fit an IPv4 packet (65,535 bytes with 28 of
/// headers).
const MAX_BYTES: usize = 65_507;

/// The datagrams of one call.
#[derive(Debug)]
#[allow(missing_docs, reason = "described with their variant")]
pub enum Batch<'a> {
    /// One datagram.
    Single(Tuple, &'a [u8]),
    /// Datagrams to one peer, back to back in `contents` (generic segmentation offload). All have `size`
    /// bytes but the last, which may have less.
    Segments { to: Tuple, size: u16, contents: &'a [u8], count: usize },
    /// Datagrams to several peers (sendmmsg).
    Many(Vec<(Tuple, &'a [u8])>),
}

impl<'a> Batch<'a> {
    /// The batch that begins with the datagram at `index`, if there is one: as many as possible from
    /// the same socket, but at most `max_segments` to one peer or `max_datagrams` to several. A batch to
    /// several peers ends before a datagram that could lead segments to one peer.
    pub fn at(
        transmits: &'a Transmits,
        index: usize,
        max_segments: usize,
        max_datagrams: usize,
    ) -> Option<Self> {
        let (tuple, first) = transmits.get(index)?;
        let count = segments(transmits, index, max_segments);
        if count > 1
            && let Ok(size) = u16::try_from(first.len())
        {
            let contents = transmits.contents(index..index + count);
            return Some(Self::Segments { to: tuple, size, contents, count });
        }
        let mut many = Vec::new();
        for at in index + 1..index + max_datagrams {
            let Some((next, datagram)) = transmits.get(at) else { break };
            if next.socket != tuple.socket || segments(transmits, at, max_segments.min(2)) > 1 {
                break;
            }
            if many.is_empty() {
                many.reserve_exact(max_datagrams.min(transmits.len() - index));
                many.push((tuple, first));
            }
            many.push((next, datagram));
        }
        Some(if many.is_empty() { Self::Single(tuple, first) } else { Self::Many(many) })
    }
}

/// How many datagrams from `index` on, at most `max`, have the same path and size. The last one may be
/// smaller.
fn segments(transmits: &Transmits, index: usize, max: usize) -> usize {
    let Some((tuple, first)) = transmits.get(index) else { return 0 };
    let (size, mut bytes, mut count) = (first.len(), first.len(), 1);
    while count < max {
        let Some((next, datagram)) = transmits.get(index + count) else { break };
        bytes += datagram.len();
        if next != tuple || datagram.len() > size || bytes > MAX_BYTES {
            break;
        }
        count += 1;
        if datagram.len() < size {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

    use super::*;
    use crate::proto::net::SocketId;

    fn to(socket: u32, port: u16) -> Tuple {
        let remote = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        Tuple::new(SocketId(socket), remote)
    }

    fn transmits(datagrams: impl IntoIterator<Item = (Tuple, usize)>) -> Transmits {
        let mut transmits = Transmits::default();
        for (tuple, size) in datagrams {
            transmits.push(tuple, &vec![0; size]);
        }
        transmits
    }

    /// How many segments lead from `index`, and how many bytes they have.
    fn run(transmits: &Transmits, index: usize, max: usize) -> Option<(usize, usize)> {
        Batch::at(transmits, index, max, 1).map(|batch| match batch {
            Batch::Single(_, datagram) => (1, datagram.len()),
            Batch::Segments { contents, count, .. } => (count, contents.len()),
            Batch::Many(_) => panic!("more than one of one"),
        })
    }

    #[test]
    fn segments_end_with_the_first_smaller_datagram_and_before_a_larger_one() {
        let transmits = transmits([100, 100, 40, 100, 120].map(|size| (to(1, 5000), size)));
        assert_eq!(run(&transmits, 0, 64), Some((3, 240)));
        assert_eq!(run(&transmits, 3, 64), Some((1, 100)));
        assert_eq!(run(&transmits, 0, 2), Some((2, 200)));
        assert_eq!(run(&transmits, 5, 64), None);
    }

    #[test]
    fn segments_are_no_longer_than_the_largest_udp_payload() {
        let transmits = transmits(std::iter::repeat_n((to(1, 5000), 1052), 100));
        assert_eq!(run(&transmits, 0, 64), Some((62, 62 * 1052)));
        assert_eq!(run(&transmits, 62, 64), Some((38, 38 * 1052)));
    }

    #[test]
    fn datagrams_to_several_peers_end_before_segments_and_before_another_socket() {
        let transmits = transmits([
            (to(1, 1), 9),
            (to(1, 2), 9),
            (to(1, 3), 9),
            (to(1, 3), 8),
            (to(2, 4), 9),
            (to(1, 5), 9),
        ]);
        let ports = |index| match Batch::at(&transmits, index, 64, 64) {
            None => Vec::new(),
            Some(Batch::Single(to, _)) => vec![to.remote.port()],
            Some(Batch::Segments { to, count, .. }) => vec![to.remote.port(); count],
            Some(Batch::Many(many)) => many.iter().map(|(to, _)| to.remote.port()).collect(),
        };
        assert_eq!(ports(0), [1, 2]);
        assert_eq!(ports(2), [3, 3]);
        assert_eq!(ports(4), [4]);
        assert_eq!(ports(6), [0; 0]);
    }

    #[test]
    fn without_segmentation_offload_datagrams_to_one_peer_leave_together() {
        let transmits = transmits([to(1, 1), to(1, 1), to(1, 2), to(1, 2)].map(|it| (it, 9)));
        let count = |batch| matches!(batch, Some(Batch::Many(many)) if many.len() == 4);
        assert!(count(Batch::at(&transmits, 0, 1, 64)));
    }
}
