import * as datasoup from '..';
import type { types } from '..';
import { notIntegers, notPorts, titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { router, worker } from './helpers/router';
import { freePort } from './helpers/sockets';
import { WebRtcPeers } from './helpers/WebRtcPeers';

/** Older spellings of options, as in applications written for old versions of mediasoup, work like the newer ones. */

type SctpTransport = types.WebRtcTransport | types.PlainTransport | types.PipeTransport;
type Create = (options: Record<string, unknown>, on?: types.Router) => Promise<SctpTransport>;

/** One call per transport type with SCTP, with the older spellings. */
const kinds: [string, Create][] = [
  [
    'createWebRtcTransport()',
    (options, on = router) =>
      on.createWebRtcTransport({ listenIps: ['127.0.0.1'], enableSctp: true, ...options }),
  ],
  [
    'createPlainTransport()',
    (options, on = router) =>
      on.createPlainTransport({ listenIp: '127.0.0.1', enableSctp: true, ...options }),
  ],
  [
    'createPipeTransport()',
    (options, on = router) =>
      on.createPipeTransport({ listenIp: '127.0.0.1', enableSctp: true, ...options }),
  ],
];

/** The address that a transport announces to its peers. */
function addressOf(transport: SctpTransport): { address: string; port: number } {
  if (transport.type === 'webrtc') {
    const [{ address, port }] = transport.iceCandidates as [types.IceCandidate];
    return { address, port };
  }
  return { address: transport.tuple.localAddress, port: transport.tuple.localPort };
}

describe.each(kinds)('%s', (_title, create) => {
  test.each([
    ['sets both sizes', { maxSctpMessageSize: 1234 }, 1234, 1234],
    ['0 is kept', { maxSctpMessageSize: 0 }, 0, 0],
    [
      'maxSendMessageSize takes precedence',
      { maxSctpMessageSize: 1234, maxSendMessageSize: 5 },
      5,
      1234,
    ],
    [
      'maxReceiveMessageSize takes precedence',
      { maxSctpMessageSize: 1234, maxReceiveMessageSize: 6 },
      1234,
      6,
    ],
    ['null counts as not given', { maxSctpMessageSize: null }, 262_144, 262_144],
  ])('maxSctpMessageSize: %s', async (_name, options, send, receive) => {
    const transport = await create(options);
    expect(transport.sctpParameters).toMatchObject({
      maxSendMessageSize: send,
      maxReceiveMessageSize: receive,
      maxMessageSize: receive,
    });
    await expect(transport.dump()).resolves.toMatchObject({
      maxSendMessageSize: send,
      maxReceiveMessageSize: receive,
    });
  });

  test.each(titled([{ OS: 1024, MIS: 1024 }, { OS: 0, MIS: 65_535 }, {}, null]))(
    'numSctpStreams: %s is accepted and has no effect',
    async (_name, numSctpStreams) => {
      const { OS, MIS } = (await create({})).sctpParameters!;
      const transport = await create({ numSctpStreams });
      expect(transport.sctpParameters).toMatchObject({ OS, MIS });
    },
  );

  test.each(
    titled<Record<string, unknown>>([
      ...notIntegers(0, 4_294_967_295).map((maxSctpMessageSize) => ({ maxSctpMessageSize })),
      ...notIntegers(0, 65_535).map((OS) => ({ numSctpStreams: { OS, MIS: 1 } })),
      ...notIntegers(0, 65_535).map((MIS) => ({ numSctpStreams: { OS: 1, MIS } })),
      ...notPorts(0).map((port) => ({ port })),
      { numSctpStreams: 1024 },
    ]),
  )('rejects %s with a TypeError', async (_name, options) => {
    await expect(create(options)).rejects.toThrow(TypeError);
  });

  test('listens on the port given beside listenIp(s)', async () => {
    const port = await freePort();
    const transport = await create({ port });
    expect(addressOf(transport)).toEqual({ address: '127.0.0.1', port });
  });

  test('listens on a port of the worker’s range if there is only listenIp(s)', async () => {
    const narrow = await datasoup.createWorker({ rtcMinPort: 41_000, rtcMaxPort: 41_200 });
    const { port } = addressOf(await create({}, await narrow.createRouter()));
    narrow.close();
    expect(port).toBeGreaterThanOrEqual(41_000);
    expect(port).toBeLessThanOrEqual(41_200);
  });

  test.each([
    ['announcedIp', { announcedIp: '9.9.9.1' }, '9.9.9.1'],
    ['an empty announcedIp', { announcedIp: '' }, '127.0.0.1'],
    ['null', { announcedIp: null }, '127.0.0.1'],
    [
      'announcedAddress, which takes precedence',
      { announcedIp: '9.9.9.1', announcedAddress: 'a.test' },
      'a.test',
    ],
  ])(
    'announces the address of listenIp(s) as objects with %s',
    async (_name, announced, address) => {
      const listenIp = Object.freeze({ ip: '127.0.0.1', ...announced });
      const transport = await create({ listenIp, listenIps: Object.freeze([listenIp]) });
      expect(addressOf(transport).address).toBe(address);
    },
  );

  test.each(titled([5, {}, true]))(
    'rejects announcedIp: %s with a TypeError',
    async (_n, given) => {
      const listenIp = { ip: '127.0.0.1', announcedIp: given };
      await expect(create({ listenIp, listenIps: [listenIp] })).rejects.toThrow(TypeError);
    },
  );
});

describe('listenInfos with announcedIp', () => {
  const info = { protocol: 'udp', ip: '127.0.0.1', announcedIp: '9.9.9.1' } as const;

  test('sets the address that a PlainTransport announces', async () => {
    const transport = await router.createPlainTransport({ listenInfo: info });
    expect(transport.tuple).toMatchObject({ localIp: '9.9.9.1', localAddress: '9.9.9.1' });
  });

  test('sets the address that a WebRtcServer announces', async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: [info] });
    const transport = await router.createWebRtcTransport({ webRtcServer });
    expect(transport.iceCandidates).toMatchObject([{ ip: '9.9.9.1', address: '9.9.9.1' }]);
  });
});

describe('createWebRtcTransport({ listenIps })', () => {
  test('listens on the enabled protocols in the order of preference', async () => {
    const protocols = async (options: object): Promise<string[]> => {
      const transport = await router.createWebRtcTransport({
        listenIps: ['127.0.0.1'],
        ...options,
      });
      return transport.iceCandidates.map(({ protocol }) => protocol);
    };
    expect(await protocols({})).toEqual(['udp']);
    expect(await protocols({ enableTcp: true })).toEqual(['udp', 'tcp']);
    expect(await protocols({ enableTcp: true, preferTcp: true })).toEqual(['tcp', 'udp']);
    expect(await protocols({ enableTcp: true, enableUdp: false })).toEqual(['tcp']);
  });
});

describe('createDirectTransport({ maxMessageSize })', () => {
  test.each([
    [{ maxMessageSize: 3 }, 3, 3],
    [{ maxMessageSize: 3, maxSendMessageSize: 5 }, 5, 3],
    [{ maxMessageSize: 3, maxReceiveMessageSize: 6 }, 3, 6],
  ])('with %j', async (options, send, receive) => {
    const transport = await router.createDirectTransport(options);
    await expect(transport.dump()).resolves.toMatchObject({
      maxSendMessageSize: send,
      maxReceiveMessageSize: receive,
    });
    const dataProducer = await transport.produceData();
    expect(() => dataProducer.send('x'.repeat(receive))).not.toThrow();
    expect(() => dataProducer.send('x'.repeat(receive + 1))).toThrow(TypeError);
  });
});

describe('pipeToRouter()', () => {
  test.each<[string, object]>([
    ['listenIp', { listenIp: '127.0.0.1' }],
    ['listenIp as an object', { listenIp: { ip: '127.0.0.1', announcedIp: undefined } }],
    [
      'numSctpStreams and maxSctpMessageSize',
      { numSctpStreams: { OS: 16, MIS: 16 }, maxSctpMessageSize: 1234 },
    ],
  ])('accepts %s', async (_title, options) => {
    const other = await worker.createRouter();
    const [here, there] = [
      await router.createDirectTransport(),
      await other.createDirectTransport(),
    ];
    const dataProducer = await here.produceData();
    const { pipeDataProducer } = await router.pipeToRouter({
      dataProducerId: dataProducer.id,
      router: other,
      keepId: false,
      ...options,
    });
    const inbox = new Inbox(await there.consumeData({ dataProducerId: pipeDataProducer!.id }));
    dataProducer.send('piped');
    expect((await inbox.count(1)).map(({ text }) => text)).toEqual(['piped']);
  });
});

test('a client connects to and sends through transports created with the older spellings', async () => {
  const peers = new WebRtcPeers();
  const transport = await router.createWebRtcTransport({
    listenIps: [{ ip: '127.0.0.1', announcedIp: '127.0.0.1' }],
    enableUdp: true,
    enableTcp: true,
    preferUdp: true,
    enableSctp: true,
    numSctpStreams: { OS: 1024, MIS: 1024 },
    maxSctpMessageSize: 262_144,
    initialAvailableOutgoingBitrate: 1_000_000,
  });
  const direct = await router.createDirectTransport({ maxMessageSize: 262_144 });
  const { id } = await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: id }));
  const peer = await peers.connect(transport, { channels: [{ id: 0 }] });
  await peer.send(0, 'hello');
  expect(await inbox.count(1)).toEqual([{ text: 'hello', ppid: 51 }]);
  await peers.close();
});
