import type { types } from '..';
import './helpers/closeWorkers';
import { LOOPBACK } from './helpers/arrangement';
import { Inbox } from './helpers/Inbox';
import { router } from './helpers/sharedRouter';

/** What `send()` accepts as a message: a string, or bytes in any form of JavaScript. */

const BYTES = Uint8Array.from({ length: 64 }, (_value, index) => index + 1);

/** Bytes 8 to 23 of a longer ArrayBuffer, as a view of that kind. */
function viewOf<T>(View: new (buffer: ArrayBuffer, offset: number, length: number) => T): T {
  const size = (View as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
  return new View(BYTES.slice().buffer, 8, 16 / size);
}

function shared<T extends ArrayBufferLike>(memory: T): T {
  new Uint8Array(memory).set(BYTES.subarray(0, memory.byteLength));
  return memory;
}

function transferred<T extends NodeJS.ArrayBufferView>(view: T): T {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
  return view;
}

/** An ArrayBuffer that can grow to 64 bytes. */
function resizable(length: number): ArrayBuffer & { resize(length: number): void } {
  // TypeScript 5.9's library has it from ES2024 on.
  const options: [number, unknown] = [length, { maxByteLength: 64 }];
  return new (ArrayBuffer as unknown as new (...args: unknown[]) => never)(...options);
}

/** A view of the last 4 of 8 bytes, after all but 2 were cut off. */
function shrunk<T>(View: new (buffer: ArrayBuffer, offset: number, length: number) => T): T {
  const buffer = resizable(8);
  const size = (View as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
  const view = new View(buffer, 4, 4 / size);
  buffer.resize(2);
  return view;
}

/** A view that follows the length of its ArrayBuffer. */
function following(length: number): Uint8Array {
  const buffer = resizable(8);
  const view = new Uint8Array(buffer);
  buffer.resize(length);
  view.set(BYTES.subarray(0, length));
  return view;
}

const VIEWS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
] as const;

const ACCEPTED: [string, () => types.Payload, Uint8Array][] = [
  ...VIEWS.map((View): [string, () => types.Payload, Uint8Array] => [
    View.name,
    () => viewOf<NodeJS.ArrayBufferView>(View),
    BYTES.subarray(8, 24),
  ]),
  ['ArrayBuffer', () => BYTES.slice().buffer, BYTES],
  ['SharedArrayBuffer', () => shared(new SharedArrayBuffer(64)), BYTES],
  [
    'a DataView of a SharedArrayBuffer',
    () => new DataView(shared(new SharedArrayBuffer(64)), 8, 16),
    BYTES.subarray(8, 24),
  ],
  [
    'a Buffer of a SharedArrayBuffer',
    () => Buffer.from(shared(new SharedArrayBuffer(64)), 8, 16),
    BYTES.subarray(8, 24),
  ],
  ['a view that has grown with its ArrayBuffer', () => following(12), BYTES.subarray(0, 12)],
  ['a view that has shrunk with its ArrayBuffer', () => following(3), BYTES.subarray(0, 3)],
  ['a resizable ArrayBuffer', () => shared(resizable(5)), BYTES.subarray(0, 5)],
  [
    'a part of a resizable ArrayBuffer',
    () => new Uint16Array(shared(resizable(8)), 2, 2),
    BYTES.subarray(2, 6),
  ],
];

const EMPTY: [string, () => types.Payload][] = [
  ['Float32Array(0)', () => new Float32Array(0)],
  ['DataView(0)', () => new DataView(new ArrayBuffer(8), 8, 0)],
  ['ArrayBuffer(0)', () => new ArrayBuffer(0)],
  ['SharedArrayBuffer(0)', () => new SharedArrayBuffer(0)],
  ['a view of an ArrayBuffer that was resized to 0', () => following(0)],
];

const DETACHED: [string, () => types.Payload][] = [
  ['a transferred Uint8Array', () => transferred(new Uint8Array(4))],
  ['a transferred Buffer', () => transferred(Buffer.from(new ArrayBuffer(4)))],
  ['a transferred DataView', () => transferred(new DataView(new ArrayBuffer(4)))],
  ['a transferred ArrayBuffer', () => transferred(new Uint8Array(4)).buffer],
  ['a Float32Array whose memory was cut off', () => shrunk(Float32Array)],
  ['a Buffer whose memory was cut off', () => shrunk(Buffer.from as never)],
  ['a DataView whose memory was cut off', () => shrunk(DataView)],
];

const NOT_ATTACHED =
  'message must be an ArrayBuffer, or a view of one, that was not transferred or shrunk';

describe('dataProducer.send()', () => {
  let dataProducer: types.DataProducer;
  let inbox: Inbox;

  beforeEach(async () => {
    const transport = await router.createDirectTransport();
    dataProducer = await transport.produceData();
    inbox = new Inbox(await transport.consumeData({ dataProducerId: dataProducer.id }));
  });

  test.each(ACCEPTED)('takes %s', async (_title, make, bytes) => {
    dataProducer.send(make());
    dataProducer.send(make(), 51, [], undefined, 7);
    expect((await inbox.count(2)).map(({ ppid }) => ppid)).toEqual([53, 51]);
    expect(inbox.buffers.map((message) => message.equals(bytes))).toEqual([true, true]);
  });

  test.each(EMPTY)('takes %s as an empty message', async (_title, make) => {
    dataProducer.send(make());
    expect(await inbox.count(1)).toEqual([{ text: '\0', ppid: 57 }]);
    expect(() => dataProducer.send(make(), 53)).toThrow('ppid must be 56 or 57');
  });

  test.each(DETACHED)('rejects %s', async (_title, make) => {
    expect(() => dataProducer.send(make())).toThrow(TypeError);
    expect(() => dataProducer.send(make())).toThrow(NOT_ATTACHED);
    dataProducer.send('next');
    await inbox.count(1);
    expect(inbox.texts).toEqual(['next']);
  });

  test('keeps no reference: writing to the memory afterwards does not change the message', async () => {
    const memory = [new ArrayBuffer(2), new SharedArrayBuffer(2)];
    for (const each of memory) {
      dataProducer.send(new DataView(each));
      new Uint8Array(each).fill(1);
    }
    await inbox.count(2);
    expect(inbox.texts).toEqual(['\0\0', '\0\0']);
  });

  test('does not trust overridden members of a view', async () => {
    const view = Object.defineProperty(new Int8Array(2), 'byteLength', { value: 1 << 20 });
    expect(() => dataProducer.send(view)).toThrow(TypeError);
    dataProducer.send('next');
    await inbox.count(1);
    expect(inbox.texts).toEqual(['next']);
  });
});

describe('dataConsumer.send()', () => {
  let dataConsumer: types.DataConsumer;

  beforeEach(async () => {
    const direct = await router.createDirectTransport();
    const { id } = await direct.produceData();
    const transport = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
    });
    dataConsumer = await transport.consumeData({ dataProducerId: id });
  });

  test.each(ACCEPTED)('takes %s', async (_title, make, bytes) => {
    await expect(dataConsumer.send(make())).resolves.toBe(bytes.length);
  });

  test.each(EMPTY)('takes %s as an empty message', async (_title, make) => {
    // An empty message has one byte on the wire: RFC 8831, section 6.6.
    await expect(dataConsumer.send(make())).resolves.toBe(1);
  });

  test.each(DETACHED)('rejects %s', async (_title, make) => {
    await expect(dataConsumer.send(make())).rejects.toThrow(TypeError);
    await expect(dataConsumer.send(make())).rejects.toThrow(NOT_ATTACHED);
    expect(dataConsumer.bufferedAmount).toBe(0);
  });
});
