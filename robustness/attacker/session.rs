//! A peer that is let in: ICE, DTLS and SCTP by the rules, and then whatever it likes.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::certificate::Certificate;
use datasoup::proto::demux::{Protocol, demux};
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::transmit::Transmits;
use stun_types::attribute::{RawAttribute, Username};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageWrite, MessageWriteExt, MessageWriteVec,
    ShortTermCredentials,
};

use crate::sctp::{self, kind};
use crate::{Result, Target};

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLING: u16 = 0x802A;

/// A connectivity check (RFC 8445 §7.1).
pub(crate) fn check(username_fragment: &str, password: &str) -> Vec<u8> {
    let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
    let username = format!("{username_fragment}:attacker");
    let key = ShortTermCredentials::new(password.to_owned()).make_key();
    let mut write = || {
        message.add_attribute(&Username::new(&username)?)?;
        message.add_attribute(&RawAttribute::new(PRIORITY.into(), &[0x6e, 0, 1, 0xff]))?;
        message.add_attribute(&RawAttribute::new(ICE_CONTROLLING.into(), &[7; 8]))?;
        message.add_attribute(&RawAttribute::new(USE_CANDIDATE.into(), &[]))?;
        message.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1)?;
        message.add_fingerprint()
    };
    write().expect("a check fits a message");
    message.finish()
}

/// See the module's documentation.
pub(crate) struct Session {
    socket: UdpSocket,
    dtls: Dtls,
    tuple: Tuple,
    /// The tag of packets to the target.
    tag: u32,
    record: Vec<u8>,
}

impl Session {
    pub(crate) fn connect(target: &Target, certificate: Certificate) -> Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(target.ip, 0))?;
        socket.connect(target.address())?;
        socket.set_read_timeout(Some(LOOK))?;
        let mut dtls = Dtls::new(Arc::new(DtlsContext::new(certificate)));
        dtls.connect(Instant::now(), DtlsRole::Server, target.fingerprints.clone())?;
        let tuple = Tuple { socket: SocketId(0), remote: target.address() };
        let mut session = Self { socket, dtls, tuple, tag: 0, record: Vec::new() };
        session.open_path(target)?;
        session.wait("DTLS", |it, _| it.dtls.state() == DtlsState::Connected)?;
        session.associate()?;
        session.socket.set_nonblocking(true)?;
        Ok(session)
    }

    fn open_path(&mut self, target: &Target) -> Result<()> {
        let (Some(ufrag), Some(password)) = (&target.username_fragment, &target.password) else {
            return Err("no credentials".into());
        };
        self.socket.send(&check(ufrag, password))?;
        self.socket.recv(&mut [0; 1500])?;
        self.dtls.path_ready(Instant::now());
        self.flush()
    }

    fn associate(&mut self) -> Result<()> {
        self.send(&[sctp::init(sctp::OWN_TAG, sctp::FIRST_TSN)])?;
        let mut cookie = Vec::new();
        self.wait("INIT ACK", |session, packet| {
            // The tag, and the cookie, which comes first of the parameters (RFC 9260 §3.3.3).
            if packet.get(12) != Some(&kind::INIT_ACK) || packet.len() < 36 {
                return false;
            }
            session.tag = sctp::u32_at(packet, 16);
            let len = usize::from(u16::from_be_bytes([packet[34], packet[35]]));
            cookie = packet[36..32 + len].to_vec();
            true
        })?;
        self.send(&[sctp::chunk(kind::COOKIE_ECHO, 0, &cookie)])?;
        self.wait("COOKIE ACK", |_, packet| packet.get(12) == Some(&kind::COOKIE_ACK))
    }

    fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Self, &[u8]) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let packets = self.receive()?;
            self.flush()?;
            if done(self, &[]) || packets.iter().any(|packet| done(self, packet)) {
                return Ok(());
            }
        }
        Err(format!("waited in vain: {what}").into())
    }

    /// The packets that have come. Never blocks once connected.
    pub(crate) fn receive(&mut self) -> Result<Vec<Bytes>> {
        let mut buffer = [0; 2048];
        let mut packets = Vec::new();
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) if demux(&buffer[..len]) == Protocol::Dtls => {
                    self.dtls.handle_datagram(Instant::now(), &buffer[..len]);
                    while let Some(event) = self.dtls.poll_event() {
                        if let DtlsEvent::Data(packet) = event {
                            packets.push(packet);
                        }
                    }
                    if self.dtls.state() == DtlsState::Connecting {
                        return Ok(packets);
                    }
                }
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ok(packets);
                }
                Err(error) => return Err(error.into()),
            }
            if !packets.is_empty() && self.tag == 0 {
                return Ok(packets);
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        let mut transmits = Transmits::default();
        self.dtls.poll_transmit(self.tuple, &mut transmits);
        for (_, datagram) in transmits.iter() {
            self.socket.send(datagram)?;
        }
        Ok(())
    }

    /// Whether the target has said goodbye.
    pub(crate) fn is_over(&self) -> bool {
        self.dtls.state() != DtlsState::Connected
    }

    /// Sends a packet with everything right about it.
    pub(crate) fn send(&mut self, chunks: &[Vec<u8>]) -> Result<()> {
        self.send_content(&sctp::packet(self.tag, chunks))
    }

    /// Sends a record with this content.
    pub(crate) fn send_content(&mut self, content: &[u8]) -> Result<()> {
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        self.dtls.seal(content, &mut record)?;
        self.send_datagram(&record)?;
        self.record = record;
        Ok(())
    }

    /// Sends this as it is, when the kernel has room for it.
    pub(crate) fn send_datagram(&mut self, datagram: &[u8]) -> Result<()> {
        loop {
            match self.socket.send(datagram) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
