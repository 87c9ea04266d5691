'use strict';

// The name, unit and description of each metric, and where to find it in the metrics of a Worker or a Cluster.
//
// Names follow OpenTelemetry. Prometheus gets them with underscores, the unit and `_total` (see `prometheusName()`), as
// OpenTelemetry's own exporters write them, so one dashboard fits both.

/** @import { Histogram, WorkerMetrics } from '../answers' */
/** @import { ClusterCounters, ClusterGauges } from '../cluster/types' */

/** @typedef {number | Histogram} Value */

/**
 * What a value is of: all Workers together, closed ones included; one open Worker, with the label `worker`; all
 * Clusters together; or one open Cluster, with its gateway's label `worker`.
 *
 * @typedef {'workers' | 'worker' | 'clusters' | 'cluster'} Scope
 */

/** @typedef {Value | Record<string, Value> | undefined} Read */

/**
 * @typedef {object} Metric
 * @property {string} name
 * @property {'counter' | 'gauge' | 'histogram'} type
 * @property {string} unit - as UCUM has it: 's', 'By', or what is counted.
 * @property {string} description
 * @property {string} [label] - the label whose values are the members of what `read` returns.
 * @property {Scope} scope
 * @property {(metrics: any) => Read} read
 */

/**
 * @template T - what has the value.
 * @typedef {(name: string, unit: string, description: string, read: (metrics: T) => Read, label?: string) => Metric} Define
 */

/** @type {(type: Metric['type'], scope: Scope) => Define<any>} */
const define = (type, scope) => (name, unit, description, read, label) => ({
  name,
  type,
  unit,
  description,
  label,
  scope,
  read,
});

/** @type {Define<WorkerMetrics>} */
const counter = define('counter', 'workers');
/** @type {Define<WorkerMetrics>} */
const histogram = define('histogram', 'workers');
/** @type {Define<WorkerMetrics>} */
const workerCounter = define('counter', 'worker');
/** @type {Define<WorkerMetrics>} */
const workerGauge = define('gauge', 'worker');
/** @type {Define<WorkerMetrics>} */
const workerHistogram = define('histogram', 'worker');
/** @type {Define<ClusterCounters>} */
const clusterCounter = define('counter', 'clusters');
/** @type {Define<ClusterGauges>} */
const clusterGauge = define('gauge', 'cluster');

/** @type {Metric[]} */
const CATALOG = [
  workerGauge('datasoup.workers', '{worker}', 'Workers that are open: 1 for each.', () => 1),
  workerCounter(
    'datasoup.worker.cpu.time',
    's',
    "CPU time of the Worker's thread.",
    (it) => it.cpuTime,
    'mode',
  ),
  workerHistogram(
    'datasoup.worker.turn.duration',
    's',
    "Time of each turn of the Worker's thread. The sum is the time that the thread was busy.",
    (it) => it.turns,
  ),
  workerGauge(
    'datasoup.worker.memory',
    'By',
    'Bytes that all queues of a Worker with maxMemory hold, with 64 for each message.',
    (it) => it.memory?.bytesHeld,
  ),
  workerGauge(
    'datasoup.send_queue',
    'By',
    'Payload that waits in the queues of SCTP associations.',
    (it) => it.queuedBytes,
  ),
  workerGauge('datasoup.routers', '{router}', 'Routers that are open.', (it) => it.routers),
  workerGauge(
    'datasoup.webrtc_servers',
    '{server}',
    'WebRtcServers that are open.',
    (it) => it.webRtcServers,
  ),
  workerGauge(
    'datasoup.transports',
    '{transport}',
    'Transports that are open.',
    (it) => it.transports,
    'type',
  ),
  workerGauge(
    'datasoup.data_producers',
    '{producer}',
    'DataProducers that are open.',
    (it) => it.dataProducers,
  ),
  workerGauge(
    'datasoup.data_consumers',
    '{consumer}',
    'DataConsumers that are open.',
    (it) => it.dataConsumers,
  ),
  counter(
    'datasoup.messages.received',
    '{message}',
    'Messages that DataProducers have received, while paused as well.',
    (it) => it.messagesReceived,
  ),
  counter(
    'datasoup.payload.received',
    'By',
    'Payload of the messages that DataProducers have received.',
    (it) => it.messageBytesReceived,
  ),
  counter(
    'datasoup.messages.sent',
    '{message}',
    'Messages that were accepted for a peer or for JavaScript, once for each DataConsumer.',
    (it) => ({ data_producer: it.messagesSent, application: it.messagesSentDirectly }),
    'source',
  ),
  counter(
    'datasoup.payload.sent',
    'By',
    'Payload of the messages that were accepted, once for each DataConsumer.',
    (it) => ({ data_producer: it.messageBytesSent, application: it.messageBytesSentDirectly }),
    'source',
  ),
  counter(
    'datasoup.messages.skipped',
    '{message}',
    'Messages that a DataConsumer was not meant to get; those of a paused DataProducer count once.',
    (it) => it.messagesSkipped,
    'reason',
  ),
  counter(
    'datasoup.messages.dropped',
    '{message}',
    'Messages that are lost; those that were routed, once for each DataConsumer. Some of the abandoned ones may have arrived.',
    (it) => it.messagesDropped,
    'reason',
  ),
  counter(
    'datasoup.messages.rejected',
    '{message}',
    'Messages of dataConsumer.send() that the Worker rejected.',
    (it) => it.messagesRejected,
  ),
  counter(
    'datasoup.memory.refusals',
    '{message}',
    'Messages that were refused because of maxMemory; for DataConsumers they count as dropped as well.',
    (it) => it.memory?.messagesDroppedMemory,
  ),
  histogram(
    'datasoup.queue.delay',
    's',
    'How long messages have waited in the queue of their DataConsumer; one message in 64.',
    (it) => ({ peer: it.queueDelays, javascript: it.javaScriptDelays }),
    'to',
  ),
  counter(
    'datasoup.network.received',
    'By',
    'Bytes of the datagrams that have arrived from peers.',
    (it) => it.bytesReceived,
    'type',
  ),
  counter(
    'datasoup.network.sent',
    'By',
    'Bytes of the datagrams that were sent to peers.',
    (it) => it.bytesSent,
    'type',
  ),
  counter(
    'datasoup.datagrams.dropped',
    '{datagram}',
    'Datagrams that were dropped, in both directions.',
    (it) => ({
      not_from_peer: it.datagramsRejected.transport,
      no_transport: it.datagramsRejected.server,
      unsent: it.datagramsUnsent,
      overflowed: it.datagramsOverflowed,
      unanswerable: it.datagramsUnanswerable,
    }),
    'reason',
  ),
  counter(
    'datasoup.tcp_connections.dropped',
    '{connection}',
    'TCP connections that were closed because no valid STUN request came, or a frame was too long.',
    (it) => it.tcpConnectionsDropped,
  ),
  counter(
    'datasoup.dtls.records.dropped',
    '{record}',
    'Inbound records that DTLS dropped.',
    (it) => it.dtlsRecordsDropped,
  ),
  counter(
    'datasoup.sctp.packets.dropped',
    '{packet}',
    'Inbound packets that SCTP dropped.',
    (it) => it.sctpPacketsDropped,
    'reason',
  ),
  counter(
    'datasoup.sctp.chunks.stripped',
    '{chunk}',
    'Chunks that were removed from inbound packets.',
    (it) => it.sctpChunksStripped,
  ),
  counter(
    'datasoup.sctp.chunks.retransmitted',
    '{chunk}',
    'DATA chunks that were sent again.',
    (it) => it.sctpChunksRetransmitted,
    'cause',
  ),
  counter(
    'datasoup.sctp.retransmitted',
    'By',
    'Payload that was sent again.',
    (it) => it.sctpBytesRetransmitted,
    'cause',
  ),
  counter(
    'datasoup.sctp.retransmissions.spurious',
    '{chunk}',
    'DATA chunks that were sent again although they had arrived.',
    (it) => it.sctpSpuriousRetransmissions,
  ),
  histogram(
    'datasoup.sctp.round_trip_time',
    's',
    'Smoothed round-trip times, of each association at most one a second.',
    (it) => it.sctpRoundTrips,
  ),
  counter(
    'datasoup.events.merged',
    '{event}',
    'Events that were merged into later ones, because JavaScript was busy.',
    (it) => it.eventsMerged,
  ),
  counter(
    'datasoup.log_lines.dropped',
    '{line}',
    'Lines of the log that were dropped, because JavaScript was busy.',
    (it) => it.logLinesDropped,
  ),
  clusterGauge(
    'datasoup.clusters',
    '{cluster}',
    'Clusters that are open: 1 for each, by the Worker of its gateway.',
    () => 1,
  ),
  clusterGauge(
    'datasoup.cluster.bus_down',
    '{cluster}',
    'Clusters that have not heard themselves over the bus for a lease: 0 or 1 for each.',
    (it) => it.busDown,
  ),
  clusterGauge(
    'datasoup.cluster.hosts',
    '{host}',
    'Other hosts that share a room with this one.',
    (it) => it.hosts,
  ),
  clusterGauge('datasoup.cluster.rooms', '{room}', 'Rooms that are joined.', (it) => it.rooms),
  clusterGauge(
    'datasoup.cluster.data_producers',
    '{producer}',
    'DataProducers that are announced in the joined rooms, once for each room.',
    (it) => it.dataProducers,
    'origin',
  ),
  clusterGauge(
    'datasoup.cluster.paths',
    '{path}',
    'DataProducers of other hosts that are consumed here.',
    (it) => it.paths,
  ),
  clusterGauge(
    'datasoup.cluster.pipes',
    '{pipe}',
    'Pipes from and to other hosts that messages can pass.',
    (it) => it.pipes,
    'direction',
  ),
  clusterGauge(
    'datasoup.cluster.pipes_down',
    '{pipe}',
    'Hosts that something is wanted from, and no message can come from.',
    (it) => it.pipesDown,
  ),
  clusterGauge(
    'datasoup.cluster.pipes_over_bus',
    '{pipe}',
    'Pipes whose datagrams go over the bus, as UDP does not work.',
    (it) => it.pipesOverBus,
    'direction',
  ),
  clusterCounter(
    'datasoup.cluster.over_bus.sent',
    'By',
    'Bytes of the datagrams of pipes that were published on the bus.',
    (it) => it.overBus.bytesSent,
  ),
  clusterCounter(
    'datasoup.cluster.over_bus.received',
    'By',
    'Bytes of the datagrams of pipes that have come from the bus.',
    (it) => it.overBus.bytesReceived,
  ),
  clusterCounter(
    'datasoup.cluster.over_bus.datagrams_dropped',
    '{datagram}',
    'Datagrams of pipes over the bus that the bus or the pipe did not take. SCTP sends them again.',
    (it) => it.overBus.datagramsDropped,
  ),
  clusterCounter(
    'datasoup.cluster.pipe_failures',
    '{pipe}',
    'Pipes from other hosts that have failed, or could not be made.',
    (it) => it.pipeFailures,
  ),
  clusterCounter(
    'datasoup.cluster.messages_missed',
    '{message}',
    'Messages that were lost with a path that failed, at most.',
    (it) => it.messagesMissed,
  ),
  clusterCounter(
    'datasoup.cluster.hosts_gone',
    '{host}',
    'Hosts that are gone.',
    (it) => it.hostsGone,
    'reason',
  ),
  clusterCounter(
    'datasoup.cluster.bus_outages',
    '{outage}',
    'How often a Cluster had not heard itself over the bus for a lease.',
    (it) => it.busOutages,
  ),
  clusterCounter(
    'datasoup.cluster.resyncs',
    '{resync}',
    'How often a Cluster has said its state again, as messages of the bus may have been lost.',
    (it) => it.resyncs,
  ),
  clusterCounter(
    'datasoup.cluster.control_messages.sent',
    '{message}',
    'Control messages that were published on the bus.',
    (it) => it.controlSent,
    'type',
  ),
  clusterCounter(
    'datasoup.cluster.control_messages.received',
    '{message}',
    'Control messages that have come from the bus and were accepted, own ones included.',
    (it) => it.controlReceived,
    'type',
  ),
  clusterCounter(
    'datasoup.cluster.control_messages.unsent',
    '{message}',
    'Control messages that the bus has lost.',
    (it) => it.controlUnsent,
  ),
  clusterCounter(
    'datasoup.cluster.control_messages.refused',
    '{message}',
    'Control messages that have come from the bus and were refused.',
    (it) => it.controlRefused,
    'reason',
  ),
  clusterCounter(
    'datasoup.cluster.control.sent',
    'By',
    'Bytes of the control messages that were published on the bus.',
    (it) => it.controlBytesSent,
  ),
  clusterCounter(
    'datasoup.cluster.control.received',
    'By',
    'Bytes of the control messages that have come from the bus.',
    (it) => it.controlBytesReceived,
  ),
];

/** @type {Record<string, string>} */
const UNIT_SUFFIXES = { s: '_seconds', By: '_bytes' };

/**
 * @param {Metric} metric
 * @returns {string} as the OpenTelemetry specification makes it: compatibility/prometheus_and_openmetrics.
 */
function prometheusName({ name, type, unit }) {
  const suffix = (UNIT_SUFFIXES[unit] ?? '') + (type === 'counter' ? '_total' : '');

  return name.replaceAll('.', '_') + suffix;
}

exports.CATALOG = CATALOG;
exports.prometheusName = prometheusName;
