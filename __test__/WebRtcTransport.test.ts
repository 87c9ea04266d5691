import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { LOOPBACK, SOME_FINGERPRINTS } from './helpers/arrangement';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { NOT_ARRAYS, NOT_OBJECTS, notPorts, SCTP_SIZES, titled } from './helpers/arguments';
import { MEDIA_OF_DUMP, MEDIA_OF_STATS } from './helpers/media';
import { router, worker } from './helpers/sharedRouter';
import { canBind, closeSocket, freePort, udpSocket } from './helpers/sockets';

const { NotFoundError, UnsupportedError } = datasoup.errors;

let transport: types.WebRtcTransport;

beforeEach(async () => {
  transport = await create();
});

afterEach(() => transport.close());

/** A transport on the loopback address, with SCTP. */
function create(more: object = {}): Promise<types.WebRtcTransport> {
  return router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
    ...more,
  } as types.WebRtcTransportOptions);
}

async function warningsOf(call: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = [];
  datasoup.setLogEventListeners({ onwarn: (_namespace, log) => void warnings.push(log) });
  await call();
  datasoup.setLogEventListeners();
  return warnings;
}

const HEX_PAIRS = /^[0-9A-F]{2}(:[0-9A-F]{2})+$/;
const SCTP_DEFAULTS = {
  port: 5000,
  maxSendMessageSize: 262_144,
  maxReceiveMessageSize: 262_144,
  sendBufferSize: 2_000_000,
  perStreamSendQueueLimit: 2_000_000,
  maxReceiverWindowBufferSize: 1_048_576,
  isDataChannel: true,
  OS: 65_535,
  MIS: 65_535,
  maxMessageSize: 262_144,
};

describe('router.createWebRtcTransport()', () => {
  test('resolves with a WebRtcTransport in its initial state', () => {
    expect(transport.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(transport).toMatchObject({
      type: 'webrtc',
      closed: false,
      iceRole: 'controlled',
      iceState: 'new',
      dtlsState: 'new',
      sctpState: 'new',
    });
    expect(transport.iceSelectedTuple).toBeUndefined();
    expect(transport.dtlsRemoteCert).toBeUndefined();
    expect(transport.sctpNegotiatedCapabilities).toBeUndefined();
    expect(transport.appData).toEqual({});
    transport.appData = { a: 1 };
    expect(transport.appData).toEqual({ a: 1 });
    expect(transport).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    expect(transport.observer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
  });

  test('each transport has iceParameters of its own, of an ICE-Lite agent', async () => {
    expect(transport.iceParameters).toEqual({
      usernameFragment: expect.stringMatching(/^[0-9a-z]{32}$/),
      password: expect.stringMatching(/^[0-9a-z]{32}$/),
      iceLite: true,
    });
    const other = await create();
    expect(other.iceParameters.usernameFragment).not.toBe(transport.iceParameters.usernameFragment);
    expect(other.iceParameters.password).not.toBe(transport.iceParameters.password);
    other.close();
  });

  test('dtlsParameters have role auto and the worker’s fingerprint in each algorithm', async () => {
    const { role, fingerprints } = transport.dtlsParameters;
    expect(role).toBe('auto');
    expect(fingerprints.map(({ algorithm }) => algorithm)).toEqual([
      'sha-1',
      'sha-224',
      'sha-256',
      'sha-384',
      'sha-512',
    ]);
    expect(fingerprints.map(({ value }) => (value.length + 1) / 3)).toEqual([20, 28, 32, 48, 64]);
    for (const { value } of fingerprints) {
      expect(value).toMatch(HEX_PAIRS);
    }
    const other = await create();
    expect(other.dtlsParameters).toEqual(transport.dtlsParameters);
    other.close();
  });

  test('sctpParameters have the default values', () => {
    expect(transport.sctpParameters).toEqual(SCTP_DEFAULTS);
  });

  test('without enableSctp sctpParameters and sctpState are undefined', async () => {
    const other = await create({ enableSctp: false });
    expect(other.sctpParameters).toBeUndefined();
    expect(other.sctpState).toBeUndefined();
    other.close();
  });

  test('getters return copies', () => {
    transport.iceParameters.password = 'changed';
    transport.iceCandidates.pop();
    transport.dtlsParameters.fingerprints.pop();
    transport.dtlsParameters.fingerprints[0]!.value = 'changed';
    transport.sctpParameters!.port = 1;
    expect(transport.iceParameters.password).not.toBe('changed');
    expect(transport.iceCandidates).toHaveLength(1);
    expect(transport.dtlsParameters.fingerprints).toHaveLength(5);
    expect(transport.dtlsParameters.fingerprints[0]!.value).toMatch(HEX_PAIRS);
    expect(transport.sctpParameters!.port).toBe(5000);
  });

  test('does not change its argument', async () => {
    const options = {
      listenInfos: LOOPBACK.map((listenInfo) => Object.freeze({ ...listenInfo })),
      enableSctp: true,
      appData: Object.freeze({ a: 1 }),
    };
    Object.freeze(options.listenInfos);
    const other = await router.createWebRtcTransport(
      Object.freeze(options) as types.WebRtcTransportOptions,
    );
    expect(other.appData).toBe(options.appData);
    other.close();
  });

  test.each([
    [
      {
        maxSendMessageSize: 1000,
        maxReceiveMessageSize: 2000,
        sctpSendBufferSize: 3000,
        sctpPerStreamSendQueueLimit: 4000,
        sctpMaxReceiverWindowBufferSize: 5000,
      },
      {
        maxSendMessageSize: 1000,
        maxReceiveMessageSize: 2000,
        sendBufferSize: 3000,
        perStreamSendQueueLimit: 4000,
        maxReceiverWindowBufferSize: 67_536,
      },
    ],
    [
      { maxSctpMessageSize: 1234 },
      { maxSendMessageSize: 1234, maxReceiveMessageSize: 1234, maxMessageSize: 1234 },
    ],
    [{ maxSendMessageSize: null, sctpSendBufferSize: null, sctpPerStreamSendQueueLimit: null }, {}],
  ])('createWebRtcTransport(%j) has sctpParameters %j', async (options, expected) => {
    const other = await create(options);
    expect(other.sctpParameters).toMatchObject(expected);
    other.close();
  });

  test('createWebRtcTransport({ numSctpStreams }) resolves', async () => {
    const other = await create({ numSctpStreams: { OS: 1024, MIS: 1024 } });
    expect(other.sctpParameters).toMatchObject({ port: 5000, isDataChannel: true });
    other.close();
  });

  test.each(
    titled<object>([
      { initialAvailableOutgoingBitrate: 600_000 },
      { enableRtx: true, rtcpListenInfo: {} },
      { unknown: 1 },
      { webRtcServer: null, listenIps: null, appData: null, enableUdp: null, preferUdp: null },
      { iceConsentTimeout: 0 },
      { iceConsentTimeout: 10 },
      { iceConsentTimeout: 60 },
    ]),
  )('createWebRtcTransport(%s) resolves', async (_title, options) => {
    const other = await create(options);
    expect(other.closed).toBe(false);
    other.close();
  });

  test.each([1, 9, 61, 1000])(
    'createWebRtcTransport({ iceConsentTimeout: %d }) resolves and logs a warning',
    async (iceConsentTimeout) => {
      const warnings = await warningsOf(async () => (await create({ iceConsentTimeout })).close());
      expect(warnings.some((log) => log.includes('iceConsentTimeout'))).toBe(true);
    },
  );

  test.each(
    titled<unknown>([
      undefined,
      null,
      {},
      { listenInfos: null },
      { listenInfos: [] },
      ...NOT_ARRAYS.map((listenInfos) => ({ listenInfos })),
      { listenInfos: [{}] },
      { listenInfos: [null] },
      { listenInfos: [{ protocol: 'udp', ip: 'chicken' }] },
      { listenInfos: [{ protocol: 'http', ip: '127.0.0.1' }] },
      { listenIps: [] },
      { listenIps: [{}] },
      { listenIps: 'x' },
      { webRtcServer: {} },
      { webRtcServer: 'x' },
      ...notPorts(0).map((port) => ({
        listenInfos: [{ protocol: 'udp', ip: '127.0.0.1', port }],
      })),
      ...[...SCTP_SIZES, 'iceConsentTimeout'].flatMap((name) =>
        [-1, 1.5, NaN, Infinity, 2 ** 32, '1000', {}].map((value) => ({
          listenInfos: LOOPBACK,
          [name]: value,
        })),
      ),
      ...[5, 'x', { OS: -1, MIS: 1 }, { OS: 65_536, MIS: 1 }].map((numSctpStreams) => ({
        listenInfos: LOOPBACK,
        enableSctp: true,
        numSctpStreams,
      })),
      ...NOT_OBJECTS.map((appData) => ({ listenInfos: LOOPBACK, appData })),
    ]),
  )('createWebRtcTransport(%s) rejects with a TypeError', async (_title, options) => {
    const before = await router.dump();
    await expect(
      router.createWebRtcTransport(options as types.WebRtcTransportOptions),
    ).rejects.toThrow(TypeError);
    expect((await router.dump()).transportIds).toEqual(before.transportIds);
  });

  test('createWebRtcTransport() rejects with an Error that names the address and port in use, and leaves no port bound', async () => {
    const before = await router.dump();
    const taken = await udpSocket();
    const { port } = taken.address();
    const free = await freePort();
    const rejected = router.createWebRtcTransport({
      listenInfos: [
        { protocol: 'udp', ip: '127.0.0.1', port: free },
        { protocol: 'udp', ip: '127.0.0.1', port },
      ],
    });
    await expect(rejected).rejects.toThrow(Error);
    await expect(rejected).rejects.toThrow('127.0.0.1');
    await expect(rejected).rejects.toThrow(String(port));
    expect((await router.dump()).transportIds).toEqual(before.transportIds);
    expect(await canBind('127.0.0.1', free)).toBe(true);
    await closeSocket(taken);
    const other = await create({ listenInfos: [{ protocol: 'udp', ip: '127.0.0.1', port }] });
    expect(other.iceCandidates[0]!.port).toBe(port);
    other.close();
    await router.dump();
    expect(await canBind('127.0.0.1', port)).toBe(true);
  });

  test('webRtcServer takes precedence over listenIps and listenInfos, with one warning per process', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const { udpSockets } = await webRtcServer.dump();
    let other: types.WebRtcTransport | undefined;
    const warnings = await warningsOf(async () => {
      (await create({ webRtcServer })).close();
      other = await create({ webRtcServer, listenIps: ['127.0.0.1'] });
    });
    expect(warnings).toEqual([expect.stringContaining('webRtcServer')]);
    expect(other!.iceCandidates.map(({ port }) => port)).toEqual([udpSockets[0]!.port]);
    webRtcServer.close();
    expect(other!.closed).toBe(true);
  });

  test('listenIps take precedence over listenInfos, with one warning per process', async () => {
    let other: types.WebRtcTransport | undefined;
    const warnings = await warningsOf(async () => {
      (await create({ listenIps: ['127.0.0.1'] })).close();
      other = await create({ listenIps: [{ ip: '127.0.0.1', announcedIp: '9.9.9.1' }] });
    });
    expect(warnings).toEqual([expect.stringContaining('listenIps')]);
    expect(other!.iceCandidates.map(({ address }) => address)).toEqual(['9.9.9.1']);
    other!.close();
  });
});

describe('webRtcTransport.iceCandidates', () => {
  const FIRST = 1_076_302_079;

  function candidate(address: string, priority: number): object {
    return {
      foundation: 'udpcandidate',
      priority,
      ip: address,
      address,
      protocol: 'udp',
      port: expect.any(Number),
      type: 'host',
      tcpType: undefined,
    };
  }

  test.each([
    ['one', LOOPBACK, [candidate('127.0.0.1', FIRST)]],
    [
      'two, IPv4 and IPv6',
      [...LOOPBACK, { protocol: 'udp', ip: '::1' }],
      [candidate('127.0.0.1', FIRST), candidate('::1', FIRST - (100 << 8))],
    ],
    [
      'with announcedAddress',
      [{ protocol: 'udp', ip: '127.0.0.1', announcedAddress: '9.9.9.1' }],
      [candidate('9.9.9.1', FIRST)],
    ],
    [
      'with a name as announcedAddress',
      [{ protocol: 'udp', ip: '127.0.0.1', announcedAddress: 'sfu.example.org' }],
      [candidate('sfu.example.org', FIRST)],
    ],
    [
      'with the older announcedIp',
      [{ protocol: 'udp', ip: '127.0.0.1', announcedIp: '9.9.9.1' }],
      [candidate('9.9.9.1', FIRST)],
    ],
    [
      'with announcedAddress and exposeInternalIp',
      [
        { protocol: 'udp', ip: '127.0.0.1', announcedAddress: '9.9.9.1', exposeInternalIp: true },
        ...LOOPBACK,
      ],
      [
        candidate('9.9.9.1', FIRST),
        candidate('127.0.0.1', FIRST - 1000),
        candidate('127.0.0.1', FIRST - (100 << 8)),
      ],
    ],
    [
      'with exposeInternalIp alone',
      [{ protocol: 'udp', ip: '127.0.0.1', exposeInternalIp: true }],
      [candidate('127.0.0.1', FIRST)],
    ],
  ])('createWebRtcTransport({ listenInfos }): %s', async (_title, listenInfos, expected) => {
    const other = await create({ listenInfos });
    expect(other.iceCandidates).toEqual(expected);
    other.close();
  });

  test.each([
    ['strings', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['objects', [{ ip: '127.0.0.1', announcedIp: '9.9.9.1' }], ['9.9.9.1']],
    ['objects without announcedIp', [{ ip: '127.0.0.1' }], ['127.0.0.1']],
  ])('createWebRtcTransport({ listenIps }): %s', async (_title, listenIps, expected) => {
    const other = await create({ listenInfos: undefined, listenIps });
    expect(other.iceCandidates.map(({ address }) => address)).toEqual(expected);
    other.close();
  });

  test('createWebRtcTransport({ listenIps, port }) listens on that port', async () => {
    const port = await freePort();
    const other = await create({ listenInfos: undefined, listenIps: ['127.0.0.1'], port });
    expect(other.iceCandidates.map((made) => made.port)).toEqual([port]);
    expect(await canBind('127.0.0.1', port)).toBe(false);
    other.close();
  });

  test('listenInfos[].port is the port, and portRange takes precedence over it', async () => {
    const port = await freePort();
    const fixed = await create({ listenInfos: [{ ...LOOPBACK[0], port }] });
    expect(fixed.iceCandidates.map((made) => made.port)).toEqual([port]);
    fixed.close();
    await router.dump();
    const ranged = await create({
      listenInfos: [{ ...LOOPBACK[0], port: 1, portRange: { min: port, max: port } }],
    });
    expect(ranged.iceCandidates.map((made) => made.port)).toEqual([port]);
    ranged.close();
  });

  test('createWebRtcTransport({ listenIps, enableUdp: false }) rejects with a TypeError', async () => {
    const options = { listenInfos: undefined, listenIps: ['127.0.0.1'], enableUdp: false };
    await expect(create(options)).rejects.toThrow(TypeError);
  });

  test('close() frees the port', async () => {
    const { port } = transport.iceCandidates[0]!;
    expect(await canBind('127.0.0.1', port)).toBe(false);
    transport.close();
    await router.dump();
    expect(await canBind('127.0.0.1', port)).toBe(true);
  });
});

describe('webRtcTransport.connect()', () => {
  const fingerprints = SOME_FINGERPRINTS;
  const sha256 = fingerprints[0]!.value;

  test.each([
    ['auto', 'client'],
    ['client', 'server'],
    ['server', 'client'],
    [undefined, 'client'],
    [null, 'client'],
  ])(
    'connect({ dtlsParameters: { role: %s } }) sets dtlsParameters.role to %s',
    async (role, own) => {
      const recorder = new EventRecorder().watch({ transport });
      await expect(
        transport.connect({ dtlsParameters: { role, fingerprints } as types.DtlsParameters }),
      ).resolves.toBeUndefined();
      expect(transport).toMatchObject({ dtlsState: 'new', iceState: 'new', sctpState: 'new' });
      expect(transport.dtlsParameters.role).toBe(own);
      expect(recorder.take()).toEqual([]);
    },
  );

  test.each(['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512', 'SHA-1', 'Sha-256'])(
    'connect() accepts a %s fingerprint in lower case',
    async (algorithm) => {
      const own = transport.dtlsParameters.fingerprints.find(
        (fingerprint) => fingerprint.algorithm === algorithm.toLowerCase(),
      )!;
      const fingerprint = { algorithm, value: own.value.toLowerCase() };
      await expect(
        transport.connect({
          dtlsParameters: { fingerprints: [fingerprint] } as types.DtlsParameters,
        }),
      ).resolves.toBeUndefined();
    },
  );

  test.each(
    titled<unknown>([
      undefined,
      null,
      5,
      {},
      { dtlsParameters: null },
      { dtlsParameters: 5 },
      { dtlsParameters: {} },
      { dtlsParameters: { fingerprints: null } },
      { dtlsParameters: { fingerprints: 'x' } },
      { dtlsParameters: { fingerprints: [] } },
      { dtlsParameters: { fingerprints: [null] } },
      { dtlsParameters: { fingerprints: [{}] } },
      { dtlsParameters: { fingerprints: [{ algorithm: 'sha-256' }] } },
      { dtlsParameters: { fingerprints: [{ value: sha256 }] } },
      { dtlsParameters: { fingerprints: [{ algorithm: 'sha-999', value: sha256 }] } },
      { dtlsParameters: { fingerprints: [{ algorithm: 'sha-256', value: 5 }] } },
      {
        dtlsParameters: {
          fingerprints: [{ algorithm: 'sha-999', value: sha256 }, ...fingerprints],
        },
      },
      { dtlsParameters: { role: 'foo', fingerprints } },
      { dtlsParameters: { role: 5, fingerprints } },
    ]),
  )(
    'connect(%s) rejects with a TypeError, and a later connect() resolves',
    async (_title, given) => {
      await expect(
        transport.connect(given as Parameters<typeof transport.connect>[0]),
      ).rejects.toThrow(TypeError);
      expect(transport.dtlsParameters.role).toBe('auto');
      await expect(
        transport.connect({ dtlsParameters: { role: 'client', fingerprints } }),
      ).resolves.toBeUndefined();
    },
  );

  test('a second connect() rejects with an Error', async () => {
    await transport.connect({ dtlsParameters: { role: 'client', fingerprints } });
    await expect(
      transport.connect({ dtlsParameters: { role: 'server', fingerprints } }),
    ).rejects.toThrow('connect() already called');
    expect(transport.dtlsParameters.role).toBe('server');
  });

  test('two concurrent connect(): the first resolves, the second rejects', async () => {
    const settled = await Promise.allSettled([
      transport.connect({ dtlsParameters: { fingerprints } as types.DtlsParameters }),
      transport.connect({ dtlsParameters: { fingerprints } as types.DtlsParameters }),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  test('does not change its argument', async () => {
    const dtlsParameters = Object.freeze({
      role: 'client' as const,
      fingerprints: Object.freeze(fingerprints.map((given) => Object.freeze({ ...given }))),
    });
    await expect(
      transport.connect({ dtlsParameters } as unknown as Parameters<typeof transport.connect>[0]),
    ).resolves.toBeUndefined();
  });
});

describe('webRtcTransport.restartIce()', () => {
  test.each([
    ['before connect()', async () => {}],
    [
      'after connect()',
      () =>
        transport.connect({ dtlsParameters: { role: 'client', fingerprints: SOME_FINGERPRINTS } }),
    ],
  ])('%s resolves with new iceParameters', async (_title, prepare) => {
    await prepare();
    const before = transport.iceParameters;
    const recorder = new EventRecorder().watch({ transport });
    const iceParameters = await transport.restartIce();
    expect(iceParameters).toEqual({
      usernameFragment: expect.stringMatching(/^[0-9a-z]{32}$/),
      password: expect.stringMatching(/^[0-9a-z]{32}$/),
      iceLite: true,
    });
    expect(iceParameters.usernameFragment).not.toBe(before.usernameFragment);
    expect(iceParameters.password).not.toBe(before.password);
    expect(transport.iceParameters).toEqual(iceParameters);
    expect(transport.iceParameters).not.toBe(iceParameters);
    expect(transport).toMatchObject({ iceState: 'new', dtlsState: 'new' });
    expect(recorder.take()).toEqual([]);
  });
});

describe('webRtcTransport.dump() and getStats()', () => {
  test('dump() has mediasoup’s fields', async () => {
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 7 } });
    const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
    await expect(transport.dump()).resolves.toEqual({
      id: transport.id,
      ...MEDIA_OF_DUMP,
      dataProducerIds: [dataProducer.id],
      dataConsumerIds: [dataConsumer.id],
      maxSendMessageSize: 262_144,
      maxReceiveMessageSize: 262_144,
      sctpParameters: SCTP_DEFAULTS,
      sctpState: 'new',
      sctpNegotiatedCapabilities: {
        negotiatedMaxOutboundStreams: 0,
        negotiatedMaxInboundStreams: 0,
      },
      sctpListener: { streamIdTable: [{ key: 7, value: dataProducer.id }] },
      iceRole: 'controlled',
      iceParameters: transport.iceParameters,
      iceCandidates: transport.iceCandidates,
      iceState: 'new',
      dtlsParameters: transport.dtlsParameters,
      dtlsState: 'new',
    });
  });

  test('getStats() has mediasoup’s fields', async () => {
    await expect(transport.getStats()).resolves.toMatchObject([
      {
        type: 'webrtc-transport',
        transportId: transport.id,
        timestamp: expect.any(Number),
        sctpState: 'new',
        bytesReceived: 0,
        recvBitrate: 0,
        bytesSent: 0,
        sendBitrate: 0,
        ...MEDIA_OF_STATS,
        iceRole: 'controlled',
        iceState: 'new',
        dtlsState: 'new',
        dtlsRecordsDropped: 0,
      },
    ]);
  });
});

describe('webRtcTransport.setMaxIncomingBitrate(), setMaxOutgoingBitrate() and setMinOutgoingBitrate()', () => {
  test('set what getStats() shows', async () => {
    await transport.setMaxIncomingBitrate(1_000_000);
    await transport.setMaxOutgoingBitrate(2_000_000);
    await transport.setMinOutgoingBitrate(500_000);
    await expect(transport.getStats()).resolves.toMatchObject([
      {
        maxIncomingBitrate: 1_000_000,
        maxOutgoingBitrate: 2_000_000,
        minOutgoingBitrate: 500_000,
      },
    ]);
  });

  const setters = [
    'setMaxIncomingBitrate',
    'setMaxOutgoingBitrate',
    'setMinOutgoingBitrate',
  ] as const;

  for (const setter of setters) {
    test.each(titled<unknown>([undefined, null, '5', -1, NaN, {}]))(
      `${setter}(%s) rejects with a TypeError`,
      async (_title, bitrate) => {
        await expect(transport[setter](bitrate as number)).rejects.toThrow(TypeError);
      },
    );
  }

  test('a minimum outgoing bitrate above the maximum rejects with a TypeError', async () => {
    await transport.setMaxOutgoingBitrate(1_000_000);
    await expect(transport.setMinOutgoingBitrate(1_000_001)).rejects.toThrow(TypeError);
    await transport.setMinOutgoingBitrate(1_000_000);
    await expect(transport.setMaxOutgoingBitrate(999_999)).rejects.toThrow(TypeError);
  });
});

describe('webRtcTransport.enableTraceEvent()', () => {
  test.each(titled<unknown>([undefined, [], ['probation', 'bwe']]))(
    'enableTraceEvent(%s) resolves',
    async (_title, eventTypes) => {
      await expect(transport.enableTraceEvent(eventTypes as [])).resolves.toBeUndefined();
    },
  );

  test.each(titled<unknown>([...NOT_ARRAYS, [5]]))(
    'enableTraceEvent(%s) rejects with a TypeError',
    async (_title, eventTypes) => {
      await expect(transport.enableTraceEvent(eventTypes as [])).rejects.toThrow(TypeError);
    },
  );
});

describe('media', () => {
  const calls: Record<string, () => unknown> = {
    'produce()': () => transport.produce({} as never),
    'consume()': () => transport.consume({} as never),
  };

  test.each(Object.entries(calls))(
    'webRtcTransport.%s rejects with UnsupportedError',
    async (_title, call) => {
      await expect((async () => call())()).rejects.toThrow(UnsupportedError);
    },
  );
});

describe('without enableSctp', () => {
  test('produceData() and consumeData() reject with an Error', async () => {
    const plain = await create({ enableSctp: false });
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
    await expect(plain.produceData({ sctpStreamParameters: { streamId: 1 } })).rejects.toThrow(
      /SCTP not enabled/,
    );
    await expect(plain.consumeData({ dataProducerId: dataProducer.id })).rejects.toThrow(
      /SCTP not enabled/,
    );
    // The error about SCTP comes before any error about an option.
    await expect(plain.produceData(5 as any)).rejects.toThrow(/SCTP not enabled/);
    await expect(plain.consumeData({ appData: 5 } as any)).rejects.toThrow(/SCTP not enabled/);
    plain.close();
  });
});

describe('webRtcTransport.close()', () => {
  test('is synchronous and idempotent; the observer emits close once', async () => {
    const recorder = new EventRecorder().watch({ transport });
    expect(transport.close()).toBeUndefined();
    expect(transport.closed).toBe(true);
    transport.close();
    await router.dump();
    expect(recorder.take()).toEqual(closes('transport'));
  });

  test('webRtcTransport[Symbol.dispose]() closes', () => {
    transport[Symbol.dispose]();
    expect(transport.closed).toBe(true);
  });

  const calls: Record<string, () => Promise<unknown>> = {
    'dump()': () => transport.dump(),
    'getStats()': () => transport.getStats(),
    'connect()': () =>
      transport.connect({ dtlsParameters: { role: 'client', fingerprints: SOME_FINGERPRINTS } }),
    'restartIce()': () => transport.restartIce(),
    'setMaxIncomingBitrate(1)': () => transport.setMaxIncomingBitrate(1),
    'enableTraceEvent([])': () => transport.enableTraceEvent([]),
    'produceData()': () => transport.produceData({ sctpStreamParameters: { streamId: 1 } }),
    "consumeData({ dataProducerId: 'any' })": () =>
      transport.consumeData({ dataProducerId: 'any' }),
  };

  test.each(Object.entries(calls))(
    'after close(), %s rejects with NotFoundError',
    async (_title, call) => {
      transport.close();
      await expect(call()).rejects.toThrow(NotFoundError);
    },
  );
});
