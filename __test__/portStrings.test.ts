import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { freePort } from './helpers/sockets';

/** Ports from the environment: strings of digits, which TypeScript rejects and JavaScript passes on. */

let worker: types.Worker;
let router: types.Router;
let port: number;

beforeAll(async () => {
  worker = await datasoup.createWorker();
  router = await worker.createRouter();
});

beforeEach(async () => {
  port = await freePort();
});

afterAll(() => worker.close());

const text = (number: number): any => String(number);

test.each<[string, () => object]>([
  ['port', () => ({ port: text(port) })],
  ['portRange', () => ({ portRange: { min: text(port), max: text(port) } })],
])('%s of a listenInfo', async (_title, more) => {
  const listenInfo = { protocol: 'udp', ip: '127.0.0.1', ...more() } as types.TransportListenInfo;
  const webRtcServer = await worker.createWebRtcServer({ listenInfos: [listenInfo] });
  expect((await webRtcServer.dump()).udpSockets).toEqual([{ ip: '127.0.0.1', port }]);
  webRtcServer.close();
  await worker.dump();
  const transport = await router.createPipeTransport({ listenInfo });
  expect(transport.tuple.localPort).toBe(port);
  transport.close();
});

test('port beside the older listenIp and listenIps', async () => {
  const plain = await router.createPlainTransport({ listenIp: '127.0.0.1', port: text(port) });
  expect(plain.tuple.localPort).toBe(port);
  plain.close();
  await router.dump();
  const webRtc = await router.createWebRtcTransport({
    listenIps: ['127.0.0.1'],
    port: text(port),
  });
  expect(webRtc.iceCandidates).toMatchObject([{ port }]);
  webRtc.close();
});

test('rtcMinPort and rtcMaxPort of createWorker()', async () => {
  const narrow = await datasoup.createWorker({ rtcMinPort: text(port), rtcMaxPort: text(port) });
  const listenInfos: types.TransportListenInfo[] = [{ protocol: 'udp', ip: '127.0.0.1' }];
  const webRtcServer = await narrow.createWebRtcServer({ listenInfos });
  expect((await webRtcServer.dump()).udpSockets).toEqual([{ ip: '127.0.0.1', port }]);
  narrow.close();
});

test.each(['createPlainTransport', 'createPipeTransport'] as const)(
  'port of connect() of %s()',
  async (create) => {
    const transport = await router[create]({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' } });
    await transport.connect({ ip: '127.0.0.1', port: text(port) });
    expect(transport.tuple.remotePort).toBe(port);
    transport.close();
  },
);

test('no other number may be a string', async () => {
  const listenInfo: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };
  await expect(
    router.createPlainTransport({ listenInfo, sctpSendBufferSize: text(5000) }),
  ).rejects.toThrow("sctpSendBufferSize must be an integer from 0 to 4294967295 (got '5000')");
  await expect(
    router.createPlainTransport({ listenInfo: { ...listenInfo, recvBufferSize: text(5000) } }),
  ).rejects.toThrow(TypeError);
});
