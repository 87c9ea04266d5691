//! The outputs of a transport.

use crate::proto::net::Tuple;
use crate::proto::sctp::SctpEvent;
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
    /// On a shared port, this path leads here from now on…
    TupleAdded(Tuple),
    /// …and from now on not any more.
    TupleRemoved(Tuple, ListenProtocol),
    /// On a shared port, this username does not lead here any more.
    UsernameRetired(String),
}
