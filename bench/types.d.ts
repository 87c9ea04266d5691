/** The types of the bench's rows. */

/** What a load has done. */
export interface Outcome {
  /** The number by which costs are divided: of delivered messages, round trips, connects … */
  items: number;
  lost?: number;
  disordered?: number;
  /** In µs. Latencies of another process are fetched after the measurement, so that fetching costs nothing in it. */
  latencies?: ArrayLike<number> | (() => Promise<ArrayLike<number>>);
  /** CPU time of the process that did the work, in µs, if another process did it. */
  cpuMicros?: number;
  /** Further figures of the row. */
  figures?: Record<string, number>;
}

/** An outcome, and what it cost. */
export interface Measured extends Outcome {
  wallMicros: number;
  cpuMicros: number;
  workerMicros?: number;
  latencies?: ArrayLike<number>;
}

/** A thread of this process, or a process. */
export interface WorkerHandle {
  pid: number;
}

export interface Load {
  /** Prepares a run; not measured. */
  before?(): Promise<void>;
  run(): Promise<Outcome>;
  /** Measures what a run has left behind, and ends the run. */
  after?(): Promise<Record<string, number>>;
  /** The workers that do the work. */
  workers?: WorkerHandle[];
  close(): unknown;
}

export interface Reference extends Load {
  name: string;
}

export interface Prepared extends Load {
  reference: Reference;
}

/** How much of everything a run does. */
export type Extent = 'full' | 'quick' | 'smoke';

export interface Context {
  /** The module under test. */
  api: any;
  /** How many of `count` items to do. */
  scale(count: number): number;
  /** How many of `count` clients to use. */
  fleet(count: number): number;
}

/** Upper bounds that a row should meet. */
export interface Mark {
  /** CPU µs per item. */
  cpu?: number;
  /** CPU time, as a part of the reference's. */
  ratio?: number;
  /** Latency in µs. */
  p50?: number;
  /** Latency beyond the reference's, in µs. */
  p50Above?: number;
  /** Latency in µs. */
  p99?: number;
  /** KiB per connected client. */
  memory?: number;
}

export interface Row {
  name: string;
  title: string;
  /** What is counted: 'message', 'round trip' … */
  unit: string;
  mark?: Mark;
  /** Whether the row has no warm-up run. */
  cold?: boolean;
  /** The clients that the row needs: those of clients/light/, or those of node-datachannel. */
  clients?: 'light' | 'libdatachannel';
  /** Whether the row waits in a busy loop, so that its CPU time means nothing. */
  spins?: boolean;
  /** Its place in a plot. */
  group?: Record<string, string | number>;
  prepare(context: Context): Promise<Prepared>;
}

/** WebRTC clients in processes of their own, of either kind. */
export interface Clients {
  /**
   * Makes the clients. Returns what each transport's `connect()` takes.
   *
   * @param streamIds - of each client's channels. It sends on the first.
   */
  dtlsParameters(streamIds: number[]): Promise<any[]>;
  /** Resolves when all channels are open. */
  connectTo(transports: any[]): Promise<void>;
  /** CPU time of all clients so far, in µs. */
  readonly cpuMicros: number;
  /** Makes the clients expect message 0, and measure latencies if asked to. */
  ready(options?: { latencies?: boolean }): Promise<void>;
  /** Resolves when each client has `count` messages since `ready()`, or when messages stop coming. */
  received(count: number): Promise<Outcome>;
  /** Makes each client send numbered messages. */
  send(load: { count: number; size: number; perSecond?: number }): Promise<void>;
  /** Closes the clients, but not their processes. */
  disconnect(): Promise<void>;
  close(): Promise<void>;
}
