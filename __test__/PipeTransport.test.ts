import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { EventRecorder, ends } from './helpers/EventRecorder';
import { NOT_PEERS, notPorts, titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { router, router2 } from './helpers/twoRouters';
import { nextEvent, until, untilState } from './helpers/wait';

const { NotFoundError } = datasoup.errors;

const LISTEN_INFO: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };
/** The start of the header of a message with subchannels; the last two bits are flags. */
const TOKEN = Buffer.from('a5f09cb3d6e1f28c', 'hex');

let source: types.DataProducer;
let far: types.DirectTransport;

beforeEach(async () => {
  source = await (await router.createDirectTransport()).produceData();
  far = await router2.createDirectTransport();
});

function create(more: object = {}, on = router): Promise<types.PipeTransport> {
  return on.createPipeTransport({
    listenInfo: LISTEN_INFO,
    enableSctp: true,
    ...more,
  } as types.PipeTransportOptions);
}

/** A pipe from `source` to `far`, of two PipeTransports. */
async function pipe(
  subchannels: number[] = [],
  more: Partial<types.DataConsumerOptions> = {},
): Promise<{
  pipe1: types.PipeTransport;
  pipe2: types.PipeTransport;
  pipeDataConsumer: types.DataConsumer;
  pipeDataProducer: types.DataProducer;
}> {
  const pipe1 = await create();
  const pipe2 = await create({}, router2);
  await pipe1.connect({ ip: '127.0.0.1', port: pipe2.tuple.localPort });
  await pipe2.connect({ ip: '127.0.0.1', port: pipe1.tuple.localPort });
  const pipeDataConsumer = await pipe1.consumeData({
    dataProducerId: source.id,
    subchannels,
    ...more,
  });
  const pipeDataProducer = await pipe2.produceData({
    id: source.id,
    sctpStreamParameters: pipeDataConsumer.sctpStreamParameters!,
  });
  await untilState(pipe1, 'sctpState', 'connected');
  await untilState(pipe2, 'sctpState', 'connected');
  return { pipe1, pipe2, pipeDataConsumer, pipeDataProducer };
}

async function inboxOf(subchannels: number[]): Promise<Inbox> {
  return new Inbox(await far.consumeData({ dataProducerId: source.id, subchannels }));
}

describe('router.createPipeTransport()', () => {
  test('resolves with a PipeTransport in its initial state', async () => {
    const transport = await create();
    expect(transport).toMatchObject({ type: 'pipe', closed: false, sctpState: 'new' });
    expect(transport.tuple).toEqual({
      localIp: '127.0.0.1',
      localAddress: '127.0.0.1',
      localPort: expect.any(Number),
      remoteIp: undefined,
      remotePort: 0,
      protocol: 'udp',
    });
    expect(transport.srtpParameters).toBeUndefined();
    expect(transport.sctpParameters).toMatchObject({ port: 5000, isDataChannel: false });
    await expect(transport.dump()).resolves.toMatchObject({ rtx: false, tuple: transport.tuple });
    await expect(transport.getStats()).resolves.toMatchObject([
      { type: 'pipe-transport', tuple: transport.tuple },
    ]);
  });

  test.each(
    titled<unknown>([
      undefined,
      {},
      { listenInfo: { protocol: 'tcp', ip: '127.0.0.1' } },
      { listenInfo: LISTEN_INFO, listenIp: '127.0.0.1' },
      { listenIp: 'chicken' },
      { listenInfo: LISTEN_INFO, appData: 5 },
    ]),
  )('createPipeTransport(%s) rejects with a TypeError', async (_title, options) => {
    await expect(router.createPipeTransport(options as types.PipeTransportOptions)).rejects.toThrow(
      TypeError,
    );
  });
});

describe('pipeTransport.connect()', () => {
  test('rejects a second call with an Error', async () => {
    const transport = await create();
    await transport.connect({ ip: '127.0.0.1', port: 5000 });
    expect(transport.tuple).toMatchObject({ remoteIp: '127.0.0.1', remotePort: 5000 });
    await expect(transport.connect({ ip: '127.0.0.1', port: 5000 })).rejects.toThrow(
      'connect() already called',
    );
  });

  test.each(
    titled<unknown>([
      undefined,
      {},
      { ip: '127.0.0.1' },
      { port: 5000 },
      { ip: 'chicken', port: 5000 },
      { ip: 'fe80::1%lo', port: 5000 },
      ...NOT_PEERS.map((ip) => ({ ip, port: 5000 })),
      ...notPorts(1).map((port) => ({ ip: '127.0.0.1', port })),
    ]),
  )('connect(%s) rejects with a TypeError', async (_title, params) => {
    const transport = await create();
    await expect(transport.connect(params as { ip: string; port: number })).rejects.toThrow(
      TypeError,
    );
  });

  test('rejects with NotFoundError after close()', async () => {
    const transport = await create();
    transport.close();
    await expect(transport.connect({ ip: '127.0.0.1', port: 5000 })).rejects.toThrow(NotFoundError);
  });
});

describe('a pipe', () => {
  test('keeps consumeData({ ordered: false, maxRetransmits: 1 }) of an ordered DataProducer', async () => {
    const transport = await create();
    const { sctpStreamParameters } = await transport.consumeData({
      dataProducerId: source.id,
      ordered: false,
      maxRetransmits: 1,
    });
    expect(sctpStreamParameters).toEqual({ streamId: 0, ordered: false, maxRetransmits: 1 });
  });

  test('carries messages and their PPIDs', async () => {
    await pipe();
    const inbox = await inboxOf([]);
    source.send('text');
    source.send(Buffer.from('bytes'));
    source.send('');
    source.send('odd', 99);
    expect(await inbox.count(4)).toEqual([
      { text: 'text', ppid: 51 },
      { text: 'bytes', ppid: 53 },
      { text: ' ', ppid: 56 },
      { text: 'odd', ppid: 99 },
    ]);
  });

  test('carries subchannels, requiredSubchannel and ignoredSubchannel', async () => {
    await pipe();
    const inboxes = {
      none: await inboxOf([]),
      one: await inboxOf([1]),
      two: await inboxOf([1, 2]),
    };
    source.send('a', 51, [1]);
    source.send('b', 51, [2]);
    source.send('c', 51, undefined, 2);
    source.send('d', 51, undefined, undefined, 2);
    source.send('e', 51, [1], undefined, 2);
    source.send('f', 51, [3]);
    source.send('g');
    await inboxes.none.count(2);
    await inboxes.one.count(4);
    await inboxes.two.count(4);
    expect(inboxes.none.texts).toEqual(['d', 'g']);
    expect(inboxes.one.texts).toEqual(['a', 'd', 'e', 'g']);
    expect(inboxes.two.texts).toEqual(['a', 'b', 'c', 'g']);
  });

  test('carries only the subchannels that the pipeDataConsumer subscribes to', async () => {
    await pipe([1, 2]);
    const inbox = await inboxOf([1, 2, 3]);
    source.send('a', 51, [1, 3]);
    source.send('b', 51, [3]);
    source.send('c', 51, [2]);
    source.send('d');
    await inbox.count(3);
    expect(inbox.texts).toEqual(['a', 'c', 'd']);
    const three = await inboxOf([3]);
    source.send('e', 51, [1, 3]);
    source.send('f');
    await three.count(1);
    // The pipe does not carry subchannel 3, so a DataConsumer with 3 alone does not get e.
    expect(three.texts).toEqual(['f']);
  });

  test('with strictSubchannels carries no subchannels while the pipeDataConsumer subscribes to none', async () => {
    const { pipeDataConsumer } = await pipe([], { strictSubchannels: true });
    const inbox = await inboxOf([1]);
    source.send('a', 51, [1]);
    source.send('b', 51, undefined, 1);
    source.send('c');
    await pipeDataConsumer.addSubchannel(1);
    source.send('d', 51, [1]);
    await pipeDataConsumer.removeSubchannel(1);
    source.send('e', 51, [1]);
    source.send('f');
    await inbox.count(3);
    expect(inbox.texts).toEqual(['c', 'd', 'f']);
    await expect(pipeDataConsumer.getStats()).resolves.toMatchObject([
      { messagesSent: 3, messagesFiltered: 3 },
    ]);
  });

  test('carries a message of 262,144 bytes with 1,000 subchannels', async () => {
    await pipe();
    const inbox = await inboxOf([7]);
    const message = Buffer.alloc(262_144, 3);
    source.send(
      message,
      53,
      Array.from({ length: 1000 }, (_value, index) => index),
    );
    await inbox.count(1);
    expect(inbox.buffers[0]!.equals(message)).toBe(true);
  });

  test('delivers payloads that look like a header unchanged', async () => {
    await pipe();
    const inbox = await inboxOf([]);
    const payloads = [0, 1, 2, 3].map((flags) => {
      const token = Buffer.from(TOKEN);
      token[7] = (token[7]! & 0xfc) | flags;
      return Buffer.concat([token, Buffer.from([0, 1, 0, 9, 0, 8, 0, 7]), Buffer.from('rest')]);
    });
    payloads.push(TOKEN, TOKEN.subarray(0, 7), Buffer.concat([TOKEN, Buffer.from([0xff, 0xff])]));
    payloads.forEach((payload) => source.send(payload));
    await inbox.count(payloads.length);
    expect(inbox.buffers.map((buffer) => buffer.toString('hex'))).toEqual(
      payloads.map((payload) => payload.toString('hex')),
    );
  });

  test('shows pause() and resume() of the DataProducer at the other end', async () => {
    await source.pause();
    const { pipeDataProducer } = await pipe();
    const consumer = await far.consumeData({ dataProducerId: source.id });
    const inbox = new Inbox(consumer);
    await until(pipeDataProducer, 'pause', () => pipeDataProducer.paused);
    await until(consumer, 'dataproducerpause', () => consumer.dataProducerPaused);
    source.send('paused');
    await source.resume();
    source.send('resumed');
    await inbox.count(1);
    expect(inbox.texts).toEqual(['resumed']);
    await until(pipeDataProducer, 'resume', () => !pipeDataProducer.paused);
  });

  test("close() of the pipeDataConsumer: 'streamclose' on the pipeDataProducer, which stays open but receives nothing more", async () => {
    const { pipe1, pipe2, pipeDataConsumer, pipeDataProducer } = await pipe();
    const inbox = await inboxOf([]);
    const recorder = new EventRecorder().watch({ pipeDataProducer });
    source.send('last');
    await inbox.count(1);
    pipeDataConsumer.close();
    await nextEvent(pipeDataProducer, 'streamclose');
    const next = await pipe1.consumeData({ dataProducerId: source.id });
    const nextProducer = await pipe2.produceData({
      sctpStreamParameters: next.sctpStreamParameters!,
    });
    const nextInbox = new Inbox(await far.consumeData({ dataProducerId: nextProducer.id }));
    source.send('next');
    await nextInbox.count(1);
    expect(inbox.texts).toEqual(['last']);
    expect(pipeDataProducer.closed).toBe(false);
    expect(recorder.take()).toEqual(['pipeDataProducer streamclose']);
  });

  test("produceData() after the far end has closed the stream: 'streamclose' at once", async () => {
    const { pipe1, pipe2 } = await pipe();
    const closed = await pipe1.consumeData({ dataProducerId: source.id });
    const { sctpStreamParameters } = closed;
    await closed.closeWithStats();
    await pipe1.drained();
    const late = await pipe2.produceData({ sctpStreamParameters: sctpStreamParameters! });
    await nextEvent(late, 'streamclose');
    expect(late.closed).toBe(false);
  });

  test('close() of one end sets sctpState of the other to closed', async () => {
    const { pipe1, pipe2 } = await pipe();
    const recorder = new EventRecorder().watch({ pipe2 });
    pipe1.close();
    await untilState(pipe2, 'sctpState', 'closed');
    expect(pipe2.closed).toBe(false);
    expect(pipe2.sctpError?.code).toBe('peer-closed');
    expect(recorder.take().filter((line) => line.startsWith('pipe2'))).toEqual(
      ends('pipe2', 'sctpstatechange', 'closed', pipe2.sctpError),
    );
  });
});

describe("overflow 'block' over PipeTransports", () => {
  test('rejects with UnsupportedError at both ends', async () => {
    const { UnsupportedError } = datasoup.errors;
    const { pipe1, pipeDataConsumer } = await pipe();
    const options = { dataProducerId: source.id, overflow: 'block' as const };
    await expect(pipe1.consumeData(options)).rejects.toThrow(UnsupportedError);
    await expect(far.consumeData(options)).rejects.toThrow(UnsupportedError);
    await expect(pipeDataConsumer.setOverflow('block')).rejects.toThrow(/pipeToRouter\(\)/);
    expect(pipeDataConsumer.overflow).toBe('drop-newest');
    await pipeDataConsumer.setOverflow('drop-oldest');
    expect(pipeDataConsumer.overflow).toBe('drop-oldest');
  });
});
