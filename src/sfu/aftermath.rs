//! What routing leaves to do.

use super::id::DataConsumerKey;

/// What routing cannot do itself, because it changes what routing goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// This DataConsumer closes, as its queue is full.
    Close(DataConsumerKey),
    /// This DataConsumer has caught up with what is retained.
    EndReplay(DataConsumerKey),
}
