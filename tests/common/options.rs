//! Options as `lib/` makes them of a minimal call. Each test changes only the members that it examines.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use datasoup::proto::sctp::CongestionControl;
use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::{
    DataConsumerOptions, DataProducerOptions, DirectTransportOptions, Flags, FromChannel,
    ListenInfo, LogLevel, PipeTransportOptions, PlainTransportOptions, SctpOptions,
    UdpConnectOptions, WebRtcTransportOptions, WhilePaused, WorkerSettings,
};
use datasoup::sfu::contract::parameters::{ListenProtocol, SctpStreamParameters};
use uuid::Uuid;

pub(crate) fn worker() -> WorkerSettings {
    WorkerSettings {
        log_level: LogLevel::Error,
        log_tags: Vec::new(),
        rtc_min_port: 10_000,
        rtc_max_port: 59_999,
        max_memory: None,
        dtls_certificate: None,
    }
}

/// A port of the worker's range on the loopback address.
pub(crate) fn listen_info(protocol: ListenProtocol) -> ListenInfo {
    ListenInfo {
        protocol,
        ip: "127.0.0.1".parse().expect("an address"),
        announced_addresses: Vec::new(),
        internal_addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: None,
        port_range: None,
        flags: Flags { ipv6_only: false, udp_reuse_port: false },
        send_buffer_size: None,
        recv_buffer_size: (protocol == ListenProtocol::Udp).then_some(2 * 1024 * 1024),
    }
}

pub(crate) fn sctp() -> SctpOptions {
    SctpOptions {
        max_send_message_size: 262_144,
        max_receive_message_size: 262_144,
        send_buffer_size: 2_000_000,
        per_stream_send_queue_limit: 2_000_000,
        max_receiver_window_buffer_size: 5_242_880,
        buffered_amount_low_threshold: 1024,
        congestion_control: CongestionControl::Cubic,
        silence: Some(55_000),
    }
}

/// A WebRtcTransport with UDP and SCTP.
pub(crate) fn webrtc() -> WebRtcTransportOptions {
    WebRtcTransportOptions {
        listen_infos: None,
        enable_udp: true,
        enable_tcp: false,
        prefer_udp: false,
        prefer_tcp: false,
        ice_consent_timeout: 30,
        sctp: Some(SctpOptions { silence: None, ..sctp() }),
        limit: None,
    }
}

/// A PlainTransport with SCTP.
pub(crate) fn plain(comedia: bool) -> PlainTransportOptions {
    let listen_info = listen_info(ListenProtocol::Udp);
    PlainTransportOptions { listen_info, comedia, sctp: Some(sctp()), limit: None }
}

/// A PipeTransport with SCTP.
pub(crate) fn pipe() -> PipeTransportOptions {
    let listen_info = listen_info(ListenProtocol::Udp);
    PipeTransportOptions { listen_info, enable_dtls: false, sctp: Some(sctp()) }
}

/// The options of `connect()` of a plain or pipe transport.
pub(crate) fn udp_connect(to: SocketAddr) -> UdpConnectOptions {
    UdpConnectOptions { ip: to.ip(), port: to.port(), dtls_parameters: None }
}

pub(crate) fn direct() -> DirectTransportOptions {
    DirectTransportOptions { max_send_message_size: 262_144, max_receive_message_size: 262_144 }
}

/// A direct DataProducer.
pub(crate) fn producer() -> DataProducerOptions {
    DataProducerOptions {
        id: None,
        label: String::new(),
        protocol: String::new(),
        paused: false,
        while_paused: WhilePaused::Drop,
        origin_paused: false,
        sctp_stream_parameters: None,
        retain: None,
        limit: None,
        from_channel: FromChannel { label: true, protocol: true, reliability: true },
    }
}

/// A DataProducer on this stream, ordered and reliable.
pub(crate) fn producer_on(stream_id: u16) -> DataProducerOptions {
    let sctp_stream_parameters = Some(SctpStreamParameters {
        stream_id,
        ordered: true,
        max_packet_life_time: None,
        max_retransmits: None,
    });
    DataProducerOptions { sctp_stream_parameters, ..producer() }
}

/// A DataConsumer of the DataProducer with this id.
pub(crate) fn consumer_of(data_producer_id: Uuid) -> DataConsumerOptions {
    DataConsumerOptions { data_producer_id, ..consumer() }
}

/// A DataConsumer whose DataProducer the test sets later.
pub(crate) fn consumer() -> DataConsumerOptions {
    DataConsumerOptions {
        data_producer_id: Uuid::nil(),
        paused: false,
        while_paused: WhilePaused::Drop,
        subchannels: Vec::new(),
        strict_subchannels: false,
        ordered: None,
        max_packet_life_time: None,
        max_retransmits: None,
        stream_id: None,
        negotiated: true,
        retained: true,
        waits_for_start: false,
        overflow: None,
        max_buffered_amount: None,
        max_queue_delay: None,
        overflow_timeout: Some(5000),
    }
}

/// The backlog of a DataProducer or DataConsumer, which its `maxBufferedAmount` limits.
pub(crate) fn backlog() -> Arc<Backlog> {
    Arc::new(Backlog::new(64 << 20))
}
