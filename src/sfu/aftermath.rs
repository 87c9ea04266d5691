//! Tasks that routing leaves to be done after it.

use super::id::DataConsumerKey;

/// What routing cannot do itself, because it would change the tables that routing walks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// This DataConsumer has to close, as its queue is full.
    Close(DataConsumerKey),
    /// This DataConsumer has got all retained messages: its replay ends.
    EndReplay(DataConsumerKey),
}
