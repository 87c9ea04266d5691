//! Plain transport: SCTP over UDP, without encryption, with one remote address.

use std::net::SocketAddr;
use std::time::Instant;

use crate::proto::net::Tuple;
use crate::proto::sctp::Start;
use crate::sfu::address::Listen;
use crate::sfu::contract::answers::{UdpConnectAnswer, UdpTransportAnswer};
use crate::sfu::contract::options::{PlainTransportOptions, UdpConnectOptions};
use crate::sfu::contract::parameters::TupleInfo;
use crate::sfu::error::{Error, Result};
use crate::sfu::event::TransportEvent;
use crate::sfu::id::{RouterKey, TransportKey};
use crate::sfu::{Owner, Sfu};

use super::sctp_over_udp::{Learned, SctpOverUdp};
use super::{Kind, Polled, Transport, TransportMut, sctp};

/// What only a plain transport has.
#[derive(Debug)]
pub(in crate::sfu) struct Plain {
    pub(in crate::sfu) path: SctpOverUdp,
    pub(in crate::sfu) comedia: bool,
    /// With comedia: the peer is known.
    learned: bool,
    /// The application does not know it yet.
    news: bool,
}

impl Plain {
    pub(super) fn poll(&mut self) -> Option<Polled> {
        if self.comedia && !self.learned {
            // What a stranger has begun is no news: the tuple comes first.
            return None;
        }
        if std::mem::take(&mut self.news) {
            return Some(Polled::Event(TransportEvent::Tuple(Box::new(self.path.tuple_info()))));
        }
        self.path.poll_event().map(Polled::Sctp)
    }

    pub(super) fn tuple_info(&self) -> TupleInfo {
        if self.comedia && !self.learned {
            self.path.local_tuple_info()
        } else {
            self.path.tuple_info()
        }
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, tuple: Tuple, datagram: &[u8]) -> bool {
        if !self.comedia || self.learned {
            return self.path.handle_datagram(now, tuple, datagram);
        }
        let learned = self.path.learn_remote(now, tuple.remote, datagram);
        self.learned = learned == Learned::Peer;
        self.news = self.learned;
        learned != Learned::Noise
    }
}

impl Sfu {
    /// Makes a plain transport.
    pub fn create_plain_transport(
        &mut self,
        key: TransportKey,
        router: RouterKey,
        options: &PlainTransportOptions,
        listen: Listen,
    ) -> Result<UdpTransportAnswer> {
        let socket = listen.socket;
        let config = options
            .sctp
            .as_ref()
            .map(|it| sctp::config(it, 0, Start::AfterSilence, SctpOverUdp::MAX_PACKET_SIZE, true));
        let path = SctpOverUdp::new(listen, config);
        let plain = Plain { path, comedia: options.comedia, learned: false, news: false };
        let kind = Kind::Plain(Box::new(plain));
        self.insert_transport(key, Transport::new(router, kind, options.sctp.clone(), self.now))?;
        self.owners.insert(socket, Owner::Transport(key));
        self.transport(key)?.udp_answer()
    }
}

impl TransportMut<'_> {
    fn path(&mut self) -> Result<&mut SctpOverUdp> {
        let key = self.key;
        match &mut self.get().kind {
            Kind::Plain(it) => Ok(&mut it.path),
            Kind::Pipe(it) => Ok(&mut it.path),
            _ => Err(Error::NoRemoteAddress(key)),
        }
    }

    pub(super) fn udp_answer(&mut self) -> Result<UdpTransportAnswer> {
        let tuple = self.path()?.tuple_info();
        let transport = self.get();
        let sctp_parameters = transport.sctp_parameters();
        Ok(UdpTransportAnswer { id: transport.id, tuple, sctp_parameters })
    }

    /// Tells a plain or pipe transport where its peer is; answers the tuple. With comedia the
    /// address is ignored: it is learned.
    pub fn connect_udp(&mut self, options: UdpConnectOptions) -> Result<UdpConnectAnswer> {
        let now = self.sfu.now;
        let remote = SocketAddr::new(options.ip, options.port);
        let start = match &self.get().kind {
            Kind::Plain(it) if it.comedia => {
                return Ok(UdpConnectAnswer { tuple: it.tuple_info() });
            }
            // Of two pipe transports one has to begin, and both know both addresses.
            Kind::Pipe(it) if it.path.local() < remote => Start::AtOnce,
            _ => Start::AfterSilence,
        };
        let path = self.path()?;
        if path.remote().is_some() {
            return Err(Error::AlreadyConnected);
        }
        if remote.is_ipv4() != path.local().is_ipv4() {
            let local = path.local().ip();
            return Err(Error::OtherAddressFamily { remote, local });
        }
        path.connect(now, remote, start);
        let tuple = path.tuple_info();
        let key = self.key;
        self.sfu.pump(key);
        self.sfu.touch(key);
        Ok(UdpConnectAnswer { tuple })
    }
}
