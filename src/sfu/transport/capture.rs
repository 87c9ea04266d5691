//! Captures of a transport's packets.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::sfu::Sfu;
use crate::sfu::backlog::Backlog;
use crate::sfu::error::{Error, Result};
use crate::sfu::id::{DataConsumerKey, TransportKey};

use super::TransportMut;

impl TransportMut<'_> {
    /// From now on passes the packets of the association to JavaScript under this key. `dropped` counts packets that
    /// exceed `backlog`. Returns the present time in microseconds, on the clock of the packets.
    pub fn capture(
        &mut self,
        key: DataConsumerKey,
        backlog: Arc<Backlog>,
        dropped: Arc<AtomicU64>,
    ) -> Result<u64> {
        let time = self.sfu.time_of(self.sfu.now).as_micros() as u64;
        if let Some(memory) = &self.sfu.memory {
            backlog.join(memory);
        }
        let transport = self.get();
        if transport.has_tunnel() {
            return Err(Error::NoPackets);
        }
        let Some(sctp) = transport.sctp_mut() else { return Err(Error::NoPackets) };
        sctp.set_tapped(true);
        transport.captures.get_or_insert_default().add(key, backlog, dropped);
        Ok(time)
    }
}

impl Sfu {
    /// Ends a capture.
    pub fn end_capture(&mut self, key: TransportKey, capture: DataConsumerKey) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let more = transport.captures.as_mut().is_some_and(|it| it.remove(capture));
        if !more {
            transport.captures = None;
            if let Some(sctp) = transport.sctp_mut() {
                sctp.set_tapped(false);
            }
        }
    }

    /// Passes on the packets that have crossed the association of this transport.
    pub(in crate::sfu) fn pass_tapped(&mut self, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(&key) else { return };
        let tapped = transport.sctp_mut().map(|it| it.take_tapped()).unwrap_or_default();
        for each in &tapped {
            let at = self.time_of(each.at);
            let Some(transport) = self.transports.get(&key) else { return };
            if let Some(captures) = &transport.captures {
                captures.pass(at, each, &mut self.events);
            }
        }
    }
}
