import { on, once } from 'node:events';
import { setImmediate as macrotask } from 'node:timers/promises';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { errors, type types } from '..';
import { Random } from '../robustness/random';
import { LOOPBACK } from './helpers/arrangement';
import { runNode } from './helpers/process';
import { router, worker } from './helpers/router';
import { PATIENCE, nextEvent } from './helpers/wait';

/** `for await (… of dataConsumer)` and `dataConsumer.readable()`: the application asks for each message. */

let transport: types.DirectTransport;
let dataProducer: types.DataProducer;
let dataConsumer: types.DataConsumer;

beforeEach(async () => {
  transport = await router.createDirectTransport();
  dataProducer = await transport.produceData();
  dataConsumer = await consume();
});

function consume(options: Partial<types.DataConsumerOptions> = {}): Promise<types.DataConsumer> {
  return transport.consumeData({ dataProducerId: dataProducer.id, ...options });
}

/** Sends the texts `from`, `from + 1`, … */
function send(count: number, from = 0): string[] {
  const texts = Array.from({ length: count }, (_value, index) => String(from + index));
  texts.forEach((text) => dataProducer.send(text));
  return texts;
}

/** Resolves when the worker has routed everything sent, and JavaScript has been notified. */
async function routed(): Promise<void> {
  await dataProducer.getStats();
  await macrotask();
}

async function textsOf(messages: AsyncIterable<types.ReceivedMessage>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { message } of messages) texts.push(String(message));
  return texts;
}

/** The texts of the next `count` messages. */
async function take(
  iterator: AsyncIterator<types.ReceivedMessage>,
  count: number,
): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    const { value } = await iterator.next();
    texts.push(String(value.message));
  }
  return texts;
}

/** For scripts: a direct DataProducer and its DataConsumer. */
const MAKE_PAIR = `
  const worker = await datasoup.createWorker();
  const transport = await (await worker.createRouter()).createDirectTransport();
  const dataProducer = await transport.produceData();
  const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });`;

const CLOSES: [string, () => void][] = [
  ['dataProducer.close()', () => dataProducer.close()],
  ['dataConsumer.close()', () => dataConsumer.close()],
  ['transport.close()', () => transport.close()],
  ['worker.close()', () => worker.close()],
];

describe('for await (… of dataConsumer)', () => {
  test('yields messages with their PPIDs in order, also those that came before the loop waited', async () => {
    const sent: types.ReceivedMessage[] = [];
    const loop = (async () => {
      for await (const received of dataConsumer) {
        sent.push(received);
        if (sent.length === 4) break;
      }
    })();
    dataProducer.send('text');
    dataProducer.send(Buffer.from('bytes'));
    await routed();
    dataProducer.send('', 56);
    dataProducer.send('other', 99);
    await loop;
    expect(sent.map(({ message, ppid }) => [String(message), ppid])).toEqual([
      ['text', 51],
      ['bytes', 53],
      [' ', 56],
      ['other', 99],
    ]);
    expect(sent.map(({ message }) => message.buffer.byteLength)).toEqual([4, 5, 1, 5]);
  });

  test.each([0, 1, 50])(
    'misses nothing sent right before its first next(), even if already on its way (%d macrotasks)',
    async (macrotasks) => {
      for (let round = 0; round < 20; round++) {
        const [fresh, producer] = [await consume(), dataProducer];
        const iterator = fresh[Symbol.asyncIterator]();
        const before = send(1000);
        const taken = take(iterator, 1500);
        for (let each = 0; each < macrotasks; each++) await macrotask();
        const after = send(500, 1000);
        expect(await taken).toEqual([...before, ...after]);
        fresh.close();
        expect(producer.closed).toBe(false);
      }
    },
  );

  test('a slow loop gets everything in order, and the other messages wait in the queue', async () => {
    const iterator = dataConsumer[Symbol.asyncIterator]();
    const first = iterator.next();
    const sent = send(3000);
    await routed();
    expect(String((await first).value!.message)).toBe('0');
    const waiting = sent.slice(1).join('').length;
    expect(dataConsumer.bufferedAmount).toBe(waiting);
    await macrotask();
    expect(dataConsumer.bufferedAmount).toBe(waiting);
    expect(await take(iterator, 2999)).toEqual(sent.slice(1));
    expect(dataConsumer.bufferedAmount).toBe(0);
  });

  test.each<[types.DataConsumerOverflow, string[]]>([
    ['drop-newest', ['0', '1', '2', '3']],
    ['drop-oldest', ['97', '98', '99']],
    ['keep-latest', ['99']],
  ])('messages that are not asked for are subject to the policy %s', async (overflow, kept) => {
    const bounded = await consume({ overflow, maxBufferedAmount: 3 * 65 + 1 });
    const iterator = bounded[Symbol.asyncIterator]();
    const first = iterator.next();
    dataProducer.send('x');
    expect(String((await first).value!.message)).toBe('x');
    send(100);
    await routed();
    bounded.close();
    expect(await textsOf({ [Symbol.asyncIterator]: () => iterator })).toEqual(kept);
  });

  test('a loop that catches up ends the overflow', async () => {
    const bounded = await consume({ maxBufferedAmount: 1000 });
    const iterator = bounded[Symbol.asyncIterator]();
    const first = iterator.next();
    dataProducer.send('x');
    await first;
    const overflow = nextEvent(bounded, 'overflow');
    send(100);
    await routed();
    await take(iterator, 16);
    expect(await overflow).toEqual([{ messages: 84, bytes: 2 * 84 }]);
    dataProducer.send('y');
    expect(await take(iterator, 1)).toEqual(['y']);
  });

  test.each(CLOSES)('ends after the queued messages, by %s', async (_title, close) => {
    const iterator = dataConsumer[Symbol.asyncIterator]();
    const first = iterator.next();
    const sent = send(100);
    await routed();
    expect(String((await first).value!.message)).toBe('0');
    close();
    expect(await textsOf({ [Symbol.asyncIterator]: () => iterator })).toEqual(sent.slice(1));
    await expect(iterator.next()).resolves.toEqual({ value: undefined, done: true });
    // A loop over a closed DataConsumer ends at once.
    if (dataConsumer.closed) expect(await textsOf(dataConsumer)).toEqual([]);
  });

  test.each(CLOSES)(
    'ends after messages that JavaScript had not seen when it called %s',
    async (_title, close) => {
      const iterator = dataConsumer[Symbol.asyncIterator]();
      const first = iterator.next();
      send(1);
      await first;
      // More than one batch holds, so part of it crosses before the macrotask ends.
      const sent = send(513, 1);
      const size = sent.join('').length;
      const end = Date.now() + PATIENCE;
      while (dataConsumer.bufferedAmount < size && Date.now() < end);
      close();
      expect(await textsOf({ [Symbol.asyncIterator]: () => iterator })).toEqual(sent);
    },
  );

  test.each(CLOSES)('ends a loop that waits, by %s', async (_title, close) => {
    const texts = textsOf(dataConsumer);
    dataProducer.send('last');
    await routed();
    close();
    expect(await texts).toEqual(['last']);
  });

  test('leaving the loop stops it: waiting messages are discarded, later ones go to listeners or to the next loop', async () => {
    const lost = textsOf(await consume());
    for await (const { message } of loopOver(dataConsumer)) {
      expect(String(message)).toBe('0');
      break;
    }
    expect(dataConsumer.bufferedAmount).toBe(0);
    await routed();
    const listened = nextEvent(dataConsumer, 'message');
    dataProducer.send('listened');
    expect(String((await listened)[0])).toBe('listened');
    const again = take(dataConsumer[Symbol.asyncIterator](), 1);
    dataProducer.send('again');
    expect(await again).toEqual(['again']);
    dataProducer.close();
    expect(await lost).toEqual(['0', '1', '2', 'listened', 'again']);

    /** Sends three messages once the loop has begun. */
    async function* loopOver(
      consumer: types.DataConsumer,
    ): AsyncGenerator<types.ReceivedMessage, void> {
      const iterator = consumer[Symbol.asyncIterator]();
      try {
        const first = iterator.next();
        send(3);
        await routed();
        yield (await first).value!;
      } finally {
        await iterator.return();
      }
    }
  });

  test('calls of next() that are not awaited get the messages in order, and return() ends those that wait', async () => {
    const iterator = dataConsumer[Symbol.asyncIterator]();
    const calls = Array.from({ length: 5 }, () => iterator.next());
    send(3);
    const results = await Promise.all(calls.slice(0, 3));
    expect(results.map(({ value }) => String(value!.message))).toEqual(['0', '1', '2']);
    await expect(iterator.return()).resolves.toEqual({ value: undefined, done: true });
    for (const call of [...calls.slice(3), iterator.next()]) {
      await expect(call).resolves.toEqual({ value: undefined, done: true });
    }
  });

  test('two iterators share the messages, and one goes on when the other has ended', async () => {
    const [one, other] = [
      dataConsumer[Symbol.asyncIterator](),
      dataConsumer[Symbol.asyncIterator](),
    ];
    const both = Promise.all([take(one, 5), take(other, 5)]);
    const sent = send(10);
    expect((await both).flat().sort()).toEqual(sent.sort());
    await one.return();
    const rest = take(other, 1);
    dataProducer.send('rest');
    expect(await rest).toEqual(['rest']);
  });

  test('other work gets its turns while many messages wait', async () => {
    const iterator = dataConsumer[Symbol.asyncIterator]();
    const first = iterator.next();
    send(20_000);
    await routed();
    await first;
    let turns = 0;
    const count = (): void => {
      turns++;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    await take(iterator, 19_999);
    clearImmediate(immediate);
    expect(turns).toBeGreaterThan(20);
  });

  describe('drained() waits for messages that are not asked for', () => {
    const objectsOf: [string, () => { drained(): Promise<void> }][] = [
      ['dataConsumer', () => dataConsumer],
      ['dataProducer', () => dataProducer],
      ['transport', () => transport],
      ['worker', () => worker],
    ];
    const ends: [string, (iterator: types.MessageIterator) => unknown][] = [
      ['it is asked for', (iterator) => take(iterator, 9)],
      ['the loop ends', (iterator) => iterator.return()],
      ['the policy drops it', () => send(10, 10)],
    ];

    test.each(
      objectsOf.flatMap(([name, of]) => ends.map((end) => [name, end[0], of, end[1]] as const)),
    )('%s.drained(), until %s', async (_name, _title, of, end) => {
      const bounded = await consume({ overflow: 'drop-oldest', maxBufferedAmount: 10 * 65 });
      dataConsumer.close();
      dataConsumer = bounded;
      const iterator = bounded[Symbol.asyncIterator]();
      const first = iterator.next();
      send(10);
      await first;
      let drained = false;
      const promise = of()
        .drained()
        .then(() => (drained = true));
      await routed();
      await worker.dump();
      expect(drained).toBe(false);
      await end(iterator);
      await promise;
    });

    test('and leaves nothing when it gives up', async () => {
      const iterator = dataConsumer[Symbol.asyncIterator]();
      const first = iterator.next();
      send(2);
      await first;
      for (let round = 0; round < 3; round++) {
        await expect(dataConsumer.drained({ timeout: 1 })).rejects.toThrow('not drained');
      }
      const drained = dataConsumer.drained();
      await iterator.next();
      await drained;
    });
  });

  test('iterators and streams that have ended leave nothing behind', async () => {
    const ended = await runNode(
      `(async () => {
        ${MAKE_PAIR}
        const used = async () => {
          for (let round = 0; round < 5; round++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
          const { heapUsed, arrayBuffers } = process.memoryUsage();
          return heapUsed + arrayBuffers;
        };
        const rounds = async (count) => {
          for (let round = 0; round < count; round++) {
            const iterator = dataConsumer[Symbol.asyncIterator]();
            const next = iterator.next();
            const [readable, writable] = [dataConsumer.readable(), dataProducer.writable()];
            for (let index = 0; index < 20; index++) writable.write(Buffer.alloc(1_000));
            readable.read();
            await next;
            iterator.next();
            iterator.return();
            readable.destroy();
            writable.destroy();
            if (round % 100 === 0) await dataProducer.getStats();
          }
        };
        await rounds(500);
        const before = await used();
        await rounds(2_000);
        console.log(((await used()) - before) / 2_000 < 500, dataConsumer.bufferedAmount);
        worker.close();
      })();`,
      { args: ['--expose-gc'] },
    );
    expect(ended).toMatchObject({ stdout: 'true 0\n', stderr: '', code: 0 });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'beside random iterators and streams that come and go (seed %d), nothing is lost except what a destroyed stream had buffered',
    async (seed) => {
      const random = new Random(seed);
      const received: number[] = [];
      let [sent, buffered] = [0, 0];
      let others: { act(): unknown; end(): unknown }[] = [];

      /** A receiver of messages, which must come in order. */
      const receiver = (): ((received: types.ReceivedMessage) => void) => {
        let last = -1;
        return ({ message }) => {
          expect(Number(message)).toBeGreaterThan(last);
          last = Number(message);
          received.push(last);
        };
      };
      const iterate = (): void => {
        const iterator = dataConsumer[Symbol.asyncIterator]();
        const receive = receiver();
        const act = (): unknown => iterator.next().then(({ value }) => value && receive(value));
        act();
        others.push({ act, end: () => iterator.return() });
      };
      const stream = (): void => {
        const readable = dataConsumer.readable().on('data', receiver());
        others.push({
          act: () => (readable.isPaused() ? readable.resume() : readable.pause()),
          end: () => {
            buffered += readable.readableLength;
            readable.destroy();
          },
        });
      };
      const end = async (): Promise<void> => {
        const other = random.pick(others);
        others = others.filter((each) => each !== other);
        await other.end();
      };

      const anchor = dataConsumer[Symbol.asyncIterator]();
      const receive = receiver();
      await Promise.all([anchor.next().then(({ value }) => receive(value!)), send(1)]);
      for (sent = 1; sent < 2000;) {
        sent += send(random.below(50), sent).length;
        await random.pick<() => unknown>([
          iterate,
          stream,
          () => others.length > 0 && random.pick(others).act(),
          () => others.length > 0 && end(),
          () => others.length > 3 && end(),
          routed,
          macrotask,
        ])();
      }
      while (others.length > 0) await end();
      await routed();
      dataProducer.close();
      for await (const each of anchor) receive(each);
      expect(new Set(received).size).toBe(received.length);
      expect(received.length).toBe(sent - buffered);
    },
  );

  test('an iterator that the application has dropped ends when it is garbage-collected', async () => {
    const ended = await runNode(
      `(async () => {
        ${MAKE_PAIR}
        await (async () => {
          const next = dataConsumer[Symbol.asyncIterator]().next();
          for (let index = 0; index < 100; index++) dataProducer.send('x');
          await next;
          dataConsumer.readable().read();
          await new Promise(setImmediate);
        })();
        try { dataConsumer.on('message', () => {}); } catch (error) { console.log(error.name); }
        await dataProducer.getStats();
        console.log(dataConsumer.bufferedAmount > 0);
        for (let round = 0; round < 10; round++) { gc(); await new Promise(setImmediate); }
        console.log(dataConsumer.bufferedAmount);
        dataConsumer.on('message', (message) => { console.log(String(message)); worker.close(); });
        dataProducer.send('listened');
      })();`,
      { args: ['--expose-gc'] },
    );
    expect(ended).toMatchObject({ stdout: 'TypeError\ntrue\n0\nlistened\n', stderr: '', code: 0 });
  });
});

describe("a 'message' listener", () => {
  const nothing = (): void => {};

  test.each(['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'] as const)(
    'by %s() beside an iterator or a stream is a TypeError',
    async (add) => {
      const iterator = dataConsumer[Symbol.asyncIterator]();
      const next = iterator.next();
      expect(() => dataConsumer[add]('message', nothing)).toThrow(TypeError);
      expect(() => on(dataConsumer, 'message')).toThrow("takes no 'message' listener");
      dataConsumer[add]('overflow', nothing);
      await iterator.return();
      await next;
      const readable = dataConsumer.readable();
      expect(() => dataConsumer[add]('message', nothing)).toThrow(TypeError);
      readable.destroy();
      await once(readable, 'close');
      dataConsumer[add]('message', nothing);
      expect(dataConsumer.listenerCount('message')).toBe(1);
    },
  );

  test('makes iterators and streams a TypeError until it is removed', async () => {
    const before = dataConsumer[Symbol.asyncIterator]();
    dataConsumer.on('message', nothing);
    expect(() => dataConsumer[Symbol.asyncIterator]()).toThrow(TypeError);
    expect(() => dataConsumer.readable()).toThrow("readable() does not work beside a 'message'");
    await expect(before.next()).rejects.toThrow(TypeError);
    dataConsumer.off('message', nothing);
    const next = take(before, 1);
    dataProducer.send('x');
    expect(await next).toEqual(['x']);
  });
});

describe('dataConsumer.readable()', () => {
  test('reads messages in object mode, from the call on', async () => {
    const readable = dataConsumer.readable();
    const sent = send(1000);
    await routed();
    dataProducer.close();
    expect(await textsOf(readable)).toEqual(sent);
    expect(readable.destroyed).toBe(true);
  });

  test('takes no more than it is asked for', async () => {
    const readable = dataConsumer.readable();
    send(1000);
    await routed();
    readable.read();
    await macrotask();
    expect(readable.readableLength).toBeLessThanOrEqual(readable.readableHighWaterMark);
    // The texts have three characters, except for the first hundred.
    expect(dataConsumer.bufferedAmount).toBeGreaterThan(3 * (900 - 2));
  });

  test('pipes into writable() of another DataProducer', async () => {
    const far = await transport.produceData();
    const received = textsOf(await transport.consumeData({ dataProducerId: far.id }));
    const piped = pipeline(
      dataConsumer.readable(),
      new PassThrough({ objectMode: true }),
      far.writable(),
    );
    const sent = send(5000);
    await routed();
    dataProducer.close();
    await piped;
    far.close();
    expect(await received).toEqual(sent);
  });

  test.each(CLOSES)('ends after the queued messages, by %s', async (_title, close) => {
    const readable = dataConsumer.readable();
    const sent = send(100);
    await routed();
    close();
    expect(await textsOf(readable)).toEqual(sent);
  });

  test('destroy() stops it, and its error reaches nothing else', async () => {
    const readable = dataConsumer.readable();
    send(100);
    await routed();
    readable.once('error', () => {}).destroy(new Error('enough'));
    await nextEvent(readable, 'close');
    expect(dataConsumer.bufferedAmount).toBe(0);
    expect(dataConsumer.closed).toBe(false);
    const listened = nextEvent(dataConsumer, 'message');
    dataProducer.send('next');
    expect(String((await listened)[0])).toBe('next');
  });

  test('toWeb() makes a ReadableStream with back-pressure, end and cancellation', async () => {
    for (const make of [
      () => dataConsumer.readable().toWeb(),
      () => Readable.toWeb(dataConsumer.readable()),
    ]) {
      const reader = make().getReader();
      const sent = send(500);
      for (const text of sent) {
        const { value } = await reader.read();
        expect(String(value.message)).toBe(text);
      }
      await reader.cancel();
      await macrotask();
      dataConsumer.once('message', () => {}).removeAllListeners('message');
    }
    const reader = dataConsumer.readable().toWeb().getReader();
    dataConsumer.close();
    await expect(reader.read()).resolves.toMatchObject({ done: true });
  });
});

test('of a DataConsumer of type sctp iterators and streams are a TypeError, of a closed one NotFoundError or the end', async () => {
  const webRtcTransport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
  });
  const sctp = await webRtcTransport.consumeData({ dataProducerId: dataProducer.id });
  for (const call of [() => sctp.readable(), () => sctp[Symbol.asyncIterator]()]) {
    expect(call).toThrow(TypeError);
    expect(call).toThrow("needs a DataConsumer of type 'direct' (this one is 'sctp')");
  }
  dataConsumer.close();
  expect(() => dataConsumer.readable()).toThrow(errors.NotFoundError);
  expect(await textsOf(dataConsumer)).toEqual([]);
});
