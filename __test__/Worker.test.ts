import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { arrange, LOOPBACK } from './helpers/arrangement';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { NOT_ARRAYS, NOT_OBJECTS, titled } from './helpers/arguments';
import { nextEvent, until } from './helpers/wait';

const { WorkerClosedError } = datasoup.errors;

let worker: types.Worker;

beforeEach(async () => {
  worker = await datasoup.createWorker();
});

afterEach(() => worker.close());

describe('a Worker', () => {
  test('each Worker has a pid of its own, a positive integer', async () => {
    const others = await Promise.all([1, 2, 3].map(() => datasoup.createWorker()));
    const pids = [worker, ...others].map(({ pid }) => pid);
    for (const pid of pids) {
      expect(Number.isInteger(pid) && pid > 0).toBe(true);
    }
    expect(new Set(pids).size).toBe(4);
    others.forEach((other) => other.close());
  });

  test('worker.closed, worker.died and worker.subprocessClosed are false at first', () => {
    expect(worker).toMatchObject({ closed: false, died: false, subprocessClosed: false });
  });

  test('worker and worker.observer are EnhancedEventEmitters', () => {
    expect(worker).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    expect(worker.observer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    expect(worker.observer).not.toBe(worker);
  });

  test('worker.appData defaults to {} and can be set', async () => {
    expect(worker.appData).toEqual({});
    worker.appData = { room: 1 };
    expect(worker.appData).toEqual({ room: 1 });
    const appData = { a: 1 };
    const other = await datasoup.createWorker({ appData });
    expect(other.appData).toBe(appData);
    other.close();
  });

  test('createWorker() installs no signal handlers', () => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE']) {
      expect(process.listenerCount(signal)).toBe(0);
    }
  });
});

describe('worker.dump()', () => {
  test('lists the pid and the ids of the worker’s servers and routers', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const routers = [await worker.createRouter(), await worker.createRouter()];
    const dump = await worker.dump();
    expect(dump).toEqual({
      pid: worker.pid,
      datagramsUnsent: 0,
      datagramsOverflowed: 0,
      datagramsUnanswerable: 0,
      eventsMerged: 0,
      logLinesDropped: 0,
      bytesHeld: 0,
      messagesDroppedMemory: 0,
      messagesDroppedAtClose: 0,
      tcpConnectionsDropped: 0,
      webRtcServerIds: [webRtcServer.id],
      routerIds: expect.arrayContaining(routers.map(({ id }) => id)),
      channelMessageHandlers: {
        channelRequestHandlers: expect.any(Array),
        channelNotificationHandlers: expect.any(Array),
      },
    });
    expect(dump.routerIds).toHaveLength(2);
    webRtcServer.close();
    routers[0]?.close();
    await expect(worker.dump()).resolves.toMatchObject({
      webRtcServerIds: [],
      routerIds: [routers[1]?.id],
    });
  });
});

describe('worker.getResourceUsage()', () => {
  test('resolves with the fields of uv_rusage_t as numbers', async () => {
    const usage = await worker.getResourceUsage();
    expect(Object.keys(usage).sort()).toEqual(
      [
        'ru_utime',
        'ru_stime',
        'ru_maxrss',
        'ru_ixrss',
        'ru_idrss',
        'ru_isrss',
        'ru_minflt',
        'ru_majflt',
        'ru_nswap',
        'ru_inblock',
        'ru_oublock',
        'ru_msgsnd',
        'ru_msgrcv',
        'ru_nsignals',
        'ru_nvcsw',
        'ru_nivcsw',
      ].sort(),
    );
    for (const value of Object.values(usage)) {
      expect(Number.isFinite(value) && value >= 0).toBe(true);
    }
    expect(usage.ru_maxrss).toBeGreaterThan(0);
  });
});

describe('worker.updateSettings()', () => {
  test.each(
    titled<object | undefined>([
      undefined,
      {},
      { logLevel: 'warn' },
      { logTags: ['ice', 'dtls', 'sctp', 'message', 'info'] },
      { logLevel: 'none', logTags: [] },
      { logLevel: null, logTags: null },
      { logLevel: 'error', unknown: 1 },
    ]),
  )('updateSettings(%s) resolves', async (_title, settings) => {
    await expect(worker.updateSettings(settings)).resolves.toBeUndefined();
  });

  test.each(
    titled<object>([
      ...['chicken', '', 5, {}].map((logLevel) => ({ logLevel })),
      ...['ice', 5, {}, [5]].map((logTags) => ({ logTags })),
    ]),
  )('updateSettings(%s) rejects with a TypeError', async (_title, settings) => {
    await expect(worker.updateSettings(settings)).rejects.toThrow(TypeError);
  });
});

describe('worker.createRouter()', () => {
  test('worker.observer emits newrouter(router) before createRouter() resolves', async () => {
    const recorder = new EventRecorder().watch({ worker });
    const router = await worker.createRouter();
    recorder.note('(resolved)');
    expect(recorder.take()).toEqual(['worker.observer newrouter(Router)', '(resolved)']);
    expect(router.closed).toBe(false);
  });

  test.each(
    titled<object | null | undefined>([
      undefined,
      null,
      {},
      { mediaCodecs: [], appData: { a: 1 } },
      { mediaCodecs: null, appData: null },
      { unknown: 1 },
    ]),
  )('createRouter(%s) resolves', async (_title, options) => {
    const router = await worker.createRouter(options as types.RouterOptions);
    expect(router.appData).toEqual((options as { appData?: object } | null)?.appData ?? {});
  });

  test('createRouter({ mediaCodecs }) logs a warning and creates a Router without capabilities', async () => {
    const warnings: string[] = [];
    datasoup.setLogEventListeners({ onwarn: (_namespace, log) => void warnings.push(log) });
    const router = await worker.createRouter({
      mediaCodecs: [{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 }],
    } as types.RouterOptions);
    datasoup.setLogEventListeners();
    expect(warnings.some((log) => log.includes('mediaCodecs'))).toBe(true);
    expect(router.rtpCapabilities).toEqual({ codecs: [], headerExtensions: [] });
  });

  test.each(
    titled<object>([
      ...NOT_ARRAYS.map((mediaCodecs) => ({ mediaCodecs })),
      ...NOT_OBJECTS.map((appData) => ({ appData })),
    ]),
  )('createRouter(%s) rejects with a TypeError', async (_title, options) => {
    await expect(worker.createRouter(options as types.RouterOptions)).rejects.toThrow(TypeError);
    await expect(worker.dump()).resolves.toMatchObject({ routerIds: [] });
  });

  test('100 concurrent createRouter() give each Router an id of its own', async () => {
    const routers = await Promise.all(Array.from({ length: 100 }, () => worker.createRouter()));
    expect(new Set(routers.map(({ id }) => id)).size).toBe(100);
    expect(routers[0]?.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });
});

describe('worker.close()', () => {
  test('is synchronous and idempotent; subprocessclose follows once', async () => {
    const recorder = new EventRecorder().watch({ worker });
    expect(worker.close()).toBeUndefined();
    recorder.note('(returned)');
    expect(worker).toMatchObject({ closed: true, died: false });
    worker.close();
    await until(worker, 'subprocessclose', () => worker.subprocessClosed);
    worker.close();
    expect(recorder.take()).toEqual([...closes('worker'), '(returned)', 'worker subprocessclose']);
    expect(worker).toMatchObject({ closed: true, died: false, subprocessClosed: true });
  });

  test('keeps pid and id readable', async () => {
    const router = await worker.createRouter();
    const { pid } = worker;
    const { id } = router;
    worker.close();
    expect(worker.pid).toBe(pid);
    expect(router.id).toBe(id);
  });

  test('makes pending calls reject with WorkerClosedError', async () => {
    const router = await worker.createRouter();
    const pending = [
      worker.dump(),
      worker.createRouter(),
      worker.createWebRtcServer({ listenInfos: LOOPBACK }),
      router.createDirectTransport(),
      router.createWebRtcTransport({ listenInfos: LOOPBACK }),
      router.dump(),
    ];
    const recorder = new EventRecorder().watch({ worker, router });
    worker.close();
    const settled = await Promise.allSettled(pending as Promise<unknown>[]);
    expect(settled.map((result) => result.status)).toEqual(pending.map(() => 'rejected'));
    for (const result of settled) {
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(WorkerClosedError);
    }
    await until(worker, 'subprocessclose', () => worker.subprocessClosed);
    expect(recorder.take()).toEqual([
      'router workerclose',
      ...closes('router'),
      ...closes('worker'),
      'worker subprocessclose',
    ]);
  });

  test('in a message listener stops the delivery of further messages', async () => {
    const { dataProducerDirect, directTransport, worker: inner } = await arrange();
    const dataConsumer = await directTransport.consumeData({
      dataProducerId: dataProducerDirect.id,
    });
    let received = 0;
    dataConsumer.on('message', () => {
      received++;
      inner.close();
    });
    for (let count = 0; count < 1000; count++) {
      dataProducerDirect.send('x');
    }
    await nextEvent(inner, 'subprocessclose');
    expect(received).toBe(1);
    expect(dataConsumer.closed).toBe(true);
  });
});

describe('after worker.close()', () => {
  type Closed = Awaited<ReturnType<typeof arrange>> & { webRtcServer: types.WebRtcServer };
  let closed: Closed;

  beforeAll(async () => {
    const arrangement = await arrange();
    const webRtcServer = await arrangement.worker.createWebRtcServer({ listenInfos: LOOPBACK });
    closed = { ...arrangement, webRtcServer };
    closed.worker.close();
  });

  const calls: Record<string, (objects: Closed) => unknown> = {
    'worker.dump()': ({ worker }) => worker.dump(),
    'worker.getResourceUsage()': ({ worker }) => worker.getResourceUsage(),
    'worker.updateSettings({})': ({ worker }) => worker.updateSettings({}),
    'worker.createWebRtcServer()': ({ worker }) =>
      worker.createWebRtcServer({ listenInfos: LOOPBACK }),
    'worker.createRouter()': ({ worker }) => worker.createRouter(),
    'webRtcServer.dump()': ({ webRtcServer }) => webRtcServer.dump(),
    'router.dump()': ({ router }) => router.dump(),
    'router.createWebRtcTransport()': ({ router }) =>
      router.createWebRtcTransport({ listenInfos: LOOPBACK }),
    'router.createDirectTransport()': ({ router }) => router.createDirectTransport(),
    'directTransport.dump()': ({ directTransport }) => directTransport.dump(),
    'directTransport.getStats()': ({ directTransport }) => directTransport.getStats(),
    'directTransport.produceData()': ({ directTransport }) => directTransport.produceData(),
    'directTransport.consumeData()': ({ directTransport, dataProducerSctp }) =>
      directTransport.consumeData({ dataProducerId: dataProducerSctp.id }),
    'webRtcTransport.dump()': ({ webRtcTransport }) => webRtcTransport.dump(),
    'webRtcTransport.getStats()': ({ webRtcTransport }) => webRtcTransport.getStats(),
    'webRtcTransport.restartIce()': ({ webRtcTransport }) => webRtcTransport.restartIce(),
    'webRtcTransport.connect()': ({ webRtcTransport }) =>
      webRtcTransport.connect({
        dtlsParameters: {
          fingerprints: [{ algorithm: 'sha-256', value: Array(32).fill('AB').join(':') }],
        },
      }),
    'dataProducer.dump()': ({ dataProducerDirect }) => dataProducerDirect.dump(),
    'dataProducer.getStats()': ({ dataProducerDirect }) => dataProducerDirect.getStats(),
    'dataProducer.pause()': ({ dataProducerDirect }) => dataProducerDirect.pause(),
    'dataProducer.resume()': ({ dataProducerDirect }) => dataProducerDirect.resume(),
    "dataProducer.send('x')": async ({ dataProducerDirect }) => dataProducerDirect.send('x'),
    'dataConsumer.dump()': ({ dataConsumerSctp }) => dataConsumerSctp.dump(),
    'dataConsumer.getStats()': ({ dataConsumerSctp }) => dataConsumerSctp.getStats(),
    'dataConsumer.pause()': ({ dataConsumerDirect }) => dataConsumerDirect.pause(),
    'dataConsumer.resume()': ({ dataConsumerDirect }) => dataConsumerDirect.resume(),
    "dataConsumer.send('x')": ({ dataConsumerSctp }) => dataConsumerSctp.send('x'),
    'dataConsumer.getBufferedAmount()': ({ dataConsumerSctp }) =>
      dataConsumerSctp.getBufferedAmount(),
    'dataConsumer.setBufferedAmountLowThreshold(1)': ({ dataConsumerSctp }) =>
      dataConsumerSctp.setBufferedAmountLowThreshold(1),
    'dataConsumer.setSubchannels([1])': ({ dataConsumerSctp }) =>
      dataConsumerSctp.setSubchannels([1]),
    'dataConsumer.addSubchannel(1)': ({ dataConsumerSctp }) => dataConsumerSctp.addSubchannel(1),
    'dataConsumer.removeSubchannel(1)': ({ dataConsumerSctp }) =>
      dataConsumerSctp.removeSubchannel(1),
  };

  test.each(Object.entries(calls))('%s rejects with WorkerClosedError', async (_title, call) => {
    await expect((async () => call(closed))()).rejects.toThrow(WorkerClosedError);
  });

  test("dataProducer.send('x') throws WorkerClosedError synchronously", () => {
    expect(() => closed.dataProducerDirect.send('x')).toThrow(WorkerClosedError);
  });
});

describe('Symbol.dispose and Symbol.asyncDispose', () => {
  test('worker[Symbol.dispose]() closes', () => {
    worker[Symbol.dispose]();
    expect(worker.closed).toBe(true);
  });

  test('worker[Symbol.asyncDispose]() closes and resolves once the thread has ended', async () => {
    const router = await worker.createRouter();
    const disposed = worker[Symbol.asyncDispose]();
    expect(worker.closed).toBe(true);
    expect(router.closed).toBe(true);
    await disposed;
    expect(worker.subprocessClosed).toBe(true);
  });

  test('worker[Symbol.asyncDispose]() of a closed Worker resolves once its thread has ended', async () => {
    worker.close();
    await worker[Symbol.asyncDispose]();
    expect(worker.subprocessClosed).toBe(true);
    await expect(worker[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });
});
