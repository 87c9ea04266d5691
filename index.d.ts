/**
 * datasoup: the data half of a WebRTC SFU. This file is the public contract of the package, written by hand; `tsc -p .`
 * checks `lib/` against it.
 *
 * Rules for all members:
 *
 * - Sizes and amounts are bytes of payload, and times are milliseconds, unless a member says otherwise.
 * - `null` counts as not given. Unknown options are ignored. Options objects are never modified.
 * - At run time a port may also be a string of digits, as environment variables are.
 * - Getters return copies of objects and arrays, except for `appData`, which is the application's own object.
 * - Invalid arguments are a `TypeError`: methods that return a promise reject with it, all others throw it.
 * - Arguments are checked first, so a wrong argument is a `TypeError` on a closed object as well.
 * - If an object is closed before a call on it is answered, the promise of the call rejects with
 *   {@link errors.NotFoundError}, or with {@link errors.WorkerClosedError} if its Worker is closed.
 * - Calls take effect in the order in which they are made, awaited or not.
 * - You need not await `dataConsumer.send()`, or calls that change or close a DataProducer or DataConsumer (except
 *   `moveTo()`): a peer may leave at any time, so only their `TypeError` becomes an unhandled rejection.
 */

/// <reference types="node" />

import { EventEmitter } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { ReadableStream, WritableStream } from 'node:stream/web';

// ---------------------------------------------------------------------------------------------------------- The module

/** The version of this package. */
export const version: string;

/** Emits 'newworker' for every new Worker. */
export const observer: Observer;

/**
 * Starts a Worker: a thread that runs everything created from it.
 *
 * @throws TypeError: a setting is invalid, a PEM file cannot be read, the key is not an ECDSA key on P-256 or P-384, or
 * certificate and key do not match.
 * @throws UnsupportedError: the key is an RSA key.
 * @throws Error: the thread cannot be started, or no certificate can be generated.
 */
export function createWorker<WorkerAppData extends AppData = AppData>(
  settings?: WorkerSettings<WorkerAppData>,
): Promise<Worker<WorkerAppData>>;

/**
 * Passes the package's log lines to these listeners as well as to `debug` (`DEBUG=datasoup*`; the namespaces are
 * `datasoup:*`, `datasoup:WARN:*` and `datasoup:ERROR:*`). Each call replaces all listeners; a call without an argument
 * removes them.
 */
export function setLogEventListeners(listeners?: LogEventListeners): void;

/** Returns two empty lists, because media is not routed. Each call returns a new object. */
export function getSupportedRtpCapabilities(): RtpCapabilities;

/**
 * The error classes of this package. Invalid arguments are a `TypeError`; other failures are one of these or an
 * `Error`.
 */
export namespace errors {
  /** The package does not implement the feature, for example media or RSA keys. */
  class UnsupportedError extends Error {
    constructor(message: string);
  }

  /** The Worker is closed. */
  class WorkerClosedError extends Error {
    constructor(message: string);
  }

  /** The object does not exist or is closed. */
  class NotFoundError extends Error {
    constructor(message: string);
  }
}

/** Helpers for applications. */
export namespace extras {
  /**
   * An EventEmitter with typed events, any number of listeners, and `safeEmit()`. Every object of this package and
   * every `observer` is one.
   */
  class EnhancedEventEmitter<
    E extends Events = Events,
    E2 extends Events = E & { listenererror: [eventName: keyof E & string, error: Error] },
  > extends EventEmitter {
    constructor();
    emit<K extends keyof E2 & string>(eventName: K, ...args: E2[K]): boolean;
    /**
     * Like `emit()`, but never throws. If a listener throws, the listeners after it are not called, and the emitter
     * emits 'listenererror' with the name of the event and what was thrown, whatever its type. If 'listenererror' has
     * no listener, or its listener throws too, `process.emitWarning()` prints a DatasoupWarning with the code
     * 'DATASOUP_LISTENER_THREW', once per emitter and event.
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
   * Resolves with the arguments of the next `eventName`. Like `once()` of `node:events`, but with types, and it rejects
   * if the object closes first, when `once()` would wait forever.
   *
   * ```ts
   * const [message, ppid] = await enhancedOnce<types.DataConsumerEvents, 'message'>(dataConsumer, 'message');
   * ```
   *
   * @param options - `signal` ends the wait with an AbortError.
   * @throws NotFoundError: the emitter emits 'close' first, or is a closed object of this package.
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

/** The application's own data on an object. The package never reads it. */
export type AppData = { [key: string]: unknown };

/** Events by name, each with the arguments of its listeners. */
export type Events = Record<string, any[]>;

export type EnhancedEventEmitter<E extends Events = Events> = extras.EnhancedEventEmitter<E>;
export type UnsupportedError = errors.UnsupportedError;
export type WorkerClosedError = errors.WorkerClosedError;
export type NotFoundError = errors.NotFoundError;

/**
 * What `send()` takes as a message: a string, or bytes in any kind of view or ArrayBuffer, including resizable and
 * shared ones. Of a view, the part that it covers at the time of the call is sent.
 */
export type Payload = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** What `dataProducer.writable()` takes: a message and the other arguments of `dataProducer.send()`. */
export type OutgoingMessage = {
  message: Payload;
  ppid?: number;
  subchannels?: number[];
  requiredSubchannel?: number;
  ignoredSubchannel?: number;
};

/** The stream that `dataProducer.writable()` returns. It takes {@link Payload} and {@link OutgoingMessage}. */
export interface MessageWritable extends Writable {
  /** Returns a Web Stream that writes to this stream. */
  toWeb(): WritableStream<Payload | OutgoingMessage>;
}

/**
 * A message from an iterator or stream of a DataConsumer. The application owns the Buffer: see 'message' of {@link
 * DataConsumerEvents}.
 */
export type ReceivedMessage = { message: Buffer; ppid: number };

/** The iterator that `dataConsumer[Symbol.asyncIterator]()` returns. */
export interface MessageIterator extends AsyncIterator<ReceivedMessage, undefined, undefined> {
  next(): Promise<IteratorResult<ReceivedMessage, undefined>>;
  /** Ends the iteration. Calls of `next()` that are waiting resolve with `done: true`. */
  return(): Promise<IteratorResult<ReceivedMessage, undefined>>;
  [Symbol.asyncIterator](): MessageIterator;
  /** Calls `return()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The stream that `dataConsumer.readable()` returns. It yields {@link ReceivedMessage}. */
export interface MessageReadable extends Readable {
  /** Returns a Web Stream that reads from this stream. */
  toWeb(): ReadableStream<ReceivedMessage>;
}

/** The members of one of two types, and none of those that only the other has. */
export type Either<T, U> = Only<T, U> | Only<U, T>;
type Only<T, U> = { [P in keyof T]: T[P] } & { [P in keyof U]?: never };

export type ObserverEvents = {
  newworker: [worker: Worker];
};

export type Observer = EnhancedEventEmitter<ObserverEvents>;

/** Listeners for log lines. Errors that they throw are ignored, apart from one process warning for each listener. */
export type LogEventListeners = {
  ondebug?: (namespace: string, log: string) => void;
  onwarn?: (namespace: string, log: string) => void;
  /** `error` is given if the line is about an error. */
  onerror?: (namespace: string, log: string, error?: Error) => void;
};

/** Both lists are always empty, because media is not routed. */
export type RtpCapabilities = {
  codecs: RtpCodecCapability[];
  headerExtensions: RtpHeaderExtension[];
};

export type RouterRtpCapabilities = RtpCapabilities;

/** Accepted where mediasoup accepts it, and ignored. */
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
  /** The lowest level that the Worker's thread logs. Default 'error'. */
  logLevel?: WorkerLogLevel;
  /**
   * The parts that log at levels below 'error'. 'ice', 'dtls' and 'sctp' log states and failures of transports,
   * 'message' logs messages that are not routed, and 'info' everything else; the other tags are about media and have no
   * effect. Default: none. At most 64 lines per turn of the worker are kept, each cut to 1 KiB, and at most 256 KiB
   * that wait for JavaScript; further lines are dropped and counted as `logLinesDropped` of `worker.dump()`.
   */
  logTags?: WorkerLogTag[];
  /**
   * The lowest port for sockets that have neither `port` nor `portRange`. 0-65535, default 10000. 0 counts as 1, or as
   * not given if `rtcMaxPort` is 0 as well; NaN counts as not given.
   *
   * @deprecated Use `portRange` of {@link TransportListenInfo}.
   */
  rtcMinPort?: number;
  /**
   * The highest port for sockets that have neither `port` nor `portRange`. 0-65535, not below `rtcMinPort`; default
   * 59999. NaN counts as not given.
   *
   * @deprecated Use `portRange` of {@link TransportListenInfo}.
   */
  rtcMaxPort?: number;
  /**
   * How many bytes all queues of the Worker may hold together: messages on their way to the worker, to peers, to other
   * Workers and to the application, each charged as described at `maxBufferedAmount`. 1048576-9007199254740991.
   * Default: no limit but those of the queues.
   *
   * Beyond the limit `send()` throws or rejects as it does when its queue is full, and routed messages are dropped and
   * counted, as `messagesDroppedFull` of their DataConsumers and `messagesDroppedMemory` of `worker.dump()`. Fragments
   * of incomplete messages count too but are never refused, because receive windows bound them. A Worker that holds
   * nothing accepts any message.
   */
  maxMemory?: number;
  /**
   * The path of a PEM file with the certificate for DTLS, for an ECDSA key on P-256 or P-384. Default: the Worker
   * generates a certificate when it starts.
   */
  dtlsCertificateFile?: string;
  /**
   * The path of a PEM file with the private key of `dtlsCertificateFile`, in PKCS#8 or SEC1 without a passphrase.
   * Required with `dtlsCertificateFile`, and not allowed without it.
   */
  dtlsPrivateKeyFile?: string;
  appData?: WorkerAppData;
};

export type WorkerUpdateableSettings<WorkerAppData extends AppData = AppData> = Pick<
  WorkerSettings<WorkerAppData>,
  'logLevel' | 'logTags'
>;

/**
 * The resources that the Worker's thread has used, with the names of libuv's `uv_rusage_t`. macOS and Windows count
 * only CPU time by thread; there, all members but `ru_utime`, `ru_stime` and `ru_maxrss` are 0.
 */
export type WorkerResourceUsage = {
  /** CPU time in user mode, in milliseconds. */
  ru_utime: number;
  /** CPU time in the kernel, in milliseconds. */
  ru_stime: number;
  /** The largest resident set size of the process, in KB. */
  ru_maxrss: number;
  ru_ixrss: number;
  ru_idrss: number;
  ru_isrss: number;
  /** Page faults without disk access. */
  ru_minflt: number;
  /** Page faults with disk access. */
  ru_majflt: number;
  ru_nswap: number;
  ru_inblock: number;
  ru_oublock: number;
  ru_msgsnd: number;
  ru_msgrcv: number;
  ru_nsignals: number;
  /** Voluntary context switches. */
  ru_nvcsw: number;
  /** Involuntary context switches. */
  ru_nivcsw: number;
};

export type WorkerDump = {
  pid: number;
  /**
   * Datagrams that could not be sent and were dropped: the kernel or the buffer of a TCP connection was full, or the
   * kernel has no route to their destination. The buffer of a TCP connection holds 256 KiB for a peer that does not
   * read.
   */
  datagramsUnsent: number;
  /**
   * Datagrams that the kernel dropped because a socket's receive buffer was full: see `recvBufferSize`. Only Linux
   * counts them; 0 on macOS and Windows.
   */
  datagramsOverflowed: number;
  /**
   * Received datagrams that were dropped because their source cannot be answered: its port is 0, or its address is
   * unspecified or multicast.
   */
  datagramsUnanswerable: number;
  /**
   * Events that were not emitted because newer ones of the same kind replaced them while JavaScript was busy. If a peer
   * can repeat a kind of event, an object keeps the first 7 and the latest until JavaScript takes them; of
   * 'sctpsendbufferfull', 'bufferedamountlow' and 'streamclose' only the latest.
   */
  eventsMerged: number;
  /** Log lines that were dropped because there were too many: see `logTags`. */
  logLinesDropped: number;
  /**
   * The bytes that count towards `maxMemory`, except messages of `dataConsumer.send()` that are on their way to the
   * worker.
   */
  bytesHeld: number;
  /** Messages that `send()` rejected, or that were dropped for one of their DataConsumers, because of `maxMemory`. */
  messagesDroppedMemory: number;
  /**
   * Messages that were lost when something closed. When a DataProducer, transport or Router closes, the messages that
   * wait to be routed are routed for about half a millisecond, and the rest is dropped. Also counted: messages that a
   * DataConsumer of type 'direct' held when it closed, and retained messages that a new DataConsumer had not received
   * yet.
   */
  messagesDroppedAtClose: number;
  /**
   * TCP connections that were closed because no valid STUN request came over them within 15 s, because newer
   * connections evicted them before that, or because they announced an invalid frame. Connections without a valid STUN
   * request are bounded to 256 per Worker and 32 per IPv4 address or IPv6 /64, and to 24 KiB of an unfinished frame
   * each.
   */
  tcpConnectionsDropped: number;
  webRtcServerIds: string[];
  routerIds: string[];
  channelMessageHandlers: {
    channelRequestHandlers: string[];
    channelNotificationHandlers: string[];
  };
};

/**
 * How much a DataProducer, or all DataProducers of a transport together, may receive. At least one of the two rates is
 * required. Each rate is a token bucket.
 */
export type LimitOptions = {
  /** The rate in messages. 1-4294967295. Default: no limit. */
  messagesPerSecond?: number;
  /**
   * The rate in bytes of payload. 1-4294967295. Default: no limit. A message larger than the bucket passes too, once
   * the bucket is not in debt.
   */
  bytesPerSecond?: number;
  /**
   * The size of the buckets in seconds, that is, how many seconds' worth may come at once. Above 0, at most 3600;
   * default 1.
   */
  burst?: number;
  /**
   * What happens to a message that exceeds the limit. Default 'drop'.
   *
   * - 'drop': it is dropped and counted as `messagesLimited`.
   * - 'pause': the same, and its DataProducer is paused until the application calls `resume()`.
   * - 'close': the same, and its DataProducer is closed, over WebRTC with the peer's channel.
   * - 'block': nothing is dropped. Messages wait where they come from, as with `overflow: 'block'`: a direct
   *   DataProducer fills its queue, and then `send()` throws ERR_SEND_QUEUE_FULL; a peer's receive window closes, for
   *   all of its streams. UnsupportedError on a PipeTransport made by `createPipeTransport()`.
   */
  action?: LimitAction;
};

export type LimitAction = 'drop' | 'pause' | 'close' | 'block';

/** The options of `drained()`. */
export type DrainedOptions = {
  /** Ends the wait when it is aborted. */
  signal?: AbortSignal;
  /** Ends the wait after this many milliseconds. 0-2147483647. Default: waits for as long as a peer takes. */
  timeout?: number;
};

export type WorkerEvents = {
  /** The thread ended because of a bug. The Worker and everything created from it are closed. */
  died: [error: Error];
  /** The thread has ended, after `close()` or 'died'. This is the last event of a Worker. */
  subprocessclose: [];
  /** `createWorker()` has succeeded. Emitted before its promise resolves, for internal use, as in mediasoup. */
  '@success': [];
  /** `createWorker()` has failed. Emitted before its promise rejects, for internal use, as in mediasoup. */
  '@failure': [error: Error];
  /** The Worker is closed, after `close()` or 'died'. 'subprocessclose' follows when its thread has ended. */
  close: [];
};

export type WorkerObserverEvents = {
  close: [];
  newwebrtcserver: [webRtcServer: WebRtcServer];
  newrouter: [router: Router];
};

export type WorkerObserver = EnhancedEventEmitter<WorkerObserverEvents>;

/** A thread that runs all objects created from it. While a Worker is open, the process does not exit by itself. */
export interface Worker<
  WorkerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<WorkerEvents> {
  /** The operating system's id of the thread, different for each Worker. */
  readonly pid: number;
  readonly closed: boolean;
  /** Whether the thread ended because of a bug. */
  readonly died: boolean;
  /** Whether the thread has ended. */
  readonly subprocessClosed: boolean;
  get appData(): WorkerAppData;
  set appData(appData: WorkerAppData);
  readonly observer: WorkerObserver;

  /**
   * Closes its Routers and then its WebRtcServers, all of which emit 'workerclose', notifies the peers, and ends the
   * thread. 'subprocessclose' is emitted when the thread has ended. Pending promises reject with WorkerClosedError.
   */
  close(): void;
  /**
   * Resolves with the inner state of the Worker, for debugging.
   *
   * @throws WorkerClosedError
   */
  dump(): Promise<WorkerDump>;
  /**
   * Resolves when everything sent before the call has left all DataConsumers of the Worker: the peers have acknowledged
   * it, listeners have taken it, or it was dropped and counted. See `dataConsumer.drained()`.
   *
   * A peer acknowledges a message before its application reads it. Chromium delivers it even if the session ends at
   * once; libdatachannel may discard it under load, so with such clients close the Worker a second later.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError
   * @throws WorkerClosedError: the Worker is closed, or closes during the wait.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /**
   * Resolves with the CPU time and other resources that the Worker's thread has used.
   *
   * @throws WorkerClosedError
   */
  getResourceUsage(): Promise<WorkerResourceUsage>;
  /**
   * Changes what the worker logs. Settings that are not given keep their values.
   *
   * @throws TypeError, WorkerClosedError
   */
  updateSettings(settings?: WorkerUpdateableSettings<WorkerAppData>): Promise<void>;
  /**
   * Opens ports that WebRtcTransports of all Routers of the Worker can share.
   *
   * @throws TypeError: `listenInfos` is missing, empty or invalid.
   * @throws Error: an address cannot be bound.
   * @throws WorkerClosedError
   */
  createWebRtcServer<WebRtcServerAppData extends AppData = AppData>(
    options: WebRtcServerOptions<WebRtcServerAppData>,
  ): Promise<WebRtcServer<WebRtcServerAppData>>;
  /**
   * Creates a Router, a group of transports.
   *
   * @throws TypeError, WorkerClosedError
   */
  createRouter<RouterAppData extends AppData = AppData>(
    options?: RouterOptions<RouterAppData>,
  ): Promise<Router<RouterAppData>>;
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
  /** Calls `close()`, and resolves when the thread has ended. */
  [Symbol.asyncDispose](): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------- WebRtcServer

export type WebRtcServerOptions<WebRtcServerAppData extends AppData = AppData> = {
  /** Where the server listens. At least one entry. */
  listenInfos: TransportListenInfo[];
  appData?: WebRtcServerAppData;
};

/** @deprecated Use {@link TransportListenInfo}. */
export type WebRtcServerListenInfo = TransportListenInfo;

export type IpPort = { ip: string; port: number };

export type IceUserNameFragment = { localIceUsernameFragment: string; webRtcTransportId: string };

export type WebRtcServerDump = {
  id: string;
  udpSockets: IpPort[];
  tcpServers: IpPort[];
  webRtcTransportIds: string[];
  localIceUsernameFragments: IceUserNameFragment[];
  /** Datagrams that arrived on the server's ports, matched none of its transports, and were dropped. */
  datagramsDropped: number;
};

export type WebRtcServerEvents = {
  /** Its Worker was closed or died, and the WebRtcServer is closed with it. */
  workerclose: [];
  /** The object is closed, for whatever reason. This is its last event. */
  close: [];
};

export type WebRtcServerObserverEvents = {
  close: [];
  /** A new WebRtcTransport listens on the server. */
  webrtctransporthandled: [webRtcTransport: WebRtcTransport];
  /** A WebRtcTransport on the server was closed, by the application or together with the server. */
  webrtctransportunhandled: [webRtcTransport: WebRtcTransport];
};

export type WebRtcServerObserver = EnhancedEventEmitter<WebRtcServerObserverEvents>;

/** UDP and TCP ports that any number of WebRtcTransports share, of all Routers of a Worker. */
export interface WebRtcServer<
  WebRtcServerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<WebRtcServerEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  get appData(): WebRtcServerAppData;
  set appData(appData: WebRtcServerAppData);
  readonly observer: WebRtcServerObserver;

  /** Closes its sockets and its transports, which emit 'listenserverclose'. */
  close(): void;
  /**
   * Resolves with the inner state of the WebRtcServer, for debugging.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  dump(): Promise<WebRtcServerDump>;
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
}

// ------------------------------------------------------------------------------------------------------------- Router

export type RouterOptions<RouterAppData extends AppData = AppData> = {
  /** Ignored, because media is not routed. A warning is logged if it is not empty. */
  mediaCodecs?: RouterRtpCodecCapability[];
  appData?: RouterAppData;
};

export type PipeToRouterOptions = {
  /** Rejects with UnsupportedError, because media is not routed. */
  producerId?: string;
  /** The id of the DataProducer to pipe, which must belong to this Router. Required. */
  dataProducerId?: string;
  /** The Router to pipe to, which may belong to any Worker of this process. */
  router: Router;
  /**
   * Whether the new DataProducer has the id of the original. Default true. Must be false if both Routers belong to one
   * Worker, because ids are unique there.
   */
  keepId?: boolean;
  /**
   * What happens to messages that the other Router does not take quickly enough: see {@link DataConsumerOverflow}.
   * 'block' has no timeout here: the pipe waits for as long as the DataConsumers at its far end do. Default
   * 'drop-newest'.
   */
  overflow?: DataConsumerOverflow;
  /**
   * How many bytes may wait for the other Router; each message is charged its payload plus 64 bytes. 0-4294967295.
   * Default: `sctpPerStreamSendQueueLimit`, of payload only.
   */
  maxBufferedAmount?: number;
  /** Default true. With false the call rejects, because data needs SCTP. */
  enableSctp?: boolean;
  /** Ignored with a warning in the log, because SRTP is for media. */
  enableSrtp?: boolean;
} & SctpOverUdpOptions &
  Either<
    {
      /** Where both PipeTransports listen. Default: UDP on 127.0.0.1. */
      listenInfo?: TransportListenInfo;
    },
    {
      /** @deprecated Use `listenInfo`. */
      listenIp?: TransportListenIp | string;
    }
  >;

export type PipeToRouterResult = {
  /** The DataConsumer on this Router, of the original DataProducer. */
  pipeDataConsumer?: DataConsumer;
  /** The new DataProducer on the other Router. */
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
  /** Its Worker was closed or died, and the Router is closed with it. */
  workerclose: [];
  /** The object is closed, for whatever reason. This is its last event. */
  close: [];
};

export type RouterObserverEvents = {
  close: [];
  newtransport: [transport: Transport];
};

export type RouterObserver = EnhancedEventEmitter<RouterObserverEvents>;

/** A group of transports: a DataProducer of one can be consumed on all of them. */
export interface Router<
  RouterAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<RouterEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  /** Two empty lists, which `device.load()` of mediasoup-client accepts. */
  readonly rtpCapabilities: RtpCapabilities;
  get appData(): RouterAppData;
  set appData(appData: RouterAppData);
  readonly observer: RouterObserver;

  /** Closes its transports, which emit 'routerclose'. */
  close(): void;
  /**
   * Resolves with the inner state of the Router, for debugging.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  dump(): Promise<RouterDump>;
  /**
   * Creates a transport for one WebRTC client.
   *
   * @throws TypeError: invalid options, or nothing to listen on.
   * @throws Error: an address cannot be bound, or the WebRtcServer is closed or belongs to another Worker.
   * @throws NotFoundError, WorkerClosedError
   */
  createWebRtcTransport<WebRtcTransportAppData extends AppData = AppData>(
    options: WebRtcTransportOptions<WebRtcTransportAppData>,
  ): Promise<WebRtcTransport<WebRtcTransportAppData>>;
  /**
   * Creates a transport for one peer that speaks SCTP over UDP, without ICE and DTLS.
   *
   * @throws TypeError: invalid options.
   * @throws Error: the address cannot be bound.
   * @throws UnsupportedError: `enableSrtp` without `enableSctp`.
   * @throws NotFoundError, WorkerClosedError
   */
  createPlainTransport<PlainTransportAppData extends AppData = AppData>(
    options: PlainTransportOptions<PlainTransportAppData>,
  ): Promise<PlainTransport<PlainTransportAppData>>;
  /**
   * Creates one end of a pipe to a Router on another host. `pipeToRouter()` makes both ends within this process.
   *
   * @throws TypeError: invalid options.
   * @throws Error: the address cannot be bound.
   * @throws UnsupportedError: `enableSrtp` without `enableSctp`.
   * @throws NotFoundError, WorkerClosedError
   */
  createPipeTransport<PipeTransportAppData extends AppData = AppData>(
    options: PipeTransportOptions<PipeTransportAppData>,
  ): Promise<PipeTransport<PipeTransportAppData>>;
  /**
   * Creates a transport by which the application itself sends and receives messages.
   *
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  createDirectTransport<DirectTransportAppData extends AppData = AppData>(
    options?: DirectTransportOptions<DirectTransportAppData>,
  ): Promise<DirectTransport<DirectTransportAppData>>;
  /**
   * Makes a DataProducer of this Router available on another Router of this process, of the same Worker or another one.
   * The call creates a DataConsumer on this Router, and on the other one a DataProducer with the same label, protocol,
   * stream parameters and `appData`. When either of the two closes, the other closes too. The new DataProducer is shown
   * as paused while the original is: see 'pause' of {@link DataProducerEvents}.
   *
   * The first call between two Routers creates a pair of PipeTransports with the SCTP options of that call. Later
   * calls, in either direction, use the same pair.
   *
   * Messages sent before the promise resolves may be lost, because nothing can consume them on the other Router yet;
   * `messagesUnrouted` of the PipeTransport there counts them. Messages that the DataProducer retains do cross.
   *
   * @throws TypeError: invalid options, or `router` is this Router.
   * @throws NotFoundError: this Router has no such DataProducer, or one of the objects closed during the call.
   * @throws UnsupportedError: `producerId`, or `enableSrtp` with `enableSctp: false`.
   * @throws Error: `keepId` within one Worker, or the other Router has a DataProducer of this id.
   * @throws WorkerClosedError
   */
  pipeToRouter(options: PipeToRouterOptions): Promise<PipeToRouterResult>;
  /** @throws UnsupportedError: media is not routed. */
  createActiveSpeakerObserver(options?: object): Promise<never>;
  /** @throws UnsupportedError: media is not routed. */
  createAudioLevelObserver(options?: object): Promise<never>;
  /** Always false, because there is no media to consume. */
  canConsume(options?: { producerId: string; rtpCapabilities: RtpCapabilities }): boolean;
  /**
   * Has no effect, because media is not routed. A warning is logged if the array is not empty.
   *
   * @throws TypeError: not an array.
   */
  updateMediaCodecs(mediaCodecs: RouterRtpCodecCapability[]): void;
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
}

// ---------------------------------------------------------------------------------------------------------- Transport

export type TransportType = 'webrtc' | 'plain' | 'pipe' | 'direct';

export type TransportProtocol = 'udp' | 'tcp';

/** Where a transport or a WebRtcServer listens. */
export type TransportListenInfo = {
  /** WebRtcTransports and WebRtcServers accept both; other transports accept only 'udp'. */
  protocol: TransportProtocol;
  /**
   * The IPv4 or IPv6 address to bind, without a zone. ::ffff:192.0.2.1 means 192.0.2.1; 0.0.0.0 and :: mean all
   * addresses of this host, and each peer is answered from the address that it sends to.
   */
  ip: string;
  /**
   * The address or host name (RFC 1123) that peers are given instead of `ip`, for example the public one behind NAT.
   * Default: `ip`, or for 0.0.0.0 and :: the addresses of this host's interfaces when the socket is bound: at most 16
   * (of :: the IPv6 ones first), loopback and link-local IPv4 addresses only if there are no others, link-local IPv6
   * addresses never.
   *
   * To announce several addresses of one port, give several `listenInfos` with the same `protocol`, `ip` (in any
   * spelling) and `port`. They share one socket, so it is a TypeError if their `flags`, `sendBufferSize` or
   * `recvBufferSize` differ.
   */
  announcedAddress?: string;
  /** @deprecated Use `announcedAddress`. */
  announcedIp?: string;
  /**
   * Whether ICE candidates also have the addresses that would be announced without `announcedAddress`. Default false.
   */
  exposeInternalIp?: boolean;
  /** The port to bind. 0-65535. Default 0: a free port of the Worker's range, `rtcMinPort` to `rtcMaxPort`. */
  port?: number;
  /**
   * The range of which a free port is bound, instead of `port`. A range from 0 begins at 1, but from 0 to 0 means the
   * Worker's range.
   */
  portRange?: TransportPortRange;
  flags?: TransportSocketFlags;
  /** The size of the socket's send buffer (SO_SNDBUF). 0-4294967295. Default, and with 0: the system's size. */
  sendBufferSize?: number;
  /**
   * The size of the socket's receive buffer (SO_RCVBUF). 0-4294967295. Default, and with 0: 2 MiB for UDP, the system's
   * size for TCP. Linux grants at most `net.core.rmem_max`, macOS about `kern.ipc.maxsockbuf`; a warning is logged once
   * if that is less.
   *
   * On Linux, datagrams that do not fit are counted as `datagramsOverflowed` of `worker.dump()`, and while the buffer
   * is half full, peers that send much get smaller receive windows.
   */
  recvBufferSize?: number;
};

/** @deprecated Use {@link TransportListenInfo}. */
export type TransportListenIp = { ip: string; announcedIp?: string };

export type TransportPortRange = {
  /** 0-65535. */
  min: number;
  /** 0-65535, not below `min`. */
  max: number;
};

export type TransportSocketFlags = {
  /** Whether an IPv6 socket refuses IPv4. Default false. */
  ipv6Only?: boolean;
  /**
   * Whether other UDP sockets may bind the same address and port (SO_REUSEPORT). Default false. Linux spreads the peers
   * over these sockets; macOS does not; on Windows it is an Error.
   */
  udpReusePort?: boolean;
};

/** A local socket and, once it is known, the peer's address. */
export type TransportTuple = {
  /** @deprecated Use `localAddress`. */
  localIp: string;
  /**
   * The announced address or, if there is none, the bound one. If that is 0.0.0.0 or ::, the address of this host that
   * the peer uses.
   */
  localAddress: string;
  localPort: number;
  remoteIp?: string;
  remotePort?: number;
  protocol: TransportProtocol;
};

/**
 * 'failed': the peer did not answer the handshake, or on a PlainTransport or PipeTransport was silent for 55 s
 * (`sctpSilence`). 'closed': either side ended the association.
 */
export type SctpState = 'new' | 'connecting' | 'connected' | 'failed' | 'closed';

/** A capture of a transport's packets, made by `transport.capture()`. */
export interface Capture {
  readonly closed: boolean;
  /** How many packets were written. */
  readonly packets: number;
  /**
   * How many packets were dropped. The end of the file has the number too, in its interface statistics (isb_ifdrop).
   */
  readonly packetsDropped: number;
  /** Ends the capture, writes its statistics and ends the writable. */
  close(): void;
  [Symbol.dispose](): void;
}

/** What `transport.diagnose()` resolves with. */
export type TransportDiagnosis = {
  /** The states of the transport, and what has arrived at it. */
  state: {
    iceState?: IceState;
    dtlsState?: DtlsState;
    sctpState?: SctpState;
    /**
     * WebRTC: the STUN requests for this transport. `received` counts all; each is counted in one other member as well.
     */
    stun?: {
      received: number;
      valid: number;
      /**
       * Requests with another username fragment than this transport's. Not counted on a WebRtcServer, which finds its
       * transports by the fragment.
       */
      wrongUsername: number;
      /** Requests with the username fragment of this transport, but signed with another password. */
      wrongIntegrity: number;
      /** Requests of a peer that claims to be controlled. */
      roleConflict: number;
      /** Requests that are malformed, or lack what a connectivity check needs (RFC 8445 §7.1). */
      malformed: number;
      /** Requests beyond 100 in 50 ms, which were not examined. */
      overQuota: number;
      /** The source of the last valid request: `192.0.2.1:4000` or `[2001:db8::1]:4000`. */
      validFrom?: string;
      /** The source of the last rejected request. */
      refusedFrom?: string;
    };
    /**
     * WebRTC, and pipes with `enableDtls`: the datagrams of the DTLS session, and the records in them that were
     * dropped.
     */
    dtls?: { datagrams: number; recordsDropped: number };
    /**
     * With SCTP, but not through `pipeToRouter()`: the packets that have arrived, and the messages on streams without a
     * DataProducer.
     */
    sctp?: { packets: number; messagesUnrouted: number };
    /** The same as in `getStats()`: datagrams that were not the peer's, and STUN requests over a limit. */
    datagramsDropped: number;
    /** Plain and pipe: the source of the last datagram that did not come from the peer's address. */
    droppedFrom?: string;
  };
  /** What is missing or has failed, the cause first. Empty if everything is in order. */
  findings: {
    code: FindingCode;
    /** What was seen. */
    message: string;
    /** What to do. */
    hint: string;
  }[];
};

/**
 * What is missing, in the order of the protocols, or the code of an error.
 * - 'no-stun-received': no STUN request has arrived. The peer does not have the candidates or cannot reach them: UDP is
 *   blocked, or `announcedAddress` is wrong.
 * - 'stun-wrong-username', 'stun-wrong-password': the peer has the `iceParameters` of another transport, or those from
 *   before `restartIce()`.
 * - 'role-conflict': the peer claims to be controlled (ICE), or both sides are the DTLS client.
 * - 'stun-malformed': STUN requests are not connectivity checks.
 * - 'stun-over-quota': there are more than 100 STUN requests in 50 ms.
 * - 'connect-not-called': the peer is reachable, and `connect()` has not been called.
 * - 'no-client-hello': the peer is the DTLS client and does not begin the handshake.
 * - 'no-dtls-answer': the peer is the DTLS server and does not answer.
 * - 'dtls-incomplete', 'sctp-incomplete': a handshake has begun and is not complete.
 * - 'no-sctp-received': no SCTP packet has arrived. The peer has no data channel, or does not send.
 * - 'wrong-source': plain and pipe: datagrams come from another address than that of `connect()`.
 * - 'nothing-to-carry': plain and pipe: there is no DataProducer or DataConsumer yet, and the association begins with
 *   the first one.
 * - 'messages-unrouted': messages came on streams without a DataProducer.
 */
export type FindingCode =
  | 'no-stun-received'
  | 'stun-wrong-username'
  | 'stun-wrong-password'
  | 'stun-malformed'
  | 'stun-over-quota'
  | 'connect-not-called'
  | 'no-client-hello'
  | 'no-dtls-answer'
  | 'dtls-incomplete'
  | 'no-sctp-received'
  | 'sctp-incomplete'
  | 'wrong-source'
  | 'nothing-to-carry'
  | 'messages-unrouted'
  | IceErrorCode
  | DtlsErrorCode
  | SctpErrorCode;

/** Why a transport has reached a state. New codes may be added; the meaning of a code does not change. */
export type StateError<Code extends string> = {
  /** For programs. */
  code: Code;
  /** For people: one sentence, whose text may change. */
  message: string;
};

/**
 * Why an association failed or ended.
 * - 'peer-closed': the peer ended it in an orderly way, by an SCTP SHUTDOWN or a user-initiated ABORT (RFC 9260 §9).
 * - 'peer-aborted': the peer ended it with another error cause (RFC 9260 §3.3.10), whose number the message has.
 * - 'peer-silent': the peer of a PlainTransport or PipeTransport answered no HEARTBEAT; see `sctpSilence`.
 * - 'handshake-timeout': the peer did not answer our INIT or COOKIE ECHO for 35 s.
 * - 'message-too-large': the peer sent a message over `maxReceiveMessageSize`.
 * - 'receive-buffer-exhausted': fragments of messages that the peer has not completed filled the receive window.
 * - 'protocol-violation': the peer broke another rule of SCTP, or exceeded another bound.
 *
 * If the DTLS session ends first, the association ends with it and has the session's error.
 */
export type SctpErrorCode =
  | 'peer-closed'
  | 'peer-aborted'
  | 'peer-silent'
  | 'handshake-timeout'
  | 'message-too-large'
  | 'receive-buffer-exhausted'
  | 'protocol-violation'
  | DtlsErrorCode;

export type SctpError = StateError<SctpErrorCode>;

/** What a client needs to know about the association, for mediasoup-client. */
export type SctpParameters = {
  /** Always 5000. */
  port: number;
  /** The largest message that DataConsumers send, in bytes. */
  maxSendMessageSize: number;
  /** The largest message that DataProducers accept, in bytes. */
  maxReceiveMessageSize: number;
  /** The option `sctpSendBufferSize`. */
  sendBufferSize: number;
  /** The option `sctpPerStreamSendQueueLimit`. */
  perStreamSendQueueLimit: number;
  /** The receive window in force; see the option `sctpMaxReceiverWindowBufferSize`. */
  maxReceiverWindowBufferSize: number;
  /** Whether SCTP runs over DTLS, for DataChannels. */
  isDataChannel: boolean;
  /** The number of outgoing streams, for clients older than mediasoup 3.20. */
  OS: number;
  /** The number of incoming streams, for clients older than mediasoup 3.20. */
  MIS: number;
  /** The largest message that a client may send, in bytes: `maxReceiveMessageSize`. */
  maxMessageSize: number;
};

/**
 * The numbers of streams that the handshake has agreed on. A peer may later add streams to those that it sends on (RFC
 * 6525 §4.5); `dump()` then shows the new number.
 */
export type SctpNegotiatedCapabilities = {
  negotiatedMaxOutboundStreams: number;
  negotiatedMaxInboundStreams: number;
};

/** The SCTP stream of a DataProducer or DataConsumer, and its reliability. */
export type SctpStreamParameters = {
  /** The id of the stream. 0-65534. */
  streamId: number;
  /**
   * Whether messages arrive in the order of sending. Default true, but false if `maxPacketLifeTime` or `maxRetransmits`
   * is given.
   */
  ordered?: boolean;
  /**
   * For how many milliseconds a message may be sent and retransmitted. 0-65535; not together with `ordered: true` or
   * `maxRetransmits`. Default: no limit.
   */
  maxPacketLifeTime?: number;
  /**
   * How many times a message may be retransmitted. 0-65535; not together with `ordered: true` or `maxPacketLifeTime`.
   * Default: no limit.
   */
  maxRetransmits?: number;
};

/**
 * The SCTP options of transports. Sizes are bytes, 0-4294967295.
 *
 * These limits on a peer are fixed:
 *
 * - 4,096 fragments of incomplete messages from a WebRTC client, 16,384 from other peers, or one per 512 bytes of the
 *   receive window if that is more;
 * - half as many chunks received beyond a lost packet;
 * - twice the receive window of data that a peer sends although the window is full;
 * - 8,192 streams that a WebRTC client has sent on;
 * - 256 stream resets whose responses the peer leaves unanswered;
 * - 4,096 TSNs plus 512 KiB that the peer has not acknowledged cumulatively, of which at most 1.5 MiB are acknowledged
 *   beyond a gap;
 * - a quarter of a core for the peer's packets, the routing of its messages and, for a WebRTC client, what is sent to
 *   it.
 */
export type SctpOptions = {
  /**
   * The largest message that DataConsumers send, in bytes. Larger ones are dropped and counted. 0-4294967295, default
   * 262144.
   */
  maxSendMessageSize?: number;
  /**
   * The largest message that DataProducers accept, in bytes. A larger message from a peer ends its association; on a
   * PipeTransport it may be dropped instead. 0-4294967295, default 262144.
   */
  maxReceiveMessageSize?: number;
  /**
   * How many bytes of payload may be queued for the peer on all streams together. At this size, further messages are
   * dropped and counted, and their DataConsumers emit 'sctpsendbufferfull'. 0-4294967295, default 2000000.
   *
   * Small messages are bounded too: payload plus 64 bytes per message may reach twice this size plus 64 KiB. Through a
   * pipe lists of subchannels count as well, 2 bytes for each. Messages inside the association, at most 512 KiB that
   * the peer has not acknowledged, do not count.
   */
  sctpSendBufferSize?: number;
  /** Like `sctpSendBufferSize`, but for each stream alone. 0-4294967295, default 2000000. */
  sctpPerStreamSendQueueLimit?: number;
  /**
   * The receive window: how many bytes the peer may send ahead (RFC 9260 §3.3.2). 0-4294967295, default 5242880.
   *
   * The window in force, which `sctpParameters` shows, is at most the larger of 1 MiB and 2 × `maxReceiveMessageSize`,
   * to bound the memory per peer, and at least `maxReceiveMessageSize` plus 64 KiB, so that the largest message fits.
   * On a PipeTransport the largest message has up to 131084 bytes more, for its subchannels. A peer that ignores the
   * window can fill it twice before its association ends.
   */
  sctpMaxReceiverWindowBufferSize?: number;
  /**
   * The threshold for 'bufferedamountlow' that DataConsumers begin with, in bytes: see
   * `setBufferedAmountLowThreshold()`. 0-4294967295, default 1024.
   */
  sctpDefaultStreamBufferedAmountLowThreshold?: number;
  /**
   * The algorithm that decides how much may be in flight to the peer: see {@link SctpCongestionControl}. Default
   * 'cubic'. `pipeToRouter()` accepts it without effect, because its messages go from thread to thread.
   */
  sctpCongestionControl?: SctpCongestionControl;
  /**
   * The default of `maxSendMessageSize` and `maxReceiveMessageSize`, in bytes.
   *
   * @deprecated Use these two instead.
   */
  maxSctpMessageSize?: number;
  /** @deprecated Checked and without effect: a transport uses as many streams as the peer offers. */
  numSctpStreams?: NumSctpStreams;
};

/**
 * How the congestion window of an association grows and shrinks. It applies to what this side sends; the peer decides
 * for itself.
 *
 * - 'cubic' (RFC 9438), for most applications: fills fast and long paths, and shares a path fairly with TCP. On short
 *   and slow paths it takes up to one and a half times as much as 'newreno', because alpha of §4.3 is always 1.
 * - 'newreno' (RFC 9260 §7.2): grows by one packet per round trip after a loss, so it takes less of a shared path than
 *   'cubic', and uses less of a fast or long one.
 * - 'bbr' (draft-ietf-ccwg-bbr, experimental): follows the measured rate and round-trip time instead of halving at
 *   every loss. For paths that lose packets without being full, such as radio links. It slows down where more than 2 %
 *   of a round trip is lost. Beside 'cubic' it takes more than its share of a path with a short queue.
 */
export type SctpCongestionControl = 'cubic' | 'newreno' | 'bbr';

/** The SCTP options of transports without ICE: PlainTransport and PipeTransport. */
export type SctpOverUdpOptions = SctpOptions & {
  /**
   * After how many milliseconds without a packet from the peer `sctpState` becomes 'failed'. 1000-4294967295, default
   * 55000. Without effect in `pipeToRouter()`, whose pipes need no network; WebRtcTransports have `iceConsentTimeout`.
   *
   * After three elevenths of that time HEARTBEATs are sent (RFC 9260 §8.3): up to 20 (7 with 1000), at least 100 ms
   * apart. With 3000 or more the association survives the loss of a fifth of all packets, with 1000 of a twentieth. A
   * pause of this process does not count.
   */
  sctpSilence?: number;
};

/** @deprecated See `numSctpStreams` of {@link SctpOptions}. */
export type NumSctpStreams = {
  /** Outgoing streams, 0-65535. */
  OS: number;
  /** Incoming streams, 0-65535. */
  MIS: number;
};

/** Always empty, because media is not routed. */
export type RtpListenerDump = {
  ssrcTable: { key: number; value: string }[];
  midTable: { key: number; value: string }[];
  ridTable: { key: number; value: string }[];
};

export type SctpListenerDump = { streamIdTable: { key: number; value: string }[] };

/** Always empty, because media is not routed. */
export type RecvRtpHeaderExtensions = {
  mid?: number;
  rid?: number;
  rrid?: number;
  absSendTime?: number;
  transportWideCc01?: number;
};

/** The inner state of a transport. Members about media are empty. */
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
  /** The id of the DataProducer of each stream. */
  sctpListener?: SctpListenerDump;
  traceEventTypes?: string[];
};

/**
 * Numbers of bytes count whole datagrams; bitrates are bits per second, over the last second. Members about RTP and RTX
 * are 0.
 */
export type BaseTransportStats = {
  transportId: string;
  /** When the numbers were taken, in milliseconds of a monotonic clock. */
  timestamp: number;
  sctpState?: SctpState;
  /**
   * When the last verified packet from the peer arrived, on the clock of `timestamp`: an SCTP packet, or on a
   * WebRtcTransport one of STUN or DTLS. Undefined before the first one, and on the transports of `pipeToRouter()`,
   * which need no network.
   */
  lastHeard?: number;
  /** Bytes of all datagrams received from the peer. */
  bytesReceived: number;
  recvBitrate: number;
  /** Bytes of all datagrams sent to the peer. */
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
  /** What `setMaxIncomingBitrate()` has set. It has no effect on data. */
  maxIncomingBitrate?: number;
  /** What `setMaxOutgoingBitrate()` has set. It has no effect on data. */
  maxOutgoingBitrate?: number;
  /** What `setMinOutgoingBitrate()` has set. It has no effect on data. */
  minOutgoingBitrate?: number;
  rtpPacketLossReceived?: number;
  rtpPacketLossSent?: number;
  /**
   * Datagrams dropped because they were not the peer's (another source, no authentic STUN, or no protocol of this
   * transport), and STUN requests over a limit. The limit is 100 in 50 ms each for requests from the peer's tuples, for
   * those from elsewhere with the transport's username fragment, and for all others.
   */
  datagramsDropped: number;
  /**
   * Messages from the peer dropped because their stream has no DataProducer, or because they exceed
   * `maxReceiveMessageSize`.
   */
  messagesUnrouted: number;
  /** Messages from the peer dropped because they exceeded the `limit` of the transport. */
  messagesLimited: number;
  /** The payload of `messagesLimited`, in bytes. */
  bytesLimited: number;
  /**
   * Messages dropped because they were queued before the association was up, for streams that the peer turned out not
   * to take. Their DataConsumers have emitted 'streamclose'.
   */
  messagesDroppedUnsendable: number;
  /** Messages discarded because their DataConsumer closed while they were queued. */
  messagesDiscarded: number;
  /** The payload of `messagesDiscarded`, in bytes. */
  bytesDiscarded: number;
  /** With SCTP: received packets dropped because they were malformed. */
  sctpPacketsMalformed?: number;
  /** With SCTP: received packets dropped because their checksum, tag or ports were not those of the association. */
  sctpPacketsForeign?: number;
  /** With SCTP: received packets dropped because they did not fit the state of the association. */
  sctpPacketsUnexpected?: number;
  /**
   * With SCTP: received packets dropped because the peer exceeded its share of the worker's time, or because 1 MiB of
   * its messages wait to be routed. The share is a quarter of a core. It includes the routing of the peer's messages
   * (not on a PipeTransport) and what is sent to a WebRTC client.
   */
  sctpPacketsOverload?: number;
  /** With SCTP: chunks removed from received packets, for example because their type is unknown. */
  sctpChunksStripped?: number;
  /**
   * With SCTP: messages that expired. Nothing of them was sent, because their `maxPacketLifeTime` had ended or would
   * have ended before all of it was sent.
   */
  messagesExpired?: number;
  /**
   * With SCTP: messages abandoned by `maxRetransmits` or `maxPacketLifeTime` after at least a part was sent. Some may
   * have arrived, if only the acknowledgement was lost or late.
   */
  messagesAbandoned?: number;
  /**
   * With SCTP: messages that were queued when the association ended, or that it rejected. Messages inside the
   * association, at most about 512 KiB, may or may not have arrived. Later messages count as
   * `messagesDroppedUnsendable` of their DataConsumer.
   */
  messagesUnsent?: number;
  /** With SCTP: messages from the peer dropped because they were inconsistent, or invalid DCEP (RFC 8832). */
  messagesGarbled?: number;
  /**
   * The smoothed round-trip time of SCTP packets (RFC 9260 §6.3.1), in milliseconds with up to three decimals.
   * Undefined until the handshake or the first acknowledgement of a message has measured it. It includes the peer's
   * delay of acknowledgements, up to 200 ms if single packets are sent now and then.
   *
   * This member and the following ones, to `sctpSpuriousRetransmissions`, are about what this side sends. They exist
   * from `sctpState` 'connected' on and keep their last values after the end. The transports of `pipeToRouter()` have
   * none, because their messages go from thread to thread.
   */
  sctpRoundTripTime?: number;
  /**
   * After how many milliseconds without an acknowledgement everything in flight counts as lost (RFC 9260 §6.3); while
   * the timer runs, its value. Each timeout doubles it, up to 800 ms or what is normal for the path, in a long silence
   * up to 5 s; the next acknowledgement makes it normal again. It is 200 ms longer while the peer may delay an
   * acknowledgement.
   */
  sctpRetransmissionTimeout?: number;
  /** The congestion window: how many bytes of payload may be in flight. See `sctpCongestionControl`. */
  sctpCongestionWindow?: number;
  /** How many bytes of payload were sent and are neither acknowledged nor counted as lost. */
  sctpBytesInFlight?: number;
  /**
   * DATA chunks that were sent again: the sum of the four causes below. A message of more than about 1,150 bytes is
   * several chunks.
   */
  sctpChunksRetransmitted?: number;
  /** The payload of `sctpChunksRetransmitted`, in bytes. */
  sctpBytesRetransmitted?: number;
  /** Chunks sent again because chunks that were sent later are acknowledged (RACK, RFC 8985 §6). */
  sctpChunksRetransmittedRack?: number;
  sctpBytesRetransmittedRack?: number;
  /** Chunks sent again because no acknowledgement came for about two round trips (tail loss probe, RFC 8985 §7). */
  sctpChunksRetransmittedProbe?: number;
  sctpBytesRetransmittedProbe?: number;
  /**
   * Chunks sent again because `sctpRetransmissionTimeout` passed without an acknowledgement (RFC 9260 §6.3.3): the path
   * was interrupted.
   */
  sctpChunksRetransmittedTimeout?: number;
  sctpBytesRetransmittedTimeout?: number;
  /**
   * Small chunks that the next packet repeats while little is in flight, in case their own packet is lost. They are no
   * sign of loss.
   */
  sctpChunksRetransmittedBundled?: number;
  sctpBytesRetransmittedBundled?: number;
  /**
   * Chunks sent again although the first copy had arrived, as the peer reports by duplicate TSNs (RFC 9260 §3.3.4),
   * without the bundled ones. Many of them mean that the path reorders packets, or delays some by more than its
   * round-trip time.
   */
  sctpSpuriousRetransmissions?: number;
};

export type TransportTraceEventType = 'probation' | 'bwe';

export type TransportTraceEventData = {
  type: TransportTraceEventType;
  timestamp: number;
  direction: 'in' | 'out';
  info: unknown;
};

export type TransportEvents = {
  /** Its Router was closed, and the transport is closed with it. */
  routerclose: [];
  /** Its WebRtcServer was closed, and the transport is closed with it. */
  listenserverclose: [];
  /** Never emitted, because traces are about media. */
  trace: [trace: TransportTraceEventData];
  /** The object is closed, for whatever reason. This is its last event. */
  close: [];
};

export type TransportObserverEvents = {
  close: [];
  newdataproducer: [dataProducer: DataProducer];
  newdataconsumer: [dataConsumer: DataConsumer];
  trace: [trace: TransportTraceEventData];
};

export type TransportObserver = EnhancedEventEmitter<TransportObserverEvents>;

/** What all types of transports have in common. */
export interface Transport<
  TransportAppData extends AppData = AppData,
  E extends TransportEvents = TransportEvents,
  O extends TransportObserver = TransportObserver,
> extends extras.EnhancedEventEmitter<E> {
  /** A UUID. */
  readonly id: string;
  /** For applications that read mediasoup's protected member of this name. */
  readonly internal: { routerId: string; transportId: string };
  readonly closed: boolean;
  readonly type: TransportType;
  get appData(): TransportAppData;
  set appData(appData: TransportAppData);
  readonly observer: O;

  /** Closes its DataProducers and then its DataConsumers, which emit 'transportclose', and notifies the peer. */
  close(): void;
  /**
   * Resolves with the inner state of the transport, for debugging.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  dump(): Promise<BaseTransportDump>;
  /**
   * Resolves with the transport's counters, in an array of one object as in mediasoup.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  getStats(): Promise<BaseTransportStats[]>;
  /**
   * Explains why no data flows: resolves with what has arrived at the transport, and what is missing or has failed.
   * Call it when a connection takes more than a few seconds.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  diagnose(): Promise<TransportDiagnosis>;
  /**
   * Writes the SCTP packets of both directions, decrypted, to `writable` from now on, as pcapng, which Wireshark opens.
   * Call it before `connect()` to include the handshake. There may be several captures; without one nothing is copied.
   *
   * Packets are dropped and counted while 4 MiB wait for the event loop or in a slow `writable`. Closing the capture or
   * the transport writes the statistics and ends `writable`; if `writable` closes first, the capture ends.
   *
   * @throws TypeError: `writable` is not a Writable of bytes, or has ended.
   * @throws UnsupportedError: there are no SCTP packets, without `enableSctp` and through `pipeToRouter()`.
   * @throws NotFoundError, WorkerClosedError
   */
  capture(writable: Writable): Promise<Capture>;
  /**
   * Resolves when everything sent before the call has left: the messages of the transport's DataConsumers, and the
   * messages that its DataProducers have received, to any DataConsumer. See `dataConsumer.drained()`. If the peer is
   * libdatachannel, give it a second to read before you close the transport: see `worker.drained()`.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError
   * @throws NotFoundError, WorkerClosedError: the transport is closed, or closes during the wait.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /** Sets the peer's address or its DTLS parameters; see the type of transport. */
  connect(params: unknown): Promise<void>;
  /**
   * Stores a limit that `getStats()` shows. It has no effect on data, because it limits only media.
   *
   * @param bitrate - bits per second, 0-4294967295; 0 is no limit.
   * @throws TypeError: invalid argument.
   * @throws UnsupportedError: on a DirectTransport.
   * @throws NotFoundError, WorkerClosedError
   */
  setMaxIncomingBitrate(bitrate: number): Promise<void>;
  /** Like `setMaxIncomingBitrate()`. A TypeError if it is below the minimum. */
  setMaxOutgoingBitrate(bitrate: number): Promise<void>;
  /** Like `setMaxIncomingBitrate()`. A TypeError if it is above the maximum. */
  setMinOutgoingBitrate(bitrate: number): Promise<void>;
  /** @throws UnsupportedError: media is not routed. */
  produce(options?: object): Promise<never>;
  /** @throws UnsupportedError: media is not routed. */
  consume(options?: object): Promise<never>;
  /**
   * Creates a DataProducer, a source of messages: a stream of the peer or, on a DirectTransport, the application.
   *
   * @throws TypeError: invalid options, no `sctpStreamParameters` (except on a DirectTransport), or the `id` of a
   * DataProducer of this transport.
   * @throws Error: SCTP is not enabled, the stream has a DataProducer, or the `id` is in use in the Worker.
   * @throws UnsupportedError: a limit with the action 'block' on a PipeTransport made by `createPipeTransport()`.
   * @throws NotFoundError, WorkerClosedError
   */
  produceData<DataProducerAppData extends AppData = AppData>(
    options?: DataProducerOptions<DataProducerAppData>,
  ): Promise<DataProducer<DataProducerAppData>>;
  /**
   * Creates a DataConsumer, which sends the messages of a DataProducer to the peer or, on a DirectTransport, delivers
   * them to the application.
   *
   * @throws TypeError: invalid options.
   * @throws NotFoundError: this Router has no such DataProducer, or the transport is closed.
   * @throws Error: SCTP is not enabled, no stream is free, or `streamId` is in use or beyond what the peer takes.
   * @throws UnsupportedError: `overflow: 'block'` over a PipeTransport made by `createPipeTransport()`.
   * @throws WorkerClosedError
   */
  consumeData<DataConsumerAppData extends AppData = AppData>(
    options: DataConsumerOptions<DataConsumerAppData>,
  ): Promise<DataConsumer<DataConsumerAppData>>;
  /**
   * Has no effect, because traces are about media.
   *
   * @throws TypeError: not an array of strings.
   * @throws NotFoundError, WorkerClosedError
   */
  enableTraceEvent(types?: TransportTraceEventType[]): Promise<void>;
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
}

// ---------------------------------------------------------------------------------------------------- WebRtcTransport

/**
 * One of `webRtcServer`, `listenIps` and `listenInfos` is required; if several are given, the first in this order is
 * used. `enableUdp`, `enableTcp`, `preferUdp` and `preferTcp` apply to `webRtcServer` and `listenIps` only: with
 * `listenInfos` the transport listens on each of them, and their order is the order of priority.
 */
export type WebRtcTransportOptions<WebRtcTransportAppData extends AppData = AppData> = {
  /** Whether to offer UDP candidates. Default true. Ignored with `listenInfos`. */
  enableUdp?: boolean;
  /** Whether to offer TCP candidates. Default false, or true with a `webRtcServer`. Ignored with `listenInfos`. */
  enableTcp?: boolean;
  /** Whether UDP candidates have the higher priority. Default false. Ignored with `listenInfos`. */
  preferUdp?: boolean;
  /** Whether TCP candidates have the higher priority. Default false. Ignored with `listenInfos`. */
  preferTcp?: boolean;
  /**
   * After how many seconds without the peer's consent (RFC 7675) `iceState` becomes 'disconnected'. 0-65535, default
   * 30. 0 means never; other values are clamped to 10-60 with a warning in the log.
   */
  iceConsentTimeout?: number;
  /** Whether the transport carries data. Default false. */
  enableSctp?: boolean;
  /** Ignored, because media is not routed. */
  initialAvailableOutgoingBitrate?: number;
  /** How much all DataProducers of the transport may receive together. `null` or not given: no limit. */
  limit?: LimitOptions | null;
  appData?: WebRtcTransportAppData;
} & SctpOptions &
  Either<
    Either<
      { listenInfos: TransportListenInfo[] },
      {
        /** @deprecated Use `listenInfos`. */
        listenIps: (TransportListenIp | string)[];
        /** @deprecated Use `port` of `listenInfos`. */
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
  /** @deprecated Use `address`. */
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
/**
 * 'connected': a tuple is selected. 'completed': the peer has nominated a tuple. 'disconnected': the peer's consent
 * timed out (see `iceConsentTimeout`) or the last tuple was lost; the peer's next valid STUN request reconnects.
 */
export type IceState = 'new' | 'connected' | 'completed' | 'disconnected' | 'closed';
export type DtlsRole = 'auto' | 'client' | 'server';
/**
 * 'failed': the peer's certificate did not match, or the handshake failed or took more than 30 s. A handshake holds at
 * most 64 KiB.
 */
export type DtlsState = 'new' | 'connecting' | 'connected' | 'failed' | 'closed';

/**
 * Why the path to the peer was lost.
 * - 'consent-expired': no valid STUN request came for `iceConsentTimeout` (RFC 7675 §5.1).
 * - 'connection-closed': the TCP connection that was the last path closed.
 * - 'path-taken': on a WebRtcServer, the client of another transport uses the last path now.
 */
export type IceErrorCode = 'consent-expired' | 'connection-closed' | 'path-taken';

export type IceError = StateError<IceErrorCode>;

/**
 * Why a DTLS session failed or ended.
 * - 'fingerprint-mismatch': the peer's certificate matches none of the fingerprints of `connect()`; the message has its
 *   SHA-256.
 * - 'certificate-unsupported': the peer has no certificate, or one that is not ECDSA on P-256 or P-384 (for example
 *   RSA).
 * - 'certificate-rejected': the peer rejected our certificate, for example because it expects another fingerprint.
 * - 'role-conflict': both sides are the DTLS client. If both are the server, it is 'handshake-timeout'.
 * - 'handshake-timeout': the handshake did not complete within 30 s.
 * - 'handshake-failed': the handshake failed in another way, which the message describes.
 * - 'peer-closed': the peer ended the session by a close_notify.
 * - 'peer-aborted': the peer ended the session by another alert (RFC 5246 §7.2).
 * - 'protocol-violation': the session failed after the handshake.
 */
export type DtlsErrorCode =
  | 'fingerprint-mismatch'
  | 'certificate-unsupported'
  | 'certificate-rejected'
  | 'role-conflict'
  | 'handshake-timeout'
  | 'handshake-failed'
  | 'peer-closed'
  | 'peer-aborted'
  | 'protocol-violation';

export type DtlsError = StateError<DtlsErrorCode>;

export type DtlsParameters = {
  /** In `connect()`: the peer's role. Default 'auto', which takes the peer for the server. */
  role?: DtlsRole;
  /** At least one. In `connect()` the peer's certificate must match one of them. */
  fingerprints: DtlsFingerprint[];
};

/** The hash functions of certificate fingerprints (RFC 8122). */
export type FingerprintAlgorithm = 'sha-1' | 'sha-224' | 'sha-256' | 'sha-384' | 'sha-512';

export type DtlsFingerprint = {
  /** In lower case. `connect()` accepts any case. */
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
  /** DTLS records dropped because they were forged, replayed, misplaced, or more than is kept before `connect()`. */
  dtlsRecordsDropped: number;
};

/** A channel that the client has opened in band, by a DATA_CHANNEL_OPEN (RFC 8832 §5.1). */
export type DataChannelInfo = SctpStreamParameters & {
  label: string;
  protocol: string;
};

export type WebRtcTransportEvents = TransportEvents & {
  /** `iceState` has changed; the second argument says why it is 'disconnected'. */
  icestatechange: [iceState: IceState, iceError?: IceError];
  /** Data goes over another tuple from now on. */
  iceselectedtuplechange: [iceSelectedTuple: TransportTuple];
  /** `dtlsState` has changed; the second argument says why it is 'failed', or 'closed' by the peer. */
  dtlsstatechange: [dtlsState: DtlsState, dtlsError?: DtlsError];
  /** `sctpState` has changed; the second argument says why it is 'failed' or 'closed'. */
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
  /**
   * How many messages exceeded the limit of the transport and were dropped since the last event, and their payload in
   * bytes. With the action 'block' they wait, and both are 0. Emitted at most once a second.
   */
  limit: [exceeded: { messages: number; bytes: number }];
  /**
   * The client has opened a channel in band, and its stream has no DataProducer. `produceData()` with its `streamId`
   * adopts the channel. Until then its messages are kept, for 10 s after it was opened.
   *
   * A transport keeps at most 64 channels, 256 messages and 256 KiB, each message charged its payload plus 64 bytes.
   * Beyond that, messages are dropped and counted as `messagesUnrouted`, and channels are not announced.
   */
  datachannel: [dataChannel: DataChannelInfo];
};

export type WebRtcTransportObserverEvents = TransportObserverEvents & {
  icestatechange: [iceState: IceState, iceError?: IceError];
  iceselectedtuplechange: [iceSelectedTuple: TransportTuple];
  dtlsstatechange: [dtlsState: DtlsState, dtlsError?: DtlsError];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
  datachannel: [dataChannel: DataChannelInfo];
};

export type WebRtcTransportObserver = EnhancedEventEmitter<WebRtcTransportObserverEvents>;

/** A connection with one WebRTC client over ICE-Lite, DTLS and SCTP. It keeps up to 8 valid tuples. */
export interface WebRtcTransport<
  WebRtcTransportAppData extends AppData = AppData,
> extends Transport<WebRtcTransportAppData, WebRtcTransportEvents, WebRtcTransportObserver> {
  readonly type: 'webrtc';
  readonly iceRole: 'controlled';
  /** The ICE credentials of this transport, for the peer. */
  readonly iceParameters: IceParameters;
  /** The addresses of this transport, for the peer. */
  readonly iceCandidates: IceCandidate[];
  readonly iceState: IceState;
  /** Why `iceState` is 'disconnected'. Undefined in other states. */
  readonly iceError: IceError | undefined;
  /** The tuple that data goes over; undefined before there is one. */
  readonly iceSelectedTuple: TransportTuple | undefined;
  /** The DTLS role and fingerprints of this transport, for the peer. */
  readonly dtlsParameters: DtlsParameters;
  readonly dtlsState: DtlsState;
  /** Why `dtlsState` is 'failed', or 'closed' by the peer. Undefined otherwise. */
  readonly dtlsError: DtlsError | undefined;
  /** The peer's certificate in PEM, once `dtlsState` is 'connected'. */
  readonly dtlsRemoteCert: string | undefined;
  /** The SCTP parameters of this transport, for the peer. Undefined without `enableSctp`. */
  readonly sctpParameters: SctpParameters | undefined;
  /** Undefined without `enableSctp`. */
  readonly sctpState: SctpState | undefined;
  /** Why `sctpState` is 'failed' or 'closed'. Undefined if the application closed the transport first. */
  readonly sctpError: SctpError | undefined;
  /** Set once `sctpState` is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;

  dump(): Promise<WebRtcTransportDump>;
  getStats(): Promise<WebRtcTransportStat[]>;
  /**
   * Sets the peer's DTLS role and fingerprints. The handshake cannot begin before this call; until then, up to 8
   * datagrams or 16 KiB from the peer are kept.
   *
   * @throws TypeError: invalid role, no fingerprint, or an invalid one.
   * @throws Error: called before.
   * @throws NotFoundError, WorkerClosedError
   */
  connect(params: { dtlsParameters: DtlsParameters }): Promise<void>;
  /**
   * Makes new ICE parameters for the peer, and resolves with them. The old ones stay valid until the peer uses the new
   * ones.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  restartIce(): Promise<IceParameters>;
  /**
   * Changes how much all DataProducers of the transport may receive together; `null` or no argument removes the limit.
   * Tokens and debt are kept.
   *
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setLimit(limit?: LimitOptions | null): Promise<void>;
}

// ----------------------------------------------------------------------------------------------------- PlainTransport

/** Exactly one of `listenInfo` and `listenIp` is required. The protocol must be UDP. */
export type PlainTransportOptions<PlainTransportAppData extends AppData = AppData> = {
  /**
   * Whether the transport learns the peer's address from the first valid association instead of from `connect()`.
   * Default false.
   */
  comedia?: boolean;
  /** Whether the transport carries data. Default false. */
  enableSctp?: boolean;
  /** Ignored, because RTCP is about media. Default true. */
  rtcpMux?: boolean;
  /** Ignored, because RTCP is about media. */
  rtcpListenInfo?: TransportListenInfo;
  /**
   * Ignored with a warning in the log, because SRTP is for media. Without `enableSctp`, true is an UnsupportedError.
   */
  enableSrtp?: boolean;
  /** How much all DataProducers of the transport may receive together. `null` or not given: no limit. */
  limit?: LimitOptions | null;
  appData?: PlainTransportAppData;
} & SctpOverUdpOptions &
  Either<
    { listenInfo: TransportListenInfo },
    {
      /** @deprecated Use `listenInfo`. */
      listenIp: TransportListenIp | string;
      /** @deprecated Use `port` of `listenInfo`. */
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
  /**
   * With `comedia`: the transport has learned the peer's address. With the `ip` 0.0.0.0 or :: also: the peer uses
   * another address of this host, which `tuple.localAddress` shows.
   */
  tuple: [tuple: TransportTuple];
  /** `sctpState` has changed; the second argument says why it is 'failed' or 'closed'. */
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
  /**
   * How many messages exceeded the limit of the transport and were dropped since the last event, and their payload in
   * bytes. With the action 'block' they wait, and both are 0. Emitted at most once a second.
   */
  limit: [exceeded: { messages: number; bytes: number }];
};

export type PlainTransportObserverEvents = TransportObserverEvents & {
  tuple: [tuple: TransportTuple];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
};

export type PlainTransportObserver = EnhancedEventEmitter<PlainTransportObserverEvents>;

/** SCTP over UDP with one remote address, without ICE and DTLS. Datagrams from other sources are dropped. */
export interface PlainTransport<PlainTransportAppData extends AppData = AppData> extends Transport<
  PlainTransportAppData,
  PlainTransportEvents,
  PlainTransportObserver
> {
  readonly type: 'plain';
  readonly tuple: TransportTuple;
  /** Always undefined, because RTCP is about media. */
  readonly rtcpTuple: undefined;
  /** Undefined without `enableSctp`. */
  readonly sctpParameters: SctpParameters | undefined;
  /** Undefined without `enableSctp`. */
  readonly sctpState: SctpState | undefined;
  /** Why `sctpState` is 'failed' or 'closed'. Undefined if the application closed the transport first. */
  readonly sctpError: SctpError | undefined;
  /** Set once `sctpState` is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;
  /** Always undefined, because SRTP is for media. */
  readonly srtpParameters: undefined;

  dump(): Promise<PlainTransportDump>;
  getStats(): Promise<PlainTransportStat[]>;
  /**
   * Changes how much all DataProducers of the transport may receive together; `null` or no argument removes the limit.
   * Tokens and debt are kept.
   *
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setLimit(limit?: LimitOptions | null): Promise<void>;
  /**
   * Sets the peer's address. With `comedia` the address is ignored, because the transport learns it from the peer.
   *
   * Only datagrams from this address are accepted, and datagrams leave from the address to which the peer has sent.
   * Until the peer has sent, a transport on 0.0.0.0 or :: sends from the address that this host's routes choose; if the
   * host has several addresses, listen on the one that the peer expects.
   *
   * @param params - `ip`: the IPv4 or IPv6 address of one host, of the family that the transport listens on; neither
   *   unspecified, broadcast or multicast, nor link-local IPv6. `port`: 1-65535.
   * @throws TypeError: invalid address.
   * @throws Error: called before.
   * @throws UnsupportedError: `srtpParameters` without `enableSctp`; with it they are ignored.
   * @throws NotFoundError, WorkerClosedError
   */
  connect(params?: {
    ip?: string;
    port?: number;
    /** Ignored, because RTCP is about media. */
    rtcpPort?: number;
    srtpParameters?: object;
  }): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------ PipeTransport

/** Exactly one of `listenInfo` and `listenIp` is required. The protocol must be UDP. */
export type PipeTransportOptions<PipeTransportAppData extends AppData = AppData> = {
  /** Whether the transport carries data. Default false. */
  enableSctp?: boolean;
  /**
   * Whether to encrypt datagrams by DTLS 1.2 (RFC 6347), with the certificates of both Workers. Both ends must enable
   * it, and `connect()` then needs `dtlsParameters`. Default false.
   */
  enableDtls?: boolean;
  /** Ignored, because RTX is about media. */
  enableRtx?: boolean;
  /**
   * Ignored with a warning in the log, because SRTP is for media. Without `enableSctp`, true is an UnsupportedError.
   */
  enableSrtp?: boolean;
  appData?: PipeTransportAppData;
} & SctpOverUdpOptions &
  Either<
    { listenInfo: TransportListenInfo },
    {
      /** @deprecated Use `listenInfo`. */
      listenIp: TransportListenIp | string;
      /** @deprecated Use `port` of `listenInfo`. */
      port?: number;
    }
  >;

export type PipeTransportDump = BaseTransportDump & {
  tuple: TransportTuple;
  rtx: boolean;
  /** Only with `enableDtls`. */
  dtlsParameters?: DtlsParameters;
  /** Only with `enableDtls`. */
  dtlsState?: DtlsState;
};

export type PipeTransportStat = BaseTransportStats & {
  /** 'pipe-transport'. */
  type: string;
  tuple: TransportTuple;
  /** Only with `enableDtls`. */
  dtlsState?: DtlsState;
  /** With `enableDtls`: DTLS records dropped because they were forged, replayed, misplaced or too many. */
  dtlsRecordsDropped?: number;
};

export type PipeTransportEvents = TransportEvents & {
  /**
   * With `enableDtls`: `dtlsState` has changed; the second argument says why it is 'failed', or 'closed' by the other
   * end.
   */
  dtlsstatechange: [dtlsState: DtlsState, dtlsError?: DtlsError];
  /** `sctpState` has changed; the second argument says why it is 'failed' or 'closed'. */
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
};

export type PipeTransportObserverEvents = TransportObserverEvents & {
  dtlsstatechange: [dtlsState: DtlsState, dtlsError?: DtlsError];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
};

export type PipeTransportObserver = EnhancedEventEmitter<PipeTransportObserverEvents>;

/**
 * One end of a pipe between two Routers, in one process or on two hosts. Subchannels cross the pipe with their
 * messages.
 */
export interface PipeTransport<PipeTransportAppData extends AppData = AppData> extends Transport<
  PipeTransportAppData,
  PipeTransportEvents,
  PipeTransportObserver
> {
  readonly type: 'pipe';
  readonly tuple: TransportTuple;
  /** The DTLS role and fingerprints of this end, for the other one. Undefined without `enableDtls`. */
  readonly dtlsParameters: DtlsParameters | undefined;
  /** Undefined without `enableDtls`. */
  readonly dtlsState: DtlsState | undefined;
  /**
   * Why `dtlsState` is 'failed', or 'closed' by the other end. Undefined otherwise.
   *
   * Records that may be forged do not end a handshake (RFC 6347 §4.1.2.7). An alert in plaintext
   * ('certificate-rejected', 'peer-aborted') or a second client ('role-conflict') becomes the reason only if the
   * handshake does not complete within 30 s; `diagnose()` shows it at once.
   */
  readonly dtlsError: DtlsError | undefined;
  /** The certificate of the other end in PEM, once `dtlsState` is 'connected'. */
  readonly dtlsRemoteCert: string | undefined;
  /** Undefined without `enableSctp`. */
  readonly sctpParameters: SctpParameters | undefined;
  /** Undefined without `enableSctp`. */
  readonly sctpState: SctpState | undefined;
  /** Why `sctpState` is 'failed' or 'closed'. Undefined if the application closed the transport first. */
  readonly sctpError: SctpError | undefined;
  /** Set once `sctpState` is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;
  /** Always undefined, because SRTP is for media. */
  readonly srtpParameters: undefined;

  dump(): Promise<PipeTransportDump>;
  getStats(): Promise<PipeTransportStat[]>;
  /**
   * Sets the address of the other PipeTransport and, with `enableDtls`, its fingerprints.
   *
   * Only datagrams from this address are accepted. Until the other end has sent to it, a transport on 0.0.0.0 or ::
   * sends from the address that this host's routes choose. Between hosts with several addresses, listen on the address
   * that the other end connects to: two ends on 0.0.0.0 may drop each other's datagrams.
   *
   * @param params - `ip`: the IPv4 or IPv6 address of one host, of the family that the transport listens on; neither
   *   unspecified, broadcast or multicast, nor link-local IPv6. `port`: 1-65535. `dtlsParameters`: with `enableDtls`,
   *   the role and the fingerprints of the other transport, received over a channel on which they cannot be changed.
   *   One end gives the role 'client' and the other one 'server'; 'auto', the default, assumes that the other end is
   *   the server. The handshake begins at once and may take 30 s.
   * @throws TypeError: invalid address, role or fingerprint; `dtlsParameters` missing, or given without `enableDtls`.
   * @throws Error: called before.
   * @throws UnsupportedError: `srtpParameters` without `enableSctp`; with it they are ignored.
   * @throws NotFoundError, WorkerClosedError
   */
  connect(params: {
    ip: string;
    port: number;
    dtlsParameters?: DtlsParameters;
    srtpParameters?: object;
  }): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------- DirectTransport

export type DirectTransportOptions<DirectTransportAppData extends AppData = AppData> = {
  /**
   * The largest message that its DataConsumers deliver, in bytes. Larger ones are dropped and counted. 0-4294967295,
   * default 262144.
   */
  maxSendMessageSize?: number;
  /** The largest message that its DataProducers accept, in bytes. 0-4294967295, default 262144. */
  maxReceiveMessageSize?: number;
  /**
   * The default of `maxSendMessageSize` and `maxReceiveMessageSize`, in bytes.
   *
   * @deprecated Use these two instead.
   */
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

/**
 * A transport without a peer: the application sends with `dataProducer.send()`, and receives by the 'message' event,
 * iterators and streams of DataConsumers.
 */
export interface DirectTransport<
  DirectTransportAppData extends AppData = AppData,
> extends Transport<DirectTransportAppData, DirectTransportEvents, DirectTransportObserver> {
  readonly type: 'direct';

  dump(): Promise<DirectTransportDump>;
  getStats(): Promise<DirectTransportStat[]>;
  /** Has no effect, because a DirectTransport has no peer. */
  connect(params?: unknown): Promise<void>;
  /** @throws UnsupportedError: media is not routed. */
  sendRtcp(rtcpPacket: Buffer): never;
}

// ------------------------------------------------------------------------------------------------------- DataProducer

export type DataProducerOptions<DataProducerAppData extends AppData = AppData> = {
  /** The id of the DataProducer, a UUID. Default: a random one. */
  id?: string;
  /**
   * The peer's stream. Required, except on a DirectTransport, where it is ignored with a warning in the log.
   *
   * If the client has opened a channel on the stream in band (see 'datachannel'), the DataProducer adopts it and routes
   * its kept messages. Label and protocol, and the reliability if none of its options is given, are then the channel's.
   * If the client has closed the channel since, 'streamclose' follows.
   */
  sctpStreamParameters?: SctpStreamParameters;
  /** The label of the channel. Default: that of the adopted channel, or ''. */
  label?: string;
  /** The subprotocol of the channel. Default: that of the adopted channel, or ''. */
  protocol?: string;
  /** Whether it is created paused. Default false. */
  paused?: boolean;
  /**
   * What happens to messages that come during a pause. 'drop', the default, drops and counts them. 'hold' keeps them,
   * within `maxBufferedAmount`, and routes them at `resume()`, in order and before later ones.
   */
  whilePaused?: WhilePaused;
  /**
   * How many bytes may wait to be routed, held ones included; each message is charged its payload plus 64 bytes plus 2
   * for each of its subchannels. 0-4294967295, default 67108864 on a DirectTransport, otherwise 1048576.
   *
   * Beyond this `send()` throws ERR_SEND_QUEUE_FULL, and a peer's messages that should be held are dropped and counted
   * as `messagesDroppedFull`. For a peer's DataProducer it has no effect without `whilePaused: 'hold'`.
   */
  maxBufferedAmount?: number;
  /**
   * Keeps the last messages for later DataConsumers. A new DataConsumer first gets those that match its subscriptions,
   * then live messages, without a gap or a duplicate; one that is created paused gets them at its first `resume()`.
   * Messages that were dropped during a pause are not retained. Default: none are kept.
   *
   * Retained messages for which the queue of the DataConsumer has no room are dropped as `overflow` says. With 'block'
   * none are dropped: the DataProducer waits until the DataConsumer has got all, unless that is paused. Many messages
   * are delivered over some milliseconds. Messages that stop being retained meanwhile are kept for it, up to twice
   * these bounds in all; beyond that the oldest may be dropped, as `overflow` says.
   *
   * Through pipes: the DataProducer that `pipeToRouter()` makes retains too, and a pipe carries all messages of a
   * DataProducer that retains, whatever the DataConsumer on the pipe is subscribed to.
   */
  retain?: DataProducerRetain;
  appData?: DataProducerAppData;
  /** How much the DataProducer may receive. `null` or not given: no limit. */
  limit?: LimitOptions | null;
};

/** What happens to messages that come during a pause: they are dropped and counted, or held until `resume()`. */
export type WhilePaused = 'drop' | 'hold';

/** Which messages a DataProducer retains: the last ones, within each of these bounds. */
export type DataProducerRetain = {
  /** How many messages. 1-65535. Required. */
  messages: number;
  /**
   * How many bytes, each message charged its payload plus 64 bytes plus 2 for each of its subchannels. 1-4294967295,
   * default
   * 1048576. A message that alone exceeds the bound leaves nothing retained. All DataProducers together retain at most
   * half of the Worker's `maxMemory`.
   */
  bytes?: number;
  /**
   * For how many milliseconds a message is retained. 1-4294967295. Default: no limit. An older one goes to no
   * DataConsumer, and its memory is released with the next message or DataConsumer.
   */
  maxAge?: number;
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
  /** When the numbers were taken, in milliseconds of a monotonic clock. */
  timestamp: number;
  label: string;
  protocol: string;
  /** Messages that were sent or have arrived, also those that were dropped by a pause or a limit. */
  messagesReceived: number;
  /** The payload of `messagesReceived`, in bytes. */
  bytesReceived: number;
  /** Received messages that were dropped because the DataProducer was paused. */
  messagesPaused: number;
  /** With `whilePaused: 'hold'`: received messages that were dropped because there was no room to hold them. */
  messagesDroppedFull: number;
  /** With `whilePaused: 'hold'`: received messages that are held now. */
  messagesWaiting: number;
  /** Received messages that were dropped because they exceeded a limit, its own or its transport's. */
  messagesLimited: number;
  /** The payload of `messagesLimited`, in bytes. */
  bytesLimited: number;
  /** The messages that are retained now. */
  messagesRetained: number;
  /** The payload of `messagesRetained`, in bytes. */
  bytesRetained: number;
};

/** What the DataConsumers of a DataProducer want. */
export type DataProducerDemand = {
  /** How many there are, including those of `pipeToRouter()`. */
  consumers: number;
  /** The subchannels that at least one of them is subscribed to, ascending. */
  subchannels: number[];
};

export type DataProducerEvents = {
  /** Its transport was closed, and the DataProducer is closed with it. */
  transportclose: [];
  /**
   * After `send()` threw ERR_SEND_QUEUE_FULL: there is room again. Less than a quarter of `maxBufferedAmount` is used,
   * or nothing, and a sixteenth of the Worker's `maxMemory` is free.
   */
  drain: [];
  /**
   * The peer has closed the stream: a browser its DataChannel, or the far end of a pipe its DataConsumer. The
   * DataProducer and its DataConsumers stay open. On a PipeTransport the DataProducer receives nothing more, even if
   * the stream is used again.
   */
  streamclose: [];
  /**
   * The number of its DataConsumers, or the union of their subchannels, has changed; this is the new state. Changes in
   * one synchronous run of code are emitted together. For the state before the first change see the getter `demand`.
   */
  demand: [demand: DataProducerDemand];
  /**
   * How many messages exceeded the limit of the DataProducer and were dropped since the last event, and their payload
   * in bytes. With the action 'block' they wait, and both are 0. Emitted at most once a second, and before 'close' if
   * the limit closes the DataProducer. `getStats()` has exact counts.
   */
  limit: [exceeded: { messages: number; bytes: number }];
  /**
   * Something other than `pause()` has paused the DataProducer: a limit with the action 'pause' or, behind a pipe, the
   * pause of the DataProducer at the other end. `paused` is true, and the observer emits the event too. Behind a pipe
   * the event comes in order with the messages, and nothing is dropped here, because the paused original sends nothing.
   */
  pause: [];
  /** Behind a pipe: the DataProducer at the other end was resumed, and this one is not paused itself. */
  resume: [];
  /** The object is closed, for whatever reason. This is its last event. */
  close: [];
};

export type DataProducerObserverEvents = {
  close: [];
  pause: [];
  resume: [];
};

export type DataProducerObserver = EnhancedEventEmitter<DataProducerObserverEvents>;

/** A source of messages: an SCTP stream of the peer or, for type 'direct', the application. */
export interface DataProducer<
  DataProducerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<DataProducerEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  readonly type: DataProducerType;
  /** The peer's stream. Undefined for type 'direct'. */
  readonly sctpStreamParameters: SctpStreamParameters | undefined;
  readonly label: string;
  readonly protocol: string;
  /** Whether it is paused or, behind a pipe, the DataProducer at the other end is. */
  readonly paused: boolean;
  /** Which messages it keeps for later DataConsumers; undefined if none. */
  readonly retain: DataProducerRetain | undefined;
  readonly whilePaused: WhilePaused;
  /** What its DataConsumers want now. The event 'demand' reports changes. */
  readonly demand: DataProducerDemand;
  /**
   * Type 'direct': bytes of payload that `send()` has accepted and that are not routed yet. Type 'sctp': bytes that are
   * held during a pause.
   */
  readonly bufferedAmount: number;
  get appData(): DataProducerAppData;
  set appData(appData: DataProducerAppData);
  readonly observer: DataProducerObserver;

  /**
   * Closes its DataConsumers, which emit 'dataproducerclose'. Over WebRTC it also resets the stream, which closes the
   * peer's channel, unless a DataConsumer of the transport uses the same stream.
   */
  close(): void;
  /**
   * Resolves with the inner state of the DataProducer, for debugging.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  dump(): Promise<DataProducerDump>;
  /**
   * Resolves with its counters, in an array of one object as in mediasoup.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  getStats(): Promise<DataProducerStat[]>;
  /**
   * Closes like `close()`, and resolves with the last counters, which `getStats()` of a closed object does not give.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  closeWithStats(): Promise<DataProducerStat[]>;
  /**
   * Resolves when everything sent before the call has left all its DataConsumers. See `dataConsumer.drained()`.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError
   * @throws NotFoundError, WorkerClosedError: the DataProducer is closed, or closes during the wait.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /**
   * Stops routing until `resume()`: messages are dropped and counted or, with `whilePaused: 'hold'`, held.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  pause(): Promise<void>;
  /**
   * Routes messages again, held ones first.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  resume(): Promise<void>;
  /**
   * Changes how much the DataProducer may receive; `null` or no argument removes the limit. Tokens and debt are kept.
   *
   * @throws TypeError: invalid arguments.
   * @throws UnsupportedError: the action 'block' on a PipeTransport made by `createPipeTransport()`.
   * @throws NotFoundError, WorkerClosedError
   */
  setLimit(limit?: LimitOptions | null): Promise<void>;
  /**
   * Forgets the retained messages, here and behind pipes. Messages sent before the call are no longer retained; those
   * sent after it are.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  clearRetained(): Promise<void>;
  /**
   * Moves a DataProducer of a PipeTransport to another PipeTransport of the same Router, over which the far end has
   * made another DataConsumer of the original. From then on it receives the messages of the new stream instead of the
   * old one; its DataConsumers stay.
   *
   * If the far end closes the old DataConsumer and makes the new one in one macrotask, each message arrives at most
   * once and in order; messages in flight are lost.
   *
   * @param options - `sctpStreamParameters`: those of the far end's new DataConsumer. If the original has `retain`,
   *   that DataConsumer needs `retained: false`.
   * @throws TypeError: invalid arguments, or a transport of another Worker.
   * @throws Error: the stream has another DataProducer.
   * @throws UnsupportedError: either is not on a PipeTransport made by `createPipeTransport()`, or the Routers differ.
   * @throws NotFoundError, WorkerClosedError
   */
  moveTo(
    transport: PipeTransport,
    options: { sctpStreamParameters: SctpStreamParameters },
  ): Promise<void>;
  /**
   * Sends a message to the DataConsumers (type 'direct'). The message is copied. If the DataProducer is closed, the
   * message is dropped and a warning is logged.
   *
   * @param message - at most `maxReceiveMessageSize` bytes. It is a TypeError if its ArrayBuffer was transferred, or
   *   shrunk to less than the view needs.
   * @param ppid - the SCTP payload protocol id (RFC 8831 §8), 0-4294967295; for an empty message 56 or 57. Default: 51
   *   for a string, 53 for bytes, 56 and 57 for empty ones. Messages with 56 or 57 arrive as one byte on
   *   DirectTransports, and empty elsewhere.
   * @param subchannels - if not empty: only to DataConsumers that are subscribed to one of these. At most 65535, each
   *   0-65535; duplicates count once.
   * @param requiredSubchannel - only to DataConsumers that are subscribed to this subchannel. 0-65535.
   * @param ignoredSubchannel - not to DataConsumers that are subscribed to this subchannel. 0-65535.
   * @throws TypeError: invalid arguments, message too large, or type 'sctp'.
   * @throws Error with the code 'ERR_SEND_QUEUE_FULL': `maxBufferedAmount`, or `maxMemory` of the Worker, is reached,
   * and the message was not accepted. Wait for 'drain'.
   * @throws WorkerClosedError
   */
  send(
    message: Payload,
    ppid?: number,
    subchannels?: number[],
    requiredSubchannel?: number,
    ignoredSubchannel?: number,
  ): void;
  /**
   * Returns a stream in object mode that sends what is written to it (type 'direct'): messages, or objects with the
   * arguments of `send()`. It applies back-pressure: at most 1 MiB waits to be routed, whatever `maxBufferedAmount` is,
   * and a DataConsumer with `overflow: 'block'` holds up the writer. 'finish' is emitted after `drained()`, when the
   * peers have acknowledged everything. `end()` closes nothing but the stream.
   *
   * A chunk that `send()` rejects destroys the stream with its TypeError; the end of the DataProducer destroys it with
   * NotFoundError or WorkerClosedError.
   *
   * @throws TypeError: type 'sctp'.
   * @throws NotFoundError, WorkerClosedError
   */
  writable(): MessageWritable;
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
}

// ------------------------------------------------------------------------------------------------------- DataConsumer

export type DataConsumerOptions<DataConsumerAppData extends AppData = AppData> = {
  /** The id of a DataProducer of the same Router. Required. */
  dataProducerId: string;
  /**
   * Whether messages arrive in the order of sending. Default: as the DataProducer's (true if that is direct), but false
   * if `maxPacketLifeTime` or `maxRetransmits` is given. true removes both limits. On a DirectTransport this option,
   * the limits and `streamId` are ignored with a warning in the log.
   */
  ordered?: boolean;
  /**
   * For how many milliseconds a message may be sent and retransmitted. 0-65535. Not together with `maxRetransmits`, be
   * it given here or the DataProducer's. Default: the DataProducer's.
   */
  maxPacketLifeTime?: number;
  /**
   * How many times a message may be retransmitted. 0-65535. Not together with `maxPacketLifeTime`, be it given here or
   * the DataProducer's. Default: the DataProducer's.
   */
  maxRetransmits?: number;
  /**
   * The SCTP stream to send on, for example to answer a channel that the client opened in band. 0-65534, and once the
   * association is up below the number of streams that the peer takes. Default: the next one after the last that was
   * assigned. Streams that a DataConsumer or DataProducer of this transport uses, or whose reset is not complete, are
   * skipped.
   */
  streamId?: number;
  /**
   * false opens the channel in band, by a DATA_CHANNEL_OPEN with label, protocol and reliability (RFC 8832): the client
   * gets a 'datachannel' event, and no stream id has to be agreed on. The id is even if this transport is the DTLS
   * client, otherwise odd. Only on a WebRtcTransport, after `connect()`, and without `streamId`; otherwise a TypeError.
   * Default true, as mediasoup-client needs.
   */
  negotiated?: boolean;
  /** Whether it is created paused. Default false. */
  paused?: boolean;
  /**
   * What happens to messages during a pause. 'drop', the default, drops and counts new messages. 'hold' stops the
   * queue: new messages, and those that already wait for the peer, are delivered at `resume()`, in order and before
   * later ones. Until then they count as `messagesWaiting`, the bound and the policy of the queue apply, and lifetimes
   * run.
   */
  whilePaused?: WhilePaused;
  /** The subchannels that it is subscribed to from the start. At most 65535, each 0-65535. Default: none. */
  subchannels?: number[];
  /**
   * On a PipeTransport: whether a DataConsumer without subscriptions carries only messages without subchannels, as on
   * other transports. Default false: it carries everything, as in mediasoup, and the far end filters. All messages of a
   * DataProducer with `retain` are carried in any case, for later DataConsumers at the far end.
   */
  strictSubchannels?: boolean;
  /**
   * Whether it first gets the messages that its DataProducer retains. Default true. Give false on a pipe if the far
   * DataProducer already has them from another pipe: see `moveTo()`.
   */
  retained?: boolean;
  /**
   * How many bytes may wait for the application or the peer, each message charged its payload plus 64 bytes; at this
   * bound `overflow` decides. 0-4294967295. Default: 67108864 on a DirectTransport, otherwise the transport's
   * `sctpPerStreamSendQueueLimit`, of payload only.
   */
  maxBufferedAmount?: number;
  /**
   * What happens to a message that meets a full queue: see {@link DataConsumerOverflow}. Default 'drop-newest', which
   * drops it.
   *
   * 'block' excludes `whilePaused: 'hold'` (TypeError). If the DataConsumer or its DataProducer is on a PipeTransport
   * made by `createPipeTransport()`, 'block' is an UnsupportedError; `pipeToRouter()` supports it.
   */
  overflow?: DataConsumerOverflow;
  /**
   * With `overflow: 'block'`, otherwise a TypeError: for how many milliseconds the DataConsumer may hold up its
   * DataProducer without progress, that is, without 1 KiB acknowledged by the peer or a message taken by the
   * application. 0-4294967295, default 5000.
   *
   * Such times of a second or more add up within 60 seconds. Then the DataConsumer is stalled: it emits 'stalled' and
   * drops messages as with 'drop-newest', until half of its queue is free ('unstalled'). One that is merely slow, but
   * makes that much progress, never stalls.
   */
  overflowTimeout?: number;
  /**
   * For how many milliseconds a message may wait in the queue for the peer or the application. One that has waited
   * longer is dropped when its turn comes, and counted as `messagesDroppedStale`. Unlike `maxPacketLifeTime` this needs
   * no unreliable channel. 0-4294967295. Default: no limit. Without effect on the PipeTransports of `pipeToRouter()`:
   * give it to the DataConsumers at the far end.
   */
  maxQueueDelay?: number;
  appData?: DataConsumerAppData;
};

/**
 * What happens to a message of the DataProducer that meets a full queue. The queue is full when its charge reaches its
 * bound; an empty queue with a policy accepts one message even if other queues have filled `sctpSendBufferSize`.
 * Messages of `dataConsumer.send()` are not dropped by a policy: they are rejected at the bound.
 *
 * - 'drop-newest': the message is dropped.
 * - 'drop-oldest': waiting messages of this DataConsumer are dropped, the oldest first, until there is room. Messages
 *   that SCTP has begun to send are never dropped.
 * - 'keep-latest', for cursors, positions and sensor values: at most one message waits, and at most one is in SCTP,
 *   until the peer has acknowledged it. A newer message replaces the waiting one, even if the queue is not full, and
 *   'overflow' is not emitted.
 * - 'block', for file transfers: the DataProducer waits until half of the queue is free, and until then none of its
 *   DataConsumers gets anything. `send()` of a direct DataProducer fills its own bound, then throws
 *   ERR_SEND_QUEUE_FULL, and 'drain' follows. A peer's messages stay in its association until the receive window is
 *   full, so the peer's `bufferedAmount` grows, on all of its channels. A DataConsumer blocks only while its transport
 *   is connected and it is not paused, and after `overflowTimeout` it is stalled. Retained messages wait for room too:
 *   until a new DataConsumer has got all of them, it holds up its DataProducer.
 * - 'close': 'overflow' is emitted, then the DataConsumer closes.
 */
export type DataConsumerOverflow =
  'drop-newest' | 'drop-oldest' | 'keep-latest' | 'block' | 'close';

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
  /** When the numbers were taken, in milliseconds of a monotonic clock. */
  timestamp: number;
  label: string;
  protocol: string;
  /**
   * Messages of the DataProducer that were accepted for the peer or the application. With `maxQueueDelay`,
   * 'drop-oldest', 'keep-latest' or `whilePaused: 'hold'`, only those that have left the queue.
   */
  messagesSent: number;
  /** The payload of `messagesSent`, in bytes. */
  bytesSent: number;
  /**
   * With `maxQueueDelay`, 'drop-oldest', 'keep-latest' or `whilePaused: 'hold'`: messages in the queue, not yet sent or
   * dropped. Also retained messages of the DataProducer that it has yet to get.
   */
  messagesWaiting: number;
  /** Bytes of payload that wait for the peer or the application. */
  bufferedAmount: number;
  /** Messages of the DataProducer dropped before they were sent: the sum of the five reasons below. */
  messagesDropped: number;
  /** The payload of `messagesDropped`, in bytes. */
  bytesDropped: number;
  /** Dropped because the queue for the peer or the application was full, or because of the Worker's `maxMemory`. */
  messagesDroppedFull: number;
  /** Dropped for newer messages, by the `overflow` 'drop-oldest' or 'keep-latest'. */
  messagesDroppedReplaced: number;
  /** Dropped because they had waited longer than `maxQueueDelay`. */
  messagesDroppedStale: number;
  /** Dropped because they exceeded the transport's `maxSendMessageSize`. */
  messagesDroppedTooLarge: number;
  /** Dropped because there was no association, or because the peer had reset the stream. */
  messagesDroppedUnsendable: number;
  /** Messages of the DataProducer that were not routed here because this DataConsumer was paused. */
  messagesPaused: number;
  /** Messages of the DataProducer that were not routed here because of their subchannels. */
  messagesFiltered: number;
  /** Type 'sctp': messages of `send()` that were accepted for the peer. */
  messagesSentDirectly: number;
  /** The payload of `messagesSentDirectly`, in bytes. */
  bytesSentDirectly: number;
  /** Type 'sctp': messages of `send()` that were rejected, except by checks of the arguments. */
  messagesRejected: number;
};

export type DataConsumerEvents = {
  /** Its transport was closed, and the DataConsumer is closed with it. */
  transportclose: [];
  /** Its DataProducer was closed, and the DataConsumer is closed with it. */
  dataproducerclose: [];
  /** Its DataProducer was paused. */
  dataproducerpause: [];
  /** Its DataProducer was resumed. */
  dataproducerresume: [];
  /**
   * A message for the application (type 'direct'). The listener may keep the Buffer, change it, send it again, and pass
   * it to `postMessage()` or transfer it: its memory is its own. `message.buffer` holds this message and nothing else,
   * from its first byte on, so `new Float32Array(message.buffer, message.byteOffset, count)` and typed arrays of every
   * other kind fit.
   *
   * A listener on a DataConsumer of type 'sctp' or on a DataProducer is never called; the first one on either is a
   * process warning.
   */
  message: [message: Buffer, ppid: number];
  /**
   * Type 'sctp': a message met a full queue and was dropped or rejected. Emitted at most once per turn of the worker.
   */
  sctpsendbufferfull: [];
  /** Type 'sctp': `bufferedAmount` has fallen to the threshold or below: see `setBufferedAmountLowThreshold()`. */
  bufferedamountlow: [bufferedAmount: number];
  /**
   * How many messages were dropped because the queue was full, and their payload in bytes. Emitted once per episode,
   * when there is room again (for type 'sctp' when half of the queue is free), or when the DataConsumer is about to
   * close.
   */
  overflow: [dropped: { messages: number; bytes: number }];
  /**
   * With `overflow: 'block'`: it has held up its DataProducer for `overflowTimeout`, and drops messages from now on.
   */
  stalled: [];
  /**
   * After 'stalled': it drops messages no more, because half of its queue is free, or because `setOverflow()` has set
   * another policy.
   */
  unstalled: [];
  /**
   * The peer has reset the stream, for example because a browser closed its DataChannel; or the association is up and
   * the peer takes fewer streams. The DataConsumer is closed.
   */
  streamclose: [];
  /** The object is closed, for whatever reason. This is its last event. */
  close: [];
};

export type DataConsumerObserverEvents = {
  close: [];
  /** The DataConsumer or its DataProducer was paused, and neither of them was paused before. */
  pause: [];
  /** Neither the DataConsumer nor its DataProducer is paused any more. */
  resume: [];
};

export type DataConsumerObserver = EnhancedEventEmitter<DataConsumerObserverEvents>;

/** A destination of messages: an SCTP stream to the peer or, for type 'direct', the application. */
export interface DataConsumer<
  DataConsumerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<DataConsumerEvents> {
  /** A UUID. */
  readonly id: string;
  readonly dataProducerId: string;
  readonly closed: boolean;
  readonly type: DataConsumerType;
  /** The stream to the peer. Undefined for type 'direct'. */
  readonly sctpStreamParameters: SctpStreamParameters | undefined;
  readonly label: string;
  readonly protocol: string;
  /** Whether `pause()` has paused it. A pause of its DataProducer shows in `dataProducerPaused`. */
  readonly paused: boolean;
  /** Whether its DataProducer is paused. */
  readonly dataProducerPaused: boolean;
  /** The subchannels that it is subscribed to, in no particular order. */
  readonly subchannels: number[];
  /** Bytes of payload that wait for the peer (type 'sctp') or for the application (type 'direct'). */
  readonly bufferedAmount: number;
  readonly whilePaused: WhilePaused;
  /** What happens to a message that meets a full queue. */
  readonly overflow: DataConsumerOverflow;
  get appData(): DataConsumerAppData;
  set appData(appData: DataConsumerAppData);
  readonly observer: DataConsumerObserver;

  /**
   * Closes the DataConsumer and discards its messages that are not sent yet. Over WebRTC it also resets the stream,
   * which closes the peer's channel. But a stream that was not given as `streamId`, and that a DataProducer has begun
   * to use, stays open until that closes.
   */
  close(): void;
  /**
   * Resolves with the inner state of the DataConsumer, for debugging.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  dump(): Promise<DataConsumerDump>;
  /**
   * Resolves with its counters, in an array of one object as in mediasoup.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  getStats(): Promise<DataConsumerStat[]>;
  /**
   * Closes like `close()`, and resolves with the last counters, which `getStats()` of a closed object does not give.
   * Their `bufferedAmount` is what was discarded.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  closeWithStats(): Promise<DataConsumerStat[]>;
  /**
   * Resolves when everything that the DataProducer and `send()` sent before the call has left: the peer has
   * acknowledged it, listeners have taken it, or it was dropped and counted. Through a pipe, the far worker has
   * acknowledged it, and its own peers may still wait. Later messages do not count.
   *
   * The wait has no end of its own, so give a `timeout`: it includes a peer that is not connected or reads nothing,
   * messages that an iterator has not asked for or that `whilePaused: 'hold'` holds, and retained messages that are yet
   * to come.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError
   * @throws NotFoundError, WorkerClosedError: the DataConsumer is closed, or closes during the wait.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /**
   * Stops delivery until `resume()`: messages of the DataProducer are dropped and counted, or held with
   * `whilePaused: 'hold'`.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  pause(): Promise<void>;
  /**
   * Delivers messages again, held ones first.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  resume(): Promise<void>;
  /**
   * Changes what happens to a message that meets a full queue, and to the messages that already wait.
   *
   * @throws TypeError: invalid argument, or 'block' with `whilePaused: 'hold'`.
   * @throws UnsupportedError: 'block' over a PipeTransport made by `createPipeTransport()`.
   * @throws NotFoundError, WorkerClosedError
   */
  setOverflow(overflow: DataConsumerOverflow): Promise<void>;
  /**
   * Sets how many waiting bytes make the DataConsumer emit 'bufferedamountlow' (type 'sctp'): the event follows when
   * `bufferedAmount` falls to the threshold or below.
   *
   * @param threshold - 0-4294967295. Until it is set: `sctpDefaultStreamBufferedAmountLowThreshold` of the transport.
   * @throws TypeError: invalid argument, or type 'direct'.
   * @throws NotFoundError, WorkerClosedError
   */
  setBufferedAmountLowThreshold(threshold: number): Promise<void>;
  /**
   * Resolves with the bytes of payload that wait for the peer (type 'sctp').
   *
   * @throws TypeError: type 'direct'.
   * @throws NotFoundError, WorkerClosedError
   */
  getBufferedAmount(): Promise<number>;
  /**
   * Sends a message to the peer of this DataConsumer only (type 'sctp'). Until the association is up, messages are
   * queued.
   *
   * @param message - at most `maxSendMessageSize` bytes; otherwise as in `dataProducer.send()`.
   * @param ppid - as in `dataProducer.send()`.
   * @returns the bytes that are still queued after the association has taken what it can: 0 on an idle path.
   * @throws TypeError: invalid arguments, message too large, or type 'direct'.
   * @throws Error 'message send failed': the DataConsumer or its DataProducer is paused, or the association has ended.
   * @throws Error 'sctpsendbufferfull': the queue is full, `maxMemory` of the Worker is reached, or 64 MiB are on their
   * way to the worker (each message is charged its payload plus 64 bytes).
   * @throws NotFoundError, WorkerClosedError
   */
  send(message: Payload, ppid?: number): Promise<number>;
  /**
   * Iterates over the messages (type 'direct'): `for await (const { message, ppid } of dataConsumer)`. Messages are
   * asked for one by one; the others wait in the queue, under `overflow`. Messages that come before the first `next()`
   * are lost, as without a listener.
   *
   * When the DataConsumer closes, for whatever reason, the iteration ends after the queued messages. Leaving the loop
   * ends it too: queued messages are discarded, and later ones go to listeners or to the next loop. To read on instead,
   * keep the iterator and call its `next()`. Several iterators share the messages: each message goes to one of them.
   *
   * @throws TypeError: type 'sctp', or there is a 'message' listener. Adding such a listener beside an iterator or a
   * stream of `readable()` is a TypeError too.
   */
  [Symbol.asyncIterator](): MessageIterator;
  /**
   * Returns a stream in object mode of the messages from now on (type 'direct'). Like an iterator, it asks for no more
   * messages than are read.
   *
   * @throws TypeError: type 'sctp', or there is a 'message' listener.
   * @throws NotFoundError, WorkerClosedError
   */
  readable(): MessageReadable;
  /**
   * Replaces all its subscriptions.
   *
   * @param subchannels - at most 65535, each 0-65535; duplicates count once.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setSubchannels(subchannels: number[]): Promise<void>;
  /**
   * Subscribes to a subchannel.
   *
   * @param subchannel - 0-65535.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  addSubchannel(subchannel: number): Promise<void>;
  /**
   * Unsubscribes from a subchannel.
   *
   * @param subchannel - 0-65535.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  removeSubchannel(subchannel: number): Promise<void>;
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
}
