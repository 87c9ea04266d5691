//! The session of a peer that was let in: ICE, DTLS and SCTP by the rules until it is connected.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datasoup::proto::certificate::Certificate;
use datasoup::proto::demux::{Protocol, demux};
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsRole, DtlsState, Path};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::transmit::Transmits;

use crate::attack::{Result, Target};
use crate::packet::{COOKIE_ACK, COOKIE_ECHO, Greeting, chunk, chunks};
use crate::wire::{check, init, packet};

/// The first TSN of the attacker.
pub(crate) const FIRST_TSN: u32 = 1000;

/// The time that each step of connecting may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a read blocks while connecting.
const LOOK: Duration = Duration::from_millis(20);

/// The session of an attacker with the target: see the module's documentation.
pub(crate) struct Session {
    socket: UdpSocket,
    dtls: Dtls,
    tuple: Tuple,
    /// The verification tag of packets to the target; 0 before the INIT ACK.
    tag: u32,
    record: Vec<u8>,
}

impl Session {
    pub(crate) fn connect(target: &Target, certificate: Certificate) -> Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(target.ip, 0))?;
        socket.connect(target.address())?;
        socket.set_read_timeout(Some(LOOK))?;
        let mut dtls = Dtls::new(Arc::new(DtlsContext::new(certificate)), Path::Proved);
        dtls.connect(Instant::now(), DtlsRole::Server, target.fingerprints.clone())?;
        let tuple = Tuple::new(SocketId(0), target.address());
        let mut session = Self { socket, dtls, tuple, tag: 0, record: Vec::new() };
        session.open_path(target)?;
        session.shake_hands()?;
        session.associate()?;
        session.socket.set_nonblocking(true)?;
        Ok(session)
    }

    fn open_path(&mut self, target: &Target) -> Result<()> {
        let (Some(ufrag), Some(password)) = (&target.username_fragment, &target.password) else {
            return Err("the target has no ICE credentials".into());
        };
        self.socket.send(&check(ufrag, password))?;
        self.socket.recv(&mut [0; 1500])?;
        self.dtls.path_ready(Instant::now());
        self.flush()
    }

    fn shake_hands(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.dtls.state() != DtlsState::Connected {
            if Instant::now() > until {
                return Err("timeout: DTLS handshake".into());
            }
            self.receive()?;
            self.flush()?;
        }
        Ok(())
    }

    fn associate(&mut self) -> Result<()> {
        const OWN_TAG: u32 = 0x0102_0304;
        self.send(&[init(OWN_TAG, FIRST_TSN)])?;
        let mut cookie = Vec::new();
        self.wait("INIT ACK", |session, packet| {
            let Some(greeting) = chunks(packet).iter().find_map(Greeting::read) else {
                return false;
            };
            session.tag = greeting.tag;
            cookie = greeting.cookie;
            true
        })?;
        self.send(&[chunk(COOKIE_ECHO, 0, &cookie)])?;
        self.wait("COOKIE ACK", |_, packet| {
            chunks(packet).iter().any(|chunk| chunk.kind == COOKIE_ACK)
        })
    }

    /// Waits until `done` accepts a packet.
    fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Self, &[u8]) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let packets = self.receive()?;
            self.flush()?;
            if packets.iter().any(|packet| done(self, packet)) {
                return Ok(());
            }
        }
        Err(format!("timeout: {what}").into())
    }

    /// The SCTP packets that have arrived. Does not block once connected.
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

    /// Whether the target has ended the DTLS session.
    pub(crate) fn is_over(&self) -> bool {
        self.dtls.state() != DtlsState::Connected
    }

    /// Sends a packet with valid tag and checksum.
    pub(crate) fn send(&mut self, chunks: &[Vec<u8>]) -> Result<()> {
        self.send_content(&packet(self.tag, chunks))
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

    /// Sends a datagram as soon as the kernel has room for it.
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
