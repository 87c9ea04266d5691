//! The backlogs of a worker's DataConsumers by key, for the reader, which counts the messages that it hands out.
//!
//! A key is a request id, and ids wrap. A new DataConsumer may get the key of a closed one whose messages are
//! still in the queue, or whose object JavaScript has not collected yet.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::sfu::backlog::Backlog;

#[derive(Default)]
pub(super) struct Backlogs {
    /// The backlogs of DataConsumers whose creation has not been answered yet. A message with such a key is for an
    /// older DataConsumer.
    requested: FxHashMap<u32, Arc<Backlog>>,
    open: FxHashMap<u32, Arc<Backlog>>,
}

impl Backlogs {
    pub(super) fn request(&mut self, key: u32, backlog: Arc<Backlog>) {
        self.requested.insert(key, backlog);
    }

    /// Notes that an answer was handed out. Every message after it with its key belongs to the DataConsumer that it is
    /// about, if it is about one.
    pub(super) fn answered(&mut self, key: u32) {
        if let Some(backlog) = self.requested.remove(&key) {
            self.open.insert(key, backlog);
        }
    }

    pub(super) fn get(&self, key: u32) -> Option<&Arc<Backlog>> {
        self.open.get(&key)
    }

    /// Removes the backlog of a DataConsumer, but not that of a newer one with its key.
    pub(super) fn remove(&mut self, key: u32, backlog: &Arc<Backlog>) {
        for table in [&mut self.requested, &mut self.open] {
            if table.get(&key).is_some_and(|it| Arc::ptr_eq(it, backlog)) {
                table.remove(&key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.requested.len() + self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u32 = 2;

    fn of(backlogs: &Backlogs, backlog: &Arc<Backlog>) -> bool {
        backlogs.get(KEY).is_some_and(|it| Arc::ptr_eq(it, backlog))
    }

    #[test]
    fn a_key_is_that_of_the_older_data_consumer_until_the_newer_one_is_answered() {
        let [older, newer] = [1000, 1000].map(|bound| Arc::new(Backlog::new(bound)));
        let mut backlogs = Backlogs::default();
        backlogs.request(KEY, Arc::clone(&older));
        backlogs.answered(KEY);
        backlogs.request(KEY, Arc::clone(&newer));
        assert!(of(&backlogs, &older), "its messages are still in the queue");
        backlogs.answered(KEY);
        assert!(of(&backlogs, &newer));
    }

    #[test]
    fn a_data_consumer_that_is_removed_late_leaves_the_backlog_of_a_newer_one_with_its_key() {
        let [older, newer] = [1000, 1000].map(|bound| Arc::new(Backlog::new(bound)));
        let mut backlogs = Backlogs::default();
        backlogs.request(KEY, Arc::clone(&older));
        backlogs.answered(KEY);
        backlogs.request(KEY, Arc::clone(&newer));
        backlogs.answered(KEY);
        backlogs.remove(KEY, &older);
        assert!(of(&backlogs, &newer));
        backlogs.remove(KEY, &newer);
        assert_eq!(backlogs.len(), 0);
    }

    #[test]
    fn a_data_consumer_that_is_removed_before_its_answer_leaves_nothing() {
        let backlog = Arc::new(Backlog::new(1000));
        let mut backlogs = Backlogs::default();
        backlogs.request(KEY, Arc::clone(&backlog));
        backlogs.remove(KEY, &backlog);
        backlogs.answered(KEY);
        assert_eq!(backlogs.len(), 0);
    }
}
