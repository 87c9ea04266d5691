//! What comes too early: datagrams of a client that starts the handshake before our role is known, and data of a peer
//! whose last handshake messages are late or lost.

use super::record;

const MAX_DATAGRAMS: usize = 8;
const MAX_BYTES: usize = 16 * 1024;

/// First datagrams for the start of the handshake, then records for its end. The former are taken before the latter
/// come, so the bounds apply to each.
#[derive(Debug, Default)]
pub(super) struct EarlyDatagrams(Vec<Box<[u8]>>);

impl EarlyDatagrams {
    /// Keeps a datagram until the handshake begins. A client without an answer retransmits its datagrams with only the
    /// record numbers changed, so each message is kept once. Returns false if the datagram is dropped, because it is
    /// not part of a handshake, is kept already or exceeds a bound.
    pub(super) fn keep(&mut self, datagram: &[u8]) -> bool {
        let Some(message) = record::handshake_message(datagram) else { return false };
        !self.0.iter().any(|kept| record::handshake_message(kept) == Some(message))
            && self.push(datagram)
    }

    /// Keeps a sealed record until the handshake has ended, because the keys are not known before. Returns how many
    /// records are dropped because of a bound. The peer's first records matter most, so later ones are dropped. But if
    /// the sender is not proved, the oldest make room, so that a few forged records do not keep out the others.
    pub(super) fn keep_data(&mut self, record: &[u8], is_proved: bool) -> u64 {
        let mut dropped = 0;
        while !self.push(record) {
            dropped += 1;
            if is_proved || self.0.is_empty() {
                return dropped;
            }
            self.0.remove(0);
        }
        dropped
    }

    fn push(&mut self, bytes: &[u8]) -> bool {
        let sum: usize = self.0.iter().map(|kept| kept.len()).sum();
        let fits = self.0.len() < MAX_DATAGRAMS && sum + bytes.len() <= MAX_BYTES;
        if fits {
            self.0.push(bytes.into());
        }
        fits
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
