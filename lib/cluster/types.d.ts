// What the files of this folder exchange: control messages, and the ports of the protocol, which are passed in.

/** A DataProducer in the list of its host. None of this ever changes. */
export type Entry = {
  id: string;
  label: string;
  protocol: string;
  /** What the application says about it, as JSON. */
  info: string;
  ordered: boolean;
  maxPacketLifeTime?: number;
  maxRetransmits?: number;
  retain?: { messages: number; bytes?: number; maxAge?: number };
};

/** The way of messages from host to host: UDP, or the bus. */
export type Carrier = 'pipe' | 'bus';

/** Of an end of a pipe: where it listens for UDP, or the name of its relay on the bus. */
export type Address = { address?: string; port?: number; bus?: string; fingerprint: string };

/** The messages to carry: all, or those of these subchannels and those without. */
export type Subchannels = true | number[];

export type State = { type: 'state'; seq: number; ask?: string };
export type Diff = { type: 'diff'; from: number; seq: number; add: Entry[]; del: string[] };
export type Leave = { type: 'leave'; seq: number };
export type Beat = { type: 'beat'; beat: number; seq: number };
export type Bye = { type: 'bye' };
export type List = {
  type: 'list';
  id?: string;
  to?: string;
  re?: string;
  room?: string;
  gone?: boolean;
  have?: number;
  seq?: number;
  part?: number;
  parts?: number;
  list?: Entry[];
};
export type PipeRequest = { type: 'pipe'; id: string; to: string; pipe: number } & Address;
export type PipeAnswer = { type: 'piped'; re: string; error?: string } & Partial<Address>;
export type WantItem =
  | [id: string, subchannels: Subchannels, streamId: number, again: boolean]
  | [id: string, none: null];
export type Want = {
  type: 'want';
  id: string;
  to: string;
  pipe: number;
  gen: number;
  items: WantItem[];
};
export type Given = {
  type: 'given';
  re: string;
  error?: string;
  items?: [id: string, at: number | null][];
};
export type Message =
  State | Diff | Leave | Beat | Bye | List | PipeRequest | PipeAnswer | Want | Given;

/** A message that has `id`, and one that has `re`. */
export type Request = (List | PipeRequest | Want) & { id: string; to: string };
export type Answer = (List | PipeAnswer | Given) & { re: string };

// --------------------------------------------------------------------------------------------- for datasoup/metrics

/** What a Cluster has counted. */
export type ClusterCounters = {
  resyncs: number;
  pipeFailures: number;
  messagesMissed: number;
  hostsGone: { left: number; lease: number; restarted: number };
  busOutages: number;
  controlSent: Record<string, number>;
  controlReceived: Record<string, number>;
  controlRefused: Record<string, number>;
  controlUnsent: number;
  controlBytesSent: number;
  controlBytesReceived: number;
  overBus: { bytesSent: number; bytesReceived: number; datagramsDropped: number };
};

/** What an open Cluster has. */
export type ClusterGauges = {
  /** 0 or 1. */
  busDown: number;
  hosts: number;
  rooms: number;
  dataProducers: { own: number; other: number };
  paths: number;
  pipes: { in: number; out: number };
  pipesOverBus: { in: number; out: number };
  pipesDown: number;
};

// ------------------------------------------------------------------------------------------------------- the ports

export interface Bus {
  publish(subject: string, data: Uint8Array): unknown;
  subscribe(subject: string, listener: (data: Uint8Array) => void): Promise<AsyncDisposable>;
  readonly maxPayload: number;
}

export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Calls a function once; returns what cancels that. */
  after(ms: number, call: () => void): () => void;
}

export interface RandomNumbers {
  bytes(length: number): Buffer;
  /** 0 or more, below 1. */
  next(): number;
}

export interface Sealer {
  seal(subject: string, message: Uint8Array): Uint8Array;
  open(
    subject: string,
    bytes: Uint8Array,
  ): { host: string; epoch: string; counter: number; message: Buffer };
}

/** What moves the messages of DataProducers between this host and others. */
export interface Plane {
  createPipe(carrier: Carrier, done: (error: Error | undefined, pipe?: Pipe) => void): void;
  /** Closes the DataProducer that `take()` has made. What is asked for an id is done in that order. */
  untake(id: string): void;
}

/** This host's end of a pipe to another host. After `close()` it calls nothing back, but for `take()` and `carry()`. */
export interface Pipe {
  readonly address: Address;
  /** `done` when messages can pass. */
  connect(far: Address, role: 'taker' | 'origin', done: (error?: Error) => void): void;
  /** For how many milliseconds nothing had come through the pipe at the last `look()`; Infinity if nothing ever has. */
  readonly silence: number;
  /** Measures the silence. */
  look(): void;
  /**
   * Taker: makes the DataProducer of this id, or moves it here from the pipe that it had, to a stream which the origin
   * may use from now on. `received`: how many messages the DataProducer has received so far.
   */
  take(
    entry: Entry,
    done: (error: Error | undefined, taken?: { streamId: number; received: number }) => void,
  ): void;
  /**
   * Origin: sends a DataProducer's messages on a stream; or changes the subchannels of one that it sends on this
   * stream. `again`: the taker has had what the DataProducer retains. `at`: how many messages it had received when the
   * stream began; null if there is no such DataProducer.
   */
  carry(
    id: string,
    subchannels: Subchannels,
    streamId: number,
    again: boolean,
    done: (error: Error | undefined, at?: number | null) => void,
  ): void;
  /** Origin: ends what `carry()` began. */
  stop(id: string): void;
  /** The pipe has failed; or its far end has closed it, if there is no error. */
  onclosed: (error?: Error) => void;
  /** Taker: the origin has ended a stream. */
  onstreamclosed: (id: string) => void;
  close(): void;
}
