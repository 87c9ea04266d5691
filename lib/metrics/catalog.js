'use strict';

// The name, unit and description of each metric, and where to find it in the metrics of a worker.
//
// Names follow OpenTelemetry. Prometheus gets them with underscores, the unit and `_total` (see `prometheusName()`), as
// OpenTelemetry's own exporters write them, so one dashboard fits both.

/** @import { Histogram, WorkerMetrics } from '../answers' */

/** @typedef {number | Histogram} Value */

/**
 * @typedef {object} Metric
 * @property {string} name
 * @property {'counter' | 'gauge' | 'histogram'} type
 * @property {string} unit - as UCUM has it: 's', 'By', or what is counted.
 * @property {string} description
 * @property {string} [label] - the label whose values are the members of what `read` returns.
 * @property {boolean} ofWorker - whether each open Worker has a value, with the label `worker`. Otherwise the value is
 * that of all Workers together, closed ones included.
 * @property {(metrics: WorkerMetrics) => Value | Record<string, Value> | undefined} read
 */

/**
 * @param {Metric['type']} type
 * @param {boolean} ofWorker
 */
const define =
  (type, ofWorker) =>
  /**
   * @param {string} name
   * @param {string} unit
   * @param {string} description
   * @param {Metric['read']} read
   * @param {string} [label]
   * @returns {Metric}
   */
  (name, unit, description, read, label) => ({
    name,
    type,
    unit,
    description,
    label,
    ofWorker,
    read,
  });

const counter = define('counter', false);
const histogram = define('histogram', false);
const workerCounter = define('counter', true);
const workerGauge = define('gauge', true);
const workerHistogram = define('histogram', true);

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
