//! The options of requests, which `lib/` has checked and completed.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::proto::certificate::Fingerprint;
use crate::proto::dtls::DtlsRole;
use crate::proto::message::StreamId;
use crate::proto::overflow::{Overflow, QueuePolicy};
use crate::proto::sctp::CongestionControl;

use super::parameters::{ListenProtocol, SctpStreamParameters};

/// What a worker starts with.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerSettings {
    /// How much to log.
    pub log_level: LogLevel,
    /// The parts that log below errors: `ice`, `dtls`, `sctp`, `message`, `info`. Other tags are for media.
    pub log_tags: Vec<String>,
    /// The first of the ports for transports that name none.
    pub rtc_min_port: u16,
    /// The last of these ports; not below the first.
    pub rtc_max_port: u16,
    /// The most that all queues of the worker may hold together, in charged bytes; no limit if absent.
    pub max_memory: Option<u64>,
    /// The certificate of its DTLS sessions; generated if absent.
    pub dtls_certificate: Option<DtlsCertificate>,
}

/// A certificate and its key, both in PEM and ECDSA.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "see above")]
pub struct DtlsCertificate {
    pub certificate: String,
    pub private_key: String,
}

/// What `worker.updateSettings()` takes; what is absent stays as it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogSettings {
    /// See [`WorkerSettings::log_level`].
    pub log_level: Option<LogLevel>,
    /// See [`WorkerSettings::log_tags`].
    pub log_tags: Option<Vec<String>>,
}

/// `WorkerSettings.logLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Warnings and errors.
    Warn,
    /// Errors only.
    Error,
    /// Nothing.
    None,
}

/// `TransportListenInfo`: where and how to listen.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenInfo {
    /// UDP or TCP.
    pub protocol: ListenProtocol,
    /// The local address.
    pub ip: IpAddr,
    /// The addresses and names that the application shows to peers; may be empty.
    pub announced_addresses: Vec<String>,
    /// Those of this host's addresses to show to peers: after the announced ones, or if there are none.
    pub internal_addresses: Vec<IpAddr>,
    /// The only port to bind, never 0.
    pub port: Option<u16>,
    /// The ports to choose from. With neither a port nor a range the socket gets one of the worker's ports.
    pub port_range: Option<PortRange>,
    /// Socket options.
    pub flags: Flags,
    /// `SO_SNDBUF` in bytes, never 0; the system's if absent.
    pub send_buffer_size: Option<u32>,
    /// `SO_RCVBUF` in bytes, never 0; the system's if absent.
    pub recv_buffer_size: Option<u32>,
}

/// Socket options.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Flags {
    /// On an IPv6 address, accept no IPv4.
    pub ipv6_only: bool,
    /// Let several sockets share the port (`SO_REUSEPORT`).
    pub udp_reuse_port: bool,
}

/// Ports from `min` to `max`, both included; `min` is not above `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "see above")]
pub struct PortRange {
    pub min: u16,
    pub max: u16,
}

/// What `worker.createWebRtcServer()` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebRtcServerOptions {
    /// The addresses to listen on, at least one.
    pub listen_infos: Vec<ListenInfo>,
}

/// The SCTP options of a transport. Sizes are in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SctpOptions {
    /// The largest message that may be sent.
    pub max_send_message_size: u32,
    /// The largest message that the peer may send.
    pub max_receive_message_size: u32,
    /// The limit of queued payload. Once it is reached, further messages are rejected.
    pub send_buffer_size: u32,
    /// The limit of payload queued on one stream, which works in the same way.
    pub per_stream_send_queue_limit: u32,
    /// The receive window that is asked for; see [`receive_window`](crate::proto::sctp::SctpConfig::receive_window).
    pub max_receiver_window_buffer_size: u32,
    /// The threshold of `bufferedamountlow` that a DataConsumer starts with.
    pub buffered_amount_low_threshold: u32,
    /// Which algorithm sets the congestion window.
    pub congestion_control: CongestionControl,
    /// Milliseconds of silence after which the peer counts as gone. Absent for WebRTC, where ICE consent notices that.
    pub silence: Option<u32>,
}

/// What `router.createWebRtcTransport()` takes; its WebRtcServer is an argument of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebRtcTransportOptions {
    /// Where to listen, whatever the protocol. `None` with a WebRtcServer.
    pub listen_infos: Option<Vec<ListenInfo>>,
    /// With a WebRtcServer: offer UDP candidates.
    pub enable_udp: bool,
    /// With a WebRtcServer: offer TCP candidates.
    pub enable_tcp: bool,
    /// With a WebRtcServer: rank UDP candidates higher.
    pub prefer_udp: bool,
    /// With a WebRtcServer: rank TCP candidates higher.
    pub prefer_tcp: bool,
    /// Seconds without a valid STUN request after which the peer counts as gone; 0 for never.
    pub ice_consent_timeout: u16,
    /// The SCTP options. Without them the transport has no SCTP.
    pub sctp: Option<SctpOptions>,
    /// How much all its DataProducers may receive together.
    pub limit: Option<LimitOptions>,
}

impl WebRtcTransportOptions {
    /// Whether to offer the candidates of a WebRtcServer that have this protocol.
    pub fn enables(&self, protocol: ListenProtocol) -> bool {
        match protocol {
            ListenProtocol::Udp => self.enable_udp,
            ListenProtocol::Tcp => self.enable_tcp,
        }
    }

    /// The [`Self::listen_infos`], each with its place in the list.
    pub fn numbered_listen_infos(&self) -> Vec<(usize, &ListenInfo)> {
        self.listen_infos.iter().flatten().enumerate().collect()
    }
}

/// What `router.createPlainTransport()` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlainTransportOptions {
    /// Where to listen.
    pub listen_info: ListenInfo,
    /// Learn the remote address from the peer that opens an association, instead of by `connect()`.
    pub comedia: bool,
    /// The SCTP options. Without them the transport has no SCTP.
    pub sctp: Option<SctpOptions>,
    /// How much all its DataProducers may receive together.
    pub limit: Option<LimitOptions>,
}

/// What `router.createPipeTransport()` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipeTransportOptions {
    /// Where to listen.
    pub listen_info: ListenInfo,
    /// Encrypt by DTLS.
    pub enable_dtls: bool,
    /// The SCTP options. Without them the transport has no SCTP.
    pub sctp: Option<SctpOptions>,
}

/// What `router.createDirectTransport()` takes. Sizes are in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectTransportOptions {
    /// The largest message that its DataConsumers deliver to JavaScript; larger ones are dropped.
    pub max_send_message_size: u32,
    /// The largest message that JavaScript may send.
    pub max_receive_message_size: u32,
}

/// What `webRtcTransport.connect()` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebRtcConnectOptions {
    /// The peer's side of DTLS.
    pub dtls_parameters: DtlsParameters,
}

/// The peer's DTLS role and the fingerprints of its certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DtlsParameters {
    /// The role of the remote side.
    pub role: DtlsRole,
    /// The fingerprints, at least one. The peer's certificate must match one of them.
    pub fingerprints: Vec<Fingerprint>,
}

/// What `connect()` of a plain or pipe transport takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UdpConnectOptions {
    /// The remote address.
    pub ip: IpAddr,
    /// The remote port.
    pub port: u16,
    /// The peer's side of DTLS, if the transport encrypts.
    pub dtls_parameters: Option<DtlsParameters>,
}

/// What `transport.produceData()` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataProducerOptions {
    /// The id to use instead of a fresh one.
    pub id: Option<Uuid>,
    /// The data channel's label.
    pub label: String,
    /// The data channel's sub-protocol.
    pub protocol: String,
    /// Start paused.
    pub paused: bool,
    /// What happens to messages that come during a pause.
    pub while_paused: WhilePaused,
    /// Behind a pipe: whether the DataProducer at the other end was paused when its DataConsumer was made.
    pub origin_paused: bool,
    /// The peer's stream. Required unless the transport is direct.
    pub sctp_stream_parameters: Option<SctpStreamParameters>,
    /// Which of these options to take from the channel, if the peer has opened one on the stream in band.
    pub from_channel: FromChannel,
    /// Keep the last messages for the DataConsumers that come later.
    pub retain: Option<RetainOptions>,
    /// How much the DataProducer may receive.
    pub limit: Option<LimitOptions>,
}

/// How much a DataProducer, or all DataProducers of a transport, may receive; at least one of the two rates is given.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitOptions {
    /// Messages per second, at least one.
    pub messages_per_second: Option<u32>,
    /// Payload bytes per second, at least one.
    pub bytes_per_second: Option<u32>,
    /// How many seconds' worth may come at once; above 0.
    pub burst: f64,
    /// What happens to the DataProducer if a message exceeds the limit.
    pub action: LimitAction,
}

/// `limit.action`. The message itself is dropped, unless it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitAction {
    /// Nothing.
    Drop,
    /// It is paused, until the application resumes it.
    Pause,
    /// It is closed.
    Close,
    /// It waits, and the message with it.
    Block,
}

/// Options of a DataProducer that the application has not given, and that are taken from the channel.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "named as the options; the reliability is that of the stream")]
pub struct FromChannel {
    pub label: bool,
    pub protocol: bool,
    pub reliability: bool,
}

/// What happens to messages that come during a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhilePaused {
    /// They are dropped.
    Drop,
    /// They wait for `resume()`.
    Hold,
}

/// Which messages a DataProducer retains: the last ones, within each of these bounds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetainOptions {
    /// How many; at least one.
    pub messages: u32,
    /// Their charge in bytes.
    pub bytes: u32,
    /// Milliseconds after which new DataConsumers no longer get a message.
    pub max_age: Option<u32>,
}

/// What `dataProducer.moveTo()` takes, beside the transport.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveOptions {
    /// The far end's stream on the other transport.
    pub sctp_stream_parameters: SctpStreamParameters,
}

/// What `transport.consumeData()` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataConsumerOptions {
    /// The DataProducer.
    pub data_producer_id: Uuid,
    /// Start paused.
    pub paused: bool,
    /// What happens to messages that come during a pause.
    pub while_paused: WhilePaused,
    /// The subchannels to subscribe to; duplicates count once.
    pub subchannels: Vec<u16>,
    /// On a pipe: carry messages with subchannels only if it is subscribed to one of them, even if it has no
    /// subscriptions.
    pub strict_subchannels: bool,
    /// Overrides the DataProducer's order.
    pub ordered: Option<bool>,
    /// Overrides the DataProducer's limit; milliseconds.
    pub max_packet_life_time: Option<u16>,
    /// Overrides the DataProducer's limit.
    pub max_retransmits: Option<u16>,
    /// Use this stream instead of the next free one.
    pub stream_id: Option<StreamId>,
    /// Whether the application agrees on the channel with the peer. If not, we open it in band.
    pub negotiated: bool,
    /// Get the retained messages of the DataProducer first.
    pub retained: bool,
    /// Deliver nothing until `start()`: the far end of the pipe does not exist yet.
    pub waits_for_start: bool,
    /// What happens at the bound of the queue. Without it the new message is dropped.
    pub overflow: Option<Overflow>,
    /// The bound of the queue towards a peer, in charged bytes, instead of the transport's. (That of a direct one comes
    /// with its backlog.)
    pub max_buffered_amount: Option<u32>,
    /// Drop what has waited longer; milliseconds.
    pub max_queue_delay: Option<u32>,
    /// For how long it may hold up its DataProducer within a minute, if that is the policy; milliseconds. No limit if
    /// absent.
    pub overflow_timeout: Option<u32>,
}

impl DataConsumerOptions {
    /// The policy of the queue: `None` if no part of it is given and the queue does not hold messages.
    pub fn queue_policy(&self) -> Option<QueuePolicy> {
        let policy = QueuePolicy {
            overflow: self.overflow.unwrap_or_default(),
            bound: self.max_buffered_amount.map(|bytes| bytes as usize),
            max_delay: self.max_queue_delay.map(|ms| Duration::from_millis(ms.into())),
        };
        let holds = self.while_paused == WhilePaused::Hold;
        (holds || self.overflow.is_some() || policy != QueuePolicy::default()).then_some(policy)
    }
}
