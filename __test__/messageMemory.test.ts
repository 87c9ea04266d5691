import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { Inbox } from './helpers/Inbox';
import { runNode } from './helpers/process';

/** The memory of the Buffers that 'message' hands out: each holds its message and nothing else. */

/** Below, at and above every size at which lib/ treats messages differently. */
const SIZES = [
  1, 2, 3, 7, 8, 9, 40, 63, 64, 65, 100, 1_023, 1_024, 2_047, 2_048, 2_049, 4_096, 8_191, 8_193,
  16_384, 16_385, 32_769, 65_537, 262_144,
];

let worker: types.Worker;
let dataProducer: types.DataProducer;
let inbox: Inbox;
let other: Inbox;

beforeEach(async () => {
  worker = await datasoup.createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  dataProducer = await transport.produceData();
  const { id: dataProducerId } = dataProducer;
  inbox = new Inbox(await transport.consumeData({ dataProducerId }));
  other = new Inbox(await transport.consumeData({ dataProducerId }));
});

afterEach(() => worker.close());

/** Sends a message of each size in one macrotask, each filled with a byte of its own, and awaits them. */
async function receive(sizes: readonly number[]): Promise<Buffer[]> {
  const before = inbox.buffers.length;
  sizes.forEach((size, index) => dataProducer.send(Buffer.alloc(size, index + 1)));
  await inbox.count(before + sizes.length);
  await other.count(before + sizes.length);
  return inbox.buffers.slice(before);
}

function expectFilled(message: Uint8Array, size: number, byte: number): void {
  expect(message.length).toBe(size);
  expect(message.every((it) => it === byte)).toBe(true);
}

test('message.buffer holds the message from its first byte to its last, and nothing else', async () => {
  for (const sizes of [SIZES, [...SIZES].reverse(), SIZES.flatMap((size) => [size, 1, 100])]) {
    const messages = await receive(sizes);
    messages.forEach((message, index) => {
      expect(message.byteOffset).toBe(0);
      expect(message.buffer.byteLength).toBe(message.length);
      expectFilled(message, sizes[index]!, index + 1);
    });
    const buffers = [...messages, ...other.buffers].map(({ buffer }) => buffer);
    expect(new Set(buffers).size).toBe(buffers.length);
  }
});

test('every typed array fits on a message, whatever came before it', async () => {
  const sizes = [1, 32, 3, 64, 7, 96, 13, 2_048, 5, 4_096];
  for (const { buffer, byteOffset, length } of await receive(sizes)) {
    for (const View of [Uint16Array, Float32Array, Float64Array, BigInt64Array]) {
      const elements = Math.floor(length / View.BYTES_PER_ELEMENT);
      expect(new View(buffer as ArrayBuffer, byteOffset, elements).length).toBe(elements);
    }
  }
});

test.each(SIZES)(
  'postMessage() of a message of %d bytes clones these bytes and no others',
  async (size) => {
    await receive([1, 60, 100]);
    const [message] = await receive([size, 30, 100]);
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(message);
    const [clone] = (await once(port2, 'message')) as [Uint8Array];
    port1.close();
    expect(clone.buffer.byteLength).toBe(size);
    expectFilled(clone, size, 1);
  },
);

test('a message can be transferred to another thread, and no other message changes', async () => {
  const messages = await receive(SIZES);
  const transferred = messages.filter((_, index) => index % 2 === 0);
  transferred.forEach((message) => {
    const size = message.length;
    const { buffer } = structuredClone(message, { transfer: [message.buffer as ArrayBuffer] });
    expect(message.length).toBe(0);
    expect(buffer.byteLength).toBe(size);
  });
  messages.forEach((message, index) => {
    if (!transferred.includes(message)) {
      expectFilled(message, SIZES[index]!, index + 1);
    }
    expectFilled(other.buffers[index]!, SIZES[index]!, index + 1);
  });
});

test('a message that is kept or changed is not touched by later messages, and does not change them', async () => {
  const kept = await receive(SIZES);
  kept.forEach((message) => message.fill(0xff));
  for (let round = 0; round < 20; round++) {
    const later = await receive(SIZES);
    later.forEach((message, index) => expectFilled(message, SIZES[index]!, index + 1));
  }
  kept.forEach((message, index) => expectFilled(message, SIZES[index]!, 0xff));
});

/** Above this size a message that is kept takes less than four times its bytes: a Buffer alone takes some 200. */
const LARGE = 100;

test.each([40, 64, 65, 100, 1_000])(
  'keeping every 40th message of %d bytes keeps the memory of these messages alone',
  async (size) => {
    const { stdout, stderr } = await runNode(
      `(async () => {
        const KEPT = 20_000, EVERY = 40, BURST = 1_000, SIZE = ${size};
        const worker = await datasoup.createWorker();
        const router = await worker.createRouter();
        const transport = await router.createDirectTransport();
        const dataProducer = await transport.produceData();
        const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
        const used = async () => {
          // V8 frees the memory of collected ArrayBuffers on another thread.
          for (let round = 0; round < 5; round++) {
            gc();
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
          const { heapUsed, arrayBuffers } = process.memoryUsage();
          return heapUsed + arrayBuffers;
        };
        let kept = [], received = 0, resume;
        dataConsumer.on('message', (message) => {
          if (received++ % EVERY === 0) kept.push(message);
          if (received % BURST === 0) resume();
        });
        const messages = async (count) => {
          for (let sent = 0; sent < count; sent += BURST) {
            const arrived = new Promise((resolve) => { resume = resolve; });
            for (let index = 0; index < BURST; index++) dataProducer.send(Buffer.alloc(SIZE));
            await arrived;
          }
        };
        // What is kept after \`fill()\`, in bytes for each.
        const each = async (fill) => {
          kept = [];
          const before = await used();
          await fill();
          return ((await used()) - before) / kept.length;
        };
        await messages(200_000);
        const ofMessages = await each(() => messages(KEPT * EVERY));
        const count = kept.length;
        const ofBuffers = await each(() => {
          for (let index = 0; index < KEPT; index++) kept.push(Buffer.alloc(SIZE));
        });
        console.log(count, ofMessages, ofBuffers);
        worker.close();
      })();`,
      { args: ['--expose-gc'] },
    );
    expect(stderr).toBe('');
    const [kept, bytes = NaN, bytesOfBuffer = NaN] = stdout.split(' ').map(Number);
    expect(kept).toBe(20_000);
    expect(bytes).toBeLessThan(size >= LARGE ? 4 * size : bytesOfBuffer + 48);
  },
);
