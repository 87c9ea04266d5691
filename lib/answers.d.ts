// The worker's answers to requests, as far as index.d.ts does not show them to the application. Each has the name of
// its Rust struct; `__test__/types/answers.ts` compares the two.

import type {
  DtlsFingerprint,
  DtlsRole,
  IceCandidate,
  IceParameters,
  SctpParameters,
  TransportTuple,
} from '..';

export type WorkerAnswer = { dtlsFingerprints: DtlsFingerprint[] };

export type CreatedAnswer = { id: string };

export type WebRtcTransportAnswer = {
  id: string;
  iceParameters: IceParameters;
  iceCandidates: IceCandidate[];
  /** Undefined if SCTP is not enabled. */
  sctpParameters?: SctpParameters;
};

export type UdpTransportAnswer = {
  id: string;
  tuple: TransportTuple;
  /** Undefined if SCTP is not enabled. */
  sctpParameters?: SctpParameters;
};

export type WebRtcConnectAnswer = { dtlsLocalRole: DtlsRole };

export type UdpConnectAnswer = {
  tuple: TransportTuple;
  /** Undefined if the transport does not encrypt. */
  dtlsLocalRole?: DtlsRole;
};

/** Durations in seconds: `counts` has one more member than `bounds`, for longer ones. */
export type Histogram = { bounds: number[]; counts: number[]; sum: number };

type ByNetwork = { webrtc: number; plain: number; pipe: number };

type Retransmissions = { rack: number; probe: number; timeout: number; bundled: number };

/** Counters since the start of the worker, and what is open now. */
export type WorkerMetrics = {
  routers: number;
  webRtcServers: number;
  transports: ByNetwork & { direct: number };
  dataProducers: number;
  dataConsumers: number;
  messagesReceived: number;
  messageBytesReceived: number;
  messagesSent: number;
  messageBytesSent: number;
  messagesSentDirectly: number;
  messageBytesSentDirectly: number;
  messagesRejected: number;
  messagesSkipped: { producer_paused: number; consumer_paused: number; filtered: number };
  messagesDropped: {
    limited: number;
    full: number;
    replaced: number;
    stale: number;
    too_large: number;
    unsendable: number;
    expired: number;
    abandoned: number;
    unsent: number;
    discarded: number;
    unrouted: number;
    garbled: number;
    at_close: number;
  };
  bytesReceived: ByNetwork;
  bytesSent: ByNetwork;
  datagramsRejected: { transport: number; server: number };
  dtlsRecordsDropped: number;
  sctpPacketsDropped: { malformed: number; foreign: number; unexpected: number; overload: number };
  sctpChunksStripped: number;
  sctpChunksRetransmitted: Retransmissions;
  sctpBytesRetransmitted: Retransmissions;
  sctpSpuriousRetransmissions: number;
  sctpRoundTrips: Histogram;
  queueDelays: Histogram;
  queuedBytes: number;
  /** Undefined without `maxMemory`. */
  memory?: { bytesHeld: number; messagesDroppedMemory: number };
  datagramsUnsent: number;
  datagramsOverflowed: number;
  datagramsUnanswerable: number;
  tcpConnectionsDropped: number;
  eventsMerged: number;
  logLinesDropped: number;
  /** In seconds. */
  cpuTime: { user: number; system: number };
  turns: Histogram;
  javaScriptDelays: Histogram;
};
