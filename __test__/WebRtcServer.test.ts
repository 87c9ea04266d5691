import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { LOOPBACK } from './helpers/arrangement';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { NOT_ARRAYS, NOT_OBJECTS, NOT_STRINGS, notPorts, titled } from './helpers/arguments';
import { canBind, closeSocket, freePort, udpSocket } from './helpers/sockets';

const { NotFoundError, WorkerClosedError } = datasoup.errors;

let worker: types.Worker;

beforeEach(async () => {
  worker = await datasoup.createWorker();
});

afterEach(() => worker.close());

/** The port of the server's first UDP socket. */
async function portOf(webRtcServer: types.WebRtcServer): Promise<number> {
  const { udpSockets } = await webRtcServer.dump();
  return udpSockets[0]?.port ?? -1;
}

function info(more: object = {}): types.TransportListenInfo[] {
  return [{ protocol: 'udp', ip: '127.0.0.1', ...more } as types.TransportListenInfo];
}

describe('worker.createWebRtcServer()', () => {
  test('resolves with a WebRtcServer after worker.observer has emitted newwebrtcserver', async () => {
    const recorder = new EventRecorder().watch({ worker });
    const webRtcServer = await worker.createWebRtcServer({
      listenInfos: LOOPBACK,
      appData: { a: 1 } as types.AppData,
    });
    recorder.note('(resolved)');
    expect(recorder.take()).toEqual([
      'worker.observer newwebrtcserver(WebRtcServer)',
      '(resolved)',
    ]);
    expect(webRtcServer.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(webRtcServer.closed).toBe(false);
    expect(webRtcServer.appData).toEqual({ a: 1 });
    webRtcServer.appData = { b: 2 };
    expect(webRtcServer.appData).toEqual({ b: 2 });
  });

  test('does not change its argument', async () => {
    const options = {
      listenInfos: [
        Object.freeze({
          protocol: 'udp' as const,
          ip: '127.0.0.1',
          flags: Object.freeze({ udpReusePort: false }),
          portRange: Object.freeze({ min: 30_000, max: 39_999 }),
        }),
      ],
    };
    Object.freeze(options.listenInfos);
    const before = JSON.stringify(options);
    await worker.createWebRtcServer(Object.freeze(options));
    expect(JSON.stringify(options)).toBe(before);
  });

  test.each(
    titled<unknown>([
      undefined,
      null,
      {},
      { listenInfos: null },
      { listenInfos: [] },
      ...NOT_ARRAYS.map((listenInfos) => ({ listenInfos })),
      { listenInfos: [null] },
      { listenInfos: [5] },
      { listenInfos: [{}] },
      { listenInfos: [{ protocol: 'udp' }] },
      { listenInfos: [{ ip: '127.0.0.1', protocol: 'sctp' }] },
      ...NOT_STRINGS.filter((ip) => typeof ip !== 'symbol').map((ip) => ({
        listenInfos: info({ ip }),
      })),
      { listenInfos: info({ ip: 'chicken' }) },
      { listenInfos: info({ ip: '127.0.0.256' }) },
      ...notPorts(0).map((port) => ({ listenInfos: info({ port }) })),
      ...[
        5,
        'x',
        {},
        { min: 1 },
        { max: 1 },
        { min: 20_001, max: 20_000 },
        { min: -1, max: 5 },
      ].map((portRange) => ({ listenInfos: info({ portRange }) })),
      { listenInfos: info({ portRange: { min: 20_000, max: 65_536 } }) },
      { listenInfos: info({ announcedAddress: 5 }) },
      { listenInfos: info({ flags: 5 }) },
      ...[-1, 1.5, NaN, '1'].map((size) => ({ listenInfos: info({ sendBufferSize: size }) })),
      ...[-1, 1.5, NaN, '1'].map((size) => ({ listenInfos: info({ recvBufferSize: size }) })),
      ...NOT_OBJECTS.map((appData) => ({ listenInfos: LOOPBACK, appData })),
    ]),
  )('createWebRtcServer(%s) rejects with a TypeError', async (_title, options) => {
    await expect(worker.createWebRtcServer(options as types.WebRtcServerOptions)).rejects.toThrow(
      TypeError,
    );
    await expect(worker.dump()).resolves.toMatchObject({ webRtcServerIds: [] });
  });

  test.each(
    titled<object>([
      { port: 0 },
      { port: null, portRange: null, flags: null, announcedAddress: null },
      { announcedAddress: 'example.org' },
      { announcedIp: '9.9.9.1' },
      { exposeInternalIp: true, announcedAddress: '9.9.9.1' },
      { flags: { ipv6Only: false, udpReusePort: false } },
      { sendBufferSize: 100_000, recvBufferSize: 100_000 },
      { unknown: 1 },
    ]),
  )('createWebRtcServer({ listenInfos: [%s] }) resolves', async (_title, more) => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: info(more) });
    await expect(webRtcServer.dump()).resolves.toMatchObject({
      udpSockets: [{ ip: '127.0.0.1', port: expect.any(Number) }],
    });
  });

  test('binds { port }', async () => {
    const port = await freePort();
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: info({ port }) });
    expect(await portOf(webRtcServer)).toBe(port);
    expect(await canBind('127.0.0.1', port)).toBe(false);
  });

  test('binds a port of { portRange }, which takes precedence over { port }', async () => {
    const port = await freePort();
    const portRange = { min: port, max: port };
    const webRtcServer = await worker.createWebRtcServer({
      listenInfos: info({ port: port === 40_000 ? 40_001 : 40_000, portRange }),
    });
    expect(await portOf(webRtcServer)).toBe(port);
  });

  test('rejects with an Error if no port of { portRange } is free', async () => {
    const port = await freePort();
    const listenInfos = info({ portRange: { min: port, max: port } });
    await worker.createWebRtcServer({ listenInfos });
    await expect(worker.createWebRtcServer({ listenInfos })).rejects.toThrow(Error);
  });

  test('a range from 0 begins at port 1, of portRange and of the Worker', async () => {
    const ranged = await datasoup.createWorker({ rtcMinPort: 0, rtcMaxPort: 1 });
    const portRange = { min: 0, max: 1 };
    // The system takes port 0 for any port. Without the right to bind port 1, there is none in the range.
    for (const [on, listenInfos] of Array(8)
      .fill([
        [worker, info({ portRange })],
        [ranged, LOOPBACK],
      ])
      .flat() as [types.Worker, types.TransportListenInfo[]][]) {
      const created = await on.createWebRtcServer({ listenInfos }).catch((error) => error);
      if (created instanceof Error) {
        expect(created.message).toMatch(/^cannot bind udp 127\.0\.0\.1 to any port from 1 to 1: /);
      } else {
        expect(await portOf(created)).toBe(1);
        created.close();
      }
    }
    ranged.close();
    const byDefault = await datasoup.createWorker({ rtcMinPort: 0, rtcMaxPort: 0 });
    const port = await portOf(await byDefault.createWebRtcServer({ listenInfos: LOOPBACK }));
    expect(port >= 10_000 && port <= 59_999).toBe(true);
    byDefault.close();
  });

  test('finds the one free port of a range among ports of its own and of other processes', async () => {
    const range = { min: 41_000, max: 41_099 };
    const listenInfos = info({ portRange: range });
    const others = await Promise.all(
      [41_010, 41_020].map((port) => udpSocket('127.0.0.1', port).catch(() => undefined)),
    );
    const servers: types.WebRtcServer[] = [];
    const exhausted = `cannot bind udp 127.0.0.1 to any port from 41000 to 41099: all of them are in use`;
    for (;;) {
      const created = await worker.createWebRtcServer({ listenInfos }).catch((error) => error);
      if (created instanceof Error) {
        expect(created.message).toBe(exhausted);
        break;
      }
      servers.push(created);
    }
    expect(servers.length).toBeGreaterThan(80);
    const free = await portOf(servers[40]!);
    servers[40]!.close();
    await worker.dump();
    expect(await portOf(await worker.createWebRtcServer({ listenInfos }))).toBe(free);
    await expect(worker.createWebRtcServer({ listenInfos })).rejects.toThrow(exhausted);
    // What others hold is found once it is free.
    for (const other of others.flatMap((socket) => socket ?? [])) {
      const { port } = other.address();
      await closeSocket(other);
      expect(await portOf(await worker.createWebRtcServer({ listenInfos }))).toBe(port);
    }
  });

  test('flags.udpReusePort does not make two sockets share a port of a range before it is full', async () => {
    const listenInfos = info({
      portRange: { min: 41_200, max: 41_203 },
      flags: { udpReusePort: true },
    });
    const ports: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      ports.push(await portOf(await worker.createWebRtcServer({ listenInfos })));
    }
    expect(new Set(ports.slice(0, 4)).size).toBe(4);
    expect(new Set(ports).size).toBe(4);
  });

  test('without port and portRange binds a port of the worker’s range', async () => {
    const ranged = await datasoup.createWorker({ rtcMinPort: 31_000, rtcMaxPort: 31_999 });
    for (let count = 0; count < 5; count++) {
      const port = await portOf(await ranged.createWebRtcServer({ listenInfos: LOOPBACK }));
      expect(port).toBeGreaterThanOrEqual(31_000);
      expect(port).toBeLessThanOrEqual(31_999);
    }
    ranged.close();
  });

  test('binds one socket per listenInfo, IPv4 and IPv6', async () => {
    const webRtcServer = await worker.createWebRtcServer({
      listenInfos: [...LOOPBACK, { protocol: 'udp', ip: '::1' }, ...LOOPBACK],
    });
    const { udpSockets } = await webRtcServer.dump();
    expect(udpSockets.map(({ ip }) => ip)).toEqual(['127.0.0.1', '::1', '127.0.0.1']);
    expect(udpSockets[0]!.port).not.toBe(udpSockets[2]!.port);
  });

  test('flags.udpReusePort allows two servers on one port', async () => {
    const port = await freePort();
    const listenInfos = info({ port, flags: { udpReusePort: true } });
    const servers = [
      await worker.createWebRtcServer({ listenInfos }),
      await worker.createWebRtcServer({ listenInfos }),
    ];
    await expect(Promise.all(servers.map(portOf))).resolves.toEqual([port, port]);
  });

  test('flags.ipv6Only decides whether a socket on [::] takes the port on 0.0.0.0 as well', async () => {
    const port = await freePort('::');
    for (const ipv6Only of [true, false]) {
      const webRtcServer = await worker.createWebRtcServer({
        listenInfos: info({ ip: '::', port, flags: { ipv6Only } }),
      });
      expect(await canBind('0.0.0.0', port)).toBe(ipv6Only);
      webRtcServer.close();
      await worker.dump();
    }
  });

  test('rejects with an Error that names the address and port in use, and leaves no port bound', async () => {
    const taken = await udpSocket();
    const { port } = taken.address();
    const free = await freePort();
    const rejected = worker.createWebRtcServer({
      listenInfos: [...info({ port: free }), ...info({ port })],
    });
    await expect(rejected).rejects.toThrow(Error);
    await expect(rejected).rejects.toThrow('127.0.0.1');
    await expect(rejected).rejects.toThrow(String(port));
    await expect(worker.dump()).resolves.toMatchObject({ webRtcServerIds: [] });
    expect(await canBind('127.0.0.1', free)).toBe(true);
    await closeSocket(taken);
    expect(await canBind('127.0.0.1', port)).toBe(true);
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: info({ port }) });
    expect(await portOf(webRtcServer)).toBe(port);
  });

  test('rejects with an Error that names an address that the host does not have', async () => {
    const rejected = worker.createWebRtcServer({ listenInfos: info({ ip: '198.51.100.1' }) });
    await expect(rejected).rejects.toThrow(Error);
    await expect(rejected).rejects.toThrow('198.51.100.1');
  });
});

describe('webRtcServer.dump()', () => {
  test('lists its sockets, its transports and their username fragments', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    await expect(webRtcServer.dump()).resolves.toEqual({
      id: webRtcServer.id,
      udpSockets: [{ ip: '127.0.0.1', port: expect.any(Number) }],
      tcpServers: [],
      webRtcTransportIds: [],
      localIceUsernameFragments: [],
      datagramsDropped: 0,
    });
    const router = await worker.createRouter();
    const transport = await router.createWebRtcTransport({ webRtcServer });
    await expect(webRtcServer.dump()).resolves.toMatchObject({
      webRtcTransportIds: [transport.id],
      localIceUsernameFragments: [
        {
          localIceUsernameFragment: transport.iceParameters.usernameFragment,
          webRtcTransportId: transport.id,
        },
      ],
    });
    transport.close();
    await expect(webRtcServer.dump()).resolves.toMatchObject({
      webRtcTransportIds: [],
      localIceUsernameFragments: [],
    });
  });

  test('rejects with NotFoundError after webRtcServer.close()', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    webRtcServer.close();
    await expect(webRtcServer.dump()).rejects.toThrow(NotFoundError);
  });

  test('rejects with WorkerClosedError after worker.close()', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    worker.close();
    await expect(webRtcServer.dump()).rejects.toThrow(WorkerClosedError);
  });
});

describe('a transport of a WebRtcServer', () => {
  test('has one candidate per socket of the server', async () => {
    const webRtcServer = await worker.createWebRtcServer({
      listenInfos: [...info({ announcedAddress: '9.9.9.1' }), { protocol: 'udp', ip: '::1' }],
    });
    const { udpSockets } = await webRtcServer.dump();
    const router = await worker.createRouter();
    const transport = await router.createWebRtcTransport({ webRtcServer });
    expect(transport.iceCandidates).toEqual([
      {
        foundation: 'udpcandidate',
        priority: 1_076_302_079,
        ip: '9.9.9.1',
        address: '9.9.9.1',
        protocol: 'udp',
        port: udpSockets[0]?.port,
        type: 'host',
        tcpType: undefined,
      },
      {
        foundation: 'udpcandidate',
        priority: 1_076_302_079 - (100 << 8),
        ip: '::1',
        address: '::1',
        protocol: 'udp',
        port: udpSockets[1]?.port,
        type: 'host',
        tcpType: undefined,
      },
    ]);
  });

  test('preferUdp adds 1000 to the local preference of the UDP candidates', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const router = await worker.createRouter();
    const transport = await router.createWebRtcTransport({ webRtcServer, preferUdp: true });
    expect(transport.iceCandidates.map(({ priority }) => priority)).toEqual([
      1_076_302_079 + (1000 << 8),
    ]);
  });

  test('webRtcServer.observer emits webrtctransporthandled and webrtctransportunhandled', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const router = await worker.createRouter();
    const recorder = new EventRecorder().watch({ router, webRtcServer });
    const transport = await router.createWebRtcTransport({ webRtcServer });
    recorder.note('(resolved)');
    recorder.watch({ transport });
    transport.close();
    expect(recorder.take()).toEqual([
      'router.observer newtransport(WebRtcTransport)',
      'webRtcServer.observer webrtctransporthandled(WebRtcTransport)',
      '(resolved)',
      'webRtcServer.observer webrtctransportunhandled(transport)',
      ...closes('transport'),
    ]);
  });

  test.each<[string, string[]]>([
    ['webRtcServer', [...closes('transport', 'listenserverclose'), ...closes('webRtcServer')]],
    ['transport', closes('transport')],
    ['router', [...closes('transport', 'routerclose'), ...closes('router')]],
  ])(
    '%s.close() in a newtransport listener: the server’s observer emits no webrtctransporthandled or webrtctransportunhandled',
    async (name, lines) => {
      const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
      const router = await worker.createRouter();
      const recorder = new EventRecorder().watch({ router, webRtcServer });
      router.observer.on('newtransport', (transport) => {
        recorder.watch({ transport });
        recorder.take();
        const objects: Record<string, { close(): void }> = { webRtcServer, transport, router };
        objects[name]!.close();
        expect(transport.closed).toBe(true);
      });
      const transport = await router.createWebRtcTransport({ webRtcServer });
      expect(transport.closed).toBe(true);
      expect(recorder.take()).toEqual(lines);
    },
  );

  test('createWebRtcTransport({ webRtcServer }) with a closed server rejects with an Error', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const router = await worker.createRouter();
    webRtcServer.close();
    await expect(router.createWebRtcTransport({ webRtcServer })).rejects.toThrow(Error);
    await expect(router.dump()).resolves.toMatchObject({ transportIds: [] });
  });

  test('createWebRtcTransport({ webRtcServer }) with anything but a WebRtcServer rejects with a TypeError', async () => {
    const server = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const router = await worker.createRouter();
    for (const webRtcServer of [{}, Object.create(server), new Proxy(server, {}), router, worker]) {
      await expect(router.createWebRtcTransport({ webRtcServer } as any)).rejects.toThrow(
        /^webRtcServer must be a WebRtcServer/,
      );
    }
  });

  test('createWebRtcTransport({ webRtcServer }) with another worker’s server rejects with an Error', async () => {
    const other = await datasoup.createWorker();
    const webRtcServer = await other.createWebRtcServer({ listenInfos: LOOPBACK });
    const router = await worker.createRouter();
    await expect(router.createWebRtcTransport({ webRtcServer })).rejects.toThrow(Error);
    await expect(webRtcServer.dump()).resolves.toMatchObject({ webRtcTransportIds: [] });
    other.close();
  });
});

describe('webRtcServer.close()', () => {
  test('is synchronous and idempotent, and frees the port', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const port = await portOf(webRtcServer);
    const recorder = new EventRecorder().watch({ worker, webRtcServer });
    expect(webRtcServer.close()).toBeUndefined();
    expect(webRtcServer.closed).toBe(true);
    webRtcServer.close();
    expect(recorder.take()).toEqual(closes('webRtcServer'));
    await expect(worker.dump()).resolves.toMatchObject({ webRtcServerIds: [] });
    expect(await canBind('127.0.0.1', port)).toBe(true);
    expect(recorder.take()).toEqual([]);
  });

  test('webRtcServer[Symbol.dispose]() closes', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    webRtcServer[Symbol.dispose]();
    expect(webRtcServer.closed).toBe(true);
  });

  test('while createWebRtcTransport() is pending leaves no open transport', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const router = await worker.createRouter();
    const pending = router.createWebRtcTransport({ webRtcServer });
    webRtcServer.close();
    const closed = await pending.then(
      (transport) => transport.closed,
      () => true,
    );
    expect(closed).toBe(true);
    await expect(router.dump()).resolves.toMatchObject({ transportIds: [] });
  });
});
