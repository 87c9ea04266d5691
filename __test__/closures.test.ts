import { on } from 'node:events';

import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { LOOPBACK, TRANSPORTS_OF_A_CLOSING_ROUTER, type Arrangement } from './helpers/arrangement';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { objects } from './helpers/objects';
import { until } from './helpers/wait';

/**
 * Which object emits which events, and in which order, when something closes. An object emits the events of its
 * close() before close() returns; consumers on other transports emit theirs soon after.
 */

let recorder: EventRecorder;

beforeEach(() => {
  recorder = new EventRecorder().watch({ ...objects });
});

/** The events emitted during `close()`, and those emitted later. */
async function during(close: () => void): Promise<{ during: string[]; after: string[] }> {
  close();
  const lines = recorder.take();
  if (!objects.worker.closed) {
    await objects.worker.dump();
  }
  return { during: lines, after: recorder.take() };
}

function closedOf({ worker: _worker, ...rest }: Arrangement): boolean[] {
  return Object.values(rest).map((object: { closed: boolean }) => object.closed);
}

test('worker.close() closes all objects of the Worker, then the Worker emits subprocessclose', async () => {
  const { worker } = objects;
  expect(await during(() => worker.close())).toEqual({
    during: [
      ...TRANSPORTS_OF_A_CLOSING_ROUTER,
      ...closes('router', 'workerclose'),
      ...closes('worker'),
    ],
    after: [],
  });
  expect(closedOf(objects).every(Boolean)).toBe(true);
  await until(worker, 'subprocessclose', () => worker.subprocessClosed);
  expect(recorder.take()).toEqual(['worker subprocessclose']);
  expect(await during(() => worker.close())).toEqual({ during: [], after: [] });
});

test('worker.close() rejects pending calls, and calls made in close listeners, with WorkerClosedError', async () => {
  const { worker, router, directTransport } = objects;
  const rejected: string[] = [];
  const record = (title: string) => (error: Error) => rejected.push(`${title}: ${error.name}`);
  const calls: Promise<unknown>[] = [router.dump().catch(record('pending'))];
  for (const [name, emitter, event] of [
    ['transport', directTransport, 'routerclose'],
    ['router', router, 'workerclose'],
  ] as const) {
    // The object is closed by now: if only the object had been closed, the error would be NotFoundError.
    (emitter as types.Router).on(event as 'workerclose', () => {
      calls.push(emitter.dump().catch(record(`in a listener of the ${name}`)));
    });
  }
  worker.close();
  await Promise.all(calls);
  expect(rejected).toEqual([
    'pending: WorkerClosedError',
    'in a listener of the transport: WorkerClosedError',
    'in a listener of the router: WorkerClosedError',
  ]);
});

test('router.close() closes its transports and their DataProducers and DataConsumers', async () => {
  const { router, worker } = objects;
  expect(await during(() => router.close())).toEqual({
    during: [...TRANSPORTS_OF_A_CLOSING_ROUTER, ...closes('router')],
    after: [],
  });
  expect(closedOf(objects).every(Boolean)).toBe(true);
  expect(worker.closed).toBe(false);
  expect(await during(() => router.close())).toEqual({ during: [], after: [] });
});

test('directTransport.close() closes its DataProducers, its DataConsumers, then the DataConsumers of its DataProducers', async () => {
  const { directTransport, webRtcTransport, dataConsumerSctp, dataProducerSctp } = objects;
  expect(await during(() => directTransport.close())).toEqual({
    during: [
      ...closes('dataProducerDirect', 'transportclose'),
      ...closes('dataConsumerDirect', 'transportclose'),
      ...closes('directTransport'),
    ],
    after: closes('dataConsumerSctp', 'dataproducerclose'),
  });
  expect(dataConsumerSctp.closed).toBe(true);
  expect(dataProducerSctp.closed).toBe(false);
  expect(await during(() => webRtcTransport.close())).toEqual({
    during: [...closes('dataProducerSctp', 'transportclose'), ...closes('webRtcTransport')],
    after: [],
  });
});

test('webRtcTransport.close() closes its DataProducers, its DataConsumers, then the DataConsumers of its DataProducers', async () => {
  const { webRtcTransport, dataProducerDirect } = objects;
  expect(await during(() => webRtcTransport.close())).toEqual({
    during: [
      ...closes('dataProducerSctp', 'transportclose'),
      ...closes('dataConsumerSctp', 'transportclose'),
      ...closes('webRtcTransport'),
    ],
    after: closes('dataConsumerDirect', 'dataproducerclose'),
  });
  expect(dataProducerDirect.closed).toBe(false);
});

test('a DataConsumer on the transport of its DataProducer emits only transportclose on transport.close()', async () => {
  const { directTransport, dataProducerDirect } = objects;
  const dataConsumerOwn = await directTransport.consumeData({
    dataProducerId: dataProducerDirect.id,
  });
  recorder.take();
  recorder.watch({ dataConsumerOwn });
  expect(await during(() => directTransport.close())).toEqual({
    during: [
      ...closes('dataProducerDirect', 'transportclose'),
      ...closes('dataConsumerDirect', 'transportclose'),
      ...closes('dataConsumerOwn', 'transportclose'),
      ...closes('directTransport'),
    ],
    after: closes('dataConsumerSctp', 'dataproducerclose'),
  });
});

test('dataProducer.close() makes its consumers emit dataproducerclose', async () => {
  const { dataProducerDirect, dataConsumerSctp } = objects;
  expect(await during(() => dataProducerDirect.close())).toEqual({
    during: closes('dataProducerDirect'),
    after: closes('dataConsumerSctp', 'dataproducerclose'),
  });
  expect(dataConsumerSctp.closed).toBe(true);
  expect(await during(() => dataProducerDirect.close())).toEqual({ during: [], after: [] });
});

test('dataConsumer.close() makes no other object emit', async () => {
  const { dataConsumerDirect, dataProducerSctp } = objects;
  expect(await during(() => dataConsumerDirect.close())).toEqual({
    during: closes('dataConsumerDirect'),
    after: [],
  });
  expect(dataProducerSctp.closed).toBe(false);
});

describe('with a WebRtcServer', () => {
  let webRtcServer: types.WebRtcServer;
  let served: types.WebRtcTransport;

  beforeEach(async () => {
    webRtcServer = await objects.worker.createWebRtcServer({ listenInfos: LOOPBACK });
    served = await objects.router.createWebRtcTransport({ webRtcServer, enableSctp: true });
    recorder.take();
    recorder.watch({ webRtcServer, served });
  });

  test('webRtcServer.close() makes its transports emit listenserverclose', async () => {
    const servedProducer = await served.produceData({ sctpStreamParameters: { streamId: 1 } });
    const elsewhere = await objects.directTransport.consumeData({
      dataProducerId: servedProducer.id,
    });
    recorder.take();
    recorder.watch({ servedProducer, elsewhere });
    expect(await during(() => webRtcServer.close())).toEqual({
      during: [
        ...closes('servedProducer', 'transportclose'),
        ...closes('served', 'listenserverclose'),
        'webRtcServer.observer webrtctransportunhandled(served)',
        ...closes('webRtcServer'),
      ],
      after: closes('elsewhere', 'dataproducerclose'),
    });
    expect(served.closed).toBe(true);
  });

  test('transport.close() makes the observer of the server emit webrtctransportunhandled', async () => {
    expect(await during(() => served.close())).toEqual({
      during: ['webRtcServer.observer webrtctransportunhandled(served)', ...closes('served')],
      after: [],
    });
  });

  test('router.close() closes the transport, and the server emits no webrtctransportunhandled', async () => {
    const { during: lines } = await during(() => objects.router.close());
    expect(lines.filter((line) => /^(served|webRtcServer|router)/.test(line))).toEqual([
      ...closes('served', 'routerclose'),
      ...closes('router'),
    ]);
    await expect(webRtcServer.dump()).resolves.toMatchObject({ webRtcTransportIds: [] });
  });

  test('worker.close() makes the server emit workerclose after the Routers', async () => {
    const { during: lines } = await during(() => objects.worker.close());
    expect(lines.filter((line) => /^(served|webRtcServer|router|worker)/.test(line))).toEqual([
      ...closes('served', 'routerclose'),
      ...closes('router', 'workerclose'),
      ...closes('webRtcServer', 'workerclose'),
      ...closes('worker'),
    ]);
  });
});

describe('listeners', () => {
  test('a listener that throws makes its object emit listenererror, and the cascade continues', async () => {
    const { directTransport, dataProducerDirect } = objects;
    dataProducerDirect.on('transportclose', () => {
      throw new Error('boom');
    });
    expect(await during(() => directTransport.close())).toEqual({
      during: [
        'dataProducerDirect transportclose',
        'dataProducerDirect listenererror(transportclose, Error: boom)',
        ...closes('dataProducerDirect'),
        ...closes('dataConsumerDirect', 'transportclose'),
        ...closes('directTransport'),
      ],
      after: closes('dataConsumerSctp', 'dataproducerclose'),
    });
  });

  test('the cascade continues after a listener of an observer throws', async () => {
    const { router, worker } = objects;
    router.observer.on('close', () => {
      throw new Error('boom');
    });
    worker.close();
    expect(recorder.lines.at(-1)).toBe('worker.observer close');
    expect(closedOf(objects).every(Boolean)).toBe(true);
  });

  const closing: Record<string, (objects: Arrangement) => void> = {
    'worker.close()': ({ worker }) => worker.close(),
    'router.close()': ({ router }) => router.close(),
    'directTransport.close()': ({ directTransport }) => directTransport.close(),
    'dataConsumer.close()': ({ dataConsumerDirect }) => dataConsumerDirect.close(),
    'dataProducer.close()': ({ dataProducerDirect }) => dataProducerDirect.close(),
  };

  test.each(Object.entries(closing))(
    '%s in a transportclose listener: each object and its observer emit close once',
    async (_title, close) => {
      const { dataProducerDirect, worker, directTransport } = objects;
      dataProducerDirect.on('transportclose', () => close(objects));
      directTransport.close();
      if (!worker.closed) {
        await worker.dump();
      }
      const closedLines = recorder.take().filter((line) => line.endsWith(' close'));
      expect(new Set(closedLines).size).toBe(closedLines.length);
      expect(closedLines).toEqual(
        expect.arrayContaining([
          ...closes('dataProducerDirect'),
          ...closes('dataConsumerDirect'),
          ...closes('directTransport'),
        ]),
      );
    },
  );
});

describe('random orders', () => {
  /** Pseudo-random numbers (a linear congruential generator): a seed repeats a failure. */
  function* numbers(seed: number): Generator<number, never> {
    for (let state = seed; ;) {
      state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
      yield state;
    }
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'seed %d: each observer emits close once, after close and at most one more event of its object, and nothing later',
    async (seed) => {
      const { worker: _worker, ...rest } = objects;
      const names = Object.keys(rest) as (keyof typeof rest)[];
      const random = numbers(seed);
      for (let step = 0; step < 12; step++) {
        const name = names[random.next().value % names.length]!;
        rest[name].close();
        expect(rest[name].closed).toBe(true);
        if (random.next().value % 3 === 0) {
          await objects.worker.dump();
        }
      }
      objects.worker.close();
      await until(objects.worker, 'subprocessclose', () => objects.worker.subprocessClosed);
      const lines = recorder.take();
      for (const name of names) {
        const own = lines.filter(
          (line) => line.startsWith(`${name} `) || line.startsWith(`${name}.`),
        );
        expect(own.filter((line) => line === `${name}.observer close`)).toHaveLength(1);
        expect(own.at(-1)).toBe(`${name}.observer close`);
        expect(own.filter((line) => line === `${name} close`)).toHaveLength(1);
        expect(own.length).toBeLessThanOrEqual(3);
      }
    },
  );
});

test('a closed DataConsumer emits nothing, even if messages and events are still in flight', async () => {
  const { directTransport, dataProducerDirect, worker } = objects;
  const dataConsumer = await directTransport.consumeData({
    dataProducerId: dataProducerDirect.id,
  });
  recorder.take();
  recorder.watch({ dataConsumer });
  for (let number = 0; number < 100; number++) {
    dataProducerDirect.send(String(number));
  }
  void dataProducerDirect.pause();
  void dataProducerDirect.resume();
  dataConsumer.close();
  recorder.take();
  await worker.dump();
  expect(recorder.take().filter((line) => line.startsWith('dataConsumer '))).toEqual([]);
});

describe("'close'", () => {
  test('ends events.on() of an object after the events emitted before', async () => {
    const { directTransport, dataProducerDirect } = objects;
    const { id: dataProducerId } = dataProducerDirect;
    const dataConsumer = await directTransport.consumeData({ dataProducerId });
    const received: string[] = [];
    dataProducerDirect.send('1');
    dataProducerDirect.send('2');
    dataProducerDirect.close();
    for await (const [message] of on(dataConsumer, 'message', { close: ['close'] })) {
      received.push(String(message));
    }
    expect(received).toEqual(['1', '2']);
    expect(dataConsumer.closed).toBe(true);
  });

  test.each([
    ['Worker', 'worker', 'died'],
    ['Router', 'router', 'workerclose'],
    ['WebRtcTransport', 'webRtcTransport', 'sctpstatechange'],
    ['DirectTransport', 'directTransport', 'listenserverclose'],
    ['DataProducer', 'dataProducerDirect', 'drain'],
    ['DataConsumer', 'dataConsumerSctp', 'sctpsendbufferfull'],
  ] as [string, keyof Arrangement, string][])(
    'of a %s rejects enhancedOnce() of its other events, even if called later',
    async (kind, name, event) => {
      const object = objects[name] as types.EnhancedEventEmitter & { close(): void };
      const next = datasoup.extras.enhancedOnce(object, event);
      const nextPause = datasoup.extras.enhancedOnce(objects[name].observer as never, 'pause');
      const end = datasoup.extras.enhancedOnce(object, 'close');
      object.close();
      const text = `the ${kind} closed before it emitted '${event}'`;
      for (const late of [next, datasoup.extras.enhancedOnce(object, event)]) {
        await expect(late).rejects.toThrow(datasoup.errors.NotFoundError);
        await expect(late).rejects.toThrow(text);
      }
      await expect(nextPause).rejects.toThrow(datasoup.errors.NotFoundError);
      await expect(end).resolves.toEqual([]);
      await expect(datasoup.extras.enhancedOnce(object, 'close')).resolves.toEqual([]);
    },
  );

  test('resolves enhancedOnce() of the event before it', async () => {
    const { directTransport, dataConsumerDirect, worker } = objects;
    const next = datasoup.extras.enhancedOnce(dataConsumerDirect, 'transportclose');
    directTransport.close();
    await expect(next).resolves.toEqual([]);
    const end = datasoup.extras.enhancedOnce(worker, 'subprocessclose');
    worker.close();
    await expect(end).resolves.toEqual([]);
    await expect(datasoup.extras.enhancedOnce(worker, 'subprocessclose')).resolves.toEqual([]);
  });
});

test('datasoup.observer keeps emitting after a Worker closes', async () => {
  objects.worker.close();
  const seen: types.Worker[] = [];
  const listener = (worker: types.Worker): void => void seen.push(worker);
  datasoup.observer.on('newworker', listener);
  const worker = await datasoup.createWorker();
  datasoup.observer.off('newworker', listener);
  expect(seen).toEqual([worker]);
  worker.close();
});
