import * as datasoup from '..';
import { Channel } from '../lib/Channel';
import { copy } from '../lib/copy';

/** Mechanisms of lib/ with edge cases that the public API cannot reach. */

describe('Channel', () => {
  /** A native worker that answers when the test says so. */
  class FakeWorker {
    static last: FakeWorker;
    #queue: number[] = [];

    constructor(readonly wake: () => void) {
      FakeWorker.last = this;
    }

    answer(requestId: number): void {
      this.#queue.push(requestId);
      this.wake();
    }

    flush(): void {}

    peek(): number {
      return 0;
    }

    drain(_slab: Uint8Array, offset: number, records: Uint32Array): number {
      const [DONE, ANSWER] = [0, 4];
      records[0] = 0;
      records[1] = this.#queue.length > 0 ? ANSWER : DONE;
      return offset;
    }

    takeAnswers(): string {
      return JSON.stringify(this.#queue.splice(0).map((id) => [id, true, null]));
    }
  }

  test('post() wraps, and skips ids that a request or an object still uses', async () => {
    const channel = new Channel(FakeWorker as any, 4);
    const post = () => channel.post('worker.dump', () => {});
    const [first, second, third, fourth] = [post(), post(), post(), post()];
    expect([first, second, third, fourth].map(({ handle }) => handle)).toEqual([1, 2, 3, 4]);

    channel.subscribe(2, { onEvent: () => {} });
    for (const { handle } of [second, third]) {
      FakeWorker.last.answer(handle);
    }
    await Promise.all([second.answer, third.answer]);
    // Request 1 is pending, object 2 is open.
    const wrapped = post();
    expect(wrapped.handle).toBe(3);

    FakeWorker.last.answer(fourth.handle);
    await fourth.answer;
    expect(post().handle).toBe(4);

    FakeWorker.last.answer(1);
    await first.answer;
    channel.unsubscribe(2);
    expect([post().handle, post().handle]).toEqual([1, 2]);
  });
});

describe('a drain', () => {
  // One drain() returns hundreds of small messages, but only one large message.
  test.each([10, 5000])(
    'of messages of %d bytes yields to other work of the event loop',
    async (size) => {
      const MESSAGES = 60;
      const worker = await datasoup.createWorker();
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const dataProducer = await transport.produceData();
      const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
      let macrotasks = 0;
      const count = (): void => {
        macrotasks++;
        immediate = setImmediate(count);
      };
      let immediate = setImmediate(count);
      const seen: number[] = [];
      const received = new Promise<void>((resolve) => {
        dataConsumer.on('message', () => {
          seen.push(macrotasks);
          spin(2);
          if (seen.length === MESSAGES) {
            resolve();
          }
        });
      });
      for (let number = 0; number < MESSAGES; number++) {
        dataProducer.send('x'.repeat(size));
      }
      // All messages wait in the queue before the drain begins.
      await Promise.resolve();
      while (dataProducer.bufferedAmount > 0) {
        spin(1);
      }
      const began = performance.now();
      await received;
      const took = performance.now() - began;
      clearImmediate(immediate);
      worker.close();
      // Listeners take 120 ms: at 5, 10, 20, 40 and 40 ms that is five drains, if nothing else takes time.
      expect(new Set(seen).size).toBeGreaterThanOrEqual(3);
      // lib/ yields by time, not after each message: every drain but the first and the last takes 5 ms or more.
      expect(new Set(seen).size).toBeLessThanOrEqual(took / 5 + 2);
    },
  );

  /** Keeps the event loop busy for `ms` milliseconds. */
  function spin(ms: number): void {
    for (const end = performance.now() + ms; performance.now() < end;);
  }
});

describe('copy()', () => {
  test('copies a member named __proto__ instead of setting the prototype', () => {
    const original = JSON.parse('{ "__proto__": { "polluted": [1] }, "other": 2 }');
    const copied = copy(original);
    expect(Object.getPrototypeOf(copied)).toBe(Object.prototype);
    expect(copied.polluted).toBeUndefined();
    expect(JSON.stringify(copied)).toBe(JSON.stringify(original));
    expect(Object.getOwnPropertyDescriptor(copied, '__proto__')?.value).not.toBe(
      Object.getOwnPropertyDescriptor(original, '__proto__')?.value,
    );
  });
});
