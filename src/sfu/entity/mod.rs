//! Each entity by itself: its state, and what needs no other entity. What entities do together is in the files
//! of the same names in `src/sfu/`.

pub(super) mod data_consumer;
pub(super) mod data_producer;
pub(super) mod held;
pub(super) mod limiter;
pub(super) mod retained;
pub(super) mod router;
pub(super) mod transport;
pub(super) mod webrtc_server;
