import * as datasoup from '..';
import { Channel } from '../lib/Channel';
import { copy } from '../lib/copy';
import { Demand } from '../lib/Demand';
import { coreOf } from '../lib/Entity';
import { EnhancedEventEmitter } from '../lib/EnhancedEventEmitter';
import { LOOPBACK } from './helpers/arrangement';
import './helpers/closeWorkers';
import { nextMacrotask } from './helpers/wait';
import { THROWN } from '../robustness/thrown';

/** Mechanisms of lib/ with edge cases that the public API cannot reach. */

/** A reason, as the worker reports it with a state. */
const ERROR = { code: 'peer-closed', message: 'the peer closed the DTLS session' };

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

    drain(_scratch: Uint8Array, records: Uint32Array): void {
      const [DONE, ANSWER] = [0, 4];
      records[0] = 0;
      records[1] = this.#queue.length > 0 ? ANSWER : DONE;
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

describe('a listener', () => {
  interface Target {
    onEvent(name: string, args: unknown[]): void;
    onMessage?(message: Buffer, ppid: number): void;
  }

  type Entity = NodeJS.EventEmitter & {
    observer: NodeJS.EventEmitter;
    closed: boolean;
    close(): void;
  };

  let worker: datasoup.types.Worker;
  /** Where Channel delivers the events and messages of the latest object. */
  let target: Target;
  let makers: Record<string, () => Promise<Entity>>;

  beforeEach(async () => {
    const subscribe = Channel.prototype.subscribe;
    jest.spyOn(Channel.prototype, 'subscribe').mockImplementation(function (
      this: Channel,
      handle: number,
      given: Target,
    ) {
      target = given;
      subscribe.call(this, handle, given);
    });
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    worker = await datasoup.createWorker();
    const router = await worker.createRouter();
    const direct = await router.createDirectTransport();
    const options = { enableSctp: true, listenInfos: LOOPBACK, listenInfo: LOOPBACK[0]! };
    const { id } = await direct.produceData();
    const webRtc = await router.createWebRtcTransport(options);
    let streamId = 0;
    makers = {
      WebRtcTransport: () => router.createWebRtcTransport(options),
      PlainTransport: () => router.createPlainTransport({ ...options, comedia: true }),
      PipeTransport: () => router.createPipeTransport({ ...options, enableDtls: true }),
      DataProducer: () => direct.produceData(),
      'DataProducer of type sctp': () =>
        webRtc.produceData({ sctpStreamParameters: { streamId: streamId++ } }),
      DataConsumer: () => direct.consumeData({ dataProducerId: id }),
      'DataConsumer of type sctp': () => webRtc.consumeData({ dataProducerId: id }),
    } as unknown as typeof makers;
  });

  afterEach(() => {
    jest.restoreAllMocks();
    worker.close();
  });

  /** What an object emits for what the worker sends, where the names differ. */
  const EMITTED: Record<string, string> = {
    limitpause: 'pause',
    limitclose: 'close',
    originpause: 'pause',
    overflowclose: 'close',
  };

  // What the worker can send to each object, and what the observer of the object emits then.
  test.each<[string, string, string | undefined, ...unknown[]]>([
    ['WebRtcTransport', 'icestatechange', 'icestatechange', 'connected'],
    ['WebRtcTransport', 'iceselectedtuplechange', 'iceselectedtuplechange', { localPort: 1 }],
    ['WebRtcTransport', 'icestatechange', 'icestatechange', 'disconnected', ERROR],
    ['WebRtcTransport', 'dtlsstatechange', 'dtlsstatechange', 'connected', 'PEM', null],
    ['WebRtcTransport', 'dtlsstatechange', 'dtlsstatechange', 'failed', null, ERROR],
    ['WebRtcTransport', 'sctpstatechange', 'sctpstatechange', 'connected', {}],
    ['WebRtcTransport', 'datachannel', 'datachannel', { streamId: 1 }],
    ['WebRtcTransport', 'limit', undefined, { messages: 1, bytes: 1 }],
    ['PlainTransport', 'tuple', 'tuple', { localPort: 1 }],
    ['PlainTransport', 'limit', undefined, { messages: 1, bytes: 1 }],
    ['PlainTransport', 'sctpstatechange', 'sctpstatechange', 'connecting'],
    ['PipeTransport', 'sctpstatechange', 'sctpstatechange', 'failed', null, ERROR],
    ['PipeTransport', 'dtlsstatechange', 'dtlsstatechange', 'failed', null, ERROR],
    ['DataProducer', 'drain', undefined],
    ['DataProducer', 'limit', undefined, { messages: 1, bytes: 1 }],
    ['DataProducer', 'limitpause', 'pause'],
    ['DataProducer', 'limitclose', 'close'],
    ['DataProducer of type sctp', 'originpause', 'pause'],
    ['DataProducer of type sctp', 'streamclose', undefined],
    ['DataConsumer', 'message', undefined],
    ['DataConsumer', 'overflow', undefined, { messages: 1, bytes: 1 }],
    ['DataConsumer', 'stalled', undefined],
    ['DataConsumer', 'unstalled', undefined],
    ['DataConsumer', 'dataproducerpause', 'pause'],
    ['DataConsumer', 'dataproducerclose', 'close'],
    ['DataConsumer', 'overflowclose', 'close'],
    ['DataConsumer of type sctp', 'sctpsendbufferfull', undefined],
    ['DataConsumer of type sctp', 'bufferedamountlow', undefined, 1],
    ['DataConsumer of type sctp', 'streamclose', 'close'],
  ])('of a %s may throw anything at %s', async (kind, sent, observed, ...args) => {
    const event = EMITTED[sent] ?? sent;
    for (const { title, make } of THROWN) {
      const entity = await makers[kind]!();
      const { onEvent, onMessage } = target;
      const thrown = make();
      const reports: string[] = [];
      const throwAt = (emitter: NodeJS.EventEmitter, name: string): void => {
        emitter.on(name, () => {
          throw thrown;
        });
        emitter.on('listenererror', (eventName: string, error: unknown) => {
          reports.push(
            `${title}: ${eventName}, ${Object.is(error, thrown) ? 'as thrown' : 'other'}`,
          );
          throw make();
        });
      };
      throwAt(entity, event);
      if (observed) {
        throwAt(entity.observer, observed);
      }
      const deliver = (): void =>
        sent === 'message' ? onMessage?.(Buffer.from('x'), 51) : onEvent(sent, args);
      expect(deliver).not.toThrow();
      const names = observed ? [event, observed] : [event];
      expect(reports).toEqual(names.map((name) => `${title}: ${name}, as thrown`));
      entity.close();
      expect(entity.closed).toBe(true);
    }
  });

  test.each([
    ['DataProducer of type sctp', 'originpause', 'originresume', 'resume'],
    ['DataConsumer', 'dataproducerpause', 'dataproducerresume', 'dataproducerresume'],
  ])('of a %s may throw anything after %s at %s', async (kind, before, sent, event) => {
    for (const { make } of THROWN) {
      const entity = await makers[kind]!();
      const { onEvent } = target;
      let calls = 0;
      for (const emitter of [entity, entity.observer]) {
        for (const name of [event, 'resume', 'listenererror']) {
          emitter.on(name, () => {
            calls += 1;
            throw make();
          });
        }
      }
      onEvent(before, []);
      expect(() => onEvent(sent, [])).not.toThrow();
      // Each throws twice: at the event, and at what reports that.
      expect(calls).toBeGreaterThanOrEqual(4);
      entity.close();
      expect(entity.closed).toBe(true);
    }
  });

  test("of a DataProducer may throw anything at 'demand'", async () => {
    const router = await worker.createRouter();
    const transport = await router.createDirectTransport();
    for (const { make } of THROWN) {
      const dataProducer = await transport.produceData();
      let calls = 0;
      for (const event of ['demand', 'listenererror'] as any[]) {
        dataProducer.on(event, () => {
          calls += 1;
          throw make();
        });
      }
      const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
      await nextMacrotask();
      expect(calls).toBe(2);
      dataConsumer.close();
      expect(dataProducer.demand.consumers).toBe(0);
      dataProducer.close();
    }
  });

  test.each(THROWN.map(({ title, make }) => [title, make] as const))(
    'that throws %s keeps no Worker or WebRtcServer from opening, closing or dying',
    async (_title, make) => {
      const calls: string[] = [];
      const thrower = (event: string) => (): void => {
        calls.push(event);
        throw make();
      };
      const reporter = (): void => {
        throw make();
      };
      const throwAt = (emitter: any, ...events: string[]): void => {
        events.forEach((event) => emitter.on(event, thrower(event)));
        emitter.on('listenererror', reporter);
      };
      const onWorker = thrower('newworker');
      datasoup.observer.on('newworker', onWorker).on('listenererror', reporter);
      const dying = await datasoup.createWorker();
      datasoup.observer.off('newworker', onWorker).off('listenererror', reporter);
      throwAt(dying, 'died', 'close');
      throwAt(dying.observer, 'newwebrtcserver', 'newrouter', 'close');
      const router = await dying.createRouter();
      const createServer = async (): Promise<datasoup.types.WebRtcServer> => {
        const webRtcServer = await dying.createWebRtcServer({ listenInfos: LOOPBACK });
        throwAt(webRtcServer, 'workerclose');
        throwAt(webRtcServer.observer, 'webrtctransporthandled', 'webrtctransportunhandled');
        throwAt(webRtcServer.observer, 'close');
        return webRtcServer;
      };
      const createTransport = async (
        webRtcServer: datasoup.types.WebRtcServer,
      ): Promise<datasoup.types.WebRtcTransport> => {
        const transport = await router.createWebRtcTransport({ webRtcServer });
        throwAt(transport, 'listenserverclose', 'routerclose');
        return transport;
      };

      const closedServer = await createServer();
      const transports = [await createTransport(closedServer), await createTransport(closedServer)];
      transports[0]!.close();
      closedServer.close();
      const diedServer = await createServer();
      transports.push(await createTransport(diedServer));
      const ended = new Promise<void>((resolve) => {
        dying.on('subprocessclose', () => resolve());
        throwAt(dying, 'subprocessclose');
      });
      (coreOf(dying as any).native as any).panicForTests();
      await ended;
      await nextMacrotask();

      expect(dying).toMatchObject({ died: true, closed: true, subprocessClosed: true });
      for (const { closed } of [router, closedServer, diedServer, ...transports]) {
        expect(closed).toBe(true);
      }
      expect(calls).toEqual([
        'newworker',
        'newrouter',
        'newwebrtcserver',
        'webrtctransporthandled',
        'webrtctransporthandled',
        'webrtctransportunhandled',
        'listenserverclose',
        'webrtctransportunhandled',
        'close',
        'newwebrtcserver',
        'webrtctransporthandled',
        'routerclose',
        'workerclose',
        'close',
        'died',
        'close',
        'subprocessclose',
        'close',
      ]);
    },
  );

  test.each(THROWN.map(({ title, make }) => [title, make] as const))(
    'that throws %s stops neither the messages after it nor a cascade',
    async (_title, make) => {
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const dataProducer = await transport.produceData();
      const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
      const sibling = await transport.consumeData({ dataProducerId: dataProducer.id });
      const boom = (): void => {
        throw make();
      };
      const seen: string[] = [];
      for (const emitter of [dataProducer, dataConsumer, transport, router] as any[]) {
        for (const event of ['transportclose', 'routerclose', 'workerclose', 'listenererror']) {
          emitter.on(event, boom);
        }
        emitter.observer.on('close', boom);
      }
      dataConsumer.on('message', (message) => {
        seen.push(`${message.length} ${message[0]}`);
        boom();
      });
      // A large message is handed out by itself, behind those that are handed out together.
      const sizes = [3, 5, 100_000, 7, 70];
      sizes.forEach((size, index) => dataProducer.send(Buffer.alloc(size, index)));
      await router.dump();
      expect(seen).toEqual(sizes.map((size, index) => `${size} ${index}`));
      expect(() => worker.close()).not.toThrow();
      for (const { closed } of [dataProducer, dataConsumer, sibling, transport, router]) {
        expect(closed).toBe(true);
      }
    },
  );

  test('that throws while the stack ends, or whose emitter has no methods left, does not stop a cascade', async () => {
    const router = await worker.createRouter();
    const transport = await router.createDirectTransport();
    const dataProducer = await transport.produceData();
    const sibling = await transport.produceData();
    Object.assign(dataProducer, { emit: null, safeEmit: 1, close: null });
    Object.defineProperty(transport, 'id', { get: () => Symbol() });
    const exhaust = (): void => exhaust();
    router.on('workerclose', exhaust);
    transport.on('routerclose', exhaust);
    expect(() => worker.close()).not.toThrow();
    await nextMacrotask();
    for (const { closed } of [dataProducer, sibling, transport, router]) {
      expect(closed).toBe(true);
    }
  });
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

test("a change that is undone emits no 'demand', even if it is the first since a listener was added", async () => {
  const source = new EnhancedEventEmitter();
  const demand = new Demand(source as any, () => false);
  const emitted: object[] = [];
  demand.add('1', () => [5, 7]);
  for (const change of [
    () => {
      demand.add('2', () => [1, 5]);
      demand.remove('2');
    },
    () => {
      demand.remove('1');
      demand.add('1', () => [5, 7]);
    },
  ]) {
    source.on('demand', (it: object) => emitted.push(it));
    change();
    await nextMacrotask();
    expect(emitted).toEqual([]);
    source.removeAllListeners('demand');
    demand.add('3', () => [9]);
    demand.remove('3');
  }
  source.on('demand', (it: object) => emitted.push(it));
  demand.add('2', () => [1]);
  await nextMacrotask();
  expect(emitted).toEqual([{ consumers: 2, subchannels: [1, 5, 7] }]);
});
