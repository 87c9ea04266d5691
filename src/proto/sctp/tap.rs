//! A copy of the packets of an association, for captures.

use std::time::Instant;

use bytes::Bytes;

/// A packet as it crossed the association.
#[derive(Debug, Clone)]
pub struct Tapped {
    /// When it crossed.
    pub at: Instant,
    /// Whether it was on its way to the peer.
    pub outbound: bool,
    /// The packet, without the layers below.
    pub packet: Bytes,
}

/// The packets since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Tap(Vec<Tapped>);

impl Tap {
    pub(super) fn note(&mut self, at: Instant, outbound: bool, packet: Bytes) {
        self.0.push(Tapped { at, outbound, packet });
    }

    pub(super) fn take(&mut self) -> Vec<Tapped> {
        std::mem::take(&mut self.0)
    }
}
