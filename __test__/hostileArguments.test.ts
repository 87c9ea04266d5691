import { inspect } from 'node:util';
import { isNativeError } from 'node:util/types';
import * as datasoup from '..';
import type { types } from '..';
import { NOT_BOOLEANS, SCTP_SIZES, titled } from './helpers/arguments';
import { arrange, LOOPBACK, SOME_FINGERPRINTS, type Arrangement } from './helpers/arrangement';
import './helpers/closeWorkers';
import { Inbox } from './helpers/Inbox';

/**
 * Arguments with side effects, such as getters and Proxies, and arguments that imitate other types. A call that gets
 * them throws or rejects with an Error and creates nothing, and the Worker keeps running.
 */

let objects: Arrangement;
let other: types.Router;

beforeAll(async () => {
  objects = await arrange();
  other = await objects.worker.createRouter();
});

afterAll(() => objects.worker.close());

type Options = Record<string, unknown>;
type Call = (options: Options) => Promise<unknown>;

const LISTEN_INFO = LOOPBACK[0]!;
const PLAIN: Options = { listenInfo: LISTEN_INFO, enableSctp: true };
const SCTP_OPTIONS = ['enableSctp', 'numSctpStreams', 'sctpCongestionControl', ...SCTP_SIZES];

/** Each method with options: a call, valid options, and the names that it reads. */
const METHODS: Record<string, { call: Call; good: () => Options; names: string[] }> = {
  'createWorker()': {
    call: (options) => datasoup.createWorker(options),
    good: () => ({}),
    names: [
      'appData',
      'logLevel',
      'logTags',
      'rtcMinPort',
      'rtcMaxPort',
      'maxMemory',
      'dtlsCertificateFile',
      'dtlsPrivateKeyFile',
    ],
  },
  'worker.updateSettings()': {
    call: (options) => objects.worker.updateSettings(options),
    good: () => ({}),
    names: ['logLevel', 'logTags'],
  },
  'worker.createWebRtcServer()': {
    call: (options) => objects.worker.createWebRtcServer(options as any),
    good: () => ({ listenInfos: LOOPBACK }),
    names: ['appData', 'listenInfos'],
  },
  'worker.createWebRtcServer({ listenInfos: [info] })': {
    call: (info) => objects.worker.createWebRtcServer({ listenInfos: [info as any] }),
    good: () => ({ ...LISTEN_INFO }),
    names: [
      'protocol',
      'ip',
      'announcedAddress',
      'exposeInternalIp',
      'port',
      'portRange',
      'flags',
      'sendBufferSize',
    ],
  },
  'worker.createWebRtcServer({ listenInfos: [{ flags }] })': {
    call: (flags) =>
      objects.worker.createWebRtcServer({ listenInfos: [{ ...LISTEN_INFO, flags } as any] }),
    good: () => ({}),
    names: ['ipv6Only', 'udpReusePort'],
  },
  'worker.createRouter()': {
    call: (options) => objects.worker.createRouter(options),
    good: () => ({}),
    names: ['appData', 'mediaCodecs'],
  },
  'router.createDirectTransport()': {
    call: (options) => objects.router.createDirectTransport(options),
    good: () => ({}),
    names: ['appData', 'maxSendMessageSize', 'maxReceiveMessageSize'],
  },
  'router.createPlainTransport()': {
    call: (options) => objects.router.createPlainTransport(options as any),
    good: () => ({ ...PLAIN }),
    names: ['appData', 'listenInfo', 'comedia', 'enableSrtp', 'sctpSilence', ...SCTP_OPTIONS],
  },
  'router.createPipeTransport()': {
    call: (options) => objects.router.createPipeTransport(options as any),
    good: () => ({ ...PLAIN }),
    names: ['appData', 'listenInfo', 'enableSrtp', 'enableDtls', 'sctpSilence', ...SCTP_OPTIONS],
  },
  'router.createWebRtcTransport()': {
    call: (options) => objects.router.createWebRtcTransport(options as any),
    good: () => ({ listenInfos: LOOPBACK, enableSctp: true }),
    names: [
      'appData',
      'webRtcServer',
      'listenInfos',
      'enableUdp',
      'enableTcp',
      'preferUdp',
      'preferTcp',
      'iceConsentTimeout',
      ...SCTP_OPTIONS,
    ],
  },
  'router.pipeToRouter()': {
    call: (options) => objects.router.pipeToRouter(options as any),
    good: () => ({ dataProducerId: objects.dataProducerDirect.id, router: other }),
    names: [
      'dataProducerId',
      'router',
      'keepId',
      'listenInfo',
      'enableSrtp',
      'sctpSilence',
      ...SCTP_OPTIONS,
    ],
  },
  'webRtcTransport.connect()': {
    call: (options) => objects.webRtcTransport.connect(options as any),
    good: () => ({ dtlsParameters: { fingerprints: SOME_FINGERPRINTS } }),
    names: ['dtlsParameters'],
  },
  'webRtcTransport.connect({ dtlsParameters })': {
    call: (dtlsParameters) =>
      objects.webRtcTransport.connect({ dtlsParameters: dtlsParameters as any }),
    good: () => ({ fingerprints: SOME_FINGERPRINTS }),
    names: ['role', 'fingerprints'],
  },
  'transport.produceData()': {
    call: (options) => objects.webRtcTransport.produceData(options as any),
    good: () => ({ sctpStreamParameters: { streamId: 7 } }),
    names: ['id', 'sctpStreamParameters', 'label', 'protocol', 'paused', 'appData'],
  },
  'transport.produceData({ sctpStreamParameters })': {
    call: (sctpStreamParameters) =>
      objects.webRtcTransport.produceData({ sctpStreamParameters: sctpStreamParameters as any }),
    good: () => ({ streamId: 7 }),
    names: ['streamId', 'ordered', 'maxPacketLifeTime', 'maxRetransmits'],
  },
  'transport.consumeData()': {
    call: (options) => objects.webRtcTransport.consumeData(options as any),
    good: () => ({ dataProducerId: objects.dataProducerDirect.id }),
    names: [
      'dataProducerId',
      'ordered',
      'maxPacketLifeTime',
      'maxRetransmits',
      'streamId',
      'paused',
      'subchannels',
      'strictSubchannels',
      'retained',
      'appData',
    ],
  },
};

/** The options that are true or false. */
const BOOLEANS = [
  'exposeInternalIp',
  'ipv6Only',
  'udpReusePort',
  'comedia',
  'enableSctp',
  'enableSrtp',
  'enableDtls',
  'enableUdp',
  'enableTcp',
  'preferUdp',
  'preferTcp',
  'keepId',
  'strictSubchannels',
  'retained',
  'ordered',
  'paused',
];

/** Fails if `work` created an object. */
async function nothingMade(work: () => Promise<void>): Promise<void> {
  const before = await objects.worker.dump();
  await work();
  await expect(objects.worker.dump()).resolves.toEqual(before);
}

/** True for errors of any realm: the errors of the engine and of Node.js are not of Jest's realm. */
function isErrorNamed(error: unknown, name: string): boolean {
  return isNativeError(error) && (name === 'Error' || error.name === name);
}

/** The error with which a call throws or rejects, or undefined. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

function revoked(target: object): any {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

describe.each(Object.entries(METHODS))('%s', (_method, { call, good, names }) => {
  test.each(names)('rejects with the error that a getter of %s throws', async (name) => {
    const boom = new Error('boom');
    const options = Object.defineProperty(good(), name, {
      enumerable: true,
      get() {
        throw boom;
      },
    });
    await nothingMade(() => expect(call(options)).rejects.toBe(boom));
  });

  // appData is left out, because the package does not read it.
  test.each(names.filter((name) => name !== 'appData'))(
    'accepts a revoked Proxy as %s or rejects with an Error',
    async (name) => {
      await nothingMade(async () => {
        const settled = await call({ ...good(), [name]: revoked([]) }).then(
          (made) => made as { close?(): void } | undefined,
          (error: unknown) => {
            expect(isErrorNamed(error, 'Error')).toBe(true);
            return undefined;
          },
        );
        settled?.close?.();
      });
    },
  );

  test.each(names)('accepts a Symbol or a BigInt as %s or rejects with an Error', async (name) => {
    await nothingMade(async () => {
      for (const value of [Symbol('s'), 1n, -1n]) {
        try {
          const made = (await call({ ...good(), [name]: value })) as { close?(): void } | undefined;
          made?.close?.();
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          expect((error as Error).message).toContain('(got ');
        }
      }
    });
  });

  const booleans = names.filter((name) => BOOLEANS.includes(name));

  if (booleans.length > 0) {
    test.each(booleans)(
      'rejects %s with a TypeError if it is neither true nor false',
      async (name) => {
        await nothingMade(async () => {
          for (const value of [...NOT_BOOLEANS, 'yes', '']) {
            await expect(call({ ...good(), [name]: value })).rejects.toThrow(
              `${name} must be a boolean (got `,
            );
          }
        });
      },
    );
  }

  test('rejects a revoked Proxy of its options with a TypeError', async () => {
    await nothingMade(() => expect(call(revoked({}))).rejects.toThrow(TypeError));
  });
});

test.each<[string, () => Promise<unknown>, string]>([
  [
    'createPlainTransport({ listenInfos })',
    () => objects.router.createPlainTransport({ listenInfos: LOOPBACK } as any),
    'missing listenInfo or listenIp (got { listenInfos: [Array] })',
  ],
  [
    'createPlainTransport({ listenInfo, listenIp })',
    () => objects.router.createPlainTransport({ listenInfo: LISTEN_INFO, listenIp: '::1' } as any),
    "use listenInfo (got { protocol: 'udp', ip: '127.0.0.1' } and '::1')",
  ],
  [
    'createWebRtcTransport({ listenInfo })',
    () => objects.router.createWebRtcTransport({ listenInfo: LISTEN_INFO } as any),
    'missing webRtcServer, listenInfos or listenIps (got { listenInfo: [Object] })',
  ],
  [
    'createWorker({ dtlsCertificateFile })',
    () => datasoup.createWorker({ dtlsCertificateFile: 'a.pem' }),
    "must both be given, or neither (got 'a.pem' and undefined)",
  ],
  [
    'pipeToRouter({ producerId, dataProducerId, router })',
    () => objects.router.pipeToRouter({ producerId: 'a', dataProducerId: 'b', router: other }),
    "producerId and dataProducerId cannot both be given (got 'a' and 'b')",
  ],
  [
    'pipeToRouter({ router })',
    () => objects.router.pipeToRouter({ router: other }),
    'missing producerId or dataProducerId (got { router: [Router] })',
  ],
  [
    'pipeToRouter({ dataProducerId })',
    () => objects.router.pipeToRouter({ dataProducerId: 'a' } as any),
    'missing router (got undefined)',
  ],
  [
    'pipeToRouter() to the router itself',
    () => objects.router.pipeToRouter({ dataProducerId: 'a', router: objects.router }),
    'cannot use this Router as the destination (got Router { id: ',
  ],
  [
    'consumeData({ producerId })',
    () => objects.webRtcTransport.consumeData({ producerId: 'a' } as any),
    'missing dataProducerId (got undefined)',
  ],
  [
    'consumeData() with both limits',
    () =>
      objects.webRtcTransport.consumeData({
        dataProducerId: 'a',
        maxPacketLifeTime: 10,
        maxRetransmits: 2,
      }),
    'cannot provide both maxPacketLifeTime and maxRetransmits (got 10 and 2)',
  ],
  [
    'produceData({})',
    () => objects.webRtcTransport.produceData({}),
    'missing sctpStreamParameters (got undefined)',
  ],
  [
    'produceData() of an ordered stream with a limit',
    () =>
      objects.webRtcTransport.produceData({
        sctpStreamParameters: { streamId: 7, ordered: true, maxRetransmits: 0 },
      }),
    'maxRetransmits (got { streamId: 7, ordered: true, maxRetransmits: 0 })',
  ],
  [
    'webRtcTransport.connect({})',
    () => objects.webRtcTransport.connect({} as any),
    'missing dtlsParameters (got undefined)',
  ],
  [
    'dataConsumer.send([1])',
    () => objects.dataConsumerSctp.send([1] as any),
    'message must be a string, Buffer, ArrayBufferView or ArrayBuffer (got [ 1 ])',
  ],
])('%s: the error says what it got', async (_title, call, text) => {
  await expect(call()).rejects.toThrow(TypeError);
  await expect(call()).rejects.toThrow(text);
});

test('an argument that cannot be shown is a TypeError as well', async () => {
  const dataProducerId: any = {
    [inspect.custom]() {
      throw null;
    },
  };
  await expect(objects.webRtcTransport.consumeData({ dataProducerId })).rejects.toThrow(
    'dataProducerId must be a string (got object)',
  );
});

test('produceData() reads options through a Proxy', async () => {
  const read: PropertyKey[] = [];
  const options = new Proxy(
    { label: 'l', protocol: 'p', sctpStreamParameters: { streamId: 9 } },
    { get: (target, name) => (read.push(name), Reflect.get(target, name)) },
  );
  const dataProducer = await objects.webRtcTransport.produceData(options);
  expect(dataProducer).toMatchObject({ label: 'l', protocol: 'p' });
  expect(read).toEqual(expect.arrayContaining(['label', 'protocol', 'sctpStreamParameters']));
  dataProducer.close();
});

test('produceData() with a key __proto__ changes no prototype and keeps the key in appData', async () => {
  const appData = JSON.parse('{ "__proto__": { "polluted": 1 }, "constructor": 5 }') as Options;
  const options = JSON.parse('{ "__proto__": { "polluted": 1, "paused": true }, "label": "l" }');
  const dataProducer = await objects.directTransport.produceData({ ...options, appData });
  expect(({} as Options)['polluted']).toBeUndefined();
  expect(dataProducer).toMatchObject({ label: 'l', paused: false });
  expect(dataProducer.appData).toBe(appData);
  dataProducer.close();
});

test('produceData() replaces lone surrogates of label and protocol by U+FFFD, as send() does', async () => {
  const dataProducer = await objects.directTransport.produceData({
    label: 'a\ud800b',
    protocol: '\udc00',
  });
  expect(dataProducer).toMatchObject({ label: 'a\ufffdb', protocol: '\ufffd' });
  await expect(dataProducer.dump()).resolves.toMatchObject({
    label: 'a\ufffdb',
    protocol: '\ufffd',
  });
  dataProducer.close();
});

describe('an argument whose getter closes the object of the call', () => {
  const closing: Record<string, () => Promise<{ call: () => Promise<unknown> }>> = {
    'router.createDirectTransport() closes the Router': async () => {
      const router = await objects.worker.createRouter();
      return {
        call: () =>
          router.createDirectTransport({
            get appData() {
              router.close();
              return {};
            },
          }),
      };
    },
    'transport.produceData() closes the transport': async () => {
      const transport = await objects.router.createDirectTransport();
      return {
        call: () =>
          transport.produceData({
            get label() {
              transport.close();
              return '';
            },
          }),
      };
    },
    'transport.consumeData() closes the DataProducer': async () => {
      const dataProducer = await objects.directTransport.produceData();
      return {
        call: () =>
          objects.directTransport.consumeData({
            dataProducerId: dataProducer.id,
            get paused() {
              dataProducer.close();
              return false;
            },
          }),
      };
    },
    'dataConsumer.setSubchannels() closes the DataConsumer': async () => {
      const { id } = objects.dataProducerDirect;
      const dataConsumer = await objects.directTransport.consumeData({ dataProducerId: id });
      const subchannels = Object.defineProperty([0], 0, {
        get() {
          dataConsumer.close();
          return 1;
        },
      });
      return { call: () => dataConsumer.setSubchannels(subchannels) };
    },
  };

  test.each(Object.entries(closing))(
    '%s: the call rejects with NotFoundError',
    async (_title, prepare) => {
      const { call } = await prepare();
      await expect(call()).rejects.toThrow(datasoup.errors.NotFoundError);
    },
  );
});

test.each<[string, (subchannels: number[]) => Promise<unknown>]>([
  [
    'dataConsumer.setSubchannels()',
    (subchannels) => objects.dataConsumerDirect.setSubchannels(subchannels),
  ],
  [
    'transport.consumeData()',
    (subchannels) =>
      objects.directTransport.consumeData({
        dataProducerId: objects.dataProducerDirect.id,
        subchannels,
      }),
  ],
  [
    'dataProducer.send()',
    async (subchannels) => objects.dataProducerDirect.send('x', 51, subchannels),
  ],
])('%s rejects subchannels with a hole', async (_title, call) => {
  for (const [subchannels, hole] of [
    [[, 1], 0],
    [[1, ,], 1],
    [new Array(3), 0],
  ] as [number[], number][]) {
    await expect(call(subchannels)).rejects.toThrow(
      `subchannels[${hole}] must be an integer from 0 to 65535 (got undefined)`,
    );
  }
  expect(objects.dataConsumerDirect.subchannels).toEqual([]);
});

describe('dataProducer.send()', () => {
  let dataProducer: types.DataProducer;
  let inbox: Inbox;

  beforeEach(async () => {
    dataProducer = await objects.directTransport.produceData();
    const { id } = dataProducer;
    inbox = new Inbox(await objects.directTransport.consumeData({ dataProducerId: id }));
  });

  afterEach(() => dataProducer.close());

  /** Subchannels that call `onRead` when they are read. */
  function trap(onRead: () => void): number[] {
    return Object.defineProperty([0], 0, {
      get() {
        onRead();
        return 1;
      },
    });
  }

  async function arrived(): Promise<string[]> {
    await objects.router.dump();
    return inbox.texts;
  }

  test.each(titled<unknown>([1n, -1n, 2n ** 32n, Symbol('s'), -0.5, 2 ** 53, () => 5], String))(
    'throws a TypeError for %s as PPID or as a subchannel',
    async (_title, value) => {
      const send = dataProducer.send.bind(dataProducer) as (...args: unknown[]) => void;
      for (const args of [
        ['x', value],
        ['x', 51, [value]],
        ['x', 51, [1], value],
        ['x', 51, [1], undefined, value],
      ]) {
        expect(() => send(...args)).toThrow(TypeError);
      }
      expect(await arrived()).toEqual([]);
    },
  );

  test.each<[string, () => unknown]>([
    ['a Proxy of a Buffer', () => new Proxy(Buffer.from('x'), {})],
    ['a revoked Proxy', () => revoked(Buffer.from('x'))],
    ['an object with the prototype of Buffer', () => Object.create(Buffer.prototype)],
    [
      'an object with the prototype of Buffer and a length',
      () => Object.defineProperty(Object.create(Buffer.prototype), 'length', { value: 5 }),
    ],
  ])('throws a TypeError for %s', async (_title, make) => {
    const error = await errorOf(() => dataProducer.send(make() as Buffer));
    expect(isErrorNamed(error, 'TypeError')).toBe(true);
    expect(await arrived()).toEqual([]);
  });

  test('throws a TypeError for a Buffer that the getter of a subchannel detaches', async () => {
    const buffer = Buffer.from(new ArrayBuffer(16));
    const subchannels = trap(() =>
      structuredClone(buffer.buffer, { transfer: [buffer.buffer as any] }),
    );
    expect(() => dataProducer.send(buffer, 53, subchannels)).toThrow(TypeError);
    expect(await arrived()).toEqual([]);
  });

  test('sends the bytes that a Buffer on resizable memory has at the time of the call', async () => {
    type Resizable = ArrayBuffer & { resize(length: number): void };
    const Constructor = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => Resizable;
    const memory = new Constructor(4, { maxByteLength: 8 });
    const buffer = Buffer.from(memory).fill('x');
    dataProducer.send(buffer);
    memory.resize(2);
    expect(() => dataProducer.send(buffer)).toThrow('that was not transferred or shrunk');
    memory.resize(8);
    dataProducer.send(buffer);
    memory.resize(0);
    expect(() => dataProducer.send(buffer)).toThrow('that was not transferred or shrunk');
    expect((await arrived()).map((text) => text.length)).toEqual([4, 4]);
  });

  test('sends the bytes that shared memory has at the time of the call', async () => {
    const buffer = Buffer.from(new SharedArrayBuffer(3)).fill('x');
    dataProducer.send(buffer);
    buffer.fill('y');
    expect(await arrived()).toEqual(['xxx']);
  });

  test('throws a TypeError for a string of 64 MiB', () => {
    expect(() => dataProducer.send('x'.repeat(64 * 1024 * 1024))).toThrow(TypeError);
  });

  test('drops the message if the getter of a subchannel closes the DataProducer', async () => {
    dataProducer.send(
      'x',
      51,
      trap(() => dataProducer.close()),
    );
    expect(await arrived()).toEqual([]);
  });
});

describe('with a foreign this', () => {
  test.each<[string, () => types.DataProducer | object]>([
    ['Worker', () => objects.worker],
    ['Router', () => objects.router],
    ['DirectTransport', () => objects.directTransport],
    ['WebRtcTransport', () => objects.webRtcTransport],
    ['DataProducer', () => objects.dataProducerDirect],
    ['DataConsumer', () => objects.dataConsumerSctp],
  ])(
    'methods and getters of %s throw or reject with an Error unless they do not use this',
    async (_title, of) => {
      const object = of();
      const methods = methodsOf(object);
      const receivers = [undefined, {}, objects, Object.create(object), new Proxy(object, {})];
      let rejected = 0;
      for (const method of methods) {
        for (const self of receivers) {
          const error = await errorOf(() => Reflect.apply(method, self, [{}]));
          expect(error === undefined || isErrorNamed(error, 'Error')).toBe(true);
          rejected += error === undefined ? 0 : 1;
        }
      }
      expect(rejected).toBeGreaterThan((methods.length * receivers.length) / 2);
      expect((object as { closed: boolean }).closed).toBe(false);
    },
  );

  /** The methods and getters of `object`, without those of EnhancedEventEmitter. */
  function methodsOf(object: object): ((...args: unknown[]) => unknown)[] {
    const methods = [];
    for (
      let prototype = Object.getPrototypeOf(object) as object;
      prototype.constructor.name !== 'EnhancedEventEmitter';
      prototype = Object.getPrototypeOf(prototype) as object
    ) {
      const { constructor: _constructor, ...own } = Object.getOwnPropertyDescriptors(prototype);
      methods.push(...Object.values(own).map(({ value, get }) => get ?? value));
    }
    return methods.filter((method) => typeof method === 'function');
  }
});
