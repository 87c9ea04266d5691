import type { extras, types } from '..';

/** What a Cluster needs of a message bus. `natsBus()`, `redisBus()` and `memoryBus()` make one. */
export interface Bus {
  /**
   * Sends `data` to the subscribers of `subject`: at most once each, and in order per publisher and subject. It must
   * not throw just because the link is down. If it returns `false`, or a promise that rejects or resolves with `false`,
   * the message counts as lost (`unsent`).
   */
  publish(subject: string, data: Uint8Array): unknown;
  /**
   * Resolves once the subscription is in force. The subscription survives reconnects, and also delivers the messages
   * that this process publishes.
   */
  subscribe(subject: string, listener: (data: Uint8Array) => void): Promise<AsyncDisposable>;
  /** The longest message that the bus takes, in bytes. 65536 or more. */
  readonly maxPayload: number;
}

/**
 * At least 32 bytes, which should be random: messages carry a hash of the secret, from which a phrase could be guessed.
 * A string stands for its UTF-8 bytes.
 */
export type Secret = string | Buffer;

export type ClusterOptions = {
  /** How the hosts of the cluster find and reach each other. */
  bus: Bus;
  /**
   * What all hosts of the cluster share. It seals what goes over the bus, so a process that has it is a host. To change
   * it, give all hosts `[old, new]`, then `[new, old]`, then the new one.
   */
  secret: Secret | [current: Secret, previous: Secret];
  /**
   * Where pipes from other hosts listen, for UDP. Other hosts connect to `announcedAddress`, which must be an IP
   * address, or to `ip`.
   */
  listenInfo: types.TransportListenInfo;
  /**
   * The name of this host: 1-64 letters, digits, '-' and '_'. Default: a random name. If two processes have the same
   * name, the Cluster of the older one emits 'fenced' and closes.
   */
  host?: string;
  /**
   * What the subjects on the bus begin with: 1-64 letters, digits, '-', '_' and single dots between them. Default
   * 'datasoup'.
   */
  prefix?: string;
  /**
   * After how many milliseconds of silence another host counts as gone. 500-600000, default 5000. Hosts send five beats
   * in that time.
   */
  lease?: number;
  /**
   * For how many milliseconds the path to a DataProducer of another host is kept after its last DataConsumer has
   * closed. 0-3600000, default 5000.
   */
  linger?: number;
  /**
   * How messages from other hosts come to this one; hosts send by the way that the receiver asks for. 'pipe': over UDP,
   * encrypted. 'bus': the same datagrams over the bus, which costs about twice the CPU, on the event loops of both
   * hosts. 'auto', the default: over UDP, and over the bus once three pipes in a row have failed because of UDP, which
   * is then tried again each minute.
   */
  carrier?: 'auto' | Carrier;
};

/** How messages come from another host: over UDP or over the bus. */
export type Carrier = 'pipe' | 'bus';

export type HostInfo = { host: string };

export type ClusterStats = {
  host: string;
  /** Whether the bus is down: this host has not heard its own beats for a lease. */
  busDown: boolean;
  /**
   * How many times this host has sent its whole state again, because messages on the bus may have been lost. At most
   * once per beat.
   */
  resyncs: number;
  /**
   * How many control messages were refused, by reason: 'format', 'oversized', 'key' (sealed with another secret),
   * 'forged', 'malformed', 'incompatible', 'ahead' (from the next release, which has not heard this host yet),
   * 'replayed', 'stale' (from or for an earlier process with the name of the host), 'crossed' (for another subject),
   * 'unasked' (an answer that is late or that nothing asked for), 'toomany' (more than 10,000 hosts).
   */
  refused: Record<string, number>;
  /**
   * How many control messages were published, and how many were accepted, by type ('beat', 'list' …), and their bytes
   * on the bus.
   */
  control: {
    sent: Record<string, number>;
    received: Record<string, number>;
    bytesSent: number;
    /** Includes the bytes of refused messages. */
    bytesReceived: number;
  };
  /** How many DataProducers the joined rooms have, from this host and from others; each counts once per room. */
  dataProducers: { own: number; other: number };
  /** How many control messages the bus has lost at `publish()`: its link was down, or it threw or rejected. */
  unsent: number;
  /** The hosts that share a room with this one. */
  hosts: string[];
  /**
   * For each host that this one takes DataProducers from: the state of the pipe, what carries its messages, how many
   * DataProducers are wanted, how many pipes in a row have failed, and why the last one did, which is shown until UDP
   * has worked for a lease.
   */
  takes: {
    host: string;
    state: 'idle' | 'creating' | 'asking' | 'connecting' | 'up';
    carrier: Carrier;
    wanted: number;
    failures: number;
    error?: string;
  }[];
  /** How many pipes from other hosts have failed or could not be made. */
  pipeFailures: number;
  /** For each host that takes DataProducers from this one: what carries their messages, and how many there are. */
  gives: { host: string; carrier: Carrier; carried: number }[];
  /**
   * Datagrams of pipes that went over the bus: their bytes, and how many were dropped because the bus or the pipe did
   * not take them. SCTP sends their contents again, so they are not lost messages.
   */
  overBus: { bytesSent: number; bytesReceived: number; datagramsDropped: number };
  /** How many rooms this host has joined. */
  rooms: number;
  /** How many DataProducers of other hosts and Routers have a path to Routers of this host. */
  paths: number;
};

export type ClusterEvents = {
  /** Another host now shares a room with this one. */
  hostup: [host: string];
  /**
   * Another host shares no room with this one any more. 'left': it closed or left the rooms. 'lease': it was silent for
   * a lease. 'restarted': another process has its name.
   */
  hostdown: [host: string, reason: 'left' | 'lease' | 'restarted'];
  /** The bus is down: this host has not heard its own beats for a lease. Messages of DataProducers go on. */
  busdown: [];
  /** This host hears its own beats again. */
  busup: [];
  /** A newer process uses the name of this host. The Cluster is closed. */
  fenced: [];
  /**
   * The Worker of the Cluster, which carries messages between hosts, has died or was closed by the application. The
   * Cluster is closed, and other hosts see this host leave; its DataProducers and DataConsumers stay open.
   */
  died: [error: Error];
  /**
   * A host uses a version of the protocol that is too far from that of this one, so the two do not see each other.
   * Emitted once per host.
   */
  incompatible: [host: string];
  /**
   * With `carrier: 'auto'`: messages from a host come another way now; `why` is a sentence. 'missed' reports how many
   * messages the change has cost.
   */
  carrier: [host: string, carrier: Carrier, why: string];
};

/** This process as a host of a cluster: see `createCluster()`. */
export interface Cluster extends extras.EnhancedEventEmitter<ClusterEvents>, AsyncDisposable {
  /** The name of this host. */
  readonly host: string;
  readonly closed: boolean;
  /** The hosts that share a room with this one. */
  readonly hosts: ReadonlyMap<string, HostInfo>;
  /**
   * Joins a room with a Router. A further call with the Router of another Worker gives another Room object of the same
   * room, which spreads its clients over several cores; announce each DataProducer in the Room of its own Router. While
   * the bus is down, the call waits.
   *
   * @throws TypeError: invalid arguments.
   * @throws Error: the Router is in the room already, or the Cluster is closed.
   * @throws NotFoundError, WorkerClosedError: the Router is closed.
   * @throws the reason of `signal` when it is aborted, and what `bus.subscribe()` rejects with.
   */
  join<Info = unknown>(
    room: string,
    options: { router: types.Router; signal?: AbortSignal },
  ): Promise<Room<Info>>;
  /** Resolves with what this host sees of the cluster, and with its counters. */
  getStats(): Promise<ClusterStats>;
  /**
   * Waits up to 11 s until other hosts have what was sent to them, notifies them that this host leaves, and closes its
   * pipes. Further calls resolve at the same time.
   */
  close(): Promise<void>;
}

/** A DataProducer that another host, or another Router of this host, has announced in a room. */
export type RemoteDataProducer<Info = unknown> = {
  readonly id: string;
  readonly host: string;
  readonly label: string;
  readonly protocol: string;
  /** What was given to `room.announce()`. */
  readonly info: Info;
};

export type RoomEvents<Info> = {
  /**
   * The room has another DataProducer. Those that exist at `join()` are emitted too, in a macrotask after it has
   * resolved.
   */
  dataproducer: [dataProducer: RemoteDataProducer<Info>];
  /**
   * The room has lost a DataProducer. 'closed': it was closed. 'left': its host or its Router left the room. 'lease':
   * its host is gone or has restarted.
   */
  dataproducergone: [dataProducer: RemoteDataProducer<Info>, reason: 'closed' | 'left' | 'lease'];
  /**
   * The path from the host of a DataProducer has failed and is made again. At most this many messages were lost,
   * including those that subchannels would have filtered.
   */
  missed: [dataProducer: RemoteDataProducer<Info>, atMost: number];
};

/** A room, as the clients of one Router see it. `cluster.join()` makes it. */
export interface Room<Info = unknown>
  extends extras.EnhancedEventEmitter<RoomEvents<Info>>, AsyncDisposable {
  readonly name: string;
  readonly router: types.Router;
  readonly closed: boolean;
  /**
   * The DataProducers of other hosts, and of other Routers of this host, by id; a new copy at each access. If two hosts
   * announce the same id, the first one has it until it is gone; what this Router announces comes before both.
   */
  readonly dataProducers: ReadonlyMap<string, RemoteDataProducer<Info>>;
  /**
   * Shows a DataProducer of this Router to the room until it closes.
   *
   * @param info - for the other hosts: any value that JSON can represent, at most 1024 bytes as JSON.
   * @throws TypeError: invalid arguments, a label or protocol of more than 1024 bytes, or a DataProducer that came
   * through a pipe: its own host announces it.
   * @throws Error: it is announced already, this host has more than 10,000 DataProducers in the room, or the Room is
   * closed.
   */
  announce(dataProducer: types.DataProducer, info?: Info): void;
  /**
   * Like `transport.consumeData()`, for any DataProducer of the room: first makes the path to it, if there is none. If
   * the path fails while the DataProducer lives, it is made again, and the DataConsumer stays.
   *
   * Ids are unique in a Worker. So if two Routers of one Worker consume a DataProducer, `dataProducerId` of the second
   * one's DataConsumers is another id.
   *
   * @throws TypeError: invalid arguments, or a transport of another Router.
   * @throws NotFoundError: the room has no such DataProducer, or it was gone before there was a path.
   * @throws UnsupportedError: `overflow: 'block'` for a DataProducer of another host.
   * @throws Error: the Room is closed; or the host is gone or cannot be reached, after three pipes in a row have failed
   * and one over the bus (see `carrier`), which takes about 20 s.
   * @throws the reason of `signal` when it is aborted.
   */
  consumeData(
    transport: types.Transport,
    options: types.DataConsumerOptions & { signal?: AbortSignal },
  ): Promise<types.DataConsumer>;
  /**
   * Leaves the room with this Router. Closes the DataConsumers of DataProducers that no other Room of the Cluster has.
   */
  close(): Promise<void>;
}

/**
 * Makes this process a host of a cluster, with a Worker of its own for the messages between hosts. While the bus is
 * down, the call waits.
 *
 * @throws TypeError: invalid options.
 * @throws Error: the Cluster has ended meanwhile, for example because a newer process uses its name.
 * @throws what `bus.subscribe()` rejects with.
 */
export function createCluster(options: ClusterOptions): Promise<Cluster>;

/** A bus within one process, for tests: all Clusters that use it hear each other. */
export function memoryBus(): Bus;
