import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { EventRecorder, ends } from './helpers/EventRecorder';
import { NOT_OBJECTS, NOT_PEERS, notPorts, titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { allOf, numbered, Tally } from './helpers/numbered';
import { canBind, closeSocket, freePort, udpSocket } from './helpers/sockets';
import { router, router2 } from './helpers/twoRouters';
import { nextEvent, until, untilState } from './helpers/wait';

const { NotFoundError } = datasoup.errors;

const LISTEN_INFO: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };

let directTransport: types.DirectTransport;

beforeEach(async () => {
  directTransport = await router.createDirectTransport();
});

function create(more: object = {}, on = router): Promise<types.PlainTransport> {
  return on.createPlainTransport({
    listenInfo: LISTEN_INFO,
    enableSctp: true,
    ...more,
  } as types.PlainTransportOptions);
}

/** Connects two transports to each other. */
async function connect(a: types.PlainTransport, b: types.PlainTransport): Promise<void> {
  await a.connect({ ip: b.tuple.localIp, port: b.tuple.localPort });
  await b.connect({ ip: a.tuple.localIp, port: a.tuple.localPort });
}

/** Creates a DataProducer on router2, whose messages go through `far` and `transport` to an Inbox on `router`. */
async function flow(
  transport: types.PlainTransport,
  far: types.PlainTransport,
  streamId = 0,
): Promise<{ source: types.DataProducer; dataConsumer: types.DataConsumer; inbox: Inbox }> {
  const source = await (await router2.createDirectTransport()).produceData();
  await far.consumeData({ dataProducerId: source.id });
  const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId } });
  const dataConsumer = await directTransport.consumeData({ dataProducerId: dataProducer.id });
  return { source, dataConsumer, inbox: new Inbox(dataConsumer) };
}

describe('router.createPlainTransport()', () => {
  test('resolves with a PlainTransport in its initial state', async () => {
    const transport = await create();
    expect(transport).toMatchObject({ type: 'plain', closed: false, sctpState: 'new' });
    expect(transport.tuple).toEqual({
      localIp: '127.0.0.1',
      localAddress: '127.0.0.1',
      localPort: expect.any(Number),
      remoteIp: undefined,
      remotePort: 0,
      protocol: 'udp',
    });
    expect(transport.rtcpTuple).toBeUndefined();
    expect(transport.srtpParameters).toBeUndefined();
    expect(transport.sctpNegotiatedCapabilities).toBeUndefined();
    expect(transport.sctpParameters).toMatchObject({ port: 5000, isDataChannel: false });
    transport.tuple.localPort = 1;
    expect(transport.tuple.localPort).not.toBe(1);
    expect(transport.appData).toEqual({});
  });

  test('router.observer emits newtransport(transport)', async () => {
    const recorder = new EventRecorder().watch({ router });
    await create();
    expect(recorder.take()).toEqual(['router.observer newtransport(PlainTransport)']);
  });

  test.each(
    titled<object>([
      { rtcpMux: false, rtcpListenInfo: LISTEN_INFO },
      { comedia: true },
      { enableSctp: false },
      { enableSrtp: false },
      { listenInfo: null, listenIp: '127.0.0.1' },
      { listenInfo: null, listenIp: { ip: '127.0.0.1', announcedIp: '9.9.9.1' } },
      { unknown: 1, appData: null },
    ]),
  )('createPlainTransport({ listenInfo, ...%s }) resolves', async (_title, options) => {
    const transport = await create(options);
    expect(transport.closed).toBe(false);
  });

  test('announcedAddress is shown as tuple.localAddress', async () => {
    const transport = await create({ listenInfo: { ...LISTEN_INFO, announcedAddress: '9.9.9.1' } });
    expect(transport.tuple).toMatchObject({ localIp: '9.9.9.1', localAddress: '9.9.9.1' });
  });

  test.each(
    titled<unknown>([
      undefined,
      null,
      {},
      { listenInfo: {} },
      { listenInfo: { protocol: 'udp' } },
      { listenInfo: { protocol: 'tcp', ip: '127.0.0.1' } },
      { listenInfo: { protocol: 'udp', ip: 'chicken' } },
      { listenInfo: 5 },
      { listenIp: 5 },
      { listenIp: {} },
      { listenIp: 'chicken' },
      { listenInfo: LISTEN_INFO, listenIp: '127.0.0.1' },
      { listenInfo: LISTEN_INFO, maxSendMessageSize: -1 },
      { listenInfo: LISTEN_INFO, sctpSendBufferSize: 'x' },
      ...NOT_OBJECTS.map((appData) => ({ listenInfo: LISTEN_INFO, appData })),
    ]),
  )('createPlainTransport(%s) rejects with a TypeError', async (_title, options) => {
    await expect(
      router.createPlainTransport(options as types.PlainTransportOptions),
    ).rejects.toThrow(TypeError);
  });

  test('createPlainTransport() rejects with an Error that names the address and port in use', async () => {
    const taken = await udpSocket();
    const { port } = taken.address();
    const rejected = create({ listenInfo: { ...LISTEN_INFO, port } });
    await expect(rejected).rejects.toThrow('127.0.0.1');
    await expect(rejected).rejects.toThrow(String(port));
    await closeSocket(taken);
    const transport = await create({ listenInfo: { ...LISTEN_INFO, port } });
    expect(transport.tuple.localPort).toBe(port);
    transport.close();
    await router.dump();
    expect(await canBind('127.0.0.1', port)).toBe(true);
  });
});

describe('plainTransport.connect()', () => {
  test('sets the remote side of the tuple, and rejects a second call', async () => {
    const transport = await create();
    const port = await freePort();
    await expect(transport.connect({ ip: '127.0.0.1', port })).resolves.toBeUndefined();
    expect(transport.tuple).toMatchObject({ remoteIp: '127.0.0.1', remotePort: port });
    await expect(transport.connect({ ip: '127.0.0.1', port })).rejects.toThrow(
      'connect() already called',
    );
  });

  test('rejects an address with a zone with an error that names the option', async () => {
    const transport = await create();
    await expect(transport.connect({ ip: 'fe80::1%lo', port: 5000 })).rejects.toThrow(
      /^ip must be an IPv4 or IPv6 address/,
    );
    await expect(create({ listenInfo: { protocol: 'udp', ip: '::1%lo' } })).rejects.toThrow(
      /^listenInfo\.ip must be an IPv4 or IPv6 address/,
    );
  });

  test.each(
    titled<unknown>([
      undefined,
      null,
      {},
      { ip: '127.0.0.1' },
      { port: 5000 },
      { ip: 'chicken', port: 5000 },
      { ip: 'fe80::1%lo', port: 5000 },
      ...NOT_PEERS.map((ip) => ({ ip, port: 5000 })),
      { ip: 5, port: 5000 },
      ...notPorts(1).map((port) => ({ ip: '127.0.0.1', port })),
    ]),
  )('connect(%s) rejects with a TypeError', async (_title, params) => {
    const transport = await create();
    await expect(transport.connect(params as object)).rejects.toThrow(TypeError);
    expect(transport.tuple.remoteIp).toBeUndefined();
  });

  test('resolves with comedia, and has no effect', async () => {
    const transport = await create({ comedia: true });
    await expect(transport.connect({ ip: '127.0.0.1', port: 5000 })).resolves.toBeUndefined();
    await expect(transport.connect()).resolves.toBeUndefined();
    expect(transport.tuple.remoteIp).toBeUndefined();
    expect(transport.tuple.remotePort).toBe(0);
  });
});

describe('two PlainTransports', () => {
  test('open no association before there is a DataProducer or DataConsumer', async () => {
    const plain = await create();
    const plain2 = await create({}, router2);
    const recorder = new EventRecorder().watch({ plain, plain2 });
    await connect(plain, plain2);
    expect([plain.sctpState, plain2.sctpState]).toEqual(['new', 'new']);
    expect(recorder.take()).toEqual([]);
    await plain2.produceData({ sctpStreamParameters: { streamId: 0 } });
    await untilState(plain, 'sctpState', 'connected');
    await untilState(plain2, 'sctpState', 'connected');
    expect(plain.sctpNegotiatedCapabilities).toEqual({
      negotiatedMaxOutboundStreams: 65_535,
      negotiatedMaxInboundStreams: 65_535,
    });
    const lines = recorder.take();
    for (const name of ['plain', 'plain2']) {
      const states = lines.filter((line) => line.startsWith(`${name} `));
      expect(new Set(states)).toEqual(
        new Set([`${name} sctpstatechange(connecting)`, `${name} sctpstatechange(connected)`]),
      );
      expect(states.at(-1)).toBe(`${name} sctpstatechange(connected)`);
    }
  });

  test('carry empty messages, any PPID and 262,144 bytes', async () => {
    const plain = await create();
    const far = await create({}, router2);
    await connect(plain, far);
    const { source, inbox } = await flow(plain, far);
    source.send('text');
    source.send(Buffer.from('bytes'));
    source.send('');
    source.send(Buffer.alloc(0));
    source.send('odd', 99);
    source.send(Buffer.alloc(262_144, 7));
    await inbox.count(6);
    expect(inbox.messages.slice(0, 5)).toEqual([
      { text: 'text', ppid: 51 },
      { text: 'bytes', ppid: 53 },
      { text: ' ', ppid: 56 },
      { text: '\0', ppid: 57 },
      { text: 'odd', ppid: 99 },
    ]);
    expect(inbox.buffers[5]!.equals(Buffer.alloc(262_144, 7))).toBe(true);
  });

  test('deliver 1,000 messages of 100 B and 20 of 200 KB in order', async () => {
    const plain = await create();
    const far = await create(
      { sctpSendBufferSize: 64_000_000, sctpPerStreamSendQueueLimit: 64_000_000 },
      router2,
    );
    await connect(plain, far);
    const { source, dataConsumer } = await flow(plain, far);
    const tally = new Tally();
    dataConsumer.on('message', (message) => tally.add(message));
    for (let number = 0; number < 1_020; number++) {
      source.send(numbered(number, number < 1_000 ? 100 : 200_000));
    }
    await until(dataConsumer, 'message', () => tally.count === 1_020);
    expect(tally.summary).toEqual({ ...allOf(1_020, 0), bytes: 100_000 + 4_000_000 });
  });

  test('connect over IPv6', async () => {
    const listenInfo = { protocol: 'udp', ip: '::1' };
    const plain = await create({ listenInfo });
    const far = await create({ listenInfo }, router2);
    await connect(plain, far);
    const { source, inbox } = await flow(plain, far);
    source.send('six');
    expect(await inbox.count(1)).toEqual([{ text: 'six', ppid: 51 }]);
    expect(plain.tuple).toMatchObject({ localIp: '::1', remoteIp: '::1' });
  });

  test('with comedia, the first peer that opens a valid association becomes the remote side', async () => {
    const plain = await create({ comedia: true });
    const far = await create({}, router2);
    const recorder = new EventRecorder().watch({ plain });
    const stranger = await udpSocket();
    stranger.send('garbage', plain.tuple.localPort, '127.0.0.1');
    await far.connect({ ip: '127.0.0.1', port: plain.tuple.localPort });
    const { source, inbox } = await flow(plain, far);
    source.send('found');
    await inbox.count(1);
    expect(plain.tuple).toMatchObject({
      remoteIp: '127.0.0.1',
      remotePort: far.tuple.localPort,
    });
    const [first, second] = recorder.take().filter((line) => !line.includes('newdata'));
    expect(first).toMatch(/^plain tuple\(/);
    expect(second).toMatch(/^plain\.observer tuple\(/);
    await closeSocket(stranger);
  });

  test('drop datagrams of a source that is not the connected one, without an answer', async () => {
    const plain = await create();
    const far = await create({}, router2);
    await connect(plain, far);
    const { source, inbox } = await flow(plain, far);
    await untilState(plain, 'sctpState', 'connected');
    const stranger = await udpSocket();
    const answers: Buffer[] = [];
    stranger.on('message', (message) => answers.push(message));
    // The datagrams are an INIT and an ABORT with valid checksums, and 1,200 bytes that are no SCTP packet.
    for (const datagram of [
      Buffer.from('138813880000000048544bd50100001400000001000200000001000100000001', 'hex'),
      Buffer.from('13881388000000002dd7d56906000004', 'hex'),
      Buffer.alloc(1200, 1),
    ]) {
      await new Promise<void>((resolve) => {
        stranger.send(datagram, plain.tuple.localPort, '127.0.0.1', () => resolve());
      });
    }
    source.send('still here');
    expect(await inbox.count(1)).toEqual([{ text: 'still here', ppid: 51 }]);
    expect(answers).toEqual([]);
    await expect(plain.getStats()).resolves.toMatchObject([{ datagramsDropped: 3 }]);
    expect(plain.sctpState).toBe('connected');
    await closeSocket(stranger);
  });

  test('close() of one sets sctpState of the other to closed, which stays open', async () => {
    const plain = await create();
    const far = await create({}, router2);
    await connect(plain, far);
    await flow(plain, far);
    await untilState(plain, 'sctpState', 'connected');
    await untilState(far, 'sctpState', 'connected');
    const recorder = new EventRecorder().watch({ plain });
    far.close();
    await nextEvent(plain, 'sctpstatechange');
    await router.dump();
    expect(plain).toMatchObject({ sctpState: 'closed', closed: false });
    const error = {
      code: 'peer-closed',
      message: 'the peer aborted the association, cause: user-initiated',
    } as const;
    expect(plain.sctpError).toEqual(error);
    expect(recorder.take()).toEqual(ends('plain', 'sctpstatechange', 'closed', error));
  });
});

describe('plainTransport.dump() and getStats()', () => {
  test('have mediasoup’s fields', async () => {
    const transport = await create();
    await expect(transport.dump()).resolves.toMatchObject({
      id: transport.id,
      rtcpMux: true,
      comedia: false,
      tuple: transport.tuple,
      sctpState: 'new',
      sctpListener: { streamIdTable: [] },
    });
    await expect(transport.getStats()).resolves.toMatchObject([
      {
        type: 'plain-rtp-transport',
        transportId: transport.id,
        rtcpMux: true,
        comedia: false,
        tuple: transport.tuple,
        sctpState: 'new',
        bytesReceived: 0,
        bytesSent: 0,
      },
    ]);
  });
});

describe('plainTransport.close()', () => {
  const calls: Record<string, (transport: types.PlainTransport) => Promise<unknown>> = {
    'connect()': (transport) => transport.connect({ ip: '127.0.0.1', port: 5000 }),
    'dump()': (transport) => transport.dump(),
    'getStats()': (transport) => transport.getStats(),
    'produceData()': (transport) =>
      transport.produceData({ sctpStreamParameters: { streamId: 0 } }),
  };

  test.each(Object.entries(calls))(
    'after close(), %s rejects with NotFoundError',
    async (_title, call) => {
      const transport = await create();
      transport.close();
      await expect(call(transport)).rejects.toThrow(NotFoundError);
    },
  );
});
