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
    /// See [`ListenInfo::announced_addresses`](super::contract::options::ListenInfo).
    pub announced_addresses: Vec<String>,
    /// See [`ListenInfo::internal_addresses`](super::contract::options::ListenInfo).
    pub internal_addresses: Vec<IpAddr>,
    /// The socket's index in `listenInfos`, which decides the priority of its candidate.
    pub index: usize,
}

impl Listen {
    /// Our side of a path, for the application. `local` is that of the [`Tuple`].
    fn shown_address(&self, local: Option<IpAddr>) -> String {
        match (self.announced_addresses.first(), local, self.internal_addresses.first()) {
            (Some(announced), ..) => announced.clone(),
            (None, Some(used), _) => shown(used),
            (None, None, Some(internal)) => shown(*internal),
            (None, None, None) => shown(self.local.ip()),
        }
    }

    /// The path between this socket and `remote`, for the application. `local` is that of the [`Tuple`].
    pub(crate) fn tuple_info(
        &self,
        local: Option<IpAddr>,
        remote: Option<SocketAddr>,
    ) -> TupleInfo {
        let local_address = self.shown_address(local);
        TupleInfo {
            local_ip: local_address.clone(),
            local_address,
            local_port: self.local.port(),
            remote_ip: remote.map(|it| shown(it.ip())),
            remote_port: remote.map_or(0, |it| it.port()),
            protocol: self.protocol,
        }
    }

    /// The candidates of this socket (RFC 8445 §5.1.2.1): the announced addresses, then those of this host.
    fn candidates(&self, preferred: u32) -> impl Iterator<Item = IceCandidate> {
        let local_preference = 10_000 + preferred - 100 * (self.index as u32).min(99);
        // The addresses of one socket differ by less than the sockets of two `listenInfos`.
        let priority = move |place: usize| {
            (64 << 24) + ((local_preference - (place as u32).min(99)) << 8) + 255
        };
        let lower = if self.announced_addresses.is_empty() { 0 } else { 1000 };
        let announced = self.announced_addresses.iter().enumerate();
        let internal = self.internal_addresses.iter().enumerate();
        announced.map(move |(place, it)| self.candidate(it.clone(), priority(place))).chain(
            internal.map(move |(place, it)| self.candidate(shown(*it), priority(place) - lower)),
        )
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
            announced_addresses: Vec::new(),
            internal_addresses: vec![[10, 0, 0, 1].into()],
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
        listen.announced_addresses = vec!["example.com".into()];
        let candidates = ice_candidates(&[listen], Preference::default());
        let addresses: Vec<&str> = candidates.iter().map(|it| it.address.as_str()).collect();
        assert_eq!(addresses, ["example.com", "10.0.0.1"]);
        let priorities: Vec<u32> = candidates.iter().map(|it| it.priority).collect();
        assert_eq!(priorities, [1_076_302_079, 1_076_301_079]);
    }

    #[test]
    fn each_address_of_a_socket_is_a_candidate_with_a_priority_of_its_own() {
        let mut first = listen(ListenProtocol::Udp, 0);
        first.announced_addresses = vec!["192.0.2.1".into(), "192.0.2.2".into()];
        first.internal_addresses = (0..120).map(|n| [10, 0, 0, n].into()).collect();
        let second = listen(ListenProtocol::Udp, 1);
        let candidates = ice_candidates(&[first, second], Preference::default());
        assert_eq!(candidates.len(), 123);
        assert_eq!(candidates[1].priority, 1_076_302_079 - (1 << 8));
        assert_eq!(candidates[122].priority, 1_076_302_079 - (100 << 8));
        let mut priorities: Vec<u32> = candidates.iter().map(|it| it.priority).collect();
        priorities.truncate(16);
        priorities.sort_unstable();
        priorities.dedup();
        assert_eq!(priorities.len(), 16);
    }

    #[test]
    fn a_tuple_shows_the_announced_address_or_the_one_that_the_peer_uses() {
        let mut listen = listen(ListenProtocol::Udp, 0);
        let shown = |listen: &Listen, local: Option<&str>| {
            let local = local.map(|it| it.parse().expect("an address"));
            listen.tuple_info(local, None).local_address
        };
        assert_eq!(shown(&listen, None), "10.0.0.1");
        assert_eq!(shown(&listen, Some("10.0.0.2")), "10.0.0.2");
        assert_eq!(shown(&listen, Some("::ffff:10.0.0.2")), "10.0.0.2");
        listen.announced_addresses = vec!["example.com".into(), "192.0.2.1".into()];
        assert_eq!(shown(&listen, Some("10.0.0.2")), "example.com");
    }
}
