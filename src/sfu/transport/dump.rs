//! `dump()` and `getStats()` of each kind of transport.

use crate::proto::dtls::Dtls;
use crate::proto::session::Session;
use crate::sfu::contract::dump::{
    DtlsParametersDump, KeyValue, KindDump, SctpDump, SctpListener, TransportDump,
};
use crate::sfu::contract::parameters::NegotiatedStreams;
use crate::sfu::contract::stats::{KindStats, TransportStats};
use crate::sfu::entity::transport::Kind;
use crate::sfu::id::DataProducerKey;

use super::TransportMut;

impl TransportMut<'_> {
    /// Returns the configuration and state of the transport.
    pub fn dump(&mut self) -> TransportDump {
        let transport = &self.sfu.transports[&self.key];
        let producers = &self.sfu.data_producers;
        let id_of = |key: DataProducerKey| producers.get(&key).map(|it| it.id);
        let consumers = &self.sfu.data_consumers;
        let mut streams: Vec<_> = transport
            .producer_streams
            .iter()
            .filter_map(|(&key, producer)| Some(KeyValue { key, value: id_of(*producer)? }))
            .collect();
        streams.sort_by_key(|it| it.key);
        let negotiated = transport.negotiated_streams();
        let sctp =
            transport.sctp_state().zip(transport.sctp_parameters()).map(|(state, it)| SctpDump {
                sctp_parameters: it,
                sctp_state: state,
                sctp_negotiated_capabilities: negotiated
                    .map(NegotiatedStreams::from)
                    .unwrap_or_default(),
                sctp_listener: SctpListener { stream_id_table: streams },
            });
        TransportDump {
            id: transport.id,
            producer_ids: [],
            consumer_ids: [],
            map_ssrc_consumer_id: [],
            map_rtx_ssrc_consumer_id: [],
            data_producer_ids: transport.data_producers.iter().filter_map(id_of).collect(),
            data_consumer_ids: transport
                .data_consumers
                .iter()
                .filter_map(|key| Some(consumers.get(&key)?.id))
                .collect(),
            recv_rtp_header_extensions: Default::default(),
            rtp_listener: Default::default(),
            max_send_message_size: transport.max_send_message_size,
            max_receive_message_size: transport.max_receive_message_size,
            sctp,
            trace_event_types: [],
            kind: self.kind_dump(),
        }
    }

    /// Returns the counters of the transport.
    pub fn get_stats(&mut self) -> TransportStats {
        let (now, timestamp) = (self.sfu.now, self.sfu.timestamp());
        let last_heard = self.get().last_heard().map(|at| self.sfu.timestamp_of(at));
        let kind = self.kind_stats();
        let it = self.get();
        TransportStats {
            transport_id: it.id,
            timestamp,
            sctp_state: it.sctp_state(),
            last_heard,
            bytes_received: it.received.total(),
            recv_bitrate: it.received.bitrate(now),
            bytes_sent: it.sent.total(),
            send_bitrate: it.sent.bitrate(now),
            rtp: Default::default(),
            bitrates: it.bitrates,
            dropped: it.sctp_counters().map(Into::into),
            transmission: it.sctp_transmission().map(Into::into),
            datagrams_dropped: it.datagrams_dropped,
            messages_unrouted: it.messages_unrouted,
            messages_limited: it.limited.messages,
            bytes_limited: it.limited.bytes,
            messages_dropped_unsendable: it.messages_dropped_unsendable,
            messages_discarded: it.discarded.messages,
            bytes_discarded: it.discarded.bytes,
            kind,
        }
    }

    fn kind_dump(&self) -> KindDump {
        match &self.sfu.transports[&self.key].kind {
            Kind::WebRtc(it) => KindDump::WebRtc {
                ice_role: "controlled",
                ice_parameters: it.peer.credentials().into(),
                ice_candidates: it.ice_candidates(),
                ice_state: it.peer.ice_state(),
                ice_selected_tuple: it.selected_tuple(),
                dtls_parameters: self.dtls_parameters(it.peer.session().dtls()),
                dtls_state: it.peer.session().dtls().state(),
            },
            Kind::Plain(it) => {
                KindDump::Plain { rtcp_mux: true, comedia: it.comedia, tuple: it.tuple_info() }
            }
            Kind::Pipe(it) => {
                let dtls = it.path.session().map(Session::dtls);
                KindDump::Pipe {
                    tuple: it.path.tuple_info(),
                    rtx: false,
                    dtls_parameters: dtls.map(|it| self.dtls_parameters(it)),
                    dtls_state: dtls.map(Dtls::state),
                }
            }
            Kind::Direct => KindDump::Direct {},
        }
    }

    fn dtls_parameters(&self, dtls: &Dtls) -> DtlsParametersDump {
        DtlsParametersDump { fingerprints: self.sfu.fingerprints.clone(), role: dtls.local_role() }
    }

    fn kind_stats(&mut self) -> KindStats {
        match &self.get().kind {
            Kind::Direct => KindStats::Direct {},
            Kind::WebRtc(it) => KindStats::WebRtc {
                ice_role: "controlled",
                ice_state: it.peer.ice_state(),
                ice_selected_tuple: it.selected_tuple(),
                dtls_state: it.peer.session().dtls().state(),
                dtls_records_dropped: it.peer.session().dtls().dropped(),
            },
            Kind::Plain(it) => {
                KindStats::Plain { rtcp_mux: true, comedia: it.comedia, tuple: it.tuple_info() }
            }
            Kind::Pipe(it) => {
                let dtls = it.path.session().map(Session::dtls);
                KindStats::Pipe {
                    tuple: it.path.tuple_info(),
                    dtls_state: dtls.map(Dtls::state),
                    dtls_records_dropped: dtls.map(Dtls::dropped),
                }
            }
        }
    }
}
