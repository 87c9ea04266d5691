//! How many DATA chunks sctp-proto holds.

/// The DATA chunks that sctp-proto holds, waiting for the rest of their message or for their turn.
///
/// sctp-proto shows how many bytes it has given up or rejected, and not how many chunks these were. A peer can choose
/// them, so the largest are taken to have gone: that explains the loss with the fewest chunks.
#[derive(Debug, Default)]
pub(super) struct HeldChunks {
    all: HeldAmount,
    /// By the length of the chunks: class n has those of 2^n bytes to twice that.
    classes: [HeldAmount; 17],
}

#[derive(Debug, Default, Clone, Copy)]
struct HeldAmount {
    chunks: usize,
    bytes: usize,
}

impl HeldChunks {
    pub(super) fn add(&mut self, bytes: usize) {
        let one = HeldAmount { chunks: 1, bytes };
        self.all.add(one);
        if let Some(class) = self.classes.get_mut(class(bytes)) {
            class.add(one);
        }
    }

    /// How many there are.
    pub(super) fn chunks(&self) -> usize {
        self.all.chunks
    }

    /// The payload bytes of the chunks.
    pub(super) fn bytes(&self) -> usize {
        self.all.bytes
    }

    /// The charge for the chunks: their payload, and 64 bytes for each.
    pub(super) fn charge(&self) -> usize {
        self.all.bytes + 64 * self.all.chunks
    }

    /// Notes that a message was read, which had this many chunks and bytes.
    pub(super) fn remove(&mut self, chunks: usize, bytes: usize) {
        let class = class(bytes);
        if chunks == 1
            && let Some(held) = self.classes.get(class)
            && held.chunks > 0
            && held.bytes >= bytes
        {
            self.take(class, HeldAmount { chunks, bytes });
            return;
        }
        self.remove_several(chunks, bytes);
    }

    fn remove_several(&mut self, chunks: usize, bytes: usize) {
        // The fragments of a correct peer have one length, except for the last.
        let mean = class(bytes / chunks.max(1));
        let mut left = HeldAmount { chunks, bytes };
        for class in (mean..self.classes.len()).chain((0..mean).rev()) {
            let Some(held) = self.classes.get(class) else { continue };
            let part = held.part(left.chunks);
            let part = HeldAmount { bytes: part.bytes.min(left.bytes), ..part };
            self.take(class, part);
            left.subtract(part);
            if left.chunks == 0 {
                break;
            }
        }
        self.lose(left.bytes);
    }

    /// Corrects the count to `bytes`, which the announced window shows: fewer than counted if chunks
    /// were given up or rejected.
    pub(super) fn correct(&mut self, bytes: usize) {
        self.lose(self.all.bytes.saturating_sub(bytes));
    }

    fn lose(&mut self, mut bytes: usize) {
        for class in (0..self.classes.len()).rev() {
            let Some(held) = self.classes.get(class).filter(|_| bytes > 0) else { return };
            let lost = held.within(bytes);
            self.take(class, lost);
            bytes -= lost.bytes;
        }
    }

    /// Takes an amount out of a class. Each chunk has a byte, so without bytes no chunks are left: those that were lost
    /// were smaller ones.
    fn take(&mut self, class: usize, amount: HeldAmount) {
        let Some(held) = self.classes.get_mut(class) else { return };
        held.subtract(amount);
        self.all.subtract(amount);
        if held.bytes == 0 {
            self.all.subtract(std::mem::take(held));
        }
    }
}

impl HeldAmount {
    fn add(&mut self, other: Self) {
        self.chunks += other.chunks;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Self) {
        self.chunks = self.chunks.saturating_sub(other.chunks);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// At most `chunks` of these chunks, with their share of the bytes.
    fn part(self, chunks: usize) -> Self {
        if chunks >= self.chunks {
            return self;
        }
        Self { chunks, bytes: self.bytes * chunks / self.chunks }
    }

    /// At most `bytes` of these bytes, with their share of the chunks.
    fn within(self, bytes: usize) -> Self {
        if bytes >= self.bytes {
            return self;
        }
        Self { chunks: self.chunks * bytes / self.bytes, bytes }
    }
}

/// The class of a chunk with this many bytes.
fn class(bytes: usize) -> usize {
    bytes.max(1).ilog2().min(16) as usize
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
        assert_eq!(held.chunks(), 80);
        held.correct(400);
        assert_eq!(held.chunks(), 40);
        held.correct(0);
        assert_eq!(held.chunks(), 0);
    }

    #[test]
    fn the_bytes_that_went_were_those_of_the_largest_chunks() {
        let mut held = HeldChunks::default();
        for round in 1..1000 {
            // One of these stays, the other is rejected.
            held.add(1);
            held.add(1300);
            held.correct(round);
            assert_eq!((held.chunks(), held.bytes()), (round, round));
        }
    }

    #[test]
    fn what_is_read_was_not_given_up() {
        let mut held = HeldChunks::default();
        for round in 1..1000 {
            [1, 1, 1300, 700, 1].into_iter().for_each(|bytes| held.add(bytes));
            held.remove(4, 2002);
            assert_eq!((held.chunks(), held.bytes()), (round, round));
        }
    }

    #[test]
    fn no_chunks_without_bytes_are_left() {
        let mut held = HeldChunks::default();
        for _ in 0..10_000 {
            [1024, 2047].into_iter().for_each(|bytes| held.add(bytes));
            // The smaller one is given up, and the other one read.
            held.correct(2047);
            held.remove(1, 2047);
            assert_eq!((held.chunks(), held.bytes()), (0, 0));
        }
    }

    /// A peer that abandons messages while another is incomplete.
    #[test]
    fn chunks_of_similar_lengths_do_not_add_up() {
        let mut held = HeldChunks::default();
        held.add(1300);
        for _ in 0..10_000 {
            held.add(1100);
            held.correct(1300);
        }
        assert!(held.chunks() <= 2, "{}", held.chunks());
    }
}
