/**
 * datasoup: the data half of a WebRTC SFU. This file is the public contract of the package, written by hand; `lib/` is
 * checked against it by `tsc -p .`.
 *
 * What holds everywhere:
 *
 * - Sizes and amounts are bytes of payload, times are milliseconds, unless a member says otherwise.
 * - `null` counts as not given. Unknown options are ignored. Options objects are never modified.
 * - Getters that return objects or arrays return copies; `appData` is the application's own object.
 * - Wrong arguments are a `TypeError`: thrown where the method returns a value, the reason of the rejection where it
 *   returns a promise.
 * - A promise of an object that was closed before or meanwhile rejects with {@link errors.NotFoundError}, and with
 *   {@link errors.WorkerClosedError} if its worker was closed.
 * - Calls that are not awaited take effect in the order of the calls.
 */

/// <reference types="node" />

import { EventEmitter } from 'node:events';

// ---------------------------------------------------------------------------------------------------------- The module

/** The version of this package. */
export const version: string;

/** Tells of every new Worker. */
export const observer: Observer;

/**
 * Starts a Worker: a thread of its own that runs everything which is created below it.
 *
 * @throws TypeError: a setting is wrong, a PEM file cannot be read, or certificate and key do not belong together.
 * @throws UnsupportedError: the key is not an ECDSA key.
 */
export function createWorker<WorkerAppData extends AppData = AppData>(
  settings?: WorkerSettings<WorkerAppData>,
): Promise<Worker<WorkerAppData>>;

/**
 * Hands the log lines of the package to the application, in addition to what `debug` prints
 * (`DEBUG=datasoup*`, namespaces `datasoup:*`, `datasoup:WARN:*` and `datasoup:ERROR:*`).
 * A listener that is not given, or a call without argument, ends it.
 */
export function setLogEventListeners(listeners?: LogEventListeners): void;

/** The media that can be routed: none. A fresh object at each call. */
export function getSupportedRtpCapabilities(): RtpCapabilities;

/** The errors of this package. Wrong arguments are a `TypeError`, everything else an `Error`. */
export namespace errors {
  /** What was asked for exists elsewhere (media, RSA keys) but not here. */
  class UnsupportedError extends Error {
    constructor(message: string);
  }

  /** The Worker is closed. */
  class WorkerClosedError extends Error {
    constructor(message: string);
  }

  /** The object does not exist, or no more. */
  class NotFoundError extends Error {
    constructor(message: string);
  }
}

/** Helpers for applications. */
export namespace extras {
  /**
   * An EventEmitter with typed events, any number of listeners, and `safeEmit()`. Every object of this package is one,
   * and so is its `observer`.
   */
  class EnhancedEventEmitter<
    E extends Events = Events,
    E2 extends Events = E & { listenererror: [eventName: keyof E & string, error: Error] },
  > extends EventEmitter {
    constructor();
    emit<K extends keyof E2 & string>(eventName: K, ...args: E2[K]): boolean;
    /**
     * Emits like `emit()`, but never throws: if a listener does, the emitter emits
     * 'listenererror' (eventName, error) and the listeners after it are not called.
     *
     * @returns whether the event had listeners and none of them threw.
     */
    safeEmit<K extends keyof E2 & string>(eventName: K, ...args: E2[K]): boolean;
    on<K extends keyof E2 & string>(eventName: K, listener: (...args: E2[K]) => void): this;
    off<K extends keyof E2 & string>(eventName: K, listener: (...args: E2[K]) => void): this;
    once<K extends keyof E2 & string>(eventName: K, listener: (...args: E2[K]) => void): this;
    addListener<K extends keyof E2 & string>(
      eventName: K,
      listener: (...args: E2[K]) => void,
    ): this;
    removeListener<K extends keyof E2 & string>(
      eventName: K,
      listener: (...args: E2[K]) => void,
    ): this;
    prependListener<K extends keyof E2 & string>(
      eventName: K,
      listener: (...args: E2[K]) => void,
    ): this;
    prependOnceListener<K extends keyof E2 & string>(
      eventName: K,
      listener: (...args: E2[K]) => void,
    ): this;
    removeAllListeners<K extends keyof E2 & string>(eventName?: K): this;
    listenerCount<K extends keyof E2 & string>(eventName: K): number;
    listeners<K extends keyof E2 & string>(eventName: K): ((...args: any[]) => void)[];
    rawListeners<K extends keyof E2 & string>(eventName: K): ((...args: any[]) => void)[];
  }

  /**
   * `once()` of `node:events`, typed: the arguments of the next `eventName`, as in
   * `const [message, ppid] = await enhancedOnce<types.DataConsumerEvents, 'message'>(dataConsumer, 'message')`.
   *
   * @param options - `signal` aborts the wait.
   */
  function enhancedOnce<E extends Events = Events, K extends keyof E & string = keyof E & string>(
    emitter: EnhancedEventEmitter<E>,
    eventName: K,
    options?: { signal?: AbortSignal },
  ): Promise<E[K]>;
}

/** All types of this package under one name, as `types.DataProducer`. */
export type * as types from './index';

// ------------------------------------------------------------------------------------------------------------- Common

/** Data of the application, carried by every object. The package never reads it. */
export type AppData = { [key: string]: unknown };

/** Events by name, each with the arguments of its listeners. */
export type Events = Record<string, any[]>;

export type EnhancedEventEmitter<E extends Events = Events> = extras.EnhancedEventEmitter<E>;
export type UnsupportedError = errors.UnsupportedError;
export type WorkerClosedError = errors.WorkerClosedError;
export type NotFoundError = errors.NotFoundError;

/** Exactly one of two sets of members. */
export type Either<T, U> = Only<T, U> | Only<U, T>;
type Only<T, U> = { [P in keyof T]: T[P] } & { [P in keyof U]?: never };

export type ObserverEvents = {
  newworker: [worker: Worker];
};

export type Observer = EnhancedEventEmitter<ObserverEvents>;

export type LogEventListeners = {
  ondebug?: (namespace: string, log: string) => void;
  onwarn?: (namespace: string, log: string) => void;
  /** `error` is given if the line speaks of one. */
  onerror?: (namespace: string, log: string, error?: Error) => void;
};

/** Media is not routed: both lists are always empty. */
export type RtpCapabilities = {
  codecs: RtpCodecCapability[];
  headerExtensions: RtpHeaderExtension[];
};

export type RouterRtpCapabilities = RtpCapabilities;

/** Accepted where mediasoup takes it, and not looked into. */
export type RtpCodecCapability = { kind: string; mimeType: string; [key: string]: unknown };

export type RouterRtpCodecCapability = RtpCodecCapability;

export type RtpHeaderExtension = { uri: string; [key: string]: unknown };

// ------------------------------------------------------------------------------------------------------------- Worker

export type WorkerLogLevel = 'debug' | 'warn' | 'error' | 'none';

export type WorkerLogTag =
  | 'info'
  | 'ice'
  | 'dtls'
  | 'rtp'
  | 'srtp'
  | 'rtcp'
  | 'rtx'
  | 'bwe'
  | 'score'
  | 'simulcast'
  | 'svc'
  | 'sctp'
  | 'message';

export type WorkerSettings<WorkerAppData extends AppData = AppData> = {
  /** What the worker's thread logs. Default 'error'. */
  logLevel?: WorkerLogLevel;
  /**
   * Which parts of it log below level 'error': 'ice', 'dtls' and 'sctp' the states of transports and what goes wrong,
   * 'message' what is not routed, 'info' the rest. The other tags are about media. Default none.
   */
  logTags?: WorkerLogTag[];
  /**
   * The lowest port that transports without a port of their own are given. 0-65535, default 10000.
   *
   * @deprecated `portRange` of {@link TransportListenInfo}.
   */
  rtcMinPort?: number;
  /**
   * The highest one, not below `rtcMinPort`. 0-65535, default 59999.
   *
   * @deprecated `portRange` of {@link TransportListenInfo}.
   */
  rtcMaxPort?: number;
  /** A PEM file with the certificate of this Worker's DTLS (ECDSA). Default: made when the Worker starts. */
  dtlsCertificateFile?: string;
  /** The PEM file of its private key. Both files or none. */
  dtlsPrivateKeyFile?: string;
  appData?: WorkerAppData;
};

export type WorkerUpdateableSettings<WorkerAppData extends AppData = AppData> = Pick<
  WorkerSettings<WorkerAppData>,
  'logLevel' | 'logTags'
>;

/** Of the worker's thread, in the fields of libuv's uv_rusage_t. */
export type WorkerResourceUsage = {
  /** CPU time in user mode, in milliseconds. */
  ru_utime: number;
  /** CPU time in the kernel, in milliseconds. */
  ru_stime: number;
  /** The largest resident set of the process, in KB. */
  ru_maxrss: number;
  ru_ixrss: number;
  ru_idrss: number;
  ru_isrss: number;
  /** Page faults without and with disk access. */
  ru_minflt: number;
  ru_majflt: number;
  ru_nswap: number;
  ru_inblock: number;
  ru_oublock: number;
  ru_msgsnd: number;
  ru_msgrcv: number;
  ru_nsignals: number;
  /** Context switches, voluntary and involuntary. */
  ru_nvcsw: number;
  ru_nivcsw: number;
};

export type WorkerDump = {
  pid: number;
  /** Datagrams that neither the kernel nor the buffer of a TCP connection took, since the beginning. */
  datagramsUnsent: number;
  /** Datagrams that came faster than they were taken, so that the kernel had no room: see `recvBufferSize`. */
  datagramsOverflowed: number;
  /** Events that were not emitted as the same happened again before JavaScript, which was busy, could be told. */
  eventsMerged: number;
  /** Lines of the worker's log that there were too many of. */
  logLinesDropped: number;
  /**
   * TCP connections that were closed because they had proved nothing in 15 s, had to make room for others before they
   * did, or announced a datagram that cannot be.
   */
  tcpConnectionsDropped: number;
  webRtcServerIds: string[];
  routerIds: string[];
  channelMessageHandlers: {
    channelRequestHandlers: string[];
    channelNotificationHandlers: string[];
  };
};

export type WorkerEvents = {
  /** The thread ended by itself, by a bug. Everything below it is closed. */
  died: [error: Error];
  /** The thread has ended, after `close()` or 'died'. The last event of a Worker. */
  subprocessclose: [];
  '@success': [];
  '@failure': [error: Error];
};

export type WorkerObserverEvents = {
  close: [];
  newwebrtcserver: [webRtcServer: WebRtcServer];
  newrouter: [router: Router];
};

export type WorkerObserver = EnhancedEventEmitter<WorkerObserverEvents>;

/** One thread, and all objects below it. While a Worker is open the process does not exit by itself. */
export interface Worker<
  WorkerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<WorkerEvents> {
  /** The id of the operating system's thread, different for each Worker. */
  readonly pid: number;
  readonly closed: boolean;
  /** Whether the thread ended by itself. */
  readonly died: boolean;
  /** Whether the thread has ended. */
  readonly subprocessClosed: boolean;
  get appData(): WorkerAppData;
  set appData(appData: WorkerAppData);
  readonly observer: WorkerObserver;

  /** Closes its routers and WebRtcServers, says goodbye to the peers, and ends the thread: then 'subprocessclose'. */
  close(): void;
  /** @throws WorkerClosedError */
  dump(): Promise<WorkerDump>;
  /** @throws WorkerClosedError */
  getResourceUsage(): Promise<WorkerResourceUsage>;
  /** @throws TypeError, WorkerClosedError */
  updateSettings(settings?: WorkerUpdateableSettings<WorkerAppData>): Promise<void>;
  /**
   * @throws TypeError: `listenInfos` are missing, empty or wrong.
   * @throws Error: an address cannot be bound.
   * @throws WorkerClosedError
   */
  createWebRtcServer<WebRtcServerAppData extends AppData = AppData>(
    options: WebRtcServerOptions<WebRtcServerAppData>,
  ): Promise<WebRtcServer<WebRtcServerAppData>>;
  /** @throws TypeError, WorkerClosedError */
  createRouter<RouterAppData extends AppData = AppData>(
    options?: RouterOptions<RouterAppData>,
  ): Promise<Router<RouterAppData>>;
  /** `close()`. */
  [Symbol.dispose](): void;
  /** `close()`; resolves once the thread has ended. */
  [Symbol.asyncDispose](): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------- WebRtcServer

export type WebRtcServerOptions<WebRtcServerAppData extends AppData = AppData> = {
  /** At least one. */
  listenInfos: TransportListenInfo[];
  appData?: WebRtcServerAppData;
};

/** @deprecated {@link TransportListenInfo} */
export type WebRtcServerListenInfo = TransportListenInfo;

export type IpPort = { ip: string; port: number };

export type IceUserNameFragment = { localIceUsernameFragment: string; webRtcTransportId: string };

export type WebRtcServerDump = {
  id: string;
  udpSockets: IpPort[];
  tcpServers: IpPort[];
  webRtcTransportIds: string[];
  localIceUsernameFragments: IceUserNameFragment[];
  /** Datagrams on its ports that were for none of its transports. */
  datagramsDropped: number;
};

export type WebRtcServerEvents = {
  workerclose: [];
};

export type WebRtcServerObserverEvents = {
  close: [];
  webrtctransporthandled: [webRtcTransport: WebRtcTransport];
  webrtctransportunhandled: [webRtcTransport: WebRtcTransport];
};

export type WebRtcServerObserver = EnhancedEventEmitter<WebRtcServerObserverEvents>;

/** One UDP and/or TCP port for any number of WebRtcTransports, of all routers of its Worker. */
export interface WebRtcServer<
  WebRtcServerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<WebRtcServerEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  get appData(): WebRtcServerAppData;
  set appData(appData: WebRtcServerAppData);
  readonly observer: WebRtcServerObserver;

  /** Closes its transports, which emit 'listenserverclose', and the sockets. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<WebRtcServerDump>;
  /** `close()`. */
  [Symbol.dispose](): void;
}

// ------------------------------------------------------------------------------------------------------------- Router

export type RouterOptions<RouterAppData extends AppData = AppData> = {
  /** Accepted, with a warning in the log. */
  mediaCodecs?: RouterRtpCodecCapability[];
  appData?: RouterAppData;
};

export type PipeToRouterOptions = {
  /** Media is not routed: UnsupportedError. */
  producerId?: string;
  /** The DataProducer to pipe, one of this router. */
  dataProducerId?: string;
  /** The router to pipe to. */
  router: Router;
  /**
   * Whether the DataProducer over there has the id of the one here. Default true. Within one Worker it must be false.
   */
  keepId?: boolean;
  /** Default true; false makes the call fail. */
  enableSctp?: boolean;
} & SctpOptions &
  Either<
    {
      /** Where both PipeTransports listen. Default UDP on 127.0.0.1. */
      listenInfo?: TransportListenInfo;
    },
    {
      /** @deprecated `listenInfo` */
      listenIp?: TransportListenIp | string;
    }
  >;

export type PipeToRouterResult = {
  /** The DataConsumer on this router. */
  pipeDataConsumer?: DataConsumer;
  /** The DataProducer on the other router. */
  pipeDataProducer?: DataProducer;
};

export type RouterDump = {
  id: string;
  transportIds: string[];
  rtpObserverIds: string[];
  mapProducerIdConsumerIds: { key: string; values: string[] }[];
  mapConsumerIdProducerId: { key: string; value: string }[];
  mapProducerIdObserverIds: { key: string; values: string[] }[];
  mapDataProducerIdDataConsumerIds: { key: string; values: string[] }[];
  mapDataConsumerIdDataProducerId: { key: string; value: string }[];
};

export type RouterEvents = {
  workerclose: [];
};

export type RouterObserverEvents = {
  close: [];
  newtransport: [transport: Transport];
};

export type RouterObserver = EnhancedEventEmitter<RouterObserverEvents>;

/** What is produced on any of its transports can be consumed on any of them. */
export interface Router<
  RouterAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<RouterEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  /** Always empty lists; mediasoup-client's `device.load()` takes them. */
  readonly rtpCapabilities: RtpCapabilities;
  get appData(): RouterAppData;
  set appData(appData: RouterAppData);
  readonly observer: RouterObserver;

  /** Closes its transports, which emit 'routerclose'. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<RouterDump>;
  /**
   * @throws TypeError: wrong options, or nothing to listen on.
   * @throws Error: an address cannot be bound, or the WebRtcServer is closed.
   * @throws NotFoundError, WorkerClosedError
   */
  createWebRtcTransport<WebRtcTransportAppData extends AppData = AppData>(
    options: WebRtcTransportOptions<WebRtcTransportAppData>,
  ): Promise<WebRtcTransport<WebRtcTransportAppData>>;
  /**
   * @throws TypeError: wrong options.
   * @throws Error: the address cannot be bound.
   * @throws UnsupportedError: `enableSrtp`.
   * @throws NotFoundError, WorkerClosedError
   */
  createPlainTransport<PlainTransportAppData extends AppData = AppData>(
    options: PlainTransportOptions<PlainTransportAppData>,
  ): Promise<PlainTransport<PlainTransportAppData>>;
  /**
   * @throws TypeError: wrong options.
   * @throws Error: the address cannot be bound.
   * @throws UnsupportedError: `enableSrtp`.
   * @throws NotFoundError, WorkerClosedError
   */
  createPipeTransport<PipeTransportAppData extends AppData = AppData>(
    options: PipeTransportOptions<PipeTransportAppData>,
  ): Promise<PipeTransport<PipeTransportAppData>>;
  /** @throws TypeError, NotFoundError, WorkerClosedError */
  createDirectTransport<DirectTransportAppData extends AppData = AppData>(
    options?: DirectTransportOptions<DirectTransportAppData>,
  ): Promise<DirectTransport<DirectTransportAppData>>;
  /**
   * Makes a DataProducer of this router available on another one, of this or of another Worker of the process: a
   * DataConsumer here and a DataProducer there with its label, protocol, stream parameters and `appData`. The pair of
   * PipeTransports between two routers is created once, by the first call of either side, whose SCTP options hold.
   * When the DataConsumer or the DataProducer closes, so does the other one.
   *
   * @throws TypeError: wrong options, or the router itself.
   * @throws NotFoundError: this router has no such DataProducer, or it was closed meanwhile.
   * @throws UnsupportedError: `producerId`.
   * @throws Error: `keepId` within one Worker.
   */
  pipeToRouter(options: PipeToRouterOptions): Promise<PipeToRouterResult>;
  /** @throws UnsupportedError */
  createActiveSpeakerObserver(options?: object): Promise<never>;
  /** @throws UnsupportedError */
  createAudioLevelObserver(options?: object): Promise<never>;
  /** False: there is no media. */
  canConsume(options?: { producerId: string; rtpCapabilities: RtpCapabilities }): boolean;
  /**
   * Accepted, with a warning in the log.
   *
   * @throws TypeError: not an array.
   */
  updateMediaCodecs(mediaCodecs: RouterRtpCodecCapability[]): void;
  /** `close()`. */
  [Symbol.dispose](): void;
}

// ---------------------------------------------------------------------------------------------------------- Transport

export type TransportType = 'webrtc' | 'plain' | 'pipe' | 'direct';

export type TransportProtocol = 'udp' | 'tcp';

/** Where a transport or a WebRtcServer listens. */
export type TransportListenInfo = {
  protocol: TransportProtocol;
  /** An IPv4 or IPv6 address. */
  ip: string;
  /** The address or host name that peers are told instead of `ip`, e.g. the public one behind NAT. */
  announcedAddress?: string;
  /** @deprecated `announcedAddress` */
  announcedIp?: string;
  /** Whether peers are told `ip` as well if there is an `announcedAddress` (ICE candidates only). Default false. */
  exposeInternalIp?: boolean;
  /** 0-65535. Default, and 0: a free port of the Worker's range. */
  port?: number;
  /** A free port of this range is taken; `port` is ignored. */
  portRange?: TransportPortRange;
  flags?: TransportSocketFlags;
  /** The size of the socket's send buffer (SO_SNDBUF). 0-4294967295. */
  sendBufferSize?: number;
  /**
   * The size of its receive buffer (SO_RCVBUF). 0-4294967295. Default, and 0: of UDP sockets 2 MiB, of TCP the
   * system's. The system gives at most `net.core.rmem_max`.
   */
  recvBufferSize?: number;
};

/** @deprecated {@link TransportListenInfo} */
export type TransportListenIp = { ip: string; announcedIp?: string };

export type TransportPortRange = {
  /** 0-65535. */
  min: number;
  /** 0-65535, not below `min`. */
  max: number;
};

export type TransportSocketFlags = {
  /** No IPv4 on an IPv6 socket. */
  ipv6Only?: boolean;
  /** Several UDP sockets may be bound to the same address. */
  udpReusePort?: boolean;
};

export type TransportTuple = {
  /** @deprecated `localAddress` */
  localIp: string;
  /** The announced address if there is one, else the address listened on. */
  localAddress: string;
  localPort: number;
  remoteIp?: string;
  remotePort?: number;
  protocol: TransportProtocol;
};

/**
 * 'failed': nobody answered the handshake; on PlainTransport and PipeTransport also: the peer has given no sign of life
 * for 55 s. 'closed': ended by either side.
 */
export type SctpState = 'new' | 'connecting' | 'connected' | 'failed' | 'closed';

export type SctpParameters = {
  /** Always 5000. */
  port: number;
  /** The largest message that DataConsumers send. */
  maxSendMessageSize: number;
  /** The largest message that DataProducers accept. */
  maxReceiveMessageSize: number;
  sendBufferSize: number;
  perStreamSendQueueLimit: number;
  maxReceiverWindowBufferSize: number;
  /** Whether SCTP runs over DTLS, for DataChannels. */
  isDataChannel: boolean;
  /** For clients of before mediasoup 3.20: the number of outgoing streams. */
  OS: number;
  /** The number of incoming streams. */
  MIS: number;
  /** The largest message that a client may send: `maxReceiveMessageSize`. */
  maxMessageSize: number;
};

export type SctpNegotiatedCapabilities = {
  negotiatedMaxOutboundStreams: number;
  negotiatedMaxInboundStreams: number;
};

/** The SCTP stream of a DataProducer or DataConsumer and its reliability. */
export type SctpStreamParameters = {
  /** 0-65534. */
  streamId: number;
  /** Whether messages arrive in the order of sending. Default true, false if a limit is given. */
  ordered?: boolean;
  /** How long a message may be retransmitted, in milliseconds. 0-65535; not together with `ordered: true`. */
  maxPacketLifeTime?: number;
  /** How often. 0-65535; not together with `ordered: true` or `maxPacketLifeTime`. */
  maxRetransmits?: number;
};

/** The SCTP options of transports. Sizes are bytes, 0-4294967295. */
export type SctpOptions = {
  /** The largest message that DataConsumers send. Default 262144. */
  maxSendMessageSize?: number;
  /** The largest message that DataProducers accept. Default 262144. */
  maxReceiveMessageSize?: number;
  /** How much may be queued for sending on all streams together. Default 2000000. */
  sctpSendBufferSize?: number;
  /** How much may be queued on each stream. Default 2000000. */
  sctpPerStreamSendQueueLimit?: number;
  /** The receive window. Default 5242880. */
  sctpMaxReceiverWindowBufferSize?: number;
  /** The threshold that DataConsumers start with, see `setBufferedAmountLowThreshold()`. Default 1024. */
  sctpDefaultStreamBufferedAmountLowThreshold?: number;
  /** @deprecated `maxSendMessageSize` and `maxReceiveMessageSize`, which win over it. */
  maxSctpMessageSize?: number;
  /** @deprecated Checked and not used: streams are negotiated up to what the peer offers. */
  numSctpStreams?: NumSctpStreams;
};

/** @deprecated */
export type NumSctpStreams = {
  /** Outgoing streams, 0-65535. */
  OS: number;
  /** Incoming streams, 0-65535. */
  MIS: number;
};

export type RtpListenerDump = {
  ssrcTable: { key: number; value: string }[];
  midTable: { key: number; value: string }[];
  ridTable: { key: number; value: string }[];
};

export type SctpListenerDump = { streamIdTable: { key: number; value: string }[] };

export type RecvRtpHeaderExtensions = {
  mid?: number;
  rid?: number;
  rrid?: number;
  absSendTime?: number;
  transportWideCc01?: number;
};

export type BaseTransportDump = {
  id: string;
  producerIds: string[];
  consumerIds: string[];
  mapSsrcConsumerId: { key: number; value: string }[];
  mapRtxSsrcConsumerId: { key: number; value: string }[];
  dataProducerIds: string[];
  dataConsumerIds: string[];
  recvRtpHeaderExtensions: RecvRtpHeaderExtensions;
  rtpListener: RtpListenerDump;
  maxSendMessageSize: number;
  maxReceiveMessageSize: number;
  sctpParameters?: SctpParameters;
  sctpState?: SctpState;
  sctpNegotiatedCapabilities?: SctpNegotiatedCapabilities;
  sctpListener?: SctpListenerDump;
  traceEventTypes?: string[];
};

/** Bytes are those of whole packets, bitrates are bits per second. The fields of RTP are 0. */
export type BaseTransportStats = {
  transportId: string;
  /** Milliseconds of a monotonic clock. */
  timestamp: number;
  sctpState?: SctpState;
  bytesReceived: number;
  recvBitrate: number;
  bytesSent: number;
  sendBitrate: number;
  rtpBytesReceived: number;
  rtpRecvBitrate: number;
  rtpBytesSent: number;
  rtpSendBitrate: number;
  rtxBytesReceived: number;
  rtxRecvBitrate: number;
  rtxBytesSent: number;
  rtxSendBitrate: number;
  probationBytesSent: number;
  probationSendBitrate: number;
  availableOutgoingBitrate?: number;
  availableIncomingBitrate?: number;
  maxIncomingBitrate?: number;
  maxOutgoingBitrate?: number;
  minOutgoingBitrate?: number;
  rtpPacketLossReceived?: number;
  rtpPacketLossSent?: number;
  /**
   * Datagrams that were not the peer's (another source, no authentic STUN, or not a protocol of this transport), and STUN
   * requests that came too fast.
   */
  datagramsDropped: number;
  /** Messages of the peer on a stream without a DataProducer, or over `maxReceiveMessageSize`. */
  messagesUnrouted: number;
  /** Messages that were still queued when their DataConsumer closed, and their payload in bytes. */
  messagesDiscarded: number;
  bytesDiscarded: number;
  /** With SCTP: packets whose lengths lie. */
  sctpPacketsMalformed?: number;
  /** With SCTP: packets whose checksum, tag or ports are not the association's. */
  sctpPacketsForeign?: number;
  /** With SCTP: packets that did not fit the association's state. */
  sctpPacketsUnexpected?: number;
  /** With SCTP: packets of a peer that took more than its share of the worker's time. */
  sctpPacketsOverload?: number;
  /** With SCTP: chunks that were taken out of packets, because of an unknown type, say. */
  sctpChunksStripped?: number;
  /** With SCTP: messages whose `maxPacketLifeTime` passed before they were first sent. */
  messagesExpired?: number;
  /**
   * With SCTP: messages given up by `maxRetransmits` or `maxPacketLifeTime` after they had been sent, at
   * least in part. Some may have arrived, and only the peer's word of it was lost or late.
   */
  messagesAbandoned?: number;
  /**
   * With SCTP: messages that were queued when the association ended, or that it did not take when their turn came. Of
   * those that had had their turn, at most about 128 KiB, nobody knows whether they have arrived. What comes later
   * counts as `messagesDroppedUnsendable` of its DataConsumer.
   */
  messagesUnsent?: number;
  /** With SCTP: messages of the peer that contradict themselves, or DCEP that was not understood. */
  messagesGarbled?: number;
};

export type TransportTraceEventType = 'probation' | 'bwe';

export type TransportTraceEventData = {
  type: TransportTraceEventType;
  timestamp: number;
  direction: 'in' | 'out';
  info: unknown;
};

export type TransportEvents = {
  routerclose: [];
  listenserverclose: [];
  /** Never emitted: it is about media. */
  trace: [trace: TransportTraceEventData];
};

export type TransportObserverEvents = {
  close: [];
  newdataproducer: [dataProducer: DataProducer];
  newdataconsumer: [dataConsumer: DataConsumer];
  trace: [trace: TransportTraceEventData];
};

export type TransportObserver = EnhancedEventEmitter<TransportObserverEvents>;

/** What all kinds of transports have in common. */
export interface Transport<
  TransportAppData extends AppData = AppData,
  E extends TransportEvents = TransportEvents,
  O extends TransportObserver = TransportObserver,
> extends extras.EnhancedEventEmitter<E> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  readonly type: TransportType;
  get appData(): TransportAppData;
  set appData(appData: TransportAppData);
  readonly observer: O;

  /** Closes its DataProducers and DataConsumers, which emit 'transportclose', and says goodbye to the peer. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<BaseTransportDump>;
  /** @throws NotFoundError, WorkerClosedError */
  getStats(): Promise<BaseTransportStats[]>;
  /** Tells the transport where and who its peer is. */
  connect(params: unknown): Promise<void>;
  /**
   * Kept and shown by `getStats()`; it limits media only.
   *
   * @param bitrate - bits per second, 0-4294967295; 0 is no limit.
   * @throws UnsupportedError: on a DirectTransport.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setMaxIncomingBitrate(bitrate: number): Promise<void>;
  /** As `setMaxIncomingBitrate()`; not below the minimum. */
  setMaxOutgoingBitrate(bitrate: number): Promise<void>;
  /** As `setMaxIncomingBitrate()`; not above the maximum. */
  setMinOutgoingBitrate(bitrate: number): Promise<void>;
  /** @throws UnsupportedError: media is not routed. */
  produce(options?: object): Promise<never>;
  /** @throws UnsupportedError: media is not routed. */
  consume(options?: object): Promise<never>;
  /**
   * @throws TypeError: wrong options, no `sctpStreamParameters` (unless on a DirectTransport), or an `id` that a
   * DataProducer of this transport has.
   * @throws Error: SCTP is not enabled, the stream or the `id` is in use.
   * @throws NotFoundError, WorkerClosedError
   */
  produceData<DataProducerAppData extends AppData = AppData>(
    options?: DataProducerOptions<DataProducerAppData>,
  ): Promise<DataProducer<DataProducerAppData>>;
  /**
   * @throws TypeError: wrong options.
   * @throws NotFoundError: this router has no such DataProducer.
   * @throws Error: SCTP is not enabled, or no stream is free, or `streamId` is in use.
   * @throws WorkerClosedError
   */
  consumeData<DataConsumerAppData extends AppData = AppData>(
    options: DataConsumerOptions<DataConsumerAppData>,
  ): Promise<DataConsumer<DataConsumerAppData>>;
  /**
   * Does nothing: traces are about media.
   *
   * @throws TypeError: not an array of strings.
   * @throws NotFoundError, WorkerClosedError
   */
  enableTraceEvent(types?: TransportTraceEventType[]): Promise<void>;
  /** `close()`. */
  [Symbol.dispose](): void;
}

// ---------------------------------------------------------------------------------------------------- WebRtcTransport

/** One of `webRtcServer`, `listenIps` and `listenInfos`; if several are given, the first in this order counts. */
export type WebRtcTransportOptions<WebRtcTransportAppData extends AppData = AppData> = {
  /** Whether to listen on UDP. Default true. */
  enableUdp?: boolean;
  /** Whether to listen on TCP. Default false, true with a `webRtcServer`. */
  enableTcp?: boolean;
  /** Whether UDP candidates come first. Default false. */
  preferUdp?: boolean;
  /** Whether TCP candidates come first. Default false. */
  preferTcp?: boolean;
  /**
   * After how many seconds without consent of the peer iceState becomes 'disconnected' (RFC 7675). 0-65535, 0 is never.
   * Default 30.
   */
  iceConsentTimeout?: number;
  /** Default false. */
  enableSctp?: boolean;
  /** Ignored: it is about media. */
  initialAvailableOutgoingBitrate?: number;
  appData?: WebRtcTransportAppData;
} & SctpOptions &
  Either<
    Either<
      { listenInfos: TransportListenInfo[] },
      {
        /** @deprecated `listenInfos` */
        listenIps: (TransportListenIp | string)[];
        /** @deprecated `port` of `listenInfos` */
        port?: number;
      }
    >,
    { webRtcServer: WebRtcServer }
  >;

export type IceParameters = {
  usernameFragment: string;
  password: string;
  iceLite?: boolean;
};

export type IceCandidate = {
  foundation: string;
  priority: number;
  /** @deprecated `address` */
  ip: string;
  address: string;
  protocol: TransportProtocol;
  port: number;
  type: IceCandidateType;
  tcpType?: IceCandidateTcpType;
};

export type IceCandidateType = 'host';
export type IceCandidateTcpType = 'passive';
export type IceRole = 'controlled' | 'controlling';
export type IceState = 'new' | 'connected' | 'completed' | 'disconnected' | 'closed';
export type DtlsRole = 'auto' | 'client' | 'server';
export type DtlsState = 'new' | 'connecting' | 'connected' | 'failed' | 'closed';

export type DtlsParameters = {
  /** In `connect()`: the role of the peer, default 'auto'. */
  role?: DtlsRole;
  fingerprints: DtlsFingerprint[];
};

/** The hash functions of certificate fingerprints (RFC 8122). */
export type FingerprintAlgorithm = 'sha-1' | 'sha-224' | 'sha-256' | 'sha-384' | 'sha-512';

export type DtlsFingerprint = {
  algorithm: FingerprintAlgorithm;
  /** Hexadecimal bytes, separated by colons. */
  value: string;
};

export type WebRtcTransportDump = BaseTransportDump & {
  iceRole: 'controlled';
  iceParameters: IceParameters;
  iceCandidates: IceCandidate[];
  iceState: IceState;
  iceSelectedTuple?: TransportTuple;
  dtlsParameters: DtlsParameters;
  dtlsState: DtlsState;
  dtlsRemoteCert?: string;
};

export type WebRtcTransportStat = BaseTransportStats & {
  /** 'webrtc-transport'. */
  type: string;
  iceRole: string;
  iceState: IceState;
  iceSelectedTuple?: TransportTuple;
  dtlsState: DtlsState;
  /** Records that were not the peer's, came twice, were out of place, or more than is kept before `connect()`. */
  dtlsRecordsDropped: number;
};

export type WebRtcTransportEvents = TransportEvents & {
  icestatechange: [iceState: IceState];
  iceselectedtuplechange: [iceSelectedTuple: TransportTuple];
  dtlsstatechange: [dtlsState: DtlsState];
  sctpstatechange: [sctpState: SctpState];
};

export type WebRtcTransportObserverEvents = TransportObserverEvents & {
  icestatechange: [iceState: IceState];
  iceselectedtuplechange: [iceSelectedTuple: TransportTuple];
  dtlsstatechange: [dtlsState: DtlsState];
  sctpstatechange: [sctpState: SctpState];
};

export type WebRtcTransportObserver = EnhancedEventEmitter<WebRtcTransportObserverEvents>;

/** The way to one browser: ICE-Lite, DTLS, SCTP. */
export interface WebRtcTransport<
  WebRtcTransportAppData extends AppData = AppData,
> extends Transport<WebRtcTransportAppData, WebRtcTransportEvents, WebRtcTransportObserver> {
  readonly type: 'webrtc';
  readonly iceRole: 'controlled';
  readonly iceParameters: IceParameters;
  readonly iceCandidates: IceCandidate[];
  readonly iceState: IceState;
  readonly iceSelectedTuple: TransportTuple | undefined;
  /** The own role and fingerprints. */
  readonly dtlsParameters: DtlsParameters;
  readonly dtlsState: DtlsState;
  /** The peer's certificate in PEM, once dtlsState is 'connected'. */
  readonly dtlsRemoteCert: string | undefined;
  readonly sctpParameters: SctpParameters | undefined;
  readonly sctpState: SctpState | undefined;
  /** Once sctpState is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;

  dump(): Promise<WebRtcTransportDump>;
  getStats(): Promise<WebRtcTransportStat[]>;
  /**
   * Gives the peer's DTLS role and fingerprints.
   *
   * @throws TypeError: wrong role, no fingerprint, or one of an unknown algorithm.
   * @throws Error: called before.
   * @throws NotFoundError, WorkerClosedError
   */
  connect(params: { dtlsParameters: DtlsParameters }): Promise<void>;
  /**
   * Makes new ICE parameters for the peer; the connection goes on until the peer uses them.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  restartIce(): Promise<IceParameters>;
}

// ----------------------------------------------------------------------------------------------------- PlainTransport

/** Exactly one of `listenInfo` and `listenIp`, for UDP. */
export type PlainTransportOptions<PlainTransportAppData extends AppData = AppData> = {
  /** Whether the first peer that opens a valid association becomes the remote one. Default false. */
  comedia?: boolean;
  /** Default false. */
  enableSctp?: boolean;
  /** Accepted; it is about media. Default true. */
  rtcpMux?: boolean;
  /** Ignored: it is about media. */
  rtcpListenInfo?: TransportListenInfo;
  /** UnsupportedError if true. */
  enableSrtp?: boolean;
  appData?: PlainTransportAppData;
} & SctpOptions &
  Either<
    { listenInfo: TransportListenInfo },
    {
      /** @deprecated `listenInfo` */
      listenIp: TransportListenIp | string;
      /** @deprecated `port` of `listenInfo` */
      port?: number;
    }
  >;

export type PlainTransportDump = BaseTransportDump & {
  rtcpMux: boolean;
  comedia: boolean;
  tuple: TransportTuple;
};

export type PlainTransportStat = BaseTransportStats & {
  /** 'plain-rtp-transport'. */
  type: string;
  rtcpMux: boolean;
  comedia: boolean;
  tuple: TransportTuple;
};

export type PlainTransportEvents = TransportEvents & {
  /** With `comedia`: the peer is known. */
  tuple: [tuple: TransportTuple];
  sctpstatechange: [sctpState: SctpState];
};

export type PlainTransportObserverEvents = TransportObserverEvents & {
  tuple: [tuple: TransportTuple];
  sctpstatechange: [sctpState: SctpState];
};

export type PlainTransportObserver = EnhancedEventEmitter<PlainTransportObserverEvents>;

/** SCTP over plain UDP. Only datagrams of the connected tuple are looked at. */
export interface PlainTransport<PlainTransportAppData extends AppData = AppData> extends Transport<
  PlainTransportAppData,
  PlainTransportEvents,
  PlainTransportObserver
> {
  readonly type: 'plain';
  readonly tuple: TransportTuple;
  /** Undefined: it is about media. */
  readonly rtcpTuple: undefined;
  readonly sctpParameters: SctpParameters | undefined;
  readonly sctpState: SctpState | undefined;
  /** Once sctpState is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;
  /** Undefined: SRTP is about media. */
  readonly srtpParameters: undefined;

  dump(): Promise<PlainTransportDump>;
  getStats(): Promise<PlainTransportStat[]>;
  /**
   * Gives the peer's address. With `comedia` it is ignored.
   *
   * @param params - `ip`: an IPv4 or IPv6 address. `port`: 1-65535.
   * @throws TypeError: wrong address.
   * @throws Error: called before.
   * @throws UnsupportedError: `srtpParameters`.
   * @throws NotFoundError, WorkerClosedError
   */
  connect(params?: {
    ip?: string;
    port?: number;
    /** Ignored: it is about media. */
    rtcpPort?: number;
    srtpParameters?: object;
  }): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------ PipeTransport

/** Exactly one of `listenInfo` and `listenIp`, for UDP. */
export type PipeTransportOptions<PipeTransportAppData extends AppData = AppData> = {
  /** Default false. */
  enableSctp?: boolean;
  /** Ignored: it is about media. */
  enableRtx?: boolean;
  /** UnsupportedError if true. */
  enableSrtp?: boolean;
  appData?: PipeTransportAppData;
} & SctpOptions &
  Either<
    { listenInfo: TransportListenInfo },
    {
      /** @deprecated `listenInfo` */
      listenIp: TransportListenIp | string;
      /** @deprecated `port` of `listenInfo` */
      port?: number;
    }
  >;

export type PipeTransportDump = BaseTransportDump & {
  tuple: TransportTuple;
  rtx: boolean;
};

export type PipeTransportStat = BaseTransportStats & {
  /** 'pipe-transport'. */
  type: string;
  tuple: TransportTuple;
};

export type PipeTransportEvents = TransportEvents & {
  sctpstatechange: [sctpState: SctpState];
};

export type PipeTransportObserverEvents = TransportObserverEvents & {
  sctpstatechange: [sctpState: SctpState];
};

export type PipeTransportObserver = EnhancedEventEmitter<PipeTransportObserverEvents>;

/** The way to a PipeTransport of another router, in this process or elsewhere; it carries the subchannels of messages. */
export interface PipeTransport<PipeTransportAppData extends AppData = AppData> extends Transport<
  PipeTransportAppData,
  PipeTransportEvents,
  PipeTransportObserver
> {
  readonly type: 'pipe';
  readonly tuple: TransportTuple;
  readonly sctpParameters: SctpParameters | undefined;
  readonly sctpState: SctpState | undefined;
  /** Once sctpState is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;
  /** Undefined: SRTP is about media. */
  readonly srtpParameters: undefined;

  dump(): Promise<PipeTransportDump>;
  getStats(): Promise<PipeTransportStat[]>;
  /**
   * Gives the address of the other PipeTransport.
   *
   * @param params - `ip`: an IPv4 or IPv6 address. `port`: 1-65535.
   * @throws TypeError: wrong address.
   * @throws Error: called before.
   * @throws UnsupportedError: `srtpParameters`.
   * @throws NotFoundError, WorkerClosedError
   */
  connect(params: { ip: string; port: number; srtpParameters?: object }): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------- DirectTransport

export type DirectTransportOptions<DirectTransportAppData extends AppData = AppData> = {
  /** The largest message that its DataConsumers deliver. Default 262144. */
  maxSendMessageSize?: number;
  /** The largest message that its DataProducers accept. Default 262144. */
  maxReceiveMessageSize?: number;
  /** @deprecated `maxSendMessageSize` and `maxReceiveMessageSize`, which win over it. */
  maxMessageSize?: number;
  appData?: DirectTransportAppData;
};

export type DirectTransportDump = BaseTransportDump;

export type DirectTransportStat = BaseTransportStats & {
  /** 'direct-transport'. */
  type: string;
};

export type DirectTransportEvents = TransportEvents;
export type DirectTransportObserverEvents = TransportObserverEvents;
export type DirectTransportObserver = EnhancedEventEmitter<DirectTransportObserverEvents>;

/** The way to the application itself: `dataProducer.send()` and the 'message' event of DataConsumers. */
export interface DirectTransport<
  DirectTransportAppData extends AppData = AppData,
> extends Transport<DirectTransportAppData, DirectTransportEvents, DirectTransportObserver> {
  readonly type: 'direct';

  dump(): Promise<DirectTransportDump>;
  getStats(): Promise<DirectTransportStat[]>;
  /** Does nothing. */
  connect(params?: unknown): Promise<void>;
  /** @throws UnsupportedError: media is not routed. */
  sendRtcp(rtcpPacket: Buffer): never;
}

// ------------------------------------------------------------------------------------------------------- DataProducer

export type DataProducerOptions<DataProducerAppData extends AppData = AppData> = {
  /** A UUID. Default: a new one. */
  id?: string;
  /** Required, but on a DirectTransport, where it is ignored. */
  sctpStreamParameters?: SctpStreamParameters;
  /** Default ''. */
  label?: string;
  /** Default ''. */
  protocol?: string;
  /** Default false. */
  paused?: boolean;
  /**
   * On a DirectTransport: how many bytes `send()` accepts ahead of routing, each message charged 64 bytes more than its
   * payload. 0-4294967295, default 67108864.
   */
  maxBufferedAmount?: number;
  appData?: DataProducerAppData;
};

export type DataProducerType = 'sctp' | 'direct';

export type DataProducerDump = {
  id: string;
  type: DataProducerType;
  sctpStreamParameters?: SctpStreamParameters;
  label: string;
  protocol: string;
  paused: boolean;
};

export type DataProducerStat = {
  /** 'data-producer'. */
  type: string;
  /** Milliseconds of a monotonic clock. */
  timestamp: number;
  label: string;
  protocol: string;
  messagesReceived: number;
  bytesReceived: number;
  /** Those of them that came while it was paused, and went nowhere. */
  messagesPaused: number;
};

export type DataProducerEvents = {
  transportclose: [];
  /** After `send()` has thrown ERR_SEND_QUEUE_FULL: `bufferedAmount` has fallen below a quarter of the bound. */
  drain: [];
  /** The peer has reset the stream, e.g. a browser closed its DataChannel. The DataProducer stays open. */
  streamclose: [];
};

export type DataProducerObserverEvents = {
  close: [];
  pause: [];
  resume: [];
};

export type DataProducerObserver = EnhancedEventEmitter<DataProducerObserverEvents>;

/** A source of messages: an incoming SCTP stream, or (type 'direct') the application. */
export interface DataProducer<
  DataProducerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<DataProducerEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  readonly type: DataProducerType;
  /** Undefined for type 'direct'. */
  readonly sctpStreamParameters: SctpStreamParameters | undefined;
  readonly label: string;
  readonly protocol: string;
  readonly paused: boolean;
  /** Type 'direct': bytes that `send()` has accepted and that are not yet routed. Else 0. */
  readonly bufferedAmount: number;
  get appData(): DataProducerAppData;
  set appData(appData: DataProducerAppData);
  readonly observer: DataProducerObserver;

  /** Its DataConsumers close with 'dataproducerclose'; over WebRTC the peer's stream is reset. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<DataProducerDump>;
  /** @throws NotFoundError, WorkerClosedError */
  getStats(): Promise<DataProducerStat[]>;
  /**
   * While paused, messages are counted but not routed.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  pause(): Promise<void>;
  /** @throws NotFoundError, WorkerClosedError */
  resume(): Promise<void>;
  /**
   * Sends a message to the DataConsumers (type 'direct'). The message is copied. If the DataProducer is closed, it is
   * dropped, with a warning in the log.
   *
   * @param message - at most `maxReceiveMessageSize` bytes.
   * @param ppid - SCTP payload protocol id, 0-4294967295. Default: 51 for a string, 53 for a Buffer, 56 and 57 for empty
   * ones. Messages with 56 or 57 arrive as one byte on DirectTransports, and empty elsewhere.
   * @param subchannels - if not empty: only to DataConsumers that are subscribed to one of these. At most 65535, each
   * 0-65535.
   * @param requiredSubchannel - only to DataConsumers that are subscribed to this. 0-65535.
   * @param ignoredSubchannel - not to DataConsumers that are subscribed to this. 0-65535.
   * @throws TypeError: wrong arguments, message too large, or type 'sctp'.
   * @throws Error with code 'ERR_SEND_QUEUE_FULL': too much is not yet routed; the message was not accepted. Go on with
   * 'drain'.
   * @throws WorkerClosedError
   */
  send(
    message: string | Buffer,
    ppid?: number,
    subchannels?: number[],
    requiredSubchannel?: number,
    ignoredSubchannel?: number,
  ): void;
  /** `close()`. */
  [Symbol.dispose](): void;
}

// ------------------------------------------------------------------------------------------------------- DataConsumer

export type DataConsumerOptions<DataConsumerAppData extends AppData = AppData> = {
  /** A DataProducer of the same router. */
  dataProducerId: string;
  /**
   * Default: as the DataProducer's (true if that is direct), but false if a limit is given here. true ignores limits.
   * Like the limits and `streamId`, ignored on a DirectTransport.
   */
  ordered?: boolean;
  /** In milliseconds, 0-65535. Default: the DataProducer's. */
  maxPacketLifeTime?: number;
  /** 0-65535. Default: the DataProducer's. */
  maxRetransmits?: number;
  /** The SCTP stream to use, 0-65534, e.g. to answer a channel that was opened in band. Default: the next free one. */
  streamId?: number;
  /** Default false. */
  paused?: boolean;
  /** What it is subscribed to at first. At most 65535, each 0-65535. Default none. */
  subchannels?: number[];
  /**
   * On a DirectTransport: how many bytes may wait for the application, each message charged 64 bytes more than its
   * payload; beyond it messages are dropped. 0-4294967295, default 67108864.
   */
  maxBufferedAmount?: number;
  appData?: DataConsumerAppData;
};

export type DataConsumerType = 'sctp' | 'direct';

export type DataConsumerDump = {
  id: string;
  dataProducerId: string;
  type: DataConsumerType;
  sctpStreamParameters?: SctpStreamParameters;
  label: string;
  protocol: string;
  bufferedAmount: number;
  bufferedAmountLowThreshold: number;
  paused: boolean;
  dataProducerPaused: boolean;
  subchannels: number[];
};

export type DataConsumerStat = {
  /** 'data-consumer'. */
  type: string;
  /** Milliseconds of a monotonic clock. */
  timestamp: number;
  label: string;
  protocol: string;
  messagesSent: number;
  bytesSent: number;
  bufferedAmount: number;
  /** Messages for this consumer that were lost before they were sent, and their payload in bytes. */
  messagesDropped: number;
  bytesDropped: number;
  /** Those of them that met a full queue, towards the peer or towards JavaScript. */
  messagesDroppedFull: number;
  /** Those of them that were over the transport's `maxSendMessageSize`. */
  messagesDroppedTooLarge: number;
  /** Those of them that found no association, or a stream that the peer has reset. */
  messagesDroppedUnsendable: number;
  /** Messages of the DataProducer that came while this consumer was paused. */
  messagesPaused: number;
  /** Messages of the DataProducer whose subchannels are not those of this consumer. */
  messagesFiltered: number;
};

export type DataConsumerEvents = {
  transportclose: [];
  dataproducerclose: [];
  dataproducerpause: [];
  dataproducerresume: [];
  /** Type 'direct'. The Buffer belongs to the listener. */
  message: [message: Buffer, ppid: number];
  /** Type 'sctp': a message met a full queue. At most once per turn of the worker. */
  sctpsendbufferfull: [];
  /** Type 'sctp': `bufferedAmount` has fallen to or below the threshold. */
  bufferedamountlow: [bufferedAmount: number];
  /** Type 'direct': messages were dropped as too much was waiting; delivery goes on now. */
  overflow: [dropped: { messages: number; bytes: number }];
  /** The peer has reset the stream, e.g. a browser closed its DataChannel. The DataConsumer is closed. */
  streamclose: [];
};

export type DataConsumerObserverEvents = {
  close: [];
  /** It or its DataProducer was paused, and neither was before. */
  pause: [];
  /** Neither it nor its DataProducer is paused any more. */
  resume: [];
};

export type DataConsumerObserver = EnhancedEventEmitter<DataConsumerObserverEvents>;

/** A destination of messages: an outgoing SCTP stream, or (type 'direct') the application. */
export interface DataConsumer<
  DataConsumerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<DataConsumerEvents> {
  /** A UUID. */
  readonly id: string;
  readonly dataProducerId: string;
  readonly closed: boolean;
  readonly type: DataConsumerType;
  /** Undefined for type 'direct'. */
  readonly sctpStreamParameters: SctpStreamParameters | undefined;
  readonly label: string;
  readonly protocol: string;
  readonly paused: boolean;
  readonly dataProducerPaused: boolean;
  /** What it is subscribed to, in no particular order. */
  readonly subchannels: number[];
  /** Type 'sctp': bytes queued for the peer. Type 'direct': bytes waiting for the application. */
  readonly bufferedAmount: number;
  get appData(): DataConsumerAppData;
  set appData(appData: DataConsumerAppData);
  readonly observer: DataConsumerObserver;

  /** Over WebRTC its stream is reset; unsent data is discarded. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<DataConsumerDump>;
  /** @throws NotFoundError, WorkerClosedError */
  getStats(): Promise<DataConsumerStat[]>;
  /**
   * While paused, messages are neither delivered nor kept.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  pause(): Promise<void>;
  /** @throws NotFoundError, WorkerClosedError */
  resume(): Promise<void>;
  /**
   * At and below which amount 'bufferedamountlow' fires.
   *
   * @param threshold - 0-4294967295.
   * @throws TypeError: wrong argument, or type 'direct'.
   * @throws NotFoundError, WorkerClosedError
   */
  setBufferedAmountLowThreshold(threshold: number): Promise<void>;
  /**
   * Bytes queued for the peer.
   *
   * @throws TypeError: type 'direct'.
   * @throws NotFoundError, WorkerClosedError
   */
  getBufferedAmount(): Promise<number>;
  /**
   * Sends a message to its peer only (type 'sctp'); it queues until the association is up.
   *
   * @param message - at most `maxSendMessageSize` bytes.
   * @param ppid - as in `dataProducer.send()`.
   * @returns the bytes queued now.
   * @throws TypeError: wrong arguments, message too large, or type 'direct'.
   * @throws Error 'message send failed': it or its DataProducer is paused, or the association is gone.
   * @throws Error 'sctpsendbufferfull': the queue is full.
   * @throws NotFoundError, WorkerClosedError
   */
  send(message: string | Buffer, ppid?: number): Promise<number>;
  /**
   * @param subchannels - at most 65535, each 0-65535; duplicates fold.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setSubchannels(subchannels: number[]): Promise<void>;
  /**
   * @param subchannel - 0-65535.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  addSubchannel(subchannel: number): Promise<void>;
  /**
   * @param subchannel - 0-65535.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  removeSubchannel(subchannel: number): Promise<void>;
  /** `close()`. */
  [Symbol.dispose](): void;
}
