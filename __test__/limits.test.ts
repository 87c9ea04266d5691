import type { types } from '..';
import * as datasoup from '..';
import './helpers/closeWorkers';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { Inbox } from './helpers/Inbox';
import { peers } from './helpers/peers';
import { router } from './helpers/sharedRouter';
import { nextEvent } from './helpers/wait';

const LISTEN = { protocol: 'udp', ip: '127.0.0.1' } as const;

let directTransport: types.DirectTransport;

beforeEach(async () => {
  directTransport = await router.createDirectTransport();
});

afterEach(() => directTransport.close());

/** A DataProducer with a limit, and what its DataConsumer receives. */
async function pair(limit: types.LimitOptions) {
  const dataProducer = await directTransport.produceData({ limit });
  const dataConsumer = await directTransport.consumeData({ dataProducerId: dataProducer.id });
  return { dataProducer, dataConsumer, inbox: new Inbox(dataConsumer) };
}

/** The bucket goes into debt: the smallest part of a token lets one more message pass. */
const BEYOND = (messages: number) => messages + 1;

function send(dataProducer: types.DataProducer, count: number): void {
  for (let number = 0; number < count; number++) {
    dataProducer.send('x');
  }
}

/** Sends 100 messages to a DataProducer with a limit, and returns the events of both ends other than 'message'. */
async function flooded(limit: types.LimitOptions) {
  const objects = await pair(limit);
  const { dataProducer, dataConsumer } = objects;
  const recorder = new EventRecorder().watch({ dataProducer, dataConsumer });
  send(dataProducer, 100);
  await router.dump();
  return { ...objects, events: recorder.take().filter((line) => !line.includes(' message(')) };
}

describe('produceData({ limit })', () => {
  test("action 'drop' drops and counts what exceeds it, and emits 'limit'", async () => {
    const { dataProducer, inbox } = await pair({ messagesPerSecond: 10, burst: 2 });
    const recorder = new EventRecorder().watch({ dataProducer });
    send(dataProducer, 100);
    const [stats] = await dataProducer.getStats();
    const passed = inbox.messages.length;
    expect([20, BEYOND(20)]).toContain(passed);
    const limited = 100 - passed;
    expect(stats).toMatchObject({
      messagesReceived: 100,
      messagesLimited: limited,
      bytesLimited: limited,
    });
    expect(recorder.take()).toEqual(['dataProducer limit({"bytes":1,"messages":1})']);
    // The other drops are reported a second later.
    const rest = { messages: limited - 1, bytes: limited - 1 };
    expect(await nextEvent(dataProducer, 'limit')).toEqual([rest]);
  });

  test("action 'pause' pauses the DataProducer until resume()", async () => {
    const limit = { bytesPerSecond: 10, action: 'pause' } as const;
    const { dataProducer, inbox, events } = await flooded(limit);
    expect(events).toEqual([
      'dataProducer limit({"bytes":1,"messages":1})',
      'dataProducer pause',
      'dataProducer.observer pause',
      'dataConsumer dataproducerpause',
      'dataConsumer.observer pause',
    ]);
    expect(dataProducer.paused).toBe(true);
    const passed = inbox.messages.length;
    expect([10, BEYOND(10)]).toContain(passed);
    await dataProducer.setLimit();
    await dataProducer.resume();
    expect(dataProducer.paused).toBe(false);
    send(dataProducer, 50);
    await inbox.count(passed + 50);
  });

  test("action 'close' closes the DataProducer", async () => {
    const limit = { messagesPerSecond: 10, action: 'close' } as const;
    const { dataProducer, inbox, events } = await flooded(limit);
    expect(events).toEqual([
      'dataProducer limit({"bytes":1,"messages":1})',
      ...closes('dataProducer'),
      'dataConsumer dataproducerclose',
      ...closes('dataConsumer'),
    ]);
    expect(dataProducer.closed).toBe(true);
    expect([10, BEYOND(10)]).toContain(inbox.messages.length);
    await expect(dataProducer.setLimit()).rejects.toThrow(datasoup.errors.NotFoundError);
  });

  test('setLimit() sets, changes and removes a limit, in order with send()', async () => {
    const { dataProducer, inbox } = await pair({ messagesPerSecond: 10 });
    send(dataProducer, 20);
    void dataProducer.setLimit(null);
    send(dataProducer, 20);
    void dataProducer.setLimit({ messagesPerSecond: 5 });
    send(dataProducer, 20);
    await router.dump();
    expect([35, 36, 37]).toContain(inbox.messages.length);
  });
});

describe.each([
  ['webRtc', () => router.createWebRtcTransport({ listenInfos: [LISTEN], enableSctp: true })],
  ['plain', () => router.createPlainTransport({ listenInfo: LISTEN, enableSctp: true })],
])('a %sTransport', (_title, create) => {
  test('has setLimit(), and rejects when it is closed', async () => {
    const transport = await create();
    await transport.setLimit({ bytesPerSecond: 1000, action: 'close' });
    await transport.setLimit(null);
    await expect(transport.getStats()).resolves.toMatchObject([
      { messagesLimited: 0, bytesLimited: 0 },
    ]);
    transport.close();
    await expect(transport.setLimit()).rejects.toThrow(datasoup.errors.NotFoundError);
  });
});

describe('createWebRtcTransport({ limit })', () => {
  test.each(['drop', 'pause', 'close'] as const)(
    "action '%s' acts on what a client sends, and counts it",
    async (action) => {
      const transport = await router.createWebRtcTransport({
        listenInfos: [LISTEN],
        enableSctp: true,
        limit: { messagesPerSecond: 10, burst: 3, action },
      });
      const peer = await peers.connect(transport, { channels: [{ id: 0 }, { id: 1 }] });
      const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
      const dataProducerId = dataProducer.id;
      const inbox = new Inbox(await directTransport.consumeData({ dataProducerId }));
      const recorder = new EventRecorder().watch({ transport, dataProducer });
      const sending = peer.sendNumbered(0, 200, 100);
      if (action === 'close') {
        // The channel may close before the last one is sent.
        await sending.catch(() => {});
        await peer.untilClosed(0);
        expect(peer.open.has(1)).toBe(true);
      } else {
        await sending;
        const received = async () => (await dataProducer.getStats())[0]!.messagesReceived;
        while ((await received()) < 200);
      }
      const [stats] = await transport.getStats();
      const [own] = action === 'close' ? [] : await dataProducer.getStats();
      expect(stats!.messagesLimited).toBeGreaterThan(0);
      expect(stats!.bytesLimited).toBe(100 * stats!.messagesLimited);
      if (own) {
        expect(own.messagesLimited).toBe(stats!.messagesLimited);
        const rest = own.messagesLimited + own.messagesPaused + inbox.messages.length;
        expect([own.messagesReceived, rest]).toEqual([200, 200]);
      }
      expect(inbox.messages.length).toBeGreaterThanOrEqual(30);
      const lines = recorder.take();
      // On a busy machine the client may nominate its path only now.
      const [first] = lines.filter((line) => !line.includes('icestatechange'));
      expect(first).toBe('transport limit({"bytes":100,"messages":1})');
      expect(lines.filter((line) => line.startsWith('dataProducer'))).toEqual(
        {
          drop: [],
          pause: ['dataProducer pause', 'dataProducer.observer pause'],
          close: closes('dataProducer'),
        }[action],
      );
      await peer.close();
      transport.close();
    },
  );
});

describe("action 'block'", () => {
  test("a direct DataProducer fills its bound, throws, and emits 'drain'; setLimit() lets it go on", async () => {
    const dataProducer = await directTransport.produceData({
      limit: { messagesPerSecond: 10, action: 'block' },
      maxBufferedAmount: 20 * 65,
    });
    const inbox = new Inbox(await directTransport.consumeData({ dataProducerId: dataProducer.id }));
    const limited = nextEvent(dataProducer, 'limit');
    // 10 or 11 messages pass at once, and 20 wait.
    let sent = 0;
    while (sent < 40) {
      try {
        dataProducer.send('x');
        sent++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL' });
        await router.dump();
        if (sent >= 30) {
          break;
        }
      }
    }
    expect(sent).toBeLessThan(40);
    expect(await limited).toEqual([{ messages: 0, bytes: 0 }]);
    const drained = nextEvent(dataProducer, 'drain');
    await dataProducer.setLimit(null);
    await drained;
    await inbox.count(sent);
    await expect(dataProducer.getStats()).resolves.toMatchObject([
      { messagesReceived: sent, messagesLimited: 0 },
    ]);
  });

  test('the messages of a client wait, and none is lost', async () => {
    const transport = await router.createWebRtcTransport({
      listenInfos: [LISTEN],
      enableSctp: true,
      limit: { messagesPerSecond: 100, action: 'block' },
    });
    const peer = await peers.connect(transport, { channels: [{ id: 0 }] });
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
    const dataProducerId = dataProducer.id;
    const inbox = new Inbox(await directTransport.consumeData({ dataProducerId }));
    await peer.sendNumbered(0, 500, 1000);
    await inbox.count(101);
    expect(inbox.messages.length).toBeLessThan(400);
    await transport.setLimit(null);
    await inbox.count(500);
    const numbers = inbox.buffers.map((message) => message.readUInt32BE(0));
    expect(numbers).toEqual([...numbers.keys()]);
    await expect(transport.getStats()).resolves.toMatchObject([{ messagesLimited: 0 }]);
    await peer.close();
    transport.close();
  });

  test('is an UnsupportedError on a PipeTransport', async () => {
    const pipe = await router.createPipeTransport({ listenInfo: LISTEN, enableSctp: true });
    const limit = { messagesPerSecond: 1, action: 'block' } as const;
    const sctpStreamParameters = { streamId: 0 };
    await expect(pipe.produceData({ sctpStreamParameters, limit })).rejects.toThrow(
      datasoup.errors.UnsupportedError,
    );
    const dataProducer = await pipe.produceData({ sctpStreamParameters });
    await expect(dataProducer.setLimit(limit)).rejects.toThrow(datasoup.errors.UnsupportedError);
    pipe.close();
  });
});

describe('an invalid limit', () => {
  const cases: [unknown, string][] = [
    ['10', "limit must be an object (got '10')"],
    [{}, 'limit must be an object with messagesPerSecond or bytesPerSecond (got {})'],
    [
      { burst: 2, bytesPerSecond: null },
      'limit must be an object with messagesPerSecond or bytesPerSecond (got { burst: 2, bytesPerSecond: null })',
    ],
    ...[0, -1, 1.5, 2 ** 32, '5', NaN].map((value): [unknown, string] => [
      { messagesPerSecond: value },
      `limit.messagesPerSecond must be an integer from 1 to 4294967295 (got ${typeof value === 'string' ? "'5'" : value})`,
    ]),
    [{ bytesPerSecond: 0 }, 'limit.bytesPerSecond must be an integer from 1 to 4294967295 (got 0)'],
    ...[0, -1, 3601, NaN, Infinity, '1'].map((burst): [unknown, string] => [
      { messagesPerSecond: 1, burst },
      `limit.burst must be a number above 0 and at most 3600 (got ${typeof burst === 'string' ? "'1'" : burst})`,
    ]),
    [
      { messagesPerSecond: 1, action: 'ban' },
      "limit.action must be one of 'drop', 'pause', 'close', 'block' (got 'ban')",
    ],
  ];

  test.each(cases)('%j is a TypeError everywhere, and changes nothing', async (given, message) => {
    const limit = given as types.LimitOptions;
    const error = new TypeError(message);
    const sctp = { listenInfos: [LISTEN], enableSctp: true };
    const transport = await router.createWebRtcTransport(sctp);
    const plain = await router.createPlainTransport({ listenInfo: LISTEN, enableSctp: true });
    const { dataProducer, inbox } = await pair({ messagesPerSecond: 2 });
    await expect(directTransport.produceData({ limit })).rejects.toThrow(error);
    await expect(router.createWebRtcTransport({ ...sctp, limit })).rejects.toThrow(error);
    await expect(
      router.createPlainTransport({ listenInfo: LISTEN, enableSctp: true, limit }),
    ).rejects.toThrow(error);
    for (const object of [dataProducer, transport, plain]) {
      await expect(object.setLimit(limit)).rejects.toThrow(error);
    }
    send(dataProducer, 5);
    await router.dump();
    expect([2, BEYOND(2)]).toContain(inbox.messages.length);
    transport.close();
    plain.close();
  });
});
