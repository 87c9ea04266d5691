import * as datasoup from '../..';
import type { types } from '../..';

/** Listens on the loopback address, on a port of the worker's range. */
export const LOOPBACK: types.TransportListenInfo[] = [{ protocol: 'udp', ip: '127.0.0.1' }];

/** Fingerprints of no certificate, for a `connect()` without a peer. */
export const SOME_FINGERPRINTS: types.DtlsFingerprint[] = [
  { algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') },
];

/** One entity of each kind, as for an application that talks with one browser. */
export interface Arrangement {
  worker: types.Worker;
  router: types.Router;
  directTransport: types.DirectTransport;
  webRtcTransport: types.WebRtcTransport;
  /** On directTransport. */
  dataProducerDirect: types.DataProducer;
  /** Of dataProducerDirect, on webRtcTransport, stream 0. */
  dataConsumerSctp: types.DataConsumer;
  /** On webRtcTransport, stream 1. */
  dataProducerSctp: types.DataProducer;
  /** Of dataProducerSctp, on directTransport. */
  dataConsumerDirect: types.DataConsumer;
}

/**
 * Makes two transports that exchange messages both ways, on a worker of their own unless one is
 * given. `transport` goes to createWebRtcTransport().
 */
export async function arrange(
  transport: Partial<types.WebRtcTransportOptions> = {},
  given?: types.Worker,
): Promise<Arrangement> {
  const worker = given ?? (await datasoup.createWorker());
  const router = await worker.createRouter();
  const directTransport = await router.createDirectTransport();
  const webRtcTransport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
    ...transport,
  } as types.WebRtcTransportOptions);
  const dataProducerDirect = await directTransport.produceData();
  const dataProducerSctp = await webRtcTransport.produceData({
    sctpStreamParameters: { streamId: 1 },
  });
  const dataConsumerSctp = await webRtcTransport.consumeData({
    dataProducerId: dataProducerDirect.id,
  });
  const dataConsumerDirect = await directTransport.consumeData({
    dataProducerId: dataProducerSctp.id,
  });
  return {
    worker,
    router,
    directTransport,
    webRtcTransport,
    dataProducerDirect,
    dataConsumerSctp,
    dataProducerSctp,
    dataConsumerDirect,
  };
}
