// This file is compiled, but not run: `tsc -p .` checks what index.d.ts accepts and (@ts-expect-error) rejects.

import * as datasoup from '../..';
import type { DataConsumer, types } from '../..';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_yes: Same<A, B>): void => {};

export async function appDataIsTyped(): Promise<void> {
  const worker = await datasoup.createWorker({ appData: { region: 'eu' } });
  same<typeof worker.appData, { region: string }>(true);
  worker.appData.region = 'us';
  worker.appData = { region: 'us' };
  // @ts-expect-error wrong type
  worker.appData = { region: 5 };
  // @ts-expect-error not an object
  await datasoup.createWorker({ appData: 5 });

  const router = await worker.createRouter();
  same<typeof router, types.Router<types.AppData>>(true);
  const transport = await router.createDirectTransport<{ peer: number }>({ appData: { peer: 1 } });
  same<typeof transport.appData.peer, number>(true);
  const dataProducer = await transport.produceData({ appData: { role: 'bot' } });
  same<typeof dataProducer, types.DataProducer<{ role: string }>>(true);
  const dataConsumer: DataConsumer = await transport.consumeData({
    dataProducerId: dataProducer.id,
  });
  dataConsumer.close();
}

export function eventsAreTyped(
  worker: types.Worker,
  webRtcTransport: types.WebRtcTransport,
  dataProducer: types.DataProducer,
  dataConsumer: types.DataConsumer,
): void {
  worker.on('died', (error) => same<typeof error, Error>(true));
  worker.once('listenererror', (name, error) => {
    const event: string = name;
    same<typeof error, Error>(true);
    return event;
  });
  worker.observer.on('newrouter', (router) => same<typeof router, types.Router>(true));
  datasoup.observer.on('newworker', (each) => same<typeof each, types.Worker>(true));
  webRtcTransport.on('sctpstatechange', (state) => same<typeof state, types.SctpState>(true));
  webRtcTransport.observer.on('newdataproducer', (each) => each.close());
  dataConsumer.on('message', (message, ppid) => {
    same<typeof message, Buffer>(true);
    same<typeof ppid, number>(true);
  });
  dataConsumer.on('overflow', ({ messages, bytes }) => messages + bytes);
  dataProducer.on('drain', () => {});
  // @ts-expect-error a Worker has no such event
  worker.on('death', () => {});
  // @ts-expect-error an event of the observer
  dataConsumer.on('pause', () => {});
  dataProducer.on('resume', () => {});
  // @ts-expect-error wrong argument
  dataConsumer.on('bufferedamountlow', (amount: string) => amount);
}

export async function optionsAreTyped(
  router: types.Router,
  webRtcServer: types.WebRtcServer,
  transport: types.Transport,
): Promise<void> {
  const listenInfo: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };

  await router.createWebRtcTransport({ listenInfos: [listenInfo], enableSctp: true });
  await router.createWebRtcTransport({ listenIps: ['127.0.0.1', { ip: '::1' }], port: 4443 });
  await router.createWebRtcTransport({ webRtcServer, maxSctpMessageSize: 65536 });
  await router.createPlainTransport({ listenInfo, comedia: true });
  await router.createPlainTransport({ listenIp: '127.0.0.1', port: 4443 });
  await router.createPipeTransport({ listenInfo, numSctpStreams: { OS: 1024, MIS: 1024 } });
  await router.createDirectTransport({ maxMessageSize: 1000 });
  await router.pipeToRouter({ dataProducerId: 'id', router, sctpSendBufferSize: 1000 });
  await router.pipeToRouter({ dataProducerId: 'id', router, listenInfo, keepId: false });
  // @ts-expect-error nothing to listen on
  await router.createWebRtcTransport({});
  // @ts-expect-error either listenInfo or listenIp, not both
  await router.createPlainTransport({ listenInfo, listenIp: '127.0.0.1' });
  // @ts-expect-error unknown protocol
  await router.createPlainTransport({ listenInfo: { protocol: 'sctp', ip: '127.0.0.1' } });
  // @ts-expect-error no router
  await router.pipeToRouter({ dataProducerId: 'id' });

  await transport.produceData({ sctpStreamParameters: { streamId: 1, maxRetransmits: 0 } });
  await transport.consumeData({ dataProducerId: 'id', subchannels: [1], streamId: 3 });
  // @ts-expect-error no streamId
  await transport.produceData({ sctpStreamParameters: { ordered: true } });
  // @ts-expect-error no dataProducerId
  await transport.consumeData({});
  same<Awaited<ReturnType<typeof transport.consume>>, never>(true);
}

export function kindsOfTransportsDiffer(
  transport: types.WebRtcTransport | types.PlainTransport | types.DirectTransport,
): types.IceState | types.TransportTuple | undefined {
  switch (transport.type) {
    case 'webrtc':
      return transport.iceState;
    case 'plain':
      return transport.tuple;
    case 'direct':
      return undefined;
  }
}

export function gettersCannotBeSet(dataProducer: types.DataProducer): void {
  // @ts-expect-error read only
  dataProducer.paused = true;
  // @ts-expect-error read only
  dataProducer.id = '';
  dataProducer.send('text');
  dataProducer.send(Buffer.alloc(1), 53, [1, 2], 3, 4);
  dataProducer.send(new Float64Array(1));
  dataProducer.send(new DataView(new SharedArrayBuffer(1)));
  dataProducer.send(new ArrayBuffer(1));
}

export async function helpersAreTyped(
  worker: types.Worker,
  dataConsumer: types.DataConsumer,
): Promise<void> {
  const [error] = await datasoup.extras.enhancedOnce<types.WorkerEvents, 'died'>(worker, 'died');
  same<typeof error, Error>(true);
  const [message, ppid] = await datasoup.extras.enhancedOnce<types.DataConsumerEvents, 'message'>(
    dataConsumer,
    'message',
    { signal: AbortSignal.timeout(1000) },
  );
  same<[typeof message, typeof ppid], [Buffer, number]>(true);

  const emitter = new datasoup.extras.EnhancedEventEmitter<{ moved: [x: number, y: number] }>();
  emitter.on('moved', (x, y) => x + y);
  emitter.safeEmit('moved', 1, 2);
  // @ts-expect-error an argument is missing
  emitter.safeEmit('moved', 1);

  const notFound: datasoup.errors.NotFoundError = new datasoup.errors.NotFoundError('gone');
  same<typeof notFound.message, string>(true);
  datasoup.setLogEventListeners({ onerror: (namespace, log, thrown) => [namespace, log, thrown] });
  datasoup.setLogEventListeners();
  same<typeof datasoup.version, string>(true);
}

export async function messagesAreIterated(
  dataConsumer: types.DataConsumer,
  dataProducer: types.DataProducer,
): Promise<void> {
  for await (const { message, ppid } of dataConsumer) {
    same<[typeof message, typeof ppid], [Buffer, number]>(true);
  }
  await using iterator = dataConsumer[Symbol.asyncIterator]();
  const { value, done } = await iterator.next();
  same<typeof value, types.ReceivedMessage | undefined>(true);
  same<typeof done, boolean | undefined>(true);
  dataConsumer.readable().pipe(dataProducer.writable());
  const reader = dataConsumer.readable().toWeb().getReader();
  same<Awaited<ReturnType<typeof reader.read>>['value'], types.ReceivedMessage | undefined>(true);
  const writer = dataProducer.writable().toWeb().getWriter();
  await writer.write({ message: 'text', subchannels: [1] });
  // @ts-expect-error no message
  await writer.write({ ppid: 51 });
}

export async function objectsAreDisposable(worker: types.Worker): Promise<void> {
  await using disposedWhenTheThreadHasEnded = worker;
  using router = await disposedWhenTheThreadHasEnded.createRouter();
  await router.dump();
}
