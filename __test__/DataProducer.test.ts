import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { LOOPBACK } from './helpers/arrangement';
import { closes, EventRecorder } from './helpers/EventRecorder';
import {
  asText,
  NOT_ARRAYS,
  NOT_OBJECTS,
  NOT_STRINGS,
  notIntegers,
  titled,
} from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { allOf, numbered, Tally } from './helpers/numbered';
import { router, worker } from './helpers/sharedRouter';
import { nextEvent, nextMacrotask, until } from './helpers/wait';

const { NotFoundError } = datasoup.errors;

let transport: types.DirectTransport;
let webRtcTransport: types.WebRtcTransport;

beforeEach(async () => {
  transport = await router.createDirectTransport();
  webRtcTransport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
  });
});

afterEach(() => {
  transport.close();
  webRtcTransport.close();
});

/** A DataProducer, a DataConsumer on the same transport, and its Inbox. */
async function pair(
  options: types.DataProducerOptions = {},
  consumerOptions: Partial<types.DataConsumerOptions> = {},
): Promise<{ dataProducer: types.DataProducer; dataConsumer: types.DataConsumer; inbox: Inbox }> {
  const dataProducer = await transport.produceData(options);
  const dataConsumer = await transport.consumeData({
    dataProducerId: dataProducer.id,
    ...consumerOptions,
  });
  return { dataProducer, dataConsumer, inbox: new Inbox(dataConsumer) };
}

/** Resolves once the worker has handled every earlier call and lib/ has emitted the events. */
async function settled(): Promise<void> {
  await router.dump();
}

describe('transport.produceData() on a DirectTransport', () => {
  test('resolves with a DataProducer of type direct, with the defaults', async () => {
    const dataProducer = await transport.produceData();
    expect(dataProducer.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(dataProducer).toMatchObject({
      closed: false,
      type: 'direct',
      label: '',
      protocol: '',
      paused: false,
      bufferedAmount: 0,
    });
    expect(dataProducer.sctpStreamParameters).toBeUndefined();
    expect(dataProducer.appData).toEqual({});
    expect(dataProducer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    expect(dataProducer.observer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
  });

  test('keeps label, protocol, paused and appData, and does not change its argument', async () => {
    const options = Object.freeze({
      label: 'chat',
      protocol: 'json',
      paused: true,
      appData: Object.freeze({ a: 1 }) as types.AppData,
    });
    const dataProducer = await transport.produceData(options);
    expect(dataProducer).toMatchObject({ label: 'chat', protocol: 'json', paused: true });
    expect(dataProducer.appData).toBe(options.appData);
    dataProducer.appData = { b: 2 };
    expect(dataProducer.appData).toEqual({ b: 2 });
  });

  test('keeps a label and a protocol with any characters', async () => {
    const label = 'ünï ✓ 😀 \u0000';
    const dataProducer = await transport.produceData({ label, protocol: label });
    const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
    expect(dataProducer).toMatchObject({ label, protocol: label });
    expect(dataConsumer).toMatchObject({ label, protocol: label });
    await expect(dataProducer.dump()).resolves.toMatchObject({ label, protocol: label });
  });

  test('transport.observer emits newdataproducer(dataProducer) before produceData() resolves', async () => {
    const recorder = new EventRecorder().watch({ transport });
    await transport.produceData();
    recorder.note('(resolved)');
    expect(recorder.take()).toEqual([
      'transport.observer newdataproducer(DataProducer)',
      '(resolved)',
    ]);
  });

  test('ignores sctpStreamParameters and logs a warning', async () => {
    const warnings: string[] = [];
    datasoup.setLogEventListeners({ onwarn: (_namespace, log) => void warnings.push(log) });
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 3 } });
    datasoup.setLogEventListeners();
    expect(warnings.some((log) => log.includes('sctpStreamParameters'))).toBe(true);
    expect(dataProducer.sctpStreamParameters).toBeUndefined();
  });

  test('produceData({ id }) resolves with a DataProducer with that id', async () => {
    const id = '0f8fad5b-d9cb-469f-a165-70867728950e';
    const dataProducer = await transport.produceData({ id });
    expect(dataProducer.id).toBe(id);
  });

  test('produceData({ id }) rejects with a TypeError if the id is in use on the transport', async () => {
    const { id } = await transport.produceData();
    await expect(transport.produceData({ id })).rejects.toThrow(TypeError);
    await expect(transport.dump()).resolves.toMatchObject({ dataProducerIds: [id] });
  });

  test('produceData({ id }) rejects with an Error if the id is in use elsewhere in the worker', async () => {
    const { id } = await transport.produceData();
    const other = await router.createDirectTransport();
    await expect(other.produceData({ id })).rejects.toThrow(Error);
    const otherRouter = await worker.createRouter();
    const third = await otherRouter.createDirectTransport();
    await expect(third.produceData({ id })).rejects.toThrow(Error);
    await expect(other.dump()).resolves.toMatchObject({ dataProducerIds: [] });
    other.close();
    otherRouter.close();
  });

  test('two concurrent produceData({ id }) with the same id: the first resolves, the second rejects', async () => {
    const id = '0f8fad5b-d9cb-469f-a165-70867728950f';
    const outcomes = await Promise.allSettled([
      transport.produceData({ id }),
      transport.produceData({ id }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  test('produceData() takes one argument, so that map() may call it', async () => {
    const options = [{ label: 'a' }, { label: 'b' }, { label: 'c' }];
    const produceData = transport.produceData.bind(transport) as (
      ...args: unknown[]
    ) => Promise<types.DataProducer>;
    const made = await Promise.all(options.map(produceData));
    expect(made.map(({ label }) => label)).toEqual(['a', 'b', 'c']);
    expect(await produceData({}, true)).toMatchObject({ paused: false });
  });

  test('produceData({ id }) accepts the id of a closed DataProducer', async () => {
    const { id } = await transport.produceData();
    (await transport.produceData()).close();
    const other = await transport.produceData();
    other.close();
    await expect(transport.produceData({ id: other.id })).resolves.toMatchObject({ id: other.id });
    expect(id).not.toBe(other.id);
  });

  test.each(
    titled<object>([
      ...['chicken', '', 5, {}, '0f8fad5b-d9cb-469f-a165-70867728950'].map((id) => ({ id })),
      ...NOT_STRINGS.filter((label) => typeof label !== 'symbol').map((label) => ({ label })),
      ...NOT_STRINGS.filter((label) => typeof label !== 'symbol').map((protocol) => ({ protocol })),
      ...[-1, 1.5, NaN, Infinity, '1000', {}].map((maxBufferedAmount) => ({ maxBufferedAmount })),
      ...NOT_OBJECTS.map((appData) => ({ appData })),
    ]),
  )('produceData(%s) rejects with a TypeError', async (_title, options) => {
    await expect(transport.produceData(options as types.DataProducerOptions)).rejects.toThrow(
      TypeError,
    );
    await expect(transport.dump()).resolves.toMatchObject({ dataProducerIds: [] });
  });

  test('produceData() treats null options like missing ones', async () => {
    await expect(
      transport.produceData({
        id: null,
        sctpStreamParameters: null,
        label: null,
        protocol: null,
        paused: null,
        maxBufferedAmount: null,
        appData: null,
      } as unknown as types.DataProducerOptions),
    ).resolves.toMatchObject({ label: '', protocol: '', paused: false });
  });
});

describe('transport.produceData() on a WebRtcTransport', () => {
  test('resolves with a DataProducer of type sctp', async () => {
    const dataProducer = await webRtcTransport.produceData({
      sctpStreamParameters: { streamId: 7, maxRetransmits: 3 },
      label: 'pos',
    });
    expect(dataProducer).toMatchObject({ type: 'sctp', label: 'pos', bufferedAmount: 0 });
    expect(dataProducer.sctpStreamParameters).toEqual({
      streamId: 7,
      ordered: false,
      maxRetransmits: 3,
    });
    dataProducer.sctpStreamParameters!.streamId = 1;
    expect(dataProducer.sctpStreamParameters!.streamId).toBe(7);
  });

  const reliabilities: [object, object][] = [
    [{}, { ordered: true }],
    [{ ordered: true }, { ordered: true }],
    [{ ordered: false }, { ordered: false }],
    [{ ordered: null, maxRetransmits: null, maxPacketLifeTime: null }, { ordered: true }],
    [{ maxRetransmits: 0 }, { ordered: false, maxRetransmits: 0 }],
    [{ maxRetransmits: 3 }, { ordered: false, maxRetransmits: 3 }],
    [{ maxPacketLifeTime: 100 }, { ordered: false, maxPacketLifeTime: 100 }],
    [{ maxPacketLifeTime: 0 }, { ordered: false, maxPacketLifeTime: 0 }],
    [
      { ordered: false, maxRetransmits: 0 },
      { ordered: false, maxRetransmits: 0 },
    ],
    [
      { ordered: false, maxRetransmits: 65_535 },
      { ordered: false, maxRetransmits: 65_535 },
    ],
    [
      { ordered: false, maxPacketLifeTime: 65_535 },
      { ordered: false, maxPacketLifeTime: 65_535 },
    ],
  ];

  test.each(reliabilities)(
    'sctpStreamParameters { streamId, ...%j } become %j',
    async (given, kept) => {
      const dataProducer = await webRtcTransport.produceData({
        sctpStreamParameters: { streamId: 1, ...given },
      });
      expect(dataProducer.sctpStreamParameters).toEqual({ streamId: 1, ...kept });
      await expect(dataProducer.dump()).resolves.toMatchObject({
        sctpStreamParameters: { streamId: 1, ...kept },
      });
    },
  );

  test.each([0, 1, 65_534])('streamId %d is accepted', async (streamId) => {
    const dataProducer = await webRtcTransport.produceData({ sctpStreamParameters: { streamId } });
    expect(dataProducer.sctpStreamParameters!.streamId).toBe(streamId);
  });

  test.each(
    titled<unknown>([
      undefined,
      null,
      5,
      'x',
      {},
      { streamId: null },
      ...notIntegers(0, 65_534).map((streamId) => ({ streamId })),
      ...notIntegers(0, 65_535).map((maxRetransmits) => ({ streamId: 1, maxRetransmits })),
      ...notIntegers(0, 65_535).map((maxPacketLifeTime) => ({ streamId: 1, maxPacketLifeTime })),
      { streamId: 1, ordered: true, maxRetransmits: 3 },
      { streamId: 1, ordered: true, maxRetransmits: 0 },
      { streamId: 1, ordered: true, maxPacketLifeTime: 100 },
      { streamId: 1, maxRetransmits: 3, maxPacketLifeTime: 100 },
      { streamId: 1, maxRetransmits: 0, maxPacketLifeTime: 0 },
    ]),
  )(
    'produceData({ sctpStreamParameters: %s }) rejects with a TypeError',
    async (_title, sctpStreamParameters) => {
      await expect(
        webRtcTransport.produceData({ sctpStreamParameters } as types.DataProducerOptions),
      ).rejects.toThrow(TypeError);
      await expect(webRtcTransport.dump()).resolves.toMatchObject({ dataProducerIds: [] });
    },
  );

  test('produceData() rejects with an Error while another DataProducer uses the streamId', async () => {
    const sctpStreamParameters = { streamId: 1 };
    const dataProducer = await webRtcTransport.produceData({ sctpStreamParameters });
    await expect(webRtcTransport.produceData({ sctpStreamParameters })).rejects.toThrow(Error);
    const outcomes = await Promise.allSettled([
      webRtcTransport.produceData({ sctpStreamParameters: { streamId: 2 } }),
      webRtcTransport.produceData({ sctpStreamParameters: { streamId: 2 } }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    dataProducer.close();
    await expect(webRtcTransport.produceData({ sctpStreamParameters })).resolves.toMatchObject({
      closed: false,
      sctpStreamParameters: { streamId: 1 },
    });
  });

  test('a DataProducer and a DataConsumer can use the same streamId', async () => {
    const { id } = await webRtcTransport.produceData({ sctpStreamParameters: { streamId: 0 } });
    const dataConsumer = await webRtcTransport.consumeData({ dataProducerId: id, streamId: 0 });
    expect(dataConsumer.sctpStreamParameters!.streamId).toBe(0);
  });

  test('send() of a DataProducer of type sctp throws a TypeError', async () => {
    const dataProducer = await webRtcTransport.produceData({
      sctpStreamParameters: { streamId: 1 },
    });
    const inbox = new Inbox(await transport.consumeData({ dataProducerId: dataProducer.id }));
    expect(() => dataProducer.send('x')).toThrow(TypeError);
    await settled();
    expect(inbox.messages).toEqual([]);
  });
});

describe('dataProducer.send(message, ppid)', () => {
  const rows: [string, [string | Buffer, number?], string, number][] = [
    ["'abc'", ['abc'], 'abc', 51],
    ['Buffer(3)', [Buffer.from([1, 2, 3])], '\x01\x02\x03', 53],
    ["''", [''], ' ', 56],
    ['Buffer(0)', [Buffer.alloc(0)], '\0', 57],
    ["'', 56", ['', 56], ' ', 56],
    ["'abc', 56", ['abc', 56], ' ', 56],
    ['Buffer(3), 56', [Buffer.alloc(3), 56], ' ', 56],
    ['Buffer(0), 56', [Buffer.alloc(0), 56], ' ', 56],
    ['Buffer(0), 57', [Buffer.alloc(0), 57], '\0', 57],
    ['Buffer(3), 57', [Buffer.alloc(3), 57], '\0', 57],
    ["'abc', 57", ['abc', 57], '\0', 57],
    ["'', 57", ['', 57], '\0', 57],
    ["'abc', 53", ['abc', 53], 'abc', 53],
    ['Buffer(3), 51', [Buffer.from('abc'), 51], 'abc', 51],
    ["'abc', null", ['abc', null as unknown as number], 'abc', 51],
    ["'abc', undefined", ['abc', undefined], 'abc', 51],
    ...[0, 50, 52, 54, 99, 2 ** 31, 2 ** 32 - 1].map(
      (ppid): [string, [string, number], string, number] => [
        `'abc', ${ppid}`,
        ['abc', ppid],
        'abc',
        ppid,
      ],
    ),
  ];

  test.each(rows)(
    'send(%s) delivers the expected payload and PPID',
    async (_title, args, text, ppid) => {
      const { dataProducer, inbox } = await pair();
      expect(dataProducer.send(...args)).toBeUndefined();
      await settled();
      expect(inbox.messages).toEqual([{ text, ppid }]);
      await expect(dataProducer.getStats()).resolves.toMatchObject([
        { messagesReceived: 1, bytesReceived: text.length },
      ]);
    },
  );

  test.each(
    titled<unknown[]>(
      [
        [],
        [undefined],
        [null],
        [5],
        [true],
        [{}],
        [['x']],
        [new Proxy(new Uint8Array(2), {})],
        [{ byteLength: 2 }],
        [Symbol('x')],
        ...notIntegers(0, 2 ** 32 - 1).map((ppid) => ['x', ppid]),
        ['', 51],
        ['', 53],
        ['', 99],
        [Buffer.alloc(0), 51],
        [Buffer.alloc(0), 53],
        ...NOT_ARRAYS.map((subchannels) => ['x', 51, subchannels]),
        ...notIntegers(0, 65_535).map((subchannel) => ['x', 51, [1, subchannel]]),
        ['x', 51, [null]],
        ['x', 51, [undefined]],
        ['x', 51, new Array(65_536).fill(1)],
        ['x', 51, new Uint16Array(2)],
        ...notIntegers(0, 65_535).map((required) => ['x', 51, [], required]),
        ...notIntegers(0, 65_535).map((ignored) => ['x', 51, [], undefined, ignored]),
      ],
      (args) =>
        (args[2] as unknown[])?.length > 100
          ? "['x', 51, 65,536 subchannels]"
          : args.map(asText).join(', '),
    ),
  )('send(%s) throws a TypeError and sends nothing', async (_title, args) => {
    const { dataProducer, inbox } = await pair();
    expect(() => (dataProducer.send as (...given: unknown[]) => void)(...args)).toThrow(TypeError);
    await settled();
    expect(inbox.messages).toEqual([]);
    expect(dataProducer.bufferedAmount).toBe(0);
    await expect(dataProducer.getStats()).resolves.toMatchObject([
      { messagesReceived: 0, bytesReceived: 0 },
    ]);
  });

  test('send() accepts 65,535 subchannels', async () => {
    const { dataProducer, inbox } = await pair({}, { subchannels: [65_534] });
    dataProducer.send(
      'x',
      51,
      Array.from({ length: 65_535 }, (_value, index) => index),
    );
    await settled();
    expect(inbox.texts).toEqual(['x']);
  });

  test('send(string) encodes UTF-8, and a lone surrogate as U+FFFD', async () => {
    const { dataProducer, inbox } = await pair();
    dataProducer.send('é ✓ 😀');
    dataProducer.send('a\ud800b');
    dataProducer.send('\u0000');
    await settled();
    expect(inbox.buffers.map((buffer) => buffer.toString())).toEqual([
      'é ✓ 😀',
      'a\ufffdb',
      '\u0000',
    ]);
  });

  test('send(buffer) copies: a change of the buffer right after the call has no effect', async () => {
    const { dataProducer, inbox } = await pair();
    const buffer = Buffer.from('before');
    dataProducer.send(buffer);
    buffer.fill('x');
    await settled();
    expect(inbox.texts).toEqual(['before']);
  });

  test('send(buffer) sends only the part of the ArrayBuffer that the Buffer covers', async () => {
    const { dataProducer, inbox } = await pair();
    dataProducer.send(Buffer.from('0123456789').subarray(3, 6));
    dataProducer.send(Buffer.from(new SharedArrayBuffer(4)));
    await settled();
    expect(inbox.texts).toEqual(['345', '\0\0\0\0']);
  });

  test('send(buffer) of a detached Buffer throws a TypeError and sends nothing', async () => {
    const { dataProducer, inbox } = await pair();
    const buffer = Buffer.from(new ArrayBuffer(16));
    structuredClone(buffer.buffer, { transfer: [buffer.buffer as ArrayBuffer] });
    expect(() => dataProducer.send(buffer)).toThrow(TypeError);
    await settled();
    expect(inbox.messages).toEqual([]);
  });

  test('send() does not change its arguments', async () => {
    const { dataProducer, inbox } = await pair({}, { subchannels: [1] });
    const subchannels = Object.freeze([1, 1, 2]) as number[];
    dataProducer.send('x', 51, subchannels, 1, 5);
    await settled();
    expect(inbox.texts).toEqual(['x']);
  });
});

describe('dataProducer.send() and subchannels', () => {
  type Row = [number[] | undefined | null, number | undefined | null, number | undefined, string];
  const routing: Row[] = [
    [undefined, undefined, undefined, 'None+1+12'],
    [null, null, undefined, 'None+1+12'],
    [[], undefined, undefined, 'None+1+12'],
    [[1], undefined, undefined, '1+12'],
    [[2], undefined, undefined, '12'],
    [[3], undefined, undefined, ''],
    [[1, 2], undefined, undefined, '1+12'],
    [[3, 2, 2], undefined, undefined, '12'],
    [undefined, 2, undefined, '12'],
    [[1], 2, undefined, '12'],
    [[3], 1, undefined, ''],
    [undefined, undefined, 2, 'None+1'],
    [[1], undefined, 2, '1'],
    [[1], 1, 1, ''],
    [undefined, undefined, 9, 'None+1+12'],
    [undefined, 0, undefined, ''],
    [[65_535], undefined, undefined, ''],
  ];

  test.each(routing)(
    "send('x', 51, %j, %j, %j) reaches the DataConsumers %s",
    async (subchannels, required, ignored, expected) => {
      const dataProducer = await transport.produceData();
      const { id: dataProducerId } = dataProducer;
      const inboxes = new Map<string, Inbox>();
      for (const [name, subscribed] of [
        ['None', []],
        ['1', [1]],
        ['12', [1, 2]],
      ] as [string, number[]][]) {
        const dataConsumer = await transport.consumeData({
          dataProducerId,
          subchannels: subscribed,
        });
        inboxes.set(name, new Inbox(dataConsumer));
      }
      dataProducer.send('x', 51, subchannels as number[], required as number, ignored);
      await settled();
      const got = [...inboxes].filter(([, inbox]) => inbox.messages.length > 0);
      expect(got.map(([name]) => name).join('+')).toBe(expected);
    },
  );
});

describe('dataProducer.send() within a macrotask', () => {
  /** Blocks the event loop until the worker has routed all messages; returns false after 5 seconds. */
  function routesWhileBlocked(dataProducer: types.DataProducer): boolean {
    const end = performance.now() + 5_000;
    while (dataProducer.bufferedAmount > 0 && performance.now() < end);
    return dataProducer.bufferedAmount === 0;
  }

  test('hands the first message of each macrotask to the worker at once', async () => {
    const { dataProducer, inbox } = await pair();
    for (let round = 0; round < 3; round++) {
      dataProducer.send(`first of ${round}`);
      expect(routesWhileBlocked(dataProducer)).toBe(true);
      dataProducer.send(`second of ${round}`);
      await nextMacrotask();
      expect(routesWhileBlocked(dataProducer)).toBe(true);
    }
    await settled();
    expect(inbox.messages.length).toBe(6);
  });

  test('hands the first message sent by a listener to the worker at once', async () => {
    const { dataProducer, dataConsumer } = await pair();
    const { dataProducer: other } = await pair();
    const routed: boolean[] = [];
    dataConsumer.on('message', () => {
      other.send('from a listener');
      routed.push(routesWhileBlocked(other));
    });
    for (let round = 0; round < 3; round++) {
      dataProducer.send('to the listener');
      await until(dataConsumer, 'message', () => routed.length === round + 1);
    }
    expect(routed).toEqual([true, true, true]);
  });
});

describe('dataProducer.send() of many messages', () => {
  const SIZE = 100;

  test('1,000,000 messages of 100 B, 10,000 per macrotask, all arrive in order', async () => {
    const { dataProducer, dataConsumer } = await pair();
    const TOTAL = 1_000_000;
    const CHUNK = 10_000;
    let received = 0;
    let outOfOrder = 0;
    let dropped = 0;
    dataConsumer.on('overflow', ({ messages }) => {
      dropped += messages;
    });
    dataConsumer.on('message', (message) => {
      if (message.length !== SIZE || message.readUInt32BE(0) !== received) {
        outOfOrder++;
      }
      received++;
    });
    const message = Buffer.alloc(SIZE, 7);
    for (let sent = 0; sent < TOTAL;) {
      for (const end = sent + CHUNK; sent < end; sent++) {
        message.writeUInt32BE(sent, 0);
        dataProducer.send(message);
      }
      await nextMacrotask();
    }
    await until(
      dataConsumer,
      'message',
      () => received + dropped === TOTAL,
      () => `${received} messages`,
      110_000,
    );
    expect(dropped).toBe(0);
    expect(outOfOrder).toBe(0);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: TOTAL, bytesSent: TOTAL * SIZE, messagesDropped: 0, bytesDropped: 0 },
    ]);
    await expect(dataProducer.getStats()).resolves.toMatchObject([
      { messagesReceived: TOTAL, bytesReceived: TOTAL * SIZE },
    ]);
    expect(dataProducer.bufferedAmount).toBe(0);
    expect(dataConsumer.bufferedAmount).toBe(0);
  }, 120_000);

  test('100,000 messages of 100 B in one synchronous loop all arrive in order', async () => {
    const { dataProducer, dataConsumer } = await pair();
    const tally = new Tally();
    dataConsumer.on('message', (message) => tally.add(message));
    for (let number = 0; number < 100_000; number++) {
      dataProducer.send(numbered(number, SIZE));
    }
    await until(
      dataConsumer,
      'message',
      () => tally.count === 100_000,
      () => `${tally.count} messages`,
    );
    expect(tally.summary).toEqual(allOf(100_000, SIZE));
  });

  test('messages of many sizes arrive unchanged and in order', async () => {
    const { dataProducer, dataConsumer } = await pair();
    const sizes = [
      4, 5, 100, 1023, 1024, 1025, 2047, 2048, 4096, 8191, 8192, 16_384, 65_536, 262_144,
    ];
    const tally = new Tally();
    dataConsumer.on('message', (message) => tally.add(message));
    let bytes = 0;
    for (let number = 0; number < 300; number++) {
      const size = sizes[number % sizes.length]!;
      bytes += size;
      dataProducer.send(numbered(number, size));
    }
    await until(dataConsumer, 'message', () => tally.count === 300);
    expect(tally.summary).toEqual({ ...allOf(300, 0), bytes });
  });

  test('ten DataConsumers get every message in order', async () => {
    const dataProducer = await transport.produceData();
    const inboxes: Inbox[] = [];
    for (let count = 0; count < 10; count++) {
      inboxes.push(new Inbox(await transport.consumeData({ dataProducerId: dataProducer.id })));
    }
    const texts = Array.from({ length: 1000 }, (_value, index) => String(index));
    texts.forEach((text) => dataProducer.send(text));
    for (const inbox of inboxes) {
      await inbox.count(1000);
      expect(inbox.texts).toEqual(texts);
    }
  });
});

describe('dataProducer.bufferedAmount and maxBufferedAmount', () => {
  /** Sends until send() throws; returns the accepted messages and the error. */
  function sendUntilFull(dataProducer: types.DataProducer): { sent: string[]; thrown: unknown } {
    const sent: string[] = [];
    for (;;) {
      const text = String(sent.length).padStart(100, '0');
      try {
        dataProducer.send(text);
      } catch (thrown) {
        return { sent, thrown };
      }
      sent.push(text);
      if (sent.length > 5_000_000) {
        return { sent, thrown: undefined };
      }
    }
  }

  test('bufferedAmount returns to 0 once the messages are routed', async () => {
    const { dataProducer } = await pair();
    dataProducer.send(Buffer.alloc(1000));
    expect(dataProducer.bufferedAmount).toBeLessThanOrEqual(1000);
    await settled();
    expect(dataProducer.bufferedAmount).toBe(0);
  });

  test('beyond maxBufferedAmount send() throws ERR_SEND_QUEUE_FULL, and every accepted message arrives', async () => {
    const { dataProducer, inbox } = await pair({ maxBufferedAmount: 10_000 });
    const { sent, thrown } = sendUntilFull(dataProducer);
    expect(thrown).toBeInstanceOf(Error);
    expect(thrown).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL' });
    expect(sent.length).toBeGreaterThan(0);
    await inbox.count(sent.length);
    await settled();
    expect(inbox.texts).toEqual(sent);
  });

  test('maxBufferedAmount counts 64 bytes per message besides its payload', async () => {
    const { dataProducer } = await pair({ maxBufferedAmount: 6_400 });
    let accepted = 0;
    let shown = 0;
    expect(() => {
      for (; accepted < 5_000_000; accepted++) {
        // By payload alone 6,400 messages would fit: the limit also counts 64 bytes per message.
        dataProducer.send('x');
        shown = Math.max(shown, dataProducer.bufferedAmount);
      }
    }).toThrow(expect.objectContaining({ code: 'ERR_SEND_QUEUE_FULL' }));
    expect(shown).toBeGreaterThan(0);
    expect(shown).toBeLessThanOrEqual(6_400 / 65 + 1);
  });

  test("'drain' fires once after ERR_SEND_QUEUE_FULL, below a quarter of the bound", async () => {
    const { dataProducer, inbox } = await pair({ maxBufferedAmount: 10_000 });
    let drains = 0;
    const amounts: number[] = [];
    dataProducer.on('drain', () => {
      drains++;
      amounts.push(dataProducer.bufferedAmount);
    });
    const first = sendUntilFull(dataProducer);
    expect(drains).toBe(0);
    await until(dataProducer, 'drain', () => drains > 0);
    expect(amounts[0]).toBeLessThan(2_500);
    const second = sendUntilFull(dataProducer);
    await until(dataProducer, 'drain', () => drains > 1);
    await inbox.count(first.sent.length + second.sent.length);
    await settled();
    expect(drains).toBe(2);
    expect(inbox.texts).toEqual([...first.sent, ...second.sent]);
  });

  test("'drain' does not fire if send() never threw", async () => {
    const { dataProducer, inbox } = await pair();
    const recorder = new EventRecorder().watch({ dataProducer });
    for (let count = 0; count < 1000; count++) {
      dataProducer.send('x');
    }
    await inbox.count(1000);
    await settled();
    expect(recorder.take()).toEqual([]);
  });

  test('a DataProducer with a full queue does not stop another one from sending', async () => {
    const { dataProducer } = await pair({ maxBufferedAmount: 10_000 });
    const other = await pair();
    const { thrown } = sendUntilFull(dataProducer);
    other.dataProducer.send('free');
    await other.inbox.count(1);
    expect(thrown).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL' });
  });
});

describe('dataProducer.pause() and resume()', () => {
  test('resolve and set paused; the observer emits only when the state changes', async () => {
    const dataProducer = await transport.produceData();
    const recorder = new EventRecorder().watch({ dataProducer });
    await expect(dataProducer.pause()).resolves.toBeUndefined();
    expect(dataProducer.paused).toBe(true);
    await dataProducer.pause();
    await expect(dataProducer.dump()).resolves.toMatchObject({ paused: true });
    await expect(dataProducer.resume()).resolves.toBeUndefined();
    expect(dataProducer.paused).toBe(false);
    await dataProducer.resume();
    await expect(dataProducer.dump()).resolves.toMatchObject({ paused: false });
    expect(recorder.take()).toEqual([
      'dataProducer.observer pause',
      'dataProducer.observer resume',
    ]);
  });

  test('messages sent while paused are counted but not routed', async () => {
    const { dataProducer, inbox } = await pair();
    await dataProducer.pause();
    dataProducer.send('a');
    await dataProducer.resume();
    dataProducer.send('b');
    await settled();
    expect(inbox.texts).toEqual(['b']);
    await expect(dataProducer.getStats()).resolves.toMatchObject([
      { messagesReceived: 2, bytesReceived: 2 },
    ]);
  });

  test('produceData({ paused: true }) routes nothing before resume()', async () => {
    const { dataProducer, dataConsumer, inbox } = await pair({ paused: true });
    expect(dataConsumer.dataProducerPaused).toBe(true);
    dataProducer.send('a');
    await dataProducer.resume();
    dataProducer.send('b');
    await settled();
    expect(inbox.texts).toEqual(['b']);
    expect(dataConsumer.dataProducerPaused).toBe(false);
  });

  test('pause(), send(a), resume(), send(b), pause(), send(c), resume(), send(d) without await delivers b and d', async () => {
    const { dataProducer, dataConsumer, inbox } = await pair();
    const recorder = new EventRecorder().watch({ dataConsumer });
    const calls = [dataProducer.pause()];
    dataProducer.send('a');
    calls.push(dataProducer.resume());
    dataProducer.send('b');
    calls.push(dataProducer.pause());
    dataProducer.send('c');
    calls.push(dataProducer.resume());
    dataProducer.send('d');
    await Promise.all(calls);
    await settled();
    expect(inbox.texts).toEqual(['b', 'd']);
    expect(dataProducer.paused).toBe(false);
    expect(recorder.take()).toEqual([
      'dataConsumer dataproducerpause',
      'dataConsumer.observer pause',
      'dataConsumer dataproducerresume',
      'dataConsumer.observer resume',
      "dataConsumer message('b', 51)",
      'dataConsumer dataproducerpause',
      'dataConsumer.observer pause',
      'dataConsumer dataproducerresume',
      'dataConsumer.observer resume',
      "dataConsumer message('d', 51)",
    ]);
  });

  test('send(a), pause(), send(b) without await, later send(c), resume(), send(d), delivers a and d', async () => {
    const { dataProducer, inbox } = await pair();
    dataProducer.send('a');
    void dataProducer.pause();
    dataProducer.send('b');
    await settled();
    expect(inbox.texts).toEqual(['a']);
    dataProducer.send('c');
    void dataProducer.resume();
    dataProducer.send('d');
    await settled();
    expect(inbox.texts).toEqual(['a', 'd']);
  });

  test('1,000 messages between calls of pause() and resume() without await: exactly those sent while not paused arrive', async () => {
    const { dataProducer, inbox } = await pair();
    const expected: string[] = [];
    let paused = false;
    for (let number = 0; number < 1000; number++) {
      if (number % 7 === 3) {
        void (paused ? dataProducer.resume() : dataProducer.pause());
        paused = !paused;
      }
      dataProducer.send(String(number));
      if (!paused) {
        expected.push(String(number));
      }
    }
    await settled();
    expect(inbox.texts).toEqual(expected);
  });

  test('pause() twice and resume() twice without await emit pause and resume once', async () => {
    const dataProducer = await transport.produceData();
    const recorder = new EventRecorder().watch({ dataProducer });
    await Promise.all([
      dataProducer.pause(),
      dataProducer.pause(),
      dataProducer.resume(),
      dataProducer.resume(),
    ]);
    expect(recorder.take()).toEqual([
      'dataProducer.observer pause',
      'dataProducer.observer resume',
    ]);
  });
});

describe('dataProducer.getStats() and dump()', () => {
  test('getStats() has mediasoup’s fields and counts exactly', async () => {
    const { dataProducer } = await pair({ label: 'l', protocol: 'p' });
    const [before] = await dataProducer.getStats();
    expect(before).toMatchObject({
      type: 'data-producer',
      timestamp: expect.any(Number),
      label: 'l',
      protocol: 'p',
      messagesReceived: 0,
      bytesReceived: 0,
    });
    for (let size = 1; size <= 100; size++) {
      dataProducer.send(Buffer.alloc(size));
    }
    const [after] = await dataProducer.getStats();
    expect(after).toMatchObject({ messagesReceived: 100, bytesReceived: 5050 });
    expect(after!.timestamp).toBeGreaterThanOrEqual(before!.timestamp);
  });

  test('dump() has mediasoup’s fields', async () => {
    const dataProducer = await transport.produceData({ label: 'chat', protocol: 'json' });
    await expect(dataProducer.dump()).resolves.toEqual({
      id: dataProducer.id,
      type: 'direct',
      sctpStreamParameters: undefined,
      label: 'chat',
      protocol: 'json',
      paused: false,
    });
  });
});

describe('dataProducer.close()', () => {
  test('is synchronous and idempotent; the observer emits close once', async () => {
    const dataProducer = await transport.produceData();
    const recorder = new EventRecorder().watch({ dataProducer });
    expect(dataProducer.close()).toBeUndefined();
    expect(dataProducer.closed).toBe(true);
    dataProducer.close();
    await settled();
    expect(recorder.take()).toEqual(closes('dataProducer'));
    await expect(transport.dump()).resolves.toMatchObject({ dataProducerIds: [] });
  });

  test('closeWithStats() closes like close(), and resolves with the last counters', async () => {
    const { dataProducer, dataConsumer, inbox } = await pair({ label: 'l' });
    for (let size = 1; size <= 100; size++) {
      dataProducer.send(Buffer.alloc(size));
    }
    const recorder = new EventRecorder().watch({ dataProducer });
    const stats = dataProducer.closeWithStats();
    expect(dataProducer.closed).toBe(true);
    expect(recorder.take()).toEqual(closes('dataProducer'));
    await expect(stats).resolves.toMatchObject([
      { type: 'data-producer', label: 'l', messagesReceived: 100, bytesReceived: 5050 },
    ]);
    await settled();
    expect(inbox.messages).toHaveLength(100);
    expect(dataConsumer.closed).toBe(true);
    expect(recorder.take()).toEqual([]);
  });

  test('closeWithStats() rejects with WorkerClosedError if the Worker closes before it is answered', async () => {
    const own = await datasoup.createWorker();
    const ownTransport = await (await own.createRouter()).createDirectTransport();
    const dataProducer = await ownTransport.produceData();
    const stats = dataProducer.closeWithStats();
    own.close();
    await expect(stats).rejects.toThrow(datasoup.errors.WorkerClosedError);
    await expect(dataProducer.closeWithStats()).rejects.toThrow(datasoup.errors.WorkerClosedError);
  });

  test('dataProducer[Symbol.dispose]() closes', async () => {
    const dataProducer = await transport.produceData();
    dataProducer[Symbol.dispose]();
    expect(dataProducer.closed).toBe(true);
  });

  test('messages sent before close() arrive before dataproducerclose', async () => {
    const { dataProducer, dataConsumer } = await pair();
    const recorder = new EventRecorder().watch({ dataProducer, dataConsumer });
    for (let number = 0; number < 5; number++) {
      dataProducer.send(`m${number}`);
    }
    dataProducer.close();
    recorder.note('(returned)');
    await settled();
    expect(recorder.take()).toEqual([
      ...closes('dataProducer'),
      '(returned)',
      "dataConsumer message('m0', 51)",
      "dataConsumer message('m1', 51)",
      "dataConsumer message('m2', 51)",
      "dataConsumer message('m3', 51)",
      "dataConsumer message('m4', 51)",
      'dataConsumer dataproducerclose',
      ...closes('dataConsumer'),
    ]);
    expect(dataConsumer.closed).toBe(true);
  });

  test('send() after close() drops the message and logs a warning', async () => {
    const { dataProducer, inbox } = await pair();
    dataProducer.close();
    const warnings: string[] = [];
    datasoup.setLogEventListeners({ onwarn: (_namespace, log) => void warnings.push(log) });
    expect(dataProducer.send('x')).toBeUndefined();
    datasoup.setLogEventListeners();
    await settled();
    expect(warnings).toHaveLength(1);
    expect(inbox.messages).toEqual([]);
  });

  const calls: Record<string, (dataProducer: types.DataProducer) => Promise<unknown>> = {
    'dump()': (dataProducer) => dataProducer.dump(),
    'getStats()': (dataProducer) => dataProducer.getStats(),
    'closeWithStats()': (dataProducer) => dataProducer.closeWithStats(),
    'pause()': (dataProducer) => dataProducer.pause(),
    'resume()': (dataProducer) => dataProducer.resume(),
  };

  test.each(Object.entries(calls))(
    'after close(), %s rejects with NotFoundError',
    async (_title, call) => {
      const dataProducer = await transport.produceData();
      dataProducer.close();
      await expect(call(dataProducer)).rejects.toThrow(NotFoundError);
    },
  );

  test('consumeData() of a closed DataProducer rejects with NotFoundError', async () => {
    const dataProducer = await transport.produceData();
    dataProducer.close();
    await expect(transport.consumeData({ dataProducerId: dataProducer.id })).rejects.toThrow(
      NotFoundError,
    );
  });

  test('in a message listener: no message follows dataproducerclose', async () => {
    const { dataProducer, dataConsumer, inbox } = await pair();
    const recorder = new EventRecorder().watch({ dataConsumer });
    dataConsumer.on('message', () => dataProducer.close());
    for (let number = 0; number < 100; number++) {
      dataProducer.send(String(number));
    }
    await nextEvent(dataConsumer, 'dataproducerclose');
    await settled();
    const lines = recorder.take();
    expect(lines.slice(-3)).toEqual(['dataConsumer dataproducerclose', ...closes('dataConsumer')]);
    expect(inbox.texts).toEqual(inbox.texts.map((_text, index) => String(index)));
  });
});
