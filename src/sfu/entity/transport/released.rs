//! The stream ids of a pipe whose DataConsumers have closed, to be given out again.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use crate::proto::message::StreamId;

/// How many ids one call examines at most, so that it costs little however many are in use elsewhere.
const LOOKS: usize = 32;

/// The state of a stream id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The id may be given out.
    Free,
    /// The id was closed a short time ago. Those behind it in the list were closed even later.
    Rests,
    /// It is in use by something else.
    Taken,
    /// The id is beyond the streams that the peer takes, so it leaves the list.
    Gone,
}

/// The ids, each once, in the order in which they were closed; those found in use elsewhere are moved to the back.
#[derive(Debug, Default)]
pub(in crate::sfu) struct ReleasedStreams {
    order: VecDeque<StreamId>,
    known: FxHashSet<StreamId>,
}

impl ReleasedStreams {
    pub(super) fn push(&mut self, stream: StreamId) {
        if self.known.insert(stream) {
            self.order.push_back(stream);
        }
    }

    /// Takes the first id that is free.
    pub(super) fn take(&mut self, use_of: impl Fn(StreamId) -> Use) -> Option<StreamId> {
        for _ in 0..self.order.len().min(LOOKS) {
            let stream = *self.order.front()?;
            match use_of(stream) {
                Use::Rests => return None,
                Use::Taken => self.order.rotate_left(1),
                found @ (Use::Free | Use::Gone) => {
                    self.order.pop_front();
                    self.known.remove(&stream);
                    if found == Use::Free {
                        return Some(stream);
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(streams: impl IntoIterator<Item = StreamId>) -> ReleasedStreams {
        let mut released = ReleasedStreams::default();
        streams.into_iter().for_each(|it| released.push(it));
        released
    }

    #[test]
    fn each_stream_is_given_out_once_and_the_one_closed_first_comes_first() {
        let mut released = released([3, 1, 3, 2, 1]);
        let mut take = || released.take(|_| Use::Free);
        assert_eq!([take(), take(), take(), take()], [Some(3), Some(1), Some(2), None]);
        released.push(1);
        assert_eq!(released.take(|_| Use::Free), Some(1));
    }

    #[test]
    fn those_in_use_stay_for_later_and_those_that_are_gone_do_not() {
        let mut released = released([1, 2, 3, 4]);
        let use_of = |it| match it {
            1 => Use::Taken,
            2 => Use::Gone,
            3 => Use::Free,
            _ => Use::Rests,
        };
        assert_eq!([released.take(use_of), released.take(use_of)], [Some(3), None]);
        assert_eq!([4, 1].map(|_| released.take(|_| Use::Free)), [Some(4), Some(1)]);
        assert_eq!(released.take(|_| Use::Free), None);
    }

    #[test]
    fn a_free_one_behind_many_that_are_in_use_is_found_by_a_few_calls() {
        let mut released = released(0..=1000);
        let use_of = |it| if it == 1000 { Use::Free } else { Use::Taken };
        let calls = (1..).find(|_| released.take(use_of).is_some());
        assert_eq!(calls, Some(1001_usize.div_ceil(LOOKS)));
    }
}
