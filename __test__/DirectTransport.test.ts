import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { NOT_ARRAYS, NOT_OBJECTS, titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { MEDIA_OF_DUMP, MEDIA_OF_STATS } from './helpers/media';
import { router } from './helpers/sharedRouter';

const { NotFoundError, UnsupportedError } = datasoup.errors;

let transport: types.DirectTransport;

beforeEach(async () => {
  transport = await router.createDirectTransport();
});

afterEach(() => transport.close());

describe('router.createDirectTransport()', () => {
  test('resolves with a DirectTransport', () => {
    expect(transport.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(transport).toMatchObject({ type: 'direct', closed: false });
    expect(transport.appData).toEqual({});
    transport.appData = { a: 1 };
    expect(transport.appData).toEqual({ a: 1 });
    expect(transport).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    expect(transport.observer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
  });

  test.each([
    ['nothing', undefined, 262_144, 262_144],
    ['null', null, 262_144, 262_144],
    ['nulls', { maxSendMessageSize: null, maxReceiveMessageSize: null }, 262_144, 262_144],
    ['sizes', { maxSendMessageSize: 1000, maxReceiveMessageSize: 2000 }, 1000, 2000],
    ['the older maxMessageSize', { maxMessageSize: 3000 }, 3000, 3000],
    ['unknown options', { unknown: 1 }, 262_144, 262_144],
  ])('accepts %s', async (_title, options, maxSendMessageSize, maxReceiveMessageSize) => {
    const made = await router.createDirectTransport(options as types.DirectTransportOptions);
    await expect(made.dump()).resolves.toMatchObject({ maxSendMessageSize, maxReceiveMessageSize });
    made.close();
  });

  test('keeps appData, and does not change its argument', async () => {
    const options = Object.freeze({ appData: Object.freeze({ a: 1 }) });
    const made = await router.createDirectTransport(options);
    expect(made.appData).toBe(options.appData);
    made.close();
  });

  test.each(
    titled<object>([
      ...['maxSendMessageSize', 'maxReceiveMessageSize', 'maxMessageSize'].flatMap((name) =>
        [-1, 1.5, NaN, Infinity, 2 ** 32, '1000', {}, true].map((value) => ({ [name]: value })),
      ),
      ...NOT_OBJECTS.map((appData) => ({ appData })),
    ]),
  )('createDirectTransport(%s) rejects with a TypeError', async (_title, options) => {
    await expect(
      router.createDirectTransport(options as types.DirectTransportOptions),
    ).rejects.toThrow(TypeError);
  });
});

describe('directTransport.connect()', () => {
  test('resolves, any number of times', async () => {
    await expect(transport.connect()).resolves.toBeUndefined();
    await expect(transport.connect()).resolves.toBeUndefined();
  });
});

describe('directTransport.dump()', () => {
  test('has mediasoup’s fields', async () => {
    const dataProducer = await transport.produceData();
    const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
    await expect(transport.dump()).resolves.toEqual({
      id: transport.id,
      ...MEDIA_OF_DUMP,
      dataProducerIds: [dataProducer.id],
      dataConsumerIds: [dataConsumer.id],
      maxSendMessageSize: 262_144,
      maxReceiveMessageSize: 262_144,
      sctpParameters: undefined,
      sctpState: undefined,
      sctpNegotiatedCapabilities: undefined,
      sctpListener: undefined,
    });
    dataConsumer.close();
    dataProducer.close();
    await expect(transport.dump()).resolves.toMatchObject({
      dataProducerIds: [],
      dataConsumerIds: [],
    });
  });
});

describe('directTransport.getStats()', () => {
  test('has mediasoup’s fields and a monotonic timestamp in milliseconds', async () => {
    const dataProducer = await transport.produceData();
    const inbox = new Inbox(await transport.consumeData({ dataProducerId: dataProducer.id }));
    const [before] = await transport.getStats();
    expect(before).toMatchObject({
      type: 'direct-transport',
      transportId: transport.id,
      timestamp: expect.any(Number),
      bytesReceived: 0,
      recvBitrate: 0,
      bytesSent: 0,
      sendBitrate: 0,
      ...MEDIA_OF_STATS,
    });
    dataProducer.send('12345');
    await inbox.count(1);
    const [after] = await transport.getStats();
    expect(after!.timestamp).toBeGreaterThanOrEqual(before!.timestamp);
    // The timestamp is in monotonic milliseconds, far below the time of day.
    expect(after!.timestamp).toBeLessThan(Date.now() / 2);
  });
});

describe('directTransport.enableTraceEvent()', () => {
  test.each(titled<unknown>([undefined, null, [], ['probation', 'bwe'], ['unknown']]))(
    'enableTraceEvent(%s) resolves',
    async (_title, eventTypes) => {
      await expect(transport.enableTraceEvent(eventTypes as [])).resolves.toBeUndefined();
    },
  );

  test.each(titled<unknown>([...NOT_ARRAYS, [5], ['bwe', null], [{}]]))(
    'enableTraceEvent(%s) rejects with a TypeError',
    async (_title, eventTypes) => {
      await expect(transport.enableTraceEvent(eventTypes as [])).rejects.toThrow(TypeError);
    },
  );
});

describe('methods that a DirectTransport does not support', () => {
  const calls: Record<string, () => unknown> = {
    'setMaxIncomingBitrate(1)': () => transport.setMaxIncomingBitrate(1),
    'setMaxOutgoingBitrate(1)': () => transport.setMaxOutgoingBitrate(1),
    'setMinOutgoingBitrate(1)': () => transport.setMinOutgoingBitrate(1),
    'produce()': () => transport.produce({} as never),
    'consume()': () => transport.consume({} as never),
    'sendRtcp()': () => transport.sendRtcp(Buffer.alloc(8)),
  };

  test.each(Object.entries(calls))(
    'directTransport.%s rejects with UnsupportedError',
    async (_title, call) => {
      await expect((async () => call())()).rejects.toThrow(UnsupportedError);
    },
  );
});

describe('message sizes', () => {
  test('send() throws a TypeError for a message of more than maxReceiveMessageSize bytes', async () => {
    const bounded = await router.createDirectTransport({ maxReceiveMessageSize: 1000 });
    const dataProducer = await bounded.produceData();
    const inbox = new Inbox(await bounded.consumeData({ dataProducerId: dataProducer.id }));
    expect(() => dataProducer.send(Buffer.alloc(1001))).toThrow(TypeError);
    expect(() => dataProducer.send(Buffer.alloc(1001))).toThrow(
      'message of 1001 bytes exceeds maxReceiveMessageSize (1000) of the transport',
    );
    dataProducer.send(Buffer.alloc(1000));
    await router.dump();
    expect(inbox.buffers.map(({ length }) => length)).toEqual([1000]);
    await expect(dataProducer.getStats()).resolves.toMatchObject([
      { messagesReceived: 1, bytesReceived: 1000 },
    ]);
    bounded.close();
  });

  test('maxReceiveMessageSize counts the UTF-8 bytes of a string', async () => {
    const bounded = await router.createDirectTransport({ maxReceiveMessageSize: 4 });
    const dataProducer = await bounded.produceData();
    const inbox = new Inbox(await bounded.consumeData({ dataProducerId: dataProducer.id }));
    expect(() => dataProducer.send('ééé')).toThrow(TypeError);
    dataProducer.send('éé');
    await router.dump();
    expect(inbox.buffers).toEqual([Buffer.from('éé')]);
    bounded.close();
  });

  test('a message over the maxSendMessageSize of the DataConsumer’s transport is dropped and counted', async () => {
    const bounded = await router.createDirectTransport({ maxSendMessageSize: 2000 });
    const dataProducer = await transport.produceData();
    const dataConsumer = await bounded.consumeData({ dataProducerId: dataProducer.id });
    const inbox = new Inbox(dataConsumer);
    dataProducer.send(Buffer.alloc(2001));
    dataProducer.send(Buffer.alloc(2000));
    await router.dump();
    expect(inbox.buffers.map(({ length }) => length)).toEqual([2000]);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: 1, bytesSent: 2000, messagesDropped: 1, bytesDropped: 2001 },
    ]);
    bounded.close();
  });

  test('a message of 262,144 bytes arrives unchanged', async () => {
    const { randomBytes } = await import('node:crypto');
    const dataProducer = await transport.produceData();
    const inbox = new Inbox(await transport.consumeData({ dataProducerId: dataProducer.id }));
    const message = randomBytes(262_144);
    dataProducer.send(message);
    await inbox.count(1);
    expect(inbox.buffers[0]!.equals(message)).toBe(true);
  });
});

describe('messages and requests of one macrotask', () => {
  test('take effect in the order of the calls', async () => {
    const producer = await transport.produceData();
    const early = await transport.consumeData({ dataProducerId: producer.id });
    const inbox = new Inbox(early);

    producer.send('1');
    producer.send('2');
    await inbox.count(2);

    const pausing = early.pause();

    producer.send('while one is paused and the other does not exist');

    const asked = transport.consumeData({ dataProducerId: producer.id });
    const resuming = early.resume();

    producer.send('3');
    producer.send('4');

    const late = new Inbox(await asked);

    await Promise.all([pausing, resuming]);
    await Promise.all([inbox.count(4), late.count(2)]);
    expect(inbox.texts).toEqual(['1', '2', '3', '4']);
    expect(late.texts).toEqual(['3', '4']);
  });
});

describe('directTransport.close()', () => {
  test('is synchronous and idempotent; the observer emits close once', async () => {
    const recorder = new EventRecorder().watch({ transport });
    expect(transport.close()).toBeUndefined();
    expect(transport.closed).toBe(true);
    transport.close();
    const dump = await router.dump();
    expect(dump.transportIds).not.toContain(transport.id);
    expect(recorder.take()).toEqual(closes('transport'));
  });

  test('directTransport[Symbol.dispose]() closes', () => {
    transport[Symbol.dispose]();
    expect(transport.closed).toBe(true);
  });

  test('makes pending produceData() and consumeData() reject', async () => {
    const dataProducer = await transport.produceData();
    const recorder = new EventRecorder().watch({ transport });
    const pending = [
      transport.produceData(),
      transport.consumeData({ dataProducerId: dataProducer.id }),
    ];
    transport.close();
    const settled = await Promise.allSettled(pending as Promise<unknown>[]);
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(recorder.take()).toEqual(closes('transport'));
  });

  const calls: Record<string, () => Promise<unknown>> = {
    'dump()': () => transport.dump(),
    'getStats()': () => transport.getStats(),
    'produceData()': () => transport.produceData(),
    "consumeData({ dataProducerId: 'any' })": () =>
      transport.consumeData({ dataProducerId: 'any' }),
  };

  test.each(Object.entries(calls))(
    'after close(), %s rejects with NotFoundError',
    async (_title, call) => {
      transport.close();
      await expect(call()).rejects.toThrow(NotFoundError);
    },
  );
});
