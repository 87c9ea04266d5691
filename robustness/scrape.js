'use strict';

// npm run robustness -- scrape [--clients=10000] [--scrapes=100]
//
// Scrapes the metrics of a Worker with 10,000 idle WebRtcTransports, each connected by ICE, DTLS and SCTP to a client
// of bench/clients/light (BENCH_CLIENTS is the path of the program). Fails if a scrape takes more than 1 ms of the
// Worker's CPU time or 5 ms of JavaScript's, which include turning the metrics into text by prom-client.

const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Registry } = require('prom-client');

const { connectClients } = require('../bench/clients/connect');
const { buildLightClients } = require('../bench/clients/light');
const { IMPL } = require('../bench/implementation');
const { cpuOfWorker } = require('../bench/measure');
const { quantile } = require('../bench/statistics');
const { readOptions } = require('../scripts/options');

const { createWorker } = require(IMPL);
const { prometheus } = require(path.join(IMPL, 'subpaths/metrics'));

/** The budgets of a scrape, in ms of CPU time. */
const MAX_WORKER_MS = 1;
const MAX_JAVASCRIPT_MS = 5;

/** Scrapes before the measurement, for the compiler of Node.js. */
const WARM_UP = 20;

async function main() {
  const { clients: count, scrapes } = readOptions({
    clients: { type: 'integer', default: 10_000 },
    scrapes: { type: 'integer', default: 100 },
  });

  process.env.BENCH_CLIENTS ??= buildLightClients('clients');

  const worker = await createWorker();
  const router = await worker.createRouter();
  const { id: dataProducerId } = await (await router.createDirectTransport()).produceData();
  const clients = await connectClients({
    worker,
    router,
    count,
    light: true,
    async prepare(transport) {
      const consumer = await transport.consumeData({ dataProducerId });
      const { streamId } = consumer.sctpStreamParameters;

      await transport.produceData({ sctpStreamParameters: { streamId } });
      return streamId;
    },
  });

  console.log(`${count} clients are connected`);
  // Frozen clients send no connectivity checks, whose cost would count.
  clients.pids.forEach((pid) => process.kill(pid, 'SIGSTOP'));
  await sleep(1_000);

  const registry = new Registry();

  prometheus({ registry });

  const idle = await time(worker, scrapes, async () => {});

  await time(worker, WARM_UP, () => registry.metrics());

  const scraped = await time(worker, scrapes, () => registry.metrics());
  const text = await registry.metrics();
  const connected = new RegExp(`^datasoup_transports\\{[^}]*type="webrtc"\\} ${count}$`, 'm');

  clients.pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
  worker.close();
  await clients.close();
  if (!connected.test(text)) {
    throw new Error(`no ${count} transports in the scrape`);
  }

  const [ofWorker, ofJavaScript] = [scraped.worker - idle.worker, scraped.main - idle.main];

  console.log(`a scrape of ${text.length.toLocaleString('en')} bytes, median of ${scrapes}:`);
  console.log(`${ofWorker.toFixed(2)} ms of the Worker's CPU time`);
  console.log(`${ofJavaScript.toFixed(2)} ms of JavaScript's`);
  console.log(`${scraped.wall.toFixed(2)} ms in all`);
  if (ofWorker > MAX_WORKER_MS || ofJavaScript > MAX_JAVASCRIPT_MS) {
    throw new Error(`the budgets are ${MAX_WORKER_MS} ms and ${MAX_JAVASCRIPT_MS} ms`);
  }
}

/**
 * The time that a call takes, in ms: CPU time of the Worker and of JavaScript's thread, and in all. Medians, as other
 * processes disturb some calls.
 *
 * @param {any} worker
 * @param {number} count
 * @param {() => Promise<unknown>} call
 */
async function time(worker, count, call) {
  const cpu = () => [worker, process].map((of) => cpuOfWorker(of).micros / 1_000);
  /** @type {{ worker: number, main: number, wall: number }[]} */
  const calls = [];

  for (let done = 0; done < count; done++) {
    const [ofWorker, ofMain] = cpu();
    const begin = performance.now();

    await call();

    const wall = performance.now() - begin;

    await sleep(2);

    const after = cpu();

    calls.push({ worker: after[0] - ofWorker, main: after[1] - ofMain, wall });
  }

  const median = (/** @type {'worker' | 'main' | 'wall'} */ of) =>
    quantile(
      calls.map((each) => each[of]),
      0.5,
    );

  return { worker: median('worker'), main: median('main'), wall: median('wall') };
}

exports.main = main;
