//! A worker without its runtime, and short ways to create entities in it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datasoup::proto::certificate::{Certificate, Fingerprint};
use datasoup::proto::message::{Message, Ppid};
use datasoup::proto::net::SocketId;
use datasoup::sfu::Sfu;
use datasoup::sfu::address::Listen;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::answers::WebRtcTransportAnswer;
use datasoup::sfu::contract::dump::DataConsumerDump;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, PipeTransportOptions, PlainTransportOptions,
    WebRtcTransportOptions,
};
use datasoup::sfu::contract::parameters::ListenProtocol;
use datasoup::sfu::direct_queue::Taken;
use datasoup::sfu::error::Result;
use datasoup::sfu::event::{DataConsumerEvent, DataProducerEvent, Event, TransportEvent};
use datasoup::sfu::id::{
    DataConsumerKey, DataProducerKey, RouterKey, TransportKey, WebRtcServerKey,
};
use datasoup::sfu::transport::webrtc::WebRtcListen;
use uuid::Uuid;

use super::options;

/// A worker without its runtime: the domain, and the address of each socket.
pub(crate) struct Host {
    pub(crate) sfu: Sfu,
    /// The time of the last turn.
    pub(crate) now: Instant,
    pub(crate) sockets: HashMap<SocketId, SocketAddr>,
    /// Events that no test has taken yet.
    pub(crate) events: Vec<Event>,
    /// Sockets that the worker has released.
    pub(crate) released: Vec<SocketId>,
    /// The fingerprints of the worker's certificate.
    pub(crate) fingerprints: Vec<Fingerprint>,
    next: u32,
}

impl Host {
    pub(crate) fn new(now: Instant) -> Self {
        let certificate = Certificate::generate().expect("a certificate");
        Self {
            fingerprints: certificate.fingerprints(),
            sfu: Sfu::new(certificate, now, Duration::from_secs(1000)),
            now,
            sockets: HashMap::new(),
            events: Vec::new(),
            released: Vec::new(),
            next: 1,
        }
    }

    /// A key that no entity has had.
    pub(crate) fn key(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Binds a socket.
    pub(crate) fn listen(&mut self, address: SocketAddr) -> Listen {
        let socket = SocketId(self.key());
        self.sockets.insert(socket, address);
        Listen {
            socket,
            protocol: ListenProtocol::Udp,
            local: address,
            announced_addresses: Vec::new(),
            internal_addresses: vec![address.ip()],
            index: 0,
        }
    }

    /// The socket that is bound to `address`.
    pub(crate) fn socket(&self, address: SocketAddr) -> SocketId {
        let bound = self.sockets.iter().find(|(_, bound)| **bound == address);
        *bound.expect("bound").0
    }

    pub(crate) fn router(&mut self) -> RouterKey {
        let key = RouterKey(self.key());
        self.sfu.create_router(key);
        key
    }

    pub(crate) fn server(&mut self, address: SocketAddr) -> WebRtcServerKey {
        let key = WebRtcServerKey(self.key());
        let listen = self.listen(address);
        self.sfu.create_webrtc_server(key, vec![listen]);
        key
    }

    pub(crate) fn direct(&mut self, router: RouterKey) -> TransportKey {
        let key = TransportKey(self.key());
        self.sfu.router(router).expect("open").create_direct_transport(key, &options::direct());
        key
    }

    pub(crate) fn plain(
        &mut self,
        router: RouterKey,
        listen: Listen,
        options: &PlainTransportOptions,
    ) -> TransportKey {
        let key = TransportKey(self.key());
        self.sfu.router(router).expect("open").create_plain_transport(key, options, listen);
        key
    }

    pub(crate) fn pipe(
        &mut self,
        router: RouterKey,
        listen: Listen,
        options: &PipeTransportOptions,
    ) -> TransportKey {
        let key = TransportKey(self.key());
        self.sfu.router(router).expect("open").create_pipe_transport(key, options, listen);
        key
    }

    /// Sets the remote address of a plain or pipe transport.
    pub(crate) fn connect_udp(&mut self, transport: TransportKey, to: SocketAddr) {
        let mut transport = self.sfu.transport(transport).expect("open");
        transport.connect_udp(options::udp_connect(to)).expect("the first time");
    }

    pub(crate) fn webrtc_with(
        &mut self,
        router: RouterKey,
        listen: WebRtcListen,
        options: WebRtcTransportOptions,
    ) -> (TransportKey, WebRtcTransportAnswer) {
        let key = TransportKey(self.key());
        let answer = self
            .sfu
            .router(router)
            .expect("open")
            .create_webrtc_transport(key, &options, listen)
            .expect("a transport");
        (key, answer)
    }

    pub(crate) fn produce(&mut self, transport: TransportKey, stream_id: u16) -> DataProducerKey {
        self.produce_with(transport, options::producer_on(stream_id))
    }

    pub(crate) fn produce_with(
        &mut self,
        transport: TransportKey,
        options: DataProducerOptions,
    ) -> DataProducerKey {
        let key = DataProducerKey(self.key());
        let mut transport = self.sfu.transport(transport).expect("open");
        transport.produce_data(key, options, options::backlog()).expect("a producer");
        key
    }

    pub(crate) fn producer_id(&mut self, key: DataProducerKey) -> Uuid {
        self.sfu.data_producer(key).expect("open").dump().id
    }

    pub(crate) fn consume(
        &mut self,
        transport: TransportKey,
        producer: DataProducerKey,
    ) -> (DataConsumerKey, DataConsumerDump) {
        self.consume_with(transport, producer, options::consumer())
    }

    /// Creates a DataConsumer of `producer`. This function sets the DataProducer's id in `options`.
    pub(crate) fn consume_with(
        &mut self,
        transport: TransportKey,
        producer: DataProducerKey,
        options: DataConsumerOptions,
    ) -> (DataConsumerKey, DataConsumerDump) {
        self.consume_into(transport, producer, options, options::backlog())
    }

    pub(crate) fn consume_into(
        &mut self,
        transport: TransportKey,
        producer: DataProducerKey,
        options: DataConsumerOptions,
        backlog: Arc<Backlog>,
    ) -> (DataConsumerKey, DataConsumerDump) {
        let key = DataConsumerKey(self.key());
        let options =
            DataConsumerOptions { data_producer_id: self.producer_id(producer), ..options };
        let mut transport = self.sfu.transport(transport).expect("open");
        (key, transport.consume_data(key, options, backlog).expect("a consumer"))
    }

    /// Takes the messages that a direct consumer has emitted, or that wait in its queue.
    pub(crate) fn messages(&mut self, consumer: DataConsumerKey) -> Vec<Message> {
        let now = self.now;
        let taken = self.take(|event| match event {
            Event::Message(key, message) if *key == consumer => Some(Some(message.clone())),
            Event::Queued(key, token) if *key == consumer => match token.take(now) {
                Taken::Message(message, _) => Some(Some(message)),
                Taken::Ready | Taken::Nothing => Some(None),
            },
            _ => None,
        });
        taken.into_iter().flatten().collect()
    }

    pub(crate) fn consumer_events(&mut self, consumer: DataConsumerKey) -> Vec<DataConsumerEvent> {
        self.take(|event| match event {
            Event::DataConsumer(key, event) if *key == consumer => Some(event.clone()),
            _ => None,
        })
    }

    pub(crate) fn producer_events(&mut self, producer: DataProducerKey) -> Vec<DataProducerEvent> {
        self.take(|event| match event {
            Event::DataProducer(key, event) if *key == producer => Some(*event),
            _ => None,
        })
    }

    pub(crate) fn transport_events(&mut self, transport: TransportKey) -> Vec<TransportEvent> {
        self.take(|event| match event {
            Event::Transport(key, event) if *key == transport => Some(event.clone()),
            _ => None,
        })
    }

    /// Takes the answer to a request of `drained()`, if it has come.
    pub(crate) fn drained(&mut self, request: u32) -> Option<Result<()>> {
        let answers = self.take(|event| match event {
            Event::Drained(answered, result) if *answered == request => {
                Some(result.clone().map_err(|error| *error))
            }
            _ => None,
        });
        answers.into_iter().next()
    }

    /// Takes the events that `pick` wants, in order.
    fn take<T>(&mut self, mut pick: impl FnMut(&Event) -> Option<T>) -> Vec<T> {
        let mut taken = Vec::new();
        self.events.retain(|event| match pick(event) {
            Some(it) => {
                taken.push(it);
                false
            }
            None => true,
        });
        taken
    }

    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.now = now;
        self.sfu.begin_turn(now);
    }

    pub(crate) fn collect(&mut self) {
        while let Some(event) = self.sfu.poll_event() {
            match event {
                Event::SocketReleased(socket) => self.released.push(socket),
                event => self.events.push(event),
            }
        }
    }
}

pub(crate) fn text(text: &str) -> Message {
    Message::new(Ppid::STRING, text.as_bytes().to_vec().into())
}

pub(crate) fn binary(fill: u8, len: usize) -> Message {
    Message::new(Ppid::BINARY, vec![fill; len].into())
}
