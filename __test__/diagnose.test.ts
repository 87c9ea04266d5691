import type { Socket } from 'node:dgram';
import './helpers/closeWorkers';
import type { types } from '..';
import { LOOPBACK, SOME_FINGERPRINTS } from './helpers/arrangement';
import { BadNetwork, type Conditions } from './helpers/BadNetwork';
import { Cable } from './helpers/cable';
import { peers } from './helpers/peers';
import { router, worker } from './helpers/router';
import { closeSocket, udpSocket } from './helpers/sockets';
import { bindingRequest, stun } from './helpers/stun';
import { PATIENCE, untilState } from './helpers/wait';
import type { ClientRole } from './helpers/WebRtcPeers';

/** `transport.diagnose()`: what has arrived, and what is missing or has failed; with a real client where possible. */

const CHANNELS = [{ id: 0 }, { id: 1 }];

let sockets: Socket[] = [];

afterEach(() => Promise.all(sockets.splice(0).map(closeSocket)));

/** A socket of a third party, on the loopback address. */
async function open(): Promise<Socket> {
  const socket = await udpSocket();
  sockets.push(socket);
  return socket;
}

async function webRtc(
  options: Partial<types.WebRtcTransportOptions> = {},
): Promise<types.WebRtcTransport> {
  const all = { listenInfos: LOOPBACK, enableSctp: true, ...options };
  return router.createWebRtcTransport(all as types.WebRtcTransportOptions);
}

/** Asks until the first finding is `code`, as no event shows what arrives before a transport is connected. */
async function untilFinding(
  transport: types.Transport,
  code: types.FindingCode,
  message = /./,
): Promise<types.TransportDiagnosis> {
  const end = Date.now() + PATIENCE / 2;
  for (;;) {
    const diagnosis = await transport.diagnose();
    const [first] = diagnosis.findings;
    if (first?.code === code && message.test(first.message)) {
      return diagnosis;
    }
    if (Date.now() > end) {
      throw new Error(`no finding '${code}', but ${JSON.stringify(diagnosis)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The codes of the findings of a transport. */
async function codes(transport: types.Transport): Promise<string[]> {
  const { findings } = await transport.diagnose();
  for (const { message, hint } of findings) {
    expect(message).toMatch(/^\S.*[^.]$/);
    expect(hint).toMatch(/^\S.*[^.]$/);
  }
  return findings.map(({ code }) => code);
}

describe('a WebRtcTransport that nothing has reached', () => {
  test("with an announcedAddress that the client cannot reach: 'no-stun-received', with both causes", async () => {
    // The client sends to this address, where no socket of the transport listens.
    const transport = await webRtc({
      listenInfos: [{ protocol: 'udp', ip: '127.0.0.1', announcedAddress: '127.0.0.9' }],
    });
    const peer = await peers.create({ channels: CHANNELS });
    await transport.connect({ dtlsParameters: peer.dtlsParameters() });
    await peer.dial(transport);
    await peer.untilState('connecting');
    const { port } = transport.iceCandidates[0]!;
    const { state, findings } = await transport.diagnose();
    expect(findings).toEqual([
      {
        code: 'no-stun-received',
        message: `no STUN request has arrived at udp 127.0.0.9:${port}`,
        hint: expect.stringMatching(/the peer cannot reach .*block UDP.*announcedAddress.*'tcp'/),
      },
    ]);
    expect(state).toMatchObject({ iceState: 'new', dtlsState: 'new', sctpState: 'new' });
    expect(state.stun).toMatchObject({ received: 0, valid: 0 });
  });

  test.each([
    [['127.0.0.9', '203.0.113.5'], false],
    [['127.0.0.9', '::1'], true],
  ])(
    'at %j: the hint says whether only peers on the same host reach it',
    async (announced, only) => {
      const listenInfos: types.TransportListenInfo[] = announced.map((announcedAddress) => ({
        protocol: 'udp',
        ip: '127.0.0.1',
        announcedAddress,
      }));
      const { findings } = await (await webRtc({ listenInfos })).diagnose();
      expect(findings[0]!.hint.includes('only peers on the same host')).toBe(only);
    },
  );

  test("on a WebRtcServer, whose port gets datagrams for other transports: 'no-stun-received' counts them", async () => {
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
    const transport = await router.createWebRtcTransport({ webRtcServer, enableSctp: true });
    const [candidate] = transport.iceCandidates;
    const socket = await open();
    socket.send(bindingRequest('unknown:peer', 'x'), candidate!.port, '127.0.0.1');
    const counted = /its WebRtcServer got 1 datagrams for no transport/;
    await untilFinding(transport, 'no-stun-received', counted);
  });
});

describe('a WebRtcTransport whose client', () => {
  test("signs with another password: 'stun-wrong-password'", async () => {
    const transport = await webRtc();
    const peer = await peers.create({ channels: CHANNELS });
    await transport.connect({ dtlsParameters: peer.dtlsParameters() });
    await peer.dial(transport, 'client', (sdp) =>
      sdp.replace(/ice-pwd:\S+/, `ice-pwd:${'x'.repeat(32)}`),
    );
    const { state, findings } = await untilFinding(transport, 'stun-wrong-password');
    expect(findings[0]!.message).toMatch(/, the last from 127\.0\.0\.1:\d+$/);
    expect(state.stun).toMatchObject({
      valid: 0,
      wrongIntegrity: state.stun!.received,
      refusedFrom: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
  });

  test("has another username fragment: 'stun-wrong-username'", async () => {
    const transport = await webRtc();
    const peer = await peers.create({ channels: CHANNELS });
    await peer.dial(transport, 'client', (sdp) =>
      sdp.replace(/ice-ufrag:\S+/, 'ice-ufrag:another'),
    );
    await untilFinding(transport, 'stun-wrong-username');
  });

  test("claims to be controlled: 'role-conflict'", async () => {
    const transport = await webRtc();
    const { usernameFragment, password } = transport.iceParameters;
    const socket = await open();
    const request = bindingRequest(`${usernameFragment}:peer`, password, 0x8029);
    socket.send(request, transport.iceCandidates[0]!.port, '127.0.0.1');
    await untilFinding(transport, 'role-conflict');
  });

  test("sends requests that are no connectivity checks: 'stun-malformed'; too many: 'stun-over-quota'", async () => {
    const transport = await webRtc();
    const { port } = transport.iceCandidates[0]!;
    const socket = await open();
    // The request lacks USERNAME and MESSAGE-INTEGRITY.
    const request = stun(0x0001, []);
    socket.send(request, port, '127.0.0.1');
    const { state: first } = await untilFinding(transport, 'stun-malformed');
    expect(first.stun).toMatchObject({
      received: 1,
      malformed: 1,
      refusedFrom: `127.0.0.1:${socket.address().port}`,
    });
    let diagnosis: types.TransportDiagnosis;
    do {
      for (let sent = 0; sent < 300; sent++) socket.send(request, port, '127.0.0.1');
      diagnosis = await transport.diagnose();
    } while (diagnosis.state.stun!.overQuota === 0);
    const { received, malformed, overQuota } = diagnosis.state.stun!;
    expect(malformed + overQuota).toBe(received);
    expect(await codes(transport)).toEqual(['stun-malformed', 'stun-over-quota']);
  });

  test("waits for connect(): 'connect-not-called'", async () => {
    const transport = await webRtc();
    const peer = await peers.create({ channels: CHANNELS });
    await peer.dial(transport);
    const { state } = await untilFinding(transport, 'connect-not-called');
    expect(state).toMatchObject({ dtlsState: 'connecting' });
    expect(state.stun!.valid).toBeGreaterThan(0);
    expect(state.stun!.validFrom).toMatch(/:\d+$/);
  });

  test("is the DTLS server like this side: 'no-client-hello'", async () => {
    const transport = await webRtc();
    const peer = await peers.create({ channels: CHANNELS });
    await transport.connect({ dtlsParameters: peer.dtlsParameters('client') });
    await peer.dial(transport, 'server');
    await untilFinding(transport, 'no-client-hello');
  });

  /** The first bytes of DTLS records (RFC 6347 §4.1): all, and those of application data. */
  const isRecord = (datagram: Buffer): boolean => datagram[0]! >= 20 && datagram[0]! <= 63;
  const isData = (datagram: Buffer): boolean => datagram[0] === 23;

  test.each<[ClientRole, string, types.FindingCode, Conditions['passes']]>([
    ['server', 'all its records', 'no-dtls-answer', (it, way) => way === 'down' || !isRecord(it)],
    ['client', 'longer datagrams', 'dtls-incomplete', ({ length }) => length <= 400],
    ['server', 'longer datagrams', 'dtls-incomplete', ({ length }) => length <= 400],
    ['client', 'all its packets', 'no-sctp-received', (it, way) => way === 'down' || !isData(it)],
    ['client', 'all packets to it', 'sctp-incomplete', (it, way) => way === 'up' || !isData(it)],
  ])("is the DTLS %s, behind a network that loses %s: '%s'", async (role, _what, code, passes) => {
    const transport = await webRtc();
    const network = await BadNetwork.to(transport, { delay: 0, passes });
    const peer = await peers.create({ channels: CHANNELS });
    await transport.connect({ dtlsParameters: peer.dtlsParameters(role) });
    await peer.dial(transport, role, network.alter);
    const { state } = await untilFinding(transport, code);
    const isConnected = code.includes('sctp');
    expect(state.dtlsState).toBe(isConnected ? 'connected' : 'connecting');
    expect(state.dtls!.datagrams > 0).toBe(code !== 'no-dtls-answer');
    expect(state.sctp!.packets > 0).toBe(code === 'sctp-incomplete');
    await peer.close();
    await network.close();
  });

  test("has another certificate than announced: 'fingerprint-mismatch', once", async () => {
    const transport = await webRtc();
    const peer = await peers.create({ channels: CHANNELS });
    const fingerprints = SOME_FINGERPRINTS;
    await transport.connect({ dtlsParameters: { role: 'client', fingerprints } });
    await peer.dial(transport);
    await untilState(transport, 'sctpState', 'closed');
    expect(await codes(transport)).toEqual(['fingerprint-mismatch']);
    const { findings } = await transport.diagnose();
    expect(findings[0]!.message).toBe(transport.dtlsError!.message);
  });

  test('is connected: no finding; then its message on a stream without a DataProducer, and its end, are', async () => {
    const transport = await webRtc();
    const peer = await peers.connect(transport, { channels: CHANNELS });
    await untilState(transport, 'iceState', 'completed');
    const { state, findings } = await transport.diagnose();
    expect(findings).toEqual([]);
    expect(state).toMatchObject({
      iceState: 'completed',
      dtlsState: 'connected',
      sctpState: 'connected',
    });
    expect(state.stun!.valid).toBe(state.stun!.received);
    expect(state.dtls!.datagrams).toBeGreaterThan(2);
    expect(state.sctp!.packets).toBeGreaterThan(1);

    await peer.send(1, 'not expected');
    await untilFinding(transport, 'messages-unrouted');
    await peer.close();
    await untilState(transport, 'sctpState', 'closed');
    const all = await codes(transport);
    expect(all).toContain('peer-closed');
    expect(all.at(-1)).toBe('messages-unrouted');
  });
});

describe.each(['plain', 'pipe'] as const)('a %s transport', (kind) => {
  const create = (): Promise<types.PlainTransport | types.PipeTransport> => {
    const options = { listenInfo: LOOPBACK[0]!, enableSctp: true };
    return kind === 'plain'
      ? router.createPlainTransport(options)
      : router.createPipeTransport(options);
  };

  test('finds what is missing, one step after the other, and where stray datagrams come from', async () => {
    const transport = await create();
    expect(await codes(transport)).toEqual(['connect-not-called']);
    const [peer, other] = await Promise.all([open(), open()]);
    await transport.connect({ ip: '127.0.0.1', port: peer.address().port });
    expect(await codes(transport)).toEqual(['nothing-to-carry']);
    await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
    expect(await codes(transport)).toEqual(['no-sctp-received']);
    other.send('x', transport.tuple.localPort, '127.0.0.1');
    const { state } = await untilFinding(transport, 'wrong-source');
    expect(state).toMatchObject({
      datagramsDropped: 1,
      droppedFrom: `127.0.0.1:${other.address().port}`,
      sctp: { packets: 0 },
    });
  });
});

describe('a path that carries datagrams one way only', () => {
  let cable: Cable;

  afterEach(() => cable.close());

  test("between PlainTransports: the far end finds 'sctp-incomplete'", async () => {
    const options = { listenInfo: LOOPBACK[0]!, enableSctp: true };
    const near = await router.createPlainTransport(options);
    const far = await router.createPlainTransport(options);
    cable = await Cable.between(near, far, true);
    for (const end of [near, far]) await end.produceData({ sctpStreamParameters: { streamId: 0 } });
    const { state } = await untilFinding(far, 'sctp-incomplete');
    expect(state).toMatchObject({ sctpState: 'connecting', datagramsDropped: 0 });
    expect(await codes(near)).toEqual(['no-sctp-received']);
  });

  test("between encrypted pipes: 'no-dtls-answer' and 'dtls-incomplete'", async () => {
    const options = { listenInfo: LOOPBACK[0]!, enableSctp: true, enableDtls: true };
    const near = await router.createPipeTransport(options);
    const far = await router.createPipeTransport(options);
    cable = await Cable.between(near, far, true);
    await untilFinding(far, 'dtls-incomplete');
    expect(await codes(near)).toEqual(['no-dtls-answer']);
  });
});

test("a PlainTransport with comedia that no peer has reached: 'no-sctp-received'", async () => {
  const transport = await router.createPlainTransport({
    listenInfo: LOOPBACK[0]!,
    enableSctp: true,
    comedia: true,
  });
  expect(await codes(transport)).toEqual(['no-sctp-received']);
});

test('a DirectTransport has no finding', async () => {
  const transport = await router.createDirectTransport();
  expect(await transport.diagnose()).toEqual({ state: { datagramsDropped: 0 }, findings: [] });
});

test('diagnose() of a closed transport rejects with a NotFoundError', async () => {
  const transport = await webRtc();
  transport.close();
  await expect(transport.diagnose()).rejects.toMatchObject({ name: 'NotFoundError' });
});
