//! The outputs of a transport.

use crate::proto::dtls::DtlsState;
use crate::proto::net::Tuple;
use crate::proto::sctp::SctpEvent;
use crate::proto::session::Session;
use crate::sfu::contract::parameters::ListenProtocol;
use crate::sfu::event::TransportEvent;
use crate::sfu::tunnel::TunnelFrame;

/// The next output of a transport.
pub(in crate::sfu) enum Polled {
    /// From the association.
    Sctp(SctpEvent),
    /// For the other end of a tunnel.
    TunnelFrame(TunnelFrame),
    /// For the application.
    Event(TransportEvent),
    /// On a shared port, this tuple leads to this transport from now on.
    TupleAdded(Tuple),
    /// On a shared port, this tuple no longer leads to this transport.
    TupleRemoved(Tuple, ListenProtocol),
    /// On a shared port, this username fragment no longer leads to this transport.
    UsernameRetired(String),
}

impl Polled {
    /// The DTLS state of `session` has changed; at the end it has a reason.
    pub(super) fn dtls_state(
        session: &Session,
        state: DtlsState,
        certificate: Option<String>,
    ) -> Self {
        let reason = session.dtls().end_reason().filter(|_| state.is_final());
        let reason = reason.cloned().map(Box::new);
        Self::Event(TransportEvent::DtlsState(state, certificate, reason))
    }
}
