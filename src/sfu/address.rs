//! Addresses as the application sees them: tuples and ICE candidates.

use std::net::{IpAddr, SocketAddr};

use crate::proto::net::{SocketId, Tuple};

use super::contract::parameters::{IceCandidate, ListenProtocol, TupleInfo};

/// A bound socket, as the runtime hands it in.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The runtime's number of the socket.
    pub socket: SocketId,
    /// UDP or TCP.
    pub protocol: ListenProtocol,
    /// The bound address.
    pub local: SocketAddr,
    /// The address or name to show to peers instead of the bound address.
    pub announced_address: Option<String>,
    /// Whether to show the bound address to peers as well.
    pub expose_internal_ip: bool,
    /// The socket's index in `listenInfos`, which decides the priority of its candidate.
    pub index: usize,
}

impl Listen {
    fn shown_address(&self) -> String {
        self.announced_address.clone().unwrap_or_else(|| self.local.ip().to_string())
    }

    /// The path between this socket and `remote`, for the application. `local` is that of the [`Tuple`].
    pub(crate) fn tuple_info(
        &self,
        local: Option<IpAddr>,
        remote: Option<SocketAddr>,
    ) -> TupleInfo {
        let used = local.filter(|_| self.announced_address.is_none());
        let local_address = used.map_or_else(|| self.shown_address(), shown);
        TupleInfo {
            local_ip: local_address.clone(),
            local_address,
            local_port: self.local.port(),
            remote_ip: remote.map(|it| shown(it.ip())),
            remote_port: remote.map_or(0, |it| it.port()),
            protocol: self.protocol,
        }
    }

    /// The candidates of this socket (RFC 8445 §5.1.2.1): the announced address, and the bound one if
    /// exposed.
    fn candidates(&self, preferred: u32) -> impl Iterator<Item = IceCandidate> {
        let local_preference = 10_000 + preferred - 100 * (self.index as u32).min(99);
        let priority = (64 << 24) + (local_preference << 8) + 255;
        let internal = (self.expose_internal_ip && self.announced_address.is_some())
            .then(|| self.candidate(self.local.ip().to_string(), priority - 1000));
        std::iter::once(self.candidate(self.shown_address(), priority)).chain(internal)
    }

    fn candidate(&self, address: String, priority: u32) -> IceCandidate {
        let (foundation, tcp_type) = match self.protocol {
            ListenProtocol::Udp => ("udpcandidate", None),
            ListenProtocol::Tcp => ("tcpcandidate", Some("passive")),
        };
        IceCandidate {
            foundation,
            priority,
            ip: address.clone(),
            address,
            protocol: self.protocol,
            port: self.local.port(),
            kind: "host",
            tcp_type,
        }
    }
}

/// An IPv4 address on an IPv6 socket is shown as an IPv4 address.
fn shown(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

/// Which protocol's candidates a peer should try first, on a [`WebRtcServer`]'s sockets.
///
/// [`WebRtcServer`]: crate::sfu::entity::webrtc_server::WebRtcServer
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Preference {
    pub(super) udp: bool,
    pub(super) tcp: bool,
}

/// The candidates of these sockets, in their order.
pub(super) fn ice_candidates(listens: &[Listen], prefer: Preference) -> Vec<IceCandidate> {
    let preferred = |listen: &Listen| match listen.protocol {
        ListenProtocol::Udp if prefer.udp => 1000,
        ListenProtocol::Tcp if prefer.tcp => 1000,
        _ => 0,
    };
    listens.iter().flat_map(|listen| listen.candidates(preferred(listen))).collect()
}

/// The tuple for the application; `None` if the socket is not among `listens`.
pub(super) fn tuple_info(listens: &[Listen], tuple: Tuple) -> Option<TupleInfo> {
    let listen = listens.iter().find(|it| it.socket == tuple.socket)?;
    Some(listen.tuple_info(tuple.local, Some(tuple.remote)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(protocol: ListenProtocol, index: usize) -> Listen {
        Listen {
            socket: SocketId(index as u32),
            protocol,
            local: "10.0.0.1:4000".parse().expect("an address"),
            announced_address: None,
            expose_internal_ip: false,
            index,
        }
    }

    #[test]
    fn priorities_fall_with_the_place_among_the_listen_infos() {
        let listens = [listen(ListenProtocol::Udp, 0), listen(ListenProtocol::Tcp, 1)];
        let candidates = ice_candidates(&listens, Preference::default());
        let priorities: Vec<u32> = candidates.iter().map(|it| it.priority).collect();
        assert_eq!(priorities, [1_076_302_079, 1_076_276_479]);
        let candidates = ice_candidates(&listens, Preference { udp: false, tcp: true });
        assert!(candidates[1].priority > candidates[0].priority);
    }

    #[test]
    fn an_exposed_internal_address_comes_second() {
        let mut listen = listen(ListenProtocol::Udp, 0);
        listen.announced_address = Some("example.com".into());
        listen.expose_internal_ip = true;
        let candidates = ice_candidates(&[listen], Preference::default());
        let addresses: Vec<&str> = candidates.iter().map(|it| it.address.as_str()).collect();
        assert_eq!(addresses, ["example.com", "10.0.0.1"]);
        let priorities: Vec<u32> = candidates.iter().map(|it| it.priority).collect();
        assert_eq!(priorities, [1_076_302_079, 1_076_301_079]);
    }
}
