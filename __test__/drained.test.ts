import type * as dgram from 'node:dgram';
import { SCTP, createUdpTransport } from 'werift-sctp';
import * as datasoup from '..';
import type { types } from '..';
import { coreOf } from '../lib/Entity';
import { Inbox } from './helpers/Inbox';
import type { WebRtcPeer } from './helpers/WebRtcPeers';
import { peers } from './helpers/peers';
import { runNode } from './helpers/process';
import { router, worker } from './helpers/router';
import { udpSocket } from './helpers/sockets';
import { nextEvent, untilState, within } from './helpers/wait';

const LISTEN = { protocol: 'udp', ip: '127.0.0.1' } as const;
const MESSAGES = 30;
const TEXTS = Array.from({ length: MESSAGES }, (_, index) => `${index} ${'x'.repeat(2000)}`);

let directTransport: types.DirectTransport;
let producer: types.DataProducer;

beforeEach(async () => {
  directTransport = await router.createDirectTransport();
  producer = await directTransport.produceData();
});

/** A receiver of the messages of `producer`. */
interface Receiver {
  consumer: types.DataConsumer;
  transport: types.Transport;
  /** Whether the peer has acknowledged everything. */
  acknowledged?(): Promise<boolean>;
  /** Resolves once the peer's application has taken the messages, if the peer would drop them on closing. */
  taken?(): Promise<unknown>;
  /** Resolves with the messages so far, once all of them have arrived or nothing more can. */
  received(): Promise<string[]>;
  end(): unknown;
}

async function webRtc(): Promise<Receiver> {
  const transport = await router.createWebRtcTransport({ listenInfos: [LISTEN], enableSctp: true });
  const peer: WebRtcPeer = await peers.connect(transport, { channels: [{ id: 0 }] });
  const consumer = await transport.consumeData({ dataProducerId: producer.id });
  return {
    consumer,
    transport,
    acknowledged: async () => (await transport.getStats())[0]!.sctpBytesInFlight === 0,
    // When the channel closes, node-datachannel drops messages that it has acknowledged but not handed over. Chromium
    // does not: browser/goodbye.test.ts closes at once.
    taken: () => within(peer.untilMessages(0, MESSAGES), 'the messages'),
    received: async () => (await peer.untilMessages(0, MESSAGES)).map(String),
    end: () => peer.close(),
  };
}

async function plain(): Promise<Receiver> {
  const socket: dgram.Socket = await udpSocket();
  const transport = await router.createPlainTransport({
    listenInfo: LISTEN,
    enableSctp: true,
    comedia: true,
  });
  const address = { address: '127.0.0.1', port: transport.tuple.localPort };
  const far = SCTP.client(createUdpTransport(socket, address));
  const texts: string[] = [];
  far.onReceive.subscribe((_stream, _ppid, message) => texts.push(message.toString()));
  await far.start(5000);
  await untilState(transport, 'sctpState', 'connected');
  const consumer = await transport.consumeData({ dataProducerId: producer.id });
  // werift hands messages over before it acknowledges them.
  return { consumer, transport, received: async () => texts, end: () => far.stop() };
}

async function direct(): Promise<Receiver> {
  const transport = await router.createDirectTransport();
  const consumer = await transport.consumeData({ dataProducerId: producer.id });
  const inbox = new Inbox(consumer);
  return { consumer, transport, received: async () => inbox.texts, end: () => {} };
}

async function tunnel(): Promise<Receiver> {
  const far = await datasoup.createWorker();
  const farRouter = await far.createRouter();
  const made = nextEvent(router.observer, 'newtransport');
  const { pipeDataConsumer, pipeDataProducer } = await router.pipeToRouter({
    dataProducerId: producer.id,
    router: farRouter,
  });
  const [transport] = await made;
  const farDirect = await farRouter.createDirectTransport();
  const consumer = await farDirect.consumeData({ dataProducerId: pipeDataProducer!.id });
  const inbox = new Inbox(consumer);
  const closed = nextEvent(consumer, 'close');
  return {
    consumer: pipeDataConsumer!,
    transport,
    received: async () => {
      await closed;
      return inbox.texts;
    },
    end: () => far.close(),
  };
}

async function pipe(): Promise<Receiver> {
  const far = await datasoup.createWorker();
  const farRouter = await far.createRouter();
  const options = { listenInfo: LISTEN, enableSctp: true };
  const here = await router.createPipeTransport(options);
  const there = await farRouter.createPipeTransport(options);
  await here.connect({ ip: '127.0.0.1', port: there.tuple.localPort });
  await there.connect({ ip: '127.0.0.1', port: here.tuple.localPort });
  const consumer = await here.consumeData({ dataProducerId: producer.id });
  const farProducer = await there.produceData({
    sctpStreamParameters: consumer.sctpStreamParameters!,
  });
  const farDirect = await farRouter.createDirectTransport();
  const inbox = new Inbox(await farDirect.consumeData({ dataProducerId: farProducer.id }));
  return {
    consumer,
    transport: here,
    received: async () => (await inbox.count(MESSAGES)).map(({ text }) => text),
    end: () => far.close(),
  };
}

describe.each([
  ['a WebRTC client', webRtc],
  ['a plain peer', plain],
  ['a listener', direct],
  ['a tunnel', tunnel],
  ['a pipe over the network', pipe],
])('to %s', (_title, create) => {
  test.each([
    ['dataConsumer', (receiver: Receiver) => receiver.consumer],
    ['dataProducer', () => producer],
    ['transport', (receiver: Receiver) => receiver.transport],
    ["directTransport of the DataProducer's", () => directTransport],
    ['worker', () => worker],
  ])('30 messages arrive that were sent before %s.drained() and close()', async (_name, pick) => {
    const receiver = await create();
    try {
      const entity: { drained(): Promise<void>; close(): void } = pick(receiver);
      TEXTS.forEach((text) => producer.send(text));
      await within(entity.drained(), 'drained()');
      expect(receiver.consumer.bufferedAmount).toBe(0);
      expect(await receiver.acknowledged?.()).not.toBe(false);
      await receiver.taken?.();
      entity.close();
      expect(await receiver.received()).toEqual(TEXTS);
    } finally {
      await receiver.end();
    }
  });
});

test('drained() covers dataConsumer.send()', async () => {
  const { consumer, transport, taken, received, end } = await webRtc();
  TEXTS.forEach((text) => void consumer.send(text));
  await within(transport.drained(), 'drained()');
  await taken?.();
  transport.close();
  expect(await received()).toEqual(TEXTS);
  await end();
});

describe('a peer that does not connect', () => {
  let transport: types.WebRtcTransport;
  let consumer: types.DataConsumer;

  /** Makes new objects and a message that waits. */
  async function setUp(): Promise<void> {
    directTransport = await router.createDirectTransport();
    producer = await directTransport.produceData();
    transport = await router.createWebRtcTransport({ listenInfos: [LISTEN], enableSctp: true });
    consumer = await transport.consumeData({ dataProducerId: producer.id });
    producer.send('waits');
  }

  beforeEach(setUp);

  const objects = () => [consumer, producer, transport, directTransport, worker];

  test('drained({ timeout }) rejects with a TimeoutError, like AbortSignal.timeout()', async () => {
    for (const object of objects()) {
      const rejected = expect(object.drained({ timeout: 20 })).rejects;
      await rejected.toMatchObject({
        name: 'TimeoutError',
        code: 23,
        message: 'not drained within 20 ms',
      });
      const signal = AbortSignal.timeout(20);
      await expect(object.drained({ signal })).rejects.toMatchObject({ name: 'TimeoutError' });
    }
  });

  test('drained() that gives up is forgotten by the worker', async () => {
    const { native } = coreOf(worker as any).channel;
    const cancelled = jest.spyOn(native, 'cancelDrained');
    const all = objects();
    for (const object of all) {
      await expect(object.drained({ timeout: 1 })).rejects.toThrow('not drained');
    }
    expect(cancelled).toHaveBeenCalledTimes(all.length);
  });

  test("drained({ signal }) rejects with the signal's reason, aborted before or after", async () => {
    for (const object of objects()) {
      const reason = new Error('enough');
      const controller = new AbortController();
      const drained = object.drained({ signal: controller.signal });
      controller.abort(reason);
      await expect(drained).rejects.toBe(reason);
      await expect(object.drained({ signal: controller.signal })).rejects.toBe(reason);
    }
  });

  test('a signal keeps no listener once drained() has settled', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const added = jest.spyOn(signal, 'addEventListener');
    const removed = jest.spyOn(signal, 'removeEventListener');
    await (await direct()).consumer.drained({ signal });
    await expect(worker.drained({ signal, timeout: 1 })).rejects.toThrow('not drained');
    const closed = consumer.drained({ signal });
    consumer.close();
    await expect(closed).rejects.toThrow(datasoup.errors.NotFoundError);
    expect(added).toHaveBeenCalledTimes(3);
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      added.mock.calls.map(([, listener]) => listener),
    );
  });

  test('drained() rejects with NotFoundError if its object closes while it waits, or is closed', async () => {
    const { NotFoundError } = datasoup.errors;
    for (const close of [consumer, producer, transport, directTransport]) {
      const drained = close.drained();
      close.close();
      await expect(drained).rejects.toThrow(NotFoundError);
      await expect(close.drained()).rejects.toThrow(NotFoundError);
      await setUp();
    }
  });

  test('drained() rejects with WorkerClosedError if the Worker closes while it waits, or is closed', async () => {
    const { WorkerClosedError } = datasoup.errors;
    const all = objects();
    const pending = all.map((object) => object.drained({ timeout: 60_000 }));
    worker.close();
    for (const drained of pending) {
      await expect(drained).rejects.toThrow(WorkerClosedError);
    }
    await expect(worker.drained()).rejects.toThrow(WorkerClosedError);
  });

  test('drained() of another object resolves when the messages that it waits for are discarded', async () => {
    const drained = [producer.drained(), transport.drained(), worker.drained()];
    consumer.close();
    await within(Promise.all(drained), 'drained()');
  });
});

test('a timeout keeps the process running no longer than drained() waits', async () => {
  const ended = await runNode(`
    (async () => {
      const worker = await datasoup.createWorker();
      await worker.drained({ timeout: 2 ** 31 - 1 });
      worker.close();
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
});

test('drained() waits for messages that exceed the turn of the worker', async () => {
  const consumer = await directTransport.consumeData({ dataProducerId: producer.id });
  let count = 0;
  consumer.on('message', () => count++);
  for (let sent = 0; sent < 50_000; sent++) {
    producer.send('x');
  }
  await worker.drained();
  expect(count).toBe(50_000);
});

test('drained() rejects invalid options with a TypeError that names value and range', async () => {
  const options: [unknown, string][] = [
    [null, ''],
    [{ signal: null, timeout: null }, ''],
    ['soon', "options must be an object (got 'soon')"],
    [{ signal: 'soon' }, "signal must be an AbortSignal (got 'soon')"],
    [{ signal: {} }, 'signal must be an AbortSignal (got {})'],
    [{ timeout: -1 }, 'timeout must be an integer from 0 to 2147483647 (got -1)'],
    [{ timeout: 1.5 }, 'timeout must be an integer from 0 to 2147483647 (got 1.5)'],
    [{ timeout: 2 ** 31 }, 'timeout must be an integer from 0 to 2147483647 (got 2147483648)'],
    [{ timeout: '5' }, "timeout must be an integer from 0 to 2147483647 (got '5')"],
  ];
  for (const object of [worker, directTransport, producer]) {
    for (const [given, message] of options) {
      const drained = object.drained(given as types.DrainedOptions);
      await (message
        ? expect(drained).rejects.toThrow(new TypeError(message))
        : expect(drained).resolves.toBeUndefined());
    }
  }
});
