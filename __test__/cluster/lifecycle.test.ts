import { createMortalWorker, panicOfLatest } from '../helpers/panic';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import * as datasoup from '../..';
import type { types } from '../..';
import { createCluster, memoryBus } from '../../subpaths/cluster';
import type { Bus, Cluster, ClusterOptions, Room } from '../../subpaths/cluster';
import '../helpers/closeWorkers';
import { Inbox } from '../helpers/Inbox';
import { nextEvent, until } from '../helpers/wait';

// How Clusters and Rooms begin and end.

type Subscription = { subject: string; ended: boolean };

let bus: Bus;
let subscriptions: Subscription[];
/** Delays or fails the next subscription to a subject of this kind. */
let hold: { kind: string; until: Promise<void> } | undefined;
let published: string[];
let worker: types.Worker;
let router: types.Router;
let transport: types.DirectTransport;
const clusters: Cluster[] = [];

beforeEach(async () => {
  const memory = memoryBus();
  subscriptions = [];
  published = [];
  hold = undefined;
  bus = {
    maxPayload: memory.maxPayload,
    publish: (subject, data) => {
      published.push(subject);
      memory.publish(subject, data);
    },
    subscribe: async (subject, listener) => {
      if (hold && subject.includes(`.${hold.kind}.`)) await hold.until;
      const subscription = await memory.subscribe(subject, listener);
      const entry = { subject, ended: false };
      subscriptions.push(entry);
      const dispose: typeof Symbol.asyncDispose = Symbol.for('nodejs.asyncDispose') as any;
      return {
        [dispose]: async () => {
          entry.ended = true;
          await subscription[dispose]();
        },
      } as AsyncDisposable;
    },
  };
  worker = await datasoup.createWorker();
  router = await worker.createRouter();
  transport = await router.createDirectTransport();
});

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
  worker.close();
});

async function start(host: string, options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const cluster = await createCluster({
    bus,
    host,
    secret: 'a secret of more than thirty-two bytes',
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    lease: 60_000,
    ...options,
  });
  clusters.push(cluster);
  return cluster;
}

const open = (): string[] =>
  subscriptions.filter(({ ended }) => !ended).map(({ subject }) => subject.split('.')[1]!);

describe('the Worker of a Cluster', () => {
  let a: Cluster;
  let gateway: types.Worker;
  let panic: () => void;
  let room: Room;

  /** Starts the hosts `a` and `b`, and lets `b` consume a DataProducer of `a`. */
  async function crossed(): Promise<{ b: Cluster; dataConsumer: types.DataConsumer; far: Room }> {
    datasoup.observer.once('newworker', (created) => (gateway = created));
    a = await start('a');
    panic = panicOfLatest();
    room = await a.join('r', { router });
    const dataProducer = await transport.produceData();
    room.announce(dataProducer);
    const other = await datasoup.createWorker();
    const otherRouter = await other.createRouter();
    const b = await start('b');
    const far = await b.join('r', { router: otherRouter });
    await nextEvent(far, 'dataproducer');
    const dataConsumer = await far.consumeData(await otherRouter.createDirectTransport(), {
      dataProducerId: dataProducer.id,
    });
    const inbox = new Inbox(dataConsumer);
    dataProducer.send('x');
    await inbox.count(1);
    return { b, dataConsumer, far };
  }

  test.each<[string, () => void, RegExp]>([
    ['dies', () => panic(), /panic/],
    ['is closed by the application', () => gateway.close(), /closed by the application/],
  ])('%s: the Cluster says so and leaves, and Routers live on', async (_, end, reason) => {
    const { b, dataConsumer, far } = await crossed();
    const down = nextEvent(b, 'hostdown');
    const gone = nextEvent(far, 'dataproducergone');
    const closed = nextEvent(dataConsumer, 'dataproducerclose');
    const died = nextEvent(a, 'died');
    end();
    const [error] = await died;
    expect((error as Error).message).toMatch(reason);
    expect([a.closed, room.closed, router.closed]).toEqual([true, true, false]);
    expect(await down).toEqual(['a', 'left']);
    expect(await gone).toMatchObject([{ host: 'a' }, 'left']);
    await closed;
    await expect(a.join('r', { router })).rejects.toThrow('the Cluster is closed');
    await a.close();
    const before = published.length;
    await b.close();
    expect(open()).toEqual([]);
    expect(published.slice(before).filter((subject) => subject.endsWith('.a'))).toEqual([]);
  });
});

test('a Worker of the application that dies takes its Rooms along, and nothing else', async () => {
  const a = await start('a');
  const b = await start('b');
  const room = await a.join('r', { router });
  const mortal = await createMortalWorker();
  const mortalRouter = await mortal.worker.createRouter();
  const mortalRoom = await a.join('r', { router: mortalRouter });
  const far = await b.join('r', { router: await worker.createRouter() });
  const dataProducer = await (await mortalRouter.createDirectTransport()).produceData();
  mortalRoom.announce(dataProducer);
  await until(far, 'dataproducer', () => far.dataProducers.has(dataProducer.id));
  const gone = [far, room].map((each) => nextEvent(each, 'dataproducergone'));
  const consumer = await room.consumeData(transport, { dataProducerId: dataProducer.id });
  const closed = nextEvent(consumer, 'dataproducerclose');
  mortal.worker.on('died', () => {});
  mortal.panic();
  for (const each of gone) expect(await each).toMatchObject([{ id: dataProducer.id }, 'closed']);
  await closed;
  expect([mortalRoom.closed, room.closed, a.closed]).toEqual([true, false, false]);
  const next = await transport.produceData();
  room.announce(next);
  await until(far, 'dataproducer', () => far.dataProducers.has(next.id));
  expect(await a.getStats()).toMatchObject({ rooms: 1, paths: 0 });
});

test('of two Clusters of one name the elder emits fenced and closes', async () => {
  const elder = await start('a');
  const room = await elder.join('r', { router });
  const fenced = nextEvent(elder, 'fenced');
  const younger = await start('a');
  await fenced;
  expect([elder.closed, room.closed, younger.closed]).toEqual([true, true, false]);
  expect(router.closed).toBe(false);
  await elder.close();
  expect((await younger.join('r', { router })).closed).toBe(false);
});

describe('join()', () => {
  let release: () => void;
  let fail: (error: Error) => void;

  async function held(): Promise<Cluster> {
    const cluster = await start('a');
    hold = {
      kind: 'room',
      until: new Promise((resolve, reject) => {
        release = resolve;
        fail = reject;
      }),
    };
    return cluster;
  }

  test('rejects when its signal aborts while the bus is down, and leaves no trace', async () => {
    const cluster = await held();
    const abort = new AbortController();
    const joining = cluster.join('r', { router, signal: abort.signal });
    setImmediate(() => abort.abort('enough'));
    await expect(joining).rejects.toBe('enough');
    release();
    hold = undefined;
    const room = await cluster.join('r', { router });
    expect(room.closed).toBe(false);
    await room.close();
    expect(open()).toEqual(['to', 'beat']);
    expect((await cluster.getStats()).rooms).toBe(0);
  });

  test('of a second Router waits for the first', async () => {
    const cluster = await held();
    const other = await worker.createRouter();
    const joined: string[] = [];
    const first = cluster.join('r', { router }).then(() => joined.push('first'));
    const second = cluster.join('r', { router: other }).then(() => joined.push('second'));
    await new Promise(setImmediate);
    expect(joined).toEqual([]);
    release();
    await Promise.all([first, second]);
    expect((await cluster.getStats()).rooms).toBe(1);
  });

  test('rejects for all Routers when the bus refuses the subscription, and may be called again', async () => {
    const cluster = await held();
    const other = await worker.createRouter();
    const joins = [router, other].map((each) => cluster.join('r', { router: each }));
    const settled = Promise.allSettled(joins);
    fail(new Error('not allowed'));
    for (const each of await settled) {
      expect(each).toMatchObject({ status: 'rejected', reason: { message: 'not allowed' } });
    }
    hold = undefined;
    expect((await cluster.join('r', { router: other })).closed).toBe(false);
  });

  test('rejects when the Router or the Cluster closes meanwhile', async () => {
    const cluster = await held();
    const other = await worker.createRouter();
    const joining = cluster.join('r', { router: other });
    other.close();
    release();
    await expect(joining).rejects.toThrow(datasoup.errors.NotFoundError);
    hold = { kind: 'room', until: new Promise(() => {}) };
    const late = cluster.join('s', { router });
    const rejected = expect(late).rejects.toThrow('the Cluster is closed');
    await cluster.close();
    await rejected;
  });
});

test('each call of close() resolves when the Cluster has left', async () => {
  const cluster = await start('a');
  let heard = false;
  bus.publish = () => {};
  const first = cluster.close().then(() => (heard = true));
  expect(cluster.closed).toBe(true);
  await cluster.close();
  expect(heard).toBe(true);
  await first;
  await cluster.close();
});

test.each(['to', 'beat'])(
  'createCluster() leaves no trace when the bus refuses to subscribe to %s',
  async (kind) => {
    const workers: types.Worker[] = [];
    const listener = (created: types.Worker): number => workers.push(created);
    datasoup.observer.on('newworker', listener);
    hold = { kind, until: Promise.reject(new Error('not allowed')) };
    await expect(start('a')).rejects.toThrow('not allowed');
    datasoup.observer.off('newworker', listener);
    expect(open()).toEqual([]);
    expect(workers.map(({ closed }) => closed)).toEqual([true]);
    // The name of the host is free again at once.
    hold = undefined;
    await start('a');
  },
);

test('createCluster() rejects when its Worker ends before it resolves', async () => {
  let release = (): void => {};
  hold = { kind: 'beat', until: new Promise((resolve) => (release = resolve)) };
  const created = new Promise<types.Worker>((resolve) =>
    datasoup.observer.once('newworker', resolve),
  );
  const rejected = expect(start('a')).rejects.toThrow('the Cluster is closed');
  const gateway = await created;
  while (!open().includes('to')) await new Promise(setImmediate);
  gateway.close();
  release();
  await rejected;
  expect(open()).toEqual([]);
});

test('a Cluster that has ended is collected, though its Routers and DataProducers live on', async () => {
  const dataProducer = await transport.produceData();
  const used = async (): Promise<WeakRef<Cluster>> => {
    const cluster = await start('a');
    (await cluster.join('r', { router })).announce(dataProducer);
    await cluster.close();
    clusters.length = 0;
    return new WeakRef(cluster);
  };
  const ref = await used();
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  for (let round = 0; round < 100 && ref.deref(); round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    gc();
  }
  expect(ref.deref()).toBeUndefined();
});
