import type * as dgram from 'node:dgram';
import { once } from 'node:events';
import os from 'node:os';
import type { types } from '..';
import './helpers/closeWorkers';
import { titled } from './helpers/arguments';
import { LOOPBACK } from './helpers/arrangement';
import { router, worker } from './helpers/router';
import { closeSocket, freePort, udpSocket } from './helpers/sockets';
import { bindingRequest, SUCCESS } from './helpers/stun';
import { until, untilState, within } from './helpers/wait';

/** Hosts with several addresses: which of them answers, and which are announced. Loopback has many. */

const EVERYWHERE: types.TransportListenInfo = { protocol: 'udp', ip: '0.0.0.0' };

const sockets: dgram.Socket[] = [];

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(sockets.splice(0).map(closeSocket));
});

/** A client's socket that takes datagrams only of the address that it asks. */
async function client(ip: string, port: number): Promise<dgram.Socket> {
  const socket = await udpSocket(ip.includes(':') ? '::1' : '127.0.0.1');
  sockets.push(socket);
  socket.connect(port, ip);
  await once(socket, 'connect');
  return socket;
}

/** Sends a valid request to `ip`, and takes the answer. */
async function check(transport: types.WebRtcTransport, ip: string): Promise<void> {
  const { usernameFragment, password } = transport.iceParameters;
  const socket = await client(ip, transport.iceCandidates[0]!.port);
  const answered = once(socket, 'message');
  socket.send(bindingRequest(`${usernameFragment}:client`, password));
  const [answer] = await within(answered, `an answer from ${ip}`);
  expect((answer as Buffer).readUInt16BE(0)).toBe(SUCCESS);
}

describe.each([
  ['0.0.0.0', ['127.0.0.1', '127.0.0.2', '127.0.0.3']],
  ['::', ['::1', '127.0.0.2']],
])('on %s', (ip, asked) => {
  const listenInfos = [{ ...EVERYWHERE, ip }];

  test('a WebRtcTransport answers from each address that a client asks, and shows it', async () => {
    const transport = await router.createWebRtcTransport({ listenInfos });
    for (const address of asked) {
      await check(transport, address);
      const shown = (): unknown => transport.iceSelectedTuple?.localAddress;
      await until(transport, 'iceselectedtuplechange', () => shown() === address);
      const [stats] = await transport.getStats();
      expect(stats!.iceSelectedTuple).toEqual(transport.iceSelectedTuple);
      const dump = await transport.dump();
      expect(dump.iceSelectedTuple).toEqual(transport.iceSelectedTuple);
    }
  });

  test('a WebRtcServer answers from each address that a client asks', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos });
    for (const address of asked) {
      await check(await router.createWebRtcTransport({ webRtcServer }), address);
    }
  });
});

test('with announcedAddress, the tuple shows that one', async () => {
  const listenInfos = [{ ...EVERYWHERE, announcedAddress: '127.0.0.2' }];
  const transport = await router.createWebRtcTransport({ listenInfos });
  await check(transport, '127.0.0.3');
  await untilState(transport, 'iceState', 'completed');
  expect(transport.iceSelectedTuple?.localAddress).toBe('127.0.0.2');
});

describe('a peer that knows only 127.0.0.2 of 0.0.0.0 connects', () => {
  const here = { ...EVERYWHERE };
  const there: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };

  /** Waits until both are connected, and returns the tuple of the first. */
  async function connected(
    near: types.PlainTransport | types.PipeTransport,
    far: types.PlainTransport | types.PipeTransport,
  ): Promise<types.TransportTuple> {
    const dataProducer = await far.produceData({ sctpStreamParameters: { streamId: 1 } });
    expect(dataProducer.closed).toBe(false);
    await untilState(near, 'sctpState', 'connected');
    await untilState(far, 'sctpState', 'connected');
    const dump = await near.dump();
    expect(dump.tuple).toEqual(near.tuple);
    const [stats] = await near.getStats();
    expect(stats!.tuple).toEqual(near.tuple);
    return near.tuple;
  }

  test.each([[false], [true]])('to a PlainTransport, comedia: %s', async (comedia) => {
    const options = { enableSctp: true };
    const near = await router.createPlainTransport({ listenInfo: here, comedia, ...options });
    const far = await router.createPlainTransport({ listenInfo: there, ...options });
    await far.connect({ ip: '127.0.0.2', port: near.tuple.localPort });
    if (!comedia) {
      await near.connect({ ip: '127.0.0.1', port: far.tuple.localPort });
    }
    expect(await connected(near, far)).toMatchObject({
      localAddress: '127.0.0.2',
      localIp: '127.0.0.2',
      remoteIp: '127.0.0.1',
      remotePort: far.tuple.localPort,
    });
  });

  test('to a PipeTransport', async () => {
    const near = await router.createPipeTransport({ listenInfo: here, enableSctp: true });
    const far = await router.createPipeTransport({ listenInfo: there, enableSctp: true });
    await far.connect({ ip: '127.0.0.2', port: near.tuple.localPort });
    await near.connect({ ip: '127.0.0.1', port: far.tuple.localPort });
    expect(await connected(near, far)).toMatchObject({ localAddress: '127.0.0.2' });
  });
});

/** The addresses of the candidates of a transport that listens so. */
async function candidates(...listenInfos: types.TransportListenInfo[]): Promise<string[]> {
  const transport = await router.createWebRtcTransport({ listenInfos });
  return transport.iceCandidates.map(({ address }) => address);
}

function hostHas(addresses: Record<string, string[]>): void {
  const interfaces = Object.entries(addresses).map(([name, list]) => [
    name,
    list.map((address) => ({
      address,
      family: address.includes(':') ? 'IPv6' : 'IPv4',
      internal: name === 'lo',
    })),
  ]);
  jest.spyOn(os, 'networkInterfaces').mockReturnValue(Object.fromEntries(interfaces));
}

describe('without announcedAddress', () => {
  test.each(['0.0.0.0', '::'])('a client connects by any candidate of %s', async (ip) => {
    const transport = await router.createWebRtcTransport({ listenInfos: [{ ...EVERYWHERE, ip }] });
    expect(transport.iceCandidates.length).toBeGreaterThan(0);
    for (const { address } of transport.iceCandidates) {
      await check(transport, address);
      await until(
        transport,
        'iceselectedtuplechange',
        () => transport.iceSelectedTuple?.localAddress === address,
      );
    }
  });

  test('the addresses of the interfaces are candidates, loopback and link-local ones are not', async () => {
    hostHas({
      lo: ['127.0.0.1', '::1'],
      eth0: ['10.1.2.3', 'fe80::1', '2001:db8::1'],
      wlan0: ['169.254.9.9', '192.168.1.5'],
      tun0: [],
    });
    expect(await candidates(EVERYWHERE)).toEqual(['10.1.2.3', '192.168.1.5']);
    const ip = '0:0:0:0:0:0:0:0';
    expect(await candidates({ ...EVERYWHERE, ip })).toEqual([
      '2001:db8::1',
      '10.1.2.3',
      '192.168.1.5',
    ]);
    const flags = { ipv6Only: true };
    expect(await candidates({ ...EVERYWHERE, ip, flags })).toEqual(['2001:db8::1']);
    expect(await candidates({ ...EVERYWHERE, ip: '127.0.0.2' })).toEqual(['127.0.0.2']);
  });

  test('0.0.0.0 that is mapped to IPv6 is 0.0.0.0', async () => {
    hostHas({ lo: ['127.0.0.1', '::1'], eth0: ['2001:db8::1', '10.1.2.3'] });
    for (const ip of ['::ffff:0.0.0.0', '::FFFF:0:0', '0:0:0:0:0:ffff:0:0']) {
      const listenInfo = { ...EVERYWHERE, ip };
      expect(await candidates(listenInfo)).toEqual(['10.1.2.3']);
      const plain = await router.createPlainTransport({ listenInfo });
      expect(plain.tuple.localAddress).toBe('10.1.2.3');
    }
  });

  test('a host without other addresses announces its loopback addresses', async () => {
    hostHas({ lo: ['127.0.0.1', '::1'], eth0: ['fe80::1'] });
    expect(await candidates(EVERYWHERE)).toEqual(['127.0.0.1']);
    expect(await candidates({ ...EVERYWHERE, ip: '::' })).toEqual(['::1', '127.0.0.1']);
  });

  test('at most 16 addresses are candidates, each with a lower priority than the one before', async () => {
    hostHas({ eth0: Array.from({ length: 40 }, (_value, index) => `10.1.2.${index}`) });
    const transport = await router.createWebRtcTransport({ listenInfos: [EVERYWHERE] });
    expect(transport.iceCandidates.map(({ address }) => address)).toEqual(
      Array.from({ length: 16 }, (_value, index) => `10.1.2.${index}`),
    );
    const priorities = transport.iceCandidates.map(({ priority }) => priority);
    expect(priorities[0]).toBe(1_076_302_079);
    expect(priorities).toEqual([...new Set(priorities)].sort((a, b) => b - a));
  });

  test('a host without any address is a TypeError that names the way out', async () => {
    hostHas({});
    await expect(candidates(EVERYWHERE)).rejects.toThrow(
      new TypeError(
        "listenInfos[0].ip is '0.0.0.0', and this host has no address for peers to use: give an announcedAddress",
      ),
    );
    expect(await candidates({ ...EVERYWHERE, announcedAddress: 'sfu.example' })).toEqual([
      'sfu.example',
    ]);
  });

  test('the tuple of a plain or pipe transport shows an address that the other end can use', async () => {
    hostHas({ lo: ['127.0.0.1'], eth0: ['10.1.2.3'] });
    const plain = await router.createPlainTransport({ listenInfo: EVERYWHERE });
    const pipe = await router.createPipeTransport({ listenInfo: EVERYWHERE });
    expect([plain.tuple.localAddress, pipe.tuple.localIp]).toEqual(['10.1.2.3', '10.1.2.3']);
  });
});

test('exposeInternalIp on 0.0.0.0 adds the addresses of the interfaces', async () => {
  hostHas({ lo: ['127.0.0.1'], eth0: ['10.1.2.3', '10.1.2.4'] });
  const listenInfo = { ...EVERYWHERE, announcedAddress: '192.0.2.1' };
  expect(await candidates(listenInfo)).toEqual(['192.0.2.1']);
  expect(await candidates({ ...listenInfo, exposeInternalIp: true })).toEqual([
    '192.0.2.1',
    '10.1.2.3',
    '10.1.2.4',
  ]);
});

describe('listenInfos with the same address and port', () => {
  test.each(['udp', 'tcp'] as const)(
    'share one %s socket, and each is a candidate',
    async (protocol) => {
      const port = await freePort();
      const listenInfo = { protocol, ip: '127.0.0.1', port };
      const webRtcServer = await worker.createWebRtcServer({
        listenInfos: [
          { ...listenInfo, announcedAddress: '192.0.2.1' },
          { ...listenInfo, protocol: protocol === 'udp' ? 'tcp' : 'udp' },
          { ...listenInfo, announcedAddress: 'sfu.example' },
          { ...listenInfo, announcedAddress: '192.0.2.1', exposeInternalIp: true },
        ],
      });
      const sockets = [{ ip: '127.0.0.1', port }];
      await expect(webRtcServer.dump()).resolves.toMatchObject({
        udpSockets: sockets,
        tcpServers: sockets,
      });
      const transport = await router.createWebRtcTransport({ webRtcServer });
      expect(
        transport.iceCandidates
          .filter((candidate) => candidate.protocol === protocol)
          .map(({ address }) => address),
      ).toEqual(['192.0.2.1', 'sfu.example', '127.0.0.1']);
    },
  );

  test('of a WebRtcTransport, with listenIps as well', async () => {
    const port = await freePort();
    const listenInfo = { ...EVERYWHERE, ip: '127.0.0.1', port };
    const announced = ['192.0.2.1', '192.0.2.2'];
    const infos = announced.map((announcedAddress) => ({ ...listenInfo, announcedAddress }));
    const transport = await router.createWebRtcTransport({ listenInfos: infos });
    expect(transport.iceCandidates.map(({ address }) => address)).toEqual(announced);
    transport.close();
    await worker.dump();
    const listenIps = announced.map((announcedIp) => ({ ip: '127.0.0.1', announcedIp }));
    const older = await router.createWebRtcTransport({ listenIps, port });
    expect(older.iceCandidates.map(({ address }) => address)).toEqual(announced);
  });

  test.each([
    ['::1', '0:0:0:0:0:0:0:1'],
    ['0::0.0.0.1', '::1'],
    ['127.0.0.1', '::ffff:127.0.0.1'],
    ['::ffff:7f00:1', '127.0.0.1'],
  ])('%s and %s are the same address', async (ip, other) => {
    const port = await freePort();
    const announced = ['2001:db8::a', 'sfu.example', '192.0.2.1'];
    const again = ['2001:DB8:0::A', 'SFU.Example', '::ffff:192.0.2.1'];
    const listenInfos = [...announced, ...again].map((announcedAddress, index) => ({
      ...EVERYWHERE,
      ip: index % 2 === 0 ? ip : other,
      port,
      announcedAddress,
    }));
    const webRtcServer = await worker.createWebRtcServer({ listenInfos });
    const { udpSockets } = await webRtcServer.dump();
    expect(udpSockets).toHaveLength(1);
    const { iceCandidates } = await router.createWebRtcTransport({ webRtcServer });
    expect(iceCandidates.map(({ address }) => address)).toEqual(announced);
    webRtcServer.close();
    await worker.dump();
    const exposed = [ip, other].map((each) => ({ ...EVERYWHERE, ip: each, port }));
    expect(await candidates(...exposed)).toHaveLength(1);
  });

  test.each<[string, object, object, string]>([
    ['flags.ipv6Only', {}, { flags: { ipv6Only: true } }, 'false'],
    ['flags.udpReusePort', { flags: { udpReusePort: true } }, { flags: {} }, 'true'],
    ['sendBufferSize', {}, { sendBufferSize: 50_000 }, 'omitted'],
    ['sendBufferSize', { sendBufferSize: 50_000 }, { sendBufferSize: 60_000 }, '50000'],
    ['recvBufferSize', { recvBufferSize: 50_000 }, {}, '50000'],
  ])('cannot differ in %s: %j and %j', async (name, some, others, expected) => {
    const port = await freePort();
    const one = { ...EVERYWHERE, ip: '::1', port, announcedAddress: '192.0.2.1' };
    const listenInfos = [{ ...one, ...some }, LOOPBACK[0]!, { ...one, ...others }];
    const text =
      `listenInfos[2].${name} must be ${expected}, ` +
      'as in listenInfos[0], which has the same protocol, ip and port (got ';
    for (const create of [
      () => worker.createWebRtcServer({ listenInfos }),
      () => router.createWebRtcTransport({ listenInfos }),
    ]) {
      await expect(create()).rejects.toThrow(TypeError);
      await expect(create()).rejects.toThrow(text);
    }
    const same = [some, some].map((more) => ({ ...one, ...more }));
    expect(await candidates(...same)).toEqual(['192.0.2.1']);
  });
});

describe('announcedAddress', () => {
  test.each([
    '192.0.2.1',
    '2001:db8::1',
    'example.org',
    'example.org.',
    'localhost',
    '3com.example',
    'xn--bcher-kva.example',
    '9b36eaac-bb2e-49bb-bb78-21c41c499900.local',
    `${'a'.repeat(63)}.example`,
  ])('%s is a candidate', async (announcedAddress) => {
    expect(await candidates({ ...EVERYWHERE, announcedAddress })).toEqual([announcedAddress]);
  });

  test.each(
    titled([
      'not a host!',
      ' 192.0.2.1',
      '192.0.2.256',
      '192.0.2',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      'fe80::1%eth0',
      'http://example.org',
      'example.org:443',
      '[2001:db8::1]',
      '-a.example',
      'a-.example',
      'a..example',
      '.',
      'my_host',
      'bücher.example',
      `${'a'.repeat(64)}.example`,
      `${'a.'.repeat(126)}ab`,
    ]),
  )('%s is a TypeError that names it', async (_title, announcedAddress) => {
    const listenInfo = { ...EVERYWHERE, announcedAddress };
    const text = `announcedAddress must be an address that peers can reach, or a host name (got '`;
    const rejection = async (promise: Promise<unknown>): Promise<void> => {
      await expect(promise).rejects.toThrow(TypeError);
      await expect(promise).rejects.toThrow(text);
    };
    await rejection(router.createWebRtcTransport({ listenInfos: [listenInfo] }));
    await rejection(worker.createWebRtcServer({ listenInfos: [listenInfo] }));
    await rejection(router.createPlainTransport({ listenInfo }));
    await rejection(router.createPipeTransport({ listenInfo }));
    await expect(
      router.createPlainTransport({ listenIp: { ip: '127.0.0.1', announcedIp: announcedAddress } }),
    ).rejects.toThrow(/^listenIp\.announcedIp must be an address/);
  });
});
