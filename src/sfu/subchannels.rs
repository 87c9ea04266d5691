//! Subchannels: which DataConsumers of its DataProducer a message is for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::proto::message::{Amount, Message};

/// Which DataConsumers a message is for. Most messages have no selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// If not empty, the consumer must be subscribed to at least one of these.
    pub subchannels: Subchannels,
    /// If given, the consumer must be subscribed to it.
    pub required: Option<u16>,
    /// If given, the consumer must not be subscribed to it.
    pub ignored: Option<u16>,
}

impl Selector {
    /// Whether this selects every DataConsumer.
    pub fn is_empty(&self) -> bool {
        self.subchannels.is_empty() && self.required.is_none() && self.ignored.is_none()
    }

    /// Whether a consumer with these subscriptions gets the message.
    pub fn matches(&self, subscribed: &Subchannels) -> bool {
        // The form of the set is looked at once for all three conditions.
        match &subscribed.0 {
            Form::List(list) => self.applies(
                |it| list.binary_search(&it).is_ok(),
                |subchannels| subchannels.meets_list(list),
            ),
            Form::Bits { bits, .. } => {
                self.applies(|it| has_bit(bits, it), |subchannels| subchannels.meets_bits(bits))
            }
        }
    }

    fn applies(
        &self,
        contains: impl Fn(u16) -> bool,
        meets: impl FnOnce(&Subchannels) -> bool,
    ) -> bool {
        self.required.is_none_or(&contains)
            && self.ignored.is_none_or(|it| !contains(it))
            && (self.subchannels.is_empty() || meets(&self.subchannels))
    }

    /// Returns the selector that a pipe consumer with these subscriptions carries, or `None` if it does not
    /// carry the message. A consumer without subscriptions carries everything, unless it is `strict`; any other one
    /// carries only the subchannels that it is subscribed to. `ignored` is applied at the far end.
    pub fn through_pipe(
        self: &Arc<Self>,
        subscribed: &Subchannels,
        strict: bool,
    ) -> Option<Arc<Self>> {
        if subscribed.is_empty() && !strict {
            return Some(Arc::clone(self));
        }
        if self.required.is_some_and(|it| !subscribed.contains(it)) {
            return None;
        }
        let subchannels = self.subchannels.common(subscribed);
        match subchannels.len() {
            all if all == self.subchannels.len() => Some(Arc::clone(self)),
            0 => None,
            _ => Some(Arc::new(Self { subchannels, ..**self })),
        }
    }
}

/// The amount of a message that is carried with its selector.
pub(super) fn amount(message: &Message, selector: Option<&Selector>) -> Amount {
    message.amount().with_subchannels(selector.map_or(0, |it| it.subchannels.len()))
}

/// A set of subchannels. To match two sets takes as long as the smaller one is large.
///
/// A set has one of two forms, as in a Roaring bitmap: a sorted list while it is small, and one bit for each possible
/// subchannel once the list would be as large as that. So it takes at most 8 KiB.
#[derive(Clone)]
pub struct Subchannels(Form);

#[derive(Clone)]
enum Form {
    /// Sorted, at most [`MAX_LISTED`].
    List(Vec<u16>),
    /// `count` bits are set.
    Bits { bits: Box<Bits>, count: usize },
}

/// Bit `n % 64` of word `n / 64` is subchannel `n`.
type Bits = [u64; WORDS];

const WORDS: usize = (1 << 16) / 64;

/// This many subchannels take as much memory in a list as all do in bits.
const MAX_LISTED: usize = size_of::<Bits>() / size_of::<u16>();

/// A list up to this length is searched from its middle, a longer one from where the last search has ended.
const SHORT: usize = 64;

impl Subchannels {
    /// The set of these subchannels; duplicates count once.
    pub fn new(subchannels: impl IntoIterator<Item = u16>) -> Self {
        let mut list: Vec<u16> = subchannels.into_iter().collect();
        if list.len() <= MAX_LISTED {
            list.sort_unstable();
            list.dedup();
            list.shrink_to_fit();
            return Self(Form::List(list));
        }
        let set = Self::in_bits(&list);
        // There may have been many duplicates.
        if set.len() > MAX_LISTED { set } else { Self(Form::List(set.iter().collect())) }
    }

    fn in_bits(list: &[u16]) -> Self {
        let mut bits = Box::new([0; WORDS]);
        let mut count = 0;
        list.iter().for_each(|it| count += usize::from(set_bit(&mut bits, *it)));
        Self(Form::Bits { bits, count })
    }

    /// How many subchannels are in the set.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::List(list) => list.len(),
            Form::Bits { count, .. } => *count,
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `subchannel` is in the set.
    pub fn contains(&self, subchannel: u16) -> bool {
        match &self.0 {
            Form::List(list) => list.binary_search(&subchannel).is_ok(),
            Form::Bits { bits, .. } => has_bit(bits, subchannel),
        }
    }

    /// Adds a subchannel. A subchannel that is in the set changes nothing.
    pub fn add(&mut self, subchannel: u16) {
        match &mut self.0 {
            Form::List(list) => {
                if let Err(at) = list.binary_search(&subchannel) {
                    list.insert(at, subchannel);
                    if list.len() > MAX_LISTED {
                        *self = Self::in_bits(list);
                    }
                }
            }
            Form::Bits { bits, count } => *count += usize::from(set_bit(bits, subchannel)),
        }
    }

    /// Removes a subchannel. A subchannel that is not in the set changes nothing.
    pub fn remove(&mut self, subchannel: u16) {
        match &mut self.0 {
            Form::List(list) => {
                if let Ok(at) = list.binary_search(&subchannel) {
                    list.remove(at);
                }
            }
            // The bits stay: a list would have to become bits again after the next additions.
            Form::Bits { bits, count } => *count -= usize::from(clear_bit(bits, subchannel)),
        }
    }

    /// The subchannels of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        let (list, bits): (&[u16], &[u64]) = match &self.0 {
            Form::List(list) => (list, &[]),
            Form::Bits { bits, .. } => (&[], &**bits),
        };
        list.iter().copied().chain(bits.iter().enumerate().flat_map(|(index, word)| {
            let first = (64 * index) as u16;
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as u16)?;
                rest &= rest - 1;
                Some(first + bit)
            })
        }))
    }

    /// Whether the set and a sorted list have a subchannel in common.
    fn meets_list(&self, list: &[u16]) -> bool {
        match &self.0 {
            Form::List(other) if other.len() <= list.len() => meet(other, list),
            Form::List(other) => meet(list, other),
            Form::Bits { bits, .. } => list.iter().any(|it| has_bit(bits, *it)),
        }
    }

    /// Whether the set and one in bits have a subchannel in common.
    fn meets_bits(&self, bits: &Bits) -> bool {
        match &self.0 {
            Form::List(list) => list.iter().any(|it| has_bit(bits, *it)),
            Form::Bits { bits: other, .. } => other.iter().zip(bits).any(|(a, b)| a & b != 0),
        }
    }

    /// The subchannels that both sets have.
    fn common(&self, other: &Self) -> Self {
        let (few, many) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        Self::new(few.iter().filter(|it| many.contains(*it)))
    }
}

/// Whether two sorted lists, of which `few` is not the longer one, have an item in common.
fn meet(few: &[u16], mut many: &[u16]) -> bool {
    if few.last() < many.first() || many.last() < few.first() {
        return false;
    }
    if many.len() <= SHORT {
        return few.iter().any(|it| many.binary_search(it).is_ok());
    }
    for it in few {
        // The item is close to the last one if the lists are of similar length: so the search widens from there.
        let mut end = 1;
        while many.get(end).is_some_and(|last| last < it) {
            end *= 2;
        }
        let near = many.get(..=end).unwrap_or(many);
        match near.binary_search(it) {
            Ok(_) => return true,
            Err(at) => many = many.get(at..).unwrap_or_default(),
        }
    }
    false
}

fn has_bit(bits: &Bits, subchannel: u16) -> bool {
    let (word, mask) = place(subchannel);
    bits[word] & mask != 0
}

/// Returns whether the bit was not set.
fn set_bit(bits: &mut Bits, subchannel: u16) -> bool {
    let (word, mask) = place(subchannel);
    let was_set = bits[word] & mask != 0;
    bits[word] |= mask;
    !was_set
}

/// Returns whether the bit was set.
fn clear_bit(bits: &mut Bits, subchannel: u16) -> bool {
    let (word, mask) = place(subchannel);
    let was_set = bits[word] & mask != 0;
    bits[word] &= !mask;
    was_set
}

/// The word and the bit of a subchannel. A word is always there: [`WORDS`] are enough for any `u16`.
fn place(subchannel: u16) -> (usize, u64) {
    (usize::from(subchannel) / 64, 1 << (subchannel % 64))
}

impl Default for Subchannels {
    fn default() -> Self {
        Self(Form::List(Vec::new()))
    }
}

impl PartialEq for Subchannels {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Subchannels {}

impl Hash for Subchannels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.iter().for_each(|it| it.hash(state));
    }
}

impl std::fmt::Debug for Subchannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<u16> for Subchannels {
    fn from_iter<I: IntoIterator<Item = u16>>(subchannels: I) -> Self {
        Self::new(subchannels)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn selector(subchannels: &[u16], required: Option<u16>, ignored: Option<u16>) -> Selector {
        Selector { subchannels: subchannels.iter().copied().collect(), required, ignored }
    }

    #[test]
    fn the_routing_rule() {
        let none = Subchannels::default();
        let one = Subchannels::new([1]);
        let both = Subchannels::new([2, 1, 1]);
        let cases: &[(Selector, [bool; 3])] = &[
            (selector(&[], None, None), [true, true, true]),
            (selector(&[1], None, None), [false, true, true]),
            (selector(&[2], None, None), [false, false, true]),
            (selector(&[3], None, None), [false, false, false]),
            (selector(&[1, 2], None, None), [false, true, true]),
            (selector(&[], Some(2), None), [false, false, true]),
            (selector(&[1], Some(2), None), [false, false, true]),
            (selector(&[3], Some(1), None), [false, false, false]),
            (selector(&[], None, Some(2)), [true, true, false]),
            (selector(&[1], None, Some(2)), [false, true, false]),
            (selector(&[1], Some(1), Some(1)), [false, false, false]),
            (selector(&[], None, Some(9)), [true, true, true]),
        ];
        for (selector, expected) in cases {
            let got = [&none, &one, &both].map(|it| selector.matches(it));
            assert_eq!(got, *expected, "{selector:?}");
        }
    }

    #[test]
    fn a_pipe_carries_what_its_consumer_is_subscribed_to() {
        let all = Subchannels::default();
        let one = Subchannels::new([1]);
        let through = |selector: Selector, subscribed: &Subchannels| {
            Arc::new(selector).through_pipe(subscribed, false).map(|it| Selector::clone(&it))
        };
        let message = selector(&[1, 2], None, Some(1));
        assert_eq!(through(message.clone(), &all), Some(message.clone()));
        assert_eq!(through(message, &one), Some(selector(&[1], None, Some(1))));
        assert_eq!(through(selector(&[2], None, None), &one), None);
        assert_eq!(through(selector(&[], Some(2), None), &one), None);
        assert_eq!(through(selector(&[], Some(1), None), &one), Some(selector(&[], Some(1), None)));
    }

    #[test]
    fn a_strict_consumer_without_subscriptions_carries_only_what_has_no_subchannels() {
        let (none, one) = (Subchannels::default(), Subchannels::new([1]));
        let cases = [
            (selector(&[1], None, None), [true, false, true]),
            (selector(&[2], None, None), [true, false, false]),
            (selector(&[], Some(1), None), [true, false, true]),
            (selector(&[], None, Some(1)), [true, true, true]),
        ];
        for (selector, expected) in cases {
            let selector = Arc::new(selector);
            let carried = [(&none, false), (&none, true), (&one, true)]
                .map(|(subscribed, strict)| selector.through_pipe(subscribed, strict).is_some());
            assert_eq!(carried, expected, "{selector:?}");
        }
    }

    #[test]
    fn pipes_share_one_list_unless_they_carry_a_part_of_it() {
        let message = Arc::new(selector(&[1, 2], None, None));
        for subscribed in [Subchannels::default(), Subchannels::new([1, 2, 3])] {
            let carried = message.through_pipe(&subscribed, false).expect("carried");
            assert!(Arc::ptr_eq(&message, &carried), "{subscribed:?}");
        }
    }

    /// Sets around the size at which the form changes, sparse and dense.
    fn sets() -> Vec<BTreeSet<u16>> {
        let sizes = [0, 1, 3, 60, 64, 65, 500, MAX_LISTED - 1, MAX_LISTED, MAX_LISTED + 1, 30_000];
        let steps = [(0, 1), (1, 2), (65_535, 7), (0, 16)];
        let set = |size: usize, (first, step): (u16, u16)| {
            (0..size).map(|n| first.wrapping_add(step.wrapping_mul(n as u16))).collect()
        };
        sizes.iter().flat_map(|size| steps.map(|it| set(*size, it))).collect()
    }

    #[test]
    fn sets_of_every_size_match_as_a_comparison_of_all_pairs_says() {
        let sets: Vec<_> =
            sets().into_iter().map(|it| (Subchannels::new(it.iter().copied()), it)).collect();
        for (set, model) in &sets {
            assert_eq!(set.len(), model.len());
            assert!(set.iter().eq(model.iter().copied()));
            assert_eq!(matches!(set.0, Form::List(_)), model.len() <= MAX_LISTED);
            for (other, other_model) in &sets {
                let common: Vec<u16> = model.intersection(other_model).copied().collect();
                let sizes = (model.len(), other_model.len());
                let selector = Selector { subchannels: set.clone(), ..Default::default() };
                let matches = set.is_empty() || !common.is_empty();
                assert_eq!(selector.matches(other), matches, "{sizes:?}");
                assert!(set.common(other).iter().eq(common), "{sizes:?}");
                assert_eq!(set == other, model == other_model, "{sizes:?}");
            }
        }
    }

    #[test]
    fn subchannels_are_added_and_removed_in_both_forms() {
        let numbers = (0..20_000u32).map(|n| (n * 40_503 % 65_536) as u16);
        let mut set = Subchannels::default();
        let mut model = BTreeSet::new();
        for (n, it) in numbers.clone().enumerate() {
            set.add(it);
            set.add(it);
            model.insert(it);
            if n % 3 == 0 {
                set.remove(it / 2);
                set.remove(it / 2);
                model.remove(&(it / 2));
            }
            assert!(set.contains(it) == model.contains(&it) && set.len() == model.len());
        }
        assert!(set.iter().eq(model.iter().copied()));
        numbers.for_each(|it| set.remove(it));
        assert!(set.is_empty() && set == Subchannels::default());
    }

    #[test]
    fn a_list_of_duplicates_takes_the_memory_of_one() {
        let set = Subchannels::new([7; 65_535]);
        assert_eq!(set.len(), 1);
        let Form::List(list) = &set.0 else { panic!("bits for one subchannel") };
        assert!(list.capacity() < 10);
    }
}
