import * as datasoup from '..';
import type { types } from '..';
import { coreOf } from '../lib/Entity';
import './helpers/closeWorkers';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { nextEvent } from './helpers/wait';

const { NotFoundError, UnsupportedError } = datasoup.errors;

let worker1: types.Worker;
let worker2: types.Worker;
let router1: types.Router;
let router2: types.Router;
let direct1: types.DirectTransport;
let direct2: types.DirectTransport;
let original: types.DataProducer;

beforeEach(async () => {
  worker1 = await datasoup.createWorker();
  worker2 = await datasoup.createWorker();
  router1 = await worker1.createRouter();
  router2 = await worker2.createRouter();
  direct1 = await router1.createDirectTransport();
  direct2 = await router2.createDirectTransport();
  original = await direct1.produceData({ label: 'l', protocol: 'p', appData: { a: 1 } });
});

afterEach(() => {
  worker1.close();
  worker2.close();
});

/** What the pause of the original shows on the other router. */
const shownPause = [
  'pipeDataProducer pause',
  'pipeDataProducer.observer pause',
  'far dataproducerpause',
  'far.observer pause',
];
const shownResume = shownPause.map((line) => line.replace('pause', 'resume'));

type Piped = Required<types.PipeToRouterResult>;

async function pipe(more: Partial<types.PipeToRouterOptions> = {}): Promise<Piped> {
  return (await router1.pipeToRouter({
    dataProducerId: original.id,
    router: router2,
    ...more,
  } as types.PipeToRouterOptions)) as Piped;
}

/** Resolves once both workers have handled every earlier call and lib/ has emitted the events. */
async function settled(): Promise<void> {
  for (const worker of [worker1, worker2, worker1, worker2]) {
    if (!worker.closed) {
      await worker.dump();
    }
  }
}

function countTransports(router: types.Router): { count: number } {
  const counter = { count: 0 };
  router.observer.on('newtransport', () => counter.count++);
  return counter;
}

describe('router.pipeToRouter()', () => {
  test('accepts a dataProducerId in upper case, as consumeData() does', async () => {
    const { pipeDataProducer } = await pipe({ dataProducerId: original.id.toUpperCase() });
    expect(pipeDataProducer.id).toBe(original.id);
  });

  test('accepts options that are inherited from a frozen prototype', async () => {
    const transports: types.Transport[] = [];
    router1.observer.on('newtransport', (transport) => void transports.push(transport));
    const options = {
      dataProducerId: original.id,
      router: router2,
      listenInfo: { protocol: 'udp', ip: '127.0.0.2' },
      maxSendMessageSize: 1234,
    } as const;
    await router1.pipeToRouter(Object.create(Object.freeze(options)));
    expect(transports).toMatchObject([
      { tuple: { localAddress: '127.0.0.2' }, sctpParameters: { maxSendMessageSize: 1234 } },
    ]);
  });

  test.each(['0.0.0.0', '::', '0:0::0', '::ffff:0.0.0.0'])('listens on %s', async (ip) => {
    const listenInfo = { protocol: 'udp', ip } as const;
    const { pipeDataProducer } = await pipe({ listenInfo });
    expect(pipeDataProducer.id).toBe(original.id);
  });

  test('creates a DataConsumer on its router and a DataProducer on the other one', async () => {
    const { pipeDataConsumer, pipeDataProducer } = await pipe();
    expect(pipeDataProducer.id).toBe(original.id);
    expect(pipeDataConsumer).toMatchObject({
      type: 'sctp',
      label: 'l',
      protocol: 'p',
      subchannels: [],
      dataProducerId: original.id,
    });
    expect(pipeDataConsumer.appData).toEqual({});
    expect(pipeDataProducer).toMatchObject({ type: 'sctp', label: 'l', protocol: 'p' });
    expect(pipeDataProducer.appData).toEqual({ a: 1 });
    expect(pipeDataProducer.sctpStreamParameters).toEqual({ streamId: 0, ordered: true });
  });

  test('carries messages to the other router with their PPIDs and subchannels', async () => {
    await pipe();
    const dataConsumer = await direct2.consumeData({
      dataProducerId: original.id,
      subchannels: [1],
    });
    const inbox = new Inbox(dataConsumer);
    original.send('a');
    original.send('b', 51, [1]);
    original.send('c', 51, [2]);
    original.send(Buffer.from('d'));
    expect(await inbox.count(3)).toEqual([
      { text: 'a', ppid: 51 },
      { text: 'b', ppid: 51 },
      { text: 'd', ppid: 53 },
    ]);
  });

  test('a newtransport listener can create a DataConsumer on the PipeTransport, which gets messages', async () => {
    const other = await direct1.produceData();
    const early = new Promise<types.DataConsumer>((resolve, reject) => {
      router1.observer.once('newtransport', (transport) => {
        transport.consumeData({ dataProducerId: other.id }).then(resolve, reject);
      });
    });
    await pipe();
    const dataConsumer = await early;
    other.send('x');
    await settled();
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: 1, messagesDropped: 0 },
    ]);
  });

  test('a close listener of the pipeDataProducer can call pipeToRouter() again', async () => {
    const other = await direct1.produceData();
    let pipeTransport: types.Transport | undefined;
    router1.observer.once('newtransport', (transport) => (pipeTransport = transport));
    const { pipeDataProducer } = await pipe();
    const again = new Promise<Piped>((resolve, reject) => {
      pipeDataProducer.observer.once('close', () => {
        pipe({ dataProducerId: other.id }).then(resolve, reject);
      });
    });
    pipeTransport?.close();
    const piped = await again;
    const counter = countTransports(router1);
    await pipe();
    expect(counter.count).toBe(0);
    expect(piped.pipeDataProducer.closed).toBe(false);
  });

  test('keepId false gives the pipeDataProducer another id, and works within one worker', async () => {
    const { pipeDataProducer } = await pipe({ keepId: false });
    expect(pipeDataProducer.id).not.toBe(original.id);
    const same = await worker1.createRouter();
    const second = await pipe({ router: same, keepId: false });
    const direct = await same.createDirectTransport();
    const inbox = new Inbox(
      await direct.consumeData({ dataProducerId: second.pipeDataProducer.id }),
    );
    original.send('same worker');
    expect(await inbox.count(1)).toEqual([{ text: 'same worker', ppid: 51 }]);
  });

  test('keepId true within one worker rejects with an Error and leaves no DataConsumer', async () => {
    const same = await worker1.createRouter();
    await expect(pipe({ router: same })).rejects.toThrow(Error);
    const { mapDataProducerIdDataConsumerIds } = await router1.dump();
    expect(mapDataProducerIdDataConsumerIds).toEqual([{ key: original.id, values: [] }]);
  });

  test('a second call for the same DataProducer rejects and leaves the first pair open', async () => {
    const { pipeDataConsumer } = await pipe();
    await expect(pipe()).rejects.toThrow(Error);
    const { mapDataProducerIdDataConsumerIds } = await router1.dump();
    expect(mapDataProducerIdDataConsumerIds).toEqual([
      { key: original.id, values: [pipeDataConsumer.id] },
    ]);
  });

  test('creates one pair of transports, also when both routers call at the same time', async () => {
    const counters = [countTransports(router1), countTransports(router2)];
    const back = await direct2.produceData();
    const second = await direct1.produceData();
    await Promise.all([
      pipe(),
      pipe({ dataProducerId: second.id }),
      router2.pipeToRouter({ dataProducerId: back.id, router: router1 }),
    ]);
    const third = await direct1.produceData();
    await pipe({ dataProducerId: third.id, maxSendMessageSize: 1000 } as object);
    expect(counters.map(({ count }) => count)).toEqual([1, 1]);
  });

  test('of a paused DataProducer: dataProducerPaused is true, and no message crosses before resume()', async () => {
    await original.pause();
    const { pipeDataConsumer, pipeDataProducer } = await pipe();
    expect(pipeDataConsumer.dataProducerPaused).toBe(true);
    expect(pipeDataProducer.paused).toBe(true);
    const far = await direct2.consumeData({ dataProducerId: original.id });
    expect(far.dataProducerPaused).toBe(true);
    const recorder = new EventRecorder().watch({ pipeDataProducer, far });
    const inbox = new Inbox(far);
    original.send('a');
    await original.resume();
    original.send('b');
    expect(await inbox.count(1)).toEqual([{ text: 'b', ppid: 51 }]);
    expect(recorder.take()).toEqual([...shownResume, "far message('b', 51)"]);
    expect(pipeDataProducer.paused).toBe(false);
  });

  test('pause(), send(a), resume(), send(b) of the original delivers b, and shows both at the far end in their places', async () => {
    const { pipeDataProducer } = await pipe();
    const far = await direct2.consumeData({ dataProducerId: original.id });
    const recorder = new EventRecorder().watch({ pipeDataProducer, far });
    const inbox = new Inbox(far);
    await settled();
    original.send('0');
    const calls = [original.pause()];
    original.send('a');
    calls.push(original.resume());
    original.send('b');
    await Promise.all(calls);
    await inbox.count(2);
    expect(recorder.take()).toEqual([
      "far message('0', 51)",
      ...shownPause,
      ...shownResume,
      "far message('b', 51)",
    ]);
    await original.pause();
    await settled();
    await original.pause();
    await settled();
    expect(recorder.take()).toEqual(shownPause);
    expect(pipeDataProducer.paused).toBe(true);
    expect(await pipeDataProducer.dump()).toMatchObject({ paused: true });
    expect(await far.dump()).toMatchObject({ dataProducerPaused: true, paused: false });
    expect((await pipeDataProducer.getStats())[0]).toMatchObject({ messagesPaused: 0 });
  });

  test('pipeDataProducer.pause() pauses it by itself: paused is true while either is paused, and only changes are emitted', async () => {
    const { pipeDataProducer } = await pipe();
    const far = await direct2.consumeData({ dataProducerId: original.id });
    const recorder = new EventRecorder().watch({ pipeDataProducer, far });
    await pipeDataProducer.pause();
    await settled();
    const [, ...own] = shownPause;
    expect(recorder.take()).toEqual(own);
    await original.pause();
    await settled();
    await pipeDataProducer.resume();
    await settled();
    expect(recorder.take()).toEqual([]);
    expect(pipeDataProducer.paused).toBe(true);
    await original.resume();
    await settled();
    expect(recorder.take()).toEqual(shownResume);
    expect(pipeDataProducer.paused).toBe(false);
  });

  test('shows pause() through several pipes, and not after close()', async () => {
    const router3 = await worker1.createRouter();
    const direct3 = await router3.createDirectTransport();
    await pipe();
    const { pipeDataProducer, pipeDataConsumer } = (await router2.pipeToRouter({
      dataProducerId: original.id,
      router: router3,
      keepId: false,
    })) as Piped;
    const far = await direct3.consumeData({ dataProducerId: pipeDataProducer.id });
    const recorder = new EventRecorder().watch({ pipeDataProducer, far });
    await original.pause();
    await settled();
    await original.resume();
    await settled();
    expect(recorder.take()).toEqual([...shownPause, ...shownResume]);
    void original.pause();
    pipeDataConsumer.close();
    await settled();
    expect(recorder.take()).toEqual([
      ...closes('pipeDataProducer'),
      ...closes('far', 'dataproducerclose'),
    ]);
  });

  test.each(
    titled<object>([
      {},
      { dataProducerId: null },
      { dataProducerId: 'given', producerId: 'given too' },
      { dataProducerId: 5 },
    ]),
  )('pipeToRouter(%s and a router) rejects with a TypeError', async (_title, options) => {
    await expect(
      router1.pipeToRouter({ router: router2, ...options } as types.PipeToRouterOptions),
    ).rejects.toThrow(TypeError);
  });

  test('without a router, with a wrong value or with itself rejects with a TypeError', async () => {
    const imitations = [Object.create(router2), new Proxy(router2, {}), direct2, worker2];
    for (const router of [undefined, null, 5, {}, router1, ...imitations]) {
      await expect(
        router1.pipeToRouter({ dataProducerId: original.id, router } as types.PipeToRouterOptions),
      ).rejects.toThrow(TypeError);
    }
  });

  test.each<[string, () => unknown, string]>([
    ['a Proxy', () => new Proxy(router2, {}), 'a Router, not a Proxy (got Router { id: '],
    ['{}', () => ({}), 'a Router of this copy of datasoup (got {})'],
    ['5', () => 5, 'a Router (got 5)'],
  ])('with %s as router says what it expects', async (_title, router, text) => {
    const options = { dataProducerId: original.id, router: router() } as types.PipeToRouterOptions;
    await expect(router1.pipeToRouter(options)).rejects.toThrow(`router must be ${text}`);
  });

  test('within one Worker with keepId says to set it to false', async () => {
    const router = await worker1.createRouter();
    await expect(pipe({ router })).rejects.toThrow('set keepId to false to pipe within one Worker');
  });

  test('of an unknown DataProducer rejects with NotFoundError', async () => {
    await expect(pipe({ dataProducerId: 'nope' })).rejects.toThrow(NotFoundError);
  });

  test('of a DataProducer of another router says whose pipeToRouter() to call', async () => {
    const { id } = await direct2.produceData();
    const error = await pipe({ dataProducerId: id }).catch((it: Error) => it);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({
      message: `DataProducer with id "${id}" is on another Router: call its pipeToRouter()`,
    });
  });

  test('of a DataProducer that closes during the call rejects with NotFoundError', async () => {
    const pending = pipe();
    original.close();
    await expect(pending).rejects.toThrow(NotFoundError);
  });

  test('pipeToRouter({ producerId }) alone rejects with UnsupportedError', async () => {
    await expect(
      router1.pipeToRouter({ producerId: 'any', router: router2 } as types.PipeToRouterOptions),
    ).rejects.toThrow(UnsupportedError);
  });

  test('pipeToRouter({ producerId }) with a wrong router rejects with a TypeError', async () => {
    for (const router of [undefined, {}, router1]) {
      await expect(
        router1.pipeToRouter({ producerId: 'any', router } as types.PipeToRouterOptions),
      ).rejects.toThrow(TypeError);
    }
  });
});

test('resolves once the pipeDataConsumer delivers', async () => {
  const asked: string[] = [];
  router1.observer.once('newtransport', (transport) => {
    transport.observer.once('newdataconsumer', (made) => {
      const { native } = coreOf(made as any) as any;
      const { start } = native;
      native.start = (id: number) => {
        asked.push('start');
        // The worker is busy.
        setTimeout(() => {
          asked.push('started');
          start.call(native, id);
          void worker1.dump();
        }, 50);
      };
    });
  });
  await router1.pipeToRouter({ dataProducerId: original.id, router: router2 });
  expect(asked).toEqual(['start', 'started']);
});

describe('an entity that closes during pipeToRouter()', () => {
  /** Fails if the attempt left a DataProducer or a DataConsumer on either router. */
  async function nothingLeft(): Promise<void> {
    await settled();
    for (const router of [router1, router2]) {
      if (router.closed) {
        continue;
      }
      const dump = await router.dump();
      const consumers = dump.mapDataProducerIdDataConsumerIds.flatMap(({ values }) => values);
      expect(consumers).toEqual([]);
      expect(dump.mapDataProducerIdDataConsumerIds.map(({ key }) => key)).toEqual(
        router === router1 && !original.closed ? [original.id] : [],
      );
    }
  }

  /** Calls `close` when the observer of the PipeTransport of `router` emits `event`. */
  function on(
    router: types.Router,
    event: 'newdataconsumer' | 'newdataproducer',
    close: (made: types.DataConsumer | types.DataProducer) => void,
  ): void {
    router.observer.once('newtransport', (transport) => {
      transport.observer.once(event as 'newdataproducer', close);
    });
  }

  const closing: Record<string, () => void> = {
    'the DataProducer, once its pipeDataConsumer is made': () =>
      on(router1, 'newdataconsumer', () => original.close()),
    'the DataProducer, once the pipeDataProducer is made': () =>
      on(router2, 'newdataproducer', () => original.close()),
    'the pipeDataConsumer': () => on(router1, 'newdataconsumer', (made) => made.close()),
    'the pipeDataProducer': () => on(router2, 'newdataproducer', (made) => made.close()),
    'the other router, once the pipeDataConsumer is made': () =>
      on(router1, 'newdataconsumer', () => router2.close()),
    'the other router, once its transport is made': () =>
      router2.observer.once('newtransport', () => router2.close()),
    'the other router, once the first transport is made': () =>
      router1.observer.once('newtransport', () => router2.close()),
    'the first transport': () =>
      router1.observer.once('newtransport', (transport) => transport.close()),
    'the second transport': () =>
      router2.observer.once('newtransport', (transport) => transport.close()),
  };

  test.each(Object.entries(closing))(
    '%s: the call rejects with NotFoundError and leaves no entity',
    async (_t, arm) => {
      const recorder: types.Transport[] = [];
      for (const router of [router1, router2]) {
        router.observer.on('newtransport', (transport) => recorder.push(transport));
      }
      arm();
      await expect(pipe()).rejects.toThrow(NotFoundError);
      await nothingLeft();
      // The transports are a connected pair, or both are closed.
      expect(recorder.map(({ closed }) => closed)).toEqual(
        new Array(recorder.length).fill(recorder[0]!.closed),
      );
      if (!router2.closed) {
        const dataProducer = original.closed ? await direct1.produceData() : original;
        const { pipeDataProducer } = await pipe({ dataProducerId: dataProducer.id });
        const inbox = new Inbox(await direct2.consumeData({ dataProducerId: pipeDataProducer.id }));
        dataProducer.send('again');
        expect(await inbox.count(1)).toEqual([{ text: 'again', ppid: 51 }]);
      }
    },
  );
});

describe('the cascade across a pipe', () => {
  let piped: Piped;
  let recorder: EventRecorder;

  beforeEach(async () => {
    let pipe1: types.Transport | undefined;
    let pipe2: types.Transport | undefined;
    router1.observer.once('newtransport', (transport) => (pipe1 = transport));
    router2.observer.once('newtransport', (transport) => (pipe2 = transport));
    piped = await pipe();
    const farConsumer = await direct2.consumeData({ dataProducerId: original.id });
    await settled();
    recorder = new EventRecorder().watch({
      original,
      ...piped,
      farConsumer,
      pipe1: pipe1!,
      pipe2: pipe2!,
      direct1,
      direct2,
      router1,
      router2,
    });
  });

  function take(): string[] {
    // The far end may see the reset of the stream before the mirrored close reaches it.
    return recorder
      .take()
      .filter((line) => !line.includes('sctpstatechange') && !line.endsWith(' streamclose'));
  }

  /** The events along the pipe after the original has closed. */
  const CLOSES_AFTER_ORIGINAL = [
    ...closes('pipeDataConsumer', 'dataproducerclose'),
    ...closes('pipeDataProducer'),
    ...closes('farConsumer', 'dataproducerclose'),
  ];

  test('original.close()', async () => {
    original.close();
    expect(take()).toEqual(closes('original'));
    await nextEvent(piped.pipeDataProducer.observer, 'close');
    await settled();
    expect(take()).toEqual(CLOSES_AFTER_ORIGINAL);
  });

  test('pipeDataConsumer.close()', async () => {
    piped.pipeDataConsumer.close();
    expect(take()).toEqual([...closes('pipeDataConsumer'), ...closes('pipeDataProducer')]);
    await settled();
    expect(take()).toEqual(closes('farConsumer', 'dataproducerclose'));
    expect(original.closed).toBe(false);
  });

  test('pipeDataProducer.close(), and the pair can be made again', async () => {
    piped.pipeDataProducer.close();
    expect(take()).toEqual([...closes('pipeDataProducer'), ...closes('pipeDataConsumer')]);
    await settled();
    expect(take()).toEqual(closes('farConsumer', 'dataproducerclose'));
    await pipe();
    const inbox = new Inbox(await direct2.consumeData({ dataProducerId: original.id }));
    original.send('again');
    expect(await inbox.count(1)).toEqual([{ text: 'again', ppid: 51 }]);
  });

  /** The events of the objects on router2 and of its pipe when router2 closes, before its own. */
  const CLOSES_BEFORE_ROUTER2 = [
    ...closes('farConsumer', 'transportclose'),
    ...closes('direct2', 'routerclose'),
    ...closes('pipeDataProducer', 'transportclose'),
    ...closes('pipeDataConsumer'),
    ...closes('pipe2', 'routerclose'),
    ...closes('pipe1'),
  ];

  test('router2.close()', async () => {
    router2.close();
    expect(take()).toEqual([...CLOSES_BEFORE_ROUTER2, ...closes('router2')]);
    expect(original.closed).toBe(false);
  });

  test('worker2.close()', async () => {
    worker2.close();
    expect(take()).toEqual([...CLOSES_BEFORE_ROUTER2, ...closes('router2', 'workerclose')]);
    await expect(router1.dump()).resolves.toMatchObject({ transportIds: [direct1.id] });
  });

  test('direct1.close(), the transport of the original', async () => {
    direct1.close();
    expect(take()).toEqual([...closes('original', 'transportclose'), ...closes('direct1')]);
    await nextEvent(piped.pipeDataProducer.observer, 'close');
    await settled();
    expect(take()).toEqual(CLOSES_AFTER_ORIGINAL);
  });
});

describe('router.pipeToRouter({ overflow })', () => {
  test("with 'block' waits for the DataConsumers at the far end, and loses nothing", async () => {
    const TOTAL = 300;
    const producer = await direct1.produceData({ maxBufferedAmount: 20_000 });
    const options = { dataProducerId: producer.id, overflow: 'block', maxBufferedAmount: 20_000 };
    const { pipeDataConsumer } = await pipe(options as any);
    expect(pipeDataConsumer.overflow).toBe('block');
    const far = await direct2.consumeData({
      dataProducerId: producer.id,
      overflow: 'block',
      overflowTimeout: 600_000,
      maxBufferedAmount: 10_000,
    });
    const numbers: number[] = [];
    const read = async () => {
      for await (const { message } of far) {
        numbers.push(message.readUInt32BE(0));
        if (numbers.length === TOTAL) {
          break;
        }
      }
    };
    const reading = read();
    let refused = 0;
    for (let number = 0; number < TOTAL;) {
      const message = Buffer.alloc(1_000);
      message.writeUInt32BE(number, 0);
      try {
        producer.send(message);
        number++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL' });
        refused++;
        await nextEvent(producer, 'drain');
      }
    }
    await reading;
    expect(refused).toBeGreaterThan(0);
    expect(numbers).toEqual(Array.from({ length: TOTAL }, (_value, index) => index));
    await expect(pipeDataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: TOTAL, messagesDropped: 0, messagesPaused: 0 },
    ]);
  });

  test.each([{ overflow: 'newest' }, { overflow: 1 }, { maxBufferedAmount: -1 }])(
    '%p is a TypeError',
    async (wrong: any) => {
      await expect(pipe(wrong)).rejects.toThrow(TypeError);
      await expect(pipe(wrong)).rejects.toThrow(Object.keys(wrong)[0]);
    },
  );
});
