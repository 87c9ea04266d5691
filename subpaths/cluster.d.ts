import type { extras, types } from '..';

/** What a message bus has to do. `natsBus()`, `redisBus()` and `memoryBus()` make one. */
export interface Bus {
  /**
   * At most once; in order per publisher and subject. Does not throw because the link is down. A message is lost, and
   * counts as `unsent`, if it returns `false`, or a promise that resolves with `false` or rejects.
   */
  publish(subject: string, data: Uint8Array): unknown;
  /** Resolves once in force, and survives reconnects. Own messages are delivered too. */
  subscribe(subject: string, listener: (data: Uint8Array) => void): Promise<AsyncDisposable>;
  /** The longest message, in bytes. 65536 or more. */
  readonly maxPayload: number;
}

/**
 * 32 random bytes or more; a string is taken as UTF-8. What is sent shows a hash of it, by which a phrase could be
 * guessed.
 */
export type Secret = string | Buffer;

export type ClusterOptions = {
  bus: Bus;
  /**
   * What all hosts of the cluster share: it seals what goes over the bus, and a process that has it is a host. To
   * change it, give all hosts `[old, new]`, then `[new, old]`, then the new one.
   */
  secret: Secret | [current: Secret, previous: Secret];
  /**
   * Where pipes to other hosts listen, for UDP. Other hosts connect to `announcedAddress` (an IP address), or to `ip`.
   */
  listenInfo: types.TransportListenInfo;
  /**
   * The name of this host: 1-64 letters, digits, '-' and '_'. If two processes have the same name, the elder one is
   * fenced: its Cluster closes. Default random.
   */
  host?: string;
  /** What subjects begin with: 1-64 letters, digits, '-', '_' and single dots between. Default 'datasoup'. */
  prefix?: string;
  /**
   * After how many milliseconds of silence another host is gone. Beats come five times as often. 500-600000, default
   * 5000.
   */
  lease?: number;
  /**
   * For how many milliseconds a path stays after its last DataConsumer. 0-3600000, default 5000.
   */
  linger?: number;
  /**
   * How messages of other hosts come to this one. 'pipe': over UDP, encrypted. 'bus': these datagrams over the bus,
   * which costs about twice the CPU, on the event loops of both hosts. 'auto', the default: over the bus once three
   * pipes in a row have failed because of UDP, which is tried again each minute. Hosts send what is asked for either
   * way.
   */
  carrier?: 'auto' | Carrier;
};

/** How messages come from another host: over UDP, or over the bus. */
export type Carrier = 'pipe' | 'bus';

export type HostInfo = { host: string };

export type ClusterStats = {
  host: string;
  /** Whether this host has not heard itself over the bus for a lease. */
  busDown: boolean;
  /** How often it has said its state again, because messages of the bus may have been lost. At most once a beat. */
  resyncs: number;
  /**
   * Control messages that were refused, by reason: 'format', 'oversized', 'key' (another secret), 'forged',
   * 'malformed', 'incompatible', 'ahead' (of the next release, which has not heard this host yet), 'replayed', 'stale'
   * (of or for a former incarnation), 'crossed' (for another subject), 'unasked' (an answer without a question, or too
   * late), 'toomany' (more than 10,000 hosts).
   */
  refused: Record<string, number>;
  /**
   * Control messages by type ('beat', 'list' …) that were published, and that were accepted, with their bytes as
   * sealed.
   */
  control: {
    sent: Record<string, number>;
    received: Record<string, number>;
    bytesSent: number;
    /** Those of refused messages included. */
    bytesReceived: number;
  };
  /** DataProducers in the lists of the joined rooms: of this host and of others, once for each room. */
  dataProducers: { own: number; other: number };
  /** Control messages that `publish()` of the bus has lost: its link was down, or it threw or rejected. */
  unsent: number;
  hosts: string[];
  /**
   * Per host that something is taken from: the state of the pipe, what carries its messages, DataProducers, pipes that
   * have failed in a row, and why the last one has, until UDP has worked for a lease.
   */
  takes: {
    host: string;
    state: 'idle' | 'creating' | 'asking' | 'connecting' | 'up';
    carrier: Carrier;
    wanted: number;
    failures: number;
    error?: string;
  }[];
  /** Pipes from other hosts that have failed or could not be made, in all. */
  pipeFailures: number;
  /** Per host that takes something from this one: what carries messages, and DataProducers. */
  gives: { host: string; carrier: Carrier; carried: number }[];
  /**
   * Datagrams of pipes that went over the bus: bytes, and datagrams that were dropped because the bus or the pipe did
   * not take them. SCTP sends these again, so they are not messages lost.
   */
  overBus: { bytesSent: number; bytesReceived: number; datagramsDropped: number };
  rooms: number;
  paths: number;
};

export type ClusterEvents = {
  /** A host that shares a room with this one. */
  hostup: [host: string];
  /**
   * 'left': it said so, or shares no room any more. 'lease': it was silent. 'restarted': another process has its name.
   */
  hostdown: [host: string, reason: 'left' | 'lease' | 'restarted'];
  /** This host has not heard itself over the bus for a lease. Messages of DataProducers go on. */
  busdown: [];
  busup: [];
  /** A newer process uses the name of this host: the Cluster is closed. */
  fenced: [];
  /**
   * The Worker of the Cluster, which carries what goes between hosts, has died, or the application has closed it: the
   * Cluster is closed. DataProducers and DataConsumers of this host live on. Other hosts see it leave.
   */
  died: [error: Error];
  /** A host speaks a version of the protocol that is too far from that of this one. Once per host. */
  incompatible: [host: string];
  /** With `carrier: 'auto'`: messages of a host come another way now. 'missed' says how many the change has cost. */
  carrier: [host: string, carrier: Carrier, why: string];
};

/** A host of a cluster. */
export interface Cluster extends extras.EnhancedEventEmitter<ClusterEvents>, AsyncDisposable {
  readonly host: string;
  readonly closed: boolean;
  /** The hosts that share a room with this one. */
  readonly hosts: ReadonlyMap<string, HostInfo>;
  /**
   * Joins a room with a Router. With a Router of another Worker, a second call gives another Room of the same room, so
   * that it uses several cores: DataProducers are announced in the Room of their own Router.
   *
   * @throws TypeError: invalid arguments. Error: the Router is in the room, or the Cluster is closed. The reason of
   * `signal`; while the bus is down, the call waits.
   * @throws NotFoundError, WorkerClosedError: of the Router. What `bus.subscribe()` rejects with.
   */
  join<Info = unknown>(
    room: string,
    options: { router: types.Router; signal?: AbortSignal },
  ): Promise<Room<Info>>;
  getStats(): Promise<ClusterStats>;
  /**
   * Waits up to 11 s until other hosts have what was sent to them, says that the host leaves, and closes its pipes.
   * Resolves once that is done, each time that it is called.
   */
  close(): Promise<void>;
}

/** A DataProducer of another host, or of another Router of this one. */
export type RemoteDataProducer<Info = unknown> = {
  readonly id: string;
  readonly host: string;
  readonly label: string;
  readonly protocol: string;
  readonly info: Info;
};

export type RoomEvents<Info> = {
  /** Also for what exists at `join()`, in a macrotask after that has resolved. */
  dataproducer: [dataProducer: RemoteDataProducer<Info>];
  /** 'closed': it was closed. 'left': its host or its Router left. 'lease': its host is gone, or has restarted. */
  dataproducergone: [dataProducer: RemoteDataProducer<Info>, reason: 'closed' | 'left' | 'lease'];
  /**
   * The path to its host has failed and is made again. So many messages were lost, at most: those that subchannels
   * filter count as well.
   */
  missed: [dataProducer: RemoteDataProducer<Info>, atMost: number];
};

/** A room, as the clients of one Router see it. */
export interface Room<Info = unknown>
  extends extras.EnhancedEventEmitter<RoomEvents<Info>>, AsyncDisposable {
  readonly name: string;
  readonly router: types.Router;
  readonly closed: boolean;
  /**
   * Those of other hosts, and of other Routers of this one: a copy at each access. If two hosts announce an id, the
   * first one has it until it is gone; what this Router announces comes before both.
   */
  readonly dataProducers: ReadonlyMap<string, RemoteDataProducer<Info>>;
  /**
   * Shows a DataProducer of this Router to the room until it closes.
   *
   * @param info - possible as JSON, at most 1024 bytes of it.
   * @throws TypeError: invalid arguments; a label or protocol of more than 1024 bytes; it came through a pipe, so that
   * its own host announces it. Error: announced already, or more than 10,000 in the room.
   */
  announce(dataProducer: types.DataProducer, info?: Info): void;
  /**
   * Makes the path to a DataProducer, if there is none, then calls `transport.consumeData()`. If the path fails while
   * the DataProducer lives, it is made again and the DataConsumer stays. A Worker has an id once: if two of its Routers
   * consume a DataProducer, `dataProducerId` of the second one's DataConsumers is another id.
   *
   * @throws TypeError: invalid arguments, or a transport of another Router. NotFoundError: no such DataProducer, or it
   * was gone before there was a path.
   * @throws UnsupportedError: `overflow: 'block'` for a DataProducer of another host.
   * @throws Error: the Room is closed; the host is gone, or cannot be reached: after three pipes in a row that failed,
   * and one over the bus (`carrier`), in some 20 s. The reason of `signal`.
   */
  consumeData(
    transport: types.Transport,
    options: types.DataConsumerOptions & { signal?: AbortSignal },
  ): Promise<types.DataConsumer>;
  /** Leaves the room with this Router. DataConsumers of DataProducers that no other Room of the Cluster has close. */
  close(): Promise<void>;
}

/**
 * Makes this process a host of a cluster. It has a Worker of its own for what goes between hosts. While the bus is
 * down, the call waits.
 *
 * @throws TypeError: invalid options. What `bus.subscribe()` rejects with. Error: the Cluster has ended meanwhile.
 */
export function createCluster(options: ClusterOptions): Promise<Cluster>;

/** A bus within one process, for tests: all Clusters that share it hear each other. */
export function memoryBus(): Bus;
