// This file is compiled, but not run. `tsc -p .` must reject each line below a @ts-expect-error; if tsc accepts the
// line, the unused @ts-expect-error is an error.

import * as datasoup from '../..';
import type { types } from '../..';

declare const worker: types.Worker;
declare const webRtcServer: types.WebRtcServer;
declare const router: types.Router;
declare const webRtcTransport: types.WebRtcTransport;
declare const plainTransport: types.PlainTransport;
declare const pipeTransport: types.PipeTransport;
declare const directTransport: types.DirectTransport;
declare const transport: types.Transport;
declare const dataProducer: types.DataProducer;
declare const dataConsumer: types.DataConsumer;

const listenInfo: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };
const dataProducerId = 'id';

function takes<T>(_value: T): void {}

export function settings(): void {
  // @ts-expect-error unknown level
  datasoup.createWorker({ logLevel: 'info' });
  // @ts-expect-error unknown tag
  datasoup.createWorker({ logTags: ['http'] });
  // @ts-expect-error a number as a string
  datasoup.createWorker({ rtcMinPort: '10000' });
  // @ts-expect-error dtlsCertificateFile is a string, not a Buffer
  datasoup.createWorker({ dtlsCertificateFile: Buffer.alloc(1) });
  // @ts-expect-error not one of the settings that can be changed
  worker.updateSettings({ rtcMinPort: 10_000 });
  // @ts-expect-error a function with other arguments
  datasoup.setLogEventListeners({ onwarn: (line: number) => line });
  // @ts-expect-error workerBin is absent, because a Worker is a thread without a program of its own
  datasoup.workerBin;
  // @ts-expect-error parseScalabilityMode() is absent, because it is about media
  datasoup.parseScalabilityMode('L1T1');
}

export function listening(): void {
  // @ts-expect-error no listenInfos
  worker.createWebRtcServer({});
  // @ts-expect-error not a list
  worker.createWebRtcServer({ listenInfos: listenInfo });
  // @ts-expect-error no ip
  worker.createWebRtcServer({ listenInfos: [{ protocol: 'udp' }] });
  // @ts-expect-error no protocol
  worker.createWebRtcServer({ listenInfos: [{ ip: '127.0.0.1' }] });
  // @ts-expect-error no max
  worker.createWebRtcServer({ listenInfos: [{ ...listenInfo, portRange: { min: 1 } }] });
  // @ts-expect-error unknown flag
  worker.createWebRtcServer({ listenInfos: [{ ...listenInfo, flags: { tcpNoDelay: true } }] });
  // @ts-expect-error either webRtcServer or listenInfos, not both
  router.createWebRtcTransport({ webRtcServer, listenInfos: [listenInfo] });
  // @ts-expect-error either listenIps or listenInfos, not both
  router.createWebRtcTransport({ listenIps: ['127.0.0.1'], listenInfos: [listenInfo] });
  // @ts-expect-error port belongs to listenIps
  router.createWebRtcTransport({ listenInfos: [listenInfo], port: 4443 });
  // @ts-expect-error a transport is not a WebRtcServer
  router.createWebRtcTransport({ webRtcServer: webRtcTransport });
  // @ts-expect-error nothing to listen on
  router.createPlainTransport({ comedia: true });
  // @ts-expect-error port belongs to listenIp
  router.createPipeTransport({ listenInfo, port: 4443 });
  // @ts-expect-error either listenInfo or listenIp, not both
  router.pipeToRouter({ dataProducerId, router, listenInfo, listenIp: '127.0.0.1' });
  // @ts-expect-error listenIp is one address, not a list
  router.createPlainTransport({ listenIp: ['127.0.0.1'] });
  // @ts-expect-error not a number
  router.createPlainTransport({ listenInfo, maxSendMessageSize: '262144' });
  // @ts-expect-error MIS is missing
  router.createPlainTransport({ listenInfo, numSctpStreams: { OS: 1024 } });
}

export function connecting(): void {
  // @ts-expect-error no parameters
  webRtcTransport.connect();
  // @ts-expect-error no fingerprints
  webRtcTransport.connect({ dtlsParameters: { role: 'client' } });
  // @ts-expect-error unknown role
  webRtcTransport.connect({ dtlsParameters: { role: 'server-ish', fingerprints: [] } });
  // @ts-expect-error unknown algorithm
  webRtcTransport.connect({ dtlsParameters: { fingerprints: [{ algorithm: 'md5', value: '' }] } });
  // @ts-expect-error an address, not DTLS parameters
  webRtcTransport.connect({ ip: '127.0.0.1', port: 1 });
  // @ts-expect-error no port
  pipeTransport.connect({ ip: '127.0.0.1' });
  // @ts-expect-error the port is a number
  plainTransport.connect({ ip: '127.0.0.1', port: '1' });
  // @ts-expect-error only WebRtcTransports do ICE
  plainTransport.restartIce();
  // @ts-expect-error only plain and pipe transports have a tuple
  webRtcTransport.tuple;
  // @ts-expect-error no SCTP
  directTransport.sctpState;
}

export function data(): void {
  // @ts-expect-error two arguments are the wrong way round
  transport.produceData('label', { streamId: 1 });
  // @ts-expect-error not a number
  transport.produceData({ sctpStreamParameters: { streamId: '1' } });
  // @ts-expect-error not a string
  transport.produceData({ sctpStreamParameters: { streamId: 1 }, label: 5 });
  // @ts-expect-error no options
  transport.consumeData();
  // @ts-expect-error a DataProducer is not its id
  transport.consumeData({ dataProducerId: dataProducer });
  // @ts-expect-error numbers, not strings
  transport.consumeData({ dataProducerId, subchannels: ['1'] });
  // @ts-expect-error send() needs a message
  dataProducer.send();
  // @ts-expect-error a message is not a plain object
  dataProducer.send({ hello: 'world' });
  // @ts-expect-error a message is not an array
  dataProducer.send([1]);
  // @ts-expect-error the ppid is a number
  dataProducer.send('text', '51');
  // @ts-expect-error a list of subchannels
  dataProducer.send('text', 51, 1);
  // @ts-expect-error send() of a DataProducer returns nothing
  dataProducer.send('text').then();
  // @ts-expect-error dataConsumer.send() knows no subchannels
  dataConsumer.send('text', 51, [1]);
  // @ts-expect-error addSubchannel() takes a number
  dataConsumer.addSubchannel([1]);
  // @ts-expect-error setSubchannels() takes a list
  dataConsumer.setSubchannels(1);
  // @ts-expect-error a promise of a number
  takes<number>(dataConsumer.getBufferedAmount());
}

export function readOnly(): void {
  // @ts-expect-error read only
  worker.pid = 1;
  // @ts-expect-error read only
  router.closed = true;
  // @ts-expect-error read only
  router.rtpCapabilities = { codecs: [], headerExtensions: [] };
  // @ts-expect-error read only
  webRtcTransport.iceParameters = webRtcTransport.iceParameters;
  // @ts-expect-error read only
  plainTransport.tuple = plainTransport.tuple;
  // @ts-expect-error read only
  dataConsumer.subchannels = [1];
  // @ts-expect-error read only
  dataConsumer.bufferedAmount = 0;
  // @ts-expect-error interfaces are not classes
  new datasoup.Worker();
}

export function events(): void {
  // @ts-expect-error the events of a Worker have no such name
  worker.on('closed', () => {});
  // @ts-expect-error 'died' has one argument, an Error
  worker.on('died', (_code: number) => {});
  // @ts-expect-error an event of the Worker, not of its observer
  worker.observer.on('died', () => {});
  // @ts-expect-error 'newrouter' gives a Router
  worker.observer.on('newrouter', (_transport: types.Transport) => {});
  // @ts-expect-error only a WebRtcTransport emits icestatechange
  plainTransport.on('icestatechange', () => {});
  // @ts-expect-error only a PlainTransport emits tuple
  pipeTransport.on('tuple', () => {});
  // @ts-expect-error a DirectTransport has no SCTP
  directTransport.on('sctpstatechange', () => {});
  // @ts-expect-error no such state
  webRtcTransport.on('dtlsstatechange', (state) => state === 'open');
  // @ts-expect-error 'message' gives a Buffer
  dataConsumer.on('message', (_message: string) => {});
  // @ts-expect-error only a DataConsumer emits 'message'
  dataProducer.once('message', () => {});
  // @ts-expect-error only a DataProducer emits 'drain'
  dataConsumer.off('drain', () => {});
  // @ts-expect-error one argument too few
  dataConsumer.emit('bufferedamountlow');
  // @ts-expect-error the names of events are checked here as well
  datasoup.extras.enhancedOnce<types.WorkerEvents, 'message'>(worker, 'message');
}

export async function appData(): Promise<void> {
  const typed = await router.createDirectTransport({ appData: { room: 'kitchen' } });
  // @ts-expect-error no such member
  typed.appData.kitchen;
  // @ts-expect-error wrong type
  typed.appData.room = 5;
  // @ts-expect-error a member is missing
  typed.appData = {};
  // @ts-expect-error not the appData that was promised
  await router.createDirectTransport<{ room: string }>({ appData: { room: 5 } });
  // @ts-expect-error not an object
  await transport.produceData({ appData: 'text' });
  // @ts-expect-error another appData
  takes<types.DirectTransport<{ room: number }>>(typed);

  // Without a type argument the members of appData have the type unknown.
  const untyped = await router.createDirectTransport();
  untyped.appData.anything = 5;
  // @ts-expect-error unknown
  untyped.appData.anything.toFixed();
}

export async function media(): Promise<void> {
  // @ts-expect-error produce() never resolves, so there is no result to close
  (await transport.produce()).close();
  // @ts-expect-error createSvcObserver() is absent
  router.createSvcObserver();
  // @ts-expect-error srtpParameters is always undefined
  plainTransport.srtpParameters.cryptoSuite;
}
