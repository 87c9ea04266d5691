import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import type { types } from '../..';
import '../helpers/closeWorkers';
import { LOOPBACK, SOME_FINGERPRINTS } from '../helpers/arrangement';
import { EventRecorder, ends } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { nextEvent, untilState } from '../helpers/wait';
import { WebRtcPeers, type ClientRole } from '../helpers/WebRtcPeers';

/** A WebRTC client (libdatachannel) connects: states, events, credentials. */

const CHANNELS = [{ id: 0 }, { id: 1 }];

/** `lines` without those that repeat the line before. */
function withoutRepetitions(lines: string[]): string[] {
  return lines.filter((line, index) => line !== lines[index - 1]);
}

describe.each<[ClientRole, types.DtlsRole, types.DtlsRole]>([
  ['client', 'client', 'server'],
  ['server', 'server', 'client'],
  ['server', 'auto', 'client'],
])('a client that is DTLS %s, connect({ role: %s })', (role, given, own) => {
  test('connects: the events come in order, and the getters show states, tuple and certificate', async () => {
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
    // The observer repeats each event of the transport.
    const emitted = lines.filter((line) => line.startsWith('transport '));
    expect(lines).toEqual(emitted.flatMap((line) => [line, line.replace(' ', '.observer ')]));

    const events = emitted.map((line) => line.slice('transport '.length));
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
  test('after the client has begun completes the connection', async () => {
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

  test('a second call while connected rejects with an Error and changes nothing', async () => {
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
    'accepts the client’s %s fingerprint',
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

  test('accepts the client’s fingerprint in lower case', async () => {
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

  test('accepts several fingerprints if one of them matches', async () => {
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
    'with a wrong fingerprint of a DTLS %s: dtlsState becomes failed, and no message crosses',
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
        ends('transport', 'dtlsstatechange', 'failed', transport.dtlsError)[0],
      ]);
      // The transport stays open.
      await expect(transport.dump()).resolves.toMatchObject({ dtlsState: 'failed' });
      transport.close();
    },
  );

  test('dtlsState becomes failed if both sides are DTLS clients', async () => {
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
  test('while connected keeps the connection on the old tuple', async () => {
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

  test('before the client connects makes the new credentials valid', async () => {
    const { webRtcTransport: transport } = objects;
    await transport.restartIce();
    await peers.connect(transport, { channels: CHANNELS });
    expect(transport.sctpState).toBe('connected');
  });
});

describe('a client connects to', () => {
  async function connectTo(
    listenInfos: types.TransportListenInfo[],
    alter?: (sdp: string) => string,
  ): Promise<types.WebRtcTransport> {
    const transport = await objects.router.createWebRtcTransport({ listenInfos, enableSctp: true });
    const dataConsumer = await transport.consumeData({
      dataProducerId: objects.dataProducerDirect.id,
    });
    const peer = await peers.connect(transport, { channels: [{ id: 0 }], alter });
    await dataConsumer.send('hello');
    expect(await peer.untilMessages(0, 1)).toEqual(['hello']);
    return transport;
  }

  test('an IPv6 address (::1)', async () => {
    const transport = await connectTo([{ protocol: 'udp', ip: '::1' }]);
    expect(transport.iceSelectedTuple).toMatchObject({
      localIp: '::1',
      localAddress: '::1',
      remoteIp: '::1',
      protocol: 'udp',
    });
  });

  test('a port of portRange', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '127.0.0.1', portRange: { min: 33_000, max: 33_999 } },
    ]);
    const { localPort } = transport.iceSelectedTuple!;
    expect(localPort >= 33_000 && localPort <= 33_999).toBe(true);
  });

  test('a name as announcedAddress, which the tuple shows', async () => {
    const announcedAddress = 'sfu.example.org';
    const transport = await connectTo(
      [{ protocol: 'udp', ip: '127.0.0.1', announcedAddress }],
      // The announced name does not resolve on this machine, so the client gets the address instead.
      (sdp) => sdp.replaceAll(announcedAddress, '127.0.0.1'),
    );
    expect(transport.iceSelectedTuple!.localAddress).toBe(announcedAddress);
  });

  test('the internal IP with exposeInternalIp if announcedAddress is unreachable', async () => {
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

  test('the second of two listenInfos if the first is unreachable', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '127.0.0.1', announcedAddress: '198.51.100.1' },
      ...LOOPBACK,
    ]);
    expect(transport.iceSelectedTuple!.localPort).toBe(transport.iceCandidates[1]!.port);
  });

  test('announcedAddress of a socket on 0.0.0.0', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '0.0.0.0', announcedAddress: '127.0.0.1' },
    ]);
    expect(transport.iceSelectedTuple).toMatchObject({
      localAddress: '127.0.0.1',
      remoteIp: '127.0.0.1',
    });
  });

  test('an address of a socket on 0.0.0.0 that is not the one the system would answer from', async () => {
    const transport = await connectTo([
      { protocol: 'udp', ip: '0.0.0.0', announcedAddress: '127.0.0.2' },
    ]);
    expect(transport.iceSelectedTuple).toMatchObject({ localAddress: '127.0.0.2' });
  });
});

describe('clients on a WebRtcServer', () => {
  test('50 clients on one port get their own messages', async () => {
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

    // Closing one transport does not affect the other clients.
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

  test('webRtcServer.close() closes the channels of its clients', async () => {
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
  test('iceState becomes disconnected iceConsentTimeout after a client was killed, and nothing closes', async () => {
    const doomed = new WebRtcPeers();
    const { router, dataProducerDirect } = objects;
    const transport = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
      iceConsentTimeout: 10,
    });
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
    await transport.consumeData({ dataProducerId: dataProducerDirect.id });
    await doomed.connect(transport, { channels: CHANNELS });
    await untilState(transport, 'iceState', 'completed');
    const tuple = transport.iceSelectedTuple;
    await doomed.kill();
    expect(transport.iceState).toBe('completed');
    const [state] = await nextEvent(transport, 'icestatechange', 30_000);
    expect(state).toBe('disconnected');
    expect(transport).toMatchObject({ closed: false, iceState: 'disconnected' });
    expect(tuple).toMatchObject({ protocol: 'udp', remoteIp: '127.0.0.1' });
    expect(transport.iceSelectedTuple).toEqual(tuple);
    expect(dataProducer.closed).toBe(false);
  }, 60_000);

  test('iceState becomes disconnected while a client is frozen, and connected when it resumes', async () => {
    const frozen = new WebRtcPeers();
    const { router, dataProducerDirect } = objects;
    const transport = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
      iceConsentTimeout: 10,
    });
    await transport.consumeData({ dataProducerId: dataProducerDirect.id });
    const peer = await frozen.connect(transport, { channels: [{ id: 0 }] });
    await untilState(transport, 'iceState', 'completed');
    frozen.freeze();
    await untilState(transport, 'iceState', 'disconnected');
    frozen.thaw();
    await nextEvent(transport, 'icestatechange');
    expect(['connected', 'completed']).toContain(transport.iceState);
    dataProducerDirect.send('resumed');
    expect(await peer.untilMessages(0, 1)).toEqual(['resumed']);
    await frozen.close();
  }, 60_000);
});

test('getStats() and dump() show the traffic and states of a connected client', async () => {
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

test('a killed client does not affect another client', async () => {
  const doomed = new WebRtcPeers();
  const { router, dataProducerDirect, webRtcTransport } = objects;
  const abandoned = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
  await abandoned.consumeData({ dataProducerId: dataProducerDirect.id });
  await doomed.connect(abandoned, { channels: [{ id: 0 }] });
  const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
  await doomed.kill();
  for (let count = 0; count < 100; count++) {
    dataProducerDirect.send(Buffer.alloc(1000));
  }
  expect(await peer.untilMessages(0, 100)).toHaveLength(100);
  expect(abandoned.closed).toBe(false);
  expect(webRtcTransport).toMatchObject({ iceState: 'completed', sctpState: 'connected' });
});
