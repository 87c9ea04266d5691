import { once } from 'node:events';
import * as net from 'node:net';
import type { types } from '../..';
import '../helpers/closeWorkers';
import { router, worker } from '../helpers/router';
import { bindingRequest, SUCCESS } from '../helpers/stun';
import { untilState, within } from '../helpers/wait';

/** ICE over TCP: candidates, and a client that sends STUN with RFC 4571 framing. */

const UDP: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };
const TCP: types.TransportListenInfo = { protocol: 'tcp', ip: '127.0.0.1' };
const FIRST = 1_076_302_079;

const sockets: net.Socket[] = [];

afterEach(() => {
  sockets.splice(0).forEach((socket) => socket.destroy());
});

async function dial(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** The payload of the next frame. */
async function nextFrame(socket: net.Socket): Promise<Buffer> {
  let received = Buffer.alloc(0);
  const complete = new Promise<Buffer>((resolve) => {
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        resolve(received.subarray(2, 2 + received.readUInt16BE(0)));
      }
    });
  });
  return within(complete, 'a frame over TCP');
}

/** Resolves once the connection has ended, with or without an error. */
function untilEnded(socket: net.Socket): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return within(closed, 'the end of a connection');
}

function requestFor(transport: types.WebRtcTransport): Buffer {
  const { usernameFragment, password } = transport.iceParameters;
  return bindingRequest(`${usernameFragment}:client`, password);
}

function tcpPort(transport: types.WebRtcTransport): number {
  return transport.iceCandidates.find(({ protocol }) => protocol === 'tcp')!.port;
}

describe('iceCandidates', () => {
  const shown = (transport: types.WebRtcTransport): object[] =>
    transport.iceCandidates.map(({ foundation, protocol, priority, tcpType }) => ({
      foundation,
      protocol,
      priority,
      tcpType,
    }));
  const udp = (priority: number): object => ({
    foundation: 'udpcandidate',
    protocol: 'udp',
    priority,
    tcpType: undefined,
  });
  const tcp = (priority: number): object => ({
    foundation: 'tcpcandidate',
    protocol: 'tcp',
    priority,
    tcpType: 'passive',
  });

  test.each<[string, object, object[]]>([
    ['{ listenInfos: [tcp] }', { listenInfos: [TCP] }, [tcp(FIRST)]],
    [
      '{ listenInfos: [udp, tcp] }',
      { listenInfos: [UDP, TCP] },
      [udp(FIRST), tcp(FIRST - (100 << 8))],
    ],
    [
      '{ listenInfos: [tcp, udp], preferUdp: true }',
      { listenInfos: [TCP, UDP], preferUdp: true },
      [tcp(FIRST), udp(FIRST - (100 << 8))],
    ],
    [
      '{ listenInfos: [udp, tcp], enableUdp: false, enableTcp: false, preferTcp: true }',
      { listenInfos: [UDP, TCP], enableUdp: false, enableTcp: false, preferTcp: true },
      [udp(FIRST), tcp(FIRST - (100 << 8))],
    ],
    [
      "{ listenIps: ['127.0.0.1'], enableTcp: true }",
      { listenIps: ['127.0.0.1'], enableTcp: true },
      [udp(FIRST), tcp(FIRST - (100 << 8))],
    ],
  ])(
    'createWebRtcTransport(%s) has its candidates in order of priority',
    async (_title, options, expected) => {
      const transport = await router.createWebRtcTransport(options as types.WebRtcTransportOptions);
      expect(shown(transport)).toEqual(expected);
    },
  );

  test.each<[string, object, number, number]>([
    ['{}', {}, 0, 0],
    ['{ preferUdp: true }', { preferUdp: true }, 1000, 0],
    ['{ preferTcp: true }', { preferTcp: true }, 0, 1000],
  ])(
    'createWebRtcTransport({ webRtcServer, ...%s }) has UDP and TCP candidates',
    async (_title, options, more, moreTcp) => {
      const webRtcServer = await worker.createWebRtcServer({ listenInfos: [UDP, TCP] });
      const transport = await router.createWebRtcTransport({ webRtcServer, ...options });
      expect(shown(transport)).toEqual(
        expect.arrayContaining([
          udp(FIRST + (more << 8)),
          tcp(FIRST - (100 << 8) + (moreTcp << 8)),
        ]),
      );
      const { udpSockets, tcpServers } = await webRtcServer.dump();
      expect(udpSockets).toHaveLength(1);
      expect(tcpServers).toEqual([{ ip: '127.0.0.1', port: tcpPort(transport) }]);
    },
  );
});

describe.each(['sockets of its own', 'a WebRtcServer'])('a transport with %s', (kind) => {
  let transport: types.WebRtcTransport;

  beforeEach(async () => {
    transport =
      kind === 'a WebRtcServer'
        ? await router.createWebRtcTransport({
            webRtcServer: await worker.createWebRtcServer({ listenInfos: [UDP, TCP] }),
          })
        : await router.createWebRtcTransport({ listenInfos: [UDP, TCP] });
  });

  test('answers a framed Binding request and selects the tuple', async () => {
    const socket = await dial(tcpPort(transport));
    const request = requestFor(transport);
    socket.write(framed(request));
    const answer = await nextFrame(socket);
    expect(answer.readUInt16BE(0)).toBe(SUCCESS);
    expect(answer.subarray(8, 20)).toEqual(request.subarray(8, 20));
    await untilState(transport, 'iceState', 'completed');
    expect(transport.iceSelectedTuple).toMatchObject({
      localPort: tcpPort(transport),
      remotePort: socket.localPort,
      protocol: 'tcp',
    });
  });

  test('answers a request that arrives byte by byte, and requests that arrive together', async () => {
    const socket = await dial(tcpPort(transport));
    socket.setNoDelay(true);
    for (const byte of framed(requestFor(transport))) {
      await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => resolve()));
    }
    expect((await nextFrame(socket)).readUInt16BE(0)).toBe(SUCCESS);
    const second = await dial(tcpPort(transport));
    second.write(Buffer.concat([framed(requestFor(transport)), framed(requestFor(transport))]));
    expect((await nextFrame(second)).readUInt16BE(0)).toBe(SUCCESS);
  });

  test('closes connections that send garbage and keeps the others', async () => {
    const good = await dial(tcpPort(transport));
    good.write(framed(requestFor(transport)));
    await nextFrame(good);
    await untilState(transport, 'iceState', 'completed');
    const selected = transport.iceSelectedTuple;
    for (const garbage of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0, 0, 0, 0]),
      Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.alloc(70_000, 1)]),
      Buffer.from([0xff]),
    ]) {
      const bad = await dial(tcpPort(transport));
      bad.end(garbage);
      await untilEnded(bad);
    }
    const request = requestFor(transport);
    const answered = nextFrame(good);
    good.write(framed(request));
    expect((await answered).subarray(8, 20)).toEqual(request.subarray(8, 20));
    expect(transport.iceSelectedTuple).toEqual(selected);
    expect(transport.iceState).toBe('completed');
  });

  test('closes the connection on transport.close()', async () => {
    const socket = await dial(tcpPort(transport));
    socket.write(framed(requestFor(transport)));
    await nextFrame(socket);
    const ended = untilEnded(socket);
    transport.close();
    await ended;
  });
});
