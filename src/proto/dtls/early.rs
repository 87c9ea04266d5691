//! Datagrams of a client that starts the handshake before our role is known.

use super::record;

const MAX_DATAGRAMS: usize = 8;
const MAX_BYTES: usize = 16 * 1024;

/// The first datagrams of a handshake. A client without an answer retransmits them with only the record numbers changed,
/// so each message is kept once.
#[derive(Debug, Default)]
pub(super) struct EarlyDatagrams(Vec<Box<[u8]>>);

impl EarlyDatagrams {
    /// Keeps a datagram. Returns false if the datagram is dropped, because it is not part of a handshake, is
    /// kept already or exceeds a bound.
    pub(super) fn keep(&mut self, datagram: &[u8]) -> bool {
        let Some(message) = record::handshake_message(datagram) else { return false };
        let bytes: usize = self.0.iter().map(|kept| kept.len()).sum();
        let kept = self.0.len() < MAX_DATAGRAMS
            && bytes + datagram.len() <= MAX_BYTES
            && !self.0.iter().any(|kept| record::handshake_message(kept) == Some(message));
        if kept {
            self.0.push(datagram.into());
        }
        kept
    }

    pub(super) fn take(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_datagrams_are_bounded_by_their_bytes() {
        let mut early = EarlyDatagrams::default();
        // The header of a handshake record of epoch 0, and a body of `fill`.
        let datagram = |fill: u8| {
            let mut datagram = vec![fill; MAX_BYTES / 2];
            datagram[..11].copy_from_slice(&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0]);
            datagram
        };
        assert_eq!([1, 2, 3].map(|fill| early.keep(&datagram(fill))), [true, true, false]);
        assert_eq!(early.take().len(), 2);
    }
}
