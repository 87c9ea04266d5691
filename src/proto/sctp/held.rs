//! How many DATA chunks sctp-proto holds.

/// The DATA chunks that sctp-proto holds, waiting for the rest of their message or for their turn.
#[derive(Debug, Default)]
pub(super) struct HeldChunks {
    pub(super) chunks: usize,
    bytes: usize,
}

impl HeldChunks {
    pub(super) fn add(&mut self, bytes: usize) {
        self.chunks += 1;
        self.bytes += bytes;
    }

    /// Their payload.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Their charge: payload, and 64 bytes for each.
    pub(super) fn charge(&self) -> usize {
        self.bytes + 64 * self.chunks
    }

    /// Notes that a message was read, which had this many chunks and bytes.
    pub(super) fn remove(&mut self, chunks: usize, bytes: usize) {
        self.chunks = self.chunks.saturating_sub(chunks);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Corrects the count to `bytes`, which the announced window shows: fewer than counted if chunks
    /// were given up or rejected. Their number is taken to shrink with their bytes.
    pub(super) fn correct(&mut self, bytes: usize) {
        if bytes < self.bytes {
            self.chunks = (self.chunks * bytes).div_ceil(self.bytes);
            self.bytes = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_held_chunks_shrinks_with_their_bytes() {
        let mut held = HeldChunks::default();
        for _ in 0..100 {
            held.add(10);
        }
        held.remove(20, 200);
        assert_eq!(held.chunks, 80);
        held.correct(400);
        assert_eq!(held.chunks, 40);
        held.correct(0);
        assert_eq!(held.chunks, 0);
    }
}
