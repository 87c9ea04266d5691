import { EventEmitter } from 'node:events';

import { DataPlane } from '../../../lib/cluster/DataPlane';
import type { Clock, Subchannels } from '../../../lib/cluster/types';
import type { Process, World } from './World';

/**
 * What is below the DataPlane, in virtual time: the gateway's Worker, which answers late and in order, the tunnels to
 * it, and the network between gateways. It keeps the promises of index.d.ts that the DataPlane builds on.
 */
export class FakeGateway {
  readonly transports = new Set<FakeTransport>();
  readonly dataProducers = new Map<string, FakeDataProducer>();
  /** The relays of this host, by port. */
  readonly relays = new Map<number, FakeRelay>();
  readonly plane: DataPlane;
  #askedAt = -1;
  #last = 0;

  constructor(
    readonly process: Process,
    lease: number,
    clock: Clock,
  ) {
    this.plane = new DataPlane({
      gateway: this as any,
      listenInfo: { protocol: 'udp', ip: process.name },
      lease,
      clock,
      find: (id) => this.#find(id),
      drain: async () => {},
      openRelay: () => this.request(() => new FakeRelay(this)),
    });
  }

  get world(): World {
    return this.process.world;
  }

  /** Runs a task in the Worker. Tasks that are asked for at the same time run at the same time. */
  request<T>(work: () => T): Promise<T> {
    const { world, process } = this;
    if (world.time !== this.#askedAt) {
      this.#askedAt = world.time;
      this.#last = Math.max(this.#last, world.time + world.random.next() * world.workerDelay);
    }
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void): void => {
        world.at(world.time + 0.1, () =>
          process.run(() => {
            settle();
            world.flush();
          }),
        );
      };
      world.at(this.#last, () =>
        process.run(() => {
          try {
            const result = work();
            answer(() => resolve(result));
          } catch (error) {
            answer(() => reject(error));
          }
        }),
      );
    });
  }

  /** `createPipeTransport()` of a Router. Fails at times, as if all ports were in use. */
  createPipeTransport({ listenInfo }: any): Promise<FakeTransport> {
    return this.request(() => {
      this.fault('no port is free');
      return new FakeTransport(this, listenInfo.ip === '127.0.0.1');
    });
  }

  fault(what: string): void {
    if (this.world.random.chance(this.world.workerErrors)) throw new Error(what);
  }

  /** Sends a message of the application through the tunnel, if there is one. */
  send(id: string, number: number): void {
    const { world, process } = this;
    const dataProducer = this.dataProducers.get(id);
    if (dataProducer?.local) {
      world.at(world.time + 0.1, () => process.run(() => dataProducer.receive(number)));
    }
  }

  kill(): void {
    for (const transport of this.transports) transport.dead = true;
    for (const dataProducer of [...this.dataProducers.values()]) dataProducer.close();
  }

  #find(id: string): any {
    const producer = this.process.producers.get(id);
    if (!producer) return undefined;
    const router = {
      pipeToRouter: () =>
        this.request(() => {
          if (!this.process.producers.has(id)) throw new Error('no such DataProducer');
          const pipeDataProducer = new FakeDataProducer(this, id, true);
          const pipeDataConsumer = {
            close: () => pipeDataProducer.close(),
            getStats: () => this.request(() => [{ messagesPaused: 0 }]),
          };
          return { pipeDataProducer, pipeDataConsumer };
        }),
    };
    const getStats = (): Promise<unknown> =>
      this.request(() => [{ messagesReceived: producer.sent }]);
    return { router, dataProducer: { id, getStats } };
  }
}

/** A relay, which other relays find by its name, and the transport that it is attached to. */
class FakeRelay {
  readonly port: number;
  readonly name: string;
  transport: FakeTransport | undefined;
  far: string | undefined;

  constructor(readonly gateway: FakeGateway) {
    const { world } = gateway;
    this.port = world.nextPort();
    this.name = world.random.bytes(16).toString('hex');
    gateway.relays.set(this.port, this);
    world.relays.set(this.name, this);
  }

  async attach(port: number): Promise<void> {
    this.transport = this.gateway.world.transports.get(port);
  }

  connect(name: string): void {
    this.far = name;
  }

  close(): void {
    this.gateway.relays.delete(this.port);
    this.gateway.world.relays.delete(this.name);
  }
}

class FakeEntity extends EventEmitter {
  readonly observer = new EventEmitter();
  closed = false;

  /** Closes it. Returns whether it was open before. */
  protected end(): boolean {
    const open = !this.closed;
    this.closed = true;
    return open;
  }
}

/** A DataProducer on the gateway: of this host (`local`), or from another one. */
export class FakeDataProducer extends FakeEntity {
  received = 0;
  transport: FakeTransport | undefined;
  streamId = -1;
  readonly consumers = new Set<FakeDataConsumer>();

  constructor(
    readonly gateway: FakeGateway,
    readonly id: string,
    readonly local: boolean,
  ) {
    super();
    if (gateway.dataProducers.has(id)) throw new Error(`${id} already exists`);
    gateway.dataProducers.set(id, this);
  }

  receive(number: number): void {
    if (this.closed) return;
    this.received += 1;
    for (const consumer of this.consumers) consumer.send(number);
    if (!this.local) this.gateway.process.onMessage(this.id, number);
  }

  async moveTo(transport: FakeTransport, { sctpStreamParameters }: any): Promise<void> {
    await this.gateway.request(() => {
      if (this.closed || transport.closed) throw new Error('closed');
      this.place(transport, sctpStreamParameters.streamId);
    });
    if (transport.closed) this.close();
  }

  place(transport: FakeTransport, streamId: number): void {
    if (transport.streams.has(streamId)) throw new Error(`stream ${streamId} is in use`);
    this.transport?.streams.delete(this.streamId);
    this.transport = transport;
    this.streamId = streamId;
    transport.streams.set(streamId, this);
  }

  getStats(): Promise<[{ messagesReceived: number }]> {
    return this.gateway.request(() => [{ messagesReceived: this.received }]);
  }

  close(): void {
    if (!this.end()) return;
    this.gateway.dataProducers.delete(this.id);
    this.transport?.streams.delete(this.streamId);
    for (const consumer of [...this.consumers]) consumer.close();
    this.observer.emit('close');
  }
}

/** A DataConsumer on a pipe. */
export class FakeDataConsumer extends FakeEntity {
  constructor(
    readonly dataProducer: FakeDataProducer,
    readonly transport: FakeTransport,
    readonly streamId: number,
    public subchannels: Subchannels,
  ) {
    super();
    if (transport.carried.has(streamId)) throw new Error(`stream ${streamId} is in use`);
    transport.carried.set(streamId, this);
    dataProducer.consumers.add(this);
  }

  send(number: number): void {
    // Each message is in the subchannel of its number modulo 10.
    if (this.subchannels === true || this.subchannels.includes(number % 10)) {
      this.transport.transmit((far) => far.receive(this.streamId, number));
    }
  }

  setSubchannels(subchannels: number[]): Promise<void> {
    return this.transport.gateway.request(() => {
      this.subchannels = subchannels;
    });
  }

  close(): void {
    if (!this.end()) return;
    this.dataProducer.consumers.delete(this);
    this.transport.carried.delete(this.streamId);
    this.transport.transmit((far) => far.streams.get(this.streamId)?.emit('streamclose'));
    this.observer.emit('close');
  }
}

/** One end of a pipe: a reliable, ordered way to the other end, as long as both live. */
export class FakeTransport extends FakeEntity {
  readonly tuple: { localAddress: string; localPort: number };
  readonly dtlsParameters = { fingerprints: [{ algorithm: 'sha-256', value: 'f' }] };
  /** The DataProducers of the streams that come in, and the DataConsumers of those that go out. */
  readonly streams = new Map<number, FakeDataProducer>();
  readonly carried = new Map<number, FakeDataConsumer>();
  far: FakeTransport | undefined;
  up = false;
  dead = false;
  #lastHeard: number | undefined;
  #waiting: { arrive: (far: FakeTransport) => void; since: number }[] = [];

  constructor(
    readonly gateway: FakeGateway,
    readonly viaBus: boolean,
  ) {
    super();
    const { world, process } = gateway;
    this.tuple = { localAddress: process.name, localPort: world.nextPort() % 65536 };
    world.transports.set(this.tuple.localPort, this);
    gateway.transports.add(this);
  }

  get #world(): World {
    return this.gateway.world;
  }

  async connect({ ip, port }: { ip: string; port: number }): Promise<void> {
    await this.gateway.request(() => {});
    const attempt = (): void => {
      if (this.dead || this.closed) return;
      const far = this.#farAt(ip, port);
      if (far) this.far = far;
      if (!far || far.dead || far.far !== this || !this.reaches()) {
        this.#world.at(this.#world.time + 50, attempt);
      } else {
        this.#world.at(this.#world.time + 2, () =>
          this.gateway.process.run(() => {
            if (this.dead || this.closed) return;
            this.up = true;
            this.#lastHeard = this.#world.time;
            this.emit('dtlsstatechange', 'connected');
          }),
        );
      }
    };
    attempt();
  }

  reaches(): boolean {
    const { far } = this;
    const here = this.gateway.process;
    const there = far?.gateway.process;
    if (!far || !there?.alive) return false;
    return this.viaBus
      ? this.#world.busWorks(here, there) && !this.#world.busStalled
      : this.#world.udpWorks(here.name, there.name);
  }

  /** The far end has been heard just now if the path works: heartbeats would have been answered. */
  getStats(): Promise<[{ timestamp: number; lastHeard?: number }]> {
    return this.gateway.request(() => {
      const { far } = this;
      const works = this.reaches() && !far?.gateway.process.paused;
      if (this.up && far?.up && !far.dead && works) this.#lastHeard = this.#world.time;
      return [{ timestamp: this.#world.time, lastHeard: this.#lastHeard }];
    });
  }

  produceData({ id, sctpStreamParameters }: any): Promise<FakeDataProducer> {
    return this.gateway.request(() => {
      if (this.closed) throw new Error('closed');
      const dataProducer = new FakeDataProducer(this.gateway, id, false);
      dataProducer.place(this, sctpStreamParameters.streamId);
      return dataProducer;
    });
  }

  consumeData({ dataProducerId, streamId, subchannels, strictSubchannels }: any): Promise<unknown> {
    return this.gateway.request(() => {
      const dataProducer = this.gateway.dataProducers.get(dataProducerId);
      if (this.closed || !dataProducer) throw new Error('closed');
      this.gateway.fault('the stream is in use');
      const wanted = strictSubchannels ? subchannels : true;
      return new FakeDataConsumer(dataProducer, this, streamId, wanted);
    });
  }

  async drained(): Promise<void> {}

  close(): void {
    if (!this.end()) return;
    for (const each of [...this.streams.values(), ...this.carried.values()]) each.close();
    this.transmit((far) => far.#end('dtlsstatechange', 'closed'));
    this.#gone();
    this.observer.emit('close');
  }

  /** Sends something to the far end, in order, as often as needed. If nothing arrives for a lease, the pipe ends. */
  transmit(arrive: (far: FakeTransport) => void): void {
    this.#waiting.push({ arrive, since: this.#world.time });
    if (this.#waiting.length === 1) this.#pump(0.5 + this.#world.random.next());
  }

  receive(streamId: number, number: number): void {
    this.#lastHeard = this.#world.time;
    this.streams.get(streamId)?.receive(number);
  }

  #farAt(ip: string, port: number): FakeTransport | undefined {
    if (!this.viaBus) {
      const far = this.#world.transports.get(port);
      return far?.gateway.process.name === ip ? far : undefined;
    }
    const name = this.gateway.relays.get(port)?.far;
    return name === undefined ? undefined : this.#world.relays.get(name)?.transport;
  }

  #pump(delay: number): void {
    const world = this.#world;
    world.at(world.time + delay, () => {
      const { far } = this;
      const [first] = this.#waiting;
      if (!far || far.dead || far.closed || this.dead || !first) return;
      if (this.reaches() && !far.gateway.process.paused) {
        // Whatever has waited for the path arrives at once.
        for (const { arrive } of this.#waiting.splice(0)) {
          far.gateway.process.run(() => far.dead || far.closed || arrive(far));
        }
      } else if (world.time - first.since > 1.1 * world.options.lease) {
        this.#waiting = [];
        if (!this.closed) this.#end('sctpstatechange', 'failed');
      } else {
        this.#pump(20);
      }
    });
  }

  #end(event: string, state: string): void {
    if (this.dead || this.closed) return;
    this.dead = true;
    this.gateway.process.run(() => {
      this.emit(event, state);
      this.#world.flush();
    });
  }

  #gone(): void {
    this.gateway.transports.delete(this);
    if (this.#world.transports.get(this.tuple.localPort) === this) {
      this.#world.transports.delete(this.tuple.localPort);
    }
  }
}
