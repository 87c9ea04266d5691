// This import must precede that of the package, because the helper wraps the addon before the package loads it.
import { createMortalWorker } from './helpers/panic';
import { finished } from 'node:stream/promises';
import * as datasoup from '..';
import type { types } from '..';
import {
  arrange,
  LOOPBACK,
  TRANSPORTS_OF_A_CLOSING_ROUTER,
  type Arrangement,
} from './helpers/arrangement';
import './helpers/closeWorkers';
import { closes, EventRecorder } from './helpers/EventRecorder';
import { Inbox } from './helpers/Inbox';
import { canBind } from './helpers/sockets';
import { nextEvent, nextMacrotask, until } from './helpers/wait';

/** A panic in the thread of a Worker ends that Worker only. */

const { WorkerClosedError } = datasoup.errors;

let worker: types.Worker;
let panic: () => void;
let objects: Arrangement;

beforeEach(async () => {
  ({ worker, panic } = await createMortalWorker());
  objects = await arrange({}, worker);
});

afterEach(() => worker.close());

/** Makes the worker die and resolves once all its events have been emitted. */
async function die(): Promise<void> {
  panic();
  await until(worker, 'subprocessclose', () => worker.subprocessClosed);
}

test('all objects of the Worker close, then it emits died(error), close, subprocessclose and observer close', async () => {
  const recorder = new EventRecorder().watch({ ...objects });
  let error: unknown;
  worker.on('died', (given) => {
    error = given;
    expect(worker).toMatchObject({ closed: true, died: true });
  });
  await die();
  const lines = recorder.take();
  expect(lines.map((line) => line.replace(/died\(.*\)/, 'died(…)'))).toEqual([
    ...TRANSPORTS_OF_A_CLOSING_ROUTER,
    ...closes('router', 'workerclose'),
    'worker died(…)',
    'worker close',
    'worker subprocessclose',
    'worker.observer close',
  ]);
  expect(error).toBeInstanceOf(Error);
  // The message has the thread, the panic's message and its source position.
  expect((error as Error).message).toMatch(/^\[pid:\d+\] panic for tests \(src\/.*:\d+:\d+\)$/);
  expect((error as Error).message).toContain(String(worker.pid));
  expect(worker).toMatchObject({ closed: true, died: true, subprocessClosed: true });
});

test('pending calls reject with WorkerClosedError', async () => {
  panic();
  const pending: Promise<unknown>[] = [
    worker.dump(),
    worker.createRouter(),
    worker.createWebRtcServer({ listenInfos: LOOPBACK }),
    objects.router.createDirectTransport(),
    objects.directTransport.produceData(),
    objects.webRtcTransport.getStats(),
    objects.dataProducerDirect.pause(),
    objects.dataConsumerSctp.send('x'),
  ];
  const settled = await Promise.allSettled(pending);
  expect(settled.map(({ status }) => status)).toEqual(pending.map(() => 'rejected'));
  for (const result of settled) {
    expect((result as PromiseRejectedResult).reason).toBeInstanceOf(WorkerClosedError);
  }
});

test('calls after died reject with WorkerClosedError, and send() throws it', async () => {
  await die();
  await expect(worker.dump()).rejects.toThrow(WorkerClosedError);
  await expect(worker.createRouter()).rejects.toThrow(WorkerClosedError);
  await expect(objects.router.dump()).rejects.toThrow(WorkerClosedError);
  await expect(objects.dataConsumerSctp.send('x')).rejects.toThrow(WorkerClosedError);
  expect(() => objects.dataProducerDirect.send('x')).toThrow(WorkerClosedError);
});

test('send() between the panic and died returns or throws WorkerClosedError', async () => {
  panic();
  for (let count = 0; count < 1000; count++) {
    try {
      objects.dataProducerDirect.send('x');
    } catch (error) {
      expect(error).toBeInstanceOf(WorkerClosedError);
    }
  }
  await until(worker, 'subprocessclose', () => worker.subprocessClosed);
});

test('other workers keep working, and new ones can be created', async () => {
  const other = await arrange();
  const dataConsumer = await other.directTransport.consumeData({
    dataProducerId: other.dataProducerDirect.id,
  });
  const inbox = new Inbox(dataConsumer);
  await die();
  other.dataProducerDirect.send('still here');
  expect(await inbox.count(1)).toEqual([{ text: 'still here', ppid: 51 }]);
  const third = await datasoup.createWorker();
  await expect(third.dump()).resolves.toMatchObject({ pid: third.pid });
  third.close();
  other.worker.close();
});

test('the ports of the Worker are free again', async () => {
  const { port } = objects.webRtcTransport.iceCandidates[0]!;
  expect(await canBind('127.0.0.1', port)).toBe(false);
  await die();
  expect(await canBind('127.0.0.1', port)).toBe(true);
});

test('the WebRtcServers of the Worker emit workerclose', async () => {
  const webRtcServer = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
  const recorder = new EventRecorder().watch({ webRtcServer });
  await die();
  expect(recorder.take()).toEqual(closes('webRtcServer', 'workerclose'));
});

test('iterations and streams end after the queued messages, and writable() fails', async () => {
  const { directTransport, dataProducerDirect } = objects;
  const { id: dataProducerId } = dataProducerDirect;
  const dataConsumer = await directTransport.consumeData({ dataProducerId });
  const iterator = dataConsumer[Symbol.asyncIterator]();
  const first = iterator.next();
  const writable = dataProducerDirect.writable();
  const failed = finished(writable).catch((error: Error) => error);
  for (const text of ['1', '2', '3']) writable.write(text);
  await dataProducerDirect.getStats();
  expect(String((await first).value?.message)).toBe('1');
  await die();
  expect(await failed).toBeInstanceOf(WorkerClosedError);
  expect(String((await iterator.next()).value?.message)).toBe('2');
  expect(String((await iterator.next()).value?.message)).toBe('3');
  expect((await iterator.next()).done).toBe(true);
});

test('worker.close() in a died listener and later has no effect', async () => {
  const recorder = new EventRecorder().watch({ worker });
  worker.once('died', () => worker.close());
  await die();
  worker.close();
  expect(recorder.take().map((line) => line.replace(/\(.*/, ''))).toEqual([
    'worker died',
    'worker close',
    'worker subprocessclose',
    'worker.observer close',
  ]);
  await worker[Symbol.asyncDispose]();
});

test('a Worker closed right after a panic emits no died', async () => {
  const recorder = new EventRecorder().watch({ worker });
  panic();
  worker.close();
  await nextEvent(worker, 'subprocessclose');
  expect(recorder.take()).toEqual([...closes('worker'), 'worker subprocessclose']);
  expect(worker.died).toBe(false);
});

test('messages routed before the panic are delivered', async () => {
  const dataConsumer = await objects.directTransport.consumeData({
    dataProducerId: objects.dataProducerDirect.id,
  });
  const inbox = new Inbox(dataConsumer);
  for (let number = 0; number < 100; number++) {
    objects.dataProducerDirect.send(String(number));
  }
  await nextMacrotask();
  // Block the event loop until the worker has routed all messages.
  const end = performance.now() + 5_000;
  while (objects.dataProducerDirect.bufferedAmount > 0 && performance.now() < end);
  await die();
  expect(inbox.texts).toEqual(Array.from({ length: 100 }, (_value, index) => String(index)));
});
