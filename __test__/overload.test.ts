import * as datasoup from '..';
import type { types } from '..';
import { quantile } from '../bench/statistics';
import { Prober } from '../robustness/load/prober';
import { LOOPBACK } from './helpers/arrangement';
import './helpers/closeWorkers';
import { ROOT, runNode } from './helpers/process';
import { canBind } from './helpers/sockets';
import { nextEvent, within } from './helpers/wait';

/** While messages for hundreds of DataConsumers wait, a worker serves others, and close() does not wait for them. */

const CONSUMERS = 500;
/** The bound of the queue that tests fill: a debug build takes half a minute to route so much. */
const QUEUE_BYTES = 16 * 1024 * 1024;
/**
 * How long an answer, a free port, or the end of a worker or process may take under the load. `npm run robustness --
 * busy` has narrower limits, for an idle machine.
 */
const SOON_MS = 500;
const END_MS = 2_000;
/** The longest p99 of a round trip to a peer, in µs. */
const TRIP_MICROS = 100_000;
/** On a busy machine the worker may take this many times as long as while no messages wait. */
const QUIET_TIMES = 10;

/** How long the close of a router and the end of a worker take while no messages wait, in milliseconds. */
let quiet: number;
let worker: types.Worker;
let router: types.Router;
let transport: types.DirectTransport;
let dataProducer: types.DataProducer;
let dataConsumers: types.DataConsumer[];

beforeAll(async () => {
  const idle = await datasoup.createWorker();
  const begin = performance.now();
  const closed = await idle.createRouter();
  const plain = await closed.createPlainTransport({ listenInfo: LOOPBACK[0] });
  closed.close();
  await freed(plain.tuple.localPort);
  idle.close();
  await nextEvent(idle, 'subprocessclose');
  quiet = performance.now() - begin;
});

beforeEach(async () => {
  worker = await datasoup.createWorker();
  router = await worker.createRouter();
  transport = await router.createDirectTransport();
  dataProducer = await transport.produceData({ maxBufferedAmount: QUEUE_BYTES });

  const options = { dataProducerId: dataProducer.id, maxBufferedAmount: 1024 };

  dataConsumers = await Promise.all(
    Array.from({ length: CONSUMERS }, () => transport.consumeData(options)),
  );
});

afterEach(() => worker.close());

/** Sends until the queue of the DataProducer is full; returns how many messages that took. */
function fill(): number {
  for (let sent = 0; ; sent++) {
    try {
      dataProducer.send('x');
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL' });
      return sent;
    }
  }
}

test('another router is answered, carries messages, and closes', async () => {
  const other = await worker.createRouter();
  const plain = await other.createPlainTransport({ listenInfo: LOOPBACK[0] });
  const direct = await other.createDirectTransport();
  const producer = await direct.produceData();
  const consumer = await direct.consumeData({ dataProducerId: producer.id });

  fill();
  await soon(plain.getStats(), 'an answer');
  producer.send('other');

  const [message] = await soon(nextEvent(consumer, 'message'), 'a message');
  expect(`${message}`).toBe('other');
  other.close();
  await soon(freed(plain.tuple.localPort), 'a free port');
});

test('a peer of another router is answered while the messages of one producer are routed', async () => {
  const other = await worker.createRouter();
  const probed = await other.createWebRtcTransport({ listenInfos: [LOOPBACK[0]!] });
  const prober = new Prober();
  const p99 = async (): Promise<number> => {
    const [trips] = await prober.probe([probed], { seconds: 1 });
    return quantile(trips!, 0.99);
  };

  try {
    const alone = await p99();
    fill();
    const beside = await p99();
    expect(dataProducer.bufferedAmount).toBeGreaterThan(0);
    expect(beside).toBeLessThan(Math.max(TRIP_MICROS, QUIET_TIMES * alone));
  } finally {
    await prober.close();
  }
});

test.each(['dataProducer', 'transport', 'router'] as const)(
  '%s.close() drops what waits, and worker.dump() has its number',
  async (name) => {
    const other = await router.createDirectTransport();
    const dataConsumer = await other.consumeData({
      dataProducerId: dataProducer.id,
      maxBufferedAmount: QUEUE_BYTES,
    });
    const plain = await router.createPlainTransport({ listenInfo: LOOPBACK[0] });
    let received = 0;

    dataConsumer.on('message', () => received++);

    const sent = fill();
    const closed = name === 'router' ? undefined : nextEvent(dataConsumer, 'dataproducerclose');

    ({ dataProducer, transport, router })[name].close();
    await soon<unknown>(closed ?? freed(plain.tuple.localPort), 'the close');

    const { messagesDroppedAtClose } = await soon(worker.dump(), 'a dump');
    expect(messagesDroppedAtClose).toBeGreaterThan(sent / 2);
    if (name !== 'router') {
      expect(received + messagesDroppedAtClose).toBe(sent);
    }
    expect(dataProducer.bufferedAmount).toBe(0);
  },
);

test('what was sent just before a close is delivered before it, however much waits for others', async () => {
  const other = await worker.createRouter();
  const direct = await other.createDirectTransport();
  const producer = await direct.produceData();
  const consumer = await (
    await other.createDirectTransport()
  ).consumeData({ dataProducerId: producer.id });
  const events: string[] = [];

  consumer.on('message', (message) => events.push(`${message}`));
  consumer.on('dataproducerclose', () => events.push('closed'));
  fill();
  ['1', '2', '3', '4', '5'].forEach((message) => producer.send(message));
  producer.close();
  await soon(nextEvent(consumer, 'dataproducerclose'), 'dataproducerclose');
  expect(events).toEqual(['1', '2', '3', '4', '5', 'closed']);
  expect(await worker.dump()).toMatchObject({ messagesDroppedAtClose: 0 });
});

test('calls keep their place among the messages that wait', async () => {
  const [first] = dataConsumers;
  const sent = Array.from({ length: 5_000 }, () => dataProducer.send('x')).length;
  const paused = first.pause();

  Array.from({ length: 5_000 }, () => dataProducer.send('x'));
  await paused;

  const [stats] = await first.getStats();
  const offered = stats.messagesSent + stats.messagesDropped;
  expect(offered).toBe(sent);
});

test('worker.close() does not wait: subprocessclose comes soon', async () => {
  fill();
  worker.close();
  await soon(nextEvent(worker, 'subprocessclose'), 'subprocessclose', END_MS);
});

test.each(['process.exit()', 'the termination of a thread'])('%s does not wait', async (how) => {
  const busy = `
    const datasoup = require(${JSON.stringify(ROOT)});
    (async () => {
      const worker = await datasoup.createWorker();
      const transport = await (await worker.createRouter()).createDirectTransport();
      const producer = await transport.produceData({ maxBufferedAmount: ${QUEUE_BYTES} });
      const options = { dataProducerId: producer.id, maxBufferedAmount: 1024 };
      for (let n = 0; n < ${CONSUMERS}; n++) await transport.consumeData(options);
      try { for (;;) producer.send('x'); } catch {}
      done();
    })();`;
  const script = {
    'process.exit()': `{ const done = () => { console.log('busy'); process.exit(); }; ${busy} }`,
    'the termination of a thread': `
      const { Worker } = require('node:worker_threads');
      const busy = ${JSON.stringify(busy)};
      const thread = new Worker(
        "const done = () => require('node:worker_threads').parentPort.postMessage(0);" + busy,
        { eval: true },
      );
      thread.once('message', () => { console.log('busy'); thread.terminate(); });`,
  }[how];
  let begin = 0;
  const { code, stderr } = await runNode(script ?? '', { onStdout: () => (begin ||= Date.now()) });

  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(begin).toBeGreaterThan(0);
  expect(Date.now() - begin).toBeLessThan(Math.max(END_MS, QUIET_TIMES * quiet));
});

/** Resolves when nothing listens on the port. */
async function freed(port: number): Promise<void> {
  while (!(await canBind('127.0.0.1', port))) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Settles as `promise` does, which is to happen long before what waits is routed. */
function soon<T>(promise: Promise<T>, what: string, ms = SOON_MS): Promise<T> {
  return within(promise, what, Math.max(ms, QUIET_TIMES * quiet));
}
