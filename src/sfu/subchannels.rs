//! Subchannels: which DataConsumers of its DataProducer a message is for.

/// Which DataConsumers a message is for. Most messages have no selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// If not empty, the consumer must be subscribed to at least one of these.
    pub subchannels: Vec<u16>,
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
    pub fn matches(&self, subscribed: &Subscriptions) -> bool {
        self.required.is_none_or(|it| subscribed.contains(it))
            && self.ignored.is_none_or(|it| !subscribed.contains(it))
            && (self.subchannels.is_empty()
                || self.subchannels.iter().any(|&it| subscribed.contains(it)))
    }

    /// Returns the selector that a pipe consumer with these subscriptions carries, or `None` if it does not
    /// carry the message. A consumer without subscriptions carries everything; any other one carries only the
    /// subchannels that it is subscribed to. `ignored` is applied at the far end.
    pub fn through_pipe(&self, subscribed: &Subscriptions) -> Option<Self> {
        if subscribed.is_empty() {
            return Some(self.clone());
        }
        if self.required.is_some_and(|it| !subscribed.contains(it)) {
            return None;
        }
        let subchannels: Vec<u16> =
            self.subchannels.iter().copied().filter(|&it| subscribed.contains(it)).collect();
        if subchannels.is_empty() && !self.subchannels.is_empty() {
            return None;
        }
        Some(Self { subchannels, required: self.required, ignored: self.ignored })
    }
}

/// The set of subchannels that a consumer is subscribed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscriptions(Vec<u16>);

impl Subscriptions {
    /// The set of these subchannels; duplicates count once.
    pub fn new(subchannels: impl IntoIterator<Item = u16>) -> Self {
        let mut set: Vec<u16> = subchannels.into_iter().collect();
        set.sort_unstable();
        set.dedup();
        Self(set)
    }

    /// Whether `subchannel` is in the set.
    pub fn contains(&self, subchannel: u16) -> bool {
        self.0.binary_search(&subchannel).is_ok()
    }

    /// Adds a subchannel. A subchannel that is in the set changes nothing.
    pub fn add(&mut self, subchannel: u16) {
        if let Err(at) = self.0.binary_search(&subchannel) {
            self.0.insert(at, subchannel);
        }
    }

    /// Removes a subchannel. A subchannel that is not in the set changes nothing.
    pub fn remove(&mut self, subchannel: u16) {
        if let Ok(at) = self.0.binary_search(&subchannel) {
            self.0.remove(at);
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The subchannels of the set, ascending.
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(subchannels: &[u16], required: Option<u16>, ignored: Option<u16>) -> Selector {
        Selector { subchannels: subchannels.to_vec(), required, ignored }
    }

    #[test]
    fn the_routing_rule() {
        let none = Subscriptions::default();
        let one = Subscriptions::new([1]);
        let both = Subscriptions::new([2, 1, 1]);
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
        let all = Subscriptions::default();
        let one = Subscriptions::new([1]);
        let message = selector(&[1, 2], None, Some(1));
        assert_eq!(message.through_pipe(&all), Some(message.clone()));
        assert_eq!(message.through_pipe(&one), Some(selector(&[1], None, Some(1))));
        assert_eq!(selector(&[2], None, None).through_pipe(&one), None);
        assert_eq!(selector(&[], Some(2), None).through_pipe(&one), None);
    }
}
