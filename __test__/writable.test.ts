import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';

import * as datasoup from '..';
import type { types } from '..';
import { coreOf } from '../lib/Entity';
import './helpers/closeWorkers';
import { LOOPBACK } from './helpers/arrangement';
import { Inbox } from './helpers/Inbox';
import { router } from './helpers/sharedRouter';
import { nextMacrotask, until } from './helpers/wait';

/** `dataProducer.writable()`: a stream that sends, with back-pressure. */

const { NotFoundError, WorkerClosedError } = datasoup.errors;

let transport: types.DirectTransport;

beforeEach(async () => {
  transport = await router.createDirectTransport({ maxReceiveMessageSize: 100_000 });
});

afterEach(() => transport.close());

async function pair(
  options: types.DataProducerOptions = {},
): Promise<{ dataProducer: types.DataProducer; dataConsumer: types.DataConsumer; inbox: Inbox }> {
  const dataProducer = await transport.produceData(options);
  const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
  return { dataProducer, dataConsumer, inbox: new Inbox(dataConsumer) };
}

/** What `finished()` of the stream rejects with. */
function failure(stream: Writable): Promise<Error> {
  return finished(stream).then(
    () => new Error('the stream finished'),
    (error: Error) => error,
  );
}

/** The texts '0', '1', … */
function* numbers(count: number, size = 1): Generator<string, void> {
  for (let number = 0; number < count; number++) {
    yield String(number).padStart(size, '0');
  }
}

test('sends strings, bytes of every kind, and objects with the arguments of send()', async () => {
  const { dataProducer, dataConsumer, inbox } = await pair();
  await dataConsumer.setSubchannels([7]);
  const writable = dataProducer.writable();
  writable.write('text');
  writable.write(Buffer.from('buffer'));
  writable.write(new Uint16Array([0x4241]));
  writable.write(new DataView(new ArrayBuffer(1)));
  writable.write(new ArrayBuffer(1));
  writable.write({ message: 'object' });
  writable.write({ message: Buffer.from('ppid'), ppid: 51 });
  writable.write({ message: 'for 8', subchannels: [8] });
  writable.write({ message: 'for 7', subchannels: [7], requiredSubchannel: 7 });
  writable.write({ message: 'not for 7', ignoredSubchannel: 7 });
  writable.end('');
  await finished(writable);
  expect(inbox.messages).toEqual([
    { text: 'text', ppid: 51 },
    { text: 'buffer', ppid: 53 },
    { text: 'AB', ppid: 53 },
    { text: '\0', ppid: 53 },
    { text: '\0', ppid: 53 },
    { text: 'object', ppid: 51 },
    { text: 'ppid', ppid: 51 },
    { text: 'for 7', ppid: 51 },
    { text: ' ', ppid: 56 },
  ]);
});

test('carries a file', async () => {
  const { dataProducer, dataConsumer } = await pair();
  const hash = createHash('sha256');
  dataConsumer.on('message', (message) => void hash.update(message));
  await pipeline(createReadStream(process.execPath), dataProducer.writable());
  const expected = createHash('sha256');
  await pipeline(createReadStream(process.execPath), expected);
  expect(hash.digest('hex')).toBe(expected.digest('hex'));
});

test('finishes once everything has arrived, and closes no other object', async () => {
  const { dataProducer, dataConsumer, inbox } = await pair();
  for (const round of [1, 2]) {
    const writable = dataProducer.writable();
    Readable.from(numbers(1000)).pipe(writable);
    await once(writable, 'finish');
    expect(dataProducer.bufferedAmount).toBe(0);
    await expect(dataConsumer.getStats()).resolves.toMatchObject([{ messagesSent: 1000 * round }]);
    expect(inbox.texts.slice(1000 * (round - 1))).toEqual([...numbers(1000)]);
  }
  expect(dataProducer.closed).toBe(false);
});

test('end() waits for peers, until their DataConsumers have closed or the stream is destroyed', async () => {
  const webRtcTransport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
  });
  const { dataProducer } = await pair();
  const notConnected = await webRtcTransport.consumeData({ dataProducerId: dataProducer.id });
  const [ending, destroyed] = [dataProducer.writable(), dataProducer.writable()];
  destroyed.end('x');
  ending.end('y');
  await dataProducer.getStats();
  expect(ending.writableFinished).toBe(false);
  const cancelled = jest.spyOn(coreOf(router as any).channel.native, 'cancelDrained');
  destroyed.destroy();
  await once(destroyed, 'close');
  expect(destroyed.writableFinished).toBe(false);
  await nextMacrotask();
  expect(cancelled).toHaveBeenCalledTimes(1);
  notConnected.close();
  await finished(ending);
});

test.each([
  [200, 100_000],
  [40_000, 1],
])(
  'while nothing is routed, of %d messages of %d bytes at most 1 MiB is sent and 16 wait in the stream',
  async (count, size) => {
    const { dataProducer, inbox } = await pair();
    const writable = dataProducer.writable();
    // One macrotask, so that no answer of the worker comes in between.
    const taken = [...numbers(count, size)].filter((message) => writable.write(message)).length;
    expect(taken).toBeLessThanOrEqual((1024 * 1024) / (size + 64) + 16);
    expect(dataProducer.bufferedAmount).toBeLessThanOrEqual(1024 * 1024 + size);
    writable.end();
    await finished(writable);
    await inbox.count(count);
    expect(inbox.texts).toEqual([...numbers(count, size)]);
  },
);

test.each([0, 1, 10_000])(
  'with maxBufferedAmount %d it waits for drain instead of ERR_SEND_QUEUE_FULL, and nothing is lost',
  async (maxBufferedAmount) => {
    const { dataProducer, inbox } = await pair({ maxBufferedAmount });
    let drains = 0;
    dataProducer.on('drain', () => void drains++);
    await pipeline(Readable.from(numbers(2000, 100)), dataProducer.writable());
    expect(inbox.texts).toEqual([...numbers(2000, 100)]);
    expect(drains).toBeGreaterThan(0);
  },
);

test('two streams, and send() beside them, share a full queue', async () => {
  const { dataProducer, inbox } = await pair({ maxBufferedAmount: 1000 });
  const first = pipeline(Readable.from(numbers(500, 4)), dataProducer.writable());
  const second = pipeline(Readable.from(numbers(500, 5)), dataProducer.writable());
  let sent = 0;
  while (sent < 500) {
    try {
      dataProducer.send(String(sent).padStart(6, '0'));
      sent++;
    } catch {
      await once(dataProducer, 'drain');
    }
  }
  await Promise.all([first, second]);
  await inbox.count(1500);
  for (const size of [4, 5, 6]) {
    expect(inbox.texts.filter((text) => text.length === size)).toEqual([...numbers(500, size)]);
  }
});

test.each<[string, unknown, string]>([
  ['a message over maxReceiveMessageSize', Buffer.alloc(100_001), 'message of 100001 bytes'],
  ['a number', 5, 'chunk must be an object (got 5)'],
  ['an object without a message', { ppid: 53 }, 'message must be a string, Buffer'],
  ['a wrong ppid', { message: 'x', ppid: -1 }, 'ppid must be an integer'],
  ['a wrong subchannel', { message: 'x', subchannels: [-1] }, 'subchannels[0] must be'],
])('%s destroys the stream with the TypeError', async (_title, chunk, text) => {
  const { dataProducer, inbox } = await pair();
  const writable = dataProducer.writable();
  const written: unknown[] = [];
  writable.write('before');
  writable.write(chunk, (error) => written.push(error));
  writable.write('after', (error) => written.push(error));
  const error = await failure(writable);
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toContain(text);
  expect(written).toEqual([error, error]);
  dataProducer.send('next');
  await inbox.count(2);
  expect(inbox.texts).toEqual(['before', 'next']);
});

test('an error thrown by a getter of a chunk destroys the stream', async () => {
  const { dataProducer } = await pair();
  const boom = new Error('boom');
  const writable = dataProducer.writable();
  writable.write({
    get message() {
      throw boom;
    },
  });
  await expect(finished(writable)).rejects.toBe(boom);
});

describe('when the DataProducer closes', () => {
  test.each<[string, (dataProducer: types.DataProducer) => void]>([
    ['dataProducer.close()', (dataProducer) => dataProducer.close()],
    ['transport.close()', () => transport.close()],
  ])('by %s, the stream is destroyed with NotFoundError', async (_title, close) => {
    const { dataProducer } = await pair({ maxBufferedAmount: 1000 });
    const idle = dataProducer.writable();
    const busy = pipeline(Readable.from(endless()), dataProducer.writable());
    const done = dataProducer.writable();
    done.end();
    await finished(done);
    const failed = failure(idle);
    close(dataProducer);
    expect(idle.destroyed).toBe(true);
    for (const error of await Promise.all([failed, busy.catch((it: Error) => it)])) {
      expect(error).toBeInstanceOf(NotFoundError);
      expect((error as Error).message).toBe(
        'the DataProducer closed before its stream had finished',
      );
    }
    expect(done.errored).toBeNull();
    expect(() => dataProducer.writable()).toThrow(NotFoundError);
  });

  test('by worker.close(), the stream is destroyed with WorkerClosedError, even if it is just ending', async () => {
    const worker = await datasoup.createWorker();
    const direct = await (await worker.createRouter()).createDirectTransport();
    const dataProducer = await direct.produceData();
    const [idle, ending] = [dataProducer.writable(), dataProducer.writable()];
    const failed = [failure(idle), failure(ending)];
    ending.end('x');
    worker.close();
    for (const error of await Promise.all(failed)) {
      expect(error).toBeInstanceOf(WorkerClosedError);
    }
    expect(() => dataProducer.writable()).toThrow(WorkerClosedError);
  });

  test('the callbacks of writes that wait get the error', async () => {
    const { dataProducer } = await pair({
      maxBufferedAmount: 1,
      paused: true,
      whilePaused: 'hold',
    });
    dataProducer.send('x');
    const writable = dataProducer.writable();
    const written = Promise.all(
      ['a', 'b'].map((text) => new Promise((resolve) => writable.write(text, resolve))),
    );
    const failed = failure(writable);
    dataProducer.close();
    const error = await failed;
    expect(error).toBeInstanceOf(NotFoundError);
    expect(await written).toEqual([error, error]);
  });

  test("a stream without an 'error' listener ends silently", async () => {
    const { dataProducer } = await pair({ maxBufferedAmount: 1 });
    const writable = dataProducer.writable();
    for (const message of numbers(100)) writable.write(message);
    dataProducer.close();
    // once() would reject with an 'error'.
    await once(writable, 'close');
    expect(writable.writableFinished).toBe(false);
  });

  function* endless(): Generator<string> {
    for (;;) yield 'x'.repeat(1000);
  }
});

test('a destroyed stream sends nothing more, and the DataProducer forgets it', async () => {
  const { dataProducer, dataConsumer, inbox } = await pair({ maxBufferedAmount: 1 });
  const writable = dataProducer.writable();
  for (const message of numbers(16)) writable.write(message);
  writable.destroy();
  dataProducer.once('drain', () => dataProducer.send('after'));
  await until(dataConsumer, 'message', () => inbox.texts.at(-1) === 'after');
  expect(inbox.messages.length).toBeLessThan(16);
  expect(dataProducer.eventNames()).toEqual([]);
  // The next 'drain' sends nothing, either.
  await dataProducer.drained();
  await dataProducer.drained();
  expect(inbox.texts.at(-1)).toBe('after');
});

describe("a stream that is destroyed at the 'drain' for which its message waits sends nothing more", () => {
  /** Calls `act` when the message is read again, for the second attempt to send it. */
  function actingMessage(message: string, act: () => void): object {
    let reads = 0;
    return {
      get message() {
        if (reads++ > 0) act();
        return message;
      },
    };
  }

  /** How `second`, whose message waits behind that of `first`, is destroyed; and its message. */
  const ways: [string, (first: Writable, second: Writable, of: types.DataProducer) => unknown][] = [
    [
      "by the callback of another stream's write",
      (first, second) => {
        first.write('first', () => second.destroy());
        return 'second';
      },
    ],
    [
      "by another stream's 'drain' listener",
      (first, second) => {
        while (first.write('first'));
        first.on('drain', () => second.destroy());
        return 'second';
      },
    ],
    [
      "by a getter of another stream's chunk",
      (first, second) => {
        first.write(actingMessage('first', () => second.destroy()));
        return 'second';
      },
    ],
    [
      'by a getter of its own chunk',
      (first, second) => {
        first.write('first');
        return actingMessage('second', () => second.destroy());
      },
    ],
    [
      "by a 'drain' listener of the DataProducer",
      (first, second, dataProducer) => {
        first.write('first');
        dataProducer.on('drain', () => second.destroy());
        return 'second';
      },
    ],
  ];

  test.each([
    ...ways.map((way) => [100_000, ...way] as const),
    // The queue is full again before the second attempt to send the message.
    [1, ...ways[0]!] as const,
  ])('with maxBufferedAmount %d, %s', async (maxBufferedAmount, _title, prepare) => {
    const { dataProducer, inbox } = await pair({
      maxBufferedAmount,
      paused: true,
      whilePaused: 'hold',
    });
    const [first, second] = [dataProducer.writable(), dataProducer.writable()];
    const closed = once(second, 'close');
    // Held, it fills the queue until resume().
    dataProducer.send('x'.repeat(maxBufferedAmount));
    // What waits in the stream is not sent, either.
    second.cork();
    const written: unknown[] = [];
    second.write(prepare(first, second, dataProducer), (error) => written.push(error));
    second.write('last', (error) => written.push(error));
    second.end();
    await dataProducer.resume();
    await closed;
    await finished(first.end());
    for (const text of ['after', 'the end']) {
      dataProducer.send(text);
      await dataProducer.drained();
    }
    expect([...new Set(inbox.texts.slice(1))]).toEqual(['first', 'after', 'the end']);
    const destroyed = expect.objectContaining({ code: 'ERR_STREAM_DESTROYED' });
    expect(written).toEqual([destroyed, destroyed]);
  });
});

test('toWeb() makes a WritableStream with the same back-pressure and errors', async () => {
  const { dataProducer, inbox } = await pair({ maxBufferedAmount: 10_000 });
  for (const web of [dataProducer.writable().toWeb(), Writable.toWeb(dataProducer.writable())]) {
    const writer = web.getWriter();
    for (const message of numbers(500, 100)) {
      await writer.ready;
      void writer.write({ message });
    }
    await writer.close();
    expect(inbox.texts.splice(0)).toEqual([...numbers(500, 100)]);
    inbox.messages.length = 0;
  }
  const writer = dataProducer.writable().toWeb().getWriter();
  const closed = expect(writer.closed).rejects.toThrow(TypeError);
  await writer.write(new Uint8Array(100_001)).catch(() => {});
  await closed;
});

test('writable() of a DataProducer of type sctp throws a TypeError', async () => {
  const webRtcTransport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
  });
  const dataProducer = await webRtcTransport.produceData({
    sctpStreamParameters: { streamId: 1 },
  });
  const text = "writable() needs a DataProducer of type 'direct' (this one is 'sctp')";
  expect(() => dataProducer.writable()).toThrow(new TypeError(text));
  dataProducer.close();
  expect(() => dataProducer.writable()).toThrow(TypeError);
});
