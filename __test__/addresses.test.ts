import { once } from 'node:events';
import type * as dgram from 'node:dgram';
import type { types } from '..';
import './helpers/closeWorkers';
import { router, worker } from './helpers/router';
import { closeSocket, udpSocket } from './helpers/sockets';
import { bindingRequest, SUCCESS } from './helpers/stun';
import { until, untilState, within } from './helpers/wait';

/** Hosts with several addresses: which of them answers, and which are announced. Loopback has a whole network of them. */

const EVERYWHERE: types.TransportListenInfo = { protocol: 'udp', ip: '0.0.0.0' };

const sockets: dgram.Socket[] = [];

afterEach(() => Promise.all(sockets.splice(0).map(closeSocket)));

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
