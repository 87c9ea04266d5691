//! The entities below another one, in the order of their requests.

/// Keys in the order of the requests that chose them. Adding or removing a key costs about the same however many there
/// are.
///
/// Keys grow (see `id.rs`), so a search halves the list. A request that waited for messages adds its key late, a little
/// before the end. A removed key leaves a gap, and the gaps are closed together once they are half of the list. Only
/// after keys have wrapped at 2^32 are the lists that span the wrap searched from the start.
#[derive(Debug, Clone)]
pub(super) struct Roster<K> {
    /// Each key, and whether it is still there.
    slots: Vec<(K, bool)>,
    gaps: usize,
    wrapped: bool,
}

/// Gaps that are not worth closing.
const FEW: usize = 8;

impl<K> Default for Roster<K> {
    fn default() -> Self {
        Self { slots: Vec::new(), gaps: 0, wrapped: false }
    }
}

impl<K: Copy + Ord + Into<u32>> Roster<K> {
    /// Adds a key, unless it is there.
    pub(super) fn push(&mut self, key: K) {
        let last = self.slots.last().map(|(last, _)| *last);
        if !self.wrapped && last.is_none_or(|last| last < key) {
            self.slots.push((key, true));
        } else if let Some((_, present)) = self.slot_of(key).and_then(|it| self.slots.get_mut(it)) {
            // The key was here before.
            self.gaps -= usize::from(!std::mem::replace(present, true));
        } else if self.wrapped {
            self.slots.push((key, true));
        } else if last.is_some_and(|last| last.into().wrapping_sub(key.into()) > u32::MAX / 2) {
            self.wrapped = true;
            self.slots.push((key, true));
        } else {
            let slot = self.slots.partition_point(|(it, _)| *it < key);
            self.slots.insert(slot, (key, true));
        }
    }

    /// Removes a key, if it is there.
    pub(super) fn remove(&mut self, key: K) {
        let slot = self.slot_of(key);
        let Some((_, present)) = slot.and_then(|it| self.slots.get_mut(it)) else { return };
        self.gaps += usize::from(std::mem::take(present));
        if self.gaps > FEW.max(self.slots.len() / 2) {
            self.slots.retain(|(_, present)| *present);
            self.slots.shrink_to(2 * self.slots.len());
            self.gaps = 0;
            self.wrapped &= !self.slots.is_sorted();
        }
    }

    /// Where a key is, or was.
    fn slot_of(&self, key: K) -> Option<usize> {
        if self.wrapped {
            self.slots.iter().position(|(it, _)| *it == key)
        } else {
            self.slots.binary_search_by_key(&key, |(it, _)| *it).ok()
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.gaps
    }

    /// The keys, in the order of their requests.
    pub(super) fn iter(&self) -> impl Iterator<Item = K> + Clone + '_ {
        self.slots.iter().filter(|(_, present)| *present).map(|(key, _)| *key)
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
    fn a_key_that_has_left_may_come_back() {
        let mut roster = Roster::default();
        (1..20_u32).for_each(|key| roster.push(key));
        for key in [3, 19] {
            roster.remove(key);
            assert!(!roster.iter().any(|it| it == key));
            roster.push(key);
            assert_eq!((roster.len(), roster.iter().filter(|it| *it == key).count()), (19, 1));
            roster.remove(key);
            roster.remove(key);
            assert_eq!(roster.len(), 18);
            roster.push(key);
        }
        assert!(roster.iter().eq(1..20));
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
            assert!(roster.slots.len() <= 2 * expected.len() + FEW + 1, "gaps are closed");
        }
        roster.push(1000);
        assert_eq!(keys(&roster), [1000]);
    }

    #[test]
    fn a_key_is_added_once() {
        let mut roster = roster([4, 5, 6]);
        for key in [6, 4] {
            roster.push(key);
            assert_eq!(keys(&roster), [4, 5, 6]);
        }
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

    #[test]
    fn keys_that_come_late_take_their_place_and_are_found_by_halving() {
        let mut roster = roster([10, 20, 30, 25, 5, 40]);
        assert_eq!(keys(&roster), [5, 10, 20, 25, 30, 40]);
        assert!(!roster.wrapped);
        roster.remove(25);
        roster.remove(30);
        assert_eq!(keys(&roster), [5, 10, 20, 40]);
    }

    #[test]
    fn a_list_is_searched_by_halving_again_once_the_wrap_is_behind_it() {
        let mut roster = roster((u32::MAX - 50..=u32::MAX).chain(1..=10));
        assert!(roster.wrapped);
        (u32::MAX - 50..=u32::MAX).for_each(|key| roster.remove(key));
        (11..=100).for_each(|key| roster.push(key));
        (11..=100).for_each(|key| roster.remove(key));
        assert!(!roster.wrapped);
        assert_eq!(keys(&roster), (1..=10).collect::<Vec<_>>());
    }
}
