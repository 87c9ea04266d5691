//! What routing leaves to do.

use super::id::DataConsumerKey;

/// What routing cannot do itself, because it changes what routing goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// This DataConsumer closes, as its queue is full.
    Close(DataConsumerKey),
    /// This one has got all that is retained.
    EndReplay(DataConsumerKey),
}
