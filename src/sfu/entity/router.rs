//! A router: the transports whose DataProducers and DataConsumers can meet.

use uuid::Uuid;

use crate::sfu::id::TransportKey;
use crate::sfu::roster::Roster;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::sfu) struct Router {
    pub(in crate::sfu) id: Uuid,
    pub(in crate::sfu) transports: Roster<TransportKey>,
}
