/**
 * datasoup: the data half of a WebRTC SFU. This file is the public contract of the package, written by hand; `lib/` is
 * checked against it by `tsc -p .`.
 *
 * Rules for all members:
 *
 * - Sizes and amounts are bytes of payload, times are milliseconds, unless a member says otherwise.
 * - `null` counts as not given. Unknown options are ignored. Options objects are never modified.
 * - At run time a port may also be a string of digits, as environment variables are.
 * - Getters return copies of objects and arrays; `appData` is the application's own object.
 * - Invalid arguments are a `TypeError`: methods that return a promise reject with it, all others throw it.
 * - Arguments are checked first: a wrong argument on a closed object is a `TypeError` as well.
 * - If the object is closed before a call is answered, the promise of the call rejects with
 *   {@link errors.NotFoundError}; if the Worker is closed, with {@link errors.WorkerClosedError}.
 * - Calls take effect in their order, awaited or not. If `send()`, or a call that changes or closes a DataProducer or
 *   DataConsumer, is not awaited, only its `TypeError` is an unhandled rejection, because a peer may leave or stop
 *   reading at any time.
 */

/// <reference types="node" />

import { EventEmitter } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { ReadableStream, WritableStream } from 'node:stream/web';

// ---------------------------------------------------------------------------------------------------------- The module

/** The version of this package. */
export const version: string;

/** Emits every new Worker. */
export const observer: Observer;

/**
 * Starts a Worker: a thread that runs everything created below it.
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
 * Passes the package's log lines to the application, in addition to the output of `debug`
 * (`DEBUG=datasoup*`, namespaces `datasoup:*`, `datasoup:WARN:*` and `datasoup:ERROR:*`). Each call replaces all
 * listeners; a call without argument removes them.
 */
export function setLogEventListeners(listeners?: LogEventListeners): void;

/** The media that can be routed: none, so both lists are empty. Returns a new object at each call. */
export function getSupportedRtpCapabilities(): RtpCapabilities;

/** The error classes of this package. Invalid arguments are a `TypeError`, other failures an `Error`. */
export namespace errors {
  /** The package does not implement the feature: media, RSA keys. */
  class UnsupportedError extends Error {
    constructor(message: string);
  }

  /** The Worker is closed. */
  class WorkerClosedError extends Error {
    constructor(message: string);
  }

  /** The object does not exist, or is closed. */
  class NotFoundError extends Error {
    constructor(message: string);
  }
}

/** Helpers for applications. */
export namespace extras {
  /**
   * An EventEmitter with typed events, any number of listeners, and `safeEmit()`. Every object of this package is one,
   * and so is every `observer`.
   */
  class EnhancedEventEmitter<
    E extends Events = Events,
    E2 extends Events = E & { listenererror: [eventName: keyof E & string, error: Error] },
  > extends EventEmitter {
    constructor();
    emit<K extends keyof E2 & string>(eventName: K, ...args: E2[K]): boolean;
    /**
     * Like `emit()`, but never throws: if a listener throws, the listeners after it are not called, and the emitter
     * emits 'listenererror' (eventName, error), where `error` is what was thrown, whatever its type. If
     * 'listenererror' has no listener, or its listener throws, `process.emitWarning()` shows what was thrown, once per
     * emitter and event, as a DatasoupWarning with the code 'DATASOUP_LISTENER_THREW'.
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
   * `once()` of `node:events` with types, which also ends if the emitter closes. It resolves with the arguments of the
   * next `eventName`:
   * `const [message, ppid] = await enhancedOnce<types.DataConsumerEvents, 'message'>(dataConsumer, 'message')`.
   * `once()` itself never settles if the object closes first.
   *
   * @param options - `signal` aborts the wait.
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
 * What `send()` takes as a message. Views and ArrayBuffers may be of any kind, including resizable and shared ones. Of
 * a view the part that it shows at the time of the call is sent.
 */
export type Payload = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** A message with the other arguments of `dataProducer.send()`, as `dataProducer.writable()` takes it. */
export type OutgoingMessage = {
  message: Payload;
  ppid?: number;
  subchannels?: number[];
  requiredSubchannel?: number;
  ignoredSubchannel?: number;
};

/** See `dataProducer.writable()`. It takes {@link Payload} and {@link OutgoingMessage}. */
export interface MessageWritable extends Writable {
  /** The Web Stream of this stream. */
  toWeb(): WritableStream<Payload | OutgoingMessage>;
}

/** A message that has arrived. The Buffer is as in 'message' of {@link DataConsumerEvents}. */
export type ReceivedMessage = { message: Buffer; ppid: number };

/** See `dataConsumer[Symbol.asyncIterator]()`. */
export interface MessageIterator extends AsyncIterator<ReceivedMessage, undefined, undefined> {
  next(): Promise<IteratorResult<ReceivedMessage, undefined>>;
  /** Ends the iteration, and the calls of `next()` that wait. */
  return(): Promise<IteratorResult<ReceivedMessage, undefined>>;
  [Symbol.asyncIterator](): MessageIterator;
  /** Calls `return()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** See `dataConsumer.readable()`. It yields {@link ReceivedMessage}. */
export interface MessageReadable extends Readable {
  /** The Web Stream of this stream. */
  toWeb(): ReadableStream<ReceivedMessage>;
}

/** Exactly one of two sets of members. */
export type Either<T, U> = Only<T, U> | Only<U, T>;
type Only<T, U> = { [P in keyof T]: T[P] } & { [P in keyof U]?: never };

export type ObserverEvents = {
  newworker: [worker: Worker];
};

export type Observer = EnhancedEventEmitter<ObserverEvents>;

/** What a listener throws is ignored, except that the process prints a warning (once per listener). */
export type LogEventListeners = {
  ondebug?: (namespace: string, log: string) => void;
  onwarn?: (namespace: string, log: string) => void;
  /** `error` is given if the line is about an error. */
  onerror?: (namespace: string, log: string, error?: Error) => void;
};

/** Media is not routed: both lists are always empty. */
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
  /** The lowest level that the worker's thread logs. Default 'error'. */
  logLevel?: WorkerLogLevel;
  /**
   * The parts that log below level 'error'. 'ice', 'dtls' and 'sctp': states and failures of transports; 'message':
   * messages that are not routed; 'info': everything else. Other tags have no effect, because they are about media.
   * Default none. The log keeps at most 64 lines per turn of the worker, 1 KiB each, and 256 KiB that wait for
   * JavaScript; the rest counts as `logLinesDropped`.
   */
  logTags?: WorkerLogTag[];
  /**
   * The lowest port for sockets with neither `port` nor `portRange`. 0-65535, default 10000; NaN counts as not given.
   * 0 counts as 1, and as not given if `rtcMaxPort` is 0 as well.
   *
   * @deprecated `portRange` of {@link TransportListenInfo}.
   */
  rtcMinPort?: number;
  /**
   * The highest port for sockets with neither `port` nor `portRange`, not below `rtcMinPort`. 0-65535, default 59999;
   * NaN counts as not given.
   *
   * @deprecated `portRange` of {@link TransportListenInfo}.
   */
  rtcMaxPort?: number;
  /**
   * How many bytes all queues of the Worker may hold together: messages on their way to it, to peers, to other Workers
   * and to the application, each charged as in `maxBufferedAmount`. Fragments of incomplete messages count too, but are
   * never refused: the peers' receive windows bound them. Beyond it `send()` throws or rejects as at a full queue, and
   * routed messages are dropped and counted: `messagesDroppedFull` of their DataConsumers, `messagesDroppedMemory` of
   * `worker.dump()`. A Worker that holds nothing accepts any message. 1048576-9007199254740991. Default: no limit
   * except those of the queues.
   */
  maxMemory?: number;
  /**
   * A PEM file with the certificate for DTLS, of an ECDSA key on P-256 or P-384. Default: the Worker generates one when
   * it starts.
   */
  dtlsCertificateFile?: string;
  /**
   * A PEM file with the private key of `dtlsCertificateFile`: PKCS#8 or SEC1, without a passphrase. Required with
   * `dtlsCertificateFile`, and not allowed without it.
   */
  dtlsPrivateKeyFile?: string;
  appData?: WorkerAppData;
};

export type WorkerUpdateableSettings<WorkerAppData extends AppData = AppData> = Pick<
  WorkerSettings<WorkerAppData>,
  'logLevel' | 'logTags'
>;

/**
 * The resource usage of the worker's thread, in the fields of libuv's `uv_rusage_t`. macOS and Windows count only the
 * CPU time by thread: all members but `ru_utime`, `ru_stime` and `ru_maxrss` are 0 there.
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
  /**
   * Datagrams dropped because neither the kernel nor the buffer of a TCP connection had room for them, or because the
   * kernel knows no way to their destination. The buffer of a TCP connection holds 256 KiB for a peer that does not
   * read.
   */
  datagramsUnsent: number;
  /**
   * Datagrams that the kernel dropped because a socket's receive buffer was full: see `recvBufferSize`. Only Linux
   * counts them; 0 on macOS and Windows.
   */
  datagramsOverflowed: number;
  /**
   * Datagrams dropped because no answer can be sent to their source: port 0, or an address that is unspecified or
   * multicast.
   */
  datagramsUnanswerable: number;
  /**
   * Events that were not emitted because newer ones of the same kind replaced them while JavaScript was busy. Of each
   * kind of event that a peer can repeat, at most the first 7 and the latest are kept for an object until JavaScript
   * takes them; of `'sctpsendbufferfull'`, `'bufferedamountlow'` and `'streamclose'`, the latest.
   */
  eventsMerged: number;
  /** Log lines dropped at the bounds of `logTags`. */
  logLinesDropped: number;
  /** The bytes that count towards `maxMemory`, without messages of `dataConsumer.send()` on their way to the Worker. */
  bytesHeld: number;
  /** Messages that `send()` refused, or that were dropped for one of their DataConsumers, because of `maxMemory`. */
  messagesDroppedMemory: number;
  /**
   * Messages that were sent or had arrived before their DataProducer, transport or Router was closed, and were not
   * routed: waiting messages are routed for about half a millisecond at the close, and the rest is dropped. Also
   * messages that a DataConsumer of type 'direct' held when it was closed, and what a new DataConsumer had yet to get
   * of the messages that its DataProducer retains.
   */
  messagesDroppedAtClose: number;
  /**
   * TCP connections closed because they did not authenticate by STUN within 15 s, were evicted by newer ones before
   * they did (at most 256 per Worker, and 32 per IPv4 address or IPv6 /64, may be unauthenticated), or announced an
   * invalid frame. 24 KiB of an unfinished frame are kept.
   */
  tcpConnectionsDropped: number;
  webRtcServerIds: string[];
  routerIds: string[];
  channelMessageHandlers: {
    channelRequestHandlers: string[];
    channelNotificationHandlers: string[];
  };
};

/** How much a DataProducer, or all DataProducers of a transport, may receive. At least one of the rates is given. */
export type LimitOptions = {
  /** 1-4294967295. */
  messagesPerSecond?: number;
  /** Payload bytes, 1-4294967295. A larger message passes too, once the bucket is not in debt. */
  bytesPerSecond?: number;
  /** How many seconds' worth may come at once: above 0, at most 3600. Default: 1. */
  burst?: number;
  /**
   * What happens to a message that exceeds the limit. 'drop', the default, drops it and counts it as `messagesLimited`.
   * 'pause' also pauses its DataProducer, until the application calls `resume()`; 'close' also closes the DataProducer,
   * and over WebRTC the peer's channel. 'block' drops nothing: messages wait at their source, as with
   * `overflow: 'block'`. A direct DataProducer fills its bound, then throws ERR_SEND_QUEUE_FULL; a peer's receive
   * window closes, for all of its streams. On a PipeTransport that the application has made, 'block' is an
   * UnsupportedError.
   */
  action?: LimitAction;
};

export type LimitAction = 'drop' | 'pause' | 'close' | 'block';

/** The options of `drained()`. */
export type DrainedOptions = {
  /** Gives up when aborted. */
  signal?: AbortSignal;
  /** Milliseconds after which to give up, 0-2147483647. Default: none, however long a peer may take. */
  timeout?: number;
};

export type WorkerEvents = {
  /** The thread ended because of a bug. Everything below the Worker is closed. */
  died: [error: Error];
  /** The thread has ended, after `close()` or 'died'. The last event of a Worker. */
  subprocessclose: [];
  /** `createWorker()` succeeds, before its promise resolves. As in mediasoup, for internal use. */
  '@success': [];
  /** `createWorker()` fails, before its promise rejects. As in mediasoup, for internal use. */
  '@failure': [error: Error];
  /** The object is closed: after `close()`, or after 'died'. 'subprocessclose' is still to come. */
  close: [];
};

export type WorkerObserverEvents = {
  close: [];
  newwebrtcserver: [webRtcServer: WebRtcServer];
  newrouter: [router: Router];
};

export type WorkerObserver = EnhancedEventEmitter<WorkerObserverEvents>;

/** A thread that runs all objects created below it. While a Worker is open, the process does not exit by itself. */
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
   * thread. The Worker emits 'subprocessclose' when the thread has ended. Pending promises reject with
   * WorkerClosedError.
   */
  close(): void;
  /** @throws WorkerClosedError */
  dump(): Promise<WorkerDump>;
  /**
   * Resolves when everything sent before the call has left: it was acknowledged by the peers, taken by the listeners,
   * or dropped and counted. Covers all DataConsumers of the Worker: see `dataConsumer.drained()`. A peer acknowledges a
   * message before its application reads it. Chromium reads it even if the session ends at once; libdatachannel under
   * load discards it: if there are such clients, close the Worker a second later.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError, WorkerClosedError: also if closed before that.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /** @throws WorkerClosedError */
  getResourceUsage(): Promise<WorkerResourceUsage>;
  /**
   * Changes what the worker logs. Settings that are not given keep their values.
   *
   * @throws TypeError, WorkerClosedError
   */
  updateSettings(settings?: WorkerUpdateableSettings<WorkerAppData>): Promise<void>;
  /**
   * @throws TypeError: `listenInfos` is missing, empty or invalid.
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
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
  /** Calls `close()`, and resolves when the thread has ended. */
  [Symbol.asyncDispose](): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------- WebRtcServer

export type WebRtcServerOptions<WebRtcServerAppData extends AppData = AppData> = {
  /** Where the server listens: at least one address. */
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
  /** Datagrams dropped because they arrived on the server's ports but were for none of its transports. */
  datagramsDropped: number;
};

export type WebRtcServerEvents = {
  /** Its Worker was closed or died; the object is closed. */
  workerclose: [];
  /** The object is closed. The last event, also after `close()`. */
  close: [];
};

export type WebRtcServerObserverEvents = {
  close: [];
  /** A new WebRtcTransport uses the server. */
  webrtctransporthandled: [webRtcTransport: WebRtcTransport];
  /** One of its WebRtcTransports was closed, by the application or along with the server. */
  webrtctransportunhandled: [webRtcTransport: WebRtcTransport];
};

export type WebRtcServerObserver = EnhancedEventEmitter<WebRtcServerObserverEvents>;

/** UDP and TCP ports that any number of WebRtcTransports share, of all Routers of its Worker. */
export interface WebRtcServer<
  WebRtcServerAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<WebRtcServerEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  get appData(): WebRtcServerAppData;
  set appData(appData: WebRtcServerAppData);
  readonly observer: WebRtcServerObserver;

  /** Closes its transports, which emit 'listenserverclose', and its sockets. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<WebRtcServerDump>;
  /** What `console.log()` and `JSON.stringify()` show: id, type and states. */
  toJSON(): Record<string, unknown>;
  /** Calls `close()`. */
  [Symbol.dispose](): void;
}

// ------------------------------------------------------------------------------------------------------------- Router

export type RouterOptions<RouterAppData extends AppData = AppData> = {
  /** Ignored, with a warning in the log if it is not empty: media is not routed. */
  mediaCodecs?: RouterRtpCodecCapability[];
  appData?: RouterAppData;
};

export type PipeToRouterOptions = {
  /** Rejected with UnsupportedError: media is not routed. */
  producerId?: string;
  /** The id of the DataProducer to pipe, which must belong to this Router. Required. */
  dataProducerId?: string;
  /** The Router to pipe to, of any Worker of the process. */
  router: Router;
  /**
   * Whether the new DataProducer has the same id as the piped one. Default true. Must be false within one Worker,
   * because ids are unique there.
   */
  keepId?: boolean;
  /**
   * What happens to messages for the other Router that are not taken quickly enough: see {@link DataConsumerOptions}.
   * 'block' has no timeout here: the pipe waits for as long as the DataConsumers at its far end do. Default
   * 'drop-newest'.
   */
  overflow?: DataConsumerOverflow;
  /**
   * How many bytes may wait for the other Router, each message charged its payload plus 64 bytes. 0-4294967295, default
   * `sctpPerStreamSendQueueLimit` of payload.
   */
  maxBufferedAmount?: number;
  /** Default true. The call fails with false, because data needs SCTP. */
  enableSctp?: boolean;
  /** Ignored with a warning in the log: SRTP is for media. */
  enableSrtp?: boolean;
} & SctpOverUdpOptions &
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
  /** The DataConsumer on this Router. */
  pipeDataConsumer?: DataConsumer;
  /** The DataProducer on the other Router. */
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
  /** Its Worker was closed or died; the object is closed. */
  workerclose: [];
  /** The object is closed. The last event, also after `close()`. */
  close: [];
};

export type RouterObserverEvents = {
  close: [];
  newtransport: [transport: Transport];
};

export type RouterObserver = EnhancedEventEmitter<RouterObserverEvents>;

/** A group of transports: the DataProducers of each can be consumed on all of them. */
export interface Router<
  RouterAppData extends AppData = AppData,
> extends extras.EnhancedEventEmitter<RouterEvents> {
  /** A UUID. */
  readonly id: string;
  readonly closed: boolean;
  /** Two empty lists, which mediasoup-client's `device.load()` accepts. */
  readonly rtpCapabilities: RtpCapabilities;
  get appData(): RouterAppData;
  set appData(appData: RouterAppData);
  readonly observer: RouterObserver;

  /** Closes its transports, which emit 'routerclose'. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<RouterDump>;
  /**
   * @throws TypeError: invalid options, or nothing to listen on.
   * @throws Error: an address cannot be bound, or the WebRtcServer is closed or belongs to another Worker.
   * @throws NotFoundError, WorkerClosedError
   */
  createWebRtcTransport<WebRtcTransportAppData extends AppData = AppData>(
    options: WebRtcTransportOptions<WebRtcTransportAppData>,
  ): Promise<WebRtcTransport<WebRtcTransportAppData>>;
  /**
   * @throws TypeError: invalid options.
   * @throws Error: the address cannot be bound.
   * @throws UnsupportedError: `enableSrtp` without `enableSctp`.
   * @throws NotFoundError, WorkerClosedError
   */
  createPlainTransport<PlainTransportAppData extends AppData = AppData>(
    options: PlainTransportOptions<PlainTransportAppData>,
  ): Promise<PlainTransport<PlainTransportAppData>>;
  /**
   * @throws TypeError: invalid options.
   * @throws Error: the address cannot be bound.
   * @throws UnsupportedError: `enableSrtp` without `enableSctp`.
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
   * Makes a DataProducer of this Router available on another Router, of the same Worker or of another one in the
   * process. The call creates a DataConsumer on this Router, and on the other Router a DataProducer with the same
   * label, protocol, stream parameters and `appData`. When either closes, the other closes too. The DataProducer there
   * shows whether the original is `paused`; see {@link DataProducerEvents}.
   *
   * The first call between two Routers creates a pair of PipeTransports with the SCTP options of that call; later
   * calls, in either direction, use the same pair.
   *
   * Messages sent before the promise has settled may be lost, because nothing there can consume them yet;
   * `messagesUnrouted` of the far PipeTransport counts them. Messages that the DataProducer retains do cross.
   *
   * @throws TypeError: invalid options, or `router` is this Router.
   * @throws NotFoundError: this Router has no such DataProducer, or one of the objects closed during the call.
   * @throws UnsupportedError: `producerId`, or `enableSrtp` with `enableSctp: false`.
   * @throws Error: `keepId` within one Worker, or the other Router has a DataProducer of this id.
   * @throws WorkerClosedError
   */
  pipeToRouter(options: PipeToRouterOptions): Promise<PipeToRouterResult>;
  /** @throws UnsupportedError */
  createActiveSpeakerObserver(options?: object): Promise<never>;
  /** @throws UnsupportedError */
  createAudioLevelObserver(options?: object): Promise<never>;
  /** Always false, because there is no media to consume. */
  canConsume(options?: { producerId: string; rtpCapabilities: RtpCapabilities }): boolean;
  /**
   * Has no effect, because media is not routed, but logs a warning if the array is not empty.
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
   * The IPv4 or IPv6 address to bind, without a zone; ::ffff:192.0.2.1 means 192.0.2.1. 0.0.0.0 and :: mean all
   * addresses of this host; each peer is answered from the one that it uses.
   */
  ip: string;
  /**
   * The address or host name (RFC 1123) to announce to peers instead of `ip`, e.g. the public one behind NAT. Default:
   * `ip`, or for 0.0.0.0 and :: the addresses of this host's interfaces when the socket is bound: at most 16 (of :: the
   * IPv6 ones first), loopback and link-local IPv4 ones only if there are no others, link-local IPv6 ones never.
   *
   * For several addresses of one port, give several `listenInfos` with the same `protocol`, `ip` (in any spelling) and
   * `port`. They share one socket. It is a TypeError if their `flags`, `sendBufferSize` or `recvBufferSize` differ.
   */
  announcedAddress?: string;
  /** @deprecated `announcedAddress` */
  announcedIp?: string;
  /**
   * Whether to announce, besides `announcedAddress`, what would be announced without it (ICE candidates only). Default
   * false.
   */
  exposeInternalIp?: boolean;
  /** The port to bind. 0-65535. Default 0: a free port from `rtcMinPort` to `rtcMaxPort` of the Worker. */
  port?: number;
  /**
   * Binds a free port of this range; `port` is ignored. From 0 to 0 is the Worker's range; otherwise a range from 0
   * begins at 1.
   */
  portRange?: TransportPortRange;
  flags?: TransportSocketFlags;
  /** The socket's send buffer (SO_SNDBUF). 0-4294967295. Default, and 0: the system's size. */
  sendBufferSize?: number;
  /**
   * The socket's receive buffer (SO_RCVBUF). 0-4294967295. Default, and 0: 2 MiB for UDP, the system's size for TCP.
   * Linux grants at most `net.core.rmem_max`, macOS about `kern.ipc.maxsockbuf`; the log says once if that is less.
   * Datagrams that do not fit into the buffer count as `datagramsOverflowed` of the Worker (Linux). While it is half
   * full, peers that send much get smaller receive windows (Linux).
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
  /** Whether an IPv6 socket accepts no IPv4. Default false. */
  ipv6Only?: boolean;
  /**
   * Whether other UDP sockets may bind the same address and port (SO_REUSEPORT). Default false. Linux spreads the peers
   * over the sockets; macOS does not. Windows cannot share a port like this: an Error.
   */
  udpReusePort?: boolean;
};

export type TransportTuple = {
  /** @deprecated `localAddress` */
  localIp: string;
  /**
   * The announced address. If there is none: the bound address, or with the `ip` 0.0.0.0 or :: the one of this host's
   * addresses that the peer uses.
   */
  localAddress: string;
  localPort: number;
  remoteIp?: string;
  remotePort?: number;
  protocol: TransportProtocol;
};

/**
 * 'failed': the peer did not answer the handshake; on PlainTransport and PipeTransport also: the peer was silent for
 * 55 s (`sctpSilence`). 'closed': either side ended the association.
 */
export type SctpState = 'new' | 'connecting' | 'connected' | 'failed' | 'closed';

/** A capture of a transport's packets. */
export interface Capture {
  readonly closed: boolean;
  /** Packets that were written. */
  readonly packets: number;
  /** Packets that were dropped. The interface statistics at the end of the file have the number too (isb_ifdrop). */
  readonly packetsDropped: number;
  /** Ends the capture, writes its statistics and ends the writable. */
  close(): void;
  [Symbol.dispose](): void;
}

/** The answer of `transport.diagnose()`. */
export type TransportDiagnosis = {
  state: {
    iceState?: IceState;
    dtlsState?: DtlsState;
    sctpState?: SctpState;
    /** WebRTC: the STUN requests for this transport. Every one received is counted in one of the others. */
    stun?: {
      received: number;
      valid: number;
      /**
       * With another username fragment. Not counted with a WebRtcServer, which finds its transports by the fragment.
       */
      wrongUsername: number;
      /** With the username fragment of this transport, but signed with another password. */
      wrongIntegrity: number;
      /** The peer claims to be controlled. */
      roleConflict: number;
      malformed: number;
      /** Beyond 100 in 50 ms, and not examined. */
      overQuota: number;
      /** Where the last valid one came from: `192.0.2.1:4000` or `[2001:db8::1]:4000`. */
      validFrom?: string;
      /** Where the last rejected one came from. */
      refusedFrom?: string;
    };
    /** WebRTC: datagrams of the DTLS session, and the records in them that were dropped. */
    dtls?: { datagrams: number; recordsDropped: number };
    /** With SCTP, but not through `pipeToRouter()`: packets, and messages on streams without a DataProducer. */
    sctp?: { packets: number; messagesUnrouted: number };
    /** See `getStats()`. */
    datagramsDropped: number;
    /** Plain and pipe: the source of the last datagram that did not come from the peer's address. */
    droppedFrom?: string;
  };
  /** What is missing or has failed, the cause first; empty if everything is in order. */
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
 * - 'no-stun-received': the peer does not have the candidates or cannot reach them: UDP is blocked, or
 *   `announcedAddress` is wrong.
 * - 'stun-wrong-username', 'stun-wrong-password': the peer has the `iceParameters` of another transport, or those of
 *   before `restartIce()`.
 * - 'role-conflict': the peer claims to be controlled (ICE), or both sides are the DTLS client.
 * - 'stun-malformed', 'stun-over-quota': requests that are not connectivity checks, or too many.
 * - 'connect-not-called': the peer is reachable, and waits for `connect()`.
 * - 'no-client-hello', 'no-dtls-answer': the peer is the DTLS client (or server) and does not begin (or answer).
 * - 'dtls-incomplete', 'sctp-incomplete': a handshake has begun and is not complete.
 * - 'no-sctp-received': no SCTP packet has arrived; the peer has no data channel, or does not send.
 * - 'wrong-source': plain and pipe: datagrams come from another address than that of `connect()`.
 * - 'nothing-to-carry': plain and pipe: the association begins with the first DataProducer or DataConsumer.
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

/** Why a transport has reached a state. New codes may be added; a code keeps its meaning. */
export type StateError<Code extends string> = {
  /** For programs. */
  code: Code;
  /** For people: one sentence, which may change. */
  message: string;
};

/**
 * Why an association failed or ended.
 * - 'peer-closed': the peer ended it in an orderly way, by an SCTP SHUTDOWN or an ABORT of its user (RFC 9260 §9).
 * - 'peer-aborted': the peer ended it with another error cause (RFC 9260 §3.3.10); the message has its number.
 * - 'peer-silent': the peer of a plain or pipe transport answered no HEARTBEAT; see `sctpSilence`.
 * - 'handshake-timeout': no answer to our INIT or COOKIE ECHO for 35 s.
 * - 'message-too-large': the peer sent a message over `maxReceiveMessageSize`.
 * - 'receive-buffer-exhausted': fragments of messages that the peer has not finished filled the receive window.
 * - 'protocol-violation': the peer broke another rule of SCTP, or exceeded another bound.
 *
 * If the DTLS session ends first, the association ends with it, and this is the session's error.
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

export type SctpParameters = {
  /** Always 5000. */
  port: number;
  /** See {@link SctpOptions}. */
  maxSendMessageSize: number;
  /** See {@link SctpOptions}. */
  maxReceiveMessageSize: number;
  sendBufferSize: number;
  perStreamSendQueueLimit: number;
  /** The receive window in force, see `sctpMaxReceiverWindowBufferSize`. */
  maxReceiverWindowBufferSize: number;
  /** Whether SCTP runs over DTLS, for DataChannels. */
  isDataChannel: boolean;
  /** The number of outgoing streams, for clients older than mediasoup 3.20. */
  OS: number;
  /** The number of incoming streams, for clients older than mediasoup 3.20. */
  MIS: number;
  /** The largest message that a client may send: `maxReceiveMessageSize`. */
  maxMessageSize: number;
};

/** As of the handshake. A peer may add streams to those it sends on (RFC 6525 §4.5), which `dump()` shows. */
export type SctpNegotiatedCapabilities = {
  negotiatedMaxOutboundStreams: number;
  negotiatedMaxInboundStreams: number;
};

/** The SCTP stream of a DataProducer or DataConsumer and its reliability. */
export type SctpStreamParameters = {
  /** 0-65534. */
  streamId: number;
  /**
   * Whether messages arrive in the order of sending. Default true, but false if `maxPacketLifeTime` or
   * `maxRetransmits` is given.
   */
  ordered?: boolean;
  /** For how long a message may be sent and retransmitted, in milliseconds. 0-65535; not with `ordered: true`. */
  maxPacketLifeTime?: number;
  /** How often a message may be retransmitted. 0-65535; not with `ordered: true` or `maxPacketLifeTime`. */
  maxRetransmits?: number;
};

/**
 * The SCTP options of transports. Sizes are bytes, 0-4294967295.
 *
 * No option sets these limits on a peer: fragments of incomplete messages (4,096 of a WebRTC client, 16,384 of other
 * peers, or one per 512 bytes of the receive window if that is more), half as many chunks received beyond a lost
 * packet, twice the receive window of data that a peer sends although the window is full, 8,192 streams that a WebRTC
 * client has sent on, 256 stream resets whose responses it leaves unanswered, 4,096 TSNs plus 512 KiB that it has not
 * acknowledged cumulatively, of which at most 1.5 MiB are acknowledged beyond a gap, and a quarter of a core for its
 * packets, the routing of its messages and, of a WebRTC client, what is sent to it.
 */
export type SctpOptions = {
  /** The largest message that DataConsumers send; larger ones are dropped and counted. Default 262144. */
  maxSendMessageSize?: number;
  /**
   * The largest message that DataProducers accept. Default 262144. A larger message of a peer ends its association; on
   * a PipeTransport it may be dropped instead.
   */
  maxReceiveMessageSize?: number;
  /**
   * When the messages queued on all streams together reach this size, further messages are dropped and counted, and
   * their DataConsumers emit 'sctpsendbufferfull'. Default 2000000. The number of small messages is bounded too:
   * payload plus 64 bytes per message may reach twice this size plus 64 KiB. Through a pipe the lists of subchannels
   * count too, 2 bytes for each. Messages inside the association, at most 512 KiB that the peer has not acknowledged,
   * do not count.
   */
  sctpSendBufferSize?: number;
  /** Like `sctpSendBufferSize`, but for the messages queued on each single stream. Default 2000000. */
  sctpPerStreamSendQueueLimit?: number;
  /**
   * The receive window: how much the peer may send ahead (RFC 9260 §3.3.2). Default 5242880. The window in force is at
   * most the larger of 1 MiB and 2 × `maxReceiveMessageSize`, which bounds the memory per peer, and at least
   * `maxReceiveMessageSize` plus 64 KiB, so that the largest message fits it. `sctpParameters` shows it. On a
   * PipeTransport the largest message has up to 131084 bytes more, for its subchannels. A peer that ignores the window
   * can fill it twice before the association ends.
   */
  sctpMaxReceiverWindowBufferSize?: number;
  /** The initial threshold of DataConsumers, see `setBufferedAmountLowThreshold()`. Default 1024. */
  sctpDefaultStreamBufferedAmountLowThreshold?: number;
  /**
   * The algorithm that decides how much may be in flight to the peer. Default 'cubic'. `pipeToRouter()` accepts it
   * without effect, because its messages go from thread to thread.
   */
  sctpCongestionControl?: SctpCongestionControl;
  /** @deprecated Use `maxSendMessageSize` and `maxReceiveMessageSize`, which take precedence. */
  maxSctpMessageSize?: number;
  /** @deprecated The option is checked and has no effect: a transport uses as many streams as the peer offers. */
  numSctpStreams?: NumSctpStreams;
};

/**
 * How the congestion window of an association grows and shrinks. It applies to what this side sends; the peer decides
 * for itself.
 *
 * - 'cubic' (RFC 9438): fills fast and long paths, and shares a path fairly with TCP. On short and slow paths it takes
 *   up to half as much again as a flow like 'newreno', because alpha of section 4.3 is always 1. For most applications.
 * - 'newreno' (RFC 9260, section 7.2): grows by one packet per round trip after a loss, so it takes less of a shared
 *   path than 'cubic' and stays further below what a fast or long path can carry.
 * - 'bbr' (draft-ietf-ccwg-bbr): follows the measured rate and round-trip time instead of halving at every loss. For
 *   paths that lose packets without being full, such as radio links. It slows down where more than 2 % of a round
 *   trip is lost. Beside 'cubic' it takes more than its part of a path with a short queue; experimental.
 */
export type SctpCongestionControl = 'cubic' | 'newreno' | 'bbr';

/** The SCTP options of transports without ICE: PlainTransport and PipeTransport. */
export type SctpOverUdpOptions = SctpOptions & {
  /**
   * After how many milliseconds without a packet of the peer `sctpState` becomes 'failed'. 1000-4294967295, default
   * 55000. After three elevenths of that time HEARTBEATs ask the peer (RFC 9260, section 8.3): up to 20 (7 with 1000),
   * at least 100 ms apart. With 3000 or more the association survives a loss of a fifth of all packets, with 1000 of a
   * twentieth. A pause of this process does not count. Without effect between Routers of one process, whose pipes need
   * no network; WebRtcTransport has `iceConsentTimeout`.
   */
  sctpSilence?: number;
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

/** Numbers of bytes count whole datagrams, bitrates are bits per second. The fields of RTP and RTX are 0. */
export type BaseTransportStats = {
  transportId: string;
  /** Milliseconds of a monotonic clock. */
  timestamp: number;
  sctpState?: SctpState;
  /**
   * When the last verified packet of the peer arrived, on the clock of `timestamp`: an SCTP packet, or on a
   * WebRtcTransport one of STUN or DTLS. Undefined before the first one, and on the transports of `pipeToRouter()`,
   * which need no network.
   */
  lastHeard?: number;
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
   * Datagrams dropped because they were not the peer's (another source, no authentic STUN, or no protocol of this
   * transport), and STUN requests above the limits: 100 in 50 ms each for requests from the peer's tuples, for those
   * from elsewhere that carry the transport's username fragment, and for all others.
   */
  datagramsDropped: number;
  /** Messages of the peer dropped because their stream has no DataProducer, or they exceed `maxReceiveMessageSize`. */
  messagesUnrouted: number;
  /** Messages of the peer dropped because they exceeded the `limit` of the transport, and their payload in bytes. */
  messagesLimited: number;
  bytesLimited: number;
  /**
   * Messages that were queued before the association was up, for streams which the peer turned out not to take. Their
   * DataConsumers have emitted 'streamclose'.
   */
  messagesDroppedUnsendable: number;
  /** Messages discarded because their DataConsumer closed while they were queued, and their payload in bytes. */
  messagesDiscarded: number;
  bytesDiscarded: number;
  /** With SCTP: packets dropped because they were malformed. */
  sctpPacketsMalformed?: number;
  /** With SCTP: packets dropped because their checksum, tag or ports are not the association's. */
  sctpPacketsForeign?: number;
  /** With SCTP: packets dropped because they did not fit the state of the association. */
  sctpPacketsUnexpected?: number;
  /**
   * With SCTP: packets dropped because the peer exceeded its share of the worker's time, a quarter of a core, which
   * includes the routing of its messages (not on a PipeTransport) and what is sent to a WebRTC client, or because
   * 1 MiB of them waits to be routed.
   */
  sctpPacketsOverload?: number;
  /** With SCTP: chunks removed from packets, e.g. of an unknown type. */
  sctpChunksStripped?: number;
  /**
   * With SCTP: messages that expired: nothing of them was sent, because their `maxPacketLifeTime` had ended or would
   * have ended before all of it was sent.
   */
  messagesExpired?: number;
  /**
   * With SCTP: messages abandoned by `maxRetransmits` or `maxPacketLifeTime` after they were sent at least in part.
   * Some may have arrived, if only the acknowledgement was lost or late.
   */
  messagesAbandoned?: number;
  /**
   * With SCTP: messages queued when the association ended, or rejected by it. Messages inside the association, at most
   * about 512 KiB, may or may not have arrived. Later messages count as `messagesDroppedUnsendable` of their
   * DataConsumer.
   */
  messagesUnsent?: number;
  /** With SCTP: messages of the peer dropped because they were inconsistent, or invalid DCEP. */
  messagesGarbled?: number;
  /**
   * The smoothed round-trip time of SCTP packets (RFC 9260, section 6.3.1), in milliseconds with up to three decimals.
   * Undefined until it is measured: by the handshake, or by the first acknowledgement of a message. It includes the
   * peer's delay of acknowledgements, up to 200 ms if single packets are sent now and then.
   *
   * This member and the following ones, to `sctpSpuriousRetransmissions`, are about what this side sends. They exist
   * from `sctpState` 'connected' on; after the end they keep their last values. The transports of `pipeToRouter()` have
   * none, because their messages go from thread to thread.
   */
  sctpRoundTripTime?: number;
  /**
   * After how long without an acknowledgement everything in flight counts as lost (RFC 9260, section 6.3), in
   * milliseconds: that of the timer, if it runs. It doubles with each timeout, up to 800 ms or what is normal for the
   * path, in a long silence up to 5 s, and returns to normal with the next acknowledgement. It is 200 ms longer while
   * the peer may delay an acknowledgement.
   */
  sctpRetransmissionTimeout?: number;
  /** How many bytes of payload may be in flight: the congestion window, see `sctpCongestionControl`. */
  sctpCongestionWindow?: number;
  /** How many bytes of payload were sent and are neither acknowledged nor deemed lost. */
  sctpBytesInFlight?: number;
  /**
   * DATA chunks that were sent again, and their payload in bytes: the sums of the four causes below. A message of more
   * than about 1,150 bytes is several chunks.
   */
  sctpChunksRetransmitted?: number;
  sctpBytesRetransmitted?: number;
  /** Sent again because chunks that were sent later are acknowledged (RACK: RFC 8985, section 6). */
  sctpChunksRetransmittedRack?: number;
  sctpBytesRetransmittedRack?: number;
  /** Sent again because no acknowledgement came for about two round trips (tail loss probe: RFC 8985, section 7). */
  sctpChunksRetransmittedProbe?: number;
  sctpBytesRetransmittedProbe?: number;
  /** Sent again because `sctpRetransmissionTimeout` passed (RFC 9260, section 6.3.3): the path was interrupted. */
  sctpChunksRetransmittedTimeout?: number;
  sctpBytesRetransmittedTimeout?: number;
  /**
   * Small chunks that the next packet repeats while little is in flight, in case their own packet is lost. They are no
   * sign of loss.
   */
  sctpChunksRetransmittedBundled?: number;
  sctpBytesRetransmittedBundled?: number;
  /**
   * Chunks sent again although the first copy had arrived, as the peer reports (duplicate TSNs: RFC 9260, section
   * 3.3.4), without the bundled ones. Many of them mean that the path reorders packets, or delays some by more than its
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
  /** Its Router was closed; the transport is closed. */
  routerclose: [];
  /** Its WebRtcServer was closed; the transport is closed. */
  listenserverclose: [];
  /** Never emitted: traces are about media. */
  trace: [trace: TransportTraceEventData];
  /** The object is closed. The last event, also after `close()`. */
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

  /** Closes its DataProducers, then its DataConsumers, which emit 'transportclose', and notifies the peer. */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<BaseTransportDump>;
  /** @throws NotFoundError, WorkerClosedError */
  getStats(): Promise<BaseTransportStats[]>;
  /**
   * Explains why no data flows: resolves with what has arrived at the transport, and what is missing or has failed.
   * Call it when a connection takes more than a few seconds.
   */
  diagnose(): Promise<TransportDiagnosis>;
  /**
   * From now on writes the SCTP packets of both directions, decrypted, to `writable` as pcapng, which Wireshark opens.
   * Call it before `connect()` to include the handshake. There may be several captures; without one nothing is copied.
   *
   * Packets are dropped and counted while 4 MiB wait for the event loop, or in a slow `writable`. Closing the capture
   * or the transport writes the statistics and ends `writable`; if `writable` closes first, the capture ends.
   *
   * @throws TypeError - `writable` is not a Writable of bytes, or has ended.
   * @throws UnsupportedError - without `enableSctp`, and through `pipeToRouter()` within one process: there are no
   * packets.
   */
  capture(writable: Writable): Promise<Capture>;
  /**
   * Resolves when everything sent before the call has left: messages of the transport's DataConsumers, and messages
   * that its DataProducers have received, for any DataConsumer. Before you close the transport, give a peer that is
   * libdatachannel a second to read: see `worker.drained()` and `dataConsumer.drained()`.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError, NotFoundError, WorkerClosedError: also if closed before that.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /** Sets the peer's address, or its DTLS parameters. */
  connect(params: unknown): Promise<void>;
  /**
   * Stores the limit, which `getStats()` returns. It has no effect on data, because it limits media only.
   *
   * @param bitrate - bits per second, 0-4294967295; 0 is no limit.
   * @throws UnsupportedError: on a DirectTransport.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setMaxIncomingBitrate(bitrate: number): Promise<void>;
  /** Like `setMaxIncomingBitrate()`; not below the minimum. */
  setMaxOutgoingBitrate(bitrate: number): Promise<void>;
  /** Like `setMaxIncomingBitrate()`; not above the maximum. */
  setMinOutgoingBitrate(bitrate: number): Promise<void>;
  /** @throws UnsupportedError: media is not routed. */
  produce(options?: object): Promise<never>;
  /** @throws UnsupportedError: media is not routed. */
  consume(options?: object): Promise<never>;
  /**
   * @throws TypeError: invalid options, no `sctpStreamParameters` (except on a DirectTransport), or the `id` of a
   * DataProducer of this transport.
   * @throws Error: SCTP is not enabled, or the stream or the `id` is in use.
   * @throws NotFoundError, WorkerClosedError
   */
  produceData<DataProducerAppData extends AppData = AppData>(
    options?: DataProducerOptions<DataProducerAppData>,
  ): Promise<DataProducer<DataProducerAppData>>;
  /**
   * @throws TypeError: invalid options.
   * @throws NotFoundError: this Router has no such DataProducer.
   * @throws Error: SCTP is not enabled, no stream is free, or `streamId` is in use or beyond what the peer takes.
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
 * One of `webRtcServer`, `listenIps` and `listenInfos` is required. If several are given, the first of them is used.
 * `enableUdp`, `enableTcp`, `preferUdp` and `preferTcp` are for `webRtcServer` and `listenIps`: with `listenInfos` the
 * transport listens on each of them, and their order is the order of priority.
 */
export type WebRtcTransportOptions<WebRtcTransportAppData extends AppData = AppData> = {
  /** Whether to offer UDP candidates. Default true. Ignored with `listenInfos`. */
  enableUdp?: boolean;
  /** Whether to offer TCP candidates. Default false; true with a `webRtcServer`. Ignored with `listenInfos`. */
  enableTcp?: boolean;
  /** Whether UDP candidates have the higher priority. Default false. Ignored with `listenInfos`. */
  preferUdp?: boolean;
  /** Whether TCP candidates have the higher priority. Default false. Ignored with `listenInfos`. */
  preferTcp?: boolean;
  /**
   * The seconds without consent of the peer (RFC 7675) after which `iceState` becomes 'disconnected'. 0-65535; 0 is
   * never, other values are clamped to 10-60 with a warning in the log. Default 30.
   */
  iceConsentTimeout?: number;
  /** Whether the transport carries data. Default false. */
  enableSctp?: boolean;
  /** Ignored: media is not routed. */
  initialAvailableOutgoingBitrate?: number;
  /** How much all its DataProducers may receive together; `null` or not given: no limit. */
  limit?: LimitOptions | null;
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
/**
 * 'connected': a tuple is selected. 'completed': the peer has nominated a tuple. 'disconnected': consent timed out (see
 * `iceConsentTimeout`), or the last tuple was lost; the peer's next valid STUN request reconnects.
 */
export type IceState = 'new' | 'connected' | 'completed' | 'disconnected' | 'closed';
export type DtlsRole = 'auto' | 'client' | 'server';
/**
 * 'failed': the peer's certificate did not match, or the handshake failed or took more than 30 s. A handshake holds at
 * most 64 KiB.
 */
export type DtlsState = 'new' | 'connecting' | 'connected' | 'failed' | 'closed';

/**
 * Why the path to the peer is lost.
 * - 'consent-expired': no valid STUN request came for `iceConsentTimeout` (RFC 7675 §5.1).
 * - 'connection-closed': the TCP connection that was the last path closed.
 * - 'path-taken': on a WebRtcServer, another transport's client uses the last path now.
 */
export type IceErrorCode = 'consent-expired' | 'connection-closed' | 'path-taken';

export type IceError = StateError<IceErrorCode>;

/**
 * Why a DTLS session failed, or was closed by the peer.
 * - 'fingerprint-mismatch': the peer's certificate matches none of the fingerprints of `connect()`; the message has its
 *   SHA-256.
 * - 'certificate-unsupported': the peer has no certificate, or not an ECDSA one on P-256 or P-384 (RSA, for example).
 * - 'certificate-rejected': the peer rejected our certificate, for example because it expects another fingerprint.
 * - 'role-conflict': both sides are the DTLS client. If both are the server it is 'handshake-timeout'.
 * - 'handshake-timeout': the handshake did not complete within 30 s.
 * - 'handshake-failed': the handshake failed in another way, which the message describes.
 * - 'peer-closed': the peer ended the session by a close_notify.
 * - 'peer-aborted': the peer ended it by another alert (RFC 5246 §7.2).
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
  /** In `connect()`: the peer's role. Default 'auto'. */
  role?: DtlsRole;
  /** At least one. The peer's certificate must match one of them. */
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
  /** Records dropped: forged, replayed, misplaced, or beyond what is kept (see `connect()`). */
  dtlsRecordsDropped: number;
};

/** A channel that the client has opened in band, by a DATA_CHANNEL_OPEN (RFC 8832). */
export type DataChannelInfo = SctpStreamParameters & {
  label: string;
  protocol: string;
};

export type WebRtcTransportEvents = TransportEvents & {
  icestatechange: [iceState: IceState, iceError?: IceError];
  iceselectedtuplechange: [iceSelectedTuple: TransportTuple];
  dtlsstatechange: [dtlsState: DtlsState, dtlsError?: DtlsError];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
  /**
   * How many messages exceeded the limit of the transport and were dropped since the last event, and their payload;
   * zeros if they wait ('block'). At most once a second.
   */
  limit: [exceeded: { messages: number; bytes: number }];
  /**
   * The client has opened a channel in band for which there is no DataProducer. `produceData()` with its `streamId`
   * adopts the channel. Until then its messages are kept, for 10 s from its opening. A transport keeps up to 64
   * channels, 256 messages and 256 KiB (each message is charged its payload plus 64 bytes). Beyond that, messages count
   * as `messagesUnrouted`, and channels are not announced.
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

/** A connection with one WebRTC client: ICE-Lite, DTLS, SCTP. It keeps up to 8 valid tuples. */
export interface WebRtcTransport<
  WebRtcTransportAppData extends AppData = AppData,
> extends Transport<WebRtcTransportAppData, WebRtcTransportEvents, WebRtcTransportObserver> {
  readonly type: 'webrtc';
  readonly iceRole: 'controlled';
  readonly iceParameters: IceParameters;
  readonly iceCandidates: IceCandidate[];
  readonly iceState: IceState;
  /** Why `iceState` is 'disconnected'; undefined in the other states. */
  readonly iceError: IceError | undefined;
  readonly iceSelectedTuple: TransportTuple | undefined;
  /** The role and fingerprints of this transport, for the peer. */
  readonly dtlsParameters: DtlsParameters;
  readonly dtlsState: DtlsState;
  /** Why `dtlsState` is 'failed', or 'closed' by the peer. */
  readonly dtlsError: DtlsError | undefined;
  /** The peer's certificate in PEM, once `dtlsState` is 'connected'. */
  readonly dtlsRemoteCert: string | undefined;
  readonly sctpParameters: SctpParameters | undefined;
  readonly sctpState: SctpState | undefined;
  /** Why `sctpState` is 'failed' or 'closed'. Undefined if the application has closed the transport before. */
  readonly sctpError: SctpError | undefined;
  /** Set once `sctpState` is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;

  dump(): Promise<WebRtcTransportDump>;
  getStats(): Promise<WebRtcTransportStat[]>;
  /**
   * Sets the peer's DTLS role and fingerprints. The handshake cannot begin before this call; until then, up to
   * 8 datagrams or 16 KiB of the peer are kept.
   *
   * @throws TypeError: invalid role, no fingerprint, or an invalid one.
   * @throws Error: called before.
   * @throws NotFoundError, WorkerClosedError
   */
  connect(params: { dtlsParameters: DtlsParameters }): Promise<void>;
  /**
   * Makes new ICE parameters for the peer. The old ones stay valid until the peer uses the new ones.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  restartIce(): Promise<IceParameters>;
  /**
   * Changes the limit over all its DataProducers; `null` or nothing removes it. Tokens and debt are kept.
   *
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setLimit(limit?: LimitOptions | null): Promise<void>;
}

// ----------------------------------------------------------------------------------------------------- PlainTransport

/** Exactly one of `listenInfo` and `listenIp` is required, for UDP. */
export type PlainTransportOptions<PlainTransportAppData extends AppData = AppData> = {
  /** Whether to learn the peer's address from the first valid association, instead of by `connect()`. Default false. */
  comedia?: boolean;
  /** Whether the transport carries data. Default false. */
  enableSctp?: boolean;
  /** Ignored: RTCP is about media. Default true. */
  rtcpMux?: boolean;
  /** Ignored: RTCP is about media. */
  rtcpListenInfo?: TransportListenInfo;
  /**
   * Ignored with a warning in the log: SRTP is for media. Without `enableSctp`, true is rejected with UnsupportedError.
   */
  enableSrtp?: boolean;
  /** How much all its DataProducers may receive together; `null` or not given: no limit. */
  limit?: LimitOptions | null;
  appData?: PlainTransportAppData;
} & SctpOverUdpOptions &
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
  /**
   * With `comedia`: the transport has learned the peer's address. With the `ip` 0.0.0.0 or ::, also: the peer uses
   * another one of this host's addresses, and `tuple.localAddress` shows it.
   */
  tuple: [tuple: TransportTuple];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
  /**
   * How many messages exceeded the limit of the transport and were dropped since the last event, and their payload;
   * zeros if they wait ('block'). At most once a second.
   */
  limit: [exceeded: { messages: number; bytes: number }];
};

export type PlainTransportObserverEvents = TransportObserverEvents & {
  tuple: [tuple: TransportTuple];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
};

export type PlainTransportObserver = EnhancedEventEmitter<PlainTransportObserverEvents>;

/** SCTP over plain UDP with one remote address; datagrams of other sources are dropped. */
export interface PlainTransport<PlainTransportAppData extends AppData = AppData> extends Transport<
  PlainTransportAppData,
  PlainTransportEvents,
  PlainTransportObserver
> {
  readonly type: 'plain';
  readonly tuple: TransportTuple;
  /** Always undefined: RTCP is about media. */
  readonly rtcpTuple: undefined;
  readonly sctpParameters: SctpParameters | undefined;
  readonly sctpState: SctpState | undefined;
  /** Why `sctpState` is 'failed' or 'closed'. Undefined if the application has closed the transport before. */
  readonly sctpError: SctpError | undefined;
  /** Set once `sctpState` is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;
  /** Always undefined: SRTP is about media. */
  readonly srtpParameters: undefined;

  dump(): Promise<PlainTransportDump>;
  getStats(): Promise<PlainTransportStat[]>;
  /**
   * Changes the limit over all its DataProducers; `null` or nothing removes it. Tokens and debt are kept.
   *
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setLimit(limit?: LimitOptions | null): Promise<void>;
  /**
   * Sets the peer's address. With `comedia` the address is ignored, because the transport learns it from the peer.
   *
   * Only datagrams from this address are accepted, and datagrams leave from the address that the peer has sent to.
   * Before the peer has sent, a transport on 0.0.0.0 or :: sends from the address that the routes of its host choose.
   * If the host has several addresses, listen on the one that the peer expects.
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
    /** Ignored: RTCP is about media. */
    rtcpPort?: number;
    srtpParameters?: object;
  }): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------ PipeTransport

/** Exactly one of `listenInfo` and `listenIp` is required, for UDP. */
export type PipeTransportOptions<PipeTransportAppData extends AppData = AppData> = {
  /** Whether the transport carries data. Default false. */
  enableSctp?: boolean;
  /**
   * Whether to encrypt datagrams by DTLS 1.2 (RFC 6347), with the certificates of both Workers. Both ends must enable
   * it, and `connect()` needs `dtlsParameters`. Default false.
   */
  enableDtls?: boolean;
  /** Ignored: RTX is about media. */
  enableRtx?: boolean;
  /**
   * Ignored with a warning in the log: SRTP is for media. Without `enableSctp`, true is rejected with UnsupportedError.
   */
  enableSrtp?: boolean;
  appData?: PipeTransportAppData;
} & SctpOverUdpOptions &
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
  /** With `enableDtls`. */
  dtlsParameters?: DtlsParameters;
  dtlsState?: DtlsState;
};

export type PipeTransportStat = BaseTransportStats & {
  /** 'pipe-transport'. */
  type: string;
  tuple: TransportTuple;
  /** With `enableDtls`. */
  dtlsState?: DtlsState;
  /** With `enableDtls`: records dropped, because they were forged, replayed, misplaced or too many. */
  dtlsRecordsDropped?: number;
};

export type PipeTransportEvents = TransportEvents & {
  /** With `enableDtls`. */
  dtlsstatechange: [dtlsState: DtlsState, dtlsError?: DtlsError];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
};

export type PipeTransportObserverEvents = TransportObserverEvents & {
  dtlsstatechange: [dtlsState: DtlsState, dtlsError?: DtlsError];
  sctpstatechange: [sctpState: SctpState, sctpError?: SctpError];
};

export type PipeTransportObserver = EnhancedEventEmitter<PipeTransportObserverEvents>;

/** One end of a pipe between two Routers, in one process or on two hosts. It carries the subchannels of messages. */
export interface PipeTransport<PipeTransportAppData extends AppData = AppData> extends Transport<
  PipeTransportAppData,
  PipeTransportEvents,
  PipeTransportObserver
> {
  readonly type: 'pipe';
  readonly tuple: TransportTuple;
  /** The role and fingerprints of this transport, for the other one. Undefined without `enableDtls`. */
  readonly dtlsParameters: DtlsParameters | undefined;
  /** Undefined without `enableDtls`. */
  readonly dtlsState: DtlsState | undefined;
  /**
   * Why `dtlsState` is 'failed', or 'closed' by the other end. Records that may be forged do not end a handshake (RFC
   * 6347 §4.1.2.7): an alert in plaintext ('certificate-rejected', 'peer-aborted') and a second client
   * ('role-conflict') become the reason if the handshake does not end within 30 s, and are findings of `diagnose()` at
   * once.
   */
  readonly dtlsError: DtlsError | undefined;
  /** The certificate of the other end in PEM, once `dtlsState` is 'connected'. */
  readonly dtlsRemoteCert: string | undefined;
  readonly sctpParameters: SctpParameters | undefined;
  readonly sctpState: SctpState | undefined;
  /** Why `sctpState` is 'failed' or 'closed'. Undefined if the application has closed the transport before. */
  readonly sctpError: SctpError | undefined;
  /** Set once `sctpState` is 'connected'. */
  readonly sctpNegotiatedCapabilities: SctpNegotiatedCapabilities | undefined;
  /** Always undefined: SRTP is about media. */
  readonly srtpParameters: undefined;

  dump(): Promise<PipeTransportDump>;
  getStats(): Promise<PipeTransportStat[]>;
  /**
   * Sets the address of the other PipeTransport.
   *
   * Only datagrams from this address are accepted. A transport on 0.0.0.0 or :: sends from the address that the routes
   * of its host choose, until the other end has sent to one of its addresses. Between hosts with several addresses
   * listen on the address that the other end connects to; two ends on 0.0.0.0 may drop each other's datagrams.
   *
   * @param params - `ip`: the IPv4 or IPv6 address of one host, of the family that the transport listens on; neither
   *   unspecified, broadcast or multicast, nor link-local IPv6. `port`: 1-65535. `dtlsParameters`: with `enableDtls`,
   *   the role and the fingerprints of the other transport, over a channel on which they cannot be changed. One end
   *   gives the role 'client' and the other 'server'; 'auto', the default, assumes that the other end is the server.
   *   The handshake begins at once and may take 30 s.
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
  /** The largest message that its DataConsumers deliver; larger ones are dropped. 0-4294967295, default 262144. */
  maxSendMessageSize?: number;
  /** The largest message that its DataProducers accept. 0-4294967295, default 262144. */
  maxReceiveMessageSize?: number;
  /** @deprecated Use `maxSendMessageSize` and `maxReceiveMessageSize`, which take precedence. */
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

/** Messages from and to the application itself: `dataProducer.send()`, and the 'message' event of DataConsumers. */
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
  /** A UUID. Default: a random UUID. */
  id?: string;
  /**
   * The peer's stream. Required, except on a DirectTransport, where it is ignored with a warning in the log. If a
   * client has opened a channel on the stream in band (see 'datachannel'), the DataProducer adopts it: label, protocol
   * and reliability are those of the channel unless given (the reliability if none of its options is given), and the
   * kept messages are routed. If the client has closed the channel since, 'streamclose' follows.
   */
  sctpStreamParameters?: SctpStreamParameters;
  /** Default: that of the adopted channel, or ''. */
  label?: string;
  /** Default: that of the adopted channel, or ''. */
  protocol?: string;
  /** Default false. */
  paused?: boolean;
  /**
   * 'hold' keeps the messages that come during a pause, within `maxBufferedAmount`, and routes them at `resume()`, in
   * order and before later ones. 'drop', the default, drops and counts them.
   */
  whilePaused?: WhilePaused;
  /**
   * How many bytes may wait for routing, held ones included. Each message is charged its payload plus 64 bytes plus 2
   * for each of its subchannels. Beyond the bound `send()` throws ERR_SEND_QUEUE_FULL, and held messages of a peer are
   * dropped and counted (`messagesDroppedFull`). For a peer it has no effect without 'hold'. 0-4294967295, default
   * 67108864 on a DirectTransport, else 1048576.
   */
  maxBufferedAmount?: number;
  /**
   * Keep the last messages for later DataConsumers. A new DataConsumer first gets those that match its subscriptions,
   * then live messages, without a gap or a duplicate; one that is created paused gets them at its first `resume()`.
   * Messages that were dropped because the DataProducer was paused are not retained. The DataProducer that
   * `pipeToRouter()` makes retains too, and a pipe carries all messages of a DataProducer that retains, whatever the
   * DataConsumer on the pipe is subscribed to. What the queue of the DataConsumer has no room for is dropped as
   * `overflow` says; with 'block' nothing is dropped: the DataProducer waits until the DataConsumer has got all, unless
   * that is paused. If there are many, it gets them over some milliseconds, and messages that go meanwhile are kept for
   * it, up to twice these bounds in all; beyond that the oldest may be dropped, as `overflow` says. Default: none
   * are kept.
   */
  retain?: DataProducerRetain;
  appData?: DataProducerAppData;
  /** How much it may receive; `null` or not given: no limit. */
  limit?: LimitOptions | null;
};

/** What happens to messages that come during a pause. */
export type WhilePaused = 'drop' | 'hold';

/** Which messages a DataProducer retains: the last ones, within each of these bounds. */
export type DataProducerRetain = {
  /** How many messages. 1-65535. */
  messages: number;
  /**
   * How many bytes. Each message is charged its payload plus 64 bytes plus 2 for each of its subchannels; one that
   * alone exceeds the bound leaves nothing retained. 1-4294967295, default 1048576. All DataProducers together retain
   * at most half of the Worker's `maxMemory`.
   */
  bytes?: number;
  /**
   * For how many milliseconds a message is retained. 1-4294967295. Default: no limit. An older one goes to no
   * DataConsumer, and its memory is free with the next message or DataConsumer.
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
  /** Milliseconds of a monotonic clock. */
  timestamp: number;
  label: string;
  protocol: string;
  messagesReceived: number;
  bytesReceived: number;
  /** The received messages that were dropped because the DataProducer was paused. */
  messagesPaused: number;
  /** With `whilePaused: 'hold'`: the received messages that were dropped because there was no room to hold them. */
  messagesDroppedFull: number;
  /** With `whilePaused: 'hold'`: the received messages that are held now. */
  messagesWaiting: number;
  /**
   * The received messages that were dropped because they exceeded a limit, its own or that of its transport, and their
   * payload in bytes.
   */
  messagesLimited: number;
  bytesLimited: number;
  /** The messages that `retain` keeps now, and their payload in bytes. */
  messagesRetained: number;
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
  /** Its transport was closed; the object is closed. */
  transportclose: [];
  /**
   * After `send()` threw ERR_SEND_QUEUE_FULL: less than a quarter of `maxBufferedAmount` is charged now, or nothing,
   * and a sixteenth of the Worker's `maxMemory` is free.
   */
  drain: [];
  /**
   * The peer has closed the stream: a browser its DataChannel, or the far end of a pipe its DataConsumer. The
   * DataProducer and its DataConsumers stay open. On a PipeTransport the DataProducer receives nothing more, even if
   * the stream is used again.
   */
  streamclose: [];
  /**
   * The number of its DataConsumers or the union of their subchannels has changed: the new state. Changes of one
   * synchronous run are emitted together. The state at the time when a listener is added is not emitted: see `demand`.
   */
  demand: [demand: DataProducerDemand];
  /**
   * How many messages exceeded its own limit and were dropped since the last event, and their payload; zeros if they
   * wait ('block'). At most once a second, and before 'close' if the limit closes it. `getStats()` has the exact
   * counts.
   */
  limit: [exceeded: { messages: number; bytes: number }];
  /**
   * A limit with the action 'pause' has paused the DataProducer. Behind a pipe: the DataProducer at the other end was
   * paused. `paused` is true, and the observer emits the event too. Behind a pipe the event keeps its place among the
   * messages, and nothing is dropped here: the paused original sends nothing.
   */
  pause: [];
  /** Behind a pipe: the DataProducer at the other end was resumed, and this one is not paused itself. */
  resume: [];
  /** The object is closed. The last event, also after `close()`. */
  close: [];
};

export type DataProducerObserverEvents = {
  close: [];
  pause: [];
  resume: [];
};

export type DataProducerObserver = EnhancedEventEmitter<DataProducerObserverEvents>;

/** A source of messages: an SCTP stream of the peer, or (type 'direct') the application. */
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
  /** Whether it is paused; behind a pipe also: whether the DataProducer at the other end is paused. */
  readonly paused: boolean;
  /** See {@link DataProducerOptions.retain}. */
  readonly retain: DataProducerRetain | undefined;
  readonly whilePaused: WhilePaused;
  /** What its DataConsumers want now; a copy. The event 'demand' reports changes. */
  readonly demand: DataProducerDemand;
  /** Type 'direct': bytes that `send()` accepted and that are not routed yet. Type 'sctp': bytes that are held. */
  readonly bufferedAmount: number;
  get appData(): DataProducerAppData;
  set appData(appData: DataProducerAppData);
  readonly observer: DataProducerObserver;

  /**
   * Closes its DataConsumers, which emit 'dataproducerclose'. Over WebRTC it also resets the stream, unless a
   * DataConsumer of the transport uses the same one.
   */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<DataProducerDump>;
  /** @throws NotFoundError, WorkerClosedError */
  getStats(): Promise<DataProducerStat[]>;
  /**
   * Closes like `close()`, and resolves with the last counters, because `getStats()` of a closed object rejects.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  closeWithStats(): Promise<DataProducerStat[]>;
  /**
   * Resolves when everything sent before the call has left all its DataConsumers: see `dataConsumer.drained()`.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError, NotFoundError, WorkerClosedError: also if closed before that.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /**
   * Drops and counts all messages until `resume()`, or holds them; see {@link DataProducerOptions.whilePaused}.
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
   * Changes the limit; `null` or nothing removes it. Tokens and debt are kept.
   *
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setLimit(limit?: LimitOptions | null): Promise<void>;
  /**
   * Forgets the messages that {@link DataProducerOptions.retain} keeps, here and behind pipes. Messages sent before the
   * call are no longer retained; those sent after it are.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  clearRetained(): Promise<void>;
  /**
   * Moves a DataProducer of a PipeTransport to another PipeTransport of the same Router, over which the far end has
   * made another DataConsumer of the original. Its DataConsumers stay. From then on it receives the messages of the new
   * stream instead of the former one. If the far end closes the former DataConsumer and makes the new one in one
   * macrotask, each message arrives at most once and in order; messages in flight are lost.
   *
   * @param options - `sctpStreamParameters`: those of the far end's new DataConsumer. If the original has
   *   `retain`, that one needs `retained: false`.
   * @throws TypeError: invalid arguments, or a transport of another Worker.
   * @throws Error: the stream has another DataProducer.
   * @throws UnsupportedError: either is not on a PipeTransport that the application has connected, or the Routers
   * differ.
   * @throws NotFoundError, WorkerClosedError
   */
  moveTo(
    transport: PipeTransport,
    options: { sctpStreamParameters: SctpStreamParameters },
  ): Promise<void>;
  /**
   * Sends a message to the DataConsumers (type 'direct'). The call copies the message. If the DataProducer is closed,
   * the call drops the message and logs a warning.
   *
   * @param message - at most `maxReceiveMessageSize` bytes. One whose ArrayBuffer was transferred, or shrunk to less
   * than the view needs, is a TypeError.
   * @param ppid - the SCTP payload protocol id (RFC 8831, section 8), 0-4294967295; for an empty message 56 or 57.
   * Default: 51 for a string, 53 for bytes, 56 and 57 for empty ones. Messages with 56 or 57 arrive as one byte on
   * DirectTransports, and empty elsewhere.
   * @param subchannels - if not empty: only to DataConsumers that are subscribed to one of these. At most 65535, each
   * 0-65535; duplicates count once.
   * @param requiredSubchannel - only to DataConsumers that are subscribed to this subchannel. 0-65535.
   * @param ignoredSubchannel - not to DataConsumers that are subscribed to this subchannel. 0-65535.
   * @throws TypeError: invalid arguments, message too large, or type 'sctp'.
   * @throws Error with code 'ERR_SEND_QUEUE_FULL': `maxBufferedAmount`, or `maxMemory` of the Worker, is reached, and
   * the message was not accepted. Wait for 'drain'.
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
   * A stream in object mode that sends what is written to it (type 'direct'): messages, or objects with the arguments
   * of `send()`. It applies back-pressure: at most 1 MiB waits for routing, whatever `maxBufferedAmount` is, and a
   * DataConsumer with the policy 'block' holds up the writer. A chunk that `send()` rejects destroys the stream with
   * its TypeError; the end of the DataProducer destroys it with NotFoundError or WorkerClosedError. `end()` closes no
   * other object. 'finish' is emitted after `drained()`, when the peers have acknowledged everything.
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
  /** A DataProducer of the same Router. */
  dataProducerId: string;
  /**
   * Whether messages arrive in the order of sending. Default: as the DataProducer's (true if that is direct), but false
   * if `maxPacketLifeTime` or `maxRetransmits` is given. true removes both limits. On a DirectTransport this option,
   * the limits and `streamId` are ignored with a warning in the log.
   */
  ordered?: boolean;
  /**
   * See {@link SctpStreamParameters}. In milliseconds, 0-65535; not with `maxRetransmits`, given here or of the
   * DataProducer. Default: the DataProducer's.
   */
  maxPacketLifeTime?: number;
  /**
   * See {@link SctpStreamParameters}. 0-65535; not with `maxPacketLifeTime`, given here or of the DataProducer.
   * Default: the DataProducer's.
   */
  maxRetransmits?: number;
  /**
   * The SCTP stream, e.g. to answer a channel that was opened in band. 0-65534, and below the number of streams that
   * the peer takes, once the association is up. Default: the one after the last that was given out, past those which
   * DataConsumers or DataProducers of this transport use or whose reset has not completed.
   */
  streamId?: number;
  /**
   * false opens the channel in band, by a DATA_CHANNEL_OPEN with label, protocol and reliability (RFC 8832). The client
   * gets a 'datachannel' event, and no stream id has to be agreed on: the id is even if this transport is the DTLS
   * client, else odd. Only on a WebRtcTransport, after `connect()`, and not with `streamId`. Default true, as
   * mediasoup-client needs.
   */
  negotiated?: boolean;
  /** Default false. */
  paused?: boolean;
  /**
   * 'hold' stops the queue during a pause: new messages, and those that already wait for the peer, are delivered at
   * `resume()`, in order and before later ones. Until then they count as `messagesWaiting`, the bound and the policy of
   * the queue apply, and lifetimes run. 'drop', the default, drops and counts new messages.
   */
  whilePaused?: WhilePaused;
  /** The initial subscriptions. At most 65535, each 0-65535. Default none. */
  subchannels?: number[];
  /**
   * On a PipeTransport: whether a DataConsumer without subscriptions carries only messages without subchannels, as on
   * other transports. Default false: it carries everything, as in mediasoup, and the far end filters. All messages of a
   * DataProducer with `retain` are carried in any case, for later DataConsumers at the far end.
   */
  strictSubchannels?: boolean;
  /**
   * Whether it first gets the messages that its DataProducer retains. Default true. Give false on a pipe if the far
   * DataProducer has already got them over another pipe (`moveTo()`).
   */
  retained?: boolean;
  /**
   * How many bytes may wait for the application (on a DirectTransport, default 67108864) or for the peer (default: the
   * transport's `sctpPerStreamSendQueueLimit` of payload). Each message is charged its payload plus 64 bytes. At the
   * bound `overflow` decides. 0-4294967295.
   */
  maxBufferedAmount?: number;
  /**
   * What happens at the bound of the queue. Default 'drop-newest'. 'block' rejects with UnsupportedError if the
   * DataConsumer or its DataProducer is on a PipeTransport that the application has made: `pipeToRouter()` supports it.
   * It excludes `whilePaused: 'hold'`.
   */
  overflow?: DataConsumerOverflow;
  /**
   * With `overflow: 'block'`, in milliseconds: how long this consumer may hold up its DataProducer without taking
   * anything, that is, without 1 KiB acknowledged by the peer or a message taken by the application. Such times of a
   * second or more add up within 60 seconds. After that it is stalled: it emits 'stalled' and drops messages as with
   * 'drop-newest', until half of its queue is free ('unstalled'). A consumer that is merely slow, but takes that much,
   * never stalls.
   * 0-4294967295, default 5000.
   */
  overflowTimeout?: number;
  /**
   * In milliseconds: a message that has waited longer in the queue, for the peer or for the application, is dropped
   * when its turn comes, and counted as `messagesDroppedStale`. Unlike `maxPacketLifeTime` it needs no unreliable
   * channel. Without effect on the PipeTransports of `pipeToRouter()`: give it to the DataConsumers at the far end.
   * 0-4294967295, default no limit.
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
 * - 'drop-oldest': waiting messages of this consumer are dropped, the oldest first, until there is room. Messages that
 *   SCTP has begun to send are never dropped.
 * - 'keep-latest': at most one message waits, and at most one is in SCTP, until the peer has acknowledged it. A newer
 *   message replaces the waiting one, even if the queue is not full, and 'overflow' is not emitted. For cursors,
 *   positions and sensor values.
 * - 'block': the DataProducer waits until half of the queue is free, and until then none of its DataConsumers gets
 *   anything. `send()` of a direct DataProducer fills its own bound, then throws ERR_SEND_QUEUE_FULL, and 'drain'
 *   follows. The messages of a peer stay in its association, whose receive window fills: the peer's `bufferedAmount`
 *   grows, on all of its channels. A consumer blocks only while its transport is connected and it is not paused. After
 *   `overflowTimeout` it is stalled. The messages that its DataProducer retains wait for room too: until a new consumer
 *   has got all of them, it holds up its DataProducer. For file transfers.
 * - 'close': 'overflow' is emitted, then the consumer closes.
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
  /** Milliseconds of a monotonic clock. */
  timestamp: number;
  label: string;
  protocol: string;
  /**
   * Messages of the DataProducer that were accepted for the peer or the application, and their payload in bytes. With
   * `maxQueueDelay`, 'drop-oldest', 'keep-latest' or `whilePaused: 'hold'`, those that have left the queue.
   */
  messagesSent: number;
  bytesSent: number;
  /**
   * With `maxQueueDelay`, 'drop-oldest', 'keep-latest' or `whilePaused: 'hold'`: messages in the queue, not yet sent or
   * dropped. Also the messages that it has yet to get of those that its DataProducer retains.
   */
  messagesWaiting: number;
  bufferedAmount: number;
  /** Messages of the DataProducer dropped before they were sent, and their payload in bytes. */
  messagesDropped: number;
  bytesDropped: number;
  /** The dropped messages that met a full queue, to the peer or to the application, or `maxMemory` of the Worker. */
  messagesDroppedFull: number;
  /** The dropped messages that newer ones have replaced (`overflow` 'drop-oldest' or 'keep-latest'). */
  messagesDroppedReplaced: number;
  /** The dropped messages that had waited longer than `maxQueueDelay`. */
  messagesDroppedStale: number;
  /** The dropped messages that exceeded the transport's `maxSendMessageSize`. */
  messagesDroppedTooLarge: number;
  /** The dropped messages that had no association, or whose stream the peer has reset. */
  messagesDroppedUnsendable: number;
  /** Messages of the DataProducer that were not routed here because this consumer was paused. */
  messagesPaused: number;
  /** Messages of the DataProducer that were not routed here because of their subchannels. */
  messagesFiltered: number;
  /** Type 'sctp': messages of `send()` that were accepted for the peer, and their payload in bytes. */
  messagesSentDirectly: number;
  bytesSentDirectly: number;
  /** Type 'sctp': messages of `send()` that were rejected after their arguments had been checked. */
  messagesRejected: number;
};

export type DataConsumerEvents = {
  /** Its transport was closed; the object is closed. */
  transportclose: [];
  /** Its DataProducer was closed; the DataConsumer is closed. */
  dataproducerclose: [];
  /** Its DataProducer was paused. */
  dataproducerpause: [];
  /** Its DataProducer was resumed. */
  dataproducerresume: [];
  /**
   * Type 'direct'. The Buffer has memory of its own, which belongs to the listener for as long as the listener keeps
   * it: it may be changed, sent again, passed to `postMessage()` or transferred. `message.buffer` holds this message
   * and nothing else, from its first byte on, so `new Float32Array(message.buffer, message.byteOffset, count)` and
   * typed arrays of every other kind fit. A listener on a DataConsumer of type 'sctp' or on a DataProducer is never
   * called: the first one on either is a process warning.
   */
  message: [message: Buffer, ppid: number];
  /** Type 'sctp': a message met a full queue and was dropped. At most once per turn of the worker. */
  sctpsendbufferfull: [];
  /** Type 'sctp': `bufferedAmount` has fallen to or below the threshold. */
  bufferedamountlow: [bufferedAmount: number];
  /**
   * Messages were dropped because the queue was full, and there is room again or the DataConsumer is about to close.
   * Emitted once per episode, which for type 'sctp' ends when half of the queue is free.
   */
  overflow: [dropped: { messages: number; bytes: number }];
  /** `overflow: 'block'`: it has held up its DataProducer for `overflowTimeout`, and drops from now on. */
  stalled: [];
  /**
   * After 'stalled': half of its queue is free, so that it may hold up its DataProducer again, or `setOverflow()` has
   * set another policy.
   */
  unstalled: [];
  /**
   * The peer has reset the stream, e.g. a browser closed its DataChannel; or the association is up, and the peer takes
   * fewer streams. The DataConsumer is closed.
   */
  streamclose: [];
  /** The object is closed. The last event, also after `close()`. */
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

/** A destination of messages: an SCTP stream to the peer, or (type 'direct') the application. */
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
  /** Its subscriptions, in no particular order. */
  readonly subchannels: number[];
  /** Type 'sctp': bytes queued for the peer. Type 'direct': bytes that wait for the application. */
  readonly bufferedAmount: number;
  readonly whilePaused: WhilePaused;
  /** What happens at the bound of the queue. */
  readonly overflow: DataConsumerOverflow;
  get appData(): DataConsumerAppData;
  set appData(appData: DataConsumerAppData);
  readonly observer: DataConsumerObserver;

  /**
   * Closes the DataConsumer and discards its messages that are not sent yet. Over WebRTC it also resets the stream,
   * which closes the peer's channel. If the id of the stream was not given to `consumeData()` and a DataProducer uses
   * it since, the channel closes with the DataProducer instead.
   */
  close(): void;
  /** @throws NotFoundError, WorkerClosedError */
  dump(): Promise<DataConsumerDump>;
  /** @throws NotFoundError, WorkerClosedError */
  getStats(): Promise<DataConsumerStat[]>;
  /**
   * Closes like `close()`, and resolves with the last counters, because `getStats()` of a closed object rejects. Their
   * `bufferedAmount` is what was discarded.
   *
   * @throws NotFoundError, WorkerClosedError
   */
  closeWithStats(): Promise<DataConsumerStat[]>;
  /**
   * Resolves when everything sent before the call, by the DataProducer and by `send()`, has left: it was acknowledged
   * by the peer, taken by the listeners, or dropped and counted. Through a pipe: acknowledged by the far worker, whose
   * own peers may still wait. Later messages do not count. It also waits for a peer that is not connected or reads
   * nothing, for messages that an iterator has not asked for or that `whilePaused: 'hold'` holds, and for what the
   * DataConsumer is yet to get of `retain`: give a `timeout`.
   *
   * @throws the reason of `signal` when it is aborted, and a DOMException named 'TimeoutError' after `timeout`.
   * @throws TypeError, NotFoundError, WorkerClosedError: also if closed before that.
   */
  drained(options?: DrainedOptions): Promise<void>;
  /**
   * Drops and counts all messages of the DataProducer until `resume()`, or holds them; see
   * {@link DataConsumerOptions.whilePaused}.
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
   * Sets what happens at the bound of the queue, including to messages that already wait.
   *
   * @throws TypeError: invalid argument, or 'block' with `whilePaused: 'hold'`.
   * @throws UnsupportedError: 'block' over a PipeTransport that the application has made.
   * @throws NotFoundError, WorkerClosedError
   */
  setOverflow(overflow: DataConsumerOverflow): Promise<void>;
  /**
   * Sets the amount at or below which the DataConsumer emits 'bufferedamountlow'.
   *
   * @param threshold - 0-4294967295.
   * @throws TypeError: invalid argument, or type 'direct'.
   * @throws NotFoundError, WorkerClosedError
   */
  setBufferedAmountLowThreshold(threshold: number): Promise<void>;
  /**
   * Resolves with the bytes queued for the peer.
   *
   * @throws TypeError: type 'direct'.
   * @throws NotFoundError, WorkerClosedError
   */
  getBufferedAmount(): Promise<number>;
  /**
   * Sends a message to the peer of this DataConsumer only (type 'sctp'). Messages are queued until the association is
   * up.
   *
   * @param message - at most `maxSendMessageSize` bytes; otherwise as in `dataProducer.send()`.
   * @param ppid - as in `dataProducer.send()`.
   * @returns the bytes that are still queued when the association has taken what it can: 0 on an idle path.
   * @throws TypeError: invalid arguments, message too large, or type 'direct'.
   * @throws Error 'message send failed': the DataConsumer or its DataProducer is paused, or the association has
   * ended.
   * @throws Error 'sctpsendbufferfull': the queue is full, `maxMemory` of the Worker is reached, or 64 MiB wait for the
   * worker (each message is charged its payload plus 64 bytes).
   * @throws NotFoundError, WorkerClosedError
   */
  send(message: Payload, ppid?: number): Promise<number>;
  /**
   * Iterates over the messages (type 'direct'), as in `for await (const { message, ppid } of dataConsumer)`. Messages
   * are asked for one by one; the others wait in the queue, under `overflow`. When the DataConsumer closes, for
   * whatever reason, the iteration ends after the queued messages. Leaving the loop ends it too: queued messages are
   * discarded, and later ones go to listeners or to the next loop. To read on instead, keep the iterator and call its
   * `next()`. Several iterators share the messages: each message goes to one of them.
   *
   * Messages that come before the first `next()` are lost, as without a listener.
   *
   * @throws TypeError: type 'sctp', or there is a 'message' listener. To add one beside an iterator or a stream of
   * `readable()` is a TypeError too.
   */
  [Symbol.asyncIterator](): MessageIterator;
  /**
   * A stream in object mode of the messages from now on (type 'direct'). Like an iterator, it takes no more messages
   * than are read.
   *
   * @throws TypeError: type 'sctp', or there is a 'message' listener.
   * @throws NotFoundError, WorkerClosedError
   */
  readable(): MessageReadable;
  /**
   * Replaces all subscriptions.
   *
   * @param subchannels - at most 65535, each 0-65535; duplicates count once.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  setSubchannels(subchannels: number[]): Promise<void>;
  /**
   * Adds a subscription.
   *
   * @param subchannel - 0-65535.
   * @throws TypeError, NotFoundError, WorkerClosedError
   */
  addSubchannel(subchannel: number): Promise<void>;
  /**
   * Removes a subscription.
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
