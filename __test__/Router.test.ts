import * as datasoup from '..';
import './helpers/closeWorkers';
import { arrange, LOOPBACK } from './helpers/arrangement';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { NOT_ARRAYS, titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { router, worker } from './helpers/router';

const { NotFoundError, UnsupportedError } = datasoup.errors;

describe('a Router', () => {
  test('has an id, is open, and has appData that can be set', () => {
    expect(router.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(router.closed).toBe(false);
    expect(router.appData).toEqual({});
    router.appData = { a: 1 };
    expect(router.appData).toEqual({ a: 1 });
  });

  test('router and router.observer are EnhancedEventEmitters', () => {
    expect(router).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    expect(router.observer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
  });

  test('router.rtpCapabilities returns a new object with empty capabilities on each access', () => {
    const { rtpCapabilities } = router;
    expect(rtpCapabilities).toEqual({ codecs: [], headerExtensions: [] });
    (rtpCapabilities.codecs as unknown[]).push('changed');
    expect(router.rtpCapabilities).toEqual({ codecs: [], headerExtensions: [] });
  });

  test('router.canConsume() is always false', () => {
    expect(router.canConsume({ producerId: 'any', rtpCapabilities: router.rtpCapabilities })).toBe(
      false,
    );
  });
});

describe('router.updateMediaCodecs()', () => {
  test('updateMediaCodecs(array) logs a warning and changes nothing', async () => {
    const warnings: string[] = [];
    datasoup.setLogEventListeners({ onwarn: (_namespace, log) => void warnings.push(log) });
    await router.updateMediaCodecs([
      { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
    ] as unknown as Parameters<typeof router.updateMediaCodecs>[0]);
    datasoup.setLogEventListeners();
    expect(warnings).toHaveLength(1);
    expect(router.rtpCapabilities).toEqual({ codecs: [], headerExtensions: [] });
  });

  test.each(titled(NOT_ARRAYS))(
    'updateMediaCodecs(%s) rejects with a TypeError',
    async (_title, mediaCodecs) => {
      await expect((async () => router.updateMediaCodecs(mediaCodecs as []))()).rejects.toThrow(
        TypeError,
      );
    },
  );
});

describe('media', () => {
  type Name = 'createActiveSpeakerObserver' | 'createAudioLevelObserver';
  test.each<Name>(['createActiveSpeakerObserver', 'createAudioLevelObserver'])(
    'router.%s() rejects with UnsupportedError',
    async (name) => {
      const create = (router as unknown as Record<Name, (options: object) => Promise<unknown>>)[
        name
      ].bind(router);
      await expect(create({})).rejects.toThrow(UnsupportedError);
    },
  );
});

describe('router.dump()', () => {
  test('lists the transports, and the DataConsumers of each DataProducer', async () => {
    const objects = await arrange();
    const { directTransport, webRtcTransport, dataProducerDirect, dataProducerSctp } = objects;
    const { dataConsumerDirect, dataConsumerSctp } = objects;
    const dump = await objects.router.dump();
    expect(dump).toEqual({
      id: objects.router.id,
      transportIds: expect.arrayContaining([directTransport.id, webRtcTransport.id]),
      rtpObserverIds: [],
      mapProducerIdConsumerIds: [],
      mapConsumerIdProducerId: [],
      mapProducerIdObserverIds: [],
      mapDataProducerIdDataConsumerIds: expect.arrayContaining([
        { key: dataProducerDirect.id, values: [dataConsumerSctp.id] },
        { key: dataProducerSctp.id, values: [dataConsumerDirect.id] },
      ]),
      mapDataConsumerIdDataProducerId: expect.arrayContaining([
        { key: dataConsumerSctp.id, value: dataProducerDirect.id },
        { key: dataConsumerDirect.id, value: dataProducerSctp.id },
      ]),
    });
    expect(dump.transportIds).toHaveLength(2);
    objects.webRtcTransport.close();
    await expect(objects.router.dump()).resolves.toMatchObject({
      transportIds: [directTransport.id],
      mapDataProducerIdDataConsumerIds: [{ key: dataProducerDirect.id, values: [] }],
      mapDataConsumerIdDataProducerId: [],
    });
    objects.worker.close();
  });
});

describe('router.createDirectTransport() and createWebRtcTransport()', () => {
  test('router.observer emits newtransport(transport) before they resolve', async () => {
    const recorder = new EventRecorder().watch({ router });
    await router.createDirectTransport();
    recorder.note('(resolved)');
    await router.createWebRtcTransport({ listenInfos: LOOPBACK });
    recorder.note('(resolved)');
    expect(recorder.take()).toEqual([
      'router.observer newtransport(DirectTransport)',
      '(resolved)',
      'router.observer newtransport(WebRtcTransport)',
      '(resolved)',
    ]);
  });

  test('concurrent calls resolve in the order of the calls', async () => {
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, async (_value, index) => {
        const transport =
          index % 2 === 0
            ? await router.createDirectTransport()
            : await router.createWebRtcTransport({ listenInfos: LOOPBACK });
        order.push(index);
        return transport;
      }),
    );
    expect(order).toEqual(Array.from({ length: 50 }, (_value, index) => index));
  });
});

describe('routing', () => {
  test('any transport of the router can consume a DataProducer', async () => {
    const transports = await Promise.all([1, 2, 3].map(() => router.createDirectTransport()));
    const dataProducer = await transports[0]!.produceData();
    const inboxes = await Promise.all(
      transports.map(
        async (transport) =>
          new Inbox(await transport.consumeData({ dataProducerId: dataProducer.id })),
      ),
    );
    dataProducer.send('to all');
    await router.dump();
    for (const inbox of inboxes) {
      expect(inbox.messages).toEqual([{ text: 'to all', ppid: 51 }]);
    }
  });

  test.each(['same', 'another'])(
    'consumeData() of a DataProducer of another router of the %s Worker rejects with a NotFoundError that says so',
    async (which) => {
      const owner = which === 'same' ? worker : await datasoup.createWorker();
      const other = await owner.createRouter();
      const { id } = await (await other.createDirectTransport()).produceData();
      const transport = await router.createDirectTransport();
      for (const dataProducerId of [id, id.toUpperCase()]) {
        const error = await transport.consumeData({ dataProducerId }).catch((it: Error) => it);
        expect(error).toBeInstanceOf(NotFoundError);
        expect(error).toMatchObject({
          message: `DataProducer with id "${dataProducerId}" is on another Router: see pipeToRouter()`,
        });
      }
      other.close();
      await expect(transport.consumeData({ dataProducerId: id })).rejects.toThrow(
        `DataProducer with id "${id}" not found`,
      );
      if (owner !== worker) {
        owner.close();
      }
    },
  );

  test('internal of a transport has the ids of the router and of the transport', async () => {
    const listenInfo = LOOPBACK[0]!;
    for (const transport of [
      await router.createDirectTransport(),
      await router.createWebRtcTransport({ listenInfos: LOOPBACK }),
      await router.createPlainTransport({ listenInfo }),
      await router.createPipeTransport({ listenInfo }),
    ]) {
      expect(transport.internal).toEqual({ routerId: router.id, transportId: transport.id });
    }
  });

  test('a DataConsumer gets only the messages of its DataProducer', async () => {
    const transport = await router.createDirectTransport();
    const producers = [await transport.produceData(), await transport.produceData()];
    const inbox = new Inbox(await transport.consumeData({ dataProducerId: producers[1]!.id }));
    producers[0]!.send('of another DataProducer');
    producers[1]!.send('of its DataProducer');
    await router.dump();
    expect(inbox.texts).toEqual(['of its DataProducer']);
  });
});

describe('router.close()', () => {
  test('is synchronous and idempotent; the observer emits close once', async () => {
    const recorder = new EventRecorder().watch({ worker, router });
    expect(router.close()).toBeUndefined();
    expect(router.closed).toBe(true);
    router.close();
    await expect(worker.dump()).resolves.toMatchObject({ routerIds: [] });
    expect(recorder.take()).toEqual(closes('router'));
    expect(worker.closed).toBe(false);
  });

  test('router[Symbol.dispose]() closes', () => {
    router[Symbol.dispose]();
    expect(router.closed).toBe(true);
  });

  test('makes a pending createDirectTransport() reject, and newtransport is not emitted', async () => {
    const recorder = new EventRecorder().watch({ router });
    const pending = router.createDirectTransport();
    router.close();
    await expect(pending).rejects.toThrow();
    expect(recorder.take()).toEqual(closes('router'));
  });

  const calls: Record<string, () => Promise<unknown>> = {
    'router.dump()': () => router.dump(),
    'router.createDirectTransport()': () => router.createDirectTransport(),
    'router.createWebRtcTransport()': () => router.createWebRtcTransport({ listenInfos: LOOPBACK }),
  };

  test.each(Object.entries(calls))(
    'after close(), %s rejects with NotFoundError',
    async (_title, call) => {
      router.close();
      await expect(call()).rejects.toThrow(NotFoundError);
    },
  );
});
