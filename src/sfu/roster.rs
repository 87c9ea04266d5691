//! The entities below another one, in the order in which they came.

/// Keys in the order in which they were added. To add or remove a key costs about the same however many
/// there are.
///
/// Keys grow (see `id.rs`), so a search halves the list; a removed key leaves a gap, and the gaps are closed
/// together once they are half of the list. Only after keys have wrapped at 2^32 are the lists that span the
/// wrap searched from the start.
#[derive(Debug, Clone)]
pub(super) struct Roster<K> {
    /// Each key, and whether it is still there.
    places: Vec<(K, bool)>,
    gaps: usize,
    wrapped: bool,
}

/// Gaps that are not worth closing.
const FEW: usize = 8;

impl<K> Default for Roster<K> {
    fn default() -> Self {
        Self { places: Vec::new(), gaps: 0, wrapped: false }
    }
}

impl<K: Copy + Ord> Roster<K> {
    /// Adds a key that is not in the list.
    pub(super) fn push(&mut self, key: K) {
        self.wrapped |= self.places.last().is_some_and(|(last, _)| *last > key);
        self.places.push((key, true));
    }

    /// Removes a key, if it is there.
    pub(super) fn remove(&mut self, key: K) {
        let place = if self.wrapped {
            self.places.iter().position(|(it, _)| *it == key)
        } else {
            self.places.binary_search_by_key(&key, |(it, _)| *it).ok()
        };
        let Some((_, present)) = place.and_then(|it| self.places.get_mut(it)) else { return };
        self.gaps += usize::from(std::mem::take(present));
        if self.gaps > FEW.max(self.places.len() / 2) {
            self.places.retain(|(_, present)| *present);
            self.places.shrink_to(2 * self.places.len());
            self.gaps = 0;
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.gaps
    }

    /// The keys, in the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = K> + Clone + '_ {
        self.places.iter().filter(|(_, present)| *present).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(keys: impl IntoIterator<Item = u32>) -> Roster<u32> {
        let mut roster = Roster::default();
        keys.into_iter().for_each(|key| roster.push(key));
        roster
    }

    fn keys(roster: &Roster<u32>) -> Vec<u32> {
        let keys: Vec<u32> = roster.iter().collect();
        assert_eq!(keys.len(), roster.len());
        keys
    }

    #[test]
    fn keys_stay_in_their_order_whichever_leave() {
        let mut roster = roster(0..1000);
        let mut expected: Vec<u32> = (0..1000).collect();
        for step in [7, 5, 3, 2, 1] {
            for key in (0..1000).step_by(step) {
                roster.remove(key);
                expected.retain(|it| *it != key);
            }
            assert_eq!(keys(&roster), expected);
            assert!(roster.places.len() <= 2 * expected.len() + FEW + 1, "gaps are closed");
        }
        roster.push(1000);
        assert_eq!(keys(&roster), [1000]);
    }

    #[test]
    fn a_key_is_removed_once() {
        let mut roster = roster([4, 5, 6]);
        for _ in 0..2 {
            roster.remove(5);
            roster.remove(7);
            assert_eq!(keys(&roster), [4, 6]);
        }
    }

    #[test]
    fn keys_that_have_wrapped_are_found_as_well() {
        let mut roster = roster([u32::MAX - 1, u32::MAX, 1, 2]);
        roster.remove(1);
        roster.remove(u32::MAX);
        assert_eq!(keys(&roster), [u32::MAX - 1, 2]);
    }
}
