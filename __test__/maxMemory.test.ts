import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { LOOPBACK } from './helpers/arrangement';
import { notIntegers, titled } from './helpers/arguments';
import { nextEvent } from './helpers/wait';

const MAX_MEMORY = 1024 * 1024;
const MESSAGE = Buffer.alloc(10_000);

let worker: types.Worker;
let router: types.Router;
let transport: types.DirectTransport;
let dataProducer: types.DataProducer;

beforeEach(async () => {
  worker = await datasoup.createWorker({ maxMemory: MAX_MEMORY });
  router = await worker.createRouter();
  transport = await router.createDirectTransport();
  dataProducer = await transport.produceData();
});

afterEach(() => worker.close());

/** Sends until a message is refused; returns how many were accepted. */
function fill(): number {
  for (let sent = 0; ; sent++) {
    try {
      dataProducer.send(MESSAGE);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL' });
      return sent;
    }
  }
}

test.each(titled<unknown>([0, ...notIntegers(MAX_MEMORY, Number.MAX_SAFE_INTEGER)]))(
  'createWorker({ maxMemory: %s }) rejects with a TypeError',
  async (_title, maxMemory) => {
    const created = datasoup.createWorker({ maxMemory: maxMemory as number });
    await expect(created).rejects.toThrow(TypeError);
    await expect(created).rejects.toThrow('maxMemory must be an integer from 1048576 to');
  },
);

test('messages in all queues together stay below maxMemory; what is refused is counted', async () => {
  const dataConsumers = await Promise.all(
    [1, 2].map(() => transport.consumeData({ dataProducerId: dataProducer.id })),
  );
  let received = 0;
  for (const dataConsumer of dataConsumers) {
    dataConsumer.on('message', () => received++);
  }
  const accepted = fill();
  expect(accepted).toBeGreaterThan(0);
  expect(accepted).toBeLessThanOrEqual(MAX_MEMORY / MESSAGE.length);
  await nextEvent(dataProducer, 'drain');
  dataProducer.send(MESSAGE);
  const all = await Promise.all(dataConsumers.map((dataConsumer) => dataConsumer.getStats()));
  const dropped = all.flat().reduce((sum, { messagesDroppedFull }) => sum + messagesDroppedFull, 0);
  expect(received + dropped).toBe(2 * (accepted + 1));
  // One of the refused ones is the last one of fill().
  await expect(worker.dump()).resolves.toMatchObject({
    bytesHeld: 0,
    messagesDroppedMemory: dropped + 1,
  });
});

test('dataConsumer.send() beyond maxMemory rejects with sctpsendbufferfull', async () => {
  const webRtcTransport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
  });
  const dataConsumer = await webRtcTransport.consumeData({ dataProducerId: dataProducer.id });
  const events: string[] = [];
  dataConsumer.on('sctpsendbufferfull', () => events.push('full'));
  const outcomes = await Promise.allSettled(
    Array.from({ length: 150 }, () => dataConsumer.send(MESSAGE)),
  );
  const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length;
  expect(accepted).toBeGreaterThan(0);
  expect(accepted).toBeLessThanOrEqual(MAX_MEMORY / MESSAGE.length);
  const reasons = outcomes.flatMap((it) => (it.status === 'rejected' ? [it.reason.message] : []));
  expect(new Set(reasons)).toEqual(new Set(['sctpsendbufferfull']));
  expect(events.length).toBeGreaterThan(0);
  const charged = accepted * (MESSAGE.length + 64);
  const { bytesHeld, messagesDroppedMemory } = await worker.dump();
  expect({ bytesHeld, messagesDroppedMemory }).toEqual({
    bytesHeld: charged,
    messagesDroppedMemory: 150 - accepted,
  });
  // What one queue holds is missing for all others.
  expect(fill()).toBe(0);
  webRtcTransport.close();
  await nextEvent(dataProducer, 'drain');
  dataProducer.send(MESSAGE);
});

test('without maxMemory the dump shows what is held', async () => {
  const other = await datasoup.createWorker();
  await expect(other.dump()).resolves.toMatchObject({ bytesHeld: 0, messagesDroppedMemory: 0 });
  other.close();
});
