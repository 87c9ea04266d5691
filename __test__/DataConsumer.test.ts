import { inspect } from 'node:util';
import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { LOOPBACK } from './helpers/arrangement';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { asText, NOT_OBJECTS, NOT_STRINGS, notIntegers, titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { router } from './helpers/sharedRouter';
import { nextEvent, until } from './helpers/wait';

const { NotFoundError } = datasoup.errors;

let transport: types.DirectTransport;
let webRtcTransport: types.WebRtcTransport;
/** A DataProducer of type direct, on `transport`. */
let dataProducer: types.DataProducer;
let dataProducerId: string;

beforeEach(async () => {
  transport = await router.createDirectTransport();
  webRtcTransport = await createWebRtcTransport();
  dataProducer = await transport.produceData({ label: 'chat', protocol: 'json' });
  dataProducerId = dataProducer.id;
});

afterEach(() => {
  transport.close();
  webRtcTransport.close();
});

function createWebRtcTransport(more: object = {}): Promise<types.WebRtcTransport> {
  return router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true, ...more });
}

/** Resolves once the worker has handled every earlier call and lib/ has emitted the events. */
async function settled(): Promise<void> {
  await router.dump();
}

describe('transport.consumeData()', () => {
  test('on a DirectTransport resolves with a DataConsumer of type direct', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    expect(dataConsumer.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(dataConsumer).toMatchObject({
      dataProducerId,
      closed: false,
      type: 'direct',
      label: 'chat',
      protocol: 'json',
      paused: false,
      dataProducerPaused: false,
      subchannels: [],
      bufferedAmount: 0,
    });
    expect(dataConsumer.sctpStreamParameters).toBeUndefined();
    expect(dataConsumer.appData).toEqual({});
    expect(dataConsumer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    expect(dataConsumer.observer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
  });

  test('on a WebRtcTransport resolves with a DataConsumer of type sctp', async () => {
    const dataConsumer = await webRtcTransport.consumeData({
      dataProducerId,
      subchannels: [1, 24],
    });
    expect(dataConsumer).toMatchObject({
      dataProducerId,
      type: 'sctp',
      label: 'chat',
      protocol: 'json',
      bufferedAmount: 0,
    });
    expect(dataConsumer.sctpStreamParameters).toEqual({ streamId: 0, ordered: true });
    dataConsumer.sctpStreamParameters!.streamId = 5;
    expect(dataConsumer.sctpStreamParameters!.streamId).toBe(0);
    dataConsumer.subchannels.push(5);
    expect(dataConsumer.subchannels.sort()).toEqual([1, 24]);
  });

  test('transport.observer emits newdataconsumer(dataConsumer) before consumeData() resolves', async () => {
    const recorder = new EventRecorder().watch({ transport });
    await transport.consumeData({ dataProducerId });
    recorder.note('(resolved)');
    expect(recorder.take()).toEqual([
      'transport.observer newdataconsumer(DataConsumer)',
      '(resolved)',
    ]);
  });

  test('keeps paused and appData, and does not change its argument', async () => {
    const options = Object.freeze({
      dataProducerId,
      paused: true,
      subchannels: Object.freeze([5, 5, 1]) as number[],
      appData: Object.freeze({ a: 1 }) as types.AppData,
    });
    const dataConsumer = await transport.consumeData(options);
    expect(dataConsumer).toMatchObject({ paused: true, dataProducerPaused: false });
    expect(dataConsumer.subchannels.sort()).toEqual([1, 5]);
    expect(dataConsumer.appData).toBe(options.appData);
    dataConsumer.appData = { b: 2 };
    expect(dataConsumer.appData).toEqual({ b: 2 });
  });

  test('of a paused DataProducer resolves with dataProducerPaused true', async () => {
    await dataProducer.pause();
    const dataConsumer = await transport.consumeData({ dataProducerId, paused: true });
    expect(dataConsumer).toMatchObject({ paused: true, dataProducerPaused: true });
  });

  test('accepts a dataProducerId in upper case, and shows it in lower case', async () => {
    const dataConsumer = await transport.consumeData({
      dataProducerId: dataProducerId.toUpperCase(),
    });
    expect(dataConsumer.dataProducerId).toBe(dataProducerId);
  });

  test('treats null options like missing ones', async () => {
    const dataConsumer = await webRtcTransport.consumeData({
      dataProducerId,
      ordered: null,
      maxPacketLifeTime: null,
      maxRetransmits: null,
      paused: null,
      subchannels: null,
      streamId: null,
      maxBufferedAmount: null,
      appData: null,
    } as unknown as types.DataConsumerOptions);
    expect(dataConsumer).toMatchObject({ paused: false, subchannels: [] });
    expect(dataConsumer.sctpStreamParameters).toEqual({ streamId: 0, ordered: true });
  });

  test('of an unknown DataProducer rejects with NotFoundError', async () => {
    for (const unknown of ['nope', '0f8fad5b-d9cb-469f-a165-70867728950e']) {
      await expect(transport.consumeData({ dataProducerId: unknown })).rejects.toThrow(
        NotFoundError,
      );
    }
  });

  test.each(
    titled<object | null | undefined>([
      undefined,
      null,
      {},
      { dataProducerId: null },
      ...NOT_STRINGS.filter((id) => typeof id !== 'symbol').map((id) => ({ dataProducerId: id })),
    ]),
  )('consumeData(%s) rejects with a TypeError', async (_title, options) => {
    await expect(transport.consumeData(options as types.DataConsumerOptions)).rejects.toThrow(
      TypeError,
    );
  });

  test.each(
    titled<object>([
      ...[5, 'x', {}, [-1], [65_536], [1.5], ['1'], [null], [NaN]].map((subchannels) => ({
        subchannels,
      })),
      ...NOT_OBJECTS.map((appData) => ({ appData })),
      ...[-1, 1.5, NaN, '5', {}].map((maxBufferedAmount) => ({ maxBufferedAmount })),
    ]),
  )('consumeData({ dataProducerId, ...%s }) rejects with a TypeError', async (_title, options) => {
    await expect(
      transport.consumeData({ dataProducerId, ...options } as types.DataConsumerOptions),
    ).rejects.toThrow(TypeError);
    await expect(transport.dump()).resolves.toMatchObject({ dataConsumerIds: [] });
  });

  test.each(
    titled<object>([
      ...notIntegers(0, 65_535).map((maxRetransmits) => ({ maxRetransmits })),
      ...notIntegers(0, 65_535).map((maxPacketLifeTime) => ({ maxPacketLifeTime })),
      ...notIntegers(0, 65_534).map((streamId) => ({ streamId })),
      { maxRetransmits: 2, maxPacketLifeTime: 20 },
      { ordered: false, maxRetransmits: 2, maxPacketLifeTime: 20 },
    ]),
  )(
    'webRtcTransport.consumeData({ dataProducerId, ...%s }) rejects with a TypeError',
    async (_title, options) => {
      await expect(
        webRtcTransport.consumeData({ dataProducerId, ...options } as types.DataConsumerOptions),
      ).rejects.toThrow(TypeError);
      await expect(webRtcTransport.dump()).resolves.toMatchObject({ dataConsumerIds: [] });
    },
  );

  test('rejects two limits with a TypeError before it looks for the DataProducer', async () => {
    const limits = { maxRetransmits: 2, maxPacketLifeTime: 20 };
    for (const id of ['unknown', '00000000-0000-4000-8000-000000000000']) {
      const consume = (options: object): Promise<unknown> =>
        webRtcTransport.consumeData({ dataProducerId: id, ...options });
      await expect(consume(limits)).rejects.toThrow(TypeError);
      await expect(consume({ ...limits, ordered: true })).rejects.toThrow(NotFoundError);
    }
  });

  test('on a DirectTransport ignores reliability options and logs a warning', async () => {
    const warnings: string[] = [];
    datasoup.setLogEventListeners({ onwarn: (_namespace, log) => void warnings.push(log) });
    const dataConsumer = await transport.consumeData({
      dataProducerId,
      ordered: false,
      maxRetransmits: 1,
    });
    datasoup.setLogEventListeners();
    expect(warnings).not.toEqual([]);
    expect(dataConsumer.sctpStreamParameters).toBeUndefined();
  });
});

describe('transport.consumeData(): reliability', () => {
  type Given = Omit<types.SctpStreamParameters, 'streamId'>;
  type Kept = Given | 'TypeError';

  /**
   * For a DataProducer with these parameters ('direct': of type direct), the options given to consumeData() and the
   * parameters of the DataConsumer.
   */
  const tables: [string, Given | 'direct', [Given, Kept][]][] = [
    [
      'a direct DataProducer',
      'direct',
      [
        [{}, { ordered: true }],
        [{ ordered: true }, { ordered: true }],
        [{ ordered: false }, { ordered: false }],
        [{ maxRetransmits: 0 }, { ordered: false, maxRetransmits: 0 }],
        [{ maxRetransmits: 5 }, { ordered: false, maxRetransmits: 5 }],
        [
          { ordered: false, maxRetransmits: 0 },
          { ordered: false, maxRetransmits: 0 },
        ],
        [{ maxPacketLifeTime: 20 }, { ordered: false, maxPacketLifeTime: 20 }],
        [{ ordered: true, maxRetransmits: 2 }, { ordered: true }],
        [{ maxRetransmits: 2, maxPacketLifeTime: 20 }, 'TypeError'],
      ],
    ],
    [
      'an ordered DataProducer',
      {},
      [
        [{}, { ordered: true }],
        [{ ordered: true }, { ordered: true }],
        [{ ordered: false }, { ordered: false }],
        [{ maxRetransmits: 0 }, { ordered: false, maxRetransmits: 0 }],
        [{ maxRetransmits: 5 }, { ordered: false, maxRetransmits: 5 }],
        [{ maxPacketLifeTime: 20 }, { ordered: false, maxPacketLifeTime: 20 }],
      ],
    ],
    [
      'an unordered DataProducer without limit',
      { ordered: false },
      [
        [{}, { ordered: false }],
        [{ ordered: true }, { ordered: true }],
        [{ ordered: false }, { ordered: false }],
        [{ maxRetransmits: 5 }, { ordered: false, maxRetransmits: 5 }],
        [{ maxPacketLifeTime: 20 }, { ordered: false, maxPacketLifeTime: 20 }],
      ],
    ],
    [
      'a DataProducer with maxRetransmits 3',
      { maxRetransmits: 3 },
      [
        [{}, { ordered: false, maxRetransmits: 3 }],
        [{ ordered: true }, { ordered: true }],
        [{ ordered: false }, { ordered: false, maxRetransmits: 3 }],
        [{ maxRetransmits: 0 }, { ordered: false, maxRetransmits: 0 }],
        [{ maxRetransmits: 5 }, { ordered: false, maxRetransmits: 5 }],
        [{ maxPacketLifeTime: 20 }, 'TypeError'],
        [{ ordered: true, maxRetransmits: 2 }, { ordered: true }],
        [{ maxRetransmits: 2, maxPacketLifeTime: 20 }, 'TypeError'],
      ],
    ],
    [
      'a DataProducer with maxPacketLifeTime 50',
      { maxPacketLifeTime: 50 },
      [
        [{}, { ordered: false, maxPacketLifeTime: 50 }],
        [{ ordered: true }, { ordered: true }],
        [{ ordered: false }, { ordered: false, maxPacketLifeTime: 50 }],
        [{ maxPacketLifeTime: 20 }, { ordered: false, maxPacketLifeTime: 20 }],
        [{ maxRetransmits: 5 }, 'TypeError'],
      ],
    ],
  ];

  const cases = tables.flatMap(([of, produced, rows]) =>
    rows.map(([given, kept]) => ({ of, produced, given, kept })),
  );

  test.each(cases)('consuming $of with $given: $kept', async ({ produced, given, kept }) => {
    const source = await createWebRtcTransport();
    const { id } =
      produced === 'direct'
        ? dataProducer
        : await source.produceData({ sctpStreamParameters: { streamId: 1, ...produced } });
    const consumed = webRtcTransport.consumeData({ dataProducerId: id, ...given });
    if (kept === 'TypeError') {
      await expect(consumed).rejects.toThrow(TypeError);
    } else {
      const { sctpStreamParameters } = await consumed;
      expect(sctpStreamParameters).toEqual({ streamId: 0, ...kept });
    }
    source.close();
  });
});

describe('transport.consumeData(): streams', () => {
  const streamIdOf = async (options: object = {}): Promise<number> => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId, ...options });
    return dataConsumer.sctpStreamParameters!.streamId;
  };

  test('consumeData() assigns the stream after the last assigned one, even if an earlier one is free', async () => {
    expect(await streamIdOf()).toBe(0);
    const second = await webRtcTransport.consumeData({ dataProducerId });
    expect(second.sctpStreamParameters!.streamId).toBe(1);
    second.close();
    expect(await streamIdOf()).toBe(2);
    await expect(Promise.all([streamIdOf(), streamIdOf()])).resolves.toEqual([3, 4]);
  });

  test('consumeData({ streamId }) uses that stream, and later calls skip it', async () => {
    expect(await streamIdOf({ streamId: 1 })).toBe(1);
    expect(await streamIdOf({ streamId: 65_534 })).toBe(65_534);
    const others = [await streamIdOf(), await streamIdOf(), await streamIdOf()];
    expect(new Set([...others, 1, 65_534]).size).toBe(5);
  });

  test('consumeData({ streamId }) rejects with an Error while another DataConsumer uses the stream', async () => {
    expect(await streamIdOf({ streamId: 5 })).toBe(5);
    await expect(streamIdOf({ streamId: 5 })).rejects.toThrow(Error);
    await expect(webRtcTransport.dump()).resolves.toMatchObject({
      dataConsumerIds: [expect.any(String)],
    });
  });

  test('consumeData({ streamId }) takes the stream of a closed DataConsumer if no client is connected', async () => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId, streamId: 5 });
    dataConsumer.close();
    expect(await streamIdOf({ streamId: 5 })).toBe(5);
  });
});

describe("dataConsumer 'message'", () => {
  test('writing to the Buffer of one DataConsumer does not change the message of another', async () => {
    const COUNT = 200;
    const writer = await transport.consumeData({ dataProducerId });
    const reader = await transport.consumeData({ dataProducerId });
    const written: Buffer[] = [];
    writer.on('message', (message) => {
      message.fill(0xff);
      written.push(message);
    });
    const inbox = new Inbox(reader);
    const texts = Array.from({ length: COUNT }, (_value, index) => `message ${index}`);
    texts.forEach((text) => dataProducer.send(text));
    await inbox.count(COUNT);
    await until(writer, 'message', () => written.length === COUNT);
    expect(inbox.texts).toEqual(texts);
    expect(written.every((message) => message.every((byte) => byte === 0xff))).toBe(true);
  });

  test('later messages do not change a Buffer that the application keeps', async () => {
    const inbox = new Inbox(await transport.consumeData({ dataProducerId }));
    const sizes = [1, 10, 100, 1000, 3000, 10_000];
    const expected = Array.from({ length: 600 }, (_value, index) =>
      Buffer.alloc(sizes[index % sizes.length]!, index),
    );
    for (const message of expected) {
      dataProducer.send(message);
    }
    await inbox.count(expected.length);
    expect(inbox.buffers.every((buffer, index) => buffer.equals(expected[index]!))).toBe(true);
  });

  test('the message is a Buffer, which can be sliced and sent again', async () => {
    const inbox = new Inbox(await transport.consumeData({ dataProducerId }));
    dataProducer.send('abc');
    await inbox.count(1);
    const message = inbox.buffers[0]!;
    expect(Buffer.isBuffer(message)).toBe(true);
    expect(message).toBeInstanceOf(Uint8Array);
    expect(message.subarray(1).toString()).toBe('bc');
    dataProducer.send(message);
    await inbox.count(2);
    expect(inbox.texts).toEqual(['abc', 'abc']);
  });

  test('transferring the ArrayBuffer of one message does not detach another message', async () => {
    const inbox = new Inbox(await transport.consumeData({ dataProducerId }));
    dataProducer.send('one');
    dataProducer.send('two');
    await inbox.count(2);
    const { buffer } = inbox.buffers[0]!;
    try {
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    } catch {
      // A transfer that throws detaches nothing either.
    }
    expect(inbox.buffers[1]!.toString()).toBe('two');
  });

  test('a listener that throws makes the DataConsumer emit listenererror, and the next message arrives', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const recorder = new EventRecorder().watch({ dataConsumer });
    dataConsumer.on('message', () => {
      throw new Error('boom');
    });
    dataProducer.send('a');
    dataProducer.send('b');
    await settled();
    expect(recorder.take()).toEqual([
      "dataConsumer message('a', 51)",
      'dataConsumer listenererror(message, Error: boom)',
      "dataConsumer message('b', 51)",
      'dataConsumer listenererror(message, Error: boom)',
    ]);
  });

  test('a message sent from a listener arrives after those sent before', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const inbox = new Inbox(dataConsumer);
    dataConsumer.on('message', (message) => {
      if (message.toString() === 'first') {
        dataProducer.send('third');
      }
    });
    dataProducer.send('first');
    dataProducer.send('second');
    await inbox.count(3);
    expect(inbox.texts).toEqual(['first', 'second', 'third']);
  });

  test('a listener added right after `await consumeData()` gets a message sent right after the call', async () => {
    const pending = transport.consumeData({ dataProducerId });
    dataProducer.send('not missed');
    const inbox = new Inbox(await pending);
    await inbox.count(1);
    expect(inbox.texts).toEqual(['not missed']);
  });

  test('two DataConsumers get the messages in the same order, each with memory of its own', async () => {
    const inboxes = [
      new Inbox(await transport.consumeData({ dataProducerId })),
      new Inbox(await transport.consumeData({ dataProducerId })),
    ];
    dataProducer.send(Buffer.alloc(100, 1));
    dataProducer.send(Buffer.alloc(100_000, 2));
    await inboxes[1]!.count(2);
    for (const index of [0, 1]) {
      inboxes[0]!.buffers[index]!.fill(9);
      expect(inboxes[1]!.buffers[index]!.every((byte) => byte === index + 1)).toBe(true);
    }
  });
});

describe('dataConsumer.pause() and resume()', () => {
  test('resolve and set paused; the observer emits only when the state changes', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const recorder = new EventRecorder().watch({ dataConsumer });
    await expect(dataConsumer.pause()).resolves.toBeUndefined();
    expect(dataConsumer.paused).toBe(true);
    await dataConsumer.pause();
    await expect(dataConsumer.dump()).resolves.toMatchObject({ paused: true });
    await expect(dataConsumer.resume()).resolves.toBeUndefined();
    expect(dataConsumer.paused).toBe(false);
    await dataConsumer.resume();
    expect(recorder.take()).toEqual([
      'dataConsumer.observer pause',
      'dataConsumer.observer resume',
    ]);
  });

  test('messages sent while paused are dropped, not delivered after resume()', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const inbox = new Inbox(dataConsumer);
    await dataConsumer.pause();
    dataProducer.send('a');
    await dataConsumer.resume();
    dataProducer.send('b');
    await settled();
    expect(inbox.texts).toEqual(['b']);
  });

  test('consumeData({ paused: true }) delivers nothing before resume()', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId, paused: true });
    const inbox = new Inbox(dataConsumer);
    dataProducer.send('a');
    await dataConsumer.resume();
    dataProducer.send('b');
    await settled();
    expect(inbox.texts).toEqual(['b']);
  });

  test('pause(), send(a), resume(), send(b), pause(), send(c), resume(), send(d) without await delivers b and d', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const inbox = new Inbox(dataConsumer);
    const recorder = new EventRecorder().watch({ dataConsumer });
    const calls = [dataConsumer.pause()];
    dataProducer.send('a');
    calls.push(dataConsumer.resume());
    dataProducer.send('b');
    calls.push(dataConsumer.pause());
    dataProducer.send('c');
    calls.push(dataConsumer.resume());
    dataProducer.send('d');
    await Promise.all(calls);
    await settled();
    expect(inbox.texts).toEqual(['b', 'd']);
    expect(dataConsumer.paused).toBe(false);
    expect(recorder.take().filter((line) => line.includes('observer'))).toEqual([
      'dataConsumer.observer pause',
      'dataConsumer.observer resume',
      'dataConsumer.observer pause',
      'dataConsumer.observer resume',
    ]);
  });

  test('paused and dataProducerPaused are independent; the observer emits when their combination changes', async () => {
    const dataConsumerA = await transport.consumeData({ dataProducerId });
    const dataConsumerPaused = await transport.consumeData({ dataProducerId, paused: true });
    const recorder = new EventRecorder().watch({ dataConsumerA, dataConsumerPaused });
    const step = async (call: Promise<void>): Promise<string[]> => {
      await call;
      await settled();
      return recorder.take();
    };
    const states = (): boolean[] => [
      dataConsumerA.paused,
      dataConsumerA.dataProducerPaused,
      dataConsumerPaused.paused,
      dataConsumerPaused.dataProducerPaused,
    ];
    expect(await step(dataProducer.pause())).toEqual([
      'dataConsumerA dataproducerpause',
      'dataConsumerA.observer pause',
      'dataConsumerPaused dataproducerpause',
    ]);
    expect(states()).toEqual([false, true, true, true]);
    expect(await step(dataProducer.pause())).toEqual([]);
    expect(await step(dataConsumerA.pause())).toEqual([]);
    expect(states()).toEqual([true, true, true, true]);
    expect(await step(dataConsumerA.pause())).toEqual([]);
    expect(await step(dataConsumerA.resume())).toEqual([]);
    expect(await step(dataConsumerPaused.resume())).toEqual([]);
    expect(states()).toEqual([false, true, false, true]);
    expect(await step(dataConsumerPaused.pause())).toEqual([]);
    expect(await step(dataProducer.resume())).toEqual([
      'dataConsumerA dataproducerresume',
      'dataConsumerA.observer resume',
      'dataConsumerPaused dataproducerresume',
    ]);
    expect(states()).toEqual([false, false, true, false]);
    expect(await step(dataProducer.resume())).toEqual([]);
    expect(await step(dataConsumerA.pause())).toEqual(['dataConsumerA.observer pause']);
    expect(await step(dataConsumerA.resume())).toEqual(['dataConsumerA.observer resume']);
    expect(await step(dataConsumerPaused.resume())).toEqual(['dataConsumerPaused.observer resume']);
  });
});

describe('dataConsumer.setSubchannels(), addSubchannel() and removeSubchannel()', () => {
  test('settle in the order of the calls, among other calls', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const settled: string[] = [];
    const calls: [string, () => Promise<unknown>][] = [
      ['setSubchannels', () => dataConsumer.setSubchannels([1])],
      ['pause', () => dataConsumer.pause()],
      ['addSubchannel', () => dataConsumer.addSubchannel(2)],
      ['dump', () => dataConsumer.dump()],
      ['removeSubchannel', () => dataConsumer.removeSubchannel(1)],
      ['getStats', () => dataConsumer.getStats()],
    ];
    await Promise.all(calls.map(([name, call]) => call().then(() => settled.push(name))));
    expect(settled).toEqual(calls.map(([name]) => name));
  });

  const sorted = (dataConsumer: types.DataConsumer): number[] =>
    dataConsumer.subchannels.sort((a, b) => a - b);

  test('change the set, ignore duplicates, and accept the removal of a missing subchannel', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId, subchannels: [5, 5, 1] });
    expect(sorted(dataConsumer)).toEqual([1, 5]);
    await expect(dataConsumer.setSubchannels([3, 2, 2, 65_535])).resolves.toBeUndefined();
    expect(sorted(dataConsumer)).toEqual([2, 3, 65_535]);
    await expect(dataConsumer.addSubchannel(7)).resolves.toBeUndefined();
    await dataConsumer.addSubchannel(7);
    await dataConsumer.addSubchannel(0);
    expect(sorted(dataConsumer)).toEqual([0, 2, 3, 7, 65_535]);
    await expect(dataConsumer.removeSubchannel(2)).resolves.toBeUndefined();
    await dataConsumer.removeSubchannel(999);
    expect(sorted(dataConsumer)).toEqual([0, 3, 7, 65_535]);
    const { subchannels } = await dataConsumer.dump();
    expect(subchannels.sort((a, b) => a - b)).toEqual([0, 3, 7, 65_535]);
    await dataConsumer.setSubchannels([]);
    expect(dataConsumer.subchannels).toEqual([]);
  });

  // Lists longer than 8 cross to the worker in another form.
  test.each([1, 8, 9, 5000, 65_535])('take lists of %d subchannels', async (length) => {
    const list = Array.from({ length }, (_value, index) => 65_535 - index);
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const inbox = new Inbox(dataConsumer);
    await dataConsumer.setSubchannels(list);
    expect(sorted(dataConsumer)).toEqual([...list].reverse());
    const { subchannels } = await dataConsumer.dump();
    expect(subchannels).toEqual([...list].reverse());
    await dataConsumer.setSubchannels([65_536 - length]);
    dataProducer.send('to the last one of the list', undefined, list);
    dataProducer.send('to none', undefined, [0]);
    await settled();
    expect(inbox.texts).toEqual(['to the last one of the list']);
  });

  test('setSubchannels() does not change its argument', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const subchannels = Object.freeze([2, 2, 1]) as number[];
    await dataConsumer.setSubchannels(subchannels);
    expect(subchannels).toEqual([2, 2, 1]);
    expect(sorted(dataConsumer)).toEqual([1, 2]);
  });

  test.each(
    titled<unknown>([
      undefined,
      null,
      5,
      'x',
      {},
      ...notIntegers(0, 65_535).map((subchannel) => [1, subchannel]),
      [null],
    ]),
  )('setSubchannels(%s) rejects with a TypeError', async (_title, subchannels) => {
    const dataConsumer = await transport.consumeData({ dataProducerId, subchannels: [9] });
    await expect(dataConsumer.setSubchannels(subchannels as number[])).rejects.toThrow(TypeError);
    expect(dataConsumer.subchannels).toEqual([9]);
  });

  test.each(titled<unknown>([undefined, null, ...notIntegers(0, 65_535)]))(
    'addSubchannel() and removeSubchannel() with %s reject with a TypeError',
    async (_title, subchannel) => {
      const dataConsumer = await transport.consumeData({ dataProducerId, subchannels: [9] });
      await expect(dataConsumer.addSubchannel(subchannel as number)).rejects.toThrow(TypeError);
      await expect(dataConsumer.removeSubchannel(subchannel as number)).rejects.toThrow(TypeError);
      expect(dataConsumer.subchannels).toEqual([9]);
    },
  );

  test('calls without await take effect in order with send()', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const inbox = new Inbox(dataConsumer);
    void dataConsumer.setSubchannels([1]);
    dataProducer.send('a', 51, [1]);
    void dataConsumer.setSubchannels([]);
    dataProducer.send('b', 51, [1]);
    void dataConsumer.addSubchannel(2);
    dataProducer.send('c', 51, [2]);
    void dataConsumer.removeSubchannel(2);
    dataProducer.send('d', 51, [2]);
    await settled();
    expect(inbox.texts).toEqual(['a', 'c']);
    expect(dataConsumer.subchannels).toEqual([]);
  });
});

describe('a direct DataConsumer whose listeners are too slow', () => {
  test('drops and counts messages beyond maxBufferedAmount, and emits overflow', async () => {
    const TOTAL = 50_000;
    const dataConsumer = await transport.consumeData({ dataProducerId, maxBufferedAmount: 2_000 });
    const received: number[] = [];
    const lost = { messages: 0, bytes: 0 };
    let overflows = 0;
    dataConsumer.on('message', (message) => received.push(message.readUInt32BE(0)));
    dataConsumer.on('overflow', ({ messages, bytes }) => {
      overflows++;
      lost.messages += messages;
      lost.bytes += bytes;
    });
    const message = Buffer.alloc(100);
    for (let number = 0; number < TOTAL; number++) {
      message.writeUInt32BE(number, 0);
      dataProducer.send(message);
    }
    while (dataProducer.bufferedAmount > 0) {
      await settled();
    }
    await settled();
    // The DataConsumer emits 'overflow' when a message gets through again: this message ends the last episode.
    message.writeUInt32BE(TOTAL, 0);
    dataProducer.send(message);
    await until(dataConsumer, 'message', () => received.at(-1) === TOTAL);
    await settled();
    const [stats] = await dataConsumer.getStats();
    expect(stats!.messagesDropped).toBeGreaterThan(0);
    expect(received.length + stats!.messagesDropped).toBe(TOTAL + 1);
    expect(stats!.bytesDropped).toBe(stats!.messagesDropped * 100);
    expect(lost).toEqual({ messages: stats!.messagesDropped, bytes: stats!.bytesDropped });
    expect(overflows).toBeGreaterThan(0);
    expect(received).toEqual([...received].sort((a, b) => a - b));
    expect(dataConsumer.bufferedAmount).toBe(0);
  });

  test('keeps what overflow says while JavaScript is busy', async () => {
    const SIZE = 936; // charged 1000 bytes
    const maxBufferedAmount = 3_000;
    const overflows = ['drop-newest', 'drop-oldest', 'keep-latest'] as const;
    const consumers = await Promise.all(
      overflows.map((overflow) =>
        transport.consumeData({ dataProducerId, overflow, maxBufferedAmount }),
      ),
    );
    expect(consumers.map(({ overflow }) => overflow)).toEqual(overflows);
    const inboxes = consumers.map((each) => {
      const numbers: number[] = [];
      each.on('message', (message) => numbers.push(message[0]!));
      return numbers;
    });
    const lost = consumers.map((each) => {
      const counts: number[] = [];
      each.on('overflow', ({ messages }) => counts.push(messages));
      return counts;
    });
    for (let number = 0; number < 8; number++) {
      dataProducer.send(Buffer.alloc(SIZE, number));
    }
    // Messages cross to the worker in a microtask. JavaScript takes nothing until all of it is routed.
    await Promise.resolve();
    await Promise.resolve();
    const end = performance.now() + 5_000;
    while (dataProducer.bufferedAmount > 0 && performance.now() < end);
    await settled();
    await settled();
    expect(inboxes).toEqual([[0, 1, 2], [5, 6, 7], [7]]);
    expect(lost).toEqual([[5], [5], []]);
    for (const [index, replaced] of [0, 5, 7].entries()) {
      const [stats] = await consumers[index]!.getStats();
      expect(stats).toMatchObject({
        messagesSent: inboxes[index]!.length,
        messagesWaiting: 0,
        messagesDroppedReplaced: replaced,
        messagesDroppedFull: index === 0 ? 5 : 0,
        messagesDropped: 8 - inboxes[index]!.length,
      });
    }
  });

  test('drops messages that have waited for JavaScript longer than maxQueueDelay', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId, maxQueueDelay: 500 });
    const texts: string[] = [];
    dataConsumer.on('message', (message) => texts.push(message.toString()));
    dataProducer.send('late');
    dataProducer.send('late as well');
    // Messages cross to the worker in a microtask.
    await Promise.resolve();
    await Promise.resolve();
    const end = performance.now() + 1_500;
    while (performance.now() < end);
    await settled();
    dataProducer.send('fresh');
    await until(dataConsumer, 'message', () => texts.includes('fresh'));
    expect(texts).toEqual(['fresh']);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: 1, messagesDroppedStale: 2, messagesDropped: 2 },
    ]);
  });

  test('does not delay another DataConsumer, which gets every message', async () => {
    const slow = await transport.consumeData({ dataProducerId, maxBufferedAmount: 1_000 });
    const inbox = new Inbox(await transport.consumeData({ dataProducerId }));
    let overflows = 0;
    slow.on('overflow', () => overflows++);
    const texts = Array.from({ length: 20_000 }, (_value, index) => String(index));
    texts.forEach((text) => dataProducer.send(text));
    await inbox.count(texts.length);
    expect(inbox.texts).toEqual(texts);
    await settled();
    const [stats] = await slow.getStats();
    expect(stats!.messagesDropped).toBeGreaterThan(0);
    expect(overflows).toBeGreaterThan(0);
  });

  test('bufferedAmount counts the bytes that wait for JavaScript', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    let whileWaiting = 0;
    dataConsumer.once('message', () => {
      const end = performance.now() + 5_000;
      // Block the event loop until the worker has routed all messages.
      while (dataProducer.bufferedAmount > 0 && performance.now() < end);
      whileWaiting = dataConsumer.bufferedAmount;
    });
    for (let count = 0; count < 1000; count++) {
      dataProducer.send(Buffer.alloc(100));
    }
    await settled();
    expect(whileWaiting % 100).toBe(0);
    expect(whileWaiting).toBeGreaterThan(0);
    expect(whileWaiting).toBeLessThan(100_000);
    expect(dataConsumer.bufferedAmount).toBe(0);
  });
});

describe('on a DataConsumer of type direct', () => {
  const calls: Record<string, (dataConsumer: types.DataConsumer) => Promise<unknown>> = {
    "send('x')": (dataConsumer) => dataConsumer.send('x'),
    'getBufferedAmount()': (dataConsumer) => dataConsumer.getBufferedAmount(),
    'setBufferedAmountLowThreshold(10)': (dataConsumer) =>
      dataConsumer.setBufferedAmountLowThreshold(10),
  };

  test.each(Object.entries(calls))('%s rejects with a TypeError', async (_title, call) => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    await expect(call(dataConsumer)).rejects.toThrow(TypeError);
  });
});

describe('dataConsumer.send() before a client connects', () => {
  test.each([
    ["'abc'", ['abc'], 3],
    ['Buffer(5)', [Buffer.alloc(5)], 5],
    ["'', one byte on the wire", [''], 1],
    ["'abc', 53", ['abc', 53], 3],
  ] as [string, [string | Buffer, number?], number][])(
    'send(%s) queues and resolves with the buffered amount',
    async (_title, args, amount) => {
      const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
      await expect(dataConsumer.send(...args)).resolves.toBe(amount);
      await expect(dataConsumer.getBufferedAmount()).resolves.toBe(amount);
      expect(dataConsumer.bufferedAmount).toBe(amount);
      await expect(dataConsumer.getStats()).resolves.toMatchObject([{ bufferedAmount: amount }]);
    },
  );

  test.each(
    titled<unknown[]>(
      [
        [],
        [null],
        [5],
        [{}],
        [new Proxy(new Uint8Array(3), {})],
        ...notIntegers(0, 2 ** 32 - 1).map((ppid) => ['x', ppid]),
        ['', 51],
        [Buffer.alloc(0), 53],
      ],
      (args) => args.map(asText).join(', '),
    ),
  )('send(%s) rejects with a TypeError', async (_title, args) => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
    await expect(
      (dataConsumer.send as (...given: unknown[]) => Promise<number>)(...args),
    ).rejects.toThrow(TypeError);
    expect(dataConsumer.bufferedAmount).toBe(0);
  });

  test('send() over maxSendMessageSize rejects with a TypeError', async () => {
    const bounded = await createWebRtcTransport({ maxSendMessageSize: 1000 });
    const dataConsumer = await bounded.consumeData({ dataProducerId });
    await expect(dataConsumer.send(Buffer.alloc(1001))).rejects.toThrow(TypeError);
    await expect(dataConsumer.send(Buffer.alloc(1001))).rejects.toThrow(
      'message of 1001 bytes exceeds maxSendMessageSize (1000) of the transport',
    );
    await expect(dataConsumer.send(Buffer.alloc(1000))).resolves.toBe(1000);
    // Routed messages over the limit are dropped and counted.
    dataProducer.send(Buffer.alloc(1001));
    await settled();
    expect(dataConsumer.bufferedAmount).toBe(1000);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      {
        messagesSent: 0,
        bytesSent: 0,
        messagesDropped: 1,
        bytesDropped: 1001,
        messagesSentDirectly: 1,
        bytesSentDirectly: 1000,
        messagesRejected: 2,
      },
    ]);
    bounded.close();
  });

  test('send() of a paused DataConsumer rejects with message send failed', async () => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
    await dataConsumer.pause();
    await expect(dataConsumer.send('x')).rejects.toThrow('message send failed');
    await dataConsumer.resume();
    await expect(dataConsumer.send('x')).resolves.toBe(1);
  });

  test('send() while the DataProducer is paused rejects with message send failed', async () => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
    await dataProducer.pause();
    await expect(dataConsumer.send('x')).rejects.toThrow('message send failed');
    await dataProducer.resume();
    await expect(dataConsumer.send('x')).resolves.toBe(1);
  });

  test('routed messages are queued and counted in bufferedAmount', async () => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
    dataProducer.send('hello');
    await settled();
    expect(dataConsumer.bufferedAmount).toBe(5);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: 1, bytesSent: 5, bufferedAmount: 5 },
    ]);
  });
});

describe("'sctpsendbufferfull'", () => {
  /** Sends `count` messages of 100 KB and returns what each send() resolved or rejected with. */
  async function fill(dataConsumer: types.DataConsumer, count: number): Promise<unknown[]> {
    const outcomes: unknown[] = [];
    for (let sent = 0; sent < count; sent++) {
      outcomes.push(
        await dataConsumer.send(Buffer.alloc(100_000)).catch((error: Error) => error.message),
      );
    }
    return outcomes;
  }

  test.each([
    ['sctpSendBufferSize', { sctpSendBufferSize: 300_000, sctpPerStreamSendQueueLimit: 1_000_000 }],
    [
      'sctpPerStreamSendQueueLimit',
      { sctpSendBufferSize: 1_000_000, sctpPerStreamSendQueueLimit: 300_000 },
    ],
  ])(
    'send() beyond %s rejects with sctpsendbufferfull, and the event is emitted',
    async (_title, options) => {
      const bounded = await createWebRtcTransport(options);
      const dataConsumer = await bounded.consumeData({ dataProducerId });
      const recorder = new EventRecorder().watch({ dataConsumer });
      expect(await fill(dataConsumer, 5)).toEqual([
        100_000,
        200_000,
        300_000,
        'sctpsendbufferfull',
        'sctpsendbufferfull',
      ]);
      await settled();
      expect(recorder.take()).toEqual([
        'dataConsumer sctpsendbufferfull',
        'dataConsumer sctpsendbufferfull',
      ]);
      expect(dataConsumer.bufferedAmount).toBe(300_000);
      await expect(dataConsumer.getStats()).resolves.toMatchObject([
        {
          messagesSent: 0,
          messagesDropped: 0,
          messagesSentDirectly: 3,
          bytesSentDirectly: 300_000,
          messagesRejected: 2,
          bufferedAmount: 300_000,
        },
      ]);
      bounded.close();
    },
  );

  test('sctpPerStreamSendQueueLimit bounds one stream, sctpSendBufferSize all of them together', async () => {
    const bounded = await createWebRtcTransport({
      sctpSendBufferSize: 500_000,
      sctpPerStreamSendQueueLimit: 300_000,
    });
    const first = await bounded.consumeData({ dataProducerId });
    const second = await bounded.consumeData({ dataProducerId });
    expect(await fill(first, 4)).toEqual([100_000, 200_000, 300_000, 'sctpsendbufferfull']);
    expect(await fill(second, 3)).toEqual([100_000, 200_000, 'sctpsendbufferfull']);
    bounded.close();
  });

  test('routed messages that find the queue full are dropped and counted, with one event per turn', async () => {
    const bounded = await createWebRtcTransport({ sctpSendBufferSize: 1000 });
    const dataConsumer = await bounded.consumeData({ dataProducerId });
    const recorder = new EventRecorder().watch({ dataConsumer });
    for (let count = 0; count < 100; count++) {
      dataProducer.send(Buffer.alloc(1000));
    }
    await settled();
    const events = recorder.take();
    expect(new Set(events)).toEqual(new Set(['dataConsumer sctpsendbufferfull']));
    expect(events.length).toBeLessThan(99);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      {
        messagesSent: 1,
        bytesSent: 1000,
        messagesDropped: 99,
        bytesDropped: 99_000,
        bufferedAmount: 1000,
      },
    ]);
    bounded.close();
  });

  test('messages for a paused DataConsumer are neither queued nor counted as dropped', async () => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId, paused: true });
    dataProducer.send('x');
    await settled();
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: 0, messagesDropped: 0, bufferedAmount: 0 },
    ]);
  });
});

describe('dataConsumer.setBufferedAmountLowThreshold()', () => {
  test.each([0, 1, 1024, 500_000])(
    'setBufferedAmountLowThreshold(%d) resolves, and emits nothing',
    async (threshold) => {
      const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
      const recorder = new EventRecorder().watch({ dataConsumer });
      await expect(dataConsumer.setBufferedAmountLowThreshold(threshold)).resolves.toBeUndefined();
      await expect(dataConsumer.dump()).resolves.toMatchObject({
        bufferedAmountLowThreshold: threshold,
      });
      expect(recorder.take()).toEqual([]);
    },
  );

  test.each(titled<unknown>([undefined, null, -1, 1.5, NaN, Infinity, 'a', {}]))(
    'setBufferedAmountLowThreshold(%s) rejects with a TypeError',
    async (_title, threshold) => {
      const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
      await expect(dataConsumer.setBufferedAmountLowThreshold(threshold as number)).rejects.toThrow(
        TypeError,
      );
      await expect(dataConsumer.dump()).resolves.toMatchObject({
        bufferedAmountLowThreshold: 1024,
      });
    },
  );

  test('sctpDefaultStreamBufferedAmountLowThreshold is the initial threshold', async () => {
    const other = await createWebRtcTransport({
      sctpDefaultStreamBufferedAmountLowThreshold: 5000,
    });
    const dataConsumer = await other.consumeData({ dataProducerId });
    await expect(dataConsumer.dump()).resolves.toMatchObject({ bufferedAmountLowThreshold: 5000 });
    other.close();
  });
});

describe('dataConsumer.getStats() and dump()', () => {
  test('getStats() of type direct counts messages and bytes', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    dataProducer.send('12345');
    dataProducer.send('678');
    await settled();
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      {
        type: 'data-consumer',
        timestamp: expect.any(Number),
        label: 'chat',
        protocol: 'json',
        messagesSent: 2,
        bytesSent: 8,
        bufferedAmount: 0,
        messagesDropped: 0,
        bytesDropped: 0,
      },
    ]);
  });

  test('dump() of type direct has exactly these fields', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    await expect(dataConsumer.dump()).resolves.toEqual({
      id: dataConsumer.id,
      dataProducerId,
      type: 'direct',
      sctpStreamParameters: undefined,
      label: 'chat',
      protocol: 'json',
      bufferedAmount: 0,
      bufferedAmountLowThreshold: 0,
      paused: false,
      dataProducerPaused: false,
      subchannels: [],
    });
  });

  test('dump() of type sctp has exactly these fields', async () => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId, subchannels: [7] });
    await expect(dataConsumer.dump()).resolves.toEqual({
      id: dataConsumer.id,
      dataProducerId,
      type: 'sctp',
      sctpStreamParameters: { streamId: 0, ordered: true },
      label: 'chat',
      protocol: 'json',
      bufferedAmount: 0,
      bufferedAmountLowThreshold: 1024,
      paused: false,
      dataProducerPaused: false,
      subchannels: [7],
    });
  });
});

describe('dataConsumer.close()', () => {
  test('is synchronous and idempotent; the observer emits close once, and the DataProducer stays open', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const recorder = new EventRecorder().watch({ dataProducer, dataConsumer });
    expect(dataConsumer.close()).toBeUndefined();
    expect(dataConsumer.closed).toBe(true);
    dataConsumer.close();
    await settled();
    expect(recorder.take()).toEqual(closes('dataConsumer'));
    expect(dataProducer.closed).toBe(false);
    await expect(transport.dump()).resolves.toMatchObject({ dataConsumerIds: [] });
  });

  test('closeWithStats() closes like close(), and resolves with the last counters', async () => {
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
    for (let size = 1; size <= 10; size++) {
      dataProducer.send(Buffer.alloc(size));
    }
    const recorder = new EventRecorder().watch({ dataConsumer });
    const stats = dataConsumer.closeWithStats();
    expect(dataConsumer.closed).toBe(true);
    expect(recorder.take()).toEqual(closes('dataConsumer'));
    await expect(stats).resolves.toMatchObject([
      { type: 'data-consumer', label: 'chat', messagesSent: 10, bytesSent: 55, bufferedAmount: 55 },
    ]);
    await expect(webRtcTransport.dump()).resolves.toMatchObject({ dataConsumerIds: [] });
    await expect(webRtcTransport.getStats()).resolves.toMatchObject([{ messagesDiscarded: 10 }]);
    expect(recorder.take()).toEqual([]);
  });

  test('messages sent before close() in the same tick are not delivered', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const recorder = new EventRecorder().watch({ dataConsumer });
    for (let number = 0; number < 5; number++) {
      dataProducer.send(`m${number}`);
    }
    dataConsumer.close();
    await settled();
    expect(recorder.take()).toEqual(closes('dataConsumer'));
  });

  test('in a message listener stops the delivery of further messages', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const inbox = new Inbox(dataConsumer);
    const other = new Inbox(await transport.consumeData({ dataProducerId }));
    dataConsumer.on('message', () => dataConsumer.close());
    for (let number = 0; number < 100; number++) {
      dataProducer.send(String(number));
    }
    await other.count(100);
    expect(inbox.texts).toEqual(['0']);
  });

  test('dataConsumer[Symbol.dispose]() closes', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    dataConsumer[Symbol.dispose]();
    expect(dataConsumer.closed).toBe(true);
  });

  const calls: Record<string, (dataConsumer: types.DataConsumer) => Promise<unknown>> = {
    'dump()': (dataConsumer) => dataConsumer.dump(),
    'getStats()': (dataConsumer) => dataConsumer.getStats(),
    'closeWithStats()': (dataConsumer) => dataConsumer.closeWithStats(),
    "setOverflow('close')": (dataConsumer) => dataConsumer.setOverflow('close'),
    'pause()': (dataConsumer) => dataConsumer.pause(),
    'resume()': (dataConsumer) => dataConsumer.resume(),
    "send('x')": (dataConsumer) => dataConsumer.send('x'),
    'getBufferedAmount()': (dataConsumer) => dataConsumer.getBufferedAmount(),
    'setBufferedAmountLowThreshold(1)': (dataConsumer) =>
      dataConsumer.setBufferedAmountLowThreshold(1),
    'setSubchannels([1])': (dataConsumer) => dataConsumer.setSubchannels([1]),
    'addSubchannel(1)': (dataConsumer) => dataConsumer.addSubchannel(1),
    'removeSubchannel(1)': (dataConsumer) => dataConsumer.removeSubchannel(1),
  };

  test.each(Object.entries(calls))(
    'after close(), %s rejects with NotFoundError',
    async (_title, call) => {
      const dataConsumer = await webRtcTransport.consumeData({ dataProducerId });
      dataConsumer.close();
      await expect(call(dataConsumer)).rejects.toThrow(NotFoundError);
    },
  );

  test('calls that are pending resolve', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const pending = [
      dataConsumer.pause(),
      dataConsumer.getStats(),
      dataConsumer.setSubchannels([1]),
    ];
    dataConsumer.close();
    const outcomes = await Promise.allSettled(pending as Promise<unknown>[]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(dataConsumer.closed).toBe(true);
  });

  test('after dataProducer.close(), before dataproducerclose, emits only close, also on the observer', async () => {
    const dataConsumer = await transport.consumeData({ dataProducerId });
    const recorder = new EventRecorder().watch({ dataConsumer });
    dataProducer.close();
    dataConsumer.close();
    await settled();
    expect(recorder.take()).toEqual(closes('dataConsumer'));
  });

  test('in a dataproducerclose listener of another DataConsumer emits only close, also on the observer', async () => {
    const first = await transport.consumeData({ dataProducerId });
    const second = await transport.consumeData({ dataProducerId });
    first.on('dataproducerclose', () => second.close());
    const recorder = new EventRecorder().watch({ second });
    dataProducer.close();
    await nextEvent(first, 'dataproducerclose');
    await settled();
    expect(recorder.take()).toEqual(closes('second'));
  });
});

describe('overflow', () => {
  test.each(['direct', 'sctp'])("of type '%s' is 'drop-newest' until it is set", async (type) => {
    const dataConsumer =
      type === 'direct'
        ? await transport.consumeData({ dataProducerId })
        : await webRtcTransport.consumeData({ dataProducerId });
    expect(dataConsumer.overflow).toBe('drop-newest');
    for (const overflow of ['keep-latest', 'close', 'drop-oldest', 'drop-newest'] as const) {
      await dataConsumer.setOverflow(overflow);
      expect(dataConsumer.overflow).toBe(overflow);
    }
  });

  test("with 'keep-latest' one message waits for the peer", async () => {
    const dataConsumer = await webRtcTransport.consumeData({
      dataProducerId,
      overflow: 'keep-latest',
    });
    const recorder = new EventRecorder().watch({ dataConsumer });
    for (let size = 1; size <= 10; size++) {
      dataProducer.send(Buffer.alloc(size));
    }
    await settled();
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: 0, messagesWaiting: 1, messagesDroppedReplaced: 9, bufferedAmount: 10 },
    ]);
    expect(recorder.take()).toEqual([]);
  });

  test("with 'close' emits overflow, then closes", async () => {
    const dataConsumer = await webRtcTransport.consumeData({
      dataProducerId,
      overflow: 'close',
      maxBufferedAmount: 1_000,
    });
    const recorder = new EventRecorder().watch({ dataConsumer });
    for (let count = 0; count < 3; count++) {
      dataProducer.send(Buffer.alloc(900));
    }
    await settled();
    await settled();
    expect(recorder.take()).toEqual([
      'dataConsumer sctpsendbufferfull',
      'dataConsumer overflow({"bytes":900,"messages":1})',
      ...closes('dataConsumer'),
    ]);
    expect(dataConsumer.closed).toBe(true);
  });

  test("with 'block' send() throws ERR_SEND_QUEUE_FULL, then 'drain' follows, and nothing is lost", async () => {
    const TOTAL = 500;
    const bounded = await transport.produceData({ maxBufferedAmount: 20_000 });
    const dataConsumer = await transport.consumeData({
      dataProducerId: bounded.id,
      overflow: 'block',
      maxBufferedAmount: 10_000,
    });
    const other = new Inbox(await transport.consumeData({ dataProducerId: bounded.id }));
    const numbers: number[] = [];
    dataConsumer.on('message', (message) => numbers.push(message.readUInt32BE(0)));
    let refused = 0;
    for (let number = 0; number < TOTAL;) {
      const message = Buffer.alloc(1_000);
      message.writeUInt32BE(number, 0);
      try {
        bounded.send(message);
        number++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL' });
        refused++;
        await nextEvent(bounded, 'drain');
      }
    }
    await until(dataConsumer, 'message', () => numbers.length === TOTAL);
    await other.count(TOTAL);
    expect(refused).toBeGreaterThan(0);
    expect(numbers).toEqual(Array.from({ length: TOTAL }, (_value, index) => index));
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: TOTAL, messagesDropped: 0 },
    ]);
  });

  test('getStats() and calls on other objects do not wait for a blocked DataProducer, but its pause() does', async () => {
    const blocked = await transport.produceData();
    const options = { dataProducerId: blocked.id, overflow: 'block', maxBufferedAmount: 10_000 };
    const dataConsumer = await transport.consumeData({
      ...options,
      overflowTimeout: 600_000,
    } as any);
    // Messages wait because an iterator has to ask for each.
    const iterator = dataConsumer[Symbol.asyncIterator]();
    const first = iterator.next();
    for (let count = 0; count < 100; count++) {
      blocked.send(Buffer.alloc(1_000));
    }
    await first;
    const paused = blocked.pause();
    const [stats] = await blocked.getStats();
    expect(stats!.messagesReceived).toBeLessThan(100);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([{ messagesDropped: 0 }]);
    await expect(dataProducer.getStats()).resolves.toHaveLength(1);
    expect(blocked.paused).toBe(false);
    await dataConsumer.setOverflow('drop-newest');
    await paused;
    expect(blocked.paused).toBe(true);
    blocked.close();
    await settled();
    expect(dataConsumer.closed).toBe(true);
  });

  test('overflowTimeout requires block, and block cannot be combined with hold', async () => {
    for (const on of [transport, webRtcTransport]) {
      const consume = (options: object) => on.consumeData({ dataProducerId, ...options } as any);
      for (const overflow of [undefined, 'drop-newest', 'close']) {
        const call = consume({ overflow, overflowTimeout: 100 });
        await expect(call).rejects.toThrow(/overflowTimeout requires overflow 'block'/);
        await expect(consume({ overflow, overflowTimeout: 100 })).rejects.toThrow(TypeError);
      }
      for (const overflowTimeout of [-1, 1.5, '5', 2 ** 32]) {
        const named = new TypeError(
          `overflowTimeout must be an integer from 0 to 4294967295 (got ${inspect(overflowTimeout)})`,
        );
        await expect(consume({ overflow: 'block', overflowTimeout })).rejects.toThrow(named);
      }
      const call = consume({ overflow: 'block', whilePaused: 'hold' });
      const excluded =
        /'block' cannot be combined with whilePaused 'hold' \(got 'block' and 'hold'\)/;
      await expect(call).rejects.toThrow(excluded);
      const holding = await consume({ whilePaused: 'hold' });
      await expect(holding.setOverflow('block')).rejects.toThrow(TypeError);
      await expect(holding.setOverflow('block')).rejects.toThrow(excluded);
      expect(holding.overflow).toBe('drop-newest');
      await expect(consume({ overflow: 'block', overflowTimeout: 0 })).resolves.toMatchObject({
        overflow: 'block',
      });
    }
  });

  test.each(['newest', '', 1, true, ['close'], {}])('%p is a TypeError', async (wrong: any) => {
    const named = /overflow.*one of 'drop-newest'/;
    const options = { dataProducerId, overflow: wrong };
    await expect(transport.consumeData(options)).rejects.toThrow(TypeError);
    await expect(webRtcTransport.consumeData(options)).rejects.toThrow(named);
    const dataConsumer = await transport.consumeData({ dataProducerId, overflow: 'close' });
    await expect(dataConsumer.setOverflow(wrong)).rejects.toThrow(TypeError);
    await expect(dataConsumer.setOverflow(wrong)).rejects.toThrow(named);
    expect(dataConsumer.overflow).toBe('close');
  });

  test.each([-1, 1.5, '5', 2 ** 32, NaN])(
    'maxQueueDelay or maxBufferedAmount %p is a TypeError',
    async (wrong: any) => {
      for (const name of ['maxQueueDelay', 'maxBufferedAmount']) {
        const named = `${name} must be an integer from 0 to 4294967295 (got ${inspect(wrong)})`;
        for (const on of [transport, webRtcTransport]) {
          const call = on.consumeData({ dataProducerId, [name]: wrong });
          await expect(call).rejects.toThrow(new TypeError(named));
        }
      }
    },
  );
});
