import { EventEmitter } from 'node:events';

import * as datasoup from '../..';
import type { types } from '../..';
import * as clusters from '../../subpaths/cluster';
import type { Bus, Cluster, ClusterOptions, Room } from '../../subpaths/cluster';
import '../helpers/closeWorkers';
import { Inbox } from '../helpers/Inbox';
import { nextEvent, nextMacrotask } from '../helpers/wait';

// Rooms over real pipes, of hosts that share a process.

const { NotFoundError, UnsupportedError, WorkerClosedError } = datasoup.errors;

const SECRET = 'a secret of more than thirty-two bytes';

type Host = {
  cluster: Cluster;
  worker: types.Worker;
  router: types.Router;
  transport: types.DirectTransport;
  room: Room;
};

let bus: Bus;
/** All that the hosts have published, for tests of secrecy. */
let published: string[];
let hosts: Host[] = [];

/** The pipes over the network, in the order of their making. */
let pipes: types.PipeTransport[];

datasoup.observer.on('newworker', (worker) => {
  worker.observer.on('newrouter', (router) => {
    router.observer.on('newtransport', (transport) => {
      const pipe = transport as types.PipeTransport;
      if (pipe.dtlsParameters && pipe.type === 'pipe') pipes.push(pipe);
    });
  });
});

beforeEach(() => {
  pipes = [];
  const memory = clusters.memoryBus();
  published = [];
  bus = {
    maxPayload: memory.maxPayload,
    publish: (subject, data) => {
      published.push(subject, Buffer.from(data).toString('latin1'));
      memory.publish(subject, data);
    },
    subscribe: (subject, listener) => memory.subscribe(subject, listener),
  };
});

afterEach(async () => {
  for (const { cluster, worker } of hosts.splice(0)) {
    await cluster.close();
    worker.close();
  }
});

const valid = (): ClusterOptions => ({
  bus,
  secret: SECRET,
  listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
  lease: 2000,
  linger: 100,
});

async function withRouter(cluster: Cluster): Promise<Omit<Host, 'cluster'>> {
  const worker = await datasoup.createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  return { worker, router, transport, room: await cluster.join('r', { router }) };
}

async function start(host: string, options: Partial<ClusterOptions> = {}): Promise<Host> {
  const cluster = await clusters.createCluster({ ...valid(), host, ...options });
  const started = { cluster, ...(await withRouter(cluster)) };
  hosts.push(started);
  return started;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 15_000; !(await condition());) {
    if (performance.now() > end) throw new Error(`not within 15 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A DataProducer of one host that another one sees. */
async function announced(
  from: Host,
  to: Host,
  options: types.DataProducerOptions = {},
): Promise<types.DataProducer> {
  const dataProducer = await from.transport.produceData(options);
  from.room.announce(dataProducer);
  await until(() => to.room.dataProducers.has(dataProducer.id));
  return dataProducer;
}

test('messages of a DataProducer cross to another host, in order, from the first one after consumeData()', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await a.transport.produceData({ label: 'chat', protocol: 'p' });
  const seen = nextEvent(b.room, 'dataproducer');
  a.room.announce(dataProducer, { user: 'ann' });
  const remote = { host: 'a', label: 'chat', protocol: 'p', info: { user: 'ann' } };
  expect(await seen).toEqual([{ id: dataProducer.id, ...remote }]);
  expect([...b.cluster.hosts.keys()]).toEqual(['a']);

  const dataConsumer = await b.room.consumeData(b.transport, { dataProducerId: dataProducer.id });
  const inbox = new Inbox(dataConsumer);
  const texts = Array.from({ length: 100 }, (_, number) => `${number}`);
  for (const text of texts) dataProducer.send(text);
  await inbox.count(100);
  expect(inbox.texts).toEqual(texts);
  expect(dataConsumer).toMatchObject({
    label: 'chat',
    protocol: 'p',
    dataProducerId: dataProducer.id,
  });

  const closed = nextEvent(dataConsumer, 'dataproducerclose');
  const gone = nextEvent(b.room, 'dataproducergone');
  dataProducer.close();
  await closed;
  expect(await gone).toMatchObject([{ id: dataProducer.id }, 'closed']);
  expect(published.join()).not.toMatch(/chat|ann|secret/);
});

test('one path serves all DataConsumers, and ends after linger', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await announced(a, b);
  const options = { dataProducerId: dataProducer.id };
  const dataConsumers = await Promise.all(
    Array.from({ length: 5 }, () => b.room.consumeData(b.transport, options)),
  );
  const inboxes = dataConsumers.map((each) => new Inbox(each));
  dataProducer.send('x');
  for (const inbox of inboxes) await inbox.count(1);
  expect(dataProducer.demand.consumers).toBe(1);
  expect((await a.cluster.getStats()).gives).toEqual([{ host: 'b', carrier: 'pipe', carried: 1 }]);
  expect(await b.cluster.getStats()).toMatchObject({
    takes: [{ host: 'a', state: 'up', wanted: 1 }],
    paths: 1,
  });
  for (const each of dataConsumers) each.close();
  await until(async () => (await b.cluster.getStats()).paths === 0);
  await until(async () => (await a.cluster.getStats()).gives.length === 0);
  // The path can be made again.
  const again = new Inbox(await b.room.consumeData(b.transport, options));
  dataProducer.send('y');
  await again.count(1);
});

test('only subchannels with a subscription cross', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await announced(a, b);
  const consume = async (subchannels: number[]): Promise<types.DataConsumer> =>
    b.room.consumeData(b.transport, { dataProducerId: dataProducer.id, subchannels });
  const first = new Inbox(await consume([1]));
  const dataConsumer = await consume([2]);
  const second = new Inbox(dataConsumer);
  // What the second one wants is known to the origin some time after consumeData().
  await until(() => {
    dataProducer.send('ping', undefined, [2]);
    return second.texts.length > 0;
  });
  for (const subchannel of [1, 2, 3]) dataProducer.send(`${subchannel}`, undefined, [subchannel]);
  dataProducer.send('all');
  await until(() => second.texts.includes('all') && first.texts.includes('all'));
  expect(first.texts).toEqual(['1', 'all']);
  expect(second.texts.filter((text) => text !== 'ping')).toEqual(['2', 'all']);

  await dataConsumer.setSubchannels([3]);
  await until(() => {
    dataProducer.send('late', undefined, [3]);
    return second.texts.includes('late');
  });
});

test.each(['pipe', 'bus'] as const)(
  'carrier %s: what a DataProducer retains comes first, once',
  async (carrier) => {
    const [a, b] = [await start('a'), await start('b', { carrier })];
    const dataProducer = await announced(a, b, { retain: { messages: 2 } });
    for (const text of ['1', '2', '3']) dataProducer.send(text);
    const consume = async (): Promise<Inbox> =>
      new Inbox(await b.room.consumeData(b.transport, { dataProducerId: dataProducer.id }));
    const [first, second] = [await consume(), await consume()];
    dataProducer.send('4');
    await first.count(3);
    await second.count(3);
    expect([first.texts, second.texts]).toEqual([
      ['2', '3', '4'],
      ['2', '3', '4'],
    ]);
  },
);

test.each(['pipe', 'bus'] as const)(
  'carrier %s: overflow is of each DataConsumer, and delays no other',
  async (carrier) => {
    const [a, b] = [await start('a'), await start('b', { carrier })];
    const dataProducer = await announced(a, b);
    const dataProducerId = dataProducer.id;
    const overflows = ['drop-newest', 'drop-oldest', 'keep-latest', 'close'] as const;
    const slow = await Promise.all(
      overflows.map((overflow) =>
        b.room.consumeData(b.transport, {
          dataProducerId,
          overflow,
          whilePaused: 'hold',
          // Three messages: each counts 64 bytes more than it has.
          maxBufferedAmount: 3_000,
        }),
      ),
    );
    const inboxes = slow.map((dataConsumer) => new Inbox(dataConsumer));
    const fast = new Inbox(await b.room.consumeData(b.transport, { dataProducerId }));
    await Promise.all(slow.map((dataConsumer) => dataConsumer.pause()));

    for (let number = 0; number < 8; number += 1) dataProducer.send(`${number}`.repeat(936));
    await fast.count(8);
    await until(() => slow[3]!.closed);
    await Promise.all(slow.slice(0, 3).map((dataConsumer) => dataConsumer.resume()));
    await Promise.all([3, 3, 1].map((count, index) => inboxes[index]!.count(count)));
    dataProducer.send('end');
    await Promise.all([
      fast.count(9),
      ...[4, 4, 2].map((count, index) => inboxes[index]!.count(count)),
    ]);

    const heads = inboxes.map(({ texts }) => texts.map((text) => text[0]).join(''));
    expect(heads).toEqual(['012e', '567e', '7e', '']);
  },
);

test('two Routers of a host are in the room, and see each other', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const far = await announced(a, b);
  const second = { cluster: b.cluster, ...(await withRouter(b.cluster)) };
  const seen: string[] = [];
  second.room.on('dataproducer', ({ id }) => seen.push(id));
  const near = await announced(b, second);
  await until(() => seen.length === 2);
  expect(seen.sort()).toEqual([far.id, near.id].sort());
  expect(second.room.dataProducers.get(near.id)?.host).toBe('b');
  expect(b.room.dataProducers.has(near.id)).toBe(false);

  const [one, other] = await Promise.all([
    second.room.consumeData(second.transport, { dataProducerId: far.id }),
    second.room.consumeData(second.transport, { dataProducerId: near.id }),
  ]);
  const inboxes = [new Inbox(one), new Inbox(other)];
  far.send('far');
  near.send('near');
  await inboxes[0]!.count(1);
  await inboxes[1]!.count(1);
  await second.room.close();
  expect(second.room.dataProducers.size).toBe(0);
  await until(() => b.room.dataProducers.has(far.id));
  second.worker.close();
});

test('two Routers of one Worker consume the same DataProducers', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const far = await announced(a, b);
  const near = await announced(b, a);
  const worker = await datasoup.createWorker();
  const inboxes: Inbox[] = [];
  for (const name of ['r', 'r', 'other']) {
    const router = await worker.createRouter();
    const room = await b.cluster.join(name, { router });
    const transport = await router.createDirectTransport();
    if (name === 'other') {
      // The room "other" shows both DataProducers as well.
      for (const [host, dataProducer] of [
        [a, far],
        [b, near],
      ] as const) {
        (await host.cluster.join(name, { router: host.router })).announce(dataProducer);
      }
    }
    for (const { id } of [far, near]) {
      await until(() => room.dataProducers.has(id));
      inboxes.push(new Inbox(await room.consumeData(transport, { dataProducerId: id })));
    }
  }
  far.send('far');
  near.send('near');
  for (const inbox of inboxes) await inbox.count(1);
  expect(inboxes.flatMap(({ texts }) => texts)).toEqual([
    'far',
    'near',
    'far',
    'near',
    'far',
    'near',
  ]);
  expect((await b.cluster.getStats()).takes).toMatchObject([{ host: 'a', wanted: 1 }]);
  worker.close();
});

test('DataConsumers of another Router of this host close with the room, or a while after the last one', async () => {
  const b = await start('b');
  const second = { cluster: b.cluster, ...(await withRouter(b.cluster)) };
  const dataProducer = await announced(b, second);
  const consume = async (signal?: AbortSignal): Promise<types.DataConsumer> =>
    second.room.consumeData(second.transport, { dataProducerId: dataProducer.id, signal });
  (await consume()).close();
  await until(async () => (await b.cluster.getStats()).paths === 0);
  await until(() => dataProducer.demand.consumers === 0);
  await expect(consume(AbortSignal.abort('no'))).rejects.toBe('no');
  const dataConsumer = await consume();
  expect(dataProducer.demand.consumers).toBe(1);
  const closed = nextEvent(dataConsumer, 'dataproducerclose');
  await second.room.close();
  await closed;
  expect(dataProducer.demand.consumers).toBe(0);
  second.worker.close();
});

test('a call that is aborted late does not end a path that others use', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await announced(a, b);
  const options = { dataProducerId: dataProducer.id };
  const { consumeData } = b.transport;
  const controller = new AbortController();
  b.transport.consumeData = async (given: any): Promise<any> => {
    const dataConsumer = await consumeData.call(b.transport, given);
    controller.abort('late');
    return dataConsumer;
  };
  const { signal } = controller;
  await expect(b.room.consumeData(b.transport, { ...options, signal })).rejects.toBe('late');
  b.transport.consumeData = consumeData;
  const dataConsumer = await b.room.consumeData(b.transport, options);
  // Longer than a path stays without DataConsumers.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(dataConsumer.closed).toBe(false);
  expect((await b.cluster.getStats()).paths).toBe(1);
});

describe('consumeData() that waits for a path rejects', () => {
  test.each<[string, (a: Host, b: Host, dataProducer: types.DataProducer) => unknown, RegExp]>([
    ['when the DataProducer closes', (_a, _b, it) => it.close(), /of host a is gone/],
    ['when its host leaves', (a) => a.cluster.close(), /of host a is gone/],
    ['when the Room closes', (_a, b) => b.room.close(), /the Room 'r' is closed/],
    ['when the Cluster closes', (_a, b) => b.cluster.close(), /is gone|is closed/],
  ])('%s', async (_, end, reason) => {
    const [a, b] = [await start('a'), await start('b')];
    const dataProducer = await announced(a, b);
    const { publish } = bus;
    // Requests for pipes, and their answers, are lost.
    bus.publish = (subject, data) => subject.includes('.to.') || publish(subject, data);
    const options = { dataProducerId: dataProducer.id };
    const rejected = expect(b.room.consumeData(b.transport, options)).rejects.toThrow(reason);
    await nextMacrotask();
    await end(a, b, dataProducer);
    await rejected;
    expect((await b.cluster.getStats()).paths).toBe(0);
  });
});

test('a copy that is made when its path has ended closes', async () => {
  const b = await start('b');
  const second = { cluster: b.cluster, ...(await withRouter(b.cluster)) };
  const dataProducer = await announced(b, second);
  const options = { dataProducerId: dataProducer.id };
  const { pipeToRouter } = b.router;
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => (go = resolve));
  let made: ReturnType<types.Router['pipeToRouter']> | undefined;
  b.router.pipeToRouter = async (given: any): Promise<any> => {
    await gate;
    made = pipeToRouter.call(b.router, given);
    return made;
  };
  const controller = new AbortController();
  const { signal } = controller;
  const rejected = expect(
    second.room.consumeData(second.transport, { ...options, signal }),
  ).rejects.toBe('enough');
  await nextMacrotask();
  controller.abort('enough');
  await rejected;
  await until(async () => (await b.cluster.getStats()).paths === 0);
  go();
  await until(() => made !== undefined);
  const { pipeDataConsumer, pipeDataProducer } = await made!;
  await until(() => pipeDataConsumer!.closed && pipeDataProducer!.closed);
  b.router.pipeToRouter = pipeToRouter;
  // The id is free again.
  const dataConsumer = await second.room.consumeData(second.transport, options);
  expect(dataConsumer.dataProducerId).toBe(dataProducer.id);
  second.worker.close();
});

test('of two Routers of a host that announce an id the second one is seen once the first is gone', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const second = { cluster: a.cluster, ...(await withRouter(a.cluster)) };
  const third = { cluster: a.cluster, ...(await withRouter(a.cluster)) };
  const first = await announced(a, b);
  const { id } = first;
  const later = await second.transport.produceData({ id });
  second.room.announce(later, 'later');
  const closed = nextEvent(
    await b.room.consumeData(b.transport, { dataProducerId: id }),
    'dataproducerclose',
  );
  first.close();
  await closed;
  for (const { room, transport } of [b, third, a]) {
    await until(() => room.dataProducers.get(id)?.info === 'later');
    const inbox = new Inbox(await room.consumeData(transport, { dataProducerId: id }));
    later.send('x');
    await inbox.count(1);
  }
  later.close();
  for (const { room } of [b, third, a]) await until(() => room.dataProducers.size === 0);
  second.worker.close();
  third.worker.close();
});

test('what a listener of the room closes is not shown after that', async () => {
  const b = await start('b');
  const produced = [await b.transport.produceData(), await b.transport.produceData()] as const;
  for (const each of produced) b.room.announce(each);
  const [second, third] = [await withRouter(b.cluster), await withRouter(b.cluster)];
  const events: string[] = [];
  const note = (event: string) => (remote: { id: string }) => {
    events.push(`${event} ${produced.findIndex(({ id }) => id === remote.id)}`);
    produced[1].close();
  };
  third.room.on('dataproducer', note('shown'));
  third.room.on('dataproducergone', note('gone'));
  await until(() => events.length > 0);
  await nextMacrotask();
  expect(events).toEqual(['shown 0']);

  // Nor is a DataProducer shown that a listener of another Room has closed.
  const last = await b.transport.produceData();
  second.room.on('dataproducer', () => last.close());
  b.room.announce(last);
  expect([...third.room.dataProducers.keys()]).toEqual([produced[0].id]);
  second.worker.close();
  third.worker.close();
});

test('what the application does to room.dataProducers changes nothing', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const { id } = await announced(a, b);
  (b.room.dataProducers as Map<string, unknown>).clear();
  expect(() => Object.assign(b.room.dataProducers.get(id)!, { host: 'c' })).toThrow(TypeError);
  await b.room.consumeData(b.transport, { dataProducerId: id });
});

test('a bus that delivers before publish() returns', async () => {
  const emitter = new EventEmitter().setMaxListeners(0);
  const dispose: typeof Symbol.asyncDispose = Symbol.for('nodejs.asyncDispose') as any;
  bus = {
    maxPayload: 65_536,
    publish: (subject, data) => void emitter.emit(subject, data),
    subscribe: async (subject, listener) => {
      emitter.on(subject, listener);
      return { [dispose]: async () => void emitter.off(subject, listener) } as AsyncDisposable;
    },
  };
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await announced(a, b);
  const dataConsumer = await b.room.consumeData(b.transport, { dataProducerId: dataProducer.id });
  const inbox = new Inbox(dataConsumer);
  dataProducer.send('x');
  await inbox.count(1);
  const { refused, takes } = await b.cluster.getStats();
  expect({ refused, takes }).toMatchObject({ refused: {}, takes: [{ state: 'up', failures: 0 }] });
  const gone = nextEvent(b.room, 'dataproducergone');
  await a.cluster.close();
  expect(await gone).toMatchObject([{ id: dataProducer.id }, 'left']);
  await b.cluster.close();
  expect(emitter.eventNames()).toEqual([]);
  // No timer is left either.
  const later = jest.spyOn(globalThis, 'setTimeout');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(later.mock.calls.map(([, ms]) => ms)).toEqual([300]);
  later.mockRestore();
});

test('of two hosts that announce an id the second one is seen once the first is gone', async () => {
  const [a, b, c] = [await start('a'), await start('b'), await start('c')];
  const first = await announced(a, b);
  await until(() => c.room.dataProducers.has(first.id));
  const events: string[] = [];
  for (const { room, cluster } of [b, c]) {
    const note = (event: string, host: string): void => {
      events.push(`${cluster.host}: ${event} ${host}`);
    };
    room.on('dataproducer', ({ host }) => note('dataproducer', host));
    room.on('dataproducergone', ({ host }) => note('dataproducergone', host));
  }
  const { id } = first;
  const closed = nextEvent(
    await b.room.consumeData(b.transport, { dataProducerId: id }),
    'dataproducerclose',
  );
  // A client that moves to another host, which still sees what it had on the first one.
  const second = await c.transport.produceData({ id });
  c.room.announce(second);
  expect(events).toEqual(['c: dataproducergone a']);
  await until(async () => (await a.cluster.getStats()).hosts.length === 2);
  first.close();
  await closed;
  await until(() => b.room.dataProducers.get(id)?.host === 'c');
  const inbox = new Inbox(await b.room.consumeData(b.transport, { dataProducerId: id }));
  second.send('from c');
  await inbox.count(1);
  expect(events.slice(1)).toEqual(['b: dataproducergone a', 'b: dataproducer c']);
  second.close();
  await until(() => !b.room.dataProducers.has(id));
});

test('a pipe that fails: the DataConsumer stays, and what was lost is said', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await announced(a, b);
  const dataConsumer = await b.room.consumeData(b.transport, { dataProducerId: dataProducer.id });
  const inbox = new Inbox(dataConsumer);
  dataProducer.send('before');
  await inbox.count(1);
  const missed: number[] = [];
  b.room.on('missed', (_, atMost) => missed.push(atMost));

  const received = (): number => inbox.texts.length;
  let sent = 1;
  const send = (): void => {
    sent += 1;
    dataProducer.send(`${sent}`);
  };
  for (let failure = 0; failure < 3; failure += 1) {
    const before = pipes.length;
    // The last one in the list is the origin's end of the pipe.
    pipes.at(-1)!.close();
    for (let number = 0; number < 10; number += 1) send();
    await until(() => pipes.length >= before + 2);
    const last = received();
    await until(async () => {
      send();
      await new Promise((resolve) => setTimeout(resolve, 20));
      return received() > last;
    });
  }
  expect(dataConsumer.closed).toBe(false);
  await until(() => inbox.texts.at(-1) === `${sent}`);
  expect(new Set(inbox.texts).size).toBe(received());
  const reported = missed.reduce((sum, each) => sum + each, 0);
  expect(reported).toBe(sent - received());
  expect(reported).toBeGreaterThan(0);
});

test('a burst within the queue of a host arrives whole', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await announced(a, b);
  const dataConsumer = await b.room.consumeData(b.transport, { dataProducerId: dataProducer.id });
  const inbox = new Inbox(dataConsumer);
  // What is routed in one turn waits: at most 3.75 MB of 4 MiB. A pipe holds 2 MB by default.
  const numbers = Array.from({ length: 15 }, (_, number) => number);
  for (let round = 1; round <= 10; round += 1) {
    for (const number of numbers) dataProducer.send(Buffer.alloc(250_000, number));
    await inbox.count(round * numbers.length);
    expect(inbox.buffers.slice(-numbers.length).map(([first]) => first)).toEqual(numbers);
  }
});

test('over the bus: everything as over UDP, in order, and sealed', async () => {
  const [a, b] = [await start('a'), await start('b', { carrier: 'bus' })];
  const dataProducer = await announced(a, b, { retain: { messages: 1 } });
  dataProducer.send('retained');
  const options = { dataProducerId: dataProducer.id };
  const dataConsumer = await b.room.consumeData(b.transport, options);
  const all = new Inbox(dataConsumer);
  const one = new Inbox(await b.room.consumeData(b.transport, { ...options, subchannels: [1] }));
  const large = 'plaintext'.repeat(700);
  for (let number = 0; number < 300; number += 1) dataProducer.send(`${number} ${large}`);
  dataProducer.send('one', undefined, [1]);
  dataProducer.send('last');
  await all.count(302);
  await one.count(303);
  expect(all.texts.map((text) => text.split(' ')[0])).toEqual([
    'retained',
    ...Array.from({ length: 300 }, (_, number) => `${number}`),
    'last',
  ]);
  expect(one.texts.slice(-2)).toEqual(['one', 'last']);
  const text = published.join();
  expect(text.length).toBeGreaterThan(300 * large.length);
  expect(text).not.toMatch(/plaintext|retained/);
  expect(await b.cluster.getStats()).toMatchObject({
    takes: [{ host: 'a', state: 'up', carrier: 'bus', failures: 0 }],
    overBus: { datagramsDropped: 0 },
  });
  expect((await a.cluster.getStats()).overBus.bytesSent).toBeGreaterThan(300 * large.length);
  // Nothing listens on the network.
  expect(pipes.map(({ tuple }) => tuple.localAddress)).toEqual(['127.0.0.1', '127.0.0.1']);

  for (let number = 0; number < 100; number += 1) dataProducer.send(`end ${number}`);
  const closed = nextEvent(dataConsumer, 'dataproducerclose');
  await a.cluster.close();
  await closed;
  // They are at the gateway by then, and come to this thread after it.
  await all.count(402);
  expect(all.texts.at(-1)).toBe('end 99');
  await until(async () => (await b.cluster.getStats()).takes.length === 0);
});

test('over the bus: a bus that loses, doubles and refuses messages costs none; forged ones change nothing', async () => {
  const [a, b] = [await start('a'), await start('b', { carrier: 'bus' })];
  const dataProducer = await announced(a, b);
  const inbox = new Inbox(
    await b.room.consumeData(b.transport, { dataProducerId: dataProducer.id }),
  );
  const { publish } = bus;
  let count = 0;
  bus.publish = (subject, data) => {
    count += 1;
    if (!subject.includes('.data.')) {
      publish(subject, data);
      return;
    }
    if (count % 11 === 0) throw new Error('too long for the bus');
    if (count % 7 !== 0) publish(subject, data);
    if (count % 5 === 0) publish(subject, data);
    const forged = Uint8Array.from(data);
    forged[2 + (count % (forged.length - 2))]! ^= 1;
    publish(subject, forged);
    publish(subject, forged.subarray(0, count % forged.length));
  };
  for (let number = 0; number < 2000; number += 1) {
    dataProducer.send(`${number}`);
    if (number % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await inbox.count(2000);
  expect(inbox.texts).toEqual(Array.from({ length: 2000 }, (_, number) => `${number}`));
  for (const { cluster } of [a, b]) {
    expect((await cluster.getStats()).overBus.datagramsDropped).toBeGreaterThan(0);
  }
});

test('a port range without a free port: consumeData() says so, and the bus carries with auto', async () => {
  const busy = await datasoup.createWorker();
  const router = await busy.createRouter();
  const { tuple } = await router.createPlainTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
  });
  const portRange = { min: tuple.localPort, max: tuple.localPort };
  const listenInfo = { protocol: 'udp', ip: '127.0.0.1', portRange } as const;
  const a = await start('a');
  const [b, c] = [
    await start('b', { listenInfo, carrier: 'pipe' }),
    await start('c', { listenInfo }),
  ];
  const dataProducer = await announced(a, b);
  await until(() => c.room.dataProducers.has(dataProducer.id));
  const options = { dataProducerId: dataProducer.id };
  const carrier = nextEvent(c.cluster, 'carrier');
  const [failed, dataConsumer] = await Promise.all([
    b.room.consumeData(b.transport, options).catch((error) => error),
    c.room.consumeData(c.transport, options),
  ]);
  expect(failed.message).toMatch(/^no path to host a: .*in use/);
  expect(await carrier).toEqual(['a', 'bus', expect.stringContaining('in use')]);
  const inbox = new Inbox(dataConsumer);
  dataProducer.send('x');
  await inbox.count(1);
  busy.close();
});

test('a host that leaves: its DataProducers are gone at once, and all that it has sent has arrived', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const dataProducer = await announced(a, b);
  const dataConsumer = await b.room.consumeData(b.transport, { dataProducerId: dataProducer.id });
  const inbox = new Inbox(dataConsumer);
  const closed = nextEvent(dataConsumer, 'dataproducerclose');
  const gone = nextEvent(b.room, 'dataproducergone');
  const down = nextEvent(b.cluster, 'hostdown');
  for (let number = 0; number < 1000; number += 1) dataProducer.send(`${number}`);
  await a.cluster.close();
  expect(await gone).toMatchObject([{ host: 'a' }, 'left']);
  expect(await down).toEqual(['a', 'left']);
  await closed;
  expect(inbox.texts).toHaveLength(1000);
  await a.cluster.close();
  await expect(a.cluster.join('r', { router: a.router })).rejects.toThrow('closed');
});

test('a Router or DataProducer that has been in many rooms has no trace of them', async () => {
  const a = await start('a');
  const dataProducer = await a.transport.produceData();
  for (let count = 0; count < 300; count += 1) {
    const room = await a.cluster.join(`r${count}`, { router: a.router });
    room.announce(dataProducer);
    await room.close();
    expect(room.closed).toBe(true);
  }
  expect(await a.cluster.getStats()).toMatchObject({ rooms: 1, paths: 0, takes: [], gives: [] });
  // The Rooms that have left are not called any more when the Worker closes; the Room that is left closes.
  const left = nextEvent(a.router, 'close');
  a.worker.close();
  await left;
  expect(a.room.closed).toBe(true);
});

describe('bad input', () => {
  test.each<[string, (options: any) => void, RegExp]>([
    ['no bus', (it) => delete it.bus, /bus must be a Bus/],
    [
      'a bus of small messages',
      (it) => (it.bus = { ...bus, maxPayload: 100 }),
      /bus.maxPayload must be 65536/,
    ],
    [
      'a short secret',
      (it) => (it.secret = 'x'.repeat(31)),
      /secret must have 32 bytes or more \(got 31\)/,
    ],
    ['no secret', (it) => delete it.secret, /secret must be a string or a Buffer/],
    [
      'three secrets',
      (it) => (it.secret = [SECRET, SECRET, SECRET]),
      /secret must be one secret, or/,
    ],
    [
      'a secret twice',
      (it) => (it.secret = [SECRET, SECRET]),
      /secret must be one secret, or two different ones/,
    ],
    ['a carrier', (it) => (it.carrier = 'tcp'), /carrier must be 'auto', 'pipe' or 'bus'/],
    ['a short lease', (it) => (it.lease = 499), /lease must be an integer from 500/],
    ['a host with a dot', (it) => (it.host = 'a.b'), /host must be 1 to 64 letters/],
    ['a prefix with a star', (it) => (it.prefix = 'a.*'), /prefix must be/],
    ['no listenInfo', (it) => delete it.listenInfo, /missing listenInfo/],
    [
      'an address that leads nowhere',
      (it) => (it.listenInfo.ip = '0.0.0.0'),
      /announcedAddress is needed/,
    ],
    [
      'a name as address',
      (it) => (it.listenInfo.announcedAddress = 'h.example'),
      /must be an IP address/,
    ],
  ])('createCluster(): %s', async (_, change, message) => {
    const options = valid();
    change(options);
    const error = await clusters.createCluster(options).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain(SECRET);
  });

  test('join(), announce() and consumeData()', async () => {
    const [a, b] = [await start('a'), await start('b')];
    const dataProducer = await announced(a, b);
    const join = (...args: any[]): Promise<unknown> => (a.cluster.join as any)(...args);
    await expect(join('', { router: a.router })).rejects.toThrow(TypeError);
    await expect(join('r', {})).rejects.toThrow(/router must be a Router/);
    await expect(join('r', { router: a.router })).rejects.toThrow(/is in the room 'r' already/);
    const { worker } = b;
    const closing = await datasoup.createWorker();
    const closed = await closing.createRouter();
    closing.close();
    await expect(join('r', { router: closed })).rejects.toThrow(WorkerClosedError);

    expect(() => a.room.announce({} as any)).toThrow(TypeError);
    expect(() => a.room.announce(dataProducer)).toThrow(/announced in the room already/);
    expect(() => b.room.announce(dataProducer)).toThrow(/of the Router of this Room/);
    const other = await a.transport.produceData();
    expect(() => a.room.announce(other, 'x'.repeat(1100))).toThrow(/at most 1024 bytes/);
    expect(() => a.room.announce(other, 1n)).toThrow(/serializable as JSON/);
    const { pipeDataProducer } = await a.router.pipeToRouter({
      dataProducerId: other.id,
      router: b.router,
    });
    const piped = (): void => b.room.announce(pipeDataProducer!);
    expect(piped).toThrow(TypeError);
    expect(piped).toThrow(/came through a pipe: its own host announces it/);
    pipeDataProducer!.close();

    const dataProducerId = dataProducer.id;
    await expect(
      b.room.consumeData(b.transport, { dataProducerId, overflow: 'block' }),
    ).rejects.toThrow(UnsupportedError);
    await expect(b.room.consumeData(a.transport, { dataProducerId })).rejects.toThrow(TypeError);
    await expect(b.room.consumeData(b.transport, { dataProducerId: other.id })).rejects.toThrow(
      NotFoundError,
    );
    await expect(
      b.room.consumeData(b.transport, { dataProducerId, signal: AbortSignal.abort('no') }),
    ).rejects.toBe('no');

    await b.room.consumeData(b.transport, { dataProducerId });
    const routerHas = (b.transport as any).internal.routerId;
    expect(routerHas).toBe(b.router.id);
    expect(worker.closed).toBe(false);
  });
});
