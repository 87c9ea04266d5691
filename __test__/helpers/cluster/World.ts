import { Envelope, epochOf, Refusal } from '../../../lib/cluster/envelope';
import { Host } from '../../../lib/cluster/Host';
import type { Bus, Clock, Entry, Sealer, Subchannels } from '../../../lib/cluster/types';
import type { Range } from '../../../lib/cluster/messages';
import { FakeGateway, type FakeTransport } from './FakeGateway';
import { Random } from './random';

/**
 * Hosts of a cluster in virtual time: the protocol of lib/cluster over a bus and a data plane that lose, delay, double,
 * partition and stop as the test wants. Records what applications should have seen, and what they have seen.
 */
export class World {
  readonly random: Random;
  readonly processes = new Map<string, Process>();
  readonly failures: string[] = [];
  time = 0;
  /** Faults of the bus: how many keep it down, how many stall it, and the probabilities of losses and doubles. */
  busDown = 0;
  busStalled = 0;
  loss = 0;
  duplicates = 0;
  /** How long a message takes, in milliseconds. */
  delay = { min: 0.2, max: 3 };
  /** Host names that do not reach each other by UDP, as 'a b' in order of the alphabet. */
  readonly udpBlocked = new Map<string, number>();
  /** Hosts of different groups do not reach each other by the bus. */
  readonly busGroup = new Map<string, number>();
  /** What a stalled bus has to deliver. */
  readonly stalled: (() => void)[] = [];
  /** What an attacker has recorded. */
  readonly recorded: { subject: string; data: Uint8Array; from: string }[] = [];
  readonly subscriptions = new Map<string, Set<Subscription>>();
  /** Ends of pipes by port, and the relays of those that go over the bus by name. */
  readonly transports = new Map<number, FakeTransport>();
  readonly relays = new Map<string, { transport: FakeTransport | undefined }>();
  /** How long the gateway's Worker takes at most, in milliseconds, and how likely it fails. */
  workerDelay = 1;
  workerErrors = 0;
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
    readonly options: {
      lease: number;
      realSealer?: boolean;
      carrier?: 'auto' | 'pipe' | 'bus';
    } = { lease: 2000 },
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

  /** How many events are still to come. */
  get pending(): number {
    return this.#queue.pending;
  }

  nextPort(): number {
    this.#port += 1;
    return this.#port;
  }

  /** Something has settled promises: runs their reactions before the next event. */
  flush(): void {
    this.#flush = 32;
  }

  async run(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      for (let rounds = Math.max(this.#flush, 4); rounds > 0; rounds -= 1) await null;
      this.#flush = 0;
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

  start(name: string, options: ProcessOptions = {}): Process {
    const process = new Process(this, name, options);
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

  /** Delivers what the bus has got while it was stalled. */
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
    this.workerDelay = 1;
    this.workerErrors = 0;
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

  /** Checks that each application knows exactly the DataProducers that the others have. */
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

  /** Checks that each open session has got all that its producer has sent, except for what was reported as missed. */
  checkSessions(): void {
    for (const process of this.processes.values()) {
      for (const session of process.alive ? process.sessions.values() : []) {
        const producer = this.processes.get(session.host)?.producers.get(session.id);
        if (!producer) {
          this.fail(`${process.name}: session of ${session.id}, which is closed`);
        } else if (!session.ready) {
          this.fail(`${process.name}: no path to ${session.id}`);
        } else if (session.all) {
          // The last messages sent may have been lost with a path. They are gaps as well.
          const gaps = session.gaps + producer.sent - session.last;
          if (gaps > session.reported) {
            this.fail(`${process.name}: ${gaps} gaps of ${session.id}, said ${session.reported}`);
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
  /** Whether it wants all messages. Gaps in a part of them cannot be found. */
  all: boolean;
  last: number;
  gaps: number;
  reported: number;
};

type ProcessOptions = {
  /** How wrong its wall clock is, in milliseconds. */
  clockOffset?: number;
  /** The versions of the protocol that it writes. */
  range?: Range;
  /** With `realSealer`. */
  secrets?: Buffer[];
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
  readonly gateway: FakeGateway;
  readonly host: Host;
  readonly bus: Bus;
  readonly sealer: Sealer;
  readonly epoch: string;
  #backlog: (() => void)[] = [];

  constructor(
    readonly world: World,
    readonly name: string,
    { clockOffset = 0, range, secrets = [Buffer.alloc(32, 7)] }: ProcessOptions,
  ) {
    const { random, options } = world;
    const epoch = epochOf(Math.floor(1e12 + world.time + clockOffset), random.bytes(6));
    this.epoch = epoch;
    this.gateway = new FakeGateway(this, options.lease, this.#clock());
    this.bus = this.#makeBus();
    this.sealer = options.realSealer
      ? new Envelope({ secrets, host: name, epoch })
      : new FakeSealer(name, epoch);
    this.host = new Host({
      host: name,
      epoch,
      prefix: 'p',
      lease: options.lease,
      bus: this.bus,
      clock: this.#clock(),
      plane: this.gateway.plane,
      carrier: options.carrier ?? 'auto',
      random: { bytes: (length) => random.bytes(length), next: () => random.next() },
      sealer: this.sealer,
      range,
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
        carrier: (host, carrier) => this.events.push(`carrier ${host} ${carrier}`),
        failing: () => {},
        added: (room, host, entry) => this.#onAdded(room, host, entry),
        removed: (room, host, entry) => this.#onRemoved(room, host, entry),
      },
    });
  }

  start(): void {
    void this.host.start();
    this.world.flush();
  }

  /**
   * Runs an action of the process: at once or, if it is paused, once it goes on. A process that has ended never runs
   * it.
   */
  run(what: () => void): void {
    if (this.paused) this.#backlog.push(what);
    else if (this.alive) what();
  }

  kill(): void {
    this.alive = false;
    this.gateway.kill();
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
      void this.host.lists.join(room);
      this.world.flush();
    }
  }

  leaveRoom(room: string): void {
    for (const id of this.rooms.get(room)?.keys() ?? []) {
      this.producers.delete(id);
      this.gateway.dataProducers.get(id)?.close();
    }
    this.rooms.delete(room);
    this.seen.delete(room);
    this.host.lists.leave(room);
    for (const { host, id } of this.sessions.values()) {
      if (![...this.seen.values()].some((seen) => seen.has(`${host} ${id}`))) this.release(id);
    }
  }

  announce(room: string): string {
    const id = this.world.random.uuid();
    const entry: Entry = { id, label: 'l', protocol: '', info: 'null', ordered: true };
    this.rooms.get(room)!.set(id, entry);
    this.producers.set(id, { id, sent: 0 });
    this.host.lists.announce(room, entry);
    return id;
  }

  withdraw(room: string, id: string): void {
    this.rooms.get(room)!.delete(id);
    this.producers.delete(id);
    this.gateway.dataProducers.get(id)?.close();
    this.host.lists.withdraw(room, id);
  }

  send(id: string): void {
    const producer = this.producers.get(id);
    if (producer) {
      producer.sent += 1;
      this.gateway.send(id, producer.sent);
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
      reported: 0,
    };
    this.sessions.set(id, session);
    this.host.takes.want(host, entry, subchannels, {
      ready: () => {
        if (session.ready) this.world.fail(`${this.name}: ready twice`);
        session.ready = true;
        // What was sent before the path was ready may arrive; what is sent from now on must.
        session.last = this.world.processes.get(host)?.producers.get(id)?.sent ?? 0;
      },
      failed: () => this.sessions.delete(id),
      missed: (atMost) => {
        session.reported += atMost;
      },
    });
  }

  release(id: string): void {
    const session = this.sessions.get(id);
    if (session) {
      this.sessions.delete(id);
      this.host.takes.release(session.host, id);
    }
  }

  /** A message of DataProducer `id` has come to the gateway. */
  onMessage(id: string, number: number): void {
    const session = this.sessions.get(id);
    if (!session?.ready) return;
    this.world.delivered += 1;
    if (number <= session.last) {
      // Messages from before the path was ready may still come, but not after newer ones.
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
    /** When the last message of a subject arrives at a process. Later ones do not arrive before it. */
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
