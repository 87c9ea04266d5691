import * as datasoup from '../..';
import type { types } from '../..';
import { closes } from './EventRecorder';
import { Inbox } from './Inbox';

/** The loopback address, with a port of the worker's range. */
export const LOOPBACK: types.TransportListenInfo[] = [{ protocol: 'udp', ip: '127.0.0.1' }];

/** Fingerprints that match no certificate, for a `connect()` without a peer. */
export const SOME_FINGERPRINTS: types.DtlsFingerprint[] = [
  { algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') },
];

/**
 * A DirectTransport for the application and a WebRtcTransport for a client, with a DataProducer on each and the
 * DataConsumer of it on the other.
 */
export interface Arrangement {
  worker: types.Worker;
  router: types.Router;
  directTransport: types.DirectTransport;
  webRtcTransport: types.WebRtcTransport;
  /** A DataProducer on directTransport. */
  dataProducerDirect: types.DataProducer;
  /** The DataConsumer of dataProducerDirect on webRtcTransport, stream 0. */
  dataConsumerSctp: types.DataConsumer;
  /** A DataProducer on webRtcTransport, stream 1. */
  dataProducerSctp: types.DataProducer;
  /** The DataConsumer of dataProducerSctp on directTransport. */
  dataConsumerDirect: types.DataConsumer;
}

/** The events of an Arrangement's transports, and of what they carry, when their Router closes. */
export const TRANSPORTS_OF_A_CLOSING_ROUTER = [
  ...closes('dataProducerDirect', 'transportclose'),
  ...closes('dataConsumerDirect', 'transportclose'),
  ...closes('directTransport', 'routerclose'),
  ...closes('dataProducerSctp', 'transportclose'),
  ...closes('dataConsumerSctp', 'transportclose'),
  ...closes('webRtcTransport', 'routerclose'),
];

/**
 * Creates two transports that exchange messages both ways, on `given` or on a new Worker. `transport` is merged into
 * the options of createWebRtcTransport().
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

/** Both directions of a stream: `inbox` gets the client's messages, `source` and `dataConsumer` send to the client. */
export interface Channel {
  dataProducer: types.DataProducer;
  inbox: Inbox;
  source: types.DataProducer;
  dataConsumer: types.DataConsumer;
}

/** Creates the server's side of a channel on `streamId` of `transport`; the application's side is on `direct`. */
export async function channelOn(
  transport: types.WebRtcTransport,
  direct: types.DirectTransport,
  streamId: number,
): Promise<Channel> {
  const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId } });
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: dataProducer.id }));
  const source = await direct.produceData();
  const dataConsumer = await transport.consumeData({ dataProducerId: source.id, streamId });
  return { dataProducer, inbox, source, dataConsumer };
}
