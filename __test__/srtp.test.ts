import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { Inbox } from './helpers/Inbox';
import { router, router2 } from './helpers/twoRouters';

/** SRTP is for media: a transport for data ignores its options, with one warning each. */

const { UnsupportedError } = datasoup.errors;

const listenInfo: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };
const srtpParameters = { cryptoSuite: 'AEAD_AES_256_GCM', keyBase64: 'a2V5' };

const warnings: string[] = [];

beforeAll(() => {
  datasoup.setLogEventListeners({ onwarn: (_namespace, line) => void warnings.push(line) });
});

afterAll(() => datasoup.setLogEventListeners());

/** The warnings since the first test of this file, because a line comes once per process. */
function warningsOf(option: string): string[] {
  return warnings.filter((line) => line.startsWith(`${option} `));
}

describe.each(['createPlainTransport', 'createPipeTransport'] as const)('router.%s()', (create) => {
  test('with enableSrtp and enableSctp carries messages, connected with srtpParameters, and warns once', async () => {
    const options = { listenInfo, enableSctp: true, enableSrtp: true };
    const near = await router[create](options);
    const far = await router2[create](options);
    expect(near.srtpParameters).toBeUndefined();
    const address = (of: typeof near): { ip: string; port: number } => ({
      ip: of.tuple.localIp,
      port: of.tuple.localPort,
    });
    await near.connect({ ...address(far), srtpParameters });
    await far.connect({ ...address(near), srtpParameters });

    const source = await (await router.createDirectTransport()).produceData();
    const { sctpStreamParameters } = await near.consumeData({ dataProducerId: source.id });
    const { id } = await far.produceData({ sctpStreamParameters });
    const direct = await router2.createDirectTransport();
    const inbox = new Inbox(await direct.consumeData({ dataProducerId: id }));
    source.send('hello');
    expect(await inbox.count(1)).toEqual([{ text: 'hello', ppid: 51 }]);
    expect(warningsOf('enableSrtp')).toHaveLength(1);
    expect(warningsOf('srtpParameters')).toHaveLength(1);
  });

  test('without enableSctp rejects enableSrtp and srtpParameters with UnsupportedError', async () => {
    await expect(router[create]({ listenInfo, enableSrtp: true })).rejects.toThrow(
      UnsupportedError,
    );
    const transport = await router[create]({ listenInfo });
    const address = { ip: '127.0.0.1', port: 5000 };
    await expect(transport.connect({ ...address, srtpParameters })).rejects.toThrow(
      UnsupportedError,
    );
    await expect(transport.connect(address)).resolves.toBeUndefined();
  });
});

test('plainTransport.connect({ srtpParameters }) with comedia is ignored with enableSctp, else UnsupportedError', async () => {
  const data = await router.createPlainTransport({ listenInfo, comedia: true, enableSctp: true });
  await expect(data.connect({ srtpParameters })).resolves.toBeUndefined();
  const none = await router.createPlainTransport({ listenInfo, comedia: true });
  await expect(none.connect({ srtpParameters })).rejects.toThrow(UnsupportedError);
});

test('pipeToRouter({ enableSrtp: true }) carries messages, and rejects with UnsupportedError without SCTP', async () => {
  const source = await (await router.createDirectTransport()).produceData();
  const options = { dataProducerId: source.id, router: router2, enableSrtp: true };
  await expect(router.pipeToRouter({ ...options, enableSctp: false } as any)).rejects.toThrow(
    UnsupportedError,
  );
  await router.pipeToRouter(options as types.PipeToRouterOptions);
  const direct = await router2.createDirectTransport();
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: source.id }));
  source.send('piped');
  expect(await inbox.count(1)).toEqual([{ text: 'piped', ppid: 51 }]);
});
