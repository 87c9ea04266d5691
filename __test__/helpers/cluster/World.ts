import { Envelope, epochOf, Refusal } from '../../../lib/cluster/envelope';
import { Host } from '../../../lib/cluster/Host';
import type {
  Address,
  Bus,
  Clock,
  Entry,
  Pipe,
  Plane,
  Sealer,
  Subchannels,
} from '../../../lib/cluster/types';
import { Random } from './random';

/**
 * Hosts of a cluster in virtual time: the protocol of lib/cluster over a bus and a data plane that lose, delay, double,
 * partition and stop as the test wants. Keeps the books of what applications must have seen, and of what they have.
 */
export class World {
  readonly random: Random;
  readonly processes = new Map<string, Process>();
  readonly failures: string[] = [];
  time = 0;
  /** Faults of the bus: how many hold it down, how many hold up what it delivers, and how likely losses and doubles are. */
  busDown = 0;
  busStalled = 0;
  loss = 0;
  duplicates = 0;
  /** How likely it is that the data plane makes no pipe or stream, and how long it takes at most, in milliseconds. */
  planeErrors = 0;
  planeDelay = 1;
  /** How long a message takes, in milliseconds. */
  delay = { min: 0.2, max: 3 };
  /** Host names that do not reach each other by UDP, as 'a b' in order of the alphabet. */
  readonly udpBlocked = new Map<string, number>();
  /** Hosts of different groups do not reach each other by the bus. */
  readonly busGroup = new Map<string, number>();
  /** What a bus that stands still has to deliver. */
  readonly stalled: (() => void)[] = [];
  /** What an attacker has recorded. */
  readonly recorded: { subject: string; data: Uint8Array; from: string }[] = [];
  readonly subscriptions = new Map<string, Set<Subscription>>();
  readonly pipes = new Map<number, FakePipe>();
  /** How many messages are recorded. */
  recording = 2000;
  healed = 0;
  sent = 0;
  delivered = 0;
  #queue = new Heap();
  #flush = 0;
  #port = 0;

  constructor(
    seed: number,
    readonly options: { lease: number; realSealer?: boolean } = { lease: 2000 },
  ) {
    this.random = new Random(seed);
  }

  at(time: number, run: () => void): () => void {
    const event = { time, run: run as (() => void) | undefined };
    this.#queue.push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** How many events are to come. */
  get pending(): number {
    return this.#queue.pending;
  }

  nextPort(): number {
    this.#port += 1;
    return this.#port;
  }

  /** Promises are pending: run their reactions before the next event. */
  flush(): void {
    this.#flush = 8;
  }

  async run(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      for (; this.#flush > 0; this.#flush -= 1) await null;
      const event = this.#queue.peek();
      if (!event || event.time > end) break;
      this.#queue.pop();
      this.time = event.time;
      event.run?.();
    }
    this.time = end;
  }

  fail(what: string): void {
    this.failures.push(`${(this.time / 1000).toFixed(3)} s: ${what}`);
  }

  start(name: string, clockOffset = 0): Process {
    const process = new Process(this, name, clockOffset);
    this.processes.set(name, process);
    process.start();
    return process;
  }

  udpWorks(one: string, other: string): boolean {
    return !this.udpBlocked.get([one, other].sort().join(' '));
  }

  busWorks(from: Process, to: Process): boolean {
    const group = (process: Process): number => this.busGroup.get(process.name) ?? 0;
    return !this.busDown && !from.cut && !to.cut && group(from) === group(to);
  }

  /** Adds a fault, which ends after some time if that is not healed before. */
  fault(ms: number, begin: () => void, end: () => void): void {
    const { healed } = this;
    begin();
    this.at(this.time + ms, () => healed === this.healed && end());
  }

  blockUdp(one: string, other: string, count = 1): void {
    const pair = [one, other].sort().join(' ');
    this.udpBlocked.set(pair, (this.udpBlocked.get(pair) ?? 0) + count);
  }

  /** What has come to a bus that stood still is delivered. */
  unstall(): void {
    this.busStalled = Math.max(0, this.busStalled - 1);
    if (this.busStalled === 0) for (const deliver of this.stalled.splice(0)) deliver();
  }

  heal(): void {
    this.healed += 1;
    this.busDown = 0;
    this.busStalled = Math.min(1, this.busStalled);
    this.unstall();
    this.loss = 0;
    this.duplicates = 0;
    this.planeErrors = 0;
    this.planeDelay = 1;
    this.udpBlocked.clear();
    this.busGroup.clear();
    for (const process of this.processes.values()) {
      process.cut = 0;
      process.resume();
    }
  }

  /** An attacker sends a message that was recorded: any, or this one. */
  replay(recorded = this.random.pick(this.recorded)): void {
    for (const subscription of this.subscriptions.get(recorded?.subject) ?? []) {
      subscription.process.run(() => subscription.listener(recorded.data));
    }
  }

  /** How many messages and bytes a process has published since, by kind of subject, beats aside. */
  published(since: number, by?: string): { messages: number; bytes: number } {
    const sum = { messages: 0, bytes: 0 };
    for (const { subject, data, from } of this.recorded.slice(since)) {
      if (!subject.startsWith('p.beat.') && (by === undefined || by === from)) {
        sum.messages += 1;
        sum.bytes += data.length;
      }
    }
    return sum;
  }

  /** What applications know must be what there is. */
  checkViews(): void {
    const alive = [...this.processes.values()].filter((it) => it.alive && !it.fenced);
    for (const process of alive) {
      for (const room of process.rooms.keys()) {
        const expected = alive
          .filter((other) => other !== process)
          .flatMap((other) =>
            [...(other.rooms.get(room)?.keys() ?? [])].map((id) => `${other.name} ${id}`),
          )
          .sort();
        const seen = [...(process.seen.get(room) ?? [])].sort();
        if (seen.join() !== expected.join()) {
          const missing = expected.filter((it) => !seen.includes(it));
          const surplus = seen.filter((it) => !expected.includes(it));
          this.fail(`${process.name} in ${room}: lacks [${missing}], has too many [${surplus}]`);
        }
      }
    }
  }

  /** Open sessions must have all that their producers have sent, but what was said to be missed. */
  checkSessions(): void {
    for (const process of this.processes.values()) {
      for (const session of process.alive ? process.sessions.values() : []) {
        const producer = this.processes.get(session.host)?.producers.get(session.id);
        if (!producer) {
          this.fail(`${process.name}: session of ${session.id}, which is closed`);
        } else if (!session.ready) {
          this.fail(`${process.name}: no path to ${session.id}`);
        } else if (session.all) {
          // What was sent last may be among what was lost with a path.
          const gaps = session.gaps + producer.sent - session.last;
          if (gaps > session.told) {
            this.fail(`${process.name}: ${gaps} gaps of ${session.id}, said ${session.told}`);
          }
        }
      }
    }
  }
}

type Subscription = { process: Process; listener: (data: Uint8Array) => void };

type Producer = { id: string; sent: number };

/** What an application consumes. */
type Session = {
  host: string;
  id: string;
  ready: boolean;
  /** Whether it gets all messages: gaps of the others are not known. */
  all: boolean;
  last: number;
  gaps: number;
  told: number;
};

/** A process of the application: a host, its producers and what it consumes. */
export class Process {
  alive = true;
  /** How many faults cut its bus link. */
  cut = 0;
  paused = false;
  fenced = false;
  /** Own producers by room. */
  readonly rooms = new Map<string, Map<string, Entry>>();
  readonly producers = new Map<string, Producer>();
  /** 'host id' of what 'added' and 'removed' say, by room. */
  readonly seen = new Map<string, Set<string>>();
  readonly entries = new Map<string, Entry>();
  readonly sessions = new Map<string, Session>();
  readonly events: string[] = [];
  readonly plane: FakePlane;
  readonly host: Host;
  readonly bus: Bus;
  readonly sealer: Sealer;
  readonly epoch: string;
  #backlog: (() => void)[] = [];

  constructor(
    readonly world: World,
    readonly name: string,
    clockOffset: number,
  ) {
    const { random, options } = world;
    const epoch = epochOf(Math.floor(1e12 + world.time + clockOffset), random.bytes(6));
    this.epoch = epoch;
    this.plane = new FakePlane(this);
    this.bus = this.#makeBus();
    this.sealer = options.realSealer
      ? new Envelope({ secrets: [Buffer.alloc(32, 7)], host: name, epoch })
      : new FakeSealer(name, epoch);
    this.host = new Host({
      host: name,
      epoch,
      prefix: 'p',
      lease: options.lease,
      bus: this.bus,
      clock: this.#clock(),
      plane: this.plane,
      random: { bytes: (length) => random.bytes(length), next: () => random.next() },
      sealer: this.sealer,
      events: {
        hostup: (host) => this.events.push(`hostup ${host}`),
        hostdown: (host, reason) => this.events.push(`hostdown ${host} ${reason}`),
        busdown: () => this.events.push('busdown'),
        busup: () => this.events.push('busup'),
        fenced: () => {
          this.fenced = true;
          this.events.push('fenced');
        },
        incompatible: (host) => this.events.push(`incompatible ${host}`),
        refused: () => {},
        added: (room, host, entry) => this.#onAdded(room, host, entry),
        removed: (room, host, entry) => this.#onRemoved(room, host, entry),
      },
    });
  }

  start(): void {
    void this.host.start();
    this.world.flush();
  }

  /** Runs what the process would do now: at once, once it goes on, or never. */
  run(what: () => void): void {
    if (this.paused) this.#backlog.push(what);
    else if (this.alive) what();
  }

  kill(): void {
    this.alive = false;
    this.plane.kill();
    for (const set of this.world.subscriptions.values()) {
      for (const each of set) if (each.process === this) set.delete(each);
    }
  }

  /** Leaves, then ends. */
  leave(): void {
    this.run(() => this.host.bye(() => this.kill()));
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (this.paused) {
      this.paused = false;
      for (const each of this.#backlog.splice(0)) this.run(each);
      this.world.flush();
    }
  }

  join(room: string): void {
    if (!this.rooms.has(room)) {
      this.rooms.set(room, new Map());
      this.seen.set(room, new Set());
      void this.host.join(room);
      this.world.flush();
    }
  }

  leaveRoom(room: string): void {
    for (const id of this.rooms.get(room)?.keys() ?? []) this.producers.delete(id);
    this.rooms.delete(room);
    this.seen.delete(room);
    this.host.leave(room);
    for (const { host, id } of this.sessions.values()) {
      if (![...this.seen.values()].some((seen) => seen.has(`${host} ${id}`))) this.release(id);
    }
  }

  announce(room: string): string {
    const id = this.world.random.uuid();
    const entry: Entry = { id, label: 'l', protocol: '', info: 'null', ordered: true };
    this.rooms.get(room)!.set(id, entry);
    this.producers.set(id, { id, sent: 0 });
    this.host.announce(room, entry);
    return id;
  }

  withdraw(room: string, id: string): void {
    this.rooms.get(room)!.delete(id);
    this.producers.delete(id);
    this.plane.onProducerClosed(id);
    this.host.withdraw(room, id);
  }

  send(id: string): void {
    const producer = this.producers.get(id);
    if (producer) {
      producer.sent += 1;
      this.plane.send(id, producer.sent);
    }
  }

  want(host: string, id: string, subchannels: Subchannels = true): void {
    const entry = this.entries.get(id);
    if (!entry || this.sessions.has(id)) return;
    const session: Session = {
      host,
      id,
      ready: false,
      all: subchannels === true,
      last: 0,
      gaps: 0,
      told: 0,
    };
    this.sessions.set(id, session);
    this.host.want(host, entry, subchannels, {
      ready: () => {
        if (session.ready) this.world.fail(`${this.name}: ready twice`);
        session.ready = true;
        // What was sent before may arrive; what is sent from now on must.
        session.last = this.world.processes.get(host)?.producers.get(id)?.sent ?? 0;
      },
      failed: () => this.sessions.delete(id),
      missed: (atMost) => {
        session.told += atMost;
      },
    });
  }

  release(id: string): void {
    const session = this.sessions.get(id);
    if (session) {
      this.sessions.delete(id);
      this.host.release(session.host, id);
    }
  }

  /** A message has come to the gateway, under an id. */
  onMessage(id: string, number: number): void {
    const session = this.sessions.get(id);
    if (!session?.ready) return;
    this.world.delivered += 1;
    if (number <= session.last) {
      // What was on its way when the path was ready is older than that.
      if (this.#begun.has(session)) {
        this.world.fail(`${this.name}: message ${number} of ${id} after ${session.last}`);
      }
      return;
    }
    this.#begun.add(session);
    session.gaps += number - session.last - 1;
    session.last = number;
  }

  readonly #begun = new WeakSet<Session>();

  #onAdded(room: string, host: string, entry: Entry): void {
    const seen = this.seen.get(room);
    const name = `${host} ${entry.id}`;
    if (!seen) {
      this.world.fail(`${this.name}: 'added' in ${room}, which it has left`);
    } else if (seen.has(name)) {
      this.world.fail(`${this.name}: ${name} added twice in ${room}`);
    }
    seen?.add(name);
    this.entries.set(entry.id, entry);
  }

  #onRemoved(room: string, host: string, entry: Entry): void {
    if (!this.seen.get(room)?.delete(`${host} ${entry.id}`)) {
      this.world.fail(`${this.name}: ${host} ${entry.id} removed from ${room}, where it was not`);
    }
    this.release(entry.id);
  }

  #makeBus(): Bus {
    const { world } = this;
    /** When the last message of a subject arrives at a process: order is kept. */
    const last = new Map<string, number>();
    return {
      maxPayload: 1 << 20,
      publish: (subject, data) => {
        if (!this.alive) return;
        if (world.recorded.length < world.recording) {
          world.recorded.push({ subject, data, from: this.name });
        }
        for (const subscription of world.subscriptions.get(subject) ?? []) {
          const { process, listener } = subscription;
          if (!world.busWorks(this, process) || world.random.chance(world.loss)) continue;
          world.sent += 1;
          const { min, max } = world.delay;
          const key = `${subject} ${process.name}`;
          const when = Math.max(
            world.time + min + (max - min) * world.random.next(),
            last.get(key) ?? 0,
          );
          last.set(key, when);
          const deliver = (): void => {
            if (world.busStalled) {
              world.stalled.push(deliver);
            } else if (
              world.busWorks(this, process) &&
              world.subscriptions.get(subject)?.has(subscription)
            ) {
              process.run(() => listener(data));
            }
          };
          world.at(when, deliver);
          if (world.random.chance(world.duplicates)) world.at(when + 5, deliver);
        }
      },
      subscribe: async (subject, listener) => {
        const subscription = { process: this, listener };
        const set = world.subscriptions.get(subject) ?? new Set();
        world.subscriptions.set(subject, set.add(subscription));
        world.flush();
        return {
          [Symbol.for('nodejs.asyncDispose')]: async () => {
            set.delete(subscription);
          },
        } as unknown as AsyncDisposable;
      },
    };
  }

  #clock(): Clock {
    const { world } = this;
    return {
      now: () => world.time,
      after: (ms, call) => {
        let cancelled = false;
        const cancel = world.at(world.time + ms, () => this.run(() => cancelled || call()));
        return () => {
          cancelled = true;
          cancel();
        };
      },
    };
  }
}

/** The data plane of a process. */
class FakePlane implements Plane {
  readonly pipes = new Set<FakePipe>();
  /** The DataProducers of the gateway that came through pipes. */
  readonly taken = new Map<string, { pipe: FakePipe; streamId: number; received: number }>();
  /** When all that it has to do is done. */
  #done = 0;

  constructor(readonly process: Process) {}

  createPipe(done: (error: Error | undefined, pipe?: Pipe) => void): void {
    this.work((failed) => {
      if (failed) {
        done(failed);
        return;
      }
      const pipe = new FakePipe(this);
      this.pipes.add(pipe);
      done(undefined, pipe);
    });
  }

  /** Does what takes time, and may fail. */
  work(done: (failed: Error | undefined) => void): void {
    const { world } = this.process;
    const failed = world.random.chance(world.planeErrors) ? new Error('failed') : undefined;
    // One after the other.
    this.#done =
      Math.max(this.#done, world.time) + Math.max(1, world.planeDelay * world.random.next());
    world.at(this.#done, () => this.process.run(() => done(failed)));
  }

  untake(id: string): void {
    const taken = this.taken.get(id);
    taken?.pipe.streams.delete(taken.streamId);
    this.taken.delete(id);
  }

  send(id: string, number: number): void {
    for (const pipe of this.pipes) pipe.send(id, number);
  }

  onProducerClosed(id: string): void {
    for (const pipe of this.pipes) pipe.drop(id);
  }

  kill(): void {
    for (const pipe of this.pipes) pipe.dead = true;
  }
}

/** One end of a pipe: a reliable, ordered way to the other end, as long as both live. */
class FakePipe implements Pipe {
  readonly address: Address;
  onclosed = (): void => {};
  onstreamclosed = (_: string): void => {};
  dead = false;
  far: FakePipe | undefined;
  up = false;
  /** Taker: ids by stream. */
  readonly streams = new Map<number, string>();
  /** Origin: what is sent on which stream, since when. */
  readonly carried = new Map<string, { streamId: number; at: number; subchannels: Subchannels }>();
  silence = Infinity;
  #lastHeard = -Infinity;
  #nextStream = 0;
  #waiting: { arrive: (far: FakePipe) => void; since: number }[] = [];

  constructor(readonly plane: FakePlane) {
    const { world } = plane.process;
    this.address = { address: plane.process.name, port: world.nextPort() % 65536, fingerprint: '' };
    world.pipes.set(this.address.port, this);
  }

  get #world(): World {
    return this.plane.process.world;
  }

  connect(remote: Address, _: 'taker' | 'origin', done: (error?: Error) => void): void {
    const far = this.#world.pipes.get(remote.port);
    if (!far || far.plane.process.name !== remote.address) {
      done(new Error('no such pipe'));
      return;
    }
    this.far = far;
    const attempt = (): void => {
      if (this.dead) return;
      if (far.dead || far.far !== this || !this.reaches()) {
        this.#world.at(this.#world.time + 50, attempt);
      } else {
        this.#world.at(this.#world.time + 2, () =>
          this.plane.process.run(() => {
            if (this.dead) return;
            this.up = true;
            this.#lastHeard = this.#world.time;
            done();
          }),
        );
      }
    };
    attempt();
  }

  reaches(): boolean {
    const { far } = this;
    return (
      far !== undefined &&
      this.#world.udpWorks(this.plane.process.name, far.plane.process.name) &&
      far.plane.process.alive
    );
  }

  /** The answer comes later, as from a worker. */
  look(): void {
    const { far } = this;
    if (this.up && far?.up && !far.dead && this.reaches() && !far.plane.process.paused) {
      this.#lastHeard = this.#world.time;
    }
    const silence = this.#world.time - this.#lastHeard;
    this.#world.at(this.#world.time + 1, () =>
      this.plane.process.run(() => (this.silence = silence)),
    );
  }

  take(
    entry: Entry,
    done: (error: Error | undefined, taken?: { streamId: number; received: number }) => void,
  ): void {
    this.plane.work((failed) => {
      if (failed || this.dead) {
        done(failed ?? new Error('closed'));
        return;
      }
      const former = this.plane.taken.get(entry.id);
      former?.pipe.streams.delete(former.streamId);
      this.#nextStream += 1;
      const streamId = this.#nextStream;
      const received = former?.received ?? 0;
      this.plane.taken.set(entry.id, { pipe: this, streamId, received });
      this.streams.set(streamId, entry.id);
      done(undefined, { streamId, received });
    });
  }

  carry(
    id: string,
    subchannels: Subchannels,
    streamId: number,
    _: boolean,
    done: (error: Error | undefined, at?: number | null) => void,
  ): void {
    this.plane.work((failed) => {
      const producer = this.plane.process.producers.get(id);
      if (failed || this.dead || !producer) {
        done(failed, null);
        return;
      }
      const former = this.carried.get(id);
      const at = former?.streamId === streamId ? former.at : producer.sent;
      this.carried.set(id, { streamId, at, subchannels });
      done(undefined, at);
    });
  }

  drop(id: string): void {
    this.carried.delete(id);
  }

  send(id: string, number: number): void {
    const carried = this.carried.get(id);
    const { far } = this;
    if (!carried || !far || this.dead) return;
    // Subchannels: each message is in that of its number modulo 10.
    if (carried.subchannels !== true && !carried.subchannels.includes(number % 10)) return;
    this.#transmit((end) => end.#receive(carried.streamId, number));
  }

  close(): void {
    if (this.dead) return;
    this.#transmit((end) => end.#fail());
    this.dead = true;
    this.plane.pipes.delete(this);
  }

  /** Tries until it arrives, in order. What does not arrive for long ends the pipe. */
  #transmit(arrive: (far: FakePipe) => void): void {
    this.#waiting.push({ arrive, since: this.#world.time });
    if (this.#waiting.length === 1) this.#pump(0.5 + this.#world.random.next());
  }

  #pump(delay: number): void {
    const world = this.#world;
    const { far } = this;
    world.at(world.time + delay, () => {
      const [first] = this.#waiting;
      if (!far || far.dead || !first) return;
      if (this.reaches() && !far.plane.process.paused) {
        // What waited leaves at once.
        for (const { arrive } of this.#waiting.splice(0)) {
          far.plane.process.run(() => far.dead || arrive(far));
        }
      } else if (world.time - first.since > 6 * world.options.lease) {
        this.#fail();
      } else {
        this.#pump(20);
      }
    });
  }

  #receive(streamId: number, number: number): void {
    const id = this.streams.get(streamId);
    const taken = id === undefined ? undefined : this.plane.taken.get(id);
    this.#lastHeard = this.#world.time;
    if (id !== undefined && taken?.pipe === this) {
      taken.received += 1;
      this.plane.process.onMessage(id, number);
    }
  }

  #fail(): void {
    if (!this.dead) {
      this.dead = true;
      this.plane.pipes.delete(this);
      this.plane.process.run(() => this.onclosed());
    }
  }
}

/** Seals nothing, so that thousands of programs are quick; replays and epochs are as with Envelope. */
class FakeSealer implements Sealer {
  #counter = 0;

  constructor(
    readonly host: string,
    readonly epoch: string,
  ) {}

  seal(subject: string, message: Uint8Array): Uint8Array {
    this.#counter += 1;
    const { host, epoch } = this;
    const head = JSON.stringify({ host, epoch, counter: this.#counter, subject });
    return Buffer.concat([Buffer.from(`${head}\n`), message]);
  }

  open(
    subject: string,
    bytes: Uint8Array,
  ): { host: string; epoch: string; counter: number; message: Buffer } {
    const buffer = Buffer.from(bytes);
    const end = buffer.indexOf('\n');
    const head = JSON.parse(buffer.toString('utf8', 0, end));
    if (head.subject !== subject) throw new Refusal('forged');
    return { ...head, message: buffer.subarray(end + 1) };
  }
}

type Event = { time: number; run: (() => void) | undefined };

/** Events by time; those of the same time in order. */
class Heap {
  #events: (Event & { order: number; event: Event })[] = [];
  #order = 0;

  get pending(): number {
    return this.#events.filter(({ event }) => event.run).length;
  }

  peek(): Event | undefined {
    return this.#events[0]?.event;
  }

  push(event: Event): void {
    const events = this.#events;
    this.#order += 1;
    events.push({ ...event, order: this.#order, event });
    let index = events.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#before(index, parent)) break;
      [events[index], events[parent]] = [events[parent]!, events[index]!];
      index = parent;
    }
  }

  pop(): void {
    const events = this.#events;
    const last = events.pop()!;
    if (events.length === 0) return;
    events[0] = last;
    let index = 0;
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < events.length && this.#before(child, least)) least = child;
      }
      if (least === index) return;
      [events[index], events[least]] = [events[least]!, events[index]!];
      index = least;
    }
  }

  #before(one: number, other: number): boolean {
    const [a, b] = [this.#events[one]!, this.#events[other]!];
    return a.time < b.time || (a.time === b.time && a.order < b.order);
  }
}
