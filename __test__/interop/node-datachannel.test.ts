import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import type { types } from '../..';
import '../helpers/closeWorkers';
import { arrange, LOOPBACK, SOME_FINGERPRINTS, type Arrangement } from '../helpers/arrangement';
import { EventRecorder } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { nextEvent, untilState } from '../helpers/wait';
import { WebRtcPeers, type ClientRole } from '../helpers/WebRtcPeers';

/** A WebRTC client (libdatachannel) connects: states, events, credentials. */

const CHANNELS = [{ id: 0 }, { id: 1 }];

let peers: WebRtcPeers;
let objects: Arrangement;

beforeAll(() => {
  peers = new WebRtcPeers();
});

beforeEach(async () => {
  objects = await arrange();
});

afterEach(() => objects.worker.close());

afterAll(() => peers.close());

/** Lines without repetitions of the line before. */
function withoutRepetitions(lines: string[]): string[] {
  return lines.filter((line, index) => line !== lines[index - 1]);
}

describe.each<[ClientRole, types.DtlsRole, types.DtlsRole]>([
  ['client', 'client', 'server'],
  ['server', 'server', 'client'],
  ['server', 'auto', 'client'],
])('a client that is DTLS %s, connect({ role: %s })', (role, given, own) => {
  test('connects: states, events in their order, and what is known of it', async () => {
    const { webRtcTransport: transport } = objects;
    const recorder = new EventRecorder().watch({ transport });
    const peer = await peers.create({ channels: CHANNELS });
    await transport.connect({ dtlsParameters: peer.dtlsParameters(given) });
    expect(transport.dtlsParameters.role).toBe(own);
    expect(recorder.take()).toEqual([]);
    await peer.dial(transport, role);
    await peer.untilOpen();
    await untilState(transport, 'iceState', 'completed');
    await untilState(transport, 'sctpState', 'connected');

    const lines = recorder.take();
    // What the transport emits, its observer emits next.
    const own_ = lines.filter((line) => line.startsWith('transport '));
    expect(lines).toEqual(own_.flatMap((line) => [line, line.replace(' ', '.observer ')]));

    const events = own_.map((line) => line.slice('transport '.length));
    const [tuple, ...states] = events;
    expect(tuple).toMatch(/^iceselectedtuplechange\(/);
    const of = (which: string): string[] =>
      withoutRepetitions(states.filter((line) => line.startsWith(which)));
    expect(of('icestatechange')).toEqual([
      'icestatechange(connected)',
      'icestatechange(completed)',
    ]);
    expect(of('dtlsstatechange')).toEqual([
      'dtlsstatechange(connecting)',
      'dtlsstatechange(connected)',
    ]);
    expect(of('sctpstatechange')).toEqual([
      'sctpstatechange(connecting)',
      'sctpstatechange(connected)',
    ]);
    const at = (event: string): number => events.indexOf(event);
    expect(at('icestatechange(connected)')).toBe(1);
    expect(at('dtlsstatechange(connecting)')).toBeGreaterThan(at('icestatechange(connected)'));
    expect(at('sctpstatechange(connected)')).toBeGreaterThan(at('dtlsstatechange(connected)'));

    expect(transport).toMatchObject({
      iceState: 'completed',
      dtlsState: 'connected',
      sctpState: 'connected',
      sctpNegotiatedCapabilities: {
        negotiatedMaxOutboundStreams: 1024,
        negotiatedMaxInboundStreams: 1024,
      },
    });
    expect(transport.iceSelectedTuple).toEqual({
      localIp: '127.0.0.1',
      localAddress: '127.0.0.1',
      localPort: transport.iceCandidates[0]!.port,
      remoteIp: '127.0.0.1',
      remotePort: expect.any(Number),
      protocol: 'udp',
    });
    expect(transport.dtlsRemoteCert).toMatch(
      /^-----BEGIN CERTIFICATE-----\n([\w+/=]{1,64}\n)+-----END CERTIFICATE-----\n$/,
    );
    expect(new X509Certificate(transport.dtlsRemoteCert!).fingerprint256).toBe(
      peer.fingerprint.value,
    );
  });

  test('exchanges messages both ways', async () => {
    const { webRtcTransport, dataProducerDirect, dataConsumerDirect } = objects;
    const peer = await peers.create({ channels: CHANNELS });
    await webRtcTransport.connect({ dtlsParameters: peer.dtlsParameters(given) });
    await peer.dial(webRtcTransport, role);
    await peer.untilOpen();
    const inbox = new Inbox(dataConsumerDirect);
    await peer.send(1, 'up');
    expect(await inbox.count(1)).toEqual([{ text: 'up', ppid: 51 }]);
    dataProducerDirect.send('down');
    expect(await peer.untilMessages(0, 1)).toEqual(['down']);
  });
});

describe('webRtcTransport.connect()', () => {
  test('after the client has begun: it connects then', async () => {
    const { webRtcTransport: transport, dataProducerDirect } = objects;
    const peer = await peers.create({ channels: CHANNELS });
    await peer.dial(transport);
    await untilState(transport, 'iceState', 'completed');
    expect(transport.dtlsState).not.toBe('connected');
    expect(transport.sctpState).not.toBe('connected');
    await transport.connect({ dtlsParameters: peer.dtlsParameters() });
    await peer.untilOpen();
    await untilState(transport, 'sctpState', 'connected');
    expect(transport.dtlsState).toBe('connected');
    dataProducerDirect.send('down');
    expect(await peer.untilMessages(0, 1)).toEqual(['down']);
  });

  test('a second time while connected rejects with an Error and changes nothing', async () => {
    const { webRtcTransport: transport } = objects;
    const peer = await peers.connect(transport, { channels: CHANNELS });
    await expect(transport.connect({ dtlsParameters: peer.dtlsParameters() })).rejects.toThrow(
      'connect() already called',
    );
    expect(transport).toMatchObject({ dtlsState: 'connected', sctpState: 'connected' });
  });

  const pem = readFileSync(path.join(__dirname, '../helpers/fixtures/ec-cert.pem'));
  const { raw } = new X509Certificate(pem);
  const config = {
    certificatePemFile: path.join(__dirname, '../helpers/fixtures/ec-cert.pem'),
    keyPemFile: path.join(__dirname, '../helpers/fixtures/ec-key.pem'),
  };

  /** The fingerprint of the client’s certificate by `algorithm`. */
  function fingerprintBy(algorithm: types.FingerprintAlgorithm): types.DtlsFingerprint {
    const hash = createHash(algorithm.replace('-', '')).update(raw).digest('hex').toUpperCase();
    return { algorithm, value: hash.match(/../g)!.join(':') };
  }

  test.each<types.FingerprintAlgorithm>(['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512'])(
    'with the client’s fingerprint by %s',
    async (algorithm) => {
      const { webRtcTransport: transport } = objects;
      const peer = await peers.create({ channels: CHANNELS, config });
      await transport.connect({
        dtlsParameters: { role: 'client', fingerprints: [fingerprintBy(algorithm)] },
      });
      await peer.dial(transport);
      await peer.untilOpen();
      await untilState(transport, 'dtlsState', 'connected');
    },
  );

  test('with its fingerprint in lower case', async () => {
    const { webRtcTransport: transport } = objects;
    const peer = await peers.create({ channels: CHANNELS });
    const { algorithm, value } = peer.fingerprint;
    await transport.connect({
      dtlsParameters: {
        role: 'client',
        fingerprints: [{ algorithm, value: value.toLowerCase() }],
      },
    });
    await peer.dial(transport);
    await peer.untilOpen();
    await untilState(transport, 'dtlsState', 'connected');
  });

  test('with one fingerprint of several that matches', async () => {
    const { webRtcTransport: transport } = objects;
    const peer = await peers.create({ channels: CHANNELS });
    await transport.connect({
      dtlsParameters: { role: 'client', fingerprints: [...SOME_FINGERPRINTS, peer.fingerprint] },
    });
    await peer.dial(transport);
    await peer.untilOpen();
    await untilState(transport, 'dtlsState', 'connected');
  });

  test.each<ClientRole>(['client', 'server'])(
    'with a wrong fingerprint of a DTLS %s: dtlsState failed, and nothing of it gets through',
    async (role) => {
      const { webRtcTransport: transport, dataConsumerDirect, dataConsumerSctp } = objects;
      const inbox = new Inbox(dataConsumerDirect);
      const recorder = new EventRecorder().watch({ transport });
      await dataConsumerSctp.send('secret');
      const peer = await peers.create({ channels: CHANNELS });
      await transport.connect({ dtlsParameters: { role, fingerprints: SOME_FINGERPRINTS } });
      await peer.dial(transport, role);
      await untilState(transport, 'dtlsState', 'failed');
      expect(transport).toMatchObject({ closed: false, dtlsState: 'failed' });
      expect(transport.dtlsRemoteCert).toBeUndefined();
      expect(transport.sctpState).not.toBe('connected');
      await peer.close();
      await peer.untilState('closed');
      await objects.router.dump();
      expect(inbox.messages).toEqual([]);
      expect(peer.messages.size).toBe(0);
      const states = withoutRepetitions(
        recorder.take().filter((line) => line.startsWith('transport dtlsstatechange')),
      );
      expect(states).toEqual([
        'transport dtlsstatechange(connecting)',
        'transport dtlsstatechange(failed)',
      ]);
      // The transport object stays: it can still be asked and closed.
      await expect(transport.dump()).resolves.toMatchObject({ dtlsState: 'failed' });
      transport.close();
    },
  );

  test('both sides DTLS client: dtlsState failed', async () => {
    const { webRtcTransport: transport } = objects;
    const peer = await peers.create({ channels: CHANNELS });
    await transport.connect({ dtlsParameters: peer.dtlsParameters('auto') });
    await peer.dial(transport, 'client');
    await untilState(transport, 'dtlsState', 'failed', 45_000);
    expect(transport.closed).toBe(false);
    expect(transport.sctpState).not.toBe('connected');
  }, 60_000);
});

describe('webRtcTransport.restartIce()', () => {
  test('while connected: the connection stays on the old tuple', async () => {
    const { webRtcTransport: transport, dataProducerDirect, dataConsumerDirect } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await peers.connect(transport, { channels: CHANNELS });
    await untilState(transport, 'iceState', 'completed');
    const before = transport.iceParameters;
    const recorder = new EventRecorder().watch({ transport });
    const after = await transport.restartIce();
    expect(after.usernameFragment).not.toBe(before.usernameFragment);
    await peer.send(1, 'up');
    expect(await inbox.count(1)).toEqual([{ text: 'up', ppid: 51 }]);
    dataProducerDirect.send('down');
    expect(await peer.untilMessages(0, 1)).toEqual(['down']);
    expect(transport).toMatchObject({ iceState: 'completed', dtlsState: 'connected' });
    expect(recorder.take()).toEqual([]);
  });

  test('before the client dials: the new credentials are the valid ones', async () => {
    const { webRtcTransport: transport } = objects;
    await transport.restartIce();
    await peers.connect(transport, { channels: CHANNELS });
    expect(transport.sctpState).toBe('connected');
  });
});

describe('where a client connects', () => {
  async function connectTo(
    listenInfos: types.TransportListenInfo[],
  ): Promise<types.WebRtcTransport> {
    const transport = await objects.router.createWebRtcTransport({ listenInfos, enableSctp: true });
    const dataConsumer = await transport.consumeData({
      dataProducerId: objects.dataProducerDirect.id,
    });
    const peer = await peers.connect(transport, { channels: [{ id: 0 }] });
    await dataConsumer.send('here');
    expect(await peer.untilMessages(0, 1)).toEqual(['here']);
    return transport;
  }

  test('IPv6 (::1)', async () => {
    const transport = await connectTo([{ protocol: 'udp', ip: '::1' }]);
    expect(transport.iceSelectedTuple).toMatchObject({
      localIp: '::1',
      localAddress: '::1',
      remoteIp: '::1',
      protocol: 'udp',
    });
  });

  test('portRange', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '127.0.0.1', portRange: { min: 33_000, max: 33_999 } },
    ]);
    const { localPort } = transport.iceSelectedTuple!;
    expect(localPort >= 33_000 && localPort <= 33_999).toBe(true);
  });

  test('announcedAddress is what the tuple shows', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '127.0.0.1', announcedAddress: 'localhost' },
    ]).catch(() => undefined);
    // A client that does not resolve names cannot connect, and there is no tuple to check.
    if (transport) {
      expect(transport.iceSelectedTuple!.localAddress).toBe('localhost');
    }
  });

  test('announcedAddress out of reach with exposeInternalIp', async () => {
    const transport = await connectTo([
      {
        protocol: 'udp',
        ip: '127.0.0.1',
        announcedAddress: '198.51.100.1',
        exposeInternalIp: true,
      },
    ]);
    expect(transport.iceCandidates.map(({ address }) => address)).toEqual([
      '198.51.100.1',
      '127.0.0.1',
    ]);
  });

  test('the second of two listenInfos', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '127.0.0.1', announcedAddress: '198.51.100.1' },
      ...LOOPBACK,
    ]);
    expect(transport.iceSelectedTuple!.localPort).toBe(transport.iceCandidates[1]!.port);
  });

  test('0.0.0.0 with announcedAddress', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '0.0.0.0', announcedAddress: '127.0.0.1' },
    ]);
    expect(transport.iceSelectedTuple).toMatchObject({
      localAddress: '127.0.0.1',
      remoteIp: '127.0.0.1',
    });
  });
});

describe('a client on a WebRtcServer', () => {
  test('50 clients on one port, each with its own messages', async () => {
    const COUNT = 50;
    const { worker, router, directTransport, dataProducerDirect } = objects;
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const { udpSockets } = await webRtcServer.dump();
    const clients = await Promise.all(
      Array.from({ length: COUNT }, async (_value, index) => {
        const transport = await router.createWebRtcTransport({ webRtcServer, enableSctp: true });
        const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
        const dataConsumer = await transport.consumeData({
          dataProducerId: dataProducerDirect.id,
        });
        const inbox = new Inbox(
          await directTransport.consumeData({ dataProducerId: dataProducer.id }),
        );
        const peer = await peers.connect(transport, {
          channels: CHANNELS,
          role: index % 2 === 0 ? 'client' : 'server',
        });
        return { transport, dataConsumer, inbox, peer };
      }),
    );
    await Promise.all(
      clients.map(async ({ peer, inbox, dataConsumer, transport }, index) => {
        await peer.send(1, `from ${index}`);
        expect(await inbox.count(1)).toEqual([{ text: `from ${index}`, ppid: 51 }]);
        await dataConsumer.send(`to ${index}`);
        expect(await peer.untilMessages(0, 1)).toEqual([`to ${index}`]);
        expect(transport.iceSelectedTuple!.localPort).toBe(udpSockets[0]!.port);
      }),
    );
    const remotePorts = clients.map(({ transport }) => transport.iceSelectedTuple!.remotePort);
    expect(new Set(remotePorts).size).toBe(COUNT);

    dataProducerDirect.send('to all');
    await Promise.all(
      clients.map(async ({ peer }) => {
        expect((await peer.untilMessages(0, 2))[1]).toBe('to all');
      }),
    );

    // A client that leaves does not change the others.
    clients[0]!.transport.close();
    await clients[0]!.peer.untilClosed(0);
    dataProducerDirect.send('to the rest');
    await Promise.all(
      clients.slice(1).map(async ({ peer }) => {
        expect((await peer.untilMessages(0, 3))[2]).toBe('to the rest');
      }),
    );
    expect(clients[0]!.peer.messages.get(0)).toHaveLength(2);
  }, 60_000);

  test('webRtcServer.close() says goodbye to its clients', async () => {
    const { worker, router, dataProducerDirect } = objects;
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const transport = await router.createWebRtcTransport({ webRtcServer, enableSctp: true });
    await transport.consumeData({ dataProducerId: dataProducerDirect.id });
    const peer = await peers.connect(transport, { channels: [{ id: 0 }] });
    webRtcServer.close();
    expect(transport.closed).toBe(true);
    await peer.untilClosed(0);
  });
});

describe('consent', () => {
  test('a client that is killed: iceState disconnected after iceConsentTimeout, nothing else', async () => {
    const mortal = new WebRtcPeers();
    const { router, dataProducerDirect } = objects;
    const transport = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
      iceConsentTimeout: 10,
    });
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
    await transport.consumeData({ dataProducerId: dataProducerDirect.id });
    await mortal.connect(transport, { channels: CHANNELS });
    await untilState(transport, 'iceState', 'completed');
    const tuple = transport.iceSelectedTuple;
    await mortal.kill();
    expect(transport.iceState).toBe('completed');
    const [state] = await nextEvent(transport, 'icestatechange', 30_000);
    expect(state).toBe('disconnected');
    expect(transport).toMatchObject({ closed: false, iceState: 'disconnected' });
    expect(tuple).toMatchObject({ protocol: 'udp', remoteIp: '127.0.0.1' });
    expect(transport.iceSelectedTuple).toEqual(tuple);
    expect(dataProducer.closed).toBe(false);
  }, 60_000);

  test('a client that falls silent and comes back: iceState disconnected, then connected again', async () => {
    const sleeper = new WebRtcPeers();
    const { router, dataProducerDirect } = objects;
    const transport = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
      iceConsentTimeout: 10,
    });
    await transport.consumeData({ dataProducerId: dataProducerDirect.id });
    const peer = await sleeper.connect(transport, { channels: [{ id: 0 }] });
    await untilState(transport, 'iceState', 'completed');
    sleeper.freeze();
    await untilState(transport, 'iceState', 'disconnected');
    sleeper.thaw();
    await nextEvent(transport, 'icestatechange');
    expect(['connected', 'completed']).toContain(transport.iceState);
    dataProducerDirect.send('welcome back');
    expect(await peer.untilMessages(0, 1)).toEqual(['welcome back']);
    await sleeper.close();
  }, 60_000);
});

test('statistics of a transport count what a client sent and received', async () => {
  const { webRtcTransport, dataProducerDirect, dataConsumerSctp, dataProducerSctp } = objects;
  const inbox = new Inbox(objects.dataConsumerDirect);
  const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
  for (let count = 0; count < 20; count++) {
    dataProducerDirect.send(Buffer.alloc(100));
    await peer.send(1, Buffer.alloc(200));
  }
  await inbox.count(20);
  await peer.untilMessages(0, 20);
  await expect(dataConsumerSctp.getStats()).resolves.toMatchObject([
    { messagesSent: 20, bytesSent: 2000, messagesDropped: 0, bufferedAmount: 0 },
  ]);
  await expect(dataProducerSctp.getStats()).resolves.toMatchObject([
    { messagesReceived: 20, bytesReceived: 4000 },
  ]);
  const [stats] = await webRtcTransport.getStats();
  expect(stats).toMatchObject({
    type: 'webrtc-transport',
    sctpState: 'connected',
    iceState: 'completed',
    dtlsState: 'connected',
    iceSelectedTuple: webRtcTransport.iceSelectedTuple,
  });
  expect(stats!.bytesReceived).toBeGreaterThan(4000);
  expect(stats!.bytesSent).toBeGreaterThan(2000);
  expect(stats!.recvBitrate).toBeGreaterThan(0);
  expect(stats!.sendBitrate).toBeGreaterThan(0);
  const dump = await webRtcTransport.dump();
  expect(dump).toMatchObject({
    sctpState: 'connected',
    sctpNegotiatedCapabilities: {
      negotiatedMaxOutboundStreams: 1024,
      negotiatedMaxInboundStreams: 1024,
    },
    iceState: 'completed',
    dtlsState: 'connected',
  });
});

test('a process of clients that is killed harms no other client', async () => {
  const mortal = new WebRtcPeers();
  const { router, dataProducerDirect, webRtcTransport } = objects;
  const doomed = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
  await doomed.consumeData({ dataProducerId: dataProducerDirect.id });
  await mortal.connect(doomed, { channels: [{ id: 0 }] });
  const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
  await mortal.kill();
  for (let count = 0; count < 100; count++) {
    dataProducerDirect.send(Buffer.alloc(1000));
  }
  expect(await peer.untilMessages(0, 100)).toHaveLength(100);
  expect(doomed.closed).toBe(false);
  expect(webRtcTransport).toMatchObject({ iceState: 'completed', sctpState: 'connected' });
});
