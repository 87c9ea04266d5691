//! WebRTC transport: ICE-Lite, DTLS and SCTP with one browser or other WebRTC peer.

use crate::proto::ice_lite::IceState;
use crate::proto::net::Tuple;
use crate::proto::peer::{Peer, PeerEvent};
use crate::sfu::address::{Listen, Preference, ice_candidates, tuple_info};
use crate::sfu::contract::parameters::{IceCandidate, ListenProtocol, TupleInfo};
use crate::sfu::event::TransportEvent;
use crate::sfu::id::WebRtcServerKey;

use super::polled::Polled;

/// What only a WebRTC transport has.
#[derive(Debug)]
pub(in crate::sfu) struct WebRtc {
    pub(in crate::sfu) peer: Peer,
    pub(in crate::sfu) server: Option<WebRtcServerKey>,
    listens: Vec<Listen>,
    preference: Preference,
    path: PathChanges,
}

/// Changes of the path to the peer that have not been emitted. A peer may cause one with every packet; the
/// outcome is emitted at the end of the turn.
#[derive(Debug)]
struct PathChanges {
    selected: Option<Tuple>,
    state: IceState,
    emitted_state: IceState,
}

impl WebRtc {
    pub(in crate::sfu) fn new(
        peer: Peer,
        server: Option<WebRtcServerKey>,
        listens: Vec<Listen>,
        preference: Preference,
    ) -> Self {
        let path =
            PathChanges { selected: None, state: IceState::New, emitted_state: IceState::New };
        Self { peer, server, listens, preference, path }
    }

    pub(in crate::sfu) fn poll(&mut self) -> Option<Polled> {
        while let Some(event) = self.peer.poll_event() {
            match event {
                PeerEvent::Ice(state) => self.path.state = state,
                PeerEvent::SelectedTuple(tuple) => self.path.selected = Some(tuple),
                PeerEvent::Sctp(event) => return Some(Polled::Sctp(event)),
                PeerEvent::TupleAdded(tuple) => return Some(Polled::TupleAdded(tuple)),
                PeerEvent::TupleRemoved(tuple) => {
                    return Some(Polled::TupleRemoved(tuple, self.protocol(tuple)));
                }
                PeerEvent::UsernameRetired(it) => return Some(Polled::UsernameRetired(it)),
                PeerEvent::Dtls(state, certificate) => {
                    return Some(Polled::dtls_state(self.peer.session(), state, certificate));
                }
            }
        }
        None
    }

    /// The changes of the path: the selected tuple, then the ICE state that followed from it.
    pub(in crate::sfu) fn poll_path(&mut self) -> Option<TransportEvent> {
        let Self { path, listens, peer, .. } = self;
        let selected = path.selected.take().and_then(|tuple| tuple_info(listens, tuple));
        if let Some(info) = selected {
            return Some(TransportEvent::IceSelectedTuple(Box::new(info)));
        }
        let emitted = std::mem::replace(&mut path.emitted_state, path.state);
        let reason = peer.ice_loss().filter(|_| path.state == IceState::Disconnected);
        (emitted != path.state).then(|| TransportEvent::IceState(path.state, reason.map(Box::new)))
    }

    /// Whether `tuple`, which is one of this transport's, is of UDP or TCP.
    pub(in crate::sfu) fn protocol(&self, tuple: Tuple) -> ListenProtocol {
        let listen = self.listens.iter().find(|it| it.socket == tuple.socket);
        listen.map_or(ListenProtocol::Udp, |it| it.protocol)
    }

    pub(in crate::sfu) fn ice_candidates(&self) -> Vec<IceCandidate> {
        ice_candidates(&self.listens, self.preference)
    }

    pub(in crate::sfu) fn selected_tuple(&self) -> Option<TupleInfo> {
        tuple_info(&self.listens, self.peer.selected_tuple()?)
    }

    pub(in crate::sfu) fn sockets(&self) -> impl Iterator<Item = &Listen> {
        self.listens.iter().filter(|_| self.server.is_none())
    }
}
