//! Plain transport: SCTP over UDP, without encryption, with one remote address.

use std::time::Instant;

use crate::proto::net::Tuple;
use crate::sfu::contract::parameters::TupleInfo;
use crate::sfu::event::TransportEvent;

use super::polled::Polled;
use super::sctp_over_udp::{Learned, SctpOverUdp};

/// What only a plain transport has.
#[derive(Debug)]
pub(in crate::sfu) struct Plain {
    pub(in crate::sfu) path: SctpOverUdp,
    pub(in crate::sfu) comedia: bool,
    /// Whether the peer's address is known. Used with comedia only.
    learned: bool,
    /// Whether the peer's address is known and has yet to be emitted.
    unannounced: bool,
}

impl Plain {
    pub(in crate::sfu) fn new(path: SctpOverUdp, comedia: bool) -> Self {
        Self { path, comedia, learned: false, unannounced: false }
    }

    pub(in crate::sfu) fn poll(&mut self) -> Option<Polled> {
        if self.comedia && !self.learned {
            // Events of the association wait until the address is known: the tuple comes first.
            return None;
        }
        if self.path.take_moved() | std::mem::take(&mut self.unannounced) {
            return Some(Polled::Event(TransportEvent::Tuple(Box::new(self.path.tuple_info()))));
        }
        self.path.poll()
    }

    /// Whether [`Self::poll`] returns a message next.
    pub(in crate::sfu) fn has_message(&self) -> bool {
        !self.unannounced && (self.learned || !self.comedia) && self.path.has_message()
    }

    pub(in crate::sfu) fn tuple_info(&self) -> TupleInfo {
        if self.comedia && !self.learned {
            self.path.local_tuple_info()
        } else {
            self.path.tuple_info()
        }
    }

    pub(in crate::sfu) fn handle_datagram(
        &mut self,
        now: Instant,
        tuple: Tuple,
        datagram: &[u8],
    ) -> bool {
        if !self.comedia || self.learned {
            return self.path.handle_datagram(now, tuple, datagram);
        }
        let learned = self.path.learn_remote(now, tuple, datagram);
        self.learned = learned == Learned::Peer;
        self.unannounced = self.learned;
        learned != Learned::Noise
    }
}
