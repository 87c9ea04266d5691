import * as datasoup from '..';
import type { types } from '..';
import { arrange, LOOPBACK, SOME_FINGERPRINTS, type Arrangement } from './helpers/arrangement';
import './helpers/closeWorkers';

/**
 * Which error a call rejects with if several fit, in the order of mediasoup: the arguments, then whether the object is
 * closed, then what else the call needs. Only that SCTP is not enabled comes before the arguments.
 */

const { NotFoundError, UnsupportedError, WorkerClosedError } = datasoup.errors;

type Call = (objects: Arrangement & Plain) => Promise<unknown>;

interface Plain {
  plain: types.PlainTransport;
  comedia: types.PlainTransport;
  pipe: types.PipeTransport;
}

/** Calls with invalid arguments. */
const INVALID: Record<string, Call> = {
  'router.createWebRtcTransport({})': ({ router }) => router.createWebRtcTransport({} as any),
  'router.createPlainTransport({})': ({ router }) => router.createPlainTransport({} as any),
  'router.createPipeTransport({})': ({ router }) => router.createPipeTransport({} as any),
  'router.createDirectTransport({ appData: 5 })': ({ router }) =>
    router.createDirectTransport({ appData: 5 as any }),
  'router.pipeToRouter({})': ({ router }) => router.pipeToRouter({} as any),
  'webRtcTransport.connect({})': (it) => it.webRtcTransport.connect({} as any),
  'plainTransport.connect({})': (it) => it.plain.connect({}),
  'plainTransport.connect(5) with comedia': (it) => it.comedia.connect(5 as any),
  'pipeTransport.connect({})': (it) => it.pipe.connect({} as any),
  'transport.produceData({})': (it) => it.webRtcTransport.produceData({}),
  'transport.consumeData({})': (it) => it.webRtcTransport.consumeData({} as any),
  'transport.enableTraceEvent(5)': (it) => it.webRtcTransport.enableTraceEvent(5 as any),
  'transport.setMaxIncomingBitrate(-1)': (it) => it.webRtcTransport.setMaxIncomingBitrate(-1),
  'transport.setMaxOutgoingBitrate(-1)': (it) => it.webRtcTransport.setMaxOutgoingBitrate(-1),
  'transport.setMinOutgoingBitrate(-1)': (it) => it.webRtcTransport.setMinOutgoingBitrate(-1),
  'dataConsumer.send(5)': (it) => it.dataConsumerSctp.send(5 as any),
  'dataConsumer.setSubchannels(5)': (it) => it.dataConsumerSctp.setSubchannels(5 as any),
  'dataConsumer.addSubchannel(-1)': (it) => it.dataConsumerSctp.addSubchannel(-1),
  'dataConsumer.removeSubchannel(-1)': (it) => it.dataConsumerSctp.removeSubchannel(-1),
  'dataConsumer.setBufferedAmountLowThreshold(-1)': (it) =>
    it.dataConsumerSctp.setBufferedAmountLowThreshold(-1),
  'dataProducer.send(5)': async (it) => it.dataProducerDirect.send(5 as any),
};

const INVALID_ON_WORKER: Record<string, Call> = {
  'worker.createRouter({ mediaCodecs: 5 })': ({ worker }) =>
    worker.createRouter({ mediaCodecs: 5 as any }),
  'worker.createWebRtcServer({})': ({ worker }) => worker.createWebRtcServer({} as any),
  'worker.updateSettings(5)': ({ worker }) => worker.updateSettings(5 as any),
};

/** Calls with valid arguments. */
const VALID: Record<string, Call> = {
  'webRtcTransport.connect()': (it) =>
    it.webRtcTransport.connect({ dtlsParameters: { fingerprints: SOME_FINGERPRINTS } }),
  'plainTransport.connect() with comedia': (it) => it.comedia.connect(),
  'transport.enableTraceEvent()': (it) => it.webRtcTransport.enableTraceEvent(),
  'directTransport.setMaxIncomingBitrate(5)': (it) => it.directTransport.setMaxIncomingBitrate(5),
  'dataConsumer.send() of type direct': (it) => it.dataConsumerDirect.send('x'),
  'dataConsumer.setSubchannels([])': (it) => it.dataConsumerSctp.setSubchannels([]),
};

async function arrangeAll(): Promise<Arrangement & Plain> {
  const objects = await arrange();
  const { router } = objects;
  const listenInfo = LOOPBACK[0]!;
  return {
    ...objects,
    plain: await router.createPlainTransport({ listenInfo }),
    comedia: await router.createPlainTransport({ listenInfo, comedia: true }),
    pipe: await router.createPipeTransport({ listenInfo }),
  };
}

describe.each([
  ['router', NotFoundError],
  ['worker', WorkerClosedError],
] as const)('after %s.close()', (name, ClosedError) => {
  let objects: Arrangement & Plain;

  beforeAll(async () => {
    objects = await arrangeAll();
    objects[name].close();
  });

  afterAll(() => objects.worker.close());

  test.each(Object.entries(name === 'worker' ? { ...INVALID, ...INVALID_ON_WORKER } : INVALID))(
    '%s rejects with a TypeError',
    async (_title, call) => {
      await expect(call(objects)).rejects.toThrow(TypeError);
    },
  );

  test.each(Object.entries(VALID))(`%s rejects with ${ClosedError.name}`, async (_title, call) => {
    await expect(call(objects)).rejects.toThrow(ClosedError);
  });

  test(`createWebRtcTransport({ webRtcServer }), which closed as well, rejects with ${ClosedError.name}`, async () => {
    const other = await datasoup.createWorker();
    const webRtcServer = await other.createWebRtcServer({ listenInfos: LOOPBACK });
    webRtcServer.close();
    await expect(objects.router.createWebRtcTransport({ webRtcServer })).rejects.toThrow(
      ClosedError,
    );
    other.close();
  });
});

describe('transport.produceData() and consumeData() without SCTP', () => {
  let objects: Arrangement & Plain;

  beforeAll(async () => {
    objects = await arrangeAll();
  });

  afterAll(() => objects.worker.close());

  test('reject with NotFoundError after close()', async () => {
    await expect(objects.plain.produceData({})).rejects.toThrow('set enableSctp');
    objects.plain.close();
    await expect(objects.plain.produceData({})).rejects.toThrow(NotFoundError);
    await expect(objects.plain.consumeData({} as any)).rejects.toThrow(NotFoundError);
  });

  test('directTransport.setMaxIncomingBitrate() rejects a wrong value with a TypeError, any other with UnsupportedError', async () => {
    await expect(objects.directTransport.setMaxIncomingBitrate(-1)).rejects.toThrow(TypeError);
    await expect(objects.directTransport.setMaxIncomingBitrate(5)).rejects.toThrow(
      UnsupportedError,
    );
  });
});

test('pipeToRouter() to a closed router rejects with NotFoundError, also where keepId is not possible', async () => {
  const { worker, router, dataProducerDirect } = await arrange();
  const other = await worker.createRouter();
  other.close();
  await expect(
    router.pipeToRouter({ dataProducerId: dataProducerDirect.id, router: other }),
  ).rejects.toThrow(NotFoundError);
  expect((await router.dump()).transportIds).toHaveLength(2);
  worker.close();
});
